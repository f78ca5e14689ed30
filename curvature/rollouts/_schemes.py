"""The conventions side by side: the advantages each would have made of this log, at one RMS."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature.rollouts.findings import SCHEMES, Estimate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from curvature.rollouts._groups import Groups
    from curvature.rollouts._weights import Weights

    Array = NDArray[np.float64]

__all__ = ["kappa_functionals", "scheme_table"]


def scheme_table(groups: Groups, weights: Weights, kappa: Mapping[str, Estimate]) -> pd.DataFrame:
    """Give size, spread and agreement with the log of each scheme's advantages, and its κ."""
    import pandas as pd

    centred = _centred_rows(groups)
    rows = [
        {
            "scheme": scheme,
            "description": description,
            "rms": weights.rms,
            "largest": float((weights[scheme] * groups.cells.deviation_max).max()),
            "p99": _quantile(groups, weights[scheme], 0.99),
            "share_zero": 1.0 - weights.rms**2,
            "cosine_to_logged": _cosine(groups, weights[scheme], centred),
            "kappa": kappa[scheme].value if scheme in kappa else np.nan,
            "kappa_low": kappa[scheme].low if scheme in kappa else np.nan,
            "kappa_high": kappa[scheme].high if scheme in kappa else np.nan,
        }
        for scheme, description in SCHEMES.items()
    ]
    return pd.DataFrame(rows)


def kappa_functionals(groups: Groups) -> dict[str, Callable[[Any], float]]:
    """κ_G of each scheme that is no multiple of "none", as functions of the distribution of success rates."""
    sizes, numbers = groups.sizes
    several = sizes > 1
    if not several.any():
        return {}
    mean_std = float(np.average(groups.cells.std, weights=groups.cells.number))
    made: dict[bytes, dict[str, tuple[Array, Array]]] = {}

    def ratio(at: Any, scheme: str) -> float:
        # All resamples share one support, whose moments are made once.
        key = at.support.tobytes()
        if key not in made:
            made[key] = _moments(at.support, sizes[several], numbers[several], mean_std)
        own, plain = (_gain(at.weights, *made[key][name]) for name in (scheme, "none"))
        return own / plain if plain else 1.0

    return {scheme: partial(ratio, scheme=scheme) for scheme in ("group", "shrunk", "variance")}


def _moments(
    success: Array, sizes: NDArray[np.int64], numbers: NDArray[np.int64], mean_std: float
) -> dict[str, tuple[Array, Array]]:
    """E⟨g,ĝ⟩ and σE‖ĝ‖² of a prompt at each rate (D3, two arms), averaged over the sizes of groups."""
    from curvature.advantages import Normalization
    from curvature.groups import gradient_moments
    from curvature.rollouts._weights import shrunk_moments

    V = success * (1 - success)
    named = {"none": "none", "group": Normalization(), "variance": Normalization(exponent=2.0)}

    def of(scheme: str, size: int) -> tuple[Array, Array]:
        if scheme == "shrunk":
            pull, square = shrunk_moments(success, size, mean_std)
            return V * pull, np.sqrt(V) * square
        found = gradient_moments(success, size, named[scheme])
        return np.asarray(found.inner), np.sqrt(V) * np.asarray(found.square)

    def averaged(scheme: str) -> tuple[Array, Array]:
        each = np.array([of(scheme, int(size)) for size in sizes])
        inner, square = np.average(each, axis=0, weights=numbers)
        return inner, square

    return {scheme: averaged(scheme) for scheme in (*named, "shrunk")}


def _gain(weights: Array, inner: Array, square: Array) -> float:
    """Certify the gain of D4, (Σ E⟨g,ĝ⟩)²/Σ σE‖ĝ‖², up to a constant; 0 where no prompt can move."""
    total = float(weights @ square)
    return float(weights @ inner) ** 2 / total if total > 0 else 0.0


def _quantile(groups: Groups, weight: Array, share: float) -> float:
    """Find the quantile of |A| over rollouts; of general rewards over those whose rows were kept."""
    cells = groups.cells
    if cells.two_valued:
        successes = cells.score * cells.size
        size = np.concatenate([weight * (1 - cells.score), weight * cells.score])
        number = np.concatenate([cells.number * successes, cells.number * (cells.size - successes)])
    else:
        row, group = _kept_rows(groups)
        deviation = np.abs(groups.log.sample.reward[row] - groups.log.groups.mean[group]) / groups.span
        size = deviation * weight[cells.of_group[group]]
        number = np.ones(size.size)
    if not number.sum():
        return np.nan
    order = np.argsort(size)
    reached = np.cumsum(number[order])
    # Rounding of k = G·(k/G) must not push the last one out of reach.
    place = np.searchsorted(reached, share * reached[-1] * (1 - 1e-12))
    return float(size[order[place]])


def _kept_rows(groups: Groups) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the sample that have a reward, and the group of each."""
    row = np.flatnonzero((groups.of_row >= 0) & ~np.isnan(groups.log.sample.reward))
    return row, groups.of_row[row]


def _centred_rows(groups: Groups) -> tuple[Array, Array, NDArray[np.int64]] | None:
    """Pair r − mean with the logged advantage of the rows that have both, and their cells; None if none is logged."""
    from curvature.advantages import PRESETS, group_advantages

    logged = groups.log.sample.advantage
    if logged is None:
        return None
    row, group = _kept_rows(groups)
    plain = replace(PRESETS["none"], nan="exclude")
    centred = group_advantages(groups.log.sample.reward[row], group, plain) / groups.span
    known = np.isfinite(logged[row])
    return centred[known], logged[row][known], groups.cells.of_group[group[known]]


def _cosine(groups: Groups, weight: Array, rows: tuple[Array, Array, NDArray[np.int64]] | None) -> float:
    """Cosine of the scheme's advantages with the logged ones."""
    if rows is None:
        return np.nan
    centred, logged, cell = rows
    own = weight[cell] * centred
    lengths = float(np.sqrt((own @ own) * (logged @ logged)))
    return float(own @ logged) / lengths if lengths else np.nan
