"""diffusers' AutoencoderKL: spatial codes, flattened and restored, with its scaling factor."""

import numpy as np
import pytest
import torch

diffusers = pytest.importorskip(
    "diffusers", reason="no diffusers: pip install 'latentshape[diffusers]'"
)

from whole_pipeline import carry  # noqa: E402

from latentshape.adapters.choosing import adapt  # noqa: E402
from latentshape.adapters.held import _HELD  # noqa: E402
from latentshape.adopting import adopt  # noqa: E402
from latentshape.codes import load_codes  # noqa: E402
from latentshape.errors import InputError  # noqa: E402
from latentshape.images import to_images  # noqa: E402
from latentshape.models import load_model  # noqa: E402

SIDE, SCALE = 32, 0.5


@pytest.fixture(scope="module")
def trained(pixels):
    torch.manual_seed(0)
    model = diffusers.AutoencoderKL(
        in_channels=3, out_channels=3, latent_channels=2, scaling_factor=SCALE, sample_size=SIDE,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 8, 8, 8), norm_num_groups=4, layers_per_block=1,
    )  # fmt: skip
    x = to_images(pixels) * 2 - 1
    optimizer = torch.optim.Adam(model.parameters(), 4e-3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(60):
        rows = torch.randint(0, len(x), (16,), generator=generator)
        z = model.encode(x[rows]).latent_dist.mode()
        loss = (model.decode(z).sample - x[rows]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


def test_an_autoencoder_kl_end_to_end(trained, pixels, tmp_path):
    run = carry(trained, pixels, tmp_path, size=SIDE, worst=0.9)
    assert run.config().model.latent_dim == 2 * 4 * 4


def test_codes_are_the_scaled_mean_row_by_row(trained, pixels):
    model = adapt(trained, SIDE)
    x = to_images(pixels[:3])
    with torch.no_grad():
        mean = trained.encode(2 * x - 1).latent_dist.mode()
        picture = trained.decode(mean).sample
    z = model.encode(x)
    assert model.code_shape == (2, 4, 4)
    assert np.allclose(z, (mean * SCALE).flatten(1), atol=1e-4)
    assert np.allclose(model.decode(z), ((picture + 1) / 2).clamp(0, 1), atol=1e-4)


def test_a_folder_is_found_again(trained, pixels, tmp_path):
    trained.save_pretrained(tmp_path / "kl")
    run = adopt(tmp_path / "kl", pixels, tmp_path / "run", size=SIDE, stages=["encode"])
    _HELD.clear()  # as a new process begins
    model = load_model(run)
    z = model.encode(to_images(pixels[:2]))
    assert z.shape == (2, 32)
    assert load_codes(run, "train").z.shape[1] == 32


def test_what_is_no_folder_of_one_is_said(tmp_path, trained):
    with pytest.raises(InputError, match=r"config\.json"):
        adapt(tmp_path, SIDE)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="holds no AutoencoderKL"):
        adapt(tmp_path, SIDE)
    with pytest.raises(InputError, match="pass size="):
        adapt(trained)
