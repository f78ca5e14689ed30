"""The optimiser of a run: torch's own, stepped in 32 bits, its learning rate a function of the step alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from curvature.lm.config import TrainConfig

__all__ = ["Optimizer", "learning_rate"]

_MASTER = "master"


def learning_rate(config: TrainConfig, step: int) -> float:
    """Return the learning rate of a step.

    Parameters
    ----------
    config : TrainConfig
        Says the schedule.
    step : int
        From 0.

    Returns
    -------
    float
        Above 0 at every step of the run.
    """
    rate = config.learning_rate
    if step < config.warmup_steps:
        return rate * (step + 1) / config.warmup_steps
    left = (config.steps - step) / max(config.steps - config.warmup_steps, 1)
    if config.schedule == "linear":
        return rate * left
    if config.schedule == "cosine":
        return rate * 0.5 * (1 - math.cos(math.pi * left))
    return rate


class Optimizer:
    """Steps the trainable parameters of a policy; those of less than 32 bits by way of copies in 32 bits.

    A step of 1e-6 is lost on a weight of 16 bits, which tells apart no more than 1 and 1.008.

    Parameters
    ----------
    config : TrainConfig
        Which optimiser.
    parameters : list of (str, Parameter)
        Trainable ones, by name.
    """

    def __init__(self, config: TrainConfig, parameters: list[tuple[str, Any]]) -> None:
        self._parameters = parameters
        self._stepped = [
            value if value.dtype in {torch.float32, torch.float64} else value.detach().float()
            for _, value in parameters
        ]
        if config.optimizer == "adamw":
            self._torch: torch.optim.Optimizer = torch.optim.AdamW(
                self._stepped,
                lr=config.learning_rate,
                betas=config.betas,
                eps=config.eps,
                weight_decay=config.weight_decay,
            )
        else:
            self._torch = torch.optim.SGD(
                self._stepped,
                lr=config.learning_rate,
                momentum=config.momentum,
                weight_decay=config.weight_decay,
            )

    def zero_gradients(self) -> None:
        """Set all gradients to zero, not to None: a step without a live group still decays the moments."""
        for _, value in self._parameters:
            value.grad = torch.zeros_like(value)

    def gradients(self) -> list[Any]:
        """Return the gradients of the parameters.

        Returns
        -------
        list of tensor
            In the parameters' order.
        """
        return [value.grad for _, value in self._parameters]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Make an update.

        Parameters
        ----------
        rate : float
            Learning rate.
        """
        self._torch.param_groups[0]["lr"] = rate
        for (_, value), stepped in zip(self._parameters, self._stepped, strict=True):
            if stepped is not value:
                stepped.grad = value.grad.float()
        self._torch.step()
        self._write_back()

    def _write_back(self) -> None:
        for (_, value), stepped in zip(self._parameters, self._stepped, strict=True):
            if stepped is not value:
                value.copy_(stepped)

    def state(self) -> dict[str, Any]:
        """Return what the next update depends on besides the parameters.

        Returns
        -------
        dict of str to tensor
            By "parameter/entry", on the CPU.
        """
        found = {}
        for (name, value), stepped in zip(self._parameters, self._stepped, strict=True):
            entries = dict(self._torch.state.get(stepped, {}))
            if stepped is not value:
                entries[_MASTER] = stepped
            for entry, tensor in entries.items():
                if isinstance(tensor, torch.Tensor):  # SGD without momentum keeps a None
                    found[f"{name}/{entry}"] = tensor.detach().cpu().clone()
        return found

    @torch.no_grad()
    def load_state(self, state: Mapping[str, Any]) -> None:
        """Put back what :meth:`state` returned, after the parameters were put back.

        Parameters
        ----------
        state : mapping of str to tensor
            Of an optimiser of the same settings.
        """
        by_name: dict[str, dict[str, Any]] = {}
        for key, tensor in state.items():
            name, _, entry = key.rpartition("/")
            by_name.setdefault(name, {})[entry] = tensor
        for (name, value), stepped in zip(self._parameters, self._stepped, strict=True):
            entries = by_name.get(name, {})
            if stepped is not value:
                stepped.copy_(entries.pop(_MASTER, value))
            # Adam counts its steps on the CPU, whatever the parameters' device.
            self._torch.state[stepped] = {
                entry: tensor.clone() if entry == "step" else tensor.to(stepped.device, copy=True)
                for entry, tensor in entries.items()
            }
        self._write_back()
