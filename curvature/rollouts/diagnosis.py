"""From a log to numbers and an answer: what the convention does to which prompts, and what theory predicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from curvature.rollouts._difficulty import decile_table, difficulty_table
from curvature.rollouts._estimates import from_interval
from curvature.rollouts._extremes import extreme_table
from curvature.rollouts._groups import Groups
from curvature.rollouts._limits import limits_of
from curvature.rollouts._overall import Part, direct_numbers, fitted_functionals, fitted_numbers
from curvature.rollouts._predictions import (
    flow_functionals,
    flow_predictions,
    kappa_prediction,
    targets_of,
)
from curvature.rollouts._schemes import kappa_functionals, scheme_table
from curvature.rollouts._verdict import verdict_of
from curvature.rollouts._weights import Weights
from curvature.rollouts._windows import window_numbers, window_parts, window_table
from curvature.rollouts.findings import Diagnosis, Estimate, Source

if TYPE_CHECKING:
    from curvature.rollouts.findings import Prediction
    from curvature.rollouts.log import RolloutLog

__all__ = ["diagnose"]

# Resamples of the whole log and of the start; of a window, of which there are many.
_RESAMPLES, _WINDOW_RESAMPLES = 200, 60


def diagnose(log: RolloutLog, *, seed: int = 0, num_windows: int = 20) -> Diagnosis:
    """Diagnose a log: estimates, counterfactual advantages, predictions, and the verdict that follows from them.

    Ours, theory II.5, II.6 and T4.

    The verdict follows a rule, with a margin of 5 % and 95 % intervals of the factor across prompts (at the log's group
    size, to the first target), of κ_G and of the speed-up at one RMS advantage: "keep" if the factor lies above 1.05,
    κ_G not below 0.95 and the third nowhere below 0.95; "drop" if the factor or κ_G lies below 0.95, neither above
    1.05, and the third nowhere above 1.05; "either" if all three lie within 0.95 to 1.05; else "undecided".

    Parameters
    ----------
    log : RolloutLog
        As :func:`curvature.rollouts.read_rollouts` or :meth:`RolloutLog.from_arrays` gives it.
    seed : int
        Of the resampling; one seed gives one diagnosis.
    num_windows : int
        The most windows of steps; each has at least 32 groups where the log has as many.

    Returns
    -------
    Diagnosis
        What needs success rates is absent (or NaN in a table) for rewards of more than two values; `limits` says so.

    Raises
    ------
    ValueError
        If the log has no group, or `num_windows` is below 1.

    Notes
    -----
    Symbols: G = size of a group, κ_G = kappa, σ = std.

    Examples
    --------
    >>> import numpy as np
    >>> from curvature.rollouts import RolloutLog
    >>> rng = np.random.default_rng(0)
    >>> success = np.repeat(rng.uniform(0.05, 0.6, 200), 8)
    >>> log = RolloutLog.from_arrays(
    ...     np.repeat(np.arange(20), 80), np.repeat(np.arange(200), 8), rng.random(1600) < success
    ... )
    >>> found = diagnose(log)
    >>> round(found.overall["accuracy"].value, 2), len(found.windows), found.convention.status
    (0.34, 5, 'absent')
    """
    if num_windows < 1:
        raise ValueError(f"num_windows={num_windows} leaves no window: ask for at least 1.")
    from curvature.rollouts.convention import identify_convention

    groups = Groups.of(log)
    convention = identify_convention(log)
    weights = Weights.of(groups.cells)
    overall, kappa = _overall(groups, seed)
    parts = window_parts(groups, num_windows)
    numbers = [window_numbers(part, seed + i, _WINDOW_RESAMPLES) for i, part in enumerate(parts)]
    predictions = _predictions(groups, parts, numbers, kappa, seed)
    hardest = numbers[0].get("all_wrong")
    deciles = decile_table(groups, weights)
    return Diagnosis(
        source=_source(groups),
        convention=convention,
        overall=overall,
        windows=window_table(groups, parts, numbers),
        difficulty=difficulty_table(groups, weights),
        deciles=deciles,
        schemes=scheme_table(groups, weights, kappa),
        extremes=extreme_table(groups, convention),
        predictions=tuple(predictions.values()),
        limits=limits_of(groups, np.nan if hardest is None else hardest.value),
        verdict=verdict_of(log, convention, overall, predictions, deciles),
    )


def _overall(groups: Groups, seed: int) -> tuple[dict[str, Estimate], dict[str, Estimate]]:
    """Numbers of the whole log, and κ of each scheme."""
    whole = Part(groups, slice(None))
    overall = direct_numbers(whole)
    if groups.counts is None:
        return overall, {}
    overall |= fitted_numbers(whole.estimate(fitted_functionals(whole), seed, _RESAMPLES))
    kappa = {
        scheme: from_interval(interval, "D4 under the fitted distribution of success rates")
        for scheme, interval in whole.predict(kappa_functionals(groups), seed, _RESAMPLES).items()
    }
    for scheme in ("none", "batch"):
        kappa[scheme] = Estimate(1.0, 1.0, 1.0, "a factor common to all prompts cancels")
    return overall, kappa


def _predictions(
    groups: Groups,
    parts: list[Part],
    numbers: list[dict[str, Estimate]],
    kappa: dict[str, Estimate],
    seed: int,
) -> dict[tuple[str, int], Prediction]:
    """Predictions by part and target: κ_G of the whole log, and the flow from the first window."""
    predictions: dict[tuple[str, int], Prediction] = {}
    if groups.counts is None:
        return predictions
    if "group" in kappa:
        predictions["kappa", 0] = kappa_prediction(kappa["group"], groups.sizes[0])
    from curvature.groups import fit_success_distribution

    first = parts[0]
    start = fit_success_distribution(first.counts, first.size, method="smooth")
    targets = targets_of(start, numbers[0]["accuracy"], numbers[-1]["accuracy"])
    intervals = first.predict(flow_functionals(targets, groups.common_size), seed, _RESAMPLES)
    steps = first.take(groups.log.groups.step)
    where = f"steps {steps[0]} to {steps[-1]}"
    return predictions | flow_predictions(targets, intervals, groups.common_size, where)


def _source(groups: Groups) -> Source:
    log, table = groups.log, groups.log.groups
    values = log.reward_values
    sizes, numbers = groups.sizes
    return Source(
        paths=tuple(str(path) for path in log.files),
        format=log.format,
        why=log.why,
        columns=dict(log.columns),
        rollouts=log.num_rollouts,
        groups=len(table),
        prompts=int(np.unique(table.group).size) if log.groups_are_prompts else None,
        steps=int(log.steps.size),
        first_step=int(table.step[0]),
        last_step=int(table.step[-1]),
        group_sizes={int(size): int(number) for size, number in zip(sizes, numbers, strict=True)},
        reward_values=values or (float(table.low.min()), float(table.high.max())),
        two_valued=groups.counts is not None,
        bad_rows=log.bad_rows,
        first_bad_rows=tuple((row.file, row.line, row.reason) for row in log.first_bad_rows),
        notes=tuple((note.code, note.text, note.count) for note in log.notes),
    )
