"""Whatever bytes a log holds, `curvature diagnose` ends with a report or with one sentence, code 2 and nothing written.

40 cases by default, 500 under the deep profile: every case draws a report.
"""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("pyarrow")

from curvature.__main__ import main
from tests.properties.test_reader_fuzz import FILES, mutations

CASES = settings(max_examples=max(40, settings().max_examples // 10))


@CASES
@given(st.sampled_from(FILES), mutations(), st.booleans())
def test_diagnose_reports_or_refuses_in_one_sentence(file, damage, with_report):
    with tempfile.TemporaryDirectory() as folder:
        log, report = Path(folder, file.name), Path(folder, "report.html")
        content = damage(file.read_bytes())
        log.write_bytes(content)
        out, err = io.StringIO(), io.StringIO()
        wanted = ["--html", str(report)] if with_report else []
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(["diagnose", str(log), "--json", *wanted])
        assert log.read_bytes() == content
        if code == 0:
            assert json.loads(out.getvalue())["verdict"]["headline"]
            assert {path.name for path in Path(folder).iterdir()} == {
                log.name,
                *(["report.html"] * with_report),
            }
        else:
            assert code == 2
            assert out.getvalue() == ""
            assert err.getvalue().startswith("curvature diagnose: ")
            assert len(err.getvalue().strip().splitlines()) == 1
            assert [path.name for path in Path(folder).iterdir()] == [log.name]
