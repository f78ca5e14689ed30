"""Every experiment keeps the contract, and the committed figures are what their records say."""

import json

import numpy as np
import pytest

from curvature import plotting
from experiments import _experiment
from experiments._experiment import FIGURES, KINDS
from experiments._reproduce import BY_THEMSELVES, TRAINING, load
from experiments._reproduce import FIGURES as STEMS

TINY = {
    "std_ball": {"instances": 20, "searches": 1},
    "curvature_vs_std": {"instances": 20, "searches": 1},
    "gsm8k_profile": {"questions": 200, "resamples": 3},
    "rate_bounds": {"steps": 60, "prompts": 2},
    "exact_rates": {"steps": 60, "copies": 3},
    "predicted_vs_measured": {"prompts": 8, "seeds": 3, "steps": 60},
    "speedup_decomposition": {"prompts": 2},
    "overlap_phase_diagram": {"instances": 2, "tuning_instances": 1, "cells": 2, "steps": 100},
    "normaliser_shootout": {"instances": 2, "tuning_instances": 1, "steps": 60},
    "race": {"instances": 2, "tuning_instances": 1, "passes": 100},
    "should_i_divide": {"prompts": 3, "seeds": 2},
    "three_phases": {"instances": 1, "steps": 60},
    "finite_group_weight": {"groups": 200, "points": 5},
    "exponent_map": {"medians": 2, "prompts": 2000},
    "silent_groups": {"groups": 50, "resamples": 20},
    "one_step_worst_case": {"points": 2, "starts": 30},
    "test_your_own_theorem": {"examples": 60, "points": 9},
    "advantage_presets": {"group_size": 3, "points": 3},
    "lm_learning_curves": {},
    "lm_predicted_vs_measured": {},
    "lm_gradient_cosines": {},
    "lm_curvature_vs_std": {},
}
LARGEST = 300_000  # bytes of one committed file


@pytest.fixture(scope="module", params=STEMS)
def drawn(request):
    experiment = load(request.param)
    df = experiment.run(**TINY[request.param], seed=1)
    with plotting.style():
        return experiment, df, np.ravel(experiment.plot(df))


def test_every_module_of_experiments_is_part_of_the_main_job():
    modules = {path.stem for path in (_experiment.ROOT / "experiments").glob("[!_]*.py")}
    assert modules == {*STEMS, *BY_THEMSELVES, *TRAINING}


def test_every_axis_is_named_and_every_panel_has_a_legend_outside_the_data(drawn):
    _, _, axes = drawn
    axes[0].figure.draw_without_rendering()
    for ax in axes:
        assert ax.get_xlabel()
        assert ax.get_ylabel() or ax.get_yticklabels()
        legend = ax.get_legend()
        assert legend is not None
        assert len(legend.get_texts()) >= 1
        assert legend.get_window_extent().y1 < ax.get_window_extent().y0


def test_lines_of_a_panel_differ_in_more_than_colour(drawn):
    _, _, axes = drawn
    for ax in axes:
        named = [line for line in ax.lines if not line.get_label().startswith("_")]
        looks = [(line.get_linestyle(), str(line._dash_pattern), line.get_marker()) for line in named]
        assert len(set(looks)) == len(looks)


def test_plot_draws_on_the_axes_it_is_given(drawn):
    experiment, df, axes = drawn
    with plotting.style():
        _, mine = plotting.figure("abcdef"[: len(axes)])
        assert list(np.ravel(experiment.plot(df, mine))) == list(mine)


def test_headline_is_what_json_can_hold(drawn):
    experiment, df, _ = drawn
    headline = experiment.headline(df)
    assert headline
    assert json.loads(json.dumps(headline, allow_nan=False)) == headline


def test_a_figure_is_the_same_file_when_drawn_again(drawn):
    experiment, df, _ = drawn
    with plotting.style():
        first, second = (plotting.render(_experiment.figure_of(experiment.plot(df))) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("stem", STEMS)
def test_committed_figure_is_what_its_record_says(stem):
    paths = {kind: FIGURES / f"{stem}.{kind}" for kind in KINDS}
    record = json.loads(paths["json"].read_text(encoding="utf-8"))
    experiment = load(stem)
    assert record["command"] == _experiment.command_of(experiment, {"seed": 0, **experiment.sizes()})
    assert record["caption"] == experiment.caption
    for kind, expected in record["outputs_sha256"].items():
        content = paths[kind].read_bytes()
        assert _experiment.digest([content]) == expected
        assert len(content) < LARGEST
