"""Two processes, as `accelerate launch` starts them, make the run of one up to rounding."""

import socket

import numpy as np
import pytest

pytest.importorskip("transformers")
pytest.importorskip("accelerate")
pytest.importorskip("pyarrow")

import pyarrow.parquet as pq
import torch

from curvature.lm.train import policy_at, train
from tests.lm.training_kit import numbers, processes, train_as_rank, with_policy

# Sums in 32 bits, in another order, over a few steps of SGD.
TOLERANCE = 2e-4


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _train_together(config, folder, size):
    port, context = _free_port(), processes()
    ranks = [
        context.Process(target=train_as_rank, args=(config, folder, rank, size, port)) for rank in range(size)
    ]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join(120)
    assert [rank.exitcode for rank in ranks] == [0] * size


@pytest.fixture
def config(taught):
    """Seven prompts, which two processes cannot share evenly."""
    return with_policy(
        taught,
        steps=4,
        prompts_per_step=7,
        optimizer="sgd",
        learning_rate=0.3,
        loss="token",
        eval_every=2,
        eval_questions=5,
    )


def test_two_processes_make_the_run_of_one_up_to_rounding(config, tmp_path):
    train(config, tmp_path / "one", progress=False)
    _train_together(config, tmp_path / "two", 2)
    alone, together = numbers(tmp_path / "one"), numbers(tmp_path / "two")
    assert len(alone) == len(together) == 4
    assert any(row["grad_norm"] > 1e-2 for row in alone)
    for one, two in zip(alone, together, strict=True):
        assert one.keys() == two.keys()
        for name in one.keys() - {"log_prob_gap"}:
            assert two[name] == pytest.approx(one[name], rel=TOLERANCE, abs=1e-9), name
    for path in sorted((tmp_path / "one" / "rollouts").iterdir()):
        one, two = pq.read_table(path), pq.read_table(tmp_path / "two" / "rollouts" / path.name)
        assert one.drop("logprob") == two.drop("logprob")  # the same answers, rewards and advantages
        np.testing.assert_allclose(two["logprob"], one["logprob"], rtol=TOLERANCE)
    one, two = policy_at(tmp_path / "one").state(), policy_at(tmp_path / "two").state()
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=TOLERANCE, atol=1e-5)


def test_more_processes_than_prompts_leave_some_without_a_share(config, tmp_path):
    from dataclasses import replace

    few = replace(config, prompts_per_step=1, eval_every=0, steps=2)
    train(few, tmp_path / "one", progress=False)
    _train_together(few, tmp_path / "two", 2)
    for one, two in zip(numbers(tmp_path / "one"), numbers(tmp_path / "two"), strict=True):
        for name in one.keys() - {"log_prob_gap"}:
            assert two[name] == pytest.approx(one[name], rel=TOLERANCE, abs=1e-9), name
