"""Whatever bytes a log holds, reading it gives a log or one clear sentence, and writes nothing.

150 cases a test, 25,000 in all under the deep profile (`HYPOTHESIS_PROFILE=deep`).
"""

from __future__ import annotations

import datetime
import decimal
import json
import re
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pa = pytest.importorskip("pyarrow")

import pyarrow.parquet as pq  # noqa: E402

from curvature.rollouts.log import RolloutLog  # noqa: E402
from curvature.rollouts.readers import FORMATS, LogError, read_rollouts  # noqa: E402
from tests.logs.make_golden import GOLDEN  # noqa: E402

CASES = settings(max_examples=max(150, settings().max_examples))

TOKENS = [
    *(
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"1e999",
        b"-1e999",
        b"1e200",
        b"9" * 40,
        b"9" * 5000,
        b"null",
        b"true",
    ),
    *(b"[[1]]", b"[]", b"{}", b'{"a": {"b": 1}}', b'"x"', b'""', b"0.5", b"-1", b"\xff\xfe", b"\xef\xbb\xbf"),
    *(
        b"\r\n",
        b"\r",
        b"\n",
        b"\n\n",
        b'"',
        b",",
        b"{",
        b"}",
        b"[" * 2000,
        b"\0",
        b"\\ud800",
        b"step",
        b"reward",
    ),
    *(b"1_000", b"\xe2\x80\xa8", b"\x80\x04", b"\x1f\x8b"),
]
FILES = sorted(path for path in GOLDEN.rglob("*") if path.is_file() and path.suffix != ".pt")
TEXTS = [path for path in FILES if path.suffix in {".jsonl", ".csv"}]
BINARY = [path for path in FILES if path.suffix in {".parquet", ".gz"}]
NUMBER = re.compile(rb"-?\d+(\.\d+)?")


@st.composite
def mutations(draw):
    """A function that damages bytes in one to four ways."""
    steps = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["cut", "flip", "insert", "number", "drop", "double", "ends", "front"]),
                st.floats(0, 1),
                st.floats(0, 1),
                st.integers(0, 255),
                st.sampled_from(TOKENS),
            ),
            min_size=1,
            max_size=4,
        )
    )

    def damage(data):
        for kind, first, second, byte, token in steps:
            a, b = sorted((int(first * len(data)), int(second * len(data))))
            if kind == "cut":
                data = data[:a]
            elif kind == "flip" and data:
                data = data[: a - 1] + bytes([byte]) + data[a:] if a else bytes([byte]) + data[1:]
            elif kind == "insert":
                data = data[:a] + token + data[a:]
            elif kind == "number":
                found = list(NUMBER.finditer(data))
                if found:
                    span = found[int(first * (len(found) - 1))]
                    data = data[: span.start()] + token + data[span.end() :]
            elif kind == "drop":
                data = data[:a] + data[min(b, a + 400) :]
            elif kind == "double":
                data = data[:b] + data[a:b][:4000] + data[b:]
            elif kind == "ends":
                data = data.replace(b"\n", b"\r\n" if byte % 2 else b"\r")
            elif kind == "front":
                data = token + data
        return data

    return damage


@st.composite
def arguments(draw):
    """What a user might ask for."""
    if draw(st.integers(0, 3)):
        return {"strict": draw(st.booleans())}
    names = ["step", "group", "reward", "advantage", "input", "score", "nothing", "prompt"]
    by_name = st.dictionaries(st.sampled_from(names), st.floats(), max_size=2)
    return {
        "format": draw(st.sampled_from(["auto", *(name for name in FORMATS if name != "slime")])),
        "columns": draw(
            st.none() | st.dictionaries(st.sampled_from(names[:4]), st.sampled_from(names), max_size=3)
        ),
        "reward_weights": draw(st.none() | st.lists(st.floats(), max_size=2) | by_name),
        "group_size": draw(st.none() | st.integers(1, 9)),
        "strict": draw(st.booleans()),
    }


def outcome(folder: Path, **arguments) -> None:
    """Read a folder; whatever comes of it must be sound."""
    before = {path: path.stat().st_size for path in folder.rglob("*")}
    log, sentence = None, "none"
    try:
        log = read_rollouts(folder, **arguments)
    except LogError as error:
        sentence = str(error)
    assert {path: path.stat().st_size for path in folder.rglob("*")} == before
    assert len(sentence) < 2000
    assert "\n" not in sentence
    if log is not None:
        check(log)


def check(log: RolloutLog) -> None:
    """A log that was read must be whole: what is not a number was left out and counted."""
    table = log.groups
    assert len(table)
    assert (table.size >= 1).all()
    assert (table.missing >= 0).all()
    assert np.isfinite(table.mean).all()
    assert np.isfinite(table.variance).all()
    assert (table.variance >= 0).all()
    assert (table.low <= table.high).all()
    assert ((table.variance == 0) | (table.low < table.high)).all()
    assert (np.diff(table.step) >= 0).all()
    assert len(set(zip(table.step.tolist(), table.group.tolist(), strict=True))) == len(table)
    assert len(log.sample) <= table.size.sum() + table.missing.sum() + log.sample.reward.size
    assert log.bad_rows >= len(log.first_bad_rows)
    assert all(bad.reason for bad in log.first_bad_rows)
    assert log.why.endswith(".")


def in_folder(source: Path, data: bytes, **arguments) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, *source.relative_to(GOLDEN).parts[1:])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        outcome(Path(name), **arguments)


@CASES
@given(st.sampled_from(TEXTS), mutations(), arguments())
def test_a_damaged_text_file_is_a_log_or_a_sentence(source, damage, asked):
    in_folder(source, damage(source.read_bytes()), **asked)


@CASES
@given(st.sampled_from(BINARY), mutations(), arguments())
def test_a_damaged_binary_file_is_a_log_or_a_sentence(source, damage, asked):
    in_folder(source, damage(source.read_bytes()), **asked)


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(),
    st.floats(),
    st.text(max_size=4),
    st.sampled_from(["1", "0.5", "NaN", "", " 7 ", "1e400", 10**25, -(2**63), 2**63, 1e150, 5e-324]),
)
CELLS = VALUES | st.lists(VALUES, max_size=2) | st.dictionaries(st.sampled_from("ab"), VALUES, max_size=2)
NAMES = [
    *(
        "step",
        "group",
        "reward",
        "advantage",
        "prompt",
        "completion",
        "input",
        "output",
        "score",
        "uid",
        "idx",
    ),
    *(
        "rewards",
        "input_lengths",
        "advantages",
        "traces",
        "iteration",
        "group_idx",
        "traj_idx",
        "total_reward",
    ),
    *("sample_idx", "prompt_idx"),
]
RECORDS = st.lists(
    st.fixed_dictionaries(
        {"step": CELLS, "group": CELLS, "reward": CELLS}, optional=dict.fromkeys(NAMES[3:], CELLS)
    ),
    max_size=6,
)
NAMED = ["a.jsonl", "7.jsonl", "traces.jsonl", "completions.jsonl", "train_data_step3.jsonl"]


@CASES
@given(
    RECORDS,
    st.sampled_from(NAMED),
    arguments(),
)
def test_lines_of_json_with_any_values_are_a_log_or_a_sentence(records, name, asked):
    with tempfile.TemporaryDirectory() as folder:
        text = "".join(json.dumps(record) + "\n" for record in records)
        Path(folder, name).write_text(text, encoding="utf-8")
        outcome(Path(folder), **asked)


COLUMNS = [
    pa.array([1, 2, None], pa.int8()),
    pa.array([1, 1, 1], pa.int64()),
    pa.array([1, 2**64 - 1, 2**64 - 1], pa.uint64()),
    pa.array([1.0, None, float("inf")], pa.float32()),
    pa.array([1.0, 0.5, float("nan")], pa.float16()),
    pa.array([0.0, 1.0, 1.0]),
    pa.array([True, None, False]),
    pa.array(["a", "", None]),
    pa.array(["a", "b", "a"], pa.large_string()),
    pa.array([b"\xff", b"a", b"a"], pa.binary()),
    pa.array(["1", "x", "NaN"]).dictionary_encode(),
    pa.array([1, 2, 1]).dictionary_encode(),
    pa.array([decimal.Decimal("0.5"), None, decimal.Decimal("1.0")]),
    pa.array([datetime.datetime(2026, 1, 1), None, datetime.datetime(2026, 1, 2)]),
    pa.array([[1.0], [1.0, 2.0], None]),
    pa.array([{"role": "user", "content": "q"}, None, {"role": "user", "content": "q"}]),
    pa.nulls(3),
    pa.array([datetime.timedelta(1), None, datetime.timedelta(2)]),
]


@CASES
@given(
    st.dictionaries(st.sampled_from([*NAMES[:6], "x"]), st.sampled_from(COLUMNS), min_size=1),
    st.sampled_from(["a.parquet", "completions_00003.parquet"]),
    st.sampled_from([None, 1, 2]),
    arguments(),
)
def test_parquet_columns_of_any_type_are_a_log_or_a_sentence(table, name, row_group_size, asked):
    with tempfile.TemporaryDirectory() as folder:
        pq.write_table(pa.table(table), Path(folder, name), row_group_size=row_group_size)
        outcome(Path(folder), **asked)


CSV_CELLS = ["0", "1", "0.5", "a", "", "NaN", "inf", '"q\n"', '"', "1e999", "é", "None", "1,1"]
HEADS = ["step,group,reward", "reward,group", "step,prompt,reward,advantage", "step,step,reward", "a,b", ""]


@CASES
@given(
    st.lists(st.lists(st.sampled_from(CSV_CELLS), max_size=4), max_size=9),
    st.sampled_from(HEADS),
    st.sampled_from(["\n", "\r\n", "\r"]),
    arguments(),
)
def test_csv_cells_of_any_kind_are_a_log_or_a_sentence(rows, head, end, asked):
    with tempfile.TemporaryDirectory() as folder:
        text = end.join([head, *(",".join(row) for row in rows)])
        Path(folder, "log.csv").write_text(text, encoding="utf-8", newline="")
        outcome(Path(folder), **asked)


@settings(max_examples=max(30, settings().max_examples // 50))
@given(st.sampled_from(sorted((GOLDEN / "slime").glob("*.pt"))), mutations())
def test_a_damaged_torch_file_is_a_log_or_a_sentence(source, damage):
    pytest.importorskip("torch")
    in_folder(source, damage(source.read_bytes()))
