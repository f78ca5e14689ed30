"""Train a tiny transformer on sums under four weightings, on two cores in minutes, and keep what the figures need.

A transformer with random weights is taught sums by supervised steps until it gets some right and others not. From
there reinforcement learning goes on under each arm: none, group, batch, group_matched, by AdamW and by SGD. Every arm
is tuned over the same number of learning rates, on two seeds that are not used again: the rate of the highest mean
reward over all steps wins. Then six seeds are run at that rate, paired across arms: the same questions in the same
order, the same random numbers. SGD runs them once more at the smallest rate of each grid, where steps are small as the
forecast assumes. The start and both ends of AdamW's arms none and group are probed.

    python -m experiments.lm_demo            # about six minutes; goes on where it was interrupted
    python -m experiments lm_learning_curves lm_predicted_vs_measured lm_gradient_cosines lm_curvature_vs_std

What is written to experiments/results/lm_demo/ is all that the figures read.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curvature._files import write_atomically
from experiments._experiment import ROOT, digest_of_files, require_count, show, source_files, versions
from experiments._lm_job import Clock, attempt, curves_of, measured_of, write_results
from experiments._lm_results import RESULTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from curvature.lm.config import TrainConfig

ARMS = ("none", "group", "batch", "group_matched")
# A factor of 2 apart, four for every arm. SGD's grids are shifted by the scale of the advantages at the start: division
# by a std, of the group or of the batch, makes them about twice as large.
_PLAIN, _DIVIDED = (2e-3, 4e-3, 8e-3, 1.6e-2), (1e-3, 2e-3, 4e-3, 8e-3)
RATES = {
    "adamw": dict.fromkeys(ARMS, (2e-4, 4e-4, 8e-4, 1.6e-3)),
    "sgd": {"none": _PLAIN, "group": _DIVIDED, "batch": _DIVIDED, "group_matched": _PLAIN},
}
SEEDS = tuple(range(6))
TUNING_SEEDS = (1000, 1001)
START_SEED = 2000
PROBED = ("none", "group")
SMALL = "sgd_small"
FIGURES = ("lm_learning_curves", "lm_predicted_vs_measured", "lm_gradient_cosines", "lm_curvature_vs_std")
_PACKAGES = ("torch", "transformers", "numpy", "scipy", "curvature")


@dataclass(frozen=True)
class Sizes:
    """How much is done: the full demo, or the quick one of the tests."""

    width: int = 64
    layers: int = 2
    warm_steps: int = 420
    warm_questions: int = 600
    questions: int = 64
    steps: int = 120
    warmup_steps: int = 10
    prompts_per_step: int = 16
    group_size: int = 8
    start_group_size: int = 16
    seeds: tuple[int, ...] = SEEDS
    optimizers: tuple[str, ...] = ("adamw", "sgd")
    probe_prompts: int = 24
    probe_group_size: int = 16


QUICK = Sizes(
    width=32,
    layers=1,
    warm_steps=120,
    warm_questions=24,
    questions=24,
    steps=15,
    warmup_steps=2,
    prompts_per_step=8,
    group_size=4,
    start_group_size=4,
    seeds=(0, 1),
    optimizers=("adamw",),
    probe_prompts=4,
    probe_group_size=4,
)
DIGITS = 1.3
NEW_TOKENS = 4


def main(argv: list[str] | None = None) -> int:
    """Run the demo.

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
        prog="python -m experiments.lm_demo",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--workers", type=int, default=2, help="runs at a time, one core each (2)")
    parser.add_argument("--quick", action="store_true", help="toy sizes, to see that it works")
    parser.add_argument(
        "--work-dir", type=Path, help="folder of the runs (.cache/lm_demo, not under version control)"
    )
    parser.add_argument("--output-dir", type=Path, help=f"of the results ({show(RESULTS / 'lm_demo')})")
    parser.add_argument("--no-figures", action="store_true", help="leave the figures as they are")
    given = parser.parse_args(argv)
    # One bar for each of a hundred loads says nothing.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    sizes = QUICK if given.quick else Sizes()
    work = given.work_dir or ROOT / ".cache" / ("lm_demo_quick" if given.quick else "lm_demo")
    output = given.output_dir or (work / "results" if given.quick else RESULTS / "lm_demo")

    def job() -> None:
        require_count("--workers", given.workers)
        run(sizes, work, output, workers=given.workers)

    status = attempt(parser.prog, job)
    if status:
        return status
    if given.no_figures or given.quick or given.output_dir:
        return 0
    from experiments import _reproduce

    return _reproduce.main(["--force", *FIGURES])


def run(sizes: Sizes, work: Path, output: Path, *, workers: int = 2) -> None:
    """Do all of it, or what is left of it.

    Parameters
    ----------
    sizes : Sizes
        How much.
    work : Path
        Of the runs; emptied if other code or other sizes made what is there.
    output : Path
        Of the results.
    workers : int
        Runs at a time.
    """
    import pandas as pd
    import torch

    torch.set_num_threads(1)  # as in the workers: sums are added up in an order that depends on it
    _claim(work, sizes)
    clock = Clock(work / "seconds.json")
    with clock.part("warm start"):
        _warm_start(sizes, work / "policy")
    with clock.part("success rates at the start"):
        start = _start_counts(sizes, work)
    tuning, chosen, finals = [], {}, {}
    for optimizer in sizes.optimizers:
        _say(f"{optimizer}: tuning {len(ARMS)} arms over {len(RATES[optimizer]['none'])} learning rates each")
        with clock.part(f"tuning, {optimizer}"):
            rows, chosen[optimizer] = _tune(sizes, work, optimizer, workers)
        tuning += rows
        _say(f"{optimizer}: {len(sizes.seeds)} paired seeds of each arm")
        with clock.part(f"runs, {optimizer}"):
            finals[optimizer] = _final_runs(sizes, work / "runs", work, optimizer, chosen[optimizer], workers)
    small = {}
    if "sgd" in sizes.optimizers:
        _say("sgd: the same seeds in small steps, at the smallest rate of each grid")
        chosen[SMALL] = {arm: min(rates) for arm, rates in RATES["sgd"].items()}
        with clock.part("runs, small steps"):
            small[SMALL] = _final_runs(sizes, work / "small_steps", work, "sgd", chosen[SMALL], workers)
    with clock.part("probes"):
        probes = _probes(sizes, work, finals["adamw"])
    with clock.part("comparison"):
        compared = {name: _compared(folders, start) for name, folders in (finals | small).items()}
    config = {
        "model": f"Llama-type transformer from random weights, width {sizes.width}, {sizes.layers} layers",
        "num_parameters": _load(work / "policy").num_parameters,
        "sizes": {**vars(sizes), "seeds": list(sizes.seeds), "optimizers": list(sizes.optimizers)},
        "digits": DIGITS,
        "arms": list(ARMS),
        "tuning_seeds": list(TUNING_SEEDS),
        "tuning_rule": "highest mean reward over all steps and tuning seeds; the smaller rate of two alike",
        "learning_rates": chosen,
        "train": json.loads(_base_config(sizes, Path("policy"), sizes.optimizers[0]).to_json()),
        "versions": versions(_PACKAGES),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {workers} runs at a time",
        "wall_seconds": clock.seconds,
        "wall_seconds_total": round(sum(clock.seconds.values()), 1),
    }
    tables = {
        "curves": curves_of([at for each in finals.values() for at in each]),
        "tuning": pd.DataFrame(tuning),
    }
    tables |= {f"curves_{name}": curves_of(folders) for name, folders in small.items()}
    entries = {"comparison": {name: one.to_dict() for name, one in compared.items()}}
    entries |= {f"probe_{name}": one for name, one in probes.items()}
    write_results(output, tables, entries, config)
    _say(f"wrote {show(output)} after {config['wall_seconds_total']:.0f} s of work")


def _say(text: str) -> None:
    print(f"[lm-demo] {text}", flush=True)


def _claim(work: Path, sizes: Sizes) -> None:
    """Keep what the same code began; what other code or other sizes made is no part of these results."""
    rule = json.dumps([repr(sizes), RATES, DIGITS, NEW_TOKENS, TUNING_SEEDS, START_SEED])
    training = [path for path in source_files() if path.parent.name in ("lm", "advantages")]
    mark = digest_of_files(training, rule)
    made_by = work / "made_by.txt"
    if work.is_dir() and not (made_by.is_file() and made_by.read_text() == mark):
        if any(work.iterdir()) and not made_by.is_file():
            raise ValueError(
                f"{show(work)} is not empty and no folder of this demo; choose another --work-dir."
            )
        shutil.rmtree(work)
    write_atomically(made_by, mark.encode())


def _task(sizes: Sizes) -> Any:
    """Return the sums to train on, among those of the first lessons, so that success rates are all over [0, 1]."""
    return _lessons(sizes).take(sizes.questions, seed=0)


def _lessons(sizes: Sizes) -> Any:
    from curvature.lm.tasks import arithmetic

    return arithmetic(sizes.warm_questions, digits=DIGITS)


def _load(folder: Path) -> Any:
    from curvature.lm.policy import load_policy

    return load_policy(str(folder))


def _warm_start(sizes: Sizes, folder: Path) -> None:
    if folder.is_dir():
        return
    from curvature.lm.tiny import tiny_policy, warm_start

    policy = tiny_policy(width=sizes.width, layers=sizes.layers)
    losses = warm_start(policy, _lessons(sizes), steps=sizes.warm_steps)
    _say(
        f"warm start: {policy.num_parameters:,} parameters, loss {losses[0]:.2f} → {losses[-10:].mean():.2f}"
    )
    policy.save(folder)


def _start_counts(sizes: Sizes, work: Path) -> tuple[list[int], list[int]]:
    """Right answers of every question at the start, by samples that no run sees."""
    path = work / "start.json"
    if path.is_file():
        right, sizes_of_groups = json.loads(path.read_text())
        return right, sizes_of_groups
    from curvature.lm.grading import Grader, grade_samples
    from curvature.lm.sampling import sample_groups

    task, G = _task(sizes), sizes.start_group_size
    drawn = sample_groups(
        _load(work / "policy"),
        task.questions,
        group_size=G,
        max_new_tokens=NEW_TOKENS,
        seed=START_SEED,
        step=0,
        batch_size=512,
        stop=task.stop,
    )
    with Grader(task.grading) as grader:
        rewards = grade_samples(grader, drawn, task.questions)
    right = rewards.reshape(-1, G).sum(axis=1).astype(int).tolist()
    _say(
        f"start: {rewards.mean():.3f} of answers right, {sum(0 < k < G for k in right)} of {len(right)} sums mixed"
    )
    write_atomically(path, json.dumps([right, [G] * len(right)]).encode())
    return right, [G] * len(right)


def _base_config(sizes: Sizes, policy: Path, optimizer: str) -> TrainConfig:
    from curvature.lm.config import TrainConfig

    return TrainConfig(
        task="arithmetic",
        task_options={"num_questions": sizes.warm_questions, "digits": DIGITS},
        keys=tuple(question.key for question in _task(sizes).questions),
        policy=str(policy),
        steps=sizes.steps,
        warmup_steps=sizes.warmup_steps,
        prompts_per_step=sizes.prompts_per_step,
        group_size=sizes.group_size,
        max_new_tokens=NEW_TOKENS,
        sample_batch=sizes.prompts_per_step * sizes.group_size,
        optimizer=optimizer,
        learning_rate=RATES[optimizer]["none"][0],
        checkpoint_every=sizes.steps,
    )


def _tune(
    sizes: Sizes, work: Path, optimizer: str, workers: int
) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Run every arm at every rate of its grid; the best mean reward over all steps wins."""
    from curvature.lm._metrics import read_metrics
    from curvature.lm.grid import best_learning_rates, run_grid

    base = _base_config(sizes, work / "policy", optimizer)
    configs = [
        replace(base, arm=arm, learning_rate=rate, seed=seed)
        for arm in ARMS
        for rate in RATES[optimizer][arm]
        for seed in TUNING_SEEDS
    ]
    summaries = run_grid(configs, work / "tuning", workers=workers)
    chosen = best_learning_rates(summaries, last=1.0)
    rows = []
    for config, summary in zip(configs, summaries, strict=True):
        rewards = [row["reward_mean"] for row in read_metrics(summary.folder / "metrics.jsonl")]
        rows.append({
            "optimizer": optimizer,
            "arm": config.arm,
            "learning_rate": config.learning_rate,
            "seed": config.seed,
            # Steps that a run did not make count 0.
            "mean_reward": sum(rewards) / config.steps,
            "ended": summary.reason,
            "chosen": int(chosen[config.arm] == config.learning_rate),
        })
    return rows, chosen


def _final_runs(
    sizes: Sizes, place: Path, work: Path, optimizer: str, chosen: dict[str, float], workers: int
) -> list[Path]:
    from curvature.lm.grid import run_grid

    base = _base_config(sizes, work / "policy", optimizer)
    configs = [
        replace(base, arm=arm, learning_rate=chosen[arm], seed=seed) for seed in sizes.seeds for arm in ARMS
    ]
    return [one.folder for one in run_grid(configs, place, workers=workers)]


def _compared(folders: Sequence[Path], start: tuple[list[int], list[int]]) -> Any:
    from curvature.lm.compare import compare

    return compare(folders, start=start, num_resamples=200)


def _probes(sizes: Sizes, work: Path, folders: Sequence[Path]) -> dict[str, Any]:
    """Probe the start, and the ends of two arms' first seeds, on the same questions."""
    from curvature.lm.probe import probe
    from curvature.lm.train import policy_at

    places = {"start": None} | {
        f"end_{arm}": next(
            at for at in folders if at.name.startswith(f"{arm}-") and at.name.endswith("seed0")
        )
        for arm in PROBED
    }
    task = _task(sizes).take(sizes.probe_prompts, seed=1)
    found = {}
    for name, place in places.items():
        _say(f"probe: {name}")
        policy = _load(work / "policy") if place is None else policy_at(place)
        result = probe(
            policy,
            task.questions,
            task=task,
            group_size=sizes.probe_group_size,
            seed=0,
            max_new_tokens=NEW_TOKENS,
            parameters="all",
        )
        found[name] = measured_of(result, f"tiny transformer of {policy.num_parameters:,} parameters")
    return found


if __name__ == "__main__":
    raise SystemExit(main())
