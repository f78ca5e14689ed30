"""Means and shares over groups, with intervals that know which groups share a prompt."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature.rollouts.findings import Estimate

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LEVEL", "exponential", "from_interval", "mean_of", "scaled", "share_of"]

LEVEL = 0.95


def from_interval(interval: Any, what: str) -> Estimate:
    """Carry an interval of `curvature.groups` over, saying what it is of."""
    return replace(interval, method=f"{what}; {interval.method}")


def exponential(interval: Any, what: str) -> Estimate:
    """Carry over an interval of a logarithm: ratios spread by factors, and are never below 0."""
    value, low, high = np.exp([interval.value, interval.low, interval.high]).tolist()
    return Estimate(value, low, high, f"{what}; of the logarithm: {interval.method}", interval.level)


def scaled(estimate: Estimate, factor: float, what: str) -> Estimate:
    """Multiply an estimate and its interval by a positive number."""
    return Estimate(
        factor * estimate.value, factor * estimate.low, factor * estimate.high, what, estimate.level
    )


def share_of(flags: NDArray[np.bool_], clusters: NDArray[np.int64] | None) -> Estimate:
    """Share of groups that have a property: Wilson's interval, wider where groups share a prompt."""
    if clusters is None:
        return _wilson(int(flags.sum()), flags.size, "share of groups; Wilson interval, groups independent")
    return mean_of(flags.astype(np.float64), clusters, "share of groups")


def mean_of(
    values: NDArray[np.float64], clusters: NDArray[np.int64] | None, what: str, *, most: float = 1.0
) -> Estimate:
    """Average values in [0, most] over groups, with a t interval of the sums over prompts."""
    from scipy.special import stdtrit

    mean = float(values.mean())
    residual = values - mean
    if clusters is None:
        sums, unit = residual, "groups"
    else:
        index = np.unique(clusters, return_inverse=True)[1]
        sums, unit = np.bincount(index, weights=residual), "prompts"
    n = sums.size
    if n > 1 and mean in (0.0, most):
        # All values at one end: their spread says nothing, their number does.
        end = _wilson(n if mean else 0, n, "")
        how = f"{what}; all alike, so Wilson's interval for {n} {unit} that agree"
        return Estimate(mean, most * end.low, most * end.high, how, LEVEL)
    if n < 2:
        return Estimate(mean, np.nan, np.nan, f"{what}; no interval: only one of {unit}", LEVEL)
    half = float(stdtrit(n - 1, (1 + LEVEL) / 2)) * np.sqrt(n / (n - 1) * (sums @ sums)) / values.size
    low, high = max(mean - float(half), 0.0), min(mean + float(half), most)
    return Estimate(mean, low, high, f"{what}; t interval over {unit}", LEVEL)


def _wilson(number: int, total: int, method: str) -> Estimate:
    from curvature.groups import success_interval

    low, high = success_interval(number, total, level=LEVEL)
    return Estimate(number / total, float(low), float(high), method, LEVEL)
