"""The README's Python runs as it stands, in order, in one namespace."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, settings

README = Path(__file__).parents[2] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.fixture(scope="module")
def namespace():
    names = {}
    for block in BLOCKS:
        exec(compile(block, str(README), "exec"), names)
    return names


def test_readme_bounds_hold_on_its_own_example(namespace):
    bound = namespace["sharp"].hessian_norm(namespace["at"].reward_std, namespace["D"])
    assert len(BLOCKS) == 5
    assert (bound >= namespace["norm"]).all()
    assert np.isfinite(bound / namespace["norm"]).all()


def test_readme_conjecture_fails_as_the_readme_says(namespace):
    # One drawn problem in twelve refutes it.
    test = settings(max_examples=2_000, database=None, phases=[Phase.generate])(
        namespace["test_my_conjecture"]
    )
    with pytest.raises(AssertionError, match="bound is exceeded by ×1"):
        test()


def test_readme_links_lead_to_files_of_the_repository():
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README.read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (README.parent / link).exists()] == []


def test_readme_runs_show_the_speed_up_that_the_readme_predicts(namespace):
    steps = [run.time_to_target(0.9) for run in (namespace["none"], namespace["grpo"])]
    assert np.all(np.asarray(steps[0]) > np.asarray(steps[1]))
    assert np.all(namespace["predicted_speedup"](namespace["profile"], target=0.9).speedup > 1)


def test_readme_names_the_convention_of_its_log_and_the_weights_of_its_group(namespace):
    assert "verl" in namespace["found"].convention.presets
    weights = namespace["effective_weight"]([0.05, 0.5], group_size=8)
    assert weights.round(2).tolist() == [2.47, 1.86]
