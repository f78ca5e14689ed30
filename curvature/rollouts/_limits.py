"""What a log of rewards cannot say, why, and the experiment that would."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from curvature.rollouts.findings import Limit

if TYPE_CHECKING:
    from curvature.rollouts._groups import Groups

__all__ = ["limits_of"]

_PROBE = (
    "Probe the policy at a few checkpoints: gradients of some hundred prompts, their cosines and overlaps, and the "
    "curvature sd(q_u) of each prompt from two nested forward derivatives."
)
_TWO_RUNS = (
    "Two arms from one checkpoint, with the std and without, learning rate swept in each (at least 5 rates, a factor "
    "of 2 apart) at one RMS advantage, seeds paired: n = (2.8·s/gap)² pairs see a gap with power 80 % at level 5 %, "
    "s the sd of the paired difference: 8 pairs where s equals the gap, 32 where s is twice the gap."
)

# Above this share of groups without a success, accuracy 0.9 waits for prompts that the log knows nothing of.
_MANY_WRONG = 0.1

_ALWAYS = (
    Limit(
        "Do prompts pull each other along, or against each other?",
        "Overlap needs gradients. The predictions take prompts as orthogonal. In this project's own runs (log-linear "
        "policies, exact gradients) overlap did not limit the gain on hard sets, although the certified gain per step "
        "says it should.",
        _PROBE,
    ),
    Limit(
        "Does curvature follow the std here?",
        "The predictions take the curvature of a prompt as D²σ/4, alike in D for all prompts. For rates near 0 and 1 "
        "it falls faster, like the variance; and a language model has its own C_x(u).",
        _PROBE,
    ),
    Limit(
        "What is left once each side has its best learning rate?",
        "Predictions are at steps certified for each side. In this project's own runs with one sampled prompt a step "
        "and both sides tuned, most of the gain was gone; with full batches and tuned steps the speed-up differed from "
        "the certified one by factors from 0.81 to 1.03 (ledger H3).",
        _TWO_RUNS,
    ),
    Limit(
        "What does the optimiser do to the difference?",
        "A scale-invariant optimiser cancels a factor common to all prompts, so part of the change is a change of "
        "learning rate. Under Adam this project measured 0.82 [0.74, 0.92] of the steps with 1/σ at one small rate "
        "in rotated coordinates, and 1.03 [1.02, 1.05] where each prompt had coordinates of its own (ledger H4).",
        _TWO_RUNS
        + " Use the optimiser of the real run, and log the norm of the update before and after clipping.",
    ),
    Limit(
        "How noisy are sampled groups?",
        "The flow follows the mean of a sampled gradient. With groups of 8 most of the exact-gradient speed-up is "
        "gone: for the success rates of GSM8K, 1.86 times fewer steps became 1.31 in this project's runs.",
        "Repeat a few hundred steps at two group sizes with as many rollouts in all, and set κ_G beside the result.",
    ),
    Limit(
        "Are the rewards right?",
        "A grader that errs on a share of answers makes silent groups speak and one-success groups of hard prompts "
        "wrong, and dividing by a small σ̂ makes those loud.",
        "Grade the successes of the hardest tenth a second time, by hand or by another grader.",
    ),
    Limit(
        "How much of the advantage reaches the update?",
        "Clipping of ratios, reuse of a batch, length weights, KL terms and filters of groups act after the "
        "advantage, and none is in the log.",
        "Log the share of clipped tokens and the norm of the gradient for each tenth of difficulty.",
    ),
)


def limits_of(groups: Groups, all_wrong: float) -> tuple[Limit, ...]:
    """List what holds for every log after what holds for this one; `all_wrong` is the first window's, or NaN."""
    return (*_of_rewards(groups), *_of_groups(groups), *_of_targets(all_wrong), *_ALWAYS)


def _of_rewards(groups: Groups) -> list[Limit]:
    if groups.counts is not None:
        return []
    low, high = groups.low, groups.low + groups.span
    table = groups.log.groups
    if table.low.min() == table.high.max():
        why = f"All rewards are {low:g}: neither success nor failure can be told, and nothing is learnt."
        return [
            Limit("What are the success rates?", why, "Log rewards of a step in which some responses differ.")
        ]
    why = (
        f"Rewards take more than two values, from {low:g} to {high:g}. Silent groups expected, the statistics of the "
        "theorems, κ_G and times to target are known for two values only and are left out; mean σ is estimated from "
        "the sample std of each group, with its bias stated."
    )
    mend = "Diagnose the correctness part of the reward by itself: pass the column of 0 and 1 as the reward."
    limits = [Limit("What are the success rates?", why, mend)]
    unseen = int(np.isnan(groups.cells.deviation_sum).sum())
    if unseen:
        why = (
            f"Shares of the update need Σ|r − mean| of each group, and the rows of {unseen} of {len(table)} groups "
            "were not kept: those shares are of the others."
        )
        limits.append(
            Limit("Which prompts carry the update in all steps?", why, "Diagnose fewer steps at once.")
        )
    return limits


def _of_groups(groups: Groups) -> list[Limit]:
    limits = []
    singles = int((groups.size == 1).sum())
    if singles:
        why = f"{singles} of {groups.size.size} groups have one reward: they have no spread and say nothing of σ."
        mend = "Sample more responses a prompt, or read the log with the column that names the prompt as the group."
        limits.append(Limit("What do groups of one do?", why, mend))
    if not groups.log.groups_are_prompts:
        limits.append(
            Limit(
                "Do the same prompts come back?",
                "Group ids of different steps are not known to name the same prompt, so groups count as independent; "
                "if prompts were revisited the intervals are too narrow.",
                "Log a prompt id and pass it as the group.",
            )
        )
    return limits


def _of_targets(all_wrong: float) -> list[Limit]:
    if not all_wrong >= _MANY_WRONG:
        return []
    why = (
        f"A share {all_wrong:.2g} of the first window's groups has no success. Whether their success rates are 0, "
        "0.001 or 0.05 the log cannot say; the smooth fit fills it in, and times to a high accuracy depend on it."
    )
    mend = "Sample those prompts with groups ten times as large, to see whether they succeed at all."
    return [Limit("How long until the hardest prompts are solved?", why, mend)]
