"""The project's main job: check the ledger, redraw every figure that is out of date, and say what came of it."""

from __future__ import annotations

import argparse
import importlib
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from curvature._workers import worker_pool
from experiments import _ledger_job
from experiments._experiment import (
    KINDS,
    Experiment,
    Outcome,
    default_directory,
    is_quick_by_environment,
    produce,
    reuse,
    show,
)

# Longest first, so that two workers end at about the same time.
FIGURES = (
    "overlap_phase_diagram",
    "normaliser_shootout",
    "race",
    "exponent_map",
    "std_ball",
    "three_phases",
    "should_i_divide",
    "curvature_vs_std",
    "gsm8k_profile",
    "rate_bounds",
    "exact_rates",
    "predicted_vs_measured",
    "speedup_decomposition",
    "finite_group_weight",
    "silent_groups",
    "one_step_worst_case",
    "test_your_own_theorem",
    "advantage_presets",
    "lm_learning_curves",
    "lm_predicted_vs_measured",
    "lm_gradient_cosines",
    "lm_curvature_vs_std",
)
# Drawn by a make target of its own: a thousand simulated logs a cell take too long for the main job.
BY_THEMSELVES = ("interval_coverage",)
# Trains language models by a make target of its own; the figures lm_* redraw from the results it commits.
TRAINING = ("lm_demo", "lm_real")
NAMES = (_ledger_job.NAME, *FIGURES)
WORKERS = 2
# Whose numbers the report at the end quotes.
QUOTED = (_ledger_job.NAME, "gsm8k_profile")


@dataclass(frozen=True)
class Job:
    """One thing to bring up to date, as it travels to a worker process."""

    name: str
    quick: bool
    directory: Path


@dataclass(frozen=True)
class Failure:
    """A job that raised: its one sentence, or the whole traceback of an error nobody foresaw."""

    name: str
    message: str


def load(name: str) -> Experiment:
    """Return the experiment of that name."""
    return importlib.import_module(f"experiments.{name}").EXPERIMENT


def look_up(job: Job) -> Outcome | None:
    """Return what the job would make if it is there already and up to date, else None."""
    if job.name == _ledger_job.NAME:
        return _ledger_job.reuse(job.directory, quick=job.quick)
    experiment = load(job.name)
    return reuse(experiment, {"seed": 0, **experiment.sizes(quick=job.quick)}, job.directory)


def do(job: Job) -> Outcome | Failure:
    """Do the job; never raise, so that one failure does not hide the others."""
    try:
        if job.name == _ledger_job.NAME:
            return _ledger_job.produce(job.directory, quick=job.quick)
        experiment = load(job.name)
        return produce(experiment, {"seed": 0, **experiment.sizes(quick=job.quick)}, job.directory)
    except (OSError, ValueError) as error:
        return Failure(job.name, str(error))
    except Exception:  # shown in full, and the exit status tells
        return Failure(job.name, traceback.format_exc())


def do_all(jobs: Sequence[Job]) -> Iterator[Outcome | Failure]:
    """Do the ledger, which divides itself, then figures in two processes; yield each result as it comes.

    Leaving early, by Ctrl-C or otherwise, ends the processes; files are put in place whole or not at all.

    Yields
    ------
    Outcome or Failure
        One a job.
    """
    alone = [job for job in jobs if job.name == _ledger_job.NAME]
    figures = [job for job in jobs if job.name != _ledger_job.NAME]
    if len(figures) == 1:
        alone, figures = alone + figures, []
    for job in alone:
        yield do(job)
    if figures:
        with worker_pool(min(WORKERS, len(figures))) as pool:
            yield from pool.imap_unordered(do, figures)


def main(argv: list[str] | None = None) -> int:
    """Bring the ledger and the figures up to date.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; those of the process when left out.

    Returns
    -------
    int
        0, 1 if a job failed, 2 for a bad argument, 130 after Ctrl-C.
    """
    parser = argparse.ArgumentParser(prog="python -m experiments", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"which of {', '.join(NAMES)} (all)")
    parser.add_argument("--force", action="store_true", help="redo what is up to date, too")
    parser.add_argument(
        "--quick",
        action="store_true",
        default=is_quick_by_environment(),
        help="small sizes, into figures/quick/; also by QUICK=1 in the environment",
    )
    parser.add_argument("--output-dir", type=Path, help="instead of figures/")
    given = parser.parse_args(argv)
    unknown = [name for name in given.names if name not in NAMES]
    if unknown:
        print(
            f"python -m experiments: there is no {unknown[0]!r}; choose from {', '.join(NAMES)}.",
            file=sys.stderr,
        )
        return 2
    directory = given.output_dir or default_directory(quick=given.quick)
    jobs = [Job(name, given.quick, directory) for name in NAMES if not given.names or name in given.names]
    try:
        return report(run(jobs, force=given.force))
    except KeyboardInterrupt:
        print(
            "\ninterrupted: what is finished is kept, and the same command goes on from here.",
            file=sys.stderr,
        )
        return 130


def run(jobs: Sequence[Job], *, force: bool) -> list[Outcome | Failure]:
    """Do what is out of date and print one line when a job begins to wait and one when it ends."""
    start = time.perf_counter()
    reused = {} if force else {job.name: found for job in jobs if (found := look_up(job)) is not None}
    todo = [job for job in jobs if job.name not in reused]
    results: list[Outcome | Failure] = list(reused.values())
    if todo:
        print(f"[reproduce] to do: {', '.join(job.name for job in todo)}", flush=True)
    for count, result in enumerate(do_all(todo), start=1) if todo else ():
        ended = "failed" if isinstance(result, Failure) else f"{result.status} in {result.seconds:.1f} s"
        print(f"[reproduce] {count}/{len(todo)} {result.name}: {ended}", flush=True)
        results.append(result)
    print(f"[reproduce] done in {time.perf_counter() - start:.1f} s\n", flush=True)
    return sorted(results, key=lambda result: NAMES.index(result.name))


def report(results: Sequence[Outcome | Failure]) -> int:
    """Print what there is now and the numbers to remember; return the exit status."""
    outcomes = [result for result in results if isinstance(result, Outcome)]
    for outcome in outcomes:
        stem = show(outcome.paths[0])
        if len(outcome.paths) == len(KINDS):
            stem = f"{show(outcome.paths[0].with_suffix(''))}.{{{','.join(KINDS)}}}"
        print(f"{outcome.status:>10}  {stem}")
    for outcome in outcomes:
        if outcome.name in QUOTED:
            print(f"\n{outcome.name}")
            for name, value in outcome.headline.items():
                print(f"  {name}: {as_text(value)}")
    failures = [result for result in results if isinstance(result, Failure)]
    for failure in failures:
        print(f"\npython -m experiments: {failure.name} failed: {failure.message}", file=sys.stderr)
    return 1 if failures else 0


def as_text(value: object) -> str:
    """Write a number of a headline, with its interval where it has one."""
    if isinstance(value, list):
        estimate, low, high = (as_text(number) for number in value)
        return f"{estimate} [{low}, {high}]"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
