"""Directional curvature of prompts of a language model against their reward std, and how alike C_x(u) is (H5).

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

DIRECTION = "mean_gradient"

CAPTION = (
    "Curvature |∂²J| of each prompt's expected reward along a unit direction u, with |∂²J| ≤ σ·C: σ the reward "
    "std, C the std of (∂²π)/π over answers, which no reward enters (theory II.7). Dividing by the std suits a "
    "model to the extent that C is alike across prompts. u: the mean policy gradient of other prompts. Both axes "
    "in units of the mean over the probe's prompts, so that models of different size share a panel. a: estimated "
    "|∂²J| against σ, with the line through the origin that fits best. A covariance that is estimated from a "
    "group of answers has a noise in proportion to σ, so points near a line are no evidence by themselves: the "
    "record has the R² beside that of shuffled rewards. b: C against σ. c: coefficients of variation over prompts"
    " of C and σ, as estimated (stroke, with its 95% bootstrap interval over prompts) and with the noise of the"
    " answers taken out by split halves (marker, smaller and without an interval of its own); H5 says that C "
    "varies less."
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
        Columns view ("curvature", "coefficient", "fit" or "variation"), series, name, x, value, within, low, high.
    """
    import pandas as pd

    tables = []
    for name, probe in probes().items():
        direction = DIRECTION if DIRECTION in probe.directions else probe.directions[0]
        found, stats = probe.prompt_curvature(direction, seed=seed), probe.curvature(direction, seed=seed)
        σ, C = found.reward_std / found.reward_std.mean(), found.coefficient / found.coefficient.mean()
        size = np.abs(found.curvature) / np.abs(found.curvature).mean()
        tables += [
            pd.DataFrame({"view": "curvature", "series": name, "x": σ, "value": size}),
            pd.DataFrame({"view": "coefficient", "series": name, "x": σ, "value": C}),
        ]
        slope = float(σ @ size / (σ @ σ))
        ends = np.linspace(0.0, σ.max(), 60)
        tables.append(pd.DataFrame({"view": "fit", "series": name, "x": ends, "value": slope * ends}))
        variation = pd.DataFrame({
            "view": "variation",
            "series": name,
            "name": ["C", "σ"],
            "value": [stats.coefficient_cv_corrected, stats.reward_std_cv_corrected],
            "within": [stats.coefficient_cv, stats.reward_std_cv],
            "low": [stats.coefficient_cv_interval[0], stats.reward_std_cv_interval[0]],
            "high": [stats.coefficient_cv_interval[1], stats.reward_std_cv_interval[1]],
        })
        tables.append(variation)
    return pd.concat(tables, ignore_index=True)


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
        Curvature, coefficient, variation.
    """
    axes = plotting.figure("abc", size=(12.6, 4.8))[1] if ax is None else ax
    names = [name for name in PROBE_ROLES if (df["series"] == name).any()]
    roles = {name: PROBE_ROLES[name] for name in names}
    for name, role in roles.items():
        fit = df[(df["view"] == "fit") & (df["series"] == name)]
        look = plotting.ROLES[role]
        axes[0].plot(fit["x"], fit["value"], color=look.colour, linestyle=look.line, linewidth=1.1)
    for panel, view in zip(axes, ("curvature", "coefficient"), strict=False):
        rows = df[df["view"] == view]
        plotting.plot_points(rows, panel, x="x", y="value", roles=roles)
        # Linear up to a tenth of the mean, logarithmic beyond: a few prompts are far above all others.
        panel.set_yscale("symlog", linthresh=0.1, linscale=0.4)
        panel.set(xlabel="reward std σ / its mean", xlim=(-0.05, None), ylim=(-0.02, None))
        panel.yaxis.set_ticks([0, 0.1, 1, 10], labels=["0", "0.1", "1", "10"])
        plotting.legend_below(panel, columns=1)
    axes[0].set(ylabel="|∂²J| / its mean", title="a   curvature along the mean gradient")
    axes[1].set(ylabel="C / its mean", title="b   coefficient C of |∂²J| ≤ σ·C")
    _plot_variation(df[df["view"] == "variation"], axes[2], names)
    return axes


def _plot_variation(rows: DataFrame, ax: Any, names: list[str]) -> None:
    kinds = [
        (label, role, rows[rows["name"] == kind].set_index("series").loc[names])
        for kind, role, label in (("C", "sharp", "C, free of rewards"), ("σ", "paper", "reward std σ"))
    ]
    plot_rows(ax, names, kinds)
    ax.set(
        xlim=(0, None), xlabel="coefficient of variation over prompts", title="c   H5: how alike prompts are"
    )
    plotting.legend_below(ax, columns=1)


def headline(df: DataFrame) -> dict[str, Any]:
    """Return the numbers of every probe and direction."""
    del df
    numbers: dict[str, Any] = {}
    for name, probe in probes().items():
        for direction in probe.directions:
            found = probe.curvature(direction)
            stem = f"{name}, {direction}"
            for label, value, interval in (
                ("variation of C", found.coefficient_cv, found.coefficient_cv_interval),
                ("variation of σ", found.reward_std_cv, found.reward_std_cv_interval),
                ("R² of |∂²J| ∝ σ", found.r2_std, found.r2_std_interval),
                ("R² of |∂²J| ∝ V", found.r2_variance, found.r2_variance_interval),
            ):
                numbers[f"{stem}: {label}"] = [plain(x) for x in (value, *interval)]
            numbers[f"{stem}: variation of C and of σ without noise"] = (
                f"{found.coefficient_cv_corrected:.3f}, {found.reward_std_cv_corrected:.3f}"
            )
            numbers[f"{stem}: R² of |∂²J| ∝ σ with rewards shuffled, and share of shuffles as high"] = (
                f"{found.null_r2_std:.3f}, {found.p_r2_std:.3f}"
            )
            numbers[f"{stem}: share of σ·C that is attained, shuffled, and share of shuffles as high"] = (
                f"{found.share_of_ceiling:.3f}, {found.null_share_of_ceiling:.3f}, {found.p_share_of_ceiling:.3f}"
            )
    return numbers


EXPERIMENT = Experiment(
    stem="lm_curvature_vs_std",
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
