"""A crash at any moment costs no recorded step, and what it leaves of an unfinished one is never read."""

import errno
import itertools
import json
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import recorder_killer

from curvature.rollouts._blocks import recorded_end
from curvature.rollouts.recorder import Recorder, finished_length


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / "rollouts.jsonl"


def _fill(path, steps):
    rng = np.random.default_rng(5)
    with Recorder(path) as recorder:
        for step in steps:
            size = int(rng.integers(1, 9))
            recorder.record(step, rng.integers(0, 3, size), rng.random(size))


def _steps(path):
    rows = [json.loads(line) for line in path.read_bytes()[: finished_length(path)].splitlines()]
    return {step: list(of_step) for step, of_step in itertools.groupby(rows, lambda row: row["step"])}


def test_a_killed_writer_loses_no_acknowledged_step_and_leaves_at_most_one_unfinished(path):
    path.parent.mkdir()
    command = [sys.executable, recorder_killer.__file__, str(path), "150"]
    output = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True).stdout
    kills = json.loads(output)
    safe = 0
    for kill in kills:
        safe = max(safe, kill["acknowledged"])
        assert safe <= kill["finished"] <= safe + 1
        safe = kill["finished"]
    assert sum(kill["torn_bytes"] > 0 for kill in kills) >= 30, (
        "kills must land inside blocks for this to say anything"
    )
    steps = _steps(path)
    assert list(steps) == list(range(1, kills[-1]["finished"] + 1))
    for step, rows in steps.items():
        assert [row["reward"] for row in rows] == recorder_killer.rewards_of(step)
        assert [row["rows_left"] for row in rows] == list(range(len(rows)))[::-1]


def test_a_block_torn_at_any_byte_is_cut_off_and_recording_goes_on(path):
    _fill(path, [1, 2])
    whole = path.read_bytes()
    with Recorder(path) as recorder:
        recorder.record(3, ["x", "x", "y"], [1, 0, 1])
    longer = path.read_bytes()
    for length in range(len(whole), len(longer)):
        path.write_bytes(longer[:length])
        assert finished_length(path) == len(whole)
        with Recorder(path) as recorder:
            assert recorder.last_step == 2
            assert path.read_bytes() == whole
            recorder.record(3, ["x", "x", "y"], [1, 0, 1])
        assert path.read_bytes() == longer


def test_a_first_block_torn_at_any_byte_leaves_an_empty_file(path):
    _fill(path, [1])
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert finished_length(path) == 0
        with Recorder(path) as recorder:
            assert recorder.last_step is None
        assert path.read_bytes() == b""


@pytest.mark.parametrize("steps", [[], [1, 2]])
def test_zeros_that_a_power_cut_left_are_cut_off(path, steps):
    _fill(path, steps)
    whole = path.read_bytes()
    path.write_bytes(whole + bytes(200_000))
    with Recorder(path):
        assert path.read_bytes() == whole


def test_a_long_unfinished_line_is_passed_over(path):
    _fill(path, [1, 2])
    length = path.stat().st_size
    with path.open("ab") as file:
        file.write(b'{"step": 3, "prompt": "' + b"x" * 5_000_000)
    assert finished_length(path) == length


class _FullDisk:
    """Takes a few bytes, then none."""

    def __init__(self, error):
        self.error, self.calls = error, 0

    def __call__(self, file, data):
        self.calls += 1
        if self.calls > 2:
            raise self.error
        return _REAL_WRITE(file, data[:30])


_REAL_WRITE = os.write


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "disk full"), KeyboardInterrupt()])
def test_a_write_that_fails_midway_leaves_the_file_as_it_was(path, monkeypatch, error):
    _fill(path, [1])
    before = path.read_bytes()
    with Recorder(path) as recorder:
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", _FullDisk(error))
            with pytest.raises(type(error)):
                recorder.record(2, [0, 0], [1, 0])
        assert path.read_bytes() == before
        assert recorder.last_step == 1
        recorder.record(2, [0, 0], [1, 0])
    assert list(_steps(path)) == [1, 2]


def test_every_step_is_synced_before_record_returns(path, monkeypatch):
    synced = []
    real = os.fsync
    with Recorder(path) as recorder:
        monkeypatch.setattr(os, "fsync", lambda file: (real(file), synced.append(os.fstat(file).st_size)))
        for step in range(3):
            recorder.record(step, [0], [1])
            assert synced[-1] == path.stat().st_size
    assert len(synced) == 3


def test_a_reader_beside_the_writer_sees_finished_steps_only(path, monkeypatch):
    def write_slowly(file, data):
        time.sleep(1e-4)
        return _REAL_WRITE(file, data[:40])

    def record():
        with Recorder(path) as recorder:
            for step in range(100):
                recorder.record(step, ["g"] * 9, np.arange(9))

    monkeypatch.setattr(os, "write", write_slowly)
    writer = threading.Thread(target=record)
    _fill(path, [])
    writer.start()
    seen, torn = [0], 0
    while writer.is_alive():
        length = finished_length(path)
        torn += path.stat().st_size > length
        rows = path.read_bytes()[:length].splitlines()
        assert len(rows) % 9 == 0
        seen.append(len(rows) // 9)
    writer.join()
    assert seen == sorted(seen)
    assert len(set(seen)) > 10, "the reader must meet the file at several lengths for this to say anything"
    assert torn > 10
    assert len(_steps(path)) == 100


def test_a_reader_is_told_where_to_stop_in_a_recorded_file_and_only_there(path):
    _fill(path, [1, 2])
    length = path.stat().st_size
    assert recorded_end(path) == length
    with path.open("a") as file:
        file.write('{"step": 3, "group": 0, "reward": 1.0, "rows_left": 1}\n{"ste')
    assert recorded_end(path) == length
    for other in (
        "",
        '{"step": 3, "group": 0, "reward": 1.0}\n',
        '{"step": 1, "rows_left": 0}\nx\n',
        "a,b\n",
    ):
        path.write_text(other)
        assert recorded_end(path) is None
