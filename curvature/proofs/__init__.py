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
from curvature.proofs.counterexamples import factor_of_appendix_e_fails, sum_form_fails
from curvature.proofs.curvature_bound import curvature_constant
from curvature.proofs.first_order import ascent_remainder, gradient_constant, log_std_constant
from curvature.proofs.flow import (
    asymptotics_of_the_flow,
    escape_of_finite_groups,
    fastest_certified_weighting,
    race_of_certified_steps,
    solution_of_the_flow,
)
from curvature.proofs.group_moments import moments_of_binary_groups, variance_of_unnormalised_groups
from curvature.proofs.group_spread import fidelity_of_groups, silent_groups, unbiased_variance_of_a_group
from curvature.proofs.groups import centred_groups, expected_weight
from curvature.proofs.interference import gain_of_a_step, separable_gain, slope_under_overlap
from curvature.proofs.nearby import nearby_constant, nearby_profile
from curvature.proofs.objectives import arcsine_of_the_root, objective_of_groups
from curvature.proofs.one_correct import one_correct_profile
from curvature.proofs.one_step import ascending_step_of_grpo, short_gradients
from curvature.proofs.paper_identities import explicit_updates, orthogonal_prompts, success_in_the_ball
from curvature.proofs.paper_lemmas import lemma_3_1, lemma_3_2, lemma_3_3
from curvature.proofs.paper_theorems import theorem_3_1, theorem_3_2, theorem_3_3, theorem_3_4
from curvature.proofs.rates import (
    certified_step_of_grpo,
    certified_step_of_reinforce,
    psi_over_square,
    rate_of_certified_steps,
    smooth_step_of_reinforce,
)
from curvature.proofs.related_results import gradient_bound_of_razin, non_uniform_smoothness
from curvature.proofs.remainder import exact_remainder
from curvature.proofs.sharper_theorems import (
    theorem_3_1_sharper,
    theorem_3_2_sharper,
    theorem_3_3_sharper,
    theorem_3_4_sharper,
)
from curvature.proofs.smooth_ascent import smooth_rate
from curvature.proofs.speedups import (
    ratio_at_exact_steps,
    ratio_of_short_steps,
    ratio_with_the_sharpest_curvature,
    two_factors_of_the_std,
)
from curvature.proofs.thresholds import (
    best_step_threshold,
    binary_threshold,
    paper_threshold,
    sharp_threshold,
    smoothness_threshold,
    weighted_improvement,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["PROOFS", "Proof", "ProofError"]

PROOFS: Mapping[str, Callable[..., Proof]] = MappingProxyType({
    "L1": gradient_constant,
    "L3": log_std_constant,
    "L4": ascent_remainder,
    "L2": curvature_constant,
    "C1": binary_profile,
    "C1-maximum": binary_profile_maximum,
    "C1-order": binary_profile_order,
    "C1-A1": one_correct_profile,
    "eq-5": explicit_updates,
    "Lemma D.1": orthogonal_prompts,
    "Lemma 3.3-ball": success_in_the_ball,
    "Lemma 3.1": lemma_3_1,
    "Lemma 3.2": lemma_3_2,
    "Lemma 3.3": lemma_3_3,
    "Theorem 3.1": theorem_3_1,
    "Theorem 3.2": theorem_3_2,
    "Theorem 3.3": theorem_3_3,
    "Theorem 3.4": theorem_3_4,
    "Theorem 3.1-sharper": theorem_3_1_sharper,
    "Theorem 3.2-sharper": theorem_3_2_sharper,
    "Theorem 3.3-sharper": theorem_3_3_sharper,
    "Theorem 3.4-sharper": theorem_3_4_sharper,
    "smooth-rate": smooth_rate,
    "Theorem 3.2-sum": sum_form_fails,
    "eq-32": factor_of_appendix_e_fails,
    "threshold": paper_threshold,
    "threshold-step": best_step_threshold,
    "threshold-sharp": sharp_threshold,
    "threshold-smoothness": smoothness_threshold,
    "threshold-binary": binary_threshold,
    "improvement": weighted_improvement,
    "psi": psi_over_square,
    "T1": certified_step_of_grpo,
    "T2": certified_step_of_reinforce,
    "T3": rate_of_certified_steps,
    "C1-step": smooth_step_of_reinforce,
    "T4": two_factors_of_the_std,
    "T5": ratio_of_short_steps,
    "T5-short": ratio_at_exact_steps,
    "T5-curvature": ratio_with_the_sharpest_curvature,
    "B1": gain_of_a_step,
    "B2-slope": slope_under_overlap,
    "B2": separable_gain,
    "D1": expected_weight,
    "D1-mean": centred_groups,
    "D2": silent_groups,
    "D1-variance": unbiased_variance_of_a_group,
    "fidelity": fidelity_of_groups,
    "D3": moments_of_binary_groups,
    "D3-any": variance_of_unnormalised_groups,
    "II.6-flow": solution_of_the_flow,
    "II.6-limits": asymptotics_of_the_flow,
    "II.6-groups": escape_of_finite_groups,
    "II.6-race": race_of_certified_steps,
    "II.6-fastest": fastest_certified_weighting,
    "arcsine": arcsine_of_the_root,
    "D1-objective": objective_of_groups,
    "Mei-A1": non_uniform_smoothness,
    "Razin-L1": gradient_bound_of_razin,
    "C1-window": nearby_profile,
    "Lemma 3.3-sharp": nearby_constant,
    "L4-exact": exact_remainder,
    "one-step-C1": ascending_step_of_grpo,
    "one-step-short": short_gradients,
})
"""Every proof by name; called without arguments it proves the constants as claimed."""
