"""Overlap, Gram and cosines against their definitions, and the certified step against mpmath."""

from math import inf, log, sqrt

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curvature import LogLinearBandit, moments
from curvature.bounds._interference_bounds import theorem_b1, theorem_b1_step, theorem_b2
from curvature.bounds._sharp_speedups import theorem_t5
from curvature.interference import (
    certified_gain,
    certified_speedup,
    certified_step,
    cosine_distribution,
    gradient_diversity,
    gram,
    interference_std,
    overlap_matrix,
    span_bases,
    total_overlap,
    weight_disparity,
)
from curvature.testing import bandits, bandits_with_theta


def _projectors(bandit):
    """Projectors by pseudo-inverse: another route than the bases."""
    differences = [f[m] - f[m][0] for f, m in zip(bandit.features, bandit.mask, strict=True)]
    return [np.linalg.pinv(difference, rcond=1e-9) @ difference for difference in differences]


@pytest.mark.parametrize("overlap", [0.0, 1e-8, 0.3, 0.999, 1.0])
@pytest.mark.parametrize("rank", [1, 3])
def test_overlap_is_the_dial_of_the_constructor(overlap, rank):
    bandit = LogLinearBandit.overlapping(4, 5, overlap, rank=rank, seed=3)
    expected = np.where(np.eye(4) == 1, 1.0, overlap)
    np.testing.assert_allclose(overlap_matrix(bandit), expected, rtol=1e-12, atol=1e-15)


def test_overlap_of_random_prompts_is_the_norm_of_the_product_of_projectors():
    bandit = LogLinearBandit.gaussian(4, 3, 6, seed=5)
    projectors = _projectors(bandit)
    expected = [[np.linalg.norm(P @ Q, 2) for Q in projectors] for P in projectors]
    np.testing.assert_allclose(overlap_matrix(bandit), expected, rtol=1e-10)


@given(bandits(max_prompts=4))
def test_bases_are_orthonormal_and_hold_every_feature_difference(bandit):
    bases = span_bases(bandit)
    for x, basis in enumerate(bases):
        rank = int(np.any(basis != 0, axis=1).sum())
        np.testing.assert_allclose(basis[:rank] @ basis[:rank].T, np.eye(rank), atol=1e-12)
        assert not basis[rank:].any()
        centred = bandit.centered_features[x]
        np.testing.assert_allclose(centred @ basis.T @ basis, centred, atol=1e-10 * (1 + abs(centred).max()))


def test_a_shift_of_all_features_leaves_the_overlap():
    bandit = LogLinearBandit.overlapping(3, 4, 0.4, seed=1)
    shifted = LogLinearBandit(bandit.features + 100.0, bandit.rewards)
    np.testing.assert_allclose(overlap_matrix(shifted), overlap_matrix(bandit), atol=1e-9)


def test_a_prompt_that_cannot_move_overlaps_with_none_even_when_its_features_are_large():
    features = np.array([[[1e8, 1.0], [1e8, 1.0], [1e8, 1.0]], [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]])
    np.testing.assert_array_equal(overlap_matrix(LogLinearBandit(features, np.eye(3)[:2])), np.eye(2))


def test_tolerance_of_the_rank_is_checked():
    with pytest.raises(ValueError, match=r"tolerance is 1\.5"):
        overlap_matrix(LogLinearBandit.two_arm([0.5]), tolerance=1.5)


def test_interference_std_is_the_std_without_overlap_and_the_sum_in_one_span():
    σ = np.array([[0.5, 0.25, 0.125], [0.1, 0.2, 0.3]])
    np.testing.assert_array_equal(interference_std(σ, np.eye(3)), σ)
    np.testing.assert_allclose(interference_std(σ, np.ones((3, 3))), σ.sum(-1, keepdims=True) * np.ones(3))
    assert total_overlap(np.eye(3)) == 0.0
    assert total_overlap(np.ones((3, 3))) == 2.0
    with pytest.raises(ValueError, match=r"reward_std has shape \(2, 3\)"):
        interference_std(σ, np.eye(2))
    with pytest.raises(ValueError, match=r"overlap has shape \(2, 3\)"):
        total_overlap(σ)


@given(st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=6))
def test_weight_disparity_is_the_definition_and_depends_on_the_extremes_only(weights):
    a = np.array(weights)
    brute = max((u + v) / (2 * sqrt(u * v)) for u in a for v in a)
    ends = (a.max() + a.min()) / (2 * sqrt(a.max() * a.min()))
    assert float(weight_disparity(a)) == pytest.approx(brute, rel=1e-12)
    assert float(weight_disparity(a)) == pytest.approx(ends, rel=1e-12)


def test_weight_disparity_at_its_boundaries():
    assert float(weight_disparity([0.0, 1.0])) == inf
    assert float(weight_disparity([0.0, 0.0])) == 1.0
    assert float(weight_disparity([0.0, 1.0], overlap=np.eye(2))) == 1.0
    assert float(weight_disparity([1e-300, 1e300])) == pytest.approx(5e299, rel=1e-12)
    with pytest.raises(ValueError, match=r"weights is -1\.0"):
        weight_disparity([1.0, -1.0])
    with pytest.raises(ValueError, match=r"weights has shape \(3,\)"):
        weight_disparity([1.0, 1.0, 1.0], overlap=np.eye(2))


def test_gradient_diversity_at_its_known_values():
    assert float(gradient_diversity(np.eye(4))) == 1.0
    assert float(gradient_diversity(np.ones((5, 3)))) == pytest.approx(1 / 5, rel=1e-12)
    assert float(gradient_diversity([[1.0], [-1.0]])) == inf
    assert np.isnan(gradient_diversity(np.zeros((2, 2))))
    assert float(gradient_diversity(1e-200 * np.eye(3))) == 1.0
    batch = gradient_diversity(np.stack([np.eye(2), np.ones((2, 2))]))
    assert batch.tolist() == [1.0, 0.5]


def test_cosines_are_counted_once_a_pair_and_silent_prompts_are_left_out():
    g = np.random.default_rng(1).normal(size=(6, 3)) * 10.0 ** np.arange(-200, -194)[:, None]
    g[2] = 0.0
    found = cosine_distribution(g)
    live = [0, 1, 3, 4, 5]
    unit = [g[i] / np.abs(g[i]).max() for i in live]
    unit = [u / np.linalg.norm(u) for u in unit]
    expected = [unit[i] @ unit[j] for i in range(5) for j in range(i + 1, 5)]
    np.testing.assert_allclose(found.cosines, expected, atol=1e-14)
    assert found.num_silent == 1
    assert found.share_positive == np.mean(np.array(expected) > 0)
    assert found.share_negative == np.mean(np.array(expected) < 0)
    assert found.share_small == np.mean(np.abs(expected) < 0.1)
    assert found.mean == pytest.approx(np.mean(expected))
    assert found.std == pytest.approx(np.std(expected))


def test_cosines_of_fewer_than_two_gradients_have_no_mean():
    found = cosine_distribution([[1.0, 0.0], [0.0, 0.0]])
    assert found.cosines.size == 0
    assert np.isnan(found.mean)
    assert np.isnan(found.share_negative)


def test_gradient_arguments_are_checked():
    with pytest.raises(ValueError, match=r"gradients has shape \(3,\)"):
        gram(np.ones(3))
    with pytest.raises(ValueError, match="gradients holds inf"):
        gradient_diversity([[1.0, np.inf]])
    with pytest.raises(ValueError, match=r"gradients has shape \(2, 2, 2\)"):
        cosine_distribution(np.ones((2, 2, 2)))


@given(bandits_with_theta(max_prompts=4))
def test_inner_products_are_bounded_by_the_overlap(drawn):
    bandit, theta = drawn
    g = moments(bandit, theta).gradient
    norms = np.linalg.norm(g, axis=-1)
    assert (np.abs(gram(g)) <= overlap_matrix(bandit) * np.outer(norms, norms) * (1 + 1e-9) + 1e-12).all()


def _best_step_by_mpmath(slope, reward_std, spread):
    with mpmath.workdps(60):
        σ, u = [mpmath.mpf(s) for s in reward_std], [mpmath.mpf(s) / 2 for s in spread]

        def rise(α):
            return sum(s * w * (mpmath.exp(α * w) - 1) for s, w in zip(σ, u, strict=True)) - mpmath.mpf(slope)

        high = mpmath.mpf(1)
        while rise(high) < 0:
            high *= 2
        low = mpmath.mpf(0)
        while high - low > mpmath.mpf(10) ** -30 * high:
            middle = (low + high) / 2
            low, high = (middle, high) if rise(middle) < 0 else (low, middle)
        gain = high * mpmath.mpf(slope)
        gain -= sum(s * (mpmath.exp(high * w) - 1 - high * w) for s, w in zip(σ, u, strict=True))
        return float(high), float(gain)


@pytest.mark.parametrize(
    ("slope", "reward_std", "spread"),
    [
        (0.0625, [0.5], [0.25]),
        (0.1, [0.5, 0.3, 0.2], [0.4, 0.5, 0.1]),
        (1e-6, [0.5, 1e-9], [1e-3, 10.0]),  # the rare prompt would overflow at the other's step
        (1e-3, [0.5, 1e-200], [1e-2, 50.0]),
        (1e-200, [1e-100, 1e-100], [1e-100, 3e-100]),
        (1e-12, [0.5, 0.5], [0.5, 0.5]),
        (3e5, [100.0, 2.0], [1e4, 1e-6]),
    ],
)
def test_certified_step_is_the_maximiser_of_the_certificate(slope, reward_std, spread):
    found = theorem_b1_step(slope, reward_std, spread)
    step, gain = _best_step_by_mpmath(slope, reward_std, spread)
    assert float(found.step) == pytest.approx(step, rel=1e-10)
    assert float(found.gain) == pytest.approx(gain, rel=1e-10)


@given(
    st.floats(1e-6, 1.0),
    st.lists(st.tuples(st.floats(1e-3, 0.5), st.floats(1e-3, 10.0)), min_size=1, max_size=5),
    st.floats(0.2, 5.0),
)
def test_no_other_step_certifies_more(share, prompts, factor):
    σ, spread = np.array(prompts).T
    slope = share * float((σ * spread / 2).sum())
    best = theorem_b1_step(slope, σ, spread)
    other = float(theorem_b1(slope, σ, spread, factor * best.step))
    assert other <= float(best.gain) * (1 + 1e-12)
    # Half of the first-order gain is certain at the best step: ψ(s) ≤ s(e^s − 1)/2.
    assert float(best.gain) >= 0.5 * slope * float(best.step) * (1 - 1e-12)


def test_certificate_allows_no_step_where_the_direction_does_not_point_uphill():
    for slope in (0.0, -0.1):
        best = theorem_b1_step(slope, [0.5, 0.5], [1.0, 1.0])
        assert (float(best.step), float(best.gain)) == (0.0, 0.0)
    silent = theorem_b1_step(0.0, [0.0, 0.0], [0.0, 1.0])
    assert (float(silent.step), float(silent.gain)) == (0.0, 0.0)


def test_certificate_of_a_step_that_is_far_too_long_is_the_useless_side():
    assert float(theorem_b1(0.1, [0.5, 0.0], [1.0, 1.0], 1e6)) == -inf
    assert float(theorem_b1(0.1, [0.0], [1.0], 1e6)) == pytest.approx(1e5)


def test_certified_steps_are_computed_for_many_parameters_at_once():
    bandit = LogLinearBandit.overlapping(3, 4, 0.3, seed=2)
    thetas = np.random.default_rng(0).normal(size=(2, 5, bandit.dimension))
    weights = 1 / moments(bandit, thetas).reward_std
    batch = certified_step(bandit, thetas, weights)
    assert batch.step.shape == batch.gain.shape == (2, 5)
    for index in np.ndindex(2, 5):
        one = certified_step(bandit, thetas[index], weights[index])
        assert batch.step[index] == pytest.approx(float(one.step), rel=1e-12)
    gains = certified_gain(bandit, thetas[:, :1], weights[:, :1], [0.1, 0.2, 0.3, 0.4, 0.5])
    assert gains.shape == (2, 5)


@given(st.floats(1e-3, 1e3))
def test_scaling_all_weights_scales_the_step_and_not_the_gain(scale):
    bandit = LogLinearBandit.overlapping(3, 4, 0.3, seed=2)
    theta = np.linspace(-1, 1, bandit.dimension)
    plain, scaled = (certified_step(bandit, theta, s * np.array([1.0, 2.0, 3.0])) for s in (1.0, scale))
    assert float(scaled.step) * scale == pytest.approx(float(plain.step), rel=1e-10)
    assert float(scaled.gain) == pytest.approx(float(plain.gain), rel=1e-10)


@given(st.lists(st.floats(-7, -4), min_size=2, max_size=5))
def test_certified_speedup_is_kappa_when_the_certified_steps_are_short(exponents):
    """For rare successes D‖g‖/σ is small, the certified steps are short, and ψ(s) is s²/2."""
    bandit = LogLinearBandit.two_arm(10.0 ** np.array(exponents))
    theta = np.zeros(len(exponents))
    at = moments(bandit, theta)
    kappa = theorem_t5(np.linalg.norm(at.gradient, axis=-1), at.reward_std).by_std
    assert float(certified_speedup(bandit, theta, 1 / at.reward_std)) == pytest.approx(kappa, rel=0.01)


def test_certified_speedup_can_fall_below_one_where_kappa_is_above():
    """κ ≥ 1 rests on ψ(s) ≈ s²/2: at the certified steps themselves it is no theorem.

    Each prompt would like a step b with bσy = σ·log(1 + y), y = 2‖g‖/(Dσ). Here the prompt of the larger std
    has the smaller y, so REINFORCE's common step suits both better than GRPO's.
    """
    features = np.zeros((2, 3, 4))
    features[0, 0, 0] = 1.0
    features[1, 0, 1], features[1, 2, 2] = 0.36, sqrt(1 - 0.36**2)  # the third makes D = 1 and is never given
    base = [[np.log(0.24), np.log(0.76), -np.inf], [0.0, 0.0, -60.0]]
    bandit = LogLinearBandit(features, [[1, 0, 0], [1, 0, 0]], base)
    at = moments(bandit, np.zeros(4))
    np.testing.assert_allclose(at.reward_std, [sqrt(0.24 * 0.76), 0.5], rtol=1e-12)
    kappa = theorem_t5(np.linalg.norm(at.gradient, axis=-1), at.reward_std).by_std
    assert kappa == pytest.approx(1.0039, abs=1e-4)
    assert float(certified_speedup(bandit, np.zeros(4), 1 / at.reward_std)) == pytest.approx(0.9958, abs=1e-4)


def test_certified_speedup_is_one_for_equal_weightings_and_undefined_for_silent_prompts():
    bandit = LogLinearBandit.two_arm([0.3, 0.6], overlap=0.5)
    assert float(certified_speedup(bandit, np.zeros(3), [2.0, 2.0])) == pytest.approx(1.0, rel=1e-12)
    silent = LogLinearBandit.two_arm([0.0, 1.0])
    assert np.isnan(certified_speedup(silent, np.zeros(2), [1.0, 1.0]))
    opposed = LogLinearBandit([[[1.0], [-1.0]], [[1.0], [-1.0]]], [[1, 0], [0, 1]], [[0, 0], [0, 1.0]])
    # Weighing the weaker gradient alone goes down in total; the stronger one alone goes up.
    g = moments(opposed, [0.0]).gradient[:, 0]
    strong = np.eye(2)[int(np.abs(g).argmax())]
    assert float(certified_speedup(opposed, [0.0], strong, 1 - strong)) == inf


@pytest.mark.parametrize(
    ("weights", "spread", "message"),
    [
        ([1.0], "diameter", r"weights has shape \(1,\)"),
        ([1.0, np.inf], "diameter", "weights holds inf.*zero std"),
        ([1.0, 1.0], "radius", "spread is 'radius'"),
    ],
)
def test_certificates_refuse_what_they_cannot_read(weights, spread, message):
    with pytest.raises(ValueError, match=message):
        certified_step(LogLinearBandit.two_arm([0.5, 0.5]), np.zeros(2), weights, spread=spread)


def test_certificate_arguments_are_checked():
    with pytest.raises(ValueError, match="slope holds nan"):
        theorem_b1(np.nan, [0.5], [0.5], 1.0)
    with pytest.raises(ValueError, match=r"step must be finite and at least 0, got -1\.0"):
        theorem_b1(0.1, [0.5], [0.5], -1.0)
    with pytest.raises(ValueError, match=r"overlap has shape \(1, 1\)"):
        theorem_b2([0.1, 0.1], [0.5, 0.5], [[1.0]], 1.0, [1.0, 1.0], 1.0)
    with pytest.raises(ValueError, match="overlap must be symmetric"):
        theorem_b2([0.1, 0.1], [0.5, 0.5], [[1.0, 0.2], [0.3, 1.0]], 1.0, [1.0, 1.0], 1.0)


def test_b2_of_orthogonal_equal_prompts_is_t1():
    """Without overlap B2 at T1's step is T1's gain where L1 is attained, summed over prompts."""
    found = theorem_b2([0.25, 0.25], [0.5, 0.5], np.eye(2), 1.0, [2.0, 2.0], 4 * log(2))
    assert float(found.largest_shift) == pytest.approx(log(2), rel=1e-12)
    assert float(found.gain) == pytest.approx(2 * 4 * (2 * log(2) - 1) * 0.25**2 / 0.5, rel=1e-12)


def test_b2_gives_no_bound_when_one_of_two_overlapping_prompts_has_no_weight():
    shared = np.array([[1.0, 0.5], [0.5, 1.0]])
    assert float(theorem_b2([0.1, 0.1], [0.5, 0.5], shared, 1.0, [1.0, 0.0], 1.0).gain) == -inf
    # A silent prompt has no gradient to be opposed: it costs nothing.
    assert float(theorem_b2([0.1, 0.0], [0.5, 0.0], shared, 1.0, [1.0, 0.0], 0.1).gain) > 0
