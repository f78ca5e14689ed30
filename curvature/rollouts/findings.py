"""What a diagnosis says, as plain data: numbers with intervals, tables, and sentences that follow from them.

The terminal summary, the JSON and the HTML report all print this and compute nothing of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from curvature.groups import Interval as Estimate

if TYPE_CHECKING:
    import pandas as pd

    from curvature.advantages import Normalization

__all__ = [
    "SCHEMES",
    "ConventionFinding",
    "Diagnosis",
    "Estimate",
    "Limit",
    "Prediction",
    "Source",
    "Verdict",
]

SCHEMES = {
    "none": "no std: r − mean",
    "group": "group std: (r − mean)/σ̂",
    "batch": "batch std: (r − mean)/σ_batch",
    "shrunk": "halfway to the mean std: (r − mean)/(½σ̂ + ½ mean σ̂)",
    "variance": "group variance: (r − mean)/σ̂²",
}
"""The counterfactual conventions, by the name that columns use. All have one scale: the same RMS advantage."""


@dataclass(frozen=True)
class ConventionFinding:
    """Which convention made the logged advantages.

    Attributes
    ----------
    status : str
        "identified" (one convention reproduces the column to its precision), "ambiguous" (several do, and the log
        cannot tell them apart), "closest" (none does), or "absent" (no advantage column).
    presets : tuple of str
        Presets that reproduce it; for "closest", the nearest one.
    normalization : Normalization or None
        The convention found, which may be no preset.
    sentence : str
        One sentence for people.
    differences : tuple of str
        For "closest": what differs, where, by how much.
    factor : float
        logged ≈ factor × computed; 1 unless the trainer scaled the advantages.
    second_pass : str or None
        "batch" if the advantages were normalised once more over the batch.
    tolerance : float
        Precision of the column that was asked for, relative to the largest advantage.
    largest_error : float
        Relative to the largest advantage.
    worst : dict
        step, group, reward, logged, computed of the row with the largest error; empty if absent.
    rows : int
        Rows compared.
    candidates : pandas.DataFrame
        convention (str), largest_error, share_matched: the best few, nearest first.
    """

    status: str
    presets: tuple[str, ...]
    normalization: Normalization | None
    sentence: str
    differences: tuple[str, ...]
    factor: float
    second_pass: str | None
    tolerance: float
    largest_error: float
    worst: dict[str, Any]
    rows: int
    candidates: pd.DataFrame


@dataclass(frozen=True)
class Source:
    """What was read: paths as given, layout and why, where each column was, counts, what was wrong with it."""

    paths: tuple[str, ...]
    format: str
    why: str
    columns: dict[str, str]
    rollouts: int
    groups: int
    prompts: int | None
    steps: int
    first_step: int
    last_step: int
    group_sizes: dict[int, int]
    reward_values: tuple[float, ...]
    """The two values of two-valued rewards, else their least and largest."""
    two_valued: bool
    bad_rows: int
    first_bad_rows: tuple[tuple[str, int, str], ...]
    notes: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True)
class Prediction:
    """One prediction of theory: its name, number with interval, formula and source, and what it assumes."""

    name: str
    estimate: Estimate
    formula: str
    source: str
    assumptions: tuple[str, ...]


@dataclass(frozen=True)
class Limit:
    """What this log cannot say, why, and the experiment that would."""

    question: str
    why: str
    experiment: str


@dataclass(frozen=True)
class Verdict:
    """The answer in words.

    Attributes
    ----------
    headline : str
        One sentence, "effect predicted by …", never "will help".
    leaning : str
        "keep", "drop", "either" or "undecided".
    reasons : tuple of str
        Sentences, each with its numbers and interval.
    flags : tuple of (trainer, flag) pairs
        How to set it in each trainer; the log's own trainer first.
    """

    headline: str
    leaning: str
    reasons: tuple[str, ...]
    flags: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Diagnosis:
    """Everything :func:`curvature.rollouts.diagnose` found.

    Attributes
    ----------
    source : Source
        What was read.
    convention : ConventionFinding
        What made the logged advantages.
    overall : dict of str to Estimate
        "accuracy" (mean reward, in units of the reward range), "mean_std" (mean over groups of the prompt's own σ, not
        of σ̂), "plugin_std" (mean σ̂, biased low), "mean_variance" (unbiased), "silent", "all_right", "all_wrong"
        (shares of groups), "silent_expected" (mean of p^G + (1−p)^G under the fitted distribution of p),
        "silent_if_alike" (p^G + (1−p)^G at the mean p), "paper_statistic" (8/3)·mean σ, "sharp_statistic" 2.598·mean σ,
        "std_over_max" (σ̄/σ_max of theory T3). Keys whose theory needs two-valued rewards are absent otherwise.
    windows : pandas.DataFrame
        One row for each window of steps: first_step, last_step, groups, then accuracy, mean_std, silent, all_right,
        all_wrong, silent_expected, paper_statistic, sharp_statistic, each with _low and _high.
    difficulty : pandas.DataFrame
        One row for each bin of a group's mean reward (k/G for two-valued rewards of one size, else ten bins): low,
        high, groups, share_of_groups, and for each scheme weight_<scheme> (effective weight, mean over groups, scaled
        to 1 at the average) and update_<scheme> (share of the update: Σ|A| of the bin over Σ|A| of all).
    deciles : pandas.DataFrame
        One row for each tenth of the groups by mean reward, hardest first: decile, low, high, update_<scheme>.
    schemes : pandas.DataFrame
        One row for each scheme: scheme, description, rms, largest (max |A|), p99, share_zero, cosine_to_logged (NaN
        without a logged column), kappa (certified gain per step relative to none), kappa_low, kappa_high.
    extremes : pandas.DataFrame
        The largest |A| (logged, or group-normalised if none is logged): step, group, reward, advantage, size, mean,
        std, cause (a sentence).
    predictions : tuple of Prediction
        Speed-ups and thresholds.
    limits : tuple of Limit
        What this log cannot say.
    verdict : Verdict
        The answer.
    """

    source: Source
    convention: ConventionFinding
    overall: dict[str, Estimate]
    windows: pd.DataFrame
    difficulty: pd.DataFrame
    deciles: pd.DataFrame
    schemes: pd.DataFrame
    extremes: pd.DataFrame
    predictions: tuple[Prediction, ...]
    limits: tuple[Limit, ...]
    verdict: Verdict
