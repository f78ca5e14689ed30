"""Two arms under small steps: closed forms, rates and races, each by a route that is not the ledger's alone."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from curvature import LogLinearBandit
from curvature.advantages import group_advantages
from curvature.ascent import ascend
from curvature.flow import time_to_success
from curvature.groups import effective_weight
from curvature.ledger import CLAIMS, Budget, Verdict, ours_flow

SMALL = Budget(instances=60)


@pytest.mark.parametrize("exponent", [0, 1, 2])
@pytest.mark.parametrize(("start", "target"), [(0.01, 0.99), (1e-3, 0.5), (0.4, 0.6)], ids=str)
def test_closed_forms_are_the_integral_and_solve_the_equation(exponent, start, target):
    assert ours_flow.quadrature_error(start, target, exponent) < 1e-9
    assert ours_flow.integration_error(start, target, exponent) < 1e-7


def test_a_wrong_closed_form_is_seen(monkeypatch):
    true = ours_flow.closed_form
    monkeypatch.setattr(ours_flow, "closed_form", lambda p, e: 1.001 * true(p, e))
    assert CLAIMS["II.6-flow"].check(SMALL).verdict is Verdict.FAILS


def test_small_steps_follow_the_flow():
    for exponent in (0, 1):
        exact = time_to_success(0.01, 0.99, exponent=exponent, rate=ours_flow.CERTIFIED[exponent])
        errors = []
        for share in (0.1, 0.01):
            steps = ours_flow.steps_of_runs([0.01], 0.99, exponent, share, math.ceil(1.2 * exact / share))
            errors.append(abs(steps[0] * share / exact - 1))
        # One Euler discretisation: of first order.
        assert errors[1] < 0.2 * errors[0] < 0.02
    assert CLAIMS["II.6-discrete"].check(SMALL).verdict is Verdict.HOLDS


def test_crossing_is_interpolated_and_infinite_where_it_is_not_reached():
    series = np.array([[0.0, 0.4, 0.8], [0.7, 0.8, 0.9], [0.0, 0.1, 0.2]])
    assert_allclose(ours_flow.crossing(series, 0.6), [1.5, 0.0, np.inf])


def test_tail_exponents_are_fitted_within_one_per_cent():
    for exponent, value in ours_flow.TAIL.items():
        fitted = ours_flow.tail_exponent(exponent)
        assert 1.01 * value < fitted.low <= fitted.high < 0.99 * value
    assert_allclose(ours_flow.exponential_rate().estimate, -1, rtol=1e-3)
    assert CLAIMS["II.6-tail"].check(SMALL).verdict is Verdict.HOLDS


def test_fitted_exponents_tell_the_methods_apart(monkeypatch):
    monkeypatch.setattr(ours_flow, "TAIL", {0: -1.0, 1: -1.9})
    assert CLAIMS["II.6-tail"].check(SMALL).verdict is Verdict.FAILS


def test_escape_exponents_are_fitted_within_one_per_cent():
    outcome = CLAIMS["II.6-escape"].check(SMALL)
    assert outcome.verdict is Verdict.HOLDS
    assert_allclose(ours_flow.logarithmic_escape().estimate, 1, rtol=1e-3)


def test_race_takes_39_and_15_steps():
    flow_times, steps = ours_flow.race_numbers()
    assert steps == [39.0, 15.0]
    assert_allclose(flow_times, [39.0, 14.2], atol=0.05)
    assert CLAIMS["II.6-race"].check(SMALL).verdict is Verdict.HOLDS


def test_no_certified_weighting_is_ahead_of_grpo_on_any_prompt():
    assert CLAIMS["II.6-fastest"].check(SMALL).verdict is Verdict.HOLDS
    # By the engine as well: weights σ^(−e) at the largest step that is certified for every prompt.
    success = np.array([0.02, 0.2, 0.5, 0.9])
    bandit, record = LogLinearBandit.two_arm(success), ["expected_reward_by_prompt", "reward_std_by_prompt"]
    grpo = ascend(bandit, "grpo", step=4 * math.log(2), num_steps=30, record=record, progress=False)
    for exponent in (0.0, 0.5, 1.5, 2.0):
        theta = np.zeros(4)
        for step in range(1, 31):
            at = ascend(bandit, num_steps=0, step=1.0, theta0=theta, record=record, progress=False)
            std = at["reward_std_by_prompt"][0, 0]
            run = ascend(
                bandit,
                "power",
                exponent=exponent,
                step=4 * math.log(2) / (std ** (1 - exponent)).max(),
                num_steps=1,
                theta0=theta,
                record=["expected_reward_by_prompt", "theta"],
                progress=False,
            )
            theta = run["theta"][0, -1]
            lead = run["expected_reward_by_prompt"][0, -1] - grpo["expected_reward_by_prompt"][0, step]
            assert lead.max() < 1e-12


def test_order_is_lost_at_steps_beyond_the_certificate(monkeypatch):
    # z + αD²σ(z) increases in z while αD² ≤ 8; at four times the certified 4 log 2 a slower start overtakes.
    monkeypatch.setattr(ours_flow, "CERTIFIED", {1: 16 * math.log(2)})
    assert CLAIMS["II.6-fastest"].check(SMALL).verdict is Verdict.FAILS


@pytest.mark.parametrize("group_size", [2, 4, 8])
def test_group_weight_is_the_expected_estimate_of_two_arms(group_size):
    # Every outcome of G samples, one by one.
    p, outcomes = 0.3, np.array(np.meshgrid(*[[0.0, 1.0]] * group_size)).reshape(group_size, -1).T
    chance = (p**outcomes * (1 - p) ** (1 - outcomes)).prod(axis=1)
    # ⟨ĝ, m₁ − m₀⟩/D² of two arms: the mean of A over correct responses.
    estimate = (group_advantages(outcomes) * outcomes).mean(axis=1)
    expected = chance @ estimate / (p * (1 - p))
    assert_allclose(effective_weight(np.array([p]), group_size), expected, rtol=1e-12)


def test_finite_groups_escape_like_reinforce_and_faster_by_a_constant():
    for group_size in ours_flow.GROUPS:
        assert_allclose(effective_weight(np.array([1e-12]), group_size), math.sqrt(group_size - 1))
        factor, exponent = ours_flow.finite_group_escape(group_size)
        assert_allclose(factor, math.sqrt(group_size - 1), rtol=1e-5)
        assert_allclose(exponent, -1, rtol=1e-3)
    # Where groups have many successes the weight is 1/σ.
    assert_allclose(effective_weight(np.array([0.4]), 400), 1 / math.sqrt(0.24), rtol=2e-3)
