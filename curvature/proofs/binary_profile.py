"""C1: the exact largest curvature of a binary prompt as a function of its success probability."""

from __future__ import annotations

from typing import Any

from curvature.proofs._claims import show
from curvature.proofs._derivation import Derivation, Proof, exact
from curvature.proofs._setting import (
    AVERAGE,
    LOG_LINEAR,
    claim_hessian_is_covariance,
    claim_instance,
    expectation,
    reward_and_feature,
)

__all__ = [
    "binary_profile",
    "binary_profile_maximum",
    "binary_profile_order",
    "claim_easy_role",
    "claim_hard_role",
    "claim_two_pieces",
]


def binary_profile(low: Any = "1", high: Any = "1/8") -> Proof:
    """Prove C1, sharply: ‖∇²J‖ ≤ D²ℓ(q), ℓ(q) = q(1 − q)(1 − 2q) for q ≤ 1/4 and (1 − q)/8 above.

    Ours, theory C1. A chord bounds E[w²|right] from above and Jensen bounds E[w²|wrong] from below; what is
    left is a quadratic in the offset of w's interval and the gap between the two conditional means, maximised
    here over the whole triangle they live in.

    Parameters
    ----------
    low, high : str, number or sympy expression
        The constants claimed in low·q(1 − q)(1 − 2q) for q ≤ 1/4 and high·(1 − q) for q ≥ 1/4.

    Returns
    -------
    Proof
        Raised instead: ProofError, when a constant is too small, or larger than its instance reaches.

    Examples
    --------
    >>> print(binary_profile().statement)
    ‖∇²J‖ ≤ D²·ℓ(q), q = min(p, 1 − p), ℓ = 1·q(1 − q)(1 − 2q) for q ≤ 1/4, 1/8·(1 − q) for q ≥ 1/4; reached at every q
    """
    import sympy as sp

    low, high = exact(low), exact(high)
    proof = Derivation(
        "C1",
        f"‖∇²J‖ ≤ D²·ℓ(q), q = min(p, 1 − p), ℓ = {low}·q(1 − q)(1 − 2q) for q ≤ 1/4, "
        f"{high}·(1 − q) for q ≥ 1/4; reached at every q",
        LOG_LINEAR,
        "rewards 0 or 1 (or in [0, 1] with p their mean: splitting a response into a right and a wrong copy, in "
        "proportion to its reward, changes no expectation of the reward times a function of φ)",
        AVERAGE,
        "D = 1 and w ∈ [a, a + 1], a ≤ 0 ≤ a + 1: both sides are homogeneous in φ, and E w = 0",
        "0 < p < 1; the sign: −Cov(r, w²) = Cov(1 − r, w²) exchanges p and 1 − p, so Cov ≤ ℓ for all p suffices",
    )
    claim_hessian_is_covariance(proof)
    a, p, x = sp.symbols("a p x", real=True)
    flat, edge = claim_two_pieces(proof, a, p, x)
    q = sp.Symbol("q", real=True)
    claim_hard_role(proof, flat.subs(p, q), edge.subs(p, q), q, x, low, high)
    claim_easy_role(proof, flat.subs(p, 1 - q), edge.subs(p, 1 - q), q, x, exact("1/4"))
    _claim_easy_is_below(proof, q, low, high)
    _claim_reached(proof, q, low, high)
    return proof.done()


def claim_two_pieces(proof: Derivation, a: Any, p: Any, x: Any) -> tuple[Any, Any]:
    """Claim Cov(r, w²) ≤ p(1 − p)·max over x ∈ [0, 1] of a function in two pieces, meeting at x = 1/2.

    Returns
    -------
    tuple of sympy expressions
        The pieces for x ≤ 1/2 and x ≥ 1/2.
    """
    import sympy as sp

    right, wrong, m, y = sp.symbols("right wrong m y", real=True)
    half = sp.Rational(1, 2)
    _, w = reward_and_feature()
    proof.identity(
        "Cov(r, w²) = p(1 − p)(E[w²|right] − E[w²|wrong])",
        p * right - p * (p * right + (1 - p) * wrong),
        p * (1 - p) * (right - wrong),
    )
    chord = expectation(sp.expand((w - a) * (a + 1 - w))).subs(expectation(w), m)
    proof.identity(
        "0 ≤ E[(w − a)(a + 1 − w)|right] = (2a + 1)m − a(a + 1) − E[w²|right], m = E[w|right]",
        chord,
        (2 * a + 1) * m - a * (a + 1) - expectation(w**2),
    )
    spread = expectation(sp.expand((w - m) ** 2)).subs(expectation(w), m)
    proof.identity(
        "0 ≤ E[(w − m)²|wrong] = E[w²|wrong] − m², m = E[w|wrong]", spread, expectation(w**2) - m**2
    )
    m_right, m_wrong = (1 - p) * x, -p * x
    proof.identity("E w = 0 with x the gap of the means", p * m_right + (1 - p) * m_wrong, 0)
    gap = (2 * a + 1) * m_right - a * (a + 1) - m_wrong**2
    slacks = [m_right - a, a + 1 - m_right, m_wrong - a, a + 1 - m_wrong]
    reflected = {a: -1 - y, x: -x}
    proof.identity(
        "w → −w leaves the bound unchanged", gap.subs(reflected, simultaneous=True).subs(y, a), gap
    )
    for here, there in zip(slacks, [slacks[1], slacks[0], slacks[3], slacks[2]], strict=True):
        image = here.subs(reflected, simultaneous=True).subs(y, a)
        proof.identity("and carries the constraints into each other, so x ≥ 0 is no loss", image, there)
    proof.identity("x ≤ 1: the means lie in an interval of length 1", slacks[1] + slacks[2], 1 - x)
    crest = (1 - p) * x - half
    flat = sp.Rational(1, 4) + (1 - 2 * p) * x**2
    proof.identity("the bound is 1/4 + (1 − 2p)x² − (a − (1 − p)x + 1/2)²", gap, flat - (a - crest) ** 2)
    beyond = -p * x - a
    proof.identity("(1 − p)x − 1/2 − a = (x − 1/2) + (−px − a)", crest - a, (x - half) + beyond)
    proof.identity(
        "for x ≥ 1/2 the square is at least (x − 1/2)², as −px − a ≥ 0",
        (a - crest) ** 2 - (x - half) ** 2,
        beyond * (beyond + 2 * (x - half)),
    )
    edge = x - 2 * p * x**2
    proof.identity("and the bound at most x − 2px²", flat - (x - half) ** 2, edge)
    proof.derive("piece x ≤ 1/2", flat)
    proof.derive("piece x ≥ 1/2", edge)
    return flat, edge


def claim_hard_role(proof: Derivation, flat: Any, edge: Any, q: Any, x: Any, low: Any, high: Any) -> None:
    """Claim Cov ≤ ℓ where the right responses are the rarer ones, p = q ≤ 1/2.

    The claims for q ≤ 1/4 are divided by q(1 − q), those for q ≥ 1/4 by 1 − q.
    """
    import sympy as sp

    quarter, half = sp.Rational(1, 4), sp.Rational(1, 2)
    for piece, ends, name in [(flat, (0, half), "x ≤ 1/2"), (edge, (half, 1), "x ≥ 1/2")]:
        slack = sp.expand(low * (1 - 2 * q) - piece)
        proof.affine(f"p = q ≤ 1/4, {name}: affine in q", slack, q)
        for end in (0, quarter):
            proof.nonnegative(f"and low·(1 − 2q) is no less at q = {end}", slack.subs(q, end), x, *ends)
    y, v = sp.symbols("y v", real=True)
    slack = sp.expand((high - q * flat).subs(x**2, y))
    proof.affine("p = q ≥ 1/4, x ≤ 1/2: affine in y = x²", slack, y)
    for end in (0, quarter):
        proof.nonnegative(f"and high is no less at y = {end}", slack.subs(y, end), q, quarter, half)
    proof.identity("p = q, x ≥ 1/2: q(x − 2qx²) = v − 2v², v = qx", q * edge, (v - 2 * v**2).subs(v, q * x))
    proof.nonnegative(
        "and high is no less for q ∈ [1/4, 1/2], x ∈ [1/2, 1]", high - v + 2 * v**2, v, quarter / 2, half
    )


def claim_easy_role(proof: Derivation, flat: Any, edge: Any, q: Any, x: Any, constant: Any) -> None:
    """Claim Cov ≤ constant·q(1 − q) where the responses of reward 1 are the likelier ones, p = 1 − q ≥ 1/2."""
    import sympy as sp

    half = sp.Rational(1, 2)
    for piece, ends, name in [(flat, (0, half), "x ≤ 1/2"), (edge, (half, 1), "x ≥ 1/2")]:
        slack = sp.expand(constant - piece)
        proof.affine(f"p = 1 − q, {name}: affine in q", slack, q)
        for end in (0, half):
            proof.nonnegative(f"and {constant} is no less at q = {end}", slack.subs(q, end), x, *ends)


def _claim_easy_is_below(proof: Derivation, q: Any, low: Any, high: Any) -> None:
    """Claim q(1 − q)/4 ≤ ℓ(q)."""
    import sympy as sp

    quarter, half = sp.Rational(1, 4), sp.Rational(1, 2)
    proof.nonnegative(
        "q(1 − q)/4 ≤ low·q(1 − q)(1 − 2q) for q ≤ 1/4", low * (1 - 2 * q) - quarter, q, 0, quarter
    )
    proof.nonnegative("q(1 − q)/4 ≤ high·(1 − q) for q ≥ 1/4", high - q / 4, q, quarter, half)


def _claim_reached(proof: Derivation, q: Any, low: Any, high: Any) -> None:
    """Claim that each branch is reached, at every q, by an instance of diameter 1."""
    import sympy as sp

    quarter = sp.Rational(1, 4)
    two = claim_instance(proof, [(q, 1, 1 - q), (1 - q, 0, -q)])
    proof.identity("two responses have diameter 1", two["width"], 1)
    proof.identity("and reach low·q(1 − q)(1 − 2q)", two["hessian"], low * q * (1 - q) * (1 - 2 * q))
    proof.nonnegative(
        "for q ≥ 1/4 there is a right response of probability q − 1/4", q - quarter, q, quarter, 1
    )
    three = claim_instance(
        proof, [(quarter, 1, 3 * quarter), (q - quarter, 1, -quarter), (1 - q, 0, -quarter)]
    )
    proof.identity("three responses on two features have diameter 1", three["width"], 1)
    proof.identity("and reach high·(1 − q)", three["hessian"], high * (1 - q))
    proof.derive("reached for q ≤ 1/4", two["hessian"])
    proof.derive("reached for q ≥ 1/4", three["hessian"])


def binary_profile_maximum(constant: Any = "1/(6*sqrt(3))") -> Proof:
    """Prove max ℓ = 1/(6√3), so that J is D²/(6√3)-smooth, and X²/(3√3)-smooth.

    Ours, theory C1.

    Parameters
    ----------
    constant : str, number or sympy expression
        The maximum claimed.

    Returns
    -------
    Proof
        Raised instead: ProofError, when ℓ exceeds the constant somewhere, or never reaches it.

    Examples
    --------
    >>> print(binary_profile_maximum().derived["maximiser"])
    1/2 - sqrt(3)/6
    """
    import sympy as sp

    k = exact(constant)
    q = sp.Symbol("q", real=True)
    quarter, half = sp.Rational(1, 4), sp.Rational(1, 2)
    proof = Derivation(
        "C1-maximum", f"max ℓ = {show(k)}, at q = (3 − √3)/6", "C1: the two branches of ℓ", "D² ≤ 2X²"
    )
    # Squares, so that an irrational constant leaves rational polynomials.
    low, high = q * (1 - q) * (1 - 2 * q), (1 - q) / 8
    proof.at_least("the constant is at least 0", k, 0)
    proof.nonnegative("ℓ² ≤ constant² for q ≤ 1/4", sp.expand(k**2) - low**2, q, 0, quarter)
    proof.nonnegative("ℓ² ≤ constant² for q ≥ 1/4", sp.expand(k**2) - high**2, q, quarter, half)
    peak = proof.derive("maximiser", sp.expand((3 - sp.sqrt(3)) / 6))
    proof.identity("ℓ' = 0 there", sp.diff(low, q).subs(q, peak), 0)
    proof.at_least("it lies below 1/4", quarter, peak)
    proof.at_least("and above 0", peak, 0)
    proof.identity("and ℓ is the constant there", low.subs(q, peak), k)
    proof.identity("D²·constant ≤ X²/(3√3)", proof.derive("smoothness over X²", 2 * k), 1 / (3 * sp.sqrt(3)))
    return proof.done()


def binary_profile_order(std: Any = "1/4", variance: Any = "1") -> Proof:
    """Prove that C1 is never above L2 or the variance: ℓ ≤ σ/4, tangent at σ² = 1/8, and ℓ ≤ σ².

    Ours, theory C1. With D² ≤ 2X² the second says ‖∇²J‖ ≤ 2X²p(1 − p), half of the paper's Lemma 3.1.

    Parameters
    ----------
    std, variance : str, number or sympy expression
        The constants claimed in ℓ ≤ std·σ and ℓ ≤ variance·σ².

    Returns
    -------
    Proof
        Raised instead: ProofError, when a constant is too small, or larger than is reached or approached.

    Examples
    --------
    >>> print(binary_profile_order().derived["contact"])
    1/2 - sqrt(2)/4
    """
    import sympy as sp

    std, variance = exact(std), exact(variance)
    q, V = sp.symbols("q V", real=True)
    quarter, half = sp.Rational(1, 4), sp.Rational(1, 2)
    proof = Derivation(
        "C1-order",
        f"ℓ ≤ {std}·σ, tangent at q(1 − q) = 1/8, and ℓ ≤ {variance}·σ², approached as q → 0",
        "C1: the two branches of ℓ; σ² = V = q(1 − q)",
    )
    low, high = q * (1 - q) * (1 - 2 * q), (1 - q) / 8
    proof.identity("the branches meet at q = 1/4", (low - high).subs(q, quarter), 0)
    proof.identity("with one slope", sp.diff(low - high, q).subs(q, quarter), 0)
    proof.identity("ℓ² = V²(1 − 4V) for q ≤ 1/4", low**2, (V**2 * (1 - 4 * V)).subs(V, q * (1 - q)))
    proof.at_least("the constants are at least 0", sp.Min(std, variance), 0)
    contact = std**2 - V * (1 - 4 * V)
    proof.nonnegative("ℓ²/V ≤ std² for q ≤ 1/4, V ≤ 3/16", contact, V, 0, sp.Rational(3, 16))
    proof.nonnegative("ℓ²/(1 − q) ≤ std²·q for q ≥ 1/4", std**2 * q - (1 - q) / 64, q, quarter, half)
    proof.identity(
        "std² − ℓ²/V = 4(V − 1/8)²: equal and tangent at V = 1/8", contact, 4 * (V - sp.Rational(1, 8)) ** 2
    )
    touch = proof.derive("contact", sp.expand((1 - sp.sqrt(half)) / 2))
    proof.identity("V = 1/8 there", touch * (1 - touch), sp.Rational(1, 8))
    proof.at_least("and it lies in the branch q ≤ 1/4", quarter, touch)
    proof.nonnegative("ℓ/V = 1 − 2q ≤ variance for q ≤ 1/4", variance - (1 - 2 * q), q, 0, quarter)
    proof.nonnegative(
        "ℓ/(1 − q) = 1/8 ≤ variance·q for q ≥ 1/4", variance * q - sp.Rational(1, 8), q, quarter, half
    )
    proof.identity("ℓ/V tends to variance as q → 0", sp.limit(low / (q * (1 - q)), q, 0, "+"), variance)
    return proof.done()
