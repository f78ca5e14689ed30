"""Appendix D of the paper: orthogonal prompts do not interfere, and a GRPO step stays in the ball of Lemma 3.3."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from curvature import moments
from curvature.ledger import CLAIMS, Budget, inequalities
from curvature.testing import bandits_with_theta
from tests.theory.support import assert_broken_when_cut, assert_constant, assert_holds, instances_of

SMALL = Budget(instances=600, starts=50, restarts=1)


@given(bandits_with_theta(orthogonal=True, rewards="one_correct"))
def test_gradients_of_orthogonal_prompts_are_orthogonal(instance):
    bandit, theta = instance
    gradient = moments(bandit, theta).gradient
    gram = gradient @ gradient.T
    assert_allclose(gram - np.diag(np.diag(gram)), 0, atol=1e-12)


@given(bandits_with_theta(orthogonal=True, rewards="one_correct"), st.floats(-10, 10))
def test_update_of_one_prompt_leaves_orthogonal_prompts_unchanged(instance, rate):
    bandit, theta = instance
    at = moments(bandit, theta)
    after = moments(bandit, theta + rate * at.gradient).expected_reward
    others = ~np.eye(bandit.num_prompts, dtype=bool)
    assert_allclose((after - at.expected_reward)[others], 0, atol=1e-10)


@given(instances_of(inequalities.GRPO_STEP_LENGTH, "one_correct"))
def test_grpo_step_stays_in_the_ball(instance):
    assert_holds(inequalities.GRPO_STEP_LENGTH, instance)


def test_grpo_step_is_never_longer_than_0_71_of_the_radius():
    least = 1 / np.sqrt(2)
    for base, shapes in [("uniform", ((2, 1), (3, 2))), ("free", ((2, 1), (3, 1)))]:
        found = assert_constant(
            inequalities.GRPO_STEP_LENGTH, least - 1e-4, least + 1e-9, base=base, shapes=shapes
        )
        assert_broken_when_cut(inequalities.GRPO_STEP_LENGTH, found, 0.99 * least)


@pytest.mark.parametrize("id", ["lemma-D.1", "eq-18"])
def test_ledger_finds_that_it_holds(id):
    assert CLAIMS[id].check(SMALL).label == "holds"
