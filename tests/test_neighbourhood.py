"""Nearest training codes: what is new, what is copied, and the way towards the neighbours."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from latentshape.errors import InputError
from latentshape.neighbourhood import (
    METRICS,
    is_new,
    nearest_codes,
    novelty_yardstick,
    towards_neighbours,
)
from latentshape.shape.moments import Moments
from latentshape.shape.radius import mahalanobis_squared

each_metric = pytest.mark.parametrize("metric", METRICS)


def cloud(n, d=8, seed=0):
    """Draws of one oblique, off-centre Gaussian law."""
    mixing = np.random.default_rng(99).standard_normal((d, d)) + 2 * np.eye(d)
    return np.random.default_rng(seed).standard_normal((n, d)) @ mixing.T + 3.0


def affine(d=8):
    rng = np.random.default_rng(5)
    return rng.standard_normal((d, d)) + 2 * np.eye(d), rng.standard_normal(d)


def scipy_distances(metric, x, z):
    if metric == "euclidean":
        return cdist(x, z)
    return cdist(x, z, "mahalanobis", VI=np.linalg.inv(np.cov(z.T)))


@each_metric
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_neighbours_and_distances_are_scipys(metric, dtype):
    z, x = cloud(5000).astype(dtype), cloud(60, seed=1).astype(dtype)
    near = nearest_codes(x, z, 4, metric=metric)
    table = scipy_distances(metric, x.astype(np.float64), z.astype(np.float64))
    rows = np.argsort(table, axis=1)[:, :4]
    assert np.array_equal(near.rows, rows)
    assert near.distances == pytest.approx(np.take_along_axis(table, rows, axis=1), rel=1e-5)


@each_metric
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_training_code_has_distance_zero(metric, dtype):
    z = (cloud(5000) + 40.0).astype(dtype)
    near = nearest_codes(z[1000:1100], z, 2, metric=metric)
    assert np.array_equal(near.rows[:, 0], np.arange(1000, 1100))
    assert (near.distances[:, 0] == 0).all()
    assert (near.distances[:, 1] > 0).all()


def test_mahalanobis_distances_know_no_affine_map():
    z, x = cloud(3000), cloud(50, seed=1)
    a, b = affine()
    here = nearest_codes(x, z, 5, metric="mahalanobis")
    there = nearest_codes(x @ a.T + b, z @ a.T + b, 5, metric="mahalanobis")
    assert np.array_equal(here.rows, there.rows)
    assert there.distances == pytest.approx(here.distances, rel=1e-9)


@each_metric
def test_memory_maps_and_many_neighbours_give_the_same(metric, tmp_path, monkeypatch):
    z, x = cloud(4500).astype(np.float32), cloud(30, seed=1).astype(np.float32)
    whole = nearest_codes(x, z, 6, metric=metric)
    np.save(tmp_path / "z.npy", z)
    monkeypatch.setattr("latentshape.neighbourhood._GATHERED_AT_ONCE", 100)  # two codes at once
    seen = []
    mapped = np.load(tmp_path / "z.npy", mmap_mode="r")
    again = nearest_codes(x, mapped, 6, metric=metric, progress=seen.append)
    assert np.array_equal(again.rows, whole.rows)
    assert again.distances == pytest.approx(whole.distances, rel=1e-12)
    assert sum(seen) == 4500
    corrected = towards_neighbours(x, mapped, 6, metric=metric)
    assert corrected == pytest.approx(towards_neighbours(x, z, 6, metric=metric), rel=1e-6)


@pytest.fixture(scope="module", params=METRICS)
def judged(request):
    """A yardstick over 16 dimensions, and the codes it was made of."""
    z = cloud(3000, 16)
    return z, novelty_yardstick(cloud(500, 16, seed=1), z, metric=request.param)


def test_the_yardstick_holds_the_nearest_distances_of_held_out_codes(judged):
    z, yardstick = judged
    held_out = cloud(500, 16, seed=1)
    table = scipy_distances(yardstick.metric, held_out, z)
    assert yardstick.distances == pytest.approx(table.min(axis=1), rel=1e-6)
    mean, cov = z.mean(axis=0), np.cov(z.T)
    radii = np.sqrt(
        np.einsum("ij,ij->i", held_out - mean, np.linalg.solve(cov, (held_out - mean).T).T)
    )
    assert yardstick.radii == pytest.approx(radii)
    # One knot, against the definition.
    rho = yardstick.knots[3]
    moved = mean + rho * (held_out - mean) / radii[:, None]
    assert np.sqrt(mahalanobis_squared(moved, Moments.of(z))) == pytest.approx(rho)
    wanted = np.sort(scipy_distances(yardstick.metric, moved, z).min(axis=1))
    assert yardstick.at_knots[3] == pytest.approx(wanted, rel=1e-6)


def test_shares_count_the_held_out_codes_that_are_nearer(judged):
    _, yardstick = judged
    some = np.array([0.0, np.median(yardstick.distances), 1e9, yardstick.distances.min()])
    assert yardstick.share(some).tolist() == [0.0, 0.5, 1.0, 0.0]
    # At a knot the share is that of the codes moved there; between knots, between those of both.
    rho = yardstick.knots[[7, 7]]
    median = np.median(yardstick.at_knots[7])
    assert yardstick.share_at([median, 0.0], rho).tolist() == [0.5, 0.0]
    between = yardstick.knots[6:8].mean()
    medians = np.median(yardstick.at_knots[6:8], axis=1)
    assert yardstick.share_at([medians.mean()], [between])[0] == pytest.approx(0.5, abs=0.01)


def test_honest_draws_are_new_at_the_rate_that_the_level_says(judged):
    z, yardstick = judged
    found = is_new(cloud(2000, 16, seed=2), z, yardstick, level=0.05)
    # 500 held-out codes and 2000 draws: a standard error of 0.011 about 0.05.
    assert np.mean(~found.new) == pytest.approx(0.05, abs=0.04)
    assert found.share.mean() == pytest.approx(0.5, abs=0.06)
    assert found.share_at_radius.mean() == pytest.approx(0.5, abs=0.06)


def test_cold_draws_look_near_and_are_new_all_the_same(judged):
    z, yardstick = judged
    mean = z.mean(axis=0)
    found = is_new(mean + 0.6 * (cloud(500, 16, seed=2) - mean), z, yardstick)
    assert found.share.mean() < 0.25
    assert found.share_at_radius.mean() == pytest.approx(0.5, abs=0.08)
    assert found.new.mean() > 0.95


def test_a_memoriser_is_caught_even_if_it_shrinks_or_stretches_its_copies(judged):
    z, yardstick = judged
    mean = z.mean(axis=0)
    noise = 0.1 * (cloud(500, 16, seed=3) - mean)
    exact = is_new(z[:500], z, yardstick)
    assert np.array_equal(exact.rows, np.arange(500))
    assert (exact.distances == 0).all()
    assert (exact.share == 0).all()
    assert not exact.new.any()
    for copies in (z[:500] + noise, mean + 0.8 * (z[:500] - mean), mean + 1.3 * (z[:500] - mean)):
        assert is_new(copies, z, yardstick).new.mean() < 0.05


def test_half_a_memoriser_is_half_caught(judged):
    z, yardstick = judged
    drawn = np.concatenate([z[:300] + 1e-3, cloud(300, 16, seed=4)])
    found = is_new(drawn, z, yardstick)
    assert found.new[:300].mean() == 0
    assert found.new[300:].mean() > 0.95


def test_in_one_dimension_the_share_is_that_of_the_codes_where_they_are():
    z = cloud(300, 1)
    yardstick = novelty_yardstick(cloud(200, 1, seed=1), z)
    found = is_new(cloud(400, 1, seed=2), z, yardstick)
    assert np.array_equal(found.share, found.share_at_radius)
    assert found.share.mean() == pytest.approx(0.5, abs=0.1)


def test_a_few_held_out_codes_stand_for_all_and_the_seed_says_which():
    z, held_out = cloud(500), cloud(300, seed=1)
    a, b, c = (novelty_yardstick(held_out, z, queries=50, seed=s) for s in (0, 0, 1))
    assert a.distances.shape == (50,)
    assert np.array_equal(a.distances, b.distances)
    assert not np.array_equal(a.distances, c.distances)
    assert np.isin(a.distances, nearest_codes(held_out, z, 1).distances).all()


@each_metric
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_strength_zero_changes_no_bit(metric, dtype):
    z, x = cloud(300).astype(dtype), cloud(20, seed=1).astype(dtype)
    moved = towards_neighbours(x, z, 5, 0.0, metric=metric, keep_radius=True)
    assert moved.dtype == dtype
    assert np.array_equal(moved, x)
    assert not np.shares_memory(moved, x)


@pytest.mark.parametrize("keep_radius", [False, True])
@pytest.mark.parametrize("components", [None, 0, 2])
def test_the_correction_goes_with_every_affine_map(keep_radius, components):
    z, x = cloud(2000), cloud(40, seed=1)
    a, b = affine()
    options = dict(k=6, strength=0.7, keep_radius=keep_radius, components=components)
    here = towards_neighbours(x, z, **options)
    there = towards_neighbours(x @ a.T + b, z @ a.T + b, **options)
    assert there == pytest.approx(here @ a.T + b, rel=1e-8, abs=1e-8)
    turned = np.linalg.qr(a)[0]
    here = towards_neighbours(x, z, metric="euclidean", **options)
    there = towards_neighbours(x @ turned.T + b, z @ turned.T + b, metric="euclidean", **options)
    assert there == pytest.approx(here @ turned.T + b, rel=1e-8, abs=1e-8)


@each_metric
def test_full_strength_lands_on_the_flat_and_half_strength_half_way(metric):
    z, x = cloud(2000), cloud(25, seed=1)
    near = nearest_codes(x, z, 4, metric=metric)
    whole = towards_neighbours(x, z, 4, 1.0, components=3, metric=metric)
    half = towards_neighbours(x, z, 4, 0.5, components=3, metric=metric)
    assert half == pytest.approx((x + whole) / 2, rel=1e-9)
    precision = np.eye(8) if metric == "euclidean" else np.linalg.inv(np.cov(z.T))
    root = np.linalg.cholesky(precision)  # |v root| is the length of v in this metric
    for code, target, rows in zip(x, whole, near.rows):
        edges = ((z[rows[1:]] - z[rows[0]]) @ root).T
        goal = (code - z[rows[0]]) @ root
        on_flat = edges @ np.linalg.lstsq(edges, goal, rcond=None)[0]
        assert (target - z[rows[0]]) @ root == pytest.approx(on_flat, abs=1e-7)


def test_without_components_the_goal_is_the_neighbours_mean():
    z, x = cloud(2000), cloud(25, seed=1)
    near = nearest_codes(x, z, 7, metric="mahalanobis")
    moved = towards_neighbours(x, z, 7, 1.0, components=0)
    assert moved == pytest.approx(z[near.rows].mean(axis=1), rel=1e-9)


def test_the_directions_kept_are_those_in_which_the_neighbours_vary_most():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((4000, 3)) * [5.0, 1.0, 0.05]  # a thin, long sheet
    x = np.array([[0.5, 0.3, 2.0]])
    sheet = towards_neighbours(x, z, 40, 1.0, components=2, metric="euclidean")
    assert abs(sheet[0, 2]) < 0.2
    assert sheet[0, :2] == pytest.approx(x[0, :2], abs=0.2)


def test_codes_near_a_curve_are_brought_to_it():
    rng = np.random.default_rng(1)
    angle = rng.uniform(0, 2 * np.pi, 5000)
    z = np.stack([np.cos(angle), np.sin(angle)], axis=1) + 0.01 * rng.standard_normal((5000, 2))
    x = 1.2 * np.stack([np.cos(angle[:50] + 0.01), np.sin(angle[:50] + 0.01)], axis=1)
    off = [
        np.abs(np.linalg.norm(towards_neighbours(x, z, 12, s, components=1), axis=1) - 1).mean()
        for s in (0.0, 0.5, 1.0)
    ]
    assert off[0] == pytest.approx(0.2)
    assert off[1] == pytest.approx(0.1, abs=0.01)
    assert off[2] < 0.02


def test_the_radius_can_be_kept():
    z, x = cloud(3000, 16), cloud(100, 16, seed=1)
    moments = Moments.of(z)
    before = mahalanobis_squared(x, moments)
    cold = mahalanobis_squared(towards_neighbours(x, z, 8, 0.8), moments)
    kept = mahalanobis_squared(towards_neighbours(x, z, 8, 0.8, keep_radius=True), moments)
    assert kept == pytest.approx(before, rel=1e-6)
    assert (cold < before).mean() > 0.95


def test_neighbours_that_coincide_leave_no_direction():
    z = np.concatenate([np.zeros((5, 3)), np.ones((5, 3)), 9 * np.eye(3)])
    moved = towards_neighbours([[0.1, 0.2, 0.3]], z, 4, 1.0, metric="euclidean")
    assert moved == pytest.approx(np.zeros((1, 3)), abs=1e-12)
    moved = towards_neighbours([[0.1, 0.2, 0.3]], z, 4, 0.5, metric="euclidean", keep_radius=True)
    assert np.isfinite(moved).all()


def test_what_cannot_be_answered_is_said():
    z, x = cloud(40), cloud(5, seed=1)
    yardstick = novelty_yardstick(x, z)
    with pytest.raises(InputError, match="No metric is called 'mahalanobi'; did you mean 'maha"):
        nearest_codes(x, z, metric="mahalanobi")
    with pytest.raises(InputError, match="41 neighbours need as many codes, got 40"):
        nearest_codes(x, z, 41, metric="mahalanobis")
    with pytest.raises(InputError, match="drawn must have 8 components"):
        nearest_codes(x[:, :3], z)
    with pytest.raises(InputError, match="drawn must be finite"):
        nearest_codes(np.full((1, 8), np.nan), z, metric="mahalanobis")
    with pytest.raises(InputError, match="needs an invertible covariance"):
        nearest_codes(x, z[:8], metric="mahalanobis")
    with pytest.raises(InputError, match="needs an invertible covariance"):
        novelty_yardstick(x, z[:8])
    with pytest.raises(
        InputError, match=r"held_out must hold codes that are not among z, got 9 of 9"
    ):
        novelty_yardstick(z[:9], z)
    with pytest.raises(InputError, match="held_out must have 8 components"):
        novelty_yardstick(x[:, :2], z)
    with pytest.raises(InputError, match="must be the 40 training codes of the yardstick, got 39"):
        is_new(x, z[1:], yardstick)
    with pytest.raises(InputError, match="level must be a number from 0 to 1"):
        is_new(x, z, yardstick, level=5)
    with pytest.raises(InputError, match="strength must be a number from 0 to 1"):
        towards_neighbours(x, z, strength=1.5)
    with pytest.raises(InputError, match="k must be an integer from 2 to 40"):
        towards_neighbours(x, z, k=1)
    with pytest.raises(InputError, match="components must be an integer from 0 to 4"):
        towards_neighbours(x, z, k=5, components=5)
    with pytest.raises(InputError, match="No metric"):
        towards_neighbours(x, z, 5, 0.0, metric="cosine")


def test_a_sixteenth_of_the_dimensions_is_left_alone_unless_said_otherwise():
    for d, q in ((1, 1), (8, 1), (40, 2), (256, 15)):
        z, x = cloud(300, d=d), cloud(5, d=d, seed=1)
        usual = towards_neighbours(x, z, 16, 1.0)
        assert np.array_equal(usual, towards_neighbours(x, z, 16, 1.0, components=q)), d
