"""Try every mutant that is not known to be killed: ``python -m tests.mutation.run [targets]``."""

from __future__ import annotations

import argparse
import collections
import random
import subprocess
import sys
import time
from functools import partial
from typing import TYPE_CHECKING

from tests.mutation import runner, swap
from tests.mutation.equivalent import reason_of
from tests.mutation.generate import Mutant, mutants_of
from tests.mutation.store import Store
from tests.mutation.targets import TARGETS, Target

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["main"]

_NAME = "tests.mutation.run"


def main(arguments: list[str] | None = None) -> int:
    """Run the mutants of the targets named, or of all.

    Parameters
    ----------
    arguments : list of str, optional
        The command line.

    Returns
    -------
    int
        0 unless tests fail without any mutant.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {_NAME}", description=__doc__)
    parser.add_argument("target", choices=list(TARGETS), nargs="?", help="what to mutate: all, by default")
    parser.add_argument("--module", help="the modules whose path holds this text alone")
    parser.add_argument("--workers", type=int, default=1, help="processes at a time")
    parser.add_argument("--budget", type=float, default=10.0, help="seconds of tests a mutant at most")
    parser.add_argument(
        "--minutes", type=float, default=float("inf"), help="start no mutant after so many minutes"
    )
    parser.add_argument("--store", default=".cache/mutants", help="folder of the outcomes")
    parser.add_argument("--new", action="store_true", help="leave alone what has survived before, too")
    options = parser.parse_args(arguments)
    if options.target is None:
        # A process each: what one target's tests have loaded is none of the next one's business.
        given = sys.argv[1:] if arguments is None else arguments
        commands = ([sys.executable, "-m", _NAME, name, *given] for name in TARGETS)
        return max(subprocess.run(command, check=False).returncode for command in commands)
    target = TARGETS[options.target]
    modules = [path for path in target.modules() if not options.module or options.module in path]
    store = Store(f"{options.store}/{target.name}.jsonl")
    mutants = [mutant for path in modules for mutant in mutants_of(path)]
    mutants = [mutant for mutant in mutants if not reason_of(mutant)]
    # In random order, but the same each time: a run that is cut short has tried a fair sample.
    random.Random(0).shuffle(mutants)
    left = [m for m in mutants if not (m.key in store.outcomes if options.new else store.dead(m.key))]
    left.sort(key=lambda mutant: mutant.key not in store.outcomes)  # survivors first: new tests are for them
    print(f"[mutants] {target.name}: {len(mutants)} mutants, {len(left)} to try", file=sys.stderr)
    plan = runner.Plan(
        tests=target.test_files(),
        doctests=modules,
        jobs=partial(_jobs, target, modules, left),
        report=_Progress(store, len(left)),
        workers=options.workers,
        budget=options.budget,
        stop_at=time.time() + 60 * options.minutes,
        targets=modules,
    )
    return runner.run_jobs(plan)


def _jobs(target: Target, modules: list[str], mutants: list[Mutant]) -> Iterator[runner.Job]:
    loaded = swap.loaded_functions(modules)
    for mutant in mutants:
        functions = loaded[mutant.path, mutant.function]
        apply = partial(swap.put_function, functions, mutant.source, mutant.original, mutant.function)
        yield runner.Job(mutant.key, mutant.path, (mutant.function,), apply)


class _Progress:
    def __init__(self, store: Store, total: int) -> None:
        self.store, self.total = store, total
        self.counts: collections.Counter[str] = collections.Counter()
        self.began = time.perf_counter()

    def __call__(self, outcome: runner.Outcome) -> None:
        self.store.add(outcome)
        self.counts[outcome.status] += 1
        done = sum(self.counts.values())
        if done % 50 == 0 or done == self.total:
            took = time.perf_counter() - self.began
            print(
                f"[mutants] {done}/{self.total} in {took:.0f} s: {dict(self.counts)}",
                file=sys.stderr,
                flush=True,
            )


if __name__ == "__main__":
    sys.exit(main())
