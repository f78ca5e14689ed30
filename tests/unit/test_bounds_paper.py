"""The paper's bounds as calculators: the printed constants, their relations, and exactness at the ends."""

from __future__ import annotations

from math import inf, sqrt

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curvature import moments
from curvature.bounds import paper
from curvature.geometry import center, spectral_norm
from curvature.moments import hessian
from curvature.testing import bandits_with_theta

SIZES = (0.0, 1e-150, 1e-9, 0.3, 1.0, 40.0, 1e9, 1e150)
RATES = (0.0, 5e-324, 1e-300, 1e-17, 0.1, 0.25, 0.5, 0.9, 1 - 2**-53, 1.0)


def oracle(name, *arguments):
    a = [mpmath.mpf(v) for v in arguments]
    match name:
        case "gradient_norm":
            return a[0] / 2
        case "hessian_norm":
            return 4 * a[1] ** 2 * a[0] * (1 - a[0])
        case "hessian_norm_global":
            return a[0] ** 2
        case "hessian_norm_nearby":
            return mpmath.mpf(5) / 2 * a[1] ** 2 * mpmath.sqrt(a[0] * (1 - a[0]))
        case "nearby_radius":
            return mpmath.sqrt(a[0] * (1 - a[0])) / a[1] if a[1] else mpmath.inf
    raise AssertionError(name)


GRIDS = {
    "gradient_norm": (SIZES,),
    "hessian_norm": (RATES, SIZES),
    "hessian_norm_global": (SIZES,),
    "hessian_norm_nearby": (RATES, SIZES),
    "nearby_radius": (RATES, SIZES),
}


@pytest.mark.parametrize("name", GRIDS)
def test_bounds_match_an_exact_oracle_over_the_whole_float_range(name):
    largest, smallest = np.finfo(float).max, np.finfo(float).tiny
    grid = np.meshgrid(*GRIDS[name], indexing="ij")
    computed = getattr(paper, name)(*grid)
    for index in np.ndindex(computed.shape):
        point, value = tuple(float(axis[index]) for axis in grid), float(computed[index])
        with mpmath.workdps(60):
            true = oracle(name, *point)
            if true > largest:
                assert value == inf, f"{name}{point} = {value}"
            elif true < smallest:
                assert 0 <= value <= 2 * smallest, f"{name}{point} = {value}"
            else:
                error = float(abs(value - true) / true)
                assert error < 1e-15, f"{name}{point}: relative error {error}"


def test_the_printed_constants_are_the_papers():
    assert paper.gradient_norm(1.0) == 1 / 2
    assert paper.hessian_norm(0.25, 1.0) == 4 * 0.25 * 0.75
    assert paper.hessian_norm_global(1.0) == 1.0
    assert paper.hessian_norm_nearby(0.1, 1.0) == pytest.approx(5 / 2 * sqrt(0.09), rel=1e-15)
    assert paper.nearby_radius(0.1, 2.0) == pytest.approx(sqrt(0.09) / 2, rel=1e-15)


@given(bandits_with_theta(rewards="binary"))
def test_lemmas_hold_on_bandits_with_binary_rewards_and_centring_tightens_them(case):
    bandit, theta = case
    at = moments(bandit, theta)
    p = np.clip(at.expected_reward, 0, 1)
    curvature = np.linalg.norm(hessian(bandit, theta), 2, axis=(-2, -1))
    slope = np.linalg.norm(at.gradient, axis=-1)
    X = spectral_norm(bandit)
    rounding = 1e-12 * (1 + X**2)
    tight = spectral_norm(center(bandit))
    assert np.all(tight <= X + rounding)
    for size in (X, tight):
        assert np.all(slope <= paper.gradient_norm(size) + rounding)
        assert np.all(curvature <= paper.hessian_norm(p, size) + rounding)
        assert np.all(curvature <= paper.hessian_norm_global(size) + rounding)


@given(bandits_with_theta(rewards="binary"), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_lemma_3_3_holds_within_its_radius(case, fraction, seed):
    bandit, theta = case
    p = np.clip(moments(bandit, theta).expected_reward, 0, 1)
    X = spectral_norm(bandit)
    bound, radius = paper.hessian_norm_nearby(p, X), paper.nearby_radius(p, X)
    direction = np.random.default_rng(seed).normal(size=bandit.dimension)
    direction /= np.linalg.norm(direction)
    for prompt in range(bandit.num_prompts):
        if np.isfinite(radius[prompt]):
            there = theta + fraction * radius[prompt] * direction
            measured = np.linalg.norm(hessian(bandit, there)[prompt], 2)
            assert measured <= bound[prompt] + 1e-12 * (1 + X[prompt] ** 2)


@given(st.floats(0, 1), st.floats(0, 1e6))
def test_the_variance_bound_is_symmetric_and_never_above_the_global_one(p, X):
    room = 1 + 1e-15
    assert paper.hessian_norm(p, X) <= paper.hessian_norm_global(X) * room
    # 1 − p rounds, and for a tiny p the whole of p is in the rounding.
    assert paper.hessian_norm(1 - p, X) == pytest.approx(
        paper.hessian_norm(p, X), rel=1e-9, abs=1e-15 * X * X
    )


@given(st.floats(0, 0.5), st.floats(0, 1e6), st.floats(1, 2))
def test_bounds_rise_with_the_variance_and_the_spectral_norm(p, X, factor):
    rarer = p / factor
    room = 1 + 1e-15
    assert paper.hessian_norm(rarer, X) <= paper.hessian_norm(p, X) * room
    assert paper.hessian_norm_nearby(rarer, X) <= paper.hessian_norm_nearby(p, X) * room
    assert paper.nearby_radius(rarer, X) <= paper.nearby_radius(p, X) * room
    assert paper.hessian_norm(p, X) <= paper.hessian_norm(p, factor * X)
    assert paper.gradient_norm(X) <= paper.gradient_norm(factor * X)
    assert paper.nearby_radius(p, factor * X) <= paper.nearby_radius(p, X)


def test_a_prompt_without_features_has_an_infinite_radius():
    assert paper.nearby_radius(0.0, 0.0) == inf
    assert paper.nearby_radius([0.1, 0.0], [0.0, 1.0]).tolist() == [inf, 0.0]


def test_a_number_gives_a_float64():
    values = [
        paper.gradient_norm(1),
        paper.hessian_norm(0.5, 1),
        paper.hessian_norm_global(1),
        paper.hessian_norm_nearby(0.5, 1),
        paper.nearby_radius(0.5, 1),
    ]
    assert all(type(value) is np.float64 for value in values)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("gradient_norm", (1.7,)),
        ("hessian_norm", (0.2, 1.7)),
        ("hessian_norm_global", (1.7,)),
        ("hessian_norm_nearby", (0.2, 1.7)),
        ("nearby_radius", (0.2, 1.7)),
    ],
)
def test_torch_tensors_give_the_same_numbers_and_carry_gradients(name, values):
    torch = pytest.importorskip("torch")
    bound = getattr(paper, name)
    columns = [np.array([v, v / 3, 2.2 * v]) for v in values]
    tensors = [torch.tensor(c, requires_grad=True) for c in columns]
    result = bound(*tensors)
    np.testing.assert_allclose(result.detach().numpy(), bound(*columns), rtol=1e-14)
    assert torch.autograd.gradcheck(bound, tuple(tensors))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: paper.hessian_norm(1.5, 1), r"success must lie in \[0, 1\], got 1\.5"),
        (lambda: paper.hessian_norm_nearby(-0.1, 1), r"success must lie in \[0, 1\], got -0\.1"),
        (
            lambda: paper.nearby_radius([0.5, np.nan], 1),
            r"success must lie in \[0, 1\], got nan at index \(1,\)",
        ),
        (lambda: paper.gradient_norm(-2), r"spectral_norm must be finite and at least 0, got -2\.0"),
        (lambda: paper.hessian_norm_global(inf), r"spectral_norm must be finite and at least 0, got inf"),
        (
            lambda: paper.hessian_norm([0.5] * 2, [1] * 3),
            r"success has shape \(2,\), spectral_norm has shape \(3,\)",
        ),
    ],
)
def test_values_outside_the_domain_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
