r"""The Fréchet distance between two sets of features, seen as Gaussians.

.. math:: d^2 = \|\mu_a - \mu_b\|^2
          + \mathrm{tr}\,\bigl(\Sigma_a + \Sigma_b - 2 (\Sigma_a^{1/2} \Sigma_b \Sigma_a^{1/2})^{1/2}\bigr)

It compares first and second moments only, and it is biased upwards for small samples: values are
comparable between equal n and the same features, and with nothing else. With Inception-v3 features
it is called FID; with any other features it is not.
"""

from __future__ import annotations

import numpy as np

from latentshape.errors import InputError

__all__ = ["FrechetReference", "feature_frechet", "frechet_distance"]


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


def _moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x = features.astype(np.float64)
    return x.mean(0), np.cov(x.T)
