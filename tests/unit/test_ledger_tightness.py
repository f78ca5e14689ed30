"""The ledger says of every upper bound how close its worst instance comes, and what is known of a sharper constant."""

import json

import pytest

from curvature.ledger import CLAIMS, Budget, Evidence, Verdict
from curvature.ledger.mutation import stored_mutation
from curvature.ledger.render import columns, read, render_table
from curvature.ledger.step_claims import ATTACKS
from curvature.ledger.step_evidence import attack_step, known_instances
from curvature.ledger.tightness import SHARPER, has_tightness, tightness
from curvature.ledger.verdicts import judge_mended, judge_upper

SMALL = Budget(instances=60, starts=20, restarts=1)
BOUNDS = [claim.id for claim in CLAIMS if has_tightness(claim)]


def evidence(ratio):
    return Evidence(ratio, 1.0, ratio, 10)


def test_reached_bound_says_so_and_another_gives_its_ratio_and_what_is_known():
    row = CLAIMS["lemma-3.1-variance"]
    assert tightness(row, judge_upper(evidence(0.9995))) == "sharp"
    assert tightness(row, judge_upper(evidence(0.5))) == "0.5; proved: 2 for 4 (C1, ℓ(q) ≤ p(1 − p))"
    assert tightness(CLAIMS["L1"], judge_upper(evidence(0.5))) == "0.5; open"


def test_repaired_statement_has_the_tightness_of_its_repair_and_a_false_one_none():
    row = CLAIMS["thm-3.1-gain"]
    repaired = judge_mended(evidence(2.0), evidence(0.5))
    assert repaired.verdict is Verdict.REPAIRED
    assert tightness(row, repaired).startswith("0.5; proved")
    assert tightness(row, judge_upper(evidence(2.0))) == "—"
    assert tightness(CLAIMS["eq-12"], judge_upper(evidence(0.5))) == "—"


def test_table_of_sharper_constants_names_upper_bounds_and_says_how_each_is_known():
    assert set(SHARPER) <= set(BOUNDS)
    assert not [id for id in SHARPER if CLAIMS[id].kind == "sharp upper bound"]
    for phrase in SHARPER.values():
        assert phrase.split()[0].rstrip(":;") in {"proved", "follows", "conjectured", "open"}


# Sharp upper bounds are checked with the ledger's other promises, and none may stand in the table. Rows made of long
# runs are left to the ledger itself.
SLOW = ("thm-3", "T3", "C1-rate", "eq-32", "II.6", "mei", "razin", "improvement", "heterogeneity", "abstract")


@pytest.mark.parametrize(
    "id", [id for id in BOUNDS if CLAIMS[id].kind == "upper bound" and not id.startswith(SLOW)]
)
def test_row_stands_in_the_table_exactly_if_it_is_not_reached(id):
    outcome = CLAIMS[id].body(Budget(instances=60, starts=100, restarts=1))
    assert (tightness(CLAIMS[id], outcome) == "sharp") == (id not in SHARPER)


@pytest.mark.parametrize("row", ["T1", "thm-3.4-gain"])
def test_search_of_a_step_claim_never_falls_short_of_what_is_known(row):
    found = attack_step(row, SMALL)
    assert known_instances()[row].ratio * (1 - 1e-8) <= found.ratio <= 1
    assert found.instances > 20


def test_every_known_instance_belongs_to_an_attack_and_every_attack_to_a_row():
    assert set(known_instances()) == set(ATTACKS)
    assert {name.split(" for ")[0] for name in ATTACKS} <= set(BOUNDS)


def test_mutation_has_a_column_only_where_a_run_is_stored(tmp_path):
    row = [CLAIMS["L1"], CLAIMS["L2"]]
    outcomes = {claim.id: judge_upper(evidence(1.0)) for claim in row}
    assert "Mutation" not in render_table(row, outcomes, mutation=None)
    path = tmp_path / "mutation.json"
    path.write_text(json.dumps({"L1": "killed"}))
    stored = stored_mutation(path)
    table = read(render_table(row, outcomes, mutation=stored)).rows
    place = columns(stored).index("Mutation")
    assert (table["L1"][place], table["L2"][place]) == ("killed", "—")
    assert stored_mutation(tmp_path / "none.json") is None
    path.write_text("[1]")
    with pytest.raises(ValueError, match="from claim ids to words"):
        stored_mutation(path)


def test_the_stored_mutation_counts_are_of_claims_that_exist_and_no_change_of_their_constants_goes_unnoticed():
    stored = stored_mutation()
    assert stored
    assert set(stored) <= {claim.id for claim in CLAIMS}
    for id, word in stored.items():
        killed, tried = (int(number) for number in word.removesuffix(" killed").split("/"))
        assert 0 < killed == tried, id
