"""What theory predicts from dividing by the group's std, by group size and by how success rates are spread.

The three numbers are those that ``curvature diagnose`` decides by, at five profiles of success rates instead of a log:
κ_G (theory D4), the factor across prompts of the speed-up at steps certified for each side (T4, II.6, D1), and the
speed-up at one learning rate and one RMS advantage. The last one is also measured, by runs with sampled groups.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature import LogLinearBandit, plotting
from curvature.ascent import ascend
from curvature.groups import gain_ratio
from curvature.rollouts._predictions import Target, matched_rate, solver
from experiments._experiment import Dial, Experiment, main_of, require_count
from experiments._two_arms import crossing_time

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pandas import DataFrame

# Two parameters of a beta distribution, and the role of its line.
PROFILES = {
    "hard and alike: Beta(4, 36)": ((4.0, 36.0), "paper"),
    "hard, spread: Beta(.4, 3.6)": ((0.4, 3.6), "sharp"),
    "middling: Beta(5, 5)": ((5.0, 5.0), "binary"),
    "mixed: Beta(.5, .5)": ((0.5, 0.5), "exact"),
    "easy, spread: Beta(3.6, .4)": ((3.6, 0.4), "other"),
}
SIZES = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
MEASURED_SIZES = (4, 16, 64)
NUMBERS = {
    "kappa": "certified gain of one step, $κ_G$",
    "prompts": "speed-up at certified steps,\nfactor across prompts",
    "matched": "speed-up at one learning rate\nand RMS advantage",
}
# Success rates closer to 0 or 1 than this take a flow longer than any run.
RATES = (1e-4, 1 - 1e-4)
# Updates of the plain side to the target: short steps, as the flow has it.
UPDATES = 150
CONFIDENCE = 0.95

CAPTION = (
    "Predicted effect of dividing the advantage by the group's std, for five ways in which success rates can be "
    "spread over prompts, by group size G; above 1 the division is ahead. a: certified gain of one step, each "
    "side at its own best step (the two spread profiles mirror each other and coincide). b: how many times fewer "
    "steps from the profile to halfway between its mean and 1, both sides at the best global schedule certified "
    "for them, so that only what per-prompt weights can do is left. c: the same at one learning rate, with the "
    "advantages of both sides of one RMS at the start; lines are the small-step flow, markers are runs with "
    "sampled groups (mean and 95 % interval over seeds). G = 2 is no normalisation at all. Certified steps favour"
    " the division the more the larger G and the more unlike the prompts; at one learning rate and RMS advantage "
    "most of it is gone, and where all prompts are equally hard it is a loss: without the std the update grows as"
    " success rates leave 0, with it it does not."
)


def profile_of(name: str, prompts: int) -> NDArray[np.float64]:
    """Return evenly spaced quantiles of a profile, (n,)."""
    from scipy.stats import beta

    return np.clip(beta.ppf((np.arange(prompts) + 0.5) / prompts, *PROFILES[name][0]), *RATES)


def run(prompts: int = 64, seeds: int = 12, seed: int = 0) -> DataFrame:
    """Tabulate the predictions, and measure one of them.

    Parameters
    ----------
    prompts : int
        n ≥ 2 of each profile.
    seeds : int
        Sampled runs of each side, at least 2.
    seed : int
        Of the first one.

    Returns
    -------
    DataFrame
        Columns number (a key of :data:`NUMBERS`), profile, mean_success, group_size, predicted, and measured, low, high
        where runs were made.
    """
    import pandas as pd

    require_count("prompts", prompts, least=2)
    require_count("seeds", seeds, least=2)
    rows = []
    for name in PROFILES:
        p = profile_of(name, prompts)
        for G in SIZES:
            told = predictions(p, G)
            measured = measure(p, G, np.arange(seed, seed + seeds)) if G in MEASURED_SIZES else (np.nan,) * 3
            for number, value in told.items():
                ends = measured if number == "matched" else (np.nan,) * 3
                rows.append((number, name, p.mean(), G, value, *ends))
    columns = ["number", "profile", "mean_success", "group_size", "predicted", "measured", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def predictions(success: NDArray[np.float64], group_size: int) -> dict[str, float]:
    """Predict the three numbers for prompts of equal weight.

    Parameters
    ----------
    success : ndarray, shape (n,)
        p.
    group_size : int
        G.

    Returns
    -------
    dict of str to float
        By the keys of :data:`NUMBERS`.
    """
    at = SimpleNamespace(support=success, weights=np.full(success.size, 1 / success.size))
    halfway = Target("halfway to 1", (1 + success.mean()) / 2, 0.5)
    flow = solver((halfway,), group_size)(at)
    return {
        "kappa": gain_ratio(success, group_size),
        "prompts": float(flow["prompts_finite"][0]),
        "matched": float(flow["matched_finite"][0]),
    }


def measure(
    success: NDArray[np.float64], group_size: int, seeds: NDArray[np.intp]
) -> tuple[float, float, float]:
    """Measure the speed-up at one RMS advantage: mean and Student's interval of its logarithm, over seeds.

    Parameters
    ----------
    success : ndarray, shape (n,)
        p at the start.
    group_size : int
        G.
    seeds : ndarray
        One pair of runs each.

    Returns
    -------
    tuple of float
        Mean, lower and upper end.
    """
    from scipy.stats import t

    from curvature.flow import time_to_target

    goal = (1 + success.mean()) / 2
    step = float(time_to_target(success, goal, method="none", step_rule=1.0)) / UPDATES
    rate = matched_rate(success, np.full(success.size, 1 / success.size), group_size)
    bandit = LogLinearBandit.two_arm(success)
    times = []
    # The group mean shortens the plain update by 1 − 1/G; the rate is that to a = 1.
    for advantages, α in (("none", step / (1 - 1 / group_size)), ("grpo", step * rate)):
        trace = ascend(
            bandit,
            "reinforce",
            step=α,
            num_steps=4 * UPDATES,
            group_size=group_size,
            advantages=advantages,
            seeds=seeds,
            record=("expected_reward",),
            progress=False,
        )
        times.append(crossing_time(trace["expected_reward"], goal))
    gain = np.log(times[0]) - np.log(times[1])
    half = t.ppf((1 + CONFIDENCE) / 2, gain.size - 1) * gain.std(ddof=1) / np.sqrt(gain.size)
    middle = gain.mean()
    return float(np.exp(middle)), float(np.exp(middle - half)), float(np.exp(middle + half))


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
        κ_G, certified steps, one RMS advantage.
    """
    axes = plotting.figure("abc", size=(11.2, 4.7))[1] if ax is None else ax
    roles = {name: role for name, (_, role) in PROFILES.items()}
    for letter, panel, (number, label) in zip("abc", axes, NUMBERS.items(), strict=True):
        rows = df[df["number"] == number]
        panel.axhline(1.0, color="#6E6E6E", linewidth=0.9)
        plotting.plot_lines(rows, panel, x="group_size", y="predicted", roles=roles, series="profile")
        measured = rows.dropna(subset=["measured"])
        if len(measured):
            runs = measured.assign(profile="runs: " + measured["profile"].str.split(":").str[0])
            plotting.plot_points(
                runs,
                panel,
                x="group_size",
                y="measured",
                roles={f"runs: {name.split(':')[0]}": role for name, role in roles.items()},
                series="profile",
                interval=("low", "high"),
            )
        panel.set_xscale("log", base=2)
        ticks = [2, 4, 8, 16, 32, 64]
        panel.set_xticks(ticks, [str(tick) for tick in ticks])
        panel.set(xlabel="group size G", ylabel=label, title=letter)
        plotting.legend_below(panel, columns=2 if len(measured) else 1)
    return axes


def headline(df: DataFrame) -> dict[str, Any]:
    """Return the predictions at G = 8 and how many measured intervals hold the prediction."""
    measured = df.dropna(subset=["measured"])
    inside = (measured["low"] <= measured["predicted"]) & (measured["predicted"] <= measured["high"])
    eight = df[df["group_size"] == 8].pivot(index="profile", columns="number", values="predicted").round(3)
    return {
        "at G = 8": {name: eight.loc[name].to_dict() for name in PROFILES},
        "intervals that hold the prediction": f"{int(inside.sum())} of {len(measured)}",
        "largest difference, measured over predicted": float(
            np.exp(np.abs(np.log(measured["measured"] / measured["predicted"])).max())
        ),
    }


EXPERIMENT = Experiment(
    stem="should_i_divide",
    run=run,
    plot=plot,
    caption=CAPTION,
    dials={
        "prompts": Dial(64, 16, "prompts of each profile"),
        "seeds": Dial(12, 3, "sampled runs of each side"),
    },
    headline=headline,
)


def main(argv: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    return main_of(EXPERIMENT, argv)


if __name__ == "__main__":
    raise SystemExit(main())
