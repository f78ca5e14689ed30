"""Difficulty splits: each question in one part, by the stated rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curvature.lm.splits import Split, difficulty_split


@given(st.lists(st.integers(0, 8), max_size=30), st.floats(0.01, 1), st.booleans())
def test_every_question_is_in_one_part_by_the_rule(counts, threshold, keep_never):
    keys = [f"q{i}" for i in range(len(counts))]
    split = difficulty_split(keys, counts, 8, threshold=threshold, keep_never=keep_never)
    assert sorted(split.easy + split.hard + split.never) == sorted(keys)
    for key, k in zip(keys, counts, strict=True):
        assert (key in split.easy) == (k >= threshold * 8)
        assert (key in split.never) == (k == 0 and not keep_never)


def test_json_gives_it_back_without_one_part():
    split = difficulty_split(["a"], [8], 8)
    assert split.hard_success != split.hard_success
    again = Split.from_json(split.to_json())
    assert (again.easy, again.hard, again.easy_success) == (("a",), (), 1.0)


@pytest.mark.parametrize(
    ("counts", "settings", "message"),
    [
        ([9], {}, r"counts hold \[9\]"),
        ([1, 2], {}, "there are 1 keys"),
        ([1], {"threshold": 0.0}, "threshold is 0.0"),
    ],
)
def test_bad_input_is_named(counts, settings, message):
    with pytest.raises(ValueError, match=message):
        difficulty_split(["a"], counts, 8, **settings)
