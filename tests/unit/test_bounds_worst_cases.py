"""The calculators of worst cases: against mpmath at extreme arguments, against brute force, and across libraries."""

import math

import mpmath
import numpy as np
import pytest

from curvature.bounds import sharp


def _exact_remainder(s):
    """Ψ(s) by bisection of the cubic with 60 digits."""
    with mpmath.workdps(60):
        L = 2 * mpmath.mpf(s)
        V = mpmath.expm1(L)

        def cubic(p):
            return (1 - 2 * p) * (1 + p * V) * (V - L - p * L * V) - 2 * p * (1 - p) * V**2

        low, high = mpmath.mpf(0), 1 / L - 1 / V
        while high - low > mpmath.mpf(10) ** -40 * high:
            middle = (low + high) / 2
            low, high = (middle, high) if cubic(middle) > 0 else (low, middle)
        p = (low + high) / 2
        return mpmath.sqrt(p * (1 - p)) * (V / (1 + p * V) - L)


@pytest.mark.parametrize("s", [1e-8, 1e-4, 0.02, 0.4999, 0.5001, math.log(2), 2.0, 30.0, 360.0, 700.0])
def test_exact_remainder_agrees_with_sixty_digits(s):
    found = mpmath.mpf(float(sharp.ascent_remainder_exact(1.0, 2.0, s)))
    expected = _exact_remainder(s)
    assert abs(found - expected) < 1e-15 * expected * 4


def test_exact_remainder_at_its_ends():
    assert sharp.ascent_remainder_exact(0.0, 2.0, 1e6) == 0
    assert sharp.ascent_remainder_exact(0.5, 2.0, 0.0) == 0
    assert sharp.ascent_remainder_exact(0.5, 0.0, 3.0) == 0
    assert sharp.ascent_remainder_exact(1.0, 2.0, 5000.0) == np.inf
    # σ and e^s meet in the middle: neither product leaves the range of floats on the way.
    assert sharp.ascent_remainder_exact(1e-300, 2.0, 720.0) == pytest.approx(
        1e-300 / 2 * math.exp(350) * math.exp(370), rel=1e-12
    )


def test_exact_remainder_is_below_l4_and_half_of_it_for_long_steps():
    s = np.geomspace(1e-6, 300, 400)
    share = sharp.ascent_remainder_exact(1.0, 2.0, s) / sharp.ascent_remainder(1.0, 2.0, s)
    assert (np.diff(share) <= 1e-15).all()
    assert share[0] == pytest.approx(1, abs=1e-6)
    assert share[-1] == pytest.approx(0.5, abs=1e-12)
    assert float(sharp.ascent_remainder_exact(1, 2, math.log(2))) == pytest.approx(0.280265, rel=1e-6)


@pytest.mark.parametrize("success", [1e-300, 1e-6, 0.01, 0.19, 0.25, 0.4, 0.5, 0.7, 0.97])
@pytest.mark.parametrize("radius", [0.0, 0.03, 0.9, 6.0])
def test_window_s_maximum_is_that_of_a_fine_grid(success, radius):
    odds = math.log(success) - math.log1p(-success)
    grid = np.unique(
        np.clip(np.append(np.linspace(odds - radius, odds + radius, 20001), 0), odds - radius, odds + radius)
    )
    q = np.exp(-np.abs(grid)) / (1 + np.exp(-np.abs(grid)))
    expected = 4 * sharp.curvature_profile(q).max()
    found = float(sharp.hessian_norm_nearby_binary(success, 2.0, radius / 2))
    assert found == pytest.approx(expected, rel=1e-6)
    assert found >= expected * (1 - 1e-12)


def test_window_of_width_zero_is_c1_and_of_any_width_the_smoothness():
    p = np.linspace(0, 1, 101)
    np.testing.assert_allclose(
        sharp.hessian_norm_nearby_binary(p, 3.0, 0.0),
        sharp.hessian_norm_binary(p, 3.0),
        rtol=1e-13,
        atol=1e-300,
    )
    inside = p[1:-1]
    np.testing.assert_allclose(
        sharp.hessian_norm_nearby_binary(inside, 1.0, 50.0), sharp.hessian_norm_global(1.0), rtol=1e-15
    )


@pytest.mark.parametrize("side", [-1, 1])
def test_window_close_to_the_peak_ends_on_its_own_side(side):
    """ℓ is flat there, so only windows that just miss the peak tell where it is."""
    peak, gap = math.acosh(2), 0.008
    q, end = (1 / (1 + math.exp(peak + side * share * gap)) for share in (1, 0.5))
    found = float(sharp.hessian_norm_nearby_binary(q, 1.0, gap / 2))
    assert found == pytest.approx(float(sharp.curvature_profile(end)), rel=1e-12)


@pytest.mark.parametrize("radius", [1e-3, 0.1, 1.0, 2.0, 10.0, 1e4])
def test_nearby_constant_is_the_maximum_over_success(radius):
    z = np.linspace(0, 60, 600001)
    q = np.exp(-z) / (1 + np.exp(-z))
    σ = np.exp(-z / 2) / (1 + np.exp(-z))
    ratio = sharp.hessian_norm_nearby_binary(q, 1.0, radius * σ) / σ
    assert float(sharp.nearby_constant(radius, "diameter")) == pytest.approx(ratio.max(), rel=1e-6)


def test_nearby_constant_is_the_one_that_is_proved_and_has_its_limits():
    assert float(sharp.nearby_constant(1.0)) == pytest.approx(0.587284, abs=5e-7)
    assert float(sharp.nearby_constant(0.0)) == pytest.approx(0.5, rel=1e-14)
    r = np.array([0.0, 0.5, 1.0, 3.0])
    np.testing.assert_allclose(
        sharp.nearby_constant(r), 2 * sharp.nearby_constant(math.sqrt(2) * r, "diameter"), rtol=1e-14
    )
    assert np.isfinite(sharp.nearby_constant(1e300))
    with pytest.raises(ValueError, match="unit is 'X'; choose one of spectral_norm, diameter"):
        sharp.nearby_constant(1.0, "X")


@pytest.mark.parametrize(("method", "power"), [("grpo", 1), ("reinforce", 2)])
@pytest.mark.parametrize("a", [1e-6, 1.0, 4 * math.log(2), 11.9, 40.0, 1e6])
def test_two_arms_are_minimised_over_every_success(method, power, a):
    z = np.linspace(-15, 15, 300001)
    p, σ = 1 / (1 + np.exp(-z)), 0.5 / np.cosh(z / 2)
    gain = -np.expm1(-a * σ**power) / (σ**power * (p + (1 - p) * np.exp(-a * σ**power)))
    found = float(sharp.one_step_gain(a, method).two_arms)
    assert found <= gain.min() * (1 + 1e-12)
    assert found == pytest.approx(gain.min(), rel=1e-7)


def test_known_gains_of_two_arms():
    grpo = sharp.one_step_gain([2.0, 4 * math.log(2), 4.0, 8.0, 11.9]).two_arms
    np.testing.assert_allclose(grpo, [1.54482, 1.93357, 2.37416, 2.94881, 3.05523], atol=6e-6)
    reinforce = sharp.one_step_gain([4.0, 8 * math.log(2), 8.0, 16.0, 24.0], "reinforce").two_arms
    np.testing.assert_allclose(reinforce, [3.24164, 4.10997, 5.11912, 6.45682, 6.70065], atol=6e-6)
    assert sharp.one_step_gain(1e9).two_arms == pytest.approx(16 / (3 * math.sqrt(3)), rel=1e-6)
    assert sharp.one_step_gain(1e9, "reinforce").two_arms == pytest.approx(27 / 4, rel=1e-6)


def test_short_gradients_and_their_crossing():
    found = sharp.one_step_gain([8.0, 16.0])
    np.testing.assert_allclose(found.short_gradient, [4.0, 0.0], atol=1e-15)
    np.testing.assert_allclose(found.lowest, [found.two_arms[0], 0.0], atol=1e-15)
    np.testing.assert_allclose(sharp.one_step_gain(16.0, "reinforce").short_gradient, 8.0)
    for method, step, gain in (("grpo", 11.888227, 3.055106), ("reinforce", 22.496815, 6.680981)):
        best = sharp.best_one_step(method, "known_instances")
        assert (best.step, best.gain) == (pytest.approx(step, abs=1e-6), pytest.approx(gain, abs=1e-6))
        assert best.status == "conjectured"
        around = sharp.one_step_gain(best.step * np.array([0.99, 1.01]), method).lowest
        assert (around < best.gain).all()


def test_certificates_are_the_proved_ones():
    np.testing.assert_allclose(sharp.one_step_certificate([1.0, 4.0]), [0.875, 2.0], rtol=1e-15)
    c0, k0 = sharp.STEP_CONSTANT, sharp.GAIN_CONSTANT
    assert float(sharp.one_step_certificate(4 * c0, rewards="real")) == pytest.approx(4 * k0, rel=1e-14)
    # Beyond a = 4 there is only what holds for any rewards.
    for step in (4.02, 4.5):
        assert sharp.one_step_certificate(step) == sharp.one_step_certificate(step, rewards="real")
    assert float(sharp.one_step_certificate(6 * math.sqrt(3), "reinforce")) == pytest.approx(
        3 * math.sqrt(3), rel=1e-14
    )
    for method, gain in (("grpo", 2.0), ("reinforce", 3 * math.sqrt(3))):
        best = sharp.best_one_step(method)
        assert best.gain == pytest.approx(gain, rel=1e-14)
        assert best.gain == pytest.approx(float(sharp.one_step_certificate(best.step, method)), rel=1e-14)
        assert best.status == "proved"


def test_thresholds_of_both_pairs_of_constants():
    proved, known = sharp.one_step_threshold(), sharp.one_step_threshold("known_instances")
    assert (proved.threshold, proved.status) == (pytest.approx(2 / (3 * math.sqrt(3)), rel=1e-14), "proved")
    assert (known.threshold, known.status) == (pytest.approx(0.457284, abs=1e-6), "conjectured")
    assert known.grpo.gain / known.reinforce.gain == known.threshold


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sharp.one_step_gain(-1.0), "step must be finite and at least 0, got -1.0"),
        (lambda: sharp.one_step_gain(1.0, "adam"), "method is 'adam'; choose one of grpo, reinforce"),
        (lambda: sharp.one_step_certificate(1.0, "adam"), "method is 'adam'"),
        (
            lambda: sharp.one_step_certificate(1.0, rewards="graded"),
            "rewards is 'graded'; choose one of binary, real",
        ),
        (
            lambda: sharp.best_one_step("grpo", "luck"),
            "basis is 'luck'; choose one of certificate, known_instances",
        ),
        (lambda: sharp.best_one_step("adam"), "method is 'adam'"),
        (lambda: sharp.ascent_remainder_exact(0.5, 1.0, np.nan), "displacement must be finite"),
        (lambda: sharp.hessian_norm_nearby_binary(1.5, 1.0, 0.1), r"success must lie in \[0, 1\], got 1.5"),
        (lambda: sharp.nearby_constant(np.inf), "radius must be finite"),
    ],
)
def test_what_is_out_of_range_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_torch_gives_the_same_numbers_and_the_right_slopes():
    torch = pytest.importorskip("torch")
    x = np.array([0.05, 0.4, 0.7, 1.0, 3.0])
    for function in (
        sharp.nearby_constant,
        lambda r: sharp.ascent_remainder_exact(0.5, 2.0, r),
        lambda r: sharp.hessian_norm_nearby_binary(0.02, 1.0, r),
    ):
        tensor = torch.tensor(x, dtype=torch.float64, requires_grad=True)
        value = function(tensor)
        np.testing.assert_allclose(value.detach().numpy(), function(x), rtol=1e-14)
        value.sum().backward()
        slope = (function(x + 1e-6) - function(x - 1e-6)) / 2e-6
        np.testing.assert_allclose(tensor.grad.numpy(), slope, rtol=1e-6, atol=1e-9)
