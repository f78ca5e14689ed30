"""Torch files of slime to rows, loaded with weights_only so that nothing in them runs."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from curvature.rollouts._faults import Faults
from curvature.rollouts._plan import Plan, RowList, Rows

__all__ = ["read_torch"]


def read_torch(path: Path, plan: Plan, file_step: int, faults: Faults) -> Iterator[Rows]:
    """Yield the rows of a file."""
    data = _load(path, faults)
    samples = data.get("samples") if isinstance(data, dict) else None
    if not isinstance(samples, list | tuple):
        if data is not None:
            faults.break_off(path, 0, "the file holds no list of samples")
        return
    step = data["rollout_id"] if isinstance(data, dict) and "rollout_id" in data else file_step
    rows = RowList(plan, plan.keys(), path, faults)
    for number, sample in enumerate(samples, 1):
        rows.add(sample, number, step)
    taken = rows.take()
    if taken is not None:
        yield taken


def _load(path: Path, faults: Faults) -> Any:
    try:
        import torch
    except ImportError:
        raise ImportError("slime logs are torch files: pip install 'curvature[torch]'.") from None
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        reason = "it holds objects that only running code could rebuild, or it is damaged"
    except Exception as error:  # the unpickler of torch raises whatever a damaged byte leads it to
        reason = str(error).strip().split("\n")[0][:120] or type(error).__name__
    faults.break_off(path, 0, f"torch cannot load it with weights_only=True: {reason}")
    return None
