"""The form of a claim about several prompts and one step, and the view of them that such a claim is written in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from curvature import geometry
from curvature.bandit import LogLinearBandit
from curvature.moments import Moments, moments

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]
    Pair = tuple[ArrayLike, ArrayLike]

__all__ = ["Prompts", "StepClaim"]


@dataclass(frozen=True, eq=False)
class Prompts:
    """The n prompts of each of m instances, at their θ, with everything that a claim about a step is made of.

    Ours. Every quantity is computed by the public functions of :mod:`curvature`, for all instances in one call.

    Parameters
    ----------
    bandit : LogLinearBandit
        Of m·n prompts, those of one instance next to each other.
    num_prompts : int
        n.
    theta : ndarray of shape (d,), optional
        0 when left out.

    Examples
    --------
    >>> prompts = Prompts(LogLinearBandit.two_arm([0.5, 0.2, 0.5, 0.9]), num_prompts=2)
    >>> prompts.reward_std.round(2).tolist()
    [[0.5, 0.4], [0.5, 0.3]]
    >>> prompts.gain(prompts.ascent(0.1 / prompts.reward_std)).shape
    (2, 2)
    """

    bandit: LogLinearBandit
    num_prompts: int
    theta: Array | None = None

    @property
    def num_instances(self) -> int:
        """The number of instances, m."""
        return self.bandit.num_prompts // self.num_prompts

    @cached_property
    def expected_reward(self) -> Array:
        """J, shape (m, n)."""
        return self._by_instance(self._moments.expected_reward)

    @cached_property
    def reward_std(self) -> Array:
        """σ, shape (m, n)."""
        return self._by_instance(self._moments.reward_std)

    @cached_property
    def gradient(self) -> Array:
        """∇J, shape (m, n, d)."""
        return self._by_instance(self._moments.gradient)

    @cached_property
    def gradient_norm(self) -> Array:
        """‖g‖, shape (m, n)."""
        return np.linalg.norm(self.gradient, axis=-1)

    @cached_property
    def diameter(self) -> Array:
        """D of each prompt, shape (m, n)."""
        return self._by_instance(geometry.feature_diameter(self.bandit))

    @cached_property
    def spectral_norm(self) -> Array:
        """‖X_x‖₂ of each prompt, shape (m, n)."""
        return self._by_instance(geometry.spectral_norm(self.bandit))

    @property
    def features(self) -> Array:
        """φ, shape (m, n, K, d)."""
        return self._by_instance(self.bandit.features)

    @cached_property
    def overlap(self) -> Array:
        """c_xx' = ‖P_xP_x'‖, shape (m, n, n)."""
        bases = self._by_instance(self._bases)
        products = np.einsum("mxad,mybd->mxyab", bases, bases)
        c = np.minimum(np.linalg.norm(products, ord=2, axis=(-2, -1)), 1.0)
        # As curvature.interference.overlap_matrix: rounding is no overlap, and a prompt overlaps with itself.
        return np.where(np.eye(self.num_prompts, dtype=bool), 1.0, np.where(c > 1e-12, c, 0.0))

    def ascent(self, weights: ArrayLike) -> Array:
        """Add up the direction of a step, Σ_x a_xg_x.

        Parameters
        ----------
        weights : array_like
            a, which broadcasts to (m, n).

        Returns
        -------
        ndarray, shape (m, d)
            REINFORCE's direction for a = 1, GRPO's for a = 1/σ.
        """
        a = np.broadcast_to(np.asarray(weights, dtype=np.float64), self.reward_std.shape)
        return np.einsum("mn,mnd->md", a, self.gradient)

    def gain(self, displacement: ArrayLike) -> Array:
        """Compute J_x(θ + Δ) − J_x(θ) of every prompt, E[A(e^w − 1)]/E[e^w] with w = ⟨Δ, φ̄⟩.

        Parameters
        ----------
        displacement : array_like, shape (m, d) or (m, j, d)
            Δ of each instance, or j of them in turn.

        Returns
        -------
        ndarray, shape (m, n) or (m, j, n)
            To nearly full relative precision however small a gain is.
        """
        w = self._shifts(displacement)
        π, A = self._by_instance(self._moments.probabilities), self._advantage
        w, π, A = (w, π, A) if w.ndim == 3 else (w, π[:, None], A[:, None])
        mean = (π * w).sum(axis=-1, keepdims=True)
        w = w - mean
        return (π * A * np.expm1(w)).sum(axis=-1) / (π * np.exp(w)).sum(axis=-1)

    def shift_norm(self, displacement: ArrayLike) -> Array:
        """Compute ‖P_xΔ‖, the part of a step that a prompt feels.

        Parameters
        ----------
        displacement : array_like, shape (m, d)
            Δ of each instance.

        Returns
        -------
        ndarray, shape (m, n)
            At most ‖Δ‖.
        """
        along = np.einsum("mnad,md->mna", self._by_instance(self._bases), np.asarray(displacement))
        return np.linalg.norm(along, axis=-1)

    @cached_property
    def _moments(self) -> Moments:
        theta = np.zeros(self.bandit.dimension) if self.theta is None else self.theta
        return moments(self.bandit, theta)

    @cached_property
    def _advantage(self) -> Array:
        # Rewards relative to the likeliest response: then J does not round at 1.
        π = self._moments.probabilities
        likeliest = np.take_along_axis(self.bandit.rewards, π.argmax(axis=-1)[:, None], axis=-1)
        relative = self.bandit.rewards - likeliest
        return self._by_instance(relative - (π * relative).sum(axis=-1, keepdims=True))

    @cached_property
    def _bases(self) -> Array:
        """Rows that span the feature differences of a prompt, zero rows where its rank is smaller, (mn, r, d)."""
        _, singular, right = np.linalg.svd(self.bandit.centered_features, full_matrices=False)
        kept = singular > 1e-12 * np.maximum(singular[:, :1], 1e-300)
        return np.where(kept[..., None], right, 0.0)

    def _shifts(self, displacement: ArrayLike) -> Array:
        φ, Δ = self._by_instance(self.bandit.centered_features), np.asarray(displacement, dtype=np.float64)
        if Δ.ndim not in {2, 3} or Δ.shape[0] != len(φ) or Δ.shape[-1] != φ.shape[-1]:
            m, d = len(φ), φ.shape[-1]
            raise ValueError(
                f"displacement has shape {Δ.shape}; ({m}, {d}) or ({m}, j, {d}) is needed, one Δ an instance."
            )
        return np.einsum("mnkd,md->mnk" if Δ.ndim == 2 else "mnkd,mjd->mjnk", φ, Δ)

    def _by_instance(self, values: Array) -> Array:
        return values.reshape(-1, self.num_prompts, *values.shape[1:])


@dataclass(frozen=True)
class StepClaim:
    """A claim measured ≤ bound about several prompts at once, usually about what a step gains.

    Ours. The form in which a claim about more than one prompt is attacked, and stated by a user.

    Parameters
    ----------
    name : str
        Kept with every instance that the search stores.
    sides : callable
        ``sides(prompts, step)`` returns (measured, bound), for each instance, shape (m,) or (m, 1), or for each of
        its prompts, (m, n). ``prompts`` is a :class:`Prompts`; ``step`` has shape (m, 1), so that it multiplies
        anything with one row an instance, and is None where ``steps`` is. NaN says that the claim is not made there.
    steps : tuple of float, optional
        The least and the largest step, 0 < least ≤ largest, for which the claim is made; searched in logarithms.
    scale : {"diameter", "spectral_norm"}
        What the claim measures features by. A diameter does not change when all features of a prompt are shifted, and
        the search then holds the first response at the origin.
    visible : float
        An instance counts only where its measured side is above this: smaller ones may be rounding.
    constant, unit : float and str
        As for :class:`curvature.adversary.Inequality`.

    Raises
    ------
    ValueError
        If the range of steps is empty or not positive, or ``visible`` is negative.

    Examples
    --------
    Does GRPO never gain less than REINFORCE by a step of the same length? The claim, and two steps of one bandit:

    >>> def sides(prompts, step):
    ...     def gain(weights):
    ...         direction = prompts.ascent(weights)
    ...         unit = direction / np.linalg.norm(direction, axis=-1, keepdims=True)
    ...         return prompts.gain(step * unit).sum(axis=-1)
    ...     return gain(1.0), gain(1 / prompts.reward_std)
    >>> claim = StepClaim("REINFORCE gains at most what GRPO does", sides, steps=(0.01, 10.0))
    >>> bandit = LogLinearBandit.two_arm([0.5, 0.1])
    >>> round(claim.ratio(bandit, np.zeros(2), step=1.0), 3), round(claim.ratio(bandit, np.zeros(2), step=0.01), 3)
    (0.982, 1.019)
    """

    name: str
    sides: Callable[[Prompts, Array | None], Pair]
    steps: tuple[float, float] | None = None
    scale: Literal["diameter", "spectral_norm"] = "diameter"
    visible: float = 1e-9
    constant: float = 1.0
    unit: str = ""

    def __post_init__(self) -> None:
        if self.steps is not None and not 0 < self.steps[0] <= self.steps[1] < np.inf:
            raise ValueError(f"steps is {self.steps}; 0 < least ≤ largest < ∞ is needed.")
        if not self.visible >= 0:
            raise ValueError(f"visible is {self.visible}; a number of at least 0 is needed.")

    @classmethod
    def of_bandits(
        cls,
        name: str,
        sides: Callable[[LogLinearBandit, Array, float | None], Pair],
        steps: tuple[float, float] | None = None,
        scale: Literal["diameter", "spectral_norm"] = "diameter",
    ) -> StepClaim:
        """State a claim about one bandit at a time, in terms of the public functions of :mod:`curvature`.

        Simpler to write than ``sides`` of :class:`Prompts` and slower to search, an instance a call.

        Parameters
        ----------
        name : str
            As for the class.
        sides : callable
            ``sides(bandit, theta, step)`` returns (measured, bound), numbers or one for each prompt.
        steps, scale
            As for the class.

        Returns
        -------
        StepClaim
            It can be searched by several workers only if ``sides`` is a function of a module.

        Examples
        --------
        >>> def sides(bandit, theta, step):
        ...     at = moments(bandit, theta)
        ...     after = moments(bandit, theta + step * at.gradient.sum(axis=0)).expected_reward
        ...     return at.expected_reward.mean(), after.mean()
        >>> claim = StepClaim.of_bandits("a step of REINFORCE never harms the mean", sides, steps=(0.1, 10.0))
        >>> round(claim.ratio(LogLinearBandit.two_arm([0.5, 0.1]), np.zeros(2), step=1.0), 3)
        0.895
        """
        return cls(name, _OneByOne(sides), steps, scale)

    def ratio(self, bandit: LogLinearBandit, theta: ArrayLike, step: float | None = None) -> float:
        """Compute the largest measured/bound of one instance: a bandit at θ.

        Parameters
        ----------
        bandit : LogLinearBandit
            n prompts.
        theta : array_like, shape (d,)
            Where it stands.
        step : float, optional
            For a claim with a step.

        Returns
        -------
        float
            The claim holds where it is at most 1; NaN where it is not made; 0 where nothing visible is measured.

        Raises
        ------
        ValueError
            If a step is needed and missing, or given and not needed.
        """
        if (step is None) != (self.steps is None):
            needed = "needs a" if self.steps else "takes no"
            raise ValueError(f"{self.name} {needed} step, got {step!r}.")
        prompts = Prompts(bandit, bandit.num_prompts, np.asarray(theta, dtype=np.float64))
        return float(self.ratios(prompts, None if step is None else np.array([[float(step)]]))[0])

    def ratios(self, prompts: Prompts, step: Array | None) -> Array:
        """Compute the largest measured/bound of every instance.

        Parameters
        ----------
        prompts : Prompts
            m instances.
        step : ndarray of shape (m, 1), or None
            Their steps.

        Returns
        -------
        ndarray, shape (m,)
            As :meth:`ratio`.

        Raises
        ------
        ValueError
            If a side has another shape than (m,), (m, 1) or (m, n).
        """
        m, n = prompts.num_instances, prompts.num_prompts
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            left, right = (_side(self.name, side, m, n) for side in self.sides(prompts, step))
            ratio = np.where(right > 0, left / right, np.inf)
            ratio = np.where(left > self.visible, ratio, np.where(left <= right + self.visible, 0.0, np.inf))
        ratio = np.where(np.isnan(left) | np.isnan(right), -np.inf, ratio).max(axis=1)
        return np.where(ratio == -np.inf, np.nan, ratio)


@dataclass(frozen=True)
class _OneByOne:
    """Sides of a claim about one bandit, called for each instance; a class, so that it can be sent to workers."""

    sides: Callable[[LogLinearBandit, Array, float | None], Pair]

    def __call__(self, prompts: Prompts, step: Array | None) -> Pair:
        n, bandit = prompts.num_prompts, prompts.bandit
        theta = np.zeros(bandit.dimension) if prompts.theta is None else prompts.theta
        found = []
        for index in range(prompts.num_instances):
            one = bandit.select(range(index * n, (index + 1) * n)) if prompts.num_instances > 1 else bandit
            pair = np.broadcast_arrays(
                *self.sides(one, theta, None if step is None else float(step[index, 0]))
            )
            found.append([np.asarray(side, dtype=np.float64).reshape(-1) for side in pair])
        return np.array([pair[0] for pair in found]), np.array([pair[1] for pair in found])


def _side(name: str, values: ArrayLike, m: int, n: int) -> Array:
    side = np.asarray(values, dtype=np.float64)
    if side.ndim == 0:
        side = np.full((m, 1), float(side))
    if side.shape not in {(m,), (m, 1), (m, n)}:
        raise ValueError(
            f"a side of {name} has shape {side.shape}; ({m},), ({m}, 1) or ({m}, {n}) is needed."
        )
    return side.reshape(m, -1)
