"""Number distributions, half-widths, Gaussian fits, dominant components."""

import numpy as np
import pytest
from scipy.optimize import curve_fit

from latentshape.shape import Moments, fit_gaussians, number_distributions
from latentshape.shape.components import dominant


def cloud(std, mean=0.0, n=50_000, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, len(std))) * std + mean


def test_counts_are_numpys():
    z = cloud(np.array([1.0, 0.1, 30.0]), mean=np.array([0.0, 64.0, -5.0])).astype(np.float32)
    distributions = number_distributions(z)
    assert distributions.counts.sum(axis=1).tolist() == [len(z)] * 3
    for j in range(3):
        wanted, _ = np.histogram(z[:, j].astype(np.float64), distributions.edges(j))
        assert np.abs(distributions.counts[j] - wanted).sum() <= 4


def test_numbers_on_an_edge_belong_to_the_interval_above():
    z = np.repeat([[-0.25], [0.0], [0.25], [1.0]], 50, axis=0)
    distributions = number_distributions(z)
    filled = distributions.edges(0)[:-1][distributions.counts[0] > 0]
    assert filled.tolist() == [-0.25, 0.0, 0.25, 1.0]


def test_widths_are_a_quarter_where_that_resolves():
    widths = number_distributions(cloud(np.array([0.01, 0.5, 1.0, 2.5, 40.0]))).widths
    assert widths[1:4].tolist() == [0.25, 0.25, 0.25]
    assert 0.01 / 4 <= widths[0] <= 0.01 / 2
    assert 40 / 20 <= widths[4] <= 40 / 2
    assert np.all(np.log2(widths / 0.25) % 1 == 0)


def test_half_width_of_a_gaussian():
    std = np.array([0.03, 0.6, 1.0, 4.0, 100.0])
    half_width = number_distributions(cloud(std, mean=7.0)).half_widths()
    assert np.allclose(half_width / std, np.sqrt(2 * np.log(2)), rtol=0.05)


def test_half_width_of_a_box_and_of_two_peaks():
    rng = np.random.default_rng(0)
    box = rng.uniform(-2, 2, 50_000)
    peaks = np.where(rng.random(50_000) < 0.5, -3.0, 3.0) + 0.5 * rng.standard_normal(50_000)
    half_width = number_distributions(np.stack([box, peaks], axis=1)).half_widths()
    assert half_width[0] == pytest.approx(2.0, abs=0.15)
    assert half_width[1] == pytest.approx(3.6, abs=0.3)


def test_fits_are_curve_fits():
    rng = np.random.default_rng(0)
    z = np.concatenate(
        [cloud(np.array([0.02, 1.0, 9.0]), mean=3.0), rng.gamma(4, size=(50_000, 2))], 1
    )
    moments = Moments.of(z)
    distributions = number_distributions(z, moments)
    fits = fit_gaussians(distributions, moments)
    for j in range(5):
        x, y = distributions.centres[j], distributions.counts[j]
        start = (y.max(), moments.mean[j], moments.std[j])
        (a, m, s), _ = curve_fit(
            lambda x, a, m, s: a * np.exp(-0.5 * ((x - m) / s) ** 2), x, y, start
        )
        assert fits.amplitude[j] == pytest.approx(a, rel=1e-5)
        assert fits.mean[j] == pytest.approx(m, abs=1e-5 * s)
        assert fits.std[j] == pytest.approx(abs(s), rel=1e-5)
        residual = y - fits.curve(j, x)
        assert fits.r2[j] == pytest.approx(1 - (residual**2).sum() / ((y - y.mean()) ** 2).sum())
    assert (fits.r2[:3] > 0.995).all()
    assert (fits.r2[3:] < 0.99).all()


def test_constant_components_are_null_not_nan():
    z = cloud(np.array([1.0, 0.0]), mean=0.3, n=100)
    moments = Moments.of(z)
    distributions = number_distributions(z, moments)
    assert distributions.half_widths()[1] == 0.0
    fits = fit_gaussians(distributions, moments)
    assert np.isnan(fits.r2[1])
    assert np.isfinite(fits.std).all()


@pytest.mark.parametrize("n", [2, 3, 10, 40])
def test_few_codes_do_no_harm(n):
    z = cloud(np.array([1.0, 5.0]), n=n)
    moments = Moments.of(z)
    fits = fit_gaussians(number_distributions(z, moments), moments)
    assert np.isfinite(fits.std).all()
    assert np.isfinite(fits.amplitude).all()


def test_dominant_components_set_themselves_apart():
    rng = np.random.default_rng(0)
    mean, half_width = 0.02 * rng.standard_normal(256), 1 + 0.05 * rng.standard_normal(256)
    assert not dominant(mean, half_width).any()
    mean[118], half_width[151] = 2.25, 4.1
    assert np.flatnonzero(dominant(mean, half_width)).tolist() == [118, 151]
    assert not dominant(np.array([5.0]), np.array([1.0])).any()
