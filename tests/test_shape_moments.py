"""Streamed moments against float64 references, off-centre, merged, singular."""

import numpy as np
import pytest
from scipy import stats

from latentshape._checks import row_blocks
from latentshape.errors import InputError
from latentshape.shape import PCA, Moments
from latentshape.shape.moments import PowerSums, normal_errors, singular_why
from latentshape.shape.streaming import stream


def off_centre(offset, n=20_000, d=12, dtype=np.float32):
    rng = np.random.default_rng(3)
    spectrum = np.sqrt((1.0 + np.arange(d)) ** -0.9)
    turn = np.linalg.qr(rng.standard_normal((d, d)))[0]
    return ((rng.standard_normal((n, d)) * spectrum) @ turn + offset).astype(dtype)


@pytest.mark.parametrize("offset", [0, 1, 4, 16, 64])
def test_moments_are_exact_far_from_the_centre(offset):
    z = off_centre(offset)
    moments, wide = Moments.of(z), z.astype(np.float64)
    std = wide.std(axis=0, ddof=1)
    assert moments.n == len(z)
    assert np.abs((moments.mean - wide.mean(axis=0)) / std).max() < 1e-7
    assert np.abs(moments.correlation() - np.corrcoef(wide.T)).max() < 3e-7
    exact = np.linalg.eigvalsh(np.cov(wide.T))[::-1]
    assert np.abs(PCA.of(moments).eigenvalues / exact - 1).max() < 1e-6


def test_float64_codes_keep_float64_accuracy():
    z = off_centre(16, dtype=np.float64)
    assert np.allclose(Moments.of(z).cov, np.cov(z.T), rtol=1e-12, atol=1e-13)


def test_sorted_codes_are_no_harder():
    z = off_centre(0)
    z[:, 0] += np.linspace(-100, 100, len(z), dtype=np.float32)
    wide = z.astype(np.float64)
    assert np.abs(Moments.of(z).correlation() - np.corrcoef(wide.T)).max() < 1e-6


def test_a_narrow_spectrum_end_is_resolved():
    """Components that almost coincide get a second read with float64 products."""
    z = off_centre(8)
    z[:, 1] = z[:, 0] + 1e-4 * z[:, 1]
    exact = np.linalg.eigvalsh(np.corrcoef(z.T.astype(np.float64)))
    got = np.linalg.eigvalsh(Moments.of(z).correlation())
    assert exact[0] < 1e-6
    assert got[0] == pytest.approx(exact[0], rel=1e-4)


def test_parts_merge_to_the_whole():
    z = off_centre(5)
    whole = Moments.of(z)
    merged = Moments.of(z[:7]).merge(Moments.of(z[7:9000])).merge(Moments.of(z[9000:]))
    assert merged.n == whole.n
    assert np.allclose(merged.mean, whole.mean, rtol=1e-7)
    assert np.allclose(merged.cov, whole.cov, rtol=1e-6, atol=1e-7)


def test_memory_map_fortran_order_and_half_precision_agree(tmp_path):
    z = off_centre(1).astype(np.float16)
    on_disk = np.lib.format.open_memmap(tmp_path / "z.npy", "w+", z.dtype, z.shape)
    on_disk[:] = z
    wanted = Moments.of(z.astype(np.float32))
    for other in (z, on_disk, np.asfortranarray(z.astype(np.float32))):
        assert np.array_equal(Moments.of(other).cov, wanted.cov)


@pytest.mark.parametrize("offset", [0, 64])
def test_skewness_and_kurtosis_are_scipys(offset):
    rng = np.random.default_rng(0)
    z = (rng.gamma(3.0, size=(20_000, 4)) + offset).astype(np.float32)
    moments = Moments.of(z)
    powers = PowerSums(moments)
    stream(row_blocks(z), powers)
    skewness, kurtosis = powers.result()
    wide = z.astype(np.float64)
    assert np.allclose(skewness, stats.skew(wide), atol=1e-5)
    assert np.allclose(kurtosis, stats.kurtosis(wide), atol=1e-4)


def test_normal_errors_are_those_of_normal_numbers():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((20_000, 50))
    skewness, kurtosis = normal_errors(50)
    assert stats.skew(x, axis=1).std() == pytest.approx(skewness, rel=0.03)
    assert stats.kurtosis(x, axis=1).std() == pytest.approx(kurtosis, rel=0.03)


def test_factor_rebuilds_any_covariance():
    z = off_centre(0)
    z[:, 3] = 2.0
    z[:, 5] = z[:, 4]
    for codes, rank in ((off_centre(0), 12), (z, 10), (z[:5], 4)):
        moments = Moments.of(codes)
        factor = moments.factor()
        assert factor.shape == (12, rank)
        assert np.allclose(factor @ factor.T, moments.cov, atol=1e-9)


def test_singular_covariances_are_explained():
    z = off_centre(0)
    assert singular_why(Moments.of(z)) is None
    assert "more codes than dimensions" in singular_why(Moments.of(z[:12]))
    doubled = np.concatenate([z, z[:, :1]], axis=1)
    assert "linearly dependent" in singular_why(Moments.of(doubled))
    z[:, 7] = 0.1
    assert singular_why(Moments.of(z)) == "1 components are constant (7)"
    wide = z.astype(np.float64)
    wide[:, 7] = 0.1
    assert singular_why(Moments.of(wide)) == "1 components are constant (7)"
    assert np.isfinite(Moments.of(z).correlation()).all()


def test_bad_codes_are_refused():
    z = off_centre(0, n=50)
    z[3, 2] = np.inf
    with pytest.raises(InputError, match=r"in 1 of 50 rows \(3\)"):
        Moments.of(z)
    with pytest.raises(InputError, match="at least 2 codes"):
        Moments.of(z[:1])
    with pytest.raises(InputError, match="divide the codes by a constant"):
        Moments.of(np.array([[1e30], [-1e30]], dtype=np.float32))
