"""The constants of L1 (gradient), L3 (how fast the std changes) and L4 (the remainder of a step)."""

from __future__ import annotations

from typing import Any

from curvature.proofs._derivation import Derivation, Proof, exact
from curvature.proofs._setting import (
    AVERAGE,
    CAUCHY_SCHWARZ,
    LOG_LINEAR,
    claim_gradient_is_covariance,
    claim_instance,
    claim_variance_slope,
    expectation,
    reward_and_feature,
)

__all__ = ["ascent_remainder", "gradient_constant", "log_std_constant"]


def gradient_constant(constant: Any = "1/2") -> Proof:
    """Prove L1, sharply: ‖∇J‖ ≤ Dσ/2.

    Ours, theory L1 (Popoviciu's inequality on the feature, Cauchy–Schwarz on the covariance).

    Parameters
    ----------
    constant : str, number or sympy expression
        The constant claimed in ‖∇J‖ ≤ constant·Dσ.

    Returns
    -------
    Proof
        Raised instead: ProofError, when the constant is too small, or larger than the instance reaches.

    Examples
    --------
    >>> print(gradient_constant().statement)
    ‖∇J‖ ≤ 1/2·D·σ, with equality for two responses at p = 1/2
    """
    import sympy as sp

    k = exact(constant)
    a = sp.Symbol("a", real=True)
    _, w = reward_and_feature()
    proof = Derivation(
        "L1",
        f"‖∇J‖ ≤ {k}·D·σ, with equality for two responses at p = 1/2",
        LOG_LINEAR,
        CAUCHY_SCHWARZ,
        AVERAGE,
        "D = 1 and w ∈ [a, a + 1] with a ≤ 0 ≤ a + 1: both sides are homogeneous in φ, and E w = 0",
    )
    claim_gradient_is_covariance(proof)
    second = expectation(w**2)
    slack = expectation((w - a) * (a + 1 - w)).subs(expectation(w), 0)
    proof.identity("0 ≤ E(w − a)(a + 1 − w) = −a(a + 1) − E w²", slack, -a * (a + 1) - second)
    proof.at_least("the constant is at least 0", k, 0)
    proof.nonnegative("E w² ≤ −a(a + 1) ≤ constant²", k**2 + a * (a + 1), a, -1, 0)
    half = sp.Rational(1, 2)
    reached = claim_instance(proof, [(half, 1, half), (half, 0, -half)])
    ratio = proof.derive("reached", reached["gradient"] / sp.sqrt(reached["variance"]) / reached["width"])
    proof.identity("the two responses at p = 1/2 reach the constant", ratio, k)
    return proof.done()


def log_std_constant(constant: Any = "1/2") -> Proof:
    """Prove L3, sharply: ‖∇log σ‖ ≤ D/2.

    Ours, theory L3.

    Parameters
    ----------
    constant : str, number or sympy expression
        The constant claimed in ‖∇log σ‖ ≤ constant·D.

    Returns
    -------
    Proof
        Raised instead: ProofError, when the constant is too small, or larger than the instances approach.

    Examples
    --------
    >>> print(log_std_constant().statement)
    ‖∇log σ‖ ≤ 1/2·D wherever σ > 0, approached by a rare response (p → 0)
    """
    import sympy as sp

    k = exact(constant)
    a, p = sp.symbols("a p", real=True)
    proof = Derivation(
        "L3",
        f"‖∇log σ‖ ≤ {k}·D wherever σ > 0, approached by a rare response (p → 0)",
        LOG_LINEAR,
        AVERAGE,
        "D = 1 and w ∈ [a, a + 1] with a ≤ 0 ≤ a + 1: both sides are homogeneous in φ, and E w = 0",
    )
    claim_variance_slope(proof)
    proof.nonnegative("w ≤ a + 1 ≤ 2·constant", 2 * k - (a + 1), a, -1, 0)
    proof.nonnegative("−w ≤ −a ≤ 2·constant", 2 * k + a, a, -1, 0)
    s, slope = sp.symbols("s slope", positive=True)
    proof.identity(
        "⟨u, ∇log σ⟩ = E[A²w]/(2σ²) ≤ constant, as E A² = σ²",
        slope * sp.diff(sp.log(sp.sqrt(s)), s),
        slope / (2 * s),
    )
    # Two responses: A² is (1 − p)² with probability p and p² otherwise, w is 1 − p or −p.
    weighted = p * (1 - p) ** 2 * (1 - p) + (1 - p) * p**2 * (-p)
    approached = sp.factor(weighted / (2 * p * (1 - p)))
    proof.identity("two responses have ⟨u, ∇log σ⟩ = (1 − 2p)/2", approached, (1 - 2 * p) / 2)
    limit = proof.derive("limit", sp.limit(approached, p, 0, "+"))
    proof.identity("which tends to the constant as p → 0", limit, k)
    return proof.done()


def ascent_remainder(constant: Any = "1") -> Proof:
    """Prove L4: |J(θ + Δ) − J(θ) − ⟨∇J(θ), Δ⟩| ≤ σψ(s), s = D‖Δ‖/2, ψ(s) = e^s − 1 − s.

    Ours, theory L4: L2 and L3 put into the integral form of the remainder.

    Parameters
    ----------
    constant : str, number or sympy expression
        The constant claimed in front of σψ(s).

    Returns
    -------
    Proof
        Raised instead: ProofError, when the constant is too small, or larger than what short steps approach.

    Examples
    --------
    >>> print(ascent_remainder().derived["remainder"])
    -s + exp(s) - 1
    """
    import sympy as sp

    k = exact(constant)
    s, D, step = sp.symbols("s D step", positive=True)
    t = sp.Symbol("t", real=True)
    proof = Derivation(
        "L4",
        f"|J(θ + Δ) − J(θ) − ⟨∇J(θ), Δ⟩| ≤ {k}·σψ(D‖Δ‖/2), approached by L2's instance as Δ → 0",
        LOG_LINEAR,
        "L2: ‖∇²J‖ ≤ D²σ/4",
        "L3: σ(θ + tΔ) ≤ σ(θ)e^(tD‖Δ‖/2)",
        "Taylor: J(θ + Δ) − J(θ) − ⟨∇J(θ), Δ⟩ = ∫₀¹(1 − t)Δᵀ∇²J(θ + tΔ)Δ dt",
    )
    proof.identity("(D²/4)‖Δ‖² = s²", D**2 / 4 * step**2, (D * step / 2) ** 2)
    integral = sp.integrate((1 - t) * s**2 * sp.exp(t * s), (t, 0, 1))
    psi = proof.derive("remainder", sp.expand(integral))
    proof.identity("∫₀¹(1 − t)s²e^(ts)dt = e^s − 1 − s = ψ(s)", integral, sp.exp(s) - 1 - s)
    proof.at_least("constant·ψ(s) ≥ ψ(s), as ψ ≥ 0", k, 1)
    q = (1 - sp.sqrt(sp.Rational(1, 2))) / 2
    instance = claim_instance(proof, [(q, 1, 1 - q), (1 - q, 0, -q)])
    # Its remainder is (1/2)·Cov(r, w²)·‖Δ‖² + O(‖Δ‖³), and ‖Δ‖ = 2s where D = 1.
    second_order = instance["hessian"] * (2 * s) ** 2 / 2
    ratio = sp.limit(second_order / (sp.sqrt(instance["variance"]) * psi), s, 0, "+")
    proof.identity(
        "p(1 − p) = 1/8 approaches the constant as s → 0", proof.derive("limit", sp.radsimp(ratio)), k
    )
    return proof.done()
