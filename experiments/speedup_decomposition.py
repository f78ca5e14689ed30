"""GRPO's advantage, split into what any schedule has and what only per-prompt normalisation has (theory T4).

In bounds: σ̄/σ_max = (⟨max_x σ⟩/σ_max)·(σ̄/⟨max_x σ⟩), σ_max = 1/2. In time: steps of REINFORCE at its constant certified
step over steps of REINFORCE on the schedule α_t = 4c₀/(D²max_x σ_x), times those over steps of GRPO. The first factor
of each is across iterations, the second across prompts. The two ratios are of different things and are not equal.
"""

from __future__ import annotations

from math import log
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature import LogLinearBandit, plotting
from curvature.ascent import Trace, ascend, certified_constant_step
from curvature.bounds.sharp import theorem_t4
from curvature.flow import predicted_speedup
from experiments._experiment import Dial, Experiment, main_of, require_count
from experiments._two_arms import crossing_time

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pandas import DataFrame

LARGEST_STD = 0.5
# Lowest and highest log-odds of success at the start; prompts are evenly spread between.
PROFILES = {
    "hard: p₀ of .005–.10": (0.005, 0.10),
    "mid: p₀ of .30–.70": (0.30, 0.70),
    "easy: p₀ of .80–.99": (0.80, 0.99),
    "mixed: p₀ of .005–.99": (0.005, 0.99),
}
# Shares of the gap 1 − J(θ₀) that are closed; the bars are at MAIN.
SHARES = (0.5, 0.7, 0.9, 0.97, 0.99)
MAIN = 0.9
RATIOS = ("bound", "time")
FACTORS = ("across_iterations", "across_prompts")

CAPTION = (
    "Where GRPO's advantage over REINFORCE comes from, for orthogonal prompts of two responses, full batches and exact "
    "gradients. a: how many times smaller T3's bound is, σ_max/σ̄ along GRPO's run, as ⟨max σ⟩ and σ̄ split it (T4). "
    "b: how many times fewer steps close 90% of the gap 1 − J(θ₀): REINFORCE at its constant certified step over "
    "REINFORCE on the best global schedule, 4 ln 2/(D² max σ) anew at every step, over GRPO. Bars: the flow of small "
    "steps; the dark part is across iterations, which a schedule or a batch-wide std can have, the light part across "
    "prompts, which it cannot; the number is the flow's product. Circles and triangles: discrete runs, times "
    "interpolated within the last step; a run of a few long steps is a coarse discretisation of the flow. c: the two "
    "ratios against each other when 50, 70, 90, 97 and 99% of the gap are closed: the ratio of the bounds is not that "
    "of the times."
)


def run(prompts: int = 16, seed: int = 0) -> DataFrame:
    """Compute both splits for each profile and share of the gap, by the flow and from discrete runs.

    Parameters
    ----------
    prompts : int
        n.
    seed : int
        Has no effect: nothing is drawn.

    Returns
    -------
    DataFrame
        Columns profile, share, source ("flow" or "run"), ratio ("bound" or "time"), across_iterations,
        across_prompts, total (their product).
    """
    import pandas as pd

    require_count("prompts", prompts)
    rows = [row for name in PROFILES for row in (*_by_flow(name, prompts), *_by_runs(name, prompts))]
    table = pd.DataFrame(rows, columns=["profile", "share", "source", "ratio", *FACTORS])
    return table.assign(total=table[FACTORS[0]] * table[FACTORS[1]])


Row = tuple[str, float, str, str, float, float]


def profile_of(name: str, prompts: int) -> NDArray[np.float64]:
    """Return the success rates at the start of a profile, evenly spread in log-odds, (n,)."""
    from scipy.special import expit, logit

    low, high = logit(PROFILES[name])
    return expit(np.linspace(low, high, prompts) if prompts > 1 else np.array([(low + high) / 2]))


def targets_of(profile: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean success rates at which each share of :data:`SHARES` of the gap is closed."""
    start = profile.mean()
    return start + np.array(SHARES) * (1 - start)


def _by_flow(name: str, prompts: int) -> list[Row]:
    profile = profile_of(name, prompts)
    at = predicted_speedup(profile, targets_of(profile))
    rows: list[Row] = []
    for i, share in enumerate(SHARES):
        peak, mean = float(at.mean_max_std[i]), float(at.mean_std[i])
        rows += [
            (name, share, "flow", "bound", LARGEST_STD / peak, peak / mean),
            (name, share, "flow", "time", float(at.across_iterations[i]), float(at.across_prompts[i])),
        ]
    return rows


def _by_runs(name: str, prompts: int) -> list[Row]:
    profile = profile_of(name, prompts)
    traces = discrete_runs(profile)
    rows: list[Row] = []
    for share, target in zip(SHARES, targets_of(profile), strict=True):
        constant, scheduled, grpo = (
            float(crossing_time(trace["expected_reward"][0], float(target))) for trace in traces.values()
        )
        until = max(int(np.ceil(grpo)), 1)
        split = theorem_t4(traces["grpo"]["reward_std_by_prompt"][0, :until], LARGEST_STD)
        iterations, prompts_part = 1 / float(split.across_iterations), 1 / float(split.across_prompts)
        rows += [
            (name, share, "run", "bound", iterations, prompts_part),
            (name, share, "run", "time", constant / scheduled, scheduled / grpo),
        ]
    return rows


def discrete_runs(profile: NDArray[np.float64]) -> dict[str, Trace]:
    """Run REINFORCE at its constant step, REINFORCE on its schedule and GRPO, all certified, past every target.

    Parameters
    ----------
    profile : ndarray, shape (n,)
        Success rates at the start.

    Returns
    -------
    dict of str to Trace
        "constant", "scheduled", "grpo", each of one run.
    """
    bandit = LogLinearBandit.two_arm(profile)
    at = predicted_speedup(profile, targets_of(profile))
    methods: dict[str, tuple[str, Any, float]] = {
        "constant": (
            "reinforce",
            certified_constant_step(bandit, "reinforce"),
            float(at.reinforce_steps.max()),
        ),
        "scheduled": ("reinforce", None, float(at.scheduled_steps.max())),
        "grpo": ("grpo", certified_constant_step(bandit, "grpo"), float(at.method_steps.max())),
    }
    traces = {}
    for name, (method, step, expected) in methods.items():
        steps = int(1.5 * expected) + 10
        traces[name] = ascend(
            bandit,
            method,
            step=schedule_of(profile, steps) if step is None else step,
            num_steps=steps,
            record=("expected_reward", "largest_reward_std", "reward_std_by_prompt"),
            progress=False,
        )
    return traces


def schedule_of(profile: NDArray[np.float64], steps: int) -> NDArray[np.float64]:
    """Compute REINFORCE's steps α_t = 4c₀/(D²max_x σ_x(θ_t)), D = 1, by following the log-odds, (1, T).

    Parameters
    ----------
    profile : ndarray, shape (n,)
        Success rates at the start.
    steps : int
        T.

    Returns
    -------
    ndarray, shape (1, T)
        A schedule as :func:`curvature.ascent.ascend` takes it.
    """
    from scipy.special import expit, logit

    odds, out = logit(profile), np.empty((1, steps))
    for t in range(steps):
        variance = expit(odds) * expit(-odds)
        out[0, t] = 4 * log(2) / np.sqrt(variance.max())
        odds = odds + out[0, t] * variance
    return out


MARKS = {"across iterations (run)": "adversary", "and across prompts (run)": "binary"}
# Lightness and hatching, not hue alone, tell the two factors apart.
BARS = {
    "across iterations (flow)": {"color": "#0072B2"},
    "across prompts (flow)": {"color": "#9CCBE8", "hatch": "////", "edgecolor": "#FFFFFF"},
}
PROFILE_ROLES = dict(zip(PROFILES, ("paper", "sharp", "exact", "binary"), strict=True))


def plot(df: DataFrame, ax: Any = None) -> Any:
    """Draw the three panels.

    Parameters
    ----------
    df : DataFrame
        What :func:`run` returns.
    ax : array of three Axes, optional
        A new figure when left out.

    Returns
    -------
    array of three Axes
        Bounds, times, one against the other.
    """
    axes = plotting.figure("abc", size=(11.4, 4.4))[1] if ax is None else ax
    main = df[df["share"] == MAIN]
    labels = ("times smaller bound σ_max/σ̄", "times fewer steps")
    for panel, ratio, label in zip(axes, RATIOS, labels, strict=False):
        _plot_split(main[main["ratio"] == ratio], panel)
        panel.set(xlabel=label)
        plotting.legend_below(panel, columns=1)
    axes[1].set_yticklabels([])
    axes[0].set_title("a   bounds")
    axes[1].set_title("b   times")
    axes[1].set_ylabel("the same profiles")
    _plot_totals(df, axes[2])
    plotting.legend_below(axes[2], columns=2)
    return axes


def _plot_split(rows: DataFrame, ax: Any) -> None:
    """Draw the factors as bars end to end on a logarithmic axis, and the runs' as markers."""
    flow = rows[rows["source"] == "flow"].set_index("profile").loc[list(PROFILES)]
    runs = rows[rows["source"] == "run"].set_index("profile").loc[list(PROFILES)]
    places = np.arange(len(PROFILES), dtype=float)
    first, total = flow["across_iterations"].to_numpy(), flow["total"].to_numpy()
    (near, near_look), (far, far_look) = BARS.items()
    ax.barh(places, first - 1, left=1, height=0.56, label=near, **near_look)
    ax.barh(places, total - first, left=first, height=0.56, label=far, **far_look)
    for (name, role), column in zip(MARKS.items(), ("across_iterations", "total"), strict=True):
        look = plotting.ROLES[role]
        ax.plot(
            runs[column],
            places,
            linestyle="none",
            marker=look.marker,
            color=look.colour,
            markerfacecolor=look.colour if look.filled else "white",
            label=name,
            zorder=4,
        )
    for place, value, edge in zip(places, total, np.maximum(total, runs["total"]), strict=True):
        ax.annotate(
            f"{value:.2f}",
            (edge, place),
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
            fontsize=7.5,
        )
    top = float(max(total.max(), runs["total"].max()))
    ticks = [tick for tick in (1, 1.5, 2, 3, 4, 6, 8, 12, 16) if tick < 1.4 * top]
    ax.set(xscale="log", xlim=(0.95, 1.45 * top))
    ax.set_xticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    ax.set_xticks([], minor=True)
    ax.set_yticks(places, labels=[name.replace(": ", "\n") for name in PROFILES])
    ax.invert_yaxis()
    ax.grid(visible=False, axis="y")


def _plot_totals(df: DataFrame, ax: Any) -> None:
    """Draw time ratio against bound ratio: the flow as lines over shares of the gap, runs as markers."""
    wide = df.pivot(index=["profile", "source", "share"], columns="ratio", values="total").reset_index()
    end = 1.1 * float(wide[list(RATIOS)].to_numpy().max())
    ax.plot([1, end], [1, end], color="#6E6E6E", linewidth=0.9, linestyle=(0, (2, 2)), label="equal")
    short = wide["profile"].str.split(":").str[0]
    for source, draw in (("flow", plotting.plot_lines), ("run", plotting.plot_points)):
        rows = wide[wide["source"] == source].assign(series=short + f" ({source})")
        roles = {f"{name.split(':')[0]} ({source})": role for name, role in PROFILE_ROLES.items()}
        draw(rows, ax, x="bound", y="time", roles=roles)
    ax.set(
        xscale="log",
        yscale="log",
        xlabel="times smaller bound σ_max/σ̄",
        ylabel="times fewer steps",
        title="c   bounds against times",
    )
    ticks = [tick for tick in (1, 2, 4, 8, 16, 32) if tick < end]
    ax.set_xticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    ax.set_yticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    ax.minorticks_off()


def headline(df: DataFrame) -> dict[str, float]:
    """Return both splits at :data:`MAIN` by profile and how far runs are from the flow."""
    numbers: dict[str, float] = {}
    main = df[df["share"] == MAIN]
    for row in main.itertuples():
        stem = f"{str(row.profile).split(':')[0]}, {row.ratio}, {row.source}"
        numbers[f"{stem}: across iterations"] = float(row.across_iterations)
        numbers[f"{stem}: across prompts"] = float(row.across_prompts)
    both = df.pivot(index=["profile", "ratio", "share"], columns="source", values="total")
    off = both["run"] / both["flow"]
    numbers["run over flow, least of all shares"] = float(off.min())
    numbers["run over flow, largest of all shares"] = float(off.max())
    flow = df[df["source"] == "flow"].pivot(index=["profile", "share"], columns="ratio", values="total")
    numbers["bound ratio over time ratio, least (flow)"] = float((flow["bound"] / flow["time"]).min())
    numbers["bound ratio over time ratio, largest (flow)"] = float((flow["bound"] / flow["time"]).max())
    return numbers


EXPERIMENT = Experiment(
    stem="speedup_decomposition",
    run=run,
    plot=plot,
    caption=CAPTION,
    dials={"prompts": Dial(16, 4, "prompts of a profile")},
    inputs=(Path(__file__).parent / "_two_arms.py",),
    headline=headline,
)


def main(argv: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    return main_of(EXPERIMENT, argv)


if __name__ == "__main__":
    raise SystemExit(main())
