"""Which sampler is recommended, and why."""

import pytest

from latentshape.evaluation.recommendation import recommend


def row(gap, score=None, spread=0.2, space="random-conv"):
    entry = (
        {"value": gap, "low": gap - spread, "high": gap + spread}
        if gap is not None
        else {"value": None}
    )
    return {"gap": {space: entry}, "log_likelihood": {"value": score}}


def test_a_clear_smallest_gap_wins_whatever_the_likelihood():
    found = recommend({"gaussian": row(2.0, -100.0), "diagonal": row(9.0, -50.0)})
    assert found["value"] == "gaussian"
    assert found["level"] == ["gaussian"]
    assert "2.00 (random-conv features)" in found["why"]


def test_level_gaps_are_decided_by_held_out_likelihood():
    rows = {
        "gaussian": row(2.0, -100.0),
        "elliptical": row(2.1, -90.0),
        "diagonal": row(9.0, -50.0),
    }
    found = recommend(rows)
    assert found["value"] == "elliptical"
    assert found["level"] == ["gaussian", "elliptical"]
    for words in ("level with gaussian", "-90.0 nats", "10.0 more than the next"):
        assert words in found["why"]


def test_a_law_without_density_can_win_a_clear_gap_only():
    clear = {"copula": row(1.0), "gaussian": row(2.0, -100.0)}
    level = {"copula": row(1.9), "gaussian": row(2.0, -100.0)}
    assert recommend(clear)["value"] == "copula"
    assert recommend(level)["value"] == "gaussian"
    none = recommend({"copula": row(1.9), "gaussian": row(2.0)})
    assert none["value"] == "copula"
    assert "none gives every held-out code a density" in none["why"]


def test_memorised_codes_and_images_are_never_recommended():
    rows = {
        name: row(0.1, 0.0) for name in ("training-codes", "neighbours", "real", "reconstruction")
    }
    assert recommend({**rows, "gaussian": row(5.0, -100.0)})["value"] == "gaussian"
    assert recommend(rows) == {"value": None, "why": "no sampler was judged", "level": []}


def test_samplers_that_could_not_be_judged_are_passed_over():
    rows = {"gaussian": row(None), "diagonal": row(3.0, -1.0)}
    found = recommend(rows)
    assert found["value"] == "diagonal"
    assert found["why"].startswith("no other was judged; its gap is 3.00")


@pytest.mark.parametrize("space", ["codes", "pixel-pca"])
def test_another_space_may_count(space):
    assert recommend({"gaussian": row(1.0, space=space)}, space)["value"] == "gaussian"
    assert recommend({"gaussian": row(1.0)}, space)["value"] is None
