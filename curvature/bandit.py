"""The log-linear policy over a finite set of responses: a problem that never changes once it is made.

A :class:`LogLinearBandit` holds what is given (features, rewards, base policy, prompt weights) and nothing
that depends on the parameter θ: everything at a θ is computed by :mod:`curvature.moments`. Arrays are float64
and read-only, so an instance can be shared between threads, cached, and stored as a counterexample.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature._constructors import BanditConstructors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = ["LogLinearBandit"]


@dataclass(frozen=True, eq=False, repr=False)
class LogLinearBandit(BanditConstructors):
    """The problem π_θ(y|x) ∝ exp(b_xy + ⟨θ, φ_xy⟩) with rewards r_xy, for n prompts of up to K responses.

    Ours, theory II.0; with zero base logits and one correct response a prompt it is the paper's setting,
    eq. (6) of arXiv:2601.23135v1.

    Parameters
    ----------
    features : array_like, shape (n, K, d)
        φ_xy, finite. Rows of responses that do not exist are ignored and stored as zero.
    rewards : array_like, shape (n, K)
        r_xy, any finite real.
    base_logits : array_like, shape (n, K), optional
        b_xy = log π₀(y|x) up to a constant per prompt; −inf says that the response does not exist.
        Zero (a uniform base policy) when left out.
    prompt_weights : array_like, shape (n,), optional
        ρ_x > 0 with sum 1; 1/n each when left out.
    mask : array_like of bool, shape (n, K), optional
        True where a response exists: the other way to give prompts of different K.

    Attributes
    ----------
    num_prompts, num_responses, dimension : int
        n, K and d.
    mask : ndarray of bool, shape (n, K)
        Which responses exist.
    is_binary : bool
        Whether every reward is 0 or 1.

    Raises
    ------
    ValueError
        If a shape, a value or the sum of the weights is not as above; the message names the value.

    Examples
    --------
    >>> import numpy as np
    >>> bandit = LogLinearBandit(features=np.eye(3)[None], rewards=[[1, 0, 0]])
    >>> bandit
    LogLinearBandit(1 prompt, 3 responses, dimension 3, binary rewards)
    """

    features: NDArray[np.float64]
    rewards: NDArray[np.float64]
    base_logits: NDArray[np.float64] = None  # type: ignore[assignment]  # filled in below
    prompt_weights: NDArray[np.float64] = None  # type: ignore[assignment]  # filled in below
    mask: NDArray[np.bool_] = None  # type: ignore[assignment]  # filled in below

    if TYPE_CHECKING:  # the fields are arrays; what may be passed for them is anything that numpy can read

        def __init__(
            self,
            features: ArrayLike,
            rewards: ArrayLike,
            base_logits: ArrayLike | None = None,
            prompt_weights: ArrayLike | None = None,
            mask: ArrayLike | None = None,
        ) -> None: ...

    def __post_init__(self) -> None:
        features = _as_float_array("features", self.features, ndim=3, layout="(n, K, d)")
        if 0 in features.shape:
            raise ValueError(
                f"features has shape {features.shape}; at least one prompt, response and dimension are needed."
            )
        n, K, _ = features.shape
        rewards = _as_float_array("rewards", self.rewards, shape=(n, K), layout="(n, K)")
        base_logits, mask = self._read_base(n, K)
        features = np.where(mask[..., None], features, 0.0)
        rewards = np.where(mask, rewards, 0.0)
        _require_finite("features", features)
        _require_finite("rewards", rewards)
        weights = self._read_weights(n)
        for name, value in [
            ("features", features),
            ("rewards", rewards),
            ("base_logits", base_logits),
            ("prompt_weights", weights),
            ("mask", mask),
        ]:
            value.setflags(write=False)
            object.__setattr__(self, name, value)

    def _read_base(self, n: int, K: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        if self.base_logits is None:
            base = np.zeros((n, K))
        else:
            base = _as_float_array("base_logits", self.base_logits, shape=(n, K), layout="(n, K)")
        mask = np.ones((n, K), dtype=bool) if self.mask is None else np.array(self.mask)
        if mask.dtype != np.bool_ or mask.shape != (n, K):
            raise ValueError(
                f"mask has dtype {mask.dtype} and shape {mask.shape}; booleans of shape {(n, K)} are needed."
            )
        base = np.where(mask, base, -np.inf)
        bad = np.isnan(base) | (base == np.inf)
        if bad.any():
            where = tuple(int(i) for i in np.argwhere(bad)[0])
            raise ValueError(
                f"base_logits[{where[0]}, {where[1]}] is {base[where]}; a base logit is a finite number, "
                "or −inf for a response that does not exist."
            )
        mask = base > -np.inf
        empty = ~mask.any(axis=1)
        if empty.any():
            raise ValueError(
                f"prompt {int(np.flatnonzero(empty)[0])} has no response: give it at least one finite base logit."
            )
        return base, mask

    def _read_weights(self, n: int) -> NDArray[np.float64]:
        if self.prompt_weights is None:
            return np.full(n, 1.0 / n)
        weights = _as_float_array("prompt_weights", self.prompt_weights, shape=(n,), layout="(n,)")
        bad = ~(weights > 0)
        if bad.any():
            i = int(np.flatnonzero(bad)[0])
            raise ValueError(
                f"prompt_weights[{i}] is {weights[i]}; weights must be positive (leave out a prompt of weight 0)."
            )
        total = float(weights.sum())
        if not abs(total - 1.0) <= 1e-9:
            raise ValueError(
                f"prompt_weights sum to {total}; divide them by their sum so that they sum to 1."
            )
        return weights

    @property
    def num_prompts(self) -> int:
        """The number of prompts, n."""
        return self.features.shape[0]

    @property
    def num_responses(self) -> int:
        """The largest number of responses of a prompt, K."""
        return self.features.shape[1]

    @property
    def dimension(self) -> int:
        """The dimension of θ and of every feature, d."""
        return self.features.shape[2]

    @cached_property
    def is_binary(self) -> bool:
        """Whether every reward is 0 or 1."""
        return bool(np.isin(self.rewards, (0.0, 1.0)).all())

    @cached_property
    def centered_features(self) -> NDArray[np.float64]:
        """Features less their mean over each prompt's existing responses, (n, K, d); zero where none exists.

        A shift of all features of a prompt leaves the policy as it is, and the smaller numbers lose less to
        rounding.
        """
        count = self.mask.sum(axis=1)[:, None, None]
        mean = self.features.sum(axis=1, keepdims=True) / count
        centered = np.where(self.mask[..., None], self.features - mean, 0.0)
        centered.setflags(write=False)
        return centered

    @cached_property
    def span_coordinates(self) -> NDArray[np.float64]:
        """Coordinates of the centred features in an orthonormal basis of a space that holds them, (n, K, m).

        m = min(d, K − 1) (at least 1). Inner products of a prompt's features are kept, so g and H of a prompt
        have the same norm and the same non-zero spectrum in these coordinates; when d > K they cost less.
        """
        _, K, d = self.features.shape
        m = max(1, min(d, K - 1))
        if m == d:
            return self.centered_features
        # Φᵀ = QR gives Φ = RᵀQᵀ: the rows of Rᵀ are the coordinates. The last column of Φᵀ is minus the sum of
        # the others, so the last coordinate is zero and is dropped.
        upper = np.linalg.qr(np.swapaxes(self.centered_features, 1, 2), mode="r")
        coordinates = np.ascontiguousarray(np.swapaxes(upper, 1, 2)[:, :, :m])
        coordinates.setflags(write=False)
        return coordinates

    def select(self, prompts: Sequence[int] | NDArray[np.integer] | NDArray[np.bool_]) -> LogLinearBandit:
        """Return the bandit of some of the prompts, with their weights rescaled to sum to 1.

        Parameters
        ----------
        prompts : sequence of int or bool, shape (k,)
            Indices, or one boolean a prompt.

        Returns
        -------
        LogLinearBandit
            With k prompts, in the order given.

        Examples
        --------
        >>> LogLinearBandit.from_success_rates([0.1, 0.5, 0.9]).select([2, 0]).num_prompts
        2
        """
        chosen = np.asarray(prompts)
        weights = self.prompt_weights[chosen]
        return LogLinearBandit(
            self.features[chosen], self.rewards[chosen], self.base_logits[chosen], weights / weights.sum()
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the instance as lists that JSON can hold; a response that does not exist has base logit None.

        Returns
        -------
        dict
            What :meth:`from_dict` reads, exactly: floats survive to the last bit.

        Examples
        --------
        >>> LogLinearBandit([[[1.0], [0.0]]], [[1, 0]]).to_dict()["rewards"]
        [[1.0, 0.0]]
        """
        base = [[float(b) if np.isfinite(b) else None for b in row] for row in self.base_logits]
        return {
            "features": self.features.tolist(),
            "rewards": self.rewards.tolist(),
            "base_logits": base,
            "prompt_weights": self.prompt_weights.tolist(),
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> LogLinearBandit:
        """Rebuild the instance that :meth:`to_dict` stored.

        Parameters
        ----------
        stored : mapping
            With the keys that :meth:`to_dict` writes.

        Returns
        -------
        LogLinearBandit
            Equal to the stored one bit for bit.

        Examples
        --------
        >>> bandit = LogLinearBandit([[[1.0], [0.0]]], [[1, 0]])
        >>> bool((LogLinearBandit.from_dict(bandit.to_dict()).features == bandit.features).all())
        True
        """
        base = [[-np.inf if b is None else b for b in row] for row in stored["base_logits"]]
        return cls(stored["features"], stored["rewards"], base, stored["prompt_weights"])

    def __repr__(self) -> str:
        plural = "" if self.num_prompts == 1 else "s"
        kind = "binary" if self.is_binary else "real"
        ragged = "" if self.mask.all() else "up to "
        return (
            f"LogLinearBandit({self.num_prompts} prompt{plural}, {ragged}{self.num_responses} responses, "
            f"dimension {self.dimension}, {kind} rewards)"
        )


def _as_float_array(
    name: str, value: Any, *, layout: str, ndim: int | None = None, shape: tuple[int, ...] | None = None
) -> NDArray[np.float64]:
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} cannot be read as a {layout} array of real numbers ({error}); pad ragged prompts and mark "
            "the padding by a mask or base logits of −inf."
        ) from error
    if shape is not None and array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}; {layout} = {shape} is needed to match features.")
    if ndim is not None and array.ndim != ndim:
        raise ValueError(f"{name} has shape {array.shape}; {layout} is needed.")
    return array


def _require_finite(name: str, array: NDArray[np.float64]) -> None:
    bad = ~np.isfinite(array)
    if bad.any():
        where = [int(i) for i in np.argwhere(bad)[0]]
        value = array[tuple(where)]
        raise ValueError(
            f"{name}{where} is {value}; every {name.rstrip('s')} of an existing response must be finite."
        )
