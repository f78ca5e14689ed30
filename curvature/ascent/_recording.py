"""What is kept of a run, and the update itself, compiled."""

from __future__ import annotations

import numpy as np

from curvature.ascent._layout import (
    EXPECTED_REWARD,
    GRADIENT_NORM,
    LARGEST_REWARD_STD,
    NUM_POLICY_RECORDS,
    OBJECTIVE_GRADIENT_NORM,
    REWARD_STD,
    REWARD_STD_SPREAD,
    SQUARED_GRADIENT_NORM,
    SQUARED_GRADIENT_NORM_OVER_STD,
    STEP,
    UPDATE_NORM,
)
from curvature.ascent._numerics import aligned, compiled, fma
from curvature.ascent._policy import inverse_power


@compiled
def observe(problem, plan, state, records, slot, whole, norms, gradient):
    """Record what is known of the policy before the update, of every run that has not been stopped."""
    n = problem.weights.shape[0]
    W = state.theta.shape[1]
    mean, std, norm = whole.expected_reward.reshape(n, W), whole.reward_std.reshape(n, W), norms.reshape(n, W)
    for which in range(NUM_POLICY_RECORDS):
        row = plan.scalar_rows[which]
        if row >= 0:
            out = records.scalars[row, slot]
            _summarise(problem, which, mean, std, norm, gradient, out)
            for run in range(W):
                out[run] = out[run] if state.stopped_at[run] < 0 else np.nan
    for which in range(3):
        row = plan.prompt_rows[which]
        if row >= 0:
            source = mean if which == 0 else (std if which == 1 else norm)
            _copy(source, state.stopped_at, records.by_prompt[row, slot])
    if records.thetas.shape[0] > 0:
        _copy(state.theta, state.stopped_at, records.thetas[slot])


@compiled
def _copy(source, stopped_at, out):
    """Copy source (·, W) to out, NaN for runs that were stopped."""
    for i in range(source.shape[0]):
        for run in range(source.shape[1]):
            out[i, run] = source[i, run] if stopped_at[run] < 0 else np.nan


@compiled
def _summarise(problem, which, mean, std, norm, gradient, out):
    """One scalar record of all runs, out (W,), by its code."""
    n, W = mean.shape
    out.fill(0.0)
    if which == OBJECTIVE_GRADIENT_NORM:
        for k in range(gradient.shape[0]):
            for run in range(W):
                out[run] = fma(gradient[k, run], gradient[k, run], out[run])
    center = np.zeros(W)
    if which == REWARD_STD_SPREAD:
        for x in range(n):
            for run in range(W):
                center[run] = fma(problem.weights[x], std[x, run], center[run])
    for x in range(n):
        rho = problem.weights[x]
        if which in (EXPECTED_REWARD, REWARD_STD):
            source = mean[x] if which == EXPECTED_REWARD else std[x]
            for run in range(W):
                out[run] = fma(rho, source[run], out[run])
        elif which == REWARD_STD_SPREAD:
            for run in range(W):
                out[run] = fma(rho, (std[x, run] - center[run]) ** 2, out[run])
        elif which == LARGEST_REWARD_STD:
            for run in range(W):
                out[run] = max(out[run], std[x, run])
        elif which == GRADIENT_NORM:
            for run in range(W):
                out[run] = fma(rho, norm[x, run], out[run])
        elif which in (SQUARED_GRADIENT_NORM, SQUARED_GRADIENT_NORM_OVER_STD):
            for run in range(W):
                share = rho * norm[x, run] * norm[x, run]
                over = 1.0 if which == SQUARED_GRADIENT_NORM else inverse_power(std[x, run], 1.0)
                out[run] += share * over
    if which in (REWARD_STD_SPREAD, OBJECTIVE_GRADIENT_NORM):
        for run in range(W):
            out[run] = np.sqrt(out[run])


@compiled
def move(problem, plan, state, records, slot, iteration, alpha, v):
    """θ ← θ + αv for every run that stays in range; a run that would leave it is stopped where it is."""
    d, W = v.shape
    size, square = aligned(W), aligned(W)
    stays = np.empty(W, dtype=np.bool_)
    for run in range(W):
        size[run] = 0.0
        square[run] = 0.0
    for k in range(d):
        old, by = state.theta[k], v[k]
        for run in range(W):
            change = alpha[run] * by[run]
            square[run] = fma(change, change, square[run])
            size[run] += abs(old[run] + change)
    for run in range(W):
        # A NaN fails every comparison.
        stays[run] = size[run] <= problem.limit and state.stopped_at[run] < 0
    for k in range(d):
        old, by = state.theta[k], v[k]
        for run in range(W):
            old[run] = old[run] + alpha[run] * by[run] if stays[run] else old[run]
    for run in range(W):
        if slot >= 0 and state.stopped_at[run] < 0:
            keep(plan, records, STEP, slot, run, alpha[run])
            keep(plan, records, UPDATE_NORM, slot, run, np.sqrt(square[run]))
        if not stays[run] and state.stopped_at[run] < 0:
            state.stopped_at[run] = iteration


@compiled
def keep(plan, records, which, slot, run, value):
    """Store one scalar record if it is wanted."""
    if plan.scalar_rows[which] >= 0:
        records.scalars[plan.scalar_rows[which], slot, run] = value
