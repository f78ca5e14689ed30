"""Imported by the server that the tests' processes are forked from: one step loads all that a run loads lazily."""

import tempfile
import threading

import accelerate.utils  # noqa: F401  loaded lazily by a run
import torch
from tqdm import tqdm

from curvature.lm.config import TrainConfig
from curvature.lm.policy import load_policy
from curvature.lm.train import train
from tests.lm import training_kit  # noqa: F401  what the processes run

# tqdm's own lock is a semaphore that all processes forked from here would share: one killed while it holds the
# semaphore would keep the others waiting for ever.
tqdm.set_lock(threading.RLock())
torch.set_num_threads(1)
with tempfile.TemporaryDirectory() as folder:
    policy = load_policy("tiny:width=16,layers=1")
    policy.save(f"{folder}/policy")
    step = TrainConfig(
        policy=f"{folder}/policy", steps=1, prompts_per_step=2, group_size=2, max_new_tokens=2, eval_every=1
    )
    train(step, f"{folder}/run", progress=False)
