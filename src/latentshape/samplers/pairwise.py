r"""All pairwise ellipses at once: the sampler of the experiments, exactly and in O(d) per code.

In principal coordinates of unit variance the codes are kept inside the ellipse of *every* pair,

.. math:: A_f = \{u \in R^K : u_i^2 + u_j^2 \le f^2 \text{ for all } i \ne j\}, \qquad
    x = \mu + \sum_i \sqrt{\lambda_i}\, u_i v_i, \qquad f = \mathrm{fact} \cdot \mathrm{sigma},

uniformly. Let M = max |u_i| and m = min(M, sqrt(f² - M²)). Given M, which coordinate is largest is
a fair draw, so is its sign, and the others are independent and uniform on [-m, m]; M itself has
density proportional to m^(K-1), on two branches:

.. math::
    M \le f/\sqrt2: \quad w_1 = (f/\sqrt2)^K / K, \quad M = (f/\sqrt2)\, U^{1/K};

.. math::
    M > f/\sqrt2: \quad w_2 = \tfrac{f^K}2 \int_0^{1/2} v^{(K-1)/2} (1 - v)^{-1/2} dv, \quad
    M = f \sqrt{1 - v}.

With :math:`v = \tfrac12 y^{2/(K+1)}` the last density becomes :math:`(1 - v)^{-1/2}` on [0, 1],
which lies between 1 and sqrt(2) for every K: no underflow, and a table inverts it to single
precision. All coordinates but the largest have standard deviation near f / sqrt(6): this is a
truncation, more faithful and less diverse than the cloud.
"""

__all__ = ["PairwiseEllipse"]

from typing import ClassVar, final

import numpy as np

from latentshape._checks import check_count, check_positive
from latentshape.errors import InputError
from latentshape.samplers.base import Sampler
from latentshape.samplers.noise import Noise
from latentshape.shape.moments import Moments
from latentshape.shape.pca import PCA

_KNOTS = 4097


@final
class PairwiseEllipse(Sampler):
    """Draw uniformly from the region inside all pairwise ellipses of the principal components.

    Args:
        components: K, how many principal axes vary (the others stay at the mean). None for all:
            eigenvalues give the widths of narrow components that counting intervals could not
            resolve. The experiments used 50 to 120 of 256.
        fact: Factor on the half-axes; the experiments used 0.6 to 0.8.
        sigma: Half-axes for fact = 1, in standard deviations; 2.35 is the full width at half
            maximum of a Gaussian.

    Example:
        >>> z = np.random.default_rng(0).standard_normal((1000, 3))
        >>> x = PairwiseEllipse().fit(z).sample(5)
        >>> x.shape
        (5, 3)
    """

    name = "pairwise-ellipse"
    description = (
        "Uniform in the region inside the confidence ellipses of all pairs of principal "
        "components: close to the centre, less diverse than the codes."
    )
    has_density: ClassVar[bool] = True

    axes_: np.ndarray
    std_: np.ndarray
    limit_: float
    cdf_: np.ndarray
    low_share_: float
    log_volume_: float

    def __init__(
        self, components: int | None = None, fact: float = 0.7, sigma: float = 2.35
    ) -> None:
        self.components = components
        self.fact = fact
        self.sigma = sigma

    def _fit(self, z: np.ndarray) -> None:
        f = check_positive(self.fact, name="fact") * check_positive(self.sigma, name="sigma")
        moments = Moments.of(z)
        most = min(moments.d, moments.n - 1)
        wanted = moments.d if self.components is None else self.components
        if self.components is None and most < moments.d:
            raise InputError(
                f"Sampler {self.name!r} needs more codes than dimensions, got {moments.n} codes "
                f"of dimension {moments.d}; use components={most} or fewer."
            )
        k = check_count(wanted, name="components", maximum=most)
        pca = PCA.of(moments)
        self.axes_, self.std_, self.limit_ = pca.axes[:k], pca.std[:k], f
        self.cdf_, self.low_share_, self.log_volume_, variance = _maximum_law(k, f)
        spread = self.axes_.T * self.std_
        self.mean_, self.cov_ = moments.mean, variance * (spread @ spread.T)

    def _draw(self, noise: Noise) -> np.ndarray:
        k, f = len(self.std_), self.limit_
        branch, place, which, sign = noise.fine_uniform(4).T
        low = branch < self.low_share_
        y = np.interp(place, self.cdf_, np.linspace(0.0, 1.0, _KNOTS))
        v = 0.5 * y ** (2 / (k + 1))
        largest = np.where(low, f / np.sqrt(2) * place ** (1 / k), f * np.sqrt(1 - v))
        others = np.where(low, largest, f * np.sqrt(v))
        u = noise.uniform(k)
        u *= 2
        u -= 1
        u *= others[:, None].astype(u.dtype)
        index = np.minimum((which * k).astype(np.intp), k - 1)
        u[np.arange(len(u)), index] = np.where(sign < 0.5, -largest, largest)
        x = u @ (self.std_[:, None] * self.axes_).astype(u.dtype)
        x += self.mean_.astype(u.dtype)
        return x

    def _log_density(self, block: np.ndarray) -> np.ndarray:
        k, d = len(self.std_), len(self.mean_)
        if k < d or not (self.std_ > 1e-7 * self.std_[0]).all():
            raise InputError(
                f"This {self.name!r} law varies in fewer than {d} dimensions and has no density "
                "there; use components=None and codes without constant or dependent components."
            )
        u = np.abs((block - self.mean_) @ (self.axes_.T / self.std_))
        if k == 1:
            inside = u[:, 0] <= self.limit_
        else:
            inside = np.square(np.partition(u, k - 2, axis=1)[:, -2:]).sum(axis=1) <= self.limit_**2
        return np.where(inside, -self.log_volume_ - np.log(self.std_).sum(), -np.inf)


def _maximum_law(k: int, f: float) -> tuple[np.ndarray, float, float, float]:
    """Tabulate the law of the largest coordinate.

    Returns:
        The distribution function of y on the upper branch at evenly spaced y, shape (knots,); the
        probability of the lower branch; log of the volume of A_f; the variance of a coordinate.
    """
    y = np.linspace(0.0, 1.0, _KNOTS)
    v = 0.5 * y ** (2 / (k + 1))
    density = (1 - v) ** -0.5
    cumulated = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)]) / (_KNOTS - 1)
    # Logarithms of both weights without their common factor f^k.
    log_low = -k / 2 * np.log(2) - np.log(k)
    log_high = -(k + 1) / 2 * np.log(2) - np.log(k + 1) + np.log(cumulated[-1])
    log_sum = np.logaddexp(log_low, log_high)
    low = float(np.exp(log_low - log_sum))
    log_volume = float(np.log(k) + k * np.log(2) + k * np.log(f) + log_sum)
    weights = density * np.r_[0.5, np.ones(_KNOTS - 2), 0.5]
    v_mean = (v * weights).sum() / weights.sum()
    high_variance = f**2 * ((1 - v_mean) + (k - 1) * v_mean / 3) / k
    variance = float(low * f**2 / 6 + (1 - low) * high_variance)
    return cumulated / cumulated[-1], low, log_volume, variance
