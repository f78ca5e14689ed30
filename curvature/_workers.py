"""Worker processes that end at once when their parent does."""

from __future__ import annotations

import multiprocessing
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.pool import Pool


@contextmanager
def worker_pool(workers: int) -> Iterator[Pool]:
    """Start worker processes; leaving the ``with`` block early, by Ctrl-C or otherwise, ends them.

    At the end of the block they end by themselves: one that is ended leaves its semaphores behind.

    Parameters
    ----------
    workers : int
        How many.

    Yields
    ------
    Pool
        Of spawned processes, which read the limits on BLAS threads before numpy loads.
    """
    with multiprocessing.get_context("spawn").Pool(workers, initializer=_ignore_ctrl_c) as pool:
        yield pool
        pool.close()
        pool.join()


def _ignore_ctrl_c() -> None:
    """Leave Ctrl-C to the parent, which ends its workers without their tracebacks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
