"""What was wrong with a log: one error for people, a count of bad rows, and the first of them."""

from __future__ import annotations

from pathlib import Path

from curvature.rollouts.log import BadRow

__all__ = ["Faults", "LogError"]

_SHOWN = 10


class LogError(ValueError):
    """A log that cannot be read: one sentence that names what is wrong and the way out."""

    def __init__(self, sentence: str) -> None:
        super().__init__(_on_one_line(sentence))


def _on_one_line(text: str) -> str:
    """Replace what a log may smuggle into a message: line breaks and codes for terminals."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


class Faults:
    """Counts bad rows and keeps the first ten; a strict one stops at the first."""

    def __init__(self, *, strict: bool = False) -> None:
        self.strict = strict
        self.bad_rows = 0
        self.first: list[BadRow] = []
        self.unfinished: list[Path] = []
        self.broken: list[Path] = []

    def bad(self, path: Path, line: int, reason: str) -> None:
        """Count a row that cannot be read; `line` counts from 1, and 0 stands for the whole file."""
        place = f"{path}, line {line}" if line else f"{path}"
        if self.strict:
            raise LogError(f"{place}: {reason}. Without --strict such rows are counted and left out.")
        self.bad_rows += 1
        if len(self.first) < _SHOWN:
            self.first.append(BadRow(str(path), line, _on_one_line(reason)))

    def break_off(self, path: Path, line: int, reason: str) -> None:
        """Count a file that cannot be read beyond a line."""
        self.broken.append(path)
        self.bad(path, line, reason)

    def state(self) -> tuple[int, int, int, int]:
        """Return how much has been noted, for :meth:`rewind`."""
        return self.bad_rows, len(self.first), len(self.unfinished), len(self.broken)

    def rewind(self, state: tuple[int, int, int, int]) -> None:
        """Forget what was noted since `state`, before a file is read anew."""
        self.bad_rows = state[0]
        del self.first[state[1] :], self.unfinished[state[2] :], self.broken[state[3] :]
