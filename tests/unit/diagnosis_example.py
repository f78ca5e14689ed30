"""A whole Diagnosis of plain values, for tests of what prints it; its numbers are made up but fit together."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd

from curvature import PRESETS
from curvature.rollouts.findings import (
    SCHEMES,
    ConventionFinding,
    Diagnosis,
    Estimate,
    Limit,
    Prediction,
    Source,
    Verdict,
)

HOSTILE = "<script>alert('x')</script>\x1b[31mred\x1b]0;title\x07\u202e&\udcff"
"""Markup, terminal escapes, a right-to-left override and half a surrogate pair."""
GROUP_SIZE = 8
SHARES = ("accuracy", "mean_std", "silent", "all_right", "all_wrong", "silent_expected")


def estimate(value, half_width=0.01):
    return Estimate(value, value - half_width, value + half_width, "mean over groups; prompts are resampled")


def make_diagnosis():
    """Give the diagnosis of a run with two-valued rewards and a logged advantage column."""
    return Diagnosis(
        source=_source(),
        convention=_convention(),
        overall=_overall(),
        windows=_windows(),
        difficulty=_difficulty(),
        deciles=_deciles(),
        schemes=_schemes(),
        extremes=_extremes(),
        predictions=_predictions(),
        limits=(
            Limit(
                "Do prompts overlap in feature space?",
                "Overlap is a property of gradients, and a log of rewards holds none.",
                "Store per-prompt gradients of 64 prompts at one checkpoint and compare their directions.",
            ),
            Limit(
                "Is the curvature as large as the bound?",
                "The bound σ·C holds for any policy, but C needs second derivatives.",
                "Probe two directions of the checkpoint with forward-mode derivatives.",
            ),
        ),
        verdict=_verdict(),
    )


def make_bare_diagnosis():
    """Give the least there can be: graded rewards, no advantage column, one step, no theory that applies."""
    whole = make_diagnosis()
    missing = Estimate(math.nan, math.nan, math.nan, "rewards take more than two values")
    source = replace(
        whole.source,
        two_valued=False,
        reward_values=(-1.5, 2.25),
        steps=1,
        first_step=7,
        last_step=7,
        prompts=None,
    )
    convention = replace(
        whole.convention,
        status="absent",
        presets=(),
        normalization=None,
        sentence="The log holds no advantages, so nothing can be said about how they were made.",
        worst={},
        rows=0,
        largest_error=math.nan,
        candidates=whole.convention.candidates.iloc[:0],
    )
    schemes = whole.schemes.assign(
        cosine_to_logged=math.nan, kappa=math.nan, kappa_low=math.nan, kappa_high=math.nan
    )
    return replace(
        whole,
        source=source,
        convention=convention,
        overall={
            "accuracy": whole.overall["accuracy"],
            "mean_std": missing,
            "silent": whole.overall["silent"],
        },
        windows=whole.windows.iloc[:1].drop(columns=[c for c in whole.windows if "statistic" in c]),
        schemes=schemes,
        extremes=whole.extremes.iloc[:0],
        predictions=(),
        limits=(),
        verdict=Verdict("The effect cannot be predicted from graded rewards.", "undecided", (), ()),
    )


def make_hostile_diagnosis():
    """Give a diagnosis with hostile text wherever text of a log can end up."""
    whole = make_diagnosis()
    source = replace(
        whole.source,
        paths=(HOSTILE,),
        format=HOSTILE,
        why=HOSTILE,
        columns={"reward": HOSTILE},
        first_bad_rows=((HOSTILE, 3, HOSTILE),),
        notes=((HOSTILE, HOSTILE, 2),),
    )
    convention = replace(
        whole.convention,
        sentence=HOSTILE,
        differences=(HOSTILE,),
        worst=whole.convention.worst | {"group": HOSTILE},
        candidates=whole.convention.candidates.assign(convention=_column(HOSTILE, 4)),
    )
    verdict = replace(whole.verdict, headline=HOSTILE, reasons=(HOSTILE,), flags=((HOSTILE, HOSTILE),))
    return replace(
        whole,
        source=source,
        convention=convention,
        extremes=whole.extremes.assign(group=_column(HOSTILE, 3), cause=_column(HOSTILE, 3)),
        limits=(Limit(HOSTILE, HOSTILE, HOSTILE),),
        predictions=(Prediction(HOSTILE, estimate(1.2), HOSTILE, HOSTILE, (HOSTILE,)),),
        verdict=verdict,
    )


def _column(text, length):
    """A column of Python strings: those of Arrow cannot hold half a surrogate pair."""
    return pd.Series([text] * length, dtype=object)


def _source():
    return Source(
        paths=("runs/qwen-1.5b/completions",),
        format="trl",
        why="parquet files named completions_{step} with the columns prompt, completion and advantage",
        columns={
            "step": "step",
            "group": "prompt, num_generations rows at a time",
            "reward": "accuracy_reward",
            "advantage": "advantage",
        },
        rollouts=128_000,
        groups=16_000,
        prompts=7473,
        steps=250,
        first_step=1,
        last_step=250,
        group_sizes={8: 15_990, 7: 10},
        reward_values=(0.0, 1.0),
        two_valued=True,
        bad_rows=3,
        first_bad_rows=(("completions_00017.parquet", 41, "the reward is 'n/a', which is no number"),),
        notes=(("lost_members", "10 groups have 7 members where the others have 8.", 10),),
    )


def _convention():
    candidates = pd.DataFrame({
        "convention": ["trl", "verl", "group std, ddof 0, eps 0", "dr_grpo"],
        "largest_error": [3.1e-8, 1.9e-4, 0.065, 0.61],
        "share_matched": [1.0, 0.21, 0.18, 0.17],
    })
    return ConventionFinding(
        status="identified",
        presets=("trl", "ms_swift"),
        normalization=PRESETS["trl"],
        sentence="The advantages are those of trl and ms_swift: (r − mean)/(std + 1e-4) with the sample std.",
        differences=(),
        factor=1.0,
        second_pass=None,
        tolerance=6e-8,
        largest_error=3.1e-8,
        worst={"step": 12, "group": 331, "reward": 1.0, "logged": 2.47441, "computed": 2.474409},
        rows=16_384,
        candidates=candidates,
    )


def _overall():
    values = {
        "accuracy": 0.553,
        "mean_std": 0.312,
        "plugin_std": 0.281,
        "mean_variance": 0.118,
        "silent": 0.412,
        "all_right": 0.251,
        "all_wrong": 0.161,
        "silent_expected": 0.405,
        "silent_if_alike": 0.0103,
        "paper_statistic": 0.832,
        "sharp_statistic": 0.811,
        "std_over_max": 0.624,
    }
    return {name: estimate(value, 0.03 * value) for name, value in values.items()}


def _windows():
    first = 1 + 25 * np.arange(10)
    ramp = np.linspace(0, 1, 10)
    columns = {"first_step": first, "last_step": first + 24, "groups": np.full(10, 1600)}
    values = {
        "accuracy": 0.3 + 0.45 * ramp,
        "mean_std": 0.36 - 0.12 * ramp,
        "silent": 0.35 + 0.15 * ramp,
        "all_right": 0.08 + 0.32 * ramp,
        "all_wrong": 0.27 - 0.17 * ramp,
        "silent_expected": 0.34 + 0.15 * ramp,
    }
    values |= {"paper_statistic": 8 / 3 * values["mean_std"], "sharp_statistic": 2.598 * values["mean_std"]}
    for name, value in values.items():
        columns |= {name: value, f"{name}_low": 0.95 * value, f"{name}_high": 1.05 * value}
    return pd.DataFrame(columns)


def _advantage_sums():
    """Σ|A| of a group with k of 8 right, up to a factor, and the effective weight that goes with it."""
    p = np.arange(GROUP_SIZE + 1) / GROUP_SIZE
    variance = p * (1 - p)
    live = variance > 0
    scale = np.where(live, np.sqrt(np.where(live, variance, 1.0)), 1.0)
    divisors = {"none": 1.0, "group": scale, "batch": 0.4, "shrunk": (scale + 0.3) / 2, "variance": scale**2}
    return p, {name: variance / divisor for name, divisor in divisors.items()}, divisors


def _difficulty():
    p, sums, divisors = _advantage_sums()
    groups = np.array([2600, 1500, 1100, 950, 900, 1000, 1350, 2600, 4000])
    columns = {"low": p, "high": p, "groups": groups, "share_of_groups": groups / groups.sum()}
    for name in SCHEMES:
        weight = 1 / np.broadcast_to(divisors[name], p.shape)
        columns[f"weight_{name}"] = weight / np.average(weight, weights=groups)
        update = groups * sums[name]
        columns[f"update_{name}"] = update / update.sum()
    return pd.DataFrame(columns)


def _deciles():
    p, sums, _ = _advantage_sums()
    groups = np.array([2600, 1500, 1100, 950, 900, 1000, 1350, 2600, 4000])
    tenths = np.array_split(np.repeat(np.arange(p.size), groups), 10)
    columns = {
        "decile": np.arange(1, 11),
        "low": [p[part[0]] for part in tenths],
        "high": [p[part[-1]] for part in tenths],
    }
    for name in SCHEMES:
        update = np.array([sums[name][part].sum() for part in tenths])
        columns[f"update_{name}"] = update / update.sum()
    return pd.DataFrame(columns)


def _schemes():
    kappa = {"none": 1.0, "group": 1.046, "batch": 1.0, "shrunk": 1.031, "variance": 0.962}
    return pd.DataFrame({
        "scheme": list(SCHEMES),
        "description": list(SCHEMES.values()),
        "rms": 1.0,
        "largest": [2.31, 2.65, 2.31, 2.9, 4.2],
        "p99": [1.98, 2.65, 1.98, 2.4, 4.1],
        "share_zero": 0.412,
        "cosine_to_logged": [0.961, 1.0, 0.961, 0.99, 0.93],
        "kappa": list(kappa.values()),
        "kappa_low": [
            value - (0.012 if name not in {"none", "batch"} else 0) for name, value in kappa.items()
        ],
        "kappa_high": [
            value + (0.012 if name not in {"none", "batch"} else 0) for name, value in kappa.items()
        ],
    })


def _extremes():
    return pd.DataFrame({
        "step": [12, 40, 77],
        "group": [331, 90_011, 7],
        "reward": [1.0, 0.0, 1.0],
        "advantage": [2.47441, -2.47441, 2.2678],
        "size": [8, 8, 7],
        "mean": [0.125, 0.875, 0.142857],
        "std": [0.353553, 0.353553, 0.377964],
        "cause": ["one success in 8", "one failure in 8", "one success in 7"],
    })


def _predictions():
    return (
        Prediction(
            "κ_G, certified gain per step of the group std over none",
            Estimate(1.046, 1.031, 1.062, "fitted distribution of success rates; prompts are resampled"),
            "κ_G = (ΣE⟨g,ĝ⟩)²/(ΣσE‖ĝ‖²), GRPO over REINFORCE",
            "Ours, theory D4",
            ("prompts do not overlap", "two arms with features one apart", "each at its best certified step"),
        ),
        Prediction(
            "steps to 0.9 mean success, none over group std",
            Estimate(2.1, math.nan, math.nan, "no interval: the target lies beyond the fitted distribution"),
            "t = ∫ dp/(a(p)(p(1 − p))²)",
            "Ours, theory II.6",
            ("small steps", "full batch", "orthogonal two-arm prompts"),
        ),
    )


def _verdict():
    return Verdict(
        headline="Effect predicted by theory: dividing by the group std gains 3 to 6 % per certified step here.",
        leaning="keep",
        reasons=(
            "κ_G is 1.046 (95 %: 1.031 to 1.062): a small gain per step.",
            "41.2 % of groups are silent (95 %: 40.0 to 42.4 %), 25.1 % all right and 16.1 % all wrong.",
        ),
        flags=(
            ("trl", "GRPOConfig(scale_rewards='group')"),
            ("verl", "algorithm.norm_adv_by_std_in_grpo=True"),
        ),
    )
