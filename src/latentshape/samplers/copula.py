r"""Empirical margins joined by a Gaussian copula: each coordinate keeps its own law.

.. math::
    y_j = q_j(s_j), \quad s \sim N(0, R), \qquad
    \log p(y) = \log N(s; 0, R) - \sum_j \log q_j'(s_j), \quad s_j = q_j^{-1}(y_j)

*In PCA coordinates* (y = V'(z - μ)) the scores are taken as independent, R = I: their correlations
are zero already, and each principal component keeps its skewness, its tails, its humps. *In the
original coordinates* R is the correlation of the normal scores of the codes.

**Margins.** :math:`q_j` is fitted to the codes' quantiles at normal scores, evenly spaced up to the
tenth code from either end, about :math:`2 n^{0.3}` of them, so that a gap holds hundreds of codes and
the density is smooth enough to foretell held-out codes (a quantile function through every code is
not: its density is a row of spikes, zero beyond the last code). A monotone cubic through them is
tabulated at 1025 knots, and the law is that of the table: draws, density, mean and covariance agree
exactly. Beyond the outermost knots go normal tails with the mean excess of the codes there, so that
the density is positive everywhere. For normal codes q is a straight line, and the law the Gaussian's.

The covariance in the original coordinates is the series in the Hermite coefficients of q (Mehler):
:math:`\mathrm{cov}(y_j, y_k) = \sum_m c_{jm} c_{km} R_{jk}^m`.

References:
    Nelsen, 2006, An Introduction to Copulas; Liu, Lafferty & Wasserman, 2009 (the nonparanormal),
    https://www.jmlr.org/papers/v10/liu09a.html
"""

__all__ = ["Copula"]

from collections.abc import Iterator
from typing import ClassVar, final

import numpy as np
from scipy import interpolate, special

from latentshape._checks import check_choice, row_blocks
from latentshape.errors import InputError
from latentshape.samplers.base import Sampler
from latentshape.samplers.colouring import Bends, colour, is_triangular, need_spread
from latentshape.samplers.gaussian import log_normal
from latentshape.samplers.noise import Noise
from latentshape.shape.moments import Moments, MomentSums
from latentshape.shape.pca import PCA
from latentshape.shape.streaming import stream

_MARGIN_CODES = 65_536
_KNOTS = 1025
_TERMS = 30
_SINGULAR_STD = 1e-6
_LEAST_SLOPE = 1e-3


@final
class Copula(Sampler):
    """Draw every coordinate from its own empirical law, joined by a Gaussian copula.

    Of more than 65,536 codes a random subset (always the same one) shapes the margins. Values that
    occur again and again (as of a rectified unit) are smeared over about a thousandth of the
    coordinate's standard deviation, so that there is a density.

    Args:
        coordinates: "pca" for independent principal components, "original" for the codes' own
            components with the correlation of their normal scores.

    Attributes:
        margins_: Values of every q_j at the knots, about the codes' mean, shape (d, knots).
        scores_: Normal score of the first knot and distance of the knots, shape (2,).
        axes_: The coordinates' directions in rows, shape (d, d).
        center_: Mean of the codes, shape (d,).
        factor_: Factor of R: (d,) ones, or (d, r).

    Example:
        >>> z = np.random.default_rng(0).exponential(size=(5000, 2))
        >>> x = Copula(coordinates="original").fit(z).sample(20_000)
        >>> x.mean(axis=0).round(1).tolist(), np.quantile(x, 0.95, axis=0).round().tolist()
        ([1.0, 1.0], [3.0, 3.0])
    """

    name = "copula"
    description = (
        "Every principal component from its own empirical law, independently of the others."
    )
    has_density: ClassVar[bool] = True

    axes_: np.ndarray
    center_: np.ndarray
    factor_: np.ndarray
    margins_: np.ndarray
    scores_: np.ndarray
    triangular_: bool

    def __init__(self, coordinates: str = "pca") -> None:
        self.coordinates = coordinates

    def _fit(self, z: np.ndarray) -> None:
        check_choice(self.coordinates, name="coordinates", choices=("pca", "original"))
        cure = "use the sampler 'gaussian' with shrinkage or fewer components, or the sampler 'diagonal'"
        self._need_covariance(len(z), z.shape[1], cure)
        moments = Moments.of(z)
        self.center_ = moments.mean
        if self.coordinates == "pca":
            pca = PCA.of(moments)
            self.axes_, std = pca.axes, pca.std
            std = np.where(std > _SINGULAR_STD * std[0], std, 0.0)
        else:
            self.axes_, std = np.eye(moments.d), np.where(moments.constant, 0.0, moments.std)
        need_spread(self.name, moments.n, varied=std.any())
        self.margins_, self.scores_ = _margins(self._few(z), std)
        bends = self._bends()
        if self.coordinates == "pca":
            self.factor_ = np.ones(moments.d)
            cov = np.diag(bends.variance())
        else:
            sums = MomentSums(np.zeros(moments.d), exact=True)
            stream(self._normal_scores(z, std > 0), sums)
            scores = sums.result()
            correlation = scores.correlation()
            self.factor_ = Moments(scores.n, scores.mean, correlation).factor()
            cov = _mehler(bends, correlation)
        self.triangular_ = self.factor_.ndim == 2 and is_triangular(self.factor_)
        self.mean_ = self.center_ + bends.mean() @ self.axes_
        self.cov_ = self.axes_.T @ cov @ self.axes_

    def _bends(self) -> Bends:
        return Bends(float(self.scores_[0]), float(self.scores_[1]), self.margins_)

    def _coordinates(self, block: np.ndarray) -> np.ndarray:
        centred = block - self.center_
        return centred if self.coordinates == "original" else centred @ self.axes_.T

    def _few(self, z: np.ndarray) -> np.ndarray:
        """Coordinates of at most `_MARGIN_CODES` codes, float32: they lie about zero."""
        if len(z) > _MARGIN_CODES:
            rng = np.random.Generator(np.random.PCG64(0))
            z = np.asarray(z[np.sort(rng.choice(len(z), _MARGIN_CODES, replace=False))])
        y = np.empty(z.shape, dtype=np.float32)
        start = 0
        for block in row_blocks(z):
            y[start : start + len(block)] = self._coordinates(block)
            start += len(block)
        return y

    def _normal_scores(self, z: np.ndarray, varying: np.ndarray) -> Iterator[np.ndarray]:
        bends = self._bends()
        narrow = Bends(bends.lowest, bends.step, bends.values[varying])
        for block in row_blocks(z):
            scores = np.zeros(block.shape)
            scores[:, varying] = narrow.straighten(self._coordinates(block)[:, varying])[0]
            yield scores

    def _draw(self, noise: Noise) -> np.ndarray:
        g = noise.normal(self.factor_.shape[-1])
        if self.factor_.ndim == 2:
            g = np.ascontiguousarray(colour(g, self.factor_, triangular=self.triangular_))
        x = self._bends()(g)
        if self.coordinates == "pca":
            x = x @ self.axes_.astype(x.dtype)
        x += self.center_.astype(x.dtype)
        return x

    def _log_density(self, block: np.ndarray) -> np.ndarray:
        whole = self.factor_.ndim == 1 or self.triangular_
        if not whole or (self.margins_[:, 0] == self.margins_[:, -1]).any():
            raise InputError(
                f"This {self.name!r} law lies in fewer than {len(self.mean_)} dimensions and has "
                "no density there; fit codes without constant or dependent components."
            )
        scores, slopes = self._bends().straighten(self._coordinates(block))
        return log_normal(scores, self.factor_) - np.log(slopes).sum(axis=1)


def _margins(y: np.ndarray, std: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tabulate q of each column at even normal scores; zeros where the deviation is zero."""
    n, d = y.shape
    rank = min(10, n / 4)
    end = -special.ndtri(rank / n)
    own = np.linspace(-end, end, 2 * round(n**0.3) + 3)
    even = np.linspace(-end, end, _KNOTS - 2)
    step = even[1] - even[0]
    # How far a normal number beyond the end lies beyond it, on average.
    excess = np.exp(-0.5 * end**2) / np.sqrt(2 * np.pi) / (rank / n) - end
    values = np.zeros((d, _KNOTS))
    for j in np.flatnonzero(std):
        column = np.sort(y[:, j].astype(np.float64))
        quantiles = np.quantile(column, special.ndtr(own), method="hazen")
        low = (quantiles[0] - column[column <= quantiles[0]]).mean() / excess
        high = (column[column >= quantiles[-1]] - quantiles[-1]).mean() / excess
        inner = np.diff(interpolate.PchipInterpolator(own, quantiles)(even))
        rises = np.concatenate([[low * step], inner, [high * step]])
        np.maximum(rises, _LEAST_SLOPE * std[j] * step, out=rises)
        middle = _KNOTS // 2
        values[j] = np.concatenate([[0.0], np.cumsum(rises)])
        values[j] += quantiles[len(own) // 2] - values[j, middle]
    return values, np.array([-end - step, step])


def _mehler(bends: Bends, correlation: np.ndarray) -> np.ndarray:
    """Covariance of q(s) for scores of this correlation, shape (d, d)."""
    coefficients = bends.hermite(_TERMS)
    cov = np.zeros_like(correlation)
    power = np.ones_like(correlation)
    for column in coefficients.T:
        power *= correlation
        cov += np.outer(column, column) * power
    np.fill_diagonal(cov, bends.variance())  # of which the series may lack a little
    return cov
