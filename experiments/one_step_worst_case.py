"""What one step gains at worst, against its length: what is proved, what instances show, and what search finds.

A step a of GRPO is α = a/D², one of REINFORCE α = a/(D²·range). Gains are in units of ‖g‖²/(D²σ) and ‖g‖²/(D²·range),
so that each curve is the constant k of a guarantee for every prompt, and its highest point the best uniform step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from curvature import plotting
from curvature.adversary import Inequality, worst_case
from curvature.bounds import sharp
from curvature.ledger.ours_worst_cases import gain
from experiments._experiment import Dial, Experiment, main_of, require_count

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pandas import DataFrame

LONGEST = {"grpo": 15.0, "reinforce": 30.0}
TITLES = {"grpo": "a   GRPO", "reinforce": "b   REINFORCE"}
STEP = {"grpo": "step αD²", "reinforce": "step αD²·range"}
UNIT = {"grpo": "gain / (‖g‖²/(D²σ))", "reinforce": "gain / (‖g‖²/(D²·range))"}
TWO_ARMS = "two responses, exact infimum"
SHORT = {"grpo": "g → 0, exact infimum: a − a²/16", "reinforce": "g → 0, exact infimum: a − a²/32"}
PROVED = {"grpo": "proved, rewards 0 and 1: a − a²/8", "reinforce": "proved: a − a²/(12√3), descent lemma"}
FIRST = {"grpo": "T1's guarantee, any rewards", "reinforce": "T2's guarantee, any rewards"}
SEARCHED = "worst found by search"
BEST = "best steps"
ROLES = {"two": "sharp", "short": "exact", "proved": "binary", "first": "paper"}
# (K, rewards) of the searches.
SPACES = {
    "grpo": ((2, "binary"), (3, "real"), (4, "real")),
    "reinforce": ((2, "binary"), (3, "binary"), (4, "binary")),
}

CAPTION = (
    "The least gain of one step, against its length; D = 1. Lines: exact infima over two responses and in the limit of "
    "short gradients, which no guarantee can exceed, and the guarantees that are proved. Circles: the smallest gain "
    "that a search over 2 to 4 responses finds, for GRPO with any real rewards; none is below the smaller of the two "
    "infima. Crosses: the best uniform step of each guarantee, and where the two infima cross. GRPO's T1 gives 1.545 "
    "at 2.77; 2 at 4 is proved for rewards 0 and 1, and no constant can exceed 3.055, at 11.9. For REINFORCE 5.196 at "
    "10.4 is proved and 6.681, at 22.5, cannot be exceeded. The descent lemma's guarantee for REINFORCE is "
    "the one of its sharpest smoothness, D²·range/(6√3)."
)


def run(points: int = 16, starts: int = 250, seed: int = 0) -> DataFrame:
    """Tabulate the curves and search for the worst gain at a grid of steps.

    Parameters
    ----------
    points : int
        Steps of either method at which the worst instance is searched for.
    starts : int
        Random instances that each search begins with.
    seed : int
        Of all draws.

    Returns
    -------
    DataFrame
        Columns method ("grpo", "reinforce"), kind ("line", "search", "best"), series, step (a), gain.
    """
    import pandas as pd

    require_count("points", points)
    require_count("starts", starts)
    parts = []
    for method, longest in LONGEST.items():
        steps = np.linspace(0, longest, 301)
        parts += [_rows(method, "line", name, steps, values) for name, values in lines(method, steps).items()]
        tried = np.linspace(longest / points, longest, points)
        found = [searched(float(a), method, starts, seed) for a in tried]
        parts.append(_rows(method, "search", SEARCHED, tried, found))
        at, best = np.array([*best_steps(method).values()]).T
        parts.append(_rows(method, "best", BEST, at, best))
    return pd.concat(parts, ignore_index=True)


def lines(method: Any, steps: Any) -> Mapping[str, Any]:
    """Return each curve of a method at the given steps, by its name in the legend."""
    found = sharp.one_step_gain(steps, method)
    if method == "grpo":
        first = sharp.one_step_certificate(steps, method, rewards="real")
        # Beyond a = 4 the proof for rewards 0 and 1 says nothing of its own.
        proved = np.where(steps <= 4.0, sharp.one_step_certificate(steps, method), np.nan)
    else:
        # T2 at any step: L4 with σ ≤ range/2 in place of T1's σ.
        first = 2 * sharp.one_step_certificate(steps / 2, "grpo", rewards="real")
        proved = sharp.one_step_certificate(steps, method)
    return {
        TWO_ARMS: found.two_arms,
        SHORT[method]: found.short_gradient,
        PROVED[method]: proved,
        FIRST[method]: first,
    }


def best_steps(method: Any) -> Mapping[str, tuple[float, float]]:
    """Return the best step of each guarantee and of what instances allow, with its gain."""
    k0, c0 = sharp.GAIN_CONSTANT, sharp.STEP_CONSTANT
    scale = 4 if method == "grpo" else 8
    proved, known = (sharp.best_one_step(method, basis) for basis in ("certificate", "known_instances"))
    return {
        "first": (scale * c0, scale * k0),
        "proved": (proved.step, proved.gain),
        "known": (known.step, known.gain),
    }


def searched(step: float, method: Any, starts: int, seed: int) -> float:
    """Return the smallest gain that searches over a few responses find at one step."""
    inequality: Inequality = gain(step, method)
    lowest = float(sharp.one_step_gain(step, method).lowest)
    found = [
        worst_case(
            inequality,
            num_responses=K,
            dimension=1,
            rewards=rewards,
            starts=starts,
            restarts=2,
            polish=False,
            seed=seed,
        )
        for K, rewards in SPACES[method]
    ]
    return min(_gain_of(one.ratio, lowest, inequality, one) for one in found)


def _gain_of(ratio: float, lowest: float, inequality: Inequality, found: Any) -> float:
    # A promise that is negative cannot be compared as a ratio: the gain itself is read off the instance.
    if lowest > 0:
        return lowest / ratio
    return float(inequality.sides(found.bandit, found.theta, None)[1][0])


def _rows(method: str, kind: str, series: str, steps: Any, gains: Any) -> DataFrame:
    import pandas as pd

    return pd.DataFrame({"method": method, "kind": kind, "series": series, "step": steps, "gain": gains})


def plot(df: DataFrame, ax: Any = None) -> Any:
    """Draw one panel a method.

    Parameters
    ----------
    df : DataFrame
        What :func:`run` returns.
    ax : array of two Axes, optional
        A new figure when left out.

    Returns
    -------
    array of two Axes
        GRPO, REINFORCE.
    """
    axes = plotting.figure("ab", size=(9.4, 4.6))[1] if ax is None else ax
    for panel, method in zip(axes, LONGEST, strict=True):
        mine = df[df["method"] == method]
        roles = {FIRST[method]: "paper", PROVED[method]: "binary", SHORT[method]: "exact", TWO_ARMS: "sharp"}
        plotting.plot_lines(mine[mine["kind"] == "line"], panel, x="step", y="gain", roles=roles)
        plotting.plot_points(
            mine[mine["kind"] != "line"],
            panel,
            x="step",
            y="gain",
            roles={SEARCHED: "adversary", BEST: "reference"},
        )
        top = 1.35 * float(mine.loc[mine["kind"] == "best", "gain"].max())
        panel.set(xlim=(0, 1.02 * LONGEST[method]), ylim=(0, top), title=TITLES[method])
        panel.set_xlabel(STEP[method])
        panel.set_ylabel(UNIT[method])
        plotting.legend_below(panel, columns=1)
    return axes


def headline(df: DataFrame) -> dict[str, float]:
    """Return the best constants, their thresholds, and how near the searches came to the infima."""
    found = df[df["kind"] == "search"]
    nearest = []
    for method, rows in found.groupby("method"):
        lowest = sharp.one_step_gain(rows["step"].to_numpy(), str(method)).lowest  # type: ignore[arg-type]
        positive = lowest > 0
        nearest.append((rows["gain"].to_numpy()[positive] / lowest[positive]).min())
    proved, known = (sharp.one_step_threshold(basis) for basis in ("certificate", "known_instances"))
    return {
        "GRPO, proved for rewards 0 and 1": proved.grpo.gain,
        "GRPO, cannot be exceeded": known.grpo.gain,
        "REINFORCE, proved": proved.reinforce.gain,
        "REINFORCE, cannot be exceeded": known.reinforce.gain,
        "threshold of the mean std, proved constants": proved.threshold,
        "threshold, conjectured best constants": known.threshold,
        "smallest gain found over the infimum": float(min(nearest)),
    }


EXPERIMENT = Experiment(
    stem="one_step_worst_case",
    run=run,
    plot=plot,
    caption=CAPTION,
    dials={
        "points": Dial(16, 5, "steps of either method at which the worst is searched for"),
        "starts": Dial(250, 60, "random instances that a search begins with"),
    },
    headline=headline,
)


def main(argv: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    return main_of(EXPERIMENT, argv)


if __name__ == "__main__":
    raise SystemExit(main())
