"""The arrays and codes that the compiled engine works on.

A *lane* is a prompt of a run, and lanes come last: sums over the responses of a prompt are then additions of
whole rows of lanes. A panel of W runs that share a bandit has n blocks (one a prompt) of W lanes; a single run
has one block whose n lanes are its prompts.
"""

from __future__ import annotations

from typing import Any, NamedTuple

# Codes that the compiled modules compare with, and the names that callers use for them.
NONE, POWER, BATCH, INTERFERENCE = range(4)
WEIGHTINGS = {"none": NONE, "power": POWER, "batch": BATCH, "interference": INTERFERENCE}
PLAIN, NORMALIZED, ADAGRAD_NORM, ADAM = range(4)
OPTIMIZERS = {"plain": PLAIN, "normalized": NORMALIZED, "adagrad_norm": ADAGRAD_NORM, "adam": ADAM}
GIVEN, CERTIFIED, CERTIFIED_WIDTH, LINE_SEARCH = range(4)
NO_SPREAD, GROUP_SPREAD, BATCH_SPREAD, POOLED_SPREAD, OTHERS_SPREAD = range(5)
SPREADS = {
    "none": NO_SPREAD,
    "group": GROUP_SPREAD,
    "batch": BATCH_SPREAD,
    "pooled": POOLED_SPREAD,
    "leave-one-out": OTHERS_SPREAD,
}
MEAN_BASELINE, OTHERS_BASELINE, BATCH_BASELINE = range(3)
BASELINES = {"mean": MEAN_BASELINE, "leave-one-out": OTHERS_BASELINE, "batch": BATCH_BASELINE}

# What can be recorded once a run and iteration: of the policy, then of the update that follows.
(
    EXPECTED_REWARD,
    REWARD_STD,
    REWARD_STD_SPREAD,
    LARGEST_REWARD_STD,
    GRADIENT_NORM,
    SQUARED_GRADIENT_NORM,
    SQUARED_GRADIENT_NORM_OVER_STD,
    OBJECTIVE_GRADIENT_NORM,
    STEP,
    UPDATE_NORM,
    CERTIFIED_GAIN,
    CERTIFIED_GAIN_WIDTH,
    PROMPT,
) = range(13)
NUM_POLICY_RECORDS = OBJECTIVE_GRADIENT_NORM + 1
SCALAR_RECORDS = (
    "expected_reward",
    "reward_std",
    "reward_std_spread",
    "largest_reward_std",
    "gradient_norm",
    "squared_gradient_norm",
    "squared_gradient_norm_over_std",
    "objective_gradient_norm",
    "step",
    "update_norm",
    "certified_gain",
    "certified_gain_width",
    "prompt",
)
# What can be recorded once a prompt, run and iteration.
PROMPT_RECORDS = ("expected_reward_by_prompt", "reward_std_by_prompt", "gradient_norm_by_prompt")
NEEDS_GRADIENT_NORMS = {
    "gradient_norm",
    "squared_gradient_norm",
    "squared_gradient_norm_over_std",
    "gradient_norm_by_prompt",
}
NEEDS_OBJECTIVE_GRADIENT = {"objective_gradient_norm", "certified_gain", "certified_gain_width"}


class Problem(NamedTuple):
    """A bandit as the engine reads it; n prompts, K responses, dimension d."""

    features: Any  # (n, K, d), centred
    columns: Any  # (d, nK): their transpose, column x·K + k
    lane_columns: Any  # (d, Kn): the same, column k·n + x
    rewards: Any  # (K, n)
    base: Any  # (K, n): base logits, −inf where a response does not exist
    own_rewards: Any  # (n, K): the same
    own_base: Any  # (n, K)
    weights: Any  # (n,): ρ
    cumulative_weights: Any  # (n,)
    diameters: Any  # (n,), or (0,) where no rule reads it, as below
    span: Any  # (n, m, K): coordinates of the centred features in a basis of each prompt's span
    lane_span: Any  # (m, K, n): the same
    basis: Any  # (nq, d): orthonormal bases of the spans
    overlap: Any  # (n, n)
    limit: float  # largest Σ|θ_k| for which no logit can overflow


class Plan(NamedTuple):
    """What a run does, the same for all runs of a call."""

    num_steps: int
    every: int
    one_prompt: bool
    weighting: int
    exponent: float
    optimizer: int
    beta1: float
    beta2: float
    epsilon: float
    rule: int
    initial: float  # of the line search, as the three below
    shrink: float
    grow: float
    slope: float
    max_trials: int
    group_size: int  # 0 for exact gradients; the rest is the convention of the advantages
    spread: int
    baseline: int
    ddof: float
    eps: float
    inside: bool
    floor: float
    power: float
    raw_singleton: bool
    norms: bool  # whether per-prompt gradient norms are recorded
    objective_gradient: bool  # whether Σρg is needed
    lengths: bool  # whether D‖Pv‖ is needed
    widths: bool  # whether the width along v is needed
    scalar_rows: Any  # (len(SCALAR_RECORDS),): row of each scalar record, −1 if it is not wanted
    prompt_rows: Any  # (len(PROMPT_RECORDS),)


class State(NamedTuple):
    """What changes along a run, so that a run can be taken up again; W runs."""

    theta: Any  # (d, W)
    first_moment: Any  # (d, W) for Adam, else (0, W)
    second_moment: Any  # (d, W) for Adam, else (0, W)
    past_norm: Any  # (W,): root of AdaGrad-norm's sum of squares
    last_step: Any  # (W,): the line search's last accepted step
    stopped_at: Any  # (W,): the iteration at which the run diverged, −1 while it has not
    key_1: Any  # (W,) of uint64
    key_2: Any  # (W,) of uint64


class Records(NamedTuple):
    """What is kept; S recorded iterations, the last axis runs."""

    scalars: Any  # (wanted, S, W)
    by_prompt: Any  # (wanted, S, n, W)
    thetas: Any  # (S, d, W), or (0, d, W) if θ is not wanted


class Lanes(NamedTuple):
    """Working arrays of a set of prompts, shapes (..., blocks, lanes)."""

    z: Any  # (blocks, K, lanes): logits, then w = p(r − J), then what the direction is made from
    p: Any  # (blocks, K, lanes): probabilities, kept where responses are sampled, else (blocks, K, 0)
    expected_reward: Any  # (blocks, lanes)
    reward_std: Any  # (blocks, lanes)
    factor: Any  # (blocks, lanes): what w is multiplied by
    prompt: Any  # (blocks, lanes) of uint64: which prompt
    key_1: Any  # (blocks, lanes) of uint64
    key_2: Any  # (blocks, lanes) of uint64
    choice: Any  # (G, blocks, lanes) of int64: sampled responses
    advantage: Any  # (G, blocks, lanes): their rewards, then their advantages
