"""Theorems 3.1–3.4 of arXiv:2601.23135v1, as far as they are algebra, and the repaired forms of 3.2.

All four are printed with the sign of a descent; what is derived here is the ascent that their proofs show.
"""

from __future__ import annotations

from typing import Any

from curvature.proofs._claims import (
    SUMS,
    claim_cauchy_schwarz,
    claim_expectation,
    claim_rate,
    claim_telescoping,
    show,
    times,
)
from curvature.proofs._derivation import Derivation, Proof, exact

__all__ = [
    "ALIGNED",
    "GAINS",
    "ORTHOGONAL",
    "SAMPLED",
    "theorem_3_1",
    "theorem_3_2",
    "theorem_3_3",
    "theorem_3_4",
]

GAINS = "J_i ≤ 1, so the expected gains of T steps add up to at most 1 − p₀"
ORTHOGONAL = (
    "A1 and A2: a step along ∇J_j, j ≠ i, leaves J_i unchanged (eqs (18), (21)); "
    "prompt i is sampled with probability 1/n"
)
SAMPLED = "every prompt is sampled with probability 1/n"
_LEMMA_3_1 = "Lemma 3.1, along u: |uᵀ∇²J_i u| ≤ 4V_i‖X_iu‖² ≤ ‖X_iu‖² ≤ X²‖u‖² at every θ"
_LEMMA_3_2 = "Lemma 3.2: ‖∇J_i‖ ≤ 2Xp(1 − p) = 2Xσ_i²"
_LEMMA_3_3 = (
    "Lemma 3.3, with Lemma 3.1 along u: |uᵀ∇²J_i u| ≤ 4l(1 − l)‖X_iu‖² ≤ (5/2)σ_i‖X_iu‖² at every θ' with "
    "‖θ' − θ‖ ≤ σ_i/X, l = J_i(θ'), σ_i that of θ"
)
ALIGNED = (
    "A4: M⟨∇J_i, ∇J_j⟩ ≥ ‖X_i∇J_j‖²/‖X_i‖² for i ≠ j at every θ of the run, M > 0, so the inner products "
    "are ≥ 0; ‖X_i‖ ≤ X"
)
_TAYLOR = "Taylor: J_i(θ + Δ) ≥ J_i + ⟨∇J_i, Δ⟩ − (1/2)·max|Δᵀ∇²J_iΔ| over the segment"


def theorem_3_1(step: Any = "1", gain: Any = "1/2", rate: Any = "2") -> Proof:
    """Prove Theorem 3.1: at η = 1/X² the gain is ≥ E‖∇J_i‖²/(2nX²), and Σ_t E‖∇J_i‖² ≤ 2n(1 − p₀)X².

    Implements Theorem 3.1, arXiv:2601.23135v1, with the sign of an ascent.

    Parameters
    ----------
    step, gain, rate : str, number or sympy expression
        The constants claimed: ηX², 1/2 in the gain and 2 in the rate.

    Returns
    -------
    Proof
        Raised instead: ProofError, when a constant is not the best that the smoothness X² gives.

    Examples
    --------
    >>> print(theorem_3_1().derived["rate"])
    2
    """
    import sympy as sp

    step, gain, rate = exact(step), exact(gain), exact(rate)
    η, g, X = sp.symbols("η ‖g‖ X", positive=True)
    proof = Derivation(
        "Theorem 3.1",
        f"Algorithm 1 at ηX² = {show(step)}: E J_i(θ_t) − E J_i(θ_(t−1)) ≥ {times(gain)}E‖∇J_i‖²/(nX²), Σ_(t<T) "
        "E‖∇J_i‖² "
        f"≤ {times(rate)}n(1 − p₀)X², and the smallest is at most a T-th of that",
        ORTHOGONAL,
        _LEMMA_3_1,
        _TAYLOR,
        GAINS,
        SUMS,
    )
    promised = η * g**2 - X**2 / 2 * (η * g) ** 2
    proof.identity("Δ = η∇J_i gains ≥ (η − X²η²/2)‖∇J_i‖²", promised, (η - X**2 * η**2 / 2) * g**2)
    proof.identity(
        "whose maximum over η, a parabola's, is at the step", sp.diff(promised, η).subs(η, step / X**2), 0
    )
    proof.identity("and is gain·‖∇J_i‖²/X² there", promised.subs(η, step / X**2), gain * g**2 / X**2)
    claim_rate(proof, gain, rate)
    return proof.done()


def theorem_3_2(
    step: Any = "1/2", gain: Any = "3/16", weighted: Any = "16/3", factor: Any = "8/3", ball: Any = "1"
) -> Proof:
    """Prove what Theorem 3.2's argument gives: gains of 3/(16nX²), and the repaired forms (a), (b) and (c).

    Implements the proof of Theorem 3.2, arXiv:2601.23135v1, and theory I.3.1. The printed sum form does not follow:
    see :func:`curvature.proofs.counterexamples.sum_form_fails`.

    Parameters
    ----------
    step, gain, weighted, factor, ball : str, number or sympy expression
        The constants claimed: ηX², 3/16 in the gain, 16/3 in the sum of ‖∇J‖²/σ, 8/3 in C(i,T), and the length of
        the step over the radius σ/X of Lemma 3.3.

    Returns
    -------
    Proof
        Raised instead: ProofError, when a constant is not what the argument gives.

    Examples
    --------
    >>> print(theorem_3_2().derived["weighted sum"])
    16/3
    """
    import sympy as sp

    step, gain, weighted = exact(step), exact(gain), exact(weighted)
    factor, ball = exact(factor), exact(ball)
    σ, g, X, C = sp.symbols("σ ‖g‖ X C", positive=True)
    slack = sp.Symbol("slack", nonnegative=True)
    proof = Derivation(
        "Theorem 3.2",
        f"Algorithm 2 at ηX² = {show(step)}: E J_i(θ_t) − E J_i(θ_(t−1)) ≥ {times(gain)}E[‖∇J_i‖²/σ_i]/(nX²); (a) "
        "Σ_(t<T) "
        f"E[‖∇J_i‖²/σ_i] ≤ {times(weighted)}n(1 − p₀)X²; with A3 (b) min_t E‖∇J_i‖² ≤ (2n(1 − p₀)X²/T)·C(i,T), "
        "C(i,T) = "
        f"{times(factor)}mean_t C_(i,t), and Σ_t E‖∇J_i‖² ≤ {times(weighted)}n(1 − p₀)X²C_i for constant C_i; "
        "without A3 (c) "
        f"((1/T)Σ_t E‖∇J_i‖)² ≤ ({times(weighted)}n(1 − p₀)X²/T)·(1/T)Σ_t E σ_i",
        ORTHOGONAL,
        _LEMMA_3_2,
        _LEMMA_3_3,
        _TAYLOR,
        GAINS,
        "A3, for (b) alone: σ_i(θ_t) ≤ C_(i,t), deterministic",
        SUMS,
    )
    η = step / X**2
    proof.identity("Δ = η∇J_i/σ_i has ‖Δ‖ ≤ η·2Xσ_i²/σ_i = ball·σ_i/X", η * 2 * X * σ**2 / σ, ball * σ / X)
    proof.at_least("which is at most the radius σ_i/X: Lemma 3.3 holds on the segment", 1, ball)
    promised = η * g**2 / σ - sp.Rational(5, 4) * X**2 * σ * (η * g / σ) ** 2
    proof.identity(
        "the step gains ≥ (η − (5/4)X²η²)‖∇J_i‖²/σ_i = gain·‖∇J_i‖²/(σ_iX²)",
        promised,
        gain * g**2 / (σ * X**2),
    )
    claim_telescoping(proof)
    n, missing, T = sp.symbols("n 1−p₀ T", positive=True)
    B = proof.derive("weighted sum", weighted) * n * missing * X**2
    proof.identity("(a) so ΣE[‖∇J_i‖²/σ_i] ≤ n(1 − p₀)X²/gain = B", n * missing * X**2 / gain, B)
    proof.identity(
        "A3: ‖∇J_i‖²/σ_i ≥ ‖∇J_i‖²/C, as C = σ_i + slack",
        g**2 / σ - g**2 / (σ + slack),
        g**2 * slack / (σ * (σ + slack)),
    )
    claim_cauchy_schwarz(proof)
    total = sp.Symbol("ΣC", positive=True)
    proof.identity("a = √C, b = 1/√C have ab = 1: T² ≤ ΣC·Σ1/C", sp.sqrt(C) * (1 / sp.sqrt(C)), 1)
    bound = B / (T**2 / total)
    proof.identity(
        "(b) min f·T²/ΣC ≤ min f·Σ1/C ≤ Σf_t/C_t ≤ B, f_t = E‖∇J_i(θ_t)‖²: min f ≤ (2n(1 − p₀)X²/T)·factor·ΣC/T",
        bound,
        2 * n * missing * X**2 / T * factor * total / T,
    )
    proof.identity("for constant C it is Σf_t ≤ BC", B / (1 / C), weighted * n * missing * X**2 * C)
    proof.identity("(c) a = ‖∇J_i‖/√σ_i, b = √σ_i have ab = ‖∇J_i‖", g / sp.sqrt(σ) * sp.sqrt(σ), g)
    mean = sp.Symbol("mean E σ", positive=True)
    proof.identity(
        "so ((1/T)ΣE‖∇J_i‖)² ≤ (B/T)·mean E σ_i", (B / T) * mean, weighted * n * missing * X**2 / T * mean
    )
    return proof.done()


def theorem_3_3(interference: Any = "1/2", gain: Any = "1/2", rate: Any = "2") -> Proof:
    """Prove Theorem 3.3: at η = 1/(FX²), F = max(1, M/2), the gain is ≥ E‖∇J_i‖²/(2nFX²).

    Implements Theorem 3.3, arXiv:2601.23135v1, with the sign of an ascent.

    Parameters
    ----------
    interference, gain, rate : str, number or sympy expression
        The constants claimed: of M in F, 1/2 in the gain and 2 in the rate.

    Returns
    -------
    Proof
        Raised instead: ProofError, when a constant is not what the argument gives.

    Examples
    --------
    >>> theorem_3_3().derived["least F"]
    M/2
    """
    import sympy as sp

    k, gain, rate = exact(interference), exact(gain), exact(rate)
    M, X, g, inner, F = sp.symbols("M X ‖g‖ G_ij F", positive=True)
    above = sp.Symbol("F−1", nonnegative=True)
    proof = Derivation(
        "Theorem 3.3",
        f"Algorithm 1 at η = 1/(FX²), F = max(1, {times(k)}M): E J_i(θ_t) − E J_i(θ_(t−1)) ≥ "
        f"{times(gain)}E‖∇J_i‖²/(nFX²), and "
        f"Σ_(t<T) E‖∇J_i‖² ≤ {times(rate)}nF(1 − p₀)X²",
        "A1",
        ALIGNED,
        SAMPLED,
        _LEMMA_3_1,
        _TAYLOR,
        GAINS,
        SUMS,
    )
    η = 1 / (F * X**2)
    proof.identity(
        "another prompt's step, Δ = η∇J_j, gains ≥ η⟨g_i, g_j⟩ − (η²/2)‖X_ig_j‖² ≥ (η − η²MX²/2)⟨g_i, g_j⟩",
        η * inner - η**2 / 2 * (M * X**2 * inner),
        η * inner * (1 - M / (2 * F)),
    )
    surplus = sp.Symbol("F−kM", nonnegative=True)
    proof.identity(
        "with F = interference·M + rest, rest ≥ 0, the bracket is ((interference − 1/2)M + rest)/F ≥ 0",
        1 - M / (2 * (k * M + surplus)),
        ((k - sp.Rational(1, 2)) * M + surplus) / (k * M + surplus),
    )
    proof.at_least("which needs interference ≥ 1/2", k, sp.Rational(1, 2))
    proof.identity("and no smaller F will do: the bracket is 0 at rest = 0", 1 - M / (2 * k * M), 0)
    proof.derive("least F", k * M)
    own = (η * g**2 - X**2 / 2 * (η * g) ** 2) * F * X**2 / g**2
    proof.identity("its own step gains ‖g_i‖²/(FX²) times 1 − 1/(2F)", own, 1 - 1 / (2 * F))
    proof.identity(
        "which is ≥ gain for F = 1 + rest, rest ≥ 0, and gain at F = 1",
        sp.together((1 - 1 / (2 * F)).subs(F, 1 + above) - gain),
        above / (2 * (1 + above)),
    )
    claim_expectation(proof)
    claim_rate(proof, gain, rate)
    return proof.done()


def theorem_3_4(interference: Any = "5/8", gain: Any = "3/16", weighted: Any = "16/3") -> Proof:
    """Prove Theorem 3.4's ascent: at η = 1/(2FX²), F = max(R₁, 5M/8)R₂, gains of 3E[‖∇J_i‖²/σ_i]/(16nFX²).

    Implements Theorem 3.4, arXiv:2601.23135v1, with the sign of an ascent and the theorem's own factor; the one
    that appendix E.2 ends with is false: :func:`curvature.proofs.counterexamples.factor_of_appendix_e_fails`.

    Parameters
    ----------
    interference, gain, weighted : str, number or sympy expression
        The constants claimed: of M in F, 3/16 in the gain and 16/3 in the sum of ‖∇J‖²/σ.

    Returns
    -------
    Proof
        Raised instead: ProofError, when a constant is not what the argument gives.

    Examples
    --------
    >>> theorem_3_4().derived["least F"]
    5*M*R₂/8
    """
    import sympy as sp

    k, gain, weighted = exact(interference), exact(gain), exact(weighted)
    M, X, R1, R2, σ, τ, inner, F, g = sp.symbols("M X R₁ R₂ σ_i σ_j G_ij F ‖g‖", positive=True)
    rest = sp.Symbol("rest", nonnegative=True)
    proof = Derivation(
        "Theorem 3.4",
        f"Algorithm 2 at η = 1/(2FX²), F = max(R₁, {times(k)}M)R₂: E J_i(θ_t) − E J_i(θ_(t−1)) ≥ {times(gain)}"
        f"E[‖∇J_i‖²/σ_i]/(nFX²); so Theorem 3.2's (a), (b) and (c) hold with FX² for X², {show(weighted)} in (a)",
        "A1",
        ALIGNED,
        "A5: ‖∇J_j‖ ≤ R₁‖∇J_i‖ and σ_i ≤ R₂σ_j for all i, j at every θ of the run, so R₁, R₂ ≥ 1",
        SAMPLED,
        _LEMMA_3_2,
        _LEMMA_3_3,
        _TAYLOR,
        GAINS,
        SUMS,
    )
    η, fourth = 1 / (2 * F * X**2), sp.Rational(5, 4)
    length = η * R1 * (2 * X * σ**2) / τ
    proof.identity(
        "another prompt's step has ‖Δ‖ = η‖g_j‖/σ_j ≤ ηR₁·2Xσ_i²/σ_j = (σ_i/X)·R₁(σ_i/σ_j)/F",
        length,
        σ / X * R1 * (σ / τ) / F,
    )
    short = sp.Symbol("R₂−σ_i/σ_j", nonnegative=True)
    proof.identity(
        "which stays in Lemma 3.3's ball of prompt i: with F = R₁R₂ + rest and σ_i/σ_j = R₂ − short, rest, short ≥ 0, "
        "1 − R₁(σ_i/σ_j)/F is (rest + R₁·short)/F ≥ 0",
        1 - R1 * (R2 - short) / (R1 * R2 + rest),
        (rest + R1 * short) / (R1 * R2 + rest),
    )
    gained = η / τ * inner - fourth * σ * (η / τ) ** 2 * (M * X**2 * inner)
    proof.identity(
        "and gains ≥ (η/σ_j)⟨g_i, g_j⟩ − (5/4)σ_i(η/σ_j)²‖X_ig_j‖² ≥ (η/σ_j)⟨g_i, g_j⟩(1 − (5/8)M(σ_i/σ_j)/F)",
        gained,
        η / τ * inner * (1 - sp.Rational(5, 8) * M * (σ / τ) / F),
    )
    part = sp.Rational(5, 8) * M
    proof.identity(
        "with F = interference·MR₂ + rest the bracket is ((interference − 5/8)MR₂ + (5/8)M·short + rest)/F ≥ 0",
        1 - part * (R2 - short) / (k * M * R2 + rest),
        ((k - sp.Rational(5, 8)) * M * R2 + part * short + rest) / (k * M * R2 + rest),
    )
    proof.at_least("which needs interference ≥ 5/8", k, sp.Rational(5, 8))
    proof.identity(
        "and no smaller F will do: the bracket is 0 at σ_i = R₂σ_j, rest = 0",
        1 - sp.Rational(5, 8) * M * R2 / (k * M * R2),
        0,
    )
    proof.derive("least F", k * M * R2)
    own = (η * g**2 / σ - fourth * X**2 * σ * (η * g / σ) ** 2) * F * X**2 * σ / g**2
    proof.identity(
        "its own step gains ‖g_i‖²/(σ_iFX²) times 1/2 − 5/(16F)", own, sp.Rational(1, 2) - 5 / (16 * F)
    )
    proof.identity(
        "and stays in the ball as F ≥ 1: η·2Xσ_i²/σ_i = (σ_i/X)/F", η * 2 * X * σ**2 / σ, σ / X / F
    )
    proof.identity(
        "which is ≥ gain for F = 1 + rest, and gain at F = 1",
        sp.together((sp.Rational(1, 2) - 5 / (16 * F)).subs(F, 1 + rest) - gain),
        5 * rest / (16 * (1 + rest)),
    )
    claim_expectation(proof)
    claim_telescoping(proof)
    n, missing = sp.symbols("n 1−p₀", positive=True)
    proof.identity(
        "(a) so ΣE[‖∇J_i‖²/σ_i] ≤ n(1 − p₀)FX²/gain, Theorem 3.2's with FX² for X²; (b) and (c) follow as there",
        n * missing * F * X**2 / gain,
        proof.derive("weighted sum", weighted) * n * missing * F * X**2,
    )
    return proof.done()
