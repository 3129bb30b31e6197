"""Exact nearest neighbours, and the voids they show."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from latentshape.errors import InputError
from latentshape.shape.voids import NearestNeighbours, nearest_neighbours, voids


def by_sorting(queries, z, k, own=None):
    """All distances in float64, sorted by (distance, row)."""
    table = cdist(queries.astype(np.float64), z.astype(np.float64))
    if own is not None:
        table[np.arange(len(queries)), own] = np.inf
    rows = np.argsort(table, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(table, rows, axis=1), rows


def cloud(n=6000, d=10, seed=0, dtype=np.float32):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((n, d)) @ rng.standard_normal((d, d))).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("d", [1, 10, 200])
@pytest.mark.parametrize("k", [1, 7])
def test_neighbours_are_those_of_sorting_all_distances(dtype, d, k):
    z = cloud(5000, d, dtype=dtype)
    queries = np.concatenate([cloud(150, d, seed=1, dtype=dtype), z[4990:]])
    distances, rows = nearest_neighbours(queries, z, k)
    wanted, order = by_sorting(queries, z, k)
    assert distances == pytest.approx(wanted, rel=1e-9, abs=1e-9)
    assert np.array_equal(rows, order)


def test_more_queries_than_are_searched_at_once():
    z = cloud(2100, 6)
    own = np.arange(len(z))[::-1]
    distances, rows = nearest_neighbours(z[own], z, 2, own=own)
    wanted, order = by_sorting(z[own], z, 2, own)
    assert np.array_equal(rows, order)
    assert distances == pytest.approx(wanted)
    assert (rows != own[:, None]).all()


@pytest.mark.parametrize("offset", [0.0, 300.0, 1e4])
@pytest.mark.parametrize("scale", [2.0**-80, 1.0, 2.0**80])
def test_neither_offset_nor_scale_costs_a_neighbour(offset, scale):
    z = ((cloud(5000, 8).astype(np.float64) + offset) * scale).astype(np.float32)
    queries = z[::50]
    distances, rows = nearest_neighbours(queries, z, 3)
    wanted, order = by_sorting(queries.astype(np.float64) / scale, z.astype(np.float64) / scale, 3)
    assert np.array_equal(rows, order)
    assert distances == pytest.approx(wanted * scale, rel=1e-6)


@pytest.mark.parametrize("places", [[8500, 17, 4096, 300], [40, 30, 20, 10]])
def test_what_float32_cannot_tell_apart_is_told_apart(places):
    """Distances that differ in the ninth digit, planted far from the centre of the cloud."""
    rng = np.random.default_rng(2)
    z = rng.standard_normal((9000, 16))
    query = 3.0 * np.ones((1, 16))
    for k, row in enumerate(places):  # from the nearest to the farthest of the four
        z[row] = query
        z[row, k] += 0.5 * (1 + 1e-9 * k)
    for k in (1, 2, 3, 4):
        distances, rows = nearest_neighbours(query, z, k)
        assert rows[0].tolist() == places[:k]
        assert (np.diff(distances[0]) > 0).all()


def test_of_equal_distances_the_lower_row_is_first():
    rng = np.random.default_rng(3)
    z = rng.integers(0, 4, (9000, 4)).astype(np.float32)  # 256 places, about 35 codes on each
    queries = z[:40]
    distances, rows = nearest_neighbours(queries, z, 50)
    wanted, order = by_sorting(queries, z, 50)
    assert np.array_equal(rows, order)
    assert np.array_equal(distances, wanted)
    own = np.arange(40)
    assert np.array_equal(
        nearest_neighbours(queries, z, 9, own=own)[1], by_sorting(queries, z, 9, own)[1]
    )


def test_codes_all_alike_are_their_own_nearest_rows():
    z = np.ones((5000, 3), dtype=np.float32)
    distances, rows = nearest_neighbours(z[:20], z, 3, own=np.arange(20))
    assert (distances == 0).all()
    assert rows[0].tolist() == [1, 2, 3]
    assert rows[5].tolist() == [0, 1, 2]


def test_a_wild_code_does_not_spoil_the_others():
    z = cloud(5000, 5)
    z[4321] = 1e30
    z[7] = -1e30
    queries = z[[3, 4321, 99]]
    distances, rows = nearest_neighbours(queries, z, 2, own=[3, 4321, 99])
    tame = np.where(np.abs(z) < 1e29, z, 1e9)
    good = by_sorting(queries[[0, 2]], tame, 2, [3, 99])
    assert np.array_equal(rows[[0, 2]], good[1])
    assert distances[1, 0] == pytest.approx(np.sqrt(5) * 1e30)


def test_blocks_of_any_size_and_maps_give_the_same(tmp_path):
    z = cloud(3000)
    whole = nearest_neighbours(z[:30], z, 4)
    search = NearestNeighbours(z[:30], 4)
    for start in [0, 1, 2, 5, 700, 2999]:
        stop = {0: 1, 1: 2, 2: 5, 5: 700, 700: 2999, 2999: 3000}[start]
        search.update(z[start:stop])
    assert np.array_equal(search.result()[1], whole[1])
    np.save(tmp_path / "z.npy", z)
    mapped = np.load(tmp_path / "z.npy", mmap_mode="r")
    seen = []
    again = nearest_neighbours(z[:30], mapped, 4, progress=seen.append)
    assert np.array_equal(again[0], whole[0])
    assert sum(seen) == 3000


@pytest.mark.parametrize("d", [3, 32])
def test_a_gaussian_cloud_has_the_gaps_of_its_control(d):
    rng = np.random.default_rng(4)
    z = rng.standard_normal((20_000, d)) @ rng.standard_normal((d, d)) + 1.0
    gaps = voids(z, queries=300, seed=1)
    assert len(gaps) == 10
    for gap in gaps:
        if gap.queries == 1:
            assert gap.std == gap.control_std == 0.0
            continue
        relative = np.hypot(gap.std / gap.distance, gap.control_std / gap.control)
        # Codes near one place share their surroundings, so that they tell less than their number.
        assert gap.ratio == pytest.approx(1.0, abs=10 * relative / np.sqrt(300))


def by_name(gaps, whitened=True):
    return {gap.place: gap for gap in gaps if gap.whitened == whitened}


def test_a_hole_at_the_centre_is_a_void_there_only():
    rng = np.random.default_rng(5)
    z = rng.standard_normal((40_000, 4)) + np.array([6.0, 0.0, 0.0, 0.0])
    z = z[np.linalg.norm(z - z.mean(axis=0), axis=1) > 1.2]
    for whitened in (False, True):
        gaps = by_name(voids(z, queries=200), whitened)
        assert gaps["centre"].ratio > 3
        assert gaps["anywhere"].ratio == pytest.approx(1.0, abs=0.15)
    # The codes nearest to the hole sit on its wall.
    assert gaps["near centre"].distance < gaps["centre"].distance


def test_a_thinned_neighbourhood_of_the_origin_is_a_void_there():
    rng = np.random.default_rng(6)
    z = rng.standard_normal((40_000, 3)) + np.array([1.5, 0.0, 0.0])
    near = np.linalg.norm(z, axis=1) < 0.8
    z = z[~near | (rng.random(len(z)) < 0.05)]
    gaps = by_name(voids(z, queries=60))
    # A twentieth of the codes in three dimensions: distances grow by the cube root of 20.
    assert gaps["near origin"].ratio == pytest.approx(20 ** (1 / 3), rel=0.25)
    assert gaps["anywhere"].ratio == pytest.approx(1.0, abs=0.15)


def test_clots_are_the_opposite_of_voids():
    rng = np.random.default_rng(7)
    z = np.repeat(rng.standard_normal((1500, 5)), 4, axis=0)
    z += 0.01 * rng.standard_normal(z.shape)
    assert by_name(voids(z, queries=100))["anywhere"].ratio < 0.2


def test_heavy_tails_are_dense_at_the_centre():
    rng = np.random.default_rng(8)
    z = rng.standard_normal((20_000, 4)) / np.sqrt(rng.chisquare(4, 20_000) / 4)[:, None]
    assert by_name(voids(z, queries=200))["near centre"].ratio < 0.9


def test_what_cannot_be_searched_is_said():
    z = cloud(20, 4)
    with pytest.raises(InputError, match="21 neighbours need as many codes, got 20"):
        nearest_neighbours(z, z, 21)
    with pytest.raises(InputError, match="20 neighbours need as many codes besides the query"):
        nearest_neighbours(z, z, 20, own=range(20))
    with pytest.raises(InputError, match="queries must have 4 components"):
        nearest_neighbours(z[:, :3], z)
    with pytest.raises(InputError, match="own must hold the row of each of the 20 queries"):
        nearest_neighbours(z, z, own=[1, 2])
    with pytest.raises(InputError, match="k must be an integer of at least 1"):
        nearest_neighbours(z, z, 0)
    with pytest.raises(InputError, match="queries must be finite"):
        nearest_neighbours(np.full((1, 4), np.nan), z)
    z[7, 1] = np.inf
    with pytest.raises(InputError, match="NaN or infinite"):
        nearest_neighbours(z[:2], z)
    with pytest.raises(InputError, match="needs an invertible covariance"):
        voids(np.eye(4))
