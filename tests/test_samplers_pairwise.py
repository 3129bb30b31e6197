"""The pairwise-ellipse sampler's options: what it is fitted on, how it counts, and the other laws."""

import numpy as np
import pytest
from scipy import stats

from latentshape.errors import InputError
from latentshape.samplers import load_sampler
from latentshape.samplers.pairwise import PairwiseEllipse

TILTED = {"method": "sequential", "coordinates": "original"}
OTHERS = [{"method": "sequential"}, TILTED]
each = pytest.mark.parametrize("options", OTHERS, ids=["pca", "original"])

STATISTICS = {
    "maximum": lambda u: np.abs(u).max(axis=1),
    "first": lambda u: u[:, 0],
    "norm": lambda u: np.linalg.norm(u, axis=1),
    "sum": lambda u: u.sum(axis=1),
}


def cloud(n=3000, d=4, seed=0):
    rng = np.random.default_rng(seed)
    mixing = np.tril(rng.uniform(-1, 1, (d, d)), -1) + 1.5 * np.eye(d)
    return (rng.standard_normal((n, d)) @ mixing.T + 3.0).astype(np.float32)


def unit(sampler, x):
    """Coordinates of unit variance."""
    return (x.astype(np.float64) - sampler.mean_) @ (sampler.axes_.T / sampler.std_)


def widest_pair(u, r):
    """The largest Mahalanobis distance in any pair, with Pearson coefficients r, shape (n,)."""
    i, j = np.triu_indices(u.shape[1], 1)
    squared = (u[:, i] ** 2 - 2 * r[i, j] * u[:, i] * u[:, j] + u[:, j] ** 2) / (1 - r[i, j] ** 2)
    return np.sqrt(squared.max(axis=1))


def by_the_book(d, f, rng):
    """The published procedure for one code, in plain Python."""
    v = [rng.uniform(-f, f) for _ in range(d)]
    for p in rng.permutation(d * (d - 1) // 2):
        i, j = list(zip(*np.triu_indices(d, 1)))[p]
        if rng.random() < 0.5:
            i, j = j, i
        room = (f * f - v[i] ** 2) ** 0.5
        if abs(v[j]) > room:
            v[j] = rng.uniform(-room, room)
    return v


def agree(a, b):
    for what, of in STATISTICS.items():
        assert stats.ks_2samp(of(a), of(b)).pvalue > 1e-4, what


@pytest.mark.parametrize(("fact", "std", "radius"), [(0.7, 0.579, 4.07), (0.8, 0.66, 4.65)])
def test_the_published_procedure_has_the_tabled_spread(fact, std, radius):
    sampler = PairwiseEllipse(fact=fact, method="sequential").fit(cloud(3000, 50))
    u = unit(sampler, sampler.sample(2000))
    assert u.std() == pytest.approx(std, abs=4e-3)
    assert np.linalg.norm(u, axis=1).mean() == pytest.approx(radius, abs=0.04)
    stated = np.sqrt(np.diag(sampler.cov_) @ np.ones(50)) / np.linalg.norm(sampler.std_)
    assert stated == pytest.approx(std, abs=4e-3)


@pytest.mark.parametrize("d", [2, 3, 5])
def test_the_published_procedure_is_the_plain_loop_and_not_uniform(d):
    sampler = PairwiseEllipse(method="sequential").fit(cloud(2000, d))
    rng = np.random.default_rng(1)
    wanted = np.array([by_the_book(d, sampler.limit_, rng) for _ in range(3000)])
    for x in (sampler.sample(20_000), sampler.sample_at(range(3000))):
        agree(unit(sampler, x), wanted)
    uniform = PairwiseEllipse().fit(cloud(2000, d)).sample(20_000)
    largest = [np.abs(unit(sampler, x)).max(axis=1) for x in (sampler.sample(20_000), uniform)]
    assert 0.06 < stats.ks_2samp(*largest).statistic < 0.2


@pytest.mark.parametrize("d", [2, 3, 5])
def test_tilted_ellipses_are_filled_uniformly(d):
    sampler = PairwiseEllipse(**TILTED).fit(cloud(2000, d))
    f, r = sampler.limit_, sampler.correlation_
    cube = np.random.default_rng(1).uniform(-f, f, (1_000_000, d))
    wanted = cube[widest_pair(cube, r) <= f][:10_000]
    assert len(wanted) > 5000
    for x in (sampler.sample(10_000), sampler.sample_at(range(2000))):
        agree(unit(sampler, x), wanted)


def test_without_tilt_both_coordinates_give_one_law():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((300, 20))
    z = np.linalg.qr(z - z.mean(axis=0))[0] * np.linspace(2, 1, 20)  # exactly uncorrelated
    exact = PairwiseEllipse(fit_within=None).fit(z)
    swept = PairwiseEllipse(fit_within=None, **TILTED).fit(z)
    assert np.abs(swept.correlation_).max() < 1e-9
    agree(unit(swept, swept.sample(4000)), unit(exact, exact.sample(4000)))


@pytest.mark.parametrize("d", [1, 2, 5, 16])
@each
def test_no_draw_leaves_an_ellipse(options, d):
    z = cloud(1000, d)
    if d == 16:
        z += 8 * z[:, :1]  # strongly correlated: narrow ellipses
    sampler = PairwiseEllipse(**options).fit(z)
    u = unit(sampler, np.concatenate([sampler.sample(1500), sampler.sample_at(range(100))]))
    r = getattr(sampler, "correlation_", np.zeros((d, d)))
    widest = np.abs(u[:, 0]) if d == 1 else widest_pair(u, r)
    assert widest.max() <= sampler.limit_ * (1 + 1e-4)
    assert widest.max() > 0.99 * sampler.limit_


@each
def test_the_stated_moments_are_those_of_the_draws(options):
    sampler = PairwiseEllipse(**options).fit(cloud())
    x = sampler.sample(50_000, seed=1).astype(np.float64)
    white = np.linalg.solve(np.linalg.cholesky(sampler.cov_), (x - sampler.mean_).T)
    assert np.abs(white.mean(axis=1)).max() < 5 / np.sqrt(50_000)
    assert np.abs(np.cov(white) - np.eye(4)).max() < 0.03


@pytest.mark.parametrize("d", [1, 2, 17])
@each
def test_a_row_depends_on_its_seed_alone(options, d):
    sampler = PairwiseEllipse(**options).fit(cloud(600, d))
    together = sampler.sample_at(range(100))
    seeds = np.random.default_rng(d).permutation(100)
    assert np.array_equal(sampler.sample_at([7]), together[7:8])
    assert np.array_equal(sampler.sample_at(seeds), together[seeds])
    assert len(np.unique(together, axis=0)) == 100


@each
def test_save_and_load_agree(options, tmp_path):
    sampler = PairwiseEllipse(**options).fit(cloud())
    loaded = load_sampler(sampler.save(tmp_path))
    assert loaded.get_params() == sampler.get_params()
    assert np.array_equal(loaded.sample_at(range(5)), sampler.sample_at(range(5)))
    assert np.array_equal(loaded.cov_, sampler.cov_)


def test_fit_within_learns_from_the_core_alone():
    z = cloud(20_000, 6)
    z[::50] += 30 * np.random.default_rng(1).standard_normal((400, 6)).astype(np.float32)
    x = z.astype(np.float64)
    core = x[(np.abs(x - x.mean(axis=0)) <= 1.2 * x.std(axis=0, ddof=1)).all(axis=1)]
    assert len(core) < 19_500  # not the outliers alone: the cut goes through the cloud
    sampler = PairwiseEllipse(fit_within=1.2).fit(z)
    assert sampler.n_used_ == len(core)
    assert np.allclose(sampler.mean_, core.mean(axis=0), atol=1e-9)
    values = np.linalg.eigvalsh(np.cov(core.T))[::-1]
    assert np.allclose(sampler.std_, np.sqrt(values), rtol=1e-9)
    assert PairwiseEllipse(fit_within=None).fit(z).n_used_ == 20_000
    assert PairwiseEllipse(fit_within=None).fit(z).std_[0] > 1.2 * sampler.std_[0]


def test_three_sigma_keep_the_stated_share_of_normal_codes():
    z = np.random.default_rng(0).standard_normal((20_000, 64))
    sampler = PairwiseEllipse().fit(z)
    share = stats.chi2(1).cdf(9) ** 64
    assert sampler.n_used_ / 20_000 == pytest.approx(share, abs=5 * np.sqrt(0.25 / 20_000))
    assert sampler.std_.mean() == pytest.approx(0.9866, abs=3e-3)


def test_constant_components_are_no_reason_to_leave_codes_out():
    z = cloud()
    z[:, 1] = 7.3
    for options in ({}, TILTED):
        sampler = PairwiseEllipse(**options).fit(z)
        assert sampler.n_used_ > 2900
        assert np.allclose(sampler.sample(50)[:, 1], 7.3, atol=1e-5)
    z = 4 * cloud(40_000)
    z[:, 1] = 7.3
    counted = PairwiseEllipse(3, width="interval", fit_within=None).fit(z)
    assert np.allclose(counted.std_, PairwiseEllipse(3).fit(z).std_, rtol=0.08)


def test_intervals_see_the_core_where_the_covariance_sees_the_tails():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((40_000, 4)) * [8, 4, 2, 1] + 5
    counted = PairwiseEllipse(width="interval").fit(z)
    assert np.allclose(counted.std_, [8, 4, 2, 1], rtol=0.06)
    z[:4000] = 5 + 3 * (z[:4000] - 5)
    options = {"fit_within": None}
    counted = PairwiseEllipse(width="interval", **options).fit(z)
    assert np.allclose(counted.std_, [8, 4, 2, 1], rtol=0.08)
    assert (PairwiseEllipse(**options).fit(z).std_ > 1.3 * np.array([8, 4, 2, 1])).all()


def test_intervals_name_how_many_components_they_resolve():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((5000, 5)) * [4, 2, 0.6, 0.4, 0.01]
    with pytest.raises(InputError, match=r"resolve 3 of 5 .* got 5 .*; use components=3 or fewer"):
        PairwiseEllipse(width="interval").fit(z)
    with pytest.raises(InputError, match=r"resolve 3 of 5 .* got 4 "):
        PairwiseEllipse(components=4, width="interval").fit(z)
    assert PairwiseEllipse(components=3, width="interval").fit(z).std_.shape == (3,)
    with pytest.raises(InputError, match=r"resolve 3 of 5 .*to draw; use width='std'"):
        PairwiseEllipse(width="interval", **TILTED).fit(z)
    with pytest.raises(InputError, match=r"resolve 0 of 5 .*to draw; use width='std'"):
        PairwiseEllipse(width="interval").fit(z / 100)


@pytest.mark.parametrize("d", [2, 3, 5])
def test_the_density_is_one_over_the_volume(d):
    sampler = PairwiseEllipse(fact=0.8, sigma=2.0, width="interval").fit(4 * cloud(5000, d))
    f = sampler.limit_
    cube = np.random.default_rng(0).uniform(-f, f, (200_000, d))
    inside = widest_pair(cube, np.zeros((d, d))) <= f
    density = np.exp(sampler.log_prob(cube * sampler.std_ @ sampler.axes_ + sampler.mean_))
    assert np.array_equal(density > 0, inside)
    box = (2 * f) ** d * sampler.std_.prod()
    assert density.mean() * box == pytest.approx(1.0, abs=0.015)


@each
def test_laws_without_closed_form_have_no_density(options):
    sampler = PairwiseEllipse(**options).fit(cloud())
    with pytest.raises(InputError, match=r"no density with method='sequential'.*method='exact'"):
        sampler.log_prob(cloud())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fit_within": 0}, "fit_within must be a finite number above 0"),
        ({"fit_within": np.nan}, "fit_within must be a finite number above 0"),
        ({"fit_within": True}, "fit_within must be a finite number above 0"),
        ({"fit_within": 1e-6}, "fit_within must leave at least 2 codes, got 0 of 3000"),
        ({"width": "intervals"}, "width must be 'std' or 'interval', got 'intervals'; did you"),
        ({"method": 3}, "method must be 'exact' or 'sequential', got 3"),
        ({"coordinates": None}, "coordinates must be 'pca' or 'original', got None"),
        ({"coordinates": "original"}, "needs method='sequential', got 'exact'"),
        ({"components": 2, **TILTED}, "must be None with coordinates='original', got 2"),
        ({"components": 2.5}, "components must be an integer from 1 to 4"),
        ({"fact": np.nan}, "fact must be a finite number above 0"),
        ({"sigma": "2.35"}, "sigma must be a finite number above 0"),
    ],
)
def test_bad_options_are_named_in_fit(options, message):
    with pytest.raises(InputError, match=message):
        PairwiseEllipse(**options).fit(cloud())


def test_too_few_codes_in_the_core_are_counted():
    z = cloud(30, 20)
    with pytest.raises(InputError, match=r"got \d+ codes of dimension 20 \(30 without fit_within"):
        PairwiseEllipse(fit_within=1.5).fit(z)


def test_equal_components_have_no_ellipse():
    z = cloud()
    z[:, 3] = -2 * z[:, 1]
    with pytest.raises(InputError, match=r"Components 1 and 3 .* coordinates='pca'"):
        PairwiseEllipse(**TILTED).fit(z)
