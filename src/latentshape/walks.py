r"""Walks: paths of codes through the cloud, to be decoded one after the other.

A walk knows codes and their moments, and nothing of pictures. `make_walk(kind, z)` makes each of the
kinds of `WALKS` from a cloud alone; options choose planes, angles, ends and lengths.

Places are told in *sigmas* of what is walked along, and every step has its *Mahalanobis radius*
:math:`D^2 = (z - m)^T \Sigma^{-1} (z - m)`, since the two differ: a step that lies 3 sigma out along
one component may be nearer to the centre than any code, whose radii gather about :math:`\sqrt d`.

*Morphs* lead from a code a to a code b, in whitened coordinates :math:`y = L^{-1} (z - m)`, where
distances are Mahalanobis distances and paths follow the cloud through every affine map:

.. math::
    \text{linear:} \quad z(t) &= (1 - t)\, a + t\, b \\
    \text{spherical:} \quad y(t) &= [(1 - t)\, r_a + t\, r_b]\;
        \frac{\sin((1 - t)\, \omega)\, u_a + \sin(t\, \omega)\, u_b}{\sin \omega},
        \qquad r = |y|, \; u = y / r, \; \cos \omega = u_a \cdot u_b \\
    \text{density:} \quad y &= \arg\min \int p(y)^{-2/d}\, |\dot y|^2\, dt

The linear path dips: half way between two codes at radius r and at a right angle it is at
:math:`r / \sqrt 2`, where there are no codes in many dimensions. The spherical path turns about the
*mean*, not about the origin, and its radius goes straight from one end's to the other's. The third is
the shortest path where a step costs its length divided by :math:`p^{1/d}`, so that it keeps to where
the density p is high. High density is not where the codes are: under a Gaussian it is highest at the
centre, and the path dips below the linear one. With a law of several modes it goes round the voids.

References:
    White, 2016, Sampling generative networks, https://arxiv.org/abs/1609.04468 (about the origin)
"""

__all__ = [
    "COORDINATES",
    "METHODS",
    "WALKS",
    "DensityPath",
    "Plane",
    "Walk",
    "component",
    "default_pairs",
    "density_path",
    "example_codes",
    "grid",
    "linear_path",
    "make_walk",
    "morph",
    "origin",
    "pca",
    "plane",
    "spherical_path",
]

import contextlib
import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from scipy import linalg, optimize

from latentshape._checks import check_codes, check_count, check_positive, check_seed, row_blocks
from latentshape.errors import InputError, suggestion
from latentshape.shape.components import dominant
from latentshape.shape.correlation import strongest_pairs
from latentshape.shape.moments import Moments, singular_why
from latentshape.shape.pca import PCA
from latentshape.shape.radius import mahalanobis_squared
from latentshape.shape.whitening import Whitening
from latentshape.shape.wide import AnyMoments, moments_of

COORDINATES = ("components", "pca")
"""What a pair of numbers may mean: components, from 0, or PCA axes, from 1; both as in figures."""

METHODS = ("linear", "spherical", "density")
"""The ways from one code to another."""

LogProb = Callable[[np.ndarray], np.ndarray]
"""Log-density of codes (n, d) in nats, shape (n,)."""

Gradient = Callable[[np.ndarray], np.ndarray]
"""Gradient of a log-density at codes (n, d), shape (n, d)."""

_FOREMOST = 64
_HALF_WIDTH = np.sqrt(2 * np.log(2))
_NO_VARIANCE = 1e-12
_OPPOSITE = 1e-6
_NODES = 33


@dataclass(frozen=True, eq=False)
class Plane:
    """The plane that a path is drawn in: where a code's shadow falls.

    Attributes:
        directions: Two unit vectors, at a right angle, in rows, shape (2, d); (1, d) where d = 1.
        names: What to write beside the axes.
    """

    directions: np.ndarray
    names: tuple[str, ...]

    def project(self, z: np.ndarray) -> np.ndarray:
        """Coordinates of codes (n, d) in the plane, shape (n, 2); the origin is at (0, 0)."""
        return np.concatenate([b @ self.directions.astype(b.dtype).T for b in row_blocks(z)])

    def moments(self, moments: AnyMoments) -> Moments:
        """Mean and covariance of the shadow of the cloud."""
        cov = self.directions @ moments.times(self.directions.T)
        return Moments(moments.n, self.directions @ moments.mean, cov)


@dataclass(frozen=True, eq=False)
class Walk:
    """Codes in rows and columns, and what is known of each.

    Attributes:
        kind: Its name in `WALKS`.
        codes: Row by row, shape (rows * columns, d), float32.
        rows: Paths, or lines of a grid.
        columns: Steps of each.
        positions: Where each code is on its row, shape (rows * columns,): sigmas, or shares of the
            way.
        labels: `positions` in words, one for each code.
        row_labels: What each row is.
        radii: Mahalanobis radius of each code, shape (rows * columns,), float64; None where the
            covariance has no inverse.
        planes: One for each row; rows drawn in the same picture share one.
        title: A headline.
        description: What is seen, in plain sentences.
    """

    kind: str
    codes: np.ndarray
    rows: int
    columns: int
    positions: np.ndarray
    labels: tuple[str, ...]
    row_labels: tuple[str, ...]
    radii: np.ndarray | None
    planes: tuple[Plane, ...]
    title: str
    description: str

    @property
    def paths(self) -> np.ndarray:
        """The codes, shape (rows, columns, d)."""
        return self.codes.reshape(self.rows, self.columns, -1)

    def to_dict(self) -> dict[str, Any]:
        """All but the codes, as JSON has it."""
        return {
            "kind": self.kind,
            "title": self.title,
            "description": self.description,
            "rows": self.rows,
            "columns": self.columns,
            "row_labels": list(self.row_labels),
            "labels": list(self.labels),
            "positions": self.positions.tolist(),
            "radii": None if self.radii is None else self.radii.tolist(),
            "axes": [list(plane.names) for plane in self.planes],
        }


def make_walk(kind: str, z: Any, moments: AnyMoments | None = None, /, **options: Any) -> Walk:
    """Make a walk of any kind through the cloud of codes z (n, d).

    Args:
        kind: A name of `WALKS`.
        z: Codes of the cloud; read for `moments` where these are not given, and for two of them to
            morph between.
        moments: Mean and covariance of the cloud.
        **options: Those of the kind's own function.

    Raises:
        InputError: No such kind or option, or what the kind itself refuses.

    Example:
        >>> z = np.random.default_rng(0).normal(3.0, 1.0, (500, 4))
        >>> walk = make_walk("origin", z, steps=3)
        >>> walk.codes.shape, walk.labels
        ((3, 4), ('0', '0.5', '1'))
    """
    if kind not in WALKS:
        raise InputError(f"No walk is called {kind!r}{suggestion(kind, WALKS)}")
    z = check_codes(z, latent_dim=moments.d if moments else None, finite=False)
    known = [name for name in inspect.signature(WALKS[kind]).parameters if name != "moments"]
    for option in options:
        if option not in known:
            raise InputError(f"Walk {kind!r} has no option {option!r}{suggestion(option, known)}")
    if "z" in known:
        options.setdefault("z", z)
    return WALKS[kind](moments or moments_of(z), **options)


# --- lines and grids --------------------------------------------------------------------------------


def origin(moments: AnyMoments, *, steps: int = 6, beyond: int = 0) -> Walk:
    """Walk in a straight line from the origin to the centre of the cloud.

    Args:
        moments: Mean and covariance of the cloud.
        steps: Codes from the origin to the centre, both counted, at least 2.
        beyond: Further codes on the same line, as far apart.

    Example:
        >>> walk = origin(Moments(99, np.array([3.0, 0.0]), np.eye(2)), steps=4, beyond=1)
        >>> walk.codes[:, 0].tolist(), walk.radii.round(6).tolist()
        ([0.0, 1.0, 2.0, 3.0, 4.0], [3.0, 2.0, 1.0, 0.0, 1.0])
    """
    steps = check_count(steps, name="steps", minimum=2)
    beyond = check_count(beyond, name="beyond", minimum=0)
    if not moments.mean.any():
        raise InputError(
            "a walk from the origin to the centre needs two different places, but the mean of the "
            "codes is 0; use the walk 'component' or 'pca'."
        )
    t = np.arange(steps + beyond) / (steps - 1)
    shown = _plane_along(moments.mean, "from the origin to the centre", moments)
    return _walk(
        "origin", moments, (t[:, None] * moments.mean)[None], [t], [f"{v:.3g}" for v in t],
        ["origin to centre"], [shown],
        "From the origin to the centre",
        f"{steps} codes from the origin to the mean of the codes"
        + (f", and {beyond} beyond it." if beyond else "."),
    )  # fmt: skip


def component(
    moments: AnyMoments,
    *,
    pairs: Sequence[tuple[int, int]] | None = None,
    coordinates: str = "components",
    angles: Sequence[float] = (0.0, 45.0),
    extent: float = 4.0,
    radius: float | None = None,
    offset: float = 0.0,
    steps: int = 9,
) -> Walk:
    r"""Walk along straight lines in planes of two components, or of two PCA axes.

    All other coordinates keep their means. A line at angle θ has the direction
    :math:`w \propto \cos θ\, σ_i e_i + \sin θ\, σ_j e_j`, so long that s sigma along it lie on the
    sσ ellipse of the pair. With an `offset` it misses the centre:

    .. math:: z = m + \mathrm{offset} \cdot v + s\, w, \qquad
        v^T \Sigma^{-1} w = 0, \quad v^T \Sigma^{-1} v = 1

    with v in the same plane, so that :math:`D^2 = \mathrm{offset}^2 + s^2\, w^T \Sigma^{-1} w` and
    the least Mahalanobis radius is that of s = 0. One row for each pair and angle.

    Args:
        moments: Mean and covariance of the cloud.
        pairs: Two different components (from 0) or PCA axes (from 1) each; `default_pairs` if None.
        coordinates: ``components`` or ``pca``.
        angles: Degrees, counted from the first of the pair towards the second.
        extent: The lines run from -extent to +extent sigma.
        radius: They run as far as this Mahalanobis radius instead, as chords of an ellipsoid.
        offset: Mahalanobis distance at which lines pass the centre; below 0 on the other side.
        steps: Codes of each line, at least 2.

    Raises:
        InputError: No such pair; lines that end before they begin (``|offset| >= radius``); no inverse
            of the covariance where a Mahalanobis distance is asked for.

    Example:
        >>> walk = component(Moments(99, np.zeros(2), np.diag([4.0, 1.0])), angles=[0], steps=3,
        ...                  extent=1.5, offset=1.0)
        >>> walk.codes.tolist(), walk.radii.round(4).tolist()
        ([[-3.0, 1.0], [0.0, 1.0], [3.0, 1.0]], [1.8028, 1.0, 1.8028])
    """
    steps = check_count(steps, name="steps", minimum=2)
    extent = check_positive(extent, name="extent")
    offset = _number(offset, "offset")
    whitening = None
    if radius is not None or offset:
        whitening = _whitening(moments, "walk with an offset or a radius", "leave both out")
    if radius is not None and abs(offset) >= check_positive(radius, name="radius"):
        raise InputError(
            f"offset must be smaller than radius, got {offset:g} and {radius:g}: a line that far "
            "from the centre does not meet the ellipsoid; choose a smaller offset."
        )
    if pairs is None:
        pairs = default_pairs(moments, coordinates)
    bases = _bases(moments, pairs, coordinates)
    angles = _numbers(angles, "angles")
    paths, positions, names = [], [], []
    for basis in bases:
        for angle in angles:
            along, across = basis.lines(np.radians(angle))
            middle, ends = moments.mean, extent
            if whitening is not None:
                y, x = along @ whitening.matrix, across @ whitening.matrix
                aside = across - (x @ y) / (y @ y) * along
                middle = middle + offset / np.linalg.norm(aside @ whitening.matrix) * aside
                if radius is not None:
                    ends = np.sqrt((radius**2 - offset**2) / (y @ y))
            s = np.linspace(-ends, ends, steps)
            paths.append(middle + s[:, None] * along)
            positions.append(s)
            names.append(f"{basis.title} at {angle:g}°")
    what = "through the centre" if not offset else f"that pass the centre at a radius of {offset:g}"
    length = f"{extent:g} sigma" if radius is None else f"a Mahalanobis radius of {radius:g}"
    return _walk(
        "component", moments, paths, positions, _sigmas(np.ravel(positions)), names,
        [basis.plane for basis in bases for _ in angles],
        f"Lines {what}",
        f"Straight lines {what}, to {length} on both sides, each in the plane of two "
        f"{'PCA axes' if coordinates == 'pca' else 'components'}; all others keep their means.",
    )  # fmt: skip


def plane(
    moments: AnyMoments,
    *,
    pair: tuple[int, int] | None = None,
    coordinates: str = "pca",
    directions: Any = None,
    rows: int = 7,
    columns: int = 7,
    extent: float = 3.0,
) -> Walk:
    r"""Walk over a plane through the centre, row by row, in steps of equal numbers of sigmas.

    .. math:: z = m + a\, σ_u u + b\, σ_v v, \qquad σ_u^2 = u^T \Sigma u

    Columns go from a = -extent to +extent, rows from b = +extent at the top to -extent.

    Args:
        moments: Mean and covariance of the cloud.
        pair: Two components (from 0) or PCA axes (from 1), the horizontal one first; the first of
            `default_pairs` if None.
        coordinates: ``components`` or ``pca``.
        directions: Two vectors u and v instead, shape (2, d), of any length.
        rows: Lines of the grid, at least 2.
        columns: Codes of each line, at least 2.
        extent: Sigmas from the centre to each border.

    Example:
        >>> walk = plane(Moments(99, np.zeros(2), np.diag([4.0, 1.0])), rows=2, columns=3, extent=1)
        >>> walk.codes.tolist()[:3], walk.labels[0]
        ([[-2.0, 1.0], [0.0, 1.0], [2.0, 1.0]], '-1σ, +1σ')
    """
    rows = check_count(rows, name="rows", minimum=2)
    columns = check_count(columns, name="columns", minimum=2)
    extent = check_positive(extent, name="extent")
    if directions is not None:
        if pair is not None:
            raise InputError(
                "a plane is given by pair or by directions, got both; leave one of them out."
            )
        basis = _given_basis(moments, directions)
    else:
        pairs = default_pairs(moments, coordinates)[:1] if pair is None else [pair]
        basis = _bases(moments, pairs, coordinates)[0]
    a = np.linspace(-extent, extent, columns)
    b = np.linspace(extent, -extent, rows)
    steps = basis.vectors * basis.std[:, None]
    lines = moments.mean + b[:, None, None] * steps[1] + a[:, None] * steps[0]
    across, up = basis.names
    return _walk(
        "plane", moments, lines, [a] * rows,
        [f"{_sigmas([s])[0]}, {line}" for line in _sigmas(b) for s in a],
        [f"{up} {line}" for line in _sigmas(b)], [basis.plane] * rows,
        f"The plane of {across} and {up}",
        f"Codes on a grid through the centre: {across} from left to right, {up} from bottom to top, "
        f"both from -{extent:g} to +{extent:g} sigma.",
    )  # fmt: skip


def pca(
    moments: AnyMoments, *, axes: int | None = None, steps: int = 7, extent: float = 3.0
) -> Walk:
    r"""Walk along the first PCA axes, one row for each: :math:`z = m + s \sqrt{\lambda_k}\, a_k`.

    Args:
        moments: Mean and covariance of the cloud.
        axes: How many; 8 if None, or all that have a variance where these are fewer.
        steps: Codes on each axis, at least 2.
        extent: The axes are walked from -extent to +extent sigma.

    Example:
        >>> walk = pca(Moments(99, np.zeros(2), np.diag([1.0, 4.0])), steps=3, extent=2)
        >>> walk.paths[0].tolist(), walk.row_labels[0]
        ([[0.0, -4.0], [0.0, 0.0], [0.0, 4.0]], 'PCA axis 1')
    """
    steps = check_count(steps, name="steps", minimum=2)
    extent = check_positive(extent, name="extent")
    axes_of = PCA.of(moments)
    usable = _usable_axes(axes_of)
    if not usable:
        raise InputError("the codes do not vary, and no PCA axis can be walked; use other codes.")
    count = min(8, usable) if axes is None else check_count(axes, name="axes", maximum=usable)
    s = np.linspace(-extent, extent, steps)
    reach = axes_of.axes[:count] * axes_of.std[:count, None]
    planes: list[Plane] = []
    for k in range(count):
        if k % 2:  # axes 1 and 2 share a picture, and 3 and 4
            planes.append(planes[-1])
        else:
            pair = [k, k + 1 if k + 1 < moments.d else k - 1][: moments.d]
            planes.append(Plane(axes_of.axes[pair], tuple(_axis(j) for j in pair)))
    return _walk(
        "pca", moments, moments.mean + s[:, None] * reach[:, None, :], [s] * count,
        _sigmas(np.tile(s, count)), [_axis(k) for k in range(count)], planes,
        "Along the PCA axes" if count > 1 else "Along the first PCA axis",
        f"Each row leads through the centre along one PCA axis, from -{extent:g} to +{extent:g} "
        "sigma; its place along all other axes is the mean.",
    )  # fmt: skip


# --- morphs -----------------------------------------------------------------------------------------


def morph(
    moments: AnyMoments,
    *,
    z: Any = None,
    start: Any = None,
    end: Any = None,
    method: str | None = None,
    steps: int = 9,
    log_prob: LogProb | None = None,
    gradient: Gradient | None = None,
    seed: int = 0,
) -> Walk:
    """Walk from one code to another, for one pair or several, by one method or by all.

    Args:
        moments: Mean and covariance of the cloud.
        z: Codes of the cloud, of which two are taken (`example_codes`) where no ends are given.
        start: Where to begin, shape (d,), or (k, d) for k pairs.
        end: Where to arrive, in the same shape.
        method: One of `METHODS`; all that are defined if None, one row each for every pair.
        steps: Codes of each path, both ends counted, at least 2.
        log_prob: Log-density for ``density``, such as a sampler's; None for the Gaussian of
            `moments`.
        gradient: Its gradient; differences of `log_prob` where it is not given, which takes 2 d
            values of it for each code and step of the search.
        seed: Chooses the two codes of `z`.

    Raises:
        InputError: Ends that are equal, of another dimension or opposite to each other; no inverse
            of the covariance where a path needs one.

    Example:
        >>> walk = morph(Moments(99, np.zeros(2), np.eye(2)), start=[2.0, 0.0], end=[0.0, 2.0],
        ...              method="spherical", steps=3)
        >>> walk.codes.astype(float).round(4).tolist(), walk.radii.round(6).tolist()
        ([[2.0, 0.0], [1.4142, 1.4142], [0.0, 2.0]], [2.0, 2.0, 2.0])
    """
    steps = check_count(steps, name="steps", minimum=2)
    if method is not None and method not in METHODS:
        raise InputError(f"No method of morphing is called {method!r}{suggestion(method, METHODS)}")
    starts, ends = _ends(moments, z, start, end, seed)
    ways = _ways(moments, method, log_prob, gradient)
    paths, names, planes = [], [], []
    for k, (a, b) in enumerate(zip(starts, ends)):
        side = (a - moments.mean, "from the centre")
        shown = _plane_along(b - a, "from code to code", moments, side)
        for name, way in ways.items():
            try:
                paths.append(way(a, b, steps))
            except _NoArc:
                if method is not None:
                    raise
                continue  # all methods were asked for, and this one is not defined here
            names.append(name if len(starts) == 1 else f"{name}, pair {k + 1}")
            planes.append(shown)
    t = np.linspace(0.0, 1.0, steps)
    walk = _walk(
        "morph", moments, paths, [t] * len(paths), [f"{v:.3g}" for _ in paths for v in t], names,
        planes, "From code to code", f"Paths between two codes: {', '.join(ways)}.",
    )  # fmt: skip
    return replace(walk, description=f"{walk.description} {_dips(walk)}")


def grid(
    moments: AnyMoments,
    *,
    z: Any = None,
    corners: Any = None,
    method: str | None = None,
    rows: int = 7,
    columns: int = 7,
    seed: int = 0,
) -> Walk:
    """Walk over the sheet between four codes: down two sides, and from side to side.

    Args:
        moments: Mean and covariance of the cloud.
        z: Codes of the cloud, of which four are taken where no corners are given.
        corners: Top left, top right, bottom left, bottom right, shape (4, d), all different.
        method: ``spherical`` or ``linear``; spherical if None, where it is defined.
        rows: Lines of the grid, at least 2.
        columns: Codes of each line, at least 2.
        seed: Chooses the four codes of `z`.

    Example:
        >>> square = [[0.0, 1.0], [1.0, 1.0], [0.0, 0.0], [1.0, 0.0]]
        >>> walk = grid(Moments(99, np.zeros(2), np.eye(2)), corners=square, method="linear",
        ...             rows=3, columns=3)
        >>> walk.paths[1].tolist()
        [[0.0, 0.5], [0.5, 0.5], [1.0, 0.5]]
    """
    rows = check_count(rows, name="rows", minimum=2)
    columns = check_count(columns, name="columns", minimum=2)
    known = ("linear", "spherical")
    if method is not None and method not in known:
        raise InputError(f"No method of a grid is called {method!r}{suggestion(method, known)}")
    if corners is None:
        corners = example_codes(z, 4, seed)
    places = check_codes(corners, name="corners", min_samples=4, latent_dim=moments.d)
    places = places.astype(np.float64)
    if len(places) != 4 or len(np.unique(places, axis=0)) != 4:
        raise InputError(
            f"corners must be 4 different codes, got {len(np.unique(places, axis=0))} different of "
            f"{len(places)}; choose others."
        )
    ways = _ways(moments, method)
    name = "spherical" if "spherical" in ways else "linear"
    lead = ways[name]
    left, right = lead(places[0], places[2], rows), lead(places[1], places[3], rows)
    lines = [lead(a, b, columns) for a, b in zip(left, right)]
    t = np.linspace(0.0, 1.0, columns)
    down = [f"{v:.3g}" for v in np.linspace(0.0, 1.0, rows)]
    shown = _plane_along(places[1] - places[0], "from left to right", moments,
                         (places[2] - places[0], "from top to bottom"))  # fmt: skip
    return _walk(
        "grid", moments, lines, [t] * rows, [f"{v:.3g}, {line}" for line in down for v in t],
        [f"{line} of the way down" for line in down], [shown] * rows, "Between four codes",
        f"Four codes in the corners, and {name} paths between them.",
    )  # fmt: skip


def linear_path(start: np.ndarray, end: np.ndarray, steps: int) -> np.ndarray:
    """Codes at equal distances on the straight line, shape (steps, d).

    Example:
        >>> linear_path(np.array([0.0, 1.0]), np.array([2.0, 1.0]), 3).tolist()
        [[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]]
    """
    t = np.linspace(0.0, 1.0, steps)[:, None]
    return (1 - t) * start + t * end


def spherical_path(
    start: np.ndarray, end: np.ndarray, steps: int, whitening: Whitening
) -> np.ndarray:
    """Codes on the arc about the mean (the formula above), at equal angles, shape (steps, d).

    Ends in one direction from the mean are joined by the straight line, and so is the mean itself
    with any code. Ends are met exactly.

    Raises:
        InputError: The ends lie on opposite sides of the mean: no arc is the shortest.

    Example:
        >>> whitening = Whitening(Moments(9, np.zeros(2), np.eye(2)))
        >>> path = spherical_path(np.array([1.0, 0.0]), np.array([0.0, 3.0]), 3, whitening)
        >>> np.linalg.norm(path, axis=1).round(6).tolist()
        [1.0, 2.0, 3.0]
    """
    y = whitening(np.stack([start, end]).astype(np.float64))
    r = np.linalg.norm(y, axis=1)
    if r.min() <= 1e-12 * r.max():
        return linear_path(start, end, steps)
    u = y / r[:, None]
    angle = 2 * np.arctan2(np.linalg.norm(u[1] - u[0]), np.linalg.norm(u[1] + u[0]))
    if angle > np.pi - _OPPOSITE:
        raise _NoArc(
            "a spherical morph needs ends that are not opposite to each other, seen from the mean "
            "of the codes (every arc would be as short); use method 'linear', or other ends."
        )
    t = np.linspace(0.0, 1.0, steps)
    share = np.stack([1 - t, t], axis=1)
    weights = np.sin(share * angle) / np.sin(angle) if angle > 0 else share
    path = whitening.mean + (share @ r)[:, None] * (weights @ u) @ whitening.factor.T
    path[[0, -1]] = start, end
    return path


@dataclass(frozen=True, eq=False)
class DensityPath:
    """The path that `density_path` found.

    Attributes:
        codes: Shape (steps, d), float64.
        energy: Its energy, in units of the density at the start of the path.
        start_energy: That of the path the search began with.
        nodes: All places of the search, `codes` among them, shape (m, d).
    """

    codes: np.ndarray
    energy: float
    start_energy: float
    nodes: np.ndarray


def density_path(
    start: np.ndarray,
    end: np.ndarray,
    steps: int,
    whitening: Whitening,
    log_prob: LogProb | None = None,
    gradient: Gradient | None = None,
) -> DensityPath:
    r"""Find the path of least energy where a step costs the more the less likely its place is.

    .. math:: E = (m - 1) \sum_{k=1}^{m-1} |y_{k+1} - y_k|^2\, \frac{w_k + w_{k+1}}{2}, \qquad
        w_k = (p(y_k) / p_0)^{-2/d}

    over m >= 33 nodes, the steps among them, in whitened coordinates; p_0 is the larger density of
    the two ends. Of straight line and arc the better one is the beginning, and L-BFGS, in
    coordinates in which the energy of a constant density is round, the search: a local minimum. At
    it the nodes are apart by equal costs, so that steps are longer where codes are likely.

    Args:
        start: Where to begin, shape (d,).
        end: Where to arrive, shape (d,).
        steps: Codes of the path, at least 2.
        whitening: That of the cloud.
        log_prob: Log-density; None for the Gaussian of the cloud.
        gradient: Its gradient; central differences of `log_prob` if None.

    Raises:
        InputError: The density is 0 at an end, or no number for each code.

    Example:
        >>> whitening = Whitening(Moments(9, np.zeros(2), np.eye(2)))
        >>> found = density_path(np.array([2.0, 0.0]), np.array([0.0, 2.0]), 9, whitening)
        >>> bool(found.energy < found.start_energy), bool(np.linalg.norm(found.codes[4]) < 1.4)
        (True, True)
    """
    law = _Law(whitening, log_prob, gradient)
    every = -(-(_NODES - 1) // (steps - 1))
    m = every * (steps - 1) + 1
    beginnings = [linear_path(start, end, m)]
    with contextlib.suppress(_NoArc):
        beginnings.append(spherical_path(start, end, m, whitening))
    energy = _PathEnergy(law, whitening(np.stack([start, end]).astype(np.float64)), m)
    inner = [whitening(path)[1:-1] for path in beginnings]
    y = min(inner, key=lambda y: energy(y)[0])
    before = energy(y)[0]
    # The Laplacian of the chain, factored: the Hessian of a constant density becomes the identity.
    chain = 2 * np.eye(m - 2) - np.eye(m - 2, k=1) - np.eye(m - 2, k=-1)
    spread = linalg.inv(linalg.cholesky(chain, lower=True)).T

    def cost(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = energy(y + spread @ x.reshape(y.shape))
        return value / before, (spread.T @ slope).ravel() / before

    found = optimize.minimize(
        cost, np.zeros(y.size), jac=True, method="L-BFGS-B",
        options={"maxiter": 300, "ftol": 1e-13, "gtol": 1e-9},
    )  # fmt: skip
    after = float(found.fun) * before
    if after < before:
        y = y + spread @ found.x.reshape(y.shape)
    nodes = np.concatenate([[start], whitening.mean + y @ whitening.factor.T, [end]])
    return DensityPath(nodes[::every], min(after, before), before, nodes)


class _Law:
    """A log-density and its gradient, in whitened coordinates, up to a constant."""

    def __init__(
        self, whitening: Whitening, log_prob: LogProb | None, gradient: Gradient | None
    ) -> None:
        self.whitening, self.log_prob, self.gradient = whitening, log_prob, gradient
        self.d = len(whitening.mean)

    def value(self, y: np.ndarray) -> np.ndarray:
        """Log-density at y (n, d), shape (n,)."""
        if self.log_prob is None:
            return -0.5 * np.einsum("ij,ij->i", y, y)
        value = np.asarray(self.log_prob(self._code(y)), dtype=np.float64)
        if value.shape != (len(y),):
            raise InputError(
                f"log_prob must give one number for each code, shape ({len(y)},), got "
                f"{value.shape}; pass a sampler's log_prob, or a function like it."
            )
        return value

    def slope(self, y: np.ndarray) -> np.ndarray:
        """Gradient of the log-density at y (n, d), shape (n, d)."""
        if self.log_prob is None:
            return -y
        if self.gradient is not None:
            return self.gradient(self._code(y)) @ self.whitening.factor
        slopes = np.empty_like(y)
        move = 1e-4 * np.eye(self.d)
        for place, slope in zip(y, slopes):  # one place at a time bounds the memory
            value = self.value(np.concatenate([place + move, place - move]))
            # -inf on either side is the border of the support: a step, which has no slope.
            value[~np.isfinite(value)] = np.nan
            slope[:] = (value[: self.d] - value[self.d :]) / 2e-4
        return np.nan_to_num(slopes)

    def _code(self, y: np.ndarray) -> np.ndarray:
        return self.whitening.mean + y @ self.whitening.factor.T


class _PathEnergy:
    """Energy of the inner nodes (m - 2, d) of a path between two ends, and its gradient."""

    def __init__(self, law: _Law, ends: np.ndarray, m: int) -> None:
        self.law, self.ends, self.m = law, ends, m
        self.at_ends = law.value(ends)
        if not np.isfinite(self.at_ends).all():
            raise InputError(
                "a density morph needs ends of positive density, got log-densities "
                f"{self.at_ends.tolist()}; use another law, or method 'spherical'."
            )
        self.reference = self.at_ends.max()

    def __call__(self, inner: np.ndarray) -> tuple[float, np.ndarray]:
        """Energy, and its derivatives by the inner nodes."""
        y = np.concatenate([self.ends[:1], inner, self.ends[1:]])
        log_p = np.concatenate([self.at_ends[:1], self.law.value(inner), self.at_ends[1:]])
        power = (2 / self.law.d) * (self.reference - log_p)
        # Beyond e^60 a place is forbidden, whatever the law says there; it may say -inf.
        barred = ~(power[1:-1] < 60.0)
        w = np.exp(np.where(power < 60.0, power, 60.0))
        step = np.diff(y, axis=0)
        squares = np.einsum("ij,ij->i", step, step)
        weight = (w[1:] + w[:-1]) / 2
        slope = np.where(barred[:, None], 0.0, self.law.slope(inner))
        slope *= (-(squares[1:] + squares[:-1]) * w[1:-1] / self.law.d)[:, None]
        pull = step * weight[:, None]
        slope += 2 * (pull[:-1] - pull[1:])
        return float((self.m - 1) * (squares @ weight)), (self.m - 1) * slope


# --- what walks take where nothing is said ------------------------------------------------------------


def default_pairs(
    moments: AnyMoments, coordinates: str = "components", count: int = 3
) -> list[tuple[int, int]]:
    """Pairs worth looking at: of components that stand out and correlate, or of the first PCA axes.

    Components stand out by the rule of `shape.components.dominant` and then by ``|mean|`` + half-width,
    where the half-width is a Gaussian's, 1.1774 standard deviations. The two that stand out most are
    a pair, and so are the next two, and so on; the second place is that of the most correlated pair.
    What is constant, or coincides with its partner, makes no plane and is left out.

    Args:
        moments: Mean and covariance of the cloud.
        coordinates: ``components``, counted from 0, or ``pca``, counted from 1.
        count: How many pairs at most.

    Example:
        >>> default_pairs(Moments(99, np.array([0.0, 5.0, 0.0, 3.0]), np.eye(4)), count=1)
        [(1, 3)]
    """
    count = check_count(count, name="count")
    if _is_pca(coordinates):
        usable = _usable_axes(PCA.of(moments))
        pairs = [(k, k + 1) for k in range(1, usable, 2)]
    else:
        width = _HALF_WIDTH * moments.std
        ahead = dominant(moments.mean, width)
        order = sorted(
            np.flatnonzero(~moments.constant).tolist(),
            key=lambda j: (not ahead[j], -abs(moments.mean[j]) - width[j]),
        )
        if not isinstance(moments, Moments):  # too many for all pairs: those among the foremost
            among = order[:_FOREMOST]
            found = default_pairs(moments.part(among), count=count)
            return [(among[i], among[j]) for i, j in found]
        r = moments.correlation()
        pairs = []
        while order:
            i = order.pop(0)
            partner = next((j for j in order if _apart(r[i, j])), None)
            if partner is not None:  # else all that are left say the same as i
                order.remove(partner)
                pairs.append((i, partner))
        tight = [
            p for p in strongest_pairs(r) if _apart(p.r) and not moments.constant[[p.i, p.j]].any()
        ]
        if tight and set(tight[0][:2]) not in map(set, pairs):
            pairs.insert(1, tight[0][:2])
    if not pairs:
        raise InputError(
            "a plane needs codes that vary in two directions, and these vary in one at most; use "
            "the walk 'origin' or 'pca'."
        )
    return pairs[:count]


def example_codes(z: Any, count: int = 2, seed: int = 0) -> np.ndarray:
    """Different codes drawn from z (n, d), shape (count, d); the same for the same seed.

    Example:
        >>> example_codes(np.array([[1.0], [1.0], [5.0]])).tolist() in ([[1.0], [5.0]], [[5.0], [1.0]])
        True
    """
    if z is None:
        raise InputError(
            "a walk between codes needs codes to begin and to end with; give them, or pass the "
            "cloud as z to take examples of it."
        )
    z = check_codes(z, min_samples=count, finite=False)
    rng = np.random.default_rng(check_seed(seed))
    tried = rng.choice(len(z), min(len(z), 64 * count), replace=False)
    found = check_codes(np.asarray(z[np.sort(tried)]))[np.argsort(np.argsort(tried))]
    _, first = np.unique(found, axis=0, return_index=True)
    if len(first) < count:
        raise InputError(
            f"z must hold {count} different codes, got {len(first)} among {len(tried)} rows looked "
            "at; give the ends yourself."
        )
    return found[np.sort(first)[:count]]


class _NoArc(InputError):
    """The ends are opposite to each other, seen from the mean."""


@dataclass(frozen=True, eq=False)
class _Basis:
    """Two directions in rows, (2, d), how far the cloud reaches along them, how these correlate."""

    vectors: np.ndarray
    names: tuple[str, str]
    std: np.ndarray
    r: float
    plane: Plane

    @property
    def title(self) -> str:
        """Both names in short, such as ``components 3, 7``."""
        kind, _, number = self.names[1].rpartition(" ")
        plural = kind.replace("axis", "axes") if kind.endswith("axis") else f"{kind}s"
        return f"{plural} {self.names[0].rpartition(' ')[2]}, {number}"

    def lines(self, angle: float) -> tuple[np.ndarray, np.ndarray]:
        """The step of one sigma at an angle, and one across it that is as long in each sigma."""
        c, s = np.cos(angle), np.sin(angle)
        reach = np.sqrt((1 - 2 * self.r * s * c) / (1 - self.r**2))
        steps = self.vectors * self.std[:, None]
        return (c * steps[0] + s * steps[1]) / reach, c * steps[1] - s * steps[0]


def _bases(moments: AnyMoments, pairs: Any, coordinates: str) -> list[_Basis]:
    """The planes of pairs, each looked at."""
    axes = PCA.of(moments) if _is_pca(coordinates) else None
    return [_pair_basis(moments, axes, pair) for pair in _pairs(pairs)]


def _pair_basis(moments: AnyMoments, axes: PCA | None, pair: tuple[int, int]) -> _Basis:
    d, low = moments.d, 0 if axes is None else 1
    what = "components" if axes is None else "PCA axes"
    if not all(low <= k < d + low for k in pair) or pair[0] == pair[1]:
        raise InputError(
            f"a pair must be two different {what} from {low} to {d - 1 + low}, got {pair}; "
            "choose others."
        )
    if axes is None:
        vectors = np.eye(d)[list(pair)]
        names = (f"component {pair[0]}", f"component {pair[1]}")
        flat = moments.constant[list(pair)]
    else:
        numbers = [k - 1 for k in pair]
        vectors, names = axes.axes[numbers], (_axis(numbers[0]), _axis(numbers[1]))
        flat = np.array([k >= _usable_axes(axes) for k in numbers])
    if flat.any():
        raise InputError(
            f"{names[int(flat.argmax())]} does not vary and cannot be walked; choose another."
        )
    return _basis(moments, vectors, names)


def _given_basis(moments: AnyMoments, directions: Any) -> _Basis:
    vectors = check_codes(directions, name="directions", latent_dim=moments.d).astype(np.float64)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    if len(vectors) != 2 or not length.all():
        raise InputError(
            f"directions must be two vectors that are not 0, got lengths {length.ravel().tolist()}; "
            "pass an array (2, d)."
        )
    return _basis(moments, vectors / length, ("direction 1", "direction 2"))


def _basis(moments: AnyMoments, vectors: np.ndarray, names: tuple[str, str]) -> _Basis:
    cov = vectors @ moments.times(vectors.T)
    std = np.sqrt(np.diag(cov))
    r = float(cov[0, 1] / (std[0] * std[1])) if std.all() else 1.0
    if not _apart(r) or not _apart(vectors[0] @ vectors[1]):
        raise InputError(
            f"{names[0]} and {names[1]} make no plane of the codes: they vary together entirely, "
            "or not at all; choose another pair."
        )
    second = vectors[1] - (vectors[0] @ vectors[1]) * vectors[0]
    length = np.linalg.norm(second)
    drawn = names if length > 1 - 1e-9 else (names[0], f"across {names[0]}")
    shown = Plane(np.stack([vectors[0], second / length]), drawn)
    return _Basis(vectors, names, std, r, shown)


def _plane_along(
    first: np.ndarray, name: str, moments: AnyMoments, *others: tuple[np.ndarray, str]
) -> Plane:
    """A plane with one direction along `first`; the other from `others`, or from the PCA axes."""
    u = first / np.linalg.norm(first)
    axes = PCA.of(moments).axes
    for vector, other in [*others, *((axes[k], _axis(k)) for k in range(min(2, len(axes))))]:
        rest = vector - (vector @ u) * u
        if np.linalg.norm(rest) > 1e-6 * np.linalg.norm(vector):
            return Plane(np.stack([u, rest / np.linalg.norm(rest)]), (name, other))
    return Plane(u[None], (name,))


def _walk(
    kind: str, moments: AnyMoments, paths: Any, positions: Any, labels: Sequence[str],
    row_labels: Sequence[str], planes: Sequence[Plane], title: str, description: str,
) -> Walk:  # fmt: skip
    """Put the parts together: codes in float32, and the radius of each."""
    stacked = np.asarray(paths, dtype=np.float64)
    rows, columns, d = stacked.shape
    codes = stacked.reshape(-1, d).astype(np.float32)
    radii = None
    if singular_why(moments) is None:
        radii = np.sqrt(mahalanobis_squared(codes.astype(np.float64), moments))
    return Walk(
        kind, codes, rows, columns, np.asarray(positions, dtype=np.float64).reshape(-1),
        tuple(labels), tuple(row_labels), radii, tuple(planes), title, description,
    )  # fmt: skip


def _ends(
    moments: AnyMoments, z: Any, start: Any, end: Any, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Starts and ends of paths, (k, d) each, float64."""
    if start is None and end is None:
        start, end = example_codes(z, 2, seed)
    elif start is None or end is None:
        raise InputError("a morph needs both start and end, got one of them; give both or none.")
    both = []
    for name, given in (("start", start), ("end", end)):
        given = np.asarray(given)
        given = given[None] if given.ndim == 1 else given
        codes = check_codes(given, name=name, min_samples=1, latent_dim=moments.d)
        both.append(codes.astype(np.float64))
    if len(both[0]) != len(both[1]):
        raise InputError(
            f"start and end must be as many, got {len(both[0])} and {len(both[1])}; pass pairs."
        )
    same = np.flatnonzero((both[0] == both[1]).all(axis=1))
    if len(same):
        raise InputError(
            f"start and end must differ, got equal codes in pair {same[0] + 1}; choose another end."
        )
    return both[0], both[1]


def _ways(
    moments: AnyMoments,
    method: str | None,
    log_prob: LogProb | None = None,
    gradient: Gradient | None = None,
) -> dict[str, Callable[[np.ndarray, np.ndarray, int], np.ndarray]]:
    """The paths that a method means: one, or all that the cloud has where none is named."""
    ways: dict[str, Callable[..., np.ndarray]] = {"linear": linear_path}
    if method == "linear":
        return ways
    if method is None and (singular_why(moments) is not None or moments.d == 1):
        return ways  # no distances to keep, and on a line nothing leads round the centre
    whitening = _whitening(moments, "morph so", "use method='linear'")

    def dense(start: np.ndarray, end: np.ndarray, steps: int) -> np.ndarray:
        return density_path(start, end, steps, whitening, log_prob, gradient).codes

    ways |= {"spherical": partial(spherical_path, whitening=whitening), "density": dense}
    return ways if method is None else {method: ways[method]}


def _dips(walk: Walk) -> str:
    """How near each path of the first pair comes to the centre, in words."""
    if walk.radii is None:
        return "The covariance of the codes has no inverse, and they no Mahalanobis radii."
    radii = walk.radii.reshape(walk.rows, -1)
    shared = [k for k, shown in enumerate(walk.planes) if shown is walk.planes[0]]
    parts = [f"{walk.row_labels[k].partition(',')[0]} {radii[k].min():.2f}" for k in shared]
    return (
        f"The ends have Mahalanobis radii of {radii[0, 0]:.2f} and {radii[0, -1]:.2f}; the least "
        f"radius on the way: {', '.join(parts)}."
    )


def _whitening(moments: AnyMoments, purpose: str, cure: str) -> Whitening:
    why = singular_why(moments)
    if why is not None:
        raise InputError(
            f"to {purpose} takes Mahalanobis distances, and these an invertible covariance, but z "
            f"{why}; {cure}."
        )
    return Whitening(moments)


def _usable_axes(axes: PCA) -> int:
    """How many PCA axes have a variance."""
    return int((axes.eigenvalues > max(axes.eigenvalues[0], 0.0) * _NO_VARIANCE).sum())


def _is_pca(coordinates: str) -> bool:
    if coordinates not in COORDINATES:
        raise InputError(
            f"No coordinates are called {coordinates!r}{suggestion(coordinates, COORDINATES)}"
        )
    return coordinates == "pca"


def _pairs(pairs: Any) -> list[tuple[int, int]]:
    try:
        array = np.asarray(pairs)
    except ValueError:  # of different lengths
        array = np.empty(0)
    if array.ndim != 2 or array.shape[1] != 2 or not len(array) or array.dtype.kind not in "iu":
        raise InputError(
            f"pairs must be pairs of whole numbers, got {pairs!r}; pass for example [(3, 7)]."
        )
    return [(int(i), int(j)) for i, j in array]


def _numbers(values: Any, name: str) -> list[float]:
    several = isinstance(values, Iterable) and not isinstance(values, str)
    listed = list(values) if several else [values]
    if not listed:
        raise InputError(f"{name} must hold at least one number, got none; pass for example [0].")
    return [_number(value, name) for value in listed]


def _number(value: Any, name: str) -> float:
    good = isinstance(value, int | float | np.integer | np.floating) and np.isfinite(value)
    if not good or isinstance(value, bool):
        raise InputError(f"{name} must be a finite number, got {value!r}; choose one.")
    return float(value)


def _apart(r: float) -> bool:
    """Whether two directions that correlate so make a plane."""
    return bool(1 - r**2 > _NO_VARIANCE)


def _axis(k: int) -> str:
    return f"PCA axis {k + 1}"


def _sigmas(values: Any) -> list[str]:
    return ["0σ" if abs(v) < 1e-9 else f"{v:+.3g}σ" for v in values]


WALKS: dict[str, Callable[..., Walk]] = {
    "origin": origin,
    "component": component,
    "plane": plane,
    "pca": pca,
    "morph": morph,
    "grid": grid,
}
"""Every kind of walk: `make_walk` makes one from a cloud alone."""
