"""Figures draw what they are given: no warnings, no lost points, and counts in titles that are true."""

import re

import numpy as np
import pytest
from matplotlib.figure import Figure

from latentshape import plots, shape_plots
from latentshape.shape import Moments, measure
from latentshape.shape.ellipses import confidence_ellipse

#: Names of clouds: d = 1, 2, 3, 16; one component that never varies; fewer codes than dimensions.
CLOUDS = {"line": (300, 1), "pair": (300, 2), "three": (300, 3), "sixteen": (400, 16),
          "constant": (300, 4), "alone": (300, 3), "few": (6, 16)}  # fmt: skip


def codes(name):
    n, d = CLOUDS[name]
    rng = np.random.default_rng((n, d))
    z = rng.standard_normal((n, d)) @ rng.standard_normal((d, d)) + 2.0
    if name == "constant":
        z[:, 1] = 7.0
    if name == "alone":
        z[:, 1:] = 0.0
    return z.astype(np.float32)


@pytest.fixture(scope="module")
def records():
    return {name: measure(codes(name), deep=False) for name in CLOUDS}


@pytest.fixture(scope="module")
def studied():
    """A record with all that the deep figures show."""
    return measure(codes("three"))


@pytest.fixture(autouse=True)
def coarse(monkeypatch):
    """Small pictures: what is drawn is the same."""
    monkeypatch.setitem(plots.STYLE, "figure.dpi", 40)


@pytest.fixture
def ax():
    made, axes = plots.figure()
    yield axes[0, 0]
    made.canvas.draw()  # what matplotlib puts off until then may warn too


def points(line):
    return np.stack(line.get_data(), axis=1)


def with_marker(ax, marker):
    return next(
        points(line) for line in ax.lines if line.get_marker() == marker and len(line.get_xdata())
    )


def bars(ax):
    """Heights of the bars, one list for each series."""
    return [
        [bar.get_height() for bar in series]
        for series in ax.containers
        if hasattr(series, "patches")
    ]


@pytest.mark.parametrize("name", ["line", "constant", "alone", "few"])
def test_every_kind_of_codes_is_drawn(name, records, tmp_path):
    z, record = codes(name), records[name]
    written = shape_plots.shape_figures(record, z, tmp_path)
    assert {p.stem for p in written} >= {"spectrum", "components", "radius"}
    assert {"planes", "scatter", "close-ups"} <= {p.stem for p in written} or z.shape[1] == 1
    assert sorted(tmp_path.iterdir()) == sorted(written)
    assert all(p.read_bytes().startswith(b"\x89PNG") for p in written)


def test_deep_figures_and_parts_that_could_not_be_measured(studied, tmp_path, monkeypatch):
    z = codes("three")
    names = {p.stem for p in shape_plots.shape_figures(studied, z, tmp_path / "all")}
    assert names >= {"contours", "pca-axes", "normality", "least-gaussian", "scatter", "close-ups"}
    unknown = {"why": "nobody knows"}
    nothing = (
        dict.fromkeys(("statistic", "pvalue", "effect", "control", "z")) | unknown | {"n_used": 3}
    )
    tests = {k: nothing for k in studied["normality"] if k != "family"} | {
        "family": {"rejected": []}
    }
    bare = studied | {"planes": unknown, "voids": unknown, "origin": unknown, "normality": tests,
                      "joint_law": {"radius": unknown, "ellipticity": unknown}}  # fmt: skip
    monkeypatch.setattr(plots, "save", lambda made, path: None)
    left = {p.stem for p in shape_plots.shape_figures(bare, z, tmp_path / "bare")}
    assert left == names - {"contours", "normality", "least-gaussian"}


def test_moments_that_are_known_are_not_measured_again(records, tmp_path, monkeypatch):
    z = codes("pair")
    moments = Moments.of(z)
    monkeypatch.setattr(Moments, "of", lambda *a, **k: pytest.fail("read the codes again"))
    written = shape_plots.shape_figures(records["pair"], z, tmp_path, moments=moments)
    assert {p.stem for p in written} >= {"planes", "scatter", "close-ups", "coverage"}


def test_a_plane_draws_the_points_it_was_given_and_cuts_none_off(ax):
    z = codes("sixteen")
    moments = Moments.of(z)
    special, artificial = z[5:6] + 1, np.random.default_rng(0).uniform(-9, 9, (10, 16))
    same = plots.plane(ax, z, moments, 3, 8, ("a", "b"), special=special, artificial=artificial,
                       scatter=1000)  # fmt: skip
    assert same is ax
    assert np.array_equal(points(ax.lines[0]), z[:, [3, 8]].astype(float))
    assert np.array_equal(with_marker(ax, "*"), special[:, [3, 8]])
    assert np.array_equal(with_marker(ax, "x"), artificial[:, [3, 8]])
    assert with_marker(ax, "+") == pytest.approx(moments.mean[[3, 8]][None])
    ellipses = [points(line) for line in ax.lines if len(line.get_xdata()) == 200]
    for sigma, curve in zip((1, 2, 3), ellipses, strict=True):
        assert curve == pytest.approx(confidence_ellipse(moments, 3, 8, sigma))
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    for line in ax.lines:
        x, y = line.get_data()
        assert ((left < np.asarray(x)) & (np.asarray(x) < right)).all()
        assert ((low < np.asarray(y)) & (np.asarray(y) < high)).all()


def test_a_density_counts_every_code_and_shows_the_origin_where_it_is(ax):
    z = codes("pair")
    plots.plane(ax, z, Moments.of(z), 0, 1, ("a", "b"), origin=(1.5, -40.0))
    counted = ax.collections[0].get_array()
    assert np.ma.filled(counted, 0).sum() == len(z)
    assert points(ax.lines[-1]).tolist() == [[1.5, -40.0]]
    assert ax.get_ylim()[0] < -40


def test_a_scatter_shows_rows_of_the_whole_set(ax):
    """Codes sorted by class: the last class is drawn too."""
    z = np.repeat([[0.0, 0.0], [5.0, 5.0]], 3000, axis=0) + np.random.default_rng(0).random(
        (6000, 2)
    )
    plots.plane(ax, z, Moments.of(z), 0, 1, ("a", "b"), scatter=500)
    drawn = points(ax.lines[0])
    assert len(drawn) == 500
    assert (drawn[:, 0] > 3).sum() == 250


@pytest.mark.parametrize("step", [1, 3])
def test_a_close_up_counts_all_and_draws_each_of_a_step(ax, step):
    z = np.random.default_rng(0).standard_normal((4000, 2))
    place, half = np.array([0.5, -1.0]), np.array([0.5, 0.25])
    low, high = place - half, place + half
    inside = z[((z >= low) & (z <= high)).all(axis=1)]
    assert plots.close_up(ax, z, place, half, name="centre", step=step, gap=0.456) is ax
    assert ax.get_title().startswith(f"centre: {len(inside):,} codes\ngap 0.46 × control's")
    assert (f"1 in {step} drawn" in ax.get_title()) == (step > 1)
    assert np.array_equal(points(ax.lines[0]), inside[::step])
    assert ax.get_xlim() == (0.0, 1.0)


def test_close_ups_compare_codes_with_as_many_of_a_gaussian():
    """A Gaussian cloud and one with a hole at its centre; the record's gaps stand in the titles."""
    rng = np.random.default_rng(0)
    y = rng.standard_normal((40_000, 3))
    holed = y[np.linalg.norm(y[:, :2], axis=1) > 0.9]
    gaps = (("centre", True, 3.25), ("centre", False, 9.0), ("origin", True, 0.5))
    places = [{"place": f"near {name}", "whitened": w, "ratio": r} for name, w, r in gaps]
    counts = {}
    for name, z in (("gaussian", y), ("holed", holed)):
        z = z + np.array([0.0, 3.0, 0.0])
        record = {"seed": 0, "voids": {"places": places}}
        made = shape_plots._close_ups(record, z, Moments.of(z), 0, 1)
        made.canvas.draw()
        titles = [ax.get_title() for ax in made.axes]
        counts[name] = [int(re.search(r": ([\d,]+) ", t)[1].replace(",", "")) for t in titles]
        assert "gap 3.25" in titles[0]
        assert "gap 0.50" in titles[2]
        assert not any("gap" in title for title in titles[1::2])
        # Thinned alike, so that what looks denser is denser.
        for k in (0, 2):
            drawn = [len(ax.lines[0].get_xdata()) for ax in made.axes[k : k + 2]]
            step = -(-max(counts[name][k : k + 2]) // shape_plots.CLOSE)
            assert drawn == [-(-c // step) for c in counts[name][k : k + 2]]
    expected = 40_000 * 0.3829**2  # of a normal pair within half a sigma on both axes
    assert counts["gaussian"][:2] == pytest.approx([expected, expected], rel=0.05)
    assert counts["holed"][0] == 0
    assert counts["holed"][1] > 3000


def test_close_ups_of_unmeasured_gaps_have_none_in_the_title():
    z = codes("three")
    made = shape_plots._close_ups({"seed": 0, "voids": {"why": "no"}}, z, Moments.of(z), 0, 1)
    assert not any("gap" in ax.get_title() for ax in made.axes)


def test_artificial_points_lie_in_the_best_cube_and_are_the_same_in_each_plane(studied):
    made = shape_plots._scattered(studied, codes("three"), Moments.of(codes("three")))
    b = studied["radius"]["best_cube_b"]
    panels = {ax.get_xlabel() + ax.get_ylabel(): with_marker(ax, "x") for ax in made.axes}
    assert len(panels) == len(shape_plots._notable_planes(studied)) == 3
    columns = {}
    for label, drawn in panels.items():
        assert drawn.shape == (shape_plots.ARTIFICIAL, 2)
        assert np.abs(drawn).max() <= b
        for name, values in zip(re.findall(r"component \d", label), drawn.T, strict=True):
            assert np.array_equal(columns.setdefault(name, values), values)


@pytest.mark.parametrize("name", ["sixteen", "constant", "few"])
def test_the_spectrum_is_the_records(name, ax, records):
    pca = records[name]["pca"]
    assert plots.spectrum(ax, pca) is ax
    drawn = points(ax.lines[0])
    there = np.isfinite(drawn[:, 1])
    values = np.array(pca["eigenvalues"])
    assert there.sum() == (values > 1e-15 * values[0]).sum()
    assert np.array_equal(drawn[there, 1], values[there])
    share = points(ax.figure.axes[-1].lines[0])[:, 1]
    assert share[-1] == pytest.approx(1)


@pytest.mark.parametrize("name", ["sixteen", "pair", "line"])
def test_pairs_are_counted_by_bars_and_labels(name, ax, records):
    record = records[name]["correlation"]
    assert plots.correlation_counts(ax, record) is ax
    expected = [list(record["counts"].values()), list(record["control"]["counts"].values())]
    assert bars(ax) == expected
    assert [t.get_text() for t in ax.texts] == [f"{v:,}" for row in expected for v in row]


def test_a_number_distribution_is_the_components(ax):
    z = codes("three")
    z[:, 1] = -7.0 + 0.1 * z[:, 1]
    moments = Moments.of(z)
    assert plots.number_distribution(ax, z, moments, 1) is ax
    assert ax.patches[0].get_data().values.sum() == len(z)
    assert f"component 1\nmean −{-moments.mean[1]:.2f}, " in ax.get_title()
    left, right = ax.get_xlim()
    assert left < -7 < 0 < right


def test_a_component_that_never_varies_is_called_constant(ax):
    z = codes("constant")
    plots.number_distribution(ax, z, Moments.of(z), 1)
    assert ax.get_title() == "component 1\nconstant, 7.00"
    assert ax.get_xlim()[0] < 0 < 7 < ax.get_xlim()[1]


def test_a_shadow_is_the_share_of_all_codes_and_names_those_beyond(ax):
    x = np.random.default_rng(0).standard_normal(5000)
    x[:3] = [80, 90, -70]
    assert plots.shadow(ax, x, "title") is ax
    heights, edges, _ = ax.patches[0].get_data()
    assert (heights * np.diff(edges)).sum() == pytest.approx(4997 / 5000)
    assert [t.get_text() for t in ax.texts] == ["3 beyond"]


def test_radii_are_densities_and_a_far_origin_is_told(ax):
    z = codes("three")
    moments = Moments.of(z)
    assert plots.mahalanobis_radius(ax, z, moments, 55.5) is ax
    assert ax.texts[0].get_text() == "the origin: 55.5 →"
    law = next(points(line) for line in ax.lines if line.get_label().startswith("exact law"))
    assert np.trapezoid(law[:, 1], law[:, 0]) == pytest.approx(1, abs=0.02)
    assert ax.get_xlim()[1] < 20


def test_a_near_origin_is_a_line(ax):
    z = codes("three")
    plots.mahalanobis_radius(ax, z, Moments.of(z), 2.5)
    assert not ax.texts
    assert next(line for line in ax.lines if line.get_label() == "the origin").get_xdata()[0] == 2.5


def test_cubes_are_drawn_about_the_one_that_matches(ax, records):
    b = records["sixteen"]["radius"]["best_cube_b"]
    assert plots.radius_and_cubes(ax, codes("sixteen"), b) is ax
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert [float(label.split("= ")[1]) for label in labels if "cube" in label] == pytest.approx(
        [0.75 * b, b, 1.25 * b], abs=0.006
    )
    outlines = [patch.get_xy() for patch in ax.patches if patch.get_edgecolor()[0] > 0.7]
    peaks = [xy[xy[:, 1].argmax(), 0] for xy in outlines]
    lengths = np.array([0.75, 1, 1.25]) * b * np.sqrt(16 / 3)
    assert peaks == pytest.approx(lengths, rel=0.1)


def test_coverage_and_quantiles_are_the_records(studied):
    _, axes = plots.figure(1, 2)
    rows = studied["ellipses"]["coverage"]
    predicted = {r["sigma"]: r["predicted"] for r in studied["joint_law"]["radius"]["coverage"]}
    left = plots.coverage(axes[0, 0], rows, predicted)
    for series, key in zip(bars(left), ("observed", "control"), strict=True):
        assert series == pytest.approx([100 * (r[key] - r["expected"]) for r in rows])
    diamonds = with_marker(left, "D")[:, 1]
    assert diamonds == pytest.approx([100 * (predicted[r["sigma"]] - r["expected"]) for r in rows])
    qq = studied["joint_law"]["radius"]["qq"]
    right = plots.quantiles(axes[0, 1], qq)
    drawn = {line.get_label(): points(line)[:, 1] for line in right.lines}
    for key, label in (("codes", "codes"), ("control", "Gaussian control")):
        assert np.array_equal(drawn[label], qq[key])


def test_effects_are_in_units_of_their_tolerance_and_unknown_ones_are_left_out(ax, studied):
    from latentshape.shape.battery import TESTS, TOLERANCES

    tests = dict(studied["normality"])
    tests["energy"] = tests["energy"] | {"effect": 3 * TOLERANCES["energy"]}
    tests["bhep"] = tests["bhep"] | {"control": {"effect": None}}
    assert plots.battery(ax, tests) is ax
    names = [label.get_text().removesuffix(" *") for label in ax.get_yticklabels()]
    assert names == list(TESTS)[::-1]
    drawn = {line.get_label(): dict(zip(names, line.get_xdata())) for line in ax.lines}
    assert drawn["codes"]["energy"] == pytest.approx(3)
    assert np.isnan(drawn["Gaussian control"]["bhep"])


def test_correlations_are_all_there_whatever_their_order(ax):
    r = Moments.of(codes("sixteen")).correlation()
    assert plots.correlation_map(ax, r) is ax
    shown = np.asarray(ax.images[0].get_array())
    assert np.array_equal(np.sort(shown, axis=None), np.sort(r, axis=None))
    assert np.array_equal(shown, shown.T)


def test_all_dominant_components_are_red(ax, records):
    record = records["sixteen"]
    assert plots.overlaid_curves(ax, record, [2, 7, 11]) is ax
    red = [line for line in ax.lines if line.get_color() == plots.ORIGIN]
    assert len(red) == 3
    assert "3 dominant" in ax.get_title()
    assert len(ax.lines) == 16 + 1  # and zero


def test_no_dominant_component_is_said(ax, records):
    assert "none is dominant" in plots.overlaid_curves(ax, records["three"], []).get_title()


def test_contours_hold_inside_their_frame(ax):
    z = codes("three")
    assert plots.contours(ax, z, Moments.of(z), 0, 2) is ax
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    for level in ax.collections[-1].get_paths():
        if len(level.vertices):
            assert (level.vertices >= (left, low)).all()
            assert (level.vertices <= (right, high)).all()
    # No ripples about zero where there are no codes.
    assert ax.collections[0].levels[0] > 0


def test_voids_are_the_records_ratios(ax, studied):
    places = studied["voids"]["places"]
    assert plots.void_gaps(ax, places) is ax
    names = list(dict.fromkeys(p["place"] for p in places))
    for series, white in zip(bars(ax), (True, False), strict=True):
        known = {p["place"]: p["ratio"] for p in places if p["whitened"] == white}
        assert series == [known[name] for name in names]


def test_a_loss_curve_has_every_epoch(ax):
    metrics = [{"epoch": k, "train_mse": 1 / k, "heldout_mse": 2 / k} for k in range(1, 5)]
    assert plots.loss_curve(ax, metrics) is ax
    assert points(ax.lines[1]).tolist() == [[m["epoch"], m["heldout_mse"]] for m in metrics]


def test_the_style_of_others_is_left_alone(ax):
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    plots.loss_curve(ax, [{"epoch": 1, "train_mse": 0.5, "heldout_mse": 0.5}])
    assert dict(mpl.rcParams) == before
    assert isinstance(ax.figure, Figure)
