"""The answer in words, by a rule: every sentence carries its numbers.

The rule. Take three predictions for the log's group size, each with its 95 % interval, and a margin of 5 %: the factor
across prompts of the speed-up to the first target, κ_G, and the speed-up at one learning rate and RMS advantage.

* "keep" (divide by the group's std): the factor across prompts lies above 1.05, κ_G's interval reaches 0.95, and at
  one RMS advantage nothing below 0.95 is left.
* "drop": the factor across prompts or κ_G lies below 0.95, the intervals of both reach down to 1.05, and at one RMS
  advantage nothing above 1.05 is left.
* "either": all three lie within 0.95 to 1.05.
* "undecided": all else, and whenever an interval is not to be had.

The factor across prompts decides because an optimiser that is invariant to scale, or a schedule, can have the factor
across iterations without any division (theory T4). It compares steps that are certified for each side, so the third
number, which compares the two at one rate and certifies nothing, must not contradict it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from curvature.rollouts._flags import flags_for
from curvature.rollouts.findings import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from curvature.rollouts.findings import ConventionFinding, Estimate, Prediction
    from curvature.rollouts.log import RolloutLog

__all__ = ["MARGIN", "leaning_of", "verdict_of"]

MARGIN = 0.05

_ACTION = {
    "keep": "dividing by the group's std is the side the prediction favours",
    "drop": "not dividing by the group's std is the side the prediction favours",
    "either": "the prediction tells the two sides apart by less than 5 %",
    "undecided": "the prediction does not settle it",
}


def leaning_of(factor: Estimate | None, kappa: Estimate | None, matched: Estimate | None) -> str:
    """Apply the rule of this module to the factor across prompts, κ_G and the speed-up at one RMS advantage."""
    if factor is None or kappa is None or matched is None:
        return "undecided"
    ends = [end for at in (factor, kappa, matched) for end in (at.low, at.high)]
    if any(end != end for end in ends):
        return "undecided"
    low, high = 1 - MARGIN, 1 + MARGIN
    if all(low <= end <= high for end in ends):
        return "either"
    if factor.low > high and kappa.high >= low and matched.low >= low:
        return "keep"
    against = min(factor.high, kappa.high) < low
    if against and max(factor.low, kappa.low) <= high and matched.high <= high:
        return "drop"
    return "undecided"


def verdict_of(
    log: RolloutLog,
    convention: ConventionFinding,
    overall: Mapping[str, Estimate],
    predictions: Mapping[tuple[str, int], Prediction],
    deciles: pd.DataFrame,
) -> Verdict:
    """Say what follows from the numbers."""

    def found(part: str) -> Prediction | None:
        return predictions.get((part, 0))

    factor, kappa, matched = (found(part) for part in ("prompts_finite", "kappa", "matched_finite"))
    leaning = leaning_of(*(at and at.estimate for at in (factor, kappa, matched)))
    reasons = [
        *_of_convention(convention),
        *_of_predictions(predictions),
        *_of_numbers(overall),
        *_of_shares(deciles),
        *_of_experience(predictions),
    ]
    names = (log.format, log.preset, *convention.presets)
    return Verdict(
        _headline(leaning, factor, kappa, matched), leaning, tuple(reasons), flags_for(names, leaning)
    )


def _number(at: Estimate, digits: int = 3) -> str:
    """Write a value with its interval."""
    if at.low != at.low:
        return f"{at.value:.{digits}g} (no interval)"
    return f"{at.value:.{digits}g} [{at.low:.{digits}g}, {at.high:.{digits}g}]"


def _headline(
    leaning: str, factor: Prediction | None, kappa: Prediction | None, matched: Prediction | None
) -> str:
    if factor is None or matched is None:
        if kappa is None:
            return f"No effect is predicted by this theory from such rewards: {_ACTION['undecided']}."
        return (
            "Effect predicted by theory D4: the group std changes the certified gain of a step by a factor of "
            f"{_number(kappa.estimate)}; {_ACTION[leaning]}."
        )
    goal = factor.name.split(", to ", 1)[1]
    return (
        f"Effect predicted by theory II.6 and D1: to {goal}, dividing by the group std takes "
        f"{_number(factor.estimate)} times fewer steps across prompts at certified steps, and "
        f"{_number(matched.estimate)} times fewer at one learning rate and RMS advantage; {_ACTION[leaning]}."
    )


def _of_convention(convention: ConventionFinding) -> list[str]:
    return [convention.sentence]


def _of_predictions(predictions: Mapping[tuple[str, int], Prediction]) -> list[str]:
    def text(part: str) -> str:
        return _number(predictions[part, 0].estimate)

    reasons = []
    if ("kappa", 0) in predictions:
        reasons.append(
            f"Effect predicted by theory D4: one step with the group std certifies {text('kappa')} times the gain of "
            "one without, for the success rates of the whole log."
        )
    if ("speedup", 0) in predictions:
        reasons.append(
            f"Effect predicted by theory II.6 with exact gradients: {text('speedup')} times fewer steps, "
            f"{text('iterations')} across iterations times {text('prompts')} across prompts; a scale-invariant "
            "optimiser such as Adam leaves only the second."
        )
    if ("speedup_finite", 0) in predictions:
        reasons.append(
            f"Effect predicted by theory II.6 with D1 for the log's group size: {text('speedup_finite')} times fewer "
            f"steps, {text('iterations_finite')} across iterations times {text('prompts_finite')} across prompts; at "
            f"one learning rate and one RMS advantage, with no step certified, {text('matched_finite')} times fewer."
        )
    return reasons


def _of_numbers(overall: Mapping[str, Estimate]) -> list[str]:
    reasons = []
    if "paper_statistic" in overall:
        reasons.append(
            f"(8/3)·mean σ is {_number(overall['paper_statistic'])} and 2.598·mean σ is "
            f"{_number(overall['sharp_statistic'])}: the bound with the std is the smaller one where they are below 1, "
            "by the paper's constants and by the sharpest of both sides; this compares bounds, not runs."
        )
    if "silent_expected" in overall:
        reasons.append(
            f"A share {_number(overall['silent'])} of groups is silent ({overall['all_right'].value:.3g} all right, "
            f"{overall['all_wrong'].value:.3g} all wrong); {_number(overall['silent_expected'])} is expected from the "
            f"fitted success rates, {overall['silent_if_alike'].value:.3g} if all prompts were alike. No convention "
            "learns from those."
        )
    elif "silent" in overall:
        reasons.append(
            f"A share {_number(overall['silent'])} of groups is silent: no convention learns from those."
        )
    return reasons


def _of_shares(deciles: pd.DataFrame) -> list[str]:
    if deciles.update_none.isna().any():
        return []
    hard, easy = deciles.iloc[:3].sum(), deciles.iloc[7:].sum()
    return [
        f"The hardest three tenths of the groups carry {hard['update_none']:.0%} of the update without a std, "
        f"{hard['update_group']:.0%} with the group's; the easiest three tenths {easy['update_none']:.0%} and "
        f"{easy['update_group']:.0%}, at one RMS advantage."
    ]


def _of_experience(predictions: Mapping[tuple[str, int], Prediction]) -> list[str]:
    if ("speedup", 0) not in predictions:
        return []
    return [
        "Measured in this project's own runs: with groups of 8 most of the exact-gradient speed-up was gone (1.86 "
        "became 1.31 for the success rates of GSM8K), and so it was with one sampled prompt a step and the learning "
        "rate tuned on both sides."
    ]
