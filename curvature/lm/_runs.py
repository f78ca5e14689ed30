"""Training runs as a comparison needs them: right answers of every group at every step, and the learning rate there."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["Run", "as_runs", "read_run"]


@dataclass(frozen=True)
class Run:
    """One run: M groups over T steps.

    Attributes
    ----------
    arm : str
        How its advantages were made.
    seed : int
        Runs of different arms with one seed are a pair: same prompts in the same order, same first samples.
    optimizer : str
        "sgd" or "adamw".
    step : ndarray of int64, shape (M,)
        Of each group; 0 to T − 1.
    group : ndarray of int64, shape (M,)
        Its prompt.
    right, size : ndarray of int64, shape (M,)
        k successes among G samples.
    learning_rate : ndarray, shape (T,)
        Of the update that follows the samples of each step.
    name : str
        For messages: the folder.
    """

    arm: str
    seed: int
    optimizer: str
    step: NDArray[np.int64]
    group: NDArray[np.int64]
    right: NDArray[np.int64]
    size: NDArray[np.int64]
    learning_rate: Array
    name: str = "run"

    def __post_init__(self) -> None:
        shapes = {key: np.shape(getattr(self, key)) for key in ("step", "group", "right", "size")}
        if len(set(shapes.values())) > 1 or not self.num_groups:
            raise ValueError(
                f"{self.name}: step, group, right and size have shapes {shapes}; (M,) of all is needed."
            )
        if not ((self.right >= 0) & (self.right <= self.size)).all():
            at = int(np.argmax((self.right < 0) | (self.right > self.size)))
            raise ValueError(f"{self.name}: {self.right[at]} right answers of {self.size[at]}.")
        empty = np.flatnonzero(np.bincount(self.step, minlength=self.num_steps) == 0)
        if empty.size or self.step.max() >= self.num_steps:
            raise ValueError(
                f"{self.name}: {self.num_steps} steps with a learning rate, groups of steps {self.step.min()} to "
                f"{self.step.max()}, and none of step {empty[0] if empty.size else self.step.max()} in one of them."
            )
        if (
            not (np.isfinite(self.learning_rate) & (self.learning_rate >= 0)).all()
            or not self.learning_rate.any()
        ):
            raise ValueError(f"{self.name}: learning rates must be at least 0 and not all 0.")

    @property
    def num_groups(self) -> int:
        """M."""
        return len(self.step)

    @property
    def num_steps(self) -> int:
        """T."""
        return len(self.learning_rate)

    @property
    def success(self) -> Array:
        """Share of right answers at each step, every group alike, (T,)."""
        return self.mean_of(self.right / self.size)

    def mean_of(self, values: Array) -> Array:
        """Average values of groups within each step, (M,) to (T,)."""
        return np.bincount(self.step, values, self.num_steps) / np.bincount(
            self.step, minlength=self.num_steps
        )

    def until(self, step: int) -> Run:
        """Return the run's first steps alone."""
        kept = self.step < step
        parts = {key: getattr(self, key)[kept] for key in ("step", "group", "right", "size")}
        return replace(self, **parts, learning_rate=self.learning_rate[:step])

    @classmethod
    def from_table(
        cls, table: Mapping[str, Any], *, arm: str, seed: int, optimizer: str, name: str = "run"
    ) -> Run:
        """Make a run of columns step, group, right, size and learning_rate, one row a group of a step."""
        missing = [key for key in ("step", "group", "right", "size", "learning_rate") if key not in table]
        if missing:
            raise ValueError(f"{name}: the table has no column {missing[0]!r}.")
        step = np.asarray(table["step"], dtype=np.int64)
        found, step = np.unique(step, return_inverse=True)
        rate = np.bincount(step, np.asarray(table["learning_rate"], dtype=np.float64)) / np.bincount(step)
        group = np.unique(np.asarray(table["group"]), return_inverse=True)[1].astype(np.int64)
        right, size = (np.asarray(table[key], dtype=np.int64) for key in ("right", "size"))
        if found[0] < 0:
            raise ValueError(f"{name}: step {found[0]}; steps are counted from 0.")
        return cls(arm, seed, optimizer, step.astype(np.int64), group, right, size, rate, name)


def read_run(folder: str | Path) -> Run:
    """Read the folder of a run: config.json, metrics.jsonl and rollouts/.

    Ours.

    Parameters
    ----------
    folder : str or Path
        As training leaves it. A run that is still going on is read up to its last whole step.

    Returns
    -------
    Run
        Its groups.

    Raises
    ------
    FileNotFoundError
        If a part is not there.
    ValueError
        If rewards are not 0 and 1, or the parts contradict each other.

    Examples
    --------
    >>> read_run("no such folder")
    Traceback (most recent call last):
        ...
    FileNotFoundError: no such folder is not the folder of a run: it has no config.json.
    """
    from curvature.rollouts import read_rollouts

    folder = Path(folder)
    for part in ("config.json", "metrics.jsonl", "rollouts"):
        if not (folder / part).exists():
            raise FileNotFoundError(f"{folder} is not the folder of a run: it has no {part}.")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    unknown = [key for key in ("arm", "seed", "optimizer") if key not in config]
    if unknown:
        raise ValueError(f"{folder / 'config.json'} has no {unknown[0]!r}.")
    rates = {row["step"]: row["learning_rate"] for row in _rows(folder / "metrics.jsonl")}
    groups = read_rollouts(folder / "rollouts").groups
    right = np.rint(groups.mean * groups.size).astype(np.int64)
    # Rewards in [0, 1] are all 0 or 1 just where their variance is m(1 − m).
    binary = np.isclose(groups.variance, groups.mean * (1 - groups.mean), atol=1e-9)
    binary &= np.isin(groups.low, (0, 1)) & np.isin(groups.high, (0, 1))
    if not binary.all():
        at = int(np.argmin(binary))
        raise ValueError(
            f"{folder}: rewards of step {groups.step[at]} have mean {groups.mean[at]:g} and variance "
            f"{groups.variance[at]:g}; the comparison is for rewards 0 and 1."
        )
    known = np.isin(groups.step, list(rates))
    if not known.any():
        raise ValueError(f"{folder}: no step is both in metrics.jsonl and in rollouts/.")
    table = {
        "step": groups.step[known],
        "group": groups.group[known],
        "right": right[known],
        "size": groups.size[known],
        "learning_rate": [rates[int(step)] for step in groups.step[known]],
    }
    labels = {"arm": config["arm"], "seed": int(config["seed"]), "optimizer": config["optimizer"]}
    return Run.from_table(table, **labels, name=str(folder))


def _rows(path: Path) -> Iterable[Mapping[str, Any]]:
    """Yield the rows of a JSON lines file; a last line that is still being written is left out."""
    text = path.read_text(encoding="utf-8")
    for line in text.splitlines(keepends=True):
        if line.endswith("\n") and line.strip():
            yield json.loads(line)


def as_runs(runs: Iterable[Run | str | Path], reference: str) -> dict[str, dict[int, Run]]:
    """Read what are folders, and sort runs by arm and seed, the reference first and all cut to one length.

    Parameters
    ----------
    runs : iterable of Run, str or Path
        Runs or their folders.
    reference : str
        An arm that must be there.

    Returns
    -------
    dict
        From arm to seed to run.

    Raises
    ------
    ValueError
        If there is no reference or nothing to set beside it, or runs differ in what must be alike.
    """
    found = [run if isinstance(run, Run) else read_run(run) for run in runs]
    arms = sorted({run.arm for run in found}, key=lambda arm: (arm != reference, arm))
    if reference not in arms or len(arms) < 2:
        raise ValueError(
            f"runs of {reference!r} and of another arm are needed, got {', '.join(arms) or 'none'}."
        )
    optimizers = sorted({run.optimizer for run in found})
    if len(optimizers) > 1:
        raise ValueError(
            f"runs by {optimizers[0]} and by {optimizers[1]} cannot be compared: one optimizer at a time."
        )
    length = min(run.num_steps for run in found)
    sorted_runs: dict[str, dict[int, Run]] = {arm: {} for arm in arms}
    for run in found:
        if run.seed in sorted_runs[run.arm]:
            other = sorted_runs[run.arm][run.seed].name
            raise ValueError(f"{run.name} and {other} are both arm {run.arm!r}, seed {run.seed}: choose one.")
        sorted_runs[run.arm][run.seed] = run.until(length)
    for arm, each in sorted_runs.items():
        if not set(each) & set(sorted_runs[reference]):
            raise ValueError(f"no run of {arm!r} has a seed of a run of {reference!r}: nothing is paired.")
    return {arm: dict(sorted(of.items())) for arm, of in sorted_runs.items()}
