"""Is a cloud elliptical? Elliptical ones pass whatever their radius; the others are named."""

import numpy as np
import pytest
from scipy import stats

from latentshape.shape import joint_law
from latentshape.shape.joint_law import TOLERANCES, ellipticity


def mixed(x, seed=7, offset=4.0):
    d = x.shape[1]
    rng = np.random.default_rng(seed)
    return (x @ rng.standard_normal((d, d)) + offset).astype(np.float32)


def elliptical(kind, n, d, seed):
    rng = np.random.default_rng((seed, d))
    g = rng.standard_normal((n, d))
    if kind == "t":
        g *= np.sqrt(5 / rng.chisquare(5, (n, 1)))
    elif kind == "scales":
        g *= rng.choice([0.5, 2.0], (n, 1))
    elif kind == "shell":
        g /= np.linalg.norm(g, axis=1)[:, None]
    return g


def not_elliptical(kind, n, d, seed=0):
    rng = np.random.default_rng((seed, d))
    g = rng.standard_normal((n, d))
    if kind == "exponential copula":
        correlated = g @ np.linalg.cholesky(0.5 * np.eye(d) + 0.5).T
        return -np.log(stats.norm.sf(correlated))
    if kind == "two clusters":
        g[:, 0] += rng.choice([-3.0, 3.0], n)
    elif kind == "radius by side":
        g *= 1 + 0.5 * (g[:, :1] > 0)
    elif kind == "radius by axis":
        u = g / np.linalg.norm(g, axis=1)[:, None]
        g *= 1 + 0.3 * np.sqrt(d) * np.abs(u[:, :1])
    elif kind == "independent t":
        g = rng.standard_t(5, (n, d))
    elif kind == "one skewed":
        g[:, 0] = rng.exponential(size=n)
    elif kind == "three rays":  # the plane's directions of degree 3, and radii alike
        angle = rng.choice([0.0, 2.0, 4.0], n) * np.pi / 3 + 0.4 * rng.standard_normal(n)
        length = np.linalg.norm(g[:, :2], axis=1)
        g[:, :2] = np.stack([np.cos(angle), np.sin(angle)], axis=1) * length[:, None]
    return g


def sphere(n, d, seed=0):
    u = np.random.default_rng(seed).standard_normal((n, d))
    return u / np.linalg.norm(u, axis=1)[:, None]


@pytest.mark.parametrize("d", [2, 3, 7, 40])
def test_the_harmonics_are_the_gegenbauer_polynomials(d):
    """All pairs by SciPy's polynomials; in the plane they are cosines of k times the angle."""
    u = sphere(700, d, d)
    s = joint_law._polar(u * np.random.default_rng(0).random((700, 1)))
    found = joint_law._harmonics(u, s) | {"mean direction": joint_law._mean_squared(u)}
    t = np.clip(u @ u.T, -1, 1)
    for name, k in (("mean direction", 1), ("axes", 2), ("skewness", 3), ("kurtosis", 4)):
        if d == 2:
            p = np.cos(k * np.arccos(t))
        else:
            from scipy.special import eval_gegenbauer

            p = eval_gegenbauer(k, d / 2 - 1, t) / eval_gegenbauer(k, d / 2 - 1, 1.0)
        assert found[name] == pytest.approx(p.mean(), rel=1e-8)
        if k == 2:
            weighted = s @ p @ s / len(u) ** 2
            assert found["radius by axis"] == pytest.approx(weighted, rel=1e-8)
    narrow = joint_law._harmonics(u.astype(np.float32), s.astype(np.float32))
    for name, value in narrow.items():
        assert value == pytest.approx(found[name], rel=2e-3, abs=1e-6)


@pytest.mark.parametrize("d", [2, 5, 64])
def test_the_law_of_a_coordinate(d):
    law = joint_law._coordinate_law(d)
    x = np.linspace(-0.99, 0.99, 97)
    assert np.allclose(law(x), stats.beta.cdf((1 + x) / 2, (d - 1) / 2, (d - 1) / 2), atol=1e-6)


def test_anderson_darling_is_scipys():
    x = np.random.default_rng(0).standard_normal((500, 2))
    found = joint_law._anderson_darling(x, stats.norm.cdf)
    for column, value in zip(x.T, found):
        shares = np.sort(stats.norm.cdf(column))
        i = np.arange(1, 501)
        wanted = -500 - np.mean((2 * i - 1) * (np.log(shares) + np.log(1 - shares[::-1])))
        assert value == pytest.approx(wanted)


def test_whitening_in_one_triangle_is_whitening():
    x = mixed(elliptical("t", 900, 6, 0))
    y, factor = joint_law._whitened(x)
    assert np.allclose(np.cov(y.T), np.eye(6), atol=1e-4)
    assert np.allclose(np.tril(factor) @ np.tril(factor).T, np.cov(x.T), rtol=1e-3, atol=1e-3)


def test_true_radii_are_those_about_the_other_rows():
    """The formula that spares n whitenings, against doing them."""
    x = elliptical("t", 60, 4, 1)
    y = np.linalg.solve(np.linalg.cholesky(np.cov(x.T)), (x - x.mean(axis=0)).T).T
    left_out = []
    for i in range(60):
        rest = np.delete(x, i, axis=0)
        delta = x[i] - rest.mean(axis=0)
        left_out.append(delta @ np.linalg.solve(np.cov(rest.T), delta))
    found = 2 * np.log(joint_law._true_radii(y))
    # Up to a common factor, which is whitened away, and a shrinking of the logarithms towards it.
    slope, _ = np.polyfit(np.log(left_out), found, 1)
    assert np.corrcoef(np.log(left_out), found)[0, 1] > 1 - 1e-8
    assert 0.9 < slope < 1


def test_a_shell_has_one_radius():
    """The spread of whitened radii is all noise of the covariance: almost none of it is kept."""
    y = joint_law._whitened(sphere(2000, 8))[0]
    measured = np.linalg.norm(y, axis=1)
    assert joint_law._true_radii(y).std() < 0.4 * measured.std()


@pytest.mark.parametrize(
    ("kind", "d"),
    [("t", 2), ("shell", 2), ("t", 12), ("scales", 12), ("shell", 12), ("normal", 12)],
)
def test_elliptical_clouds_pass(kind, d):
    pvalues = []
    for seed in range(3):
        z = mixed(elliptical(kind, 400, d, seed), seed)
        record = ellipticity(z, replicates=99, seed=seed)
        assert record["elliptical"], record["why"]
        pvalues.append(record["pvalue"])
    assert min(pvalues) > 0.01 or np.median(pvalues) > 0.2
    assert max(pvalues) > 0.1


@pytest.mark.parametrize(
    ("kind", "d", "meant"),
    [
        ("exponential copula", 6, "skewness"),
        ("two clusters", 8, "worst shadow"),
        ("radius by side", 8, "radius by side"),
        ("radius by axis", 8, "radius by axis"),
        ("independent t", 8, "kurtosis"),
        ("one skewed", 16, "worst shadow"),
        ("three rays", 2, "skewness"),
    ],
)
def test_the_others_are_caught_by_the_statistic_meant_for_them(kind, d, meant):
    z = mixed(not_elliptical(kind, 2000, d))
    record = ellipticity(z, replicates=99, n_used=1000)
    assert record["elliptical"] is False
    assert record["pvalue"] == 0.01
    found = record["statistics"][meant]
    assert found["z"] > 5
    assert found["effect"] > found["tolerance"] > found["null_effect"]
    assert meant in record["why"]


def test_a_departure_below_the_tolerance_is_elliptical_enough():
    """Significant at 2,000 codes, and smaller than what a sampler would show."""
    rng = np.random.default_rng(0)
    g = rng.standard_normal((2000, 2))
    g[:, 0] += 0.06 * (g[:, 0] ** 2 - 1)
    record = ellipticity(g, replicates=99)
    skewness = record["statistics"]["skewness"]
    assert skewness["effect"] < TOLERANCES["skewness"]
    if record["pvalue"] <= 0.01:
        assert record["elliptical"]
        assert "less than the tolerance" in record["why"]


def test_the_same_seed_gives_the_same_record_with_any_number_of_workers():
    z = mixed(elliptical("t", 400, 3, 0))
    one, two = ellipticity(z, replicates=99, workers=1), ellipticity(z, replicates=99, workers=3)
    assert one == two
    assert one != ellipticity(z, replicates=99, seed=1)


def test_what_cannot_be_judged_says_why():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((50, 4))
    flat = np.concatenate([z, z[:, :1]], axis=1)
    for codes, words in ((flat, "linearly dependent"), (z[:5], "n > d"), (z[:3], "more codes")):
        record = ellipticity(codes)
        assert record["elliptical"] is None
        assert words in record["why"]
    assert set(ellipticity(z[:12], replicates=99)["statistics"]) < set(TOLERANCES)
    line = ellipticity(rng.exponential(size=(800, 1)), replicates=99)
    assert line["elliptical"] is False  # one component is elliptical where it is symmetric
    assert ellipticity(rng.standard_t(3, (800, 1)), replicates=99)["elliptical"]
