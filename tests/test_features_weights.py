"""Inception-v3 and DINOv2 from a user's file: architecture, numbers, and files that are no such thing."""

import hashlib
import math
import os

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from safetensors.torch import save_file
from scipy.special import erf, softmax

from latentshape.errors import InputError
from latentshape.evaluation import dinov2, inception
from latentshape.evaluation.dinov2 import DINOv2
from latentshape.evaluation.features import FeatureContext, fit_spaces
from latentshape.evaluation.inception import Inception
from latentshape.evaluation.weights import check_tensors, read_weights, sha256_of
from latentshape.images import to_images
from tiny_run import plain_dataset

#: Width and depth of a transformer that takes no time.
SMALL = (128, 2)


def random_inception(seed=0):
    """A state dict of the architecture, scaled so that maps neither vanish nor explode."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in inception.tensor_shapes().items():
        values = torch.randn(shape, generator=generator)
        if name.endswith("conv.weight"):
            values *= math.sqrt(2 / math.prod(shape[1:]))
        elif name.endswith(("bn.weight", "running_var")):
            values = 1 + 0.3 * values.clamp(-2, 2)
        else:
            values *= 0.1
        state[name] = values
    return state


def random_dinov2(dim, depth, seed=0):
    generator = torch.Generator().manual_seed(seed)
    state = {"mask_token": torch.zeros(1, dim)}
    for name, shape in dinov2.tensor_shapes(dim, depth).items():
        scale = 0.5 if len(shape) == 1 or name == "pos_embed" else 1 / math.sqrt(shape[-1])
        state[name] = scale * torch.randn(shape, generator=generator)
    return state


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A file of each network, as torch saves it."""
    folder = tmp_path_factory.mktemp("weights")
    torch.save(random_inception(), folder / "inception.pth")
    torch.save(random_dinov2(*SMALL), folder / "dinov2.pth")
    return {name: folder / f"{name}.pth" for name in ("inception", "dinov2")}


@pytest.fixture(scope="module")
def networks(files):
    return {"inception": Inception(files["inception"]), "dinov2": DINOv2(files["dinov2"])}


@pytest.fixture(scope="module")
def images():
    return to_images(plain_dataset(n=3, size=64).pixels)


each = pytest.mark.parametrize("name", ["inception", "dinov2"])


# --- both ---------------------------------------------------------------------------------------


@each
def test_features_are_a_function_of_each_image_alone(name, networks, images, monkeypatch):
    space = networks[name]
    together = space(images)
    assert together.shape == (3, {"inception": 2048, "dinov2": 128}[name])
    assert together.dtype == np.float64
    assert np.isfinite(together).all()
    assert together.std(0).max() > 1e-3
    monkeypatch.setattr({"inception": inception, "dinov2": dinov2}[name], "BATCH", 2)
    np.testing.assert_allclose(space(images), together, rtol=1e-3, atol=1e-5)
    assert space(images[:0]).shape == (0, together.shape[1])


@each
def test_grey_images_are_seen_as_grey_colours(name, networks, images):
    grey = images[:1, :1]
    np.testing.assert_array_equal(networks[name](grey), networks[name](grey.repeat(1, 3, 1, 1)))


def test_a_safetensors_file_gives_the_same_network(networks, images, tmp_path):
    save_file(random_dinov2(*SMALL), tmp_path / "weights.safetensors")
    found = DINOv2(tmp_path / "weights.safetensors")(images)
    np.testing.assert_array_equal(found, networks["dinov2"](images))


def test_half_precision_weights_are_widened(networks, images, tmp_path):
    state = {name: tensor.half() for name, tensor in random_dinov2(*SMALL).items()}
    torch.save(state, tmp_path / "half.pth")
    found = DINOv2(tmp_path / "half.pth")(images)
    np.testing.assert_allclose(found, networks["dinov2"](images), atol=0.05)


def test_a_run_gets_the_spaces_whose_files_it_has(files):
    dataset = plain_dataset()
    context = FeatureContext(dataset, dataset.indices("train"), weights={"dinov2": files["dinov2"]})
    spaces, missing = fit_spaces(context, ["inception", "dinov2"])
    assert [space.name for space in spaces] == ["dinov2"]
    assert "pt_inception-2015-12-05-6726825d.pth" in missing["inception"]
    digest = hashlib.sha256(files["dinov2"].read_bytes()).hexdigest()
    assert spaces[0].facts()["weights"] == digest
    assert digest[:8] in spaces[0].comparable_with


@each
def test_a_file_that_was_asked_for_and_will_not_do_is_refused_at_once(name, tmp_path):
    dataset = plain_dataset()
    context = FeatureContext(
        dataset, dataset.indices("train"), weights={name: tmp_path / "nowhere.pth"}
    )
    with pytest.raises(InputError, match=r"nowhere\.pth': there is no such file"):
        fit_spaces(context, ["pixel-pca", name])


# --- files --------------------------------------------------------------------------------------


class Trap:
    """What a hostile pickle does when it is opened."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_hostile_file_is_refused_and_runs_nothing(tmp_path):
    torch.save({"a": Trap(tmp_path / "sprung")}, tmp_path / "weights.pth")
    with pytest.raises(InputError, match="cannot be read as weights"):
        read_weights(tmp_path / "weights.pth")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"no weights at all", b"PK\x03\x04 half an archive"])
def test_what_is_no_file_of_weights_is_refused(suffix, content, tmp_path):
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match="cannot be read as weights"):
        read_weights(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([torch.zeros(2)], "holds list"),
        (torch.zeros(2), "holds Tensor"),
        ({"model": {"w": torch.zeros(2)}, "epoch": 3}, "a dictionary of 'model', 'epoch'"),
    ],
)
def test_what_is_no_state_dict_is_refused(content, said, tmp_path):
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(InputError, match=said):
        read_weights(tmp_path / "weights.pth")


def test_a_cut_file_is_refused(files, tmp_path):
    content = files["dinov2"].read_bytes()
    (tmp_path / "cut.pth").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="cannot be read as weights"):
        DINOv2(tmp_path / "cut.pth")


SHAPES = {"a": (2, 3), "b": (4,)}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"a": None}, "is not such a network: it has no tensor 'a'"),
        ({"b": torch.zeros(5)}, r"'b' has shape \(5,\), expected \(4,\)"),
        ({"c": torch.zeros(1)}, "is not such a network, which has no tensor 'c'"),
        ({"b": torch.tensor([0, 1, math.nan, 0])}, "damaged: 'b' holds numbers that are not"),
    ],
)
def test_the_first_tensor_that_does_not_fit_is_named(change, said):
    tensors = {"a": torch.zeros(2, 3), "b": torch.zeros(4), "x.unused": torch.zeros(9)} | change
    tensors = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    with pytest.raises(InputError, match=said):
        check_tensors(tensors, SHAPES, "w.pth", "such a network", ("unused",))


def test_weights_of_other_networks_are_refused(files, tmp_path):
    with pytest.raises(InputError, match=r"no tensor 'Conv2d_1a_3x3\.conv\.weight'"):
        Inception(files["dinov2"])
    with pytest.raises(InputError, match="no tensor 'cls_token'"):
        DINOv2(files["inception"])
    for changed, said in [
        ({"register_tokens": torch.zeros(1, 4, 128)}, "has no tensor 'register_tokens'"),
        ({"cls_token": torch.zeros(1, 1, 100)}, r"'cls_token' of shape \(1, 1, 100\)"),
        ({"pos_embed": torch.zeros(1, 197, 128)}, r"'pos_embed' has shape \(1, 197, 128\)"),
    ]:
        torch.save(random_dinov2(*SMALL) | changed, tmp_path / "other.pth")
        with pytest.raises(InputError, match=said):
            DINOv2(tmp_path / "other.pth")


def test_inception_of_a_thousand_classes_is_not_that_of_fid():
    """The same convolutions, other pooling: only the classifier tells."""
    shapes = inception.tensor_shapes()
    tensors = {name: torch.zeros(()).expand(shape) for name, shape in shapes.items()}
    tensors["fc.weight"] = torch.zeros(()).expand(1000, 2048)
    with pytest.raises(InputError, match=r"'fc.weight' has shape \(1000, 2048\), expected \(1008"):
        check_tensors(tensors, shapes, "inception_v3_google.pth", "FID's Inception-v3")


# --- Inception ----------------------------------------------------------------------------------


def test_inception_has_the_published_number_of_parameters():
    """23,817,352 in Keras's documentation, which has no gains (one per map): 17,216 more, and 8 classes."""
    shapes = inception.tensor_shapes()
    learnt = {n: s for n, s in shapes.items() if not n.endswith(("running_mean", "running_var"))}
    maps = sum(shape[0] for name, shape in shapes.items() if name.endswith("bn.weight"))
    assert maps == 17_216
    assert sum(map(math.prod, learnt.values())) == 23_817_352 + 17_216 + 8 * 2049
    assert sum(name.endswith("conv.weight") for name in shapes) == 94


def plain_unit(state, name, x, padding=(0, 0)):
    """Convolution, batch norm and rectifier of one picture's maps (m, h, w), by their definitions."""
    weight = state[f"{name}.conv.weight"].double().numpy()
    x = np.pad(x, ((0, 0), (padding[0],) * 2, (padding[1],) * 2))
    patches = sliding_window_view(x, weight.shape[2:], axis=(1, 2))
    y = np.einsum("mhwij,omij->ohw", patches, weight, optimize=True)
    gain, shift, mean, var = (
        state[f"{name}.bn.{part}"].double().numpy()[:, None, None]
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    return np.maximum(gain * (y - mean) / np.sqrt(var + 1e-3) + shift, 0)


def plain_pool(x, reduce):
    """A statistic of the neighbours that lie within the map."""
    _, height, width = x.shape
    around = [
        [x[:, max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2] for j in range(width)]
        for i in range(height)
    ]
    return np.stack([np.stack([reduce(a, (1, 2)) for a in row], 1) for row in around], 1)


def test_the_narrow_block_is_its_definition(networks):
    """Average pooling leaves the padding out of its mean."""
    state, at = random_inception(), "Mixed_5b."
    x = np.random.default_rng(0).random((192, 4, 3))
    expected = np.concatenate(
        [
            plain_unit(state, at + "branch1x1", x),
            plain_unit(state, at + "branch5x5_2", plain_unit(state, at + "branch5x5_1", x), (2, 2)),
            plain_unit(
                state, at + "branch3x3dbl_3",
                plain_unit(
                    state, at + "branch3x3dbl_2",
                    plain_unit(state, at + "branch3x3dbl_1", x), (1, 1),
                ),
                (1, 1),
            ),
            plain_unit(state, at + "branch_pool", plain_pool(x, np.mean)),
        ]
    )  # fmt: skip
    found = networks["inception"]._block(torch.from_numpy(x)[None].float(), at)[0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_the_last_block_pools_by_the_maximum_and_forks(networks):
    """Judged by the paths that are cheap: the 1x1, the first fork, and the pool."""
    state, at = random_inception(), "Mixed_7c."
    x = np.random.default_rng(1).random((2048, 2, 2))
    found = networks["inception"]._block(torch.from_numpy(x)[None].float(), at)[0].numpy()
    assert found.shape == (2048, 2, 2)
    inner = plain_unit(state, at + "branch3x3_1", x)
    for start, expected in [
        (0, plain_unit(state, at + "branch1x1", x)),
        (320, plain_unit(state, at + "branch3x3_2a", inner, (0, 1))),
        (704, plain_unit(state, at + "branch3x3_2b", inner, (1, 0))),
        (1856, plain_unit(state, at + "branch_pool", plain_pool(x, np.max))),
    ]:
        part = found[start : start + len(expected)]
        np.testing.assert_allclose(part, expected, rtol=1e-4, atol=1e-4)


def test_the_sides_shrink_as_published(networks, images, monkeypatch):
    """Maps and side after each block (Szegedy et al. 2015, table 1), of pictures of 299."""
    space, sides = networks["inception"], {}
    block = space._block

    def spy(x, name):
        y = block(x, name)
        sides[name] = tuple(y.shape[1:])
        return y

    monkeypatch.setattr(space, "_block", spy)
    space(images[:1])
    assert sides[""] == (192, 35, 35)
    assert sides["Mixed_5b."] == (256, 35, 35)
    assert sides["Mixed_5d."] == (288, 35, 35)
    assert sides["Mixed_6e."] == (768, 17, 17)
    assert sides["Mixed_7a."] == (1280, 8, 8)
    assert sides["Mixed_7c."] == (2048, 8, 8)


@pytest.mark.parametrize("side", [64, 400])
def test_pictures_are_scaled_without_antialiasing_to_minus_one_and_one(networks, side, monkeypatch):
    """Each value between its two neighbours' by distance of centres, whatever lies between them."""
    seen = []

    class Seen(Exception):
        pass

    def spy(x, name):
        seen.append(x)
        raise Seen

    monkeypatch.setattr(networks["inception"], "_block", spy)
    line = np.random.default_rng(0).random(side)
    images = torch.from_numpy(line).float().expand(1, 3, side, side)
    with pytest.raises(Seen):
        networks["inception"](images)
    centres = np.clip((np.arange(299) + 0.5) * side / 299 - 0.5, 0, side - 1)
    expected = 2 * np.interp(centres, np.arange(side), line) - 1
    np.testing.assert_allclose(seen[0][0, 1, 150], expected, atol=1e-4)


def test_it_is_called_fid_with_the_reference_weights_only(networks, files, monkeypatch):
    assert not networks["inception"].is_fid
    assert networks["inception"].distance == "Fréchet distance"
    assert "FID" not in networks["inception"].comparable_with
    assert len(inception.FID_SHA256) == 64
    assert inception.FID_SHA256.startswith("6726825d")  # as the file's own name says
    monkeypatch.setattr(inception, "FID_SHA256", sha256_of(files["inception"]))
    found = Inception(files["inception"])
    assert found.is_fid
    assert found.facts()["distance"] == "FID"


# --- DINOv2 -------------------------------------------------------------------------------------


def test_dinov2_has_the_published_size_and_reads_it_off_the_file(tmp_path, images):
    """ViT-S/14: dinov2_vits14_pretrain.pth has 88,283,115 bytes, some of them names and padding."""
    state = random_dinov2(384, 12)
    numbers = sum(tensor.numel() for tensor in state.values())
    assert 0 < 88_283_115 - 4 * numbers < 2**16
    torch.save(state, tmp_path / "vits14.pth")
    space = DINOv2(tmp_path / "vits14.pth")
    assert (space.dim, space.depth) == (384, 12)
    assert space(images[:1]).shape == (1, 384)


def normed(x, weight, bias):
    centred = x - x.mean(-1, keepdims=True)
    return weight * centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-6) + bias


def test_a_block_is_its_definition(networks):
    """Attention head by head and token by token, in float64."""
    dim, heads = SMALL[0], SMALL[0] // 64
    w = {k.removeprefix("blocks.1."): v.double().numpy() for k, v in random_dinov2(*SMALL).items()}
    x = np.random.default_rng(0).standard_normal((5, dim))

    y = normed(x, w["norm1.weight"], w["norm1.bias"])
    joint = y @ w["attn.qkv.weight"].T + w["attn.qkv.bias"]
    q, k, v = joint[:, :dim], joint[:, dim : 2 * dim], joint[:, 2 * dim :]
    seen = np.zeros((5, dim))
    for head in range(heads):
        at = slice(64 * head, 64 * head + 64)
        for token in range(5):
            share = softmax([q[token, at] @ k[other, at] / 8 for other in range(5)])
            seen[token, at] = sum(share[other] * v[other, at] for other in range(5))
    middle = x + w["ls1.gamma"] * (seen @ w["attn.proj.weight"].T + w["attn.proj.bias"])
    y = normed(middle, w["norm2.weight"], w["norm2.bias"])
    hidden = y @ w["mlp.fc1.weight"].T + w["mlp.fc1.bias"]
    hidden = hidden * (1 + erf(hidden / math.sqrt(2))) / 2
    expected = middle + w["ls2.gamma"] * (hidden @ w["mlp.fc2.weight"].T + w["mlp.fc2.bias"])

    found = networks["dinov2"]._block(torch.from_numpy(x)[None].float(), 1)[0]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def cubic(t):
    """Keys' kernel with a = -0.75."""
    t = abs(t)
    if t <= 1:
        return 1.25 * t**3 - 2.25 * t**2 + 1
    return -0.75 * (t**3 - 5 * t**2 + 8 * t - 4) if t < 2 else 0.0


def test_positions_are_interpolated_with_the_authors_offset():
    stored = torch.randn((1, 1370, 3), generator=torch.Generator().manual_seed(0))
    found = dinov2._positions(stored)
    assert found.shape == (1, 257, 3)
    assert torch.equal(found[:, 0], stored[:, 0])
    matrix = np.zeros((16, 37))
    for i in range(16):
        centre = (i + 0.5) * 37 / 16.1 - 0.5
        for j in range(math.floor(centre) - 1, math.floor(centre) + 3):
            matrix[i, min(max(j, 0), 36)] += cubic(centre - j)
    grid = stored[0, 1:].double().numpy().reshape(37, 37, 3)
    expected = np.einsum("ia,jb,abd->ijd", matrix, matrix, grid)
    np.testing.assert_allclose(found[0, 1:].reshape(16, 16, 3), expected, atol=1e-4)


def test_the_first_tokens_are_patches_under_a_linear_map(networks):
    """Of a picture that needs no scaling."""
    space, state = networks["dinov2"], random_dinov2(*SMALL)
    x = torch.rand((1, 3, 224, 224), generator=torch.Generator().manual_seed(1))
    mean = np.array([0.485, 0.456, 0.406])[:, None, None]
    std = np.array([0.229, 0.224, 0.225])[:, None, None]
    scaled = (x[0].double().numpy() - mean) / std
    row, column = 3, 10
    patch = scaled[:, 14 * row : 14 * row + 14, 14 * column : 14 * column + 14]
    weight = state["patch_embed.proj.weight"].double().numpy()
    token = (weight * patch).sum((1, 2, 3)) + state["patch_embed.proj.bias"].numpy()
    place = 1 + 16 * row + column
    positions = dinov2._positions(state["pos_embed"])[0].numpy()
    found = space._tokens(x)[0].numpy()
    np.testing.assert_allclose(found[place], token + positions[place], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found[0], state["cls_token"][0, 0].numpy() + positions[0], rtol=1e-6)


def test_where_blocks_add_nothing_the_feature_is_the_normed_class_token(tmp_path, images):
    state = random_dinov2(*SMALL)
    state |= {k: torch.zeros_like(v) for k, v in state.items() if k.endswith("gamma")}
    torch.save(state, tmp_path / "still.pth")
    token = (state["cls_token"][0, 0] + state["pos_embed"][0, 0]).double().numpy()
    expected = normed(token, state["norm.weight"].numpy(), state["norm.bias"].numpy())
    for row in DINOv2(tmp_path / "still.pth")(images):
        np.testing.assert_allclose(row, expected, rtol=1e-4, atol=1e-5)
