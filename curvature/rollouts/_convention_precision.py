"""How precise a logged column is, and how far from it a right answer may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

UNIT_32 = 2.0**-24
_UNIT_64 = 2.0**-53
# Rounded text with fewer decimals than this is indistinguishable from numbers that merely are round.
_FEWEST_DIGITS, _MOST_DIGITS = 3, 9
# Fewer different values may be round by accident; halves may also show themselves by using all of their bits.
_FEWEST_VALUES = 8


@dataclass(frozen=True)
class Precision:
    """What may separate a logged advantage from the right one.

    Attributes
    ----------
    name : str
        In words.
    relative : float
        Rounding of an advantage, relative to itself.
    reward_relative : float
        Rounding of rewards and their sums, relative to the largest |r| of the batch.
    decimals, digits : int or None
        Text rounded to so many decimals, or to so many significant digits.
    reward_absolute : float
        Rounding of the logged rewards.
    """

    name: str
    relative: float
    reward_relative: float
    decimals: int | None = None
    digits: int | None = None
    reward_absolute: float = 0.0

    def tolerance(self, computed: Floats, largest_reward: Floats, slope: Floats) -> Floats:
        """Return the error allowed at each row, (N,).

        An error δ of rewards moves A = s·(r − mean) by at most s·δ·(2 + |A|): the reward, the mean, the std.

        Parameters
        ----------
        computed, largest_reward, slope : ndarray, (N,)
            Advantage of the candidate, largest |r| of the batch, and dA/dr.

        Returns
        -------
        ndarray
            Never negative.
        """
        size = np.nan_to_num(np.abs(computed))
        of_reward = self.reward_relative * largest_reward + self.reward_absolute
        return self.relative * size + self._half_unit(size) + slope * of_reward * (2 + size)

    def _half_unit(self, size: Floats) -> Floats | float:
        """Half of the last digit of the text."""
        if self.decimals is not None:
            return 0.5001 * 10.0**-self.decimals
        if self.digits is None:
            return 0.0
        return 0.5001 * 10.0 ** (_decade(size) - self.digits + 1)


_DOUBLE = Precision("float64", 32 * _UNIT_64, 8 * _UNIT_64)
# An advantage in float32 is off by its own rounding, its divisor's, and that of rewards and their mean.
_RELATIVE_32, _REWARD_32 = 4 * UNIT_32, 3 * UNIT_32
_SINGLE = Precision("float32", _RELATIVE_32, _REWARD_32)


def precisions(column: Floats) -> list[Precision]:
    """Return the precisions that a column may have been written with, finest first.

    Every number is a float64, so that is always the first. A coarser one is listed if every value is its own
    rounding: all values that are round by nature pass as well, but then the finest precision fits too, and is
    tried first.

    Parameters
    ----------
    column : ndarray of float64, (N,)
        As logged; numbers only.

    Returns
    -------
    list of Precision
        At least one.
    """
    found = [_DOUBLE]
    with np.errstate(over="ignore"):
        if np.array_equal(column, column.astype(np.float32).astype(np.float64)):
            found.append(_SINGLE)
        half = np.array_equal(column, column.astype(np.float16).astype(np.float64))
    many = np.unique(np.abs(column)).size >= _FEWEST_VALUES
    if many:
        found += _text_precisions(column)
    if half and (many or _needs_bits(column, 8)):
        found.append(Precision("float16", 2 * 2.0**-11, _REWARD_32))
    if _is_bfloat(column) and (many or _needs_bits(column, 7)):
        found.append(Precision("bfloat16", 2 * 2.0**-8, _REWARD_32))
    return found


def fallbacks(column: Floats, reward: Floats) -> list[Precision]:
    """Return what else may have blurred a column: float32 arithmetic behind float64 numbers, rounded rewards.

    Parameters
    ----------
    column, reward : ndarray of float64
        Numbers only.

    Returns
    -------
    list of Precision
        Finest first; empty if nothing shows.
    """
    found = []
    if len(precisions(column)) == 1:
        found.append(Precision("float32 arithmetic, stored as float64", _RELATIVE_32, _REWARD_32))
    decimals = _decimals(reward)
    if decimals is not None and decimals > _FEWEST_DIGITS and np.unique(reward).size >= _FEWEST_VALUES:
        name = f"rewards rounded to {decimals} decimals"
        found.append(Precision(name, _RELATIVE_32, _REWARD_32, reward_absolute=0.5001 * 10.0**-decimals))
    return found


def _text_precisions(column: Floats) -> list[Precision]:
    """Text of d decimals and text of d digits; a column may pass for both."""
    found = []
    decimals = _decimals(column)
    if decimals is not None:
        name = f"text of {decimals} decimals"
        found.append(Precision(name, _RELATIVE_32, _REWARD_32, decimals=decimals))
    size = np.abs(column[column != 0])
    for digits in range(_FEWEST_DIGITS, _MOST_DIGITS + 1):
        if _are_whole(size * 10.0 ** (digits - 1 - _decade(size))):
            found.append(Precision(f"text of {digits} digits", _RELATIVE_32, _REWARD_32, digits=digits))
            break
    return found


def _decimals(values: Floats) -> int | None:
    """Return the least number of decimals that writes every value, None if more than text would have."""
    for decimals in range(_FEWEST_DIGITS, _MOST_DIGITS + 1):
        if _are_whole(values * 10.0**decimals):
            return decimals
    return None


def _are_whole(values: Floats) -> bool:
    """Whether all values are whole numbers but for the rounding of float64."""
    return bool(np.all(np.abs(values - np.rint(values)) <= 1e-9 + 4 * _UNIT_64 * np.abs(values)))


def _decade(size: Floats) -> Floats:
    """Return the power of ten of the first digit; 0 for 0."""
    return np.floor(np.log10(np.where(size > 0, size, 1.0)) + 1e-12)


def _needs_bits(column: Floats, bits: int) -> bool:
    """Whether a value needs so many significant bits, as ratios of small integers rarely do."""
    mantissa = np.frexp(np.abs(column))[0] * 2.0 ** (bits - 1)
    return bool(np.any(mantissa != np.rint(mantissa)))


def _is_bfloat(column: Floats) -> bool:
    """Whether the values fit the upper half of a float32."""
    with np.errstate(over="ignore"):
        single = column.astype(np.float32)
    return np.array_equal(column, single.astype(np.float64)) and not np.any(single.view(np.uint32) & 0xFFFF)
