"""The layouts of public trainers: by what a file is recognised, and where in it the roles are.

Facts about the trainers' own writers, each with the repository and commit in which they were read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from curvature.rollouts._cells import BadCell
from curvature.rollouts._plan import RawRow, Weights

__all__ = ["FORMATS", "LAYOUTS", "Layout"]


@dataclass(frozen=True)
class Layout:
    """How one trainer writes its rollouts.

    Parameters
    ----------
    name, description : str
        As in FORMATS.
    container : str
        "parquet", "jsonl", "csv" or "torch".
    file_name : str
        A regular expression for the names that the trainer gives; its group is the step, if the name has one.
    marks : frozenset of str
        Columns that a file of this layout has.
    absent : frozenset of str
        Columns that it has not.
    step, group, reward, advantage : str or None
        Where the roles are; an advantage column need not be there.
    preset : str or None
        The trainer's default convention.
    groups_are_prompts, text_keys : bool
        Whether a group's id is its prompt's, and whether it is the text of the prompt.
    pattern, unwrap, records
        As in Plan.
    file_a_step, shards : bool
        Whether each file holds one step, and whether a run has several files that hold any steps.
    """

    name: str
    description: str
    container: str
    file_name: str
    marks: frozenset[str]
    absent: frozenset[str] = frozenset()
    step: str | None = None
    group: str | None = None
    reward: str | None = None
    advantage: str | None = None
    preset: str | None = None
    groups_are_prompts: bool = False
    pattern: str | None = None
    unwrap: bool = False
    records: Callable[[Any, int, Weights], Iterable[RawRow]] | None = None
    text_keys: bool = False
    file_a_step: bool = True
    shards: bool = False

    def names(self, file_name: str) -> bool:
        """Whether the trainer would give a file this name."""
        return re.fullmatch(self.file_name, file_name) is not None

    def has_columns(self, columns: Iterable[str]) -> bool:
        """Whether a file with these columns can be of this layout."""
        found = set(columns)
        return self.marks <= found and not self.absent & found


def _scores(rewards: Any) -> float | None:
    """Sum score × weight over what was scored: a trace of verifiers holds one entry a reward function."""
    if not isinstance(rewards, dict):
        raise BadCell("a trace holds no rewards")
    scored = [entry for entry in rewards.values() if entry is not None]
    parts = []
    for entry in scored:
        score, weight = (
            (entry.get("score"), entry.get("weight", 1.0)) if isinstance(entry, dict) else (entry, 1.0)
        )
        if score is None:
            continue
        if not isinstance(score, int | float) or not isinstance(weight, int | float):
            raise BadCell("a reward of the trace is not a number")
        parts.append(score * weight)
    return math.fsum(parts) if parts and all(map(math.isfinite, parts)) else sum(parts) if parts else None


def _prime_rl(record: Any, step: int, _: Weights) -> Iterator[RawRow]:
    """One row a trace; the traces of one episode are the seats of its agents, so each seat has groups of its own."""
    group = record.get("group") if isinstance(record, dict) else None
    name = group.get("id") if isinstance(group, dict) else group
    if name is None:
        raise BadCell("the group is missing")
    traces = record.get("traces")
    if not isinstance(traces, list):
        raise BadCell("the line holds no list of traces")
    if not traces:  # a failed episode: it was part of the group, and has no reward
        yield RawRow(step, name, None)
    for seat, trace in enumerate(traces):
        if not isinstance(trace, dict):
            raise BadCell("a trace is no JSON object")
        key = name if seat == 0 else f"{name}/{seat}"
        yield RawRow(step, key, _scores(trace.get("rewards")), trace.get("advantage"))


_SWIFT_OTHER = frozenset({
    "step", "gen_step", "prompt", "completion", "advantages", "entropy", "image", "images", "trajectory_inputs",
    "solution", "answer", "messages",
})  # fmt: skip


def swift_rewards(record: Mapping[str, Any]) -> list[str]:
    """Return the reward functions of a table: the columns of numbers that stand before its advantages."""
    names = list(record)
    names = names[: names.index("advantages")] if "advantages" in names else names
    return [
        name
        for name in names
        if name not in _SWIFT_OTHER
        and isinstance(record[name], list)
        and all(value is None or isinstance(value, int | float) for value in record[name])
    ]


def _ms_swift(record: Any, _: int, weights: Weights) -> Iterator[RawRow]:
    """One line holds a table by columns; steps are texts."""
    if not isinstance(record, dict):
        raise BadCell("the line holds no JSON object")
    names = ["step" if "step" in record else "gen_step", "prompt", *weights]
    size = len(record["prompt"]) if isinstance(record.get("prompt"), list) else -1
    for name in names:
        if not isinstance(record.get(name), list) or len(record[name]) != size:
            raise BadCell(f"the column {name!r} of the table is missing or of another length")
    advantages = record.get("advantages")
    if not isinstance(advantages, list) or len(advantages) != size:
        advantages = [None] * size
    for index, (step, prompt) in enumerate(zip(record[names[0]], record["prompt"], strict=True)):
        rewards = {name: record[name][index] for name in weights}
        yield RawRow(step, prompt, rewards, advantages[index])


def _slime(record: Any, step: int, weights: Weights) -> Iterator[RawRow]:
    """One row a sample; a reward may be a mapping, of which the weights name the entries."""
    if not isinstance(record, dict):
        raise BadCell("the sample is no mapping")
    reward = record.get("reward")
    if isinstance(reward, dict):
        names = [name for name in weights if name in reward]
        if not names:
            raise BadCell(
                f"the reward has entries {', '.join(map(str, list(reward)[:5]))}: name one as reward weight"
            )
        reward = {name: reward[name] for name in names}
    yield RawRow(step, record.get("group_index"), reward)


LAYOUTS: tuple[Layout, ...] = (
    # huggingface/trl f2cd577 trl/trainer/grpo_trainer.py: log
    Layout(
        "trl",
        "TRL with log_completions: completions/completions_00010.parquet",
        "parquet",
        r"completions_(\d+)\.parquet",
        frozenset({"step", "prompt", "completion", "advantage"}),
        step="step",
        group="prompt",
        advantage="advantage",
        preset="trl",
        groups_are_prompts=True,
        text_keys=True,
    ),
    # verl-project/verl 1dda039; the uid is "{sample}_{rollout}_{output}"
    Layout(
        "verl",
        "verl with rollout_data_dir, from v1 on: 10.jsonl with a uid",
        "jsonl",
        r"(\d+)\.jsonl",
        frozenset({"input", "output", "score", "uid"}),
        step="step",
        group="uid",
        reward="score",
        preset="verl",
        pattern=r"_[^_]*_[^_]*$",
    ),
    Layout(
        "verl_legacy",
        "verl with rollout_data_dir, before v1: 10.jsonl without uid, grouped by the text of the prompt",
        "jsonl",
        r"(\d+)\.jsonl",
        frozenset({"input", "output", "score"}),
        frozenset({"uid"}),
        step="step",
        group="input",
        reward="score",
        preset="verl",
        groups_are_prompts=True,
        text_keys=True,
    ),
    # NVIDIA-NeMo/RL 7ea279a nemo_rl/utils/logger.py: log_batched_dict_as_jsonl
    Layout(
        "nemo_rl",
        "NeMo RL: train_data_step10.jsonl; needs the group size",
        "jsonl",
        r"train_data_step(\d+)\.jsonl",
        frozenset({"idx", "rewards", "input_lengths"}),
        group="idx",
        reward="rewards",
        advantage="advantages",
        preset="nemo_rl",
        unwrap=True,
    ),
    # allenai/open-instruct e6c3044 open_instruct/data_loader.py: save_traces
    Layout(
        "open_instruct",
        "Open Instruct with save_traces: NAME_rollouts_000000.jsonl",
        "jsonl",
        r".*_rollouts_\d+\.jsonl",
        frozenset({"step", "sample_idx", "prompt_idx", "reward", "advantage"}),
        shards=True,
        step="step",
        group="prompt_idx",
        reward="reward",
        advantage="advantage",
        preset="open_instruct",
    ),
    # thinking-machines-lab/tinker-cookbook 9dfcc3a tinker_cookbook/rl: rollout summaries
    Layout(
        "tinker_cookbook",
        "Tinker cookbook: iteration_000010/train_rollout_summaries.jsonl",
        "jsonl",
        r"train_rollout_summaries\.jsonl",
        frozenset({"iteration", "group_idx", "traj_idx", "total_reward"}),
        step="iteration",
        group="group_idx",
        reward="total_reward",
        preset="tinker_cookbook",
    ),
    # PrimeIntellect-ai/prime-rl 559b447: rollouts/step_N/train/{all,effective}/traces.jsonl
    Layout(
        "prime_rl",
        "prime-rl: rollouts/step_10/train/all/traces.jsonl",
        "jsonl",
        r"traces\.jsonl",
        frozenset({"group", "traces"}),
        group="group.id",
        reward="traces[].rewards",
        advantage="traces[].advantage",
        preset="prime_rl",
        records=_prime_rl,
    ),
    # modelscope/ms-swift 3602360: jsonl_writer.append(table)
    Layout(
        "ms_swift",
        "ms-swift with log_completions: completions.jsonl, a table by columns a line",
        "jsonl",
        r"completions\.jsonl",
        frozenset({"prompt", "completion", "advantages"}),
        frozenset({"advantage", "reward"}),
        step="step",
        group="prompt",
        advantage="advantages",
        preset="ms_swift",
        groups_are_prompts=True,
        text_keys=True,
        records=_ms_swift,
        file_a_step=False,
    ),
    # THUDM/slime 624b824 slime/ray/rollout.py: save_debug_rollout_data
    Layout(
        "slime",
        "slime with --save-debug-rollout-data: NAME_10.pt",
        "torch",
        r"(?!eval).*?(\d+)\.pt",
        frozenset({"rollout_id", "samples", "group_index"}),
        step="rollout_id",
        group="group_index",
        reward="reward",
        preset="slime",
        records=_slime,
    ),
    Layout(
        "jsonl",
        "any lines of JSON with a reward, a group and a step",
        "jsonl",
        r".*\.(?:jsonl|ndjson|json)",
        frozenset(),
    ),
    Layout("csv", "any CSV file with a reward, a group and a step", "csv", r".*\.csv", frozenset()),
    Layout(
        "parquet",
        "any parquet file with a reward, a group and a step",
        "parquet",
        r".*\.parquet",
        frozenset(),
    ),
)
"""The layouts that are known, those of trainers first."""

FORMATS: dict[str, str] = {layout.name: layout.description for layout in LAYOUTS}
"""The names that `read_rollouts` takes as format, with one line on each."""
