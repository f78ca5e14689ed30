"""What mutants of `interference` showed to be unwatched: whole numbers, scales, stacks and the edges of shares."""

import numpy as np
import pytest

from curvature import LogLinearBandit
from curvature.interference import (
    cosine_distribution,
    gradient_diversity,
    gram,
    interference_std,
    overlap_matrix,
    total_overlap,
    weight_disparity,
)


def test_numbers_given_as_text_are_read_as_numbers_as_numpy_reads_them():
    assert interference_std(["0.5", "0.25"], [["1.0", "0.5"], ["0.5", "1.0"]]).tolist() == [0.625, 0.5]
    assert weight_disparity(["1.0", "4.0"]) == 1.25
    assert total_overlap([["1", "0.25"], ["0.25", "1"]]) == 0.25
    assert gram([["1", "2"]]).tolist() == [[5.0]]


def test_overlap_never_exceeds_one_although_rounding_of_equal_spans_does():
    bandit = LogLinearBandit.overlapping(6, 9, 1.0, rank=4, seed=11)
    overlap = overlap_matrix(bandit)
    assert overlap.max() == 1.0


@pytest.mark.parametrize(("weights", "told"), [([0.0, 0.5, -2.0], r"is -2\.0;"), (3.0, r"is of shape \(\);")])
def test_the_message_names_the_bad_weight_itself(weights, told):
    with pytest.raises(ValueError, match=f"weights {told}"):
        weight_disparity(weights)


def test_gram_of_a_deep_stack_pairs_the_prompts():
    g = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    np.testing.assert_allclose(gram(g), np.einsum("abid,abjd->abij", g, g), rtol=1e-13)


def test_diversity_of_a_stack_is_that_of_each_of_it_at_scales_that_differ_by_more_than_the_floats_hold():
    small = np.array([[3.0, 0.0], [1.0, 4.0]])
    stack = np.stack([1e-200 * small, 1e150 * small, small])
    np.testing.assert_allclose(gradient_diversity(stack), np.full(3, 26 / 32), rtol=1e-14)


def test_cosines_at_the_edges_of_the_shares_are_not_counted():
    found = cosine_distribution([[1.0, 0.0], [0.0, 1.0]])
    assert (found.share_positive, found.share_negative, found.share_small) == (0.0, 0.0, 1.0)


def test_a_lone_prompt_has_no_cosines_and_the_silent_ones_are_still_counted():
    found = cosine_distribution([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    assert found.num_silent == 2
    assert found.cosines.size == 0
    assert np.isnan([
        found.mean,
        found.std,
        found.share_positive,
        found.share_negative,
        found.share_small,
    ]).all()


def test_cosines_of_parallel_gradients_stay_within_one():
    rng = np.random.default_rng(1)
    base = rng.normal(size=(40, 1, 7))
    signs = np.where(np.arange(40) % 2, -1.0, 1.0)[:, None, None]
    pairs = np.concatenate([base, signs * base * rng.uniform(0.1, 9.0, size=(40, 1, 1))], axis=1)
    found = [cosine_distribution(pair).cosines[0] for pair in pairs]
    assert set(found) <= {float(np.clip(c, -1, 1)) for c in found}
    assert np.abs(found).max() <= 1.0


@pytest.mark.parametrize("shape", [(2, 0), (0, 3), (3, 0, 2), (3, 2, 0)])
def test_empty_gradients_are_refused_whichever_axis_is_empty(shape):
    with pytest.raises(ValueError, match="is needed"):
        gram(np.empty(shape))


def test_a_stack_of_no_gradients_has_no_gram_matrices():
    assert gram(np.empty((0, 3, 2))).shape == (0, 3, 3)
