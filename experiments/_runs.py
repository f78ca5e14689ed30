"""What the figures of measured runs share: bandits of given difficulty, times to a target, and step tuning.

A time to target is that of the first crossing of the mean success. A run that never crosses has time inf: it is
censored, and counts as its length wherever a number is needed, which :func:`compare` says of every such comparison.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature import LogLinearBandit
from curvature.ascent import Trace, ascend

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# In units of 1/D²; the same for every method, and wide enough to hold the best step of each in its inside.
STEP_GRID = 2.0 ** np.arange(-2, 15)
# Instances that steps are tuned on are drawn from these seeds, those that are reported on from 0, 1, …
FIRST_TUNING_SEED = 1_000


@dataclass(frozen=True)
class Tuned:
    """The best step of a method on the tuning instances, and whether it lies at an end of the grid."""

    step: float
    at_edge: bool


def bandit_with_success(success: ArrayLike, num_responses: int, overlap: float, seed: int) -> LogLinearBandit:
    """Draw prompts of diameter 1 and given overlap, each with one correct response of given probability.

    The correct response has probability p_x at θ = 0 and the wrong ones share 1 − p_x by a flat Dirichlet draw.

    Parameters
    ----------
    success : array_like, shape (n,)
        p_x, strictly between 0 and 1.
    num_responses : int
        K; each prompt spans K − 1 dimensions.
    overlap : float
        c in [0, 1].
    seed : int
        Instances of one seed differ in success and overlap alone.

    Returns
    -------
    LogLinearBandit
        Features of :meth:`LogLinearBandit.overlapping`.
    """
    p = np.asarray(success, dtype=np.float64)
    drawn = LogLinearBandit.overlapping(p.size, num_responses, overlap, seed=seed)
    # A stream of its own: the same shares whatever the features consumed.
    rng = np.random.default_rng([seed, 1])
    shares = rng.dirichlet(np.ones(num_responses - 1), size=p.size)
    correct = drawn.rewards == 1
    probabilities = np.empty_like(drawn.rewards)
    probabilities[correct] = p
    probabilities[~correct] = ((1 - p)[:, None] * shares).ravel()
    return LogLinearBandit(drawn.features, drawn.rewards, np.log(probabilities))


def time_to(trace: Trace, level: float) -> NDArray[np.float64]:
    """Return the time of the first crossing of a mean success, (R,); inf if none.

    A whole number of updates where each is recorded. Where the record is thinned, interpolated between its entries.
    (Within one update there is nothing to interpolate: it would make the longest step the fastest.)

    Parameters
    ----------
    trace : Trace
        With "expected_reward".
    level : float
        Mean success to reach.

    Returns
    -------
    ndarray, shape (R,)
        Updates.
    """
    time = trace.time_to_target(level)
    values = trace["expected_reward"]
    first = (values >= level).argmax(axis=1)
    runs, before = np.arange(len(values)), np.maximum(first - 1, 0)
    low, high = values[runs, before], values[runs, first]
    gap = (trace.iterations[first] - trace.iterations[before]).astype(np.float64)
    over = np.divide(high - level, high - low, out=np.zeros_like(low), where=high > low)
    return np.where(gap > 1, time - over * gap, time)


def tune(
    bandits: Iterable[LogLinearBandit],
    method: str,
    *,
    level: float,
    num_steps: int,
    grid: NDArray[np.float64] = STEP_GRID,
    **options: Any,
) -> Tuned:
    """Find the constant step of the shortest time to a level: the same rule for every method.

    The geometric mean over the instances of the time to the level is smallest; a run that never gets there counts
    as twice its length. Of equal steps the smallest.

    Parameters
    ----------
    bandits : iterable of LogLinearBandit
        Tuning instances; the i-th runs with prompt seed i.
    method : str
        A key of METHODS.
    level : float
        Mean success to reach.
    num_steps : int
        Length of a run.
    grid : ndarray
        Steps to choose from.
    **options
        Passed to :func:`curvature.ascent.ascend`.

    Returns
    -------
    Tuned
        The step.
    """
    scores = []
    for index, bandit in enumerate(bandits):
        trace = ascend(
            bandit,
            method,
            step=grid,
            num_steps=num_steps,
            seeds=[index] * len(grid),
            record=("expected_reward",),
            progress=False,
            **options,
        )
        time = time_to(trace, level)
        scores.append(np.log(np.maximum(np.where(np.isfinite(time), time, 2.0 * num_steps), 1e-3)))
    best = int(np.mean(scores, axis=0).argmin())
    return Tuned(float(grid[best]), best in (0, len(grid) - 1))


def measure(
    bandits: Sequence[LogLinearBandit],
    method: str,
    *,
    step: Any,
    level: float,
    num_steps: int,
    **options: Any,
) -> NDArray[np.float64]:
    """Return the time to the level of one run a bandit, (R,), the i-th with prompt seed i."""
    trace = ascend(
        bandits,
        method,
        step=step,
        num_steps=num_steps,
        seeds=np.arange(len(bandits)),
        record=("expected_reward",),
        progress=False,
        **options,
    )
    return time_to(trace, level)


def geometric_interval(values: ArrayLike) -> tuple[float, float, float]:
    """Return the geometric mean and its 95 % interval by Student's t on logarithms; NaN ends for one value."""
    from scipy import stats

    logs = np.log(np.asarray(values, dtype=np.float64))
    mean = float(logs.mean())
    if logs.size < 2:
        return float(np.exp(mean)), float("nan"), float("nan")
    reach = float(stats.t.ppf(0.975, logs.size - 1) * logs.std(ddof=1) / np.sqrt(logs.size))
    return float(np.exp(mean)), float(np.exp(mean - reach)), float(np.exp(mean + reach))


def capped(time: ArrayLike, num_steps: int) -> NDArray[np.float64]:
    """Return times with censored ones replaced by the length of the run, and none below a thousandth of a step."""
    return np.maximum(np.minimum(np.asarray(time, dtype=np.float64), num_steps), 1e-3)


def compare(slow: ArrayLike, fast: ArrayLike, num_steps: int) -> dict[str, Any]:
    """Compare two arms run on the same instances: how many times faster the second is.

    Parameters
    ----------
    slow, fast : array_like, shape (R,)
        Times to target, inf where censored.
    num_steps : int
        Length of a run, which stands in for a censored time.

    Returns
    -------
    dict
        speedup, low, high (geometric mean of slow/fast, its 95 % interval), slow, fast (geometric means of the
        times), slow_censored, fast_censored (counts), and bound: "exact"; "at least" if only times of the first
        arm are censored, "at most" if only of the second, "unknown" if of both.
    """
    first, second = np.asarray(slow, dtype=np.float64), np.asarray(fast, dtype=np.float64)
    estimate, low, high = geometric_interval(capped(first, num_steps) / capped(second, num_steps))
    lost = int(np.isinf(first).sum()), int(np.isinf(second).sum())
    bound = {(False, False): "exact", (True, False): "at least", (False, True): "at most"}.get(
        (lost[0] > 0, lost[1] > 0), "unknown"
    )
    return {
        "speedup": estimate,
        "low": low,
        "high": high,
        "slow": geometric_interval(capped(first, num_steps))[0],
        "fast": geometric_interval(capped(second, num_steps))[0],
        "slow_censored": lost[0],
        "fast_censored": lost[1],
        "bound": bound,
    }


def log_odds_between(low: float, high: float, count: int, seed: int) -> NDArray[np.float64]:
    """Return success rates evenly spread in log-odds from low to high, in a random order."""
    ends = np.log(np.array([low, high]) / (1 - np.array([low, high])))
    rates = 1 / (1 + np.exp(-np.linspace(*ends, count)))
    return np.random.default_rng([seed, 2]).permutation(rates)
