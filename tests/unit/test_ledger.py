"""The ledger's machinery on small registries: verdicts follow from numbers, and stale rows are found."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

import curvature.proofs
from curvature.adversary import WorstCase
from curvature.ledger import CLAIMS, Budget, Evidence, Registry, UnknownClaimError, Verdict, inequalities
from curvature.ledger.budget import random_instances
from curvature.ledger.evidence import attack, rarer_success, reward_std, try_random, worst
from curvature.ledger.render import COLUMNS, read, render, render_table
from curvature.ledger.runner import check
from curvature.ledger.staleness import stale_rows
from curvature.ledger.verdicts import (
    NotCheckableError,
    judge_identity,
    judge_needed,
    judge_profile,
    judge_repair,
    judge_upper,
)

ROOT = Path(__file__).parents[2]
SMALL = Budget(instances=90, starts=40, restarts=1)


def evidence(ratio, instances=10, **options):
    return Evidence(ratio, 1.0, ratio, instances, **options)


def tiny_registry():
    """One claim of every verdict that a run can end in."""
    registry = Registry()

    def add(id, outcome, **options):
        defaults = {
            "statement": f"|{id}| ≤ 1",
            "source": "Ours",
            "section": "Ours",
            "kind": "upper bound",
            "test": "tests/unit/test_ledger.py::test_verdict_of_a_bound_follows_from_its_ratio",
        }
        registry.claim(id=id, **defaults | options)(lambda budget: outcome)

    add("sharp", judge_upper(evidence(1.0), "reached"))
    add("loose", judge_upper(evidence(0.5), "half"), figure="curvature_vs_std")
    add("false", judge_upper(evidence(1.2, witness={"theta": [0.25]}), "broken"), section="Paper")
    add("equal", judge_identity(3e-16, 1e-9, 20, "same"), section="Paper", kind="identity")
    return registry


def printed(registry=None, budget=None):
    registry, budget = registry or tiny_registry(), budget or Budget()
    claims = registry.select()
    return render(claims, check(claims, budget), budget)


# Verdicts


@pytest.mark.parametrize(
    ("ratio", "label"),
    [
        (1.0, "holds"),
        (1 + 1e-12, "holds"),
        (0.9995, "holds"),
        (0.99, "holds, loose by ×1.01"),
        (0.5, "holds, loose by ×2.00"),
        (0.0, "holds, loose by ×inf"),
        (1 + 1e-6, "fails as printed, counterexample"),
        (float("inf"), "fails as printed, counterexample"),
        (float("nan"), "fails as printed, counterexample"),
    ],
)
def test_verdict_of_a_bound_follows_from_its_ratio(ratio, label):
    assert judge_upper(evidence(ratio)).label == label


def test_bound_tried_on_no_instance_is_vacuous():
    outcome = judge_upper(evidence(0.5, instances=0))
    assert outcome.verdict is Verdict.VACUOUS
    assert not outcome.holds
    assert judge_identity(0.0, 1e-9, 0).verdict is Verdict.VACUOUS


def test_condition_is_reported_without_a_looseness():
    outcome = judge_upper(evidence(0.5), report_looseness=False)
    assert (outcome.label, outcome.looseness) == ("holds", None)
    assert not judge_upper(evidence(1.5), report_looseness=False).holds


def test_profile_is_judged_by_its_worst_break_and_its_worst_gap():
    sharp, gap, broken = evidence(1.0, 5), evidence(0.8, 5), evidence(1.1, 5)
    assert judge_profile([sharp, sharp], gap).label == "holds"
    assert judge_profile([sharp, gap], sharp).label == "holds, loose by ×1.25"
    assert judge_profile([sharp, gap], broken).verdict is Verdict.FAILS
    assert judge_profile([broken, gap], sharp).verdict is Verdict.FAILS
    assert judge_profile([sharp, gap], sharp).instances == 15


@pytest.mark.parametrize(
    ("printed_error", "repaired_error", "verdict"),
    [
        (1e-15, 1e-15, Verdict.HOLDS),
        (0.4, 1e-15, Verdict.REPAIRED),
        (float("nan"), 1e-15, Verdict.REPAIRED),
        (0.4, 0.3, Verdict.FAILS),
        (float("nan"), float("nan"), Verdict.FAILS),
    ],
)
def test_repair_counts_only_if_the_printed_formula_fails(printed_error, repaired_error, verdict):
    assert judge_repair(printed_error, repaired_error, 1e-9, 10).verdict is verdict


def test_assumption_is_needed_only_if_dropping_it_breaks_the_claim():
    held, broken = evidence(0.9), evidence(3.0, 1, witness={"rewards": [0, 0.01]})
    outcome = judge_needed(held, broken)
    assert outcome.holds
    assert outcome.ratio == 3.0
    assert outcome.shows_witness
    assert judge_needed(held, evidence(0.9)).verdict is Verdict.FAILS
    assert judge_needed(evidence(1.1), broken).verdict is Verdict.FAILS


# Registry


def test_claim_whose_proof_fails_does_not_hold(monkeypatch):
    def refuted():
        raise curvature.proofs.ProofError("step 2 leaves x")

    monkeypatch.setattr(curvature.proofs, "PROOFS", MappingProxyType({"good": lambda: None, "bad": refuted}))
    registry = Registry()
    options = {"statement": "s", "source": "Ours", "section": "S", "kind": "upper bound", "test": "t::t"}
    for name in ("good", "bad", "absent"):
        registry.claim(id=name, proofs=[name], **options)(lambda budget: judge_upper(evidence(0.5)))
    outcomes = check(registry.select(), SMALL)
    assert outcomes["good"].label == "holds, loose by ×2.00"
    assert outcomes["bad"].verdict is Verdict.FAILS
    assert outcomes["bad"].reason == "proof fails: step 2 leaves x"
    assert outcomes["absent"].verdict is Verdict.FAILS
    assert "no proof 'absent'" in outcomes["absent"].reason


def test_claim_that_cannot_be_checked_here_says_why():
    def body(budget):
        raise NotCheckableError("needs a GPU")

    registry = Registry()
    registry.claim(id="c", statement="s", source="Ours", section="S", kind="empirical", test="t::t")(body)
    outcome = registry["c"].check(SMALL)
    assert (outcome.label, outcome.reason) == ("not checkable here", "needs a GPU")


def test_unknown_id_is_answered_by_the_nearest_ones():
    with pytest.raises(UnknownClaimError, match=r"no claim 'shrap'; the nearest: sharp"):
        tiny_registry().select(["shrap"])


def test_selection_keeps_the_order_of_the_ledger():
    assert [claim.id for claim in tiny_registry().select(["equal", "loose", "equal"])] == ["loose", "equal"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": "sharp"}, "'sharp' is registered twice"),
        ({"kind": "guess"}, "kind is 'guess'"),
        ({"test": "tests/unit/test_ledger.py"}, "path::name is needed"),
    ],
)
def test_bad_registration_is_refused(change, message):
    options = {
        "id": "new",
        "statement": "s",
        "source": "Ours",
        "section": "S",
        "kind": "identity",
        "test": "t::t",
    }
    with pytest.raises(ValueError, match=message):
        tiny_registry().claim(**options | change)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"instances": 0}, "instances is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"restarts": 1.5}, "restarts is 1.5"),
    ],
)
def test_bad_budget_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Budget(**options)


# Evidence


def test_worst_of_several_counts_all_instances_and_takes_nan_for_the_worst():
    assert worst([evidence(0.2, 3), evidence(0.7, 4)]) == evidence(0.7, 7)
    assert judge_upper(worst([evidence(float("nan"), 1), evidence(0.7, 4)])).verdict is Verdict.FAILS


def test_evidence_is_the_same_for_the_same_seed_and_differs_for_another():
    claim = inequalities.SUCCESS_IN_BALL
    first, again = (attack(claim, "one_correct", SMALL, shapes=((2, 1), (3, 2))) for _ in range(2))
    assert first == again
    assert first.witness == again.witness
    other = Budget(instances=90, starts=40, restarts=1, seed=1)
    assert try_random(claim, "one_correct", other).ratio != try_random(claim, "one_correct", SMALL).ratio


def test_evidence_replays_from_its_witness():
    claim = inequalities.CURVATURE_IN_BALL
    for found in (try_random(claim, "binary", SMALL), attack(claim, "binary", SMALL, shapes=((2, 1),))):
        stored = WorstCase.from_dict(json.loads(json.dumps(found.witness)))
        assert stored.replay(claim) == pytest.approx(found.ratio, rel=1e-9)
        assert (found.measured, found.bound) == (pytest.approx(2.5 * found.ratio), 2.5)


@pytest.mark.parametrize("rewards", ["one_correct", "binary", "real"])
def test_random_instances_cover_the_reward_kinds_and_rare_successes(rewards):
    drawn = random_instances(rewards, Budget(instances=900))
    assert sum(bandit.num_prompts for bandit, _ in drawn) == 900
    if rewards == "real":
        assert not any(bandit.is_binary for bandit, _ in drawn)
        return
    totals = {int(total) for bandit, _ in drawn for total in bandit.rewards.sum(axis=1)}
    assert (totals == {1}) == (rewards == "one_correct")
    rare = [bandit.select([i]) for bandit, _ in drawn for i in range(bandit.num_prompts)]
    assert len(rare) == 900


def test_place_of_the_worst_instance_is_described_by_rounded_numbers():
    found = attack(inequalities.CURVATURE_BY_STD, "binary", SMALL, shapes=((2, 1),))
    assert reward_std(found) == "σ = 0.354"  # p(1 − p) = 1/8
    assert rarer_success(attack(inequalities.LOG_STD_SLOPE, "binary", SMALL, shapes=((2, 1),))) == "q → 0"
    with pytest.raises(ValueError, match="no instance"):
        rarer_success(evidence(0.5))


def test_workers_change_no_number():
    claims = CLAIMS.select(["c3-root-five", "eq-15"])
    here, there = check(claims, SMALL), check(claims, SMALL, jobs=1)
    assert here == there
    assert list(there) == ["eq-15", "c3-root-five"]


def test_progress_is_reported_claim_by_claim():
    seen = []
    check(tiny_registry().select(), SMALL, done=lambda claim, outcome: seen.append((claim.id, outcome.label)))
    assert seen[1] == ("loose", "holds, loose by ×2.00")
    assert len(seen) == 4
    with pytest.raises(ValueError, match="jobs is -1"):
        check([], SMALL, jobs=-1)


# Printing


def test_printed_rows_can_be_read_back():
    ledger = read(printed())
    assert list(ledger.rows) == ["sharp", "loose", "false", "equal"]
    row = dict(zip((*COLUMNS, "Section"), ledger.rows["loose"], strict=True))
    assert row["Statement"] == "|loose| ≤ 1"
    assert (row["Measured"], row["Bound"], row["Ratio"], row["Instances"]) == ("0.5", "1", "0.5", "10")
    assert row["Verdict"] == "holds, loose by ×2.00"
    assert row["Section"] == "Ours"
    assert "(figures/curvature_vs_std.svg)" in row["Test · figure · proof"]
    assert "(tests/unit/test_ledger.py)" in row["Test · figure · proof"]
    assert json.loads(ledger.counterexamples["false"]) == {"theta": [0.25]}
    assert set(ledger.counterexamples) == {"false"}


def test_header_states_seed_instances_version_and_every_verdict():
    text = printed(budget=Budget(instances=77, seed=5))
    assert "Seed 5, 77 random instances a claim" in read(text).settings
    assert curvature.__version__ in read(text).settings
    for verdict in Verdict:
        assert str(verdict) in text.partition("## ")[0]
    assert "curvature check --only ID" in text


def test_instance_without_the_assumption_is_stored_although_the_claim_holds():
    registry = Registry()
    outcome = judge_needed(evidence(0.9), evidence(3.0, 1, witness={"rewards": [0, 0.01]}))
    options = {"statement": "s", "source": "Ours", "section": "S", "kind": "assumption", "test": "t::t"}
    registry.claim(id="needed", **options)(lambda budget: outcome)
    assert json.loads(read(printed(registry)).counterexamples["needed"]) == {"rewards": [0, 0.01]}


def test_table_of_some_rows_has_no_header_text():
    claims = tiny_registry().select(["loose"])
    assert len(render_table(claims, check(claims, SMALL)).splitlines()) == 3


# Staleness


def test_ledger_is_not_stale_against_itself():
    assert stale_rows(printed(), printed()) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("| 0.5 |", "| 0.5004 |"),  # a last digit
        ("3e-16", "7.1e-15"),  # a rounding error on another machine
        ("×2.00", "×2.01"),
        ("| 10 |", "| 17 |"),  # a minimiser stopped later
    ],
)
def test_other_machines_last_digits_do_not_make_a_ledger_stale(old, new):
    assert old in printed()
    assert stale_rows(printed().replace(old, new), printed()) == []


@pytest.mark.parametrize(
    ("old", "new", "row"),
    [
        ("holds, loose by ×2.00", "holds", "loose: verdict"),
        ("holds, loose by ×2.00", "holds, loose by ×2.10", "loose: verdict"),
        ("| 0.5 |", "| 0.52 |", "loose: ratio"),
        ("|loose\\| ≤ 1", "|loose\\| ≤ 2", "loose: statement"),
        ("| reached |", "| attained |", "sharp: why"),
        ("| 10 |", "| 30 |", "sharp: instances"),
        ("3e-16", "3e-8", "equal: measured"),
        ("0.25]", "0.35]", "false: the stored counterexample"),
        ("figures/curvature_vs_std.svg", "figures/std_ball.svg", "loose: test · figure · proof"),
        ("Seed 0", "Seed 1", "header: "),
        ("## Paper", "## Other", "false: section"),
        ("| `equal` Ours", "| `equals` Ours", "equal: the committed ledger has no such row"),
        ("| `equal` Ours", "| `equals` Ours", "equals: no claim has this id any more"),
    ],
)
def test_change_of_words_or_numbers_is_stale_and_names_its_row(old, new, row):
    changed = printed().replace(old, new)
    assert changed != printed()
    assert any(sentence.startswith(row) for sentence in stale_rows(changed, printed()))


def test_rows_in_another_order_are_stale():
    lines = printed().splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("| `sharp`"))
    lines[at], lines[at + 1] = lines[at + 1], lines[at]
    assert stale_rows("\n".join(lines), printed()) == [
        "order: the committed rows are not in the code's order."
    ]


def test_comparison_can_be_limited_to_some_rows():
    changed = printed().replace("holds, loose by ×2.00", "holds").replace("Seed 0", "Seed 1")
    assert stale_rows(changed, printed(), only={"sharp"}) == []
    assert len(stale_rows(changed, printed(), only={"loose"})) == 1


def test_row_of_fewer_columns_is_stale():
    assert "has 11 columns" in stale_rows(printed().replace("| reached |", "|"), printed())[0]


# The real registry


@pytest.mark.parametrize("claim", CLAIMS.select(), ids=lambda claim: claim.id)
def test_every_row_links_a_test_a_figure_and_proofs_that_exist(claim):
    path, name = claim.test.split("::")
    assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8")
    if claim.figure:
        assert (ROOT / "experiments" / f"{claim.figure}.py").is_file()
    assert isinstance(curvature.proofs.PROOFS, Mapping)
    assert set(claim.proofs) <= set(curvature.proofs.PROOFS)
    for _, link in _links(render_table([claim], {claim.id: judge_identity(0.0, 0.0, 1)})):
        assert (ROOT / link).exists() or link.startswith("figures/")


def _links(text):
    import re

    return re.findall(r"\[([^]]+)\]\(([^)]+)\)", text)


@pytest.mark.parametrize("claim", [c for c in CLAIMS if c.kind == "sharp upper bound"], ids=lambda c: c.id)
def test_every_sharp_bound_is_reached(claim):
    assert claim.check(SMALL).label == "holds"


def test_ids_cover_what_the_paper_numbers_up_to_lemma_d_1():
    needed = {"A1", "A2", "lemma-3.1-variance", "lemma-3.1-smooth", "lemma-3.2", "lemma-3.3", "lemma-D.1"}
    needed |= {f"eq-{number}" for number in (4, 5, 10, 11, 12, 14, 15, 16)}
    needed |= {
        "c3-success",
        "c3-five-halves",
        "c3-root-five",
        "d3-step",
        "L1",
        "L2",
        "L3",
        "L4",
        "C1",
        "C1-max",
    }
    assert needed <= {claim.id for claim in CLAIMS}


def test_committed_ledger_has_the_rows_and_statements_of_the_registry():
    rows = read((ROOT / "paper_checks.md").read_text(encoding="utf-8")).rows
    assert {id: cells[1] for id, cells in rows.items()} == {claim.id: claim.statement for claim in CLAIMS}
