"""Prompts that share a parameter: by how much they overlap, how hard each is, and what its rewards look like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from curvature import _instances
from curvature.bandit import LogLinearBandit
from curvature.testing._draws import RewardType, check_choice, draw_prompts, matrix, one_in, st

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy
    from numpy.typing import NDArray

__all__ = ["DIFFICULTY", "displacements", "multi_prompt_bandits"]

Overlap = Literal["any", "orthogonal", "partial", "shared", "random"]
Difficulty = Literal["any", "hard", "mid", "easy", "rare", "sure", "mixed"]

DIFFICULTY = {
    "mid": (-0.85, 0.85),
    "hard": (-4.6, -2.2),
    "easy": (2.2, 4.6),
    "rare": (-1400.0, -30.0),
    "sure": (30.0, 1400.0),
}
"""Log-odds of success at θ = 0: p in [.30, .70], [.01, .10], [.90, .99], down to e^−1400, and the same for failure."""
_MIXED = ("mid", "hard", "easy")
# Prompts of unlike length: what a sum over prompts must not hide.
_LENGTHS = (1.0, 1e-3, 30.0)
_SHARE = st.one_of(st.just(0.0), st.floats(-3, 3))
# What two responses of a prompt get that were drawn alike.
_PAIR = {"binary": (1.0, 0.0), "real": (1.0, -1.0), "non_dyadic": (0.7, 0.1)}


@st.composite
def multi_prompt_bandits(
    draw: DrawFn,
    *,
    min_prompts: int = 2,
    max_prompts: int = 4,
    min_responses: int = 2,
    max_responses: int = 5,
    max_rank: int = 3,
    overlap: Overlap | float = "any",
    difficulty: Difficulty = "any",
    rewards: RewardType = "any",
    degenerate: bool = True,
) -> LogLinearBandit:
    """Draw prompts with ‖P_xP_x'‖ = overlap for every pair, each of a given difficulty at θ = 0.

    Ours, theory II.4 for the overlap. About one instance in four each has a repeated response, a missing one, a
    prompt with equal rewards, and features of very unlike lengths.

    Parameters
    ----------
    draw : callable
        Given by hypothesis.
    min_prompts, max_prompts : int
        n.
    min_responses, max_responses : int
        K ≥ 2, before responses go missing.
    max_rank : int
        Largest dimension m of a prompt's span; m ≤ K − 1.
    overlap : {"any", "orthogonal", "partial", "shared", "random"} or float
        0 (assumption A2), a drawn number in (0, 1), 1 (all in one span), features without structure, any of these,
        or the number itself.
    difficulty : {"any", "hard", "mid", "easy", "rare", "sure", "mixed"}
        Success rates, from :data:`curvature.testing.multi_prompt.DIFFICULTY`; "mixed" draws mid, hard or easy for
        each prompt and "any" all five. Success is a response of the prompt's largest reward.
    rewards : {"any", "one_correct", "binary", "real", "non_dyadic", "constant"}
        As in :func:`curvature.testing.bandits`; "any" is any of the five.
    degenerate : bool
        Whether the cases named above are drawn. Without them each prompt has two different rewards, unless they are
        "constant".

    Returns
    -------
    LogLinearBandit
        Shrinks towards orthogonal prompts of two responses at success 1/2.

    Raises
    ------
    ValueError
        If a choice is unknown or the overlap is outside [0, 1].

    Examples
    --------
    >>> from hypothesis import find
    >>> from curvature.interference import overlap_matrix
    >>> bandit = find(multi_prompt_bandits(overlap=0.25, max_prompts=2), lambda b: True)
    >>> overlap_matrix(bandit).round(12).tolist()
    [[1.0, 0.25], [0.25, 1.0]]
    """
    check_choice("difficulty", difficulty, Difficulty)
    check_choice("rewards", rewards, RewardType)
    n = draw(st.integers(min_prompts, max_prompts))
    K = draw(st.integers(min_responses, max_responses))
    m = draw(st.integers(1, min(max_rank, K - 1)))
    c = _number(draw, overlap)
    kind = rewards
    if rewards == "any":
        kind = draw(st.sampled_from([name for name in get_args(RewardType) if name != "any"]))
    repeated, uneven, lost, equal = (one_in(draw, times) and degenerate for times in (3, 4, 3, 4))
    length = st.sampled_from(_LENGTHS) if uneven else st.just(1.0)
    head = st.tuples(length, _log_odds(difficulty))
    drawn = draw_prompts(draw, (n, K, m), kind, logit=_SHARE, candidates=2, head=head)
    lengths, z = np.array(drawn.head).T
    features = _placed(drawn.features, c) * lengths[:, None, None]
    # Of K > m + 1 responses the last is not needed for the rank.
    if repeated and K - m > 1:
        features[:, -1] = features[:, 0]
    exists = np.ones((n, K), dtype=bool)
    if lost and K - m > 1:
        exists[0, -1] = False
    values = _with_both(drawn.rewards, drawn.correct, kind)
    if equal and kind != "one_correct":
        values[0] = values[0, 0]
    return LogLinearBandit(features, values, _base(values, exists, drawn.logits, z))


def displacements(bandit: LogLinearBandit, *, max_norm: float = 1.0) -> SearchStrategy[NDArray[np.float64]]:
    """Draw one displacement Δ_x a prompt, ‖Δ_x‖ ≤ max_norm: none, to the edge, or anything between.

    Ours.

    Parameters
    ----------
    bandit : LogLinearBandit
        n prompts in dimension d.
    max_norm : float
        The largest length.

    Returns
    -------
    hypothesis strategy of ndarray of shape (n, d)
        Shrinks towards 0. Half the displacements that are not 0 have the largest length.

    Raises
    ------
    ValueError
        If ``max_norm`` is not positive and finite.

    Examples
    --------
    >>> from hypothesis import find
    >>> moved = find(displacements(LogLinearBandit.two_arm([0.5])), lambda moved: moved.any())
    >>> float(np.linalg.norm(moved).round(12))
    1.0
    """
    largest = _instances.require_positive("max_norm", max_norm)
    return _displacements(bandit.num_prompts, bandit.dimension, largest)


@st.composite
def _displacements(draw: DrawFn, n: int, d: int, largest: float) -> NDArray[np.float64]:
    raw = matrix(draw, (n, d), st.one_of(st.just(0.0), st.sampled_from([1.0, -1.0]), st.floats(-1, 1)))
    part = matrix(draw, (n, 1), st.one_of(st.just(1.0), st.floats(0, 1)))
    norm = np.linalg.norm(raw, axis=1, keepdims=True)
    # Rounding may not put a length above the largest.
    direction = np.where(norm > 1e-6, raw / np.maximum(norm, 1e-6), 0.0)
    return (
        np.nextafter(largest, 0.0)
        * part
        * direction
        / np.maximum(np.linalg.norm(direction, axis=1), 1.0)[:, None]
    )


def _number(draw: DrawFn, overlap: Overlap | float) -> float | None:
    """Return ‖P_xP_x'‖, or None for features without structure."""
    if not isinstance(overlap, str):
        if not 0 <= overlap <= 1:
            raise ValueError(f"overlap is {overlap}; a number in [0, 1] is needed.")
        return float(overlap)
    check_choice("overlap", overlap, Overlap)
    if overlap == "any":
        overlap = draw(st.sampled_from(["orthogonal", "partial", "shared", "random"]))
    if overlap == "partial":
        return draw(st.one_of(st.sampled_from([0.5, 0.25, 0.1]), st.floats(0.01, 0.99)))
    return {"orthogonal": 0.0, "shared": 1.0, "random": None}[overlap]


def _placed(coordinates: NDArray[np.float64], overlap: float | None) -> NDArray[np.float64]:
    """Return features, (n, K, d), whose differences span the whole of a prompt's m dimensions."""
    if overlap is None:
        return coordinates
    n, _, m = coordinates.shape
    # A simplex of m + 1 responses, sheared: of full rank whatever is drawn, so the overlap is what was asked for.
    full = coordinates.copy()
    full[:, 0] = 0.0
    full[:, 1 : m + 1] = np.tril(full[:, 1 : m + 1], -1) + np.eye(m)
    return full if overlap == 1 else np.matmul(full, _instances.overlapping_bases(n, m, overlap))


def _with_both(
    values: NDArray[np.float64], correct: NDArray[np.integer[Any]], kind: RewardType
) -> NDArray[np.float64]:
    """Return rewards of which the first two responses of a prompt, which always exist, have different ones."""
    if kind not in _PAIR:
        return values
    rows = np.flatnonzero(np.ptp(values[:, :2], axis=1) == 0)
    values[rows, correct[rows]], values[rows, 1 - correct[rows]] = _PAIR[kind]
    return values


def _base(
    rewards: NDArray[np.float64],
    exists: NDArray[np.bool_],
    shares: NDArray[np.float64],
    z: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return base logits with which the responses of largest reward have the log-odds z."""
    base = np.full(rewards.shape, -np.inf)
    for x in range(len(z)):
        right = exists[x] & (rewards[x] == rewards[x, exists[x]].max())
        wrong = exists[x] & ~right
        for chosen, log_mass in ((right, -np.logaddexp(0.0, -z[x])), (wrong, -np.logaddexp(0.0, z[x]))):
            if chosen.any():
                base[x, chosen] = shares[x, chosen] - np.logaddexp.reduce(shares[x, chosen]) + log_mass
    return base


def _log_odds(difficulty: Difficulty) -> SearchStrategy[float]:
    """Draw the log-odds of success of one prompt."""
    bands = {"any": tuple(DIFFICULTY), "mixed": _MIXED}.get(difficulty, (difficulty,))
    return st.one_of(*(_band(*DIFFICULTY[name]) for name in bands))


def _band(low: float, high: float) -> SearchStrategy[float]:
    return st.one_of(st.sampled_from([0.0] if low < 0 < high else [low, high]), st.floats(low, high))
