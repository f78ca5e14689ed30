"""Sums of two numbers, drawn without repeats."""

from __future__ import annotations

from itertools import product

import numpy as np

__all__ = ["draw_sums"]

MAX_DIGITS = 9  # a pair of addends is then numbered by one int64


def draw_sums(
    num_sums: int, digits: tuple[int, int] | float, generator: np.random.Generator
) -> list[tuple[int, int]]:
    """Draw different pairs of addends.

    Parameters
    ----------
    num_sums : int
        How many.
    digits : (int, int) or float
        Fewest and most digits of an addend, or their mean number.
    generator : numpy.random.Generator
        Where the draws come from.

    Returns
    -------
    list of (int, int)
        In random order.

    Raises
    ------
    ValueError
        If digits is out of range or there are too few pairs.
    """
    shares = _digit_shares(digits)
    kinds = list(product(shares, shares))
    sizes = np.array([_count(a) * _count(b) for a, b in kinds])
    if not 1 <= num_sums <= sizes.sum():
        raise ValueError(
            f"num_questions is {num_sums}; with digits={digits!r} there are {sizes.sum()} different sums to draw from."
        )
    weights = np.array([shares[a] * shares[b] for a, b in kinds])
    numbers = _share_out(num_sums, weights, sizes, generator)
    pairs = [
        (_first(a) + int(i) // _count(b), _first(b) + int(i) % _count(b))
        for (a, b), size, number in zip(kinds, sizes, numbers, strict=True)
        for i in generator.choice(size, number, replace=False)
    ]
    return [pairs[i] for i in generator.permutation(len(pairs))]


def _digit_shares(digits: tuple[int, int] | float) -> dict[int, float]:
    """Return the probability of each number of digits."""
    if isinstance(digits, (tuple, list)):  # a list is what JSON makes of a pair
        if len(digits) != 2 or not all(isinstance(d, int) for d in digits):
            raise ValueError(
                f"digits is {digits!r}; it must be a pair of whole numbers (fewest, most) or one number."
            )
        low, high = digits
        shares = dict.fromkeys(range(low, high + 1), 1 / max(high - low + 1, 1))
    else:
        low, high = int(np.floor(digits)), int(np.ceil(digits))
        shares = {low: 1.0} if low == high else {low: high - digits, high: digits - low}
    if not 1 <= low <= high <= MAX_DIGITS:
        raise ValueError(
            f"digits is {digits!r}; numbers of digits go from 1 to {MAX_DIGITS}, the fewest first."
        )
    return shares


def _share_out(
    total: int, weights: np.ndarray, sizes: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Draw the kinds; what a kind has no room for is drawn again among the others."""
    numbers = np.zeros(len(sizes), dtype=np.int64)
    while (missing := total - int(numbers.sum())) > 0:
        open_weights = np.where(numbers < sizes, weights, 0.0)
        numbers += generator.multinomial(missing, open_weights / open_weights.sum())
        numbers = np.minimum(numbers, sizes)
    return numbers


def _first(digits: int) -> int:
    """Return the smallest number of so many digits; 0 has one."""
    return 0 if digits == 1 else 10 ** (digits - 1)


def _count(digits: int) -> int:
    """Return how many numbers have so many digits."""
    return 10**digits - _first(digits)
