"""Recording the rollouts of TRL's GRPOTrainer while it trains.

::

    from curvature.rollouts.trl import RolloutCallback

    trainer = GRPOTrainer(...)
    trainer.add_callback(RolloutCallback(trainer, "run/rollouts.jsonl"))
    trainer.train()

and, in another terminal, `curvature diagnose run/rollouts.jsonl --follow`.

TRL gives a callback neither rewards nor advantages, and its own completions files hold only the last generation batch
of each logging step. So the callback wraps the one method of the trainer that makes a generation batch, and after each
call reads what the trainer has put into its completions table: the rewards and advantages of all processes, before
they are shuffled. Nothing of the trainer's result is changed. Both names are private to TRL and the same in 1.0 and
1.16; whether they are there is checked when training begins.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature.rollouts.recorder import Recorder

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

__all__ = ["RolloutCallback"]

_METHOD = "_generate_and_score_completions"
_PUBLIC = ("accelerator", "model", "num_generations", "reward_func_names", "reward_weights", "state")


def _callback_base() -> Any:
    """Return transformers' TrainerCallback, or nothing to inherit where there is no transformers to train with."""
    try:
        return importlib.import_module("transformers").TrainerCallback
    except ImportError:
        return object


class RolloutCallback(_callback_base()):
    """Record every generation batch of a GRPOTrainer: groups, combined rewards and TRL's own advantages.

    Ours. A row is one completion. `step` is the trainer's step that the batch was generated for, counted from 1 as in
    TRL's completions files; where one step takes several batches (steps_per_generation below
    gradient_accumulation_steps) the batches are counted instead, since TRL normalises each by itself. `group` counts
    the groups of the batch: consecutive `num_generations` completions, as TRL has them. `reward` is the sum
    of the reward functions times `reward_weights`, as TRL adds them up, and is missing where all of them returned None.
    With `multi_objective_aggregation="normalize_then_sum"` TRL does not make its advantages of that sum.

    Evaluation is not recorded. Only the main process writes. A run resumed from the checkpoint of step g continues its
    file and replaces what it had recorded after step g. If the disk refuses, a warning says so, recording ends and
    training goes on.

    Parameters
    ----------
    trainer : trl.GRPOTrainer
        The trainer to which the callback is added.
    path : path-like
        Where to record; see :class:`curvature.rollouts.recorder.Recorder`.
    prompts : bool, default False
        Record the prompts as well, as text (chats as JSON). They tell a prompt across steps, and take space.

    Raises
    ------
    AttributeError
        When training begins, if this version of TRL lacks what is read here.
    ValueError
        When training begins, if the path holds another run's steps, or two reward functions share a name.
    RuntimeError
        At the first batch, if the trainer's completions table is not as this callback knows it.
    """

    def __init__(self, trainer: Any, path: str | os.PathLike[str], *, prompts: bool = False) -> None:
        self.path = path
        self._trainer = trainer
        self._prompts = prompts
        self._recorder: Recorder | None = None
        self._is_listening = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Check the trainer, open the file and begin to listen.

        Parameters
        ----------
        args, state, control : Any
            As transformers gives them.
        **kwargs : Any
            Not used.
        """
        self._stop()
        _check_trainer(self._trainer)
        if not state.is_world_process_zero:
            return
        self._recorder = _open(self.path, state.global_step, _has_several_batches_a_step(args))
        self._listen()

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Close the file.

        Parameters
        ----------
        args, state, control : Any
            As transformers gives them.
        **kwargs : Any
            Not used.
        """
        self._stop()

    def _listen(self) -> None:
        """Record after each call of the method that makes a generation batch; a wrapper stays, and idles in between."""
        if self._is_listening:
            return
        generate = getattr(self._trainer, _METHOD)

        def generate_and_record(inputs: Any, *args: Any, **kwargs: Any) -> Any:
            is_training = self._trainer.model.training
            output = generate(inputs, *args, **kwargs)
            if is_training:
                self._record(len(inputs) * self._trainer.accelerator.num_processes)
            return output

        setattr(self._trainer, _METHOD, generate_and_record)
        self._is_listening = True

    def _stop(self) -> None:
        """Close the file, also that of a training that broke off."""
        if self._recorder is not None:
            self._recorder.close()
            self._recorder = None

    def _record(self, size: int) -> None:
        """Record the batch whose `size` rollouts are the last in the trainer's completions table."""
        if self._recorder is None:
            return
        trainer = self._trainer
        batch = _last_batch(trainer, size)
        step = max(trainer.state.global_step, self._recorder.last_step or 0) + 1
        columns = {"prompt": [_text(p) for p in batch["prompt"]]} if self._prompts else None
        groups = np.arange(size) // trainer.num_generations
        try:
            self._recorder.record(
                step, groups, batch["reward"], batch["advantage"], columns=columns, allow_missing=True
            )
        except OSError as error:
            self._stop()
            warnings.warn(f"rollouts are recorded no more, from step {step} on: {error}", stacklevel=2)


def _check_trainer(trainer: Any) -> None:
    """Refuse a trainer that lacks what is read here, before it trains."""
    missing = [name for name in (*_PUBLIC, _METHOD, "_logs") if not hasattr(trainer, name)]
    if not missing:
        missing = [
            f"_logs[{name!r}]" for name in ("prompt", "rewards", "advantages") if name not in trainer._logs
        ]
    if missing:
        raise AttributeError(
            f"{type(trainer).__name__} ({_trl_version()}) has no {', no '.join(missing)}: RolloutCallback reads TRL's "
            "GRPOTrainer as in versions 1.0 and 1.16; use Recorder in your reward function instead."
        )
    names = list(trainer.reward_func_names)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(
            f"two reward functions are named {twice[0]!r}, and TRL mixes up their rewards: give each its own name."
        )


def _trl_version() -> str:
    try:
        return f"trl {importlib.metadata.version('trl')}"
    except importlib.metadata.PackageNotFoundError:
        return "trl is not installed"


def _has_several_batches_a_step(args: Any) -> bool:
    return args.steps_per_generation * args.num_iterations < args.gradient_accumulation_steps


def _open(path: str | os.PathLike[str], global_step: int, counts_batches: bool) -> Recorder:
    """Open the file for a run that starts, or goes on, after `global_step`."""
    if global_step and counts_batches:
        recorder = Recorder(path)
        if recorder.last_step is not None:
            recorder.close()
            raise ValueError(
                f"{path} counts generation batches, several a step, and does not say which belong to the steps after "
                f"{global_step}, the checkpoint: give the resumed run a new path."
            )
        return recorder
    recorder = Recorder(path, resume_from=global_step + 1 if global_step else None)
    if not global_step and recorder.last_step is not None:
        recorder.close()
        raise ValueError(
            f"{path} holds {recorder.last_step} steps of another run, and this one starts at 0: delete it, or give "
            "the run a new path."
        )
    return recorder


def _last_batch(trainer: Any, size: int) -> dict[str, Any]:
    """Take prompts, rewards and advantages of the last `size` rollouts in the trainer's completions table."""
    logs = trainer._logs
    columns = [logs["prompt"], logs["advantages"], *(logs["rewards"][n] for n in trainer.reward_func_names)]
    prompts, advantages, *rewards = [list(column)[-size:] for column in columns]
    lengths = {len(prompts), len(advantages), *map(len, rewards)}
    if lengths != {size} or size % trainer.num_generations:
        raise RuntimeError(
            f"a generation batch of {size} in groups of {trainer.num_generations} left {sorted(lengths)} rows in "
            "the trainer's table: this version of TRL is not the one that RolloutCallback knows."
        )
    weights = [float(weight) for weight in trainer.reward_weights]
    return {
        "prompt": prompts,
        "reward": _without_infinities("reward", _combined(rewards, weights)),
        "advantage": _without_infinities("advantage", np.array(advantages, np.float64)),
    }


def _combined(rewards: list[list[float]], weights: list[float]) -> NDArray[np.float64]:
    """Add rewards up in float32 and over what was scored, as TRL does; NaN where nothing was."""
    scores = np.array(rewards, np.float32)
    with np.errstate(invalid="ignore"):  # infinities are dealt with by the caller
        total = np.nansum(scores * np.array(weights, np.float32)[:, None], axis=0)
    total[np.isnan(scores).all(axis=0)] = math.nan
    return total.astype(np.float64)


def _without_infinities(name: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Make infinite values missing: they are no reason to break off a training, but one to say so."""
    is_infinite = np.isinf(values)
    if is_infinite.any():
        warnings.warn(f"{int(is_infinite.sum())} infinite {name}s are recorded as missing.", stacklevel=2)
    return np.where(is_infinite, math.nan, values)


def _text(prompt: Any) -> str:
    return prompt if isinstance(prompt, str) else json.dumps(prompt, default=str)
