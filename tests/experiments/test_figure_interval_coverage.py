"""The coverage study counts what it says, knows the truth, and fails where coverage is outside 93–97 %."""

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.stats import beta

from curvature.flow import predicted_speedup
from curvature.groups import estimate, gain_ratio
from experiments import interval_coverage as study


@pytest.fixture(scope="module")
def runs():
    return study.run(replications=1, groups=60, num_resamples=40, seed=1)


def test_columns_and_counts_are_as_documented(runs):
    assert list(runs) == [
        "difficulty",
        "profile",
        "group_size",
        "groups",
        "functional",
        "replications",
        "covered",
        "missing",
        "truth",
        "value",
        "width",
    ]
    assert len(runs) == 9 * len(study.SIZES) * len(study.FUNCTIONALS)
    assert (runs["replications"] == 1).all()
    assert runs["covered"].between(0, 1).all()


def test_study_goes_on_from_its_store_and_does_not_depend_on_batches(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(study, "BATCH", 3)
    again = study.run(
        replications=1, groups=60, num_resamples=40, seed=1, engine={"store": tmp_path, "version": "1"}
    )
    assert len(list(tmp_path.iterdir())) == 27
    pd.testing.assert_frame_equal(again, runs)


def test_truths_are_integrals_over_the_profile():
    actual = study.truth("hard", "beta", 8)
    density = beta(2.0, 30.0).pdf
    assert actual["success"] == pytest.approx(2 / 32, rel=1e-3)
    assert actual["std"] == pytest.approx(
        quad(lambda p: np.sqrt(p * (1 - p)) * density(p), 0, 1)[0], rel=1e-4
    )
    silent = quad(lambda p: (p**8 + (1 - p) ** 8) * density(p), 0, 1)[0]
    assert actual["silent"] == pytest.approx(silent, rel=1e-3)


@pytest.mark.parametrize(("difficulty", "profile"), [("hard", "log-uniform"), ("mixed", "spread")])
def test_gain_ratio_and_speedup_are_those_of_the_package(difficulty, profile):
    success, weights = study._points(difficulty, profile)
    keep = np.concatenate([np.arange(0, success.size, 7), np.flatnonzero(np.isin(success, (0.0, 1.0)))])
    keep = np.unique(keep)
    success, weights = success[keep], weights[keep] / weights[keep].sum()
    found = study._OnSupport(success, 8).values(weights)
    assert found["kappa"] == pytest.approx(gain_ratio(success, 8, weights=weights), rel=1e-9)
    mean = weights @ success
    target = mean + study.WAY * (1 - mean)
    expected = predicted_speedup(success, target, prompt_weights=weights).speedup[0]
    assert found["speedup"] == pytest.approx(expected, rel=3e-3)  # 500 times, 4 % apart


def test_samples_follow_their_profile():
    for difficulty, profiles in study.PROFILES.items():
        for profile in profiles:
            drawn = study._draw(difficulty, profile, 20_000, np.random.default_rng(2))
            # Four standard errors of a mean of 20,000.
            mean = study.truth(difficulty, profile, 8)["success"]
            assert drawn.mean() == pytest.approx(mean, abs=4 * drawn.std() / np.sqrt(20_000))


def test_a_log_covers_iff_its_interval_holds_the_truth():
    rows = study.run_cell("mid", "beta", 8, groups=60, num_resamples=40, seed=3, first=5, logs=1)
    rng = np.random.default_rng([3, 1, 0, 8, 60, 5])
    counts = rng.binomial(8, study._draw("mid", "beta", 60, rng))
    found = estimate(counts, 8, study.functionals(8), num_resamples=40, seed=int(rng.integers(2**31)))
    for row in rows:
        interval = found[row["functional"]]
        assert row["covered"] == (interval.low <= row["truth"] <= interval.high)
        assert row["value"] == interval.value


def test_check_fails_where_a_cell_covers_too_little_or_clearly_too_much(tmp_path, capsys):
    base = pd.DataFrame({
        "difficulty": "hard",
        "profile": ["a", "b"],
        "group_size": 8,
        "groups": 512,
        "functional": "std",
        "replications": 500,
    })
    for covered, status in (
        ([475, 475], 0),
        ([500, 440], 0),
        ([440, 480], 1),
        ([486, 486], 0),
        ([496, 496], 1),
    ):
        path = tmp_path / "table.csv"
        base.assign(covered=covered).to_csv(path, index=False)
        assert study.main(["--check", str(path)]) == status
        assert ("std, hard, G = 8: coverage" in capsys.readouterr().err) == bool(status)
    assert study.check(base.assign(covered=400, functional="kappa")) == 0
    assert study.main(["--check", str(tmp_path / "none.csv")]) == 2
    assert study.main(["--check"]) == 2
