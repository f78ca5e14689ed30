"""Every layout reads to the same groups, is recognised for a reason, and nothing bad passes unsaid."""

from __future__ import annotations

import gzip
import time
from collections import Counter

import numpy as np
import pytest

pytest.importorskip("pyarrow")

import pyarrow as pa
import pyarrow.parquet as pq

from curvature.advantages import PRESETS, group_advantages
from curvature.rollouts.log import RolloutLog
from curvature.rollouts.readers import FORMATS, LogError, read_rollouts
from curvature.rollouts.recorder import Recorder
from tests.logs import make_golden
from tests.unit.written_logs import codes, lines, row

LAYOUTS = list(make_golden.WRITERS)


def golden(name):
    if name == "slime":
        pytest.importorskip("torch")
    return make_golden.GOLDEN / name


def groups_of_run():
    """The groups of the golden run: how often each has which rewards, by step."""
    correct, tidy = make_golden.rewards()
    return {
        step: Counter(tuple(sorted(group)) for group in (correct + tidy)[i].tolist())
        for i, step in enumerate(make_golden.STEPS)
    }


def groups_of_sample(log: RolloutLog):
    sample, found = log.sample, {}
    for step in np.unique(sample.step):
        here = sample.step == step
        found[int(step)] = Counter(
            tuple(sorted(sample.reward[here & (sample.group == group)].tolist()))
            for group in np.unique(sample.group[here])
        )
    return found


def test_there_is_a_golden_log_for_every_format():
    assert set(LAYOUTS) == set(FORMATS)


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_is_recognised_and_reads_to_the_same_groups(name):
    log = read_rollouts(golden(name))
    assert log.format == name
    assert name in log.why
    assert log.bad_rows == 0
    assert groups_of_sample(log) == groups_of_run()
    assert log.groups.step.tolist() == np.repeat(make_golden.STEPS, make_golden.PROMPTS).tolist()
    assert set(log.groups.size.tolist()) == {make_golden.SIZE}
    assert log.preset is None or log.preset in PRESETS


@pytest.mark.parametrize("name", LAYOUTS)
def test_naming_the_format_gives_what_recognising_it_gives(name):
    path = golden(name)
    auto, named = read_rollouts(path), read_rollouts(path, format=name)
    for column in ("step", "group", "mean", "variance"):
        np.testing.assert_array_equal(getattr(auto.groups, column), getattr(named.groups, column))


@pytest.mark.parametrize(
    "name", [name for name in LAYOUTS if name not in {"verl", "verl_legacy", "tinker_cookbook", "slime"}]
)
def test_logged_advantages_are_those_of_the_trainers_preset(name):
    sample, preset = read_rollouts(golden(name)).sample, read_rollouts(golden(name)).preset or "grpo"
    assert sample.advantage is not None
    for step in make_golden.STEPS:
        here = sample.step == step
        expected = group_advantages(sample.reward[here], sample.group[here], preset)
        np.testing.assert_allclose(sample.advantage[here], expected, atol=1e-12)


def test_making_the_golden_logs_anew_gives_the_same(tmp_path):
    torch = pytest.importorskip("torch")
    make_golden.main(tmp_path)
    old = sorted(
        path.relative_to(make_golden.GOLDEN) for path in make_golden.GOLDEN.rglob("*") if path.is_file()
    )
    assert old == sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    for name in old:
        ours, theirs = tmp_path / name, make_golden.GOLDEN / name
        if name.suffix == ".parquet":
            assert pq.read_table(ours).equals(pq.read_table(theirs)), name
        elif name.suffix == ".pt":
            assert torch.load(ours, weights_only=True) == torch.load(theirs, weights_only=True), name
        elif name.suffix == ".gz":
            assert gzip.decompress(ours.read_bytes()) == gzip.decompress(theirs.read_bytes()), name
        else:
            assert ours.read_bytes() == theirs.read_bytes(), name


def test_golden_logs_are_small():
    assert sum(path.stat().st_size for path in make_golden.GOLDEN.rglob("*") if path.is_file()) < 300_000


def test_files_are_read_in_the_order_of_their_numbers(tmp_path):
    for step in (10, 2, 1):
        lines(tmp_path / f"{step}.jsonl", *[{"input": "q", "output": "", "score": 1.0, "step": step}] * 2)
    assert [path.name for path in read_rollouts(tmp_path).files] == ["1.jsonl", "2.jsonl", "10.jsonl"]


def test_rewards_of_trl_are_summed_with_weights_and_none_is_left_out(tmp_path):
    table = pa.table({
        "step": [3] * 4,
        "prompt": ["q"] * 4,
        "completion": [""] * 4,
        "right": [1.0, None, None, 0.0],
        "short": [0.5, 0.5, None, 1.0],
        "tokens": [1, 2, 3, 4],
        "advantage": [0.0] * 4,
    })
    pq.write_table(table, tmp_path / "completions_00003.parquet")
    log = read_rollouts(tmp_path)
    np.testing.assert_array_equal(log.sample.reward, [1.5, 0.5, np.nan, 1.0])
    assert log.columns["reward"] == "right + short"
    assert "right + short" in log.why
    assert codes(log)["missing_rewards"] == 1
    for weights in ([2, 1], {"right": 2, "short": 1}):
        weighted = read_rollouts(tmp_path, reward_weights=weights)
        np.testing.assert_array_equal(weighted.sample.reward, [2.5, 0.5, np.nan, 1.0])
    with pytest.raises(LogError, match="has 3 entries"):
        read_rollouts(tmp_path, reward_weights=[1, 1, 1])
    with pytest.raises(LogError, match="names tall"):
        read_rollouts(tmp_path, reward_weights={"tall": 1})


def test_text_keys_are_one_group_across_batches_files_and_containers(tmp_path):
    names = [f"prompt {i // 4} é" for i in range(40)]
    rewards = [float(i % 3 == 0) for i in range(40)]
    table = pa.table({"step": [0] * 40, "group": names, "reward": rewards})
    pq.write_table(table, tmp_path / "a.parquet")
    pq.write_table(table.take(list(range(39, -1, -1))), tmp_path / "b.parquet", row_group_size=7)
    lines(tmp_path / "c.jsonl", *(row(0, name, reward) for name, reward in zip(names, rewards, strict=True)))
    lines(
        tmp_path / "d.jsonl",
        "{",
        *(row(0, name, reward) for name, reward in zip(names, rewards, strict=True)),
    )
    tables = [
        read_rollouts(tmp_path / name).groups for name in ("a.parquet", "b.parquet", "c.jsonl", "d.jsonl")
    ]
    for other in tables[1:]:
        a, b = np.argsort(tables[0].group), np.argsort(other.group)
        for column in ("group", "size", "mean", "variance"):
            ours, theirs = getattr(tables[0], column)[a], getattr(other, column)[b]
            np.testing.assert_allclose(ours, theirs, rtol=0 if column == "group" else 1e-15)


def test_two_readings_of_a_directory_are_named_and_the_user_chooses(tmp_path):
    lines(tmp_path / "log.jsonl", row(), row())
    (tmp_path / "log.csv").write_text("step,group,reward\n0,0,1\n")
    with pytest.raises(LogError, match=r"may be csv or jsonl: say which with format \(--format\)"):
        read_rollouts(tmp_path)
    assert read_rollouts(tmp_path, format="jsonl").num_rollouts == 2


def test_columns_name_the_roles_of_any_table(tmp_path):
    path = lines(tmp_path / "log.jsonl", *({"t": 1, "q": "a", "points": p, "A": p - 1} for p in (0, 1, 2)))
    log = read_rollouts(path, columns={"step": "t", "group": "q", "reward": "points", "advantage": "A"})
    assert log.groups.mean.tolist() == [1.0]
    assert log.sample.advantage is not None
    assert log.sample.advantage.tolist() == [-1, 0, 1]
    assert not log.groups_are_prompts


def test_consecutive_rows_are_cut_into_groups_across_batches(tmp_path):
    path = tmp_path / "log.parquet"
    rewards = np.arange(400_000) // 5
    pq.write_table(
        pa.table({"step": np.zeros(rewards.size, dtype=int), "reward": rewards.astype(float)}), path
    )
    log = read_rollouts(path, group_size=5)
    assert log.groups.is_silent.all()
    np.testing.assert_array_equal(log.groups.mean, np.arange(80_000))
    assert codes(log) == {"no_groups": 80_000, "split_step": 1}


def test_equal_prompts_merged_by_text_are_noticed_and_can_be_cut(tmp_path):
    prompts = ["a"] * 4 + ["b"] * 8 + ["c"] * 4 + ["d"] * 4
    records = [{"step": 0, "prompt": p, "reward": float(i % 2)} for i, p in enumerate(prompts)]
    path = lines(tmp_path / "log.jsonl", *records)
    log = read_rollouts(path)
    assert codes(log) == {"merged_prompts": 1}
    assert "group_size=4" in log.notes[0].text
    assert read_rollouts(path, group_size=4).groups.size.tolist() == [4] * 5


def test_lost_members_single_ones_and_mixed_sizes_are_noticed(tmp_path):
    def log_of(*sizes):
        records = [row(0, i, float(j % 2)) for i, size in enumerate(sizes) for j in range(size)]
        return codes(read_rollouts(lines(tmp_path / "log.jsonl", *records)))

    assert log_of(4, 4, 4) == {}
    assert log_of(4, 4, 3) == {"lost_members": 1}
    assert log_of(4, 4, 1) == {"singletons": 1}
    assert log_of(4, 4, 5) == {"mixed_sizes": 1}
    assert log_of(2, 3, 4, 5) == {"mixed_sizes": 3}


def test_a_step_in_two_files_is_noticed_unless_one_goes_on_where_the_other_ends(tmp_path):
    lines(tmp_path / "log_1.jsonl", row(1), row(2), row(3))
    lines(tmp_path / "log_2.jsonl", row(3), row(4))
    assert "split_step" not in codes(read_rollouts(tmp_path))
    lines(tmp_path / "log_2.jsonl", row(2), row(3), row(4))
    assert codes(read_rollouts(tmp_path))["split_step"] == 2


def test_equal_group_ids_of_several_files_are_different_groups(tmp_path):
    for rank, reward in ((0, 0.0), (1, 1.0)):
        lines(
            tmp_path / f"rank_{rank}.jsonl",
            *(row(s, g, reward) for s in (1, 2) for g in (0, 1) for _ in range(4)),
        )
    log = read_rollouts(tmp_path)
    assert log.groups.size.tolist() == [4] * 8
    assert log.groups.is_silent.all()
    assert codes(log) == {"split_step": 2}


def test_equal_prompts_of_several_files_are_one_group(tmp_path):
    for part in (0, 1):
        lines(
            tmp_path / f"part_{part}.jsonl", *({"step": 0, "prompt": "p", "reward": float(i)} for i in (0, 1))
        )
    assert read_rollouts(tmp_path).groups.size.tolist() == [4]


@pytest.mark.parametrize("cut", [1, 2, 3, 4])
def test_a_group_that_goes_on_in_the_next_file_stays_one(tmp_path, cut):
    rows = [row(1, 0, 1.0)] * 4 + [row(2, g, float(i)) for g in (0, 1) for i in range(4)]
    lines(tmp_path / "part_0.jsonl", *rows[: 4 + cut])
    lines(tmp_path / "part_1.jsonl", *rows[4 + cut :])
    assert read_rollouts(tmp_path).groups.size.tolist() == [4] * 3


def test_a_step_that_a_recorder_has_not_ended_is_not_read(tmp_path):
    path = tmp_path / "rollouts.jsonl"
    with Recorder(path) as recorder:
        recorder.record(0, [0, 0, 1, 1], [1, 0, 1, 1])
        recorder.record(1, [0, 0, 1, 1], [1, 0, 1, 1])
    whole = path.read_bytes()
    second = whole.index(b'{"step": 1')
    for end in range(second, len(whole)):  # even the last line break is part of the step
        path.write_bytes(whole[:end])
        log = read_rollouts(path)
        assert log.steps.tolist() == [0]
        assert log.groups.size.tolist() == [2, 2]
        assert codes(log) == ({"unfinished_line": 1} if end > second else {})


def test_nemo_rl_asks_for_the_group_size_where_texts_do_not_tell_it(tmp_path):
    record = {"content": ["same"], "rewards": [1.0], "input_lengths": [3]}
    path = lines(tmp_path / "train_data_step3.jsonl", *(record | {"idx": i} for i in range(8)))
    with pytest.raises(LogError, match="group_size"):
        read_rollouts(path)
    log = read_rollouts(path, group_size=4)
    assert (log.groups.step.tolist(), log.groups.size.tolist()) == ([3, 3], [4, 4])


def test_seats_of_one_episode_are_groups_of_their_own_and_failed_episodes_lack_a_reward(tmp_path):
    def trace(score):
        return {"rewards": {"win": {"score": score, "weight": 2.0}, "judge": None}}

    records = [{"group": {"id": "g"}, "traces": [trace(1.0), trace(0.0)]}] * 2 + [
        {"group": {"id": "g"}, "traces": []}
    ]
    log = read_rollouts(lines(tmp_path / "traces.jsonl", *records))
    assert (log.groups.mean.tolist(), log.groups.missing.tolist()) == ([2.0, 0.0], [1, 0])


def test_rewards_of_slime_that_are_mappings_need_a_name(tmp_path):
    torch = pytest.importorskip("torch")
    samples = [{"group_index": 0, "reward": {"acc": float(i), "style": 9.0}} for i in range(3)]
    torch.save({"rollout_id": 7, "samples": samples}, tmp_path / "rollout_7.pt")
    with pytest.raises(LogError, match="name one as reward weight"):
        read_rollouts(tmp_path / "rollout_7.pt")
    log = read_rollouts(tmp_path / "rollout_7.pt", reward_weights={"acc": 1})
    assert (log.groups.step.tolist(), log.groups.mean.tolist()) == ([7], [1.0])


def test_a_million_rows_stream_within_seconds_and_match_the_fold_of_their_arrays(tmp_path):
    rng = np.random.default_rng(1)
    step, group = np.arange(1_000_000) // 512, np.arange(1_000_000) // 8 % 64
    reward = (rng.random(step.size) < 0.4).astype(float)
    pq.write_table(pa.table({"step": step, "group": group, "reward": reward}), tmp_path / "log.parquet")
    start = time.perf_counter()
    log = read_rollouts(tmp_path / "log.parquet")
    assert time.perf_counter() - start < 10
    expected = RolloutLog.from_arrays(step, group, reward).groups
    for column in ("step", "group", "size", "mean", "variance"):
        np.testing.assert_array_equal(getattr(log.groups, column), getattr(expected, column))
    sizes = np.unique(log.sample.step, return_counts=True)[1]
    assert 100_000 < len(log.sample) <= 200_000
    assert set(sizes.tolist()) <= {512, 1_000_000 % 512}
    assert log.sample.step[0] == 0


def test_a_directory_of_two_runs_is_refused_rather_than_joined(tmp_path):
    for run in ("first", "second"):
        (tmp_path / run).mkdir()
        lines(tmp_path / run / "3.jsonl", *[{"input": "q", "output": "", "score": 1.0, "step": 3}] * 2)
    with pytest.raises(LogError, match="several runs of verl_legacy: give the directory of one"):
        read_rollouts(tmp_path)
    assert read_rollouts(tmp_path / "first").num_rollouts == 2
