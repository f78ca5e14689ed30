"""The same bytes alone, in any panel, on any thread; random numbers from counters; one compiled engine."""

from pathlib import Path

import numpy as np
import pytest

from curvature import LogLinearBandit
from curvature.ascent import METHODS, LineSearch, Method, ascend
from tests.unit import ascent_oracle as oracle

RECORD = (
    "expected_reward",
    "reward_std",
    "gradient_norm",
    "step",
    "certified_gain",
    "certified_gain_width",
    "gradient_norm_by_prompt",
    "theta",
)
SITUATIONS = {
    "grpo": {"method": "grpo", "step": np.linspace(0.1, 2.0, 21)},
    "batch, certified": {"method": "batch", "step": "certified"},
    "interference, width": {"method": "interference", "step": "certified_width"},
    "line search": {"method": Method("power", 0.3), "step": LineSearch(initial=5.0, slope=0.5)},
    "adam": {"method": "adam", "step": 0.05},
    "adagrad": {"method": "adagrad_norm", "step": lambda t: 1 / (1 + t)},
    "sampled": {"method": "grpo", "step": 0.3, "group_size": 5},
    "sampled batch": {"method": "reinforce", "advantages": "lite_ppo", "step": 0.3, "group_size": 3},
    "sampled leave-one-out": {"method": "reinforce", "advantages": "nemo_rl", "step": 0.3, "group_size": 4},
    "one prompt": {"method": "grpo", "step": "certified", "prompts": "one"},
    "one sampled prompt": {"method": "grpo", "step": 0.3, "prompts": "one", "group_size": 4},
}


def _bandit(n=7, K=5, d=6):
    drawn = LogLinearBandit.gaussian(n, K, d, rewards="gaussian", seed=4)
    base = np.zeros((n, K))
    base[0, 1] = -np.inf
    return LogLinearBandit(drawn.features, drawn.rewards, base)


def _same(a, b, runs=slice(None)):
    for name in RECORD:
        assert a[name][runs].tobytes() == b[name].tobytes(), name
    assert a.theta[runs].tobytes() == b.theta.tobytes()


@pytest.mark.parametrize("situation", SITUATIONS)
def test_a_run_gives_the_same_bytes_alone_in_any_panel_and_on_any_number_of_workers(situation, monkeypatch):
    bandit, options = _bandit(), dict(SITUATIONS[situation])
    options |= {"num_steps": 12, "record": RECORD, "seeds": np.arange(21) % 6}
    whole = ascend(bandit, **options)
    for least, panel, workers in [(24, 24, 1), (2, 21, 1), (2, 4, 1), (2, 8, 2), (2, 13, 1), (2, 128, 3)]:
        monkeypatch.setattr("curvature.ascent.runs._LEAST_PANEL", least)
        _same(whole, ascend(bandit, panel=panel, workers=workers, **options))
    for run in (0, 20):
        step = options["step"]
        alone = options | {"seeds": int(options["seeds"][run]), "step": step[run] if np.ndim(step) else step}
        _same(whole, ascend(bandit, **alone), slice(run, run + 1))


@pytest.mark.parametrize("situation", SITUATIONS)
def test_a_stack_of_bandits_gives_each_run_the_bytes_of_its_own_bandit(situation, monkeypatch):
    monkeypatch.setattr("curvature.ascent.runs._LEAST_PANEL", 2)
    first, second = _bandit(), LogLinearBandit.gaussian(7, 5, 6, seed=9)
    options = dict(SITUATIONS[situation]) | {"num_steps": 6, "record": RECORD}
    step = options["step"]
    options["step"] = step[:8] if np.ndim(step) else step
    mixed = ascend([first, second] * 4, seeds=range(8), **options)
    for run, bandit in [(0, first), (5, second)]:
        alone = options | {"seeds": run, "step": step[run] if np.ndim(step) else step}
        _same(mixed, ascend(bandit, **alone), slice(run, run + 1))


@pytest.mark.parametrize("every", [1, 2, 5, 7, 40])
@pytest.mark.parametrize("prompts", ["all", "one"])
def test_thinning_keeps_some_iterations_and_changes_none(every, prompts):
    options = {"step": 0.4, "num_steps": 17, "seeds": range(5), "prompts": prompts, "group_size": 3}
    full = ascend(_bandit(), record=RECORD, **options)
    thin = ascend(_bandit(), record=RECORD, every=every, **options)
    assert thin.iterations.tolist() == [*range(0, 17, every), 17]
    for name in RECORD:
        assert thin[name].tobytes() == np.ascontiguousarray(full[name][:, thin.iterations]).tobytes(), name


def test_a_run_may_be_cut_into_any_calls_of_the_engine(monkeypatch):
    options = {
        "method": "adam",
        "step": LineSearch(),
        "num_steps": 23,
        "record": RECORD,
        "every": 4,
        "seeds": range(4),
    }
    whole = ascend(_bandit(), **options)
    monkeypatch.setattr("curvature.ascent.runs._WORK_PER_CALL", 1.0)
    _same(whole, ascend(_bandit(), **options))


def test_runs_do_not_depend_on_their_neighbours_diverging(monkeypatch):
    monkeypatch.setattr("curvature.ascent.runs._LEAST_PANEL", 2)
    bandit = LogLinearBandit.two_arm([0.3, 0.6])
    starts = np.array([[0.1, 0.2], [1e99, 1e99], [0.3, 0.1], [0.0, 0.0]])
    steps = np.array([1.0, 1e308, 1.0, 1.0])
    together = ascend(bandit, "normalized", step=steps, num_steps=5, theta0=starts, record=("theta",))
    alone = ascend(bandit, "normalized", step=1.0, num_steps=5, theta0=starts[2], record=("theta",))
    assert together["theta"][2].tobytes() == alone["theta"][0].tobytes()


def test_equal_seeds_draw_equal_numbers_and_unequal_ones_do_not():
    trace = ascend(
        _bandit(), "grpo", step=0.2, num_steps=4, group_size=4, seeds=[5, 5, 6, 2**64 - 1], record=("theta",)
    )
    theta = trace["theta"]
    assert theta[0].tobytes() == theta[1].tobytes()
    assert (theta[0, 1] != theta[2, 1]).any()
    assert (theta[0, 1] != theta[3, 1]).any()


def test_prompts_are_drawn_with_their_weights():
    weights = np.array([0.5, 0.3, 0.15, 0.05])
    drawn = LogLinearBandit.gaussian(4, 2, 3, seed=0)
    bandit = LogLinearBandit(drawn.features, drawn.rewards, prompt_weights=weights)
    trace = ascend(bandit, step=0.0, num_steps=4000, prompts="one", seeds=range(5), record=("prompt",))
    count = np.bincount(trace["prompt"][:, :-1].astype(int).ravel(), minlength=4)
    chi_square = ((count - 20_000 * weights) ** 2 / (20_000 * weights)).sum()
    assert chi_square < 21.1  # three degrees of freedom: false alarm once in 10⁴ choices of seeds


def test_random_numbers_are_uniform_and_uncorrelated_along_every_axis_of_the_counter():
    numbers = np.array([
        [oracle.uniforms(seed, counter, 8) for counter in range(60)] for seed in range(60)
    ])  # (seed, counter, draw)
    edges = np.histogram(numbers, bins=20, range=(0, 1))[0]
    expected = numbers.size / 20
    assert ((edges - expected) ** 2 / expected).sum() < 50.8  # 19 degrees of freedom, 10⁻⁴
    centred = numbers - 0.5
    for axis in range(3):
        ahead = np.moveaxis(centred, axis, 0)
        pairs = 12 * (ahead[1:] * ahead[:-1])
        assert abs(pairs.mean()) * np.sqrt(pairs.size) < 3.9  # 10⁻⁴


def test_the_engine_is_compiled_once_for_every_kind_of_run():
    from curvature.ascent._engine import advance

    for method in METHODS:
        for bandit in (LogLinearBandit.two_arm([0.2]), _bandit(), LogLinearBandit.gaussian(1, 1, 1)):
            ascend(bandit, method, step="certified", num_steps=1, record=RECORD)
            ascend(bandit, method, step=1.0, num_steps=1, group_size=None, prompts="one", seeds=range(3))
    assert len(advance.signatures) == 1


def test_the_engine_on_disk_is_keyed_by_every_module_it_is_made_of():
    from curvature.ascent import _engine

    folder = Path(_engine.__file__).parent
    compiled = {
        path.name
        for path in folder.glob("*.py")
        if "from curvature.ascent._numerics import" in path.read_text()
    }
    assert {*compiled, "_numerics.py", "_layout.py"} == set(_engine.SOURCES)
