"""The keys and values of a batch being sampled: allocated once, each prompt computed once for its whole group."""

from __future__ import annotations

from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

__all__ = ["expanded", "kept"]


class _Allocated(DynamicLayer):
    """A layer whose keys lie in one allocation of full length; attention reads the part that is filled.

    transformers' DynamicLayer copies all keys at each token, and its StaticLayer has attention read the empty part too.
    """

    def __init__(self, keys: torch.Tensor, values: torch.Tensor, rows: torch.Tensor, capacity: int) -> None:
        super().__init__()
        self.dtype, self.device, self.is_initialized = keys.dtype, keys.device, True
        self.length = keys.shape[2]
        self.stored = tuple(_allocated(part, rows, capacity) for part in (keys, values))
        self._show()

    def _show(self) -> None:
        self.keys, self.values = (part[:, :, : self.length] for part in self.stored)

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any) -> Any:
        """Append, and return all that is filled."""
        end = self.length + key_states.shape[2]
        for part, new in zip(self.stored, (key_states, value_states), strict=True):
            part[:, :, self.length : end] = new
        self.length = end
        self._show()
        return self.keys, self.values

    def keep(self, rows: torch.Tensor) -> None:
        """Let go of all other rows."""
        self.stored = tuple(part[rows] for part in self.stored)
        self._show()


def _allocated(part: torch.Tensor, rows: torch.Tensor, capacity: int) -> torch.Tensor:
    room = part.new_empty((len(rows), part.shape[1], capacity, part.shape[3]))
    room[:, :, : part.shape[2]] = part[rows]
    return room


def expanded(prefilled: DynamicCache, rows: torch.Tensor, capacity: int) -> Cache:
    """Return a cache with room for `capacity` tokens whose row i continues row `rows[i]` of a prefilled one.

    Parameters
    ----------
    prefilled : DynamicCache
        Of the prompts.
    rows : tensor of int, (B,)
        Which prompt each answer continues.
    capacity : int
        Tokens of prompt and answer together.

    Returns
    -------
    Cache
        Layers that are not plain attention (sliding windows, recurrent states) stay transformers' own.
    """
    layers: list[Any] = list(prefilled.layers)
    if all(type(layer) is DynamicLayer for layer in layers):
        return Cache(layers=[_Allocated(layer.keys, layer.values, rows, capacity) for layer in layers])
    return kept(prefilled, rows)


def kept(cache: Any, rows: torch.Tensor) -> Any:
    """Return the cache with these rows alone, in this order.

    Parameters
    ----------
    cache : Cache
        Changed in place.
    rows : tensor of int, (B,)
        Which stay.

    Returns
    -------
    Cache
        The same one.
    """
    for layer in cache.layers:
        if isinstance(layer, _Allocated):
            layer.keep(rows)
        else:
            layer.reorder_cache(rows)
    return cache
