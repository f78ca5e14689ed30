"""The conventions of public trainers, by name, each with the commit and file it was read in.

Facts, not code: what each trainer computes from the rewards of a group. Two departures hold for all of them. A
group whose rewards are all equal gets exactly 0, where a trainer may divide rounding noise by its eps. Sums run
in float64 with a two-pass variance, where a trainer may work in float32 (`verl_vectorized` in one pass). And the
verl family divides the reward of a group of one by 1 + eps; here it is the reward itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from curvature.advantages.normalization import Normalization

_TRL = "huggingface/trl f2cd577 trl/trainer/grpo_trainer.py"
_VERL = "verl-project/verl 1dda039 verl/trainer/ppo/core_algos.py"
_OPENRLHF = "OpenRLHF/OpenRLHF 3c3be62 openrlhf/trainer/ppo_utils/experience_maker.py"
_DR_GRPO = "sail-sg/understand-r1-zero dfca49d train_zero_math.py"
_SKYRL = "NovaSky-AI/SkyRL a956457 ppo_utils.py"
_SLIME = "THUDM/slime 624b824 slime/ray/rollout.py"
_OPEN_INSTRUCT = "allenai/open-instruct e6c3044 open_instruct/data_loader.py"
_AREAL = "inclusionAI/AReaL 4aef98d areal/utils/data.py"
_SWIFT = "modelscope/ms-swift 3602360 swift/rl_core/advantage.py"

_trl = Normalization(ddof=1, eps=1e-4, nan="exclude", source=f"{_TRL}: scale_rewards='group', the default")
_verl = Normalization(
    ddof=1, eps=1e-6, nan="propagate", singleton="raw", source=f"{_VERL}: norm_adv_by_std_in_grpo=True"
)
_sample = Normalization(ddof=1, eps=1e-6, nan="propagate", singleton="nan")
_centred = Normalization(spread="none", nan="propagate")
_mean_only = Normalization(
    spread="none", source="the group mean without a std: REINFORCE with a mean baseline"
)

PRESETS: Mapping[str, Normalization] = MappingProxyType({
    # Ours: population std and no eps, as the theory has it; a NaN reward is an error.
    "grpo": Normalization(source="arXiv:2601.23135v1, eqs (4)-(5): the population std of the group"),
    "none": _mean_only,
    "reinforce": _mean_only,
    "batch": Normalization(spread="batch", source="one population std for the whole batch"),
    "rloo": Normalization(
        spread="none", baseline="leave-one-out", source="the mean of the others, no std: unbiased"
    ),
    # Trainers'.
    "trl": _trl,
    "trl_batch": replace(_trl, spread="batch", source=f"{_TRL}: scale_rewards='batch'"),
    "trl_none": replace(_trl, spread="none", source=f"{_TRL}: scale_rewards='none'"),
    "trl_rloo": replace(
        _trl,
        spread="none",
        baseline="leave-one-out",
        source="huggingface/trl f2cd577 trl/trainer/rloo_trainer.py",
    ),
    "verl": _verl,
    "verl_mean": replace(_verl, spread="none", source=f"{_VERL}: norm_adv_by_std_in_grpo=False"),
    "verl_vectorized": replace(
        _verl, floor=1e-3, source="volcengine/verl b178a3c verl/utils/groupwise.py: variance floor 1e-6"
    ),
    "openrlhf": replace(_sample, eps=1e-9, source=f"{_OPENRLHF}: group_norm"),
    "openrlhf_dr_grpo": replace(_centred, source=f"{_OPENRLHF}: dr_grpo"),
    "openrlhf_rloo": replace(
        _centred, baseline="leave-one-out", singleton="nan", source=f"{_OPENRLHF}: rloo"
    ),
    "dr_grpo": replace(_centred, source=f"{_DR_GRPO}: critic_type='drgrpo'"),
    "dr_grpo_std": replace(_sample, eps=1e-8, source=f"{_DR_GRPO}: critic_type='grpo'"),
    "nemo_rl": Normalization(
        spread="leave-one-out",
        baseline="leave-one-out",
        ddof=1,
        eps=1e-6,
        nan="propagate",
        source="NVIDIA-NeMo/RL 7ea279a nemo_rl/algorithms/advantage_estimator.py, the default",
    ),
    "skyrl": replace(_verl, source=f"{_SKYRL}: grpo_norm_by_std=True"),
    "skyrl_mean": replace(_verl, spread="none", source=f"{_SKYRL}: grpo_norm_by_std=False"),
    "slime": replace(_sample, source=f"{_SLIME}, the default"),
    "slime_mean": replace(_centred, source=f"{_SLIME}: --disable-grpo-std-normalization"),
    "open_instruct": replace(_centred, source=f"{_OPEN_INSTRUCT}: 'centered', the default since 2026-03"),
    "open_instruct_standard": Normalization(
        eps=1e-8, nan="propagate", source=f"{_OPEN_INSTRUCT}: 'standard'"
    ),
    "areal": Normalization(
        spread="batch",
        baseline="batch",
        ddof=1,
        eps=1e-5,
        nan="propagate",
        source=f"{_AREAL}: mean_level='batch', std_level='batch'",
    ),
    "areal_group": Normalization(
        ddof=1, eps=1e-5, nan="propagate", source=f"{_AREAL}: mean_level='group', std_level='group'"
    ),
    "prime_rl": replace(_centred, source="PrimeIntellect-ai/prime-rl 559b447 orchestrator/algo/grpo.py"),
    "tinker_cookbook": replace(
        _centred,
        source="thinking-machines-lab/tinker-cookbook 9dfcc3a tinker_cookbook/rl/data_processing.py",
    ),
    "ms_swift": replace(_trl, nan="propagate", source=f"{_SWIFT}: grpo"),
    "ms_swift_rloo": replace(_centred, baseline="leave-one-out", source=f"{_SWIFT}: rloo"),
    "ms_swift_reinforce_plus_plus": replace(
        _trl, spread="pooled", nan="propagate", source=f"{_SWIFT}: reinforce_plus_plus"
    ),
    "lite_ppo": Normalization(
        spread="batch",
        ddof=1,
        eps=1e-6,
        nan="propagate",
        source="arXiv:2508.08221; alibaba/ROLL 8eb27cc: group mean, batch std",
    ),
})
"""Conventions by name; `PRESETS[name].source` says where each was read."""


def resolve(preset: str | Normalization) -> Normalization:
    """Return the convention that a name or a `Normalization` stands for.

    Parameters
    ----------
    preset : str or Normalization
        A key of `PRESETS`, or a convention of your own.

    Returns
    -------
    Normalization
        The convention.

    Raises
    ------
    ValueError
        If no preset has that name; the sentence lists the names.
    TypeError
        If `preset` is neither a name nor a `Normalization`.

    Examples
    --------
    >>> resolve("trl").eps
    0.0001
    """
    if isinstance(preset, Normalization):
        return preset
    if not isinstance(preset, str):
        raise TypeError(f"preset={preset!r} must be the name of a preset or a Normalization.")
    if preset not in PRESETS:
        raise ValueError(f"preset={preset!r} is unknown: choose one of {', '.join(PRESETS)}.")
    return PRESETS[preset]
