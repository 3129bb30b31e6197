"""BHEP: exact, by random features, at Henze and Zirkler's bandwidth, and under the normal law."""

import numpy as np
import pytest
from sklearn.datasets import load_iris

from latentshape._checks import row_blocks
from latentshape.errors import InputError
from latentshape.shape import Moments
from latentshape.shape.bhep import BHEPFeatures, bhep, bhep_features, henze_zirkler_beta
from latentshape.shape.streaming import stream
from latentshape.shape.whitening import Whitening


def whitened(z):
    return Whitening(Moments.of(z))(z)


def naive(z, beta):
    """T as it is defined, with the covariance of divisor n, from all differences in float64."""
    n, d = z.shape
    z = z - z.mean(axis=0)
    inverse = np.linalg.inv(np.cov(z.T, ddof=0).reshape(d, d))
    pairs = np.array([[(a - b) @ inverse @ (a - b) for a in z] for b in z])
    radii = np.array([a @ inverse @ a for a in z])
    return n * (
        np.exp(-(beta**2) / 2 * pairs).mean()
        - 2 * (1 + beta**2) ** (-d / 2) * np.exp(-(beta**2) * radii / (2 + 2 * beta**2)).mean()
        + (1 + 2 * beta**2) ** (-d / 2)
    )


# Setosa: R's MVN (Korkmaz, Goksuluk & Zararsiz, The R Journal 6/2, 2014) prints HZ 0.9488453,
# p 0.04995356 for four variables; its tutorial HZ 0.286, p 0.915 for the first two
# (https://selcukorkmaz.github.io/mvn-tutorial/tutorials/mvn-tests.html).
@pytest.mark.parametrize(
    ("d", "statistic", "pvalue", "digits"),
    [(4, 0.9488453, 0.04995356, 5e-8), (2, 0.286, 0.915, 5e-4)],
)
def test_published_values_of_iris_setosa(d, statistic, pvalue, digits):
    test = bhep(whitened(load_iris().data[:50, :d].copy()), henze_zirkler_beta(50, d))
    assert test.statistic == pytest.approx(statistic, abs=digits)
    assert test.pvalue == pytest.approx(pvalue, abs=digits)


@pytest.mark.parametrize("d", [1, 3, 10])
@pytest.mark.parametrize("beta", [None, 0.1, 1.5])
def test_blocks_are_the_definition(d, beta):
    z = np.random.default_rng(d).gamma(3.0, size=(120, d)) + 5
    wanted = naive(z, beta or d**-0.5)
    assert bhep(whitened(z), beta).statistic == pytest.approx(wanted, rel=1e-8)


def test_tiles_and_mirrored_pairs_are_counted_once():
    y = whitened(np.random.default_rng(0).gamma(3.0, size=(2500, 3)))
    small = [y[i::5] for i in range(5)]  # 500 codes: one tile

    def kernel(a, b):
        squared = ((a[:, None] - b[None]) ** 2).sum(axis=2)
        return np.exp(-squared * 2500 / 2499 / 6).sum()

    pairs = sum(kernel(a, b) for a in small for b in small) / 2500**2
    radii = (y**2).sum(axis=1) * 2500 / 2499
    b2, single = 1 / 3, 2 * (4 / 3) ** -1.5
    wanted = pairs - single * np.exp(-b2 * radii / (2 * (1 + b2))).mean() + (5 / 3) ** -1.5
    assert bhep(y).statistic == pytest.approx(2500 * wanted, rel=1e-9)


@pytest.mark.parametrize("d", [8, 256])
def test_single_precision_stays_within_a_small_part_of_the_null_spread(d):
    y = whitened(np.random.default_rng(0).standard_normal((2000, d)))
    exact, single = bhep(y), bhep(y.astype(np.float32))
    assert abs(single.statistic - exact.statistic) < 0.05 * exact.variance**0.5
    features, single = bhep_features(y), bhep_features(y.astype(np.float32))
    assert features.statistic == pytest.approx(single.statistic, rel=1e-5)


@pytest.mark.parametrize("beta", [None, 1.0])
def test_normal_codes_have_the_limit_moments(beta):
    rng = np.random.default_rng(0)
    clouds = [whitened(rng.standard_normal((300, 3), dtype=np.float32)) for _ in range(150)]
    tests = [bhep(y, beta) for y in clouds]
    statistics = np.array([test.statistic for test in tests])
    std = tests[0].variance ** 0.5
    assert statistics.mean() == pytest.approx(tests[0].expected, abs=5 * std / 150**0.5)
    assert statistics.std() == pytest.approx(std, rel=0.25)
    assert np.mean([test.pvalue < 0.05 for test in tests]) == pytest.approx(0.05, abs=0.05)
    features = [bhep_features(y, k=64, seed=i, beta=beta) for i, y in enumerate(clouds)]
    errors = np.array([test.statistic for test in features]) - statistics
    assert abs(errors.mean()) < 5 * errors.std() / 150**0.5


def test_many_features_become_the_exact_statistic():
    rng = np.random.default_rng(0)
    n, d = 2000, 64
    heavy = rng.standard_normal((n, d)) / np.sqrt(rng.chisquare(5, (n, 1)) / 5)
    for z, error in ((heavy, 0.015), (rng.standard_normal((n, d)), 0.035)):
        y = whitened(z.astype(np.float32))
        exact = bhep(y).statistic
        ratios = np.array([bhep_features(y, seed=s).statistic / exact for s in range(4)])
        assert np.abs(ratios - 1).max() < 3 * error
        assert abs(ratios.mean() - 1) < 0.02


def test_features_add_up_over_blocks_and_seeds_are_frequencies():
    y = whitened(np.random.default_rng(0).gamma(2.0, size=(5000, 4)))
    features = BHEPFeatures(4, k=64, seed=7)
    stream(row_blocks(y, 999), features)
    wanted = bhep_features(y, k=64, seed=7)
    assert features.result().statistic == pytest.approx(wanted.statistic, rel=1e-9)
    assert (wanted.features, wanted.pvalue, wanted.beta) == (64, None, 0.5)
    assert bhep_features(y, k=64, seed=8).statistic != wanted.statistic
    phases = y @ features.frequencies
    errors = np.cos(phases).mean(axis=0) - np.exp(
        -(features.frequencies**2).sum(axis=0) / 2 * 4999 / 5000
    )
    squares = errors**2 + np.sin(phases).mean(axis=0) ** 2
    assert wanted.statistic == pytest.approx(5000 * squares.mean(), rel=1e-9)


def test_the_effect_does_not_grow_with_n():
    rng = np.random.default_rng(0)
    effects = [bhep(whitened(rng.gamma(2.0, size=(n, 4)))).effect for n in (2000, 8000)]
    assert effects[0] == pytest.approx(effects[1], rel=0.1)


def null(n, d, draws=8):
    rng = np.random.default_rng(1)
    values = [bhep(whitened(rng.standard_normal((n, d)))).statistic for _ in range(draws)]
    return np.mean(values), np.std(values, ddof=1)


def test_planted_departures_are_caught():
    rng = np.random.default_rng(0)
    n, d = 1000, 8
    mean, std = null(n, d)
    skewed, clusters = rng.standard_normal((2, n, d))
    skewed[:, 0] = rng.exponential(size=n)
    clusters[:, 0] += np.where(rng.random(n) < 0.1, 5.0, 0.0)
    heavy = rng.standard_normal((n, d)) / np.sqrt(rng.chisquare(12, (n, 1)) / 12)
    for bad in (skewed, heavy, clusters):
        assert bhep(whitened(bad)).statistic > mean + 5 * std


def test_many_dimensions_are_seen_where_henze_and_zirkler_is_blind():
    n, d = 800, 128
    y = whitened(np.random.default_rng(0).exponential(size=(n, d)))
    mean, std = null(n, d, draws=5)
    assert bhep(y).statistic > mean + 20 * std
    # At their bandwidth each code sees itself alone.
    assert bhep(y, henze_zirkler_beta(n, d)).statistic == pytest.approx(1, abs=1e-6)


def test_bad_input_is_explained():
    y = np.random.default_rng(0).standard_normal((20, 3))
    with pytest.raises(InputError, match="beta must be"):
        bhep(y, beta=0.0)
    with pytest.raises(InputError, match="k must be"):
        bhep_features(y, k=0)
    with pytest.raises(InputError, match="seed must be"):
        bhep_features(y, seed=-1)
    with pytest.raises(InputError, match="at least 2 codes"):
        bhep(y[:1])
    with pytest.raises(InputError, match="NaN or infinite values in 1 of 20"):
        bhep(np.where(np.arange(20)[:, None] == 3, np.nan, y))
