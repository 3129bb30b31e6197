"""The elliptical sampler's density is that of its draws, and right where the truth is known."""

import numpy as np
import pytest
from scipy import special, stats

from latentshape.errors import InputError
from latentshape.samplers.elliptical import Elliptical, _radii
from latentshape.samplers.gaussian import Gaussian
from latentshape.shape.radius_law import RadiusLaw


def t_codes(n, d, nu=5.0, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, d))
    if np.isfinite(nu):
        z *= np.sqrt(nu / rng.chisquare(nu, (n, 1)))
    mixing = np.eye(d) + 0.5 * np.random.default_rng(99).standard_normal((d, d)) / np.sqrt(d)
    return (z @ mixing.T + 2.0).astype(np.float32), mixing


@pytest.mark.parametrize("nu", [3.0, np.inf])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_density_integrates_to_one_over_shells(d, nu):
    sampler = Elliptical().fit(t_codes(4000, d, nu)[0])
    log_rho = np.linspace(-40 / d, 12, 40_001)
    direction = np.random.default_rng(d).standard_normal(d)
    direction /= np.linalg.norm(direction)
    x = sampler.mean_ + np.exp(log_rho)[:, None] * (sampler.factor_ @ direction)
    sphere = 2 * np.pi ** (d / 2) / special.gamma(d / 2)
    volume = sphere * np.exp(d * log_rho) * np.linalg.det(sampler.factor_)
    # x cannot come nearer to a mean of size 2 than its own rounding; that ball is left out.
    shells = (np.exp(sampler.log_prob(x)) * volume)[log_rho > -30]
    assert shells.sum() * (log_rho[1] - log_rho[0]) == pytest.approx(1.0, abs=2e-4)


@pytest.mark.parametrize("d", [1, 2, 16])
def test_radii_of_draws_follow_the_smooth_law_of_the_radius(d):
    z, _ = t_codes(5000, d)
    sampler = Elliptical().fit(z)
    law = RadiusLaw(_radii(z, sampler.mean_, sampler.factor_), d)
    for draws in (sampler.sample(20_000, seed=3), sampler.sample_at(range(5000))):
        radii = _radii(draws.astype(np.float64), sampler.mean_, sampler.factor_)
        assert stats.kstest(radii, law.cdf).pvalue > 1e-3


def test_density_of_its_own_draws_is_that_of_the_smooth_law():
    z, _ = t_codes(5000, 16)
    sampler = Elliptical().fit(z)
    x = sampler.sample(2000).astype(np.float64)
    rho = _radii(x, sampler.mean_, sampler.factor_)
    law = RadiusLaw(_radii(z, sampler.mean_, sampler.factor_), 16)
    sphere = np.log(2) + 8 * np.log(np.pi) - special.gammaln(8)
    log_det = np.linalg.slogdet(sampler.factor_)[1]
    wanted = law.log_density(rho) - sphere - 15 * np.log(rho) - log_det
    assert np.allclose(sampler.log_prob(x), wanted, atol=0.02)


def test_as_likely_as_the_gaussian_on_normal_codes_and_likelier_on_heavy_tails():
    for nu, d in ((np.inf, 128), (6.0, 128), (4.0, 3)):
        z, _ = t_codes(8000, d, nu)
        fitted, held = z[:6000], z[6000:]
        gain = Elliptical().fit(fitted).log_prob(held) - Gaussian().fit(fitted).log_prob(held)
        error = gain.std() / np.sqrt(len(held))
        if np.isinf(nu):
            assert abs(gain.mean()) < 4 * error + 0.01
        else:
            assert gain.mean() > 5 * error


def test_held_out_likelihood_comes_near_the_true_t():
    z, mixing = t_codes(24_000, 4, nu=4.0)
    held = z[12_000:].astype(np.float64)
    truth = stats.multivariate_t(np.full(4, 2.0), mixing @ mixing.T, df=4)
    assert Elliptical().fit(z[:12_000]).score(held) == pytest.approx(
        truth.logpdf(held).mean(), abs=0.02
    )


@pytest.mark.parametrize("d", [1, 2, 5])
def test_density_is_finite_and_highest_at_the_centre(d):
    z, _ = t_codes(3000, d)
    sampler = Elliptical().fit(z.astype(np.float64))
    centre = sampler.log_prob(sampler.mean_[None])
    assert np.isfinite(centre).all()
    # In one dimension the density next to the centre rests on few codes.
    assert centre[0] > sampler.log_prob(z).max() - (0.5 if d == 1 else 2.0)


def test_the_law_has_a_covariance_even_where_the_tail_has_none():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((4000, 3)) / np.sqrt(rng.chisquare(1.2, (4000, 1)) / 1.2)
    sampler = Elliptical().fit(z)
    assert np.isfinite(sampler.cov_).all()
    assert np.linalg.eigvalsh(sampler.cov_).min() > 0
    # What goes on beyond the codes is a lognormal radius, not this tail: ten scores on, exp(5).
    first, step = sampler.scores_
    knots = sampler.log_radii_.shape[1]
    beyond = first + step * (knots - 1) + np.array([[0.0], [10.0]])
    assert np.ptp(sampler._bends()(beyond)) == pytest.approx(5.0)


def test_the_stated_covariance_is_that_of_the_radii():
    """Against the mean of the squared radii at evenly spaced shares."""
    sampler = Elliptical().fit(t_codes(3000, 5, nu=8.0)[0])
    shares = (np.arange(2_000_000) + 0.5) / 2_000_000
    squares = np.exp(2 * sampler._bends()(stats.norm.ppf(shares)[:, None]))
    wanted = squares.mean() / 5 * sampler.factor_ @ sampler.factor_.T
    assert np.allclose(sampler.cov_, wanted, rtol=1e-4)


@pytest.mark.parametrize("kind", ["few values", "Cauchy", "on a sphere", "half of them equal"])
def test_odd_radii_have_a_law(kind):
    rng = np.random.default_rng(0)
    z = rng.standard_normal((500, 2))
    z = {
        "few values": rng.integers(0, 3, (500, 2)),
        "Cauchy": rng.standard_cauchy((500, 2)),
        "on a sphere": z / np.linalg.norm(z, axis=1)[:, None],
        "half of them equal": np.where(np.arange(500)[:, None] < 250, z, z[:1]),
    }[kind]
    sampler = Elliptical().fit(z)
    assert np.isfinite(sampler.sample(1000)).all()
    assert np.isfinite(sampler.cov_).all()
    assert np.isfinite(sampler.log_prob(z)).all()
    assert (np.diff(sampler.log_radii_) > 0).all()


def test_just_more_codes_than_dimensions_are_enough():
    sampler = Elliptical().fit(np.random.default_rng(0).standard_normal((6, 5)))
    assert np.isfinite(sampler.sample(100)).all()
    assert np.isfinite(sampler.log_prob(np.zeros((1, 5)))).all()


def test_flat_laws_are_drawn_but_have_no_density():
    z, _ = t_codes(500, 3)
    z[:, 1] = z[:, 0]
    sampler = Elliptical().fit(z)
    draws = sampler.sample(100)
    assert np.allclose(draws[:, 0], draws[:, 1], atol=1e-3)
    with pytest.raises(InputError, match="fewer than 3 dimensions and has no density"):
        sampler.log_prob(z)
