"""Laws that hold for every sampler, and the exactness of the pairwise-ellipse sampler."""

import functools
import json

import numpy as np
import pytest
from scipy import stats
from sklearn.base import clone

from latentshape.errors import InputError
from latentshape.samplers import SAMPLERS, Sampler, load_sampler, make_sampler, sampler_class
from latentshape.samplers.noise import SeededNoise, StreamNoise

VARIANTS = [
    # The flow is trained; few steps make a law as good as many do.
    *((name, {"max_steps": 60, "transforms": 2} if name == "flow" else {}) for name in SAMPLERS),
    ("cube", {"b": 1.5}),
    ("intervals", {"fact": 0.5}),
    ("gaussian", {"shrinkage": 0.3}),
    ("gaussian", {"components": 2}),
    ("gaussian", {"temperature": 0.5}),
    ("pairwise-ellipse", {"components": 3}),
    ("pairwise-ellipse", {"components": 1}),
    ("pairwise-ellipse", {"fact": 1.0, "sigma": 2.2}),
    ("pairwise-ellipse", {"components": 3, "method": "sequential"}),
    ("pairwise-ellipse", {"coordinates": "original", "method": "sequential"}),
    ("ellipsoid", {"radius": 1.0}),
    ("ellipsoid", {"law": "uniform"}),
    ("copula", {"coordinates": "original"}),
    ("mixture", {"components": 3}),
    ("neighbours", {"bandwidth": 0.2, "shrink": False}),
    ("training-codes", {"max_codes": 100}),
]
IDS = ["-".join([name, *map(str, options)]) for name, options in VARIANTS]
DENSITIES = [name for name in SAMPLERS if sampler_class(name).has_density]

each = pytest.mark.parametrize(("name", "options"), VARIANTS, ids=IDS)


def cloud(n=3000, d=4, seed=0):
    rng = np.random.default_rng(seed)
    mixing = np.tril(rng.standard_normal((d, d))) + 2 * np.eye(d)
    return (rng.standard_normal((n, d)) @ mixing.T + 3.0).astype(np.float32)


@functools.cache
def _fitted(name, options):
    return make_sampler(name, **dict(options)).fit(cloud())


def fitted(name, options):
    """A sampler fitted to the cloud, the same for all tests: to be asked, not to be fitted again."""
    return _fitted(name, tuple(options.items()))


def assert_moments(draws, sampler, errors=5.0):
    """Draws, in the coordinates of the stated law's axes, have its mean and covariance."""
    n = len(draws)
    values, vectors = np.linalg.eigh(sampler.cov_)
    keep = values > 1e-4 * values[-1]
    centred = draws.astype(np.float64) - sampler.mean_
    flat = 1e-3 + 6 * np.sqrt(np.clip(values[~keep], 0, None))  # a ridge keeps what it says
    assert (np.abs(centred @ vectors[:, ~keep]) < flat).all()
    white = centred @ vectors[:, keep] / np.sqrt(values[keep])
    k = white.shape[1]
    fourth = (white**4).mean(axis=0)
    assert np.abs(white.mean(axis=0)).max() < errors / np.sqrt(n)
    spread = np.atleast_2d(np.cov(white.T)) - np.eye(k)
    assert np.abs(spread).max() < errors * np.sqrt(max(2.0, fourth.max() - 1) / n)


@each
@pytest.mark.parametrize("way", ["sample", "sample_at"])
def test_draws_have_the_stated_moments(name, options, way):
    sampler = fitted(name, options)
    draws = sampler.sample(40_000, seed=1) if way == "sample" else sampler.sample_at(range(20_000))
    assert draws.dtype == np.float32
    assert draws.shape[1] == sampler.latent_dim_ == 4
    assert_moments(draws, sampler)


@each
def test_both_ways_draw_from_one_law(name, options):
    sampler = fitted(name, options)
    a, b = sampler.sample(4000, seed=5), sampler.sample_at(range(10**6, 10**6 + 4000))
    direction = np.array([1.0, -0.5, 0.3, 0.7])
    assert stats.ks_2samp(a @ direction, b @ direction).pvalue > 1e-4
    lengths = [np.linalg.norm(x - sampler.mean_, axis=1) for x in (a, b)]
    assert stats.ks_2samp(*lengths).pvalue > 1e-4


@each
@pytest.mark.parametrize("d", [1, 2, 5, 33, 256])
def test_a_row_depends_on_its_seed_alone(name, options, d):
    if "components" in options:
        options = options | {"components": min(options["components"], d)}
    if name == "pairwise-ellipse" and options.get("coordinates") == "original":
        d = min(d, 20)  # its sweeps cost the square of the dimension
    sampler = make_sampler(name, **options).fit(cloud(max(600, 4 * d), d))
    seeds = np.random.default_rng(d).permutation(150)
    together = sampler.sample_at(range(150))
    assert np.array_equal(sampler.sample_at([7]), together[7:8])
    assert np.array_equal(sampler.sample_at(seeds), together[seeds])
    assert np.array_equal(sampler.sample_at(seeds[:65]), together[seeds[:65]])
    assert sampler.sample_at([]).shape == (0, d)


@each
def test_same_seed_same_draws_other_seed_others(name, options):
    sampler = fitted(name, options)
    assert np.array_equal(sampler.sample(9, seed=3), sampler.sample(9, seed=3))
    assert not np.array_equal(sampler.sample(9, seed=3), sampler.sample(9, seed=4))
    rows = sampler.sample_at([0, 1, 2**63, 2**64 - 1])
    assert len(np.unique(rows, axis=0)) == 4


@each
def test_draws_do_not_depend_on_how_many_draw_them(name, options):
    sampler = fitted(name, options)
    alone = sampler.sample(2500, seed=3, workers=1)
    assert np.array_equal(sampler.sample(2500, seed=3, workers=3), alone)
    # Blocks have streams of their own: none repeats another.
    assert not np.array_equal(alone[:1024], alone[1024:2048])


@each
def test_fit_again_forgets(name, options):
    fresh = make_sampler(name, **options).fit(cloud(500, 3, seed=2))
    again = make_sampler(name, **options).fit(cloud())
    again.stale_ = 1
    again.fit(cloud(500, 3, seed=2))
    assert vars(again).keys() == vars(fresh).keys()
    assert np.array_equal(again.sample_at(range(5)), fresh.sample_at(range(5)))


@each
def test_a_failed_fit_leaves_no_old_law(name, options):
    sampler = make_sampler(name, **options).fit(cloud())
    with pytest.raises(InputError, match="finite"):
        sampler.fit(np.full((10, 4), np.nan))
    with pytest.raises(InputError, match="not fitted"):
        sampler.sample(1)


@each
def test_save_and_load_agree(name, options, tmp_path):
    sampler = fitted(name, options)
    stem = sampler.save(tmp_path)
    assert stem == tmp_path / name
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"{name}.json", f"{name}.safetensors"]
    loaded = load_sampler(stem)
    assert type(loaded) is type(sampler)
    assert loaded.get_params() == sampler.get_params()
    assert np.array_equal(loaded.sample(7), sampler.sample(7))
    assert np.array_equal(loaded.sample_at(range(7)), sampler.sample_at(range(7)))
    assert np.array_equal(loaded.cov_, sampler.cov_)
    if name in DENSITIES and not {"components", "method"} & options.keys():
        z = cloud(20)
        assert np.array_equal(loaded.log_prob(z), sampler.log_prob(z))


@each
def test_scikit_learn_can_clone(name, options):
    sampler = fitted(name, options)
    twin = clone(sampler)
    assert twin.get_params() == sampler.get_params()
    assert not hasattr(twin, "latent_dim_")


@each
def test_sampling_before_fit_says_so(name, options):
    sampler = make_sampler(name, **options)
    for call in (
        lambda: sampler.sample(1),
        lambda: sampler.sample_at([0]),
        lambda: sampler.log_prob(cloud()),
        lambda: sampler.save("nowhere"),
    ):
        with pytest.raises(InputError, match="not fitted yet; call fit"):
            call()


@each
def test_singular_codes_are_drawn_on_their_span_or_refused(name, options):
    z = cloud()
    z[:, 2] = z[:, 1]
    z[:, 3] = 5.0
    sampler = make_sampler(name, **options)
    if options.get("coordinates") == "original" and name == "pairwise-ellipse":
        with pytest.raises(InputError, match="Components 1 and 2 are the same but for scale"):
            sampler.fit(z)
        return
    sampler.fit(z)
    draws = sampler.sample(2000)
    assert np.isfinite(draws).all()
    assert_moments(draws, sampler, errors=6)
    if name in {"gaussian", "elliptical", "training-codes"} and not options.get("shrinkage"):
        assert np.allclose(draws[:, 1], draws[:, 2], atol=1e-3)
        assert np.allclose(draws[:, 3], 5.0, atol=1e-3)


@pytest.mark.parametrize("name", DENSITIES)
@pytest.mark.parametrize("d", [1, 2])
def test_density_integrates_to_one(name, d):
    # A kernel density costs as many terms as it has codes, at each point.
    options = {"max_steps": 100} if name == "flow" else {}
    sampler = make_sampler(name, **options).fit(cloud(200 if name == "neighbours" else 2000, d))
    half = 8 * np.sqrt(np.diag(sampler.cov_).max())
    line = np.linspace(-half, half, 2001 if d == 1 else 801)
    mesh = np.stack(np.meshgrid(*[line] * d, indexing="ij"), axis=-1).reshape(-1, d)
    density = np.exp(sampler.log_prob(mesh + sampler.mean_))
    assert density.sum() * (line[1] - line[0]) ** d == pytest.approx(1.0, abs=1e-2)


@pytest.mark.parametrize("name", DENSITIES)
def test_the_own_law_scores_its_draws_finitely(name):
    sampler = make_sampler(name, **({"max_steps": 60} if name == "flow" else {})).fit(cloud())
    inside = sampler.sample_at(range(500)).astype(np.float64)
    inside = sampler.mean_ + (inside - sampler.mean_) * (1 - 1e-6)  # off the rounded border
    assert np.isfinite(sampler.score(inside))
    assert sampler.log_prob(inside).shape == (500,)


def test_gaussian_density_is_scipys():
    z = cloud().astype(np.float64)
    sampler = make_sampler("gaussian").fit(z)
    law = stats.multivariate_normal(z.mean(axis=0), np.cov(z.T))
    assert np.allclose(sampler.log_prob(z[:50]), law.logpdf(z[:50]), rtol=1e-10)
    assert sampler.score(z) == pytest.approx(law.logpdf(z).mean())


def test_the_two_by_two_of_centre_and_covariance():
    z = cloud()
    mean, cov = z.mean(axis=0, dtype=np.float64), np.cov(z.T.astype(np.float64))
    round_cov = np.trace(cov) / 4 * np.eye(4)
    expected = {
        "standard-normal": (0 * mean, np.eye(4)),
        "zero-mean": (0 * mean, cov),
        "centred": (mean, round_cov),
        "diagonal": (mean, np.diag(np.diag(cov))),
        "gaussian": (mean, cov),
    }
    for name, (wanted_mean, wanted_cov) in expected.items():
        sampler = make_sampler(name).fit(z)
        assert np.allclose(sampler.mean_, wanted_mean, rtol=1e-6), name
        assert np.allclose(sampler.cov_, wanted_cov, rtol=1e-5), name


def test_elliptical_keeps_the_radius_law_and_gaussian_does_not():
    rng = np.random.default_rng(0)
    z = rng.standard_normal((5000, 16)) / np.sqrt(rng.chisquare(4, (5000, 1)) / 4)
    z = z @ rng.standard_normal((16, 16)) + 2
    white = np.linalg.inv(np.linalg.cholesky(np.cov(z.T)))

    def radii(x):
        return np.linalg.norm((x - z.mean(axis=0)) @ white.T, axis=1)

    kept = make_sampler("elliptical").fit(z).sample(5000)
    lost = make_sampler("gaussian").fit(z).sample(5000)
    assert stats.ks_2samp(radii(kept), radii(z)).pvalue > 1e-3
    assert stats.ks_2samp(radii(lost), radii(z)).pvalue < 1e-12


def test_best_cube_matches_the_mean_radius():
    z = cloud(2000, 32)
    draws = make_sampler("cube").fit(z).sample(20_000)
    assert np.linalg.norm(draws, axis=1).mean() == pytest.approx(
        np.linalg.norm(z, axis=1).mean(), rel=2e-3
    )


@pytest.mark.parametrize("d", [2, 3, 5])
@pytest.mark.parametrize("way", ["sample", "sample_at"])
def test_pairwise_ellipse_is_uniform_on_its_region(d, way):
    z = cloud(2000, d)
    sampler = make_sampler("pairwise-ellipse").fit(z)
    x = sampler.sample(20_000) if way == "sample" else sampler.sample_at(range(20_000))
    u = (x.astype(np.float64) - sampler.mean_) @ (sampler.axes_.T / sampler.std_)
    rng = np.random.default_rng(1)
    cube = rng.uniform(-sampler.limit_, sampler.limit_, (400_000, d))
    inside = (np.sort(cube**2, axis=1)[:, -2:].sum(axis=1)) <= sampler.limit_**2
    wanted = cube[inside][:20_000]
    largest_two = np.sort(u**2, axis=1)[:, -2:].sum(axis=1)
    assert largest_two.max() <= sampler.limit_**2 * (1 + 1e-5)
    statistics = {
        "maximum": lambda a: np.abs(a).max(axis=1),
        "minimum": lambda a: np.abs(a).min(axis=1),
        "first": lambda a: a[:, 0],
        "last": lambda a: a[:, -1],
        "norm": lambda a: np.linalg.norm(a, axis=1),
        "sum": lambda a: a.sum(axis=1),
    }
    for what, of in statistics.items():
        assert stats.ks_2samp(of(u), of(wanted)).pvalue > 1e-3, what


def test_pairwise_ellipse_shrinks_to_the_published_spread():
    from latentshape.samplers.pairwise import _maximum_law

    for d, std in ((50, 0.673), (105, 0.672), (256, 0.672)):
        low_share, variance = (_maximum_law(d, 0.7 * 2.35)[i] for i in (1, 3))
        assert np.sqrt(variance) == pytest.approx(std, abs=6e-4)
    assert low_share == pytest.approx(0.502, abs=1e-3)
    assert _maximum_law(2, 1.0)[1] == pytest.approx(0.637, abs=1e-3)
    assert np.exp(_maximum_law(2, 1.0)[2]) == pytest.approx(np.pi, rel=1e-6)
    assert np.isfinite(_maximum_law(20_000, 1.6)[3])


def test_seeded_noise_goes_on_where_it_stopped():
    seeds = np.array([3, 4], dtype=np.uint64)
    noise, again = SeededNoise(seeds, 8), SeededNoise(seeds[::-1].copy(), 4)
    first, second = noise.uniform(5), noise.uniform(3)
    assert not np.isin(second, first).any()
    assert np.array_equal(first[:2], again.uniform(5)[1::-1])
    assert np.array_equal(second[:2], again.uniform(3)[1::-1])
    assert np.array_equal(first[2:], np.tile(first[1], (6, 1)))


def test_seeded_noise_is_frozen():
    """Philox words are promised by NumPy, so a seed's code is the same for ever."""
    words = np.random.Philox(key=7).random_raw(3)
    got = SeededNoise(np.array([7], dtype=np.uint64), 1).uniform(3)[0]
    assert np.array_equal(got, ((words >> np.uint64(11)) + 0.5) * 2.0**-53)
    assert got[0] == pytest.approx(0.8720734548204874, abs=1e-12)


def test_stream_noise_never_touches_the_ends():
    noise = StreamNoise(0, 0, 1000)
    fine = noise.fine_uniform(100)
    assert fine.min() > 0
    assert fine.max() < 1


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("cube", {"b": 0}, "b must be a finite number above 0"),
        ("intervals", {"fact": -1}, "fact must be a finite number above 0"),
        ("gaussian", {"shrinkage": 2}, "shrinkage must be a number from 0 to 1"),
        ("gaussian", {"temperature": 0}, "temperature must be a finite number above 0"),
        ("gaussian", {"components": 5}, "components must be an integer from 1 to 4"),
        ("pairwise-ellipse", {"components": 5}, "components must be an integer from 1 to 4"),
        ("pairwise-ellipse", {"sigma": "wide"}, "sigma must be a finite number above 0"),
        ("training-codes", {"max_codes": 1}, "max_codes must be an integer of at least 2"),
    ],
)
def test_bad_options_are_named_in_fit(name, options, message):
    with pytest.raises(InputError, match=message):
        make_sampler(name, **options).fit(cloud())


def test_too_few_codes_name_the_cure():
    z = cloud(10, 20)
    for name in ("gaussian", "zero-mean"):
        with pytest.raises(InputError, match=r"10 codes of dimension 20.*shrinkage"):
            make_sampler(name).fit(z)
    for name in ("pairwise-ellipse", "elliptical"):
        with pytest.raises(InputError, match=r"10 codes of dimension 20.*components"):
            make_sampler(name).fit(z)
    with pytest.raises(InputError, match="from 1 to 9"):
        make_sampler("gaussian", components=10).fit(z)
    for options in ({"shrinkage": 0.1}, {"components": 9}):
        sampler = make_sampler("gaussian", **options).fit(z)
        assert_moments(sampler.sample(20_000), sampler)
    assert np.isfinite(make_sampler("gaussian", shrinkage=0.1).fit(z).score(z))


def test_equal_codes_are_refused_by_elliptical():
    with pytest.raises(InputError, match="needs codes that vary"):
        make_sampler("elliptical").fit(np.ones((10, 3)))


def test_no_density_says_so():
    assert not sampler_class("training-codes").has_density
    with pytest.raises(InputError, match="has no density"):
        make_sampler("training-codes").fit(cloud()).log_prob(cloud())


def test_laws_that_repeat_codes_are_baselines_and_no_others():
    baselines = {name for name in SAMPLERS if sampler_class(name).baseline}
    assert baselines == {"neighbours", "training-codes"}


def test_flat_laws_have_no_density():
    flat = cloud()
    flat[:, 1] = 2.0
    for name in ("gaussian", "zero-mean", "diagonal", "intervals", "pairwise-ellipse"):
        with pytest.raises(InputError, match="density"):
            make_sampler(name).fit(flat).log_prob(flat)
    for name in ("gaussian", "pairwise-ellipse"):
        with pytest.raises(InputError, match="density"):
            make_sampler(name, components=2).fit(cloud()).log_prob(cloud())


def test_wrong_codes_and_seeds_are_named():
    sampler = make_sampler("gaussian").fit(cloud())
    with pytest.raises(InputError, match="must have 4 components as in fit, got 3"):
        sampler.log_prob(cloud(5, 3))
    with pytest.raises(InputError, match="n must be an integer of at least 1"):
        sampler.sample(0)
    with pytest.raises(InputError, match="seed must be an integer from 0"):
        sampler.sample(1, seed=-1)
    for seeds in (3, [-1], [2**64], [0.5], "12", np.zeros((2, 2), dtype=int)):
        with pytest.raises(InputError, match="seed"):
            sampler.sample_at(seeds)


def test_unknown_names_and_options_are_answered():
    with pytest.raises(InputError, match="did you mean 'pairwise-ellipse'"):
        make_sampler("pairwise-elipse")
    with pytest.raises(InputError, match="did you mean 'shrinkage'"):
        make_sampler("gaussian", shrinkige=0.1)
    with pytest.raises(InputError, match="takes no options, got 'b'"):
        make_sampler("elliptical", b=1)


def test_broken_saves_are_refused(tmp_path):
    stem = make_sampler("cube").fit(cloud()).save(tmp_path / "deep" / "box")
    assert Sampler.load(stem).name == "cube"
    with pytest.raises(InputError, match="two files"):
        Sampler.load(tmp_path / "none")
    with pytest.raises(InputError, match="holds the sampler 'cube', not 'gaussian'"):
        sampler_class("gaussian").load(stem)
    record = json.loads(stem.with_name("box.json").read_text())
    whole = json.dumps(record)
    for learnt in ({}, record["learnt"] | {"latent_dim_": 5}):
        stem.with_name("box.json").write_text(json.dumps(record | {"learnt": learnt}))
        with pytest.raises(InputError, match="does not hold a whole fitted sampler"):
            Sampler.load(stem)
    stem.with_name("box.json").write_text(whole)
    tensors = stem.with_name("box.safetensors")
    tensors.write_bytes(tensors.read_bytes() + b" ")
    with pytest.raises(InputError, match="do not belong together"):
        Sampler.load(stem)
    for text in ("{", "[]", "{}", '{"sampler": 1, "options": [], "learnt": {}, "sha256": ""}'):
        stem.with_name("box.json").write_text(text)
        with pytest.raises(InputError, match="not a saved sampler"):
            Sampler.load(stem)


def test_registry_and_classes_agree():
    for name in SAMPLERS:
        cls = sampler_class(name)
        assert cls.name == name
        assert cls.description.endswith(".")
        assert getattr(cls, "__final__", False), f"{cls.__name__} must be final"
        json.dumps(cls().get_params())


def test_training_codes_keep_at_most_the_stated_number():
    z = cloud(500)
    sampler = make_sampler("training-codes", max_codes=50).fit(z)
    assert sampler.codes_.shape == (50, 4)
    kept = {tuple(row) for row in z.tolist()}
    assert all(tuple(row) in kept for row in sampler.sample(200).tolist())
