"""The energy test: expectations against series and draws, sums against double loops."""

import math

import numpy as np
import pytest
from scipy import special
from sklearn.datasets import load_iris

from latentshape.errors import InputError
from latentshape.shape import Moments
from latentshape.shape.energy import (
    EnergyBlocks,
    distance_to_normal,
    energy_blocks,
    energy_statistic,
    normal_distance,
)
from latentshape.shape.whitening import Whitening


def whitened(z):
    return Whitening(Moments.of(z))(z)


def series(squared, d):
    r"""E|a - Z|: |a - Z|² is chi-squared with d + 2 J degrees, J Poisson of mean |a|² / 2."""
    j = np.arange(int(squared / 2 + 20 * math.sqrt(squared / 2) + 60))
    log_weight = special.xlogy(j, squared / 2) - squared / 2 - special.gammaln(j + 1)
    return float((np.exp(log_weight) * math.sqrt(2) * special.poch(d / 2 + j, 0.5)).sum())


@pytest.mark.parametrize("d", [1, 2, 3, 16, 105, 256, 1024])
def test_distance_to_normal_is_the_series(d):
    squared = np.concatenate([[0.0], np.geomspace(1e-4, 2e4, 40), d * np.linspace(0.5, 2, 20)])
    wanted = [series(x, d) for x in squared]
    assert distance_to_normal(squared, d) == pytest.approx(wanted, rel=1e-10)


def test_distance_to_normal_in_closed_form():
    a = np.array([0.1, 1.0, 3.0, 50.0])
    line = a * special.erf(a / np.sqrt(2)) + np.sqrt(2 / np.pi) * np.exp(-(a**2) / 2)
    assert distance_to_normal(a**2, 1) == pytest.approx(line, rel=1e-10)
    space = np.sqrt(2 / np.pi) * np.exp(-(a**2) / 2) + (a + 1 / a) * special.erf(a / np.sqrt(2))
    assert distance_to_normal(a**2, 3) == pytest.approx(space, rel=1e-10)


def test_distance_to_normal_of_far_outliers():
    far = np.array([1e6, 1e12, 1e30])
    assert distance_to_normal(far, 256) == pytest.approx(np.sqrt(far + 255), rel=1e-9)


def test_distance_to_normal_matches_draws():
    rng = np.random.default_rng(0)
    a = rng.standard_normal(16)
    draws = np.linalg.norm(rng.standard_normal((100_000, 16)) - a, axis=1)
    error = draws.std() / 100_000**0.5
    assert draws.mean() == pytest.approx(distance_to_normal(a @ a, 16), abs=5 * error)


def test_distance_of_two_normal_points():
    assert normal_distance(256) == pytest.approx(22.605, abs=5e-4)
    for d in (1, 5, 100):
        wanted = 2 * math.exp(math.lgamma((d + 1) / 2) - math.lgamma(d / 2))
        assert normal_distance(d) == pytest.approx(wanted, rel=1e-12)
        # Z - Z' is a normal point of variance 2, and E|a - Z| at random a is the same number.
        assert normal_distance(d) == pytest.approx(math.sqrt(2) * series(0.0, d), rel=1e-12)


# Setosa, first two variables: R's MVN, by way of the authors' own package energy, prints 0.527
# (https://selcukorkmaz.github.io/mvn-tutorial/tutorials/mvn-tests.html).
def test_published_value_of_iris_sepals():
    assert energy_statistic(whitened(load_iris().data[:50, :2].copy())).statistic == pytest.approx(
        0.527, abs=5e-4
    )


@pytest.mark.parametrize(("n", "d"), [(2, 1), (60, 4)])
def test_all_pairs_are_the_double_loop(n, d):
    y = np.random.default_rng(n).gamma(2.0, size=(n, d)) - 2
    test = energy_statistic(y)
    distances = [[math.dist(a, b) for a in y] for b in y]
    to_normal = np.mean([series(a @ a, d) for a in y])
    assert test.within == pytest.approx(np.sum(distances) / (n * (n - 1)), rel=1e-9)
    assert test.to_normal == pytest.approx(to_normal, rel=1e-9)
    unbiased = 2 * to_normal - normal_distance(d) - np.sum(distances) / (n * (n - 1))
    assert test.effect == pytest.approx(unbiased, abs=1e-9)
    classical = n * (2 * to_normal - normal_distance(d) - np.mean(distances))
    assert test.statistic == pytest.approx(classical, abs=1e-7)


def test_tiles_and_mirrored_pairs_are_counted_once():
    y = np.random.default_rng(0).standard_normal((2500, 2))
    distances = np.hypot(*(y[:, None] - y[None]).transpose(2, 0, 1))
    assert energy_statistic(y).within == pytest.approx(distances.sum() / (2500 * 2499), rel=1e-9)


def test_single_precision_stays_within_a_small_part_of_the_null_spread():
    """At n = 2000, d = 256 the estimate spreads by 6e-7 under normality, on distances of 22.6."""
    y = whitened(np.random.default_rng(0).standard_normal((2000, 256)))
    exact, single = energy_statistic(y), energy_statistic(y.astype(np.float32))
    assert abs(single.effect - exact.effect) < 1e-7


def test_coinciding_codes_have_distance_zero():
    y = np.full((3, 2), 1e3, dtype=np.float32)
    assert energy_statistic(y).within < 1.0  # rounding of |a|² + |b|² - 2 a.b, never NaN
    assert np.isfinite(energy_statistic(y).effect)


def test_the_estimate_is_unbiased_on_unwhitened_normal_codes():
    rng = np.random.default_rng(0)
    effects = [energy_statistic(rng.standard_normal((300, 5))).effect for _ in range(100)]
    assert abs(np.mean(effects)) < 5 * np.std(effects) / 100**0.5


def test_whitening_makes_normal_codes_look_too_normal():
    rng = np.random.default_rng(0)
    effects = [energy_statistic(whitened(rng.standard_normal((300, 5)))).effect for _ in range(20)]
    assert max(effects) < 0


def test_blocks_are_block_by_block_and_order_is_no_matter():
    rng = np.random.default_rng(0)
    y = rng.standard_normal((1000, 3))
    result = energy_blocks(y, rows=300)
    wanted = [energy_statistic(y[first::3][:300]).effect for first in range(3)]
    assert result.effect == pytest.approx(np.mean(wanted))
    assert result.standard_error == pytest.approx(np.std(wanted, ddof=1) / 3**0.5)
    assert (result.blocks, result.n, result.d) == (3, 900, 3)
    skewed = np.sort(rng.exponential(size=(6000, 1)) - 1, axis=0)
    whole = energy_statistic(skewed).effect
    assert energy_blocks(skewed, rows=1000).effect == pytest.approx(whole, rel=0.1)


def test_blocks_come_in_any_size():
    y = np.random.default_rng(0).standard_normal((1000, 3)).astype(np.float32)
    wanted = [energy_statistic(y[start : start + 200]).effect for start in range(0, 1000, 200)]
    for size in (1, 150, 200, 999):
        sums = EnergyBlocks(3, rows=200)
        for start in range(0, 1000, size):
            sums.update(y[start : start + size])
        assert sums.distances == pytest.approx(wanted, abs=1e-9)


def test_the_error_of_blocks_is_the_spread_of_their_mean():
    rng = np.random.default_rng(0)
    results = [energy_blocks(rng.standard_normal((2000, 4)), rows=100) for _ in range(100)]
    z = np.array([result.statistic for result in results])
    assert abs(z.mean()) < 0.6
    assert z.std() == pytest.approx(1, abs=0.3)


def test_planted_departures_are_caught():
    rng = np.random.default_rng(0)
    n, d = 1000, 8
    normal = [energy_statistic(whitened(rng.standard_normal((n, d)))).effect for _ in range(8)]
    mean, std = np.mean(normal), np.std(normal, ddof=1)
    skewed, clusters = rng.standard_normal((2, n, d))
    skewed[:, 0] = rng.exponential(size=n)
    heavy = rng.standard_normal((n, d)) / np.sqrt(rng.chisquare(12, (n, 1)) / 12)
    clusters[:, 0] += np.where(rng.random(n) < 0.1, 5.0, 0.0)
    for bad in (skewed, heavy, clusters):
        assert energy_statistic(whitened(bad)).effect > mean + 5 * std


def test_bad_input_is_explained():
    y = np.random.default_rng(0).standard_normal((100, 2))
    with pytest.raises(InputError, match="at least 2 blocks of 60 codes, got 1"):
        energy_blocks(y, rows=60)
    with pytest.raises(InputError, match="at least 2 codes"):
        energy_statistic(y[:1])
    with pytest.raises(InputError, match="rows must be"):
        energy_blocks(y, rows=1)
    with pytest.raises(InputError, match="must be finite"):
        energy_statistic(np.where(y > 2, np.inf, y))
