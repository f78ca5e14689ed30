"""Our rates: what T1–T5, B1, B2 and C1's smoothness promise is gained, how closely, and what each needs."""

from math import log, sqrt

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from curvature import LogLinearBandit, feature_diameter, moments
from curvature.assumptions import check_cross_prompt
from curvature.bounds import expected_run, sharp
from curvature.interference import (
    certified_gain,
    certified_speedup,
    certified_step,
    overlap_matrix,
    total_overlap,
    weight_disparity,
)
from curvature.ledger import CLAIMS, Budget, Verdict
from curvature.ledger.ours_rates import LIKE_CURVED, UNLIKE_LENGTHS
from curvature.testing import assert_upper, bandits_with_theta

SMALL = Budget(instances=600, starts=50, restarts=1)
ORTHOGONAL = bandits_with_theta(max_prompts=4, orthogonal=True)
K0 = 2 * log(2) - 1
# J is a weighted mean of rewards up to 3 in size.
ROUNDING = 1e-13


def outcome_of(id):
    return CLAIMS[id].check(SMALL)


def _gains(bandit, theta, weights, step):
    at = moments(bandit, theta)
    after = moments(bandit, theta + step * weights @ at.gradient)
    return after.expected_reward - at.expected_reward


# ---- one step


@given(ORTHOGONAL)
def test_certified_step_of_grpo_gains_what_t1_says(drawn):
    bandit, theta = drawn
    D, at = float(feature_diameter(bandit).max()), moments(bandit, theta)
    assume(D > 0 and at.reward_std.min() > 1e-9)
    gains = _gains(bandit, theta, 1 / at.reward_std, 4 * log(2) / D**2)
    promised = 4 * K0 / D**2 * (at.gradient**2).sum(axis=-1) / at.reward_std
    assert_upper(promised, gains, atol=ROUNDING, name="T1")


@given(ORTHOGONAL)
def test_certified_step_of_reinforce_gains_what_t2_says(drawn):
    bandit, theta = drawn
    D, at = float(feature_diameter(bandit).max()), moments(bandit, theta)
    assume(D > 0 and at.reward_std.max() > 1e-9)
    largest = at.reward_std.max()
    gains = _gains(bandit, theta, np.ones(bandit.num_prompts), 4 * log(2) / (D**2 * largest))
    promised = 4 * K0 / D**2 * (at.gradient**2).sum(axis=-1) / largest
    assert_upper(promised, gains, atol=ROUNDING, name="T2")


@given(bandits_with_theta(max_prompts=4, orthogonal=True, rewards="one_correct"))
def test_step_of_the_sharpest_smoothness_gains_what_it_says(drawn):
    bandit, theta = drawn
    D, at = float(feature_diameter(bandit).max()), moments(bandit, theta)
    assume(D > 0)
    L = D**2 / (6 * sqrt(3))
    gains = _gains(bandit, theta, np.ones(bandit.num_prompts), 1 / L)
    assert_upper((at.gradient**2).sum(axis=-1) / (2 * L), gains, atol=ROUNDING, name="C1's step")


@pytest.mark.parametrize(("id", "looseness"), [("T1", 1.2514), ("T2", 1.2514), ("C1-step", 1.108)])
def test_steps_are_loose_by_what_the_ledger_says(id, looseness):
    found = outcome_of(id)
    assert found.verdict is Verdict.LOOSE
    assert found.looseness == pytest.approx(looseness, abs=1e-3)


# ---- runs


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("profile", [(0.02, 0.05, 0.1), (0.3, 0.5, 0.7), (0.001, 0.001, 0.9)])
def test_mean_gradients_stay_below_t3_and_the_rate_of_c1(profile, n):
    """Full batches (n = 1) and one of three prompts a step, whose expectations are exact; D = 1."""
    bandit, T, gap = LogLinearBandit.two_arm(profile), 60, 1 - np.mean(profile)
    Γ = 1 / (4 * K0)
    arms = {"grpo": ("grpo", 4 * log(2)), "T2": ("reinforce", 8 * log(2)), "C1": ("reinforce", 6 * sqrt(3))}
    runs = {name: expected_run(bandit, method, T, step=step) for name, (method, step) in arms.items()}
    norms = {k: (r.own_gradient_norm if n == 1 else r.gradient_norm)[:-1] for k, r in runs.items()}
    squares = {k: (r.own_gradient_norm**2 if n == 1 else r.squared_gradient)[:-1] for k, r in runs.items()}
    std = (runs["grpo"].own_reward_std if n == 1 else runs["grpo"].reward_std)[:-1].mean()
    assert_upper(norms["grpo"].mean() ** 2, Γ * std * gap * n / T, name="T3, GRPO")
    assert_upper(squares["T2"].mean(), Γ * 0.5 * gap * n / T, name="T3, REINFORCE")
    assert_upper(squares["C1"].mean(), gap * n / (3 * sqrt(3) * T), name="rate of C1")


@pytest.mark.parametrize("id", ["T3-reinforce", "T3-grpo", "C1-rate"])
def test_rates_are_within_a_factor_of_two_of_a_run(id):
    found = outcome_of(id)
    assert found.verdict is Verdict.LOOSE
    assert 1 < found.looseness < 2


@given(st.lists(st.lists(st.floats(1e-3, 0.5), min_size=3, max_size=3), min_size=1, max_size=6))
def test_t4_splits_the_ratio_into_two_factors_of_at_most_one(path):
    split = sharp.theorem_t4(path, 0.5)
    assert float(split.total) == pytest.approx(np.mean(path) / 0.5)
    assert max(float(split.across_iterations), float(split.across_prompts)) <= 1 + 1e-12


def test_t4_holds_in_the_ledger():
    assert outcome_of("T4").verdict is Verdict.HOLDS


# ---- T5


@given(ORTHOGONAL)
def test_kappa_is_at_least_one_and_only_for_short_steps(drawn):
    bandit, theta = drawn
    at = moments(bandit, theta)
    assume(at.reward_std.min() > 1e-9 and np.linalg.norm(at.gradient) > 1e-9)
    κ = float(sharp.theorem_t5(np.linalg.norm(at.gradient, axis=-1), at.reward_std).by_std)
    assert κ >= 1 - 1e-12


def test_exact_certified_steps_can_favour_reinforce_where_kappa_does_not():
    at = moments(UNLIKE_LENGTHS, np.zeros(2))
    norms = np.linalg.norm(at.gradient, axis=-1)
    assert norms[0] > norms[1]
    assert at.reward_std[0] < at.reward_std[1]
    κ = float(sharp.theorem_t5(norms, at.reward_std).by_std)
    exact = float(certified_speedup(UNLIKE_LENGTHS, np.zeros(2), 1 / at.reward_std))
    assert (κ, exact) == (pytest.approx(1.0044, abs=5e-5), pytest.approx(0.9959, abs=5e-5))
    # The best gain with ψ(s) = s²/2 in place of ψ is (Σa‖g‖²)²/Σσa²‖g‖² up to a factor, and its ratio is κ.
    square = [
        (w * norms**2).sum() ** 2 / (w**2 * at.reward_std * norms**2).sum() for w in (1 / at.reward_std, 1)
    ]
    assert square[0] / square[1] == pytest.approx(κ)
    assert outcome_of("T5-short").verdict is Verdict.HOLDS
    assert outcome_of("T5").verdict is Verdict.HOLDS


def test_kappa_with_the_sharpest_curvature_can_be_below_one():
    p = np.array(LIKE_CURVED)
    σ = np.sqrt(p * (1 - p))
    found = sharp.theorem_t5(σ**2, σ, success=p)
    assert float(found.by_profile) == pytest.approx(0.9566, abs=5e-5)
    assert float(found.by_std) == pytest.approx(1.0283, abs=5e-5)
    assert outcome_of("T5-curvature").verdict is Verdict.HOLDS


# ---- prompts that overlap


@given(
    bandits_with_theta(max_prompts=4),
    st.lists(st.floats(-2, 2), min_size=4, max_size=4),
    st.sampled_from([0.1, 1.0, 3.0]),
)
def test_what_b1_certifies_is_gained_and_nothing_less_will_do(drawn, weights, multiple):
    bandit, theta = drawn
    weights = np.array(weights[: bandit.num_prompts])
    step = multiple * float(certified_step(bandit, theta, weights).step)
    promised = float(certified_gain(bandit, theta, weights, step))
    assert promised <= _gains(bandit, theta, weights, step).sum() + 4 * ROUNDING


def test_b1_and_b2_are_reached_by_short_steps_of_the_sharpest_prompts():
    b1, b2 = outcome_of("B1"), outcome_of("B2")
    assert (b1.verdict, b2.verdict) == (Verdict.HOLDS, Verdict.HOLDS)
    assert min(b1.ratio, b2.ratio) > 0.999


@given(bandits_with_theta(max_prompts=4), st.lists(st.floats(0.1, 3), min_size=4, max_size=4))
def test_b2_is_below_b1_and_below_the_gain(drawn, weights):
    bandit, theta = drawn
    at, weights = moments(bandit, theta), np.array(weights[: bandit.num_prompts])
    D, step = float(feature_diameter(bandit).max()), float(certified_step(bandit, theta, weights).step)
    norms = np.linalg.norm(at.gradient, axis=-1)
    promised = float(sharp.theorem_b2(norms, at.reward_std, overlap_matrix(bandit), D, weights, step).gain)
    room = 4 * ROUNDING + 1e-9 * step * float((weights * norms**2).sum())
    assert promised <= float(certified_gain(bandit, theta, weights, step)) + room
    assert promised <= _gains(bandit, theta, weights, step).sum() + room


def test_small_overlap_ascends_though_gradients_oppose():
    """δχ < 1 suffices for ascent; A4 would need every inner product to be positive."""
    bandit = LogLinearBandit.overlapping(3, 4, 0.2, rank=1, seed=5)
    theta = np.zeros(bandit.dimension)
    at, c = moments(bandit, theta), overlap_matrix(bandit)
    assert (at.gradient @ at.gradient.T).min() < 0
    assert check_cross_prompt(bandit, theta).constant == np.inf
    δχ = total_overlap(c) * float(weight_disparity(1 / at.reward_std, c))
    assert δχ < 1
    assert _gains(bandit, theta, 1 / at.reward_std, 0.01).sum() > 0
    found = outcome_of("B2-ascent")
    assert found.verdict is Verdict.HOLDS
    stored = LogLinearBandit.from_dict(found.witness["bandit"])
    weights = np.array(found.witness["weights"])
    assert found.witness["δχ"] > 1
    assert _gains(stored, np.zeros(stored.dimension), weights, 0.01).sum() < 0
