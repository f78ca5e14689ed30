"""Section 3.4 and appendix E of the paper: Theorems 3.3 and 3.4, and the factor of eqs (32) and (33)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curvature import LogLinearBandit, moments, spectral_norm
from curvature.assumptions import check_cross_prompt, scale_regularity
from curvature.bounds import paper
from curvature.ledger import CLAIMS, Budget, Verdict
from curvature.ledger.appendix_d_e import interfering_runs, one_step, tilted_prompts, twins_sum_form
from curvature.ledger.theorem_runs import coupled_bandits, sampled_run
from curvature.testing import assert_upper

SMALL = Budget(instances=600, starts=50, restarts=1)
SUCCESS = st.floats(0.05, 0.95)


def _reinforce_step(X):
    return lambda M, R1, R2: 1 / (max(1.0, M / 2) * X**2)


def _grpo_step(X):
    return lambda M, R1, R2: 1 / (2 * max(R1, 5 * M / 8) * R2 * X**2)


def _expectations(run):
    squares = np.array([(at.gradient**2).sum(axis=-1).mean(axis=0) for at in run.levels])
    return squares, np.array([at.expected_reward.mean(axis=0) for at in run.levels])


@given(st.lists(SUCCESS, min_size=2, max_size=2), st.floats(0.05, 1.0))
def test_ascent_of_theorem_3_3_is_printed_with_the_sign_of_a_descent(success, overlap):
    bandit = LogLinearBandit.two_arm(success, overlap=overlap)
    X = float(spectral_norm(bandit).max())
    run = sampled_run(bandit, "reinforce", _reinforce_step(X))
    squares, reward = _expectations(run)
    factor = paper.theorem_3_3(2, success, X, 6, run.cross_prompt).gain_factor
    gains = np.diff(reward, axis=0)
    assert_upper(factor * squares[:-1], gains, atol=1e-13, name="gain")
    assert (gains > -factor * squares[:-1]).all()  # printed: gains ≤ −factor · E‖∇J‖²


@given(st.lists(SUCCESS, min_size=2, max_size=2), st.floats(0.05, 1.0))
def test_ascent_of_theorem_3_4_is_printed_with_the_sign_of_a_descent(success, overlap):
    bandit = LogLinearBandit.two_arm(success, overlap=overlap)
    X = float(spectral_norm(bandit).max())
    run = sampled_run(bandit, "grpo", _grpo_step(X))
    squares, reward = _expectations(run)
    C = np.minimum([at.reward_std.max(axis=0) for at in run.levels[:-1]], 0.5)
    rate = paper.theorem_3_4(2, success, X, C.T, run.cross_prompt, run.gradient_ratio, run.std_ratio)
    gains = np.diff(reward, axis=0)
    assert_upper(rate.gain_factor.T * squares[:-1], gains, atol=1e-13, name="gain")
    assert (gains > -rate.gain_factor.T * squares[:-1]).all()  # printed: gains ≤ −factor · E‖∇J‖²
    assert_upper(squares[:-1].min(axis=0), rate.gradient_min, name="minimum form")


@pytest.mark.parametrize("id", ["thm-3.3-gain", "thm-3.4-gain"])
def test_signs_of_the_relaxed_theorems_need_the_repair(id):
    found = CLAIMS[id].check(SMALL)
    assert found.verdict is Verdict.REPAIRED
    assert found.measured > 0 > found.bound


@pytest.mark.parametrize("id", ["thm-3.3-sum", "thm-3.4-min"])
def test_rates_of_theorems_3_3_and_3_4_hold_over_all_sequences(id):
    found = CLAIMS[id].check(SMALL)
    assert found.verdict is Verdict.LOOSE
    assert 0 < found.ratio < 0.5
    assert found.instances >= 8


@pytest.mark.parametrize("method", ["reinforce", "grpo"])
def test_runs_of_the_ledger_meet_the_premises_at_every_parameter_they_reach(method):
    runs = interfering_runs(method, SMALL)
    assert len(runs) >= 6
    for bandit, run, _ in runs:
        assert (bandit.rewards.sum(axis=1) == 1).all()
        for at in run.levels:
            found = check_cross_prompt(bandit, gradients=at.gradient)
            scales = scale_regularity(bandit, gradients=at.gradient, reward_std=at.reward_std)
            assert found.constant <= run.cross_prompt * (1 + 1e-12)
            assert scales.gradient_ratio <= run.gradient_ratio * (1 + 1e-12)
            assert scales.std_ratio <= run.std_ratio * (1 + 1e-12)


def test_a_run_that_opposes_itself_is_not_counted():
    apart = LogLinearBandit(LogLinearBandit.two_arm([0.5, 0.5], overlap=0.25).features, [[1, 0], [0, 1]])
    assert sampled_run(apart, "grpo", _grpo_step(1.0)) is None
    assert all(bandit.num_prompts in {2, 3} for bandit in coupled_bandits(SMALL))


def test_sum_form_of_theorem_3_4_is_false():
    """Twin prompts move alike whichever is sampled, so A3 admits σ(θ_t), and M = R₁ = R₂ = 1."""
    left, right, witness = twins_sum_form(400)
    assert left == pytest.approx(0.4404, abs=5e-5)
    assert right == pytest.approx(0.1414, abs=5e-5)
    assert witness["M"] == pytest.approx(1)
    assert left > 3 * right
    assert CLAIMS["thm-3.4-sum"].check(SMALL).verdict is Verdict.REPAIRED


def test_factor_that_appendix_e2_ends_with_is_false():
    """Eqs (32) and (33) have max(R₁R₂, M/2) where the theorem has max(R₁, 5M/8)R₂."""
    bandit = tilted_prompts()
    gain, unit, constants = one_step(bandit)
    M, R1, R2 = constants["M"], constants["R₁"], constants["R₂"]
    np.testing.assert_allclose([M, R1, R2], [98.0, 10.2, 3.57], rtol=5e-3)
    assert (gain >= unit / (max(R1, 5 * M / 8) * R2)).all()
    assert (gain < 0.6 * unit / max(R1 * R2, M / 2)).any()
    # The expectation is over which of the two is sampled; each alone, from θ = 0.
    at, X = moments(bandit, np.zeros(2)), float(spectral_norm(bandit).max())
    step = 1 / (2 * max(R1, 5 * M / 8) * R2 * X**2)
    each = [moments(bandit, step * at.gradient[i] / at.reward_std[i]).expected_reward for i in range(2)]
    np.testing.assert_allclose(np.mean(each, axis=0) - at.expected_reward, gain, atol=1e-15)
    found = CLAIMS["eq-32"].check(SMALL)
    assert found.verdict is Verdict.REPAIRED
    assert found.ratio == pytest.approx(1.674, abs=1e-3)
