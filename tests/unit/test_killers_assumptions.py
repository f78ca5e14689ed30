"""What mutants of `assumptions` showed to be unwatched: names, places, types and the scale of each prompt."""

import math

import numpy as np
import pytest

from curvature import LogLinearBandit
from curvature.assumptions import (
    check_bounded_variance,
    check_cross_prompt,
    check_orthogonal,
    check_unique_answer,
    scale_regularity,
)

BANDIT = LogLinearBandit.two_arm([0.2, 0.5], overlap=0.3)


def test_every_check_names_its_assumption_and_its_values():
    checks = {
        "A1": check_unique_answer(BANDIT),
        "A2": check_orthogonal(BANDIT),
        "A3": check_bounded_variance([0.1, 0.4], 0.3),
        "A4": check_cross_prompt(BANDIT, np.zeros(BANDIT.dimension)),
    }
    assert {name: check.assumption for name, check in checks.items()} == {name: name for name in checks}
    assert checks["A1"].values.dtype == np.float64
    assert sorted(checks["A2"].where) == [0, 1]
    np.testing.assert_allclose(checks["A3"].values, [0.2, -0.1], rtol=1e-12)
    assert checks["A3"].where == (1,)


def test_orthogonality_of_prompts_of_scales_that_differ_by_the_range_of_floats():
    features = np.array([
        [[1e200, 0.0], [0.0, 0.0]],
        [[3e-200, 4e-200], [0.0, 0.0]],
        [[0.0, 0.0], [0.0, 0.0]],
    ])
    found = check_orthogonal(LogLinearBandit(features, np.eye(3, 2)))
    np.testing.assert_allclose(found.values, [[0, 0.6, 0], [0.6, 0, 0], [0, 0, 0]], atol=1e-14)


def test_numbers_given_as_text_are_read_as_numpy_reads_them():
    assert check_bounded_variance(["0.1", "0.4"], "0.5").holds
    gradients = [["1", "0"], ["0", "2"]]
    bandit = LogLinearBandit(np.array([np.eye(2), np.eye(2)]), np.eye(2))
    found = scale_regularity(bandit, gradients=gradients, reward_std=["0.1", "0.4"])
    assert (found.gradient_ratio, found.std_ratio) == (2.0, 4.0)
    np.testing.assert_allclose(found.values, [2.0, 4.0])


def test_the_message_names_the_bound_that_is_not_positive():
    with pytest.raises(ValueError, match=r"bound is 0\.0;"):
        check_bounded_variance([0.1, 0.4], [0.5, 0.0])


@pytest.mark.parametrize("bad", [math.inf, math.nan, -0.1])
def test_stds_that_are_no_stds_are_refused_and_the_shape_that_is_needed_told(bad):
    bandit = LogLinearBandit(np.array([np.eye(2), np.eye(2)]), np.eye(2))
    gradients = np.ones((3, 2, 2))
    with pytest.raises(ValueError, match=r"at least 0 of shape \(3, 2\) are needed"):
        scale_regularity(bandit, gradients=gradients, reward_std=np.full((3, 2), bad))


def test_ratios_of_a_stack_are_those_of_each_state_at_its_own_scale():
    bandit = LogLinearBandit(np.array([np.eye(2), np.eye(2)]), np.eye(2))
    gradients = np.array([
        [[3.0, 4.0], [0.0, 10.0]],
        [[3e-170, 4e-170], [0.0, 5e-170]],
        [[1e200, 0.0], [0.0, 1e201]],
    ])
    found = scale_regularity(bandit, gradients=gradients, reward_std=[[0.1, 0.4], [0.5, 0.5], [0.2, 0.1]])
    np.testing.assert_allclose(found.values, [[2, 4], [1, 1], [10, 2]], rtol=1e-13)
    assert (found.gradient_ratio, found.std_ratio) == (pytest.approx(10), pytest.approx(4))
    assert found.where == (2,)


def test_a_gradient_that_is_infinite_alone_is_named_and_a_wrong_shape_told():
    with pytest.raises(ValueError, match="gradients holds inf;"):
        check_cross_prompt(
            BANDIT, gradients=[[0.0] * BANDIT.dimension, [math.inf, *[0.0] * (BANDIT.dimension - 1)]]
        )
    with pytest.raises(ValueError, match=rf"\(\.\.\., 2, {BANDIT.dimension}\) is needed"):
        check_cross_prompt(BANDIT, gradients=np.zeros((2, 7)))
