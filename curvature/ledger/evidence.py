"""Where the numbers of a claim come from: many random instances, and the worst one that a search finds."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature._search_space import lengths
from curvature.adversary import WorstCase, worst_case
from curvature.ledger.budget import random_instances
from curvature.ledger.inequalities import rarer_probability
from curvature.moments import moments

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from curvature.adversary import BaseChoice, Inequality, RewardChoice
    from curvature.bandit import LogLinearBandit
    from curvature.ledger.budget import Budget

__all__ = [
    "FREE",
    "UNIFORM",
    "Evidence",
    "attack",
    "evidence_of",
    "gather",
    "rarer_success",
    "reward_std",
    "try_random",
    "worst",
]

FREE = ((2, 1), (3, 1), (4, 1), (6, 1), (3, 2), (6, 3))
"""(K, d) searched over base logits. Two of them suffice in theory; see :mod:`curvature.adversary`."""
UNIFORM = ((2, 1), (3, 2), (5, 3))
"""(K, d) searched over θ with uniform base policy, the paper's setting."""


@dataclass(frozen=True)
class Evidence:
    """The worst instance found for measured ≤ bound.

    Attributes
    ----------
    measured, bound, ratio : float
        Its two sides and their ratio.
    instances : int
        How many instances were tried.
    unit : str
        What both sides are multiples of.
    witness : mapping, optional
        The instance, as JSON can hold it.
    """

    measured: float
    bound: float
    ratio: float
    instances: int
    unit: str = ""
    witness: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)

    def counting(self, instances: int) -> Evidence:
        """Return the same evidence, found among another number of instances.

        Parameters
        ----------
        instances : int
            The number.

        Returns
        -------
        Evidence
            With that count.
        """
        return replace(self, instances=instances)


def worst(parts: Iterable[Evidence]) -> Evidence:
    """Combine evidence about one claim: the largest ratio, and all instances counted.

    Ours. Kind: rule of the ledger.

    Parameters
    ----------
    parts : iterable of Evidence
        At least one.

    Returns
    -------
    Evidence
        A NaN ratio counts as the worst.

    Examples
    --------
    >>> worst([Evidence(1.0, 2.0, 0.5, 10), Evidence(1.0, 4.0, 0.25, 20)])
    Evidence(measured=1.0, bound=2.0, ratio=0.5, instances=30, unit='')
    """
    parts = list(parts)
    top = max(parts, key=lambda part: np.inf if np.isnan(part.ratio) else part.ratio)
    return top.counting(sum(part.instances for part in parts))


def try_random(inequality: Inequality, rewards: RewardChoice, budget: Budget) -> Evidence:
    """Try an inequality on random instances, with random displacements where it has two points.

    Ours. Kind: evidence.

    Parameters
    ----------
    inequality : Inequality
        The claim.
    rewards : {"one_correct", "binary", "real"}
        The rewards it is made for.
    budget : Budget
        Instances and seed.

    Returns
    -------
    Evidence
        The worst of the instances; one for which a side is NaN is reported as such.
    """
    rng = budget.generator(f"displacements, {inequality.name}")
    parts = []
    for bandit, theta in random_instances(rewards, budget):
        displacement = None
        if inequality.reach is not None:
            least, largest = inequality.reach(bandit, theta)
            direction = rng.standard_normal((bandit.num_prompts, bandit.dimension))
            direction /= np.linalg.norm(direction, axis=1, keepdims=True)
            length = lengths(least, largest, rng.random(bandit.num_prompts))
            displacement = length[:, None] * direction
        ratios = inequality.ratio(bandit, theta, displacement)
        at = int(np.argmax(np.where(np.isnan(ratios), np.inf, ratios)))
        moved = None if displacement is None else displacement[at]
        one = WorstCase(inequality.name, float(ratios[at]), bandit.select([at]), theta, moved, (), 1)
        parts.append(evidence_of(inequality, one, len(ratios)))
    return worst(parts)


def attack(
    inequality: Inequality,
    rewards: RewardChoice,
    budget: Budget,
    *,
    shapes: Sequence[tuple[int, int]] = FREE,
    base: BaseChoice = "free",
    success: float | None = None,
) -> Evidence:
    """Search for the worst instance of an inequality over several numbers of responses and dimensions.

    Ours. Kind: evidence.

    Parameters
    ----------
    inequality : Inequality
        The claim.
    rewards, base, success
        As in :func:`curvature.adversary.worst_case`.
    budget : Budget
        Starts, restarts and seed.
    shapes : sequence of (int, int)
        (K, d), each searched by itself.

    Returns
    -------
    Evidence
        The worst instance over all shapes.
    """
    parts = []
    for K, d in shapes:
        name = f"attack, {inequality.name}, {rewards}, {base}, {success}, {K}, {d}"
        found = worst_case(
            inequality,
            num_responses=K,
            dimension=d,
            rewards=rewards,
            base=base,
            success=success,
            starts=budget.starts,
            restarts=budget.restarts,
            polish=False,
            seed=int(budget.generator(name).integers(2**32)),
        )
        parts.append(evidence_of(inequality, found))
    return _simplest(parts)


def _simplest(parts: Sequence[Evidence]) -> Evidence:
    """Combine as :func:`worst` does, but of instances equally bad to 1e−6 show the first, the smallest."""
    top = worst(parts)
    if not top.ratio <= 1:
        return top
    return next(part for part in parts if part.ratio >= top.ratio * (1 - 1e-6)).counting(top.instances)


def gather(
    inequality: Inequality, rewards: RewardChoice, budget: Budget, *, uniform_base: bool = False
) -> Evidence:
    """Try an inequality on random instances and attack it.

    Ours. Kind: evidence.

    Parameters
    ----------
    inequality : Inequality
        The claim.
    rewards : {"one_correct", "binary", "real"}
        The rewards it is made for.
    budget : Budget
        How hard to try.
    uniform_base : bool
        Whether to attack it also with a uniform base policy, the paper's setting.

    Returns
    -------
    Evidence
        The worst instance of all.
    """
    parts = [attack(inequality, rewards, budget), try_random(inequality, rewards, budget)]
    if uniform_base:
        parts.insert(0, attack(inequality, rewards, budget, shapes=UNIFORM, base="uniform"))
    return _simplest(parts)


def rarer_success(evidence: Evidence) -> str:
    """Say where the worst instance stands: "q = 0.146", or "q → 0" below 1/1000, with q = min(p, 1 − p).

    Ours. Kind: wording.

    Parameters
    ----------
    evidence : Evidence
        With an instance of rewards 0 and 1 as its witness.

    Returns
    -------
    str
        With three digits: the place of a maximum is known to fewer digits than its height.

    Raises
    ------
    ValueError
        If there is no witness.
    """
    bandit, theta = _instance(evidence)
    q = float(rarer_probability(bandit, moments(bandit, theta))[0])
    return f"q = {q:.3f}" if q >= 1e-3 else "q → 0"


def reward_std(evidence: Evidence) -> str:
    """Say what the reward std of the worst instance is: "σ = 0.354", or "σ → 0" below 1/1000.

    Ours. Kind: wording.

    Parameters
    ----------
    evidence : Evidence
        With an instance as its witness.

    Returns
    -------
    str
        With three digits.

    Raises
    ------
    ValueError
        If there is no witness.
    """
    bandit, theta = _instance(evidence)
    σ = float(moments(bandit, theta).reward_std[0])
    return f"σ = {σ:.3f}" if σ >= 1e-3 else "σ → 0"


def _instance(evidence: Evidence) -> tuple[LogLinearBandit, NDArray[np.float64]]:
    if evidence.witness is None:
        raise ValueError("this evidence has no instance to describe.")
    found = WorstCase.from_dict(evidence.witness)
    return found.bandit, found.theta


def evidence_of(inequality: Inequality, found: WorstCase, instances: int | None = None) -> Evidence:
    """Give the evidence of one instance, with both sides in the inequality's unit.

    Ours. Kind: evidence.

    Parameters
    ----------
    inequality : Inequality
        The claim.
    found : WorstCase
        The instance.
    instances : int, optional
        Among how many it is the worst; those its search looked at when left out.

    Returns
    -------
    Evidence
        The largest constant reached, and the constant claimed.
    """
    constant = inequality.constant
    count = found.evaluations if instances is None else instances
    return Evidence(constant * found.ratio, constant, found.ratio, count, inequality.unit, found.to_dict())
