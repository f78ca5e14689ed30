"""Is a printed ledger what the code says now? Words are compared exactly, numbers to a tolerance.

Another machine sums in another order: the last digits of a ratio differ, a minimiser stops an iteration later, and
a rounding error of 3e−16 becomes one of 4e−16. None of these makes a ledger stale. A verdict, a statement, a source,
a link, or a number that moved by more than 1 % does.
"""

from __future__ import annotations

import re

from curvature.ledger.render import COLUMNS, read

__all__ = ["ABSOLUTE", "COUNT_FACTOR", "RELATIVE", "stale_rows"]

RELATIVE = 0.01
"""Numbers may differ by this much of the larger one."""
ABSOLUTE = 1e-9
"""Numbers this close are equal, so that rounding errors compare equal."""
COUNT_FACTOR = 2.0
"""The count of instances may differ by this factor: it depends on when minimisers stop."""

_EXACT = {"Claim", "Statement", "Kind", "Test · figure · proof", "Section"}
_NUMBER = re.compile(r"(?<![\w.])[-−]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w])")


def stale_rows(committed: str, fresh: str, *, only: set[str] | None = None) -> list[str]:
    """Say in what a committed ledger differs from a fresh one, one sentence a row.

    Ours. Kind: comparison of ledgers.

    Parameters
    ----------
    committed, fresh : str
        Both as :func:`curvature.ledger.render.render` prints them.
    only : set of str, optional
        Compare these rows and leave the rest, and the header, alone.

    Returns
    -------
    list of str
        Empty if the committed ledger is up to date. Each sentence names its row.

    Examples
    --------
    >>> stale_rows("", "| `L1` Ours | gradient | 1.0 |")
    ['L1: the committed ledger has no such row.']
    """
    old, new = read(committed), read(fresh)
    found = []
    if only is None and old.settings != new.settings:
        found.append(f"header: the committed ledger says {old.settings!r}, the code {new.settings!r}.")
    for id, cells in new.rows.items():
        if only is not None and id not in only:
            continue
        if id not in old.rows:
            found.append(f"{id}: the committed ledger has no such row.")
            continue
        found += _differences(id, old.rows[id], cells)
        before, now = old.counterexamples.get(id, ""), new.counterexamples.get(id, "")
        if not _agree(before, now):
            found.append(f"{id}: the stored counterexample is not the code's.")
    if only is None:
        found += [f"{id}: no claim has this id any more." for id in old.rows if id not in new.rows]
        if not found and list(old.rows) != list(new.rows):
            found.append("order: the committed rows are not in the code's order.")
    return found


def _differences(id: str, old: tuple[str, ...], new: tuple[str, ...]) -> list[str]:
    names = (*COLUMNS, "Section")
    if len(old) != len(new):
        return [f"{id}: the committed row has {len(old) - 1} columns, {len(new) - 1} are needed."]
    found = []
    for name, before, now in zip(names, old, new, strict=False):
        if name == "Instances":
            same = _close_counts(before, now)
        else:
            same = before == now if name in _EXACT else _agree(before, now)
        if not same:
            found.append(f"{id}: {name.lower()} is {before!r} in the committed ledger and {now!r} now.")
    return found


def _agree(before: str, now: str) -> bool:
    """Whether two texts have the same words, and numbers within the tolerance."""
    if _NUMBER.sub("#", before) != _NUMBER.sub("#", now):
        return False
    pairs = zip(_NUMBER.findall(before), _NUMBER.findall(now), strict=True)
    return all(_close(_value(left), _value(right)) for left, right in pairs)


def _value(number: str) -> float:
    return float(number.replace("−", "-"))


def _close(left: float, right: float) -> bool:
    return abs(left - right) <= max(RELATIVE * max(abs(left), abs(right)), ABSOLUTE)


def _close_counts(before: str, now: str) -> bool:
    if not (before.isdigit() and now.isdigit()):
        return before == now
    low, high = sorted([int(before), int(now)])
    return high <= COUNT_FACTOR * low
