"""Property-based testing of statements about normalised policy gradients.

Strategies draw problems with the degenerate cases weighted in; assertions put the ratio of a measured value to
its bound into the failure message.

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
...     assert_upper(measured, 0.5 * feature_diameter(bandit) * at.reward_std)
>>> test_gradient_is_at_most_half_a_diameter_times_the_std()
"""

from curvature.testing.assertions import assert_tight, assert_upper
from curvature.testing.strategies import bandits, bandits_with_theta, reward_groups, success_rates

__all__ = [
    "assert_tight",
    "assert_upper",
    "bandits",
    "bandits_with_theta",
    "reward_groups",
    "success_rates",
]
