"""Clouds whose law is known are told apart by the statistic meant for it.

A Gaussian must pass; a heavy radius, which no pair of components shows at 2σ, must be caught by
the variance of the Mahalanobis radii; skewness by the components; correlation by the pairs.
"""

import numpy as np
import pytest

from latentshape.shape import measure

N, D = 16_000, 64


def mixed(white, seed=9, offset=2.0):
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.standard_normal((D, D)))[0]
    spectrum = np.sqrt((1.0 + np.arange(D)) ** -0.9)
    return ((white * spectrum) @ turn + offset).astype(np.float32)


@pytest.fixture(scope="module")
def gaussian():
    rng = np.random.default_rng(0)
    both = mixed(rng.standard_normal((N + 4000, D)))
    return measure(both[:N], held_out=both[N:], deep=False)


@pytest.fixture(scope="module")
def heavy():
    """Multivariate t with 8 degrees of freedom: elliptical, jointly far from normal."""
    rng = np.random.default_rng(1)
    radius = np.sqrt(8 / rng.chisquare(8, (N, 1)))
    return measure(mixed(rng.standard_normal((N, D)) * radius), deep=False)


def by_sigma(record):
    return {row["sigma"]: row for row in record["ellipses"]["coverage"]}


def test_a_gaussian_passes(gaussian):
    assert 0.9 < gaussian["mahalanobis"]["variance_ratio"] < 1.1
    assert 0.9 < gaussian["mahalanobis"]["control"]["variance_ratio"] < 1.1
    for row in by_sigma(gaussian).values():
        assert row["observed"] == pytest.approx(row["expected"], abs=2e-3)
        assert row["control"] == pytest.approx(row["expected"], abs=2e-3)
    summary = gaussian["component_summary"]
    assert summary["skewness_rms"] == pytest.approx(summary["skewness_error"], rel=0.3)
    assert summary["excess_kurtosis_rms"] == pytest.approx(
        summary["excess_kurtosis_error"], rel=0.3
    )
    assert summary["half_width_ratio"] == pytest.approx(1.0, abs=0.03)
    assert summary["fit_r2_min"] > 0.99


def test_held_out_codes_follow_their_own_law(gaussian):
    held_out = gaussian["mahalanobis"]["held_out"]
    assert held_out["n"] == 4000
    assert 0.88 < held_out["variance_ratio"] < 1.12
    assert held_out["mean"] == pytest.approx(held_out["expected"]["mean"], rel=0.01)
    assert held_out["control"]["mean"] == pytest.approx(held_out["expected"]["mean"], rel=0.01)


def test_a_heavy_radius_is_caught_by_its_variance(heavy):
    assert heavy["mahalanobis"]["variance_ratio"] > 10
    assert heavy["mahalanobis"]["mean"] == pytest.approx(64, rel=1e-3)
    assert 0.9 < heavy["mahalanobis"]["control"]["variance_ratio"] < 1.1


def test_two_sigma_is_the_blind_spot_of_pairs(heavy):
    rows = by_sigma(heavy)
    gap = {k: abs(row["observed"] - row["expected"]) for k, row in rows.items()}
    assert gap[2.0] < 0.012
    assert gap[1.0] > 4 * gap[2.0]
    assert rows[1.0]["observed"] > rows[1.0]["expected"]
    assert rows[3.0]["observed"] < rows[3.0]["expected"] - 3e-3


def test_skewness_is_caught_by_the_components():
    rng = np.random.default_rng(2)
    record = measure(rng.gamma(4.0, size=(N, D)), deep=False)
    summary = record["component_summary"]
    assert summary["skewness_rms"] == pytest.approx(1.0, rel=0.05)
    assert summary["skewness_rms"] > 20 * summary["control"]["skewness_rms"]
    assert summary["excess_kurtosis_mean"] == pytest.approx(1.5, rel=0.1)


def test_planted_pairs_and_dominant_components_are_found():
    rng = np.random.default_rng(3)
    z = rng.standard_normal((N, D))
    z[:, 5] = -0.8 * z[:, 2] + 0.6 * z[:, 5]
    z[:, 40] *= 4
    z[:, 7] += 3
    record = measure(z, deep=False)
    strongest = record["correlation"]["pairs"][0]
    assert (strongest["i"], strongest["j"]) == (2, 5)
    assert strongest["r"] == pytest.approx(-0.8, abs=0.02)
    assert list(record["correlation"]["counts"].values()) == [1] * 6
    assert record["component_summary"]["dominant"] == [7, 40]
    assert [j for j, c in enumerate(record["components"]) if c["dominant"]] == [7, 40]
    assert record["component_summary"]["dominant_share_of_offset"] > 0.99
    assert record["centre"]["offset_sigma"] == pytest.approx(3.0, rel=0.05)


def test_a_cube_is_seen_as_a_thin_shell():
    rng = np.random.default_rng(4)
    record = measure(rng.uniform(-1.5, 1.5, (N, D)), deep=False)
    radius = record["radius"]
    assert radius["best_cube_b"] == pytest.approx(1.5, rel=1e-3)
    assert radius["std"] == pytest.approx(radius["cube"]["std"], rel=0.03)
    assert record["component_summary"]["excess_kurtosis_mean"] == pytest.approx(-1.2, abs=0.03)
    assert record["mahalanobis"]["variance_ratio"] < 0.6
