"""The form of a claim about each prompt of a bandit, which the worst-case search and the ledger share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from curvature.bandit import LogLinearBandit

    Sides = Callable[
        [LogLinearBandit, NDArray[np.float64], NDArray[np.float64] | None],
        tuple[NDArray[np.float64], NDArray[np.float64]],
    ]
    Reach = Callable[[LogLinearBandit, NDArray[np.float64]], tuple[NDArray[np.float64], NDArray[np.float64]]]

__all__ = ["Inequality"]


@dataclass(frozen=True)
class Inequality:
    """A claim measured ≤ bound about each prompt of a bandit, at θ or at θ and θ + Δ.

    Ours. The form in which the ledger and the worst-case search share a claim.

    Parameters
    ----------
    name : str
        Kept with every instance that the search stores.
    sides : callable
        ``sides(bandit, theta, displacement)`` returns (measured, bound), each of shape (n,). ``theta`` has shape
        (d,); ``displacement`` has shape (n, d), one Δ a prompt, and is None where ``reach`` is.
    reach : callable, optional
        ``reach(bandit, theta)`` returns the least and the largest ‖Δ‖ for which the claim is made, each (n,).
        Left out for a claim about one point.
    scale : {"diameter", "spectral_norm"}
        What the bound measures features by. With a diameter the search pins two responses to its ends (features
        may be shifted and scaled at will); a spectral norm is not unchanged by shifts, and nothing is pinned.
    constant, unit : float and str
        The bound is ``constant`` times ``unit``, in words: 4 and "X² p(1 − p)". A report gives the constant that
        was reached beside the one that is claimed.

    Examples
    --------
    >>> from curvature import LogLinearBandit, feature_diameter, moments
    >>> from curvature.adversary import Inequality
    >>> def sides(bandit, theta, displacement):
    ...     at = moments(bandit, theta)
    ...     return np.linalg.norm(at.gradient, axis=-1), 0.5 * feature_diameter(bandit) * at.reward_std
    >>> inequality = Inequality("L1", sides)
    >>> inequality.ratio(LogLinearBandit.two_arm([0.5, 0.1]), np.zeros(2)).round(12).tolist()
    [1.0, 0.6]
    """

    name: str
    sides: Sides
    reach: Reach | None = None
    scale: Literal["diameter", "spectral_norm"] = "diameter"
    constant: float = 1.0
    unit: str = ""

    def ratio(
        self, bandit: LogLinearBandit, theta: ArrayLike, displacement: ArrayLike | None = None
    ) -> NDArray[np.float64]:
        """Compute measured/bound of every prompt; 0 where nothing is measured, inf where only the bound is 0.

        Parameters
        ----------
        bandit : LogLinearBandit
            n prompts, dimension d.
        theta : array_like, shape (d,)
            The first point.
        displacement : array_like, shape (n, d), optional
            One Δ a prompt, for a claim about two points.

        Returns
        -------
        ndarray, shape (n,)
            The claim holds where the ratio is at most 1.

        Raises
        ------
        ValueError
            If a displacement is needed and missing, or given and not needed.
        """
        if (displacement is None) != (self.reach is None):
            needed = "needs" if self.reach else "takes no"
            raise ValueError(f"{self.name} {needed} displacement, got {displacement!r}.")
        moved = None if displacement is None else np.asarray(displacement, dtype=np.float64)
        measured, bound = self.sides(bandit, np.asarray(theta, dtype=np.float64), moved)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(measured == 0, 0.0, measured / bound)
