"""The run folder: whole or not at all, one config, and a sentence for whatever is amiss."""

import json
import re

import pytest

from latentshape.config import make_config
from latentshape.errors import InputError
from latentshape.files import atomic_path, write_json
from latentshape.runs import RunFolder, versions
from tiny_run import contents


@pytest.fixture
def run(tmp_path):
    return RunFolder.create(tmp_path / "runs" / "one", make_config(epochs=3))


def test_a_new_run_holds_its_config_and_nothing_else(run):
    assert list(contents(run.path)) == ["config.json"]
    assert RunFolder.open(run.path).config() == make_config(epochs=3)
    assert run.metrics() == []
    assert run.stages() == {}


def test_the_same_config_finds_the_same_run_and_touches_nothing(run):
    (run.path / "kept.txt").write_text("mine")
    before = contents(run.path)
    again = RunFolder.create(run.path, make_config(epochs=3))
    assert again.path == run.path
    assert contents(run.path) == before


def test_another_config_is_refused_and_the_difference_named(run):
    before = contents(run.path)
    with pytest.raises(InputError, match=r"training\.epochs: 3 there, 4 now"):
        RunFolder.create(run.path, make_config(epochs=4))
    assert contents(run.path) == before


def test_another_preset_of_equal_values_is_the_same_run(run):
    same = make_config("celeba-64", **{
        key: value for section in ("data", "model", "training", "evaluation")
        for key, value in vars(getattr(make_config(epochs=3), section)).items()
    })  # fmt: skip
    assert same.preset != run.config().preset
    assert RunFolder.create(run.path, same).path == run.path


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="is a file"):
        RunFolder.create(tmp_path / "file", make_config())
    with pytest.raises(InputError, match="no run folder"):
        RunFolder.open(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_folder_of_other_things_is_left_alone(tmp_path):
    (tmp_path / "holiday.jpg").write_text("mine")
    with pytest.raises(InputError, match=r"holiday\.jpg"):
        RunFolder.create(tmp_path, make_config())
    assert list(contents(tmp_path)) == ["holiday.jpg"]


def test_an_empty_folder_becomes_a_run(tmp_path):
    assert RunFolder.create(tmp_path, make_config()).config() == make_config()


@pytest.mark.parametrize(
    "text",
    ["", "{", "null", "[]", "3", '{"model": 3}', '{"mode": {}}', '{"training": {"epochs": "many"}}',
     '{"data": {"size": 30}}', '{"model": {"filters": "64"}}', "\ud800"],
)  # fmt: skip
def test_a_corrupt_config_is_a_sentence(run, text):
    run.config_path.write_bytes(text.encode("utf-8", "surrogatepass"))
    for call in (run.config, lambda: RunFolder.open(run.path),
                 lambda: RunFolder.create(run.path, make_config(epochs=3))):  # fmt: skip
        with pytest.raises(InputError):
            call()


def test_opening_what_is_no_run_says_how_runs_are_made(tmp_path):
    with pytest.raises(InputError, match="latentshape run --out"):
        RunFolder.open(tmp_path / "nothing")
    with pytest.raises(InputError, match=r"no config\.json"):
        RunFolder.open(tmp_path)


def test_what_is_missing_names_the_command_that_makes_it(run):
    command = re.escape(f"latentshape encode {run.path}")
    with pytest.raises(InputError, match=rf"no codes.train\.npy yet\. Make it with: {command}"):
        run.need(run.codes_path / "train.npy", "encode")
    assert run.need(run.config_path, "train") == run.config_path


def test_metrics_come_back_and_damaged_ones_are_a_sentence(run):
    lines = [{"epoch": e, "train_mse": 0.1**e, "heldout_mse": 1e-17} for e in (1, 2)]
    run.write_metrics(lines)
    assert run.metrics() == lines
    run.metrics_path.write_text('{"epoch": 1}\n{"epo')
    with pytest.raises(InputError, match="is damaged"):
        run.metrics()


def test_a_stage_is_timed_and_its_facts_are_kept(run):
    with run.stage("train") as facts:
        facts["steps"] = 7
    entry = json.loads(run.stages_path.read_text())["train"]
    assert entry["finished"] is True
    assert entry["steps"] == 7
    assert entry["seconds"] >= 0
    assert entry["versions"]["torch"]
    assert run.done("train")
    assert not run.done("encode")
    assert not run.done("train", run.model_path)  # what it wrote is gone


def test_the_time_of_interrupted_attempts_adds_up_and_that_of_finished_ones_does_not(
    run, monkeypatch
):
    clock = iter([0.0, 5.0, 100.0, 102.0, 200.0, 201.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    with pytest.raises(KeyboardInterrupt), run.stage("train"):
        raise KeyboardInterrupt
    assert not run.done("train")
    assert run.stages()["train"]["seconds"] == 5
    with run.stage("train"):
        pass
    assert run.stages()["train"]["seconds"] == 7
    with run.stage("train"):
        pass
    assert run.stages()["train"]["seconds"] == 1


def test_a_full_disk_in_a_stage_does_not_hide_why_it_ended(run, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("latentshape.runs.write_json", full)
    with pytest.raises(RuntimeError, match="the cause"), run.stage("train"):
        raise RuntimeError("the cause")


def test_versions_name_what_can_change_a_number():
    assert {"python", "latentshape", "torch", "numpy", "scipy", "scikit-learn"} <= set(versions())


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "shape.json"
    write_json(path, {"n": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"n": float("nan")})

    def half():
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise OSError(28, "full")

    with pytest.raises(OSError, match="full"):
        half()
    assert contents(tmp_path) == {"shape.json": b'{\n "n": 1\n}\n'}


def test_a_stage_done_before_what_it_builds_on_counts_as_not_done(tmp_path):
    run = RunFolder.create(tmp_path / "run", make_config())
    times = {"train": 1, "encode": 3, "analyze": 2, "evaluate": 3, "report": 4}
    stages = {
        s: {"finished": True, "ended": f"2026-01-01T00:00:0{t}+0000"} for s, t in times.items()
    }
    write_json(run.stages_path, stages)
    assert [s for s in times if run.done(s)] == ["train", "encode", "evaluate", "report"]
    assert not run.done("train", run.model_path)
