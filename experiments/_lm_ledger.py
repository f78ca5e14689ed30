"""What the ledger quotes of the committed language-model runs: section 4 of the paper, our numbers with intervals.

    python -m experiments._lm_ledger     # experiments/results/lm_*/ → curvature/ledger/lm_results.json

Statistics of a probe get a delete-one jackknife over its prompts, since pairs of prompts are not independent; speed-ups
and correlations keep the intervals that the comparison and the probe gave them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature._files import write_atomically
from curvature.ledger.section_4 import RESULTS_FILE
from experiments._experiment import show
from experiments._lm_results import DEMO, RESULTS, TUNED, read_json

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from curvature.lm._probe_result import ProbeResult

TARGET = 1  # of the comparison's targets: 75 % of the way


def main() -> int:
    """Write the ledger's file.

    Returns
    -------
    int
        0.
    """
    found = collect()
    write_atomically(RESULTS_FILE, (json.dumps(found, indent=1, ensure_ascii=False) + "\n").encode())
    print(f"wrote {show(RESULTS_FILE)}: {', '.join(found)}")
    return 0


def collect() -> dict[str, dict[str, Any]]:
    """Return the entries that the committed results allow.

    Returns
    -------
    dict of str to dict
        By key of :data:`curvature.ledger.section_4.REPORTED`: value, low, high, count, model and setting.
    """
    found = {}
    real = _probe("lm_real/tiny/gsm8k_easy/probe_start.json")
    if real is not None:
        found |= _of_pairs(real, _named(real, "GSM8K with two worked examples in every prompt"))
    start, end = (_probe(f"lm_demo/probe_{name}.json") for name in ("start", "end_group"))
    if start is not None and end is not None:
        found |= _of_training(start, end)
        for key, entry in _of_pairs(start, _named(start, "sums")).items():
            # Gradients of a handful of live prompts say little; the representations of a toy say nothing of a model's.
            if key.startswith("gradient") and not _width(found.get(key)) <= _width(entry):
                found[key] = entry
    if (DEMO / "comparison.json").is_file():
        found |= _of_comparison(read_json(DEMO / "comparison.json"))
    return {key: entry for key, entry in found.items() if math.isfinite(entry["low"] + entry["high"])}


def _width(entry: dict[str, Any] | None) -> float:
    return math.nan if entry is None else entry["high"] - entry["low"]


def _probe(path: str) -> ProbeResult | None:
    from curvature.lm._probe_result import ProbeResult

    at = RESULTS / path
    return ProbeResult.from_json(at.read_text(encoding="utf-8")) if at.is_file() else None


def _named(probe: ProbeResult, task: str) -> tuple[str, str]:
    n, G = probe.rewards.shape
    model = str(probe.config.get("description") or probe.config.get("model"))
    return model, f"{task}, {n} prompts of {G} answers, parameters {probe.config.get('parameters')}"


def _of_pairs(probe: ProbeResult, named: tuple[str, str]) -> dict[str, dict[str, Any]]:
    """Return angles between representations and between gradients."""
    pooled = _matrix(probe.representations["mean_pooled"])
    everyone = np.arange(len(probe.keys))
    live = np.flatnonzero(np.diag(probe.inner) > 0)
    length = np.sqrt(np.diag(probe.inner))
    with np.errstate(invalid="ignore", divide="ignore"):
        cosines = probe.inner / np.outer(length, length)

    def noise_free(rows: NDArray[np.int64]) -> float:
        from curvature.lm._gradient_statistics import gradient_cosines

        at = np.ix_(rows, rows)
        halves = probe.inner_halves[:, rows][:, :, rows]
        return gradient_cosines(probe.inner[at], halves, probe.squared_norm[rows]).root_mean_square

    statistics: dict[str, tuple[Callable[[NDArray[np.int64]], float], NDArray[np.int64]]] = {
        "representation_share_below_15": (
            lambda rows: _pairs(pooled, rows, lambda c: abs(c) < 0.15),
            everyone,
        ),
        "representation_abs_cos": (lambda rows: _pairs(pooled, rows, abs), everyone),
        "gradient_share_near_zero": (lambda rows: _pairs(cosines, rows, lambda c: abs(c) < 0.1), live),
        "gradient_share_negative": (lambda rows: _pairs(cosines, rows, lambda c: c < 0), live),
        "gradient_cos_rms_corrected": (noise_free, everyone),
    }
    found = {}
    for key, (of, rows) in statistics.items():
        value, low, high = _jackknife(of, rows)
        if "share" in key:
            low, high = np.clip([low, high], 0.0, 1.0)
        found[key] = _entry(value, float(low), float(high), len(rows), named)
    return found


def _of_training(start: ProbeResult, end: ProbeResult) -> dict[str, dict[str, Any]]:
    """Return what training by the group's std did to the cosines, and the Fisher proxy at both ends."""
    from curvature.lm._fisher import fisher_correlations

    named = _named(start, "sums, start and end of training")
    tables = []
    for probe in (start, end):
        length = np.sqrt(np.diag(probe.inner))
        with np.errstate(invalid="ignore", divide="ignore"):
            tables.append(probe.inner / np.outer(length, length))
    live = np.flatnonzero(np.isfinite(tables[0].diagonal()) & np.isfinite(tables[1].diagonal()))

    def spread(rows: NDArray[np.int64]) -> float:
        first, last = (
            np.std(table[np.ix_(rows, rows)][np.triu_indices(len(rows), 1)], ddof=1) for table in tables
        )
        return float(last / first)

    found = {"gradient_sd_end_over_start": _entry(*_jackknife(spread, live), len(live), named)}
    correlations = fisher_correlations([start, end])
    for key, one in (
        ("fisher_same", correlations.prompts_same),
        ("fisher_other", correlations.prompts_different),
    ):
        found[key] = _entry(one.value, one.low, one.high, one.num_points, named)
    return found


def _of_comparison(compared: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return measured steps without the std over steps with it, at 75 % of the way."""
    found = {}
    for optimizer, one in compared.items():
        rows = [row for row in one["speedups"] if row["arm"] == "group"]
        row = rows[min(TARGET, len(rows) - 1)]
        measured, predicted = row["measured"], row["predicted"]
        if measured["low"] is None or measured["value"] is None:
            continue
        beside = "" if predicted is None else f"; predicted {predicted['value']:.3g}"
        rates = "tuned rates" if optimizer in TUNED else "the smallest rates"
        setting = (
            f"sums, {optimizer.split('_')[0]} at {rates}, {row['reached'][1]} paired seeds, "
            f"success {row['target']:.2f}{beside}"
        )
        found[f"speedup_{optimizer}"] = _entry(
            measured["value"],
            measured["low"],
            measured["high"],
            row["reached"][1],
            ("tiny transformer", setting),
        )
    return found


def _entry(value: float, low: float, high: float, count: int, named: tuple[str, str]) -> dict[str, Any]:
    numbers = {"value": value, "low": low, "high": high}
    rounded = {name: float(f"{number:.4g}") for name, number in numbers.items()}
    return {**rounded, "count": int(count), "model": named[0], "setting": named[1]}


def _matrix(upper: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the symmetric matrix of an upper triangle."""
    n = round((1 + math.sqrt(1 + 8 * len(upper))) / 2)
    full = np.eye(n)
    full[np.triu_indices(n, 1)] = upper
    return full + np.triu(full, 1).T


def _pairs(
    table: NDArray[np.float64], rows: NDArray[np.int64], of: Callable[[NDArray[np.float64]], Any]
) -> float:
    return float(np.mean(of(table[np.ix_(rows, rows)][np.triu_indices(len(rows), 1)])))


def _jackknife(
    statistic: Callable[[NDArray[np.int64]], float], rows: NDArray[np.int64]
) -> tuple[float, float, float]:
    """Return a statistic of prompts with its 95 % interval, value ± t·se of the delete-one jackknife."""
    from scipy.stats import t

    n = len(rows)
    if n < 4:
        return math.nan, math.nan, math.nan
    value = statistic(rows)
    without = np.array([statistic(np.delete(rows, i)) for i in range(n)])
    half = float(t.ppf(0.975, n - 1)) * math.sqrt(
        (n - 1) / n * float(((without - without.mean()) ** 2).sum())
    )
    return value, value - half, value + half


if __name__ == "__main__":
    raise SystemExit(main())
