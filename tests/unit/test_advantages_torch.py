"""`group_advantages` on torch tensors: numpy's numbers, in the tensor's dtype and on its device, without a gradient."""

import numpy as np
import pytest

from curvature.advantages import PRESETS, group_advantages

torch = pytest.importorskip("torch")
REWARDS = np.array([[1.0, 0.0, 0.0, 0.5], [0.0, 0.0, 0.0, 0.0], [3.0, -1.0, 2.0, 0.7]])
IDS = np.repeat([0, 1, 2], 4)
every_preset = pytest.mark.parametrize("name", PRESETS)


@every_preset
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_torch_and_numpy_agree_to_the_last_digit(name, dtype):
    order = np.random.default_rng(0).permutation(IDS.size)
    for rewards, ids in ((REWARDS, None), (REWARDS.ravel()[order], IDS[order])):
        expected = group_advantages(rewards.astype(dtype), ids, name)
        tensor = torch.tensor(rewards, dtype=getattr(torch, dtype))
        for groups in (ids, None if ids is None else torch.tensor(ids)):
            result = group_advantages(tensor, groups, name)
            assert isinstance(result, torch.Tensor)
            assert result.dtype == tensor.dtype
            assert result.shape == tensor.shape
            assert result.device == tensor.device
            np.testing.assert_array_equal(result.numpy(), expected)


@every_preset
def test_torch_half_precision_is_computed_in_float64_and_rounded_once(name):
    for dtype in (torch.bfloat16, torch.float16):
        tensor = torch.tensor(REWARDS).to(dtype)
        result = group_advantages(tensor, preset=name)
        assert result.dtype == dtype
        exact = group_advantages(tensor.double(), preset=name)
        torch.testing.assert_close(result.double(), exact, rtol=2**-8, atol=1e-7)


def test_torch_integers_count_as_float64():
    result = group_advantages(torch.tensor([[1, 0, 0, 1]]))
    assert result.dtype == torch.float64
    assert result.tolist() == [[1, -1, -1, 1]]


@every_preset
def test_gradients_never_flow(name):
    rewards = torch.tensor(REWARDS, requires_grad=True)
    result = group_advantages(rewards, preset=name)
    assert not result.requires_grad
    assert result.grad_fn is None
    assert rewards.requires_grad
    log_probability = torch.zeros(result.shape, dtype=result.dtype, requires_grad=True)
    (result * log_probability).sum().backward()
    assert rewards.grad is None
    assert torch.equal(log_probability.grad, result)


def test_a_tensor_is_left_alone_and_its_memory_is_not_shared():
    rewards = torch.tensor(REWARDS)
    result = group_advantages(rewards)
    result.zero_()
    assert torch.equal(rewards, torch.tensor(REWARDS))


def test_numpy_rewards_take_torch_ids():
    result = group_advantages(REWARDS.ravel(), torch.tensor(IDS))
    assert isinstance(result, np.ndarray)
    np.testing.assert_array_equal(result, group_advantages(REWARDS).ravel())


def test_complex_tensors_are_refused():
    with pytest.raises(TypeError, match=r"rewards have dtype torch\.complex64"):
        group_advantages(torch.zeros((1, 2), dtype=torch.complex64))
