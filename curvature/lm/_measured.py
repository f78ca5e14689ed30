"""What runs show: learning curves over seeds, times to a success rate, and ratios of them with paired intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from curvature.groups import Interval

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from curvature.lm._runs import Run

    Array = NDArray[np.float64]

__all__ = ["LEVEL", "final_success", "mean_curve", "paired_ratio", "student", "time_to"]

LEVEL = 0.95
# Share of the run over which its last success rate is averaged.
_END = 0.1


def student(values: Array, method: str) -> Interval:
    """Return the mean over seeds with Student's interval; no interval of one seed or of values that are not finite."""
    from scipy.stats import t

    values = np.asarray(values, dtype=np.float64)
    if not np.isfinite(values).all():
        return Interval(np.nan, np.nan, np.nan, f"no value: {method} is not finite in every seed", LEVEL)
    mean = float(values.mean())
    if values.size < 2:
        return Interval(mean, np.nan, np.nan, f"{method}; one seed has no interval", LEVEL)
    reach = float(t.ppf((1 + LEVEL) / 2, values.size - 1) * values.std(ddof=1) / np.sqrt(values.size))
    return Interval(
        mean, mean - reach, mean + reach, f"{method}; Student's t over {values.size} seeds", LEVEL
    )


def mean_curve(runs: Mapping[int, Run]) -> tuple[Array, Array, Array]:
    """Return the mean success of each step over seeds with the ends of its interval, (T,) each."""
    each = np.array([run.success for run in runs.values()])
    found = [student(column, "mean over seeds") for column in each.T]
    value, low, high = (np.array([getattr(one, end) for one in found]) for end in ("value", "low", "high"))
    return value, low, high


def final_success(run: Run) -> float:
    """Return the mean success over the last tenth of a run."""
    return float(run.success[-max(1, round(_END * run.num_steps)) :].mean())


def time_to(run: Run, targets: Array) -> Array:
    """Find the steps until a run's success reaches each target for good, (k,); inf where it never does.

    The success of a step is a mean over few prompts. So a rising curve is fitted by least squares, without any width
    to choose, and the time is where the line through the centres of its levels crosses the target.

    Parameters
    ----------
    run : Run
        T steps.
    targets : ndarray, shape (k,)
        Success rates.

    Returns
    -------
    ndarray, shape (k,)
        Steps.
    """
    from scipy.optimize import isotonic_regression

    fit = isotonic_regression(run.success)
    centre = (fit.blocks[:-1] + fit.blocks[1:] - 1) / 2
    level = fit.x[fit.blocks[:-1]]
    return np.interp(targets, level, centre, left=0.0, right=np.inf)


def paired_ratio(reference: Array, other: Array) -> Interval:
    """Return the geometric mean over seeds of reference/other, with the interval of its logarithm."""
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = np.log(reference) - np.log(other)
    found = student(logs, "geometric mean of ratios of paired seeds")
    low, value, high = (float(np.exp(end)) for end in (found.low, found.value, found.high))
    return Interval(value, low, high, found.method, LEVEL)
