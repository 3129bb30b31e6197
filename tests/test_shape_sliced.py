"""Sliced tests: exact by sorting, near by histograms, and what each aggregate sees."""

import numpy as np
import pytest
from scipy import stats

from latentshape.errors import InputError
from latentshape.shape.sliced import SLICED_TESTS, SlicedHistograms, directions, sliced_tests


def law(name, n, d=1):
    rng = np.random.default_rng(5)
    x = {
        "normal": lambda: rng.standard_normal((n, d)),
        "t5": lambda: rng.standard_t(5, (n, d)),
        "exponential": lambda: rng.exponential(size=(n, d)),
    }[name]()
    return (x - x.mean(axis=0)) / x.std(axis=0)


def binned(y, along, rows=1000):
    histograms = SlicedHistograms(along)
    for start in range(0, len(y), rows):
        histograms.update(y[start : start + rows])
    return histograms.result()


@pytest.mark.parametrize("name", ["normal", "t5", "exponential"])
@pytest.mark.parametrize("n", [2, 51, 5000])
def test_sorted_statistics_are_scipys(name, n):
    y = law(name, n)
    x = np.sort(y[:, 0])
    tests = sliced_tests(y, np.ones((1, 1)))
    assert tests.ks[0] == pytest.approx(stats.kstest(x, "norm", method="asymp").statistic, rel=1e-9)
    assert tests.cvm[0] == pytest.approx(stats.cramervonmises(x, "norm").statistic, rel=1e-9)
    # SciPy's Anderson-Darling standardises with ddof = 1; the definition does not.
    i = np.arange(1, n + 1)
    ad = -n - np.sum((2 * i - 1) * (stats.norm.logcdf(x) + stats.norm.logsf(x[::-1]))) / n
    assert tests.ad[0] == pytest.approx(ad, rel=1e-9)


@pytest.mark.parametrize("name", ["normal", "t5", "exponential"])
def test_epps_pulley_is_the_closed_form_of_bhep_in_one_dimension(name):
    y = law(name, 2000)
    pairs = np.exp(-((y - y.T) ** 2) / 2).mean()
    single = np.exp(-(y**2) / 4).mean()
    wanted = 2000 * (pairs - np.sqrt(2) * single + 1 / np.sqrt(3))
    assert sliced_tests(y, np.ones((1, 1))).ep[0] == pytest.approx(wanted, rel=2e-3)


@pytest.mark.parametrize(
    ("name", "bounds"), [("normal", 2e-4), ("t5", 2e-4), ("exponential", 6e-4)]
)
def test_histograms_are_near_the_sorted_statistics(name, bounds):
    y = law(name, 60_000, 8)
    near, exact = binned(y, np.eye(8)), sliced_tests(y, np.eye(8))
    assert np.abs(near.ks - exact.ks).max() < bounds
    for test in ("cvm", "ad", "ep"):
        assert near.mean[test] == pytest.approx(exact.mean[test], rel=2e-3)


def test_histograms_do_not_depend_on_blocks_and_take_what_lies_far_out():
    y = law("normal", 3000, 4)
    y[0] = 1e20
    along = directions(4, count=16)
    one, many = binned(y, along, rows=3000), binned(y, along, rows=7)
    for test in SLICED_TESTS:
        assert np.array_equal(getattr(one, test), getattr(many, test))
        assert np.isfinite(getattr(one, test)).all()


def test_directions_are_axes_and_reproducible_unit_vectors():
    along = directions(300, count=64, seed=3)
    assert along.shape == (64, 300)
    assert np.array_equal(along, directions(300, count=64, seed=3))
    assert np.allclose(np.linalg.norm(along, axis=1), 1.0, atol=1e-6)
    assert (along[:32].max(axis=1) == 1).all()
    assert directions(1).tolist() == [[1.0]]


def test_the_supremum_sees_one_axis_and_the_means_all_of_them():
    rng = np.random.default_rng(0)
    y = rng.standard_normal((4000, 32))
    along = directions(32, count=128)
    calm = binned(y, along).statistics
    skewed = y.copy()
    skewed[:, 7] = rng.exponential(size=4000) - 1
    assert binned(skewed, along).statistics["ks"] > 4 * calm["ks"]
    heavy = y / np.sqrt(rng.chisquare(8, (4000, 1)) / 6)
    for test in ("cvm", "ad", "ep"):
        assert binned(heavy, along).statistics[test] > 2 * calm[test]


@pytest.mark.parametrize("along", [np.ones(3), np.ones((2, 4)), np.ones((0, 3))])
def test_directions_of_another_dimension_are_refused(along):
    with pytest.raises(InputError, match=r"must have shape \(K, 3\)"):
        sliced_tests(np.zeros((5, 3)), along)
