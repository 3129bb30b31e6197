# ruff: noqa: F401, F811 - fixtures are imported
"""The whole series: one page of all claims, made step by step, never twice, with a reason for each gap."""

import html
import re
import shutil

import pytest

from latentshape import experiments
from latentshape.cli import main
from latentshape.errors import InputError
from latentshape.experiments import series as module
from latentshape.experiments import subjects
from latentshape.experiments.bench import Bench
from latentshape.experiments.claims import CLAIMS, STATUSES, UNMEASURED, Claim
from latentshape.experiments.series import (
    POSTS,
    SITES,
    series_markdown,
    series_record,
    the_series,
    write_series,
)
from latentshape.files import write_json
from latentshape.runs import RunFolder
from tiny_run import TINY, copy, finished, read, said

MADE = {"question": "Was it made?", "rows": [{"b": 1.0, "why": "not judged in this test"}]}


def made(bench):
    """Was it made?"""
    calls.append((bench.run.path.name, "made"))
    return MADE


def refusing(bench):
    """Does it refuse?"""
    calls.append((bench.run.path.name, "refusing"))
    raise InputError("These images know nothing of <hair>.")


def broken(bench):
    """Is there a defect?"""
    raise ZeroDivisionError("a defect")


def study_of(out, wanted, *, quick=False, jobs=1):
    """Is a study a study?"""
    calls.append(("study", tuple(wanted), quick, jobs))
    record = {"question": "Is a study a study?", "answer": {"faces": ["yes & no."]}, "subjects": {}}
    write_json(out / ("quick" if quick else "") / "batch-norm.json", record)
    return record


calls = []


@pytest.fixture
def small(monkeypatch, tmp_path, finished):
    """A series of seconds: the tiny run in place of a training, two experiments, one study."""
    calls.clear()
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("LATENTSHAPE_DATA", str(tmp_path / "data"))
    known = {
        "celeba": {"preset": "celeba-64", "data": "celeba"},
        "faces": {"preset": "faces-64", **TINY},
    }
    for place in (module, subjects):
        monkeypatch.setattr(place, "SUBJECTS", known)
    monkeypatch.setattr(module, "QUICK", {"epochs": 2})
    monkeypatch.setattr(module, "QUICK_FACES", TINY["data"])
    own = {"cubes": f"{__name__}:made", "attributes": f"{__name__}:refusing"}
    for place in (module, experiments):
        monkeypatch.setattr(place, "EXPERIMENTS", own)
        monkeypatch.setattr(place, "STUDIES", {"batch-norm": f"{__name__}:study_of"})

    def run_all(config, path):
        calls.append(("run", path.name, config.training.epochs, config.training.snapshots))
        if not path.exists():
            shutil.copytree(finished.path, path)
        return RunFolder(path)

    monkeypatch.setattr(module, "run_all", run_all)
    return tmp_path / "out"


def text_of(page):
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def test_the_command_writes_one_page_with_every_claim(small, capsys):
    assert main(["series", "--out", str(small), "--quick", "--jobs", "2"]) == 0
    place = small / "quick"
    assert capsys.readouterr().out.strip() == str(place / "series.html")
    # The run is a new one, with snapshots before its last epoch only.
    assert calls == [
        ("run", "faces", 2, (1,)), ("faces", "made"), ("faces", "refusing"), ("study", ("faces",), True, 2)
    ]  # fmt: skip
    record = read(place / "series.json")
    assert [claim["id"] for claim in record["claims"]] == [claim.id for claim in CLAIMS]
    for claim in record["claims"]:
        assert {"id", "post", "claim", "said", "status", "why", "numbers"} == set(claim)
        assert set(claim["status"]) == {"faces"}
        assert claim["status"]["faces"] in STATUSES
        assert claim["why"]["faces"]
    assert record["quick"] is True
    assert record["refused"] == {"faces": {"attributes": "These images know nothing of <hair>."}}
    page = (place / "series.html").read_text()
    words, markdown = text_of(page), (place / "series.md").read_text()
    for claim in record["claims"]:
        assert f'id="{claim["id"]}"' in page
        for shown in (words, " ".join(markdown.split())):
            assert claim["claim"] in shown
            assert " ".join(claim["why"]["faces"].split()) in shown
    for shown in (words, markdown):
        assert "Ralph Mönchmeyer" in shown
        assert all(site.split("//")[1] in shown for site in SITES)
        assert "Is a study a study?" in shown
        assert "es & no." in shown
        assert "attributes is not measured (faces): These images know nothing of <hair>." in shown
    for post in {claim.post.split(",")[0] for claim in CLAIMS}:
        assert f'<h2 id="post-{post}">' in page
        assert POSTS[post] in words
    # Self-contained: every link leads into the page or to the author's sites.
    links = re.findall(r'(?:href|src)="([^"]*)"', page)
    assert {link for link in links if not link.startswith(("#", "data:"))} == set(SITES)
    assert all(f'id="{link[1:]}"' in page for link in links if link.startswith("#"))


def test_the_same_command_repeats_nothing(small):
    the_series(small, quick=True)
    calls.clear()
    the_series(small, quick=True)
    assert ("faces", "made") not in calls
    assert ("faces", "refusing") in calls  # it may have what it needs by now


def test_killed_half_way_it_leaves_a_page_and_goes_on(small, monkeypatch):
    def killed(bench):
        """Was it killed?"""
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setitem(globals(), "refusing", killed)
        with pytest.raises(KeyboardInterrupt):
            the_series(small, ["faces"])
    page = text_of((small / "series.html").read_text())
    assert all(claim.claim in page for claim in CLAIMS)
    assert "Is a study a study?" not in page
    calls.clear()
    the_series(small, ["faces"])
    assert [call[1] for call in calls if call[0] == "faces"] == ["refusing"]
    assert "Is a study a study?" in (small / "series.html").read_text()


def test_a_defect_is_not_swallowed(small, monkeypatch):
    monkeypatch.setitem(globals(), "refusing", broken)
    with pytest.raises(ZeroDivisionError, match="a defect"):
        the_series(small, ["faces"])


def test_a_run_that_lies_there_is_taken_as_it_is(small, finished):
    shutil.copytree(finished.path, small / "faces")
    the_series(small, ["faces"])
    assert calls[0] == ("run", "faces", finished.config().training.epochs, ())


def test_a_subject_without_images_is_named_and_the_others_go_on(small):
    the_series(small)
    record = read(small / "series.json")
    assert list(record["subjects"]) == ["faces"]
    assert list(record["not_measured"]) == ["celeba"]
    page, markdown = text_of((small / "series.html").read_text()), (small / "series.md").read_text()
    why = " ".join(record["not_measured"]["celeba"].split())
    assert f"celeba is not measured: {why}" in page
    assert f"- **celeba**: not measured. {why}" in markdown


def test_bad_subjects_are_sentences(small, capsys):
    assert main(["series", "--out", str(small), "--subjects", "face"]) == 2
    assert "did you mean 'faces'" in said(capsys)
    assert main(["series", "--out", str(small), "--subjects", "celeba"]) == 2
    assert "None of the subjects could be measured" in said(capsys)
    assert not small.exists()


def test_what_an_earlier_version_left_is_made_again_before_it_is_judged(small, finished):
    """A record that rules cannot read stops nothing as long as its experiment is still to come."""
    shutil.copytree(finished.path, small / "faces")
    old = {"protocol": {"latentshape": "0.0"}, "question": "Old?", "rows": [{"breadth": 1.0}]}
    write_json(small / "faces" / "series" / "cubes.json", old)
    the_series(small, ["faces"])
    assert read(small / "faces" / "series" / "cubes.json")["rows"] == MADE["rows"]
    # One that nothing makes again is said in the end, and the page is there all the same.
    write_json(small / "faces" / "series" / "pairwise.json", old)
    with pytest.raises(InputError, match="behind claim 'generator-truncates' are damaged"):
        the_series(small, ["faces"])
    found = {claim["id"]: claim for claim in read(small / "series.json")["claims"]}
    assert found["generator-truncates"]["status"]["faces"] == UNMEASURED
    assert "of another version" in found["generator-truncates"]["why"]["faces"]


def test_the_study_of_datasets_is_asked_about_other_people_too(small, monkeypatch):
    seen = {}
    monkeypatch.setattr(module, "STUDIES", {"datasets": "", "maps": ""})
    monkeypatch.setattr(
        module, "run_study",
        lambda name, out, wanted, **options: seen.update({name: (wanted, options["others"])}),
    )  # fmt: skip
    the_series(small, ["faces"], others="faces:n=50")
    assert seen == {
        "datasets": (["faces", "others"], "faces:n=50"),
        "maps": (["faces"], "faces:n=50"),
    }


def test_answers_that_are_the_same_for_all_stand_once(finished, tmp_path):
    runs = dict.fromkeys(("one", "two"), finished)
    record = series_record(tmp_path, runs, {})
    write_series(record, tmp_path)
    page = (tmp_path / "series.html").read_text()
    # Every claim has the same answer for one and the same run.
    assert page.count('colspan="2" data-subject="all"') == len(CLAIMS)
    assert 'data-subject="one"' not in page
    record["claims"][0]["why"]["two"] = "Something else."
    write_series(record, tmp_path)
    page = (tmp_path / "series.html").read_text()
    assert page.count('data-subject="one"') == page.count('data-subject="two"') == 1
    markdown = series_markdown(record)
    assert markdown.count("- one: ") == markdown.count("- two: ") == 1
    assert markdown.count("- all: ") == len(CLAIMS) - 1
    totals = [line for line in markdown.splitlines() if line.startswith("| ")]
    assert [line.split(" | ")[0] for line in totals[1:]] == [
        "| hold", "| hold partly", "| do not hold", "| not measured"
    ]  # fmt: skip
    counted = [int(line.split("|")[2]) for line in totals[1:]]
    assert sum(counted) == len(CLAIMS)
