"""Constants of related results on the same bandits (theory II.10)."""

from __future__ import annotations

from typing import Any

from curvature.proofs._claims import times
from curvature.proofs._derivation import Derivation, Proof, exact
from curvature.proofs._setting import LOG_LINEAR, claim_instance

__all__ = ["gradient_bound_of_razin", "non_uniform_smoothness"]


def non_uniform_smoothness(constant: Any = "sqrt(2)") -> Proof:
    """Prove ‖∇²J‖ ≤ √2‖∇J‖ for one correct response and X = I, where Mei et al. have 3.

    Ours, theory II.10, beside arXiv:2105.06072 and arXiv:2110.15572.

    Parameters
    ----------
    constant : str, number or sympy expression
        The constant claimed.

    Returns
    -------
    Proof
        Raised instead: ProofError, when the constant is too small, or larger than two responses approach.

    Examples
    --------
    >>> print(non_uniform_smoothness().derived["limit"])
    sqrt(2)
    """
    import sympy as sp

    k = exact(constant)
    p, S, s = sp.symbols("p S s", positive=True)
    u1, uy = sp.symbols("u_1 u_y", real=True)
    proof = Derivation(
        "Mei-A1",
        f"‖∇²J‖ ≤ {times(k)}‖∇J‖ for one correct response (of probability p) and X = I; approached by two "
        "responses as p → 0",
        LOG_LINEAR,
        "L2: uᵀ∇²J u = Cov(r, w²), w_y = u_y − Σ_yπ_yu_y, ‖u‖ = 1",
        "the other responses have π_y = (1 − p)s_y, Σs_y = 1, S = Σs_y² ≤ 1",
        "a symmetric matrix has no eigenvalue above its Frobenius norm; |⟨u, e⟩| ≤ ‖e‖ for ‖u‖ = 1",
    )
    q = 1 - p
    proof.identity(
        "∇J = p·e, e = e_1 − π, ‖e‖² = (1 − p)² + Σπ_y² = (1 − p)²(1 + S)", q**2 + q**2 * S, q**2 * (1 + S)
    )
    first, second = sp.symbols("w_1² E[w²]", real=True)
    proof.identity("uᵀ∇²J u = p(w_1² − E w²), w_1 = ⟨u, e⟩", p * first - p * second, p * (first - second))
    proof.at_least("the constant is at least 0", k, 0)
    share = sp.Symbol("share", real=True)
    proof.nonnegative(
        "upwards: w_1² ≤ ‖e‖² ≤ constant·‖e‖, as ‖e‖² = (1 − p)²(1 + S) ≤ 2 ≤ constant², S ∈ [0, 1]",
        k**2 - (1 + share),
        share,
        0,
        1,
    )
    # v_y = u_y − u_1 has v_1 = 0: E w² = E v² − (E v)² and w_1 = −E v.
    mean, square = sp.symbols("E[v] E[v²]", real=True)
    proof.identity(
        "downwards: E w² − w_1² = E v² − 2(E v)² ≤ E v², v_y = u_y − u_1",
        (square - mean**2) - (-mean) ** 2,
        square - 2 * mean**2,
    )
    proof.identity(
        "E v² = (1 − p)Σs_y(u_y − u_1)², a quadratic form in u with the entries Σs = 1, −s_y, s_y: a term",
        s * (uy - u1) ** 2,
        s * u1**2 - 2 * s * u1 * uy + s * uy**2,
    )
    proof.identity(
        "its matrix has the Frobenius norm √(1 + 3S): 1 + 2Σs_y² + Σs_y²", 1 + 2 * S + S, 1 + 3 * S
    )
    proof.nonnegative(
        "and (1 − p)√(1 + 3S) ≤ constant·(1 − p)√(1 + S), squared, S ∈ [0, 1]",
        k**2 * (1 + share) - (1 + 3 * share),
        share,
        0,
        1,
    )
    two = claim_instance(proof, [(p, 1, q), (q, 0, -p)])
    # X = I has D² = 2: ‖∇²J‖ = 2|Cov(r, w²)| and ‖∇J‖ = √2·Cov(r, w) in terms of the unit feature.
    ratio = sp.factor(2 * two["hessian"] / (sp.sqrt(2) * two["gradient"]))
    proof.identity(
        "two responses, √2 apart: ‖∇²J‖/‖∇J‖ = √2(1 − 2p) for p < 1/2", ratio, sp.sqrt(2) * (1 - 2 * p)
    )
    proof.identity(
        "which tends to the constant as p → 0", proof.derive("limit", sp.limit(ratio, p, 0, "+")), k
    )
    return proof.done()


def gradient_bound_of_razin(share: Any = "1/(6*sqrt(2))") -> Proof:
    """Prove that L1 implies Razin et al.'s bound for one token: (D/2)σ ≤ 6γσ^(2/3), γ = ‖X‖, at most 1/(6√2) of it.

    Ours, theory L1, against Theorem 1, arXiv:2310.20703.

    Parameters
    ----------
    share : str, number or sympy expression
        The largest share claimed of their bound that L1 has.

    Returns
    -------
    Proof
        Raised instead: ProofError, when the share is another.

    Examples
    --------
    >>> print(gradient_bound_of_razin().derived["share"])
    sqrt(2)/12
    """
    import sympy as sp

    share = exact(share)
    root, X = sp.symbols("σ^(1/3) X", positive=True)
    proof = Derivation(
        "Razin-L1",
        f"rewards in [−1, 1]: (D/2)σ ≤ {times(share)}6γσ^(2/3), γ = ‖X‖; equal where D = √2 γ and σ = 1",
        "L1: ‖∇J‖ ≤ (D/2)σ",
        "D ≤ √2‖X‖",
        "E r = m, E r² ≤ 1 as |r| ≤ 1",
    )
    m = sp.Symbol("m", real=True)
    proof.identity("σ² = E r² − m² ≤ 1 − m² ≤ 1", 1 - (1 - m**2), m**2)
    found = (sp.sqrt(2) * X / 2 * root**3) / (6 * X * root**2)
    proof.identity("with D = √2γ the ratio of the two is σ^(1/3)·share", found, share * root)
    proof.derive("share", sp.radsimp(found.subs(root, 1)))
    proof.identity("σ^(1/3) ≤ 1: at most share, and share at σ = 1", found.subs(root, 1), share)
    proof.at_least("which is below 1", 1, share)
    return proof.done()
