"""The printed proofs: the committed file is what the code says, and the command that writes it."""

import re
from pathlib import Path

import pytest
import sympy as sp

import curvature.proofs
import curvature.proofs.__main__ as command
from curvature.ledger import CLAIMS
from curvature.proofs import PROOFS, ProofError
from curvature.proofs.__main__ import main
from curvature.proofs._claims import (
    claim_cauchy_schwarz,
    claim_coefficients,
    claim_rounds_to,
    ends,
    intervals,
    show,
    times,
)
from curvature.proofs._derivation import Derivation
from curvature.proofs._document import render

COMMITTED = Path(__file__).parents[2] / "docs" / "proofs.md"


@pytest.fixture(scope="module")
def document():
    return render()


def test_committed_document_is_what_the_proofs_say(document):
    assert COMMITTED.read_text(encoding="utf-8") == document, (
        "write it anew by `python -m curvature.proofs --output docs/proofs.md`"
    )


def test_document_has_every_proof_with_its_steps_and_rows(document):
    rows = {name for claim in CLAIMS for name in claim.proofs}
    assert rows <= set(PROOFS)
    for name in PROOFS:
        section = document.split(f"\n### {name}\n")[1].split("\n### ")[0]
        assert len(re.findall(r"^\d+\. ", section, re.MULTILINE)) == len(PROOFS[name]().steps)
        assert ("none of its own" in section) == (name not in rows)


def test_links_lead_to_headings(document):
    headings = re.findall(r"^##+ (.*)$", document, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert len(anchors) == len(headings)
    links = set(re.findall(r"\]\(#([^)]*)\)", document))
    assert links <= anchors
    for path in set(re.findall(r"\]\(\.\./([^)]*)\)", document)):
        assert (COMMITTED.parents[1] / path).is_file()


@pytest.fixture
def printed_once(document, monkeypatch):
    """Let the command print what was rendered already."""
    monkeypatch.setattr(command, "render", lambda: document)


@pytest.mark.usefixtures("printed_once")
def test_command_writes_checks_and_reports_a_stale_file(tmp_path, capsys):
    path = tmp_path / "docs" / "proofs.md"
    assert main(["--check", str(path)]) == 1
    assert "there is no" in capsys.readouterr().err
    assert main(["--output", str(path)]) == 0
    assert main(["--check", str(path)]) == 0
    path.write_text(path.read_text(encoding="utf-8").replace("1/4", "1/5", 1), encoding="utf-8")
    assert main(["--check", str(path)]) == 1
    assert "is not what the proofs say" in capsys.readouterr().err
    assert [file.name for file in path.parent.iterdir()] == ["proofs.md"]


@pytest.mark.usefixtures("printed_once")
def test_command_prints_by_default_and_refuses_two_files(document, capsys):
    assert main([]) == 0
    assert capsys.readouterr().out == document
    assert main(["--check", "a", "--output", "b"]) == 2


def test_command_reports_a_proof_that_fails_and_writes_nothing(tmp_path, monkeypatch, capsys):
    def fails():
        raise ProofError("L9: the step “x” does not hold")

    monkeypatch.setattr(curvature.proofs, "PROOFS", {"L9": fails})
    assert main(["--output", str(tmp_path / "proofs.md")]) == 1
    assert "a proof fails: L9" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("expression", "printed", "factor"),
    [
        ("2*log(2) - 1", "2 ln 2 − 1", "(2 ln 2 − 1)"),
        ("sqrt(3)/9", "√3/9", "(√3/9)"),
        ("1", "1", ""),
        ("2", "2", "2"),
        ("sqrt(2)", "√2", "√2·"),
        ("x**2 - y", "x² − y", "(x² − y)"),
        ("-x", "−x", "−x·"),
    ],
)
def test_constants_are_printed_as_mathematics(expression, printed, factor):
    assert show(sp.sympify(expression)) == printed
    assert times(sp.sympify(expression)) == factor


def test_shared_claims_refuse_what_is_false():
    x, y = sp.symbols("x y", nonnegative=True)
    proof = Derivation("test", "")
    claim_cauchy_schwarz(proof)
    claim_coefficients(proof, "non-negative", x**2 + 3 * x * y, x, y)
    with pytest.raises(ProofError, match="negative coefficient"):
        claim_coefficients(proof, "negative coefficient", x**2 - x * y + y**2, x, y)
    claim_rounds_to(proof, "π", sp.pi, sp.Rational("3.1416"), "5/100000")
    with pytest.raises(ProofError, match="not above"):
        claim_rounds_to(proof, "π", sp.pi, sp.Rational("3.1415"), "5/100000")
    with pytest.raises(ProofError, match="not below"):
        claim_rounds_to(proof, "π", sp.pi, sp.Rational("3.1417"), "5/100000")
    with pytest.raises(ProofError, match="not above"):
        claim_rounds_to(proof, "wide", (sp.Integer(3), sp.Integer(4)), sp.Integer(3), "1/2")


def test_intervals_hold_the_number_between_their_ends():
    iv = intervals()
    low, high = ends(iv.exp(iv.mpf(1)))
    assert low < sp.E < high
    assert high - low < sp.Rational(1, 2**90)
    low, high = ends(iv.mpf(3) / 8)
    assert low == high == sp.Rational(3, 8)
