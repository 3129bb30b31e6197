"""The Doornik-Hansen test against Stata's value, an independent transcription and its law."""

import math

import numpy as np
import pytest
from scipy import linalg, stats
from sklearn.datasets import load_iris

from latentshape._checks import row_blocks
from latentshape.errors import InputError
from latentshape.shape import Moments
from latentshape.shape.doornik_hansen import DoornikHansenSums, doornik_hansen
from latentshape.shape.streaming import stream


def transcription(z):
    """Doornik & Hansen (2008), section 2, by exact integers, matrix roots and SciPy's moments."""
    n = len(z)
    z = z.astype(np.float64)
    u = (z - z.mean(axis=0)) / z.std(axis=0)
    y = u @ np.linalg.inv(linalg.sqrtm(np.corrcoef(z.T)).real)
    total = 0.0
    for column in y.T:
        root_b1, b2 = stats.skew(column), stats.kurtosis(column, fisher=False)
        beta = 3 * (n**2 + 27 * n - 70) * (n + 1) * (n + 3)
        beta /= (n - 2) * (n + 5) * (n + 7) * (n + 9)
        w2 = -1 + math.sqrt(2 * (beta - 1))
        delta = 1 / math.sqrt(math.log(math.sqrt(w2)))
        t = root_b1 * math.sqrt((w2 - 1) / 2 * (n + 1) * (n + 3) / (6 * (n - 2)))
        z1 = delta * math.log(t + math.sqrt(t**2 + 1))
        q = (n - 3) * (n + 1) * (n**2 + 15 * n - 4)
        a = (n - 2) * (n + 5) * (n + 7) * (n**2 + 27 * n - 70) / (6 * q)
        c = (n - 7) * (n + 5) * (n + 7) * (n**2 + 2 * n - 5) / (6 * q)
        k = (n + 5) * (n + 7) * (n**3 + 37 * n**2 + 11 * n - 313) / (12 * q)
        alpha = a + root_b1**2 * c
        chi = (b2 - 1 - root_b1**2) * 2 * k
        z2 = ((chi / (2 * alpha)) ** (1 / 3) - 1 + 1 / (9 * alpha)) * math.sqrt(9 * alpha)
        total += z1**2 + z2**2
    return total


def correlated(n, d, dtype=np.float64, offset=0.0, seed=0):
    rng = np.random.default_rng(seed)
    scales = 10.0 ** rng.uniform(-3, 3, d)
    return ((rng.gamma(9.0, size=(n, d)) @ rng.standard_normal((d, d)) + offset) * scales).astype(
        dtype
    )


# Stata's [MV] mvtest normality prints chi2(8) = 24.414, p = 0.0020 for these four variables. (The
# R packages asbio and MVN print other numbers; theirs is not the formula of the paper.)
def test_published_value_of_iris_setosa():
    test = doornik_hansen(load_iris().data[:50])
    assert test.statistic == pytest.approx(24.414, abs=5e-4)
    assert test.pvalue == pytest.approx(0.0020, abs=5e-5)


@pytest.mark.parametrize(("n", "d"), [(8, 2), (50, 1), (300, 7), (5000, 20)])
@pytest.mark.parametrize("offset", [0, 100])
def test_the_formula(n, d, offset):
    z = correlated(n, d, offset=offset)
    assert doornik_hansen(z).statistic == pytest.approx(transcription(z), rel=1e-7)
    single = z.astype(np.float32)
    assert doornik_hansen(single).statistic == pytest.approx(transcription(single), rel=1e-3)


def test_components_that_almost_coincide_are_done_in_double_precision():
    z = correlated(3000, 4)
    z[:, 1] = z[:, 0] * (1 + 5e-4 * np.random.default_rng(1).standard_normal(3000))
    single = z.astype(np.float32)
    assert np.linalg.eigvalsh(np.corrcoef(single.T.astype(np.float64)))[0] < 1e-5
    assert doornik_hansen(single).statistic == pytest.approx(transcription(single), rel=1e-3)


def test_units_do_not_matter_and_one_read_is_enough():
    z = correlated(2000, 5)
    moments = Moments.of(z)
    sums = DoornikHansenSums(moments)
    stream(row_blocks(z, 700), sums)
    test = doornik_hansen(z)
    assert sums.result().statistic == pytest.approx(test.statistic, rel=1e-9)
    assert doornik_hansen(z * [-5, 1, 2, 1e-6, 1e6]).statistic == pytest.approx(test.statistic)
    assert test.skewness.shape == test.z_kurtosis.shape == (5,)


def test_directions_have_scipys_skewness_and_kurtosis():
    z = np.random.default_rng(0).gamma(4.0, size=(5000, 3))
    test = doornik_hansen(z)  # hardly correlated: the decorrelated components are the components
    assert np.allclose(test.skewness, stats.skew(z), atol=0.05)
    assert np.allclose(test.kurtosis, stats.kurtosis(z, fisher=False), atol=0.2)


@pytest.mark.parametrize(("n", "d"), [(30, 3), (200, 10)])
def test_normal_codes_have_the_law(n, d):
    rng = np.random.default_rng(d)
    mix = rng.standard_normal((d, d))
    tests = [doornik_hansen(rng.standard_normal((n, d)) @ mix) for _ in range(400)]
    statistics = np.array([test.statistic for test in tests])
    assert statistics.mean() == pytest.approx(2 * d, abs=5 * np.sqrt(4 * d / 400) + 0.05 * d)
    assert np.mean([test.pvalue < 0.05 for test in tests]) == pytest.approx(0.05, abs=0.05)
    effects = np.array([test.effect / test.effect_error for test in tests])
    assert effects.std() == pytest.approx(1, rel=0.25)


def test_the_effect_does_not_grow_with_n():
    rng = np.random.default_rng(0)
    effects = [doornik_hansen(rng.gamma(9.0, size=(n, 6))).effect for n in (5000, 20_000, 80_000)]
    assert np.allclose(effects, effects[-1], rtol=0.15)
    near_normal = 6 * ((2 / 3) ** 2 / 6 + (6 / 9) ** 2 / 24)  # gamma(9): g = 2/3, k - 3 = 6/9
    assert effects[-1] == pytest.approx(near_normal, rel=0.3)


def test_integers_do_not_overflow_at_ten_million_codes():
    sums = DoornikHansenSums(Moments(10_000_000, np.zeros(1), np.eye(1)))
    n = sums.n = 10_000_000
    sums.sums[:] = n * np.array([[0.0], [1.0], [0.0], [3.0]])  # exactly normal moments
    assert abs(sums.result().statistic) < 1e-3


def test_planted_departures_are_caught():
    rng = np.random.default_rng(0)
    n, d = 2000, 16
    z = rng.standard_normal((n, d))
    mix = np.eye(d) + 0.1 * rng.standard_normal((d, d))
    one_skewed, two_clusters = z.copy(), z.copy()
    one_skewed[:, 3] = rng.gamma(2.0, size=n)
    two_clusters[:, 5] += np.where(rng.random(n) < 0.5, 3.0, -3.0)
    heavy = z / np.sqrt(rng.chisquare(8, (n, 1)) / 8)
    assert doornik_hansen(z @ mix).pvalue > 1e-3
    for bad in (one_skewed, two_clusters, heavy):
        test = doornik_hansen(bad @ mix)
        assert test.effect > 5 * test.effect_error
    assert np.abs(doornik_hansen(one_skewed).z_skewness).argmax() == 3
    assert doornik_hansen(two_clusters).z_kurtosis.argmin() == 5


def test_bad_input_is_explained():
    z = np.random.default_rng(0).standard_normal((40, 3))
    with pytest.raises(InputError, match="at least 8 codes, got 7"):
        doornik_hansen(z[:7])
    with pytest.raises(InputError, match="2 components are constant"):
        doornik_hansen(z * [1, 0, 0])
    with pytest.raises(InputError, match="linearly dependent"):
        doornik_hansen(z[:, [0, 1, 1]])
    with pytest.raises(InputError, match="components as in fit"):
        doornik_hansen(z, Moments.of(z[:, :2]))
