"""Each loss against its closed form, an independent double loop, and clouds with a planted fault."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch.distributions import Normal, kl_divergence

from latentshape.cli import main
from latentshape.config import MODELS, make_config
from latentshape.models import build_model, load_model
from latentshape.models.gae import distances_term, radii_term
from latentshape.models.vae import divergence
from latentshape.models.wae import discrepancy
from latentshape.runs import RunFolder
from tiny_run import read, words


def normal(n, d, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def model_of(kind, **options):
    tiny = dict(model=kind, size=28, channels=1, filters=(4,), latent_dim=6)
    return build_model(make_config(**(tiny | options)))


# --- the divergence ------------------------------------------------------------------------------


def test_the_divergence_is_that_of_the_distributions():
    mean, log_var = 2 * normal(50, 7).double(), 1.5 * normal(50, 7, seed=1).double()
    zero = torch.zeros((), dtype=torch.float64)
    expected = kl_divergence(Normal(mean, (log_var / 2).exp()), Normal(zero, zero + 1)).sum(1)
    torch.testing.assert_close(divergence(mean, log_var), expected)


def test_the_divergence_keeps_its_digits_near_zero_and_is_zero_at_the_prior():
    log_var = torch.full((1, 4), 1e-3)
    expected = 4 * (math.expm1(1e-3) - 1e-3) / 2  # digits that 1.001 - 1 lacks in float32
    assert divergence(torch.zeros(1, 4), log_var).item() == pytest.approx(expected, rel=1e-3)
    assert divergence(torch.zeros(3, 4), torch.zeros(3, 4)).tolist() == [0, 0, 0]


def test_a_vae_draws_from_the_mean_and_variance_it_states(monkeypatch):
    model = model_of("vae")
    log_var = torch.tensor([-4.0, -2.0, 0.0, 0.5, 1.0, 2.0])
    with torch.no_grad():
        model.to_log_var.weight.zero_()
        model.to_log_var.bias.copy_(log_var)
    x = torch.rand(1, 1, 28, 28, generator=torch.Generator().manual_seed(0)).expand(
        4000, -1, -1, -1
    )
    decoded, real = [], model.decode
    monkeypatch.setattr(model, "decode", lambda z: (decoded.append(z), real(z))[1])
    with torch.no_grad():
        _, terms = model.loss(x, torch.Generator().manual_seed(1))
        model.loss(x)
        mean = model.encode(x)
    noisy, still = decoded
    assert torch.equal(still, mean)
    white = ((noisy - mean) / (log_var / 2).exp()).numpy()
    for j, k in itertools.combinations_with_replacement(range(6), 2):
        expected, error = (1.0, 2.0) if j == k else (0.0, 1.0)
        assert abs((white[:, j] * white[:, k]).mean() - expected) < 5 * math.sqrt(error / 4000)
    assert stats.kstest(white.ravel(), "norm").pvalue > 1e-4
    assert terms["kl"].item() == pytest.approx(divergence(mean[:1], log_var[None]).item(), rel=1e-5)


# --- the kernel distance ------------------------------------------------------------------------


def naive_discrepancy(a, b):
    """Kernel by kernel, pair by pair, in Python's own numbers."""
    a, b, d = a.tolist(), b.tolist(), a.shape[1]

    def kernel(u, v):
        square = sum((i - j) ** 2 for i, j in zip(u, v))
        return sum(2 * d * s / (2 * d * s + square) for s in (0.1, 0.2, 0.5, 1, 2, 5, 10))

    def within(sample):
        pairs = [kernel(u, v) for i, u in enumerate(sample) for j, v in enumerate(sample) if i != j]
        return sum(pairs) / len(pairs)

    across = [kernel(u, v) for u in a for v in b]
    return within(a) + within(b) - 2 * sum(across) / len(across)


@pytest.mark.parametrize(("n", "m", "d"), [(2, 2, 1), (9, 9, 4), (12, 7, 3), (8, 8, 64)])
def test_the_kernel_distance_is_the_double_loops(n, m, d):
    a, b = 1.5 * normal(n, d) + 0.3, normal(m, d, seed=1)
    expected = naive_discrepancy(a, b)
    assert discrepancy(a, b).item() == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert discrepancy(b, a).item() == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_the_kernel_distance_of_equal_laws_is_zero_on_average_and_of_others_is_not():
    def values(change):
        return np.array(
            [
                discrepancy(change(normal(40, 5, seed=2 * i)), normal(40, 5, seed=2 * i + 1)).item()
                for i in range(400)
            ]
        )

    equal = values(lambda z: z)
    assert abs(equal.mean()) < 4 * equal.std() / np.sqrt(len(equal))
    assert (equal < 0).mean() > 0.3  # unbiased, hence often below zero
    for change in (lambda z: z + 0.5, lambda z: 1.5 * z, lambda z: 0.5 * z, lambda z: z.abs()):
        assert values(change)[:50].mean() > 10 * equal.std() / np.sqrt(50)


# --- radii and distances ------------------------------------------------------------------------


def test_the_terms_are_squared_differences_from_the_chi_laws_quantiles():
    z = 1.7 * normal(13, 5) + 0.4
    radii = sorted(math.sqrt(sum(v * v for v in row)) for row in z.tolist())
    pairs = itertools.combinations(z.tolist(), 2)
    distances = sorted(math.dist(u, v) / math.sqrt(2) for u, v in pairs)
    for term, values in ((radii_term, radii), (distances_term, distances)):
        m = len(values)
        quantiles = stats.chi(5).ppf((np.arange(m) + 0.5) / m)
        expected = np.square(np.array(values) - quantiles).mean()
        assert term(z).item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("d", [1, 2, 16, 256])
def test_both_terms_vanish_for_gaussian_batches_as_these_grow(d):
    for term in (radii_term, distances_term):
        small, large = (
            np.mean([term(normal(n, d, seed)).item() for seed in range(20)]) for n in (20, 320)
        )
        assert small < 0.1
        assert large < small / 4  # 16 times as many codes, about a sixteenth of the rest


def on_a_ray(z):
    """Every code's own radius, all in one direction."""
    return torch.nn.functional.pad(z.norm(dim=1, keepdim=True), (0, z.shape[1] - 1))


@pytest.mark.parametrize(
    ("fault", "radii", "distances"),
    [
        (lambda z: 0 * z, 16, 16),  # collapsed: E chi^2 = d
        (lambda z: 3 * z, 4 * 16, 4 * 16),  # scaled by c: (c - 1)^2 d
        (lambda z: 0.5 * z, 4, 4),
        (on_a_ray, 0, 11.6),  # differences of radii are small: (4 - 0.6)^2
        (lambda z: z / z.norm(dim=1, keepdim=True) * 3.94, 0.5, 0),  # a sphere: var of chi
    ],
    ids=["collapsed", "tripled", "halved", "ray", "sphere"],
)
def test_planted_faults_cost_what_the_closed_form_says(fault, radii, distances):
    z = fault(normal(300, 16))
    assert radii_term(z).item() == pytest.approx(radii, rel=0.1, abs=0.05)
    assert distances_term(z).item() == pytest.approx(distances, rel=0.1, abs=0.05)


def test_the_terms_know_neither_order_nor_rotation():
    z = 1.3 * normal(60, 8) + 0.2
    turned = z.flip(0) @ torch.linalg.qr(normal(8, 8, seed=5)).Q
    for term in (radii_term, distances_term):
        assert term(turned).item() == pytest.approx(term(z).item(), rel=1e-4)


@pytest.mark.parametrize("kind", ["gae", "wae"])
def test_a_loss_that_knows_its_prior_leads_a_crooked_cloud_there(kind):
    """Planted: 1000 codes off-centre, long and flat, moved by the gradient of random batches alone."""
    z = normal(1000, 3) * torch.tensor([2.0, 1.0, 0.4]) + torch.tensor([1.0, 0, 0])
    z.requires_grad_()
    optimizer = torch.optim.Adam([z], 0.05)
    for step in range(400):
        generator = torch.Generator().manual_seed(step)
        batch = z[torch.randperm(1000, generator=generator)[:100]]
        loss = (
            radii_term(batch) + distances_term(batch)
            if kind == "gae"
            else discrepancy(batch, torch.randn(100, 3, generator=generator))
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    end = z.detach()
    assert end.mean(0).abs().max() < 0.5  # from 1
    assert end.var(0).min() > 0.5  # from 0.16
    assert end.var(0).max() < 2.5  # from 4


# --- short codes, small kernels -------------------------------------------------------------------


def test_the_norm_is_half_the_squared_length_and_the_decay_is_of_the_decoders_kernels_alone():
    model = model_of("rae", batch_norm=True)
    x = torch.rand(5, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        z = model.encode(x).double()
        terms = model.loss(x)[1]
        assert terms["norm"].item() == pytest.approx(z.square().sum(1).mean().item() / 2, rel=1e-5)
        kernels = {
            f"{name}.weight": module.weight.double().square().sum().item()
            for name, module in model.decoder.named_modules()
            if isinstance(module, (torch.nn.Linear, torch.nn.ConvTranspose2d))
        }
        assert len(kernels) == 2
        assert terms["decay"].item() == pytest.approx(sum(kernels.values()), rel=1e-5)
        for name, parameter in model.named_parameters():
            if name.removeprefix("decoder.") not in kernels:
                parameter.add_(7.0)
        assert model.loss(x)[1]["decay"].item() == terms["decay"].item()


def test_the_default_weights_are_the_published_ones_on_our_scale():
    config = make_config("rae-celeba")
    numbers = config.data.size**2 * config.data.channels
    assert config.model.code_penalty == pytest.approx(2e-4 * numbers / config.model.latent_dim)
    assert config.model.decoder_decay == pytest.approx(1e-7 * numbers)


# --- from the command line ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [kind for kind in MODELS if kind != "cae"])
def test_every_kind_goes_from_the_command_line_through_evaluation(kind, tmp_path):
    samplers = "standard-normal,gaussian"  # the others know nothing of models, and take long
    out = tmp_path / "run"
    options = words(model=kind, epochs=1, samplers=samplers)
    assert main(["train", "--out", str(out), *options]) == 0
    for verb in ("encode", "evaluate"):
        assert main([verb, str(out)]) == 0
    run = RunFolder(out)
    assert type(load_model(run)).__name__ == kind.upper()
    rows = read(run.scorecard_path)["rows"]
    assert {"reconstruction", "standard-normal", "gaussian"} <= rows.keys()


def test_the_published_protocol_trains_when_made_small(tmp_path):
    small = dict(
        data="faces:n=200", crop="auto", size=32, filters=(3, 4), decoder_filters=(4, 3),
        latent_dim=5, epochs=1, batch_size=32, precision="fp32", n=8, draws=2,
    )  # fmt: skip
    out = tmp_path / "run"
    assert main(["train", "--preset", "rae-celeba", "--out", str(out), *words(**small)]) == 0
    line = RunFolder(out).metrics()[-1]
    assert line["terms"].keys() == {"norm", "decay"}
    config = RunFolder(out).config()
    assert (config.model.model, config.model.kernel_size) == ("rae", 5)
    assert (config.model.batch_norm, config.training.flip) == (True, False)
