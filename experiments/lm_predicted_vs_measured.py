"""What the first success rates of a tiny transformer predict for four weightings, beside what training them shows.

Drawn from the committed results of `python -m experiments.lm_demo`; nothing is trained here.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature import plotting
from experiments._experiment import Experiment, main_of
from experiments._lm_results import DEMO, OPTIMIZERS, ROLES, number, read_json

if TYPE_CHECKING:
    from pandas import DataFrame

WINDOW = 10
# Told apart without colour: open, filled, and filled in half.
MARKERS: dict[str, Any] = {
    "adamw": lambda colour: {"markerfacecolor": "white", "markersize": 6.5},
    "sgd": lambda colour: {"markerfacecolor": colour, "markersize": 5},
    "sgd_small": lambda colour: {"fillstyle": "left", "markerfacecoloralt": "white", "markersize": 8},
}
INPUTS = (DEMO / "comparison.json", DEMO / "config.json")

CAPTION = (
    "Predicted and measured training of a transformer on sums: AdamW (a) and SGD (b) at tuned rates, and SGD "
    "at the smallest rates of the same grids (c), untuned, where steps are as small as the forecast assumes. "
    "Lines: the flow of small steps with groups of finite size, from the distribution of success rates at the "
    "start and the learning rates used, as if every question learnt by itself; one time scale is fitted, to "
    "arm none alone (so its curve is a fit, and the others are forecasts). For AdamW an update counts as "
    f"divided by the RMS advantage. Markers: averages of {WINDOW} steps, mean over paired seeds with Student's "
    "95% interval. d: how many times fewer updates than arm none each arm needs to 50, 75 and 90 per cent of "
    "the way from the start to the end of the worst run; above 1 it is faster; horizontal 95% intervals by "
    "resampling the questions of the start, vertical ones over paired seeds. Open markers AdamW, filled ones "
    "SGD, half-filled ones SGD in small steps. Questions of a language model do not learn by themselves, so "
    "nothing forces the markers onto the line; the record gives every ratio, and in how many cases the "
    "measured interval holds the prediction."
)


def run(seed: int = 0) -> DataFrame:
    """Arrange the committed results.

    Parameters
    ----------
    seed : int
        Unused: nothing is drawn.

    Returns
    -------
    DataFrame
        Columns view ("forecast", "measured" or "speedup"), optimizer, arm, x (update, or target), predicted,
        predicted_low, predicted_high, measured, low, high.
    """
    import pandas as pd

    del seed
    tables = []
    for optimizer, found in read_json(DEMO / "comparison.json").items():
        steps = pd.DataFrame(found["curves"]).rename(columns={"step": "x"})
        tables.append(steps[["arm", "x", "predicted"]].assign(view="forecast", optimizer=optimizer))
        tables.append(_averaged(steps).assign(view="measured", optimizer=optimizer))
        tables.append(_speedups(found["speedups"]).assign(view="speedup", optimizer=optimizer))
    columns = ["view", "optimizer", "arm", "x", "predicted", "predicted_low", "predicted_high"]
    return pd.concat(tables, ignore_index=True)[[*columns, "measured", "low", "high"]]


def _averaged(steps: DataFrame) -> DataFrame:
    """Average over windows of steps; seeds of a window are nearly independent from step to step."""
    window = steps["x"] // WINDOW
    grouped = steps.assign(reach=((steps["high"] - steps["low"]) / 2) ** 2).groupby(["arm", window])
    table = grouped[["x", "measured"]].mean()
    reach = np.sqrt(grouped["reach"].sum()) / grouped["reach"].count()
    table = table.assign(low=table["measured"] - reach, high=table["measured"] + reach)
    return table.droplevel(1).reset_index()


def _speedups(rows: list[dict[str, Any]]) -> DataFrame:
    import pandas as pd

    nothing = {"value": None, "low": None, "high": None}
    table = []
    for row in rows:
        predicted, measured = row["predicted"] or nothing, row["measured"]
        table.append({
            "arm": row["arm"],
            "x": row["target"],
            "predicted": number(predicted["value"]),
            "predicted_low": number(predicted["low"]),
            "predicted_high": number(predicted["high"]),
            "measured": number(measured["value"]),
            "low": number(measured["low"]),
            "high": number(measured["high"]),
        })
    return pd.DataFrame(table)


def plot(df: DataFrame, ax: Any = None) -> Any:
    """Draw the panels: a learning-curve panel for each optimiser, and the speed-ups.

    Parameters
    ----------
    df : DataFrame
        What :func:`run` returns.
    ax : array of Axes, optional
        A new figure when left out.

    Returns
    -------
    array of Axes
        Curves of each optimiser, then speed-ups.
    """
    shown = [name for name in OPTIMIZERS if (df["optimizer"] == name).any()]
    letters = "abcd"[: len(shown) + 1]
    layout = "ab;cd" if len(letters) == 4 else letters
    size = (4.1 * layout.index(";"), 8.8) if ";" in layout else (4.0 * len(letters), 4.7)
    axes = plotting.figure(layout, size=size)[1] if ax is None else ax
    for letter, name, panel in zip(letters, shown, axes, strict=False):
        own = df[df["optimizer"] == name]
        lines = own[own["view"] == "forecast"]
        plotting.plot_lines(
            lines.assign(series="flow: " + lines["arm"]),
            panel,
            x="x",
            y="predicted",
            roles={f"flow: {arm}": role for arm, role in ROLES.items()},
        )
        roles = {f"runs: {arm}": role for arm, role in ROLES.items()}
        points = own[own["view"] == "measured"]
        # Side by side, so that no interval hides another.
        aside = points["arm"].map({arm: (at - 1.5) * WINDOW / 7 for at, arm in enumerate(ROLES)})
        points = points.assign(x=points["x"] + aside, series="runs: " + points["arm"])
        plotting.plot_points(points, panel, x="x", y="measured", roles=roles, interval=("low", "high"))
        panel.set(xlabel="update", ylabel="share of right answers", title=f"{letter}   {OPTIMIZERS[name]}")
        plotting.legend_below(panel, columns=2)
    _plot_speedups(df[df["view"] == "speedup"], axes[len(shown)], letters[-1])
    return axes


def _plot_speedups(rows: DataFrame, ax: Any, letter: str) -> None:
    known = rows[rows["predicted"].notna() & rows["measured"].notna()]
    values = np.append(known[["predicted", "measured"]].to_numpy().ravel(), 1.0)
    ends = [0.6 * values.min(), 1.6 * values.max()]
    ax.plot(ends, ends, color="#6E6E6E", linewidth=0.9, linestyle=(0, (2, 2)), label="equal", zorder=1)
    for optimizer, label in OPTIMIZERS.items():
        for arm, role in ROLES.items():
            own = known[(known["optimizer"] == optimizer) & (known["arm"] == arm)]
            if own.empty:
                continue
            look = plotting.ROLES[role]
            ax.errorbar(
                own["predicted"],
                own["measured"],
                xerr=_reach(own, "predicted", "predicted_low", "predicted_high"),
                yerr=_reach(own, "measured", "low", "high"),
                linestyle="none",
                marker=look.marker,
                color=look.colour,
                **MARKERS[optimizer](look.colour),
                elinewidth=0.9,
                zorder=4,
                label=f"{label}: {arm}",
            )
    for line in (ax.axhline, ax.axvline):
        line(1, color="#BDBDBD", linewidth=0.9, zorder=1)
    ax.set(xscale="log", yscale="log", xlim=ends, ylim=ends)
    ticks = [tick for tick in (0.1, 0.2, 0.3, 0.5, 1, 2, 3, 5, 10, 20) if ends[0] <= tick <= ends[1]]
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
        axis.set_ticks([], minor=True)
    ax.set(xlabel="speed-up over none, predicted", ylabel="speed-up over none, measured")
    ax.set_title(f"{letter}   updates to target, ratio", loc="left")
    plotting.legend_below(ax, columns=2)


def _reach(rows: DataFrame, value: str, low: str, high: str) -> list[Any]:
    return [(rows[value] - rows[low]).fillna(0), (rows[high] - rows[value]).fillna(0)]


def headline(df: DataFrame) -> dict[str, Any]:
    """Return every speed-up, predicted and measured, how often they agree, and the errors of the curves."""
    numbers: dict[str, Any] = {}
    rows = df[df["view"] == "speedup"]
    for row in rows.itertuples():
        stem = f"{OPTIMIZERS[str(row.optimizer)]}, {row.arm} over none, to {row.x:.3f}"
        for what, ends in {
            "predicted": (row.predicted, row.predicted_low, row.predicted_high),
            "measured": (row.measured, row.low, row.high),
        }.items():
            numbers[f"{stem}: {what}"] = [
                round(float(end), 3) if np.isfinite(end) else "none" for end in ends
            ]
    for optimizer, own in rows.groupby("optimizer"):
        held = ((own["low"] <= own["predicted"]) & (own["predicted"] <= own["high"])).sum()
        label = OPTIMIZERS[str(optimizer)]
        numbers[f"{label}: measured intervals that hold the prediction"] = f"{held} of {len(own)}"
        ratio = np.log(own["measured"] / own["predicted"]).dropna()
        numbers[f"{label}: measured over predicted speed-up, geometric mean"] = round(
            float(np.exp(ratio.mean())), 3
        )
    found = read_json(DEMO / "comparison.json")
    for optimizer, one in found.items():
        for row in one["speedups"]:
            stem = f"{OPTIMIZERS[optimizer]}, {row['arm']} over none, to {row['target']:.3f}"
            if row["predicted_at_one_rate"]:
                ends = [
                    round(number(row["predicted_at_one_rate"][end]), 3) for end in ("value", "low", "high")
                ]
                numbers[f"{stem}: predicted if both had the rate of none"] = ends
            numbers[f"{OPTIMIZERS[optimizer]}, {row['arm']}: learning rates of none and of the arm"] = (
                " and ".join(f"{rate:g}" for rate in row["learning_rates"])
            )
        certified = one["certified"]
        for part in ("speedup", "iterations", "prompts"):
            shown = ", ".join(f"{value:.3g}" for value in certified[part])
            numbers[
                f"{OPTIMIZERS[optimizer]}, group over none at certified steps: {part} (T4), by target"
            ] = shown
        for part, value in one["start"].items():
            ends = [round(number(value[end]), 4) for end in ("value", "low", "high")]
            numbers[f"{OPTIMIZERS[optimizer]}, start: mean {part}"] = ends
        for arm, phases in one["phases"].items():
            numbers[f"{OPTIMIZERS[optimizer]}, {arm}: phases"] = phases["sentence"]
    return numbers


EXPERIMENT = Experiment(
    stem="lm_predicted_vs_measured",
    run=run,
    plot=plot,
    caption=CAPTION,
    dials={},
    inputs=(*INPUTS, Path(__file__).parent / "_lm_results.py"),
    headline=headline,
)


def main(argv: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    return main_of(EXPERIMENT, argv)


if __name__ == "__main__":
    raise SystemExit(main())
