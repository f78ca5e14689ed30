"""The mutants of a module: mutmut's operators, one mutated function at a time.

mutmut writes every mutant of a file beside the original function and starts pytest anew for each of them. The tests
here load torch, sympy and matplotlib and take longer to collect than to fail, so that only the operators are its own:
each mutant is the text of one function, to be swapped into the function that is already loaded.
"""

from __future__ import annotations

import ast
import difflib
import hashlib
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

__all__ = ["Mutant", "functions_of", "mutants_of"]


@dataclass(frozen=True)
class Mutant:
    """One change to one function.

    Attributes
    ----------
    path : str
        The module, from the root of the repository.
    function : str
        Qualified name, such as ``Claim.check``.
    before, after : str
        The changed lines, stripped and joined by " ⏎ ".
    source, original : str
        A module that defines the mutated, the present function alone, in its class if it has one.
    """

    path: str
    function: str
    before: str
    after: str
    source: str
    original: str

    @property
    def key(self) -> str:
        """Name the mutant by what it is, so that results outlive edits elsewhere in the file."""
        return hashlib.sha256(f"{self.path}\0{self.function}\0{self.source}".encode()).hexdigest()[:12]


def mutants_of(path: str) -> list[Mutant]:
    """List every mutant that mutmut's operators make of the functions of a module.

    Parameters
    ----------
    path : str
        From the root of the repository.

    Returns
    -------
    list of Mutant
        In the order of the source. Decorated functions, annotations and docstrings are left alone, as mutmut does.
    """
    import libcst as cst
    from mutmut import configuration
    from mutmut.mutation.file_mutation import create_mutations

    # No settings file: nothing is excluded here that the report would not tell of.
    configuration._config = cast(Any, SimpleNamespace(do_not_mutate_patterns=[]))
    module, mutations, *_ = create_mutations(path, Path(path).read_text(encoding="utf-8"))
    classes = {
        id(method): node.name.value
        for node in module.body
        if isinstance(node, cst.ClassDef)
        for method in node.body.body
    }
    originals: dict[int, str] = {}
    found = []
    for mutation in mutations:
        function: Any = mutation.contained_by_top_level_function
        if not isinstance(function, cst.FunctionDef):
            continue
        owner = classes.get(id(function))
        if id(function) not in originals:
            originals[id(function)] = _alone(function, owner)
        original = originals[id(function)]
        source = _alone(function.deep_replace(mutation.original_node, mutation.mutated_node), owner)
        name = function.name.value if owner is None else f"{owner}.{function.name.value}"
        found.append(Mutant(path, name, *_changed_lines(original, source), source, original))
    return found


def functions_of(path: str) -> list[str]:
    """List the qualified names of the functions and methods of a module.

    Parameters
    ----------
    path : str
        From the root of the repository.

    Returns
    -------
    list of str
        Nested functions belong to the one around them.
    """
    names = []
    for node in ast.parse(Path(path).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            names.append(node.name)
        elif isinstance(node, ast.ClassDef):
            names += [
                f"{node.name}.{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)
            ]
    return names


def _alone(function: Any, owner: str | None) -> str:
    import libcst as cst

    if owner is not None:
        function = cst.ClassDef(name=cst.Name(owner), body=cst.IndentedBlock(body=[function]))
    return cst.Module(body=[function]).code


def _changed_lines(original: str, source: str) -> tuple[str, str]:
    before, after = [], []
    for line in difflib.ndiff(original.splitlines(), source.splitlines()):
        if line.startswith("- "):
            before.append(line[2:].strip())
        elif line.startswith("+ "):
            after.append(line[2:].strip())
    return " ⏎ ".join(before), " ⏎ ".join(after)
