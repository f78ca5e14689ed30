"""Outcomes on disk, a line of JSON each, so that a run that was stopped goes on where it was."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from tests.mutation.runner import Outcome

__all__ = ["Store"]


class Store:
    """The outcomes of one target; the last line of a key counts.

    Parameters
    ----------
    path : str or Path
        A file, made when the first outcome comes.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.outcomes: dict[str, Outcome] = {}
        if self.path.exists():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                outcome = Outcome(**json.loads(line))
                self.outcomes[outcome.key] = outcome

    def add(self, outcome: Outcome) -> None:
        """Keep an outcome.

        Parameters
        ----------
        outcome : Outcome
            It replaces an earlier one of its key.
        """
        self.outcomes[outcome.key] = outcome
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(asdict(outcome)) + "\n")

    def dead(self, key: str) -> bool:
        """Say whether a change is known to turn a test red.

        Parameters
        ----------
        key : str
            Of a mutant or a constant.

        Returns
        -------
        bool
            Those that survived are tried again, as there may be new tests.
        """
        known = self.outcomes.get(key)
        return known is not None and known.status in ("killed", "timeout")
