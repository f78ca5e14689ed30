"""The race runs the paper's algorithms at the steps it says, tunes both arms alike, and counts what never arrives."""

import numpy as np
import pytest

from curvature import LogLinearBandit, moments
from curvature.ascent import ascend
from experiments import _runs, race


@pytest.fixture(scope="module")
def runs():
    return race.run(instances=3, tuning_instances=1, passes=300, seed=3)


def test_columns_are_as_documented(runs):
    assert list(runs) == ["profile", "rule", "method", "instance", "step", "at_edge", "passes", "limit"]
    assert len(runs) == len(race.PROFILES) * len(race.RULES) * len(race.METHODS) * 3


def test_grpo_is_faster_at_the_paper_s_and_at_certified_steps(runs):
    rows = race.summary(runs).set_index(["profile", "rule"])
    for rule in ("paper", "certified"):
        assert rows.loc[("easy", rule), "low"] > 1
    assert rows.loc[("mixed", "certified"), "speedup"] > 1


def test_paper_s_steps_are_shorter_than_certified_ones(runs):
    steps = runs.groupby(["profile", "method", "rule"])["step"].first().unstack()
    assert (steps["paper"] < steps["certified"]).all()


def test_paper_s_step_of_reinforce_is_twice_that_of_grpo():
    bandit = LogLinearBandit.two_arm([0.3, 0.6])  # X = D/√2 for centred features
    assert race.paper_step(bandit, "reinforce") == pytest.approx(2.0)
    assert race.paper_step(bandit, "grpo") == pytest.approx(1.0)


def test_instances_start_where_their_profile_says():
    for name, (low, high) in race.PROFILES.items():
        success = moments(race._instance(name, 4, 0), np.zeros(race.PROMPTS * 5)).expected_reward
        assert success.min() == pytest.approx(low)
        assert success.max() == pytest.approx(high)


def test_both_arms_choose_from_one_grid_and_on_instances_that_are_not_reported_on(runs):
    tuned = runs[runs["rule"] == "tuned"]
    assert set(tuned["step"]) <= set(race.GRID)
    assert runs["instance"].max() < _runs.FIRST_TUNING_SEED


def test_tuning_finds_the_fastest_step():
    bandit = _runs.bandit_with_success([0.1, 0.3, 0.6], 4, 0.3, seed=5)
    grid = 2.0 ** np.arange(-2, 6)
    best = _runs.tune([bandit], "grpo", level=0.8, num_steps=200, grid=grid)
    times = ascend(bandit, "grpo", step=grid, num_steps=200).time_to_target(0.8)
    assert times[list(grid).index(best.step)] == times.min()
    assert best.at_edge == (best.step in (grid[0], grid[-1]))


def test_time_is_interpolated_only_where_the_record_is_thinned():
    bandit = LogLinearBandit.two_arm([0.2])
    full, thinned = (ascend(bandit, step=0.5, num_steps=40, every=every) for every in (1, 8))
    level = 0.6
    exact = full.time_to_target(level)[0]
    assert _runs.time_to(full, level)[0] == exact
    assert exact - 2 < _runs.time_to(thinned, level)[0] <= thinned.time_to_target(level)[0]
    assert np.isinf(_runs.time_to(full, 1.5)[0])


def test_censored_times_make_a_bound_and_are_counted():
    found = _runs.compare([100.0, np.inf], [10.0, 10.0], 200)
    assert found["bound"] == "at least"
    assert found["speedup"] == pytest.approx(np.sqrt(10 * 20))
    assert (found["slow_censored"], found["fast_censored"]) == (1, 0)
    assert _runs.compare([1.0, 2.0], [np.inf, 2.0], 9)["bound"] == "at most"
    assert _runs.compare([np.inf, 2.0], [2.0, np.inf], 9)["bound"] == "unknown"


def test_geometric_interval_holds_its_mean_and_is_student_s():
    mean, low, high = _runs.geometric_interval([1.0, 2.0, 4.0])
    assert mean == pytest.approx(2.0)
    assert np.log(high / mean) == pytest.approx(4.302653 * np.log(2) / np.sqrt(3), rel=1e-6)
    assert low * high == pytest.approx(mean**2)


def test_a_size_out_of_range_is_named():
    with pytest.raises(ValueError, match="instances is 1; a whole number of at least 2 is needed"):
        race.run(instances=1)
