"""The JSON of a diagnosis: strict, in a fixed order, and without loss."""

import json
import math
from dataclasses import fields, replace

import numpy as np
import pytest

from curvature.rollouts.findings import Diagnosis, Estimate
from curvature.rollouts.jsonable import SCHEMA_VERSION, to_json
from tests.unit.diagnosis_example import (
    HOSTILE,
    make_bare_diagnosis,
    make_diagnosis,
    make_hostile_diagnosis,
)


def strictly(text):
    """Parse JSON as RFC 8259 has it, without the NaN and Infinity that Python would let through."""

    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize("make", [make_diagnosis, make_bare_diagnosis, make_hostile_diagnosis])
def test_json_is_strict_and_can_be_encoded(make):
    text = to_json(make())
    strictly(text.encode("utf-8").decode("utf-8"))


def test_keys_are_the_attributes_in_their_order_after_the_schema():
    found = strictly(to_json(make_diagnosis()))
    assert list(found) == ["schema", "schema_version", *(field.name for field in fields(Diagnosis))]
    assert found["schema"] == "curvature.diagnosis"
    assert found["schema_version"] == SCHEMA_VERSION == 1


def test_same_diagnosis_gives_the_same_bytes():
    assert to_json(make_diagnosis()) == to_json(make_diagnosis())


def test_numbers_survive_to_the_last_bit():
    value = 0.1 + 0.2
    whole = make_diagnosis()
    changed = replace(
        whole, overall=whole.overall | {"accuracy": Estimate(value, np.float64(value), 1.0, "m")}
    )
    found = strictly(to_json(changed))["overall"]["accuracy"]
    assert (found["value"], found["low"], found["high"]) == (value, value, 1.0)


def test_tables_are_lists_of_records():
    whole = make_diagnosis()
    found = strictly(to_json(whole))
    for name in ("windows", "difficulty", "deciles", "schemes", "extremes"):
        table = getattr(whole, name)
        assert len(found[name]) == len(table), name
        assert list(found[name][0]) == list(table.columns), name
    assert found["windows"][0]["first_step"] == 1
    assert found["convention"]["candidates"][0] == {
        "convention": "trl",
        "largest_error": 3.1e-8,
        "share_matched": 1.0,
    }


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_cannot_hold_are_null(value):
    whole = make_diagnosis()
    schemes = whole.schemes.assign(kappa=value)
    changed = replace(
        whole, schemes=schemes, overall={"accuracy": Estimate(value, value, value, "no interval")}
    )
    found = strictly(to_json(changed))
    assert found["overall"]["accuracy"]["low"] is None
    assert found["schemes"][1]["kappa"] is None


def test_plain_tuples_have_named_places():
    found = strictly(to_json(make_diagnosis()))
    assert found["source"]["first_bad_rows"][0]["line"] == 41
    assert found["source"]["notes"][0] == {
        "code": "lost_members",
        "text": "10 groups have 7 members where the others have 8.",
        "count": 10,
    }
    assert found["verdict"]["flags"][0] == {"trainer": "trl", "flag": "GRPOConfig(scale_rewards='group')"}
    assert found["source"]["group_sizes"] == {"8": 15_990, "7": 10}
    assert found["convention"]["normalization"]["eps"] == 1e-4


def test_half_a_surrogate_pair_becomes_a_replacement_and_whole_pairs_stay():
    whole = make_diagnosis()
    changed = replace(whole, source=replace(whole.source, paths=("a\udcffb", "😀")))
    assert strictly(to_json(changed))["source"]["paths"] == ["a\ufffdb", "😀"]
    assert "\x1b" in HOSTILE
    assert "\x1b" not in to_json(make_hostile_diagnosis())  # JSON escapes it


def test_one_line_where_asked_for():
    assert "\n" not in to_json(make_diagnosis(), indent=None)


def test_what_json_has_no_word_for_is_refused():
    whole = make_diagnosis()
    worst = whole.convention.worst | {"group": object()}
    with pytest.raises(TypeError, match="JSON has no word for"):
        to_json(replace(whole, convention=replace(whole.convention, worst=worst)))
