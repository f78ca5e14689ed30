"""The policy at θ, compiled: products with the features, moments, per-prompt gradient norms, prompt weights."""

from __future__ import annotations

import numpy as np

from curvature.ascent._layout import BATCH, NONE, POWER
from curvature.ascent._numerics import aligned, compiled, entry, exp, fma, matmul


@compiled
def apply_features(problem, v, out):
    """Φ v for every response: out (blocks, K, lanes) from v (d, W)."""
    d, W = v.shape
    n, K, _ = problem.features.shape
    if W == 1:
        matmul(v.reshape(1, d), problem.lane_columns, out.reshape(1, n * K))
    else:
        matmul(problem.features.reshape(n * K, d), v, out.reshape(n * K, W))


@compiled
def sum_features(problem, z, out):
    """Σ z φ over prompts, then responses: out (d, W) from z (blocks, K, lanes)."""
    d, W = out.shape
    n, K, _ = problem.features.shape
    if W == 1:
        by_prompt = aligned(n * K).reshape(1, n * K)
        for k in range(K):
            for x in range(n):
                by_prompt[0, x * K + k] = z[0, k, x]
        matmul(by_prompt, problem.features.reshape(n * K, d), out.reshape(1, d))
    else:
        matmul(problem.columns, z.reshape(n * K, W), out)


@compiled
def respond(problem, lanes, shared):
    """Turn the logits of all lanes into w = p(r − J), and J and σ with them."""
    blocks, _, width = lanes.z.shape
    scratch = (aligned(width), aligned(width), aligned(width), aligned(width))
    if shared:
        for block in range(blocks):
            respond_block(lanes, block, problem.own_rewards[block], problem.own_base[block], scratch)
    else:
        respond_block(lanes, 0, problem.rewards, problem.base, scratch)


@compiled
def respond_block(lanes, block, rewards, base, scratch):
    """Respond for one block, whose rewards and base logits are (K,), the same in all lanes, or (K, lanes).

    As :func:`curvature.moments.moments`: rewards are taken relative to that of the likeliest response, and the
    variance is a centred sum.
    """
    z, mean, std = lanes.z[block], lanes.expected_reward[block], lanes.reward_std[block]
    top, top_reward, total, excess = scratch
    K, width = z.shape
    for j in range(width):
        top[j] = -np.inf
        top_reward[j] = 0.0
        total[j] = 0.0
        excess[j] = 0.0
    for k in range(K):
        row, r, b = z[k], rewards[k], base[k]
        for j in range(width):
            logit = row[j] + entry(b, j)
            row[j] = logit
            higher = logit > top[j]
            top[j] = logit if higher else top[j]
            top_reward[j] = entry(r, j) if higher else top_reward[j]
    for k in range(K):
        row = z[k]
        for j in range(width):
            row[j] = exp(row[j] - top[j])
    for k in range(K):
        row, r = z[k], rewards[k]
        for j in range(width):
            total[j] += row[j]
            excess[j] = fma(row[j], entry(r, j) - top_reward[j], excess[j])
    for j in range(width):
        total[j] = 1.0 / total[j]
        excess[j] *= total[j]
        mean[j] = top_reward[j] + excess[j]
        std[j] = 0.0
    if lanes.p.shape[2] > 0:
        for k in range(K):
            row, kept = z[k], lanes.p[block, k]
            for j in range(width):
                kept[j] = row[j] * total[j]
    for k in range(K):
        row, r = z[k], rewards[k]
        for j in range(width):
            advantage = (entry(r, j) - top_reward[j]) - excess[j]
            w = row[j] * total[j] * advantage
            row[j] = w
            std[j] = fma(w, advantage, std[j])
    for j in range(width):
        std[j] = np.sqrt(std[j])


@compiled
def gradient_norms(problem, lanes, shared, out):
    """‖g_x‖ for every lane, out (blocks, lanes), from w = p(r − J) and the coordinates in each prompt's span."""
    blocks, K, width = lanes.z.shape
    m = problem.span.shape[1]
    coordinates = aligned(m * width).reshape(m, width)
    for block in range(blocks):
        if shared:
            matmul(problem.span[block], lanes.z[block], coordinates)
        else:
            for c in range(m):
                row = coordinates[c]
                for j in range(width):
                    row[j] = 0.0
                for k in range(K):
                    own, w = problem.lane_span[c, k], lanes.z[block, k]
                    for j in range(width):
                        row[j] = fma(own[j], w[j], row[j])
        norm = out[block]
        for j in range(width):
            norm[j] = 0.0
        for c in range(m):
            row = coordinates[c]
            for j in range(width):
                norm[j] = fma(row[j], row[j], norm[j])
        for j in range(width):
            norm[j] = np.sqrt(norm[j])


@compiled
def inverse_power(spread, exponent):
    """spread^(−exponent), and 0 for a spread of 0: what it multiplies is 0 there."""
    if not spread > 0.0:
        return 0.0
    if exponent == 1.0:
        return 1.0 / spread
    if exponent == 2.0:
        return 1.0 / (spread * spread)
    return 1.0 if exponent == 0.0 else spread**-exponent


@compiled
def batch_std(mean, std, weights, run):
    """σ_b = √(Σρ(σ² + (J − Σρ J)²)) of a run, from J and σ of shape (n, W)."""
    n = mean.shape[0]
    center = 0.0
    for x in range(n):
        center = fma(weights[x], mean[x, run], center)
    variance = 0.0
    for x in range(n):
        between = mean[x, run] - center
        variance = fma(weights[x], fma(between, between, std[x, run] * std[x, run]), variance)
    return np.sqrt(variance)


@compiled
def weigh(problem, plan, mean, std, weights, out):
    """Prompt weights a_x of the method, out (n, W), from J and σ of shape (n, W)."""
    n, W = out.shape
    if plan.weighting == NONE:
        out.fill(1.0)
    elif plan.weighting == POWER:
        for x in range(n):
            for run in range(W):
                out[x, run] = inverse_power(std[x, run], plan.exponent)
    elif plan.weighting == BATCH:
        for run in range(W):
            value = inverse_power(batch_std(mean, std, weights, run), plan.exponent)
            for x in range(n):
                out[x, run] = value
    else:
        for x in range(n):
            for run in range(W):
                out[x, run] = 0.0
            for other in range(n):
                c = problem.overlap[x, other]
                for run in range(W):
                    out[x, run] = fma(c, std[other, run], out[x, run])
            for run in range(W):
                out[x, run] = inverse_power(out[x, run], plan.exponent)


@compiled
def scale(z, factor):
    """Multiply z (blocks, K, lanes) by factor (blocks, lanes) in place."""
    blocks, K, width = z.shape
    for block in range(blocks):
        by = factor[block]
        for k in range(K):
            row = z[block, k]
            for j in range(width):
                row[j] *= by[j]


@compiled
def like(z, wanted):
    """Make an array of the shape of z, or an empty one if it is not wanted."""
    blocks, K, width = z.shape if wanted else (0, 0, 0)
    return aligned(blocks * K * width).reshape(blocks, K, width)


@compiled
def weigh_by_prompt(problem, w, shared, out):
    """Multiply w (blocks, K, lanes) by ρ of each lane's prompt."""
    blocks, K, width = w.shape
    for block in range(blocks):
        for k in range(K):
            source, target = w[block, k], out[block, k]
            for j in range(width):
                target[j] = source[j] * problem.weights[block if shared else j]


@compiled
def copy_block(source, out):
    """Copy (blocks, K, lanes)."""
    blocks, K, width = source.shape
    for block in range(blocks):
        for k in range(K):
            for j in range(width):
                out[block, k, j] = source[block, k, j]
