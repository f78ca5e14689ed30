"""Plots of a diagnosis: every function takes one of its tables and ``ax=``, and returns the Axes.

They are drawn small, at the size of a phone, and put side by side where there is room: so the letters are readable
everywhere. The look is that of :mod:`curvature.plotting`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from curvature import plotting
from curvature.rollouts.findings import SCHEMES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from pandas import DataFrame

__all__ = [
    "SCHEME_ROLES",
    "SIZE",
    "plot_accuracy",
    "plot_gains",
    "plot_shares_by_decile",
    "plot_silent",
    "plot_std",
    "plot_thresholds",
    "plot_weights",
]

SIZE = (4.7, 3.5)
"""Inches: at 350 pixels, the width of a phone without its margins, a letter is as large as drawn."""

SCHEME_ROLES = {"none": "binary", "group": "sharp", "batch": "exact", "shrunk": "other", "variance": "paper"}
"""From a scheme to its role in :data:`curvature.plotting.ROLES`."""


def plot_accuracy(windows: DataFrame, ax: Axes | None = None) -> Axes:
    """Accuracy over steps with its intervals."""
    ax = _over_steps(windows, {"accuracy": ("accuracy", "sharp")}, ax)
    ax.set_ylabel("accuracy")
    return _percent(ax)


def plot_std(windows: DataFrame, ax: Axes | None = None) -> Axes:
    """Mean over groups of the prompt's own reward std, over steps, with its intervals."""
    ax = _over_steps(windows, {"mean_std": ("mean σ", "sharp")}, ax)
    ax.set_ylabel("mean reward std of a prompt, σ")
    ax.set_ylim(bottom=0)
    return ax


def plot_silent(windows: DataFrame, ax: Axes | None = None) -> Axes:
    """Shares of silent groups over steps: all, all right, all wrong, and what the fitted success rates expect."""
    series = {
        "silent": ("silent", "binary"),
        "all_right": ("all right", "sharp"),
        "all_wrong": ("all wrong", "paper"),
        "silent_expected": ("silent, expected", "exact"),
    }
    ax = _over_steps(windows, series, ax)
    ax.set_ylabel("share of groups")
    return _with_legend(_percent(ax), columns=2)


def plot_thresholds(windows: DataFrame, ax: Axes | None = None) -> Axes:
    """(8/3)·mean σ and 2.598·mean σ over steps, with their intervals, against 1."""
    series = {
        "paper_statistic": ("(8/3)·mean σ, paper", "paper"),
        "sharp_statistic": ("2.598·mean σ, sharp", "sharp"),
    }
    ax = _over_steps(windows, series, ax)
    _reference(ax, 1.0)
    ax.set_ylabel("statistic; below 1 favours dividing")
    ax.set_ylim(bottom=0)
    return _with_legend(ax, columns=1)


def plot_weights(difficulty: DataFrame, ax: Axes | None = None) -> Axes:
    """Effective weight of a group by its mean reward under each scheme, 1 at the average, on a log scale."""
    from matplotlib.ticker import LogLocator, NullFormatter

    frame = difficulty.assign(place=(difficulty["low"] + difficulty["high"]) / 2)
    ax = _by_scheme(frame, "place", "weight", ax)
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set(xlabel="mean reward of the group (hard to easy)", ylabel="effective weight, 1 at the average")
    return _with_legend(ax)


def plot_shares_by_decile(deciles: DataFrame, ax: Axes | None = None) -> Axes:
    """Share of the update that each tenth of the groups carries under each scheme, hardest first, against 10 %."""
    ax = _by_scheme(deciles, "decile", "update", ax)
    _reference(ax, 0.1)
    ax.set_xticks(deciles["decile"])
    ax.set(xlabel="tenth of the groups (1 the hardest)", ylabel="share of the update")
    return _with_legend(_percent(ax))


def plot_gains(schemes: DataFrame, ax: Axes | None = None) -> Axes:
    """Certified gain per step of each scheme relative to no division, with its interval, against 1."""
    known = schemes.dropna(subset=["kappa"])
    ax = plotting.plot_intervals(known, ax, name="scheme", value="kappa", low="kappa_low", high="kappa_high")
    ax.axvline(1.0, color=plotting.ROLES["reference"].colour, linestyle=(0, (2, 2)), linewidth=1.1)
    ax.set_xlabel("certified gain per step, none = 1")
    return ax


def _over_steps(windows: DataFrame, series: Mapping[str, tuple[str, str]], ax: Axes | None) -> Axes:
    """One line with a band a column, or one point with an interval where there is a single window."""
    import pandas as pd
    from matplotlib.ticker import MaxNLocator

    known = {column: look for column, look in series.items() if _is_known(windows, column)}
    middle = (windows["first_step"] + windows["last_step"]) / 2
    parts = [
        pd.DataFrame({
            "step": middle,
            "value": windows[column],
            "low": windows[f"{column}_low"],
            "high": windows[f"{column}_high"],
            "series": label,
        })
        for column, (label, _) in known.items()
    ]
    frame = pd.concat(parts)
    roles = dict(known.values())
    if len(windows) == 1:
        return _at_one_window(frame, roles, windows, ax)
    ax = plotting.plot_lines(frame, ax, x="step", y="value", roles=roles, band=("low", "high"))
    ax.set_xlabel("step")
    ax.xaxis.set_major_locator(MaxNLocator(nbins="auto", integer=True, steps=[1, 2, 2.5, 5, 10]))
    return ax


def _at_one_window(frame: DataFrame, roles: Mapping[str, str], windows: DataFrame, ax: Axes | None) -> Axes:
    """One named point with its interval for each series, side by side."""
    places = {label: float(place) for place, label in enumerate(roles)}
    placed = frame.assign(step=[places[label] for label in frame["series"]])
    ax = plotting.plot_points(placed, ax, x="step", y="value", roles=roles, interval=("low", "high"))
    ax.set_xticks(list(places.values()), labels=list(places))
    ax.set_xlim(-0.6, len(places) - 0.4)
    first, last = int(windows["first_step"].iloc[0]), int(windows["last_step"].iloc[0])
    ax.set_xlabel(f"step {first}" if first == last else f"steps {first} to {last}")
    return ax


def _by_scheme(frame: DataFrame, x: str, measure: str, ax: Axes | None) -> Axes:
    import pandas as pd

    present = [scheme for scheme in SCHEMES if _is_known(frame, f"{measure}_{scheme}")]
    long = pd.concat([
        pd.DataFrame({"x": frame[x], "y": frame[f"{measure}_{scheme}"], "series": scheme})
        for scheme in present
    ])
    roles = {scheme: SCHEME_ROLES[scheme] for scheme in present}
    ax = plotting.plot_lines(long, ax, x="x", y="y", roles=roles)
    for line, scheme in zip(ax.lines, present, strict=True):
        line.set_marker(plotting.ROLES[SCHEME_ROLES[scheme]].marker)
        line.set_markersize(4)
    return ax


def _is_known(frame: DataFrame, column: str) -> bool:
    """Tell whether a column is there and holds a number."""
    return column in frame and not frame.dropna(subset=[column]).empty


def _percent(ax: Axes) -> Axes:
    from matplotlib.ticker import PercentFormatter

    ax.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    ax.set_ylim(bottom=min(0.0, ax.get_ylim()[0]))
    return ax


def _reference(ax: Axes, height: float) -> None:
    ax.axhline(
        height, color=plotting.ROLES["reference"].colour, linestyle=(0, (2, 2)), linewidth=1.1, zorder=1
    )


def _with_legend(ax: Axes, *, columns: int = 3) -> Axes:
    return plotting.legend_below(ax, columns=columns)
