"""What differs between a logged column and the nearest convention, in sentences with numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from curvature.rollouts import _convention_words as words

if TYPE_CHECKING:
    from curvature.rollouts._convention_candidates import Match
    from curvature.rollouts._convention_rows import Rows
    from curvature.rollouts._convention_structure import StepwiseFit

# A ratio is called constant if half of the rows are within this share of the median.
_STEADY = 0.02


def differences(best: Match, by_step: StepwiseFit | None, rows: Rows) -> list[str]:
    """Return what separates the column from the nearest convention, most telling first.

    Parameters
    ----------
    best : Match
        The nearest convention.
    by_step : StepwiseFit or None
        A factor a step that makes it fit.
    rows : Rows
        The log.

    Returns
    -------
    list of str
        Sentences.
    """
    if best.candidate.clip is not None:
        low, high = best.candidate.clip
        hit = int(((best.computed == low) | (best.computed == high)).sum())
        return [f"The advantages are those of the preset{words.treatment(best.candidate)}: {hit:,} rows."]
    if by_step is not None:
        return _step_factors(by_step, rows)
    off, count = int((best.error > best.tolerance).sum()), int(best.compared.sum())
    rows_differ = "row differs" if off == 1 else "rows differ"
    out = [f"{off:,} of {count:,} {rows_differ}, most at {_place(best, rows)}."]
    return out if best.share >= 0.5 else [*out, *_ratios(best, rows), *_signs(best, rows)]


def _step_factors(fit: StepwiseFit, rows: Rows) -> list[str]:
    """One factor a step: a std over rows or tokens that the log does not have."""
    known = fit.factor[np.isfinite(fit.factor)]
    convention = fit.match.candidate.normalization
    span = f"between {known.min():.4g} and {known.max():.4g}"
    shift = np.fmax.reduce(np.abs(fit.shift)) > fit.match.tolerance.max()
    if shift:
        text = (
            f"Each step is {words.formula(convention)}, shifted and scaled by a constant of its own ({span})"
        )
        return [f"{text}: whitened over more rows than the log has, or over tokens."]
    text = f"Each step has one positive factor ({span} times {words.formula(convention)})"
    if convention.spread in {"batch", "none", "pooled"}:
        return [
            f"{text}: mean-centred within groups, divided by a batch-like std over more rows than the log has."
        ]
    return [f"{text}: scaled once more by something of the step that the log does not have."]


def _place(best: Match, rows: Rows) -> str:
    """Where the error is largest."""
    at = int(np.argmax(best.error))
    return (
        f"step {rows.step[at]}, group {rows.group[at]}, reward {rows.reward[at]:.6g}: "
        f"logged {rows.logged[at]:.9g}, computed {best.computed[at]:.9g}"
    )


def _ratios(best: Match, rows: Rows) -> list[str]:
    """Whether the logged advantages are about a constant times the computed ones."""
    usable = best.compared & np.isfinite(best.computed) & np.isfinite(rows.logged)
    usable &= np.nan_to_num(best.computed) != 0
    if not usable.any():
        return []
    ratio = rows.logged[usable] / best.computed[usable]
    middle = float(np.median(ratio))
    if np.median(np.abs(ratio - middle)) > _STEADY * abs(middle):
        return ["The ratio of logged to computed varies from row to row."]
    return [f"The logged advantages are {middle:.4g} times the computed ones, by the median of the rows."]


def _signs(best: Match, rows: Rows) -> list[str]:
    """Signs that a factor belongs to the row, which lengths of responses could make."""
    usable = best.compared & rows.is_live & np.isfinite(best.computed) & (np.nan_to_num(best.computed) != 0)
    usable &= best.error > best.tolerance
    if not usable.any():
        return []
    same = np.sign(rows.logged[usable]) == np.sign(best.computed[usable])
    if same.all():
        return [
            "Signs agree where sizes do not: a factor of its own for each row, such as one of the response's length, "
            "would do that, and the log holds no lengths to check."
        ]
    return [f"{int((~same).sum()):,} rows have another sign than computed."]


def silent_noise(best: Match, rows: Rows) -> list[str]:
    """Return what is to be said of silent groups and of rows without an advantage.

    Parameters
    ----------
    best : Match
        The convention named.
    rows : Rows
        The log.

    Returns
    -------
    list of str
        Sentences, empty if all is as it should be.
    """
    out = []
    if best.noise.any():
        groups = np.unique(rows.cell[best.noise]).size
        values = rows.logged[best.noise]
        eps = best.candidate.normalization.eps
        finite = np.abs(values[np.isfinite(values)])
        size = f"up to {finite.max():.3g}" if finite.size else "NaN"
        by = f"divided by eps {words.number(eps)}" if eps else "with no eps to tame it"
        noun = "group has" if groups == 1 else "groups have"
        out.append(f"{groups:,} silent {noun} advantages that are not 0 ({size}): rounding noise {by}.")
    count = int(rows.is_unlogged.sum())
    if count:
        silent = int((rows.is_unlogged & rows.is_silent).sum())
        where = f", {silent:,} of them in silent groups (0/0 where a trainer has no eps)" if silent else ""
        out.append(f"{count:,} rows have no advantage{where}; they were left out.")
    return out
