"""Small runs for the tests of training, and processes that die in the middle of one."""

import json
import multiprocessing
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

from curvature.lm.config import TrainConfig

BASE = TrainConfig(
    task_options={"num_questions": 40, "digits": [1, 1]},
    steps=6,
    prompts_per_step=8,
    group_size=6,
    max_new_tokens=4,
    learning_rate=3e-3,
    checkpoint_every=2,
)
TIMES = {"seconds_sample", "seconds_grade", "seconds_update", "seconds_eval"}


def processes():
    """A server that has imported everything once, so that a process costs milliseconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.lm.training_preloaded"])
    return context


def numbers(folder):
    """Everything in a run's metrics but its times."""
    lines = (Path(folder) / "metrics.jsonl").read_text().splitlines()
    return [{name: x for name, x in json.loads(line).items() if name not in TIMES} for line in lines]


def contents(folder, *patterns):
    """The bytes of a run's files, by their names."""
    root = Path(folder)
    return {
        str(p.relative_to(root)): p.read_bytes() for pattern in patterns for p in sorted(root.glob(pattern))
    }


def results(folder):
    """All that two runs of the same settings must have in common to the last bit."""
    return numbers(folder), contents(folder, "rollouts/*", "checkpoints/*/*", "config.json")


def train_in_child(config, folder, place="", count=0):
    """Train as another process would; kill it with SIGKILL the count-th time that it comes to a place."""
    import torch

    torch.set_num_threads(1)
    if place:
        _ambush(place, count)
    from curvature.lm.train import train

    train(config, folder, progress=False)


def train_as_rank(config, folder, rank, size, port):
    """Train as one process of those that `accelerate launch` starts."""
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(size),
        "LOCAL_WORLD_SIZE": str(size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "ACCELERATE_USE_CPU": "true",
    }
    train_in_child(config, folder)
    import torch

    torch.distributed.destroy_process_group()


def _die():
    os.kill(os.getpid(), signal.SIGKILL)


def _ambush(place, count):
    from curvature import _files
    from curvature.lm import _checkpoint, _loop, _metrics, _rollout_files

    left = [count]

    def is_now():
        left[0] -= 1
        return left[0] == 0

    def before(module, name):
        whole = getattr(module, name)

        def dying(*args, **kwargs):
            if is_now():
                _die()
            return whole(*args, **kwargs)

        setattr(module, name, dying)

    def half_a_row(self, row):
        if is_now():
            line = _metrics._line(row)
            with self._path.open("ab", buffering=0) as file:
                file.write(line[: len(line) // 2].encode())
            _die()
        whole_append(self, row)

    def half_a_file(path, content):
        if is_now():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_name(f".{path.name}.{os.getpid()}.tmp").write_bytes(content[: len(content) // 2])
            _die()
        _files.write_atomically(path, content)

    def half_a_folder(path, **kwargs):
        if kwargs or not is_now():
            return whole_rmtree(path, **kwargs)
        next(Path(path).iterdir()).unlink()
        return _die()

    def after_renaming(source, target):
        whole_replace(source, target)
        if is_now():
            _die()

    whole_append, whole_rmtree, whole_replace = _metrics.MetricsFile.append, shutil.rmtree, os.replace
    if place == "sampling":
        before(_loop, "collect")
    elif place == "gradient":
        before(_loop, "compute_gradient")
    elif place == "after the update":
        before(_loop.Loop, "_record")
    elif place == "metrics":
        _metrics.MetricsFile.append = half_a_row
    elif place == "rollouts":
        _rollout_files.write_atomically = half_a_file
    elif place == "checkpoint":
        before(_checkpoint, "sync")
    elif place == "checkpoint renamed":
        _checkpoint.os = _Os(after_renaming)
    elif place == "old checkpoint":
        _checkpoint.shutil = _Shutil(half_a_folder)
    else:
        raise ValueError(place)


class _Os:
    """The module os with another replace, for one module alone."""

    def __init__(self, replace_):
        self.replace = replace_

    def __getattr__(self, name):
        return getattr(os, name)


class _Shutil:
    """The module shutil with another rmtree, for one module alone."""

    def __init__(self, rmtree):
        self.rmtree = rmtree


def with_policy(folder, **changes):
    """The small run, from a policy that is right now and then."""
    return replace(BASE, policy=str(folder), **changes)
