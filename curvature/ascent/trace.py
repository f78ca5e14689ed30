"""What runs leave behind: the recorded quantities, the last parameters, and why a run stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from curvature.ascent._layout import PROMPT_RECORDS, SCALAR_RECORDS

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["Trace"]


@dataclass(frozen=True, eq=False, repr=False)
class Trace:
    """The record of R runs at S iterations.

    Attributes
    ----------
    method : str
        Name of the method.
    step_rule : str
        "fixed", "schedule", "certified", "certified_width" or "line_search".
    num_steps : int
        T, the number of updates.
    iterations : ndarray of int, shape (S,)
        Which iterations are recorded: 0, every, 2·every, … and T. Entry t is before update t.
    records : mapping of str to ndarray
        (R, S) for quantities of a run, (R, S, n) for those of a prompt, (R, S, d) for "theta". NaN after a run
        was stopped; the quantities of an update ("step", …) are NaN at T, where there is none.
    theta : ndarray, shape (R, d)
        Last parameters: θ_T, or the last finite ones of a stopped run.
    seeds : ndarray of uint64, shape (R,)
        Seed of each run.
    fixed_step : ndarray, shape (R,)
        The step of each run if it is fixed, else NaN.
    stopped_at : ndarray of int, shape (R,)
        The update that would have taken a run out of range, −1 for runs that were completed.
    """

    method: str
    step_rule: str
    num_steps: int
    iterations: NDArray[np.int64]
    records: Mapping[str, NDArray[np.float64]]
    theta: NDArray[np.float64]
    seeds: NDArray[np.uint64]
    fixed_step: NDArray[np.float64]
    stopped_at: NDArray[np.int64]

    @property
    def num_runs(self) -> int:
        """The number of runs, R."""
        return len(self.stopped_at)

    @property
    def diverged(self) -> NDArray[np.bool_]:
        """Which runs were stopped, (R,)."""
        return self.stopped_at >= 0

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why each run ended: "completed", or "diverged: …" with the iteration."""
        return tuple(
            "completed"
            if t < 0
            else f"diverged: update {t} is not a number or takes θ beyond the range of finite logits"
            for t in self.stopped_at.tolist()
        )

    def __getitem__(self, quantity: str) -> NDArray[np.float64]:
        """Return a recorded quantity.

        Parameters
        ----------
        quantity : str
            Its name.

        Returns
        -------
        ndarray, shape (R, S, ...)
            The values.

        Raises
        ------
        KeyError
            If it was not recorded; the sentence lists what was.
        """
        if quantity not in self.records:
            known = ", ".join(self.records)
            raise KeyError(f"{quantity!r} was not recorded (recorded: {known}); add it to record=.")
        return self.records[quantity]

    def to_frame(self, *, by_prompt: bool = False) -> pd.DataFrame:
        """Return the records as a tidy table.

        Parameters
        ----------
        by_prompt : bool
            One row a run, iteration and prompt, with the quantities of prompts; else one row a run and iteration,
            with the quantities of runs. "theta" is in neither.

        Returns
        -------
        DataFrame
            Columns run, seed, method, step_rule, fixed_step, iteration (and prompt), then the quantities.

        Raises
        ------
        ValueError
            If by_prompt is asked for and no quantity of prompts was recorded.

        Examples
        --------
        >>> from curvature import LogLinearBandit
        >>> from curvature.ascent import ascend
        >>> trace = ascend(LogLinearBandit.two_arm([0.5]), step=[0.5, 1.0], num_steps=2, every=2)
        >>> trace.to_frame()[["run", "fixed_step", "iteration", "expected_reward"]].round(4)
           run  fixed_step  iteration  expected_reward
        0    0         0.5          0           0.5000
        1    0         0.5          2           0.6220
        2    1         1.0          0           0.5000
        3    1         1.0          2           0.7281
        """
        import pandas as pd

        names = [name for name in (PROMPT_RECORDS if by_prompt else SCALAR_RECORDS) if name in self.records]
        if by_prompt and not names:
            raise ValueError(
                f"no quantity of prompts was recorded; add one of {', '.join(PROMPT_RECORDS)} to record=."
            )
        n = self.records[names[0]].shape[2] if by_prompt else 1
        S = len(self.iterations)
        columns: dict[str, object] = {
            "run": np.repeat(np.arange(self.num_runs), S * n),
            "seed": np.repeat(self.seeds, S * n),
            "method": self.method,
            "step_rule": self.step_rule,
            "fixed_step": np.repeat(self.fixed_step, S * n),
            "iteration": np.tile(np.repeat(self.iterations, n), self.num_runs),
        }
        if by_prompt:
            columns["prompt"] = np.tile(np.arange(n), self.num_runs * S)
        columns.update({name: self.records[name].reshape(-1) for name in names})
        return pd.DataFrame(columns)

    def time_to_target(self, level: float, *, quantity: str = "expected_reward") -> NDArray[np.float64]:
        """Find the first recorded iteration at which a quantity is at least a level.

        Parameters
        ----------
        level : float
            The level.
        quantity : str
            A recorded quantity of runs.

        Returns
        -------
        ndarray, shape (R,)
            Iterations; inf for a run that never got there. No finer than `every`.

        Raises
        ------
        ValueError
            If the level is NaN or the quantity is one of prompts.
        KeyError
            If the quantity was not recorded.

        Examples
        --------
        >>> from curvature import LogLinearBandit
        >>> from curvature.ascent import ascend
        >>> trace = ascend(LogLinearBandit.two_arm([0.5]), step=1.0, num_steps=20)
        >>> trace.time_to_target(0.7).tolist(), trace.time_to_target(2.0).tolist()
        ([2.0], [inf])
        """
        values = self[quantity]
        if values.ndim != 2:
            raise ValueError(
                f"quantity is {quantity!r}, which has shape {values.shape}; one value a run is needed."
            )
        if np.isnan(level):
            raise ValueError("level is nan; a number is needed.")
        reached = values >= level
        first = self.iterations[reached.argmax(axis=1)].astype(np.float64)
        return np.where(reached.any(axis=1), first, np.inf)

    def __repr__(self) -> str:
        runs = "1 run" if self.num_runs == 1 else f"{self.num_runs} runs"
        stopped = int(self.diverged.sum())
        note = f", {stopped} diverged" if stopped else ""
        return (
            f"Trace({self.method}, {runs} of {self.num_steps} {self.step_rule} steps{note}; "
            f"recorded {', '.join(self.records)})"
        )
