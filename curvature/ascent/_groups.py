"""Groups of sampled responses, compiled: draws from counters, and their advantages by a trainer's convention.

The conventions are those of :func:`curvature.advantages.group_advantages`, which a test holds these to, preset by
preset; they are compiled here because every run and step is a batch of its own, drawn inside the engine.
"""

from __future__ import annotations

import numpy as np

from curvature.ascent._layout import (
    BATCH_BASELINE,
    BATCH_SPREAD,
    GROUP_SPREAD,
    OTHERS_BASELINE,
    OTHERS_SPREAD,
    POOLED_SPREAD,
)
from curvature.ascent._numerics import aligned, compiled, fma, stream, uniform

_TINY = 1e-290  # as in curvature.advantages: a variance below this has lost its digits


@compiled
def draw(lanes, rewards, shared, iteration, num_prompts):
    """Sample a group for every lane: the response whose cumulated probability first exceeds a uniform number.

    The number of draw g at iteration t for prompt x of a run depends on (seed, t, x, g) and nothing else.
    """
    blocks, K, width = lanes.p.shape
    G = lanes.choice.shape[0]
    cumulative = aligned(K * width).reshape(K, width)
    target = aligned(width)
    start = np.empty(width, dtype=np.uint64)
    step = np.uint64(iteration) * np.uint64(num_prompts + 1)
    for block in range(blocks):
        row, kept = cumulative[0], lanes.p[block, 0]
        for j in range(width):
            start[j] = stream(lanes.key_1[block, j], lanes.key_2[block, j], step + lanes.prompt[block, j])
            row[j] = kept[j]
        for k in range(1, K):
            before, row, kept = cumulative[k - 1], cumulative[k], lanes.p[block, k]
            for j in range(width):
                row[j] = before[j] + kept[j]
        total = cumulative[K - 1]
        for g in range(G):
            chosen, reward = lanes.choice[g, block], lanes.advantage[g, block]
            for j in range(width):
                # A number below 1 times the total stays below it, so some response always exceeds the target.
                target[j] = uniform(start[j], np.uint64(g)) * total[j]
                chosen[j] = 0
            for k in range(K - 1):
                row = cumulative[k]
                for j in range(width):
                    chosen[j] += row[j] <= target[j]
            for j in range(width):
                reward[j] = rewards[chosen[j], block if shared else j]


@compiled
def to_advantages(plan, advantage, mean, std):
    """Turn rewards (G, n, W) into advantages in place; mean and std (n, W) get those of the groups (ddof 0).

    Every convention but one is A = (r − group mean + shift)·factor, with shift and factor of the group or batch.
    """
    G, n, W = advantage.shape
    if G == 1 and (plan.baseline != BATCH_BASELINE or n == 1):
        # Groups of one have no spread: their advantage is 0 or the reward as it is.
        std.fill(0.0)
        if not plan.raw_singleton:
            advantage.fill(0.0)
        return
    for x in range(n):
        _center_groups(advantage, x, mean[x], std[x])
    if plan.spread == OTHERS_SPREAD:
        for x in range(n):
            for run in range(W):
                _leave_one_out(plan, advantage, x, run)
        return
    gain = G / (G - 1.0) if plan.baseline == OTHERS_BASELINE else 1.0
    center, batch_squares = np.zeros(W), np.zeros(W)
    if plan.spread >= BATCH_SPREAD or plan.baseline == BATCH_BASELINE:
        _batch_moments(plan, mean, std, center, batch_squares)
    factor, shift = np.empty(W), np.zeros(W)
    for x in range(n):
        for run in range(W):
            if plan.baseline == BATCH_BASELINE:
                shift[run] = mean[x, run] - center[run]
            factor[run] = gain
            if plan.spread == GROUP_SPREAD:
                squares = G * std[x, run] * std[x, run]
                factor[run] = gain / _divisor(plan, squares / max(G - plan.ddof, 1.0))
            elif plan.spread >= BATCH_SPREAD:
                squares = batch_squares[run] * (gain * gain if plan.spread == POOLED_SPREAD else 1.0)
                factor[run] = gain / _divisor(plan, squares / max(G * n - plan.ddof, 1.0))
        for g in range(G):
            row = advantage[g, x]
            for run in range(W):
                row[run] = (row[run] + shift[run]) * factor[run]


@compiled
def _center_groups(advantage, x, mean, std):
    """Subtract its mean from each group of a prompt; a group of equal rewards becomes exactly zero."""
    G, _, W = advantage.shape
    first = advantage[0, x].copy()
    for run in range(W):
        mean[run] = 0.0
        std[run] = 0.0
    for g in range(G):
        row = advantage[g, x]
        for run in range(W):
            row[run] -= first[run]
            mean[run] += row[run]
    for run in range(W):
        mean[run] /= G
    for g in range(G):
        row = advantage[g, x]
        for run in range(W):
            row[run] -= mean[run]
            std[run] = fma(row[run], row[run], std[run])
    for run in range(W):
        mean[run] += first[run]
        std[run] = np.sqrt(std[run] / G)


@compiled
def _batch_moments(plan, mean, std, center, squares):
    """Mean of all rewards of a run's batch, and Σ(r − it)²; about the group means where the spread is pooled."""
    n, W = mean.shape
    for run in range(W):
        for x in range(n):
            center[run] += (mean[x, run] - mean[0, run]) / n
        center[run] += mean[0, run]
        for x in range(n):
            between = 0.0 if plan.spread == POOLED_SPREAD else mean[x, run] - center[run]
            squares[run] += plan.group_size * fma(between, between, std[x, run] * std[x, run])


@compiled
def _divisor(plan, variance):
    """(spread + eps)^exponent of the convention."""
    variance = max(variance, plan.floor * plan.floor, _TINY)
    spread = np.sqrt(variance + plan.eps) if plan.inside else np.sqrt(variance) + plan.eps
    return spread if plan.power == 1.0 else max(spread**plan.power, 1e-300)


@compiled
def _leave_one_out(plan, advantage, x, run):
    """Divide each centred reward of a group by the spread of the others, where they differ and are enough."""
    G = advantage.shape[0]
    centered = advantage[:, x, run].copy()
    gain = G / (G - 1.0) if plan.baseline == OTHERS_BASELINE else 1.0
    freedom = G - 1.0 - plan.ddof
    for i in range(G):
        anchor = centered[0 if i > 0 else 1]
        differ, mean, squares = False, 0.0, 0.0
        for j in range(G):
            if j != i:
                differ = differ or centered[j] != anchor
                mean += (centered[j] - anchor) / (G - 1.0)
        for j in range(G):
            if j != i:
                away = centered[j] - anchor - mean
                squares = fma(away, away, squares)
        advantage[i, x, run] *= gain
        if differ and freedom >= 1.0:
            advantage[i, x, run] /= _divisor(plan, squares / freedom)


@compiled
def group_direction(lanes):
    """Turn advantages into the coefficients of Σ_j A_j φ̄(y_j)/G, times the lane's factor: z (blocks, K, lanes).

    φ̄ = φ − Eφ, so that the coefficient of response k is (Σ_j A_j [y_j = k] − p_k Σ_j A_j)/G.
    """
    blocks, K, width = lanes.z.shape
    G = lanes.choice.shape[0]
    total = aligned(width)
    for block in range(blocks):
        for k in range(K):
            row = lanes.z[block, k]
            for j in range(width):
                row[j] = 0.0
        for j in range(width):
            total[j] = 0.0
        for g in range(G):
            chosen, advantage = lanes.choice[g, block], lanes.advantage[g, block]
            for j in range(width):
                lanes.z[block, chosen[j], j] += advantage[j]
                total[j] += advantage[j]
        factor = lanes.factor[block]
        for k in range(K):
            row, p = lanes.z[block, k], lanes.p[block, k]
            for j in range(width):
                row[j] = (row[j] - p[j] * total[j]) * (factor[j] / G)
