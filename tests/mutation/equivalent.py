"""Which survivors change nothing that a user could see, and why."""

from __future__ import annotations

import ast
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.mutation import swap

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.mutation.generate import Mutant

__all__ = ["reason_of", "reason_of_constant"]

_LISTED = Path(__file__).with_name("equivalent.toml")


def reason_of(mutant: Mutant) -> str:
    """Say why a mutant that survived is equivalent.

    Parameters
    ----------
    mutant : Mutant
        A survivor.

    Returns
    -------
    str
        By a rule of this module or the list in ``equivalent.toml``; "" if neither knows it.
    """
    for rule, reason in _RULES.items():
        if rule(mutant):
            return reason
    return _listed().get((mutant.path, mutant.function, mutant.before, mutant.after), "")


def reason_of_constant(path: str, text: str, value: float, factor: float) -> str:
    """Say why moving a constant changes nothing.

    Parameters
    ----------
    path, text : str
        Where it stands: file and stripped line.
    value, factor : float
        The constant, and what it is multiplied by.

    Returns
    -------
    str
        From the list in ``equivalent.toml``; "" if it is not there.
    """
    for entry in _file().get("constant", []):
        place = entry["path"] == path and any(part in text for part in entry["lines"])
        if place and value in entry["values"] and factor in entry.get("factors", [factor]):
            return entry["reason"]
    return ""


@cache
def _file() -> dict[str, Any]:
    return tomllib.loads(_LISTED.read_text(encoding="utf-8"))


@cache
def _listed() -> dict[tuple[str, str, str, str], str]:
    found = {}
    for entry in _file().get("equivalent", []):
        for change in entry["changes"]:
            found[entry["path"], entry["function"], change[0], change[1]] = entry["reason"]
    return found


def _same_code(mutant: Mutant) -> bool:
    return swap.code_of(mutant.source, mutant.function) == swap.code_of(mutant.original, mutant.function)


def _wording(mutant: Mutant) -> bool:
    """Compare with the message texts blanked; values in a message are expressions and stay.

    Returns
    -------
    bool
        Whether nothing else differs.
    """
    return _without_wording(mutant.source) == _without_wording(mutant.original)


def _without_wording(source: str) -> str:
    tree = ast.parse(source)
    for statement in ast.walk(tree):
        if isinstance(statement, ast.Raise):
            for node in ast.walk(statement):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    node.value = ""
    return ast.dump(tree)


def _unstrict_zip(mutant: Mutant) -> bool:
    return _same_without(mutant, _drop_keyword("strict"))


def _contraction_order(mutant: Mutant) -> bool:
    return _same_without(mutant, _drop_keyword("optimize"))


def _rest_of_shape(mutant: Mutant) -> bool:
    return _same_without(mutant, _any_negative_length)


def _stand_in(mutant: Mutant) -> bool:
    return _same_without(mutant, _any_denominator)


def _divided_by_one(mutant: Mutant) -> bool:
    return _same_without(mutant, _any_product_with_ones)


def _other_case_of_float(mutant: Mutant) -> bool:
    return _same_without(mutant, _lower_case_float)


def _same_without(mutant: Mutant, blank: Callable[[ast.AST], None]) -> bool:
    """Compare once a kind of detail is blanked everywhere.

    Returns
    -------
    bool
        Whether nothing else differs.
    """
    trees = [ast.parse(source) for source in (mutant.source, mutant.original)]
    for tree in trees:
        for node in ast.walk(tree):
            blank(node)
    return ast.dump(trees[0]) == ast.dump(trees[1])


def _drop_keyword(name: str) -> Callable[[ast.AST], None]:
    def blank(node: ast.AST) -> None:
        if isinstance(node, ast.Call):
            node.keywords = [keyword for keyword in node.keywords if keyword.arg != name]

    return blank


def _any_negative_length(node: ast.AST) -> None:
    if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "reshape":
        for argument in node.args:
            if isinstance(argument, ast.UnaryOp) and isinstance(argument.op, ast.USub):
                argument.operand = ast.Constant(1)


def _any_denominator(node: ast.AST) -> None:
    call = node.right if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) else None
    if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "where" and len(call.args) == 3:
        last = call.args[2]
        if isinstance(last, ast.Constant) and isinstance(last.value, float) and last.value > 0:
            call.args[2] = ast.Constant(1.0)


def _any_product_with_ones(node: ast.AST) -> None:
    if isinstance(node, ast.BinOp) and isinstance(node.right, ast.Call) and isinstance(node.op, ast.Div):
        ones = getattr(node.right.func, "attr", "") == "ones_like"
        node.op = ast.Mult() if ones else node.op


def _lower_case_float(node: ast.AST) -> None:
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "float":
        for argument in node.args:
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                argument.value = argument.value.lower()


_RULES = {
    _same_code: "compiles to the same code",
    _wording: "the fixed wording of an error message; the values it names are tested",
    _unstrict_zip: "strict=True of a zip over sequences of one length by construction: a guard for later edits",
    _contraction_order: "in which order einsum contracts: its speed alone",
    _rest_of_shape: "numpy takes every negative length in reshape for the rest",
    _divided_by_one: "divides by 1 where the original multiplies by it",
    _other_case_of_float: "float reads nan and inf in any case",
    _stand_in: "the positive number that replaces a zero denominator, where the quotient is thrown away or is 0/1",
}
