"""From a direction to an update, compiled: the optimiser, the certified step and the line search."""

from __future__ import annotations

import math

import numpy as np

from curvature.ascent._layout import ADAGRAD_NORM, ADAM, PLAIN
from curvature.ascent._numerics import aligned, compiled, entry, exp, fma, matmul, psi

_MOST_NEWTON_STEPS = 200


@compiled
def optimise(plan, state, iteration, v):
    """Put the optimiser behind the direction v (d, W), in place."""
    d, W = v.shape
    if plan.optimizer == PLAIN:
        return
    if plan.optimizer == ADAM:
        # 1 − β^t, the share of the decayed average that has been seen so far.
        seen_1 = 1.0 - plan.beta1 ** (iteration + 1.0)
        seen_2 = 1.0 - plan.beta2 ** (iteration + 1.0)
        for k in range(d):
            for run in range(W):
                g = v[k, run]
                first = fma(plan.beta1, state.first_moment[k, run], (1.0 - plan.beta1) * g)
                second = fma(plan.beta2, state.second_moment[k, run], (1.0 - plan.beta2) * g * g)
                state.first_moment[k, run] = first
                state.second_moment[k, run] = second
                v[k, run] = _ratio(first / seen_1, np.sqrt(second / seen_2) + plan.epsilon)
        return
    largest, norm = np.empty(W), np.empty(W)
    largest_entries(v, largest)
    for run in range(W):
        norm[run] = _scaled_norm(v, 0, d, largest[run], run)
        if plan.optimizer == ADAGRAD_NORM:
            both = max(norm[run], state.past_norm[run])
            if both > 0.0:
                here, past = norm[run] / both, state.past_norm[run] / both
                state.past_norm[run] = both * np.sqrt(fma(here, here, past * past))
            norm[run] = state.past_norm[run]
        for k in range(d):
            v[k, run] = _ratio(v[k, run], norm[run] + plan.epsilon)


@compiled
def largest_entries(a, out):
    """Find max|a| of every run, out (W,), from a (·, W)."""
    for run in range(a.shape[1]):
        out[run] = 0.0
    for k in range(a.shape[0]):
        for run in range(a.shape[1]):
            out[run] = max(out[run], abs(a[k, run]))


@compiled
def _scaled_norm(a, first, last, largest, run):
    """Compute the norm of rows first to last of a run's column, whose squares might underflow unless scaled."""
    if not largest > 0.0:
        return 0.0
    squares = 0.0
    for k in range(first, last):
        share = a[k, run] / largest
        squares = fma(share, share, squares)
    return largest * np.sqrt(squares)


@compiled
def _ratio(numerator, divisor):
    """Divide, with 0/0 = 0."""
    return 0.0 if numerator == 0.0 else numerator / divisor


@compiled
def inner_products(a, b, out):
    """Compute ⟨a, b⟩ of every run, out (W,), from a, b (d, W)."""
    d, W = a.shape
    for run in range(W):
        out[run] = 0.0
    for k in range(d):
        for run in range(W):
            out[run] = fma(a[k, run], b[k, run], out[run])


@compiled
def lengths(problem, v, out):
    """Compute D_x‖P_x v‖/2 of every prompt and run, out (n, W)."""
    n, W = out.shape
    rows = problem.basis.shape[0] // n
    coordinates = aligned(n * rows * W).reshape(n * rows, W)
    matmul(problem.basis, v, coordinates)
    largest = np.empty(W)
    largest_entries(coordinates, largest)
    for x in range(n):
        for run in range(W):
            norm = _scaled_norm(coordinates, x * rows, (x + 1) * rows, largest[run], run)
            out[x, run] = 0.5 * problem.diameters[x] * norm


@compiled
def widths(problem, images, shared, out):
    """Compute (max_y⟨φ_y, v⟩ − min_y⟨φ_y, v⟩)/2 of every lane, out (blocks, lanes), from images = Φv."""
    blocks, K, width = images.shape
    for block in range(blocks):
        for j in range(width):
            high, low = -np.inf, np.inf
            for k in range(K):
                if problem.base[k, block if shared else j] > -np.inf:
                    high = max(high, images[block, k, j])
                    low = min(low, images[block, k, j])
            out[block, j] = 0.5 * (high - low)


@compiled
def certified_step(weights, std, reach, slope, run):
    """Maximise the certified gain α·slope − Σ ρσψ(α·reach) of a run; 0 where it cannot ascend."""
    # In u = α·longest and r = reach/longest the derivative is slope/longest − Σ ρσr(e^(ur) − 1), up to a factor,
    # and falls with u. Each prompt alone bounds its root from above, and from above Newton's method comes down to
    # it without ever passing it.
    n = weights.shape[0]
    longest = 0.0
    for x in range(n):
        if std[x, run] > 0.0:
            longest = max(longest, reach[x, run])
    if not slope > 0.0 or longest == 0.0:
        return 0.0
    promise = slope / longest
    u = np.inf
    for x in range(n):
        r = reach[x, run] / longest
        c = weights[x] * std[x, run] * r
        if c > 0.0:
            u = min(u, math.log1p(promise / c) / r)
    for _ in range(_MOST_NEWTON_STEPS):
        excess, rate = -promise, 0.0
        for x in range(n):
            r = reach[x, run] / longest
            c = weights[x] * std[x, run] * r
            if c > 0.0:
                excess = fma(c, psi(u * r) + u * r, excess)
                rate = fma(c * r, exp(u * r), rate)
        change = excess / rate
        if not change > 1e-15 * u:
            break
        u -= change
    return u / longest


@compiled
def certified_gain(weights, std, reach, slope, alpha, run):
    """Compute what a step of length α is sure to gain: α·slope − Σ ρσψ(α·reach)."""
    gain = alpha * slope
    for x in range(weights.shape[0]):
        s = alpha * reach[x, run]
        if s > 0.0 and std[x, run] > 0.0:
            gain -= weights[x] * std[x, run] * (psi(s) if s < 700.0 else np.inf)
    return gain


@compiled
def line_search(problem, plan, state, logits, images, mean, slope, shared, alpha):
    """Shorten each run's step until J(θ + αv) ≥ J(θ) + slope_fraction·α⟨∇J, v⟩; 0 where no trial will do.

    logits and images = Φv are (blocks, K, lanes) and mean = J(θ) is (blocks, lanes): a trial costs no product
    with the features.
    """
    W = alpha.shape[0]
    gain = np.empty(W)
    settled = np.empty(W, dtype=np.bool_)
    open_runs = 0
    for run in range(W):
        settled[run] = not slope[run] > 0.0 or state.stopped_at[run] >= 0
        first = state.last_step[run] < 0.0
        alpha[run] = plan.initial if first else plan.grow * state.last_step[run]
        if settled[run]:
            alpha[run] = 0.0
        else:
            open_runs += 1
    for _ in range(plan.max_trials):
        if open_runs == 0:
            return
        _gains(problem, logits, images, mean, alpha, shared, gain)
        for run in range(W):
            if settled[run]:
                continue
            if gain[run] >= plan.slope * alpha[run] * slope[run]:
                settled[run] = True
                state.last_step[run] = alpha[run]
                open_runs -= 1
            else:
                alpha[run] *= plan.shrink
    for run in range(W):
        if not settled[run]:
            alpha[run] = 0.0


@compiled
def _gains(problem, logits, images, mean, alpha, shared, out):
    """Compute Σρ(J(θ + αv) − J(θ)) of every run, out (W,)."""
    blocks, K, width = logits.shape
    scratch = aligned((4 + K) * width).reshape(4 + K, width)
    out.fill(0.0)
    if not shared:
        _trial(logits[0], images[0], problem.rewards, problem.base, alpha[0], scratch)
        for x in range(width):
            out[0] = fma(problem.weights[x], scratch[1, x] - mean[0, x], out[0])
        return
    for block in range(blocks):
        rewards, base = problem.own_rewards[block], problem.own_base[block]
        _trial(logits[block], images[block], rewards, base, alpha, scratch)
        for run in range(width):
            out[run] = fma(problem.weights[block], scratch[1, run] - mean[block, run], out[run])


@compiled
def _trial(logits, images, rewards, base, alpha, scratch):
    """Compute J of a block's lanes at θ + αv, into scratch[1]; the arithmetic of the policy without its gradient."""
    K, width = logits.shape
    top, mean, total, excess = scratch[0], scratch[1], scratch[2], scratch[3]
    for j in range(width):
        top[j] = -np.inf
        mean[j] = 0.0
        total[j] = 0.0
        excess[j] = 0.0
    for k in range(K):
        row, r, b, start, image = scratch[4 + k], rewards[k], base[k], logits[k], images[k]
        for j in range(width):
            logit = fma(entry(alpha, j), image[j], start[j]) + entry(b, j)
            row[j] = logit
            higher = logit > top[j]
            top[j] = logit if higher else top[j]
            mean[j] = entry(r, j) if higher else mean[j]
    for k in range(K):
        row = scratch[4 + k]
        for j in range(width):
            row[j] = exp(row[j] - top[j])
    for k in range(K):
        row, r = scratch[4 + k], rewards[k]
        for j in range(width):
            total[j] += row[j]
            excess[j] = fma(row[j], entry(r, j) - mean[j], excess[j])
    for j in range(width):
        mean[j] += excess[j] / total[j]
