"""Worker processes that end at once when their parent does."""

from __future__ import annotations

import multiprocessing
import signal
from multiprocessing.pool import Pool


def worker_pool(workers: int) -> Pool:
    """Start worker processes; leaving the ``with`` block, by Ctrl-C or otherwise, ends them.

    Parameters
    ----------
    workers : int
        How many.

    Returns
    -------
    Pool
        Of spawned processes, which read the limits on BLAS threads before numpy loads.
    """
    return multiprocessing.get_context("spawn").Pool(workers, initializer=_ignore_ctrl_c)


def _ignore_ctrl_c() -> None:
    """Leave Ctrl-C to the parent, which ends its workers without their tracebacks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
