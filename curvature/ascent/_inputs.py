"""Reading of `ascend`'s arguments: every complaint about them is made here, before any work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from curvature.ascent._layout import (
    BASELINES,
    CERTIFIED,
    CERTIFIED_WIDTH,
    GIVEN,
    NEEDS_GRADIENT_NORMS,
    NEEDS_OBJECTIVE_GRADIENT,
    OPTIMIZERS,
    PROMPT_RECORDS,
    SCALAR_RECORDS,
    SPREADS,
    WEIGHTINGS,
    Plan,
)
from curvature.ascent._prepare import run_keys
from curvature.ascent.methods import Method, resolve_method
from curvature.ascent.steps import StepRule, read_step
from curvature.bandit import LogLinearBandit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from curvature.advantages import Normalization

_RECORDS = (*SCALAR_RECORDS, *PROMPT_RECORDS, "theta")
_LARGEST_SEED = 2**64 - 1


class Request(NamedTuple):
    """What was asked for, checked: see :func:`curvature.ascent.ascend`.

    Attributes
    ----------
    bandits : list of LogLinearBandit
        The distinct ones.
    bandit_of_run : ndarray of int, shape (R,)
        Index of each run's.
    method_name : str
        For tables.
    plan : Plan
        What the engine is told.
    rule : StepRule
        The step rule.
    steps : ndarray, shape (1 or T, 1 or R)
        Given steps.
    theta0 : ndarray, shape (R, d)
        Where runs start.
    seeds : ndarray of uint64, shape (R,)
        Seeds.
    keys : ndarray of uint64, shape (2, R)
        What the engine hashes in their place.
    record : tuple of str
        What to keep, in the caller's order.
    iterations : ndarray of int, shape (S,)
        When.
    num_runs : int
        R.
    """

    bandits: list[LogLinearBandit]
    bandit_of_run: NDArray[np.intp]
    method_name: str
    plan: Plan
    rule: StepRule
    steps: NDArray[np.float64]
    theta0: NDArray[np.float64]
    seeds: NDArray[np.uint64]
    keys: NDArray[np.uint64]
    record: tuple[str, ...]
    iterations: NDArray[np.int64]
    num_runs: int


def read_request(
    bandit: Any,
    method: Any,
    *,
    step: Any,
    num_steps: Any,
    theta0: Any = None,
    prompts: Any = "all",
    group_size: Any = None,
    advantages: Any = None,
    exponent: Any = None,
    seeds: Any = 0,
    record: Any = (),
    every: Any = 1,
    workers: Any = 1,
    panel: Any = 1,
) -> Request:
    """Check the arguments of :func:`curvature.ascent.ascend`.

    Parameters
    ----------
    bandit, method, step, num_steps, theta0, prompts, group_size, advantages : object
        As there.
    exponent, seeds, record, every, workers, panel : object
        As there.

    Returns
    -------
    Request
        Everything in one form.

    Raises
    ------
    ValueError
        If a value or shape is wrong.
    TypeError
        If a type is wrong.
    """
    T = _whole("num_steps", num_steps, 0)
    every, _, _ = _whole("every", every, 1), _whole("workers", workers, 1), _whole("panel", panel, 1)
    if prompts not in {"all", "one"}:
        raise ValueError(f"prompts is {prompts!r}; choose 'all' or 'one'.")
    name, chosen = resolve_method(method, exponent)
    convention = _convention(name, chosen, prompts, group_size, advantages)
    rule = read_step(step, T)
    names = _record_names(record)
    bandits, of_run = _bandits(bandit)
    seed_list = _seeds(seeds)
    start = _start(theta0, bandits[0].dimension)
    sizes = {
        "bandit": len(of_run) if of_run is not None else 1,
        "step": rule.given.shape[1],
        "theta0": start.shape[0] if start.ndim == 2 else 1,
        "seeds": seed_list.size if seed_list.ndim else 1,
    }
    told = {argument: size for argument, size in sizes.items() if size != 1}
    if len(set(told.values())) > 1:
        listed = ", ".join(f"{argument} has {size}" for argument, size in told.items())
        raise ValueError(f"the numbers of runs do not agree: {listed}; give each one entry, or one a run.")
    R = max(told.values(), default=1)
    spread_seeds = np.broadcast_to(seed_list, (R,)).copy()
    plan = _plan(
        chosen, convention, rule, names, num_steps=T, every=every, one=prompts == "one", G=group_size
    )
    return Request(
        bandits=bandits,
        bandit_of_run=np.zeros(R, dtype=np.intp) if of_run is None or len(of_run) == 1 else of_run,
        method_name=name,
        plan=plan,
        rule=rule,
        steps=np.repeat(rule.given, R, axis=1) if rule.given.shape == (1, 1) else rule.given,
        theta0=np.broadcast_to(start, (R, bandits[0].dimension)).copy(),
        seeds=spread_seeds,
        keys=run_keys(spread_seeds),
        record=names,
        iterations=np.array([*range(0, T, every), T], dtype=np.int64),
        num_runs=R,
    )


def _whole(name: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{name} is {value!r}; a whole number of at least {least} is needed.")
    return int(value)


def _convention(
    name: str, method: Method, prompts: str, group_size: Any, advantages: Any
) -> Normalization | None:
    """Find how sampled rewards become advantages; None for exact gradients."""
    from curvature.advantages import Normalization
    from curvature.advantages.presets import resolve

    if group_size is None:
        if advantages is not None:
            raise ValueError(f"advantages is {advantages!r}, but gradients are exact: give a group_size.")
        return None
    G = _whole("group_size", group_size, 1)
    if advantages is not None:
        if method.weighting != "none":
            raise ValueError(
                f"advantages={advantages!r} decides what prompts are divided by, and so does method={name!r}: take "
                "method='reinforce' or an optimiser."
            )
        convention = resolve(advantages)
    elif method.weighting == "interference":
        if prompts == "one":
            raise ValueError(
                f"method={name!r} needs the reward std of every prompt, and prompts='one' samples one of them."
            )
        convention = Normalization(spread="none")
    else:
        spread = {"none": "none", "power": "group", "batch": "batch"}[method.weighting]
        convention = Normalization(spread=spread, exponent=method.exponent)  # type: ignore[arg-type]  # one of its names
    if G == 1 and convention.singleton in {"nan", "raise"}:
        raise ValueError(
            f"group_size is 1, which advantages={advantages!r} give no advantage; take a group_size of at least 2."
        )
    return convention


def _record_names(record: Any) -> tuple[str, ...]:
    if isinstance(record, str):
        raise TypeError(f"record is {record!r}; a sequence of names is needed: record=({record!r},).")
    names = tuple(record)
    for name in names:
        if name not in _RECORDS:
            raise ValueError(f"record holds {name!r}; choose among {', '.join(_RECORDS)}.")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"record holds {twice!r} twice; name each quantity once.")
    return names


def _bandits(bandit: Any) -> tuple[list[LogLinearBandit], NDArray[np.intp] | None]:
    """Return the distinct bandits and which of them each run has; None where all runs share one."""
    if isinstance(bandit, LogLinearBandit):
        return [bandit], None
    if not isinstance(bandit, Sequence) or not all(isinstance(one, LogLinearBandit) for one in bandit):
        raise TypeError(
            f"bandit is a {type(bandit).__name__}; a LogLinearBandit or a sequence of them is needed."
        )
    if not bandit:
        raise ValueError("bandit is an empty sequence; give one LogLinearBandit a run.")
    first = bandit[0].features.shape
    for i, one in enumerate(bandit):
        if one.features.shape != first:
            raise ValueError(
                f"bandit[{i}] has (n, K, d) = {one.features.shape} and bandit[0] has {first}; runs of one call need "
                "bandits of one shape."
            )
    distinct = {id(one): one for one in bandit}
    position = {key: index for index, key in enumerate(distinct)}
    return list(distinct.values()), np.array([position[id(one)] for one in bandit], dtype=np.intp)


def _seeds(seeds: Any) -> NDArray[np.uint64]:
    listed = seeds if isinstance(seeds, int | np.integer) else list(seeds)
    for seed in [listed] if isinstance(listed, int | np.integer) else listed:
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed <= _LARGEST_SEED:
            raise ValueError(f"seeds holds {seed!r}; whole numbers from 0 to 2^64 − 1 are needed.")
    array = np.array(listed, dtype=np.uint64)
    if array.size == 0:
        raise ValueError("seeds is empty; give one seed, or one a run.")
    return array


def _start(theta0: Any, dimension: int) -> NDArray[np.float64]:
    if theta0 is None:
        return np.zeros(dimension)
    start = np.asarray(theta0, dtype=np.float64)
    if start.ndim not in {1, 2} or start.shape[-1] != dimension or start.shape[0] == 0:
        raise ValueError(
            f"theta0 has shape {start.shape}; ({dimension},) or (num_runs, {dimension}) is needed to match the bandit."
        )
    if not (np.abs(start) <= 1e100).all():
        value = start[~(np.abs(start) <= 1e100)][0]
        raise ValueError(f"theta0 holds {value}; every value must be a number of at most 1e100 in size.")
    return start


def _plan(
    method: Method,
    convention: Normalization | None,
    rule: StepRule,
    names: tuple[str, ...],
    *,
    num_steps: int,
    every: int,
    one: bool,
    G: int | None,
) -> Plan:
    from curvature.advantages import Normalization

    wanted = set(names)
    weighting = method.weighting
    if convention is not None and weighting != "interference":
        weighting = "none"  # the advantages are divided already
    advantages = replace(convention or Normalization(), source="")
    search = rule.search
    return Plan(
        num_steps=num_steps,
        every=every,
        one_prompt=one,
        weighting=WEIGHTINGS[weighting],
        exponent=float(method.exponent),
        optimizer=OPTIMIZERS[method.optimizer],
        beta1=float(method.beta1),
        beta2=float(method.beta2),
        epsilon=float(method.epsilon),
        rule=rule.code,
        initial=float(search.initial),
        shrink=float(search.shrink),
        grow=float(search.grow),
        slope=float(search.slope),
        max_trials=int(search.max_trials),
        group_size=0 if convention is None else int(G or 0),
        spread=SPREADS[advantages.spread],
        baseline=BASELINES[advantages.baseline],
        ddof=float(advantages.ddof),
        eps=float(advantages.eps),
        inside=advantages.placement == "inside",
        floor=float(advantages.floor),
        power=float(advantages.exponent),
        raw_singleton=advantages.singleton == "raw",
        norms=bool(wanted & NEEDS_GRADIENT_NORMS),
        objective_gradient=rule.code != GIVEN or bool(wanted & NEEDS_OBJECTIVE_GRADIENT),
        lengths=rule.code == CERTIFIED or "certified_gain" in wanted,
        widths=rule.code == CERTIFIED_WIDTH or "certified_gain_width" in wanted,
        scalar_rows=_rows(SCALAR_RECORDS, wanted),
        prompt_rows=_rows(PROMPT_RECORDS, wanted),
    )


def _rows(known: Sequence[str], wanted: set[str]) -> NDArray[np.int64]:
    """Give each wanted name its number among the wanted ones, in the order of the known ones; −1 to the others."""
    present = np.array([name in wanted for name in known])
    return np.where(present, np.cumsum(present) - 1, -1).astype(np.int64)
