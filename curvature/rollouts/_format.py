"""Numbers and foreign text as people read them, the same in the terminal and in the report."""

from __future__ import annotations

import math
import re
import unicodedata
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from curvature.rollouts.findings import Estimate, Limit, Prediction

# Escape sequences of terminals: CSI (colours, cursor), OSC and other strings (window titles, links), and short ones.
_ESCAPES = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b[\\]PX^_]|[\x90\x98\x9d-\x9f]).*?(?:\x07|\x1b\\\\|\x9c)|\x1b[ -/]*[0-~]",
    re.DOTALL,
)
# Marks that turn the direction of what follows: a name could be made to read as another.
_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

PERCENT = "\u202f%"
"""After a narrow space that does not break."""


class Quantity(NamedTuple):
    """What a key of ``Diagnosis.overall`` is called, whether it is a share, and what it means."""

    label: str
    is_share: bool
    meaning: str


QUANTITIES = {
    "accuracy": Quantity("accuracy", True, "mean reward, in units of the reward range"),
    "mean_std": Quantity("mean σ", False, "mean over groups of the prompt's own reward std"),
    "plugin_std": Quantity("mean σ̂", False, "mean std within groups, which is biased low"),
    "mean_variance": Quantity("mean σ²", False, "mean variance within prompts, unbiased"),
    "silent": Quantity("silent groups", True, "all rewards equal: nothing is learnt"),
    "all_right": Quantity("all right", True, "every reward the highest"),
    "all_wrong": Quantity("all wrong", True, "every reward the lowest"),
    "silent_expected": Quantity(
        "silent, expected", True, "mean of p^G + (1 − p)^G, fitted distribution of p"
    ),
    "silent_if_alike": Quantity("silent, if alike", True, "p^G + (1 − p)^G, all prompts at the mean p"),
    "paper_statistic": Quantity("(8/3)·mean σ", False, "below 1: the paper's bounds favour dividing"),
    "sharp_statistic": Quantity("2.598·mean σ", False, "below 1: the sharp bounds favour dividing"),
    "std_over_max": Quantity("σ̄/σ_max", False, "ratio of the two rate bounds, theory T3"),
}


def clean(value: Any) -> str:
    """Text of a log without anything that a terminal or a browser would act on; one line."""
    text = _ESCAPES.sub("", str(value))
    return "".join(_harmless(character) for character in text)


def _harmless(character: str) -> str:
    if character in "\n\r\t":
        return " "
    if character in _DIRECTIONS or unicodedata.category(character) == "Cc":
        return ""
    return "\ufffd" if unicodedata.category(character) == "Cs" else character


def number(value: float | None, digits: int = 3) -> str:
    """Write a number to so many significant digits, with a true minus; a dash for none."""
    if value is None or math.isnan(value):
        return "—"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == int(value) and abs(value) < 1e15:
        places = 0
    elif 1e-4 <= abs(value) < 1e6:
        places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    else:
        return f"{value:.{digits}g}".replace("e-0", "e-").replace("e+0", "e+").replace("-", "−")
    # A narrow space that does not break between the thousands.
    return f"{value + 0.0:,.{places}f}".replace(",", "\u202f").replace("-", "−")


def share(value: float | None) -> str:
    """Write a share in per cent, to a tenth."""
    if value is None or not math.isfinite(value):
        return number(value)
    return f"{100 * value:.1f}{PERCENT}".replace("-", "−")


def interval(estimate: Estimate, *, is_share: bool = False) -> str:
    """Write the two ends in brackets, or an empty string where there is no interval."""
    if math.isnan(estimate.low) or math.isnan(estimate.high):
        return ""
    show = bare_share if is_share else number
    return f"[{show(estimate.low)}, {show(estimate.high)}]"


def bare_share(value: float) -> str:
    """Write a share in per cent, to a tenth, without the sign."""
    return share(value).removesuffix(PERCENT)


def with_interval(estimate: Estimate, *, is_share: bool = False) -> str:
    """Write a number and its interval, or the number alone."""
    value = share(estimate.value) if is_share else number(estimate.value)
    return f"{value} {interval(estimate, is_share=is_share)}".rstrip()


def counted(count: int, one: str, many: str | None = None) -> str:
    """Write a count and its noun: "1 step", "250 steps"."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def listed(paths: Sequence[str], shown: int = 3) -> list[str]:
    """Return a few paths as they are, many as the first, "…" and the last."""
    return list(paths) if len(paths) <= shown else [paths[0], "…", paths[-1]]


def sizes(group_sizes: Mapping[int, int], shown: int = 6) -> str:
    """Write group sizes and how many groups have each: the most frequent first, the others counted."""
    most = sorted(group_sizes.items(), key=lambda entry: (-entry[1], entry[0]))
    parts = [f"{size} ({counted(count, 'group')})" for size, count in most[:shown]]
    others = sum(count for _, count in most[shown:])
    return ", ".join(parts) + (f" and others ({counted(others, 'group')})" if others else "")


def numbered_assumptions(predictions: Iterable[Prediction]) -> tuple[list[str], list[str]]:
    """List what the predictions assume, each once, and for each prediction the numbers of its own: "1, 2, 4–6"."""
    predictions = list(predictions)
    numbers: dict[str, int] = {}
    for prediction in predictions:
        for assumption in prediction.assumptions:
            numbers.setdefault(assumption, len(numbers) + 1)
    return list(numbers), [_ranges({numbers[text] for text in each.assumptions}) for each in predictions]


def _ranges(numbers: set[int]) -> str:
    """Write whole numbers with runs of three or more drawn together."""
    runs: list[list[int]] = []
    for value in sorted(numbers):
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    return ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs)


def by_experiment(limits: Iterable[Limit]) -> list[tuple[str, list[Limit]]]:
    """Put questions that one experiment would settle together, in the order of the first of each."""
    groups: dict[str, list[Limit]] = {}
    for limit in limits:
        groups.setdefault(limit.experiment, []).append(limit)
    return list(groups.items())


def in_order(overall: Mapping[str, Estimate]) -> list[str]:
    """Return the keys in the order of QUANTITIES, unknown ones last."""
    known = [key for key in QUANTITIES if key in overall]
    return known + [key for key in overall if key not in QUANTITIES]
