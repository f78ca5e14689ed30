"""Answers to one prompt side by side in one sequence, so that the prompt is computed once for all of them.

prompt, answer 1, answer 2, …: every token of an answer sees the prompt and its own answer's tokens before it, and its
position is what it would be without the other answers. The states are those of separate rows; of G answers of C tokens
to a prompt of P the model computes P + G·C tokens, not G·(P + C).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from curvature.lm._architecture import Network
    from curvature.lm.sampling import Samples

__all__ = ["PACKED_TOKENS", "Layout", "lay_out", "padded_tokens", "rows_of_sequences", "takes_packs"]

# Attention costs a token what the sequence is long, other answers included: beyond some thousand tokens that is more
# than the prompt's tokens that are saved.
PACKED_TOKENS = 2048
# A mask of its own is slower than the plain causal one; less than this saved is not worth it.
_WORTH = 0.8


@dataclass(frozen=True)
class Layout:
    """Sequences of a batch, and where in them the answers' tokens are predicted.

    Attributes
    ----------
    ids : ndarray of int64
        Tokens, 0 where a sequence has ended, (N, L).
    position, part : ndarray of int64
        Of each token: its position, and 0 in a prompt, k ≥ 1 in the k-th answer, −1 past the end, (N, L). None if every
        sequence has one answer, so that positions and mask are the usual ones.
    sequence, before, target, owner : ndarray of int64
        Of each token of each answer, in the order of the rows: the sequence and the place whose state predicts it, the
        token itself, and the number of its row among the rows, (T,).
    """

    ids: NDArray[np.int64]
    position: NDArray[np.int64] | None
    part: NDArray[np.int64] | None
    sequence: NDArray[np.int64]
    before: NDArray[np.int64]
    target: NDArray[np.int64]
    owner: NDArray[np.int64]

    def inputs(self, device: torch.device, dtype: torch.dtype) -> tuple[torch.Tensor, dict[str, Any]]:
        """Return tokens and further arguments of the model: none, or the positions and an additive mask."""
        ids = torch.from_numpy(self.ids).to(device)
        if self.part is None or self.position is None:
            return ids, {}
        part = torch.from_numpy(self.part).to(device)
        length = part.shape[1]
        seen = (part[:, None, :] == 0) | (part[:, None, :] == part[:, :, None])
        seen &= torch.ones(length, length, dtype=torch.bool, device=device).tril()
        mask = torch.zeros(seen.shape, dtype=dtype, device=device)
        mask.masked_fill_(~seen, torch.finfo(dtype).min)
        return ids, {
            "position_ids": torch.from_numpy(self.position).to(device),
            "attention_mask": mask[:, None],
        }


def rows_of_sequences(samples: Samples, rows: NDArray[np.int64], limit: int) -> list[NDArray[np.int64]]:
    """Put rows of one question together, in their order, as long as a sequence stays within a limit.

    Parameters
    ----------
    samples : Samples
        Of prompts and answers.
    rows : ndarray of int64
        Which.
    limit : int
        Tokens of a sequence of more than one answer; 0 for one answer a sequence.

    Returns
    -------
    list of ndarray
        Places in `rows`, sequence by sequence.
    """
    if not limit:
        return [np.array([place]) for place in range(len(rows))]
    sequences: list[list[int]] = []
    for place in np.argsort(samples.question[rows], kind="stable").tolist():
        if sequences:
            last = [*sequences[-1], place]
            together = rows[last]
            if samples.question[together[0]] == samples.question[together[-1]] and (
                _length(samples, together) <= limit
            ):
                sequences[-1] = last
                continue
        sequences.append([place])
    return [np.array(each) for each in sequences]


def _length(samples: Samples, rows: NDArray[np.int64]) -> int:
    """Tokens that the model gets: an answer's last one predicts nothing."""
    prompt = len(samples.prompt_ids[samples.question[rows[0]]])
    return prompt + int(np.maximum(samples.length[rows] - 1, 0).sum())


def _sequences(
    samples: Samples, rows: NDArray[np.int64], packed: bool
) -> tuple[list[NDArray[np.int64]], int]:
    """Return the better arrangement, packed or plain, and its number of tokens with padding."""
    found = []
    for limit in (0, PACKED_TOKENS) if packed else (0,):
        sequences = rows_of_sequences(samples, rows, limit)
        longest = max((_length(samples, rows[places]) for places in sequences), default=0)
        found.append((sequences, len(sequences) * longest))
    return found[-1] if found[-1][1] < _WORTH * found[0][1] else found[0]


def padded_tokens(samples: Samples, rows: NDArray[np.int64], *, packed: bool) -> int:
    """Count the tokens, padding among them, that the model gets for these rows.

    Parameters
    ----------
    samples : Samples
        Of prompts and answers.
    rows : ndarray of int64
        Which.
    packed : bool
        Whether answers to one prompt may share a sequence.

    Returns
    -------
    int
        The size of :func:`lay_out`'s `ids`.
    """
    return _sequences(samples, rows, packed)[1]


def lay_out(samples: Samples, rows: NDArray[np.int64], *, packed: bool) -> Layout:
    """Arrange prompts and answers in sequences.

    Parameters
    ----------
    samples : Samples
        Of prompts and answers.
    rows : ndarray of int64, (B,)
        Which; one may be asked for twice.
    packed : bool
        Whether answers to one prompt may share a sequence. They do if it saves a fifth of the tokens.

    Returns
    -------
    Layout
        Tokens, and where each answer's are predicted.
    """
    sequences, size = _sequences(samples, rows, packed)
    shape = (len(sequences), size // max(len(sequences), 1))
    ids, position, part = np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.full(shape, -1)
    sequence_of, before_of = np.zeros(len(rows), np.int64), [np.empty(0, np.int64)] * len(rows)
    for number, places in enumerate(sequences):
        prompt = np.asarray(samples.prompt_ids[samples.question[rows[places[0]]]])
        end = len(prompt)
        ids[number, :end], position[number, :end], part[number, :end] = prompt, np.arange(end), 0
        for answer, place in enumerate(places, start=1):
            given = np.asarray(samples.completion_ids[rows[place]][:-1], dtype=np.int64)
            here = np.arange(end, end + len(given))
            ids[number, here] = given
            position[number, here] = len(prompt) + np.arange(len(given))
            part[number, here] = answer
            sequence_of[place] = number
            if samples.length[rows[place]]:
                before_of[place] = np.concatenate([[len(prompt) - 1], here])
            end += len(given)
    length = samples.length[rows]
    shared = any(len(places) > 1 for places in sequences)
    return Layout(
        ids=ids,
        position=position if shared else None,
        part=part if shared else None,
        sequence=np.repeat(sequence_of, length),
        before=np.concatenate([np.empty(0, np.int64), *before_of]),
        target=np.concatenate([np.empty(0, np.int64), *(samples.completion_ids[row] for row in rows)]).astype(
            np.int64
        ),
        owner=np.repeat(np.arange(len(rows)), length),
    )


@torch.no_grad()
def takes_packs(network: Network, device: torch.device, dtype: torch.dtype) -> bool:
    """Whether a model's states are the same in a shared sequence, by what it is and by a try on 24 tokens.

    A model that attends to a window, keeps a state from token to token, or has no argument for positions, does not. Nor
    does one that goes by the mask less than to the rounding of its numbers: the difference that is left must be
    below ε^(1/3) of the difference that the mask makes, ε that of the numbers' type.

    Parameters
    ----------
    network : Network
        The model.
    device, dtype : torch.device, torch.dtype
        Where it is, and of its weights.

    Returns
    -------
    bool
        False at any doubt: then every answer is a sequence of its own.
    """
    config = network.model.config
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    window = getattr(config, "sliding_window", None) if getattr(config, "use_sliding_window", True) else None
    if kinds != {"full_attention"} or window or not {"position_ids", "attention_mask"} <= network.arguments:
        return False
    size = network.model.get_input_embeddings().weight.shape[0]
    prompt, first, second = (np.arange(8) + start for start in (0, 8, 16))
    ids = np.concatenate([prompt, first, second])[None] * 7 % size
    part = np.repeat([0, 1, 2], 8)[None]
    position = np.concatenate([np.arange(16), np.arange(8, 16)])[None]
    nowhere = np.empty(0, np.int64)
    layout = Layout(ids, position, part, nowhere, nowhere, nowhere, nowhere)
    tokens, arguments = layout.inputs(device, dtype)
    training = network.model.training
    network.model.eval()
    try:
        together = network.states(tokens, **arguments)[0]
        masked = {"position_ids": arguments["position_ids"]}
        mixed = network.states(tokens, **masked)[0, 16:]
        alone = network.states(torch.cat([tokens[:, :8], tokens[:, 16:]], 1))[0, 8:]
        aside = network.states(tokens[:, :16])[0]
    except (TypeError, RuntimeError, ValueError, AttributeError, IndexError):
        return False
    finally:
        network.model.train(training)
    left = max(
        float(torch.linalg.vector_norm((a - b).float()))
        for a, b in ((together[16:], alone), (together[:16], aside))
    )
    made = float(torch.linalg.vector_norm((mixed - alone).float()))
    return left < torch.finfo(dtype).eps ** (1 / 3) * made
