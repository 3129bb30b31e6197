"""Correlation, principal axes, ellipses and their coverage."""

import numpy as np
import pytest

from latentshape.errors import InputError
from latentshape.shape import (
    PCA,
    Moments,
    confidence_ellipse,
    correlation_counts,
    coverage,
    expected_coverage,
    strongest_pairs,
)


def cloud(n=5000, d=6, seed=0, offset=3.0):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((n, d)) @ rng.standard_normal((d, d)) + offset).astype(np.float32)


def test_pairs_and_counts_agree_with_the_matrix():
    r = Moments.of(cloud()).correlation()
    pairs = strongest_pairs(r, limit=4)
    assert [abs(p.r) for p in pairs] == sorted((abs(p.r) for p in pairs), reverse=True)
    assert all(p.i < p.j and p.r == r[p.i, p.j] for p in pairs)
    above = np.abs(r[np.triu_indices(6, 1)]) > 0.3
    assert correlation_counts(r)["0.3"] == above.sum()
    assert len(strongest_pairs(r)) == 15


def test_pca_turns_and_returns():
    z = cloud()
    moments = Moments.of(z)
    pca = PCA.of(moments)
    assert np.allclose(pca.axes @ pca.axes.T, np.eye(6), atol=1e-12)
    y = pca.transform(z)
    assert y.dtype == np.float32
    assert np.allclose(np.cov(y.T.astype(np.float64)), np.diag(pca.eigenvalues), atol=2e-4)
    assert np.allclose(pca.inverse_transform(y), z, atol=1e-4)
    assert np.allclose(np.cov(pca.whiten(z, 3).T.astype(np.float64)), np.eye(3), atol=1e-4)
    assert pca.explained.sum() == pytest.approx(1.0)
    assert (np.diff(pca.eigenvalues) <= 0).all()
    largest = pca.axes[np.arange(6), np.abs(pca.axes).argmax(axis=1)]
    assert (largest > 0).all()


@pytest.mark.parametrize("d", [1, 5, 40])
def test_effective_dimension_ends(d):
    round_cloud = PCA.of(Moments(100, np.zeros(d), np.eye(d)))
    needle = PCA.of(Moments(100, np.zeros(d), np.diag([1.0] + [0.0] * (d - 1))))
    assert round_cloud.effective_dimension == pytest.approx(d)
    assert needle.effective_dimension == pytest.approx(1)
    assert PCA.of(Moments(9, np.zeros(d), np.zeros((d, d)))).effective_dimension == 0.0


def test_pca_refuses_what_it_cannot_do():
    pca = PCA.of(Moments.of(cloud()))
    with pytest.raises(InputError, match="components must be an integer from 1 to 6"):
        pca.transform(cloud(), 7)
    with pytest.raises(InputError, match="must have 6 components"):
        pca.transform(cloud(d=5))


@pytest.mark.parametrize("r", [-0.99, -0.3, 0.0, 0.8])
def test_every_point_of_an_ellipse_is_k_sigma_away(r):
    cov = np.array([[4.0, 2 * r], [2 * r, 1.0]])
    moments = Moments(100, np.array([3.0, -1.0]), cov)
    curve = confidence_ellipse(moments, 0, 1, sigma=2.5) - moments.mean
    distance = np.einsum("ij,jk,ik->i", curve, np.linalg.inv(cov), curve)
    assert np.allclose(distance, 2.5**2)
    assert np.allclose(curve[0], curve[-1])
    assert np.abs(curve).max(axis=0) == pytest.approx([5.0, 2.5], rel=1e-3)


def test_ellipse_of_no_pair_is_refused():
    moments = Moments.of(cloud())
    for pair in ((0, 0), (0, 6), (-1, 2)):
        with pytest.raises(InputError, match="two different components from 0 to 5"):
            confidence_ellipse(moments, *pair)


@pytest.mark.parametrize("d", [2, 3, 6, 7])
def test_coverage_counts_every_pair_once(d):
    z = cloud(d=d)
    moments = Moments.of(z)
    result = coverage(z, moments, sigmas=(1.0, 2.0))
    assert len(result.pairs) == result.total == d * (d - 1) // 2
    assert len(np.unique(result.pairs, axis=0)) == result.total
    for (i, j), observed in zip(result.pairs, result.observed(), strict=True):
        centred = z[:, [i, j]].astype(np.float64) - moments.mean[[i, j]]
        inverse = np.linalg.inv(moments.cov[np.ix_([i, j], [i, j])])
        squared = np.einsum("ij,jk,ik->i", centred, inverse, centred)
        wanted = [(squared <= k * k).mean() for k in (1, 2)]
        assert np.allclose(observed, wanted, atol=2e-4)


def test_a_subset_of_pairs_uses_every_component_alike():
    result = coverage(cloud(n=300, d=100), max_pairs=700)
    assert len(result.pairs) == 700
    assert len(np.unique(result.pairs, axis=0)) == 700
    assert np.bincount(result.pairs.ravel()).tolist() == [14] * 100


def test_coverage_of_a_gaussian_is_the_formula():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((20_000, 20)) @ rng.standard_normal((20, 20))
    result = coverage(z)
    observed = result.observed()
    wanted = expected_coverage(result.sigmas)
    error = np.sqrt(wanted * (1 - wanted) / len(z))
    assert (np.abs(observed - wanted) < 5 * error).all()


def test_degenerate_pairs_are_left_out():
    z = cloud(d=4)
    z[:, 1] = z[:, 0]
    z[:, 3] = 1.0
    assert coverage(z).pairs.tolist() in ([[0, 2], [1, 2]], [[1, 2], [0, 2]])
    assert len(coverage(cloud(d=1)).observed()) == 0
