"""The origin in the cloud: border position, slabs, cubes and what they hit."""

import numpy as np
import pytest
from scipy import stats

from latentshape._checks import row_blocks
from latentshape.errors import InputError
from latentshape.shape import Moments, expected_coverage, mahalanobis_squared
from latentshape.shape.origin import (
    CubeShare,
    PlanePositions,
    RadiusQuantiles,
    SlabCounts,
    cube_hits,
    origin_position,
    uniform_slab_share,
)
from latentshape.shape.streaming import stream


def cloud(n=5000, d=6, seed=0, offset=1.5):
    rng = np.random.default_rng(seed)
    mixing = np.eye(d) + 0.3 * rng.standard_normal((d, d))
    return (rng.standard_normal((n, d)) @ mixing + offset).astype(np.float32)


@pytest.mark.parametrize("d", [2, 3, 6, 40])
def test_slabs_hold_what_a_plain_count_finds(d):
    z = cloud(d=d, n=3000, offset=0.2) * np.float32(0.8)
    pairs = [(0, 1), (d - 1, 0)] if d == 2 else [(0, 1), (d - 1, 0), (1, 2)]
    bounds = (0.5, 1.5, 9.0)
    slabs = SlabCounts(d, pairs, bounds)
    stream(row_blocks(z, 700), slabs)
    assert slabs.n == 3000
    for bound, row in zip(bounds, slabs.counts, strict=True):
        for (i, j), count in zip(pairs, row, strict=True):
            rest = np.delete(z, [i, j], axis=1)
            assert count == (np.abs(rest) <= np.float32(bound)).all(axis=1).sum()
    assert slabs.shares() == pytest.approx(slabs.counts / 3000)


def test_many_pairs_are_counted_as_few_are():
    z = cloud(d=30, n=500, offset=0.0)
    pairs = np.stack(np.triu_indices(30, 1), axis=1)
    slabs, planes = SlabCounts(30, pairs, (2.0,)), PlanePositions(Moments.of(z), pairs)
    stream([z], slabs, planes)
    for k in (0, 255, 256, 300, 434):
        alone = SlabCounts(30, [pairs[k]], (2.0,))
        beyond = PlanePositions(Moments.of(z), [pairs[k]])
        stream([z], alone, beyond)
        assert slabs.counts[0, k] == alone.counts[0, 0]
        assert planes.beyond[k] == beyond.beyond[0]


def test_a_uniform_cube_in_a_slab_is_the_formula():
    rng = np.random.default_rng(0)
    x = rng.uniform(-2.0, 2.0, (50_000, 5))
    slabs = SlabCounts(5, [(0, 3), (1, 2)], (1.5, 2.0))
    stream([x], slabs)
    wanted = uniform_slab_share(5, 1.5, 2.0)
    assert wanted == pytest.approx(0.75**3)
    assert slabs.shares()[0] == pytest.approx([wanted] * 2, abs=5 / np.sqrt(50_000))
    assert slabs.shares()[1].tolist() == [1.0, 1.0]
    assert uniform_slab_share(5, 3.0, 2.0) == 1.0


def test_cubes_hold_what_a_plain_count_finds():
    z = cloud()
    cubes = CubeShare((1.0, 2.0, 3.0))
    stream(row_blocks(z, 999), cubes)
    largest = np.abs(z).max(axis=1)
    assert cubes.shares().tolist() == [(largest <= b).mean() for b in (1.0, 2.0, 3.0)]
    assert cubes.least == largest.min()


def test_planes_agree_with_the_inverse_covariance():
    z = cloud()
    moments = Moments.of(z)
    pairs = [[0, 1], [5, 2]]
    planes = PlanePositions(moments, pairs, z[17])
    stream(row_blocks(z, 1111), planes)
    for k, pair in enumerate(pairs):
        inverse = np.linalg.inv(moments.cov[np.ix_(pair, pair)])
        centred = z[:, pair] - moments.mean[pair]
        squared = np.einsum("ij,jk,ik->i", centred, inverse, centred)
        assert planes.distances[k] == pytest.approx(np.sqrt(squared[17]))
        assert planes.beyond[k] == pytest.approx((squared > squared[17]).mean(), abs=2.5e-4)
        assert planes.expected[k] == pytest.approx(1 - expected_coverage(planes.distances[k]))
        assert planes.beyond[k] == pytest.approx(planes.expected[k], abs=0.03)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99, 1.0])
def test_quantiles_of_radii_are_numpys(share):
    z = cloud()
    radii = np.sqrt(mahalanobis_squared(z))
    found = RadiusQuantiles(Moments.of(z))
    stream(row_blocks(z, 1234), found)
    wanted = np.quantile(radii, share)
    assert found.quantile(share) == pytest.approx(wanted, abs=3e-3 * np.sqrt(6) if share else 0.1)
    assert found.nearer == (radii < found.origin).sum()


def test_a_radius_beyond_the_table_is_still_known():
    rng = np.random.default_rng(3)
    z = rng.standard_normal((20_000, 2))
    z[0] = 900.0
    found = RadiusQuantiles(Moments.of(z))
    stream([z], found)
    assert found.largest > 8 * np.sqrt(2)
    assert found.quantile(1.0) == found.largest
    assert found.quantile(0.9) < 2.0


@pytest.mark.parametrize("d", [2, 3])
def test_hits_of_a_round_cloud_are_the_volume_of_a_ball(d):
    moments = Moments(100, np.zeros(d), np.eye(d))
    volume = {2: np.pi, 3: 4 / 3 * np.pi}[d] / 2**d
    assert cube_hits(moments, 1.0, 1.0, 40_000, seed=1) == pytest.approx(volume, abs=0.012)
    assert cube_hits(moments, 1.0, 9.0, 100) == 1.0
    assert cube_hits(moments, 1.0, 1.0, 500, seed=2) == cube_hits(moments, 1.0, 1.0, 500, seed=2)


@pytest.mark.parametrize("offset", [0.0, 0.4, 1.0, 2.0])
def test_the_origin_is_where_it_was_put(offset):
    """A normal cloud in 8 dimensions, moved along the diagonal."""
    rng = np.random.default_rng(4)
    n, d = 20_000, 8
    z = (rng.standard_normal((n, d)) + offset).astype(np.float32)
    found = origin_position(z, pairs=[(0, 1), (3, 6)])
    distance = offset * np.sqrt(d)
    error = 5 * np.sqrt((1 + distance**2 / 2 + d / 2) / n)
    assert found.distance == pytest.approx(distance, abs=error + 0.02)
    assert found.nearer == pytest.approx(stats.chi(d).cdf(distance), abs=0.6 * error + 0.01)
    assert found.control_nearer == pytest.approx(found.nearer, abs=0.02)
    assert found.plane_distances == pytest.approx([offset * np.sqrt(2)] * 2, abs=0.06)
    assert found.plane_beyond == pytest.approx(found.plane_expected, abs=0.01)
    assert found.control_plane_beyond == pytest.approx(found.plane_beyond, abs=0.02)
    # Slabs and cubes of independent normal components.
    for k, b in enumerate(found.slab_bounds):
        inside = stats.norm.cdf(b - offset) - stats.norm.cdf(-b - offset)
        wanted = n * inside ** (d - 2)
        assert found.slab_counts[k] == pytest.approx([wanted] * 2, abs=5 * np.sqrt(wanted) + 1)
        tolerance = 5 * np.sqrt(wanted) + 0.05 * wanted + 1
        assert found.control_slab_counts[k] == pytest.approx([wanted] * 2, abs=tolerance)
    inside = stats.norm.cdf(2 - offset) - stats.norm.cdf(-2 - offset)
    assert found.cube_bounds[2] == 2.0
    assert found.cube_shares[2] == pytest.approx(inside**d, abs=0.02)
    assert found.control_cube_shares == pytest.approx(found.cube_shares, abs=0.02)
    assert found.radius_limit == pytest.approx(stats.chi(d).ppf(0.99), rel=0.02)
    assert len(found.cube_hits) == len(found.cube_shares) == 5
    assert found.best_cube == found.cube_bounds[-1]
    assert found.slab_uniform == pytest.approx(
        n * np.minimum(1, found.slab_bounds / found.best_cube) ** (d - 2)
    )


def test_a_thin_cloud_is_missed_by_cubes_and_misses_them():
    """Narrow, off centre and correlated, as codes are: the planted reason of the voids."""
    rng = np.random.default_rng(5)
    n, d = 10_000, 24
    scale = 0.05 + 2.0 * np.arange(1, d + 1) ** -1.0
    turn = np.linalg.qr(rng.standard_normal((d, d)))[0]
    z = (rng.standard_normal((n, d)) * scale) @ turn + 0.8
    found = origin_position(z, pairs=[(0, 1)])
    assert found.nearer > 0.99
    assert found.cube_hits[-1] < 0.01
    round_cloud = origin_position(rng.standard_normal((n, d)), pairs=[(0, 1)])
    assert round_cloud.nearer == 0.0
    assert round_cloud.cube_hits[-1] > 0.95


def test_the_same_from_disk_and_with_known_moments(tmp_path):
    z = cloud()
    np.save(tmp_path / "z.npy", z)
    mapped = np.load(tmp_path / "z.npy", mmap_mode="r")
    seen = []
    a = origin_position(z, pairs=[(0, 1)], seed=3, progress=seen.append)
    b = origin_position(mapped, Moments.of(z), pairs=[(0, 1)], seed=3)
    assert sum(seen) == 4 * len(z)
    for name, value in vars(a).items():
        assert np.array_equal(value, vars(b)[name]), name


def test_what_has_no_position_is_said():
    z = cloud()
    moments = Moments.of(z)
    with pytest.raises(InputError, match="two different components from 0 to 5"):
        SlabCounts(6, [(1, 1)])
    with pytest.raises(InputError, match="each bound must be a finite number above 0"):
        CubeShare((1.0, -1.0))
    with pytest.raises(InputError, match=r"point must be finite and of shape \(6,\)"):
        PlanePositions(moments, [(0, 1)], np.zeros(5))
    with pytest.raises(InputError, match="radius must be a finite number above 0"):
        cube_hits(moments, 1.0, float("nan"))
    constant = z.copy()
    constant[:, 2] = 1.0
    with pytest.raises(InputError, match="must vary in two directions"):
        PlanePositions(Moments.of(constant), [(0, 2)])
    with pytest.raises(InputError, match="1 components are constant"):
        origin_position(constant, pairs=[(0, 1)])
