"""Two responses, weight σ^(−e), small steps: solved exactly, and how near discrete runs come to it.

dp/dt = αD²(p(1 − p))^(2 − e/2). Late: 1 − p falls as 1/t, 1/t² and exponentially for e = 0, 1, 2. Early: the time
from a small p₀ to 1/2 grows as 1/p₀, 2/√p₀ and log(1/p₀). A group of G responses cannot estimate 1/σ where it is
large: the expected weight of GRPO then stays below √(G − 1), and both laws become those of e = 0 again.
"""

from __future__ import annotations

from math import log
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature import LogLinearBandit, plotting
from curvature.ascent import ascend, certified_constant_step
from curvature.flow import failure_asymptote, success_at_time, time_to_success
from experiments._experiment import Dial, Experiment, main_of, require_count
from experiments._two_arms import crossing_time, group_weight

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pandas import DataFrame

GROUP_SIZE = 8
# Weight exponent of each method; None is GRPO with a group of GROUP_SIZE.
EXPONENTS: dict[str, float | None] = {
    "REINFORCE, e = 0": 0.0,
    "GRPO, e = 1": 1.0,
    "1/variance, e = 2": 2.0,
    f"GRPO, G = {GROUP_SIZE}": None,
}
ROLES = dict(zip(EXPONENTS, ("paper", "sharp", "exact", "binary"), strict=True))
METHODS = dict(zip(EXPONENTS, ("reinforce", "grpo", "variance", "grpo"), strict=True))
# No constant step is certified for e = 2: GRPO's is used, at which each update adds 4c₀ to the log-odds.
STEP_OF_VARIANCE = 4 * log(2)
START, FROM, TO = 0.5, 0.01, 0.99
RARE = (1e-5, 0.3)

CAPTION = (
    "Two responses, one right, D = 1. Lines: the flow of small steps, in closed form for e = 0, 1, 2 and by quadrature "
    "with GRPO's expected weight for G = 8. Markers: discrete runs with exact gradients at constant steps, certified "
    "for e = 0 (8 ln 2) and e = 1 (4 ln 2); for e = 2 no constant step is, and that of GRPO is used. "
    "a: failure 1 − p from p₀ = 1/2 against the clock αD²t, which sets the step sizes aside: 1/t, 1/t², exponential. "
    "b: updates from p₀ to 1/2, interpolated within the last; markers of G = 8 are sampled runs, medians with the 10% "
    "to 90% range. With G responses the escape takes of the order of 1/p₀ again, because a group without a right "
    "answer is silent. c: the way from "
    ".01 to .99, where markers are all updates."
)


def run(steps: int = 3000, copies: int = 40, seed: int = 0) -> DataFrame:
    """Compute flows and discrete runs of each method.

    Parameters
    ----------
    steps : int
        Updates of the runs of panel a, and of the sampled runs of panel b.
    copies : int
        Sampled runs for each p₀.
    seed : int
        Of the sampled runs.

    Returns
    -------
    DataFrame
        Columns panel ("tail", "escape", "path"), kind ("flow" or "run"), series, x (clock, p₀, updates), value
        (1 − p, updates, p) and for sampled runs low and high.
    """
    import pandas as pd

    require_count("steps", steps, least=30)
    require_count("copies", copies)
    frames = [
        *(frame for name in EXPONENTS for frame in (*_tail(name, steps), *_path(name))),
        *(frame for name in EXPONENTS for frame in _escape(name, steps, copies, seed)),
    ]
    return pd.concat(frames, ignore_index=True)


def step_of(name: str) -> float:
    """Return the constant step α of a method for D = 1.

    Parameters
    ----------
    name : str
        A key of :data:`EXPONENTS`.

    Returns
    -------
    float
        Certified for e = 0 and e = 1 (which also serves G = 8, whose expected weight is below 1/σ).
    """
    if EXPONENTS[name] == 2:
        return STEP_OF_VARIANCE
    return certified_constant_step(LogLinearBandit.two_arm([START]), METHODS[name])


def law_of(name: str) -> dict[str, Any]:
    """Return the weight of a method as functions of :mod:`curvature.flow` take it."""
    exponent = EXPONENTS[name]
    return {"weight": group_weight(GROUP_SIZE)} if exponent is None else {"exponent": exponent}


def _table(panel: str, kind: str, series: str, x: Any, value: Any, **more: Any) -> DataFrame:
    import pandas as pd

    return pd.DataFrame({"panel": panel, "kind": kind, "series": series, "x": x, "value": value} | more)


def _failures(name: str, start: float, steps: int) -> NDArray[np.float64]:
    """Follow 1 − p over updates with exact gradients, from θ, which resolves it where p rounds to 1."""
    bandit = LogLinearBandit.two_arm([start])
    trace = ascend(
        bandit, METHODS[name], step=step_of(name), num_steps=steps, record=("theta",), progress=False
    )
    return _failure_of(log(start / (1 - start)) + trace["theta"][0, :, 0])


def _failure_of(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.special import expit

    return expit(-log_odds)


def _tail(name: str, steps: int) -> list[DataFrame]:
    clock = np.geomspace(1, 2e4, 121)
    odds = success_at_time(0.0, clock, log_odds=True, **law_of(name))
    tables = [_table("tail", "flow", name, clock, _failure_of(odds))]
    if EXPONENTS[name] is not None:
        failure = _failures(name, START, steps)
        shown = np.unique(np.round(np.geomspace(1, steps, 22)).astype(int))
        tables.append(_table("tail", "run", name, step_of(name) * shown, failure[shown]))
    return [table[table["value"] > 1e-12] for table in tables]


def _path(name: str) -> list[DataFrame]:
    if EXPONENTS[name] is None:
        return []
    α = step_of(name)
    end = float(time_to_success(FROM, 0.997, rate=α, **law_of(name)))
    times = np.linspace(0, end, 200)
    flow = success_at_time(FROM, times, rate=α, **law_of(name))
    shown = np.arange(int(end) + 1)
    failure = _failures(name, FROM, max(int(end), 1))
    return [
        _table("path", "flow", name, times, flow),
        _table("path", "run", name, shown, 1 - failure[: shown.size]),
    ]


def _escape(name: str, steps: int, copies: int, seed: int) -> list[DataFrame]:
    α = step_of(name)
    starts = np.geomspace(*RARE, 61)
    flow = time_to_success(starts, 0.5, rate=α, **law_of(name))
    tables = [_table("escape", "flow", name, starts, flow)]
    if EXPONENTS[name] is None:
        return [*tables, *_sampled_escape(name, steps, copies, seed)]
    for start in np.geomspace(*RARE, 10):
        expected = float(time_to_success(start, 0.5, rate=α, **law_of(name)))
        success = 1 - _failures(name, float(start), int(1.2 * expected) + 10)
        tables.append(_table("escape", "run", name, [start], [float(crossing_time(success, 0.5))]))
    return tables


def _sampled_escape(name: str, steps: int, copies: int, seed: int) -> list[DataFrame]:
    """Sample groups from p₀ on; a p₀ is left out if more than 5% of its runs do not reach 1/2."""
    starts = np.geomspace(1e-3, RARE[1], 6)
    bandit = LogLinearBandit.two_arm(np.repeat(starts, copies))  # orthogonal prompts are runs of their own
    trace = ascend(
        bandit,
        METHODS[name],
        step=step_of(name),
        num_steps=steps,
        group_size=GROUP_SIZE,
        seeds=seed,
        record=("expected_reward_by_prompt",),
        progress=False,
    )
    success = trace["expected_reward_by_prompt"][0].T.reshape(starts.size, copies, -1)
    times = crossing_time(success, 0.5)
    kept = np.isfinite(times).mean(axis=1) > 0.95
    low, middle, high = np.quantile(times[kept], [0.1, 0.5, 0.9], axis=1, method="lower")
    return [_table("escape", "run", name, starts[kept], middle, low=low, high=high)]


def plot(df: DataFrame, ax: Any = None) -> Any:
    """Draw the three panels: flows as lines, discrete runs as markers.

    Parameters
    ----------
    df : DataFrame
        What :func:`run` returns.
    ax : array of three Axes, optional
        A new figure when left out.

    Returns
    -------
    array of three Axes
        Tail, escape, path.
    """
    axes = plotting.figure("abc", size=(10.8, 4.6))[1] if ax is None else ax
    for panel, name in zip(axes, ("tail", "escape", "path"), strict=True):
        rows = df[df["panel"] == name]
        present = {series: role for series, role in ROLES.items() if (rows["series"] == series).any()}
        plotting.plot_lines(rows[rows["kind"] == "flow"], panel, x="x", y="value", roles=present)
        runs = rows[rows["kind"] == "run"]
        exact = {series: role for series, role in present.items() if EXPONENTS[series] is not None}
        marks = runs.assign(series="run: " + runs["series"])
        plotting.plot_points(
            marks, panel, x="x", y="value", roles={f"run: {series}": role for series, role in exact.items()}
        )
        if name == "escape":
            sampled = f"GRPO, G = {GROUP_SIZE}"
            plotting.plot_points(
                marks,
                panel,
                x="x",
                y="value",
                roles={f"run: {sampled}": ROLES[sampled]},
                interval=("low", "high"),
            )
        plotting.legend_below(panel, columns=2 if name != "path" else 1)
    axes[0].set(
        xscale="log",
        yscale="log",
        ylim=(1e-9, 1),
        xlabel="clock αD²t",
        ylabel="failure 1 − p",
        title="a   late: from p₀ = 1/2",
    )
    axes[1].set(xscale="log", yscale="log", xlabel="success p₀ at the start", ylabel="updates until p = 1/2")
    axes[1].set_title("b   early: escape")
    axes[2].set(xlabel="updates", ylabel="success p", title="c   from .01 at these steps")
    axes[2].axhline(TO, color="#6E6E6E", linewidth=0.9, linestyle=(0, (2, 2)), zorder=1)
    axes[2].annotate("0.99", (0, TO), xytext=(2, 3), textcoords="offset points", fontsize=7.5)
    return axes


def headline(df: DataFrame) -> dict[str, float]:
    """Return updates from .01 to .99, slopes of the last decade of tails, and slopes of the escape times."""
    numbers: dict[str, float] = {}
    for name, exponent in EXPONENTS.items():
        law, α = law_of(name), step_of(name)
        numbers[f"{name}, .01 to .99, flow"] = float(time_to_success(FROM, TO, rate=α, **law))
        if exponent is not None:
            failure = _failures(name, FROM, 60)
            numbers[f"{name}, .01 to .99, run"] = float(np.argmax(1 - failure >= TO))
        tail = df[(df["panel"] == "tail") & (df["kind"] == "flow") & (df["series"] == name)]
        if exponent != 2:
            last = tail[tail["x"] >= 1e3]
            numbers[f"{name}, slope of the tail"] = _slope(last["x"], last["value"])
        start = df[(df["panel"] == "escape") & (df["kind"] == "flow") & (df["series"] == name)]
        rare = start[start["x"] <= 1e-4]
        numbers[f"{name}, slope of the escape time"] = _slope(rare["x"], rare["value"])
    clock = df[(df["panel"] == "tail") & (df["kind"] == "run") & (df["series"] != "1/variance, e = 2")]
    ratios = [
        float(rows["value"].iloc[-1])
        / float(failure_asymptote(rows["x"].iloc[-1], exponent=float(EXPONENTS[str(name)] or 0.0)))
        for name, rows in clock.groupby("series")
    ]
    numbers["last failure of the runs over its asymptote, furthest from 1"] = max(
        ratios, key=lambda x: abs(x - 1)
    )
    return numbers


def _slope(x: Any, y: Any) -> float:
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


EXPERIMENT = Experiment(
    stem="exact_rates",
    run=run,
    plot=plot,
    caption=CAPTION,
    dials={
        "steps": Dial(3000, 300, "updates of the runs of panel a and of sampled runs"),
        "copies": Dial(40, 10, "sampled runs for each success at the start"),
    },
    inputs=(Path(__file__).parent / "_two_arms.py",),
    headline=headline,
)


def main(argv: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    return main_of(EXPERIMENT, argv)


if __name__ == "__main__":
    raise SystemExit(main())
