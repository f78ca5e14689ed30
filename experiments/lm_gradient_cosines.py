"""Angles between the policy gradients of prompts, as estimated and with the noise taken out.

Drawn from committed probes (`python -m experiments.lm_demo`, and of larger models where there are any).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature import plotting
from experiments._experiment import Experiment, main_of
from experiments._lm_results import PROBE_ROLES, plain, plot_rows, probe_files, probes

if TYPE_CHECKING:
    from pandas import DataFrame

# The paper's Table 3 at its first and last iteration: sd of 4,950 raw cosines of gradients.
PAPER_SD = {"paper, step 0": 0.045, "paper, step 500": 0.130}
QUANTILES = np.linspace(0, 1, 101)

CAPTION = (
    "Cosines between the policy gradients of different prompts, by probes of a tiny transformer on sums before "
    "and after reinforcement learning (and of larger models where their results are there). a: distribution of "
    "the raw cosines of estimates from a group of answers each, as the paper's Table 3 has them; prompts whose "
    "answers were all right or all wrong have no gradient estimate and are left out. b: the same of "
    "representations, penultimate hidden states pooled over the prompt, as in the paper's Figure 1. c: what noise"
    " hides. Noise makes each estimated gradient too long and leaves inner products right on average, so raw "
    "cosines are too near to 0. Raw: mean of the raw cosines. Pooled: mean inner product over the mean squared "
    "length, both unbiased, with its 95% bootstrap interval over prompts; where the squared length is not told "
    "from 0 there is no interval and no point. The record has the rest: shares below 0"
    " and within .1 of it, reliability, Ω, and A4's M, which is infinite as soon as one inner product is not "
    "positive."
)


def run(seed: int = 0) -> DataFrame:
    """Arrange the committed probes.

    Parameters
    ----------
    seed : int
        Of the bootstrap.

    Returns
    -------
    DataFrame
        Columns view ("gradient", "representation" or "mean"), series, name, x, value, low, high.
    """
    import pandas as pd

    tables = []
    for name, probe in probes().items():
        cosines = {"gradient": probe.raw_cosines, "representation": _pooled_states(probe.representations)}
        for view, values in cosines.items():
            known = values[np.isfinite(values)]
            if known.size:
                at = np.quantile(known, QUANTILES)
                tables.append(pd.DataFrame({"view": view, "series": name, "x": at, "value": QUANTILES}))
        found = probe.gradients(seed=seed)
        low, high = found.pooled_interval
        rows = {
            f"{name}: raw": (found.raw_mean, np.nan, np.nan),
            # Over a squared length that may be 0 a mean says nothing.
            f"{name}: pooled": (found.pooled if np.isfinite(low + high) else np.nan, low, high),
        }
        table = pd.DataFrame.from_dict(rows, orient="index", columns=["value", "low", "high"])
        tables.append(table.rename_axis("name").reset_index().assign(view="mean", series=name))
    return pd.concat(tables, ignore_index=True)


def _pooled_states(representations: dict[str, Any]) -> Any:
    """Return the mean-pooled, uncentred ones, which the paper's figure shows."""
    for name, values in representations.items():
        if "mean" in name and "centred" not in name:
            return values
    return next(iter(representations.values()), np.empty(0))


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
        Gradients, representations, means.
    """
    axes = plotting.figure("abc", size=(12.6, 4.6))[1] if ax is None else ax
    titles = ("a   gradients, raw", "b   representations, mean-pooled")
    for panel, view, title in zip(axes, ("gradient", "representation"), titles, strict=False):
        rows = df[df["view"] == view]
        roles = {name: role for name, role in PROBE_ROLES.items() if (rows["series"] == name).any()}
        plotting.plot_lines(rows, panel, x="x", y="value", roles=roles)
        panel.axvline(0, color="#BDBDBD", linewidth=0.9, zorder=1)
        panel.set(ylim=(0, 1), xlabel="cosine", ylabel="share of pairs at or below", title=title)
        plotting.legend_below(panel, columns=1)
    _plot_means(df[df["view"] == "mean"], axes[2])
    return axes


def _plot_means(rows: DataFrame, ax: Any) -> None:
    names = [name for name in PROBE_ROLES if (rows["series"] == name).any()]
    kinds = [
        (label, role, rows.set_index("name").loc[[f"{name}: {kind}" for name in names]])
        for kind, role, label in (
            ("raw", "reference", "mean of raw cosines"),
            ("pooled", "sharp", "noise taken out, weighted by length, 95%"),
        )
    ]
    plot_rows(ax, names, kinds)
    ax.axvline(0, color="#BDBDBD", linewidth=0.9, zorder=1)
    ax.set(xlabel="mean cosine", title="c   what noise hides")
    plotting.legend_below(ax, columns=1)


def headline(df: DataFrame) -> dict[str, Any]:
    """Return the paper's statistics of each probe and their counterparts without noise."""
    del df
    numbers: dict[str, Any] = {}
    for name, probe in probes().items():
        found = probe.gradients()
        numbers[f"{name}: model, probed parameters, answers a prompt"] = (
            f"{probe.config['num_parameters']:,}, {probe.config['num_probed']:,}, {probe.config['group_size']}"
        )
        for label, value in {
            "prompts with a gradient": found.num_live,
            "raw cosines, mean": found.raw_mean,
            "raw cosines, sd": found.raw_std,
            "raw cosines, share below 0": found.raw_negative_share,
            "raw cosines, share within .1 of 0": found.raw_small_share,
            "reliability of gradients": found.reliability,
            "share of pairs whose sign agrees in both halves": found.sign_agreement,
            "Ω without noise": found.omega,
            "A4's M": found.a4_raw,
            "A4's M over pairs with a positive inner product": found.a4_positive,
        }.items():
            numbers[f"{name}: {label}"] = plain(value)
        numbers[f"{name}: pooled cosine"] = [plain(x) for x in (found.pooled, *found.pooled_interval)]
    numbers |= {f"{name}: raw cosines, sd": value for name, value in PAPER_SD.items()}
    return numbers


EXPERIMENT = Experiment(
    stem="lm_gradient_cosines",
    run=run,
    plot=plot,
    caption=CAPTION,
    dials={},
    inputs=(*probe_files(), Path(__file__).parent / "_lm_results.py"),
    headline=headline,
)


def main(argv: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    return main_of(EXPERIMENT, argv)


if __name__ == "__main__":
    raise SystemExit(main())
