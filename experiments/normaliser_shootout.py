"""Five normalisers at every overlap: none, the prompt's std, the batch's std, the interfering std σ̃, the variance.

Theory II.4 suggests a ∝ 1/σ̃ where prompts overlap (bound B2 prefers it), between the per-prompt std of orthogonal
prompts and one global std of fully overlapping ones. Here its consequence is measured (hypothesis H1): steps to a
target from mixed starting success, full batch and exact gradients, at certified steps (theory B1) and at tuned
constant steps, every normaliser tuned by the same rule on the same instances.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from curvature import plotting
from experiments import _runs
from experiments._experiment import ROOT, Dial, Experiment, main_of, require_count

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pandas import DataFrame

    from curvature import LogLinearBandit

PROMPTS, RESPONSES = 12, 6
TARGET = 0.75
SUCCESS = (0.05, 0.85)
OVERLAPS = (0.0, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0)
METHODS = {
    "reinforce": ("none", "binary"),
    "grpo": ("group std σ", "sharp"),
    "batch": ("batch std", "other"),
    "interference": ("interfering std σ̃", "exact"),
    "variance": ("variance σ²", "paper"),
}
RULES = ("certified", "tuned")

CAPTION = (
    f"Steps to a mean success of {TARGET:g} with five normalisers (full batch, exact gradients, {PROMPTS} prompts of "
    f"{RESPONSES} responses, starting success {SUCCESS[0]:g}–{SUCCESS[1]:g} evenly spread in log-odds), by overlap of "
    "the prompts. Top: steps; bottom: the ratio to no normaliser on the same instance, above 1 if the normaliser is "
    "faster. Left: each at the step of its largest certified gain (theory B1), where a common factor of the weights "
    "cancels, so that the batch std is the same as none up to rounding, which long runs amplify. Right: each at its "
    "best constant step of one grid (powers "
    "of 2), chosen at each overlap by the same rule on instances of other seeds. Geometric means over instances with "
    "95 % intervals (Student's t on logarithms). A run that never arrives counts as its length; hollow markers: some "
    "did not. At overlap 1 all prompts share one span of K − 1 dimensions, in which they conflict; a ratio of two "
    "methods that never arrive is left out."
)


def run(instances: int = 10, tuning_instances: int = 5, steps: int = 1500, seed: int = 0) -> DataFrame:
    """Run every normaliser at every overlap.

    Parameters
    ----------
    instances : int
        Instances an overlap that are reported on.
    tuning_instances : int
        Others, that steps are tuned on.
    steps : int
        Length of a run.
    seed : int
        Of all draws.

    Returns
    -------
    DataFrame
        One row a run: overlap, rule, method, instance, step (NaN where certified), at_edge (the tuned step is an
        end of the grid), time (steps; inf if never reached) and limit.
    """
    import pandas as pd

    require_count("instances", instances, least=2)
    require_count("tuning_instances", tuning_instances)
    require_count("steps", steps)
    frames = []
    for overlap in OVERLAPS:
        bandits = [_instance(overlap, number, seed) for number in range(instances)]
        first = _runs.FIRST_TUNING_SEED
        tuning = [_instance(overlap, first + number, seed) for number in range(tuning_instances)]
        for rule in RULES:
            for method in METHODS:
                step: Any = "certified"
                at_edge = False
                if rule == "tuned":
                    found = _runs.tune(tuning, method, level=TARGET, num_steps=steps)
                    step, at_edge = found.step, found.at_edge
                frames.append(
                    pd.DataFrame({
                        "overlap": overlap,
                        "rule": rule,
                        "method": method,
                        "instance": range(instances),
                        "step": np.nan if rule == "certified" else step,
                        "at_edge": at_edge,
                        "time": _runs.measure(bandits, method, step=step, level=TARGET, num_steps=steps),
                        "limit": steps,
                    })
                )
    return pd.concat(frames, ignore_index=True)


def _instance(overlap: float, number: int, seed: int) -> LogLinearBandit:
    drawn = 100_000 * seed + number
    success = _runs.log_odds_between(*SUCCESS, PROMPTS, drawn)
    return _runs.bandit_with_success(success, RESPONSES, overlap, drawn)


def summary(df: DataFrame, reference: str = "reinforce") -> DataFrame:
    """Summarise the runs: one row an overlap, rule and method.

    Parameters
    ----------
    df : DataFrame
        What :func:`run` returns.
    reference : str
        The method that speed-ups are relative to.

    Returns
    -------
    DataFrame
        overlap, rule, method, time with time_low and time_high, censored (number of runs), never (no run of either
        method arrived), and speedup, low, high and bound of :func:`experiments._runs.compare` relative to the
        reference.
    """
    import pandas as pd

    rows = []
    limit = int(df["limit"].iloc[0])
    for (overlap, rule), part in df.groupby(["overlap", "rule"], sort=False):
        times = {
            method: part[part["method"] == method].sort_values("instance")["time"].to_numpy()
            for method in METHODS
        }
        for method, time in times.items():
            found = _runs.geometric_interval(_runs.capped(time, limit))
            ratio = _runs.compare(times[reference], time, limit)
            rows.append(
                {"overlap": overlap, "rule": rule, "method": method}
                | dict(zip(("time", "time_low", "time_high"), found, strict=True))
                | {"censored": int(np.isinf(time).sum())}
                | {"never": bool(np.isinf(time).all() and np.isinf(times[reference]).all())}
                | {name: ratio[name] for name in ("speedup", "low", "high", "bound")}
            )
    return pd.DataFrame(rows)


def plot(df: DataFrame, ax: Any = None) -> Any:
    """Draw the four panels.

    Parameters
    ----------
    df : DataFrame
        What :func:`run` returns.
    ax : array of four Axes, optional
        A new figure when left out.

    Returns
    -------
    array of four Axes
        Steps at certified and at tuned steps, then the ratios.
    """
    axes = plotting.figure("ab;cd", size=(8.4, 7.4))[1] if ax is None else ax
    table = summary(df)
    limit = int(df["limit"].iloc[0])
    overlaps = np.sort(table["overlap"].unique())
    for panel, (kind, rule) in zip(axes, [(k, r) for k in ("time", "speedup") for r in RULES], strict=True):
        rows = table[table["rule"] == rule]
        shown = [method for method in METHODS if kind == "time" or method != "reinforce"]
        for place, method in enumerate(shown):
            part = rows[rows["method"] == method].sort_values("overlap")
            if kind == "speedup":
                part = part[~part["never"]]
            # Side by side, or the intervals would hide each other.
            shift = 0.1 * (place - (len(shown) - 1) / 2)
            _draw(panel, part, np.searchsorted(overlaps, part["overlap"]) + shift, kind, method)
        panel.set_xticks(range(len(overlaps)), labels=[f"{c:g}" for c in overlaps])
        panel.set(xlabel="overlap c of the prompts", yscale="log", xlim=(-0.5, len(overlaps) - 0.5))
        mark = limit if kind == "time" else 1.0
        label = "length of a run" if kind == "time" else "as fast as none"
        panel.axhline(mark, color="#6E6E6E", linewidth=0.9, linestyle=(0, (2, 2)), zorder=1, label=label)
        plotting.legend_below(panel, columns=2)
    for panel in axes[2:]:
        low, high = panel.get_ylim()
        ticks = [
            tick for tick in (0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20, 50) if low <= tick <= high
        ]
        panel.set_yticks(ticks, labels=[f"{tick:g}" for tick in ticks])
        panel.minorticks_off()
        panel.set_ylabel("times fewer steps than with none")
    for panel in axes[:2]:
        panel.set_ylabel(f"steps to a mean success of {TARGET:g}")
    for panel, letter, kind, rule in zip(
        axes, "abcd", ["time", "time", "ratio", "ratio"], [*RULES, *RULES], strict=True
    ):
        panel.set_title(f"{letter}   {kind} at {rule} steps")
    return axes


def _draw(panel: Any, part: DataFrame, x: NDArray[np.float64], kind: str, method: str) -> None:
    label, role = METHODS[method]
    look = plotting.ROLES[role]
    low, high = ("time_low", "time_high") if kind == "time" else ("low", "high")
    panel.plot(
        x, part[kind], color=look.colour, linestyle=look.line, marker=look.marker, label=label, zorder=3
    )
    reach = [part[kind] - part[low], part[high] - part[kind]]
    panel.errorbar(
        x, part[kind], yerr=reach, fmt="none", ecolor=look.colour, elinewidth=1.0, capsize=1.5, zorder=3
    )
    lost = ((part["censored"] > 0) if kind == "time" else (part["bound"] != "exact")).to_numpy()
    panel.plot(
        x[lost],
        part[kind].to_numpy()[lost],
        linestyle="none",
        marker=look.marker,
        markerfacecolor="white",
        markeredgecolor=look.colour,
        zorder=4,
    )


def headline(df: DataFrame) -> dict[str, Any]:
    """Return what H1 is about: σ̃ against σ and against the batch std at each overlap, and the fastest normaliser."""
    limit = int(df["limit"].iloc[0])
    found: dict[str, Any] = {"instances": int(df["instance"].nunique())}
    for rule in RULES:
        for rival in ("grpo", "batch"):
            wins = {}
            for overlap in np.sort(df["overlap"].unique()):
                part = df[(df["overlap"] == overlap) & (df["rule"] == rule)]
                times = [
                    part[part["method"] == method].sort_values("instance")["time"].to_numpy()
                    for method in (rival, "interference")
                ]
                ratio = _runs.compare(*times, limit)
                if all(np.isinf(time).all() for time in times):
                    continue
                wins[f"{overlap:g}"] = [float(ratio[name]) for name in ("speedup", "low", "high")]
            found[f"steps with {METHODS[rival][0]} over steps with σ̃, {rule}, by overlap"] = wins
        rows = summary(df[df["rule"] == rule])
        rows = rows[rows["censored"] < df["instance"].nunique()]
        best = rows.loc[rows.groupby("overlap")["time"].idxmin()]
        found[f"fewest steps, {rule}, by overlap"] = {
            f"{row.overlap:g}": METHODS[str(row.method)][0] for row in best.itertuples()
        }
    found["runs that never arrived"] = int(np.isinf(df["time"]).sum())
    found["tuned steps at an end of the grid"] = int(
        df[df["rule"] == "tuned"].groupby(["overlap", "method"])["at_edge"].any().sum()
    )
    return found


EXPERIMENT = Experiment(
    stem="normaliser_shootout",
    run=run,
    plot=plot,
    caption=CAPTION,
    dials={
        "instances": Dial(10, 3, "instances an overlap"),
        "tuning_instances": Dial(5, 1, "instances an overlap for tuning"),
        "steps": Dial(1500, 400, "length of a run"),
    },
    inputs=(ROOT / "experiments" / "_runs.py",),
    headline=headline,
)


def main(argv: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    return main_of(EXPERIMENT, argv)


if __name__ == "__main__":
    raise SystemExit(main())
