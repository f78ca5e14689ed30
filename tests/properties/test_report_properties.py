"""Any text at all may come out of a log: none of it acts on a terminal or a browser."""

import json
import re
import unicodedata
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from curvature.rollouts import html
from curvature.rollouts._format import clean, number
from curvature.rollouts.html import render_html
from curvature.rollouts.jsonable import to_json
from curvature.rollouts.terminal import render_terminal
from tests.unit.diagnosis_example import make_diagnosis

# Pieces of escape sequences and of markup are far likelier here than among all characters.
PIECES = [
    "\x1b",
    "\x1b[",
    "\x1b]",
    "\x9b",
    "\x9d",
    "\x07",
    "\x1b\\",
    "31m",
    "2J",
    "<",
    ">",
    '"',
    "'",
    "&",
    "script",
    "--",
]
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=[])), st.lists(st.sampled_from(PIECES)).map("".join)
)
WHOLE = make_diagnosis()


def with_text(text):
    source = replace(WHOLE.source, paths=(text,), first_bad_rows=((text, 1, text),), notes=((text, text, 1),))
    verdict = replace(WHOLE.verdict, headline=text, flags=((text, text),))
    return replace(WHOLE, source=source, verdict=verdict)


def acts(character):
    """Say whether a terminal would act on it, newlines aside."""
    return unicodedata.category(character) in {"Cc", "Cs"} and character != "\n"


class Elements(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, sorted(name for name, _ in attributes)))


@given(TEXTS)
def test_clean_text_has_no_control_character_and_stays_as_it_is(text):
    cleaned = clean(text)
    assert not any(acts(character) for character in cleaned)
    assert "\n" not in cleaned
    assert clean(cleaned) == cleaned
    cleaned.encode("utf-8")


@given(TEXTS)
def test_terminal_summary_of_any_text_has_no_control_character(text):
    shown = render_terminal(with_text(text), color=False, width=80)
    assert not any(acts(character) for character in shown)


@cache
def _plain_elements():
    """Of a short and of a long title: a long one is set smaller, by a class of its own."""
    return tuple(Elements(render_html(with_text(text))).found for text in ("a log", 300 * "a"))


@given(TEXTS)
def test_page_of_any_text_has_the_same_elements(text):
    with mock.patch.object(html, "PLOTS", {}):
        page = render_html(with_text(text))
        assert Elements(page).found in _plain_elements()
    page.encode("utf-8")


@given(TEXTS)
def test_json_of_any_text_gives_it_back(text):
    found = json.loads(to_json(with_text(text)).encode("utf-8"))
    expected = re.sub(
        "[\ud800-\udfff]", "\ufffd", text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    )
    assert found["source"]["paths"] == [expected]


@given(st.one_of(st.floats(-1e300, 1e300), st.sampled_from([float("nan"), float("inf"), float("-inf")])))
def test_number_is_written_in_few_characters_and_reads_back_to_three_digits(value):
    written = number(value)
    if value != value or abs(value) == float("inf"):
        assert written in {"—", "∞", "−∞"}
        return
    back = float(written.replace("−", "-").replace("\u202f", ""))
    assert abs(back - value) <= 0.005001 * abs(value)
    assert len(written) <= 20
