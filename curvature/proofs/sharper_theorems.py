"""Theorems 3.1–3.4 of arXiv:2601.23135v1 with larger gains, at the paper's own steps.

The steps are the paper's; only the analysis is ours. For rewards of 0 and 1 what 3.1 and 3.3 promise grows from 1/2 to
1 − 1/(6√3) = .9038, and what 3.2 and 3.4 promise from 3/16 to 7/16; under overlap much smaller factors than
max(1, M/2) and max(R₁, 5M/8)R₂ would do, and R₁ is not needed at all.
"""

from __future__ import annotations

from typing import Any

from curvature.proofs._claims import (
    SUMS,
    claim_expectation,
    claim_rate,
    claim_telescoping,
    psi,
    show,
    times,
)
from curvature.proofs._derivation import Derivation, Proof, exact
from curvature.proofs.paper_theorems import ALIGNED, GAINS, ORTHOGONAL, SAMPLED

__all__ = ["theorem_3_1_sharper", "theorem_3_2_sharper", "theorem_3_3_sharper", "theorem_3_4_sharper"]

_BINARY = "rewards in {0, 1} (A1, one correct response, is not needed)"
_WIDTH = (
    "along u J_i has the curvature of a prompt with the features X_iu, whose diameter is their width "
    "w = max − min ≤ √2‖X_iu‖ ≤ √2X‖u‖"
)
_C1 = "C1-maximum along u: |uᵀ∇²J_i u| ≤ w²/(6√3) at every θ"
_C1_STEP = (
    "one-step-C1: a step (a/D²)∇J_i/σ_i with a ≤ 4 gains at least (a − a²/8)‖∇J_i‖²/(σ_iD²), where D ≤ √2X is the "
    "diameter of J_i's features"
)
_L1 = "L1: ‖∇J_i‖ ≤ D_iσ_i/2, D_i ≤ √2X"
_L4 = "L4 along Δ: J_i(θ + Δ) ≥ J_i + ⟨∇J_i, Δ⟩ − σ_iψ(s), s half the width of X_iΔ"
_PSI = "psi: ψ(s)/s² does not decrease, so ψ(s) ≤ 16s²ψ(1/4) for 0 ≤ s ≤ 1/4"


def theorem_3_1_sharper(
    smoothness: Any = "1/(3*sqrt(3))",
    gain: Any = "1 - 1/(6*sqrt(3))",
    rate: Any = "6*sqrt(3)/(6*sqrt(3) - 1)",
) -> Proof:
    """Prove Theorem 3.1 with 1 − 1/(6√3) = .9038 for 1/2: at η = 1/X², gains of .9038·E‖∇J_i‖²/(nX²), 1.106 for 2.

    Ours, theory C1, on Theorem 3.1, arXiv:2601.23135v1, with the sign of an ascent.

    Parameters
    ----------
    smoothness, gain, rate : str, number or sympy expression
        The constants claimed: of X² in the smoothness, in the gain, and in the rate.

    Returns
    -------
    Proof
        Raised instead: ProofError, when a constant is not what C1 gives at the paper's step.

    Examples
    --------
    >>> round(float(theorem_3_1_sharper().derived["rate"]), 4)
    1.1065
    """
    import sympy as sp

    L, gain, rate = exact(smoothness), exact(gain), exact(rate)
    η, g, X = sp.symbols("η ‖g‖ X", positive=True)
    proof = Derivation(
        "Theorem 3.1-sharper",
        f"rewards in {{0, 1}}, Algorithm 1 at η = 1/X²: E J_i(θ_t) − E J_i(θ_(t−1)) ≥ ({show(gain)})E‖∇J_i‖²/(nX²), "
        f"Σ_(t<T) E‖∇J_i‖² ≤ {times(rate)}n(1 − p₀)X², and the smallest is at most a T-th of that",
        _BINARY,
        ORTHOGONAL,
        _WIDTH,
        _C1,
        GAINS,
        SUMS,
    )
    _claim_width(proof)
    proof.identity(
        "so the curvature is at most 2X²/(6√3) = smoothness·X²", 2 * X**2 / (6 * sp.sqrt(3)), L * X**2
    )
    promised = η * g**2 - L * X**2 / 2 * (η * g) ** 2
    proof.identity("Δ = η∇J_i gains at least gain·‖∇J_i‖²/X²", promised.subs(η, 1 / X**2), gain * g**2 / X**2)
    claim_rate(proof, gain, rate)
    return proof.done()


def theorem_3_2_sharper(
    gain: Any = "7/16",
    any_rewards: Any = "3 - 2*exp(1/4)",
    weighted: Any = "16/7",
    factor: Any = "8/7",
) -> Proof:
    """Prove Theorem 3.2's ascent with 7/16 for 3/16, or 3 − 2e^(1/4) = .4319 for any rewards, at η = 1/(2X²).

    Ours, theory T1 under C1 (or L1 and L4), on Theorem 3.2, arXiv:2601.23135v1, with the sign of an ascent.

    Parameters
    ----------
    gain, any_rewards, weighted, factor : str, number or sympy expression
        The constants claimed: of the gain for rewards in {0, 1} and for any, in the sum of ‖∇J‖²/σ, and in C(i,T).

    Returns
    -------
    Proof
        Raised instead: ProofError, when a constant is not what the argument gives at the paper's step.

    Examples
    --------
    >>> print(theorem_3_2_sharper().derived["weighted sum"])
    16/7
    """
    import sympy as sp

    gain, real, weighted, factor = exact(gain), exact(any_rewards), exact(weighted), exact(factor)
    X, D, σ, y = sp.symbols("X D σ y", positive=True)
    proof = Derivation(
        "Theorem 3.2-sharper",
        f"rewards in {{0, 1}}, Algorithm 2 at η = 1/(2X²): E J_i(θ_t) − E J_i(θ_(t−1)) ≥ {times(gain)}"
        f"E[‖∇J_i‖²/σ_i]/(nX²), so Theorem 3.2's (a), (b) and (c) hold with {show(weighted)} for 16/3 and "
        f"{show(factor)} for 8/3; for any rewards with {show(real)} for {show(gain)}",
        f"{_BINARY}; any rewards where it says so",
        ORTHOGONAL,
        _WIDTH,
        _C1_STEP,
        _L1,
        _L4,
        _PSI,
        GAINS,
        SUMS,
    )
    _claim_width(proof)
    _claim_own_step(proof, gain, sp.Integer(1))
    norm, η = y * D * σ / 2, 1 / (2 * X**2)
    proof.identity(
        "any rewards: ‖∇J_i‖ = yDσ/2, y ≤ 1, has s = D‖Δ‖/2 = y(D/X)²/8",
        D / 2 * η * norm / σ,
        y * D**2 / X**2 / 8,
    )
    proof.at_least("which is at most 2/8", sp.Rational(1, 4), sp.Rational(2, 8))
    s = D / 2 * η * norm / σ
    least = (η * norm**2 / σ - σ * 16 * s**2 * psi(sp.Rational(1, 4))) * X**2 * σ / norm**2
    below = sp.Symbol("2−(D/X)²", nonnegative=True)
    proof.identity(
        "the step gains ‖∇J_i‖²/(σ_iX²) times ≥ 1/2 − (D/X)²ψ(1/4) ≥ 1/2 − 2ψ(1/4), which is the constant claimed",
        least.subs(D, X * sp.sqrt(2 - below)) - below * psi(sp.Rational(1, 4)),
        real,
    )
    proof.at_least("ψ(1/4) ≥ 0", psi(sp.Rational(1, 4)), 0)
    proof.at_least("and less than for rewards in {0, 1}", gain, real)
    _claim_weighted(proof, gain, weighted, 1)
    proof.identity(
        "(b) has 2·factor in the place of the sum's constant, as in Theorem 3.2", 2 * factor, weighted
    )
    return proof.done()


def theorem_3_3_sharper(
    interference: Any = "1/(6*sqrt(3))",
    gain: Any = "1 - 1/(6*sqrt(3))",
    rate: Any = "6*sqrt(3)/(6*sqrt(3) - 1)",
) -> Proof:
    """Prove Theorem 3.3 with .9038 for 1/2, at η = 1/(FX²) for every F ≥ max(1, M/(6√3)), max(1, M/2) among them.

    Ours, theory C1, on Theorem 3.3, arXiv:2601.23135v1, with the sign of an ascent.

    Parameters
    ----------
    interference, gain, rate : str, number or sympy expression
        The constants claimed: of M in the least F, in the gain, and in the rate.

    Returns
    -------
    Proof
        Raised instead: ProofError, when a constant is not what C1 gives.

    Examples
    --------
    >>> theorem_3_3_sharper().derived["least F"]
    sqrt(3)*M/18
    """
    import sympy as sp

    k, gain, rate = exact(interference), exact(gain), exact(rate)
    M, X, g, inner, F = sp.symbols("M X ‖g‖ G_ij F", positive=True)
    rest = sp.Symbol("rest", nonnegative=True)
    proof = Derivation(
        "Theorem 3.3-sharper",
        f"rewards in {{0, 1}}, Algorithm 1 at η = 1/(FX²), any F ≥ max(1, {times(k)}M), so at F = max(1, M/2) too: "
        f"E J_i(θ_t) − E J_i(θ_(t−1)) ≥ ({show(gain)})E‖∇J_i‖²/(nFX²), and Σ_(t<T) E‖∇J_i‖² ≤ "
        f"{times(rate)}nF(1 − p₀)X²",
        _BINARY,
        ALIGNED,
        SAMPLED,
        _WIDTH,
        _C1,
        GAINS,
        SUMS,
    )
    _claim_width(proof)
    η, half_L = 1 / (F * X**2), 1 / (6 * sp.sqrt(3))
    proof.identity(
        "another prompt's step, Δ = η∇J_j, gains ≥ η⟨g_i, g_j⟩ − (1/2)(2‖X_iΔ‖²)/(6√3), A4 for ‖X_ig_j‖²",
        η * inner - half_L * η**2 * (M * X**2 * inner),
        η * inner * (1 - half_L * M / F),
    )
    proof.identity(
        "with F = interference·M + rest the bracket is ((interference − 1/(6√3))M + rest)/F ≥ 0",
        1 - half_L * M / (k * M + rest),
        ((k - half_L) * M + rest) / (k * M + rest),
    )
    proof.at_least("which needs interference ≥ 1/(6√3)", k, half_L)
    proof.identity(
        "and by this argument no smaller F will do: it is 0 at rest = 0", 1 - half_L * M / (k * M), 0
    )
    proof.derive("least F", k * M)
    proof.at_least("the theorem's own F = max(1, M/2) is large enough", sp.Rational(1, 2), k)
    own = (η * g**2 - half_L * X**2 * (η * g) ** 2) * F * X**2 / g**2
    proof.identity("its own step gains ‖g_i‖²/(FX²) times 1 − 1/(6√3F)", own, 1 - half_L / F)
    proof.identity(
        "which is ≥ gain for F = 1 + rest, and gain at F = 1",
        sp.together((1 - half_L / F).subs(F, 1 + rest) - gain),
        half_L * rest / (1 + rest),
    )
    claim_expectation(proof)
    claim_rate(proof, gain, rate)
    return proof.done()


def theorem_3_4_sharper(
    interference: Any = "4*exp(1/4) - 5", gain: Any = "7/16", weighted: Any = "16/7"
) -> Proof:
    """Prove Theorem 3.4's ascent with 7/16 for 3/16, at η = 1/(2FX²) for every F ≥ max(1, (4e^(1/4) − 5)MR₂).

    Ours, theory L1, L4 and T1 under C1, on Theorem 3.4, arXiv:2601.23135v1, with the sign of an ascent. The theorem's
    F = max(R₁, 5M/8)R₂ is among them; that gradients are of like length (R₁) is not needed.

    Parameters
    ----------
    interference, gain, weighted : str, number or sympy expression
        The constants claimed: of MR₂ in the least F, in the gain, and in the sum of ‖∇J‖²/σ.

    Returns
    -------
    Proof
        Raised instead: ProofError, when a constant is not what the argument gives.

    Examples
    --------
    >>> round(float(theorem_3_4_sharper().derived["least F over MR₂"]), 4)
    0.1361
    """
    import sympy as sp

    k, gain, weighted = exact(interference), exact(gain), exact(weighted)
    M, X, R2, σ, τ, inner, F = sp.symbols("M X R₂ σ_i σ_j G_ij F", positive=True)
    rest, short = sp.symbols("rest R₂−σ_i/σ_j", nonnegative=True)
    proof = Derivation(
        "Theorem 3.4-sharper",
        f"rewards in {{0, 1}}, Algorithm 2 at η = 1/(2FX²), any F ≥ max(1, ({show(k)})MR₂), so at F = max(R₁, 5M/8)R₂ "
        f"too: E J_i(θ_t) − E J_i(θ_(t−1)) ≥ {times(gain)}E[‖∇J_i‖²/σ_i]/(nFX²); so Theorem 3.2's (a), (b) and (c) "
        f"hold with FX² for X² and {show(weighted)} for 16/3",
        _BINARY,
        ALIGNED,
        "half of A5: σ_i ≤ R₂σ_j for all i, j at every θ of the run, so R₂ ≥ 1 (and, for the theorem's own F, R₁ ≥ 1)",
        SAMPLED,
        _WIDTH,
        _C1_STEP,
        _L1,
        _L4,
        _PSI,
        GAINS,
        SUMS,
    )
    _claim_width(proof)
    η, ψ = 1 / (2 * F * X**2), psi(sp.Rational(1, 4))
    D = sp.sqrt(2) * X
    proof.identity(
        "another prompt's step, Δ = η∇J_j/σ_j, has ‖Δ‖ ≤ ηD_j/2 and s ≤ D_i‖Δ‖/2 ≤ 1/(4F) ≤ 1/4",
        D / 2 * (η * D / 2),
        1 / (4 * F),
    )
    square = (η / τ) ** 2 * (M * X**2 * inner) / 2
    proof.identity(
        "s² ≤ ‖X_iΔ‖²/2 ≤ (η/σ_j)²MX²⟨g_i, g_j⟩/2 by A4: it gains ≥ (η/σ_j)⟨g_i, g_j⟩(1 − 4ψ(1/4)M(σ_i/σ_j)/F)",
        η / τ * inner - σ * 16 * square * ψ,
        η / τ * inner * (1 - 4 * ψ * M * (σ / τ) / F),
    )
    proof.identity(
        "with σ_i/σ_j = R₂ − short, F = interference·MR₂ + rest the bracket is "
        "((interference − 4ψ(1/4))MR₂ + 4ψ(1/4)M·short + rest)/F ≥ 0",
        1 - 4 * ψ * M * (R2 - short) / (k * M * R2 + rest),
        ((k - 4 * ψ) * M * R2 + 4 * ψ * M * short + rest) / (k * M * R2 + rest),
    )
    proof.at_least("which needs interference ≥ 4ψ(1/4) = 4e^(1/4) − 5", k, 4 * ψ)
    proof.identity(
        "and by this argument no smaller F will do: the bracket is 0 at σ_i = R₂σ_j, rest = 0",
        1 - 4 * ψ * M * R2 / (k * M * R2),
        0,
    )
    proof.derive("least F over MR₂", k)
    proof.at_least(
        "the theorem's own F, which is ≥ R₁R₂ ≥ 1 and ≥ (5/8)MR₂, is large enough", sp.Rational(5, 8), k
    )
    _claim_own_step(proof, gain, F)
    claim_expectation(proof)
    _claim_weighted(proof, gain, weighted, F)
    return proof.done()


def _claim_width(proof: Derivation) -> None:
    """Claim that two entries of a vector differ by at most √2 times its length."""
    import sympy as sp

    a, b, others = sp.symbols("a b others", real=True)
    proof.identity(
        "two entries a, b of X_iu: 2‖X_iu‖² − (a − b)² = (a + b)² + 2·others ≥ 0, others the squares of the rest",
        2 * (a**2 + b**2 + others) - (a - b) ** 2,
        (a + b) ** 2 + 2 * others,
    )


def _claim_own_step(proof: Derivation, gain: Any, F: Any) -> None:
    """Claim that GRPO's step η = 1/(2FX²), F ≥ 1, gains gain·‖g‖²/(σFX²) for its own prompt."""
    import sympy as sp

    below = sp.Symbol("2−(D/X)²", nonnegative=True)
    above = sp.Symbol("F−1", nonnegative=True)
    square = 2 - below
    a = square / (2 * F)
    proof.identity(
        "its own step has η = a/D², a = (D/X)²/(2F) ≤ 1 ≤ 4, and gains ‖g_i‖²/(σ_iFX²) times 1/2 − (D/X)²/(32F)",
        (a - a**2 / 8) / square * F,
        sp.Rational(1, 2) - square / (32 * F),
    )
    left, excess = sp.Rational(1, 2) - square / (32 * F), below / 32
    if F != 1:
        left, excess = left.subs(F, 1 + above), (below + 2 * above) / (32 * (1 + above))
    proof.identity("which is ≥ gain, and gain at D = √2X, F = 1", sp.together(left - gain), excess)


def _claim_weighted(proof: Derivation, gain: Any, weighted: Any, F: Any) -> None:
    """Claim the sum of E[‖∇J‖²/σ] that follows, from which Theorem 3.2's other forms do."""
    import sympy as sp

    n, missing, X = sp.symbols("n 1−p₀ X", positive=True)
    claim_telescoping(proof)
    proof.identity(
        "(a) so ΣE[‖∇J_i‖²/σ_i] ≤ n(1 − p₀)FX²/gain (F = 1 without overlap); (b) and (c) follow as in Theorem 3.2",
        n * missing * F * X**2 / gain,
        proof.derive("weighted sum", weighted) * n * missing * F * X**2,
    )
