"""The command line: ``check`` runs the ledger, ``bounds`` prints bounds, ``diagnose`` reads a log, ``lm`` trains.

Exit codes: 0 done (a claim that fails is a result, not an error), 1 the committed ledger is stale or missing
(``check --check``), 2 a bad argument or a log that cannot be read, 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from curvature import _diagnose_command, _lm_command
from curvature._files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from curvature.ledger import Budget, Claim, Outcome

__all__ = ["main"]

LEDGER = Path("paper_checks.md")


class BadArgumentError(Exception):
    """An argument is out of its domain; the message is one sentence for the user."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process when left out.

    Returns
    -------
    int
        The exit code: 0 done, 1 stale ledger, 2 bad argument, 130 interrupted.

    Examples
    --------
    >>> main(["bounds", "--success", "1.5"])  # the sentence goes to standard error
    2
    """
    parser = argparse.ArgumentParser(
        prog="curvature",
        description="When does dividing the advantage by the group's reward std help, by how much, and why?",
        epilog="exit codes: 0 done, 1 the committed ledger is stale or missing (check --check), 2 bad argument or "
        "unreadable log, 130 interrupted",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in COMMANDS:
        added = commands.add_parser(command.name, help=command.help, description=command.help)
        command.add_arguments(added)
        added.set_defaults(run=command.run, name=command.name)
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as leaving:  # argparse has printed help or the error
        return int(leaving.code or 0)
    try:
        return arguments.run(arguments)
    except BadArgumentError as error:
        print(f"curvature {arguments.name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"curvature {arguments.name}: interrupted; nothing was written.", file=sys.stderr)
        return 130


def _add_check_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--check",
        action="store_true",
        help="compare with the committed ledger and write nothing: words exactly, numbers to 1 %%",
    )
    parser.add_argument(
        "--only", nargs="+", action="extend", metavar="ID", help="these claims alone; prints their rows"
    )
    parser.add_argument("--seed", type=int, help="of all draws (default 0)")
    parser.add_argument("--instances", type=int, help="random instances a claim (default 10000)")
    parser.add_argument("--json", action="store_true", help="print every outcome and worst instance as JSON")
    parser.add_argument(
        "--output",
        type=Path,
        help=f"the ledger to write, or to compare with (default {LEDGER}, which only a run of all claims with "
        "default seed and instances may write)",
    )
    parser.add_argument(
        "--jobs", type=int, default=2, help="worker processes; 0 uses this one (default 2; changes no number)"
    )


def _check(arguments: argparse.Namespace) -> int:
    from curvature.ledger import CLAIMS
    from curvature.ledger.render import render, render_table

    claims, budget = _read_request(arguments)
    whole = arguments.only is None and budget == type(budget)()
    path: Path = arguments.output or LEDGER
    committed = _read_committed(path) if arguments.check else ""
    if committed is None:
        print(f"there is no ledger at {path}; write it by `curvature check`.", file=sys.stderr)
        return 1
    if arguments.output and not path.parent.is_dir():
        raise BadArgumentError(f"--output is {path}, but {path.parent} is no directory.")
    outcomes = _run_with_progress(claims, budget, arguments.jobs)
    if arguments.json:
        print(_as_json(claims, outcomes, budget))
    if arguments.check:
        only = None if arguments.only is None else {claim.id for claim in claims}
        return _report_staleness(committed, render(claims, outcomes, budget), only, path)
    if whole or arguments.output:
        write_atomically(path, render(claims, outcomes, budget).encode())
        print(f"wrote {path}: {len(claims)} of {len(CLAIMS)} claims.", file=sys.stderr)
    elif not arguments.json:
        print(render_table(claims, outcomes), end="")
    return 0


def _read_request(arguments: argparse.Namespace) -> tuple[list[Claim], Budget]:
    from curvature.ledger import CLAIMS, Budget, UnknownClaimError

    given = {name: getattr(arguments, name) for name in ("seed", "instances")}
    given = {name: value for name, value in given.items() if value is not None}
    try:
        budget = Budget(**given)
        claims = CLAIMS.select(arguments.only)
    except (ValueError, UnknownClaimError) as error:
        raise BadArgumentError(str(error)) from error
    if arguments.jobs < 0:
        raise BadArgumentError(f"--jobs is {arguments.jobs}; a whole number of at least 0 is needed.")
    if arguments.check and budget != Budget():
        raise BadArgumentError(
            "--check compares with a ledger made with the default seed and instances; leave --seed and --instances out."
        )
    return claims, budget


def _read_committed(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _run_with_progress(claims: list[Claim], budget: Budget, jobs: int) -> dict[str, Outcome]:
    from tqdm import tqdm

    from curvature.ledger.runner import check

    with tqdm(total=len(claims), unit="claim", desc="checking", file=sys.stderr) as progress:

        def done(claim: Claim, outcome: Outcome) -> None:
            progress.set_postfix_str(f"{claim.id}: {outcome.label}", refresh=False)
            progress.update()

        return check(claims, budget, jobs=jobs, done=done)


def _as_json(claims: list[Claim], outcomes: dict[str, Outcome], budget: Budget) -> str:
    from dataclasses import asdict

    fields = ("id", "statement", "source", "section", "kind", "test", "figure", "proofs")
    rows = [
        {name: getattr(claim, name) for name in fields} | outcomes[claim.id].to_dict() for claim in claims
    ]
    return json.dumps({"budget": asdict(budget), "rows": rows}, ensure_ascii=False, indent=1)


def _report_staleness(committed: str, fresh: str, only: set[str] | None, path: Path) -> int:
    from curvature.ledger.staleness import stale_rows

    stale = stale_rows(committed, fresh, only=only)
    for sentence in stale:
        print(f"stale: {sentence}")
    if stale:
        print(f"{path} is not what the code says now; write it anew by `curvature check`.", file=sys.stderr)
        return 1
    print(f"{path} is up to date.", file=sys.stderr)
    return 0


def _add_bounds_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--success", type=float, required=True, help="success probability p of the prompt")
    parser.add_argument("--diameter", type=float, default=1.0, help="feature diameter D (default 1)")
    parser.add_argument(
        "--spectral-norm",
        type=float,
        help="X, for the paper's bounds (default D/√2, the least that D allows)",
    )
    parser.add_argument("--radius", type=float, help="distance ‖θ' − θ‖, for bounds that hold nearby")


def _bounds(arguments: argparse.Namespace) -> int:
    p, D = arguments.success, arguments.diameter
    least = D / math.sqrt(2)
    X = least if arguments.spectral_norm is None else arguments.spectral_norm
    try:
        rows = _bound_rows(p, D, X, arguments.radius)
    except ValueError as error:
        raise BadArgumentError(str(error)) from error
    if least * (1 - 1e-12) > X:
        raise BadArgumentError(
            f"--spectral-norm is {X:g}; features of diameter {D:g} have at least D/√2 = {least:g}."
        )
    print(f"p = {p:g}, σ = {math.sqrt(p * (1 - p)):.4g}, D = {D:g}, X = {X:.4g}; rewards 0 and 1\n")
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def _bound_rows(p: float, D: float, X: float, radius: float | None) -> list[tuple[str, str, str, str]]:
    from curvature.bounds import paper, sharp

    by_success = paper.hessian_norm(p, X)  # also checks p before σ is formed
    σ = math.sqrt(p * (1 - p))
    rows = [("bound on", "paper", "ours", "paper/ours")]

    def add(what: str, theirs: float, formula: str, ours: float, own: str) -> None:
        if math.isnan(theirs):
            rows.append((what, formula, f"{ours:.4g} = {own}", "—"))
        else:
            ratio = f"{theirs / ours:.3g}" if ours > 0 else "—"
            rows.append((what, f"{theirs:.4g} = {formula}", f"{ours:.4g} = {own}", ratio))

    lipschitz, smooth = paper.gradient_norm(X), paper.hessian_norm_global(X)
    add("gradient norm", lipschitz, "X/2 (Lemma 3.2)", sharp.gradient_norm(σ, D), "Dσ/2 (L1)")
    add("curvature", by_success, "4X²p(1−p) (Lemma 3.1)", sharp.hessian_norm(σ, D), "D²σ/4 (L2)")
    add("", by_success, "4X²p(1−p) (Lemma 3.1)", sharp.hessian_norm_binary(p, D), "D²ℓ(q) (C1)")
    add("curvature everywhere", smooth, "X² (Lemma 3.1)", sharp.hessian_norm_global(D), "D²/(6√3) (C1)")
    if radius is not None:
        inside = radius <= paper.nearby_radius(p, X)
        nearby = paper.hessian_norm_nearby(p, X) if inside else math.nan
        formula = "(5/2)X²σ (Lemma 3.3)" if inside else "nothing beyond σ/X"
        what = f"curvature within {radius:g}"
        add(what, nearby, formula, sharp.hessian_norm_nearby(σ, D, radius), "(D²/4)σe^(Dr/2) (L2, L3)")
        remainder = sharp.ascent_remainder(σ, D, radius)
        add(f"error of a step of {radius:g}", math.nan, "no such bound", remainder, "σψ(Dr/2) (L4)")
    return rows


class Command(NamedTuple):
    """A subcommand: its name, one line of help, its arguments, and what runs it."""

    name: str
    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


COMMANDS = (
    Command(
        "check", "measure every claim of the ledger and write paper_checks.md", _add_check_arguments, _check
    ),
    Command("bounds", "the paper's bounds beside ours, for one prompt", _add_bounds_arguments, _bounds),
    Command(
        "diagnose",
        "should this run divide by the std? answered from its rollout log",
        _diagnose_command.add_arguments,
        _diagnose_command.run,
    ),
    Command(
        "lm",
        "train language models under several weightings, probe them, compare them with the prediction",
        _lm_command.add_arguments,
        _lm_command.run,
    ),
)

if __name__ == "__main__":
    sys.exit(main())
