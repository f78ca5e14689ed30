"""The committed results of language-model runs, as the figures read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature import plotting
from experiments._experiment import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandas import DataFrame

RESULTS = ROOT / "experiments" / "results"
DEMO = RESULTS / "lm_demo"
REAL = RESULTS / "lm_real" / "tiny"
# How arms are drawn, wherever they appear.
ROLES = {"none": "paper", "group": "sharp", "batch": "other", "group_matched": "exact"}
NAMES = {
    "none": "none: r − mean",
    "group": "group: … / σ",
    "batch": "batch: … / batch std",
    "group_matched": "group, matched scale",
}
# What was run: each optimiser tuned, and SGD in small steps, untuned, which the forecast is about.
OPTIMIZERS = {"adamw": "AdamW", "sgd": "SGD", "sgd_small": "SGD, small steps"}
TUNED = ("adamw", "sgd")


def read_json(path: Path) -> dict[str, Any]:
    """Read one file of results.

    Parameters
    ----------
    path : Path
        Where it is.

    Returns
    -------
    dict
        Its entries.

    Raises
    ------
    ValueError
        If there is none: the sentence says what makes it.
    """
    return json.loads(_there(path).read_text(encoding="utf-8"))


def read_csv(path: Path) -> DataFrame:
    """Read one table of results; a ValueError says what makes it if there is none."""
    import pandas as pd

    return pd.read_csv(_there(path))


def _there(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(
            f"there is no {path.name} in {path.parent}; make it by `python -m experiments.lm_demo`."
        )
    return path


def number(value: float | None) -> float:
    """Return what JSON wrote as null as NaN."""
    return float("nan") if value is None else float(value)


def plain(value: float) -> float | int | str:
    """Return a number as a record can hold it: four digits, and "nan" or "inf" in words."""
    if isinstance(value, int | np.integer):
        return int(value)
    return float(f"{value:.4g}") if np.isfinite(value) else str(value)


def plot_rows(ax: Any, names: Sequence[str], kinds: Sequence[tuple[str, str, DataFrame]]) -> None:
    """Draw a row for each name, from the top, and in it a marker and an interval of each of two kinds.

    Parameters
    ----------
    ax : Axes
        To draw on.
    names : sequence of str
        Of the rows.
    kinds : sequence of (str, str, DataFrame)
        Label, role, and the rows in the order of the names: columns value, low, high, and, if the interval is not that
        of the value, within: the value that it is of, drawn as a stroke on it.
    """
    for (label, role, own), shift in zip(kinds, (-0.12, 0.12), strict=True):
        look = plotting.ROLES[role]
        at = np.arange(len(names)) + shift
        ax.hlines(at, own["low"], own["high"], color=look.colour, linewidth=1.8)
        if "within" in own:
            ax.plot(own["within"], at, linestyle="none", marker="|", markersize=11, color=look.colour)
        ax.plot(own["value"], at, linestyle="none", marker=look.marker, color=look.colour, label=label)
    ax.set_yticks(np.arange(len(names)), labels=names)
    ax.set_ylim(len(names) - 0.4, -0.6)


# Where probes are and what each is called; those that are not there are left out.
PROBES = {
    DEMO / "probe_start.json": "tiny, start",
    DEMO / "probe_end_none.json": "tiny, after none",
    DEMO / "probe_end_group.json": "tiny, after group",
    REAL / "gsm8k_easy" / "probe_start.json": "0.5B, GSM8K",
    REAL / "math_easy" / "probe_start.json": "0.5B, MATH",
}
PROBE_ROLES = dict(zip(PROBES.values(), ("reference", "paper", "sharp", "exact", "other"), strict=True))


def probe_files() -> tuple[Path, ...]:
    """Return the probes that are there."""
    return tuple(path for path in PROBES if path.is_file())


def probes() -> dict[str, Any]:
    """Read the probes by name; a ValueError says what makes them if there are none."""
    from curvature.lm._probe_result import ProbeResult

    found = {PROBES[path]: ProbeResult.from_json(path.read_text(encoding="utf-8")) for path in probe_files()}
    if not found:
        raise ValueError(f"there are no probes in {DEMO}; make them by `python -m experiments.lm_demo`.")
    return found
