"""How often the 95 % intervals of a log's finite groups cover: hard, mid and mixed profiles, groups of 4, 8 and 16.

Logs are simulated from known distributions of the success rate, none of which the estimator was tuned on, and
:func:`curvature.groups.estimate` gives an interval for each functional that a diagnosis reports. A cell is one
difficulty and one group size, pooled over its profiles. ``--check CSV`` judges a table that was made: the exit status
is 1 if a cell of a functional in JUDGED covers less than 93 %, or more than 97 % by more than chance.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature import plotting
from experiments._experiment import Dial, Experiment, main_of, require_count

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray
    from pandas import DataFrame

    from curvature.groups import SuccessDistribution

SIZES = (4, 8, 16)
LEVEL = 0.95
ACCEPTED = (0.93, 0.97)
# What one sweep's cell holds; a killed study loses no more than this much work for each worker.
BATCH = 50
# Each part is a share of the prompts and either a success rate or a law: a name and its two parameters.
PROFILES: dict[str, dict[str, list[tuple[float, Any]]]] = {
    "hard": {
        "beta": [(1.0, ("beta", 2.0, 30.0))],
        "logit-normal": [(1.0, ("logit-normal", -2.7, 0.6))],
        "log-uniform": [(1.0, ("log-uniform", 0.02, 0.2))],
    },
    "mid": {
        "beta": [(1.0, ("beta", 5.0, 5.0))],
        "logit-normal": [(1.0, ("logit-normal", 0.2, 0.4))],
        "triangular": [(1.0, ("triangular", 0.3, 0.7))],
    },
    "mixed": {
        "two betas": [(0.4, ("beta", 2.0, 18.0)), (0.4, ("beta", 12.0, 2.0)), (0.1, 0.0), (0.1, 1.0)],
        "two logit-normals": [
            (0.5, ("logit-normal", -2.0, 1.0)),
            (0.35, ("logit-normal", 2.5, 0.7)),
            (0.05, 0.0),
            (0.1, 1.0),
        ],
        "spread": [(0.8, ("beta", 0.7, 0.7)), (0.15, 0.0), (0.05, 1.0)],
    },
}
FUNCTIONALS = {
    "success": "mean p",
    "variance": "mean p(1 − p)",
    "std": "mean σ",
    "silent": "silent, 8",
    "kappa": "κ_G",
    "speedup": "speed-up",
}
# κ_G and the speed-up hang on what few rollouts hardly tell (how many prompts are next to 0); they are reported, not
# judged.
JUDGED = ("success", "variance", "std", "silent")
# The speed-up is to a mean success this share of the way from where it starts to 1.
WAY = 0.25
_QUADRATURE = 1000
# Spans escapes from p = 2e-4 by REINFORCE and the last of the way at p = 0.99.
_TIMES = np.geomspace(1e-3, 1e5, 500)

CAPTION = (
    "Share of simulated logs whose 95 % interval covers the truth, by functional, difficulty of the prompts and group "
    "size; each point pools three profiles of one difficulty, with 95 % Monte Carlo error bars (Wilson). Shaded: "
    "93–97 %. Hard: success mostly .01–.15; mid: .3–.7; mixed: two modes with prompts at exactly 0 and 1. No profile "
    "was used to tune the estimator. Coverage of multiples of mean σ, as (8/3) mean σ, is that of mean σ; silent, 8: "
    "mean p⁸ + (1 − p)⁸. κ_G is the certified gain of GRPO over no normaliser (theory D4), the speed-up "
    "that of GRPO over REINFORCE, each at its certified constant step, to a mean success a quarter of the way to 1 "
    "(theory II.6)."
)


@functools.cache
def _points(difficulty: str, profile: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the profile as success rates and weights, by quadrature in the quantile."""
    middles = (np.arange(_QUADRATURE) + 0.5) / _QUADRATURE
    success, weights = [], []
    for share, law in PROFILES[difficulty][profile]:
        at = np.array([law]) if isinstance(law, float) else _quantiles(middles, *law)
        success.append(at)
        weights.append(np.full(at.size, share / at.size))
    return np.concatenate(success), np.concatenate(weights)


def _quantiles(share: NDArray[np.float64], law: str, first: float, second: float) -> NDArray[np.float64]:
    """Return the quantiles of one law."""
    from scipy import special, stats

    if law == "beta":
        return stats.beta.ppf(share, first, second)
    if law == "logit-normal":
        return special.expit(first + second * special.ndtri(share))
    if law == "log-uniform":
        return first * (second / first) ** share
    return stats.triang.ppf(share, 0.5, loc=first, scale=second - first)


def _draw(difficulty: str, profile: str, num: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw the success rates of prompts."""
    parts = PROFILES[difficulty][profile]
    part = rng.choice(len(parts), size=num, p=[share for share, _ in parts])
    success = np.empty(num)
    for index, (_, law) in enumerate(parts):
        here = part == index
        success[here] = law if isinstance(law, float) else _quantiles(rng.random(here.sum()), *law)
    return success


@functools.lru_cache(maxsize=16)
def _paths(support: bytes) -> dict[str, NDArray[np.float64]]:
    """Return the success rates at each time of REINFORCE and of GRPO at their certified steps, (T, m)."""
    from curvature.flow import success_at_time

    rates = {"reinforce": (0, 8.0 * np.log(2.0)), "grpo": (1, 4.0 * np.log(2.0))}
    return {
        name: success_at_time(np.frombuffer(support), _TIMES[:, None], exponent=exponent, rate=rate)
        for name, (exponent, rate) in rates.items()
    }


class _OnSupport:
    """The functionals of weights on one support, with what depends on the support alone computed once."""

    def __init__(self, support: NDArray[np.float64], group_size: int) -> None:
        from curvature.groups import gradient_moments

        self.support = support
        self.sigma = np.sqrt(support * (1.0 - support))
        self.moments = [gradient_moments(support, group_size, name) for name in ("grpo", "none")]
        self.paths = _paths(support.tobytes())

    def success(self, weights: NDArray[np.float64]) -> float:
        """E p."""
        return float(weights @ self.support)

    def variance(self, weights: NDArray[np.float64]) -> float:
        """E p(1 − p)."""
        return float(weights @ self.sigma**2)

    def std(self, weights: NDArray[np.float64]) -> float:
        """E √(p(1 − p))."""
        return float(weights @ self.sigma)

    def silent(self, weights: NDArray[np.float64]) -> float:
        """E p⁸ + (1 − p)⁸."""
        return float(weights @ (self.support**8 + (1.0 - self.support) ** 8))

    def kappa(self, weights: NDArray[np.float64]) -> float:
        """κ_G of theory D4, from sums over prompts."""
        gains = [(weights @ one.inner) ** 2 / (weights @ (self.sigma * one.square)) for one in self.moments]
        return float(gains[0] / gains[1])

    def speedup(self, weights: NDArray[np.float64]) -> float:
        """Return the steps of REINFORCE over those of GRPO; NaN if the target is out of reach."""
        mean = float(weights @ self.support)
        target = mean + WAY * (1.0 - mean)
        times = []
        for path in self.paths.values():
            curve = path @ weights
            if curve[-1] < target:
                return float("nan")
            times.append(np.interp(target, curve, np.log(_TIMES)))
        return float(np.exp(times[0] - times[1]))

    def values(self, weights: NDArray[np.float64]) -> dict[str, float]:
        """All functionals."""
        return {name: getattr(self, name)(weights) for name in FUNCTIONALS}


@functools.lru_cache(maxsize=8)
def _on_support(support: bytes, group_size: int) -> _OnSupport:
    """Return the functionals on a support; all distributions of one estimator share theirs."""
    return _OnSupport(np.frombuffer(support), group_size)


@functools.cache
def truth(difficulty: str, profile: str, group_size: int) -> Mapping[str, float]:
    """Return every functional of a profile, by quadrature."""
    success, weights = _points(difficulty, profile)
    return _OnSupport(success, group_size).values(weights)


def functionals(group_size: int) -> dict[str, Callable[[SuccessDistribution], float]]:
    """Return the functionals for :func:`curvature.groups.estimate`."""

    def one(name: str) -> Callable[[SuccessDistribution], float]:
        return lambda f: getattr(_on_support(f.support.tobytes(), group_size), name)(f.weights)

    return {name: one(name) for name in FUNCTIONALS}


def run(
    replications: int = 340,
    groups: int = 512,
    num_resamples: int = 200,
    seed: int = 0,
    engine: Mapping[str, Any] | None = None,
) -> DataFrame:
    """Simulate logs of every profile and group size and count the intervals that cover.

    Parameters
    ----------
    replications : int
        Logs a profile and group size; a cell pools three profiles.
    groups : int
        Groups a log.
    num_resamples : int
        Of each estimate.
    seed : int
        Of all draws.
    engine : mapping, optional
        Keyword arguments of :func:`curvature.sweeps.sweep`; the result does not depend on them.

    Returns
    -------
    DataFrame
        One row a difficulty, profile, group size and functional: replications, covered, missing (no interval), and
        the means of value and width, with the truth.
    """
    from curvature.sweeps import sweep

    require_count("replications", replications)
    require_count("groups", groups)
    require_count("num_resamples", num_resamples, least=40)
    cells = [
        {
            "difficulty": difficulty,
            "profile": profile,
            "group_size": size,
            "groups": groups,
            "num_resamples": num_resamples,
            "seed": seed,
            "first": first,
            "logs": min(BATCH, replications - first),
        }
        for difficulty, profiles in PROFILES.items()
        for profile in profiles
        for size in SIZES
        for first in range(0, replications, BATCH)
    ]
    df = sweep(cells, run_cell, **{"progress": False, **(engine or {})})
    keys = ["difficulty", "profile", "group_size", "groups", "functional"]
    pooled = df.groupby(keys, sort=False).agg(
        replications=("logs", "sum"),
        covered=("covered", "sum"),
        missing=("missing", "sum"),
        truth=("truth", "first"),
        value=("value", "sum"),
        width=("width", "sum"),
    )
    pooled["value"] /= pooled["replications"]
    pooled["width"] /= pooled["replications"] - pooled["missing"]
    return pooled.reset_index()


def run_cell(
    difficulty: str,
    profile: str,
    group_size: int,
    groups: int,
    num_resamples: int,
    seed: int,
    first: int,
    logs: int,
) -> list[dict[str, Any]]:
    """Simulate the logs of one batch; return one row a functional, with sums over the logs."""
    from curvature.groups import estimate

    asked, actual = functionals(group_size), truth(difficulty, profile, group_size)
    rows = {
        name: {
            "functional": name,
            "truth": actual[name],
            "covered": 0,
            "missing": 0,
            "value": 0.0,
            "width": 0.0,
        }
        for name in asked
    }
    place = [list(PROFILES).index(difficulty), list(PROFILES[difficulty]).index(profile), group_size]
    for log in range(first, first + logs):
        rng = np.random.default_rng([seed, *place, groups, log])
        counts = rng.binomial(group_size, _draw(difficulty, profile, groups, rng))
        found = estimate(
            counts, group_size, asked, level=LEVEL, num_resamples=num_resamples, seed=int(rng.integers(2**31))
        )
        for name, interval in found.items():
            row = rows[name]
            row["covered"] += bool(interval.low <= row["truth"] <= interval.high)
            row["missing"] += bool(np.isnan(interval.low))
            row["value"] += interval.value
            row["width"] += float(np.nan_to_num(interval.high - interval.low))
    return list(rows.values())


def by_cell(df: DataFrame) -> DataFrame:
    """Pool the profiles of a difficulty.

    Parameters
    ----------
    df : DataFrame
        What :func:`run` returns.

    Returns
    -------
    DataFrame
        difficulty, group_size, functional, replications, covered, coverage with its Wilson interval low, high, and
        least and most, the coverage of the worst and the best covered profile.
    """
    from curvature.groups import success_interval

    each = df.assign(coverage=df["covered"] / df["replications"])
    keys = ["difficulty", "group_size", "functional"]
    table = each.groupby(keys, sort=False).agg(
        replications=("replications", "sum"),
        covered=("covered", "sum"),
        least=("coverage", "min"),
        most=("coverage", "max"),
    )
    table = table.reset_index()
    table["coverage"] = table["covered"] / table["replications"]
    table["low"], table["high"] = success_interval(
        table["covered"].to_numpy(), table["replications"].to_numpy()
    )
    return table


def outside(df: DataFrame) -> DataFrame:
    """Return the cells of judged functionals that cover less than 93 %, or more than 97 % by more than chance."""
    # An interval that is too wide is a weaker statement, one that is too narrow a false one: only the first has the
    # benefit of the doubt.
    table = by_cell(df)
    low, high = ACCEPTED
    bad = (table["coverage"] < low) | (table["low"] > high)
    return table[table["functional"].isin(JUDGED) & bad]


def plot(df: DataFrame, ax: Any = None) -> Any:
    """Draw coverage by functional, a panel for each difficulty.

    Parameters
    ----------
    df : DataFrame
        What :func:`run` returns.
    ax : array of three Axes, optional
        A new figure when left out.

    Returns
    -------
    array of three Axes
        Hard, mid, mixed.
    """
    axes = plotting.figure("abc", size=(10.2, 4.4))[1] if ax is None else ax
    table = by_cell(df)
    roles = dict(zip(SIZES, ("sharp", "paper", "exact"), strict=True))
    for panel, letter, difficulty in zip(axes, "abc", PROFILES, strict=True):
        panel.axvspan(*(100 * end for end in ACCEPTED), color="#E9EEF4", zorder=0)
        panel.axvline(100 * LEVEL, color="#6E6E6E", linewidth=0.9, linestyle=(0, (2, 2)), zorder=1)
        for place, (size, role) in enumerate(roles.items()):
            part = table[(table["difficulty"] == difficulty) & (table["group_size"] == size)]
            look = plotting.ROLES[role]
            y = np.array([list(FUNCTIONALS).index(name) for name in part["functional"]]) + 0.22 * (place - 1)
            x = 100 * part["coverage"].to_numpy()
            reach = [x - 100 * part["low"].to_numpy(), 100 * part["high"].to_numpy() - x]
            panel.errorbar(
                x,
                y,
                xerr=reach,
                fmt=look.marker,
                color=look.colour,
                capsize=1.5,
                elinewidth=1.0,
                label=f"G = {size}",
            )
        panel.set_yticks(range(len(FUNCTIONALS)), labels=list(FUNCTIONALS.values()))
        panel.set_ylim(len(FUNCTIONALS) - 0.4, -0.6)
        panel.set_xlabel("coverage of 95 % intervals, %")
        panel.set_title(f"{letter}   {difficulty} prompts")
        plotting.legend_below(panel, columns=3)
    return axes


def headline(df: DataFrame) -> dict[str, Any]:
    """Return the least and the most coverage of each functional over cells, and how many cells fail the check."""
    table = by_cell(df)
    found: dict[str, Any] = {
        "logs a cell": int(table["replications"].iloc[0]),
        "groups a log": int(df["groups"].iloc[0]),
    }
    for name, label in FUNCTIONALS.items():
        part = table[table["functional"] == name]["coverage"]
        found[f"coverage, {label}, over cells"] = [float(part.min()), float(part.max())]
    judged = table[table["functional"].isin(JUDGED)]["coverage"]
    found["judged cells"] = len(judged)
    found["judged cells within 93–97 %"] = int(judged.between(*ACCEPTED).sum())
    found["judged cells that fail the check"] = len(outside(df))
    return found


EXPERIMENT = Experiment(
    stem="interval_coverage",
    run=run,
    plot=plot,
    caption=CAPTION,
    dials={
        "replications": Dial(340, 4, "logs a profile and group size; a cell pools three profiles"),
        "groups": Dial(512, 128, "groups a log"),
        "num_resamples": Dial(200, 40, "resamples an estimate"),
    },
    headline=headline,
    sweeps=True,
)


def check(df: DataFrame) -> int:
    """Print the cells that fail; return 1 if there are any, else 0."""
    bad = outside(df)
    for row in bad.itertuples():
        print(
            f"{row.functional}, {row.difficulty}, G = {row.group_size}: coverage {100 * row.coverage:.1f} % of "
            f"{row.replications} logs [{100 * row.low:.1f}, {100 * row.high:.1f}] is outside 93–97 %",
            file=sys.stderr,
        )
    return 1 if len(bad) else 0


def main(argv: list[str] | None = None) -> int:
    """Run from the command line; return the exit status.

    With ``--check CSV`` alone nothing is run: the table at that path is judged.
    """
    given = sys.argv[1:] if argv is None else argv
    if given[:1] == ["--check"]:
        import pandas as pd

        if len(given) != 2:
            print(
                "python -m experiments.interval_coverage: --check takes the path of a CSV file.",
                file=sys.stderr,
            )
            return 2
        try:
            return check(pd.read_csv(given[1]))
        except (OSError, KeyError, ValueError) as error:
            print(f"python -m experiments.interval_coverage: {error}", file=sys.stderr)
            return 2
    return main_of(EXPERIMENT, given)


if __name__ == "__main__":
    raise SystemExit(main())
