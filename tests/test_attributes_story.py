# ruff: noqa: F401, F811 - fixtures are imported
"""Pictures with what was asked for, from the command line on: drawn, counted, and looked at."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from latentshape import drawing
from latentshape.cli import main
from latentshape.codes import load_codes
from latentshape.conditional import CONDITIONAL, fit_where
from latentshape.conditions import parse_condition
from latentshape.errors import InputError
from latentshape.evaluation import attribute_features
from latentshape.evaluation.attribute_features import AttributeFeatures
from latentshape.evaluation.wishes import Witness, rate_of, ratio_of_rates
from latentshape.experiments import attributes as story
from latentshape.experiments.bench import Bench
from latentshape.facts import Facts
from latentshape.images import to_images
from latentshape.report import table
from latentshape.runs import RunFolder
from test_features_attributes import QUICK, bars
from tiny_run import copy, finished, read, said


@pytest.fixture(autouse=True)
def brief(monkeypatch):
    """The attribute network learns little, and at once."""
    monkeypatch.setattr(attribute_features, "SETTINGS", replace(QUICK, shown=640))


# --- the network's predictions ----------------------------------------------------------------------


def test_the_network_says_what_is_so_in_the_annotations_own_units():
    dataset = bars()
    network = AttributeFeatures(dataset, settings=QUICK)
    rows = dataset.indices("validation")
    found = network.predict(to_images(dataset.pixels[rows]))
    assert found.names == ("Upright", "Coin", "brightness")
    assert found.answers.tolist() == [True, True, False]
    upright = dataset.attributes[rows, 0] > 0
    assert ((found["Upright"] > 0.5) == upright).mean() > 0.95
    assert 0 <= found["Coin"].min() <= found["Coin"].max() <= 1
    true = dataset.columns["brightness"][rows]
    assert np.abs(found["brightness"] - true).mean() < 0.35 * true.std()
    assert network.skill("brightness") == network.details["numbers"]["brightness"]
    assert network.skill("Coin") == network.details["attributes"]["Coin"]


# --- the witness ------------------------------------------------------------------------------------


class Shade(nn.Module):
    """Decodes a code to a picture of one shade, its first component."""

    latent_dim = 2

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def decode(self, z):
        return z[:, :1, None, None].expand(-1, 3, 4, 4).clamp(0, 1)


class Eye:
    """Sees light where the shade is above a half."""

    def predict(self, images):
        return Facts(("Light",), images.mean((1, 2, 3)).numpy()[:, None], np.array([True]))

    def skill(self, name):
        return {"accuracy": 1.0}


def shades(*values):
    return np.array([[value, 0.0] for value in values], np.float32)


def test_rates_are_those_of_the_pictures():
    light = np.array([[1.0], [1.0], [1.0], [1.0], [0.0]])
    # Four held-out images are light, and the decoder shows it of three.
    facts = Facts(("Light",), light, np.array([True]))
    witness = Witness(Shade(), Eye(), shades(0.9, 0.8, 0.7, 0.2, 0.9), facts)
    condition = parse_condition("Light")
    drawn = witness.says(shades(*[0.9] * 9, 0.1))
    record = witness.record(condition, drawn, witness.says(shades(0.1, 0.2, 0.3, 0.9)))
    rates = [record[key] for key in ("drawn", "reconstruction", "unconditional")]
    assert [(rate["value"], rate["n"]) for rate in rates] == [(0.9, 10), (0.75, 4), (0.25, 4)]
    assert record["ratio"]["value"] == pytest.approx(1.2)
    assert record["ratio"]["low"] < 1 < 1.2 < record["ratio"]["high"]
    assert record["network"] == {"Light": {"accuracy": 1.0}}
    json.dumps(record, allow_nan=False)


def test_the_interval_of_a_ratio_holds_it_as_often_as_it_says():
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(2000):
        first, second = rng.binomial(200, 0.6) / 200, rng.binomial(300, 0.5) / 300
        found = ratio_of_rates({"value": first, "n": 200}, {"value": second, "n": 300})
        held += found["low"] <= 1.2 <= found["high"]
    assert held / 2000 == pytest.approx(0.95, abs=5 * np.sqrt(0.95 * 0.05 / 2000))


def test_where_there_is_no_rate_that_is_said():
    nobody = Facts(("Light",), np.zeros((2, 1)), np.array([True]))
    witness = Witness(Shade(), Eye(), shades(0.1, 0.9), nobody)
    drawn = witness.says(shades(0.9))
    record = witness.record(parse_condition("Light"), drawn, drawn)
    assert record["reconstruction"] == {
        "value": None, "why": "no held-out image satisfies the condition", "n": 0
    }  # fmt: skip
    assert record["ratio"]["why"] == record["reconstruction"]["why"]
    blind = ratio_of_rates({"value": 0.5, "n": 9}, {"value": 0.0, "n": 9})
    assert "none of the reconstructions" in blind["why"]
    never = rate_of(witness.says(shades(0.1)), parse_condition("Light"))
    assert ratio_of_rates(never, {"value": 0.5, "n": 9})["low"] == 0
    with pytest.raises(InputError, match="knows nothing of 'Dark'"):
        witness.record(parse_condition("Dark"), drawn, drawn)


# --- the command line -------------------------------------------------------------------------------


def test_a_wish_is_drawn_counted_and_looked_at(finished, tmp_path, capsys):
    out = tmp_path / "drawn"
    words = [
        "sample",
        str(finished.path),
        "--where",
        "Male&~Young|age>0.9",
        "-n",
        "6",
        "--seed",
        "3",
    ]
    assert main([*words, "--sampler", "gaussian", "--out", str(out)]) == 0
    record = read(out / "where.json")
    train = load_codes(finished, "train")
    male, young = (
        train.attributes[:, train.attribute_names.index(n)] > 0 for n in ("Male", "Young")
    )
    facts = Facts.of(train)
    member = (male & ~young) | (facts["age"] > 0.9)
    assert record["where"] == "(Male & ~Young) | age > 0.9"
    assert record["training"] == {"satisfying": int(member.sum()), "n": len(train.z)}
    assert record["sampler"] == "gaussian"
    assert record["drawn"]["n"] == 6
    assert record["unconditional"]["n"] == drawing.UNCONDITIONAL
    assert set(record["network"]) == {"Male", "Young", "age"}
    law = fit_where("gaussian", record["where"], train.z, facts)
    assert np.array_equal(np.load(out / "codes.npy"), law.sample_at(range(3, 9)))
    assert len(list((out / "images").iterdir())) == 6
    said_so = capsys.readouterr().err
    assert f"{member.sum():,} of {len(member):,} training images satisfy" in said_so
    assert "By the attribute network it came true in" in said_so
    # A later draw without a wish leaves no record of one.
    assert main(["sample", str(finished.path), "-n", "2", "--out", str(out)]) == 0
    assert not (out / "where.json").exists()


@pytest.fixture
def judged(copy):
    """A run whose scorecard recommends a sampler that is fitted at once."""
    card = read(copy.scorecard_path)
    card["recommendation"] |= {"value": "copula"}
    copy.scorecard_path.write_text(json.dumps(card))
    return copy


def test_the_default_law_is_the_recommended_one_and_for_small_classes_the_closed_form(judged):
    law, large = drawing.fitted_where(judged, "Male")
    assert large["sampler"] == law.name == "copula"
    oldest = float(np.sort(Facts.of(load_codes(judged, "train"))["age"])[-4])
    law, small = drawing.fitted_where(judged, f"age > {oldest}")
    assert small["sampler"] == law.name == CONDITIONAL
    assert small["training"]["satisfying"] == 3
    assert "all training images" in small["law"]


def test_without_a_scorecard_a_class_has_a_law_too(copy):
    copy.scorecard_path.unlink()
    law, record = drawing.fitted_where(copy, "Male")
    assert law.name == record["sampler"] == drawing.WHERE_SAMPLER


def test_without_the_images_nobody_looks_but_pictures_are_drawn(copy, monkeypatch, capsys):
    def gone(*_):
        raise InputError("There is nothing at 'faces'.")

    monkeypatch.setattr(drawing, "open_data", gone)
    words = ["--where", "Male", "--sampler", "gaussian", "-n", "2"]
    assert main(["sample", str(copy.path), *words]) == 0
    (folder,) = copy.samples_path.glob("where-Male-*")
    assert "nobody looked at the pictures" in read(folder / "where.json")["why"]
    assert (folder / "grid.png").stat().st_size > 0
    assert "nothing at 'faces'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--where", "Mael"], "did you mean 'Male'"),
        (["--where", "Male & ~Male"], "contradicts itself"),
        (["--where", ""], "is empty"),
        (["--where", "Male &"], "but it ends"),
        (["--where", "age"], "is a number from"),
        (["--where", "age > 7"], "holds for all"),
        (["--where", "Male", "--option", "temperature=2"], "--option goes with a named sampler"),
        (["--where", "Male", "--sampler", "conditonal"], "did you mean 'conditional'"),
        (["--sampler", "conditional"], "say with --where"),
        (["--where", "Male & age > 0.99", "--sampler", "gaussian"], "training images satisfy"),
    ],
)
def test_a_wish_that_cannot_be_met_is_refused_in_a_sentence(
    finished, tmp_path, capsys, words, sentence
):
    assert main(["sample", str(finished.path), "--out", str(tmp_path / "out"), *words]) == 2
    assert sentence in said(capsys)
    assert not (tmp_path / "out").exists()


def test_images_without_attributes_have_no_conditions(copy, capsys):
    for path in (*copy.codes_path.glob("*.attributes.npy"), *copy.codes_path.glob("*.columns.*")):
        path.unlink()
    index = read(copy.codes_path / "index.json")
    (copy.codes_path / "index.json").write_text(json.dumps({**index, "attribute_names": []}))
    assert main(["sample", str(copy.path), "--where", "Male", "-n", "2"]) == 2
    assert "no attributes and no numbers" in said(capsys)
    with pytest.raises(InputError, match="no direction of an attribute"):
        drawing.directions_of(copy)
    with pytest.raises(InputError, match="nothing is known that varies"):
        story.attributes(Bench(copy, quick=True))


def test_a_run_gives_a_slider_for_each_attribute(finished):
    directions = drawing.directions_of(finished)
    train = load_codes(finished, "train")
    assert directions.names == Facts.of(train).varying()
    assert [slider["name"] for slider in directions.sliders(train.z)] == list(directions.names)


# --- the experiment ---------------------------------------------------------------------------------


def test_the_experiment_says_where_attributes_live_and_whether_wishes_come_true(
    judged, monkeypatch
):
    monkeypatch.setattr(story, "LAWS", (CONDITIONAL, "gaussian", "training-codes"))
    monkeypatch.setattr(story, "ENOUGH_FOR_GAP", 2)
    monkeypatch.setattr(story, "NEEDED", 3)
    bench = Bench(judged, quick=True)
    record = story.attributes(bench)
    json.dumps(record, allow_nan=False)
    assert record["question"].endswith("?")
    found = [row for row in record["rows"] if "attribute" in row]
    facts = Facts.of(bench.codes("train"))
    assert [row["attribute"] for row in found] == list(facts.varying())
    for row in found:
        is_answer = facts.answers[facts.index(row["attribute"])]
        assert (row["logistic"] is None) >= (not is_answer)
        for column in ("means", "discriminant", "control"):
            if row[column] is not None:
                assert row[column]["low"] <= row[column]["value"] <= row[column]["high"]
    asked = [row for row in record["rows"] if "condition" in row]
    names = story.chosen_attributes(facts, story._held_out(bench)[1])
    assert len(names) == 4
    conditions = story.wishes(facts, names)
    assert list(dict.fromkeys(row["condition"] for row in asked)) == conditions
    assert len(conditions) == 6
    drawn = [row for row in asked if "why" not in row]
    assert {row["law"] for row in drawn} == {CONDITIONAL, "gaussian", "copula", "training-codes"}
    assert all(row["gap"] is None or row["gap"] >= 0 for row in drawn)
    for name in ("attributes", "attributes-draws"):
        assert (bench.folder / f"{name}.png").stat().st_size > 0
    columns, cells = table(record["rows"])
    assert len(cells) == len(record["rows"])
    assert "discriminant" in columns


def test_what_is_shown_is_what_is_asked_for_where_it_is_known():
    rng = np.random.default_rng(0)
    values = (rng.random((200, 5)) < [0.5, 0.5, 0.02, 0.3, 0.4]).astype(float)
    values[:, 4] = rng.random(200)
    names = ("Wavy", "Male", "Bald", "Smiling", "age")
    facts = Facts(names, values, np.array([True, True, True, True, False]))
    assert story.chosen_attributes(facts, facts) == ("Smiling", "Male", "Wavy", "age")
    asked = story.wishes(facts, ("Smiling", "age"))
    assert asked[0] == "Smiling"
    assert asked[1].startswith("age > 0.")
    assert [facts.satisfying(parse_condition(w)).sum() > 0 for w in asked] == [True] * 4
