"""Statistics of a probe on synthetic groups whose truth is known."""

from itertools import permutations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from curvature.lm._curvature_statistics import curvature_statistics, prompt_curvatures
from curvature.lm._fisher import pearson
from curvature.lm._gradient_statistics import gradient_cosines
from curvature.lm._gradients import leave_one_out_weights, unbiased_squared_norm
from curvature.lm._sketch import CountSketch


def quadruples(rewards, gram):
    """The mean over all ways of two independent two-sample gradients, written out."""
    total, count = 0.0, 0
    for a, b, c, d in permutations(range(len(rewards)), 4):
        inner = gram[a, c] - gram[a, d] - gram[b, c] + gram[b, d]
        total += (rewards[a] - rewards[b]) * (rewards[c] - rewards[d]) * inner / 4
        count += 1
    return total / count


@pytest.mark.parametrize("group_size", [4, 5, 8])
def test_closed_form_of_the_squared_norm_is_the_mean_over_quadruples(group_size):
    rng = np.random.default_rng(group_size)
    scores, rewards = rng.normal(size=(group_size, 6)), rng.normal(size=group_size)
    gram = scores @ scores.T
    assert unbiased_squared_norm(rewards, gram) == pytest.approx(quadruples(rewards, gram), rel=1e-10)


def test_equal_rewards_have_no_gradient_and_no_length():
    assert unbiased_squared_norm(np.ones(6), np.eye(6)) == 0
    assert not leave_one_out_weights(np.ones(6)).any()


def synthetic_groups(cosine, *, n=60, G=8, dimension=400, noise=1.0, seed=0):
    """Estimates of n gradients with this cosine between all pairs, from groups of G noisy scores of 0/1 rewards."""
    rng = np.random.default_rng(seed)
    shared, own = rng.normal(size=dimension), rng.normal(size=(n, dimension))
    shared /= np.linalg.norm(shared)
    own -= np.outer(own @ shared, shared)
    own = np.linalg.qr(own.T)[0].T[:n]  # exactly orthogonal to each other and to the shared part
    means = np.sqrt(cosine) * shared + np.sqrt(1 - cosine) * own
    kept, squared = np.zeros((3, n, dimension)), np.zeros(n)
    for i in range(n):
        rewards = rng.integers(2, size=G).astype(float)
        scores = (rewards - 0.5)[:, None] * means[i] * 4 + noise * rng.normal(size=(G, dimension))
        half = G // 2
        kept[0, i] = leave_one_out_weights(rewards) @ scores
        kept[1, i] = leave_one_out_weights(rewards[:half]) @ scores[:half]
        kept[2, i] = leave_one_out_weights(rewards[half:]) @ scores[half:]
        squared[i] = unbiased_squared_norm(rewards, scores @ scores.T)
    inner = kept @ kept.transpose(0, 2, 1)
    return inner[0], inner[1:], squared


def test_gradients_at_sixty_degrees_look_orthogonal_in_groups_of_eight():
    # every pair has cosine 0.5; one draw at a fixed seed, 95 % interval
    found = gradient_cosines(*synthetic_groups(0.5))
    assert found.raw_mean < 0.05
    assert found.raw_small_share > 0.85  # "near-orthogonal", as in the paper's table
    assert found.raw_negative_share > 0.2
    assert found.raw_mean == pytest.approx(0.5 * found.reliability, abs=0.02)  # attenuation
    assert found.pooled_interval[0] < 0.5 < found.pooled_interval[1]
    assert found.pooled == pytest.approx(0.5, abs=0.1)
    assert found.root_mean_square == pytest.approx(0.5, abs=0.1)
    assert found.omega < 0.05 < 0.3 < found.raw_omega  # truth: 1/(1 + 59/2) = 0.033


def test_orthogonal_gradients_are_told_from_those_by_the_corrected_mean_and_not_by_the_raw_one():
    found = gradient_cosines(*synthetic_groups(0.0))
    assert found.raw_small_share > 0.85
    assert found.pooled_interval[0] < 0 < found.pooled_interval[1]
    assert found.pooled_interval[1] < 0.2
    assert abs(found.sign_agreement - 0.5) < 0.06


def test_precise_gradients_need_no_correction():
    found = gradient_cosines(*synthetic_groups(0.5, noise=1e-3))
    assert found.reliability == pytest.approx(1, abs=0.03)  # the draw of the rewards is left
    assert found.raw_mean == pytest.approx(0.5, abs=1e-3)
    assert np.median(found.corrected) == pytest.approx(0.5, abs=1e-2)
    assert found.sign_agreement == 1


def test_pooled_cosine_is_right_on_average_over_runs():
    # 40 runs; the mean of the ratio has standard error about .02, the band is four of them
    values = [gradient_cosines(*synthetic_groups(0.3, n=30, seed=seed)).pooled for seed in range(40)]
    assert np.mean(values) == pytest.approx(0.3, abs=0.06)


def test_exact_gradients_give_the_papers_statistics():
    g = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]])
    inner = g @ g.T
    found = gradient_cosines(inner, np.stack([inner, inner]), np.diag(inner))
    cosines = [1 / np.sqrt(2), 0, 1 / np.sqrt(2)]
    assert found.raw_mean == pytest.approx(np.mean(cosines))
    assert found.raw_small_share == pytest.approx(1 / 3)
    assert found.raw_omega == found.omega == pytest.approx(7 / 13)
    assert found.a4_raw == np.inf
    assert found.a4_positive == pytest.approx(2)  # ‖g_j‖²/⟨g_i, g_j⟩ is 2/1, 1/1, 4/2, 2/2
    assert found.reliability == 1
    assert found.sign_agreement == 1


def test_a4_factor_satisfies_a4_for_any_features_and_none_smaller_does():
    rng = np.random.default_rng(0)
    g = rng.normal(size=(5, 30)) * 0.3 + 1
    inner = g @ g.T
    found = gradient_cosines(inner, np.stack([inner, inner]), np.diag(inner))
    off = ~np.eye(5, dtype=bool)
    squared = np.broadcast_to(np.diag(inner), (5, 5))
    assert (found.a4_raw * inner[off] >= squared[off] * (1 - 1e-12)).all()
    assert not (0.999 * found.a4_raw * inner[off] >= squared[off]).all()
    for i in range(5):
        X = rng.normal(size=(4, 30))
        for j in set(range(5)) - {i}:
            right = np.linalg.norm(X @ g[j]) ** 2 / np.linalg.norm(X, 2) ** 2
            assert found.a4_raw * inner[i, j] >= right


def test_silent_prompts_are_counted_and_have_no_cosine():
    inner = np.diag([1.0, 0.0, 2.0])
    found = gradient_cosines(inner, np.stack([inner, inner]), np.diag(inner))
    assert (found.num_prompts, found.num_live, found.num_pairs) == (3, 2, 1)
    assert found.sign_pairs == 0  # their inner product is 0 in both halves
    unseen = gradient_cosines(inner, np.stack([inner, inner]), -np.diag(inner))
    assert np.isnan(unseen.omega)  # lengths that noise makes negative have no Ω
    assert np.isnan(unseen.pooled)
    nothing = gradient_cosines(np.zeros((3, 3)), np.zeros((2, 3, 3)), np.zeros(3))
    assert nothing.num_pairs == 0
    assert np.isnan(nothing.raw_mean)
    assert np.isnan(nothing.pooled)


def test_sketch_keeps_inner_products_on_average_within_its_stated_variance():
    # 400 seeds; each mean within 4 standard errors by the stated variance: false alarm below 1e-3 in all
    rng = np.random.default_rng(0)
    x, y = torch.tensor(rng.normal(size=(2, 300)))
    exact = float(x @ y)
    for width in (16, 128):
        drawn = np.array([
            float(sketch(x) @ sketch(y))
            for seed in range(400)
            if (sketch := CountSketch(300, width, seed, torch.device("cpu")))
        ])
        bound = (float(x @ x) * float(y @ y) + exact**2) / width
        assert abs(drawn.mean() - exact) < 4 * np.sqrt(bound / 400)
        assert drawn.var() < 1.3 * bound


def test_sketch_is_linear_and_refuses_no_width():
    sketch = CountSketch(50, 8, 0, torch.device("cpu"))
    x, y = torch.arange(50.0), torch.ones(50)
    torch.testing.assert_close(sketch(2 * x - y), 2 * sketch(x) - sketch(y))
    with pytest.raises(ValueError, match="sketch is 0"):
        CountSketch(50, 0, 0, torch.device("cpu"))


def test_curvature_never_exceeds_std_times_coefficient():
    rng = np.random.default_rng(0)
    found = prompt_curvatures(rng.integers(2, size=(20, 5)).astype(float), rng.standard_t(2, size=(20, 5)))
    assert (abs(found.curvature) <= found.reward_std * found.coefficient * (1 + 1e-12)).all()
    silent = found.reward_std == 0
    assert silent.any()
    assert np.isnan(found.curvature_interval[silent]).all()


def groups_with_curvature(share, *, n=80, G=8, seed=0):
    """Rewards of differing std and q that follow them by so much."""
    rng = np.random.default_rng(seed)
    rewards = (rng.random((n, G)) < rng.uniform(0.05, 0.95, size=(n, 1))).astype(float)
    return rewards, share * 2 * rewards + rng.normal(size=(n, G))


def test_curvature_made_of_noise_has_a_high_r2_that_is_no_higher_than_shuffled():
    noise = curvature_statistics("u", *groups_with_curvature(0.0))
    assert noise.r2_std > 0.4  # "curvature is proportional to σ", of nothing
    assert noise.p_share_of_ceiling > 0.05
    assert abs(noise.share_of_ceiling - noise.null_share_of_ceiling) < 0.1
    real = curvature_statistics("u", *groups_with_curvature(1.0))
    assert real.p_share_of_ceiling < 0.01
    assert real.p_r2_std < 0.01
    assert real.r2_std > noise.r2_std


def test_variation_of_the_coefficient_is_told_from_the_noise_of_few_completions():
    rng = np.random.default_rng(0)
    rewards = rng.integers(2, size=(300, 8)).astype(float)
    alike = curvature_statistics("u", rewards, rng.normal(size=(300, 8)))
    assert alike.coefficient_cv > 0.2
    assert alike.coefficient_cv_corrected < 0.15
    scale = rng.gamma(4, size=(300, 1))  # coefficient of variation 1/2
    varied = curvature_statistics("u", rewards, scale * rng.normal(size=(300, 8)))
    assert varied.coefficient_cv_corrected == pytest.approx(0.5, abs=0.1)
    assert varied.coefficient_cv > varied.coefficient_cv_corrected


def test_r2_of_exact_proportionality_is_one():
    rewards = np.array([[0, 0, 1, 1], [0, 0, 0, 1], [0, 1, 1, 1], [0, 0, 1, 1.0]])
    centred = rewards - rewards.mean(1, keepdims=True)
    found = curvature_statistics("u", rewards, centred / rewards.std(1, ddof=1, keepdims=True))
    assert found.r2_std == pytest.approx(1)
    assert found.share_of_ceiling == pytest.approx(1)
    by_variance = curvature_statistics("u", rewards, centred)
    assert by_variance.r2_variance == pytest.approx(1)
    assert by_variance.r2_std < 1


def test_statistics_of_nothing_are_nan_and_raise_no_warning():
    found = curvature_statistics("u", np.zeros((3, 4)), np.zeros((3, 4)))
    assert np.isnan(found.r2_std)
    assert np.isnan(found.coefficient_cv)
    assert np.isnan(pearson(np.ones(5), np.arange(5.0)).value)
