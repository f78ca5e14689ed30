"""Finite groups: the weight that G samples a prompt put on its gradient, D1 of the theory."""

from __future__ import annotations

from math import comb
from typing import Any

from curvature.proofs._claims import SUMS, show, times
from curvature.proofs._derivation import Derivation, Proof, exact

__all__ = [
    "BINARY",
    "BINOMIAL",
    "GROUP",
    "WEIGHT",
    "centred_groups",
    "claim_conditional_mean",
    "covariance_of_binary",
    "expected_weight",
    "weight_of_groups",
]

GROUP = "G ≥ 2 independent samples of one prompt; k of them are right"
BINARY = (
    "rewards 0 or 1, p the success probability, 0 < p < 1, m_b = E[φ|r = b], V_b = tr Cov(φ|r = b); given which "
    "are right, "
    "the features are independent draws, of the right ones given r = 1 and of the wrong ones given r = 0"
)
WEIGHT = (
    "ĝ = (1/G)Σ_i A_iφ_i, A_i = (r_i − k/G)q̂^(−e/2), q̂ = k(G − k)/G² (GRPO: e = 1), and ĝ = 0 where q̂ = 0"
)
BINOMIAL = "the binomial theorem: P(k) = C(G,k)p^k(1 − p)^(G−k), E e^(tk) = (1 − p + pe^t)^G"


def expected_weight(pair: Any = "1", rare: Any = "1", triple: Any = "sqrt(2)") -> Proof:
    """Prove D1: E ĝ = a_G(p)g for GRPO's groups, a_G(p) = Σ_k P(k)√q̂/(p(1 − p)), a_2 ≡ 1, a_G → √(G − 1) as p → 0.

    Ours, theory D1.

    Parameters
    ----------
    pair, rare, triple : str, number or sympy expression
        The constants claimed: a_2 = pair and a_3 = triple for every p, and a_G(p) → rare·√(G − 1) as p → 0.

    Returns
    -------
    Proof
        Raised instead: ProofError, when a constant is another.

    Examples
    --------
    >>> print(expected_weight().derived["a_3"])
    sqrt(2)
    """
    import sympy as sp

    pair, rare, triple = exact(pair), exact(rare), exact(triple)
    p, w = sp.symbols("p √q̂", positive=True)
    G, k = sp.symbols("G k", positive=True)
    proof = Derivation(
        "D1",
        "E ĝ = a_G(p)·g for GRPO's groups, a_G(p) = E[A(right) − A(wrong) | j others right] = Σ_k P(k)√q̂/(p(1 "
        f"− p)): a_2 = {show(pair)} and a_3 = "
        f"{show(triple)} for "
        f"every p, a_G → {times(rare)}√(G − 1) as p → 0 and, by symmetry, as p → 1, and a_G → 1/σ as G → ∞",
        GROUP,
        BINARY,
        WEIGHT,
        BINOMIAL,
        "Bernstein: Σ_k P(k)f(k/G) → f(p) as G → ∞ for continuous f on [0, 1]",
    )
    _claim_any_convention(proof)
    claim_conditional_mean(proof)
    proof.identity("e = 1: q̂/√q̂ = √q̂, so E ĝ = Σ_k P(k)√q̂·(m₁ − m₀)", w**2 / w, w)
    gap = sp.Symbol("m₁ − m₀", real=True)
    proof.identity(
        "and g = Cov(r, φ) = p·m₁ − p(pm₁ + (1 − p)m₀) = p(1 − p)(m₁ − m₀)",
        *covariance_of_binary(gap),
    )
    f = sp.sqrt(p * (1 - p))
    proof.identity("G → ∞: f = √(x(1 − x)) has f(p)/(p(1 − p)) = 1/σ", f / (p * (1 - p)), 1 / f)
    proof.identity("a_2 is the constant claimed", proof.derive("a_2", weight_of_groups(2, p)), pair)
    proof.identity("a_3 is the constant claimed", proof.derive("a_3", weight_of_groups(3, p)), triple)
    fail = sp.Symbol("1−p", positive=True)
    first = G * sp.sqrt(G - 1) / G * p * fail ** (G - 1) / (p * fail)
    proof.identity(
        "the term k = 1 of a_G is G·√((G − 1)/G²)·p(1 − p)^(G−1)/(p(1 − p)) = √(G − 1)(1 − p)^(G−2)",
        first,
        sp.sqrt(G - 1) * fail ** (G - 2),
    )
    proof.identity(
        "which is the constant at p = 0",
        (sp.sqrt(G - 1) * fail ** (G - 2)).subs(fail, 1),
        rare * sp.sqrt(G - 1),
    )
    proof.identity(
        "a term k = 2 … G − 1 has the factor p^(k−1)(1 − p)^(G−1−k), with k − 1 ≥ 1 and G − 1 − k ≥ 0: it "
        "vanishes at p = 0",
        p**k * fail ** (G - k) / (p * fail),
        p ** (k - 1) * fail ** (G - 1 - k),
    )
    for size in (4, 5, 8):
        proof.identity(
            f"summed for G = {size}, the limit is the constant",
            weight_of_groups(size, p).subs(p, 0),
            rare * sp.sqrt(size - 1),
        )
    return proof.done()


def _claim_any_convention(proof: Derivation) -> None:
    """Claim a_G(p) = E[A(right) − A(wrong) | j others right] for any advantages, and GRPO's sum over k."""
    import sympy as sp

    p, gap, right, wrong = sp.symbols("p m₁−m₀ E[A|right] E[A|wrong]", real=True)
    above, below = (1 - p) * gap, -p * gap
    proof.identity(
        "φ̄ = φ − Eφ has the means (1 − p)(m₁ − m₀) and −p(m₁ − m₀) of right and wrong",
        p * above + (1 - p) * below,
        0,
    )
    proof.identity(
        "any convention: E ĝ = E[A_iφ̄_i] = p(1 − p)(m₁ − m₀)·E[A(right) − A(wrong) | j others right]",
        p * right * above + (1 - p) * wrong * below,
        p * (1 - p) * gap * (right - wrong),
    )
    G, k, chance, q = sp.symbols("G k P(k) 1−p", positive=True)
    # P(j = k − 1 others right) = (k/G)P(k)/p, and P(j = k others right) = ((G − k)/G)P(k)/(1 − p).
    one_less = _binomial(G - 1, k - 1) / _binomial(G, k)
    proof.identity(
        "P(k − 1 of G − 1 right)·p = (k/G)P(k), as C(G − 1,k − 1) = (k/G)C(G,k)",
        sp.gammasimp(one_less),
        k / G,
    )
    as_many = _binomial(G - 1, k) / _binomial(G, k)
    proof.identity(
        "P(k of G − 1 right)(1 − p) = ((G − k)/G)P(k), as C(G − 1,k) = ((G − k)/G)C(G,k)",
        sp.gammasimp(as_many),
        (G - k) / G,
    )
    up = sp.Symbol("A_right", real=True)
    down = -k * up / (G - k)
    proof.identity(
        "so where kA(right) + (G − k)A(wrong) = 0 each k = 1 … G − 1 has P(k)(k/G)A(right)/(p(1 − p))",
        k / G * chance / (1 - q) * up - (G - k) / G * chance / q * down,
        chance * k / G * up / ((1 - q) * q),
    )
    proof.identity(
        "which is P(k)√q̂/(p(1 − p)) for GRPO's A(right) = (1 − k/G)/√q̂, as (k/G)(1 − k/G) = q̂",
        k / G * (1 - k / G),
        k * (G - k) / G**2,
    )


def _binomial(n: Any, k: Any) -> Any:
    import sympy as sp

    return sp.gamma(n + 1) / (sp.gamma(k + 1) * sp.gamma(n - k + 1))


def claim_conditional_mean(proof: Derivation) -> None:
    """Claim E[ĝ|k] = q̂^(1−e/2)(m₁ − m₀).

    Parameters
    ----------
    proof : Derivation
        Where the steps are claimed.
    """
    import sympy as sp

    G, k, right, wrong, weight = sp.symbols("G k m₁ m₀ q̂^(−e/2)", positive=True)
    q = k * (G - k) / G**2
    mean = (k * (1 - k / G) * weight * right + (G - k) * (0 - k / G) * weight * wrong) / G
    proof.identity(
        "E[ĝ|k] = (1/G)q̂^(−e/2)(k(1 − k/G)m₁ − (G − k)(k/G)m₀) = q̂^(1−e/2)(m₁ − m₀)",
        mean,
        q * weight * (right - wrong),
    )
    proof.identity(
        "the A_i add up to 0, so a shift of φ changes nothing", k * (1 - k / G) + (G - k) * (0 - k / G), 0
    )


def covariance_of_binary(gap: Any) -> tuple[Any, Any]:
    """Give both sides of Cov(r, φ) = p(1 − p)(m₁ − m₀), m₁ = m₀ + gap.

    Parameters
    ----------
    gap : sympy expression
        m₁ − m₀.

    Returns
    -------
    tuple of sympy expressions
        E[rφ] − E[r]E[φ], and p(1 − p)·gap.
    """
    import sympy as sp

    p, wrong = sp.symbols("p m₀", real=True)
    right = wrong + gap
    return p * right - p * (p * right + (1 - p) * wrong), p * (1 - p) * gap


def weight_of_groups(G: int, p: Any) -> Any:
    """Sum a_G(p) for GRPO, with one p and one 1 − p of each term cancelled.

    Parameters
    ----------
    G : int
        Samples a group.
    p : sympy expression
        The success probability.

    Returns
    -------
    sympy expression
        A polynomial in p with surds as coefficients.
    """
    import sympy as sp

    terms = (
        comb(G, k) * p ** (k - 1) * (1 - p) ** (G - k - 1) * sp.sqrt(sp.Rational(k * (G - k), G**2))
        for k in range(1, G)
    )
    return sp.expand(sp.Add(*terms))


def centred_groups(mean: Any = "1", left_out: Any = "1") -> Proof:
    """Prove D1 without std: E ĝ = (1 − 1/G)g for the group's mean as baseline, E ĝ = g for the mean of the others.

    Ours, theory D1; for any real rewards.

    Parameters
    ----------
    mean, left_out : str, number or sympy expression
        The constants claimed: in E ĝ = (1 − mean/G)g and in E ĝ = left_out·g.

    Returns
    -------
    Proof
        Raised instead: ProofError, when a constant is another.

    Examples
    --------
    >>> print(centred_groups().derived["group mean"])
    (G - 1)/G
    """
    import sympy as sp

    mean, left_out = exact(mean), exact(left_out)
    G = sp.Symbol("G", positive=True)
    both, reward, feature, g, total, own = sp.symbols("E[rφ] E[r] E[φ] g Σr r_i", real=True)
    proof = Derivation(
        "D1-mean",
        f"any rewards: E ĝ = (1 − {show(mean)}/G)g for A_i = r_i − mean of the group, and E ĝ = "
        f"{times(left_out)}g for A_i = r_i − "
        "mean of the G − 1 others (leave one out)",
        "G ≥ 2 independent samples of one prompt, ĝ = (1/G)Σ_i A_iφ_i; g = E[rφ] − E[r]E[φ]",
        SUMS,
    )
    # r̄ = (1/G)Σ_j r_j: the term j = i gives E[rφ], the other G − 1 give E[r]E[φ].
    baseline = both / G + (G - 1) / G * reward * feature
    share = sp.factor((both - baseline) / (both - reward * feature))
    proof.identity(
        "E[(r_i − r̄)φ_i] = E[rφ] − (1/G)E[rφ] − ((G − 1)/G)E[r]E[φ] = (1 − 1/G)g",
        proof.derive("group mean", share),
        1 - mean / G,
    )
    others = (total - own) / (G - 1)
    proof.identity(
        "r_i less the mean of the others is G/(G − 1) times r_i less the mean of all",
        own - others,
        G / (G - 1) * (own - total / G),
    )
    proof.identity("so leaving one out has E ĝ = left_out·g", G / (G - 1) * share * g, left_out * g)
    return proof.done()
