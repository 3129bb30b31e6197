"""Lengths, cubes, Mahalanobis radii and their exact law."""

import numpy as np
import pytest
from scipy import integrate, stats

from latentshape.errors import InputError
from latentshape.shape import MahalanobisLaw, Moments, best_cube, cube_radius, mahalanobis_squared
from latentshape.shape.radius import Running


@pytest.mark.parametrize(
    ("d", "mean"),
    [
        (1, 0.5),
        (2, (np.sqrt(2) + np.log(1 + np.sqrt(2))) / 3),
        (3, np.sqrt(3) / 4 - np.pi / 24 + np.log(2 + np.sqrt(3)) / 2),
    ],
)
def test_cube_radius_is_the_closed_form(d, mean):
    assert cube_radius(d)[0] == pytest.approx(mean, rel=1e-9)
    assert cube_radius(d)[1] == pytest.approx(np.sqrt(d / 3 - mean**2), rel=1e-7)


def test_cube_radius_in_two_dimensions_by_integration():
    value, _ = integrate.dblquad(lambda y, x: np.hypot(x, y), 0, 1, 0, 1)
    assert cube_radius(2)[0] == pytest.approx(value, rel=1e-8)


@pytest.mark.parametrize("d", [10, 256, 4096])
def test_cube_radius_of_many_dimensions(d):
    """Two more terms of the expansion in 1/d: E R = sqrt(d/3) (1 - 1/(10 d) - ...)."""
    mean, std = cube_radius(d, b=2.0)
    assert mean == pytest.approx(2 * np.sqrt(d / 3) * (1 - 1 / (10 * d)), rel=1 / d**2)
    assert std == pytest.approx(2 / np.sqrt(15), rel=0.5 / d)
    assert best_cube(d, mean) == pytest.approx(2.0)


def test_cube_radius_matches_draws():
    x = np.random.default_rng(0).uniform(-1.5, 1.5, (50_000, 16))
    mean, std = cube_radius(16, 1.5)
    radii = np.linalg.norm(x, axis=1)
    assert radii.mean() == pytest.approx(mean, abs=5 * std / np.sqrt(50_000))
    assert radii.std() == pytest.approx(std, rel=0.02)


@pytest.mark.parametrize("offset", [0, 64])
def test_mahalanobis_is_the_float64_reference(offset):
    rng = np.random.default_rng(0)
    z = (rng.standard_normal((5000, 20)) @ rng.standard_normal((20, 20)) + offset).astype(
        np.float32
    )
    wide = z.astype(np.float64)
    centred = wide - wide.mean(axis=0)
    wanted = np.einsum("ij,jk,ik->i", centred, np.linalg.inv(np.cov(wide.T)), centred)
    assert np.allclose(mahalanobis_squared(z), wanted, rtol=1e-4)
    assert mahalanobis_squared(z).mean() == pytest.approx(20 * 4999 / 5000, rel=1e-5)


def test_mahalanobis_of_very_unequal_components():
    rng = np.random.default_rng(0)
    z = (rng.standard_normal((2000, 5)) * [1e-6, 1e-3, 1, 1e3, 1e6]).astype(np.float32)
    scaled = mahalanobis_squared((z / np.float32([1e-6, 1e-3, 1, 1e3, 1e6])).astype(np.float64))
    assert np.allclose(mahalanobis_squared(z), scaled, rtol=1e-4)


@pytest.mark.parametrize(("n", "d"), [(12, 4), (40, 3)])
def test_the_exact_law_of_small_samples(n, d):
    rng = np.random.default_rng(n)
    own, new = [], []
    for _ in range(3000):
        z = rng.standard_normal((n + 1, d)) @ np.diag(np.arange(1, d + 1)) + 5
        moments = Moments.of(z[:n])
        own.append(mahalanobis_squared(z[:1], moments)[0])
        new.append(mahalanobis_squared(z[n:], moments)[0])
    for values, held_out in ((own, False), (new, True)):
        law = MahalanobisLaw(n, d, held_out)
        assert stats.kstest(values, law.cdf).pvalue > 1e-3
        error = np.std(values) / np.sqrt(len(values))
        assert np.mean(values) == pytest.approx(law.mean, abs=5 * error)


@pytest.mark.parametrize(("n", "d"), [(50, 4), (1000, 64)])
def test_moments_of_the_law_are_scipys(n, d):
    own, new = MahalanobisLaw(n, d), MahalanobisLaw(n, d, held_out=True)
    beta = stats.beta(d / 2, (n - d - 1) / 2, scale=(n - 1) ** 2 / n)
    f = stats.f(d, n - d, scale=d * (n + 1) * (n - 1) / (n * (n - d)))
    for law, reference in ((own, beta), (new, f)):
        assert law.mean == pytest.approx(reference.mean())
        assert law.variance == pytest.approx(reference.var())
        shares = [0.01, 0.5, 0.99]
        assert np.allclose(law.quantile(shares), reference.ppf(shares))
        assert np.allclose(law.cdf(law.quantile(shares)), shares)


def test_too_few_codes_have_no_law():
    with pytest.raises(InputError, match=r"needs n > d \+ 1, got n = 5, d = 4"):
        MahalanobisLaw(5, 4)
    assert MahalanobisLaw(8, 4, held_out=True).variance == float("inf")
    with pytest.raises(InputError, match="Mahalanobis radius, needs an invertible covariance"):
        mahalanobis_squared(np.eye(3))


def test_running_numbers_are_numpys():
    x = np.random.default_rng(0).standard_normal(1000) + 1e4
    running = Running()
    for part in (x[:1], x[1:400], x[400:]):
        running.update(part)
    assert running.mean == pytest.approx(x.mean(), rel=1e-14)
    assert running.variance() == pytest.approx(x.var(ddof=1), rel=1e-9)
