"""Run the tests that reach a function on each of its mutants, one forked process a mutant.

The tests are imported and collected once. A first fork runs them all and notes which functions each test calls and
how long it takes. Then every mutant gets a fork of its own, in which the function's code is swapped and the tests
that call it run, the last killers first and then the shortest, until one fails.
"""

from __future__ import annotations

import os
import pickle
import resource
import select
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["Job", "Outcome", "Plan", "run_jobs"]

# A test may take this many times as long as it took unchanged, and this many seconds more, of processor time.
_SLOWER, _SLACK = 8, 3.0
_WALL_LIMIT = 120.0
_MEMORY = 6 << 30


@dataclass(frozen=True)
class Job:
    """One change to try: ``apply`` makes it in the forked process, ``reaches`` names the functions it changes."""

    key: str
    path: str
    reaches: tuple[str, ...]
    apply: Callable[[], None]


@dataclass(frozen=True)
class Outcome:
    """What became of a change.

    ``status`` is "killed", "timeout" (killed as well: it ran out of time), "survived", "unfinished" (the tests that
    fit into the time all passed, others were not run) or "unreached" (no test calls the function).
    """

    key: str
    status: str
    killer: str
    seconds: float


@dataclass
class Plan:
    """How to run: which tests, how many processes at a time, how many seconds of tests a mutant at most."""

    tests: list[str]
    doctests: list[str]
    jobs: Callable[[], Iterable[Job]]
    report: Callable[[Outcome], None]
    workers: int = 1
    budget: float = 10.0
    stop_at: float = float("inf")
    targets: list[str] = field(default_factory=list)


def run_jobs(plan: Plan) -> int:
    """Collect the tests of a plan and run its jobs.

    Parameters
    ----------
    plan : Plan
        It is told the outcome of each job as it comes.

    Returns
    -------
    int
        pytest's exit status: 0 unless the tests could not be collected or fail without any change.
    """
    from hypothesis import HealthCheck, Phase, settings

    # No shrinking: that a test fails is all there is to know. The same examples every time.
    settings.register_profile(
        "mutants",
        max_examples=60,
        deadline=None,
        derandomize=True,
        database=None,
        report_multiple_bugs=False,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    os.environ["HYPOTHESIS_PROFILE"] = "mutants"
    options = ["-q", "-s", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:benchmark", "--tb=native"]
    options += ["-o", "addopts=", "--doctest-modules", "--assert=plain"]
    return int(pytest.main([*options, *plan.tests, *plan.doctests], plugins=[_Runner(plan)]))


class _Runner:
    """The pytest plugin that runs a plan in place of the tests."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.failed = False
        self.killers: dict[tuple[str, str], list[str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.failed |= report.failed

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            raise session.Interrupted("the tests could not be collected")
        self.items = {item.nodeid: item for item in session.items}
        started = time.perf_counter()
        self.reached = self._measure()
        broken = [name for name, (_, _, failed) in self.reached.items() if failed]
        print(
            f"[mutants] {len(self.items)} tests, {sum(s for s, _, _ in self.reached.values()):.1f} s; measured in "
            f"{time.perf_counter() - started:.1f} s; left out as red unchanged: {broken}",
            file=sys.stderr,
        )
        for name in broken:
            del self.reached[name]
        self._run_all()
        return True

    def _measure(self) -> dict[str, tuple[float, set[tuple[str, str]], bool]]:
        """Run every test once, in a fork.

        Returns
        -------
        dict
            Seconds, functions called and whether it failed, by test.
        """
        files = {str(Path(path).resolve()): path for path in self.plan.targets}

        def measure() -> Any:
            result = {}
            for name, item in self.items.items():
                codes: set[Any] = set()

                def note(frame: Any, event: str, _: Any, codes: set[Any] = codes) -> None:
                    if event == "call" and frame.f_code.co_filename in files:
                        codes.add(frame.f_code)

                self.failed = False
                started = time.process_time()
                sys.setprofile(note)
                self._run(item)
                sys.setprofile(None)
                called = {(files[c.co_filename], c.co_qualname.partition(".<locals>")[0]) for c in codes}
                result[name] = time.process_time() - started, called, self.failed
            return result

        return _in_fork(measure)

    def _run(self, item: pytest.Item) -> None:
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)

    def _tests_of(self, job: Job) -> list[str]:
        wanted = {(job.path, name) for name in job.reaches}
        names = [name for name, (_, called, _) in self.reached.items() if called & wanted]
        killers = self.killers.get((job.path, job.reaches[0] if job.reaches else ""), [])
        rank = {name: place for place, name in enumerate(killers)}
        return sorted(names, key=lambda name: (rank.get(name, len(rank)), self.reached[name][0]))

    def _run_all(self) -> None:
        running: dict[int, tuple[Job, int, float, bool]] = {}
        jobs = iter(self.plan.jobs())
        more = True
        while more or running:
            while more and len(running) < self.plan.workers:
                job = next(jobs, None) if time.time() < self.plan.stop_at else None
                if job is None:
                    more = False
                    break
                self._start(job, running)
            if running:
                self._collect(running)

    def _start(self, job: Job, running: dict[int, tuple[Job, int, float, bool]]) -> None:
        names = self._tests_of(job)
        if not names:
            self.plan.report(Outcome(job.key, "unreached", "", 0.0))
            return
        kept = list(_within(self.plan.budget, names, self.reached))
        out, into = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(out)
            self._try(job, kept, into)
        os.close(into)
        running[out] = job, child, time.perf_counter(), len(kept) < len(names)

    def _try(self, job: Job, names: list[str], into: int) -> None:
        """Make the change, run the tests until one fails, write its name, and end the process."""
        try:
            _become_quiet()
            self.failed = False
            try:
                job.apply()
            except Exception as error:
                os.write(into, f"{type(error).__name__} at the change: {error}".encode())
                os._exit(1)
            for name in names:
                limit = _SLACK + _SLOWER * self.reached[name][0]
                signal.setitimer(signal.ITIMER_PROF, limit)
                self._run(self.items[name])
                if self.failed:
                    os.write(into, name.encode())
                    os._exit(1)
            os._exit(0)
        except BaseException as error:  # a mutant may raise SystemExit, or worse
            os.write(into, f"{type(error).__name__}: {error}".encode())
            os._exit(1)

    def _collect(self, running: dict[int, tuple[Job, int, float, bool]]) -> None:
        ready, _, _ = select.select(list(running), [], [], 1.0)
        now = time.perf_counter()
        late = [out for out, (_, _, began, _) in running.items() if now - began > _WALL_LIMIT]
        for out in {*ready, *late}:
            job, child, began, cut = running.pop(out)
            if out in late and out not in ready:
                os.kill(child, signal.SIGKILL)
            killer = b"".join(iter(lambda out=out: os.read(out, 4096), b"")).decode(errors="replace")
            os.close(out)
            _, status = os.waitpid(child, 0)
            if os.WIFSIGNALED(status):
                verdict, killer = "timeout", f"signal {os.WTERMSIG(status)}"
            else:
                verdict = "killed" if os.WEXITSTATUS(status) else "unfinished" if cut else "survived"
            if verdict == "killed" and job.reaches:
                known = self.killers.setdefault((job.path, job.reaches[0]), [])
                if killer in known:
                    known.remove(killer)
                known.insert(0, killer)
            self.plan.report(Outcome(job.key, verdict, killer, time.perf_counter() - began))


def _within(budget: float, names: list[str], reached: dict[str, Any]) -> Iterator[str]:
    total = 0.0
    for name in names:
        total += reached[name][0]
        if total > budget and total > reached[name][0]:
            return
        yield name


def _become_quiet() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _in_fork(work: Callable[[], Any]) -> Any:
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(out)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        with os.fdopen(into, "wb") as stream:
            pickle.dump(work(), stream)
        os._exit(0)
    os.close(into)
    with os.fdopen(out, "rb") as stream:
        data = stream.read()
    os.waitpid(child, 0)
    return pickle.loads(data)
