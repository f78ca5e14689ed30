"""Appendix C of the paper: every step of the proofs of Lemmas 3.1 and 3.3, by itself."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from curvature import hessian, moments
from curvature.ledger import CLAIMS, Budget, inequalities
from curvature.ledger.appendix_c import CASE_BOUNDARY, largest_nearby_variance
from curvature.testing import bandits_with_theta
from tests.theory.support import (
    assert_broken_when_cut,
    assert_constant,
    assert_holds,
    assert_sharp,
    instances_of,
)

SMALL = Budget(instances=2000, starts=50, restarts=1)


@given(bandits_with_theta(max_prompts=1, ragged=False), st.data())
def test_hessian_form_of_the_proof_is_the_hessian(instance, data):
    bandit, theta = instance
    y = np.array(data.draw(st.lists(st.floats(-2, 2), min_size=bandit.dimension, max_size=bandit.dimension)))
    π, r, Xy = moments(bandit, theta).probabilities[0], bandit.rewards[0], bandit.features[0] @ y
    Hr = (np.diag(π) - np.outer(π, π)) @ r
    form = Hr @ (Xy * Xy) - 2 * (Hr @ Xy) * (π @ Xy)
    assert_allclose(form, y @ hessian(bandit, theta)[0] @ y, atol=1e-10)


@given(bandits_with_theta(rewards="one_correct", max_prompts=1, ragged=False))
def test_largest_logit_gradient_is_the_variance(instance):
    bandit, theta = instance
    at = moments(bandit, theta)
    largest = np.abs(inequalities.logit_gradient(bandit, at)).max()
    assert_allclose(largest, at.reward_std[0] ** 2, rtol=1e-9, atol=1e-300)


@given(instances_of(inequalities.LOGIT_GRADIENT_NORM, "one_correct"))
def test_logit_gradient_is_at_most_root_two_variances(instance):
    assert_holds(inequalities.LOGIT_GRADIENT_NORM, instance)


def test_root_two_is_reached_by_two_responses():
    assert_sharp(inequalities.LOGIT_GRADIENT_NORM, shapes=((2, 1),))


@given(instances_of(inequalities.CURVATURE_PROOF_CONSTANT, "one_correct"))
def test_proof_constant_of_lemma_3_1_is_an_upper_bound(instance):
    assert_holds(inequalities.CURVATURE_PROOF_CONSTANT, instance)


def test_proof_constant_of_lemma_3_1_is_loose_since_two_suffices():
    least = 2 / (2 * np.sqrt(2) + 1)
    for shapes in [((2, 1), (3, 1)), ((3, 2),)]:
        found = assert_constant(
            inequalities.CURVATURE_PROOF_CONSTANT, least - 1e-4, least + 1e-9, shapes=shapes
        )
        assert_broken_when_cut(inequalities.CURVATURE_PROOF_CONSTANT, found, 0.99 * least)


@given(instances_of(inequalities.SUCCESS_IN_BALL, "one_correct"))
def test_success_moves_by_at_most_half_a_std_in_the_ball(instance):
    assert_holds(inequalities.SUCCESS_IN_BALL, instance)


def test_success_moves_by_0_35_of_a_std_in_the_ball():
    for base, shapes in [("uniform", ((2, 1), (3, 2))), ("free", ((2, 1), (3, 1)))]:
        found = assert_constant(inequalities.SUCCESS_IN_BALL, 0.699, 0.701, base=base, shapes=shapes)
        assert_broken_when_cut(inequalities.SUCCESS_IN_BALL, found, 0.69)


@given(st.floats(1e-9, 1 - 1e-9), st.floats(-1, 1))
def test_five_halves_is_the_maximum_and_lies_at_one_tenth(a, part):
    reach = np.sqrt(a * (1 - a)) / 2
    p = a + part * reach
    variance = 4 * p * (1 - p) / np.sqrt(a * (1 - a))
    assert variance <= float(largest_nearby_variance(np.array(a))) * (1 + 1e-12) <= 2.5 * (1 + 1e-12)
    assert_allclose(largest_nearby_variance(np.array([0.1])), 2.5)
    assert largest_nearby_variance(np.array([0.09, 0.11])).max() < 2.5 - 1e-4


@given(st.floats(CASE_BOUNDARY, 0.5))
def test_root_five_is_the_maximum_where_the_interval_holds_one_half(a):
    reach = np.sqrt(a * (1 - a)) / 2
    assert a + reach >= 0.5 - 1e-12  # this is what makes it case 1
    assert_allclose(largest_nearby_variance(np.array(a)), 1 / np.sqrt(a * (1 - a)))
    assert largest_nearby_variance(np.array(a)) <= np.sqrt(5) * (1 + 1e-12)
    assert_allclose(largest_nearby_variance(np.array(CASE_BOUNDARY)), np.sqrt(5))


def test_one_half_is_outside_the_interval_just_below_the_case_boundary():
    a = CASE_BOUNDARY - 1e-6
    assert a + np.sqrt(a * (1 - a)) / 2 < 0.5


@pytest.mark.parametrize("id", ["eq-13", "eq-14", "eq-15", "c3-five-halves", "c3-root-five"])
def test_ledger_finds_that_it_holds(id):
    assert CLAIMS[id].check(SMALL).label == "holds"
