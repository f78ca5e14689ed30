"""What the shape of a column says before any search: slopes within groups, and what they follow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from curvature.advantages import Normalization
from curvature.rollouts._convention_candidates import Candidate, Match, compare_values, shortest

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from curvature.advantages.normalization import Baseline, NanPolicy, Placement, SingletonPolicy, Spread
    from curvature.rollouts._convention_precision import Precision
    from curvature.rollouts._convention_rows import Rows

    Floats = NDArray[np.float64]

# A fit with as many constants as data always succeeds; so many more data than constants make it a finding.
_SPARE = 4
_FEWEST_LEVELS = 3


@dataclass(frozen=True)
class Slopes:
    """A ≈ intercept + slope·(r − mean) in each live group without NaN, (groups,).

    Attributes
    ----------
    slope : ndarray
        Least squares.
    std, size : ndarray
        Population std of the rewards, and their number.
    batch : ndarray of intp
        The group's batch.
    """

    slope: Floats
    std: Floats
    size: NDArray[np.intp]
    batch: NDArray[np.intp]


def slopes(rows: Rows) -> Slopes:
    """Fit a line to each live group.

    Parameters
    ----------
    rows : Rows
        The log.

    Returns
    -------
    Slopes
        Empty if no group is live.
    """
    number = rows.starts.size
    total = _totals(rows.cell, number)
    members = np.bincount(rows.cell, minlength=number)
    squares, cross = total(rows.centred**2), total(rows.centred * rows.logged)
    good = (rows.reward_range > 0) & np.isfinite(cross) & (squares > 0) & (rows.size == members)
    slope = np.divide(cross, squares, out=np.zeros(number), where=good)
    std = np.sqrt(squares / members)
    return Slopes(slope[good], std[good], members[good], rows.batch_of_cell[good])


def possible_spreads(rows: Rows, precision: Precision) -> tuple[Spread, ...]:
    """Return the spreads that the shape of the column allows: most divide all of a group, or of a batch, by one number.

    Parameters
    ----------
    rows : Rows
        The log, or some of its groups.
    precision : Precision
        How close a fit must be.

    Returns
    -------
    tuple of str
        "leave-one-out" always: it divides every row by a number of its own.
    """
    possible: list[Spread] = ["leave-one-out"]
    if _is_linear(rows, precision):
        possible.append("group")
    if may_be_scaled(Candidate(Normalization("none", nan="propagate")), rows, precision):
        possible.extend(("batch", "pooled"))
    elif may_be_scaled(Candidate(Normalization("none", "batch", nan="propagate")), rows, precision):
        possible.append("batch")
    elif rows.is_missing.any() or rows.is_single.any() or np.unique(rows.size).size > 1:
        # Policies, and the leave-one-out baseline with groups of unlike size, hide a factor of the batch.
        possible.extend(("batch", "pooled"))
    return tuple(possible)


def _is_linear(rows: Rows, precision: Precision) -> bool:
    """Whether A = slope·(r − mean) in each live group without NaN."""
    number = rows.starts.size
    total = _totals(rows.cell, number)
    squares, cross = total(rows.centred**2), total(rows.centred * rows.logged)
    slope = np.divide(cross, squares, out=np.zeros(number), where=(squares > 0) & np.isfinite(cross))
    stand_in = Candidate(Normalization("none", nan="propagate"))
    match = compare_values(stand_in, slope[rows.cell] * rows.centred, rows, precision)
    told = rows.is_live & np.isfinite(rows.centred * rows.logged)
    return bool(np.all((match.error <= match.tolerance)[told]))


def fitted(rows: Rows, nan: NanPolicy, singleton: SingletonPolicy) -> Iterator[Candidate]:
    """Yield conventions whose eps or exponent is read off the slopes: 1/slope = (σ̂ + eps)^exponent.

    Parameters
    ----------
    rows : Rows
        The log.
    nan, singleton : str
        The policies to go with them.

    Yields
    ------
    Candidate
        Likely ones first; each is to be compared.
    """
    lines = slopes(rows)
    keep = lines.slope > 0
    if keep.sum() < 2:
        return
    size, inverse = lines.size[keep].astype(float), 1 / lines.slope[keep]
    baselines: tuple[Baseline, ...] = ("mean", "leave-one-out")
    for baseline in baselines:
        gain = size / (size - 1) if baseline == "leave-one-out" else 1.0
        for ddof in (0, 1):
            spreads: dict[Literal["group", "batch"], Floats] = {
                "group": lines.std[keep] * np.sqrt(size / (size - ddof)),
                "batch": _batch_std(rows, ddof)[lines.batch[keep]],
            }
            for spread, std in spreads.items():
                base = Normalization(spread, baseline, ddof, nan=nan, singleton=singleton)
                yield from _with_eps(base, std, inverse * gain)
                if spread == "group":
                    yield from _with_exponent(base, std, inverse * gain)


def _with_eps(base: Normalization, std: Floats, divisor: Floats) -> Iterator[Candidate]:
    """Divisor = std + eps, or its square = variance + eps."""
    gaps: dict[Placement, tuple[Floats, Floats]] = {
        "outside": (divisor - std, divisor**-4),
        "inside": (divisor**2 - std**2, divisor**-6),
    }
    for placement, (gap, weight) in gaps.items():
        eps = _robust_mean(gap, weight)
        # A larger eps would leave nothing of the std: that is another convention, badly fitted.
        if 0 < eps < std.max():
            for digits in (1, 2, 3, 4, 17):
                yield Candidate(replace(base, eps=float(f"{eps:.{digits}g}"), placement=placement))


def _with_exponent(base: Normalization, std: Floats, divisor: Floats) -> Iterator[Candidate]:
    """Log divisor = exponent · log std."""
    usable = np.abs(np.log(std)) > 1e-3
    if np.unique(std[usable].round(9)).size < _FEWEST_LEVELS:
        return
    exponent = float(np.median(np.log(divisor[usable]) / np.log(std[usable])))
    if 0 < exponent < 10:
        yield Candidate(replace(base, exponent=shortest(exponent, 1e-4)))


def _robust_mean(values: Floats, weight: Floats) -> float:
    """Return the weighted mean of the half that lies nearest the median of the values, NaN where weights overflow."""
    distance = np.abs(values - np.median(values)) * np.sqrt(weight)
    near = distance <= np.median(distance)
    return float(values[near] @ weight[near] / weight[near].sum())


def _batch_std(rows: Rows, ddof: int) -> Floats:
    """Return the std of each batch's rewards, NaN left out, (batches,)."""
    known = ~rows.is_missing
    reward, batch = rows.reward[known], rows.batch[known]
    number = int(rows.batch[-1]) + 1
    size = np.bincount(batch, minlength=number)
    mean = np.bincount(batch, weights=reward, minlength=number) / np.maximum(size, 1)
    squares = np.bincount(batch, weights=(reward - mean[batch]) ** 2, minlength=number)
    return np.sqrt(squares / np.maximum(size - ddof, 1))


@dataclass(frozen=True)
class StepwiseFit:
    """Logged = factor·A + shift, with one factor and one shift a step.

    Attributes
    ----------
    match : Match
        The fit compared with the column.
    factor, shift : ndarray, (batches,)
        NaN where a step cannot tell.
    """

    match: Match
    factor: Floats
    shift: Floats


def stepwise(candidate: Candidate, rows: Rows, precision: Precision, *, shifted: bool) -> StepwiseFit | None:
    """Fit one factor (and one shift) a step to a candidate; None where that proves nothing or does not fit.

    Parameters
    ----------
    candidate : Candidate
        What the steps scale.
    rows : Rows
        The log.
    precision : Precision
        How close the fit must be.
    shifted : bool
        Whether a shift is fitted too.

    Returns
    -------
    StepwiseFit or None
        A fit within tolerance with positive factors.
    """
    computed = candidate.compute(rows)
    if computed is None or _spare(computed, rows) < _SPARE:
        return None
    fit = _fit_steps(candidate, computed, rows, precision, shifted=shifted)
    positive = np.all(fit.factor[np.isfinite(fit.factor)] > 0)
    return fit if fit.match.fits and positive else None


def may_be_scaled(candidate: Candidate, rows: Rows, precision: Precision) -> bool:
    """Say whether nothing speaks against one factor and one shift a step, scarce as the rows may be.

    Parameters
    ----------
    candidate : Candidate
        What the steps scale.
    rows : Rows
        Some groups of the log.
    precision : Precision
        How close the fit must be.

    Returns
    -------
    bool
        Whether the fit is within tolerance.
    """
    computed = candidate.compute(rows)
    return computed is not None and _fit_steps(candidate, computed, rows, precision, shifted=True).match.fits


def _spare(computed: Floats, rows: Rows) -> int:
    """Count groups beyond the first of each step whose advantages differ in size: one group fits any factor."""
    spread = np.where(rows.reward_range > 0, np.nan_to_num(rows.cell_range(computed)).round(9), 0.0)
    steps = np.unique(np.stack((rows.batch_of_cell, spread))[:, spread > 0], axis=1)[0].astype(np.intp)
    return int(np.maximum(np.bincount(steps) - 1, 0).sum())


def _fit_steps(
    candidate: Candidate, computed: Floats, rows: Rows, precision: Precision, *, shifted: bool
) -> StepwiseFit:
    """Least squares in each step."""
    number = int(rows.batch[-1]) + 1
    usable = np.isfinite(computed) & np.isfinite(rows.logged) & ~rows.is_unlogged
    if not shifted:
        usable &= ~rows.is_silent
    batch = rows.batch[usable]
    total = _totals(batch, number)
    c, a = computed[usable], rows.logged[usable]
    count = np.maximum(total(np.ones(c.size)), 1)
    c_mean, a_mean = (total(c) / count, total(a) / count) if shifted else (np.zeros(number), np.zeros(number))
    c0, a0 = c - c_mean[batch], a - a_mean[batch]
    squares = total(c0**2)
    factor = np.divide(total(c0 * a0), squares, out=np.full(number, np.nan), where=squares > 0)
    shift = a_mean - np.nan_to_num(factor) * c_mean
    # Where all of a step is silent any factor will do.
    values = np.nan_to_num(factor)[rows.batch] * computed + shift[rows.batch]
    match = compare_values(candidate, values, rows, precision)
    return StepwiseFit(match, factor, np.where(np.isfinite(factor), shift, np.nan))


def _totals(index: NDArray[np.int64], number: int) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Return the function that sums values over each of `number` groups or steps."""

    def total(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(index, weights=values, minlength=number).astype(np.float64, copy=False)

    return total
