"""Effective weights against sampled groups, the published fidelities, and the objective they add up to."""

import math

import numpy as np
import pytest

from experiments import finite_group_weight as figure

GROUPS = 20_000


@pytest.fixture(scope="module")
def table():
    return figure.run(groups=GROUPS, points=41, seed=4)


@pytest.fixture(scope="module")
def numbers(table):
    return figure.headline(table)


def _theory(table, quantity, size):
    rows = table[
        (table["quantity"] == quantity) & (table["kind"] == "theory") & (table["group_size"] == size)
    ]
    return rows["success"].to_numpy(), rows["value"].to_numpy()


@pytest.mark.parametrize(("size", "rate"), [(8, 0.5), (8, 0.05)])
def test_fidelity_is_as_published_to_four_digits(numbers, size, rate):
    ours, published = (numbers[f"fidelity at G = {size}, p = {rate:g}{end}"] for end in ("", ", published"))
    assert ours == pytest.approx(published, abs=5e-5)


def test_sampled_groups_agree_with_the_exact_sums(table, numbers):
    from curvature.groups import effective_weight, fidelity

    exact = {"weight": effective_weight, "fidelity": fidelity}
    sampled = table[table["kind"] == "sampled"]
    assert len(sampled) == numbers["sampled means"] == 70
    for row in sampled.itertuples():
        error = (row.high - row.low) / (2 * figure.REACH)
        # 4.5 standard errors, seventy times: a false alarm for fewer than 1 seed in 1,000.
        expected = float(exact[row.quantity](row.success, int(row.group_size)))
        assert row.value == pytest.approx(expected, abs=4.5 * error)


def test_a_group_of_two_has_one_weight_and_a_large_one_divides_by_the_std(table):
    p, weight = _theory(table, "weight", 2)
    np.testing.assert_allclose(weight, 1.0, rtol=1e-12)
    p, weight = _theory(table, "weight", math.inf)
    np.testing.assert_allclose(weight, 1 / np.sqrt(p * (1 - p)), rtol=1e-12)


@pytest.mark.parametrize("size", [4, 8, 16, 64])
def test_weight_lies_between_one_and_root_g_minus_one_and_fidelity_below_one(table, size):
    weight, fidelity = (_theory(table, quantity, size)[1] for quantity in ("weight", "fidelity"))
    assert (weight > 1).all()
    assert (weight < math.sqrt(size - 1)).all()
    assert (fidelity < 1).all()


@pytest.mark.parametrize("size", figure.SIZES)
def test_slope_of_the_objective_is_the_weight(size):
    from curvature.groups import effective_weight, implicit_objective

    p = np.array([0.02, 0.3, 0.5, 0.9])
    slope = (implicit_objective(p + 1e-5, size) - implicit_objective(p - 1e-5, size)) / 2e-5
    np.testing.assert_allclose(slope, effective_weight(p, size), rtol=1e-6)


def test_objective_runs_from_success_to_twice_the_arcsine(table, numbers):
    p, h = _theory(table, "objective", 2)
    np.testing.assert_allclose(h, p, atol=1e-12)
    p, h = _theory(table, "objective", math.inf)
    np.testing.assert_allclose(h, 2 * np.arcsin(np.sqrt(p)), atol=1e-9)
    ends = [numbers[f"h(1), {figure.name_of(size)}"] for size in figure.ROLES]
    assert ends == sorted(ends)
    assert ends[-1] == pytest.approx(math.pi)


def test_a_group_is_measured_by_its_update_over_the_gradient():
    measured = figure.measure(np.array([[True, False, False, False], [True] * 4]), 0.25)
    # A = (√3, −1/√3 …): (√3·3/4 + 3·1/4/√3)/4 = √3/4, over 3/16; σ̂ = σ in the first group, 0 in the second.
    np.testing.assert_allclose(measured["weight"], [4 / math.sqrt(3), 0])
    np.testing.assert_allclose(measured["fidelity"], [1, 0])


def test_a_size_out_of_range_is_named():
    with pytest.raises(ValueError, match="groups is 5; a whole number of at least 100 is needed"):
        figure.run(groups=5)
