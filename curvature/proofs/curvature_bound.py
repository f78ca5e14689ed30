"""The constant of L2: local curvature is at most D²/4 times the reward std."""

from __future__ import annotations

from typing import Any

from curvature.proofs._derivation import Derivation, Proof, exact
from curvature.proofs._setting import (
    AVERAGE,
    CAUCHY_SCHWARZ,
    LOG_LINEAR,
    claim_hessian_is_covariance,
    claim_instance,
    expectation,
    reward_and_feature,
)

__all__ = ["curvature_constant"]


def curvature_constant(constant: Any = "1/4") -> Proof:
    """Prove L2, sharply: ‖∇²J‖ ≤ D²σ/4.

    Ours, theory L2. The heart is a bound on the fourth moment of a bounded variable of mean zero: the
    expectation of (w − a)(b − w)(w + c/2)² ≥ 0 with c = a + b, in which the third moment cancels.

    Parameters
    ----------
    constant : str, number or sympy expression
        The constant claimed in ‖∇²J‖ ≤ constant·D²σ.

    Returns
    -------
    Proof
        Raised instead: ProofError, when the constant is too small, or larger than the instance reaches.

    Examples
    --------
    >>> print(curvature_constant().statement)
    ‖∇²J‖ ≤ 1/4·D²·σ, with equality for two responses at p(1 − p) = 1/8
    """
    import sympy as sp

    k = exact(constant)
    proof = Derivation(
        "L2",
        f"‖∇²J‖ ≤ {k}·D²·σ, with equality for two responses at p(1 − p) = 1/8",
        LOG_LINEAR,
        CAUCHY_SCHWARZ,
        AVERAGE,
        "D = 1 and w ∈ [a, b], b = a + 1, a ≤ 0 ≤ b: both sides are homogeneous in φ, and E w = 0",
    )
    claim_hessian_is_covariance(proof)
    _claim_fourth_moment(proof)
    _claim_variance_of_square(proof, k)
    q = (1 - sp.sqrt(sp.Rational(1, 2))) / 2
    reached = claim_instance(proof, [(q, 1, 1 - q), (1 - q, 0, -q)])
    proof.identity("the instance has p(1 − p) = 1/8", reached["variance"], sp.Rational(1, 8))
    ratio = sp.radsimp(sp.expand(reached["hessian"]) / sp.sqrt(sp.Rational(1, 8)) / reached["width"] ** 2)
    proof.identity("the instance reaches the constant", proof.derive("reached", ratio), k)
    return proof.done()


def _claim_fourth_moment(proof: Derivation) -> None:
    """Claim E w⁴ ≤ (3c²/4 − ab)E w² − abc²/4 for w ∈ [a, b] with mean 0, where c = a + b."""
    import sympy as sp

    a, b = sp.symbols("a b", real=True)
    _, w = reward_and_feature()
    c = a + b
    certificate = (w - a) * (b - w) * (w + c / 2) ** 2
    slack = sp.expand(expectation(sp.expand(certificate)).subs(expectation(w), 0))
    bound = (3 * c**2 / 4 - a * b) * expectation(w**2) - a * b * c**2 / 4
    proof.identity(
        "0 ≤ E(w − a)(b − w)(w + c/2)² = (3c²/4 − ab)E w² − abc²/4 − E w⁴", slack, bound - expectation(w**4)
    )
    first = sp.expand(expectation(sp.expand((w - a) * (b - w))).subs(expectation(w), 0))
    proof.identity("0 ≤ E(w − a)(b − w) = −ab − E w²", first, -a * b - expectation(w**2))
    proof.derive("fourth moment at most", bound)


def _claim_variance_of_square(proof: Derivation, k: Any) -> None:
    """Claim sd(w²) ≤ k: the bound on Var(w²) has its maximum over 0 ≤ E w² ≤ −ab and all a, b below k²."""
    import sympy as sp

    a, m, s = sp.symbols("a m s", real=True)
    b = a + 1
    c_squared = 1 - 4 * s
    variance = (3 * c_squared / 4 + s) * m + s * c_squared / 4 - m**2
    written_out = (3 * (a + b) ** 2 / 4 - a * b) * m - a * b * (a + b) ** 2 / 4 - m**2
    proof.identity(
        "Var(w²) ≤ V(m) = (3c²/4 + s)m + sc²/4 − m², m = E w² ∈ [0, s], s = −ab, c² = 1 − 4s",
        written_out,
        variance.subs(s, -a * b),
    )
    proof.identity(
        "s ≤ 1/4, as 1/4 − s = (a + 1/2)²", sp.Rational(1, 4) + a * b, (a + sp.Rational(1, 2)) ** 2
    )
    proof.at_least("the constant is at least 0", k, 0)
    corner = proof.derive("maximum for s ≤ 3/16", sp.factor(variance.subs(m, s)))
    proof.identity("V(s) = s(1 − 4s)", corner, s * (1 - 4 * s))
    rise = (s - m) * ((3 * c_squared / 4 - s) + (s - m))
    proof.identity("V(s) − V(m) = (s − m)((3/4 − 4s) + (s − m))", corner - variance, rise)
    cut = sp.Rational(3, 16)
    proof.nonnegative("so V(m) ≤ V(s) where s ≤ 3/16", 3 * c_squared / 4 - s, s, 0, cut)
    proof.nonnegative("V(s) ≤ constant² where s ≤ 3/16", k**2 - corner, s, 0, cut)
    peak = proof.derive("maximum for s ≥ 3/16", sp.Rational(9, 64) - s / 2)
    square = (m - (sp.Rational(3, 8) - s)) ** 2
    proof.identity("V(m) = 9/64 − s/2 − (m − 3/8 + s)² ≤ 9/64 − s/2", variance, peak - square)
    proof.nonnegative("9/64 − s/2 ≤ constant² where s ≥ 3/16", k**2 - peak, s, cut, sp.Rational(1, 4))
