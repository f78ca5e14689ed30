"""Proofs of the constants: each a function that derives its statement symbolically, or raises.

A proof here is code that would fail if the constant changed: every constant is a keyword argument, each step
is decided exactly (a polynomial identity, a comparison of algebraic numbers, or the sign of a polynomial on an
interval by isolating its real roots) and :class:`ProofError` names the step that does not hold. What a proof
takes for granted is listed in its ``assumptions``. sympy is loaded when a proof is run, not before.

>>> proof = PROOFS["L2"]()
>>> proof.statement
'‖∇²J‖ ≤ 1/4·D²·σ, with equality for two responses at p(1 − p) = 1/8'
>>> PROOFS["L2"](constant="0.2475")
Traceback (most recent call last):
...
curvature.proofs._derivation.ProofError: L2: the step “V(s) ≤ constant² where s ≤ 3/16” does not hold: ...
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from curvature.proofs._derivation import Proof, ProofError
from curvature.proofs.binary_profile import binary_profile, binary_profile_maximum, binary_profile_order
from curvature.proofs.curvature_bound import curvature_constant
from curvature.proofs.first_order import ascent_remainder, gradient_constant, log_std_constant
from curvature.proofs.one_correct import one_correct_profile
from curvature.proofs.paper_lemmas import lemma_3_1, lemma_3_2, lemma_3_3

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["PROOFS", "Proof", "ProofError"]

PROOFS: Mapping[str, Callable[..., Proof]] = MappingProxyType({
    "L1": gradient_constant,
    "L2": curvature_constant,
    "L3": log_std_constant,
    "L4": ascent_remainder,
    "C1": binary_profile,
    "C1-maximum": binary_profile_maximum,
    "C1-order": binary_profile_order,
    "C1-A1": one_correct_profile,
    "Lemma 3.1": lemma_3_1,
    "Lemma 3.2": lemma_3_2,
    "Lemma 3.3": lemma_3_3,
})
"""Every proof by name; called without arguments it proves the constants as claimed."""
