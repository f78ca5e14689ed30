"""The worst-case search: it finds known worst cases, says so truthfully, and what it stores can be replayed."""

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose

from curvature import LogLinearBandit, feature_diameter, moments, spectral_norm
from curvature.adversary import Inequality, WorstCase, worst_case
from curvature.ledger import inequalities
from curvature.ledger.inequalities import displaced


def gradient_claim(constant, scale="diameter"):
    def sides(bandit, theta, displacement):
        at = moments(bandit, theta)
        return np.linalg.norm(at.gradient, axis=-1), constant * feature_diameter(bandit) * at.reward_std

    return Inequality(f"‖∇J‖ ≤ {constant} Dσ", sides, scale=scale)


def search(inequality, **options):
    return worst_case(
        inequality, **{"num_responses": 3, "dimension": 1, "starts": 100, "restarts": 2} | options
    )


def test_search_reaches_a_sharp_constant_at_its_known_place():
    found = search(gradient_claim(0.5), num_responses=2)
    assert found.ratio > 0.99999
    assert found.ratio <= 1 + 1e-9
    assert_allclose(moments(found.bandit, found.theta).expected_reward, 0.5, atol=1e-3)


def test_search_breaks_a_constant_that_is_one_per_cent_too_small():
    assert search(gradient_claim(0.495)).ratio > 1.01


@pytest.mark.parametrize(("K", "d"), [(4, 1), (3, 2), (5, 3)])
def test_more_responses_and_dimensions_do_not_exceed_the_bound(K, d):
    found = search(gradient_claim(0.5), num_responses=K, dimension=d, rewards="real")
    assert 0.99 < found.ratio <= 1 + 1e-9
    assert (found.bandit.num_responses, found.bandit.dimension) == (K, d)


@pytest.mark.parametrize(
    ("inequality", "options"),
    [
        (inequalities.CURVATURE_BY_STD, {"rewards": "real"}),
        (inequalities.CURVATURE_BY_VARIANCE, {"base": "uniform"}),
        (inequalities.CURVATURE_IN_BALL, {"base": "uniform", "dimension": 2}),
        (inequalities.REMAINDER_AT_LN2, {"rewards": "binary"}),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_stored_worst_case_replays_to_the_same_ratio(inequality, options):
    found = search(inequality, **options)
    again = WorstCase.from_dict(json.loads(json.dumps(found.to_dict())))
    assert again == found
    assert again.replay(inequality) == found.ratio
    assert found.inequality == inequality.name


def test_replay_by_another_claim_measures_the_same_instance():
    found = search(gradient_claim(0.5))
    assert_allclose(found.replay(gradient_claim(1.0)), found.ratio / 2)


def test_same_seed_gives_the_same_result_and_another_seed_another_path():
    first, second, other = (search(inequalities.CURVATURE_IN_BALL, seed=seed) for seed in (3, 3, 4))
    assert first == second
    assert first.trace != other.trace


def test_trace_never_falls_and_ends_at_the_ratio():
    found = search(inequalities.CURVATURE_BY_STD, rewards="real", restarts=3)
    assert len(found.trace) == 5  # the sample, three restarts, the polish
    assert all(np.diff(found.trace) >= 0)
    assert_allclose(found.ratio, found.trace[-1], rtol=1e-9)
    assert found.evaluations >= 100


def test_search_without_polish_is_as_good_where_nothing_has_a_kink():
    rough = search(inequalities.CURVATURE_BY_STD, polish=False)
    assert len(rough.trace) == 3
    assert rough.ratio > 0.9999


def test_one_correct_searches_have_one_correct_response():
    bandit = search(gradient_claim(0.5), num_responses=5).bandit
    assert bandit.rewards.sum() == 1
    assert bandit.is_binary


def test_binary_searches_try_several_correct_responses():
    patterns = {
        search(
            inequalities.CURVATURE_BY_SUCCESS, num_responses=4, rewards="binary", success=p
        ).bandit.rewards.sum()
        for p in (0.1, 0.3, 0.45, 0.6, 0.9)
    }
    assert patterns <= {1, 2, 3}
    assert len(patterns) > 1


def test_success_is_held_at_the_value_given():
    for success in (1e-6, 0.3, 0.999):
        found = search(inequalities.CURVATURE_BY_SUCCESS, rewards="binary", success=success)
        assert_allclose(moments(found.bandit, found.theta).expected_reward, success, rtol=1e-9)


def test_uniform_base_searches_over_theta_alone():
    found = search(inequalities.CURVATURE_BY_VARIANCE, base="uniform")
    assert not found.bandit.base_logits.any()
    assert found.theta.any()


def test_displacement_stays_within_the_reach_of_the_claim():
    found = search(inequalities.CURVATURE_IN_BALL)
    _, radius = inequalities.CURVATURE_IN_BALL.reach(found.bandit, found.theta)
    assert np.linalg.norm(found.displacement) <= radius[0] * (1 + 1e-12)
    σ, X = moments(found.bandit, found.theta).reward_std[0], spectral_norm(found.bandit)[0]
    assert_allclose(radius[0], σ / X)


def test_displacement_of_a_fixed_length_has_it():
    found = search(inequalities.REMAINDER_AT_LN2, rewards="real")
    s = 0.5 * feature_diameter(found.bandit)[0] * np.linalg.norm(found.displacement)
    assert_allclose(s, np.log(2))


def test_displaced_policy_is_the_policy_at_the_displaced_parameter():
    bandit = LogLinearBandit.gaussian(3, 4, 2, seed=1)
    theta, step = np.array([0.3, -1.0]), np.array([2.0, 0.5])
    moved = moments(displaced(bandit, np.tile(step, (3, 1))), theta)
    assert_allclose(moved.probabilities, moments(bandit, theta + step).probabilities)


def test_ratio_is_zero_where_nothing_is_measured_and_infinite_where_only_the_bound_vanishes():
    sides = np.array([0.0, 1.0, 0.0, np.nan]), np.array([0.0, 0.0, 2.0, 1.0])
    claim = Inequality("by hand", lambda bandit, theta, displacement: sides)
    ratio = claim.ratio(LogLinearBandit.two_arm([0.5] * 4), np.zeros(4))
    assert ratio[:3].tolist() == [0.0, np.inf, 0.0]
    assert np.isnan(ratio[3])  # a NaN is passed on, not taken for a bound that holds


def test_displacement_missing_or_unasked_for_is_refused():
    bandit = LogLinearBandit.two_arm([0.5])
    with pytest.raises(ValueError, match=r"Lemma 3\.3 needs displacement, got None"):
        inequalities.CURVATURE_IN_BALL.ratio(bandit, np.zeros(1))
    with pytest.raises(ValueError, match="L2 takes no displacement"):
        inequalities.CURVATURE_BY_STD.ratio(bandit, np.zeros(1), np.zeros((1, 1)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_responses": 1}, "num_responses is 1"),
        ({"dimension": 0}, "dimension is 0"),
        ({"starts": 0}, "starts is 0"),
        ({"restarts": 0.5}, "restarts is 0.5"),
        ({"rewards": "gaussian"}, "rewards is 'gaussian'; choose one of one_correct, binary, real"),
        ({"base": "normal"}, "base is 'normal'"),
        ({"success": 1.0}, "success is 1.0; a probability strictly between 0 and 1"),
        ({"success": 0.5, "rewards": "real"}, "success is 0.5; it can be held only with"),
        ({"success": 0.5, "base": "uniform"}, "success is 0.5; it can be held only with"),
    ],
)
def test_bad_argument_is_named_with_its_value(options, message):
    with pytest.raises(ValueError, match=message):
        search(gradient_claim(0.5), **options)


def test_claim_that_measures_nothing_returns_a_ratio_of_zero():
    nothing = Inequality("nothing", lambda bandit, theta, _: (np.zeros(bandit.num_prompts), 1.0))
    found = search(nothing, starts=5, restarts=1)
    assert found.ratio == 0.0
    assert found.evaluations > 5
