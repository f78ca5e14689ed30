"""Slopes, escape times and the numbers of the discrete runs."""

import numpy as np
import pytest

from curvature.flow import failure_asymptote
from experiments import exact_rates
from experiments._two_arms import crossing_time, group_weight

REINFORCE, GRPO, VARIANCE, GROUP = exact_rates.EXPONENTS


@pytest.fixture(scope="module")
def table():
    return exact_rates.run(steps=400, copies=12, seed=3)


@pytest.fixture(scope="module")
def numbers(table):
    return exact_rates.headline(table)


def test_runs_take_39_and_15_updates_where_the_flow_takes_39_0_and_14_2(numbers):
    assert numbers[f"{REINFORCE}, .01 to .99, run"] == 39
    assert numbers[f"{GRPO}, .01 to .99, run"] == 15
    assert numbers[f"{REINFORCE}, .01 to .99, flow"] == pytest.approx(39.02, abs=0.01)
    assert numbers[f"{GRPO}, .01 to .99, flow"] == pytest.approx(14.21, abs=0.01)


@pytest.mark.parametrize(("name", "tail", "escape"), [(REINFORCE, -1, -1), (GRPO, -2, -0.5), (GROUP, -1, -1)])
def test_slopes_are_those_of_theory(numbers, name, tail, escape):
    assert numbers[f"{name}, slope of the tail"] == pytest.approx(tail, abs=0.01)
    assert numbers[f"{name}, slope of the escape time"] == pytest.approx(escape, abs=0.01)


def test_tails_of_runs_meet_the_asymptotes(table):
    runs = table[(table["panel"] == "tail") & (table["kind"] == "run")]
    for name, exponent in ((REINFORCE, 0.0), (GRPO, 1.0)):
        last = runs[runs["series"] == name].iloc[-1]
        assert last["value"] == pytest.approx(
            float(failure_asymptote(last["x"], exponent=exponent)), rel=0.03
        )


def test_runs_that_divide_by_the_variance_follow_their_flow_exactly(table):
    runs = table[(table["panel"] == "tail") & (table["kind"] == "run") & (table["series"] == VARIANCE)]
    assert len(runs) >= 4
    # From p₀ = 1/2 the odds of failure are e^(−αD²t) at any step: z grows by αD² an update.
    assert np.log(runs["value"] / (1 - runs["value"])).tolist() == pytest.approx(
        (-runs["x"]).tolist(), rel=1e-9
    )


def test_escape_of_runs_is_near_that_of_the_flow(table):
    escape = table[table["panel"] == "escape"]
    for name in (REINFORCE, GRPO):
        rows = escape[escape["series"] == name]
        flow, runs = (rows[rows["kind"] == kind] for kind in ("flow", "run"))
        expected = np.exp(np.interp(np.log(runs["x"]), np.log(flow["x"]), np.log(flow["value"])))
        assert (runs["value"] / expected).between(0.95, 1.25).all()


def test_sampled_escapes_have_the_flow_in_their_range(table):
    rows = table[(table["panel"] == "escape") & (table["series"] == GROUP)]
    flow, runs = (rows[rows["kind"] == kind] for kind in ("flow", "run"))
    expected = np.exp(np.interp(np.log(runs["x"]), np.log(flow["x"]), np.log(flow["value"])))
    assert len(runs) >= 4
    assert ((runs["low"] <= 1.1 * expected) & (expected <= 1.1 * runs["high"])).all()


@pytest.mark.parametrize("G", [2, 3, 8])
def test_group_weight_is_the_expected_group_std_over_the_variance(G):
    p = np.array([0.03, 0.4, 0.9])
    rng = np.random.default_rng(5)
    share = rng.binomial(G, p, size=(200_000, 3)) / G
    std = np.sqrt(share * (1 - share))
    error = std.std(axis=0) / np.sqrt(len(std)) / (p * (1 - p))
    assert (np.abs(group_weight(G)(p) - std.mean(axis=0) / (p * (1 - p))) < 4.5 * error + 1e-12).all()
    assert group_weight(G)(np.array([1e-12, 1 - 1e-12])).tolist() == pytest.approx([np.sqrt(G - 1)] * 2)


def test_group_weight_of_a_large_group_is_one_over_the_std():
    assert float(group_weight(200)(0.3)) == pytest.approx(1 / np.sqrt(0.21), rel=0.01)


def test_crossing_time_is_linear_between_updates():
    times = crossing_time([[0.0, 0.5, 1.0], [0.8, 0.9, 1.0], [0.0, 0.1, 0.2]], 0.75)
    assert times.tolist() == [1.5, 0.0, np.inf]


def test_a_size_out_of_range_is_named():
    with pytest.raises(ValueError, match="copies is 0; a whole number of at least 1 is needed"):
        exact_rates.run(copies=0)
