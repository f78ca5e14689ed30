"""The arithmetic of the run engine against 40 digits, exact fractions and published numbers."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest

numba = pytest.importorskip("numba", reason="the run engine needs numba")

from curvature.ascent import _numerics  # noqa: E402
from curvature.ascent._rules import certified_step  # noqa: E402
from tests.unit import ascent_oracle as oracle  # noqa: E402


def _callable(function):
    """A function of the engine has no way in from Python of its own."""

    @numba.njit
    def call(*arguments):
        return function(*arguments)

    return call


exp, psi, mix, uniform, stream, matmul = (
    _callable(getattr(_numerics, name)) for name in ("exp", "psi", "mix", "uniform", "stream", "matmul")
)


def test_exp_is_right_to_one_unit_in_the_last_place():
    rng = np.random.default_rng(0)
    points = np.concatenate([
        -rng.exponential(30.0, 400),
        -(10.0 ** rng.uniform(-12, 2.84, 400)),
        [0.0, 1.0, 300.0],
    ])
    with mpmath.workdps(40):
        for x in points[points > -708]:
            exact = mpmath.exp(mpmath.mpf(float(x)))
            assert abs(mpmath.mpf(exp(x)) - exact) <= np.spacing(float(exact)), x
    assert exp(-708.5) == exp(-np.inf) == 0.0
    assert exp(0.0) == 1.0


def test_psi_does_not_cancel():
    with mpmath.workdps(400):
        for s in [1e-150, 1e-9, 0.01, 0.3, 0.4999, 0.5001, 1.0, 30.0, 600.0]:
            exact = mpmath.exp(mpmath.mpf(s)) - 1 - mpmath.mpf(s)
            assert abs(psi(s) / exact - 1) < 4e-15, s


def test_mix_makes_the_published_numbers_of_splitmix64():
    golden = int(_numerics.GOLDEN)
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    for i, expected in enumerate(published):
        state = (1234567 + golden * (i + 1)) % 2**64
        assert int(mix(np.uint64(state))) == expected
        assert oracle.mix(state) == expected


def test_numbers_of_a_stream_are_those_of_the_definition():
    keys = np.random.SeedSequence(5).generate_state(2, np.uint64)
    start = np.uint64(stream(keys[0], keys[1], np.uint64(77)))
    drawn = [uniform(start, np.uint64(g)) for g in range(6)]
    np.testing.assert_array_equal(drawn, oracle.uniforms(5, 77, 6))
    assert min(drawn) >= 0
    assert max(drawn) < 1


def _rounded_once(a, b, c):
    return float(Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c)))


@pytest.mark.parametrize("shape", [(1, 1, 1), (4, 4, 3), (5, 6, 40), (7, 19, 2), (1, 17, 33), (9, 3, 1)])
def test_products_add_in_order_with_one_rounding_a_term(shape):
    M, inner, N = shape
    rng = np.random.default_rng(1)
    A, B, C = rng.standard_normal((M, inner)), rng.standard_normal((inner, N)), np.empty((M, N))
    matmul(A, B, C)
    for i, j in np.ndindex(M, N):
        total = 0.0
        for k in range(inner):
            total = _rounded_once(A[i, k], B[k, j], total)
        assert C[i, j] == total


def test_the_certified_step_is_the_maximiser_at_extreme_scales():
    step = _callable(certified_step)
    for slope, std, reach in [
        (1e-250, 1e-150, 1e-90),
        (1e3, 0.5, 1e5),
        (1e-3, 1e-200, 1e-3),
        (1.0, 1e-3, 40.0),
    ]:
        weights, stds = np.array([0.5, 0.5]), np.array([[std], [1e-3 * std]])
        reaches = np.array([[reach], [0.3 * reach]])
        alpha = step(weights, stds, reaches, slope, 0)
        with mpmath.workdps(400):
            derivative = [
                mpmath.mpf(slope)
                - sum(
                    mpmath.mpf(0.5)
                    * mpmath.mpf(float(s))
                    * mpmath.mpf(float(r))
                    * mpmath.expm1(mpmath.mpf(a) * float(r))
                    for s, r in zip(stds[:, 0], reaches[:, 0], strict=True)
                )
                for a in (alpha * (1 - 1e-9), alpha * (1 + 1e-9))
            ]
        assert derivative[0] > 0 > derivative[1]
    assert step(weights, stds, reaches, -1.0, 0) == 0.0
    assert step(weights, 0 * stds, reaches, 1.0, 0) == 0.0
