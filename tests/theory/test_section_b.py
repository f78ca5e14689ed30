"""Appendix B of the paper: the explicit updates, as printed, against the exact gradient."""

import numpy as np
import pytest
from hypothesis import assume, given
from numpy.testing import assert_allclose

from curvature import LogLinearBandit, moments
from curvature.ledger import CLAIMS, Budget, Verdict
from curvature.ledger.appendix_b import printed_reinforce_direction, reinforce_direction
from curvature.testing import bandits_with_theta

SMALL = Budget(instances=200)


@given(bandits_with_theta(max_prompts=1, ragged=False))
def test_reinforce_update_is_the_covariance_of_features_and_rewards(instance):
    bandit, theta = instance
    at = moments(bandit, theta)
    π, X, r = at.probabilities[0], bandit.features[0], bandit.rewards[0]
    printed = X.T @ (np.diag(π) - np.outer(π, π)) @ r
    assert_allclose(printed, at.gradient[0], atol=1e-12 * (1 + np.abs(X).max() * np.abs(r).max()))


def test_printed_reinforce_update_lacks_a_parenthesis():
    arms = LogLinearBandit.two_arm([0.2], diameter=2.0)
    theta = np.zeros(1)
    # p = .2, x_a = 1, Σ_{j≠a} π_j x_j = −.8: .2(1 − .2·1 − .2·(−.8)) = .192, while ∇J = p(1 − p)D = .32.
    assert_allclose(printed_reinforce_direction(arms, theta), [[0.192]])
    assert_allclose(moments(arms, theta).gradient, [[0.32]])
    assert_allclose(reinforce_direction(arms, theta), [[0.32]])
    assert CLAIMS["eq-11"].check(SMALL).verdict is Verdict.REPAIRED


@given(bandits_with_theta(rewards="one_correct", ragged=False))
def test_reinforce_update_with_its_parenthesis_is_the_gradient(instance):
    bandit, theta = instance
    assert_allclose(reinforce_direction(bandit, theta), moments(bandit, theta).gradient, atol=1e-12)


@given(bandits_with_theta(rewards="one_correct", max_prompts=1, ragged=False))
def test_grpo_update_is_the_gradient_over_the_std(instance):
    bandit, theta = instance
    at = moments(bandit, theta)
    p, π, x = at.expected_reward[0], at.probabilities[0], bandit.features[0]
    assume(1e-4 < p < 1 - 1e-4)
    a = int(bandit.rewards[0].argmax())
    printed = np.sqrt(p * (1 - p)) * x[a]
    for j in range(bandit.num_responses):
        if j != a:
            printed = printed - np.sqrt(p / (1 - p)) * π[j] * x[j]
    assert_allclose(printed, at.gradient[0] / at.reward_std[0], atol=1e-9)


@pytest.mark.parametrize("id", ["eq-10", "eq-12"])
def test_ledger_finds_that_it_holds(id):
    assert CLAIMS[id].check(SMALL).label == "holds"
