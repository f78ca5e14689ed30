"""The processes of a run: one, or those that `accelerate launch` started, each with a share of the prompts.

Every process holds the whole policy. What one of them samples and earns is gathered, so that advantages are those of
the whole batch; gradients are added up. All then make the same update, so that parameters stay equal.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["Processes"]

# Where torchrun (which accelerate launches GPUs by) and mpirun (CPUs) say how many processes there are.
_SIZES = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")


class Processes:
    """Where this process stands among those of the run.

    Attributes
    ----------
    rank, size : int
        Its number, and how many there are.
    device : str or None
        The device that this process was given; None in a run of one process.
    """

    def __init__(self) -> None:
        self.rank, self.size, self.device = 0, 1, None
        if any(int(os.environ.get(name, "1")) > 1 for name in _SIZES):
            from accelerate import PartialState

            # A CPU is chosen where there is no GPU; accelerate reads the rest from the launcher's environment.
            state = PartialState(cpu=not torch.cuda.is_available())
            self.rank, self.size, self.device = state.process_index, state.num_processes, str(state.device)

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def share(self, items: NDArray[Any]) -> NDArray[Any]:
        """Return this process's part of a batch: neighbours, in order.

        Parameters
        ----------
        items : array (n,)
            The batch, the same everywhere.

        Returns
        -------
        array
            May be empty, if there are more processes than items.
        """
        return np.array_split(items, self.size)[self.rank]

    def gather(self, item: Any) -> list[Any]:
        """Return what every process brought, in the order of the processes.

        Parameters
        ----------
        item : object
            That pickles.

        Returns
        -------
        list
            One entry a process, the same list everywhere.
        """
        if self.size == 1:
            return [item]
        from accelerate.utils import gather_object

        return gather_object([item])

    def any(self, value: bool) -> bool:
        """Return whether it holds in any process, the same answer everywhere.

        Parameters
        ----------
        value : bool
            Here.

        Returns
        -------
        bool
            There.
        """
        return any(self.gather(value))

    def add_up(self, tensors: list[Any]) -> None:
        """Replace tensors by their sums over all processes.

        Parameters
        ----------
        tensors : list of tensor
            Of the same shapes everywhere.
        """
        if self.size == 1:
            return
        # One message of all, not one a parameter.
        flat = torch.cat([tensor.flatten().float() for tensor in tensors])
        torch.distributed.all_reduce(flat)
        start = 0
        for tensor in tensors:
            tensor.copy_(flat[start : start + tensor.numel()].view_as(tensor))
            start += tensor.numel()

    def copy_from_main(self, tensors: list[Any]) -> None:
        """Replace tensors by the main process's: every process starts from the same bits.

        Parameters
        ----------
        tensors : list of tensor
            Of the same shapes everywhere.
        """
        if self.size > 1:
            for tensor in tensors:
                torch.distributed.broadcast(tensor, 0)

    def wait(self) -> None:
        """Return when all processes have come here."""
        if self.size > 1:
            torch.distributed.barrier()
