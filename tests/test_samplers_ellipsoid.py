"""The ellipsoid: the normal law cut off at a Mahalanobis radius, and the uniform law inside it."""

import numpy as np
import pytest
from scipy import integrate, special, stats

from latentshape.errors import InputError
from latentshape.samplers import make_sampler
from latentshape.samplers.ellipsoid import Ellipsoid, _log_chi, _tabulate

each_law = pytest.mark.parametrize("law", ["gaussian", "uniform"])


def cloud(n=3000, d=4, seed=0):
    rng = np.random.default_rng(seed)
    mixing = np.tril(rng.uniform(-1, 1, (d, d)), -1) + 1.5 * np.eye(d)
    return (rng.standard_normal((n, d)) @ mixing.T + 3.0).astype(np.float32)


def whitened(sampler, x):
    return np.linalg.solve(sampler.factor_, (x.astype(np.float64) - sampler.mean_).T).T


def rejected(law, d, radius, n, rng):
    """Points of the law for A = 1, m = 0, by throwing away what lies outside."""
    size = 40 * n
    g = rng.standard_normal((size, d))
    if law == "uniform":
        g = rng.uniform(-radius, radius, (size, d))
    return g[np.linalg.norm(g, axis=1) <= radius][:n]


@pytest.mark.parametrize("d", [2, 3, 5])
@pytest.mark.parametrize("radius", [1.0, 2.5])
@each_law
def test_draws_are_those_that_rejection_keeps(law, radius, d):
    sampler = Ellipsoid(law, radius=radius).fit(cloud(2000, d))
    wanted = rejected(law, d, radius, 10_000, np.random.default_rng(1))
    assert len(wanted) > 5000
    for x in (sampler.sample(20_000), sampler.sample_at(range(5000))):
        g = whitened(sampler, x)
        assert np.linalg.norm(g, axis=1).max() <= radius * (1 + 1e-5)
        for of in (
            lambda g: np.abs(g).max(axis=1),
            lambda g: g[:, 0],
            lambda g: g[:, -1],
            lambda g: np.linalg.norm(g, axis=1),
        ):
            assert stats.ks_2samp(of(g), of(wanted)).pvalue > 1e-4


@pytest.mark.parametrize("d", [50, 256])
@pytest.mark.parametrize("radius", [0.01, 2.2, 10.0, 15.98, 40.0])
def test_at_any_radius_the_radii_follow_the_cut_chi_law(radius, d):
    z = np.random.default_rng(0).standard_normal((600, d))
    sampler = Ellipsoid(radius=radius).fit(z)
    radii = np.linalg.norm(whitened(sampler, sampler.sample(3000)), axis=1)
    assert radii.max() <= radius * (1 + 1e-4)
    # An independent form of the law: the integral of its density, scaled by its largest value.
    top = min(radius, np.sqrt(d - 1))

    def density(t):
        return np.exp((d - 1) * np.log(t / top) - (t * t - top * top) / 2)

    knots = np.linspace(0.0, min(radius, 30.0), 20_001)[1:]
    shares = integrate.cumulative_trapezoid(density(knots), knots, initial=0.0)
    shares /= shares[-1]
    assert stats.kstest(radii, lambda t: np.interp(t, knots, shares)).pvalue > 1e-4


@pytest.mark.parametrize(
    ("d", "radius"),
    [(1, 0.9), (1, 4.0), (1, 100.0), (2, 2.5), (50, 0.9), (50, 7.0), (256, 15.0), (256, 17.2)],
)
def test_the_table_inverts_scipys_chi(d, radius):
    inside = stats.chi(d).cdf(radius)
    u = np.random.default_rng(0).random(20_000)
    got = np.interp(np.log(u), *_tabulate(d, np.log(radius)))
    wanted = np.sqrt(2 * special.gammaincinv(d / 2, u * inside))
    assert np.abs(got - np.log(wanted)).max() < 1e-6


@pytest.mark.parametrize(
    ("d", "x"), [(1, 0.02), (7, 1e-3), (256, 0.02), (256, 0.18), (2000, 200.0)]
)
def test_the_share_inside_outlives_the_least_float(d, x):
    """log P(a, x) against the integral of e^(a log(t/x) - t) dt/t, which has no small factor."""
    a = d / 2
    value = integrate.quad(lambda s: a * s ** (a - 1) * np.exp(-x * s), 0, 1, epsabs=0, limit=500)
    log_p = a * np.log(x) - special.gammaln(a + 1) + np.log(value[0])
    assert float(_log_chi(d, 0.5 * np.log(2 * x))) == pytest.approx(log_p, rel=1e-10)
    if d >= 256:
        assert special.gammainc(a, x) < 1e-300


def test_both_forms_of_the_share_meet():
    log_radii = np.linspace(np.log(0.5), np.log(25), 4001)
    slopes = np.diff(_log_chi(256, log_radii)) / np.diff(log_radii)
    assert (slopes > 0).all()
    assert (slopes < 256.01).all()
    assert np.abs(np.diff(slopes)).max() < 1.0  # no jump where the series ends


@pytest.mark.parametrize("options", [{"radius": 1.5}, {"radius": 1e-3}, {"level": 0.5}, {}])
@each_law
def test_the_stated_moments_are_those_of_the_draws(law, options):
    sampler = Ellipsoid(law, **options).fit(cloud())
    x = sampler.sample_at(range(20_000)).astype(np.float64)
    white = np.linalg.solve(np.linalg.cholesky(sampler.cov_), (x - sampler.mean_).T)
    assert np.abs(white.mean(axis=1)).max() < 5 / np.sqrt(20_000)
    assert np.abs(np.cov(white) - np.eye(4)).max() < 5 * np.sqrt(2 / 20_000)


@pytest.mark.parametrize("d", [1, 2, 5])
@each_law
def test_the_density_integrates_to_one(law, d):
    sampler = Ellipsoid(law, level=0.8).fit(cloud(2000, d))
    # Points uniform in a larger ellipsoid, of known volume.
    wide = Ellipsoid("uniform", radius=1.3 * sampler.radius_).fit(cloud(2000, d))
    x = wide.sample(200_000).astype(np.float64)
    density = np.exp(sampler.log_prob(x))
    volume = np.exp(-wide.log_prob(wide.mean_[None])[0])
    error = 5 * density.std() * volume / np.sqrt(len(x))
    assert density.mean() * volume == pytest.approx(1.0, abs=error)
    inside = np.linalg.norm(whitened(sampler, x), axis=1) <= sampler.radius_
    assert np.array_equal(density > 0, inside)
    box = np.random.default_rng(0).uniform(-1, 1, (200_000, d))
    ball = 2**d * (np.linalg.norm(box, axis=1) <= 1).mean()
    factor = np.abs(np.linalg.det(wide.factor_))
    assert volume == pytest.approx(ball * wide.radius_**d * factor, rel=0.03)


def test_inside_the_density_is_the_gaussians_over_its_share():
    z = cloud()
    whole, cut = make_sampler("gaussian").fit(z), Ellipsoid(level=0.9).fit(z)
    inside = np.isfinite(cut.log_prob(z))
    assert 0.85 < inside.mean() < 0.95
    difference = cut.log_prob(z[inside]) - whole.log_prob(z[inside])
    assert np.allclose(difference, -np.log(0.9), atol=1e-9)
    assert np.exp(cut.log_mass_) == pytest.approx(0.9, rel=1e-12)


def test_a_level_is_the_share_of_the_normal_law_inside():
    sampler = Ellipsoid(level=0.95).fit(np.random.default_rng(0).standard_normal((400, 256)))
    assert sampler.radius_ == pytest.approx(17.16, abs=5e-3)  # the 95 % quantile of chi(256)
    everything = Ellipsoid(radius=1e6).fit(cloud())
    assert np.allclose(everything.cov_, np.cov(cloud().T), rtol=1e-5)
    assert everything.log_mass_ == 0.0
    assert Ellipsoid(radius=2.0, level=0.1).fit(cloud()).radius_ == 2.0


@pytest.mark.parametrize("radius", [1e-150, 1e200])
def test_no_radius_is_too_extreme(radius):
    sampler = Ellipsoid(radius=radius).fit(cloud())
    assert np.isfinite(sampler.sample(100)).all()
    assert np.isfinite(sampler.log_prob(sampler.mean_[None]))
    if radius < 1:
        assert np.allclose(sampler.sample(100), sampler.mean_.astype(np.float32), rtol=1e-6)
    else:
        assert np.allclose(sampler.cov_, np.cov(cloud().T), rtol=1e-5)


@each_law
def test_dependent_codes_are_drawn_on_their_span(law):
    z = cloud()
    z[:, 2] = z[:, 1]
    z[:, 3] = 5.0
    sampler = Ellipsoid(law).fit(z)
    x = sampler.sample(5000)
    assert sampler.factor_.shape == (4, 2)
    assert np.allclose(x[:, 1], x[:, 2], atol=1e-4)
    assert np.allclose(x[:, 3], 5.0, atol=1e-4)
    assert np.allclose(np.cov(x.T), sampler.cov_, atol=0.1 * sampler.cov_.max())
    with pytest.raises(InputError, match="fewer than 4 dimensions and has no density"):
        sampler.log_prob(z)


@each_law
def test_a_row_depends_on_its_seed_alone(law):
    sampler = Ellipsoid(law).fit(cloud(600, 33))
    together = sampler.sample_at(range(100))
    seeds = np.random.default_rng(0).permutation(100)
    assert np.array_equal(sampler.sample_at([7]), together[7:8])
    assert np.array_equal(sampler.sample_at(seeds), together[seeds])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"law": "normal"}, "law must be 'gaussian' or 'uniform', got 'normal'"),
        ({"law": None}, "law must be 'gaussian' or 'uniform', got None"),
        ({"radius": 0}, "radius must be a finite number above 0, got 0"),
        ({"radius": -1.0}, "radius must be a finite number above 0, got -1"),
        ({"radius": np.inf}, "radius must be a finite number above 0, got inf"),
        ({"radius": True}, "radius must be a finite number above 0, got True"),
        ({"level": 1.5}, "level must be a number from 0 to 1, got 1.5"),
        ({"level": np.nan}, "level must be a number from 0 to 1, got nan"),
        ({"level": 1}, "level must lie above 0 and below 1, got 1; .*radius"),
        ({"level": 0.0}, "level must lie above 0 and below 1, got 0.0; .*radius"),
        ({"law": "uniform", "radius": 1e35}, r"radius must keep .* got 1e\+35"),
    ],
)
def test_bad_options_are_named_in_fit(options, message):
    with pytest.raises(InputError, match=message):
        Ellipsoid(**options).fit(cloud())


def test_codes_that_span_nothing_are_refused():
    with pytest.raises(InputError, match=r"10 codes of dimension 20; use the sampler 'gaussian'"):
        Ellipsoid().fit(cloud(10, 20))
    with pytest.raises(InputError, match="got 30 equal codes"):
        Ellipsoid().fit(np.ones((30, 3)))
    with pytest.raises(InputError, match="not fitted"):
        Ellipsoid().sample(1)
