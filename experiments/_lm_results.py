"""The committed results of language-model runs, as the figures read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments._experiment import ROOT

if TYPE_CHECKING:
    from pandas import DataFrame

RESULTS = ROOT / "experiments" / "results"
DEMO = RESULTS / "lm_demo"
# How arms are drawn, wherever they appear.
ROLES = {"none": "paper", "group": "sharp", "batch": "other", "group_matched": "exact"}
NAMES = {
    "none": "none: r − mean",
    "group": "group: … / σ",
    "batch": "batch: … / batch std",
    "group_matched": "group, matched scale",
}
OPTIMIZERS = {"adamw": "AdamW", "sgd": "SGD"}
_DIGITS = 6
_COLUMNS = (
    "step",
    "reward_mean",
    "reward_std_mean",
    "silent_right",
    "silent_wrong",
    "grad_norm",
    "advantage_rms",
)


def curves_of(folder: Path) -> DataFrame:
    """Return one row a step of a run, with what tells the run from others."""
    import pandas as pd

    from curvature.lm._metrics import read_metrics

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    rows = read_metrics(folder / "metrics.jsonl")
    table = pd.DataFrame([{name: row.get(name) for name in _COLUMNS} for row in rows])
    labels = {name: config[name] for name in ("optimizer", "arm", "seed", "learning_rate")}
    return pd.DataFrame(labels, index=table.index).join(table)


def compact(data: Any) -> str:
    """Write plain data as JSON of six digits, one line for each entry of its first level."""
    rounded = _rounded(data)
    entries = [
        f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in rounded.items()
    ]
    return "{\n" + ",\n".join(entries) + "\n}\n"


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_rounded(entry) for entry in value]
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value


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
    if not path.is_file():
        raise ValueError(
            f"there is no {path.name} in {path.parent}; make it by `python -m experiments.lm_demo`."
        )
    return json.loads(path.read_text(encoding="utf-8"))


def read_csv(path: Path) -> DataFrame:
    """Read one table of results; a ValueError says what makes it if there is none."""
    import pandas as pd

    if not path.is_file():
        raise ValueError(
            f"there is no {path.name} in {path.parent}; make it by `python -m experiments.lm_demo`."
        )
    return pd.read_csv(path)


def number(value: float | None) -> float:
    """Return what JSON wrote as null as NaN."""
    return float("nan") if value is None else float(value)


# Where probes are and what each is called; those that are not there are left out.
PROBES = {
    DEMO / "probe_start.json": "tiny, start",
    DEMO / "probe_end_none.json": "tiny, after none",
    DEMO / "probe_end_group.json": "tiny, after group",
    RESULTS / "lm_real" / "probe_gsm8k.json": "0.5B, GSM8K",
    RESULTS / "lm_real" / "probe_math.json": "0.5B, MATH",
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
