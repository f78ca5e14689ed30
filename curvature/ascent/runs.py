"""`ascend`: many runs at once, from what the caller says to a :class:`Trace`."""

from __future__ import annotations

import math
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from curvature.ascent._inputs import Request, read_request
from curvature.ascent._layout import ADAM, PROMPT_RECORDS, SCALAR_RECORDS, Problem, Records, State
from curvature.ascent._prepare import aligned_zeros, lay_out
from curvature.ascent.methods import Method
from curvature.ascent.trace import Trace
from curvature.bandit import LogLinearBandit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from curvature.advantages import Normalization
    from curvature.ascent.steps import LineSearch

__all__ = ["DEFAULT_RECORD", "ascend", "compile_engine"]

DEFAULT_RECORD = ("expected_reward", "reward_std", "gradient_norm")

# Multiply-adds between two looks at the progress bar: about half a second.
_WORK_PER_CALL = 2e10
# Fewer runs of one bandit than this go one by one: products with so few columns are slower than as many single ones.
_LEAST_PANEL = 24
_ENGINE_LOCK = threading.Lock()


def ascend(
    bandit: LogLinearBandit | Sequence[LogLinearBandit],
    method: str | Method = "grpo",
    *,
    step: float | ArrayLike | Callable[[int], float] | str | LineSearch,
    num_steps: int,
    theta0: ArrayLike | None = None,
    prompts: Literal["all", "one"] = "all",
    group_size: int | None = None,
    advantages: str | Normalization | None = None,
    exponent: float | None = None,
    seeds: int | Sequence[int] | NDArray[np.integer[Any]] = 0,
    record: Sequence[str] = DEFAULT_RECORD,
    every: int = 1,
    workers: int = 1,
    panel: int = 128,
    progress: bool = True,
) -> Trace:
    """Run θ ← θ + α·optimiser(Σ_x ω_x a_x g_x), many runs at once.

    Algorithms 1 and 2 of arXiv:2601.23135v1 are ``prompts="one"`` with methods "reinforce" and "grpo"; theory II.3
    and II.4 are about ``prompts="all"``. Kind: simulation, exact up to rounding unless group_size is given.

    Parameters
    ----------
    bandit : LogLinearBandit or sequence of LogLinearBandit
        One for all runs, or one a run, all with the same n, K and d.
    method : str or Method
        A key of METHODS, or a method of one's own: the weights a_x and the optimiser.
    step : float, array_like, callable, str or LineSearch
        α: a number; (R,), a number a run; a callable of the iteration t = 0 … T − 1, or (1 or R, T), a schedule;
        "certified", at each iteration the step of the largest certified gain (theory B1: see
        :func:`curvature.interference.certified_step`; with prompt weights, of ΣρJ), "certified_width", the same
        with the width of the features along the step in place of D‖P_xΔ‖; or a :class:`LineSearch`.
    num_steps : int
        T, the number of updates.
    theta0 : array_like, shape (d,) or (R, d), optional
        Where runs start; zero when left out.
    prompts : {"all", "one"}
        "all": every update is over all prompts, with ω_x = nρ_x, so that Δ = αΣ_x a_x g_x for uniform weights.
        "one": one prompt an update, x with probability ρ_x, ω_x = 1.
    group_size : int, optional
        G: replace each g_x by Σ_j A_j φ̄(y_j)/G over G responses sampled from the policy, φ̄ = φ − Eφ. Exact
        gradients when left out.
    advantages : str or Normalization, optional
        With group_size: how rewards become the A_j (see :func:`curvature.advantages.group_advantages`; a batch is
        the groups of one update). It decides the prompts' weights, so the method must have none of its own. When
        left out, the method's: mean baseline, and σ_x^(−e) or σ_b^(−e) of the sampled rewards, or 1/σ̃ of them.
    exponent : float, optional
        e of the methods "power", "batch" and "interference".
    seeds : int or sequence of int, shape (R,)
        What prompts and responses are drawn by; runs of equal seed draw equal numbers.
    record : sequence of str
        What to keep, by name: of a run "expected_reward" (ΣρJ_x), "reward_std" (Σρσ_x), "reward_std_spread" (std of
        σ_x over prompts), "largest_reward_std", "gradient_norm" (Σρ‖g_x‖), "squared_gradient_norm" (Σρ‖g_x‖²),
        "squared_gradient_norm_over_std" (Σρ‖g_x‖²/σ_x), "objective_gradient_norm" (‖Σρg_x‖), and of the update that
        follows "step", "update_norm" (‖Δ‖), "certified_gain" and "certified_gain_width" (what theory B1 promises
        this update of ΣρJ), "prompt"; of a prompt "expected_reward_by_prompt", "reward_std_by_prompt",
        "gradient_norm_by_prompt"; and "theta". All are exact, also where gradients are sampled.
    every : int
        Keep iterations 0, every, 2·every, … and T. Memory is that of the record.
    workers : int
        Threads. The result does not depend on it.
    panel : int
        Most runs to carry together; the result does not depend on it.
    progress : bool
        Show a progress bar on stderr where runs take more than two seconds.

    Returns
    -------
    Trace
        R runs, R being the common length of bandit, step, theta0 and seeds.

    Raises
    ------
    ValueError
        If a value or shape is not as above; the sentence holds the value.
    TypeError
        If an argument is of a type that is not as above.
    ImportError
        If numba is missing.

    Notes
    -----
    Symbols: α step, a weights, g gradients, ρ prompt weights, J expected reward, σ reward std, Δ update.

    A run depends on nothing but its own bandit, start, step and seed: it gives the same bytes alone, in any panel
    and for any number of workers. Sums run in a fixed order with explicit fused multiply-adds, and random numbers
    are hashes of (seed, iteration, prompt, draw): SplitMix64's finaliser applied to a counter under a 128-bit key
    per seed, and again per draw.

    Divergence is no error: a run whose update is not a number, or would take θ where logits may overflow, stops
    there, with NaN from then on and the reason in :attr:`Trace.reasons`. Probabilities below e^−708 count as 0.

    The first call on a machine compiles the engine, says so on stderr, and keeps it on disk.

    Examples
    --------
    >>> from curvature import LogLinearBandit
    >>> bandit = LogLinearBandit.orthogonal(8, 4, seed=0)
    >>> trace = ascend(bandit, "grpo", step="certified", num_steps=30)
    >>> trace
    Trace(grpo, 1 run of 30 certified steps; recorded expected_reward, reward_std, gradient_norm)
    >>> bool((np.diff(trace["expected_reward"]) > 0).all())
    True
    """
    request = read_request(
        bandit,
        method,
        step=step,
        num_steps=num_steps,
        theta0=theta0,
        prompts=prompts,
        group_size=group_size,
        advantages=advantages,
        exponent=exponent,
        seeds=seeds,
        record=record,
        every=every,
        workers=workers,
        panel=panel,
    )
    records = _empty_records(request)
    theta = np.empty_like(request.theta0)
    stopped_at = np.empty(request.num_runs, dtype=np.int64)
    tasks = _tasks(request, workers, panel)
    if tasks:
        _carry_out(request, tasks, workers, progress, records, theta, stopped_at)
    fixed = request.rule.name == "fixed"
    return Trace(
        method=request.method_name,
        step_rule=request.rule.name,
        num_steps=num_steps,
        iterations=request.iterations,
        records=records,
        theta=theta,
        seeds=request.seeds,
        fixed_step=request.steps[0].copy() if fixed else np.full(request.num_runs, np.nan),
        stopped_at=stopped_at,
    )


def compile_engine(*, announce: bool = True) -> None:
    """Compile the run engine, or load it where that was done before; the first :func:`ascend` does the same.

    Ours. For a build or a test session that starts many processes: without it each would compile for itself.

    Parameters
    ----------
    announce : bool
        Say on stderr that it is being compiled, and how long that took.

    Raises
    ------
    ImportError
        If numba is missing.

    Examples
    --------
    >>> compile_engine()
    """
    request = read_request(LogLinearBandit.two_arm([0.5]), "grpo", step=0.0, num_steps=0)
    _load_engine(request, lay_out(request.bandits[0], request.plan), _tasks(request, 1, 1)[0], announce)


class _Task(NamedTuple):
    """Runs to carry together: the index of their bandit, and theirs."""

    bandit: int
    runs: NDArray[np.intp]


def _tasks(request: Request, workers: int, panel: int) -> list[_Task]:
    """Cut the runs into panels of one bandit of about equal width, for each worker one at least where runs are many."""
    tasks: list[_Task] = []
    for index in range(len(request.bandits)):
        runs = np.flatnonzero(request.bandit_of_run == index)
        panels = max(workers, math.ceil(len(runs) / panel))
        # Multiples of eight runs fill whole vectors.
        width = min(panel, 8 * math.ceil(len(runs) / panels / 8))
        if request.plan.one_prompt or min(width, len(runs)) < _LEAST_PANEL:
            width = 1
        tasks += [_Task(index, runs[start : start + width]) for start in range(0, len(runs), width)]
    return tasks


def _carry_out(
    request: Request,
    tasks: list[_Task],
    workers: int,
    progress: bool,
    records: dict[str, NDArray[np.float64]],
    theta: NDArray[np.float64],
    stopped_at: NDArray[np.int64],
) -> None:
    from tqdm import tqdm

    plan = request.plan
    widths = {len(task.runs) for task in tasks}

    # Tasks come bandit by bandit, so that as many as there are workers are in use at a time.
    @lru_cache(maxsize=workers + 1)
    def problem_of(index: int) -> Problem:
        return lay_out(request.bandits[index], plan, panels=max(widths) > 1, singles=min(widths) == 1)

    advance = _load_engine(request, problem_of(tasks[0].bandit), tasks[0])
    bar = tqdm(
        total=request.num_runs * plan.num_steps,
        desc=f"ascend {request.method_name}",
        unit="step",
        unit_scale=True,
        delay=2,
        leave=False,
        disable=not progress,
    )

    def carry(task: _Task) -> None:
        problem = problem_of(task.bandit)
        state, kept, given = _start(request, task)
        n, K, d = problem.features.shape
        stride = max(1, int(_WORK_PER_CALL / (2 * n * K * d * len(task.runs))))
        for first in range(0, plan.num_steps + 1, stride):
            last = min(first + stride, plan.num_steps + 1)
            advance(problem, plan, state, given, kept, first, last)
            bar.update((min(last, plan.num_steps) - min(first, plan.num_steps)) * len(task.runs))
        _collect(request, task, state, kept, records, theta, stopped_at)

    with bar:
        if workers == 1 or len(tasks) == 1:
            for task in tasks:
                carry(task)
        else:
            with ThreadPoolExecutor(workers) as pool:
                for _ in pool.map(carry, tasks):
                    pass


def _start(request: Request, task: _Task) -> tuple[State, Records, NDArray[np.float64]]:
    """Make the arrays that a panel writes to, and its given steps."""
    plan, runs = request.plan, task.runs
    W, S = len(runs), len(request.iterations)
    n, d = request.bandits[0].num_prompts, request.bandits[0].dimension
    theta = aligned_zeros((d, W))
    theta[:] = request.theta0[runs].T
    adam = (d if plan.optimizer == ADAM else 0, W)
    state = State(
        theta=theta,
        first_moment=np.zeros(adam),
        second_moment=np.zeros(adam),
        past_norm=np.zeros(W),
        last_step=np.full(W, -1.0),
        stopped_at=np.full(W, -1, dtype=np.int64),
        key_1=request.keys[0, runs],
        key_2=request.keys[1, runs],
    )
    wanted = [int((rows >= 0).sum()) for rows in (plan.scalar_rows, plan.prompt_rows)]
    kept = Records(
        scalars=np.full((wanted[0], S, W), np.nan),
        by_prompt=np.full((wanted[1], S, n, W), np.nan),
        thetas=np.full((S if "theta" in request.record else 0, d, W), np.nan),
    )
    columns = request.steps[:, runs] if request.steps.shape[1] > 1 else np.repeat(request.steps, W, axis=1)
    return state, kept, np.ascontiguousarray(columns)


def _empty_records(request: Request) -> dict[str, NDArray[np.float64]]:
    R, S = request.num_runs, len(request.iterations)
    n, d = request.bandits[0].num_prompts, request.bandits[0].dimension
    shapes = {"theta": (R, S, d)} | dict.fromkeys(PROMPT_RECORDS, (R, S, n))
    return {name: np.empty(shapes.get(name, (R, S))) for name in request.record}


def _collect(
    request: Request,
    task: _Task,
    state: State,
    kept: Records,
    records: dict[str, NDArray[np.float64]],
    theta: NDArray[np.float64],
    stopped_at: NDArray[np.int64],
) -> None:
    """Put a panel's results in their place, runs first."""
    runs, plan = task.runs, request.plan
    theta[runs] = state.theta.T
    stopped_at[runs] = state.stopped_at
    for name, rows, source in (
        *((name, plan.scalar_rows[i], kept.scalars) for i, name in enumerate(SCALAR_RECORDS)),
        *((name, plan.prompt_rows[i], kept.by_prompt) for i, name in enumerate(PROMPT_RECORDS)),
    ):
        if rows >= 0:
            records[name][runs] = np.moveaxis(source[rows], -1, 0)
    if "theta" in records:
        records["theta"][runs] = np.moveaxis(kept.thetas, -1, 0)


def _load_engine(request: Request, problem: Problem, task: _Task, announce: bool = True) -> Any:
    """Load the engine; say on stderr if it has to be compiled."""
    try:
        from curvature.ascent import _engine as module
    except ImportError as error:
        if error.name not in {"numba", "llvmlite"}:
            raise
        raise ImportError("ascend needs numba: install it, as curvature's core dependencies do.") from error
    advance = module.advance
    with _ENGINE_LOCK:
        if advance.signatures:
            return advance
        start = time.perf_counter()
        timer = threading.Timer(
            2.0, _say, ("compiling the run engine, once on this machine; about half a minute.",)
        )
        if announce:
            timer.start()
        try:
            state, kept, given = _start(request, task)
            advance(problem, request.plan, state, given, kept, 0, 0)
        finally:
            timer.cancel()
        if announce and advance.stats.cache_misses:
            _say(f"compiled the run engine in {time.perf_counter() - start:.0f} s; it is kept on disk.")
    return advance


def _say(what: str) -> None:
    print(f"curvature: {what}", file=sys.stderr)
