"""ONNX pairs through ONNX Runtime."""

import numpy as np
import pytest
import torch
from torch import nn

onnxruntime = pytest.importorskip(
    "onnxruntime", reason="no ONNX Runtime: pip install 'latentshape[onnx]'"
)
pytest.importorskip("onnxscript", reason="no exporter: pip install 'latentshape[onnx]'")

from whole_pipeline import carry  # noqa: E402

from latentshape.adapters.choosing import adapt  # noqa: E402
from latentshape.adapters.held import _HELD  # noqa: E402
from latentshape.cli import main  # noqa: E402
from latentshape.errors import InputError  # noqa: E402
from latentshape.images import to_images  # noqa: E402
from latentshape.models import load_model  # noqa: E402

SIDE, DIM = 32, 12


@pytest.fixture(scope="module")
def trained(pixels):
    torch.manual_seed(0)
    encoder = nn.Sequential(
        nn.Conv2d(3, 12, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(12, 24, 4, 2, 1), nn.LeakyReLU(0.2),
        nn.Flatten(), nn.Linear(24 * 64, DIM),
    )  # fmt: skip
    decoder = nn.Sequential(
        nn.Linear(DIM, 24 * 64), nn.LeakyReLU(0.2), nn.Unflatten(1, (24, 8, 8)),
        nn.ConvTranspose2d(24, 12, 4, 2, 1), nn.LeakyReLU(0.2), nn.ConvTranspose2d(12, 3, 4, 2, 1),
        nn.Sigmoid(),
    )  # fmt: skip
    x = to_images(pixels)
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.Adam(parameters, 4e-3)
    generator = torch.Generator().manual_seed(0)
    for _ in range(150):
        rows = torch.randint(0, len(x), (64,), generator=generator)
        loss = (decoder(encoder(x[rows])) - x[rows]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return encoder.eval(), decoder.eval()


@pytest.fixture(scope="module")
def files(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx")
    places = folder / "encoder.onnx", folder / "decoder.onnx"
    inputs = torch.zeros(2, 3, SIDE, SIDE), torch.zeros(2, DIM)
    for module, example, place in zip(trained, inputs, places):
        torch.onnx.export(
            module, (example,), str(place), dynamo=True, verbose=False, external_data=False,
            dynamic_shapes=({0: torch.export.Dim("n")},),
        )  # fmt: skip
    return places


def test_a_pair_of_files_end_to_end(files, pixels, tmp_path):
    run = carry(files, pixels, tmp_path, size=SIDE)
    _HELD.clear()  # as a new process begins
    assert load_model(run).latent_dim == DIM


def test_the_command_adopts_files(files, pixels, tmp_path):
    np.save(tmp_path / "images.npy", pixels[:120])
    words = [
        "--data",
        str(tmp_path / "images.npy"),
        "--out",
        str(tmp_path / "run"),
        "--size",
        str(SIDE),
    ]
    assert main(["adopt", ",".join(map(str, files)), *words, "--judged", "12"]) == 0
    assert main(["sample", str(tmp_path / "run"), "-n", "2", "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "grid.png").exists()


def test_it_gives_what_torch_gives(files, trained, pixels):
    model = adapt(",".join(map(str, files)), SIDE)
    x = to_images(pixels[:9])
    with torch.no_grad():
        z = trained[0](x)
        y = trained[1](z)
    assert np.allclose(model.encode(x), z, atol=1e-4)
    assert np.allclose(model.decode(z), y, atol=1e-4)


def test_files_that_are_none_are_said(files, tmp_path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(files[0].read_bytes()[:1000])
    for pair, sentence in (
        ((broken, files[1]), "no ONNX model"), ((tmp_path / "none.onnx", files[1]), "no file"),
        ((files[0], files[0]), "same latent dimension"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=sentence):
            adapt(pair, SIDE)
