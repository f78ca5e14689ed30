"""Sampled gradients have the expectation that theory gives them. Seeds are fixed; the false-alarm level is stated."""

import numpy as np
import pytest
from scipy.stats import binom, norm

from curvature import LogLinearBandit, moments
from curvature.ascent import ascend

RUNS = 20_000
# Each test compares a few coordinates: with this level per test, one choice of seeds in 10⁴ would fail it.
LEVEL = 1e-4
START = np.array([0.4, -0.3, 0.2])


def _bandit():
    drawn = LogLinearBandit.gaussian(2, 4, 3, rewards="binary", seed=2)
    return LogLinearBandit(3 * drawn.features, drawn.rewards)


def _updates(bandit, G, runs=RUNS, **options):
    trace = ascend(
        bandit, step=1.0, num_steps=1, theta0=START, group_size=G, seeds=range(runs), record=(), **options
    )
    return trace.theta - START


def _assert_mean(updates, expected):
    error = updates.mean(axis=0) - expected
    z = error / (updates.std(axis=0, ddof=1) / np.sqrt(len(updates)))
    assert np.abs(z).max() < norm.isf(LEVEL / 2 / z.size), f"z = {z}"
    # The test has power: a tenth of the expected update would be seen.
    assert np.abs(0.1 * expected / (updates.std(axis=0, ddof=1) / np.sqrt(len(updates)))).max() > 5


@pytest.mark.parametrize(("preset", "factor"), [("rloo", 1.0), ("none", 3 / 4)])
def test_centred_rewards_give_the_gradient_up_to_a_known_factor(preset, factor):
    gradient = moments(_bandit(), START).gradient
    _assert_mean(_updates(_bandit(), 4, method="reinforce", advantages=preset), factor * gradient.sum(axis=0))


@pytest.mark.parametrize("G", [2, 5])
def test_grpo_has_the_effective_weight_of_theory_d1(G):
    at = moments(_bandit(), START)
    k = np.arange(G + 1)
    share = np.sqrt(k / G * (1 - k / G))
    p = at.expected_reward
    weight = np.array([binom.pmf(k, G, px) @ share / (px * (1 - px)) for px in p])
    _assert_mean(_updates(_bandit(), G, method="grpo"), weight @ at.gradient)


def test_one_sampled_prompt_gives_the_mean_gradient():
    bandit = _bandit()
    gradient = moments(bandit, START).gradient
    updates = _updates(bandit, 4, method="reinforce", advantages="rloo", prompts="one", runs=6000)
    _assert_mean(updates, gradient.mean(axis=0))


def test_a_large_group_gives_the_exact_update():
    bandit = _bandit()
    for method in ("reinforce", "grpo", "batch", "interference", "variance"):
        exact = ascend(bandit, method, step=1.0, num_steps=1, theta0=START, record=()).theta[0] - START
        sampled = _updates_of_large_groups(bandit, method)
        assert np.linalg.norm(sampled - exact) < 0.02 * np.linalg.norm(exact), method


def _updates_of_large_groups(bandit, method):
    trace = ascend(
        bandit, method, step=1.0, num_steps=1, theta0=START, group_size=4000, seeds=range(40), record=()
    )
    return (trace.theta - START).mean(axis=0)
