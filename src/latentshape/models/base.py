"""What every autoencoder can do, whatever its loss."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

__all__ = ["Autoencoder"]


class Autoencoder(nn.Module, ABC):
    """Abstract: images to codes, codes to images, and a loss.

    A model is final: to change one, write another with the same networks and its own loss.
    """

    latent_dim: int

    @abstractmethod
    def encode(self, x: Tensor) -> Tensor:
        """Codes (n, d) of images (n, c, h, w) in [0, 1]; one code per image, no randomness."""

    @abstractmethod
    def decode(self, z: Tensor) -> Tensor:
        """Images (n, c, h, w) in [0, 1] of codes (n, d)."""

    @abstractmethod
    def loss(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The scalar to minimise, and its named terms.

        Every loss has a term ``mse``: the mean squared error per pixel and channel, on the scale of
        [0, 1], detached. The scalar itself is a sum over pixels averaged over the images.
        """
