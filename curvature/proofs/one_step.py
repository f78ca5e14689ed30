"""What one step gains: GRPO's certificate under C1, and the limit of short gradients that no certificate can pass."""

from __future__ import annotations

from typing import Any

from curvature.proofs._claims import INTERVALS, ends, intervals, show
from curvature.proofs._derivation import Derivation, Proof, exact
from curvature.proofs._setting import LOG_LINEAR, claim_instance

__all__ = ["ascending_step_of_grpo", "short_gradients"]

_SIGNED = (
    "C1 with its sign: −uᵀ∇²J u ≤ D²ν(p), ν = p(1 − p)/4 for p ≤ 1/2, p/8 for 1/2 ≤ p ≤ 3/4 and p(1 − p)(2p − 1) "
    "for p ≥ 3/4 (C1's two roles, rewards 1 − r)"
)


def ascending_step_of_grpo(step: Any = "4", gain: Any = "2") -> Proof:
    """Prove that for binary rewards GRPO's step α = a/D², a ≤ 4, gains (a − a²/8)‖g‖²/(σD²): 2‖g‖²/(σD²) at a = 4.

    Ours, theory T1 under C1. Along an ascending path the log-odds only grow, and the curvature against the step then
    stays below σ/4, its bound at the start.

    Parameters
    ----------
    step, gain : str, number or sympy expression
        The maximiser of a − a²/8 and its maximum.

    Returns
    -------
    Proof
        Raised instead: ProofError, when they are others.

    Examples
    --------
    >>> print(ascending_step_of_grpo().statement)
    binary rewards: at α = 4/D² GRPO gains at least 2·‖g‖²/(σD²), and a − a²/8 of it at α = a/D² for a ≤ 4
    """
    import sympy as sp

    best, k = exact(step), exact(gain)
    proof = Derivation(
        "one-step-C1",
        f"binary rewards: at α = {show(best)}/D² GRPO gains at least {show(k)}·‖g‖²/(σD²), and a − a²/8 of it at "
        "α = a/D² for a ≤ 4",
        LOG_LINEAR,
        "D = 1, rewards 0 and 1, z = log(p/(1 − p)), h = α‖g‖/σ = a‖g‖/σ the length of the step",
        "C1-window: |z' − z| ≤ ‖θ' − θ‖; so ‖g‖ ≤ σ² and h ≤ aσ",
        _SIGNED,
        INTERVALS,
    )
    _claim_rise(proof)
    _claim_below_start(proof)
    a, g, s, t = sp.symbols("a ‖g‖ σ t", positive=True)
    slope = a * g**2 / s - t * (a * g / s) ** 2 * s / 4
    proof.identity(
        "f(t) = J(θ + tΔ): while f' ≥ 0, z does not fall, so f'' ≥ −h²σ/4 and f'(t) ≥ (a‖g‖²/σ)(1 − ta/4)",
        slope,
        a * g**2 / s * (1 - t * a / 4),
    )
    proof.affine("1 − ta/4 is affine in t", 1 - t * a / 4, t)
    proof.nonnegative("and ≥ 0 at t = 1 for a ≤ 4: f' never turns negative", 1 - a / 4, a, 0, 4)
    total = proof.derive("gain", sp.factor(sp.integrate(slope, (t, 0, 1)) * s / g**2))
    proof.identity("the gain is at least (a − a²/8)‖g‖²/σ", total, a - a**2 / 8)
    proof.identity("a − a²/8 is stationary at the step claimed", sp.diff(total, a).subs(a, best), 0)
    proof.at_least("which is at most 4", 4, best)
    proof.identity("and the gain claimed there", total.subs(a, best), k)
    return proof.done()


def _claim_rise(proof: Derivation) -> None:
    """Claim that ν rises with p up to its peak 1/(6√3) at p = (3 + √3)/6, and falls after."""
    import sympy as sp

    p = sp.Symbol("p", real=True)
    half, quarter = sp.Rational(1, 2), sp.Rational(1, 4)
    proof.nonnegative("ν rises for p ≤ 1/2", sp.diff(p * (1 - p) / 4, p), p, 0, half)
    proof.identity("ν is continuous at 1/2", half * half / 4, half / 8)
    high = p * (1 - p) * (2 * p - 1)
    proof.identity("and at 3/4", high.subs(p, 3 * quarter), 3 * quarter / 8)
    peak = (3 + sp.sqrt(3)) / 6
    proof.identity(
        "ν' = −6(p − (3 + √3)/6)(p − (3 − √3)/6) for p ≥ 3/4: it rises to the first root and falls after",
        sp.diff(high, p),
        -6 * (p - peak) * (p - (3 - sp.sqrt(3)) / 6),
    )
    proof.identity("its maximum is 1/(6√3)", high.subs(p, peak), 1 / (6 * sp.sqrt(3)))


def _claim_below_start(proof: Derivation) -> None:
    """Claim ν(z') ≤ σ(z)/4 for z ≤ z' ≤ z + 4σ(z)."""
    import sympy as sp

    iv = intervals()
    V = sp.Symbol("V", real=True)
    peak = (3 + sp.sqrt(3)) / 6
    proof.identity(
        "beyond the peak ν falls, and ν(p)² = V²(1 − 4V), V = σ²",
        (2 * peak - 1) ** 2,
        1 - 4 * peak * (1 - peak),
    )
    proof.nonnegative("which is at most σ²/16", V / 16 - V**2 * (1 - 4 * V), V, 0, sp.Rational(1, 4))
    proof.at_least(
        "before it, 1/(6√3) ≤ σ/4 where σ² ≥ 4/27, as at the peak", peak * (1 - peak), sp.Rational(4, 27)
    )
    proof.identity("σ/4 = 1/(6√3) at σ² = 4/27", sp.sqrt(sp.Rational(4, 27)) / 4, 1 / (6 * sp.sqrt(3)))
    E = sp.Symbol("E", positive=True)
    std = E / (1 + E**2)
    proof.identity(
        "z + 4σ(z) rises with z < 0: d(4σ)/dz = 2σ(1 − E²)/(1 + E²), E = e^(z/2) < 1",
        E / 2 * sp.diff(4 * std, E),
        2 * std * (1 - E**2) / (1 + E**2),
    )
    proof.identity("d log(p(1 − p))/dz = 1 − 2p ≤ 1", E * sp.diff(sp.log(std), E), (1 - E**2) / (1 + E**2))
    proof.identity("σ = 3/10 at p = 1/10", sp.Rational(1, 10) * sp.Rational(9, 10), sp.Rational(3, 10) ** 2)
    short = iv.log(iv.mpf(1) / 9) + iv.mpf(12) / 10
    proof.at_least("from p ≤ 1/10, z' ≤ 0: ν(z') = σ'²/4 ≤ σ²e^(4σ)/4", 0, ends(short)[1])
    proof.at_least("and σe^(4σ) ≤ 1 for σ ≤ 3/10", 1, ends(iv.mpf(3) / 10 * iv.exp(iv.mpf(12) / 10))[1])
    # p with p(1 − p) = 4/27.
    p = (1 - iv.sqrt(iv.mpf(11) / 27)) / 2
    long = iv.log(p / (1 - p)) + 4 * iv.sqrt(iv.mpf(4) / 27)
    proof.at_least("from 1/10 ≤ p with σ² ≤ 4/27, p' ≤ 3/5", ends(iv.log(iv.mpf(3) / 2))[0], ends(long)[1])
    proof.identity("where ν = 3/40 = σ/4 at σ = 3/10", sp.Rational(3, 5) / 8, sp.Rational(3, 10) / 4)


def short_gradients(grpo: Any = "1/16", reinforce: Any = "1/32") -> Proof:
    """Prove that no one-step gain is above a − a²/16 (GRPO) or a − a²/32 (REINFORCE), reached as g → 0.

    Ours. The gain is a + (a²/2)uᵀ∇²J u/σ to leading order in g, and the curvature against the step is at most σ/8.

    Parameters
    ----------
    grpo, reinforce : str, number or sympy expression
        The constants claimed in front of a².

    Returns
    -------
    Proof
        Raised instead: ProofError, when a constant is too small, or larger than the instance reaches.

    Examples
    --------
    >>> print(short_gradients().derived["curvature over σ"])
    -1/8
    """
    import sympy as sp

    first, second = exact(grpo), exact(reinforce)
    proof = Derivation(
        "one-step-short",
        f"as g → 0 the least one-step gains are a − {show(first)}·a² (GRPO, any rewards) and a − {show(second)}·a² "
        "(REINFORCE, rewards of range 1)",
        LOG_LINEAR,
        "D = 1, w ∈ [b, b + 1]; uᵀ∇²J u = Cov(r, w²), ⟨u, g⟩ = Cov(r, w) → 0",
        "a function within ε of an affine function of w has, less that affine function, deviation ≤ ε",
    )
    a, g, s, H = sp.symbols("a ‖g‖ σ H", positive=True)
    for name, step in [("GRPO", a * g / s), ("REINFORCE", a * g)]:
        unit = g**2 / s if name == "GRPO" else g**2
        rest = a**2 * H / (2 * s) if name == "GRPO" else a**2 * H / 2
        proof.identity(
            f"{name}'s gain to second order, in units of {show(unit)}, H = −uᵀ∇²J u: a − {show(rest)}",
            sp.expand((g * step - H * step**2 / 2) / unit),
            a - rest,
        )
    w, b = sp.symbols("w b", real=True)
    x = sp.Symbol("x", real=True)
    affine = (2 * b + 1) * w - b * (b + 1) - sp.Rational(1, 8)
    proof.identity(
        "w² less an affine function is x² − x + 1/8, x = w − b ∈ [0, 1]",
        sp.expand((w**2 - affine).subs(w, b + x)),
        x**2 - x + sp.Rational(1, 8),
    )
    error = x**2 - x + sp.Rational(1, 8)
    proof.nonnegative("which is at most 1/8", sp.Rational(1, 8) - error, x, 0, 1)
    proof.nonnegative("and at least −1/8", sp.Rational(1, 8) + error, x, 0, 1)
    proof.at_least(
        "so −Cov(r, w²) ≤ σ/8: half of it is at most the first constant", first, sp.Rational(1, 16)
    )
    proof.at_least("and at most 1/16, as σ ≤ 1/2: half of it at most the second", second, sp.Rational(1, 32))
    half, quarter = sp.Rational(1, 2), sp.Rational(1, 4)
    found = claim_instance(proof, [(quarter, 0, half), (half, 1, 0), (quarter, 0, -half)])
    proof.identity("three responses, the middle one right, have g = 0", found["gradient"], 0)
    over = proof.derive("curvature over σ", found["hessian"] / sp.sqrt(found["variance"]))
    proof.identity("and reach the first constant", -over / 2, first)
    proof.identity("and the second", -found["hessian"] / 2, second)
    return proof.done()
