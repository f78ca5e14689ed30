"""A transformer small enough to train from nothing on a CPU, and its first lessons.

The architecture is that of Llama, built by transformers from a configuration; the tokenizer has one token for each
printable ASCII character and is built here, so that nothing is downloaded.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from curvature.lm.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from curvature.lm.sampling import Samples

__all__ = ["tiny_policy", "warm_start"]

_SPECIAL = ("<pad>", "<end>", "<unknown>")
_CHARACTERS = "\n" + "".join(map(chr, range(32, 127)))


def tiny_policy(*, width: int = 64, layers: int = 2, heads: int = 4, seed: int = 0) -> Policy:
    """Return a small Llama-type transformer with random weights and a tokenizer of single characters.

    Ours.

    Parameters
    ----------
    width : int
        Length of the hidden states, a multiple of 2·heads; the feed-forward layers are four times as wide.
    layers : int
        Transformer blocks.
    heads : int
        Attention heads.
    seed : int
        Of the weights.

    Returns
    -------
    Policy
        On the CPU in float32; its name is a text that :func:`curvature.lm.policy.load_policy` reads.

    Raises
    ------
    ValueError
        If the width is no multiple of 2·heads.

    Examples
    --------
    >>> policy = tiny_policy(width=16, layers=1)
    >>> policy.tokenizer.decode(policy.encode("12+7="))
    '12+7='
    """
    from transformers import LlamaConfig, LlamaForCausalLM

    if width % (2 * heads):
        raise ValueError(f"width is {width}; with {heads} heads it must be a multiple of {2 * heads}")
    config = LlamaConfig(
        vocab_size=len(_SPECIAL) + len(_CHARACTERS),
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        max_position_embeddings=2048,
        tie_word_embeddings=False,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=1,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config).float().eval()
    name = f"tiny:width={width},layers={layers},heads={heads},seed={seed}"
    return Policy(
        model=model, tokenizer=_tokenizer(), device=torch.device("cpu"), dtype=torch.float32, name=name
    )


def parse_tiny(text: str) -> dict[str, int]:
    """Read "tiny:width=64,layers=2,heads=4,seed=0", any part of which may be left out.

    Parameters
    ----------
    text : str
        The text.

    Returns
    -------
    dict of str to int
        Arguments of :func:`tiny_policy`.

    Raises
    ------
    ValueError
        If a part is none of these.
    """
    parts = [part.partition("=") for part in text.removeprefix("tiny:").split(",") if part]
    known = ("width", "layers", "heads", "seed")
    for key, _, value in parts:
        if key not in known or not value.isdecimal():
            raise ValueError(
                f"{text!r}: cannot read {key!r}; write it like 'tiny:width=64,layers=2,heads=4,seed=0'"
            )
    return {key: int(value) for key, _, value in parts}


def _tokenizer() -> Any:
    """One token a character, written and read by the library as any other tokenizer.json."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {word: index for index, word in enumerate((*_SPECIAL, *_CHARACTERS))}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unknown>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")  # type: ignore[assignment]  # stubs know none of its setters
    tokenizer.decoder = decoders.Fuse()  # type: ignore[assignment]  # stubs know none of its setters
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="<end>",
        unk_token="<unknown>",
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def warm_start(
    policy: Policy,
    task: Any,
    *,
    steps: int = 600,
    learning_rate: float = 2e-3,
    batch_size: int = 64,
    seed: int = 0,
) -> NDArray[Any]:
    """Teach a policy the answers of a task by supervised steps: minimise −log π(answer, end | prompt) per token.

    Ours. AdamW without weight decay; the learning rate rises over the first twentieth and falls to nothing as a cosine.

    Parameters
    ----------
    policy : Policy
        Changed in place, its trainable parameters alone.
    task : Task
        Anything with `questions` that have `prompt` and `answer`.
    steps : int
        Updates.
    learning_rate : float
        At its highest.
    batch_size : int
        Questions a step, at most all of them, by passes through the task in a fresh order.
    seed : int
        Of the order.

    Returns
    -------
    ndarray, (steps,)
        Mean −log π of an answer's token at each step, in nats.

    Examples
    --------
    >>> from curvature.lm.tasks import arithmetic
    >>> losses = warm_start(tiny_policy(width=16, layers=1), arithmetic(20, digits=1), steps=40, batch_size=20)
    >>> bool(losses[-1] < losses[0])
    True
    """
    import numpy as np

    from curvature.lm.likelihood import sequence_log_probabilities

    lessons = _lessons(policy, task)
    optimizer = torch.optim.AdamW(
        [value for _, value in policy.trainable()], lr=learning_rate, weight_decay=0.0
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, steps))
    order = _order(len(lessons), min(batch_size, len(lessons)), seed)
    losses = np.empty(steps)
    for step in range(steps):
        rows = next(order)
        loss = -sequence_log_probabilities(policy, lessons, rows).sum() / int(lessons.length[rows].sum())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses[step] = float(loss.detach())
    return losses


def _lessons(policy: Policy, task: Any) -> Samples:
    """Return the right answers in the form of samples, each with its end token."""
    import numpy as np

    from curvature.lm.sampling import Samples

    end = policy.tokenizer.eos_token_id
    answers = [
        policy.tokenizer(question.answer, add_special_tokens=False)["input_ids"]
        for question in task.questions
    ]
    return Samples(
        question=np.arange(len(answers)),
        prompt_ids=tuple(np.asarray(policy.encode(question.prompt)) for question in task.questions),
        completion_ids=tuple(np.asarray([*ids, end]) for ids in answers),
        texts=tuple(question.answer for question in task.questions),
        finished=np.ones(len(answers), dtype=bool),
        length=np.array([len(ids) + 1 for ids in answers]),
        log_probability=np.full(len(answers), np.nan),
    )


def _rate(step: int, steps: int) -> float:
    """Return the share of the learning rate at a step."""
    rise = max(steps // 20, 1)
    return min((step + 1) / rise, 1.0) * 0.5 * (1 + math.cos(math.pi * step / steps))


def _order(size: int, batch: int, seed: int) -> Iterator[NDArray[Any]]:
    """Yield batches of rows for ever, each pass over all rows in a fresh order."""
    import numpy as np

    generator = np.random.default_rng(seed)
    while True:
        rows = generator.permutation(size)
        for start in range(0, size - batch + 1, batch):
            yield rows[start : start + batch]
