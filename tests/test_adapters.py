"""Somebody else's autoencoder in our place: borders, what is stated and what comes, the whole run."""

import json
import re

import numpy as np
import pytest
import torch
from torch import nn

import latentshape
from latentshape.adapters.adapted import DRAWS
from latentshape.adapters.borders import Layout
from latentshape.adapters.choosing import adapt
from latentshape.adapters.held import _HELD
from latentshape.adopting import adopt
from latentshape.cli import main
from latentshape.codes import load_codes
from latentshape.data.faces import faces
from latentshape.decoding import decode_pixels
from latentshape.errors import InputError
from latentshape.explorer.session import Session
from latentshape.images import to_images
from latentshape.models import load_model
from tiny_run import hurry, said

SIDE = 16


class Linear(nn.Module):
    """Principal components by gradient descent, more or less: enough to have codes and pictures."""

    def __init__(self, d=6, low=0.0, high=1.0, spatial=False):
        super().__init__()
        torch.manual_seed(0)
        size = 3 * SIDE * SIDE
        basis = torch.linalg.qr(torch.randn(size, d))[0]
        self.low, self.high, self.spatial, self.d = low, high, spatial, d
        self.down, self.up = nn.Linear(size, d, bias=False), nn.Linear(d, size, bias=False)
        with torch.no_grad():
            self.down.weight.copy_(basis.T)
            self.up.weight.copy_(basis)
        self.drop = nn.Dropout(0.5)

    def encode(self, x):
        x = (x - self.low) / (self.high - self.low)
        z = self.drop(self.down(x.flatten(1)))
        return z.view(-1, self.d // 2, 2, 1) if self.spatial else z

    def decode(self, z):
        y = torch.sigmoid(self.up(z.flatten(1)) + 0.0).view(-1, 3, SIDE, SIDE)
        return y * (self.high - self.low) + self.low


@pytest.fixture(scope="module")
def pixels():
    return faces(np.arange(160), seed=2, size=SIDE)


@pytest.fixture
def images(pixels):
    return to_images(pixels[:5])


# --- the same model, however it is handed over ----------------------------------------------------


def ways():
    plain = Linear()
    last = Linear()

    def encode_last(x):
        assert x.shape[-1] == 3
        return last.eval().encode(torch.from_numpy(x).permute(0, 3, 1, 2)).detach().numpy()

    def decode_last(z):
        return last.eval().decode(torch.from_numpy(z)).permute(0, 2, 3, 1).detach().numpy()

    class Inner(nn.Module):
        def __init__(self):
            super().__init__()
            self.parts = nn.ModuleDict({"looks": Linear()})

    return {
        "module": adapt(plain, SIDE),
        "named": adapt(Inner(), SIDE, encoder="parts.looks.encode", decoder="parts.looks.decode"),
        "range": adapt(Linear(low=-1, high=1), SIDE, pixel_range=(-1, 1)),
        "bytes": adapt(Linear(low=0, high=255), SIDE, pixel_range=(0, 255)),
        "functions": adapt((encode_last, decode_last), SIDE, channels_last=True),
        "spatial": adapt(Linear(spatial=True), SIDE),
        "double": adapt(Linear().double(), SIDE),
        "half": adapt(Linear().bfloat16(), SIDE),
    }


@pytest.mark.parametrize("way", ways().items(), ids=lambda way: way[0])
def test_every_way_gives_the_codes_and_pictures_of_the_model_itself(way, images):
    name, model = way
    own = Linear().eval()
    tolerance = {"half": 0.05}.get(name, 1e-4)
    with torch.no_grad():
        z, y = own.encode(images), own.decode(own.encode(images))
    found = model.encode(images)
    assert found.dtype == torch.float32
    assert found.shape == (5, 6)
    assert torch.allclose(found, z, atol=tolerance)
    pictures = model.decode(found)
    assert pictures.shape == images.shape
    assert torch.allclose(pictures, y, atol=tolerance)
    assert not model.stochastic


def test_a_model_in_training_mode_is_asked_at_rest_and_left_as_it_was(images):
    theirs = Linear().train()
    model = adapt(theirs, SIDE)
    assert torch.equal(model.encode(images), model.encode(images))  # no dropout
    assert theirs.training
    assert theirs.drop.training


def test_images_that_are_not_contiguous_or_half_are_taken(images):
    model = adapt(Linear(), SIDE)
    z = model.encode(images)
    turned = images.permute(0, 1, 3, 2).contiguous().permute(0, 1, 3, 2)
    assert torch.allclose(model.encode(turned), z, atol=1e-6)
    assert torch.allclose(model.encode(images.half()), z, atol=5e-3)


# --- stochastic encoders --------------------------------------------------------------------------


class Draws(Linear):
    def encode(self, x):
        z = super().encode(x)
        return z + 0.3 * torch.randn_like(z)


class Both(Linear):
    def encode(self, x):
        mean = super().encode(x)
        return mean, torch.zeros_like(mean), mean + torch.randn_like(mean)


class Law(Linear):
    def encode(self, x):
        return torch.distributions.Normal(super().encode(x), 1.0)


def test_of_a_stochastic_encoder_the_mean_is_taken_and_that_is_said(images, capsys):
    model = adapt(Draws(), SIDE)
    assert model.stochastic
    assert "stochastic" in capsys.readouterr().err
    exact = Linear().eval().encode(images)
    error = (model.encode(images) - exact).detach().std().item()
    assert error == pytest.approx(0.3 / DRAWS**0.5, rel=0.5)


@pytest.mark.parametrize("kind", [Both, Law])
def test_what_a_variational_encoder_returns_is_reduced_to_its_mean(kind, images, capsys):
    model = adapt(kind(), SIDE)
    assert not model.stochastic
    assert "mean" in capsys.readouterr().err
    assert torch.allclose(model.encode(images), Linear().eval().encode(images), atol=1e-5)


# --- what does not fit ----------------------------------------------------------------------------


class Other(Linear):
    """A decoder of another latent dimension."""

    def __init__(self):
        super().__init__()
        self.up = nn.Linear(9, 3 * SIDE * SIDE)


class Loud(Linear):
    def decode(self, z):
        return super().decode(z) * 255


class Turned(Linear):
    def decode(self, z):
        return super().decode(z).permute(0, 2, 3, 1)


class Broken(Linear):
    def encode(self, x):
        return super().encode(x) * float("nan")


class Wordy(Linear):
    def encode(self, x):
        return "a code"


class One(Linear):
    def encode(self, x):
        return super().encode(x)[0]


@pytest.mark.parametrize(
    ("model", "options", "sentence"),
    [
        (Other(), {}, "same latent dimension"),
        (Loud(), {}, "pixel_range"),
        (Turned(), {}, "channels_last"),
        (Broken(), {}, "not finite"),
        (Wordy(), {}, "must return an array"),
        (One(), {}, "one code each"),
        (Linear(), {"size": 20}, "Pass size"),
        (Linear(), {"channels": 1}, "Pass size"),
        (Linear(), {"size": None}, "pass size="),
        (Linear(), {"pixel_range": (1, 0)}, "rising"),
        (Linear(), {"pixel_range": (0, float("nan"))}, "rising"),
        (Linear(), {"encoder": "endcode"}, "endcode"),
        (nn.Linear(3, 3), {}, "No encoder was found"),
        (object(), {}, "is no autoencoder"),
        ((len,), {}, "got 1 things"),
        ((len, 3), {}, "a function"),
        ("no/such/thing", {}, "no model that can be read"),
        ("a.onnx,b.onnx", {}, "no file|ONNX Runtime"),
    ],
)
def test_what_does_not_fit_is_said_with_what_to_pass(model, options, sentence):
    options = {"size": SIDE} | options
    with pytest.raises(InputError, match=sentence) as refusal:
        adapt(model, **options)
    assert "\n" not in str(refusal.value)


# --- a run folder ---------------------------------------------------------------------------------


@pytest.fixture
def run(pixels, tmp_path, own_cache, monkeypatch):
    hurry(monkeypatch)
    return adopt(Linear(), pixels, tmp_path / "mine", n=12, draws=2, stages=("encode",))


def test_the_whole_of_the_pipeline_works(pixels, tmp_path, own_cache, capsys, monkeypatch):
    hurry(monkeypatch)
    run = adopt(Linear(), pixels, tmp_path / "mine", n=12, draws=2)
    for path in (run.shape_path, run.scorecard_path, run.report_path, run.dataset_path):
        assert path.exists(), path
    assert not (run.path / "model.safetensors").exists()
    card = json.loads(run.scorecard_path.read_text())
    assert card["rows"]["gaussian"]["gap"]["random-conv"]["value"] is not None
    out = str(tmp_path / "out")
    for words in (
        ["sample", "--sampler", "gaussian", "-n", "3"], ["walk", "--kind", "morph", "--film", "none"],
        ["report"],
    ):  # fmt: skip
        extra = ["--out", out] if words[0] != "report" else []
        assert main([words[0], str(run.path), *words[1:], *extra]) == 0, said(capsys)
    session = Session.of_run(run)
    session.warm()
    assert session.picture("gaussian:3").shape == (SIDE, SIDE, 3)
    assert "adopted" in run.report_path.read_text()


def test_codes_and_pictures_of_the_run_are_the_models(run, pixels):
    z = load_codes(run, "train")
    rows = [int(i.rsplit("-", 1)[-1]) if "-" in i else int(re.sub(r"\D", "", i)) for i in z.ids[:4]]
    own = Linear().eval().encode(to_images(pixels[rows])).detach().numpy()
    assert np.allclose(z.z[:4], own, atol=1e-4)
    found = decode_pixels(load_model(run), z.z[:2])
    assert found.shape == (2, SIDE, SIDE, 3)


def test_in_a_new_process_the_model_is_handed_over_again(run, capsys):
    _HELD.clear()  # as a new process begins
    with pytest.raises(InputError, match="hand it over again"):
        load_model(run)
    with pytest.raises(InputError, match="another model"):
        adopt(Linear(d=4), out=run.path)
    again = adopt(Linear(), out=run.path)
    assert load_model(again).latent_dim == 6
    assert main(["sample", str(run.path), "-n", "2", "--out", str(run.path / "x")]) == 0


def test_a_sampler_that_does_not_exist_is_known_before_anything_is_made(pixels, tmp_path):
    with pytest.raises(InputError, match=r"No sampler is called 'gausian'.*gaussian"):
        adopt(Linear(), pixels, tmp_path / "mine", samplers="gausian")
    assert not (tmp_path / "mine").exists()


def test_another_model_never_takes_a_runs_folder(run, pixels):
    changed = Linear()
    with torch.no_grad():
        changed.up.weight[0] += 1
    with pytest.raises(InputError, match="another model"):
        adopt(changed, pixels, run.path, n=12, draws=2, stages=("encode",))


def test_training_an_adopted_model_is_refused(run, capsys):
    (run.path / "stages.json").unlink()
    assert main(["train", "--out", str(run.path)]) == 2
    with pytest.raises(InputError, match="trained elsewhere"):
        adapt(Linear(), SIDE).loss(torch.zeros(1, 3, SIDE, SIDE))


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (np.zeros((4, 8, 9, 3), np.uint8), "square"),
        (np.zeros((4, 3, 8, 8), np.uint8), "channels last"),
        (np.full((4, 8, 8, 3), 2.0), r"\[0, 1\]"),
        (np.zeros((4, 8, 8, 3), np.int64), "uint8"),
        (None, "no adopted run"),
    ],
)
def test_images_that_cannot_be_taken_are_refused(tmp_path, images, sentence):
    with pytest.raises(InputError, match=sentence):
        adopt(Linear(), images, tmp_path / "run")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["no-such.keras"], "keras"),
        (["thing.pt"], "no model that can be read"),
        (["a.onnx,b.onnx", "--size", "16"], "no file|ONNX Runtime"),
        (["a.onnx,b.onnx"], "pass size="),
        (["a.onnx,b.onnx", "--pixel-range", "1"], "two numbers"),
    ],
)
def test_the_command_says_what_it_cannot_adopt(tmp_path, capsys, words, sentence):
    assert main(["adopt", *words, "--data", "faces:n=20", "--out", str(tmp_path / "run")]) == 2
    assert re.search(sentence, said(capsys))
    assert not (tmp_path / "run").exists()


def test_the_public_names_are_there():
    assert latentshape.adopt is adopt
    assert latentshape.adapt is adapt


def test_layouts_go_there_and_back():
    x = torch.rand(2, 3, 4, 4)
    for low, high in ((0, 1), (-1, 1), (0, 255)):
        for last in (False, True):
            layout = Layout(3, 4, low, high, last)
            there = layout.theirs(x)
            assert tuple(there.shape[1:]) == layout.shape
            assert torch.allclose(layout.ours(there), x, atol=1e-6)
