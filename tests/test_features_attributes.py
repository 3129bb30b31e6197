"""The attribute network: it learns what is planted, says how well, and is trained once."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score, roc_auc_score
from torch.nn import functional

from latentshape.data import Dataset, open_dataset
from latentshape.data.faces import FACTORS
from latentshape.data.splits import SPLITS
from latentshape.errors import InputError
from latentshape.evaluation import attribute_features
from latentshape.evaluation.attribute_features import (
    NETWORKS,
    AttributeFeatures,
    AttributeSettings,
    Targets,
)
from latentshape.evaluation.features import FeatureContext, fit_spaces
from latentshape.images import to_images

QUICK = AttributeSettings(units=16, widths=(16, 32), shown=12_000)
#: Enough to be fitted at all.
ONCE = replace(QUICK, shown=64)


def bars(n=900, seed=0, side=16):
    """Noise with a bright bar, upright or lying; what is annotated about it, true and untrue."""
    rng = np.random.default_rng(seed)
    upright, place = rng.random(n) < 0.5, rng.integers(2, side - 3, n)
    brightness = rng.uniform(80, 200, n)
    pixels = rng.integers(0, 50, (n, side, side, 3)).astype(np.uint8)
    for i in range(n):
        where = slice(place[i], place[i] + 2)
        band = (slice(None), where) if upright[i] else (where, slice(None))
        pixels[(i, *band)] = round(brightness[i])
    answers = np.where(np.stack([upright, rng.random(n) < 0.5], 1), 1, -1)
    split = np.where(np.arange(n) % 3 == 0, 1, 0).astype(np.int8)
    split[-20:] = 2
    return Dataset(
        spec="bars", kind="folder", pixels=pixels, ids=np.array([f"bar-{i}" for i in range(n)]),
        split=split, attributes=answers.astype(np.int8), attribute_names=("Upright", "Coin"),
        fingerprint=f"bars-{n}-{seed}-{side}",
        columns={"brightness": brightness.astype(np.float32), "identity": np.arange(n)},
    )  # fmt: skip


@pytest.fixture(scope="module")
def dataset():
    return bars()


@pytest.fixture(scope="module")
def learnt(dataset):
    return AttributeFeatures(dataset, settings=QUICK)


def images_of(dataset, split="validation"):
    return to_images(dataset.pixels[dataset.indices(split)])


# --- what is learnt -----------------------------------------------------------------------------


def test_what_is_planted_is_learnt_and_a_coin_is_not(learnt, dataset):
    details = learnt.details
    upright, coin = details["attributes"]["Upright"], details["attributes"]["Coin"]
    assert upright["accuracy"] > 0.97
    assert upright["auc"] > 0.99
    assert 0.5 <= upright["majority"] < 0.6
    assert 0.35 < coin["auc"] < 0.65  # five standard errors of a coin's
    assert details["numbers"]["brightness"]["r2"] > 0.9
    assert details["trained_on"] == len(dataset.indices("train"))
    assert details["held_out"] == len(dataset.indices("validation"))
    assert details["mean"]["accuracy"] == pytest.approx(
        (upright["accuracy"] + coin["accuracy"]) / 2
    )
    assert f"{details['mean']['majority']:.1%}" in learnt.description
    json.dumps(learnt.facts(), allow_nan=False)


def test_the_units_tell_apart_what_is_planted_in_pictures_never_seen(learnt, dataset):
    """The nearest class mean among the units, by pictures of another seed."""
    other = bars(300, seed=5)
    units = learnt(images_of(dataset, "train"))
    upright = dataset.attributes[dataset.indices("train"), 0] > 0
    centres = np.stack([units[~upright].mean(0), units[upright].mean(0)])
    found = learnt(to_images(other.pixels))
    nearest = ((found[:, None] - centres) ** 2).sum(2).argmin(1)
    assert (nearest == (other.attributes[:, 0] > 0)).mean() > 0.9


def test_units_vary_by_one_over_training_images(learnt, dataset):
    units = learnt(images_of(dataset, "train"))
    assert units.shape == (len(dataset.indices("train")), 16)
    assert units.dtype == np.float64
    assert units.var(0).mean() == pytest.approx(1, rel=1e-5)
    np.testing.assert_allclose(learnt(images_of(dataset, "train")[3:5]), units[3:5], atol=1e-4)


def test_classes_are_judged_as_classes():
    """Three classes as three answers, each picture having one: the largest logit decides."""
    plain = bars()
    kind = (plain.attributes[:, 0] > 0) + (plain.columns["brightness"] > 140)
    one_hot = np.where(kind[:, None] == np.arange(3), 1, -1).astype(np.int8)
    names = ("label_0", "label_1", "label_2")
    details = AttributeFeatures(
        replace(plain, attributes=one_hot, attribute_names=names, columns={}), settings=QUICK
    ).details
    assert details["class_accuracy"] > 0.9
    assert details["mean"]["r2"] is None


def test_without_one_class_each_there_is_no_class_accuracy(learnt):
    assert learnt.details["class_accuracy"] is None


def test_held_out_images_change_nothing_but_the_figures(learnt, dataset):
    pixels, answers = dataset.pixels.copy(), dataset.attributes.copy()
    held_out = dataset.split != SPLITS.index("train")
    pixels[held_out] = 255 - pixels[held_out]
    answers[held_out] *= -1
    other = AttributeFeatures(
        replace(dataset, pixels=pixels, attributes=answers, fingerprint="other"), settings=QUICK
    )
    images = images_of(dataset)
    np.testing.assert_array_equal(other(images), learnt(images))
    assert other.details["attributes"]["Upright"] != learnt.details["attributes"]["Upright"]


# --- what counts as known -----------------------------------------------------------------------


def test_what_says_nothing_is_left_out_and_named(dataset):
    n = len(dataset)
    train = dataset.indices("train")
    only_held_out = np.full(n, -1, np.int8)
    only_held_out[dataset.indices("validation")] = 1
    answers = np.stack(
        [dataset.attributes[:, 0], np.ones(n), only_held_out, np.zeros(n)], 1
    ).astype(np.int8)
    columns = {
        "level": np.full(n, 3.5, np.float32),
        "nothing": np.full(n, np.nan, np.float32),
        "brightness": dataset.columns["brightness"],
        "identity": dataset.columns["identity"],
        "landmarks": np.random.default_rng(0).random((n, 5, 2)),
    }
    changed = replace(
        dataset, attributes=answers, attribute_names=("Upright", "All", "None", "Unknown"),
        columns=columns,
    )  # fmt: skip
    targets = Targets.of(changed, train)
    assert (targets.names, targets.binary) == (("Upright", "brightness"), 1)
    assert targets.left_out == {
        "All": "yes for all training images",
        "None": "no for all training images",
        "Unknown": "unknown for all training images",
        "level": "3.5 for all training images",
        "nothing": "unknown for all training images",
    }
    numbers = targets.values[train, 1]
    assert numbers.mean() == pytest.approx(0, abs=1e-5)
    assert numbers.std() == pytest.approx(1, abs=1e-5)
    space = AttributeFeatures(changed, settings=ONCE)
    assert space.details["left_out"] == targets.left_out


def test_where_nothing_varies_the_space_does_not_apply(dataset):
    constant = replace(
        dataset, attributes=np.ones((len(dataset), 1), np.int8), attribute_names=("Smiling",),
        columns={},
    )  # fmt: skip
    spaces, missing = fit_spaces(
        FeatureContext(constant, constant.indices("train")), ["attributes"]
    )
    assert not spaces
    assert "none that do (Smiling: yes for all training images)" in missing["attributes"]


def test_what_is_unknown_costs_nothing_and_teaches_nothing():
    rng = np.random.default_rng(0)
    outputs = torch.from_numpy(rng.standard_normal((50, 5))).requires_grad_()
    wanted = torch.from_numpy(
        np.concatenate([rng.choice([-1.0, 1.0], (50, 3)), rng.standard_normal((50, 2))], 1)
    )
    known = torch.from_numpy(rng.random((50, 5)) < 0.7)
    loss = attribute_features._loss(outputs, torch.where(known, wanted, torch.nan), 3)
    answers = functional.binary_cross_entropy_with_logits(
        outputs[:, :3][known[:, :3]], (wanted[:, :3][known[:, :3]] + 1) / 2, reduction="sum"
    )
    numbers = functional.mse_loss(
        outputs[:, 3:][known[:, 3:]], wanted[:, 3:][known[:, 3:]], reduction="sum"
    )
    assert loss.item() == pytest.approx(((answers + numbers / 2) / 50).item(), rel=1e-12)
    loss.backward()
    assert torch.equal(outputs.grad != 0, known)


def test_figures_are_those_of_scikit_learn():
    rng = np.random.default_rng(1)
    answers = rng.choice([-1.0, 1.0], 400, p=[0.7, 0.3])
    logits = np.round(answers + rng.normal(0, 2, 400), 1)  # rounded: ties
    found = attribute_features._answered(logits, answers)
    assert found["auc"] == pytest.approx(roc_auc_score(answers > 0, logits))
    assert found["accuracy"] == pytest.approx(((logits > 0) == (answers > 0)).mean())
    assert found["majority"] == pytest.approx((answers < 0).mean())
    wanted = rng.standard_normal(400)
    guess = wanted + rng.normal(0, 0.5, 400)
    assert attribute_features._explained(guess, wanted) == pytest.approx(r2_score(wanted, guess))
    assert attribute_features._answered(logits[:0], answers[:0])["auc"] is None
    assert attribute_features._answered(logits, np.ones(400))["auc"] is None
    assert attribute_features._explained(guess, np.ones(400)) is None


def test_without_held_out_images_there_are_no_figures(dataset):
    split = np.where(dataset.split == 1, 2, dataset.split)
    space = AttributeFeatures(replace(dataset, split=split), settings=ONCE)
    assert space.details["held_out"] == 0
    assert space.details["mean"] == {"accuracy": None, "majority": None, "auc": None, "r2": None}
    assert "no validation image" in space.description


def test_procedural_faces_teach_attributes_and_factors():
    faces = open_dataset("faces:n=300", size=32)
    targets = Targets.of(faces, faces.indices("train"))
    assert "Smiling" in targets.names[: targets.binary]
    assert {"factor:yaw", "factor:smile"} <= set(targets.names[targets.binary :])
    known = {f"factor:{factor.name}" for factor in FACTORS} | set(faces.attribute_names)
    assert known == set(targets.names) | set(targets.left_out)


@pytest.mark.parametrize(("side", "channels"), [(4, 1), (9, 3), (28, 1), (80, 3)])
def test_pictures_of_any_size_will_do(side, channels):
    shape = (60, side, side, channels)
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    some = replace(bars(60), pixels=pixels, fingerprint=str(shape))
    space = AttributeFeatures(some, settings=ONCE)
    assert space(to_images(pixels[:5])).shape == (5, 16)
    assert np.isfinite(space(to_images(pixels))).all()


# --- once ---------------------------------------------------------------------------------------


def kept(own_cache):
    return sorted((own_cache / NETWORKS).iterdir())


def refuse(*_):
    raise AssertionError("trained again")


def test_it_is_trained_once(dataset, own_cache, monkeypatch):
    first = AttributeFeatures(dataset, settings=ONCE)
    monkeypatch.setattr(attribute_features, "_train", refuse)
    again = AttributeFeatures(dataset, settings=ONCE)
    assert len(kept(own_cache)) == 1
    assert again.facts() == first.facts()
    np.testing.assert_array_equal(again(images_of(dataset)), first(images_of(dataset)))


def test_trained_twice_it_is_the_same_network(dataset, own_cache, monkeypatch):
    before = torch.get_rng_state()
    first = AttributeFeatures(dataset, settings=ONCE)
    kept(own_cache)[0].unlink()
    torch.manual_seed(99)
    second = AttributeFeatures(dataset, settings=ONCE)
    np.testing.assert_array_equal(second(images_of(dataset)), first(images_of(dataset)))
    torch.set_rng_state(before)
    AttributeFeatures(dataset, settings=replace(ONCE, seed=1))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: replace(d, fingerprint="other"),
        lambda d: replace(d, attributes=-d.attributes),
        lambda d: replace(d, columns={}),
        lambda d: replace(d, attribute_names=("Upright", "Penny")),
    ],
    ids=["images", "answers", "numbers", "names"],
)
def test_whatever_it_depends_on_makes_another(dataset, own_cache, change):
    AttributeFeatures(dataset, settings=ONCE)
    AttributeFeatures(change(dataset), settings=ONCE)
    assert len(kept(own_cache)) == 2


def test_other_settings_make_another(dataset, own_cache):
    AttributeFeatures(dataset, settings=ONCE)
    AttributeFeatures(dataset, settings=replace(ONCE, seed=3))
    assert len(kept(own_cache)) == 2


@pytest.mark.parametrize("damage", ["cut", "empty", "other", "record"])
def test_a_damaged_network_is_trained_anew(dataset, own_cache, damage):
    from safetensors.torch import load_file, save_file

    wanted = AttributeFeatures(dataset, settings=ONCE)(images_of(dataset))
    path = kept(own_cache)[0]
    whole = path.read_bytes()
    if damage == "cut":
        path.write_bytes(whole[:-100])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "other":
        save_file({"units.weight": torch.zeros(3)}, path, {"record": "{}"})
    else:
        save_file(load_file(path), path)
    found = AttributeFeatures(dataset, settings=ONCE)(images_of(dataset))
    np.testing.assert_array_equal(found, wanted)
    assert kept(own_cache)[0].read_bytes() == whole


def test_where_nothing_can_be_kept_it_works_all_the_same(dataset, own_cache):
    own_cache.parent.mkdir(exist_ok=True, parents=True)
    own_cache.write_text("a file where the folder should be")
    assert AttributeFeatures(dataset, settings=ONCE)(images_of(dataset)).shape[1] == 16


def test_it_learns_even_in_inference_mode(dataset, monkeypatch):
    """As `fit_spaces` calls it."""
    monkeypatch.setattr(attribute_features, "SETTINGS", QUICK)
    context = FeatureContext(dataset, dataset.indices("train")[:50])
    (space,), missing = fit_spaces(context, ["attributes"])
    assert not missing
    assert space.details["attributes"]["Upright"]["accuracy"] > 0.97


def test_the_reason_is_one_sentence_of_bounded_length(dataset):
    names = tuple(f"Attribute_{i}" for i in range(200))
    constant = replace(
        dataset, attributes=np.ones((len(dataset), 200), np.int8), attribute_names=names, columns={}
    )
    with pytest.raises(InputError) as caught:
        AttributeFeatures(constant)
    assert len(str(caught.value)) < 500
