"""``curvature diagnose --follow``: a run that still trains is diagnosed again as its log grows."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from curvature import _diagnose_follow
from curvature.rollouts import diagnosis as diagnosis_module
from tests.unit.diagnose_log import ROWS, as_lines, names, run
from tests.unit.diagnosis_example import make_diagnosis


class Clock:
    """A clock whose seconds pass only while someone sleeps; what is planned happens then, one thing a sleep."""

    def __init__(self):
        self.now, self.plan = 0.0, []

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        if self.plan:
            self.plan.pop(0)()

    strftime = staticmethod(time.strftime)


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(_diagnose_follow, "time", made)
    return made


def follow(log, *options):
    return run(log, "--follow", "--every", 1, "--timeout", 3, *options)


def append(path, text):
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def counts(out):
    return [json.loads(line)["source"]["rollouts"] for line in out.splitlines()]


def test_growing_file_is_diagnosed_again_and_silence_ends_it(log, quick, clock, capsys):
    clock.plan = [lambda: append(log, as_lines([(3, 0, True), (3, 0, False)]))]
    assert follow(log, "--json") == 0
    captured = capsys.readouterr()
    assert counts(captured.out) == [48, 50]
    assert "nothing new." in captured.err


def test_rows_that_come_while_the_file_is_read_are_not_missed(log, clock, capsys, monkeypatch):
    whole, seen = make_diagnosis(), []

    def answer(read, **_):
        if not seen:
            append(log, as_lines([(3, 0, True)]))
        seen.append(read.num_rollouts)
        return whole

    monkeypatch.setattr(diagnosis_module, "diagnose", answer)
    assert follow(log) == 0
    assert seen == [48, 49]


def test_unchanged_file_is_read_once(log, quick, clock, capsys):
    assert follow(log) == 0
    assert len(quick) == 1
    assert clock.now == 3


def test_file_may_appear_later(log, quick, clock, capsys):
    content = log.read_text(encoding="utf-8")
    log.unlink()
    clock.plan = [lambda: log.write_text(content, encoding="utf-8")]
    assert follow(log, "--json", "--html", "report.html") == 0
    captured = capsys.readouterr()
    assert counts(captured.out)[-1] == 48
    assert captured.err.startswith("curvature diagnose: waiting: ")
    assert "nothing new; report.html holds the last diagnosis." in captured.err


def test_half_a_line_is_waited_for(log, quick, clock, capsys):
    line = as_lines([(3, 0, True)])
    clock.plan = [lambda: append(log, line[:20]), lambda: append(log, line[20:])]
    assert follow(log, "--json") == 0
    assert counts(capsys.readouterr().out) == [48, 48, 49]


def test_folder_may_gain_files(log, quick, clock, capsys):
    folder = log.parent / "run"
    folder.mkdir()
    (folder / "part_0.jsonl").write_text(as_lines(ROWS[:16]), encoding="utf-8")
    clock.plan = [lambda: (folder / "part_1.jsonl").write_text(as_lines(ROWS[16:32]), encoding="utf-8")]
    assert follow(folder, "--json") == 0
    assert counts(capsys.readouterr().out)[-1] == 32


def test_report_inside_the_followed_folder_is_no_news(log, quick, clock, capsys):
    folder = log.parent / "run"
    folder.mkdir()
    log.rename(folder / "log.jsonl")
    assert follow(folder, "--html", folder / "report.html") == 0
    assert len(quick) == 1


def test_report_loads_itself_again_until_the_end(log, quick, clock, monkeypatch):
    written = []
    keep = _diagnose_follow.write_atomically
    monkeypatch.setattr(_diagnose_follow, "write_atomically", lambda p, c: (written.append(c), keep(p, c)))
    assert follow(log, "--html", "report.html") == 0
    assert [b'http-equiv="refresh" content="5.0"' in page for page in written] == [True, False]
    assert (log.parent / "report.html").read_bytes() == written[-1]


def test_log_that_never_comes_leaves_with_2_and_nothing_written(log, quick, clock, capsys):
    assert follow(log.parent / "other.jsonl", "--html", "report.html") == 2
    error = capsys.readouterr().err
    assert error.count("waiting: ") == 1  # said once, not at every look
    assert "nothing was read and nothing written" in error
    assert names(log.parent) == ["log.jsonl"]


def test_log_that_breaks_later_keeps_the_last_diagnosis(log, quick, clock, capsys):
    clock.plan = [log.unlink]
    assert follow(log, "--html", "report.html") == 0
    captured = capsys.readouterr()
    assert "waiting: " in captured.err
    assert captured.out.count("Effect predicted by theory") == 1
    assert "48 rollouts" in (log.parent / "report.html").read_text(encoding="utf-8")


def test_ctrl_c_ends_following_with_130_and_a_finished_report(log, quick, clock, capsys):
    def interrupted():
        raise KeyboardInterrupt

    clock.plan = [interrupted]
    assert follow(log, "--html", "report.html") == 130
    assert "stopped; report.html holds the last diagnosis." in capsys.readouterr().err
    assert b"refresh" not in (log.parent / "report.html").read_bytes()


def test_terminal_is_redrawn_from_its_top_and_never_scrolls(log, quick, clock, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "20")
    assert follow(log, "--no-color") == 0
    out = capsys.readouterr().out
    assert out.startswith(_diagnose_follow.CLEAR_SCREEN + "Effect predicted by theory")
    assert out.count("\n") <= 20
    assert "Ctrl-C ends" in out


def test_missing_package_ends_following_at_once(log, clock, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich", None)
    assert follow(log) == 2
    assert "needs rich" in capsys.readouterr().err


def test_fingerprint_sees_size_time_and_new_files_but_not_the_report(tmp_path):
    first = tmp_path / "a.jsonl"
    first.write_text("1", encoding="utf-8")
    report = tmp_path / "report.html"

    def seen():
        return _diagnose_follow.fingerprint((tmp_path, tmp_path / "missing"), report)

    before = seen()
    assert [name for name, *_ in before] == [str(first)]
    report.write_text("page", encoding="utf-8")
    (tmp_path / ".report.html.123.tmp").write_text("page", encoding="utf-8")
    assert seen() == before
    append(first, "2")
    grown = seen()
    assert grown != before
    os.utime(first, ns=(1, 1))
    assert seen() != grown
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.jsonl").write_text("", encoding="utf-8")
    assert len(seen()) == 2


def test_running_process_follows_a_file_and_ends_at_ctrl_c(log):
    # A test run that was started in the background ignores Ctrl-C, and its children would inherit that.
    listening = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from curvature.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    options = ["--json", "--follow", "--every", "0.05", "--timeout", "60"]
    arguments = [sys.executable, "-c", listening, "diagnose", str(log), *options]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert counts(process.stdout.readline()) == [48]
            append(log, as_lines([(3, 0, True), (3, 0, False)]))
            assert counts(process.stdout.readline()) == [50]
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=50) == 130
            assert process.stderr.read() == "curvature diagnose: stopped.\n"
        finally:
            process.kill()
