"""Theorems 3.3 and 3.4 on long sampled runs of overlapping prompts, by Monte Carlo with intervals.

Short runs are enumerated exactly in the ledger. Here 256 runs of 60 updates are drawn; every θ that they visit is
checked to satisfy A4 and A5 with the constants that the step was chosen for. One false alarm in a thousand a test.
"""

import numpy as np
import pytest
from scipy import stats

from curvature import LogLinearBandit, moments, spectral_norm
from curvature.ascent import ascend
from curvature.assumptions import check_cross_prompt, scale_regularity
from curvature.bounds import paper

RUNS, STEPS, PROMPTS, OVERLAP = 256, 60, 3, 0.3
START, M, R1, R2 = np.array([0.3, 0.4, 0.5]), 2.0, 6.0, 2.5


@pytest.fixture(scope="module")
def bandit():
    return LogLinearBandit.two_arm(START, diameter=1.0, overlap=OVERLAP)


def _theorem(name, bandit):
    X = float(spectral_norm(bandit).max())
    if name == "reinforce":
        return paper.theorem_3_3(PROMPTS, START, X, STEPS, M)
    return paper.theorem_3_4(PROMPTS, START[:, None], X, np.full((PROMPTS, 1, STEPS), 0.5), M, R1, R2)


def _runs(name, bandit):
    step = float(np.ravel(_theorem(name, bandit).step)[0])
    return ascend(
        bandit,
        name,
        step=step,
        num_steps=STEPS,
        prompts="one",
        seeds=np.arange(RUNS),
        record=("theta",),
        progress=False,
    )["theta"]


def _one_sided(sample, quantile):
    """Return the bound on the mean that fails with probability 1/1000, from above or below."""
    t = stats.t.ppf(quantile, len(sample) - 1)
    return sample.mean(axis=0) + t * sample.std(axis=0, ddof=1) / np.sqrt(len(sample))


@pytest.mark.parametrize("name", ["reinforce", "grpo"])
def test_sampled_runs_keep_the_premises_and_the_promise(name, bandit):
    thetas = _runs(name, bandit)
    visited = thetas.reshape(-1, bandit.dimension)
    distinct = np.unique(visited, axis=0)
    assert len(distinct) > 1_000
    for theta in distinct[:: max(1, len(distinct) // 400)]:
        assert check_cross_prompt(bandit, theta).constant <= M
        if name == "grpo":
            found = scale_regularity(bandit, theta)
            assert found.gradient_ratio <= R1
            assert found.std_ratio <= R2
    at = moments(bandit, thetas)
    # For two arms ‖∇J_i‖ = DV_i, and A4 asks for M ≥ c max V_j/V_i: that is checked at every θ visited.
    variance = at.reward_std**2
    ratio = (variance.max(axis=-1) / variance.min(axis=-1)).max()
    assert OVERLAP * ratio <= M
    if name == "grpo":
        assert ratio <= min(R1, R2**2)
    squared = (at.gradient**2).sum(axis=-1)[:, :-1]  # (runs, steps, prompts)
    rate = _theorem(name, bandit)
    total = squared.sum(axis=1)
    assert (_one_sided(total, 0.999) <= np.ravel(rate.gradient_sum)).all()
    # The ascent inequality, its signs turned, summed over the run.
    gain = at.expected_reward[:, -1] - at.expected_reward[:, 0]
    factor = np.ravel(rate.gain_factor)[0]
    assert (_one_sided(gain - factor * total, 0.001) >= 0).all()
    # And what is promised is not nothing.
    assert (factor * total.mean(axis=0) > 1e-3).all()
