"""The four figures about language models say what the committed results say, and nothing of their own."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from curvature.ledger.section_4 import RESULTS_FILE
from experiments import (
    _lm_ledger,
    _lm_results,
    lm_curvature_vs_std,
    lm_gradient_cosines,
    lm_learning_curves,
    lm_predicted_vs_measured,
)
from experiments._experiment import ROOT
from experiments._lm_results import DEMO, NAMES

MODULES = (lm_curvature_vs_std, lm_gradient_cosines, lm_learning_curves, lm_predicted_vs_measured)


@pytest.fixture(scope="module")
def compared():
    return json.loads((DEMO / "comparison.json").read_text(encoding="utf-8"))


def test_learning_curves_are_averages_of_the_recorded_steps():
    steps = pd.read_csv(DEMO / "curves.csv")
    df = lm_learning_curves.run()
    first = steps[(steps["optimizer"] == "adamw") & (steps["arm"] == "group")]
    first = first[first["step"] < lm_learning_curves.WINDOW]
    row = df[(df["view"] == "curve") & (df["optimizer"] == "adamw") & (df["series"] == NAMES["group"])].iloc[
        0
    ]
    assert row["value"] == pytest.approx(first["reward_mean"].mean())
    assert row["x"] == first["step"].mean()


def test_the_chosen_learning_rate_is_the_best_of_its_arm():
    for _, cells in pd.read_csv(DEMO / "tuning.csv").groupby(["optimizer", "arm"]):
        of_rates = cells.groupby("learning_rate")[["mean_reward", "chosen"]].mean()
        assert cells["seed"].nunique() == 2
        assert of_rates["chosen"].sum() == 1
        assert of_rates.loc[of_rates["chosen"] == 1, "mean_reward"].item() == of_rates["mean_reward"].max()


def test_arms_of_one_seed_begin_with_the_same_answers():
    steps = pd.read_csv(DEMO / "curves.csv")
    first = steps[steps["step"] == 0].groupby(["seed"])["reward_mean"]
    assert (first.nunique() == 1).all()
    assert steps["seed"].nunique() >= 3


def test_speedups_are_those_of_the_comparison(compared):
    df = lm_predicted_vs_measured.run()
    rows = df[(df["view"] == "speedup") & (df["optimizer"] == "adamw")]
    assert rows["measured"].tolist() == pytest.approx(
        [_lm_results.number(one["measured"]["value"]) for one in compared["adamw"]["speedups"]], nan_ok=True
    )


def test_the_table_of_the_page_is_that_of_the_results(compared):
    def plain(number):
        return f"{number:.2f}".removeprefix("0")

    page = (ROOT / "docs" / "language-models.md").read_text(encoding="utf-8")
    for run, title in (("sgd_small", "SGD, small steps"), ("sgd", "SGD, tuned"), ("adamw", "AdamW, tuned")):
        for arm in ("group", "batch", "group_matched"):
            row = [one for one in compared[run]["speedups"] if one["arm"] == arm][_lm_ledger.TARGET]
            predicted, measured = row["predicted"], row["measured"]
            value, low, high = (plain(measured[end]) for end in ("value", "low", "high"))
            first = f" {title} " if arm == "group" else " "
            assert f"|{first}| {arm} | {plain(predicted['value'])} | {value} [{low}, {high}] |" in page
        held = sum(
            one["measured"]["low"] <= one["predicted"]["value"] <= one["measured"]["high"]
            for one in compared[run]["speedups"]
        )
        # What the page says of them in words.
        assert held == {"sgd_small": 9, "sgd": 3, "adamw": 8}[run]


def test_windows_are_averaged_with_the_error_of_a_mean():
    steps = pd.DataFrame({"x": range(10), "arm": "none", "measured": 0.5, "low": 0.4, "high": 0.6})
    found = lm_predicted_vs_measured._averaged(steps)
    assert found["measured"].tolist() == [0.5]
    assert found["high"].item() - 0.5 == pytest.approx(0.1 / np.sqrt(10))


def test_cosines_of_the_figure_are_those_of_the_probe():
    df, held = lm_gradient_cosines.run(), _lm_results.probes()
    for name, probe in held.items():
        rows = df[(df["view"] == "gradient") & (df["series"] == name)]
        assert rows["x"].min() == pytest.approx(probe.raw_cosines.min())
        assert np.abs(rows["x"]).max() <= 1 + 1e-9


def test_curvature_never_exceeds_std_times_coefficient():
    for probe in _lm_results.probes().values():
        for direction in probe.directions:
            found = probe.prompt_curvature(direction)
            bound = found.reward_std * found.coefficient
            assert (np.abs(found.curvature) <= bound * (1 + 1e-9)).all()


def test_fit_is_the_line_through_the_origin_of_least_squares():
    df = lm_curvature_vs_std.run()
    for name, rows in df.groupby("series"):
        points, fit = rows[rows["view"] == "curvature"], rows[rows["view"] == "fit"]
        slope = fit["value"].max() / fit["x"].max()
        residual = points["value"] - slope * points["x"]
        assert residual @ points["x"] == pytest.approx(0, abs=1e-9), name


@pytest.mark.parametrize("module", MODULES)
def test_missing_results_are_named_with_the_command_that_makes_them(module, monkeypatch, tmp_path):
    for holder in (module, _lm_results):
        monkeypatch.setattr(holder, "DEMO", tmp_path, raising=False)
    monkeypatch.setattr(_lm_results, "PROBES", {})
    with pytest.raises(ValueError, match=r"experiments\.lm_demo"):
        module.run()


def test_committed_results_are_small():
    sizes = [path.stat().st_size for path in DEMO.iterdir()]
    assert sum(sizes) < 700_000  # six seeds of twelve settings, step by step


def test_what_the_ledger_quotes_is_what_the_committed_results_give():
    assert json.loads(RESULTS_FILE.read_text(encoding="utf-8")) == _lm_ledger.collect()


def test_figures_and_ledger_are_made_of_committed_results_without_torch():
    """The main job installs no torch."""
    names = ", ".join(module.__name__.rpartition(".")[2] for module in MODULES)
    code = (
        f"from experiments import _lm_ledger, {names}\n"
        f"for module in ({names}):\n"
        "    module.headline(module.run())\n"
        "_lm_ledger.collect()\n"
        "import sys; sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
