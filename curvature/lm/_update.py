"""The gradient of a batch: Σ_i w_i·A_i·∇ log π(answer i), the answers of silent groups left out as they add nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from curvature.lm._optimizer import Optimizer
    from curvature.lm._processes import Processes
    from curvature.lm._rollouts import Rollouts
    from curvature.lm.config import TrainConfig
    from curvature.lm.policy import Policy

__all__ = ["Gradient", "answer_weights", "compute_gradient"]


@dataclass(frozen=True)
class Gradient:
    """What is known of a batch's gradient, which itself is in the parameters.

    Attributes
    ----------
    norm : float
        Before any clipping.
    log_prob_gap : float
        Mean |log π now − log π at sampling| over the answers with an advantage; 0 if there are none.
    """

    norm: float
    log_prob_gap: float


def answer_weights(loss: str, length: NDArray[Any], max_new_tokens: int) -> NDArray[np.float64]:
    """Return what multiplies A_i·Σ log π of each answer.

    Parameters
    ----------
    loss : str
        As :class:`curvature.lm.config.TrainConfig` names it.
    length : array (N,)
        Tokens of the answers of the whole batch.
    max_new_tokens : int
        Where answers are cut off.

    Returns
    -------
    ndarray of float64, shape (N,)
        Above 0.
    """
    size = len(length)
    if loss == "length":
        return 1 / (size * np.maximum(length, 1))
    if loss == "token":
        return np.full(size, 1 / max(int(np.sum(length)), 1))
    return np.full(size, 1 / (size * (max_new_tokens if loss == "dr_grpo" else 1)))


def compute_gradient(
    policy: Policy,
    optimizer: Optimizer,
    rollouts: Rollouts,
    advantages: NDArray[np.float64],
    processes: Processes,
    config: TrainConfig,
) -> Gradient:
    """Put the gradient of the loss −Σ_i w_i·A_i·log π(answer i) of the whole batch into the parameters.

    Parameters
    ----------
    policy : Policy
        Whose.
    optimizer : Optimizer
        Holds the parameters.
    rollouts : Rollouts
        The batch.
    advantages : ndarray, shape (N,)
        Of the whole batch.
    processes : Processes
        Each takes its own answers; the sums are everywhere.
    config : TrainConfig
        Weights, sizes, clipping.

    Returns
    -------
    Gradient
        Its norm.
    """
    from curvature.lm.likelihood import batches_by_length, sequence_log_probabilities

    optimizer.zero_gradients()
    weights = -advantages * answer_weights(config.loss, rollouts.length, config.max_new_tokens)
    own, sampled = weights[rollouts.own], rollouts.log_probability[rollouts.own]
    gap = 0.0
    if config.lora_dropout:
        policy.model.train()
    try:
        live = np.flatnonzero(own)
        most, packing = config.micro_batch_tokens, policy.packing
        batches = batches_by_length(rollouts.samples, most, live, packing=packing) if live.size else ()
        for rows in batches:
            log_probs = sequence_log_probabilities(
                policy, rollouts.samples, rows, temperature=config.temperature
            )
            factors = torch.as_tensor(own[rows], dtype=log_probs.dtype, device=log_probs.device)
            (factors * log_probs).sum().backward()
            gap += float(np.abs(log_probs.detach().double().cpu().numpy() - sampled[rows]).sum())
    finally:
        if config.lora_dropout:
            policy.model.eval()
    gradients = optimizer.gradients()
    processes.add_up(gradients)
    gap = sum(processes.gather(gap)) / max(np.count_nonzero(weights), 1)
    norm = float(torch.nn.utils.get_total_norm(gradients))
    if config.max_grad_norm is not None and norm > config.max_grad_norm:
        for gradient in gradients:
            gradient.mul_(config.max_grad_norm / norm)
    return Gradient(norm, gap)
