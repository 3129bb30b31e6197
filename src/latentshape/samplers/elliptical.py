r"""An elliptical law: the Gaussian's directions, the codes' own Mahalanobis radii.

.. math:: x = \mu + \rho\, A\, g / |g|, \qquad g \sim N(0, I_d), \quad A A^T = \Sigma,

.. math::
    \log p(x) = \log f(\rho) - \log \frac{2 \pi^{d/2}}{\Gamma(d/2)} - (d - 1) \log \rho
        - \log |\det A|, \qquad \rho = |A^{-1}(x - \mu)|

with the smooth law f of the radius that `RadiusLaw` fits to :math:`|A^{-1}(z - \mu)|` of the codes
(their own quantiles, continued as the multivariate t fitted to them does). Its quantile function is
tabulated once, log radius against normal score, and what is drawn and what the density says is the
law of the table. Beyond the score that one code in a hundred samples of this size would pass, the
logarithm goes on as a straight line, no steeper than 1/2, so that mean and covariance exist whatever
the tail.

A Gaussian is elliptical with chi-distributed radii; heavy or thin tails of the radius, which no pair
of components shows, are kept here.
"""

__all__ = ["Elliptical"]

from typing import ClassVar, final

import numpy as np
from scipy import linalg, special

from latentshape._checks import row_blocks
from latentshape.samplers.base import Sampler
from latentshape.samplers.colouring import (
    Bends,
    in_all_directions,
    is_triangular,
    need_spread,
    need_volume,
)
from latentshape.samplers.noise import Noise
from latentshape.shape.moments import Moments
from latentshape.shape.radius_law import RadiusLaw

_KNOTS = 4097
_LOWEST_SCORE = -8.2
_STEEPEST = 0.5


@final
class Elliptical(Sampler):
    """Draw Gaussian directions with the training codes' Mahalanobis radii.

    Attributes:
        log_radii_: Logarithms of the radius at even normal scores, shape (1, knots).
        scores_: The first of these scores and their distance, shape (2,).
        factor_: A, shape (d, r).

    Example:
        >>> z = np.random.default_rng(0).standard_t(4, (2000, 3))
        >>> sampler = Elliptical().fit(z)
        >>> bool(np.allclose(sampler.cov_, np.cov(z.T), rtol=0.05, atol=0.05))
        True
        >>> gaussian = -1.5 * np.log(2 * np.pi) - np.linalg.slogdet(np.cov(z.T))[1] / 2 - 1.5
        >>> bool(sampler.score(z) > gaussian)
        True
    """

    name = "elliptical"
    description = (
        "The directions of the fitted Gaussian with the Mahalanobis radii of the training codes, "
        "so that heavy tails are kept."
    )
    has_density: ClassVar[bool] = True

    factor_: np.ndarray
    log_radii_: np.ndarray
    scores_: np.ndarray
    triangular_: bool

    def _fit(self, z: np.ndarray) -> None:
        self._need_covariance(
            len(z), z.shape[1], "use the sampler 'gaussian' with shrinkage or fewer components"
        )
        moments = Moments.of(z)
        self.factor_ = moments.factor()
        rank = self.factor_.shape[1]
        need_spread(self.name, moments.n, varied=rank)
        self.triangular_ = is_triangular(self.factor_)
        law = RadiusLaw(_radii(z, moments.mean, self.factor_), rank)
        highest = -special.ndtri(0.01 / moments.n)
        scores = np.linspace(_LOWEST_SCORE, highest, _KNOTS)
        step = scores[1] - scores[0]
        log_radii = np.log(law.quantile(special.ndtr(scores)))
        log_radii[-1] = min(log_radii[-1], log_radii[-2] + _STEEPEST * step)
        self.log_radii_, self.scores_ = log_radii[None], np.array([scores[0], step])
        square = _mean_square(self._bends())
        self.mean_, self.cov_ = moments.mean, square / rank * (self.factor_ @ self.factor_.T)

    def _bends(self) -> Bends:
        return Bends(float(self.scores_[0]), float(self.scores_[1]), self.log_radii_)

    def _draw(self, noise: Noise) -> np.ndarray:
        rho = np.exp(self._bends()(special.ndtri(noise.fine_uniform(1)))[:, 0])
        g = noise.normal(self.factor_.shape[1])
        return in_all_directions(g, rho, self.mean_, self.factor_, triangular=self.triangular_)

    def _log_density(self, block: np.ndarray) -> np.ndarray:
        d = len(self.mean_)
        need_volume(self.name, d, triangular=self.triangular_)
        y = linalg.solve_triangular(self.factor_, (block - self.mean_).T, lower=True)
        rho = np.sqrt(np.einsum("ij,ij->j", y, y))
        # Nearer the centre lies less than one code in 10^15; there the density stays what it is.
        log_rho = np.log(np.maximum(rho, np.exp(self.log_radii_[0, 0])))
        scores, slopes = (a[:, 0] for a in self._bends().straighten(log_rho[:, None]))
        log_radial = -0.5 * scores**2 - 0.5 * np.log(2 * np.pi) - np.log(slopes) - log_rho
        log_sphere = np.log(2) + d / 2 * np.log(np.pi) - special.gammaln(d / 2)
        log_det = np.log(np.diag(self.factor_)).sum()
        return log_radial - log_sphere - (d - 1) * log_rho - log_det


def _radii(z: np.ndarray, mean: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Length of each whitened code, shape (n,); also on the span of a singular covariance."""
    d, r = factor.shape
    if d == r:
        inverse = linalg.solve_triangular(factor, np.eye(d), lower=True)
    else:
        inverse = factor.T / np.square(factor).sum(axis=0)[:, None]
    blocks = [np.linalg.norm((block - mean) @ inverse.T, axis=1) for block in row_blocks(z)]
    return np.concatenate(blocks)


def _mean_square(bends: Bends) -> float:
    """E exp(2 q(s)) for the one map of `bends`: q = a + b s piece by piece."""
    values, knots = bends.values[0], bends.knots
    # By five points a piece, for the closed form overflows where q is steep ...
    points, weights = np.polynomial.legendre.leggauss(5)
    scores = knots[:-1, None] + bends.step * (points + 1) / 2
    inside = 2 * bends(scores.reshape(-1, 1)) - 0.5 * scores.reshape(-1, 1) ** 2
    body = np.exp(inside).reshape(scores.shape) @ weights * bends.step / 2 / np.sqrt(2 * np.pi)
    # ... which beyond the last knot it is not. Below the first lies nothing that counts.
    b = (values[-1] - values[-2]) / bends.step
    tail = np.exp(2 * (values[-1] - b * knots[-1]) + 2 * b * b) * special.ndtr(2 * b - knots[-1])
    return float(body.sum() + tail)
