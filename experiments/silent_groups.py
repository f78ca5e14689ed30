"""Groups that say nothing: how many have no spread, by theory for one success rate and in real data for many.

A group of G answers to a prompt with success rate p is all right with probability p^G and all wrong with (1 − p)^G
(theory D2); either way every advantage is 0. Both are convex in p, so prompts of unlike difficulty have more silent
groups than prompts that all have their mean success rate (Jensen). How many more is a question to real data.

From groups of G the share of silent groups of any n ≤ G is estimated without bias, and without a model: a group with
k right holds C(k, n) + C(G − k, n) silent ones among its C(G, n) subsets of n.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature import group_advantages, plotting
from experiments._experiment import Dial, Experiment, main_of, require_count
from experiments._graded_groups import (
    ANSWERS,
    POOLED,
    PREDICTIONS,
    ROLLOUTS,
    SYSTEMS,
    Groups,
    largest_of_each_dataset,
    predict,
    read_runs,
    read_systems,
    silent_in_subsets,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

SIZES = {4: "exact", 8: "sharp", 16: "binary"}
SPLIT_SIZE = 8
SAMPLED_RATES = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)
CONFIDENCE = 0.95
PARTS = ("_graded_groups.py", "_gsm8k_models.py")
LARGEST = 64

CAPTION = (
    "A group whose answers are all right or all wrong has no spread: its advantages are all 0 and it teaches nothing. "
    "a: the probability for one prompt, p^G + (1 − p)^G (lines), and the share of sampled groups that get zero "
    "advantages from group_advantages (markers, 95% Wilson intervals); shaded for G = 8: which of them are all wrong "
    "and all right. b: real data. Bars: share of silent groups, split, with 95% Wilson intervals of the total; open "
    "circles: the same under strict grading, which also asks for a boxed answer. Squares: what the run's mean success "
    "rate gives if every prompt had it. 'Four systems': 1,319 questions answered once by each of four systems. The "
    "others: groups of 8 answers by Qwen2.5-Coder at temperature T, with a chat prompt or two worked examples; runs on "
    "one data set share questions, so the seven are not independent. c: silent share by group size, for the four "
    "systems and for the two runs with the most questions, on each of which no question occurs twice. Markers: without "
    "a model, from subsets of the groups, with 95% bootstrap intervals over questions. Lines: every prompt at the mean "
    "success rate, and a beta-binomial that was fitted to the number right among four of each group's answers, so for "
    "groups of more than four it is a prediction. With unlike prompts larger groups help far less than the mean "
    "success rate promises."
)


def run(groups: int = 20_000, resamples: int = 999, seed: int = 0) -> DataFrame:
    """Compute, sample and measure shares of silent groups.

    Parameters
    ----------
    groups : int
        Sampled groups for each marker of panel a.
    resamples : int
        Of the bootstrap over real groups.
    seed : int
        Of sampled groups and bootstrap.

    Returns
    -------
    DataFrame
        Columns view ("curve", "sampled", "data", "size"), name, group_size, success, groups, all_wrong, all_right,
        value (the total), low, high, and for data strict (the total under strict grading) and the predictions of
        the total, "mean p" and "beta"; what does not apply is missing.
    """
    import pandas as pd

    require_count("groups", groups, least=10)
    require_count("resamples", resamples, least=2)
    rng = np.random.default_rng(seed)
    rows = [*_curves(), *_sampled(groups, rng)]
    systems, runs, strict = read_systems(), read_runs(), read_runs("strict")
    rows.append(_data_row(SYSTEMS, systems))
    rows += [_data_row(name, data) | {"strict": _silent_share(strict[name])} for name, data in runs.items()]
    for name, data in ((POOLED, largest_of_each_dataset(runs)), (SYSTEMS, systems)):
        rows += _size_rows(name, data, resamples, rng)
    return pd.DataFrame(rows)


def _curves() -> list[dict[str, Any]]:
    from curvature.groups import silent_probability

    rows = []
    for size in SIZES:
        for p in np.linspace(0, 1, 101):
            silent = silent_probability(p, size)
            row = {"view": "curve", "name": f"G = {size}", "group_size": size, "success": p}
            both = {"all_wrong": float(silent.all_wrong), "all_right": float(silent.all_right)}
            rows.append(row | both | {"value": float(silent.total)})
    return rows


def _sampled(groups: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Sample groups and count those whose advantages are all 0."""
    rows = []
    for size in SIZES:
        for p in SAMPLED_RATES:
            rewards = (rng.random((groups, size)) < p).astype(np.float64)
            silent = int((group_advantages(rewards) == 0).all(axis=1).sum())
            row = {"view": "sampled", "name": f"G = {size}", "group_size": size, "success": p}
            rows.append(row | _share(silent, groups))
    return rows


def _share(part: int, whole: int) -> dict[str, Any]:
    """Return a share with its Wilson interval."""
    from scipy.stats import binomtest

    interval = binomtest(part, whole).proportion_ci(CONFIDENCE, method="wilson")
    return {"groups": whole, "value": part / whole, "low": interval.low, "high": interval.high}


def _data_row(name: str, groups: Groups) -> dict[str, Any]:
    G, histogram = groups.group_size, groups.histogram
    row = {"view": "data", "name": name, "group_size": G, "success": groups.success}
    split = {"all_wrong": histogram[0] / groups.count, "all_right": histogram[-1] / groups.count}
    predicted = {key: float(values[0]) for key, values in predict(groups, [G]).items()}
    return row | split | predicted | _share(int(histogram[0] + histogram[-1]), groups.count)


def _silent_share(groups: Groups) -> float:
    return float((groups.histogram[0] + groups.histogram[-1]) / groups.count)


def _size_rows(name: str, groups: Groups, resamples: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Measure the silent share for every size up to G, and predict it up to :data:`LARGEST`."""
    from scipy.stats import bootstrap

    G = groups.group_size
    right = np.repeat(np.arange(G + 1), groups.histogram)
    rows = []
    for size in range(2, G + 1):
        silent = silent_in_subsets(G, size).sum(axis=0)[right]
        found = bootstrap(
            (silent,), np.mean, n_resamples=resamples, confidence_level=CONFIDENCE, batch=100, rng=rng
        ).confidence_interval
        row = {"view": "size", "name": name, "group_size": size, "groups": groups.count}
        rows.append(row | {"value": silent.mean(), "low": found.low, "high": found.high})
    sizes = np.arange(2, LARGEST + 1)
    for key, values in predict(groups, sizes).items():
        rows += [
            {"view": "size", "name": f"{name}: {key}", "group_size": size, "value": value}
            for size, value in zip(sizes, values, strict=True)
        ]
    return rows


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
        Probability, real data, group size.
    """
    axes = plotting.figure("abc", size=(12.6, 4.7))[1] if ax is None else ax
    _draw_probability(df, axes[0])
    _draw_data(df[df["view"] == "data"], axes[1])
    _draw_sizes(df[df["view"] == "size"], axes[2])
    for panel, columns in zip(axes, (2, 1, 1), strict=True):
        plotting.legend_below(panel, columns=columns)
    return axes


def _draw_probability(df: DataFrame, panel: Axes) -> None:
    curves = df[df["view"] == "curve"]
    split = curves[curves["group_size"] == SPLIT_SIZE]
    shades = {"all_wrong": ("#B8B8B8", "all wrong"), "all_right": ("#E4E4E4", "all right")}
    for column, (shade, what) in shades.items():
        label = f"G = {SPLIT_SIZE}, {what}"
        panel.fill_between(split["success"], 0, split[column], color=shade, linewidth=0, label=label)
    roles = {f"G = {size}": role for size, role in SIZES.items()}
    plotting.plot_lines(curves, panel, x="success", y="value", series="name", roles=roles)
    sampled = df[df["view"] == "sampled"]
    marked = sampled.assign(name="sampled, " + sampled["name"])
    plotting.plot_points(
        marked,
        panel,
        x="success",
        y="value",
        series="name",
        roles={f"sampled, {name}": role for name, role in roles.items()},
        interval=("low", "high"),
    )
    panel.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="success rate p of the prompt", title="a   one prompt")
    panel.set_ylabel("probability that a group is silent")


def _draw_data(rows: DataFrame, panel: Axes) -> None:
    places = np.arange(len(rows))
    panel.barh(places, rows["all_wrong"], height=0.6, color="#B8B8B8", label="measured: all wrong")
    panel.barh(
        places,
        rows["all_right"],
        left=rows["all_wrong"],
        height=0.6,
        color="#E4E4E4",
        edgecolor="#6E6E6E",
        hatch="////",
        linewidth=0,
        label="measured: all right",
    )
    reach = [rows["value"] - rows["low"], rows["high"] - rows["value"]]
    panel.errorbar(
        rows["value"], places, xerr=reach, fmt="none", color="#4D4D4D", capsize=3, label="95% interval"
    )
    marks = {"mean p": ("paper", PREDICTIONS["mean p"]), "strict": ("adversary", "measured, strict grading")}
    for column, (key, label) in marks.items():
        look = plotting.ROLES[key]
        face = look.colour if look.filled else "white"
        mark = {"marker": look.marker, "color": look.colour, "markerfacecolor": face}
        panel.plot(rows[column], places, linestyle="none", label=label, zorder=5, **mark)
    labels = [
        f"{row.name}, {row.groups:.0f} groups of {row.group_size}".replace(", ", "\n", 1)
        for row in rows.itertuples(index=False)
    ]
    panel.set_yticks(places, labels=labels, fontsize=7.5)
    panel.set_ylim(len(rows) - 0.4, -0.6)
    panel.grid(visible=False, axis="y")
    panel.set(xlim=(0, 1), xlabel="share of groups that are silent", title="b   real groups")


def _draw_sizes(rows: DataFrame, panel: Axes) -> None:
    lines = {
        f"{POOLED}: beta": "sharp",
        f"{POOLED}: mean p": "paper",
        f"{SYSTEMS}: beta": "binary",
        f"{SYSTEMS}: mean p": "other",
    }
    labels = {
        f"{name}: {key}": f"{name}: {what}"
        for name in (POOLED, SYSTEMS)
        for key, what in {"mean p": "all at the mean p", "beta": "beta-binomial"}.items()
    }
    look = {"x": "group_size", "y": "value", "series": "name"}
    named = rows.assign(name=rows["name"].replace(labels))
    plotting.plot_lines(named, panel, roles={labels[name]: role for name, role in lines.items()}, **look)
    measured = rows.assign(name=rows["name"] + ": measured")
    marks = {f"{POOLED}: measured": "sharp", f"{SYSTEMS}: measured": "binary"}
    plotting.plot_points(measured, panel, roles=marks, interval=("low", "high"), **look)
    panel.set(xscale="log", ylim=(0, 1), xlabel="group size G", ylabel="share of groups that are silent")
    panel.set_xticks([2, 4, 8, 16, 32, 64], labels=["2", "4", "8", "16", "32", "64"])
    panel.set_xticks([], minor=True)
    panel.set_title("c   larger groups")


def headline(df: DataFrame) -> dict[str, Any]:
    """Return measured shares with intervals beside both predictions, and the excess over the mean's."""
    numbers: dict[str, Any] = {}
    data = df[df["view"] == "data"]
    for _, row in data.iterrows():
        label = f"{row['name']}, {row['groups']:.0f} groups of {row['group_size']:.0f}"
        numbers[f"{label}: silent"] = [round(float(x), 4) for x in row[["value", "low", "high"]]]
        numbers[f"{label}: {PREDICTIONS['mean p']}"] = float(row["mean p"])
    runs = data[data["name"] != SYSTEMS]
    numbers["runs of policies"] = len(runs)
    numbers["of them more silent than at the mean p"] = int((runs["value"] > runs["mean p"]).sum())
    sizes = df[df["view"] == "size"]
    for name in (POOLED, SYSTEMS):
        last = sizes[sizes["name"] == name].iloc[-1]
        numbers[f"{name}, G = {last['group_size']}: silent"] = [
            round(float(x), 4) for x in last[["value", "low", "high"]]
        ]
        for key, what in PREDICTIONS.items():
            line = sizes[sizes["name"] == f"{name}: {key}"].set_index("group_size")["value"]
            for size in (last["group_size"], 16, LARGEST):
                numbers[f"{name}, G = {size}: {what}"] = float(line[size])
    return numbers


EXPERIMENT = Experiment(
    stem="silent_groups",
    run=run,
    plot=plot,
    caption=CAPTION,
    dials={
        "groups": Dial(20_000, 1_000, "sampled groups for each marker"),
        "resamples": Dial(999, 99, "bootstrap resamples"),
    },
    inputs=(ANSWERS, ROLLOUTS, *(Path(__file__).with_name(name) for name in PARTS)),
    headline=headline,
)


def main(argv: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    return main_of(EXPERIMENT, argv)


if __name__ == "__main__":
    raise SystemExit(main())
