"""The tables of the pages in docs/ are what the code and the figures' numbers say."""

import re
from pathlib import Path

import pandas as pd
import pytest

from curvature.rollouts._flags import FLAGS
from experiments._pages import PAGES, TABLES, filled, flags_table, predictions_table

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_is_what_the_code_says(page):
    text = page.read_text(encoding="utf-8")
    assert filled(text) == text, "write it anew by `python -m experiments._pages`"


def test_every_table_has_its_place_in_one_page():
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    for name in TABLES:
        assert sum(f"<!-- table: {name} -->" in text for text in texts) == 1


def test_flags_table_has_every_trainer_and_its_switches():
    table = flags_table()
    for flag in FLAGS:
        row = next(line for line in table.splitlines() if line.startswith(f"| {flag.trainer} "))
        for switch in (flag.keep, flag.batch, flag.drop):
            assert switch is None or switch in row


def test_predictions_table_has_the_numbers_of_the_figure():
    df = pd.read_csv(ROOT / "figures" / "should_i_divide.csv")
    table = predictions_table()
    one = df[(df["group_size"] == 8) & (df["number"] == "kappa")].set_index("profile")["predicted"]
    for profile, value in one.items():
        row = next(line for line in table.splitlines() if str(profile) in line)
        assert f"| {value:.2f} |" in row


def test_what_the_page_says_in_words_is_what_the_figure_has():
    df = pd.read_csv(ROOT / "figures" / "should_i_divide.csv").set_index(["number", "profile", "group_size"])

    def at(number, start, size):
        rows = df["predicted"]
        return float(
            rows[[key for key in rows.index if key[0] == number and key[1].startswith(start)]]
            .xs(size, level="group_size")
            .iloc[0]
        )

    for size in (8, 64):
        assert 1.2 <= at("prompts", "hard, spread", size) <= 1.7
        assert 1.05 <= at("matched", "hard, spread", size) <= 1.11
        assert 1.1 <= at("prompts", "hard and alike", size) <= 1.3
        assert 0.75 <= at("matched", "hard and alike", size) <= 0.92
        assert 0.99 <= at("matched", "middling", size) <= at("prompts", "middling", size) < 1.1
    for size in (16, 64):
        assert 1.2 <= at("prompts", "easy", size) <= 1.32
        assert 0.87 <= at("matched", "easy", size) <= 0.96
    for size in (2, 3):
        assert at("prompts", "hard, spread", size) == pytest.approx(1.0, abs=5e-3)


def test_links_of_every_page_lead_to_files_of_the_repository():
    for page in (ROOT / "docs").glob("*.md"):
        prose = re.sub(r"`[^`\n]*`", "", page.read_text(encoding="utf-8"))  # code has brackets of its own
        links = re.findall(r"\]\((?!https?:|#)([^)#]+)[^)]*\)", prose)
        assert [link for link in links if not (page.parent / link).exists()] == [], page.name
