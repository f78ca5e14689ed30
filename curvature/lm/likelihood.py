"""Log-probabilities of sampled answers, differentiable, without the logits of a long batch ever being whole in memory.

Only the hidden states that predict an answer's token meet the head, a chunk of them at a time; the backward pass
computes each chunk's logits again. Memory is that of one chunk of logits, not of (answers × tokens × vocabulary).
Answers to one prompt lie side by side in one sequence if the model can take them so: the prompt is computed once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.checkpoint import checkpoint

from curvature.lm._packing import Packing, lay_out, padded_size, places_by_question, sequences_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

    from curvature.lm._architecture import Network
    from curvature.lm.policy import Policy
    from curvature.lm.sampling import Samples

__all__ = ["batches_by_length", "sequence_log_probabilities", "token_log_probabilities"]

# Logits that are in memory at once: 2^25 float32 are 128 MiB.
_CHUNK = 1 << 25


def sequence_log_probabilities(
    policy: Policy,
    samples: Samples,
    rows: ArrayLike | None = None,
    *,
    temperature: float = 1.0,
    chunk: int | None = None,
) -> torch.Tensor:
    """Compute log π(y|x) = Σ_t log π(y_t | x, y_<t) at a temperature, differentiably.

    Ours.

    Parameters
    ----------
    policy : Policy
        Of which the gradient is wanted.
    samples : Samples
        Answers, from this policy or another.
    rows : array_like of int, (B,), optional
        Which of them; all if left out.
    temperature : float, default 1.0
        Logits are divided by it.
    chunk : int, optional
        Tokens whose logits are in memory at once; by the size of the vocabulary if left out.

    Returns
    -------
    Tensor of float32 (float64 for a model in float64), (B,)
        Sums over each answer's own tokens, its end token among them.

    Raises
    ------
    ValueError
        If a row is outside the samples.

    Examples
    --------
    >>> from curvature.lm.sampling import sample_groups
    >>> from curvature.lm.tasks import arithmetic
    >>> from curvature.lm.tiny import tiny_policy
    >>> policy = tiny_policy(width=16, layers=1)
    >>> samples = sample_groups(policy, arithmetic(2).questions, group_size=2, max_new_tokens=4)
    >>> again = sequence_log_probabilities(policy, samples).detach().numpy()
    >>> bool(np.allclose(again, samples.log_probability, atol=1e-4))
    True
    """
    tokens, owner, size = _tokens(policy, samples, rows, temperature, chunk)
    return tokens.new_zeros(size).index_add(0, owner, tokens)


def token_log_probabilities(
    policy: Policy,
    samples: Samples,
    rows: ArrayLike | None = None,
    *,
    temperature: float = 1.0,
    chunk: int | None = None,
) -> list[torch.Tensor]:
    """Compute log π(y_t | x, y_<t) of every token of each answer, differentiably.

    Ours.

    Parameters
    ----------
    policy, samples, rows, temperature, chunk
        As in :func:`sequence_log_probabilities`.

    Returns
    -------
    list of Tensor
        One a row, of the length of its answer.

    Raises
    ------
    ValueError
        If a row is outside the samples.

    Examples
    --------
    >>> from curvature.lm.sampling import sample_groups
    >>> from curvature.lm.tasks import arithmetic
    >>> from curvature.lm.tiny import tiny_policy
    >>> policy = tiny_policy(width=16, layers=1)
    >>> samples = sample_groups(policy, arithmetic(2).questions, group_size=2, max_new_tokens=4)
    >>> [len(tokens) for tokens in token_log_probabilities(policy, samples)] == samples.length.tolist()
    True
    """
    tokens, owner, size = _tokens(policy, samples, rows, temperature, chunk)
    return list(tokens.split(torch.bincount(owner, minlength=size).tolist()))


def batches_by_length(
    samples: Samples, max_tokens: int, rows: ArrayLike | None = None, *, packing: Packing | None = None
) -> Iterator[NDArray[np.int64]]:
    """Yield rows, long ones first, in batches of at most so many tokens with padding, or of one row.

    Ours.

    Parameters
    ----------
    samples : Samples
        Whose prompts and answers are counted.
    max_tokens : int
        Of a batch.
    rows : array_like of int, (B,), optional
        Which; all if left out.
    packing : Packing, optional
        `Policy.packing`, by which answers to one prompt share sequences: they stay together then, unless they are more
        than a batch.

    Yields
    ------
    ndarray of int
        Each row once.

    Examples
    --------
    >>> from curvature.lm.sampling import sample_groups
    >>> from curvature.lm.tasks import arithmetic
    >>> from curvature.lm.tiny import tiny_policy
    >>> policy = tiny_policy(width=16, layers=1)
    >>> samples = sample_groups(policy, arithmetic(2).questions, group_size=2, max_new_tokens=4)
    >>> [len(batch) for batch in batches_by_length(samples, 1)]
    [1, 1, 1, 1]
    """
    chosen = _read_rows(samples, rows)
    alone, units = [], []
    for unit in places_by_question(samples, chosen) if packing else np.arange(len(chosen))[:, None]:
        parts = _fitting(samples, chosen[unit], max_tokens, packing)
        # Parts of one question would find together again in a batch, and be more than was counted.
        (units if len(parts) == 1 else alone).extend(parts)
    batch: list[NDArray[np.int64]] = []
    count, most = 0, 0
    for rows_of, number, longest in sorted(units, key=lambda unit: -unit[2]):
        if batch and (count + number) * most > max_tokens:
            yield np.concatenate(batch)
            batch, count = [], 0
        most = most if batch else longest
        batch.append(rows_of)
        count += number
    if batch:
        yield np.concatenate(batch)
    yield from (rows_of for rows_of, _, _ in alone)


def _fitting(
    samples: Samples, rows: NDArray[np.int64], max_tokens: int, packing: Packing | None
) -> list[tuple[NDArray[np.int64], int, int]]:
    """Halve rows until each part is within a batch, or one row; with the number and length of its sequences."""
    count, longest = padded_size(samples, rows, sequences_of(samples, rows, packing))
    if count * longest <= max_tokens or len(rows) == 1:
        return [(rows, count, longest)]
    return [part for half in np.array_split(rows, 2) for part in _fitting(samples, half, max_tokens, packing)]


def _read_rows(samples: Samples, rows: ArrayLike | None) -> NDArray[np.int64]:
    chosen = np.arange(len(samples)) if rows is None else np.asarray(rows, dtype=np.int64).ravel()
    outside = chosen[(chosen < 0) | (chosen >= len(samples))]
    if outside.size:
        raise ValueError(f"row {outside[0]} is outside the {len(samples)} samples.")
    return chosen


def _tokens(
    policy: Policy, samples: Samples, rows: ArrayLike | None, temperature: float, chunk: int | None
) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Return log π of all answers' tokens one after the other, and which row each is of."""
    chosen = _read_rows(samples, rows)
    place = torch.device(policy.device)
    layout = lay_out(samples, chosen, policy.packing)
    owner, target = (torch.from_numpy(array).to(place) for array in (layout.owner, layout.target))
    if not len(owner):
        return torch.zeros(0, device=place), owner, len(chosen)
    ids, arguments = layout.inputs(place, policy.dtype)
    network = policy.network
    at = tuple(torch.from_numpy(array).to(place) for array in (layout.sequence, layout.before))
    # Padding on the right needs no mask: a causal model's real tokens never look there.
    states = network.states(ids, **arguments)[at]
    most = chunk or max(_CHUNK // network.model.get_input_embeddings().weight.shape[0], 1)
    if len(states) <= most:
        return _chosen(states, target, network, temperature), owner, len(chosen)
    parts = zip(states.split(most), target.split(most), strict=True)
    found = [
        checkpoint(_chosen, state, aim, network, temperature, use_reentrant=False)
        if torch.is_grad_enabled()
        else _chosen(state, aim, network, temperature)
        for state, aim in parts
    ]
    return torch.cat(found), owner, len(chosen)


def _chosen(states: torch.Tensor, target: torch.Tensor, network: Network, temperature: float) -> torch.Tensor:
    """Log-probabilities of the target tokens from what predicts them."""
    logits = network.scores(states)
    if logits.dtype != torch.float64:
        logits = logits.float()
    return torch.log_softmax(logits / temperature, dim=-1).gather(1, target[:, None])[:, 0]
