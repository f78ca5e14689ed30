"""``curvature lm``: train a policy, or many, each setting an option; probe one; compare runs."""

from __future__ import annotations

import json
import os
import sys
from argparse import RawDescriptionHelpFormatter
from dataclasses import MISSING, Field, asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curvature import _lm_compare_command, _lm_probe_command

if TYPE_CHECKING:
    import argparse

    from curvature.lm.config import TrainConfig
    from curvature.lm.train import RunSummary

__all__ = ["add_arguments", "run"]

EXAMPLES = """examples:
  curvature lm train runs/group --arm group --warm-start-steps 300 --learning-rate 1e-3 --max-new-tokens 4
  curvature lm train runs/qwen --config gsm8k.json --set arm=none seed=1
  accelerate launch -m curvature lm train runs/qwen --config gsm8k.json
  curvature lm grid runs --config gsm8k.json --arms none group --seeds 0 1 2 --learning-rates 1e-6 3e-6

A run that was broken off goes on when its command is given again.

exit codes: 0 done (a grid: every run has ended), 2 a bad argument or a folder that holds another run, 3 the run
diverged or collapsed (result.json says why), 75 its time was up before its end, 130 interrupted"""
DIVERGED, UNFINISHED = 3, 75


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommands and their arguments.

    Parameters
    ----------
    parser : ArgumentParser
        Of the command.
    """
    parser.formatter_class = RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    one = actions.add_parser("train", help="train one policy", epilog=EXAMPLES)
    one.add_argument("folder", type=Path, metavar="FOLDER", help="where the run is recorded")
    one.add_argument(
        "--max-seconds", type=float, metavar="S", help="stop after so long, to go on another time"
    )
    one.add_argument("--no-resume", action="store_true", help="refuse a folder that holds a run")
    many = actions.add_parser("grid", help="train arms × learning rates × seeds", epilog=EXAMPLES)
    many.add_argument("folder", type=Path, metavar="FOLDER", help="where the runs' folders go")
    many.add_argument("--arms", nargs="+", metavar="ARM", help="default: the setting's")
    many.add_argument(
        "--learning-rates", nargs="+", type=float, metavar="RATE", help="default: the setting's"
    )
    many.add_argument("--seeds", nargs="+", type=int, metavar="SEED", help="default: the setting's")
    many.add_argument("--workers", type=int, default=1, metavar="N", help="runs at a time (default 1)")
    many.add_argument("--threads", type=int, default=1, metavar="N", help="threads of a run (default 1)")
    for command in (one, many):
        command.formatter_class = RawDescriptionHelpFormatter
        command.add_argument(
            "--config", type=Path, metavar="FILE", help="settings as JSON; options go before"
        )
        command.add_argument("--quiet", action="store_true", help="no progress bar")
        command.add_argument("--json", action="store_true", help="print summaries as JSON")
        command.add_argument(
            "--set",
            nargs="+",
            action="extend",
            default=[],
            metavar="FIELD=VALUE",
            help="any setting, its value as JSON or a plain text",
        )
        _add_settings(command)
    _lm_probe_command.add_parser(actions)
    _lm_compare_command.add_parser(actions)


def run(arguments: argparse.Namespace) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : Namespace
        As :func:`add_arguments` declares them.

    Returns
    -------
    int
        0 done, 2 a bad argument, 3 a run that diverged, 75 a run whose time was up.
    """
    from curvature._diagnose_command import sentence

    try:
        config = _read_config(arguments)
        summaries = _train(config, arguments) if arguments.action == "train" else _grid(config, arguments)
    except (ValueError, ImportError, OSError) as error:
        print(f"curvature lm: {sentence(error)}", file=sys.stderr)
        return 2
    for summary in summaries if _is_main() else ():
        print(_as_json(summary) if arguments.json else _as_text(summary))
    if arguments.action == "grid" or summaries[0].is_finished:
        return 0
    from curvature.lm.train import PAUSED

    return UNFINISHED if summaries[0].reason == PAUSED else DIVERGED


def _is_main() -> bool:
    """Whether this process speaks, of those that torchrun, accelerate or mpirun started."""
    ranks = ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")
    return not any(int(os.environ.get(name, "0")) for name in ranks)


def _train(config: TrainConfig, arguments: argparse.Namespace) -> list[RunSummary]:
    from curvature.lm.train import train

    if arguments.max_seconds is not None and not arguments.max_seconds > 0:
        raise ValueError(f"--max-seconds is {arguments.max_seconds:g}; a number above 0 is needed.")
    return [
        train(
            config,
            arguments.folder,
            progress=not arguments.quiet,
            resume=not arguments.no_resume,
            max_seconds=arguments.max_seconds,
        )
    ]


def _grid(config: TrainConfig, arguments: argparse.Namespace) -> list[RunSummary]:
    from curvature.lm.grid import expand, run_grid

    runs = expand(config, arms=arguments.arms, learning_rates=arguments.learning_rates, seeds=arguments.seeds)
    return run_grid(
        runs,
        arguments.folder,
        workers=arguments.workers,
        threads=arguments.threads,
        progress=not arguments.quiet,
    )


def _settings() -> list[Field[Any]]:
    from curvature.lm.config import TrainConfig

    return [entry for entry in fields(TrainConfig) if entry.name not in {"seeds", "arms"}]


def _add_settings(parser: argparse.ArgumentParser) -> None:
    """Give every setting its option; what it means is said once, where it is defined."""
    group = parser.add_argument_group("settings", "what each is: see curvature.lm.TrainConfig")
    for entry in _settings():
        default = entry.default if entry.default is not MISSING else None
        shown = "" if default in (None, ()) else f"(default {json.dumps(default)})"
        group.add_argument(
            "--" + entry.name.replace("_", "-"),
            dest=f"setting_{entry.name}",
            metavar="VALUE",
            help=shown,
        )


def _read_config(arguments: argparse.Namespace) -> TrainConfig:
    """Join the file of settings, the options and --set; the later ones win."""
    from curvature.lm.config import TrainConfig

    text = "{}" if arguments.config is None else arguments.config.read_text(encoding="utf-8")
    given = asdict(TrainConfig.from_json(text))
    for entry in _settings():
        value = getattr(arguments, f"setting_{entry.name}")
        if value is not None:
            given[entry.name] = _value(value)
    for pair in arguments.set:
        name, equals, value = pair.partition("=")
        if not (equals and name):
            raise ValueError(f"--set got {pair!r}; write FIELD=VALUE.")
        given[name] = _value(value)
    return TrainConfig.from_json(json.dumps(given))


def _value(text: str) -> Any:
    """Read a value as JSON; what is none is a text."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _as_json(summary: RunSummary) -> str:
    return json.dumps(asdict(summary) | {"folder": str(summary.folder)})


def _as_text(summary: RunSummary) -> str:
    success = "" if summary.evaluation is None else f", held out {summary.evaluation['eval_success']:.3f}"
    return (
        f"{summary.folder}: {summary.reason}; {summary.steps} steps, {summary.seconds:.1f} s, "
        f"{summary.tokens_sampled:,} tokens{success}"
    )
