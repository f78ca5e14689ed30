"""checkpoints/step_00025/: parameters and optimiser after 25 updates, there whole or not at all.

A checkpoint is written under a name that begins with a dot, brought to the disk, and renamed. Whatever begins with a
dot is of a process that was killed, and goes when the run is taken up again.
"""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING, Any

from curvature._files import sync

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["checkpoints", "drop_unfinished", "load_checkpoint", "prune_checkpoints", "save_checkpoint"]

_NAME = re.compile(r"step_(\d+)")
_PARTS = ("parameters", "optimizer")


def save_checkpoint(
    folder: Path, step: int, parameters: Mapping[str, Any], optimizer: Mapping[str, Any]
) -> None:
    """Write a checkpoint; when this returns, it is on the disk.

    Parameters
    ----------
    folder : Path
        The run's checkpoints/.
    step : int
        How many updates were made.
    parameters, optimizer : mapping of str to tensor
        On the CPU.
    """
    from safetensors.torch import save_file

    target = folder / f"step_{step:05d}"
    if target.exists():  # the same run wrote it before it was set back, so the same numbers
        return
    fresh = folder / f".{target.name}.{os.getpid()}"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for part, tensors in zip(_PARTS, (parameters, optimizer), strict=True):
        path = fresh / f"{part}.safetensors"
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
        sync(path)
    sync(fresh)
    os.replace(fresh, target)
    sync(folder)


def checkpoints(folder: Path) -> list[int]:
    """Return the steps of which there are checkpoints.

    Parameters
    ----------
    folder : Path
        The run's checkpoints/; need not exist.

    Returns
    -------
    list of int
        Ascending.
    """
    matches = (_NAME.fullmatch(path.name) for path in folder.glob("step_*"))
    return sorted(int(match[1]) for match in matches if match)


def load_checkpoint(folder: Path, step: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a checkpoint.

    Parameters
    ----------
    folder : Path
        The run's checkpoints/.
    step : int
        One of :func:`checkpoints`.

    Returns
    -------
    tuple of two dicts of str to tensor
        Parameters and optimiser.
    """
    from safetensors.torch import load_file

    parameters, optimizer = (
        load_file(folder / f"step_{step:05d}" / f"{part}.safetensors") for part in _PARTS
    )
    return parameters, optimizer


def prune_checkpoints(folder: Path, *, keep: int, keep_every: int) -> None:
    """Delete all but the last checkpoints and those at multiples of a number.

    Parameters
    ----------
    folder : Path
        The run's checkpoints/.
    keep : int
        How many of the last stay.
    keep_every : int
        Multiples of it stay; 0 for none.
    """
    for step in checkpoints(folder)[:-keep]:
        if keep_every and step % keep_every == 0:
            continue
        path = folder / f"step_{step:05d}"
        # Half a checkpoint must never have the name of a whole one, so it is renamed before it is taken apart.
        doomed = path.with_name(f".{path.name}.{os.getpid()}.old")
        os.replace(path, doomed)
        shutil.rmtree(doomed)


def drop_unfinished(folder: Path) -> None:
    """Delete what a killed process left behind.

    Parameters
    ----------
    folder : Path
        The run's checkpoints/; need not exist.
    """
    for path in folder.glob(".step_*"):
        shutil.rmtree(path)
