# ruff: noqa: F401, F811 - fixtures are imported
"""Judging: distances that obey their laws, features that see, a detector that can say no."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import linalg, ndimage, stats

from latentshape.codes import load_codes
from latentshape.config import EvaluationConfig
from latentshape.data.faces import faces
from latentshape.errors import InputError
from latentshape.evaluation import faces as detector
from latentshape.evaluation import scorecard
from latentshape.evaluation.faces import (
    DetectorSettings,
    calibrate,
    detector_missing,
    finds_face,
    no_faces,
    scramble_phases,
)
from latentshape.evaluation.features import PixelPCA, RandomConv
from latentshape.evaluation.frechet import (
    bias_table,
    expected_between_equals,
    feature_frechet,
    frechet_distance,
)
from latentshape.evaluation.scorecard import fit_samplers, score, wilson
from latentshape.images import to_images
from latentshape.models import load_model
from latentshape.pipeline import open_data
from latentshape.samplers import SAMPLERS
from tiny_run import finished, read

needs_detector = pytest.mark.skipif(detector_missing() is not None, reason=str(detector_missing()))

# --- the Fréchet distance -----------------------------------------------------------------------


def gaussian(rng, d, rank=None):
    mixing = rng.standard_normal((d, rank or d))
    return rng.standard_normal(d), mixing @ mixing.T


PAIRS = [(seed, d) for seed in range(3) for d in (1, 2, 7, 40)]
each_pair = pytest.mark.parametrize(("seed", "d"), PAIRS)


@each_pair
def test_a_gaussian_is_at_distance_zero_from_itself(seed, d):
    mean, cov = gaussian(np.random.default_rng(seed), d)
    assert frechet_distance(mean, cov, mean, cov) == pytest.approx(0, abs=1e-9 * np.trace(cov))


@each_pair
def test_the_distance_is_symmetric_and_does_not_see_rotations_or_shifts(seed, d):
    rng = np.random.default_rng(seed)
    (a, cov_a), (b, cov_b) = gaussian(rng, d), gaussian(rng, d)
    there = frechet_distance(a, cov_a, b, cov_b)
    assert there > 0
    assert frechet_distance(b, cov_b, a, cov_a) == pytest.approx(there, rel=1e-9)
    turn = linalg.qr(rng.standard_normal((d, d)))[0]
    turned = frechet_distance(
        turn @ a + 3, turn @ cov_a @ turn.T, turn @ b + 3, turn @ cov_b @ turn.T
    )
    assert turned == pytest.approx(there, rel=1e-8)
    assert frechet_distance(2 * a, 4 * cov_a, 2 * b, 4 * cov_b) == pytest.approx(
        4 * there, rel=1e-8
    )


@each_pair
def test_the_distance_is_that_of_the_matrix_root(seed, d):
    rng = np.random.default_rng(seed)
    (a, cov_a), (b, cov_b) = gaussian(rng, d), gaussian(rng, d)
    root = linalg.sqrtm(cov_a @ cov_b)
    expected = (a - b) @ (a - b) + np.trace(cov_a + cov_b - 2 * np.real(root))
    assert frechet_distance(a, cov_a, b, cov_b) == pytest.approx(expected, rel=1e-6)


def test_between_diagonal_gaussians_it_is_the_closed_form():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 9))
    stds = rng.uniform(0.1, 3, (2, 9))
    expected = ((a - b) ** 2).sum() + ((stds[0] - stds[1]) ** 2).sum()
    found = frechet_distance(a, np.diag(stds[0] ** 2), b, np.diag(stds[1] ** 2))
    assert found == pytest.approx(expected, rel=1e-10)


def test_singular_covariances_are_no_obstacle():
    rng = np.random.default_rng(0)
    (a, cov_a), (b, cov_b) = gaussian(rng, 20, rank=3), gaussian(rng, 20, rank=3)
    assert 0 < frechet_distance(a, cov_a, b, cov_b) < math.inf
    zero = np.zeros((20, 20))
    expected = (a - b) @ (a - b) + np.trace(cov_a)
    assert frechet_distance(a, cov_a, b, zero) == pytest.approx(expected)


def test_between_features_it_uses_their_means_and_covariances():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((500, 4)).astype(np.float32), 2 * rng.standard_normal((300, 4)) + 1
    expected = frechet_distance(a.mean(0), np.cov(a.T), b.mean(0), np.cov(b.T))
    assert feature_frechet(a, b) == pytest.approx(expected, rel=1e-4)
    assert feature_frechet(a, a[::-1]) == pytest.approx(0, abs=1e-6)
    one = feature_frechet(a[:, :1], b[:, :1])
    spread = a[:, 0].std(ddof=1) - b[:, 0].std(ddof=1)
    assert one == pytest.approx((a[:, 0].mean() - b[:, 0].mean()) ** 2 + spread**2, rel=1e-4)


@pytest.mark.parametrize("shapes", [((1, 3), (5, 3)), ((5, 3), (1, 3)), ((5, 3), (5, 4))])
def test_features_that_cannot_be_compared_are_refused(shapes):
    with pytest.raises(InputError, match="feature"):
        feature_frechet(*(np.zeros(shape) for shape in shapes))


@pytest.mark.parametrize("d", [2, 6])
def test_samples_of_one_law_are_apart_by_the_known_bias_which_falls_as_one_over_n(d):
    cov = np.diag(0.5 ** np.arange(d))
    rows = bias_table(cov, (100, 200, 400, 1600), repeats=60, seed=3)
    for row in rows:
        assert row["frechet"] == pytest.approx(row["expected"], abs=4 * row["error"], rel=0.02)
        assert row["error"] < 0.2 * row["expected"]
    first, last = rows[0], rows[-1]
    assert first["frechet"] / last["frechet"] == pytest.approx(16, rel=0.3)
    assert first["times_n"] == pytest.approx(last["times_n"], rel=0.3)


@pytest.mark.parametrize("d", [1, 3, 20])
def test_the_bias_between_isotropic_laws_is_its_closed_form(d):
    """2 d / n of the means, d (d + 1) / 2 n of the covariances, times the variance."""
    expected = 4.0 * (2 * d + d * (d + 1) / 2) / 500
    assert expected_between_equals(4.0 * np.eye(d), 500) == pytest.approx(expected)
    padded = np.pad(4.0 * np.eye(d), (0, 2))  # directions without variance add nothing
    assert expected_between_equals(padded, 500) == pytest.approx(expected)


@pytest.mark.filterwarnings("ignore:Metric `Frechet:UserWarning")
def test_the_distance_agrees_with_torchmetrics_on_the_same_features():
    pytest.importorskip("torchmetrics")
    from torchmetrics.image.fid import FrechetInceptionDistance

    class Same(torch.nn.Module):
        num_features = 24

        def forward(self, x):
            return x

    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((24, 24))
    a, b = rng.standard_normal((500, 24)) @ mixing, 1.1 * rng.standard_normal((400, 24)) + 0.3
    peer = FrechetInceptionDistance(feature=Same(), normalize=True)
    peer.set_dtype(torch.float64)
    peer.update(torch.from_numpy(a), real=True)
    peer.update(torch.from_numpy(b), real=False)
    assert feature_frechet(b, a) == pytest.approx(peer.compute().item(), rel=1e-3)


# --- features -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pictures():
    """Three disjoint sets of procedural faces."""
    drawn = faces(np.arange(900), seed=4, size=32)
    return drawn[:300], drawn[300:600], drawn[600:]


SPACES = [PixelPCA, RandomConv]


@pytest.mark.parametrize("kind", SPACES)
def test_features_are_a_function_of_the_images_alone(kind, pictures):
    images = to_images(pictures[0])
    torch.manual_seed(1)
    first = kind(images)(images)
    torch.manual_seed(2)
    again = kind(images)
    np.testing.assert_array_equal(again(images), first)
    np.testing.assert_allclose(again(images[7:9]), first[7:9], rtol=1e-4, atol=1e-5)
    assert first.dtype == np.float64


def test_random_conv_is_standardised_on_what_it_was_fitted_on(pictures):
    images = to_images(pictures[0])
    found = RandomConv(images)(images)
    assert found.shape == (300, 192)
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(found.std(0), 1, atol=1e-6)


def test_pixel_pca_are_the_principal_components_of_the_pixels(pictures):
    images = to_images(pictures[0])
    space = PixelPCA(images, components=20)
    found = space(images)
    x = images.flatten(1).double().numpy()
    singular = np.linalg.svd(x - x.mean(0), compute_uv=False)[:20]
    np.testing.assert_allclose(np.sort((found**2).sum(0))[::-1], singular**2, rtol=1e-4)
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(space.axes.T @ space.axes, np.eye(20), atol=1e-5)


def test_with_few_images_pixel_pca_has_fewer_components(pictures):
    assert PixelPCA(to_images(pictures[0][:5]))(to_images(pictures[1])).shape == (300, 4)
    with pytest.raises(InputError, match="at least 2 training images, got 1"):
        PixelPCA(to_images(pictures[0][:1]))


def test_every_space_has_a_name_and_says_what_it_can_be_compared_with(pictures):
    spaces = [space(to_images(pictures[0])) for space in (PixelPCA, RandomConv)]
    assert [space.name for space in spaces] == ["pixel-pca", "random-conv"]
    assert all(space.comparable_with for space in spaces)


def blurred(pixels, strength):
    return ndimage.gaussian_filter(pixels, (0, strength, strength, 0))


def noisy(pixels, strength):
    noise = np.random.default_rng(0).normal(0, 12 * strength, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def tinted(pixels, strength):
    return np.clip(pixels + np.array([20, 0, -20]) * strength, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("kind", "harm"),
    [
        (PixelPCA, blurred), (PixelPCA, tinted),  # noise hardly touches the leading components
        (RandomConv, blurred), (RandomConv, tinted), (RandomConv, noisy),
    ],
)  # fmt: skip
def test_more_harm_is_farther_away(kind, harm, pictures):
    fitted_on, real, other = pictures
    space = kind(to_images(fitted_on))
    reference = space(to_images(real))
    distances = [feature_frechet(space(to_images(other)), reference)]
    for strength in (0.7, 1.5, 3):
        distances.append(feature_frechet(space(to_images(harm(other, strength))), reference))
    assert distances == sorted(distances)
    assert distances[-1] > 1.5 * distances[0]


# --- the face detector --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def portraits():
    return faces(np.arange(5000, 5200), seed=0, size=64)


@pytest.fixture(scope="module")
def settings():
    return calibrate(faces(np.arange(150), seed=0, size=64))


@needs_detector
def test_faces_are_found_and_scrambled_ones_and_noise_are_not(portraits, settings):
    assert finds_face(portraits, settings).mean() >= 0.85
    assert finds_face(scramble_phases(portraits, 1), settings).mean() <= 0.15
    noise = np.random.default_rng(0).integers(0, 256, portraits.shape, dtype=np.uint8)
    assert finds_face(noise, settings).sum() == 0
    assert finds_face(np.zeros_like(portraits[:3]), settings).sum() == 0


@needs_detector
def test_grey_pictures_are_judged_like_their_colours(portraits, settings):
    grey = (portraits @ [0.299, 0.587, 0.114] + 0.5).astype(np.uint8)[..., None]
    same = finds_face(grey, settings) == finds_face(portraits, settings)
    assert same.mean() > 0.97


@needs_detector
def test_asking_for_more_support_finds_fewer_faces(portraits, settings):
    rates = [
        finds_face(portraits, replace(settings, min_neighbours=k)).mean() for k in (1, 4, 12, 10**6)
    ]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == 0


@needs_detector
def test_calibration_is_repeatable_and_says_on_what_it_was_made(portraits):
    first = calibrate(portraits[:40], seed=2)
    assert first == calibrate(portraits[:40], seed=2)
    assert first.calibrated_on == 40
    assert first.to_dict()["min_neighbours"] == first.min_neighbours


@needs_detector
def test_where_no_image_shows_a_face_no_rate_is_told(portraits):
    """Planted: stripes are no faces, and a rate of them would blame the samplers."""
    assert no_faces(calibrate(portraits[:60])) is None
    stripes = np.zeros((60, 28, 28, 1), np.uint8)
    for i, picture in enumerate(stripes):
        picture[i % 20 : i % 20 + 8] = 255
    settings = calibrate(stripes)
    assert settings.real_rate < 0.2
    assert "finds one in" in no_faces(settings)


@pytest.mark.parametrize("shape", [(32, 32, 3), (33, 29, 3), (16, 16, 1)])
def test_scrambling_keeps_the_power_of_every_frequency_and_the_mean(shape):
    rng = np.random.default_rng(0)
    # Low contrast around mid-grey: nothing is clipped, so that only rounding is left.
    pixels = (128 + 6 * rng.standard_normal((4, *shape))).round().astype(np.uint8)
    scrambled = scramble_phases(pixels, seed=3)
    assert scrambled.dtype == np.uint8
    assert 0 < scrambled.min() < scrambled.max() < 255
    power, after = (np.abs(np.fft.fft2(p.astype(float), axes=(1, 2))) for p in (pixels, scrambled))
    rounding = 6 * math.sqrt(shape[0] * shape[1] / 12)
    assert np.abs(power - after).max() < rounding
    assert np.abs(power - after).max() < 0.3 * power[:, 1:, 1:].max()
    np.testing.assert_allclose(pixels.mean((1, 2)), scrambled.mean((1, 2)), atol=0.1)
    assert np.abs(pixels.astype(float) - scrambled).mean() > 3  # and the picture is gone


def test_scrambling_repeats_and_leaves_its_input_alone():
    pixels = faces(np.arange(3), seed=0, size=32)
    before = pixels.copy()
    assert np.array_equal(scramble_phases(pixels, 1), scramble_phases(pixels, 1))
    assert not np.array_equal(scramble_phases(pixels, 1), scramble_phases(pixels, 2))
    assert np.array_equal(pixels, before)


def test_without_opencv_the_reason_is_said_and_asking_anyway_is_refused(monkeypatch):
    monkeypatch.setattr(detector, "find_spec", lambda name: None)
    assert "latentshape[faces]" in detector_missing()
    with pytest.raises(InputError, match=r"latentshape\[faces\]"):
        finds_face(np.zeros((1, 8, 8, 3), np.uint8), DetectorSettings())


@needs_detector
def test_an_opencv_without_cascades_says_which_version_to_take(monkeypatch):
    import cv2

    monkeypatch.delattr(cv2, "CascadeClassifier")
    assert "opencv-python-headless<5" in detector_missing()


# --- Wilson's interval --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [  # Newcombe 1998, Table I, method 3; and Brown, Cai & DasGupta 2001
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilsons_interval_has_its_published_values(hits, n, low, high):
    assert wilson(hits, n) == pytest.approx((low, high), abs=5e-5)


def test_wilsons_interval_mirrors_narrows_and_stays_inside():
    for hits, n in [(0, 5), (3, 10), (10, 10), (400, 1000)]:
        low, high = wilson(hits, n)
        assert 0 <= low <= hits / n <= high <= 1
        assert wilson(n - hits, n) == pytest.approx((1 - high, 1 - low))
        wider = wilson(hits, n, confidence=0.99)
        assert wider[1] - wider[0] > high - low
    assert np.diff(wilson(40, 100)) > np.diff(wilson(400, 1000))


def test_wilsons_interval_covers_as_often_as_it_says():
    n, p = 60, 0.2
    hits = np.arange(n + 1)
    inside = [low <= p <= high for low, high in (wilson(int(k), n) for k in hits)]
    assert stats.binom.pmf(hits, n, p)[inside].sum() == pytest.approx(0.95, abs=0.02)


# --- the scorecard ------------------------------------------------------------------------------

EXTRA = ("real", "reconstruction", "phase-scrambled")


def entries(value):
    """Every leaf entry of the rows."""
    if isinstance(value, dict) and "value" in value:
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from entries(part)


def assert_well_formed(card):
    assert set(card["rows"]) == {*EXTRA, *SAMPLERS}
    for name, row in card["rows"].items():
        assert set(row["frechet"]) == set(row["gap"]) == set(card["features"])
        assert name in SAMPLERS or "not drawn from a law" in row["log_likelihood"]["why"]
        for entry in entries(row):
            if entry["value"] is None:
                assert entry["why"]
            else:
                assert entry["low"] <= entry["value"] + 1e-12
                assert entry["value"] <= entry["high"] + 1e-12
                assert entry["n"] >= 1
    for space, entry in card["rows"]["reconstruction"]["gap"].items():
        # Other images' reconstructions: not the reference itself, but closer to it than any mush.
        assert 0 < entry["value"] < card["rows"]["phase-scrambled"]["gap"][space]["value"]


def judged(run, **settings):
    config = run.config()
    dataset, model = open_data(config, run), load_model(run)
    samplers, _ = fit_samplers(load_codes(run, "train").z)
    held_out, test = load_codes(run, "validation"), load_codes(run, "test")
    settings = {"n": 8, "draws": 2, "features": "pixel-pca,random-conv"} | settings
    evaluation = EvaluationConfig(**settings)
    train = load_codes(run, "train").z
    return score(model, dataset, samplers, held_out, test, evaluation, train=train)


def test_the_scorecard_of_a_run_has_the_rows_and_entries_others_rely_on(finished):
    card = read(finished.scorecard_path)
    assert_well_formed(card)
    assert card["n"] == 8
    assert card["draws"] == 2
    dataset = open_data(finished.config(), finished)
    model = load_model(finished)
    x = to_images(dataset.pixels[dataset.indices("test")])
    with torch.inference_mode():
        each = (model.decode(model.encode(x)) - x).double().square().mean((1, 2, 3))
    mse = card["rows"]["reconstruction"]["mse"]
    assert mse["value"] == pytest.approx(each.mean().item(), rel=1e-4)
    assert mse["n"] == len(x)


def test_judging_repeats(finished):
    card = read(finished.scorecard_path)
    del card["novelty"]  # of codes; the pipeline adds it
    assert judged(finished) == judged(finished) == card


def test_more_pictures_than_there_are_real_ones_are_not_pretended(finished):
    dataset = open_data(finished.config(), finished)
    fewest = min(len(dataset.indices(s)) for s in ("validation", "test"))
    card = judged(finished, n=10_000, draws=1)
    assert card["n"] == fewest
    assert card["rows"]["gaussian"]["frechet"]["pixel-pca"]["n"] == fewest


def test_the_likelihood_is_that_of_held_out_codes(finished):
    card = read(finished.scorecard_path)
    samplers, _ = fit_samplers(load_codes(finished, "train").z)
    z = load_codes(finished, "validation").z
    for name, sampler in samplers.items():
        entry = card["rows"][name]["log_likelihood"]
        if entry["value"] is not None:
            assert entry["value"] == pytest.approx(sampler.score(z))
            assert entry["n"] == len(z)
        else:
            assert not sampler.has_density or not np.isfinite(sampler.log_prob(z)).all()
    assert card["rows"]["gaussian"]["log_likelihood"]["value"] is not None
    assert "no density" in card["rows"]["training-codes"]["log_likelihood"]["why"]


def test_without_a_detector_everything_else_is_judged_and_the_reason_is_kept(
    finished,
    monkeypatch,
):
    monkeypatch.setattr(detector, "find_spec", lambda name: None)
    card = judged(finished)
    assert_well_formed(card)
    assert card["detector"] is None
    whole = read(finished.scorecard_path)
    for name, row in card["rows"].items():
        assert row["face_rate"]["value"] is None
        assert "latentshape[faces]" in row["face_rate"]["why"]
        assert row["frechet"] == whole["rows"][name]["frechet"]


def test_the_wrong_centre_and_the_wrong_spread_are_told_from_the_right_ones(finished):
    """Planted: a law far from the codes has a larger gap than the codes themselves."""
    config = finished.config()
    dataset, model = open_data(config, finished), load_model(finished)
    z = load_codes(finished, "train").z
    samplers = {name: s for name, s in fit_samplers(z)[0].items() if name == "training-codes"}
    moved, _ = fit_samplers(np.array(z) + 40 * z.std())
    samplers["gaussian"] = moved["gaussian"]
    card = score(
        model, dataset, samplers, load_codes(finished, "validation"), load_codes(finished, "test"),
        EvaluationConfig(n=10, draws=3, features="pixel-pca,random-conv"),
    )  # fmt: skip
    for space in card["features"]:
        right = card["rows"]["training-codes"]["gap"][space]["value"]
        assert card["rows"]["gaussian"]["gap"][space]["value"] > 2 * right


def test_nothing_is_fitted_on_what_it_judges(finished, monkeypatch):
    """A spy on what features and detector are fitted on: training images, all of them."""
    dataset = open_data(finished.config(), finished)
    training = {p.tobytes() for p in dataset.pixels[dataset.indices("train")]}
    seen = []
    real_fit, real_calibrate = scorecard.fit_spaces, scorecard.calibrate

    def fit(context, names):
        for images in context.blocks():
            pixels = (images.permute(0, 2, 3, 1) * 255).round().byte().numpy()
            seen.extend(p.tobytes() for p in pixels)
        return real_fit(context, names)

    def spy(pixels):
        seen.extend(p.tobytes() for p in pixels)
        return real_calibrate(pixels)

    monkeypatch.setattr(scorecard, "fit_spaces", fit)
    monkeypatch.setattr(scorecard, "calibrate", spy)
    judged(finished, draws=1)
    assert seen
    assert set(seen) <= training
