"""Profiles of success rates, and the commitment of sampled runs: what hypothesis H2 is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from curvature.ledger.empirical import Interval, share_interval

if TYPE_CHECKING:
    from collections.abc import Sequence


__all__ = ["PROFILES", "committed_share", "exponents_by_spread"]

_GRID = (np.arange(64) + 0.5) / 64

PROFILES = {
    "uniform": _GRID,
    "hard": 0.01 + 0.14 * _GRID,
    "mid": 0.3 + 0.4 * _GRID,
    "bimodal": np.concatenate([0.02 + 0.08 * _GRID[::2], 0.9 + 0.08 * _GRID[::2]]),
}
"""Success rates of 64 prompts."""


def committed_share(exponent: float, seeds: Sequence[int], *, num_steps: int = 3000) -> Interval:
    """Measure how often sampled runs (G = 2) commit to the second-best of three responses of rewards 1, .9 and 0.

    Ours, theory H2. Kind: simulation.
    Holds when: features are the standard axes; success .02, .18, .8 at the start; the update of length α·σ₀^e times
    the weighted gradient, so that all exponents start alike.

    Parameters
    ----------
    exponent : float
        e of the group's own std.
    seeds : sequence of int
        One run each.
    num_steps : int
        T.

    Returns
    -------
    Interval
        Of the share with more than .99 on the second-best response and less than .002 on the best.
    """
    from dataclasses import replace

    from curvature.advantages import PRESETS
    from curvature.ascent import ascend
    from curvature.bandit import LogLinearBandit
    from curvature.moments import moments

    start = np.array([[0.02, 0.18, 0.8]])
    bandit = LogLinearBandit(np.eye(3)[None], np.array([[1.0, 0.9, 0.0]]), np.log(start))
    std = float(moments(bandit, np.zeros(3)).reward_std[0])
    trace = ascend(
        bandit,
        "reinforce",
        step=32.0 * std**exponent,
        num_steps=num_steps,
        group_size=2,
        advantages=replace(PRESETS["grpo"], exponent=exponent),
        seeds=seeds,
        record=["theta"],
        every=num_steps,
        progress=False,
    )
    logits = np.log(start[0]) + trace["theta"][:, -1]
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    end = odds / odds.sum(axis=1, keepdims=True)
    committed = (end[:, 1] > 0.99) & (end[:, 0] < start[0, 0] / 10)
    return share_interval(int(committed.sum()), len(seeds))


def exponents_by_spread(sizes: Sequence[int] = (8, 16, 64)) -> dict[float, list[float]]:
    """Find the best exponent of each group size by how unlike prompts are, at one place: p(1 − p) = 1/G.

    Ours, theory H2. Kind: identity (a maximum found numerically).
    Holds when: there are two arms a prompt; log-odds are normal over prompts, here at 101 quantiles.

    Parameters
    ----------
    sizes : sequence of int
        G, each at least 4.

    Returns
    -------
    dict of float to list of float
        The best e of each G, by the standard deviation of the log-odds over prompts.
    """
    from scipy.special import expit, logit
    from scipy.stats import norm

    from curvature.groups import best_exponent

    z = norm.ppf((np.arange(101) + 0.5) / 101)
    center = [logit(0.5 - np.sqrt(0.25 - 1 / G)) for G in sizes]
    return {
        sd: [best_exponent(expit(odds + sd * z), G) for odds, G in zip(center, sizes, strict=True)]
        for sd in (0.1, 0.5, 2.0)
    }
