"""Learning curves and times to target of profiles, against a Runge-Kutta method of their own and the closed forms."""

from math import inf, log, sqrt

import numpy as np
import pytest

from curvature.flow import (
    learning_curve,
    predicted_speedup,
    success_at_time,
    time_to_success,
    time_to_target,
)

C0 = log(2)
PROFILE = np.array([0.01, 0.3, 0.7, 0.0, 1.0])
WEIGHTS = np.array([0.4, 0.25, 0.2, 0.1, 0.05])


def _runge_kutta(method, exponent, step_rule, time, count=2000):
    """The flow in p with weights spelt out; nothing of the module is used."""
    live = (PROFILE > 0) & (PROFILE < 1)

    def weights(p):
        J = WEIGHTS @ p
        V = p * (1 - p)
        a = {
            "reinforce": lambda: np.ones(p.size),
            "grpo": lambda: V**-0.5,
            "variance": lambda: V**-1.0,
            "power": lambda: V ** (-exponent / 2),
            "batch": lambda: np.full(p.size, (J * (1 - J)) ** -0.5),
        }
        with np.errstate(divide="ignore"):
            return np.where(live, a[method](), 0.0)

    def first_update(a):
        return sqrt(WEIGHTS @ (a * PROFILE * (1 - PROFILE)) ** 2)

    constant = {
        "reinforce": 8 * C0,
        "grpo": 4 * C0,
        "batch": 4 * C0 * sqrt(0.2),
        "power": 4 * C0 * 2 ** (1 - exponent) if exponent is not None else None,
        "variance": None,
    }[method]
    if step_rule == "matched":
        constant = 8 * C0 * first_update(1.0) / first_update(weights(PROFILE))

    def speed(p):
        a = weights(p)
        V = p * (1 - p)
        rate = 4 * C0 / max(a * np.sqrt(V)) if step_rule == "certified_running" else constant
        return rate * a * V**2

    p, h = PROFILE.copy(), time / count
    for _ in range(count):
        k1 = speed(p)
        k2 = speed(p + h / 2 * k1)
        k3 = speed(p + h / 2 * k2)
        k4 = speed(p + h * k3)
        p = p + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return p


CASES = [
    ("reinforce", None, "certified"),
    ("reinforce", None, "certified_running"),
    ("grpo", None, "certified"),
    ("grpo", None, "certified_running"),
    ("batch", None, "certified"),
    ("batch", None, "certified_running"),
    ("batch", None, "matched"),
    ("variance", None, "certified_running"),
    ("variance", None, "matched"),
    ("power", 0.5, "certified"),
    ("power", 1.5, "certified_running"),
    ("power", 3.0, "matched"),
]


@pytest.mark.parametrize(("method", "exponent", "step_rule"), CASES)
def test_profiles_agree_with_a_runge_kutta_of_the_flow(method, exponent, step_rule):
    time = 1.5 if exponent == 3.0 else 6.0
    p = _runge_kutta(method, exponent, step_rule, time)
    options = {"method": method, "exponent": exponent, "step_rule": step_rule, "prompt_weights": WEIGHTS}
    curve = learning_curve(PROFILE, [time, 0.0], **options)
    J, sigma = WEIGHTS @ p, np.sqrt(p * (1 - p))
    measured = [curve.mean_success[0], curve.mean_std[0], curve.max_std[0], curve.batch_std[0]]
    assert measured == pytest.approx([J, WEIGHTS @ sigma, sigma.max(), sqrt(J * (1 - J))], rel=1e-6)
    assert curve.mean_success[1] == pytest.approx(WEIGHTS @ PROFILE, rel=1e-14)
    assert time_to_target(PROFILE, J, **options) == pytest.approx(time, rel=1e-5)


def test_coupled_paths_are_changes_of_the_reinforce_clock():
    # Every prompt under the batch's std moves along REINFORCE's path; only its clock is σ_batch slower or faster.
    nodes, weights = np.polynomial.legendre.leggauss(200)
    clock = 15.0 * (1 + nodes)
    slow = learning_curve(PROFILE[:3], clock, method="reinforce", step_rule=1.0).batch_std
    time = 15.0 * weights @ slow
    batch = learning_curve(PROFILE[:3], time, method="batch", step_rule=1.0).mean_success
    assert batch == pytest.approx(
        learning_curve(PROFILE[:3], 30.0, method="reinforce", step_rule=1.0).mean_success, rel=1e-7
    )


@pytest.mark.parametrize("method", ["reinforce", "grpo", "batch"])
def test_targets_above_the_reachable_mean_take_forever(method):
    options = {"method": method, "prompt_weights": WEIGHTS}
    times = time_to_target(PROFILE, [0.1, 0.89, 0.9, 0.95, 1.0], **options)
    assert times[0] == 0
    assert 0 < times[1] < inf
    assert (times[2:] == inf).all()


def test_a_single_prompt_has_the_times_of_the_closed_form():
    for method, exponent, rate in (("reinforce", 0, 8 * C0), ("grpo", 1, 4 * C0)):
        targets = np.array([0.02, 0.5, 0.99, 1 - 1e-12])
        expected = time_to_success(0.01, targets, exponent=exponent, rate=rate)
        np.testing.assert_allclose(time_to_target([0.01], targets, method=method), expected, rtol=1e-12)


def test_speed_up_of_a_single_prompt_is_across_iterations_only():
    at = predicted_speedup([0.01], [0.5, 0.99])
    np.testing.assert_allclose(at.across_prompts, 1, rtol=1e-6)
    assert at.speedup[1] == pytest.approx(2.75, abs=0.005)
    np.testing.assert_allclose(at.mean_std, at.mean_max_std, rtol=1e-12)
    # ⟨σ⟩·T = Δz/(4c₀)
    np.testing.assert_allclose(at.mean_std * at.method_steps, np.log([99, 99**2]) / (4 * C0), rtol=1e-6)


def test_batch_std_has_the_factor_across_iterations_and_no_more():
    profile, targets = [0.01, 0.2, 0.6, 0.9], [0.6, 0.9, 0.99]
    batch = predicted_speedup(profile, targets, method="batch")
    np.testing.assert_allclose(batch.across_prompts, 1, rtol=1e-6)
    assert (batch.across_iterations > 1).all()
    grpo = predicted_speedup(profile, targets)
    assert (grpo.across_prompts > 1).all()
    np.testing.assert_allclose(grpo.speedup, grpo.across_iterations * grpo.across_prompts, rtol=1e-12)


def test_stds_of_theory_t4_are_the_averages_along_grpos_run():
    profile, weights = np.array([0.003, 0.1, 0.4, 0.45, 0.97, 1.0]), np.array([3, 1, 2, 1, 1, 2])
    at = predicted_speedup(profile, [0.7, 0.995], prompt_weights=weights)
    for i in range(2):
        times = np.linspace(0, at.method_steps[i], 20001)
        curve = learning_curve(profile, times, prompt_weights=weights)
        for measured, averaged in ((at.mean_std, curve.mean_std), (at.mean_max_std, curve.max_std)):
            assert measured[i] == pytest.approx(np.trapezoid(averaged, times) / times[-1], rel=1e-6)
    assert (at.bound_ratio <= 2 * at.mean_max_std).all()


def test_results_become_data_frames():
    curve = learning_curve([0.1, 0.5], [0.0, 1.0, 2.0]).to_frame()
    assert list(curve.columns) == ["time", "mean_success", "mean_std", "max_std", "batch_std", "step_size"]
    assert curve.mean_success.is_monotonic_increasing
    assert len(predicted_speedup([0.1, 0.5], [0.6, 0.9]).to_frame()) == 2


def test_diameter_cancels_from_certified_and_matched_runs_only():
    def at(diameter, rule, method="grpo"):
        return float(time_to_target([0.1, 0.6], 0.9, method=method, step_rule=rule, diameter=diameter))

    for method, rule in (("grpo", "certified"), ("batch", "certified_running"), ("variance", "matched")):
        assert at(3.0, rule, method) == pytest.approx(at(1.0, rule, method), rel=1e-12)
    assert at(3.0, 0.5) == pytest.approx(at(1.0, 0.5) / 9, rel=1e-12)


def test_step_sizes_are_those_of_their_rules():
    profile, diameter = np.array([0.1, 0.8]), 3.0
    sigma = np.sqrt(profile * (1 - profile))

    def first(method, rule, **options):
        curve = learning_curve(profile, [0.0], method=method, step_rule=rule, diameter=diameter, **options)
        return float(curve.step_size[0]) * diameter**2

    assert first("reinforce", "certified") == pytest.approx(8 * C0)
    assert first("grpo", "certified") == pytest.approx(4 * C0)
    assert first("power", "certified", exponent=0.5) == pytest.approx(4 * C0 * sqrt(2))
    assert first("batch", "certified") == pytest.approx(4 * C0 * sqrt(0.5))
    assert first("reinforce", "certified_running") == pytest.approx(4 * C0 / sigma.max())
    assert first("variance", "certified_running") == pytest.approx(4 * C0 * sigma.min())
    assert first("batch", "certified_running") == pytest.approx(4 * C0 * sqrt(0.45 * 0.55) / sigma.max())
    assert first(lambda p: 2 + 0 * p, "certified") == pytest.approx(4 * C0, rel=1e-5)
    assert first("grpo", "matched") == pytest.approx(
        8 * C0 * np.linalg.norm(sigma**2) / np.linalg.norm(sigma)
    )
    assert first("grpo", 0.25) == 0.25 * diameter**2


def test_at_the_running_certified_step_the_leading_prompt_moves_as_grpo_would():
    # Of two prompts on one side of 1/2 the one nearer to it leads for e < 1 and the farther for e > 1.
    profile = np.array([0.7, 0.9])
    for exponent, leader in ((0.0, 0.7), (0.6, 0.7), (1.7, 0.9), (3.0, 0.9)):
        options = {"method": "power", "exponent": exponent, "step_rule": "certified_running"}
        # A leader of almost all the weight is the mean of its profile.
        curve = learning_curve(
            profile, [7.0], prompt_weights=np.where(profile == leader, 1, 1e-12), **options
        )
        expected = success_at_time(leader, 7.0, exponent=1, rate=4 * C0)
        assert curve.mean_success[0] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("call", "error", "told"),
    [
        (lambda: learning_curve([], [0]), ValueError, r"profile has shape \(0,\)"),
        (lambda: learning_curve([0.5], [inf]), ValueError, "times .* got inf"),
        (lambda: learning_curve([0.5], [1], method="ppo"), ValueError, "method must be one of .* got 'ppo'"),
        (lambda: learning_curve([0.5], [1], method="power"), TypeError, "needs exponent"),
        (lambda: learning_curve([0.5], [1], exponent=1), TypeError, "belongs to method 'power'"),
        (lambda: learning_curve([0.5], [1], step_rule="best"), ValueError, "step_rule must .* got 'best'"),
        (lambda: learning_curve([0.5], [1], step_rule=-1.0), ValueError, "step_rule .* got -1"),
        (
            lambda: learning_curve([0.5], [1], method="variance"),
            ValueError,
            "no constant step .* exponent 2 > 1",
        ),
        (
            lambda: learning_curve([0.5], [1], method=np.sqrt, step_rule="certified_running"),
            ValueError,
            "'certified_running' needs a named method",
        ),
        (lambda: learning_curve([0.5], [1], method=lambda p: 0 * p), ValueError, "0 at every p ahead"),
        (lambda: learning_curve([0.5], [1], diameter=0), ValueError, "diameter .* got 0"),
        (
            lambda: learning_curve([0.5], [1], prompt_weights=[1, 2]),
            ValueError,
            r"prompt_weights has shape \(2,\)",
        ),
        (lambda: learning_curve([0.5], [1], prompt_weights=[0]), ValueError, "prompt_weights .* got 0"),
        (lambda: predicted_speedup([0.5], 0.4), ValueError, "target 0.4 is reached at the start"),
        (lambda: predicted_speedup([0.5, 0.0], 0.6), ValueError, "target 0.6 is reached never"),
    ],
)
def test_bad_input_is_answered_by_a_sentence_with_the_value(call, error, told):
    with pytest.raises(error, match=told):
        call()
