"""The series of the phases are those of the run, and the matched step moves REINFORCE as far as GRPO."""

import numpy as np
import pytest

from curvature import moments
from experiments import _runs, three_phases


@pytest.fixture(scope="module")
def runs():
    return three_phases.run(instances=2, steps=120, seed=1)


def test_columns_are_as_documented(runs):
    assert list(runs) == [
        "instance",
        "step",
        "success",
        *three_phases.SERIES,
        "accuracy_gap",
        "accuracy_gap_matched",
    ]
    assert len(runs) == 2 * 121


def test_runs_start_alike_and_at_the_success_asked_for(runs):
    first = runs[runs["step"] == 0]
    wanted = _runs.log_odds_between(*three_phases.SUCCESS, three_phases.PROMPTS, 0)
    assert first["success"].to_numpy() == pytest.approx(wanted.mean())
    assert (first[["accuracy_gap", "accuracy_gap_matched"]] == 0).all(axis=None)
    assert first["mean_std"].to_numpy() == pytest.approx(np.sqrt(wanted * (1 - wanted)).mean())


def test_matched_step_moves_reinforce_as_far_as_grpo():
    bandit = _runs.bandit_with_success([0.05, 0.5], 4, 0.3, seed=1)
    at = moments(bandit, np.zeros(bandit.dimension))
    longer = three_phases.length_ratio(bandit)
    grpo = np.linalg.norm((at.gradient / at.reward_std[:, None]).sum(axis=0))
    assert longer * np.linalg.norm(at.gradient.sum(axis=0)) == pytest.approx(grpo)
    assert longer > 2  # every weight 1/σ is at least 2


def test_at_the_same_step_grpo_leads_and_matching_the_first_update_takes_most_of_the_lead(runs):
    for _, part in runs.groupby("instance"):
        assert part["accuracy_gap"].max() > 0.05
        assert part["accuracy_gap_matched"].abs().max() < part["accuracy_gap"].max() / 2


def test_report_cuts_the_series_of_its_instance(runs):
    report = three_phases.report_of(runs, 1, "same first update")
    names = report.segmentation.names
    gap = runs.loc[runs["instance"] == 1, "accuracy_gap_matched"].to_numpy()
    assert report.segmentation.series[:, names.index("accuracy_gap")] == pytest.approx(gap)


def test_a_size_out_of_range_is_named():
    with pytest.raises(ValueError, match="steps is 3; a whole number of at least 20 is needed"):
        three_phases.run(steps=3)
