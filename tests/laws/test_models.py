"""Laws of every autoencoder, over a grid of networks and over every kind of loss."""

import pytest
import torch

from latentshape.config import ACTIVATIONS, MODELS, PRESETS, make_config
from latentshape.models import build_model
from latentshape.models.base import Autoencoder
from latentshape.samplers import SAMPLERS

NETWORKS = [
    dict(size=28, channels=1, filters=(6, 8), strides=(2,)),
    dict(size=28, filters=(6, 8), strides=(2, 7), kernel_size=7),
    dict(size=32, filters=(4, 6, 8), strides=(2, 1, 2)),
    dict(size=32, filters=(4, 6), kernel_size=2),
    dict(size=32, filters=(4, 6), kernel_size=4, decoder_filters=(6, 4)),
    dict(size=48, filters=(4, 6), strides=(2, 3)),
    dict(size=64, filters=(4, 4, 6, 6), kernel_size=5),
    dict(size=64, filters=(4, 6), kernel_size=4, strides=(4, 2)),
    dict(size=96, channels=1, filters=(4, 4, 6, 6), strides=(2, 2, 2, 1),
         decoder_filters=(6, 6, 4, 4)),
    dict(size=32, filters=(6, 8), batch_norm=True),
    dict(size=32, filters=(6, 8), batch_norm=True, decoder_filters=(8, 6)),
    *(dict(size=32, filters=(6, 8), activation=name) for name in ACTIVATIONS),
    *(dict(model=kind, size=32, filters=(6, 8)) for kind in MODELS if kind != "cae"),
    *(dict(model=kind, size=32, channels=1, filters=(6, 8), batch_norm=True, decoder_filters=(8, 6))
      for kind in MODELS if kind != "cae"),
]  # fmt: skip
IDS = ["-".join(str(value).replace(" ", "") for value in options.values()) for options in NETWORKS]
each = pytest.mark.parametrize("options", NETWORKS, ids=IDS)
of_every_kind = pytest.mark.parametrize("kind", MODELS)


def noise(seed=0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def build(options, **more) -> tuple[Autoencoder, torch.Tensor]:
    """A model and 32 smooth pictures that it fits."""
    config = make_config(**({"latent_dim": 12} | options | more))
    size, channels = config.data.size, config.data.channels
    coarse = torch.rand(32, channels, 4, 4, generator=torch.Generator().manual_seed(0))
    x = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bilinear")
    return build_model(config), x.contiguous(memory_format=torch.channels_last)


@each
def test_a_decoded_code_is_a_picture_of_the_same_shape(options):
    model, x = build(options)
    model.eval()
    with torch.inference_mode():
        z = model.encode(x)
        back = model.decode(z)
        far = model.decode(50 * torch.randn(8, 12, generator=torch.Generator().manual_seed(1)))
    assert z.shape == (32, 12) == (len(x), model.latent_dim)
    assert back.shape == x.shape
    assert back.dtype == torch.float32
    for pictures in (back, far):
        assert 0 <= pictures.min() <= pictures.max() <= 1


@each
def test_every_parameter_gets_a_gradient(options):
    model, x = build(options)
    loss, _ = model.loss(x, noise())
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        # Batch norm subtracts the bias of the convolution before it: that one gets rounding only.
        if not (options.get("batch_norm") and name.endswith("0.bias")):
            assert parameter.grad.abs().max() > 0, name


@each
def test_the_loss_falls_on_32_pictures(options):
    model, x = build(options)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    errors = []
    for step in range(60):
        loss, terms = model.loss(x, noise(step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        errors.append(terms["mse"].item())
    assert errors[-1] < 0.9 * errors[0]


@each
def test_a_picture_has_one_code_in_any_company(options):
    model, x = build(options)
    model.eval()
    with torch.inference_mode():
        whole, alone = model.encode(x), model.encode(x[3:4])
    torch.testing.assert_close(whole[3:4], alone, rtol=1e-4, atol=1e-5)
    assert (whole[3] - whole[4]).abs().max() > 1e-4  # and another picture has another


def built(kind, **options) -> tuple[Autoencoder, torch.Tensor]:
    return build({"model": kind, "size": 32, "filters": (4, 6)} | options)


#: The loss from its terms: p pixels times channels, and the weights of the config.
SUMS = {
    "cae": lambda p, c, t: p * t["mse"],
    "vae": lambda p, c, t: p * t["mse"] + c.beta * t["kl"],
    "gae": lambda p, c, t: p * t["mse"] + c.prior_weight * (t["radii"] + t["distances"]),
    "wae": lambda p, c, t: p * t["mse"] + 5 * c.prior_weight * t["mmd"],
    "rae": lambda p, c, t: p * t["mse"] + c.code_penalty * t["norm"] + c.decoder_decay * t["decay"],
}
#: Weights that leave nothing but the squared error.
NOTHING = dict(beta=0.0, prior_weight=0.0, code_penalty=0.0, decoder_decay=0.0)


@of_every_kind
def test_the_loss_is_the_weighted_sum_of_its_terms_and_mse_is_per_pixel(kind):
    options = dict(beta=1.7, prior_weight=2.3, code_penalty=0.9, decoder_decay=0.31)
    model, x = built(kind, **options)
    with torch.no_grad():
        loss, terms = model.loss(x)
        error = (model.decode(model.encode(x)) - x).double().square()
    assert loss.shape == ()
    assert loss.item() == pytest.approx(
        SUMS[kind](x[0].numel(), model.config, {k: v.item() for k, v in terms.items()}), rel=1e-5
    )
    assert terms["mse"].item() == pytest.approx(error.mean().item(), rel=1e-5)
    if kind == "cae":
        assert loss.item() == pytest.approx(error.sum((1, 2, 3)).mean().item(), rel=1e-5)
    assert not any(term.requires_grad for term in model.loss(x, noise())[1].values())


@of_every_kind
def test_without_weights_every_loss_is_the_plain_ones(kind):
    model, x = built(kind, **NOTHING)
    plain, _ = built("cae")
    assert model.loss(x)[0].item() == plain.loss(x)[0].item()


@of_every_kind
@pytest.mark.parametrize("batch_norm", [False, True])
def test_every_kind_begins_with_the_same_encoder_and_decoder(kind, batch_norm):
    model, plain = built(kind, batch_norm=batch_norm)[0], built("cae", batch_norm=batch_norm)[0]
    state = model.state_dict()
    for name, value in plain.state_dict().items():
        assert torch.equal(state.pop(name), value), name
    assert set(state) == ({"to_log_var.weight", "to_log_var.bias"} if kind == "vae" else set())


@of_every_kind
def test_all_randomness_is_the_generators(kind):
    model, x = built(kind)
    before = torch.random.get_rng_state()
    with torch.no_grad():
        first, again, other = (model.loss(x, noise(seed))[0].item() for seed in (3, 3, 4))
        assert model.loss(x)[0].item() == model.loss(x)[0].item()
        torch.testing.assert_close(model.encode(x), model.encode(x), rtol=0, atol=0)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert first == again
    assert (first != other) == (kind in ("vae", "wae"))


@of_every_kind
@pytest.mark.parametrize("n", [1, 2, 7])
@pytest.mark.parametrize("alike", [False, True])
def test_small_batches_and_pictures_all_alike_have_a_finite_loss_and_gradient(kind, n, alike):
    model, x = built(kind)
    loss, terms = model.loss(x[:1].expand(n, -1, -1, -1) if alike else x[:n], noise())
    loss.backward()
    assert loss.isfinite()
    assert all(term.isfinite() for term in terms.values())
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@of_every_kind
def test_in_bf16_only_the_networks_are_rounded(kind):
    """Distances and divergences of nearly equal numbers would drown in 8 bits."""
    model, x = built(kind)
    with torch.no_grad():
        _, exact = model.loss(x, noise())
        with torch.autocast("cpu", torch.bfloat16):
            loss, terms = model.loss(x, noise())
    assert loss.dtype == torch.float32
    for name, value in exact.items():
        assert terms[name].item() == pytest.approx(value.item(), rel=0.03, abs=1e-4), name


def test_a_prior_is_named_by_the_sampler_that_draws_from_it():
    priors = {kind: built(kind)[0].prior for kind in MODELS}
    assert priors == {"cae": None, "rae": None} | dict.fromkeys(
        ("vae", "gae", "wae"), "standard-normal"
    )
    assert set(priors.values()) <= {None, *SAMPLERS}


def weights(**options):
    return build_model(make_config(size=32, filters=(4, 6), latent_dim=5, **options)).state_dict()


def test_the_seed_fixes_the_weights():
    first, again, other = weights(seed=3), weights(seed=3), weights(seed=4)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_building_leaves_the_global_generator_alone():
    before = torch.random.get_rng_state()
    weights(seed=3)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_series_96_is_the_network_of_the_experiments():
    model = build_model(make_config("series-96"))
    assert 10.0e6 < sum(p.numel() for p in model.parameters()) < 10.3e6
    shapes = []
    model.encoder.layers[-1].register_forward_hook(lambda *args: shapes.append(args[2].shape))
    with torch.inference_mode():
        z = model.encode(torch.zeros(1, 3, 96, 96))
        assert model.decode(z).shape == (1, 3, 96, 96)
    assert shapes == [(1, 128, 12, 12)]
    assert z.shape == (1, 256)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_builds_and_maps_back(preset):
    config = make_config(preset)
    shape = (1, config.data.channels, config.data.size, config.data.size)
    with torch.inference_mode():
        model = build_model(config).eval()
        assert model.decode(model.encode(torch.zeros(shape))).shape == shape


def test_leaky_relu_has_the_slope_that_was_asked_for():
    model = build_model(make_config(size=32, filters=(4,), negative_slope=0.37))
    slopes = {m.negative_slope for m in model.modules() if isinstance(m, torch.nn.LeakyReLU)}
    assert slopes == {0.37}


def test_an_autoencoder_without_its_three_parts_cannot_be_made():
    class Half(Autoencoder):
        def encode(self, x):
            return x

    with pytest.raises(TypeError, match="abstract"):
        Half()
