"""The constants in the paper's own proofs of Lemmas 3.1, 3.2 and 3.3, arXiv:2601.23135v1, appendix C.

These show what the paper's argument gives, which is not what is true: the sharp constants are in the other
modules.
"""

from __future__ import annotations

from typing import Any

from curvature.proofs._claims import show
from curvature.proofs._derivation import Derivation, Proof, exact
from curvature.proofs._setting import LOG_LINEAR, covariance, expectation, reward_and_feature

__all__ = ["lemma_3_1", "lemma_3_2", "lemma_3_3"]

_ONE_CORRECT = "A1: one correct response a prompt, of probability p; the others have π_j ≤ 1 − p"


def lemma_3_1(chain: Any = "1 + 2*sqrt(2)", constant: Any = "4", everywhere: Any = "1") -> Proof:
    """Prove the chain of Lemma 3.1: ‖∇²J‖ ≤ (2√2 + 1)X²p(1 − p) ≤ 4X²p(1 − p) ≤ X².

    Implements the proof of Lemma 3.1 (eqs (13)–(16)), arXiv:2601.23135v1. Only 2√2 + 1 comes out of the chain;
    the lemma's 4 is that, rounded up.

    Parameters
    ----------
    chain, constant, everywhere : str, number or sympy expression
        The constants claimed: of the chain, of eq. (7), and of eq. (8).

    Returns
    -------
    Proof
        Raised instead: ProofError, when the chain does not give a constant.

    Examples
    --------
    >>> print(lemma_3_1().derived["chain"])
    1 + 2*sqrt(2)
    """
    import sympy as sp

    chain, constant, everywhere = exact(chain), exact(constant), exact(everywhere)
    p, probability = sp.symbols("p π_j", positive=True)
    proof = Derivation(
        "Lemma 3.1",
        f"‖∇²J‖ ≤ ({show(chain)})·X²p(1 − p) ≤ {constant}·X²p(1 − p) ≤ {everywhere}·X²",
        LOG_LINEAR,
        _ONE_CORRECT,
        "Hölder and Cauchy–Schwarz: |vᵀ(z⊙z)| ≤ ‖v‖_∞‖z‖², |vᵀz| ≤ ‖v‖‖z‖; and ‖π‖ ≤ 1, ‖Xu‖ ≤ ‖X‖",
    )
    r, z = reward_and_feature()
    advantage = r - expectation(r)
    papers = expectation(advantage * z**2) - 2 * expectation(advantage * z) * expectation(z)
    proof.identity(
        "the paper's uᵀ∇²J u, (Hr)ᵀ(z⊙z) − 2(Hr)ᵀz·πᵀz, is Cov(r, w²)",
        papers,
        covariance(r, (z - expectation(z)) ** 2),
    )
    policy = sp.Matrix([p, probability, 1 - p - probability])
    right, wrong, _ = (sp.diag(*policy) - policy * policy.T) * sp.Matrix([1, 0, 0])
    proof.identity("Hr, H = diag(π) − ππᵀ, is p(1 − p) at the correct response", right, p * (1 - p))
    proof.identity("and −pπ_j at another", wrong, -p * probability)
    slack = 1 - p - probability
    proof.identity("eq. (14): p(1 − p) − pπ_j = p(1 − p − π_j) ≥ 0", right + wrong, p * slack)
    proof.identity(
        "eq. (15): (1 − p)π_j − π_j² = π_j(1 − p − π_j) ≥ 0",
        (1 - p) * probability - probability**2,
        probability * slack,
    )
    total = sp.Symbol("total", positive=True)
    two_norm = p * sp.sqrt((1 - p) ** 2 + (1 - p) * total)
    factor = sp.sqrt(sp.factor(two_norm.subs(total, 1 - p) ** 2 / right**2))
    proof.derive("factor of (15)", factor)
    proof.identity("eq. (15): ‖Hr‖ ≤ √2·p(1 − p), as the other π_j sum to 1 − p", factor, sp.sqrt(2))
    proof.at_least("eq. (16): the chain gives 1 + 2·√2", chain, proof.derive("chain", 1 + 2 * factor))
    proof.at_least("which is at most the lemma's constant", constant, chain)
    proof.nonnegative("eq. (8): constant·p(1 − p) ≤ everywhere", everywhere - constant * p * (1 - p), p, 0, 1)
    return proof.done()


def lemma_3_2(constant: Any = "1/2") -> Proof:
    """Prove the chain of Lemma 3.2: ‖∇J‖ ≤ 2Xp(1 − p) ≤ X/2.

    Implements the proof of Lemma 3.2, arXiv:2601.23135v1.

    Parameters
    ----------
    constant : str, number or sympy expression
        The constant claimed in ‖∇J‖ ≤ constant·X.

    Returns
    -------
    Proof
        Raised instead: ProofError, when the chain does not give the constant.

    Examples
    --------
    >>> print(lemma_3_2().statement)
    ‖∇J‖ ≤ 2X·p(1 − p) ≤ 1/2·X
    """
    import sympy as sp

    k = exact(constant)
    p, total = sp.symbols("p total", positive=True)
    proof = Derivation(
        "Lemma 3.2",
        f"‖∇J‖ ≤ 2X·p(1 − p) ≤ {k}·X",
        LOG_LINEAR,
        _ONE_CORRECT,
        "∇J = p(1 − p)x_a − pΣ_jπ_jx_j over the others (eq. (11)), ‖x_j‖ ≤ X",
    )
    chain = (p * (1 - p) + p * total).subs(total, 1 - p)
    proof.identity("‖∇J‖/X ≤ p(1 − p) + pΣπ_j = 2p(1 − p)", chain, 2 * p * (1 - p))
    proof.nonnegative("2p(1 − p) ≤ constant", k - sp.expand(chain), p, 0, 1)
    return proof.done()


def lemma_3_3(constant: Any = "5/2", other: Any = "sqrt(5)") -> Proof:
    """Prove the 5/2 of Lemma 3.3: the largest 4l(1 − l)/σ over |l − a| ≤ σ/2, σ = √(a(1 − a)), is at a = 1/10.

    Implements the proof of Lemma 3.3, arXiv:2601.23135v1.

    Parameters
    ----------
    constant, other : str, number or sympy expression
        The constants claimed: 5/2, and √5 for the case in which l can reach 1/2.

    Returns
    -------
    Proof
        Raised instead: ProofError, when a constant is too small, or larger than its case reaches.

    Examples
    --------
    >>> print(lemma_3_3().derived["maximiser"])
    1/10
    """
    import sympy as sp

    k, other = exact(constant), exact(other)
    a, V = sp.symbols("a V", real=True)
    s = sp.Symbol("s", positive=True)
    half, tenth = sp.Rational(1, 2), sp.Rational(1, 10)
    proof = Derivation(
        "Lemma 3.3",
        f"‖∇²J(θ')‖ ≤ {k}·X²σ(θ) for ‖θ' − θ‖ ≤ σ(θ)/X",
        "Lemma 3.1: ‖∇²J(θ')‖ ≤ 4X²l(1 − l), l = J(θ')",
        "Lemma 3.2: |l − a| ≤ σ/2, a = J(θ), σ² = a(1 − a) = V",
        "a ≤ 1/2: 4l(1 − l) and the interval are symmetric under l ↔ 1 − l",
        "4l(1 − l) is increasing up to its maximum, 1 at l = 1/2",
    )
    proof.identity(
        "l reaches 1/2 where (1 − 2a)² ≤ σ², which is V ≥ 1/5",
        (1 - 2 * a) ** 2 - a * (1 - a),
        (1 - 5 * V).subs(V, a * (1 - a)),
    )
    proof.at_least("then the ratio is 1/σ ≤ √5", other**2, 5)
    proof.at_least("the constants are at least 0", sp.Min(k, other), 0)
    boundary = proof.derive("boundary", half - sp.sqrt(5) / 10)
    proof.identity("reached at a = 1/2 − √5/10", 1 / sp.sqrt(sp.expand(boundary * (1 - boundary))), other)
    top = 4 * (a + s / 2) * (1 - a - s / 2) / s
    proof.identity(
        "otherwise the ratio is at l = a + σ/2: 3σ + 2 − 4a",
        sp.expand(top * s).subs(a**2, a - s**2),
        sp.expand((3 * s + 2 - 4 * a) * s),
    )
    proof.nonnegative("constant − 2 + 4a ≥ 0", k - 2 + 4 * a, a, 0, half)
    proof.nonnegative("3σ ≤ constant − 2 + 4a, squared", (k - 2 + 4 * a) ** 2 - 9 * a * (1 - a), a, 0, half)
    proof.derive("maximiser", tenth)
    proof.at_least("a = 1/10 is in this case", sp.Rational(1, 5), tenth * (1 - tenth))
    proof.identity("and reaches it", 3 * sp.sqrt(tenth * (1 - tenth)) + 2 - 4 * tenth, k)
    proof.at_least("√5 is the smaller", k, other)
    return proof.done()
