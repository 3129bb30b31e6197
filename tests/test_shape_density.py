"""Densities in a plane, their contours, and how far these are from ellipses."""

import numpy as np
import pytest
from scipy import stats

from latentshape.errors import InputError
from latentshape.shape import PCA, GaussianControl, Moments, expected_coverage
from latentshape.shape.density import PlaneDensity, density
from latentshape.shape.streaming import stream


def plane(n=3000, r=0.4, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, 2)) @ np.linalg.cholesky([[1, r], [r, 1]]).T
    return (z * [3.0, 0.2] + [50.0, -1.0]).astype(np.float32)


def by_direct_summation(z, found, step):
    """gaussian_kde on every `step`-th node along both axes."""
    x, y = np.meshgrid(found.x[::step], found.y[::step], indexing="ij")
    kde = stats.gaussian_kde(z.T.astype(np.float64))
    return kde(np.stack([x.ravel(), y.ravel()])).reshape(x.shape)


@pytest.mark.parametrize(("n", "r"), [(3000, 0.0), (3000, -0.5), (2000, 0.8), (1500, 0.97)])
def test_the_density_is_scipys(n, r):
    z = plane(n, r)
    found = density(z, 0, 1, bins=256)
    step = len(found.x) // 48
    wanted = by_direct_summation(z, found, step)
    error = np.abs(found.values[::step, ::step] - wanted).max()
    assert error < 2e-4 * wanted.max()


def test_nothing_leaves_by_one_side_and_enters_by_the_other():
    """A code near the right edge has a kernel that reaches beyond the grid."""
    z = plane(200)
    z[0] = [50.0 + 5.1 * 3.0, -1.0]
    found = density(z, 0, 1, bins=128)
    wanted = by_direct_summation(z, found, 1)
    assert found.dropped == 0
    assert wanted[-1].max() > 1e-2 * wanted.max()
    assert np.abs(found.values[0] - wanted[0]).max() < 1e-5 * wanted.max()
    assert found.bandwidth == pytest.approx(stats.gaussian_kde(z.T).factor)


@pytest.mark.parametrize("r", [0.2, 0.7])
def test_the_density_holds_the_mass_of_the_codes_on_its_grid(r):
    found = density(plane(r=r), 0, 1)
    cell = (found.x[1] - found.x[0]) * (found.y[1] - found.y[0])
    assert found.dropped == 0
    assert found.values.sum() * cell == pytest.approx(1.0, abs=1e-6)
    assert len(found.x) == (256 if r < 0.5 else 512)
    far = plane(r=r)
    far[:30] += [9.0, 9.0]  # beyond five standard deviations of the others
    found = density(far, 0, 1)
    assert found.dropped == 30
    cell = (found.x[1] - found.x[0]) * (found.y[1] - found.y[0])
    assert found.values.sum() * cell == pytest.approx(1 - 30 / 3000, abs=1e-4)


def test_one_read_in_blocks_is_one_read_of_all(tmp_path):
    rng = np.random.default_rng(1)
    z = rng.standard_normal((5000, 6)).astype(np.float32) @ rng.standard_normal((6, 6))
    moments = Moments.of(z)
    whole = density(z, 4, 1, moments=moments)
    assert whole.x.mean() == pytest.approx(moments.mean[4])
    in_blocks = PlaneDensity(moments, (4, 1))
    stream((z[a : a + 700] for a in range(0, 5000, 700)), in_blocks)
    assert np.allclose(in_blocks.result().values, whole.values, atol=1e-12 * whole.values.max())
    np.save(tmp_path / "z.npy", z.astype(np.float16))
    mapped = np.load(tmp_path / "z.npy", mmap_mode="r")
    assert np.array_equal(
        density(mapped, 4, 1).values, density(mapped.astype(np.float32), 4, 1).values
    )
    alone = density(z, 4, 1)
    assert np.allclose(alone.values, whole.values, atol=1e-5 * whole.values.max())


def test_any_plane_will_do():
    rng = np.random.default_rng(1)
    z = rng.standard_normal((4000, 5)) @ rng.standard_normal((5, 5)) + 7.0
    moments = Moments.of(z)
    pca = PCA.of(moments)
    found = PlaneDensity(moments, pca.axes[[0, 2]].T)
    found.update(z)
    y = (z - pca.mean) @ pca.axes[[0, 2]].T
    wanted = density(y, 0, 1)
    assert np.allclose(found.result().values, wanted.values, atol=1e-9 * wanted.values.max())
    assert found.cov == pytest.approx(np.diag(pca.eigenvalues[[0, 2]]), abs=1e-9)


def test_levels_enclose_the_mass_of_ellipses():
    z = plane(50_000, seed=2)
    found = density(z, 0, 1)
    # Of the codes themselves that share lies above the level, up to chance and smoothing.
    column = np.round((z[:, 0] - found.x[0]) / (found.x[1] - found.x[0])).astype(int)
    row = np.round((z[:, 1] - found.y[0]) / (found.y[1] - found.y[0])).astype(int)
    at_codes = found.values[np.clip(column, 0, 255), np.clip(row, 0, 255)]
    for k, level in zip((1.0, 2.0, 3.0), found.levels((1.0, 2.0, 3.0)), strict=True):
        assert (at_codes >= level).mean() == pytest.approx(expected_coverage(k), abs=0.02)
    assert (np.diff(found.levels()) < 0).all()


@pytest.mark.parametrize("r", [0.0, 0.8])
def test_contours_of_a_gaussian_are_ellipses_widened_by_smoothing(r):
    z = plane(100_000, r, seed=3)
    for row in density(z, 0, 1).deviation():
        assert row.smoothing == pytest.approx(np.sqrt(1 + 100_000 ** (-1 / 3)) - 1)
        assert row.mean == pytest.approx(row.smoothing, abs=0.01)
        assert row.rms < 0.04
    control = GaussianControl(Moments.of(z), len(z))
    drawn = PlaneDensity(control.moments(), (0, 1))
    stream(control.blocks(), drawn)
    assert all(abs(row.mean) < 0.025 for row in drawn.result().deviation())


def test_contours_of_a_disc_are_those_of_the_smoothed_disc():
    """A disc of radius 2 has unit variances; a kernel is an independent normal step."""
    rng = np.random.default_rng(4)
    n = 200_000
    angle, radius = rng.uniform(0, 2 * np.pi, n), 2 * np.sqrt(rng.random(n))
    z = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    found = density(z, 0, 1)
    smoothed = np.linalg.norm(z + found.bandwidth * rng.standard_normal((n, 2)), axis=1)
    for row in found.deviation((2.5, 3.0)):
        wanted = np.quantile(smoothed, expected_coverage(row.sigma)) / row.sigma - 1
        assert row.mean == pytest.approx(wanted, abs=0.01)
        assert row.mean < -0.15


def test_contours_of_a_heavy_radius_are_those_of_its_law():
    """Multivariate t with 8 degrees of freedom: HDR contours are circles of a known radius."""
    rng = np.random.default_rng(5)
    n, nu = 200_000, 8
    z = rng.standard_normal((n, 2)) / np.sqrt(rng.chisquare(nu, n) / nu)[:, None]
    z /= np.sqrt(nu / (nu - 2))
    for row in density(z, 0, 1).deviation((1.0, 2.0, 3.0)):
        # |z|^2 / 2 = F(2, nu) before scaling
        share = expected_coverage(row.sigma)
        wanted = np.sqrt(2 * stats.f(2, nu).ppf(share) * (nu - 2) / nu) / row.sigma - 1
        assert row.mean == pytest.approx(wanted, abs=0.02)


def test_a_square_is_not_an_ellipse():
    """Uniform in a square: the 3σ contour is the square, with sides at √3."""
    rng = np.random.default_rng(6)
    z = rng.uniform(-np.sqrt(3), np.sqrt(3), (200_000, 2))
    angle = np.arange(360) * np.pi / 180
    radius = np.sqrt(3) / np.maximum(np.abs(np.cos(angle)), np.abs(np.sin(angle)))
    radius *= np.sqrt(expected_coverage(3.0))
    square, normal = density(z, 0, 1), density(plane(200_000), 0, 1)
    assert np.abs(square.contour_radii(3.0) - radius).max() < 1.5 * square.bandwidth
    for flat, peaked in zip(
        square.deviation((2.0, 3.0)), normal.deviation((2.0, 3.0)), strict=True
    ):
        assert flat.rms > 5 * peaked.rms


def test_a_ring_has_the_radius_of_equal_area():
    """The area of a contour leaves out the hole."""
    rng = np.random.default_rng(7)
    n = 200_000
    angle = rng.uniform(0, 2 * np.pi, n)
    radius = np.sqrt(rng.uniform(0.5, 3.5, n))  # E radius^2 = 2, as for unit variances
    z = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    found = density(z, 0, 1).contour_radii(2.0)
    wanted = np.sqrt((3.5 - 0.5) * expected_coverage(2.0))
    assert found.mean() == pytest.approx(wanted, rel=0.08)


def test_a_level_that_is_not_on_the_grid_is_not_invented():
    rng = np.random.default_rng(8)
    z = rng.standard_normal((2000, 2))
    moments = Moments(2000, np.zeros(2), np.eye(2) / 4)
    accumulator = PlaneDensity(moments, (0, 1), span=2.0)
    accumulator.update(z)
    found = accumulator.result()
    assert found.dropped > 1000
    assert np.isnan(found.levels((1.0, 3.0))).tolist() == [False, True]
    assert np.isnan(found.contour_radii(3.0)).all()


def test_planes_that_have_no_density_are_refused():
    z = plane(500)
    for pair in ((0, 0), (0, 2), (-1, 0)):
        with pytest.raises(InputError, match="component"):
            density(z, *pair)
    with pytest.raises(InputError, match="pair of components or a finite matrix of shape"):
        PlaneDensity(Moments.of(z), np.ones((3, 2)))
    with pytest.raises(InputError, match="got a constant component"):
        density(np.stack([z[:, 0], np.ones(500)], axis=1), 0, 1)
    with pytest.raises(InputError, match=r"correlated by 1\.000000"):
        density(z[:, [0, 0]], 0, 1)
    with pytest.raises(InputError, match="bins must be an integer from 16 to 2048"):
        density(z, 0, 1, bins=4)
    z[7, 1] = np.nan
    with pytest.raises(InputError, match=r"NaN or infinite values in 1 of 500 rows \(7\)"):
        density(z, 0, 1)
    with pytest.raises(InputError, match="NaN or infinite values"):
        density(z, 0, 1, moments=Moments.of(plane(500)))
