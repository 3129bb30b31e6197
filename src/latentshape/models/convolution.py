r"""Convolutions whose weight gradient is one matrix product.

For a layer :math:`y = w * x` with stride s, the gradient of the weights sums, over all positions, the
product of what came back and the patch of the input that it came from:

.. math:: \frac{\partial L}{\partial w_{o,kl,c}} = \sum_{i,u,v} g_{i,o,u,v}\; x_{i,c,\,su+k-p,\,sv+l-p}
          \;=\; (G^\top X)_{o,\,klc}

with G of shape (positions, maps out) and X the matrix of patches, (positions, k k maps in). A transposed
convolution is the same sum with the roles of x and g exchanged.

Why write it out: in bf16 on a processor, the library's own kernel for this one gradient takes three
times as long as the forward pass of the same layer, while the library's bf16 matrix product runs near the
machine's limit; the bias gradient of its transposed convolution costs another forward pass. Training
gains about 12 %, the numbers are the same (sums in float32, one rounding at the end). In fp32, and on a
GPU, and where there are too few maps for a matrix product to pay, the library's own gradient is used.
"""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Convolution", "TransposedConvolution"]

#: Below this many maps a patch is too short for the matrix product to pay.
FEWEST_MAPS = 8


@final
class Convolution(nn.Conv2d):
    """``nn.Conv2d`` with square kernel, stride and padding; same parameters, same result."""

    def forward(self, x: Tensor) -> Tensor:
        """Maps (n, out, h / s, w / s) of maps (n, in, h, w)."""
        if not _wins(x, min(self.in_channels, self.out_channels)):
            return super().forward(x)
        half = torch.bfloat16
        assert self.bias is not None
        return _Convolve.apply(
            x.to(half), self.weight.to(half), self.bias.to(half), self.stride[0], self.padding[0]
        )


@final
class TransposedConvolution(nn.ConvTranspose2d):
    """``nn.ConvTranspose2d`` with square kernel, stride and padding; same parameters, same result."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Maps (n, out, s h, s w) of maps (n, in, h, w)."""
        if output_size is not None or not _wins(x, min(self.in_channels, self.out_channels)):
            return super().forward(x, output_size)
        half = torch.bfloat16
        assert self.bias is not None
        return _ConvolveTransposed.apply(
            x.to(half), self.weight.to(half), self.bias.to(half),
            self.stride[0], self.padding[0], self.output_padding[0],
        )  # fmt: skip


def _wins(x: Tensor, maps: int) -> bool:
    """Whether the written-out gradient is wanted: training in bf16 on a processor, maps enough."""
    return (
        x.device.type == "cpu"
        and maps >= FEWEST_MAPS
        and torch.is_grad_enabled()
        and torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") == torch.bfloat16
    )


class _Convolve(torch.autograd.Function):
    """The convolution, with the gradients of the module's first lines."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, stride: int, padding: int
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return functional.conv2d(x, weight, bias, stride, padding)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (g,) = grads
        x, weight = ctx.saved_tensors
        g = g.contiguous(memory_format=torch.channels_last)
        to_input = None
        if ctx.needs_input_grad[0]:
            k, s, p = weight.shape[2], ctx.stride, ctx.padding
            # The output padding that leads back to x's own height and width.
            outward = [n - ((m - 1) * s - 2 * p + k) for n, m in zip(x.shape[2:], g.shape[2:])]
            to_input = functional.conv_transpose2d(g, weight, None, s, p, outward)
        to_weight = weight_gradient(x, g, weight.shape[2], ctx.stride, ctx.padding)
        return to_input, to_weight, _sum_over_positions(g), None, None


class _ConvolveTransposed(torch.autograd.Function):
    """The transposed convolution: x and g exchange roles."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, stride: int, padding: int, outward: int
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return functional.conv_transpose2d(x, weight, bias, stride, padding, outward)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (g,) = grads
        x, weight = ctx.saved_tensors
        g = g.contiguous(memory_format=torch.channels_last)
        to_input = None
        if ctx.needs_input_grad[0]:
            to_input = functional.conv2d(g, weight, None, ctx.stride, ctx.padding)
        to_weight = weight_gradient(g, x, weight.shape[2], ctx.stride, ctx.padding)
        return to_input, to_weight, _sum_over_positions(g), None, None, None


def weight_gradient(wide: Tensor, narrow: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
    """The sum of the module's first lines: (narrow's maps, wide's maps, kernel, kernel).

    Args:
        wide: Maps on the side that is ``stride`` times as wide, (n, a, h, w).
        narrow: Maps on the other side, (n, b, u, v).
        kernel: Side of the kernel.
        stride: Of the convolution from wide to narrow.
        padding: Of the same.
    """
    n, maps = wide.shape[:2]
    height, width = narrow.shape[2:]
    rows = functional.pad(wide.permute(0, 2, 3, 1), (0, 0, padding, padding, padding, padding))
    image, down, right, map_step = rows.stride()
    patches = rows.as_strided(
        (n, height, width, kernel, kernel, maps),
        (image, down * stride, right * stride, down, right, map_step),
    ).reshape(n * height * width, kernel * kernel * maps)
    positions = narrow.permute(0, 2, 3, 1).reshape(-1, narrow.shape[1])
    product = positions.t() @ patches
    return product.view(-1, kernel, kernel, maps).permute(0, 3, 1, 2)


def _sum_over_positions(g: Tensor) -> Tensor:
    """The bias gradient: summed in float32, rounded once."""
    return g.sum((0, 2, 3), dtype=torch.float32).to(g.dtype)
