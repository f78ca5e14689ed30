"""The mean reward std along training beside the lead in accuracy: hypothesis H6, and phases."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature.bounds import improvement_threshold
from curvature.groups import fit_success_distribution
from curvature.lm._measured import student

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from curvature.lm._runs import Run

__all__ = ["PAPER_FACTOR", "SHARP_FACTOR", "first_step", "phases_of", "summary_of", "windows_of"]

# 8/3, and 3√3/2: C1's smoothness on both sides.
PAPER_FACTOR = improvement_threshold("paper").ratio_per_std
SHARP_FACTOR = improvement_threshold("sharp_binary").ratio_per_std


def windows_of(reference: Mapping[int, Run], other: Mapping[int, Run], num_windows: int) -> pd.DataFrame:
    """Average over windows of steps: mean σ of the reference's prompts and the lead of the other arm's accuracy.

    σ is that of a smooth distribution of success rates fitted to the window's counts, since the std of a small group
    is too small on average. The lead is paired by seed.

    Parameters
    ----------
    reference, other : dict of int to Run
        By seed.
    num_windows : int
        Of nearly one length.

    Returns
    -------
    DataFrame
        One row a window.
    """
    import pandas as pd

    seeds = sorted(set(reference) & set(other))
    length = reference[seeds[0]].num_steps
    edges = np.unique(np.linspace(0, length, num_windows + 1).astype(int))
    lead = np.array([other[seed].success - reference[seed].success for seed in seeds])
    rows = []
    for begin, end in pairwise(edges):
        counts, sizes = _counts(reference.values(), begin, end)
        std = fit_success_distribution(counts, sizes, method="smooth").std_mean
        gap = student(lead[:, begin:end].mean(axis=1), "mean lead over paired seeds")
        rows.append({
            "first_step": int(begin),
            "last_step": int(end - 1),
            "mean_std": std,
            "paper_statistic": PAPER_FACTOR * std,
            "sharp_statistic": SHARP_FACTOR * std,
            "lead": gap.value,
            "lead_low": gap.low,
            "lead_high": gap.high,
        })
    return pd.DataFrame(rows)


def _counts(runs: Any, begin: int, end: int) -> tuple[Any, Any]:
    used = [(run, (run.step >= begin) & (run.step < end)) for run in runs]
    return tuple(np.concatenate([getattr(run, name)[at] for run, at in used]) for name in ("right", "size"))  # type: ignore[return-value]  # two of them


def first_step(windows: pd.DataFrame, holds: Any) -> int | None:
    """Return the first step of the first window where something holds, None if nowhere."""
    where = np.flatnonzero(np.asarray(holds))
    return int(windows["first_step"].iloc[where[0]]) if where.size else None


def summary_of(windows: pd.DataFrame) -> dict[str, Any]:
    """Say where each statistic falls below 1, where the lead's interval leaves 0, and how the two go together."""
    gap, std = windows["lead"].to_numpy(), windows["mean_std"].to_numpy()
    varies = len(windows) > 2 and np.ptp(gap) > 0 and np.ptp(std) > 0
    return {
        "paper_statistic_below_1_from_step": first_step(windows, windows["paper_statistic"] < 1),
        "sharp_statistic_below_1_from_step": first_step(windows, windows["sharp_statistic"] < 1),
        "lead_above_0_from_step": first_step(windows, windows["lead_low"] > 0),
        "lead_below_0_from_step": first_step(windows, windows["lead_high"] < 0),
        "correlation_of_mean_std_and_lead": float(np.corrcoef(std, gap)[0, 1]) if varies else None,
    }


def phases_of(reference: Mapping[int, Run], other: Mapping[int, Run]) -> dict[str, Any]:
    """Cut the series of an arm (means over seeds) into phases, by :func:`curvature.phases.phase_report`."""
    from curvature.phases import phase_report

    seeds = sorted(set(reference) & set(other))
    spreads = [_spreads(other[seed]) for seed in seeds]
    series = {
        "mean_std": np.mean([mean for mean, _ in spreads], axis=0),
        "spread_std": np.mean([spread for _, spread in spreads], axis=0),
        "accuracy_gap": np.mean([other[seed].success - reference[seed].success for seed in seeds], axis=0),
    }
    moving = {name: values for name, values in series.items() if np.ptp(values) > 0}
    if not moving or len(series["mean_std"]) < 12:
        return {
            "sentence": "too few steps to look for phases.",
            "segments": None,
            "breakpoints": [],
            "telling": None,
        }
    found = phase_report(moving)
    return {
        "sentence": found.sentence,
        "segments": found.segmentation.num_segments,
        "breakpoints": [int(found.segmentation.steps[i]) for i in found.segmentation.breakpoints],
        "telling": found.telling,
    }


def _spreads(run: Run) -> tuple[Any, Any]:
    """Mean and spread over the step's groups of the plug-in std, (T,) each."""
    share = run.right / run.size
    std = np.sqrt(share * (1 - share))
    mean = run.mean_of(std)
    return mean, np.sqrt(np.maximum(run.mean_of(std**2) - mean**2, 0))
