"""A policy: a causal language model and its tokenizer, whole or with low-rank adapters.

Weights are read from safetensors alone and no code of a model's own is ever run, so a folder or a hub id from a
stranger can do no harm beyond what it says. Models stay in evaluation mode: the policy whose gradient is taken is
the policy that was sampled from. A dropout in :class:`LoraSettings` acts only after ``policy.model.train()``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from curvature.lm import _architecture, _loading, _packing, _storing

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["LoraSettings", "Policy", "load_policy"]


@dataclass(frozen=True)
class LoraSettings:
    """Low-rank adapters W + (α/r)·B·A, the defaults those of the paper (all linear layers, r = 64, α = 128).

    Attributes
    ----------
    rank : int
        r.
    alpha : float
        α.
    dropout : float
        On the adapters' input, in training mode only.
    targets : str or tuple of str
        "all-linear" (every linear layer but the head) or names of modules as peft reads them.
    """

    rank: int = 64
    alpha: float = 128
    dropout: float = 0.0
    targets: str | tuple[str, ...] = "all-linear"

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ValueError(f"rank is {self.rank}; an adapter needs a rank of at least 1")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout}; it must lie in [0, 1)")


@dataclass(frozen=True, eq=False)
class Policy:
    """A causal language model that answers prompts.

    Attributes
    ----------
    model : transformers.PreTrainedModel or peft.PeftModel
        In evaluation mode.
    tokenizer : transformers.PreTrainedTokenizerBase
        Its tokenizer.
    device : torch.device
        Where the model is.
    dtype : torch.dtype
        Of the model's weights; adapters are kept in float32 under bfloat16 weights.
    name : str
        What :func:`load_policy` was given.
    """

    model: Any
    tokenizer: Any
    device: torch.device
    dtype: torch.dtype
    name: str

    def trainable(self) -> list[tuple[str, torch.nn.Parameter]]:
        """Return the parameters that training changes, by name, in the model's order.

        Returns
        -------
        list of (str, torch.nn.Parameter)
            All parameters, or those of the adapters.
        """
        return [(name, value) for name, value in self.model.named_parameters() if value.requires_grad]

    @property
    def num_parameters(self) -> int:
        """Number of parameters of the model, adapters counted, tied ones once."""
        return sum(value.numel() for value in self.model.parameters())

    @property
    def has_adapters(self) -> bool:
        """Whether training changes adapters alone."""
        return hasattr(self.model, "peft_config")

    @cached_property
    def network(self) -> _architecture.Network:
        """The model's parts, which sampling and likelihood call."""
        return _architecture.Network.of(self.model, self.device)

    @cached_property
    def packing(self) -> _packing.Packing | None:
        """How answers to one prompt can share a sequence, which saves computing the prompt for each; None if not."""
        return _packing.packing_of(self.network, self.device, self.dtype)

    @cached_property
    def end_ids(self) -> tuple[int, ...]:
        """Tokens that end a completion: those of the generation settings and the tokenizer's, sorted."""
        return _architecture.end_ids(self.network.model, self.tokenizer)

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a prompt, with the tokenizer's own opening token if the text does not bring it.

        Parameters
        ----------
        text : str
            The full text that the model gets.

        Returns
        -------
        list of int
            At least one token.

        Raises
        ------
        ValueError
            If the text has no tokens.
        """
        opening = self.tokenizer.bos_token
        ids = self.tokenizer(text, add_special_tokens=not (opening and text.startswith(opening)))["input_ids"]
        if not ids:
            raise ValueError(f"the prompt {text!r} has no tokens; a model needs at least one to go on from")
        return list(ids)

    def state(self) -> dict[str, torch.Tensor]:
        """Return copies of the trainable parameters.

        Returns
        -------
        dict of str to torch.Tensor
            By name, on the CPU.
        """
        return {name: value.detach().cpu().clone() for name, value in self.trainable()}

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Put back what :meth:`state` returned.

        Parameters
        ----------
        state : mapping of str to torch.Tensor
            Exactly the trainable parameters.

        Raises
        ------
        ValueError
            If names or shapes are not those of this policy.
        """
        own = dict(self.trainable())
        if own.keys() != state.keys():
            odd = sorted(own.keys() ^ state.keys())[0]
            raise ValueError(
                f"the state and the policy differ in parameter {odd!r}; load what this policy saved"
            )
        for name, value in own.items():
            if value.shape != state[name].shape:
                raise ValueError(
                    f"parameter {name!r} is {tuple(state[name].shape)}, wanted {tuple(value.shape)}"
                )
        with torch.no_grad():
            for name, value in own.items():
                value.copy_(state[name])

    def save(self, folder: str | Path) -> None:
        """Write the model (with adapters: the adapters alone) and the tokenizer as safetensors and JSON.

        The folder appears whole or not at all; an older one of that name is replaced.

        Parameters
        ----------
        folder : str or Path
            Where :func:`load_policy` finds it.
        """
        _storing.save(self.model, self.tokenizer, self.name, folder)


def load_policy(
    source: Any,
    *,
    lora: LoraSettings | None = None,
    dtype: str | torch.dtype | None = None,
    device: str | torch.device | None = None,
    seed: int = 0,
    revision: str | None = None,
) -> Policy:
    """Return a policy from a folder, a hub id, a "tiny:" text or a pair in memory.

    Parameters
    ----------
    source : str, Path or (model, tokenizer)
        Hub id or folder of any causal language model of transformers with safetensors weights, a folder that
        :meth:`Policy.save` wrote, "tiny:width=64,layers=2" for :func:`curvature.lm.tiny.tiny_policy`, or a pair,
        which is used as it stands and not copied.
    lora : LoraSettings, optional
        Train adapters of this kind and nothing else.
    dtype : str or torch.dtype, optional
        Of the weights: "float32", "bfloat16", …; bfloat16 on a GPU and float32 elsewhere if left out, a pair's own
        for a pair.
    device : str or torch.device, optional
        A GPU if there is one and none is named.
    seed : int
        Of the adapters' first values.
    revision : str, optional
        Branch, tag or commit of a hub id.

    Returns
    -------
    Policy
        In evaluation mode, on the device.

    Raises
    ------
    ValueError
        If the weights are pickled, the model needs code of its own, or adapters are asked for twice.
    """
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if isinstance(source, str) and source.startswith("tiny:"):
        from curvature.lm.tiny import parse_tiny, tiny_policy

        built = tiny_policy(**parse_tiny(source))
        source, name = (built.model, built.tokenizer), built.name
    else:
        name = _loading.name_of(source)
    kind = _loading.read_dtype(dtype, place, of_pair=isinstance(source, tuple))
    model, tokenizer = source if isinstance(source, tuple) else _loading.read(source, kind, revision)
    model = model.to(device=place, dtype=kind) if kind is not None else model.to(place)
    if lora is not None:
        if hasattr(model, "peft_config"):
            raise ValueError(f"{name} has adapters already; load it without `lora` to train those on")
        model = _loading.with_adapters(model, lora, seed)
    model.eval()
    kind = kind or next(model.parameters()).dtype
    return Policy(model=model, tokenizer=tokenizer, device=place, dtype=kind, name=name)
