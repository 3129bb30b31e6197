r"""The Fréchet distance between two sets of features, seen as Gaussians.

.. math:: d^2 = \|\mu_a - \mu_b\|^2
          + \mathrm{tr}\,\bigl(\Sigma_a + \Sigma_b - 2 (\Sigma_a^{1/2} \Sigma_b \Sigma_a^{1/2})^{1/2}\bigr)

It compares first and second moments only. With Inception-v3 features it is called FID; with any other
features it is not.

*Bias.* Two samples of one law are not at distance 0: their moments differ by chance, and a square cannot
average that out. For n pictures on either side and a covariance with eigenvalues :math:`\lambda_i`, normal
features, to the first order in 1/n,

.. math:: \mathrm{E}\, d^2 \approx \frac1n \Bigl( 2 \sum_i \lambda_i
          + \sum_{i,j} (1 + \delta_{ij}) \frac{\lambda_i \lambda_j}{\lambda_i + \lambda_j} \Bigr):

the means' part, and that of the covariances (the Bures metric at :math:`\Sigma`, where the difference of two
sample covariances has entries of variance
:math:`2 \lambda_i \lambda_j (1 + \delta_{ij}) / n` in its eigenbasis). It falls as 1/n, grows with the square
of the dimension, and is what a distance is to be read against (`expected_between_equals`). Values are
comparable between equal n and the same features, and with nothing else.

References:
    Heusel et al. 2017, *GANs trained by a two time-scale update rule*, https://arxiv.org/abs/1706.08500;
    the bias, measured: Chong & Forsyth 2020, *Effectively unbiased FID*, https://arxiv.org/abs/1911.07023
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from latentshape.errors import InputError

__all__ = [
    "FrechetReference",
    "bias_table",
    "expected_between_equals",
    "feature_frechet",
    "frechet_distance",
]


def frechet_distance(
    mean_a: np.ndarray, cov_a: np.ndarray, mean_b: np.ndarray, cov_b: np.ndarray
) -> float:
    """Squared Fréchet (2-Wasserstein) distance between two Gaussians.

    The trace of the root is the sum of the roots of the eigenvalues of a symmetric matrix, so the
    result is real by construction.

    Args:
        mean_a: Mean of the first, shape (d,).
        cov_a: Covariance of the first, symmetric positive semi-definite, shape (d, d).
        mean_b: Mean of the second, shape (d,).
        cov_b: Covariance of the second, shape (d, d).

    References:
        Dowson & Landau, 1982, https://doi.org/10.1016/0047-259X(82)90077-X

    Example:
        >>> eye = np.eye(3)
        >>> frechet_distance(np.zeros(3), eye, np.ones(3), eye)
        3.0
    """
    return FrechetReference(mean_b, cov_b).distance(mean_a, cov_a)


class FrechetReference:
    """One side of many distances: the root of its covariance is taken once.

    Args:
        mean: Shape (d,).
        cov: Symmetric positive semi-definite, shape (d, d).
    """

    def __init__(self, mean: np.ndarray, cov: np.ndarray) -> None:
        self.mean, self.cov = mean, np.atleast_2d(cov)
        values, vectors = np.linalg.eigh(self.cov)
        self._root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T

    @classmethod
    def of(cls, features: np.ndarray) -> FrechetReference:
        """The Gaussian fitted to features (n, d)."""
        return cls(*_moments(features))

    def distance(self, mean: np.ndarray, cov: np.ndarray) -> float:
        """Squared Fréchet distance from another Gaussian."""
        cov = np.atleast_2d(cov)
        product = self._root @ cov @ self._root
        overlap = np.sqrt(np.clip(np.linalg.eigvalsh((product + product.T) / 2), 0, None)).sum()
        shift = mean - self.mean
        squared = shift @ shift + np.trace(cov) + np.trace(self.cov) - 2 * overlap
        return float(max(0.0, squared))

    def distance_of(self, features: np.ndarray) -> float:
        """Squared Fréchet distance from the Gaussian fitted to features (n, d)."""
        return self.distance(*_moments(features))


def feature_frechet(a: np.ndarray, b: np.ndarray) -> float:
    """Fréchet distance between the Gaussians fitted to features a (n, d) and b (m, d).

    Raises:
        InputError: Fewer than two rows, or different dimensions.
    """
    if min(len(a), len(b)) < 2 or a.shape[1] != b.shape[1]:
        raise InputError(
            f"Expected two sets of at least 2 feature vectors of one dimension, got {a.shape} and "
            f"{b.shape}."
        )
    return FrechetReference.of(b).distance_of(a)


def expected_between_equals(cov: np.ndarray, n: int) -> float:
    """Fréchet distance to expect between two samples of n features of one normal law.

    The formula above, to the first order in 1/n: good for n of several times the dimension, too small
    for fewer.

    Args:
        cov: The law's covariance (or its estimate), shape (d, d).
        n: Features in either sample.

    Example:
        >>> expected_between_equals(np.eye(10), 1000)  # (2 d + d (d + 1) / 2) / n
        0.075
    """
    values = np.clip(np.linalg.eigvalsh(np.atleast_2d(cov)), 0, None)
    values = values[values > values[-1] * np.finfo(float).eps]
    pairs = values[:, None] * values / (values[:, None] + values)
    return float((2 * values.sum() + pairs.sum() + np.trace(pairs)) / n)


def bias_table(
    cov: np.ndarray, sizes: Sequence[int], repeats: int = 10, seed: int = 0
) -> list[dict[str, float]]:
    """Distances between samples of one normal law, by the size of the samples.

    Args:
        cov: The law's covariance, shape (d, d).
        sizes: Features in either sample, each at least 2.
        repeats: Pairs of samples behind each mean.
        seed: Of the samples.

    Returns:
        For each size ``n``, ``frechet`` (the mean), ``error`` (its standard error), ``expected`` (by
        the formula) and ``times_n`` (the mean times n, which the formula keeps constant).
    """
    cov, rng = np.atleast_2d(cov), np.random.default_rng(seed)
    zero, rows = np.zeros(len(cov)), []
    for n in sizes:
        found = [
            feature_frechet(*(rng.multivariate_normal(zero, cov, n, method="eigh") for _ in "ab"))
            for _ in range(repeats)
        ]
        mean, error = float(np.mean(found)), float(np.std(found) / np.sqrt(repeats))
        expected = expected_between_equals(cov, n)
        rows.append(
            {"n": n, "frechet": mean, "error": error, "expected": expected, "times_n": mean * n}
        )
    return rows


def _moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x = features.astype(np.float64)
    return x.mean(0), np.cov(x.T)
