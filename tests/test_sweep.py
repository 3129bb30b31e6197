# ruff: noqa: F401, F811 - fixtures are imported
"""Sweeps: every run once, every number from its file, every failure with its reason."""

import copy as copying
import csv
import inspect
import io
import math
import os
import re
import signal
import subprocess
import sys
import threading
import time
import types
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from latentshape import training
from latentshape.cli import main
from latentshape.errors import InputError
from latentshape.experiments import sweep
from latentshape.experiments.cells import Cell, Grid, make_cells
from latentshape.experiments.measures import JUDGED, MEASURES, ROWS, measured, words
from latentshape.experiments.sweep import check_stages, run_cells
from latentshape.experiments.sweep_plots import panel, save_sweep
from latentshape.experiments.sweep_record import (
    SHOWN,
    figures,
    grouped,
    run_sweep,
    sweep_csv,
    sweep_record,
    write_sweep,
)
from latentshape.files import write_json
from latentshape.plots import CONTROL, figure
from latentshape.processes import REPLACED
from latentshape.report import at
from latentshape.runs import RunFolder
from tiny_run import TINY, copy, finished, read, said
from tiny_run import words as flags

NOWHERE = "/nowhere/at/all"
#: As much of a run as training needs.
SMALL = TINY | dict(data="faces:n=80")


@pytest.fixture
def one_thread():
    """As in a worker that has one thread: then sums have the same last digits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def given(out, *grid, stages="train", **options):
    """The command line of a tiny sweep."""
    names = {word.partition("=")[0] for word in grid}
    kept = {k: v for k, v in (SMALL | options).items() if k not in names}
    shortened = flags(**kept)
    for name in names & TINY.keys():  # what varies may not be fixed as well
        place = shortened.index("--" + name.replace("_", "-"))
        del shortened[place : place + 2]
    return ["sweep", *grid, "--out", str(out), "--stages", stages, *shortened]


def traces(run):
    """What would change if a run were trained or judged again."""
    weights = run / "model.safetensors"
    ended = {name: stage["ended"] for name, stage in read(run / "stages.json").items()}
    return weights.stat().st_mtime_ns, ended


def values(record, name):
    return {row["name"]: row["values"][name]["value"] for row in record["rows"] if "values" in row}


# ---- running ---------------------------------------------------------------------------------------


def test_a_sweep_trains_every_cell_once_and_keeps_the_reason_of_one_that_fails(tmp_path, capsys):
    out = tmp_path / "out"
    call = given(out, "learning_rate=0.002,1e30,0.004", epochs=1)
    assert main(call) == 2
    printed = capsys.readouterr()
    assert printed.out.strip() == str(out / "sweep.html")
    last = printed.err.strip().splitlines()[-1]
    assert last.startswith("latentshape: 1 of 3 runs could not be finished")
    assert "learning-rate=1e+30: The loss became" in last
    record = read(out / "sweep.json")
    good, bad, other = record["rows"]
    assert "values" not in bad
    assert "lower --learning-rate" in bad["why"]
    for row, rate in ((good, 0.002), (other, 0.004)):
        run = RunFolder.open(out / row["run"])
        assert run.config().training.learning_rate == rate
        assert row["values"]["heldout_mse"]["value"] == run.metrics()[-1]["heldout_mse"]
        assert row["values"]["parameters"]["value"] == run.stages()["train"]["parameters"]
        assert set(row["values"]) == {"heldout_mse", "train_seconds", "parameters"}
    assert record["stages"] == ["train"]
    assert record["common"]["model"]["latent_dim"] == 5
    assert "learning_rate" not in record["common"]["training"]
    page = (out / "sweep.html").read_text()
    assert "1 could not be" in page
    assert "The loss became" in page

    before = {row["name"]: traces(out / row["run"]) for row in (good, other)}
    assert main(call) == 2  # the same once more: nothing is trained again
    assert {name: traces(out / "runs" / name) for name in before} == before
    assert read(out / "sweep.json")["rows"] == record["rows"]
    capsys.readouterr()
    # A grown grid keeps what it has.
    assert main(given(out, "learning_rate=0.002,0.004,0.006", epochs=1)) == 0
    assert {name: traces(out / "runs" / name) for name in before} == before
    assert len(read(out / "sweep.json")["rows"]) == 3


def test_processes_find_what_one_process_finds(tmp_path, one_thread, monkeypatch, capsys):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    grid = [f"data=faces:n=80;{NOWHERE}", "seed=0,1"]
    assert main(given(tmp_path / "one", *grid, epochs=1)) == 2
    assert main([*given(tmp_path / "two", *grid, epochs=1), "--jobs", "2"]) == 2
    one, two = (read(tmp_path / name / "sweep.json") for name in ("one", "two"))
    for row in (*one["rows"], *two["rows"]):
        assert ("why" in row) == (row["varied"]["data"] == NOWHERE)
        if "values" in row:
            assert row["values"].pop("train_seconds")["value"] > 0
            assert read(tmp_path / "two" / row["run"] / "stages.json")["train"]["threads"] == 1
    assert one == two  # to the last digit
    assert NOWHERE in two["rows"][3]["why"]
    assert len({row["values"]["heldout_mse"]["value"] for row in two["rows"][:2]}) == 2
    err = capsys.readouterr().err
    assert "[4/4]" in err
    # What a run has to say goes to its own file.
    logs = {path.stem: path.read_text() for path in (tmp_path / "two" / "logs").iterdir()}
    assert set(logs) == {row["name"] for row in two["rows"]}
    assert "epoch   1/1" in logs[two["rows"][0]["name"]]
    assert NOWHERE in logs[two["rows"][3]["name"]]


def test_a_sweep_that_was_killed_goes_on_where_it_stopped(tmp_path, monkeypatch):
    out = tmp_path / "out"
    call = given(out, "epochs=1,40")
    first, second = (out / "runs" / f"epochs={n}" for n in (1, 40))
    going = subprocess.Popen(
        [sys.executable, "-m", "latentshape", *call], stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 60
        while not (second / "metrics.jsonl").exists():
            assert going.poll() is None, "the sweep ended before it could be killed"
            assert time.monotonic() < deadline, "the second run never began"
            time.sleep(0.01)
    finally:
        going.kill()  # SIGKILL: nothing can be tidied up
        going.wait()
    assert not (out / "sweep.json").exists()
    assert not (second / "model.safetensors").exists()
    done, lines = traces(first), RunFolder(second).metrics()
    assert 1 <= len(lines) < 40
    assert main(call) == 0
    assert traces(first) == done
    resumed = RunFolder(second).metrics()
    assert len(resumed) == 40
    # The checkpoint follows the line: of what was written at most the last epoch is done again.
    assert resumed[: len(lines) - 1] == lines[:-1]
    assert set(values(read(out / "sweep.json"), "heldout_mse")) == {"epochs=1", "epochs=40"}


def test_ctrl_c_stops_the_sweep_and_the_same_command_goes_on(tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    call = given(out, "latent_dim=4,5")
    told = training.say

    def interrupt(sentence):
        told(sentence)
        if "epoch   1/2" in sentence and (out / "runs" / "latent-dim=5").exists():
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(training, "say", interrupt)
        assert main(call) == 130
    assert "Interrupted. Give the same command again" in capsys.readouterr().err
    assert len(RunFolder(out / "runs" / "latent-dim=5").metrics()) == 1
    done = traces(out / "runs" / "latent-dim=4")
    assert main(call) == 0
    assert traces(out / "runs" / "latent-dim=4") == done
    assert "epoch   1/2" not in capsys.readouterr().err  # of neither run
    assert len(values(read(out / "sweep.json"), "heldout_mse")) == 2


def some_cells(count=3):
    return make_cells(Grid({"latent_dim": list(range(2, 2 + count))}))


def test_two_sweeps_at_once_train_no_run_twice(tmp_path, monkeypatch, capsys):
    cells, began, both = some_cells(4), [], threading.Barrier(2)

    def slow(config, folder, stages):
        if not (folder / "done").exists():
            began.append(folder.name)
            time.sleep(0.05)
            folder.mkdir()
            (folder / "done").touch()

    monkeypatch.setattr(sweep, "run_all", slow)
    found = {}

    def go(name):
        both.wait()
        found[name] = run_cells(cells, tmp_path / "out")

    both_sweeps = [threading.Thread(target=go, args=(name,)) for name in "ab"]
    for thread in both_sweeps:
        thread.start()
    for thread in both_sweeps:
        thread.join()
    assert sorted(began) == sorted(cell.name for cell in cells)
    assert found["a"] == found["b"]
    assert "waiting for it" in capsys.readouterr().err


def test_without_locks_a_sweep_runs_all_the_same(tmp_path, monkeypatch):
    import filelock

    def no_locks(self, *arguments, **options):
        raise NotImplementedError

    ran = []
    monkeypatch.setattr(filelock.FileLock, "acquire", no_locks)
    monkeypatch.setattr(sweep, "run_all", lambda config, folder, stages: ran.append(folder.name))
    run_cells(some_cells(), tmp_path)
    assert ran == [cell.name for cell in some_cells()]


def test_a_defect_is_no_reason(tmp_path, monkeypatch):
    def broken(config, folder, stages):
        raise ZeroDivisionError

    monkeypatch.setattr(sweep, "run_all", broken)
    with pytest.raises(ZeroDivisionError):
        run_cells(some_cells(), tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"jobs": 0}, "jobs must be at least 1, got 0"),
        ({"jobs": -2}, "jobs must be at least 1, got -2"),
        ({"engine": "rai"}, "did you mean 'ray'"),
        ({"stages": ["anlayze"]}, "did you mean 'analyze'"),
        ({"engine": "ray"}, "needs Ray: pip install 'latentshape[ray]'"),
    ],
)
def test_bad_ways_to_run_are_refused(tmp_path, monkeypatch, options, message):
    monkeypatch.setitem(sys.modules, "ray", None)  # as if it were not installed
    monkeypatch.setattr(sweep, "run_all", lambda *a, **k: pytest.fail("something ran"))
    with pytest.raises(InputError, match=re.escape(message)):
        run_cells(some_cells(), tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_a_file_where_the_sweep_should_go_is_refused(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(InputError, match="is a file"):
        run_cells(some_cells(), tmp_path / "out")
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["latent_dims=3"], "did you mean 'latent_dim'"),
        (["latent_dim=3,4", "--latent-dim", "5"], "latent_dim is both varied and fixed (to 5)"),
        (["latent_dim=3,4", "--jobs", "0"], "jobs must be at least 1"),
        (["latent_dim=3,4", "--samplers", "gausian"], "did you mean 'gaussian'"),
        (["samplers=gaussian;gausian"], "did you mean 'gaussian'"),
        (["latent_dim=3,4", "--stages", "evalute"], "did you mean 'evaluate'"),
    ],
)
def test_bad_input_on_the_command_line_is_a_sentence(tmp_path, words, message, capsys):
    assert main(["sweep", *words, "--out", str(tmp_path / "out"), "--data", "faces:n=50"]) == 2
    assert message in said(capsys)
    assert not list((tmp_path / "out").rglob("config.json"))  # no run was begun


def test_stages_bring_what_they_build_on():
    assert check_stages([]) == ("train",)
    assert check_stages(["report"]) == ("train", "encode", "analyze", "evaluate", "report")
    assert check_stages(["analyze", "train"]) == ("train", "encode", "analyze")


class FakeRay(types.ModuleType):
    """As much of Ray as a sweep asks for, in this process; counts what goes on at once."""

    def __init__(self, going=False, fail=None):
        super().__init__("ray")
        self.going, self.fail = going, fail
        self.most = self.now = self.shut = 0
        self.exceptions = types.SimpleNamespace(
            WorkerCrashedError=type("WorkerCrashedError", (Exception,), {}),
            OutOfMemoryError=type("OutOfMemoryError", (Exception,), {}),
        )

    def is_initialized(self):
        return self.going

    def init(self, **options):
        self.going, self.settings = True, options

    def shutdown(self):
        self.going, self.shut = False, self.shut + 1

    def cluster_resources(self):
        return {"CPU": 12.0, "GPU": 3.0}

    def remote(self, **resources):
        self.resources = resources

        def decorate(function):
            def start(*arguments):
                self.now += 1
                self.most = max(self.most, self.now)
                return lambda: function(*arguments)

            return types.SimpleNamespace(remote=start)

        return decorate

    def wait(self, going):
        return going[-1:], going[:-1]  # the youngest first: results do not come in order

    def get(self, task):
        self.now -= 1
        if self.fail:
            raise getattr(self.exceptions, self.fail)
        return task()


def test_ray_gets_every_run_and_no_more_at_once_than_was_asked(tmp_path, monkeypatch, capsys):
    ray = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setenv("LATENTSHAPE_DATA", "/shared/disk")
    monkeypatch.chdir(tmp_path)
    ran = []

    def run(config, folder, stages):
        ran.append(folder)
        if folder.name == "latent-dim=3":
            raise InputError("No such data.")

    monkeypatch.setattr(sweep, "run_all", run)
    rows = run_cells(some_cells(7), Path("out"), jobs=4, engine="ray")
    assert [row["name"] for row in rows] == [f"latent-dim={d}" for d in range(2, 9)]
    assert [row.get("why") for row in rows] == [None, "No such data.", *[None] * 5]
    assert sorted(ran) == [
        tmp_path / "out" / row["run"] for row in rows
    ]  # absolute: workers stand elsewhere
    assert ray.most == 4
    assert ray.resources == {"num_cpus": 3, "num_gpus": 0.75, "max_retries": 0}
    assert ray.settings["runtime_env"]["env_vars"]["LATENTSHAPE_DATA"] == "/shared/disk"
    assert ray.shut == 1
    assert "[7/7]" in capsys.readouterr().err


def test_a_cluster_that_was_there_stays_and_a_killed_worker_is_a_sentence(tmp_path, monkeypatch):
    ray = FakeRay(going=True, fail="OutOfMemoryError")
    monkeypatch.setitem(sys.modules, "ray", ray)
    with pytest.raises(InputError, match="with fewer --jobs than 2"):
        run_cells(some_cells(), tmp_path, jobs=2, engine="ray")
    assert ray.shut == 0


def test_a_process_killed_from_outside_is_a_sentence(tmp_path, monkeypatch):
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    def killed(**options):
        def run(calls):
            next(iter(calls))
            raise TerminatedWorkerError("SIGKILL(-9)")
            yield

        return run

    monkeypatch.setattr("joblib.Parallel", killed)
    with pytest.raises(InputError, match="with fewer --jobs than 3"):
        run_cells(some_cells(), tmp_path, jobs=3)


def test_a_worker_that_is_replaced_for_its_memory_stops_nothing(tmp_path, monkeypatch):
    """Its warning, an error in these tests, would end the thread that tends the pool; then all would wait."""
    from joblib.externals.loky import process_executor

    assert REPLACED.rsplit(" ", 1)[0] in inspect.getsource(
        process_executor
    )  # its line ends before the last word

    def replaced(**options):
        def run(calls):
            for i, _ in enumerate(calls):
                warnings.warn(
                    f"{REPLACED}. This can be caused by a memory leak.", UserWarning, stacklevel=1
                )
                yield i, None

        return run

    monkeypatch.setattr("joblib.Parallel", replaced)
    assert len(run_cells(some_cells(), tmp_path, jobs=3)) == 3
    with pytest.raises(UserWarning, match="by a memory leak"):  # all others are still errors
        warnings.warn("by a memory leak", UserWarning, stacklevel=1)


# ---- measures --------------------------------------------------------------------------------------


def test_measures_are_the_numbers_of_the_runs_files(finished):
    found = measured(finished)
    shape, card, stages = (
        read(p) for p in (finished.shape_path, finished.scorecard_path, finished.stages_path)
    )
    assert found["heldout_mse"] == {"value": finished.metrics()[-1]["heldout_mse"]}
    assert found["train_seconds"] == {"value": stages["train"]["seconds"]}
    assert found["offset_sigma"] == {
        "value": shape["centre"]["offset_sigma"], "control": math.sqrt(5)
    }  # fmt: skip
    assert found["sqrt_d"]["value"] == math.sqrt(5)
    assert found["variance_ratio"] == {
        "value": shape["mahalanobis"]["variance_ratio"],
        "control": shape["mahalanobis"]["control"]["variance_ratio"],
    }
    for entry in shape["ellipses"]["coverage"]:
        if entry["sigma"] in (1, 2, 3):
            name = f"coverage_{entry['sigma']:.0f}"
            assert found[name] == {"value": entry["observed"], "control": entry["control"]}
    least = shape["normality"]["least-gaussian"]
    assert found["least_gaussian"] == {
        "value": least["effect"],
        "control": least["control"]["effect"],
    }
    z = np.load(finished.codes_path / "train.npy").astype(float)
    power = np.linalg.eigvalsh(np.cov(z.T))
    assert found["effective_dimension"]["value"] == pytest.approx(
        power.sum() ** 2 / (power**2).sum()
    )
    assert found["dominant"]["value"] == len(shape["component_summary"]["dominant"])
    for row in ("reconstruction", "gaussian", "zero-mean"):
        entry = card["rows"][row]["gap"]["random-conv"]
        assert found[f"gap:{row}"] == {key: entry[key] for key in ("value", "low", "high")}
        entry = card["rows"][row]["sampler_recall"]
        assert found[f"recall:{row}"]["value"] == entry["value"]


def test_every_measure_exists_in_a_finished_run_or_is_known_to_be_undecided(finished):
    """A key that moved would leave its column empty for ever, and nobody would see why."""
    found = measured(finished)
    assert set(MEASURES) - set(found) <= {"regions", "student_nu"}  # null where undecided
    for measure in MEASURES.values():
        if measure.control:
            name = next(n for n, m in MEASURES.items() if m is measure)
            assert name in ("regions", "student_nu") or "control" in found[name], name
    rows = read(finished.scorecard_path)["rows"]
    assert set(ROWS) <= set(rows)
    for _, path in JUDGED.values():
        assert isinstance(at(rows["gaussian"], path), dict), path
    for name in found:
        assert words(name)


def test_what_was_not_measured_is_left_out(copy):
    copy.scorecard_path.unlink()
    copy.shape_path.unlink()
    assert set(measured(copy)) == {"heldout_mse", "train_seconds", "parameters"}
    card = {"rows": {"gaussian": {"gap": {"random-conv": {"value": None, "why": "no density"}}}}}
    write_json(copy.scorecard_path, card)
    assert not [name for name in measured(copy) if ":" in name]


def test_a_damaged_record_of_a_finished_run_is_a_sentence(copy):
    copy.shape_path.write_text("{")
    with pytest.raises(InputError, match=r"shape\.json is not valid JSON"):
        measured(copy)


# ---- the record, from planted numbers --------------------------------------------------------------


def entry(value, control=None, low=None, high=None):
    parts = {"value": value, "control": control, "low": low, "high": high}
    return {key: part for key, part in parts.items() if part is not None}


def planted(rows, fields=("latent_dim", "seed")):
    """A record as a sweep writes it, of rows (varied, values or a reason)."""
    return {
        "fields": list(fields),
        "common": {"model": {"filters": [3, 4], "batch_norm": False}, "training": {"epochs": 2}},
        "stages": ["train"],
        "latentshape": "0",
        "rows": [
            {"name": f"cell-{i}", "run": f"runs/cell-{i}", "varied": varied}
            | ({"why": found} if isinstance(found, str) else {"values": copying.deepcopy(found)})
            for i, (varied, found) in enumerate(rows)
        ],
    }


THREE_SEEDS = [
    ({"latent_dim": 4, "seed": 0},
     {"heldout_mse": entry(0.2), "variance_ratio": entry(2.0, 1.0), "regions": entry(1)}),
    ({"latent_dim": 4, "seed": 1},
     {"heldout_mse": entry(0.5), "variance_ratio": entry(4.0, 1.2), "regions": entry(2)}),
    ({"latent_dim": 4, "seed": 2}, {"heldout_mse": entry(0.5), "variance_ratio": entry(9.0)}),
    ({"latent_dim": 8, "seed": 0}, {"gap:gaussian": entry(3.0, None, 2.5, 3.5), "regions": entry(1)}),
    ({"latent_dim": 8, "seed": 1}, "The loss became nan."),
    ({"latent_dim": 16, "seed": 0}, "The disk is <full>."),
]  # fmt: skip


def test_seeds_are_grouped_into_mean_least_greatest_and_mean_control():
    four, eight, sixteen = grouped(planted(THREE_SEEDS)["rows"])
    assert four["varied"] == {"latent_dim": 4}
    assert (four["seeds"], four["done"], four["why"]) == ([0, 1, 2], 3, [])
    assert four["values"]["heldout_mse"] == {"value": pytest.approx(0.4), "low": 0.2, "high": 0.5}
    assert four["values"]["variance_ratio"] == {
        "value": pytest.approx(5.0), "low": 2.0, "high": 9.0, "control": pytest.approx(1.1)
    }  # fmt: skip
    assert four["values"]["regions"] == {"value": 1.5, "low": 1, "high": 2}
    # One finished seed: the range is that of its draws, and a whole number stays one.
    assert eight["values"]["gap:gaussian"] == {"value": 3.0, "low": 2.5, "high": 3.5}
    assert figures(eight["values"]["regions"]["value"]) == "1"
    assert (eight["seeds"], eight["done"], eight["why"]) == ([0, 1], 1, ["The loss became nan."])
    assert (sixteen["done"], sixteen["values"]) == (0, {})


def test_settings_that_look_alike_are_not_grouped():
    rows = planted([({"a": 1}, {}), ({"a": True}, {}), ({"a": "1"}, {}), ({"a": [1]}, {})])["rows"]
    assert len(grouped(rows)) == 4


def test_the_csv_parses_back_to_the_very_numbers():
    record = planted(THREE_SEEDS)
    record["rows"][0]["values"]["heldout_mse"]["value"] = 0.1 + 0.2  # with all its digits
    record["rows"][4]["why"] = 'Two\nlines, "quoted"'
    lines = list(csv.DictReader(io.StringIO(sweep_csv(record))))
    assert len(lines) == len(record["rows"])
    for line, row in zip(lines, record["rows"]):
        assert line["name"] == row["name"]
        assert line["why"] == row.get("why", "")
        assert {f: int(line[f]) for f in record["fields"]} == row["varied"]
        found = {
            (name, part): float(text)
            for head, text in line.items()
            if head not in ("name", "why", *record["fields"]) and text != ""
            for name, _, part in [head.partition(".")]
        }
        assert found == {
            (name, "" if part == "value" else part): number
            for name, parts in row.get("values", {}).items() for part, number in parts.items()
        }  # fmt: skip


def page_of(record, out):
    write_sweep(record, out)
    return (out / "sweep.html").read_text(encoding="utf-8")


def cells_of(page):
    """The text of each row of the page's tables."""
    plain = [
        re.sub(r"<small>.*?</small>", "", row) for row in re.findall(r"<tr>(.*?)</tr>", page, re.S)
    ]
    return [
        [re.sub(r"<.*?>", "", cell).strip() for cell in re.findall(r"<td.*?</td>", row, re.S)]
        for row in plain
    ]


def test_the_page_has_every_group_every_reason_and_needs_no_other_file(tmp_path):
    page = page_of(planted(THREE_SEEDS), tmp_path)
    rows = cells_of(page)
    assert ["4", "3", "0.400", "5.00", "1.50"] in rows
    assert ["8", "1 of 2", "–", "–", "1"] in rows
    assert ["8", "1 of 2", "3.00"] in rows
    assert ["8", "1 of 2", "The loss became nan."] in rows
    assert ["16", "0 of 1", "The disk is &lt;full&gt;."] in rows
    assert "<small>0.200 – 0.500</small>" in page
    assert "<small>control 1.10</small>" in page
    assert "<b>Control</b> is" in page
    assert ["model.filters", "3, 4"] in rows
    assert ["model.batch_norm", "no"] in rows
    for attribute in re.findall(r'(?:src|href)\s*=\s*"(.*?)"', page):
        assert attribute.startswith("data:"), attribute[:40]
    assert "url(" not in page
    assert "@import" not in page
    assert (tmp_path / "sweep.png").read_bytes()[:4] == b"\x89PNG"
    assert read(tmp_path / "sweep.json") == planted(THREE_SEEDS)


def test_heads_stand_over_their_columns(tmp_path):
    page = page_of(planted(THREE_SEEDS), tmp_path)
    for table in re.findall(r"<table class=\"card\">(.*?)</table>", page, re.S):
        rows = re.findall(r"<tr>(.*?)</tr>", table, re.S)
        spans = [int(n) for n in re.findall(r'colspan="(\d+)"', rows[0])]
        widths = {len(re.findall(r"<t[hd]\b", row)) for row in rows[1:]}
        assert widths == {sum(spans)}


def test_a_sweep_of_which_nothing_was_finished_still_has_its_page(tmp_path):
    page = page_of(planted(THREE_SEEDS[4:]), tmp_path)
    assert "2 could not be" in page
    assert "<img" not in page
    assert not (tmp_path / "sweep.png").exists()
    assert "values" not in (tmp_path / "sweep.json").read_text()


def test_a_sweep_over_seeds_alone_is_one_line_and_shows_each_seed(tmp_path):
    rows = [({"seed": s}, {"heldout_mse": entry(v)}) for s, v in ((0, 1.0), (1, 2.0), (2, 4.5))]
    page = page_of(planted(rows, ["seed"]), tmp_path)
    assert "control" not in page.lower()  # where nothing has one
    assert ["3", "2.50"] in cells_of(page)
    assert (tmp_path / "sweep.png").exists()


def test_names_that_no_file_can_hold_are_replaced(tmp_path):
    """Bytes of a path that are no text reach Python as lone surrogates."""
    record = planted([({"data": "/photos/\udce9"}, "There is no /photos/\udce9.")], ["data"])
    record["common"]["data"] = {"data": "/photos/\udce9"}
    page = page_of(record, tmp_path)
    assert "/photos/?" in page
    assert "/photos/?" in (tmp_path / "sweep.csv").read_text(encoding="utf-8")


def test_every_shown_measure_is_one_that_is_measured():
    known = set(MEASURES) | {f"{key}:{row}" for key in JUDGED for row in ROWS}
    assert set(SHOWN) <= known
    assert len(set(SHOWN)) == len(SHOWN)


# ---- the figure ------------------------------------------------------------------------------------


def drawn(rows, name, fields):
    _, axes = figure()
    return panel(axes[0, 0], grouped(planted(rows, fields)["rows"]), name, fields)


def test_a_panel_has_a_line_for_each_combination_at_the_very_values():
    rows = [
        ({"latent_dim": d, "batch_norm": b}, {"variance_ratio": entry(d + b, 1 + b / 10)})
        for b in (False, True) for d in (16, 4, 64)
    ]  # fmt: skip
    ax = drawn(rows, "variance_ratio", ["latent_dim", "batch_norm"])
    made = {c.get_label(): c.lines[0].get_xydata().tolist() for c in ax.containers}
    assert made == {
        "batch norm no": [[4, 4], [16, 16], [64, 64]],
        "batch norm yes": [[4, 5], [16, 17], [64, 65]],
    }
    controls = [
        line.get_xydata().tolist()
        for line in ax.lines
        if line.get_linestyle() == "--" and len(line.get_xdata())
    ]
    assert controls == [[[4, 1], [16, 1], [64, 1]], [[4, 1.1], [16, 1.1], [64, 1.1]]]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["4", "16", "64"]
    assert ax.get_xscale() == "log"


def test_a_panel_of_words_names_them_and_joins_nothing():
    rows = [
        ({"model": m}, {"heldout_mse": entry(v, None, v - 1, v + 2)})
        for m, v in (("cae", 3), ("vae", 5))
    ]
    ax = drawn(rows, "heldout_mse", ["model"])
    assert [t.get_text() for t in ax.get_xticklabels()] == ["cae", "vae"]
    line, _, (bars,) = ax.containers[0]
    assert line.get_linestyle() == "None"
    assert [segment[:, 1].tolist() for segment in bars.get_segments()] == [[2, 5], [4, 7]]


def test_a_single_line_has_the_house_colour_for_its_control():
    rows = [({"latent_dim": d}, {"variance_ratio": entry(d, 1.0)}) for d in (4, 8)]
    ax = drawn(rows, "variance_ratio", ["latent_dim"])
    assert CONTROL in {line.get_color() for line in ax.lines}
    assert "Gaussian control" in ax.get_legend_handles_labels()[1]
    ax = drawn(
        [({"latent_dim": 4}, {"offset_sigma": entry(9.0, 2.0)})], "offset_sigma", ["latent_dim"]
    )
    assert "√d" in ax.get_title()  # which is no control
    assert "Gaussian control" not in ax.get_legend_handles_labels()[1]


def test_an_interval_that_begins_above_its_share_by_rounding_is_drawn(tmp_path):
    rows = [({"latent_dim": 4}, {"face_rate:gaussian": entry(0.0, None, 7e-18, 0.1)})]
    assert save_sweep(planted(rows, ["latent_dim"]), tmp_path / "a.png").exists()


def test_what_only_some_groups_have_is_drawn_of_those(tmp_path):
    rows = [*THREE_SEEDS, ({"latent_dim": 32, "seed": 0}, {})]
    ax = drawn(rows, "heldout_mse", ["latent_dim"])
    assert ax.containers[0].lines[0].get_xydata().tolist() == [[4, pytest.approx(0.4)]]
    assert save_sweep(planted(rows), tmp_path / "b.png") == tmp_path / "b.png"
