"""First and second derivatives of log π of each completion along a direction of parameter space."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from curvature.lm._tail import Batch, Scorer

__all__ = ["derivatives", "random_directions", "score", "unit"]


def derivatives(
    scorer: Scorer, batch: Batch, direction: Mapping[str, torch.Tensor], *, mode: str = "auto"
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ⟨u, s⟩ and uᵀ(∇² log π)u of each completion, s = ∇ log π.

    Parameters
    ----------
    scorer : Scorer
        What is differentiated.
    batch : Batch
        B completions of one prompt.
    direction : mapping of str to torch.Tensor
        u, one tensor for each chosen parameter.
    mode : str
        "forward" (a derivative of a derivative, both forwards: no graph is kept), "backward" (two sweeps back for
        each completion), or "auto": forward, and backward where an operation has no forward rule.

    Returns
    -------
    tuple of torch.Tensor
        Both (B,).

    Raises
    ------
    ValueError
        If the mode is none of these.
    RuntimeError
        If the mode is "forward" and an operation has no forward rule.
    """
    if mode not in ("auto", "forward", "backward"):
        raise ValueError(f"mode is {mode!r}; it must be 'auto', 'forward' or 'backward'.")
    if mode != "backward":
        try:
            return _forward(scorer, batch, direction)
        except (NotImplementedError, RuntimeError):
            if mode == "forward":
                raise
    return _backward(scorer, batch, direction)


def _forward(
    scorer: Scorer, batch: Batch, direction: Mapping[str, torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """d/dt and d²/dt² of log π(θ + tu) at t = 0 by forward mode inside forward mode."""
    jvp = torch.func.jvp
    like = next(iter(direction.values()))
    zero, one = (
        torch.zeros((), dtype=like.dtype, device=like.device),
        torch.ones((), dtype=like.dtype, device=like.device),
    )

    def along(t: torch.Tensor) -> torch.Tensor:
        moved = {name: value + t * direction[name] for name, value in scorer.values.items()}
        return scorer.log_probability(moved, batch)

    def slope(t: torch.Tensor) -> Any:
        return jvp(along, (t,), (one,))[1]

    with torch.no_grad():
        return jvp(slope, (zero,), (one,))[:2]


def _backward(
    scorer: Scorer, batch: Batch, direction: Mapping[str, torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the same by the gradient of ⟨∇ log π, u⟩, one completion at a time."""
    values = {name: value.clone().requires_grad_() for name, value in scorer.values.items()}
    directions = [direction[name] for name in values]
    firsts, seconds = [], []
    for value in scorer.log_probability(values, batch):
        gradient = torch.autograd.grad(value, list(values.values()), create_graph=True)
        slope = _inner(gradient, directions)
        second = torch.autograd.grad(slope, list(values.values()), retain_graph=True, allow_unused=True)
        firsts.append(slope.detach())
        seconds.append(
            _inner(
                [torch.zeros_like(u) if s is None else s for s, u in zip(second, directions, strict=True)],
                directions,
            )
        )
    return torch.stack(firsts), torch.stack(seconds)


def _inner(left: Any, right: Any) -> torch.Tensor:
    return torch.stack([(a * b).sum() for a, b in zip(left, right, strict=True)]).sum()


def score(scorer: Scorer, batch: Batch) -> torch.Tensor:
    """Return s = ∇ log π of the one completion of a batch as a flat vector.

    Parameters
    ----------
    scorer : Scorer
        What is differentiated.
    batch : Batch
        One completion.

    Returns
    -------
    torch.Tensor
        (P,), in the order of the chosen parameters.
    """
    values = {name: value.clone().requires_grad_() for name, value in scorer.values.items()}
    total = scorer.log_probability(values, batch).sum()
    gradient = torch.autograd.grad(total, list(values.values()), allow_unused=True)
    parts = [torch.zeros_like(v) if g is None else g for g, v in zip(gradient, values.values(), strict=True)]
    return torch.cat([part.reshape(-1) for part in parts])


def unit(vector: torch.Tensor, scorer: Scorer) -> dict[str, torch.Tensor] | None:
    """Cut a flat vector into the chosen parameters' shapes at length 1; None if it is zero.

    Parameters
    ----------
    vector : torch.Tensor
        (P,).
    scorer : Scorer
        Whose parameters.

    Returns
    -------
    dict of str to torch.Tensor or None
        The direction.
    """
    length = torch.linalg.vector_norm(vector.double())
    if length == 0:
        return None
    sizes = [value.numel() for value in scorer.values.values()]
    parts = (vector / length.to(vector.dtype)).split(sizes)
    return {
        name: part.view_as(value) for part, (name, value) in zip(parts, scorer.values.items(), strict=True)
    }


def random_directions(scorer: Scorer, number: int, seed: int) -> list[dict[str, torch.Tensor]]:
    """Draw directions uniformly from the unit sphere, the same on every device.

    Parameters
    ----------
    scorer : Scorer
        Whose parameters.
    number : int
        How many.
    seed : int
        Of the draws.

    Returns
    -------
    list of dict
        Unit directions.
    """
    generator = torch.Generator().manual_seed(seed)
    like = next(iter(scorer.values.values()))
    total = sum(value.numel() for value in scorer.values.values())
    drawn = [torch.randn(total, generator=generator) for _ in range(number)]
    return [direction for vector in drawn if (direction := unit(vector.to(like), scorer)) is not None]
