"""Nothing bad in a log passes unsaid, and nothing bad ends in a traceback."""

from __future__ import annotations

import gzip
import json
import pickle

import numpy as np
import pytest

pytest.importorskip("pyarrow")

import pyarrow as pa
import pyarrow.parquet as pq

from curvature.rollouts import _streams
from curvature.rollouts.readers import LogError, read_rollouts
from tests.unit.written_logs import codes, lines, row


def test_json_lines_of_every_odd_kind_are_counted_and_shown(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(
        b"\n".join([
            json.dumps(row()).encode(),
            b'{"step": 0, "group": 0, "rew',
            json.dumps(row(reward="high")).encode(),
            b'{"step": 0, "group": 0, "reward": Infinity}',
            b'{"step": 0, "group": 0, "reward": NaN}',
            b'{"step": 0, "group": 0, "reward": null}',
            json.dumps({"step": 0, "reward": 1.0}).encode(),
            b'{"step": 0, "group": "\xff", "reward": 1}',
            json.dumps(row(step=0.5)).encode(),
            json.dumps(row(step=10**30)).encode(),
            b"[1, 2]",
            b"",
            b"[" * 100_000,
            json.dumps(row(reward=[1])).encode(),
            json.dumps(row(reward=10**200)).encode(),
            json.dumps(row(reward=True)).encode(),
            b'{"step": 0, "gro',
        ])
    )
    log = read_rollouts(path)
    assert log.num_rollouts == 2
    assert log.bad_rows == 11
    assert len(log.first_bad_rows) == 10
    reasons = {bad.line: bad.reason for bad in log.first_bad_rows}
    expected = {
        2: "not JSON", 3: "'high', not a number", 4: "infinite", 7: "group is missing", 8: "not UTF-8",
        9: "0.5, not a whole number", 10: "beyond 64 bits", 11: "no JSON object", 13: "nested", 14: "[1], not a number",
    }  # fmt: skip
    assert reasons.keys() == expected.keys()
    assert all(text in reasons[line] for line, text in expected.items()), reasons
    assert codes(log) == {"missing_rewards": 2, "unfinished_line": 1}
    with pytest.raises(LogError, match="line 2: the line is not JSON"):
        read_rollouts(path, strict=True)


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_infinite_rewards_are_bad_rows_and_missing_ones_are_not(tmp_path, suffix):
    path = tmp_path / f"log.{suffix}"
    rewards = [1.0, float("inf"), float("nan"), None, 0.0, -float("inf")]
    if suffix == "parquet":
        pq.write_table(pa.table({"step": [0] * 6, "group": ["a"] * 6, "reward": rewards}), path)
    elif suffix == "csv":
        path.write_text("step,group,reward\n" + "".join(f"0,a,{reward}\n" for reward in rewards))
    else:
        lines(path, *(row(group="a", reward=reward) for reward in rewards))
    log = read_rollouts(path)
    offset = suffix == "csv"
    assert [(bad.line - offset, bad.reason) for bad in log.first_bad_rows] == [
        (2, "the reward is infinite"),
        (6, "the reward is infinite"),
    ]
    assert (log.groups.size.tolist(), log.groups.missing.tolist()) == ([2], [2])


def test_a_csv_file_with_a_cell_of_the_wrong_type_is_read_around_it(tmp_path):
    good = "".join(f"{i // 8},{i // 4},{i % 3 == 0:d}\n" for i in range(4000))
    path = tmp_path / "log.csv"
    path.write_text(f"step,group,reward\n{good}1,x,oops\n1,2\n1,2,1,1\n{good}")
    log = read_rollouts(path)
    assert log.num_rollouts == 8000
    assert [(bad.line, bad.reason[:24]) for bad in log.first_bad_rows] == [
        (4002, "the reward is 'oops', no"),
        (4003, "the row has 2 cells wher"),
        (4004, "the row has 4 cells wher"),
    ]
    clean = tmp_path / "clean.csv"
    clean.write_text(f"step,group,reward\n{good}{good}")
    np.testing.assert_array_equal(read_rollouts(clean).groups.group, log.groups.group)


def test_csv_rows_that_are_not_utf8_are_read_or_counted(tmp_path):
    path = tmp_path / "log.csv"
    path.write_bytes(b"step,group,reward,text\n0,\xe9,1,\xff\n0,\xe9,0,\xff\n0,\xba\n0,\xea,1,x\n")
    log = read_rollouts(path)
    assert (log.groups.size.tolist(), log.bad_rows) == ([2, 1], 1)


def test_messages_stay_on_one_line_whatever_a_log_holds(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"a\\nb\\u001b[31m": 1}\n')
    with pytest.raises(LogError) as raised:
        read_rollouts(path)
    assert str(raised.value).isprintable()


def test_a_line_beyond_the_limit_is_skipped_and_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(_streams, "LINE_LIMIT", 1 << 16)
    monkeypatch.setattr(_streams, "_CHUNK", 1 << 12)
    path = lines(
        tmp_path / "log.jsonl", row(), row(text="x" * (1 << 18)), row(reward=0.0), row(text="y" * 5000)
    )
    log = read_rollouts(path)
    assert log.num_rollouts == 3
    assert [(bad.line, bad.reason[:18]) for bad in log.first_bad_rows] == [(2, "the line is longer")]


def test_a_line_longer_than_a_block_is_read(tmp_path):
    path = lines(tmp_path / "log.jsonl", *(row(reward=float(i), text="x" * (3 << 20)) for i in range(3)))
    assert read_rollouts(path).groups.size.tolist() == [3]


def test_a_gzip_that_breaks_off_gives_the_rows_before(tmp_path):
    rng = np.random.default_rng(0)
    text = "".join(json.dumps(row(i // 8, i // 4, float(r))) + "\n" for i, r in enumerate(rng.random(4000)))
    data = gzip.compress(text.encode())
    path = tmp_path / "log.jsonl.gz"
    path.write_bytes(data[: len(data) // 2])
    log = read_rollouts(path)
    assert 1000 < log.num_rollouts < 3000
    assert log.first_bad_rows[0].reason.startswith("the gzip stream breaks off")
    assert codes(log)["skipped_files"] == 1


def test_a_truncated_parquet_file_is_an_error_alone_and_a_note_among_others(tmp_path):
    table = pa.table({"step": [1] * 4, "group": [1] * 4, "reward": [0.0, 1.0] * 2})
    pq.write_table(table, tmp_path / "log_1.parquet")
    broken = tmp_path / "log_2.parquet"
    broken.write_bytes((tmp_path / "log_1.parquet").read_bytes()[:200])
    with pytest.raises(LogError, match="no complete parquet file"):
        read_rollouts(broken)
    log = read_rollouts(tmp_path)
    assert log.num_rollouts == 4
    assert "skipped_files" in codes(log)


def test_pickles_are_refused_whatever_their_name(tmp_path):
    for name in ("log.pkl", "log.jsonl"):
        (tmp_path / name).write_bytes(pickle.dumps([row()]))
        with pytest.raises(LogError, match=r"is a pickle.*lines of JSON"):
            read_rollouts(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty"),
        ("\n\n", "no column that is the reward"),
        ('{"a": 1}\n', "no column that is the reward"),
        ('{"reward": 1, "step": 0}\n', "no column that is the group"),
        ('{"step": 0, "group": 0, "reward": null}\n', "no rollout has a reward"),
        ('{"step": "x", "group": 0, "reward": 1}\n', "not one row can be read"),
    ],
)
def test_a_log_without_rows_is_an_error_in_one_sentence(tmp_path, text, sentence):
    path = tmp_path / "log.jsonl"
    path.write_text(text)
    with pytest.raises(LogError, match=sentence) as raised:
        read_rollouts(path)
    assert "\n" not in str(raised.value)


def test_a_line_that_is_null_is_a_bad_row_and_no_crash(tmp_path):
    log = read_rollouts(lines(tmp_path / "log.jsonl", "null", row(), "null", row()))
    assert (log.num_rollouts, log.bad_rows) == (2, 2)
    assert log.first_bad_rows[0].reason == "the line holds no JSON object"


def test_wrong_arguments_are_errors_that_name_them(tmp_path):
    path = lines(tmp_path / "log.jsonl", row())
    for arguments, sentence in [
        ({"format": "vrel"}, "format='vrel' is unknown"),
        ({"format": "trl"}, "is jsonl, but the format trl is parquet"),
        ({"format": "verl"}, "is no verl log: it has no column input"),
        ({"columns": {"rewrad": "x"}}, "the role 'rewrad'"),
        ({"columns": {"reward": "x"}}, "has no column 'x'"),
        ({"group_size": 0}, "group_size=0"),
        ({"reward_weights": {"reward": float("nan")}}, "no finite number"),
    ]:
        with pytest.raises(LogError, match=sentence):
            read_rollouts(path, **arguments)
    with pytest.raises(LogError, match="does not exist"):
        read_rollouts(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(LogError, match="holds no file of a kind"):
        read_rollouts(tmp_path / "empty")


def test_a_torch_file_that_needs_code_to_load_is_refused(tmp_path):
    torch = pytest.importorskip("torch")
    data = {"rollout_id": 1, "samples": [{"group_index": 0, "reward": np.float64(1.0)}]}
    torch.save(data, tmp_path / "rollout_1.pt")
    with pytest.raises(LogError, match="weights_only=True"):
        read_rollouts(tmp_path / "rollout_1.pt")
