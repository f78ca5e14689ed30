"""Write small logs in the layout of every trainer: `python -m tests.logs.make_golden`.

The same rollouts each time: three steps, four prompts a step, four rollouts a prompt, and advantages by the trainer's
own convention. The writers are ours, made from what the trainers' sources say they write.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from curvature.advantages import group_advantages

GOLDEN = Path(__file__).with_name("golden")
STEPS, PROMPTS, SIZE = (1, 2, 10), 4, 4
QUESTIONS = (
    "How many apples are in two dozen?",
    "What is seven times eight?",
    "A train leaves at noon and drives two hours at 60 km/h. How far does it get?",
    "Wie heißt die Hauptstadt von Perú?",
)


@dataclass(frozen=True)
class Rollout:
    """One rollout of the golden run."""

    step: int
    prompt: int
    sample: int
    correct: float
    tidy: float
    advantage: float

    @property
    def reward(self) -> float:
        return self.correct + self.tidy

    @property
    def text(self) -> str:
        return f"<user>{QUESTIONS[self.prompt]}</user>"

    @property
    def answer(self) -> str:
        return f"{'The answer is' if self.correct else 'Perhaps it is'} {self.sample}\n"


def rewards() -> tuple[np.ndarray, np.ndarray]:
    """Return what two reward functions gave, (steps, prompts, samples): one prompt all right, one all wrong."""
    rng = np.random.default_rng(20)
    correct = (rng.random((len(STEPS), PROMPTS, SIZE)) < 0.5).astype(float)
    correct[0, 1], correct[1, 2] = 1.0, 0.0
    tidy = 0.5 * (rng.random(correct.shape) < 0.4)
    tidy[0, 1], tidy[1, 2] = 0.5, 0.0
    return correct, tidy


def run(preset: str) -> Iterator[Rollout]:
    """Yield the rollouts, step by step and prompt by prompt, with the advantages of a convention."""
    correct, tidy = rewards()
    for i, step in enumerate(STEPS):
        advantages = group_advantages(correct[i] + tidy[i], preset=preset)
        for prompt in range(PROMPTS):
            for sample in range(SIZE):
                where = i, prompt, sample
                yield Rollout(
                    step,
                    prompt,
                    sample,
                    float(correct[where]),
                    float(tidy[where]),
                    float(advantages[prompt, sample]),
                )


def by_step(preset: str) -> Iterator[tuple[int, list[Rollout]]]:
    """Yield the steps with their rollouts."""
    rollouts = list(run(preset))
    for step in STEPS:
        yield step, [rollout for rollout in rollouts if rollout.step == step]


def _lines(path: Path, records: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode(), mtime=0))
    else:
        path.write_text(text, encoding="utf-8", newline="")


def write_trl(folder: Path) -> None:
    """Completions of TRL: a parquet file a logging step, one column a reward function, conversational prompts."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for step, rollouts in by_step("trl"):
        table = pa.table({
            "step": [step] * len(rollouts),
            "prompt": [[{"role": "user", "content": rollout.text}] for rollout in rollouts],
            "completion": [[{"role": "assistant", "content": rollout.answer}] for rollout in rollouts],
            "correct": [rollout.correct for rollout in rollouts],
            "tidy": [rollout.tidy for rollout in rollouts],
            "tokens": [7 + rollout.sample for rollout in rollouts],
            "advantage": [rollout.advantage for rollout in rollouts],
        })
        path = folder / "completions" / f"completions_{step:05d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path)


def write_verl(folder: Path) -> None:
    """Rollouts of verl v1: rows shuffled, groups named by the uid."""
    for step, rollouts in by_step("verl"):
        _lines(
            folder / f"{step}.jsonl",
            [_verl(r) | {"uid": f"s{step}-{r.prompt}_{r.sample}_0"} for r in _shuffled(rollouts)],
        )


def write_verl_legacy(folder: Path) -> None:
    """Rollouts of verl before v1: rows shuffled, no uid."""
    for step, rollouts in by_step("verl"):
        _lines(folder / f"{step}.jsonl", [_verl(rollout) for rollout in _shuffled(rollouts)])


def _shuffled(rollouts: list[Rollout]) -> list[Rollout]:
    order = np.random.default_rng(rollouts[0].step).permutation(len(rollouts))
    return [rollouts[i] for i in order]


def _verl(rollout: Rollout) -> dict[str, Any]:
    return {
        "input": rollout.text, "output": rollout.answer, "gts": "4", "score": rollout.reward, "step": rollout.step,
        "acc": rollout.correct,
    }  # fmt: skip


def write_nemo_rl(folder: Path) -> None:
    """Train data of NeMo RL: cells are lists of one, advantages one value a token."""
    for step, rollouts in by_step("nemo_rl"):
        records = [
            {
                "content": [rollout.text + rollout.answer],
                "rewards": [rollout.reward],
                "input_lengths": [6],
                "token_loss_mask": [[0, 0, 0, 1, 1, 1]],
                "advantages": [[rollout.advantage] * 6],
                "idx": index,
            }
            for index, rollout in enumerate(rollouts)
        ]
        _lines(folder / f"train_data_step{step}.jsonl", records)


def write_open_instruct(folder: Path) -> None:
    """Traces of Open Instruct: shards that hold several steps."""
    records = [
        {
            "step": rollout.step,
            "sample_idx": SIZE * rollout.prompt + rollout.sample,
            "prompt_idx": rollout.prompt,
            "response_tokens": [5, 6, 7],
            "reward": rollout.reward,
            "advantage": rollout.advantage,
            "finish_reason": "stop",
            "dataset": "sums",
        }
        for rollout in run("open_instruct")
    ]
    _lines(folder / "golden_rollouts_000000.jsonl", records[:30])
    _lines(folder / "golden_rollouts_000001.jsonl", records[30:])


def write_tinker_cookbook(folder: Path) -> None:
    """Summaries of Tinker cookbook: a folder an iteration."""
    for step, rollouts in by_step("tinker_cookbook"):
        records = [
            {
                "schema_version": 1,
                "split": "train",
                "iteration": step,
                "group_idx": rollout.prompt,
                "traj_idx": rollout.sample,
                "tags": ["sums"],
                "total_reward": rollout.reward,
                "final_reward": rollout.tidy,
                "trajectory_metrics": {},
                "steps": [{"step_idx": 0, "ob_len": 9, "ac_len": 3, "reward": rollout.correct, "logs": {}}],
                "final_ob_len": 12,
            }
            for rollout in rollouts
        ]
        _lines(folder / f"iteration_{step:06d}" / "train_rollout_summaries.jsonl", records)
        _lines(folder / f"iteration_{step:06d}" / "eval_sums_rollout_summaries.jsonl", records[:2])


def write_prime_rl(folder: Path) -> None:
    """Traces of prime-rl: all episodes, and beside them once more those that were trained on."""
    for step, rollouts in by_step("prime_rl"):
        records = [
            {
                "id": f"episode-{step}-{rollout.prompt}-{rollout.sample}",
                "env": {"id": "sums"},
                "task": {"key": QUESTIONS[rollout.prompt]},
                "group": {"id": f"group-{step}-{rollout.prompt}"},
                "run": {"id": "run", "type": "train", "step": step},
                "ok": True,
                "errors": [],
                "traces": [
                    {
                        "id": "trace",
                        "rewards": {
                            "correct": {"score": rollout.correct, "weight": 1.0},
                            "tidy": {"score": 2 * rollout.tidy, "weight": 0.5},
                            "judge": None,
                        },
                        "advantage": rollout.advantage,
                    }
                ],
            }
            for rollout in rollouts
        ]
        train = folder / "rollouts" / f"step_{step}" / "train"
        _lines(train / "all" / "traces.jsonl", records)
        _lines(train / "effective" / "traces.jsonl", records[:SIZE])


def write_ms_swift(folder: Path) -> None:
    """Completions of ms-swift: a line a step, which is a table by columns; steps are texts."""
    records = [
        {
            "step": [str(step)] * len(rollouts),
            "prompt": [rollout.text for rollout in rollouts],
            "completion": [rollout.answer for rollout in rollouts],
            "correct": [rollout.correct for rollout in rollouts],
            "tidy": [rollout.tidy for rollout in rollouts],
            "advantages": [rollout.advantage for rollout in rollouts],
            "solution": ["4"] * len(rollouts),
        }
        for step, rollouts in by_step("ms_swift")
    ]
    _lines(folder / "completions.jsonl", records)


def write_slime(folder: Path) -> None:
    """Debug data of slime: a torch file a rollout."""
    import torch

    for step, rollouts in by_step("slime"):
        samples = [
            {
                "group_index": rollout.prompt,
                "index": SIZE * rollout.prompt + rollout.sample,
                "prompt": rollout.text,
                "response": rollout.answer,
                "tokens": [1, 2, 3],
                "reward": rollout.reward,
                "status": "completed",
            }
            for rollout in rollouts
        ]
        path = folder / f"rollout_{step}.pt"
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({"rollout_id": step, "samples": samples}, path)


def _plain(rollout: Rollout) -> dict[str, Any]:
    return {
        "step": rollout.step, "group": f"question {rollout.prompt}", "reward": rollout.reward,
        "advantage": rollout.advantage, "text": rollout.text + "\n" + rollout.answer,
    }  # fmt: skip


def write_jsonl(folder: Path) -> None:
    """Any lines of JSON, gzipped."""
    _lines(folder / "rollouts.jsonl.gz", [_plain(rollout) for rollout in run("grpo")])


def write_csv(folder: Path) -> None:
    """Any CSV file, with line ends inside of quotes."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, ["step", "group", "reward", "advantage", "text"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(_plain(rollout) for rollout in run("grpo"))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rollouts.csv").write_text(text.getvalue(), encoding="utf-8", newline="")


def write_parquet(folder: Path) -> None:
    """Any parquet file, in two row groups."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist([_plain(rollout) for rollout in run("grpo")])
    pq.write_table(table, folder / "rollouts.parquet", row_group_size=30)


WRITERS: dict[str, Callable[[Path], None]] = {
    name.removeprefix("write_"): writer
    for name, writer in list(globals().items())
    if name.startswith("write_")
}


def main(folder: Path = GOLDEN) -> None:
    """Write every golden log below a folder."""
    for name, writer in WRITERS.items():
        writer(folder / name)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
