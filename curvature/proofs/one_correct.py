"""C1 under assumption A1: the exact largest curvature of a prompt with one correct response."""

from __future__ import annotations

from typing import Any

from curvature.proofs._derivation import Derivation, Proof, exact
from curvature.proofs._setting import AVERAGE, LOG_LINEAR, claim_hessian_is_covariance, claim_instance
from curvature.proofs.binary_profile import claim_easy_role, claim_hard_role, claim_two_pieces

__all__ = ["one_correct_profile"]


def one_correct_profile(positive: Any = "1", negative: Any = "1/4", high: Any = "1/8") -> Proof:
    """Prove ‖∇²J‖ ≤ D²ℓ₁(p), sharply, for one correct response.

    Ours, theory C1 under assumption A1. With one correct response E[w²|right] is the square of E[w|right], so
    the positive part of the Hessian keeps only the two-arm branch; its negative part is that of C1.

    Parameters
    ----------
    positive, negative, high : str, number or sympy expression
        The constants claimed in ℓ₁(p) = p(1 − p)·max(positive·(1 − 2p), negative) for p ≤ 1/2 and, with
        q = 1 − p, ℓ₁ = q(1 − q)(1 − 2q) for q ≤ 1/4 and high·(1 − q) for 1/4 ≤ q ≤ 1/2.

    Returns
    -------
    Proof
        Raised instead: ProofError, when a constant is too small, or larger than its instance reaches.

    Examples
    --------
    >>> one_correct_profile().derived["branches meet at p"]
    3/8
    """
    import sympy as sp

    positive, negative, high = exact(positive), exact(negative), exact(high)
    proof = Derivation(
        "C1-A1",
        f"‖∇²J‖ ≤ D²·ℓ₁(p), ℓ₁ = p(1 − p)·max({positive}·(1 − 2p), {negative}) for p ≤ 1/2 and, for q = 1 − p ≤ 1/2, "
        f"q(1 − q)(1 − 2q) where q ≤ 1/4, {high}·(1 − q) where q ≥ 1/4; reached at every p",
        LOG_LINEAR,
        "one response has reward 1, the others 0",
        AVERAGE,
        "D = 1 and w ∈ [a, a + 1], a ≤ 0 ≤ a + 1: both sides are homogeneous in φ, and E w = 0",
        "0 < p < 1",
    )
    claim_hessian_is_covariance(proof)
    a, p, q, x = sp.symbols("a p q x", real=True)
    # Cov(1 − r, w²): the wrong responses, of probability 1 − p, in the role of the right ones of C1.
    flat, edge = claim_two_pieces(proof, a, p, x)
    _claim_positive_part(proof, p, x, positive)
    # −∇²J for p ≤ 1/2: the wrong responses have probability 1 − p ≥ 1/2, the easy role with q = p …
    claim_easy_role(proof, flat.subs(p, 1 - q), edge.subs(p, 1 - q), q, x, negative)
    # … and for p ≥ 1/2 they have q = 1 − p ≤ 1/2, the hard role.
    claim_hard_role(proof, flat.subs(p, q), edge.subs(p, q), q, x, sp.Integer(1), high)
    _claim_reached(proof, q, positive, negative, high)
    return proof.done()


def _claim_positive_part(proof: Derivation, p: Any, x: Any, positive: Any) -> None:
    """Claim Cov(r, w²) ≤ positive·p(1 − p)(1 − 2p) for p ≤ 1/2, and ≤ 0 for p ≥ 1/2."""
    import sympy as sp

    m_right, m_wrong = (1 - p) * x, -p * x
    proof.identity(
        "one correct response: E[w²|right] = m², and E[w²|wrong] ≥ m'², so Cov(r, w²) ≤ p(1 − p)(1 − 2p)x²",
        m_right**2 - m_wrong**2,
        (1 - 2 * p) * x**2,
    )
    y = sp.Symbol("y", real=True)
    half = sp.Rational(1, 2)
    for end in (0, 1):
        slack = positive * (1 - 2 * p) - (1 - 2 * p) * end
        proof.nonnegative(
            f"y = x² ∈ [0, 1], affine in y, at y = {end}: no more for p ≤ 1/2", slack, p, 0, half
        )
    proof.affine("affine in y", sp.expand((1 - 2 * p) * y), y)
    proof.nonnegative("and Cov(r, w²) ≤ 0 for p ≥ 1/2", 2 * p - 1, p, half, 1)


def _claim_reached(proof: Derivation, q: Any, positive: Any, negative: Any, high: Any) -> None:
    """Claim that each branch is reached by an instance of diameter 1 with one correct response."""
    import sympy as sp

    half, quarter = sp.Rational(1, 2), sp.Rational(1, 4)
    two = claim_instance(proof, [(q, 1, 1 - q), (1 - q, 0, -q)])
    proof.identity("two responses have diameter 1", two["width"], 1)
    proof.identity(
        "p = q: they reach positive·p(1 − p)(1 − 2p)", two["hessian"], positive * q * (1 - q) * (1 - 2 * q)
    )
    swapped = claim_instance(proof, [(q, 0, 1 - q), (1 - q, 1, -q)])
    proof.identity("p = 1 − q: they reach −q(1 − q)(1 − 2q)", -swapped["hessian"], q * (1 - q) * (1 - 2 * q))
    spread = claim_instance(proof, [((1 - q) / 2, 0, half), (q, 1, sp.Integer(0)), ((1 - q) / 2, 0, -half)])
    proof.identity("a right response between two wrong ones has diameter 1", spread["width"], 1)
    proof.identity("p = q: it reaches −negative·p(1 − p)", -spread["hessian"], negative * q * (1 - q))
    proof.nonnegative(
        "for q ≥ 1/4 there is a wrong response of probability q − 1/4", q - quarter, q, quarter, 1
    )
    three = claim_instance(
        proof, [(quarter, 0, 3 * quarter), (q - quarter, 0, -quarter), (1 - q, 1, -quarter)]
    )
    proof.identity("two wrong responses and the right one on two features have diameter 1", three["width"], 1)
    proof.identity("p = 1 − q: they reach −high·(1 − q)", -three["hessian"], high * (1 - q))
    meet = proof.derive("branches meet at p", (1 - negative / positive) / 2)
    proof.at_least("and that lies below 1/2", half, meet)
