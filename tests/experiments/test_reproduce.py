"""The main job: what it writes, when it reuses, and that it never leaves half a file."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from curvature import plotting
from curvature._files import write_atomically
from experiments import _experiment, _ledger_job, _reproduce
from experiments._experiment import ROOT, Dial, Experiment, Outcome, main_of, produce, reuse
from experiments._reproduce import Failure, Job

ARGUMENTS = {"seed": 0, "points": 3}


def run(points=5, seed=0):
    _experiment.require_count("points", points)
    return pd.DataFrame({"x": range(points), "y": [seed + 1 / 3] * points, "series": "toy"})


def plot(df, ax=None):
    return plotting.plot_lines(df, ax, x="x", y="y", roles={"toy": "sharp"})


TOY = Experiment(
    stem="toy",
    run=run,
    plot=plot,
    caption="A line.",
    dials={"points": Dial(5, 2, "points of the line")},
    headline=lambda df: {"largest": float(df["y"].max()), "interval": [1.0, 0.5, 2.0]},
)


@pytest.fixture(autouse=True)
def package(monkeypatch, tmp_path_factory):
    """Put one file in the place of the package, so that an edit elsewhere cannot change a test."""
    source = tmp_path_factory.mktemp("package") / "module.py"
    source.write_text("x = 1\n")
    for module in (_experiment, _ledger_job):
        monkeypatch.setattr(module, "source_files", lambda: [source])
    return source


@pytest.fixture
def made(tmp_path):
    produce(TOY, ARGUMENTS, tmp_path)
    return tmp_path


# One figure


def test_four_files_are_written_and_the_record_says_how(tmp_path):
    outcome = produce(TOY, ARGUMENTS, tmp_path)
    assert outcome.status == "written"
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [
        "toy.csv",
        "toy.json",
        "toy.png",
        "toy.svg",
    ]
    record = json.loads((tmp_path / "toy.json").read_text())
    assert record["command"] == "python -m experiments.toy --seed 0 --points 3"
    assert record["seed"] == 0
    assert record["rows"] == 3
    assert set(record["versions"]) == {"python", "numpy", "scipy", "pandas", "matplotlib", "curvature"}
    assert record["wall_time_s"] >= 0
    assert record["headline"]["largest"] == pytest.approx(1 / 3)
    assert record["outputs_sha256"]["csv"] == _experiment.digest([(tmp_path / "toy.csv").read_bytes()])


def test_numbers_are_written_with_six_digits(made):
    assert (made / "toy.csv").read_text().splitlines()[1] == "0,0.333333,toy"


def test_a_second_run_makes_the_same_bytes_and_leaves_the_files_alone(made):
    before = {path: path.stat().st_mtime_ns for path in made.iterdir()}
    record = (made / "toy.json").read_bytes()
    assert produce(TOY, ARGUMENTS, made).status == "unchanged"
    after = {path: path.stat().st_mtime_ns for path in made.iterdir()}
    assert {path for path in before if before[path] != after[path]} <= {made / ".cache"}
    assert (made / "toy.json").read_bytes() == record


def test_pictures_hold_no_date(made):
    assert b"<dc:date>" not in (made / "toy.svg").read_bytes()
    assert b"tIME" not in (made / "toy.png").read_bytes()


def test_other_arguments_make_other_files(made):
    assert produce(TOY, ARGUMENTS | {"seed": 1}, made).status == "written"


def test_what_this_checkout_made_is_reused(made):
    found = reuse(TOY, ARGUMENTS, made)
    assert found is not None
    assert found.status == "reused"
    assert found.headline["interval"] == [1.0, 0.5, 2.0]


def test_what_came_with_the_clone_is_made_anew(made):
    for note in (made / ".cache").iterdir():
        note.unlink()
    assert reuse(TOY, ARGUMENTS, made) is None
    # … and found to be the same.
    assert produce(TOY, ARGUMENTS, made).status == "unchanged"


@pytest.mark.parametrize("kind", _experiment.KINDS)
def test_an_edited_or_missing_file_is_not_reused(made, kind):
    path = made / f"toy.{kind}"
    path.write_bytes(path.read_bytes() + b" ")
    assert reuse(TOY, ARGUMENTS, made) is None
    path.unlink()
    assert reuse(TOY, ARGUMENTS, made) is None


def test_other_arguments_are_not_reused(made):
    assert reuse(TOY, ARGUMENTS | {"points": 4}, made) is None


def test_a_changed_line_of_the_package_is_not_reused(made, package):
    assert reuse(TOY, ARGUMENTS, made) is not None
    package.write_text("x = 2\n")
    assert reuse(TOY, ARGUMENTS, made) is None


def test_changed_data_are_not_reused(made, tmp_path):
    data = tmp_path / "data.csv"
    data.write_text("1\n")
    toy = replace(TOY, inputs=(data,))
    produce(toy, ARGUMENTS, made)
    assert reuse(toy, ARGUMENTS, made) is not None
    data.write_text("2\n")
    assert reuse(toy, ARGUMENTS, made) is None


def test_a_run_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="points is 0"):
        produce(TOY, {"seed": 0, "points": 0}, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_write_leaves_the_old_file_whole(made, monkeypatch):
    before = (made / "toy.csv").read_bytes()

    def stopped(path, content):
        with path.open("wb") as handle:
            handle.write(content[:1])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", stopped)
    with pytest.raises(KeyboardInterrupt):
        produce(TOY, ARGUMENTS | {"points": 4}, made)
    monkeypatch.undo()
    assert (made / "toy.csv").read_bytes() == before
    assert reuse(TOY, ARGUMENTS | {"points": 4}, made) is None
    # The run after it goes on, and takes the left-over with it.
    assert produce(TOY, ARGUMENTS | {"points": 4}, made).status == "written"
    assert list(made.glob(".*.tmp")) == []


# One figure from the command line


def test_the_command_line_sets_sizes(tmp_path, capsys):
    assert main_of(TOY, ["--points", "4", "--seed", "2", "--output-dir", str(tmp_path)]) == 0
    record = json.loads((tmp_path / "toy.json").read_text())
    assert record["arguments"] == {"seed": 2, "points": 4}
    assert "toy: written" in capsys.readouterr().out


@pytest.mark.parametrize("way", ["option", "environment"])
def test_quick_takes_the_small_sizes(tmp_path, monkeypatch, way):
    monkeypatch.setenv("QUICK", "1" if way == "environment" else "0")
    option = ["--quick"] if way == "option" else []
    assert main_of(TOY, [*option, "--output-dir", str(tmp_path)]) == 0
    assert json.loads((tmp_path / "toy.json").read_text())["arguments"]["points"] == 2


def test_quick_figures_go_beside_the_committed_ones():
    assert _experiment.default_directory(quick=True) == ROOT / "figures" / "quick"
    assert _experiment.default_directory(quick=False) == ROOT / "figures"


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        (["--points", "0"], "--points is 0; a whole number of at least 1 is needed."),
        (["--seed", "-1"], "--seed is -1; a whole number of at least 0 is needed."),
    ],
)
def test_a_bad_argument_gets_one_sentence(tmp_path, capsys, argument, sentence):
    assert main_of(TOY, [*argument, "--output-dir", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"python -m experiments.toy: {sentence}\n"
    assert list(tmp_path.iterdir()) == []


# All figures


@pytest.fixture
def toys(monkeypatch):
    """Put toys in the place of the figures, in this process."""
    bad = replace(TOY, stem="bad", run=lambda **_: run(points=0))
    monkeypatch.setattr(_reproduce, "NAMES", ("toy", "bad"))
    monkeypatch.setattr(_reproduce, "load", {"toy": TOY, "bad": bad}.__getitem__)
    monkeypatch.setattr(_reproduce, "do_all", lambda jobs: map(_reproduce.do, jobs))


def test_one_failure_does_not_hide_the_others(toys, tmp_path, capsys):
    assert _reproduce.main(["--output-dir", str(tmp_path)]) == 1
    told = capsys.readouterr()
    assert "bad failed: points is 0" in told.err
    assert "written" in told.out
    assert (tmp_path / "toy.json").is_file()


def test_what_is_up_to_date_is_reused_unless_forced(toys, tmp_path, capsys):
    arguments = ["toy", "--output-dir", str(tmp_path)]
    for extra, word in [([], "written"), ([], "reused"), (["--force"], "unchanged")]:
        assert _reproduce.main([*arguments, *extra]) == 0
        assert word in capsys.readouterr().out


def test_an_error_nobody_foresaw_is_shown_in_full(monkeypatch):
    broken = replace(TOY, run=lambda **_: 1 / 0)
    monkeypatch.setattr(_reproduce, "load", lambda name: broken)
    result = _reproduce.do(Job("toy", quick=True, directory=Path("nowhere")))
    assert isinstance(result, Failure)
    assert "ZeroDivisionError" in result.message


def test_an_unknown_name_gets_one_sentence_with_the_choices(capsys):
    assert _reproduce.main(["curvature_vs_sdt"]) == 2
    told = capsys.readouterr().err
    assert told.startswith(
        "python -m experiments: there is no 'curvature_vs_sdt'; choose from paper_checks, "
    )
    assert told.count("\n") == 1


def test_ctrl_c_says_how_to_go_on(toys, tmp_path, monkeypatch, capsys):
    def interrupted(jobs):
        raise KeyboardInterrupt

    monkeypatch.setattr(_reproduce, "do_all", interrupted)
    assert _reproduce.main(["--output-dir", str(tmp_path)]) == 130
    assert "the same command goes on from here" in capsys.readouterr().err


def test_worker_processes_make_the_figures(tmp_path):
    command = [
        sys.executable,
        "-m",
        "experiments",
        "advantage_presets",
        "gsm8k_profile",
        "--quick",
        "--output-dir",
    ]
    for word in ("written", "reused"):
        ended = subprocess.run([*command, tmp_path], cwd=ROOT, capture_output=True, text=True, check=True)
        assert ended.stdout.count(f"{word}  ") == 2
        assert "any success rates, against 0.3750 (paper): " in ended.stdout
    assert len(list(tmp_path.glob("*.*"))) == 8 + 1  # two figures, and the notes


# The ledger


def test_the_ledger_goes_beside_the_readme_or_into_another_directory(tmp_path):
    assert _ledger_job.target(ROOT / "figures") == ROOT / "paper_checks.md"
    assert _ledger_job.target(tmp_path) == tmp_path / "paper_checks.md"


def test_verdicts_are_counted_by_kind():
    from curvature.ledger import CLAIMS, Budget
    from curvature.ledger.render import render
    from curvature.ledger.runner import check

    budget = Budget(instances=20, starts=20, restarts=1)
    claims = CLAIMS.select(["lemma-3.2", "eq-12"])
    text = render(claims, check(claims, budget), budget)
    assert _ledger_job.verdicts_by_kind(text) == {"upper bound": "1 holds, loose", "identity": "1 holds"}


def test_the_ledger_is_reused_while_code_and_file_stay(tmp_path):
    path = _ledger_job.target(tmp_path)
    assert _ledger_job.reuse(tmp_path, quick=True) is None
    write_atomically(path, b"# Paper checks\n")
    _experiment.mark_made_here(tmp_path, _ledger_job.NAME, _ledger_job._inputs(quick=True), [path])
    found = _ledger_job.reuse(tmp_path, quick=True)
    assert isinstance(found, Outcome)
    assert found.status == "reused"
    assert _ledger_job.reuse(tmp_path, quick=False) is None
    path.write_text("edited\n")
    assert _ledger_job.reuse(tmp_path, quick=True) is None
