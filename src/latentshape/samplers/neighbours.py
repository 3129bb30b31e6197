r"""A kernel density on the codes: a training code, a little moved. It memorises.

.. math::
    x = \mu + c\, (z_i - \mu + h A \varepsilon), \qquad i \text{ uniform}, \;
    \varepsilon \sim N(0, I), \quad A A^T = \Sigma, \\
    p(x) = \frac1n \sum_i N(x;\, \mu + c (z_i - \mu),\, c^2 h^2 \Sigma)

With c = 1 the draws have the covariance :math:`(1 + h^2) \Sigma`: a cloud that is too wide, the more
so as a kernel has to be wide in many dimensions. With :math:`c = 1 / \sqrt{1 + h^2}` they have the
codes' own mean and covariance, and the law goes from the codes themselves (h = 0) to the fitted
Gaussian (h infinite).

The bandwidth h is the one under which codes are likeliest when each is left out of the sum over
i. In whitened coordinates :math:`y = A^{-1}(z - \mu)` all distances come of one matrix product,

.. math:: |y - c\, y_i|^2 = |y|^2 - 2 c\, y \cdot y_i + c^2 |y_i|^2,

whatever h is tried.

References:
    Silverman, 1986, Density Estimation, 6.4 (the smoothed bootstrap);
    Duin, 1976, https://doi.org/10.1109/TC.1976.1674577 (leaving one out)
"""

__all__ = ["Neighbours"]

from typing import Any, ClassVar, final

import numpy as np
from scipy import linalg, optimize, special

from latentshape._checks import check_positive, row_blocks
from latentshape.errors import InputError
from latentshape.samplers.base import Sampler
from latentshape.samplers.codes import kept_codes
from latentshape.samplers.colouring import (
    colour,
    is_triangular,
    need_spread,
    need_volume,
)
from latentshape.samplers.noise import Noise
from latentshape.shape.moments import Moments

_QUERIES = 256
_CENTRES = 1024
_LEAST, _MOST = 0.02, 20.0


@final
class Neighbours(Sampler):
    """Draw training codes, moved by Gaussian noise of the codes' own covariance.

    Of more than `max_codes` codes a random subset (always the same one) is kept; mean and
    covariance are those of the kept codes. Codes that occur twice make every bandwidth look too
    wide: drop duplicates, or give the bandwidth.

    Args:
        bandwidth: h > 0, the noise in units of the codes' covariance; None chooses it, from 0.02
            to 20, by leaving codes out one at a time.
        shrink: Whether draws are pulled to the mean so that their covariance is the codes'.
        max_codes: How many codes are kept at most: 20 MB at 256 dimensions by default.

    Attributes:
        codes_: The kept codes, shape (m, d), float32.
        bandwidth_: h.
        center_: Mean of the kept codes, shape (d,).
        factor_: A, shape (d, r).

    Example:
        >>> z = np.random.default_rng(0).standard_normal((500, 2)) + 10
        >>> sampler = Neighbours().fit(z)
        >>> bool(np.allclose(sampler.cov_, np.cov(z.T, ddof=0), atol=1e-3))
        True
    """

    name = "neighbours"
    description = (
        "Training codes, each moved by a little noise of the codes' own covariance: a law that "
        "remembers what it has seen."
    )
    has_density: ClassVar[bool] = True
    baseline: ClassVar[bool] = True

    bandwidth_: float
    center_: np.ndarray
    codes_: np.ndarray
    factor_: np.ndarray
    triangular_: bool

    def __init__(
        self, bandwidth: float | None = None, shrink: bool = True, max_codes: int = 20_000
    ) -> None:
        self.bandwidth = bandwidth
        self.shrink = shrink
        self.max_codes = max_codes

    def _fit(self, z: np.ndarray) -> None:
        h = self.bandwidth
        if h is not None:
            h = check_positive(h, name="bandwidth")
        if not isinstance(self.shrink, bool | np.bool_):
            raise InputError(f"shrink must be True or False, got {self.shrink!r}; choose one.")
        cure = "encode more images, raise max_codes, or use the sampler 'gaussian' with shrinkage"
        codes = kept_codes(z, self.max_codes)
        n = len(codes)
        self._need_covariance(n, z.shape[1], cure)
        self.codes_ = codes
        moments = Moments.of(codes)
        # The kept codes are the whole population: divisor n.
        cov = moments.cov * ((n - 1) / n)
        self.factor_ = Moments(n, moments.mean, cov).factor()
        need_spread(self.name, n, varied=self.factor_.shape[1])
        self.triangular_ = is_triangular(self.factor_)
        self.center_ = moments.mean
        self.bandwidth_ = self._best_bandwidth() if h is None else h
        self.mean_ = moments.mean
        self.cov_ = (1.0 if self.shrink else 1.0 + self.bandwidth_**2) * cov

    def _pull(self, h: float) -> float:
        """The factor c on distances to the mean."""
        return 1 / np.sqrt(1 + h * h) if self.shrink else 1.0

    def _draw(self, noise: Noise) -> np.ndarray:
        n = len(self.codes_)
        index = np.minimum((noise.fine_uniform(1)[:, 0] * n).astype(np.intp), n - 1)
        g = noise.normal(self.factor_.shape[1])
        g *= g.dtype.type(self.bandwidth_)
        x = colour(g, self.factor_, triangular=self.triangular_)
        center = self.center_.astype(x.dtype)
        x += self.codes_[index] - center
        x *= x.dtype.type(self._pull(self.bandwidth_))
        x += center
        return x

    def _log_density(self, block: np.ndarray) -> np.ndarray:
        d = len(self.mean_)
        need_volume(self.name, d, triangular=self.triangular_)
        y = self._white(block)
        squares = np.einsum("ij,ij->i", y, y)
        total = np.full(len(y), -np.inf)
        for codes in row_blocks(self.codes_, rows=_CENTRES):
            centres = self._white(codes)
            inner = y @ centres.T
            logs = self._kernel(inner, squares, centres, self.bandwidth_)
            top = logs.max(axis=1)
            logs -= top[:, None]
            total = np.logaddexp(total, top + np.log(np.exp(logs, out=logs).sum(axis=1)))
        log_det = np.log(np.diag(self.factor_)).sum()
        return total - np.log(len(self.codes_)) - log_det

    def _kernel(
        self, inner: np.ndarray, squares: np.ndarray, centres: np.ndarray, h: float
    ) -> np.ndarray:
        """Log-density of each whitened code about each centre; `inner` is overwritten."""
        c, r = self._pull(h), centres.shape[1]
        inner *= 2 * c
        inner -= squares[:, None]
        inner -= c**2 * np.einsum("ij,ij->i", centres, centres)
        np.minimum(inner, 0.0, out=inner)
        inner *= 0.5 / (c * h) ** 2
        inner -= r * np.log(c * h) + r / 2 * np.log(2 * np.pi)
        return inner

    def _white(self, z: np.ndarray) -> np.ndarray:
        """Codes in whitened coordinates of their span, shape (rows, r), float64."""
        centred = z.astype(np.float64) - self.center_
        if self.triangular_:
            return linalg.solve_triangular(
                self.factor_, centred.T, lower=True, check_finite=False
            ).T
        return centred @ (self.factor_ / np.square(self.factor_).sum(axis=0))

    def _best_bandwidth(self) -> float:
        """The h under which codes, each left out, are likeliest."""
        n = len(self.codes_)
        left = np.random.Generator(np.random.PCG64(1)).choice(n, min(n, _QUERIES), replace=False)
        y = self._white(self.codes_[left])
        squares = np.einsum("ij,ij->i", y, y)
        centres = np.concatenate([self._white(block) for block in row_blocks(self.codes_)])
        inner = y @ centres.T

        def loss(log_h: float) -> float:
            logs = self._kernel(inner.copy(), squares, centres, np.exp(log_h))
            logs[np.arange(len(left)), left] = -np.inf
            return -float(special.logsumexp(logs, axis=1).mean())

        # More than one bandwidth may be best within its surroundings: a coarse grid comes first.
        grid = np.linspace(np.log(_LEAST), np.log(_MOST), 13)
        best = int(np.argmin([loss(log_h) for log_h in grid]))
        found: Any = optimize.minimize_scalar(
            loss,
            bounds=(grid[max(best - 1, 0)], grid[min(best + 1, 12)]),
            method="bounded",
            options={"xatol": 0.01},
        )
        return float(np.exp(found.x))
