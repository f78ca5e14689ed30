"""The search: presets first, then variations, at the finest precision that the column allows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from curvature.rollouts import _convention_candidates as candidates
from curvature.rollouts._convention_precision import fallbacks, precisions
from curvature.rollouts._convention_structure import (
    StepwiseFit,
    fitted,
    may_be_scaled,
    possible_spreads,
    stepwise,
)

if TYPE_CHECKING:
    from curvature.advantages import Normalization
    from curvature.advantages.normalization import NanPolicy, SingletonPolicy
    from curvature.rollouts._convention_candidates import Candidate, Match
    from curvature.rollouts._convention_precision import Precision
    from curvature.rollouts._convention_rows import Rows

# Rows looked at before the whole log is: enough to refute, and quick.
_SCREEN = 2_000
# Of large batches so many are looked at, and at least so many groups in all.
_BATCHES, _FEWEST_GROUPS = 4, 32
# Variations of one kind that are checked on all rows, and rivals that are listed.
_CONFIRMED, _LISTED = 60, 8
# A convention that no preset has must be so much nearer than any preset to be called the closest.
_CLEARLY = 0.5
_MORE_ROWS = 0.05
# A preset that makes so many live rows of a long log is its convention.
_NEARLY_ALL = 0.99
# Clipping leaves most rows alone.
_MOST_ROWS = 0.3
# Storing a number as float32 uses up to a quarter of the tolerance, whatever the convention.
_BLUR = 0.25


@dataclass(frozen=True)
class Search:
    """What the search found.

    Attributes
    ----------
    matches : list of Match
        All that fit, presets in their order; empty if none does.
    rivals : list of Match
        The nearest few, nearest first.
    precision : Precision
        The precision asked for.
    stepwise : StepwiseFit or None
        If none fits: one factor a step makes a convention fit.
    clipped : Match or None
        If none fits: a preset that does once its advantages are clipped.
    """

    matches: list[Match]
    rivals: list[Match]
    precision: Precision
    stepwise: StepwiseFit | None = None
    clipped: Match | None = None


def search(rows: Rows, presets: Mapping[str, Normalization]) -> Search:
    """Return every preset that makes the column; failing that, variations that do; failing that, the nearest.

    Parameters
    ----------
    rows : Rows
        The log.
    presets : mapping of str to Normalization
        Conventions by name.

    Returns
    -------
    Search
        What was found.
    """
    named = candidates.of_presets(presets)
    screen = _screen_of(rows)
    numbers = rows.logged[np.isfinite(rows.logged)]
    native = precisions(numbers)
    coarser = fallbacks(numbers, rows.reward[~rows.is_missing])
    nan, singleton = _policies(rows)
    kinds: list[Callable[[Precision], Iterable[Candidate]]] = [
        lambda _: fitted(rows, nan, singleton),
        lambda level: candidates.of_grid(
            nan,
            singleton,
            spreads=possible_spreads(screen.rows, level),
            brief=not screen.has_whole_batches,
        ),
        lambda level: candidates.whitened(c for c in named if may_be_scaled(c, screen.rows, level)),
        lambda level: _each(candidates.scaled(c, screen.rows, level) for c in named),
    ]
    for levels in (native, coarser):
        for level in levels:
            matches = _confirmed(named, screen, rows, level, len(named))
            if matches:
                return Search(matches, _nearest(named, screen, rows, level), level)
        if not screen.is_all and any(_nearly(named, screen, rows, level) for level in levels):
            break
        for level in levels:
            for kind in kinds:
                matches = _confirmed(list(kind(level)), screen, rows, level, _CONFIRMED)
                if matches:
                    return Search(matches, _nearest(named, screen, rows, level), level)
    level = native[-1] if len(native) > 1 or not coarser else coarser[0]
    pool = [*named, *candidates.of_grid(nan, singleton, brief=True), *fitted(rows, nan, singleton)]
    rivals = _nearest(pool, screen, rows, level)
    cut = _clipped(named, screen, rows, level)
    by_step = None if cut else _scaled_by_step(named, screen, rows, level)
    return Search([], _presets_first(rivals), level, by_step, cut)


def _each(found: Iterable[Candidate | None]) -> list[Candidate]:
    """Those that are not None."""
    return [candidate for candidate in found if candidate is not None]


@dataclass(frozen=True)
class _Screen:
    """Some of the rows: whole batches spread over the log, or where these are large, some groups of each."""

    rows: Rows
    is_all: bool
    has_whole_batches: bool

    def lets_pass(self, candidate: Candidate, precision: Precision) -> bool:
        """Whether a candidate may fit all rows: what a part of a batch does not know is one factor and one shift."""
        if self.has_whole_batches or not candidate.uses_batch:
            match = candidates.compare(candidate, self.rows, precision)
            return match is not None and match.fits
        return may_be_scaled(candidate, self.rows, precision)


def _screen_of(rows: Rows) -> _Screen:
    """About as many rows as a screen has, spread evenly over the log."""
    number = int(rows.batch[-1]) + 1
    if len(rows) <= 2 * _SCREEN:
        return _Screen(rows, is_all=True, has_whole_batches=True)
    if np.bincount(rows.batch).max() <= 2 * _SCREEN:
        count = max(int(number * _SCREEN / len(rows)), 1)
        chosen = np.unique(np.linspace(0, number - 1, count).astype(np.intp))
        return _Screen(rows.where(np.isin(rows.batch, chosen)), is_all=False, has_whole_batches=True)
    in_few = rows.where(
        np.isin(rows.batch, np.linspace(0, number - 1, min(number, _BATCHES)).astype(np.intp))
    )
    cells = in_few.starts.size
    count = min(max(int(cells * _SCREEN / len(in_few)), _FEWEST_GROUPS), cells)
    chosen = np.linspace(0, cells - 1, count).astype(np.intp)
    return _Screen(in_few.where(np.isin(in_few.cell, chosen)), is_all=False, has_whole_batches=False)


def _policies(rows: Rows) -> tuple[NanPolicy, SingletonPolicy]:
    """Return what the column says of NaN rewards and of groups of one, for conventions without a name."""
    nan: NanPolicy = (
        "exclude" if rows.is_missing.any() and np.all(rows.logged[rows.is_missing] == 0) else "propagate"
    )
    single = rows.is_single & ~rows.is_missing
    alone = rows.logged[single]
    if not alone.size or np.all(alone == 0):
        return nan, "zero"
    return nan, "nan" if np.isnan(alone).all() else "raw"


def _confirmed(
    tried: list[Candidate], screen: _Screen, rows: Rows, precision: Precision, most: int
) -> list[Match]:
    """Those that fit the screen and then all rows."""
    passed = [candidate for candidate in tried if screen.lets_pass(candidate, precision)]
    matches = [candidates.compare(candidate, rows, precision) for candidate in passed[:most]]
    return _sharpest([match for match in matches if match is not None and match.fits])


def _nearly(named: list[Candidate], screen: _Screen, rows: Rows, precision: Precision) -> bool:
    """Whether a preset makes nearly all of a long log: the rest are odd rows, and no variation will explain them."""
    for candidate in named:
        if screen.lets_pass(candidate, precision):
            match = candidates.compare(candidate, rows, precision)
            if match is not None and match.share_of_live(rows) > _NEARLY_ALL:
                return True
    return False


def _sharpest(matches: list[Match]) -> list[Match]:
    """Those whose errors are like the best one's: tolerances bound rounding, which mostly is far smaller."""
    strains = [match.strain for match in matches]
    allowed = max(_BLUR, 4 * min(strains, default=0.0))
    return [match for match, strain in zip(matches, strains, strict=True) if strain <= allowed]


def _nearest(tried: list[Candidate], screen: _Screen, rows: Rows, precision: Precision) -> list[Match]:
    """Return the nearest few by the screen, compared on all rows, nearest first."""
    on_screen = [candidates.compare(candidate, screen.rows, precision) for candidate in tried]
    ranked = sorted((match for match in on_screen if match is not None), key=lambda match: match.rank)
    named = [match for match in ranked if match.candidate.names]
    others = [match for match in ranked if not match.candidate.names]
    if screen.has_whole_batches:
        named = named[: _LISTED // 2]
    else:
        # What the screen says of a batch's std is rough.
        others = [match for match in others if not match.candidate.uses_batch]
    kept = [*named, *others[: _LISTED // 2]]
    if not screen.is_all:
        again = [candidates.compare(match.candidate, rows, precision) for match in kept]
        kept = [match for match in again if match is not None]
    return sorted(kept, key=lambda match: match.rank)[:_LISTED]


def _presets_first(rivals: list[Match]) -> list[Match]:
    """Return the rivals, with the nearest preset in front unless a convention without a name is clearly nearer."""
    best = next((match for match in rivals if match.candidate.names), None)
    if best is None or best is rivals[0]:
        return rivals
    (share, error), (own_share, own_error) = rivals[0].rank, best.rank
    if share < own_share - _MORE_ROWS or (share <= own_share and error < _CLEARLY * own_error):
        return rivals
    return [best, *(match for match in rivals if match is not best)]


def _scaled_by_step(
    named: list[Candidate], screen: _Screen, rows: Rows, precision: Precision
) -> StepwiseFit | None:
    """Find the first preset that fits with one factor a step, or with a shift too; batch-like ones go first."""
    for shifted in (False, True):
        for candidate in sorted(named, key=lambda c: c.normalization.spread not in {"batch", "none"}):
            if not screen.is_all and stepwise(candidate, screen.rows, precision, shifted=shifted) is None:
                continue
            fit = stepwise(candidate, rows, precision, shifted=shifted)
            if fit is not None:
                return fit
    return None


def _clipped(named: list[Candidate], screen: _Screen, rows: Rows, precision: Precision) -> Match | None:
    """Find the first preset that fits once it is clipped at the extremes of the column."""
    for candidate in named:
        bare = candidates.compare(candidate, screen.rows, precision)
        if bare is None or (bare.share < _MOST_ROWS and screen.has_whole_batches):
            continue
        bounded = candidates.clipped(candidate, rows)
        match = None if bounded is None else candidates.compare(bounded, rows, precision)
        if match is not None and match.fits:
            return match
    return None
