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

__all__ = ["feature_frechet", "frechet_distance"]


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
    cov_a, cov_b = np.atleast_2d(cov_a), np.atleast_2d(cov_b)
    root_a = _root(cov_a)
    product = root_a @ cov_b @ root_a
    overlap = np.sqrt(np.clip(np.linalg.eigvalsh((product + product.T) / 2), 0, None)).sum()
    shift = mean_a - mean_b
    return float(max(0.0, shift @ shift + np.trace(cov_a) + np.trace(cov_b) - 2 * overlap))


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
    a, b = a.astype(np.float64), b.astype(np.float64)
    return frechet_distance(a.mean(0), np.cov(a.T), b.mean(0), np.cov(b.T))


def _root(cov: np.ndarray) -> np.ndarray:
    """Symmetric square root of a positive semi-definite matrix."""
    values, vectors = np.linalg.eigh(cov)
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
