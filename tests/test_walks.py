"""Walks: what lies on a path, at which distance from the centre, and what is refused."""

import json

import numpy as np
import pytest
from scipy import integrate
from scipy.spatial import geometric_slerp

from latentshape.errors import InputError
from latentshape.shape import PCA, Moments, Whitening
from latentshape.walks import (
    METHODS,
    WALKS,
    component,
    default_pairs,
    density_path,
    example_codes,
    grid,
    linear_path,
    make_walk,
    morph,
    origin,
    pca,
    plane,
    spherical_path,
)


def cloud(n=600, d=5, seed=0, offset=2.0):
    rng = np.random.default_rng(seed)
    mix = rng.standard_normal((d, d)) + 2 * np.eye(d)
    return (rng.standard_normal((n, d)) @ mix + offset).astype(np.float32)


def radii(codes, moments):
    """Mahalanobis radii by solving with the covariance itself."""
    centred = codes.astype(np.float64) - moments.mean
    return np.sqrt((centred * np.linalg.solve(moments.cov, centred.T).T).sum(axis=1))


Z = cloud()
MOMENTS = Moments.of(Z)
ROUND = Moments(99, np.zeros(2), np.eye(2))


# --- every kind -------------------------------------------------------------------------------------


def singular(z):
    z = z.copy()
    z[:, 1] = 3.0
    return z


CLOUDS = {
    "d=2": cloud(d=2),
    "d=3": cloud(d=3),
    "d=256": cloud(400, 256),
    "fewer than d": cloud(20, 40),
    "constant": singular(cloud(d=4)),
    "float64": cloud().astype(np.float64),
}
LINES = {"origin", "pca", "morph", "grid"}
CASES = [(kind, name) for kind in WALKS for name in CLOUDS]
CASES += [(kind, "d=1") for kind in sorted(LINES)]
CLOUDS["d=1"] = cloud(d=1)


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_every_kind_walks_through_every_cloud(kind, name):
    z = CLOUDS[name]
    d = z.shape[1]
    moments = Moments.of(z)
    walk = make_walk(kind, z)
    assert walk.kind == kind
    assert walk.codes.dtype == np.float32
    assert walk.codes.shape == (walk.rows * walk.columns, d)
    assert walk.paths.shape == (walk.rows, walk.columns, d)
    assert np.array_equal(walk.paths[0, -1], walk.codes[walk.columns - 1])
    assert np.isfinite(walk.codes).all()
    # No two neighbours on a row are the same picture.
    assert (np.abs(np.diff(walk.paths, axis=1)).max(axis=2) > 0).all()
    assert len(walk.labels) == len(walk.positions) == len(walk.codes)
    assert len(walk.row_labels) == len(walk.planes) == walk.rows
    if name in ("fewer than d", "constant"):
        assert walk.radii is None
    else:
        assert walk.radii == pytest.approx(radii(walk.codes, moments), rel=1e-5, abs=1e-6)
    for shown in walk.planes:
        assert shown.directions.shape == (len(shown.names), d) == (min(d, 2), d)
        assert shown.directions @ shown.directions.T == pytest.approx(np.eye(min(d, 2)), abs=1e-9)
    again = make_walk(kind, z, moments)
    assert np.array_equal(again.codes, walk.codes)
    record = json.loads(json.dumps(walk.to_dict(), allow_nan=False))
    assert (record["rows"], record["columns"]) == (walk.rows, walk.columns)
    assert record["labels"] == list(walk.labels)


@pytest.mark.parametrize("kind", sorted(set(WALKS) - LINES))
def test_a_plane_needs_two_directions(kind):
    for z in (cloud(d=1), np.column_stack([Z[:, 0], 2 * Z[:, 0]])):
        options = {} if z.shape[1] == 1 else {"coordinates": "components"}
        with pytest.raises(InputError, match="in two directions, and these vary in one at most"):
            make_walk(kind, z, **options)


# Drawn in its own plane, a path shows its true length; only a sphere's arc would else be foreshortened.
@pytest.mark.parametrize("kind", ["origin", "component", "plane", "pca", "morph"])
def test_a_path_lies_in_the_plane_it_is_drawn_in(kind):
    walk = make_walk(kind, Z, MOMENTS)
    for path, shown in zip(walk.paths, walk.planes, strict=True):
        path = path.astype(np.float64)
        length = np.linalg.norm(np.diff(path, axis=0), axis=1)
        shadow = np.linalg.norm(np.diff(shown.project(path), axis=0), axis=1)
        assert shadow == pytest.approx(length, rel=1e-4)


def test_the_shadow_of_a_cloud_has_the_moments_of_its_plane():
    shown = make_walk("plane", Z, MOMENTS, directions=np.eye(5)[[0, 3]] + 0.3).planes[0]
    seen = Moments.of(shown.project(Z).astype(np.float64))
    told = shown.moments(MOMENTS)
    assert seen.mean == pytest.approx(told.mean, rel=1e-5)
    assert seen.cov == pytest.approx(told.cov, rel=1e-4)


# --- lines and grids --------------------------------------------------------------------------------


def test_from_the_origin_to_the_centre_in_equal_steps():
    walk = origin(MOMENTS, steps=7, beyond=2)
    assert not walk.codes[0].any()
    assert walk.codes[6] == pytest.approx(MOMENTS.mean, rel=1e-6)
    assert np.diff(walk.codes, axis=0) == pytest.approx(np.tile(MOMENTS.mean / 6, (8, 1)), rel=1e-5)
    away = radii(np.zeros((1, 5)), MOMENTS)[0]
    assert walk.radii == pytest.approx(away * np.abs(1 - np.arange(9) / 6), abs=1e-5)


@pytest.mark.parametrize("angle", [0.0, 30.0, 90.0, 200.0])
def test_lines_pass_through_the_centre_and_meet_the_ellipses_of_their_pair(angle):
    walk = component(MOMENTS, pairs=[(3, 1)], angles=[angle], extent=2.5, steps=5)
    assert walk.row_labels == (f"components 3, 1 at {angle:g}°",)
    assert walk.codes[2] == pytest.approx(MOMENTS.mean, rel=1e-6)
    still = [0, 2, 4]
    assert (walk.codes[:, still] == walk.codes[2, still]).all()
    away = walk.codes[:, [3, 1]].astype(np.float64) - MOMENTS.mean[[3, 1]]
    cov = MOMENTS.cov[np.ix_([3, 1], [3, 1])]
    within = np.sqrt(np.einsum("ij,jk,ik->i", away, np.linalg.inv(cov), away))
    assert within == pytest.approx([2.5, 1.25, 0, 1.25, 2.5], abs=1e-5)
    assert walk.positions == pytest.approx([-2.5, -1.25, 0, 1.25, 2.5])
    u = away[-1] / MOMENTS.std[[3, 1]]
    turn = np.radians(angle)
    assert u / np.linalg.norm(u) == pytest.approx([np.cos(turn), np.sin(turn)], abs=1e-5)


def least_radius(path, moments):
    """Of the whole straight line through a path's ends, by the formula for the foot of a height."""
    a, b = path[0].astype(np.float64) - moments.mean, path[-1].astype(np.float64) - path[0]
    inverse = np.linalg.inv(moments.cov)
    t = -(a @ inverse @ b) / (b @ inverse @ b)
    foot = a + t * b
    return np.sqrt(foot @ inverse @ foot), t


@pytest.mark.parametrize("d", [2, 5, 256])
@pytest.mark.parametrize("offset", [0.5, -3.0, 11.0])
@pytest.mark.parametrize("coordinates", ["components", "pca"])
def test_lines_miss_the_centre_by_their_offset_exactly(d, offset, coordinates):
    moments = Moments.of(CLOUDS["d=256"] if d == 256 else cloud(d=d))
    pair = (1, 2) if coordinates == "pca" else (1, 0)
    walk = component(
        moments, pairs=[pair], coordinates=coordinates, angles=[0, 70], offset=offset, steps=7
    )
    for path, row in zip(walk.paths, walk.radii.reshape(2, -1), strict=True):
        nearest, at = least_radius(path, moments)
        assert nearest == pytest.approx(abs(offset), rel=2e-5)
        assert at == pytest.approx(0.5, abs=1e-5)
        assert row[3] == pytest.approx(abs(offset), rel=2e-5)
    other = component(
        moments, pairs=[pair], coordinates=coordinates, angles=[0, 70], offset=-offset, steps=7
    )
    mirrored = 2 * moments.mean - other.paths[:, ::-1].astype(np.float64)
    assert walk.paths == pytest.approx(mirrored, abs=1e-4)
    if coordinates == "pca":
        assert walk.row_labels == ("PCA axes 1, 2 at 0°", "PCA axes 1, 2 at 70°")
    else:
        still = np.delete(walk.codes, pair, axis=1)
        assert (still == still[0]).all()


@pytest.mark.parametrize("offset", [0.0, 3.9])
def test_chords_end_on_their_ellipsoid(offset):
    walk = component(MOMENTS, pairs=[(0, 4), (1, 2)], angles=[15], offset=offset, radius=4.0)
    ends = walk.paths[:, [0, -1]].reshape(-1, 5)
    assert radii(ends, MOMENTS) == pytest.approx(4.0, rel=1e-5)
    assert walk.radii.max() <= 4.0 + 1e-4
    assert walk.radii.reshape(2, 9)[:, 4] == pytest.approx(offset, abs=1e-4)


def test_along_the_axes_every_coordinate_is_what_it_says():
    walk = pca(MOMENTS, axes=3, steps=5, extent=2.0)
    axes = PCA.of(MOMENTS)
    wanted = np.zeros((3, 5, 5))
    for k in range(3):
        wanted[k, :, k] = np.linspace(-2, 2, 5) * axes.std[k]
    got = (walk.paths.astype(np.float64) - axes.mean) @ axes.axes.T
    assert got == pytest.approx(wanted, abs=1e-5)
    assert walk.radii == pytest.approx(np.abs(walk.positions), abs=1e-5)
    assert walk.labels[:5] == ("-2σ", "-1σ", "0σ", "+1σ", "+2σ")


def test_known_axes_are_walked_at_their_known_widths():
    turn = np.array([[0.6, 0.8], [-0.8, 0.6]])
    moments = Moments(99, np.array([1.0, -1.0]), turn.T @ np.diag([9.0, 4.0]) @ turn)
    walk = pca(moments, steps=2, extent=1.0)
    for path, axis, std in zip(walk.paths, turn, (3.0, 2.0), strict=True):
        assert np.abs(path[1] - path[0]) == pytest.approx(2 * std * np.abs(axis), abs=1e-6)
        assert path.mean(axis=0) == pytest.approx([1.0, -1.0], abs=1e-6)


def test_axes_without_a_variance_are_not_walked():
    z = cloud(d=4)
    z[:, 2] = z[:, 0] + z[:, 1]
    assert make_walk("pca", z).rows == 3
    with pytest.raises(InputError, match="axes must be an integer from 1 to 3, got 4"):
        make_walk("pca", z, axes=4)
    with pytest.raises(InputError, match="PCA axis 4 does not vary"):
        make_walk("plane", z, pair=(1, 4))
    with pytest.raises(InputError, match="do not vary, and no PCA axis"):
        make_walk("pca", np.ones((9, 3)))


@pytest.mark.parametrize("coordinates", ["components", "pca"])
def test_a_grid_has_its_pair_from_left_to_right_and_from_bottom_to_top(coordinates):
    walk = plane(MOMENTS, pair=(3, 2), coordinates=coordinates, rows=3, columns=5, extent=2.0)
    z = walk.paths.astype(np.float64)
    if coordinates == "components":
        place = (z - MOMENTS.mean)[:, :, [3, 2]] / MOMENTS.std[[3, 2]]
    else:
        axes = PCA.of(MOMENTS)
        place = ((z - axes.mean) @ axes.axes[[2, 1]].T) / axes.std[[2, 1]]
    assert place[:, :, 0] == pytest.approx(np.tile([-2.0, -1, 0, 1, 2], (3, 1)), abs=1e-4)
    assert place[:, :, 1] == pytest.approx(np.tile([[2.0], [0], [-2]], (1, 5)), abs=1e-4)
    assert z[1, 2] == pytest.approx(MOMENTS.mean, rel=1e-5)
    assert walk.labels[:2] == ("-2σ, +2σ", "-1σ, +2σ")


def test_a_plane_of_given_directions_is_measured_along_them():
    u, v = np.array([[1.0, 1, 0, 0, 0], [0, 0, 0, 1, 0]])
    walk = plane(MOMENTS, directions=[5 * u, v], rows=2, columns=2, extent=1.0)
    across = walk.codes[1] - walk.codes[0]
    assert across == pytest.approx(2 * u / 2 * np.sqrt(u @ MOMENTS.cov @ u), abs=1e-5)
    down = walk.codes[2] - walk.codes[0]
    assert down == pytest.approx(-2 * v * MOMENTS.std[3], abs=1e-5)


# --- morphs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("d", [2, 5, 256])
def test_a_morph_meets_its_ends_exactly(method, d):
    z = CLOUDS["d=256"] if d == 256 else cloud(d=d)
    walk = morph(Moments.of(z), start=z[:3], end=z[3:6], method=method, steps=6)
    assert np.array_equal(walk.paths[:, 0], z[:3])
    assert np.array_equal(walk.paths[:, -1], z[3:6])
    assert walk.row_labels == tuple(f"{method}, pair {k}" for k in (1, 2, 3))


def test_two_codes_of_the_cloud_are_morphed_by_every_method():
    walk = make_walk("morph", Z, MOMENTS, seed=3)
    assert walk.row_labels == METHODS
    a, b = example_codes(Z, seed=3)
    assert (walk.paths[:, 0] == a).all()
    assert (walk.paths[:, -1] == b).all()
    other = make_walk("morph", Z, MOMENTS, seed=4)
    assert not np.array_equal(other.codes, walk.codes)
    least = walk.radii.reshape(3, -1).min(axis=1)
    for name, value in zip(METHODS, least, strict=True):
        assert f"{name} {value:.2f}" in walk.description


def test_the_straight_line_dips_where_the_arc_keeps_its_radius():
    whitening = Whitening(MOMENTS)
    y = 2.0 * np.eye(5)[:2]  # two codes of radius 2, at a right angle
    start, end = MOMENTS.mean + y @ whitening.factor.T
    walk = morph(MOMENTS, start=start, end=end, steps=5)
    linear, spherical, density = walk.radii.reshape(3, 5)
    assert linear == pytest.approx(2 * np.sqrt([1, 10 / 16, 8 / 16, 10 / 16, 1]), rel=1e-5)
    assert spherical == pytest.approx(2.0, rel=1e-5)
    assert density[2] < linear[2]


@pytest.mark.parametrize("d", [2, 3, 40])
def test_an_arc_is_that_of_unit_vectors_with_the_radius_between(d):
    z = cloud(d=d).astype(np.float64)
    moments = Moments.of(z)
    whitening = Whitening(moments)
    path = spherical_path(z[0], z[1], 8, whitening)
    y = np.linalg.solve(np.linalg.cholesky(moments.cov), (path - moments.mean).T).T
    r = np.linalg.norm(y, axis=1)
    t = np.linspace(0, 1, 8)
    assert r == pytest.approx((1 - t) * r[0] + t * r[-1])
    assert (np.diff(r) * np.sign(r[-1] - r[0]) > 0).all()
    assert np.array_equal(path[[0, -1]], z[:2])
    reference = geometric_slerp(y[0] / r[0], y[-1] / r[-1], t)
    assert y / r[:, None] == pytest.approx(reference, abs=1e-9)


@pytest.mark.parametrize("d", [1, 2, 256])
def test_ends_in_one_direction_are_joined_by_the_straight_line(d):
    moments = Moments.of(CLOUDS[f"d={d}"])
    whitening = Whitening(moments)
    away = CLOUDS[f"d={d}"][0].astype(np.float64) - moments.mean
    for near, far in ((0.3, 2.0), (0.0, 1.0), (1.5, 0.0)):
        a, b = moments.mean + near * away, moments.mean + far * away
        path = spherical_path(a, b, 6, whitening)
        assert path == pytest.approx(linear_path(a, b, 6), abs=1e-7)


def test_ends_almost_in_one_direction_are_joined_smoothly():
    path = spherical_path(np.array([1.0, 0]), np.array([1.0, 1e-9]), 5, Whitening(ROUND))
    assert path[:, 1] == pytest.approx(np.linspace(0, 1e-9, 5), rel=1e-6)


def test_opposite_ends_have_no_arc_and_are_morphed_without_it():
    start, end = MOMENTS.mean + np.ones(5), MOMENTS.mean - 2 * np.ones(5)
    with pytest.raises(InputError, match="not opposite to each other"):
        morph(MOMENTS, start=start, end=end, method="spherical")
    walk = morph(MOMENTS, start=start, end=end)
    assert walk.row_labels == ("linear", "density")
    # Through the centre, by symmetry; on the same line.
    across = walk.paths[1] - MOMENTS.mean
    assert across == pytest.approx(np.outer(across[:, 0], np.ones(5)), abs=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_a_morph_follows_the_cloud_through_affine_maps(method):
    rng = np.random.default_rng(1)
    turn, shift = rng.standard_normal((5, 5)) + 3 * np.eye(5), rng.normal(0, 20, 5)
    mapped = Moments(MOMENTS.n, turn @ MOMENTS.mean + shift, turn @ MOMENTS.cov @ turn.T)
    a, b = Z[:2].astype(np.float64)
    here = morph(MOMENTS, start=a, end=b, method=method)
    there = morph(mapped, start=turn @ a + shift, end=turn @ b + shift, method=method)
    wanted = here.codes.astype(np.float64) @ turn.T + shift
    assert there.codes == pytest.approx(wanted, abs=2e-4)
    assert there.radii == pytest.approx(here.radii, abs=1e-4)


def test_the_corners_of_a_sheet_are_its_codes():
    corners = Z[10:14]
    for method in ("linear", "spherical"):
        walk = grid(MOMENTS, corners=corners, method=method, rows=4, columns=3)
        found = walk.paths[[0, 0, -1, -1], [0, -1, 0, -1]]
        assert np.array_equal(found, corners)
    straight = grid(MOMENTS, corners=corners, method="linear", rows=3, columns=3)
    assert straight.paths[1, 1] == pytest.approx(corners.mean(axis=0), rel=1e-5)
    arcs = grid(MOMENTS, corners=corners, rows=3, columns=3)
    # Radii go straight down the sides and then straight across.
    assert arcs.radii[4] == pytest.approx(radii(corners, MOMENTS).mean(), rel=1e-5)


# --- the path that follows the density ----------------------------------------------------------------


@pytest.mark.parametrize("d", [1, 2, 256])
def test_the_search_never_ends_above_its_beginning(d):
    z = CLOUDS[f"d={d}"].astype(np.float64)
    whitening = Whitening(Moments.of(z))
    found = density_path(z[0], z[1], 9, whitening)
    assert found.energy < found.start_energy
    assert np.array_equal(found.codes[[0, -1]], z[:2])
    assert np.array_equal(found.nodes[:: (len(found.nodes) - 1) // 8], found.codes)


def geodesic(nearest, radius):
    """Angle and squared length of the shortest path under exp(r²/d) |dy|², d = 2 (Clairaut).

    The path comes within `nearest` of the centre and begins and ends at `radius`; its length is in
    units of that at the ends.
    """

    def n(r):
        return np.exp(r * r / 4)

    c = nearest * n(nearest)

    def both(x, power):  # r = nearest + x² takes the singularity away
        r = nearest + x * x
        root = np.sqrt((r * n(r) - c) / (x * x) * (r * n(r) + c))
        return 2 * (c / r if power == 0 else n(r) ** 2 * r / n(radius)) / root

    parts = [
        integrate.quad(both, 1e-6, np.sqrt(radius - nearest), args=(power,))[0] for power in (0, 1)
    ]
    return 2 * parts[0], (2 * parts[1]) ** 2


@pytest.mark.parametrize(("nearest", "radius"), [(0.5, 1.0), (0.4, 2.0), (1.0, 1.3)])
def test_under_a_gaussian_the_path_is_the_geodesic(nearest, radius):
    angle, energy = geodesic(nearest, radius)
    end = radius * np.array([np.cos(angle), np.sin(angle)])
    found = density_path(np.array([radius, 0.0]), end, 129, Whitening(ROUND))
    assert np.linalg.norm(found.codes, axis=1).min() == pytest.approx(nearest, rel=2e-3)
    assert found.energy == pytest.approx(energy, rel=2e-3)


def ring(z):
    """Codes on a ring of radius 2 about the mean: a law with a void in its middle."""
    return -((np.linalg.norm(z, axis=1) - 2.0) ** 2) / (2 * 0.3**2)


def ring_gradient(z):
    r = np.linalg.norm(z, axis=1, keepdims=True)
    return -(r - 2.0) / 0.3**2 * z / r


def test_the_path_goes_round_a_void():
    start, end = 2.0 * np.array([[1.0, 0.0], [np.cos(2.0), np.sin(2.0)]])
    walk = morph(ROUND, start=start, end=end, log_prob=ring)
    linear, _, density = walk.radii.reshape(3, -1)
    assert linear.min() < 1.1
    assert density.min() > 1.85
    exact = morph(
        ROUND, start=start, end=end, method="density", log_prob=ring, gradient=ring_gradient
    )
    assert exact.codes == pytest.approx(walk.paths[2], abs=1e-3)


def test_a_given_law_is_asked_about_codes_not_about_whitened_ones():
    whitening = Whitening(MOMENTS)
    inverse = np.linalg.inv(MOMENTS.cov)

    def gaussian(z):
        centred = z - MOMENTS.mean
        return 7.0 - 0.5 * np.einsum("ij,jk,ik->i", centred, inverse, centred)

    def gradient(z):
        return -(z - MOMENTS.mean) @ inverse

    a, b = Z[:2].astype(np.float64)
    own = density_path(a, b, 9, whitening)
    for given in (None, gradient):
        found = density_path(a, b, 9, whitening, gaussian, given)
        assert found.energy == pytest.approx(own.energy, rel=1e-6)
        assert found.codes == pytest.approx(own.codes, abs=2e-3)


def test_no_path_leads_where_the_density_is_nothing():
    def outside(z):
        with np.errstate(divide="ignore"):
            return np.log((np.linalg.norm(z, axis=1) > 1.0).astype(np.float64))

    start, end = 2.0 * np.array([[1.0, 0.0], [np.cos(2.9), np.sin(2.9)]])
    found = density_path(start, end, 17, Whitening(ROUND), outside)
    assert (np.linalg.norm(found.nodes, axis=1) > 1.0).all()
    assert found.energy <= found.start_energy < 100
    with pytest.raises(InputError, match="ends of positive density"):
        density_path(start, np.array([0.1, 0.1]), 17, Whitening(ROUND), outside)


# --- what is taken where nothing is said --------------------------------------------------------------


def test_pairs_of_what_stands_out_and_of_what_correlates():
    mean = np.zeros(12)
    mean[[7, 2, 9]] = [8.0, -6.0, 4.0]
    cov = np.eye(12)
    cov[5, 5] = 100.0
    cov[0, 11] = cov[11, 0] = -0.7
    moments = Moments(500, mean, cov)
    # 5 is the widest, then come the means by their size.
    assert default_pairs(moments) == [(5, 7), (0, 11), (2, 9)]
    assert default_pairs(moments, count=1) == [(5, 7)]
    assert default_pairs(moments, "pca") == [(1, 2), (3, 4), (5, 6)]


def test_neither_constant_nor_coinciding_components_are_paired():
    z = cloud(d=4)
    z[:, 0] = 50.0
    z[:, 2] = -3 * z[:, 1]
    pairs = default_pairs(Moments.of(z))
    assert all(0 not in pair and set(pair) != {1, 2} for pair in pairs)
    assert make_walk("component", z).rows == 2 * len(pairs)
    # Where nothing correlates, the constant's 0 is as strong as any.
    assert default_pairs(Moments(99, np.zeros(4), np.diag([0.0, 9, 4, 1]))) == [(1, 2)]


def test_examples_are_different_rows_and_the_same_for_the_same_seed(tmp_path):
    z = np.repeat(cloud(50, 3), 4, axis=0)
    np.save(tmp_path / "z.npy", z)
    stored = np.load(tmp_path / "z.npy", mmap_mode="r")
    for seed in range(20):
        found = example_codes(stored, 4, seed)
        assert len(np.unique(found, axis=0)) == 4
        assert all((row == z).all(axis=1).any() for row in found)
        assert np.array_equal(found, example_codes(z, 4, seed))
    assert len({example_codes(z, 2, seed).tobytes() for seed in range(20)}) > 15


# --- what is refused ----------------------------------------------------------------------------------


def flat(**options):
    """A cloud without an inverse covariance."""
    return make_walk("component", singular(Z), pairs=[(0, 2)], **options)


REFUSED = {
    "kind": (lambda: make_walk("orgin", Z), "No walk is called 'orgin'; did you mean 'origin'"),
    "option": (lambda: make_walk("pca", Z, step=3), "no option 'step'; did you mean 'steps'"),
    "dimension": (lambda: make_walk("pca", Z[:, :4], MOMENTS), "must have 5 components"),
    "one step": (lambda: origin(MOMENTS, steps=1), "steps must be an integer of at least 2, got 1"),
    "half a step": (lambda: pca(MOMENTS, steps=2.5), "steps must be an integer"),
    "no step of a line": (lambda: component(MOMENTS, steps=0), "steps must be"),
    "no step of a morph": (lambda: make_walk("morph", Z, steps=1), "steps must be"),
    "one row": (lambda: plane(MOMENTS, rows=1), "rows must be"),
    "one column": (lambda: make_walk("grid", Z, columns=1), "columns must be"),
    "no mean": (lambda: origin(ROUND), "the mean of the codes is 0"),
    "beyond": (lambda: origin(MOMENTS, beyond=-1), "beyond must be"),
    "component": (lambda: component(MOMENTS, pairs=[(0, 5)]), "from 0 to 4, got (0, 5)"),
    "negative": (lambda: component(MOMENTS, pairs=[(-1, 2)]), "from 0 to 4"),
    "twice": (lambda: component(MOMENTS, pairs=[(2, 2)]), "two different components"),
    "axis 0": (lambda: plane(MOMENTS, pair=(0, 1)), "two different PCA axes from 1 to 5"),
    "triple": (lambda: component(MOMENTS, pairs=[(1, 2, 3)]), "pairs of whole numbers"),
    "no pair": (lambda: component(MOMENTS, pairs=[]), "pairs of whole numbers"),
    "fractions": (lambda: plane(MOMENTS, pair=(0.5, 1)), "pairs of whole numbers"),
    "coordinates": (lambda: plane(MOMENTS, coordinates="pac"), "did you mean 'pca'"),
    "extent": (lambda: pca(MOMENTS, extent=0), "extent must be a finite number above 0"),
    "angle": (lambda: component(MOMENTS, angles=[np.nan]), "angles must be a finite number"),
    "no angle": (lambda: component(MOMENTS, angles=[]), "angles must hold at least one"),
    "offset": (lambda: component(MOMENTS, offset="far"), "offset must be a finite number"),
    "too far": (lambda: component(MOMENTS, offset=-3, radius=3), "smaller than radius, got -3 and 3"),
    "radius": (lambda: component(MOMENTS, radius=-1), "radius must be a finite number above 0"),
    "flat offset": (lambda: flat(offset=1), "components are constant .1.; leave both out"),
    "flat radius": (lambda: flat(radius=1), "an invertible covariance"),
    "constant": (
        lambda: make_walk("component", singular(Z), pairs=[(0, 1)]),
        "component 1 does not vary",
    ),
    "parallel": (lambda: plane(MOMENTS, directions=np.ones((2, 5))), "make no plane"),
    "zero": (lambda: plane(MOMENTS, directions=np.eye(5)[:2] * [[1], [0]]), "that are not 0"),
    "both": (lambda: plane(MOMENTS, pair=(1, 2), directions=np.eye(5)[:2]), "got both"),
    "equal ends": (lambda: morph(MOMENTS, start=Z[0], end=Z[0]), "equal codes in pair 1"),
    "one end": (lambda: morph(MOMENTS, start=Z[0]), "needs both start and end"),
    "no end": (lambda: morph(MOMENTS), "pass the cloud as z"),
    "unlike ends": (lambda: morph(MOMENTS, start=Z[:2], end=Z[2:5]), "as many, got 2 and 3"),
    "other codes": (lambda: morph(MOMENTS, start=Z[0, :4], end=Z[1, :4]), "start must have 5"),
    "nan": (lambda: morph(MOMENTS, start=Z[0], end=Z[1] * np.nan), "end must be finite"),
    "method": (lambda: morph(MOMENTS, method="slerp"), "No method of morphing is called 'slerp'"),
    "flat arc": (
        lambda: make_walk("morph", singular(Z), method="spherical"),
        "components are constant .1.; use method='linear'",
    ),
    "one code": (lambda: make_walk("morph", np.ones((9, 3))), "2 different codes, got 1"),
    "corners": (lambda: grid(MOMENTS, corners=Z[[0, 1, 2, 2]]), "4 different codes, got 3"),
    "grid method": (lambda: make_walk("grid", Z, method="density"), "No method of a grid"),
    "law": (
        lambda: make_walk("morph", Z, log_prob=lambda z: 0.0),
        "one number for each code, shape .2,.,",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_makes_no_walk_is_refused_in_a_sentence(name):
    call, words = REFUSED[name]
    with pytest.raises(InputError, match=words.replace("(", r"\(").replace(")", r"\)")):
        call()
