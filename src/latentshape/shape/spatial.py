r"""Codes with a shape, (n, c, h, w): positions of a map, each with c channels.

Flattened they are codes of d = c h w components, as everything else here takes them. Looked at *position by
position* they are h w clouds of c components each, of which three things can be asked: do the positions
share one law (maps of mean and standard deviation; the share of the variance that differences between the
positions' means make up)? what is the law of a position drawn at random (pooled)? and how do positions hang
together?

.. math::
    r(\delta) = \frac{1}{c\,N(\delta)} \sum_{k} \sum_{p} \mathrm{corr}(x_{k,p},\, x_{k,p+\delta}), \qquad
    N(\delta) = (h - |\delta_y|)(w - |\delta_x|)

for all displacements at once by a Fourier transform of the standardised maps, padded with zeros, and then
averaged over displacements of like length. A treatment that takes positions as independent ignores all of
this; what it ignores is the mean squared correlation between components of different positions,

.. math::
    \overline{r^2} = \frac{|U U^T|_F^2 - \sum_p |U_p^T U_p|_F^2}{d^2 - h w\, c^2},

U the codes' columns of mean 0 and length 1: the n x n products tell the sum over all d² pairs. Of n
independent normal codes it would be 1 / (n - 1). Beside each number is the same of a control of as many
codes (5,000 at most): independent normal positions that all have one law, mean and covariance of a
position of these.

**There is no sampler of independent positions.** It would be the sampler `diagonal` with a c x c covariance
in each position; what that gains, and what `low-rank` gains, is measured here, in nats per held-out code.
"""

__all__ = ["as_codes", "measure_positions", "one_position", "positions_of"]

import math
from typing import Any

import numpy as np
from scipy import linalg
from threadpoolctl import threadpool_limits

from latentshape._checks import check_codes, check_seed
from latentshape.errors import InputError
from latentshape.shape.correlation import standardised
from latentshape.shape.low_rank import LowRankGaussian
from latentshape.shape.moments import normal_errors
from latentshape.shape.wide import WideMoments

Record = dict[str, Any]

_USED = 5000  # codes behind what costs more than one read
_HELD_OUT = 0.2


def as_codes(z: Any, *, name: str = "z") -> tuple[Any, tuple[int, ...] | None]:
    """Codes of any shape as rows, and the shape of one.

    Args:
        z: Codes, (n, d) or (n, ...), such as (n, c, h, w); arrays and memory maps are not copied.
        name: For messages.

    Returns:
        Codes (n, d), row by row as `numpy.reshape` flattens them; and the shape of one, or None where it
        has none but d.

    Example:
        >>> z, shape = as_codes(np.zeros((10, 4, 8, 8)))
        >>> z.shape, shape
        ((10, 256), (4, 8, 8))
    """
    if not hasattr(z, "reshape") or not hasattr(z, "ndim") or z.ndim <= 2:
        return z, None
    if 0 in z.shape:
        raise InputError(
            f"{name} must hold codes of at least one number each, got shape {z.shape}."
        )
    return z.reshape(len(z), -1), tuple(int(side) for side in z.shape[1:])


def positions_of(z: Any, code_shape: tuple[int, ...]) -> np.ndarray:
    """Codes (n, d) or (n, c, h, w) as positions with their channels, shape (n, h w, c); a view.

    Raises:
        InputError: These are no maps (c, h, w), or not of that shape.

    Example:
        >>> positions_of(np.arange(8).reshape(1, 8), (2, 2, 2))[0].tolist()
        [[0, 4], [1, 5], [2, 6], [3, 7]]
    """
    c, h, w = _sides(code_shape)
    z, _ = as_codes(z)
    if z.shape[1] != c * h * w:
        raise InputError(
            f"Codes of shape {tuple(code_shape)} have {c * h * w} components, got {z.shape[1]}."
        )
    return z.reshape(len(z), c, h * w).swapaxes(1, 2)


def one_position(z: Any, code_shape: tuple[int, ...], *, seed: int = 0) -> np.ndarray:
    """The channels of one position of each code, drawn at random, shape (n, c).

    Rows are independent where codes are, which all positions of a code are not: so tests that need
    independent rows hold, and the law is that of a position drawn at random.
    """
    positions = positions_of(z, code_shape)
    rng = np.random.default_rng((check_seed(seed), 31))
    return np.ascontiguousarray(
        positions[np.arange(len(positions)), rng.integers(0, positions.shape[1], len(positions))]
    )


def measure_positions(
    z: Any, code_shape: tuple[int, ...] | None = None, *, seed: int = 0, rank: int | None = None
) -> Record:
    """Look at codes position by position, beside independent normal positions of one law.

    Args:
        z: Codes (n, c, h, w); or (n, d) with their `code_shape`. n >= 10, finite.
        code_shape: (c, h, w).
        seed: Of the control, and of which codes are held out.
        rank: Factors of the law ``low-rank`` among the likelihoods; None: chosen.

    Returns:
        A dictionary ready for `json.dump` once arrays are lists, with the keys

        * ``shape``, ``n``, ``n_used`` (codes behind correlations and the control);
        * ``mean_map``, ``std_map`` (c, h, w);
        * ``channels``: for each mean, std, skewness, excess_kurtosis of all positions together, and
          ``between_positions``, the share of its variance that positions' means make up;
        * ``channel_cov``: the covariance (c, c) of a position drawn at random, and
          ``channel_cov_within``, about the positions' own means;
        * ``between_positions``: that share over all channels; ``std_spread``, the standard deviations'
          coefficient of variation over positions;
        * ``correlation_by_distance``: rows of distance, r, pairs, and r of the control;
        * ``ignored``: mean_squared_correlation between components of different positions, what
          independence expects, and the same within a position;
        * ``likelihood``: nats per held-out code of four laws (``pooled``: one mean and variance for all
          positions; ``diagonal``; ``per-position``; ``low-rank``);
        * ``control``: between_positions, std_spread, ignored, channels of the control;
        * ``sees``: what this treatment is blind to, in a sentence.

    Raises:
        InputError: The codes have no such shape, or are too few.

    Example:
        >>> z = np.random.default_rng(0).standard_normal((200, 2, 4, 4))
        >>> found = measure_positions(z)
        >>> found["between_positions"] < 0.02, round(found["ignored"]["expected"], 4)
        (True, 0.005)
    """
    z, own = as_codes(z)
    if code_shape is None and own is None:
        raise InputError(
            f"Positions need codes with a shape, (n, c, h, w), got {np.shape(z)}; pass code_shape=(c, h, w)."
        )
    shape = _sides(code_shape or own or ())
    z = check_codes(z, min_samples=10)
    positions_of(z, shape)
    with threadpool_limits(1):  # many small products: more threads would wait for one another
        return _measured(WideMoments.of(z), shape, check_seed(seed), rank)


def _measured(
    moments: WideMoments, shape: tuple[int, int, int], seed: int, rank: int | None
) -> Record:
    read = _read(moments, shape)
    control = WideMoments.of(_independent(read, shape, min(moments.n, _USED), seed))
    beside = _read(control, shape)
    curve, drawn = read.pop("curve"), beside.pop("curve")
    rows = [
        {"distance": d, "r": r, "pairs": pairs, "control": other[1]}
        for (d, r, pairs), other in zip(curve, drawn)
    ]
    skewness_error, kurtosis_error = normal_errors(moments.n)
    return {
        "shape": list(shape),
        "n": moments.n,
        "n_used": min(moments.n, _USED),
        **read,
        "skewness_error": skewness_error,
        "excess_kurtosis_error": kurtosis_error,
        "correlation_by_distance": rows,
        "likelihood": _likelihoods(moments.z, shape, seed, rank),
        "control": {
            key: beside[key] for key in ("between_positions", "std_spread", "ignored", "channels")
        },
        "sees": (
            "Position by position one sees the law of the channels at each place. What hangs together "
            f"between places is not seen: {1 - 1 / (shape[1] * shape[2]):.1%} of all pairs of components, "
            f"whose mean squared correlation is {read['ignored']['mean_squared_correlation']:.4f} "
            f"({read['ignored']['expected']:.4f} if positions were independent)."
        ),
    }


def _sides(code_shape: tuple[int, ...]) -> tuple[int, int, int]:
    if len(code_shape) != 3 or min(code_shape) < 1:
        raise InputError(
            f"Positions are those of maps (c, h, w), got codes of shape {tuple(code_shape)}; codes (n, h, w) "
            "are z[:, None], codes with channels last are z.transpose(0, 3, 1, 2)."
        )
    c, h, w = (int(side) for side in code_shape)
    return c, h, w


def _read(moments: WideMoments, shape: tuple[int, int, int]) -> Record:
    """All that is measured of codes and of their control alike."""
    c, h, w = shape
    mean, variances = (a.reshape(c, h * w) for a in (moments.mean, moments.variances))
    within, third, fourth = np.zeros((c, c)), np.zeros(c), np.zeros(c)
    centre = mean.mean(axis=1)
    for x in moments.centred():
        maps = x.reshape(len(x), c, h * w).astype(np.float64)
        flat = maps.swapaxes(0, 1).reshape(c, -1)
        within += flat @ flat.T
        apart = (maps + (mean - centre[:, None])).swapaxes(0, 1).reshape(c, -1)
        third += (apart**3).sum(axis=1)
        fourth += (apart**4).sum(axis=1)
    total = moments.n * h * w
    between = (mean - centre[:, None]) @ (mean - centre[:, None]).T / (h * w)
    within /= (moments.n - 1) * h * w
    pooled = within + between
    spread = np.maximum(np.diag(pooled), 0.0)
    scale = np.where(spread > 0, spread, np.inf)
    share = np.diag(between) / scale
    std = np.sqrt(variances)
    average = std.mean()
    return {
        "mean_map": moments.mean.reshape(shape),
        "std_map": moments.std.reshape(shape),
        "channels": [
            {
                "mean": centre[k],
                "std": math.sqrt(spread[k]),
                "skewness": third[k] / total / scale[k] ** 1.5,
                "excess_kurtosis": fourth[k] / total / scale[k] ** 2 - 3.0
                if spread[k] > 0
                else None,
                "between_positions": share[k],
            }
            for k in range(c)
        ],
        "channel_cov": pooled,
        "channel_cov_within": within,
        "between_positions": float(np.trace(between) / max(spread.sum(), 1e-300)),
        "std_spread": float(std.std(axis=1).mean() / average) if average > 0 else None,
        **_correlations(moments, shape),
    }


def _correlations(moments: WideMoments, shape: tuple[int, int, int]) -> Record:
    c, h, w = shape
    u = standardised(moments, _USED)
    n, d = u.shape
    at = u.reshape(n, c, h * w)
    same = float(np.square(np.einsum("ncp,nkp->pck", at, at), dtype=np.float64).sum())
    products = u @ u.T
    everything = float(np.einsum("ij,ij->", products, products, dtype=np.float64))
    pairs = d * d - h * w * c * c
    inside = h * w * c * (c - 1)
    return {
        "ignored": {
            "mean_squared_correlation": (everything - same) / pairs if pairs else None,
            "expected": 1.0 / (n - 1),
            "within_positions": (same - h * w * c) / inside if inside else None,
        },
        "curve": _by_distance(u.reshape(n, c, h, w)),
    }


def _by_distance(u: np.ndarray) -> list[tuple[float, float, int]]:
    """Whole distances, mean correlation of a channel with itself there, and pairs of positions."""
    _, c, h, w = u.shape
    power = np.zeros((2 * h, w + 1))
    for maps in np.array_split(u, max(1, u.size // 2**22)):
        spectrum = np.fft.rfft2(maps, s=(2 * h, 2 * w))
        power += np.square(np.abs(spectrum)).sum(axis=(0, 1))
    found = np.fft.irfft2(power, s=(2 * h, 2 * w))
    y, x = (np.fft.fftfreq(2 * side, 1 / (2 * side)) for side in (h, w))
    counts = np.clip(h - np.abs(y), 0, None)[:, None] * np.clip(w - np.abs(x), 0, None)
    distance = np.rint(np.hypot(y[:, None], x)).astype(int)
    used = counts > 0
    sums = np.bincount(distance[used], found[used])
    many = np.bincount(distance[used], counts[used])
    return [
        (float(step), float(sums[step] / (c * many[step])), round(float(many[step])))
        for step in np.flatnonzero(many)
    ]


def _blocks(x: np.ndarray, shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Means (h w, c) and Cholesky factors (h w, c, c) of each position; a ridge keeps what is constant."""
    at = positions_of(x, shape).astype(np.float64)
    mean = at.mean(axis=0)
    centred = at - mean
    cov = np.einsum("npc,npk->pck", centred, centred) / max(len(x) - 1, 1)
    diagonal = np.einsum("pcc->pc", cov)
    diagonal += 1e-6 * max(float(diagonal.mean()), 1e-300)
    return mean, np.linalg.cholesky(cov)


def _independent(read: Record, shape: tuple[int, int, int], n: int, seed: int) -> np.ndarray:
    """Codes of independent normal positions that all have one law, shape (n, d), float32."""
    c, h, w = shape
    cov = read["channel_cov_within"]
    values, vectors = np.linalg.eigh(cov)
    factor = (vectors * np.sqrt(np.maximum(values, 0.0))).astype(np.float32)
    centre = np.array([channel["mean"] for channel in read["channels"]], dtype=np.float32)
    rng = np.random.Generator(np.random.SFC64(np.random.SeedSequence((seed, 33))))
    drawn = np.empty((n, c, h * w), dtype=np.float32)
    for start in range(0, n, 256):
        g = rng.standard_normal((min(256, n - start), h * w, c), dtype=np.float32)
        drawn[start : start + len(g)] = (g @ factor.T + centre).swapaxes(1, 2)
    return drawn.reshape(n, -1)


def _likelihoods(z: np.ndarray, shape: tuple[int, int, int], seed: int, rank: int | None) -> Record:
    """Mean log-likelihood of held-out codes, from the plainest law to one that sees positions together."""
    n = min(len(z), _USED)
    order = np.random.default_rng((seed, 35)).permutation(len(z))[:n]
    cut = max(2, round(_HELD_OUT * n))
    held, fitted = (np.asarray(z[np.sort(rows)]) for rows in (order[:cut], order[cut:]))
    d = z.shape[1]
    c, h, w = shape
    mean, factors = _blocks(fitted, shape)
    white = np.stack([
        linalg.solve_triangular(factor, (held.reshape(len(held), c, h * w)[:, :, p] - mean[p]).T, lower=True)
        for p, factor in enumerate(factors)
    ])  # fmt: skip
    log_det = float(np.log(np.einsum("pcc->pc", factors)).sum())
    per_position = -0.5 * (np.square(white).sum(axis=(0, 1)) + d * np.log(2 * np.pi)) - log_det
    flat = WideMoments.of(fitted)
    ridge = 1e-6 * max(float(flat.variances.mean()), 1e-300)
    found: Record = {"n": len(held), "fitted_to": len(fitted)}
    channel_mean = np.repeat(flat.mean.reshape(c, -1).mean(axis=1), h * w)
    apart = np.square(flat.mean - channel_mean) + flat.variances
    channel_variance = np.repeat(apart.reshape(c, -1).mean(axis=1), h * w)
    laws = (("pooled", channel_mean, channel_variance), ("diagonal", flat.mean, flat.variances))
    for name, centre, variances in laws:
        squared = np.square(held - centre) @ (1.0 / (variances + ridge))
        constant = np.log(variances + ridge).sum() + d * np.log(2 * np.pi)
        found[name] = float(-0.5 * (squared.mean() + constant))
    found["per-position"] = float(per_position.mean())
    most = min(d - 1, len(fitted) - 1)
    law = LowRankGaussian.of(fitted, None if rank is None else min(rank, most), seed=seed)
    found["low-rank"] = float(law.log_density(held).mean()) if (law.noise > 0).all() else None
    found["rank"] = law.rank
    return found
