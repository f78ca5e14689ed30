"""Property-based testing of statements about normalised policy gradients.

Strategies draw problems with the degenerate cases weighted in; assertions put the ratio of a measured value to
its bound into the failure message, and keep the instance that failed as a file that :func:`replay` reads back bit for
bit. ``docs/test-your-own-theorem.md`` takes a conjecture from its first test to a sharp bound.

Examples
--------
>>> import numpy as np
>>> from hypothesis import given
>>> from curvature import feature_diameter, moments
>>> from curvature.testing import assert_upper, bandits_with_theta
>>> @given(bandits_with_theta())
... def test_gradient_is_at_most_half_a_diameter_times_the_std(instance):
...     bandit, theta = instance
...     at = moments(bandit, theta)
...     measured = np.linalg.norm(at.gradient, axis=-1)
...     bound = 0.5 * feature_diameter(bandit) * at.reward_std
...     assert_upper(measured, bound, atol=1e-12, instance=instance)  # rounding, where D = 0
>>> test_gradient_is_at_most_half_a_diameter_times_the_std()
"""

from curvature.testing.assertions import (
    assert_identity,
    assert_lower,
    assert_sharp,
    assert_tight,
    assert_upper,
)
from curvature.testing.instances import INSTANCE_DIR, StoredInstance, replay, store_instance
from curvature.testing.logs import RolloutArrays, StdPath, rollout_logs, std_paths
from curvature.testing.multi_prompt import displacements, multi_prompt_bandits
from curvature.testing.strategies import bandits, bandits_with_theta, reward_groups, success_rates

__all__ = [
    "INSTANCE_DIR",
    "RolloutArrays",
    "StdPath",
    "StoredInstance",
    "assert_identity",
    "assert_lower",
    "assert_sharp",
    "assert_tight",
    "assert_upper",
    "bandits",
    "bandits_with_theta",
    "displacements",
    "multi_prompt_bandits",
    "replay",
    "reward_groups",
    "rollout_logs",
    "std_paths",
    "store_instance",
    "success_rates",
]
