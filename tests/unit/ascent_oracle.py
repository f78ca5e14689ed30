"""A run of ascent written as one would first write it, in numpy, one run and one prompt at a time.

It shares with the engine the definitions of what is computed and the definition of the random numbers, and no code:
moments come from :mod:`curvature.moments`, advantages from :func:`curvature.advantages.group_advantages`, the
certified step from a root finder.
"""

import numpy as np
from scipy.optimize import brentq

from curvature import feature_diameter, group_advantages, moments
from curvature.advantages import Normalization
from curvature.ascent import LineSearch
from curvature.interference import overlap_matrix, span_bases

_MASK = 2**64 - 1


def mix(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def uniforms(seed, counter, count):
    golden = 0x9E3779B97F4A7C15
    key_1, key_2 = (int(k) for k in np.random.SeedSequence(seed).generate_state(2, np.uint64))
    start = mix((key_1 + golden * counter) & _MASK) ^ key_2
    return np.array([(mix((start + golden * (g + 1)) & _MASK) >> 12) * 2.0**-52 for g in range(count)])


def default_convention(method):
    spread = {"none": "none", "power": "group", "batch": "batch", "interference": "none"}[method.weighting]
    return Normalization(spread=spread, exponent=method.exponent)


def inverse_power(spread, exponent):
    return np.where(spread > 0, np.where(spread > 0, spread, 1.0) ** -exponent, 0.0)


def exact_weights(bandit, method, at, drawn):
    """a_x of the prompts drawn."""
    rho = bandit.prompt_weights[drawn] / bandit.prompt_weights[drawn].sum()
    std, mean = at.reward_std[drawn], at.expected_reward[drawn]
    if method.weighting == "none":
        return np.ones(len(drawn))
    if method.weighting == "power":
        return inverse_power(std, method.exponent)
    if method.weighting == "batch":
        spread = np.sqrt(rho @ std**2 + rho @ (mean - rho @ mean) ** 2)
        return np.full(len(drawn), inverse_power(spread, method.exponent))
    return inverse_power((overlap_matrix(bandit) @ at.reward_std)[drawn], method.exponent)


def sampled_gradients(bandit, method, convention, at, drawn, iteration, seed, G):
    """Σ_j A_j φ̄(y_j)/G of the prompts drawn, the method's interference weights included."""
    n = bandit.num_prompts
    choices, rewards = [], []
    for x in drawn:
        cumulative = np.cumsum(at.probabilities[x])
        u = uniforms(seed, iteration * (n + 1) + int(x), G) * cumulative[-1]
        choices.append([int(np.argmax(cumulative > value)) for value in u])
        rewards.append(bandit.rewards[x, choices[-1]])
    advantages = group_advantages(np.array(rewards), preset=convention)
    out = []
    for x, chosen, advantage in zip(drawn, choices, advantages, strict=True):
        score = bandit.centered_features[x] - at.probabilities[x] @ bandit.centered_features[x]
        out.append(advantage @ score[chosen] / G)
    if method.weighting == "interference":
        std = np.array([np.std(group - group[0]) for group in rewards])
        return np.array(out) * inverse_power(overlap_matrix(bandit) @ std, method.exponent)[:, None]
    return np.array(out)


class Optimiser:
    def __init__(self, method, d):
        self.method, self.t, self.squares = method, 0, 0.0
        self.m, self.v = np.zeros(d), np.zeros(d)

    def __call__(self, g):
        method = self.method
        self.t += 1
        if method.optimizer == "plain":
            return g
        if method.optimizer == "adam":
            self.m = method.beta1 * self.m + (1 - method.beta1) * g
            self.v = method.beta2 * self.v + (1 - method.beta2) * g * g
            top = self.m / (1 - method.beta1**self.t)
            under = np.sqrt(self.v / (1 - method.beta2**self.t)) + method.epsilon
        else:
            self.squares = g @ g + (self.squares if method.optimizer == "adagrad_norm" else 0.0)
            top, under = g, np.sqrt(self.squares) + method.epsilon
        return np.divide(top, under, out=np.zeros_like(g), where=top != 0)


def reach(bandit, v, width):
    if width:
        images = bandit.centered_features @ v
        high = np.where(bandit.mask, images, -np.inf).max(axis=1)
        return 0.5 * (high - np.where(bandit.mask, images, np.inf).min(axis=1))
    return 0.5 * feature_diameter(bandit) * np.linalg.norm(span_bases(bandit) @ v, axis=-1)


def certified_gain(bandit, at, v, alpha, width):
    rho = bandit.prompt_weights
    s = alpha * reach(bandit, v, width)
    return alpha * (rho @ at.gradient) @ v - rho @ (at.reward_std * (np.expm1(s) - s))


def certified_step(bandit, at, v, width):
    rho, κ = bandit.prompt_weights, reach(bandit, v, width)
    slope = (rho @ at.gradient) @ v
    if not slope > 0:
        return 0.0

    def derivative(alpha):
        return slope - rho @ (at.reward_std * κ * np.expm1(alpha * κ))

    high = 1.0
    while derivative(high) > 0:
        high *= 2.0
    return brentq(derivative, 0.0, high, xtol=1e-300, rtol=1e-15)


class Search:
    def __init__(self, rule):
        self.rule, self.last = rule, None

    def __call__(self, bandit, theta, at, v):
        rule, rho = self.rule, bandit.prompt_weights
        slope = (rho @ at.gradient) @ v
        alpha = rule.initial if self.last is None else rule.grow * self.last
        if not slope > 0:
            return 0.0
        for _ in range(rule.max_trials):
            with np.errstate(all="ignore"):
                there = moments(bandit, theta + alpha * v).expected_reward
            if rho @ (there - at.expected_reward) >= rule.slope * alpha * slope:
                self.last = alpha
                return alpha
            alpha *= rule.shrink
        return 0.0


def run(bandit, method, step, T, *, theta0=None, prompts="all", G=None, advantages=None, seed=0):
    """Return a dict of arrays: the quantities that `ascend` can record, for one run."""
    n, d = bandit.num_prompts, bandit.dimension
    theta = np.zeros(d) if theta0 is None else np.array(theta0, dtype=float)
    rho, optimiser = bandit.prompt_weights, Optimiser(method, d)
    search = Search(step) if isinstance(step, LineSearch) else None
    out = []
    for t in range(T + 1):
        at = moments(bandit, theta)
        norms = np.linalg.norm(at.gradient, axis=1)
        mean_std = rho @ at.reward_std
        row = {
            "expected_reward": rho @ at.expected_reward,
            "reward_std": mean_std,
            "reward_std_spread": np.sqrt(rho @ (at.reward_std - mean_std) ** 2),
            "largest_reward_std": at.reward_std.max(),
            "gradient_norm": rho @ norms,
            "squared_gradient_norm": rho @ norms**2,
            "squared_gradient_norm_over_std": rho @ (norms**2 * inverse_power(at.reward_std, 1.0)),
            "objective_gradient_norm": np.linalg.norm(rho @ at.gradient),
            "expected_reward_by_prompt": at.expected_reward,
            "reward_std_by_prompt": at.reward_std,
            "gradient_norm_by_prompt": norms,
            "theta": theta.copy(),
        }
        out.append(row)
        if t == T:
            break
        drawn = np.arange(n)
        if prompts == "one":
            cumulative = np.cumsum(rho)
            u = uniforms(seed, t * (n + 1) + n, 1)[0] * cumulative[-1]
            drawn = np.array([int(np.argmax(cumulative > u))])
        ω = n * rho[drawn] if prompts == "all" else np.ones(1)
        if G is None:
            weighted = exact_weights(bandit, method, at, drawn)[:, None] * at.gradient[drawn]
        else:
            convention = default_convention(method) if advantages is None else advantages
            weighted = sampled_gradients(bandit, method, convention, at, drawn, t, seed, G)
        v = optimiser(ω @ weighted)
        if search is not None:
            alpha = search(bandit, theta, at, v)
        elif isinstance(step, str):
            alpha = certified_step(bandit, at, v, step == "certified_width")
        else:
            alpha = step(t) if callable(step) else step
        row["step"] = alpha
        row["update_norm"] = np.linalg.norm(alpha * v)
        row["certified_gain"] = certified_gain(bandit, at, v, alpha, False)
        row["certified_gain_width"] = certified_gain(bandit, at, v, alpha, True)
        row["prompt"] = drawn[0] if prompts == "one" else -1
        theta = theta + alpha * v
    names = out[0].keys()
    return {name: np.array([row.get(name, np.nan) for row in out]) for name in names}
