"""The law of the radius, and the planes it foretells."""

import numpy as np
import pytest
from scipy import integrate, stats

from latentshape.errors import InputError
from latentshape.shape import MahalanobisLaw, Moments, coverage, mahalanobis_squared
from latentshape.shape.radius_law import (
    QQ_LEVELS,
    Radii,
    RadiusLaw,
    TFit,
    fit_t,
    predicted_coverage,
    radius_law,
)


def t_radii(n, d, nu, seed=0):
    rng = np.random.default_rng(seed)
    return np.sqrt(rng.chisquare(d, n) * nu / rng.chisquare(nu, n))


def t_cloud(n, d, nu, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, d)) * np.sqrt(nu / rng.chisquare(nu, (n, 1)))
    return (z @ rng.standard_normal((d, d)) + 3).astype(np.float32)


@pytest.mark.parametrize(("n", "d"), [(40, 3), (400, 16), (5000, 64)])
def test_the_exact_radii_of_all_components_foretell_the_exact_law_of_two(n, d):
    """A marginal of a normal sample has MahalanobisLaw(n, 2): an identity of beta laws."""
    law, pair = MahalanobisLaw(n, d), MahalanobisLaw(n, 2)
    shares = (np.arange(400_000) + 0.5) / 400_000
    predicted = predicted_coverage(np.sqrt(law.quantile(shares)), d)
    wanted = pair.cdf(np.square([1, 1.5, 2, 2.5, 3]))
    assert np.allclose(predicted, wanted, atol=2e-6)


def test_in_a_plane_the_prediction_counts():
    radii = np.array([0.5, 1.0, 1.5, 2.5])
    assert predicted_coverage(radii, 2, (0.7, 1.2, 3.0)).tolist() == [0.25, 0.5, 1.0]


def test_prediction_agrees_with_draws_of_directions():
    rng = np.random.default_rng(0)
    radii = t_radii(200_000, 6, 5)
    u = rng.standard_normal((200_000, 6))
    u /= np.linalg.norm(u, axis=1)[:, None]
    length = radii * np.hypot(u[:, 0], u[:, 1])
    for k, share in zip((1, 2, 3), predicted_coverage(radii, 6, (1, 2, 3))):
        assert share == pytest.approx((length <= k).mean(), abs=5 * np.sqrt(0.25 / 200_000))


@pytest.mark.parametrize(("d", "nu"), [(1, 4.0), (8, 3.0), (64, 20.0), (64, 1.5)])
def test_nu_is_found_within_its_error(d, nu):
    scores = []
    for seed in range(10):
        fit = fit_t(3 * t_radii(5000, d, nu, seed), d)
        scores.append((fit.inverse_nu - 1 / nu) / fit.inverse_nu_error)
        assert fit.nu_error == pytest.approx(fit.nu**2 * fit.inverse_nu_error)
        assert fit.scale == pytest.approx(3, rel=0.15)
    assert np.abs(scores).max() < 4
    assert 0.4 < np.std(scores) < 1.8


def test_the_information_is_that_of_the_likelihood():
    """Second differences of the log-likelihood at its maximum, independent of the formula."""
    d, nu, n = 10, 7.0, 400_000
    radii = t_radii(n, d, nu)
    fit = fit_t(radii, d)

    def loss(b, log_c):
        nu = 2 * b
        scale = np.sqrt(np.exp(log_c) / nu)
        return -TFit(nu, 0, 0, 0, scale, d).log_density(radii).sum()

    b, log_c = fit.nu / 2, np.log(fit.nu * fit.scale**2)
    e = 1e-2
    second = np.empty((2, 2))
    for i, u in enumerate(np.eye(2) * e):
        for j, v in enumerate(np.eye(2) * e):
            at = [loss(b + s * u[0] + t * v[0], log_c + s * u[1] + t * v[1])
                  for s, t in ((1, 1), (1, -1), (-1, 1), (-1, -1))]  # fmt: skip
            second[i, j] = (at[0] - at[1] - at[2] + at[3]) / (4 * e * e)
    assert fit.nu_error == pytest.approx(2 * np.sqrt(np.linalg.inv(second)[0, 0]), rel=0.02)


def test_a_normal_law_has_no_nu():
    rng = np.random.default_rng(1)
    d, n = 32, 20_000
    inverse = []
    for _ in range(8):
        fit = fit_t(np.sqrt(rng.chisquare(d, n)), d)
        inverse.append(fit.inverse_nu / fit.inverse_nu_error)
        assert fit.scale == pytest.approx(1, rel=0.02)
    assert max(inverse) < 4
    assert fit_t(np.sqrt(np.linspace(0.9, 1.1, 100)), d).nu == np.inf


@pytest.mark.parametrize("nu", [4.0, np.inf])
def test_the_t_law_is_scipys(nu):
    d, s = 6, 1.7
    fit = TFit(nu, 0, 0, 0, s, d)
    squared = stats.chi2(d, scale=s**2) if np.isinf(nu) else stats.f(d, nu, scale=d * s**2)
    r = np.array([0.3, 2.0, 6.0, 40.0])[: 3 if np.isinf(nu) else 4]
    assert np.allclose(fit.cdf(r), squared.cdf(r**2))
    assert np.allclose(fit.log_density(r), squared.logpdf(r**2) + np.log(2 * r))
    shares = np.array([1e-6, 0.2, 0.5, 0.9, 1 - 1e-9])
    assert np.allclose(fit.quantile(shares), np.sqrt(squared.ppf(shares)))


@pytest.mark.parametrize("kind", ["t", "chi", "two scales", "thin"])
def test_the_smooth_law_is_a_law(kind):
    rng = np.random.default_rng(0)
    n, d = 20_000, 16
    radii = {
        "t": t_radii(n, d, 5),
        "chi": np.sqrt(rng.chisquare(d, n)),
        "two scales": np.sqrt(rng.chisquare(d, n)) * rng.choice([0.6, 1.3], n),
        "thin": np.sqrt(d) * (1 + 0.01 * rng.standard_normal(n)),
    }[kind]
    law = RadiusLaw(radii, d)
    assert stats.kstest(radii, law.cdf).statistic < 1.63 / np.sqrt(n)
    shares = np.array([1e-7, 1e-3, 0.1, 0.5, 0.9, 0.999, 1 - 1e-7])
    assert np.allclose(law.cdf(law.quantile(shares)), shares, rtol=1e-4, atol=1e-9)
    assert (np.diff(law.quantile(shares)) > 0).all()
    cells = np.linspace(*law.quantile([1e-5, 1 - 1e-5]), 20_001)
    assert integrate.trapezoid(law.density(cells), cells) == pytest.approx(1, abs=1e-3)


def test_beyond_the_codes_it_goes_on_as_the_t():
    """For t(5) radii the quantiles far outside are known, and reached from 20,000 radii."""
    d, nu = 16, 5.0
    law = RadiusLaw(t_radii(20_000, d, nu), d)
    for share in (1e-5, 1 - 1e-5, 1 - 1e-7):
        wanted = np.sqrt(d * stats.f.ppf(share, d, nu))
        assert law.quantile(share) == pytest.approx(wanted, rel=0.2)


def test_two_sigma_is_the_blind_spot():
    """The share at 2σ moves least under any mild spread of scales, and at 1σ and 3σ most."""
    z = t_cloud(20_000, 32, 12)
    record = radius_law(z, control=False)
    rows = {row["sigma"]: row for row in record["coverage"]}
    moved = {k: row["predicted"] - row["normal"] for k, row in rows.items()}
    assert abs(moved[2.0]) < abs(moved[1.0]) / 8
    assert moved[1.0] > 0 > moved[3.0]
    assert record["blind_sigma"] == pytest.approx(2.0, abs=0.1)
    for row in rows.values():
        assert row["observed"] == pytest.approx(row["predicted"], abs=row["error_at_most"])


def test_where_the_cloud_is_not_elliptical_the_planes_do_not_obey():
    """Independent heavy components: the radii foretell almost a normal plane, the pairs are none."""
    z = np.random.default_rng(0).standard_t(4, (20_000, 32))
    rows = {row["sigma"]: row for row in radius_law(z, control=False)["coverage"]}
    assert abs(rows[1.0]["observed"] - rows[1.0]["predicted"]) > 8 * rows[1.0]["error_at_most"]


def test_the_record_of_a_t_cloud():
    z = t_cloud(12_000, 16, 8)
    record = radius_law(z, seed=1)
    moments = Moments.of(z)
    assert record["t"]["nu"] == pytest.approx(8, abs=5 * record["t"]["nu_error"])
    qq = record["qq"]
    assert len(qq["levels"]) == len(qq["codes"]) == len(qq["exact"]) == len(qq["control"])
    radii = np.sqrt(mahalanobis_squared(z, moments))
    middle = QQ_LEVELS.index(0.5)
    assert qq["codes"][middle] == pytest.approx(np.median(radii))
    assert qq["control"][middle] == pytest.approx(qq["exact"][middle], rel=5e-3)
    assert qq["codes"][-2] > 1.5 * qq["exact"][-2]
    held_out = record["held_out"]
    assert held_out["t"] > held_out["normal"] + 0.1
    assert abs(held_out["advantage_over_t"]) < 0.01
    observed = coverage(z, moments).observed().mean(axis=0)
    assert [row["observed"] for row in record["coverage"]] == pytest.approx(observed.tolist())
    for row in record["coverage"]:
        control = row["control"]
        assert control["observed"] == pytest.approx(row["normal"], abs=2 * row["error_at_most"])


def test_a_radius_that_is_no_t_is_known_by_held_out_radii():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((8000, 12)) * rng.choice([0.5, 1.5], (8000, 1))
    held_out = radius_law(z, control=False)["held_out"]
    assert held_out["advantage_over_t"] > 10 * held_out["advantage_error"]


def test_of_many_codes_a_subsample_is_kept():
    z = np.random.default_rng(0).standard_normal((30_000, 4)).astype(np.float32)
    moments = Moments.of(z)
    part = Radii(moments, limit=5000)
    for start in range(0, 30_000, 4096):
        part.update(z[start : start + 4096])
    assert part.n_total == 30_000
    assert 4000 < part.n_used <= 5000
    every = np.sqrt(mahalanobis_squared(z, moments))
    assert stats.ks_2samp(part.result(), every).pvalue > 1e-3
    assert np.isin(part.result(), every).all()


def test_bins_do_not_change_the_fit():
    radii = t_radii(300_000, 12, 6)
    fit = fit_t(radii, 12)
    again = fit_t(radii[:131_072], 12)
    assert fit.nu == pytest.approx(again.nu, abs=4 * again.nu_error)
    loss = [-TFit(nu, 0, 0, 0, fit.scale, 12).log_density(radii).mean()
            for nu in (fit.nu * 0.995, fit.nu, fit.nu * 1.005)]  # fmt: skip
    assert loss[1] < min(loss[0], loss[2]) + 1e-6


def test_small_and_flat_clouds():
    rng = np.random.default_rng(0)
    for n, d in ((40, 1), (40, 2), (60, 5)):
        record = radius_law(rng.standard_normal((n, d)))
        assert "why" in record["held_out"]
        assert (record["coverage"] == []) == (d == 1)
    with pytest.raises(InputError, match=r"needs n > d \+ 1"):
        radius_law(np.eye(3))
    with pytest.raises(InputError, match="radii must be at least two numbers"):
        fit_t(np.ones((3, 2)), 2)
    with pytest.raises(InputError, match="radii must be finite, not negative"):
        RadiusLaw([1.0, -1.0], 2)
