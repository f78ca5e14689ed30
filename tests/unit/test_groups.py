"""Finite groups: exact rational sums, simulation through the advantages, published values, limits and refusals."""

import math
from dataclasses import replace
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from numpy.testing import assert_allclose

from curvature import PRESETS, Normalization, group_advantages
from curvature.groups import (
    best_exponent,
    certified_gain,
    effective_weight,
    fidelity,
    gain_ratio,
    gradient_moments,
    implicit_objective,
    plug_in_std,
    silent_probability,
    total_variance,
    unbiased_variance,
)
from curvature.groups._counts import advantages_of_counts

OWN_GROUP = [
    name for name, one in PRESETS.items() if one.spread not in {"batch", "pooled"} and one.baseline != "batch"
]
ODD = [
    Normalization(exponent=0.5),
    Normalization(exponent=2.0, ddof=1),
    Normalization(floor=0.3),
    Normalization(eps=0.1, placement="inside"),
    Normalization(spread="leave-one-out", baseline="mean", eps=0.01),
    Normalization(spread="group", baseline="leave-one-out", ddof=1),
]


@pytest.mark.parametrize("group_size", [2, 3, 4, 8, 33])
@pytest.mark.parametrize("convention", [*OWN_GROUP, *ODD], ids=str)
def test_advantages_of_counts_are_group_advantages(convention, group_size):
    convention = PRESETS.get(convention, convention) if isinstance(convention, str) else convention
    groups = (np.arange(group_size) < np.arange(group_size + 1)[:, None]).astype(float)
    advantage = group_advantages(groups, preset=convention)
    right, wrong = advantages_of_counts(np.arange(group_size + 1), group_size, convention)
    assert_allclose(right[1:], advantage[1:, 0], rtol=1e-12, atol=1e-14)
    assert_allclose(wrong[:-1], advantage[:-1, -1], rtol=1e-12, atol=1e-14)


def grpo_weight_by_fractions(p, G):
    """The sum over k with exact binomials; only the square root is rounded, to 50 digits."""
    with mpmath.workdps(50):
        total = mpmath.mpf(0)
        for k in range(1, G):
            exact = math.comb(G, k) * p ** (k - 1) * (1 - p) ** (G - k - 1)
            q = Fraction(k * (G - k), G * G)
            root = mpmath.sqrt(mpmath.mpf(q.numerator) / q.denominator)
            total += mpmath.mpf(exact.numerator) / exact.denominator * root
        return float(total)


@pytest.mark.parametrize("group_size", [2, 3, 8, 30])
@pytest.mark.parametrize("success", [1e-300, 1e-12, 0.3, 1 - 2**-53], ids=str)
def test_weight_is_the_exact_sum_at_extreme_success_rates(success, group_size):
    expected = grpo_weight_by_fractions(Fraction(success), group_size)
    assert float(effective_weight(success, group_size)) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("success", [1e-4, 0.02, 0.7])
def test_weight_of_two_thousand_responses_is_the_exact_sum(success):
    with mpmath.workdps(40):
        p, G = mpmath.mpf(success), 2000
        expected = mpmath.fsum(
            mpmath.binomial(G, k) * p ** (k - 1) * (1 - p) ** (G - k - 1) * mpmath.sqrt(k * (G - k)) / G
            for k in range(1, G)
        )
    assert float(effective_weight(success, 2000)) == pytest.approx(float(expected), rel=1e-12)


def test_weight_of_a_million_responses_is_one_over_the_std_to_the_next_order():
    # Taylor: E √q̂ = σ(1 − 1/(8Gσ²) + O(1/G²)).
    p, G = np.array([0.05, 0.3, 0.5]), 10**6
    V = p * (1 - p)
    assert_allclose(effective_weight(p, G), (1 - 1 / (8 * G * V)) / np.sqrt(V), rtol=1e-10)
    assert_allclose(effective_weight(p, G, "none"), 1 - 1 / G, rtol=1e-14)
    assert_allclose(effective_weight([0.0, 1e-300, 1.0], G), math.sqrt(G - 1), rtol=1e-12)


def test_published_fidelities():
    # Bay and Yearick, arXiv:2607.00152, as quoted in theory II.10.
    assert fidelity([0.5, 0.05], 8).round(4).tolist() == [0.9278, 0.5390]


def test_groups_of_two_are_reinforce_and_rare_successes_weigh_root_g_minus_one():
    assert_allclose(effective_weight([0.0, 1e-300, 0.2, 1.0], 2), 1.0, rtol=1e-14)
    for G in (3, 8, 64):
        assert_allclose(effective_weight([0.0, 1e-300, 1.0], G), math.sqrt(G - 1), rtol=1e-12)


@pytest.mark.parametrize("convention", [*OWN_GROUP, *ODD], ids=str)
def test_simulated_updates_have_the_stated_moments(convention):
    # 6 deviations: below 1e-8 for each of some 200 comparisons, 1e-6 for all together.
    rng, groups, G = np.random.default_rng(3), 40_000, 6
    for p in (0.05, 0.4, 0.9):
        rewards = (rng.random((groups, G)) < p).astype(float)
        update = (group_advantages(rewards, preset=convention) * (rewards - p)).mean(axis=1)
        moments = gradient_moments(p, G, convention)
        V = p * (1 - p)
        for sample, exact in ((update * V, moments.inner), (update**2, moments.square)):
            assert abs(sample.mean() - exact) < 6 * sample.std() / math.sqrt(groups) + 1e-12
        assert_allclose(moments.inner, V**2 * effective_weight(p, G, convention), rtol=1e-12)


@pytest.mark.parametrize(
    "preset", ["batch", "trl_batch", "lite_ppo", "areal", "ms_swift_reinforce_plus_plus"]
)
def test_spread_of_a_large_batch_scales_the_weight(preset):
    # One batch of 60,000 groups with p = .3. 6 deviations: false alarms below 1e-7 for the five together.
    rng, G, p = np.random.default_rng(4), 4, 0.3
    rewards = (rng.random((60_000, G)) < p).astype(float)
    centred = rewards - rewards.mean(axis=1, keepdims=True)
    batch_std = (centred if PRESETS[preset].spread == "pooled" else rewards).std()
    update = (group_advantages(rewards, preset=preset) * (rewards - p)).mean(axis=1) / (p * (1 - p))
    exact = effective_weight(p, G, preset, batch_std=batch_std)
    assert abs(update.mean() - exact) < 6 * update.std() / math.sqrt(len(update))
    moments = gradient_moments(p, G, preset, batch_std=batch_std, batch_mean=rewards.mean())
    square = (update * p * (1 - p)) ** 2
    assert abs(square.mean() - moments.square) < 6 * square.std() / math.sqrt(len(square))


def test_total_variance_of_general_rewards_is_that_of_every_group_of_three():
    rng, G = np.random.default_rng(6), 3
    chance, features, rewards = rng.dirichlet(np.ones(4)), rng.standard_normal((4, 2)), rng.standard_normal(4)
    score, advantage = features - chance @ features, rewards - chance @ rewards
    drawn = np.stack(np.meshgrid(*[np.arange(4)] * G), axis=-1).reshape(-1, G)
    weight = chance[drawn].prod(axis=1)
    estimate = (group_advantages(rewards[drawn], preset="rloo")[..., None] * score[drawn]).mean(axis=1)
    mean = weight @ estimate
    found = total_variance(
        G,
        advantage_norm=chance @ (advantage**2 * (score**2).sum(axis=1)),
        gradient_norm=np.linalg.norm((chance * advantage) @ score),
        reward_std=math.sqrt(chance @ advantage**2),
        feature_spread=chance @ (score**2).sum(axis=1),
    )
    assert float(found) == pytest.approx(weight @ ((estimate - mean) ** 2).sum(axis=1), rel=1e-12)


def test_silent_probability_splits_and_keeps_small_rates():
    silent = silent_probability([0.0, 0.5, 1.0], 4)
    assert silent.all_right.tolist() == [0, 1 / 16, 1]
    assert silent.all_wrong.tolist() == [1, 1 / 16, 0]
    assert 1 - float(silent_probability(1e-12, 1000).all_wrong) == pytest.approx(1e-9, rel=1e-6)


@pytest.mark.parametrize("convention", [*OWN_GROUP, *ODD], ids=str)
def test_slope_of_the_objective_is_the_weight(convention):
    p, h = np.array([0.05, 0.3, 0.9]), 1e-5
    slope = (implicit_objective(p + h, 8, convention) - implicit_objective(p - h, 8, convention)) / (2 * h)
    assert_allclose(slope, effective_weight(p, 8, convention), rtol=1e-7)
    assert float(implicit_objective(0.0, 8, convention)) == 0


def test_limits_of_the_objective():
    p = np.array([0.01, 0.3, 0.9])
    assert_allclose(implicit_objective(p, math.inf), 2 * np.arcsin(np.sqrt(p)), rtol=1e-14)
    assert_allclose(implicit_objective(p, 10**6), 2 * np.arcsin(np.sqrt(p)), atol=2e-3)
    assert_allclose(implicit_objective(p, 8, "none"), (1 - 1 / 8) * p, rtol=1e-13)
    assert_allclose(implicit_objective(p, math.inf, "none"), p, rtol=1e-14)
    assert_allclose(implicit_objective(p, math.inf, "batch", batch_std=0.5), 2 * p, rtol=1e-14)
    variance = Normalization(exponent=2.0)
    assert_allclose(implicit_objective(p, math.inf, variance), np.log(p / (1 - p)), rtol=1e-13)
    rise = implicit_objective(p, 10**5, variance) - implicit_objective(0.5, 10**5, variance)
    assert_allclose(rise, np.log(p / (1 - p)), rtol=2e-3)
    # B(p; 3/4, 3/4) near one exponent is near its closed form.
    near = implicit_objective(p, math.inf, Normalization(exponent=1 + 1e-9))
    assert_allclose(near, 2 * np.arcsin(np.sqrt(p)), rtol=1e-7)


def test_plug_in_std_and_unbiased_variance_are_means_over_counts():
    G, p = 6, 0.2
    k = np.arange(G + 1)
    chance = np.array([math.comb(G, int(one)) for one in k]) * p**k * (1 - p) ** (G - k)
    for ddof in (0, 1):
        expected = chance @ np.sqrt(k * (G - k) / (G * (G - ddof)))
        assert float(plug_in_std(p, G, ddof=ddof)) == pytest.approx(expected, rel=1e-13)
    assert chance @ unbiased_variance(k, G) == pytest.approx(p * (1 - p), rel=1e-13)


def test_gain_of_weighted_prompts_is_that_of_repeated_prompts():
    repeated, weighted = [0.1, 0.1, 0.1, 0.6], [0.1, 0.6]
    assert certified_gain(repeated, 8) == pytest.approx(
        certified_gain(weighted, 8, weights=[3, 1]), rel=1e-12
    )
    assert gain_ratio(repeated, 8) == pytest.approx(gain_ratio(weighted, 8, weights=[0.75, 0.25]), rel=1e-12)
    assert best_exponent(repeated, 8) == pytest.approx(best_exponent(weighted, 8, weights=[3, 1]), abs=1e-4)


def test_scale_of_all_prompts_does_not_change_the_gain():
    success = [0.05, 0.5, 0.8]
    assert gain_ratio(success, 8, "batch", "none") == pytest.approx(1, rel=1e-12)
    assert gain_ratio(success, 8, "trl_batch", "none", batch_std=0.1) == pytest.approx(1, rel=1e-12)
    assert gain_ratio(success, 8, "rloo", "none") == pytest.approx(1, rel=1e-12)
    assert math.isnan(gain_ratio([0.0, 1.0], 8))


def test_shapes_are_kept_and_empty_input_is_empty():
    assert effective_weight(np.full((2, 3), 0.5), 4).shape == (2, 3)
    assert effective_weight([], 4).shape == (0,)
    assert gradient_moments(0.5, 4).square.shape == ()


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: effective_weight(1.2, 8), r"success=1.2 must be in \[0, 1\]"),
        (lambda: effective_weight(math.nan, 8), "success=nan"),
        (lambda: effective_weight(0.5, 1), "group_size=1 must be a whole number, at least 2"),
        (lambda: silent_probability(0.5, 2.5), "group_size=2.5"),
        (lambda: effective_weight(0.5, 8, "batch"), "pass batch_std"),
        (lambda: effective_weight(0.5, 8, "batch", batch_std=0.0), "batch_std=0.0 must be positive"),
        (lambda: gradient_moments(0.5, 8, "areal", batch_std=0.5), "pass batch_mean"),
        (lambda: plug_in_std(0.5, 8, ddof=2), "ddof=2"),
        (lambda: unbiased_variance(3, 1), "group_size=1 must be at least 2"),
        (lambda: unbiased_variance(9, 8), "count=9 must be from 0 to the group size 8"),
        (lambda: certified_gain([0.5], 8, weights=[1, 2]), "weights of shape"),
        (lambda: certified_gain([0.5], 8, weights=[-1]), "weights with minimum -1"),
        (lambda: implicit_objective(0.5, math.inf, "trl"), "without a closed form"),
        (lambda: implicit_objective(0.5, math.inf, Normalization(exponent=3.0)), "the integral diverges"),
        (lambda: effective_weight(0.5, 8, "nobody"), "preset='nobody' is unknown"),
    ],
)
def test_refusals_name_the_value_and_the_mend(call, match):
    with pytest.raises(ValueError, match=match):
        call()


def test_asymmetric_preset_weighs_successes_and_failures_differently():
    # In nemo_rl the only success of a group is left unscaled, so rare successes lose against GRPO.
    nemo = replace(PRESETS["nemo_rl"], eps=0.0)
    right, wrong = advantages_of_counts(np.array([1]), 8, nemo)
    assert float(right[0]) == pytest.approx(1.0)
    assert float(wrong[0]) == pytest.approx(-1 / 7 / math.sqrt(1 / 7))
    assert float(effective_weight(0.0, 8, nemo)) == pytest.approx(1.0)
