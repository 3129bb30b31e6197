"""All pairs at once: Mardia's numbers per pair, coverage, and the planted pair that must come first."""

import numpy as np
import pytest
from scipy import stats

from latentshape._checks import row_blocks
from latentshape.errors import InputError
from latentshape.shape import Moments, compiled, coverage, expected_coverage, screening
from latentshape.shape.screening import (
    ChosenCoverage,
    PairScreening,
    coverage_error,
    pair_kurtosis_errors,
    screen_pairs,
)
from latentshape.shape.streaming import stream


def cloud(n=3000, d=6, seed=0, offset=3.0):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, d)) + 0.3 * rng.exponential(size=(n, d))
    return (z @ rng.standard_normal((d, d)) + offset).astype(np.float32)


def normal(n=20_000, d=12, seed=0):
    rng = np.random.default_rng(seed)
    mixing = np.eye(d) + 0.2 * rng.standard_normal((d, d))
    return rng.standard_normal((n, d)) @ mixing, mixing, rng


def mardia(x):
    """b1 and b2 as Mardia wrote them, by the n x n matrix, in float64."""
    x = x.astype(np.float64) - x.mean(axis=0, dtype=np.float64)
    products = x @ np.linalg.inv(x.T @ x / len(x)) @ x.T
    return (products**3).mean(), (np.diag(products) ** 2).mean()


@pytest.mark.parametrize("offset", [0.0, 200.0, 2e4])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_each_pair_has_mardias_numbers(dtype, offset):
    z = cloud(n=350, offset=offset).astype(dtype)
    found = PairScreening(Moments.of(z))
    stream((z[a : a + 128] for a in range(0, 350, 128)), found)
    assert len(found.pairs) == 15
    for (i, j), skewness, kurtosis in zip(found.pairs, found.skewness, found.kurtosis, strict=True):
        b1, b2 = mardia(z[:, [i, j]])
        assert skewness == pytest.approx(b1, rel=1e-3, abs=1e-5)
        assert kurtosis == pytest.approx(b2 - 8, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("r", [0.95, 0.999])
def test_strong_correlation_costs_no_digits(r):
    rng = np.random.default_rng(1)
    a, b = rng.standard_t(7, (2, 2000))
    z = np.stack([a, r * a + np.sqrt(1 - r**2) * b, b], axis=1).astype(np.float32)
    found = screen_pairs(z)
    b1, b2 = mardia(z[:, :2])
    assert found.kurtosis[0] == pytest.approx(b2 - 8, rel=1e-5)
    assert found.skewness[0] == pytest.approx(b1, rel=1e-5)


def test_numbers_do_not_depend_on_scale_order_or_sign():
    z = cloud()
    turned = z[:, ::-1] * np.float32([-1, 2, 8, -0.5, 4, 1]) + np.float32(8.0)
    a, b = screen_pairs(z), screen_pairs(turned)
    order = {tuple(pair): k for k, pair in enumerate(b.pairs.tolist())}
    back = [order[(5 - j, 5 - i)] for i, j in a.pairs.tolist()]
    assert np.allclose(a.kurtosis, b.kurtosis[back], atol=1e-4)
    assert np.allclose(a.skewness, b.skewness[back], atol=1e-5)


def test_errors_under_normality_are_those_of_simulation():
    """z-scores have variance 1 and p-values are uniform, over many small normal sets."""
    rng = np.random.default_rng(2)
    n = 200
    kurtosis, p, inside = [], [], []
    for _ in range(1000):
        z = rng.standard_normal((n, 2)) @ np.array([[1.0, 0.5], [0.0, 0.7]]) + 3
        moments = Moments.of(z)
        found, counted = PairScreening(moments), ChosenCoverage(moments)
        stream([z], found, counted)
        kurtosis.append(found.kurtosis[0])
        p.append(found.skewness_p[0])
        inside.append(counted.observed()[0])
    mean, error = pair_kurtosis_errors(n)
    assert np.mean(kurtosis) == pytest.approx(mean, abs=5 * error / np.sqrt(1000))
    assert np.std(kurtosis) == pytest.approx(error, rel=0.15)
    assert stats.kstest(p, "uniform").statistic < 0.08  # chi-squared is a limit in n
    spread = np.std(inside, axis=0)
    assert spread == pytest.approx(coverage_error(screening.SIGMAS, n), rel=0.1)
    # That is far from binomial: the ellipse follows the codes.
    share = expected_coverage(2.0)
    assert spread[2] < 0.75 * np.sqrt(share * (1 - share) / n)


def test_a_gaussian_set_raises_no_alarm():
    z, _, _ = normal()
    moments = Moments.of(z)
    found, counted = PairScreening(moments), ChosenCoverage(moments)
    stream(row_blocks(z), found, counted)
    assert np.abs(found.kurtosis_z).max() < 4.5
    assert found.skewness_p.min() > 1e-4
    assert np.abs(counted.deviation()).max() < 4.5


def by_sign(rng, n):
    """Normal margins, correlation 0, and all codes on two lines."""
    u = rng.standard_normal(n)
    return np.stack([u, np.where(np.abs(u) < 1.53817, u, -u)], axis=1)


def by_ring(rng, n):
    """Half at the centre, half on a ring of radius 2: unit variances and b2 = 8, as if normal."""
    angle = rng.uniform(0, 2 * np.pi, n)
    radius = np.where(rng.random(n) < 0.5, 0.05, 2.0) * (1 + 0.01 * rng.standard_normal(n))
    return radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)


@pytest.mark.parametrize("plant", [by_sign, by_ring])
def test_a_planted_pair_of_equal_moments_comes_first(plant):
    z, mixing, rng = normal()
    mixing[[3, 8]], mixing[:, [3, 8]] = 0.0, 0.0
    z = rng.standard_normal(z.shape) @ mixing
    z[:, [3, 8]] = 5.0 + 2.0 * plant(rng, len(z))
    moments = Moments.of(z)
    assert moments.cov[np.ix_([3, 8], [3, 8])] == pytest.approx(4.0 * np.eye(2), abs=0.15)
    counted = ChosenCoverage(moments)
    found = screen_pairs(z, moments)
    stream(row_blocks(z), counted)
    first, second = counted.worst(2)
    assert (first.i, first.j) == (3, 8)
    assert abs(first.z) > 20
    assert abs(first.z) > 1.2 * abs(second.z)
    if plant is by_sign:  # its margins are normal, so that no other pair is touched
        assert abs(second.z) < 5
        worst, next_worst = found.worst(2)
        assert (worst.i, worst.j) == (3, 8)
        assert worst.kurtosis == pytest.approx(4.0, abs=0.5)
        assert worst.kurtosis_z > 20
        assert abs(next_worst.kurtosis_z) < 5
    else:  # kurtosis alone would not have found it
        planted = found.pairs.tolist().index([3, 8])
        assert abs(found.kurtosis[planted]) < 0.3


def test_a_skewed_pair_comes_first_by_skewness():
    z, _, rng = normal()
    z[:, 5] = rng.standard_normal(len(z))
    z[:, 9] = (z[:, 5] ** 2 - 1) / np.sqrt(2) * 0.3 + rng.standard_normal(len(z))
    worst = screen_pairs(z).worst(1, by="skewness")[0]
    assert (worst.i, worst.j) == (5, 9)
    assert worst.skewness_p < 1e-100


def test_coverage_is_that_of_every_code_counted():
    z = cloud()
    moments = Moments.of(z)
    chosen = [(4, 1), (0, 5), (1, 4)]
    counted = ChosenCoverage(moments, chosen, sigmas=(1.0, 2.2))
    stream(row_blocks(z, 999), counted)
    assert counted.pairs.tolist() == [list(pair) for pair in chosen]
    for (i, j), observed in zip(chosen, counted.observed(), strict=True):
        centred = z[:, [i, j]].astype(np.float64) - moments.mean[[i, j]]
        inverse = np.linalg.inv(moments.cov[np.ix_([i, j], [i, j])])
        squared = np.einsum("ij,jk,ik->i", centred, inverse, centred)
        assert observed == pytest.approx([(squared <= k * k).mean() for k in (1, 2.2)], abs=4e-4)
    everything = ChosenCoverage(moments)
    stream(row_blocks(z), everything)
    other = coverage(z, moments)
    place = {tuple(pair): k for k, pair in enumerate(other.pairs.tolist())}
    order = [place[tuple(pair)] for pair in everything.pairs.tolist()]
    assert np.abs(everything.observed() - other.observed()[order]).max() <= 2 / len(z)


@pytest.mark.parametrize("by_numba", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_counts_are_the_same_whoever_counts(by_numba, dtype):
    if by_numba:
        pytest.importorskip("numba")
    z = cloud(n=1500, d=9).astype(dtype)
    moments = Moments.of(z)
    alone = ChosenCoverage(moments, compiled=False)
    other = ChosenCoverage(moments, compiled=by_numba, workers=3)
    stream(row_blocks(z), alone)
    stream((z[a : a + 601] for a in range(0, 1500, 601)), other)
    assert np.array_equal(alone.counts, other.counts)


def test_without_numba_numpy_counts(monkeypatch):
    monkeypatch.setattr(compiled, "_loops", lambda: None)
    monkeypatch.setattr(screening, "_COMPILE_FROM", 0)
    z = cloud(n=300)
    counted = ChosenCoverage(Moments.of(z))
    stream(row_blocks(z), counted)
    assert counted.observed()[:, 2].min() > 0.8
    with pytest.raises(InputError, match="need Numba, which is not installed"):
        ChosenCoverage(Moments.of(z), compiled=True)


def test_degenerate_pairs_are_left_out_or_refused():
    z = cloud(d=4)
    z[:, 1] = z[:, 0]
    z[:, 3] = 1.0
    moments = Moments.of(z)
    found = screen_pairs(z, moments)
    assert found.pairs.tolist() == [[0, 2], [1, 2]]
    assert np.isfinite(found.kurtosis).all()
    assert [w[:2] for w in found.worst()] == [(0, 2), (1, 2)]
    assert ChosenCoverage(moments).pairs.tolist() == [[0, 2], [1, 2]]
    for pair in ((0, 1), (2, 3)):
        with pytest.raises(InputError, match="must vary in two directions"):
            ChosenCoverage(moments, [pair])
    nothing = screen_pairs(cloud(d=1))
    assert nothing.worst() == []
    assert len(nothing.kurtosis) == 0


def test_what_cannot_be_screened_is_said():
    z = cloud()
    moments = Moments.of(z)
    with pytest.raises(InputError, match="integer of at least 4, got 3"):
        screen_pairs(z[:3])
    with pytest.raises(InputError, match=r"integers of shape \(p, 2\)"):
        ChosenCoverage(moments, [0, 1])
    with pytest.raises(InputError, match="two different components from 0 to 5"):
        ChosenCoverage(moments, [(0, 1), (2, 2)])
    with pytest.raises(InputError, match="by must be 'kurtosis' or 'skewness', got 'size'"):
        screen_pairs(z).worst(by="size")
    z[3, 2] = np.inf
    with pytest.raises(InputError, match="NaN or infinite"):
        screen_pairs(z)
