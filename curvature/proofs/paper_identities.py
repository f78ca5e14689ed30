"""The paper's identities: GRPO's gradient, the explicit updates, and what orthogonality makes of a step."""

from __future__ import annotations

from typing import Any

from curvature.proofs._derivation import Derivation, Proof, exact
from curvature.proofs._setting import LOG_LINEAR

__all__ = ["explicit_updates", "orthogonal_prompts", "success_in_the_ball"]

_A1 = "A1: one correct response a, of probability p, 0 < p < 1; the others have π_j"


def explicit_updates(variance: Any = "1") -> Proof:
    """Prove eqs (4), (5) and (10)–(12): GRPO's advantage, its gradient ∇J/σ, and both methods' updates.

    Implements eqs (4), (5), (10), (11) and (12), arXiv:2601.23135v1, for 0 < p < 1.

    Parameters
    ----------
    variance : str, number or sympy expression
        The variance claimed of the advantage.

    Returns
    -------
    Proof
        Raised instead: ProofError, when the variance is another.

    Examples
    --------
    >>> print(explicit_updates().derived["∂J/∂z_y"])
    π_y*(-J + r_y)
    """
    import sympy as sp

    variance = exact(variance)
    p, π, r, J = sp.symbols("p π_y r_y J", positive=True)
    proof = Derivation(
        "eq-5",
        "A = (r − p)/σ, σ = √(p(1 − p)), has mean 0 and variance 1; E[A∇log π] = ∇J/σ; ∇J = Xᵀ(diag π − ππᵀ)r, which "
        "under A1 is p(1 − p)x_a − pΣ_(j≠a)π_jx_j, and "
        "∇J/σ is √(p(1 − p))x_a − √(p/(1 − p))Σ_(j≠a)π_jx_j",
        LOG_LINEAR,
        "rewards 0 or 1 with p their mean, 0 < p < 1; (11) and (12) under A1, x_a the features of the right response",
        "E ∇log π = 0 and ∇J = E[r∇log π]",
    )
    σ = sp.sqrt(p * (1 - p))
    right, wrong = (1 - p) / σ, -p / σ
    proof.identity(
        "A is (1 − p)/σ or −p/σ: E A = p(1 − p)/σ − (1 − p)p/σ = 0", p * right + (1 - p) * wrong, 0
    )
    proof.identity("and E A² is the variance claimed", p * right**2 + (1 - p) * wrong**2, variance)
    score, weighted = sp.symbols("E[s] E[r·s]", real=True)
    proof.identity(
        "E[As] = (E[rs] − pE[s])/σ, s = ∇log π: with E s = 0 it is ∇J/σ",
        ((weighted - p * score) / σ).subs(score, 0),
        weighted / σ,
    )
    # One logit against all the others: weights W and rewards with the mean m among them.
    z, W, m = sp.symbols("z_y W m", positive=True)
    mean = (W * m + sp.exp(z) * r) / (W + sp.exp(z))
    share = sp.exp(z) / (W + sp.exp(z))
    proof.identity(
        "eq. (10): ∂J/∂z_y = π_y(r_y − J), the y-th of (diag π − ππᵀ)r", sp.diff(mean, z), share * (r - mean)
    )
    entry = proof.derive("∂J/∂z_y", π * (r - J))
    proof.identity("eq. (11): under A1 it is p(1 − p) at a", entry.subs({π: p, r: 1, J: p}), p * (1 - p))
    proof.identity("and −pπ_j at another", entry.subs({r: 0, J: p}), -p * π)
    proof.identity("eq. (12): over σ it is √(p(1 − p)) at a", p * (1 - p) / σ, sp.sqrt(p * (1 - p)))
    proof.identity(
        "and −√(p/(1 − p))π_j at another",
        -p * π / sp.sqrt(p) / sp.sqrt(1 - p),
        -sp.sqrt(p) / sp.sqrt(1 - p) * π,
    )
    return proof.done()


def orthogonal_prompts() -> Proof:
    """Prove Lemma D.1 and eqs (18), (21): under A2 gradients are orthogonal, and a step of one prompt moves no other.

    Implements Lemma D.1 and eqs (18), (21), arXiv:2601.23135v1.

    Returns
    -------
    Proof
        It has no constants but 0.

    Examples
    --------
    >>> orthogonal_prompts().statement
    'under A2, X_iX_jᵀ = 0 for i ≠ j: ⟨∇J_i, ∇J_j⟩ = 0, and a step along ∇J_i, of any length, leaves J_j unchanged'
    """
    import sympy as sp

    proof = Derivation(
        "Lemma D.1",
        "under A2, X_iX_jᵀ = 0 for i ≠ j: ⟨∇J_i, ∇J_j⟩ = 0, and a step along ∇J_i, of any length, leaves J_j unchanged",
        LOG_LINEAR,
        "eq-5: ∇J_i = X_iᵀv_i with v_i = (diag π − ππᵀ)r_i",
        "matrix products are associative",
    )
    X: Any = sp.MatrixSymbol("X_i", 3, 4)
    Y: Any = sp.MatrixSymbol("X_j", 3, 4)
    v: Any = sp.MatrixSymbol("v_i", 3, 1)
    u: Any = sp.MatrixSymbol("v_j", 3, 1)
    zero = sp.ZeroMatrix(3, 3)
    inner: Any = (X.T * v).T * (Y.T * u)
    proof.identity(
        "⟨∇J_i, ∇J_j⟩ = (X_iᵀv_i)ᵀX_jᵀv_j = v_iᵀ(X_iX_jᵀ)v_j, which is 0 by A2",
        (sp.expand(inner).subs(X * Y.T, zero)).as_explicit()[0],
        0,
    )
    moved: Any = (Y * (X.T * v)).subs(Y * X.T, zero).as_explicit()
    proof.identity(
        "the logits of prompt j move by X_jΔ = η(X_jX_iᵀ)v_i = 0, so J_j does not",
        sum(x**2 for x in moved),
        0,
    )
    return proof.done()


def success_in_the_ball(share: Any = "1/2") -> Proof:
    """Prove that the success probability moves by at most σ/2 in the ball of Lemma 3.3.

    Implements the first step of the proof of Lemma 3.3, arXiv:2601.23135v1.

    Parameters
    ----------
    share : str, number or sympy expression
        The constant claimed in |p(θ') − p(θ)| ≤ share·σ.

    Returns
    -------
    Proof
        Raised instead: ProofError, when the argument gives another.

    Examples
    --------
    >>> print(success_in_the_ball().derived["share"])
    1/2
    """
    import sympy as sp

    share = exact(share)
    X, σ = sp.symbols("X σ", positive=True)
    proof = Derivation(
        "Lemma 3.3-ball",
        "|p(θ') − p(θ)| ≤ σ/2 for ‖θ' − θ‖ ≤ σ/X, σ that of θ",
        _A1,
        "Lemma 3.2: ‖∇J‖ ≤ X/2 everywhere",
        "the mean value inequality: |J(θ') − J(θ)| ≤ max‖∇J‖·‖θ' − θ‖",
    )
    found = proof.derive("share", X / 2 * (σ / X) / σ)
    proof.identity("(X/2)·(σ/X) is share·σ", X / 2 * (σ / X), share * σ)
    proof.identity("and the paper's interval for l is |l − a| ≤ σ/2", found, sp.Rational(1, 2))
    return proof.done()
