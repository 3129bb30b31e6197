"""What a cloud of codes looks like: `measure(z)` gives every number, each beside a control, and a verdict.

One theme to a file. One component at a time: `moments`, `components`. Two: `correlation`, `ellipses`
(coverage), `screening` (all pairs), `density` (contours). The whole: `pca`, `radius` (lengths, cubes,
Mahalanobis radii and their exact law), `radius_law`, `joint_law` (is it elliptical?), `regions` (one mode or
several?), `origin` (where it lies), `voids` (nearest neighbours). Normality: `mardia`, `doornik_hansen`,
`bhep`, `energy`, `sliced`, `two_sample`, `pursuit` (the least Gaussian direction), together in `battery`,
with laws simulated by `nulls`. Beside all of them `control`: the same on a draw of the fitted Gaussian.
`whitening` and `streaming` carry the codes, `memory` gives back what they took, `loops` are compiled where
`compiled` finds Numba; `measuring` (with `marginals`) and `studying` make the record, `verdict` judges it.

Of more components than a covariance is formed of: `wide` (means, variances, leading axes), `low_rank` (a
Gaussian of few factors), `measuring_wide` (the record). Of codes with a shape, (n, c, h, w): `spatial`.

All take bare arrays or memory maps (n, d); none knows of images or networks. Data are read block by
block, in memory that does not grow with n.
"""

__all__ = [
    "PCA",
    "GaussianControl",
    "LowRankGaussian",
    "MahalanobisLaw",
    "Moments",
    "Whitening",
    "WideMoments",
    "as_codes",
    "best_cube",
    "confidence_ellipse",
    "correlation_counts",
    "count_regions",
    "coverage",
    "cube_radius",
    "density",
    "doornik_hansen",
    "ellipticity",
    "expected_coverage",
    "fit_gaussians",
    "least_gaussian_directions",
    "mahalanobis_squared",
    "mardia",
    "measure",
    "measure_positions",
    "nearest_neighbours",
    "normality",
    "number_distributions",
    "origin_position",
    "radius_law",
    "screen_pairs",
    "strongest_pairs",
    "verdict",
    "voids",
]

from latentshape.shape.battery import normality
from latentshape.shape.components import fit_gaussians, number_distributions
from latentshape.shape.control import GaussianControl
from latentshape.shape.correlation import correlation_counts, strongest_pairs
from latentshape.shape.density import density
from latentshape.shape.doornik_hansen import doornik_hansen
from latentshape.shape.ellipses import confidence_ellipse, coverage, expected_coverage
from latentshape.shape.joint_law import ellipticity
from latentshape.shape.low_rank import LowRankGaussian
from latentshape.shape.mardia import mardia
from latentshape.shape.measuring import measure
from latentshape.shape.moments import Moments
from latentshape.shape.origin import origin_position
from latentshape.shape.pca import PCA
from latentshape.shape.pursuit import least_gaussian_directions
from latentshape.shape.radius import (
    MahalanobisLaw,
    best_cube,
    cube_radius,
    mahalanobis_squared,
)
from latentshape.shape.radius_law import radius_law
from latentshape.shape.regions import count_regions
from latentshape.shape.screening import screen_pairs
from latentshape.shape.spatial import as_codes, measure_positions
from latentshape.shape.verdict import verdict
from latentshape.shape.voids import nearest_neighbours, voids
from latentshape.shape.whitening import Whitening
from latentshape.shape.wide import WideMoments
