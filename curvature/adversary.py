"""Worst-case search: the instance that comes closest to breaking an inequality.

An :class:`Inequality` says measured ≤ bound for every prompt of a bandit, at θ or at two points θ and θ + Δ.
:func:`worst_case` looks for the single prompt with the largest ratio measured/bound: a wide random sample, then
minimisers of scipy with restarts (truncated Newton in a box, Nelder–Mead to polish), every ratio computed by the public
functions the inequality itself calls. The instance found is kept in a :class:`WorstCase`, which can be stored
as JSON and replayed.

Why small instances suffice, and are searched first. For a unit vector u, uᵀ∇²J u and ⟨u, ∇J⟩ depend on the
features only through their projections ⟨u, φ⟩, and neither the diameter nor the spectral norm of the features
grows under projection: a bound on ‖∇²J‖ or ‖∇J‖ in D or X has its worst case at d = 1. With a displacement Δ
there is a second direction, so d = 2. For K: at d = 1 and a fixed reward level a bound in D is a statement about
the law of (⟨u, φ⟩, r) which is linear in that law once two or three of its moments are fixed, and the extreme
laws of such a problem have at most one atom more than there are moments: K ≤ 4. The ledger searches K up to 6
and d up to 3 all the same, so that this argument is tested and not presupposed.

Base logits may be free although the paper has none: one more coordinate ε b_xy, with θ = 1/ε there, gives the
same policy with features as close to the given ones as one likes, so the supremum is the same. The search over
θ with a uniform base (``base="uniform"``) is the paper's own setting, dimension by dimension.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from curvature import _search_space
from curvature._inequality import Inequality
from curvature.bandit import LogLinearBandit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from curvature._search_space import SearchSpace

__all__ = ["Inequality", "WorstCase", "worst_case"]

RewardChoice = Literal["one_correct", "binary", "real"]
BaseChoice = Literal["free", "uniform"]

_STEP = 1e-6  # of the central differences: the cube root of the rounding of a ratio, roughly
# A truncated Newton method: as good here as L-BFGS-B, and it calls no BLAS, whose threads cost more than they save.
_NEWTON = {"maxfun": 200, "ftol": 1e-13, "gtol": 1e-9, "xtol": 1e-10}
_NELDER_MEAD = {"maxfev": 250, "xatol": 1e-9, "fatol": 1e-13}


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
        One prompt.
    theta : ndarray, shape (d,)
        The first point.
    displacement : ndarray of shape (d,), or None
        Δ, for a claim about θ and θ + Δ.
    trace : tuple of float
        The best ratio after the sample, after each restart, and after the polish.
    evaluations : int
        Instances whose ratio was computed.

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

    def replay(self, inequality: Inequality) -> float:
        """Compute the ratio of the stored instance anew.

        Parameters
        ----------
        inequality : Inequality
            Usually the one attacked; another one measures the same instance by another claim.

        Returns
        -------
        float
            Equal to ``ratio`` for the inequality attacked.
        """
        moved = None if self.displacement is None else self.displacement[None]
        return float(inequality.ratio(self.bandit, self.theta, moved)[0])

    def to_dict(self) -> dict[str, Any]:
        """Return the search's result as lists and numbers that JSON can hold.

        Returns
        -------
        dict
            What :meth:`from_dict` reads; floats survive to the last bit.
        """
        return {
            "inequality": self.inequality,
            "ratio": self.ratio,
            "bandit": self.bandit.to_dict(),
            "theta": self.theta.tolist(),
            "displacement": None if self.displacement is None else self.displacement.tolist(),
            "trace": list(self.trace),
            "evaluations": self.evaluations,
        }

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
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WorstCase) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]  # it holds arrays


def worst_case(
    inequality: Inequality,
    *,
    num_responses: int,
    dimension: int,
    rewards: RewardChoice = "one_correct",
    base: BaseChoice = "free",
    success: float | None = None,
    starts: int = 400,
    restarts: int = 4,
    polish: bool = True,
    seed: int = 0,
) -> WorstCase:
    """Search for the prompt that maximises measured/bound over features, logits, rewards and displacement.

    Ours. Kind: a lower bound on the constant an inequality needs; never a proof that it holds.

    Parameters
    ----------
    inequality : Inequality
        The claim to attack.
    num_responses, dimension : int
        K ≥ 2 and d ≥ 1 of the prompt.
    rewards : {"one_correct", "binary", "real"}
        One response of reward 1 (assumption A1); any pattern of zeros and ones that has both, tried in turn; or
        any reals, which are searched over.
    base : {"free", "uniform"}
        Search over base logits at θ = 0, or over θ with uniform base policy.
    success : float, optional
        Hold the success probability at this value in (0, 1); needs binary rewards and a free base.
    starts : int
        Random instances that the search begins with.
    restarts : int
        The best of them (different reward patterns first) from which a minimiser is started.
    polish : bool
        Whether to end with a search that needs no derivatives. It helps where a maximum of features has a kink
        (d ≥ 2, bounds in the diameter), by less than 1e−4.
    seed : int
        Of numpy's default generator. The same seed gives the same result.

    Returns
    -------
    WorstCase
        The best instance; its ratio is what ``inequality.ratio`` gives for it.

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
        ("num_responses", num_responses, 2),
        ("dimension", dimension, 1),
        ("starts", starts, 1),
        ("restarts", restarts, 1),
    ]:
        if value != int(value) or value < least:
            raise ValueError(f"{name} is {value}; a whole number of at least {least} is needed.")
    if success is not None and not 0 < success < 1:
        raise ValueError(f"success is {success}; a probability strictly between 0 and 1 is needed.")
    if success is not None and (rewards == "real" or base == "uniform"):
        raise ValueError(
            f"success is {success}; it can be held only with rewards of 0 and 1 and a free base."
        )
    space = _search_space.SearchSpace(
        num_responses,
        dimension,
        pinned=inequality.scale == "diameter",
        rewards=rewards,
        base=base,
        success=success,
        displaced=inequality.reach is not None,
    )
    return _Search(inequality, space).run(np.random.default_rng(seed), starts, restarts, polish)


class _Search:
    """One run of the search: keeps the best point so far, the trace and the count."""

    def __init__(self, inequality: Inequality, space: SearchSpace) -> None:
        self.inequality = inequality
        self.space = space
        self.evaluations = 0
        self.best_ratio = -np.inf
        self.best_point: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
        self.trace: list[float] = []

    def run(self, rng: np.random.Generator, starts: int, restarts: int, polish: bool) -> WorstCase:
        from scipy.optimize import Bounds, minimize

        box = Bounds(self.space.lower, self.space.upper)
        points, patterns = self.space.sample(rng, starts)
        ratios = self.ratios(points, patterns)
        self.trace.append(self.best_ratio)
        for start in _diverse_order(ratios, patterns)[:restarts]:
            pattern = patterns[start]
            minimize(
                self.value_and_slope, points[start], (pattern,), "TNC", True, bounds=box, options=_NEWTON
            )
            self.trace.append(self.best_ratio)
        if polish and self.best_point is not None:
            point, pattern = self.best_point
            minimize(self.value, point, (pattern,), "Nelder-Mead", bounds=box, options=_NELDER_MEAD)
            self.trace.append(self.best_ratio)
        return self.result(points[0], patterns[0])

    def ratios(self, points: NDArray[np.float64], patterns: NDArray[np.float64]) -> NDArray[np.float64]:
        bandit = self.space.bandit(points, patterns)
        theta = np.zeros(self.space.dimension)
        ratios = self.inequality.ratio(bandit, theta, self.displacements(bandit, theta, points))
        # An instance the claim is not made for (say, of zero reward std) is no evidence.
        ratios = np.where(np.isnan(ratios), -np.inf, ratios)
        self.evaluations += len(ratios)
        best = int(np.argmax(ratios))
        if ratios[best] > self.best_ratio:
            self.best_ratio = float(ratios[best])
            self.best_point = (points[best].copy(), patterns[best].copy())
        return ratios

    def displacements(
        self, bandit: LogLinearBandit, theta: NDArray[np.float64], points: NDArray[np.float64]
    ) -> NDArray[np.float64] | None:
        if self.inequality.reach is None:
            return None
        least, largest = self.inequality.reach(bandit, theta)
        return self.space.displacements(points, least, largest)

    def value(self, point: NDArray[np.float64], pattern: NDArray[np.float64]) -> float:
        ratio = self.ratios(point[None], pattern[None])[0]
        return -float(ratio) if np.isfinite(ratio) else 1.0

    def value_and_slope(
        self, point: NDArray[np.float64], pattern: NDArray[np.float64]
    ) -> tuple[float, NDArray[np.float64]]:
        size = len(point)
        ahead = np.minimum(point + _STEP, self.space.upper)
        behind = np.maximum(point - _STEP, self.space.lower)
        points = np.tile(point, (2 * size + 1, 1))
        points[np.arange(size), np.arange(size)] = ahead
        points[size + np.arange(size), np.arange(size)] = behind
        ratios = self.ratios(points, np.tile(pattern, (2 * size + 1, 1)))
        ratios = np.where(np.isfinite(ratios), ratios, -1.0)
        slope = (ratios[:size] - ratios[size:-1]) / (ahead - behind)
        return -float(ratios[-1]), -slope

    def result(self, point: NDArray[np.float64], pattern: NDArray[np.float64]) -> WorstCase:
        if self.best_point is not None:
            point, pattern = self.best_point
        bandit, theta = self.space.instance(point, pattern)
        moved = self.displacements(bandit, theta, point[None])
        ratio = float(self.inequality.ratio(bandit, theta, moved)[0])
        moved = None if moved is None else moved[0]
        return WorstCase(
            self.inequality.name, ratio, bandit, theta, moved, tuple(self.trace), self.evaluations
        )


def _diverse_order(ratios: NDArray[np.float64], patterns: NDArray[np.float64]) -> list[int]:
    """Order indices by falling ratio, the best of every distinct reward pattern first."""
    order = [int(i) for i in np.argsort(-ratios, kind="stable")]
    seen: set[bytes] = set()
    first, rest = [], []
    for index in order:
        key = patterns[index].tobytes()
        (rest if key in seen else first).append(index)
        seen.add(key)
    return first + rest


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} is {value!r}; choose one of {', '.join(choices)}.")
