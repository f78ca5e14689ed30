"""The cells of the phase diagram are what the axes say, and its prediction is that of the certificates."""

import numpy as np
import pandas as pd
import pytest

from curvature import moments
from curvature.ascent import ascend, prompt_weights
from curvature.interference import certified_speedup, overlap_matrix
from experiments import _runs
from experiments import overlap_phase_diagram as diagram


@pytest.fixture(scope="module")
def cells():
    return diagram.run(instances=4, tuning_instances=1, cells=2, steps=300, seed=1)


def test_every_cell_is_there_under_both_rules(cells):
    assert len(cells) == 8
    assert set(cells["overlap"]) == {diagram.OVERLAPS[0], diagram.OVERLAPS[-1]}
    assert set(cells["reward_std"]) == {diagram.STDS[0], diagram.STDS[-1]}
    assert cells.loc[cells["rule"] == "certified", "predicted"].notna().all()


def test_instances_have_the_overlap_and_the_mean_std_of_their_cell():
    for std in diagram.STDS:
        (bandit,) = diagram._instances(0.6, std, range(1), 0)
        at = moments(bandit, np.zeros(bandit.dimension))
        assert at.reward_std.mean() == pytest.approx(std, abs=1e-9)
        assert at.expected_reward.mean() < 0.5
        assert overlap_matrix(bandit)[0, 1:] == pytest.approx(0.6)


def test_a_mean_std_that_the_spread_excludes_is_named():
    with pytest.raises(ValueError, match=r"reward_std is 0\.499"):
        diagram.success_of(0.499)


def test_grpo_is_faster_without_overlap_from_a_hard_start(cells):
    hard = cells[(cells["overlap"] == 0) & (cells["reward_std"] == diagram.STDS[0])]
    row = hard[hard["rule"] == "certified"].iloc[0]
    assert row["bound"] == "exact"
    assert row["low"] > 1


def test_prediction_is_the_harmonic_mean_of_certified_ratios():
    bandit = _runs.bandit_with_success([0.05, 0.2, 0.5], 4, 0.2, seed=2)
    path = ascend(bandit, "reinforce", step="certified", num_steps=3, record=("theta",))["theta"][0]
    ratios = [certified_speedup(bandit, theta, prompt_weights(bandit, theta, "grpo")) for theta in path]
    assert diagram.predicted_speedup(bandit, path) == pytest.approx(1 / np.mean(1 / np.array(ratios)))


def test_certified_prediction_errs_in_direction_where_prompts_overlap():
    # One instance: the certificate promises GRPO less than REINFORCE, and GRPO arrives first.
    (bandit,) = diagram._instances(0.8, 0.39, range(7, 8), 0)
    slow, fast = (
        ascend(bandit, method, step="certified", num_steps=2000, record=("expected_reward", "theta"))
        for method in ("reinforce", "grpo")
    )
    times = [_runs.time_to(trace, diagram.TARGET)[0] for trace in (slow, fast)]
    path = slow["theta"][0][: int(min(times[0], 2000)) + 1]
    assert diagram.predicted_speedup(bandit, path) < 1 < times[0] / times[1]


def test_a_size_out_of_range_is_named():
    with pytest.raises(ValueError, match="cells is 1; a whole number of at least 2 is needed"):
        diagram.run(cells=1)


@pytest.mark.filterwarnings("ignore")  # dask and ray have many of their own
@pytest.mark.parametrize("backend", ["processes", "dask", "ray"])
def test_the_sweep_gives_the_same_frame_on_every_engine_and_from_its_store(backend, tmp_path):
    for module in {"processes": ["joblib"], "dask": ["distributed"], "ray": ["ray"]}[backend]:
        pytest.importorskip(module, reason=f"{module} (extra `scale`) is not installed")
    sizes = {"instances": 2, "tuning_instances": 1, "cells": 2, "steps": 20}
    alone = diagram.run(**sizes)
    engine = {"backend": backend, "workers": 2, "store": tmp_path}
    pd.testing.assert_frame_equal(diagram.run(**sizes, engine=engine), alone, check_exact=True)
    kept = sorted(tmp_path.iterdir())
    assert len(kept) == 4
    kept[0].unlink()  # as if killed before the last cell
    again = diagram.run(**sizes, engine={"store": tmp_path})
    pd.testing.assert_frame_equal(again, alone, check_exact=True)
