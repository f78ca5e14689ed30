"""Fill the tables of docs/should-i-divide-by-the-std.md: ``python -m experiments._decision_page``."""

from __future__ import annotations

import re

import pandas as pd

from curvature._files import write_atomically
from curvature.rollouts._flags import FLAGS
from experiments._experiment import FIGURES, ROOT

__all__ = ["PAGE", "filled", "flags_table", "predictions_table"]

PAGE = ROOT / "docs" / "should-i-divide-by-the-std.md"
GROUP_SIZE = 8
NUMBERS = {
    "kappa": "certified gain of one step, κ_G",
    "prompts": "factor across prompts, certified steps",
    "matched": "one learning rate and RMS advantage",
}


def predictions_table() -> str:
    """Tabulate the figure's predictions for groups of eight."""
    df = pd.read_csv(FIGURES / "should_i_divide.csv")
    rows = df[df["group_size"] == GROUP_SIZE]
    table = rows.pivot(index="profile", columns="number", values="predicted")
    lines = ["| success rates | " + " | ".join(NUMBERS.values()) + " |", "|---" * (1 + len(NUMBERS)) + "|"]
    for profile in rows["profile"].unique():
        values = " | ".join(f"{table.loc[profile, number]:.2f}" for number in NUMBERS)
        lines.append(f"| {profile} | {values} |")
    return "\n".join(lines)


def flags_table() -> str:
    """Tabulate the switches of every trainer."""

    def code(switch: str | None) -> str:
        if switch is None:
            return "—"
        return switch if switch.startswith(("its ", "leave ")) else f"`{switch}`"

    lines = [
        "| trainer | divide by the group's std | by the batch's | by none | default | beware |",
        "|---" * 6 + "|",
    ]
    for flag in FLAGS:
        cells = [
            flag.trainer,
            code(flag.keep),
            code(flag.batch),
            code(flag.drop),
            flag.default,
            flag.note or "",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def filled(text: str) -> str:
    """Return the page with both tables made anew."""
    for name, table in (
        (f"predictions at G = {GROUP_SIZE}", predictions_table()),
        ("flags", flags_table()),
    ):
        pattern = re.compile(rf"(<!-- table: {re.escape(name)} -->\n).*?(<!-- end -->)", flags=re.DOTALL)
        if not pattern.search(text):
            raise ValueError(f"{PAGE.name} has no place for the table {name!r}.")
        text = pattern.sub(lambda found, table=table: f"{found[1]}{table}\n{found[2]}", text)
    return text


def main() -> int:
    """Write the page; return the exit status."""
    write_atomically(PAGE, filled(PAGE.read_text(encoding="utf-8")).encode())
    print(f"wrote {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
