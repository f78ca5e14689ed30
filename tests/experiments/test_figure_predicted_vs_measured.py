"""Predictions are made without the runs, and the runs come out near them."""

import numpy as np
import pytest

from curvature.ascent import ascend
from curvature.bandit import LogLinearBandit
from experiments import predicted_vs_measured as figure


@pytest.fixture(scope="module")
def table():
    return figure.run(prompts=24, seeds=10, steps=120, seed=4)


def of(table, view, gradients):
    rows = table[(table["view"] == view) & (table["gradients"] == gradients)]
    assert len(rows) > 10
    return rows


def test_exact_curves_are_within_one_prompt_of_the_flow(table):
    curve = of(table, "curve", "exact")
    assert (curve["measured"] - curve["predicted"]).abs().max() < 1 / 24
    assert (curve["low"] == curve["measured"]).all()


def test_sampled_curves_are_within_one_prompt_of_the_flow(table):
    curve = of(table, "curve", "sampled")
    assert (curve["measured"] - curve["predicted"]).abs().max() < 1 / 24


def test_exact_times_are_within_a_tenth(table):
    times = of(table, "time", "exact")
    assert (times["measured"] / times["predicted"]).between(0.9, 1.1).all()


def test_sampled_runs_are_later_than_the_flow_and_by_less_than_half(table):
    times = of(table, "time", "sampled")
    assert (times["measured"] / times["predicted"]).between(0.98, 1.5).all()


def test_profile_has_the_mean_success_of_the_questions():
    profile = figure.profile_of(256)
    answers = figure.gsm8k_profile.read_answers().to_numpy()
    assert np.all(np.diff(profile) > 0)
    assert profile.mean() == pytest.approx(answers.mean(), abs=0.005)


def test_matched_step_makes_the_first_update_as_long_as_reinforce_s():
    profile = figure.profile_of(12)
    bandit, lengths = LogLinearBandit.two_arm(profile), []
    for name in ("REINFORCE, certified step", "GRPO, matched step"):
        trace = ascend(
            bandit,
            figure.method_of(name),
            step=figure.step_of(name, profile),
            num_steps=1,
            record=("update_norm",),
        )
        lengths.append(trace["update_norm"][0, 0])
    assert lengths[0] == pytest.approx(lengths[1], rel=1e-9)


def test_another_seed_gives_other_sampled_runs_and_the_same_predictions(table):
    other = figure.run(prompts=24, seeds=10, steps=120, seed=5)
    curves, others = (of(frame, "curve", "sampled") for frame in (table, other))
    assert (curves["predicted"].to_numpy() == others["predicted"].to_numpy()).all()
    assert (curves["measured"].to_numpy() != others["measured"].to_numpy()).any()


def test_a_size_out_of_range_is_named():
    with pytest.raises(ValueError, match="seeds is 1; a whole number of at least 2 is needed"):
        figure.run(seeds=1)
