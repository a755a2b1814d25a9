"""bfloat16 without an accelerator."""

import torch
from mmpose.registry import OPTIM_WRAPPERS
from torch import nn


def test_forward_in_bfloat16_weights_in_float32():
    """Broken if --amp on the CPU computes in float32, or rounds the weights."""
    torch.manual_seed(0)
    model = nn.Linear(8, 8)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    wrapper = OPTIM_WRAPPERS.build(dict(type='BFloat16OptimWrapper', optimizer=optimizer))
    inputs = torch.randn(4, 8)
    before = model.weight.detach().clone()
    with wrapper.optim_context(model):
        output = model(inputs)
    assert output.dtype == torch.bfloat16
    wrapper.update_params(output.float().square().mean())
    assert model.weight.dtype == torch.float32

    weight = before.clone().requires_grad_()
    nn.functional.linear(inputs, weight, model.bias.detach()).square().mean().backward()
    expected = before - 0.1 * weight.grad
    assert (model.weight - expected).abs().max() < 0.02 * (expected - before).abs().max()
    assert model(inputs).dtype == torch.float32
