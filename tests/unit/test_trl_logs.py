"""Logs that the real GRPOTrainer wrote are read, their convention named and their advantages reproduced.

The logs are committed with the versions that made them (tests/logs/trl_real/README.md); no trl is needed here.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from curvature.advantages import group_advantages
from curvature.rollouts.convention import identify_convention
from curvature.rollouts.readers import read_rollouts

pq = pytest.importorskip("pyarrow.parquet")

LOGS = Path(__file__).parents[1] / "logs" / "trl_real"
WEIGHTS = {
    "group": {"digits": 1.0},
    "batch": {"digits": 1.0, "brevity": 0.25},
    "none": {"vowels": 0.75, "brevity": 0.5},
}
PRESETS = {"group": "trl", "batch": "trl_batch", "none": "trl_none"}
each_setting = pytest.mark.parametrize("setting", WEIGHTS)


def _trl_log(setting):
    return read_rollouts(LOGS / setting / "completions", reward_weights=WEIGHTS[setting], group_size=8)


def _callback_log(setting):
    return read_rollouts(LOGS / setting / "rollouts.jsonl")


def _recorded(setting):
    return [json.loads(line) for line in (LOGS / setting / "rollouts.jsonl").read_text().splitlines()]


each_log = pytest.mark.parametrize("read", [_trl_log, _callback_log], ids=["trl", "callback"])


@each_log
@each_setting
def test_the_logs_are_read_whole(read, setting):
    log = read(setting)
    steps = [2, 4] if (read, setting) == (_trl_log, "none") else [1, 2, 3, 4]
    assert log.format == ("trl" if read is _trl_log else "jsonl")
    assert log.bad_rows == 0
    assert log.steps.tolist() == steps
    assert (log.groups.size + log.groups.missing).tolist() == [8] * 4 * len(steps)
    assert log.sample.reward.size == 32 * len(steps)
    assert log.groups.missing.sum() == (0 if setting != "none" else np.isnan(log.sample.reward).sum())


@each_log
@each_setting
def test_the_convention_is_named(read, setting):
    finding = identify_convention(read(setting))
    assert PRESETS[setting] in finding.presets
    # ms_swift computes what trl does by default: no log can tell those two apart.
    assert set(finding.presets) <= {PRESETS[setting], "ms_swift"}
    assert finding.status == ("ambiguous" if setting == "group" else "identified")
    assert finding.factor == 1
    assert finding.second_pass is None


@each_log
@each_setting
def test_the_presets_reproduce_the_advantage_column_to_float32(read, setting):
    sample = read(setting).sample
    for step in np.unique(sample.step):
        rows = sample.step == step
        computed = group_advantages(sample.reward[rows], sample.group[rows], PRESETS[setting])
        logged = sample.advantage[rows]
        scale = np.abs(logged).max()
        np.testing.assert_allclose(computed, logged, rtol=0, atol=4 * np.finfo(np.float32).eps * scale)


@each_setting
def test_no_other_scaling_reproduces_it(setting):
    sample = _callback_log(setting).sample
    rows = sample.step == 4
    for other in set(PRESETS.values()) - {PRESETS[setting]}:
        computed = group_advantages(sample.reward[rows], sample.group[rows], other)
        assert np.abs(computed - sample.advantage[rows]).max() > 0.01


@each_setting
def test_the_callback_recorded_what_trl_logged(setting):
    recorded = _recorded(setting)
    files = sorted((LOGS / setting / "completions").glob("*.parquet"))
    assert len(files) == (2 if setting == "none" else 4)
    for file in files:
        table = pq.read_table(file)
        step = table["step"][0].as_py()
        rows = [row for row in recorded if row["step"] == step]
        assert [row["advantage"] for row in rows] == table["advantage"].to_pylist()
        scores = np.array([table[name] for name in WEIGHTS[setting]], dtype=float)
        total = np.nansum(scores * np.array([*WEIGHTS[setting].values()])[:, None], axis=0)
        total[np.isnan(scores).all(axis=0)] = np.nan
        rewards = [np.nan if row["reward"] is None else row["reward"] for row in rows]
        np.testing.assert_allclose(rewards, total, rtol=3e-7, atol=1e-9)


def test_the_logs_hold_rollouts_that_no_function_scored():
    unscored = [row for row in _recorded("none") if row["reward"] is None]
    assert len(unscored) >= 2
    assert {row["advantage"] for row in unscored} == {0.0}


def test_the_logs_are_small_and_say_what_made_them():
    files = [file for file in LOGS.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 200_000
    assert "trl 1.16.0" in (LOGS / "README.md").read_text()
