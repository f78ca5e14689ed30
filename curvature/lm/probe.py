"""Probe a language model: gradients of prompts and their angles, curvature along directions, the Fisher proxy.

All of it comes from G completions of each of n prompts, drawn by the policy itself, and from derivatives of
log π(completion | prompt) at the temperature of the draw, by some of the parameters. Nothing is trained.

Noise
-----
A gradient estimated from G completions is mostly noise when G is small. The noises of two prompts are independent,
so their inner product is right on average, but each length is too large: the raw cosine is too near to zero by the
share of signal in the squared lengths, and gradients look orthogonal that are not. The probe reports raw cosines, as
the paper does, and beside them what is unbiased. The same holds for curvature: an estimated Cov(r, q_u) of nothing
has a size proportional to σ, so each R² comes with that of shuffled rewards.

Assumption A4
-------------
A4 asks for M with M⟨g_i, g_j⟩ ≥ ‖X_i g_j‖²/‖X_i‖² for all i ≠ j. A language model has no X_i, and the paper does not
say what it computed. For any X_i the right side is at most ‖g_j‖², so M⟨g_i, g_j⟩ ≥ ‖g_j‖² is enough, and the least
such M = max ‖g_j‖/(‖g_i‖ cos(g_i, g_j)) is an upper bound of A4's; an inner product ≤ 0 leaves none (unless
X_i g_j = 0).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from curvature.lm._directional import derivatives, random_directions, unit
from curvature.lm._fisher import FisherCorrelations, FisherProxy, fisher_correlations
from curvature.lm._gradient_statistics import GradientCosines, gradient_cosines
from curvature.lm._gradients import GradientCollector
from curvature.lm._probe_result import ProbeResult
from curvature.lm._representations import representation_cosines
from curvature.lm._sketch import CountSketch
from curvature.lm._tail import Scorer, made_ready, select_parameters

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from curvature.lm._tail import Batch

__all__ = [
    "FisherCorrelations",
    "FisherProxy",
    "GradientCosines",
    "ProbeResult",
    "fisher_correlations",
    "gradient_cosines",
    "probe",
]


def probe(
    policy: Any,
    questions: Sequence[Any],
    *,
    task: Any = None,
    group_size: int = 8,
    seed: int = 0,
    step: int = 0,
    max_new_tokens: int = 160,
    temperature: float = 1.0,
    parameters: str | None = None,
    sketch: int | None = None,
    directions: int = 2,
    grader: Any = None,
    samples: Any = None,
    rewards: ArrayLike | None = None,
    micro_batch_tokens: int = 4096,
    progress: bool = False,
) -> ProbeResult:
    """Measure policy gradients, curvature ∂²_uJ_x = Cov(r, q_u), C_x(u) = sd(q_u), and the Fisher proxy of prompts.

    Gradients are ĝ_x = (1/G) Σ_k (r_k − mean of the others) ∇log π(y_k), unbiased for ∇J_x. q_u = ⟨u, s⟩² +
    uᵀ(∇² log π)u of each completion comes from two nested forward-mode derivatives. Half-precision weights are held
    as float32 meanwhile.

    Ours, theory II.7 and H5; the paper's §4.1–4.3 and F, arXiv:2601.23135v1. Kind: estimate.
    Holds when: completions were drawn by this policy at this temperature.

    Parameters
    ----------
    policy : Policy
        Left as it was.
    questions : sequence of Question
        n of them.
    task : Task, optional
        Says how answers are graded and where a completion stops; needed unless `rewards` or a `grader` is given.
    group_size : int
        G ≥ 4 completions a prompt; two halves of at least two are needed to tell signal from noise.
    seed, step : int
        Of the draws, as :func:`curvature.lm.sampling.sample_groups` takes them, and of sketch and directions (by
        `seed` alone). `step` is kept as the checkpoint's.
    max_new_tokens : int
        Tokens a completion may have.
    temperature : float
        Of the draws and of log π.
    parameters : str, optional
        "lora", "last_layer", "all", or a regular expression searched for in the names of parameters. Adapters where
        there are any, else the last layer, if left out.
    sketch : int, optional
        Keep a count-sketch of so many numbers of each gradient; without it P numbers three times for each prompt.
    directions : int
        Random unit directions u. The mean gradient is added where there are at least two prompts and it is not
        zero; each prompt is probed along that of every second prompt, itself not among them, since a direction
        made of the very completions would bias their covariance.
    grader : Grader, optional
        Grades completions; one is opened if left out.
    samples : Samples, optional
        Completions drawn before from this policy, instead of fresh ones.
    rewards : array_like, shape (n·G,) or (n, G), optional
        Instead of grading.
    micro_batch_tokens : int
        Tokens a batch of second derivatives may have; one completion always passes.
    progress : bool
        Show a bar on standard error.

    Returns
    -------
    ProbeResult
        The numbers, without the vectors.

    Raises
    ------
    ValueError
        If an argument is outside its domain, or samples, rewards and questions do not belong together.

    Notes
    -----
    Symbols: group_size = G, reward_std = σ, coefficient = C_x(u). Memory: 3n·(P or sketch) numbers, G·(P or sketch)
    for one prompt, P for each direction, and the hidden states below the first probed block. Time: a sweep back for
    each completion, and about four forward passes of the probed blocks for each direction.

    Examples
    --------
    >>> from curvature.lm.tasks import arithmetic
    >>> from curvature.lm.tiny import tiny_policy
    >>> task = arithmetic(3, seed=0)
    >>> found = probe(tiny_policy(width=16, layers=1), task.questions, task=task, group_size=4, max_new_tokens=3)
    >>> found.inner.shape, found.q.shape
    ((3, 3), (2, 3, 4))
    """
    n = len(questions)
    if group_size < 4:
        raise ValueError(
            f"group_size is {group_size}; a probe needs at least 4, two for each half of a group."
        )
    if n < 1 or directions < 0:
        raise ValueError(f"there are {n} questions and {directions} directions; at least 1 and 0 are needed.")
    if rewards is None and task is None and grader is None:
        raise ValueError(
            "there is no task, grader or rewards; one of them must say which completions are right."
        )
    kind = parameters or ("lora" if policy.has_adapters else "last_layer")
    chosen = select_parameters(policy, kind)
    draw = {"max_new_tokens": max_new_tokens, "temperature": temperature, "seed": seed, "step": step}
    if samples is None:
        samples = _draw(policy, questions, task, {"group_size": group_size, **draw})
    _check_samples(samples, n, group_size)
    r = _read_rewards(rewards, samples, questions, task, grader).reshape(n, group_size)
    with made_ready(policy.model), _bar(n * (group_size + directions + 1), progress) as bar:
        scorer = Scorer(policy, chosen, temperature)
        size = sum(value.numel() for value in scorer.values.values())
        groups = [_micro_batches(scorer, samples, i, group_size, micro_batch_tokens) for i in range(n)]
        keep = (lambda s: s) if sketch is None else CountSketch(size, sketch, seed, policy.device)
        collector = _collect(GradientCollector(scorer, keep), groups, r, bar)
        ways = _directions(scorer, collector, directions, seed)
        slopes, q = _curve(scorer, groups, ways, r.shape, bar)
        representations = representation_cosines(policy, samples.prompt_ids)
    return ProbeResult(
        config={
            "model": policy.name,
            "num_parameters": policy.num_parameters,
            "parameters": kind,
            "num_probed": size,
            "sketch": sketch,
            "task": getattr(task, "name", None),
            "template": getattr(task, "template", None),
            "group_size": group_size,
            **draw,
            "versions": _versions(),
        },
        keys=tuple(question.key for question in questions),
        rewards=r,
        lengths=np.array([len(row) for row in samples.completion_ids]).reshape(r.shape),
        finished=np.asarray(samples.finished, dtype=bool).reshape(r.shape),
        **vars(collector.table()),
        directions=tuple(ways),
        slopes=slopes,
        q=q,
        representations=representations,
    )


def _draw(policy: Any, questions: Sequence[Any], task: Any, settings: dict[str, Any]) -> Any:
    from curvature.lm.sampling import sample_groups

    return sample_groups(policy, questions, **settings, stop=getattr(task, "stop", ()))


def _check_samples(samples: Any, n: int, group_size: int) -> None:
    have = len(samples.completion_ids), len(samples.prompt_ids)
    if have != (n * group_size, n):
        raise ValueError(
            f"samples hold {have[0]} completions of {have[1]} prompts; "
            f"{n} questions in groups of {group_size} are asked for."
        )


def _read_rewards(
    rewards: ArrayLike | None, samples: Any, questions: Sequence[Any], task: Any, grader: Any
) -> NDArray[np.float64]:
    """Take the rewards that are given, or grade every completion."""
    r = _grade(samples, questions, task, grader) if rewards is None else np.asarray(rewards, dtype=float)
    number = len(samples.completion_ids)
    if r.size != number or not np.isfinite(r).all():
        raise ValueError(f"rewards have shape {r.shape}; {number} finite numbers are needed.")
    return r


def _grade(samples: Any, questions: Sequence[Any], task: Any, grader: Any) -> NDArray[np.float64]:
    from contextlib import nullcontext

    from curvature.lm.grading import Grader, grade_samples

    with nullcontext(grader) if grader is not None else Grader(task.grading) as judge:
        return grade_samples(judge, samples, questions)


def _micro_batches(
    scorer: Scorer, samples: Any, prompt: int, group_size: int, most: int
) -> list[tuple[NDArray[np.int64], Batch]]:
    """Completions of one prompt in order of length, as many at once as `most` padded tokens allow."""
    ids = samples.prompt_ids[prompt]
    rows = list(samples.completion_ids[prompt * group_size : (prompt + 1) * group_size])
    groups: list[list[int]] = [[]]
    for k in np.argsort([len(row) for row in rows], kind="stable"):
        if groups[-1] and (len(groups[-1]) + 1) * (len(ids) + len(rows[k])) > most:
            groups.append([])
        groups[-1].append(int(k))
    return [(np.array(taken), scorer.batch(ids, [rows[k] for k in taken])) for taken in groups]


def _collect(collector: GradientCollector, groups: list[Any], rewards: NDArray[np.float64], bar: Any) -> Any:
    """Feed every completion of every prompt to the collector, in the order of the rewards."""
    for batches, r in zip(groups, rewards, strict=True):
        places = {int(k): (batch, j) for rows, batch in batches for j, k in enumerate(rows)}
        collector.add(r, [places[k][0].row(places[k][1]) for k in range(len(r))])
        bar.update(len(r))
    return collector


def _directions(
    scorer: Scorer, collector: GradientCollector, number: int, seed: int
) -> dict[str, tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]]:
    """Directions by name, each for prompts of even and of odd place: the mean gradient is that of the other kind."""
    drawn = random_directions(scorer, number, seed)
    ways = {f"random_{k}": (u, u) for k, u in enumerate(drawn)}
    sums = [total for total in collector.fold_sums if total is not None]
    folds = [unit(total, scorer) for total in sums]
    if len(folds) == 2 and folds[0] is not None and folds[1] is not None:
        ways["mean_gradient"] = (folds[1], folds[0])
    return ways


def _curve(
    scorer: Scorer, groups: list[Any], ways: dict[str, Any], shape: tuple[int, ...], bar: Any
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """⟨u, s⟩ and q_u of every completion along every direction, (D, n, G) each."""
    slopes, q = np.zeros((2, len(ways), *shape))
    for i, batches in enumerate(groups):
        for rows, batch in batches:
            for d, way in enumerate(ways.values()):
                first, second = derivatives(scorer, batch, way[i % 2])
                slopes[d, i, rows] = first.double().cpu().numpy()
                q[d, i, rows] = (first.double() ** 2 + second.double()).cpu().numpy()
        bar.update(len(ways))
    return slopes, q


def _bar(total: int, shown: bool) -> Any:
    from tqdm import tqdm

    return tqdm(total=total, desc="probing", disable=not shown)


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    names: Iterable[str] = ("curvature", "numpy", "torch", "transformers")
    return {name: version(name) for name in names}
