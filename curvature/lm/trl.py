"""Our advantages and our recording in TRL's GRPOTrainer, for those who train there.

::

    from curvature.lm.trl import CurvatureGRPOTrainer

    trainer = CurvatureGRPOTrainer(
        model, reward_funcs, args, train_dataset, arm="group_matched", record="run/rollouts.jsonl"
    )
    trainer.train()

TRL makes its advantages in the middle of one long method, from rewards that it has just gathered from all processes.
Neither is copied here. `_calculate_rewards` is overridden to look at those rewards, `_generate_and_score_completions`
to replace the advantages that come out of it, in the batch and in the completions table. Both methods are private to
TRL, and the same in 1.0 and 1.16; whether they are there is checked when the trainer is made.
"""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature.advantages import group_advantages
from curvature.advantages.presets import resolve
from curvature.lm.arms import arm_advantages

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

    from curvature.advantages import Normalization

__all__ = ["CurvatureAdvantages", "CurvatureGRPOTrainer"]

_METHODS = ("_calculate_rewards", "_generate_and_score_completions")

CurvatureGRPOTrainer: Any  # made by __getattr__ when it is first asked for, since trl takes seconds to import


class CurvatureAdvantages:
    """Give a GRPOTrainer the advantages of an arm or a preset: to be inherited from before the trainer.

    Ours. Kind: identity. `CurvatureGRPOTrainer` is this class and `trl.GRPOTrainer`. For a trainer of your own:
    `class Mine(CurvatureAdvantages, MyGRPOTrainer)`.

    The rewards of all processes are weighted by `reward_weights` and added up in float32, as TRL does; consecutive
    `num_generations` of them are a group. A completion that no reward function scored takes no part in its group and
    gets advantage 0, whatever the convention says of NaN. Everything else is TRL's: sampling, loss, clipping, KL.
    Evaluation uses the same advantages. What TRL logs of rewards is unchanged; its completions table and the
    recording hold the advantages that were trained on.

    Holds when: `multi_objective_aggregation` is "sum_then_normalize", and `scale_rewards` is left at its default,
    since the arm takes its place.

    Parameters
    ----------
    *args : Any
        For the trainer.
    arm : str, optional
        A name of :data:`curvature.lm.arms.ARMS`; "group" if neither it nor `preset` is given.
    preset : str or Normalization, optional
        A convention of :data:`curvature.PRESETS`, or your own, instead of an arm: "trl" is what TRL does by itself.
    overlap : float, default 0.5
        For the arm "smoothed"; see :func:`curvature.lm.arms.arm_advantages`.
    record : path-like, optional
        Where to record the rollouts; see :class:`curvature.rollouts.trl.RolloutCallback`.
    **kwargs : Any
        For the trainer.

    Raises
    ------
    ValueError
        If both an arm and a preset are given, there is none of that name, or a setting of the trainer cannot be
        honoured. While training, if the rewards of a batch do not suit the convention.
    AttributeError
        If this version of TRL lacks a method that is overridden here.
    """

    def __init__(
        self,
        *args: Any,
        arm: str | None = None,
        preset: str | Normalization | None = None,
        overlap: float = 0.5,
        record: str | os.PathLike[str] | None = None,
        **kwargs: Any,
    ) -> None:
        _check_choice(arm, preset, overlap)
        _check_methods(super())
        self.arm = "group" if arm is None and preset is None else arm
        self.preset = preset
        self.overlap = overlap
        self._gathered_rewards: Any = None
        super().__init__(*args, **kwargs)
        _check_settings(self)
        if record is not None:
            from curvature.rollouts.trl import RolloutCallback

            self.add_callback(RolloutCallback(self, record))  # type: ignore[attr-defined]  # the trainer's

    def _calculate_rewards(self, *args: Any, **kwargs: Any) -> Any:
        """Keep the rewards of each function, (N, functions) over all processes, for the advantages."""
        self._gathered_rewards = super()._calculate_rewards(*args, **kwargs)  # type: ignore[misc]  # the trainer's
        return self._gathered_rewards

    def _generate_and_score_completions(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Replace the advantages of the batch that TRL makes: this process's share of those of all."""
        output = super()._generate_and_score_completions(inputs, *args, **kwargs)  # type: ignore[misc]  # the trainer's
        scores, self._gathered_rewards = self._gathered_rewards, None
        theirs = output["advantages"]
        _check_batch(self, scores, theirs, len(inputs))
        total = _weighted_sum(scores, self.reward_weights)  # type: ignore[attr-defined]  # the trainer's
        groups = np.arange(total.size) // _group_size(self)
        ours = _advantages(total, groups, self.arm, self.preset, self.overlap)
        start = self.accelerator.process_index * len(inputs)  # type: ignore[attr-defined]  # the trainer's
        output["advantages"] = theirs.new_tensor(ours[start : start + len(inputs)], dtype=theirs.dtype)
        _replace_last(self._logs["advantages"], ours.tolist())  # type: ignore[attr-defined]  # the trainer's
        return output


def _check_choice(arm: str | None, preset: str | Normalization | None, overlap: float) -> None:
    """Refuse what names no convention, before a model is loaded."""
    if arm is not None and preset is not None:
        raise ValueError(f"arm={arm!r} and preset={preset!r} are two conventions: give one of them.")
    if preset is not None:
        resolve(preset)
    else:
        arm_advantages("group" if arm is None else arm, [0.0], [0], overlap=overlap)


def _check_methods(parent: Any) -> None:
    """Refuse a trainer without the methods that are overridden."""
    missing = [name for name in _METHODS if not hasattr(parent, name)]
    if missing:
        raise AttributeError(
            f"the trainer has no {', no '.join(missing)}: CurvatureAdvantages goes before TRL's GRPOTrainer, as in "
            "versions 1.0 and 1.16."
        )


def _check_settings(trainer: Any) -> None:
    """Refuse settings that the arm would silently overrule."""
    aggregation = trainer.multi_objective_aggregation
    if aggregation != "sum_then_normalize":
        raise ValueError(
            f"multi_objective_aggregation={aggregation!r} normalises each reward by itself, and curvature their sum: "
            'set it to "sum_then_normalize", or use GRPOTrainer.'
        )
    if trainer.scale_rewards != "group":
        chosen = f"arm={trainer.arm!r}" if trainer.preset is None else f"preset={trainer.preset!r}"
        raise ValueError(
            f"scale_rewards={trainer.scale_rewards!r} would be overruled by {chosen}: leave it out; "
            f"preset='trl_{trainer.scale_rewards}' is what it means in TRL."
        )


def _check_batch(trainer: Any, scores: Any, advantages: Any, size: int) -> None:
    """Refuse a batch that is not laid out as in the versions of TRL that this was written for."""
    total = size * trainer.accelerator.num_processes
    found = None if scores is None else tuple(scores.shape)
    expected = (total, len(trainer.reward_weights))
    if found != expected or tuple(advantages.shape) != (size,) or total % _group_size(trainer):
        raise RuntimeError(
            f"a batch of {size} completions in each of {trainer.accelerator.num_processes} processes, in groups of "
            f"{_group_size(trainer)}, has rewards of shape {found} and advantages of shape "
            f"{tuple(advantages.shape)}: this version of TRL is not one that curvature.lm.trl knows."
        )


def _group_size(trainer: Any) -> int:
    return trainer.num_generations if trainer.model.training else trainer.num_generations_eval


def _weighted_sum(scores: Any, weights: Any) -> NDArray[np.float64]:
    """Add the functions' rewards up in float32 over those that scored; NaN where none did."""
    total = (scores * weights.to(scores.device)).nansum(dim=1)
    total[scores.isnan().all(dim=1)] = float("nan")
    return total.detach().double().cpu().numpy()


def _advantages(
    rewards: NDArray[np.float64],
    groups: NDArray[np.int_],
    arm: str | None,
    preset: str | Normalization | None,
    overlap: float,
) -> NDArray[np.float64]:
    """Compute the advantages of what was scored, 0 elsewhere; refuse those that no step can be made of."""
    is_scored = ~np.isnan(rewards)
    kept, ids = rewards[is_scored], groups[is_scored]
    result = np.zeros_like(rewards)
    if not kept.size:
        return result
    if preset is not None:
        result[is_scored] = group_advantages(kept, ids, preset)
    elif arm is not None:
        result[is_scored] = arm_advantages(arm, kept, ids, overlap=overlap)
    if not np.isfinite(result).all():
        position = int(np.argmin(np.isfinite(result)))
        raise ValueError(
            f"advantage {position} of the batch is {result[position]} under preset={preset!r}: its group has one "
            "scored completion; score more, or choose a convention that gives such a group a number."
        )
    return result


def _replace_last(table: Any, values: list[float]) -> None:
    """Overwrite the end of TRL's table, which keeps the last rows of a batch that is longer than it."""
    for offset, value in enumerate(reversed(values[-len(table) :]), start=1):
        table[-offset] = value


@functools.cache
def _trainer_class() -> type:
    """Make the trainer's class, once, so that it is one class however often it is imported."""
    try:
        trl = importlib.import_module("trl")
    except ImportError as error:
        raise ImportError(
            f"CurvatureGRPOTrainer needs trl ({error}): pip install 'curvature[trl]'."
        ) from error
    contents = {"__module__": __name__, "__doc__": CurvatureAdvantages.__doc__}
    return type("CurvatureGRPOTrainer", (CurvatureAdvantages, trl.GRPOTrainer), contents)


def __getattr__(name: str) -> Any:
    if name == "CurvatureGRPOTrainer":
        return _trainer_class()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
