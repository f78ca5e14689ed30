"""A worker process that checks one answer at a time, and is replaced when it dies or takes too long."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Request", "Verdict", "Verifier", "run_requests"]

Request = tuple[str, str]  # text, answer
Verdict = bool | None  # None: not told within the time limit

START_LIMIT = 300.0  # seconds for importing math-verify on a busy machine
PATIENCE = 4.0  # of the wall clock with the CPU time limit: a worker may have to wait for a core


class Verifier:
    """One worker process: started at once, awaited when first needed."""

    def __init__(self, time_limit: float, *, lenient: bool = False) -> None:
        self.time_limit = time_limit
        self._buffer = b""
        self._deadline = time.monotonic() + START_LIMIT
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).with_name("_grader_worker.py"))]
            + ["--lenient"] * lenient,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            # The order of sympy's sets, and with it the work and at times the verdict, follows the hash seed.
            env={**os.environ, "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def deadline(self) -> float:
        """When to give up on the reply awaited, on the monotonic clock."""
        return self._deadline

    def is_running(self) -> bool:
        """Tell whether the process lives."""
        return self._process.poll() is None

    def fileno(self) -> int:
        """Let selectors wait for it."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def send(self, request: Request) -> None:
        """Ask for one verdict; a worker that has died shows it at the next :meth:`receive`."""
        text, answer = request
        line = json.dumps({"text": text, "answer": answer, "limit": self.time_limit}) + "\n"
        self._deadline = time.monotonic() + PATIENCE * self.time_limit + 1.0
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            rest = memoryview(line.encode())
            while rest:
                rest = rest[self._process.stdin.write(rest) or 0 :]

    def receive(self) -> dict[str, Any] | None:
        """Read what has come: a whole reply, {} for a part of one, None at the end of a worker that has died."""
        piece = os.read(self.fileno(), 1 << 16)
        if not piece:
            return None
        self._buffer += piece
        if not self._buffer.endswith(b"\n"):
            return {}
        line, self._buffer = self._buffer, b""
        return json.loads(line)

    def close(self) -> None:
        """End the process, whatever it is doing, and wait for its end."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        self._process.wait()


def run_requests(
    requests: list[Request], workers: list[Verifier], ready: set[int], replace: Callable[[Verifier], Verifier]
) -> Iterator[tuple[int, Verdict]]:
    """Give every worker one request at a time; yield the verdicts as they come.

    Parameters
    ----------
    requests : list of (text, answer)
        What to check.
    workers : list of Verifier
        At least one.
    ready : set of int
        Process ids of those that have said they are ready; kept up to date.
    replace : callable
        Ends a worker and starts another in its place.

    Yields
    ------
    (int, bool or None)
        Number of the request, and the verdict; None if its worker died or ran out of time.

    Raises
    ------
    ImportError
        If math-verify is missing.
    RuntimeError
        If a worker ends, or is silent, before it is ready.
    """
    queue = iter(enumerate(requests))
    held: dict[int, int] = {}
    with DefaultSelector() as selector:

        def give(worker: Verifier) -> None:
            number, request = next(queue, (None, None))
            if request is None or number is None:
                selector.unregister(worker)
                return
            held[worker.pid] = number
            worker.send(request)

        for worker in workers:
            selector.register(worker, EVENT_READ)
            if worker.pid in ready:
                give(worker)
        remaining = len(requests)
        while remaining:
            waiting: list[Any] = [key.fileobj for key in selector.get_map().values()]
            timeout = max(0.0, min(worker.deadline for worker in waiting) - time.monotonic())
            came = {key.fileobj for key, _ in selector.select(timeout)}
            for worker in waiting:
                if worker not in came and time.monotonic() < worker.deadline:
                    continue
                reply = worker.receive() if worker in came else None
                if reply == {}:
                    continue
                if reply is None:
                    if worker.pid not in ready:
                        raise RuntimeError(
                            f"the grader's worker was not ready within {START_LIMIT:.0f} s or died."
                        )
                    selector.unregister(worker)
                    number = held.pop(worker.pid)
                    fresh = replace(worker)
                    selector.register(fresh, EVENT_READ)
                    remaining -= 1
                    yield number, None
                elif "right" in reply:
                    remaining -= 1
                    number = held.pop(worker.pid)
                    give(worker)
                    yield number, reply["right"]
                elif "error" in reply:
                    raise ImportError(
                        f"grading needs math-verify: pip install 'curvature[lm]' ({reply['error']})."
                    )
                else:
                    ready.add(worker.pid)
                    give(worker)
