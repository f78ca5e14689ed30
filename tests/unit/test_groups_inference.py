"""Success rates and their distribution from counts: certified fits, unbiased where counts decide, and honest bounds."""

import numpy as np
import pytest
from scipy import stats

from curvature.groups import _smooth
from curvature.groups._cells import likelihood, make_cells
from curvature.groups.inference import (
    SuccessDistribution,
    estimate,
    fit_success_distribution,
    std_mean_bounds,
    success_interval,
)

STD = {"std": lambda f: f.std_mean}


def counts_of(success, size, seed):
    return np.random.default_rng(seed).binomial(size, success)


def hard(num, seed=0):
    return np.random.default_rng(seed).beta(2, 30, num)


@pytest.mark.parametrize(
    ("method", "name"), [("wilson", "wilson"), ("exact", "exact"), ("clopper-pearson", "exact")]
)
def test_success_intervals_are_those_of_scipy(method, name):
    count, size = np.array([[0, 3, 8], [1, 2, 16]]), np.array([[8], [16]])
    low, high = success_interval(count, size, level=0.9, method=method)
    for at in np.ndindex(2, 3):
        expected = stats.binomtest(int(count[at]), int(size[at[0], 0])).proportion_ci(0.9, method=name)
        assert (low[at], high[at]) == (expected.low, expected.high)
    assert np.ndim(success_interval(3, 8)[0]) == 0


def test_exact_intervals_cover_at_least_their_level_at_every_success_rate():
    p = np.linspace(0.001, 0.999, 400)
    for size in (4, 8, 16):
        k = np.arange(size + 1)
        low, high = success_interval(k, size, method="exact")
        inside = (low[:, None] <= p) & (p <= high[:, None])
        assert ((stats.binom.pmf(k[:, None], size, p) * inside).sum(axis=0) >= 0.95).all()


@pytest.mark.parametrize("size", [1, 2, 4, 8, 16, 64])
def test_nonparametric_fit_meets_its_gradient_condition_and_beats_every_rival(size):
    counts = counts_of(hard(400), size, 1)
    fit = fit_success_distribution(counts, size)
    assert -1e-9 <= fit.gradient_gap <= 1e-6

    def log_likelihood(f):
        return np.log(stats.binom.pmf(counts[:, None], size, f.support) @ f.weights).mean()

    rivals = [fit_success_distribution(counts, size, method=name) for name in ("smooth", "beta")]
    alike = SuccessDistribution([counts.mean() / size], [1.0])
    for rival in (*rivals, alike):
        assert (
            log_likelihood(rival) <= log_likelihood(fit) + 1e-4
        )  # the rivals' points are not all on its grid


def test_nonparametric_fit_of_mixed_sizes_meets_its_gradient_condition():
    sizes = np.random.default_rng(3).choice([1, 3, 8, 20], 500)
    fit = fit_success_distribution(counts_of(hard(500), sizes, 4), sizes)
    assert fit.gradient_gap <= 1e-6


def test_beta_fit_is_a_maximum_of_the_beta_binomial_likelihood():
    counts = counts_of(np.random.default_rng(5).beta(2, 5, 20_000), 8, 6)
    fit = fit_success_distribution(counts, 8, method="beta")
    # Four standard errors of a mean of 20,000 variances: false alarm below 1e-4.
    assert fit.success_mean == pytest.approx(counts.mean() / 8, abs=1e-3)
    assert fit.variance_mean == pytest.approx(2 * 5 / (7 * 8), abs=4 * 0.08 / np.sqrt(20_000))


def test_smooth_fit_finds_a_stationary_point_of_the_penalised_likelihood():
    cells = make_cells(counts_of(hard(300), 8, 7), 8)
    family = _smooth.make_family()
    table = likelihood(cells, family.support)
    at = _smooth.fit(family, table, cells.number)

    def penalised(a):
        fitted = table @ _smooth.weights_of(family, a[None])[0]
        return cells.number @ np.log(fitted) - 0.5 * (((a - family.centre) / family.scale) ** 2).sum()

    best = penalised(at)
    for direction in np.random.default_rng(8).standard_normal((200, at.size)):
        assert penalised(at + 0.05 * direction) <= best + 2e-3


@pytest.mark.parametrize("method", ["nonparametric", "smooth"])
def test_mean_success_and_variance_of_a_fit_are_the_unbiased_ones_of_the_counts(method):
    counts = counts_of(np.random.default_rng(9).uniform(0.1, 0.9, 2000), 8, 10)
    fit = fit_success_distribution(counts, 8, method=method)
    assert fit.success_mean == pytest.approx(counts.mean() / 8, abs=1e-3)
    assert fit.variance_mean == pytest.approx((counts * (8 - counts)).mean() / 56, abs=1e-3)


def test_plug_in_std_is_half_the_std_of_hard_prompts_and_the_estimate_within_5_percent():
    success = np.full(4000, 0.05)
    counts = counts_of(success, 8, 11)
    plug_in = np.sqrt(counts / 8 * (1 - counts / 8)).mean()
    sigma = np.sqrt(0.05 * 0.95)
    assert plug_in / sigma == pytest.approx(0.539, abs=0.03)  # four standard errors
    # Prompts that are all alike are no smooth distribution: the interval is a little low, the bounds are not.
    assert estimate(counts, 8, STD, num_resamples=40)["std"].value == pytest.approx(sigma, rel=0.05)
    low, high = std_mean_bounds(counts, 8)
    assert low <= sigma <= high


def test_estimates_are_the_same_for_the_same_seed_and_whatever_the_order_of_groups():
    counts = counts_of(hard(200), 8, 12)
    first = estimate(counts, 8, STD, num_resamples=50, seed=3)
    assert estimate(counts[::-1], np.full(200, 8), STD, num_resamples=50, seed=3) == first
    assert estimate(counts, 8, STD, num_resamples=50, seed=4) != first


def test_functionals_of_one_call_share_their_resamples():
    found = estimate(
        counts_of(hard(200), 8, 13), 8, STD | {"paper": lambda f: 8 / 3 * f.std_mean}, num_resamples=50
    )
    for end in ("value", "low", "high"):
        assert getattr(found["paper"], end) == pytest.approx(8 / 3 * getattr(found["std"], end))


def test_mean_of_many_groups_has_the_interval_of_the_central_limit():
    counts = counts_of(np.random.default_rng(14).uniform(0.2, 0.8, 5000), 8, 15)
    found = estimate(counts, 8, {"mean": lambda f: f.success_mean}, num_resamples=400)["mean"]
    error = (counts / 8).std(ddof=1) / np.sqrt(5000)
    # The wider of two intervals, each with 400 draws: within a quarter of the width with a false alarm below 1e-4.
    assert (found.high - found.low) / (2 * 1.96 * error) == pytest.approx(1.05, abs=0.25)


def test_groups_of_one_prompt_are_resampled_together():
    prompts = np.repeat(np.random.default_rng(16).uniform(0.05, 0.95, 60), 20)
    counts = counts_of(prompts, 8, 17)
    mean = {"mean": lambda f: f.success_mean}
    alone = estimate(counts, 8, mean)["mean"]
    together = estimate(counts, 8, mean, clusters=np.repeat(np.arange(60), 20))["mean"]
    # 20 visits of a prompt tell of one prompt: √20 times the spread between prompts, less what is within.
    assert (together.high - together.low) / (alone.high - alone.low) == pytest.approx(np.sqrt(20), rel=0.35)


@pytest.mark.parametrize(
    ("counts", "sizes"),
    [
        ([3], 8),
        ([0], 1),
        ([0] * 50, 8),
        ([8] * 50, 8),
        ([0, 8] * 20, 8),
        ([4] * 300, 8),
        ([1, 0, 2, 5, 16, 30], [1, 2, 4, 8, 16, 64]),
    ],
)
def test_little_and_uniform_logs_have_a_finite_interval_around_their_value(counts, sizes):
    found = estimate(
        counts, sizes, STD | {"mean": lambda f: f.success_mean, "silent": lambda f: f.mean(lambda p: p**8)}
    )
    for interval in found.values():
        assert 0 <= interval.low <= interval.value <= interval.high <= 1
        assert interval.low < interval.high
    for method in ("nonparametric", "smooth", "beta"):
        fit = fit_success_distribution(counts, sizes, method=method)
        assert fit.weights.sum() == pytest.approx(1)
        assert fit.success_mean == pytest.approx(np.mean(np.divide(counts, sizes)), abs=0.13)


def test_silent_log_does_not_claim_that_prompts_are_impossible():
    for counts in ([0] * 50, [8] * 50, [0, 8] * 25):
        found = estimate(counts, 8, STD)["std"]
        # p = 0.002 in 50 groups of 8 shows no success with probability 0.45.
        assert found.low == 0
        assert found.high >= np.sqrt(0.002 * 0.998) / 2


def test_million_groups_are_fitted_in_seconds():
    import time

    success = hard(1_000_000)
    counts = counts_of(success, 8, 18)
    start = time.process_time()
    fit = fit_success_distribution(counts, 8)
    assert time.process_time() - start < 2
    # Means of a million: four standard errors.
    assert fit.success_mean == pytest.approx(success.mean(), abs=4 * 0.1 / 1000)


def test_bounds_hold_the_truth_and_the_estimate_and_narrow_with_group_size():
    widths = []
    for size in (4, 8, 16):
        success = hard(1000, seed=19)
        counts = counts_of(success, size, 20)
        low, high = std_mean_bounds(counts, size)
        assert low <= np.sqrt(success * (1 - success)).mean() <= high
        assert low <= estimate(counts, size, STD, num_resamples=40)["std"].value <= high
        widths.append(high - low)
    assert widths[0] > widths[1] > widths[2]


def test_counts_that_no_distribution_explains_are_refused():
    with pytest.raises(ArithmeticError, match="spread less than those of independent rollouts"):
        std_mean_bounds([4] * 500, 8)


def test_functional_without_a_value_is_said_to_have_no_interval():
    found = estimate(counts_of(hard(100), 8, 21), 8, {"none": lambda f: float("nan")}, num_resamples=40)[
        "none"
    ]
    assert np.isnan(found.low)
    assert "no value at 40 of 40 resamples" in found.method


def test_samples_of_a_distribution_have_its_mean():
    f = SuccessDistribution([0.0, 0.3, 1.0], [0.2, 0.5, 0.3])
    # Four standard errors.
    assert f.sample(40_000, seed=22).mean() == pytest.approx(f.success_mean, abs=4 * 0.4 / 200)
    assert f.mean(np.square) == pytest.approx(0.5 * 0.09 + 0.3)


@pytest.mark.parametrize(
    ("call", "error", "told"),
    [
        (lambda: fit_success_distribution([], 8), ValueError, "counts is empty"),
        (lambda: fit_success_distribution([9], 8), ValueError, r"counts\[0\] is 9, but the group has 8"),
        (lambda: fit_success_distribution([1.5], 8), ValueError, "counts must be whole numbers .* got 1.5"),
        (lambda: fit_success_distribution([-1], 8), ValueError, "counts must be .* got -1"),
        (lambda: fit_success_distribution([0], 0), ValueError, "sizes must be .* got 0"),
        (lambda: fit_success_distribution(["a"], 8), TypeError, "counts must be whole numbers"),
        (
            lambda: fit_success_distribution([1, 2], [8, 8, 8]),
            ValueError,
            r"counts has shape \(2,\) and sizes \(3,\)",
        ),
        (lambda: fit_success_distribution([1], 8, method="x"), ValueError, "method is 'x'"),
        (lambda: success_interval(1, 8, method="x"), ValueError, "method is 'x'"),
        (lambda: success_interval(1, 8, level=95), ValueError, "level is 95"),
        (lambda: estimate([1], 8, STD, level=1.0), ValueError, "level is 1.0"),
        (
            lambda: estimate([1], 8, STD, num_resamples=3),
            ValueError,
            "num_resamples must be .* at least 40, got 3",
        ),
        (
            lambda: estimate([1, 2], 8, STD, clusters=[1]),
            ValueError,
            "clusters has 1 entries, but there are 2",
        ),
        (lambda: SuccessDistribution([0.5], [0.5]), ValueError, "weights must be .* sum 0.5"),
        (lambda: SuccessDistribution([1.5], [1.0]), ValueError, r"support must lie in \[0, 1\], got 1.5"),
        (lambda: SuccessDistribution([0.5, 0.6], [1.0]), ValueError, r"support has shape \(2,\)"),
    ],
)
def test_bad_input_of_inference_is_answered_by_a_sentence_with_the_value(call, error, told):
    with pytest.raises(error, match=told):
        call()
