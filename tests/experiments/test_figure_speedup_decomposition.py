"""The factors multiply to the ratios, and the schedule of the runs is the certified one."""

import numpy as np
import pytest

from experiments import speedup_decomposition as figure


@pytest.fixture(scope="module")
def table():
    return figure.run(prompts=6)


def test_every_profile_and_share_has_both_ratios_from_both_sources(table):
    assert len(table) == len(figure.PROFILES) * len(figure.SHARES) * 4
    assert np.isfinite(table[["across_iterations", "across_prompts", "total"]].to_numpy()).all()


def test_no_factor_of_the_flow_is_below_one(table):
    flow = table[table["source"] == "flow"]
    assert flow[["across_iterations", "across_prompts"]].to_numpy().min() >= 1 - 1e-9


def test_factors_of_the_bounds_of_runs_are_at_least_one(table):
    runs = table[(table["source"] == "run") & (table["ratio"] == "bound")]
    assert runs[["across_iterations", "across_prompts"]].to_numpy().min() >= 1 - 1e-12


def test_one_prompt_has_no_factor_across_prompts():
    alone = figure.run(prompts=1)
    # Of the times of runs it is not 1: their steps are few and long.
    exact = alone[(alone["source"] == "flow") | (alone["ratio"] == "bound")]
    assert exact["across_prompts"].to_numpy() == pytest.approx(1.0, abs=1e-9)


def test_schedule_is_four_log_two_over_the_largest_std_at_every_step():
    profile = figure.profile_of("mixed: p₀ of .005–.99", 6)
    trace = figure.discrete_runs(profile)["scheduled"]
    largest = trace["largest_reward_std"][0]
    steps = figure.schedule_of(profile, trace.num_steps)[0]
    assert steps * largest[:-1] == pytest.approx(4 * np.log(2), rel=1e-9)


def test_runs_of_many_steps_are_near_the_flow(table):
    late = table[(table["share"] == 0.99) & (table["ratio"] == "time")]
    totals = late.pivot(index="profile", columns="source", values="total")
    assert (totals["run"] / totals["flow"]).between(0.85, 1.2).all()


def test_ratio_of_the_bounds_is_not_that_of_the_times(table):
    flow = table[table["source"] == "flow"].pivot(index=["profile", "share"], columns="ratio", values="total")
    ratio = flow["bound"] / flow["time"]
    assert ratio.min() < 0.9
    assert ratio.max() > 1.1


def test_a_size_out_of_range_is_named():
    with pytest.raises(ValueError, match="prompts is 0; a whole number of at least 1 is needed"):
        figure.run(prompts=0)
