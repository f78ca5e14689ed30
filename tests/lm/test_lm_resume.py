"""A run killed at any moment goes on to the numbers it would have had, to the last bit."""

import random
import signal
import time

import pytest

pytest.importorskip("transformers")
pytest.importorskip("pyarrow")

import torch

from curvature.lm.train import train
from tests.lm.training_kit import processes, results, train_in_child, with_policy

# Where the process dies, and the how manieth time it comes there.
PLACES = [
    ("sampling", 1),
    ("sampling", 4),
    ("gradient", 4),
    ("after the update", 4),
    ("rollouts", 4),
    ("metrics", 1),
    ("metrics", 4),
    ("checkpoint", 1),
    ("checkpoint", 6),
    ("checkpoint", 7),
    ("checkpoint renamed", 2),
    ("old checkpoint", 1),
]


@pytest.fixture(scope="module")
def config(taught):
    """Six steps, a checkpoint every two, one kept; Adam has moments to lose."""
    return with_policy(taught, eval_every=3, eval_questions=5, eval_group_size=2)


@pytest.fixture(scope="module")
def expected(config, tmp_path_factory):
    """The run that nobody killed."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    place = tmp_path_factory.mktemp("whole")
    train(config, place, progress=False)
    torch.set_num_threads(before)
    found = results(place)
    assert len(found[0]) == 6
    assert len({row["grad_norm"] for row in found[0]}) == 6
    return found


def _run(target, *arguments):
    process = processes().Process(target=target, args=arguments)
    process.start()
    process.join(60)
    return process.exitcode


@pytest.mark.parametrize(("place", "count"), PLACES)
def test_a_run_killed_there_goes_on_to_the_same_numbers(config, expected, tmp_path, place, count):
    assert _run(train_in_child, config, tmp_path, place, count) == -signal.SIGKILL
    assert not (tmp_path / "result.json").exists()
    assert _run(train_in_child, config, tmp_path) == 0
    assert results(tmp_path) == expected
    assert not list(tmp_path.rglob(".*"))


def test_a_run_killed_twice_in_a_row_goes_on_to_the_same_numbers(config, expected, tmp_path):
    for place, count in (("checkpoint", 7), ("metrics", 2), ("checkpoint", 2), ("gradient", 1)):
        assert _run(train_in_child, config, tmp_path, place, count) == -signal.SIGKILL
    assert _run(train_in_child, config, tmp_path) == 0
    assert results(tmp_path) == expected


def test_a_run_killed_at_random_moments_goes_on_to_the_same_numbers(config, expected, tmp_path):
    rng, kills = random.Random(0), 0
    for attempt in range(30):
        process = processes().Process(target=train_in_child, args=(config, tmp_path))
        process.start()
        # The first moments come before any run can end, later ones deeper and deeper into it.
        time.sleep(rng.uniform(0.01, 0.02 + 0.01 * attempt))
        process.kill()
        process.join()
        kills += process.exitcode == -signal.SIGKILL
        if (tmp_path / "result.json").exists():
            break
    assert _run(train_in_child, config, tmp_path) == 0
    assert results(tmp_path) == expected
    assert kills


def test_metrics_that_are_gone_are_missed_rather_than_made_up(config, tmp_path):
    assert _run(train_in_child, config, tmp_path, "gradient", 4) == -signal.SIGKILL
    (tmp_path / "metrics.jsonl").unlink()
    with pytest.raises(ValueError, match="lacks the row of step 0, but a checkpoint of step 2"):
        train(config, tmp_path, progress=False)
