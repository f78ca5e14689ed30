"""Learning curves of a tiny transformer under four weightings, how each was tuned, and mean σ beside the lead.

Drawn from the committed results of `python -m experiments.lm_demo`; nothing is trained here.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature import plotting
from experiments._experiment import Experiment, main_of
from experiments._lm_results import DEMO, NAMES, OPTIMIZERS, ROLES, TUNED, number, read_csv, read_json

if TYPE_CHECKING:
    from pandas import DataFrame

# Steps that one point of a curve averages, and arms whose interval is drawn: four bands hide each other.
WINDOW = 10
BANDS = ("none", "group")
STATISTICS = {"(8/3)·mean σ, the paper's": "reference", "2.598·mean σ, ours": "binary"}
LEAD = "lead of group over none (right axis)"
INPUTS = (DEMO / "curves.csv", DEMO / "tuning.csv", DEMO / "comparison.json", DEMO / "config.json")

CAPTION = (
    "A transformer trained from random weights on sums: supervised steps until it gets part of them right, then "
    "on-policy reinforcement learning with groups of answers, by AdamW (a) and by SGD (b). Share of right answers in "
    f"training (none are held out), averages of {WINDOW} updates, mean over paired seeds; bands are Student's 95% "
    "intervals of arms none and group over seeds. Arms of one seed see the same questions and draw by the same random "
    "numbers. Each arm runs at the learning rate that did best of its own grid, all grids of one size, on seeds that "
    "are not shown. c, d: that tuning, mean reward over all updates and tuning seeds against the learning rate, the "
    "chosen one filled; the record says where a chosen rate is at the edge of its grid. e, f: statistics of the mean "
    "reward std σ of arm none in windows of the run; below 1 the bounds of the paper (and of this project) favour "
    "dividing by the std, and by H6 that is where the lead of arm group opens; on the right axis the lead, with its "
    "95% interval over paired seeds."
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
        Columns view ("curve", "tuning" or "window"), optimizer, series, x, value, low, high.
    """
    import pandas as pd

    del seed
    compared = read_json(DEMO / "comparison.json")
    tables = [_curves(read_csv(DEMO / "curves.csv")), _tuning(read_csv(DEMO / "tuning.csv"))]
    tables += [_windows(name, one["windows"]) for name, one in compared.items() if name in TUNED]
    return pd.concat(tables, ignore_index=True)


def _curves(steps: DataFrame) -> DataFrame:
    import pandas as pd

    from curvature.lm._measured import student

    steps = steps.assign(window=steps["step"] // WINDOW)
    each = steps.groupby(["optimizer", "arm", "window", "seed"])["reward_mean"].mean()
    rows = []
    for (optimizer, arm, window), values in each.groupby(level=[0, 1, 2]):  # type: ignore[misc]  # a key of three
        found = student(values.to_numpy(), "mean")
        middle = (window + 0.5) * WINDOW - 0.5
        rows.append(["curve", optimizer, NAMES[arm], middle, found.value, found.low, found.high])
    return pd.DataFrame(rows, columns=["view", "optimizer", "series", "x", "value", "low", "high"])


def _tuning(cells: DataFrame) -> DataFrame:
    means = cells.groupby(["optimizer", "arm", "learning_rate"], sort=False)[["mean_reward", "chosen"]].mean()
    table = means.reset_index().assign(view="tuning", high=np.nan)
    table["series"], table["x"], table["value"] = (
        table["arm"].map(NAMES),
        table["learning_rate"],
        table["mean_reward"],
    )
    # Where the chosen rate is, low holds it: a point drawn again.
    table["low"] = table["value"].where(table["chosen"] == 1)
    return table[["view", "optimizer", "series", "x", "value", "low", "high"]]


def _windows(optimizer: str, windows: dict[str, list[Any]]) -> DataFrame:
    import pandas as pd

    table = pd.DataFrame(windows)
    table = table[table["arm"] == "group"]
    middle = (table["first_step"] + table["last_step"]) / 2
    parts = [
        pd.DataFrame({"series": name, "x": middle, "value": table[column], "low": np.nan, "high": np.nan})
        for name, column in zip(STATISTICS, ("paper_statistic", "sharp_statistic"), strict=True)
    ]
    points = {
        end: 100 * table[name]
        for end, name in (("value", "lead"), ("low", "lead_low"), ("high", "lead_high"))
    }
    parts.append(pd.DataFrame({"series": LEAD, "x": middle, **points}))
    return pd.concat(parts).assign(view="window", optimizer=optimizer)


def plot(df: DataFrame, ax: Any = None) -> Any:
    """Draw the panels: a column for each optimiser.

    Parameters
    ----------
    df : DataFrame
        What :func:`run` returns.
    ax : array of Axes, optional
        A new figure when left out.

    Returns
    -------
    array of Axes
        Curves, tuning, windows; within each the optimisers in order.
    """
    shown = [name for name in TUNED if (df["optimizer"] == name).any()]
    letters = "abcdef"[: 3 * len(shown)]
    rows = [letters[at : at + len(shown)] for at in range(0, len(letters), len(shown))]
    axes = plotting.figure(";".join(rows), size=(3.4 * len(shown), 7.8))[1] if ax is None else ax
    roles = {NAMES[arm]: role for arm, role in ROLES.items()}
    for at, name in enumerate(shown):
        own = df[df["optimizer"] == name]
        curves, tuning, windows = (axes[at + row * len(shown)] for row in range(3))
        title = OPTIMIZERS[name]
        own_curves = own[own["view"] == "curve"]
        banded = own_curves["series"].isin([NAMES[arm] for arm in BANDS])
        ends = own_curves[["low", "high"]].where(banded, own_curves["value"], axis=0)
        plotting.plot_lines(
            own_curves.assign(low=ends["low"], high=ends["high"]),
            curves,
            x="x",
            y="value",
            roles=roles,
            band=("low", "high"),
        )
        curves.set(
            xlabel="update",
            ylabel="share of right answers",
            title=f"{letters[at]}   {title}: learning curves",
        )
        _plot_tuning(own[own["view"] == "tuning"], tuning, roles)
        tuning.set_title(f"{letters[at + len(shown)]}   {title}: tuning", loc="left")
        _plot_windows(own[own["view"] == "window"], windows)
        windows.set_title(f"{letters[at + 2 * len(shown)]}   {title}: mean σ and the lead", loc="left")
        for panel, columns in ((curves, 2), (tuning, 2), (windows, 1)):
            plotting.legend_below(panel, columns=columns)
    return axes


def _plot_tuning(cells: DataFrame, ax: Any, roles: dict[str, str]) -> None:
    for name, role in roles.items():
        look, rows = plotting.ROLES[role], cells[cells["series"] == name]
        style = {
            "color": look.colour,
            "linestyle": look.line,
            "marker": look.marker,
            "markerfacecolor": "white",
        }
        ax.plot(rows["x"], rows["value"], label=name, **style)
        ax.plot(rows["x"], rows["low"], linestyle="none", marker=look.marker, color=look.colour, markersize=7)
    ax.set(xscale="log", xlabel="learning rate (filled: chosen)", ylabel="mean reward")
    rates = sorted(set(cells["x"]))
    ax.xaxis.set_ticks(rates, labels=[f"{rate:g}" for rate in rates])
    ax.xaxis.set_ticks([], minor=True)


def _plot_windows(windows: DataFrame, ax: Any) -> None:
    plotting.plot_lines(windows, ax, x="x", y="value", roles=STATISTICS)
    ax.axhline(1, color="#6E6E6E", linewidth=0.9, zorder=1)
    ax.set(xlabel="update", ylabel="statistic", ylim=(0, None))
    right = ax.twinx()
    plotting.plot_points(windows, right, x="x", y="value", roles={LEAD: "sharp"}, interval=("low", "high"))
    reach = 1.1 * float(np.nanmax(np.abs(windows.loc[windows["series"] == LEAD, ["value", "low", "high"]])))
    right.set(ylabel="lead, percentage points", ylim=(-reach, reach))
    right.axhline(0, color=plotting.ROLES["sharp"].colour, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
    right.spines["right"].set_visible(True)
    right.grid(visible=False)
    # One legend for both axes.
    ax.errorbar([], [], yerr=[], label=LEAD, **_look_of_points("sharp"))


def _look_of_points(role: str) -> dict[str, Any]:
    look = plotting.ROLES[role]
    return {"linestyle": "none", "marker": look.marker, "color": look.colour}


def headline(df: DataFrame) -> dict[str, Any]:
    """Return the last success rates, the chosen rates and whether they are at an edge, and where H6's events lie."""
    numbers: dict[str, Any] = {}
    compared = read_json(DEMO / "comparison.json")
    for name, own in df.groupby("optimizer"):
        for arm, label in NAMES.items():
            rows = own[own["series"] == label]
            curve, tuning = rows[rows["view"] == "curve"], rows[rows["view"] == "tuning"]
            last = curve.iloc[-1]
            stem = f"{OPTIMIZERS[str(name)]}, {arm}"
            numbers[f"{stem}: share right at the end"] = [
                round(number(last[k]), 4) for k in ("value", "low", "high")
            ]
            best = float(tuning.loc[tuning["low"].notna(), "x"].iloc[0])
            edge = " (an edge of the grid)" if best in (tuning["x"].min(), tuning["x"].max()) else ""
            numbers[f"{stem}: learning rate"] = f"{best:g}{edge}"
        for arm, opening in compared[str(name)]["openings"].items():
            for event, value in opening.items():
                shown = "never" if value is None else value
                numbers[f"{OPTIMIZERS[str(name)]}, {arm}: {event.replace('_', ' ')}"] = shown
    numbers["wall time of the demo, seconds"] = read_json(DEMO / "config.json")["wall_seconds_total"]
    return numbers


EXPERIMENT = Experiment(
    stem="lm_learning_curves",
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
