"""metrics.jsonl: one row a step, appended while a run trains and cut back where it goes on from a checkpoint."""

from __future__ import annotations

import json
import math
import os
from typing import TYPE_CHECKING, Any

from curvature._files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["TIMES", "MetricsFile", "read_metrics"]

TIMES = ("seconds_sample", "seconds_grade", "seconds_update", "seconds_eval")
"""What differs between two runs of the same settings."""


class MetricsFile:
    """The rows of a run, in memory and on the disk.

    Parameters
    ----------
    path : Path
        The file.
    first_step : int
        The step that will be recorded next: rows of it and of later steps are superseded, and cut off.
    is_writer : bool, default True
        Whether this process writes; the others keep the rows alone.

    Raises
    ------
    ValueError
        If the rows of earlier steps are not all there.
    """

    def __init__(self, path: Path, *, first_step: int, is_writer: bool = True) -> None:
        self._path = path
        self._is_writer = is_writer
        found = {row["step"]: row for row in read_metrics(path)} if path.exists() else {}
        missing = sorted(set(range(first_step)) - set(found))
        if missing:
            raise ValueError(
                f"{path} lacks the row of step {missing[0]}, but a checkpoint of step {first_step} is there: "
                "the folder is damaged; train in a new one."
            )
        self.rows = [found[step] for step in range(first_step)]
        if is_writer and path.exists():
            write_atomically(path, "".join(map(_line, self.rows)).encode())

    def append(self, row: dict[str, Any]) -> None:
        """Add the row of a step.

        Parameters
        ----------
        row : dict
            Numbers by name; what is not finite is written as null.
        """
        self.rows.append(row)
        if self._is_writer:
            with self._path.open("ab", buffering=0) as file:
                file.write(_line(row).encode())

    def sync(self) -> None:
        """Return when all rows are on the disk, whatever happens to the machine."""
        if self._is_writer and self._path.exists():
            with self._path.open("rb") as file:
                os.fsync(file.fileno())

    def total(self, *names: str) -> float:
        """Return the sum of columns over all rows.

        Parameters
        ----------
        *names : str
            Columns; a row without one counts as 0.

        Returns
        -------
        float
            The sum.
        """
        return math.fsum(row.get(name) or 0 for row in self.rows for name in names)


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Read the rows of a file; one that was being written when the run was killed is left out.

    Parameters
    ----------
    path : Path
        A metrics.jsonl.

    Returns
    -------
    list of dict
        In the order of the steps.
    """
    lines = path.read_bytes().split(b"\n")
    return [json.loads(line) for line in lines[:-1]]  # a whole row ends in a line break


def _line(row: dict[str, Any]) -> str:
    finite = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in row.items()
    }
    return json.dumps(finite) + "\n"
