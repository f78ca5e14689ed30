"""Small logs written on the spot, for the tests of the readers."""

from __future__ import annotations

import json


def lines(path, *records):
    path.write_text(
        "".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in records), encoding="utf-8"
    )
    return path


def row(step=0, group=0, reward=1.0, **more):
    return {"step": step, "group": group, "reward": reward} | more


def codes(log):
    return {note.code: note.count for note in log.notes}
