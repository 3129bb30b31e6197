"""Innermost maps: planted filters are found, named and shown, and nothing else is."""

import numpy as np
import pytest
import torch

from latentshape import innermost_plots
from latentshape.config import MODELS
from latentshape.errors import InputError
from latentshape.experiments import innermost as experiment
from latentshape.experiments import run_series
from latentshape.experiments.bench import Bench
from latentshape.images import to_images, to_pixels
from latentshape.innermost import (
    BATCH,
    TOP,
    Correlations,
    CrossSums,
    PictureLaw,
    _climb,
    exciting_patterns,
    map_activations,
    map_statistics,
    mean_frequency,
)
from latentshape.innermost_plots import MapCard, contact_sheet, save_contact_sheet
from latentshape.models import build_model
from latentshape.models.base import Autoencoder
from latentshape.pipeline import encode_run, open_data, train_run
from latentshape.plots import figure
from tiny_run import plain_dataset, read, tiny_config

#: What the planted maps look for, in this order.
EDGE, RED, SILENT, CONSTANT = range(4)
SIZE = 28


def planted(activation="leaky-relu", **options):
    """An encoder of one layer whose maps are known: vertical edges, red, never active, constant."""
    form = {"filters": (4,), "strides": (1,), "size": SIZE, "activation": activation} | options
    config = tiny_config(**form)
    model = build_model(config).eval()
    with torch.no_grad():
        convolution = model.encoder.layers[-1][0]
        convolution.weight.zero_()
        convolution.bias.zero_()
        convolution.weight[EDGE] = torch.tensor([-1.0, 0.0, 1.0]).expand(3, 3, 3)
        convolution.weight[RED, :, 1, 1] = torch.tensor([1.0, -0.5, -0.5])
        convolution.weight[SILENT, :, 1, 1] = 0.1
        convolution.bias[SILENT] = -2.0
        convolution.weight[CONSTANT, :, 1, 1] = 3e-7  # no more than rounding
        convolution.bias[CONSTANT] = 0.5
    return model


def pictures(n=300, seed=0):
    """Smooth coloured pictures (n, SIZE, SIZE, 3), and row after row of 3 with stripes, 3 that are red."""
    pixels = plain_dataset(n, SIZE, seed).pixels // 2 + 64  # milder than what is planted
    striped, red = [11, 140, 260], [5, 150, 299]
    for k, row in enumerate(striped):
        pixels[row] = np.where(np.arange(SIZE) // 2 % 2, 255, 20 * k)[None, :, None]
    for k, row in enumerate(red):
        pixels[row] = (255, 20 * k, 20 * k)
    return pixels, striped, red


@pytest.fixture(scope="module")
def law():
    return PictureLaw.of(pictures()[0])


@pytest.fixture(scope="module")
def patterns(law):
    return exciting_patterns(planted(), law, steps=32)


def test_an_edge_map_is_excited_by_vertical_stripes(patterns):
    grey = patterns[EDGE].astype(float).mean(2)
    across, down = np.square(np.diff(grey, axis=1)).mean(), np.square(np.diff(grey, axis=0)).mean()
    assert across > 10 * down
    # The edge filter answers most to a period of four pixels; leaky-relu makes bright edges count more.
    spectrum = np.abs(np.fft.rfft(grey - grey.mean(), axis=1)).mean(0)
    assert 3 <= np.argmax(spectrum) <= 5


def test_a_red_map_is_excited_by_red(patterns):
    red, green, blue = patterns[RED].reshape(-1, 3).mean(0)
    assert red > 1.5 * max(green, blue)
    assert np.abs(patterns[RED].astype(float) - patterns[RED].mean((0, 1))).mean() < 30


def test_a_linear_map_is_excited_as_far_as_the_closed_form_says():
    # Of all y with rms 1 the one along the gradient excites a linear map most; at low contrast the
    # logistic function is linear, so that what is reached is the gradient's length times sqrt(D).
    model = planted(negative_slope=1.0)
    law = PictureLaw(np.full(3, 0.5), 1e-3 * np.diag([1.0, 2.0, 3.0]), SIZE)
    x = torch.full((1, 3, SIZE, SIZE), 0.5, requires_grad=True)
    encoder = model.encoder
    for m in (EDGE, RED):
        (gradient,) = torch.autograd.grad(encoder.layers[0](x)[0, m].mean(), x)
        whitened = torch.einsum("cr,nchw->nrhw", torch.tensor(law.factor).float(), gradient)
        most = float(whitened.norm() * np.sqrt(whitened.numel()))
        w = torch.from_numpy(law.noise([0, m]))[None]
        end = _climb(encoder, law, [m], 200, seed=0)
        with torch.no_grad():
            base, start, reached = (
                float(encoder.layers[0](seen)[0, m].mean()) for seen in (x, law.paint(w), end)
            )
        assert start - base < 0.5 * most
        assert 0.97 * most < reached - base < 1.001 * most


def test_patterns_have_the_contrast_and_colours_of_the_training_images():
    pixels = pictures()[0]
    law = PictureLaw.of(pixels)
    w = torch.from_numpy(np.stack([law.noise([1, k]) for k in range(200)]))
    assert torch.allclose(law.paint(w), law.paint(7.5 * w), atol=1e-6)  # length means nothing
    # In the linear range the covariance of the painted colours is the law's, whatever the picture.
    faint = PictureLaw(law.mean, 0.01 * law.factor, law.size)
    colours = faint.paint(w).movedim(1, 3).reshape(-1, 3).numpy().astype(float)
    assert colours.mean(0) == pytest.approx(law.mean, abs=2e-3)
    expected = 1e-4 * law.factor @ law.factor.T
    assert np.cov(colours.T) == pytest.approx(expected, abs=0.15 * np.trace(expected) / 3)
    own = to_images(pixels).movedim(1, 3).reshape(-1, 3).numpy().astype(float)
    assert law.factor @ law.factor.T == pytest.approx(np.cov(own.T), rel=0.02, abs=1e-4)


def test_amplitudes_fall_as_one_over_the_frequency():
    law = PictureLaw(np.full(1, 0.5), np.full((1, 1), 1e-4), 64)
    w = torch.from_numpy(np.stack([law.noise([2, k]) for k in range(200)]))
    y = law.paint(w)[:, 0].double() - 0.5
    power = torch.fft.fft2(y).abs().square().mean(0).numpy()
    assert power[0, 4] / power[0, 16] == pytest.approx(16, rel=0.35)
    assert power[8, 0] / power[24, 0] == pytest.approx(9, rel=0.35)
    assert power[0, 0] / power[0, 1] == pytest.approx(1, rel=0.5)


@pytest.mark.parametrize("size", [15, 16])
def test_blur_is_a_gaussian_in_pixels(size):
    law, sigma = PictureLaw(np.full(1, 0.5), np.full((1, 1), 1e-4), size), 1.3
    w = torch.from_numpy(law.noise([3]))[None].double()
    sharp, blurred = law.paint(w)[0, 0] - 0.5, law.paint(w, blur=sigma)[0, 0] - 0.5
    frequencies = np.fft.fftfreq(size)
    ratio = (torch.fft.fft2(blurred) / torch.fft.fft2(sharp)).real.numpy()
    # At equal contrast: what is lost by small things goes to large ones, all by one factor.
    squared = frequencies[:, None] ** 2 + frequencies**2
    expected = ratio[0, 0] * np.exp(-2 * (np.pi * sigma) ** 2 * squared)
    assert ratio[0, 0] > 1
    assert ratio == pytest.approx(expected, abs=1e-2 * ratio[0, 0])


def test_frequency_is_that_of_the_stripes():
    stripes = np.broadcast_to(pictures()[0][11], (2, SIZE, SIZE, 3)).copy()  # of period four
    stripes[1] = stripes[1].transpose(1, 0, 2)
    assert mean_frequency(stripes) == pytest.approx(SIZE / 4, rel=1e-6)
    assert mean_frequency(np.full((1, 9, 9, 1), 77, np.uint8)) == 0
    rough = np.random.default_rng(0).integers(0, 256, (1, SIZE, SIZE, 3), np.uint8)
    k = np.hypot(*np.meshgrid(*[np.fft.fftfreq(SIZE, 1 / SIZE)] * 2))
    assert mean_frequency(rough) == pytest.approx(k.sum() / (SIZE**2 - 1), rel=0.05)


def test_patterns_repeat_and_do_not_depend_on_what_else_is_asked_for(law):
    model = planted()
    every = exciting_patterns(model, law, steps=6, seed=3)
    assert np.array_equal(exciting_patterns(model, law, steps=6, seed=3), every)
    assert np.array_equal(exciting_patterns(model, law, [RED], steps=6, seed=3), every[[RED]])
    assert not np.array_equal(exciting_patterns(model, law, steps=6, seed=4), every)
    twice = [EDGE, RED] * (BATCH // 2 + 3)  # more than one batch
    many = exciting_patterns(model, law, twice, steps=6, seed=3)
    assert np.array_equal(many, every[twice])


def test_an_ascent_leaves_the_model_as_it_was(law):
    model = planted()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    exciting_patterns(model, law, [0], steps=2)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())


def test_a_map_that_is_silent_at_first_is_found(law):
    # With relu nothing comes back from a map that is 0 at every position of what the ascent begins with.
    model = planted("relu")
    convolution = model.encoder.layers[0][0]
    with torch.no_grad():
        w = torch.from_numpy(law.noise([0, EDGE]))[None]
        convolution.bias[EDGE] = -float(convolution(law.paint(w)).amax((0, 2, 3))[EDGE])
        assert (model.encoder.layers[0](law.paint(w))[0, EDGE] == 0).all()
        assert (model.encoder.layers[0](law.paint(w, 1.0))[0, EDGE] == 0).all()
    found = exciting_patterns(model, law, [EDGE], steps=32)
    means, _ = next(map_activations(model, found, np.arange(1)))
    assert means[0, EDGE] > 0.1


def test_jitter_lets_no_position_matter(law, monkeypatch):
    # A map that sees one pixel in four: only shifted pictures can excite it by the others. (Shifts that do
    # not fade, and no blur, show this alone.)
    model = planted(strides=(2,))
    monkeypatch.setattr("latentshape.innermost.SHARP_FROM", 1e9)
    monkeypatch.setattr("latentshape.innermost.BLUR", 0.0)

    def evenness():
        pattern = exciting_patterns(model, law, [RED], steps=64)[0].astype(float)
        redness = pattern[:, :, 0] - pattern[:, :, 1:].mean(2)
        phases = [redness[i::2, j::2].mean() for i in (0, 1) for j in (0, 1)]
        return min(phases) / max(phases)

    assert evenness() > 0.8
    monkeypatch.setattr("latentshape.innermost.JITTER", 0.0)
    assert evenness() < 0.2


def test_the_images_that_excite_a_map_most_are_the_planted_ones():
    pixels, striped, red = pictures()
    seen = map_statistics(planted(), pixels, np.arange(300))
    assert seen.top.shape == (4, TOP)
    assert seen.top[EDGE, :3].tolist() == striped  # in the order of their contrast
    assert seen.top[RED, :3].tolist() == red
    assert (np.diff(seen.top_activation, axis=1) <= 0).all()
    means = np.concatenate([m for m, _ in map_activations(planted(), pixels, seen.top[RED])])
    assert means[:, RED] == pytest.approx(seen.top_activation[RED])


def test_statistics_are_those_of_the_maps_themselves():
    pixels, _, _ = pictures()
    rows = np.arange(299, 20, -1)  # another order than the pictures', more than two batches
    seen = map_statistics(planted(), pixels, rows)
    x = planted().encoder.layers[0](to_images(pixels[rows])).detach().double().numpy()
    f = x.mean((2, 3))
    assert seen.moments.mean == pytest.approx(f.mean(0), abs=1e-6)
    assert seen.moments.std[:3] == pytest.approx(f.std(0, ddof=1)[:3], rel=1e-4)
    assert seen.peak == pytest.approx(x.max((0, 2, 3)), abs=1e-6)
    assert seen.top[RED].tolist() == rows[np.argsort(-f[:, RED])[:TOP]].tolist()
    there = f[:, EDGE].mean() + 2.5 * f[:, EDGE].std(ddof=1)
    assert seen.in_deviations(EDGE, there) == pytest.approx(2.5, rel=1e-3)


def test_dead_maps_are_named_and_living_ones_are_not():
    seen = map_statistics(planted(), pictures()[0], np.arange(300))
    assert [seen.dead(m) for m in range(4)] == [None, None, "never active", "constant"]
    assert seen.in_deviations(CONSTANT, 9.0) is None
    assert seen.in_deviations(SILENT, 0.0) > 0  # leaky-relu lets it tell images apart


def test_correlations_find_what_was_planted_and_shuffled_ones_do_not():
    pixels = plain_dataset(300, SIZE).pixels  # without outliers, which make chance large
    rng = np.random.default_rng(5)
    f = planted().encoder.layers[0](to_images(pixels)).detach().double().mean((2, 3)).numpy()
    redness = f[:, RED] + 0.2 * f[:, RED].std() * rng.standard_normal(300)
    halved = np.where(np.arange(300) % 2, np.nan, -redness)  # known of every other image
    facts = np.stack([rng.standard_normal(300), redness, halved, np.ones(300)], 1)
    names = ("noise", "redness", "halved", "always")
    (found,) = map_statistics(planted(), pixels, np.arange(300), [(names, facts)]).correlations
    assert found.n.tolist() == [300, 300, 150, 300]
    for j, known in ((0, slice(None)), (1, slice(None)), (2, slice(0, None, 2))):
        for m in (EDGE, RED, SILENT):
            expected = np.corrcoef(f[known, m], facts[known, j])[0, 1]
            assert found.r[m, j] == pytest.approx(expected, abs=1e-5)
    assert (found.r[:, 3] == 0).all()  # what is the same for all says nothing
    assert (found.r[CONSTANT] == 0).all()
    first, second = found.strongest(RED, 2)
    assert {first[0], second[0]} == {"redness", "halved"}
    errors = {name: error for name, _, error in (first, second)}
    assert errors["redness"] == pytest.approx(300**-0.5, rel=0.01)
    assert errors["halved"] == pytest.approx(150**-0.5, rel=0.01)
    assert abs(first[1]) > 0.95
    assert 0 < found.by_chance(RED) < 5 / np.sqrt(150)


def test_sums_lose_nothing_to_an_offset():
    rng = np.random.default_rng(0)
    f = rng.standard_normal((500, 2)).astype(np.float32)
    g = np.stack([1e6 + f[:, 0] + rng.standard_normal(500), np.full(500, 1e6)], 1)
    sums = CrossSums(2, 2)
    for start in range(0, 500, 128):
        sums.update(f[start : start + 128], g[start : start + 128])
    r, n = sums.result()
    assert n.tolist() == [500, 500]
    expected = [[np.corrcoef(f[:, m], g[:, 0])[0, 1], 0.0] for m in range(2)]
    assert r == pytest.approx(np.array(expected), abs=1e-6)


def test_a_fact_known_of_no_image_is_no_fact():
    sums = CrossSums(1, 1)
    sums.update(np.ones((4, 1)), np.full((4, 1), np.nan))
    r, n = sums.result()
    assert (r.tolist(), n.tolist()) == ([[0.0]], [0])
    table = Correlations(("x",), r, n, r)
    assert table.strongest(0) == [("x", 0.0, 1.0)]


def test_bad_input_is_a_sentence(law):
    model, pixels = planted(), pictures()[0]

    class Flat(Autoencoder):
        latent_dim = 2

        def encode(self, x):
            return x.flatten(1)[:, :2]

        def decode(self, z):
            return z

        def loss(self, x, generator=None):
            raise NotImplementedError

    for call in (
        lambda: exciting_patterns(Flat(), law),
        lambda: map_statistics(Flat(), pixels, np.arange(3)),
        lambda: next(map_activations(Flat(), pixels, np.arange(3))),
    ):
        with pytest.raises(InputError, match=r"Flat is no ConvAutoencoder.*no maps"):
            call()
    with pytest.raises(InputError, match="maps 0 to 3, got 4"):
        exciting_patterns(model, law, [4])
    with pytest.raises(InputError, match="steps"):
        exciting_patterns(model, law, [0], steps=0)
    with pytest.raises(InputError, match="seed"):
        exciting_patterns(model, law, [0], steps=1, seed=-1)
    with pytest.raises(InputError, match="at least two images, got 1"):
        map_statistics(model, pixels, np.arange(1))
    with pytest.raises(InputError, match=r"shape \(3, 2\), got \(300, 2\)"):
        map_statistics(model, pixels, np.arange(3), [(("a", "b"), np.zeros((300, 2)))])
    with pytest.raises(InputError, match="one colour"):
        PictureLaw.of(np.full((5, 8, 8, 3), 7, np.uint8))


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_every_model_has_maps_and_patterns_that_excite_them(law, kind, activation):
    model = build_model(
        tiny_config(model=kind, activation=activation, batch_norm=True, size=SIZE, strides=(2,))
    )
    found = exciting_patterns(model, law, steps=16)
    noise = to_pixels(law.paint(torch.from_numpy(np.stack([law.noise([9, m]) for m in range(4)]))))
    both = np.concatenate([found, noise])
    means, _ = next(map_activations(model, both, np.arange(8)))
    assert (np.diag(means) > np.diag(means[4:])).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_pictures_give_grey_patterns(channels):
    pixels = np.repeat(plain_dataset(60, SIZE, 0, 1).pixels, channels, axis=3)
    config = tiny_config(filters=(3,), strides=(2,), size=SIZE, channels=channels)
    found = exciting_patterns(build_model(config), PictureLaw.of(pixels), steps=4)
    assert found.shape == (3, SIZE, SIZE, channels)
    assert found.std() > 5
    assert (found == found[..., :1]).all()


def card(title="map 7", seed=0, images=8, size=16, channels=3, pattern=True):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (images + 2, size, size, channels), np.uint8)
    own = pixels[0] if pattern else None
    return MapCard(title, "pattern 3.1 σ", "Male +0.31", own, pixels[1], pixels[2:])


def test_a_sheet_shows_each_map_with_its_words_and_pictures():
    cards = [card(f"map {k}", k, size=innermost_plots.TILE, images=8 - k) for k in range(5)]
    cards[4] = card("map 4", 4, pattern=False, images=0)
    _, axes = figure()
    ax = contact_sheet(axes[0, 0], cards)
    words = [text.get_text() for text in ax.texts]
    assert [w for w in words if w.startswith("map")] == [f"map {k}" for k in range(5)]
    assert words.count("Male +0.31") == words.count("pattern 3.1 σ") == 5
    sheet = ax.images[0].get_array()
    tile, gap = innermost_plots.TILE, innermost_plots.GAP
    for i in (0, 3):  # the first of the first line and of the second
        top, left = innermost_plots._corner(i)
        first = left + innermost_plots._places()[2]
        assert np.array_equal(sheet[top : top + tile, first : first + tile], cards[i].images[0])
        below = top + tile + gap
        assert np.array_equal(sheet[below : below + tile, first : first + tile], cards[i].images[4])
    top, left = innermost_plots._corner(4)
    blank = sheet[top : top + innermost_plots.PATTERN, left : left + innermost_plots.PATTERN]
    assert (blank == innermost_plots.EMPTY).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_pixel_of_a_sheet_is_a_pixel_of_the_file(tmp_path, channels):
    from PIL import Image

    path = save_contact_sheet(
        [card(channels=channels, size=innermost_plots.TILE)], tmp_path / "a.png"
    )
    written = np.asarray(Image.open(path).convert("RGB"))
    assert written.shape[:2] == innermost_plots._size(1)
    top, left = innermost_plots._corner(0)
    first, tile = left + innermost_plots._places()[2], innermost_plots.TILE
    shown = card(channels=channels, size=tile).images[0]
    assert np.array_equal(written[top : top + tile, first : first + tile],
                          np.broadcast_to(shown, (tile, tile, 3)))  # fmt: skip


@pytest.fixture
def run(tmp_path):
    """As much of a run as the experiment needs."""
    made = train_run(tiny_config(data="faces:n=80", epochs=1), tmp_path / "run")
    encode_run(made)
    return made


def test_the_experiment_says_what_each_map_looks_for(run, monkeypatch):
    monkeypatch.setattr(experiment, "STEPS", 3)
    monkeypatch.setattr(experiment, "PAGE", 3)
    cards = {}
    monkeypatch.setattr(
        experiment, "save_contact_sheet", lambda shown, path: cards.update({path.name: shown})
    )
    record = run_series(run, ["innermost"])["innermost"]
    assert record == read(run.series_path / "innermost.json")
    assert record["question"] == "What do the innermost maps look for?"
    assert record["protocol"]["settings"]["steps"] == 3
    assert [row["map"] for row in record["rows"]] == [0, 1, 2, 3]
    bench = Bench(run)
    codes = bench.codes("train")
    for row, entry in zip(record["rows"], record["maps"]):
        assert -1 <= row["attribute_r"] <= 1
        assert row["attribute"] == entry["attributes"]["strongest"][0]["name"]
        assert row["reached"] == entry["reached"]
        assert 1 <= row["frequency"] <= 32
        assert row["best_image"] == entry["images"][0]["reached"] > 1
        assert {image["id"] for image in entry["images"]} <= set(codes.ids.tolist())
        sizes = [abs(fact["r"]) for fact in entry["components"]["strongest"]]
        assert sizes == sorted(sizes, reverse=True)
    assert set(cards) == {"innermost.png", "maps-0000-0002.png", "maps-0003-0003.png"}
    assert sorted(c.title for c in cards["innermost.png"]) == [f"map {m}" for m in range(4)]
    dataset = open_data(bench.run.config(), bench.run)
    rows = dataset.indices("train")
    f = np.concatenate([m for m, _ in map_activations(bench.model, dataset.pixels, rows)])
    best = record["rows"][2]
    j = int(best["component"].removeprefix("z"))
    assert best["component_r"] == pytest.approx(np.corrcoef(f[:, 2], codes.z[:, j])[0, 1], abs=1e-4)


def test_the_experiment_names_what_is_dead_and_shows_nothing_of_it(run, monkeypatch):
    bench = Bench(run, quick=True)
    with torch.no_grad():
        convolution = bench.model.encoder.layers[-1][0]
        convolution.weight[1] = 0.0
        convolution.bias[1] = 0.25
    cards = []
    monkeypatch.setattr(experiment, "save_contact_sheet", lambda shown, path: cards.extend(shown))
    record = experiment.innermost(bench)
    assert record["summary"]["dead"]["1"] == record["rows"][1]["dead"] == "constant"
    assert "1 (constant)" in record["note"].split("Dead maps: ")[1]
    row = record["rows"][1]
    assert row["reached"] is row["best_image"] is row["attribute"] is row["component_r"] is None
    (dead,) = (shown for shown in cards if shown.title == "map 1")
    assert dead.pattern is None
    assert len(dead.images) == 0
    assert "dead: constant" in dead.figures
    assert cards[-1] is dead  # the last on the sheet
