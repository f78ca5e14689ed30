"""The mutation scripts: what they take for a constant, what they swap, and what they let pass."""

import ast
import math
import textwrap
import types

import pytest

from tests.mutation import swap
from tests.mutation.constants import changes_of, constants_of
from tests.mutation.equivalent import reason_of
from tests.mutation.generate import Mutant

SOURCE = '''
"""A file with 3 constants in its docstring that count for nothing."""

from math import log

GAIN = 2 * log(2) - 1
_HALVINGS = 80


def bound(x: "list[5]", width=1.5):
    y = x.sum(axis=-1) / where(x > 0, x, 1.0)
    for _ in range(7):
        y = y[1:] + 8 / 3 * x**2
    if x.ndim < 2 or y > 1e-12:
        return 0
    return y.reshape(4, -1)
'''


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.py").write_text(SOURCE, encoding="utf-8")
    return "file.py"


def test_constants_are_those_of_formulas_and_every_other_literal_has_its_rule(path):
    found = constants_of(path)
    kept = sorted((c.value, c.function) for c in found if not c.excluded)
    assert kept == [(1, ""), (1.5, "bound"), (2, ""), (2, ""), (2, "bound"), (3, "bound"), (8, "bound")]
    rules = sorted((c.excluded, c.value) for c in found if c.excluded)
    assert rules == [
        ("axis", 1),
        ("count", 7),
        ("count", 80),
        ("index", 1),
        ("shape", 1),
        ("shape", 4),
        ("stand-in", 1.0),
        ("tolerance", 1e-12),
        ("whole", 2),
        ("zero", 0),
        ("zero", 0),
    ]


def test_moving_a_constant_moves_that_one_alone(path):
    (eight,) = (c for c in constants_of(path) if c.value == 8)

    changed = ast.unparse(changes_of(eight, 1.01))
    same = ast.unparse(ast.parse(SOURCE))
    assert changed == same.replace("8 / 3", f"{8 * 1.01} / 3")


def test_a_moved_constant_of_a_module_reaches_those_who_imported_it(tmp_path):
    home, reader = types.ModuleType("home"), types.ModuleType("reader")
    home.__file__ = str(tmp_path / "home.py")
    exec(SOURCE, vars(home))
    reader.GAIN = home.GAIN
    swap.put_constant(home, SOURCE.replace("log(2) - 1", "log(2) - 0.99"), [home, reader])
    assert reader.GAIN == home.GAIN == pytest.approx(2 * math.log(2) - 0.99)


def test_a_swapped_function_has_the_mutant_s_code_and_defaults_wherever_it_was_imported():
    space: dict = {}
    original, source = "def f(x, y=2):\n    return x * y\n", "def f(x, y=3):\n    return x + y\n"
    exec(original, space)
    elsewhere = space["f"]
    swap.put_function([space["f"]], source, original, "f")
    assert elsewhere(10) == 13


@pytest.mark.parametrize(
    ("line", "mutated", "equivalent"),
    [
        ("raise ValueError(f'{x} is odd')", "raise ValueError(f'{x} is ODD')", True),
        ("raise ValueError(f'{x} is odd')", "raise ValueError(f'{y} is odd')", False),
        ("raise ValueError('odd')", "raise ValueError(None)", False),
        ("return list(zip(x, y, strict=True))", "return list(zip(x, y, strict=None))", True),
        ("return list(zip(x, y, strict=True))", "return list(zip(x, strict=True))", False),
        ("return x + y", "return x - y", False),
        ("return x", "return (x)", True),
    ],
)
def test_wording_strictness_of_zips_and_equal_code_pass_and_nothing_else(line, mutated, equivalent):
    original, source = (textwrap.dedent(f"def f(x, y):\n    {text}\n") for text in (line, mutated))
    assert bool(reason_of(Mutant("none.py", "f", line, mutated, source, original))) == equivalent
