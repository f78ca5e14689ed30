"""Sentences about conventions: what one is, how two differ, and what kind of group would tell them apart."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from curvature.advantages import Normalization
    from curvature.rollouts._convention_candidates import Candidate

_BASELINES = {
    "mean": "the group's mean",
    "leave-one-out": "the mean of the others of the group",
    "batch": "the batch's mean",
}
_SPREADS = {
    "group": "the group's std",
    "batch": "the batch's std",
    "pooled": "the std of all centred rewards of the batch",
    "leave-one-out": "the std of the others of the group",
    "none": "no std",
}
_TELLING = {
    "nan": "a NaN reward",
    "singleton": "a group of one",
    "ddof": "a live group of another size",
    "placement": "a group with a much smaller std",
    "exponent": "live groups of different std",
    "baseline": "a live group of another size",
    "spread": "live groups of different std in one step",
}


def number(value: float) -> str:
    """Return a number as people type it: 1e-4, not 0.0001.

    Parameters
    ----------
    value : float
        Any number.

    Returns
    -------
    str
        At most four digits.
    """
    text = f"{value:.4g}"
    if value and abs(value) < 1e-2:
        mantissa, exponent = f"{value:.3e}".split("e")
        text = f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    return text


def formula(convention: Normalization) -> str:
    """Return a convention in words.

    Parameters
    ----------
    convention : Normalization
        How rewards become advantages.

    Returns
    -------
    str
        Without a full stop.
    """
    top = f"r − {_BASELINES[convention.baseline]}"
    if convention.spread == "none":
        return f"{top}, not divided by a std"
    text = f"({top}) divided by {_SPREADS[convention.spread]} (ddof {convention.ddof})"
    if convention.exponent != 1:
        text += f" to the power {number(convention.exponent)}"
    if convention.eps:
        where = "" if convention.placement == "outside" else " under the root"
        text += f" + {number(convention.eps)}{where}"
    return text + (f", at least {number(convention.floor)}" if convention.floor else "")


def treatment(candidate: Candidate) -> str:
    """Return what a candidate does after its normalization, empty for nothing.

    Parameters
    ----------
    candidate : Candidate
        What made the column.

    Returns
    -------
    str
        A continuation of a sentence.
    """
    parts = []
    if candidate.second is not None:
        eps = f", eps {number(candidate.second.eps)}" if candidate.second.eps else ""
        parts.append(f"normalised once more over the batch (ddof {candidate.second.ddof}{eps})")
    if candidate.factor != 1:
        parts.append(f"multiplied by {candidate.factor:.6g}")
    if candidate.clip is not None:
        low, high = candidate.clip
        bounds = [f"below at {low:.6g}"] if math.isfinite(low) else []
        bounds += [f"above at {high:.6g}"] if math.isfinite(high) else []
        parts.append("clipped " + " and ".join(bounds))
    return "".join(f", then {part}" for part in parts)


def field_differences(found: Normalization, other: Normalization, size: int) -> list[str]:
    """Return how a convention differs from another, field by field; policies for NaN and groups of one left out.

    Parameters
    ----------
    found, other : Normalization
        Two conventions.
    size : int
        A usual group size.

    Returns
    -------
    list of str
        "eps is 3.2e-3, not 1e-4" and the like; empty if they agree.
    """
    out = []
    if found.baseline != other.baseline:
        out.append(f"the baseline is {_BASELINES[found.baseline]}, not {_BASELINES[other.baseline]}")
    if found.spread != other.spread:
        out.append(f"the advantages are divided by {_SPREADS[found.spread]}, not by {_SPREADS[other.spread]}")
    if found.spread == "none" or other.spread == "none":
        return out
    if found.ddof != other.ddof:
        text = f"ddof is {found.ddof}, not {other.ddof}"
        if found.spread == other.spread == "group" and size > 1:
            ratio = math.sqrt(size / (size - 1))
            text += f": in groups of {size} the std is {ratio:.3f} times "
            text += "larger" if found.ddof else "smaller"
        out.append(text)
    if found.eps != other.eps:
        out.append(f"eps is {number(found.eps)}, not {number(other.eps)}")
    if found.placement != other.placement and found.eps and other.eps:
        out.append(f"eps is added {'to the variance' if found.placement == 'inside' else 'to the std'}")
    if found.floor != other.floor:
        out.append(f"the least std is {number(found.floor)}, not {number(other.floor)}")
    if found.exponent != other.exponent:
        out.append(f"the std has the power {number(found.exponent)}, not {number(other.exponent)}")
    return out


def nearest_preset(
    found: Normalization, presets: Mapping[str, Normalization], first: str | None, size: int
) -> str:
    """Return the name of the preset with the fewest differences; `first` wins ties.

    Parameters
    ----------
    found : Normalization
        A convention.
    presets : mapping of str to Normalization
        At least one.
    first : str or None
        The log's own.
    size : int
        A usual group size.

    Returns
    -------
    str
        Its name.
    """

    def distance(name: str) -> tuple[float, ...]:
        other = presets[name]
        kind = (found.spread != other.spread) + (found.baseline != other.baseline)
        count = len(field_differences(found, other, size))
        gap = abs(math.log10(max(found.eps, 1e-12)) - math.log10(max(other.eps, 1e-12)))
        return kind, count, name != first, gap

    return min(presets, key=distance)


def telling(conventions: Iterable[Normalization]) -> str:
    """Return what would tell conventions apart that agree so far.

    Parameters
    ----------
    conventions : iterable of Normalization
        At least two.

    Returns
    -------
    str
        Phrases, joined by semicolons.
    """
    known = list(conventions)
    values = {
        field.name: {getattr(c, field.name) for c in known} for field in fields(known[0]) if field.compare
    }
    differing = [name for name, seen in values.items() if len(seen) > 1]
    # Without a spread its eps and ddof say nothing.
    if values["spread"] == {"none"}:
        differing = [name for name in differing if name in {"baseline", "nan", "singleton"}]
    phrases = []
    for name in differing:
        if name == "eps":
            phrases.append("a group with a std so small that eps shows, or a column of more digits")
        elif name == "floor":
            phrases.append(f"a group with a std below {number(max(values['floor']))}")
        else:
            phrases.append(_TELLING[name])
    unique = list(dict.fromkeys(phrases))
    return "; ".join(unique)
