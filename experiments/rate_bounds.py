"""Rates under orthogonality: measured gradients of both algorithms against the paper's bounds and against ours.

One prompt is drawn a step (the paper's Algorithms 1 and 2), and every number is an exact expectation: no sampling.
Above: ⟨‖g‖⟩², the squared mean over prompts and iterations of the expected gradient norm, for REINFORCE (a) and GRPO
(b), each at the step that the bound beside it is about. Below: the two forms of Theorem 3.2 for one prompt of two
responses: the sum form as printed, which the measured sum crosses (c), and the min form with which its proof ends (d).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from curvature import LogLinearBandit, plotting
from curvature.bounds import ExpectedRun, expected_run, paper, sharp, smallest_variance_bound
from curvature.bounds import theorem_3_2_repaired as repaired_3_2
from experiments._experiment import Dial, Experiment, main_of, require_count

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pandas import DataFrame

DIAMETER = 1.0
LEAST_SPECTRAL_NORM = DIAMETER * np.sqrt(0.5)  # of two responses
LARGEST_STD = 0.5
SUCCESS = (0.05, 0.95)
# How many horizons T a curve is read at.
POINTS = 26

CAPTION = (
    "Rates under orthogonality: exact expectations of the paper's algorithms (one of n prompts drawn a step, two "
    "responses a prompt, D = 1, success at the start spread evenly over [.05, .95]) against bounds, for every "
    "horizon T. a: squared mean gradient norm of REINFORCE at the steps of Theorem 3.1, of our T2 and of our C1, each "
    "marker under the line of its own bound, of the same colour (3.1, 3.2 and C1 bound the mean square, which is no "
    "smaller). b: GRPO at the step of Theorem 3.2 and of our T1. "
    "The printed line of Theorem 3.2 takes the smallest C that assumption A3 admits for n ≥ 2, max σ over the "
    "numbers of own updates so far; the repaired one, Cauchy–Schwarz on its ascent inequality, needs no A3. c: the "
    "sum form of Theorem 3.2 as printed is false: for one prompt, p₀ = 1/2, X = I, C = σ(θ_t), the measured sum "
    "crosses it; the weighted sum, which is what its proof bounds, stays below its bound. d: the min form holds, with "
    "the printed mean of C and with the harmonic mean that follows."
)


def run(steps: int = 3000, prompts: int = 8, seed: int = 0) -> DataFrame:
    """Compute measured gradients and bounds at every horizon that is drawn.

    Parameters
    ----------
    steps : int
        The largest T.
    prompts : int
        n of panels a and b.
    seed : int
        Has no effect: nothing is drawn.

    Returns
    -------
    DataFrame
        Columns panel ("reinforce", "grpo", "sum", "min"), kind ("measured" or "bound"), series, horizon T and value.
    """
    import pandas as pd

    require_count("steps", steps, least=2)
    require_count("prompts", prompts)
    horizons = np.unique(np.round(np.geomspace(1, steps, POINTS)).astype(int))
    bandit = LogLinearBandit.two_arm(np.linspace(*SUCCESS, prompts + 2)[1:-1], diameter=DIAMETER)
    rows = [*_reinforce(bandit, horizons), *_grpo(bandit, horizons), *_one_prompt(horizons)]
    return pd.concat(
        [
            pd.DataFrame({
                "panel": panel,
                "kind": kind,
                "series": series,
                "horizon": horizons,
                "value": value,
            })
            for panel, kind, series, value in rows
        ],
        ignore_index=True,
    )


Row = tuple[str, str, str, "NDArray[np.float64]"]


def _reinforce(bandit: LogLinearBandit, horizons: NDArray[np.intp]) -> list[Row]:
    n, T = bandit.num_prompts, int(horizons[-1])
    p = _success_at_start(bandit)
    gap = float(np.mean(1 - p))
    rows: list[Row] = []
    for name, step, bound in (
        (
            "Thm 3.1, η = 1/X²",
            None,
            lambda t: paper.theorem_3_1(n, p, LEAST_SPECTRAL_NORM, t).gradient_sum.mean() / t,
        ),
        (
            "ours, T3 at α = 8c₀/D²",
            float(sharp.theorem_t2(0.0, LARGEST_STD, DIAMETER).step),
            lambda t: sharp.theorem_t3(t, gap, DIAMETER, 0.0, LARGEST_STD, num_prompts=n).reinforce,
        ),
        (
            "ours, C1 at α = 6√3/D²",
            float(sharp.theorem_c1(1, gap, DIAMETER).step),
            lambda t: sharp.theorem_c1(t, gap, DIAMETER, num_prompts=n).mean_squared,
        ),
    ):
        found = expected_run(bandit, "reinforce", T, step=step)
        rows.append(("reinforce", "measured", name, mean_gradient_squared(found, horizons)))
        rows.append(("reinforce", "bound", name, np.array([float(bound(int(t))) for t in horizons])))
    return rows


def _grpo(bandit: LogLinearBandit, horizons: NDArray[np.intp]) -> list[Row]:
    n, T = bandit.num_prompts, int(horizons[-1])
    p, X = _success_at_start(bandit), LEAST_SPECTRAL_NORM
    gap = float(np.mean(1 - p))
    theirs = expected_run(bandit, "grpo", T)
    ours = expected_run(bandit, "grpo", T, step=float(sharp.theorem_t1(0.0, LARGEST_STD, DIAMETER).step))
    C = smallest_variance_bound(theirs.own_reward_std, n)[:-1].T
    std = running_mean(theirs.reward_std.mean(axis=1), horizons)
    # ⟨‖g‖⟩² ≤ ⟨‖g‖²/σ⟩⟨σ⟩, over prompts and iterations together.
    weighted = np.mean(repaired_3_2(n, p, X, C[:, :1]).weighted_sum) / horizons
    certified = [
        sharp.theorem_t3(int(t), gap, DIAMETER, mean, LARGEST_STD, num_prompts=n).grpo
        for t, mean in zip(horizons, running_mean(ours.reward_std.mean(axis=1), horizons), strict=True)
    ]
    printed = [paper.theorem_3_2(n, p, X, C[:, :t]).gradient_sum.mean() / t for t in horizons]
    name, mine = "Thm 3.2 as printed, η = 1/(2X²)", "ours, T3 at α = 4c₀/D²"
    return [
        ("grpo", "measured", name, mean_gradient_squared(theirs, horizons)),
        ("grpo", "bound", name, np.array(printed)),
        ("grpo", "bound", "Thm 3.2 repaired, same η", weighted * std),
        ("grpo", "measured", mine, mean_gradient_squared(ours, horizons)),
        ("grpo", "bound", mine, np.array(certified)),
    ]


def _one_prompt(horizons: NDArray[np.intp]) -> list[Row]:
    """Compute both forms of Theorem 3.2 for one prompt of two responses, X = I, θ₀ = 0."""
    found = expected_run(LogLinearBandit([np.eye(2)], [[1, 0]]), "grpo", int(horizons[-1]))
    squared, weighted = found.squared_gradient[:-1, 0], found.weighted_gradient[:-1, 0]
    C = found.own_reward_std[:-1, 0]
    printed = [paper.theorem_3_2(1, 0.5, 1.0, C[:t]) for t in horizons]
    repaired = [repaired_3_2(1, 0.5, 1.0, C[:t]) for t in horizons]
    return [
        ("sum", "measured", "Σ‖∇J‖²", np.cumsum(squared)[horizons - 1]),
        ("sum", "bound", "Thm 3.2, sum form as printed", np.array([float(x.gradient_sum) for x in printed])),
        ("sum", "bound", "repaired: times max C", np.array([float(x.gradient_sum) for x in repaired])),
        ("sum", "measured", "Σ‖∇J‖²/σ", np.cumsum(weighted)[horizons - 1]),
        ("sum", "bound", "what is proved of Σ‖∇J‖²/σ", np.array([float(x.weighted_sum) for x in repaired])),
        ("min", "measured", "min ‖∇J‖²", np.minimum.accumulate(squared)[horizons - 1]),
        ("min", "bound", "Thm 3.2, min form: mean C", np.array([float(x.gradient_min) for x in printed])),
        ("min", "bound", "repaired: harmonic mean C", np.array([float(x.gradient_min) for x in repaired])),
    ]


def _success_at_start(bandit: LogLinearBandit) -> NDArray[np.float64]:
    from curvature import moments

    return moments(bandit, np.zeros(bandit.dimension)).expected_reward


def running_mean(values: NDArray[np.float64], horizons: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return (1/T)Σ_{t<T} of a sequence at each horizon T."""
    return np.cumsum(values)[horizons - 1] / horizons


def mean_gradient_squared(found: ExpectedRun, horizons: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return ⟨‖g‖⟩², the mean being over prompts and over t < T, at each horizon T."""
    return running_mean(found.gradient_norm.mean(axis=1), horizons) ** 2


def first_crossing(limit: int = 200) -> int:
    """Find the first T at which the measured sum exceeds the printed sum form for one prompt of two responses.

    Parameters
    ----------
    limit : int
        The largest T that is looked at.

    Returns
    -------
    int
        T, or 0 if there is none.
    """
    found = expected_run(LogLinearBandit([np.eye(2)], [[1, 0]]), "grpo", limit)
    total, C = np.cumsum(found.squared_gradient[:-1, 0]), found.own_reward_std[:-1, 0]
    for t in range(1, limit + 1):
        if total[t - 1] > paper.theorem_3_2(1, 0.5, 1.0, C[:t]).gradient_sum:
            return t
    return 0


ROLES = {
    "reinforce": {
        "Thm 3.1, η = 1/X²": "paper",
        "ours, T3 at α = 8c₀/D²": "sharp",
        "ours, C1 at α = 6√3/D²": "exact",
    },
    "grpo": {
        "Thm 3.2 as printed, η = 1/(2X²)": "paper",
        "Thm 3.2 repaired, same η": "other",
        "ours, T3 at α = 4c₀/D²": "sharp",
    },
    "sum": {
        "Thm 3.2, sum form as printed": "paper",
        "repaired: times max C": "other",
        "what is proved of Σ‖∇J‖²/σ": "binary",
    },
    "min": {"Thm 3.2, min form: mean C": "paper", "repaired: harmonic mean C": "other"},
}
MEASURED = {
    "reinforce": ROLES["reinforce"],
    "grpo": {name: ROLES["grpo"][name] for name in tuple(ROLES["grpo"])[::2]},
    "sum": {"Σ‖∇J‖²": "adversary", "Σ‖∇J‖²/σ": "binary"},
    "min": {"min ‖∇J‖²": "adversary"},
}


def plot(df: DataFrame, ax: Any = None) -> Any:
    """Draw the four panels: bounds as lines, measurements as markers.

    Parameters
    ----------
    df : DataFrame
        What :func:`run` returns.
    ax : array of four Axes, optional
        A new figure when left out.

    Returns
    -------
    array of four Axes
        REINFORCE, GRPO, sum form, min form.
    """
    axes = plotting.figure("ab;cd", size=(8.4, 8.6))[1] if ax is None else ax
    titles = {
        "reinforce": ("a   REINFORCE, squared mean gradient", "⟨‖g‖⟩²"),
        "grpo": ("b   GRPO, squared mean gradient", "⟨‖g‖⟩²"),
        "sum": ("c   Theorem 3.2, sum form (n = 1)", "sum over t < T"),
        "min": ("d   Theorem 3.2, min form (n = 1)", "least ‖∇J‖² over t < T"),
    }
    for panel, (name, (title, label)) in zip(axes, titles.items(), strict=True):
        rows = df[df["panel"] == name]
        bounds = rows[rows["kind"] == "bound"]
        plotting.plot_lines(bounds, panel, x="horizon", y="value", roles=ROLES[name])
        measured = rows[rows["kind"] == "measured"].assign(series=lambda t: "measured: " + t["series"])
        marks = {f"measured: {series}": role for series, role in MEASURED[name].items()}
        plotting.plot_points(measured, panel, x="horizon", y="value", roles=marks)
        panel.set(xscale="log", yscale="log", xlabel="iterations T", ylabel=label, title=title)
        plotting.legend_below(panel, columns=1)
    crossing = first_crossing()
    axes[2].axvline(crossing, color="#6E6E6E", linewidth=0.9, linestyle=(0, (2, 2)), zorder=1)
    axes[2].annotate(
        f"false from T = {crossing} on",
        (crossing, 0.0),
        xycoords=("data", "axes fraction"),
        xytext=(-4, 8),
        textcoords="offset points",
        ha="right",
        fontsize=7.5,
    )
    return axes


def headline(df: DataFrame) -> dict[str, float]:
    """Return how loose each bound is at the largest T, and where and by how much the printed sum form fails."""
    last = df[df["horizon"] == df["horizon"].max()]
    at = {(row.panel, row.kind, row.series): row.value for row in last.itertuples()}
    numbers: dict[str, float] = {"largest T": float(df["horizon"].max())}
    for panel, pairs in (("reinforce", ROLES["reinforce"]), ("grpo", MEASURED["grpo"])):
        for series in pairs:
            over = at[panel, "bound", series] / at[panel, "measured", series]
            numbers[f"{panel}, bound over measured, {series}"] = float(over)
    mine = "ours, T3 at α = 4c₀/D²", "ours, T3 at α = 8c₀/D²"
    numbers["ours, GRPO over REINFORCE, bounds"] = float(
        at["grpo", "bound", mine[0]] / at["reinforce", "bound", mine[1]]
    )
    numbers["ours, GRPO over REINFORCE, measured"] = float(
        at["grpo", "measured", mine[0]] / at["reinforce", "measured", mine[1]]
    )
    numbers["printed sum form fails from T"] = float(first_crossing())
    numbers["measured sum over printed bound at the largest T"] = float(
        at["sum", "measured", "Σ‖∇J‖²"] / at["sum", "bound", "Thm 3.2, sum form as printed"]
    )
    return numbers


EXPERIMENT = Experiment(
    stem="rate_bounds",
    run=run,
    plot=plot,
    caption=CAPTION,
    dials={
        "steps": Dial(3000, 300, "largest T"),
        "prompts": Dial(8, 3, "prompts of panels a and b"),
    },
    headline=headline,
)


def main(argv: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    return main_of(EXPERIMENT, argv)


if __name__ == "__main__":
    raise SystemExit(main())
