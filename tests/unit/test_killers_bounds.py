"""What mutants and moved constants of `bounds` showed to be unwatched; each test holds one of them still."""

import dataclasses
import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest

from curvature import LogLinearBandit
from curvature.bounds import paper, sharp
from curvature.bounds._comparison import improvement_factor, improvement_threshold
from curvature.bounds._expectations import binomial_expectation, expected_run, smallest_variance_bound
from curvature.bounds._interference_bounds import largest_disparity, theorem_b2
from curvature.bounds._repaired_theorems import theorem_3_2_repaired
from curvature.bounds._sharp_speedups import theorem_t4, theorem_t5
from curvature.bounds._sharp_theorems import theorem_c1, theorem_t3
from curvature.bounds._theorem_inputs import check_at_most, interference_factor, read_std_bounds


def _psi(s):
    return math.expm1(s) - s


def _b2_by_its_proof(g, σ, c, D, a, α, s):
    """B2 with every constant written as in its proof, pair by pair."""
    n = len(g)
    δ = max(sum(c[x][y] for y in range(n) if y != x) for x in range(n))
    χ = max(
        (a[x] + a[y]) / (2 * math.sqrt(a[x] * a[y]))
        for x in range(n)
        for y in range(n)
        if x != y and c[x][y] > 0
    )
    first = (1 - δ * χ) * α * sum(a[x] * g[x] ** 2 for x in range(n))
    spread = [sum(σ[x] * c[x][y] for x in range(n)) for y in range(n)]
    second = sum(spread[y] * (D / 2 * α * a[y] * g[y]) ** 2 for y in range(n))
    return 1 - δ * χ, first - (1 + δ) * _psi(s) / s**2 * second


def test_b2_at_overlap_diameter_and_weights_away_from_one_is_what_its_proof_gives():
    g, σ, a, D, α = [0.2, 0.1, 0.3], [0.4, 0.2, 0.45], [2.0, 3.0, 2.5], 1.7, 0.6
    c = [[1.0, 0.2, 0.1], [0.2, 1.0, 0.0], [0.1, 0.0, 1.0]]
    s = D / 2 * max(sum(α * a[x] * g[x] * c[x][y] for x in range(3)) for y in range(3))
    found = theorem_b2(g, σ, c, D, a, α)
    alignment, gain = _b2_by_its_proof(g, σ, c, D, a, α, s)
    assert found.alignment == pytest.approx(alignment, rel=1e-13)
    assert found.gain == pytest.approx(gain, rel=1e-13)
    assert found.largest_shift == pytest.approx(s, rel=1e-13)


def test_b2_told_that_nothing_shifts_has_the_curvature_of_an_infinitesimal_step():
    found = theorem_b2([0.2], [0.4], [[1.0]], 2.0, [3.0], 0.5, largest_shift=0.0)
    move = 0.5 * 3.0 * 0.2
    assert found.gain == pytest.approx(move * 0.2 - 0.5 * 0.4 * move**2, rel=1e-13)


def test_b2_refuses_an_overlap_half_a_per_cent_above_one():
    with pytest.raises(ValueError, match="overlap must be symmetric"):
        theorem_b2([0.1, 0.1], [0.4, 0.4], [[1.0, 1.005], [1.005, 1.0]], 1.0, [1.0, 1.0], 0.1)


def test_disparity_is_never_below_one():
    none = np.zeros((3, 3), dtype=bool)
    assert largest_disparity(np.array([1.0, 4.0, 0.0]), none) == 1.0
    assert largest_disparity(np.zeros(3), ~none) == 1.0


@pytest.mark.parametrize(("method", "unit"), [("reinforce", 1.0), ("grpo", 0.5)])
def test_a_run_without_a_step_takes_the_paper_s(method, unit):
    bandit = LogLinearBandit([3.0 * np.eye(2)], [[1, 0]])
    assert expected_run(bandit, method, num_steps=2).step == pytest.approx(unit / 9, rel=1e-14)


@pytest.mark.parametrize("success", [1.005, math.nextafter(1, 2), -math.nextafter(0, 1)])
def test_success_beyond_its_ends_by_the_least_float_is_refused(success):
    with pytest.raises(ValueError, match=r"success must lie in \[0, 1\]"):
        paper.hessian_norm(success, 1.0)


def test_one_correct_s_two_halves_are_told_apart_at_one_half():
    p = np.array([0.4951, 0.499, 0.5, 0.501, 0.5049])
    expected = [q * (1 - q) / 4 if q <= 0.5 else q / 8 for q in p]
    np.testing.assert_allclose(sharp.hessian_norm_one_correct(p, 1.0), expected, rtol=1e-14)


def test_one_correct_s_easy_half_changes_formula_where_one_in_four_fails():
    p = np.array([0.7476, 0.7499, 0.7501, 0.7524])
    expected = [q / 8 if q < 0.75 else (1 - q) * q * (2 * q - 1) for q in p]
    np.testing.assert_allclose(sharp.hessian_norm_one_correct(p, 1.0), expected, rtol=1e-14)


def test_binary_curvature_changes_formula_at_a_quarter_and_not_beside_it():
    q = np.array([0.2476, 0.2499, 0.2501, 0.2524])
    expected = np.where(q <= 0.25, q * (1 - q) * (1 - 2 * q), (1 - q) / 8)
    np.testing.assert_allclose(sharp.hessian_norm_binary(q, 1.0), expected, rtol=1e-14)
    np.testing.assert_allclose(sharp.hessian_norm_binary(1 - q, 1.0), expected, rtol=1e-14)
    np.testing.assert_allclose(sharp.hessian_norm_nearby_binary(q, 1.0, 0.0), expected, rtol=1e-13)


def test_t3_of_runs_that_never_vary_compares_equal_bounds():
    rates = theorem_t3(10, initial_gap=0.5, diameter=2.0, mean_reward_std=0.0, max_reward_std=0.0)
    assert (rates.ratio, rates.grpo, rates.reinforce) == (1.0, 0.0, 0.0)


def test_c1_s_step_gain_and_rate_are_those_of_a_smooth_function():
    rate = theorem_c1(100, initial_gap=0.8, diameter=3.0, reward_range=2.0, num_prompts=4)
    L = 9 * 2 / (6 * math.sqrt(3))
    assert rate.step == pytest.approx(1 / L, rel=1e-14)
    assert rate.gain_factor == pytest.approx(1 / (2 * L), rel=1e-14)
    assert rate.mean_squared == pytest.approx(2 * L * 0.8 * 4 / 100, rel=1e-14)


@pytest.mark.parametrize("bad", [{"gradient_ratio": 0.995}, {"std_ratio": 0.995}, {"cross_prompt": -1e-300}])
def test_constants_of_interference_just_below_their_least_are_refused(bad):
    given = {"cross_prompt": 1.0, "gradient_ratio": 1.0, "std_ratio": 1.0}
    (name,) = bad
    with pytest.raises(ValueError, match=f"{name} is {bad[name]}"):
        interference_factor(**{**given, **bad})


def test_a_std_bound_just_above_one_half_is_refused():
    with pytest.raises(ValueError, match=r"holds 0\.502"):
        read_std_bounds([0.5, 0.502])


def test_a_mean_std_half_a_per_cent_above_the_largest_is_refused():
    with pytest.raises(ValueError, match=r"mean reaches 0\.201, above top = 0\.2"):
        check_at_most(np.float64(0.201), np.float64(0.2), "mean", "top")


def test_window_that_ends_just_before_the_peak_does_not_have_its_value():
    odds = (2 - math.sqrt(3)) * np.array([0.97, 0.985, 0.999, 1.001, 1.015, 1.03])
    p = odds / (1 + odds)
    # q(1 − q)(1 − 2q), in odds; beside the peak it is lower by 1e-7 to 1e-3 of itself.
    expected = odds * (1 - odds) / (1 + odds) ** 3
    np.testing.assert_allclose(sharp.hessian_norm_nearby_binary(p, 1.0, 0.0), expected, rtol=1e-13)


@pytest.mark.parametrize("share", [0.95, 0.97, 0.985, 0.999])
def test_window_whose_end_stops_just_short_of_the_peak_has_the_value_there(share):
    end = share * (2 - math.sqrt(3))
    odds = end * math.exp(-0.5)
    expected = end * (1 - end) / (1 + end) ** 3
    found = sharp.hessian_norm_nearby_binary(odds / (1 + odds), 1.0, 0.5)
    assert found == pytest.approx(expected, rel=1e-12)


def test_the_sharp_constant_at_a_huge_radius_is_taken_off_the_peak():
    r = 1e40
    with mpmath.workdps(40):

        def constant(a):
            z = mpmath.findroot(lambda z: z - r / (2 * mpmath.cosh(z / 2)) - a, 2 * mpmath.log(r) - 10)
            q = 1 / (1 + mpmath.exp(a))
            return q * (1 - q) * (1 - 2 * q) * 2 * mpmath.cosh(z / 2)

        grid = [mpmath.acosh(2) + mpmath.mpf(k) / 4000 for k in range(1, 80)]
        best = max(constant(a) for a in grid)
    assert float(sharp.nearby_constant(r, unit="diameter")) == pytest.approx(float(best), rel=1e-7)


_THRESHOLDS = {
    "paper": (2, 16 / 3, "X²", "Lemma 3.1, step 1/X²", "Lemma 3.3, step 1/(2X²)", False),
    "paper_best_step": (2, 5, "X²", "Lemma 3.1, step 1/X²", "Lemma 3.3, step 2/(5X²)", False),
    "sharp": (
        1 / (8 * (2 * math.log(2) - 1)),
        1 / (4 * (2 * math.log(2) - 1)),
        "D²",
        "T2 at σ_max = 1/2, step 8c₀/D²",
        "T1, step 4c₀/D²",
        True,
    ),
    "sharp_smoothness": (
        1 / (3 * math.sqrt(3)),
        1 / (4 * (2 * math.log(2) - 1)),
        "D²",
        "C1, step 6√3/D²",
        "T1, step 4c₀/D²",
        False,
    ),
    "sharp_binary": (
        1 / (3 * math.sqrt(3)),
        0.5,
        "D²",
        "C1, step 6√3/D²",
        "C1 along the step, 4/D²",
        False,
    ),
}


@pytest.mark.parametrize("constants", _THRESHOLDS)
def test_thresholds_say_where_both_constants_come_from(constants):
    found = dataclasses.astuple(improvement_threshold(constants))
    r, g, *told = _THRESHOLDS[constants]
    assert found[0] == constants
    np.testing.assert_allclose(found[1:5], [r / g, g / r, r, g], rtol=1e-14)
    assert list(found[5:]) == told


def test_factor_of_a_stack_of_runs_weighs_the_prompts_of_each():
    σ = np.random.default_rng(2).uniform(0, 0.5, size=(2, 3, 5, 4))
    p = np.array([0.1, 0.3, 0.6, 0.9])
    expected = 8 / 3 * (σ.mean(axis=2) * (1 - p)).sum(axis=2) / (1 - p).sum()
    np.testing.assert_allclose(improvement_factor(σ, p), expected, rtol=1e-13)
    np.testing.assert_allclose(improvement_factor(σ), 8 / 3 * σ.mean(axis=(2, 3)), rtol=1e-13)
    with pytest.raises(ValueError, match=r"shape \(3,\); \(4,\) is needed"):
        improvement_factor(σ, p[:3])


@pytest.mark.parametrize("shape", [(3, 0), (0, 4), (2, 0, 4), (2, 3, 0)])
def test_runs_without_steps_or_prompts_have_no_factor_and_no_speedup(shape):
    with pytest.raises(ValueError, match="is needed"):
        improvement_factor(np.empty(shape))
    with pytest.raises(ValueError, match="is needed"):
        theorem_t4(np.empty(shape))


@pytest.mark.parametrize("name", ["num_steps", "num_prompts"])
@pytest.mark.parametrize(
    "rate",
    [
        lambda **n: theorem_t3(initial_gap=0.5, diameter=1.0, mean_reward_std=0.1, max_reward_std=0.2, **n),
        lambda **n: theorem_c1(initial_gap=0.5, diameter=1.0, **n),
    ],
)
def test_the_message_names_the_count_that_is_none(rate, name):
    with pytest.raises(ValueError, match=f"^{name} is 0;"):
        rate(**{"num_steps": 3, "num_prompts": 2, name: 0})


def test_numbers_of_unusual_types_are_read_and_text_is_not():
    assert paper.hessian_norm(np.array([Fraction(1, 2), 1], dtype=object), 3.0).tolist() == [9.0, 0.0]
    assert paper.hessian_norm(np.array([[True], [False]]), np.uint8(3)).tolist() == [[0.0], [0.0]]
    with pytest.raises(TypeError, match="success must be a real number"):
        paper.hessian_norm("0.5", 1.0)


def test_sequences_are_read_as_float64_and_prompts_counted_by_name():
    assert binomial_expectation(["0", "1", "2"], 4).tolist() == [0.0, 0.25, 0.5]
    assert smallest_variance_bound(["0.25", "0.5"], 1).tolist() == [0.25, 0.5]
    path = [[0.5, 0.1], [0.2, 0.3]]
    assert smallest_variance_bound(path, 2).tolist() == [[0.5, 0.1], [0.5, 0.3]]
    with pytest.raises(ValueError, match=r"^num_prompts is 0;"):
        smallest_variance_bound(path, 0)


def test_a_repaired_rate_of_a_run_that_ends_in_certainty_is_finite_where_it_can_be():
    rate = theorem_3_2_repaired(1, 0.5, 1.0, [0.5, 0.0])
    assert rate.gradient_sum == pytest.approx(4 / 3)
    assert rate.gradient_min == 0.0


def test_pointwise_speedups_of_a_stack_are_those_of_each_at_its_own_scale():
    g = np.array([[0.1, 0.2], [0.3, 0.05]])
    σ = np.array([[0.2, 0.4], [0.5, 0.1]])
    stack = theorem_t5(np.stack([g * 1e-200, g]), np.stack([σ, σ])).by_std
    alone = [[theorem_t5(g[k], σ[k]).by_std for k in range(2)]] * 2
    np.testing.assert_allclose(stack, alone, rtol=1e-13)


def test_t4_of_a_stack_averages_each_run_by_itself():
    σ = np.random.default_rng(3).uniform(0.05, 0.5, size=(3, 4, 2))
    whole, alone = theorem_t4(σ), [theorem_t4(run) for run in σ]
    for field in dataclasses.fields(whole):
        stacked = getattr(whole, field.name)
        np.testing.assert_allclose(stacked, [getattr(one, field.name) for one in alone], rtol=1e-14)
