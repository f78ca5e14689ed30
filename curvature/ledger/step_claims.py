"""The claims of the ledger about several prompts and one step, each written once for the worst-case search.

Every one compares what is promised with what is gained, or what is lost of a step's slope with what may be. The left
sides are calculators of :mod:`curvature.bounds`, the right ones exact gains.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from curvature.adversary import StepClaim
from curvature.bounds import paper, sharp

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from curvature.adversary import Prompts, RewardChoice

    Array = NDArray[np.float64]
    Sides = tuple[Array, Array]

__all__ = ["ATTACKS", "Attack", "needed_constants"]


@dataclass(frozen=True)
class Attack:
    """A claim about a step with the instances among which it is made.

    Attributes
    ----------
    claim : StepClaim
        Named as its row of the ledger.
    rewards : str
        As in :func:`curvature.adversary.worst_case`.
    num_prompts, num_responses, dimension : tuple of int
        Sizes that are searched.
    overlap : tuple of float or None
        0 for orthogonal prompts, None for prompts that may overlap in any way.
    """

    claim: StepClaim
    rewards: RewardChoice
    num_prompts: tuple[int, ...] = (1, 2, 3)
    num_responses: tuple[int, ...] = (2, 3)
    dimension: tuple[int, ...] = (1, 2)
    overlap: tuple[float | None, ...] = (0.0,)


def _largest(values: Array) -> Array:
    return values.max(axis=1, keepdims=True)


def _inverse(σ: Array) -> Array:
    """Return GRPO's weights 1/σ, 0 where σ is: such a prompt has no gradient."""
    return np.where(σ > 0, 1 / np.where(σ > 0, σ, 1.0), 0.0)


def _t1(prompts: Prompts, step: Array | None) -> Sides:
    σ, D = prompts.reward_std, _largest(prompts.diameter)
    promised = sharp.theorem_t1(prompts.gradient_norm, σ, D)
    return promised.gain, prompts.gain(promised.step * prompts.ascent(_inverse(σ)))


def _t2(prompts: Prompts, step: Array | None) -> Sides:
    promised = sharp.theorem_t2(
        prompts.gradient_norm, _largest(prompts.reward_std), _largest(prompts.diameter)
    )
    return promised.gain, prompts.gain(promised.step * prompts.ascent(1.0))


def _c1_step(prompts: Prompts, step: Array | None) -> Sides:
    rate = sharp.theorem_c1(1, 0.0, _largest(prompts.diameter))
    gain = prompts.gain(rate.step * prompts.ascent(1.0))
    return rate.gain_factor * prompts.gradient_norm**2, gain


def _t5(prompts: Prompts, step: Array | None) -> Sides:
    kappa = sharp.theorem_t5(prompts.gradient_norm, prompts.reward_std).by_std
    return 1 / kappa, np.ones_like(kappa)


def _lost(prompts: Prompts, weights: Array, step: Array) -> tuple[Array, Array]:
    """Return the slope α1ᵀGa of a step and what the prompts' gains fall short of it, both (m,)."""
    direction = prompts.ascent(weights)
    slope = step[:, 0] * (prompts.ascent(1.0) * direction).sum(axis=-1)
    return slope, slope - prompts.gain(step * direction).sum(axis=-1)


def _b1(weights_of: Callable[[Prompts], Array]) -> Callable[[Prompts, Array | None], Sides]:
    def sides(prompts: Prompts, step: Array | None) -> Sides:
        assert step is not None  # StepClaim.ratio sees to it
        weights = weights_of(prompts)
        slope, lost = _lost(prompts, weights, step)
        direction = prompts.ascent(weights)
        spread = prompts.diameter * prompts.shift_norm(direction)
        certified = sharp.theorem_b1(slope / step[:, 0], prompts.reward_std, spread, step[:, 0])
        return lost, slope - certified

    return sides


def _b2(prompts: Prompts, step: Array | None) -> Sides:
    assert step is not None
    σ = prompts.reward_std
    weights = np.ones_like(σ)
    slope, lost = _lost(prompts, weights, step)
    norms, D = prompts.gradient_norm, prompts.diameter.max(axis=1)
    bound = [
        float(
            sharp.theorem_b2(
                norms[i], σ[i], prompts.overlap[i], float(D[i]), weights[i], float(step[i, 0])
            ).gain
        )
        for i in range(len(norms))
    ]
    return lost, slope - np.array(bound)


def needed_constants(prompts: Prompts) -> tuple[Array, Array, Array]:
    """Compute the smallest M, R₁ and R₂ with which A4 and A5 hold at θ, infinite where none will do.

    Implements assumptions A4 and A5, arXiv:2601.23135v1, for many instances at once. Kind: assumption.

    Parameters
    ----------
    prompts : Prompts
        m instances.

    Returns
    -------
    tuple of three ndarrays, each of shape (m, 1)
        As :func:`curvature.assumptions.check_cross_prompt` and :func:`~curvature.assumptions.scale_regularity`
        find them one by one.
    """
    g, norms, σ = prompts.gradient, prompts.gradient_norm, prompts.reward_std
    X = np.where(prompts.spectral_norm > 0, prompts.spectral_norm, 1.0)
    images = np.einsum("mikd,mjd->mijk", prompts.features / X[..., None, None], g)
    pull, inner = np.linalg.norm(images, axis=-1), np.einsum("mid,mjd->mij", g, g)
    coupled = (pull > 1e-12 * norms[:, None, :]) & ~np.eye(prompts.num_prompts, dtype=bool)
    with np.errstate(divide="ignore", invalid="ignore"):
        needed = np.where(coupled, np.where(inner > 0, pull**2 / inner, np.inf), 0.0)
        R1 = norms.max(axis=1) / norms.min(axis=1)
        R2 = σ.max(axis=1) / σ.min(axis=1)
    return needed.max(axis=(1, 2))[:, None], R1[:, None], R2[:, None]


def _expected_gain(prompts: Prompts, steps: Array) -> Array:
    """Return E J_i(θ + η_j g_j) − J_i(θ) with j uniform, shape (m, n)."""
    return prompts.gain(steps[..., None] * prompts.gradient).mean(axis=1)


def _paper(name: Literal["3.1", "3.2", "3.3", "3.4"]) -> Callable[[Prompts, Array | None], Sides]:
    def sides(prompts: Prompts, step: Array | None) -> Sides:
        n, σ, X = prompts.num_prompts, prompts.reward_std, _largest(prompts.spectral_norm)
        M, R1, R2 = needed_constants(prompts)
        # Where an assumption fails the theorem says nothing.
        made = np.isfinite(M) if name == "3.3" else np.isfinite(M + R1 + R2) if name == "3.4" else True
        stated: Any = {
            "3.1": lambda: paper.theorem_3_1(n, 0.0, X, 1),
            "3.2": lambda: paper.theorem_3_2(n, 0.0, X, σ[..., None]),
            "3.3": lambda: paper.theorem_3_3(n, 0.0, X, 1, M),
            "3.4": lambda: paper.theorem_3_4(n, 0.0, X, σ[..., None], M, R1, R2),
        }[name]()
        scaled = name in {"3.2", "3.4"}  # GRPO divides by σ, and its factor is one a step
        factor = stated.gain_factor[..., 0] if scaled else stated.gain_factor
        gain = _expected_gain(
            prompts, np.broadcast_to(stated.step * (_inverse(σ) if scaled else 1.0), σ.shape)
        )
        return np.where(made, factor * prompts.gradient_norm**2, np.nan), gain

    return sides


def _of_paper(row: str, theorem: Literal["3.1", "3.2", "3.3", "3.4"], **options: Any) -> Attack:
    claim = StepClaim(row, _paper(theorem), scale="spectral_norm", unit="of the gain")
    return Attack(claim, "one_correct", **options)


_SHORT, _LONG = 0.02, 20.0
_COUPLED: dict[str, Any] = {"num_prompts": (2, 3), "dimension": (1, 2), "overlap": (0.0, None)}

ATTACKS: dict[str, Attack] = {
    attack.claim.name: attack
    for attack in (
        Attack(StepClaim("T1", _t1, unit="of the gain"), "real"),
        Attack(StepClaim("T2", _t2, unit="of the gain"), "real"),
        Attack(StepClaim("C1-step", _c1_step, unit="of the gain"), "binary"),
        Attack(StepClaim("T5", _t5), "real", num_prompts=(2,)),
        Attack(
            StepClaim("B1", _b1(lambda prompts: np.ones_like(prompts.reward_std)), (_SHORT, _LONG)),
            "real",
            **_COUPLED,
        ),
        Attack(
            StepClaim("B1 for GRPO", _b1(lambda prompts: _inverse(prompts.reward_std)), (_SHORT, _LONG)),
            "real",
            **_COUPLED,
        ),
        Attack(
            StepClaim("B2", _b2, (_SHORT, _LONG)),
            "real",
            **_COUPLED | {"num_prompts": (2,), "dimension": (1,)},
        ),
        _of_paper("thm-3.1-gain", "3.1"),
        _of_paper("thm-3.2-gain", "3.2"),
        _of_paper("thm-3.3-gain", "3.3", **_COUPLED),
        _of_paper("thm-3.4-gain", "3.4", **_COUPLED),
    )
}
"""The claims by the row of the ledger that they belong to."""
