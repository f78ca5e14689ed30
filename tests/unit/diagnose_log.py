"""A small log of rollouts, and the command run on it."""

import json

from curvature import __main__ as cli

ROWS = [
    (step, prompt, (3 * prompt + i + step) % 4 < 2)
    for step in range(3)
    for prompt in range(4)
    for i in range(4)
]


def as_lines(rows):
    lines = [json.dumps({"step": step, "prompt": f"p{prompt}", "reward": int(r)}) for step, prompt, r in rows]
    return "".join(f"{line}\n" for line in lines)


def run(*arguments):
    return cli.main(["diagnose", *map(str, arguments)])


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())
