"""The same numbers over the run: windows of whole steps, each with enough groups for an interval."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature.rollouts._overall import Part, direct_numbers, fitted_functionals, fitted_numbers

if TYPE_CHECKING:
    import pandas as pd

    from curvature.rollouts._groups import Groups
    from curvature.rollouts.findings import Estimate

__all__ = ["METRICS", "window_numbers", "window_parts", "window_table"]

METRICS = (
    "accuracy",
    "mean_std",
    "silent",
    "all_right",
    "all_wrong",
    "silent_expected",
    "paper_statistic",
    "sharp_statistic",
)
# Fewer groups than this leave an interval of mean σ that says little.
_LEAST_GROUPS = 32


def window_parts(groups: Groups, num_windows: int) -> list[Part]:
    """Cut the steps into at most `num_windows` runs of nearly equally many groups, at least 32 if there are."""
    steps = np.bincount(groups.step_index)
    least = max(-(-len(groups.log.groups) // num_windows), _LEAST_GROUPS)
    edges, held = [0], 0
    for step, number in enumerate(steps):
        held += int(number)
        if held >= least:
            edges.append(step + 1)
            held = 0
    if held:
        # What is left over makes a window of its own only if it is no runt.
        if len(edges) > 1 and (2 * held < least or len(edges) > num_windows):
            edges.pop()
        edges.append(steps.size)
    # The table is sorted by step, so a window is a slice.
    starts = np.append(0, np.cumsum(steps))
    return [Part(groups, slice(int(starts[a]), int(starts[b]))) for a, b in pairwise(edges)]


def window_numbers(part: Part, seed: int, resamples: int) -> dict[str, Estimate]:
    """Estimate the numbers of one window; those that need success rates only where rewards have two values."""
    numbers = direct_numbers(part)
    if part.groups.counts is not None:
        numbers |= fitted_numbers(part.estimate(fitted_functionals(part), seed, resamples))
    return numbers


def window_table(groups: Groups, parts: list[Part], numbers: list[dict[str, Estimate]]) -> pd.DataFrame:
    """Put the windows' numbers into one table; NaN where a number is not to be had."""
    import pandas as pd

    rows = []
    for part, found in zip(parts, numbers, strict=True):
        step = part.take(groups.log.groups.step)
        row: dict[str, Any] = {"first_step": int(step[0]), "last_step": int(step[-1]), "groups": step.size}
        for metric in METRICS:
            at = found.get(metric)
            row[metric] = np.nan if at is None else at.value
            row[f"{metric}_low"] = np.nan if at is None else at.low
            row[f"{metric}_high"] = np.nan if at is None else at.high
        rows.append(row)
    return pd.DataFrame(rows)
