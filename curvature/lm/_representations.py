"""How alike prompts look to the model: cosines between their hidden states before the last block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["cosine_summary", "representation_cosines"]


def representation_cosines(policy: Any, prompts: Sequence[Any]) -> dict[str, NDArray[np.float64]]:
    """Return cosines of all pairs of prompts, for means over positions and last positions, raw and centred.

    The paper's Fig. 1 pools "penultimate hidden states" and does not say how, nor whether they are centred. A common
    component that every prompt has makes raw cosines large; centring takes it out and makes their mean −1/(n − 1).

    Parameters
    ----------
    policy : Policy
        The model.
    prompts : sequence of arrays
        Tokens of n prompts.

    Returns
    -------
    dict of str to ndarray
        "mean_pooled", "mean_pooled_centred", "last_token", "last_token_centred": upper triangles, (n(n−1)/2,).
    """
    # Here and not above: who reads stored cosines needs no torch.
    import torch

    model = policy.network.model
    pooled, last = [], []
    with torch.no_grad():
        for prompt in prompts:
            ids = torch.as_tensor(np.asarray(prompt), device=policy.device)[None].long()
            hidden = model.base_model(input_ids=ids, output_hidden_states=True).hidden_states[-2][0].double()
            pooled.append(hidden.mean(0).cpu().numpy())
            last.append(hidden[-1].cpu().numpy())
    found = {}
    for name, rows in (("mean_pooled", np.array(pooled)), ("last_token", np.array(last))):
        found[name] = _cosines(rows)
        found[f"{name}_centred"] = _cosines(rows - rows.mean(0))
    return found


def _cosines(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    directions = np.divide(rows, length, out=np.full_like(rows, np.nan), where=length > 0)
    return (directions @ directions.T)[np.triu_indices(len(rows), 1)]


def cosine_summary(cosines: NDArray[np.float64]) -> dict[str, float]:
    """Summarise as the paper does: mean and standard deviation of |cos|, share below 0.15.

    Parameters
    ----------
    cosines : ndarray
        Of pairs.

    Returns
    -------
    dict of str to float
        "mean_absolute", "std_absolute", "share_below_0.15", "mean"; empty without pairs.
    """
    known = cosines[np.isfinite(cosines)]
    if not known.size:
        return {}
    size = abs(known)
    return {
        "mean": float(known.mean()),
        "mean_absolute": float(size.mean()),
        "std_absolute": float(size.std()),
        "share_below_0.15": float((size < 0.15).mean()),
    }
