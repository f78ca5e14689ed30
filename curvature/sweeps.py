"""Sweeps: one function over many cells, on threads, processes or a cluster, kept on disk and taken up where it ended.

A *cell* is a dict of numbers and strings; a function turns it into a table. :func:`sweep` calls it for every cell
and returns the tables one below the other, in the order of the cells, whatever ran them and in whatever order they
finished. With a store every finished cell is one file, written whole or not at all: a sweep that was killed goes on
from there and returns the same bytes.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import itertools
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from curvature._backends import finished_cells

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import pandas as pd

__all__ = ["grid", "sweep"]

Scalar = str | int | float | bool | None
Backend = Literal["threads", "processes", "dask", "ray"]


def grid(**axes: Iterable[Scalar]) -> list[dict[str, Scalar]]:
    """List all combinations of the axes' values as cells; the last axis varies fastest.

    Ours.

    Parameters
    ----------
    **axes : iterable
        The values of each parameter.

    Returns
    -------
    list of dict
        One cell a combination.

    Raises
    ------
    ValueError
        If an axis has no values.

    Examples
    --------
    >>> grid(overlap=[0.0, 0.5], seed=range(2))
    [{'overlap': 0.0, 'seed': 0}, {'overlap': 0.0, 'seed': 1}, {'overlap': 0.5, 'seed': 0}, {'overlap': 0.5, 'seed': 1}]
    """
    values = {name: list(axis) for name, axis in axes.items()}
    for name, axis in values.items():
        if not axis:
            raise ValueError(f"{name} has no values; give each axis at least one.")
    return [
        dict(zip(values, combination, strict=True)) for combination in itertools.product(*values.values())
    ]


def sweep(
    cells: Sequence[Mapping[str, Scalar]],
    run_cell: Callable[..., pd.DataFrame | Mapping[str, Any] | Sequence[Mapping[str, Any]]],
    *,
    store: str | os.PathLike[str] | None = None,
    workers: int = 1,
    backend: Backend = "threads",
    address: str | None = None,
    version: str = "",
    progress: bool = True,
) -> pd.DataFrame:
    """Call ``run_cell(**cell)`` for every cell and return all results as one table.

    Ours.

    Parameters
    ----------
    cells : sequence of mapping
        Parameters of each cell: numbers, strings, booleans or None. See :func:`grid`.
    run_cell : callable
        Takes a cell's parameters as keywords and returns a DataFrame (its index is dropped), a mapping (one row) or
        a sequence of mappings (rows). Its result must depend on nothing else. Processes and clusters must be able
        to pickle it.
    store : path, optional
        A folder. Finished cells are kept there, one file each (parquet if pyarrow is installed, else CSV), under a
        hash of the cell, the function's name and the version; those found there are not computed again.
    workers : int
        How many cells at once.
    backend : {"threads", "processes", "dask", "ray"}
        What runs them. "dask" and "ray" use the cluster that is active in this process, or that at ``address``, or
        start a local one for the time of the sweep.
    address : str, optional
        Of a dask scheduler or a ray head.
    version : str
        Part of the key in the store: change it when what a cell computes has changed.
    progress : bool
        Show a progress bar on stderr.

    Returns
    -------
    DataFrame
        The cells' parameters, then the columns of the results; the same whatever the backend, the number of workers
        and how often the sweep was interrupted.

    Raises
    ------
    ValueError
        If a cell repeats or holds something other than a number, string, boolean or None, a result has a column of
        a parameter's name, a kept part cannot be read, or an argument is out of its domain.
    TypeError
        If a result is none of the above.
    ImportError
        If the backend is not installed; the message names the extra.

    Notes
    -----
    An exception in a cell ends the sweep and carries a note that names the cell; cells finished before it are kept.
    Every table passes through the file format, with or without a store, so that both give the same types.

    Examples
    --------
    >>> sweep(grid(base=[2, 3], power=[1, 2]), lambda base, power: {"value": base**power}, progress=False)
       base  power  value
    0     2      1      2
    1     2      2      4
    2     3      1      3
    3     3      2      9
    """
    import pandas as pd
    from tqdm import tqdm

    if isinstance(workers, bool) or not isinstance(workers, int | np.integer) or workers < 1:
        raise ValueError(f"workers is {workers!r}; a whole number of at least 1 is needed.")
    if backend not in get_args(Backend):
        raise ValueError(f"backend is {backend!r}; choose one of {', '.join(get_args(Backend))}.")
    if address is not None and backend not in {"dask", "ray"}:
        raise ValueError(f"address is {address!r}, but backend={backend!r} has none: choose 'dask' or 'ray'.")
    keys = _keys(cells, run_cell, version)
    parts: dict[int, bytes] = {}
    folder = None if store is None else Path(store)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        parts = _kept(folder, keys)
    suffix = ".parquet" if importlib.util.find_spec("pyarrow") else ".csv"
    suffixes = {index: _suffix_of(folder, keys[index]) for index in parts}
    tasks = {
        index: (run_cell, dict(cells[index]), suffix) for index in range(len(cells)) if index not in parts
    }
    with tqdm(
        total=len(cells), initial=len(parts), desc="sweep", unit="cell", disable=not progress, leave=False
    ) as bar:
        for index, part in finished_cells(
            _compute, tasks, workers=int(workers), backend=backend, address=address
        ):
            if folder is not None:
                _write_whole(folder / (keys[index] + suffix), part)
            parts[index] = part
            bar.update()
    tables = [_decode(parts[i], suffixes.get(i, suffix), cells[i]) for i in range(len(cells))]
    filled = [table for table in tables if len(table)] or tables[:1]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()


def _keys(cells: Sequence[Mapping[str, Scalar]], run_cell: Callable[..., Any], version: str) -> list[str]:
    """Hash what decides a cell's result, and check that cells are what they must be."""
    function = (
        f"{getattr(run_cell, '__module__', '')}.{getattr(run_cell, '__qualname__', type(run_cell).__name__)}"
    )
    keys: dict[str, int] = {}
    for index, cell in enumerate(cells):
        plain = {}
        for name, value in cell.items():
            value = value.item() if isinstance(value, np.generic) else value
            if not isinstance(value, Scalar):
                raise ValueError(
                    f"cell {index}: {name} is {value!r}; a number, string, boolean or None is needed: pass a name or "
                    "an index, and look the rest up in run_cell."
                )
            plain[name] = value
        described = json.dumps({"cell": plain, "function": function, "version": version}, sort_keys=True)
        key = hashlib.sha256(described.encode()).hexdigest()[:24]
        if key in keys:
            raise ValueError(f"cells {keys[key]} and {index} are the same: {plain}; list each cell once.")
        keys[key] = index
    return list(keys)


def _suffix_of(folder: Path | None, key: str) -> str:
    return ".parquet" if folder is not None and (folder / f"{key}.parquet").exists() else ".csv"


def _kept(folder: Path, keys: list[str]) -> dict[int, bytes]:
    """Read the parts that the folder has; parts of either format count."""
    names = {path.name for path in folder.iterdir()}
    found = {}
    for index, key in enumerate(keys):
        for suffix in (".parquet", ".csv"):
            if key + suffix in names:
                found[index] = (folder / (key + suffix)).read_bytes()
                break
    return found


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all, whenever the process dies."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.unfinished")
    unfinished.write_bytes(content)
    unfinished.replace(path)


def _compute(run_cell: Callable[..., Any], cell: Mapping[str, Scalar], suffix: str) -> bytes:
    """Run one cell, where the work is done, and encode its table."""
    import pandas as pd

    try:
        result = run_cell(**cell)
        if isinstance(result, Mapping):
            table = pd.DataFrame([result])
        elif isinstance(result, pd.DataFrame):
            table = result.reset_index(drop=True)
        elif isinstance(result, list | tuple) and all(isinstance(row, Mapping) for row in result):
            table = pd.DataFrame(list(result))
        else:
            raise TypeError(
                f"run_cell returned a {type(result).__name__}; a DataFrame, a mapping or a sequence of mappings is "
                "needed."
            )
        twice = sorted(set(table.columns) & set(cell))
        if twice:
            raise ValueError(
                f"run_cell returned a column {twice[0]!r}, which is a parameter of the cell: rename it."
            )
        for position, (name, value) in enumerate(cell.items()):
            table.insert(position, name, [value] * len(table))
        return _encode(table, suffix)
    except Exception as error:
        error.add_note(f"in the sweep's cell {dict(cell)}; cells finished before it are kept")
        raise


def _encode(table: pd.DataFrame, suffix: str) -> bytes:
    buffer = io.BytesIO()
    if suffix == ".parquet":
        table.to_parquet(buffer, index=False)
    else:
        # The types go first: a CSV alone does not tell the string 1 from the number.
        types = {str(name): str(kind) for name, kind in table.dtypes.items()}
        buffer.write((json.dumps(types) + "\n").encode())
        table.to_csv(buffer, index=False)
    return buffer.getvalue()


def _decode(part: bytes, suffix: str, cell: Mapping[str, Scalar]) -> pd.DataFrame:
    import pandas as pd

    try:
        if suffix == ".parquet":
            return pd.read_parquet(io.BytesIO(part))
        first, _, rest = part.partition(b"\n")
        text = pd.read_csv(io.BytesIO(rest), dtype=str, keep_default_na=False)
        return pd.DataFrame({name: _parsed(text[name], kind) for name, kind in json.loads(first).items()})
    except Exception as error:
        raise ValueError(
            f"the part kept of cell {dict(cell)} cannot be read ({error}); delete its file to compute it again."
        ) from error


def _parsed(column: Any, kind: str) -> Any:
    """Turn the text of a CSV column back into its type; numpy parses floats to the last bit."""
    if kind == "bool":
        return column == "True"
    if kind.startswith("float"):
        return column.where(column != "", "nan").astype(kind)
    return column.astype(kind) if kind.startswith(("int", "uint")) else column
