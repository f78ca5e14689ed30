"""A policy that is right now and then, made once for all tests of training."""

import pytest


@pytest.fixture(scope="session")
def taught(tmp_path_factory):
    """The folder of a tiny policy that was shown sums of one digit: groups are mixed, and learning shows."""
    pytest.importorskip("transformers")
    import torch

    from curvature.lm.tasks import arithmetic
    from curvature.lm.tiny import tiny_policy, warm_start

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    policy = tiny_policy(width=32, layers=1, seed=1)
    warm_start(policy, arithmetic(40, digits=(1, 1)), steps=100, learning_rate=5e-3, batch_size=32, seed=0)
    folder = tmp_path_factory.mktemp("policy") / "taught"
    policy.save(folder)
    torch.set_num_threads(threads)
    return folder
