r"""The plain convolutional autoencoder: reconstruction, and nothing else.

.. math:: L(x) = \frac1n \sum_i \| x_i - D(E(x_i)) \|^2

Nothing asks the codes E(x) to follow any law; whatever shape they take, they took it by themselves.
"""

from __future__ import annotations

from typing import final

from torch import Tensor

from latentshape.config import ModelConfig
from latentshape.models.base import Autoencoder
from latentshape.models.networks import ConvDecoder, ConvEncoder

__all__ = ["CAE"]


@final
class CAE(Autoencoder):
    """Convolutional autoencoder with the squared error as its only loss.

    Args:
        config: The networks.
        size: Side of the images in pixels.
        channels: 3 or 1.
    """

    def __init__(self, config: ModelConfig, size: int, channels: int) -> None:
        super().__init__()
        self.latent_dim = config.latent_dim
        self.encoder = ConvEncoder(config, size, channels)
        self.decoder = ConvDecoder(config, size, channels)

    def encode(self, x: Tensor) -> Tensor:
        """Codes (n, d) of images (n, c, h, w)."""
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        """Images (n, c, h, w) of codes (n, d)."""
        return self.decoder(z)

    def loss(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Squared error per image (summed over pixels), and ``mse`` per pixel."""
        error = (self.decode(self.encode(x)).float() - x).square().sum() / len(x)
        return error, {"mse": error.detach() / x[0].numel()}
