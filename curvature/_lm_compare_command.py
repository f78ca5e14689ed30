"""``curvature lm compare``: runs of several arms, their measured speed-ups beside the predicted ones."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curvature._files import write_atomically

if TYPE_CHECKING:
    import argparse

    from curvature.lm.compare import Comparison

__all__ = ["add_arguments", "add_parser", "run"]

HELP = "time-to-target ratios of training runs, predicted from their first success rates and measured"


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the command to subparsers.

    Parameters
    ----------
    commands : argparse subparsers
        Of ``curvature lm``.

    Returns
    -------
    ArgumentParser
        The command's own, whose `run` default is :func:`run`.
    """
    parser = commands.add_parser("compare", help=HELP, description=HELP)
    add_arguments(parser)
    parser.set_defaults(run=run)
    return parser


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments.

    Parameters
    ----------
    parser : ArgumentParser
        Of the command.
    """
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="FOLDER", help="one run's folder for each arm and seed"
    )
    parser.add_argument("--reference", default="none", help="the arm others are set beside (none)")
    parser.add_argument(
        "--target",
        type=float,
        nargs="+",
        help="success rates to reach (50, 75 and 90 %% of the worst run's way)",
    )
    parser.add_argument("--first-steps", type=int, default=1, help="steps that tell the start (1)")
    parser.add_argument("--seed", type=int, default=0, help="of the resamples (0)")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument("--output", type=Path, help="write the JSON to a file, too")


def run(arguments: argparse.Namespace) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : Namespace
        As :func:`add_arguments` declares them.

    Returns
    -------
    int
        0 done, 2 runs that cannot be read or compared.
    """
    from curvature.lm.compare import compare

    try:
        found = compare(
            arguments.folders,
            reference=arguments.reference,
            target=arguments.target,
            first_steps=arguments.first_steps,
            seed=arguments.seed,
        )
        if arguments.output is not None:
            write_atomically(arguments.output, (found.to_json() + "\n").encode())
    except (ImportError, OSError, ValueError) as error:
        print(f"curvature lm compare: {error}", file=sys.stderr)
        return 2
    print(found.to_json() if arguments.json else render(found))
    return 0


def render(found: Comparison) -> str:
    """Write a comparison as a page of text.

    Parameters
    ----------
    found : Comparison
        What to say.

    Returns
    -------
    str
        Lines without a final newline.
    """
    start = found.start
    lines = [
        f"{found.optimizer}, groups of {found.group_size}, {found.num_steps} steps, reference {found.reference!r}",
        f"at the start: success {_between(start['success'])}, mean σ {_between(start['std'])}",
        "",
        f"{'arm':<14} {'target':>6}  {'predicted speed-up':<22} {'measured speed-up':<22} pairs that reach it",
    ]
    for one in found.speedups:
        predicted = "no forecast" if one.predicted is None else _between(one.predicted)
        measured = _between(one.measured)
        reached = f"{one.reached[0]} of {one.reached[1]}"
        lines.append(f"{one.arm:<14} {one.target:>6.3f}  {predicted:<22} {measured:<22} {reached}")
    lines += ["", "mean σ and the lead (H6), and phases:"]
    for arm, opening in found.openings.items():
        facts = ", ".join(f"{key.replace('_', ' ')} {_fact(value)}" for key, value in opening.items())
        lines += [f"  {arm}: {facts}", f"  {arm}: {found.phases[arm]['sentence']}"]
    lines += [f"note: {note}" for note in found.notes]
    return "\n".join([*lines, "", "predictions assume:", *(f"  - {text}" for text in found.assumptions)])


def _between(interval: Any) -> str:
    if interval.value != interval.value:
        return "none"
    if interval.low != interval.low:
        return f"{interval.value:.3g}"
    return f"{interval.value:.3g} [{interval.low:.3g}, {interval.high:.3g}]"


def _fact(value: float | int | None) -> str:
    return "never" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
