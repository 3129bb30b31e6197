"""Mardia's skewness and kurtosis: two forms of one number, published values, exact laws."""

import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import load_iris

from latentshape._checks import row_blocks
from latentshape.errors import InputError
from latentshape.shape import GaussianControl, Moments
from latentshape.shape.mardia import (
    MardiaKurtosis,
    MardiaSkewness,
    ThirdMoments,
    mardia,
    mardia_stream,
    skewness_by_pairs,
    skewness_by_tensor,
)
from latentshape.shape.streaming import stream


def naive(z):
    """b1 and b2 as they are defined, with the covariance of divisor n, in float64."""
    centred = z.astype(np.float64) - z.mean(axis=0, dtype=np.float64)
    products = centred @ np.linalg.solve(
        np.cov(centred.T, ddof=0).reshape(z.shape[1], -1), centred.T
    )
    return (products**3).mean(), (np.diag(products) ** 2).mean()


def skewed(n, d, dtype=np.float64, seed=0, offset=0.0):
    rng = np.random.default_rng(seed)
    return (rng.gamma(4.0, size=(n, d)) @ rng.standard_normal((d, d)) + offset).astype(dtype)


# Setosa, four variables. R's MVN (Korkmaz, Goksuluk & Zararsiz, The R Journal 6/2, 2014) prints
# g1p 3.079721, chi.skew 25.66434, chi.small.skew 27.85973, p.value.small 0.1127617, g2p 26.53766,
# z.kurtosis 1.294992; Stata's [MV] mvtest normality prints chi2(20) 27.860, p 0.1128 and 1.677 =
# 1.294992 squared. Both standardise b2 by its limit mean d (d + 2) and variance 8 d (d + 2) / n.
def test_published_values_of_iris_setosa():
    test = mardia(load_iris().data[:50])
    assert test.skewness.b1 == pytest.approx(3.079721, abs=5e-7)
    assert test.skewness.n * test.skewness.b1 / 6 == pytest.approx(25.66434, abs=5e-6)
    assert test.skewness.statistic == pytest.approx(27.85973, abs=5e-6)
    assert test.skewness.pvalue == pytest.approx(0.1127617, abs=5e-8)
    assert test.kurtosis.b2 == pytest.approx(26.53766, abs=5e-6)
    assert (test.kurtosis.b2 - 24) / np.sqrt(8 * 24 / 50) == pytest.approx(1.294992, abs=5e-7)


# https://selcukorkmaz.github.io/mvn-tutorial/tutorials/mvn-tests.html, two variables.
def test_published_values_of_iris_sepals():
    test = mardia(load_iris().data[:50, :2])
    assert 50 * test.skewness.b1 / 6 == pytest.approx(0.760, abs=5e-4)
    assert (test.kurtosis.b2 - 8) / np.sqrt(8 * 8 / 50) == pytest.approx(0.093, abs=5e-4)


@pytest.mark.parametrize("d", [1, 2, 15, 16, 17, 33, 50])
def test_tensor_and_pairs_are_one_number(d):
    y = np.random.default_rng(d).gamma(2.0, size=(300, d)) - 2.0
    wanted = ((y @ y.T) ** 3).mean()
    assert skewness_by_tensor(y) == pytest.approx(wanted, rel=1e-12)
    assert skewness_by_pairs(y) == pytest.approx(wanted, rel=1e-12)


def test_tensor_and_pairs_agree_in_single_precision():
    y = np.random.default_rng(0).standard_normal((2500, 150), dtype=np.float32)
    pairs, tensor = skewness_by_pairs(y), skewness_by_tensor(y)
    assert pairs == pytest.approx(tensor, rel=1e-6)
    assert pairs == pytest.approx(skewness_by_pairs(y.astype(np.float64)), rel=1e-6)
    assert pairs == pytest.approx(((y @ y.T).astype(np.float64) ** 3).mean(), rel=1e-6)


@pytest.mark.parametrize("parts", [1, 2, 3, 10])
def test_parts_add_up_to_the_tensor(parts):
    y = skewed(200, 50)
    sums = [ThirdMoments(50, part=part, parts=parts) for part in range(parts)]
    stream(row_blocks(y, 64), *sums)
    whole = np.einsum("ia,ib,ic->abc", y, y, y, optimize=True) / len(y)
    assert sum(s.squared_norm() for s in sums) == pytest.approx(np.square(whole).sum(), rel=1e-12)


@pytest.mark.parametrize(("n", "d"), [(2000, 5), (300, 40)])  # by the tensor, by pairs
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", [0, 64])
def test_raw_codes_give_the_definition(n, d, dtype, offset):
    z = skewed(n, d, dtype, offset=offset)
    test = mardia(z)
    b1, b2 = naive(z)
    assert test.skewness.b1 == pytest.approx(b1, rel=1e-5 if dtype == np.float32 else 1e-9)
    assert test.kurtosis.b2 == pytest.approx(b2, rel=1e-5 if dtype == np.float32 else 1e-9)


def test_a_covariance_that_is_only_nearly_right_does_no_harm():
    """What whitening leaves is measured and taken off: moments off by a thousandth change nothing."""
    z = skewed(3000, 8)
    right = Moments.of(z)
    wrong = Moments(right.n, right.mean + 1e-3 * right.std, right.cov * 1.002)
    assert mardia(z, wrong).skewness.b1 == pytest.approx(mardia(z).skewness.b1, rel=1e-10)
    assert mardia(z, wrong).kurtosis.b2 == pytest.approx(naive(z)[1], rel=1e-10)


def test_linear_maps_change_nothing():
    z = skewed(1000, 12)
    turned = z @ np.random.default_rng(1).standard_normal((12, 12)) - 7
    assert mardia(turned).skewness.b1 == pytest.approx(mardia(z).skewness.b1, rel=1e-8)
    assert mardia(turned).kurtosis.b2 == pytest.approx(mardia(z).kurtosis.b2, rel=1e-8)


@pytest.mark.parametrize(("n", "d"), [(5000, 33), (400, 40)])
def test_workers_do_not_show_in_the_last_bit(n, d):
    z = skewed(n, d, np.float32)
    assert mardia(z, workers=1) == mardia(z, workers=2) == mardia(z, workers=3)


def test_streams_and_memory_maps_are_read_alike(tmp_path):
    source = Moments.of(skewed(500, 6))
    control = GaussianControl(source, 5000)
    drawn = np.concatenate(list(control.blocks()))
    streamed = mardia_stream(control.blocks, control.moments())
    assert streamed.skewness.b1 == pytest.approx(mardia(drawn).skewness.b1, rel=1e-6)
    on_disk = np.lib.format.open_memmap(tmp_path / "z.npy", "w+", np.float32, drawn.shape)
    on_disk[:] = drawn
    assert mardia(on_disk) == mardia(drawn)


def test_laws_have_the_mean_and_spread_of_normal_codes():
    """60 codes of 20 components, where the limit laws are far off: b2 there is N(426, 1.0)."""
    rng = np.random.default_rng(0)
    tests = [mardia(rng.standard_normal((60, 20))) for _ in range(200)]
    skewness = np.array([test.skewness.effect / test.skewness.effect_error for test in tests])
    kurtosis = np.array([test.kurtosis.statistic for test in tests])
    assert abs(skewness.mean()) < 5 / 200**0.5
    assert skewness.std() == pytest.approx(
        1.045, rel=0.15
    )  # the chi-squared law is a little narrow
    assert abs(kurtosis.mean()) < 5 / 200**0.5
    assert kurtosis.std() == pytest.approx(1, rel=0.2)


def test_the_kurtosis_of_one_component_has_fishers_variance():
    n = 50
    fisher = 24 * n * (n - 2) * (n - 3) / ((n + 1) ** 2 * (n + 3) * (n + 5))
    assert MardiaKurtosis(n, 1, 3.0).variance == pytest.approx(fisher)
    z = skewed(n, 1)
    assert mardia(z).skewness.b1 == pytest.approx(stats.skew(z[:, 0]) ** 2)
    assert mardia(z).kurtosis.b2 == pytest.approx(stats.kurtosis(z[:, 0], fisher=False))


def test_large_n_gives_the_limit_laws():
    skewness, kurtosis = MardiaSkewness(10**8, 4, 0.0), MardiaKurtosis(10**8, 4, 24.0)
    assert skewness.expected == pytest.approx(4 * 5 * 6 / 10**8, rel=1e-6)
    assert kurtosis.variance == pytest.approx(8 * 24 / 10**8, rel=1e-6)


@pytest.mark.parametrize("n", [4000, 16_000])
def test_effects_depend_neither_on_n_nor_on_d(n):
    """One direction of skewness 2, and Student's t of 12: effects 4 and 2 / (12 - 4) at any d."""
    rng = np.random.default_rng(n)
    for d in (2, 12):
        z = rng.standard_normal((n, d))
        z[:, 0] = rng.exponential(size=n)
        assert mardia(z).skewness.effect == pytest.approx(4, rel=0.25)
        t = rng.standard_normal((n, d)) / np.sqrt(rng.chisquare(12, (n, 1)) / 12)
        assert mardia(t).kurtosis.effect == pytest.approx(0.25, rel=0.25)


def test_planted_departures_are_caught_by_the_test_meant_for_them():
    rng = np.random.default_rng(0)
    n, d = 4000, 16
    turn = np.linalg.qr(rng.standard_normal((d, d)))[0]
    normal = rng.standard_normal((n, d))
    one_skewed = normal.copy()
    one_skewed[:, 0] = rng.gamma(4.0, size=n) / 2  # skewness 1 in one hidden direction
    heavy = normal / np.sqrt(rng.chisquare(8, (n, 1)) / 8)
    two_clusters = normal[:, :4] + np.where(rng.random((n, 1)) < 0.5, 2.0, -2.0)

    def in_errors(z):
        test = mardia(z @ turn[: z.shape[1], : z.shape[1]])
        return test.skewness.effect / test.skewness.effect_error, test.kurtosis.statistic

    assert np.abs(in_errors(normal)).max() < 4
    assert in_errors(one_skewed)[0] > 5
    assert in_errors(heavy)[1] > 5
    assert in_errors(two_clusters)[1] < -5  # flatter than normal


def test_bad_input_is_explained():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((100, 4))
    with pytest.raises(InputError, match=r"need n > d \+ 1, got n = 5, d = 4"):
        mardia(z[:5])
    with pytest.raises(InputError, match="needs an invertible covariance"):
        mardia(z[:, [0, 1, 1]])
    with pytest.raises(InputError, match="codes that they do not whiten"):
        mardia(z, Moments(100, np.ones(4), np.eye(4)))
    with pytest.raises(InputError, match="moments of 50 codes and 100 codes"):
        mardia(z, Moments.of(z[:50]))
    with pytest.raises(InputError, match="workers must be"):
        mardia(z, workers=0)
    z[3] = np.nan
    for moments in (None, Moments.of(z[:3])):
        with pytest.raises(InputError, match=r"in 1 of 100 rows \(3\)"):
            mardia(z, moments)
