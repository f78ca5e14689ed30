"""What a user should know about a log that has been read: what is missing, merged, cut or unfinished."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from curvature.rollouts.log import GroupTable, Note

if TYPE_CHECKING:
    from curvature.rollouts._faults import Faults
    from curvature.rollouts._recognise import Choice

__all__ = ["notes_of"]


def notes_of(
    choice: Choice,
    table: GroupTable,
    faults: Faults,
    *,
    lost: int,
    split: int,
    apart: bool,
    cut_step: int | None,
) -> tuple[Note, ...]:
    """Return the notes of a log."""
    return (
        *_of_files(choice, faults),
        *_of_steps(split, apart, cut_step),
        *_of_sizes(choice, table),
        *_of_rewards(table, lost),
        *_of_layout(choice, table, faults),
    )


def _of_files(choice: Choice, faults: Faults) -> Iterator[Note]:
    if choice.skipped:
        number = len(choice.skipped)
        yield Note(
            "skipped_files",
            f"{_files(number)} beside the log {_was(number)} not read, as {choice.skipped[0]}.",
            number,
        )
    if faults.broken:
        number = len(faults.broken)
        yield Note(
            "skipped_files", f"{_files(number)} could not be read to the end, as {faults.broken[0]}.", number
        )
    if faults.unfinished:
        path, number = faults.unfinished[0], len(faults.unfinished)
        yield Note(
            "unfinished_line",
            f"The last line of {path} is unfinished, as in a file still being written.",
            number,
        )


def _files(number: int) -> str:
    return "1 file" if number == 1 else f"{number} files"


def _was(number: int) -> str:
    return "was" if number == 1 else "were"


def _of_steps(split: int, apart: bool, cut_step: int | None) -> Iterator[Note]:
    if split:
        rule = (
            "a group id counts for its own file, so that those of several processes or runs are not mixed; rows of a "
            "resumed run count twice"
            if apart
            else "rows of equal step and group count as one group, also those of a run that was resumed"
        )
        yield Note(
            "split_step",
            f"{split} step{'s are' if split > 1 else ' is'} spread over several files: {rule}.",
            split,
        )
    if cut_step is not None:
        yield Note(
            "split_step",
            f"Step {cut_step} alone exceeds the row sample, which holds only its first groups: no spread of a whole "
            "batch can be computed from it.",
        )


def _of_sizes(choice: Choice, table: GroupTable) -> Iterator[Note]:
    total = table.size + table.missing
    if not total.size:
        return
    sizes, counts = _tally(total)
    usual = int(sizes[counts.argmax()])
    groups = total.size
    if sizes[0] == 1:
        number = int(counts[0])
        yield Note(
            "singletons",
            f"{number} of {groups} groups have a single rollout, which has nothing to be compared with.",
            number,
        )
    multiples = (total > usual) & (total % usual == 0) if usual > 1 else np.zeros(groups, dtype=bool)
    merged = int(multiples.sum())
    if merged and (choice.layout.text_keys or choice.groups_are_prompts):
        yield Note(
            "merged_prompts",
            f"{merged} of {groups} groups have a multiple of the usual {usual} rollouts: equal prompts were taken "
            f"for one. Cut them with group_size={usual} (--group-size {usual}).",
            merged,
        )
    smaller = int(((total < usual) & (total > 1)).sum())
    other = int(((total > usual) & ~multiples).sum())
    if smaller and counts.max() > groups / 2:
        yield Note(
            "lost_members",
            f"{smaller} of {groups} groups have fewer than the usual {usual} rollouts.",
            smaller,
        )
    if other or (smaller and counts.max() <= groups / 2) or (merged and not choice.groups_are_prompts):
        yield Note(
            "mixed_sizes",
            f"Groups have between {sizes[0]} and {sizes[-1]} rollouts; {usual} is the most frequent size, "
            f"of {int(counts.max())} of {groups} groups.",
            groups - int(counts.max()),
        )


def _tally(sizes: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sizes that occur and how often; counting beats sorting, but not for a size of millions."""
    if sizes.max() > 1 << 16:
        return np.unique(sizes, return_counts=True)
    counts = np.bincount(sizes)
    found = np.flatnonzero(counts)
    return found, counts[found]


def _of_rewards(table: GroupTable, lost: int) -> Iterator[Note]:
    missing = int(table.missing.sum())
    if missing or lost:
        text = (
            f"{missing} rollouts have no reward"
            if missing
            else "No rollout of the groups kept lacks a reward"
        )
        if lost:
            text += f"; {lost} groups have none at all and are left out"
        yield Note("missing_rewards", text + ".", max(missing, lost))


def _of_layout(choice: Choice, table: GroupTable, faults: Faults) -> Iterator[Note]:
    if choice.layout.name == "trl":
        steps = int(np.unique(table.step).size)
        yield Note(
            "last_batch_only",
            "TRL logs only the last generation batch before each logging step: rollouts in between are not in the log.",
            steps,
        )
    if choice.group_size is not None or choice.plan.divisor:
        text = f"The log names no groups; a group is {choice.columns['group']}."
        if choice.plan.group is not None and not choice.plan.divisor:
            text = f"A group is {choice.columns['group']}, as asked."
        if faults.bad_rows and not choice.plan.divisor:
            text += " Bad rows shift the groups after them."
        yield Note("no_groups", text, len(table))
