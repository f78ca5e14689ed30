"""Predicted speed-ups against runs whose truth is known: independent prompts, sampled groups, real advantages."""

import json

import numpy as np
import pytest

from curvature import group_advantages
from curvature.advantages import Normalization
from curvature.lm._forecast import Forecast
from curvature.lm._measured import paired_ratio, time_to
from curvature.lm.compare import Run, compare, read_run

G, PROMPTS = 8, 48
CONVENTIONS = {"none": "none", "group": "grpo", "batch": "batch", "variance": Normalization(exponent=2.0)}


def starts():
    rng = np.random.default_rng(5)
    return rng.beta(0.8, 1.6, PROMPTS).clip(0.02, 0.98)


def advantages(arm, rewards):
    if arm == "group_matched":
        return group_advantages(rewards) * rewards.std(axis=1).mean()
    return group_advantages(rewards, preset=CONVENTIONS[arm])


def simulate(arm, seed, *, optimizer="sgd", rate=0.25, steps=150, noise=True):
    """Ascend independent two-answer prompts: z moves by rate·mean of A·(r − p), over its RMS advantage for Adam."""
    rng = np.random.default_rng(seed)
    z = np.log(starts() / (1 - starts()))
    right = np.empty((steps, PROMPTS), dtype=np.int64)
    for step in range(steps):
        p = 1 / (1 + np.exp(-z))
        rewards = (rng.random((PROMPTS, G)) < p[:, None]).astype(float)
        right[step] = rewards.sum(axis=1)
        A = advantages(arm, rewards)
        scale = np.sqrt((A**2).mean()) if optimizer == "adamw" else 1.0
        z = z + rate * (A * (rewards - p[:, None])).mean(axis=1) / scale
    return Run(
        arm,
        seed,
        optimizer,
        np.repeat(np.arange(steps), PROMPTS),
        np.tile(np.arange(PROMPTS), steps),
        right.ravel(),
        np.full(right.size, G),
        np.full(steps, rate),
    )


def runs_of(arms, seeds, **options):
    return [simulate(arm, seed, **options) for arm in arms for seed in seeds]


@pytest.mark.parametrize(("optimizer", "rate"), [("sgd", 0.25), ("adamw", 0.12)])
def test_prediction_agrees_with_simulated_runs_of_independent_prompts(optimizer, rate):
    # 24 seeds stand for the truth to 2 %. The predicted interval covers it but for a chance of 5 % each, the flow's
    # neglect of noise aside; a tenth is allowed for that. Fixed seeds: no alarm is left to chance.
    truth = compare(
        runs_of(("none", "group", "batch", "group_matched"), range(100, 124), optimizer=optimizer, rate=rate),
        target=(0.5, 0.6),
        num_resamples=40,
        first_steps=1,
    )
    for one in truth.speedups:
        assert one.predicted is not None
        assert one.reached == (24, 24)
        assert one.predicted.low * 0.9 < one.measured.value < one.predicted.high * 1.1
        assert one.predicted.value == pytest.approx(one.measured.value, rel=0.12)


def test_adam_keeps_no_factor_of_the_batch():
    found = compare(
        runs_of(("none", "group", "batch", "group_matched"), range(3), optimizer="adamw", rate=0.12),
        target=0.55,
        num_resamples=40,
    )
    predicted = {one.arm: one.predicted.value for one in found.speedups}
    assert predicted["batch"] == pytest.approx(1, abs=1e-12)
    assert predicted["group_matched"] == pytest.approx(predicted["group"], rel=1e-12)


def test_sgd_feels_the_scale_and_adam_does_not():
    sgd = Forecast(starts(), G, "sgd")
    weights = np.full(PROMPTS, 1 / PROMPTS)
    ratio = sgd.curve("none", weights).when(0.6) / sgd.curve("group", weights).when(0.6)
    assert ratio > 2
    adam = Forecast(starts(), G, "adamw")
    assert abs(
        np.log(adam.curve("none", weights).when(0.6) / adam.curve("group", weights).when(0.6))
    ) < np.log(1.5)


def test_flow_without_a_batch_factor_is_the_flow_of_theory():
    from curvature.flow import time_to_target
    from curvature.groups import effective_weight

    profile = starts()
    weights = np.full(PROMPTS, 1 / PROMPTS)
    forecast = Forecast(profile, G, "sgd")
    for arm, convention in (("none", "none"), ("group", "grpo")):
        law = lambda p, name=convention: effective_weight(p, G, name)  # noqa: E731
        exact = time_to_target(profile, 0.7, method=law, step_rule=1.0)
        assert forecast.curve(arm, weights).when(0.7) == pytest.approx(float(exact), rel=5e-3)


def test_time_scale_is_that_of_the_simulation():
    found = compare(runs_of(("none", "group"), range(8)), target=0.6, num_resamples=40)
    assert found.time_scale.low < 1 < found.time_scale.high
    assert found.time_scale.value == pytest.approx(1, rel=0.15)


def test_curves_of_other_arms_are_forecast_within_their_noise():
    found = compare(runs_of(("none", "group"), range(8)), num_resamples=40)
    curves = found.curves[found.curves["arm"] == "group"]
    assert np.abs(curves["predicted"] - curves["measured"]).max() < 0.05


def test_learning_rate_schedules_count():
    fast, slow = simulate("none", 1), simulate("group", 1, rate=0.25)
    doubled = Run(**{**vars(fast), "learning_rate": fast.learning_rate * 2})
    ratios = [
        compare([one, slow], target=0.6, num_resamples=40).speedups[0].predicted.value
        for one in (fast, doubled)
    ]
    assert ratios[0] == pytest.approx(2 * ratios[1], rel=1e-3)


def test_a_prediction_at_one_rate_takes_the_ratio_of_rates_out():
    slow = simulate("group", 1)
    slow = Run(**{**vars(slow), "learning_rate": slow.learning_rate / 4})
    one = compare([simulate("none", 1), slow], target=0.6, num_resamples=40).speedups[0]
    assert one.learning_rates == (0.25, 0.0625)
    assert one.predicted_at_one_rate.value == pytest.approx(4 * one.predicted.value, rel=1e-3)


def test_time_to_target_is_exact_without_noise():
    step = np.arange(101)
    run = Run("none", 0, "sgd", step, step, step, np.full(101, 100), np.ones(101))
    assert time_to(run, np.array([0.25, 0.5, 2.0])).tolist() == [25, 50, np.inf]


def test_a_pair_that_never_arrives_leaves_the_ratio_without_a_value():
    found = paired_ratio(np.array([10.0, 20.0]), np.array([5.0, np.inf]))
    assert np.isnan(found.value)
    assert "not finite" in found.method


def test_ratio_of_paired_seeds_ignores_what_pairs_share():
    shared = np.array([1.0, 7.0, 0.2])
    found = paired_ratio(3 * shared, shared)
    assert (found.low, found.value, found.high) == pytest.approx((3, 3, 3))


def test_an_arm_without_a_forecast_is_measured_all_the_same():
    other = simulate("group", 0)
    found = compare(
        [simulate("none", 0), Run(**{**vars(other), "arm": "smoothed"})], target=0.6, num_resamples=40
    )
    assert found.speedups[0].predicted is None
    assert found.speedups[0].measured.value > 1
    assert found.curves.loc[found.curves["arm"] == "smoothed", "predicted"].isna().all()


def test_window_statistics_follow_the_true_std():
    found = compare(runs_of(("none", "group"), range(4), steps=120), target=0.5, num_resamples=40)
    assert found.windows["paper_statistic"].to_numpy() == pytest.approx(
        8 / 3 * found.windows["mean_std"].to_numpy()
    )
    true = np.sqrt(starts() * (1 - starts())).mean()
    assert found.windows["mean_std"].iloc[0] == pytest.approx(true, rel=0.1)
    assert found.openings["group"]["lead_above_0_from_step"] is not None


def test_json_holds_everything():
    found = compare(runs_of(("none", "group"), [0], steps=60), target=0.5, num_resamples=40)
    plain = json.loads(found.to_json())
    assert plain["speedups"][0]["measured"]["low"] is None  # one seed has no interval
    assert len(plain["curves"]["step"]) == 2 * 60
    assert plain["phases"]["group"]["sentence"]


def write(folder, run):
    import pandas as pd

    (folder / "rollouts").mkdir(parents=True)
    config = {"arm": run.arm, "seed": run.seed, "optimizer": run.optimizer}
    (folder / "config.json").write_text(json.dumps(config))
    rows = [json.dumps({"step": t, "learning_rate": rate}) for t, rate in enumerate(run.learning_rate)]
    (folder / "metrics.jsonl").write_text("\n".join(rows) + '\n{"step": 9')
    for t in range(run.num_steps):
        here = run.step == t
        reward = (np.arange(G) < run.right[here][:, None]).astype(float)
        keys = np.repeat([f"sum/{k}" for k in run.group[here]], G)
        table = pd.DataFrame({"step": t, "group": keys, "reward": reward.ravel(), "advantage": 0.0})
        table.to_parquet(folder / "rollouts" / f"step_{t:05d}.parquet")


def test_folders_say_the_same_as_runs(tmp_path):
    pytest.importorskip("pyarrow")
    run = simulate("none", 3, steps=5)
    write(tmp_path / "run", run)
    read = read_run(tmp_path / "run")
    assert read.success == pytest.approx(run.success)
    assert (read.arm, read.seed, read.optimizer, read.num_steps) == ("none", 3, "sgd", 5)
    assert read.learning_rate.tolist() == run.learning_rate.tolist()


def test_rewards_between_0_and_1_are_refused(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    write(tmp_path / "run", simulate("none", 3, steps=2))
    path = tmp_path / "run" / "rollouts" / "step_00001.parquet"
    table = pandas.read_parquet(path)
    table.loc[0, "reward"] = 0.5
    table.to_parquet(path)
    with pytest.raises(ValueError, match="rewards of step 1 have mean"):
        read_run(tmp_path / "run")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda a, b: [a], "another arm"),
        (lambda a, b: [a, a, b], "choose one"),
        (lambda a, b: [a, Run(**{**vars(b), "optimizer": "adamw"})], "one optimizer at a time"),
        (lambda a, b: [a, Run(**{**vars(b), "seed": 9})], "nothing is paired"),
    ],
)
def test_runs_that_do_not_go_together_are_refused(change, sentence):
    a, b = simulate("none", 0, steps=20), simulate("group", 0, steps=20)
    with pytest.raises(ValueError, match=sentence):
        compare(change(a, b), target=0.5, num_resamples=40)


def test_runs_that_learn_nothing_have_no_speedups_and_a_note_says_so():
    runs = [simulate(arm, 0, rate=1e-6, steps=20) for arm in ("none", "group")]
    found = compare(runs, num_resamples=40)
    assert not found.speedups
    assert "too little for a target" in found.notes[0]


def test_command_prints_predictions_beside_measurements(tmp_path, capsys):
    pytest.importorskip("pyarrow")
    import argparse

    from curvature import _lm_compare_command

    folders = []
    for arm in ("none", "group"):
        folders.append(str(tmp_path / arm))
        write(tmp_path / arm, simulate(arm, 0, steps=40))
    parser = argparse.ArgumentParser()
    _lm_compare_command.add_parser(parser.add_subparsers())
    given = parser.parse_args([
        "compare",
        *folders,
        "--target",
        "0.5",
        "--output",
        str(tmp_path / "out.json"),
    ])
    assert given.run(given) == 0
    shown = capsys.readouterr().out
    assert "measured speed-up" in shown
    assert "1 of 1" in shown
    assert json.loads((tmp_path / "out.json").read_text())["speedups"][0]["arm"] == "group"
    given = parser.parse_args(["compare", str(tmp_path), folders[0]])
    assert given.run(given) == 2
    assert "has no config.json" in capsys.readouterr().err
