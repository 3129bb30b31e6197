"""Feature spaces: which there are, which apply to a run, and the three that need no training."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import linalg

from latentshape._checks import thinned
from latentshape.codes import encode_pixels
from latentshape.config import make_config
from latentshape.data.faces import faces
from latentshape.errors import InputError
from latentshape.evaluation import features
from latentshape.evaluation.features import (
    FEATURES,
    CodeFeatures,
    FeatureContext,
    PixelPCA,
    RandomConv,
    fit_spaces,
)
from latentshape.images import to_images
from latentshape.models import build_model
from tiny_run import plain_dataset, tiny_config

PLAIN = ["pixel-pca", "codes", "random-conv"]


@pytest.fixture(scope="module")
def model():
    return build_model(tiny_config())


@pytest.fixture
def context(model):
    dataset = plain_dataset(n=120)
    return FeatureContext(dataset, dataset.indices("train"), model)


def picture_set(context):
    """The context's training images as one tensor."""
    return to_images(context.dataset.pixels[context.rows])


# --- which there are ----------------------------------------------------------------------------


def test_every_space_is_called_as_its_class_says():
    from importlib import import_module

    for name, place in FEATURES.items():
        module, _, cls = place.partition(":")
        assert getattr(import_module(module), cls).name == name
    assert list(FEATURES) == [
        "pixel-pca", "codes", "random-conv", "attributes", "inception", "dinov2",
    ]  # fmt: skip


def test_spaces_come_in_order_and_the_others_with_a_reason(context):
    spaces, missing = fit_spaces(context, ["dinov2", "random-conv", "inception", "codes"])
    assert [space.name for space in spaces] == ["random-conv", "codes"]
    assert list(missing) == ["dinov2", "inception"]
    assert all("none was given" in why for why in missing.values())
    for space in spaces:
        facts = space.facts()
        assert facts["distance"] == "Fréchet distance"
        assert facts["description"]
        assert facts["comparable_with"]
    assert "this very model only" in spaces[1].comparable_with


def test_without_model_and_annotations_what_needs_them_is_missing(context):
    bare = replace(context.dataset, attributes=None, attribute_names=())
    spaces, missing = fit_spaces(FeatureContext(bare, context.rows))
    assert [space.name for space in spaces] == ["pixel-pca", "random-conv"]
    assert "autoencoder" in missing["codes"]
    assert "no annotations" in missing["attributes"]


def test_an_unknown_space_is_refused(context):
    with pytest.raises(InputError, match=r"called 'pixels-pca'; did you mean 'pixel-pca'"):
        fit_spaces(context, ["codes", "pixels-pca"])


@pytest.mark.parametrize("split", ["validation", "test"])
def test_nothing_is_fitted_on_held_out_images(context, split):
    rows = np.append(context.rows, context.dataset.indices(split)[:2])
    with pytest.raises(InputError, match="got 2 of"):
        replace(context, rows=rows)
    with pytest.raises(InputError, match=r"indices\('train'\)"):
        replace(context, rows=np.array([10_000]))


def test_only_the_rows_that_are_given_are_read(context):
    """Held-out pictures made unreadable: whoever reads them falls over a wrong type."""
    few = thinned(context.rows, 40)

    class Guarded(np.ndarray):
        def __getitem__(self, key):
            rows = np.atleast_1d(key[0] if isinstance(key, tuple) else key)
            assert set(rows.tolist()) <= set(few.tolist())
            return np.asarray(super().__getitem__(key))

    guarded = replace(context.dataset, pixels=context.dataset.pixels.view(Guarded))
    spaces, _ = fit_spaces(FeatureContext(guarded, few), ["pixel-pca", "random-conv"])
    assert len(spaces) == 2


@pytest.mark.parametrize("name", PLAIN)
def test_the_features_of_a_picture_do_not_depend_on_its_company(context, name):
    (space,), _ = fit_spaces(context, [name])
    images = picture_set(context)
    together = space(images)
    assert together.shape[0] == len(images)
    assert together.dtype == np.float64
    np.testing.assert_allclose(space(images[5:8]), together[5:8], rtol=1e-4, atol=1e-5)
    assert space(images[:0]).shape == (0, together.shape[1])


def test_fitting_leaves_the_shared_generator_alone(context):
    before = torch.get_rng_state()
    fit_spaces(context, PLAIN)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", ["pixel-pca", "random-conv"])
def test_fitted_on_rows_or_on_images_it_is_the_same_space(context, name):
    (by_rows,), _ = fit_spaces(context, [name])
    images = picture_set(context)
    by_images = {"pixel-pca": PixelPCA, "random-conv": RandomConv}[name](images)
    np.testing.assert_allclose(by_rows(images), by_images(images), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", ["pixel-pca", "random-conv"])
@pytest.mark.parametrize("rows", [0, 1])
def test_too_few_images_are_a_reason(context, name, rows):
    spaces, missing = fit_spaces(replace(context, rows=context.rows[:rows]), [name])
    assert not spaces
    assert f"at least 2 training images, got {rows}" in missing[name]


@pytest.mark.parametrize("name", ["pixel-pca", "random-conv"])
@pytest.mark.parametrize("value", [0, 77, 255])
def test_images_all_alike_are_a_reason(context, name, value):
    alike = replace(context.dataset, pixels=np.full_like(context.dataset.pixels, value))
    spaces, missing = fit_spaces(FeatureContext(alike, context.rows), [name])
    assert not spaces
    assert "all alike" in missing[name]


# --- pixel-pca ----------------------------------------------------------------------------------


def singular(pixels, count):
    """The leading principal axes by a singular value decomposition, largest first, (count, p)."""
    x = pixels.reshape(len(pixels), -1) / 255
    return linalg.svd(x - x.mean(0), full_matrices=False)[2][:count]


@pytest.mark.parametrize("held", [2**22, 2000, 1])
def test_the_axes_are_those_of_a_singular_value_decomposition(held, monkeypatch):
    """Whatever the height of the bands that are read."""
    monkeypatch.setattr(PixelPCA, "HELD", held)
    pixels = faces(np.arange(90), seed=1, size=32)
    space = PixelPCA(to_images(pixels), components=6)
    reference = singular(pixels, 6)
    overlap = np.abs((space.axes[:, ::-1] * reference.T).sum(0))
    np.testing.assert_allclose(overlap, 1, atol=1e-6)
    wanted = (pixels[:7].reshape(7, -1) / 255 - space.mean) @ space.axes
    np.testing.assert_allclose(space(to_images(pixels[:7])), wanted, atol=1e-6)


def test_with_more_images_than_pixels_there_are_as_many_axes_as_pixels():
    pixels = np.random.default_rng(0).integers(0, 256, (60, 3, 3, 1)).astype(np.uint8)
    space = PixelPCA(to_images(pixels))
    assert space.axes.shape == (9, 9)
    scores = space(to_images(pixels))
    x = pixels.reshape(60, -1) / 255
    np.testing.assert_allclose(
        np.sort(scores.var(0)), np.linalg.eigvalsh(np.cov(x.T, ddof=0)), rtol=1e-5
    )


def test_directions_without_variance_are_left_out():
    rng = np.random.default_rng(0)
    pixels = np.repeat(rng.integers(0, 256, (3, 8, 8, 3)), 20, 0).astype(np.uint8)
    space = PixelPCA(to_images(pixels))
    assert space.axes.shape == (192, 2)
    np.testing.assert_allclose(space.axes.T @ space.axes, np.eye(2), atol=1e-9)


def test_of_many_images_evenly_spaced_ones_are_used(monkeypatch):
    monkeypatch.setattr(PixelPCA, "MOST", 10)
    dataset = plain_dataset(n=150)
    rows = dataset.indices("train")
    chosen = rows[np.linspace(0, len(rows) - 1, 10).astype(int)]
    few = PixelPCA(to_images(dataset.pixels[chosen]))
    for space in (
        PixelPCA.fit(FeatureContext(dataset, rows)),
        PixelPCA(to_images(dataset.pixels[rows])),
    ):
        assert space.axes.shape[1] == 9
        np.testing.assert_allclose(space.mean, few.mean, atol=1e-12)


def test_pixel_pca_holds_bands_not_the_pictures():
    """Peak memory beyond the axes and the pictures themselves: not one float64 copy of them."""
    import tracemalloc

    dataset = plain_dataset(n=700, size=64)
    context = FeatureContext(dataset, dataset.indices("train"))
    n, p = len(context.rows), 64 * 64 * 3
    PixelPCA.fit(FeatureContext(plain_dataset(), plain_dataset().indices("train")))  # imports
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PixelPCA, "HELD", 2**17)
        tracemalloc.start()
        PixelPCA.fit(context)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    axes, gram = 64 * p * 8, n * n * 8
    assert peak < 3 * axes + 4 * gram + 10 * 2**17 * 8
    assert peak < n * p * 8 / 2


# --- codes --------------------------------------------------------------------------------------


def test_codes_are_those_of_the_encoding_loop(context, model):
    space = CodeFeatures.fit(context)
    pixels = context.dataset.pixels
    expected = np.concatenate(list(encode_pixels(model, pixels, np.arange(len(pixels)), "fp32")))
    np.testing.assert_array_equal(space(to_images(pixels)), expected)


def test_codes_ask_for_the_context_precision(context, monkeypatch):
    asked = []

    def spy(model, pixels, rows, precision):
        asked.append(precision)
        yield np.zeros((len(rows), model.latent_dim), np.float32)

    monkeypatch.setattr(features, "encode_pixels", spy)
    CodeFeatures.fit(replace(context, precision="bf16"))(picture_set(context))
    assert asked == ["bf16"]


def test_pictures_of_another_size_are_another_models(context):
    other = build_model(make_config(size=64, filters=(3,), latent_dim=4))
    assert CodeFeatures(other)(to_images(np.zeros((3, 64, 64, 3), np.uint8))).shape == (3, 4)


# --- random-conv --------------------------------------------------------------------------------


def test_random_conv_is_standardised_over_all_blocks(context, monkeypatch):
    monkeypatch.setattr(features, "BLOCK", 7)
    found = RandomConv.fit(context)(picture_set(context))
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(found.std(0), 1, atol=1e-6)
