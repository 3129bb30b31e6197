"""The mixture's EM step by step against scikit-learn's, its choice of size, its draws and density."""

import warnings

import numpy as np
import pytest
from scipy import stats
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from latentshape._checks import row_blocks
from latentshape.errors import InputError
from latentshape.samplers.gaussian import Gaussian
from latentshape.samplers.mixture import Mixture, Parts, em_pass, mean_log_likelihood


def clouds(n, d, k, seed=0, apart=4.0):
    """k Gaussian clouds of unequal share, shape and place, float64, in random order."""
    rng = np.random.default_rng(seed)
    shares = np.arange(1, k + 1) / (k * (k + 1) / 2)
    labels = rng.choice(k, n, p=shares)
    factors = np.eye(d) + 0.4 * rng.standard_normal((k, d, d)) / np.sqrt(d)
    centres = apart * rng.standard_normal((k, d))
    z = np.einsum("nij,nj->ni", factors[labels], rng.standard_normal((n, d)))
    return z + centres[labels], labels, centres


def rough_parts(z, k, seed=5):
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.full(k, 5.0))
    return Parts(weights, z[rng.choice(len(z), k)], np.stack([np.cov(z.T)] * k))


def scikit_learn(z, parts, iterations, ridge):
    peer = GaussianMixture(
        len(parts.weights), tol=0.0, reg_covar=ridge, max_iter=iterations,
        weights_init=parts.weights, means_init=parts.means,
        precisions_init=np.linalg.inv(parts.covs),
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return peer.fit(z)


@pytest.mark.parametrize("iterations", [1, 2, 7])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-6)])
def test_iterations_are_scikit_learns(iterations, dtype, tolerance):
    z, _, _ = clouds(5000, 6, 4, apart=1.5)
    z = (z + 20.0).astype(dtype)  # off centre, where float32 sums about zero would be lost
    start = rough_parts(z.astype(np.float64), 4)
    peer = scikit_learn(z.astype(np.float64), start, iterations, 1e-3)
    parts = start
    for _ in range(iterations):
        score, parts = em_pass(row_blocks(z, rows=999), parts, 1e-3)
    assert score == pytest.approx(peer.lower_bound_, rel=tolerance)
    rough = 1e3 * tolerance
    assert np.allclose(parts.weights, peer.weights_, rtol=rough)
    assert np.allclose(parts.means, peer.means_, rtol=rough)
    assert np.allclose(parts.covs, peer.covariances_, rtol=rough, atol=rough)
    assert mean_log_likelihood(row_blocks(z), parts) == pytest.approx(
        peer.score(z.astype(np.float64)), rel=tolerance
    )


def test_every_iteration_gains():
    z, _, _ = clouds(2000, 3, 5)
    parts, scores = rough_parts(z, 5), []
    for _ in range(15):
        score, parts = em_pass([z], parts, 0.0)
        scores.append(score)
    assert np.diff(scores).min() > -1e-10
    assert scores[-1] > scores[0] + 0.5


def test_a_narrow_cloud_far_away_keeps_its_digits():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((8000, 3))
    z[:4000] = 200.0 + 0.01 * z[:4000]
    z = z.astype(np.float32)
    sampler = Mixture(components=2).fit(z[rng.permutation(8000)])
    near = int(np.abs(sampler.means_ - 200).sum(axis=1).argmin())
    cov = sampler.factors_[near] @ sampler.factors_[near].T
    ridge = 1e-6 * z.astype(np.float64).var(axis=0, ddof=1).mean()
    wanted = np.cov(z[:4000].T.astype(np.float64), ddof=0) + ridge * np.eye(3)
    assert np.allclose(cov, wanted, rtol=1e-3, atol=1e-8)


@pytest.mark.parametrize(("dtype", "codes"), [(np.float32, 6000), (np.float64, 25_000)])
def test_planted_clouds_are_found_and_counted(dtype, codes):
    z, labels, centres = clouds(codes, 4, 5, seed=1, apart=6.0)
    sampler = Mixture().fit(z.astype(dtype))
    assert len(sampler.weights_) == 5
    assert sampler.candidates_[sampler.held_out_.argmax()] == 5
    for k, centre in enumerate(centres):
        near = int(np.linalg.norm(sampler.means_ - centre, axis=1).argmin())
        assert np.allclose(sampler.means_[near], z[labels == k].mean(axis=0), atol=0.02)
        assert sampler.weights_[near] == pytest.approx((labels == k).mean(), abs=0.005)


def test_one_cloud_is_one_component_and_the_gaussian():
    z = np.random.default_rng(0).standard_normal((3000, 5)) @ np.diag(np.arange(1, 6)) + 3
    sampler = Mixture().fit(z)
    assert sampler.candidates_.tolist() == [1, 2, 5]
    assert len(sampler.weights_) == 1
    gaussian = Gaussian().fit(z)
    assert np.allclose(sampler.mean_, gaussian.mean_)
    assert np.allclose(sampler.cov_, gaussian.cov_, rtol=1e-3, atol=1e-3)


def test_density_is_scipys():
    z, _, _ = clouds(2000, 3, 3)
    sampler = Mixture(components=3).fit(z)
    wanted = sum(
        weight * stats.multivariate_normal(mean, factor @ factor.T).pdf(z[:100])
        for weight, mean, factor in zip(sampler.weights_, sampler.means_, sampler.factors_)
    )
    assert np.allclose(sampler.log_prob(z[:100]), np.log(wanted), rtol=1e-10)
    assert sampler.score(z) == pytest.approx(sampler.log_likelihood_, abs=0.01)


@pytest.mark.parametrize("way", ["sample", "sample_at"])
def test_projections_of_draws_have_their_exact_law(way):
    z, _, _ = clouds(4000, 5, 3, apart=2.0)
    sampler = Mixture(components=3).fit(z)
    draws = sampler.sample(8000) if way == "sample" else sampler.sample_at(range(8000))
    for direction in np.random.default_rng(0).standard_normal((3, 5)):
        centres = sampler.means_ @ direction
        widths = np.linalg.norm(np.einsum("kij,i->kj", sampler.factors_, direction), axis=1)

        def cdf(x, centres=centres, widths=widths):
            return stats.norm.cdf((x[:, None] - centres) / widths) @ sampler.weights_

        assert stats.kstest(draws.astype(np.float64) @ direction, cdf).pvalue > 1e-4


@pytest.mark.parametrize("d", [3, 33, 130])
def test_a_row_of_many_components_depends_on_its_seed_alone(d):
    z, _, _ = clouds(3000, d, 5)
    sampler = Mixture(components=5, max_iterations=2).fit(z)
    together = sampler.sample_at(range(200))
    seeds = np.random.default_rng(d).permutation(200)
    assert np.array_equal(sampler.sample_at(seeds), together[seeds])
    assert np.array_equal(sampler.sample_at([63]), together[63:64])


def test_both_streams_forget_an_earlier_fit():
    sampler = Mixture(components=2).fit(clouds(500, 3, 2)[0])
    sampler.sample(5)
    z = 10 * clouds(500, 3, 2, seed=1)[0]
    assert np.array_equal(sampler.fit(z).sample(50), Mixture(components=2).fit(z).sample(50))


def test_a_component_without_codes_is_dropped():
    z = np.random.default_rng(0).standard_normal((500, 2))
    start = Parts(np.array([0.5, 0.5]), np.array([[0.0, 0], [50, 50]]), np.stack([np.eye(2)] * 2))
    _, parts = em_pass([z], start, 0.0)
    assert parts.weights.tolist() == [1.0]
    assert np.allclose(parts.covs[0], np.cov(z.T, ddof=0))


def test_fewer_places_than_components_are_fitted():
    z = np.repeat([[0.0], [1.0], [5.0]], 40, axis=0)
    sampler = Mixture(components=6).fit(z)
    assert 1 < len(sampler.weights_) <= 6
    assert np.abs(sampler.sample(200) - [[0.0, 1.0, 5.0]]).min(axis=1).max() < 0.05


def test_constant_and_dependent_components_get_the_ridge():
    z, _, _ = clouds(1000, 3, 2)
    z[:, 2] = z[:, 1]
    z = np.column_stack([z, np.full(1000, 5.0)])
    sampler = Mixture(components=2).fit(z)
    draws = sampler.sample(500)
    assert np.abs(draws[:, 3] - 5.0).max() < 0.1
    assert np.abs(draws[:, 1] - draws[:, 2]).max() < 0.1
    assert np.isfinite(sampler.log_prob(z)).all()
    with pytest.raises(InputError, match="set regularisation to 1e-6 or more"):
        Mixture(components=2, regularisation=0.0).fit(z)


def test_choosing_reads_no_held_out_code_while_it_fits(monkeypatch):
    """Held-out codes that lie elsewhere must not move what is tried on the others."""
    z, _, _ = clouds(2000, 2, 2)
    first = Mixture(max_iterations=5).fit(z)
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence((0, 11))))
    held = rng.random(2000) < 0.2
    moved = z.copy()
    moved[held] += 0.1
    second = Mixture(max_iterations=5).fit(moved)
    assert not np.allclose(first.held_out_, second.held_out_)
    kept = GaussianMixture(1).fit(z[~held])
    assert first.held_out_[0] == pytest.approx(kept.score(z[held]), rel=1e-3)
    assert second.held_out_[0] == pytest.approx(kept.score(moved[held]), rel=1e-3)


@pytest.mark.parametrize(
    ("options", "codes", "message"),
    [
        ({"components": 0}, np.eye(9)[:, :2], "components must be an integer of at least 1"),
        ({"components": 2.5}, np.eye(9)[:, :2], "components must be an integer"),
        ({"components": 4}, np.eye(9)[:, :2], "choose at most 3 components"),
        ({"max_iterations": 0}, np.eye(9)[:, :2], "max_iterations must be an integer"),
        ({"tolerance": -1}, np.eye(9)[:, :2], "tolerance must be a finite number above 0"),
        ({"regularisation": "a"}, np.eye(9)[:, :2], "regularisation must be a number from 0"),
        ({"seed": 1.5}, np.eye(9)[:, :2], "seed must be an integer"),
        ({}, np.eye(5), "needs more codes than dimensions, got 5 codes of dimension 5"),
        ({}, np.ones((9, 2)), "needs codes that vary, got 9 equal codes"),
    ],
)
def test_what_cannot_be_fitted_is_said(options, codes, message):
    with pytest.raises(InputError, match=message):
        Mixture(**options).fit(codes)
