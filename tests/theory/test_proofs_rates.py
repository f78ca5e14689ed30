"""Proofs of T1–T5, B1 and B2: what they derive is what the calculators use, and a wrong constant names its step."""

import math

import numpy as np
import pytest
import sympy as sp
from scipy.optimize import minimize_scalar

from curvature.bounds import sharp
from curvature.interference import certified_gain, certified_speedup
from curvature.ledger.ours_rates import LIKE_CURVED, UNLIKE_LENGTHS
from curvature.moments import moments
from curvature.proofs import PROOFS, ProofError
from curvature.proofs._claims import psi
from curvature.proofs._derivation import exact

# Moved by one per cent in the direction in which the statement would say too much, and the step that refuses it.
TOO_MUCH = [
    ("psi", "limit", 1.01, "tends to the limit claimed"),
    ("T1", "gain", 1.01, "all that L4 leaves"),
    ("T1", "step", 1.01, "its maximum is there"),
    ("T2", "gain", 1.01, "all that L4 leaves"),
    ("T2", "step", 1.01, "its maximum is there"),
    ("T3", "gamma", 0.99, "T1 and T2 say"),
    ("C1-step", "gain", 1.01, "the gain there"),
    ("C1-step", "rate", 0.99, "the rate is 1/gain"),
    ("C1-step", "step", 1.01, "derivative in η is 0"),
    ("T4", "most", 0.99, "across prompts"),
    ("T5", "least", 1.01, "a single prompt"),
    ("T5", "best", 1.01, "its maximum over α"),
    ("T5-short", "ratio", 0.99, "the ratio of the two"),
    ("T5-curvature", "kappa", 0.99, "κ_ℓ is as claimed"),
    ("B1", "remainder", 0.99, "the constant is at least 1"),
    ("B2-slope", "damping", 0.99, "a sum of terms ≥ 0"),
    ("B2", "quarter", 0.99, "σ_xψ"),
    ("B2", "spread", 0.99, "Cauchy–Schwarz gives"),
]


@pytest.mark.parametrize(("name", "constant", "factor", "step"), TOO_MUCH)
def test_a_constant_that_says_too_much_is_refused_by_its_own_step(name, constant, factor, step):
    import inspect

    claimed = exact(inspect.signature(PROOFS[name]).parameters[constant].default)
    with pytest.raises(ProofError) as refusal:
        PROOFS[name](**{constant: exact(factor) * claimed})
    assert step in str(refusal.value)


def test_certified_step_and_gain_are_the_calculators():
    for name in ("T1", "T2"):
        proof = PROOFS[name]()
        found = sharp.theorem_t1(0.25, 0.5, 1.0)
        assert float(4 * proof.derived["step"]) == pytest.approx(float(found.step), rel=1e-15)
        assert float(4 * proof.derived["gain"]) * 0.25**2 / 0.5 == pytest.approx(float(found.gain), rel=1e-15)


def test_certificate_has_its_maximum_where_the_proof_says():
    c = sp.Symbol("c", positive=True)
    certificate = sp.lambdify(c, PROOFS["T1"]().derived["certificate at y = 1"])
    best = minimize_scalar(lambda x: -certificate(x), bounds=(0, 3), method="bounded")
    assert best.x == pytest.approx(math.log(2), abs=1e-5)
    assert -best.fun == pytest.approx(2 * math.log(2) - 1, rel=1e-10)


def test_rates_are_the_calculators():
    rates = sharp.theorem_t3(100, 0.8, 1.5, 0.2, 0.5, num_prompts=3)
    derived = PROOFS["T3"]().derived
    values = {"D": 1.5, "Δ̄": 0.8, "n": 3, "T": 100, "σ̄": 0.2, "σ_max": 0.5}
    point = {sp.Symbol(name, positive=True): value for name, value in values.items()}
    assert float(derived["GRPO"].subs(point)) == pytest.approx(float(rates.grpo), rel=1e-14)
    assert float(derived["REINFORCE"].subs(point)) == pytest.approx(float(rates.reinforce), rel=1e-14)
    assert float(derived["ratio"].subs(point)) == pytest.approx(float(rates.ratio), rel=1e-14)


def test_smooth_step_is_the_calculators():
    rate = sharp.theorem_c1(1, 1.0, 1.0)
    smoothness = float(PROOFS["C1-step"]().derived["smoothness"])
    assert 1 / smoothness == pytest.approx(float(rate.step), rel=1e-15)
    assert 2 * smoothness == pytest.approx(float(rate.mean_squared), rel=1e-15)


def test_psi_over_its_square_grows_on_a_grid():
    s = np.geomspace(1e-3, 30, 200)
    ratio = (np.expm1(s) - s) / s**2
    assert (np.diff(ratio) > -1e-9).all()
    assert float(psi(sp.Rational(1, 2))) == pytest.approx(math.exp(0.5) - 1.5, rel=1e-14)


def test_exact_steps_have_the_proved_ratio_below_one():
    theta = np.zeros(2)
    at = moments(UNLIKE_LENGTHS, theta)
    derived = PROOFS["T5-short"]().derived
    ratio = float(derived["largest gain of GRPO"] / derived["largest gain of REINFORCE"])
    assert ratio == pytest.approx(
        float(certified_speedup(UNLIKE_LENGTHS, theta, 1 / at.reward_std)), rel=1e-7
    )
    gains = [-_best(weights) for weights in (1 / at.reward_std, np.ones(2))]
    assert gains[0] == pytest.approx(float(derived["largest gain of GRPO"]), rel=1e-7)
    assert gains[1] == pytest.approx(float(derived["largest gain of REINFORCE"]), rel=1e-7)
    assert ratio < 1


def _best(weights):
    def loss(step):
        return -float(certified_gain(UNLIKE_LENGTHS, np.zeros(2), weights, step))

    return minimize_scalar(loss, bounds=(0, 30), method="bounded", options={"xatol": 1e-10}).fun


def test_two_prompts_of_one_curvature_are_the_stored_ones():
    proof = PROOFS["T5-curvature"]()
    assert float(proof.derived["p"]) == pytest.approx(LIKE_CURVED[1], abs=1e-10)
    p = np.array(LIKE_CURVED)
    found = sharp.theorem_t5(p * (1 - p), np.sqrt(p * (1 - p)), success=p)
    assert "0.9566" in proof.statement
    assert float(found.by_profile) == pytest.approx(0.9566, abs=5e-5)


def test_separable_gain_uses_the_proved_constants():
    # One prompt: nothing overlaps, and what is left is ‖g‖²α less (D²/4)(ψ(s)/s²)α²‖g‖²σ.
    g, σ, D, α = 0.2, 0.5, 1.0, 1.5
    found = float(sharp.theorem_b2([g], [σ], [[1.0]], D, [1.0], α).gain)
    s = D * α * g / 2
    quarter = float(PROOFS["B2"]().derived["limit"])
    assert found == pytest.approx(
        α * g**2 - quarter * D**2 * α**2 * (math.expm1(s) - s) / s**2 * g**2 * σ, rel=1e-12
    )
