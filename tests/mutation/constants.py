"""Move every numeric constant of ``curvature/bounds`` by one per cent, up and down: does a test turn red?

``python -m tests.mutation.constants`` runs the tests that call the function a constant stands in, in a forked process
a change (see ``runner``). Which literals count as constants is decided by the rules of :func:`constants_of`.
"""

from __future__ import annotations

import argparse
import ast
import copy
import hashlib
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.mutation import runner, swap
from tests.mutation.equivalent import reason_of_constant
from tests.mutation.store import Store
from tests.mutation.targets import TARGETS

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["EXCLUSIONS", "Constant", "changes_of", "constants_of", "main", "readers_of"]

# Every literal that is left out is left out by one of these.
EXCLUSIONS = {
    "zero": "0: one per cent of it is nothing",
    "index": "an index or a slice: it picks an entry and measures nothing",
    "axis": "an axis or a number of dimensions",
    "shape": "an entry of a shape",
    "count": "how many terms, halvings or points: a whole number, chosen larger than needed, that changes no digit",
    "whole": "a whole number that a number of dimensions, bits, prompts or libraries is compared with",
    "tolerance": "below 1e-6: how much rounding is let through, or when an iteration stops",
    "stand-in": "the 1 that replaces a zero denominator where the quotient is thrown away or its numerator is 0",
    "search": "where a search begins, how it narrows: it ends at the same point",
    "cap": "an exponent so far up that the result is infinite on either side of it",
}
_AXIS_KEYWORDS = {"axis", "ndmin", "ddof", "ndim", "minlength"}
# The arguments that are shapes or axes; None means all.
_SHAPE_CALLS = {
    "reshape": None,
    "broadcast_to": (1,),
    "zeros": (0,),
    "ones": (0,),
    "empty": (0,),
    "full": (0,),
    "moveaxis": (1, 2),
    "swapaxes": (1, 2),
}
_COUNTS = {"_PSI_TERMS", "_HALVINGS", "_NARROWINGS"}
_SEARCH = {"_GOLDEN", "_LOG_ODDS", "_FURTHEST", "crest"}
_SIZES = {"ndim", "bits", "size"}
_COUNTERS = {"n", "value", "int", "len", "read_count"}
_CAP = 4000


@dataclass(frozen=True)
class Constant:
    """A numeric literal and where it stands.

    Attributes
    ----------
    path, line, column
        Its place.
    function : str
        Qualified name of the outermost function around it, "" at the level of the module.
    text : str
        The line of the source, stripped.
    value : float
        Of the literal.
    excluded : str
        The name of the rule that leaves it out, or "".
    """

    path: str
    line: int
    column: int
    function: str
    text: str
    value: float
    excluded: str

    def key(self, factor: float) -> str:
        """Name a change of it by file, function, line of text and place in that line."""
        told = f"{self.path}\0{self.function}\0{self.text}\0{self.column}\0{self.value}\0{factor}"
        return hashlib.sha256(told.encode()).hexdigest()[:12]


def constants_of(path: str) -> list[Constant]:
    """List the numeric literals of a module, those that no calculation rests on marked with the rule.

    Parameters
    ----------
    path : str
        From the root of the repository.

    Returns
    -------
    list of Constant
        In the order of the source; annotations are not looked into.
    """
    source = Path(path).read_text(encoding="utf-8")
    lines = source.splitlines()
    found = []
    for node, parents in _literals(ast.parse(source)):
        function = ".".join(p.name for p in parents if isinstance(p, ast.ClassDef | ast.FunctionDef))
        outermost = _outermost(parents)
        text = lines[node.lineno - 1].strip()
        rule = _exclusion(node, parents)
        found.append(
            Constant(
                path, node.lineno, node.col_offset, outermost if function else "", text, node.value, rule
            )
        )
    return found


def changes_of(constant: Constant, factor: float) -> ast.Module:
    """Parse the module of a constant, with the constant multiplied.

    Parameters
    ----------
    constant : Constant
        As ``constants_of`` gave it.
    factor : float
        1.01, say.

    Returns
    -------
    ast.Module
        The changed tree.
    """
    tree = ast.parse(Path(constant.path).read_text(encoding="utf-8"))
    for node, _ in _literals(tree):
        if (node.lineno, node.col_offset) == (constant.line, constant.column):
            node.value = node.value * factor
    return tree


def main(arguments: list[str] | None = None) -> int:
    """Try every change that is not known to turn a test red.

    Parameters
    ----------
    arguments : list of str, optional
        The command line.

    Returns
    -------
    int
        0 unless tests fail without any change.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.mutation.constants")
    parser.add_argument("--workers", type=int, default=1, help="processes at a time")
    parser.add_argument("--budget", type=float, default=30.0, help="seconds of tests a change at most")
    parser.add_argument("--store", default=".cache/mutants", help="folder of the outcomes")
    options = parser.parse_args(arguments)
    target = TARGETS["bounds"]
    modules = target.modules()
    store = Store(f"{options.store}/constants.jsonl")
    changes = [
        (constant, factor)
        for path in modules
        for constant in constants_of(path)
        if not constant.excluded
        for factor in (1.01, 0.99)
        if not store.dead(constant.key(factor))
    ]
    print(f"[constants] {len(changes)} changes to try", file=sys.stderr)
    plan = runner.Plan(
        tests=target.test_files(),
        doctests=modules,
        jobs=partial(_jobs, modules, changes),
        report=store.add,
        workers=options.workers,
        budget=options.budget,
        targets=modules,
    )
    began = time.perf_counter()
    status = runner.run_jobs(plan)
    alive = [
        (c, f)
        for c, f in changes
        if not store.dead(c.key(f)) and not reason_of_constant(c.path, c.text, c.value, f)
    ]
    print(f"[constants] {time.perf_counter() - began:.0f} s; no test noticed {len(alive)}:", file=sys.stderr)
    for constant, factor in alive:
        print(
            f"  {constant.path}:{constant.line} {constant.value} × {factor}: {constant.text}", file=sys.stderr
        )
    return status


def _jobs(modules: list[str], changes: list[tuple[Constant, float]]) -> Iterator[runner.Job]:
    loaded = swap.loaded_functions(modules)
    everyone = [
        m for name, m in list(sys.modules.items()) if name.startswith(("curvature", "tests", "test_")) and m
    ]
    for constant, factor in changes:
        key = constant.key(factor)
        tree = changes_of(constant, factor)
        if constant.function:
            source, original = (_cut(t, constant.function) for t in (tree, changes_of(constant, 1)))
            functions = loaded[constant.path, constant.function]
            apply = partial(_put, functions, source, original, constant.function, everyone)
            yield runner.Job(key, constant.path, (constant.function,), apply)
        else:
            module = sys.modules[constant.path.removesuffix(".py").replace("/", ".")]
            readers = tuple(readers_of(constant))
            yield runner.Job(
                key, constant.path, readers, partial(_put_all, module, ast.unparse(tree), everyone)
            )


def _put(functions: Any, source: str, original: str, name: str, everyone: Any) -> None:
    swap.put_function(functions, source, original, name)
    swap.clear_caches(everyone)


def _put_all(module: Any, source: str, everyone: Any) -> None:
    swap.put_constant(module, source, everyone)
    swap.clear_caches(everyone)


def readers_of(constant: Constant) -> list[str]:
    """Find the functions of the module that read the name a constant is assigned to.

    Parameters
    ----------
    constant : Constant
        One at the level of its module.

    Returns
    -------
    list of str
        Every function, if the name is read in none: it is for other modules then.
    """
    tree = ast.parse(Path(constant.path).read_text(encoding="utf-8"))
    everywhere, readers = [], []
    names = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign) and node.lineno <= constant.line <= (node.end_lineno or node.lineno)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node, _ in _walk(tree, ()):
        if isinstance(node, ast.FunctionDef):
            everywhere.append(node.name)
            if any(isinstance(inner, ast.Name) and inner.id in names for inner in ast.walk(node)):
                readers.append(node.name)
    return readers or everywhere


def _cut(tree: ast.Module, name: str) -> str:
    """Write out one function of a module, in its class if it has one, without decorators.

    Returns
    -------
    str
        Source.
    """
    owner, _, method = name.rpartition(".")
    body = tree.body
    if owner:
        body = next(node for node in body if isinstance(node, ast.ClassDef) and node.name == owner).body
    function = copy.deepcopy(next(n for n in body if isinstance(n, ast.FunctionDef) and n.name == method))
    function.decorator_list = []
    whole: ast.stmt = function
    if owner:
        whole = ast.ClassDef(owner, [], [], [function], [])
    return ast.unparse(ast.fix_missing_locations(ast.Module([whole], [])))


def _outermost(parents: tuple[ast.AST, ...]) -> str:
    names = []
    for parent in parents:
        if isinstance(parent, ast.ClassDef | ast.FunctionDef):
            names.append(parent.name)
        if isinstance(parent, ast.FunctionDef):
            return ".".join(names)
    return ""


def _literals(tree: ast.AST) -> Iterator[tuple[Any, tuple[ast.AST, ...]]]:
    for node, parents in _walk(tree, ()):
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            yield node, parents


def _walk(node: ast.AST, parents: tuple[ast.AST, ...]) -> Iterator[tuple[ast.AST, tuple[ast.AST, ...]]]:
    yield node, parents
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _walk(child, (*parents, node))


def _exclusion(node: ast.Constant, parents: tuple[ast.AST, ...]) -> str:
    value: Any = node.value
    if value == 0:
        return "zero"
    if abs(value) < 1e-6:
        return "tolerance"
    if value == _CAP:
        return "cap"
    chain = (*parents, node)
    return next(
        (rule for pair in zip(parents, chain[1:], strict=True) if (rule := _rule(*pair, parents))), ""
    )


def _rule(parent: ast.AST, child: ast.AST, parents: tuple[ast.AST, ...]) -> str:
    """Name the rule by which what stands at one place of the tree is no constant of a formula.

    Returns
    -------
    str
        A key of ``EXCLUSIONS``, or "".
    """
    if isinstance(parent, ast.Subscript) and child is parent.slice:
        return "index"
    if isinstance(parent, ast.keyword) and parent.arg in _AXIS_KEYWORDS:
        return "axis"
    if isinstance(parent, ast.Call) and child in parent.args:
        return _rule_of_call(parent, parent.args.index(child), parents)
    if isinstance(parent, ast.Assign):
        names = {getattr(target, "id", "") for target in parent.targets}
        return "count" if names & _COUNTS else "search" if names & _SEARCH else ""
    if isinstance(parent, ast.Compare) and any(_counts(side) for side in (parent.left, *parent.comparators)):
        return "whole"
    if isinstance(parent, ast.FunctionDef):
        return "search" if parent.name == "bisect" else ""
    return ""


def _rule_of_call(call: ast.Call, place: int, parents: tuple[ast.AST, ...]) -> str:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in _SHAPE_CALLS and place in (_SHAPE_CALLS[name] or (place,)):
        return "shape"
    if name == "range" or (name == "linspace" and place == 2):
        return "count"
    if name == "bisect":
        return "search"
    if (
        name == "where"
        and place == 2
        and getattr(call.args[2], "value", None) == 1
        and _divides(call, parents)
    ):
        return "stand-in"
    return ""


def _divides(call: ast.Call, parents: tuple[ast.AST, ...]) -> bool:
    """Say whether a call is a denominator, or a power of it is.

    Returns
    -------
    bool
        Of the nearest operations around it.
    """
    whole: ast.AST = call
    for parent in reversed(parents[: parents.index(call)]):
        if not isinstance(parent, ast.BinOp):
            return False
        if isinstance(parent.op, ast.Div) and parent.right is whole:
            return True
        if not isinstance(parent.op, ast.Pow):
            return False
        whole = parent
    return False


def _counts(node: ast.expr) -> bool:
    """Say whether an expression is a number of things.

    Returns
    -------
    bool
        By its name.
    """
    if isinstance(node, ast.Attribute):
        return node.attr in _SIZES
    if isinstance(node, ast.Call):
        return getattr(node.func, "id", "") in _COUNTERS
    return getattr(node, "id", "") in _COUNTERS


if __name__ == "__main__":
    sys.exit(main())
