"""256 runs of 1000 steps against the arithmetic they cannot do without, and against JAX, which is what one would pick.

n, K, d = 32, 16, 64 in float64, J and σ recorded at every step by every contender. The floor is two products with
the features, a panel of 128 runs at a time, and one exponential a logit: no softmax, moments or update.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.timing import print_table, race
from curvature import LogLinearBandit
from curvature.ascent import ascend, compile_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

N, K, D, RUNS, STEPS, GROUP = 32, 16, 64, 256, 1000, 8
ALPHA = 0.05
RECORD = ("expected_reward", "reward_std")
# vmap over bandits is so slow in JAX that a quarter of the steps must do.
OWN_RUNS, OWN_STEPS = 256, 250


@contextmanager
def _one_core() -> Iterator[None]:
    """Hold everybody to one core: JAX takes its threads from the machine and not from OMP_NUM_THREADS."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _jax() -> Any:
    import jax

    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_platforms", "cpu")
    return jax


def _floor() -> Callable[[], None]:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((N * K, D)) / 8
    columns = np.ascontiguousarray(rows.T)
    theta, logits, out = np.zeros((D, 128)), np.empty((N * K, 128)), np.empty((D, 128))

    def call() -> None:
        for _ in range(RUNS // 128 * STEPS):
            np.matmul(rows, theta, out=logits)
            np.exp(logits, out=logits)
            np.matmul(columns, logits, out=out)

    return call


def _own_floor() -> Callable[[], None]:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((N * K, D)) / 8
    theta, logits, out = np.zeros(D), np.empty(N * K), np.empty(D)

    def call() -> None:
        for _ in range(OWN_RUNS * OWN_STEPS):
            np.matmul(rows, theta, out=logits)
            np.exp(logits, out=logits)
            np.matmul(logits, rows, out=out)

    return call


def _jax_step(jax: Any, features: Any, rewards: Any, group: int | None) -> Callable[..., Any]:
    """Build one GRPO step of one run, as an experienced user of JAX writes it."""
    jnp = jax.numpy

    def step(theta: Any, key: Any) -> Any:
        p = jax.nn.softmax(features @ theta, axis=-1)
        mean = (p * rewards).sum(-1, keepdims=True)
        weighted = p * (rewards - mean)
        std = jnp.sqrt((weighted * (rewards - mean)).sum(-1, keepdims=True))
        if group is not None:
            uniform = jax.random.uniform(key, (N, group))
            chosen = (jnp.cumsum(p, axis=-1)[:, None, :] < uniform[..., None]).sum(-1)
            drawn = jnp.take_along_axis(rewards, chosen, axis=1)
            centred = drawn - drawn.mean(-1, keepdims=True)
            spread = jnp.sqrt((centred**2).mean(-1, keepdims=True))
            advantage = jnp.where(spread > 0, centred / jnp.where(spread > 0, spread, 1), 0) / group
            direction = (advantage[..., None] * jax.nn.one_hot(chosen, K)).sum(1)
        else:
            direction = weighted / std
        update = jnp.einsum("nk,nkd->d", direction, features)
        return theta + ALPHA * update, (mean.mean(), std.mean())

    return step


def _jax_shared(jax: Any, bandit: LogLinearBandit, group: int | None) -> Callable[[], Any]:
    features, rewards = jax.numpy.array(bandit.features), jax.numpy.array(bandit.rewards)
    step = jax.vmap(_jax_step(jax, features, rewards, group))

    def scan(keys: Any) -> Any:
        per_step = jax.vmap(lambda key: jax.random.split(key, STEPS), out_axes=1)(keys)
        return jax.lax.scan(step, jax.numpy.zeros((RUNS, D)), per_step)

    compiled = jax.jit(scan)
    keys = jax.random.split(jax.random.key(0), RUNS)
    return lambda: jax.block_until_ready(compiled(keys))


def _jax_own(jax: Any, bandits: list[LogLinearBandit]) -> Callable[[], Any]:
    features = jax.numpy.array(np.stack([bandit.features for bandit in bandits]))
    rewards = jax.numpy.array(np.stack([bandit.rewards for bandit in bandits]))

    def one(features: Any, rewards: Any) -> Any:
        step = _jax_step(jax, features, rewards, None)
        return jax.lax.scan(lambda theta, _: step(theta, None), jax.numpy.zeros(D), None, length=OWN_STEPS)

    compiled = jax.jit(jax.vmap(one))
    return lambda: jax.block_until_ready(compiled(features, rewards))


def run() -> list[dict[str, Any]]:
    """Time the three works.

    Returns
    -------
    list of dict
        Rows as :func:`benchmarks.timing.race` makes them.
    """
    with _one_core():
        return _rows(_jax())


def _rows(jax: Any) -> list[dict[str, Any]]:
    compile_engine()
    bandit = LogLinearBandit.gaussian(N, K, D, seed=0)
    bandits = [LogLinearBandit.gaussian(N, K, D, seed=seed) for seed in range(OWN_RUNS)]
    common: dict[str, Any] = {"step": ALPHA, "record": RECORD, "progress": False}

    def shared(group: int | None = None) -> Any:
        return ascend(bandit, "grpo", num_steps=STEPS, seeds=range(RUNS), group_size=group, **common)

    def own() -> Any:
        return ascend(bandits, "grpo", num_steps=OWN_STEPS, **common)

    jax_shared, jax_own = _jax_shared(jax, bandit, None), _jax_own(jax, bandits)
    (_, (mean, _)) = jax_shared()
    np.testing.assert_allclose(shared()["expected_reward"][0, :-1], mean[:, 0], rtol=1e-9)
    (_, (mean, _)) = jax_own()
    np.testing.assert_allclose(own()["expected_reward"][:, :-1], mean, rtol=1e-9)
    rows = race(
        f"{RUNS} exact runs of one bandit, T = {STEPS}",
        {"curvature": shared, "floor: two products and exp": _floor(), "jax jit(scan(vmap))": jax_shared},
    )
    rows += race(
        f"the same, {GROUP} sampled responses a prompt",
        {"curvature": lambda: shared(GROUP), "jax, inverse CDF": _jax_shared(jax, bandit, GROUP)},
    )
    return rows + race(
        f"{OWN_RUNS} exact runs, a bandit each, T = {OWN_STEPS}",
        {"curvature": own, "floor: two products and exp": _own_floor(), "jax jit(vmap(scan))": jax_own},
    )


if __name__ == "__main__":
    print_table(run())
