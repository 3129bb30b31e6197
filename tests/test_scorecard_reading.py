"""The scorecard in plain words: every claim follows from ranges, and no claim is made without them."""

import copy
import json
import re

import pytest

from latentshape.evaluation.reading import reading, told
from latentshape.files import write_json
from latentshape.report import scorecard_tables, scorecard_text
from latentshape.runs import RunFolder


def entry(value, half=0.1, n=500):
    return {"value": value, "low": value - half, "high": value + half, "n": n, "draws": 5}


#: gap, precision, recall, novelty, radius, diversity: of a decoder that blurs, and laws of all kinds.
NUMBERS = {
    "real": (80.0, 0.9, 0.9, 0.95, None, 1.0),
    "reconstruction": (0.9, 0.93, 0.92, 1.0, 16.0, 1.0),
    "gaussian": (1.5, 0.92, 0.9, 1.01, 16.0, 1.0),
    "elliptical": (1.45, 0.92, 0.9, 1.01, 16.0, 1.0),
    "zero-mean": (30.0, 0.4, 0.3, 1.4, 23.0, 1.2),
    "centred": (9.0, 0.5, 0.4, 1.3, 40.0, 0.9),
    "standard-normal": (99.0, 0.1, 0.0, 1.6, 50.0, 0.5),
    "pairwise-ellipse": (20.0, 0.999, 0.3, 0.5, 9.0, 0.4),
    "training-codes": (0.85, 0.93, 0.92, 0.1, 16.0, 1.0),
}


def made_card():
    rows = {}
    for name, (gap, precision, recall, novelty, radius, diversity) in NUMBERS.items():
        rows[name] = {
            "gap": {"random-conv": entry(gap)},
            "frechet": {"random-conv": entry(3.0 if name == "real" else 50.0 + gap)},
            "precision": entry(0.9 if name == "real" else 0.0, 0.01),
            "sampler_precision": entry(precision, 0.005),
            "sampler_recall": entry(recall, 0.01),
            "novelty": entry(novelty, 0.02),
            "diversity": entry(diversity, 0.01),
            "radius": entry(radius) if radius else {"value": None, "why": "no codes"},
            "face_rate": entry(0.1 if gap > 25 and name != "real" else 0.97, 0.02),
            "log_likelihood": {"value": None, "why": "none"},
        }
    held = {"distance": 10.0, "radius": 16.0, "n": 500}
    copied = {"gaussian": 0.012, "elliptical": 0.004, "training-codes": 1.0}
    return {
        "n": 500, "draws": 5, "seed": 0,
        "features": {"random-conv": {"comparable_with": "x", "between_equals": {"gap": 0.8}}},
        "held_out": {"validation": 2000, "test": 2000},
        "novelty": {"n": 500, "held_out": held, "rows": {k: {"copies": v} for k, v in copied.items()}},
        "rows": rows,
    }  # fmt: skip


def sentence(card, begin):
    found = [said for said in reading(card) if said.startswith(begin)]
    assert len(found) == 1, (begin, reading(card))
    return found[0]


def test_the_nearest_sampler_is_named_with_those_its_range_meets():
    said = sentence(made_card(), "The nearest")
    assert "is elliptical, with a gap of 1.45 (1.35–1.55); level with it is gaussian." in said
    assert "above the floor, 0.90 (0.80–1.00)" in said
    apart = made_card()
    apart["rows"]["gaussian"]["gap"]["random-conv"] = entry(1.7)
    assert "below every other's (next: gaussian, 1.70 (1.60–1.80))" in sentence(
        apart, "The nearest"
    )


def test_a_yardstick_is_never_the_nearest_sampler():
    card = made_card()
    assert "training-codes" not in sentence(card, "The nearest").split(".")[0]
    assert "decoded codes of training images, 0.85" in sentence(card, "The nearest")


@pytest.mark.parametrize(
    ("centre", "covariance", "verdict"),
    [
        (30.0, 9.0, "the centre matters more"),
        (9.0, 30.0, "the covariance matters more"),
        (30.0, 30.05, "both matter, neither clearly more"),
        (1.55, 30.0, "only the covariance matters here"),
        (30.0, 1.55, "only the centre matters here"),
        (1.55, 1.45, "neither matters here beyond what the draws' ranges allow"),
    ],
)
def test_centre_and_covariance_are_told_apart_where_ranges_do_not_meet(centre, covariance, verdict):
    card = made_card()
    card["rows"]["zero-mean"]["gap"]["random-conv"] = entry(centre)
    card["rows"]["centred"]["gap"]["random-conv"] = entry(covariance)
    assert sentence(card, "Centre or covariance?").endswith(f": {verdict}.")


def test_the_floor_stands_beside_what_chance_alone_would_give():
    said = sentence(made_card(), "The floor")
    assert "0.90 (0.80–1.00)" in said
    assert "n = 500 would be about 0.80 apart by chance" in said
    whole = made_card()
    whole["held_out"]["validation"] = 500
    assert "too narrow for comparisons" in sentence(whole, "The floor")
    assert "the floor" not in sentence(whole, "The nearest")


def test_blur_is_laid_at_the_decoders_door():
    assert "decoder's blur" in sentence(made_card(), "Among real images")
    sharp = made_card()
    sharp["rows"]["reconstruction"]["precision"] = entry(0.85, 0.01)
    assert not [said for said in reading(sharp) if said.startswith("Among real images")]


def test_memory_is_told_from_chance_and_from_cold_draws():
    card = made_card()
    said = sentence(card, "Memory")
    assert "training-codes 100% (99%–100%)" in said
    assert "gaussian" not in said  # 6 of 500 where 5 are to be expected
    pictures = sentence(card, "Pictures nearer")
    assert "training-codes 0.10 (0.08–0.12), pairwise-ellipse 0.50 (0.48–0.52), drawn nearer" in (
        pictures
    )
    honest = made_card()
    honest["novelty"]["rows"].pop("training-codes")
    assert "of no sampler" in sentence(honest, "Memory")


def test_truncation_says_what_it_bought_and_what_it_cost():
    said = sentence(made_card(), "Truncation")
    assert "pairwise-ellipse (radius 9.0 (8.9–9.1)): more typical (precision 1.00" in said
    assert "less of the variety (recall 0.30 (0.29–0.31) against 0.92 (0.91–0.93))" in said
    assert "gaussian" not in said
    warm = made_card()
    warm["rows"]["pairwise-ellipse"]["radius"] = entry(16.0)
    assert not [s for s in reading(warm) if s.startswith("Truncation")]


def test_a_collapsed_law_is_named_for_its_lack_of_variety():
    assert "pairwise-ellipse 0.40 (0.39–0.41)" in sentence(made_card(), "Variety")


def test_without_several_draws_no_two_rows_are_told_apart():
    card = made_card() | {"draws": 1}
    assert reading(card) == [
        "One draw a row was judged: there are no ranges, so no two rows are told apart."
    ]


def test_no_rate_is_told_where_none_was_measured_and_the_reason_is():
    card = made_card()
    for row in card["rows"].values():
        row["face_rate"] = {"value": None, "why": "no faces to count"}
    assert sentence(card, "Face rates").endswith("no faces to count.")
    card["rows"]["flow"] = {"gap": {"random-conv": {"value": None, "why": "needs the extra flow."}}}
    assert "flow was not judged: needs the extra flow." in reading(card)
    card["features"]["random-conv"]["note"] = "8 pictures for 192 dimensions"
    assert "In random-conv features: 8 pictures for 192 dimensions." in reading(card)


def test_every_number_of_a_comparison_has_a_range():
    """Of every sentence that tells rows apart, no gap, rate or share stands alone."""
    for said in reading(made_card()):
        if said.startswith(
            ("Centre", "The nearest", "Faces", "Variety", "Pictures", "The decoder")
        ):
            numbers = re.findall(r"(?<![\d.–(])\d+\.\d+(?![\d)–])", said)
            alone = [x for x in numbers if f"{x} (" not in said]
            assert not alone, said


@pytest.mark.parametrize("gone", ["novelty", "diversity", "radius", "precision", "face_rate"])
def test_columns_that_an_earlier_version_did_not_write_are_passed_over(gone, tmp_path):
    card = made_card()
    for row in card["rows"].values():
        row.pop(gone)
    card.pop("held_out")
    card["features"] = {"random-conv": {"comparable_with": "x"}}
    assert reading(card)
    assert not any(gone in table["columns"] for table in scorecard_tables(card)[1:])
    run = RunFolder(tmp_path)
    write_json(run.scorecard_path, card)
    assert "gap random-conv" in scorecard_text(run)


def test_the_reading_only_reads():
    card = made_card()
    before = copy.deepcopy(card)
    assert reading(card) == reading(json.loads(json.dumps(card)))
    assert card == before


def test_tables_have_a_cell_for_every_column_and_a_range_where_there_is_one():
    tables = scorecard_tables(made_card())
    assert len(tables) == 3
    for table in tables:
        assert sum(count for _, count in table["groups"]) == len(table["columns"])
        for _, cells in table["rows"]:
            assert len(cells) == len(table["columns"])
    alone = dict(tables[0]["rows"])
    assert alone["gaussian"][1] == ("1.50", "1.40 – 1.60")
    law = dict(tables[2]["rows"])
    assert law["real"][1] == ("–", "")


def test_an_entry_without_a_range_is_told_without_one():
    assert told(entry(250.0, 0.0)) == "250"
    assert told(entry(1234.5, 100), 1) == "1,234 (1,134–1,334)"
