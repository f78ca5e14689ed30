"""GSM8K and MATH through the same loop, with a real language model: split, tune, train paired arms, probe, compare.

For each set (GSM8K easy and hard, by the model's own measured success; MATH Level 2) every arm is tuned over the same
learning rates on a seed that is not used again, and run on paired seeds: the same questions in the same order, the same
random numbers. The policy before any step is probed, and at full scale the first seed of each arm in the middle and at
the end.

    python -m experiments.lm_real --model FOLDER_OR_ID --data FOLDER --scale tiny   # a CPU, minutes: does it all work?
    python -m experiments.lm_real --model FOLDER_OR_ID --data FOLDER --scale full   # a GPU: 100 iterations, 3 seeds

DATA holds gsm8k/train.jsonl and math/train.jsonl. Broken off at any moment, the same command goes on. Results go to
experiments/results/lm_real/SCALE/; `--describe` says in words what the model is.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curvature._files import write_atomically
from curvature.lm._build import build_policy, build_task
from experiments._experiment import ROOT, require_count, show, versions
from experiments._lm_job import attempt, curves_of, measured_of, write_results
from experiments._lm_results import RESULTS
from experiments._lm_scales import SCALES, SETS, Sizes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from curvature.lm.config import TrainConfig
    from curvature.lm.tasks import Task

TUNING_SEED = 1000
# Of more prompts than this, gradients are sketched: three of each are held in memory.
_PROMPTS_KEPT_WHOLE = 8
_PACKAGES = ("torch", "transformers", "peft", "numpy", "curvature")


def main(argv: list[str] | None = None) -> int:
    """Run it.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; those of the process when left out.

    Returns
    -------
    int
        0, 2 for a bad argument or a missing package, 130 after Ctrl-C.
    """
    parser = argparse.ArgumentParser(
        prog="python -m experiments.lm_real",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", required=True, help="folder or hub id of a causal language model")
    parser.add_argument("--describe", help="what the model is, for the results (default: its name)")
    parser.add_argument("--data", required=True, type=Path, help="folder with gsm8k/ and math/")
    parser.add_argument("--scale", choices=sorted(SCALES), default="tiny")
    parser.add_argument("--sets", nargs="+", choices=sorted(SETS), help="these alone")
    parser.add_argument("--threads", type=int, default=0, help="of torch on a CPU (default: all cores)")
    parser.add_argument("--work-dir", type=Path, help="folder of the runs (.cache/lm_real/SCALE)")
    parser.add_argument("--output-dir", type=Path, help=f"of the results ({show(RESULTS / 'lm_real')}/SCALE)")
    given = parser.parse_args(argv)

    def job() -> None:
        if given.threads:
            require_count("--threads", given.threads)
        for name in ("gsm8k", "math"):
            if not (given.data / name / "train.jsonl").is_file():
                raise ValueError(f"--data is {given.data}, which has no {name}/train.jsonl.")
        run(
            given.model,
            given.describe or Path(given.model).name,
            given.data,
            SCALES[given.scale],
            given.work_dir or ROOT / ".cache" / "lm_real" / given.scale,
            given.output_dir or RESULTS / "lm_real" / given.scale,
            sets=tuple(given.sets or SCALES[given.scale].sets),
            threads=given.threads or os.cpu_count() or 1,
        )

    return attempt(parser.prog, job)


def run(
    model: str,
    described: str,
    data: Path,
    sizes: Sizes,
    work: Path,
    output: Path,
    *,
    sets: Sequence[str],
    threads: int,
) -> None:
    """Do all of it, or what is left of it.

    Parameters
    ----------
    model, described : str
        What is loaded, and how the results name it.
    data : Path
        Folder of the questions.
    sizes : Sizes
        How much.
    work, output : Path
        Of the runs, and of the results.
    sets : sequence of str
        Which.
    threads : int
        Of torch.
    """
    import pandas as pd
    import torch

    torch.set_num_threads(threads)
    _claim(work, model, data, sizes)
    for name in sets:
        place = work / name
        base = _base_config(model, data, sizes, name, place)
        keys, split = _questions(base, sizes, name, place)
        base = replace(base, keys=keys)
        tuning, chosen = _tune(base, sizes, place, threads)
        folders = _runs(base, sizes, place, chosen, threads)
        probes = _probes(base, sizes, folders, place, described)
        config = {
            "model": described,
            "weights_sha256": _digests(Path(model)),
            "set": name,
            "split": split,
            "sizes": asdict(sizes),
            "learning_rates": chosen,
            "tuning_rule": "highest mean reward over all steps on the tuning seed"
            if sizes.tuning_steps
            else "not tuned: one rate for all arms",
            "train": {
                key: value
                for key, value in json.loads(base.to_json()).items()
                if key not in ("policy", "task_options", "keys")
            },
            "num_questions": len(keys),
            "versions": versions(_PACKAGES),
            "machine": _machine(threads),
            "runs": [_run_row(folder) for folder in folders],
        }
        tables = {"curves": curves_of(folders)} | ({"tuning": pd.DataFrame(tuning)} if tuning else {})
        entries = {"comparison": _compared(folders)}
        entries |= {f"probe_{stem}": one for stem, one in probes.items()}
        write_results(output / name, tables, entries, config)
        _say(f"{name}: wrote {show(output / name)}")


def _claim(work: Path, model: str, data: Path, sizes: Sizes) -> None:
    """Refuse to go on with what another model, other data or other sizes began."""
    mark = json.dumps({"model": model, "data": str(data), "sizes": asdict(sizes)}, indent=1)
    begun = work / "made_for.json"
    if begun.is_file() and begun.read_text() != mark:
        raise ValueError(
            f"{show(work)} was begun for {json.loads(begun.read_text())['model']} or with other data or sizes; "
            "choose another --work-dir, or delete it."
        )
    write_atomically(begun, mark.encode())


def _say(text: str) -> None:
    print(f"[lm-real] {text}", flush=True)


def _digests(folder: Path) -> dict[str, str]:
    """Say which weights a folder holds; what comes from a hub is named by its id."""
    found = {}
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _machine(threads: int) -> str:
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{platform.machine()}, {threads} threads"


def _base_config(model: str, data: Path, sizes: Sizes, name: str, place: Path) -> TrainConfig:
    from curvature.lm.config import TrainConfig

    task, _ = SETS[name]
    options: dict[str, Any] = {"source": str(data / task), "template": "two_shot"}
    if task == "math":
        options |= {"levels": [2]}
    return TrainConfig(
        task=task,
        task_options=options,
        policy=model,
        lora_rank=sizes.lora_rank,
        lora_alpha=sizes.lora_alpha,
        steps=sizes.steps,
        prompts_per_step=sizes.prompts_per_step,
        group_size=sizes.group_size,
        max_new_tokens=sizes.max_new_tokens,
        temperature=sizes.temperature,
        sample_batch=sizes.sample_batch,
        micro_batch_tokens=sizes.micro_batch_tokens,
        learning_rate=sizes.learning_rates[0],
        checkpoint_every=sizes.checkpoint_every,
        keep_every=max(sizes.steps // 2, 1) if sizes.probe_prompts else 0,
    )


def _questions(
    base: TrainConfig, sizes: Sizes, name: str, place: Path
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Draw the pool, grade it once, and return the keys of the wanted part and how they were chosen."""
    from curvature.lm.splits import difficulty_split

    _, part = SETS[name]
    pool = build_task(base, None).take(sizes.pool, seed=0)
    counts = _counts(base, sizes, pool, place.parent / f"pool_{base.task}.json")
    keys = [question.key for question in pool.questions]
    split = difficulty_split(
        keys, [counts[key] for key in keys], sizes.pool_group_size, threshold=sizes.threshold
    )
    chosen = tuple(keys) if part is None else getattr(split, part)
    rule = {
        "pool": len(keys),
        "group_size": sizes.pool_group_size,
        "threshold": sizes.threshold,
        "part": part or "all",
        "num_easy": len(split.easy),
        "num_hard": len(split.hard),
        "num_never": len(split.never),
        "mean_success": sum(counts.values()) / (len(keys) * sizes.pool_group_size),
    }
    _say(f"{name}: {len(chosen)} of {len(keys)} questions, mean measured success {rule['mean_success']:.3f}")
    if len(chosen) < sizes.prompts_per_step:
        _say(f"{name}: fewer than the {sizes.prompts_per_step} a step needs; the whole pool is used.")
        chosen, rule["part"] = tuple(keys), "all (too few in the wanted part)"
    return chosen, rule


def _counts(base: TrainConfig, sizes: Sizes, pool: Task, path: Path) -> dict[str, int]:
    """Right answers of each question by the policy at the start; kept a batch at a time."""
    from curvature.lm.grading import Grader, grade_samples
    from curvature.lm.sampling import sample_groups

    known: dict[str, int] = json.loads(path.read_text()) if path.is_file() else {}
    left = [question for question in pool.questions if question.key not in known]
    if not left:
        return known
    policy, batch = build_policy(base), max(sizes.sample_batch // sizes.pool_group_size, 1)
    with Grader(pool.grading) as grader:
        for start in range(0, len(left), batch):
            asked = left[start : start + batch]
            drawn = sample_groups(
                policy,
                asked,
                group_size=sizes.pool_group_size,
                max_new_tokens=sizes.max_new_tokens,
                temperature=sizes.temperature,
                seed=TUNING_SEED + 1,
                step=0,
                batch_size=sizes.sample_batch,
                stop=pool.stop,
            )
            right = grade_samples(grader, drawn, asked).reshape(len(asked), -1).sum(axis=1)
            known |= {question.key: int(k) for question, k in zip(asked, right, strict=True)}
            write_atomically(path, json.dumps(known).encode())
            _say(f"graded {len(known)} of {len(pool)} questions of {pool.name}")
    return known


def _tune(
    base: TrainConfig, sizes: Sizes, place: Path, threads: int
) -> tuple[list[dict[str, Any]], dict[str, float]]:
    from curvature.lm.grid import best_learning_rates, expand, run_grid

    if not sizes.tuning_steps:
        return [], dict.fromkeys(sizes.arms, sizes.learning_rates[0])
    short = replace(base, steps=sizes.tuning_steps, seed=TUNING_SEED, keep_every=0)
    configs = expand(short, arms=sizes.arms, learning_rates=sizes.learning_rates)
    summaries = run_grid(configs, place / "tuning", threads=threads)
    rows = [
        {"arm": config.arm, "learning_rate": config.learning_rate, **_run_row(summary.folder)}
        for config, summary in zip(configs, summaries, strict=True)
    ]
    return rows, best_learning_rates(summaries, last=1.0)


def _runs(base: TrainConfig, sizes: Sizes, place: Path, chosen: dict[str, float], threads: int) -> list[Path]:
    from curvature.lm.grid import run_grid

    configs = [
        replace(base, arm=arm, learning_rate=chosen[arm], seed=seed)
        for seed in sizes.seeds
        for arm in sizes.arms
    ]
    return [summary.folder for summary in run_grid(configs, place / "runs", threads=threads)]


def _run_row(folder: Path) -> dict[str, Any]:
    """Return what a run cost and how it ended."""
    from curvature.lm._metrics import read_metrics

    rows = read_metrics(folder / "metrics.jsonl")
    tokens = sum(row["tokens"] for row in rows)
    seconds = {part: sum(row[f"seconds_{part}"] for row in rows) for part in ("sample", "grade", "update")}
    return {
        "run": folder.name,
        "steps": len(rows),
        "mean_reward": sum(row["reward_mean"] for row in rows) / max(len(rows), 1),
        "tokens": tokens,
        "tokens_per_second_sampling": tokens / max(seconds["sample"], 1e-9),
        "tokens_per_second_update": tokens / max(seconds["update"], 1e-9),
        **{f"seconds_{part}": spent for part, spent in seconds.items()},
    }


def _probes(
    base: TrainConfig, sizes: Sizes, folders: Sequence[Path], place: Path, described: str
) -> dict[str, Any]:
    """Probe the first seed of each arm at some of its steps, each once; before any step they are one policy."""
    from curvature.lm.probe import probe
    from curvature.lm.train import policy_at

    if not sizes.probe_prompts:
        return {}
    task = build_task(base, None).subset(base.keys)
    task = task.take(min(sizes.probe_prompts, len(task)), seed=1)
    places = {"start": (None, 0)} if 0.0 in sizes.probe_at else {}
    for folder in folders[: len(sizes.arms)]:
        steps = (round(share * sizes.steps) for share in sizes.probe_at if share)
        places |= {f"{folder.name}_step{step}": (folder, step) for step in steps}
    found = {}
    for name, (folder, step) in places.items():
        path = place / "probes" / f"{name}.json"
        if not path.is_file():
            _say(f"probe: {name}")
            plain = base if sizes.probe_parameters == "lora" else replace(base, lora_rank=0)
            started = time.perf_counter()
            result = probe(
                build_policy(plain) if folder is None else policy_at(folder, step),
                task.questions,
                task=task,
                group_size=sizes.group_size,
                step=step,
                max_new_tokens=sizes.max_new_tokens,
                temperature=sizes.temperature,
                parameters=sizes.probe_parameters,
                sketch=1 << 18 if sizes.probe_prompts > _PROMPTS_KEPT_WHOLE else None,
                progress=True,
            )
            kept = measured_of(result, described)
            kept["config"] |= {
                "choice": f"{len(task)} of the set's questions",
                "seconds": round(time.perf_counter() - started),
            }
            write_atomically(path, json.dumps(kept, ensure_ascii=False).encode())
        found[name] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _compared(folders: Sequence[Path]) -> dict[str, Any]:
    from curvature.lm.compare import compare

    try:
        found = compare(folders, num_resamples=100).to_dict()
    except ValueError as error:  # such as runs too short to learn anything: a result, and it says so
        found = {"none": str(error)}
    # Sentences name runs by their folders; where those lie is nobody's business.
    return json.loads(json.dumps(found).replace(f"{folders[0].parent}{os.sep}", ""))


if __name__ == "__main__":
    raise SystemExit(main())
