"""Many runs: arms × learning rates × seeds, on several processes, taken up where they ended."""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curvature.lm._metrics import read_metrics
from curvature.lm.train import RunSummary, train

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from curvature.lm.config import TrainConfig
    from curvature.lm.policy import Policy
    from curvature.lm.tasks import Task

__all__ = ["best_learning_rates", "expand", "run_grid", "run_name"]


def expand(
    config: TrainConfig,
    *,
    arms: Iterable[str] | None = None,
    learning_rates: Iterable[float] | None = None,
    seeds: Iterable[int] | None = None,
) -> list[TrainConfig]:
    """List the configs of a grid: arms × learning rates × seeds, seeds fastest, all else as in one config.

    Ours.

    Parameters
    ----------
    config : TrainConfig
        What they have in common.
    arms : iterable of str, optional
        The config's own if left out, as the others.
    learning_rates : iterable of float, optional
        Each arm gets all of them: a comparison of arms tunes them alike.
    seeds : iterable of int, optional
        The same in every cell, so that arms are compared seed by seed.

    Returns
    -------
    list of TrainConfig
        One a run.

    Raises
    ------
    ValueError
        If an axis is empty.

    Examples
    --------
    >>> from curvature.lm.config import TrainConfig
    >>> runs = expand(TrainConfig(), arms=["none", "group"], learning_rates=[1e-3], seeds=range(3))
    >>> [run_name(run) for run in runs][:2]
    ['none-adamw-lr0.001-seed0', 'none-adamw-lr0.001-seed1']
    """
    axes = {
        "arm": [config.arm] if arms is None else list(arms),
        "learning_rate": [config.learning_rate] if learning_rates is None else list(learning_rates),
        "seed": [config.seed] if seeds is None else list(seeds),
    }
    for name, values in axes.items():
        if not values:
            raise ValueError(f"the grid has no value for {name}; give at least one.")
    return [
        replace(config, arm=arm, learning_rate=rate, seed=seed)
        for arm in axes["arm"]
        for rate in axes["learning_rate"]
        for seed in axes["seed"]
    ]


def run_name(config: TrainConfig) -> str:
    """Return the name of a run's folder in a grid, by what usually tells runs apart.

    Ours.

    Parameters
    ----------
    config : TrainConfig
        Of the run.

    Returns
    -------
    str
        Arm, optimiser, learning rate and seed.

    Examples
    --------
    >>> from curvature.lm.config import TrainConfig
    >>> run_name(TrainConfig(optimizer="sgd", learning_rate=0.5, seed=3))
    'group-sgd-lr0.5-seed3'
    """
    return f"{config.arm}-{config.optimizer}-lr{config.learning_rate:g}-seed{config.seed}"


def run_grid(
    configs: Sequence[TrainConfig],
    folder: str | os.PathLike[str],
    *,
    workers: int = 1,
    threads: int = 1,
    policy: Policy | None = None,
    task: Task | None = None,
    eval_task: Task | None = None,
    progress: bool = True,
) -> list[RunSummary]:
    """Train every config in a folder of its own; runs that have ended are not run again, broken-off ones go on.

    Ours. Each run computes with `threads` threads whatever the number of workers, so that this number changes none of
    its numbers. A run that diverges is a result; one that raises an error ends the grid, and what ended before is
    kept.

    Parameters
    ----------
    configs : sequence of TrainConfig
        The runs: see :func:`expand`.
    folder : path-like
        Where their folders go: see :func:`run_name`; a name that two configs share gets a hash of the config as well.
    workers : int, default 1
        Runs at a time, each in its process.
    threads : int, default 1
        Of each run, on the CPU.
    policy : Policy, optional
        To start each run from, in place of the config's, as it is now; with `workers` 1 only, where it saves loading
        the model for each run.
    task, eval_task : Task, optional
        As :func:`curvature.lm.train.train` takes them.
    progress : bool, default True
        Show progress bars, if standard error is a terminal.

    Returns
    -------
    list of RunSummary
        In the order of the configs.

    Raises
    ------
    ValueError
        If two configs are equal, or a policy is given to several workers.

    Examples
    --------
    >>> from curvature.lm.config import TrainConfig
    >>> run_grid(expand(TrainConfig(), seeds=range(3)), "runs", workers=3)  # doctest: +SKIP
    """
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise ValueError(f"workers is {workers!r}; a whole number of at least 1 is needed.")
    if policy is not None and workers > 1:
        raise ValueError(
            f"workers is {workers}, but a policy in memory serves one: save it, and name its folder."
        )
    names = _names(configs)
    cells = [
        (config, Path(folder) / name, task, eval_task, threads)
        for config, name in zip(configs, names, strict=True)
    ]
    found: dict[str, RunSummary] = {}
    for summary in _run_all(cells, workers, policy, progress):
        found[summary.folder.name] = summary
    return [found[name] for name in names]


def best_learning_rates(summaries: Iterable[RunSummary], *, last: float = 0.25) -> dict[str, float]:
    """Return each arm's best learning rate: that of the highest mean over seeds of the reward at the end of the run.

    Ours. A run that ended early counts with reward 0 in the steps it did not make.

    Parameters
    ----------
    summaries : iterable of RunSummary
        Of a grid in which all else is equal.
    last : float, default 0.25
        Which share of the steps is the end; 1 is the mean reward over the whole run.

    Returns
    -------
    dict of str to float
        By arm; the smaller rate of two that do equally well.

    Raises
    ------
    ValueError
        If `last` is not in (0, 1].

    Examples
    --------
    >>> best_learning_rates([])
    {}
    """
    from curvature.lm.config import TrainConfig

    if not 0 < last <= 1:
        raise ValueError(f"last is {last!r}; a share above 0 and at most 1 is needed.")
    scores: dict[tuple[str, float], list[float]] = {}
    for summary in summaries:
        config = TrainConfig.from_json((summary.folder / "config.json").read_text(encoding="utf-8"))
        rows = read_metrics(summary.folder / "metrics.jsonl")
        size = max(round(config.steps * last), 1)
        rewards = [row["reward_mean"] for row in rows if row["step"] >= config.steps - size]
        scores.setdefault((config.arm, config.learning_rate), []).append(sum(rewards) / size)
    means = {cell: sum(values) / len(values) for cell, values in scores.items()}
    return {
        arm: min((rate for a, rate in means if a == arm), key=lambda rate: (-means[arm, rate], rate))
        for arm in dict.fromkeys(arm for arm, _ in means)
    }


def _names(configs: Sequence[TrainConfig]) -> list[str]:
    """Name each config's folder, told apart by a hash where the plain names do not."""
    texts = [config.to_json() for config in configs]
    for index, text in enumerate(texts):
        if text in texts[:index]:
            raise ValueError(f"configs {texts.index(text)} and {index} are equal; list each run once.")
    plain = [run_name(config) for config in configs]
    return [
        name if plain.count(name) == 1 else f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
        for name, text in zip(plain, texts, strict=True)
    ]


Cell = tuple[Any, Path, Any, Any, int]


def _run_all(cells: list[Cell], workers: int, policy: Policy | None, progress: bool) -> Iterator[RunSummary]:
    from tqdm import tqdm

    from curvature._workers import worker_pool

    hidden = None if progress else True
    with tqdm(total=len(cells), desc="grid", unit="run", disable=hidden, leave=False) as bar:
        if min(workers, len(cells)) <= 1:
            start = None if policy is None else policy.state()
            for cell in cells:
                if policy is not None and start is not None:
                    policy.load_state(start)
                yield _run(cell, policy, progress)
                bar.update()
            return
        with worker_pool(min(workers, len(cells))) as pool:
            for summary in pool.imap_unordered(_run, cells):
                yield summary
                bar.update()


def _run(cell: Cell, policy: Policy | None = None, progress: bool = False) -> RunSummary:
    config, folder, task, eval_task, threads = cell
    try:
        with _threads(threads):
            return train(config, folder, policy=policy, task=task, eval_task=eval_task, progress=progress)
    except Exception as error:
        error.add_note(f"in the grid's run {folder}; runs that ended before it are kept")
        raise


@contextmanager
def _threads(number: int) -> Iterator[None]:
    """Compute with so many threads: sums are added up in an order that depends on it."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
