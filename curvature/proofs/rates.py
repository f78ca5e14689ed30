"""Rates for orthogonal prompts: T1, T2, T3 of the theory, and what C1's smoothness gives REINFORCE."""

from __future__ import annotations

from typing import Any

from curvature.proofs._claims import SUMS, claim_cauchy_schwarz, claim_telescoping, psi, show, times
from curvature.proofs._derivation import Derivation, Proof, exact

__all__ = [
    "ORTHOGONAL",
    "certified_step_of_grpo",
    "certified_step_of_reinforce",
    "psi_over_square",
    "rate_of_certified_steps",
    "smooth_step_of_reinforce",
]

ORTHOGONAL = (
    "orthogonal prompts, P_xP_x' = 0 for x ≠ x': as g_x' = P_x'g_x', a step Δ = αΣ_x' a_x'g_x' has P_xΔ = αa_xg_x, and "
    "J_x(θ + Δ) depends on P_xΔ alone (B1)"
)
_L1 = "L1: y = 2‖g_x‖/(Dσ_x) ≤ 1, and y = 1 occurs; D ≥ D_x, and σ_x > 0 (else g_x = 0 and the prompt stays)"
_L4 = "L4: J_x(θ + Δ) − J_x(θ) ≥ ⟨g_x, Δ⟩ − σ_xψ(s), s = D‖P_xΔ‖/2 ≥ D_x‖P_xΔ‖/2, and ψ increases"
_PSI = "psi: ψ(s)/s² does not decrease, so ψ(uc) ≤ u²ψ(c) for 0 ≤ u ≤ 1"


def psi_over_square(limit: Any = "1/2") -> Proof:
    """Prove that ψ(s)/s², ψ(s) = e^s − 1 − s, does not decrease on s > 0, from its limit 1/2 at 0.

    Ours, the lemma behind theory T1, T2 and B2.

    Parameters
    ----------
    limit : str, number or sympy expression
        The limit claimed at s → 0, so that ψ(s) ≥ limit·s².

    Returns
    -------
    Proof
        Raised instead: ProofError, when the limit is another.

    Examples
    --------
    >>> print(psi_over_square().statement)
    ψ(s)/s² does not decrease on s > 0 and tends to 1/2 as s → 0; so ψ(us) ≤ u²ψ(s) for 0 ≤ u ≤ 1
    """
    import sympy as sp

    limit = exact(limit)
    s = sp.Symbol("s", positive=True)
    proof = Derivation(
        "psi",
        f"ψ(s)/s² does not decrease on s > 0 and tends to {show(limit)} as s → 0; so ψ(us) ≤ u²ψ(s) for 0 ≤ u ≤ 1",
        "ψ(s) = e^s − 1 − s",
        "a function that is 0 at 0 and whose derivative is ≥ 0 on s > 0 is ≥ 0 there",
    )
    numerator = s * sp.exp(s) - 2 * sp.exp(s) + s + 2
    proof.identity(
        "(ψ(s)/s²)' = N(s)/s³ with N(s) = se^s − 2e^s + s + 2", sp.diff(psi(s) / s**2, s), numerator / s**3
    )
    proof.identity("N(0) = 0", numerator.subs(s, 0), 0)
    proof.identity("N'(0) = 0", sp.diff(numerator, s).subs(s, 0), 0)
    proof.identity("N''(s) = se^s ≥ 0, so N' ≥ 0, so N ≥ 0", sp.diff(numerator, s, 2), s * sp.exp(s))
    proof.identity("ψ'(s) = e^s − 1 ≥ 0: ψ itself increases from 0", sp.diff(psi(s), s), sp.exp(s) - 1)
    found = proof.derive("limit", sp.limit(psi(s) / s**2, s, 0, "+"))
    proof.identity("ψ(s)/s² tends to the limit claimed as s → 0", found, limit)
    return proof.done()


def certified_step_of_grpo(step: Any = "log(2)", gain: Any = "2*log(2) - 1") -> Proof:
    """Prove T1: at α = 4c₀/D² every prompt gains at least (4k₀/D²)‖g‖²/σ, c₀ = ln 2 and k₀ = 2 ln 2 − 1.

    Ours, theory T1.

    Parameters
    ----------
    step, gain : str, number or sympy expression
        The constants claimed: c₀, the maximiser of c − ψ(c), and k₀, its maximum.

    Returns
    -------
    Proof
        Raised instead: ProofError, when c₀ is not the maximiser or k₀ not the maximum.

    Examples
    --------
    >>> print(certified_step_of_grpo().derived["gain"])
    -1 + 2*log(2)
    """
    import sympy as sp

    c, k = exact(step), exact(gain)
    D, σ, y = sp.symbols("D σ y", positive=True)
    proof = Derivation(
        "T1",
        f"GRPO at α = 4c₀/D², c₀ = {show(c)}: J_x(θ⁺) − J_x(θ) ≥ (4k₀/D²)‖g_x‖²/σ_x for every prompt, k₀ = "
        f"{show(k)}; no other c₀ certifies a larger k₀",
        ORTHOGONAL,
        _L4,
        _L1,
        _PSI,
    )
    norm, α = y * D * σ / 2, 4 * c / D**2
    proof.identity(
        "P_xΔ = αg_x/σ_x with ‖g_x‖ = yDσ/2: the slope ⟨g_x, Δ⟩ is cσy²", α * norm**2 / σ, c * σ * y**2
    )
    proof.identity("and s = D‖P_xΔ‖/2 is cy", D / 2 * α * norm / σ, c * y)
    # ψ(cy) ≤ (cy)²·ψ(c)/c² by the lemma, with u = y.
    left = c * σ * y**2 - σ * (c * y) ** 2 * psi(c) / c**2
    proof.identity("so the gain is ≥ σ(cy² − ψ(cy)) ≥ σy²(c − ψ(c))", left, σ * y**2 * (c - psi(c)))
    _claim_best_step(proof, c, k)
    proof.identity("σy²k₀ = (4k₀/D²)‖g_x‖²/σ_x", σ * y**2 * k, 4 * k / D**2 * norm**2 / σ)
    return proof.done()


def certified_step_of_reinforce(step: Any = "log(2)", gain: Any = "2*log(2) - 1") -> Proof:
    """Prove T2: at α = 4c₀/(D²σ_max) every prompt gains at least (4k₀/D²)‖g‖²/σ_max.

    Ours, theory T2.

    Parameters
    ----------
    step, gain : str, number or sympy expression
        The constants claimed: c₀ and k₀, as for T1.

    Returns
    -------
    Proof
        Raised instead: ProofError, when c₀ is not the maximiser or k₀ not the maximum.

    Examples
    --------
    >>> print(certified_step_of_reinforce().derived["step"])
    log(2)
    """
    import sympy as sp

    c, k = exact(step), exact(gain)
    D, top, y = sp.symbols("D σ_max y", positive=True)
    τ = sp.Symbol("τ", positive=True)
    proof = Derivation(
        "T2",
        f"REINFORCE at α = 4c₀/(D²σ_max), c₀ = {show(c)}: J_x(θ⁺) − J_x(θ) ≥ (4k₀/D²)‖g_x‖²/σ_max for every "
        f"prompt, k₀ = {show(k)}; no other c₀ certifies a larger k₀",
        ORTHOGONAL,
        _L4,
        _L1,
        "τ = σ_x/σ_max ≤ 1, and τ = 1 occurs",
        _PSI,
    )
    σ = τ * top
    norm, α = y * D * σ / 2, 4 * c / (D**2 * top)
    proof.identity(
        "P_xΔ = αg_x with ‖g_x‖ = yDσ/2, σ = τσ_max: the slope ⟨g_x, Δ⟩ is cτσy²",
        α * norm**2,
        c * τ * σ * y**2,
    )
    proof.identity("and s = D‖P_xΔ‖/2 is cτy", D / 2 * α * norm, c * τ * y)
    left = c * τ * σ * y**2 - σ * (c * τ * y) ** 2 * psi(c) / c**2
    proof.identity(
        "so the gain is ≥ σ(cτy² − ψ(cτy)) ≥ στy²(c − τψ(c))", left, σ * τ * y**2 * (c - τ * psi(c))
    )
    proof.identity(
        "which is στy²(c − ψ(c)) and a rest, (1 − τ)ψ(c) ≥ 0 times στy²",
        (c - τ * psi(c)) - (c - psi(c)),
        (1 - τ) * psi(c),
    )
    proof.at_least("ψ(c) ≥ 0", psi(c), 0)
    _claim_best_step(proof, c, k)
    proof.identity("στy²k₀ = (4k₀/D²)‖g_x‖²/σ_max", σ * τ * y**2 * k, 4 * k / D**2 * norm**2 / top)
    return proof.done()


def _claim_best_step(proof: Derivation, c: Any, k: Any) -> None:
    """Claim that c maximises c − ψ(c), which is concave, and that k is the maximum."""
    import sympy as sp

    x = sp.Symbol("c", positive=True)
    left = x - psi(x)
    proof.derive("certificate at y = 1", left)
    proof.at_least("c₀ ≥ 0", c, 0)
    proof.identity("c − ψ(c) has the derivative 2 − e^c", sp.diff(left, x), 2 - sp.exp(x))
    proof.identity("and the second derivative −e^c < 0: it is concave", sp.diff(left, x, 2), -sp.exp(x))
    proof.identity("the derivative is 0 at c₀: its maximum is there", sp.exp(c), 2)
    proof.derive("step", c)
    found = proof.derive("gain", sp.expand(left.subs(x, c)))
    proof.identity("and k₀ = c₀ − ψ(c₀), which is all that L4 leaves at y = τ = 1", found, k)
    proof.at_least("k₀ > 0: the step gains", k, 0)


def rate_of_certified_steps(gamma: Any = "1/(4*(2*log(2) - 1))", gain: Any = "4*(2*log(2) - 1)") -> Proof:
    """Prove T3: ⟨‖g‖⟩² ≤ Γσ_maxΔ̄n/T for REINFORCE and ≤ Γσ̄Δ̄n/T for GRPO, Γ = D²/(4k₀).

    Ours, theory T3.

    Parameters
    ----------
    gamma, gain : str, number or sympy expression
        The constants claimed: Γ/D², and 4k₀ in the gain of one step.

    Returns
    -------
    Proof
        Raised instead: ProofError, when Γ is not what the gain of a step gives.

    Examples
    --------
    >>> print(rate_of_certified_steps().derived["ratio"])
    σ̄/σ_max
    """
    import sympy as sp

    γ, gain = exact(gamma), exact(gain)
    D, gap, n, T, mean, top, g, σ = sp.symbols("D Δ̄ n T σ̄ σ_max ‖g‖ σ", positive=True)
    Γ = γ * D**2
    proof = Derivation(
        "T3",
        f"⟨‖g‖⟩² ≤ ⟨‖g‖²⟩ ≤ Γσ_maxΔ̄n/T for REINFORCE and ⟨‖g‖⟩² ≤ Γσ̄Δ̄n/T for GRPO, Γ = {times(γ)}D², ⟨·⟩ the "
        "mean over "
        "prompts and iterations (and over the sampled prompts); n = 1 for full batches",
        f"T1: a step of GRPO gains ≥ {times(gain)}‖g_x‖²/(D²σ_x) on every prompt of the batch",
        f"T2: a step of REINFORCE gains ≥ {times(gain)}‖g_x‖²/(D²σ_max) on every prompt of the batch",
        "one prompt of n sampled a step: prompt x is the one with probability 1/n, and stays where it is otherwise "
        "(orthogonality), so its expected gain is 1/n of that",
        "Δ̄ = mean_x(sup J_x − J_x(θ₀)), so that mean_x(J_x(θ_T) − J_x(θ₀)) ≤ Δ̄; σ_max ≥ every std of "
        "REINFORCE's run, σ̄ is "
        "the mean std of GRPO's; a prompt with σ = 0 has g = 0 and counts as 0 in ‖g‖²/σ",
        SUMS,
    )
    proof.identity("T1 and T2 say: the gain is ≥ ‖g‖²/(Γσ)", gain * g**2 / (D**2 * σ), g**2 / (Γ * σ))
    claim_telescoping(proof)
    # Σ_{t<T} mean_x E[‖g‖²/(nΓσ)] ≤ Δ̄, and ⟨·⟩ = (1/T)Σ_t mean_x E.
    total = n * Γ * gap
    proof.identity("so Σ_{t<T}mean_x E[‖g‖²/σ] ≤ nΓΔ̄, which is ⟨‖g‖²/σ⟩ ≤ ΓΔ̄n/T", total / T, Γ * gap * n / T)
    claim_cauchy_schwarz(proof)
    grpo = proof.derive("GRPO", sp.factor(total / T * mean))
    proof.identity("with a = ‖g‖/√σ and b = √σ, ab is ‖g‖", (g / sp.sqrt(σ)) * sp.sqrt(σ), g)
    proof.identity("a² is ‖g‖²/σ", (g / sp.sqrt(σ)) ** 2, g**2 / σ)
    proof.identity("GRPO: ⟨‖g‖⟩² ≤ ⟨‖g‖²/σ⟩⟨σ⟩ ≤ Γσ̄Δ̄n/T", grpo, Γ * mean * gap * n / T)
    reinforce = proof.derive("REINFORCE", sp.factor(total / T * top))
    proof.identity(
        "REINFORCE: σ_max for σ gives ⟨‖g‖²⟩ ≤ Γσ_maxΔ̄n/T, and a = ‖g‖, b = 1 give ⟨‖g‖⟩² ≤ ⟨‖g‖²⟩",
        reinforce,
        Γ * top * gap * n / T,
    )
    proof.identity(
        "the ratio of the two bounds is σ̄/σ_max", proof.derive("ratio", grpo / reinforce), mean / top
    )
    return proof.done()


def smooth_step_of_reinforce(
    step: Any = "6*sqrt(3)", gain: Any = "3*sqrt(3)", rate: Any = "1/(3*sqrt(3))"
) -> Proof:
    """Prove that REINFORCE at α = 6√3/D² gains ≥ 3√3‖g‖²/D² and has ⟨‖g‖²⟩ ≤ D²Δ̄n/(3√3T), for binary rewards.

    Ours, theory C1, as a step and as a rate.

    Parameters
    ----------
    step, gain, rate : str, number or sympy expression
        The constants claimed: αD², the gain over ‖g‖²/D², and the rate over D²Δ̄n/T.

    Returns
    -------
    Proof
        Raised instead: ProofError, when a constant is not the best that the smoothness D²/(6√3) gives.

    Examples
    --------
    >>> print(smooth_step_of_reinforce().derived["smoothness"])
    sqrt(3)/18
    """
    import sympy as sp

    step, gain, rate = exact(step), exact(gain), exact(rate)
    η, g, D = sp.symbols("η ‖g‖ D", positive=True)
    proof = Derivation(
        "C1-step",
        f"binary rewards: REINFORCE at αD² = {show(step)} gains ≥ {times(gain)}‖g_x‖²/D² on every prompt, and ⟨‖g‖²⟩ ≤ "
        f"{times(rate)}D²Δ̄n/T",
        ORTHOGONAL,
        "C1-maximum: ‖∇²J_x‖ ≤ L = D²/(6√3) everywhere",
        "Taylor: J_x(θ + Δ) − J_x(θ) ≥ ⟨g_x, Δ⟩ − (L/2)‖P_xΔ‖²",
        "sampling, ⟨·⟩ and Δ̄ as in T3",
        SUMS,
    )
    L = proof.derive("smoothness", 1 / (6 * sp.sqrt(3)))
    promised = η * g**2 - L * D**2 / 2 * (η * g) ** 2
    proof.identity("P_xΔ = ηg_x: the gain is ≥ (η − LD²η²/2)‖g‖²", promised, (η - L * D**2 * η**2 / 2) * g**2)
    best = sp.diff(promised, η).subs(η, step / D**2)
    proof.identity("its derivative in η is 0 at the step; it is concave", best, 0)
    proof.identity("and the gain there", promised.subs(η, step / D**2), gain * g**2 / D**2)
    claim_telescoping(proof)
    proof.identity("so ⟨‖g‖²⟩·gain/D² ≤ Δ̄n/T: the rate is 1/gain", 1 / gain, rate)
    return proof.done()
