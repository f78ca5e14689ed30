"""Every assumption is needed: a stored instance meets all premises of a theorem but one, and breaks its conclusion.

The instances are files of ``tests/witnesses``, which ``curvature.testing.replay`` reads. A file names the theorem, the
premise that is dropped and the two numbers of the conclusion; here premises are checked and numbers are computed
anew.
"""

import math
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from curvature import feature_diameter, group_advantages, hessian_extremes, moments, spectral_norm
from curvature.assumptions import (
    check_bounded_variance,
    check_cross_prompt,
    check_orthogonal,
    check_unique_answer,
    scale_regularity,
)
from curvature.bounds import paper, sharp
from curvature.interference import overlap_matrix, total_overlap, weight_disparity
from curvature.testing import replay

FOLDER = Path(__file__).parents[1] / "witnesses"


@dataclass(frozen=True)
class Found:
    """Premises by name, one of which must be false, and the sides of the conclusion for each place it is about."""

    premises: dict
    measured: np.ndarray
    bound: np.ndarray
    kind: str = "upper"


def curvature(bandit, theta):
    return np.abs(hessian_extremes(bandit, theta)).max(axis=-1)


def largest_norm(bandit):
    return float(spectral_norm(bandit).max())


def weights_of(method, at):
    return np.ones_like(at.reward_std) if method == "reinforce" else 1 / at.reward_std


def all_at_once(bandit, theta, method, step):
    """What each prompt gains by θ + α Σ_x a_xg_x."""
    at = moments(bandit, theta)
    after = moments(bandit, theta + step * weights_of(method, at) @ at.gradient)
    return after.expected_reward - at.expected_reward


def one_drawn(bandit, theta, method, step):
    """What each prompt gains on average when one prompt is drawn and θ + η a_xg_x follows it."""
    at = moments(bandit, theta)
    moved = theta + step * weights_of(method, at)[:, None] * at.gradient
    return moments(bandit, moved).expected_reward.mean(axis=0) - at.expected_reward


def lemma_3_1_without_binary_rewards(bandit, theta):
    at, X = moments(bandit, theta), spectral_norm(bandit)
    return Found(
        {"rewards are 0 or 1": bandit.is_binary}, curvature(bandit, theta), 4 * X**2 * at.reward_std**2
    )


def lemma_3_3(bandit, theta, displacement):
    at, X = moments(bandit, theta), spectral_norm(bandit)
    premises = {
        "rewards are 0 or 1": bandit.is_binary,
        "‖θ' − θ‖ ≤ σ/X": bool((np.linalg.norm(displacement, axis=-1) <= at.reward_std / X).all()),
    }
    measured = curvature(bandit, theta + displacement[0])
    return Found(premises, measured, 2.5 * X**2 * at.reward_std)


def lemma_d_1_without_orthogonality(bandit, theta):
    g = moments(bandit, theta).gradient
    premises = {"A1": check_unique_answer(bandit).holds, "A2": check_orthogonal(bandit).holds}
    return Found(premises, np.array([abs(float(g[0] @ g[1]))]), np.zeros(1))


def of_theorem_3_1(bandit, theta, step_factor=1.0):
    g, X, n = moments(bandit, theta).gradient, largest_norm(bandit), bandit.num_prompts
    premises = {
        "A1": check_unique_answer(bandit).holds,
        "A2": check_orthogonal(bandit, centered=True).holds,
        "η = 1/X²": step_factor == 1,
    }
    gain = one_drawn(bandit, theta, "reinforce", step_factor / X**2)
    return Found(premises, gain, (g**2).sum(axis=-1) / (2 * n * X**2), "lower")


def of_theorem_3_2(bandit, theta, std_bound=None):
    at, X, n = moments(bandit, theta), largest_norm(bandit), bandit.num_prompts
    C = at.reward_std if std_bound is None else std_bound
    premises = {
        "A1": check_unique_answer(bandit).holds,
        "A2": check_orthogonal(bandit, centered=True).holds,
        "A3": check_bounded_variance(at.reward_std, C).holds,
    }
    gain = one_drawn(bandit, theta, "grpo", 0.5 / X**2)
    return Found(premises, gain, 3 * (at.gradient**2).sum(axis=-1) / (16 * n * X**2 * C), "lower")


def of_theorem_3_3(bandit, theta, cross_prompt):
    """One entry of ``cross_prompt`` each: whatever number stands for M, the gain is missed."""
    g, X, n = moments(bandit, theta).gradient, largest_norm(bandit), bandit.num_prompts
    needed = check_cross_prompt(bandit, theta)
    premises = {
        "A1": check_unique_answer(bandit).holds,
        "A4 for some M": needed.holds,
        "A4 for the M of the step": bool(needed.constant <= min(cross_prompt)),
    }
    factors = np.maximum(1, np.asarray(cross_prompt) / 2)
    gains = [one_drawn(bandit, theta, "reinforce", 1 / (factor * X**2))[0] for factor in factors]
    return Found(premises, np.array(gains), (g[0] ** 2).sum() / (2 * n * factors * X**2), "lower")


def theorem_3_4_without_like_stds(bandit, theta, std_ratio):
    at, X, n = moments(bandit, theta), largest_norm(bandit), bandit.num_prompts
    M, scales = check_cross_prompt(bandit, theta).constant, scale_regularity(bandit, theta)
    premises = {
        "A1": check_unique_answer(bandit).holds,
        "A3": check_bounded_variance(at.reward_std, at.reward_std).holds,
        "A4": bool(np.isfinite(M)),
        "A5, gradients": scales.gradient_ratio < 1.01,
        "A5, stds": bool(scales.std_ratio <= std_ratio),
    }
    factor = max(scales.gradient_ratio, 5 * M / 8) * std_ratio
    gain = one_drawn(bandit, theta, "grpo", 1 / (2 * factor * X**2))
    bound = 3 * (at.gradient**2).sum(axis=-1) / (16 * n * factor * X**2 * at.reward_std)
    return Found(premises, gain[:1], bound[:1], "lower")


def of_theorem_t1(bandit, theta, step_factor=1.0):
    at, D = moments(bandit, theta), float(feature_diameter(bandit).max())
    promised = sharp.theorem_t1(np.linalg.norm(at.gradient, axis=-1), at.reward_std, D)
    premises = {
        "P_xP_x' = 0": check_orthogonal(bandit, centered=True).holds,
        "α = 4c₀/D²": step_factor == 1,
    }
    return Found(
        premises, all_at_once(bandit, theta, "grpo", step_factor * promised.step), promised.gain, "lower"
    )


def theorem_t1_without_exact_gradients(bandit, theta, drawn):
    at, D = moments(bandit, theta), float(feature_diameter(bandit).max())
    promised = sharp.theorem_t1(np.linalg.norm(at.gradient, axis=-1), at.reward_std, D)
    rewards, features = bandit.rewards[0, drawn], bandit.features[0, drawn]
    score = features - at.probabilities[0] @ bandit.features[0]
    estimate = (group_advantages(rewards[None])[0][:, None] * score).mean(axis=0)
    exact = bool(np.allclose(estimate, at.gradient[0] / at.reward_std[0], rtol=1e-6))
    gain = moments(bandit, theta + promised.step * estimate).expected_reward - at.expected_reward
    premises = {
        "one prompt": bandit.num_prompts == 1,
        "the group has both rewards": bool(np.ptp(rewards) > 0),
        "the step is along ∇J/σ": exact,
    }
    return Found(premises, gain, promised.gain, "lower")


def theorem_t2_without_the_largest_std(bandit, theta, largest_std):
    at, D = moments(bandit, theta), float(feature_diameter(bandit).max())
    promised = sharp.theorem_t2(np.linalg.norm(at.gradient, axis=-1), largest_std, D)
    premises = {
        "P_xP_x' = 0": check_orthogonal(bandit, centered=True).holds,
        "σ_max ≥ σ_x for every x": bool((at.reward_std <= largest_std).all()),
    }
    return Found(
        premises, all_at_once(bandit, theta, "reinforce", promised.step)[:1], promised.gain[:1], "lower"
    )


def theorem_c1_without_binary_rewards(bandit, theta):
    J = moments(bandit, theta).expected_reward
    premises = {"J is in [0, 1]": bool(((J >= 0) & (J <= 1)).all()), "rewards are 0 or 1": bandit.is_binary}
    return Found(premises, curvature(bandit, theta), sharp.hessian_norm_binary(J, feature_diameter(bandit)))


def short_step_ratio(gradient_norm, reward_std, diameter):
    """Largest certified gain of a short step, GRPO's over REINFORCE's: (Σa‖g‖²)²/(ΣD²σa²‖g‖²) of each."""
    square = gradient_norm**2

    def largest(a):
        return (a * square).sum() ** 2 / (diameter**2 * reward_std * a**2 * square).sum()

    return largest(1 / reward_std) / largest(np.ones_like(reward_std))


def theorem_t5_without_one_diameter(bandit, theta):
    at, D = moments(bandit, theta), feature_diameter(bandit)
    norms = np.linalg.norm(at.gradient, axis=-1)
    premises = {
        "P_xP_x' = 0": check_orthogonal(bandit, centered=True).holds,
        "prompts have one diameter": bool(np.ptp(D) < 1e-12),
    }
    return Found(premises, np.array([short_step_ratio(norms, at.reward_std, D)]), np.ones(1), "lower")


def theorem_t5_without_short_steps(bandit, theta):
    at, D = moments(bandit, theta), feature_diameter(bandit)
    norms = np.linalg.norm(at.gradient, axis=-1)
    best, longest = [], []
    for a in (1 / at.reward_std, np.ones_like(at.reward_std)):
        found = sharp.theorem_b1_step((a * norms**2).sum(), at.reward_std, D * a * norms)
        best.append(float(found.gain))
        longest.append(float((found.step * D * a * norms / 2).max()))
    premises = {
        "P_xP_x' = 0": check_orthogonal(bandit, centered=True).holds,
        "prompts have one diameter": bool(np.ptp(D) < 1e-12),
        "ψ(s) = s²/2 to 1 %": max(longest) < 0.03,
    }
    return Found(premises, np.array([best[0] / best[1]]), np.ones(1), "lower")


def theorem_t5_without_its_curvature(bandit, theta, curvature_bound):
    at, D = moments(bandit, theta), feature_diameter(bandit)
    norms = np.linalg.norm(at.gradient, axis=-1)
    kappa = sharp.theorem_t5(norms, at.reward_std, at.expected_reward)
    premises = {
        "P_xP_x' = 0": check_orthogonal(bandit, centered=True).holds,
        "prompts have one diameter": bool(np.ptp(D) < 1e-12),
        "curvature is bounded by D²σ/4": curvature_bound == "D²σ/4",
    }
    return Found(premises, np.array([kappa.by_profile]), np.ones(1), "lower")


def theorem_b2_without_small_overlap(bandit, theta, weights):
    g, c = moments(bandit, theta).gradient, overlap_matrix(bandit)
    premises = {
        "weights are positive": bool((weights > 0).all()),
        "δχ < 1": bool(total_overlap(c) * weight_disparity(weights, c) < 1),
    }
    return Found(premises, np.array([g.sum(axis=0) @ (weights @ g)]), np.zeros(1), "lower")


def d1_without_binary_rewards(bandit, theta, group_size):
    """Over all groups: the part of E ĝ that is across ∇J, as a share of E ĝ."""
    at = moments(bandit, theta)
    π, φ = at.probabilities[0], bandit.features[0]
    mean = np.zeros(bandit.dimension)
    for group in product(range(len(π)), repeat=int(group_size)):
        members = list(group)
        advantage = group_advantages(bandit.rewards[0, members][None])[0]
        mean += np.prod(π[members]) * (advantage[:, None] * (φ[members] - π @ φ)).mean(axis=0)
    along = at.gradient[0] / np.linalg.norm(at.gradient[0])
    across = np.linalg.norm(mean - (mean @ along) * along) / np.linalg.norm(mean)
    return Found({"rewards are 0 or 1": bandit.is_binary}, np.array([across]), np.zeros(1))


CHECKS = {
    "lemma-3.1-without-binary-rewards": lemma_3_1_without_binary_rewards,
    "lemma-3.3-without-binary-rewards": lemma_3_3,
    "lemma-3.3-without-its-radius": lemma_3_3,
    "lemma-d.1-without-orthogonality": lemma_d_1_without_orthogonality,
    "theorem-3.1-without-orthogonality": of_theorem_3_1,
    "theorem-3.1-without-its-step": of_theorem_3_1,
    "theorem-3.2-without-orthogonality": of_theorem_3_2,
    "theorem-3.2-without-a-std-bound": of_theorem_3_2,
    "theorem-3.3-without-agreeing-gradients": of_theorem_3_3,
    "theorem-3.3-without-the-step-of-its-constant": of_theorem_3_3,
    "theorem-3.4-without-like-stds": theorem_3_4_without_like_stds,
    "theorem-t1-without-orthogonality": of_theorem_t1,
    "theorem-t1-without-its-step": of_theorem_t1,
    "theorem-t1-without-exact-gradients": theorem_t1_without_exact_gradients,
    "theorem-t2-without-the-largest-std": theorem_t2_without_the_largest_std,
    "theorem-c1-without-binary-rewards": theorem_c1_without_binary_rewards,
    "theorem-t5-without-one-diameter": theorem_t5_without_one_diameter,
    "theorem-t5-without-short-steps": theorem_t5_without_short_steps,
    "theorem-t5-without-its-curvature": theorem_t5_without_its_curvature,
    "theorem-b2-without-small-overlap": theorem_b2_without_small_overlap,
    "d1-without-binary-rewards": d1_without_binary_rewards,
}
# A4 for no M at all is A4 failing for the M of the step, too.
IMPLIED = {"A4 for some M": {"A4 for the M of the step"}}


def test_every_stored_witness_is_replayed():
    assert {path.stem for path in FOLDER.iterdir()} == set(CHECKS)


@pytest.mark.parametrize("name", CHECKS)
def test_theorem_fails_without_its_assumption_and_all_others_hold(name):
    stored = replay(FOLDER / f"{name}.json")
    found = CHECKS[name](**stored.values)
    dropped = stored.facts["without"]
    assert dropped in found.premises
    broken = {premise for premise, holds in found.premises.items() if not holds}
    assert broken - IMPLIED.get(dropped, set()) == {dropped}
    measured, bound = np.broadcast_arrays(found.measured, found.bound)
    at = tuple(stored.facts["where"])
    # Far beyond rounding, which is all that a check of the theorem allows.
    if found.kind == "upper":
        assert measured[at] > bound[at] + 1e-6 * max(abs(bound[at]), abs(measured[at]))
    else:
        assert measured[at] < bound[at] - 1e-6 * max(abs(bound[at]), abs(measured[at]))
    assert measured[at] == pytest.approx(stored.facts["measured"], rel=1e-7)
    assert bound[at] == pytest.approx(stored.facts["bound"], rel=1e-9)


def test_no_number_put_for_m_saves_theorem_3_3_where_gradients_oppose():
    stored = replay(FOLDER / "theorem-3.3-without-agreeing-gradients.json")
    found = of_theorem_3_3(**stored.values)
    assert check_cross_prompt(stored.bandit, stored.theta).constant == math.inf
    assert max(stored.values["cross_prompt"]) >= 1e6
    assert (found.measured < 0).all()
    assert (found.bound > 0).all()


def test_restoring_the_premise_restores_the_conclusion():
    def holds(found):
        slack = 1e-9 * np.abs(found.bound)
        return bool((found.measured >= found.bound - slack).all()) and all(found.premises.values())

    for name, mended in (
        ("theorem-3.1-without-its-step", {"step_factor": 1.0}),
        ("theorem-t1-without-its-step", {"step_factor": 1.0}),
        ("theorem-3.2-without-a-std-bound", {"std_bound": None}),
    ):
        stored = replay(FOLDER / f"{name}.json")
        assert holds(CHECKS[name](**{**stored.values, **mended})), name
    for name, argument in (
        ("theorem-3.3-without-the-step-of-its-constant", "cross_prompt"),
        ("theorem-3.4-without-like-stds", "std_ratio"),
        ("theorem-t2-without-the-largest-std", "largest_std"),
    ):
        stored = replay(FOLDER / f"{name}.json")
        bandit, theta = stored.bandit, stored.theta
        needed = {
            "cross_prompt": [check_cross_prompt(bandit, theta).constant],
            "std_ratio": scale_regularity(bandit, theta).std_ratio,
            "largest_std": moments(bandit, theta).reward_std.max(),
        }[argument]
        assert holds(CHECKS[name](**{**stored.values, argument: needed})), name


def test_paper_calculators_promise_nothing_where_an_assumption_fails():
    # What a user of the calculators is told: a constant of infinity, and with it a gain of 0.
    stored = replay(FOLDER / "theorem-3.3-without-agreeing-gradients.json")
    M = check_cross_prompt(stored.bandit, stored.theta).constant
    rate = paper.theorem_3_3(2, 0.5, 1.0, 10, M)
    assert float(rate.gradient_sum) == math.inf
