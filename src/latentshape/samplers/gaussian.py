r"""Five Gaussian laws, to tell the right centre from the right covariance.

.. math::
    x = m + A g, \quad g \sim N(0, I), \quad A A^T = S, \qquad
    \log p(x) = -\tfrac12 |A^{-1}(x - m)|^2 - \log |\det A| - \tfrac d2 \log 2\pi

                          covariance I      s² I         diagonal      full
    mean 0                standard-normal                              zero-mean
    mean of the codes                       centred      diagonal      gaussian

Published tables that sample a plain autoencoder "with a Gaussian" mostly used the upper row; the
codes of a plain autoencoder are off-centre.
"""

__all__ = ["Centred", "Diagonal", "Gaussian", "StandardNormal", "ZeroMean", "log_normal"]

from abc import abstractmethod
from typing import ClassVar, final

import numpy as np
from scipy import linalg

from latentshape._checks import check_count, check_fraction, check_positive
from latentshape.errors import InputError
from latentshape.samplers.base import Sampler
from latentshape.samplers.colouring import colour, is_triangular
from latentshape.samplers.noise import Noise
from latentshape.shape.moments import Moments, singular_why
from latentshape.shape.pca import PCA
from latentshape.shape.wide import moments_of


def log_normal(centred: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Return the log-density of N(0, A A') at rows, in nats, shape (rows,).

    Args:
        centred: Rows about the mean, shape (rows, d), float64.
        factor: A, lower triangular, shape (d, d), or its diagonal, shape (d,); no zero there.

    Example:
        >>> log_normal(np.zeros((1, 2)), np.array([1.0, 1.0])).round(3).tolist()  # -log 2π
        [-1.838]
    """
    if factor.ndim == 1:
        g, scale = centred / factor, factor
    else:
        g = linalg.solve_triangular(factor, centred.T, lower=True, check_finite=False).T
        scale = np.diag(factor)
    squares = np.einsum("ij,ij->i", g, g)
    return -0.5 * squares - np.log(scale).sum() - len(scale) / 2 * np.log(2 * np.pi)


class _GaussianLaw(Sampler):
    """N(mean_, cov_), drawn through `factor_`: (d, r), or (d,) where the covariance is diagonal."""

    has_density: ClassVar[bool] = True
    most_components: ClassVar[int] = 8192
    factor_: np.ndarray
    triangular_: bool

    @abstractmethod
    def _fit(self, z: np.ndarray) -> None:
        """Learn by `_keep`."""

    def _keep(self, mean: np.ndarray, factor: np.ndarray) -> None:
        """Hold mean (d,) and factor, (d, r) or (d,)."""
        self.mean_, self.factor_ = mean, factor
        self.triangular_ = factor.ndim == 2 and is_triangular(factor)

    def _covariance(self) -> np.ndarray:
        full = np.diag(self.factor_) if self.factor_.ndim == 1 else self.factor_
        return full @ full.T

    def _draw(self, noise: Noise) -> np.ndarray:
        g = noise.normal(self.factor_.shape[-1])
        if self.factor_.ndim == 1:
            g *= self.factor_.astype(g.dtype)
        else:
            g = colour(g, self.factor_, triangular=self.triangular_)
        g += self.mean_.astype(g.dtype)
        return g

    def _log_density(self, block: np.ndarray) -> np.ndarray:
        good = self.factor_ > 0 if self.factor_.ndim == 1 else np.array(self.triangular_)
        self._need_volume(good)
        return log_normal(block - self.mean_, self.factor_)

    def _need_volume(self, good: np.ndarray) -> None:
        if not good.all():
            raise InputError(
                f"This {self.name!r} law lies in fewer than {len(self.mean_)} dimensions and has "
                "no density there; fit codes without constant or dependent components, or use the "
                "sampler 'gaussian' with shrinkage above 0 and all components."
            )


_FULL_CURE = (
    "use the sampler 'gaussian' with shrinkage=0.1, or with components=..., "
    "or the sampler 'diagonal'"
)


@final
class StandardNormal(_GaussianLaw):
    """Draw from N(0, I), as a VAE's prior: wrong centre, wrong covariance.

    Example:
        >>> z = np.random.default_rng(0).normal(5.0, 2.0, (100, 2))
        >>> StandardNormal().fit(z).mean_.tolist()
        [0.0, 0.0]
    """

    name = "standard-normal"
    description = "Standard normal numbers in every component, as if the autoencoder were a VAE."

    def _fit(self, z: np.ndarray) -> None:
        d = z.shape[1]
        self._keep(np.zeros(d), np.ones(d))


@final
class ZeroMean(_GaussianLaw):
    """Draw from N(0, Σ): right covariance, wrong centre."""

    name = "zero-mean"
    description = "A Gaussian with the codes' covariance, but centred at the origin."

    def _fit(self, z: np.ndarray) -> None:
        self._need_covariance(len(z), z.shape[1], _FULL_CURE)
        self._keep(np.zeros(z.shape[1]), Moments.of(z).factor())


@final
class Centred(_GaussianLaw):
    r"""Draw from N(μ, s² I), s² the mean variance of the components: right centre, round."""

    name = "centred"
    description = "A round Gaussian at the codes' mean, with their average variance."

    def _fit(self, z: np.ndarray) -> None:
        moments = moments_of(z)
        rms = np.sqrt(moments.variances.mean())
        self._keep(moments.mean, np.full(moments.d, rms))


@final
class Diagonal(_GaussianLaw):
    """Draw every component on its own, from N(mean_j, var_j): right centre, no correlation."""

    name = "diagonal"
    description = (
        "Every component on its own from a Gaussian with its mean and variance; "
        "correlations are ignored."
    )

    def _fit(self, z: np.ndarray) -> None:
        moments = moments_of(z)
        self._keep(moments.mean, moments.std)


@final
class Gaussian(_GaussianLaw):
    r"""Draw from N(μ, T² Σ'), the multivariate normal fitted to the codes.

    .. math:: \Sigma' = \sum_{k \le K} \lambda_k v_k v_k^T
        \quad\text{of}\quad (1 - a) \Sigma + a\, \frac{\mathrm{tr}\, \Sigma}{d} I

    Args:
        shrinkage: a, from 0 to 1: share of a round covariance mixed in; needed when n <= d.
        components: K, how many principal axes vary (the others stay at the mean); None for all.
        temperature: T > 0: factor on all standard deviations; below 1 draws stay near the mean.

    Example:
        >>> z = np.random.default_rng(0).standard_normal((500, 2)) @ [[2, 1], [0, 1]] + [5, 0]
        >>> x = Gaussian().fit(z).sample(20_000)
        >>> x.mean(axis=0).round().tolist(), np.cov(x.T).round().tolist()
        ([5.0, -0.0], [[4.0, 2.0], [2.0, 2.0]])
    """

    name = "gaussian"
    description = "The multivariate normal with the codes' own mean and full covariance."

    def __init__(
        self, shrinkage: float = 0.0, components: int | None = None, temperature: float = 1.0
    ) -> None:
        self.shrinkage = shrinkage
        self.components = components
        self.temperature = temperature

    def _fit(self, z: np.ndarray) -> None:
        a = check_fraction(self.shrinkage, name="shrinkage")
        temperature = check_positive(self.temperature, name="temperature")
        n, d = z.shape
        if a == 0 and self.components is None:
            self._need_covariance(n, d, _FULL_CURE)
        self._need_size(d)
        moments = Moments.of(z)
        shrunk = _shrink(moments, a)
        factor = shrunk.factor() if self.components is None else self._axes(shrunk, a)
        self._keep(moments.mean, temperature * factor)

    def _axes(self, shrunk: Moments, a: float) -> np.ndarray:
        most = shrunk.d if a > 0 else min(shrunk.d, shrunk.n - 1)
        k = check_count(self.components, name="components", maximum=most)
        if k == shrunk.d and singular_why(shrunk) is None:
            return shrunk.factor()
        pca = PCA.of(shrunk)
        return pca.axes[:k].T * pca.std[:k]


def _shrink(moments: Moments, a: float) -> Moments:
    """Mix a round covariance of the same trace in."""
    if a == 0:
        return moments
    cov = (1 - a) * moments.cov + a * np.diag(moments.cov).mean() * np.eye(moments.d)
    # A round part has full rank whatever n is, so n no longer limits it.
    return Moments(max(moments.n, moments.d + 2), moments.mean, cov)
