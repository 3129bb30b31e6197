r"""The Gaussian autoencoder after Duda: a batch's radii and distances follow the Gaussian's laws.

For z and z' from N(0, I) in d dimensions, the radius :math:`\|z\|` and the scaled distance
:math:`\|z - z'\| / \sqrt 2` both follow the chi law with d degrees of freedom. The sorted values of a
batch are pulled to that law's quantiles :math:`q_k = F^{-1}((k - \frac12) / m)`:

.. math:: L(x) = \frac1n \sum_i \| x_i - D(z_i) \|^2 + \lambda \Big[
          \frac1n \sum_k \big( \|z\|_{(k)} - q_k \big)^2 +
          \frac1m \sum_k \big( \tfrac{\|z - z'\|_{(k)}}{\sqrt 2} - q_k \big)^2 \Big]

with :math:`m = n (n - 1) / 2` pairs. Each bracket is the squared Wasserstein distance of two laws
on the line, in squared units of a code, and its pull does not fade far from the goal, as the
difference of two distribution functions would. Radii alone would allow a ray. Both laws together
force the mean to 0 and the covariance to I, as their second and fourth moments show: for one law of z,
:math:`E\|z - z'\|^2 = 2 E\|z\|^2 - 2 \|\mu\|^2`, and with no mean the fourth moment of the distance
grows with :math:`\mathrm{tr}\, \Sigma^2`, which is least at I for a given trace. Beyond moments of that
order they leave room. No noise and no prior draw is needed. The empirical law of a batch from N(0, I)
is not exactly the law: both terms keep a small rest, of the order 1 / n.

References:
    Duda 2018, Gaussian AutoEncoder, https://arxiv.org/abs/1811.04751 (agreement of radii and distances
    with the Gaussian's; squared differences of quantiles and the weight are our choice)
"""

from __future__ import annotations

import functools
import math
from typing import ClassVar, final

import numpy as np
import torch
from scipy import special
from torch import Tensor

from latentshape.models.base import ConvAutoencoder

__all__ = ["GAE", "distances_term", "radii_term"]


@final
class GAE(ConvAutoencoder):
    """Autoencoder whose batches of codes have a Gaussian's radii and distances."""

    prior: ClassVar[str | None] = "standard-normal"

    def loss(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Squared error per image plus ``prior_weight`` times (``radii`` + ``distances``)."""
        z = self.encode(x).float()
        error, mse = self.squared_error(x, z)
        radii, distances = radii_term(z), distances_term(z)
        terms = {"mse": mse, "radii": radii.detach(), "distances": distances.detach()}
        return error + self.config.prior_weight * (radii + distances), terms


def radii_term(z: Tensor) -> Tensor:
    """Mean squared difference of the sorted lengths of codes (n, d) from the chi law's quantiles.

    Example:
        >>> round(radii_term(torch.full((64, 9), 5.0)).item())  # lengths of 15 where 2.9 is usual
        146
    """
    return _to_chi(torch.linalg.vector_norm(z, dim=1), z.shape[1])


def distances_term(z: Tensor) -> Tensor:
    """The same of the distances between all pairs, divided by the square root of 2; one code has none."""
    return _to_chi(torch.pdist(z) / math.sqrt(2), z.shape[1])


def _to_chi(values: Tensor, d: int) -> Tensor:
    if not len(values):
        return values.sum()
    quantiles = _chi_quantiles(d, len(values)).to(values.device)
    return (values.sort().values - quantiles).square().mean()


@functools.lru_cache(maxsize=4)  # radii and distances, of the full batch and of an epoch's last one
def _chi_quantiles(d: int, m: int) -> Tensor:
    """Quantiles (m,) of the chi law with d degrees of freedom, at the midpoints of m equal parts."""
    middles = (np.arange(m) + 0.5) / m
    return torch.from_numpy(np.sqrt(2 * special.gammaincinv(d / 2, middles)).astype(np.float32))
