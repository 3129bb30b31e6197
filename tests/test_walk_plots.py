"""Figures of walks show the steps where they are, and all of them."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from latentshape import plots
from latentshape.shape import Moments
from latentshape.walk_plots import PATHS, path_over_codes, radius_along, walk_figure
from latentshape.walks import WALKS, make_walk

RNG = np.random.default_rng(0)
CLOUDS = {
    "d=1": RNG.normal(2.0, 1.0, (300, 1)),
    "d=2": RNG.standard_normal((300, 2)) @ RNG.standard_normal((2, 2)) + 3.0,
    "d=16": RNG.standard_normal((400, 16)) @ RNG.standard_normal((16, 16)) + 1.0,
    "few": RNG.standard_normal((8, 16)) + 1.0,
    "constant": np.column_stack([RNG.standard_normal((300, 3)), np.full(300, 7.0)]),
}
#: Every kind once, and the kinds that work in every cloud in each of the others.
CASES = [(kind, "d=16") for kind in WALKS]
CASES += [(kind, name) for kind in ("morph", "pca") for name in CLOUDS if name != "d=16"]


@pytest.fixture(autouse=True)
def coarse(monkeypatch):
    """Small pictures: what is drawn is the same."""
    monkeypatch.setitem(plots.STYLE, "figure.dpi", 40)


@pytest.fixture
def ax():
    made, axes = plots.figure()
    yield axes[0, 0]
    made.canvas.draw()  # what matplotlib puts off until then may warn too


def path_lines(ax):
    """Places of the paths drawn, one (steps, 2) each."""
    return [
        np.stack(line.get_data(), axis=1) for line in ax.lines if to_hex(line.get_color()) in PATHS
    ]


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_every_walk_through_every_cloud_is_drawn_whole(kind, name):
    z = CLOUDS[name]
    moments = Moments.of(z)
    walk = make_walk(kind, z, moments)
    made = walk_figure(walk, z, moments)
    made.canvas.draw()
    panels = [ax for ax in made.axes if ax.get_visible()]
    assert len(panels) == min(5, len(set(walk.planes))) + 1
    drawn = [line for ax in panels[:-1] for line in path_lines(ax)]
    shown = [k for k in range(walk.rows) if walk.planes[k] in list(dict.fromkeys(walk.planes))[:5]]
    assert len(drawn) == len(shown)
    for ax in panels[:-1]:
        (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
        for line in path_lines(ax):
            assert ((left < line[:, 0]) & (line[:, 0] < right)).all()
            assert ((low < line[:, 1]) & (line[:, 1] < high)).all()
    by_plane = sorted(shown, key=lambda k: list(dict.fromkeys(walk.planes)).index(walk.planes[k]))
    for k, line in zip(by_plane, drawn, strict=True):
        place = walk.planes[k].project(walk.paths[k])
        assert line[:, : place.shape[1]] == pytest.approx(place, abs=1e-5)


def test_steps_are_numbered_where_they_are(ax):
    z = CLOUDS["d=2"]
    walk = make_walk("origin", z, steps=6)
    path_over_codes(ax, z, walk.codes, Moments.of(z), walk.planes[0])
    assert {t.get_text(): tuple(np.round(t.xy, 4)) for t in ax.texts} == {
        str(k + 1): tuple(place)
        for k, place in enumerate(np.round(walk.planes[0].project(walk.codes), 4))
    }
    assert ax.get_xlabel() == "from the origin to the centre"
    # The origin is where the path begins, and the centre where it ends.
    marks = {line.get_label(): np.ravel(line.get_data()) for line in ax.lines}
    assert marks["origin"] == pytest.approx([0, 0])
    assert marks["centre"] == pytest.approx(walk.planes[0].project(walk.codes)[-1], abs=1e-5)


def test_of_a_long_path_some_steps_are_numbered_and_the_last(ax):
    z = CLOUDS["d=2"]
    walk = make_walk("origin", z, steps=50)
    path_over_codes(ax, z, walk.codes, Moments.of(z), walk.planes[0])
    numbers = [int(t.get_text()) for t in ax.texts]
    assert (numbers[0], numbers[-1]) == (1, 50)
    assert 8 <= len(numbers) <= 13


def test_paths_are_told_apart_by_name(ax):
    z = CLOUDS["d=16"]
    walk = make_walk("morph", z)
    path_over_codes(ax, z, walk.paths, Moments.of(z), walk.planes[0], walk.row_labels)
    assert [t.get_text() for t in ax.get_legend().get_texts()] == list(walk.row_labels)
    assert len({line.get_color() for line in ax.lines if line.get_label() in walk.row_labels}) == 3


def test_radii_are_drawn_step_by_step_over_the_band_of_a_gaussian(ax):
    z = CLOUDS["d=16"]
    moments = Moments.of(z)
    walk = make_walk("morph", z, moments)
    radius_along(ax, walk, moments)
    lines = path_lines(ax)
    assert np.array([line[:, 1] for line in lines]) == pytest.approx(walk.radii.reshape(3, -1))
    assert lines[0][:, 0].tolist() == list(range(1, 10))
    band = next(p for p in ax.patches if p.get_label() == "98 % of a Gaussian")
    draws = np.linalg.norm(np.random.default_rng(1).standard_normal((40_000, 16)), axis=1)
    wanted = np.quantile(draws, [0.01, 0.99])
    assert [band.get_y(), band.get_y() + band.get_height()] == pytest.approx(wanted, rel=0.03)


def test_where_there_are_no_radii_the_figure_says_so(ax):
    z = CLOUDS["constant"]
    moments = Moments.of(z)
    radius_along(ax, make_walk("pca", z, moments), moments)
    assert "no Mahalanobis radius" in ax.texts[0].get_text()
    assert not path_lines(ax)
