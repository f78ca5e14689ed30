"""Which exponent of the std to divide by: the best e of 1/σ̂^e by group size and difficulty, and what others lose.

A batch of prompts has a *certified gain* (ΣE⟨g,ĝ⟩)²/(ΣσE‖ĝ‖²) per sampled update at its best step (theory D4). Two
responses a prompt, a unit apart; the log-odds of their success rates are normal over prompts. A group with k right
answers moves by some c(k), and the gain is (Σ_k a_k c_k)²/(Σ_k b_k c_k²) with a_k = E[p(1 − p) Bin(k; G, p)] and
b_k = E[σ Bin(k; G, p)] over prompts. By Cauchy–Schwarz no function of k has more than Σ_k a_k²/b_k, which
c_k = a_k/b_k attains: the group's mean variance over its mean std, given what its answers say.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from curvature import Normalization, group_advantages, plotting
from experiments._experiment import Dial, Experiment, main_of, require_count

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray
    from pandas import DataFrame

SIZES = (4, 5, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128)
GROUP_SIZE = 8
# Standard deviation over prompts of the log-odds.
SPREADS = {"alike": 0.5, "unlike": 2.0}
EXPONENTS = {"e = 0, no std": 0.0, "e = 1, GRPO": 1.0, "e = 2, the variance": 2.0}
COLUMNS = ("e0", "e1", "e2")
ROLES = dict(zip(EXPONENTS, ("paper", "sharp", "exact"), strict=True))
MEDIANS = (0.005, 0.5)
SAMPLED_MEDIANS = (0.01, 0.03, 0.08, 0.2, 0.45)
# Where e = 0, 1 and 2 are within this share of each other, the choice hardly matters.
SAME = 0.02
LINE_POINTS = 61
REACH = 1.959964  # half-width of a 95% interval in standard errors
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(61)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()

CAPTION = (
    "Two responses a prompt, one right; log-odds of success are normal over prompts with standard deviation .5 (a, c: "
    "prompts alike) or 2 (b, d: prompts unlike). Success and failure mirror each other, so medians up to .5 say all. "
    "a, b: the exponent e for which updates divided by the group's std to the power e have the largest certified gain "
    "per update, each at its own best step (lighter is larger; contours at steps of 1/4). Hatched: e = 0, 1 and 2 are "
    "within 2% of each other. Crosses: p(1 − p) = 1/G at the median. For G = 2 and 3 every mixed group has the same "
    "std and all exponents are alike. Large groups want e = 1 once prompts differ; small groups of alike prompts want "
    "nearly e = 2, which makes every mixed group count the same. c, d: the gain at G = 8 as a share of the most that "
    "any function of the number of right answers can reach. Lines are exact; markers are groups of eight sampled from "
    "sampled prompts, with 95% intervals, against the same groups weighted by the best function. This is the gain of "
    "one update: that e = 2 may commit to a wrong arm over many is not in it."
)


class Profile(NamedTuple):
    """Success rates that stand for a distribution over prompts, and their shares."""

    success: NDArray[np.float64]
    weights: NDArray[np.float64]


def profile_of(median: float, spread: float) -> Profile:
    """Return the profile whose log-odds are normal around those of the median.

    Parameters
    ----------
    median : float
        Median success rate.
    spread : float
        Standard deviation of the log-odds.

    Returns
    -------
    Profile
        Gauss–Hermite nodes and weights.
    """
    from scipy.special import expit, logit

    return Profile(expit(logit(median) + spread * _NODES), _WEIGHTS)


def best_weights(profile: Profile, group_size: int) -> tuple[NDArray[np.float64], float]:
    """Return the weights c_k of groups with k = 0..G right that gain most, and that gain.

    Parameters
    ----------
    profile : Profile
        Of the prompts.
    group_size : int
        G.

    Returns
    -------
    ndarray, shape (G + 1,)
        0 for groups without spread, whose update is 0 whatever their weight.
    float
        Σ_k a_k²/b_k.
    """
    from scipy.stats import binom

    V = profile.success * (1 - profile.success)
    mixed = binom.pmf(np.arange(1, group_size), group_size, profile.success[:, None])
    a, b = (profile.weights * V) @ mixed, (profile.weights * np.sqrt(V)) @ mixed
    return np.concatenate([[0.0], a / b, [0.0]]), float((a**2 / b).sum())


def run(medians: int = 19, prompts: int = 400_000, seed: int = 0) -> DataFrame:
    """Map the best exponent, and compute and sample what three exponents gain at G = 8.

    Parameters
    ----------
    medians : int
        Median success rates of a map.
    prompts : int
        Sampled prompts for each marker.
    seed : int
        Of the sampled prompts and groups.

    Returns
    -------
    DataFrame
        Columns kind ("map", "theory", "sampled"), profile ("alike", "unlike"), group_size, median, and: for maps
        best (exponent) and the share of each exponent (e0, e1, e2) of the best of any function of k; for the others
        series, value (the share) and for sampled rows low and high.
    """
    import pandas as pd

    require_count("medians", medians, least=2)
    require_count("prompts", prompts, least=100)
    rng = np.random.default_rng(seed)
    grid = _medians(medians)
    rows: list[dict[str, Any]] = []
    for name, spread in SPREADS.items():
        for median in grid:
            profile = profile_of(median, spread)
            rows += [{"profile": name, "median": median} | row for row in _map_rows(profile)]
        for median in _medians(LINE_POINTS):
            profile = profile_of(median, spread)
            rows += [{"profile": name, "median": median} | row for row in _share_rows(profile)]
        for median in SAMPLED_MEDIANS:
            sample = sample_shares(median, spread, prompts, rng)
            rows += [{"profile": name, "median": median} | row for row in sample]
    return pd.DataFrame(rows)


def _medians(count: int) -> NDArray[np.float64]:
    from scipy.special import expit, logit

    return expit(np.linspace(*logit(MEDIANS), count))


def shares(profile: Profile, group_size: int) -> dict[str, float]:
    """Return the gain of each exponent of :data:`EXPONENTS` over the best of any function of k."""
    from curvature.groups import certified_gain

    most = best_weights(profile, group_size)[1]
    return {
        name: certified_gain(profile.success, group_size, Normalization(exponent=e), weights=profile.weights)
        / most
        for name, e in EXPONENTS.items()
    }


def _map_rows(profile: Profile) -> list[dict[str, Any]]:
    from curvature.groups import best_exponent

    rows = []
    for size in SIZES:
        found = shares(profile, size)
        rows.append({
            "kind": "map",
            "group_size": size,
            "best": best_exponent(profile.success, size, weights=profile.weights),
            **dict(zip(COLUMNS, found.values(), strict=True)),
        })
    return rows


def _share_rows(profile: Profile) -> list[dict[str, Any]]:
    return [
        {"kind": "theory", "group_size": GROUP_SIZE, "series": name, "value": share}
        for name, share in shares(profile, GROUP_SIZE).items()
    ]


def sample_shares(
    median: float, spread: float, prompts: int, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Sample prompts and a group of each, and compare what the exponents gain on the same groups.

    Parameters
    ----------
    median, spread : float
        Of the profile.
    prompts : int
        How many.
    rng : Generator
        Draws prompts and answers.

    Returns
    -------
    list of dict
        A row an exponent: series, value, low, high.
    """
    from scipy.special import expit, logit

    p = expit(logit(median) + spread * rng.standard_normal(prompts))
    rewards = (rng.random((prompts, GROUP_SIZE)) < p[:, None]).astype(np.float64)
    best = best_weights(profile_of(median, spread), GROUP_SIZE)[0][rewards.sum(axis=1).astype(int)]
    most, noise_of_most = measured_gain(p, best)
    rows = []
    for name, exponent in EXPONENTS.items():
        gain, noise = measured_gain(p, updates(rewards, p, exponent))
        share = gain / most
        # Both gains come from the same groups, so their errors largely cancel.
        reach = share * REACH * (noise - noise_of_most).std(ddof=1) / math.sqrt(prompts)
        rows.append({
            "kind": "sampled",
            "group_size": GROUP_SIZE,
            "series": name,
            "value": share,
            "low": share - reach,
            "high": share + reach,
        })
    return rows


def updates(
    rewards: NDArray[np.float64], success: NDArray[np.float64], exponent: float
) -> NDArray[np.float64]:
    """Return the update (1/G)Σ A ∇log π of each group of a two-response prompt."""
    advantages = group_advantages(rewards, preset=Normalization(exponent=exponent))
    return (advantages * (rewards - success[:, None])).mean(axis=1)


def measured_gain(
    success: NDArray[np.float64], update: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    """Return (mean g ĝ)²/(mean σ ĝ²) and, for each prompt, its influence on the gain's logarithm.

    Parameters
    ----------
    success : ndarray, shape (n,)
        p of each prompt.
    update : ndarray, shape (n,)
        ĝ of each.

    Returns
    -------
    float
        The gain.
    ndarray, shape (n,)
        Its mean is 0, its standard deviation over √n the standard error (delta method).
    """
    V = success * (1 - success)
    inner, square = V * update, np.sqrt(V) * update**2
    influence = 2 * (inner / inner.mean() - 1) - (square / square.mean() - 1)
    return float(inner.mean() ** 2 / square.mean()), influence


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
        Maps for prompts alike and unlike, and shares for each.
    """
    axes = plotting.figure("ab;cd", size=(9.2, 8.6))[1] if ax is None else ax
    for panel, name, letter in zip(axes[:2], SPREADS, "ab", strict=True):
        shades = _draw_map(df[(df["kind"] == "map") & (df["profile"] == name)], panel)
        panel.set_title(f"{letter}   best exponent, prompts {name}: log-odds ± {SPREADS[name]:g}")
    axes[1].figure.colorbar(shades, ax=axes[1], label="best exponent e, both maps", pad=0.02, fraction=0.06)
    for panel, name, letter in zip(axes[2:], SPREADS, "cd", strict=True):
        _draw_shares(df[df["profile"] == name], panel)
        panel.set_title(f"{letter}   what is lost at G = {GROUP_SIZE}, prompts {name}")
    low = min(df["value"].min(), df["low"].min())
    for panel in axes[2:]:
        panel.set(ylim=(low - 0.005, 1.004), ylabel="share of the best certified gain")
    for panel in axes:
        panel.set(xscale="logit", xlim=MEDIANS, xlabel="median success rate of the prompts")
        panel.set_xticks([0.01, 0.03, 0.1, 0.3, 0.5], labels=[".01", ".03", ".1", ".3", ".5"])
        panel.set_xticks([], minor=True)
        plotting.legend_below(panel, columns=2)
    return axes


def _draw_map(rows: DataFrame, panel: Axes) -> Any:
    """Draw the best exponent in shades with labelled contours, and where the choice hardly matters."""
    table = rows.pivot(index="group_size", columns="median", values="best")
    found = rows[[*COLUMNS]]
    alike = rows.assign(alike=found.min(axis=1) / found.max(axis=1))
    alike = alike.pivot(index="group_size", columns="median", values="alike")
    x, y = table.columns.to_numpy(), table.index.to_numpy()
    levels = np.arange(0.25, 2.01, 0.25)
    shades = panel.contourf(x, y, table, levels=levels, cmap="cividis", extend="both")
    panel.contourf(x, y, alike, levels=[1 - SAME, 2], colors="none", hatches=["////"])
    lines = panel.contour(x, y, table, levels=levels, colors="white", linewidths=0.9)
    panel.clabel(lines, fmt="%.4g", fontsize=8)
    near = _medians(26)
    sizes = 1 / (near * (1 - near))
    cross: dict[str, Any] = {"marker": "X", "markersize": 6, "color": "white", "markeredgecolor": "black"}
    inside = sizes < SIZES[-1]
    panel.plot(near[inside], sizes[inside], linestyle="none", label="p(1 − p) = 1/G", **cross)
    panel.fill([], [], facecolor="none", hatch="////", label=f"e = 0, 1, 2 within {SAME:.0%}", linewidth=0)
    panel.set(yscale="log", ylim=(SIZES[0], SIZES[-1]), ylabel="group size G")
    panel.set_yticks([4, 8, 16, 32, 64, 128], labels=["4", "8", "16", "32", "64", "128"])
    panel.set_yticks([], minor=True)
    panel.grid(visible=False)
    return shades


def _draw_shares(rows: DataFrame, panel: Axes) -> None:
    """Draw exact shares as lines and sampled ones as markers."""
    look = {"x": "median", "y": "value"}
    plotting.plot_lines(rows[rows["kind"] == "theory"], panel, roles=ROLES, **look)
    sampled = rows[rows["kind"] == "sampled"]
    marks = {"sampled: " + name.split(",")[0]: role for name, role in ROLES.items()}
    named = sampled.assign(series="sampled: " + sampled["series"].str.split(",").str[0])
    plotting.plot_points(named, panel, roles=marks, interval=("low", "high"), **look)


def headline(df: DataFrame) -> dict[str, Any]:
    """Return the range of the best exponent, the least share of each exponent, and how theory meets samples."""
    numbers: dict[str, Any] = {}
    for name in SPREADS:
        table = df[(df["kind"] == "map") & (df["profile"] == name)]
        numbers[f"best e, prompts {name}, least"] = float(table["best"].min())
        numbers[f"best e, prompts {name}, largest"] = float(table["best"].max())
        for column, exponent in zip(COLUMNS, EXPONENTS, strict=True):
            numbers[f"least share on the map, prompts {name}, {exponent}"] = float(table[column].min())
    theory = df[df["kind"] == "theory"]
    for name, rows in theory.groupby("series", sort=False):
        numbers[f"least share at G = {GROUP_SIZE}, {name}"] = float(rows["value"].min())
    sampled = df[df["kind"] == "sampled"]
    truth = [
        shares(profile_of(row.median, SPREADS[row.profile]), GROUP_SIZE)[row.series]
        for row in sampled.itertuples()
    ]
    inside = (sampled["low"] <= truth) & (truth <= sampled["high"])
    numbers["sampled shares"] = len(sampled)
    numbers["of them with the exact value in their 95% interval"] = int(inside.sum())
    return numbers


EXPERIMENT = Experiment(
    stem="exponent_map",
    run=run,
    plot=plot,
    caption=CAPTION,
    dials={
        "medians": Dial(19, 5, "median success rates of a map"),
        "prompts": Dial(400_000, 20_000, "sampled prompts for each marker"),
    },
    headline=headline,
)


def main(argv: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    return main_of(EXPERIMENT, argv)


if __name__ == "__main__":
    raise SystemExit(main())
