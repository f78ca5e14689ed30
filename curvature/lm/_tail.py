"""Log-probabilities of completions as a function of some of the parameters, and of nothing below them.

What comes before the first probed block is the same for every derivative, so it is run once for each batch; the
rest is a module of its own that torch's functional calls can differentiate as often as asked.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Batch", "Scorer", "made_ready", "select_parameters"]


@dataclass(frozen=True)
class Batch:
    """Completions of one prompt, padded at the right.

    Attributes
    ----------
    ids : torch.Tensor
        Tokens of the completions, (B, C).
    mask : torch.Tensor
        1 at tokens of a completion and 0 at padding, (B, C).
    start : int
        Tokens of the prompt.
    given : torch.Tensor
        What the differentiated part starts from: all tokens (B, L) or the hidden states (B, L, H).
    arguments : tuple of dict
        What else each block gets, for one row: masks and positions, which are every row's.
    """

    ids: torch.Tensor
    mask: torch.Tensor
    start: int
    given: torch.Tensor
    arguments: tuple[dict[str, Any], ...] = ()

    @property
    def where(self) -> slice:
        """Positions whose logits are those of the completion's tokens."""
        return slice(self.start - 1, self.start - 1 + self.ids.shape[1])

    def row(self, index: int) -> Batch:
        """Return one completion as a batch of its own."""
        one = slice(index, index + 1)
        return Batch(self.ids[one], self.mask[one], self.start, self.given[one], self.arguments)


def select_parameters(policy: Any, parameters: str) -> dict[str, torch.nn.Parameter]:
    """Return the parameters that a probe differentiates by.

    Parameters
    ----------
    policy : Policy
        The policy.
    parameters : str
        "lora", "last_layer" (the last block), "all", or a regular expression searched for in the names.

    Returns
    -------
    dict of str to torch.nn.Parameter
        By name, in the model's order, tied ones once.

    Raises
    ------
    ValueError
        If no parameter answers to it.
    """
    import re

    named = dict(policy.model.named_parameters())
    if parameters == "lora":
        pattern = r"\blora_"
    elif parameters == "last_layer":
        blocks = [int(found[1]) for name in named if (found := re.search(r"\blayers\.(\d+)\.", name))]
        pattern = rf"\blayers\.{max(blocks, default=-1)}\."
    else:
        pattern = "" if parameters == "all" else parameters
    chosen = {name: value for name, value in named.items() if re.search(pattern, name)}
    if not chosen:
        raise ValueError(
            f"parameters is {parameters!r}, which no parameter of {policy.name} answers to; "
            f"they are named like {next(iter(named))!r}."
        )
    return chosen


@contextmanager
def made_ready(model: Any) -> Iterator[None]:
    """Freeze a model for a while and hold its half-precision weights as float32.

    Second derivatives in bfloat16 would be rounding alone, and a graph of parameters that nobody asks for is memory.
    """
    asked = [value for value in model.parameters() if value.requires_grad]
    narrow = [(value, value.dtype) for value in (*model.parameters(), *model.buffers()) if _is_narrow(value)]
    try:
        for value in asked:
            value.requires_grad_(False)
        for value, _ in narrow:
            value.data = value.data.float()
        yield
    finally:
        for value, kind in narrow:  # float32 holds every such number exactly, so this is the way back
            value.data = value.data.to(kind)
        for value in asked:
            value.requires_grad_()


def _is_narrow(value: torch.Tensor) -> bool:
    """Whether these are floating-point numbers of fewer than 32 bits."""
    return value.is_floating_point() and value.element_size() < 4


class Scorer:
    """Sums of log π over completions of one prompt, as a function of chosen parameters.

    Parameters
    ----------
    policy : Policy
        Its model is neither changed nor given gradients.
    chosen : mapping of str to torch.nn.Parameter
        As :func:`select_parameters` returns them.
    temperature : float
        At which the completions were drawn; log π is that of logits/temperature.
    """

    def __init__(self, policy: Any, chosen: Mapping[str, torch.nn.Parameter], temperature: float) -> None:
        self.network, self.device, self.temperature = policy.network, policy.device, temperature
        self.module: torch.nn.Module = _Whole(self.network)
        self.first = None
        tail, first = _tail_of(self.network, chosen)
        if tail is not None and _is_the_rest(self.network, tail, first, self.device):
            self.module, self.first = tail, first
        names = {id(value): name for name, value in self.module.named_parameters()}
        self.names = {name: names[id(value)] for name, value in chosen.items()}
        self.values = {name: value.detach() for name, value in chosen.items()}

    def batch(self, prompt: Any, completions: list[Any]) -> Batch:
        """Pad completions of one prompt and run what lies below the chosen parameters, once."""
        width = max(len(row) for row in completions)
        ids = np.zeros((len(completions), width), dtype=np.int64)
        mask = np.zeros((len(completions), width), dtype=np.float32)
        for row, tokens in enumerate(completions):
            ids[row, : len(tokens)], mask[row, : len(tokens)] = tokens, 1
        whole = np.concatenate([np.broadcast_to(np.asarray(prompt), (len(ids), len(prompt))), ids], axis=1)
        given, arguments = torch.as_tensor(whole, device=self.device), ()
        if self.first is not None:
            given, arguments = _inputs_of(self.network, self.first, given)
        tokens, counted = (torch.as_tensor(array, device=self.device) for array in (ids, mask))
        return Batch(tokens, counted, len(prompt), given, arguments)

    def log_probability(self, values: Mapping[str, torch.Tensor], batch: Batch) -> torch.Tensor:
        """Return Σ log π of each completion, (B,), with `values` in place of the chosen parameters."""
        replaced = {self.names[name]: value for name, value in values.items()}
        with (
            sdpa_kernel(SDPBackend.MATH),
            _PlainSilu(),
        ):  # the one kernel with forward-mode second derivatives
            logits = torch.func.functional_call(
                self.module, replaced, (batch.given, batch.where, batch.arguments)
            )
        log_probability = torch.log_softmax(logits / self.temperature, dim=-1)
        taken = log_probability.gather(2, batch.ids[..., None])[..., 0]
        return (taken * batch.mask.to(taken.dtype)).sum(1)


class _PlainSilu(TorchFunctionMode):
    """SiLU as x·sigmoid(x): torch has no forward derivative of the derivative of its own (2.13)."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(function, "__name__", "") == "silu":
            return args[0] * torch.sigmoid(args[0])
        return function(*args, **(kwargs or {}))


class _Whole(torch.nn.Module):
    """Logits at some positions, from tokens."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.model = network.model
        self._network = [network]  # in a list: no second registration of what it holds

    def forward(self, ids: torch.Tensor, where: slice, _: Any = ()) -> torch.Tensor:
        """Run the model; no logits are made but those asked for."""
        network = self._network[0]
        return network.scores(network.states(ids)[:, where])


class _Tail(torch.nn.Module):
    """Logits at some positions, from the hidden states that enter a block."""

    def __init__(self, network: Any, first: int) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(network.trunk.layers[first:])
        self.norm, self.head = network.trunk.norm, network.model.get_output_embeddings()

    def forward(self, hidden: torch.Tensor, where: slice, rest: tuple[dict[str, Any], ...]) -> torch.Tensor:
        """Run the blocks, the last norm and the head."""
        for layer, arguments in zip(self.layers, rest, strict=True):
            hidden = layer(hidden, **arguments)
            hidden = hidden[0] if isinstance(hidden, tuple) else hidden
        return self.head(self.norm(hidden)[:, where])


def _tail_of(network: Any, chosen: Mapping[str, Any]) -> tuple[_Tail | None, int]:
    """Return the blocks from the first that holds a chosen parameter on; None where that is all, or no plain stack."""
    trunk = network.trunk
    layers = getattr(trunk, "layers", None)
    if not isinstance(layers, torch.nn.ModuleList) or not hasattr(trunk, "norm"):
        return None, 0
    ours = {id(value) for value in chosen.values()}
    holds = [any(id(value) in ours for value in layer.parameters()) for layer in layers]
    first = holds.index(True) if True in holds else len(layers) - 1
    below = {id(value) for value in trunk.parameters()} - {
        id(value) for part in (*layers[first:], trunk.norm) for value in part.parameters()
    }
    return (None, 0) if first == 0 or below & ours else (_Tail(network, first), first)


def _is_the_rest(network: Any, tail: _Tail, first: int, device: torch.device) -> bool:
    """Whether trunk and tail make the whole model, on eight tokens."""
    ids = torch.arange(8, device=device)[None] % network.model.get_input_embeddings().weight.shape[0]
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        try:
            hidden, rest = _inputs_of(network, first, ids)
            part = tail(hidden, slice(0, 8), rest)
        except (TypeError, RuntimeError, AttributeError):
            return False
        return torch.allclose(part, network.logits(ids, use_cache=False), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def _inputs_of(
    network: Any, first: int, ids: torch.Tensor
) -> tuple[torch.Tensor, tuple[dict[str, Any], ...]]:
    """Hidden states that enter block `first`, and the other arguments of it and of every block after it."""
    hidden: list[torch.Tensor] = []
    rest: list[dict[str, Any]] = []

    def record(_: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        hidden.append(arguments[0] if arguments else keywords["hidden_states"])
        rest.append({name: _first_row(value) for name, value in keywords.items() if name != "hidden_states"})

    handles = [
        layer.register_forward_pre_hook(record, with_kwargs=True) for layer in network.trunk.layers[first:]
    ]
    try:
        network.hidden(ids, use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    return hidden[0], tuple(rest)


def _first_row(value: Any) -> Any:
    """Take what stands for every row: without padding at the left, no argument of a block differs between rows."""
    if isinstance(value, torch.Tensor):
        return value[:1]
    return tuple(_first_row(part) for part in value) if isinstance(value, tuple) else value
