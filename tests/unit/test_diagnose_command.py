"""``curvature diagnose``: what it prints and writes, how it leaves, and that it follows a run that still trains."""

import json
import os
import subprocess
import sys

import pytest

from curvature import _files
from curvature.rollouts import diagnosis as diagnosis_module
from tests.unit.diagnose_log import ROWS, as_lines, names, run


def test_real_log_is_read_diagnosed_and_reported(log, capsys):
    assert run(log, "--html", "report.html", "--json") == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert (found["source"]["rollouts"], found["source"]["groups"], found["source"]["steps"]) == (48, 12, 3)
    assert found["overall"]["accuracy"]["value"] == pytest.approx(sum(r for *_, r in ROWS) / 48)
    page = (log.parent / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "curvature diagnose" in page
    assert captured.err == ""


def test_summary_goes_to_standard_output_and_nothing_is_written(log, quick, capsys):
    assert run(log) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("Effect predicted by theory")
    assert "48 rollouts, 12 groups" in captured.out
    assert "\x1b" not in captured.out
    assert captured.err == ""
    assert names(log.parent) == ["log.jsonl"]


def test_options_reach_the_reader_and_the_diagnosis(log, quick, capsys):
    log.write_text("it,who,r\n0,a,1\n0,a,0\n0,b,1\n0,b,x\n", encoding="utf-8")
    log = log.rename(log.with_name("odd.csv"))
    options = (
        "--columns",
        "step=it",
        "group=who",
        "reward=r",
        "--format",
        "csv",
        "--seed",
        "7",
        "--windows",
        "3",
    )
    assert run(log, *options) == 0
    read, seed, num_windows = quick[0]
    assert (seed, num_windows) == (7, 3)
    assert read.groups.mean.tolist() == [0.5, 1.0]
    assert read.bad_rows == 1
    assert read.columns["reward"] == "r"


def test_strict_stops_at_the_first_bad_row(log, quick, capsys):
    log.write_text(as_lines(ROWS) + '{"step": 9, "prompt": "p", "reward": "x"}\n', encoding="utf-8")
    assert run(log) == 0
    assert run(log, "--strict", "--html", "report.html") == 2
    assert "line 49" in capsys.readouterr().err
    assert names(log.parent) == ["log.jsonl"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["other.jsonl"], "2 paths are given; give one file, or the folder that holds the run"),
        (["--seed", "-1"], "--seed is -1; a whole number of at least 0"),
        (["--windows", "0"], "--windows is 0; a whole number of at least 1"),
        (["--group-size", "0"], "--group-size is 0; a whole number of at least 1"),
        (["--every", "0", "--follow"], "--every is 0; a number of seconds above 0"),
        (["--every", "nan", "--follow"], "--every is nan; a number of seconds above 0"),
        (["--timeout", "-1", "--follow"], "--timeout is -1; a number of seconds above 0"),
        (["--timeout", "1"], "--timeout goes with --follow alone"),
        (["--columns", "prize=r"], "--columns names 'prize'; the roles are step, group, reward, advantage"),
        (["--columns", "step=a", "step=b"], "--columns names 'step' twice"),
        (["--columns", "log.jsonl"], "--columns got 'log.jsonl'; write ROLE=COLUMN, and put paths before"),
        (["--columns", "=r"], "--columns got '=r'"),
        (["--reward-weights", "a=b"], "--reward-weights gives 'a' the weight 'b'; a finite number"),
        (["--reward-weights", "a=inf"], "--reward-weights gives 'a' the weight 'inf'; a finite number"),
        (["--html", "report.txt"], "--html is report.txt; the name of a report ends in .html"),
        (["--html", "log.jsonl"], "--html is log.jsonl; the name of a report ends in .html"),
        (["--html", "nowhere/report.html"], "--html is nowhere/report.html, but nowhere is no folder"),
        (["--format", "nonsense"], "nonsense"),
    ],
)
def test_bad_argument_leaves_with_2_one_sentence_and_nothing_written(log, quick, capsys, options, message):
    assert run(log, *options) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.startswith("curvature diagnose: ")
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert quick == []
    assert names(log.parent) == ["log.jsonl"]


def test_report_that_cannot_be_written_is_found_out_before_reading(log, quick, capsys, monkeypatch):
    (log.parent / "folder.html").mkdir()
    assert run(log, "--html", "folder.html") == 2
    assert "folder.html is a folder" in capsys.readouterr().err
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert run(log, "--html", "report.html") == 2
    assert "--html is report.html, which may not be written" in capsys.readouterr().err
    assert quick == []


def test_report_never_replaces_the_log_itself(log, quick, capsys):
    page = log.rename(log.with_name("log.html"))
    before = page.read_bytes()
    assert run(page, "--html", "./log.html") == 2
    assert "which is the log itself" in capsys.readouterr().err
    assert page.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("missing.jsonl", None),
        ("empty.jsonl", b""),
        ("noise.parquet", b"PAR1 and no more"),
        ("dump.pkl", b"\x80\x04."),
        ("words.jsonl", b"no json at all\n"),
        ("latin.jsonl", b'{"step": 0, "prompt": "\xff", "reward": \xff}\n'),
        ("half.jsonl", b'{"step": 0, "prompt": "p", "rew'),
        ("odd.bin", bytes(range(256))),
    ],
)
def test_unreadable_log_leaves_with_2_one_sentence_and_nothing_written(tmp_path, capsys, name, content):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    before = names(tmp_path)
    report = tmp_path / "report.html"
    assert run(path, "--html", report) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("curvature diagnose: ")
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert names(tmp_path) == before


def test_hostile_name_cannot_act_on_the_terminal(tmp_path, capsys):
    assert run(tmp_path / "a\x1b[31mb\nc.jsonl") == 2
    error = capsys.readouterr().err
    assert "\x1b" not in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("package", "options"), [("rich", []), ("jinja2", ["--json", "--html", "report.html"])]
)
def test_missing_package_is_missed_before_reading(log, quick, capsys, monkeypatch, package, options):
    monkeypatch.setitem(sys.modules, package, None)
    assert run(log, *options) == 2
    assert f"needs {package}: install it by `pip install 'curvature[logs]'`" in capsys.readouterr().err
    assert quick == []


def test_failed_write_keeps_the_old_report_and_prints_no_summary(log, quick, capsys, monkeypatch):
    report = log.parent / "report.html"
    report.write_text("old", encoding="utf-8")

    def fail(*_):
        raise OSError(28, "No space left on device", str(report))

    monkeypatch.setattr(_files.os, "replace", fail)
    assert run(log, "--html", report) == 2
    captured = capsys.readouterr()
    assert "report.html: no space left on device." in captured.err
    assert captured.out == ""
    assert report.read_text(encoding="utf-8") == "old"
    assert names(log.parent) == ["log.jsonl", "report.html"]


def test_ctrl_c_leaves_with_130_and_writes_nothing(log, capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(diagnosis_module, "diagnose", interrupted)
    assert run(log, "--html", "report.html") == 130
    assert "interrupted; nothing was written" in capsys.readouterr().err
    assert names(log.parent) == ["log.jsonl"]


def test_command_in_the_report_is_quoted_and_complete(log, quick):
    odd = log.rename(log.with_name("my log.jsonl"))
    assert run("my log.jsonl", "--seed", "4", "--windows", "5", "--html", "report.html") == 0
    page = (odd.parent / "report.html").read_text(encoding="utf-8")
    assert "curvature diagnose &#39;my log.jsonl&#39; --seed 4 --windows 5 --html report.html" in page


def test_progress_is_for_terminals_alone(log, quick, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert run(log) == 0
    error = capsys.readouterr().err
    assert "reading" in error
    assert "diagnosing 48 rollouts" in error
    assert error.endswith("\r\x1b[2K")  # and taken away again


def test_reader_that_has_seen_enough_ends_the_command_quietly(log):
    code = "import sys; from curvature.__main__ import main; sys.exit(main(['diagnose', *sys.argv[1:]]))"
    arguments = [sys.executable, "-c", code, str(log), "--json"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()  # as `head` does, early
        error = process.stderr.read()
        assert process.wait(timeout=50) == 0
    assert error == b""
