"""The curvature bounds of arXiv:2601.23135v1, with the paper's own constants.

Each function states one lemma for one prompt. The paper writes X_max = max_i ‖X_i‖ over the prompts; each
bound holds with the prompt's own ‖X_i‖ as well, which is what :func:`curvature.geometry.spectral_norm`
returns. X is not unchanged when all features of a prompt are shifted by a vector, although the policy is:
:func:`curvature.geometry.center` the features first and every bound here can only get tighter.

The paper assumes one correct response a prompt (A1). Nothing in the proofs of its Lemmas 3.1–3.3 needs it:
they hold for any binary rewards, with p the probability of a correct response. The sharp constants are in
:mod:`curvature.bounds.sharp`.

On precision: p is used as it stands, so a success probability near 0 keeps its full relative precision; 1 − p
is exact in floating point for p ≥ 1/2, but p itself cannot come closer to 1 than 1.1e-16 without being 1. Near
certain success, pass the *failure* probability: these bounds are symmetric in p ↔ 1 − p.
"""

from curvature.bounds._paper_lemmas import (
    gradient_norm,
    hessian_norm,
    hessian_norm_global,
    hessian_norm_nearby,
    nearby_radius,
)
from curvature.bounds._paper_theorems import PaperRate, theorem_3_1, theorem_3_2, theorem_3_3, theorem_3_4

__all__ = [
    "PaperRate",
    "gradient_norm",
    "hessian_norm",
    "hessian_norm_global",
    "hessian_norm_nearby",
    "nearby_radius",
    "theorem_3_1",
    "theorem_3_2",
    "theorem_3_3",
    "theorem_3_4",
]
