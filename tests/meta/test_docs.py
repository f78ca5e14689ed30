"""Every page of docs/ that has Python blocks runs as it stands, in order, in one namespace and an empty folder."""

import re
from pathlib import Path

import pytest

from curvature import moments
from curvature.testing import replay

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)
PAGES = sorted(path.name for path in DOCS.glob("*.md") if BLOCK.search(path.read_text(encoding="utf-8")))


def run(page, folder, monkeypatch):
    """Run the blocks of a page and return its names; a failing line is shown with its number in the page."""
    monkeypatch.chdir(folder)
    monkeypatch.delenv("CURVATURE_INSTANCE_DIR", raising=False)
    text = (DOCS / page).read_text(encoding="utf-8")
    names = {"__name__": "page"}
    for block in BLOCK.finditer(text):
        above = text[: block.start(1)].count("\n")
        exec(compile("\n" * above + block[1], str(DOCS / page), "exec"), names)
    return names


@pytest.mark.parametrize("page", PAGES)
def test_page_runs_as_it_stands(page, tmp_path, monkeypatch):
    assert run(page, tmp_path, monkeypatch)


def test_the_tutorial_falsifies_repairs_attacks_and_replays(tmp_path, monkeypatch, capsys):
    names = run("test-your-own-theorem.md", tmp_path, monkeypatch)
    first = BLOCK.search((DOCS / "test-your-own-theorem.md").read_text(encoding="utf-8"))[1]
    conjecture = [line for line in first.splitlines() if line.strip() and "import" not in line]
    assert len(conjecture) <= 10
    # It is false for real rewards, by a problem that hypothesis made small.
    kept = names["kept"]
    assert kept.ratio > 1.001
    assert kept.bandit.num_prompts <= 2
    assert [path.suffix for path in (tmp_path / "instances").iterdir()] == [".json"]
    assert replay(tmp_path / "witness.json").ratio == kept.ratio
    # The repaired claim is sharp where the page says.
    found = names["found"]
    assert 0.999 < found.ratio <= 1 + 1e-9
    p = float(moments(found.bandit, found.theta).expected_reward[0])
    assert min(p, 1 - p) < 1e-3
    told = capsys.readouterr().out
    assert "D² Var r is exceeded by ×" in told
    assert "0.99 D² Var r, instance 0, is exceeded by ×1.01" in told
    assert "1.01 D² Var r is reached to ×0.990" in told


def test_links_of_the_tutorial_lead_to_files_of_the_repository():
    text = (DOCS / "test-your-own-theorem.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)\)", text)
    assert links
    assert [link for link in links if not (DOCS / link).exists()] == []
