"""The shoot-out's methods coincide where theory says they must, and its table follows from its runs."""

import numpy as np
import pytest

from experiments import normaliser_shootout as shootout


@pytest.fixture(scope="module")
def runs():
    return shootout.run(instances=3, tuning_instances=1, steps=200, seed=1)


def times(runs, rule, method, overlap):
    part = runs[(runs["rule"] == rule) & (runs["method"] == method) & (runs["overlap"] == overlap)]
    return part.sort_values("instance")["time"].to_numpy()


def test_columns_are_as_documented(runs):
    assert list(runs) == ["overlap", "rule", "method", "instance", "step", "at_edge", "time", "limit"]
    assert len(runs) == len(shootout.OVERLAPS) * 2 * len(shootout.METHODS) * 3


def test_sigma_tilde_is_the_group_std_without_overlap(runs):
    for rule in shootout.RULES:
        assert (times(runs, rule, "interference", 0.0) == times(runs, rule, "grpo", 0.0)).all()


def test_a_common_factor_of_the_weights_changes_no_certified_run(runs):
    for overlap in shootout.OVERLAPS[:-2]:  # beyond, conflicting prompts amplify rounding over long runs
        none = times(runs, "certified", "reinforce", overlap)
        assert times(runs, "certified", "batch", overlap) == pytest.approx(none, abs=1)


def test_overlap_makes_every_method_slower_at_certified_steps(runs):
    for method in shootout.METHODS:
        assert (times(runs, "certified", method, 0.8) > times(runs, "certified", method, 0.0)).all()


def test_table_is_relative_to_its_reference(runs):
    table = shootout.summary(runs, reference="grpo")
    assert table.loc[table["method"] == "grpo", "speedup"].to_numpy() == pytest.approx(1.0)
    assert table["censored"].sum() == np.isinf(runs["time"]).sum()


def test_sigma_tilde_against_the_group_std_in_the_headline_is_the_ratio_of_their_times(runs):
    found = shootout.headline(runs)["steps with group std σ over steps with σ̃, certified, by overlap"]
    ratio = times(runs, "certified", "grpo", 0.4) / times(runs, "certified", "interference", 0.4)
    assert found["0.4"][0] == pytest.approx(np.exp(np.log(ratio).mean()))


def test_a_size_out_of_range_is_named():
    with pytest.raises(ValueError, match="steps is 0; a whole number of at least 1 is needed"):
        shootout.run(steps=0)
