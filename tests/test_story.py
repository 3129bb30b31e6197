# ruff: noqa: F401, F811 - fixtures are imported
"""The whole story: faces in, faces out, a report; in one command, or verb by verb."""

import base64
import html.parser
import json
import math
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from latentshape.cli import main
from latentshape.evaluation.recommendation import recommend
from latentshape.runs import RunFolder
from latentshape.samplers import SAMPLERS, load_sampler
from tiny_run import HURRY, contents, copy, finished, hurry, read, tiny_config, words

STAGES = ("train", "encode", "analyze", "evaluate", "report")
ARTEFACTS = {
    "config.json", "dataset.json", "stages.json", "metrics.jsonl", "model.safetensors",
    "checkpoints/last.safetensors", "shape.json", "scorecard.json", "report.html",
    "codes/index.json",
    *(f"codes/{split}{end}" for split in ("train", "validation", "test")
      for end in (".npy", ".ids.npy", ".attributes.npy", ".columns.safetensors")),
    *(f"samplers/{name}{end}" for name in SAMPLERS for end in (".json", ".safetensors")),
    *(f"samples/{name}.png" for name in (*SAMPLERS, "real", "reconstruction")),
}  # fmt: skip
#: What holds the clock, or is drawn from what does.
CLOCKED = ("stages.json", "metrics.jsonl", "report.html", "checkpoints/last.safetensors")


def test_one_command_ends_with_every_artefact(finished):
    there = set(contents(finished.path))
    assert there >= ARTEFACTS
    others = there - ARTEFACTS - {"samples/nearest.png"}
    assert all(name.startswith("figures/") and name.endswith(".png") for name in others)
    assert {f"figures/{name}.png" for name in ("loss", "spectrum")} <= there


def test_the_same_command_skips_everything_and_changes_nothing(finished, capsys):
    before = contents(finished.path)
    times = {p: p.stat().st_mtime_ns for p in finished.path.rglob("*")}
    assert main(["run", "--out", str(finished.path), *words()]) == 0
    assert contents(finished.path) == before
    assert {p: p.stat().st_mtime_ns for p in finished.path.rglob("*")} == times
    assert "gaussian" in capsys.readouterr().out


def test_verb_by_verb_gives_the_same_artefacts(finished, tmp_path):
    """In a process of its own, as a user would."""
    environment = os.environ | {"PYTHONWARNINGS": "error"}
    script = (
        HURRY
        + "import sys, json; from latentshape.cli import main\n"
        + ("for words in json.loads(sys.argv[1]): assert main(words) == 0, words")
    )
    out = str(tmp_path / "run")
    commands = [["train", "--out", out, *words()]] + [
        [verb, out] for verb in ("encode", "analyze", "evaluate", "report")
    ]
    done = subprocess.run(
        [sys.executable, "-c", script, json.dumps(commands)],
        env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    mine, theirs = contents(tmp_path / "run"), contents(finished.path)
    assert mine.keys() == theirs.keys()
    for name in theirs:
        if name not in CLOCKED:
            assert mine[name] == theirs[name], name


def test_every_json_is_strict_and_the_numbers_agree(finished):
    for path in finished.path.rglob("*.json"):
        read(path)
    config, shape = read(finished.config_path), read(finished.shape_path)
    dataset, card = read(finished.dataset_path), read(finished.scorecard_path)
    assert config == tiny_config().to_dict()
    assert dataset["images"] == 200 == sum(dataset["splits"].values())
    assert shape["n"] == dataset["splits"]["train"]
    assert shape["d"] == 5 == len(shape["components"])
    z = np.load(finished.codes_path / "train.npy").astype(np.float64)
    assert [c["mean"] for c in shape["components"]] == pytest.approx(z.mean(0).tolist(), rel=1e-5)
    metrics = finished.metrics()
    assert [line["epoch"] for line in metrics] == [1, 2]
    assert all(math.isfinite(line["heldout_mse"]) for line in metrics)
    assert set(card["rows"]) > set(SAMPLERS)


def test_each_stage_keeps_its_wall_time_and_its_versions(finished):
    stages = read(finished.stages_path)
    assert list(stages) == ["data", *STAGES]
    for entry in stages.values():
        assert entry["finished"] is True
        assert entry["seconds"] > 0
        assert entry["versions"]["torch"]
    assert stages["train"]["precision"] == "fp32"
    assert stages["train"]["threads"] >= 1
    assert stages["train"]["steps"] == finished.metrics()[-1]["step"]


def test_the_saved_samplers_draw_the_pictures_that_are_shown(finished):
    for name in SAMPLERS:
        sampler = load_sampler(finished.samplers_path / name)
        assert sampler.name == name
        assert sampler.sample_at(range(3)).shape == (3, 5)
        with Image.open(finished.samples_path / f"{name}.png") as sheet:
            assert sheet.size[0] >= 8 * 32


class Links(html.parser.HTMLParser):
    """Everything a page loads or points to, and its words."""

    def __init__(self):
        super().__init__()
        self.sources, self.links, self.words = [], [], []

    def handle_starttag(self, tag, attributes):
        for key, value in attributes:
            if key in ("src", "srcset", "poster", "data", "action"):
                self.sources.append(value)
            elif key in ("href", "xlink:href"):
                self.links.append(value)

    def handle_data(self, data):
        self.words.append(data)


def test_the_report_is_one_file_that_shows_every_figure_and_every_sampler(finished):
    text = finished.report_path.read_text(encoding="utf-8")
    page = Links()
    page.feed(text)
    assert all(source.startswith("data:") for source in page.sources)
    assert all(link.startswith("#") for link in page.links)
    assert "@import" not in text
    assert "url(http" not in text
    embedded = {base64.b64decode(s.split(",", 1)[1]) for s in page.sources if "base64," in s}
    for picture in [*finished.figures_path.glob("*.png"), *finished.samples_path.glob("*.png")]:
        assert picture.read_bytes() in embedded, picture.name
    words_shown = " ".join(page.words)
    for name in (*SAMPLERS, "real", "reconstruction"):
        assert name in words_shown
    for stage in STAGES:
        assert stage in words_shown
    assert "{{" not in text
    assert not re.search(r"\bNone\b(?! is picked)", words_shown)
    assert "nan" not in words_shown.lower().split()


@pytest.mark.parametrize(
    "kept", [*([name] for name in SAMPLERS), ["cube", "gaussian"]], ids=" ".join
)
def test_whichever_samplers_were_judged_there_is_a_report_and_a_card(kept, copy, tmp_path):
    card = read(copy.scorecard_path)
    card["rows"] = {n: row for n, row in card["rows"].items() if n not in SAMPLERS or n in kept}
    card["recommendation"] = recommend(card["rows"])
    copy.scorecard_path.write_text(json.dumps(card), encoding="utf-8")
    for name in set(SAMPLERS) - set(kept):
        (copy.samples_path / f"{name}.png").unlink()
    assert main(["report", str(copy.path)]) == 0
    page = copy.report_path.read_text(encoding="utf-8")
    assert all(name in page for name in kept)
    assert main(["export", str(copy.path), "--pretrained", str(tmp_path / "shared")]) == 0


def test_a_report_without_a_scorecard_is_made_of_what_is_there(copy):
    copy.scorecard_path.unlink()
    copy.metrics_path.unlink()
    for picture in copy.samples_path.glob("*.png"):
        picture.unlink()
    assert main(["report", str(copy.path)]) == 0
    assert "spectrum" in copy.report_path.read_text(encoding="utf-8").lower()


def test_grey_pictures_from_a_folder_without_attributes_go_all_the_way(tmp_path, monkeypatch):
    """Other channels, another side, batch norm, no attributes, and images with 16-bit and alpha."""
    hurry(monkeypatch)
    rng = np.random.default_rng(0)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(130):
        coarse = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
        picture = coarse.resize((40 + i % 3, 44))
        picture.convert("RGBA" if i % 5 == 0 else "RGB").save(folder / f"{i:03d}.png")
    out = tmp_path / "run"
    options = words(data=str(folder), size=28, channels=1, filters=(3, 4), batch_norm=True, n=5)
    assert main(["run", "--out", str(out), *options]) == 0
    run = RunFolder(out)
    known = {name for name in ARTEFACTS if "attributes" not in name and "columns" not in name}
    assert set(contents(out)) >= known
    assert not list(run.codes_path.glob("*attributes*"))
    assert read(run.dataset_path)["converted"]
    assert main(["sample", str(out), "-n", "3", "--out", str(tmp_path / "new")]) == 0
    with Image.open(tmp_path / "new" / "images" / "000000.png") as picture:
        assert picture.mode == "L"
