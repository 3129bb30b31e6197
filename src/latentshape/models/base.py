"""What every autoencoder can do, whatever its loss, and the networks that ours share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from latentshape.config import ModelConfig
from latentshape.models.networks import ConvDecoder, ConvEncoder

__all__ = ["Autoencoder", "ConvAutoencoder"]


class Autoencoder(nn.Module, ABC):
    """Abstract: images to codes, codes to images, and a loss.

    A model is final: to change one, write another with the same networks and its own loss.
    """

    latent_dim: int
    #: Name of the sampler that draws from the law this model was trained toward, such as
    #: ``standard-normal``; None where the loss asks the codes for no law.
    prior: ClassVar[str | None] = None

    @property
    def device(self) -> torch.device:
        """Where images and codes are to be for it."""
        return next(self.parameters()).device

    @abstractmethod
    def encode(self, x: Tensor) -> Tensor:
        """Codes (n, d) of images (n, c, h, w) in [0, 1]; one code per image, no randomness."""

    @abstractmethod
    def decode(self, z: Tensor) -> Tensor:
        """Images (n, c, h, w) in [0, 1] of codes (n, d)."""

    @abstractmethod
    def loss(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The scalar to minimise, and its named terms.

        Every loss has a term ``mse``: the mean squared error per pixel and channel, on the scale of
        [0, 1]. The scalar itself is a sum over pixels averaged over the images, and the other terms
        are in its units. Terms are detached.

        Args:
            x: Images (n, c, h, w) in [0, 1], n at least 1.
            generator: Of all randomness in the loss, on the device of ``x``; the global one is never
                touched. None is the loss without noise: the same number each time.
        """


def device_of(model: nn.Module) -> torch.device:
    """Where a model takes its images and codes; any module with parameters will do."""
    if isinstance(model, Autoencoder):
        return model.device
    return next(model.parameters()).device


class ConvAutoencoder(Autoencoder):
    """Abstract: the one encoder and decoder of all our models; only the loss is left open.

    With the same seed all kinds begin with the same encoder and decoder, bit for bit: what a loss
    needs besides is made after them.

    Args:
        config: The networks, and the weights of the loss.
        size: Side of the images in pixels.
        channels: 3 or 1.
    """

    def __init__(self, config: ModelConfig, size: int, channels: int) -> None:
        super().__init__()
        self.config = config
        self.latent_dim = config.latent_dim
        self.encoder = ConvEncoder(config, size, channels)
        self.decoder = ConvDecoder(config, size, channels)

    def encode(self, x: Tensor) -> Tensor:
        """Codes (n, d) of images (n, c, h, w)."""
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        """Images (n, c, h, w) of codes (n, d)."""
        return self.decoder(z)

    def squared_error(self, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Of the images decoded from ``z``: the sum per image, and detached the mean per pixel."""
        error = (self.decode(z).float() - x).square().sum() / len(x)
        return error, error.detach() / x[0].numel()
