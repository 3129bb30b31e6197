r"""An elliptical law: the Gaussian's directions, the codes' own Mahalanobis radii.

.. math:: x = \mu + \rho\, A\, g / |g|, \qquad g \sim N(0, I_r), \quad A A^T = \Sigma,

with :math:`\rho` drawn from the training codes' distribution of :math:`|A^{-1}(z - \mu)|`: uniform
numbers through its quantile function, joined linearly between up to 16,385 knots, so that radii
between those seen occur too. A Gaussian is elliptical with chi-distributed radii; heavy or thin
tails of the radius, which no pair of components shows, are kept here.
"""

__all__ = ["Elliptical"]

from typing import ClassVar, final

import numpy as np
from scipy import linalg

from latentshape._checks import row_blocks
from latentshape.errors import InputError
from latentshape.samplers.base import Sampler
from latentshape.samplers.colouring import colour, is_triangular
from latentshape.samplers.noise import Noise
from latentshape.shape.moments import Moments

_KNOTS = 16_385


@final
class Elliptical(Sampler):
    """Draw Gaussian directions with the training codes' Mahalanobis radii.

    Attributes:
        radii_: Quantiles of the radius at evenly spaced shares from 0 to 1, shape (knots,).
        factor_: A, shape (d, r).

    Example:
        >>> z = np.random.default_rng(0).standard_t(4, (2000, 3))
        >>> sampler = Elliptical().fit(z)
        >>> bool(np.allclose(sampler.cov_, np.cov(z.T), rtol=1e-2, atol=1e-2))
        True
    """

    name = "elliptical"
    description = (
        "The directions of the fitted Gaussian with the Mahalanobis radii of the training codes, "
        "so that heavy tails are kept."
    )
    has_density: ClassVar[bool] = False

    factor_: np.ndarray
    radii_: np.ndarray
    triangular_: bool

    def _fit(self, z: np.ndarray) -> None:
        moments = Moments.of(z)
        if moments.n <= moments.d:
            raise InputError(
                f"Sampler {self.name!r} needs more codes than dimensions, got {moments.n} codes "
                f"of dimension {moments.d}; use the sampler 'gaussian' with shrinkage or fewer "
                "components."
            )
        self.factor_ = moments.factor()
        if self.factor_.shape[1] == 0:
            raise InputError(
                f"Sampler {self.name!r} needs codes that vary, got {moments.n} equal codes; "
                "check the encoder."
            )
        self.triangular_ = is_triangular(self.factor_)
        self.radii_ = _quantiles(_radii(z, moments.mean, self.factor_))
        a, b = self.radii_[:-1], self.radii_[1:]
        square = float(((a * a + a * b + b * b) / 3).mean())
        rank = self.factor_.shape[1]
        self.mean_, self.cov_ = moments.mean, square / rank * (self.factor_ @ self.factor_.T)

    def _draw(self, noise: Noise) -> np.ndarray:
        knots = np.linspace(0.0, 1.0, len(self.radii_))
        rho = np.interp(noise.fine_uniform(1)[:, 0], knots, self.radii_)
        g = noise.normal(self.factor_.shape[1])
        g *= (rho / np.sqrt((g * g).sum(axis=1))).astype(g.dtype)[:, None]
        x = colour(g, self.factor_, triangular=self.triangular_)
        x += self.mean_.astype(g.dtype)
        return x


def _radii(z: np.ndarray, mean: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Length of each whitened code, shape (n,); also on the span of a singular covariance."""
    d, r = factor.shape
    if d == r:
        inverse = linalg.solve_triangular(factor, np.eye(d), lower=True)
    else:
        inverse = factor.T / np.square(factor).sum(axis=0)[:, None]
    blocks = [np.linalg.norm((block - mean) @ inverse.T, axis=1) for block in row_blocks(z)]
    return np.concatenate(blocks)


def _quantiles(radii: np.ndarray) -> np.ndarray:
    """The sorted radii, thinned to at most `_KNOTS` evenly spaced shares."""
    if len(radii) <= _KNOTS:
        return np.sort(radii)
    return np.quantile(radii, np.linspace(0.0, 1.0, _KNOTS))
