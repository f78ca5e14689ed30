"""The strategies draw what they promise, and the assertions fail when they should."""

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings

from curvature import LogLinearBandit, feature_diameter, moments
from curvature.testing import (
    assert_tight,
    assert_upper,
    bandits,
    bandits_with_theta,
    reward_groups,
    success_rates,
)


def _reaches(strategy, condition):
    # Shrinking would cost most of the time and is not what these tests are about.
    search = settings(max_examples=2_000, database=None, derandomize=True, phases=[Phase.generate])
    return find(strategy, condition, settings=search)


@pytest.mark.parametrize(
    "condition",
    [
        lambda b: b.num_prompts == 3,
        lambda b: not b.mask.all(),
        lambda b: (b.features[:, 0] == b.features[:, -1]).all(),
        lambda b: np.ptp(b.base_logits[b.mask]) >= 60,
        lambda b: not b.is_binary,
        lambda b: np.ptp(b.rewards[0]) == 0,
        lambda b: b.is_binary and (b.rewards.sum(axis=1) == 1).all(),
        lambda b: b.is_binary and b.rewards.sum() > b.num_prompts,
        lambda b: (feature_diameter(b) == 0).any(),
    ],
)
def test_bandits_include_every_degenerate_case_promised(condition):
    assert isinstance(_reaches(bandits(), condition), LogLinearBandit)


@given(bandits(rewards="one_correct"))
def test_one_correct_bandits_satisfy_assumption_1(bandit):
    assert (bandit.rewards.sum(axis=1) == 1).all()
    assert bandit.is_binary


@given(bandits(orthogonal=True))
def test_orthogonal_bandits_satisfy_assumption_2(bandit):
    for x in range(bandit.num_prompts):
        for other in range(x):
            assert not (bandit.features[x] @ bandit.features[other].T).any()


def test_theta_reaches_policies_with_one_response_left():
    found, theta = _reaches(
        bandits_with_theta(), lambda drawn: moments(*drawn).probabilities.max() > 1 - 1e-9
    )
    assert theta.shape == (found.dimension,)


@given(success_rates(degenerate=False))
def test_ordinary_success_rates_leave_the_ends_out(p):
    assert 1e-13 < p < 1 - 1e-13


def test_success_rates_reach_the_ends():
    assert _reaches(success_rates(), lambda p: p == 1.0) == 1.0
    assert 0 < _reaches(success_rates(), lambda p: 0 < p < 1e-200) < 1e-200


@given(reward_groups(binary=True))
def test_binary_groups_hold_zeros_and_ones(drawn):
    rewards, groups = drawn
    assert set(rewards) <= {0.0, 1.0}
    assert rewards.shape == groups.shape


@pytest.mark.parametrize(
    "condition",
    [
        lambda drawn: len(set(drawn[1])) < len(drawn[1]) and (np.bincount(drawn[1]) == 1).any(),
        lambda drawn: (np.diff(drawn[1]) < 0).any(),
        lambda drawn: any(
            (members == members[0]).all() and members.size > 3 and members[0] in {0.1, 0.7}
            for members in (drawn[0][drawn[1] == group] for group in set(drawn[1]))
        ),
    ],
)
def test_groups_include_singletons_shuffles_and_equal_rewards(condition):
    assert len(_reaches(reward_groups(), condition)[0]) >= 2


@pytest.mark.parametrize(
    ("measured", "bound", "message"),
    [
        ([1.0, 2.0], [1.0, 1.9], r"L9 is exceeded by ×1.0526\d* at \(1,\): measured 2.0, bound 1.9 \(1 of 2"),
        (np.nan, 1.0, "L9 is exceeded by ×inf"),
        (1.0, np.nan, "L9 is exceeded by ×inf"),
        (1e-290, 0.0, "L9 is exceeded by ×inf"),
        (1.0 + 1e-6, 1.0, "L9 is exceeded"),
    ],
)
def test_exceeded_bound_raises_with_ratio_and_place(measured, bound, message):
    with pytest.raises(AssertionError, match=message):
        assert_upper(measured, bound, name="L9")


def test_bound_within_rounding_passes():
    assert_upper([1.0 + 1e-12, 0.0], [1.0, 0.0])


def test_bound_that_is_not_reached_is_not_tight():
    assert_tight([0.3, 0.9995], 1.0)
    with pytest.raises(AssertionError, match=r"reached to ×0.998 only, ×0.999 was claimed"):
        assert_tight([0.3, 0.998], 1.0)
    with pytest.raises(AssertionError, match="exceeded"):
        assert_tight([0.3, 1.01], 1.0)
