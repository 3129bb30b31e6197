"""The written-out weight gradient is the library's, in every geometry the networks can have."""

import pytest
import torch
from torch import Tensor, nn

from latentshape.models.convolution import Convolution, TransposedConvolution, weight_gradient

CASES = [
    *(
        (Convolution, nn.Conv2d, a)
        for a in [(16, 24, 3, 2, 1), (16, 24, 5, 2, 2), (16, 24, 4, 2, 1)]
    ),
    *((Convolution, nn.Conv2d, a) for a in [(9, 8, 3, 1, 1), (8, 8, 2, 2, 0), (8, 8, 3, 3, 1)]),
    *(
        (TransposedConvolution, nn.ConvTranspose2d, a)
        for a in [
            (16, 24, 3, 2, 1, 1),
            (16, 24, 5, 2, 2, 1),
            (16, 24, 4, 2, 1, 0),
            (8, 8, 3, 3, 1, 2),
        ]
    ),
]


def relative(a: Tensor, b: Tensor) -> float:
    return float((a.detach().float() - b.detach()).norm() / b.detach().norm())


@pytest.mark.parametrize(("ours", "theirs", "arguments"), CASES, ids=str)
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format], ids=str)
def test_bf16_gradients_are_the_librarys_fp32_gradients_rounded(
    ours: type[nn.Module],
    theirs: type[nn.Module],
    arguments: tuple[int, ...],
    layout: torch.memory_format,
) -> None:
    torch.manual_seed(0)
    layer, reference = ours(*arguments), theirs(*arguments)
    reference.load_state_dict(layer.state_dict())
    x = torch.randn(6, arguments[0], 12, 12).contiguous(memory_format=layout).requires_grad_()
    x_reference = x.detach().clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    expected = reference(x_reference)
    g = torch.randn_like(expected)
    y.backward(g.bfloat16())
    expected.backward(g)
    # bf16 keeps 8 bits: each rounding is off by 2^-9 at most, 0.2 % in the mean square at worst.
    assert relative(y, expected) < 0.006
    assert relative(x.grad, x_reference.grad) < 0.006
    assert relative(layer.weight.grad, reference.weight.grad) < 0.006
    assert relative(layer.bias.grad, reference.bias.grad) < 0.006


@pytest.mark.parametrize("ours", [Convolution, TransposedConvolution])
def test_in_fp32_nothing_is_replaced(ours: type[nn.Module]) -> None:
    layer = ours(16, 16, 3, 2, 1)
    y = layer(torch.randn(2, 16, 8, 8, requires_grad=True))
    assert y.dtype == torch.float32
    assert "onvolve" not in type(y.grad_fn).__name__


def test_the_formula_itself_in_double_precision() -> None:
    x = torch.randn(3, 5, 9, 7, dtype=torch.float64)
    weight = torch.randn(4, 5, 3, 3, dtype=torch.float64, requires_grad=True)
    y = nn.functional.conv2d(x, weight, stride=2, padding=1)
    g = torch.randn_like(y)
    (expected,) = torch.autograd.grad(y, weight, g)
    assert torch.allclose(weight_gradient(x, g, 3, 2, 1), expected, atol=1e-12)
