"""The report: one page that holds everything, asks nobody for anything, and cannot be taken over by a log."""

import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import matplotlib as mpl
import pytest

from curvature import plotting
from curvature.rollouts import _plots, html
from curvature.rollouts._svg import PAGE_RC, THEMED, inline_svg
from curvature.rollouts.html import render_html
from tests.unit.diagnosis_example import (
    make_bare_diagnosis,
    make_diagnosis,
    make_hostile_diagnosis,
)

VOID = {"meta", "br", "link", "img", "hr", "input"}
SECTIONS = [
    "What was read",
    "Which convention made these advantages",
    "Accuracy and σ over steps",
    "Silent groups",
    "Who gets the update",
    "Largest advantages",
    "Thresholds over steps",
    "What theory predicts",
    "What this log cannot say",
    "How to set it",
    "How this was made",
]


class Page(HTMLParser):
    """Every element with its attributes, the text of each, and whether all that is opened is closed."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.texts, self.open = [], {}, []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def text(self, tag):
        return " ".join(" ".join(self.texts.get(tag, [])).split())


@pytest.fixture(scope="module")
def pages():
    made = {"whole": make_diagnosis(), "bare": make_bare_diagnosis(), "hostile": make_hostile_diagnosis()}
    return {name: render_html(diagnosis, seed=3) for name, diagnosis in made.items()}


@pytest.fixture
def without_plots(monkeypatch):
    """Draw nothing, where the words alone are looked at."""
    monkeypatch.setattr(html, "PLOTS", {})


@pytest.fixture(params=["whole", "bare", "hostile"])
def page(request, pages):
    return Page(pages[request.param])


def test_every_element_is_closed_and_every_id_is_one_of_a_kind(page):
    assert page.open == []
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_nothing_is_fetched_and_nothing_runs(page, pages):
    for tag, attributes in page.elements:
        assert tag not in {
            "script",
            "link",
            "img",
            "iframe",
            "object",
            "embed",
            "form",
            "base",
            "image",
            "a",
        }, tag
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in {"src", "href", "xlink:href", "data", "action", "srcset", "poster"}:
                assert value.startswith("#"), (tag, name, value)
    for text in pages.values():
        style = re.search(r"<style>.*?</style>", text, re.DOTALL).group()
        assert "url(" not in style
        assert "@import" not in style


def test_content_security_policy_forbids_what_is_not_needed(page):
    policy = next(a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def test_references_inside_plots_lead_somewhere(pages):
    for text in pages.values():
        ids = set(re.findall(r' id="([^"]+)"', text))
        used = set(re.findall(r'(?:url\(#|href="#|aria-labelledby=")([^)"]+)', text))
        assert used
        assert used <= ids


@pytest.mark.parametrize("name", ["whole", "hostile"])
def test_sections_come_in_order_and_are_named(pages, name):
    page = Page(pages[name])
    headings = [text.strip() for text in page.texts["h2"]]
    assert headings == SECTIONS
    named = [
        attributes["aria-labelledby"] for tag, attributes in page.elements if tag in {"section", "footer"}
    ]
    ids = [attributes["id"] for attributes in page.all("h2")]
    assert named == ids


def test_bare_diagnosis_says_in_each_section_why_it_is_empty(pages):
    page = Page(pages["bare"])
    assert [text.strip() for text in page.texts["h2"]] == SECTIONS
    words = page.text("p")
    for sentence in (
        "The log holds none",
        "This theory needs rewards of two values",
        "Nothing: the theory at hand needs rewards of two values",
        "There is no flag to recommend",
    ):
        assert sentence in words


def test_headings_begin_with_one_h1_and_skip_no_level(page):
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_every_plot_has_a_name_and_every_table_a_caption_and_heads(page):
    labels = [attributes.get("aria-label") for attributes in page.all("svg")]
    assert all(labels)
    assert len(set(labels)) == len(labels)
    assert all(attributes.get("role") == "img" for attributes in page.all("svg"))
    assert len(page.all("figure")) == len(page.all("figcaption")) == len(labels)
    assert len(page.all("table")) == len(page.all("caption")) > 0
    assert all(attributes.get("scope") in {"col", "row"} for attributes in page.all("th"))


def test_every_table_scrolls_in_a_box_that_the_keyboard_reaches(page):
    boxes = [a for a in page.all("div") if a.get("class") == "scroll"]
    assert len(boxes) == len(page.all("table"))
    assert all(a["tabindex"] == "0" and a["role"] == "region" and a["aria-label"] for a in boxes)


def test_whole_report_shows_all_seven_plots_and_bare_one_only_what_it_knows(pages):
    assert len(Page(pages["whole"]).all("svg")) == 7
    assert len(Page(pages["bare"]).all("svg")) == 5  # neither thresholds nor gains


def test_page_adapts_to_phone_theme_and_paper(pages):
    whole = pages["whole"]
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in whole
    for rule in ("prefers-color-scheme: dark", "max-width: 34rem", "@media print"):
        assert rule in whole


def test_numbers_of_the_diagnosis_stand_beside_their_intervals(pages):
    words = _words(pages["whole"])
    for expected in (
        "55.3\u202f% [53.6, 57.0]",
        "0.312 [0.303, 0.321]",
        "1.046 [1.034, 1.058]",
        "1.05 [1.03, 1.06]",
        "2.10 none 4–6 t = ∫",
        "128\u202f000 rollouts in 16\u202f000 groups of 7\u202f473 prompts",
        "completions_00017.parquet 41",
        "−2.474",
        "Seed 3",
    ):
        assert expected in words, expected


def test_predictions_that_assume_the_same_share_one_list(without_plots):
    whole = make_diagnosis()
    first, second = whole.predictions
    alike = replace(second, assumptions=first.assumptions)
    page = Page(render_html(replace(whole, predictions=(first, second, alike))))
    words = page.text("li")
    for assumption in (*first.assumptions, *second.assumptions):
        assert words.count(assumption) == 1


def test_long_verdict_is_set_smaller(without_plots):
    whole = make_diagnosis()
    long = replace(whole, verdict=replace(whole.verdict, headline="effect " * 40))
    assert [Page(render_html(d)).all("h1")[0].get("class") for d in (whole, long)] == [None, "long"]


def test_hostile_text_is_shown_and_never_markup(pages):
    text = pages["hostile"]
    assert "&lt;script&gt;" in text
    assert "<script" not in text.lower()
    for character in "\x1b\x07\u202e\udcff":
        assert character not in text
    assert text.count("&lt;script&gt;") >= 20  # it was put into every field that comes from a log
    text.encode("utf-8")


@pytest.mark.parametrize(
    "payload", ['" onmouseover="x', "'><img src=x>", "{{ 7*7 }}", "</style><script>", "&lt;b&gt;"]
)
def test_text_cannot_leave_its_attribute_or_become_a_template(payload, without_plots):
    whole = make_diagnosis()
    verdict = replace(whole.verdict, headline=payload, flags=((payload, payload),))
    source = replace(whole.source, paths=(payload,), notes=((payload, payload, 1),))
    page = Page(render_html(replace(whole, verdict=verdict, source=source), command=payload))
    assert page.text("h1") == " ".join(payload.split())
    assert not page.all("img")
    assert not page.all("script")
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)


def test_same_diagnosis_gives_the_same_page(pages):
    assert render_html(make_diagnosis(), seed=3) == pages["whole"]


def test_page_loads_itself_again_only_while_a_run_is_followed(pages, without_plots):
    assert 'http-equiv="refresh"' not in pages["whole"]
    followed = Page(render_html(make_diagnosis(), refresh=5.0))
    assert [a["content"] for a in followed.all("meta") if a.get("http-equiv") == "refresh"] == ["5.0"]


def test_command_and_versions_say_how_it_was_made(pages):
    words = _words(pages["whole"])
    assert "curvature diagnose runs/qwen-1.5b/completions" in words
    assert f"Python {sys.version_info.major}.{sys.version_info.minor}" in words
    assert f"matplotlib {mpl.__version__}" in words


def _words(text):
    """Text without its elements; narrow spaces stay."""
    return re.sub(r"[ \n]+", " ", re.sub(r"<[^>]+>", " ", text))


def _luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_and_plots_stand_out_from_the_page(pages, theme):
    """WCAG 2.1 AA: 4.5 for text, 3 for graphics."""
    blocks = re.findall(r":root \{(.*?)\}", pages["whole"], re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", blocks[0 if theme == "light" else 1]))
    for ground in ("page", "panel"):
        for name, colour in colours.items():
            least = 3.0 if name.startswith("plot-") else 4.5
            if name in {"page", "panel", "rule"}:
                continue
            pair = sorted([_luminance(colour), _luminance(colours[ground])])
            contrast = (pair[1] + 0.05) / (pair[0] + 0.05)
            assert contrast >= least, f"{name} on {ground}: {contrast:.2f}"


def test_every_colour_of_the_plots_follows_the_theme(pages):
    for svg in re.findall(r"<svg.*?</svg>", pages["whole"], re.DOTALL):
        assert re.findall(r"#[0-9a-fA-F]{6}\b", svg) == []
    defined = set(re.findall(r"(--[\w-]+):", pages["whole"]))
    assert {value[4:-1] for value in THEMED.values()} <= defined


def test_letters_of_plots_are_text_and_ids_carry_the_prefix():
    with plotting.style(), mpl.rc_context(PAGE_RC):
        drawing, axes = plotting.figure(size=_plots.SIZE)
        _plots.plot_accuracy(make_diagnosis().windows, axes[0])
        text = inline_svg(drawing, prefix="one", label='accuracy "&" <σ>')
    assert ">accuracy</text>" in text
    assert 'aria-label="accuracy &quot;&amp;&quot; &lt;σ&gt;"' in text
    assert all(name.startswith("one-") for name in re.findall(r' id="([^"]+)"', text))


@pytest.mark.parametrize(
    ("draw", "table", "lines"),
    [
        (_plots.plot_accuracy, "windows", 1),
        (_plots.plot_std, "windows", 1),
        (_plots.plot_silent, "windows", 4),
        (_plots.plot_thresholds, "windows", 3),
        (_plots.plot_weights, "difficulty", 5),
        (_plots.plot_shares_by_decile, "deciles", 6),
        (_plots.plot_gains, "schemes", 2),
    ],
)
def test_plot_draws_into_the_axes_given_and_returns_them(draw, table, lines):
    frame = getattr(make_diagnosis(), table)
    _, axes = plotting.figure()
    assert draw(frame, axes[0]) is axes[0]
    assert len(axes[0].lines) == lines
    assert axes[0].get_xlabel()


def test_plot_of_the_thresholds_shows_the_statistics_and_one():
    windows = make_diagnosis().windows
    _, axes = plotting.figure()
    paper, sharp, one = _plots.plot_thresholds(windows, axes[0]).lines
    assert list(paper.get_ydata()) == list(windows["paper_statistic"])
    assert list(sharp.get_ydata()) == list(windows["sharp_statistic"])
    assert set(one.get_ydata()) == {1.0}
    assert list(paper.get_xdata()[:2]) == [13.0, 38.0]  # the middle of each window


def test_single_window_is_drawn_as_named_points_with_their_intervals():
    windows = make_diagnosis().windows.iloc[:1]
    _, axes = plotting.figure()
    _plots.plot_silent(windows, axes[0])
    assert len(axes[0].containers) == 4
    assert [text.get_text() for text in axes[0].get_xticklabels()] == [
        "silent",
        "all right",
        "all wrong",
        "silent, expected",
    ]
    assert axes[0].get_xlabel() == "steps 1 to 25"


def test_column_without_a_number_is_not_drawn():
    whole = make_diagnosis()
    unknown = {name: float("nan") for name in whole.windows if name.startswith("silent_expected")}
    _, axes = plotting.figure()
    _plots.plot_silent(whole.windows.assign(**unknown), axes[0])
    legend = [text.get_text() for text in axes[0].get_legend().get_texts()]
    assert legend == ["silent", "all right", "all wrong"]
    _, axes = plotting.figure()
    _plots.plot_weights(whole.difficulty.assign(weight_variance=float("nan")), axes[0])
    assert len(axes[0].lines) == 4


def test_missing_jinja_names_the_extra(monkeypatch):
    html._environment.cache_clear()
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ImportError, match=r"pip install 'curvature\[logs\]'"):
        render_html(make_diagnosis())
