"""What a group of G responses makes of the weight 1/σ: in expectation, from sampled groups, and as an objective.

For rewards 0 and 1 the expected update of a group is E ĝ = a_G(p) g, g = ∇J (theory D1). Dividing by the group's std
gives a_G = Σ_k Bin(k; G, p) √(k/G(1 − k/G)) / (p(1 − p)): constant for G = 2 and 3, at most √(G − 1), and 1/σ in the
limit alone. σ·a_G is what share of 1/σ is left, which is E σ̂/σ as well. The objective that small steps ascend is h
with h' = a_G.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature import group_advantages, plotting
from experiments._experiment import Dial, Experiment, main_of, require_count

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray
    from pandas import DataFrame

SIZES = (2, 4, 8, 16, 64)
ROLES = dict(
    zip((*SIZES, math.inf), ("paper", "other", "sharp", "exact", "binary", "reference"), strict=True)
)
RATES = (0.002, 0.998)
SAMPLED_RATES = (0.01, 0.04, 0.15, 0.5, 0.85, 0.96, 0.99)
# Bay and Yearick, arXiv:2607.00152: fidelity at (G, p), to four digits.
PUBLISHED = {(8, 0.5): 0.9278, (8, 0.05): 0.5390}
# Half-width of a 95% interval in standard errors.
REACH = 1.959964

CAPTION = (
    "One prompt with success rate p, rewards 0 and 1, advantages divided by the group's population std (GRPO), a group "
    "without spread counted as 0. Lines are exact sums over the number of right answers; markers with bars are means "
    "over sampled groups, put through the project's own group_advantages, with 95% normal intervals. "
    "a: the factor a between the expected update of a group and the gradient. Only G → ∞ gives 1/σ; G = 2 gives a "
    "constant, so it is REINFORCE, and a group of G never gives a rare success (or a rare failure) more than √(G − 1). "
    "b: the share of 1/σ that is left, σ·a, which is also the mean of the group's std over the true one; diamonds: "
    "the two values published in arXiv:2607.00152. c: the objective h(p) that small steps ascend, h' = a: the success "
    "rate itself for G = 2, 2 arcsin √p in the limit; for finite G, h is a polynomial with finite slopes at both ends."
)


def run(groups: int = 40_000, points: int = 161, seed: int = 0) -> DataFrame:
    """Compute weights, fidelities and objectives by group size, and sample the first two.

    Parameters
    ----------
    groups : int
        Sampled groups for each marker.
    points : int
        Success rates of a line.
    seed : int
        Of the sampled groups.

    Returns
    -------
    DataFrame
        Columns quantity ("weight", "fidelity", "objective"), kind ("theory", "sampled", "published"), group_size,
        success, value, and for sampled rows low and high.
    """
    import pandas as pd
    from scipy.special import expit, logit

    require_count("groups", groups, least=100)
    require_count("points", points, least=2)
    rates = expit(np.linspace(*logit(RATES), points))
    frames = [
        *(frame for size in ROLES for frame in _theory(size, rates, np.linspace(0, 1, points))),
        *_sampled(groups, seed),
        _published(),
    ]
    return pd.concat(frames, ignore_index=True)


def _table(quantity: str, kind: str, group_size: float, success: Any, value: Any, **more: Any) -> DataFrame:
    import pandas as pd

    columns = {"quantity": quantity, "kind": kind, "group_size": float(group_size), "success": success}
    return pd.DataFrame(columns | {"value": value} | more)


def _theory(size: float, rates: NDArray[np.float64], grid: NDArray[np.float64]) -> list[DataFrame]:
    """Tabulate the three lines of one group size."""
    from curvature.groups import effective_weight, implicit_objective

    σ = np.sqrt(rates * (1 - rates))
    weight = 1 / σ if math.isinf(size) else effective_weight(rates, int(size))
    return [
        _table("weight", "theory", size, rates, weight),
        _table("fidelity", "theory", size, rates, σ * weight),
        _table("objective", "theory", size, grid, implicit_objective(grid, size)),
    ]


def _sampled(groups: int, seed: int) -> list[DataFrame]:
    """Sample every group size at every rate of :data:`SAMPLED_RATES`."""
    rng = np.random.default_rng(seed)
    tables = []
    for size in SIZES:
        for rate in SAMPLED_RATES:
            right = rng.random((groups, size)) < rate
            for quantity, values in measure(right, rate).items():
                mean, error = values.mean(), values.std(ddof=1) / math.sqrt(groups)
                low, high = mean - REACH * error, mean + REACH * error
                tables.append(_table(quantity, "sampled", size, [rate], mean, low=low, high=high))
    return tables


def measure(right: NDArray[np.bool_], rate: float) -> dict[str, NDArray[np.float64]]:
    """Measure in each group how much its update exceeds the gradient, and how much its std falls short of σ.

    Parameters
    ----------
    right : ndarray, shape (n, G)
        Which responses are right.
    rate : float
        p, with which they were drawn.

    Returns
    -------
    dict of str to ndarray, shape (n,)
        "weight" and "fidelity": their means are a_G and σ a_G.
    """
    V = rate * (1 - rate)
    rewards = right.astype(np.float64)
    score = rewards - rate  # ∇log π of the right and the wrong response of two, a unit apart
    update = (group_advantages(rewards) * score).mean(axis=1)
    return {"weight": update / V, "fidelity": rewards.std(axis=1) / math.sqrt(V)}


def _published() -> DataFrame:
    import pandas as pd

    return pd.concat([
        _table("fidelity", "published", size, [rate], value) for (size, rate), value in PUBLISHED.items()
    ])


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
        Weight, fidelity, objective.
    """
    axes = plotting.figure("abc", size=(11.4, 4.9))[1] if ax is None else ax
    for panel, quantity in zip(axes, ("weight", "fidelity", "objective"), strict=True):
        _draw(df[df["quantity"] == quantity], panel)
    for panel in axes[:2]:
        panel.set(xscale="logit", xlim=RATES, xlabel="success rate p of the prompt")
        panel.set_xticks([0.01, 0.1, 0.5, 0.9, 0.99], labels=[".01", ".1", ".5", ".9", ".99"])
        panel.set_xticks([], minor=True)
    axes[0].set(yscale="log", ylabel="effective weight a = E ĝ / ∇J", title="a   effective weight")
    axes[0].set_yticks([1, 2, 4, 8, 16], labels=["1", "2", "4", "8", "16"])
    axes[0].set_yticks([], minor=True)
    axes[1].set(ylim=(0, 1.06), ylabel="share of 1/σ left, σ·a = E σ̂/σ", title="b   fidelity")
    axes[2].set(xlim=(0, 1), ylim=(0, None), xlabel="success rate p of the prompt", ylabel="objective h(p)")
    axes[2].set_title("c   what small steps ascend")
    axes[2].set_yticks([0, 1, 2, 3, math.pi], labels=["0", "1", "2", "3", "π"])
    for panel in axes:
        plotting.legend_below(panel, columns=2)
    return axes


def name_of(size: float) -> str:
    """Return the label of a group size."""
    return "G → ∞" if math.isinf(size) else f"G = {size:.0f}"


def _draw(rows: DataFrame, panel: Axes) -> None:
    """Draw the lines of one quantity and, where there are any, its sampled and published values."""
    named = rows.assign(series=rows["group_size"].map(name_of))
    look = {"x": "success", "y": "value"}
    roles = {name_of(size): role for size, role in ROLES.items()}
    plotting.plot_lines(named[named["kind"] == "theory"], panel, roles=roles, **look)
    sampled = named[named["kind"] == "sampled"]
    # One entry of the legend stands for the markers of all sizes, which have the colours of their lines.
    labels = {name: "_" + name for name in roles} | {name_of(8): "sampled groups, 95% interval"}
    marks = {labels[name]: role for name, role in roles.items() if (sampled["series"] == name).any()}
    marked = sampled.assign(series=sampled["series"].map(labels))
    plotting.plot_points(marked, panel, roles=marks, interval=("low", "high"), **look)
    published = named[named["kind"] == "published"]
    if len(published):
        panel.plot(
            published["success"],
            published["value"],
            linestyle="none",
            marker="D",
            markersize=9,
            markerfacecolor="none",
            color="black",
            label="published, G = 8",
            zorder=5,
        )


def headline(df: DataFrame) -> dict[str, Any]:
    """Return the published values beside ours, how many intervals hold the theory, and the ends of h."""
    from curvature.groups import effective_weight, fidelity

    numbers: dict[str, Any] = {}
    for (size, rate), value in PUBLISHED.items():
        numbers[f"fidelity at G = {size}, p = {rate:g}"] = float(fidelity(rate, size))
        numbers[f"fidelity at G = {size}, p = {rate:g}, published"] = value
    sampled = df[df["kind"] == "sampled"]
    truth = np.array([
        effective_weight(row.success, int(row.group_size))
        * (1 if row.quantity == "weight" else math.sqrt(row.success * (1 - row.success)))
        for row in sampled.itertuples()
    ])
    numbers["sampled means"] = len(sampled)
    inside = (sampled["low"] <= truth) & (truth <= sampled["high"])
    numbers["of them with the exact value in their 95% interval"] = int(inside.sum())
    ends = df[(df["quantity"] == "objective") & (df["success"] == 1)]
    for row in ends.itertuples():
        numbers[f"h(1), {name_of(row.group_size)}"] = float(row.value)
    return numbers


EXPERIMENT = Experiment(
    stem="finite_group_weight",
    run=run,
    plot=plot,
    caption=CAPTION,
    dials={
        "groups": Dial(40_000, 2_000, "sampled groups for each marker"),
        "points": Dial(161, 41, "success rates of a line"),
    },
    headline=headline,
)


def main(argv: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    return main_of(EXPERIMENT, argv)


if __name__ == "__main__":
    raise SystemExit(main())
