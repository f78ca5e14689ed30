"""Passes to an accuracy: REINFORCE against GRPO at the paper's steps, at certified ones, and at tuned ones.

The paper's algorithms as printed (one prompt an update, exact gradients) on orthogonal prompts (assumption A2), for
four profiles of starting success. Each arm runs at the step of its own theorem of the paper (3.1: 1/X², 3.2:
1/(2X²)), at its certified step (theory T2: 4 log 2/(D²σ_max), T1: 4 log 2/D²), and at the step of the same grid that
serves it best on instances drawn for tuning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from curvature import plotting, spectral_norm
from curvature.ascent import certified_constant_step
from curvature.bounds import paper
from curvature.geometry import center
from experiments import _runs
from experiments._experiment import ROOT, Dial, Experiment, main_of, require_count

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pandas import DataFrame

    from curvature import LogLinearBandit

PROMPTS, RESPONSES = 16, 6
TARGET = 0.9
PROFILES = {"hard": (0.02, 0.1), "mid": (0.3, 0.7), "easy": (0.7, 0.85), "mixed": (0.02, 0.85)}
METHODS = {"reinforce": "REINFORCE", "grpo": "GRPO"}
RULES = ("paper", "certified", "tuned")
# In units of 1/D². Finer than the shared grid: on hard prompts a step overshoots within a factor of 2 of its best
# value, and a coarse grid would decide which arm seems faster.
GRID = 2.0 ** np.arange(3, 11.5, 0.5)
# Tuned runs are short; a step that needs longer than this share of a full run is not the best one.
TUNING_SHARE = 0.05

CAPTION = (
    f"The race to a mean success of {TARGET:g}: algorithms 1 (REINFORCE) and 2 (GRPO) of the paper, one prompt an "
    f"update, exact gradients, {PROMPTS} orthogonal prompts of {RESPONSES} responses. Profiles of starting success: "
    + ", ".join(f"{name} {low:g}–{high:g}" for name, (low, high) in PROFILES.items())
    + ", evenly spread in log-odds. Steps: those of Theorems 3.1 and 3.2 (paper), of theory T2 and T1 (certified), "
    "and the best of one grid (8 to 2048 in units of 1/D², by factors of √2), chosen for each arm by the same rule "
    "(least geometric mean of the time) on instances of other seeds (tuned). a: passes over the prompts. b: how many "
    "times fewer GRPO needs on the same instance and order of prompts. Points: geometric means over instances; bars: "
    "95 % intervals (Student's t on logarithms)."
)


def run(instances: int = 12, tuning_instances: int = 8, passes: int = 3000, seed: int = 0) -> DataFrame:
    """Race the two algorithms.

    Parameters
    ----------
    instances : int
        Instances a profile that are reported on.
    tuning_instances : int
        Others, that steps are tuned on.
    passes : int
        Length of a run, in updates a prompt.
    seed : int
        Of all draws.

    Returns
    -------
    DataFrame
        One row a run: profile, rule, method, instance, step, at_edge (the tuned step is an end of the grid),
        passes (updates over the number of prompts; inf if never reached) and limit (length of the run).
    """
    import pandas as pd

    require_count("instances", instances, least=2)
    require_count("tuning_instances", tuning_instances)
    require_count("passes", passes)
    frames = []
    for profile in PROFILES:
        bandits = [_instance(profile, number, seed) for number in range(instances)]
        tuning = [
            _instance(profile, _runs.FIRST_TUNING_SEED + number, seed) for number in range(tuning_instances)
        ]
        for rule in RULES:
            length = passes if rule != "tuned" else max(1, round(passes * TUNING_SHARE))
            for method in METHODS:
                steps, at_edge = _steps(rule, method, bandits, tuning, length)
                time = _runs.measure(
                    bandits, method, step=steps, level=TARGET, num_steps=length * PROMPTS, **_ONE_PROMPT
                )
                frames.append(
                    pd.DataFrame({
                        "profile": profile,
                        "rule": rule,
                        "method": method,
                        "instance": range(instances),
                        "step": steps,
                        "at_edge": at_edge,
                        "passes": time / PROMPTS,
                        "limit": length,
                    })
                )
    return pd.concat(frames, ignore_index=True)


_ONE_PROMPT: dict[str, Any] = {"prompts": "one", "every": PROMPTS}


def _instance(profile: str, number: int, seed: int) -> LogLinearBandit:
    drawn = 100_000 * seed + number
    success = _runs.log_odds_between(*PROFILES[profile], PROMPTS, drawn)
    return _runs.bandit_with_success(success, RESPONSES, 0.0, drawn)


def _steps(
    rule: str, method: str, bandits: list[LogLinearBandit], tuning: list[LogLinearBandit], length: int
) -> tuple[NDArray[np.float64], bool]:
    """Return the step of each instance under a rule, and whether tuning ended at an end of the grid."""
    if rule == "tuned":
        found = _runs.tune(tuning, method, level=TARGET, num_steps=length * PROMPTS, grid=GRID, **_ONE_PROMPT)
        return np.full(len(bandits), found.step), found.at_edge
    if rule == "certified":
        return np.array([certified_constant_step(bandit, method) for bandit in bandits]), False
    return np.array([paper_step(bandit, method) for bandit in bandits]), False


def paper_step(bandit: LogLinearBandit, method: str) -> float:
    """Return the step of Theorem 3.1 or 3.2, for features shifted to their mean: a shift changes X, not the policy."""
    X = float(spectral_norm(center(bandit)).max())
    n = bandit.num_prompts
    if method == "reinforce":
        return float(paper.theorem_3_1(n, 0.0, X, 1).step)
    return float(paper.theorem_3_2(n, 0.0, X, [0.5]).step)


def summary(df: DataFrame) -> DataFrame:
    """Summarise the runs: one row a profile and rule.

    Parameters
    ----------
    df : DataFrame
        What :func:`run` returns.

    Returns
    -------
    DataFrame
        name, profile, rule, for each method its geometric mean of passes with interval (reinforce, reinforce_low,
        reinforce_high, …) and step, and the columns of :func:`experiments._runs.compare`.
    """
    import pandas as pd

    rows = []
    for (profile, rule), part in df.groupby(["profile", "rule"], sort=False):
        limit = int(part["limit"].iloc[0])
        row: dict[str, Any] = {"name": f"{profile}, {rule}", "profile": profile, "rule": rule}
        time = {}
        for method in METHODS:
            of_method = part[part["method"] == method].sort_values("instance")
            time[method] = of_method["passes"].to_numpy()
            found = _runs.geometric_interval(_runs.capped(time[method], limit))
            row |= dict(zip((method, f"{method}_low", f"{method}_high"), found, strict=True))
            row[f"{method}_step"] = float(np.median(of_method["step"]))
        rows.append(row | _runs.compare(time["reinforce"], time["grpo"], limit))
    return pd.DataFrame(rows)


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
        Passes, speed-up.
    """
    axes = plotting.figure("ab", size=(8.4, 4.6))[1] if ax is None else ax
    table = summary(df)
    places = np.arange(len(table)) + 0.6 * (np.arange(len(table)) // len(RULES))
    for shift, (method, role) in zip(
        (-0.13, 0.13), {"reinforce": "binary", "grpo": "sharp"}.items(), strict=True
    ):
        columns = [table[name].to_numpy() for name in (method, f"{method}_low", f"{method}_high")]
        _intervals(axes[0], places + shift, *columns, role=role, label=METHODS[method])
    columns = [table[name].to_numpy() for name in ("speedup", "low", "high")]
    _intervals(axes[1], places, *columns, role="sharp", label="REINFORCE / GRPO")
    axes[1].axvline(1, color="#6E6E6E", linewidth=0.9, linestyle=(0, (2, 2)), zorder=1, label="equally fast")
    for place, row in zip(places, table.itertuples(), strict=True):
        text = {"exact": "", "at least": "≥ ", "at most": "≤ ", "unknown": "? "}[str(row.bound)]
        axes[1].annotate(
            f"{text}{row.speedup:.2f}",
            (row.high, place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=7.5,
        )
    axes[0].set_yticks(places, labels=table["name"])
    axes[1].set_yticks(places, labels=[""] * len(table))
    for panel in axes:
        panel.set_ylim(places[-1] + 0.7, -0.7)
        panel.tick_params(axis="y", length=0)
        panel.grid(visible=False, axis="y")
        plotting.legend_below(panel)
    axes[0].set(xscale="log", xlabel=f"passes to a mean success of {TARGET:g}", title="a   time")
    axes[1].set(ylabel=" ", xlabel="times fewer passes with GRPO", title="b   speed-up on the same instance")
    shown = table[["speedup", "low", "high"]].to_numpy()
    axes[1].set(xscale="log", xlim=(min(0.4, 0.9 * np.nanmin(shown)), max(3.0, 1.5 * np.nanmax(shown))))
    axes[1].set_xticks([0.5, 1, 2], labels=["0.5", "1", "2"])
    axes[1].minorticks_off()
    return axes


def _intervals(ax: Any, places: Any, value: Any, low: Any, high: Any, *, role: str, label: str) -> None:
    look = plotting.ROLES[role]
    ax.errorbar(
        value,
        places,
        xerr=[value - low, high - value],
        linestyle="none",
        marker=look.marker,
        color=look.colour,
        elinewidth=1.2,
        capsize=2,
        label=label,
        zorder=4,
    )


def headline(df: DataFrame) -> dict[str, Any]:
    """Return the speed-ups with intervals, steps of the tuned arms, and how many runs were censored."""
    table = summary(df)
    found: dict[str, Any] = {"instances": int(df["instance"].nunique())}
    for row in table.to_dict("records"):
        key = f"speed-up, {row['profile']}, {row['rule']}"
        found[key] = [float(row["speedup"]), float(row["low"]), float(row["high"])]
    found["tuned steps times D² (REINFORCE, GRPO)"] = {
        row["profile"]: [row["reinforce_step"], row["grpo_step"]]
        for row in table[table["rule"] == "tuned"].to_dict("records")
    }
    found["runs that never arrived"] = int(np.isinf(df["passes"]).sum())
    found["tuned steps at an end of the grid"] = int(df[df["rule"] == "tuned"]["at_edge"].sum())
    return found


EXPERIMENT = Experiment(
    stem="race",
    run=run,
    plot=plot,
    caption=CAPTION,
    dials={
        "instances": Dial(12, 3, "instances a profile"),
        "tuning_instances": Dial(8, 2, "instances a profile for tuning"),
        "passes": Dial(3000, 600, "length of a run in updates a prompt"),
    },
    inputs=(ROOT / "experiments" / "_runs.py",),
    headline=headline,
)


def main(argv: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    return main_of(EXPERIMENT, argv)


if __name__ == "__main__":
    raise SystemExit(main())
