"""The facts in the data file, and what the profile makes of them."""

import json
import runpy
import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import betabinom

from curvature.testing import assert_upper
from experiments import _gsm8k_models as models
from experiments import gsm8k_profile
from experiments._experiment import ROOT

SCRIPT = ROOT / "experiments" / "data" / "derive_gsm8k_graded_answers.py"


@pytest.fixture(scope="module")
def answers():
    return gsm8k_profile.read_answers()


@pytest.fixture(scope="module")
def profile():
    return gsm8k_profile.run(resamples=30, seed=1)


@pytest.fixture(scope="module")
def mean_std(profile):
    return profile[profile["view"] == "mean_std"].set_index("name")


# The data


def test_four_systems_answered_1319_questions(answers):
    assert answers.shape == (1319, 4)
    assert answers.index.tolist() == list(range(1319))


def test_questions_by_number_of_right_answers_are_as_published(answers):
    assert np.bincount(answers.sum(axis=1)).tolist() == [432, 290, 236, 205, 156]


def test_accuracy_of_the_systems_is_as_published(answers):
    assert answers.mean().round(3).tolist() == [0.217, 0.390, 0.347, 0.563]


def test_the_script_keeps_index_and_flags_alone(tmp_path):
    source, derived = tmp_path / "solutions.jsonl", tmp_path / "derived.csv"
    systems = runpy.run_path(str(SCRIPT))["MODELS"]
    line = {"question": "1 + 1?", "ground_truth": "2"} | {
        name: {"is_correct": name.startswith("175b"), "solution": "a, b"} for name in systems
    }
    source.write_text(json.dumps(line) + "\n")
    subprocess.run([sys.executable, SCRIPT, source, "--output", derived], check=True, capture_output=True)
    assert derived.read_text() == f"question,{','.join(systems)}\n0,0,0,1,1\n"
    assert [path.name for path in tmp_path.glob("*.tmp")] == []


def test_the_script_names_a_line_that_is_no_graded_question(tmp_path):
    source = tmp_path / "solutions.jsonl"
    source.write_text('{"question": "1 + 1?"}\n')
    ended = subprocess.run([sys.executable, SCRIPT, source], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "line 1 of" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_answer_that_is_neither_right_nor_wrong_is_refused(tmp_path):
    path = tmp_path / "answers.csv"
    path.write_text("question,a,b\n0,1,2\n")
    with pytest.raises(ValueError, match="holds a value other than 0 and 1"):
        gsm8k_profile.read_answers(path)


# The models


def test_beta_binomial_fit_finds_the_parameters_behind_exact_frequencies():
    counts = np.round(1e9 * betabinom.pmf(np.arange(5), 4, 0.6, 1.7)).astype(int)
    np.testing.assert_allclose(models.fit_beta_binomial(counts), [0.6, 1.7], rtol=1e-3)


def test_beta_binomial_fit_cannot_be_improved_nearby(answers):
    counts = np.bincount(answers.sum(axis=1))

    def likelihood(a, b):
        return counts @ betabinom.logpmf(np.arange(5), 4, a, b)

    a, b = models.fit_beta_binomial(counts)
    assert all(
        likelihood(a, b) >= likelihood(a * x, b * y) for x, y in [(1.01, 1), (0.99, 1), (1, 1.01), (1, 0.99)]
    )


def test_mean_std_of_a_beta_is_the_closed_form():
    assert models.mean_reward_std_of_beta(1, 1) == pytest.approx(np.pi / 8)


def test_item_response_fit_finds_the_parameters_behind_exact_frequencies():
    truth = models.ItemResponse(np.array([-1.5, 0.3, 0.8]), 1.4, 0.0)
    counts = np.round(1e9 * truth.pattern_probabilities()).astype(int)
    fitted = models.fit_item_response(counts)
    np.testing.assert_allclose([*fitted.offsets, fitted.spread], [-1.5, 0.3, 0.8, 1.4], atol=2e-3)


def test_scores_bound_the_mean_std_of_any_success_rate(answers):
    from scipy.stats import binom

    lower, upper = models.reward_std_scores(np.bincount(answers.sum(axis=1)))
    p = np.random.default_rng(0).uniform(size=20_000)
    basis = binom.pmf(np.arange(5), 4, p[:, None])
    std = np.sqrt(p * (1 - p))
    assert_upper(basis @ lower, std, atol=1e-9)
    assert_upper(std, basis @ upper, atol=1e-9)


# The profile


def test_views_and_columns_are_as_documented(profile):
    assert profile.groupby("view").size().to_dict() == {
        "count": 15,
        "mean_std": 10,
        "profile": 102,
        "question": 1319,
    }
    questions = profile[profile["view"] == "question"]
    for column in ("success", "reward_std", *gsm8k_profile.BOUNDS):
        assert questions[column].notna().all()
        assert (questions[f"{column}_low"] <= questions[f"{column}_high"]).all()


def test_bounds_of_a_question_are_ordered(profile):
    questions = profile[profile["view"] == "question"]
    assert_upper(questions["two_arm_curvature"], questions["binary_bound"])
    assert_upper(questions["binary_bound"], questions["std_bound"])
    assert_upper(questions["binary_bound"], questions["paper_bound"])


def test_questions_average_to_the_profile_s_mean_std(profile, mean_std):
    questions = profile[profile["view"] == "question"]
    fitted = mean_std.loc["beta-binomial, pool", "value"]
    assert questions["reward_std"].mean() == pytest.approx(fitted, abs=2e-3)


def test_plug_in_std_is_below_what_any_success_rates_allow(mean_std):
    least, largest = (mean_std.loc[f"{end}, any success rates"] for end in ("least", "largest"))
    assert mean_std.loc["plug-in (biased low)", "high"] < least["low"]
    for model in ("beta-binomial, pool",):
        assert least["value"] < mean_std.loc[model, "value"] < largest["value"]


def test_intervals_hold_their_estimates(mean_std):
    assert (mean_std["low"] < mean_std["value"]).all()
    assert (mean_std["value"] < mean_std["high"]).all()


def test_threshold_of_the_sharpest_smoothness_is_0_297():
    assert gsm8k_profile.THRESHOLDS["ours, binary smoothness"] == pytest.approx(0.2974, abs=5e-5)


def test_headline_says_on_which_side_of_each_threshold_the_pool_is(profile, mean_std):
    told = gsm8k_profile.headline(profile)
    sides = {
        name: told[f"mean σ of the pool, any success rates, against {value:.4f} ({name})"]
        for name, value in gsm8k_profile.THRESHOLDS.items()
    }
    assert sides == {"ours, binary smoothness": "above", "paper": "undecided", "ours, L2 for both": "below"}
    assert (
        mean_std.loc["least, any success rates", "low"]
        < 3 / 8
        < mean_std.loc["largest, any success rates", "high"]
    )


def test_more_questions_than_there_are_are_refused():
    with pytest.raises(ValueError, match="questions is 2000; there are 1319"):
        gsm8k_profile.run(questions=2000)
