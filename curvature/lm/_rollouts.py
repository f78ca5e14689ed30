"""One batch of answers: sampled, graded, and known to all processes of the run."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from curvature.lm._processes import Processes
    from curvature.lm.config import TrainConfig
    from curvature.lm.policy import Policy
    from curvature.lm.tasks import Question

__all__ = ["Rollouts", "collect"]


@dataclass(frozen=True)
class Rollouts:
    """A graded batch, N = prompts·G answers; those of a question are neighbours.

    Attributes
    ----------
    samples : Samples or None
        This process's own answers; None if it has no share.
    own : slice
        Where they are among all.
    group : ndarray of str, shape (N,)
        Keys of the questions.
    reward, length, log_probability : ndarray, shape (N,)
        Of each answer.
    truncated : ndarray of bool, shape (N,)
        Whether it was cut off.
    seconds_sample, seconds_grade : float
        Of this process.
    """

    samples: Any
    own: slice
    group: NDArray[Any]
    reward: NDArray[np.float64]
    length: NDArray[np.int64]
    truncated: NDArray[np.bool_]
    log_probability: NDArray[np.float64]
    seconds_sample: float
    seconds_grade: float


def collect(
    policy: Policy,
    questions: Sequence[Question],
    grader: Any,
    processes: Processes,
    config: TrainConfig,
    *,
    group_size: int,
    temperature: float,
    stop: tuple[str, ...],
    seed: int,
    step: int,
) -> Rollouts:
    """Sample groups of answers, each process its share of the questions, grade them, and gather what all earned.

    Parameters
    ----------
    policy : Policy
        Who answers.
    questions : sequence of Question
        All of the batch.
    grader : Grader
        Of the task.
    processes : Processes
        Of the run.
    config : TrainConfig
        Lengths and batch sizes.
    group_size : int
        Answers a question.
    temperature : float
        Of sampling.
    stop : tuple of str
        Where answers end.
    seed, step : int
        Of the random numbers.

    Returns
    -------
    Rollouts
        The batch.
    """
    from curvature.lm.sampling import sample_groups

    started = time.perf_counter()
    share = [questions[index] for index in processes.share(np.arange(len(questions)))]
    samples = None
    if share:
        samples = sample_groups(
            policy,
            share,
            group_size=group_size,
            max_new_tokens=config.max_new_tokens,
            temperature=temperature,
            seed=seed,
            step=step,
            batch_size=config.sample_batch,
            stop=stop,
        )
    sampled = time.perf_counter()
    columns = _graded(samples, share, grader)
    graded = time.perf_counter()
    parts = processes.gather(columns)
    sizes = [len(part["reward"]) for part in parts]
    start = sum(sizes[: processes.rank])
    return Rollouts(
        samples=samples,
        own=slice(start, start + sizes[processes.rank]),
        seconds_sample=sampled - started,
        seconds_grade=graded - sampled,
        **{name: np.concatenate([part[name] for part in parts]) for name in columns},
    )


def _graded(samples: Any, share: list[Question], grader: Any) -> dict[str, NDArray[Any]]:
    """Return the columns of this process's answers."""
    from curvature.lm.grading import grade_samples

    if samples is None:
        return {
            "group": np.array([], dtype=str),
            "reward": np.array([]),
            "length": np.array([], dtype=np.int64),
            "truncated": np.array([], dtype=bool),
            "log_probability": np.array([]),
        }
    finished = np.asarray(samples.finished, dtype=bool)
    return {
        "group": np.array([share[index].key for index in samples.question]),
        "reward": grade_samples(grader, samples, share),
        "length": np.asarray(samples.length, dtype=np.int64),
        "truncated": ~finished,
        "log_probability": np.asarray(samples.log_probability, dtype=np.float64),
    }
