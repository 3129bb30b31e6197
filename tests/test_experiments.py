# ruff: noqa: F401, F811 - fixtures are imported
"""Experiments on a trained run: every one runs, its record is true, and nothing is done twice."""

from importlib import import_module

import numpy as np
import pytest

from latentshape import sampling_plots
from latentshape.cli import main
from latentshape.errors import InputError
from latentshape.evaluation import scorecard
from latentshape.experiments import EXPERIMENTS, bench, run_series, sampling
from latentshape.experiments.bench import QUICK, Bench
from latentshape.files import write_json
from latentshape.plots import figure
from latentshape.report import write_report
from latentshape.samplers import make_sampler
from latentshape.shape import Moments, mahalanobis_squared
from tiny_run import copy, finished, read, said


@pytest.fixture
def few(monkeypatch):
    """Experiments with as few settings as show their form."""
    for name, value in {
        "CUBES": (1.0, 5.0), "CUBE_DRAWS": 24, "INTERVAL_FACTS": (0.5, 1.5), "COMPONENTS": (120,),
        "FACTS": (0.7,), "TEMPERATURES": (0.5, 1.0), "RADII": (0.5, 1.0), "STRENGTHS": (0.0, 1.0),
        "TRUNCATION_FACTS": (0.5, 1.0), "STRIP": 5,
    }.items():  # fmt: skip
        monkeypatch.setattr(sampling, name, value)
    monkeypatch.setattr(bench, "DRAWS", 2)


#: Those with ways to draw; the others have tests of their own.
OF_SAMPLING = ("cubes", "intervals", "pairwise", "truncation", "correction")


def test_every_experiment_says_what_it_asks():
    for place in EXPERIMENTS.values():
        module, _, function = place.partition(":")
        experiment = getattr(import_module(module), function)
        assert bench.question_of(experiment).endswith("?")
        assert experiment.settings()


def test_experiments_with_ways_to_draw_run_and_are_shown(few, copy, capsys):
    assert main(["series", *OF_SAMPLING, "--run", str(copy.path), "--quick"]) == 0
    printed = capsys.readouterr().out.split()
    assert [line.rsplit("/", 1)[-1] for line in printed] == [f"{name}.json" for name in OF_SAMPLING]
    assert not list(copy.series_path.glob("*.json"))  # a quick look has a folder of its own
    quick = copy.series_path / "quick"
    for name in OF_SAMPLING:
        record = read(quick / f"{name}.json")
        assert record["question"].endswith("?")
        assert record["protocol"]["n"] == 8
        for row in record["rows"]:
            for key in ("precision", "recall"):
                assert 0 <= row[key]["low"] <= row[key]["value"] <= row[key]["high"] <= 1
            assert row["gap"]["value"] >= 0
        assert (quick / f"{name}.png").stat().st_size > 0
    for path in quick.iterdir():
        path.rename(copy.series_path / path.name)
    write_report(copy)
    page = copy.report_path.read_text()
    for name in OF_SAMPLING:
        assert f"<h3>{name}</h3>" in page


def test_done_experiments_are_skipped_until_the_model_changes(few, copy, capsys):
    first = run_series(copy, ["cubes"])
    path = copy.series_path / "cubes.json"
    stamp = path.stat().st_mtime_ns
    assert run_series(copy, ["cubes"]) == first
    assert path.stat().st_mtime_ns == stamp
    assert "done already" in capsys.readouterr().err
    record = read(path)
    record["protocol"]["weights"] = "of another model"
    write_json(path, record)
    assert run_series(copy, ["cubes"]) == first
    assert path.stat().st_mtime_ns != stamp


def test_a_row_is_of_the_very_draws_that_it_names(few, copy):
    bench = Bench(copy)
    record = sampling.cubes(bench)
    moments = Moments.of(bench.z)
    z = make_sampler("cube", b=5.0).fit(bench.z).sample_at(range(24))
    radii = np.sqrt(mahalanobis_squared(z, moments))
    assert record["rows"][-1]["b"] == 5.0
    judged = make_sampler("cube", b=5.0).fit(bench.z)
    means = [np.sqrt(mahalanobis_squared(judged.sample(8, seed=k), moments)).mean() for k in (0, 1)]
    assert record["rows"][-1]["radius"] == {
        "value": pytest.approx(np.mean(means)), "low": min(means), "high": max(means)
    }  # fmt: skip
    limit = np.quantile(mahalanobis_squared(bench.z, moments), 0.99)
    assert record["rows"][-1]["within_cloud"] == pytest.approx((radii**2 <= limit).mean())


def test_strips_show_the_settings_in_the_order_of_the_rows(few, copy, monkeypatch):
    drawn = {}
    monkeypatch.setattr(sampling_plots, "save_strips", lambda rows, path: drawn.update(rows=rows))
    bench = Bench(copy)
    record = sampling.intervals(bench)
    assert [label for label, _ in drawn["rows"]] == ["fact = 0.5", "fact = 1.5"]
    assert [row["fact"] for row in record["rows"]] == [0.5, 1.5]
    z = make_sampler("intervals", fact=1.5).fit(bench.z).sample(8, seed=0)[:5]
    nearest = z[np.argmin(mahalanobis_squared(z, Moments.of(bench.z)))]
    assert np.array_equal(drawn["rows"][1][1][0], bench.pictures(nearest[None])[0])


def test_a_strip_holds_its_pictures_pixel_by_pixel():
    _, axes = figure()
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), np.uint8)
    ax = sampling_plots.strips(axes[0, 0], [("one", pixels[:3]), ("two", pixels[3:])])
    sheet = ax.images[0].get_array()
    assert [label.get_text() for label in ax.get_yticklabels()] == ["one", "two"]
    assert np.array_equal(sheet[:8, 10:18], pixels[1])
    assert np.array_equal(sheet[14:22, 10:18], pixels[4])
    assert (sheet[14:22, 20:] == 255).all()


def test_colder_draws_lie_nearer_to_the_centre(few, copy):
    rows = sampling.truncation(Bench(copy))["rows"]
    for name in ("gaussian", "ellipsoid", "pairwise-ellipse"):
        radii = [row["radius"]["value"] for row in rows if row["sampler"] == name]
        assert radii == sorted(radii)
        assert len(radii) == 2


def test_no_correction_is_no_change(few, copy):
    kept, moved, _, free = sampling.correction(Bench(copy))["rows"]
    plain = sampling.truncation(Bench(copy))["rows"][1]
    assert plain["temperature"] == 1
    assert kept["strength"] == 0
    for key in ("gap", "precision", "recall", "radius"):
        assert kept[key] == plain[key]
    assert moved["radius"]["value"] == pytest.approx(kept["radius"]["value"], rel=1e-4)
    assert free["radius"]["value"] < 0.95 * kept["radius"]["value"]


def test_a_law_that_cannot_be_fitted_says_why_and_stops_nothing(few, copy, monkeypatch):
    monkeypatch.setattr(sampling, "TRUNCATION_FACTS", (-1.0, 1.0))
    rows = sampling.truncation(Bench(copy))["rows"]
    refused = [row for row in rows if "why" in row]
    assert [row["fact"] for row in refused] == [-1.0]
    assert "fact must be a finite number above 0" in refused[0]["why"]
    assert (copy.series_path / "truncation.png").exists()


def test_another_grid_is_another_experiment(few, copy, monkeypatch):
    first = run_series(copy, ["cubes"])["cubes"]
    monkeypatch.setattr(sampling, "CUBES", (2.0,))
    assert [row["b"] for row in run_series(copy, ["cubes"])["cubes"]["rows"]] == [2.0]
    assert [row["b"] for row in first["rows"]] == [1.0, 5.0]


def test_published_numbers_of_components_scale_with_the_dimension():
    assert sampling.scaled_components(256) == [50, 75, 105, 120]
    assert sampling.scaled_components(16) == [3, 5, 7, 8]
    assert sampling.scaled_components(1) == [1]


def test_quick_judges_no_more_than_it_says(finished):
    assert Bench(finished, quick=True).config_n() <= QUICK


def test_bad_input_is_a_sentence(finished, tmp_path, capsys):
    with pytest.raises(InputError, match="did you mean 'truncation'"):
        run_series(finished, ["trunkation"])
    assert main(["series", "cubes", "--run", str(tmp_path / "none")]) == 2
    assert "There is no run folder" in said(capsys)


def test_a_run_without_codes_says_what_to_do(copy, capsys):
    copy.codes_path.rename(copy.path / "elsewhere")
    assert main(["series", "cubes", "--run", str(copy.path)]) == 2
    assert "latentshape encode" in said(capsys)


def test_faces_are_looked_for_in_the_first_pictures_of_a_draw_alone(copy, monkeypatch):
    judge = bench.Bench(copy).judge
    judge.detector, judge.no_faces = object(), None
    monkeypatch.setattr(scorecard, "FACES", 5)
    monkeypatch.setattr(
        scorecard, "finds_face", lambda pixels, detector: pixels.mean((1, 2, 3)) > 9
    )
    dark = np.zeros((4, 32, 32, 3), np.uint8)
    seen = judge.look([dark, dark + 90], faces=True)
    assert seen.faces.tolist() == [False] * 4 + [True]
    assert seen.n == 8
    assert judge.face_rate(seen)["n"] == 5
