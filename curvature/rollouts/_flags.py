"""How to keep the group's std, share one std over the batch, or drop it, in each trainer: one table for all pages."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FLAGS", "Flag", "flags_for"]


@dataclass(frozen=True)
class Flag:
    """The setting of one trainer; None where a trainer has no switch for that.

    Attributes
    ----------
    trainer : str
        Name, as people write it.
    formats : tuple of str
        Layouts of logs and presets that belong to it, by the start of their names.
    keep, batch, drop : str or None
        Divide by the group's std, by one std of the batch, or by none.
    default : str
        "keep", "batch" or "drop": what the trainer does if told nothing.
    note : str
        A trap, or what else the switch changes.
    """

    trainer: str
    formats: tuple[str, ...]
    keep: str | None
    batch: str | None
    drop: str | None
    default: str
    note: str = ""


FLAGS = (
    Flag("TRL", ("trl",), 'scale_rewards="group"', 'scale_rewards="batch"', 'scale_rewards="none"', "keep"),
    Flag(
        "verl",
        ("verl",),
        "algorithm.norm_adv_by_std_in_grpo=True",
        None,
        "algorithm.norm_adv_by_std_in_grpo=False",
        "keep",
        "a group of one passes its raw reward on",
    ),
    Flag(
        "OpenRLHF",
        ("openrlhf",),
        "--algo.advantage.estimator group_norm",
        None,
        "--algo.advantage.estimator dr_grpo",
        "drop",
        "--advantage_estimator in releases before the dotted flags; the trainer's own default is no group method",
    ),
    Flag(
        "NeMo-RL",
        ("nemo_rl",),
        "grpo.adv_estimator.normalize_rewards=true",
        None,
        "grpo.adv_estimator.normalize_rewards=false",
        "keep",
        "grpo.normalize_rewards in older configurations; std and mean leave the reward itself out by default",
    ),
    Flag(
        "SkyRL",
        ("skyrl",),
        "trainer.algorithm.grpo_norm_by_std=true",
        None,
        "trainer.algorithm.grpo_norm_by_std=false",
        "keep",
        "trainer.algorithm.advantage_batch_normalize=true normalises once more over the batch",
    ),
    Flag(
        "slime",
        ("slime",),
        "leave --disable-grpo-std-normalization out",
        None,
        "--disable-grpo-std-normalization",
        "keep",
    ),
    Flag(
        "open-instruct",
        ("open_instruct",),
        "--advantage_normalization_type standard",
        None,
        "--advantage_normalization_type centered",
        "drop",
        "'standard' was the default before March 2026",
    ),
    Flag(
        "ms-swift",
        ("ms_swift",),
        "--scale_rewards group",
        "--scale_rewards batch",
        "--scale_rewards none",
        "keep",
    ),
    Flag(
        "AReaL",
        ("areal",),
        "actor.adv_norm.std_level=group",
        "actor.adv_norm.std_level=batch",
        "actor.adv_norm.std_level=null",
        "batch",
        "actor.reward_norm.std_level divides the rewards before: both together normalise twice",
    ),
    Flag(
        "prime-rl", ("prime_rl",), None, None, "its default", "drop", "r − mean; another one is your own code"
    ),
    Flag(
        "tinker-cookbook",
        ("tinker",),
        None,
        None,
        "its default",
        "drop",
        "r − mean in compute_advantages; another one is your own code",
    ),
)
"""Every trainer whose switch was read in its sources or configurations."""


def flags_for(names: tuple[str | None, ...], leaning: str) -> tuple[tuple[str, str], ...]:
    """List (trainer, how), the trainer of the log first; `names` are its layout and its presets, surest first."""

    def rank(flag: Flag) -> int:
        own = [i for i, name in enumerate(names) if name and name.startswith(flag.formats)]
        return min(own, default=len(names))

    ordered = sorted(FLAGS, key=rank)
    return tuple((flag.trainer, _how(flag, leaning)) for flag in ordered)


def _how(flag: Flag, leaning: str) -> str:
    words = {
        "keep": flag.keep or "no switch",
        "batch": flag.batch,
        "drop": flag.drop or "no switch",
    }
    order = ["drop", "batch", "keep"] if leaning == "drop" else ["keep", "batch", "drop"]
    said = [f"{choice}: {words[choice]}" for choice in order if words[choice]]
    return "; ".join(said) + (f" ({flag.note})" if flag.note else "")
