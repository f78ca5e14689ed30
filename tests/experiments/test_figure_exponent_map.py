"""The best exponent and what others lose, against optimisers, limits and sampled groups."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import binom

from curvature import Normalization
from curvature.groups import best_exponent, certified_gain
from experiments import exponent_map as figure

MEDIANS = 2


@pytest.fixture(scope="module")
def table():
    return figure.run(medians=MEDIANS, prompts=50_000, seed=2)


@pytest.fixture(scope="module")
def numbers(table):
    return figure.headline(table)


def test_no_function_of_the_count_gains_more_than_the_best_weights():
    profile, G = figure.profile_of(0.1, 1.0), 6
    V = profile.success * (1 - profile.success)
    mixed = binom.pmf(np.arange(1, G), G, profile.success[:, None])

    def gain(c):
        inner, square = (
            profile.weights @ (V[:, None] * mixed * c),
            profile.weights @ (np.sqrt(V)[:, None] * mixed * c**2),
        )
        return inner.sum() ** 2 / square.sum()

    weights, most = figure.best_weights(profile, G)
    searched = minimize(lambda c: -gain(c), np.ones(G - 1), tol=1e-12)
    assert -searched.fun == pytest.approx(most, rel=1e-7)
    assert gain(weights[1:-1]) == pytest.approx(most, rel=1e-12)
    assert weights[[0, -1]].tolist() == [0, 0]


@pytest.mark.parametrize("size", [2, 3])
def test_all_exponents_are_alike_for_groups_of_two_and_three(size):
    profile = figure.profile_of(0.07, 2.0)
    found = list(figure.shares(profile, size).values())
    assert found == pytest.approx([found[0]] * len(found), rel=1e-12)


def test_prompts_that_are_all_alike_want_the_variance():
    profile = figure.profile_of(0.2, 1e-6)
    assert figure.shares(profile, 8)["e = 2, the variance"] == pytest.approx(1, abs=1e-9)
    assert best_exponent(profile.success, 8, weights=profile.weights) == pytest.approx(2, abs=0.01)


def test_large_groups_of_unlike_prompts_want_the_std():
    profile = figure.profile_of(0.2, 2.0)
    found = best_exponent(profile.success, 2000, weights=profile.weights)
    assert found == pytest.approx(1, abs=0.02)
    # At the limit the gain of e = 1 is that of the exact weights 1/σ.
    assert figure.shares(profile, 2000)["e = 1, GRPO"] > 0.999


def test_best_exponent_on_the_map_gains_at_least_as_much_as_the_three(table):
    rows = table[table["kind"] == "map"]
    assert len(rows) == len(figure.SPREADS) * MEDIANS * len(figure.SIZES)
    for row in rows.iloc[::5].itertuples():
        profile = figure.profile_of(row.median, figure.SPREADS[row.profile])
        size = int(row.group_size)
        most = figure.best_weights(profile, size)[1]
        best = certified_gain(
            profile.success, size, Normalization(exponent=row.best), weights=profile.weights
        )
        assert max(row.e0, row.e1, row.e2) <= best / most * (1 + 1e-6) <= 1 + 2e-6


def test_shares_are_at_most_one_and_grpo_loses_least_in_the_worst_case(table):
    rows = table[table["kind"] == "map"]
    shares = rows[list(figure.COLUMNS)]
    assert (shares.max() <= 1 + 1e-9).all()
    assert shares.min().idxmax() == "e1"
    assert shares["e1"].min() > 0.95


def test_sampled_shares_agree_with_the_exact_ones(table):
    sampled = table[table["kind"] == "sampled"]
    assert len(sampled) == 30
    for row in sampled.itertuples():
        profile = figure.profile_of(row.median, figure.SPREADS[row.profile])
        error = (row.high - row.low) / (2 * figure.REACH)
        # 4.5 standard errors, thirty times: a false alarm for fewer than 1 seed in 1,000.
        assert row.value == pytest.approx(figure.shares(profile, 8)[row.series], abs=4.5 * error)


def test_headline_counts_intervals_that_hold_the_exact_share(numbers):
    assert numbers["sampled shares"] == 30
    assert 0 < numbers["of them with the exact value in their 95% interval"] <= 30


def test_update_of_a_group_has_the_std_to_the_exponent():
    rewards = np.array([[1.0, 0, 0, 0], [1, 1, 1, 1]])
    p = np.array([0.1, 0.7])
    V = 3 / 16
    for exponent in (0.0, 1.0, 2.0):
        np.testing.assert_allclose(
            figure.updates(rewards, p, exponent), [V ** (1 - exponent / 2), 0], atol=1e-15
        )


def test_influence_gives_the_standard_error_of_the_gain():
    rng = np.random.default_rng(8)
    p, logs = np.full(2000, 0.3), []
    for _ in range(300):
        update = figure.updates((rng.random((2000, 4)) < 0.3).astype(float), p, 1.0)
        gain, influence = figure.measured_gain(p, update)
        logs.append(np.log(gain))
    # The standard deviation of 300 draws has a relative error of 4%: a false alarm for 1 seed in 10,000.
    assert np.std(logs) == pytest.approx(influence.std() / np.sqrt(2000), rel=0.2)


def test_a_size_out_of_range_is_named():
    with pytest.raises(ValueError, match="medians is 1; a whole number of at least 2 is needed"):
        figure.run(medians=1)
