"""Short random images of long vectors that keep inner products on average."""

from __future__ import annotations

import torch

__all__ = ["CountSketch"]


class CountSketch:
    """S: R^P → R^m, each coordinate added with a random sign to a random place: E⟨Sx, Sy⟩ = ⟨x, y⟩.

    Charikar, Chen and Farach-Colton (2002). Var ⟨Sx, Sy⟩ ≤ (‖x‖²‖y‖² + ⟨x, y⟩²)/m, so a cosine near 0 is off
    by about 1/√m.

    Parameters
    ----------
    size : int
        P.
    width : int
        m.
    seed : int
        Of places and signs, which are drawn on the CPU and so the same on every device.
    device : torch.device
        Where vectors come from.
    """

    def __init__(self, size: int, width: int, seed: int, device: torch.device) -> None:
        if width < 1:
            raise ValueError(f"sketch is {width}; it must be at least 1.")
        generator = torch.Generator().manual_seed(seed)
        self.width = width
        self._places = torch.randint(width, (size,), generator=generator, dtype=torch.int32).to(device)
        self._signs = (torch.randint(2, (size,), generator=generator, dtype=torch.int8) * 2 - 1).to(device)

    def __call__(self, vector: torch.Tensor) -> torch.Tensor:
        """Return S·vector, (m,)."""
        return vector.new_zeros(self.width).index_add_(0, self._places, vector * self._signs)
