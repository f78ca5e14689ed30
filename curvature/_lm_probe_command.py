"""``curvature lm probe``: sample groups from a model, measure gradients and curvature, write the numbers as JSON."""

from __future__ import annotations

import sys
from argparse import RawDescriptionHelpFormatter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curvature._files import write_atomically

if TYPE_CHECKING:
    import argparse

    from curvature.lm.probe import ProbeResult

__all__ = ["add_parser", "run_probe_command"]

_HELP = "gradient cosines, curvature and the Fisher proxy of a language model"
_EXAMPLES = """examples:
  curvature lm probe tiny:width=64,layers=2 --task arithmetic --prompts 8 --out probe.json
  curvature lm probe Qwen/Qwen2.5-0.5B --task gsm8k --data openai/gsm8k --prompts 100 --sketch 262144 --out p.json
  curvature lm probe runs/group/checkpoints/step_00100 --step 100 --task gsm8k --data train.jsonl --out p100.json

exit codes: 0 done, 2 a bad argument (nothing is written), 130 interrupted"""


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Add the command to those of ``curvature lm``.

    Parameters
    ----------
    subparsers : object
        What ``ArgumentParser.add_subparsers`` returned.

    Returns
    -------
    ArgumentParser
        Of the command; its ``run`` is :func:`run_probe_command`.
    """
    parser = subparsers.add_parser(
        "probe", help=_HELP, description=_HELP, epilog=_EXAMPLES, formatter_class=RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("model", help="folder, hub id or tiny:…")
    add("--task", choices=("gsm8k", "math", "arithmetic"), default="gsm8k")
    add("--data", help="hub id, folder or JSONL file of gsm8k or math")
    add("--split", default="train", help="of the data (default train)")
    add("--template", help="two_shot, chat or plain (default: two_shot for gsm8k, chat for math)")
    add("--levels", type=int, nargs="+", default=[2], help="of math (default 2)")
    add("--prompts", type=int, default=32, help="questions, drawn by the seed (default 32)")
    add("--keys", nargs="+", help="these questions instead")
    add("--group-size", type=int, default=8, help="completions a question, at least 4 (default 8)")
    add("--max-new-tokens", type=int, default=160)
    add("--temperature", type=float, default=1.0)
    add(
        "--parameters",
        help="lora, last_layer, all or a regular expression (default: adapters, else last_layer)",
    )
    add("--sketch", type=int, help="numbers to keep of each gradient (default: all)")
    add("--directions", type=int, default=2, help="random directions for the curvature (default 2)")
    add("--micro-batch-tokens", type=int, default=4096)
    add("--seed", type=int, default=0)
    add("--step", type=int, default=0, help="of the checkpoint, kept with the numbers")
    add("--device", help="cuda, cpu (default: a GPU if there is one)")
    add("--dtype", help="of the weights while sampling (default: bfloat16 on a GPU, else float32)")
    add("--out", type=Path, required=True, help="JSON file to write")
    parser.set_defaults(run=run_probe_command, name="lm probe")
    return parser


def run_probe_command(arguments: argparse.Namespace) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : Namespace
        As :func:`add_parser` declares them.

    Returns
    -------
    int
        0 done, 2 a bad argument or a missing package.
    """
    try:
        found = _probe(arguments)
        write_atomically(arguments.out, found.to_json().encode() + b"\n")
    except (ValueError, ImportError, OSError) as error:
        print(f"curvature lm probe: {error}", file=sys.stderr)
        return 2
    print("\n".join(_lines(found)))
    print(f"written to {arguments.out}", file=sys.stderr)
    return 0


def _probe(arguments: argparse.Namespace) -> ProbeResult:
    try:
        from curvature.lm.policy import load_policy
        from curvature.lm.probe import probe
    except ImportError as error:
        raise ImportError(
            f"a probe needs torch and transformers: pip install 'curvature[lm]' ({error})."
        ) from error

    if arguments.task != "arithmetic" and not arguments.data:
        raise ValueError(f"--task {arguments.task} needs --data: a hub id, a folder or a JSONL file.")
    policy = load_policy(arguments.model, device=arguments.device, dtype=arguments.dtype)
    task = _task(arguments, policy.tokenizer)
    task = (
        task.subset(arguments.keys) if arguments.keys else task.take(arguments.prompts, seed=arguments.seed)
    )
    return probe(
        policy,
        task.questions,
        task=task,
        group_size=arguments.group_size,
        seed=arguments.seed,
        step=arguments.step,
        max_new_tokens=arguments.max_new_tokens,
        temperature=arguments.temperature,
        parameters=arguments.parameters,
        sketch=arguments.sketch,
        directions=arguments.directions,
        micro_batch_tokens=arguments.micro_batch_tokens,
        progress=sys.stderr.isatty(),
    )


def _task(arguments: argparse.Namespace, tokenizer: Any) -> Any:
    from curvature.lm import tasks

    if arguments.task == "arithmetic":
        return tasks.arithmetic(arguments.prompts, seed=arguments.seed)
    settings: dict[str, Any] = {"split": arguments.split, "tokenizer": tokenizer}
    if arguments.template:
        settings["template"] = arguments.template
    if arguments.task == "math":
        return tasks.math(arguments.data, levels=tuple(arguments.levels), **settings)
    return tasks.gsm8k(arguments.data, **settings)


def _lines(found: ProbeResult) -> list[str]:
    """Write out the numbers that one looks at first."""
    n, G = found.rewards.shape
    of, fisher = found.gradients(), found.fisher()
    silent = n - of.num_live
    lines = [
        f"{n} prompts × {G} completions: mean reward {found.rewards.mean():.3f}, {silent} silent groups",
        f"gradient cosines, raw        mean {of.raw_mean:+.3f}  sd {of.raw_std:.3f}  "
        f"negative {of.raw_negative_share:.1%}  |cos| < .1 {of.raw_small_share:.1%}",
        f"share of signal in ‖ĝ‖²      {of.reliability:.3f}; signs agree between halves in {of.sign_agreement:.1%} "
        f"of {of.sign_pairs} pairs",
        f"mean cosine, noise taken out {of.pooled:+.3f} [{of.pooled_interval[0]:+.3f}, {of.pooled_interval[1]:+.3f}]"
        f"  Ω {of.omega:.3f} (raw {of.raw_omega:.3f})",
    ]
    for name in found.directions:
        at = found.curvature(name)
        lines.append(
            f"along {name:<14} variation of C {at.coefficient_cv:.2f} (noise out {at.coefficient_cv_corrected:.2f}), "
            f"of σ {at.reward_std_cv:.2f} ({at.reward_std_cv_corrected:.2f}); "
            f"R² ∝ σ {at.r2_std:.2f} (shuffled {at.null_r2_std:.2f}), ∝ V {at.r2_variance:.2f}"
        )
    lines.append(f"Fisher proxy against reward variance: r = {fisher.single_against_variance.value:+.3f}")
    return lines
