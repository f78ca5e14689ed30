"""Folding a stream of rows gives what numpy gives for each group, whatever the order, the batches and the merging."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from curvature.rollouts import aggregate
from curvature.rollouts._keys import hash_buffer, hash_texts, mixed
from curvature.rollouts._sample import StepSample
from curvature.rollouts.aggregate import Folder, fold
from curvature.rollouts.log import RolloutLog


def folded(rows, size):
    folder = Folder()
    for start in range(0, rows[0].size, size):
        folder.add(*(column[start : start + size] for column in rows))
    return folder


def random_rows(seed, number=3000, *, shuffled=False, missing=0.0, offset=0.0):
    rng = np.random.default_rng(seed)
    step = np.sort(rng.integers(0, 20, number))
    group = rng.integers(0, 15, number) if shuffled else np.arange(number) // 7
    reward = rng.standard_normal(number) + offset
    reward[rng.random(number) < missing] = np.nan
    if shuffled:
        order = rng.permutation(number)
        step, group, reward = step[order], group[order], reward[order]
    return step, group, reward


def expected(step, group, reward):
    """Each group by numpy alone, in the order of (step, first appearance)."""
    keys = list(dict.fromkeys(zip(step.tolist(), group.tolist(), strict=True)))
    lines = []
    for s, g in sorted(keys, key=lambda key: key[0]):
        r = reward[(step == s) & (group == g)]
        known = r[~np.isnan(r)]
        if known.size:
            missing = r.size - known.size
            lines.append((s, g, known.size, missing, known.mean(), known.var(), known.min(), known.max()))
    return [np.array(column) for column in zip(*lines, strict=True)]


def columns(table):
    return [
        table.step,
        table.group,
        table.size,
        table.missing,
        table.mean,
        table.variance,
        table.low,
        table.high,
    ]


@pytest.mark.parametrize("size", [1, 3, 7, 64, 1000, 3000])
@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_any_batches_give_the_groups_of_numpy(size, shuffled, missing):
    rows = random_rows(size, shuffled=shuffled, missing=missing)
    table, lost = folded(rows, size).table()
    wanted = expected(*rows)
    for ours, theirs in zip(columns(table), wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-13)
    all_groups = len(set(zip(rows[0].tolist(), rows[1].tolist(), strict=True)))
    assert len(table) + lost == all_groups


@pytest.mark.parametrize("shuffled", [False, True])
def test_merged_halves_are_the_whole(shuffled):
    rows = random_rows(5, shuffled=shuffled, missing=0.1)
    first, second = (
        folded(tuple(c[half] for c in rows), 100) for half in (slice(0, 1499), slice(1499, None))
    )
    first.merge(second)
    for ours, theirs in zip(columns(first.table()[0]), columns(folded(rows, 3000).table()[0]), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("size", [1, 5, 4000])
def test_the_variance_keeps_its_digits_far_from_zero(size):
    rng = np.random.default_rng(2)
    group = np.tile(np.arange(500), 8)
    reward = 1e8 + rng.integers(0, 1000, 4000) / 1024
    table, _ = folded((np.zeros(4000, dtype=int), group, reward), size).table()
    for g in range(0, 500, 50):
        exact = [Fraction(r) for r in reward[group == g].tolist()]
        mean = sum(exact) / 8
        variance = float(sum((r - mean) ** 2 for r in exact) / 8)
        # The mean is rounded to 1.5e-8, which is all that the variance may feel, squared.
        assert math.isclose(table.variance[g], variance, rel_tol=1e-7)


@pytest.mark.parametrize("value", [0.1, 0.7, 1e8 + 0.1, -3.3])
def test_equal_rewards_have_variance_zero_and_their_own_value_as_mean(value):
    rows = np.zeros(24, dtype=int), np.tile([0, 1, 2], 8), np.full(24, value)
    for size in (1, 5, 24):
        table, _ = folded(rows, size).table()
        assert table.variance.tolist() == [0, 0, 0]
        assert table.mean.tolist() == [value] * 3
        assert table.is_silent.all()


def test_zeros_and_ones_count_exactly_however_they_are_split():
    rng = np.random.default_rng(3)
    group, reward = rng.integers(0, 40, 5000), (rng.random(5000) < 0.3).astype(float)
    for size in (1, 17, 5000):
        table, _ = folded((np.zeros(5000, dtype=int), group, reward), size).table()
        successes = np.bincount(group, weights=reward)[table.group]
        np.testing.assert_array_equal(np.rint(table.mean * table.size), successes)
        log = RolloutLog("x", "x", (), {}, table, None)  # pyright: ignore[reportArgumentType]
        assert log.reward_values == (0.0, 1.0)
        np.testing.assert_array_equal(log.success_counts, successes)


def test_waiting_lines_are_merged_on_the_way_and_change_nothing(monkeypatch):
    rows = random_rows(11, shuffled=True)
    whole, _ = fold(*rows)
    monkeypatch.setattr(aggregate, "_WAITING", 50)
    folder = folded(rows, 10)
    assert sum(len(part) for part in folder._parts) < 1000
    for ours, theirs in zip(columns(folder.table()[0]), columns(whole), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)


def test_reading_the_table_twice_or_between_rows_is_harmless():
    rows = random_rows(12, shuffled=True)
    folder = Folder()
    folder.add(*(column[:1000] for column in rows))
    folder.table()
    folder.add(*(column[1000:] for column in rows))
    first, second = folder.table()[0], folder.table()[0]
    np.testing.assert_array_equal(first.mean, second.mean)
    np.testing.assert_allclose(first.mean, fold(*rows)[0].mean, rtol=1e-12, atol=1e-14)


def test_no_rows_make_an_empty_table():
    table, lost = Folder().table()
    assert (len(table), lost) == (0, 0)


def test_groups_without_a_number_are_left_out_and_counted():
    table, lost = fold(
        np.zeros(4, dtype=int), np.array([0, 0, 1, 1]), np.array([np.nan, np.nan, 1.0, np.nan])
    )
    assert (table.group.tolist(), table.missing.tolist(), lost) == ([1], [1], 1)


def test_a_sample_holds_whole_steps_whatever_the_order():
    rng = np.random.default_rng(4)
    step = np.repeat(np.arange(300), 50)
    for order in (np.arange(step.size), rng.permutation(step.size)):
        sample = StepSample(budget=2000)
        rows = step[order], step[order] * 0, rng.random(step.size)
        for start in range(0, step.size, 777):
            sample.add(*(column[start : start + 777] for column in rows), None)
        kept, cut = sample.rows(fold(*rows)[0])
        steps, counts = np.unique(kept.step, return_counts=True)
        assert cut is None
        assert set(counts.tolist()) == {50}
        assert 20 <= steps.size <= 40
        assert rows[0][0] in steps
    # 40 of 300 steps drawn evenly: all lie in one half with probability 2⁻³⁹.
    assert steps.min() < 150 < steps.max()


def test_a_step_beyond_the_budget_is_cut_to_whole_groups():
    step, group = np.zeros(5000, dtype=int), np.arange(5000) // 7
    sample = StepSample(budget=1000)
    for start in range(0, 5000, 300):
        here = slice(start, start + 300)
        sample.add(step[here], group[here], np.ones(300)[: step[here].size], None)
    kept, cut = sample.rows(fold(step, group, np.ones(5000))[0])
    assert cut == 0
    assert len(kept) == 994
    assert set(np.bincount(kept.group).tolist()) == {7}


def test_a_sample_keeps_advantages_and_marks_those_that_are_not_there():
    sample = StepSample()
    one = np.zeros(2, dtype=int)
    sample.add(one, one, np.ones(2), np.array([1.0, -1.0]))
    sample.add(one, one, np.ones(2), None)
    kept, _ = sample.rows(fold(one, one, np.ones(2))[0])
    np.testing.assert_array_equal(kept.advantage, [1, -1, np.nan, np.nan])


def test_hashes_depend_on_the_text_alone():
    rng = np.random.default_rng(6)
    texts = [rng.integers(0, 256, size).astype(np.uint8).tobytes() for size in rng.integers(0, 70, 500)]
    whole = hash_texts(texts)
    assert [hash_texts([text])[0] for text in texts] == whole.tolist()
    order = rng.permutation(len(texts))
    np.testing.assert_array_equal(hash_texts([texts[i] for i in order]), whole[order])
    assert len(set(whole.tolist())) == len(set(texts))


def test_hashes_of_near_texts_differ():
    # 200,000 texts collide by chance with probability 1e-9.
    texts = [f"What is {i} + {j}?".encode() for i in range(400) for j in range(250)]
    texts += [b"\0" * i for i in range(100)] + [
        b"What is the sum? " * 9 + f"{i}".encode() for i in range(100_000)
    ]
    assert np.unique(hash_texts(texts)).size == len(set(texts))
    assert hash_buffer(np.empty(0, dtype=np.uint8), np.zeros(1, dtype=np.int64)).size == 0


def test_scrambling_is_one_to_one():
    assert np.unique(mixed(np.arange(-50_000, 50_000))).size == 100_000
