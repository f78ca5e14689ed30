r"""Rewards: is the answer right? By math-verify in a process that can be killed, or by comparing texts.

math-verify's own reading of a text credits numbers it finds anywhere, also in a text cut off before its answer.
The strict reward credits a finished text whose last ``\boxed{}`` holds the answer, and nothing else.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature.lm._boxed import last_boxed
from curvature.lm._verifier import Request, Verifier, run_requests

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Grader"]

GRADINGS = ("math", "exact")


class Grader:
    r"""Grade answers 0 or 1; an answer that hangs the grader costs its time limit and nothing more.

    Ours. With "math" the content of the last ``\boxed{}`` is compared with the right answer by math-verify, in worker
    processes that start with the first answer that needs one (an equal text does not) and end with the grader. With
    "exact" texts are compared without the blanks at their ends, and there is no process.

    Parameters
    ----------
    grading : {"math", "exact"}, default "math"
        As a task's `grading` names it.
    strict : bool, default True
        Credit finished texts only and, for "math", only what they box. Else math-verify reads the whole text.
    time_limit : float, default 2.0
        Seconds of CPU an answer may take; beyond it the answer is wrong and the worker is replaced.
    workers : int, default 1
        Processes.

    Raises
    ------
    ValueError
        If an argument is outside its domain.

    Examples
    --------
    >>> with Grader("exact") as grader:
    ...     grader.grade(["19", " 20", "19"], ["19", "20", "19"], finished=[True, True, False]).tolist()
    [1.0, 1.0, 0.0]
    """

    def __init__(
        self, grading: str = "math", *, strict: bool = True, time_limit: float = 2.0, workers: int = 1
    ) -> None:
        if grading not in GRADINGS:
            raise ValueError(f"grading is {grading!r}; choose one of {', '.join(map(repr, GRADINGS))}.")
        if not (time_limit > 0 and math.isfinite(time_limit)):
            raise ValueError(f"time_limit is {time_limit}; a positive number of seconds is needed.")
        if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
            raise ValueError(f"workers is {workers!r}; a whole number of at least 1 is needed.")
        self.grading, self.strict, self.time_limit, self.workers = grading, strict, time_limit, workers
        self.timeouts = 0
        """Answers so far that ran out of time or broke their worker."""
        self._running: list[Verifier] = []
        self._ready: set[int] = set()

    def __enter__(self) -> Grader:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """End the worker processes; the next answer that needs one starts them again."""
        while self._running:
            self._running.pop().close()
        self._ready.clear()

    def grade(
        self, texts: Sequence[str], answers: Sequence[str], finished: Sequence[bool] | None = None
    ) -> NDArray[np.float64]:
        """Return 1 for each right answer and 0 for each wrong one.

        Parameters
        ----------
        texts : sequence of str, (N,)
            What the model wrote.
        answers : sequence of str, (N,)
            The right answers.
        finished : sequence of bool, (N,), optional
            Whether the model ended the text by itself; all of them did if left out.

        Returns
        -------
        ndarray of float64, (N,)
            Rewards, in order.

        Raises
        ------
        ValueError
            If the sequences differ in length.
        ImportError
            If an answer needs math-verify and it is missing.
        """
        ended = [True] * len(texts) if finished is None else list(finished)
        if not len(texts) == len(answers) == len(ended):
            raise ValueError(
                f"there are {len(texts)} texts, {len(answers)} answers and {len(ended)} finished; "
                "one of each is needed."
            )
        rewards = np.zeros(len(texts))
        asked: dict[Request, list[int]] = {}
        for row, (text, answer, over) in enumerate(zip(texts, answers, ended, strict=True)):
            if self.strict and not over:
                continue
            if self.grading == "exact":
                rewards[row] = text.strip() == answer.strip()
                continue
            claimed = last_boxed(text) if self.strict else text
            if not claimed:
                continue
            if claimed.strip() == answer.strip():
                rewards[row] = 1.0
                continue
            shown = f"\\boxed{{{claimed}}}" if self.strict else claimed
            asked.setdefault((shown, f"\\boxed{{{answer}}}"), []).append(row)
        for number, right in self._verdicts(list(asked)):
            rewards[list(asked.values())[number]] = float(bool(right))
        return rewards

    def _verdicts(self, requests: list[Request]) -> list[tuple[int, bool | None]]:
        if not requests:
            return []
        while len(self._running) < min(self.workers, len(requests)):
            self._running.append(Verifier(self.time_limit))
        try:
            verdicts = list(run_requests(requests, self._running, self._ready, self._replace))
        except BaseException:  # Ctrl-C too: workers hold a question that nobody waits for any more
            self.close()
            raise
        self.timeouts += sum(right is None for _, right in verdicts)
        return verdicts

    def _replace(self, worker: Verifier) -> Verifier:
        worker.close()
        self._ready.discard(worker.pid)
        fresh = Verifier(self.time_limit)
        self._running[self._running.index(worker)] = fresh
        return fresh
