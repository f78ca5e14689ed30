"""The summary in the terminal: the verdict first, within its columns, and deaf to what a log would have it do."""

import io
import re
import sys
from dataclasses import replace

import pytest
from rich.cells import cell_len

from curvature.rollouts._format import (
    by_experiment,
    clean,
    counted,
    interval,
    listed,
    number,
    numbered_assumptions,
    share,
    sizes,
    with_interval,
)
from curvature.rollouts.findings import Estimate, Limit, Prediction
from curvature.rollouts.terminal import render_terminal, sparkline
from tests.unit.diagnosis_example import (
    HOSTILE,
    make_bare_diagnosis,
    make_diagnosis,
    make_hostile_diagnosis,
)

COLOR = re.compile("\x1b\\[[0-9;]*m")


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("make", [make_diagnosis, make_bare_diagnosis, make_hostile_diagnosis])
@pytest.mark.parametrize("width", [40, 60, 80, 110])
def test_no_line_is_wider_than_asked_for(make, width):
    for line in render_terminal(make(), color=False, width=width).splitlines():
        assert cell_len(line) <= width, line


def test_verdict_comes_first_and_every_part_follows():
    text = render_terminal(make_diagnosis(), color=False, width=80)
    parts = [
        "Effect predicted by theory",
        "leaning: keep the std",
        "κ_G is 1.046",
        "What was read",
        "128 000 rollouts".replace(" ", "\u202f", 1),
        "3 rows could not be read",
        "Convention",
        "those of trl",
        "Measured",
        "Who gets the update",
        "Largest advantages",
        "What theory predicts",
        "assuming (1) prompts do not overlap",
        "What this log cannot say",
        "How to set it",
        "scale_rewards='group'",
    ]
    places = [text.find(part) for part in parts]
    assert -1 not in places, parts[places.index(-1)]
    assert places == sorted(places)


def test_measured_numbers_stand_beside_their_intervals():
    lines = render_terminal(make_diagnosis(), color=False, width=80).splitlines()
    row = next(line for line in lines if line.strip().startswith("accuracy"))
    assert re.search(r"55\.3.%\s+\[53\.6, 57\.0\]\s+▁\S*█\s+30\.0 → 75\.0", row)
    row = next(line for line in lines if line.strip().startswith("group  "))
    assert "1.046  [1.03, 1.06]" in row


def test_number_without_an_interval_says_why():
    text = render_terminal(make_diagnosis(), color=False, width=110)
    row = text[text.index("steps to 0.9") : text.index("assuming")]
    assert "2.10" in row
    assert "no interval:" in row


def test_plain_text_holds_no_escape_and_colour_changes_no_word():
    plain = render_terminal(make_diagnosis(), color=False, width=80)
    coloured = render_terminal(make_diagnosis(), color=True, width=80)
    assert "\x1b" not in plain
    assert COLOR.search(coloured)
    words = [line.rstrip() for line in COLOR.sub("", coloured).splitlines()]
    assert words == plain.splitlines()


@pytest.mark.parametrize(
    ("stream", "variables", "expected"),
    [
        (Terminal, {}, True),
        (Terminal, {"NO_COLOR": "1"}, False),
        (Terminal, {"NO_COLOR": ""}, True),  # no-color.org: only when not empty
        (io.StringIO, {}, False),
        (io.StringIO, {"FORCE_COLOR": "1"}, False),
    ],
)
def test_colour_is_for_terminals_that_want_it(monkeypatch, stream, variables, expected):
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", stream())
    assert ("\x1b" in render_terminal(make_diagnosis())) is expected


@pytest.mark.parametrize("color", [True, False])
def test_hostile_text_is_shown_but_cannot_act(color):
    text = COLOR.sub("", render_terminal(make_hostile_diagnosis(), color=color, width=80))
    assert "<script>" in text
    for character in "\x1b\x07\u202e\udcff":
        assert character not in text
    assert "title" not in text  # the payload of an escape sequence goes with it
    text.encode("utf-8")


@pytest.mark.parametrize(
    ("hostile", "harmless"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b[Hgone", "gone"),
        ("\x9b31mred", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPdevice\x1b\\after", "after"),
        ("\x1bcreset", "reset"),
        ("\x1b]never ended", "never ended"),
        ("two\nlines\tand\rmore", "two lines and more"),
        ("bell\x07 null\x00 del\x7f c1\x85", "bell null del c1"),
        ("txt.\u202egnp", "txt.gnp"),
        ("half \ud800 pair", "half \ufffd pair"),
        ("[bold]σ̂ = 1/2[/bold] 😀", "[bold]σ̂ = 1/2[/bold] 😀"),
        ("", ""),
    ],
)
def test_clean_takes_out_what_a_terminal_would_act_on(hostile, harmless):
    assert clean(hostile) == harmless


def test_cleaning_twice_changes_nothing_even_where_taking_out_joins_the_rest():
    nested = "\x1b\x1b[31m[31mx"
    assert "\x1b" not in clean(nested)
    assert clean(clean(HOSTILE)) == clean(HOSTILE)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (float("nan"), "—"),
        (None, "—"),
        (float("inf"), "∞"),
        (float("-inf"), "−∞"),
        (0.0, "0"),
        (-0.0, "0"),
        (1.0, "1"),
        (-2.47441, "−2.47"),
        (0.05, "0.0500"),
        (0.00019, "0.000190"),
        (3.1e-8, "3.1e−8"),
        (999.6, "1\u202f000"),
        (12345.678, "12\u202f346"),
        (1.2345e7, "12\u202f345\u202f000"),
        (1234567.8, "1.23e+6"),
        (16000, "16\u202f000"),
        (1e-4, "0.000100"),
    ],
)
def test_numbers_are_written_to_three_digits(value, written):
    assert number(value) == written


def test_shares_and_intervals_are_written_alike():
    assert share(0.4123) == "41.2\u202f%"
    assert share(float("nan")) == "—"
    estimate = Estimate(0.4123, 0.4, 0.42, "m")
    assert with_interval(estimate, is_share=True) == "41.2\u202f% [40.0, 42.0]"
    assert with_interval(estimate) == "0.412 [0.400, 0.420]"
    nan = float("nan")
    assert interval(Estimate(1.0, nan, nan, "m")) == ""
    assert with_interval(Estimate(1.0, nan, nan, "m")) == "1"
    assert (counted(1, "group"), counted(2, "group")) == ("1 group", "2 groups")


def test_assumptions_are_listed_once_and_told_by_number():
    alike = Estimate(1.0, 0.9, 1.1, "m")
    made = [
        Prediction("p", alike, "f", "s", given)
        for given in ((), ("a", "b", "c"), ("b",), ("d", "a", "c", "f"))
    ]
    assumptions, references = numbered_assumptions(made)
    assert assumptions == ["a", "b", "c", "d", "f"]
    assert references == ["", "1–3", "2", "1, 3–5"]


def test_questions_that_one_experiment_settles_stand_together():
    limits = [Limit("1?", "w", "x"), Limit("2?", "w", "y"), Limit("3?", "w", "x")]
    found = [(experiment, [limit.question for limit in group]) for experiment, group in by_experiment(limits)]
    assert found == [("x", ["1?", "3?"]), ("y", ["2?"])]


def test_summary_shows_the_flags_of_few_trainers_and_says_where_the_others_are():
    whole = make_diagnosis()
    flags = tuple((f"trainer{i}", f"flag{i}") for i in range(9))
    text = render_terminal(replace(whole, verdict=replace(whole.verdict, flags=flags)), color=False, width=80)
    assert "6 more trainers: --html or --json" in text
    assert "flag2" in text
    assert "flag3" not in text


def test_long_lists_are_cut_short():
    assert listed(["a", "b"]) == ["a", "b"]
    assert listed([str(i) for i in range(250)]) == ["0", "…", "249"]
    assert sizes({7: 10, 8: 15_990}) == "8 (15\u202f990 groups), 7 (10 groups)"
    assert sizes(dict.fromkeys(range(1, 100), 1)).endswith("6 (1 group) and others (93 groups)")


@pytest.mark.parametrize(
    ("values", "bars"),
    [
        ([], ""),
        ([float("nan")], ""),
        ([0, 1], "▁█"),
        ([0, float("nan"), 1], "▁·█"),
        ([3, 3, 3], "▅▅▅"),
        (range(8), "▁▂▃▄▅▆▇█"),
    ],
)
def test_sparkline_spans_its_values(values, bars):
    assert sparkline(values) == bars


def test_sparkline_with_given_ends_can_be_compared_with_another():
    assert sparkline([0.5, 1.0], low=0.0, high=2.0) == "▃▅"


def test_too_narrow_a_width_is_refused():
    with pytest.raises(ValueError, match=r"width is 10; at least 40 columns"):
        render_terminal(make_diagnosis(), width=10)


def test_missing_rich_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.console", None)
    with pytest.raises(ImportError, match=r"pip install 'curvature\[logs\]'"):
        render_terminal(make_diagnosis())
