"""The lines of the ball figure bound its points, and the sharp one is reached."""

import numpy as np
import pytest

from curvature import LogLinearBandit, hessian_extremes
from curvature.bounds import sharp
from curvature.testing import assert_upper
from experiments import std_ball


@pytest.fixture(scope="module")
def instances():
    return std_ball.run(instances=150, searches=3, seed=2)


def of(instances, quantity, source=None):
    rows = instances[instances["quantity"] == quantity]
    return rows if source is None else rows[rows["source"] == source]


def test_columns_are_as_documented(instances):
    assert list(instances) == ["quantity", "source", "reward_std", "distance", "ratio"]
    for quantity in ("curvature", "remainder"):
        assert len(of(instances, quantity, "random")) == 150
        assert len(of(instances, quantity, "search")) == 3


def test_curvature_at_a_distance_is_below_l2_with_l3(instances):
    rows = of(instances, "curvature")
    radius = rows["distance"] * rows["reward_std"] / np.sqrt(0.5)  # r σ/X in units of 1/D at the least X
    bound = sharp.hessian_norm_nearby(rows["reward_std"], 1.0, radius) / (0.5 * rows["reward_std"])
    assert_upper(rows["ratio"], bound, rtol=1e-7)


def test_curvature_at_a_distance_is_below_c1_with_the_log_odds(instances):
    rows = of(instances, "curvature")
    assert_upper(rows["ratio"], std_ball.sharpest_nearby(rows["distance"]), rtol=1e-8)


def test_search_reaches_c1_with_the_log_odds(instances):
    rows = of(instances, "curvature", "search")
    assert (rows["ratio"] / std_ball.sharpest_nearby(rows["distance"])).min() > 0.999


def test_best_constant_for_the_paper_s_ball_is_0_587():
    assert std_ball.sharpest_nearby(1.0)[0] == pytest.approx(0.58728, abs=1e-5)


def test_one_instance_reaches_the_best_constant():
    # The maximiser of the formula: p moves along the only direction two responses have.
    p, X = 0.1025295, np.sqrt(0.5)
    std = np.sqrt(p * (1 - p))
    bandit = LogLinearBandit.two_arm([p])
    at_the_edge = np.abs(hessian_extremes(bandit, np.array([std / X]))).max()
    assert at_the_edge / (X**2 * std) == pytest.approx(std_ball.sharpest_nearby(1.0)[0], abs=1e-5)


def test_remainder_is_below_l4_and_nearly_reaches_it_for_short_steps(instances):
    rows = of(instances, "remainder")
    assert_upper(rows["ratio"], 1.0, rtol=1e-7)
    shortest = of(instances, "remainder", "search").sort_values("distance").iloc[0]
    assert shortest["ratio"] > 0.98


def test_paper_s_line_is_five_halves_up_to_distance_one():
    line = std_ball.bounds("curvature")
    rows = line[line["series"] == "paper, Lemma 3.3: 5/2, up to r = 1"]
    assert rows["ratio"].tolist() == pytest.approx([2.5, 2.5])
    assert rows["distance"].max() == 1


def test_a_size_out_of_range_is_named():
    with pytest.raises(ValueError, match="searches is 0; a whole number of at least 1 is needed"):
        std_ball.run(searches=0)
