"""The box samplers, as the experiments used them: cubes of four sizes, an interval per component."""

import numpy as np
import pytest
from scipy import stats

from latentshape.errors import InputError
from latentshape.samplers.uniform import Cube, Intervals


def normal_codes(n=50_000, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((n, 4)) * [4, 2, 1, 0.1] + [0, 5, -3, 1]).astype(np.float32)


def literal_half_widths(z, n_bins):
    """Half-widths at half maximum, from plain histograms and the outermost bins above half."""
    widths = []
    for x in z.T:
        counts, edges = np.histogram(x, n_bins)
        above = np.flatnonzero(counts >= counts.max() / 2)
        widths.append((edges[above[-1] + 1] - edges[above[0]]) / 2)
    return np.array(widths)


# b, mean length and its standard deviation: b sqrt(N/3) and b / sqrt(15) at N = 256.
@pytest.mark.parametrize(
    ("b", "length", "spread"),
    [(1, 9.24, 0.26), (1.5, 13.86, 0.39), (2, 18.48, 0.52), (5, 46.19, 1.29)],
)
def test_published_cubes_fill_their_shell(b, length, spread):
    sampler = Cube(b=b).fit(np.ones((3, 256)))
    for x in (sampler.sample(512), sampler.sample_at(range(512))):
        assert np.abs(x).max() <= b
        assert np.abs(x).max() > 0.999 * b
        lengths = np.linalg.norm(x.astype(np.float64), axis=1)
        # The formula for the mean is that of the mean square, larger by spread² / (2 length).
        bias = spread**2 / (2 * length)
        assert lengths.mean() == pytest.approx(length - bias, abs=5 * spread / np.sqrt(512) + 0.005)
        assert lengths.std() == pytest.approx(spread, rel=0.16)
        for place in (0, 100, 255):
            assert stats.kstest(x[:, place], stats.uniform(-b, 2 * b).cdf).pvalue > 1e-4
    corner = np.array([np.full(256, b), np.full(256, 1.01 * b)])
    assert sampler.log_prob(corner).tolist() == [pytest.approx(-256 * np.log(2 * b)), -np.inf]
    assert np.allclose(sampler.cov_, b**2 / 3 * np.eye(256))
    assert not sampler.mean_.any()


@pytest.mark.parametrize("fact", [0.5, 1.0, 2.0])
def test_intervals_are_the_mean_and_half_width_times_fact(fact):
    z = normal_codes()
    sampler = Intervals(fact=fact).fit(z)
    half = (sampler.high_ - sampler.low_) / 2
    assert np.allclose(half, fact * np.sqrt(2 * np.log(2)) * z.std(axis=0), rtol=0.05)
    assert np.allclose(half, fact * literal_half_widths(z, 40), rtol=0.2)
    assert np.allclose((sampler.high_ + sampler.low_) / 2, z.mean(axis=0, dtype=float), rtol=1e-5)
    x = sampler.sample(20_000)
    assert (np.abs(x - sampler.mean_) <= half * (1 + 1e-5)).all()
    for j in range(4):
        law = stats.uniform(sampler.low_[j], 2 * half[j])
        assert stats.kstest(x[:, j], law.cdf).pvalue > 1e-4
    assert np.abs(np.corrcoef(x.T) - np.eye(4)).max() < 5 / np.sqrt(20_000)
    assert np.allclose(np.diag(sampler.cov_), half**2 / 3)


def test_intervals_ignore_correlations():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((5000, 2)) @ [[1, 0.9], [0, 0.436]]
    x = Intervals().fit(z).sample(20_000)
    assert np.corrcoef(z.T)[0, 1] > 0.85
    assert abs(np.corrcoef(x.T)[0, 1]) < 5 / np.sqrt(20_000)


@pytest.mark.parametrize("value", [0, -1.5, np.nan, np.inf, "1.5", True, [1.0]])
@pytest.mark.parametrize(("kind", "option"), [(Cube, "b"), (Intervals, "fact")])
def test_bad_sizes_are_named(kind, option, value):
    with pytest.raises(
        InputError, match=f"{option} must be a finite number above 0, got .*; choose"
    ):
        kind(**{option: value}).fit(normal_codes(100))


def test_a_fact_must_be_given():
    with pytest.raises(InputError, match="fact must be a finite number above 0, got None"):
        Intervals(fact=None).fit(normal_codes(100))


@pytest.mark.parametrize("sampler", [Cube(b=1e39), Intervals(fact=1e38)])
def test_boxes_beyond_single_precision_are_refused(sampler):
    with pytest.raises(InputError, match=r"single precision, up to 1e\+30, .* would reach \d"):
        sampler.fit(normal_codes(100))
