"""`diagnose` end to end: numbers against the truth they were drawn from, and logs that leave little to say."""

import dataclasses
import math
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from curvature import group_advantages
from curvature.bounds import improvement_threshold
from curvature.rollouts import RolloutLog, diagnosis
from curvature.rollouts._windows import METRICS, window_parts
from curvature.rollouts.diagnosis import diagnose
from curvature.rollouts.findings import SCHEMES


def _simulated(num_groups=240, size=8, *, seed=0, steps=20, low=0.02, high=0.7):
    """Success rates uniform in [low, high]: E σ and E[p^G + (1 − p)^G] are integrals."""
    rng = np.random.default_rng(seed)
    success = rng.uniform(low, high, num_groups)
    step = np.repeat(np.arange(num_groups) * steps // num_groups, size)
    group = np.repeat(np.arange(num_groups), size)
    reward = (rng.random(num_groups * size) < np.repeat(success, size)).astype(float)
    return step, group, reward


@pytest.fixture(scope="module", autouse=True)
def _few_resamples():
    """Resampling takes nearly all the time, and nothing here is about its number."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(diagnosis, "_RESAMPLES", 60)
        patch.setattr(diagnosis, "_WINDOW_RESAMPLES", 40)
        yield


@pytest.fixture(scope="module")
def found(_few_resamples):
    return diagnose(RolloutLog.from_arrays(*_simulated()))


def test_estimates_cover_the_truth_they_were_drawn_from(found):
    # Seven intervals of 95 %, of one fixed seed: with the seed free, P(all cover) would be above 0.65.
    p = np.linspace(0.02, 0.7, 20001)
    truth = {
        "accuracy": p.mean(),
        "mean_std": np.sqrt(p * (1 - p)).mean(),
        "mean_variance": (p * (1 - p)).mean(),
        "silent": (p**8 + (1 - p) ** 8).mean(),
        "all_right": (p**8).mean(),
        "all_wrong": ((1 - p) ** 8).mean(),
        "silent_expected": (p**8 + (1 - p) ** 8).mean(),
    }
    for name, value in truth.items():
        at = found.overall[name]
        assert at.low < at.value < at.high, name
        assert at.low <= value <= at.high, name
    # The plug-in std is biased low by more than its interval is wide; the fit is not.
    assert found.overall["plugin_std"].high < truth["mean_std"]


def test_shares_of_silent_groups_are_counts(found):
    log = RolloutLog.from_arrays(*_simulated())
    k = log.success_counts
    assert found.overall["all_right"].value == (k == 8).mean()
    assert found.overall["all_wrong"].value == (k == 0).mean()
    assert found.overall["silent"].value == pytest.approx(((k == 8) | (k == 0)).mean(), rel=1e-15)
    mean = k.mean() / 8
    alike = mean**8 + (1 - mean) ** 8
    assert found.overall["silent_if_alike"].value == pytest.approx(alike, rel=1e-2)
    assert alike < found.overall["silent_expected"].low


def test_statistics_are_multiples_of_the_mean_std(found):
    std = found.overall["mean_std"]
    factors = {
        "paper_statistic": 1 / improvement_threshold("paper").threshold,
        "sharp_statistic": 1 / improvement_threshold("sharp_binary").threshold,
        "std_over_max": 2.0,
    }
    for name, factor in factors.items():
        at = found.overall[name]
        ends = (std.value * factor, std.low * factor, std.high * factor)
        assert (at.value, at.low, at.high) == pytest.approx(ends, rel=1e-12)


def test_windows_tile_the_steps_and_average_to_the_whole(found):
    table = found.windows
    assert list(table.columns) == ["first_step", "last_step", "groups"] + [
        name for metric in METRICS for name in (metric, f"{metric}_low", f"{metric}_high")
    ]
    assert table.first_step.tolist() == [0, *(table.last_step[:-1] + 1)]
    assert table.last_step.iloc[-1] == 19
    assert table.groups.sum() == 240
    whole = np.average(table.accuracy, weights=table.groups)
    assert whole == pytest.approx(found.overall["accuracy"].value, rel=1e-12)
    assert not table.isna().any(axis=None)


@pytest.mark.parametrize(
    ("groups_per_step", "num_windows"), [([8] * 20, 20), ([100] * 20, 20), ([40] * 41, 20), ([500, 1, 1], 5)]
)
def test_windows_are_few_and_full(groups_per_step, num_windows):
    from curvature.rollouts._groups import Groups

    step = np.repeat(np.arange(len(groups_per_step)), groups_per_step)
    groups = Groups.of(RolloutLog.from_arrays(step, np.arange(step.size), step % 2))
    parts = window_parts(groups, num_windows)
    sizes = [part.size.size for part in parts]
    assert sum(sizes) == step.size
    assert len(parts) <= num_windows
    assert min(sizes) >= min(16, step.size)
    assert all(before.index.stop == after.index.start for before, after in pairwise(parts))


def test_one_seed_gives_one_diagnosis(found):
    again = diagnose(RolloutLog.from_arrays(*_simulated()))
    assert again.overall == found.overall
    assert again.predictions == found.predictions
    assert again.verdict == found.verdict
    pd.testing.assert_frame_equal(again.windows, found.windows)


def test_two_values_are_read_as_failure_and_success_whatever_they_are(found):
    step, group, reward = _simulated()
    moved = diagnose(RolloutLog.from_arrays(step, group, 3 * reward - 1))
    assert moved.source.reward_values == (-1.0, 2.0)
    assert moved.source.two_valued
    assert moved.overall == found.overall
    assert moved.predictions == found.predictions
    pd.testing.assert_frame_equal(moved.schemes, found.schemes)


def test_source_counts_what_was_read(found):
    source = found.source
    assert (source.rollouts, source.groups, source.steps) == (1920, 240, 20)
    assert (source.first_step, source.last_step, source.prompts) == (0, 19, None)
    assert source.group_sizes == {8: 240}
    assert source.reward_values == (0.0, 1.0)


def test_groups_of_one_prompt_are_resampled_together():
    # 12 prompts seen 20 times each: the mean over prompts varies as 12 draws do, not as 240.
    rng = np.random.default_rng(1)
    success = np.tile(rng.uniform(0, 1, 12), 20)
    step, group = np.repeat(np.arange(20), 96), np.repeat(np.tile(np.arange(12), 20), 8)
    log = RolloutLog.from_arrays(step, group, rng.random(1920) < np.repeat(success, 8))
    apart = diagnose(log)
    together = diagnose(dataclasses.replace(log, groups_are_prompts=True))
    assert together.source.prompts == 12

    def width(at, name):
        return at.overall[name].high - at.overall[name].low

    for name in ("accuracy", "mean_std", "silent"):
        assert width(together, name) > 1.5 * width(apart, name), name
    asked = {limit.question for limit in apart.limits} - {limit.question for limit in together.limits}
    assert asked == {"Do the same prompts come back?"}


def _uniform(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def _blocks(num, size):
    return np.zeros(num * size, int), np.repeat(np.arange(num), size)


DEGENERATE = {
    "one rollout": ([0], [0], [1.0]),
    "one group": ([0] * 8, [0] * 8, [1, 0, 0, 0, 0, 0, 0, 0]),
    "one step": (*_blocks(20, 8), (_uniform(160) > 0).astype(float)),
    "all right": (*_blocks(10, 8), np.ones(80)),
    "all wrong": (*_blocks(10, 8), np.zeros(80)),
    "one value, neither 0 nor 1": (*_blocks(10, 8), np.full(80, 0.7)),
    "all silent, some right": (*_blocks(10, 8), np.repeat(np.arange(10) % 2, 8)),
    "groups of one": (np.repeat(np.arange(10), 8), np.arange(80), np.arange(80) % 2),
    "half of each group": (*_blocks(40, 4), np.tile([0, 1], 80)),
    "sizes differ": (np.zeros(80, int), np.repeat(np.arange(12), [1, 3, 16] * 4), np.arange(80) % 3 == 0),
    "hardly a success": (*_blocks(50, 8), np.arange(400) == 7),
    "hardly a failure": (*_blocks(50, 8), np.arange(400) != 7),
    "general rewards": (*_blocks(40, 4), _uniform(160)),
    "general rewards, groups of one": (*_blocks(40, 1), _uniform(40)),
    "groups of two": (*_blocks(40, 2), (_uniform(80) > 0.3).astype(float)),
}


@pytest.mark.parametrize("name", DEGENERATE)
def test_a_log_that_says_little_is_diagnosed_all_the_same(name):
    log = RolloutLog.from_arrays(*DEGENERATE[name])
    found = diagnose(log)
    for key, at in found.overall.items():
        assert math.isfinite(at.value), key
        assert math.isnan(at.low) or at.low <= at.value <= at.high, key
    for prediction in found.predictions:
        assert math.isfinite(prediction.estimate.value), prediction.name
    assert found.schemes.scheme.tolist() == list(SCHEMES)
    assert found.difficulty.groups.sum() == len(log.groups)
    live = (log.groups.variance > 0).any()
    assert found.deciles.update_group.sum() == pytest.approx(1 if live else 0, abs=1e-9)
    assert len(found.extremes) == min(10, (log.groups.variance > 0).sum())
    assert found.limits
    assert found.verdict.headline.endswith(".")


@pytest.mark.parametrize(
    "name", ["one rollout", "one group", "general rewards", "groups of one", "all right"]
)
def test_a_log_without_evidence_leaves_the_answer_undecided(name):
    assert diagnose(RolloutLog.from_arrays(*DEGENERATE[name])).verdict.leaning == "undecided"


@pytest.mark.parametrize("name", ["all right", "all wrong", "all silent, some right", "groups of one"])
def test_silent_groups_predict_nothing(name):
    # The fit has a smooth density even there, and it would be the model that speaks.
    found = diagnose(RolloutLog.from_arrays(*DEGENERATE[name]))
    assert found.predictions == ()
    assert found.schemes.set_index("scheme").kappa[["group", "shrunk", "variance"]].isna().all()
    assert found.verdict.leaning == "undecided"
    assert found.overall["silent"].value == 1


def test_few_live_groups_have_predictions_without_intervals():
    found = diagnose(RolloutLog.from_arrays(*DEGENERATE["hardly a success"]))
    assert found.predictions
    for prediction in found.predictions:
        assert math.isnan(prediction.estimate.low), prediction.name
        assert "1 groups that are not silent" in prediction.estimate.method
    assert found.verdict.leaning == "undecided"


def test_one_group_has_no_intervals_and_says_why():
    found = diagnose(RolloutLog.from_arrays(*DEGENERATE["one group"]))
    for name in ("accuracy", "mean_std", "silent_expected"):
        at = found.overall[name]
        assert math.isnan(at.low), name
        assert "no interval" in at.method


def test_general_rewards_leave_out_what_needs_success_rates():
    rng = np.random.default_rng(0)
    means = np.repeat(rng.normal(size=300), 6)
    log = RolloutLog.from_arrays(
        np.zeros(1800, int), np.repeat(np.arange(300), 6), means + 0.5 * rng.normal(size=1800)
    )
    found = diagnose(log)
    assert not found.source.two_valued
    assert set(found.overall) == {"accuracy", "plugin_std", "silent", "mean_variance", "mean_std"}
    assert found.predictions == ()
    assert found.schemes.kappa.isna().all()
    assert "more than two values" in found.limits[0].why
    span = np.ptp(log.sample.reward)
    # Seven standard errors would not move these out.
    assert found.overall["mean_variance"].value == pytest.approx((0.5 / span) ** 2, rel=0.15)
    c4 = math.sqrt(2 / 5) * math.gamma(3) / math.gamma(2.5)
    assert found.overall["mean_std"].value == pytest.approx(c4 * 0.5 / span, rel=0.05)
    assert f"{1 - c4:.1%}" in found.overall["mean_std"].method


def test_an_empty_log_and_no_windows_are_refused():
    log = RolloutLog.from_arrays([0, 0], [0, 0], [np.nan, np.nan])
    with pytest.raises(ValueError, match="no group with a reward"):
        diagnose(log)
    with pytest.raises(ValueError, match="num_windows=0"):
        diagnose(RolloutLog.from_arrays([0], [0], [1]), num_windows=0)


def test_ten_times_the_groups_give_a_third_of_the_width():
    few, many = (diagnose(RolloutLog.from_arrays(*_simulated(n, seed=5))).overall for n in (200, 2000))
    for name in ("accuracy", "mean_std", "silent"):
        ratio = (few[name].high - few[name].low) / (many[name].high - many[name].low)
        assert 2 < ratio < 5, name


def _with_advantages(step, group, reward, preset="grpo"):
    return RolloutLog.from_arrays(
        step, group, reward, group_advantages(np.asarray(reward, float), group, preset)
    )


def test_one_success_in_sixty_four_is_named_as_the_cause():
    reward = np.zeros(128)
    reward[5], reward[64:96] = 1, 1
    found = diagnose(_with_advantages(np.zeros(128, int), np.repeat([0, 1], 64), reward))
    first = found.extremes.iloc[0]
    assert first.cause.startswith("One success in 64")
    assert first.advantage == pytest.approx(math.sqrt(63))
    assert (first["size"], first.reward) == (64, 1.0)


def test_a_spread_of_almost_nothing_is_named_as_the_cause():
    rng = np.random.default_rng(0)
    reward = rng.random(80)
    reward[:8] = 0.5 + 1e-4 * np.array([0, 0, 0, 0, 0, 0, 0, 8])
    found = diagnose(_with_advantages(*_blocks(10, 8), reward, "verl"))
    first = found.extremes.iloc[0]
    assert first.group == 0
    assert "A spread of almost nothing" in first.cause
    assert "σ̂ = 0.00026" in first.cause
    assert "eps 1e-06" in first.cause


def test_rounding_noise_of_a_silent_group_is_named_as_the_cause():
    step, group = _blocks(10, 8)
    reward = (_uniform(80) > 0).astype(float)
    reward[16:24] = 1
    advantage = group_advantages(reward, group, "openrlhf")
    advantage[16:24] = 60.0
    found = diagnose(RolloutLog.from_arrays(step, group, reward, advantage))
    assert found.extremes.iloc[0].cause.startswith("A silent group: all 8 rewards are 1")


def test_a_group_of_one_that_passes_its_reward_on_is_named_as_the_cause():
    step, group = np.zeros(81, int), np.append(np.repeat(np.arange(10), 8), 10)
    reward = np.append(_uniform(80), 9.0)
    found = diagnose(_with_advantages(step, group, reward, "verl"))
    assert found.extremes.iloc[0].cause.startswith("A group of one")
    assert "raw reward 9" in found.extremes.iloc[0].cause


def test_extremes_list_each_group_once_largest_first():
    step, group, reward = _simulated(60, 8, seed=2, steps=3)
    for log in (RolloutLog.from_arrays(step, group, reward), _with_advantages(step, group, reward)):
        table = diagnose(log).extremes
        assert table.group.is_unique
        assert table.advantage.abs().is_monotonic_decreasing
        assert table.advantage.abs().iloc[0] == pytest.approx(np.abs(group_advantages(reward, group)).max())


def test_every_limit_names_an_experiment(found):
    for limit in found.limits:
        assert limit.question.endswith("?")
        assert limit.why.endswith(".")
        assert limit.experiment.endswith(".")
    assert {"Do prompts pull each other along, or against each other?"} <= {
        at.question for at in found.limits
    }


def test_groups_without_a_success_are_said_to_leave_the_hardest_prompts_unknown():
    question = "How long until the hardest prompts are solved?"
    step, group = _blocks(200, 8)
    rng = np.random.default_rng(0)
    reward = (rng.random(1600) < np.repeat(np.tile([0, 0.6, 0.7, 0.8], 50), 8)).astype(float)
    hard = diagnose(RolloutLog.from_arrays(step, group, reward))
    limit = next(limit for limit in hard.limits if limit.question == question)
    assert "A share 0.25 of the first window's groups" in limit.why
    easy = diagnose(RolloutLog.from_arrays(step, group, np.tile([0, 1], 800)))
    assert question not in {limit.question for limit in easy.limits}
