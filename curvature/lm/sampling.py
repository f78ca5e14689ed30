"""Groups of answers, sampled so that an answer depends on nothing but what it is: seed, step, question, its number.

A token is the inverse of the distribution function at a uniform number that is a hash of (seed, step, question key,
number of the answer, position). So an answer does not depend on the batch it is computed in, on the order of the
questions or on the number of processes, up to rounding: a batch of another shape may round a probability differently,
and a uniform number within that rounding of a step between two tokens then takes the other one.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers.cache_utils import DynamicCache

from curvature.lm._cache import expanded, kept
from curvature.lm._counter import uniforms

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from curvature.lm.policy import Policy
    from curvature.lm.tasks import Question

__all__ = ["Samples", "sample_groups"]

# Rows that have ended are dropped from the batch once so large a share of it is left.
_COMPACT = 0.7


@dataclass(frozen=True)
class Samples:
    """N = n·G answers to n questions, those of a question consecutive.

    Attributes
    ----------
    question : ndarray of int, (N,)
        Index of the question.
    prompt_ids : tuple of ndarray of int, (n,)
        Tokens of each prompt.
    completion_ids : tuple of ndarray of int, (N,)
        Tokens of each answer; a finished one ends with its end token, or with the token that completed a stop text.
    texts : tuple of str, (N,)
        Answers without special tokens, and without the stop text and what follows it.
    finished : ndarray of bool, (N,)
        Whether the answer ended by itself; else it was cut off at `max_new_tokens`.
    length : ndarray of int, (N,)
        Tokens of each answer.
    log_probability : ndarray of float64, (N,)
        Σ log π over the answer's tokens at the temperature of sampling.
    """

    question: NDArray[np.int64]
    prompt_ids: tuple[NDArray[np.int64], ...]
    completion_ids: tuple[NDArray[np.int64], ...]
    texts: tuple[str, ...]
    finished: NDArray[np.bool_]
    length: NDArray[np.int64]
    log_probability: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.completion_ids)


def sample_groups(
    policy: Policy,
    questions: Sequence[Question],
    *,
    group_size: int,
    max_new_tokens: int,
    temperature: float = 1.0,
    seed: int = 0,
    step: int = 0,
    batch_size: int = 64,
    stop: Sequence[str] = (),
) -> Samples:
    """Sample G answers to each question: y ~ Π_t π(y_t | x, y_<t)^(1/T)/Z_t.

    Ours. Prompts are sorted by length and batched; a prompt is computed once for all of its answers in a batch; rows
    that have ended leave the batch.

    Parameters
    ----------
    policy : Policy
        Sampled from in evaluation mode.
    questions : sequence of Question, (n,)
        Their `prompt` is continued and their `key` enters the random numbers; keys are different.
    group_size : int
        G.
    max_new_tokens : int
        Tokens at which an answer is cut off.
    temperature : float, default 1.0
        T > 0.
    seed, step : int
        Of the random numbers.
    batch_size : int, default 64
        Answers that are sampled at once.
    stop : sequence of str
        Texts that end an answer.

    Returns
    -------
    Samples
        In the order of the questions.

    Raises
    ------
    ValueError
        If a size or the temperature is not positive, or two questions share a key.

    Examples
    --------
    >>> from curvature.lm.tasks import arithmetic
    >>> from curvature.lm.tiny import tiny_policy
    >>> policy = tiny_policy(width=16, layers=1)
    >>> samples = sample_groups(policy, arithmetic(2).questions, group_size=3, max_new_tokens=4, seed=1)
    >>> samples.question.tolist(), bool((samples.length <= 4).all())
    ([0, 0, 0, 1, 1, 1], True)
    """
    _check(questions, group_size=group_size, max_new_tokens=max_new_tokens, batch_size=batch_size)
    if not (temperature > 0 and np.isfinite(temperature)):
        raise ValueError(f"temperature is {temperature}; it must be positive and finite.")
    prompts = [np.asarray(policy.encode(question.prompt), dtype=np.int64) for question in questions]
    question = np.repeat(np.arange(len(questions)), group_size)
    number = np.tile(np.arange(group_size), len(questions))
    length = np.array([len(prompt) for prompt in prompts])[question]
    order = np.argsort(-length, kind="stable")
    answers: dict[int, _Answer] = {}
    for rows in _batches(order, length, batch_size, pads=_can_pad(policy.network.model.config)):
        names = [(questions[int(question[row])].key, int(number[row])) for row in rows]
        draws = uniforms(seed, step, names, max_new_tokens)
        batch = _Batch(policy, prompts, question[rows], draws, temperature, tuple(stop))
        for row, answer in zip(rows, batch.run(), strict=True):
            answers[int(row)] = answer
    found = [answers[row] for row in range(len(question))]
    return Samples(
        question=question,
        prompt_ids=tuple(prompts),
        completion_ids=tuple(answer.ids for answer in found),
        texts=tuple(answer.text for answer in found),
        finished=np.array([answer.finished for answer in found], dtype=bool),
        length=np.array([len(answer.ids) for answer in found], dtype=np.int64),
        log_probability=np.array([answer.log_probability for answer in found], dtype=np.float64),
    )


def _check(questions: Sequence[Question], **sizes: int) -> None:
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
            raise ValueError(f"{name} is {size!r}; a whole number of at least 1 is needed.")
    keys = [question.key for question in questions]
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"two questions have the key {twice!r}, and would get the same random numbers.")


def _can_pad(config: Any) -> bool:
    """Whether all layers attend to the whole text: with a window, a token of the padding may attend to nothing."""
    kinds = getattr(config.get_text_config(), "layer_types", None) or ["full_attention"]
    return set(kinds) == {"full_attention"}


def _batches(
    order: NDArray[np.int64], length: NDArray[np.int64], size: int, *, pads: bool
) -> Iterator[NDArray[np.int64]]:
    """Cut the rows, long prompts first, into batches; of equal prompt lengths where there must be no padding."""
    cuts = [0, len(order)] if pads else [0, *(np.flatnonzero(np.diff(length[order])) + 1), len(order)]
    for first, last in itertools.pairwise(cuts):
        for start in range(first, last, size):
            yield order[start : min(start + size, last)]


@dataclass(frozen=True)
class _Answer:
    """One row's outcome."""

    ids: NDArray[np.int64]
    text: str
    finished: bool
    log_probability: float


class _Batch:
    """Answers that are computed together, one token of each at a time."""

    def __init__(
        self,
        policy: Policy,
        prompts: list[NDArray[np.int64]],
        question: NDArray[np.int64],
        draws: NDArray[np.float64],
        temperature: float,
        stop: tuple[str, ...],
    ) -> None:
        self.policy, self.temperature, self.stop = policy, temperature, stop
        used, self.prompt = np.unique(question, return_inverse=True)
        self.prompts = [prompts[q] for q in used]
        self.draws = torch.from_numpy(draws).to(policy.device)
        size, most = draws.shape
        self.ids = np.zeros((size, most), dtype=np.int64)
        self.length = np.zeros(size, dtype=np.int64)
        self.finished = np.zeros(size, dtype=bool)
        self.log_probability = np.zeros(size)

    @torch.inference_mode()
    def run(self) -> list[_Answer]:
        """Sample until every answer has ended or is cut off."""
        policy = self.policy
        policy.model.eval()
        logits, cache, mask = self._prefill()
        live = torch.arange(len(self.ids), device=policy.device)
        position = mask.sum(1)
        for t in range(self.ids.shape[1]):
            token, log_probability = self._draw(logits, self.draws[live, t])
            self._record(t, live.cpu().numpy(), token.cpu().numpy(), log_probability.double().cpu().numpy())
            going = ~self.finished[live.cpu().numpy()]
            if not going.any() or t + 1 == self.ids.shape[1]:
                break
            if going.mean() <= _COMPACT:
                rows = torch.from_numpy(np.flatnonzero(going)).to(policy.device)
                cache = kept(cache, rows)
                live, token, position, mask = live[rows], token[rows], position[rows], mask[rows]
            mask = torch.cat([mask, mask.new_ones((len(live), 1))], dim=1)
            logits = self._forward(token[:, None], cache, mask, position[:, None])
            position = position + 1
        return [self._answer(row) for row in range(len(self.ids))]

    def _record(
        self, t: int, live: NDArray[np.int64], token: NDArray[np.int64], log_probability: NDArray[np.float64]
    ) -> None:
        """Append a token to each answer that goes on; what ended rows still in the batch draw is dropped."""
        going = ~self.finished[live]
        rows = live[going]
        self.ids[rows, t] = token[going]
        self.log_probability[rows] += log_probability[going]
        self.length[rows] += 1
        self.finished[rows] = np.isin(token[going], self.policy.end_ids) | self._stopped(rows)

    def _prefill(self) -> tuple[torch.Tensor, Any, torch.Tensor]:
        """Compute the prompts once each, left-padded; return the logits, cache and mask of every answer."""
        device = self.policy.device
        width = max(map(len, self.prompts))
        ids = np.zeros((len(self.prompts), width), dtype=np.int64)
        mask = np.zeros((len(self.prompts), width), dtype=np.int64)
        for row, prompt in enumerate(self.prompts):
            ids[row, width - len(prompt) :] = prompt
            mask[row, width - len(prompt) :] = 1
        at = torch.from_numpy(mask).to(device)
        cache: Any = DynamicCache(config=self.policy.network.model.config)
        positions = (at.cumsum(1) - 1).clamp(min=0)
        logits = self._forward(torch.from_numpy(ids).to(device), cache, at, positions)
        rows = torch.from_numpy(self.prompt).to(device)
        return logits[rows], expanded(cache, rows, width + self.ids.shape[1]), at[rows]

    def _forward(
        self, ids: torch.Tensor, cache: Any, mask: torch.Tensor, positions: torch.Tensor
    ) -> torch.Tensor:
        """Return the logits after the last of these tokens, (B, V)."""
        network = self.policy.network
        arguments = {
            "attention_mask": mask,
            "position_ids": positions,
            "use_cache": True,
            network.cache_argument: cache,
        }
        if network.trunk is None:
            return network.logits(ids, logits_to_keep=1, **arguments)[:, -1]
        return network.head(network.hidden(ids, **arguments)[:, -1])

    def _draw(self, logits: torch.Tensor, draws: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the token whose stretch of the distribution function holds the uniform number, and its log π."""
        log_probability = torch.log_softmax(logits.float() / self.temperature, dim=-1)
        steps = log_probability.double().exp_().cumsum(-1)
        aim = draws[:, None] * steps[:, -1:]
        token = torch.searchsorted(steps, aim, right=True).clamp_(max=steps.shape[1] - 1)
        return token[:, 0], log_probability.gather(1, token)[:, 0]

    def _stopped(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether each row's text now holds a stop text."""
        if not self.stop:
            return np.zeros(len(rows), dtype=bool)
        tail = max(map(len, self.stop)) + 8
        decode = self.policy.tokenizer.decode
        texts = [decode(self.ids[row, max(self.length[row] - tail, 0) : self.length[row]]) for row in rows]
        return np.array([any(word in text for word in self.stop) for text in texts])

    def _answer(self, row: int) -> _Answer:
        ids = self.ids[row, : self.length[row]].copy()
        text = self.policy.tokenizer.decode(ids, skip_special_tokens=True)
        cut = min((text.find(word) for word in self.stop if word in text), default=len(text))
        return _Answer(ids, text[:cut], bool(self.finished[row]), float(self.log_probability[row]))
