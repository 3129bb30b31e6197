"""What the judge sees: planted copies, collapse and blur; a decoder's blur told from a sampler's fault."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from latentshape.codes import Codes
from latentshape.config import EvaluationConfig
from latentshape.data import Dataset
from latentshape.data.faces import faces
from latentshape.decoding import decode_pixels
from latentshape.errors import InputError
from latentshape.evaluation import scorecard
from latentshape.evaluation.features import fit_spaces
from latentshape.evaluation.novelty import PictureNovelty
from latentshape.evaluation.scorecard import BY_SPACE, PLAIN, Draw, Judge, score
from latentshape.images import to_images
from latentshape.samplers import make_sampler
from latentshape.shape import Moments, mahalanobis_squared

COUNTS = {"train": 400, "validation": 150, "test": 150}


class Pooled(torch.nn.Module):
    """A decoder that is as sharp as its codes are long: pictures of so many pixels a side, enlarged."""

    def __init__(self, side):
        super().__init__()
        self.side, self.latent_dim = side, 3 * side * side
        self.anything = torch.nn.Parameter(torch.zeros(1))

    def encode(self, x):
        return torch.nn.functional.adaptive_avg_pool2d(x, self.side).flatten(1)

    def decode(self, z):
        small = z.view(-1, 3, self.side, self.side)
        return torch.nn.functional.interpolate(small, (32, 32), mode="bilinear").clamp(0, 1)


@pytest.fixture(scope="module")
def dataset():
    split = np.repeat([0, 1, 2], list(COUNTS.values())).astype(np.int8)
    pixels = faces(np.arange(len(split)), seed=4, size=32)
    ids = np.array([f"face-{i}" for i in range(len(split))])
    return Dataset("faces", "faces", pixels, ids, split, None, (), "planted")


def codes(model, dataset, split):
    rows = dataset.indices(split)
    with torch.no_grad():
        z = model.encode(to_images(dataset.pixels[rows])).numpy()
    return Codes(z, dataset.ids[rows], split)


@pytest.fixture(scope="module", autouse=True)
def no_detector():
    """Faces have tests of their own; here they would only take time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scorecard, "detector_missing", lambda: "no detector in this test")
        yield


def judge_of(dataset, side, n=150, train=True):
    model = Pooled(side)
    z = codes(model, dataset, "train").z if train else None
    rng = np.random.default_rng(0)
    return Judge.of(model, dataset, codes(model, dataset, "test"), n, rng, z)


@pytest.fixture(scope="module")
def sharp(dataset):
    """The judge of a decoder that loses nothing."""
    return judge_of(dataset, 32, train=False)


@pytest.fixture(scope="module")
def real(dataset):
    return dataset.pixels[dataset.indices("validation")]


@pytest.fixture(scope="module")
def honest(sharp, real):
    """The row of other real pictures."""
    return sharp.row([Draw([real])])


def value(row, *path):
    for key in path:
        row = row[key]
    return row["value"]


def test_other_real_pictures_have_nothing_to_hide(honest):
    assert value(honest, "novelty") == pytest.approx(1, abs=0.2)
    assert value(honest, "diversity") == pytest.approx(1, abs=0.35)  # of 150 pictures
    assert min(value(honest, "precision"), value(honest, "recall")) > 0.7
    assert value(honest, "coverage") > 0.7
    for space in ("pixel-pca", "random-conv"):
        # A decoder that loses nothing: both references are the same pictures.
        assert value(honest, "gap", space) == pytest.approx(value(honest, "frechet", space))
        assert value(honest, "kid_gap", space) == pytest.approx(value(honest, "kid", space))


def test_planted_copies_of_training_images_are_caught_by_novelty(sharp, dataset, honest):
    copies = sharp.row([Draw([dataset.pixels[dataset.indices("train")[:150]]])])
    assert value(copies, "novelty") < 0.01
    # ... and by nothing else: that is why there is such a column.
    assert value(copies, "precision") > value(honest, "precision") - 0.15
    assert value(copies, "frechet", "random-conv") < 2 * value(honest, "frechet", "random-conv")


def test_planted_collapse_is_caught_by_recall_and_coverage(sharp, dataset, honest):
    shown = dataset.pixels[dataset.indices("test")[:3]]
    collapsed = sharp.row([Draw([np.repeat(shown, 50, axis=0)])])
    assert value(collapsed, "precision") == 1
    assert value(collapsed, "recall") < 0.1
    assert value(collapsed, "coverage") < 0.2
    assert value(collapsed, "kid", "random-conv") > 5 * abs(value(honest, "kid", "random-conv"))
    one = sharp.row([Draw([np.repeat(shown[:1], 150, axis=0)])])
    assert value(one, "diversity") == pytest.approx(0, abs=1e-6)
    assert all(np.isfinite(value(one, "frechet", space)) for space in one["frechet"])


def test_planted_blur_is_caught_by_frechet_and_precision(sharp, real, honest):
    blurred = sharp.row([Draw([ndimage.gaussian_filter(real, (0, 2.5, 2.5, 0))])])
    assert value(blurred, "frechet", "random-conv") > 3 * value(honest, "frechet", "random-conv")
    assert value(blurred, "kid", "random-conv") > 5 * abs(value(honest, "kid", "random-conv"))
    assert value(blurred, "precision") < value(honest, "precision") - 0.3


def test_the_decoders_blur_is_told_from_the_samplers_fault(dataset):
    """Decoded held-out codes of a blurring decoder: far from real pictures, level with reconstructions."""
    judge, model = judge_of(dataset, 4), Pooled(4)
    z = codes(model, dataset, "validation").z
    row = judge.row([Draw(scorecard._decoded(model, z), z)])
    assert value(row, "precision") < 0.2
    assert value(row, "sampler_precision") > 0.7
    assert value(row, "sampler_recall") > 0.7
    assert value(row, "gap", "random-conv") < 0.3 * value(row, "frechet", "random-conv")
    assert abs(value(row, "kid_gap", "random-conv")) < 0.1 * value(row, "kid", "random-conv")


def test_the_radius_is_the_mean_mahalanobis_radius_of_the_codes(dataset):
    judge, model = judge_of(dataset, 4), Pooled(4)
    z = codes(model, dataset, "train").z
    moments = Moments.of(z)
    for shrunk in (1.0, 0.5):
        drawn = (moments.mean + shrunk * (z[:150] - moments.mean)).astype(np.float32)
        row = judge.row([Draw(scorecard._decoded(model, drawn), drawn)])
        expected = np.sqrt(mahalanobis_squared(drawn, moments)).mean()
        assert value(row, "radius") == pytest.approx(expected)
        assert value(row, "radius") == pytest.approx(shrunk * 48**0.5, rel=0.1)


def test_reasons_stand_where_there_is_no_number(dataset, sharp, real):
    few = judge_of(dataset, 32, n=4, train=False)
    row = few.row([Draw([real[:4]])])
    for name in ("precision", "sampler_coverage"):
        assert row[name]["value"] is None
        assert "more than k = 5" in row[name]["why"]
    assert "were not decoded from codes" in row["radius"]["why"]
    assert row["face_rate"]["why"] == "no detector in this test"
    for name in ("frechet", "gap", "kid", "kid_gap"):
        assert np.isfinite(value(row, name, "random-conv"))
    assert "4 pictures for 192 dimensions" in few.facts()["random-conv"]["note"]
    assert "note" not in sharp.facts()["pixel-pca"]
    z = np.zeros((4, 3072))
    assert "were not given" in few.row([Draw([real[:4]], z)])["radius"]["why"]


def test_without_random_convolutions_the_rest_is_computed(dataset, real, monkeypatch):
    only = fit_spaces
    monkeypatch.setattr(scorecard, "fit_spaces", lambda context, _: only(context, ["pixel-pca"]))
    row = judge_of(dataset, 32, train=False).row([Draw([real])])
    for name in ("precision", "sampler_recall", "novelty", "diversity"):
        assert "random-conv" in row[name]["why"]
    assert value(row, "frechet", "pixel-pca") > 0
    assert set(row["kid"]) == {"pixel-pca"}


def test_features_that_are_not_finite_are_named(sharp, real, monkeypatch):
    class Broken:
        name = "broken"

        def __call__(self, images):
            return np.full((len(images), 2), np.nan)

    monkeypatch.setattr(sharp, "spaces", [Broken()])
    with pytest.raises(InputError, match="features 'broken' of these pictures are not all finite"):
        sharp.look([real])


def test_how_pictures_are_divided_into_blocks_changes_nothing(sharp, real):
    whole, parts = sharp.look([real]), sharp.look([real[:7], real[7:90], real[90:]])
    for space, moments in whole.moments.items():
        x = np.concatenate([features for name, features in sharp._features(real) if name == space])
        np.testing.assert_allclose(moments.mean, x.mean(0), atol=1e-9)
        np.testing.assert_allclose(moments.cov, np.cov(x.T), atol=1e-6 * np.trace(moments.cov))
        np.testing.assert_allclose(parts.features[space], whole.features[space], atol=1e-4)
        np.testing.assert_allclose(
            parts.moments[space].cov, moments.cov, atol=1e-6 * np.trace(moments.cov)
        )


def test_the_global_random_state_is_left_alone(dataset):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    judge_of(dataset, 8)
    assert torch.equal(torch.get_rng_state(), before)


# --- the whole card -----------------------------------------------------------------------------


def card_of(dataset, n=100, draws=2, **options):
    model = Pooled(4)
    train, held_out, test = (codes(model, dataset, split) for split in COUNTS)
    samplers = {
        name: make_sampler(name).fit(train.z) for name in ("gaussian", "cube", "training-codes")
    }
    evaluation = EvaluationConfig(n=n, draws=draws, features="pixel-pca,random-conv")
    return score(
        model, dataset, samplers, held_out, test, evaluation, train=train.z, **options
    )  # fmt: skip


@pytest.fixture(scope="module")
def card(dataset):
    return card_of(dataset, refused={"flow": "needs the extra flow"})


def test_every_row_has_every_column_and_every_entry_a_range_or_a_reason(card):
    assert set(card["rows"]) == {
        "real", "reconstruction", "phase-scrambled", "gaussian", "cube", "training-codes", "flow",
    }  # fmt: skip
    for name, row in card["rows"].items():
        assert set(row) - {"mse"} == {*BY_SPACE, *PLAIN}
        for column in (*BY_SPACE, *PLAIN):
            entries = row[column].values() if column in BY_SPACE else [row[column]]
            for entry in entries:
                if entry["value"] is None:
                    assert entry["why"]
                    assert entry["why"] == "needs the extra flow" or name != "flow"
                else:
                    assert entry["low"] <= entry["value"] <= entry["high"]
                    assert entry["n"] in (card["n"], COUNTS["validation"], COUNTS["test"])


def test_the_laws_are_in_the_order_that_was_planted(card):
    rows = card["rows"]
    for column in ("gap", "kid_gap"):
        assert rows["cube"][column]["random-conv"]["low"] > (
            5 * rows["gaussian"][column]["random-conv"]["high"]
        )
    assert rows["cube"]["sampler_precision"]["high"] < 0.2
    assert rows["gaussian"]["sampler_precision"]["low"] > 0.5
    held = rows["reconstruction"]["radius"]
    assert rows["gaussian"]["radius"]["value"] == pytest.approx(held["value"], rel=0.1)
    assert value(rows["training-codes"], "novelty") < value(rows["reconstruction"], "novelty")
    assert value(rows["reconstruction"], "kid_gap", "random-conv") == pytest.approx(
        0, abs=0.1 * value(rows["cube"], "kid_gap", "random-conv")
    )


def test_references_are_test_images_and_real_ones_are_validation_images(dataset, monkeypatch):
    read = []
    stored = scorecard._stored

    def spy(pixels, rows):
        read.append(set(rows.tolist()))
        return stored(pixels, rows)

    monkeypatch.setattr(scorecard, "_stored", spy)
    card_of(dataset, n=60)
    splits = [{split for split in COUNTS if rows & set(dataset.indices(split))} for rows in read]
    # The reference; two draws of real images, the training images of novelty; two scrambled draws.
    assert splits == [
        {"test"}, {"validation"}, {"train"}, {"validation"}, {"validation"}, {"validation"},
    ]  # fmt: skip
    assert all(len(rows) == 60 for rows in read if rows < set(range(400, 700)))
    assert read[1] != read[3]


def test_a_split_that_n_takes_whole_is_judged_once(dataset):
    """A second subsample would be the same images in another order: no spread, and none is shown."""
    card = card_of(dataset, n=10**6, draws=2)
    assert card["n"] == COUNTS["validation"]
    for name, draws in (
        ("real", 1),
        ("reconstruction", 1),
        ("phase-scrambled", 1),
        ("gaussian", 2),
    ):
        entry = card["rows"][name]["frechet"]["random-conv"]
        assert entry["draws"] == draws
        assert (entry["low"] == entry["high"]) == (draws == 1)


def test_every_picture_is_decoded_at_the_precision_of_the_runs_codes(dataset, monkeypatch):
    at = []

    def spy(model, z, precision="fp32"):
        at.append(precision)
        return decode_pixels(model, z, precision)

    monkeypatch.setattr(scorecard, "decode_pixels", spy)
    assert card_of(dataset, n=20, precision="bf16")["precision"] == "bf16"
    # The reference's reconstructions, those of two held-out draws, and two draws of three samplers.
    assert at == ["bf16"] * 9


# --- novelty of pictures ------------------------------------------------------------------------


def test_novelty_is_the_ratio_of_median_distances_to_the_nearest_training_image():
    rng = np.random.default_rng(0)
    training, held_out, drawn = rng.standard_normal((3, 90, 5)).astype(np.float32)

    def median(x):
        return np.median(np.sqrt(((x[:, None] - training[None]) ** 2).sum(-1)).min(1))

    novelty = PictureNovelty(iter([training[:50], training[50:]]), held_out)
    assert novelty.n == 90
    assert novelty.ratio(drawn) == pytest.approx(median(drawn) / median(held_out))
    assert novelty.ratio(held_out) == 1


def test_images_that_are_held_out_in_name_only_are_refused():
    x = np.random.default_rng(0).standard_normal((40, 3))
    with pytest.raises(InputError, match="half of these have a training image at distance 0"):
        PictureNovelty([x], x[:10])
    with pytest.raises(InputError, match="got none"):
        PictureNovelty([], x)
