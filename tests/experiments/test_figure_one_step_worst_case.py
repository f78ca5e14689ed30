"""The figure's curves keep their order, its searches stay above the infima, and its marks are the best steps."""

import numpy as np
import pytest

from curvature.bounds import sharp
from curvature.testing import assert_upper
from experiments import one_step_worst_case as figure


@pytest.fixture(scope="module")
def table():
    return figure.run(points=4, starts=80)


def line(table, method, series):
    rows = table[(table["method"] == method) & (table["series"] == series)]
    assert len(rows) > 100
    return rows["gain"].to_numpy()


@pytest.mark.parametrize("method", ["grpo", "reinforce"])
def test_every_guarantee_is_below_what_instances_allow(table, method):
    allowed = np.minimum(line(table, method, figure.TWO_ARMS), line(table, method, figure.SHORT[method]))
    first, proved = line(table, method, figure.FIRST[method]), line(table, method, figure.PROVED[method])
    known = np.isfinite(proved)
    # Below 0 there is no guarantee to compare.
    for bound, kept in ((first, first > 0), (proved, known & (np.nan_to_num(proved) > 0))):
        assert_upper(bound[kept], allowed[kept], rtol=1e-12)
    assert_upper(first[known], proved[known], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("method", ["grpo", "reinforce"])
def test_search_reaches_the_infimum_and_never_goes_below(table, method):
    rows = table[(table["method"] == method) & (table["kind"] == "search")]
    lowest = sharp.one_step_gain(rows["step"].to_numpy(), method).lowest
    ratio = rows["gain"].to_numpy() / lowest
    assert ratio.min() > 1 - 1e-6
    assert ratio.max() < 1.02


@pytest.mark.parametrize("method", ["grpo", "reinforce"])
def test_marks_are_the_highest_points_of_their_curves(table, method):
    marks = table[(table["method"] == method) & (table["kind"] == "best")]["gain"].to_numpy()
    assert (np.diff(marks) > 0).all()
    allowed = np.minimum(line(table, method, figure.TWO_ARMS), line(table, method, figure.SHORT[method]))
    curves = (line(table, method, figure.FIRST[method]), line(table, method, figure.PROVED[method]), allowed)
    for mark, curve in zip(marks, curves, strict=True):
        assert np.nanmax(curve) == pytest.approx(mark, rel=5e-3)
        assert np.nanmax(curve) <= mark * (1 + 1e-12)


def test_headline_has_the_known_numbers(table):
    found = figure.headline(table)
    assert found["GRPO, proved for rewards 0 and 1"] == 2
    assert found["GRPO, cannot be exceeded"] == pytest.approx(3.055106, abs=1e-6)
    assert found["REINFORCE, cannot be exceeded"] == pytest.approx(6.680981, abs=1e-6)
    assert found["threshold, conjectured best constants"] == pytest.approx(0.457284, abs=1e-6)


def test_a_size_out_of_range_is_named():
    with pytest.raises(ValueError, match="points is 0; a whole number of at least 1 is needed"):
        figure.run(points=0)
