"""Every public calculator against its formula in mpmath, at points where careless arithmetic breaks."""

import importlib
import inspect
import math

import mpmath
import pytest
from oracle_kit import Oracle, answers, ulps_off, worst
from oracles_groups import GROUPS_AND_FLOW
from oracles_lemmas import LEMMAS
from oracles_theorems import THEOREMS

ORACLES = LEMMAS | THEOREMS | GROUPS_AND_FLOW
PUBLIC = (
    "curvature.bounds",
    "curvature.bounds.paper",
    "curvature.bounds.sharp",
    "curvature.flow",
    "curvature.groups",
    "curvature.interference",
)
# What has no formula to be compared with, and what checks it instead.
EXEMPT = {
    "curvature.bounds.expected_run": "a run of a bandit: its binomial means have an oracle, its moments another test",
    "curvature.groups.best_exponent": "an argmax by search; its gains have an oracle",
    "curvature.groups.estimate": "a statistical fit with resampling: tested by coverage",
    "curvature.groups.fit_success_distribution": "a fit, certified by its own duality gap",
    "curvature.groups.std_mean_bounds": "two linear programmes over exact intervals",
    "curvature.interference.span_bases": "bases, unique up to rotation; overlap_matrix has an oracle",
    "curvature.interference.certified_gain": "theorem_b1 on the moments of a bandit; theorem_b1 has an oracle",
    "curvature.interference.certified_speedup": "a ratio of certified steps; theorem_b1_step has an oracle",
    "curvature.interference.certified_step": "theorem_b1_step on the moments of a bandit",
}


def public_calculators():
    names = {}
    for module_name in PUBLIC:
        module = importlib.import_module(module_name)
        for name in module.__all__:
            if inspect.isroutine(getattr(module, name)) or hasattr(getattr(module, name), "__wrapped__"):
                names[f"{module_name}.{name}"] = getattr(module, name)
    return names


@pytest.mark.parametrize("name", ORACLES)
def test_calculator_is_within_its_units_in_the_last_place(name):
    oracle = ORACLES[name]
    error, point, value, true = worst(oracle)
    told = f"{name}{point} = {value!r}, truly {mpmath.nstr(true, 20) if true is not None else true}"
    assert error <= oracle.ulps, f"{told}: {error:.3g} units off, {oracle.ulps} are allowed"


def test_every_public_calculator_has_an_oracle_or_a_reason():
    covered = {name.partition(" ")[0] for name in ORACLES}
    public = set(public_calculators())
    assert len(public) > 50
    assert public - covered - set(EXEMPT) == set(), "add an oracle, or a reason to EXEMPT"
    assert covered - public == set(), "an oracle of what is not public"
    assert set(EXEMPT) <= public - covered, "exempt although it has an oracle or is gone"


@pytest.mark.parametrize("name", ORACLES)
def test_oracle_notices_a_calculator_that_is_off_by_one_part_in_ten_million(name):
    """Each table has a point at which a wrong factor shows, so that agreement means something."""
    oracle = ORACLES[name]
    for point in oracle.points:
        for value, true in zip(*answers(oracle, point), strict=True):
            if 0 < abs(value) < 1e300 and ulps_off(float(value) * (1 + 1e-7), true) > oracle.ulps:
                return
    pytest.fail(f"no point of {name} would show a relative error of 1e-7")


def test_distance_in_units_is_what_it_says():
    one = mpmath.mpf(1)
    assert ulps_off(1.0, one) == 0
    assert ulps_off(1 + 2.0**-52, one) == 1
    assert ulps_off(float("nan"), one) == float("inf")
    assert ulps_off(float("inf"), one) == float("inf")
    assert ulps_off(float("inf"), mpmath.mpf(10) ** 400) == 0
    assert ulps_off(1e308, mpmath.mpf(10) ** 400) == float("inf")
    assert ulps_off(0.0, mpmath.mpf(10) ** -400) < 1e-70


def test_an_oracle_catches_a_naive_exponential():
    assert worst(Oracle(lambda s: math.exp(s) - 1, mpmath.expm1, [(1e-12,)], 8))[0] > 1e6
