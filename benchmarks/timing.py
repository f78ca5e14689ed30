"""Time contenders in turn, so that a busy moment of the machine falls on all of them alike."""

from __future__ import annotations

import statistics
import sys
import time
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SLOW_SECONDS = 1.0


def race(
    work: str, contenders: Mapping[str, Callable[[], Any]], rounds: int = 9, *, warm: bool = False
) -> list[dict[str, Any]]:
    """Time every contender `rounds` times in turn; those over a second a call are timed once more at most.

    Parameters
    ----------
    work : str
        What is computed, for the table.
    contenders : mapping of str to callable
        Ours first: the ratios are to it.
    rounds : int
        Timed calls of each fast contender, after one warm-up call.
    warm : bool
        Call each contender once untimed before each timed call: where work is so short that the cache left by the
        contender before would count.

    Returns
    -------
    list of dict
        Rows with keys work, contender, seconds (median), ratio_to_ours, rounds.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    progress = tqdm(total=(rounds + 1) * len(contenders), desc=work, leave=False, file=sys.stderr)
    slow: set[str] = set()
    for turn in range(rounds + 1):
        for name, call in contenders.items():
            progress.update()
            if name in slow and turn > 1:
                continue
            if warm and name not in slow:
                call()
            start = time.perf_counter()
            call()
            elapsed = time.perf_counter() - start
            if elapsed > SLOW_SECONDS:
                slow.add(name)
            if turn > 0:  # the first call pays for imports, caches and page faults
                seconds[name].append(elapsed)
    progress.close()
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    ours = next(iter(medians.values()))
    return [
        {
            "work": work,
            "contender": name,
            "seconds": median,
            "ratio_to_ours": median / ours,
            "rounds": len(seconds[name]),
        }
        for name, median in medians.items()
    ]


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print the rows, one block a work.

    Parameters
    ----------
    rows : list of dict
        As :func:`race` returns them.
    """
    width = max(len(row["contender"]) for row in rows)
    work = None
    for row in rows:
        if row["work"] != work:
            work = row["work"]
            print(f"\n{work}")
        print(
            f"  {row['contender']:<{width}}  {1e3 * row['seconds']:>12.3f} ms   x{row['ratio_to_ours']:<9.3g}"
            f" (median of {row['rounds']})"
        )
