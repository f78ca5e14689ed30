"""Statements of arXiv:2601.23135v1 that are false as printed, each with an exact instance, its numbers enclosed."""

from __future__ import annotations

from typing import Any

from curvature.proofs._claims import INTERVALS, claim_rounds_to, ends, intervals
from curvature.proofs._derivation import Derivation, Proof, exact
from curvature.proofs._setting import LOG_LINEAR

__all__ = ["factor_of_appendix_e_fails", "sum_form_fails"]


def sum_form_fails(left: Any = "0.4404", right: Any = "0.2095") -> Proof:
    """Prove that Theorem 3.2's sum form is false: n = 1, two responses, X = I, θ₀ = 0, T = 100 has .4404 > .2095.

    Theory I.3.1, on Theorem 3.2, arXiv:2601.23135v1.

    Parameters
    ----------
    left, right : str, number or sympy expression
        The two sides, each claimed to four decimals.

    Returns
    -------
    Proof
        Raised instead: ProofError, when a side is another.

    Examples
    --------
    >>> round(float(sum_form_fails().derived["left side"]), 6)
    0.440373
    """
    import sympy as sp

    left, right = exact(left), exact(right)
    T = 100
    proof = Derivation(
        "Theorem 3.2-sum",
        "Σ_(t<T) E‖∇J‖² ≤ 2n(1 − p₀)X²·(8/(3T))ΣC_t is false: n = 1, two responses, X = I, θ₀ = 0, C_t = σ(θ_t), "
        f"T = {T} has "
        f"{float(left):.4f} > {float(right):.4f}",
        LOG_LINEAR,
        "eq-5: ∇J = p(1 − p)x_a − pπ_jx_j = V(x_a − x_j)",
        "Algorithm 2 at η = 1/(2X²), exact gradients; n = 1, so nothing is random and A3 admits C_t = σ(θ_t)",
        INTERVALS,
    )
    V, z = sp.symbols("V z", positive=True)
    difference = sp.Matrix([1, -1])
    proof.identity("X = I has spectral norm 1 and features √2 apart", difference.dot(difference), 2)
    proof.identity(
        "∇J = V(1, −1)ᵀ, so a step η∇J/σ moves the log-odds by 2ηV/√V = √V = σ",
        (sp.Rational(1, 2) * V / sp.sqrt(V) * difference).dot(difference),
        sp.sqrt(V),
    )
    proof.identity("and ‖∇J‖² = 2V²", (V * difference).dot(V * difference), 2 * V**2)
    p = 1 / (1 + sp.exp(-z))
    proof.identity("V = p(1 − p) = 1/(2 + e^z + e^(−z))", p * (1 - p), 1 / (2 + sp.exp(z) + sp.exp(-z)))
    iv = intervals()
    odds, squares, stds = iv.mpf(0), iv.mpf(0), iv.mpf(0)
    for _ in range(T):
        variance = 1 / (2 + iv.exp(odds) + iv.exp(-odds))
        squares, stds = squares + 2 * variance**2, stds + iv.sqrt(variance)
        odds = odds + iv.sqrt(variance)
    bound = 2 * iv.mpf(1) / 2 * 8 / 3 * stds / T  # 2n(1 − p₀)X²·(8/(3T))ΣC_t, n = 1, p₀ = 1/2
    proof.derive("left side", sp.N(ends(squares)[0], 8))
    proof.derive("right side", sp.N(ends(bound)[0], 8))
    claim_rounds_to(proof, f"the left side after {T} steps is as claimed", ends(squares), left, "5/100000")
    claim_rounds_to(proof, "the right side is as claimed", ends(bound), right, "5/100000")
    proof.at_least("the left side is the larger", ends(squares)[0], ends(bound)[1])
    return proof.done()


def factor_of_appendix_e_fails(excess: Any = "1.67") -> Proof:
    """Prove that eqs (32)–(33) are false: a gain that max(R₁R₂, M/2) promises is not gained by one step.

    On appendix E.2, arXiv:2601.23135v1. Two prompts of one correct response; the first one's gradient is along e₁,
    two of its wrong responses lie along e₂, in which the second prompt moves but for a tilt of 1/1000.

    Parameters
    ----------
    excess : str, number or sympy expression
        The gain promised over the gain, claimed to two decimals.

    Returns
    -------
    Proof
        Raised instead: ProofError, when the ratio is another.

    Examples
    --------
    >>> print(factor_of_appendix_e_fails().derived["M"])
    49000049/500000
    """
    import sympy as sp

    excess = exact(excess)
    proof = Derivation(
        "eq-32",
        "E J_i(θ_t) ≥ E J_i(θ_(t−1)) + 3E‖∇J_i‖²/(16n·max(R₁R₂, M/2)·X²C) is false at the η of Theorem 3.4: one "
        "step of two "
        f"prompts gains less, the promise being {float(excess):.2f} times the gain",
        LOG_LINEAR,
        "n = 2, θ₀ = 0, C = σ_i(θ₀); Algorithm 2 at η = 1/(2·max(R₁, 5M/8)R₂X²)",
        "M, R₁ and R₂ are the smallest that A4 and A5 admit at θ₀",
        INTERVALS,
    )
    tilt = sp.Rational(1, 1000)
    features = [sp.Matrix([[1, 0], [-1, 0], [0, 1], [0, -1]]), sp.Matrix([[tilt, 1], [-tilt, -1]])]
    policies = [sp.Matrix([5, 3, 1, 1]) / 10, sp.Matrix([1, 49]) / 50]
    for number, policy in enumerate(policies, start=1):
        proof.identity(f"prompt {number}: the probabilities sum to 1", sum(policy), 1)
    gradients = [pi[0] * (X.row(0).T - X.T * pi) for X, pi in zip(features, policies, strict=True)]
    stds = [sp.sqrt(pi[0] * (1 - pi[0])) for pi in policies]
    proof.identity("σ_1 = 1/2", stds[0], sp.Rational(1, 2))
    proof.identity("σ_2 = 7/50", stds[1], sp.Rational(7, 50))
    squares = [_largest_eigenvalue(proof, X, number) for number, X in enumerate(features, start=1)]
    top = sp.Max(*squares)
    inner = gradients[0].dot(gradients[1])
    proof.at_least("the inner product of the gradients is > 0: A4 has an M", inner, sp.Rational(1, 10**6))
    M = sp.Max(*(_norm2(features[i] * gradients[1 - i]) / squares[i] / inner for i in (0, 1)))
    R1_squared = sp.Max(*(_norm2(gradients[i]) / _norm2(gradients[1 - i]) for i in (0, 1)))
    R2 = sp.Max(stds[0] / stds[1], stds[1] / stds[0])
    for name, value in (("M", M), ("R₁²", R1_squared), ("R₂", R2)):
        proof.derive(name, value)
    proof.at_least("R₁R₂ ≤ M/2, squared: the printed factor is M/2", (M / 2) ** 2, R1_squared * R2**2)
    proof.at_least("R₁ ≤ 5M/8, squared: the theorem's factor is 5MR₂/8", (5 * M / 8) ** 2, R1_squared)
    η = 1 / (2 * (5 * M / 8) * R2 * top)
    promise = 3 * _norm2(gradients[0]) / (16 * 2 * (M / 2) * top * stds[0])
    low, high = _expected_gain(
        features[0], policies[0], [η * g / σ for g, σ in zip(gradients, stds, strict=True)]
    )
    proof.derive("gain", sp.N(low, 8))
    proof.derive("promise", sp.N(promise, 8))
    claim_rounds_to(
        proof,
        "prompt 1: the promise over the gain is as claimed",
        (promise / high, promise / low),
        excess,
        "5/1000",
    )
    proof.at_least("the promise is the larger", promise, high)
    proof.at_least("with the theorem's factor it is not", low, promise * (M / 2) / (5 * M * R2 / 8))
    return proof.done()


def _norm2(vector: Any) -> Any:
    return vector.dot(vector)


def _largest_eigenvalue(proof: Derivation, X: Any, number: int) -> Any:
    """Claim ‖X‖²: X stretches one direction by as much as the Frobenius norm, or all alike."""
    import sympy as sp

    gram = X.T * X
    value = gram.trace() if gram.det() == 0 else gram[0, 0]
    proof.identity(
        f"prompt {number}: ‖X‖² = {value} is an eigenvalue of XᵀX", (gram - value * sp.eye(2)).det(), 0
    )
    proof.at_least("and the other is no larger", value, gram.trace() - value)
    return value


def _expected_gain(X: Any, policy: Any, steps: Any) -> tuple[Any, Any]:
    """Enclose the mean over steps of J(Δ) − J(0), the first response being the right one."""
    iv = intervals()

    def interval(number: Any) -> Any:
        return iv.mpf(int(number.p)) / int(number.q)

    total = iv.mpf(0)
    for step in steps:
        weights = [interval(pi) * iv.exp(interval(z)) for pi, z in zip(policy, X * step, strict=True)]
        total = total + weights[0] / sum(weights, iv.mpf(0)) - interval(policy[0])
    return ends(total / len(steps))
