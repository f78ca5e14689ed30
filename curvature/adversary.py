"""Worst-case search: the instance that comes closest to breaking an inequality.

An :class:`Inequality` says measured ≤ bound for every prompt of a bandit, at θ or at two points θ and θ + Δ. A
:class:`StepClaim` says it about several prompts at once, usually about what a step gains. :func:`worst_case` looks for
the instance with the largest ratio measured/bound, every ratio computed by the public functions the claim itself
calls: a wide random sample, minimisers of scipy from the best of it (truncated Newton in a box), evolution
(differential evolution, for claims about a step), and Nelder–Mead to polish. What is found is a :class:`WorstCase`,
which can be stored as JSON and replayed to the last bit.

To state a claim of your own about several prompts, write down its two sides:

>>> import numpy as np
>>> from curvature.adversary import StepClaim, worst_case
>>> def sides(prompts, step):
...     def gain(weights):
...         direction = prompts.ascent(weights)
...         unit = direction / np.linalg.norm(direction, axis=-1, keepdims=True)
...         return prompts.gain(step * unit).sum(axis=-1)
...     return gain(1.0), gain(1 / prompts.reward_std)
>>> claim = StepClaim("GRPO's step gains more than REINFORCE's of the same length", sides, steps=(0.01, 10.0))
>>> found = worst_case(claim, num_prompts=2, num_responses=2, dimension=1, overlap=0.0, starts=50, restarts=1)
>>> found.ratio > 1.5, found.replay(claim) == found.ratio
(True, True)

:meth:`StepClaim.of_bandits` takes sides written for one bandit at a time, in terms of any function of this package.

Why small instances suffice, and are searched first. For a unit vector u, uᵀ∇²J u and ⟨u, ∇J⟩ depend on the
features only through their projections ⟨u, φ⟩, and neither the diameter nor the spectral norm of the features
grows under projection: a bound on ‖∇²J‖ or ‖∇J‖ in D or X has its worst case at d = 1. With a displacement Δ
there is a second direction, so d = 2. For K: at d = 1 and a fixed reward level a bound in D is a statement about
the law of (⟨u, φ⟩, r) which is linear in that law once two or three of its moments are fixed, and the extreme
laws of such a problem have at most one atom more than there are moments: K ≤ 4. The ledger searches K up to 6
and d up to 3 all the same, so that this argument is tested and not presupposed. A claim about n prompts and a sum of
their gains is searched for n ≤ 3: what two prompts cannot break by pulling against each other a third may.

Base logits may be free although the paper has none: one more coordinate ε b_xy, with θ = 1/ε there, gives the
same policy with features as close to the given ones as one likes, so the supremum is the same. The search over
θ with a uniform base (``base="uniform"``) is the paper's own setting, dimension by dimension.

On the way derivatives are taken, and why not by autodiff, see :mod:`curvature._search`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from curvature._inequality import Inequality
from curvature._search import Stage
from curvature._search_tasks import Shape, Task, run_tasks
from curvature._step_claim import Prompts, StepClaim
from curvature.bandit import LogLinearBandit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["Inequality", "Prompts", "Stage", "StepClaim", "WorstCase", "worst_case"]

RewardChoice = Literal["one_correct", "binary", "real"]
BaseChoice = Literal["free", "uniform"]


@dataclass(frozen=True)
class WorstCase:
    """The instance with the largest ratio that a search found, and how it was found.

    Attributes
    ----------
    inequality : str
        The name of the inequality attacked.
    ratio : float
        measured/bound there.
    bandit : LogLinearBandit
        One prompt; for a claim about several, all of them.
    theta : ndarray, shape (d,)
        The first point.
    displacement : ndarray of shape (d,), or None
        Δ, for a claim about θ and θ + Δ.
    trace : tuple of float
        The best ratio after the sample, after each restart, and after the polish.
    evaluations : int
        Instances whose ratio was computed.
    step : float or None
        Its step, for a claim about one.
    stages : tuple of Stage
        Name, best ratio and number of evaluations after each part of the search; ``trace`` holds the same ratios.

    Examples
    --------
    >>> found = WorstCase("L1", 0.6, LogLinearBandit.two_arm([0.1]), np.zeros(1), None, (0.6,), 1)
    >>> WorstCase.from_dict(found.to_dict()) == found
    True
    """

    inequality: str
    ratio: float
    bandit: LogLinearBandit
    theta: NDArray[np.float64]
    displacement: NDArray[np.float64] | None
    trace: tuple[float, ...]
    evaluations: int
    step: float | None = None
    stages: tuple[Stage, ...] = ()

    def replay(self, claim: Inequality | StepClaim) -> float:
        """Compute the ratio of the stored instance anew.

        Parameters
        ----------
        claim : Inequality or StepClaim
            Usually the one attacked; another one measures the same instance by another claim.

        Returns
        -------
        float
            Equal to ``ratio`` for the claim attacked.
        """
        if isinstance(claim, StepClaim):
            return claim.ratio(self.bandit, self.theta, self.step)
        moved = None if self.displacement is None else self.displacement[None]
        return float(claim.ratio(self.bandit, self.theta, moved)[0])

    def to_dict(self) -> dict[str, Any]:
        """Return the search's result as lists and numbers that JSON can hold.

        Returns
        -------
        dict
            What :meth:`from_dict` reads; floats survive to the last bit. Step and stages are left out where there
            are none.
        """
        stored = {
            "inequality": self.inequality,
            "ratio": self.ratio,
            "bandit": self.bandit.to_dict(),
            "theta": self.theta.tolist(),
            "displacement": None if self.displacement is None else self.displacement.tolist(),
            "trace": list(self.trace),
            "evaluations": self.evaluations,
        }
        if self.step is not None:
            stored["step"] = self.step
        if self.stages:
            stored["stages"] = [list(stage) for stage in self.stages]
        return stored

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> WorstCase:
        """Rebuild what :meth:`to_dict` stored.

        Parameters
        ----------
        stored : mapping
            With the keys that :meth:`to_dict` writes.

        Returns
        -------
        WorstCase
            Its instance replays to the stored ratio.
        """
        moved = stored["displacement"]
        return cls(
            stored["inequality"],
            float(stored["ratio"]),
            LogLinearBandit.from_dict(stored["bandit"]),
            np.array(stored["theta"], dtype=np.float64),
            None if moved is None else np.array(moved, dtype=np.float64),
            tuple(stored["trace"]),
            int(stored["evaluations"]),
            None if stored.get("step") is None else float(stored["step"]),
            tuple(Stage(*stage) for stage in stored.get("stages", ())),
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WorstCase) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]  # it holds arrays


def worst_case(
    claim: Inequality | StepClaim,
    *,
    num_responses: int | Sequence[int],
    dimension: int | Sequence[int],
    num_prompts: int | Sequence[int] = 1,
    overlap: float | Sequence[float | None] | None = None,
    rewards: RewardChoice = "one_correct",
    base: BaseChoice = "free",
    success: float | None = None,
    starts: int = 400,
    restarts: int = 4,
    generations: int = 0,
    polish: bool = True,
    begin: Sequence[WorstCase] = (),
    workers: int = 1,
    progress: bool = False,
    seed: int = 0,
) -> WorstCase:
    """Search for the instance that maximises measured/bound over features, logits, rewards, displacement and step.

    Ours. Kind: a lower bound on the constant a claim needs; never a proof that it holds.

    Parameters
    ----------
    claim : Inequality or StepClaim
        The claim to attack: about each prompt by itself, or about several and a step.
    num_responses, dimension : int or sequence of int
        K ≥ 2 and d ≥ 1; every combination of the sizes given is searched, and the worst of all returned.
    num_prompts : int or sequence of int
        n ≥ 1, for a :class:`StepClaim`.
    overlap : float, None, or sequence of them
        For a :class:`StepClaim`. None: the features may lie anywhere in ℝᵈ. A number c in [0, 1]: each prompt has a
        span of d dimensions and every pair of spans the overlap c, U_xU_x'ᵀ = c I; 0 keeps prompts orthogonal.
    rewards : {"one_correct", "binary", "real"}
        One response of reward 1 (assumption A1); any pattern of zeros and ones that has both, tried in turn; or
        any reals, which are searched over.
    base : {"free", "uniform"}
        Search over base logits at θ = 0, or over θ with uniform base policy.
    success : float, optional
        Hold the success probability at this value in (0, 1); needs an :class:`Inequality`, binary rewards and a free
        base.
    starts : int
        Random instances that the search begins with; for a :class:`StepClaim`, that every restart does.
    restarts : int
        How many minimisers are started: from the best of the sample (different reward patterns first), or, for a
        :class:`StepClaim`, each from the best of a sample of its own.
    generations : int
        For a :class:`StepClaim`: of differential evolution in each restart, followed by another minimiser. 0: none.
    polish : bool
        Whether to end with a search that needs no derivatives. It helps where a maximum of features has a kink
        (d ≥ 2, bounds in the diameter), by less than 1e−4.
    begin : sequence of WorstCase
        For a :class:`StepClaim`: instances found earlier, from which a minimiser starts too.
    workers : int
        Processes that share the sizes and, for a :class:`StepClaim`, the restarts. The result does not depend on it.
        With more than one, the claim's functions must be functions of a module.
    progress : bool
        Whether to show a progress bar.
    seed : int
        Of numpy's default generator. The same seed gives the same result.

    Returns
    -------
    WorstCase
        The best instance; its ratio is what ``claim.ratio`` gives for it. After Ctrl-C, the best so far, and the last
        of its stages is "interrupted".

    Raises
    ------
    ValueError
        If an argument is out of its domain; the message names it and its value.

    Notes
    -----
    Probabilities are searched down to about e^−30 relative to the likeliest response, so a supremum that is only
    approached as a response becomes rare is reported to about 12 digits.

    Examples
    --------
    >>> from curvature import feature_diameter, moments
    >>> def sides(bandit, theta, displacement):
    ...     at = moments(bandit, theta)
    ...     return np.linalg.norm(at.gradient, axis=-1), 0.5 * feature_diameter(bandit) * at.reward_std
    >>> round(worst_case(Inequality("L1", sides), num_responses=2, dimension=1).ratio, 6)
    1.0
    """
    _check_choice("rewards", rewards, get_args(RewardChoice))
    _check_choice("base", base, get_args(BaseChoice))
    for name, value, least in [
        ("starts", starts, 1),
        ("restarts", restarts, 1),
        ("generations", generations, 0),
        ("workers", workers, 1),
    ]:
        _check_whole(name, value, least)
    if success is not None and not 0 < success < 1:
        raise ValueError(f"success is {success}; a probability strictly between 0 and 1 is needed.")
    if success is not None and (rewards == "real" or base == "uniform"):
        raise ValueError(
            f"success is {success}; it can be held only with rewards of 0 and 1 and a free base."
        )
    shapes = [
        Shape(n, K, d, c)
        for n in _sizes("num_prompts", num_prompts, 1)
        for K in _sizes("num_responses", num_responses, 2)
        for d in _sizes("dimension", dimension, 1)
        for c in _overlaps(overlap)
    ]
    options: dict[str, Any] = {"claim": claim, "rewards": rewards, "base": base, "starts": starts}
    if isinstance(claim, StepClaim):
        if success is not None:
            raise ValueError(f"success is {success}; it can be held only for an Inequality.")
        known = tuple((found.bandit, found.theta, found.step) for found in begin)
        tasks = [
            Task(**options, shape=shape, restarts=1, generations=generations, begin=known if island == 0 else (),
                 seed=(seed, index, island))
            for index, shape in enumerate(shapes)
            for island in range(restarts)
        ]  # fmt: skip
    else:
        _check_one_prompt(num_prompts, overlap, generations, begin)
        tasks = [
            Task(**options, shape=shape, restarts=restarts, success=success, polish=polish,
                 seed=(seed,) if len(shapes) == 1 else (seed, index))
            for index, shape in enumerate(shapes)
        ]  # fmt: skip
    result = run_tasks(tasks, workers, polish and isinstance(claim, StepClaim), progress)
    return WorstCase(claim.name, *result)


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} is {value!r}; choose one of {', '.join(choices)}.")


def _sizes(name: str, sizes: int | Sequence[int], least: int) -> list[int]:
    listed = list(sizes) if isinstance(sizes, Sequence) else [sizes]
    if not listed:
        raise ValueError(f"{name} is empty; at least one size is needed.")
    for size in listed:
        _check_whole(name, size, least)
    return [int(size) for size in listed]


def _overlaps(overlap: float | Sequence[float | None] | None) -> list[float | None]:
    listed: list[float | None] = list(overlap) if isinstance(overlap, Sequence) else [overlap]
    for value in listed:
        if value is not None and not 0 <= value <= 1:
            raise ValueError(f"overlap is {value}; a number in [0, 1] is needed, or None.")
    return listed


def _check_one_prompt(num_prompts: Any, overlap: Any, generations: int, begin: Sequence[WorstCase]) -> None:
    """Refuse what only a claim about several prompts has."""
    given = {"num_prompts": (num_prompts, 1), "overlap": (overlap, None), "generations": (generations, 0)}
    for name, (value, default) in given.items():
        if value != default:
            raise ValueError(
                f"{name} is {value}; an Inequality is about one prompt, a StepClaim takes {name}."
            )
    if begin:
        raise ValueError(f"begin holds {len(begin)} instances; only a StepClaim starts from known ones.")


def _check_whole(name: str, value: int, least: int) -> None:
    if value != int(value) or value < least:
        raise ValueError(f"{name} is {value}; a whole number of at least {least} is needed.")
