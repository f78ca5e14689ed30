"""A diagnosis as JSON: strict (no NaN), keys in a fixed order, tables as lists of records."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from curvature.rollouts.findings import Diagnosis

__all__ = ["SCHEMA", "SCHEMA_VERSION", "to_json"]

SCHEMA = "curvature.diagnosis"
SCHEMA_VERSION = 1
"""Raised when a key is taken away or changes its meaning; a new key does not raise it."""

# Fields that hold plain tuples, and what the places of these tuples are called.
_RECORDS = {
    "first_bad_rows": ("file", "line", "reason"),
    "notes": ("code", "text", "count"),
    "flags": ("trainer", "flag"),
}


def to_json(diagnosis: Diagnosis, *, indent: int | None = 1) -> str:
    """Write everything a diagnosis holds as one JSON object, the same bytes for the same diagnosis.

    Ours. Keys are the names of the attributes of :class:`curvature.rollouts.findings.Diagnosis`, in its order, after
    "schema" and "schema_version". Numbers that JSON has no word for (NaN, infinities) are null, a table is a list of
    records, and half a surrogate pair, which UTF-8 cannot hold, becomes U+FFFD.

    Parameters
    ----------
    diagnosis : Diagnosis
        What :func:`curvature.rollouts.diagnose` returned.
    indent : int, optional
        Spaces a level; None for a single line.

    Returns
    -------
    str
        Without a newline at the end.

    Raises
    ------
    TypeError
        If the diagnosis holds something that JSON cannot.

    Examples
    --------
    >>> from curvature.rollouts import RolloutLog
    >>> from curvature.rollouts.diagnosis import diagnose
    >>> log = RolloutLog.from_arrays([0] * 8, [0] * 4 + [1] * 4, [1, 0, 0, 0, 1, 1, 1, 0])
    >>> found = json.loads(to_json(diagnose(log)))
    >>> found["schema"], found["source"]["groups"], round(found["overall"]["accuracy"]["value"], 6)
    ('curvature.diagnosis', 2, 0.5)
    """
    whole = {"schema": SCHEMA, "schema_version": SCHEMA_VERSION} | _plain(diagnosis)
    return json.dumps(whole, ensure_ascii=False, allow_nan=False, indent=indent)


def _plain(value: Any) -> Any:
    """Dataclasses, tables, arrays and numbers of numpy as what json knows."""
    if hasattr(value, "to_dict") and hasattr(value, "columns"):  # a data frame; pandas need not be loaded
        return [_plain(record) for record in value.to_dict("records")]
    if not isinstance(value, type) and is_dataclass(value):
        return {field.name: _field(field.name, getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {_text(str(_plain(key))): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int):
        return value
    raise TypeError(f"JSON has no word for {value!r}, of type {type(value).__name__}.")


def _field(name: str, value: Any) -> Any:
    places = _RECORDS.get(name)
    if places is None:
        return _plain(value)
    return [dict(zip(places, _plain(entry), strict=True)) for entry in value]


def _text(value: str) -> str:
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
