"""What the conventions of trainers do to a group: one success in eight, and the weight of a prompt by success rate.

Both panels come from one call of ``group_advantages`` a preset, on the G + 1 groups of size G with 0, 1, …, G
successes. A preset that normalises over the batch sees them as its batch.

The weight is exact: E ĝ = weight · ∇J, from :func:`curvature.groups.effective_weight`.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature import PRESETS, Normalization, group_advantages, plotting
from experiments._experiment import Dial, Experiment, main_of, require_count

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pandas import DataFrame

# One convention of each kind that acts on a group by itself, with the name of its line.
WEIGHTED = {
    "grpo": "grpo: population std",
    "trl": "trl: sample std, eps 1e-4",
    "nemo_rl": "nemo_rl: leave-one-out std",
    "rloo": "rloo: leave-one-out mean only",
    "none": "none: group mean only",
}
RATES = (0.002, 0.998)
# Presets whose advantages differ by less than this share a row.
SAME = 0.02

CAPTION = (
    "a: the advantage of the one success and of a failure in a group of eight, under every preset of "
    "curvature.advantages; presets within .02 of each other share a row. Presets that use the whole batch see this "
    "group among the nine groups with 0 to 8 successes. b: the factor by which the expected update of a group of "
    "eight differs from the gradient, by the prompt's success rate (exact sums over the number of successes). "
    "Dividing by the group's std follows 1/σ while p(1-p) is above about 1/G and saturates at √(G-1) for rare "
    "successes: a group of eight never gives the factor 1/σ to a very hard prompt. In nemo_rl a group with a single "
    "success (or failure) has others that do not differ, so that one is left unscaled while its companions are scaled."
)


def groups_of_every_count(group_size: int) -> NDArray[np.float64]:
    """Return the G + 1 groups with 0, 1, …, G successes, successes first, shape (G + 1, G)."""
    return (np.arange(group_size) < np.arange(group_size + 1)[:, None]).astype(np.float64)


def success_and_failure(
    preset: str | Normalization, group_size: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return A₁(k) and A₀(k), each (G + 1,), of groups with k successes; 0 where there is no such member."""
    advantages = group_advantages(groups_of_every_count(group_size), preset=preset)
    success = np.where(np.arange(group_size + 1) > 0, advantages[:, 0], 0.0)
    failure = np.where(np.arange(group_size + 1) < group_size, advantages[:, -1], 0.0)
    return success, failure


def run(group_size: int = 8, points: int = 161, seed: int = 0) -> DataFrame:
    """Tabulate advantages under every preset and weights under some.

    Parameters
    ----------
    group_size : int
        G ≥ 2.
    points : int
        Success rates of the right panel.
    seed : int
        Not used: nothing is random.

    Returns
    -------
    DataFrame
        Rows of quantity "advantage": preset, failure, success (the advantages in a group with one success);
        rows of quantity "weight": preset, success_rate, weight. Columns of the other quantity are missing.
    """
    import pandas as pd
    from scipy.special import expit, logit

    from curvature.groups import effective_weight

    require_count("group_size", group_size, least=2)
    require_count("points", points, least=2)
    rows = []
    for preset in PRESETS:
        success, failure = success_and_failure(preset, group_size)
        rows.append({
            "quantity": "advantage",
            "group_size": group_size,
            "preset": preset,
            "failure": failure[1],
            "success": success[1],
        })
    rates = expit(np.linspace(*logit(RATES), points))
    weights = [
        pd.DataFrame({
            "quantity": "weight",
            "group_size": group_size,
            "preset": preset,
            "success_rate": rates,
            "weight": effective_weight(rates, group_size, preset),
        })
        for preset in WEIGHTED
    ]
    return pd.concat([pd.DataFrame(rows), *weights], ignore_index=True)


def merge_equal(df: DataFrame) -> DataFrame:
    """Merge presets with nearly equal advantages into one row each, largest advantage of the success first."""
    import pandas as pd

    merged: list[dict[str, Any]] = []
    for row in (
        df[df["quantity"] == "advantage"].sort_values("success", ascending=False, kind="stable").itertuples()
    ):
        for known in merged:
            if abs(known["success"] - row.success) < SAME and abs(known["failure"] - row.failure) < SAME:
                known["names"].append(row.preset)
                break
        else:
            merged.append({"names": [row.preset], "success": row.success, "failure": row.failure})
    for row in merged:
        row["preset"] = "\n".join(textwrap.wrap(", ".join(row.pop("names")), 42, break_long_words=False))
    return pd.DataFrame(merged)


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
        Advantages by preset, weight by success rate.
    """
    axes = plotting.figure("ab", size=(10.2, 4.7))[1] if ax is None else ax
    G = int(df["group_size"].iloc[0])
    plotting.plot_dumbbells(
        merge_equal(df),
        axes[0],
        name="preset",
        ends={"failure": ("each failure", "paper"), "success": ("the success", "sharp")},
        spacing=5,
    )
    axes[0].axvline(0, color="#6E6E6E", linewidth=0.8, zorder=1)
    axes[0].margins(x=0.22)
    axes[0].set_ylim(axes[0].get_ylim()[0] + 0.3, -0.6)
    axes[0].tick_params(axis="y", labelsize=7)
    axes[0].set(xlabel="advantage", title=f"a   one success in {G}")
    weights = df[df["quantity"] == "weight"]
    rates = weights["success_rate"].unique()
    lines = weights.assign(series=weights["preset"].map(WEIGHTED))
    reference = lines.iloc[: len(rates)].assign(
        series="1/σ, the limit G → ∞", weight=1 / np.sqrt(rates * (1 - rates)), success_rate=rates
    )
    roles = dict(zip(WEIGHTED.values(), ("sharp", "exact", "other", "binary", "paper"), strict=True))
    plotting.plot_lines(
        reference, axes[1], x="success_rate", y="weight", roles={"1/σ, the limit G → ∞": "reference"}
    )
    plotting.plot_lines(lines, axes[1], x="success_rate", y="weight", roles=roles)
    axes[1].set(
        xscale="logit",
        yscale="log",
        xlim=RATES,
        xlabel="success rate p of the prompt",
        ylabel="weight of the prompt's gradient, E ĝ / ∇J",
        title=f"b   effective weight, groups of {G}",
    )
    axes[1].set_xticks([0.01, 0.1, 0.5, 0.9, 0.99], labels=[".01", ".1", ".5", ".9", ".99"])
    axes[1].set_xticks([], minor=True)
    axes[1].set_yticks([1, 2, 5, 10, 20], labels=["1", "2", "5", "10", "20"])
    axes[1].set_yticks([], minor=True)
    plotting.legend_below(axes[0], columns=2)
    plotting.legend_below(axes[1], columns=2)
    return axes


def headline(df: DataFrame) -> dict[str, float]:
    """Return the range over presets of what one success becomes, and the weight of rare successes."""
    advantages = df[df["quantity"] == "advantage"]
    weights = df[(df["quantity"] == "weight") & (df["preset"] == "grpo")]
    rarest = weights.iloc[0]
    return {
        "presets": len(advantages),
        "largest advantage of one success": float(advantages["success"].max()),
        "smallest advantage of one success": float(advantages["success"].min()),
        "grpo's weight at the rarest success": float(rarest["weight"]),
        "1/σ there": float(1 / np.sqrt(rarest["success_rate"] * (1 - rarest["success_rate"]))),
    }


EXPERIMENT = Experiment(
    stem="advantage_presets",
    run=run,
    plot=plot,
    caption=CAPTION,
    dials={
        "group_size": Dial(8, 8, "rewards in a group"),
        "points": Dial(161, 41, "success rates"),
    },
    headline=headline,
)


def main(argv: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    return main_of(EXPERIMENT, argv)


if __name__ == "__main__":
    raise SystemExit(main())
