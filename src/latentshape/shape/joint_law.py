r"""Is the cloud elliptical: are directions uniform, and independent of the radius?

Whitened codes are written y = r u with |u| = 1. Under an elliptical law u is uniform on the sphere and
independent of r, whatever the law of r. So the null hypothesis is the *fitted elliptical law*: the
codes' own radii times uniform directions, whitened again by its own moments. A normal draw would be
no null: under heavy tails its moments mislead.

*Directions.* With the zonal harmonics :math:`P_k` of the sphere, :math:`P_k(1) = 1`,

.. math::
    P_1 = t, \quad P_2 = \frac{d t^2 - 1}{d - 1}, \quad P_3 = \frac{(d + 2) t^3 - 3 t}{d - 1}, \quad
    P_4 = \frac{(d + 2)(d + 4) t^4 - 6 (d + 2) t^2 + 3}{d^2 - 1}

and :math:`N_k` the number of harmonics of degree k, :math:`V_k = n^{-2} \sum_{ij} P_k(u_i^T u_j)` is the
squared length of the mean of all of them, over :math:`N_k`: the complete tensor of k-th moments, the
same after any rotation. Mean and axes of the directions (1, 2), their skewness (3), kurtosis (4).

*Independence.* With s the ranks of the radii, centred and of variance 1, the same with
:math:`s_i s_j P_k`, k = 1, 2: is the radius larger towards one side, or along some axes?

*Shadows.* u·v along a unit vector v follows :math:`x^2 \sim \mathrm{Beta}(\tfrac12, \tfrac{d - 1}2)`. The
Anderson-Darling distance from it is averaged over random v, and its maximum taken over v that were
chosen on *other* rows (least Gaussian directions, axes of dependence), to which the judged ones are
independent; so are the largest correlations of s with u·v and (u·v)².

*One p-value.* Every statistic is made near normal (cube root, logarithm) and standardised by the
replicates; the largest score of the codes is ranked among the largest scores of the replicates (max-T),
which is exact whatever the dependence of the statistics, but for the radii being estimated.

References:
    Giné, 1975, https://doi.org/10.1214/aos/1176343285; Huffer & Park, 2007,
    https://doi.org/10.1016/j.jmva.2005.11.009; Westfall & Young, 1993, Resampling-Based Multiple
    Testing
"""

__all__ = ["TOLERANCES", "ellipticity"]

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import linalg, special

from latentshape._checks import (
    BLOCK_ROWS,
    check_codes,
    check_count,
    check_fraction,
    check_seed,
    row_blocks,
)
from latentshape.shape.moments import Moments, singular_why
from latentshape.shape.pursuit import least_gaussian_directions
from latentshape.shape.whitening import Whitening

TOLERANCES = {
    # Root mean square, over d independent axes, of a standardised coefficient: 0.1 of degree 3 is a
    # skewness of 0.24, of degree 4 an excess kurtosis of 0.5, in each of them. Less is drawn by an
    # elliptical sampler without a visible loss.
    "mean direction": 0.1,
    "axes": 0.1,
    "skewness": 0.1,
    "kurtosis": 0.1,
    # Multiple correlation of the rank of the radius: at 0.15 the direction explains 2 % of it.
    "radius by side": 0.15,
    "radius by axis": 0.15,
    # Root of the weighted mean square by which a distribution function is off, where a t(5) shadow is
    # 0.07 from a normal one and an exponential 0.25.
    "shadows": 0.04,
    "worst shadow": 0.04,
    "worst side": 0.1,
    "worst axis": 0.1,
}
"""Effects up to which a significant departure is called small: the cloud then counts as elliptical."""

_EXPLORED_ROWS = 20_000
_RANDOM_SHADOWS = 32
_PURSUED = 8
_TABLE = 8193
_BLOCK = 512

_Statistics = dict[str, float]


def ellipticity(
    z: Any,
    *,
    n_used: int = 3072,
    replicates: int = 199,
    seed: int = 0,
    workers: int | None = None,
    level: float = 0.01,
) -> dict[str, Any]:
    """Test whether codes follow some elliptical law (a normal law is one).

    Args:
        z: Codes, shape (n, d), in the coordinates they came in; an array or memory map, finite.
        n_used: Codes that are judged, drawn without replacement; others, up to 20,000, are searched
            for directions (of few codes one half, and only judged codes enter those statistics).
        replicates: Draws of the fitted elliptical law, at least 99.
        seed: Which codes and which draws.
        workers: Threads for the replicates; None is one.
        level: Family-wise level of the verdict.

    Returns:
        A dictionary with plain numbers

        * elliptical: True, False, or None where nothing can be said; `why` in words;
        * pvalue: of all statistics together;
        * statistics: by name {statistic, z, pvalue, effect, null_effect, tolerance}; z is the
          standard score after the transformation, pvalue is adjusted for the number of statistics,
          null_effect the mean effect of the replicates;
        * n, d, n_used, replicates, level.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> heavy = rng.standard_normal((1000, 3)) * np.sqrt(4 / rng.chisquare(4, (1000, 1)))
        >>> ellipticity(heavy, replicates=99)["elliptical"]
        True
        >>> ellipticity(rng.exponential(size=(1000, 3)), replicates=99)["elliptical"]
        False
    """
    z, seed = check_codes(z, finite=False), check_seed(seed)
    n_used = check_count(n_used, name="n_used", minimum=10)
    replicates = check_count(replicates, name="replicates", minimum=99)
    level = check_fraction(level, name="level")
    n, d = z.shape
    rng = np.random.default_rng((seed, 0))
    chosen = _choose(n, min(n, n_used + _EXPLORED_ROWS), rng)
    rows = _rows(z, chosen[: min(n, n_used)])
    record: dict[str, Any] = {
        "elliptical": None,
        "pvalue": None,
        "statistics": {},
        "n": n,
        "d": d,
        "n_used": len(rows),
        "replicates": replicates,
        "level": level,
    }
    moments = Moments.of(rows)
    why = singular_why(moments)
    if why is None and len(rows) <= d + 2:
        why = f"needs n > d + 2, got {len(rows)} codes of dimension {d}"
    if why is not None:
        return record | {"why": f"ellipticity cannot be judged: z {why}"}
    judged = min(len(rows), len(chosen) // 2)
    if judged <= d + 2:
        why = f"needs twice as many codes as n > d + 2, got {len(chosen)} of dimension {d}"
        return record | {"why": f"ellipticity cannot be judged: z {why}"}
    explored = _rows(z, chosen[judged:])
    radii = _true_radii(Whitening(moments)(rows))
    toward = np.empty((0, d))
    if d > 1 and min(len(explored), judged) > 3 * (d + 1):
        functionals = _pursued(explored, seed)
        # In coordinates of which the judged codes have, about, the identity as their covariance.
        toward = _units(functionals @ moments.factor())
    del explored
    measure = _Measure(d, judged, toward, _units(rng.standard_normal((_RANDOM_SHADOWS, d))))
    observed = measure(Whitening(moments)(rows))
    del rows

    def replicate(index: int) -> _Statistics:
        stream = np.random.Generator(np.random.SFC64(np.random.SeedSequence((seed, 1, index))))
        g = stream.standard_normal((len(radii), d), dtype=np.float32)
        g *= (radii / np.sqrt(np.einsum("ij,ij->i", g, g)))[:, None]
        return measure(g)

    with ThreadPoolExecutor(max_workers=workers or 1) as pool:
        drawn = list(pool.map(replicate, range(replicates)))
    names = list(observed)
    null = np.array([[row[name] for name in names] for row in drawn])
    return record | _judge(names, np.array([*observed.values()]), null, measure, level)


def _judge(
    names: list[str], observed: np.ndarray, null: np.ndarray, measure: "_Measure", level: float
) -> dict[str, Any]:
    raw = np.column_stack([observed, null.T]).T  # the codes first, then the replicates
    near_normal = np.column_stack([_TRANSFORMS[name](raw[:, j]) for j, name in enumerate(names)])
    # Standardising by codes and replicates together keeps them exchangeable, so the rank is exact.
    pooled = (near_normal - near_normal.mean(axis=0)) / np.maximum(near_normal.std(axis=0), 1e-300)
    largest = pooled.max(axis=1)
    pvalues = (largest[1:, None] >= pooled[0]).sum(axis=0) + 1
    pvalues = pvalues / len(raw)
    centre, spread = near_normal[1:].mean(axis=0), near_normal[1:].std(axis=0, ddof=1)
    score = (near_normal[0] - centre) / np.maximum(spread, 1e-300)
    bias = null.mean(axis=0)
    statistics = {}
    for j, name in enumerate(names):
        effects = [measure.effect(name, value, bias[j]) for value in raw[:, j]]
        statistics[name] = {
            "statistic": float(observed[j]),
            "z": float(score[j]),
            "pvalue": float(pvalues[j]),
            "effect": effects[0],
            "null_effect": float(np.mean(effects[1:])),
            "tolerance": TOLERANCES[name],
        }
    found = {name: s for name, s in statistics.items() if s["pvalue"] <= level}
    beyond = [name for name, s in found.items() if s["effect"] > s["tolerance"]]
    if not found:
        why = "no statistic differs from the fitted elliptical law's"
    elif not beyond:
        why = f"{', '.join(found)} differ significantly, but by less than the tolerance"
    else:
        worst = max(beyond, key=lambda name: statistics[name]["z"])
        s = statistics[worst]
        why = (
            f"{', '.join(beyond)} differ from the fitted elliptical law's; {worst} by {s['z']:.1f} "
            f"standard deviations, effect {s['effect']:.2f} (tolerance {s['tolerance']})"
        )
    return {
        "elliptical": not beyond,
        "pvalue": float(pvalues.min()),
        "statistics": statistics,
        "why": why,
    }


def _root(value: np.ndarray) -> np.ndarray:
    return np.cbrt(value)


def _logarithm(value: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(value, 1e-300))


_TRANSFORMS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    # Wilson and Hilferty: squared lengths of means are about chi-squared.
    "mean direction": _root,
    "axes": _root,
    "skewness": _root,
    "kurtosis": _root,
    "radius by side": _root,
    "radius by axis": _root,
    "shadows": _logarithm,
    "worst shadow": _logarithm,
    "worst side": np.asarray,
    "worst axis": np.asarray,
}


@dataclass(frozen=True)
class _Measure:
    """All statistics of one set of rows, in coordinates where its law has covariance I (about).

    Attributes:
        d: Dimension.
        judged: The first rows, alone independent of how `toward` was chosen.
        toward: Directions chosen on other rows, unit vectors, shape (j, d).
        random: Directions chosen by chance, shape (k, d).
    """

    d: int
    judged: int
    toward: np.ndarray
    random: np.ndarray

    def __call__(self, x: np.ndarray) -> _Statistics:
        u, factor = _whitened(x)
        s = _polar(u)
        statistics = {"mean direction": _mean_squared(u), "radius by side": _mean_squared(u, s)}
        if self.d == 1:
            return statistics
        statistics |= _harmonics(u, s)
        if self.judged < len(x):
            u, factor = _whitened(x[: self.judged])
            s = _polar(u)
        law = _coordinate_law(self.d)
        by_chance = u @ self.random.T.astype(u.dtype)
        statistics["shadows"] = float(_anderson_darling(by_chance, law).mean())
        if len(self.toward):
            v = _units(self.toward @ factor).astype(u.dtype)
            shadow = u @ v.T
            statistics["worst shadow"] = float(_anderson_darling(shadow, law).max())
            side = np.abs(s @ shadow) * math.sqrt(self.d) / self.judged
            axis = np.abs(s @ np.square(shadow)) * self.d / self.judged
            # Variance of (u.v)^2 d is 2 (d - 1) / (d + 2).
            axis /= math.sqrt(2 * (self.d - 1) / (self.d + 2))
            statistics["worst side"] = float(side.max())
            statistics["worst axis"] = float(axis.max())
        return statistics

    def effect(self, name: str, value: float, bias: float) -> float:
        """What does not grow with n, and is 0 or small under the null; see `TOLERANCES`."""
        if name in ("worst side", "worst axis"):
            return float(value)
        excess = max(value - bias, 0.0)
        if name in ("shadows", "worst shadow"):
            return math.sqrt(excess / self.judged)
        total = excess * _harmonic_count(_DEGREES[name], self.d)
        # Squared multiple correlations are of all axes together; coefficients are per axis.
        return math.sqrt(total if name.startswith("radius") else total / self.d)


_DEGREES = {
    "mean direction": 1, "axes": 2, "skewness": 3, "kurtosis": 4,
    "radius by side": 1, "radius by axis": 2,
}  # fmt: skip


def _harmonic_count(k: int, d: int) -> int:
    """Number of linearly independent harmonics of degree k on the sphere of R^d."""
    below = math.comb(d + k - 3, k - 2) if k >= 2 else 0
    return math.comb(d + k - 1, k) - below


def _mean_squared(u: np.ndarray, s: np.ndarray | None = None) -> float:
    """Squared length of the mean of u, or of s u."""
    weights = np.ones(len(u), dtype=u.dtype) if s is None else s
    mean = (weights @ u).astype(np.float64) / len(u)
    return float(mean @ mean)


def _harmonics(u: np.ndarray, s: np.ndarray) -> _Statistics:
    """The degrees 2 to 4 of directions u (n, d), and degree 2 weighted by s, each summed over all pairs."""
    n, d = u.shape
    m1 = _mean_squared(u)
    second = (u.T @ u).astype(np.float64) / n
    weighted = _weighted_square(u, s) / n
    m2 = float(np.square(second).sum())
    m3 = m4 = 0.0
    parts = [u[start : start + _BLOCK] for start in range(0, n, _BLOCK)]
    for i, part in enumerate(parts):
        for j in range(i, len(parts)):
            t = part @ parts[j].T
            square = t * t
            # Pairs beyond the diagonal stand for their mirror images too.
            times = 1.0 if i == j else 2.0
            m3 += times * _sum_of_products(square, t)
            m4 += times * _sum_of_products(square, square)
    m3, m4 = m3 / n**2, m4 / n**2
    s_mean = float(s.mean(dtype=np.float64))
    return {
        "axes": (d * m2 - 1) / (d - 1),
        "radius by axis": (d * float(np.square(weighted).sum()) - s_mean**2) / (d - 1),
        "skewness": ((d + 2) * m3 - 3 * m1) / (d - 1),
        "kurtosis": ((d + 2) * (d + 4) * m4 - 6 * (d + 2) * m2 + 3) / (d * d - 1),
    }


def _sum_of_products(a: np.ndarray, b: np.ndarray) -> float:
    """Row by row as the arrays are, then in float64: 700 times nearer than one long sum in float32."""
    return float((a[:, None, :] @ b[:, :, None]).sum(dtype=np.float64))


def _anderson_darling(shadows: np.ndarray, law: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Distance of each column (n, k) from the law of a coordinate of the sphere."""
    n = len(shadows)
    # Sorted first, and column after column, because the table is then read along.
    shares = law(np.sort(shadows.T, axis=1)).T
    np.clip(shares, 1e-12, 1 - 1e-12, out=shares)
    odd = (2 * np.arange(n) + 1) / n
    return -n - odd @ np.log(shares) - odd @ np.log1p(-shares[::-1])


@lru_cache(maxsize=16)
def _coordinate_law(d: int) -> Callable[[np.ndarray], np.ndarray]:
    """Distribution function of u·v for u uniform on the sphere of R^d, d > 1, from a table.

    Tabulated over the angle, in which it is smooth in the plane too (where x has an arcsine law).
    """
    # Beyond 12 / sqrt(d) nothing is left; the knots are spent within.
    end = math.asin(min(1.0, 12 / math.sqrt(d)))
    angle = np.linspace(-end, end, _TABLE)
    share = special.betainc(0.5, (d - 1) / 2, np.square(np.sin(angle)))
    table = 0.5 + 0.5 * np.sign(angle) * share

    def law(x: np.ndarray) -> np.ndarray:
        return np.interp(np.arcsin(np.clip(x, -1.0, 1.0)), angle, table)

    return law


def _polar(y: np.ndarray) -> np.ndarray:
    """Turn rows (n, d), in place, into directions; return ranks of their radii, mean 0 and variance 1."""
    n = len(y)
    radii = np.sqrt(np.einsum("ij,ij->i", y, y))
    y /= np.maximum(radii, np.finfo(y.dtype).tiny)[:, None]
    s = np.empty(n)
    s[np.argsort(radii, kind="stable")] = np.arange(n) - (n - 1) / 2
    return (s * math.sqrt(12 / (n**2 - 1))).astype(y.dtype)


def _weighted_square(u: np.ndarray, s: np.ndarray) -> np.ndarray:
    """Sum of s u u' over rows u (n, d), block by block."""
    total = np.zeros((u.shape[1], u.shape[1]))
    for start in range(0, len(u), BLOCK_ROWS):
        part = u[start : start + BLOCK_ROWS]
        total += part.T @ (part * s[start : start + BLOCK_ROWS, None])
    return total


def _whitened(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows whitened by their own moments, and the factor L of their covariance."""
    n = len(x)
    centred = x - x.mean(axis=0, dtype=np.float64).astype(x.dtype)
    # One triangle is enough for the factor, and half the work.
    rank_k = linalg.get_blas_funcs("syrk", (centred,))
    cov = rank_k(1.0, centred.T, lower=True).astype(np.float64) / (n - 1)
    factor = linalg.cholesky(cov, lower=True)
    matrix = linalg.solve_triangular(factor, np.eye(len(cov)), lower=True).T.astype(x.dtype)
    # Likewise half of a triangular product, in its place (see `Whitening`).
    multiply = linalg.get_blas_funcs("trmm", (centred,))
    y = multiply(1.0, matrix.T, centred.T, lower=1, overwrite_b=1).T
    return y, factor


def _true_radii(y: np.ndarray) -> np.ndarray:
    r"""Radii from which draws are made, so that whitened again they are spread like those of y, (n,).

    Taken about the moments of all *other* rows, because a far code draws its own moments to itself.
    Errors of the covariance, E, then still add :math:`u^T E u` to log R², of variance
    :math:`2 (d + 1) / (d + 2) \cdot \mathrm{E} R^4 / (d (d + 2) n)`, and those of the mean 4 / (d n):
    taken off by shrinking, without which the radii of a thin shell would be all noise, and that noise
    depends on the direction.
    """
    n, d = y.shape
    squared = np.einsum("ij,ij->i", y, y).astype(np.float64)
    fourth = float(np.square(squared).mean()) / (d * (d + 2))
    squared *= n / (n - 1)
    top = n - 1.0
    logarithm = np.log(np.maximum(squared, 1e-300) / (1 - np.minimum(squared / top, 1 - 1e-3)))
    centre = np.median(logarithm)
    noise = (2 * (d + 1) / (d + 2) * fourth + 4 / d) / n
    kept = math.sqrt(max(1 - noise / max(float(logarithm.var()), 1e-300), 0.0))
    return np.exp((centre + kept * (logarithm - centre)) / 2).astype(np.float32)


def _pursued(explored: np.ndarray, seed: int) -> np.ndarray:
    """Directions worth judging, found on other rows; functionals of the codes, shape (j, d)."""
    d = explored.shape[1]
    moments = Moments.of(explored)
    if singular_why(moments) is not None:
        return np.empty((0, d))
    whiten = Whitening(moments)
    u = whiten(explored)
    s = _polar(u)
    second = (u.T @ u).astype(np.float64)
    weighted = _weighted_square(u, s)
    side = (s @ u).astype(np.float64)
    del u
    _, axes = linalg.eigh(weighted)
    _, spread = linalg.eigh(second)
    few = min(2, d // 2)
    own = [side, *axes.T[:few], *axes.T[-few:], spread[:, 0], spread[:, -1]]
    found = least_gaussian_directions(explored, _PURSUED, seed).directions
    return np.concatenate([np.array(own) @ whiten.matrix.T, found])


def _units(v: np.ndarray) -> np.ndarray:
    return v / np.maximum(np.linalg.norm(v, axis=1), 1e-300)[:, None]


def _choose(n: int, count: int, rng: np.random.Generator) -> np.ndarray:
    return rng.permutation(n)[:count] if count == n else rng.choice(n, count, replace=False)


def _rows(z: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Rows of z in the given order, read in ascending order (a memory map is read along)."""
    order = np.argsort(rows)
    taken = None
    for start in range(0, len(rows), BLOCK_ROWS):
        some = order[start : start + BLOCK_ROWS]
        block = next(row_blocks(z[rows[some]]))
        if taken is None:
            taken = np.empty((len(rows), z.shape[1]), dtype=block.dtype)
        taken[some] = block
    assert taken is not None
    return taken
