"""The kernel density by direct summation, its bandwidth, and its way from the codes to the Gaussian."""

import numpy as np
import pytest
from scipy import special, stats

from latentshape.errors import InputError
from latentshape.samplers.copula import Copula
from latentshape.samplers.elliptical import Elliptical
from latentshape.samplers.gaussian import Gaussian
from latentshape.samplers.mixture import Mixture
from latentshape.samplers.neighbours import Neighbours


def cloud(n=1500, d=3, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, d)) + 3 * rng.integers(0, 2, (n, 1))
    mixing = np.eye(d) + 0.3 * np.random.default_rng(99).standard_normal((d, d))
    return (z @ mixing + 1.0).astype(np.float32)


def direct(z, x, h, shrink, mean, cov):
    """Log-density by adding up the kernels one by one."""
    z, x = z.astype(np.float64), x.astype(np.float64)
    c = 1 / np.sqrt(1 + h * h) if shrink else 1.0
    kernel = stats.multivariate_normal(np.zeros(z.shape[1]), (c * h) ** 2 * cov)
    return np.array([np.log(kernel.pdf(row - mean - c * (z - mean)).mean()) for row in x])


@pytest.mark.parametrize("shrink", [True, False])
@pytest.mark.parametrize("h", [0.1, 0.7, 4.0])
def test_density_is_the_sum_of_kernels(h, shrink):
    z = cloud()
    sampler = Neighbours(bandwidth=h, shrink=shrink).fit(z)
    assert sampler.bandwidth_ == h
    x = cloud(50, seed=1)
    wanted = direct(z, x, h, shrink, sampler.center_, sampler.factor_ @ sampler.factor_.T)
    assert np.allclose(sampler.log_prob(x), wanted, rtol=1e-9)


@pytest.mark.parametrize("shrink", [True, False])
def test_the_chosen_bandwidth_is_the_likeliest_of_those_left_out(shrink):
    z = cloud(400)
    sampler = Neighbours(shrink=shrink).fit(z)
    left = np.random.Generator(np.random.PCG64(1)).choice(400, 256, replace=False)
    mean, cov = z.mean(axis=0, dtype=np.float64), np.cov(z.T.astype(np.float64), ddof=0)

    def left_out(h):
        c = 1 / np.sqrt(1 + h * h) if shrink else 1.0
        kernel = stats.multivariate_normal(np.zeros(3), (c * h) ** 2 * cov)
        y = z.astype(np.float64) - mean
        return np.mean(
            [special.logsumexp(kernel.logpdf(y[i] - c * np.delete(y, i, axis=0))) for i in left]
        )

    best = left_out(sampler.bandwidth_)
    assert best > max(map(left_out, np.geomspace(0.02, 20, 30))) - 1e-3
    assert best > left_out(1.3 * sampler.bandwidth_)
    assert best > left_out(sampler.bandwidth_ / 1.3)


def test_it_goes_from_the_codes_to_the_gaussian():
    z = cloud()
    narrow = Neighbours(bandwidth=1e-4).fit(z).sample(100)
    distance = np.linalg.norm(narrow[:, None] - z[None], axis=2).min(axis=1)
    assert distance.max() < 0.01
    wide = Neighbours(bandwidth=1000.0).fit(z)
    assert np.allclose(wide.log_prob(z), Gaussian().fit(z).log_prob(z), atol=0.02)


def test_two_clouds_are_told_from_a_gaussian():
    held = cloud(500, seed=1)
    assert Neighbours().fit(cloud(3000)).score(held) > Gaussian().fit(cloud(3000)).score(held) + 0.1


@pytest.mark.parametrize("shrink", [True, False])
@pytest.mark.parametrize("way", ["sample", "sample_at"])
def test_projections_of_draws_have_their_exact_law(way, shrink):
    z = cloud(300)
    sampler = Neighbours(bandwidth=0.4, shrink=shrink).fit(z)
    draws = sampler.sample(6000) if way == "sample" else sampler.sample_at(range(6000))
    c = 1 / np.sqrt(1.16) if shrink else 1.0
    cov = np.cov(z.T.astype(np.float64), ddof=0)
    mean = z.mean(axis=0, dtype=np.float64)
    for direction in np.random.default_rng(0).standard_normal((3, 3)):
        centres = (mean + c * (z - mean)) @ direction
        width = 0.4 * c * np.sqrt(direction @ cov @ direction)

        def cdf(x, centres=centres, width=width):
            return stats.norm.cdf((x[:, None] - centres) / width).mean(axis=1)

        assert stats.kstest(draws.astype(np.float64) @ direction, cdf).pvalue > 1e-4


def test_shrinking_keeps_the_covariance_and_not_shrinking_widens_it():
    z = cloud()
    cov = np.cov(z.T.astype(np.float64), ddof=0)
    assert np.allclose(Neighbours(bandwidth=0.5).fit(z).cov_, cov, rtol=1e-6)
    assert np.allclose(Neighbours(bandwidth=0.5, shrink=False).fit(z).cov_, 1.25 * cov, rtol=1e-6)


def test_at_most_the_stated_number_of_codes_is_kept():
    z = cloud(500)
    sampler = Neighbours(max_codes=100).fit(z)
    assert sampler.codes_.shape == (100, 3)
    assert {tuple(row) for row in sampler.codes_.tolist()} <= {tuple(row) for row in z.tolist()}
    assert np.allclose(sampler.mean_, sampler.codes_.mean(axis=0), rtol=1e-5)


def test_flat_codes_are_drawn_but_have_no_density():
    z = cloud()
    z[:, 1] = z[:, 0]
    sampler = Neighbours().fit(z)
    draws = sampler.sample(50)
    assert np.allclose(draws[:, 0], draws[:, 1], atol=1e-3)
    with pytest.raises(InputError, match="fewer than 3 dimensions and has no density"):
        sampler.log_prob(z)


@pytest.mark.parametrize(
    ("options", "codes", "message"),
    [
        ({"bandwidth": 0}, np.eye(9)[:, :2], "bandwidth must be a finite number above 0"),
        ({"bandwidth": "wide"}, np.eye(9)[:, :2], "bandwidth must be a finite number above 0"),
        ({"shrink": 1}, np.eye(9)[:, :2], "shrink must be True or False, got 1"),
        ({"max_codes": 1}, np.eye(9)[:, :2], "max_codes must be an integer of at least 2"),
        ({"max_codes": 3}, np.eye(9)[:, :3], "got 3 codes of dimension 3.*raise max_codes"),
        ({}, np.ones((9, 2)), "needs codes that vary, got 9 equal codes"),
    ],
)
def test_what_cannot_be_fitted_is_said(options, codes, message):
    with pytest.raises(InputError, match=message):
        Neighbours(**options).fit(codes)


@pytest.mark.parametrize(
    "sampler",
    [Copula(), Copula("original"), Elliptical(), Mixture(), Neighbours(), Neighbours(shrink=False)],
    ids=str,
)
def test_densities_integrate_to_one_in_five_dimensions(sampler):
    """By importance sampling from a t that is wider than any of them."""
    rng = np.random.default_rng(0)
    z = cloud(2000, 5)
    sampler.fit(z)
    wide = stats.multivariate_t(z.mean(axis=0), 1.3 * np.cov(z.T.astype(np.float64)), df=3)
    x = wide.rvs(20_000, random_state=rng)
    ratio = np.exp(sampler.log_prob(x) - wide.logpdf(x))
    error = ratio.std() / np.sqrt(len(ratio))
    assert error < 0.03
    assert ratio.mean() == pytest.approx(1.0, abs=4 * error)
