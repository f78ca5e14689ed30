"""Laws of group advantages on random ragged groups: symmetries, scales, bounds, and numpy = torch."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from curvature.advantages import PRESETS, Normalization, group_advantages

# Trainers share conventions: one name for each is enough. Each law is tried with all of them on every example.
_DISTINCT = sorted({convention: name for name, convention in reversed(PRESETS.items())}.values())
# Multiples of 1/64: sums, shifts and scalings by powers of two are exact, so that a law holds to rounding only.
_DYADIC = st.integers(-256, 256).map(lambda k: k / 64)
_BINARY = st.sampled_from([0.0, 1.0])


@st.composite
def batches(draw, *, smallest=1, largest=6):
    """(rewards, ids) of one to five groups whose members are scattered."""
    reward = draw(st.sampled_from([_DYADIC, _BINARY]))
    agreeing = st.builds(lambda r, size: [r] * size, reward, st.integers(smallest, largest))
    group = st.one_of(st.lists(reward, min_size=smallest, max_size=largest), agreeing)
    groups = draw(st.lists(group, min_size=1, max_size=5))
    ids = np.repeat(np.arange(len(groups)), [len(g) for g in groups])
    order = draw(st.permutations(range(ids.size)))
    return np.array([r for g in groups for r in g])[order], ids[order]


def _close(first, second, name=""):
    np.testing.assert_allclose(first, second, rtol=1e-9, atol=1e-11, err_msg=name)


def _names(*, without=(), spreads=("group", "batch", "pooled", "leave-one-out", "none")):
    return [name for name in _DISTINCT if name not in without and PRESETS[name].spread in spreads]


@given(batch=batches(), data=st.data())
def test_advantages_follow_a_permutation_of_the_rewards(batch, data):
    rewards, ids = batch
    order = np.array(data.draw(st.permutations(range(ids.size))))
    for name in _names():
        expected = group_advantages(rewards, ids, name)[order]
        _close(group_advantages(rewards[order], ids[order], name), expected, name)


@given(batch=batches(), data=st.data())
def test_advantages_do_not_depend_on_the_names_of_the_groups(batch, data):
    rewards, ids = batch
    number = int(ids.max()) + 1
    unique = {"min_size": number, "max_size": number, "unique": True}
    labels = st.one_of(
        st.lists(st.integers(-(2**62), 2**62), **unique).map(np.array),
        st.lists(st.text(max_size=3), **unique).map(lambda texts: np.array(texts, dtype=object)),
    )
    renamed = data.draw(labels)[ids]
    for name in _names():
        _close(group_advantages(rewards, renamed, name), group_advantages(rewards, ids, name), name)


@given(batch=batches(), dtype=st.sampled_from(["float32", "float64"]))
def test_numpy_and_torch_agree(batch, dtype):
    torch = pytest.importorskip("torch")
    rewards, ids = batch
    rewards = rewards.astype(dtype)
    for name in _names():
        result = group_advantages(torch.from_numpy(rewards), torch.from_numpy(ids), name)
        assert result.dtype == getattr(torch, dtype)
        np.testing.assert_array_equal(result.numpy(), group_advantages(rewards, ids, name), err_msg=name)


@given(batch=batches(smallest=2), shift=st.integers(-1000, 1000))
def test_a_constant_added_to_all_rewards_changes_nothing(batch, shift):
    rewards, ids = batch
    for name in _names():
        _close(group_advantages(rewards + shift, ids, name), group_advantages(rewards, ids, name), name)


@given(batch=batches(smallest=2), data=st.data())
def test_a_constant_of_its_own_added_to_each_group_changes_nothing_without_a_batch_spread(batch, data):
    rewards, ids = batch
    number = int(ids.max()) + 1
    shifts = np.array(data.draw(st.lists(st.integers(-100, 100), min_size=number, max_size=number)))
    for name in _names(spreads=("group", "pooled", "leave-one-out", "none")):
        shifted = group_advantages(rewards + shifts[ids], ids, name)
        _close(shifted, group_advantages(rewards, ids, name), name)


@given(batch=batches(smallest=2), power=st.integers(-8, 8))
def test_scaling_rewards_scales_only_what_is_not_divided_by_a_spread(batch, power):
    rewards, ids = batch
    scale = 2.0**power
    for name in _names(spreads=("group", "batch", "pooled", "none")):
        convention = PRESETS[name]
        scaled = replace(convention, eps=convention.eps * scale, floor=convention.floor * scale)
        expected = group_advantages(rewards, ids, convention) * (scale if convention.spread == "none" else 1)
        _close(group_advantages(rewards * scale, ids, scaled), expected, name)


@given(batch=batches(smallest=2))
def test_negated_rewards_negate_advantages(batch):
    rewards, ids = batch
    for name in _names():
        _close(group_advantages(-rewards, ids, name), -group_advantages(rewards, ids, name), name)


@given(batch=batches(smallest=2))
def test_advantages_order_a_group_as_its_rewards_do(batch):
    rewards, ids = batch
    higher = (rewards[:, None] > rewards[None, :]) & (ids[:, None] == ids[None, :])
    for name in _names(spreads=("group", "batch", "pooled", "none")):
        result = group_advantages(rewards, ids, name)
        assert (result[:, None] > result[None, :])[higher].all(), name


@given(batch=batches(smallest=2))
def test_advantages_of_a_group_sum_to_zero_unless_its_own_mean_and_spread_are_not_used(batch):
    rewards, ids = batch
    for name in _names(without=("areal",), spreads=("group", "batch", "pooled", "none")):
        _close(np.bincount(ids, weights=group_advantages(rewards, ids, name)), 0.0, name)


@given(batch=batches(smallest=2))
def test_grpo_advantages_have_unit_population_std_and_never_pass_the_root_of_g_minus_one(batch):
    rewards, ids = batch
    result = group_advantages(rewards, ids)
    for label in np.unique(ids):
        mine = result[ids == label]
        if np.ptp(rewards[ids == label]):
            assert mine.std() == pytest.approx(1, rel=1e-12)
            assert np.abs(mine).max() <= math.sqrt(mine.size - 1) * (1 + 1e-12)
        else:
            assert not mine.any()


@given(size=st.integers(2, 64), data=st.data())
def test_k_successes_of_g_get_the_root_of_the_odds_of_failure(size, data):
    successes = data.draw(st.integers(1, size - 1))
    rewards = np.zeros((1, size))
    rewards[0, :successes] = 1
    odds = (size - successes) / successes
    result = group_advantages(rewards)[0]
    np.testing.assert_allclose(result[:successes], math.sqrt(odds), rtol=1e-13)
    np.testing.assert_allclose(result[successes:], -1 / math.sqrt(odds), rtol=1e-13)


@given(pairs=st.lists(st.tuples(_DYADIC, _DYADIC), min_size=1, max_size=8))
def test_in_pairs_grpo_sees_only_who_won(pairs):
    first, second = np.array(pairs).T
    won = np.sign(first - second)
    _close(group_advantages(np.array(pairs)), np.stack([won, -won], axis=1))


@given(batch=batches(smallest=2))
def test_the_leave_one_out_baseline_is_the_mean_one_times_g_over_g_minus_one(batch):
    rewards, ids = batch
    size = np.bincount(ids)[ids]
    _close(group_advantages(rewards, ids, "rloo"), group_advantages(rewards, ids, "none") * size / (size - 1))


@given(batch=batches(), exponent=st.floats(0, 3))
def test_the_exponent_divides_by_that_power_of_the_spread(batch, exponent):
    rewards, ids = batch
    spread = np.array([rewards[ids == label].std() for label in ids])
    spread[[np.ptp(rewards[ids == label]) == 0 for label in ids]] = 1.0
    expected = group_advantages(rewards, ids, "none") / spread**exponent
    _close(group_advantages(rewards, ids, Normalization(exponent=exponent)), expected)


@given(batch=batches(smallest=2), data=st.data())
def test_an_excluded_reward_might_as_well_not_be_there(batch, data):
    rewards, ids = batch
    gone = np.array(data.draw(st.lists(st.booleans(), min_size=ids.size, max_size=ids.size)))
    assume(not gone.all())
    for spread in ("group", "batch", "pooled", "leave-one-out", "none"):
        convention = Normalization(spread=spread, ddof=1, eps=1e-4, nan="exclude", singleton="raw")
        result = group_advantages(np.where(gone, math.nan, rewards), ids, convention)
        assert not result[gone].any()
        _close(result[~gone], group_advantages(rewards[~gone], ids[~gone], convention))
