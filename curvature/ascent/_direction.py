"""The direction of an update, compiled: of all prompts of a panel, or of the one prompt that a run draws."""

from __future__ import annotations

import numpy as np

from curvature.ascent._groups import draw, group_direction, to_advantages
from curvature.ascent._layout import INTERFERENCE, Lanes
from curvature.ascent._numerics import aligned, compiled, matmul, stream, uniform
from curvature.ascent._policy import inverse_power, respond_block, scale, sum_features, weigh


@compiled
def make_lanes(problem, plan, state, one):
    """Working arrays of all prompts of a panel, or (one) of the prompt that a single run draws."""
    n, K, _ = problem.features.shape
    W = state.theta.shape[1]
    blocks, width = (1, 1) if one else ((1, n) if W == 1 else (n, W))
    G = plan.group_size
    kept = width if G > 0 else 0
    lanes = Lanes(
        aligned(blocks * K * width).reshape(blocks, K, width),
        aligned(blocks * K * kept).reshape(blocks, K, kept),
        aligned(blocks * width).reshape(blocks, width),
        aligned(blocks * width).reshape(blocks, width),
        aligned(blocks * width).reshape(blocks, width),
        np.empty((blocks, width), dtype=np.uint64),
        np.empty((blocks, width), dtype=np.uint64),
        np.empty((blocks, width), dtype=np.uint64),
        np.empty((G, blocks, width), dtype=np.int64),
        aligned(G * blocks * width).reshape(G, blocks, width),
    )
    for block in range(blocks):
        for j in range(width):
            run, prompt = (j, block) if W > 1 else (0, j)
            lanes.prompt[block, j] = np.uint64(prompt)
            lanes.key_1[block, j] = state.key_1[run]
            lanes.key_2[block, j] = state.key_2[run]
    return lanes


@compiled
def draw_prompt(problem, state, iteration):
    """Draw the prompt of this iteration, x with probability ρ_x, from a stream of its own."""
    n = problem.weights.shape[0]
    counter = np.uint64(iteration) * np.uint64(n + 1) + np.uint64(n)
    target = uniform(stream(state.key_1[0], state.key_2[0], counter), np.uint64(0))
    target *= problem.cumulative_weights[n - 1]
    x = 0
    while problem.cumulative_weights[x] <= target:
        x += 1
    return x


@compiled
def whole_direction(problem, plan, whole, iteration, shared, v):
    """Compute v = Σ nρ_x a_x g_x over all prompts, g_x exact or from a group; whole.z is used up."""
    n = problem.weights.shape[0]
    W = v.shape[1]
    mean, std = whole.expected_reward.reshape(n, W), whole.reward_std.reshape(n, W)
    factor = whole.factor.reshape(n, W)
    if plan.group_size > 0:
        draw(whole, problem.rewards, shared, iteration, n)
        mean, std = np.empty((n, W)), np.empty((n, W))
        to_advantages(plan, whole.advantage.reshape(plan.group_size, n, W), mean, std)
    weigh(problem, plan, mean, std, problem.weights, factor)
    for x in range(n):
        for run in range(W):
            factor[x, run] *= n * problem.weights[x]
    if plan.group_size > 0:
        group_direction(whole)
    else:
        scale(whole.z, whole.factor)
    sum_features(problem, whole.z, v)


@compiled
def one_direction(problem, plan, state, one, prompt, iteration, all_std, v):
    """Compute v = a_x g_x of the prompt drawn, exact or from a group; all_std (n, 1) is read by 1/σ̃ alone."""
    d = v.shape[0]
    K = one.z.shape[1]
    n = problem.weights.shape[0]
    one.prompt[0, 0] = np.uint64(prompt)
    matmul(problem.features[prompt], state.theta, one.z.reshape(K, 1))
    scratch = (np.empty(1), np.empty(1), np.empty(1), np.empty(1))
    respond_block(one, 0, problem.own_rewards[prompt], problem.own_base[prompt], scratch)
    if plan.weighting == INTERFERENCE:
        total = 0.0
        for other in range(n):
            total += problem.overlap[prompt, other] * all_std[other, 0]
        one.factor[0, 0] = inverse_power(total, plan.exponent)
    else:
        weigh(problem, plan, one.expected_reward, one.reward_std, np.ones(1), one.factor)
    if plan.group_size > 0:
        draw(one, problem.own_rewards[prompt].reshape(K, 1), True, iteration, n)
        to_advantages(plan, one.advantage, np.empty((1, 1)), np.empty((1, 1)))
        group_direction(one)
    else:
        scale(one.z, one.factor)
    matmul(one.z.reshape(1, K), problem.features[prompt], v.reshape(1, d))
