"""Which column plays which role, and how reward columns are weighted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from curvature.rollouts._faults import LogError
from curvature.rollouts._layouts import Layout, swift_rewards
from curvature.rollouts._probe import Probe

__all__ = ["PROMPTS", "ROLES", "RewardWeights", "formula", "rewards_of", "roles_of"]

ROLES = {
    "step": ("step", "global_step", "training_step", "train_step", "iteration", "rollout_id"),
    "group": (
        "group", "group_id", "group_idx", "group_index", "prompt_id", "prompt_idx", "problem_id", "question_id", "uid",
        "prompt", "question", "problem", "query", "input",
    ),
    "reward": ("reward", "rewards", "score", "total_reward", "final_reward"),
    "advantage": ("advantage", "advantages"),
}  # fmt: skip
"""Names under which the roles are looked for, the likeliest first."""
PROMPTS = {"prompt_id", "problem_id", "question_id", "prompt", "question", "problem", "query", "input"}

RewardWeights = Mapping[str, float] | Sequence[float] | None


def roles_of(
    look: Probe,
    columns: Mapping[str, str] | None,
    weights: RewardWeights,
    group_size: int | None,
    layout: Layout | None = None,
) -> dict[str, str]:
    """Return the column of each role; raise LogError if one that is needed is not there."""
    given = dict(columns or {})
    for role, name in given.items():
        if name not in look.kinds and not (layout and layout.records):
            raise LogError(
                f"{look.path} has no column {name!r} for the {role}: it has {_listed(look.columns)}."
            )
    if layout is not None and layout.marks:
        own = {
            "step": layout.step,
            "group": layout.group,
            "reward": layout.reward,
            "advantage": layout.advantage,
        }
        if own["advantage"] not in look.kinds and not layout.records:
            own["advantage"] = None
        if not layout.records and not layout.marks <= set(look.kinds):
            lacking = sorted(layout.marks - set(look.kinds))
            raise LogError(f"{look.path} is no {layout.name} log: it has no column {', '.join(lacking)}.")
        return {role: name for role, name in (own | given).items() if name is not None}
    lower = {name.lower(): name for name in reversed(look.columns)}
    roles = {
        role: next((lower[name] for name in names if name in lower), None) for role, names in ROLES.items()
    } | given
    if roles["reward"] is None and not isinstance(weights, Mapping):
        raise LogError(_lacking(look, "reward"))
    if roles["group"] is None and group_size is None:
        raise LogError(_lacking(look, "group") + " Or cut consecutive rows with group_size (--group-size).")
    return {role: name for role, name in roles.items() if name is not None}


def _lacking(look: Probe, role: str) -> str:
    return (
        f"{look.path} has no column that is the {role} by its name: it has {_listed(look.columns)}. "
        f"Name it with columns={{'{role}': ...}} (--columns {role}=NAME)."
    )


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:12]) or "none"
    return f"{shown[:300]} and {len(names) - 12} more" if len(names) > 12 else shown[:300]


def rewards_of(
    look: Probe, layout: Layout, roles: dict[str, str], weights: RewardWeights
) -> dict[str, float]:
    """Return the reward columns with their weights."""
    if layout.name == "trl" and roles.get("reward") is None:
        names = look.columns
        between = names[names.index("completion") + 1 : names.index("advantage")]
        found = [name for name in between if name in look.floats]
    elif layout.name == "ms_swift":
        found = next((names for record in look.records if (names := swift_rewards(record))), [])
    else:
        found = [roles["reward"]] if "reward" in roles else []
    if isinstance(weights, Mapping):
        unknown = [
            name
            for name in weights
            if layout.name != "slime" and not layout.unwrap and name not in look.kinds
        ]
        if unknown or not weights:
            raise LogError(
                f"reward_weights names {_listed(unknown)}: {look.path} has {_listed(look.columns)}."
            )
        return {str(name): _weight(weight) for name, weight in weights.items()}
    if not found:
        raise LogError(f"{look.path} has no column of rewards between completion and advantage.")
    if weights is None:
        return dict.fromkeys(found, 1.0)
    if len(weights) != len(found):
        raise LogError(f"reward_weights has {len(weights)} entries, but the rewards are {_listed(found)}.")
    return {name: _weight(weight) for name, weight in zip(found, weights, strict=True)}


def _weight(weight: Any) -> float:
    try:
        value = float(weight)
    except (TypeError, ValueError):
        value = float("nan")
    if not abs(value) <= 1e100:
        raise LogError(f"reward_weights holds {weight!r}, which is no finite number.")
    return value


def formula(rewards: Mapping[str, float]) -> str:
    return " + ".join(name if weight == 1 else f"{weight:g}·{name}" for name, weight in rewards.items())
