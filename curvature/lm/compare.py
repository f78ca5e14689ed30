"""Predicted speed-ups beside measured ones: what a run's first success rates say about how arms will compare.

The forecast is the flow of theory II.6 with finite groups: prompts learn independently, each from its own success rate
at the start. It has one free number, how far a unit of learning rate goes, and that is fitted to the reference arm
alone. Everything it says of another arm is out of sample.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature.groups import Interval
from curvature.lm._forecast import OPTIMIZERS
from curvature.lm._measured import LEVEL, final_success, mean_curve, paired_ratio, time_to
from curvature.lm._predicted import Model, Solution, certified
from curvature.lm._runs import Run, as_runs, read_run
from curvature.lm._windows import phases_of, summary_of, windows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["Comparison", "Run", "Speedup", "compare", "read_run"]

# Of the way from the start to the worst run's end.
_SHARES = (0.5, 0.75, 0.9)
# Rise in success below which there is no target.
_LEAST = 0.02
_ASSUMPTIONS = (
    "prompts are two-answer problems of one feature distance and orthogonal: an update on one moves no other",
    "small steps; the mean of the sampled gradient is followed, not its noise; every prompt is visited equally often",
    "one time scale, fitted to the reference arm alone by least squares of its mean learning curve",
)
_OPTIMIZER_ASSUMPTIONS = {
    "sgd": "an update is the learning rate times the gradient, at the learning rates the runs used",
    "adamw": "an update is the learning rate times the gradient over the RMS advantage, as a scale-invariant optimiser "
    "makes it while sampling noise is most of the gradient: only the factor across prompts is left",
}


@dataclass(frozen=True)
class Speedup:
    """How many times fewer steps than the reference an arm needs, predicted and measured.

    Attributes
    ----------
    arm : str
        Which.
    target : float
        The mean success rate to reach.
    predicted : Interval or None
        Of the flow at the learning rates that the runs used, over resampled prompts of the start; None for an arm
        whose weights the flow does not cover.
    predicted_at_one_rate : Interval or None
        The same if the arm had used the reference's learning rates.
    measured : Interval
        Geometric mean over paired seeds; no value unless every run reaches the target.
    reached : tuple of int
        Pairs of which both runs reach it, and pairs.
    steps : tuple of float
        Mean measured steps of the reference and of the arm (inf if a run never gets there).
    learning_rates : tuple of float
        Highest of the reference and of the arm.
    """

    arm: str
    target: float
    predicted: Interval | None
    predicted_at_one_rate: Interval | None
    measured: Interval
    reached: tuple[int, int]
    steps: tuple[float, float]
    learning_rates: tuple[float, float]


@dataclass(frozen=True)
class Comparison:
    """What :func:`compare` finds.

    Attributes
    ----------
    reference, optimizer : str
        The arm that others are set beside, and the optimiser of all.
    group_size, num_steps : int
        G, and the steps of the shortest run.
    seeds : dict of str to list of int
        Of each arm.
    start : dict of str to Interval
        "success" and "std": means over prompts at the start.
    time_scale : Interval
        αD²-like: log-odds a unit of learning rate, fitted to the reference.
    speedups : tuple of Speedup
        By arm and target.
    certified : dict
        Theory T4 for "group" over "none": "speedup", "iterations" and "prompts" at each target, when both take steps
        certified for them; what is certified is not what is tuned.
    curves : pandas.DataFrame
        arm, step, measured, low, high (over seeds) and predicted (NaN where there is no forecast).
    windows : pandas.DataFrame
        arm and, for windows of steps, mean σ of the reference, (8/3)·mean σ, 2.598·mean σ and the arm's lead.
    openings : dict of str to dict
        For each arm where statistics fall below 1 and where the lead opens (H6).
    phases : dict of str to dict
        For each arm what :func:`curvature.phases.phase_report` finds.
    assumptions : tuple of str
        Of the predictions.
    notes : tuple of str
        What could not be said, and why.
    """

    reference: str
    optimizer: str
    group_size: int
    num_steps: int
    seeds: dict[str, list[int]]
    start: dict[str, Interval]
    time_scale: Interval
    speedups: tuple[Speedup, ...]
    certified: dict[str, list[float]]
    curves: pd.DataFrame
    windows: pd.DataFrame
    openings: dict[str, dict[str, Any]]
    phases: dict[str, dict[str, Any]]
    assumptions: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data that JSON holds: numbers that are not finite become None.

        Returns
        -------
        dict
            Of lists, dicts, texts and numbers.
        """
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        for name in ("curves", "windows"):
            plain[name] = plain[name].to_dict(orient="list")
        plain["start"] = {name: asdict(one) for name, one in self.start.items()}
        plain["time_scale"] = asdict(self.time_scale)
        plain["speedups"] = [asdict(one) for one in self.speedups]
        return _finite(plain)

    def to_json(self, *, indent: int | None = 1) -> str:
        """Write :meth:`to_dict` as JSON.

        Parameters
        ----------
        indent : int, optional
            Of the text; None for one line.

        Returns
        -------
        str
            The text.
        """
        return json.dumps(self.to_dict(), indent=indent, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value


def compare(
    runs: Iterable[Run | str | Path],
    *,
    reference: str = "none",
    target: float | Sequence[float] | None = None,
    first_steps: int = 1,
    start: tuple[Any, Any] | None = None,
    num_windows: int = 8,
    num_resamples: int = 100,
    seed: int = 0,
) -> Comparison:
    """Set predicted time-to-target ratios t_reference/t_arm beside measured ones.

    Ours, theory II.5 and II.6, H4, H6. Kind: prediction (approximate) and measurement.

    The distribution of success rates at the start is fitted to counts k of G; from it, each arm's flow with the
    expected weight a_G(p) of its groups. Learning-rate schedules count as the runs had them.

    Holds when: see `assumptions` of the result. Nothing about a forecast holds by itself for a language model: the
    measured column says how far off it is.

    Parameters
    ----------
    runs : iterable of Run, str or Path
        Runs, or folders that training left; one for each arm and seed, all of one optimiser and group size.
    reference : str
        The arm that others are set beside.
    target : float or sequence of float, optional
        Mean success rates to reach; 50, 75 and 90 % of the way from the start to the end of the worst run when left
        out.
    first_steps : int
        Steps whose counts tell the start.
    start : pair of array_like of int, optional
        (k, G) of groups sampled from the policy at the start, in place of the first steps.
    num_windows : int
        Windows along training.
    num_resamples : int
        For intervals of predictions, at least 40.
    seed : int
        Of the resamples.

    Returns
    -------
    Comparison
        All of it.

    Raises
    ------
    ValueError
        If the reference or another arm is missing, or runs do not go together.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> def run(arm, seed, pace):
    ...     step = np.repeat(np.arange(60), 8)
    ...     right = rng.binomial(8, np.clip(0.2 + pace * step, 0, 0.95))
    ...     size, rate = np.full(step.size, 8), np.full(60, 0.1)
    ...     return Run(arm, seed, "adamw", step, np.tile(np.arange(8), 60), right, size, rate)
    >>> found = compare([run(a, s, p) for a, p in [("none", 0.01), ("group", 0.02)] for s in (0, 1)], target=0.6)
    >>> 1.5 < found.speedups[0].measured.value < 2.7
    True
    """
    of = as_runs(runs, reference)
    targets, notes = _targets(of, target)
    first = next(iter(of[reference].values()))
    G = _group_size(of)
    if first.optimizer not in OPTIMIZERS:
        raise ValueError(
            f"the optimizer is {first.optimizer!r}; forecasts are for {' and '.join(OPTIMIZERS)}."
        )
    counts, sizes, prompts = _start_counts(of, first_steps) if start is None else (*start, None)
    model = Model(of, reference, targets, G)
    names = {f"ratio {arm} {i}": (arm, i) for arm in model.others for i in range(len(targets))}
    functionals: dict[str, Callable[[Any], float]] = {
        "success": lambda f: f.success_mean,
        "std": lambda f: f.std_mean,
        "scale": lambda f: model.solve(f).log_scale,
    }
    for name, (arm, i) in names.items():
        functionals[name] = lambda f, arm=arm, i=i: model.solve(f).log_ratio[arm][i]
        functionals[f"{name} at one rate"] = lambda f, arm=arm, i=i: model.solve(f).log_ratio_at_one_rate[
            arm
        ][i]
    from curvature.groups import estimate

    found = estimate(
        counts, sizes, functionals, clusters=prompts, level=LEVEL, num_resamples=num_resamples, seed=seed
    )
    central = model.last_fit(counts, sizes)
    predicted, at_one_rate = (
        {key: _exponential(found[name + suffix]) for name, key in names.items()}
        for suffix in ("", " at one rate")
    )
    others = [arm for arm in of if arm != reference]
    windows = {arm: windows_of(of[reference], of[arm], num_windows) for arm in others}
    return Comparison(
        reference=reference,
        optimizer=first.optimizer,
        group_size=G,
        num_steps=first.num_steps,
        seeds={arm: list(each) for arm, each in of.items()},
        start={name: found[name] for name in ("success", "std")},
        time_scale=_exponential(found["scale"]),
        speedups=tuple(_speedups(of, reference, targets, predicted, at_one_rate)),
        certified=certified(central[0], targets, G),
        curves=_curves(of, model, central[1]),
        windows=_stacked(windows),
        openings={arm: summary_of(table) for arm, table in windows.items()},
        phases={arm: phases_of(of[reference], of[arm]) for arm in others},
        assumptions=(*_ASSUMPTIONS, _OPTIMIZER_ASSUMPTIONS[first.optimizer]),
        notes=notes,
    )


def _group_size(of: Mapping[str, Mapping[int, Run]]) -> int:
    sizes = np.unique(np.concatenate([run.size for each in of.values() for run in each.values()]))
    if sizes[-1] < 2:
        raise ValueError("groups have one answer each; a group of one teaches nothing.")
    # A group that lost an answer is near enough; the forecast is for the size that was asked for.
    return int(sizes[-1])


def _targets(
    of: Mapping[str, Mapping[int, Run]], target: float | Sequence[float] | None
) -> tuple[Array, tuple[str, ...]]:
    """Return the targets, and a note where runs give none."""
    if target is not None:
        given = np.atleast_1d(np.asarray(target, dtype=np.float64))
        if not ((given > 0) & (given < 1)).all():
            raise ValueError(f"target is {target}; success rates between 0 and 1 are needed.")
        return given, ()
    every = [run for each in of.values() for run in each.values()]
    begin = float(np.mean([run.success[: max(1, run.num_steps // 20)].mean() for run in every]))
    end = min(final_success(run) for run in every)
    if end < begin + _LEAST:
        worst = min(every, key=final_success)
        note = (
            f"{worst.name} ({worst.arm}, seed {worst.seed}) ends at {end:.3g} and runs start at {begin:.3g}: it learnt "
            "too little for a target, so there are no speed-ups; give a target, or leave the run out."
        )
        return np.empty(0), (note,)
    return begin + np.array(_SHARES) * (end - begin), ()


def _start_counts(of: Mapping[str, Mapping[int, Run]], first_steps: int) -> tuple[Any, Any, Any]:
    """Count right answers in the first steps; in step 0, where paired runs are the same samples, each seed once."""
    if first_steps < 1:
        raise ValueError(f"first_steps is {first_steps}; at least 1 is needed.")
    parts, seen = [], set()
    for each in of.values():
        for run in each.values():
            early = run.step < first_steps
            used = early & (run.step > 0) if run.seed in seen else early
            seen.add(run.seed)
            parts.append((run.right[used], run.size[used], run.group[used]))
    right, size, group = (np.concatenate(part) for part in zip(*parts, strict=True))
    return right, size, group


def _exponential(interval: Interval) -> Interval:
    low, value, high = (float(np.exp(end)) for end in (interval.low, interval.value, interval.high))
    return Interval(value, low, high, interval.method, interval.level)


def _speedups(
    of: Mapping[str, Mapping[int, Run]],
    reference: str,
    targets: Array,
    predicted: Mapping[tuple[str, int], Interval],
    at_one_rate: Mapping[tuple[str, int], Interval],
) -> Iterable[Speedup]:
    for arm, each in of.items():
        seeds = sorted(set(each) & set(of[reference]))
        if arm == reference:
            continue
        base, own = (
            np.array([time_to(runs[seed], targets) for seed in seeds]) for runs in (of[reference], each)
        )
        highest = [float(runs[seeds[0]].learning_rate.max()) for runs in (of[reference], each)]
        both = np.isfinite(base) & np.isfinite(own)
        for i, goal in enumerate(targets):
            yield Speedup(
                arm,
                float(goal),
                predicted.get((arm, i)),
                at_one_rate.get((arm, i)),
                paired_ratio(base[:, i], own[:, i]),
                (int(both[:, i].sum()), len(seeds)),
                (float(base[:, i].mean()), float(own[:, i].mean())),
                (highest[0], highest[1]),
            )


def _curves(of: Mapping[str, Mapping[int, Run]], model: Model, solution: Solution) -> pd.DataFrame:
    import pandas as pd

    tables = []
    for arm, each in of.items():
        measured, low, high = mean_curve(each)
        forecast = model.predicted(arm, solution) if arm in model.arms else np.full(measured.size, np.nan)
        columns = {"measured": measured, "low": low, "high": high, "predicted": forecast}
        tables.append(pd.DataFrame({"arm": arm, "step": np.arange(measured.size), **columns}))
    return pd.concat(tables, ignore_index=True)


def _stacked(windows: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    import pandas as pd

    tables = [table.assign(arm=arm) for arm, table in windows.items()]
    return pd.concat(tables, ignore_index=True)
