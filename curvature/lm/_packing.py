"""Answers to one prompt side by side in one sequence, so that the prompt is computed once for all of them.

prompt, answer 1, answer 2, …: every token of an answer sees the prompt and its own answer's tokens before it, and its
position is what it would be without the other answers. The states are those of separate rows; of G answers of C tokens
to a prompt of P the model computes P + G·C tokens, not G·(P + C).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from curvature.lm._architecture import Network
    from curvature.lm.sampling import Samples

__all__ = [
    "FAMILIES",
    "PACKED_TOKENS",
    "Layout",
    "Packing",
    "lay_out",
    "packing_of",
    "padded_size",
    "places_by_question",
    "sequences_of",
]

# Of a sequence: what a mask of its own takes in memory grows with the square.
PACKED_TOKENS = 2048
# Model types that were tried, in the tests. Others may make masks of their own from what they are given.
FAMILIES = frozenset({
    "gpt2",
    "gpt_neox",
    "llama",
    "mistral",
    "mixtral",
    "olmo2",
    "opt",
    "phi3",
    "qwen2",
    "qwen3",
    "qwen3_moe",
    "smollm3",
})
# Less than this saved is within the error of the cost below.
_WORTH = 0.8


@dataclass(frozen=True)
class Packing:
    """What decides how many answers share a sequence.

    Attributes
    ----------
    limit : int
        Tokens that a shared sequence may have.
    width : int
        Of the hidden states, H. A layer's matrices cost a token about 24·H² operations, attention to L tokens 4·H·L:
        L/(6H) of that, counted twice under a mask, whose kernels are slower.
    """

    limit: int
    width: int

    def cost(self, count: int, longest: int, *, shared: bool) -> float:
        """Return the work of so many sequences of one length, in tokens of a model without attention."""
        return count * longest * (1 + longest / ((3 if shared else 6) * self.width))


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


def sequences_of(
    samples: Samples, rows: NDArray[np.int64], packing: Packing | None
) -> list[NDArray[np.int64]]:
    """Say which rows share a sequence. What becomes of a question's rows depends on no other question.

    Parameters
    ----------
    samples : Samples
        Of prompts and answers.
    rows : ndarray of int64
        Which; one may be asked for twice.
    packing : Packing or None
        None for a sequence for each row.

    Returns
    -------
    list of ndarray
        Places in `rows`, sequence by sequence.
    """
    if packing is None:
        return [np.array([place]) for place in range(len(rows))]
    found: list[NDArray[np.int64]] = []
    for places in places_by_question(samples, rows):
        prompt = samples.prompt_ids[samples.question[rows[places[0]]]]
        found += _cheapest(len(prompt), samples.length[rows[places]], places, packing)
    return found


def places_by_question(samples: Samples, rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return the places in `rows` of each question, questions in the order of their first."""
    question = samples.question[rows]
    return [np.flatnonzero(question == one) for one in dict.fromkeys(question.tolist())]


def _cheapest(
    prompt: int, length: NDArray[np.int64], places: NDArray[np.int64], packing: Packing
) -> list[NDArray[np.int64]]:
    """Cut the answers to one prompt into the sequences that cost least, as even as can be."""
    answers = np.maximum(length - 1, 0)  # an answer's last token predicts nothing
    best = [np.array([place]) for place in range(len(places))]
    least = _WORTH * packing.cost(len(places), prompt + int(answers.max()), shared=False)
    for size in dict.fromkeys(math.ceil(len(places) / count) for count in range(1, len(places))):
        parts = np.array_split(np.arange(len(places)), math.ceil(len(places) / size))
        longest = prompt + max(int(answers[part].sum()) for part in parts)
        cost = packing.cost(len(parts), longest, shared=True)
        if longest <= packing.limit and cost < least:
            best, least = parts, cost
    return [places[part] for part in best]


def padded_size(
    samples: Samples, rows: NDArray[np.int64], sequences: list[NDArray[np.int64]]
) -> tuple[int, int]:
    """Count the sequences and the tokens of the longest.

    Parameters
    ----------
    samples : Samples
        Of prompts and answers.
    rows : ndarray of int64
        Which.
    sequences : list of ndarray
        As :func:`sequences_of` returns them for those rows.

    Returns
    -------
    tuple of int
        The shape of :func:`lay_out`'s `ids`.
    """
    return len(sequences), max((_length(samples, rows[places]) for places in sequences), default=0)


def _length(samples: Samples, rows: NDArray[np.int64]) -> int:
    prompt = len(samples.prompt_ids[samples.question[rows[0]]])
    return prompt + int(np.maximum(samples.length[rows] - 1, 0).sum())


def lay_out(samples: Samples, rows: NDArray[np.int64], packing: Packing | None) -> Layout:
    """Arrange prompts and answers in sequences.

    Parameters
    ----------
    samples : Samples
        Of prompts and answers.
    rows : ndarray of int64, (B,)
        Which; one may be asked for twice.
    packing : Packing or None
        As for :func:`sequences_of`.

    Returns
    -------
    Layout
        Tokens, and where each answer's are predicted.
    """
    sequences = sequences_of(samples, rows, packing)
    shape = padded_size(samples, rows, sequences)
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
def packing_of(network: Network, device: torch.device, dtype: torch.dtype) -> Packing | None:
    """Whether a model's states are the same in a shared sequence, by what it is and by a try on 24 tokens.

    A model takes a mask and positions of ours if it is of :data:`FAMILIES`, attends by torch's own kernel and, in the
    try, differs from separate rows by less than ε^(1/3) of what the mask changes, ε that of its numbers' type.
    Sequences stay within the model's positions and within its window, if it has one, where a window hides nothing.

    Parameters
    ----------
    network : Network
        The model.
    device, dtype : torch.device, torch.dtype
        Where it is, and of its weights.

    Returns
    -------
    Packing or None
        None at any doubt: then every answer is a sequence of its own.
    """
    config = network.model.config
    known = config.model_type in FAMILIES and {"position_ids", "attention_mask"} <= network.arguments
    if not known or getattr(config, "_attn_implementation", None) != "sdpa":
        return None
    window = getattr(config, "sliding_window", None) if getattr(config, "use_sliding_window", True) else None
    limit = min(PACKED_TOKENS, window or PACKED_TOKENS, config.max_position_embeddings)
    if limit < _TRIED.size or not _is_the_same(network, device, dtype):
        return None
    return Packing(limit, config.hidden_size)


# Places of the try: a prompt of 8 tokens and two answers of 8.
_TRIED = np.repeat([0, 1, 2], 8)


def _is_the_same(network: Network, device: torch.device, dtype: torch.dtype) -> bool:
    position = np.concatenate([np.arange(16), np.arange(8, 16)])
    ids = 7 * np.arange(_TRIED.size) % network.model.get_input_embeddings().weight.shape[0]
    nowhere = np.empty(0, np.int64)
    layout = Layout(ids[None], position[None], _TRIED[None], nowhere, nowhere, nowhere, nowhere)
    tokens, arguments = layout.inputs(device, dtype)
    modes = {module: module.training for module in network.model.modules()}
    network.model.eval()
    try:
        together = network.states(tokens, **arguments)[0]
        unmasked = network.states(tokens, position_ids=arguments["position_ids"])[0, 16:]
        second = network.states(torch.cat([tokens[:, :8], tokens[:, 16:]], 1))[0, 8:]
        first = network.states(tokens[:, :16])[0]
    finally:
        for module, mode in modes.items():
            module.training = mode
    differs, changes = (
        max(float(torch.linalg.vector_norm((a - b).float())) for a, b in pairs)
        for pairs in (((together[16:], second), (together[:16], first)), ((unmasked, second),))
    )
    return differs < torch.finfo(dtype).eps ** (1 / 3) * changes
