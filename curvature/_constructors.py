"""The named constructors of :class:`curvature.LogLinearBandit`, each a documented distribution with a seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from curvature import _instances

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import ArrayLike

    from curvature._instances import RewardKind


class BanditConstructors:
    """Class methods that build a bandit; :class:`curvature.LogLinearBandit` inherits them."""

    def __init__(self, features: Any, rewards: Any, base_logits: Any = None) -> None:
        raise NotImplementedError

    @classmethod
    def orthogonal(
        cls,
        num_prompts: int,
        num_responses: int,
        *,
        rank: int | None = None,
        diameter: float = 1.0,
        rewards: RewardKind = "one_correct",
        seed: int = 0,
    ) -> Self:
        """Draw prompts with X_xX_x'ᵀ = 0 for x ≠ x' (assumption A2): each has coordinates of its own.

        The same as :meth:`overlapping` with overlap 0, with d = n · rank.

        Parameters
        ----------
        num_prompts, num_responses : int
            n and K.
        rank : int, optional
            Dimension of a prompt's span, at most K − 1; K − 1 when left out.
        diameter : float
            D, the diameter of every prompt's features.
        rewards : {"one_correct", "binary", "gaussian"}
            See :meth:`gaussian`.
        seed : int
            Of numpy's default generator.

        Returns
        -------
        LogLinearBandit
            With features N(0, I) in the prompt's coordinates, rescaled to the diameter.

        Examples
        --------
        >>> from curvature import LogLinearBandit
        >>> bandit = LogLinearBandit.orthogonal(3, 4, seed=1)
        >>> bool(abs(bandit.features[0] @ bandit.features[1].T).max() == 0)
        True
        """
        return cls.overlapping(
            num_prompts, num_responses, 0.0, rank=rank, diameter=diameter, rewards=rewards, seed=seed
        )

    @classmethod
    def overlapping(
        cls,
        num_prompts: int,
        num_responses: int,
        overlap: float,
        *,
        rank: int | None = None,
        diameter: float = 1.0,
        rewards: RewardKind = "one_correct",
        seed: int = 0,
    ) -> Self:
        """Draw prompts with ‖P_xP_x'‖ = overlap for every pair x ≠ x'.

        Prompt x has the orthonormal basis U_x = √c S + √(1−c) E_x of its span, S shared by all prompts and
        E_x its own, so that U_xᵀU_x' = c I.

        Parameters
        ----------
        num_prompts, num_responses : int
            n and K.
        overlap : float
            c in [0, 1]: 0 is assumption A2, 1 puts all prompts in one span.
        rank : int, optional
            Dimension m of a prompt's span, at most K − 1; K − 1 when left out. d = m (n + 1), or m n if c = 0.
        diameter : float
            D, the diameter of every prompt's features.
        rewards : {"one_correct", "binary", "gaussian"}
            See :meth:`gaussian`.
        seed : int
            Of numpy's default generator. Instances of one seed differ in the overlap alone.

        Returns
        -------
        LogLinearBandit
            With features U_x z, z ~ N(0, I_m), rescaled to the diameter.

        Examples
        --------
        >>> from curvature import LogLinearBandit
        >>> LogLinearBandit.overlapping(3, 4, overlap=0.3, seed=1).dimension
        12
        """
        rng = np.random.default_rng(seed)
        features = _instances.overlapping_features(rng, num_prompts, num_responses, overlap, rank, diameter)
        return cls(features, _instances.draw_rewards(rng, num_prompts, num_responses, rewards))

    @classmethod
    def gaussian(
        cls,
        num_prompts: int,
        num_responses: int,
        dimension: int,
        *,
        spectral_norm: float | None = None,
        rewards: RewardKind = "one_correct",
        seed: int = 0,
    ) -> Self:
        """Draw features φ_xy ~ N(0, I/d), each prompt rescaled to ‖X_x‖₂ = spectral_norm if one is given.

        Parameters
        ----------
        num_prompts, num_responses, dimension : int
            n, K and d.
        spectral_norm : float, optional
            The paper's X, made equal for all prompts.
        rewards : {"one_correct", "binary", "gaussian"}
            One response of reward 1 a prompt, the rest 0 (assumption A1, the paper's case); independent fair
            coins, with at least one 0 and one 1 where K ≥ 2; or independent N(0, 1).
        seed : int
            Of numpy's default generator.

        Returns
        -------
        LogLinearBandit
            With uniform base policy: success 1/K at θ = 0 in the paper's case.

        Examples
        --------
        >>> from curvature import LogLinearBandit
        >>> bandit = LogLinearBandit.gaussian(2, 5, 3, spectral_norm=2.0, seed=1)
        >>> np.linalg.norm(bandit.features, ord=2, axis=(1, 2)).round(12).tolist()
        [2.0, 2.0]
        """
        rng = np.random.default_rng(seed)
        features = _instances.gaussian_features(rng, num_prompts, num_responses, dimension, spectral_norm)
        return cls(features, _instances.draw_rewards(rng, num_prompts, num_responses, rewards))

    @classmethod
    def with_success(cls, success: ArrayLike, num_responses: int, dimension: int, *, seed: int = 0) -> Self:
        """Draw prompts of one correct response whose success probability at θ = 0 is exactly as given.

        Parameters
        ----------
        success : array_like, shape (n,)
            p_x in [0, 1]; at 0 (1) the correct (wrong) responses do not exist.
        num_responses, dimension : int
            K ≥ 2 and d.
        seed : int
            Of numpy's default generator.

        Returns
        -------
        LogLinearBandit
            With features N(0, I/d) and the wrong responses sharing 1 − p_x by a flat Dirichlet draw.

        Examples
        --------
        >>> from curvature import LogLinearBandit, moments
        >>> bandit = LogLinearBandit.with_success([0.2, 0.7], num_responses=5, dimension=3)
        >>> moments(bandit, np.zeros(3)).expected_reward.round(12).tolist()
        [0.2, 0.7]
        """
        p = _instances.read_success(success)
        rng = np.random.default_rng(seed)
        features = _instances.gaussian_features(rng, p.size, num_responses, dimension, None)
        rewards = _instances.draw_rewards(rng, p.size, num_responses, "one_correct")
        return cls(features, rewards, _instances.success_logits(rng, p, rewards))

    @classmethod
    def two_arm(cls, success: ArrayLike, *, diameter: float = 1.0, overlap: float = 0.0) -> Self:
        """Build prompts of a wrong and a right response at −(D/2)u_x and +(D/2)u_x, with ⟨u_x, u_x'⟩ = overlap.

        Parameters
        ----------
        success : array_like, shape (n,)
            p_x in [0, 1] at θ = 0; at 0 or 1 the prompt has one response only and never moves.
        diameter : float
            D; the spectral norm of each prompt's features is D/√2.
        overlap : float
            c in [0, 1]; d = n if it is 0 and n + 1 otherwise.

        Returns
        -------
        LogLinearBandit
            Response 0 has reward 0, response 1 has reward 1. Nothing is random.

        Examples
        --------
        >>> from curvature import LogLinearBandit
        >>> LogLinearBandit.two_arm([0.01, 0.5], diameter=2.0).features[0].tolist()
        [[-1.0, 0.0], [1.0, 0.0]]
        """
        p = _instances.read_success(success)
        basis = _instances.overlapping_bases(p.size, 1, overlap)[:, 0, :]
        half = 0.5 * _instances.require_positive("diameter", diameter)
        features = half * np.stack([0.0 - basis, basis], axis=1)
        rewards = np.tile([0.0, 1.0], (p.size, 1))
        return cls(features, rewards, np.stack([_instances.log(1 - p), _instances.log(p)], axis=1))

    @classmethod
    def from_success_rates(cls, success: ArrayLike, *, diameter: float = 1.0) -> Self:
        """Build the orthogonal two-arm bandit that has measured success rates at θ = 0.

        This is how real data enters: what a log tells of a prompt is its success rate, and two orthogonal arms
        are the least that has it. Features, and so overlap and curvature beyond σ, are assumed, not measured.

        Parameters
        ----------
        success : array_like, shape (n,)
            Success rates in [0, 1].
        diameter : float
            D, the same for all prompts. Memory grows as 16 n² bytes.

        Returns
        -------
        LogLinearBandit
            See :meth:`two_arm`.

        Examples
        --------
        >>> from curvature import LogLinearBandit, moments
        >>> bandit = LogLinearBandit.from_success_rates([0.0, 0.25, 0.5])
        >>> moments(bandit, np.zeros(3)).reward_std.round(4).tolist()
        [0.0, 0.433, 0.5]
        """
        return cls.two_arm(success, diameter=diameter)
