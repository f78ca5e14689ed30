"""What runs the cells of a sweep: this thread, joblib's threads and processes, dask, or ray."""

from __future__ import annotations

import importlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

# Enough for the tables of a sweep; ray takes a third of the machine's memory if not told.
_RAY_OBJECT_STORE_BYTES = 128 * 2**20


def finished_cells(
    function: Callable[..., bytes],
    tasks: Mapping[int, tuple[Any, ...]],
    *,
    workers: int,
    backend: str,
    address: str | None,
) -> Iterator[tuple[int, bytes]]:
    """Call the function for every task and yield the results as they come.

    Parameters
    ----------
    function : callable
        Takes a task's arguments.
    tasks : mapping of int to tuple
        Arguments by number.
    workers : int
        How many at once.
    backend : str
        "threads", "processes", "dask" or "ray".
    address : str or None
        Of a cluster.

    Yields
    ------
    tuple of int and bytes
        A task's number and its result, in any order.
    """
    if not tasks:
        return
    if backend == "threads" and workers == 1:
        for index, arguments in tasks.items():
            yield index, function(*arguments)
    elif backend == "ray":
        yield from _on_ray(function, tasks, workers, address)
    elif backend == "dask":
        with _dask_client(workers, address):
            yield from _on_joblib(function, tasks, workers, "dask")
    else:
        engine = "threading" if backend == "threads" else "loky"
        yield from _on_joblib(function, tasks, workers, engine)


def _numbered(function: Callable[..., bytes], index: int, arguments: tuple[Any, ...]) -> tuple[int, bytes]:
    return index, function(*arguments)


def _on_joblib(
    function: Callable[..., bytes], tasks: Mapping[int, tuple[Any, ...]], workers: int, engine: str
) -> Iterator[tuple[int, bytes]]:
    joblib = _need("joblib")
    with joblib.parallel_config(backend=engine, n_jobs=workers):
        # One cell a batch: a finished cell is handed over, and kept, at once.
        parallel = joblib.Parallel(return_as="generator_unordered", batch_size=1)
        yield from parallel(joblib.delayed(_numbered)(function, *task) for task in tasks.items())


@contextmanager
def _dask_client(workers: int, address: str | None) -> Iterator[None]:
    """Use the client that is active, else connect to the address, else start a local cluster; close what was opened."""
    distributed = _need("distributed")
    _need("joblib")
    try:
        active = distributed.get_client() if address is None else None
    except ValueError:
        active = None
    if active is not None:
        yield
    elif address is not None:
        with distributed.Client(address):
            yield
    else:
        with (
            distributed.LocalCluster(
                n_workers=workers, threads_per_worker=1, dashboard_address=None
            ) as cluster,
            distributed.Client(cluster),
        ):
            yield


def _on_ray(
    function: Callable[..., bytes], tasks: Mapping[int, tuple[Any, ...]], workers: int, address: str | None
) -> Iterator[tuple[int, bytes]]:
    ray = _need("ray")
    started = not ray.is_initialized()
    if started:
        local = {} if address else {"num_cpus": workers, "object_store_memory": _RAY_OBJECT_STORE_BYTES}
        ray.init(
            address=address, include_dashboard=False if not address else None, log_to_driver=False, **local
        )
    try:
        remote = ray.remote(max_retries=0)(function)
        # No more than the workers can take up are submitted, so that a failure leaves little behind.
        waiting = iter(tasks.items())
        running: dict[Any, int] = {}
        while True:
            while len(running) < 2 * workers and (task := next(waiting, None)) is not None:
                running[remote.remote(*task[1])] = task[0]
            if not running:
                return
            (done,), _ = ray.wait(list(running), num_returns=1)
            yield running.pop(done), ray.get(done)
    finally:
        if started:
            ray.shutdown()


def _need(name: str) -> Any:
    """Import a module of the `scale` extra."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f"this backend needs {name}: install curvature[scale].") from error
