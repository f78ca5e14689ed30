"""Easy and hard questions, by the base policy's own measured success.

The paper splits GSM8K by another model's judgement and does not state its criterion. Here the criterion is a number
that anyone can measure again: k right answers of G by the policy that training starts from, and two thresholds.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

__all__ = ["Split", "difficulty_split"]


@dataclass(frozen=True)
class Split:
    """Questions by difficulty, and the rule that made it.

    Attributes
    ----------
    easy, hard : tuple of str
        Keys, in the order of the questions.
    never : tuple of str
        Keys of those without one right answer, when they are left out.
    group_size : int
        Answers each question was tried with.
    threshold : float
        Success from which a question is easy.
    keep_never : bool
        Whether questions without one right answer count as hard.
    easy_success, hard_success : float
        Mean measured success, NaN of none. It is biased away from the threshold, by selection on the same answers:
        fresh answers would come out nearer to it.
    """

    easy: tuple[str, ...]
    hard: tuple[str, ...]
    never: tuple[str, ...]
    group_size: int
    threshold: float
    keep_never: bool
    easy_success: float
    hard_success: float

    def to_json(self) -> str:
        """Write the split as JSON.

        Returns
        -------
        str
            One object.
        """
        fields = {name: None if value != value else value for name, value in asdict(self).items()}
        return json.dumps(fields, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Split:
        """Read what :meth:`to_json` wrote.

        Parameters
        ----------
        text : str
            JSON.

        Returns
        -------
        Split
            The same.
        """
        fields: dict[str, Any] = json.loads(text)
        for name in ("easy", "hard", "never"):
            fields[name] = tuple(fields[name])
        for name in ("easy_success", "hard_success"):
            fields[name] = float("nan") if fields[name] is None else fields[name]
        return cls(**fields)


def difficulty_split(
    keys: Sequence[str],
    counts: ArrayLike,
    group_size: int,
    *,
    threshold: float = 0.5,
    keep_never: bool = False,
) -> Split:
    """Split questions at measured success k/G: easy from the threshold on, hard below it.

    Ours.

    Parameters
    ----------
    keys : sequence of str, (n,)
        Of the questions.
    counts : array_like of int, (n,)
        Right answers k of each.
    group_size : int
        G.
    threshold : float, default 0.5
        In (0, 1].
    keep_never : bool, default False
        Count questions without one right answer as hard; else they are set aside: no group of theirs has a gradient
        until one answer is right.

    Returns
    -------
    Split
        Keys and the rule.

    Raises
    ------
    ValueError
        If lengths differ, a count is outside 0..G or the threshold outside (0, 1].

    Examples
    --------
    >>> split = difficulty_split(["a", "b", "c", "d"], [8, 4, 1, 0], 8)
    >>> split.easy, split.hard, split.never
    (('a', 'b'), ('c',), ('d',))
    >>> Split.from_json(split.to_json()) == split
    True
    """
    k = np.asarray(counts)
    if k.shape != (len(keys),):
        raise ValueError(
            f"there are {len(keys)} keys and counts of shape {k.shape}; one count a key is needed."
        )
    if group_size < 1 or not np.isin(k, np.arange(group_size + 1)).all():
        odd = k[~np.isin(k, np.arange(group_size + 1))]
        raise ValueError(
            f"counts hold {odd[:1].tolist()}; whole numbers from 0 to group_size = {group_size} are needed."
        )
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold is {threshold}; a success rate in (0, 1] is needed.")
    easy = k >= threshold * group_size
    hard = ~easy & ((k > 0) | keep_never)
    never = ~easy & ~hard

    def named(chosen: Any) -> tuple[str, ...]:
        return tuple(key for key, taken in zip(keys, chosen, strict=True) if taken)

    def success(chosen: Any) -> float:
        return float(k[chosen].mean() / group_size) if chosen.any() else float("nan")

    return Split(
        named(easy),
        named(hard),
        named(never),
        int(group_size),
        threshold,
        keep_never,
        success(easy),
        success(hard),
    )
