"""The compiled run engine: a panel of runs of one bandit, carried through its iterations.

One function is compiled, once a machine, and kept on disk. The runs of a panel share every load of the features;
nothing else is shared, and all sums run over responses, prompts and coordinates in one fixed order, so that a run
computes the same bits alone, in any panel, on any thread.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from curvature.ascent._direction import draw_prompt, make_lanes, one_direction, whole_direction
from curvature.ascent._layout import (
    CERTIFIED,
    CERTIFIED_GAIN,
    CERTIFIED_GAIN_WIDTH,
    GIVEN,
    INTERFERENCE,
    LINE_SEARCH,
    PROMPT,
)
from curvature.ascent._numerics import aligned
from curvature.ascent._policy import (
    apply_features,
    copy_block,
    gradient_norms,
    like,
    respond,
    sum_features,
    weigh_by_prompt,
)
from curvature.ascent._recording import keep, move, observe
from curvature.ascent._rules import (
    certified_gain,
    certified_step,
    inner_products,
    lengths,
    line_search,
    optimise,
    widths,
)

# The modules that are compiled into the engine.
SOURCES = (
    "_direction.py",
    "_engine.py",
    "_groups.py",
    "_layout.py",
    "_numerics.py",
    "_policy.py",
    "_recording.py",
    "_rules.py",
)


def _keyed_by_sources(digest: int) -> Any:
    """Make the engine, compiled on demand and kept on disk under a key that holds the digest of all its sources.

    numba's own key sees the file of the function alone, and would serve a stale engine after a change elsewhere;
    but it takes in the values that a function closes over.

    Returns
    -------
    numba dispatcher
        The engine.
    """

    @njit(nogil=True, error_model="numpy", cache=True)
    def advance(problem, plan, state, steps, records, first, last):
        """Carry a panel from iteration `first` to before `last`; the final policy is observed where last > T.

        Parameters
        ----------
        problem, plan, state, records
            As :mod:`curvature.ascent._layout` says. `state` and `records` are written to.
        steps : ndarray, shape (T or 1, W)
            Given steps; read by the rule that takes them.
        first, last : int
            Iterations.
        """
        if digest < 0:
            return
        n, _, d = problem.features.shape
        W = state.theta.shape[1]
        # One run's lanes are its prompts; a panel's are its runs, a block a prompt.
        shared = W > 1
        whole = make_lanes(problem, plan, state, False)
        one = make_lanes(problem, plan, state, True)
        std = whole.reward_std.reshape(n, W)
        norms = np.zeros(whole.reward_std.shape)
        v, gradient = aligned(d * W).reshape(d, W), np.zeros((d, W))
        alpha, slope = np.empty(W), np.zeros(W)
        reach, reach_width = np.empty((n, W)), np.empty((n, W))
        spare = like(whole.z, plan.objective_gradient)
        logits = like(whole.z, plan.rule == LINE_SEARCH)
        images = like(whole.z, plan.rule == LINE_SEARCH or plan.widths)
        for iteration in range(first, last):
            due = iteration % plan.every == 0 or iteration == plan.num_steps
            slot = -1
            if due:
                slot = (iteration + plan.every - 1) // plan.every
            prompt = -1
            if due or not plan.one_prompt or plan.rule != GIVEN or plan.weighting == INTERFERENCE:
                apply_features(problem, state.theta, whole.z)
                if plan.rule == LINE_SEARCH:
                    copy_block(whole.z, logits)
                respond(problem, whole, shared)
                if plan.norms and due:
                    gradient_norms(problem, whole, shared, norms)
                if plan.objective_gradient:
                    weigh_by_prompt(problem, whole.z, shared, spare)
                    sum_features(problem, spare, gradient)
                if due:
                    observe(problem, plan, state, records, slot, whole, norms, gradient)
            if iteration == plan.num_steps:
                break
            if plan.one_prompt:
                prompt = draw_prompt(problem, state, iteration)
                one_direction(problem, plan, state, one, prompt, iteration, std, v)
            else:
                whole_direction(problem, plan, whole, iteration, shared, v)
            optimise(plan, state, iteration, v)
            measured = due or plan.rule != GIVEN
            if plan.objective_gradient and measured:
                inner_products(gradient, v, slope)
            if plan.lengths and measured:
                lengths(problem, v, reach)
            if plan.rule == LINE_SEARCH or (plan.widths and measured):
                apply_features(problem, v, images)
            if plan.widths and measured:
                widths(problem, images, shared, reach_width.reshape(whole.reward_std.shape))
            if plan.rule == GIVEN:
                for run in range(W):
                    alpha[run] = steps[iteration if steps.shape[0] > 1 else 0, run]
            elif plan.rule == LINE_SEARCH:
                line_search(problem, plan, state, logits, images, whole.expected_reward, slope, shared, alpha)
            else:
                for run in range(W):
                    alpha[run] = certified_step(
                        problem.weights,
                        std,
                        reach if plan.rule == CERTIFIED else reach_width,
                        slope[run],
                        run,
                    )
            if due:
                for run in range(W):
                    if state.stopped_at[run] >= 0:
                        continue
                    keep(plan, records, PROMPT, slot, run, float(prompt))
                    if plan.lengths:
                        gain = certified_gain(problem.weights, std, reach, slope[run], alpha[run], run)
                        keep(plan, records, CERTIFIED_GAIN, slot, run, gain)
                    if plan.widths:
                        gain = certified_gain(problem.weights, std, reach_width, slope[run], alpha[run], run)
                        keep(plan, records, CERTIFIED_GAIN_WIDTH, slot, run, gain)
            move(problem, plan, state, records, slot, iteration, alpha, v)

    return advance


def _digest() -> int:
    joined = b"".join((Path(__file__).parent / source).read_bytes() for source in SOURCES)
    return int.from_bytes(hashlib.sha256(joined).digest()[:7], "big")


advance = _keyed_by_sources(_digest())
