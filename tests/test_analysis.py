"""`analyze`: any array measured, the record's numbers shown where they are looked at."""

import re

import numpy as np
import pytest

import latentshape as ls
from latentshape.errors import InputError
from latentshape.shape import measure
from latentshape.shape_plots import SHEETS
from tiny_run import hurry


@pytest.fixture(scope="module")
def z():
    rng = np.random.default_rng(0)
    return (rng.standard_normal((800, 3)) * rng.gamma(4, 0.25, (800, 1)) + 2).astype(np.float32)


@pytest.fixture(scope="module")
def found(z):
    return ls.analyze(z)


def test_the_record_is_that_of_measure(found, z):
    record = dict(found)
    assert record.pop("dropped") == 0
    assert record == measure(z)
    assert len(found) == len(record) + 1


def test_whatever_holds_the_same_numbers_gives_the_same_record(z, tmp_path):
    import torch

    np.save(tmp_path / "z.npy", z)

    class Frame:  # as data frames do it
        def __array__(self, dtype=None, copy=None):
            return z

    same = [np.load(tmp_path / "z.npy", mmap_mode="r"), torch.from_numpy(z), Frame()]
    wanted = ls.analyze(z, deep=False).record
    for other in same:
        assert ls.analyze(other, deep=False).record == wanted, type(other)


def test_a_terminal_reads_each_number_beside_its_control(found):
    text = repr(found)
    m, two = found["mahalanobis"], next(r for r in found["ellipses"]["coverage"] if r["sigma"] == 2)
    assert f"{m['variance_ratio']:.2f} times a Gaussian's variance (control" in text
    assert f"control {m['control']['variance_ratio']:.2f})" in text
    assert f"{100 * two['observed']:.1f} % of codes" in text
    assert f"control {100 * two['control']:.1f} %" in text
    assert found["verdict"]["summary"] in text


def test_a_notebook_shows_facts_verdict_and_figures_and_asks_for_nothing_outside(found):
    page = found._repr_html_()
    for name in ("pairs_normal", "elliptical", "multivariate_normal", "regions", "sampler"):
        why = found["verdict"][name]["why"]
        assert why.split("'")[0].split("<")[0][:40] in page
    assert f"{found['mahalanobis']['variance_ratio']:.1f} ×" in page
    assert page.count("data:image/png;base64,") == 2
    assert not re.search(r"(src|href)=[\"'](?!data:)", page)
    assert "<script" not in page
    assert found._repr_html_() is page  # drawn once


def test_the_same_parts_stand_in_the_report(found):
    """One template of facts and verdict for both: a number cannot differ between them."""
    from latentshape.report import render

    report = (ls.report.Path(ls.report.__file__).parent / "templates/report.html").read_text()
    assert "parts.facts(shape)" in report
    assert "parts.verdict(v)" in report
    assert (
        render("analysis.html", {"shape": found.record, "dropped": 7, "pictures": {}}).count(
            "left out"
        )
        == 1
    )


def test_every_figure_by_its_name(found, z):
    for name in set(SHEETS) - {"positions"}:  # these codes have none
        assert found.figure(name).axes, name
    assert found.figure("radius")._repr_png_().startswith(b"\x89PNG")  # for notebooks
    with pytest.raises(InputError, match="nothing to show in the figure 'positions'"):
        found.figure("positions")
    with pytest.raises(InputError, match="did you mean 'radius'"):
        found.figure("radios")
    with pytest.raises(InputError, match="nothing to show"):
        ls.analyze(z, deep=False).figure("normality")


def test_saving_writes_what_the_command_line_writes(z, tmp_path, monkeypatch):
    from latentshape.cli import main

    hurry(monkeypatch)
    np.save(tmp_path / "z.npy", z)
    assert main(["analyze", str(tmp_path / "z.npy"), "--out", str(tmp_path / "a")]) == 0
    path = ls.analyze(z).save(tmp_path / "b")
    assert path.read_text() == (tmp_path / "a/shape.json").read_text()
    figures = [{p.name for p in (tmp_path / side / "figures").iterdir()} for side in "ab"]
    assert figures[0] == figures[1] == {f"{name}.png" for name in SHEETS if name != "positions"}


def test_codes_that_cannot_be_measured_are_refused(z):
    holed = z.copy()
    holed[5] = np.nan
    with pytest.raises(InputError, match="finite"):
        ls.analyze(holed, deep=False)
    left = ls.analyze(holed, deep=False, drop=True)
    assert (left["n"], left["dropped"]) == (799, 1)
    assert "1 that were not finite" in left._repr_html_()
    with pytest.raises(InputError, match="All 9 codes are equal"):
        ls.analyze(np.ones((9, 2)), deep=False)
    with pytest.raises(InputError, match="held_out must have 3 components"):
        ls.analyze(z, held_out=z[:, :2], deep=False)
    bare = ls.analyze(z[:3], deep=False)
    assert "radius      needs" in repr(bare)
    assert bare._repr_html_()
