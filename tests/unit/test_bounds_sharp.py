"""The sharp bounds: valid on any prompt, reached by their extremal prompts, exact at the ends of the float range."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from curvature.bounds import paper, sharp


@dataclass(frozen=True)
class Prompt:
    """One prompt, spelled out: its moments here are sums over the responses, independent of the library's."""

    probabilities: np.ndarray
    features: np.ndarray
    rewards: np.ndarray

    @property
    def success(self):
        return float(self.probabilities @ self.rewards)

    @property
    def centred(self):
        return self.features - self.probabilities @ self.features

    @property
    def advantage(self):
        return self.rewards - self.success

    @property
    def reward_std(self):
        return sqrt(self.probabilities @ self.advantage**2)

    @property
    def diameter(self):
        return max(np.linalg.norm(x - y) for x in self.features for y in self.features)

    @property
    def gradient_norm(self):
        return np.linalg.norm((self.probabilities * self.advantage) @ self.centred)

    @property
    def hessian_norm(self):
        weighted = self.centred * (self.probabilities * self.advantage)[:, None]
        return np.linalg.norm(weighted.T @ self.centred, 2)

    @property
    def log_std_slope(self):
        slope = (self.probabilities * self.advantage**2) @ self.centred
        return np.linalg.norm(slope) / (2 * self.reward_std**2)

    def moved(self, step):
        """Return the same prompt after the parameter has moved by ``step``."""
        logits = np.log(self.probabilities) + self.features @ step
        weights = np.exp(logits - logits.max())
        return Prompt(weights / weights.sum(), self.features, self.rewards)

    def remainder(self, step):
        """Return |J(θ + Δ) − J(θ) − ⟨∇J, Δ⟩|, in 40 digits: it is a difference of nearly equal numbers."""
        with mpmath.workdps(40):
            p = [mpmath.mpf(float(v)) for v in self.probabilities]
            p = [v / mpmath.fsum(p) for v in p]
            z = [mpmath.mpf(float(v)) for v in self.features @ step]
            r = [mpmath.mpf(float(v)) for v in self.rewards]
            mean = mpmath.fdot(p, r)
            slope = mpmath.fsum(pi * (ri - mean) * zi for pi, ri, zi in zip(p, r, z, strict=True))
            grown = [pi * mpmath.exp(zi) for pi, zi in zip(p, z, strict=True)]
            return float(abs(mpmath.fdot(grown, r) / mpmath.fsum(grown) - mean - slope))


def two_responses(p, diameter=1.0, reward=1.0):
    return Prompt(np.array([p, 1 - p]), np.array([[diameter], [0.0]]), np.array([reward, 0.0]))


def three_responses(q, diameter=1.0):
    """Give the prompt that reaches the branch q ≥ 1/4 of the curvature profile."""
    features = diameter * np.array([[1.0], [0.0], [0.0]])
    return Prompt(np.array([0.25, q - 0.25, 1 - q]), features, np.array([1.0, 1.0, 0.0]))


def flipped(prompt):
    return Prompt(prompt.probabilities, prompt.features, 1 - prompt.rewards)


TANGENT = (1 - sqrt(0.5)) / 2
PEAK = (3 - sqrt(3)) / 6
D = 3.7
SHORT = np.array([1e-4])

REACHED = {
    "gradient": (two_responses(0.5, D), lambda i: (i.gradient_norm, sharp.gradient_norm(i.reward_std, D))),
    "hessian": (two_responses(TANGENT, D), lambda i: (i.hessian_norm, sharp.hessian_norm(i.reward_std, D))),
    "hessian of rewards in a range": (
        two_responses(PEAK, D, reward=-2.5),
        lambda i: (i.hessian_norm, sharp.hessian_norm_global(D, reward_range=2.5)),
    ),
    "hessian everywhere": (two_responses(PEAK, D), lambda i: (i.hessian_norm, sharp.hessian_norm_global(D))),
    "hessian nearby": (
        two_responses(TANGENT, D),
        lambda i: (i.moved(SHORT).hessian_norm, sharp.hessian_norm_nearby(i.reward_std, D, 1e-4)),
    ),
    "log std": (two_responses(1e-4, D), lambda i: (i.log_std_slope, sharp.log_std_lipschitz(D))),
    "remainder": (
        two_responses(TANGENT, D),
        lambda i: (i.remainder(SHORT), sharp.ascent_remainder(i.reward_std, D, 1e-4)),
    ),
}
for q in (0.01, 0.1, TANGENT, 0.25):
    REACHED[f"profile at {q:.2f}"] = (
        two_responses(q, D),
        lambda i: (i.hessian_norm, sharp.hessian_norm_binary(i.success, D)),
    )
for q in (0.26, 0.3, 0.4, 0.5):
    REACHED[f"profile at {q:.2f}, three responses"] = (
        three_responses(q, D),
        lambda i: (i.hessian_norm, sharp.hessian_norm_binary(i.success, D)),
    )
    REACHED[f"profile at {1 - q:.2f}, three responses"] = (
        flipped(three_responses(q, D)),
        lambda i: (i.hessian_norm, sharp.hessian_norm_binary(i.success, D)),
    )


@pytest.mark.parametrize("name", REACHED)
def test_each_bound_is_reached_and_breaks_when_its_constant_is_cut_by_one_percent(name):
    instance, evaluate = REACHED[name]
    measured, bound = evaluate(instance)
    assert 0.999 <= measured / bound <= 1 + 1e-9, f"ratio {measured / bound}"
    assert measured > 0.99 * bound


@st.composite
def prompts(draw, binary=False):
    K, d = draw(st.integers(2, 5)), draw(st.integers(1, 3))
    logits = draw(arrays(float, K, elements=st.floats(-12, 12)))
    features = draw(arrays(float, (K, d), elements=st.floats(-4, 4)))
    elements = st.sampled_from([0.0, 1.0]) if binary else st.floats(-3, 3)
    rewards = draw(arrays(float, K, elements=elements))
    weights = np.exp(logits - logits.max())
    return Prompt(weights / weights.sum(), features, rewards)


def below(measured, bound, prompt, factor=1.0):
    """Say whether measured ≤ bound up to the rounding of this file's own sums over the responses."""
    size = (1 + np.abs(prompt.rewards).max()) * (1 + np.abs(prompt.features).max()) ** 2
    return measured <= bound + 1e-13 * factor * size


@given(prompts())
def test_gradient_hessian_and_std_slope_are_bounded_by_the_reward_std(prompt):
    width, σ = prompt.diameter, prompt.reward_std
    assert below(prompt.gradient_norm, sharp.gradient_norm(σ, width), prompt)
    assert below(prompt.hessian_norm, sharp.hessian_norm(σ, width), prompt)
    assert below(prompt.hessian_norm, sharp.hessian_norm_global(width, np.ptp(prompt.rewards)), prompt)
    if σ > 1e-3:
        assert below(prompt.log_std_slope, sharp.log_std_lipschitz(width), prompt, factor=σ**-2)


@given(prompts(binary=True))
def test_binary_hessian_is_bounded_by_the_profile_of_its_success(prompt):
    p = min(prompt.success, 1.0)
    assert below(prompt.hessian_norm, sharp.hessian_norm_binary(p, prompt.diameter), prompt)


@given(prompts())
def test_the_profile_also_bounds_rewards_between_zero_and_one(prompt):
    spread = np.ptp(prompt.rewards)
    unit = (prompt.rewards - prompt.rewards.min()) / (spread if spread > 0 else 1.0)
    prompt = Prompt(prompt.probabilities, prompt.features, np.clip(unit, 0, 1))
    p = min(prompt.success, 1.0)
    assert below(prompt.hessian_norm, sharp.hessian_norm_binary(p, prompt.diameter), prompt)


@given(prompts(), st.floats(0, 3), st.integers(0, 2**32 - 1))
def test_moving_within_the_radius_keeps_hessian_std_and_remainder_within_bounds(prompt, size, seed):
    direction = np.random.default_rng(seed).normal(size=prompt.features.shape[1])
    step = size * direction / np.linalg.norm(direction)
    width, σ = prompt.diameter, prompt.reward_std
    there, growth = prompt.moved(step), np.exp(width * size / 2)
    # A std of equal rewards is itself a rounding error, of the size of a square root of a sum's.
    assert below(
        there.reward_std, σ * np.exp(sharp.log_std_lipschitz(width) * size), prompt, factor=1e6 * growth
    )
    assert below(there.hessian_norm, sharp.hessian_norm_nearby(σ, width, size), prompt, factor=growth)
    assert below(prompt.remainder(step), sharp.ascent_remainder(σ, width, size), prompt, factor=growth)


@given(st.floats(0, 1), st.floats(0, 1e6))
def test_sharp_bounds_are_never_above_the_papers_in_its_own_quantities(p, X):
    σ, width = sqrt(p * (1 - p)), sqrt(2) * X
    room = 1 + 1e-12
    assert sharp.gradient_norm(σ, width) <= paper.gradient_norm(X) / sqrt(2) * room
    assert sharp.hessian_norm_binary(p, width) <= paper.hessian_norm(p, X) / 2 * room + 1e-300
    assert sharp.hessian_norm_global(width) <= paper.hessian_norm_global(X) / 5.19 * room
    assert sharp.hessian_norm_binary(p, width) <= sharp.hessian_norm(σ, width) * room + 1e-300
    assert sharp.hessian_norm_binary(p, width) <= sharp.hessian_norm_global(width) * room
    radius = paper.nearby_radius(p, X)
    if np.isfinite(radius):
        ours = sharp.hessian_norm_nearby(σ, width, radius)
        assert ours <= paper.hessian_norm_nearby(p, X) / 3.5 * room + 1e-300


@given(st.floats(0, 1e3), st.floats(0, 1e3), st.floats(0, 50), st.floats(1, 2))
def test_bounds_rise_with_each_argument(σ, width, radius, factor):
    for bound in (sharp.gradient_norm, sharp.hessian_norm):
        assert bound(σ, width) <= bound(factor * σ, width)
        assert bound(σ, width) <= bound(σ, factor * width)
    for bound in (sharp.hessian_norm_nearby, sharp.ascent_remainder):
        # Rounding may undo an increase of a last digit.
        base = bound(σ, width, radius) * (1 - 1e-13)
        assert base <= bound(factor * σ, width, radius)
        assert base <= bound(σ, factor * width, radius)
        assert base <= bound(σ, width, factor * radius)


def test_profile_rises_to_its_peak_then_falls_and_is_symmetric():
    q = np.linspace(0, 0.5, 10001)
    profile = sharp.curvature_profile(q)
    assert np.all(np.diff(profile[q <= PEAK]) > 0)
    assert np.all(np.diff(profile[q >= PEAK]) < 0)
    np.testing.assert_allclose(sharp.curvature_profile(1 - q), profile, rtol=1e-12, atol=1e-16)
    assert sharp.curvature_profile(PEAK) == pytest.approx(1 / (6 * sqrt(3)), rel=1e-15)


def psi(s):
    # Near 0 mpmath's difference needs as many digits again as s is small.
    with mpmath.workdps(60 if s > 1e-20 else 500):
        return mpmath.expm1(s) - s


def profile_exactly(p):
    q = min(p, 1 - p)
    return q * (1 - q) * (1 - 2 * q) if q <= 0.25 else (1 - q) / 8


SIZES = (0.0, 1e-150, 1e-9, 0.3, 1.0, 40.0, 1e9, 1e150)
RATES = (0.0, 5e-324, 1e-300, 1e-17, 0.1, 0.25, 0.3, 0.5, 0.8, 1 - 2**-53, 1.0)
STDS = (0.0, 1e-300, 1e-9, 0.35, 0.5, 1e9)


def oracle(name, *arguments):
    a = [mpmath.mpf(v) for v in arguments]
    match name:
        case "gradient_norm":
            return a[1] * a[0] / 2
        case "hessian_norm":
            return a[1] ** 2 * a[0] / 4
        case "hessian_norm_binary":
            return a[1] ** 2 * profile_exactly(a[0])
        case "hessian_norm_global":
            return a[0] ** 2 / (6 * mpmath.sqrt(3))
        case "hessian_norm_nearby":
            return a[1] ** 2 / 4 * a[0] * mpmath.exp(a[1] * a[2] / 2) if a[0] else mpmath.mpf(0)
        case "ascent_remainder":
            return a[0] * psi(a[1] * a[2] / 2) if a[0] else mpmath.mpf(0)
        case "log_std_lipschitz":
            return a[0] / 2
    raise AssertionError(name)


GRIDS = {
    "gradient_norm": (STDS, SIZES),
    "hessian_norm": (STDS, SIZES),
    "hessian_norm_binary": (RATES, SIZES),
    "hessian_norm_global": (SIZES,),
    "hessian_norm_nearby": (STDS, SIZES, SIZES),
    "ascent_remainder": (STDS, SIZES, SIZES),
    "log_std_lipschitz": (SIZES,),
}


@pytest.mark.parametrize("name", GRIDS)
def test_bounds_match_an_exact_oracle_over_the_whole_float_range(name):
    largest, smallest = np.finfo(float).max, np.finfo(float).tiny
    grid = np.meshgrid(*GRIDS[name], indexing="ij")
    computed = getattr(sharp, name)(*grid)
    for index in np.ndindex(computed.shape):
        point, value = tuple(float(axis[index]) for axis in grid), float(computed[index])
        # e^(1e300) and the like are beyond any float, and beyond patience in mpmath.
        exponent = point[1] * point[2] / 2 if len(point) == 3 else 0.0
        if exponent > 1e4:
            assert value == (inf if point[0] else 0.0), f"{name}{point} = {value}"
            continue
        with mpmath.workdps(60):
            true = oracle(name, *point)
            if true > largest:
                assert value == inf, f"{name}{point} = {value}, truly {mpmath.nstr(true, 5)}"
            elif true < smallest:
                assert 0 <= value <= 2 * smallest, f"{name}{point} = {value}, truly {mpmath.nstr(true, 5)}"
            else:
                # Rounding the exponent D·r/2 costs its own size in relative precision.
                error = float(abs(value - true) / true)
                assert error <= 1e-15 * (1 + exponent), f"{name}{point}: relative error {error}"


def test_psi_is_computed_to_its_last_digits_from_tiny_to_huge():
    s = np.concatenate([np.logspace(-150, 2.84, 500), [np.nextafter(1, 0), 1.0, np.nextafter(1, 2)]])
    computed = sharp.ascent_remainder(1.0, 2.0, s)
    for argument, value in zip(s, computed, strict=True):
        true = psi(mpmath.mpf(float(argument)))
        assert float(abs(mpmath.mpf(float(value)) - true) / true) < 1e-15, f"ψ({argument})"


def test_a_number_gives_a_float64_and_arrays_broadcast():
    for value in (
        sharp.gradient_norm(1, 2),
        sharp.hessian_norm(0.5, 2),
        sharp.hessian_norm_binary(0.5, 2),
        sharp.hessian_norm_global(2),
        sharp.hessian_norm_nearby(0.5, 2, 1),
        sharp.log_std_lipschitz(2),
        sharp.ascent_remainder(0.5, 2, 1),
        sharp.curvature_profile(0.5),
    ):
        assert type(value) is np.float64
    table = sharp.ascent_remainder([[0.1], [0.2]], np.array([1.0, 2.0, 3.0], dtype=np.float32), 1)
    assert table.shape == (2, 3)
    assert table.dtype == np.float64
    assert table[1, 2] == sharp.ascent_remainder(0.2, 3.0, 1.0)


TWICE = {
    "gradient_norm": (0.3, 1.7),
    "hessian_norm": (0.3, 1.7),
    "hessian_norm_binary": (0.2, 1.7),
    "hessian_norm_global": (1.7, 2.0),
    "hessian_norm_nearby": (0.3, 1.7, 0.4),
    "log_std_lipschitz": (1.7,),
    "ascent_remainder": (0.3, 1.7, 0.4),
    "curvature_profile": (0.3,),
}


@pytest.mark.parametrize("name", TWICE)
def test_torch_tensors_give_the_same_numbers_and_carry_gradients(name):
    torch = pytest.importorskip("torch")
    bound, values = getattr(sharp, name), TWICE[name]
    columns = [np.array([v, v / 3, 2.2 * v]) for v in values]
    tensors = [torch.tensor(c, requires_grad=True) for c in columns]
    result = bound(*tensors)
    assert isinstance(result, torch.Tensor)
    assert result.dtype == torch.float64
    np.testing.assert_allclose(result.detach().numpy(), bound(*columns), rtol=1e-14)
    assert torch.autograd.gradcheck(bound, tuple(tensors))


def test_tensors_keep_their_dtype_and_mix_with_numbers():
    torch = pytest.importorskip("torch")
    single = sharp.hessian_norm(torch.tensor([0.5, 0.25]), 2.0)
    assert single.dtype == torch.float32
    assert single.tolist() == [0.5, 0.25]
    assert sharp.hessian_norm(np.float64(0.5), torch.tensor(2)).dtype == torch.float64
    assert sharp.hessian_norm(0.5, torch.tensor(2.0, dtype=torch.bfloat16)).dtype == torch.float32


def test_gradients_stay_finite_on_both_branches_of_the_remainder():
    torch = pytest.importorskip("torch")
    step = torch.tensor([0.0, 1e-8, 0.5, 1.0, 30.0], dtype=torch.float64, requires_grad=True)
    sharp.ascent_remainder(1.0, 2.0, step).sum().backward()
    # ψ'(s) = e^s − 1.
    np.testing.assert_allclose(step.grad.numpy(), np.expm1(step.detach().numpy()), rtol=1e-13)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sharp.hessian_norm_binary(1.2, 1), r"success must lie in \[0, 1\], got 1\.2"),
        (
            lambda: sharp.hessian_norm_binary([0.1, np.nan], 1),
            r"success must lie in \[0, 1\], got nan at index \(1,\)",
        ),
        (lambda: sharp.curvature_profile(-1e-9), r"success must lie in \[0, 1\], got -1e-09"),
        (lambda: sharp.hessian_norm(-0.5, 1), r"reward_std must be finite and at least 0, got -0\.5"),
        (lambda: sharp.hessian_norm(0.5, inf), r"diameter must be finite and at least 0, got inf"),
        (lambda: sharp.hessian_norm_nearby(0.5, 1, -2), r"radius must be finite and at least 0, got -2\.0"),
        (lambda: sharp.ascent_remainder(0.5, 1, [[1, -3]]), r"step_norm must .* got -3\.0 at index \(0, 1\)"),
        (lambda: sharp.hessian_norm_global(1, -1), r"reward_range must be finite and at least 0, got -1\.0"),
        (
            lambda: sharp.hessian_norm([0.1, 0.2], [1, 2, 3]),
            r"reward_std has shape \(2,\), diameter has shape \(3,\)",
        ),
    ],
)
def test_values_outside_the_domain_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("bad", ["half", None, 1j, [1, "two"]])
def test_what_is_not_a_number_is_refused_by_name(bad):
    with pytest.raises(TypeError, match="diameter must be a real number"):
        sharp.log_std_lipschitz(bad)


def test_arrays_of_two_libraries_and_complex_tensors_are_refused():
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match="torch and numpy are mixed"):
        sharp.hessian_norm(np.ones(2), torch.ones(2))
    with pytest.raises(TypeError, match="complex64"):
        sharp.log_std_lipschitz(torch.ones(2, dtype=torch.complex64))
    with pytest.raises(ValueError, match=r"diameter .* got -1\.0 at index \(1,\)"):
        sharp.log_std_lipschitz(torch.tensor([1.0, -1.0]))
