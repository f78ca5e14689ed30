"""Grading: strict rewards, and answers that attack the grader."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("math_verify")

from curvature.lm.grading import Grader


@pytest.fixture(scope="module")
def grader():
    with Grader("math", time_limit=0.5) as started:
        started.grade([r"\boxed{1.0}"], ["1"])
        yield started


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"so \boxed{0.5}", r"\frac{1}{2}"),
        (r"\boxed{\dfrac{1}{2}}", r"\frac12"),
        (r"\boxed{1,000}", "1000"),
        (r"\boxed{\$18}", "18"),
        (r"\boxed{x=5}", "5"),
        (r"first \boxed{3}, no: \boxed{4}", "4"),
        (r"\boxed{(2,3)}", "(2, 3)"),
        (r"\boxed{72.}", "72"),
        (r"\boxed{072}", "72"),
        (r"\boxed{43_5.}", "43_5."),
        (r"\boxed{43_5}", "43_5."),
        (r"\boxed{15\text{ miles}}", "15"),
        (r"\boxed{50\%}", "50"),
        (r"\boxed{\left\{1, 2\right\}}", r"\{2, 1\}"),
    ],
)
def test_an_equal_answer_in_the_last_box_is_right(grader, text, answer):
    assert grader.grade([text], [answer]).tolist() == [1.0]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The answer is 18", "18"),
        (r"\boxed{18", "18"),
        (r"\boxed{18}, so \boxed{", "18"),
        (r"\boxed{}", "18"),
        (r"\boxed{19}", "18"),
        ("", "18"),
        (r"\boxed{no idea? 18 ?}", "18"),
        (r"\boxed{3? or $18$ ?}", "18"),
        (r"\boxed{17, 18}", "18"),
        (r"\boxed{17 or 18}", "18"),
        (r"\boxed{-18}", "18"),
    ],
)
def test_strict_credits_nothing_but_the_last_box(grader, text, answer):
    assert grader.grade([text], [answer]).tolist() == [0.0]


def test_a_text_that_was_cut_off_gets_nothing_however_right():
    with Grader("math") as strict:
        assert strict.grade([r"\boxed{18}"], ["18"], [False]).tolist() == [0.0]


def test_lenient_reads_the_whole_text_as_math_verify_does():
    with Grader("math", strict=False) as lenient:
        assert lenient.grade(["it is 18", "it is 19"], ["18", "18"], [False, True]).tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    "attack",
    [
        "9^{9^{9^{9}}}",
        "10^{10^{10}}!",
        r"\frac{" * 300 + "1" + "}{2}" * 300,
        "{" * 5000 + "}" * 5000,
        "1+" * 20_000 + "1",
        r"\int_0^1 x^{x^{x^{x}}} dx",
    ],
)
def test_an_attack_costs_its_time_limit_and_the_others_nothing(attack):
    with Grader("math", time_limit=0.5) as started:
        began = time.monotonic()
        found = started.grade([r"\boxed{2.0}", f"\\boxed{{{attack}}}", r"\boxed{4.0}"], ["2", "7", "4"])
        assert found.tolist() == [1.0, 0.0, 1.0]
        assert time.monotonic() - began < 60  # two starts of math-verify on a busy machine


def test_a_worker_killed_while_idle_costs_no_answer(grader):
    before = grader.timeouts
    os.kill(grader._running[0].pid, signal.SIGKILL)
    grader._running[0]._process.wait()
    assert grader.grade([r"\boxed{5.0}", r"\boxed{5.0}"], ["5", "6"]).tolist() == [1.0, 0.0]
    assert grader.timeouts == before


def test_every_answer_that_ran_out_of_time_is_counted(grader):
    before = grader.timeouts
    assert grader.grade([r"\boxed{9^{9^{9}}}"] * 3 + [r"\boxed{7}"], ["7"] * 4).tolist() == [
        0.0,
        0.0,
        0.0,
        1.0,
    ]
    assert grader.timeouts == before + 3


@pytest.mark.parametrize("claimed", ["72", "072", "+72", "-72", "7", "720", "0"])
def test_integers_are_compared_as_math_verify_would(grader, claimed):
    asked = (f"\\boxed{{{claimed}}}", "\\boxed{72}")
    assert grader.grade([asked[0]], ["72"]).tolist() == [float(v is True) for v in grader._verdicts([asked])]


HANGING = r"""
from curvature.lm.grading import Grader
with Grader(time_limit=1.5) as grader:
    grader.grade([r"\boxed{1.0}"], ["1"])
    print(grader._running[0].pid, flush=True)
    grader.grade([r"\boxed{9^{9^{9}}}"], ["7"])
"""


def _ends_within(pid, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        with suppress(FileNotFoundError):
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            if state == "Z":  # ended, and not yet collected by its new parent
                return True
        time.sleep(0.05)
    return False


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc")
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_its_parent_even_in_the_middle_of_an_answer(end):
    with subprocess.Popen(
        [sys.executable, "-c", HANGING],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        time.sleep(0.3)
        if end == signal.SIGINT:
            os.killpg(parent.pid, end)  # as a terminal does: every process of the group gets it
        else:
            parent.kill()
        parent.wait(timeout=30)
        assert _ends_within(worker, 30)


def test_workers_do_not_change_the_rewards_or_their_order():
    texts = [f"\\boxed{{{i}.0}}" for i in range(12)]
    answers = [str(i if i % 3 else i + 1) for i in range(12)]
    with Grader("math", workers=2) as two:
        np.testing.assert_array_equal(two.grade(texts, answers), [float(i % 3 > 0) for i in range(12)])


def test_closing_ends_the_workers():
    started = Grader("math")
    started.grade([r"\boxed{1.0}"], ["1"])
    pid = started._running[0].pid
    started.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_exact_needs_no_process_and_compares_texts():
    with Grader("exact") as exact:
        assert exact.grade([" 19\n", "190", "19"], ["19"] * 3, [True, True, False]).tolist() == [
            1.0,
            0.0,
            0.0,
        ]
        assert exact._running == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"grading": "regex"}, "grading is 'regex'"),
        ({"time_limit": 0}, "time_limit is 0"),
        ({"workers": 0}, "workers is 0"),
    ],
)
def test_a_bad_setting_is_named(settings, message):
    with pytest.raises(ValueError, match=message):
        Grader(**settings)


def test_sequences_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="2 texts, 1 answers"):
        Grader("exact").grade(["1", "2"], ["1"])
