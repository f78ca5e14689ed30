"""Training: sample groups, grade, normalise, step; killed at any moment, it goes on to the same numbers.

A run's folder
--------------
config.json
    The settings.
metrics.jsonl
    One row a step, measured before the step's update: step (from 0), reward_mean, reward_std_mean (mean over groups of
    the population std, silent ones as 0), silent_right and silent_wrong (shares of groups), length, truncated, tokens,
    log_prob (mean of an answer), advantage_rms, grad_norm (before clipping), log_prob_gap, learning_rate, the seconds
    of sampling, grading and update, and at evaluations eval_success, eval_error (standard error over questions),
    eval_length, eval_truncated.
rollouts/step_00012.parquet
    One row an answer, in the order of the groups, which `curvature diagnose FOLDER/rollouts` reads.
checkpoints/step_00025/
    Trainable parameters and optimiser after 25 updates, as safetensors.
result.json
    At the end: why the run ended, and its totals.

Several processes: `accelerate launch -m curvature lm train …` on GPUs, `torchrun --nproc-per-node 2 -m curvature lm
train …` on CPUs, where accelerate asks for mpirun. Each process holds the whole policy and takes a share of the
prompts; advantages are those of the gathered batch.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curvature._files import write_atomically
from curvature.lm.config import TrainConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

    from curvature.lm._loop import Loop
    from curvature.lm._processes import Processes
    from curvature.lm.policy import Policy
    from curvature.lm.tasks import Task

__all__ = ["FINISHED", "PAUSED", "RunSummary", "policy_at", "train"]

FINISHED = "finished"
PAUSED = "paused"

# Settings that change no number of a run may change between its parts.
_FREE = ("checkpoint_every", "keep_checkpoints", "keep_every", "grading_workers")


@dataclass(frozen=True)
class RunSummary:
    """How a run ended.

    Attributes
    ----------
    steps : int
        Steps that were recorded.
    seconds : float
        Of all steps, sampling to update, whatever pauses there were.
    tokens_sampled : int
        In training.
    reason : str
        "finished", "paused" (its time was up, and it can go on), or a sentence that begins with "diverged" or
        "collapsed".
    folder : Path
        Of the run.
    evaluation : dict or None
        After the last update; None without evaluations or if the run did not finish.
    """

    steps: int
    seconds: float
    tokens_sampled: int
    reason: str
    folder: Path
    evaluation: dict[str, float] | None = None

    @property
    def is_finished(self) -> bool:
        """Whether all steps were made."""
        return self.reason == FINISHED


def train(
    config: TrainConfig,
    folder: str | os.PathLike[str],
    *,
    policy: Policy | None = None,
    task: Task | None = None,
    eval_task: Task | None = None,
    progress: bool = True,
    resume: bool = True,
    max_seconds: float | None = None,
) -> RunSummary:
    """Train a policy on-policy, θ ← θ + η·opt(Σ_i w_i·A_i·∇ log π(y_i|x_i)), A_i of the config's arm.

    arXiv:2601.23135v1, eqs (4)-(5), with every setting it leaves out in the config. Kind: algorithm.

    Two runs whose configs differ in the arm alone ask the same questions in the same order and draw by the same random
    numbers; their first batches are equal, and only the advantages differ. The advantages are those of
    :func:`curvature.group_advantages`. Killed at any moment, a run goes on from its last checkpoint to the numbers it
    would have had: on a CPU with the same libraries and threads to the last bit, on a GPU as far as its kernels repeat
    themselves.

    Parameters
    ----------
    config : TrainConfig
        The settings.
    folder : path-like
        Where the run is recorded: see :mod:`curvature.lm.train`.
    policy : Policy, optional
        To start from, in place of the config's; it is changed in place.
    task, eval_task : Task, optional
        Questions to train on, and to draw held-out ones from, in place of the config's. Without `eval_task` the
        held-out ones are drawn from `task`.
    progress : bool, default True
        Show a progress bar, if standard error is a terminal.
    resume : bool, default True
        Go on with the run that the folder holds; False refuses a folder that holds one.
    max_seconds : float, optional
        Stop after a step, with a checkpoint, once so much time has gone by in this call. The reason is "paused".

    Returns
    -------
    RunSummary
        How it ended. A run that had ended before is not run again.

    Raises
    ------
    ValueError
        If the folder holds a run of other settings, or settings do not fit the task.

    Examples
    --------
    >>> import tempfile
    >>> config = TrainConfig(
    ...     policy="tiny:width=16,layers=1",
    ...     task_options={"num_questions": 20, "digits": [1, 1]},
    ...     steps=2,
    ...     prompts_per_step=2,
    ...     group_size=2,
    ...     max_new_tokens=3,
    ...     learning_rate=1e-3,
    ... )
    >>> summary = train(config, tempfile.mkdtemp(), progress=False)
    >>> summary.steps, summary.reason
    (2, 'finished')
    """
    from curvature.lm._processes import Processes

    place, began = Path(folder), time.monotonic()
    processes = Processes()
    _claim(config, place, resume, processes)
    ended = _read_result(place)
    if ended is not None:
        return ended
    with ExitStack() as stack:
        loop = _start(config, place, policy, task, eval_task, processes, stack)
        bar = stack.enter_context(_bar(loop, progress and processes.is_main))
        while loop.step < config.steps:
            reason = loop.run_step()
            bar.set_postfix(reward=f"{loop.metrics.rows[-1]['reward_mean']:.3f}", refresh=False)
            bar.update()
            if reason is not None:
                return _end(loop, reason)
            is_late = max_seconds is not None and processes.any(time.monotonic() - began >= max_seconds)
            is_last = loop.step == config.steps
            if is_last or is_late or loop.step % config.checkpoint_every == 0:
                loop.save()
            if is_late and not is_last:
                return _summary(loop, PAUSED)
        return _end(loop, FINISHED)


def policy_at(
    folder: str | os.PathLike[str], step: int | None = None, *, policy: Policy | None = None
) -> Policy:
    """Return the policy of a run after some of its updates.

    Ours.

    Parameters
    ----------
    folder : path-like
        Of the run.
    step : int, optional
        How many updates; the last checkpoint if left out.
    policy : Policy, optional
        To put the parameters into; else the config's is loaded. A run that was given its policy needs one here.

    Returns
    -------
    Policy
        The policy.

    Raises
    ------
    ValueError
        If there is no such checkpoint.

    Examples
    --------
    >>> policy_at("runs/group", 100)  # doctest: +SKIP
    """
    from curvature.lm import _checkpoint
    from curvature.lm._build import build_policy

    place = Path(folder)
    saved = _checkpoint.checkpoints(place / "checkpoints")
    chosen = saved[-1] if step is None and saved else step
    if chosen not in saved:
        listed = ", ".join(map(str, saved)) or "none"
        raise ValueError(f"{place} has no checkpoint of step {chosen}; there are: {listed}.")
    if policy is None:
        policy = build_policy(TrainConfig.from_json((place / "config.json").read_text(encoding="utf-8")))
    policy.load_state(_checkpoint.load_checkpoint(place / "checkpoints", chosen)[0])
    return policy


def _claim(config: TrainConfig, folder: Path, resume: bool, processes: Processes) -> None:
    """Write the settings, or see that they are those of the run that is there."""
    path = folder / "config.json"
    found = path.read_text(encoding="utf-8") if path.exists() else None
    processes.wait()
    if found is None:
        if processes.is_main:
            write_atomically(path, config.to_json().encode())
        return
    if not resume:
        raise ValueError(f"{folder} holds a run already: resume it, or train in another folder.")
    earlier = TrainConfig.from_json(found)
    mine, theirs = asdict(config), asdict(earlier)
    for name in mine:
        if name not in _FREE and mine[name] != theirs[name]:
            raise ValueError(
                f"{name} is {mine[name]!r}, but the run in {folder} has {theirs[name]!r}: train in another folder."
            )


def _start(
    config: TrainConfig,
    folder: Path,
    policy: Policy | None,
    task: Task | None,
    eval_task: Task | None,
    processes: Processes,
    stack: ExitStack,
) -> Loop:
    """Build what the run needs, or go back to its last checkpoint."""
    from curvature.lm._build import build_policy, build_task, hold_out
    from curvature.lm._checkpoint import checkpoints
    from curvature.lm._loop import Loop
    from curvature.lm.grading import Grader

    if policy is None:
        policy = build_policy(config, processes.device)
    if task is None:
        task = build_task(config, policy.tokenizer)
    if eval_task is None and config.eval_every and config.eval_task_options is not None:
        eval_task = build_task(config, policy.tokenizer, **config.eval_task_options)
    task, held_out = hold_out(config, task, eval_task)
    if config.warm_start_steps and not checkpoints(folder / "checkpoints"):
        _warm_start(config, policy, task)
    graders = [
        stack.enter_context(
            Grader(asked.grading, time_limit=config.grading_seconds, workers=config.grading_workers)
        )
        for asked in {task.grading: task, **({held_out.grading: held_out} if held_out else {})}.values()
    ]
    return Loop(config, folder, policy, task, held_out, (graders[0], graders[-1]), processes)


def _warm_start(config: TrainConfig, policy: Policy, task: Task) -> None:
    from curvature.lm.tiny import warm_start

    warm_start(
        policy,
        task,
        steps=config.warm_start_steps,
        learning_rate=config.warm_start_learning_rate,
        batch_size=min(config.warm_start_batch, len(task)),
        seed=config.policy_seed,
    )


def _bar(loop: Loop, progress: bool) -> Any:
    from tqdm import tqdm

    return tqdm(
        total=loop.config.steps,
        initial=loop.step,
        desc=loop.folder.name,
        unit="step",
        disable=None if progress else True,  # None: shown where standard error is a terminal
        leave=False,
        dynamic_ncols=True,
    )


def _summary(loop: Loop, reason: str) -> RunSummary:
    metrics = loop.metrics
    return RunSummary(
        steps=len(metrics.rows),
        seconds=metrics.total("seconds_sample", "seconds_grade", "seconds_update"),
        tokens_sampled=int(metrics.total("tokens")),
        reason=reason,
        folder=loop.folder,
    )


def _end(loop: Loop, reason: str) -> RunSummary:
    """Evaluate a finished run for the last time, and write the result."""
    summary = _summary(loop, reason)
    if reason == FINISHED and loop.config.eval_every:
        summary = replace(summary, evaluation=loop.evaluate())
    if loop.processes.is_main:
        loop.metrics.sync()
        content = asdict(summary) | {"versions": _versions(), "device": str(loop.policy.device)}
        del content["folder"]
        write_atomically(loop.folder / "result.json", (json.dumps(content, indent=1) + "\n").encode())
    loop.processes.wait()
    return summary


def _read_result(folder: Path) -> RunSummary | None:
    path = folder / "result.json"
    if not path.exists():
        return None
    found: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    names = ("steps", "seconds", "tokens_sampled", "reason", "evaluation")
    return RunSummary(folder=folder, **{name: found[name] for name in names})


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("curvature", "torch", "transformers", "numpy")}
