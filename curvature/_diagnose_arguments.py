"""The arguments of ``curvature diagnose``, all of them checked before anything is read."""

from __future__ import annotations

import math
import os
import shlex
from argparse import RawDescriptionHelpFormatter
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

__all__ = ["Request", "add_arguments", "read_request"]

ROLES = ("step", "group", "reward", "advantage")
EXAMPLES = """examples:
  curvature diagnose runs/qwen/completions
  curvature diagnose log.jsonl --columns step=iteration group=prompt reward=score --html report.html
  curvature diagnose runs/qwen --follow --html report.html

exit codes: 0 done, 2 a bad argument or a log that cannot be read (nothing is written), 130 interrupted"""


@dataclass(frozen=True)
class Request:
    """What to read and what to make of it.

    Attributes
    ----------
    paths : tuple of Path
        The file or folder of the log, alone.
    reading : dict
        Keywords of :func:`curvature.rollouts.readers.read_rollouts`.
    seed, num_windows : int
        Of :func:`curvature.rollouts.diagnosis.diagnose`.
    html : Path or None
        Where the report goes.
    as_json : bool
        JSON instead of the summary.
    color : bool or None
        None: as the terminal has it.
    command : str
        As typed, for the report.
    """

    paths: tuple[Path, ...]
    reading: dict[str, Any]
    seed: int
    num_windows: int
    html: Path | None
    as_json: bool
    color: bool | None
    command: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command.

    Parameters
    ----------
    parser : ArgumentParser
        Of the command.
    """
    parser.formatter_class = RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a file, or the folder of a run")
    reading = parser.add_argument_group("reading")
    reading.add_argument(
        "--format", default="auto", metavar="NAME", help="layout of the log (default: recognised)"
    )
    reading.add_argument(
        "--columns",
        nargs="+",
        action="extend",
        default=[],
        metavar="ROLE=COLUMN",
        help=f"where to find {', '.join(ROLES[:-1])} and {ROLES[-1]}, for logs of no known trainer",
    )
    reading.add_argument(
        "--group-size", type=int, metavar="N", help="rollouts of a prompt, where the log does not say"
    )
    reading.add_argument(
        "--reward-weights",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=WEIGHT",
        help="weights of the reward functions, where the log holds their values but not their sum",
    )
    reading.add_argument("--strict", action="store_true", help="stop at the first row that cannot be read")
    output = parser.add_argument_group("output")
    output.add_argument("--json", action="store_true", help="print JSON instead of the summary")
    output.add_argument(
        "--html", type=Path, metavar="FILE", help="write the report, one page that opens from disk"
    )
    output.add_argument(
        "--no-color", action="store_true", help="no colours (also NO_COLOR, also where piped)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the resampling (default 0)")
    parser.add_argument("--windows", type=int, default=20, metavar="N", help="windows of steps (default 20)")
    live = parser.add_argument_group("a run that is still training")
    live.add_argument(
        "--follow", action="store_true", help="diagnose again whenever the log grows, until Ctrl-C"
    )
    live.add_argument("--every", type=float, default=5.0, metavar="SECONDS", help="between looks (default 5)")
    live.add_argument(
        "--timeout", type=float, metavar="SECONDS", help="end when nothing new came for so long"
    )


def read_request(arguments: argparse.Namespace) -> Request:
    """Check the arguments, and that what they ask for can be made.

    Parameters
    ----------
    arguments : Namespace
        As :func:`add_arguments` declares them.

    Returns
    -------
    Request
        What to read and what to make of it.

    Raises
    ------
    ValueError
        If an argument is out of its domain or the report cannot be written where it should go.
    """
    if len(arguments.paths) > 1:
        raise ValueError(
            f"{len(arguments.paths)} paths are given; give one file, or the folder that holds the run."
        )
    _check_numbers(arguments)
    columns = _pairs("--columns", arguments.columns, "ROLE=COLUMN")
    unknown = sorted(set(columns) - set(ROLES))
    if unknown:
        raise ValueError(f"--columns names {unknown[0]!r}; the roles are {', '.join(ROLES)}.")
    weights = _pairs("--reward-weights", arguments.reward_weights, "NAME=WEIGHT")
    _check_html(arguments.html, arguments.paths)
    _check_extras(arguments)
    reading = {
        "format": arguments.format,
        "columns": columns or None,
        "strict": arguments.strict,
        "reward_weights": {name: _weight(name, value) for name, value in weights.items()} or None,
        "group_size": arguments.group_size,
    }
    return Request(
        paths=tuple(arguments.paths),
        reading=reading,
        seed=arguments.seed,
        num_windows=arguments.windows,
        html=arguments.html,
        as_json=arguments.json,
        color=False if arguments.no_color else None,
        command=shlex.join(["curvature", *_typed(arguments)]),
    )


def _check_numbers(arguments: argparse.Namespace) -> None:
    for option, value, least in (
        ("--seed", arguments.seed, 0),
        ("--windows", arguments.windows, 1),
        ("--group-size", arguments.group_size, 1),
    ):
        if value is not None and value < least:
            raise ValueError(f"{option} is {value}; a whole number of at least {least} is needed.")
    for option, value in (("--every", arguments.every), ("--timeout", arguments.timeout)):
        if value is not None and not 0 < value < float("inf"):
            raise ValueError(f"{option} is {value:g}; a number of seconds above 0 is needed.")
    if arguments.timeout is not None and not arguments.follow:
        raise ValueError("--timeout goes with --follow alone.")


def _pairs(option: str, given: list[str], shape: str) -> dict[str, str]:
    """Read NAME=VALUE arguments; a path swallowed by the option is the likeliest mistake."""
    pairs: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (equals and name and value):
            raise ValueError(f"{option} got {text!r}; write {shape}, and put paths before the options.")
        if name in pairs:
            raise ValueError(f"{option} names {name!r} twice.")
        pairs[name] = value
    return pairs


def _weight(name: str, text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not math.isfinite(weight):
        raise ValueError(f"--reward-weights gives {name!r} the weight {text!r}; a finite number is needed.")
    return weight


def _check_html(html: Path | None, paths: list[Path]) -> None:
    """See that the report can be written, and that it would not replace a log."""
    if html is None:
        return
    if html.suffix.lower() not in {".html", ".htm"}:
        raise ValueError(f"--html is {html}; the name of a report ends in .html.")
    if html.is_dir() or not html.parent.is_dir():
        raise ValueError(f"--html is {html}, but {html if html.is_dir() else html.parent} is " + _kind(html))
    if any(html.resolve() == path.resolve() for path in paths):
        raise ValueError(f"--html is {html}, which is the log itself.")
    if not os.access(html if html.exists() else html.parent, os.W_OK) or not os.access(html.parent, os.W_OK):
        raise ValueError(f"--html is {html}, which may not be written.")


def _kind(html: Path) -> str:
    return "a folder." if html.is_dir() else "no folder."


def _check_extras(arguments: argparse.Namespace) -> None:
    """Miss a package now rather than after a long read."""
    needed = {"rich": "the terminal summary"} if not arguments.json else {}
    needed |= {"jinja2": "the HTML report"} if arguments.html else {}
    for package, what in needed.items():
        try:
            import_module(package)
        except ImportError as error:
            raise ImportError(
                f"{what} needs {package}: install it by `pip install 'curvature[logs]'`."
            ) from error


def _typed(arguments: argparse.Namespace) -> list[str]:
    """Return the arguments that change the report, in a fixed order."""
    typed = ["diagnose", *map(str, arguments.paths)]
    if arguments.format != "auto":
        typed += ["--format", arguments.format]
    if arguments.columns:
        typed += ["--columns", *arguments.columns]
    if arguments.group_size is not None:
        typed += ["--group-size", str(arguments.group_size)]
    if arguments.reward_weights:
        typed += ["--reward-weights", *arguments.reward_weights]
    typed += ["--strict"] if arguments.strict else []
    typed += ["--seed", str(arguments.seed)] if arguments.seed else []
    typed += ["--windows", str(arguments.windows)] if arguments.windows != 20 else []
    return [*typed, "--html", str(arguments.html)]
