"""The demo trains for real: at toy size it goes all the way, twice to the same numbers, and goes on where it was."""

import json
from dataclasses import replace

import pytest

pytest.importorskip("transformers")
pytest.importorskip("pyarrow")

from experiments import _lm_results, lm_demo

TOY = replace(lm_demo.QUICK, seeds=(0, 1), optimizers=("adamw",))


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setattr(lm_demo, "ARMS", ("none", "group"))
    patch.setattr(lm_demo, "RATES", {"adamw": {"none": (3e-4, 1e-3), "group": (3e-4, 1e-3)}})
    work = tmp_path_factory.mktemp("demo")
    lm_demo.run(TOY, work / "work", work / "results", workers=1)
    yield work, patch
    patch.undo()


def test_results_are_what_the_figures_read(done):
    import pandas as pd

    work, _ = done
    names = {path.name for path in (work / "results").iterdir()}
    assert names >= {path.name for path in _lm_results.PROBES if path.parent == _lm_results.DEMO}
    assert names >= {"curves.csv", "tuning.csv", "comparison.json", "config.json"}
    curves = pd.read_csv(work / "results" / "curves.csv")
    assert len(curves) == 2 * 2 * TOY.steps
    tuning = pd.read_csv(work / "results" / "tuning.csv")
    for _, cells in tuning.groupby("arm"):
        of_rates = cells.groupby("learning_rate")[["mean_reward", "chosen"]].mean()
        assert cells["seed"].tolist() == [*lm_demo.TUNING_SEEDS] * len(of_rates)
        assert of_rates.loc[of_rates["chosen"] == 1, "mean_reward"].tolist() == [
            of_rates["mean_reward"].max()
        ]


def test_paired_seeds_start_from_the_same_samples(done):
    import pandas as pd

    curves = pd.read_csv(done[0] / "results" / "curves.csv")
    first = curves[curves["step"] == 0].groupby("seed")["reward_mean"]
    assert (first.nunique() == 1).all()


def test_comparison_is_of_the_runs(done):
    import pandas as pd

    found = json.loads((done[0] / "results" / "comparison.json").read_text())["adamw"]
    curves = pd.read_csv(done[0] / "results" / "curves.csv")
    rewards = curves[curves["arm"] == "group"].groupby("step")["reward_mean"].mean()
    own = pd.DataFrame(found["curves"])
    assert own.loc[own["arm"] == "group", "measured"].to_numpy() == pytest.approx(
        rewards.to_numpy(), abs=1e-5
    )


def test_a_second_call_reuses_every_run_and_writes_the_same(done):
    work, _ = done
    kept = {path: path.stat().st_mtime_ns for path in (work / "work").rglob("metrics.jsonl")}
    before = (
        (work / "results" / "curves.csv").read_bytes(),
        (work / "results" / "comparison.json").read_bytes(),
    )
    lm_demo.run(TOY, work / "work", work / "results", workers=1)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert before == (
        (work / "results" / "curves.csv").read_bytes(),
        (work / "results" / "comparison.json").read_bytes(),
    )


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match="no folder of this demo"):
        lm_demo.run(TOY, tmp_path, tmp_path / "results")
    assert (tmp_path / "thesis.txt").exists()


def test_grids_of_the_arms_have_one_size():
    for grids in lm_demo.RATES.values():
        assert len({len(rates) for rates in grids.values()}) == 1
