"""The flow: a Gaussian that training bends, and that stays one where training has nothing to say."""

import json
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.base import clone

from latentshape.errors import InputError
from latentshape.flows import Flow, _zuko
from latentshape.samplers import SAMPLERS, make_sampler
from latentshape.samplers.noise import Noise, SeededNoise

# Not importorskip: importing zuko here would hide what importing it does to torch.
pytestmark = pytest.mark.skipif(find_spec("zuko") is None, reason="needs the extra 'flow'")

QUICK = dict(transforms=2, hidden=8, max_steps=20)


def cloud(n=1000, d=4, seed=0):
    rng = np.random.default_rng(seed)
    mixing = np.tril(rng.standard_normal((d, d))) + 2 * np.eye(d)
    return (rng.standard_normal((n, d)) @ mixing.T + 3.0).astype(np.float32)


def banana(n, seed):
    """x ~ N(0, 2²), y ~ N(x²/2, 0.3²), off-centre."""
    x, noise = np.random.default_rng(seed).standard_normal((2, n))
    return np.stack([2 * x + 5.0, 2 * x**2 + 0.3 * noise - 3.0], axis=1)


BANANA_SCORE = -np.log(2 * np.pi * np.e * 2 * 0.3)  # minus its entropy


@pytest.fixture(scope="module")
def bent():
    return Flow(transforms=4, hidden=24, max_steps=500, learning_rate=5e-3).fit(
        banana(4000, seed=0)
    )


@pytest.fixture(scope="module")
def quick():
    return Flow(**QUICK).fit(cloud())


def held_out_rows(n, seed=0):
    """Which codes the sampler holds out: the first tenth of a permutation."""
    return np.random.default_rng(seed).permutation(n)[: n // 10]


def test_a_banana_is_learnt_and_the_gaussian_cannot(bent):
    z = banana(4000, seed=1)
    gaussian = make_sampler("gaussian").fit(banana(4000, seed=0))
    assert gaussian.score(z) < BANANA_SCORE - 0.8
    assert BANANA_SCORE - 0.25 < bent.score(z) < BANANA_SCORE + 0.05
    assert bent.heldout_ > bent.gaussian_heldout_ + 0.8
    x = bent.sample(4000, seed=2) - [5.0, -3.0]
    assert stats.kstest(x[:, 0] / 2, "norm").statistic < 0.05
    off = x[:, 1] - x[:, 0] ** 2 / 2
    assert np.median(np.abs(off)) == pytest.approx(0.3 * 0.6745, rel=0.3)


def test_the_density_integrates_to_one(bent):
    across = np.linspace(-12, 22, 341)
    up = np.linspace(-12, 60, 721)
    mesh = np.stack(np.meshgrid(across, up, indexing="ij"), axis=-1).reshape(-1, 2)
    cell = (across[1] - across[0]) * (up[1] - up[0])
    assert np.exp(bent.log_prob(mesh)).sum() * cell == pytest.approx(1.0, abs=1e-2)


class Given(Noise):
    def __init__(self, g):
        self.rows, self._g = len(g), g

    def normal(self, columns):
        return self._g.copy()

    uniform = fine_uniform = None


def test_the_density_is_that_of_the_draws(bent):
    """By finite differences of the map from noise to codes: no determinant of the flow is used."""
    g = np.random.default_rng(3).standard_normal((40, 2))
    x = bent._draw(Given(g))
    step = 1e-6
    jacobian = np.stack(
        [
            (bent._draw(Given(g + step * e)) - bent._draw(Given(g - step * e))) / (2 * step)
            for e in np.eye(2)
        ],
        axis=2,
    )
    wanted = stats.norm.logpdf(g).sum(axis=1) - np.linalg.slogdet(jacobian)[1]
    assert bent.log_prob(x) == pytest.approx(wanted, abs=1e-5)
    assert bent.log_prob(x) != pytest.approx(stats.norm.logpdf(g).sum(axis=1), abs=0.1)


def test_its_moments_are_those_of_its_draws(bent):
    draws = bent.sample(60_000, seed=9).astype(np.float64)
    white = (draws - bent.mean_) @ np.linalg.inv(np.linalg.cholesky(bent.cov_)).T
    assert np.abs(white.mean(axis=0)).max() < 0.03
    assert np.abs(np.cov(white.T) - np.eye(2)).max() < 0.08
    both = bent.sample_at(range(4000))
    for way in (lambda x: x[:, 0], lambda x: x[:, 1], lambda x: x @ [1.0, -0.2]):
        assert stats.ks_2samp(way(both), way(draws)).pvalue > 1e-3


def test_step_0_is_the_gaussian_of_the_codes_not_held_out():
    z = cloud()
    flow = Flow(max_steps=0).fit(z)
    rest = np.delete(z.astype(np.float64), held_out_rows(len(z)), axis=0)
    law = stats.multivariate_normal(rest.mean(axis=0), np.cov(rest.T))
    assert flow.log_prob(z) == pytest.approx(law.logpdf(z), rel=1e-6)
    assert flow.steps_ == 0
    assert flow.heldout_ == flow.gaussian_heldout_
    assert flow.mean_ == pytest.approx(law.mean, rel=1e-5)
    assert flow.cov_ == pytest.approx(law.cov, rel=1e-4, abs=1e-4)


def test_held_out_codes_choose_the_step(bent):
    z = banana(4000, seed=0)
    held_out = z[held_out_rows(len(z))]
    assert bent.score(held_out) == pytest.approx(bent.heldout_, abs=1e-4)
    assert bent.heldout_ == bent.curve_[:, 1].max()
    assert bent.curve_[0].tolist() == [0.0, bent.gaussian_heldout_]
    assert bent.steps_ in bent.curve_[1:, 0]


def test_training_stops_where_it_would_only_overfit():
    flow = Flow(transforms=3, hidden=32, learning_rate=5e-3).fit(cloud(400, 8))
    assert flow.curve_[-1, 0] - flow.steps_ == 500
    assert flow.curve_[-1, 1] < flow.heldout_
    assert flow.heldout_ >= flow.gaussian_heldout_
    # On Gaussian codes nothing can be won, and little may be lost.
    z = cloud(2000, 8)
    fresh = make_sampler("gaussian").fit(cloud(400, 8))
    assert flow.score(z) > fresh.score(z) - 0.7


@pytest.mark.parametrize("d", [1, 2, 5, 33])
def test_a_row_depends_on_its_seed_alone(d):
    flow = Flow(**QUICK | {"learning_rate": 0.03}).fit(cloud(600, d))
    seeds = np.random.default_rng(d).permutation(150)
    together = flow.sample_at(range(150))
    assert np.array_equal(flow.sample_at([7]), together[7:8])
    assert np.array_equal(flow.sample_at(seeds), together[seeds])
    assert np.array_equal(flow.sample_at(seeds[:65]), together[seeds[:65]])
    assert flow.sample_at([]).shape == (0, d)
    assert flow.sample_at([3]).dtype == np.float32
    assert np.isfinite(flow.score(together))


def test_blocks_of_any_number_of_codes_have_the_same_density(bent):
    z = banana(5000, seed=4)
    whole = bent.log_prob(z)
    assert bent.log_prob(z[4321:4322]) == pytest.approx(whole[4321:4322], rel=1e-12)


def test_same_seed_same_law_other_seed_another():
    z = cloud()
    one, same, other = (Flow(**QUICK, seed=seed).fit(z) for seed in (0, 0, 1))
    assert np.array_equal(one.weights_, same.weights_)
    assert np.array_equal(one.cov_, same.cov_)
    assert not np.array_equal(one.weights_, other.weights_)
    assert np.array_equal(one.sample(9, seed=3), same.sample(9, seed=3))
    assert not np.array_equal(one.sample(9, seed=3), one.sample(9, seed=4))


def test_fit_again_forgets(quick):
    again = Flow(**QUICK).fit(cloud(500, 3, seed=2))
    again.sample_at([0])
    again.stale_ = 1
    again.fit(cloud())
    assert vars(again).keys() == vars(quick).keys()
    assert np.array_equal(again.sample_at(range(5)), quick.sample_at(range(5)))
    with pytest.raises(InputError, match="finite"):
        again.fit(np.full((10, 4), np.nan))
    with pytest.raises(InputError, match="not fitted"):
        again.sample(1)


def test_save_and_load_agree_to_the_bit(bent, tmp_path, monkeypatch):
    monkeypatch.setitem(SAMPLERS, "flow", "latentshape.flows:Flow")
    stem = bent.save(tmp_path)
    loaded = Flow.load(stem)
    z = banana(50, seed=5)
    assert loaded.get_params() == bent.get_params()
    assert np.array_equal(loaded.sample(70), bent.sample(70))
    assert np.array_equal(loaded.sample_at(range(7)), bent.sample_at(range(7)))
    assert np.array_equal(loaded.log_prob(z), bent.log_prob(z))
    assert np.array_equal(loaded.cov_, bent.cov_)
    assert (loaded.heldout_, loaded.steps_) == (bent.heldout_, bent.steps_)
    record = tmp_path / "flow.json"
    changed = json.loads(record.read_text())
    changed["learnt"]["layout_"][0][0] = "other.name"
    record.write_text(json.dumps(changed))
    with pytest.raises(InputError, match=r"saved with another version of zuko.*fit it again"):
        Flow.load(stem).sample(1)


def test_scikit_learn_can_clone(quick):
    twin = clone(quick)
    assert twin.get_params() == quick.get_params()
    assert not hasattr(twin, "latent_dim_")


def test_memory_maps_are_read_where_they_lie(quick, tmp_path):
    np.save(tmp_path / "z.npy", cloud())
    mapped = Flow(**QUICK).fit(np.load(tmp_path / "z.npy", mmap_mode="r"))
    assert np.array_equal(mapped.weights_, quick.weights_)


def test_dependent_codes_are_drawn_on_their_span_and_have_no_density():
    z = cloud()
    z[:, 2] = z[:, 1]
    z[:, 3] = 5.0
    flow = Flow(**QUICK).fit(z)
    draws = flow.sample(500)
    assert flow.std_.shape == (2,)
    assert np.allclose(draws[:, 1], draws[:, 2], atol=1e-3)
    assert np.allclose(draws[:, 3], 5.0, atol=1e-3)
    assert np.linalg.matrix_rank(flow.cov_, tol=1e-6) == 2
    with pytest.raises(InputError, match="lies in 2 of 4 dimensions and has no density"):
        flow.log_prob(z)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_nobody_elses_settings_are_needed_or_changed(mode, quick):
    before = torch.get_rng_state()
    threads = torch.get_num_threads()
    with mode():
        flow = Flow(**QUICK).fit(cloud())
        inside = flow.sample_at([0])
    assert np.array_equal(flow.weights_, quick.weights_)
    assert np.array_equal(flow.sample_at([0]), inside)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


def test_importing_zuko_leaves_torchs_distributions_as_they_were(monkeypatch):
    for module in [name for name in sys.modules if name.split(".")[0] == "zuko"]:
        monkeypatch.delitem(sys.modules, module)
    for setting in (True, False):
        monkeypatch.setattr(torch.distributions.Distribution, "_validate_args", setting)
        _zuko()
        assert torch.distributions.Distribution._validate_args is setting


def test_without_zuko_the_cure_is_named(monkeypatch, quick):
    for module in ("zuko", "zuko.flows.coupling", "zuko.lazy"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=r"pip install 'latentshape\[flow\]'"):
        Flow(**QUICK).fit(cloud())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"transforms": 0}, "transforms must be an integer of at least 1"),
        ({"hidden": "64"}, "hidden must be an integer of at least 1"),
        ({"max_steps": -1}, "max_steps must be an integer of at least 0"),
        ({"max_steps": True}, "max_steps must be an integer of at least 0"),
        ({"learning_rate": 0}, "learning_rate must be a finite number above 0"),
        ({"batch_size": 1}, "batch_size must be an integer of at least 2"),
        ({"seed": -1}, "seed must be an integer from 0"),
    ],
)
def test_bad_options_are_named_in_fit(options, message):
    with pytest.raises(InputError, match=message):
        Flow(**options).fit(cloud())


def test_codes_that_teach_nothing_are_refused():
    with pytest.raises(
        InputError, match=r"got 10 codes of dimension 20; use the sampler 'gaussian'"
    ):
        Flow(**QUICK).fit(cloud(10, 20))
    with pytest.raises(InputError, match="needs codes that vary, got 10 equal codes"):
        Flow(**QUICK).fit(np.ones((10, 3)))


def test_a_step_that_explodes_is_not_kept():
    flow = Flow(**QUICK | {"learning_rate": 1e12, "max_steps": 60}).fit(cloud(300))
    assert np.isfinite(flow.sample(100)).all()
    assert flow.heldout_ >= flow.gaussian_heldout_


def test_drawing_needs_no_more_noise_than_dimensions(quick):
    """Related laws give related codes from one seed: the flow uses the Gaussian's numbers."""
    g = SeededNoise(np.array([7], dtype=np.uint64), 1).normal(4)
    assert quick.sample_at([7])[0] == pytest.approx(quick._draw(Given(g))[0], abs=1e-6)
