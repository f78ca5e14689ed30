"""Put a mutated function into the function object that is already loaded, wherever it has been imported to."""

from __future__ import annotations
import __future__

import ast
import functools
import gc
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

__all__ = ["clear_caches", "code_of", "loaded_functions", "put_constant", "put_function"]

_FLAGS = __future__.annotations.compiler_flag


def loaded_functions(paths: list[str]) -> dict[tuple[str, str], list[FunctionType]]:
    """Find every function object that was compiled from the given modules.

    Parameters
    ----------
    paths : list of str
        From the root of the repository.

    Returns
    -------
    dict
        From (path, qualified name) to the objects, decorated ones too.
    """
    files = {str(Path(path).resolve()): path for path in paths}
    found: dict[tuple[str, str], list[FunctionType]] = {}
    gc.unfreeze()  # frozen objects are not listed
    for thing in gc.get_objects():  # isinstance would wake the proxies of other packages
        if type(thing) is FunctionType and thing.__code__.co_filename in files:
            key = files[thing.__code__.co_filename], thing.__code__.co_qualname
            found.setdefault(key, []).append(thing)
    gc.freeze()  # a collection in a fork would copy the pages of everything
    return found


def code_of(source: str, function: str) -> CodeType:
    """Compile the text of one function, or of a class that holds it.

    Parameters
    ----------
    source : str
        It defines the function at its qualified name.
    function : str
        That name.

    Returns
    -------
    CodeType
        Of the function alone.

    Raises
    ------
    LookupError
        If the text does not define it.
    """
    pending = [compile(source, "<mutant>", "exec", flags=_FLAGS, dont_inherit=True)]
    while pending:
        code = pending.pop()
        if code.co_qualname == function:
            return code
        pending += [inner for inner in code.co_consts if isinstance(inner, CodeType)]
    raise LookupError(f"{function} is not defined by the text it was cut from.")


def put_function(functions: list[FunctionType], source: str, original: str, name: str) -> None:
    """Give loaded functions the code, and where they changed the defaults, of a mutant.

    Parameters
    ----------
    functions : list of FunctionType
        The objects to change.
    source, original : str
        As in ``Mutant``.
    name : str
        Qualified name of the function.
    """
    code = code_of(source, name)
    new, old = _arguments(source), _arguments(original)
    for function in functions:
        function.__code__ = code
        if ast.dump(new) != ast.dump(old):
            function.__defaults__ = tuple(_value(node, function) for node in new.defaults) or None
            function.__kwdefaults__ = {
                argument.arg: _value(node, function)
                for argument, node in zip(new.kwonlyargs, new.kw_defaults, strict=True)
                if node is not None
            } or None


def put_constant(module: ModuleType, source: str, loaded: list[ModuleType]) -> None:
    """Recompute a module's own constants from changed source, and hand them to whoever imported them.

    Parameters
    ----------
    module : ModuleType
        The loaded module.
    source : str
        Its changed text.
    loaded : list of ModuleType
        Modules whose globals may hold the old values.
    """
    space: dict[str, Any] = {"__name__": module.__name__, "__package__": module.__package__}
    exec(compile(source, str(module.__file__), "exec", dont_inherit=True), space)
    for name in _assigned(source):
        old, new = vars(module).get(name), space[name]
        for holder in loaded:
            for held, value in list(vars(holder).items()):
                if value is old and held == name:
                    setattr(holder, held, new)


def clear_caches(loaded: list[ModuleType]) -> None:
    """Forget what ``functools.cache`` remembers: it was computed before the change.

    Parameters
    ----------
    loaded : list of ModuleType
        Where to look for cached functions.
    """
    for module in loaded:
        for value in list(vars(module).values()):
            if isinstance(value, functools._lru_cache_wrapper):
                value.cache_clear()


def _arguments(source: str) -> ast.arguments:
    return next(node.args for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef))


def _value(node: ast.expr, function: FunctionType) -> Any:
    return eval(compile(ast.Expression(node), "<default>", "eval"), function.__globals__)


def _assigned(source: str) -> list[str]:
    names = []
    for node in ast.parse(source).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        names += [target.id for target in targets if isinstance(target, ast.Name)]
    return names
