"""What a cloud of codes looks like: `measure(z)` gives every number, each beside a control.

The rooms, one theme each: `moments` (mean, covariance, skewness, kurtosis), `components` (number
distributions and their Gaussian fits), `correlation`, `pca`, `ellipses` (coverage of pairs),
`radius` (lengths, cubes, Mahalanobis radii and their exact law), `control` (the same statistics on
a draw of the fitted Gaussian). All take bare arrays or memory maps (n, d); none knows of images or
networks. Data are read block by block: twice for `measure`, in memory that does not grow with n.
"""

__all__ = [
    "PCA",
    "GaussianControl",
    "MahalanobisLaw",
    "Moments",
    "best_cube",
    "confidence_ellipse",
    "correlation_counts",
    "coverage",
    "cube_radius",
    "expected_coverage",
    "fit_gaussians",
    "mahalanobis_squared",
    "measure",
    "number_distributions",
    "strongest_pairs",
]

from latentshape.shape.components import fit_gaussians, number_distributions
from latentshape.shape.control import GaussianControl
from latentshape.shape.correlation import correlation_counts, strongest_pairs
from latentshape.shape.ellipses import confidence_ellipse, coverage, expected_coverage
from latentshape.shape.measuring import measure
from latentshape.shape.moments import Moments
from latentshape.shape.pca import PCA
from latentshape.shape.radius import (
    MahalanobisLaw,
    best_cube,
    cube_radius,
    mahalanobis_squared,
)
