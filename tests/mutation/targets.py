"""Which modules are mutated, and the tests that are asked to notice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["TARGETS", "Target"]


@dataclass(frozen=True)
class Target:
    """A unit of the table: the modules of one name and the test files that are run on their mutants.

    Within these files only the tests that call the mutated function run. The doctests of the modules run as well.
    """

    name: str
    source: str
    tests: tuple[str, ...]

    def modules(self) -> list[str]:
        """List the files that hold functions.

        Returns
        -------
        list of str
            From the root of the repository.
        """
        path = Path(self.source)
        files = sorted(path.glob("*.py")) if path.is_dir() else [path]
        return [file.as_posix() for file in files if file.name != "__init__.py"]

    def test_files(self) -> list[str]:
        """Resolve the patterns of the tests.

        Returns
        -------
        list of str
            From the root of the repository.

        Raises
        ------
        FileNotFoundError
            If a pattern names no file.
        """
        found: list[str] = []
        for pattern in self.tests:
            files = sorted(path.as_posix() for path in Path("tests").glob(pattern))
            if not files:
                raise FileNotFoundError(f"tests/{pattern} names no file; mend tests/mutation/targets.py.")
            found += [file for file in files if file not in found]
        return found


TARGETS = {
    target.name: target
    for target in (
        Target(
            "bounds",
            "curvature/bounds",
            (
                "unit/test_bounds_*.py",
                "unit/test_theorems_*.py",
                "unit/test_killers_bounds*.py",
                "unit/test_interference.py",
                "theory/test_section_theorems.py",
                "theory/test_section_c.py",
            ),
        ),
        Target(
            "interference",
            "curvature/interference.py",
            (
                "unit/test_interference.py",
                "unit/test_killers_interference.py",
                "properties/test_certified_gain.py",
            ),
        ),
        Target("moments", "curvature/moments.py", ("unit/test_moments.py", "unit/test_killers_moments.py")),
        Target(
            "advantages",
            "curvature/advantages",
            (
                "unit/test_advantages*.py",
                "unit/test_trainer_presets.py",
                "unit/test_killers_advantages*.py",
                "properties/test_advantages_properties.py",
            ),
        ),
        Target(
            "groups",
            "curvature/groups",
            (
                "unit/test_groups*.py",
                "unit/test_killers_groups*.py",
                "properties/test_groups_properties.py",
                "theory/test_section_groups.py",
            ),
        ),
        Target(
            "flow",
            "curvature/flow",
            (
                "unit/test_flow*.py",
                "unit/test_killers_flow*.py",
                "properties/test_flow_properties.py",
                "theory/test_section_flow.py",
            ),
        ),
        Target(
            "assumptions",
            "curvature/assumptions.py",
            ("unit/test_assumptions.py", "unit/test_killers_assumptions.py", "theory/test_hypotheses.py"),
        ),
    )
}
