"""Bootstrap intervals of statistics that may not exist on every resample."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["RESAMPLES", "interval"]

RESAMPLES = 999
_KNOWN = 0.9


def interval(
    statistic: Callable[..., Any],
    data: tuple[NDArray, ...],
    rng: np.random.Generator,
    *,
    vectorized: bool = True,
) -> tuple[float, float]:
    """Return the 95 % percentile interval of a statistic of paired data.

    Parameters
    ----------
    statistic : callable
        Of the data, NaN where it does not exist; with `vectorized` it takes `axis`.
    data : tuple of ndarray
        (m,) each.
    rng : Generator
        Of the resamples.
    vectorized : bool
        Whether the statistic takes many resamples at once.

    Returns
    -------
    tuple of float
        NaN with fewer than three points, or if the statistic exists on less than nine resamples in ten.
    """
    if len(data[0]) < 3 or not np.isfinite(statistic(*data)):
        return (np.nan, np.nan)
    from scipy.stats import DegenerateDataWarning, bootstrap

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DegenerateDataWarning)  # NaN is dealt with below
        drawn = bootstrap(
            data,
            statistic,
            n_resamples=RESAMPLES,
            paired=len(data) > 1,
            vectorized=vectorized,
            method="percentile",
            rng=rng,
        ).bootstrap_distribution
    if np.isfinite(drawn).mean() < _KNOWN:
        return (np.nan, np.nan)
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return (float(low), float(high))
