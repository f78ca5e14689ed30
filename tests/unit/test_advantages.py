"""`group_advantages`: what it takes, what it gives back, what it refuses, and the fields of `Normalization`."""

import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from curvature.advantages import PRESETS, Normalization, group_advantages

REWARDS = np.array([[1.0, 0.0, 0.0, 0.5], [0.0, 0.0, 0.0, 0.0], [3.0, -1.0, 2.0, 0.7]])
IDS = np.repeat([0, 1, 2], 4)
every_preset = pytest.mark.parametrize("name", PRESETS)


# ---- what comes in


@every_preset
def test_rows_are_the_same_groups_as_flat_rewards_with_ids(name):
    rows = group_advantages(REWARDS, preset=name)
    assert rows.shape == REWARDS.shape
    np.testing.assert_array_equal(group_advantages(REWARDS.ravel(), IDS, name), rows.ravel())


@every_preset
@pytest.mark.parametrize(
    "ids",
    [
        IDS - 7,
        IDS * 10**12,
        IDS.astype(np.int8),
        IDS.astype(np.uint64),
        IDS[::-1],
        np.array(["ann", "bob", "cyd"])[IDS],
        np.array(["ann", "bob", "cyd"])[IDS].astype(object),
        np.array(["ann", "bob", "cyd"])[IDS].tolist(),
        np.array([b"ann", b"bob", b"cyd"])[IDS],
        pd.Series(np.array(["ann", "bob", "cyd"])[IDS]),
        np.array([5, "bob", 7], dtype=object)[IDS],
    ],
    ids=[
        "negative",
        "sparse",
        "int8",
        "uint64",
        "falling",
        "str",
        "object",
        "list",
        "bytes",
        "pandas",
        "mixed",
    ],
)
def test_only_the_equality_of_ids_matters(name, ids):
    expected = group_advantages(REWARDS.ravel(), IDS, name)
    np.testing.assert_allclose(group_advantages(REWARDS.ravel(), ids, name), expected, rtol=1e-14, atol=1e-15)
    order = np.random.default_rng(0).permutation(IDS.size)
    scattered = group_advantages(REWARDS.ravel()[order], np.asarray(ids)[order], name)
    np.testing.assert_allclose(scattered, expected[order], rtol=1e-13, atol=1e-15)


@every_preset
def test_groups_may_be_ragged_and_their_members_scattered(name):
    rng = np.random.default_rng(0)
    ids = rng.choice([3, 4, 5, 90], 40)
    rewards = rng.choice([0.0, 0.7, 1.0], 40)
    together = np.argsort(ids, kind="stable")
    scattered = group_advantages(rewards, ids, name)
    in_runs = group_advantages(rewards[together], ids[together], name)
    np.testing.assert_allclose(scattered[together], in_runs, rtol=1e-13, atol=1e-15)
    if name != "areal" and PRESETS[name].spread not in {"batch", "pooled"}:
        for label in np.unique(ids):
            alone = group_advantages(rewards[ids == label][None], preset=name)[0]
            np.testing.assert_allclose(scattered[ids == label], alone, rtol=1e-13, atol=1e-15)


def test_an_id_that_comes_back_later_is_the_same_group():
    rewards = np.array([1.0, 0.0, 5.0, 5.0, 0.0, 0.0])
    ids = [1, 1, 2, 2, 1, 1]  # three runs of equal length that are not three groups
    expected = group_advantages(rewards[[0, 1, 4, 5]][None])[0]
    np.testing.assert_allclose(group_advantages(rewards, ids)[[0, 1, 4, 5]], expected)


@every_preset
@pytest.mark.parametrize("size", [1, 2, 63, 64, 500])
def test_long_batches_are_the_sum_of_their_blocks(name, size):
    number = 140_000 // size + 3  # past the size of a block, and not a multiple of it
    rewards = np.random.default_rng(0).choice([0.0, 0.1, 0.7], (number, size))
    rows = group_advantages(rewards, preset=name)
    order = np.random.default_rng(1).permutation(rewards.size)
    ids = np.repeat(np.arange(number), size)
    scattered = group_advantages(rewards.ravel()[order], ids[order], name)
    np.testing.assert_allclose(scattered, rows.ravel()[order], rtol=1e-9, atol=1e-12)
    if name != "areal" and PRESETS[name].spread not in {"batch", "pooled"}:
        np.testing.assert_array_equal(rows[-2:], group_advantages(rewards[-2:], preset=name))


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint8, bool])
def test_integers_and_booleans_count_as_float64(dtype):
    result = group_advantages(np.array([[1, 0, 0, 1]], dtype=dtype))
    assert result.dtype == np.float64
    np.testing.assert_array_equal(result, [[1, -1, -1, 1]])


@every_preset
@pytest.mark.parametrize(
    ("dtype", "order"), [(np.float16, "C"), (np.float32, "F"), (np.float64, "C"), (np.float64, "strided")]
)
def test_dtype_and_shape_come_back_and_the_input_is_left_alone(name, dtype, order):
    rewards = REWARDS.astype(dtype)
    if order == "F":
        rewards = np.asfortranarray(rewards)
    elif order == "strided":
        rewards = np.repeat(rewards, 2, axis=1)[:, ::2]
    before = rewards.copy()
    result = group_advantages(rewards, preset=name)
    assert result.dtype == dtype
    assert result.shape == rewards.shape
    assert not np.shares_memory(result, rewards)
    np.testing.assert_array_equal(rewards, before)
    np.testing.assert_array_equal(result, group_advantages(before.copy(), preset=name))


@pytest.mark.parametrize(
    ("rewards", "groups"),
    [
        (np.empty((0, 8)), None),
        (np.empty((5, 0)), None),
        ([], []),
        ([], None),
        (np.empty(0, np.float32), np.empty(0, int)),
    ],
)
@every_preset
def test_no_rewards_give_no_advantages(name, rewards, groups):
    result = group_advantages(rewards, groups, name)
    assert result.shape == np.shape(rewards)
    assert result.dtype == getattr(rewards, "dtype", np.float64)


def test_numpy_rewards_do_not_load_torch():
    code = (
        "import sys; from curvature.advantages import group_advantages; group_advantages([[1, 0]]); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'pandas', 'scipy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ---- what is refused


@pytest.mark.parametrize(
    ("rewards", "groups", "error", "message"),
    [
        (
            [[1, 0, 1], [0, 1]],
            None,
            ValueError,
            "groups of sizes 2, 3 do not make an (n, G) array: pass flat rewards",
        ),
        ([[1.0], 0.0], None, ValueError, "groups of sizes 1 do not make"),
        (
            np.array([[1, 0], [1]], dtype=object),
            None,
            ValueError,
            "groups of sizes 1, 2 do not make an (n, G) array",
        ),
        ([1.0, 0.0], None, ValueError, "rewards of shape (2,) need group ids"),
        (1.0, None, ValueError, "rewards of shape () are neither (N,) nor (n, G)"),
        (np.zeros((2, 3, 4)), None, ValueError, "rewards of shape (2, 3, 4) are neither"),
        (
            np.zeros((2, 3, 4)),
            np.zeros((2, 3, 4), int),
            ValueError,
            "rewards of shape (2, 3, 4) and groups of shape",
        ),
        (
            [1.0, 0.0],
            [0, 0, 1],
            ValueError,
            "rewards of shape (2,) and groups of shape (3,) must both be flat",
        ),
        (
            [[1.0, 0.0]],
            [[0, 0]],
            ValueError,
            "rewards of shape (1, 2) and groups of shape (1, 2) must both be flat",
        ),
        ([1.0, 0.0], [], ValueError, "groups of shape (0,)"),
        ([1.0, math.inf], [0, 0], ValueError, "reward 1 is inf"),
        ([-math.inf, math.nan], [0, 0], ValueError, "reward 0 is -inf"),
        ([1.0, 1e200], [0, 0], ValueError, "reward 1 is 1e+200: rewards must be finite and at most 1e+150"),
        ([1.0, -2e150], [0, 0], ValueError, "reward 1 is -2e+150"),
        (np.float16([1.0, np.inf]), [0, 0], ValueError, "reward 1 is inf"),
        (
            [1.0, math.nan, math.nan],
            [0, 0, 1],
            ValueError,
            "reward 1 is nan (2 in all): score it, or choose a preset",
        ),
        ([1.0, None], [0, 0], TypeError, "rewards have dtype object"),
        (["right", "wrong"], [0, 0], TypeError, "rewards have dtype <U5"),
        ([1j, 0], [0, 0], TypeError, "rewards have dtype complex128"),
        (np.ma.masked_array([1.0, 2.0], [True, False]), [0, 0], TypeError, "rewards are a masked array"),
        ([1.0, 0.0], [0.0, 1.0], TypeError, "group ids have dtype float64 (the first is np.float64(0.0))"),
        ([1.0, 0.0], [True, False], TypeError, "group ids have dtype bool"),
        ([1.0, 0.0], ["a", None], ValueError, "group id 1 is None: every reward needs a group"),
        ([1.0, 0.0], pd.Series(["a", np.nan]), ValueError, "group id 1 is nan: every reward needs a group"),
        (
            [1.0, 0.0],
            np.array(["a", 1.5], dtype=object),
            TypeError,
            "group id 1 is 1.5: pass integers or strings",
        ),
    ],
)
def test_bad_input_is_one_sentence_that_names_the_value(rewards, groups, error, message):
    with pytest.raises(error) as caught:
        group_advantages(rewards, groups)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_inf_is_refused_by_every_preset_even_beside_nan():
    for name in PRESETS:
        with pytest.raises(ValueError, match="reward 3 is inf"):
            group_advantages([1.0, math.nan, 0.0, math.inf], [0, 0, 1, 1], name)


def test_an_unknown_preset_is_answered_with_the_names():
    with pytest.raises(
        ValueError, match="preset='grop' is unknown: choose one of grpo, none, reinforce"
    ) as caught:
        group_advantages(REWARDS, preset="grop")
    assert all(name in str(caught.value) for name in PRESETS)
    with pytest.raises(TypeError, match="preset=None must be the name of a preset or a Normalization"):
        group_advantages(REWARDS, preset=None)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"spread": "std"}, "spread='std' is unknown: choose one of 'group', 'batch', 'pooled'"),
        ({"baseline": None}, "baseline=None is unknown"),
        ({"placement": "floor"}, "placement='floor' is unknown: choose one of 'outside', 'inside'"),
        ({"nan": "ignore"}, "nan='ignore' is unknown"),
        ({"singleton": "drop"}, "singleton='drop' is unknown"),
        ({"ddof": 2}, "ddof=2 is unknown"),
        ({"eps": -1e-6}, "eps=-1e-06 must be a finite number, 0 or more"),
        ({"eps": math.nan}, "eps=nan must be"),
        ({"floor": math.inf}, "floor=inf must be"),
        ({"exponent": "1"}, "exponent='1' must be"),
        ({"baseline": "batch"}, "baseline='batch' knows no groups, so spread='group' cannot go with it"),
    ],
)
def test_a_normalization_outside_its_domain_is_refused(fields, message):
    with pytest.raises(ValueError, match=r"must be|unknown|cannot") as caught:
        Normalization(**fields)
    assert message in str(caught.value)


# ---- the fields


def test_grpo_is_the_default_convention():
    assert PRESETS["grpo"] == Normalization()
    np.testing.assert_array_equal(
        group_advantages(REWARDS), group_advantages(REWARDS, preset=Normalization())
    )


def test_source_takes_no_part_in_comparisons():
    assert PRESETS["skyrl"] == PRESETS["verl"]
    assert PRESETS["skyrl"].source != PRESETS["verl"].source


def test_eps_outside_is_added_to_the_std_and_inside_to_the_variance():
    rewards = np.array([[1.0, 0.0, 0.0, 0.0]])
    variance = 3 / 16
    outside = group_advantages(rewards, preset=Normalization(eps=0.01))
    inside = group_advantages(rewards, preset=Normalization(eps=0.01, placement="inside"))
    assert outside[0, 0] == pytest.approx(0.75 / (math.sqrt(variance) + 0.01))
    assert inside[0, 0] == pytest.approx(0.75 / math.sqrt(variance + 0.01))


@pytest.mark.parametrize("placement", ["outside", "inside"])
def test_floor_raises_small_spreads_only(placement):
    floored = Normalization(floor=0.3, placement=placement)
    rewards = np.array([[1.0, -1.0], [0.1, -0.1]])
    np.testing.assert_allclose(group_advantages(rewards, preset=floored), [[1, -1], [1 / 3, -1 / 3]])


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0, 2.0, 3.0])
def test_exponent_spans_reinforce_to_beyond_grpo(exponent):
    centred = REWARDS - REWARDS.mean(axis=1, keepdims=True)
    spread = REWARDS.std(axis=1, keepdims=True)
    spread[1] = 1.0
    result = group_advantages(REWARDS, preset=Normalization(exponent=exponent))
    np.testing.assert_allclose(result, centred / spread**exponent, atol=1e-15)
    assert not result[1].any()


def test_batch_spread_keeps_the_ratio_of_groups_and_pooled_leaves_out_the_spread_between_them():
    rewards = np.array([[101.0, 99.0], [3.0, -3.0]])
    batch = group_advantages(rewards, preset="batch")
    pooled = group_advantages(rewards, preset=Normalization(spread="pooled"))
    np.testing.assert_allclose(
        batch, [[1 / rewards.std(), -1 / rewards.std()], [3 / rewards.std(), -3 / rewards.std()]]
    )
    np.testing.assert_allclose(pooled, np.array([[1, -1], [3, -3]]) / math.sqrt(5))


def test_batch_baseline_ignores_the_groups():
    whole = group_advantages(
        REWARDS.reshape(1, -1), preset=replace(PRESETS["areal"], spread="group", baseline="mean")
    )
    for ids in (IDS, IDS[::-1], np.arange(IDS.size)):
        np.testing.assert_allclose(group_advantages(REWARDS.ravel(), ids, "areal"), whole[0])
    centred = group_advantages(REWARDS, preset=Normalization(spread="none", baseline="batch"))
    np.testing.assert_allclose(centred, REWARDS - REWARDS.mean())


@pytest.mark.parametrize("ddof", [0, 1])
@pytest.mark.parametrize("baseline", ["mean", "leave-one-out"])
def test_leave_one_out_spread_is_that_of_the_others(ddof, baseline):
    rewards = np.array([0.3, -1.0, 2.0, 0.7, 0.7])
    convention = Normalization(spread="leave-one-out", baseline=baseline, ddof=ddof, eps=0.1)
    expected = []
    for i, reward in enumerate(rewards):
        others = np.delete(rewards, i)
        centre = rewards.mean() if baseline == "mean" else others.mean()
        expected.append((reward - centre) / (others.std(ddof=ddof) + 0.1))
    np.testing.assert_allclose(group_advantages(rewards[None], preset=convention)[0], expected)


def test_leave_one_out_spread_of_nearly_equal_others_keeps_its_digits():
    rewards = np.array([[1e6, 1e-9, 2e-9, 3e-9], [-1e6, 1.0, 1.0, 1.0 + 2**-52]])
    result = group_advantages(rewards, preset=replace(PRESETS["nemo_rl"], eps=0.0))
    np.testing.assert_allclose(result[0, 0], 1e6 / 1e-9, rtol=1e-6)
    np.testing.assert_allclose(result[1, 0], -1e6 / (2**-52 / math.sqrt(3)), rtol=1e-5)


def test_where_the_others_agree_a_leave_one_out_spread_leaves_the_reward_centred():
    for alone, others in ((0.0, 0.7), (1.1, 0.1)):
        rewards = np.array([[alone] + [others] * 7])
        result = group_advantages(rewards, preset="nemo_rl")[0]
        assert result[0] == pytest.approx(alone - others)
        assert np.abs(result[1:]) == pytest.approx(1 / math.sqrt(7), rel=1e-4)
    np.testing.assert_allclose(group_advantages([[1.0, 0.0]], preset="nemo_rl"), [[1, -1]])


def test_the_policies_for_a_group_of_one():
    rewards, ids = [0.3, 1.0, 0.0], ["alone", "pair", "pair"]
    for policy, expected in (("zero", 0.0), ("raw", 0.3), ("nan", math.nan)):
        result = group_advantages(rewards, ids, Normalization(singleton=policy))
        np.testing.assert_allclose(result, [expected, 1, -1])
        np.testing.assert_allclose(
            group_advantages([[0.3]], preset=Normalization(singleton=policy)), [[expected]]
        )
    for refused, where, label in ((rewards, ids, "alone"), ([[0.3]], None, "0")):
        with pytest.raises(
            ValueError, match=f"group {label} has one reward, and singleton='raise' refuses it"
        ):
            group_advantages(refused, where, Normalization(singleton="raise"))
    np.testing.assert_allclose(
        group_advantages([[1.0, 0.0]], preset=Normalization(singleton="raise")), [[1, -1]]
    )


def test_excluded_nan_rewards_get_zero_and_take_no_part():
    rewards = np.array([[1.0, math.nan, 0.0, 0.0], [math.nan] * 4, [0.3, math.nan, math.nan, math.nan]])
    excluding = Normalization(nan="exclude", singleton="raw")
    expected = np.zeros((3, 4))
    expected[0, [0, 2, 3]] = group_advantages([[1.0, 0.0, 0.0]])
    expected[2, 0] = 0.3  # a group of one is left
    np.testing.assert_allclose(group_advantages(rewards, preset=excluding), expected)
    np.testing.assert_allclose(
        group_advantages(rewards.ravel(), np.repeat(["a", "b", "c"], 4), excluding), expected.ravel()
    )
    with pytest.raises(ValueError, match="group c has one reward"):
        group_advantages(
            rewards.ravel(), np.repeat(["a", "b", "c"], 4), replace(excluding, singleton="raise")
        )


@pytest.mark.parametrize("singleton", ["zero", "raw", "nan"])
def test_propagated_nan_spreads_over_its_group_and_no_further(singleton):
    rewards = np.array([1.0, math.nan, 1.0, 0.0, math.nan])
    result = group_advantages(rewards, [0, 0, 1, 1, 2], Normalization(nan="propagate", singleton=singleton))
    np.testing.assert_allclose(result, [math.nan, math.nan, 1, -1, math.nan])


def test_a_batch_spread_spreads_nan_over_the_batch():
    for name in ("ms_swift_reinforce_plus_plus", "lite_ppo", "areal"):
        assert np.isnan(group_advantages([1.0, math.nan, 1.0, 0.0], [0, 0, 1, 1], name)).all()


def test_rewards_at_the_edge_of_the_domain_are_normalised():
    for scale in (1e-120, 1e150):
        np.testing.assert_allclose(group_advantages([[scale, 0.0], [-scale, scale]]), [[1, -1], [-1, 1]])
        # One digit apart is a spread, and none is none, in rows and scattered.
        near = np.array([scale, np.nextafter(scale, 0), 0.7 * scale, 0.7 * scale, 0.7 * scale])
        np.testing.assert_allclose(group_advantages(near[:2][None]), [[1, -1]])
        np.testing.assert_array_equal(group_advantages(near, [0, 0, 1, 1, 1]), [1, -1, 0, 0, 0])
        np.testing.assert_array_equal(
            group_advantages(near[[2, 0, 3, 1, 4]], [1, 0, 1, 0, 1]), [0, 1, 0, -1, 0]
        )
    # Beyond it the squares leave float64: too large is refused, too small counts as no spread.
    assert np.abs(group_advantages([[1e-160, 0.0]])).max() < 1e-10
