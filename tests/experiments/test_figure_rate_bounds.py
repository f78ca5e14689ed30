"""Every bound that is true lies above what is measured, and the sum form as printed does not."""

import numpy as np
import pytest

from curvature.testing import assert_upper
from experiments import rate_bounds


@pytest.fixture(scope="module")
def table():
    return rate_bounds.run(steps=400, prompts=3)


def line(table, panel, kind, series):
    rows = table[(table["panel"] == panel) & (table["kind"] == kind) & (table["series"] == series)]
    assert len(rows) > 5
    return rows["value"].to_numpy()


@pytest.mark.parametrize("panel", ["reinforce", "grpo"])
def test_every_measurement_is_below_the_bound_for_its_step(table, panel):
    for series in rate_bounds.MEASURED[panel]:
        assert_upper(line(table, panel, "measured", series), line(table, panel, "bound", series), rtol=1e-12)


def test_repaired_bound_holds_at_the_paper_s_step_and_is_below_the_printed_one(table):
    measured = line(table, "grpo", "measured", "Thm 3.2 as printed, η = 1/(2X²)")
    repaired = line(table, "grpo", "bound", "Thm 3.2 repaired, same η")
    assert_upper(measured, repaired, rtol=1e-12)
    assert_upper(repaired, line(table, "grpo", "bound", "Thm 3.2 as printed, η = 1/(2X²)"), rtol=1e-12)


def test_printed_sum_form_is_crossed_at_36():
    assert rate_bounds.first_crossing() == 36
    assert rate_bounds.first_crossing(limit=35) == 0


def test_measured_sum_crosses_the_printed_form_and_not_the_repaired_one(table):
    measured = line(table, "sum", "measured", "Σ‖∇J‖²")
    printed = line(table, "sum", "bound", "Thm 3.2, sum form as printed")
    horizons = np.unique(table["horizon"])
    assert np.array_equal(measured > printed, horizons >= 36)
    assert_upper(measured, line(table, "sum", "bound", "repaired: times max C"))
    weighted = line(table, "sum", "measured", "Σ‖∇J‖²/σ")
    assert_upper(weighted, line(table, "sum", "bound", "what is proved of Σ‖∇J‖²/σ"))


def test_both_min_forms_hold_and_the_harmonic_one_is_smaller(table):
    measured = line(table, "min", "measured", "min ‖∇J‖²")
    harmonic = line(table, "min", "bound", "repaired: harmonic mean C")
    assert_upper(measured, harmonic)
    assert_upper(harmonic, line(table, "min", "bound", "Thm 3.2, min form: mean C"), rtol=1e-12)


def test_counterexample_has_the_known_numbers():
    last = rate_bounds.run(steps=100, prompts=1)
    last = last[(last["horizon"] == 100) & (last["panel"] == "sum")].set_index(["kind", "series"])["value"]
    assert last["measured", "Σ‖∇J‖²"] == pytest.approx(0.44037, abs=1e-5)
    assert last["bound", "Thm 3.2, sum form as printed"] == pytest.approx(0.20953, abs=1e-5)


def test_a_size_out_of_range_is_named():
    with pytest.raises(ValueError, match="steps is 1; a whole number of at least 2 is needed"):
        rate_bounds.run(steps=1)
