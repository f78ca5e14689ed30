"""What may have made a column: conventions and what was done to them afterwards, and how well each does."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from curvature.advantages import Normalization
from curvature.rollouts._convention_precision import UNIT_32

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from curvature.advantages.normalization import Baseline, NanPolicy, Placement, SingletonPolicy, Spread
    from curvature.rollouts._convention_precision import Precision
    from curvature.rollouts._convention_rows import Rows

    Floats = NDArray[np.float64]

_EPS = (0.0, 1e-12, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1)
_SECOND_EPS = (0.0, 1e-8, 1e-6, 1e-5, 1e-4)


@dataclass(frozen=True)
class Candidate:
    """A way to make a column: factor × clip(second(normalization(r))).

    Attributes
    ----------
    normalization : Normalization
        From rewards to advantages.
    names : tuple of str
        Presets that are this normalization.
    second : Normalization or None
        Whitening of the advantages over the batch.
    factor : float
        A constant.
    clip : tuple of (low, high), or None
        Bounds of the result.
    """

    normalization: Normalization
    names: tuple[str, ...] = ()
    second: Normalization | None = None
    factor: float = 1.0
    clip: tuple[float, float] | None = None

    @property
    def uses_batch(self) -> bool:
        """Whether an advantage depends on rewards of other groups."""
        batch = self.normalization.spread in {"batch", "pooled"} or self.normalization.baseline == "batch"
        return batch or self.second is not None

    def compute(self, rows: Rows) -> Floats | None:
        """Return the column, (N,), or None if the convention refuses the rewards."""
        values = rows.compute(self.normalization)
        if values is not None and self.second is not None:
            values = rows.compute(self.second, values)
        if values is None:
            return None
        values = values * self.factor
        return values if self.clip is None else np.clip(values, *self.clip)


@dataclass(frozen=True)
class Match:
    """How a candidate compares with the logged column.

    Attributes
    ----------
    candidate : Candidate
        What was compared.
    computed, error, tolerance : ndarray, (N,)
        Advantages, |logged − computed| (0 where a row takes no part), and what is allowed.
    compared, noise : ndarray of bool, (N,)
        Rows that count, and rows where the trainer divided rounding noise.
    """

    candidate: Candidate
    computed: Floats
    error: Floats
    tolerance: Floats
    compared: NDArray[np.bool_]
    noise: NDArray[np.bool_]

    @property
    def fits(self) -> bool:
        """Whether every compared row agrees to its tolerance."""
        return bool(np.all(self.error <= self.tolerance))

    @property
    def strain(self) -> float:
        """The largest error as a share of what is allowed there."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.max(np.where(self.error > 0, self.error / self.tolerance, 0.0)))

    @property
    def share(self) -> float:
        """Share of the compared rows that agree."""
        agree = (self.error <= self.tolerance) & self.compared
        return float(agree.sum() / max(self.compared.sum(), 1))

    def share_of_live(self, rows: Rows) -> float:
        """Return the share of the rows of live groups that agree."""
        live = self.compared & rows.is_live
        return float((self.error <= self.tolerance)[live].mean()) if live.any() else 0.0

    @property
    def rank(self) -> tuple[float, float]:
        """What makes one candidate nearer than another: rows that agree, then the size of a typical large error."""
        error = self.error[self.compared]
        return (
            -round(self.share, 2),
            float(np.sqrt(np.mean(np.minimum(error, 1e6) ** 2))) if error.size else 0.0,
        )


def compare(candidate: Candidate, rows: Rows, precision: Precision) -> Match | None:
    """Compare a candidate with the logged column; None if it refuses the rewards.

    Parameters
    ----------
    candidate : Candidate
        What may have made the column.
    rows : Rows
        The log.
    precision : Precision
        How far off a row may be.

    Returns
    -------
    Match or None
        The comparison.
    """
    computed = candidate.compute(rows)
    return None if computed is None else compare_values(candidate, computed, rows, precision)


def compare_values(candidate: Candidate, computed: Floats, rows: Rows, precision: Precision) -> Match:
    """Compare advantages that have been computed with the logged column.

    Parameters
    ----------
    candidate : Candidate
        What they stand for.
    computed : ndarray, (N,)
        The advantages.
    rows : Rows
        The log.
    precision : Precision
        How far off a row may be.

    Returns
    -------
    Match
        The comparison.
    """
    slope = _slope(computed, rows)
    tolerance = precision.tolerance(computed, rows.largest_reward, slope)
    eps = candidate.normalization.eps
    # Of a group of one some trainers divide the reward by 1 + eps; the presets say that they leave it alone.
    if candidate.normalization.singleton == "raw":
        tolerance = tolerance + np.where(rows.is_single, 2 * eps * np.abs(np.nan_to_num(rows.reward)), 0.0)
    alike = (np.isnan(computed) & np.isnan(rows.logged)) | (computed == rows.logged)
    with np.errstate(invalid="ignore"):
        error = np.where(alike, 0.0, np.abs(rows.logged - computed))
    error = np.where(np.isnan(error), np.inf, error)
    noise = (error > tolerance) & (error <= _noise(candidate, rows, slope))
    compared = ~rows.is_unlogged & ~noise
    return Match(candidate, computed, np.where(compared, error, 0.0), tolerance, compared, noise)


def _slope(computed: Floats, rows: Rows) -> Floats:
    """Return dA/dr of each row's group; of a silent group, the largest of its batch (1 where there is none)."""
    live = rows.reward_range > 0
    ratio = np.zeros(live.size)
    np.divide(rows.cell_range(computed), rows.reward_range, out=ratio, where=live)
    ratio = np.nan_to_num(ratio)
    largest = np.zeros(int(rows.batch[-1]) + 1)
    np.maximum.at(largest, rows.batch_of_cell, ratio)
    elsewhere = largest[rows.batch_of_cell]
    return np.where(live, ratio, np.where(elsewhere > 0, elsewhere, 1.0))[rows.cell]


def _noise(candidate: Candidate, rows: Rows, slope: Floats) -> Floats:
    """Bound |A| where the float32 mean of equal rewards may not be their value; −1 elsewhere."""
    convention = candidate.normalization
    if candidate.second is not None or convention.baseline == "batch":
        return np.full(len(rows), -1.0)
    size = rows.size[rows.cell]
    prone = rows.is_silent & ~_is_exact(rows.reward, size)
    rounding = np.minimum(size, 16) * UNIT_32 * np.abs(rows.reward)
    if convention.spread in {"group", "leave-one-out"}:
        least = np.sqrt(convention.eps) if convention.placement == "inside" else convention.eps
        least = max(least, convention.floor) ** convention.exponent
        allowed = rounding / least if least > 0 else np.full(len(rows), np.inf)
    else:
        allowed = rounding * slope
    if convention.eps == 0 and convention.spread == "group":
        prone = prone | (rows.is_silent & np.isnan(rows.logged))
    return np.where(prone, allowed * abs(candidate.factor), -1.0)


def _is_exact(reward: Floats, size: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Whether sums of up to `size` equal rewards are exact in float32, and so their mean and its zero deviations."""
    with np.errstate(over="ignore"):
        single = np.nan_to_num(reward).astype(np.float32)
    odd = np.maximum(1, 2 ** np.ceil(np.log2(np.maximum(size, 1))) - 1)  # as many bits as any multiple needs
    total = single.astype(np.float64) * odd
    return total == total.astype(np.float32)


def of_presets(presets: Mapping[str, Normalization]) -> list[Candidate]:
    """Return one candidate for each distinct normalization, with all names it has.

    Parameters
    ----------
    presets : mapping of str to Normalization
        By name.

    Returns
    -------
    list of Candidate
        In the order of the presets.
    """
    names: dict[Normalization, list[str]] = {}
    for name, normalization in presets.items():
        names.setdefault(normalization, []).append(name)
    return [Candidate(normalization, tuple(shared)) for normalization, shared in names.items()]


def of_grid(
    nan: NanPolicy,
    singleton: SingletonPolicy,
    *,
    spreads: tuple[Spread, ...] = ("group", "batch", "pooled", "leave-one-out"),
    brief: bool = False,
) -> Iterator[Candidate]:
    """Yield every combination of spread, baseline, ddof, eps, placement and exponent that makes a convention.

    Parameters
    ----------
    nan, singleton : str
        The policies to go with them.
    spreads : tuple of str
        Those to try, besides none.
    brief : bool
        Only the usual eps where the spread is that of a batch.

    Yields
    ------
    Candidate
        Without a name.
    """
    baselines: tuple[Baseline, ...] = ("mean", "leave-one-out")
    pairs: list[tuple[Spread, Baseline]] = list(itertools.product(spreads, baselines))
    if "batch" in spreads:
        pairs.append(("batch", "batch"))
    for spread, baseline in pairs:
        exponents = (1.0, 2.0, 0.5) if spread == "group" else (1.0,)
        short = brief and spread in {"batch", "pooled"}
        for exponent, ddof, eps in itertools.product(exponents, (0, 1), _SECOND_EPS if short else _EPS):
            placements: tuple[Placement, ...] = ("outside", "inside") if eps and not short else ("outside",)
            for placement in placements:
                for floor in (0.0, 1e-3) if spread == "group" and exponent == 1 else (0.0,):
                    yield Candidate(
                        Normalization(
                            spread,
                            baseline,
                            ddof,
                            eps,
                            placement,
                            floor,
                            exponent,
                            nan,
                            singleton,
                        )
                    )
    for baseline in (*baselines, "batch"):
        yield Candidate(Normalization("none", baseline, nan=nan, singleton=singleton))


def whitened(firsts: Iterable[Candidate]) -> Iterator[Candidate]:
    """Yield each candidate normalised once more over the batch.

    Parameters
    ----------
    firsts : iterable of Candidate
        The first pass.

    Yields
    ------
    Candidate
        With its second pass: mean and std of the batch.
    """
    for first in firsts:
        for ddof, eps in itertools.product((1, 0), _SECOND_EPS):
            second = Normalization("batch", "batch", ddof, eps, nan="propagate")
            yield replace(first, second=second)


def scaled(candidate: Candidate, rows: Rows, precision: Precision) -> Candidate | None:
    """Return the candidate times the constant that fits best, None if there is none that can be told.

    A constant always fits one group of two values, so it takes groups whose advantages differ in size.

    Parameters
    ----------
    candidate : Candidate
        With factor 1.
    rows : Rows
        The log.
    precision : Precision
        Which rows agree.

    Returns
    -------
    Candidate or None
        With its factor.
    """
    computed = candidate.compute(rows)
    if computed is None:
        return None
    usable = np.isfinite(computed) & np.isfinite(rows.logged) & (computed != 0)
    if np.unique(np.round(np.abs(computed[usable]), 9)).size < 3:
        return None
    large = usable & (np.abs(computed) >= np.median(np.abs(computed[usable])))
    factor = float(np.median(rows.logged[large] / computed[large]))
    close = compare_values(candidate, computed * factor, rows, precision)
    inliers = usable & (close.error <= 10 * close.tolerance)
    if inliers.any():
        c, a = computed[inliers], rows.logged[inliers]
        factor = float(c @ a / (c @ c))
    return (
        None if factor == 0 or not np.isfinite(factor) else replace(candidate, factor=shortest(factor, 1e-6))
    )


def shortest(value: float, relative: float) -> float:
    """Return the number of fewest digits within `relative` of `value`, if four digits will do, else the value itself.

    Parameters
    ----------
    value : float
        A number that was fitted.
    relative : float
        How far off it may be.

    Returns
    -------
    float
        A number that someone may have typed, or `value`.
    """
    for digits in range(1, 5):
        short = float(f"{value:.{digits}g}")
        if abs(short - value) <= relative * abs(value):
            return short
    return value


def clipped(candidate: Candidate, rows: Rows) -> Candidate | None:
    """Return the candidate clipped at the extremes of the logged column, None if it stays within them.

    Parameters
    ----------
    candidate : Candidate
        Without bounds.
    rows : Rows
        The log.

    Returns
    -------
    Candidate or None
        With bounds.
    """
    computed = candidate.compute(rows)
    finite = rows.logged[np.isfinite(rows.logged)]
    if computed is None or not finite.size:
        return None
    low, high = float(finite.min()), float(finite.max())
    beyond = (
        np.fmin.reduce(computed) < low - 1e-3 * abs(low),
        np.fmax.reduce(computed) > high + 1e-3 * abs(high),
    )
    if not any(beyond) or low == high:
        return None
    return replace(candidate, clip=(low if beyond[0] else -np.inf, high if beyond[1] else np.inf))
