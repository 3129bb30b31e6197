r"""The variational autoencoder, also as beta-VAE: each image has a cloud of codes, not one.

The encoder gives a mean and a variance per component, a code is drawn from that Gaussian, and what
is minimised is the squared error of the draw's picture plus a weighted divergence from N(0, I):

.. math:: L(x) = \frac1n \sum_i \| x_i - D(\mu_i + \sigma_i \epsilon_i) \|^2
          + \beta\, \mathrm{KL}\big(N(\mu_i, \sigma_i^2) \,\|\, N(0, I)\big), \quad
          \mathrm{KL} = \tfrac12 \sum_j \mu_{ij}^2 + \sigma_{ij}^2 - 1 - \log \sigma_{ij}^2

**Which likelihood that is.** If pixels in [0, 1] are Gaussian about the decoder's with variance
:math:`s^2`, then :math:`-2 s^2` times the evidence lower bound is, up to a constant,
:math:`\|x - D\|^2 + 2 s^2 \mathrm{KL}`. So :math:`\beta = 2 s^2`: the default 1 is the exact bound for
an observation variance of 1/2 per pixel and channel, 0.02 is the one for a standard deviation of 0.1,
and to whoever holds the variance at 1/2, beta is Higgins'. Where a published beta stands beside an
error *averaged* over pixels and channels, ours is that beta times their number (12,288 at 64 px).

References:
    Kingma & Welling 2014, Auto-Encoding Variational Bayes, https://arxiv.org/abs/1312.6114
    Higgins et al. 2017, beta-VAE, https://openreview.net/forum?id=Sy2fzU9gl
"""

from __future__ import annotations

from typing import ClassVar, final

import torch
from torch import Tensor, nn

from latentshape.config import ModelConfig
from latentshape.models.base import ConvAutoencoder

__all__ = ["VAE", "divergence"]


@final
class VAE(ConvAutoencoder):
    """Variational autoencoder: the shared networks and one linear map more, to the log variances.

    ``encode`` gives the mean code, as everything after training uses it.

    Args:
        config: The networks, and ``beta``.
        size: Side of the images in pixels.
        channels: 3 or 1.
    """

    prior: ClassVar[str | None] = "standard-normal"

    def __init__(self, config: ModelConfig, size: int, channels: int) -> None:
        super().__init__(config, size, channels)
        self.to_log_var = nn.Linear(self.encoder.to_code.in_features, config.latent_dim)

    def loss(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Squared error per image plus beta times ``kl``, in nats per image.

        Without a generator the mean code is decoded; the divergence is the same.
        """
        features = self.encoder.features(x)
        mean, log_var = self.encoder.to_code(features).float(), self.to_log_var(features).float()
        z = mean
        if generator is not None:
            noise = torch.randn(mean.shape, generator=generator, device=mean.device)
            z = mean + (log_var / 2).exp() * noise
        error, mse = self.squared_error(x, z)
        kl = divergence(mean, log_var).mean()
        return error + self.config.beta * kl, {"mse": mse, "kl": kl.detach()}


def divergence(mean: Tensor, log_var: Tensor) -> Tensor:
    r"""Kullback-Leibler divergence of N(mean, diag(var)) from N(0, I), in nats.

    Args:
        mean: (n, d).
        log_var: (n, d), natural logarithms of the variances.

    Returns:
        (n,), never negative.

    Example:
        >>> divergence(torch.tensor([[3.0, 4.0]]), torch.zeros(1, 2))
        tensor([12.5000])
    """
    # expm1 keeps the digits where a variance is near 1 and the divergence near 0.
    return (mean.square() + torch.expm1(log_var) - log_var).sum(1) / 2
