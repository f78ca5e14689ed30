"""Numbers that the paper measured on language models, beside ours: the rule, and the stored results it reads."""

import json
from dataclasses import replace

import pytest

from curvature.ledger import CLAIMS, Budget
from curvature.ledger.section_4 import REPORTED, RESULTS_FILE, Reported, judge_replication
from curvature.ledger.verdicts import Verdict

CLAIM = Reported("x", "between .2 and .4", "§4", 0.3, "x", low=0.2, high=0.4)


def _entry(low, high):
    return {
        "value": (low + high) / 2,
        "low": low,
        "high": high,
        "count": 28,
        "model": "a model",
        "setting": "a task",
    }


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.25, 0.35, Verdict.REPLICATED),
        (0.2, 0.4, Verdict.REPLICATED),
        (0.41, 0.6, Verdict.NOT_REPLICATED),
        (-0.1, 0.19, Verdict.NOT_REPLICATED),
        (0.1, 0.3, Verdict.NOT_CHECKABLE),
        (0.3, 0.5, Verdict.NOT_CHECKABLE),
        (0.1, 0.5, Verdict.NOT_CHECKABLE),
    ],
)
def test_each_reported_number_is_judged_by_its_range(low, high, verdict):
    outcome = judge_replication(CLAIM, _entry(low, high))
    assert outcome.verdict is verdict
    assert outcome.bound == 0.3
    assert "a model, a task" in outcome.reason


def test_what_was_not_measured_or_differs_in_kind_is_not_comparable_and_says_why():
    assert judge_replication(CLAIM, None).verdict is Verdict.NOT_COMPARABLE
    differing = judge_replication(replace(CLAIM, differs="another size"), _entry(0.25, 0.35))
    assert differing.verdict is Verdict.NOT_COMPARABLE
    assert differing.reason.startswith("another size; ours: 0.3")


def test_no_verdict_of_a_measured_number_counts_as_a_proof():
    assert not judge_replication(CLAIM, _entry(0.25, 0.35)).holds


def test_stored_results_name_model_setting_and_interval_and_belong_to_a_row():
    stored = json.loads(RESULTS_FILE.read_text())
    assert stored, "no results are stored"
    assert set(stored) <= {claim.key for claim in REPORTED}
    for key, entry in stored.items():
        assert entry["low"] <= entry["value"] <= entry["high"], key
        assert entry["count"] >= 2
        assert entry["model"]
        assert entry["setting"]


def test_every_reported_number_is_a_row_of_the_ledger():
    assert [claim.id for claim in REPORTED if CLAIMS[claim.id].check(Budget()).instances < 0] == []
    assert {claim.id for claim in REPORTED} <= {claim.id for claim in CLAIMS}
