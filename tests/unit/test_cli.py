"""The command line: what it prints, what it writes, and how it leaves."""

import json
import os
import subprocess
import sys

import pytest

import curvature.ledger
from curvature import __main__ as cli
from curvature._files import write_atomically
from curvature.ledger import Evidence, Registry
from curvature.ledger.verdicts import judge_upper


@pytest.fixture
def ledger(monkeypatch, tmp_path):
    """Work in an empty directory, with a registry of two claims."""
    registry = Registry()
    for name, ratio in [("L1", 1.0), ("L2", 0.5)]:
        registry.claim(
            id=name, statement=f"{name} holds", source="Ours", section="Ours", kind="upper bound", test="t::t"
        )(lambda budget, ratio=ratio: judge_upper(Evidence(ratio, 1.0, ratio, budget.instances), "by hand"))
    monkeypatch.setattr(curvature.ledger, "CLAIMS", registry)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "paper_checks.md"


def run(*arguments):
    return cli.main([*arguments, "--jobs", "0"] if arguments[0] == "check" else list(arguments))


def test_check_writes_the_ledger_and_says_so(ledger, capsys):
    assert run("check") == 0
    assert "| `L2` Ours |" in ledger.read_text(encoding="utf-8")
    captured = capsys.readouterr()
    assert "wrote paper_checks.md: 2 of 2 claims" in captured.err
    assert "2/2" in captured.err  # progress
    assert captured.out == ""


def test_check_of_a_fresh_ledger_passes(ledger, capsys):
    run("check")
    assert run("check", "--check") == 0
    assert "up to date" in capsys.readouterr().err


def test_changed_verdict_fails_the_check_and_names_the_row(ledger, capsys):
    run("check")
    text = ledger.read_text(encoding="utf-8")
    ledger.write_text(text.replace("holds, loose by ×2.00", "holds"), encoding="utf-8")
    assert run("check", "--check") == 1
    assert "stale: L2: verdict is 'holds' in the committed ledger" in capsys.readouterr().out
    assert "holds, loose by ×2.00" not in ledger.read_text(encoding="utf-8")  # --check writes nothing


def test_perturbed_last_digit_passes_the_check(ledger):
    run("check")
    text = ledger.read_text(encoding="utf-8")
    assert "| 0.5 |" in text
    ledger.write_text(text.replace("| 0.5 |", "| 0.5001 |"), encoding="utf-8")
    assert run("check", "--check") == 0


def test_missing_ledger_fails_the_check(ledger, capsys):
    assert run("check", "--check") == 1
    assert "no ledger at paper_checks.md" in capsys.readouterr().err


def test_check_of_one_row_ignores_the_others(ledger):
    run("check")
    text = ledger.read_text(encoding="utf-8")
    ledger.write_text(text.replace("holds, loose by ×2.00", "holds"), encoding="utf-8")
    assert run("check", "--check", "--only", "L1") == 0
    assert run("check", "--check", "--only", "L2") == 1


@pytest.mark.parametrize("options", [("--only", "L2"), ("--seed", "1"), ("--instances", "50")])
def test_partial_or_other_runs_print_a_table_and_leave_the_ledger_alone(ledger, capsys, options):
    ledger.write_text("as committed", encoding="utf-8")
    assert run("check", *options) == 0
    assert ledger.read_text(encoding="utf-8") == "as committed"
    assert "| `L2` Ours |" in capsys.readouterr().out


def test_output_may_hold_a_partial_run(ledger, tmp_path):
    assert run("check", "--only", "L2", "--output", str(tmp_path / "part.md")) == 0
    assert "| `L2` Ours |" in (tmp_path / "part.md").read_text(encoding="utf-8")
    assert not ledger.exists()


def test_only_takes_several_ids_and_can_be_repeated(ledger, capsys):
    assert run("check", "--only", "L2", "--only", "L1") == 0
    out = capsys.readouterr().out
    assert out.index("`L1`") < out.index("`L2`")


def test_json_holds_every_outcome_and_no_other_text(ledger, capsys):
    assert run("check", "--only", "L1", "L2", "--json", "--instances", "50") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["budget"]["instances"] == 50
    first, second = printed["rows"]
    assert (first["id"], first["verdict"], first["looseness"]) == ("L1", "holds", None)
    assert (second["ratio"], second["looseness"], second["instances"]) == (0.5, 2.0, 50)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--only", "L9"), "there is no claim 'L9'; the nearest: "),
        (("--seed", "-1"), "seed is -1"),
        (("--instances", "0"), "instances is 0"),
        (("--jobs", "-2"), "--jobs is -2"),
        (("--check", "--seed", "3"), "leave --seed and --instances out"),
        (("--output", "nowhere/ledger.md"), "nowhere is no directory"),
    ],
)
def test_bad_argument_of_check_leaves_with_2_before_any_work(ledger, capsys, options, message):
    assert cli.main(["check", "--jobs", "0", *options]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert "checking" not in captured.err
    assert not ledger.exists()


def test_interrupted_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "ledger.md"
    path.write_text("old", encoding="utf-8")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, b"new")
    assert path.read_text(encoding="utf-8") == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["ledger.md"]


def test_finished_write_replaces_the_file(tmp_path):
    path = tmp_path / "ledger.md"
    path.write_text("old", encoding="utf-8")
    write_atomically(path, "σ ≤ 1/2\n".encode())
    assert path.read_text(encoding="utf-8") == "σ ≤ 1/2\n"
    assert [entry.name for entry in tmp_path.iterdir()] == ["ledger.md"]


def test_bounds_prints_the_papers_beside_ours(capsys):
    assert run("bounds", "--success", ".1", "--diameter", "1", "--radius", ".3") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "p = 0.1, σ = 0.3, D = 1, X = 0.7071; rewards 0 and 1"
    # X² = 1/2: 4X²V = .18, V(1 − 2p) = .072, σ/4 = .075; (5/2)X²σ = .375
    assert any("0.18 = 4X²p(1−p)" in line and "0.072 = D²ℓ(q)" in line and "2.5" in line for line in lines)
    assert any("0.075 = D²σ/4" in line for line in lines)
    assert any(line.startswith("curvature within 0.3") and "0.375 = (5/2)X²σ" in line for line in lines)
    assert any("0.09623 = D²/(6√3)" in line and line.endswith("5.2") for line in lines)


def test_bounds_beyond_the_papers_ball_says_that_the_paper_claims_nothing(capsys):
    run("bounds", "--success", ".1", "--radius", ".5")
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("curvature within"))
    assert "nothing beyond σ/X" in line


@pytest.mark.parametrize("success", ["0", "1"])
def test_bounds_of_a_certain_prompt_have_no_ratio(capsys, success):
    assert run("bounds", "--success", success, "--radius", "0") == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("curvature  "))
    assert line.split()[-1] == "—"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--success", "1.5"), "success must lie in [0, 1], got 1.5"),
        (("--success", "nan"), "success must lie in [0, 1], got nan"),
        (("--success", ".5", "--diameter", "-1"), "must be finite and at least 0"),
        (("--success", ".5", "--radius", "-1"), "radius must be finite and at least 0, got -1.0"),
        (("--success", ".5", "--spectral-norm", ".1"), "at least D/√2 = 0.707107"),
    ],
)
def test_bad_argument_of_bounds_leaves_with_2(capsys, options, message):
    assert run("bounds", *options) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


@pytest.mark.parametrize("arguments", [["bounds"], ["nothing"], [], ["check", "--seed", "x"]])
def test_arguments_that_cannot_be_read_leave_with_2(arguments, capsys):
    assert cli.main(arguments) == 2
    assert "usage: curvature" in capsys.readouterr().err


def test_help_documents_the_exit_codes():
    shown = subprocess.run(
        [sys.executable, "-m", "curvature", "--help"], capture_output=True, text=True, check=True
    )
    assert "exit codes: 0 done, 1 the committed ledger is stale" in " ".join(shown.stdout.split())
    assert "check" in shown.stdout
    assert "bounds" in shown.stdout


def test_ctrl_c_ends_with_130_and_writes_nothing(monkeypatch, capsys, tmp_path):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("curvature.ledger.runner._outcomes", interrupted)
    assert cli.main(["check", "--only", "eq-12", "--output", str(tmp_path / "ledger.md")]) == 130
    assert "interrupted; nothing was written" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
