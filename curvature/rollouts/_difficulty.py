"""Which prompts an update listens to: effective weights and shares of the update, by difficulty."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from curvature.rollouts._weights import Weights, effective_weights
from curvature.rollouts.findings import SCHEMES

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from curvature.rollouts._groups import Cells, Groups

    Array = NDArray[np.float64]

__all__ = ["decile_table", "difficulty_table"]

# With more values of k/G than this a bin for each says less than ten bins do.
_MOST_BINS = 33


def difficulty_table(groups: Groups, weights: Weights) -> pd.DataFrame:
    """Give weights and shares of the update for each bin of a group's mean reward."""
    import pandas as pd

    cells = groups.cells
    low, high, bin_of = _bins(groups)
    number = np.bincount(bin_of, weights=cells.number, minlength=low.size)
    columns: dict[str, NDArray[Any]] = {
        "low": low,
        "high": high,
        "groups": number.astype(np.int64),
        "share_of_groups": number / number.sum(),
    }
    for scheme, weight in _cell_weights(groups, weights).items():
        columns[f"weight_{scheme}"] = _scaled_means(weight, cells.number, bin_of, low.size)
    for scheme in SCHEMES:
        total = np.bincount(bin_of, weights=_update(cells, weights[scheme]), minlength=low.size)
        columns[f"update_{scheme}"] = _shares(total)
    return pd.DataFrame(columns)


def decile_table(groups: Groups, weights: Weights) -> pd.DataFrame:
    """Give the share of the update of each tenth of the groups; groups of one mean reward share theirs evenly."""
    import pandas as pd

    cells = groups.cells
    level, index = np.unique(cells.score, return_inverse=True)
    reached = np.cumsum(np.bincount(index, weights=cells.number))
    edges = np.linspace(0.0, 1.0, 11) * reached[-1]
    slack = 1e-9 * reached[-1]
    first = np.searchsorted(reached, edges[:-1] + slack, side="left")
    last = np.searchsorted(reached, edges[1:] - slack, side="left")
    columns: dict[str, NDArray[Any]] = {"decile": np.arange(1, 11), "low": level[first], "high": level[last]}
    for scheme in SCHEMES:
        carried = np.cumsum(np.bincount(index, weights=_update(cells, weights[scheme])))
        at = np.interp(edges, np.append(0.0, reached), np.append(0.0, carried))
        columns[f"update_{scheme}"] = _shares(np.diff(at))
    return pd.DataFrame(columns)


def _bins(groups: Groups) -> tuple[Array, Array, NDArray[np.int64]]:
    """Lower and upper end of each bin, and the bin of each cell."""
    cells = groups.cells
    if cells.two_valued and groups.sizes[0].size == 1 and groups.common_size < _MOST_BINS:
        G = groups.common_size
        points = np.arange(G + 1) / G
        return points, points, np.rint(cells.score * G).astype(np.int64)
    edges = np.linspace(0.0, 1.0, 11)
    return edges[:-1], edges[1:], np.clip((cells.score * 10).astype(np.int64), 0, 9)


def _cell_weights(groups: Groups, weights: Weights) -> dict[str, Array]:
    """Effective weight of each cell: a_G at its k/G, or of general rewards the weight it got, NaN if silent."""
    cells = groups.cells
    if not cells.two_valued:
        live = cells.variance > 0
        return {scheme: np.where(live, weights[scheme], np.nan) for scheme in SCHEMES}
    mean_std = float(np.average(cells.std, weights=cells.number))
    result = {scheme: np.zeros(cells.size.shape) for scheme in SCHEMES}
    for G in np.unique(cells.size[cells.size > 1]):
        here = np.flatnonzero(cells.size == G)
        score, inverse = np.unique(cells.score[here], return_inverse=True)
        for scheme, values in effective_weights(score, int(G), mean_std).items():
            result[scheme][here] = values[inverse]
    batch_std = weights.spreads.batch_std[cells.step]
    result["batch"] = np.where(
        batch_std > 0, result["batch"] / np.where(batch_std > 0, batch_std, 1.0), np.nan
    )
    return result


def _scaled_means(values: Array, number: NDArray[np.int64], bin_of: NDArray[np.int64], bins: int) -> Array:
    """Mean of each bin over groups that have a value, in units of the mean over all; NaN where there is none."""
    known = ~np.isnan(values)
    count = np.bincount(bin_of[known], weights=number[known], minlength=bins)
    total = np.bincount(bin_of[known], weights=(number * values)[known], minlength=bins)
    if not total.sum():
        return np.full(bins, np.nan)
    means = np.full(bins, np.nan)
    np.divide(total, count, out=means, where=count > 0)
    return means / (total.sum() / count.sum())


def _update(cells: Cells, weight: Array) -> Array:
    """Σ|A| of each cell; groups whose rows were not kept count as the others do, on average, by being left out."""
    return cells.number * weight * np.nan_to_num(cells.deviation_sum)


def _shares(total: NDArray[Any]) -> Array:
    """Scale to sum 1; NaN where nothing updates."""
    return total / total.sum() if total.sum() > 0 else np.full(total.shape, np.nan)
