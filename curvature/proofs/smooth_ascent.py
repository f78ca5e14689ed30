"""The exact worst case of several steps of smooth ascent, which Theorem 3.1's sum of single steps does not see."""

from __future__ import annotations

from typing import Any

from curvature.proofs._claims import claim_telescoping, show
from curvature.proofs._derivation import Derivation, Proof, exact

__all__ = ["smooth_rate"]


def smooth_rate(rate: Any = "4", slope: Any = "3") -> Proof:
    """Prove that T ascent steps of 1/L on an L-smooth J have min_(t<T) ‖∇J‖² ≤ 4LΔ/(3T − 1), the least such bound.

    The rate of Abbaszadehpeivasti, de Klerk and Zamani, arXiv:2104.05468, told by the gain Δ of the run; derived here
    anew. Theorem 3.1 and C1's rate add up what each step gains alone, 2LΔ/T: the same for one step, half as large
    again for many.

    Parameters
    ----------
    rate, slope : str, number or sympy expression
        The constants claimed: 4 and 3.

    Returns
    -------
    Proof
        Raised instead: ProofError, when a constant is another.

    Examples
    --------
    >>> print(smooth_rate().statement)
    L-smooth J, T steps θ_(t+1) = θ_t + ∇J(θ_t)/L: min_(t<T) ‖∇J(θ_t)‖² ≤ 4LΔ/(3T − 1), Δ = J(θ_T) − J(θ_0), reached
    """
    import sympy as sp

    rate, slope = exact(rate), exact(slope)
    g, h, L, T, x = sp.symbols("g g' L T x", positive=True)
    proof = Derivation(
        "smooth-rate",
        f"L-smooth J, T steps θ_(t+1) = θ_t + ∇J(θ_t)/L: min_(t<T) ‖∇J(θ_t)‖² ≤ {show(rate)}LΔ/({show(slope)}T − 1), "
        "Δ = J(θ_T) − J(θ_0), reached",
        "L-smooth: |J(ζ) − J(θ) − ⟨∇J(θ), ζ − θ⟩| ≤ (L/2)‖ζ − θ‖² for all θ, ζ",
        "g = ∇J(θ_t), g' = ∇J(θ_(t+1)); what is polynomial in inner products is claimed in one coordinate, and adds up",
    )
    # ζ is where the bound from θ_t, below J, and the one from θ_{t+1}, above J, are closest.
    before, after = (2 * g - h) / (2 * L), -h / (2 * L)
    proof.identity("ζ = θ_t + (2g − g')/(2L) is θ_(t+1) − g'/(2L)", before - after, g / L)
    step = (g * before - L / 2 * before**2) - (h * after + L / 2 * after**2)
    proof.identity(
        "J(ζ) from θ_t on is at least, and from θ_(t+1) on at most: J(θ_(t+1)) − J(θ_t) ≥ ‖g‖²/(2L) + ‖g'‖²/(4L)",
        step,
        g**2 / (2 * L) + h**2 / (4 * L),
    )
    claim_telescoping(proof)
    half, quarter = sp.Rational(1, 2), sp.Rational(1, 4)
    proof.identity(
        "LΔ ≥ Σ_(t<T)‖g_t‖²/2 + Σ_(1≤t≤T)‖g_t‖²/4 ≥ (T/2 + (T − 1)/4)·min_(t<T)‖g_t‖²: the bound",
        half * T + quarter * (T - 1),
        (slope * T - 1) / rate,
    )
    proof.identity("with θ_T among them it is T/2 + T/4: 4LΔ/(3T)", half * T + quarter * T, slope * T / rate)
    dip = 2 * sp.integrate(1 - x, (x, 0, half))
    last = sp.integrate(1 - x, (x, 0, 1))
    proof.identity(
        "J' that falls from 1 to 1/2 and rises to 1 in each step of 1/L but the last, slopes ∓L, and falls to 0 in "
        "that, has J'(θ_t) = 1 for t < T and LΔ = (T − 1)·3/4 + 1/2: it reaches the bound",
        rate * proof.derive("LΔ reached", (T - 1) * dip + last) / (slope * T - 1),
        1,
    )
    single = sp.Integer(2) / T
    proof.identity("2LΔ/T is as much at T = 1", (rate / (slope * T - 1)).subs(T, 1) - single.subs(T, 1), 0)
    proof.identity(
        "and 3/2 as much as T → ∞", sp.limit(single / (rate / (slope * T - 1)), T, sp.oo), sp.Rational(3, 2)
    )
    return proof.done()
