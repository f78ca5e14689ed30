"""Policy gradients of prompts from groups of completions: kept as short vectors, summed up as inner products."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from curvature.advantages import group_advantages
from curvature.lm._directional import score

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from curvature.lm._tail import Batch, Scorer

__all__ = ["GradientCollector", "GradientTable", "leave_one_out_weights", "unbiased_squared_norm"]


def leave_one_out_weights(rewards: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return w with E Σ w_k s_k = ∇J: advantages against the mean of the others, over G.

    Parameters
    ----------
    rewards : ndarray
        Of one group, (G,).

    Returns
    -------
    ndarray
        (r_k − r̄)/(G − 1), (G,).
    """
    advantages = np.asarray(group_advantages(rewards[None], preset="rloo"))
    return advantages[0] / len(rewards)


def unbiased_squared_norm(rewards: NDArray[np.float64], gram: NDArray[np.float64]) -> float:
    """Estimate ‖∇J‖² = ‖Cov(r, s)‖² without bias from G ≥ 4 completions.

    The mean over all ordered quadruples of different completions of (r₁ − r₂)(r₃ − r₄)⟨s₁ − s₂, s₃ − s₄⟩/4, that is,
    over every way of making two independent estimates of the gradient and multiplying them; in the closed form of
    Song et al. (2012) for HSIC, here with linear kernels. ‖ĝ‖² itself is too large by the noise, tr Cov ĝ.

    Parameters
    ----------
    rewards : ndarray
        (G,).
    gram : ndarray
        ⟨s_k, s_l⟩, (G, G).

    Returns
    -------
    float
        Negative where noise has it so.
    """
    G = len(rewards)
    centred = rewards - rewards.mean()
    K, L = np.outer(centred, centred), np.array(gram, dtype=float)
    np.fill_diagonal(K, 0)
    np.fill_diagonal(L, 0)
    pairs = K.sum() * L.sum() / ((G - 1) * (G - 2))
    return float(((K * L).sum() + pairs - 2 / (G - 2) * (K.sum(0) @ L.sum(0))) / (G * (G - 3)))


@dataclass(frozen=True)
class GradientTable:
    """What is kept of the gradients of n prompts.

    Attributes
    ----------
    inner : ndarray
        ⟨ĝ_i, ĝ_j⟩ of the estimates from whole groups, (n, n).
    inner_halves : ndarray
        The same from the first halves alone and from the second halves alone, (2, n, n).
    squared_norm : ndarray
        Unbiased estimates of ‖g_i‖², (n,).
    score_squared_norm : ndarray
        ‖∇log π‖² of each completion, (n, G).
    batch_fisher : ndarray
        For the batch of the k-th completions of all B prompts, the sum over parameters of B·ĝ⊙ĝ, (G,).
    """

    inner: NDArray[np.float64]
    inner_halves: NDArray[np.float64]
    squared_norm: NDArray[np.float64]
    score_squared_norm: NDArray[np.float64]
    batch_fisher: NDArray[np.float64]


class GradientCollector:
    """Takes the completions of one prompt after the other and keeps three vectors of each prompt.

    Parameters
    ----------
    scorer : Scorer
        What is differentiated.
    keep : callable
        Maps a score (P,) to what is kept of it (m,): itself, or a sketch.
    """

    def __init__(self, scorer: Scorer, keep: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self._scorer, self._keep = scorer, keep
        self._kept: list[torch.Tensor] = []
        self._squared: list[float] = []
        self._norms: list[NDArray[np.float64]] = []
        self._batches: Any = 0
        self.fold_sums: list[torch.Tensor | None] = [None, None]

    def add(self, rewards: NDArray[np.float64], completions: Sequence[Batch]) -> None:
        """Take the completions of a prompt, one a batch, and its rewards, (G,)."""
        weights = leave_one_out_weights(rewards)
        rows, norms, gradient = [], [], None
        for weight, batch in zip(weights, completions, strict=True):
            s = score(self._scorer, batch)
            norms.append(float(torch.linalg.vector_norm(s.double()) ** 2))
            rows.append(self._keep(s))
            gradient = s * float(weight) if gradient is None else gradient.add_(s, alpha=float(weight))
        S = torch.stack(rows)
        fold = len(self._kept) % 2
        held = self.fold_sums[fold]
        self.fold_sums[fold] = gradient if held is None else held.add_(gradient)  # type: ignore[arg-type]  # a Tensor
        gram = inner_products(S, S)
        np.fill_diagonal(gram, norms)
        self._squared.append(unbiased_squared_norm(rewards, gram))
        self._norms.append(np.array(norms))
        self._kept.append((torch.as_tensor(_combinations(rewards, weights)).to(S) @ S).cpu())
        self._batches = self._batches + S

    def table(self) -> GradientTable:
        """Return the inner products of what has been taken."""
        kept = torch.stack(self._kept, dim=1)  # (3, n, m)
        whole, first, second = (inner_products(part, part) for part in kept)
        count = len(self._kept)
        return GradientTable(
            inner=whole,
            inner_halves=np.stack([first, second]),
            squared_norm=np.array(self._squared),
            score_squared_norm=np.stack(self._norms),
            batch_fisher=np.diag(inner_products(self._batches, self._batches)) / count,
        )


def _combinations(rewards: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights of the estimates from the whole group, its first half and its second, (3, G)."""
    half = len(rewards) // 2
    first, second = np.zeros_like(weights), np.zeros_like(weights)
    first[:half], second[half:] = leave_one_out_weights(rewards[:half]), leave_one_out_weights(rewards[half:])
    return np.stack([weights, first, second])


def inner_products(left: torch.Tensor, right: torch.Tensor, *, chunk: int = 1 << 20) -> NDArray[np.float64]:
    """Return all inner products of rows, summed in double precision a chunk of coordinates at a time.

    Parameters
    ----------
    left, right : torch.Tensor
        (a, m) and (b, m).
    chunk : int
        Coordinates at a time.

    Returns
    -------
    ndarray
        (a, b).
    """
    total = torch.zeros(len(left), len(right), dtype=torch.float64, device=left.device)
    for start in range(0, left.shape[1], chunk):
        part = slice(start, start + chunk)
        total += left[:, part].double() @ right[:, part].double().T
    return total.cpu().numpy()
