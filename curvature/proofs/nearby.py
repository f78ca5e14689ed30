"""Curvature near θ for binary rewards: C1 over the log-odds that a step reaches, and the sharp Lemma 3.3."""

from __future__ import annotations

from typing import Any

from curvature.proofs._claims import INTERVALS, claim_rounds_to, ends, intervals, show
from curvature.proofs._derivation import Derivation, Proof, exact
from curvature.proofs._setting import LOG_LINEAR, claim_instance, covariance, expectation, reward_and_feature

__all__ = ["nearby_constant", "nearby_profile"]

_C1 = "C1: ‖∇²J‖ ≤ D²ℓ(q) with ℓ = q(1 − q)(1 − 2q) for q ≤ 1/4 and (1 − q)/8 for q ≥ 1/4, q = min(p, 1 − p)"
_BINARY = "rewards 0 and 1, both present; z = log(p/(1 − p))"


def nearby_profile(constant: Any = "1") -> Proof:
    """Prove ‖∇²J(θ')‖ ≤ D²·max ℓ over |z' − z| ≤ D‖θ' − θ‖, z the log-odds of success.

    Ours, theory C1. Two responses reach it wherever the maximum is at q' ≤ 1/4. Where it is at q' > 1/4 and
    θ' ≠ θ none does: ‖∇z‖ = D along the whole step needs right responses at one feature and wrong ones at
    another, and then the curvature is that of two responses, q(1 − q)(1 − 2q) < ℓ.

    Parameters
    ----------
    constant : str, number or sympy expression
        The Lipschitz constant claimed in ‖∇z‖ ≤ constant·D.

    Returns
    -------
    Proof
        Raised instead: ProofError, when the constant is too small, or larger than two responses reach.

    Examples
    --------
    >>> print(nearby_profile().derived["peak, cosh z"])
    2
    """
    import sympy as sp

    k = exact(constant)
    proof = Derivation(
        "C1-window",
        f"‖∇z‖ ≤ {k}·D, so ‖∇²J(θ')‖ ≤ D²·max ℓ over |z' − z| ≤ D‖θ' − θ‖, reached by two responses where q' ≤ 1/4",
        LOG_LINEAR,
        _BINARY,
        _C1,
        "means of numbers in an interval of length D differ by at most D",
    )
    _claim_log_odds(proof, k)
    q = sp.Symbol("q", real=True)
    low = q * (1 - q) * (1 - 2 * q)
    peak, other = (3 - sp.sqrt(3)) / 6, (3 + sp.sqrt(3)) / 6
    proof.identity(
        "ℓ' = 6(q − (3 − √3)/6)(q − (3 + √3)/6) for q ≤ 1/4", sp.diff(low, q), 6 * (q - peak) * (q - other)
    )
    proof.at_least("the first root is below 1/4: ℓ rises up to it and falls after", sp.Rational(1, 4), peak)
    proof.at_least("the second is above 1/4", other, sp.Rational(1, 4))
    proof.identity("ℓ' = −1/8 for q ≥ 1/4: it goes on falling", sp.diff((1 - q) / 8, q), -sp.Rational(1, 8))
    odds = sp.expand(sp.radsimp((1 - peak) / peak))
    proof.identity("the peak has odds 2 + √3", odds, 2 + sp.sqrt(3))
    proof.identity(
        "so cosh z = 2 there",
        proof.derive("peak, cosh z", sp.radsimp(sp.expand(odds + sp.radsimp(1 / odds)) / 2)),
        2,
    )
    two = claim_instance(proof, [(q, 1, 1 - q), (1 - q, 0, -q)])
    proof.identity("two responses reach ℓ for q ≤ 1/4, at every z", two["hessian"], low)
    gap = (1 - q) / 8 - low
    proof.nonnegative("and stay below it for q ≥ 1/4", gap, q, sp.Rational(1, 4), sp.Rational(1, 2))
    return proof.done()


def _claim_log_odds(proof: Derivation, k: Any) -> None:
    """Claim ⟨u, ∇z⟩ = m₁ − m₀, the difference of the mean features, at most k and reached by two responses."""
    import sympy as sp

    r, z = reward_and_feature()
    p, first, total = expectation(r), expectation(r * z), expectation(z)
    right, wrong = first / p, (total - first) / (1 - p)
    proof.identity(
        "⟨u, ∇p⟩ = Cov(r, w) = p(1 − p)(m₁ − m₀), m_b = E[⟨u, φ⟩ | r = b]",
        covariance(r, z),
        sp.cancel(p * (1 - p) * (right - wrong)),
    )
    success = sp.Symbol("p", positive=True)
    proof.identity(
        "dz/dp = 1/(p(1 − p)), so ⟨u, ∇z⟩ = m₁ − m₀ ≤ D",
        sp.diff(sp.log(success / (1 - success)), success),
        1 / (success * (1 - success)),
    )
    proof.at_least("the constant is at least 1", k, 1)
    two = claim_instance(proof, [(success, 1, 1 - success), (1 - success, 0, -success)])
    reached = sp.cancel(two["gradient"] / (success * (1 - success)) / two["width"])
    proof.identity(
        "two responses have ⟨u, ∇z⟩ = constant·D", proof.derive("‖∇z‖/D of two responses", reached), k
    )


def nearby_constant(constant: Any = "0.587284", radius: Any = "1") -> Proof:
    """Prove the sharp constant of Lemma 3.3: ‖∇²J(θ')‖ ≤ c₃X²σ(θ) for ‖θ' − θ‖ ≤ rσ(θ)/X, c₃(1) = 0.587284.

    Ours, theory C1, where the paper has 5/2 (Lemma 3.3, arXiv:2601.23135v1).

    Parameters
    ----------
    constant : str, number or sympy expression
        c₃, rounded to six digits.
    radius : str, number or sympy expression
        r.

    Returns
    -------
    Proof
        Raised instead: ProofError, when c₃ of the radius does not round to the constant.

    Examples
    --------
    >>> print(nearby_constant().derived["c₃ is at least"])
    0.5872838143
    """
    k, r = exact(constant), exact(radius)
    proof = Derivation(
        "Lemma 3.3-sharp",
        f"the least c₃ with ‖∇²J(θ')‖ ≤ c₃X²σ(θ) for ‖θ' − θ‖ ≤ {show(radius)}·σ(θ)/X rounds to {show(constant)}",
        LOG_LINEAR,
        _BINARY,
        "C1-window: the curvature is at most D²·max ℓ over |z' − z| ≤ D‖θ' − θ‖, reached by two responses for q' ≤ 1/4",
        "D² ≤ 2X², with equality for two responses at ±D/2: c₃(r) = 2·sup_z max ℓ/σ(z) over |z' − z| ≤ ρσ(z), ρ = √2·r",
        "z ≥ 0: everything is symmetric under p ↔ 1 − p",
        INTERVALS,
    )
    _claim_slopes(proof)
    _claim_one_maximum(proof)
    _claim_enclosure(proof, k, r)
    return proof.done()


def _claim_slopes(proof: Derivation) -> None:
    """Claim the derivatives of log σ and log ℓ along z; E = e^(z/2), A = e^a."""
    import sympy as sp

    E, A = sp.symbols("E A", positive=True)
    std, half = E / (1 + E**2), (E**2 - 1) / (E**2 + 1)
    proof.identity(
        "d log σ/dz = −t/2 ≤ 0, t = tanh(z/2): a window that holds the peak does best as far out as it still does",
        E / 2 * sp.diff(sp.log(std), E),
        -half / 2,
    )
    proof.identity("t² = 1 − 4σ²", half**2, 1 - 4 * std**2)
    proof.identity("dt/dz = 2σ²", E / 2 * sp.diff(half, E), 2 * std**2)
    q = 1 / (1 + A)
    cosh, sinh = (A + 1 / A) / 2, (A - 1 / A) / 2
    proof.identity(
        "beyond it, a = z − ρσ: d log ℓ/da = −S, S = (cosh a − 2)/sinh a, which is 0 at the peak",
        sp.cancel(A * sp.diff(sp.log(q * (1 - q) * (1 - 2 * q)), A)),
        sp.cancel(-(cosh - 2) / sinh),
    )
    proof.identity(
        "dS/da = (2 cosh a − 1)/sinh²a",
        sp.cancel(A * sp.diff((cosh - 2) / sinh, A)),
        sp.cancel((2 * cosh - 1) / sinh**2),
    )


def _claim_one_maximum(proof: Derivation) -> None:
    """Claim that log(ℓ/σ) is concave wherever its slope vanishes, so that it has one maximum, for any ρ."""
    import sympy as sp

    C, y, s, t, ρ = sp.symbols("C y σ t ρ", positive=True)
    width = 2 * y / t / s  # ρ, as y = ρσt/2
    proof.identity(
        "a' = 1 + y, y = ρσt/2 ≥ 0, so the slope is −S(1 + y) + t/2: stationary where S = t/(2(1 + y)) ≤ 1/2",
        1 + width * s * t / 2,
        1 + y,
    )
    proof.identity(
        "a'' = −ρσ(1/4 − 2σ²)",
        (ρ * (-s * t / 2 * t / 2 + s * 2 * s**2 / 2)).subs(t, sp.sqrt(1 - 4 * s**2)),
        -ρ * s * (sp.Rational(1, 4) - 2 * s**2),
    )
    proof.identity(
        "there −S·a'' = (y/(1 + y))(1/4 − 2σ²)",
        (t / (2 * (1 + y))) * width * s * (sp.Rational(1, 4) - 2 * s**2),
        y / (1 + y) * (sp.Rational(1, 4) - 2 * s**2),
    )
    furthest = (8 + sp.sqrt(13)) / 3
    proof.identity(
        "S ≤ 1/2 is 4(C − 2)² ≤ C² − 1, C = cosh a: 2 ≤ C ≤ (8 + √13)/3",
        4 * (C - 2) ** 2 - (C**2 - 1),
        3 * (C - furthest) * (C - (8 - sp.sqrt(13)) / 3),
    )
    proof.at_least("the smaller root is no obstacle", 2, (8 - sp.sqrt(13)) / 3)
    steep = (2 * C - 1) / (C**2 - 1)
    proof.identity(
        "dS/da falls with C",
        sp.diff(steep, C),
        -2 * ((C - sp.Rational(1, 2)) ** 2 + sp.Rational(3, 4)) / (C**2 - 1) ** 2,
    )
    proof.at_least("so there dS/da ≥ 12/25", sp.radsimp(steep.subs(C, furthest)), sp.Rational(12, 25))
    proof.identity("σ(z)² ≤ σ(a)² = 1/(2(1 + C)) ≤ 1/6", 1 / (2 * (1 + sp.Integer(2))), sp.Rational(1, 6))
    proof.at_least(
        "the second derivative −(1 + y)²dS/da − S·a'' + σ² is at most −12/25 + 1/4 + 1/6 < 0",
        sp.Rational(12, 25),
        sp.Rational(1, 4) + sp.Rational(1, 6) + sp.Rational(1, 100),
    )


def _claim_enclosure(proof: Derivation, k: Any, r: Any) -> None:
    """Claim where the maximum is and what it rounds to."""
    import sympy as sp

    iv = intervals()
    ρ = iv.sqrt(iv.mpf(2)) * iv.mpf(r.p) / r.q
    low, high = sp.Rational("2.1696"), sp.Rational("2.1697")

    def parts(z: Any) -> tuple[Any, Any, Any]:
        half = iv.exp(z / 2)
        σ, t = half / (1 + half**2), (half**2 - 1) / (half**2 + 1)
        return σ, t, iv.exp(z - ρ * σ)

    def slope(z: Any) -> Any:
        σ, t, A = parts(z)
        return t / 2 - (A**2 - 4 * A + 1) / (A**2 - 1) * (1 + ρ * σ * t / 2)

    def at(value: Any) -> Any:
        return iv.mpf(value.p) / value.q

    proof.at_least(f"log(ℓ/σ) rises at z = {float(low)}", ends(slope(at(low)))[0], 0)
    proof.at_least(f"and falls at z = {float(high)}: the maximum is between", -ends(slope(at(high)))[1], 0)
    σ, _, A = parts(at((low + high) / 2))
    q = 1 / (1 + A)
    # Between the two ends log(ℓ/σ) changes by at most its slope, which the interval bounds.
    change = slope(iv.mpf([at(low).a, at(high).b])) * iv.mpf([-1, 1]) * at((high - low) / 2)
    value = 2 * q * (1 - q) * (1 - 2 * q) / σ * iv.exp(change)
    outer = 1 / (1 + parts(at(low))[2])
    proof.at_least(
        "there the window has passed the peak, and q' ≤ 1/4: two responses reach it",
        (3 - sp.sqrt(3)) / 6,
        ends(outer)[1],
    )
    proof.derive("c₃ is at least", sp.Float(ends(value)[0], 10))
    claim_rounds_to(proof, "c₃ rounds to the constant", ends(value), k, "5e-7")
