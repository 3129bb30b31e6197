"""The parts of a record that know one component at a time, and the codes' lengths."""

__all__ = [
    "Readings",
    "component_spread",
    "component_summary",
    "components",
    "in_strong_pair",
    "radius",
    "rms",
]

import math
from typing import Any, Protocol

import numpy as np

from latentshape.shape.components import (
    DOMINANT_RULE,
    NumberDistributions,
    dominant,
    fit_gaussians,
)
from latentshape.shape.moments import Moments, PowerSums, normal_errors
from latentshape.shape.radius import EuclideanRadii, best_cube, cube_radius
from latentshape.shape.wide import WideMoments

Record = dict[str, Any]

STRONG = 0.5
"""|r| of a strongly correlated pair."""

_NORMAL_HALF_WIDTH = math.sqrt(2 * math.log(2))


class Readings(Protocol):
    """What a read of the codes tells of each component and of the lengths."""

    @property
    def moments(self) -> Moments | WideMoments:
        """Mean and variances, at least."""

    @property
    def powers(self) -> PowerSums:
        """Third and fourth moments."""

    @property
    def distributions(self) -> NumberDistributions:
        """Number distributions."""

    @property
    def lengths(self) -> EuclideanRadii:
        """Lengths."""


def in_strong_pair(r: np.ndarray) -> np.ndarray:
    """Which components are in a pair of |r| above `STRONG`, shape (d,), bool.

    Example:
        >>> in_strong_pair(np.array([[1.0, 0.6, 0.1], [0.6, 1.0, 0.2], [0.1, 0.2, 1.0]])).tolist()
        [True, True, False]
    """
    strong = np.abs(r) > STRONG
    np.fill_diagonal(strong, False)
    return strong.any(axis=1)


def components(cloud: Readings) -> list[Record]:
    """A record of each component: moments, number distribution, fit."""
    moments = cloud.moments
    skewness, kurtosis = cloud.powers.result()
    fits = fit_gaussians(cloud.distributions, moments)
    half_width = cloud.distributions.half_widths()
    columns = {
        "mean": moments.mean,
        "std": moments.std,
        "half_width": half_width,
        "skewness": skewness,
        "excess_kurtosis": kurtosis,
        "interval_width": cloud.distributions.widths,
        "fit_mean": fits.mean,
        "fit_std": fits.std,
        "fit_r2": fits.r2,
        "dominant": dominant(moments.mean, half_width),
    }
    return [{key: column[j] for key, column in columns.items()} for j in range(moments.d)]


def component_spread(readings: Readings) -> Record:
    """The statistics with a null law, over all components that vary."""
    skewness, kurtosis = (values[~readings.moments.constant] for values in readings.powers.result())
    if len(skewness) == 0:
        keys = ("skewness_rms", "skewness_max", "excess_kurtosis_mean", "excess_kurtosis_rms")
        return dict.fromkeys((*keys, "half_width_ratio", "fit_r2_mean", "fit_r2_min"))
    fits = fit_gaussians(readings.distributions, readings.moments)
    varying = ~readings.moments.constant
    std = readings.moments.std[varying]
    ratio = readings.distributions.half_widths()[varying] / (_NORMAL_HALF_WIDTH * std)
    return {
        "skewness_rms": rms(skewness),
        "skewness_max": np.abs(skewness).max(),
        "excess_kurtosis_mean": kurtosis.mean(),
        "excess_kurtosis_rms": rms(kurtosis),
        "half_width_ratio": ratio.mean(),
        "fit_r2_mean": fits.r2[varying].mean(),
        "fit_r2_min": fits.r2[varying].min(),
    }


def component_summary(cloud: Readings, paired: np.ndarray) -> Record:
    """What all components together show.

    Args:
        cloud: One read of the codes.
        paired: Which components are in a pair of |r| above `STRONG`, shape (d,), bool.
    """
    moments = cloud.moments
    which = dominant(moments.mean, cloud.distributions.half_widths())
    squares = np.square(moments.mean)
    variances = moments.variances
    skewness_error, kurtosis_error = normal_errors(moments.n)
    return {
        "skewness_error": skewness_error,
        "excess_kurtosis_error": kurtosis_error,
        **component_spread(cloud),
        "dominant": np.flatnonzero(which),
        "dominant_rule": DOMINANT_RULE,
        "dominant_share_of_offset": _share(squares[which].sum(), squares.sum()),
        "dominant_share_of_variance": _share(variances[which].sum(), variances.sum()),
        "concentration": _concentration(squares, variances),
        "dominant_in_correlated_pairs": _overlap(which, paired),
    }


def _concentration(squares: np.ndarray, variances: np.ndarray) -> list[Record]:
    """Share of |mean|² and of the variance that the k largest components of each carry.

    A cloud whose centre lies near the space of a few axes has most of |mean|² in a few components.
    """
    counts = [k for k in (1, 2, 5, 10, 20, 50, 100) if k < len(squares)]
    by_mean, by_variance = np.sort(squares)[::-1], np.sort(variances)[::-1]
    return [
        {
            "k": k,
            "of_offset": _share(by_mean[:k].sum(), squares.sum()),
            "of_variance": _share(by_variance[:k].sum(), variances.sum()),
        }
        for k in counts
    ]


def _overlap(which: np.ndarray, paired: np.ndarray) -> Record:
    """How many of the dominant components are in a strongly correlated pair, and by chance."""
    return {
        "threshold": STRONG,
        "dominant": which.sum(),
        "paired": paired.sum(),
        "both": (which & paired).sum(),
        "expected_by_chance": which.sum() * paired.sum() / len(which),
    }


def radius(cloud: Readings, drawn: Readings) -> Record:
    """Lengths of the codes and of the control, and the cube that matches them best."""
    radii, d = cloud.lengths.radii, cloud.moments.d
    b = best_cube(d, radii.mean)
    cube = cube_radius(d, b) if b > 0 else (0.0, 0.0)
    return {
        "mean": radii.mean,
        "std": math.sqrt(radii.variance()),
        "best_cube_b": b,
        "cube": {"mean": cube[0], "std": cube[1]},
        "control": {
            "mean": drawn.lengths.radii.mean,
            "std": math.sqrt(drawn.lengths.radii.variance()),
        },
    }


def rms(values: np.ndarray) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.square(values).mean()))


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None
