r"""From white noise to a law: covariances by :math:`x = A g`, margins by bending the axes.

A covariance of full rank has a triangular factor, and a triangular product (BLAS trmm, in place)
costs half of a full one.

Any continuous law of one number is a normal number bent by an increasing map q, and for a map that
is linear between evenly spaced knots, and goes on as straight beyond the outermost, draws, density
and moments are exact:

.. math::
    x = q(s), \; s \sim N(0, 1), \qquad \log p(x) = \log \varphi(s) - \log q'(s), \qquad
    \mathrm{E}\, q(s)\, h_m(s) = \tfrac{1}{\sqrt m} \mathrm{E}\, q'(s)\, h_{m-1}(s)

with the Hermite polynomials :math:`h_m` of unit variance; for two scores of correlation r,
:math:`\mathrm{E}\, h_m(s)\, h_l(t) = r^m \delta_{ml}`.
"""

__all__ = ["Bends", "colour", "in_all_directions", "is_triangular", "need_spread",
           "need_volume"]  # fmt: skip

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import get_blas_funcs
from scipy.special import ndtr

from latentshape.errors import InputError


def is_triangular(factor: np.ndarray) -> bool:
    """Whether a factor (d, r) is square and zero above its diagonal."""
    return factor.shape[0] == factor.shape[1] and np.array_equal(factor, np.tril(factor))


def colour(g: np.ndarray, factor: np.ndarray, *, triangular: bool) -> np.ndarray:
    """Return rows A g, shape (rows, d); `g` may be overwritten.

    Args:
        g: White noise in rows, shape (rows, r), C-contiguous.
        factor: A, shape (d, r).
        triangular: What `is_triangular` says of the factor.

    Example:
        >>> colour(np.ones((1, 2)), np.array([[1.0, 0.0], [2.0, 3.0]]), triangular=True).tolist()
        [[1.0, 5.0]]
    """
    factor = factor.astype(g.dtype, copy=False)
    if not triangular:
        return g @ factor.T
    trmm = get_blas_funcs("trmm", (factor, g))
    # Read as Fortran order, the upper factor.T stands for factor, and g.T for g: nothing is copied.
    return trmm(1.0, factor.T, g.T, lower=0, trans_a=1, overwrite_b=1).T


def in_all_directions(
    g: np.ndarray, rho: np.ndarray, mean: np.ndarray, factor: np.ndarray, *, triangular: bool
) -> np.ndarray:
    """Return rows m + rho A g / |g|: uniform directions of given Mahalanobis radii, shape (rows, d).

    Args:
        g: White normal noise, shape (rows, r); it may be overwritten.
        rho: Radii, shape (rows,).
        mean: m, shape (d,).
        factor: A, shape (d, r).
        triangular: What `is_triangular` says of the factor.

    Example:
        >>> in_all_directions(np.array([[3.0, 4.0]]), np.array([10.0]), np.ones(2), np.eye(2),
        ...                   triangular=True).tolist()
        [[7.0, 9.0]]
    """
    g *= (rho / np.sqrt(np.einsum("ij,ij->i", g, g))).astype(g.dtype)[:, None]
    x = colour(g, factor, triangular=triangular)
    x += mean.astype(g.dtype)
    return x


def need_spread(name: str, n: int, *, varied: Any) -> None:
    """Refuse codes that are all alike.

    Raises:
        InputError: They do not vary.
    """
    if not varied:
        raise InputError(
            f"Sampler {name!r} needs codes that vary, got {n} equal codes; check the encoder."
        )


def need_volume(name: str, d: int, *, triangular: bool) -> None:
    """Refuse the density of a law that lies in fewer than d dimensions.

    Raises:
        InputError: The factor is not of full rank.
    """
    if not triangular:
        raise InputError(
            f"This {name!r} law lies in fewer than {d} dimensions and has no density "
            "there; fit codes without constant or dependent components."
        )


@dataclass(frozen=True, eq=False)
class Bends:
    """Increasing maps q of normal scores, one per component, linear between shared even knots.

    Attributes:
        lowest: Score of the first knot.
        step: Distance of the knots.
        values: q at the knots, shape (m, knots), at least two; a map that is constant stands for a
            number that does not vary, and has no density.

    Example:
        >>> double = Bends(-1.0, 1.0, np.array([[-2.0, 0.0, 2.0]]))
        >>> double(np.array([[0.5], [3.0]])).tolist()
        [[1.0], [6.0]]
        >>> [a.ravel().tolist() for a in double.straighten(np.array([[6.0]]))]  # score, slope
        [[3.0], [2.0]]
        >>> double.mean().round(9).tolist(), double.hermite(2).round(9).tolist()
        ([0.0], [[2.0, 0.0]])
    """

    lowest: float
    step: float
    values: np.ndarray

    @property
    def knots(self) -> np.ndarray:
        """The scores of the knots, shape (knots,)."""
        return self.lowest + self.step * np.arange(self.values.shape[1])

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Return q of each score, shape (rows, m), in the scores' precision."""
        m, knots = self.values.shape
        place = (scores - scores.dtype.type(self.lowest)) / scores.dtype.type(self.step)
        piece = np.clip(place.astype(np.int32), 0, knots - 2)
        place -= piece
        piece += np.arange(m, dtype=np.int32) * knots
        values = self.values.astype(scores.dtype, copy=False)
        place *= np.append(np.diff(values, axis=1), np.zeros((m, 1)), axis=1).ravel()[piece]
        place += values.ravel()[piece]
        return place

    def straighten(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the score of each value and the slope q' there, each shape (rows, m), float64."""
        scores, slopes = np.empty((2, *x.shape))
        for j, values in enumerate(self.values):
            piece = np.clip(np.searchsorted(values, x[:, j]) - 1, 0, len(values) - 2)
            slopes[:, j] = (values[piece + 1] - values[piece]) / self.step
            scores[:, j] = (
                self.lowest + self.step * piece + (x[:, j] - values[piece]) / slopes[:, j]
            )
        return scores, slopes

    def mean(self) -> np.ndarray:
        """Return the mean of each q(s), shape (m,)."""
        # q is its value at the first knot, less what it loses below, plus what it gains above:
        # E (s - a)^+ = φ(a) - a (1 - Φ(a)), weighted with every change of slope.
        knots = self.knots[:-1]
        slopes = np.diff(self.values, axis=1) / self.step
        above = _density(knots) - knots * ndtr(-knots)
        gain = slopes[:, 0] * above[0] + np.diff(slopes, axis=1) @ above[1:]
        below = slopes[:, 0] * (_density(knots[0]) + knots[0] * ndtr(knots[0]))
        return self.values[:, 0] + gain - below

    def hermite(self, terms: int) -> np.ndarray:
        """Return the coefficients E q(s) h_m(s) for m = 1 ... terms, shape (m, terms)."""
        slopes = np.diff(self.values, axis=1) / self.step
        inner = self.knots[1:-1]
        edges = np.concatenate([[0.0], ndtr(inner), [1.0]])
        coefficients = np.empty((len(slopes), terms))
        coefficients[:, 0] = slopes @ np.diff(edges)
        before, now = np.zeros_like(inner), np.ones_like(inner)
        for m in range(2, terms + 1):
            # The integral of h φ over a piece lies at its ends; at infinity it is zero.
            ends = np.concatenate([[0.0], now * _density(inner), [0.0]]) / np.sqrt(m * (m - 1))
            coefficients[:, m - 1] = slopes @ -np.diff(ends)
            before, now = now, (inner * now - np.sqrt(m - 2) * before) / np.sqrt(m - 1)
        return coefficients

    def variance(self) -> np.ndarray:
        """Return the variance of each q(s), shape (m,)."""
        # About the mean, and piece by piece: q = a + b s there.
        knots, values = self.knots, self.values - self.mean()[:, None]
        b = np.diff(values, axis=1) / self.step
        a = values[:, :-1] - b * knots[:-1]
        inner = knots[1:-1]
        share = np.diff(np.concatenate([[0.0], ndtr(inner), [1.0]]))
        bell = np.concatenate([[0.0], _density(inner), [0.0]])
        first = -np.diff(bell)
        second = share - np.diff(np.concatenate([[0.0], inner, [0.0]]) * bell)
        return (a * a) @ share + 2 * (a * b) @ first + (b * b) @ second


def _density(s: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * np.square(s)) / np.sqrt(2 * np.pi)
