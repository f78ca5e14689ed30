"""Fill the tables of the pages in docs/ from the figures' numbers: ``python -m experiments._pages``."""

from __future__ import annotations

import re

import pandas as pd

from curvature._files import write_atomically
from curvature.rollouts._flags import FLAGS
from experiments._experiment import FIGURES, ROOT

__all__ = ["PAGES", "coverage_table", "filled", "flags_table", "predictions_table"]

PAGES = tuple(ROOT / "docs" / name for name in ("should-i-divide-by-the-std.md", "intervals.md"))
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


def coverage_table() -> str:
    """Tabulate the coverage study: a row a functional, a column a difficulty, G = 4 / 8 / 16 in each cell."""
    from experiments.interval_coverage import FUNCTIONALS, PROFILES, SIZES, by_cell

    table = by_cell(pd.read_csv(FIGURES / "interval_coverage.csv"))
    shares = table.set_index(["functional", "difficulty", "group_size"])["coverage"]
    sizes = " / ".join(map(str, SIZES))
    lines = [
        "| coverage in %, G = " + sizes + " | " + " | ".join(PROFILES) + " |",
        "|---" * (1 + len(PROFILES)) + "|",
    ]
    for name, label in FUNCTIONALS.items():
        cells = [
            " / ".join(f"{100 * shares[name, difficulty, size]:.1f}" for size in SIZES)
            for difficulty in PROFILES
        ]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


TABLES = {
    f"predictions at G = {GROUP_SIZE}": predictions_table,
    "flags": flags_table,
    "coverage": coverage_table,
}


def filled(text: str) -> str:
    """Return a page with its tables made anew."""
    for name, table in TABLES.items():
        pattern = re.compile(rf"(<!-- table: {re.escape(name)} -->\n).*?(<!-- end -->)", flags=re.DOTALL)
        if pattern.search(text):
            rows = table()
            text = pattern.sub(lambda found, rows=rows: f"{found[1]}{rows}\n{found[2]}", text)
    return text


def main() -> int:
    """Write the pages; return the exit status."""
    for page in PAGES:
        write_atomically(page, filled(page.read_text(encoding="utf-8")).encode())
        print(f"wrote {page.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
