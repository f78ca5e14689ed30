"""What mutants of `groups` showed to be unwatched: cells of several sizes, blocks of prompts, ends of the grid."""

import numpy as np
import pytest

from curvature.groups import best_exponent, effective_weight, gradient_moments, success_interval
from curvature.groups._cells import every_outcome, make_cells
from curvature.groups._distribution import SuccessDistribution
from curvature.groups._intervals import require_level, std_mean_bounds
from curvature.groups._mixture import arcsine_grid


def test_every_outcome_of_every_size_holds_the_groups_that_were_in_it():
    cells = every_outcome(make_cells([0, 1, 1, 3, 5, 5], [4, 4, 4, 4, 5, 5]))
    assert cells.count.tolist() == [*range(5), *range(6)]
    assert cells.size.tolist() == [4] * 5 + [5] * 6
    assert cells.number.tolist() == [1, 2, 0, 1, 0, 0, 0, 0, 0, 0, 2]


def test_the_first_count_above_its_size_is_named():
    with pytest.raises(ValueError, match=r"^counts\[2\] is 9, but the group has 8"):
        make_cells([4, 3, 9], [4, 8, 8])


@pytest.mark.parametrize("support", [[0.0, 0.5, 1.5], [0.5, 1.0, 1.5]])
def test_the_point_of_a_support_that_is_no_probability_is_named(support):
    with pytest.raises(ValueError, match=r"^support must lie in \[0, 1\], got 1\.5"):
        SuccessDistribution(np.array(support), np.full(3, 1 / 3), "mine")


def test_one_count_against_several_sizes_has_an_interval_for_each():
    low, high = success_interval(3, [8, 10])
    assert low.shape == high.shape == (2,)
    np.testing.assert_array_equal(low, [success_interval(3, 8)[0], success_interval(3, 10)[0]])


@pytest.mark.parametrize("level", [0.0, 1.0, True, "0.9", None])
def test_a_level_that_is_no_number_between_zero_and_one_is_refused(level):
    with pytest.raises(ValueError, match=r"^level is "):
        require_level(level)


def test_bounds_from_two_sizes_take_what_each_tells():
    rng = np.random.default_rng(1)
    p = rng.beta(2, 2, size=4000)
    sizes = np.where(np.arange(4000) < 2000, 4, 16)
    counts = rng.binomial(sizes, p)
    low, high = std_mean_bounds(counts, sizes)
    # E √(p(1 − p)) of beta(2, 2) is B(5/2, 5/2)/B(2, 2) = 9π/64.
    assert low < 9 * np.pi / 64 < high
    few = std_mean_bounds(counts[:2000], 4)
    many = std_mean_bounds(counts[2000:], 16)
    assert low > few[0] + 0.02
    # More shares, each at a higher level: not narrower than the large groups alone by more than the small ones tell.
    assert high - low < 1.2 * (many[1] - many[0])


@pytest.mark.parametrize("num", [100, 101, 401])
def test_the_grid_is_symmetric_to_the_last_digit_and_exact_beside_zero(num):
    grid = arcsine_grid(num)
    assert (grid[0], grid[-1]) == (0, 1)
    np.testing.assert_array_equal(grid[num // 2 + 1 :], 1 - grid[: (num - 1) // 2][::-1])
    np.testing.assert_allclose(grid[1], np.sin(np.pi / 2 / (num - 1)) ** 2, rtol=1e-15)
    np.testing.assert_allclose(grid, np.sin(np.linspace(0, np.pi / 2, num)) ** 2, atol=1e-15)


def test_prompts_treated_in_blocks_have_the_values_they_have_alone():
    p = np.linspace(0.1, 0.9, 90)
    weights, moments = effective_weight(p, 1_000_000), gradient_moments(p, 1_000_000)
    for i in (0, 41, 89):
        np.testing.assert_allclose(weights[i], effective_weight(p[i], 1_000_000), rtol=1e-12)
        np.testing.assert_allclose(moments.square[i], gradient_moments(p[i], 1_000_000).square, rtol=1e-9)


def test_prompts_of_certain_success_favour_no_exponent_and_warn_of_nothing():
    assert 0 <= best_exponent([0.0, 1.0], 8) <= 4


def test_the_best_exponent_of_many_prompts_is_that_of_their_shares():
    p = np.array([0.02, 0.3, 0.5])
    many = np.repeat(p, 500)
    assert many.size * 1023 > 1 << 20
    assert best_exponent(many, 1024) == pytest.approx(best_exponent(p, 1024), abs=1e-4)
