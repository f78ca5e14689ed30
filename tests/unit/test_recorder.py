"""A recorded step is on the disk and whole, whatever happens; what is no step is refused before a byte is written."""

import contextlib
import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from curvature.rollouts.recorder import Recorder, finished_length


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / "rollouts.jsonl"


def _rows(path):
    return [json.loads(line) for line in path.read_bytes()[: finished_length(path)].splitlines()]


def _steps(path):
    return {step: list(rows) for step, rows in itertools.groupby(_rows(path), lambda row: row["step"])}


def _fill(path, steps, **changes):
    rng = np.random.default_rng(5)
    with Recorder(path, **changes) as recorder:
        for step in steps:
            size = int(rng.integers(1, 9))
            recorder.record(step, rng.integers(0, 3, size), rng.random(size))


# ── what is written ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_rows_hold_what_was_recorded(path):
    with Recorder(path) as recorder:
        recorder.record(
            4, ["b", "a", "b"], [0.1, 1, 0], [-1.5, 0, 1.5], columns={"prompt": ["1+1=\n", "é", "1+1=\n"]}
        )
    assert path.read_text() == (
        '{"step": 4, "group": "b", "reward": 0.1, "advantage": -1.5, "prompt": "1+1=\\n", "rows_left": 2}\n'
        '{"step": 4, "group": "a", "reward": 1.0, "advantage": 0.0, "prompt": "\\u00e9", "rows_left": 1}\n'
        '{"step": 4, "group": "b", "reward": 0.0, "advantage": 1.5, "prompt": "1+1=\\n", "rows_left": 0}\n'
    )


def test_lists_arrays_tensors_and_rows_of_groups_give_the_same_bytes(tmp_path):
    torch = pytest.importorskip("torch")
    rewards = [[0.5, 1.0], [0.0, 0.25]]
    flat = np.array(rewards, dtype=np.float32).ravel()
    ways = {
        "rows": ([7, 9], rewards),
        "array": (np.array([7, 7, 9, 9], dtype=np.uint8), flat),
        "list": ([7, 7, 9, 9], flat.tolist()),
        "tensor": (torch.tensor([7, 7, 9, 9]), torch.tensor(flat, dtype=torch.bfloat16, requires_grad=True)),
    }
    for name, (groups, values) in ways.items():
        with Recorder(tmp_path / name) as recorder:
            recorder.record(np.int32(1), groups, values, values)
    assert len({(tmp_path / name).read_bytes() for name in ways}) == 1


def test_numbers_come_back_to_the_last_bit(path):
    rewards = np.random.default_rng(2).standard_normal(500) * 10.0 ** np.arange(-250, 250)
    with Recorder(path) as recorder:
        recorder.record(0, np.zeros(500, dtype=int), rewards)
    assert [row["reward"] for row in _rows(path)] == rewards.tolist()


def test_missing_numbers_are_null_when_allowed(path):
    with Recorder(path) as recorder:
        recorder.record(0, [1, 1], [float("nan"), 1.0], [0.0, float("nan")], allow_missing=True)
    assert [(row["reward"], row["advantage"]) for row in _rows(path)] == [(None, 0.0), (1.0, None)]


def test_a_log_read_back_has_the_groups_and_rows_recorded(path):
    with Recorder(path) as recorder:
        for step in (1, 2, 5):
            recorder.record(step, ["u", "v"], [[1, 0, 0], [1, 1, step == 5]], [[2, -1, -1], [1, 1, -2]])
            log = recorder.log()
    assert log.steps.tolist() == [1, 2, 5]
    assert log.groups.size.tolist() == [3] * 6
    np.testing.assert_allclose(log.groups.mean, [1 / 3, 2 / 3, 1 / 3, 2 / 3, 1 / 3, 1], rtol=1e-15)
    assert log.sample.advantage is not None
    assert log.sample.advantage.tolist() == [2, -1, -1, 1, 1, -2] * 3
    assert log.bad_rows == 0


def test_importing_the_recorder_loads_no_heavy_library():
    code = "import sys, curvature.rollouts.recorder; print(*{'torch', 'pandas', 'pyarrow', 'scipy'} & set(sys.modules))"
    assert not subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


# ── one writer, going back ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_second_writer_is_refused_while_the_first_holds_the_file(path):
    with Recorder(path) as recorder:
        recorder.record(1, [0], [1])
        with pytest.raises(ValueError, match="being written by another Recorder"):
            Recorder(path)
        assert finished_length(path) == path.stat().st_size, "a reader needs no lock"
    Recorder(path).close()


@pytest.mark.parametrize("step", [3, 2, -1])
def test_a_step_that_does_not_come_after_the_recorded_ones_is_refused(path, step):
    _fill(path, [1, 3])
    before = path.read_bytes()
    with Recorder(path) as recorder, pytest.raises(ValueError, match=rf"resume_from={step}\)"):
        recorder.record(step, [0], [1])
    assert path.read_bytes() == before


@pytest.mark.parametrize("resume_from", range(-1, 33))
def test_resuming_keeps_just_the_steps_before(path, resume_from):
    recorded = list(range(0, 30, 3))
    _fill(path, recorded)
    whole = path.read_bytes()
    with Recorder(path, resume_from=resume_from) as recorder:
        kept = [step for step in recorded if step < resume_from]
        assert recorder.last_step == (kept[-1] if kept else None)
    assert list(_steps(path)) == kept
    assert whole.startswith(path.read_bytes())


def test_resuming_a_file_of_wide_rows_keeps_just_the_steps_before(path):
    with Recorder(path) as recorder:
        for step in range(6):
            recorder.record(step, [0], [1], columns={"prompt": ["x" * 200_000 * (step % 3)]})
    with Recorder(path, resume_from=4) as recorder:
        assert recorder.last_step == 3
    assert list(_steps(path)) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "change", [lambda path: path.unlink(), lambda path: path.open("a").close() or _append(path)]
)
def test_a_file_changed_by_others_is_not_written_to(path, change):
    with Recorder(path) as recorder:
        recorder.record(1, [0], [1])
        change(path)
        with pytest.raises(OSError, match="changed or deleted"):
            recorder.record(2, [0], [1])


def _append(path):
    with path.open("a") as file:
        file.write("x")


# ── files and inputs that are refused ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "content",
    [
        b'{"step": 1, "group": 0, "reward": 1.0}\n',
        b"step,group,reward\n1,0,1\n",
        b"[1, 2]\n",
        b"\n",
        b"PAR1",
        b'{"step": 1, "reward": 1.0, "rows_left": 2}\n{"step": 1, "reward": 1.0, "rows_left": 0}\nxx\n',
        b'{"step": 1, "reward": 1.0, "rows_left": 3}\n{"step": 1, "reward": 1.0, "rows_left": 1}\n',
        b'{"step": 1, "reward": 1.0, "rows_left": 2}\n{"step": 2, "reward": 1.0, "rows_left": 1}\n',
        b"[" * 100_000 + b"\n",
    ],
)
def test_a_file_of_another_kind_is_refused_and_left_alone(path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"was not written by a Recorder, or is damaged, at byte \d+"):
        Recorder(path)
    with pytest.raises(ValueError, match="was not written by a Recorder"):
        finished_length(path)
    assert path.read_bytes() == content


NAN, INF = float("nan"), float("inf")
REFUSED = {
    "groups of another length": (ValueError, (2, [0], [1, 0]), {}, "step 2 has 1 groups for 2 rewards"),
    "rows of another number": (ValueError, (2, [0], [[1, 0], [1, 1]]), {}, "1 groups for 2 rows of rewards"),
    "one id for two rows": (ValueError, (2, [0, 0], [[1, 0], [1, 1]]), {}, "a row is a group"),
    "ragged": (ValueError, (2, [0, 1], [[1, 0], [1]]), {}, "rewards of step 2 are no array of numbers"),
    "text rewards": (ValueError, (2, [0], ["1.0"]), {}, "no array of numbers"),
    "complex rewards": (ValueError, (2, [0], [1j]), {}, "no array of numbers"),
    "no rewards": (ValueError, (2, [], []), {}, r"shape \(0,\)"),
    "one number": (ValueError, (2, [0], 1.0), {}, r"shape \(\)"),
    "three axes": (ValueError, (2, [0], np.zeros((1, 2, 3))), {}, r"shape \(1, 2, 3\)"),
    "NaN": (
        ValueError,
        (2, [0, 0], [1, NAN]),
        {},
        "reward 1 of step 2 is nan: mend it, or pass allow_missing",
    ),
    "None": (ValueError, (2, [0, 0], [1, None]), {}, "reward 1 of step 2 is nan"),
    "infinite": (
        ValueError,
        (2, [0, 0], [INF, 1]),
        {"allow_missing": True},
        "reward 0 of step 2 is inf: clip it",
    ),
    "NaN advantage": (ValueError, (2, [0], [1], [NAN]), {}, "advantage 0 of step 2 is nan"),
    "advantages of another shape": (
        ValueError,
        (2, [0, 0], [1, 0], [1]),
        {},
        r"shape \(1,\) and the rewards \(2,\)",
    ),
    "advantages from now on": (ValueError, (2, [0], [1], [0.5]), {}, "step 2 has advantages and .* has none"),
    "fractional step": (TypeError, (1.5, [0], [1]), {}, "step is 1.5"),
    "true step": (TypeError, (True, [0], [1]), {}, "step is True"),
    "fractional group": (TypeError, (2, [0.5], [1]), {}, "has the group 0.5"),
    "numbers and text": (TypeError, (2, [0, "0"], [1, 0]), {}, "has the group '0'"),
    "true group": (TypeError, (2, [True], [1]), {}, "has the group True"),
    "nameless group": (ValueError, (2, ["a", ""], [1, 0]), {}, "group 1 of step 2 is empty"),
    "short column": (
        ValueError,
        (2, [0, 0], [1, 0]),
        {"columns": {"prompt": ["a"]}},
        "'prompt' of step 2 has 1 entries",
    ),
    "column of ours": (ValueError, (2, [0], [1]), {"columns": {"rows_left": [0]}}, "'rows_left' is one of"),
    "column not for JSON": (TypeError, (2, [0], [1]), {"columns": {"x": [{1, 2}]}}, "rollout 0 of step 2"),
    "NaN in a column": (TypeError, (2, [0], [1]), {"columns": {"x": [NAN]}}, "rollout 0 of step 2"),
}


@pytest.mark.parametrize(("kind", "arguments", "options", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_step_is_refused_in_one_sentence_before_a_byte_is_written(
    path, kind, arguments, options, message
):
    _fill(path, [1])
    before = path.read_bytes()
    with Recorder(path) as recorder:
        with pytest.raises(kind, match=message) as caught:
            recorder.record(*arguments, **options)
        assert path.read_bytes() == before
        recorder.record(2, [0], [1])
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


def test_advantages_at_some_steps_only_are_refused_across_openings(path):
    with Recorder(path) as recorder:
        recorder.record(1, [0, 0], [1, 0], [1, -1])
    with (
        Recorder(path) as recorder,
        pytest.raises(ValueError, match=r"step 2 has no advantages and .* has them"),
    ):
        recorder.record(2, [0], [1])


def test_a_closed_recorder_and_an_empty_one_say_so(path):
    with Recorder(path) as recorder, pytest.raises(ValueError, match="no finished step yet"):
        recorder.log()
    with pytest.raises(ValueError, match="is closed"):
        recorder.record(1, [0], [1])


def test_a_recorder_that_was_forgotten_lets_go_of_its_file(path):
    with contextlib.suppress(ValueError):
        Recorder(path).record(1, [0], [NAN])
    Recorder(path).close()


def test_a_folder_that_cannot_be_written_is_an_error_of_the_system(tmp_path):
    Path(tmp_path, "file").touch()
    with pytest.raises(OSError, match="file"):
        Recorder(tmp_path / "file" / "rollouts.jsonl")
