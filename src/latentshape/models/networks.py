"""The one convolutional encoder and decoder that every model shares.

Encoder: per layer a convolution with "same" padding and a stride, optional batch norm, an
activation; then flatten and one linear map to the code. Decoder: one linear map back, then the
mirror image in transposed convolutions. With stride s, kernel k and padding p = (k - 1) // 2 a layer
maps side h to h / s exactly, and the transposed layer with output padding s - k + 2p maps it back.

No model owns its layers: models differ in their loss, never in their networks, so that what they are
compared on is the loss.
"""

from __future__ import annotations

import math
from collections import OrderedDict

import torch
from torch import Tensor, nn

from latentshape.config import ModelConfig
from latentshape.models.convolution import Convolution, TransposedConvolution

__all__ = ["ConvDecoder", "ConvEncoder"]


def activation(config: ModelConfig) -> nn.Module:
    """The nonlinearity a config names, a new module each time."""
    if config.activation == "leaky-relu":
        return nn.LeakyReLU(config.negative_slope, inplace=True)
    kinds: dict[str, type[nn.Module]] = {
        "relu": nn.ReLU,
        "elu": nn.ELU,
        "selu": nn.SELU,
        "gelu": nn.GELU,
        "silu": nn.SiLU,
        "tanh": nn.Tanh,
    }
    return kinds[config.activation]()


def _after(config: ModelConfig, maps: int) -> list[nn.Module]:
    """What follows a convolution: batch norm if wanted, then the activation."""
    norm: list[nn.Module] = [nn.BatchNorm2d(maps)] if config.batch_norm else []
    return [*norm, activation(config)]


class ConvEncoder(nn.Module):
    """Images (n, c, size, size) to codes (n, latent_dim).

    Args:
        config: Filters, strides, kernel, activation.
        size: Side of the images; divisible by the product of the strides.
        channels: Channels of the images.
    """

    def __init__(self, config: ModelConfig, size: int, channels: int) -> None:
        super().__init__()
        k = config.kernel_size
        layers: list[nn.Module] = []
        maps = channels
        for filters, stride in zip(config.filters, config.layer_strides()):
            convolution = Convolution(maps, filters, k, stride, (k - 1) // 2)
            layers.append(nn.Sequential(convolution, *_after(config, filters)))
            maps = filters
        self.layers = nn.ModuleList(layers)
        side = size // math.prod(config.layer_strides())
        self.to_code = nn.Linear(maps * side * side, config.latent_dim)

    def features(self, x: Tensor) -> Tensor:
        """The last layer's maps, flattened: what ``to_code`` maps to codes."""
        for layer in self.layers:
            x = layer(x)
        return x.flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        """Codes (n, latent_dim)."""
        return self.to_code(self.features(x))


class ConvDecoder(nn.Module):
    """Codes (n, latent_dim) to images (n, c, size, size) in (0, 1).

    Args:
        config: As for the encoder; ``decoder_filters`` overrides the mirrored ones and adds a final
            stride-1 convolution to the image.
        size: Side of the images.
        channels: Channels of the images.
    """

    def __init__(self, config: ModelConfig, size: int, channels: int) -> None:
        super().__init__()
        k = config.kernel_size
        padding = (k - 1) // 2
        strides = config.layer_strides()
        side = size // math.prod(strides)
        self.map_shape = (config.filters[-1], side, side)
        self.from_code = nn.Sequential(
            OrderedDict(
                linear=nn.Linear(config.latent_dim, math.prod(self.map_shape)),
                activation=activation(config),
            )
        )
        mirrored = (*config.filters[-2::-1], channels)
        layers: list[nn.Module] = []
        maps = config.filters[-1]
        for i, stride in enumerate(reversed(strides)):
            filters = config.decoder_filters[i] if config.decoder_filters else mirrored[i]
            outward = stride - k + 2 * padding
            convolution = TransposedConvolution(maps, filters, k, stride, padding, outward)
            last = i == len(strides) - 1 and not config.decoder_filters
            layers.append(nn.Sequential(convolution, *([] if last else _after(config, filters))))
            maps = filters
        if config.decoder_filters:
            # An odd kernel, since an even one cannot keep the side at stride 1.
            layers.append(nn.Sequential(nn.Conv2d(maps, channels, k | 1, 1, k // 2)))
        self.layers = nn.ModuleList(layers)

    def forward(self, z: Tensor) -> Tensor:
        """Images (n, c, size, size)."""
        x = (
            self.from_code(z)
            .view(-1, *self.map_shape)
            .contiguous(memory_format=torch.channels_last)
        )
        for layer in self.layers:
            x = layer(x)
        return torch.sigmoid(x)
