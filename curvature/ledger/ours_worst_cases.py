"""Our worst cases: curvature within reach of a step, the exact remainder, and what one step gains at worst."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from curvature.adversary import Inequality
from curvature.bounds import sharp
from curvature.geometry import feature_diameter, spectral_norm
from curvature.ledger.evidence import attack, gather, rarer_success, try_random, worst
from curvature.ledger.inequalities import (
    curvature,
    displaced,
    moments,
    rarer_probability,
    reward_gain,
    span_part,
)
from curvature.ledger.registry import CLAIMS
from curvature.ledger.verdicts import Outcome, judge_profile, judge_upper

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from curvature.adversary import RewardChoice
    from curvature.bandit import LogLinearBandit
    from curvature.ledger.budget import Budget
    from curvature.ledger.evidence import Evidence

    Array = NDArray[np.float64]
    Method = Literal["grpo", "reinforce"]
    Reach = Callable[[LogLinearBandit, Array], tuple[Array, Array]]

SECTION = "Ours — worst cases"
TESTS = "tests/theory/test_section_worst_cases.py"
FIGURE = "one_step_worst_case"

SHAPES = ((2, 1), (3, 1), (4, 1))
RADII = (0.1, 1.0, 4.0)  # in units of σ/D
LENGTHS = (0.01, float(np.log(2)), 2.0, 4.0, 8.0)  # s = D‖Δ‖/2
# a, below the step at which short gradients become the worst case.
STEPS: dict[Method, tuple[float, ...]] = {
    "grpo": (1.0, float(4 * np.log(2)), 4.0, 8.0, 11.8),
    "reinforce": (1.0, float(8 * np.log(2)), 10.0, 16.0, 22.0),
}
BEYOND: dict[Method, tuple[float, ...]] = {"grpo": (12.5, 14.0), "reinforce": (24.0, 28.0)}
# ‖g‖ over Dσ/2 below which a gain, of order ‖g‖², is not measured: there it is a + O(‖g‖), less at most a²/16.
SHORTEST = 1e-3


@CLAIMS.claim(
    id="C1-window",
    statement="""For rewards in {0, 1} and every Δ: ‖∇²J_x(θ + Δ)‖ ≤ D² max ℓ(q') over |z' − z| ≤ D‖PΔ‖,
    z = log(p/(1 − p)); reached by two responses where the maximum is at q' ≤ 1/4.""",
    source="Ours, theory C1, along a step",
    section=SECTION,
    kind="sharp upper bound",
    test=f"{TESTS}::test_curvature_within_reach_is_the_profile_over_the_window_of_log_odds",
    proofs=["C1-window"],
)
def c1_window(budget: Budget) -> Outcome:
    """Attack with binary rewards and D‖Δ‖ from 1/1000 to 6."""
    evidence = gather(WINDOW, "binary", budget)
    return judge_upper(evidence, "a window whose maximum is at q' > 1/4 is reached at Δ = 0 alone.")


@CLAIMS.claim(
    id="Lemma-3.3-sharp",
    statement="""For rewards in {0, 1}: ‖∇²J_x(θ')‖ ≤ c₃ X² σ(θ) for ‖θ' − θ‖ ≤ σ(θ)/X with c₃ = 0.587284, the least
    constant that will do; the paper has 5/2.""",
    source="Ours, theory C1; Lemma 3.3 made sharp",
    section=SECTION,
    kind="sharp upper bound",
    test=f"{TESTS}::test_sharp_constant_of_lemma_3_3_is_reached_by_two_responses",
    proofs=["Lemma 3.3-sharp"],
)
def lemma_3_3_sharp(budget: Budget) -> Outcome:
    """Attack in the paper's units at radius σ/X, and in units of D at three radii."""
    evidence = gather(NEARBY_SPECTRAL, "binary", budget)
    parts = [attack(nearby(radius), "binary", budget, shapes=SHAPES) for radius in RADII]
    tried = ", ".join(f"{part.ratio:.4f} at {radius:g}σ/D" for part, radius in zip(parts, RADII, strict=True))
    return judge_profile(
        [evidence, *parts],
        worst(parts),
        f"at radius σ/X the worst is {rarer_success(evidence)}; of the bound in D, {tried}.",
    )


@CLAIMS.claim(
    id="L4-exact",
    statement="""For any rewards: |J_x(θ + Δ) − J_x(θ) − ⟨∇J_x(θ), Δ⟩| ≤ σ(θ) Ψ(s), s = D‖PΔ‖/2, Ψ(s) = max over p of
    √(p(1 − p)) |(e²ˢ − 1)/(1 + p(e²ˢ − 1)) − 2s|, reached at every s by two responses of rewards 0 and 1.""",
    source="Ours, theory L4 made exact",
    section=SECTION,
    kind="sharp upper bound",
    test=f"{TESTS}::test_exact_remainder_is_reached_at_every_length_of_step",
    proofs=["L4-exact"],
)
def l4_exact(budget: Budget) -> Outcome:
    """Attack with real rewards at five lengths of step, and with random ones at any."""
    parts = [attack(remainder(s), "real", budget, shapes=SHAPES) for s in LENGTHS]
    binary = min(attack(remainder(s), "binary", budget, shapes=SHAPES[:1]).ratio for s in LENGTHS)
    share = float(sharp.ascent_remainder_exact(1, 2, np.log(2)) / sharp.ascent_remainder(1, 2, np.log(2)))
    tried = ", ".join(f"{s:.2g}" for s in LENGTHS)
    return judge_profile(
        parts,
        try_random(REMAINDER, "real", budget),
        f"reached to {min(part.ratio for part in parts):.4f} at s = {tried}, by rewards of 0 and 1 to {binary:.4f}; "
        f"at s = ln 2 it is {share:.4f} of L4's.",
    )


@CLAIMS.claim(
    id="one-step-C1",
    statement="""Orthogonal prompts, rewards in {0, 1}: GRPO's step α = a/D², a ≤ 4, gains at least
    (a − a²/8)‖g_x‖²/(D²σ_x): 2 in place of T1's 1.545 at a = 4.""",
    source="Ours, theory T1 under C1",
    section=SECTION,
    kind="upper bound",
    test=f"{TESTS}::test_certificate_of_an_ascending_step_holds_and_beats_t1",
    figure=FIGURE,
    proofs=["one-step-C1"],
)
def one_step_c1(budget: Budget) -> Outcome:
    """Attack with binary rewards at a = 1, 4 ln 2 and 4."""
    parts = [gather(certified(a), "binary", budget) for a in STEPS["grpo"][:3]]
    worst_gain = float(sharp.one_step_gain(4.0).lowest)
    return judge_profile(
        parts[-1:],
        worst(parts[:-1]),
        f"at a = 4 two responses gain {worst_gain:.3f}, the least; at a = 1 {parts[0].ratio:.3f} of it is promised.",
    )


@CLAIMS.claim(
    id="one-step-grpo",
    statement="""Conjecture: with any rewards GRPO's step α = a/D² gains at least min(κ₂(a), a − a²/16)‖g_x‖²/(D²σ_x),
    κ₂ the infimum over two responses. Proved: nothing larger holds. Best at a = 11.89: 3.0551.""",
    source="Ours, T1's constant at its best",
    section=SECTION,
    kind="sharp upper bound",
    test=f"{TESTS}::test_no_search_goes_below_two_arms_and_the_limit_of_short_gradients",
    figure=FIGURE,
    proofs=["one-step-short"],
)
def one_step_grpo(budget: Budget) -> Outcome:
    """Attack with real rewards at five steps, and beyond the best step, where gradients tend to 0."""
    return _one_step("grpo", "real", budget)


@CLAIMS.claim(
    id="one-step-reinforce",
    statement="""Conjecture: with rewards of range 1 REINFORCE's step α = a/D² gains at least
    min(κ₂(a), a − a²/32)‖g_x‖²/D², κ₂ the infimum over two responses. Proved: nothing larger holds. Best at a = 22.50:
    6.6810, so that with the best constants of both GRPO's rate is the better one where σ̄ < 0.457.""",
    source="Ours, T2's constant at its best",
    section=SECTION,
    kind="sharp upper bound",
    test=f"{TESTS}::test_no_search_goes_below_two_arms_and_the_limit_of_short_gradients",
    figure=FIGURE,
    proofs=["one-step-short"],
)
def one_step_reinforce(budget: Budget) -> Outcome:
    """Attack with binary rewards: at fixed ‖g‖ the gain is linear in the rewards, so those suffice."""
    return _one_step("reinforce", "binary", budget)


def _one_step(method: Method, rewards: RewardChoice, budget: Budget) -> Outcome:
    parts = [attack(gain(a, method), rewards, budget, shapes=SHAPES) for a in STEPS[method]]
    free: list[Evidence] = [try_random(gain(a, method), rewards, budget) for a in STEPS[method]]
    free += [attack(gain(a, method), rewards, budget, shapes=SHAPES) for a in BEYOND[method]]
    tried = ", ".join(f"{a:.3g}" for a in STEPS[method])
    beyond = ", ".join(f"{a:g}" for a in BEYOND[method])
    return judge_profile(
        parts,
        worst(free),
        f"reached to {min(part.ratio for part in parts):.4f} at each a = {tried}, by two responses; never broken, "
        f"nor at a = {beyond}, where gradients tend to 0.",
    )


# ---- the inequalities


def _window(bandit: LogLinearBandit, theta: Array, displacement: Array | None) -> tuple[Array, Array]:
    assert displacement is not None  # Inequality.ratio sees to it
    q = rarer_probability(bandit, moments(bandit, theta))
    reach = span_part(bandit, displacement)
    bound = sharp.hessian_norm_nearby_binary(q, feature_diameter(bandit), reach)
    return curvature(displaced(bandit, displacement), theta), bound


def _lengths(least: float, largest: float) -> Reach:
    """Give the lengths ‖Δ‖ with least ≤ D‖Δ‖ ≤ largest."""

    def reach(bandit: LogLinearBandit, theta: Array) -> tuple[Array, Array]:
        D = feature_diameter(bandit)
        unit = np.where(D > 0, 1 / np.where(D > 0, D, 1.0), 0.0)
        return least * unit, largest * unit

    return reach


WINDOW = Inequality("C1 along a step", _window, _lengths(1e-3, 6.0), unit="D² max ℓ")


def _nearby_spectral(
    bandit: LogLinearBandit, theta: Array, displacement: Array | None
) -> tuple[Array, Array]:
    assert displacement is not None
    X, σ = spectral_norm(bandit), moments(bandit, theta).reward_std
    return curvature(displaced(bandit, displacement), theta), sharp.nearby_constant(1.0) * X**2 * σ


def _spectral_ball(bandit: LogLinearBandit, theta: Array) -> tuple[Array, Array]:
    X, σ = spectral_norm(bandit), moments(bandit, theta).reward_std
    radius = np.where(X > 0, σ / np.where(X > 0, X, 1.0), 0.0)
    return np.zeros_like(radius), radius


NEARBY_SPECTRAL = Inequality(
    "Lemma 3.3, sharp",
    _nearby_spectral,
    _spectral_ball,
    "spectral_norm",
    float(sharp.nearby_constant(1.0)),
    "X² √(p(1 − p))",
)


def nearby(radius: float) -> Inequality:
    """Claim ‖∇²J(θ')‖ ≤ c·D²σ(θ) for ‖θ' − θ‖ ≤ radius·σ(θ)/D, c the sharp constant of that radius.

    Ours. Kind: sharp upper bound.

    Parameters
    ----------
    radius : float
        In units of σ/D.

    Returns
    -------
    Inequality
        For binary rewards.
    """
    constant = float(sharp.nearby_constant(radius, "diameter"))

    def sides(bandit: LogLinearBandit, theta: Array, displacement: Array | None) -> tuple[Array, Array]:
        assert displacement is not None
        D, σ = feature_diameter(bandit), moments(bandit, theta).reward_std
        return curvature(displaced(bandit, displacement), theta), constant * D**2 * σ

    def reach(bandit: LogLinearBandit, theta: Array) -> tuple[Array, Array]:
        D, σ = feature_diameter(bandit), moments(bandit, theta).reward_std
        length = np.where(D > 0, radius * σ / np.where(D > 0, D, 1.0), 0.0)
        return np.zeros_like(length), length

    return Inequality(f"curvature within {radius:g}σ/D", sides, reach, constant=constant, unit="D²σ")


def _remainder(bandit: LogLinearBandit, theta: Array, displacement: Array | None) -> tuple[Array, Array]:
    assert displacement is not None
    σ, length = moments(bandit, theta).reward_std, span_part(bandit, displacement)
    bound = sharp.ascent_remainder_exact(σ, feature_diameter(bandit), length)
    return _measured_remainder(bandit, theta, displacement), bound


def _measured_remainder(bandit: LogLinearBandit, theta: Array, displacement: Array) -> Array:
    linear = np.einsum("nd,nd->n", moments(bandit, theta).gradient, displacement)
    return np.abs(reward_gain(bandit, theta, displacement) - linear)


REMAINDER = Inequality("exact L4", _remainder, _lengths(2e-3, 16.0), unit="σΨ(s)")


def remainder(length: float) -> Inequality:
    """Claim |J(θ + Δ) − J(θ) − ⟨∇J(θ), Δ⟩| ≤ σΨ(s) at one s.

    Ours. Kind: sharp upper bound.

    Parameters
    ----------
    length : float
        s = D‖Δ‖/2.

    Returns
    -------
    Inequality
        For any rewards.
    """
    largest = float(sharp.ascent_remainder_exact(1.0, 2.0, length))

    def sides(bandit: LogLinearBandit, theta: Array, displacement: Array | None) -> tuple[Array, Array]:
        assert displacement is not None
        return _measured_remainder(bandit, theta, displacement), largest * moments(bandit, theta).reward_std

    return Inequality(f"exact L4 at s = {length:.3g}", sides, _lengths(2 * length, 2 * length), unit="σΨ(s)")


def gain(step: float, method: Method) -> Inequality:
    """Claim that one step gains what the smaller of the two known worst cases does.

    Ours. Kind: sharp upper bound, conjectured.

    Parameters
    ----------
    step : float
        a = αD².
    method : {"grpo", "reinforce"}
        Whose step; for REINFORCE rewards must have range 1.

    Returns
    -------
    Inequality
        The promised gain against the gain.
    """
    lowest = float(sharp.one_step_gain(step, method).lowest)
    return _promise(f"gain of {method} at a = {step:.4g}", step, method, lowest)


def certified(step: float) -> Inequality:
    """Claim that one step of GRPO gains what its certificate for binary rewards says.

    Ours, theory T1 under C1. Kind: upper bound.

    Parameters
    ----------
    step : float
        a = αD².

    Returns
    -------
    Inequality
        The promised gain against the gain.
    """
    promised = float(sharp.one_step_certificate(step))
    return _promise(f"certified gain at a = {step:.4g}", step, "grpo", promised)


def _promise(name: str, step: float, method: Method, constant: float) -> Inequality:
    """Claim constant·‖g‖²/(D²σ^e) ≤ J(θ + ag/(D²σ^e)) − J(θ), e = 1 for GRPO and 0 for REINFORCE, of one prompt."""

    def sides(bandit: LogLinearBandit, theta: Array, displacement: Array | None) -> tuple[Array, Array]:
        at, D = moments(bandit, theta), feature_diameter(bandit)
        norm, σ = np.linalg.norm(at.gradient, axis=-1), at.reward_std
        seen = 2 * norm > SHORTEST * D * σ
        scale = np.where(seen, D**2 * σ if method == "grpo" else D**2, 1.0)
        after = step_gain(bandit, theta, (step / scale)[:, None] * at.gradient)
        # In units of ‖g‖²/scale: the two sides are then numbers of order 1 for a prompt of any size.
        unit = np.where(seen, norm**2 / scale, 1.0)
        return np.where(seen, constant, 0.0), np.where(seen, after / unit, 1.0)

    return Inequality(name, sides, constant=constant, unit="‖g‖²/(D²σ)" if method == "grpo" else "‖g‖²/D²")


def step_gain(bandit: LogLinearBandit, theta: Array, displacement: Array) -> Array:
    """Compute J(θ + Δ) − J(θ) = E[A(e^w − 1)]/E e^w, which keeps its digits however short Δ is.

    Ours. Kind: identity.

    Parameters
    ----------
    bandit : LogLinearBandit
        n prompts.
    theta : ndarray, shape (d,)
        θ.
    displacement : ndarray, shape (n, d)
        Δ of each prompt.

    Returns
    -------
    ndarray, shape (n,)
        The gain of each prompt.
    """
    π = moments(bandit, theta).probabilities
    likeliest = bandit.rewards[np.arange(bandit.num_prompts), π.argmax(axis=-1)]
    relative = np.where(bandit.mask, bandit.rewards - likeliest[:, None], 0.0)
    advantage = relative - (π * relative).sum(axis=-1, keepdims=True)
    w = np.einsum("nkd,nd->nk", bandit.centered_features, displacement)
    # Relative to the likeliest response's logit, so that e^w neither overflows nor all vanishes.
    w = np.where(bandit.mask, w - w[np.arange(bandit.num_prompts), π.argmax(axis=-1)][:, None], 0.0)
    grown = np.expm1(w)
    return (π * advantage * grown).sum(axis=-1) / (1 + (π * grown).sum(axis=-1))
