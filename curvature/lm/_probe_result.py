"""What a probe has measured, as numbers that fit a small JSON file; every statistic follows from them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from curvature.lm._curvature_statistics import curvature_statistics, prompt_curvatures
from curvature.lm._fisher import fisher_proxy
from curvature.lm._gradient_statistics import gradient_cosines
from curvature.lm._representations import cosine_summary

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from curvature.lm._curvature_statistics import DirectionalCurvature, PromptCurvature
    from curvature.lm._fisher import FisherProxy
    from curvature.lm._gradient_statistics import GradientCosines

__all__ = ["ProbeResult"]

_FORMAT = "curvature probe 1"
_DIGITS = 8


@dataclass(frozen=True, eq=False)
class ProbeResult:
    """Measurements on n prompts with G completions each.

    Attributes
    ----------
    config : dict
        Model, parameters, sampling and versions, as JSON has them.
    keys : tuple of str
        The questions.
    rewards, lengths, finished : ndarray
        Of each completion, (n, G).
    inner, inner_halves, squared_norm, score_squared_norm, batch_fisher : ndarray
        Of the policy gradients; see :class:`curvature.lm._gradients.GradientTable`.
    directions : tuple of str
        Names of D directions: "random_0", …, and "mean_gradient", which for each prompt is the mean gradient of
        every second prompt, itself not among them.
    slopes, q : ndarray
        ⟨u, s⟩ and q_u of each completion, (D, n, G).
    representations : dict of str to ndarray
        Cosines of pairs of prompts; see :func:`curvature.lm._representations.representation_cosines`.
    """

    config: dict[str, Any]
    keys: tuple[str, ...]
    rewards: NDArray[np.float64]
    lengths: NDArray[np.int64]
    finished: NDArray[np.bool_]
    inner: NDArray[np.float64]
    inner_halves: NDArray[np.float64]
    squared_norm: NDArray[np.float64]
    score_squared_norm: NDArray[np.float64]
    batch_fisher: NDArray[np.float64]
    directions: tuple[str, ...]
    slopes: NDArray[np.float64]
    q: NDArray[np.float64]
    representations: dict[str, NDArray[np.float64]]

    @property
    def success(self) -> NDArray[np.float64]:
        """Mean reward of each prompt, (n,)."""
        return self.rewards.mean(axis=1)

    @property
    def reward_std(self) -> NDArray[np.float64]:
        """σ_x with ddof 1, (n,)."""
        return self.rewards.std(axis=1, ddof=1)

    @property
    def raw_cosines(self) -> NDArray[np.float64]:
        """Cosines of the estimated gradients of all pairs of live prompts, noise and all."""
        length = np.sqrt(np.diag(self.inner))
        live = length > 0
        cosines = self.inner[np.ix_(live, live)] / np.outer(length[live], length[live])
        return cosines[np.triu_indices(len(cosines), 1)]

    def gradients(self, *, seed: int = 0) -> GradientCosines:
        """Return the angles between gradients, as estimated and with the noise taken out.

        Parameters
        ----------
        seed : int
            Of the bootstrap.

        Returns
        -------
        GradientCosines
            The paper's Table 3 and what it hides.
        """
        return gradient_cosines(self.inner, self.inner_halves, self.squared_norm, seed=seed)

    def prompt_curvature(self, direction: str, *, seed: int = 0) -> PromptCurvature:
        """Return curvature, C_x(u) and σ_x of each prompt.

        Parameters
        ----------
        direction : str
            One of :attr:`directions`.
        seed : int
            Of the bootstrap.

        Returns
        -------
        PromptCurvature
            Arrays over prompts.
        """
        return prompt_curvatures(self.rewards, self.q[self._index(direction)], seed=seed)

    def curvature(self, direction: str, *, seed: int = 0) -> DirectionalCurvature:
        """Return how alike C_x(u) is over prompts, and the R² of "curvature ∝ σ" and "∝ V" (H5).

        Parameters
        ----------
        direction : str
            One of :attr:`directions`.
        seed : int
            Of bootstrap and shuffles.

        Returns
        -------
        DirectionalCurvature
            The numbers.
        """
        return curvature_statistics(direction, self.rewards, self.q[self._index(direction)], seed=seed)

    def fisher(self) -> FisherProxy:
        """Return the paper's Fisher proxy and its correlations.

        Returns
        -------
        FisherProxy
            Of this checkpoint; :func:`curvature.lm.probe.fisher_correlations` joins several.
        """
        return fisher_proxy(self.rewards, self.lengths, self.score_squared_norm, self.batch_fisher)

    def summary(self) -> dict[str, Any]:
        """Return every statistic by name.

        Returns
        -------
        dict
            Numbers, lists and dictionaries alone; NaN where nothing can be said.
        """
        return {
            "mean_reward": float(self.rewards.mean()),
            "silent_share": float((np.ptp(self.rewards, axis=1) == 0).mean()),
            "truncated_share": float(1 - self.finished.mean()),
            "mean_length": float(self.lengths.mean()),
            "gradients": asdict(self.gradients()),
            "curvature": [asdict(self.curvature(name)) for name in self.directions],
            "fisher": asdict(self.fisher()),
            "representations": {name: cosine_summary(value) for name, value in self.representations.items()},
        }

    def to_json(self) -> str:
        """Return the measurements and every statistic of them as JSON; NaN and ∞ are null and "inf".

        Returns
        -------
        str
            What :meth:`from_json` reads.
        """
        measured = {field.name: _plain(getattr(self, field.name)) for field in fields(self)}
        return json.dumps(
            {"format": _FORMAT, **measured, "summary": _plain(self.summary())},
            ensure_ascii=False,
            allow_nan=False,
        )

    @classmethod
    def from_json(cls, text: str) -> ProbeResult:
        """Read what :meth:`to_json` wrote; statistics are computed anew.

        Parameters
        ----------
        text : str
            JSON.

        Returns
        -------
        ProbeResult
            Its measurements, to 8 digits.

        Raises
        ------
        ValueError
            If the text is something else.
        """
        held = json.loads(text)
        if not isinstance(held, dict) or held.get("format") != _FORMAT:
            raise ValueError(f"this is no probe: its format is not {_FORMAT!r}.")
        kinds = {"lengths": np.int64, "finished": np.bool_}
        n, G = len(held["keys"]), len(held["rewards"][0])
        values: dict[str, Any] = {
            "config": held["config"],
            "keys": tuple(held["keys"]),
            "directions": tuple(held["directions"]),
            "representations": {name: np.array(row, float) for name, row in held["representations"].items()},
        }
        for field in fields(cls):
            if field.name not in values:
                values[field.name] = np.array(held[field.name], kinds.get(field.name, np.float64))
        for name in ("slopes", "q"):
            values[name] = values[name].reshape(len(values["directions"]), n, G)
        return cls(**values)

    def _index(self, direction: str) -> int:
        if direction not in self.directions:
            raise ValueError(
                f"direction is {direction!r}; the probe has {', '.join(self.directions) or 'none'}."
            )
        return self.directions.index(direction)


def _plain(value: Any) -> Any:
    """Write lists, numbers to 8 digits, null for NaN, "inf" and "-inf" by name: JSON that every reader takes."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float):
        if np.isnan(value):
            return None
        return float(f"{value:.{_DIGITS}g}") if np.isfinite(value) else str(value)
    return value
