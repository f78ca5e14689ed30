"""The convention detective on columns whose making is known."""

import time
from dataclasses import replace

import numpy as np
import pytest

from curvature import PRESETS, Normalization, group_advantages
from curvature.rollouts import RolloutLog
from curvature.rollouts._convention_precision import precisions
from curvature.rollouts._convention_rows import Rows
from curvature.rollouts.convention import identify_convention

NO_STD = {name for name, c in PRESETS.items() if c.spread == "none" and c.baseline == "mean"}


def make_log(seed=0, *, steps=12, groups=6, sizes=(2, 9), binary=False, silent=True):
    """(step, group, reward) of groups of unlike sizes, the first of each step silent."""
    rng = np.random.default_rng(seed)
    step, group, reward = [], [], []
    for s in range(steps):
        for g in range(groups):
            n = int(rng.integers(*sizes))
            values = rng.integers(0, 2, n).astype(float) if binary else rng.normal(size=n)
            if silent and g == 0:
                values[:] = values[0]
            step += [s] * n
            group += [g] * n
            reward += values.tolist()
    return np.array(step), np.array(group), np.array(reward)


def advantages(step, group, reward, convention):
    """One call for each step: the definition of a batch."""
    out = np.empty(reward.size)
    for s in np.unique(step):
        here = step == s
        out[here] = group_advantages(reward[here], group[here], convention)
    return out


def whiten(step, values, ddof=1, eps=1e-8):
    return advantages(step, step, values, Normalization("batch", "batch", ddof, eps))


def find(step, group, reward, advantage, own=None, **kwargs):
    log = replace(RolloutLog.from_arrays(step, group, reward, advantage), preset=own)
    return identify_convention(log, **kwargs)


LOG = make_log()
TRL = advantages(*LOG, "trl")


@pytest.mark.parametrize("spoilt", ["nothing", "nan", "singles"])
@pytest.mark.parametrize("name", sorted(PRESETS))
def test_all_steps_at_once_are_the_steps_one_by_one(name, spoilt):
    step, group, reward = make_log(3)
    if spoilt == "nan":
        reward[5::50] = np.nan
    if spoilt == "singles":
        group[::9] = 100 + np.arange(group[::9].size)
    rows = Rows.of_sample(RolloutLog.from_arrays(step, group, reward, reward).sample)
    computed = rows.compute(PRESETS[name])
    if spoilt == "nan" and PRESETS[name].nan == "raise":
        assert computed is None
        return
    # The rows are sorted by step and group, as this log is unless it has groups of one.
    expected = advantages(rows.step, rows.group, rows.reward, PRESETS[name])
    np.testing.assert_allclose(computed, expected, rtol=1e-12, atol=1e-14)


def test_the_rows_may_come_in_any_order():
    order = np.random.default_rng(1).permutation(TRL.size)
    finding = find(*(column[order] for column in LOG), TRL[order])
    assert finding.presets == ("trl", "ms_swift")
    assert finding.largest_error < 1e-15
    assert finding.rows == TRL.size


def test_presets_that_only_differ_elsewhere_are_all_named_and_what_would_tell_them_apart():
    finding = find(*LOG, advantages(*LOG, "verl_mean"))
    assert finding.status == "ambiguous"
    assert set(finding.presets) == NO_STD
    assert "a NaN reward; a group of one" in finding.differences[0]
    assert finding.normalization is not None
    assert finding.normalization.spread == "none"


def test_the_logs_own_preset_goes_first_if_it_is_among_them():
    column = advantages(*LOG, "none")
    assert find(*LOG, column, own="slime_mean").presets[0] == "slime_mean"
    assert find(*LOG, column, own="trl").presets[0] == "none"


@pytest.mark.parametrize(
    ("name", "told"), [("trl", {"trl"}), ("ms_swift", {"ms_swift"}), ("openrlhf", {"openrlhf"})]
)
def test_a_nan_reward_tells_exclusion_from_propagation(name, told):
    step, group, reward = make_log(4)
    reward[5::17] = np.nan
    assert set(find(step, group, reward, advantages(step, group, reward, name)).presets) == told


@pytest.mark.parametrize(
    ("name", "told"),
    [("slime", {"slime"}), ("verl", {"verl", "skyrl", "verl_vectorized"}), ("openrlhf_rloo", None)],
)
def test_a_group_of_one_tells_zero_raw_and_nan_apart(name, told):
    step, group, reward = make_log(5)
    group[::9] = 100 + np.arange(group[::9].size)
    finding = find(step, group, reward, advantages(step, group, reward, name))
    assert set(finding.presets) == (told or {name})


def test_a_group_of_one_may_have_been_divided_by_one_plus_eps():
    step, group, reward = make_log(5)
    group[::9] = 100 + np.arange(group[::9].size)
    column = advantages(step, group, reward, "verl")
    column[::9] = reward[::9] / (1 + 1e-6)
    assert "verl" in find(step, group, reward, column).presets


@pytest.mark.parametrize(
    ("change", "phrase"),
    [
        ({"eps": 3.2e-3}, "eps is 3.2e-3, not 1e-4"),
        ({"eps": 0.00731}, "eps is 7.31e-3, not 1e-4"),
        ({"ddof": 0}, "ddof is 0, not 1"),
        ({"eps": 3.2e-3, "placement": "inside"}, "eps is added to the variance"),
        ({"baseline": "leave-one-out"}, "the baseline is the mean of the others"),
        ({"eps": 0.0, "exponent": 0.7}, "the std has the power 0.7, not 1"),
    ],
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_conventions_without_a_name_are_told_by_their_difference_from_one(change, phrase, dtype):
    convention = replace(PRESETS["ms_swift"], **change)
    finding = find(*LOG, advantages(*LOG, convention).astype(dtype), own="ms_swift")
    assert finding.status == "identified"
    assert finding.presets == ()
    assert finding.normalization == convention
    assert phrase in finding.sentence
    assert any(phrase in difference for difference in finding.differences)


def test_an_eps_is_read_off_slopes_in_text_of_six_decimals():
    column = advantages(*LOG, replace(PRESETS["ms_swift"], eps=0.0123)).round(6)
    finding = find(*LOG, column)
    assert finding.status == "identified"
    assert finding.normalization.eps == 0.0123
    assert "text of 6 decimals" in finding.sentence


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("ddof", [0, 1])
def test_normalised_twice_is_found(dtype, ddof):
    finding = find(*LOG, whiten(LOG[0], TRL, ddof).astype(dtype), own="trl")
    assert finding.second_pass == "batch"
    assert finding.presets[0] == "trl"
    assert f"normalised once more over the batch (ddof {ddof}" in finding.sentence


@pytest.mark.parametrize("factor", [0.25, -1.0, 3.7])
def test_a_constant_factor_is_found(factor):
    finding = find(*LOG, TRL * factor)
    assert finding.presets == ("trl", "ms_swift")
    assert finding.factor == pytest.approx(factor, rel=1e-12)
    assert "multiplied by" in finding.sentence


def test_clipping_is_found_and_counted():
    finding = find(*LOG, np.clip(TRL, -1, 1.2))
    assert finding.status == "closest"
    assert finding.presets == ("trl",)
    count = int(((TRL <= -1) | (TRL >= 1.2)).sum())
    assert f"clipped below at -1 and above at 1.2: {count} rows" in finding.sentence


def test_a_batch_std_over_rows_that_the_log_lacks_leaves_a_factor_a_step():
    factor = np.random.default_rng(1).uniform(0.8, 1.3, 12)
    finding = find(*LOG, advantages(*LOG, "none") / factor[LOG[0]], own="trl_batch")
    assert finding.status == "closest"
    assert finding.presets == ("trl_batch",)
    assert "one positive factor" in finding.sentence
    assert "more rows than the log has" in finding.sentence
    assert f"{1 / factor.max():.4g} and {1 / factor.min():.4g}" in finding.sentence


def test_one_group_a_step_proves_no_factor_a_step():
    step, group, reward = make_log(6, groups=1, silent=False)
    factor = np.random.default_rng(1).uniform(0.8, 1.3, 12)
    finding = find(step, group, reward, advantages(step, group, reward, "none") / factor[step])
    assert finding.status == "closest"
    assert "factor" not in finding.differences[0]


def test_whitening_over_tokens_leaves_a_factor_and_a_shift_a_step():
    factor = np.random.default_rng(1).uniform(0.8, 1.3, 12)[LOG[0]]
    finding = find(*LOG, (TRL - 0.1 * factor) / factor)
    assert finding.status == "closest"
    assert finding.presets == ("trl",)
    assert "shifted and scaled" in finding.sentence


def test_a_single_odd_row_is_named():
    column = TRL.copy()
    odd = int(np.abs(column).argmax())
    column[odd] *= 1.1
    finding = find(*LOG, column)
    assert finding.status == "closest"
    assert finding.presets == ("trl",)
    assert finding.worst == {
        "step": LOG[0][odd], "group": LOG[1][odd], "reward": LOG[2][odd], "logged": column[odd], "computed": TRL[odd],
    }  # fmt: skip
    assert finding.largest_error == pytest.approx(0.1 / 1.1)
    assert "1 of" in finding.differences[0]
    assert finding.candidates.share_matched[0] == pytest.approx(1 - 1 / TRL.size)


def test_a_percent_of_noise_is_no_convention():
    noise = 1 + 0.01 * np.random.default_rng(2).normal(size=TRL.size)
    finding = find(*LOG, TRL * noise)
    assert finding.status == "closest"
    assert finding.presets == ("trl",)
    assert 1e-3 < finding.largest_error < 0.1


def test_factors_of_length_cannot_be_told_and_it_says_so():
    lengths = np.random.default_rng(2).integers(10, 100, TRL.size)
    finding = find(*LOG, TRL / lengths)
    assert finding.status == "closest"
    assert any("the log holds no lengths" in difference for difference in finding.differences)


def test_rounding_noise_of_silent_groups_is_set_aside_and_reported():
    """8 × 0.7 in float32 as a trainer computes it: the mean is not 0.7, and 1e-9 does not tame the difference."""
    step, group, reward = make_log(7, sizes=(8, 9))
    reward[group == 0] = 0.7
    column = advantages(step, group, reward, "openrlhf")
    single = np.full(8, 0.7, dtype=np.float32)
    total = np.float32(0)
    for r in single:
        total += r
    noise = (single - total / np.float32(8)) / np.float32(1e-9)
    assert 50 < np.abs(noise).max() < 70
    column[group == 0] = np.tile(noise, 12)
    finding = find(step, group, reward, column.astype(np.float32))
    assert "openrlhf" in finding.presets
    assert "trl" not in finding.presets
    assert finding.rows == reward.size - 12 * 8
    assert any(
        d.startswith("12 silent groups have advantages that are not 0 (up to 59.6)")
        for d in finding.differences
    )


def test_equal_rewards_without_rounding_make_no_noise():
    step, group, reward = make_log(7, sizes=(8, 9))
    reward[group == 0] = 1.0
    column = advantages(step, group, reward, "openrlhf")
    column[group == 0] = 60.0
    assert find(step, group, reward, column).status == "closest"


def test_silent_groups_of_nan_are_zero_by_zero():
    column = advantages(*LOG, "grpo")
    column[LOG[1] == 0] = np.nan
    finding = find(*LOG, column)
    assert "grpo" in finding.presets
    assert any("0/0" in difference for difference in finding.differences)


def test_no_column_and_a_column_of_nan_are_absent():
    for column in (None, np.full(TRL.size, np.nan)):
        finding = find(*LOG, column)
        assert finding.status == "absent"
        assert finding.presets == ()
        assert finding.worst == {}
        assert finding.candidates.empty


def test_only_silent_groups_tell_nothing():
    step, group, reward = make_log(groups=1)
    finding = find(step, group, reward, np.zeros(reward.size))
    assert finding.status == "ambiguous"
    assert set(finding.presets) >= {"grpo", "none", "trl", "nemo_rl"}
    assert finding.sentence.startswith("Cannot tell: all groups are silent")


def test_zeros_where_rewards_differ_are_no_convention():
    finding = find(*LOG, np.zeros(TRL.size))
    assert finding.status == "closest"
    assert finding.sentence.startswith("All logged advantages are 0")


def test_one_group_names_what_it_can():
    finding = find([0] * 4, [0] * 4, [1, 0, 0, 0], [1.5, -0.5, -0.5, -0.5])
    assert finding.status == "ambiguous"
    assert finding.presets == ("openrlhf", "dr_grpo_std")


def test_pairs_of_rewards_0_and_1_cannot_tell_a_std_from_a_mean_of_others():
    finding = find([0] * 6, [0, 0, 1, 1, 2, 2], [1, 0, 0, 1, 1, 1], [1, -1, -1, 1, 0, 0])
    assert {"grpo", "rloo"} <= set(finding.presets)
    assert "trl" not in finding.presets
    assert "a live group of another size" in finding.differences[0]


@pytest.mark.parametrize(
    ("blur", "name"),
    [
        (lambda a: a, "float64"),
        (lambda a: a.astype(np.float32), "float32"),
        (lambda a: a.astype(np.float16), "float16"),
        (lambda a: (a.astype(np.float32).view(np.uint32) & 0xFFFF0000).view(np.float32), "bfloat16"),
        (lambda a: a.round(4), "text of 4 decimals"),
        (lambda a: np.array([float(f"{v:.5g}") for v in a]), "text of 5 digits"),
    ],
)
def test_the_precision_of_a_column_is_recognised_and_stated(blur, name):
    column = blur(TRL).astype(np.float64)
    assert name in {level.name for level in precisions(column)}
    finding = find(*LOG, column)
    assert "trl" in finding.presets
    assert name in finding.sentence


def test_a_trainer_in_float32_and_its_column_in_bfloat16_are_recognised():
    """Sums, means and stds in float32, groups of four rewards 0 or 1: four sizes of A are enough."""
    reward = np.random.default_rng(5).integers(0, 2, (40, 4)).astype(np.float32)
    mean, std = reward.mean(axis=1, keepdims=True), reward.std(axis=1, keepdims=True, ddof=1)
    column = (reward - mean) / (std + np.float32(1e-4))
    step, group = np.repeat(np.arange(40) // 8, 4), np.repeat(np.arange(40), 4)
    assert column.dtype == np.float32
    assert find(step, group, reward.ravel(), column.ravel()).presets == ("trl", "ms_swift")
    bits = column.ravel().view(np.uint32)
    short = ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).view(np.float32)
    finding = find(step, group, reward.ravel(), short, own="trl")
    assert finding.presets[0] == "trl"
    assert "grpo" not in finding.presets
    assert "bfloat16" in finding.sentence


def test_round_numbers_are_not_taken_for_rounded_ones():
    """Every value is ±0.5 or 0, as if written without decimals: nothing else may pass for it."""
    column = np.array([0.5, -0.5, 0, 0, -0.5, 0.5])
    finding = find([0] * 6, [0, 0, 1, 1, 2, 2], [1, 0, 0, 0, 0, 1], column)
    assert set(finding.presets) == NO_STD
    assert "(float64)" in finding.sentence


def test_float32_arithmetic_behind_a_float64_column_is_stated():
    step, group, reward = LOG
    column = advantages(step, group, reward.astype(np.float32).astype(float), "trl").astype(np.float32)
    noise = 1 + 1e-9 * np.random.default_rng(0).normal(size=column.size)
    finding = find(step, group, reward, column * noise)
    assert finding.presets == ("trl", "ms_swift")
    assert "float32 arithmetic" in finding.sentence


def test_a_choice_of_presets_is_kept_to():
    assert find(*LOG, TRL, presets=["ms_swift", "grpo"]).presets == ("ms_swift",)
    mine = {"mine": replace(PRESETS["trl"], eps=0.5)}
    finding = find(*LOG, advantages(*LOG, mine["mine"]), presets=mine)
    assert (finding.status, finding.presets) == ("identified", ("mine",))
    with pytest.raises(ValueError, match="'grpoo', which is none"):
        find(*LOG, TRL, presets=["grpoo"])
    with pytest.raises(ValueError, match="presets is empty"):
        find(*LOG, TRL, presets=[])


@pytest.mark.parametrize("shape", [(400, 64, 8), (25_000, 1, 8), (1, 25_600, 8), (50, 16, 256)])
def test_two_hundred_thousand_rows_take_seconds(shape):
    steps, groups, size = shape
    step = np.repeat(np.arange(steps), groups * size)
    group = np.tile(np.repeat(np.arange(groups), size), steps)
    reward = np.random.default_rng(8).integers(0, 2, step.size).astype(float)
    rows = Rows.of_sample(RolloutLog.from_arrays(step, group, reward, reward).sample)
    log = RolloutLog.from_arrays(step, group, reward, rows.compute(PRESETS["lite_ppo"]).astype(np.float32))
    start = time.process_time()
    finding = identify_convention(log)
    assert time.process_time() - start < 3
    assert "lite_ppo" in finding.presets
    assert finding.rows == step.size


def test_a_row_outside_the_rows_looked_at_first_is_found():
    step, group, reward = make_log(9, steps=2_000, sizes=(4, 5))
    column = advantages(step, group, reward, "trl")
    column[31_003] += 0.5
    finding = find(step, group, reward, column)
    assert finding.status == "closest"
    assert finding.presets == ("trl",)
    assert (finding.worst["step"], finding.worst["group"]) == (step[31_003], group[31_003])
