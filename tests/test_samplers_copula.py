"""Bent normal numbers by quadrature, and a copula that keeps margins of known laws."""

import numpy as np
import pytest
from scipy import stats

from latentshape.errors import InputError
from latentshape.samplers.colouring import Bends
from latentshape.samplers.copula import Copula
from latentshape.samplers.gaussian import Gaussian


def bends(m=4, knots=9, seed=0):
    rng = np.random.default_rng(seed)
    return Bends(-1.7, 0.4, np.cumsum(rng.exponential(size=(m, knots)), axis=1) - 3.0)


def test_moments_of_bends_agree_with_quadrature():
    maps = bends()
    s = np.linspace(-12, 12, 1_200_001)
    weight = stats.norm.pdf(s) * (s[1] - s[0])
    x = maps(np.repeat(s[:, None], 4, axis=1))
    mean = weight @ x
    assert np.allclose(maps.mean(), mean, atol=1e-8)
    assert np.allclose(maps.variance(), weight @ np.square(x - mean), atol=1e-8)
    polynomials = [s, (s**2 - 1) / np.sqrt(2), (s**3 - 3 * s) / np.sqrt(6)]
    polynomials.append((s**4 - 6 * s**2 + 3) / np.sqrt(24))
    wanted = np.stack([(weight * h) @ x for h in polynomials], axis=1)
    assert np.allclose(maps.hermite(4), wanted, atol=1e-8)


def test_hermite_coefficients_hold_the_whole_variance():
    maps = bends()
    assert np.allclose(np.square(maps.hermite(2000)).sum(axis=1), maps.variance(), rtol=1e-3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_straightening_undoes_bending(dtype):
    maps = bends()
    s = np.random.default_rng(1).standard_normal((500, 4)).astype(dtype) * 3
    x = maps(s)
    assert x.dtype == dtype
    scores, slopes = maps.straighten(x.astype(np.float64))
    assert np.allclose(maps(scores), x, atol=1e-9 if dtype == np.float64 else 1e-4)
    if dtype == np.float64:
        assert np.allclose(scores, s, atol=1e-9)
    step = 1e-7
    moved = maps.straighten(maps(s.astype(np.float64)))[0]
    rise = (maps(moved + step) - maps(moved)) / step
    same = np.isclose(maps.straighten(maps(moved + step))[1], slopes)  # not across a knot
    assert same.mean() > 0.99
    assert np.allclose(rise[same], slopes[same], rtol=1e-5)


@pytest.mark.parametrize("coordinates", ["pca", "original"])
def test_normal_codes_are_foretold_as_by_the_gaussian(coordinates):
    rng = np.random.default_rng(0)
    z = rng.standard_normal((12_000, 8)) @ rng.standard_normal((8, 8)) + 3.0
    fitted, held = z[:8000], z[8000:]
    lost = Gaussian().fit(fitted).score(held) - Copula(coordinates).fit(fitted).score(held)
    assert abs(lost) < 0.01 * 8


def test_margins_of_independent_components_come_near_the_truth():
    rng = np.random.default_rng(1)
    z = np.column_stack([rng.gamma(3.0, size=20_000), rng.standard_t(4, 20_000)])
    held = z[10_000:]
    truth = (stats.gamma(3.0).logpdf(held[:, 0]) + stats.t(4).logpdf(held[:, 1])).mean()
    sampler = Copula("original").fit(z[:10_000])
    assert sampler.score(held) == pytest.approx(truth, abs=0.03)
    assert sampler.score(held) > Gaussian().fit(z[:10_000]).score(held) + 0.1
    draws = sampler.sample(20_000)
    for j in range(2):
        assert stats.ks_2samp(draws[:, j], z[:, j]).pvalue > 1e-3


def test_correlated_lognormal_codes_are_a_gaussian_copula():
    rng = np.random.default_rng(2)
    factor = np.array([[1.0, 0, 0], [0.8, 0.6, 0], [-0.5, 0.3, np.sqrt(1 - 0.34)]])
    g = rng.standard_normal((20_000, 3)) @ factor.T
    z = np.exp(0.5 * g)
    sampler = Copula("original").fit(z[:10_000])
    held, normal = z[10_000:], g[10_000:]
    truth = stats.multivariate_normal(np.zeros(3), factor @ factor.T).logpdf(normal)
    truth = (truth - np.log(0.5 * held).sum(axis=1)).mean()
    assert sampler.score(held) == pytest.approx(truth, abs=0.03)
    correlation = sampler.factor_ @ sampler.factor_.T
    assert np.allclose(correlation, factor @ factor.T, atol=0.03)
    # The stated covariance is Mehler's series; the draws know nothing of it.
    draws = sampler.sample(200_000, seed=1).astype(np.float64)
    scale = np.sqrt(np.diag(sampler.cov_))
    assert np.abs((draws.mean(axis=0) - sampler.mean_) / scale).max() < 5 / np.sqrt(len(draws))
    assert np.allclose(np.cov((draws / scale).T), sampler.cov_ / np.outer(scale, scale), atol=0.03)


@pytest.mark.parametrize("coordinates", ["pca", "original"])
def test_scores_of_draws_are_standard_normal(coordinates):
    rng = np.random.default_rng(3)
    z = rng.exponential(size=(3000, 4)) @ rng.standard_normal((4, 4))
    sampler = Copula(coordinates).fit(z)
    x = sampler.sample_at(range(4000)).astype(np.float64)
    scores = sampler._bends().straighten(sampler._coordinates(x))[0]
    for column in scores.T:
        assert stats.kstest(column, "norm").pvalue > 1e-4
    wanted = np.eye(4) if coordinates == "pca" else sampler.factor_ @ sampler.factor_.T
    assert np.allclose(np.corrcoef(scores.T), wanted, atol=5 / np.sqrt(4000))


def test_density_goes_on_beyond_the_codes():
    z = np.random.default_rng(0).uniform(size=(1000, 2))
    sampler = Copula().fit(z)
    far = sampler.log_prob([[5.0, 5.0], [9.0, 9.0]])
    assert np.isfinite(far).all()
    assert far[1] < far[0] < sampler.score(z)


def test_repeated_values_keep_their_share_and_a_density():
    rng = np.random.default_rng(0)
    z = np.maximum(rng.standard_normal((4000, 2)), 0.0)
    sampler = Copula("original").fit(z)
    assert np.isfinite(sampler.log_prob(z)).all()
    at_zero = (np.abs(sampler.sample(20_000)) < 0.01).mean(axis=0)
    assert np.allclose(at_zero, 0.5, atol=0.05)


@pytest.mark.parametrize("coordinates", ["pca", "original"])
def test_flat_codes_are_drawn_but_have_no_density(coordinates):
    z = np.random.default_rng(0).exponential(size=(500, 3)).astype(np.float32)
    z[:, 1] = 7.0
    sampler = Copula(coordinates).fit(z)
    assert np.allclose(sampler.sample(50)[:, 1], 7.0, atol=1e-4)
    with pytest.raises(InputError, match="fewer than 3 dimensions and has no density"):
        sampler.log_prob(z)


@pytest.mark.parametrize(
    ("option", "codes", "message"),
    [
        ("PCA", np.eye(5)[:, :2], "coordinates must be 'pca' or 'original', got 'PCA'"),
        (None, np.eye(5)[:, :2], "coordinates must be"),
        ("pca", np.eye(5), "needs more codes than dimensions, got 5 codes of dimension 5"),
        ("original", np.ones((9, 2)), "needs codes that vary, got 9 equal codes"),
    ],
)
def test_what_cannot_be_fitted_is_said(option, codes, message):
    with pytest.raises(InputError, match=message):
        Copula(option).fit(codes)


@pytest.mark.parametrize("n", [2, 3, 9])
def test_very_few_codes_of_one_dimension_have_a_law(n):
    sampler = Copula().fit(np.arange(n, dtype=np.float64)[:, None])
    assert np.isfinite(sampler.sample(50)).all()
    assert np.isfinite(sampler.log_prob([[0.5]])).all()


def test_only_a_bounded_number_of_codes_shapes_the_margins(monkeypatch):
    import latentshape.samplers.copula as module

    z = np.random.default_rng(0).standard_normal((5000, 2))
    monkeypatch.setattr(module, "_MARGIN_CODES", 500)
    few = Copula().fit(z)
    assert np.array_equal(few.margins_, Copula().fit(z).margins_)
    assert few.score(z) == pytest.approx(Gaussian().fit(z).score(z), abs=0.05)
