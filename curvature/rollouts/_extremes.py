"""The largest advantages of a log, one for each group, and what made each so large."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from curvature.rollouts._groups import Groups
    from curvature.rollouts.findings import ConventionFinding

    Array = NDArray[np.float64]

__all__ = ["extreme_table"]

_COLUMNS = ["step", "group", "reward", "advantage", "size", "mean", "std", "cause"]
# A spread below this share of the rewards' range is small: dividing by it makes little differences large.
_SMALL = 0.02


@dataclass(frozen=True)
class _Extreme:
    """One advantage and the group it stands in, in the log's own units."""

    reward: float
    advantage: float
    size: int
    mean: float
    std: float
    low: float
    high: float
    others: int
    """Rewards of the group that are like this one, itself among them; of two-valued rewards only."""


def extreme_table(groups: Groups, convention: ConventionFinding, *, most: int = 10) -> pd.DataFrame:
    """Find the largest |A|: the logged ones, else those of (r − mean)/σ̂."""
    import pandas as pd

    logged = groups.log.sample.advantage
    if logged is not None and np.isfinite(logged).any():
        index, reward, advantage = _logged(groups, logged, most)
    else:
        index, reward, advantage = _normalised(groups, most)
    table = groups.log.groups
    rows = []
    for i, r, a in zip(index, reward, advantage, strict=True):
        one = _describe(groups, int(i), float(r), float(a))
        cause = _cause(one, groups, convention, logged is not None)
        where = (int(table.step[i]), int(table.group[i]))
        rows.append((*where, one.reward, one.advantage, one.size, one.mean, one.std, cause))
    return pd.DataFrame(rows, columns=_COLUMNS)


def _logged(groups: Groups, logged: Array, most: int) -> tuple[NDArray[np.int64], Array, Array]:
    """Largest logged |A| of each group, largest first."""
    rows = np.flatnonzero(np.isfinite(logged) & (groups.of_row >= 0))
    rows = rows[np.argsort(-np.abs(logged[rows]), kind="stable")]
    # Groups repeat: the first row of each group is its largest.
    first = np.sort(np.unique(groups.of_row[rows], return_index=True)[1])[:most]
    rows = rows[first]
    rows = rows[logged[rows] != 0]
    return groups.of_row[rows], groups.log.sample.reward[rows], logged[rows]


def _normalised(groups: Groups, most: int) -> tuple[NDArray[np.int64], Array, Array]:
    """Largest (r − mean)/σ̂ of each live group."""
    table = groups.log.groups
    live = np.flatnonzero(table.variance > 0)
    if not live.size:
        return live, np.empty(0), np.empty(0)
    above, below = table.high[live] - table.mean[live], table.mean[live] - table.low[live]
    size = np.maximum(above, below) / np.sqrt(table.variance[live])
    few = np.argpartition(-size, min(most, size.size) - 1)[:most]
    few = few[np.argsort(-size[few], kind="stable")]
    up = above[few] >= below[few]
    reward = np.where(up, table.high[live[few]], table.low[live[few]])
    return live[few], reward, np.where(up, size[few], -size[few])


def _describe(groups: Groups, i: int, reward: float, advantage: float) -> _Extreme:
    table = groups.log.groups
    alike = 0
    if groups.counts is not None:
        k, G = int(groups.counts[i]), int(table.size[i])
        alike = k if reward == groups.low + groups.span else G - k
    return _Extreme(
        reward,
        advantage,
        int(table.size[i]),
        float(table.mean[i]),
        float(np.sqrt(table.variance[i])),
        float(table.low[i]),
        float(table.high[i]),
        alike,
    )


def _cause(one: _Extreme, groups: Groups, convention: ConventionFinding, logged: bool) -> str:
    """Say in one sentence what made |A| large."""
    normalization: Any = convention.normalization if logged else None
    eps = "" if normalization is None or not normalization.eps else f" and eps {normalization.eps:g}"
    spread = "group" if not logged else getattr(normalization, "spread", None)
    if one.size == 1:
        return _cause_of_one(one)
    if one.low == one.high:
        return (
            f"A silent group: all {one.size} rewards are {one.low:g}, so this is rounding noise divided by a std "
            f"of 0{eps}, and should be 0."
        )
    if one.std < _SMALL * groups.span and spread in {"group", "leave-one-out", None}:
        return (
            f"A spread of almost nothing: a difference of {abs(one.reward - one.mean):.2g} was divided by "
            f"σ̂ = {one.std:.2g}{eps}."
        )
    if groups.counts is not None:
        return _cause_of_counts(one, groups, spread)
    return (
        f"One reward far from its group: {one.reward:.4g} against a mean of {one.mean:.4g} of {one.size}, "
        f"{abs(one.reward - one.mean) / one.std:.2f} σ̂; √(G − 1) = {np.sqrt(one.size - 1):.2f} σ̂ is the most there is."
    )


def _cause_of_one(one: _Extreme) -> str:
    if np.isclose(one.advantage, one.reward, rtol=1e-4):
        return f"A group of one: nothing to compare with, so its raw reward {one.reward:.4g} was passed on."
    return "A group of one: it has no spread of its own and no other reward to compare with."


def _cause_of_counts(one: _Extreme, groups: Groups, spread: str | None) -> str:
    right = one.reward == groups.low + groups.span
    what = ("success" if one.others == 1 else "successes") if right else "failure" + "s" * (one.others != 1)
    count = "One" if one.others == 1 else str(one.others)
    sentence = f"{count} {what} in {one.size}"
    others = one.size - one.others
    if spread in {"none", "batch", "pooled"}:
        return f"{sentence}: it is {abs(one.reward - one.mean):.3g} from the group's mean."
    return f"{sentence}: (r − mean)/σ̂ is √({others}/{one.others}) = {np.sqrt(others / one.others):.2f} there."
