"""What the strategies share: matrices, numbers that shrink well, and rewards of every type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np

try:
    from hypothesis import strategies as st
except ImportError as error:  # pragma: no cover - exercised by hand, hypothesis is there wherever tests run
    raise ImportError("curvature.testing needs hypothesis: install curvature[test].") from error

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy
    from numpy.typing import NDArray

__all__ = [
    "COORDINATE",
    "LOGIT",
    "REWARD",
    "Prompts",
    "RewardType",
    "check_choice",
    "draw_prompts",
    "matrix",
    "one_in",
    "st",
]

RewardType = Literal["any", "one_correct", "binary", "real", "non_dyadic", "constant"]

# Round numbers shrink well and make ties; the ends of the range make features of very different lengths.
COORDINATE = st.one_of(
    st.integers(-2, 2).map(float),
    st.floats(-4, 4, allow_nan=False).map(lambda x: 0.0 if abs(x) < 1e-12 else x),
)
LOGIT = st.one_of(st.just(0.0), st.floats(-5, 5), st.sampled_from([-60.0, -30.0, 30.0, 60.0]))
REWARD = {
    "binary": st.sampled_from([0.0, 1.0]),
    "real": st.one_of(st.integers(-1, 1).map(float), st.floats(-3, 3)),
    # Sums of these round, so the std of equal ones is rounding unless equality is tested for.
    "non_dyadic": st.sampled_from([0.1, 0.7, 0.3, 1 / 3, 0.9]),
}
LEVEL = st.one_of(st.sampled_from([1.0, 0.0, 0.7]), REWARD["real"])


def matrix(draw: DrawFn, shape: tuple[int, ...], element: SearchStrategy[float]) -> NDArray[np.float64]:
    """Draw an array, entry by entry."""
    size = int(np.prod(shape))
    return np.array(draw(st.lists(element, min_size=size, max_size=size)), dtype=float).reshape(shape)


def one_in(draw: DrawFn, times: int) -> bool:
    """Draw whether a case is met that is to be met once in so many times; shrinks to no."""
    return draw(st.integers(0, times - 1)) == times - 1


def check_choice(name: str, value: Any, choices: Any) -> None:
    """Raise a ValueError that names a value which is none of the choices, or of a Literal's."""
    known = get_args(choices) or choices
    if value not in known:
        raise ValueError(f"{name} is {value!r}; choose one of {', '.join(map(str, known))}.")


class Prompts(NamedTuple):
    """n prompts as they were drawn.

    Attributes
    ----------
    features : ndarray, shape (n, K, d)
        φ.
    logits, rewards : ndarray, shape (n, K)
        Rewards of the kind asked for.
    correct : ndarray of int, shape (n,)
        A response of each prompt: the correct one under A1.
    head : list
        What else was drawn for each prompt.
    """

    features: NDArray[np.float64]
    logits: NDArray[np.float64]
    rewards: NDArray[np.float64]
    correct: NDArray[np.int64]
    head: list[Any]


def draw_prompts(
    draw: DrawFn,
    shape: tuple[int, int, int],
    kind: RewardType,
    *,
    logit: SearchStrategy[float],
    candidates: int,
    head: SearchStrategy[Any] | None = None,
) -> Prompts:
    """Draw n prompts of K responses in d dimensions, the correct one among the first candidates.

    What belongs to one response, and to one prompt, is drawn together, so that hypothesis can take it away whole:
    drawn array by array, a counterexample of three prompts would seldom shrink to one.

    Returns
    -------
    Prompts
        Rewards under "one_correct" are 1 at the correct response, under "constant" one number a prompt.
    """
    n, K, d = shape
    head = st.none() if head is None else head
    level = LEVEL if kind == "constant" else st.just(0.0)
    first = st.tuples(head, st.integers(0, candidates - 1), level)
    reward = REWARD.get(kind, st.just(0.0))
    response = st.tuples(st.lists(COORDINATE, min_size=d, max_size=d), logit, reward)
    prompt = st.tuples(first, st.lists(response, min_size=K, max_size=K))
    drawn = [draw(prompt) for _ in range(n)]
    features, logits, rewards = (
        np.array([[one[part] for one in responses] for _, responses in drawn], dtype=float)
        for part in range(3)
    )
    correct = np.array([one[1] for one, _ in drawn])
    if kind == "one_correct":
        rewards = np.eye(K)[correct]
    if kind == "constant":
        rewards = np.repeat([[one[2]] for one, _ in drawn], K, axis=1)
    return Prompts(features, logits, rewards, correct, [one[0] for one, _ in drawn])
