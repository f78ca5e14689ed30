"""Hypothesis profiles: `ci` repeats itself exactly, `dev` explores, `deep` is the long search of a theorist."""

import os

from hypothesis import HealthCheck, settings

# The strategies weigh degenerate cases in, so a test that needs a gradient discards most of what is drawn.
_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
_COMMON = {"deadline": None, "suppress_health_check": _SLOW}
settings.register_profile("dev", max_examples=60, **_COMMON)
settings.register_profile("ci", max_examples=60, derandomize=True, database=None, print_blob=True, **_COMMON)
settings.register_profile("deep", max_examples=5_000, print_blob=True, **_COMMON)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") == "true" else "dev"))
