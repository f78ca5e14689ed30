"""rollouts/step_00012.parquet: the groups of one step, as `curvature diagnose` reads them."""

from __future__ import annotations

import io
import os
import re
from typing import TYPE_CHECKING, Any

from curvature._files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["drop_rollouts", "sync_rollouts", "write_rollouts"]

_NAME = re.compile(r"step_(\d+)\.parquet")


def write_rollouts(folder: Path, step: int, columns: Mapping[str, Any]) -> None:
    """Write the rollouts of a step, whole or not at all.

    Parameters
    ----------
    folder : Path
        The run's rollouts/.
    step : int
        Whose.
    columns : mapping of str to array
        One value a rollout: group, reward, advantage, length, truncated, logprob.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    size = len(columns["reward"])
    table = pa.table({"step": pa.array([step] * size, pa.int64()), **columns})
    buffer = io.BytesIO()
    # A step is a hundred rows or so: statistics would weigh more than the rows.
    pq.write_table(table, buffer, compression="zstd", write_statistics=False, store_schema=False)
    write_atomically(folder / f"step_{step:05d}.parquet", buffer.getvalue())


def drop_rollouts(folder: Path, first_step: int) -> None:
    """Delete the rollouts of a step and of later ones: the run goes back to before it.

    Parameters
    ----------
    folder : Path
        The run's rollouts/; need not exist.
    first_step : int
        The first that goes.
    """
    for path in folder.glob("*.parquet"):
        match = _NAME.fullmatch(path.name)
        if match and int(match[1]) >= first_step:
            path.unlink()
    for path in folder.glob(".step_*.tmp"):  # of a process that was killed while it wrote
        path.unlink()


def sync_rollouts(folder: Path, first_step: int, end: int) -> None:
    """Return when the rollouts of some steps are on the disk, whatever happens to the machine.

    Parameters
    ----------
    folder : Path
        The run's rollouts/.
    first_step, end : int
        From this step to before that one.
    """
    for step in range(first_step, end):
        path = folder / f"step_{step:05d}.parquet"
        if path.exists():
            with path.open("rb") as file:
                os.fsync(file.fileno())
