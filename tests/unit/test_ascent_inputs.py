"""What `ascend` refuses and in which words; what a Trace gives; runs that diverge."""

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from curvature import LogLinearBandit
from curvature.ascent import LineSearch, Method, Trace, ascend, certified_constant_step

BANDIT = LogLinearBandit.gaussian(3, 4, 2, seed=0)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"method": "ppo"}, ValueError, "method is 'ppo'; choose one of reinforce"),
        ({"method": 3}, TypeError, "method is 3; the name of a method"),
        ({"method": "grpo", "exponent": 0.5}, ValueError, "exponent is 0.5, but method='grpo' has none"),
        (
            {"method": "power", "exponent": -1.0},
            ValueError,
            "exponent is -1.0; a finite number of at least 0",
        ),
        ({"num_steps": 2.5}, ValueError, "num_steps is 2.5; a whole number of at least 0"),
        ({"num_steps": True}, ValueError, "num_steps is True"),
        ({"every": 0}, ValueError, "every is 0; a whole number of at least 1"),
        ({"workers": 0}, ValueError, "workers is 0"),
        ({"panel": -1}, ValueError, "panel is -1"),
        ({"step": -0.1}, ValueError, "step holds -0.1; every step must be a finite number of at least 0"),
        ({"step": [0.1, np.nan]}, ValueError, "step holds nan"),
        ({"step": "best"}, ValueError, "step is 'best'; give a number"),
        ({"step": {}}, TypeError, "step is {}; a number, an array"),
        ({"step": np.ones((2, 3))}, ValueError, r"step has shape \(2, 3\)"),
        ({"step": lambda t: float("inf")}, ValueError, "step holds inf"),
        ({"theta0": [0.0, 0.0, 0.0]}, ValueError, r"theta0 has shape \(3,\); \(2,\) or \(num_runs, 2\)"),
        ({"theta0": [0.0, np.nan]}, ValueError, "theta0 holds nan"),
        ({"prompts": "two"}, ValueError, "prompts is 'two'; choose 'all' or 'one'"),
        ({"group_size": 0}, ValueError, "group_size is 0; a whole number of at least 1"),
        (
            {"advantages": "trl"},
            ValueError,
            "advantages is 'trl', but gradients are exact: give a group_size",
        ),
        (
            {"advantages": "trl", "group_size": 4},
            ValueError,
            "and so does method='grpo': take method='reinforce'",
        ),
        (
            {"method": "adam", "advantages": "slime", "group_size": 1},
            ValueError,
            "group_size is 1, which advantages",
        ),
        (
            {"method": "interference", "prompts": "one", "group_size": 4},
            ValueError,
            "needs the reward std of every",
        ),
        ({"record": "theta"}, TypeError, r"a sequence of names is needed: record=\('theta',\)"),
        ({"record": ("J",)}, ValueError, "record holds 'J'; choose among expected_reward"),
        ({"record": ("step", "step")}, ValueError, "record holds 'step' twice"),
        ({"seeds": -1}, ValueError, "seeds holds -1; whole numbers from 0"),
        ({"seeds": [1, 0.5]}, ValueError, "seeds holds 0.5"),
        ({"seeds": []}, ValueError, "seeds is empty"),
        (
            {"seeds": [1, 2], "step": [0.1, 0.2, 0.3]},
            ValueError,
            "step has 3, seeds has 2; give each one entry",
        ),
        ({"bandit": []}, ValueError, "bandit is an empty sequence"),
        ({"bandit": "b"}, TypeError, "bandit is a str; a LogLinearBandit or a sequence"),
        (
            {"bandit": [BANDIT, LogLinearBandit.two_arm([0.5])]},
            ValueError,
            r"bandit\[1\] has \(n, K, d\) = \(1, 2, 1\)",
        ),
    ],
)
def test_a_bad_argument_is_refused_in_words_that_hold_it(change, error, words):
    with pytest.raises(error, match=words):
        ascend(**({"bandit": BANDIT, "method": "grpo", "step": 0.1, "num_steps": 2} | change))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"initial": 0.0}, "initial is 0.0; a positive"),
        ({"shrink": 1.0}, "shrink is 1.0"),
        ({"grow": 0.9}, "grow is 0.9"),
        ({"slope": 1.0}, "slope is 1.0"),
        ({"max_trials": 0}, "max_trials is 0"),
    ],
)
def test_a_bad_line_search_is_refused(fields, words):
    with pytest.raises(ValueError, match=words):
        LineSearch(**fields)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"weighting": "std"}, "weighting is 'std'; choose one of none"),
        ({"optimizer": "sgd"}, "optimizer is 'sgd'"),
        ({"epsilon": -1.0}, "epsilon is -1.0"),
        ({"beta1": 1.0}, r"beta1 is 1.0; a number in \[0, 1\)"),
    ],
)
def test_a_bad_method_is_refused(fields, words):
    with pytest.raises(ValueError, match=words):
        Method(**fields)


def test_no_constant_step_is_certified_where_theory_has_none():
    with pytest.raises(ValueError, match="no constant step is certified for method 'variance'"):
        certified_constant_step(BANDIT, "variance")
    with pytest.raises(ValueError, match="prompts overlap"):
        certified_constant_step(BANDIT, "grpo")
    with pytest.raises(ValueError, match=r"largest_reward_std is 0\.0"):
        certified_constant_step(LogLinearBandit.two_arm([0.5]), "reinforce", largest_reward_std=0.0)


def test_a_run_that_leaves_the_range_stops_there_with_a_reason():
    bandit = LogLinearBandit.two_arm([0.3, 0.6])
    trace = ascend(
        bandit,
        "normalized",
        step=lambda t: 1e308 if t == 2 else 1.0,
        num_steps=5,
        theta0=[[0.0, 0.0], [0.1, 0.0]],
        record=("expected_reward", "step", "theta", "reward_std_by_prompt"),
    )
    assert trace.diverged.tolist() == [True, True]
    assert trace.stopped_at.tolist() == [2, 2]
    assert trace.reasons[0].startswith("diverged: update 2 is not a number or takes θ beyond")
    assert np.isfinite(trace["expected_reward"][:, :3]).all()
    assert np.isnan(trace["expected_reward"][:, 3:]).all()
    assert np.isnan(trace["reward_std_by_prompt"][:, 3:]).all()
    assert trace["step"][0, 2] == 1e308
    np.testing.assert_array_equal(trace.theta, trace["theta"][:, 2])
    assert "2 diverged" in repr(trace)
    assert trace.time_to_target(2.0).tolist() == [np.inf, np.inf]


def test_an_update_that_is_not_a_number_stops_the_run():
    # σ^(−e) overflows on a prompt that is all but solved, and inf · 0 is no number.
    bandit = LogLinearBandit.two_arm([1e-200])
    trace = ascend(bandit, "power", exponent=40.0, step=1.0, num_steps=3)
    assert trace.stopped_at.tolist() == [0]
    assert np.isfinite(trace.theta).all()


@pytest.mark.parametrize("method", ["normalized", "adagrad_norm"])
def test_a_gradient_whose_square_underflows_still_has_a_direction(method):
    bandit = LogLinearBandit.two_arm([1e-200, 1e-210])
    trace = ascend(
        bandit, method, step="certified", num_steps=2, record=("step", "update_norm", "certified_gain")
    )
    assert not trace.diverged[0]
    # αp − σα²/8 with σ = √p is largest at α = 4√p.
    assert trace["update_norm"][0, 0] == pytest.approx(4e-100)
    assert trace["certified_gain"][0, 0] > 0


def test_prompts_that_cannot_move_stay_where_they_are_under_every_weighting():
    bandit = LogLinearBandit.two_arm([0.0, 1.0, 0.5])
    for method in ("reinforce", "grpo", "variance", "batch", "interference"):
        trace = ascend(bandit, method, step=0.5, num_steps=3, record=("theta", "reward_std_by_prompt"))
        assert (trace["theta"][0, :, :2] == 0).all()
        assert trace["theta"][0, -1, 2] > 0
        assert (trace["reward_std_by_prompt"][0, :, :2] == 0).all()


def test_no_steps_are_a_record_of_the_start():
    trace = ascend(BANDIT, step="certified", num_steps=0, record=("expected_reward", "step"))
    assert trace.iterations.tolist() == [0]
    assert trace["expected_reward"][0, 0] == pytest.approx(1 / 4)
    assert np.isnan(trace["step"]).all()


def test_a_trace_makes_tidy_tables():
    record = ("expected_reward", "step", "reward_std_by_prompt", "theta")
    trace = ascend(BANDIT, "reinforce", step=[0.1, 0.2], num_steps=4, every=3, seeds=[8, 9], record=record)
    frame = trace.to_frame()
    assert list(frame) == [
        "run",
        "seed",
        "method",
        "step_rule",
        "fixed_step",
        "iteration",
        "expected_reward",
        "step",
    ]
    assert len(frame) == 2 * 3
    row = frame[(frame.seed == 9) & (frame.iteration == 3)].iloc[0]
    assert row.expected_reward == trace["expected_reward"][1, 1]
    assert (row.fixed_step, row.step, row.run) == (0.2, 0.2, 1)
    prompts = trace.to_frame(by_prompt=True)
    assert len(prompts) == 2 * 3 * 3
    row = prompts[(prompts.run == 1) & (prompts.iteration == 4) & (prompts.prompt == 2)].iloc[0]
    assert row.reward_std_by_prompt == trace["reward_std_by_prompt"][1, 2, 2]
    with pytest.raises(ValueError, match="no quantity of prompts was recorded"):
        ascend(BANDIT, step=0.1, num_steps=1).to_frame(by_prompt=True)


def test_a_trace_says_what_was_not_recorded():
    trace = ascend(BANDIT, step=0.1, num_steps=1, record=("theta",))
    with pytest.raises(KeyError, match=r"'step' was not recorded \(recorded: theta\)"):
        trace["step"]
    with pytest.raises(ValueError, match="quantity is 'theta', which has shape"):
        trace.time_to_target(0.5, quantity="theta")
    with pytest.raises(ValueError, match="level is nan"):
        ascend(BANDIT, step=0.1, num_steps=1).time_to_target(np.nan)
    assert isinstance(trace, Trace)


def test_time_to_target_is_the_first_recorded_iteration_at_the_level():
    trace = ascend(BANDIT, "grpo", step=[0.05, 0.5], num_steps=200, every=10)
    times = trace.time_to_target(0.3)
    for run in range(2):
        above = trace.iterations[trace["expected_reward"][run] >= 0.3]
        assert times[run] == above[0]
    assert 0 < times[1] < times[0]


def test_methods_of_ones_own_are_named_by_their_choices():
    for method, name in [
        (Method("power", 0.5), "power 0.5"),
        (Method(optimizer="adam"), "adam on none"),
        (Method("batch", optimizer="normalized"), "normalized on batch 1"),
        ("grpo", "grpo"),
    ]:
        assert ascend(BANDIT, method, step=0.1, num_steps=0).method == name
    assert ascend(BANDIT, "power", exponent=0.25, step=0.1, num_steps=0).method == "power 0.25"


def test_memory_is_that_of_the_record():
    options = {
        "step": 0.1,
        "num_steps": 20_000,
        "every": 10_000,
        "record": ("expected_reward",),
        "progress": False,
    }
    ascend(BANDIT, seeds=range(32), **options)
    tracemalloc.start()
    ascend(BANDIT, seeds=range(32), **options)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 500_000  # one number a step and run would be 5 MB


def test_importing_ascent_loads_numpy_alone():
    code = (
        "import sys, curvature.ascent; "
        "heavy = {'numba', 'llvmlite', 'scipy', 'pandas', 'tqdm', 'torch', 'joblib'} & set(sys.modules); "
        "sys.exit(str(sorted(heavy)) if heavy else 0)"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
