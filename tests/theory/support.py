"""What the theory tests share: hypothesis instances of an inequality, and the three things asked of a bound."""

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from curvature import feature_diameter
from curvature.adversary import worst_case
from curvature.ledger import Verdict
from curvature.ledger.evidence import evidence_of
from curvature.ledger.verdicts import judge_upper
from curvature.testing import assert_upper, bandits_with_theta


@st.composite
def instances_of(draw, inequality, rewards):
    """Draw a bandit, a θ and, for a claim about two points, a displacement within its reach for each prompt."""
    bandit, theta = draw(bandits_with_theta(rewards=rewards))
    if inequality.reach is None:
        return bandit, theta, None
    size = bandit.num_prompts * bandit.dimension
    raw = draw(st.lists(st.floats(-1, 1), min_size=size, max_size=size))
    direction = np.array(raw).reshape(bandit.num_prompts, bandit.dimension)
    norm = np.linalg.norm(direction, axis=1, keepdims=True)
    direction = np.where(norm > 1e-6, direction / np.maximum(norm, 1e-6), 0.0)
    least, largest = inequality.reach(bandit, theta)
    part = draw(st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1)))
    return bandit, theta, (least + part * (largest - least))[:, None] * direction


def assert_holds(inequality, instance, *, rounding=0.0):
    """Assert measured ≤ bound for every prompt of the instance that has two different features."""
    bandit, theta, displacement = instance
    measured, bound = inequality.sides(bandit, theta, displacement)
    # Where all features are equal J is constant and both sides are rounding.
    varies = feature_diameter(bandit) > 0
    assert_upper(measured[varies], bound[varies] + rounding, name=inequality.name)


def assert_constant(inequality, least, largest, *, shapes=((2, 1), (3, 1)), **search):
    """Assert that the search reaches ``least`` of the bound, and never more than ``largest``; return the best."""
    options = {"starts": 150, "restarts": 2, "polish": False} | search
    found = [worst_case(inequality, num_responses=K, dimension=d, **options) for K, d in shapes]
    best = max(found, key=lambda one: one.ratio)
    assert least <= best.ratio <= largest, f"{inequality.name}: {best.ratio} is outside [{least}, {largest}]"
    return best


def assert_sharp(inequality, **search):
    """Assert that a bound is reached to 1/1000, holds where the search looked, and is broken if cut by 1 %."""
    best = assert_constant(inequality, 0.999, 1 + 1e-9, **search)
    assert judge_upper(evidence_of(inequality, best)).verdict is Verdict.HOLDS
    assert_broken_when_cut(inequality, best, 0.99)


def assert_broken_when_cut(inequality, found, factor):
    """Assert that the instance breaks the bound multiplied by ``factor``, and that the ledger would say so."""

    def sides(bandit, theta, displacement):
        measured, bound = inequality.sides(bandit, theta, displacement)
        return measured, factor * bound

    cut = replace(inequality, sides=sides)
    broken = replace(found, ratio=found.replay(cut))
    assert broken.ratio > 1
    assert judge_upper(evidence_of(cut, broken)).verdict is Verdict.FAILS
