"""Assumptions A1–A5 as measurements: the verdict, the margin, the smallest constant, and where it is."""

import itertools
from math import inf

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from curvature import LogLinearBandit, center, moments, spectral_norm
from curvature.assumptions import (
    check_bounded_variance,
    check_cross_prompt,
    check_orthogonal,
    check_unique_answer,
    scale_regularity,
)
from curvature.testing import bandits_with_theta


@pytest.mark.parametrize(
    ("rewards", "changes"),
    [([1, 0, 0], 0), ([0, 0, 0], 1), ([1, 1, 0], 1), ([1, 1, 1], 2), ([0.5, 0, 0], 1), ([0.5, 2, 1], 2)],
)
def test_unique_answer_counts_the_rewards_that_are_wrong(rewards, changes):
    found = check_unique_answer(LogLinearBandit(np.zeros((2, 3, 1)), [[0, 1, 0], rewards]))
    assert found.holds == (changes == 0)
    assert found.values.tolist() == [0.0, changes]
    assert found.margin == -changes
    assert found.where == ((1,) if changes else (0,))


def test_a_correct_response_that_does_not_exist_is_no_answer():
    bandit = LogLinearBandit(np.zeros((1, 2, 1)), [[1, 0]], base_logits=[[-np.inf, 0]])
    assert not check_unique_answer(bandit).holds


def test_orthogonality_is_exact_for_orthogonal_prompts_and_measured_otherwise():
    assert check_orthogonal(LogLinearBandit.orthogonal(3, 4, seed=2), tolerance=0.0).holds
    found = check_orthogonal(LogLinearBandit.two_arm([0.5, 0.5, 0.5], overlap=0.3))
    assert not found.holds
    np.testing.assert_allclose(found.values, 0.3 * (1 - np.eye(3)), rtol=1e-12)
    assert found.margin == pytest.approx(-0.3, rel=1e-9)


def test_orthogonality_of_features_is_lost_by_a_shift_and_that_of_differences_is_not():
    bandit = LogLinearBandit.orthogonal(2, 3, seed=0)
    shifted = LogLinearBandit(bandit.features + 1.0, bandit.rewards)
    assert not check_orthogonal(shifted).holds
    assert check_orthogonal(shifted, centered=True).holds


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_orthogonality_does_not_depend_on_the_scale_of_features(scale):
    bandit = LogLinearBandit.two_arm([0.5, 0.5], overlap=0.25, diameter=scale)
    assert check_orthogonal(bandit).values[0, 1] == pytest.approx(0.25, rel=1e-12)


def test_orthogonality_needs_a_tolerance_that_is_not_negative():
    with pytest.raises(ValueError, match=r"tolerance is -1\.0"):
        check_orthogonal(LogLinearBandit.two_arm([0.5]), tolerance=-1.0)


@pytest.mark.parametrize(
    ("bound", "margin"), [(0.5, 0.0), (0.4, 0.0), (0.45, 0.05), (0.39, -0.01), (0.6, -0.1)]
)
def test_bounded_variance_has_the_margin_to_either_side(bound, margin):
    found = check_bounded_variance([[0.4, 0.2], [0.1, 0.0]], bound)
    assert found.margin == pytest.approx(margin, abs=1e-15)
    assert found.holds == (found.margin >= 0)


def test_bounded_variance_names_the_run_and_step_that_breaks_the_bound():
    paths = np.array([[0.3, 0.2, 0.1], [0.3, 0.35, 0.1]])
    assert check_bounded_variance(paths, [0.3, 0.3, 0.3]).where == (1, 1)


@pytest.mark.parametrize(
    ("reward_std", "bound", "message"),
    [
        ([-0.1], 0.5, r"reward_std is -0\.1"),
        ([0.1], 0.0, r"bound is 0\.0"),
        ([0.1, 0.2], [0.5, 0.5, 0.5], r"bound has shape \(3,\)"),
        ([], 0.5, "reward_std is empty"),
    ],
)
def test_bounded_variance_refuses_what_it_cannot_read(reward_std, bound, message):
    with pytest.raises(ValueError, match=message):
        check_bounded_variance(reward_std, bound)


@given(bandits_with_theta(max_prompts=4))
def test_cross_prompt_constant_is_the_smallest_that_satisfies_the_assumption(drawn):
    bandit, theta = drawn
    found = check_cross_prompt(bandit, theta)
    g = moments(bandit, theta).gradient
    # Written out: M⟨g_i, g_j⟩ ≥ ‖X_ig_j‖²/‖X_i‖² for every pair.
    X = spectral_norm(bandit)
    lengths = np.linalg.norm(g, axis=-1)
    largest = np.abs(g).max(axis=-1)
    assume(((largest == 0) | (largest > 1e-100)).all())  # squares of less underflow in this plain version
    for i, j in itertools.permutations(range(bandit.num_prompts), 2):
        if X[i] == 0 or lengths[j] == 0:
            assert found.values[i, j] == 0
            continue
        right = (np.linalg.norm(bandit.features[i] @ g[j]) / X[i]) ** 2
        if np.sqrt(right) <= 1e-9 * lengths[j]:
            continue
        inner = g[i] @ g[j]
        if abs(inner) <= 1e-9 * lengths[i] * lengths[j]:
            continue
        smallest = found.values[i, j]
        assert np.isinf(smallest) == (inner <= 0)
        if inner > 0:
            assert smallest * inner == pytest.approx(right, rel=1e-5)
    assert found.holds == (found.constant < inf)
    assert found.holds == (found.margin > 0)
    assert found.constant == found.values.max()


def test_cross_prompt_constant_is_zero_for_orthogonal_prompts():
    found = check_cross_prompt(LogLinearBandit.orthogonal(3, 4, seed=1), np.zeros(9))
    assert (found.constant, found.margin, found.holds) == (0.0, inf, True)


def test_cross_prompt_constant_is_infinite_when_gradients_oppose_or_one_vanishes_in_anothers_way():
    features = np.array([[[1.0], [-1.0]], [[1.0], [-1.0]]])
    opposed = check_cross_prompt(LogLinearBandit(features, [[1, 0], [0, 1]]), [0.0])
    assert (opposed.constant, opposed.holds, opposed.margin) == (inf, False, -1.0)
    # The first prompt's rewards are equal, so its gradient is 0: the inner product is 0, the right side is not.
    still = check_cross_prompt(LogLinearBandit(features, [[1, 1], [0, 1]]), [0.0])
    assert (still.constant, still.holds, still.where) == (inf, False, (0, 1))


def test_cross_prompt_constant_of_two_arms_is_their_overlap_times_the_ratio_of_gradients():
    bandit = LogLinearBandit.two_arm([0.5, 0.1], overlap=0.4)
    found = check_cross_prompt(bandit, np.zeros(bandit.dimension))
    np.testing.assert_allclose(found.values, [[0.0, 0.4 * 0.09 / 0.25], [0.4 * 0.25 / 0.09, 0.0]], rtol=1e-12)
    assert found.where == (1, 0)


def test_cross_prompt_reads_a_run_and_gradients_alike():
    bandit = LogLinearBandit.two_arm([0.5, 0.1], overlap=0.4)
    thetas = np.random.default_rng(0).normal(size=(5, 3))
    by_theta = check_cross_prompt(bandit, thetas)
    by_gradient = check_cross_prompt(bandit, gradients=moments(bandit, thetas).gradient)
    assert by_theta.values.shape == (5, 2, 2)
    np.testing.assert_array_equal(by_theta.values, by_gradient.values)
    worst = max(check_cross_prompt(bandit, theta).constant for theta in thetas)
    assert by_theta.constant == pytest.approx(worst, rel=1e-12)


def test_cross_prompt_constant_survives_rare_successes():
    bandit = LogLinearBandit.two_arm([1e-250, 2e-250], overlap=0.5)
    np.testing.assert_allclose(
        check_cross_prompt(bandit, np.zeros(3)).values, [[0, 1.0], [0.25, 0]], rtol=1e-10
    )


def test_cross_prompt_constant_changes_when_features_are_shifted():
    bandit = LogLinearBandit.two_arm([0.5, 0.1], overlap=0.4)
    shifted = LogLinearBandit(bandit.features + 1.0, bandit.rewards, bandit.base_logits)
    theta = np.zeros(3)
    assert check_cross_prompt(shifted, theta).constant != check_cross_prompt(bandit, theta).constant
    assert check_cross_prompt(center(shifted), theta).constant == pytest.approx(
        check_cross_prompt(bandit, theta).constant, rel=1e-9
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "exactly one of theta and gradients"),
        ({"theta": [0.0, 0.0], "gradients": np.zeros((2, 2))}, "exactly one"),
        ({"gradients": np.zeros((3, 2))}, r"gradients has shape \(3, 2\)"),
        ({"gradients": np.full((2, 2), np.nan)}, "gradients holds nan"),
    ],
)
def test_gradient_checks_refuse_what_they_cannot_read(arguments, message):
    with pytest.raises(ValueError, match=message):
        check_cross_prompt(LogLinearBandit.two_arm([0.5, 0.5]), **arguments)


@given(
    st.lists(st.floats(1e-6, 1 - 1e-6), min_size=1, max_size=5),
    st.lists(st.floats(-2, 2), min_size=5, max_size=5),
)
def test_scale_regularity_is_the_ratio_of_extremes_and_r1_is_r2_squared_for_two_arms(success, theta):
    bandit = LogLinearBandit.two_arm(success)
    found = scale_regularity(bandit, theta[: len(success)])
    at = moments(bandit, theta[: len(success)])
    assert found.std_ratio == pytest.approx(at.reward_std.max() / at.reward_std.min(), rel=1e-12)
    assert found.gradient_ratio == pytest.approx(found.std_ratio**2, rel=1e-9)
    assert found.holds
    assert found.margin == pytest.approx(1 / max(found.gradient_ratio, found.std_ratio), rel=1e-12)


def test_scale_regularity_is_infinite_where_a_gradient_or_a_std_vanishes():
    silent = LogLinearBandit.two_arm([0.0, 0.5])
    found = scale_regularity(silent, [0.0, 0.0])
    assert (found.gradient_ratio, found.std_ratio, found.holds, found.margin) == (inf, inf, False, 0.0)
    # Equal features: the reward is random and cannot be moved.
    stuck = LogLinearBandit([[[1.0], [1.0]], [[0.0], [1.0]]], [[1, 0], [1, 0]])
    assert scale_regularity(stuck, [0.0]).gradient_ratio == inf
    assert scale_regularity(stuck, [0.0]).std_ratio == pytest.approx(1.0)


def test_scale_regularity_takes_the_worst_step_of_a_run():
    bandit = LogLinearBandit.two_arm([0.5, 0.5])
    thetas = [[0.0, 0.0], [0.0, 2.0], [0.0, 1.0]]
    found = scale_regularity(bandit, thetas)
    assert found.where == (1,)
    assert found.std_ratio == scale_regularity(bandit, thetas[1]).std_ratio
    at = moments(bandit, thetas)
    given_gradients = scale_regularity(bandit, gradients=at.gradient, reward_std=at.reward_std)
    np.testing.assert_array_equal(given_gradients.values, found.values)


def test_scale_regularity_needs_stds_beside_gradients():
    bandit = LogLinearBandit.two_arm([0.5, 0.5])
    with pytest.raises(ValueError, match="belong together"):
        scale_regularity(bandit, gradients=np.ones((2, 2)))
    with pytest.raises(ValueError, match=r"reward_std has shape \(3,\)"):
        scale_regularity(bandit, gradients=np.ones((2, 2)), reward_std=np.ones(3))
