"""Mahalanobis radii of codes as a histogram, beside those of a Gaussian control and the exact law."""

__all__ = ["RadiusHistogram", "radius_histogram"]

from typing import Any, NamedTuple

import numpy as np

from latentshape._checks import check_codes
from latentshape.shape.control import GaussianControl
from latentshape.shape.moments import Moments
from latentshape.shape.radius import MahalanobisLaw, mahalanobis_squared
from latentshape.shape.whitening import Whitening

#: Intervals of the histogram, and places at which the law is drawn.
BINS, PLACES = 89, 400


class RadiusHistogram(NamedTuple):
    """Densities of the radius.

    Attributes:
        edges: Of the intervals, shape (90,).
        codes, control: Density in each interval; codes beyond the last (0.1 % at most) are left out.
        x, law: Density of the exact law of Gaussian codes, at 399 places.
    """

    edges: np.ndarray
    codes: np.ndarray
    control: np.ndarray
    x: np.ndarray
    law: np.ndarray


def radius_histogram(z: Any, moments: Moments | None = None, *, seed: int = 0) -> RadiusHistogram:
    """Histogram of Mahalanobis radii of codes (n, d), with an equal-size draw from their Gaussian.

    Codes and control have the same intervals; each is whitened by its own moments.

    Args:
        z: Codes.
        moments: Those the radii are about; None: of z.
        seed: Of the control.

    Raises:
        InputError: The covariance has no inverse, or there are too few codes.

    Example:
        >>> found = radius_histogram(np.random.default_rng(0).standard_normal((5000, 4)))
        >>> bool(abs(found.codes - found.control).max() < 0.2)
        True
    """
    z = check_codes(z, min_samples=3, finite=False)
    moments = moments or Moments.of(z)
    radii = np.sqrt(mahalanobis_squared(z, moments))
    control = GaussianControl(moments, len(z), seed=seed)
    whiten = Whitening(control.moments())
    squares = [np.square(whiten(block)).sum(axis=1) for block in control.blocks()]
    of_control = np.sqrt(np.concatenate(squares))
    low = min(radii.min(), of_control.min())
    high = max(float(np.quantile(radii, 0.999)), of_control.max())
    edges = np.linspace(low, high, BINS + 1)
    codes, drawn = (
        np.histogram(r, edges)[0] / len(r) / np.diff(edges) for r in (radii, of_control)
    )
    steps = np.linspace(low, high, PLACES)
    below = np.asarray(MahalanobisLaw(moments.n, moments.d).cdf(steps**2))
    return RadiusHistogram(
        edges, codes, drawn, (steps[1:] + steps[:-1]) / 2, np.diff(below) / np.diff(steps)
    )
