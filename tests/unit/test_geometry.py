"""Diameter, enclosing ball and spectral norm: known shapes, theorems about them, and brute force."""

from __future__ import annotations

from itertools import combinations
from math import sqrt
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import curvature.geometry as geometry
from curvature import LogLinearBandit, moments
from curvature.geometry import center, enclosing_radius, feature_diameter, spectral_norm
from curvature.testing import bandits


def clouds(rng):
    """Yield awkward point sets: general, on a sphere, on a grid, repeated, nearly on a line, heavy-tailed."""
    for _ in range(40):
        K, d = int(rng.integers(2, 25)), int(rng.integers(1, 15))
        points = rng.normal(size=(K, d))
        yield points
        yield points / np.linalg.norm(points, axis=1, keepdims=True)
        yield rng.integers(-1, 2, size=(K, d)).astype(float)
        yield points[rng.integers(0, K, K)] + 1e8
        yield np.linspace(0, 1, K)[:, None] * rng.normal(size=d) + 1e-9 * points
        yield rng.standard_cauchy(size=(K, d)) ** 3
        yield 1e-200 * points
        yield 1e150 * points


def brute_diameter(points):
    scale = np.abs(points - points[0]).max() or 1.0
    return scale * max(np.linalg.norm((x - y) / scale) for x, y in combinations(points, 2))


def brute_radius(points):
    """Give the largest circumradius, over support sets, of a ball that holds every point: small K and d only."""
    best = np.inf
    for size in range(2, points.shape[1] + 2):
        for support in combinations(range(len(points)), size):
            corners = points[list(support)]
            edges = corners[1:] - corners[0]
            offset, *_ = np.linalg.lstsq(2 * edges, np.sum(edges**2, axis=1), rcond=None)
            radius = np.linalg.norm(offset)
            distances = np.linalg.norm(points - corners[0] - offset, axis=1)
            if distances.max() <= radius * (1 + 1e-9):
                best = min(best, radius)
    return best


def test_diameter_is_the_brute_force_maximum_over_pairs():
    for points in clouds(np.random.default_rng(0)):
        assert feature_diameter(points) == pytest.approx(brute_diameter(points), rel=1e-13, abs=0)


def test_diameter_is_the_same_in_blocks(monkeypatch):
    features = np.random.default_rng(1).normal(size=(7, 11, 3))
    whole = feature_diameter(features)
    for block in (1, 5, 11, 40, 121, 300):
        monkeypatch.setattr(geometry, "_BLOCK", block)
        np.testing.assert_array_equal(feature_diameter(features), whole)


def test_enclosing_radius_is_the_brute_force_minimum_over_supports():
    rng = np.random.default_rng(2)
    for _ in range(60):
        points = rng.normal(size=(int(rng.integers(2, 8)), int(rng.integers(1, 4))))
        assert enclosing_radius(points) == pytest.approx(brute_radius(points), rel=1e-9)


def test_enclosing_radius_lies_between_half_the_diameter_and_jungs_bound():
    for points in clouds(np.random.default_rng(3)):
        width, radius = feature_diameter(points), enclosing_radius(points)
        m = min(len(points) - 1, points.shape[1])
        assert width / 2 * (1 - 1e-12) <= radius <= width * sqrt(m / (2 * (m + 1))) * (1 + 1e-10)


def test_enclosing_radius_is_certified_by_its_support_in_high_dimension():
    # Points on the unit sphere with the origin in their hull have the unit ball: put each beside its opposite.
    rng = np.random.default_rng(4)
    points = rng.normal(size=(30, 200))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    inside = 0.9 * rng.normal(size=(60, 200)) / sqrt(200) * 0.5
    cloud = 3 * np.concatenate([points, -points, inside]) + rng.normal(size=200)
    assert enclosing_radius(cloud) == pytest.approx(3.0, rel=1e-12)


@pytest.mark.parametrize("m", [1, 2, 5, 40, 300])
def test_regular_simplex_reaches_jungs_bound(m):
    simplex = np.eye(m + 1) / sqrt(2)
    assert feature_diameter(simplex) == pytest.approx(1.0, rel=1e-14)
    assert enclosing_radius(simplex) == pytest.approx(sqrt(m / (2 * (m + 1))), rel=1e-12)


def test_two_points_a_repeated_point_and_a_single_point():
    pair = np.array([[1.0, 2.0], [4.0, 6.0]])
    assert feature_diameter(pair) == 5.0
    assert enclosing_radius(pair) == pytest.approx(2.5, rel=1e-15)
    assert enclosing_radius(np.repeat(pair, 3, axis=0)) == pytest.approx(2.5, rel=1e-15)
    # 1/3 three times sums to no exact multiple: equal features must still give exactly 0.
    for single in (pair[:1], np.full((3, 2), 1 / 3)):
        assert feature_diameter(single) == 0.0
        assert enclosing_radius(single) == 0.0


def test_spectral_norm_is_the_largest_singular_value_at_any_scale():
    rng = np.random.default_rng(5)
    for shape in ((5, 4, 9), (5, 9, 4), (3, 1, 1), (2, 6, 6)):
        features = rng.normal(size=shape) * 10.0 ** rng.integers(-160, 160, size=(shape[0], 1, 1))
        expected = np.linalg.norm(features, 2, axis=(1, 2))
        np.testing.assert_allclose(spectral_norm(features), expected, rtol=1e-13)
    assert spectral_norm(np.zeros((2, 3))) == 0.0


@given(bandits())
def test_missing_responses_do_not_count(bandit):
    for measure in (feature_diameter, enclosing_radius, spectral_norm):
        measured = measure(bandit)
        assert measured.shape == (bandit.num_prompts,)
        for prompt, features, mask in zip(measured, bandit.features, bandit.mask, strict=True):
            assert prompt == pytest.approx(measure(features[mask]), rel=1e-10, abs=1e-300)


def test_a_masked_row_is_ignored_whatever_it_holds():
    features = np.array([[[1.0, 0.0], [np.nan, 9e9], [0.0, 1.0]]])
    masked = SimpleNamespace(features=features, mask=np.array([[True, False, True]]))
    assert feature_diameter(masked)[0] == pytest.approx(sqrt(2), rel=1e-15)
    assert enclosing_radius(masked)[0] == pytest.approx(sqrt(0.5), rel=1e-15)
    assert spectral_norm(masked)[0] == pytest.approx(1.0, rel=1e-15)


@given(bandits(), st.integers(0, 2**32 - 1))
def test_centring_keeps_the_policy_and_gives_the_smallest_spectral_norm_of_any_shift(bandit, seed):
    rng = np.random.default_rng(seed)
    centred = center(bandit)
    theta, shift = rng.normal(size=bandit.dimension), rng.normal(size=bandit.dimension)
    before, after = moments(bandit, theta), moments(centred, theta)
    np.testing.assert_allclose(after.probabilities, before.probabilities, rtol=1e-11, atol=1e-300)
    np.testing.assert_allclose(after.gradient, before.gradient, atol=1e-12)
    np.testing.assert_allclose(feature_diameter(centred), feature_diameter(bandit), rtol=1e-12, atol=1e-14)
    shifted = SimpleNamespace(features=centred.features + shift, mask=bandit.mask)
    least, room = spectral_norm(centred), 1e-12 * (1 + spectral_norm(bandit))
    assert np.all(least <= spectral_norm(bandit) + room)
    assert np.all(least <= spectral_norm(shifted) + room)
    assert np.all(feature_diameter(bandit) <= sqrt(2) * least + room)


def test_centring_a_bandit_returns_a_bandit_with_all_else_unchanged():
    bandit = LogLinearBandit(
        features=np.arange(12.0).reshape(2, 3, 2) ** 2,
        rewards=[[1, 0, 0], [0, 1, 0]],
        base_logits=[[0, 1, -np.inf], [2, 0, 1]],
        prompt_weights=[0.25, 0.75],
    )
    centred = center(bandit)
    assert isinstance(centred, LogLinearBandit)
    np.testing.assert_allclose(centred.features.sum(axis=1), 0, atol=1e-12)
    assert not centred.features[0, 2].any()
    for name in ("rewards", "base_logits", "prompt_weights", "mask"):
        np.testing.assert_array_equal(getattr(centred, name), getattr(bandit, name))
    assert center(bandit.features).shape == (2, 3, 2)


def test_leading_axes_of_an_array_are_kept():
    features = np.random.default_rng(6).normal(size=(2, 3, 5, 4))
    for measure in (feature_diameter, enclosing_radius, spectral_norm):
        assert measure(features).shape == (2, 3)
        assert measure(features)[1, 2] == pytest.approx(measure(features[1, 2]), rel=1e-12)
        assert type(measure(features[0, 0])) is np.float64


@pytest.mark.parametrize("measure", [feature_diameter, enclosing_radius, spectral_norm, center])
@pytest.mark.parametrize(
    ("features", "message"),
    [
        ([1.0, 2.0], r"shape \(\.\.\., K, d\).* got shape \(2,\)"),
        (np.zeros((3, 0)), r"got shape \(3, 0\)"),
        ([[1.0, np.nan]], r"finite, got nan at index \(0, 0, 1\)"),
        (
            SimpleNamespace(features=np.ones((2, 3, 1)), mask=np.ones((3, 2), dtype=bool)),
            r"mask .* got \(3, 2\)",
        ),
        (
            SimpleNamespace(features=np.ones((2, 1, 1)), mask=np.array([[True], [False]])),
            r"prompt 1 has no response",
        ),
    ],
)
def test_bad_features_are_named(measure, features, message):
    with pytest.raises(ValueError, match=message):
        measure(features)


def test_differences_beyond_the_largest_float_are_refused():
    with pytest.raises(ValueError, match="1\\.8e308"):
        feature_diameter([[1.7e308], [-1.7e308]])


def test_centring_an_object_that_cannot_be_copied_is_refused():
    with pytest.raises(TypeError, match="got SimpleNamespace"):
        center(SimpleNamespace(features=np.ones((1, 2, 1)), mask=np.ones((1, 2), dtype=bool)))


def test_an_uncertified_ball_is_refused_with_its_gap(monkeypatch):
    monkeypatch.setattr("curvature._enclosing._settle", lambda points, support, weights: (support, weights))
    with pytest.raises(RuntimeError, match=r"prompt 0 was found only to a relative error of \d"):
        enclosing_radius([[0.0, 0.0], [1.0, 0.0], [0.5, 1.0], [0.5, 0.5]])
