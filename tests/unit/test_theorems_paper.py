"""Theorems 3.1–3.4: the calculators against mpmath, and the statements on exact expectations."""

import itertools
from math import inf, sqrt

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from curvature import LogLinearBandit, moments, spectral_norm
from curvature.assumptions import check_bounded_variance, check_cross_prompt, scale_regularity
from curvature.bounds._comparison import improvement_factor
from curvature.bounds._expectations import binomial_expectation, expected_run, smallest_variance_bound
from curvature.bounds._paper_theorems import theorem_3_1, theorem_3_2, theorem_3_3, theorem_3_4
from curvature.bounds._repaired_theorems import theorem_3_2_repaired, theorem_3_4_repaired
from curvature.testing import assert_upper, bandits, bandits_with_theta

CORNERS = [(1, 0.5, 1.0, 10), (7, 1e-300, 1e150, 10**6), (3, 1 - 2.0**-53, 1e-150, 1), (100, 0.0, 3.7, 17)]


# ---- calculators


@pytest.mark.parametrize(("n", "p", "X", "T"), CORNERS)
@pytest.mark.parametrize("M", [0.0, 2.0, 418.0, 1e300])
def test_reinforce_rates_match_mpmath(n, p, X, T, M):
    rate = theorem_3_3(n, p, X, T, M)
    with mpmath.workdps(40):
        smoothness = max(mpmath.mpf(1), mpmath.mpf(M) / 2) * mpmath.mpf(X) ** 2
        total = 2 * n * (1 - mpmath.mpf(p)) * smoothness
        expected = [1 / smoothness, 1 / (2 * n * smoothness), total, total / T]
        expected = [float(value) if value < mpmath.mpf("1.7e308") else inf for value in expected]
    measured = [rate.step, rate.gain_factor, rate.gradient_sum, rate.gradient_min]
    np.testing.assert_allclose(np.array(measured, dtype=float), expected, rtol=1e-13, atol=1e-307)


@pytest.mark.parametrize(("n", "p", "X", "T"), CORNERS[:1] + CORNERS[2:])
@pytest.mark.parametrize(("M", "R1", "R2"), [(0.0, 1.0, 1.0), (8.0, 2.0, 3.0), (1.0, 5.0, 1e6)])
def test_grpo_rates_match_mpmath(n, p, X, T, M, R1, R2):
    C = np.random.default_rng(0).uniform(0.01, 0.5, size=T)
    rate = theorem_3_4(n, p, X, C, M, R1, R2)
    repaired = theorem_3_4_repaired(n, p, X, C, M, R1, R2)
    with mpmath.workdps(40):
        smoothness = max(mpmath.mpf(R1), 5 * mpmath.mpf(M) / 8) * mpmath.mpf(R2) * mpmath.mpf(X) ** 2
        c = [mpmath.mpf(value) for value in C]
        factor = 8 * mpmath.fsum(c) / (3 * T)
        total = 2 * n * (1 - mpmath.mpf(p)) * smoothness * factor
        B = 16 * n * (1 - mpmath.mpf(p)) * smoothness / 3
        printed = [1 / (2 * smoothness), 3 / (16 * n * smoothness * c[-1]), total, total / T, factor]
        forms = [B, B * max(c), B / mpmath.fsum(1 / v for v in c), B * mpmath.fsum(c) / T**2]
        printed, forms = [float(v) for v in printed], [float(v) for v in forms]
    measured = [rate.step, rate.gain_factor[-1], rate.gradient_sum, rate.gradient_min, rate.std_factor]
    np.testing.assert_allclose(measured, printed, rtol=1e-13)
    measured = [repaired.weighted_sum, repaired.gradient_sum, repaired.gradient_min, repaired.squared_mean]
    np.testing.assert_allclose(measured, forms, rtol=1e-13)


def test_relaxed_theorems_reduce_to_the_orthogonal_ones():
    for M in (0.0, 1.0, 2.0):
        assert theorem_3_3(5, 0.3, 2.0, 50, M) == theorem_3_1(5, 0.3, 2.0, 50)
    C = np.linspace(0.5, 0.1, 50)
    for M in (0.0, 1.6):
        np.testing.assert_equal(vars(theorem_3_4(5, 0.3, 2.0, C, M, 1, 1)), vars(theorem_3_2(5, 0.3, 2.0, C)))
        np.testing.assert_equal(
            vars(theorem_3_4_repaired(5, 0.3, 2.0, C, M, 1, 1)), vars(theorem_3_2_repaired(5, 0.3, 2.0, C))
        )


def test_at_three_eighths_grpo_has_the_rate_of_reinforce():
    grpo, reinforce = theorem_3_2(5, 0.3, 2.0, np.full(50, 0.375)), theorem_3_1(5, 0.3, 2.0, 50)
    assert float(grpo.gradient_min) == pytest.approx(float(reinforce.gradient_min), rel=1e-14)
    assert float(grpo.gain_factor[0]) == pytest.approx(float(reinforce.gain_factor), rel=1e-14)


def test_for_a_constant_bound_the_printed_sum_is_the_repaired_one():
    C = np.full(30, 0.21)
    printed, repaired = theorem_3_2(5, 0.3, 2.0, C), theorem_3_2_repaired(5, 0.3, 2.0, C)
    assert float(printed.gradient_sum) == pytest.approx(float(repaired.gradient_sum), rel=1e-13)
    assert float(printed.gradient_min) == pytest.approx(float(repaired.gradient_min), rel=1e-13)


@given(st.lists(st.floats(1e-3, 0.5), min_size=1, max_size=20))
def test_the_repaired_minimum_is_never_above_the_printed_one(C):
    printed, repaired = theorem_3_2(4, 0.1, 1.5, C), theorem_3_2_repaired(4, 0.1, 1.5, C)
    assert float(repaired.gradient_min) <= float(printed.gradient_min) * (1 + 1e-12)


@given(
    st.floats(0, 1),
    st.floats(0, 1),
    st.floats(0.1, 10),
    st.floats(0.1, 10),
    st.floats(0, 1e4),
    st.floats(0, 1e4),
)
def test_bounds_fall_with_success_and_rise_with_norm_and_interference(p, q, X, Y, M, N):
    (p, q), (X, Y), (M, N) = sorted((p, q)), sorted((X, Y)), sorted((M, N))
    assert theorem_3_3(3, q, X, 9, M).gradient_sum <= theorem_3_3(3, p, Y, 9, N).gradient_sum
    low = theorem_3_4(3, q, X, [0.2, 0.3], M, 1 + M, 1 + M).gradient_sum
    assert low <= theorem_3_4(3, p, Y, [0.2, 0.4], N, 1 + N, 1 + N).gradient_sum


def test_calculators_broadcast_over_prompts_and_steps():
    rate = theorem_3_2(4, [0.1, 0.2, 0.3], 2.0, np.full((3, 7), 0.4))
    assert rate.gradient_sum.shape == rate.std_factor.shape == (3,)
    assert rate.gain_factor.shape == (3, 7)
    assert theorem_3_1(4, [0.1, 0.2, 0.3], [[1.0], [2.0]], 7).gradient_sum.shape == (2, 3)


def test_a_constant_that_does_not_exist_gives_the_useless_side():
    for rate in (theorem_3_3(3, 1.0, 2.0, 9, inf), theorem_3_4(3, 1.0, 2.0, [0.5], 1.0, inf, 1.0)):
        assert (float(rate.step), float(np.max(rate.gain_factor)), float(rate.gradient_sum)) == (
            0.0,
            0.0,
            inf,
        )
    assert float(theorem_3_4_repaired(3, 1.0, 2.0, [0.5], inf, 1.0, 1.0).weighted_sum) == inf


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theorem_3_1(0, 0.5, 1.0, 10), "num_prompts is 0"),
        (lambda: theorem_3_1(2, 0.5, 1.0, 2.5), r"num_steps is 2\.5"),
        (lambda: theorem_3_1(2, 1.5, 1.0, 10), r"success must lie in \[0, 1\], got 1\.5"),
        (lambda: theorem_3_1(2, 0.5, -1.0, 10), r"spectral_norm must be finite and at least 0, got -1\.0"),
        (lambda: theorem_3_2(2, 0.5, 1.0, [0.2, 0.6]), r"std_bounds holds 0\.6"),
        (lambda: theorem_3_2(2, 0.5, 1.0, [0.2, 0.0]), r"std_bounds holds 0\.0"),
        (lambda: theorem_3_2(2, 0.5, 1.0, 0.3), r"std_bounds has shape \(\)"),
        (lambda: theorem_3_3(2, 0.5, 1.0, 10, -1.0), r"cross_prompt is -1\.0"),
        (lambda: theorem_3_4(2, 0.5, 1.0, [0.2], 1.0, 0.5, 1.0), r"gradient_ratio is 0\.5"),
        (lambda: theorem_3_4(2, 0.5, 1.0, [0.2], 1.0, 1.0, np.nan), "std_ratio is nan"),
    ],
)
def test_calculators_name_a_value_out_of_range(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ---- exact expectations


def test_binomial_expectation_matches_scipy():
    from scipy.stats import binom

    values = np.random.default_rng(0).normal(size=(60, 2))
    t = np.arange(60)
    pmf = binom.pmf(t[None, :], t[:, None], 1 / 3)
    np.testing.assert_allclose(binomial_expectation(values, 3), pmf @ values, atol=1e-12)


def test_binomial_expectation_at_its_boundaries():
    np.testing.assert_array_equal(binomial_expectation([3.0, 5.0, 7.0], 1), [3.0, 5.0, 7.0])
    np.testing.assert_allclose(binomial_expectation(np.ones(2000), 7), 1.0, rtol=1e-12)
    tiny = binomial_expectation(np.eye(1, 400)[0], 2)  # f is 1 until the first own update: (1/2)^t
    np.testing.assert_allclose(tiny, 0.5 ** np.arange(400), rtol=1e-12)
    with pytest.raises(ValueError, match="num_prompts is 0"):
        binomial_expectation([1.0], 0)
    with pytest.raises(ValueError, match=r"sequence has shape \(0,\)"):
        binomial_expectation([], 2)


@pytest.mark.parametrize("method", ["reinforce", "grpo"])
def test_exact_expectations_are_the_mean_over_all_sampled_sequences(method):
    bandit = LogLinearBandit.orthogonal(3, 4, seed=4)
    theta0 = 0.3 * np.random.default_rng(1).normal(size=bandit.dimension)
    steps = 4
    run = expected_run(bandit, method, steps, theta0=theta0)
    totals = np.zeros((5, steps + 1, 3))
    for sequence in itertools.product(range(3), repeat=steps):
        theta = theta0.copy()
        for t in range(steps + 1):
            at = moments(bandit, theta)
            g2 = (at.gradient**2).sum(axis=-1)
            totals[:, t] += [at.expected_reward, at.reward_std, np.sqrt(g2), g2, g2 / at.reward_std]
            if t < steps:
                i = sequence[t]
                scale = 1.0 if method == "reinforce" else at.reward_std[i]
                theta = theta + run.step * at.gradient[i] / scale
    expected = totals / 3**steps
    measured = [
        run.expected_reward,
        run.reward_std,
        run.gradient_norm,
        run.squared_gradient,
        run.weighted_gradient,
    ]
    np.testing.assert_allclose(measured, expected, rtol=1e-11)


def test_expected_run_refuses_what_it_cannot_do():
    orthogonal = LogLinearBandit.two_arm([0.5, 0.5])
    with pytest.raises(ValueError, match=r"prompts \(0, 1\) overlap by 0\.3"):
        expected_run(LogLinearBandit.two_arm([0.5, 0.5], overlap=0.3), "grpo", 3)
    with pytest.raises(ValueError, match="method is 'adam'"):
        expected_run(orthogonal, "adam", 3)
    with pytest.raises(ValueError, match="num_steps is 0"):
        expected_run(orthogonal, "grpo", 0)
    with pytest.raises(ValueError, match=r"step is -1\.0"):
        expected_run(orthogonal, "grpo", 3, step=-1.0)
    with pytest.raises(ValueError, match=r"theta0 has shape \(3,\)"):
        expected_run(orthogonal, "grpo", 3, theta0=np.zeros(3))
    with pytest.raises(ValueError, match="pass a step"):
        expected_run(LogLinearBandit(np.zeros((1, 2, 1)), [[1, 0]]), "grpo", 3)


# ---- the statements, on orthogonal bandits with one correct answer, at the paper's steps

ORTHOGONAL = bandits_with_theta(rewards="one_correct", orthogonal=True)
STEPS = 25


def _run(drawn, method):
    bandit, theta = drawn
    X = float(spectral_norm(bandit).max())
    assume(X > 0)
    run = expected_run(bandit, method, STEPS, theta0=theta)
    return bandit.num_prompts, X, run, run.own_expected_reward[0]


@given(ORTHOGONAL)
def test_theorem_3_1_holds_in_both_forms_and_its_gain_at_every_step(drawn):
    n, X, run, success = _run(drawn, "reinforce")
    rate = theorem_3_1(n, success, X, STEPS)
    g2 = run.squared_gradient[:-1]
    assert_upper(g2.sum(axis=0), rate.gradient_sum, atol=1e-14 * X**2, name="sum form of Theorem 3.1")
    assert_upper(g2.min(axis=0), rate.gradient_min, atol=1e-14 * X**2, name="minimum form of Theorem 3.1")
    assert_upper(
        rate.gain_factor * g2, np.diff(run.expected_reward, axis=0), atol=1e-13, name="gain of Theorem 3.1"
    )


@given(ORTHOGONAL)
def test_theorem_3_2_holds_in_its_minimum_and_repaired_forms_and_its_gain_at_every_step(drawn):
    n, X, run, success = _run(drawn, "grpo")
    C = np.clip(smallest_variance_bound(run.own_reward_std, n)[:-1].T, 1e-12, 0.5)
    rate, repaired = theorem_3_2(n, success, X, C), theorem_3_2_repaired(n, success, X, C)
    g2 = run.squared_gradient[:-1]
    room = 1e-13 * X**2
    assert_upper(g2.min(axis=0), rate.gradient_min, atol=room, name="minimum form as printed")
    assert_upper(g2.min(axis=0), repaired.gradient_min, atol=room, name="minimum form, repaired")
    assert_upper(
        run.weighted_gradient[:-1].sum(axis=0), repaired.weighted_sum, atol=room, name="weighted sum"
    )
    assert_upper(g2.sum(axis=0), repaired.gradient_sum, atol=room, name="sum with the largest bound")
    by_mean_std = theorem_3_2_repaired(n, success, X, np.clip(run.reward_std[:-1].T, 0, 0.5)).squared_mean
    assert_upper(run.gradient_norm[:-1].mean(axis=0) ** 2, by_mean_std, atol=room, name="squared mean")
    gains = np.diff(run.expected_reward, axis=0)
    assert_upper(rate.gain_factor.T * g2, gains, atol=1e-13, name="gain of Theorem 3.2")


@given(ORTHOGONAL)
def test_grpo_at_two_fifths_gains_a_fifth(drawn):
    """The paper's own lemmas allow η = 2/(5X²) and then certify ‖∇J‖²/(5X²σ) a sampled step."""
    bandit, theta = drawn
    X = float(spectral_norm(bandit).max())
    assume(X > 0)
    run = expected_run(bandit.select([0]), "grpo", 1, theta0=theta, step=0.4 / X**2)
    gain = run.own_expected_reward[1] - run.own_expected_reward[0]
    assert_upper(run.weighted_gradient[0] / (5 * X**2), gain, atol=1e-13, name="gain at 2/(5X²)")


def test_the_sum_form_of_theorem_3_2_is_false_for_one_prompt():
    """n = 1, K = 2, X = I, θ₀ = 0, with the smallest C that A3 admits: C_{1,t} = σ_1(θ_t)."""
    bandit = LogLinearBandit([np.eye(2)], [[1, 0]])
    run = expected_run(bandit, "grpo", 100)
    left = np.cumsum(run.squared_gradient[:-1, 0])
    C = smallest_variance_bound(run.own_reward_std, 1)[:-1, 0]
    assert check_bounded_variance(run.own_reward_std[:-1, 0], C).holds
    right = np.array([float(theorem_3_2(1, 0.5, 1.0, C[:T]).gradient_sum) for T in range(1, 101)])
    assert left[-1] == pytest.approx(0.4404, abs=5e-5)
    assert right[-1] == pytest.approx(0.2095, abs=5e-5)
    assert int(np.argmax(left > right)) + 1 == 36
    assert (left[35:] > right[35:]).all()


def test_the_left_side_of_the_sum_form_grows_while_its_right_side_vanishes():
    run = expected_run(LogLinearBandit([np.eye(2)], [[1, 0]]), "grpo", 2000)
    left = np.cumsum(run.squared_gradient[:-1, 0])
    factor = [float(theorem_3_2(1, 0.5, 1.0, run.own_reward_std[:T, 0]).std_factor) for T in (20, 200, 2000)]
    assert (np.diff(left) > 0).all()
    assert factor[2] < 0.2 * factor[1] < 0.2 * factor[0]


def test_with_the_papers_estimate_of_c_the_sum_form_is_false_for_two_prompts_as_well():
    """The paper puts σ(θ_t) for C_{i,t} in practice; its expectation is no bound of A3, and the form fails."""
    run = expected_run(LogLinearBandit.two_arm([0.5, 0.5]), "grpo", 400)
    left = run.squared_gradient[:-1, 0].sum()
    X = sqrt(0.5)
    assert left > 2 * float(theorem_3_2(2, 0.5, X, run.reward_std[:-1, 0]).gradient_sum)
    assert not check_bounded_variance(run.own_reward_std[0], run.reward_std[-2]).holds


@pytest.mark.parametrize("n", [2, 5, 50])
def test_assumption_3_is_vacuous_for_two_prompts_or_more(n):
    """With probability (1 − 1/n)^t the prompt has never been sampled, so its std may be σ(θ₀) at any t."""
    run = expected_run(LogLinearBandit.from_success_rates([0.5] * n), "grpo", 300)
    own, C = run.own_reward_std[:, 0], smallest_variance_bound(run.own_reward_std, n)[:, 0]
    assert own[-1] < 0.02
    assert (C == 0.5).all()
    # Nothing smaller will do at any step, and then the theorem's factor is 4/3: no better than REINFORCE's rate.
    for t in (0, 1, 300):
        assert not check_bounded_variance(own[: t + 1], np.full(t + 1, np.nextafter(C[t], 0))).holds
    assert float(theorem_3_2(n, 0.5, 1.0, C).std_factor) == pytest.approx(4 / 3, rel=1e-12)
    unsampled = binomial_expectation(np.eye(1, 301)[0], n)
    np.testing.assert_allclose(unsampled, (1 - 1 / n) ** np.arange(301), rtol=1e-10)


def test_for_hard_prompts_the_smallest_bound_of_assumption_3_rises_and_stays():
    run = expected_run(LogLinearBandit.from_success_rates([0.01, 0.01]), "grpo", 300)
    C = smallest_variance_bound(run.own_reward_std, 2)[:, 0]
    assert C[0] == pytest.approx(sqrt(0.0099))
    assert (np.diff(C) >= 0).all()
    assert C[-1] > 0.49
    assert run.own_reward_std[-1, 0] < 0.03


def test_printed_ascent_inequality_has_the_sign_of_a_descent():
    for method, rate in (
        ("reinforce", theorem_3_1(2, 0.2, sqrt(0.5), 10).gain_factor),
        ("grpo", theorem_3_2(2, 0.2, sqrt(0.5), np.full(10, 0.5)).gain_factor[0]),
    ):
        run = expected_run(LogLinearBandit.two_arm([0.2, 0.2]), method, 10)
        gains, promised = np.diff(run.expected_reward, axis=0), rate * run.squared_gradient[:-1]
        assert (gains >= promised).all()
        assert (gains > -promised).all()  # printed: gains ≤ −promised


def test_theorem_3_1_fails_without_orthogonal_prompts():
    """Two prompts of the same features and opposite rewards at p = 1/2: in expectation nothing is gained."""
    bandit = LogLinearBandit([np.eye(2), np.eye(2)], [[1, 0], [0, 1]])
    g = moments(bandit, np.zeros(2)).gradient
    after = np.mean([moments(bandit, g[i]).expected_reward for i in range(2)], axis=0)  # η = 1/X² = 1
    np.testing.assert_allclose(after, 0.5, rtol=1e-14)
    assert (theorem_3_1(2, 0.5, 1.0, 1).gain_factor * (g**2).sum(-1) > 0.03).all()
    assert check_cross_prompt(bandit, np.zeros(2)).constant == inf  # and A4 does not cover it


@st.composite
def _prompts_that_pull_together(draw):
    """Two arms at an overlap, or prompts of the same features and answer at other base policies."""
    n = draw(st.integers(2, 4))
    if draw(st.booleans()):
        success = draw(st.lists(st.floats(0.001, 0.999), min_size=n, max_size=n))
        return LogLinearBandit.two_arm(success, overlap=draw(st.floats(0.0, 1.0)))
    one = draw(bandits(max_prompts=1, rewards="one_correct", ragged=False))
    shape = (n, one.num_responses)
    tilt = draw(st.lists(st.floats(-1, 1), min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]))
    base = np.clip(one.base_logits, -5, 5) + np.reshape(tilt, shape)
    return LogLinearBandit(np.repeat(one.features, n, axis=0), np.repeat(one.rewards, n, axis=0), base)


def _interference_of(bandit):
    at = moments(bandit, np.zeros(bandit.dimension))
    X = float(spectral_norm(bandit).max())
    M = check_cross_prompt(bandit, np.zeros(bandit.dimension)).constant
    return at, X, M, scale_regularity(bandit, np.zeros(bandit.dimension))


def _assume_a_gain_that_floats_can_see(at, X, M, regularity):
    assume(X > 0 and M < 1e6 and regularity.margin > 1e-4 and at.reward_std.min() > 1e-6)


@given(_prompts_that_pull_together())
def test_theorem_3_3_gains_in_expectation_wherever_its_assumption_holds(bandit):
    at, X, M, regularity = _interference_of(bandit)
    _assume_a_gain_that_floats_can_see(at, X, M, regularity)
    rate = theorem_3_3(bandit.num_prompts, at.expected_reward, X, 1, M)
    after = moments(bandit, float(rate.step) * at.gradient).expected_reward  # one θ for each sampled prompt
    promised = rate.gain_factor * (at.gradient**2).sum(axis=-1)
    assert_upper(promised, after.mean(axis=0) - at.expected_reward, atol=1e-14, name="gain of Theorem 3.3")


@given(_prompts_that_pull_together())
def test_theorem_3_4_gains_in_expectation_wherever_its_assumptions_hold(bandit):
    at, X, M, regularity = _interference_of(bandit)
    _assume_a_gain_that_floats_can_see(at, X, M, regularity)
    C = np.minimum(at.reward_std, 0.5)[:, None]
    R1, R2 = regularity.gradient_ratio, regularity.std_ratio
    rate = theorem_3_4(bandit.num_prompts, at.expected_reward, X, C, M, R1, R2)
    after = moments(bandit, float(rate.step) * at.gradient / at.reward_std[:, None]).expected_reward
    promised = rate.gain_factor[:, 0] * (at.gradient**2).sum(axis=-1)
    assert_upper(promised, after.mean(axis=0) - at.expected_reward, atol=1e-14, name="gain of Theorem 3.4")


def test_the_constant_that_appendix_e2_ends_with_is_false():
    """Eqs (32)–(33) have max(R₁R₂, M/2) where the theorem has max(R₁, 5M/8)R₂: with it the gain is not reached.

    The first prompt's gradient is along e₁ and two of its wrong responses lie along e₂, the direction in which
    the second prompt moves: X₁∇J₂ is large, the inner product small, so M is large, and the step short.
    """
    tilt = 1e-3
    features = np.zeros((2, 4, 2))
    features[0] = [[1, 0], [-1, 0], [0, 1], [0, -1]]
    features[1, :2] = [[tilt, 1], [-tilt, -1]]
    base = np.log([[0.5, 0.3, 0.1, 0.1], [0.02, 0.98, 1.0, 1.0]])
    base[1, 2:] = -np.inf
    bandit = LogLinearBandit(features, [[1, 0, 0, 0], [1, 0, 0, 0]], base)
    at, X, M, regularity = _interference_of(bandit)
    R1, R2 = regularity.gradient_ratio, regularity.std_ratio
    assert M / 2 > R1 * R2
    assert R2 > 3
    step = 1 / (2 * max(R1, 5 * M / 8) * R2 * X**2)
    after = moments(bandit, step * at.gradient / at.reward_std[:, None]).expected_reward
    gain = after.mean(axis=0) - at.expected_reward
    unit = 3 * (at.gradient**2).sum(axis=-1) / (16 * 2 * X**2 * at.reward_std)
    assert (gain >= unit / (max(R1, 5 * M / 8) * R2)).all()
    assert (gain < 0.8 * unit / max(R1 * R2, M / 2)).any()


@given(st.lists(st.floats(1e-6, 0.5), min_size=1, max_size=8))
def test_heterogeneous_stds_never_help_theorem_3_4(σ):
    """Its rate has R₂·mean σ_i, which is at least max σ_j: the rate with every prompt at the largest std."""
    R2 = max(σ) / min(σ)
    rate = theorem_3_4(1, 0.5, 1.0, np.array(σ)[:, None], 1.0, 1.0, R2)
    alike = theorem_3_4(1, 0.5, 1.0, [max(σ)], 1.0, 1.0, 1.0)
    assert float(rate.gradient_sum.mean()) >= float(alike.gradient_sum) * (1 - 1e-12)


def test_a_mean_std_below_three_eighths_does_not_make_the_average_bound_smaller():
    """C(T) weighs prompts alike, the bounds weigh them by 1 − p₀: a run where the two disagree."""
    success, T = np.array([0.3, 0.999]), 3
    run = expected_run(LogLinearBandit.two_arm(success), "grpo", T)
    path = run.reward_std[:-1]
    assert float(improvement_factor(path)) < 0.7
    X = sqrt(0.5)
    grpo = theorem_3_2(2, success, X, path.T).gradient_min.mean()
    reinforce = theorem_3_1(2, success, X, T).gradient_min.mean()
    assert grpo / reinforce > 1.2
    assert float(improvement_factor(path, success)) == pytest.approx(grpo / reinforce, rel=1e-12)
