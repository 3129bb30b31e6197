r"""Projection pursuit: the directions in which a cloud looks least Gaussian.

In many dimensions almost every shadow of a cloud is nearly normal (Diaconis & Freedman), so that a
peculiar direction has to be sought. It is sought on one part of the codes and judged on the other,
the *held-out* one: what pursuit finds in noise does not survive there.

*Index.* The robust approximation of negentropy by Hyvärinen, in nats, 0 for a normal shadow x of mean
0 and variance 1:

.. math::
    J(x) = k_1 \big(\mathrm{E}\, x e^{-x^2/2}\big)^2
         + k_2 \big(\mathrm{E}\, e^{-x^2/2} - \sqrt{1/2}\big)^2,
    \quad k_1 = \tfrac{36}{8 \sqrt 3 - 9}, \quad k_2 = \tfrac{24}{16 \sqrt 3 - 27}.

The first term sees skewness, the second heavy tails, flat tops and two humps.

*Pursuit.* The codes are whitened by the moments of their own part. Starts are: the axes of the codes
as given and of their principal components; :math:`t = \mathrm{E}\, |y|^2 y`; the extreme eigenvectors
of :math:`\mathrm{E}\,|y|^2 y y^T` (extreme kurtosis) and of :math:`\mathrm{E}\,(t^T y)\, y y^T`
(skewness); random directions. The best by index are improved by fixed-point iterations

.. math:: w \leftarrow \mathrm{E}\, y\, g(w^T y) - w\, \mathrm{E}\, g'(w^T y), \qquad |w| = 1,

with :math:`g = x^2` (skewness), with :math:`g = \tanh x` (log-cosh: tails and humps), and with
:math:`g = x^3` (kurtosis: climbs from further away, but is led astray by far codes) and then tanh; and
all of it once more orthogonally to what was found.

*What can be found.* A direction that nothing in mean and covariance betrays must first stand out of
the noise of a start. Skewness κ₃ does so from about :math:`n \approx 20\, d / \kappa_3^2` codes. A
symmetric law (two equal groups, a uniform one) shows in fourth moments only, and no fast algorithm is
known to find it below about :math:`n \approx 2 d^2 / \kappa_4^2`: 90,000 codes for a uniform direction
at d = 256, unless it lies near an axis or a principal component, as groups far apart do. So give the
codes *as they are*, not whitened: their axes and principal components are worth more than the rest.

References:
    Friedman & Tukey, 1974, https://doi.org/10.1109/T-C.1974.224051;
    Hyvärinen, 1998, https://papers.nips.cc/paper/1408; Hyvärinen, 1999,
    https://doi.org/10.1109/72.761722
"""

__all__ = [
    "LeastGaussian",
    "least_gaussian_directions",
    "least_gaussian_stream",
    "negentropy",
    "null_index",
]

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from scipy import linalg

from latentshape._checks import check_codes, check_count, check_seed, row_blocks
from latentshape.errors import InputError
from latentshape.shape.moments import Moments, MomentSums
from latentshape.shape.streaming import stream
from latentshape.shape.whitening import Whitening

HELD_OUT_ROWS = 20_000
"""Codes kept for judging, at most; half of them if there are fewer than twice as many."""

_CANDIDATES = 16  # of many starts, those improved; twice as many are judged in the end
_MIN_CODES = 16
_CODES_PER_CANDIDATE = 8  # held-out ones, at least
_EXTREMES = 4  # eigenvectors taken from either end
_RANDOM = 128
_TOGETHER = 128  # directions looked along at a time
_ITERATIONS = 15
_KEPT_BYTES = 20 * 2**20
_K1 = 36 / (8 * np.sqrt(3) - 9)
_K2 = 24 / (16 * np.sqrt(3) - 27)


@dataclass(frozen=True, eq=False)
class LeastGaussian:
    """The least Gaussian directions, by falling index.

    Attributes:
        directions: Unit vectors in the coordinates of the codes given, shape (k, d): the shadow of
            code z is z @ direction.
        index: Negentropy of the shadows of the held-out codes, in nats, shape (k,).
        skewness, kurtosis: Skewness and excess kurtosis of the same shadows, shape (k,).
        n: Codes that pursuit used.
        n_held_out: Codes that judged.
        n_candidates: Directions that were judged.
    """

    directions: np.ndarray
    index: np.ndarray
    skewness: np.ndarray
    kurtosis: np.ndarray
    n: int
    n_held_out: int
    n_candidates: int


def least_gaussian_directions(
    y: Any, count: int = 8, seed: int = 0, *, starts: np.ndarray | None = None
) -> LeastGaussian:
    """Find directions in which codes (n, d) look least Gaussian.

    The shadows of the directions returned are uncorrelated. Codes are read block by block; up to
    20 MiB of them are kept for the iterations.

    Args:
        y: Codes, whitened or not (see above), n > 2 (d + 1).
        count: How many directions; at most d are returned.
        seed: Which codes are held out, and the random starts.
        starts: Further directions to start from, shape (m, d).

    Raises:
        InputError: There are too few codes, or the covariance of those that pursuit uses has no
            inverse.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> z = rng.standard_normal((4000, 10))
        >>> z[:, 0] = rng.exponential(size=4000)
        >>> turn = np.linalg.qr(rng.standard_normal((10, 10)))[0]
        >>> found = least_gaussian_directions(z @ turn, count=1)
        >>> round(abs(float(found.directions[0] @ turn[0])), 1)
        1.0
    """
    y = check_codes(y, name="y", finite=False)
    if starts is not None:
        starts = check_codes(starts, name="starts", min_samples=1, latent_dim=y.shape[1])
    return least_gaussian_stream(lambda: row_blocks(y), len(y), count, seed, starts=starts)


def least_gaussian_stream(
    read: Callable[[], Iterable[np.ndarray]],
    n: int,
    count: int = 8,
    seed: int = 0,
    *,
    starts: np.ndarray | None = None,
) -> LeastGaussian:
    """Find directions in which n codes that are read in blocks look least Gaussian.

    Args:
        read: Starts a read: returns the blocks of codes, shapes (rows, d). It is called five times
            and gives the same codes each time (as `GaussianControl.blocks` does).
        n: How many codes there are.
        count: How many directions; at most d are returned.
        seed: Which codes are held out, and the random starts.
        starts: Further directions to start from, shape (m, d).
    """
    count = check_count(count, name="count")
    if n < _MIN_CODES:
        raise InputError(f"projection pursuit needs at least {_MIN_CODES} codes, got {n}.")
    judged = _held_out(n, seed)
    moments = _moments_of(_part(read(), ~judged))
    if moments.n <= moments.d + 1:
        raise InputError(
            f"projection pursuit needs n > 2 (d + 1), got {n} codes of dimension {moments.d}; use more "
            "codes or fewer components."
        )
    whitening = Whitening(moments)

    def blocks() -> Iterator[np.ndarray]:
        return whitening.blocks(_part(read(), ~judged))

    w = _pursue(blocks, _first_directions(whitening, moments, starts), moments.n, seed)
    w = w[: max(1, int(judged.sum()) // _CODES_PER_CANDIDATE)]
    shadows = np.concatenate([whitening(block) @ w.T for block in _part(read(), judged)])
    shadows, mixing = _uncorrelated(shadows)
    index = negentropy(shadows)
    best = np.argsort(-index, kind="stable")[:count]
    skewness = (shadows**3).mean(axis=0, dtype=np.float64)[best]
    kurtosis = (shadows**4).mean(axis=0, dtype=np.float64)[best] - 3.0
    found = whitening.matrix @ (w.T @ mixing)[:, best]
    found /= np.linalg.norm(found, axis=0)
    return LeastGaussian(found.T, index[best], skewness, kurtosis, moments.n, len(shadows), len(w))


def negentropy(x: np.ndarray) -> np.ndarray:
    """Return the index J of standardised numbers, shape (n, ...), along the first axis.

    Example:
        >>> coin = np.array([-1.0, 1.0])  # k2 (exp(-1/2) - sqrt(1/2))^2
        >>> round(float(negentropy(coin)), 4)
        0.3406
    """
    bell = np.exp(-0.5 * np.square(x))
    odd = (x * bell).mean(axis=0, dtype=np.float64)
    even = bell.mean(axis=0, dtype=np.float64) - np.sqrt(0.5)
    return _K1 * odd**2 + _K2 * even**2


def null_index(n_held_out: int, candidates: int, seed: int | tuple[int, ...] = 0) -> float:
    """Draw the largest held-out index of Gaussian codes under pursuit.

    Directions found on other codes are fixed directions to the held-out ones, whatever their
    dimension and however hard was sought: shadows of Gaussian codes along m of them, made
    uncorrelated, are a whitened (n, m) Gaussian draw. So the law is exact, and cheap.
    """
    rng = np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed)))
    noise = rng.standard_normal((n_held_out, candidates), dtype=np.float32)
    return float(negentropy(_uncorrelated(noise)[0]).max())


def _held_out(n: int, seed: int) -> np.ndarray:
    """Which of n rows judge; pursuit uses the others."""
    rng = np.random.default_rng(check_seed(seed))
    judged = np.zeros(n, dtype=bool)
    judged[rng.choice(n, min(n // 2, HELD_OUT_ROWS), replace=False)] = True
    return judged


def _part(blocks: Iterable[np.ndarray], chosen: np.ndarray) -> Iterator[np.ndarray]:
    start = 0
    for block in blocks:
        rows = chosen[start : start + len(block)]
        start += len(block)
        if rows.any():
            yield block if rows.all() else block[rows]


def _moments_of(blocks: Iterator[np.ndarray]) -> Moments:
    first = next(blocks)
    sums = MomentSums(first.mean(axis=0, dtype=np.float64))
    stream(chain([first], blocks), sums)
    return sums.result()


def _first_directions(
    whitening: Whitening, moments: Moments, starts: np.ndarray | None
) -> np.ndarray:
    """Axes, principal components and given directions, in whitened coordinates, (m, d)."""
    axes = [np.eye(moments.d), linalg.eigh(moments.correlation())[1].T / moments.std]
    axes.append(linalg.eigh(moments.cov)[1].T)
    if starts is not None:
        axes.append(np.asarray(starts, dtype=np.float64))
    # z @ a = (y @ factor.T) @ a + a constant, so that the direction of a is that of factor.T @ a.
    return _unit(np.concatenate(axes) @ whitening.factor)


def _pursue(
    blocks: Callable[[], Iterable[np.ndarray]], given: np.ndarray, n: int, seed: int
) -> np.ndarray:
    """Improve starts on whitened codes; return orthonormal candidates (m, d), float32."""
    d = given.shape[1]
    rng = np.random.Generator(np.random.SFC64(np.random.SeedSequence((check_seed(seed), 1))))
    pointed = np.concatenate(_moment_directions(blocks, n))
    many = np.concatenate([given, rng.standard_normal((_RANDOM, d))])
    kept = _keep(blocks, n)
    found = np.zeros((0, d), dtype=np.float32)
    for _ in range(2):
        if len(found) == d:
            break
        loose = _orthogonal_to(found, many)
        loose = loose[np.argsort(-_index_along(kept, loose), kind="stable")[:_CANDIDATES]]
        # What moments point to may be far from it yet, and is not asked for its index.
        loose = np.concatenate([_orthogonal_to(found, pointed), loose])
        skewed, humped, cubed = (
            _fixed_point(kept, loose, found, contrast) for contrast in (_skew, _tanh, _cube)
        )
        moved = np.concatenate(
            [loose, skewed, humped, cubed, _fixed_point(kept, cubed, found, _tanh)]
        )
        order = np.argsort(-_index_along(kept, moved), kind="stable")
        found = _extend(found, moved[order])
    return found


def _moment_directions(blocks: Callable[[], Iterable[np.ndarray]], n: int) -> list[np.ndarray]:
    """Directions that third and fourth moments of all codes point to."""
    third, fourth = 0.0, 0.0
    for block in blocks():
        # A weight that is bounded, so that a few far codes do not decide.
        squared = np.einsum("ij,ij->i", block, block)
        d = block.shape[1]
        weight = np.minimum(squared, d + 6 * np.sqrt(2 * d)) - d
        third = third + (weight @ block).astype(np.float64)
        fourth = fourth + ((block.T * weight) @ block).astype(np.float64)
    t = _unit(np.atleast_2d(third))
    sliced = 0.0
    for block in blocks():
        sliced = sliced + ((block.T * (block @ t[0].astype(block.dtype))) @ block).astype(float)
    ends = []
    for matrix in (fourth, sliced):
        vectors = linalg.eigh(np.asarray(matrix) / n)[1].T
        ends += [vectors[:_EXTREMES], vectors[-_EXTREMES:]]
    return [t, *ends]


def _keep(blocks: Callable[[], Iterable[np.ndarray]], n: int) -> list[np.ndarray]:
    """Whitened codes in float32, every k-th block's rows so that they fit into memory."""
    kept: list[np.ndarray] = []
    step = None
    for block in blocks():
        step = step or max(1, -(-n * block.shape[1] * 4 // _KEPT_BYTES))
        kept.append(block[::step].astype(np.float32))
    return kept


def _index_along(kept: list[np.ndarray], w: np.ndarray) -> np.ndarray:
    if len(w) > _TOGETHER:
        parts = [w[start : start + _TOGETHER] for start in range(0, len(w), _TOGETHER)]
        return np.concatenate([_index_along(kept, part) for part in parts])
    odd, even, n = 0.0, 0.0, 0
    along = w.T.astype(np.float32)
    for block in kept:
        x = block @ along
        bell = np.exp(np.float32(-0.5) * np.square(x))
        odd, even, n = odd + np.einsum("ij,ij->j", x, bell), even + bell.sum(axis=0), n + len(x)
    return _K1 * (odd / n) ** 2 + _K2 * (even / n - np.sqrt(0.5)) ** 2


def _skew(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return g = x² and its mean derivative, 0 for a centred x."""
    return np.square(x), np.zeros(x.shape[1])


def _cube(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    squared = np.square(x)
    return squared * x, 3 * squared.sum(axis=0, dtype=np.float64)


def _tanh(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    g = np.tanh(x)
    return g, (1 - np.square(g)).sum(axis=0, dtype=np.float64)


def _fixed_point(
    kept: list[np.ndarray],
    w: np.ndarray,
    found: np.ndarray,
    contrast: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
) -> np.ndarray:
    """Fixed-point iterations from all starts (m, d) at once, orthogonal to what was found."""
    w = w.copy()
    active = np.arange(len(w))
    for _ in range(_ITERATIONS):
        along = w[active].astype(np.float32)
        pulled, bent, n = np.zeros(along.shape), np.zeros(len(active)), 0
        for block in kept:
            g, slope = contrast(block @ along.T)
            pulled += g.T @ block
            bent += slope
            n += len(block)
        new = _orthogonal_to(found, pulled / n - along * (bent / n)[:, None], keep_all=True)
        still = np.abs(np.einsum("ij,ij->i", new, along)) < 1 - 1e-4
        w[active] = new
        active = active[still]
        if len(active) == 0:
            break
    return w


def _unit(w: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(w, axis=-1, keepdims=True)
    return w / np.where(length > 0, length, 1.0)


def _orthogonal_to(found: np.ndarray, w: np.ndarray, keep_all: bool = False) -> np.ndarray:
    """Unit vectors of what in rows of w is new; rows with hardly anything new are left out."""
    rest = _unit(w)
    rest = rest - (rest @ found.T) @ found
    new = np.linalg.norm(rest, axis=1) > 0.3
    return _unit(rest if keep_all else rest[new])


def _extend(found: np.ndarray, ranked: np.ndarray) -> np.ndarray:
    """Add ranked directions that are new, made orthogonal to those before."""
    limit = min(len(found) + _CANDIDATES, found.shape[1])
    for direction in ranked:
        if len(found) == limit:
            break
        new = _orthogonal_to(found, direction[None])
        # Twice, or rounding leaves a trace of those before.
        found = np.concatenate([found, _orthogonal_to(found, new).astype(np.float32)])
    return found


def _uncorrelated(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centred, standardised, uncorrelated shadows (n, m), each new in what those before lack."""
    centred = x - x.mean(axis=0, dtype=np.float64).astype(x.dtype)
    cov = (centred.T @ centred).astype(np.float64) / len(x)
    mixing = linalg.solve_triangular(
        linalg.cholesky(cov, lower=True), np.eye(x.shape[1]), lower=True
    ).T
    return centred @ mixing.astype(x.dtype), mixing
