"""Finite groups: every formula of the ledger against enumeration, and each check fails when its formula is wrong."""

import numpy as np
import pytest

from curvature import groups
from curvature.groups import GradientMoments, SilentProbability, gain_ratio
from curvature.ledger import CLAIMS, Budget, Verdict, ours_groups
from curvature.ledger.group_ratio import PROFILES

SMALL = Budget(instances=20)


def assert_holds_and_fails_if(monkeypatch, claim, name, wrong):
    assert CLAIMS[claim].check(SMALL).verdict is Verdict.HOLDS
    monkeypatch.setattr(groups, name, wrong)
    assert CLAIMS[claim].check(SMALL).verdict is Verdict.FAILS


def scaled(function):
    return lambda *args, **options: 1.001 * function(*args, **options)


def test_weight_is_that_of_every_outcome(monkeypatch):
    assert_holds_and_fails_if(monkeypatch, "D1", "effective_weight", scaled(groups.effective_weight))


def test_silent_share_is_that_of_every_outcome(monkeypatch):
    wrong = lambda p, G: SilentProbability(np.asarray(p**G), np.asarray(p**G))  # noqa: E731
    assert_holds_and_fails_if(monkeypatch, "D2", "silent_probability", wrong)


def test_second_moments_are_those_of_every_outcome(monkeypatch):
    exact = groups.gradient_moments

    def without_spread(p, G, convention, **options):
        found = exact(p, G, convention, gap=options["gap"])
        return GradientMoments(found.inner, found.square)

    assert_holds_and_fails_if(monkeypatch, "D3", "gradient_moments", without_spread)


def test_gain_ratio_of_eight_samples_is_small(monkeypatch):
    found = [round(gain_ratio(success, 8), 2) for success in PROFILES.values()]
    assert all(1.01 <= one <= 1.07 for one in found)
    assert_holds_and_fails_if(monkeypatch, "D4", "gain_ratio", lambda success, G: 1.2)


def test_objective_is_the_integral_of_the_weight(monkeypatch):
    assert_holds_and_fails_if(
        monkeypatch, "D-objective", "implicit_objective", scaled(groups.implicit_objective)
    )


def test_sample_variance_is_unbiased(monkeypatch):
    wrong = lambda k, G: k * (G - k) / G**2  # noqa: E731
    assert_holds_and_fails_if(monkeypatch, "D-variance", "unbiased_variance", wrong)


def test_all_outcomes_are_all_groups_once():
    rewards, counts = ours_groups.outcomes_of(3)
    assert len(np.unique(rewards, axis=0)) == 8
    assert ours_groups.chances_of(counts, 3, 0.3).sum() == pytest.approx(1)
