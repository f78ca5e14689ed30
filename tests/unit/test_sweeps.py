"""A sweep gives the same bytes on every backend and after every interruption, and keeps what is finished."""

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pandas as pd
import pytest

from curvature.sweeps import grid, sweep

CELLS = grid(overlap=[0.0, 0.1, 0.7], method=["grpo", "none"], seed=range(2))


def _needs(module):
    missing = importlib.util.find_spec(module) is None
    return pytest.mark.skipif(missing, reason=f"{module} (extra `scale`) is not installed")


def _make_cell(folder=None):
    """A cell function that clusters receive by value, and that leaves a mark where it ran if given a folder."""

    def run_cell(overlap, method, seed):
        if folder is not None:
            (folder / f"{overlap}-{method}-{seed}").touch(exist_ok=False)
        rng = np.random.default_rng(seed)
        steps = np.arange(3)
        table = {"step": steps, "value": rng.standard_normal(3) * (1 + overlap), "half": steps % 2 == 0}
        return pd.DataFrame(table | {"name": [method + str(seed)] * 3, "gap": [np.nan, np.inf, 0.1 + 0.2]})

    return run_cell


def _bytes(frame):
    return frame.to_csv().encode() + str(frame.dtypes.to_dict()).encode()


EXPECTED = _bytes(sweep(CELLS, _make_cell(), progress=False))


def test_a_table_has_the_cells_in_their_order_and_their_parameters_in_front():
    frame = sweep(CELLS, _make_cell(), progress=False)
    assert list(frame)[:4] == ["overlap", "method", "seed", "step"]
    assert len(frame) == 3 * len(CELLS)
    for index, cell in enumerate(CELLS):
        part = frame.iloc[3 * index : 3 * index + 3].reset_index(drop=True)
        assert (part[list(cell)] == pd.Series(cell)).all(axis=None)
        pd.testing.assert_frame_equal(part.drop(columns=list(cell)), _make_cell()(**cell), check_exact=True)


@pytest.mark.parametrize(
    ("backend", "workers"),
    [
        ("threads", 1),
        pytest.param("threads", 2, marks=_needs("joblib")),
        pytest.param("processes", 2, marks=_needs("joblib")),
    ],
)
@pytest.mark.parametrize("stored", [False, True])
def test_threads_and_processes_give_the_same_bytes(backend, workers, stored, tmp_path):
    store = tmp_path / "kept" if stored else None
    frame = sweep(CELLS, _make_cell(), store=store, backend=backend, workers=workers, progress=False)
    assert _bytes(frame) == EXPECTED


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@_needs("distributed")
@_needs("joblib")
@pytest.mark.parametrize("cluster", ["active", "own"])
def test_a_local_dask_cluster_gives_the_same_bytes(tmp_path, cluster):
    import distributed

    options = {"n_workers": 1, "threads_per_worker": 2, "processes": False, "dashboard_address": None}
    active = distributed.Client(**options) if cluster == "active" else contextlib.nullcontext()
    with active:
        frame = sweep(CELLS, _make_cell(tmp_path), backend="dask", workers=2, progress=False)
    assert _bytes(frame) == EXPECTED
    assert len(list(tmp_path.iterdir())) == len(CELLS)


@pytest.mark.filterwarnings("ignore")  # ray's own, of which it has many
@_needs("ray")
def test_a_local_ray_gives_the_same_bytes(tmp_path):
    frame = sweep(CELLS, _make_cell(), store=tmp_path, backend="ray", workers=2, progress=False)
    assert _bytes(frame) == EXPECTED
    assert len(list(tmp_path.iterdir())) == len(CELLS)


@pytest.mark.parametrize("with_pyarrow", [pytest.param(True, marks=_needs("pyarrow")), False])
def test_cells_that_are_kept_are_not_computed_again(tmp_path, monkeypatch, with_pyarrow):
    if not with_pyarrow:
        monkeypatch.setattr("curvature.sweeps.importlib.util.find_spec", lambda name: None)
    store, marks = tmp_path / "store", tmp_path / "marks"
    marks.mkdir()
    first = sweep(CELLS[:5], _make_cell(marks), store=store, progress=False)
    suffix = ".parquet" if with_pyarrow else ".csv"
    assert len(list(store.glob("*" + suffix))) == len(list(store.iterdir())) == 5
    whole = sweep(
        CELLS, _make_cell(marks), store=store, progress=False
    )  # touch() fails on a mark that is there
    assert len(list(marks.iterdir())) == len(CELLS)
    assert _bytes(whole) == EXPECTED
    assert _bytes(whole.iloc[: len(first)]) == _bytes(first)


def test_another_version_or_function_is_computed_anew(tmp_path):
    cells = grid(x=[1, 2])

    def other(x):
        return {"y": -x}

    def one(x):
        return {"y": x}

    assert sweep(cells, one, store=tmp_path, progress=False).y.tolist() == [1, 2]
    assert sweep(cells, other, store=tmp_path, progress=False).y.tolist() == [-1, -2]
    assert sweep(cells, lambda x: {"y": 10 * x}, store=tmp_path, progress=False).y.tolist() == [10, 20]
    assert len(list(tmp_path.iterdir())) == 6
    sweep(cells, one, store=tmp_path, version="2", progress=False)
    assert len(list(tmp_path.iterdir())) == 8


_KILLED = """
import sys, time
from curvature.sweeps import grid, sweep

def run_cell(x):
    time.sleep(0.15)
    return {"y": x / 3, "pid": 0}

if __name__ == "__main__":
    run_cell.__module__ = "killed"
    frame = sweep(grid(x=range(12)), run_cell, store=sys.argv[1], workers=int(sys.argv[2]), progress=False)
    frame.to_csv(sys.argv[3])
"""


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=_needs("joblib"))])
def test_a_killed_sweep_goes_on_where_it_was_and_gives_the_same_bytes(tmp_path, workers):
    script, store = tmp_path / "killed.py", tmp_path / "store"
    script.write_text(_KILLED)
    command = [sys.executable, str(script), str(store), str(workers)]
    process = subprocess.Popen([*command, str(tmp_path / "never.csv")])
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (store.exists() and len(list(store.glob("*[tv]"))) >= 3):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = {path: path.stat().st_mtime_ns for path in store.iterdir() if path.suffix in {".parquet", ".csv"}}
    assert 3 <= len(kept) < 12
    assert not (tmp_path / "never.csv").exists()
    subprocess.run([*command, str(tmp_path / "resumed.csv")], check=True)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    subprocess.run(
        [command[0], command[1], str(tmp_path / "fresh"), "1", str(tmp_path / "fresh.csv")], check=True
    )
    assert (tmp_path / "resumed.csv").read_bytes() == (tmp_path / "fresh.csv").read_bytes()


def test_a_part_is_there_whole_or_not_at_all(tmp_path, monkeypatch):
    def fails(self, target):
        raise OSError("no space left")

    monkeypatch.setattr("pathlib.Path.replace", fails)
    with pytest.raises(OSError, match="no space left"):
        sweep(grid(x=[1]), lambda x: {"y": x}, store=tmp_path, progress=False)
    monkeypatch.undo()
    assert all(path.name.endswith(".unfinished") for path in tmp_path.iterdir())
    assert sweep(grid(x=[1]), lambda x: {"y": x}, store=tmp_path, progress=False).y.tolist() == [1]


@pytest.mark.parametrize(
    ("backend", "workers"), [("threads", 1), pytest.param("processes", 2, marks=_needs("joblib"))]
)
def test_a_cell_that_fails_is_named_and_those_before_it_are_kept(tmp_path, backend, workers):
    def run_cell(x):
        if x == 2:
            raise ZeroDivisionError("one over nothing")
        return {"y": x}

    with pytest.raises(ZeroDivisionError, match="one over nothing") as caught:
        sweep(grid(x=range(4)), run_cell, store=tmp_path, backend=backend, workers=workers, progress=False)
    assert "in the sweep's cell {'x': 2}" in caught.value.__notes__[0]
    if backend == "threads":
        assert len(list(tmp_path.iterdir())) == 2


def test_workers_run_cells_at_the_same_time():
    pytest.importorskip("joblib", reason="joblib (extra `scale`) is not installed")
    meeting = threading.Barrier(2, timeout=20)

    def run_cell(x):
        meeting.wait()  # broken, and the sweep with it, unless two cells are in it together
        return {"y": x}

    assert len(sweep(grid(x=range(4)), run_cell, workers=2, progress=False)) == 4


def test_results_may_be_rows_and_empty_tables():
    def run_cell(x):
        return [{"y": x * i} for i in range(x)]

    frame = sweep(grid(x=[2, 0, 1]), run_cell, progress=False)
    assert frame.to_dict("list") == {"x": [2, 2, 1], "y": [0, 2, 0]}
    assert sweep([], run_cell, progress=False).empty


def test_a_progress_bar_counts_what_is_kept(tmp_path, capsys):
    sweep(grid(x=[1]), _one, store=tmp_path, progress=True)
    sweep(grid(x=[1, 2]), _one, store=tmp_path, progress=True)
    assert "1/2" in capsys.readouterr().err
    sweep(grid(x=[1, 2, 3]), _one, store=tmp_path, progress=False)
    assert capsys.readouterr().err == ""


def _one(x):
    return {"y": x}


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"cells": [{"x": 1}, {"x": 1}]}, ValueError, "cells 0 and 1 are the same: {'x': 1}"),
        ({"cells": [{"x": [1]}]}, ValueError, r"cell 0: x is \[1\]; a number, string"),
        ({"workers": 0}, ValueError, "workers is 0"),
        ({"backend": "spark"}, ValueError, "backend is 'spark'; choose one of threads, processes, dask, ray"),
        ({"address": "tcp://a:1"}, ValueError, "address is 'tcp://a:1', but backend='threads' has none"),
        ({"run_cell": lambda x: 3}, TypeError, "run_cell returned a int; a DataFrame"),
        (
            {"run_cell": lambda x: {"x": 3}},
            ValueError,
            "run_cell returned a column 'x', which is a parameter",
        ),
    ],
)
def test_a_bad_argument_is_refused_in_words_that_hold_it(change, error, words):
    with pytest.raises(error, match=words):
        sweep(**({"cells": [{"x": 1}], "run_cell": _one, "progress": False} | change))


def test_a_part_that_cannot_be_read_is_named(tmp_path):
    sweep(grid(x=[1]), _one, store=tmp_path, progress=False)
    (part,) = tmp_path.iterdir()
    part.write_bytes(b"PAR1 nonsense")
    with pytest.raises(ValueError, match=r"the part kept of cell {'x': 1} cannot be read"):
        sweep(grid(x=[1]), _one, store=tmp_path, progress=False)


def test_an_axis_without_values_is_refused():
    with pytest.raises(ValueError, match="seed has no values"):
        grid(x=[1], seed=[])


def test_a_missing_backend_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "joblib", None)
    with pytest.raises(ImportError, match=r"needs joblib: install curvature\[scale\]"):
        sweep(grid(x=[1]), _one, workers=2, progress=False)


def test_numpy_scalars_are_numbers(tmp_path):
    cells = [{"x": np.float64(0.5)}, {"x": np.int64(2)}]
    sweep(cells, _one, store=tmp_path, progress=False)
    before = sorted(os.listdir(tmp_path))
    sweep([{"x": 0.5}, {"x": 2}], _one, store=tmp_path, progress=False)
    assert sorted(os.listdir(tmp_path)) == before
