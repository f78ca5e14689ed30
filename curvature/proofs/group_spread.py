"""Finite groups: how often a group is silent, and the variance and the std that it measures (D1, D2)."""

from __future__ import annotations

from math import comb
from typing import Any

from curvature.proofs._claims import claim_coefficients, claim_rounds_to, times
from curvature.proofs._derivation import Derivation, Proof, exact
from curvature.proofs.groups import BINOMIAL, GROUP, weight_of_groups

__all__ = ["fidelity_of_groups", "silent_groups", "unbiased_variance_of_a_group"]


def silent_groups(share: Any = "1") -> Proof:
    """Prove D2: a group has zero std with probability p^G + (1 − p)^G.

    Ours, theory D2.

    Parameters
    ----------
    share : str, number or sympy expression
        The constant claimed in front of p^G + (1 − p)^G.

    Returns
    -------
    Proof
        Raised instead: ProofError, when the probability is another.

    Examples
    --------
    >>> silent_groups().statement
    'P(the group has zero std) = p^G + (1 − p)^G, for rewards in {0, 1}'
    """
    import sympy as sp

    share = exact(share)
    p = sp.Symbol("p", positive=True)
    i, j = sp.symbols("i j", nonnegative=True)
    proof = Derivation(
        "D2",
        f"P(the group has zero std) = {times(share)}p^G + {times(share)}(1 − p)^G, for rewards in {{0, 1}}",
        GROUP,
        "rewards 0 or 1, p the success probability",
        BINOMIAL,
    )
    _claim_group_variance(proof)
    claim_coefficients(
        proof, "k = 1 + i and G − k = 1 + j with i, j ≥ 0 have k(G − k) ≥ 1 > 0", (1 + i) * (1 + j) - 1, i, j
    )
    count, size = sp.symbols("k G", positive=True, integer=True)
    product = count * (size - count)
    ends_of_range = [product.subs(count, 0), product.subs(count, size)]
    proof.identity("k = 0 and k = G have k(G − k) = 0: only these groups are silent", sum(ends_of_range), 0)
    chance = sp.binomial(size, count) * p**count * (1 - p) ** (size - count)
    proof.identity(
        "P(0) + P(G) = (1 − p)^G + p^G",
        chance.subs(count, 0) + chance.subs(count, size),
        share * (p**size + (1 - p) ** size),
    )
    for G in (2, 3, 8):
        speaks = sp.Add(*(comb(G, k) * p**k * (1 - p) ** (G - k) for k in range(1, G)))
        proof.identity(
            f"which is 1 − Σ_(0<k<G) P(k), summed for G = {G}",
            sp.expand(1 - speaks),
            sp.expand(share * (p**G + (1 - p) ** G)),
        )
    return proof.done()


def _claim_group_variance(proof: Derivation) -> None:
    """Claim Σ_i(r_i − k/G)² = k(G − k)/G."""
    import sympy as sp

    G, k = sp.symbols("G k", positive=True)
    proof.identity(
        "k right of G: Σ_i(r_i − k/G)² = k(1 − k/G)² + (G − k)(k/G)² = k(G − k)/G",
        k * (1 - k / G) ** 2 + (G - k) * (k / G) ** 2,
        k * (G - k) / G,
    )


def unbiased_variance_of_a_group(factor: Any = "1") -> Proof:
    """Prove that k(G − k)/(G(G − 1)) is the sample variance and has the mean p(1 − p).

    Ours, theory II.5.

    Parameters
    ----------
    factor : str, number or sympy expression
        The constant claimed in front of k(G − k)/(G(G − 1)).

    Returns
    -------
    Proof
        Raised instead: ProofError, when its mean is another.

    Examples
    --------
    >>> print(unbiased_variance_of_a_group().derived["E q̂"])
    p*(1 - p)*(G - 1)/G
    """
    import sympy as sp

    factor = exact(factor)
    G, p = sp.symbols("G p", positive=True)
    proof = Derivation(
        "D1-variance",
        f"E[{times(factor)}k(G − k)/(G(G − 1))] = p(1 − p), and E q̂ = (1 − 1/G)p(1 − p) for q̂ = k(G − k)/G²",
        GROUP,
        "rewards 0 or 1, p the success probability",
        BINOMIAL,
    )
    _claim_group_variance(proof)
    t = sp.Symbol("t", real=True)
    generating = (1 - p + p * sp.exp(t)) ** G
    first, second = (sp.diff(generating, t, order).subs(t, 0) for order in (1, 2))
    proof.identity("E k = Gp", first, G * p)
    proof.identity("E k² = Gp(1 − p) + G²p²", second, G * p * (1 - p) + G**2 * p**2)
    spread = sp.factor((G * first - second) / G)
    proof.identity("so E[k(G − k)/G] = (G − 1)p(1 − p)", spread, (G - 1) * p * (1 - p))
    proof.identity(
        "q̂ has the mean (1 − 1/G)p(1 − p)",
        proof.derive("E q̂", p * (1 - p) * (G - 1) / G),
        spread / G,
    )
    proof.identity("and divided by G − 1 it is unbiased", factor * spread / (G - 1), p * (1 - p))
    return proof.done()


def fidelity_of_groups(half: Any = "0.9278", rare: Any = "0.5390") -> Proof:
    """Prove that eight samples keep .9278 of the std at p = 1/2 and .5390 at p = 1/20, E σ̂/σ = σ·a_G(p).

    Bay and Yearick, arXiv:2607.00152, as quoted in theory II.10.

    Parameters
    ----------
    half, rare : str, number or sympy expression
        σ·a_8(p) at p = 1/2 and at p = 1/20, each claimed to four decimals.

    Returns
    -------
    Proof
        Raised instead: ProofError, when a value is another.

    Examples
    --------
    >>> round(float(fidelity_of_groups().derived["p = 1/2"]), 6)
    0.927828
    """
    import sympy as sp

    proof = Derivation(
        "fidelity",
        f"E σ̂/σ = σ·a_G(p) for groups of G = 8: {float(exact(half)):.4f} at p = 1/2 and {float(exact(rare)):.4f} "
        "at p = 1/20",
        GROUP,
        "rewards 0 or 1, σ̂ = √q̂ the std of the group (ddof 0)",
        BINOMIAL,
        "D1: a_G(p) = Σ_k P(k)√q̂/(p(1 − p))",
    )
    σ, mean = sp.symbols("σ E[σ̂]", positive=True)
    proof.identity("E σ̂ = Σ_k P(k)√q̂ = σ²a_G, so E σ̂/σ = σ·a_G", (mean / σ), σ * (mean / σ**2))
    for p, stated in ((sp.Rational(1, 2), half), (sp.Rational(1, 20), rare)):
        value = sp.expand(sp.sqrt(p * (1 - p)) * weight_of_groups(8, p))
        proof.derive(f"p = {p}", value)
        claim_rounds_to(proof, f"p = {p}: the sum over k is as claimed", value, exact(stated), "5/100000")
    return proof.done()
