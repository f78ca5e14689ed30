"""Silent groups in theory, in samples and in real data."""

import itertools

import numpy as np
import pytest

from experiments import _graded_groups as graded
from experiments import silent_groups as figure


@pytest.fixture(scope="module")
def systems():
    return graded.read_systems()


@pytest.fixture(scope="module")
def runs():
    return graded.read_runs()


@pytest.fixture(scope="module")
def pooled(runs):
    return graded.largest_of_each_dataset(runs)


@pytest.fixture(scope="module")
def table():
    return figure.run(groups=2000, resamples=200, seed=6)


def test_four_systems_are_silent_on_588_of_1319_questions(systems):
    assert systems.histogram.tolist() == [432, 290, 236, 205, 156]


def test_rollouts_are_seven_runs_with_78_groups_of_eight_and_none_is_all_right(runs):
    assert len(runs) == 7
    assert sum(groups.count for groups in runs.values()) == 78
    assert {groups.group_size for groups in runs.values()} == {8}
    assert all(groups.histogram[-1] == 0 for groups in runs.values())


def test_one_run_a_data_set_is_joined_so_that_no_question_counts_twice(runs, pooled):
    assert (pooled.count, pooled.group_size) == (24 + 16, 8)
    small = graded.Groups(np.array([3, 0, 1]), "a")
    large, other = graded.Groups(np.array([2, 5, 0]), "a"), graded.Groups(np.array([1, 1, 1]), "b")
    joined = graded.largest_of_each_dataset({"x": small, "y": large, "z": other})
    assert joined.histogram.tolist() == [3, 6, 1]


def test_strict_grading_has_no_more_right_answers_than_lenient_grading(runs):
    strict = graded.read_runs("strict")
    assert set(strict) == set(runs)
    assert all(strict[name].success <= runs[name].success for name in runs)
    assert any(strict[name].success < runs[name].success for name in runs)


def test_subsets_are_counted_as_by_listing_them():
    group = [1, 1, 1, 0, 0]
    for n in (2, 3, 4):
        subsets = list(itertools.combinations(group, n))
        listed = [np.mean([not any(s) for s in subsets]), np.mean([all(s) for s in subsets])]
        np.testing.assert_allclose(graded.silent_in_subsets(5, n)[:, 3], listed, atol=1e-15)


def test_share_of_silent_subsets_is_unbiased_for_smaller_groups():
    from scipy.stats import binom

    p, G = np.array([0.02, 0.3, 0.9]), 8
    for n in (2, 5, 8):
        expected = binom.pmf(np.arange(G + 1), G, p[:, None]) @ graded.silent_in_subsets(G, n).sum(axis=0)
        np.testing.assert_allclose(expected, p**n + (1 - p) ** n, rtol=1e-12)


def test_thinning_keeps_the_number_of_groups_and_the_mean(pooled):
    thinned = graded.thin(pooled, 4)
    assert thinned.sum() == pytest.approx(pooled.count)
    assert thinned @ np.arange(5) / (4 * pooled.count) == pytest.approx(pooled.success)
    np.testing.assert_allclose(graded.thin(pooled, 8), pooled.histogram, atol=1e-12)


def test_every_run_is_silent_more_often_than_its_mean_success_rate_says(table, runs):
    data = table[table["view"] == "data"].set_index("name")
    assert set(data.index) == {graded.SYSTEMS, *runs}
    np.testing.assert_allclose(data["value"], data["all_wrong"] + data["all_right"])
    assert (data["mean p"] < data["value"]).all()
    assert data.loc[graded.SYSTEMS, "mean p"] < data.loc[graded.SYSTEMS, "low"]
    p, G = data["success"], data["group_size"]
    np.testing.assert_allclose(data["mean p"], p**G + (1 - p) ** G)


def test_a_fit_to_four_of_each_eight_answers_predicts_the_silent_groups_of_eight(table):
    sizes = table[table["view"] == "size"]
    measured = sizes[(sizes["name"] == graded.POOLED) & (sizes["group_size"] == 8)].iloc[0]
    by_prediction = {
        key: sizes[(sizes["name"] == f"{graded.POOLED}: {key}") & (sizes["group_size"] == 8)]["value"].item()
        for key in graded.PREDICTIONS
    }
    assert measured["low"] < by_prediction["beta"] < measured["high"]
    assert by_prediction["mean p"] < measured["low"]


def test_sampled_groups_of_zero_advantages_are_as_many_as_the_curve_says(table):
    sampled = table[table["view"] == "sampled"]
    p, G = sampled["success"], sampled["group_size"]
    truth = p**G + (1 - p) ** G
    # 21 intervals at 95%: more than 6 of them wrong is a false alarm for fewer than 1 seed in 1,000.
    assert len(sampled) == 21
    assert ((sampled["low"] <= truth) & (truth <= sampled["high"])).sum() >= 15


def test_measured_share_at_the_whole_size_is_the_plain_one(table, systems, pooled):
    for name, groups in ((graded.SYSTEMS, systems), (graded.POOLED, pooled)):
        rows = table[(table["view"] == "size") & (table["name"] == name)]
        assert rows["value"].is_monotonic_decreasing
        silent = groups.histogram[0] + groups.histogram[-1]
        assert rows["value"].iloc[-1] == pytest.approx(silent / groups.count)
        assert (rows["low"] < rows["value"]).all()
        assert (rows["value"] < rows["high"]).all()


def test_headline_counts_the_runs(table):
    numbers = figure.headline(table)
    assert numbers["runs of policies"] == 7
    assert numbers["of them more silent than at the mean p"] == 7


def test_a_size_out_of_range_is_named():
    with pytest.raises(ValueError, match="resamples is 1; a whole number of at least 2 is needed"):
        figure.run(resamples=1)
