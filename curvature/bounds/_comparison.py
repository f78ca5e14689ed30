"""Which bound is smaller, GRPO's or REINFORCE's, and for which pair of constants."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from curvature.bounds._inputs import read_arguments

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["ImprovementThreshold", "improvement_factor", "improvement_threshold"]

Constants = Literal["paper", "paper_best_step", "sharp", "sharp_smoothness", "sharp_binary"]


@dataclass(frozen=True)
class ImprovementThreshold:
    """A comparison of two bounds of ⟨‖g‖⟩², r·Δ̄n/T for REINFORCE and g·σ̄Δ̄n/T for GRPO.

    Attributes
    ----------
    constants : str
        Which pair.
    threshold : float
        r/g: GRPO's bound is the smaller iff the mean std σ̄ is below it.
    ratio_per_std : float
        g/r: the ratio of the bounds is ratio_per_std · σ̄.
    reinforce, grpo : float
        r and g, in units of ``unit``.
    unit : str
        "X²" or "D²".
    reinforce_from, grpo_from : str
        What each constant is made of.
    always : bool
        Whether σ̄ ≤ 1/2, the most that binary rewards allow, is enough.
    """

    constants: str
    threshold: float
    ratio_per_std: float
    reinforce: float
    grpo: float
    unit: str
    reinforce_from: str
    grpo_from: str
    always: bool


def improvement_threshold(constants: Constants = "paper") -> ImprovementThreshold:
    """Give the mean std below which GRPO's bound is smaller: σ̄ < r/g, for binary rewards.

    Each bound comes from a gain a step. REINFORCE at step 1/L of a smoothness L gains ‖∇J‖²/(2L), so r = 2L.
    GRPO at step η with local curvature βσ gains (η − βη²/2)‖∇J‖²/σ, so g = 1/(η − βη²/2), at least 2β.

    * "paper": L = X² (Lemma 3.1) and β = 5/2 X² (Lemma 3.3) at η = 1/(2X²): r = 2, g = 16/3, σ̄ < 3/8.
    * "paper_best_step": the same lemmas at η = 1/β = 2/(5X²), whose step is at most 4/5 of the radius of Lemma
      3.3: r = 2, g = 5, σ̄ < 2/5.
    * "sharp": T2 with σ_max = 1/2, and T1: r = 1/(8k₀), g = 1/(4k₀), in D²; σ̄ < 1/2, which is always so unless
      every std is 1/2 at every step.
    * "sharp_smoothness": L = D²/(6√3) (C1) and T1: r = 1/(3√3), g = 1/(4k₀); σ̄ < 4k₀/(3√3) = 0.2974.
    * "sharp_binary": C1 for both, the sharpest that is proved of each: r = 1/(3√3), and GRPO at 4/D² gains
      2‖∇J‖²/(σD²), so g = 1/2; σ̄ < 2/(3√3) = 0.3849, as by :func:`curvature.bounds.sharp.one_step_threshold`.

    Which bound wins is thus a matter of how sharp each side's analysis is; it is no statement about the runs.

    Implements section 3.3, arXiv:2601.23135v1 ("paper"); ours, theory I.3.5 (the others). Kind: identity.
    Holds when: prompts are orthogonal and rewards binary.

    Parameters
    ----------
    constants : {"paper", "paper_best_step", "sharp", "sharp_smoothness", "sharp_binary"}
        The pair of analyses.

    Returns
    -------
    ImprovementThreshold
        With the constants it came from.

    Raises
    ------
    ValueError
        If ``constants`` is none of the five.

    Notes
    -----
    Symbols: σ̄ mean reward std over prompts and iterations, k₀ = 2 log 2 − 1.

    Examples
    --------
    >>> improvement_threshold("paper").threshold
    0.375
    >>> round(improvement_threshold("sharp_smoothness").threshold, 4)
    0.2974
    >>> round(improvement_threshold("sharp_binary").threshold, 4)
    0.3849
    """
    if constants not in get_args(Constants):
        raise ValueError(f"constants is {constants!r}; choose one of {', '.join(get_args(Constants))}.")
    k0 = 2 * log(2) - 1
    T1 = (1 / (4 * k0), "T1, step 4c₀/D²")
    C1 = (_smooth(1 / (6 * sqrt(3))), "C1, step 6√3/D²")
    (r, r_from), (g, g_from) = {
        "paper": ((_smooth(1.0), "Lemma 3.1, step 1/X²"), (_adaptive(2.5, 0.5), "Lemma 3.3, step 1/(2X²)")),
        "paper_best_step": (
            (_smooth(1.0), "Lemma 3.1, step 1/X²"),
            (_adaptive(2.5, 0.4), "Lemma 3.3, step 2/(5X²)"),
        ),
        "sharp": ((0.5 / (4 * k0), "T2 at σ_max = 1/2, step 8c₀/D²"), T1),
        "sharp_smoothness": (C1, T1),
        "sharp_binary": (C1, (_adaptive(0.25, 4.0), "C1 along the step, 4/D²")),
    }[constants]
    unit = "X²" if constants.startswith("paper") else "D²"
    return ImprovementThreshold(constants, r / g, g / r, r, g, unit, r_from, g_from, r / g >= 0.5)


def improvement_factor(
    reward_std: ArrayLike, success: ArrayLike | None = None, *, constants: Constants = "paper"
) -> Any:
    """Compute the ratio of GRPO's bound to REINFORCE's: C(T) = (8/(3nT))Σ_iΣ_tσ_i(θ_t) with the paper's constants.

    The paper says that C(T) < 1 makes the bound averaged over prompts the smaller one. That is so when all
    prompts start at one success probability. In general the prompts' bounds are weighted by 1 − p₀, and the
    ratio of their averages is ratio_per_std · Σ(1−p₀_i)σ̄_i/Σ(1−p₀_i): give ``success`` to have it. Two prompts
    that stay at σ̄ = 0.458, p₀ = 0.3 and σ̄ = 0.032, p₀ = 0.999 have C(T) = 0.65, yet GRPO's average bound is 1.22
    times REINFORCE's.

    Implements section 3.3, arXiv:2601.23135v1, and its correction. Kind: identity.
    Holds when: as for :func:`improvement_threshold`.

    Parameters
    ----------
    reward_std : array_like, shape (..., T, n)
        σ_i(θ_t) of GRPO's run, or E σ_i(θ_t).
    success : array_like, shape (n,), optional
        p₀ of each prompt; when left out all prompts weigh the same, as in the paper's C(T).
    constants : {"paper", "paper_best_step", "sharp", "sharp_smoothness", "sharp_binary"}
        The pair of analyses.

    Returns
    -------
    ndarray, shape (...)
        Below 1 where GRPO's bound is smaller; NaN where every prompt starts at success 1.

    Raises
    ------
    ValueError
        If a value is out of its range or the shapes do not fit.

    Notes
    -----
    Symbols: reward_std = σ, success = p₀.

    Examples
    --------
    >>> round(float(improvement_factor([[0.375, 0.375], [0.375, 0.375]])), 12)
    1.0
    >>> path = [[0.458, 0.032]]
    >>> round(float(improvement_factor(path)), 2), round(float(improvement_factor(path, [0.3, 0.999])), 2)
    (0.65, 1.22)
    """
    _, (σ,) = read_arguments(reward_std=reward_std)
    if σ.ndim < 2 or 0 in σ.shape[-2:]:
        raise ValueError(f"reward_std has shape {σ.shape}; (..., T, n) is needed.")
    mean = σ.mean(axis=-2)
    failure = np.ones(σ.shape[-1]) if success is None else 1 - read_arguments(success=success)[1][0]
    if failure.shape != σ.shape[-1:]:
        raise ValueError(f"success has shape {failure.shape}; {σ.shape[-1:]} is needed, one a prompt.")
    with np.errstate(invalid="ignore"):
        return improvement_threshold(constants).ratio_per_std * (
            (mean * failure).sum(axis=-1) / failure.sum()
        )


def _smooth(smoothness: float) -> float:
    return 2 * smoothness


def _adaptive(curvature_per_std: float, step: float) -> float:
    return 1 / (step - curvature_per_std * step**2 / 2)
