"""What mutants of `groups` showed to be unwatched: the ends and words of intervals, names of fits, types."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from curvature.groups import (
    certified_gain,
    estimate,
    fit_success_distribution,
    gain_ratio,
    unbiased_variance,
)
from curvature.groups._distribution import SuccessDistribution
from curvature.groups._mixture import arcsine_grid, beta_on_cells
from curvature.groups.inference import _interval

DRAWS = np.array([0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7, 0.8])


@pytest.mark.parametrize("shift", [0.0, 3.0, -3.0])
def test_the_interval_is_the_wider_of_percentile_and_normal_on_each_side(shift):
    draws, value = DRAWS + shift, 0.5 + shift
    found = _interval(value, draws, 0.8, "groups")
    reach = norm.ppf(0.9) * draws.std(ddof=1)
    low, high = np.quantile(draws, [0.1, 0.9])
    assert found.low == pytest.approx(min(low, value - reach), rel=1e-12)
    assert found.high == pytest.approx(max(high, value + reach), rel=1e-12)
    assert (found.value, found.level) == (value, 0.8)
    assert found.method == "smooth mixture fit; percentile or normal, the wider, over 10 resamples of groups"


def test_the_interval_of_shares_ends_at_zero_and_one_and_that_of_other_numbers_does_not():
    wide = np.array([0.0, 0.0, 0.5, 1.0, 1.0])
    found = _interval(0.5, wide, 0.95, "clusters")
    assert (found.low, found.high) == (0.0, 1.0)
    assert found.method.endswith("5 resamples of clusters")
    assert _interval(0.5, wide + np.array([0, 0, 0, 0, 1e-9]), 0.95, "groups").high > 1.2
    assert _interval(0.5, wide - np.array([1e-9, 0, 0, 0, 0]), 0.95, "groups").low < -0.2
    assert _interval(0.5, wide - np.array([1e-9, 0, 0, 0, 0]), 0.95, "groups").high > 1.2


def test_one_resample_in_ten_may_lack_a_value_and_is_then_told_and_more_make_no_interval():
    one = np.append(DRAWS[:9], np.nan)
    found = _interval(0.5, one, 0.95, "groups")
    assert math.isfinite(found.low)
    assert found.method.endswith("; 1 without a value left out")
    none = _interval(0.5, np.append(DRAWS[:8], [np.nan, np.inf]), 0.95, "groups")
    assert np.isnan([none.low, none.high]).all()
    assert (none.value, none.level) == (0.5, 0.95)
    assert none.method == "no interval: the functional has no value at 2 of 10 resamples"
    assert np.isnan(_interval(math.nan, DRAWS, 0.95, "groups").low)


@pytest.mark.parametrize("method", ["nonparametric", "smooth", "beta"])
def test_a_fit_says_how_it_was_made(method):
    assert fit_success_distribution([0, 1, 3, 4], 4, method=method).method == method


def test_an_estimate_says_what_it_resampled():
    counts = [0, 1, 2, 3, 4, 2]
    mean = {"mean": lambda fit: fit.success_mean}
    alone = estimate(counts, 4, mean, num_resamples=40)["mean"]
    together = estimate(counts, 4, mean, clusters=[0, 0, 1, 1, 2, 2], num_resamples=40)["mean"]
    assert alone.method.endswith("resamples of groups")
    assert together.method.endswith("resamples of clusters")


def test_functionals_are_given_the_fit_and_then_draws():
    seen = []
    estimate(
        [0, 1, 2, 4], 4, {"m": lambda fit: seen.append(fit.method) or fit.success_mean}, num_resamples=40
    )
    assert seen == [*["draw"] * 40, "smooth"]


def test_a_distribution_reads_text_names_the_bad_point_and_draws_by_its_weights():
    fit = SuccessDistribution(["0.25", "0.75"], ["0.5", "0.5"], "given")
    assert fit.mean(lambda p: ["1", "3"]) == 2.0
    with pytest.raises(ValueError, match=r"got 1\.5"):
        SuccessDistribution([0.5, 1.5], [0.5, 0.5], "given")
    rare = SuccessDistribution([0.1, 0.9], [0.25, 0.75 + 5e-7], "given")
    drawn = rare.sample(4000, seed=0)
    # Off by more than 5 standard deviations in 1 of 10⁶ seeds.
    assert abs((drawn == 0.9).mean() - 0.75) < 5 * math.sqrt(0.75 * 0.25 / 4000)


def test_unbiased_variance_reads_text_and_names_the_group_that_is_too_small():
    assert unbiased_variance(["2"], ["4"]).tolist() == [1 / 3]
    with pytest.raises(ValueError, match="group_size=1 must be"):
        unbiased_variance([1, 1], [2, 1])


def test_gain_ratio_hands_the_std_of_the_batch_to_both_sides():
    success, weights = [0.1, 0.6], [0.25, 0.75]
    options = {"weights": weights, "batch_std": 0.3}
    found = gain_ratio(success, 8, "grpo", "trl_batch", **options)
    sides = [certified_gain(success, 8, name, **options) for name in ("grpo", "trl_batch")]
    assert found == pytest.approx(sides[0] / sides[1], rel=1e-13)


def test_weights_of_prompts_may_be_zero_and_not_all_of_them_nor_infinite():
    whole = certified_gain([0.2, 0.5], 4, "grpo", weights=[1.0, 0.0])
    assert whole == pytest.approx(certified_gain([0.2], 4, "grpo"), rel=1e-13)
    for bad in ([0.0, 0.0], [math.inf, 1.0], [-1.0, 2.0]):
        with pytest.raises(ValueError, match="weights"):
            certified_gain([0.2, 0.5], 4, "grpo", weights=bad)


def test_the_grid_is_the_squared_sine_and_symmetric():
    grid = arcsine_grid(9)
    np.testing.assert_allclose(grid, np.sin(np.linspace(0, np.pi / 2, 9)) ** 2, atol=1e-15)
    np.testing.assert_allclose(grid, 1 - grid[::-1], atol=5e-16)
    assert arcsine_grid(101)[1] == pytest.approx(math.sin(math.pi / 200) ** 2, rel=1e-12)


def test_a_beta_on_cells_has_its_mean_and_a_point_in_every_cell():
    points, weights = beta_on_cells(2.0, 3.0, 50)
    assert points.shape == weights.shape == (50,)
    edges = arcsine_grid(51)
    assert ((edges[:-1] <= points) & (points <= edges[1:])).all()
    assert weights @ points == pytest.approx(0.4, rel=1e-6)
    points, weights = beta_on_cells(4000.0, 4000.0, 50)
    assert ((edges[:-1] <= points) & (points <= edges[1:])).all()
