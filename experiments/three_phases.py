"""One training run with its phases: whether the paper's three appear on a bandit, and in which of its two tellings.

GRPO and REINFORCE on overlapping prompts of mixed difficulty, G sampled responses a prompt and update. The series of
GRPO's run (mean and spread of the reward std, gradient diversity Ω, spread of the gradient cosines) and the accuracy
gap between the two methods are cut by :func:`curvature.phases.phase_report`. The gap depends on how the two steps
are matched, which the paper does not state: here by the same step, and by the same expected length of the first
update, where GRPO's larger weights no longer buy a longer step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from curvature import moments, plotting
from curvature.ascent import ascend, prompt_weights
from curvature.interference import cosine_distribution, gradient_diversity
from curvature.phases import phase_report
from experiments import _runs
from experiments._experiment import ROOT, Dial, Experiment, main_of, require_count

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from pandas import DataFrame

    from curvature import LogLinearBandit
    from curvature.ascent import Trace
    from curvature.phases import PhaseReport

PROMPTS, RESPONSES = 24, 6
OVERLAP = 0.2
SUCCESS = (0.03, 0.9)
GROUP_SIZE = 8
# GRPO's step in units of 1/D²: with it the mean success rises from .4 to about .95 within 500 updates.
STEP = 0.5
MATCHES = {"same step": "accuracy_gap", "same first update": "accuracy_gap_matched"}
# Points of a series that is cut.
POINTS = 125
SERIES = ("mean_std", "spread_std", "omega", "cosine_spread")

CAPTION = (
    f"Phases of a bandit run: GRPO with {GROUP_SIZE} sampled responses for each of {PROMPTS} prompts of overlap "
    f"{OVERLAP:g}, starting success {SUCCESS[0]:g}–{SUCCESS[1]:g} evenly spread in log-odds, first instance. Vertical "
    "lines: change points of all the series of panels b and c with the gap of the same step, chosen together by the "
    "Bayesian information criterion (linear pieces, autocorrelated noise, at most 6 segments). a: mean success. "
    "b: mean and spread over prompts of the reward std. c: |log Ω| (0 for orthogonal gradients; Ω = Σ‖g‖²/‖Σg‖²) and "
    "spread of the cosines between prompts' gradients. d: success of GRPO less that of REINFORCE, both at the same "
    "step, and with REINFORCE's step so long that the exact first updates have equal length."
)


def run(instances: int = 8, steps: int = 500, seed: int = 0) -> DataFrame:
    """Run both methods and take the series.

    Parameters
    ----------
    instances : int
        Instances, each with its own sampling seed.
    steps : int
        Length of a run; every (steps/POINTS)-th iteration is recorded.
    seed : int
        Of all draws.

    Returns
    -------
    DataFrame
        One row an instance and recorded step: instance, step, success (GRPO's mean success), mean_std, spread_std,
        omega, cosine_spread (of GRPO's run, exact), accuracy_gap and accuracy_gap_matched.
    """
    import pandas as pd

    require_count("instances", instances)
    require_count("steps", steps, least=20)
    numbers = [100_000 * seed + number for number in range(instances)]
    bandits = [
        _runs.bandit_with_success(
            _runs.log_odds_between(*SUCCESS, PROMPTS, number), RESPONSES, OVERLAP, number
        )
        for number in numbers
    ]
    grpo = _sampled(bandits, "grpo", np.full(instances, STEP), steps)
    same = _sampled(bandits, "reinforce", np.full(instances, STEP), steps)
    longer = np.array([STEP * length_ratio(bandit) for bandit in bandits])
    matched = _sampled(bandits, "reinforce", longer, steps)
    frames = []
    for index, bandit in enumerate(bandits):
        frames.append(
            pd.DataFrame({
                "instance": index,
                "step": grpo.iterations,
                "success": grpo["expected_reward"][index],
                **_series(bandit, grpo["theta"][index]),
                "accuracy_gap": (grpo["expected_reward"] - same["expected_reward"])[index],
                "accuracy_gap_matched": (grpo["expected_reward"] - matched["expected_reward"])[index],
            })
        )
    return pd.concat(frames, ignore_index=True)


def length_ratio(bandit: LogLinearBandit) -> float:
    """Return ‖Σ g_x/σ_x‖/‖Σ g_x‖ at θ = 0: how much longer REINFORCE's step must be to move as far as GRPO."""
    start = np.zeros(bandit.dimension)
    gradient = moments(bandit, start).gradient
    weights = prompt_weights(bandit, start, "grpo")
    return float(np.linalg.norm(weights @ gradient) / np.linalg.norm(gradient.sum(axis=0)))


def _sampled(bandits: list[LogLinearBandit], method: str, step: NDArray[np.float64], steps: int) -> Trace:
    return ascend(
        bandits,
        method,
        step=step,
        num_steps=steps,
        group_size=GROUP_SIZE,
        seeds=np.arange(len(bandits)),
        record=("expected_reward", "theta"),
        every=max(1, steps // POINTS),
        progress=False,
    )


def _series(bandit: LogLinearBandit, thetas: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    at = moments(bandit, thetas)
    return {
        "mean_std": at.reward_std.mean(axis=-1),
        "spread_std": at.reward_std.std(axis=-1),
        "omega": gradient_diversity(at.gradient),
        "cosine_spread": np.array([cosine_distribution(gradient).std for gradient in at.gradient]),
    }


def report_of(df: DataFrame, instance: int, match: str) -> PhaseReport:
    """Cut the series of one instance.

    Parameters
    ----------
    df : DataFrame
        What :func:`run` returns.
    instance : int
        Which.
    match : str
        A key of MATCHES: which accuracy gap is cut with the others.

    Returns
    -------
    PhaseReport
        See :func:`curvature.phases.phase_report`.
    """
    part = df[df["instance"] == instance]
    series: Mapping[str, Any] = {name: part[name].to_numpy() for name in SERIES}
    return phase_report(
        {**series, "accuracy_gap": part[MATCHES[match]].to_numpy()}, steps=part["step"].to_numpy()
    )


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
        Success, reward std, gradients, accuracy gap.
    """
    axes = plotting.figure("ab;cd", size=(8.4, 6.6))[1] if ax is None else ax
    part = df[df["instance"] == 0]
    part = part.assign(grpo=part["success"], log_omega=np.abs(np.log(part["omega"])))
    part["reinforce"] = part["success"] - part["accuracy_gap"]
    part["reinforce_matched"] = part["success"] - part["accuracy_gap_matched"]
    panels = [
        (
            "a   success",
            "mean success",
            {
                "grpo": ("GRPO", "sharp"),
                "reinforce": ("REINFORCE, same step", "binary"),
                "reinforce_matched": ("REINFORCE, same first update", "other"),
            },
        ),
        (
            "b   reward std",
            "reward std σ",
            {"mean_std": ("mean over prompts", "sharp"), "spread_std": ("spread over prompts", "paper")},
        ),
        (
            "c   gradients of the prompts",
            "|log Ω|, spread of cosines",
            {"log_omega": ("|log Ω|", "exact"), "cosine_spread": ("spread of cosines", "paper")},
        ),
        (
            "d   gap",
            "success, GRPO less REINFORCE",
            {
                "accuracy_gap": ("same step", "binary"),
                "accuracy_gap_matched": ("same first update", "other"),
            },
        ),
    ]
    cuts = report_of(df, 0, "same step").segmentation
    for panel, (title, ylabel, columns) in zip(axes, panels, strict=True):
        for column, (label, role) in columns.items():
            look = plotting.ROLES[role]
            panel.plot(part["step"], part[column], color=look.colour, linestyle=look.line, label=label)
        for number, index in enumerate(cuts.breakpoints):
            panel.axvline(
                cuts.steps[index],
                color="#6E6E6E",
                linewidth=0.9,
                linestyle=(0, (2, 2)),
                label="_cut" if number else "change points",
            )
        panel.set(xlabel="update", ylabel=ylabel, title=title, xlim=(0, part["step"].max()))
        plotting.legend_below(panel)
    axes[3].axhline(0, color="black", linewidth=0.7)
    return axes


def headline(df: DataFrame) -> dict[str, Any]:
    """Return, for each way of matching steps, the segments, the tellings matched, and where the gap is largest."""
    count = int(df["instance"].nunique())
    found: dict[str, Any] = {"instances": count}
    for match, column in MATCHES.items():
        reports = [report_of(df, index, match) for index in range(count)]
        peaks = [part.loc[part[column].idxmax()] for _, part in df.groupby("instance")]
        found[match] = {
            "segments": [report.segmentation.num_segments for report in reports],
            "instances of three segments": sum(report.three_phases for report in reports),
            "as many segments as allowed": sum(report.segmentation.at_maximum for report in reports),
            "tellings of the instances of three segments": [
                report.telling for report in reports if report.three_phases
            ],
            "mean largest gap": float(np.mean([peak[column] for peak in peaks])),
            "mean update of the largest gap": float(np.mean([peak["step"] for peak in peaks])),
        }
    return found


EXPERIMENT = Experiment(
    stem="three_phases",
    run=run,
    plot=plot,
    caption=CAPTION,
    dials={
        "instances": Dial(8, 2, "instances"),
        "steps": Dial(500, 250, "length of a run"),
    },
    inputs=(ROOT / "experiments" / "_runs.py",),
    headline=headline,
)


def main(argv: list[str] | None = None) -> int:
    """Run from the command line; return the exit status."""
    return main_of(EXPERIMENT, argv)


if __name__ == "__main__":
    raise SystemExit(main())
