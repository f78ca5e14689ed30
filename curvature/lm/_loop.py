"""A run in progress: its policy, optimiser and files, one step after the other, and back to its last checkpoint."""

from __future__ import annotations

import hashlib
import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from curvature.lm import _checkpoint
from curvature.lm._metrics import MetricsFile
from curvature.lm._optimizer import Optimizer, learning_rate
from curvature.lm._order import questions_of_step
from curvature.lm._rollout_files import drop_rollouts, sync_rollouts, write_rollouts
from curvature.lm._rollouts import Rollouts, collect
from curvature.lm._update import Gradient, compute_gradient
from curvature.lm.arms import arm_advantages

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from curvature.lm._processes import Processes
    from curvature.lm.config import TrainConfig
    from curvature.lm.policy import Policy
    from curvature.lm.tasks import Task

__all__ = ["Loop"]

# Evaluations draw by numbers of their own, the same at every step.
_EVAL_SEED = 1 << 31


class Loop:
    """A run in progress.

    Parameters
    ----------
    config : TrainConfig
        Its settings.
    folder : Path
        Its files.
    policy : Policy
        As it is before the first update; set to the last checkpoint if there is one.
    task : Task
        Questions to train on.
    held_out : Task or None
        Questions to evaluate on.
    graders : tuple of Grader
        Of the two.
    processes : Processes
        That run it.
    """

    def __init__(
        self,
        config: TrainConfig,
        folder: Path,
        policy: Policy,
        task: Task,
        held_out: Task | None,
        graders: tuple[Any, Any],
        processes: Processes,
    ) -> None:
        self.config, self.folder, self.policy, self.processes = config, folder, policy, processes
        self._task, self._held_out, self._graders = task, held_out, graders
        self._checkpoints = folder / "checkpoints"
        saved = _checkpoint.checkpoints(self._checkpoints)
        self.step = self._saved_step = saved[-1] if saved else 0
        parameters, optimizer_state = (
            _checkpoint.load_checkpoint(self._checkpoints, self.step) if saved else (None, None)
        )
        if parameters is not None:
            policy.load_state(parameters)
        processes.copy_from_main([value.data for _, value in policy.trainable()])
        self._optimizer = Optimizer(config, policy.trainable())
        if optimizer_state is not None:
            self._optimizer.load_state(optimizer_state)
        processes.wait()  # none may clear away what another still reads
        self.metrics = MetricsFile(
            folder / "metrics.jsonl", first_step=self.step, is_writer=processes.is_main
        )
        if processes.is_main:
            drop_rollouts(folder / "rollouts", self.step)
            _checkpoint.drop_unfinished(self._checkpoints)
        if not saved:
            self.save()

    def run_step(self) -> str | None:
        """Sample, grade, and make one update unless something is wrong; record it.

        Returns
        -------
        str or None
            Why the run must end, if it must: the update was not made, or broke the policy.
        """
        config = self.config
        evaluation = self.evaluate() if config.eval_every and self.step % config.eval_every == 0 else None
        rollouts = self._collect()
        started = time.perf_counter()
        advantages = arm_advantages(config.arm, rollouts.reward, rollouts.group, overlap=config.overlap)
        torch.manual_seed(self._dropout_seed())
        gradient = compute_gradient(
            self.policy, self._optimizer, rollouts, advantages, self.processes, config
        )
        rate = learning_rate(config, self.step)
        reason = self._why_stop(rollouts, gradient)
        if reason is None:
            self._optimizer.step(rate)
            if not self._is_finite():
                reason = f"diverged: the parameters are not finite after the update of step {self.step}"
        row = {
            "step": self.step,
            **_summary(rollouts, advantages, config.group_size),
            "grad_norm": gradient.norm,
            "log_prob_gap": gradient.log_prob_gap,
            "learning_rate": rate,
            **({} if evaluation is None else evaluation),
            "seconds_sample": rollouts.seconds_sample,
            "seconds_grade": rollouts.seconds_grade,
            "seconds_update": time.perf_counter() - started,
        }
        self._record(row, rollouts, advantages)
        self.step += 1
        return reason

    def save(self) -> None:
        """Write a checkpoint, after all that it builds on, and let old ones go."""
        if self.processes.is_main:
            self.metrics.sync()
            sync_rollouts(self.folder / "rollouts", self._saved_step, self.step)
            _checkpoint.save_checkpoint(
                self._checkpoints, self.step, self.policy.state(), self._optimizer.state()
            )
            _checkpoint.prune_checkpoints(
                self._checkpoints, keep=self.config.keep_checkpoints, keep_every=self.config.keep_every
            )
        self._saved_step = self.step
        self.processes.wait()

    def evaluate(self) -> dict[str, float]:
        """Answer the held-out questions, by the same random numbers each time.

        Returns
        -------
        dict of str to float
            Success rate, its standard error over questions, length, share cut off, and seconds.
        """
        assert self._held_out is not None
        config = self.config
        rollouts = collect(
            self.policy,
            self._held_out.questions,
            self._graders[1],
            self.processes,
            config,
            group_size=config.eval_group_size,
            temperature=config.eval_temperature,
            stop=self._held_out.stop,
            seed=_EVAL_SEED + config.eval_seed,
            step=0,
        )
        rates = rollouts.reward.reshape(-1, config.eval_group_size).mean(axis=1)
        return {
            "eval_success": float(rates.mean()),
            "eval_error": float(rates.std(ddof=1) / math.sqrt(len(rates))) if len(rates) > 1 else math.nan,
            "eval_length": float(rollouts.length.mean()),
            "eval_truncated": float(rollouts.truncated.mean()),
            "seconds_eval": rollouts.seconds_sample + rollouts.seconds_grade,
        }

    def _collect(self) -> Rollouts:
        config = self.config
        chosen = questions_of_step(len(self._task), config.prompts_per_step, seed=config.seed, step=self.step)
        return collect(
            self.policy,
            [self._task.questions[index] for index in chosen],
            self._graders[0],
            self.processes,
            config,
            group_size=config.group_size,
            temperature=config.temperature,
            stop=self._task.stop,
            seed=config.seed,
            step=self.step,
        )

    def _dropout_seed(self) -> int:
        """Hash what decides a step, so that a run taken up again drops what it would have dropped."""
        told_apart = f"dropout/{self.config.seed}/{self.step}/{self.processes.rank}"
        return int.from_bytes(hashlib.sha256(told_apart.encode()).digest()[:7], "little")

    def _is_finite(self) -> bool:
        values = [value.data for _, value in self.policy.trainable()]
        return math.isfinite(float(torch.nn.utils.get_total_norm(values, float("inf"))))

    def _why_stop(self, rollouts: Rollouts, gradient: Gradient) -> str | None:
        """Say what is wrong with a batch and its gradient; the same in all processes."""
        config, where = self.config, f"at step {self.step}"
        if not np.isfinite(rollouts.log_probability).all():
            return f"diverged: the policy gives probabilities that are not numbers {where}"
        if not math.isfinite(gradient.norm):
            return f"diverged: the gradient is not finite {where}"
        if config.stop_grad_norm is not None and gradient.norm > config.stop_grad_norm:
            return f"diverged: the gradient's norm is {gradient.norm:.4g} {where}, above {config.stop_grad_norm:g}"
        if config.stop_log_prob_gap is not None and gradient.log_prob_gap > config.stop_log_prob_gap:
            return (
                f"diverged: log-probabilities differ by {gradient.log_prob_gap:.4g} between sampling and update "
                f"{where}, by more than {config.stop_log_prob_gap:g}"
            )
        silent = config.stop_silent_steps
        if silent is not None and not rollouts.reward.any():
            before = [row["reward_mean"] for row in self.metrics.rows[-(silent - 1) :]] if silent > 1 else []
            if len(before) == silent - 1 and not any(before):
                return f"collapsed: no right answer in {silent} steps running, {where}"
        return None

    def _record(self, row: dict[str, Any], rollouts: Rollouts, advantages: NDArray[np.float64]) -> None:
        if self.processes.is_main and self.config.record_rollouts:
            columns = {
                "group": rollouts.group,
                "reward": rollouts.reward,
                "advantage": advantages,
                "length": rollouts.length,
                "truncated": rollouts.truncated,
                "logprob": rollouts.log_probability,
            }
            write_rollouts(self.folder / "rollouts", self.step, columns)
        self.metrics.append(row)


def _summary(rollouts: Rollouts, advantages: NDArray[np.float64], group_size: int) -> dict[str, float]:
    groups = rollouts.reward.reshape(-1, group_size)
    is_silent = groups.min(axis=1) == groups.max(axis=1)
    return {
        "reward_mean": float(groups.mean()),
        "reward_std_mean": float(np.where(is_silent, 0.0, groups.std(axis=1)).mean()),
        "silent_right": float((is_silent & (groups[:, 0] > 0)).mean()),
        "silent_wrong": float((is_silent & (groups[:, 0] <= 0)).mean()),
        "length": float(rollouts.length.mean()),
        "truncated": float(rollouts.truncated.mean()),
        "tokens": int(rollouts.length.sum()),
        "log_prob": float(rollouts.log_probability.mean()),
        "advantage_rms": float(np.sqrt(np.mean(advantages**2))),
    }
