"""Decoders and encoders as ONNX: what ONNX Runtime gives is what the model gives, ours and adopted ones."""

import builtins

import numpy as np
import pytest
import torch
from torch import nn

onnx = pytest.importorskip("onnx", reason="no ONNX: pip install 'latentshape[onnx]'")
onnxruntime = pytest.importorskip(
    "onnxruntime", reason="no ONNX Runtime: pip install 'latentshape[onnx]'"
)
pytest.importorskip("onnxscript", reason="no exporter: pip install 'latentshape[onnx]'")

from latentshape import onnx_export  # noqa: E402
from latentshape.adapters.choosing import adapt  # noqa: E402
from latentshape.config import MODELS, make_config  # noqa: E402
from latentshape.errors import InputError  # noqa: E402
from latentshape.models import build_model  # noqa: E402
from latentshape.onnx_export import export_model, export_onnx  # noqa: E402

SIDE = 32


def run(path, x):
    session = onnxruntime.InferenceSession(str(path))
    (taken,), (given,) = session.get_inputs(), session.get_outputs()
    return session.run(None, {taken.name: x.numpy()})[0], taken, given


def compared(model, folder, channels, n=6, loose=1e-5):
    """Write both parts, and compare them with the model on numbers that they were not tried on."""
    z = torch.randn(n, model.latent_dim, generator=torch.Generator().manual_seed(1))
    x = torch.rand(n, channels, SIDE, SIDE, generator=torch.Generator().manual_seed(2))
    made = export_model(model, 0.5 * z.numpy(), folder)
    assert sorted(p.name for p in folder.iterdir()) == [
        "decoder.onnx",
        "encoder.onnx",
    ]  # weights are inside
    with torch.no_grad():
        wanted = {"decoder": model.decode(z), "encoder": model.encode(x)}
    for part, given, names in (
        ("decoder", z, ("codes", "images")),
        ("encoder", x, ("images", "codes")),
    ):
        for count in (1, n):
            found, source, target = run(made[part].path, given[:count])
            assert (source.name, target.name) == names
            assert isinstance(source.shape[0], str)  # any number at once
            assert found.dtype == np.float32
            scale = max(1.0, float(wanted[part].abs().max()))
            assert np.abs(found - wanted[part][:count].numpy()).max() < loose * scale
        assert made[part].difference < loose
        assert made[part].size == made[part].path.stat().st_size
    pictures = run(made["decoder"].path, 30 * z)[0]
    assert pictures.min() >= 0
    assert pictures.max() <= 1
    assert pictures.std() > 0.01  # not one grey for all


@pytest.mark.parametrize("kind", sorted(MODELS))
def test_every_model_of_ours(kind, tmp_path):
    odd = (
        {"batch_norm": True, "activation": "gelu", "channels": 1} if kind in ("vae", "rae") else {}
    )
    if kind == "wae":
        odd = {"decoder_filters": (4, 5), "strides": (2, 2)}
    config = make_config(model=kind, size=SIDE, filters=(4, 6), latent_dim=7, **odd)
    model = build_model(config).eval()
    for module in model.modules():  # as training leaves it: statistics that are not 0 and 1
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(generator=torch.Generator().manual_seed(3))
            module.running_var.uniform_(0.5, 2, generator=torch.Generator().manual_seed(4))
    compared(model, tmp_path, config.data.channels)


# --- adopted ----------------------------------------------------------------------------------------


class Foreign(nn.Module):
    """Channels last, pixels in [-1, 1], codes (n, 2, 8, 8): everything at its border is unlike ours."""

    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(3, 2, 4, 4)
        self.up = nn.ConvTranspose2d(2, 3, 4, 4)
        self.drop = nn.Dropout(0.5)  # rests

    def encode(self, x):
        return self.drop(self.down(x.permute(0, 3, 1, 2)))

    def decode(self, z):
        return torch.tanh(3 * self.up(z)).permute(0, 2, 3, 1)


class Side(nn.Module):
    def __init__(self, model, way):
        super().__init__()
        self.model, self.way = model, way

    def forward(self, x):
        return getattr(self.model, self.way)(x)


OPTIONS = {"pixel_range": (-1.0, 1.0), "channels_last": True}


@pytest.fixture(scope="module")
def foreign():
    torch.manual_seed(0)
    return Foreign()


@pytest.fixture(scope="module")
def pair(foreign, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    examples = {"encode": torch.zeros(2, SIDE, SIDE, 3), "decode": torch.zeros(2, 2, 8, 8)}
    for way, example in examples.items():
        torch.onnx.export(
            Side(foreign, way).eval(), (example,), str(folder / f"{way}.onnx"), dynamo=True, verbose=False,
            dynamic_shapes=({0: torch.export.Dim("n")},), external_data=way == "decode",
        )  # fmt: skip
    return folder / "encode.onnx", folder / "decode.onnx"


def test_an_adopted_torch_module_with_its_border(foreign, tmp_path):
    foreign.train()
    compared(adapt(foreign, SIDE, 3, **OPTIONS), tmp_path, 3)
    assert foreign.training  # left as it was
    assert foreign.drop.training


def test_an_adopted_pair_of_files_with_its_border(pair, tmp_path):
    compared(adapt(tuple(map(str, pair)), SIDE, 3, **OPTIONS), tmp_path, 3)


def test_the_scale_of_a_code_is_part_of_the_border(pair, tmp_path):
    model = adapt(tuple(map(str, pair)), SIDE, 3, **OPTIONS)
    model.scale = 0.25
    compared(model, tmp_path, 3)


def test_what_cannot_be_written_is_said(tmp_path):
    ours = adapt(
        (
            lambda x: x.mean((2, 3)),
            lambda z: np.tile(z[:, :, None, None], (1, 1, SIDE, SIDE)).clip(0, 1),
        ),
        SIDE,
        1,
    )
    with pytest.raises(InputError, match=r"neither torch nor ONNX.*adopt the two files"):
        export_model(ours, np.full((3, 1), 0.5), tmp_path)

    class Unusual(nn.Module):
        def encode(self, x):
            return x.mean((2, 3))

        def decode(self, z):
            grey = z if z.sum() > 0 else 1 - z  # the graph depends on the numbers
            return grey[:, :, None, None].expand(-1, -1, SIDE, SIDE).clamp(0, 1)

    with pytest.raises(InputError, match=r"torch cannot write this part of Unusual"):
        export_model(adapt(Unusual(), SIDE, 1), np.full((3, 1), 0.5), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_file_that_gives_something_else_is_not_kept(tmp_path, monkeypatch):
    model = build_model(make_config(size=SIDE, filters=(4,), latent_dim=3)).eval()
    other = build_model(make_config(size=SIDE, filters=(4,), latent_dim=3, seed=1)).eval()
    real = onnx_export._inner
    monkeypatch.setattr(onnx_export, "_inner", lambda _: real(other))
    with pytest.raises(InputError, match=r"gives other images than the model itself"):
        export_model(model, np.ones((3, 3)), tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_encoder_that_draws_is_left_out(tmp_path, capsys):
    class Drawing(Foreign):
        def encode(self, x):
            z = super().encode(x)
            return z + torch.randn_like(z)

    made = export_model(adapt(Drawing(), SIDE, 3, **OPTIONS), np.ones((3, 128)), tmp_path)
    assert list(made) == ["decoder"]
    assert "draws: it is not written" in capsys.readouterr().err


def test_a_missing_extra_is_said(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name == "onnxscript":
            raise ImportError("no such module", name=name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    model = build_model(make_config(size=SIDE, filters=(4,), latent_dim=3)).eval()
    with pytest.raises(
        InputError, match=r"pip install 'latentshape\[onnx\]'; onnxscript is missing"
    ):
        export_model(model, np.ones((3, 3)), tmp_path)


def test_a_run_without_codes_says_how_to_make_them(tmp_path):
    from latentshape.runs import RunFolder

    run = RunFolder.create(tmp_path / "run", make_config(size=SIDE, filters=(4,), latent_dim=3))
    with pytest.raises(InputError, match="latentshape train"):
        export_onnx(run, tmp_path / "out")
