"""What every user relies on without reading: light imports, and docstrings that say everything."""

import importlib
import inspect
import subprocess
import sys

import pytest

MODULES = [
    "curvature",
    "curvature.advantages",
    "curvature.ascent",
    "curvature.assumptions",
    "curvature.bandit",
    "curvature.bounds",
    "curvature.bounds.paper",
    "curvature.bounds.sharp",
    "curvature.flow",
    "curvature.geometry",
    "curvature.groups",
    "curvature.interference",
    "curvature.lm.arms",
    "curvature.lm.compare",
    "curvature.lm.config",
    "curvature.lm.grading",
    "curvature.lm.grid",
    "curvature.lm.splits",
    "curvature.lm.tasks",
    "curvature.lm.train",
    "curvature.moments",
    "curvature.phases",
    "curvature.rollouts",
    "curvature.rollouts.recorder",
    "curvature.sweeps",
    "curvature.testing",
]
HEAVY = [
    "numba",
    "torch",
    "pandas",
    "matplotlib",
    "sympy",
    "scipy",
    "tqdm",
    "hypothesis",
    "pyarrow",
    "rich",
    "jinja2",
]


def _public_functions():
    seen = {}
    for name in MODULES:
        module = importlib.import_module(name)
        for attribute in module.__all__:
            item = getattr(module, attribute)
            if inspect.isfunction(item):
                seen[f"{item.__module__}.{attribute}"] = item
    return sorted(seen.items())


def test_importing_the_package_loads_no_heavy_library():
    modules = (
        "curvature, curvature.bounds, curvature.ascent, curvature.flow, curvature.groups, curvature.rollouts, "
        "curvature.lm"
    )
    code = f"import sys, {modules}; print([m for m in {HEAVY} if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


@pytest.mark.parametrize(("name", "function"), _public_functions(), ids=[n for n, _ in _public_functions()])
def test_public_function_documents_source_and_example(name, function):
    text = inspect.getdoc(function)
    assert text, f"{name} has no docstring"
    for section in ("Parameters\n---", "Examples\n---"):
        assert section in text, f"{name} lacks the section {section.splitlines()[0]}"
    assert "arXiv:" in text or "Ours" in text, f"{name} does not say where its formula comes from"
    if inspect.signature(function).return_annotation not in (None, "None"):
        assert "Returns\n---" in text, f"{name} lacks the section Returns"


@pytest.mark.parametrize("name", MODULES)
def test_everything_a_module_promises_exists(name):
    module = importlib.import_module(name)
    missing = [attribute for attribute in module.__all__ if not hasattr(module, attribute)]
    assert missing == []
