"""Studies: what each trains is valid, what is absent is named, and an answer tells apart what is apart."""

import importlib

import pytest

from latentshape import config
from latentshape.errors import InputError
from latentshape.experiments import STUDIES as REGISTRY
from latentshape.experiments import run_study, studies
from latentshape.experiments.cells import Grid, make_cells
from latentshape.experiments.measures import MEASURES, words
from latentshape.experiments.studies import ONE_TRAINING, STUDIES, answer, datasets, study
from latentshape.experiments.subjects import QUICK, SUBJECTS
from tiny_run import read


@pytest.fixture(autouse=True)
def nothing_there(monkeypatch, tmp_path):
    """A folder of data without any dataset; and no training, but what each would have been."""
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("LATENTSHAPE_DATA", str(tmp_path / "data"))


@pytest.fixture
def trained(monkeypatch):
    """Cells that were to be trained; every run gives the same numbers."""
    seen = []

    def run_cells(cells, out, stages, **options):
        seen.extend(cells)
        return [{"name": c.name, "run": f"runs/{c.name}", "varied": c.varied} for c in cells]

    def sweep_record(cells, rows, out, stages):
        values = {"offset_sigma": {"value": 3.0}}
        return {"fields": list(cells[0].varied), "rows": [row | {"values": values} for row in rows]}

    monkeypatch.setattr(studies, "run_cells", run_cells)
    monkeypatch.setattr(studies, "sweep_record", sweep_record)
    monkeypatch.setattr(studies, "write_sweep", lambda record, out: None)
    return seen


def test_the_registry_names_every_study():
    assert set(REGISTRY) == {*STUDIES, "comparators", "datasets"}
    for name, place in REGISTRY.items():
        module, _, function = place.partition(":")
        assert callable(getattr(importlib.import_module(module), function)), name
        if name in STUDIES:
            assert place.endswith(":study")


@pytest.mark.parametrize("quick", [False, True])
def test_every_cell_of_every_study_is_a_valid_config(quick):
    for name, each in STUDIES.items():
        assert each.question.endswith("?")
        assert set(each.subjects) <= set(SUBJECTS)
        assert all(words(measure) for measure in each.asks)
        assert {m for m in each.asks if ":" not in m} <= set(MEASURES)
        grid = each.quick if quick else each.grid
        assert set(each.quick) <= set(each.grid)
        for subject in each.subjects:
            options = studies._options(subject, quick, each.options)
            preset = options.pop("preset")
            fixed = {key: value for key, value in options.items() if key not in grid}
            cells = make_cells(Grid(grid), preset, fixed)
            assert len(cells) > 1, (name, subject)
            for cell in cells:
                config.check_config(cell.config)
                if quick:
                    assert cell.config.training.epochs == QUICK["epochs"], name
                    assert cell.config.evaluation.n == QUICK["n"]
                judged = cell.config.evaluation.sampler_names()
                assert {m.split(":")[1] for m in each.asks if ":" in m} <= set(judged)


def test_subjects_without_images_are_named_and_others_measured(trained, tmp_path):
    record = study("batch-norm", tmp_path)
    assert list(record["subjects"]) == ["faces"]
    assert set(record["not_measured"]) == {"mnist", "celeba"}
    for name, why in record["not_measured"].items():
        assert name in why
    assert record == read(tmp_path / "batch-norm.json")
    assert len(trained) == 4
    assert {(c.config.model.batch_norm, c.config.training.seed) for c in trained} == {
        (norm, seed) for norm in (False, True) for seed in (0, 1)
    }
    assert record["protocol"]["n"] == 500


def test_a_quick_look_says_how_little_it_judged(trained, tmp_path):
    record = study("resolution", tmp_path, ["faces"], quick=True)
    assert record["protocol"]["quick"] is True
    assert {record["protocol"][key] for key in ("n", "draws", "epochs")} == set(QUICK.values())
    assert {cell.config.training.epochs for cell in trained} == {QUICK["epochs"]}
    assert read(tmp_path / "quick" / "resolution.json") == record
    assert not (tmp_path / "resolution.json").exists()


def test_a_subject_that_the_study_does_not_ask_is_named(trained, tmp_path):
    record = study("maps", tmp_path, ["faces", "mnist"])
    assert record["not_measured"] == {"mnist": "maps is a study of faces."}
    with pytest.raises(InputError, match="maps is a study of faces; name one of them"):
        study("maps", tmp_path, ["mnist"])
    with pytest.raises(InputError, match="did you mean 'mnist'"):
        study("maps", tmp_path, ["minst"])
    with pytest.raises(InputError, match=r"No study is called 'map'.*'maps'"):
        run_study("map", tmp_path)
    with pytest.raises(InputError, match=r"None of the subjects could be measured.*mnist"):
        study("batch-norm", tmp_path, ["mnist"])
    assert not (tmp_path / "batch-norm.json").exists()


def test_other_people_are_never_replaced(trained, tmp_path):
    record = datasets(tmp_path)
    assert record["not_measured"]["others"] == "no other photographs were given (--others SPEC)"
    assert {cell.varied["dataset"] for cell in trained} == {"faces"}
    assert set(record["not_measured"]) == {"celeba", "mnist", "fashion-mnist", "others", "mixed"}
    trained.clear()
    record = run_study("datasets", tmp_path, ["faces", "others"], others="faces:n=60,seed=5")
    assert [cell.varied["dataset"] for cell in trained] == ["faces", "others"]
    assert trained[1].config.data.data == "faces:n=60,seed=5"
    assert not record["not_measured"]
    assert record["protocol"]["quick"] is False
    with pytest.raises(InputError, match="did you mean 'others'"):
        datasets(tmp_path, ["other"])
    with pytest.raises(InputError, match="None of the datasets is there"):
        datasets(tmp_path, ["others"])
    with pytest.raises(InputError, match=r"is there: .*nowhere"):
        datasets(tmp_path, ["others"], others=str(tmp_path / "nowhere"))


# --- answers --------------------------------------------------------------------------------------------


def swept(values, measure="offset_sigma", field="latent_dim", **more):
    return {"fields": [field, "seed"], "rows": [
        {"varied": {field: key, "seed": seed}, "values": {measure: {"value": value, **more}}}
        for key, seeds in values.items() for seed, value in enumerate(seeds)
    ]}  # fmt: skip


def test_settings_are_told_apart_only_where_ranges_do_not_meet():
    [sentence] = answer(swept({16: [1, 2], 64: [3, 4], 256: [2.5, 9]}), ["offset_sigma"])
    assert (
        "least with latent dim 16, 1.5 (1–2); greatest with latent dim 256, 5.75 (2.5–9)"
        in sentence
    )
    for touching in ([1, 3], [1, 2.5], [1, 8]):
        [sentence] = answer(swept({16: touching, 256: [2.5, 9]}), ["offset_sigma"])
        assert sentence.startswith("Not told apart by their ranges: origin's distance")


def test_controls_stand_beside_and_what_is_missing_is_left_out():
    [sentence] = answer(swept({16: [1], 64: [3]}, control=0.5), ["offset_sigma", "regions"])
    assert sentence.endswith("64, 3 (control 0.5).")
    assert answer(swept({16: [1, 2]}), ["offset_sigma"]) == []  # nothing to compare with
    record = swept({16: [1], 64: [3]})
    record["rows"].append({"varied": {"latent_dim": 512, "seed": 0}, "why": "it diverged"})
    assert "greatest with latent dim 64" in answer(record, ["offset_sigma"])[0]


def test_a_study_of_one_seed_says_that_its_ranges_know_of_no_other():
    record = swept({16: [1], 64: [3]})
    assert ONE_TRAINING not in answer(record, ["offset_sigma"])
    assert answer(record | {"fields": ["latent_dim"]}, ["offset_sigma"])[-1] == ONE_TRAINING


def test_large_numbers_are_whole():
    [sentence] = answer(swept({16: [1234.5], 64: [98765.4]}), ["offset_sigma"])
    assert "16, 1,234;" in sentence
    assert "64, 98,765." in sentence
