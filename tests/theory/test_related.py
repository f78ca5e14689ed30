"""Related results: each bound holds on drawn instances, its constant is reached or not as the ledger says."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from curvature import LogLinearBandit, moments
from curvature.groups import fidelity
from curvature.ledger import CLAIMS, Budget, Verdict, related
from curvature.ledger.budget import random_instances
from curvature.testing import assert_upper

SMALL = Budget(instances=300)
LOGITS = st.lists(st.floats(-8, 8), min_size=2, max_size=6)


@given(LOGITS, st.data())
def test_non_uniform_smoothness_holds_with_3(logits, data):
    K = len(logits)
    rewards = np.array([data.draw(st.lists(st.floats(0, 1), min_size=K, max_size=K))])
    curvature, slope = related.smoothness_sides(np.array([logits]), rewards)
    assert_upper(curvature, 3 * slope + 1e-12, name="mei-smooth")


def test_search_finds_more_than_root_2_for_rewards_of_any_size():
    outcome = CLAIMS["mei-smooth"].check(SMALL)
    assert outcome.verdict is Verdict.LOOSE
    assert math.sqrt(2) < 3 * outcome.ratio < 2
    cut = related.hardest(related.smoothness_sides, math.sqrt(2), (0.0, 1.0), SMALL, "mei-smooth")
    assert cut.ratio > 1


def test_smallest_gradient_of_a_run_stays_below_the_exact_rate_of_smooth_ascent():
    outcome = CLAIMS["smooth-rate"].check(SMALL)
    assert outcome.verdict is Verdict.LOOSE
    assert outcome.instances > 1000
    # For one step it is what the step gains, ‖∇J‖²/(2L): the row must be as tight as C1's step is there.
    single = related.smooth_run(LogLinearBandit.two_arm([0.79]), np.zeros(1), num_steps=1)
    assert 0.85 < single.ratio < 1


@given(LOGITS, st.integers(0, 5))
def test_root_2_suffices_for_one_correct_response(logits, correct):
    rewards = np.eye(len(logits))[[correct % len(logits)]]
    curvature, slope = related.smoothness_sides(np.array([logits]), rewards)
    assert_upper(curvature, math.sqrt(2) * slope + 1e-12, name="mei-smooth-one-correct")


def test_root_2_is_approached_by_two_responses():
    p = np.array([1e-6, 0.1, 0.5])
    logits = np.stack([np.log(p), np.log1p(-p)], axis=1)
    curvature, slope = related.smoothness_sides(logits, np.tile([1.0, 0.0], (3, 1)))
    assert_allclose(curvature / slope, math.sqrt(2) * (1 - 2 * p), rtol=1e-9, atol=1e-12)
    assert CLAIMS["mei-smooth-one-correct"].check(SMALL).verdict is Verdict.HOLDS


@given(LOGITS, st.data())
def test_gradient_is_bounded_by_reward_std_to_the_two_thirds(logits, data):
    K = len(logits)
    rewards = np.array([data.draw(st.lists(st.floats(-1, 1), min_size=K, max_size=K))])
    slope, bound = related.std_sides(np.array([logits]), rewards)
    assert_upper(slope, bound + 1e-12, name="razin-std")


def test_bound_of_the_two_thirds_is_loose_by_6_root_2():
    outcome = CLAIMS["razin-std"].check(SMALL)
    assert outcome.verdict is Verdict.LOOSE
    assert_allclose(outcome.looseness, 6 * math.sqrt(2), rtol=1e-3)


def test_bound_in_the_diameter_implies_the_one_in_the_jacobian():
    for bandit, theta in random_instances("real", SMALL):
        ours, theirs = related.gradient_bounds(bandit, theta)
        assert (ours <= theirs / (6 * math.sqrt(2)) * (1 + 1e-9)).all()
    assert CLAIMS["razin-L1"].check(SMALL).verdict is Verdict.LOOSE


def test_grpo_ascends_the_arcsine_of_the_root():
    assert CLAIMS["arcsine"].check(SMALL).verdict is Verdict.HOLDS
    # Two arms in closed form: d(2 arcsin √p)/dz = √(p(1 − p)).
    arms = LogLinearBandit.two_arm([0.2])
    at = moments(arms, np.zeros(1))
    assert_allclose(np.abs(at.gradient[0, 0]) / at.reward_std[0], 0.4)


def test_a_weight_that_is_not_grpos_is_not_the_arcsine(monkeypatch):
    import curvature.ascent

    weights = curvature.ascent.prompt_weights
    monkeypatch.setattr(curvature.ascent, "prompt_weights", lambda b, t, m: weights(b, t, "reinforce"))
    assert CLAIMS["arcsine"].check(SMALL).verdict is Verdict.FAILS


def test_fidelity_of_eight_samples():
    assert round(float(fidelity(0.5, 8)), 4) == 0.9278
    assert round(float(fidelity(0.05, 8)), 4) == 0.5390
    # It is the mean sample std over the population's, here from draws.
    draws = np.random.default_rng(0).random((200_000, 8)) < 0.05
    assert_allclose(draws.std(axis=1).mean() / math.sqrt(0.0475), float(fidelity(0.05, 8)), rtol=0.01)
    assert CLAIMS["fidelity"].check(SMALL).verdict is Verdict.HOLDS
