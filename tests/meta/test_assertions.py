"""Assertions fail when they should, say by how much and where, and leave the instance behind; NaN passes none."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curvature import LogLinearBandit, feature_diameter, moments
from curvature.adversary import Inequality, worst_case
from curvature.bounds import sharp
from curvature.testing import (
    INSTANCE_DIR,
    assert_identity,
    assert_lower,
    assert_sharp,
    assert_tight,
    assert_upper,
    bandits_with_theta,
    replay,
    store_instance,
)

PAIRS = [assert_upper, assert_lower, assert_identity, assert_tight]
TWO = LogLinearBandit.two_arm([0.5])


def gradient_sides(bandit, theta, displacement=None):
    at = moments(bandit, theta)
    return np.linalg.norm(at.gradient, axis=-1), sharp.gradient_norm(at.reward_std, feature_diameter(bandit))


L1 = Inequality("L1", gradient_sides)


def cut(factor):
    """L1 with another constant."""

    def sides(bandit, theta, displacement=None):
        measured, bound = gradient_sides(bandit, theta)
        return measured, factor * bound

    return Inequality("L1", sides)


@pytest.mark.parametrize(
    ("assertion", "first", "second", "message"),
    [
        (
            assert_upper,
            [1.0, 2.0],
            [1.0, 1.9],
            r"L9 is exceeded by ×1.0526\d* at \(1,\): measured 2.0, bound 1.9 \(1",
        ),
        (
            assert_upper,
            [[0.0, 3.0], [8.0, 2.0]],
            2.0,
            r"×4 at \(1, 0\): measured 8.0, bound 2.0 \(2 of 4 entries",
        ),
        (assert_upper, 1e-290, 0.0, "×inf at"),
        (assert_upper, [-0.5, -2.0], -1.0, r"×inf at \(0,\): measured -0.5, bound -1.0 \(1 of 2"),
        (assert_upper, np.inf, 1.0, "×inf at"),
        (assert_upper, 1.0 + 1e-6, 1.0, r"×1.000001 at \(\)"),
        (
            assert_lower,
            [1.0, 1.8],
            [1.0, 2.0],
            r"L9 is missed, ×0.9 of it is reached at \(1,\): measured 1.8, bound 2",
        ),
        (assert_lower, [-3.0, -1.0], -2.0, r"×-inf of it is reached at \(0,\): measured -3.0, bound -2.0"),
        (assert_lower, [0.5, -1.0], [1.0, 1.0], r"×-1 of it is reached at \(1,\)"),
        (assert_lower, -1e-290, 0.0, "×-inf of it"),
        (
            assert_identity,
            [1.0, 3.0],
            [1.0, 3.003],
            r"L9 is missed by ×999\d*\.?\d* of its tolerance at \(1,\): 3.0 against",
        ),
        (assert_identity, np.inf, 1.0, "×inf of its tolerance"),
        (assert_identity, np.inf, -np.inf, "×inf of its tolerance"),
        (assert_tight, [0.3, 0.998], 1.0, r"L9 is reached to ×0.998 only, ×0.999 was claimed: .* at \(1,\)"),
        (assert_tight, [0.3, 1.01], 1.0, "L9 is exceeded by ×1.01"),
        (assert_tight, 0.0, 0.0, "reached to ×0 only"),
        (assert_tight, [], [], "reached to ×0 only"),
    ],
)
def test_a_missed_claim_is_told_with_ratio_place_and_numbers(assertion, first, second, message):
    options = {"rtol": 1e-6} if assertion is assert_identity else {}
    with pytest.raises(AssertionError, match=message):
        assertion(first, second, name="L9", **options)


@pytest.mark.parametrize("assertion", PAIRS)
@pytest.mark.parametrize(
    "sides", [(np.nan, 1.0), (1.0, np.nan), (np.nan, np.nan), ([1.0, np.nan], [1.0, 1.0])]
)
def test_nan_passes_no_assertion(assertion, sides):
    with pytest.raises(AssertionError, match="inf"):
        assertion(*sides)


@pytest.mark.parametrize("value", [np.nan, [1.0, np.nan]])
def test_nan_passes_no_sharpness_either(value):
    with pytest.raises(AssertionError, match="instance 0, is exceeded by ×inf"):
        assert_sharp(lambda bandit: (value, 1.0), [TWO])


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=6),
    st.floats(1e-6, 0.5),
    st.integers(0, 5),
)
def test_an_entry_beyond_the_tolerance_is_found_wherever_it_is(values, beyond, place):
    right = np.array(values)
    left = right.copy()
    at = place % len(values)
    left[at] += beyond * max(abs(left[at]), 1.0)
    assert_upper(right, left)
    assert_lower(left, right)
    for failing, sides in (
        (assert_upper, (left, right)),
        (assert_lower, (right, left)),
        (assert_identity, (left, right)),
    ):
        with pytest.raises(AssertionError, match=rf"at \({at},\).*\(1 of {len(values)} entries\)"):
            failing(*sides)


@pytest.mark.parametrize(
    ("assertion", "first", "second"),
    [
        (assert_upper, [1.0 + 1e-12, 0.0, -1.0 + 1e-12, np.inf, -np.inf], [1.0, 0.0, -1.0, np.inf, 0.0]),
        (assert_lower, [1.0 - 1e-12, 0.0, -1.0 - 1e-12, np.inf, 2.0], [1.0, 0.0, -1.0, 0.0, -np.inf]),
        (assert_identity, [1.0, 0.0, np.inf, 1e-310], [1.0 + 1e-12, 0.0, np.inf, 0.0]),
        (assert_tight, [0.3, 0.9995], 1.0),
        (assert_tight, [0.3, 1.0 + 1e-12], 1.0),
    ],
)
def test_a_claim_within_rounding_passes_on_either_side_of_zero(assertion, first, second):
    assertion(first, second)


def test_an_identity_can_be_measured_on_the_scale_of_what_was_subtracted():
    big, small = 1e8, 1e-8
    first, second = (big + small) - big, small
    with pytest.raises(AssertionError, match="identity is missed by"):
        assert_identity(first, second)
    assert_identity(first, second, scale=big)
    with pytest.raises(AssertionError):
        assert_identity(first, second, scale=1.0, rtol=1e-10)


def test_a_sharp_bound_is_sharp_by_a_list_and_by_a_search():
    assert_sharp(L1, [(TWO, np.ones(1)), (TWO, np.zeros(1))])
    assert_sharp(L1, [worst_case(L1, num_responses=2, dimension=1, starts=40, restarts=1, polish=False)])


@pytest.mark.parametrize("factor", [0.99, 1.01])
def test_a_constant_off_by_one_per_cent_is_not_sharp(factor):
    message = "L1, instance 0, is exceeded by ×1.0101" if factor < 1 else "L1 is reached to ×0.99009901 only"
    with pytest.raises(AssertionError, match=message):
        assert_sharp(cut(factor), [(TWO, np.zeros(1))])


def test_a_bound_that_survives_a_cut_is_not_sharp_whatever_share_was_asked_for():
    with pytest.raises(
        AssertionError, match=r"L1 survives a cut by 0.01: ×0.980392157 is the most that is reached"
    ):
        assert_sharp(cut(1.02), [(TWO, np.zeros(1))], at_least=0.95)
    assert_sharp(cut(1.02), [(TWO, np.zeros(1))], at_least=0.95, cut=0.05)
    with pytest.raises(ValueError, match="instances is empty"):
        assert_sharp(L1, [])


def test_a_sharp_bound_that_one_instance_breaks_keeps_that_instance(tmp_path):
    instances = [(TWO, np.zeros(1)), (LogLinearBandit.two_arm([0.5], diameter=3.0), np.zeros(1))]

    def sides(bandit, theta):  # wrong: the diameter is left out
        at = moments(bandit, theta)
        return np.linalg.norm(at.gradient, axis=-1), at.reward_std / 2

    with pytest.raises(AssertionError, match="instance 1, is exceeded by ×3") as failure:
        assert_sharp(sides, instances, instance_dir=tmp_path)
    assert feature_diameter(replay(path_in(failure)).bandit) == 3.0


def path_in(failure):
    return Path(re.search(r"Instance: (\S+\.json)", str(failure.value))[1])


def same_bits(first, second):
    first, second = np.asarray(first), np.asarray(second)
    return first.dtype == second.dtype and first.shape == second.shape and first.tobytes() == second.tobytes()


@given(bandits_with_theta())
@settings(max_examples=40)
def test_a_replayed_instance_is_the_same_to_the_last_bit(tmp_path_factory, instance):
    bandit, theta = instance
    path = store_instance(tmp_path_factory.getbasetemp() / "bits.json", "any", instance)
    again = replay(path)
    for name in ("features", "rewards", "base_logits", "prompt_weights", "mask"):
        assert same_bits(getattr(again.bandit, name), getattr(bandit, name)), name
    assert same_bits(again.theta, theta)


@pytest.mark.parametrize(
    "value",
    [
        np.array([0.1, -0.0, 5e-324, 1.7976931348623157e308, np.nan, np.inf, -np.inf]),
        np.array([[1, 2], [3, -(2**62)]]),
        np.zeros((0, 3)),
        np.array([True, False]),
        np.array(["q1", "q20"]),
        np.float32(0.1),
        [0.1, 0.2],
        3,
        "grpo",
        None,
    ],
    ids=repr,
)
def test_values_of_every_kind_come_back(tmp_path, value):
    again = replay(store_instance(tmp_path / "value.json", "any", {"value": value})).values["value"]
    if value is None or isinstance(value, str):
        assert again == value
    else:
        assert same_bits(again, value)
    json.loads((tmp_path / "value.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)


def test_an_instance_is_kept_where_it_is_told_and_only_on_failure(tmp_path, monkeypatch):
    given_folder, named_folder = tmp_path / "given", tmp_path / "named"
    instance = (TWO, np.array([0.25]))
    assert_upper(1.0, 1.0, instance=instance, instance_dir=given_folder)
    assert not given_folder.exists()
    with pytest.raises(
        AssertionError, match=f"To keep the instance, set {INSTANCE_DIR} or pass instance_dir"
    ):
        assert_upper(2.0, 1.0, instance=instance)
    monkeypatch.setenv(INSTANCE_DIR, str(named_folder))
    for folder, options in ((named_folder, {}), (given_folder, {"instance_dir": given_folder})):
        with pytest.raises(AssertionError, match="×2 at") as failure:
            assert_upper([1.0, 2.0], 1.0, instance=instance, name="L9", **options)
        assert path_in(failure).parent == folder
        assert [path.name for path in folder.iterdir()] == [path_in(failure).name]
        kept = replay(path_in(failure))
        assert (kept.claim, kept.ratio, kept.theta.tolist()) == ("L9", 2.0, [0.25])
        assert kept.facts == {
            "assertion": "assert_upper",
            "ratio": 2.0,
            "where": [1],
            "measured": 2.0,
            "bound": 1.0,
        }


def test_a_failure_without_an_instance_says_nothing_of_files(monkeypatch, tmp_path):
    monkeypatch.setenv(INSTANCE_DIR, str(tmp_path))
    with pytest.raises(AssertionError, match=r"entries\)\.$"):
        assert_upper(2.0, 1.0)
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_leaves_no_half_file(tmp_path):
    with pytest.raises(TypeError, match="function is a function, which cannot be stored"):
        store_instance(tmp_path / "bad.json", "any", {"function": lambda: None})
    with pytest.raises(TypeError, match="a tuple of 4"):
        store_instance(tmp_path / "bad.json", "any", (1, 2, 3, 4))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_instance_is_refused(tmp_path):
    (tmp_path / "text.json").write_text("no")
    (tmp_path / "list.json").write_text("[1]")
    with pytest.raises(ValueError, match="is not JSON"):
        replay(tmp_path / "text.json")
    with pytest.raises(ValueError, match="has the format None; 'curvature instance 1' is needed"):
        replay(tmp_path / "list.json")
    kept = replay(store_instance(tmp_path / "path.json", "T4", {"reward_std": [0.5]}))
    with pytest.raises(AttributeError, match="holds no 'bandit', it holds reward_std"):
        _ = kept.bandit


@settings(database=None, derandomize=True, max_examples=200)
@given(bandits_with_theta())
def three_responses_are_enough(instance):
    assert_upper(instance[0].num_responses, 3, name="K", instance=instance)


def test_the_file_left_behind_is_the_shrunk_instance(tmp_path, monkeypatch):
    monkeypatch.setenv(INSTANCE_DIR, str(tmp_path))
    with pytest.raises(AssertionError, match=r"K is exceeded by ×1.333") as failure:
        three_responses_are_enough()
    assert list(tmp_path.iterdir()) == [path_in(failure)]
    kept = replay(path_in(failure))
    # The simplest instance that fails, not one that was met on the way to it.
    assert kept.bandit.features.shape == (1, 4, 1)
    assert not kept.bandit.features.any()
    assert not kept.theta.any()


SCRIPT = """
import sys
from curvature import LogLinearBandit
from curvature.testing import assert_upper
def first(): assert_upper(2.0, 1.0, instance=LogLinearBandit.two_arm([0.5]), instance_dir=sys.argv[1])
def second(): assert_upper(3.0, 1.0, instance=LogLinearBandit.two_arm([0.5]), instance_dir=sys.argv[1])
for test in (first, second, first):
    try: test()
    except AssertionError: pass
"""


def test_outside_pytest_every_function_that_asserts_has_a_file_of_its_own(tmp_path, monkeypatch):
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path)], check=True)
    names = sorted(path.name.rpartition("-")[0] for path in tmp_path.iterdir())
    assert names == ["first", "second"]
