"""Which convention made the advantages of a log: named from the rewards and the logged column alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature.advantages import PRESETS
from curvature.rollouts import _convention_words as words
from curvature.rollouts._convention_evidence import differences, silent_noise
from curvature.rollouts._convention_rows import Rows
from curvature.rollouts._convention_search import Search, search
from curvature.rollouts.findings import ConventionFinding

if TYPE_CHECKING:
    import pandas as pd

    from curvature.advantages import Normalization
    from curvature.rollouts._convention_candidates import Match
    from curvature.rollouts.log import RolloutLog

__all__ = ["identify_convention"]


def identify_convention(
    log: RolloutLog, *, presets: Mapping[str, Normalization] | Iterable[str] | None = None
) -> ConventionFinding:
    """Name the convention f with logged A = f(r), to the precision of the logged column.

    Ours. Kind: identity (every row of the sample is computed anew and compared, none is estimated).

    Presets are tried first, then a grid of conventions, an eps or exponent read off the slopes of A within groups
    (1/slope = (σ̂ + eps)^exponent), a second normalisation over the batch, and a constant factor. Each is computed by
    :func:`curvature.group_advantages`, with one step of the log as one batch. All presets that agree with every row
    are named, the log's own first: a log without a NaN reward or a group of one, say, cannot tell apart those that
    only differ there.

    Holds when: the sample holds complete steps, and groups that kept all members. Factors that depend on what the log
    does not hold (lengths of responses, rows that were filtered out) cannot be named; one positive factor a step is
    recognised as such.

    Parameters
    ----------
    log : RolloutLog
        Its sample is compared.
    presets : mapping of str to Normalization, or iterable of str, optional
        Conventions to choose from, or names out of :data:`curvature.PRESETS`; all of those by default.

    Returns
    -------
    ConventionFinding
        status "identified" (one convention, perhaps under several names, perhaps under none), "ambiguous" (several
        that this log cannot tell apart), "closest" or "absent".

    Raises
    ------
    ValueError
        If a name is no preset, or there are none to choose from.

    Notes
    -----
    The precision is that of float64, float32, float16, bfloat16 or rounded text, whichever is the finest at which
    something fits; an error δ of rewards may show as slope·δ·(2 + |A|). Groups with equal rewards have advantage 0.
    Where a trainer divided rounding noise by its eps instead, such rows are set aside and reported.

    Examples
    --------
    >>> from curvature import group_advantages
    >>> from curvature.rollouts import RolloutLog
    >>> reward = [1.0, 0.0, 0.0, 0.0, 0.2, 0.9, 0.4, 0.1]
    >>> group = [0, 0, 0, 0, 1, 1, 1, 1]
    >>> advantage = group_advantages(reward, group, "open_instruct_standard")
    >>> finding = identify_convention(RolloutLog.from_arrays([7] * 8, group, reward, advantage))
    >>> finding.status, finding.presets
    ('identified', ('open_instruct_standard',))
    """
    known = _chosen(presets)
    logged = log.sample.advantage
    if logged is None or not np.isfinite(logged).any():
        return _absent(
            "The log has no advantage column." if logged is None else "No logged advantage is a number."
        )
    rows = Rows.of_sample(log.sample)
    # NaN and infinite advantages, and rewards near the ends of float64, pass through as arithmetic has them.
    with np.errstate(all="ignore"):
        found = search(rows, known)
        return _fitting(log, rows, known, found) if found.matches else _closest(log, rows, known, found)


def _chosen(presets: Mapping[str, Normalization] | Iterable[str] | None) -> Mapping[str, Normalization]:
    """Read the conventions to choose from, by name."""
    if presets is None:
        return PRESETS
    if not isinstance(presets, Mapping):
        names = [presets] if isinstance(presets, str) else list(presets)
        unknown = [name for name in names if name not in PRESETS]
        if unknown:
            raise ValueError(
                f"presets holds {unknown[0]!r}, which is none: choose from {', '.join(PRESETS)}."
            )
        presets = {name: PRESETS[name] for name in names}
    if not presets:
        raise ValueError("presets is empty: name at least one, or leave it out for all.")
    return presets


def _absent(sentence: str) -> ConventionFinding:
    return ConventionFinding(
        "absent", (), None, sentence, (), 1.0, None, float("nan"), float("nan"), {}, 0, _table([], 1.0)
    )


def _fitting(
    log: RolloutLog, rows: Rows, presets: Mapping[str, Normalization], found: Search
) -> ConventionFinding:
    """Name them all, the log's own first."""
    size = _usual_size(rows)
    matches = _ordered(found.matches, presets, log.preset, size)
    best = matches[0]
    names = _own_first([name for match in matches for name in match.candidate.names], log.preset)
    conventions = list(dict.fromkeys(match.candidate.normalization for match in matches))
    status = "ambiguous" if len(conventions) > 1 and names else "identified"
    text = (
        f"The advantages are {words.formula(best.candidate.normalization)}{words.treatment(best.candidate)}"
    )
    notes: list[str] = []
    if not rows.is_live.any() and not np.any(rows.logged[np.isfinite(rows.logged)]):
        text = "Cannot tell: all groups are silent (their rewards are equal) and all advantages are 0"
    if names:
        text += f", as {_listed(names)}" if len(names) < len(presets) else ", as with any preset"
    else:
        near = words.nearest_preset(best.candidate.normalization, presets, log.preset, size)
        notes = words.field_differences(best.candidate.normalization, presets[near], size)
        text += f": as {near}, but {' and '.join(notes)}" if notes else f": as {near}"
    if status == "ambiguous":
        remedy = words.telling(conventions) if rows.is_live.any() else "a group whose rewards differ"
        notes.append(f"This log cannot tell {len(conventions)} conventions apart. What would: {remedy}.")
    text += f"; {_agreement(best, found)}."
    return _finding(status, tuple(names), best, found, rows, text, [*notes, *silent_noise(best, rows)])


def _closest(
    log: RolloutLog, rows: Rows, presets: Mapping[str, Normalization], found: Search
) -> ConventionFinding:
    """Name the nearest preset and say what differs."""
    size = _usual_size(rows)
    best = found.clipped or (found.stepwise.match if found.stepwise else found.rivals[0])
    convention = best.candidate.normalization
    name = _nearest_names(best, found, presets, log.preset, size)
    fields = [] if best.candidate.names else words.field_differences(convention, presets[name[0]], size)
    notes = differences(best, found.stepwise if best is not found.clipped else None, rows)
    text = f"No convention makes the logged advantages; the closest is {name[0]}"
    if not np.any(rows.logged[np.isfinite(rows.logged)]):
        text = (
            "All logged advantages are 0, though the rewards of some groups differ: no convention does that"
        )
    elif fields:
        text += f", but {' and '.join(fields)}"
    notes = [*fields, *notes, *silent_noise(best, rows)]
    return _finding("closest", tuple(name), best, found, rows, f"{text}. {notes[len(fields)]}", notes)


def _nearest_names(
    best: Match, found: Search, presets: Mapping[str, Normalization], own: str | None, size: int
) -> list[str]:
    """Return the closest preset; for a column scaled by step, one that divides by a batch's std."""
    if (
        found.stepwise is not None
        and best is found.stepwise.match
        and best.candidate.normalization.spread == "none"
    ):
        like = [name for name in _own_first(list(presets), own) if presets[name].spread == "batch"]
        like = [
            name for name in like if presets[name].baseline == best.candidate.normalization.baseline
        ] or like
        if like:
            return like[:1]
    return _own_first(list(best.candidate.names), own)[:1] or [
        words.nearest_preset(best.candidate.normalization, presets, own, size)
    ]


def _finding(
    status: str, names: tuple[str, ...], best: Match, found: Search, rows: Rows, text: str, notes: list[str]
) -> ConventionFinding:
    """Put the numbers of the best match beside the words."""
    position = int(np.argmax(best.error))
    worst: dict[str, Any] = {
        "step": int(rows.step[position]),
        "group": int(rows.group[position]),
        "reward": float(rows.reward[position]),
        "logged": float(rows.logged[position]),
        "computed": float(best.computed[position]),
    }
    finite = best.tolerance[best.compared & np.isfinite(best.tolerance)]
    return ConventionFinding(
        status=status,
        presets=names,
        normalization=best.candidate.normalization,
        sentence=text,
        differences=tuple(notes),
        factor=best.candidate.factor,
        second_pass=None if best.candidate.second is None else "batch",
        tolerance=float(finite.max() / rows.scale) if finite.size else float("nan"),
        largest_error=float(best.error.max() / rows.scale),
        worst=worst,
        rows=int(best.compared.sum()),
        candidates=_table(
            [best, *(match for match in found.rivals if match.candidate != best.candidate)], rows.scale
        ),
    )


def _table(matches: list[Match], scale: float) -> pd.DataFrame:
    """Write the best few as a data frame."""
    import pandas as pd

    lines = [
        (
            " = ".join(match.candidate.names) or words.formula(match.candidate.normalization),
            float(match.error.max() / scale),
            match.share,
        )
        for match in matches
    ]
    return pd.DataFrame(lines, columns=["convention", "largest_error", "share_matched"])


def _ordered(
    matches: list[Match], presets: Mapping[str, Normalization], own: str | None, size: int
) -> list[Match]:
    """Fits in the order to be named: the log's own, round factors, then few differences from a preset."""

    def key(match: Match) -> tuple[Any, ...]:
        candidate = match.candidate
        digits = len(f"{candidate.factor:.6g}".strip("-0."))
        if candidate.names:
            return own not in candidate.names, digits
        near = words.nearest_preset(candidate.normalization, presets, own, size)
        return len(words.field_differences(candidate.normalization, presets[near], size)), near != own, digits

    return sorted(matches, key=key)


def _own_first(names: list[str], own: str | None) -> list[str]:
    """Return the names without repetition, the log's own in front."""
    return sorted(dict.fromkeys(names), key=lambda name: name != own)


def _listed(names: list[str]) -> str:
    """Write a few names in a sentence."""
    if len(names) <= 4:
        return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0]
    return f"{', '.join(names[:3])} and {len(names) - 3} more presets"


def _usual_size(rows: Rows) -> int:
    """Return the commonest group size."""
    return int(np.bincount(rows.size).argmax())


def _agreement(best: Match, found: Search) -> str:
    """How well it fits, in words."""
    count = int(best.compared.sum())
    return f"all {count:,} rows compared agree to the precision of the column ({found.precision.name})"
