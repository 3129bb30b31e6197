"""Laws of every autoencoder, over a grid of networks."""

import pytest
import torch

from latentshape.config import ACTIVATIONS, PRESETS, make_config
from latentshape.models import build_model
from latentshape.models.base import Autoencoder

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
]  # fmt: skip
IDS = ["-".join(str(value).replace(" ", "") for value in options.values()) for options in NETWORKS]
each = pytest.mark.parametrize("options", NETWORKS, ids=IDS)


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
    loss, _ = model.loss(x)
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
    for _ in range(60):
        loss, terms = model.loss(x)
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


def test_the_loss_is_the_squared_error_per_picture_and_mse_per_pixel():
    model, x = build({"size": 32, "filters": (4, 6)})
    with torch.no_grad():
        loss, terms = model.loss(x)
        error = (model.decode(model.encode(x)) - x).double().square()
    assert loss.item() == pytest.approx(error.sum((1, 2, 3)).mean().item(), rel=1e-5)
    assert terms["mse"].item() == pytest.approx(error.mean().item(), rel=1e-5)
    assert not terms["mse"].requires_grad


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
