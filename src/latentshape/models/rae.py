r"""The regularised autoencoder RAE-L2: short codes and a smooth decoder, but no law and no noise.

.. math:: L(x) = \frac1n \sum_i \| x_i - D(z_i) \|^2 + \beta\, \tfrac12 \|z_i\|^2
          + \lambda \|\theta_D\|^2

with :math:`\theta_D` the decoder's kernels (its biases and norms are free, as in the published code).
Codes are drawn afterwards, from a law fitted to them.

**Published weights on this scale.** The published code averages the squared error over pixels and
channels and the squared code over its d components, with weights 1e-4 and, for L2, 1e-7. Multiplied by
the number of pixels times channels, p, they are :math:`\beta = 2 \cdot 10^{-4} p / d` and
:math:`\lambda = 10^{-7} p`: for CelebA (p = 12,288, d = 64) 0.0384 and 0.0012288, the defaults of
``code_penalty`` and ``decoder_decay``.

References:
    Ghosh et al. 2020, From Variational to Deterministic Autoencoders,
    https://arxiv.org/abs/1903.12436
"""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from latentshape.models.base import ConvAutoencoder

__all__ = ["RAE"]


@final
class RAE(ConvAutoencoder):
    """Autoencoder with a penalty on the length of codes and on the decoder's kernels."""

    def loss(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Squared error per image plus ``code_penalty`` ``norm`` plus ``decoder_decay`` ``decay``.

        ``norm`` is half the mean squared length of the codes, ``decay`` the decoder's sum of squares.
        """
        z = self.encode(x).float()
        error, mse = self.squared_error(x, z)
        norm = z.square().sum() / (2 * len(z))
        kernels = [p for p in self.decoder.parameters() if p.ndim > 1]
        decay = torch.stack([kernel.square().sum() for kernel in kernels]).sum()
        total = error + self.config.code_penalty * norm + self.config.decoder_decay * decay
        return total, {"mse": mse, "norm": norm.detach(), "decay": decay.detach()}
