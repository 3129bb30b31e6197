"""The comparators: one scorecard for all, the same steps for each, and nothing invented."""

import re

import numpy as np
import pytest

from latentshape.cli import main
from latentshape.errors import InputError
from latentshape.experiments import comparators as module
from latentshape.experiments import run_study, subjects
from latentshape.experiments.cells import Cell
from latentshape.experiments.comparators import (
    COLUMNS,
    KINDS,
    LAWS,
    SEEDS,
    YARDSTICKS,
    Kind,
    comparator_cells,
    comparators,
    summarise,
)
from latentshape.files import write_json
from latentshape.models import load_model
from latentshape.runs import RunFolder
from latentshape.samplers import load_sampler
from tiny_run import read, said

#: Of every training here.
TINY = dict(size=32, filters=[3, 4], latent_dim=3, epochs=1, batch_size=32, precision="fp32")
FEW = ("standard-normal", "gaussian")


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """Two models, the first with two seeds, on 80 faces; one subject more, whose images are not there."""
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("LATENTSHAPE_DATA", str(tmp_path / "empty"))
    # Looking for faces would be most of the time that is spent here.
    monkeypatch.setattr(
        "latentshape.evaluation.scorecard.detector_missing", lambda: "not in this test"
    )
    known = {
        "elsewhere": {"preset": "faces-64", "data": "celeba", **TINY},
        "faces": {"preset": "faces-64", "data": "faces:n=80", **TINY},
    }
    for place in (module, subjects):
        monkeypatch.setattr(place, "SUBJECTS", known)
    monkeypatch.setattr(module, "LAWS", FEW)
    monkeypatch.setattr(module, "SEEDS", (0, 1))
    monkeypatch.setattr(
        module, "KINDS", (Kind("VAE", {"model": "vae"}), Kind("CAE", {"model": "cae"}, repeated=True))
    )  # fmt: skip
    judged = {
        "samplers": ",".join((*FEW, "training-codes")),
        "features": "random-conv",
        "n": 8,
        "draws": 2,
    }
    monkeypatch.setattr(module, "JUDGED", judged)


def test_every_model_of_a_subject_has_the_same_data_network_and_steps():
    for subject in subjects.SUBJECTS:
        cells = comparator_cells(subject)
        assert len({cell.name for cell in cells}) == len(cells)
        assert all(re.fullmatch(r"[a-z0-9=._-]+", cell.name) for cell in cells)
        first = cells[0].config
        for cell in cells:
            differing = {line.split(":")[0] for line in first.differences(cell.config)}
            assert differing <= {"model.model", "model.beta", "training.seed"}, cell.name
            assert set(LAWS) <= set(cell.config.evaluation.sampler_names())
            assert cell.config.training.seed == cell.varied["seed"]


def test_chief_models_have_several_seeds_and_come_first():
    cells = comparator_cells("faces")
    seeds = {}
    for cell in cells:
        seeds.setdefault(cell.varied["model"], []).append(cell.varied["seed"])
    assert set(seeds) == {kind.name for kind in KINDS}
    for kind in KINDS:
        assert seeds[kind.name] == list(SEEDS if kind.repeated else SEEDS[:1])
    assert [cell.varied["model"] for cell in cells[:6]] == ["CAE"] * 3 + ["VAE"] * 3
    quick = comparator_cells("faces", quick=True)
    assert [cell.varied["seed"] for cell in quick] == [0] * len(KINDS)
    assert {cell.config.training.epochs for cell in quick} == {1}


def test_end_to_end(tiny, tmp_path, capsys):
    record = comparators(tmp_path)
    assert record == read(tmp_path / "comparators.json")
    assert record["question"].endswith("?")
    # The subject without images is named, and has no row.
    assert list(record["not_measured"]) == ["elsewhere"]
    assert "celeba" in record["not_measured"]["elsewhere"]
    assert list(record["subjects"]) == ["faces"]
    assert "elsewhere is not measured" in capsys.readouterr().err
    rows = {(row["model"], row["law"]): row for row in record["rows"]}
    assert list(rows) == [(model, law) for model in ("CAE", "VAE") for law in (*YARDSTICKS, *FEW)]
    runs = {
        path.name: RunFolder(path)
        for path in (tmp_path / "comparators" / "runs").iterdir() if path.name[0] != "."
    }  # fmt: skip
    assert set(runs) == {"faces_cae_seed=0", "faces_cae_seed=1", "faces_vae_seed=0"}
    cards = {name: read(run.scorecard_path) for name, run in runs.items()}
    for (model, law), row in rows.items():
        own = [card["rows"][law] for name, card in cards.items() if f"_{model.lower()}_" in name]
        assert row["seeds"] == ([0, 1] if model == "CAE" else [0])
        assert row["n"] == 7  # as many test images as there are
        gaps = [card["gap"]["random-conv"] for card in own]
        assert row["gap.random-conv"] == {
            "value": pytest.approx(np.mean([gap["value"] for gap in gaps])),
            "low": min(gap["low"] for gap in gaps),
            "high": max(gap["high"] for gap in gaps),
        }
        assert row["gap.attributes"] is None  # that space was not asked for
        assert row["mse"]["low"] <= row["mse"]["value"] <= row["mse"]["high"]
    assert len({row["steps"] for row in rows.values()}) == 1

    # The row standard-normal of a VAE is its prior: N(0, I), whatever its codes look like.
    vae = runs["faces_vae_seed=0"]
    prior = load_sampler(vae.samplers_path / "standard-normal").sample(20_000, seed=0)
    assert np.abs(prior.mean(axis=0)).max() < 5 / np.sqrt(20_000)
    assert np.abs(np.cov(prior.T) - np.eye(3)).max() < 5 * np.sqrt(2 / 20_000)
    # Laws fitted after training are fitted to the means that the encoder gives.
    codes = np.load(vae.codes_path / "train.npy").astype(float)
    fitted = load_sampler(vae.samplers_path / "gaussian").sample(20_000, seed=0)
    assert np.allclose(
        fitted.mean(axis=0), codes.mean(axis=0), atol=5 * codes.std() / np.sqrt(20_000)
    )
    assert load_model(vae).latent_dim == 3

    stamps = {name: run.scorecard_path.stat().st_mtime_ns for name, run in runs.items()}
    assert (
        comparators(tmp_path, ["faces", "faces"])["rows"] == record["rows"]
    )  # done already, and once
    assert {name: run.scorecard_path.stat().st_mtime_ns for name, run in runs.items()} == stamps


def scorecard(folder, mse, gap, low, high, n=8, law=None):
    """A finished run of planted numbers."""
    run = RunFolder(folder)
    entry = {"value": gap, "low": low, "high": high}
    row = {
        key: {space: entry} if space else entry for key, space in COLUMNS if space != "attributes"
    }
    rows = dict.fromkeys((*YARDSTICKS, *LAWS), row)
    rows["reconstruction"] = row | {"mse": {"value": mse, "low": mse, "high": mse}}
    write_json(run.scorecard_path, {"n": n, "rows": rows | (law or {})})
    write_json(run.stages_path, {"train": {"seconds": 10.0 * gap, "steps": 7}})
    return folder


def planted(tmp_path, **laws):
    cells = [Cell(f"c{i}", {"subject": "s", "model": "CAE", "seed": i}, None) for i in range(3)]
    folders = [
        scorecard(tmp_path / "0", 0.1, 1.0, 0.5, 1.25, n=9),
        scorecard(tmp_path / "1", 0.3, 2.0, 1.5, 2.25, law=laws),
        tmp_path / "2",
    ]
    rows = [{}, {}, {"why": "The loss became nan."}]
    return list(zip(cells, rows, folders))


def test_seeds_are_summarised_and_a_failed_one_is_named(tmp_path):
    failed, *rows = summarise("s", planted(tmp_path))
    assert failed == {"subject": "s", "model": "CAE", "seeds": [2], "why": "The loss became nan."}
    assert [row["law"] for row in rows] == [*YARDSTICKS, *LAWS]
    for row in rows:
        assert row["seeds"] == [0, 1]
        assert row["n"] == 8  # the least
        assert row["gap.random-conv"] == {"value": 1.5, "low": 0.5, "high": 2.25}
        assert row["mse"] == {"value": pytest.approx(0.2), "low": 0.1, "high": 0.3}
        assert (row["train_seconds"], row["steps"]) == (15.0, 7)
        assert row["gap.attributes"] is None
        assert "why" not in row
        assert {f"{key}.{space}" if space else key for key, space in COLUMNS} <= set(row)


def test_a_law_that_one_seed_refuses_has_no_number_and_says_why(tmp_path):
    nothing = {"value": None, "why": "The flow needs zuko."}
    refused = {
        "gap": {"random-conv": nothing},
        "frechet": {"random-conv": nothing},
        "face_rate": nothing,
    }
    _, *rows = summarise("s", planted(tmp_path, flow=refused))
    by_law = {row["law"]: row for row in rows}
    assert by_law["flow"]["why"] == "The flow needs zuko."
    for key in ("gap.random-conv", "face_rate", "recall"):
        assert by_law["flow"][key] is None  # not the other seed's number alone
    assert by_law["gaussian"]["gap.random-conv"]["value"] == 1.5


def test_the_record_of_measured_subjects_is_there_when_a_later_one_is_interrupted(
    tmp_path, monkeypatch
):
    known = {
        name: {"preset": "faces-64", "data": f"faces:n={n}"} for name, n in (("a", 50), ("b", 60))
    }
    for place in (module, subjects):
        monkeypatch.setattr(place, "SUBJECTS", known)

    def run(cells, folder, stages, jobs):
        if cells[0].varied["subject"] == "b":
            raise KeyboardInterrupt
        return [{"run": "", "why": "Not here."} for _ in cells]

    monkeypatch.setattr("latentshape.experiments.sweep.run_cells", run)
    with pytest.raises(KeyboardInterrupt):
        comparators(tmp_path)
    record = read(tmp_path / "comparators.json")
    assert {row["subject"] for row in record["rows"]} == {"a"}


def test_bad_subjects_are_refused(tiny, tmp_path, capsys):
    with pytest.raises(InputError, match="did you mean 'faces'"):
        comparators(tmp_path, ["face"])
    with pytest.raises(InputError, match=r"None of the subjects could be measured: .*celeba"):
        comparators(tmp_path, ["elsewhere"])
    with pytest.raises(InputError, match="did you mean 'comparators'"):
        run_study("comparator", tmp_path)
    assert main(["series", "comparators", "--subjects", "face", "--out", str(tmp_path)]) == 2
    assert "did you mean 'faces'" in said(capsys)
    assert not list(tmp_path.rglob("*.json"))
