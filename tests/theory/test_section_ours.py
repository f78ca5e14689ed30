"""Our statements: each bound holds, is reached, and is broken when its constant is cut by one per cent."""

import numpy as np
import pytest
from hypothesis import given
from numpy.testing import assert_allclose

from curvature import LogLinearBandit, feature_diameter, hessian_extremes, moments
from curvature.adversary import worst_case
from curvature.ledger import CLAIMS, Budget, Verdict, inequalities
from curvature.ledger.inequalities import log_std_gradient
from curvature.ledger.ours import BINARY_PROFILE, ONE_CORRECT_PROFILE
from tests.theory.support import (
    assert_broken_when_cut,
    assert_constant,
    assert_holds,
    assert_sharp,
    instances_of,
)

SMALL = Budget(instances=300, starts=80, restarts=1)


@given(instances_of(inequalities.GRADIENT_BY_STD, "any"))
def test_gradient_is_bounded_by_reward_std(instance):
    assert_holds(inequalities.GRADIENT_BY_STD, instance)


@given(instances_of(inequalities.CURVATURE_BY_STD, "any"))
def test_hessian_is_bounded_by_reward_std(instance):
    assert_holds(inequalities.CURVATURE_BY_STD, instance)


@given(instances_of(inequalities.LOG_STD_SLOPE, "any"))
def test_log_std_is_lipschitz_in_half_the_diameter(instance):
    assert_holds(inequalities.LOG_STD_SLOPE, instance)


@given(instances_of(inequalities.STD_ALONG_STEP, "any"))
def test_std_grows_at_most_exponentially_along_a_step(instance):
    assert_holds(inequalities.STD_ALONG_STEP, instance)


@given(instances_of(inequalities.CURVATURE_IN_BALL_BY_STD, "any"))
def test_curvature_nearby_is_bounded_by_reward_std(instance):
    assert_holds(inequalities.CURVATURE_IN_BALL_BY_STD, instance)


@given(instances_of(inequalities.REMAINDER, "any"))
def test_linear_model_errs_by_at_most_psi_of_the_step(instance):
    bandit, theta, displacement = instance
    # The two sides of the remainder are of order σD‖Δ‖, and so is their rounding.
    length = np.linalg.norm(displacement, axis=1)
    scale = moments(bandit, theta).reward_std * feature_diameter(bandit) * length
    rounding = 1e-13 * scale[feature_diameter(bandit) > 0]
    assert_holds(inequalities.REMAINDER, instance, rounding=rounding)


@pytest.mark.parametrize("rewards", ["binary", "real"])
@pytest.mark.parametrize(
    "inequality",
    [
        inequalities.GRADIENT_BY_STD,
        inequalities.CURVATURE_BY_STD,
        inequalities.LOG_STD_SLOPE,
        inequalities.STD_ALONG_STEP,
        inequalities.CURVATURE_IN_BALL_BY_STD,
        inequalities.REMAINDER,
    ],
    ids=lambda inequality: inequality.name,
)
def test_bound_in_the_reward_std_is_sharp(inequality, rewards):
    assert_sharp(inequality, rewards=rewards)


@pytest.mark.parametrize("shape", [(6, 1), (3, 2), (4, 3)], ids=str)
@pytest.mark.parametrize(
    "inequality",
    [inequalities.GRADIENT_BY_STD, inequalities.CURVATURE_BY_STD, inequalities.LOG_STD_SLOPE],
    ids=lambda inequality: inequality.name,
)
def test_more_responses_or_dimensions_reach_no_more(inequality, shape):
    assert_constant(inequality, 0.98, 1 + 1e-9, rewards="real", shapes=[shape])


def test_two_equally_likely_responses_reach_the_gradient_bound():
    assert_allclose(inequalities.GRADIENT_BY_STD.ratio(LogLinearBandit.two_arm([0.5]), np.zeros(1)), 1)


def test_two_responses_reach_the_curvature_bound_at_variance_one_eighth():
    p = (1 - np.sqrt(1 / 2)) / 2
    assert_allclose(p * (1 - p), 1 / 8)
    arms = LogLinearBandit.two_arm([p, 1 - p, 0.3])
    ratio = inequalities.CURVATURE_BY_STD.ratio(arms, np.zeros(3))
    assert_allclose(ratio[:2], 1)
    assert ratio[2] < 0.99


def test_log_std_bound_is_approached_and_not_attained():
    p = np.array([0.1, 1e-3, 1e-6, 1e-12])
    ratio = inequalities.LOG_STD_SLOPE.ratio(LogLinearBandit.two_arm(p), np.zeros(4))
    assert_allclose(ratio, 1 - 2 * p, rtol=1e-9)


def test_log_std_gradient_is_the_derivative_of_log_std():
    bandit = LogLinearBandit.gaussian(3, 4, 2, rewards="gaussian", seed=5)
    theta, h = np.array([0.4, -0.7]), 1e-6
    for k, step in enumerate(h * np.eye(2)):
        σ = [moments(bandit, theta + sign * step).reward_std for sign in (1, -1)]
        slope = np.log(σ[0] / σ[1]) / (2 * h)
        assert_allclose(slope, log_std_gradient(bandit, theta)[:, k], rtol=1e-7, atol=1e-9)


def test_nine_tenths_of_the_remainder_are_reached_at_ln_2():
    inequality = inequalities.REMAINDER_AT_LN2
    found = assert_constant(inequality, 0.9133, 0.9134, rewards="real", shapes=((2, 1), (3, 1), (3, 2)))
    assert_broken_when_cut(inequality, found, 0.9)
    outcome = CLAIMS["L4-ln2"].check(SMALL)
    assert outcome.verdict is Verdict.LOOSE
    assert_allclose(outcome.ratio, found.ratio, rtol=1e-3)


@given(instances_of(inequalities.CURVATURE_BY_SUCCESS, "binary"))
def test_binary_curvature_is_bounded_by_the_profile_and_reaches_it(instance):
    assert_holds(inequalities.CURVATURE_BY_SUCCESS, instance)


@pytest.mark.parametrize("success", [*BINARY_PROFILE, 0.6, 0.9], ids=str)
def test_profile_is_sharp_at_every_success(success):
    assert_sharp(inequalities.CURVATURE_BY_SUCCESS, rewards="binary", success=success, shapes=((3, 1),))


@pytest.mark.parametrize("success", ONE_CORRECT_PROFILE, ids=str)
def test_one_correct_response_leaves_a_gap_below_one_half(success):
    options = {"success": success, "shapes": ((3, 1), (4, 1))}
    assert_sharp(inequalities.CURVATURE_BY_SUCCESS_OF_ONE, **options)
    # Of C1, the bound for any number of correct responses: all, outside (1/4, 1/2), and 3/4 at the least.
    reached = max(8 * success * (1 - 2 * success), 2 * success) if 0.25 < success < 0.5 else 1
    assert_constant(inequalities.CURVATURE_BY_SUCCESS, reached - 1e-3, reached + 1e-9, **options)


@given(instances_of(inequalities.CURVATURE_BY_SUCCESS_OF_ONE, "one_correct"))
def test_curvature_of_one_correct_response_is_bounded_by_its_own_profile(instance):
    assert_holds(inequalities.CURVATURE_BY_SUCCESS_OF_ONE, instance)


def test_two_correct_responses_close_the_gap():
    options = {"num_responses": 3, "dimension": 1, "success": 0.4, "polish": False}
    found = worst_case(inequalities.CURVATURE_BY_SUCCESS, rewards="binary", **options)
    assert found.ratio > 0.9999
    assert found.bandit.rewards.sum() == 2


@given(instances_of(inequalities.CURVATURE_EVERYWHERE_BY_DIAMETER, "binary"))
def test_smoothness_is_the_maximum_of_the_profile(instance):
    assert_holds(inequalities.CURVATURE_EVERYWHERE_BY_DIAMETER, instance)


def test_smoothness_is_reached_by_two_responses_and_is_1_over_6_root_3():
    p = (3 - np.sqrt(3)) / 6
    largest = np.abs(hessian_extremes(LogLinearBandit.two_arm([p], diameter=2.0), np.zeros(1))).max()
    assert_allclose(largest, 4 / (6 * np.sqrt(3)))
    assert_sharp(inequalities.CURVATURE_EVERYWHERE_BY_DIAMETER, rewards="binary")
