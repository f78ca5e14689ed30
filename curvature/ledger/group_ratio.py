"""Exact sums of theory D3 and D4 for two arms, and the commitment of sampled runs: what hypothesis H2 is about."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature.ledger.empirical import Interval, share_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = ["PROFILES", "best_exponent", "committed_share", "group_moments", "speed_ratio"]

_GRID = (np.arange(64) + 0.5) / 64

PROFILES = {
    "uniform": _GRID,
    "hard": 0.01 + 0.14 * _GRID,
    "mid": 0.3 + 0.4 * _GRID,
    "bimodal": np.concatenate([0.02 + 0.08 * _GRID[::2], 0.9 + 0.08 * _GRID[::2]]),
}
"""Success rates of 64 prompts."""


def group_moments(success: ArrayLike, group_size: int, exponent: float) -> tuple[Any, Any]:
    """Compute E⟨g,ĝ⟩/D² and E‖ĝ‖²/D² for two arms: p(1 − p)·ΣBin(k) q̂^(1−e/2) and ΣBin(k) q̂^(2−e).

    Ours, theory D3. Kind: identity.
    Holds when: two arms, so that the features of right and of wrong responses do not vary.

    Parameters
    ----------
    success : array_like, shape (n,)
        p.
    group_size : int
        G ≥ 2.
    exponent : float
        e of the group's own std.

    Returns
    -------
    tuple of ndarray, shape (n,)
        Both moments.

    Examples
    --------
    >>> inner, square = group_moments([0.5], 2, 1.0)
    >>> round(float(inner[0]), 6), round(float(square[0]), 6)
    (0.0625, 0.125)
    """
    p = np.asarray(success, dtype=np.float64)[:, None]
    G, k = group_size, np.arange(1, group_size)
    ways = np.array([math.comb(G, int(one)) for one in k], dtype=np.float64)
    chance = ways * p**k * (1 - p) ** (G - k)
    q = k / G * (1 - k / G)
    inner = (p * (1 - p))[:, 0] * (chance * q ** (1 - exponent / 2)).sum(axis=1)
    return inner, (chance * q ** (2 - exponent)).sum(axis=1)


def speed_ratio(success: ArrayLike, group_size: int, exponent: float) -> float:
    """Compute D4's (ΣE⟨g,ĝ⟩)²/(ΣσE‖ĝ‖²), up to D².

    Ours, theory D4. Kind: identity.
    Holds when: two arms.

    Parameters
    ----------
    success, group_size, exponent
        As in :func:`group_moments`.

    Returns
    -------
    float
        To be compared between exponents.

    Examples
    --------
    >>> p = [0.1, 0.5]
    >>> round(speed_ratio(p, 8, 1.0) / speed_ratio(p, 8, 0.0), 2)  # κ_G of GRPO over REINFORCE
    1.02
    """
    p: NDArray[np.float64] = np.asarray(success, dtype=np.float64)
    inner, square = group_moments(p, group_size, exponent)
    return float(inner.sum() ** 2 / (np.sqrt(p * (1 - p)) * square).sum())


def best_exponent(success: ArrayLike, group_size: int) -> float:
    """Find the exponent in [0, 4] of the largest :func:`speed_ratio`.

    Ours, theory H2. Kind: identity (a maximum found numerically).
    Holds when: two arms, G ≥ 4: all exponents are alike for G = 2 and 3.

    Parameters
    ----------
    success, group_size
        As in :func:`group_moments`.

    Returns
    -------
    float
        e, to 1e−4.

    Examples
    --------
    >>> round(best_exponent([0.02, 0.5], 8), 1) > 0
    True
    """
    from scipy.optimize import minimize_scalar

    def loss(e: float) -> float:
        return -speed_ratio(success, group_size, e)

    coarse = np.linspace(0, 4, 81)
    at = float(coarse[np.argmin([loss(e) for e in coarse])])
    found: Any = minimize_scalar(
        loss, bounds=(max(at - 0.05, 0), min(at + 0.05, 4)), method="bounded", options={"xatol": 1e-5}
    )
    return float(found.x)


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
