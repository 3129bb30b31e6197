"""The low-rank Gaussian: against scikit-learn and scipy, planted ranks, more components than codes."""

import numpy as np
import pytest
from scipy import stats
from sklearn.decomposition import PCA as TheirPCA
from sklearn.decomposition import FactorAnalysis

from latentshape.errors import InputError
from latentshape.samplers import SAMPLERS, make_sampler
from latentshape.shape.low_rank import LowRankGaussian


def planted(n, d, k, seed=0, noise=(0.2, 2.0)):
    rng = np.random.default_rng(seed)
    loadings, own = rng.standard_normal((d, k)), rng.uniform(*noise, d)
    z = rng.standard_normal((n, k)) @ loadings.T + np.sqrt(own) * rng.standard_normal((n, d))
    return (z + 3).astype(np.float32), loadings @ loadings.T + np.diag(own)


@pytest.fixture(scope="module")
def wide():
    return planted(200, 1200, 5)[0]


def test_density_and_radii_are_those_of_the_covariance_formed():
    z, _ = planted(300, 20, 3)
    law = LowRankGaussian.of(z, rank=3)
    theirs = stats.multivariate_normal(law.mean, law.covariance())
    assert np.allclose(law.log_density(z[:50]), theirs.logpdf(z[:50]), rtol=1e-10)
    x = z[:50] - law.mean
    squared = np.einsum("ij,ij->i", x @ np.linalg.inv(law.covariance()), x)
    assert np.allclose(law.mahalanobis_squared(z[:50]), squared, rtol=1e-9)
    assert law.log_density(z).mean() == pytest.approx(law.log_likelihood, abs=1e-4)


@pytest.mark.parametrize(("n", "d", "k"), [(2000, 20, 3), (150, 200, 4)])
def test_em_ends_where_scikit_learns_factor_analysis_does(n, d, k):
    z, _ = planted(n, d, k)
    law = LowRankGaussian.of(z, rank=k, tolerance=1e-9, max_iterations=2000)
    theirs = FactorAnalysis(k, tol=1e-8, max_iter=5000, svd_method="lapack").fit(z)
    assert law.log_likelihood == pytest.approx(theirs.score(z), abs=1e-3 * np.sqrt(d))
    assert np.allclose(
        law.covariance(), theirs.get_covariance(), atol=0.02 * np.abs(law.variances).max()
    )


def test_the_start_is_probabilistic_principal_components():
    z, _ = planted(500, 12, 3, noise=(1.0, 1.0))
    law = LowRankGaussian.of(z, rank=3, max_iterations=0)
    theirs = TheirPCA(3).fit(z)
    expected = theirs.components_.T * (theirs.explained_variance_ - theirs.noise_variance_)
    assert np.allclose(
        law.loadings @ law.loadings.T, expected @ theirs.components_, rtol=0.02, atol=0.02
    )
    assert np.allclose(law.variances, z.var(axis=0, dtype=np.float64), rtol=1e-5)


@pytest.mark.parametrize(("n", "d", "k"), [(1500, 30, 0), (1500, 60, 7), (200, 1200, 5)])
def test_the_planted_number_of_factors_is_found(n, d, k):
    assert LowRankGaussian.of(planted(n, d, k)[0]).rank == k


def test_an_iteration_never_loses_likelihood(wide):
    scores = [
        LowRankGaussian.of(wide, rank=8, max_iterations=m).log_likelihood for m in (0, 1, 2, 4)
    ]
    assert np.diff(scores).min() > 0


def test_more_components_than_codes_are_no_obstacle(wide):
    law, fresh = LowRankGaussian.of(wide), planted(400, 1200, 5)[0]
    assert law.mahalanobis_squared(wide).mean() == pytest.approx(law.d, rel=0.02)
    again = law.mahalanobis_squared(law.sample(2000, seed=1))
    assert again.mean() == pytest.approx(law.d, rel=0.01)
    assert again.var() == pytest.approx(2 * law.d, rel=0.15)
    diagonal = make_sampler("diagonal").fit(wide)
    assert make_sampler("low-rank").fit(wide).score(fresh) > diagonal.score(fresh) + 100


def test_a_start_keeps_its_rank_and_impossible_ranks_are_refused(wide):
    law = LowRankGaussian.of(wide, rank=4)
    assert LowRankGaussian.of(law.sample(100), start=law).rank == 4
    for rank in (-1, 200, 1.5):
        with pytest.raises(InputError, match="rank must be an integer from 0 to 199"):
            LowRankGaussian.of(wide, rank=rank)
    with pytest.raises(InputError, match="equal codes"):
        LowRankGaussian.of(np.ones((20, 3)))


def test_every_sampler_takes_wide_codes_or_names_low_rank(wide):
    one_by_one = {"cube", "intervals", "standard-normal", "centred", "diagonal", "training-codes"}
    for name in SAMPLERS:
        if name in one_by_one | {"low-rank"}:
            sampler = make_sampler(name).fit(wide)
            assert np.isfinite(sampler.sample(3)).all()
            assert "cov_" not in vars(sampler), name
        elif name != "flow":  # of an extra
            with pytest.raises(InputError, match="'low-rank'"):
                make_sampler(name).fit(wide)


def test_too_many_components_for_a_covariance_are_refused_before_it_is_formed():
    z = np.zeros((9000, 2100), dtype=np.float32)
    z[:, 0] = np.arange(9000)
    for name in ("elliptical", "mixture", "pairwise-ellipse"):
        with pytest.raises(
            InputError, match=r"feasible up to 2,048 components, got 2,100.*'low-rank'"
        ):
            make_sampler(name).fit(z)
