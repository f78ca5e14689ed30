"""Where GRPO is faster than REINFORCE: overlap of the prompts × mean reward std at the start.

Each cell is a set of instances: prompts of one overlap, their success rates spread around a centre on the hard side
(p < 1/2) that makes the mean reward std what the axis says. The colour is the measured ratio of times to a target,
REINFORCE over GRPO, full batch, exact gradients: at certified steps (theory B1) and at tuned constant steps. The
contour is what the certificates alone predict of the certified runs: along REINFORCE's run, a step of GRPO would be
certified to gain κ times as much, so the time should shrink by the harmonic mean of κ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from curvature import plotting
from curvature.ascent import ascend, prompt_weights
from curvature.interference import certified_speedup
from curvature.sweeps import sweep
from experiments import _runs
from experiments._experiment import ROOT, Dial, Experiment, main_of, require_count

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from pandas import DataFrame

    from curvature import LogLinearBandit

PROMPTS, RESPONSES = 8, 6
TARGET = 0.7
OVERLAPS = (0.0, 0.2, 0.4, 0.6, 0.8, 0.95)
STDS = (0.15, 0.21, 0.27, 0.33, 0.39, 0.44)
# Standard deviation of the log-odds of success over prompts: equal prompts would start alike under both methods.
SPREAD = 1.0
RULES = ("certified", "tuned")
# Points of a run at which the certified speed-up is evaluated.
SAMPLES = 40
# The colours end at a factor of 4 either way.
LARGEST_COLOUR = 4.0

CAPTION = (
    "How many times fewer steps GRPO needs than REINFORCE to reach a mean success of "
    f"{TARGET:g} (full batch, exact gradients, {PROMPTS} prompts of {RESPONSES} responses), by overlap of the prompts "
    "and mean reward std at the start (success rates on the hard side, log-odds of standard deviation "
    f"{SPREAD:g} between prompts). a: each method at the step of its largest certified gain (theory B1); lines: the "
    "certified prediction, the harmonic mean of the ratio of certified gains along REINFORCE's run. b: each method at "
    "the best of one grid of constant steps (powers of 2), chosen for each cell and method by the same rule on "
    "instances of other seeds. Geometric means over instances; a dot: the 95 % interval holds 1. A run that did not "
    "arrive counts as its length: ▲ it was REINFORCE alone, so the true ratio is larger; ▼ GRPO alone, so it is "
    "smaller. Hatched: both on some instance or other, so the ratio is not known; the numbers are the instances on "
    "which REINFORCE : GRPO arrived."
)


def run(
    instances: int = 8,
    tuning_instances: int = 4,
    cells: int = 6,
    steps: int = 2000,
    seed: int = 0,
    engine: Mapping[str, Any] | None = None,
) -> DataFrame:
    """Measure the speed-up in every cell.

    Parameters
    ----------
    instances : int
        Instances a cell that are reported on.
    tuning_instances : int
        Others, that steps are tuned on.
    cells : int
        Most values of each axis: evenly chosen from OVERLAPS and STDS.
    steps : int
        Length of a run; tuned runs have half of it.
    seed : int
        Of all draws.
    engine : mapping, optional
        Keyword arguments of :func:`curvature.sweeps.sweep`: workers, backend, store. The result does not depend on it.

    Returns
    -------
    DataFrame
        One row a cell and rule: overlap, reward_std, instances, rule, the columns of
        :func:`experiments._runs.compare`, and predicted (median over instances; rule "certified" only),
        reinforce_step, grpo_step and edges (number of arms whose tuned step is an end of the grid).
    """
    require_count("instances", instances, least=2)
    require_count("tuning_instances", tuning_instances)
    require_count("cells", cells, least=2)
    require_count("steps", steps, least=2)
    sizes = {"instances": instances, "tuning_instances": tuning_instances, "steps": steps, "seed": seed}
    table = [
        {"overlap": overlap, "reward_std": std, **sizes}
        for overlap in _chosen(OVERLAPS, cells)
        for std in _chosen(STDS, cells)
    ]
    found = sweep(table, run_cell, **{"progress": False, **(engine or {})})
    return found.drop(columns=["tuning_instances", "steps", "seed"])


def run_cell(
    overlap: float, reward_std: float, instances: int, tuning_instances: int, steps: int, seed: int
) -> list[dict[str, Any]]:
    """Measure one cell: a row for certified steps and one for tuned steps."""
    bandits = _instances(overlap, reward_std, range(instances), seed)
    first = _runs.FIRST_TUNING_SEED
    tuning = _instances(overlap, reward_std, range(first, first + tuning_instances), seed)
    return [
        {"rule": "certified"} | _certified(bandits, steps),
        {"rule": "tuned"} | _tuned(bandits, tuning, max(1, steps // 2)),
    ]


def success_of(reward_std: float) -> NDArray[np.float64]:
    """Return success rates of the given mean reward std, log-odds μ + SPREAD · normal quantiles with μ ≤ 0, (n,)."""
    from scipy import optimize, stats

    quantiles = stats.norm.ppf((np.arange(PROMPTS) + 0.5) / PROMPTS)
    quantiles *= SPREAD / quantiles.std()

    def rates(centre: float) -> NDArray[np.float64]:
        return 1 / (1 + np.exp(-(centre + quantiles)))

    def excess(centre: float) -> float:
        return float(np.sqrt(rates(centre) * (1 - rates(centre))).mean()) - reward_std

    largest = excess(0.0) + reward_std
    if not 0 < reward_std <= largest:
        raise ValueError(f"reward_std is {reward_std}; a number in (0, {largest:.4f}] is needed.")
    return rates(float(optimize.brentq(excess, -30.0, 0.0)))


def _chosen(values: tuple[float, ...], count: int) -> list[float]:
    return [
        values[i]
        for i in np.unique(np.linspace(0, len(values) - 1, min(count, len(values))).round().astype(int))
    ]


def _instances(overlap: float, std: float, numbers: range, seed: int) -> list[LogLinearBandit]:
    found = []
    for number in numbers:
        drawn = 100_000 * seed + number
        success = np.random.default_rng([drawn, 3]).permutation(success_of(std))
        found.append(_runs.bandit_with_success(success, RESPONSES, overlap, drawn))
    return found


def _certified(bandits: list[LogLinearBandit], steps: int) -> dict[str, Any]:
    traces = {
        method: ascend(
            bandits,
            method,
            step="certified",
            num_steps=steps,
            record=("expected_reward", "theta"),
            progress=False,
        )
        for method in ("reinforce", "grpo")
    }
    slow, fast = (_runs.time_to(trace, TARGET) for trace in traces.values())
    thetas = traces["reinforce"]["theta"]
    predicted = [
        predicted_speedup(bandit, path[: int(min(np.ceil(end), steps)) + 1])
        for bandit, path, end in zip(bandits, thetas, slow, strict=True)
    ]
    found = _runs.compare(slow, fast, steps)
    return found | {
        "predicted": float(np.median(predicted)),
        "reinforce_step": np.nan,
        "grpo_step": np.nan,
        "edges": 0,
    }


def predicted_speedup(bandit: LogLinearBandit, path: NDArray[np.float64]) -> float:
    """Return the harmonic mean along a path of the ratio of certified gains, GRPO over REINFORCE.

    Parameters
    ----------
    bandit : LogLinearBandit
        n prompts.
    path : ndarray, shape (S, d)
        θ₀ … of REINFORCE; evenly thinned to at most SAMPLES points.

    Returns
    -------
    float
        S steps of REINFORCE are as good as Σ 1/κ(θ_t) of GRPO, if both go along the same path. 0 if GRPO is
        certified to gain nothing at some point; points where neither is are left out.
    """
    chosen = path[np.unique(np.linspace(0, len(path) - 1, SAMPLES).round().astype(int))]
    ratio = certified_speedup(bandit, chosen, prompt_weights(bandit, chosen, "grpo"))
    with np.errstate(divide="ignore"):
        return float(1 / np.nanmean(1 / ratio))


def _tuned(bandits: list[LogLinearBandit], tuning: list[LogLinearBandit], steps: int) -> dict[str, Any]:
    time, found = {}, {}
    for method in ("reinforce", "grpo"):
        found[method] = _runs.tune(tuning, method, level=TARGET, num_steps=steps)
        time[method] = _runs.measure(bandits, method, step=found[method].step, level=TARGET, num_steps=steps)
    return _runs.compare(time["reinforce"], time["grpo"], steps) | {
        "predicted": np.nan,
        "reinforce_step": found["reinforce"].step,
        "grpo_step": found["grpo"].step,
        "edges": sum(tuned.at_edge for tuned in found.values()),
    }


def plot(df: DataFrame, ax: Any = None) -> Any:
    """Draw the two panels.

    Parameters
    ----------
    df : DataFrame
        What :func:`run` returns.
    ax : array of two Axes, optional
        A new figure when left out.

    Returns
    -------
    array of two Axes
        Certified steps, tuned steps.
    """
    axes = plotting.figure("ab", size=(8.8, 4.9))[1] if ax is None else ax
    overlaps, stds = (np.sort(df[name].unique()) for name in ("overlap", "reward_std"))
    mesh = None
    for panel, rule in zip(axes, RULES, strict=True):
        rows = df[df["rule"] == rule]
        # Cells of one size: the axes are lists of values.
        rows = rows.assign(
            x=np.searchsorted(overlaps, rows["overlap"]), y=np.searchsorted(stds, rows["reward_std"])
        )
        known = rows["speedup"].where(rows["bound"] != "unknown")
        mesh = panel.pcolormesh(
            np.arange(len(overlaps) + 1) - 0.5,
            np.arange(len(stds) + 1) - 0.5,
            np.log2(_grid(rows.assign(known=known), "known")),
            cmap=_colours(),
            vmin=-np.log2(LARGEST_COLOUR),
            vmax=np.log2(LARGEST_COLOUR),
            rasterized=True,
        )
        if rule == "certified":
            _contours(panel, rows)
        _mark(panel, rows)
        _write(panel, rows)
        panel.grid(visible=False)
        panel.set_xticks(range(len(overlaps)), labels=[f"{c:g}" for c in overlaps])
        panel.set_yticks(range(len(stds)), labels=[f"{std:g}" for std in stds])
        panel.set(xlim=(-0.5, len(overlaps) - 0.5), ylim=(-0.5, len(stds) - 0.5))
        panel.set(xlabel="overlap c of the prompts", ylabel="mean reward std at the start")
    axes[0].set_title("a   at certified steps")
    axes[1].set_title("b   at tuned steps")
    bar = axes[0].figure.colorbar(mesh, ax=list(axes), extend="both", shrink=0.9, pad=0.02)
    bar.set_ticks([-2, -1, 0, 1, 2], labels=["1/4", "1/2", "1", "2", "4"])
    bar.ax.axhline(0, color="black", linewidth=1.6)
    bar.set_label("times fewer steps with GRPO")
    for panel in axes:
        plotting.legend_below(panel, columns=1)
    return axes


def _colours() -> Any:
    """Return a diverging map whose lightness only rises: in grey it stays ordered."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("ratio", ["#5F2500", "#B06A33", "#ABABAB", "#8CC4EA", "#EDF8FF"])


def _grid(rows: DataFrame, column: str) -> NDArray[np.float64]:
    return rows.pivot(index="y", columns="x", values=column).to_numpy()


def _mark(panel: Any, rows: DataFrame) -> None:
    level = (rows["bound"] == "exact") & (rows["low"] <= 1) & (rows["high"] >= 1)
    kinds = {
        "the interval holds 1": (level, "."),
        "at least: some REINFORCE never arrived": (rows["bound"] == "at least", "^"),
        "at most: some GRPO never arrived": (rows["bound"] == "at most", "v"),
    }
    for label, (where, marker) in kinds.items():
        part = rows[where]
        if len(part) or marker == ".":
            look = {"linestyle": "none", "marker": marker, "color": "black", "markersize": 4, "label": label}
            panel.plot(part["x"], part["y"] - 0.3, **look)
    unknown = rows[rows["bound"] == "unknown"]
    if len(unknown):
        look = {"facecolor": "white", "edgecolor": "#9A9A9A", "hatch": "////", "linewidth": 0}
        label = "not known: some of both never arrived"
        panel.bar(unknown["x"], 1.0, 1.0, bottom=unknown["y"] - 0.5, zorder=1, label=label, **look)


def _write(panel: Any, rows: DataFrame) -> None:
    from matplotlib.patheffects import withStroke

    for row in rows.itertuples():
        unknown = row.bound == "unknown"
        text = f"{row.speedup:.2f}" if row.speedup < 10 else f"{row.speedup:.0f}"
        if unknown:
            text = f"{row.instances - row.slow_censored} : {row.instances - row.fast_censored}"
        dark = not unknown and row.speedup < 0.5
        halo = [withStroke(linewidth=2.0, foreground="white")] if unknown else None
        panel.annotate(
            text,
            (row.x, row.y),
            ha="center",
            va="center",
            fontsize=7,
            color="white" if dark else "black",
            path_effects=halo,
            zorder=5,
        )


def _contours(panel: Any, rows: DataFrame) -> None:
    predicted = _grid(rows, "predicted")
    levels = [level for level in (0.4, 0.6, 0.8, 1.0) if predicted.min() < level < predicted.max()]
    if levels:
        widths = [2.0 if level == 1 else 1.0 for level in levels]
        ys, xs = (np.arange(size) for size in predicted.shape)
        lines = panel.contour(xs, ys, predicted, levels=levels, colors="#8B0058", linewidths=widths)
        panel.clabel(lines, fmt="%g", fontsize=7)
    panel.plot([], [], color="#8B0058", linewidth=1.4, label="certified prediction of the ratio")


def headline(df: DataFrame) -> dict[str, Any]:
    """Return the range of speed-ups, the cells below 1, the fit of the prediction, and the censored cells."""
    found: dict[str, Any] = {}
    for rule in RULES:
        rows = df[df["rule"] == rule]
        exact = rows[rows["bound"] == "exact"]
        found |= {
            f"{rule}: cells": len(rows),
            f"{rule}: cells with censored runs": len(rows) - len(exact),
            f"{rule}: cells where GRPO is faster (interval above 1)": int((exact["low"] > 1).sum()),
            f"{rule}: cells where REINFORCE is faster (interval below 1)": int((exact["high"] < 1).sum()),
        }
        if len(exact):
            found[f"{rule}: least and largest speed-up"] = {
                "least": float(exact["speedup"].min()),
                "largest": float(exact["speedup"].max()),
            }
    certified = df[df["rule"] == "certified"]
    found["least and largest certified prediction"] = {
        "least": float(certified["predicted"].min()),
        "largest": float(certified["predicted"].max()),
    }
    exact = certified[certified["bound"] == "exact"]
    if len(exact) > 2:
        ranks = exact[["speedup", "predicted"]].rank().to_numpy().T
        if (ranks.std(axis=1) > 0).all():
            found["rank correlation of speed-up and prediction, cells without censored runs"] = float(
                np.corrcoef(ranks)[0, 1]
            )
    found["cells predicted below 1 and measured above 1 (or at least so)"] = int(
        (
            (certified["predicted"] < 1)
            & (certified["low"] > 1)
            & certified["bound"].isin(["exact", "at least"])
        ).sum()
    )
    found["tuned arms whose step is an end of the grid"] = int(df["edges"].sum())
    return found


EXPERIMENT = Experiment(
    stem="overlap_phase_diagram",
    run=run,
    plot=plot,
    caption=CAPTION,
    dials={
        "instances": Dial(8, 3, "instances a cell"),
        "tuning_instances": Dial(4, 1, "instances a cell for tuning"),
        "cells": Dial(6, 4, "most values of each axis"),
        "steps": Dial(2000, 1000, "length of a run"),
    },
    inputs=(ROOT / "experiments" / "_runs.py",),
    headline=headline,
    sweeps=True,
)


def main(argv: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    return main_of(EXPERIMENT, argv)


if __name__ == "__main__":
    raise SystemExit(main())
