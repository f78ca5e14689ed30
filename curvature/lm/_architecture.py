"""What sampling and likelihood need to know of a model: its arguments, its trunk, its head, its ends."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Network:
    """A causal language model as trunk and head.

    Attributes
    ----------
    model : transformers.PreTrainedModel
        Without peft's wrapper; adapters inside it act all the same.
    arguments : frozenset of str
        What its forward takes.
    trunk : module or None
        What maps tokens to last hidden states, if the head alone makes the logits of them; None if the model does
        more on the way (a cap, a scale), so that logits must come from the whole.
    """

    model: Any
    arguments: frozenset[str]
    trunk: Any

    @classmethod
    def of(cls, model: Any, device: torch.device) -> Network:
        """Take a model apart and check on one input, bit for bit, that trunk and head make the whole."""
        inner = model.get_base_model() if hasattr(model, "peft_config") else model
        arguments = frozenset(inspect.signature(inner.forward).parameters)
        trunk = inner.base_model if inner.base_model is not inner else None
        head = inner.get_output_embeddings()
        if trunk is None or head is None or not _head_is_all(inner, trunk, head, device):
            trunk = None
        return cls(model=inner, arguments=arguments, trunk=trunk)

    def known(self, **arguments: Any) -> dict[str, Any]:
        """Return the arguments that this model takes."""
        return {name: value for name, value in arguments.items() if name in self.arguments}

    def hidden(self, ids: torch.Tensor, **arguments: Any) -> torch.Tensor:
        """Return the last hidden states, (B, L, H), after the last norm."""
        return self.trunk(input_ids=ids, **self.known(**arguments))[0]

    def states(self, ids: torch.Tensor, **arguments: Any) -> torch.Tensor:
        """Return what :meth:`scores` makes logits of: last hidden states, or the logits if there is no trunk."""
        run = self.logits if self.trunk is None else self.hidden
        return run(ids, use_cache=False, **arguments)

    def scores(self, states: torch.Tensor) -> torch.Tensor:
        """Return the logits of :meth:`states`, (…, V)."""
        return states if self.trunk is None else self.head(states)

    def head(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the logits of hidden states, (…, V)."""
        return self.model.get_output_embeddings()(hidden)

    def logits(self, ids: torch.Tensor, **arguments: Any) -> torch.Tensor:
        """Return the logits of the whole model, (B, L or fewer, V)."""
        return self.model(input_ids=ids, **self.known(**arguments)).logits

    @property
    def cache_argument(self) -> str:
        """The name of the cache among the arguments, which transformers changed in 5.20."""
        return "cache" if "cache" in self.arguments else "past_key_values"


@torch.no_grad()
def _head_is_all(model: Any, trunk: Any, head: Any, device: torch.device) -> bool:
    """Whether head(trunk(x)) is model(x) exactly, on eight tokens; a cap or a scale changes some bit."""
    training = model.training
    model.eval()
    ids = torch.arange(8, device=device)[None] % model.get_input_embeddings().weight.shape[0]
    try:
        return torch.equal(
            head(trunk(input_ids=ids, use_cache=False)[0]), model(input_ids=ids, use_cache=False).logits
        )
    except (TypeError, RuntimeError):
        return False
    finally:
        model.train(training)


def end_ids(model: Any, tokenizer: Any) -> tuple[int, ...]:
    """Tokens that end a completion, by the generation settings, the model's settings and the tokenizer."""
    stated = [
        getattr(getattr(model, "generation_config", None), "eos_token_id", None),
        getattr(model.config, "eos_token_id", None),
        tokenizer.eos_token_id,
    ]
    found = {
        int(e)
        for entry in stated
        if entry is not None
        for e in (entry if isinstance(entry, list) else [entry])
    }
    return tuple(sorted(found))
