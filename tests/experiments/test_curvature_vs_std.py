"""Every instance of the figure is below every line of its panel, and the searched ones reach the sharp lines."""

import numpy as np
import pytest

from curvature.bounds import paper, sharp
from curvature.testing import assert_tight, assert_upper
from experiments import curvature_vs_std


@pytest.fixture(scope="module")
def instances():
    return curvature_vs_std.run(instances=160, searches=5, seed=3)


def of(instances, rewards, source=None):
    rows = instances[instances["rewards"] == rewards]
    return rows if source is None else rows[rows["source"] == source]


def test_columns_are_as_documented(instances):
    assert list(instances) == [
        "rewards",
        "source",
        "responses",
        "dimension",
        "rarer",
        "reward_std",
        "curvature",
        "spectral_norm",
    ]
    assert len(of(instances, "binary", "random")) == 160
    assert len(of(instances, "real", "random")) == 80
    assert len(of(instances, "binary", "search")) == len(of(instances, "real", "search")) == 5


def test_spectral_norm_is_at_least_the_diameter_over_root_two(instances):
    assert_upper(curvature_vs_std.LEAST_SPECTRAL_NORM, instances["spectral_norm"])
    # Two responses have exactly that, once centred.
    two = instances[instances["responses"] == 2]
    assert len(two) > 0
    np.testing.assert_allclose(two["spectral_norm"], np.sqrt(0.5), rtol=1e-12)


def test_binary_instances_are_below_every_line(instances):
    rows = of(instances, "binary")
    assert_upper(rows["curvature"], paper.hessian_norm(rows["rarer"], curvature_vs_std.LEAST_SPECTRAL_NORM))
    assert_upper(rows["curvature"], sharp.hessian_norm(rows["reward_std"], 1.0))
    assert_upper(rows["curvature"], sharp.hessian_norm_binary(rows["rarer"], 1.0))


def test_real_instances_are_below_their_lines(instances):
    rows = of(instances, "real")
    assert_upper(rows["curvature"], sharp.hessian_norm(rows["reward_std"], 1.0))
    assert_upper(rows["curvature"], sharp.hessian_norm_global(1.0))


def test_search_reaches_the_binary_profile_at_every_success_rate(instances):
    rows = of(instances, "binary", "search")
    ratio = rows["curvature"] / sharp.hessian_norm_binary(rows["rarer"], 1.0)
    assert ratio.min() > 0.999


def test_search_with_real_rewards_reaches_the_std_bound(instances):
    rows = of(instances, "real", "search")
    assert_tight(rows["curvature"], sharp.hessian_norm(rows["reward_std"], 1.0))


def test_the_same_seed_gives_the_same_numbers():
    first, again, other = (curvature_vs_std.run(instances=16, searches=1, seed=seed) for seed in (5, 5, 6))
    assert first.equals(again)
    assert not first.equals(other)


def test_lines_are_the_library_s_bounds():
    lines = curvature_vs_std.bounds(np.array([0.3]))
    by_name = lines.set_index("series")["curvature"]
    p = 0.1  # √(p(1−p)) = .3
    assert by_name["paper, Lemma 3.1: 4X²V at X = D/√2"] == pytest.approx(2 * p * (1 - p))
    assert by_name["ours, C1: D²ℓ(q), sharp"] == pytest.approx(p * (1 - p) * (1 - 2 * p))
    assert by_name["ours, L2: D²σ/4"] == pytest.approx(0.075)


@pytest.mark.parametrize(("name", "value"), [("instances", 0), ("searches", -1), ("instances", 2.5)])
def test_a_size_out_of_range_is_named(name, value):
    with pytest.raises(ValueError, match=f"{name} is {value}; a whole number of at least 1 is needed"):
        curvature_vs_std.run(**{name: value})
