"""Which layout a log has, by its names and columns, and in which words to say so."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from curvature.rollouts._beginnings import common_beginnings
from curvature.rollouts._faults import LogError
from curvature.rollouts._layouts import FORMATS, LAYOUTS, Layout, swift_rewards
from curvature.rollouts._plan import Plan
from curvature.rollouts._probe import Probe, container_of, data_files, probe
from curvature.rollouts._roles import PROMPTS, ROLES, RewardWeights, formula, rewards_of, roles_of
from curvature.rollouts._streams import natural_order, stem

__all__ = ["Choice", "choose", "file_step"]


@dataclass(frozen=True)
class Choice:
    """A layout, the files it holds for, how they are read, and why."""

    layout: Layout
    files: tuple[Path, ...]
    plan: Plan
    why: str
    columns: dict[str, str]
    skipped: tuple[Path, ...]
    groups_are_prompts: bool
    group_size: int | None


def choose(
    path: Path, format: str, columns: Mapping[str, str] | None, weights: RewardWeights, group_size: int | None
) -> Choice:
    """Return the layout of a log and how to read it."""
    if format != "auto" and format not in FORMATS:
        raise LogError(f"format={format!r} is unknown: choose auto or one of {', '.join(FORMATS)}.")
    for role in columns or {}:
        if role not in ROLES:
            raise LogError(f"columns names the role {role!r}: there are {', '.join(ROLES)}.")
    files = data_files(path)
    if format != "auto":
        layout = next(layout for layout in LAYOUTS if layout.name == format)
        kept = _of_layout(files, layout)
        if not kept:
            raise LogError(f"{path} holds no file of the format {format}: {FORMATS[format]}.")
        look = probe(kept[0])
        return _finish(layout, kept, files, look, f"read as {format}, as asked", columns, weights, group_size)
    layout, kept, look, why = _recognised(path, files, columns, weights, group_size)
    return _finish(layout, kept, files, look, why, columns, weights, group_size)


def _of_layout(files: list[Path], layout: Layout) -> list[Path]:
    """Return the files that a layout may hold for: those it names, else those of its kind."""
    if len(files) == 1:
        return files
    named = [file for file in files if layout.names(stem(file))]
    return _train_only(named or [file for file in files if container_of(file) == layout.container])


def _train_only(files: list[Path]) -> list[Path]:
    """Leave out files of evaluation, and the filtered copy of what stands in full beside it."""
    present = set(files)
    return [
        file
        for file in files
        if not {"eval", "val"} & {part.lower() for part in file.parts[:-1][-4:]}
        and not (file.parent.name == "effective" and file.parent.with_name("all") / file.name in present)
    ]


def _recognised(
    path: Path,
    files: list[Path],
    columns: Mapping[str, str] | None,
    weights: RewardWeights,
    group_size: int | None,
) -> tuple[Layout, list[Path], Probe, str]:
    looks: dict[Path, Probe] = {}
    if not columns:
        found = _of_trainers(files, looks)
        if len(found) > 1:
            raise LogError(
                f"{path} may be {' or '.join(layout.name for layout, *_ in found)}: say which with format (--format)."
            )
        if found:
            return found[0]
    return _generic(path, files, looks, columns, weights, group_size)


def _look(file: Path, looks: dict[Path, Probe]) -> Probe:
    if file not in looks:
        looks[file] = probe(file)
    return looks[file]


def _of_trainers(files: list[Path], looks: dict[Path, Probe]) -> list[tuple[Layout, list[Path], Probe, str]]:
    found = []
    for layout in LAYOUTS:
        if not layout.marks:
            continue
        kept = _train_only([file for file in files if layout.names(stem(file))])
        alone = len(files) == 1 and container_of(files[0]) in {layout.container, None}
        for file in kept or (files if alone else []):
            try:
                look = _look(file, looks)
            except LogError:
                continue
            if (
                look.container == layout.container
                and layout.has_columns(look.columns)
                and _fits(layout, look)
            ):
                marks = ", ".join(sorted(layout.marks))
                name = f"the name {file.name} and " if kept else ""
                why = f"recognised as {layout.name} by {name}the columns {marks}"
                if layout.absent:
                    why += f" without {', '.join(sorted(layout.absent))}"
                found.append((layout, kept or files, look, why))
            break
    return found


def _fits(layout: Layout, look: Probe) -> bool:
    """Check what columns do not tell: a table by columns holds lists, an episode a list of traces."""
    if layout.name == "ms_swift":
        return any(
            isinstance(record.get("prompt"), list) and swift_rewards(record) for record in look.records
        )
    if layout.name == "prime_rl":
        return any(isinstance(record.get("traces"), list) for record in look.records)
    return True


def _generic(
    path: Path,
    files: list[Path],
    looks: dict[Path, Probe],
    columns: Mapping[str, str] | None,
    weights: RewardWeights,
    group_size: int | None,
) -> tuple[Layout, list[Path], Probe, str]:
    fitting: dict[str, list[Path]] = {}
    problem: LogError | None = None
    for file in files:
        try:
            look = _look(file, looks)
            if look.container == "torch":
                raise LogError(
                    f"{file} is a torch file, but none of slime's: it has no rollout_id and samples."
                )
            roles_of(look, columns, weights, group_size)
        except LogError as error:
            problem = problem or error
            continue
        fitting.setdefault(look.container, []).append(file)
    if len(fitting) > 1:
        raise LogError(f"{path} may be {' or '.join(sorted(fitting))}: say which with format (--format).")
    if not fitting:
        assert problem is not None
        if len(files) == 1:
            raise problem
        raise LogError(
            f"None of the {len(files)} files of {path} can be read as rollouts; the first: {problem}"
        )
    ((container, kept),) = fitting.items()
    layout = next(layout for layout in LAYOUTS if layout.name == container)
    named = roles_of(looks[kept[0]], columns, weights, group_size).values()
    why = f"read as {container} by the columns {', '.join(dict.fromkeys(named))}, as no trainer's layout fits"
    return layout, kept, looks[kept[0]], why


def _finish(
    layout: Layout,
    kept: list[Path],
    files: list[Path],
    look: Probe,
    why: str,
    columns: Mapping[str, str] | None,
    weights: RewardWeights,
    group_size: int | None,
) -> Choice:
    if look.container != layout.container:
        raise LogError(
            f"{look.path} is {look.container}, but the format {layout.name} is {layout.container}."
        )
    if layout.marks:
        _refuse_several_runs(layout, kept)
    roles = roles_of(look, columns, weights, group_size, layout)
    rewards = rewards_of(look, layout, roles, weights)
    divisor = None
    if layout.name == "nemo_rl" and roles.get("group") == "idx":
        divisor, group_size = group_size or common_beginnings(look.path), None
        roles["group"], why = f"idx // {divisor}", f"{why}; {divisor} consecutive rows are a group"
    shown = {role: name for role, name in roles.items() if name}
    shown["reward"] = formula(rewards)
    if "step" not in shown:
        shown["step"] = "the name of the file" if layout.marks or len(kept) > 1 else "none: one step"
    if group_size is not None:
        where = f" of one {shown['group']}" if "group" in shown else ""
        shown["group"] = f"{group_size} consecutive rows{where}"
    if len(rewards) > 1 or list(rewards.values()) != [1.0]:
        why += f"; reward = {shown['reward']}"
    in_columns = not layout.records
    plan = Plan(
        rewards=rewards,
        step=roles.get("step") if in_columns else None,
        group="idx" if divisor else roles.get("group"),
        advantage=roles.get("advantage"),
        pattern=layout.pattern,
        divisor=divisor,
        unwrap=layout.unwrap,
        records=layout.records,
        kinds=look.kinds,
    )
    prompts = layout.groups_are_prompts or (not layout.marks and roles.get("group") in PROMPTS)
    skipped = tuple(sorted(set(files) - set(kept), key=natural_order))
    return Choice(layout, tuple(kept), plan, why + ".", shown, skipped, prompts, group_size)


def _refuse_several_runs(layout: Layout, files: list[Path]) -> None:
    """Raise LogError if two files are of one step, which a trainer writes once: groups of two runs would be joined."""
    if layout.shards:
        return
    seen: dict[int, Path] = {}
    for index, file in enumerate(files):
        step = file_step(file, layout, index, alone=False) if layout.file_a_step else 0
        if step in seen:
            raise LogError(
                f"{seen[step]} and {file} are of several runs of {layout.name}: give the directory of one."
            )
        seen[step] = file


def file_step(path: Path, layout: Layout, index: int, alone: bool) -> int:
    """Return the step that a file's name or folder tells; else its place among the files."""
    match = re.fullmatch(layout.file_name, stem(path))
    if match and match.groups() and match.group(1):
        return int(match.group(1)[-18:])
    for part in (stem(path), *(folder.name for folder in list(path.parents)[:4])):
        named = re.search(r"(?:step|iteration|iter|rollout)s?[_-]?(\d{1,18})", part, re.IGNORECASE)
        if named:
            return int(named.group(1))
    number = re.search(r"(\d{1,18})\D*$", stem(path).split(".")[0])
    return int(number.group(1)) if number and not alone else index
