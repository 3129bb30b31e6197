r"""The plain convolutional autoencoder: reconstruction, and nothing else.

.. math:: L(x) = \frac1n \sum_i \| x_i - D(E(x_i)) \|^2

Nothing asks the codes E(x) to follow any law; whatever shape they take, they took it by themselves.
"""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from latentshape.models.base import ConvAutoencoder

__all__ = ["CAE"]


@final
class CAE(ConvAutoencoder):
    """Convolutional autoencoder with the squared error as its only loss."""

    def loss(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Squared error per image (summed over pixels), and ``mse`` per pixel."""
        error, mse = self.squared_error(x, self.encode(x))
        return error, {"mse": mse}
