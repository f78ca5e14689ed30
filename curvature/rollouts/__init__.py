"""Rollout logs of real trainers: reading them, naming their convention, and what theory predicts from them.

`read_rollouts` (or `RolloutLog.from_arrays`) → `RolloutLog` → `diagnose` → `Diagnosis` → `render_terminal`,
`render_html`, `to_json`. `Recorder` writes a log while a run trains; for TRL see :mod:`curvature.rollouts.trl`,
which is imported by itself because it loads transformers.
"""

from curvature.rollouts.convention import identify_convention
from curvature.rollouts.diagnosis import diagnose
from curvature.rollouts.findings import (
    ConventionFinding,
    Diagnosis,
    Estimate,
    Limit,
    Prediction,
    Source,
    Verdict,
)
from curvature.rollouts.html import render_html
from curvature.rollouts.jsonable import to_json
from curvature.rollouts.log import BadRow, GroupTable, Note, RolloutLog, RowSample
from curvature.rollouts.readers import FORMATS, LogError, read_rollouts
from curvature.rollouts.recorder import Recorder
from curvature.rollouts.terminal import render_terminal

__all__ = [
    "FORMATS",
    "BadRow",
    "ConventionFinding",
    "Diagnosis",
    "Estimate",
    "GroupTable",
    "Limit",
    "LogError",
    "Note",
    "Prediction",
    "Recorder",
    "RolloutLog",
    "RowSample",
    "Source",
    "Verdict",
    "diagnose",
    "identify_convention",
    "read_rollouts",
    "render_html",
    "render_terminal",
    "to_json",
]
