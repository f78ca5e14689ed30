"""What every experiment module shares: its dials on the command line, its four files, and when they are out of date."""

from __future__ import annotations

import argparse
import hashlib
import inspect
import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curvature._files import write_atomically

if TYPE_CHECKING:
    from pandas import DataFrame

ROOT = Path(__file__).resolve().parent.parent
FIGURES = ROOT / "figures"
KINDS = ("csv", "svg", "png", "json")
# Two digits more than a plot can show: a last digit that differs between machines does not change the file.
CSV_DIGITS = "%.6g"
# What a sweep lets the command line choose.
ENGINE = ("workers", "backend", "address", "store")
_PACKAGES = ("numpy", "scipy", "pandas", "matplotlib", "curvature")


@dataclass(frozen=True)
class Dial:
    """A size that the command line can change: its full value, its --quick value and what it counts."""

    full: int
    quick: int
    help: str


@dataclass(frozen=True)
class Experiment:
    """One figure: how its numbers are made, how they are drawn and what they say.

    Attributes
    ----------
    stem : str
        Name of the module and of the files in ``figures/``.
    run : callable
        ``run(seed=…, **dials) -> DataFrame``.
    plot : callable
        ``plot(df, ax=None) -> Axes or array of Axes``.
    caption : str
        One paragraph that makes the figure readable by itself.
    dials : mapping of str to Dial
        Sizes, all whole numbers of at least 1.
    inputs : tuple of Path
        Files it depends on beside its own module, the package and this one.
    headline : callable
        ``headline(df) -> dict`` of the numbers worth quoting.
    sweeps : bool
        Whether ``run`` takes ``engine``, keyword arguments of :func:`curvature.sweeps.sweep`.
    """

    stem: str
    run: Callable[..., DataFrame]
    plot: Callable[..., Any]
    caption: str
    dials: Mapping[str, Dial]
    inputs: tuple[Path, ...] = ()
    headline: Callable[[DataFrame], dict[str, Any]] = field(default=lambda _: {})
    sweeps: bool = False

    def sizes(self, *, quick: bool = False) -> dict[str, int]:
        """Return the value of every dial."""
        return {name: dial.quick if quick else dial.full for name, dial in self.dials.items()}


@dataclass(frozen=True)
class Outcome:
    """What producing a figure did: "reused", "unchanged" (the same bytes again) or "written"."""

    name: str
    status: str
    seconds: float
    paths: tuple[Path, ...]
    headline: Mapping[str, Any] = field(default_factory=dict)


def require_count(name: str, value: Any, least: int = 1) -> int:
    """Return the whole number, or raise a ValueError that names it."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} is {value!r}; a whole number of at least {least} is needed.")
    return value


def is_quick_by_environment() -> bool:
    """Return whether the environment says QUICK=1."""
    return os.environ.get("QUICK", "0") not in ("", "0")


def default_directory(*, quick: bool) -> Path:
    """Return where figures go: quick ones must not overwrite the committed ones."""
    return FIGURES / "quick" if quick else FIGURES


def main_of(experiment: Experiment, argv: list[str] | None = None) -> int:
    """Run one experiment from the command line and write its figure.

    Parameters
    ----------
    experiment : Experiment
        Which one.
    argv : list of str, optional
        Arguments; those of the process when left out.

    Returns
    -------
    int
        The exit status: 0, or 2 with one sentence for an argument out of range.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m experiments.{experiment.stem}", description=experiment.caption
    )
    parser.add_argument("--seed", type=int, default=0, help="of every random draw (0)")
    parser.add_argument("--quick", action="store_true", default=is_quick_by_environment(), help="small sizes")
    parser.add_argument("--output-dir", type=Path, help="figures/, or figures/quick/ with --quick")
    for name, dial in experiment.dials.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=int,
            help=f"{dial.help} ({dial.full}; {dial.quick} with --quick)",
        )
    if experiment.sweeps:
        _add_engine_arguments(parser)
    given = parser.parse_args(argv)
    engine = {name: getattr(given, name) for name in ENGINE} if experiment.sweeps else None
    sizes = experiment.sizes(quick=given.quick)
    sizes |= {name: getattr(given, name) for name in sizes if getattr(given, name) is not None}
    try:
        require_count("--seed", given.seed, least=0)
        for name, value in sizes.items():
            require_count(f"--{name.replace('_', '-')}", value)
        directory = given.output_dir or default_directory(quick=given.quick)
        outcome = produce(experiment, {"seed": given.seed, **sizes}, directory, engine)
    except (ImportError, OSError, ValueError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    print(f"{outcome.name}: {outcome.status} in {outcome.seconds:.1f} s")
    for path in outcome.paths:
        print(f"  {show(path)}")
    return 0


def _add_engine_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what runs the cells of a sweep: the figure does not depend on it."""
    parser.add_argument("--workers", type=int, default=1, help="cells at once (1)")
    parser.add_argument(
        "--backend", choices=("threads", "processes", "dask", "ray"), default="threads", help="what runs them"
    )
    parser.add_argument("--address", help="of a dask scheduler or a ray head; a local cluster when left out")
    parser.add_argument("--store", type=Path, help="folder that keeps finished cells, to go on after a kill")


def produce(
    experiment: Experiment,
    arguments: Mapping[str, int],
    directory: Path,
    engine: Mapping[str, Any] | None = None,
) -> Outcome:
    """Run an experiment, draw it, and put its files in place once all of them are complete.

    Parameters
    ----------
    experiment : Experiment
        Which one.
    arguments : mapping of str to int
        ``seed`` and the dials.
    directory : Path
        Made if it does not exist.
    engine : mapping, optional
        How a sweep is carried out; the result does not depend on it.

    Returns
    -------
    Outcome
        "unchanged" if the same pictures and numbers were there already: the record is then left as it is, too.
    """
    from curvature import plotting

    inputs = inputs_digest(experiment, arguments)
    start = time.perf_counter()
    # Cells kept by other code are not this code's cells.
    how = {} if engine is None else {"engine": {**engine, "version": inputs}}
    df = experiment.run(**arguments, **how)
    with plotting.style():
        drawing = figure_of(experiment.plot(df))
        files = plotting.render(drawing)
    seconds = time.perf_counter() - start
    files["csv"] = df.to_csv(index=False, float_format=CSV_DIGITS, lineterminator="\n").encode()
    headline = experiment.headline(df)
    record = {
        "figure": experiment.stem,
        "caption": experiment.caption,
        "command": command_of(experiment, arguments),
        "seed": arguments["seed"],
        "arguments": dict(arguments),
        "rows": len(df),
        "headline": headline,
        "versions": versions(),
        "inputs_sha256": inputs,
        "outputs_sha256": {kind: digest([files[kind]]) for kind in ("csv", "svg", "png")},
        "wall_time_s": round(seconds, 2),
    }
    paths = tuple(directory / f"{experiment.stem}.{kind}" for kind in KINDS)
    same = is_same_record(paths[-1], record) and all(
        path.is_file() and path.read_bytes() == files[path.suffix[1:]] for path in paths[:-1]
    )
    if not same:
        files["json"] = (json.dumps(record, indent=2, ensure_ascii=False) + "\n").encode()
        # The record goes last: if it is there, so are the files that it describes.
        for path in paths:
            write_atomically(path, files[path.suffix[1:]])
    mark_made_here(directory, experiment.stem, inputs, paths)
    return Outcome(experiment.stem, "unchanged" if same else "written", seconds, paths, headline)


def figure_of(drawn: Any) -> Any:
    """Return the figure that an Axes, or an array of them, belongs to."""
    return (drawn if hasattr(drawn, "figure") else drawn[0]).figure


def reuse(experiment: Experiment, arguments: Mapping[str, int], directory: Path) -> Outcome | None:
    """Return the figure as it stands if this checkout made it from the same inputs, else None."""
    paths = tuple(directory / f"{experiment.stem}.{kind}" for kind in KINDS)
    if not is_made_here(directory, experiment.stem, inputs_digest(experiment, arguments), paths):
        return None
    record = json.loads(paths[-1].read_text(encoding="utf-8"))
    return Outcome(experiment.stem, "reused", 0.0, paths, record.get("headline", {}))


def inputs_digest(experiment: Experiment, arguments: Mapping[str, Any]) -> str:
    """Return a digest of all that a figure depends on: the code, the data, the arguments and the versions."""
    code = [*source_files(), Path(__file__), Path(inspect.getfile(experiment.run)), *experiment.inputs]
    facts = json.dumps({"arguments": dict(arguments), "versions": versions()}, sort_keys=True)
    return digest_of_files(code, facts)


def source_files() -> list[Path]:
    """Return the files of the package, in a fixed order."""
    return sorted((ROOT / "curvature").rglob("*.py"))


def digest_of_files(paths: Iterable[Path], *facts: str) -> str:
    """Return the SHA-256 of names and contents of files, and of facts beside them."""
    parts: list[bytes] = []
    for path in paths:
        name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name
        parts += [name.encode(), path.read_bytes()]
    return digest([*parts, *(fact.encode() for fact in facts)])


def digest(parts: Iterable[bytes]) -> str:
    """Return the SHA-256 of the parts, each preceded by its length."""
    total = hashlib.sha256()
    for part in parts:
        total.update(len(part).to_bytes(8, "big"))
        total.update(part)
    return total.hexdigest()


def versions(packages: Iterable[str] = _PACKAGES) -> dict[str, str]:
    """Return the versions that numbers and drawings may depend on, without importing anything."""
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in packages}


def command_of(experiment: Experiment, arguments: Mapping[str, int]) -> str:
    """Return the command that makes the same numbers."""
    options = [f"--{name.replace('_', '-')} {value}" for name, value in arguments.items()]
    return shlex.join(["python", "-m", f"experiments.{experiment.stem}"]) + " " + " ".join(options)


def is_same_record(path: Path, record: Mapping[str, Any]) -> bool:
    """Return whether the stored record says the same, but for when and with what it was made."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    fresh = json.loads(json.dumps(record))
    made = dict.fromkeys(("inputs_sha256", "versions", "wall_time_s"))
    return {**stored, **made} == {**fresh, **made}


def mark_made_here(directory: Path, name: str, inputs: str, paths: Iterable[Path]) -> None:
    """Note, outside version control, that this checkout made the files from these inputs.

    A fresh clone has no such note, so its first run makes every figure itself rather than trust the committed
    one.
    """
    note = {"inputs": inputs, "outputs": {path.name: digest([path.read_bytes()]) for path in paths}}
    write_atomically(directory / ".cache" / f"{name}.json", json.dumps(note).encode())


def is_made_here(directory: Path, name: str, inputs: str, paths: Iterable[Path]) -> bool:
    """Return whether this checkout made the files from these inputs and they are still what it made."""
    try:
        note = json.loads((directory / ".cache" / f"{name}.json").read_text(encoding="utf-8"))
        outputs = {path.name: digest([path.read_bytes()]) for path in paths}
    except (OSError, ValueError):
        return False
    return note == {"inputs": inputs, "outputs": outputs}


def show(path: Path) -> str:
    """Return the path as a reader of the repository would write it."""
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)
