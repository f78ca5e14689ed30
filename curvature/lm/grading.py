r"""Rewards: is the answer right? By math-verify in a process that can be killed, or by comparing texts.

math-verify's own reading of a text credits numbers it finds anywhere, also in a text cut off before its answer.
The strict reward credits a finished text whose last ``\boxed{}`` holds the answer, and nothing else.
"""

from __future__ import annotations

import math
import re
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature.lm._boxed import last_boxed
from curvature.lm._verifier import Verifier, run_requests

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from curvature.lm._verifier import Request, Verdict
    from curvature.lm.sampling import Samples
    from curvature.lm.tasks import Question

__all__ = ["Grader", "grade_samples"]

GRADINGS = ("math", "exact")
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")


class Grader:
    r"""Grade answers 0 or 1; an answer that hangs the grader costs its time limit and nothing more.

    Ours. With "math" the content of the last ``\boxed{}`` is compared with the right answer by math-verify, in worker
    processes that start with the first answer that needs one (an equal text or a plain integer does not) and end with
    the grader. With "exact" texts are compared without the blanks at their ends, and there is no process.

    Holds when: the time limit does not decide. It is CPU time, so that a busy machine changes no reward; the wall
    clock ends a worker only after four times as long and a second.

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
        weakref.finalize(self, _close_all, self._running)  # one that nobody closed leaves no process

    def __enter__(self) -> Grader:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """End the worker processes; the next answer that needs one starts them again."""
        _close_all(self._running)
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
            decided = self._decide(text, answer.strip())
            if isinstance(decided, tuple):
                asked.setdefault(decided, []).append(row)
            else:
                rewards[row] = decided
        for rows, right in zip(asked.values(), self._verdicts(list(asked)), strict=True):
            rewards[rows] = right is True
            self.timeouts += len(rows) * (right is None)
        return rewards

    def _decide(self, text: str, answer: str) -> bool | Request:
        """Return the verdict where texts suffice, else what to ask math-verify."""
        if self.grading == "exact":
            return text.strip() == answer
        if not self.strict:
            return text, f"\\boxed{{{answer}}}"
        # A full stop in the box is the sentence's, in the right answer as in the claimed one.
        claimed, answer = ((part or "").removesuffix(".").rstrip() for part in (last_boxed(text), answer))
        if not claimed or claimed == answer:
            return bool(claimed)
        if _INTEGER.fullmatch(claimed) and _INTEGER.fullmatch(answer):
            return int(claimed) == int(answer)
        return f"\\boxed{{{claimed}}}", f"\\boxed{{{answer}}}"

    def _verdicts(self, requests: list[Request]) -> list[Verdict]:
        """Ask the workers; the verdicts come back in the order of the requests."""
        if not requests:
            return []
        try:
            self._start(min(self.workers, len(requests)))
            verdicts = dict(run_requests(requests, self._running, self._ready, self._replace))
        except BaseException:  # Ctrl-C too: workers hold a question that nobody waits for any more
            self.close()
            raise
        return [verdicts[number] for number in range(len(requests))]

    def _start(self, number: int) -> None:
        """Have so many workers; one that died while idle would cost the next answer its reward."""
        for worker in [worker for worker in self._running if not worker.is_running()]:
            self._replace(worker)
        while len(self._running) < number:
            self._running.append(Verifier(self.time_limit, lenient=not self.strict))

    def _replace(self, worker: Verifier) -> Verifier:
        worker.close()
        self._ready.discard(worker.pid)
        fresh = Verifier(self.time_limit, lenient=not self.strict)
        self._running[self._running.index(worker)] = fresh
        return fresh


def _close_all(workers: list[Verifier]) -> None:
    """End the processes."""
    while workers:
        workers.pop().close()


def grade_samples(grader: Grader, samples: Samples, questions: Sequence[Question]) -> NDArray[np.float64]:
    """Grade the answers that were sampled to questions.

    Ours.

    Parameters
    ----------
    grader : Grader
        Of the questions' task.
    samples : Samples
        Answers, N of them.
    questions : sequence of Question
        What was asked, in the order of the sampling.

    Returns
    -------
    ndarray of float64, (N,)
        Rewards, in the order of the answers.

    Examples
    --------
    >>> from curvature.lm.sampling import sample_groups
    >>> from curvature.lm.tasks import arithmetic
    >>> from curvature.lm.tiny import tiny_policy
    >>> asked = arithmetic(2).questions
    >>> samples = sample_groups(tiny_policy(width=16, layers=1), asked, group_size=3, max_new_tokens=2)
    >>> grade_samples(Grader("exact"), samples, asked).shape
    (6,)
    """
    answers = [questions[int(index)].answer for index in samples.question]
    return np.asarray(grader.grade(samples.texts, answers, list(samples.finished)), dtype=np.float64)
