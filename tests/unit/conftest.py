"""Fixtures of the tests of ``curvature diagnose``."""

from dataclasses import replace

import pytest

from curvature.rollouts import diagnosis as diagnosis_module
from curvature.rollouts import html
from tests.unit.diagnose_log import ROWS, as_lines
from tests.unit.diagnosis_example import make_diagnosis


@pytest.fixture
def log(tmp_path, monkeypatch):
    """Work in an empty folder with a log of three steps, four prompts and groups of four."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "log.jsonl"
    path.write_text(as_lines(ROWS), encoding="utf-8")
    return path


@pytest.fixture
def quick(monkeypatch):
    """Read for real, but answer at once: rollouts, groups and steps are those of the log, the rest is made up."""
    whole = make_diagnosis()
    calls = []

    def answer(log, *, seed, num_windows):
        calls.append((log, seed, num_windows))
        source = replace(
            whole.source,
            paths=tuple(map(str, log.files)),
            rollouts=log.num_rollouts,
            groups=len(log.groups),
            steps=len(log.steps),
        )
        return replace(whole, source=source)

    monkeypatch.setattr(diagnosis_module, "diagnose", answer)
    monkeypatch.setattr(html, "PLOTS", {})
    return calls
