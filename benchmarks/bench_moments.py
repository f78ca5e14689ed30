"""Exact moments, Hessians and their extreme eigenvalues against autodiff, a prompt loop and dense eigensolvers."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from benchmarks.timing import print_table, race
from curvature import LogLinearBandit, hessian, hessian_extremes, moments


def _prompt_loop(bandit: LogLinearBandit, theta: np.ndarray) -> list[np.ndarray]:
    """Compute J, σ, g and H prompt by prompt, as one writes it down first."""
    hessians = []
    for phi, r in zip(bandit.features, bandit.rewards, strict=True):
        logits = phi @ theta
        p = np.exp(logits - logits.max())
        p /= p.sum()
        advantage = r - p @ r
        np.sqrt(p @ advantage**2)
        centered = phi - p @ phi
        (p * advantage) @ phi
        hessians.append(centered.T @ ((p * advantage)[:, None] * centered))
    return hessians


def _moments_and_hessians() -> list[dict[str, Any]]:
    import torch
    from torch.func import hessian as torch_hessian
    from torch.func import jacrev, vmap

    bandit = LogLinearBandit.gaussian(512, 32, 64, seed=0)
    # A θ of its own for every call of ours, which keeps the state of the last one.
    thetas = itertools.cycle(np.random.default_rng(1).standard_normal((64, 64)))
    theta = next(thetas)
    phi, r, at = (
        torch.tensor(np.array(bandit.features)),
        torch.tensor(np.array(bandit.rewards)),
        torch.tensor(theta),
    )

    def objective(t: torch.Tensor, phi_x: torch.Tensor, r_x: torch.Tensor) -> torch.Tensor:
        return (torch.softmax(phi_x @ t, dim=-1) * r_x).sum()

    axes = (None, 0, 0)
    twice_reverse = vmap(jacrev(jacrev(objective)), in_dims=axes)
    forward_reverse = vmap(torch_hessian(objective), in_dims=axes)
    slope = vmap(jacrev(objective), in_dims=axes)
    np.testing.assert_allclose(twice_reverse(at, phi, r).numpy(), hessian(bandit, theta), atol=1e-12)

    def all_by_torch() -> torch.Tensor:
        """Compute what ours does: J, σ and g beside the Hessians."""
        p = torch.softmax(phi @ at, dim=-1)
        mean = (p * r).sum(-1, keepdim=True)
        torch.sqrt((p * (r - mean) ** 2).sum(-1))
        slope(at, phi, r)
        return twice_reverse(at, phi, r)

    def ours() -> None:
        new = next(thetas)
        moments(bandit, new)
        hessian(bandit, new)

    return race(
        "J, σ, g and every Hessian, n, K, d = 512, 32, 64",
        {
            "curvature": ours,
            "numpy loop over prompts": lambda: _prompt_loop(bandit, theta),
            "torch, Hessian by vmap(jacrev(jacrev))": all_by_torch,
            "torch vmap(jacrev(jacrev)), Hessian alone": lambda: twice_reverse(at, phi, r),
            "torch vmap(torch.func.hessian), Hessian alone": lambda: forward_reverse(at, phi, r),
        },
    )


def _extremes() -> list[dict[str, Any]]:
    from scipy.sparse.linalg import LinearOperator, eigsh

    bandit = LogLinearBandit.gaussian(256, 64, 1024, seed=0)
    thetas = itertools.cycle(np.random.default_rng(1).standard_normal((64, 1024)))
    theta = next(thetas)
    bandit.span_coordinates  # noqa: B018  # the one factorisation a bandit, timed apart below

    def dense() -> np.ndarray:
        # One prompt's 1024 x 1024 Hessian at a time: all at once would take 2 GiB.
        return np.array([
            np.linalg.eigvalsh(hessian(bandit.select([x]), theta)[0])[[0, -1]] for x in range(256)
        ])

    def lanczos() -> list[np.ndarray]:
        ends = []
        at = moments(bandit, theta)
        for x, phi in enumerate(bandit.centered_features):
            p = at.probabilities[x]
            w = p * (bandit.rewards[x] - at.expected_reward[x])

            def product(v: np.ndarray, phi: Any = phi, p: Any = p, w: Any = w) -> np.ndarray:
                u = phi @ v
                spread = w * (u - p @ u)
                return phi.T @ (spread - p * spread.sum())

            operator = LinearOperator((1024, 1024), matvec=product, dtype=np.float64)  # type: ignore[call-arg]
            ends.append(eigsh(operator, k=2, which="BE", tol=1e-8, return_eigenvectors=False))
        return ends

    def ours() -> np.ndarray:
        return hessian_extremes(bandit, next(thetas))

    first = np.linalg.eigvalsh(hessian(bandit.select([0]), theta)[0])[[0, -1]]
    np.testing.assert_allclose(hessian_extremes(bandit, theta)[0], first, atol=1e-12)

    def factorise() -> np.ndarray:
        return LogLinearBandit(bandit.features, bandit.rewards).span_coordinates

    return race(
        "both extreme eigenvalues of every Hessian, n, K, d = 256, 64, 1024",
        {
            "curvature": ours,
            "one-off factorisation of the bandit": factorise,
            "scipy eigsh, a prompt at a time": lanczos,
            "dense eigvalsh, a prompt at a time": dense,
        },
    )


def run() -> list[dict[str, Any]]:
    """Time both works.

    Returns
    -------
    list of dict
        Rows as :func:`benchmarks.timing.race` makes them.
    """
    return _moments_and_hessians() + _extremes()


if __name__ == "__main__":
    print_table(run())
