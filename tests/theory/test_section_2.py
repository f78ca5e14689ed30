"""Section 2 of the paper: the advantage, its gradient, and what one correct answer is needed for."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from curvature import LogLinearBandit, moments
from curvature.adversary import WorstCase
from curvature.ledger import CLAIMS, Budget, Verdict
from curvature.ledger.section_2 import (
    CERTAIN,
    CURVATURE_BY_REWARD_VARIANCE,
    LEMMAS,
    printed_advantages,
    scaled_reward_instance,
)
from curvature.testing import bandits_with_theta
from tests.theory.support import assert_constant, assert_holds, instances_of

SMALL = Budget(instances=200, starts=50, restarts=1)


@given(bandits_with_theta(rewards="one_correct", ragged=False))
def test_advantage_is_standardised_where_it_is_defined(instance):
    bandit, theta = instance
    p = moments(bandit, theta).expected_reward
    assume(((p > 1e-4) & (p < 1 - 1e-4)).all())
    probabilities, A = printed_advantages(bandit, theta)
    assert_allclose((probabilities * A).sum(axis=1), 0, atol=1e-10)
    assert_allclose((probabilities * A**2).sum(axis=1), 1, rtol=1e-9)


def test_printed_advantage_has_no_value_for_a_certain_policy():
    _, A = printed_advantages(CERTAIN, np.zeros(2))
    assert np.isnan(A[CERTAIN.mask]).all()
    assert CLAIMS["eq-4"].check(SMALL).verdict is Verdict.REPAIRED
    assert CLAIMS["eq-5"].check(SMALL).verdict is Verdict.REPAIRED


def test_grpo_gradient_is_the_gradient_divided_by_the_std():
    bandit = LogLinearBandit.gaussian(4, 5, 3, seed=3)
    theta, h = np.array([0.4, -1.1, 0.7]), 1e-6
    probabilities, A = printed_advantages(bandit, theta)
    for k, step in enumerate(h * np.eye(3)):
        ahead, behind = moments(bandit, theta + step), moments(bandit, theta - step)
        slope = (ahead.log_probabilities - behind.log_probabilities) / (2 * h)
        at = moments(bandit, theta)
        followed = (probabilities * A * slope).sum(axis=1)
        assert_allclose(followed, at.gradient[:, k] / at.reward_std, rtol=1e-7, atol=1e-9)
    # Dividing by the variance instead would be another vector.
    assert (
        np.abs(at.gradient / at.reward_std[:, None] ** 2 - at.gradient / at.reward_std[:, None]).max() > 0.01
    )


@pytest.mark.parametrize("lemma", LEMMAS, ids=lambda lemma: lemma.name)
def test_lemmas_hold_for_any_binary_rewards(lemma):
    @given(instances_of(lemma, "binary"))
    def holds(instance):
        assert_holds(lemma, instance)

    holds()
    found = assert_constant(lemma, 0.15, 0.72, rewards="binary", shapes=((4, 1),))
    assert 1 <= found.bandit.rewards.sum() <= 3


@given(st.floats(1e-4, 0.19), st.floats(0.01, 0.3))
def test_variance_bound_fails_for_small_real_rewards(scale, success):
    found = scaled_reward_instance(scale, success)
    assert_allclose(found.ratio, (1 - 2 * success) / (2 * scale), rtol=1e-9)
    assert found.ratio > 1  # 0.4/0.38 at the least
    assert found.replay(CURVATURE_BY_REWARD_VARIANCE) == found.ratio


def test_stored_counterexample_to_the_variance_bound_has_ratio_25():
    outcome = CLAIMS["A1-needed"].check(SMALL)
    assert outcome.holds
    assert_allclose(outcome.ratio, 25)
    assert outcome.shows_witness
    stored = WorstCase.from_dict(outcome.witness)
    assert_allclose(stored.replay(CURVATURE_BY_REWARD_VARIANCE), 25)
    assert stored.bandit.rewards.tolist() == [[0.0, 0.01]]
