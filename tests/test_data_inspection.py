"""``latentshape data``: what is told of a dataset is true, what is made can be read, what is kept goes."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from latentshape.cli import main
from latentshape.data import SPLITS, open_dataset
from latentshape.data.faces import ATTRIBUTES, faces
from latentshape.data.inspection import contact_sheet, inspect_dataset, inspection_text
from latentshape.data.layouts import LAYOUTS, make_faces
from latentshape.data.procedural import FaceRecipe
from tiny_run import contents, said

N = 40


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """CelebA's layout, read only."""
    root = tmp_path_factory.mktemp("made") / "celeba"
    make_faces(FaceRecipe(n=N, seed=3), "celeba", root)
    return root


@pytest.fixture
def spoilt(made, tmp_path):
    """A copy with one picture in two splits, one twice in the same, one that is none, one grey."""
    root = shutil.copytree(made, tmp_path / "celeba")
    images = root / "img_align_celeba"
    shutil.copy(images / "000001.jpg", images / "000040.jpg")  # train and test
    shutil.copy(images / "000002.jpg", images / "000003.jpg")
    (images / "000005.jpg").write_bytes(b"no image")
    with Image.open(images / "000006.jpg") as image:
        image.convert("L").resize((100, 120)).save(images / "000006.jpg")
    return root


# --- inspect --------------------------------------------------------------------------------------


def test_what_is_planted_is_told(spoilt):
    facts, sheet = inspect_dataset(str(spoilt), size=32)
    assert facts["kind"] == "celeba"
    assert "img_align_celeba/" in facts["why"]
    assert (facts["listed"], facts["images"]) == (N, N - 1)
    assert facts["splits"] == {"train": 31, "validation": 4, "test": 4}
    assert facts["sizes"] == {"178x218": N - 2, "100x120": 1}
    assert facts["modes"] == {"RGB": N - 2, "L": 1}
    assert facts["converted"] == {"grey": 1}
    assert list(facts["unreadable"]) == ["000005.jpg"]
    assert facts["crop"] == "centre-140"
    assert facts["duplicates"] == {
        "copies": 2, "groups": 2, "across_splits": 1,
        "examples": facts["duplicates"]["examples"],
    }  # fmt: skip
    assert sorted(facts["duplicates"]["examples"]) == [
        ["000001.jpg", "000040.jpg"],
        ["000002.jpg", "000003.jpg"],
    ]
    assert facts["facts"]["identity"] == f"{N - 1} different, 0 unknown"
    assert facts["unusable"] is None
    assert sheet.shape == (5 * 34 - 2, 8 * 34 - 2, 3)
    assert json.loads(json.dumps(facts)) == facts


def test_rates_are_those_of_the_attributes(made):
    facts, _ = inspect_dataset(str(made), size=16)
    dataset = open_dataset(str(made), size=16)
    assert tuple(facts["attributes"]) == ATTRIBUTES
    for j, name in enumerate(ATTRIBUTES):
        rates = facts["attributes"][name]
        assert rates["all"] == pytest.approx((dataset.attributes[:, j] > 0).mean())
        for split in SPLITS:
            rows = dataset.indices(split)
            assert rates[split] == pytest.approx((dataset.attributes[rows, j] > 0).mean())
        assert rates["unknown"] == 0


def test_unknown_answers_are_counted_and_no_part_of_a_rate(spoilt):
    path = spoilt / "list_attr_celeba.txt"
    lines = path.read_text().splitlines()
    kept = [line for line in lines if not line.startswith(("000007", "000008"))]
    path.write_text("\n".join(kept) + "\n")
    rates = inspect_dataset(str(spoilt), size=16)[0]["attributes"]["Male"]
    assert rates["unknown"] == 2
    known = [
        line.split()[1 + ATTRIBUTES.index("Male")]
        for line in kept[2:]
        if not line.startswith("000005")
    ]
    assert rates["all"] == pytest.approx(np.mean([value == "1" for value in known]))


def test_what_training_would_refuse_is_described_with_the_reason(tmp_path):
    root = tmp_path / "p"
    root.mkdir()
    for i in range(12):
        (root / f"{i}.jpg").write_bytes(b"no image")
    facts, sheet = inspect_dataset(str(root))
    assert sheet is None
    assert facts["images"] == 0
    assert len(facts["unreadable"]) == 12
    assert "cannot be read" in facts["unusable"]
    assert "refused" in inspection_text(facts)
    Image.fromarray(faces([0], size=32)[0]).save(root / "a.png")
    facts, sheet = inspect_dataset(str(root))
    assert facts["images"] == 1
    assert sheet.shape == (64, 64, 3)
    assert facts["unusable"]


@pytest.mark.parametrize(
    ("n", "shape"), [(1, (8, 8)), (5, (8, 48)), (64, (78, 78)), (900, (78, 78))]
)
def test_a_contact_sheet_shows_the_first_the_last_and_the_order(n, shape):
    pixels = np.zeros((n, 8, 8, 1), np.uint8)
    pixels[:] = np.linspace(0, 200, n).astype(np.uint8)[:, None, None, None]
    sheet = contact_sheet(pixels)
    assert sheet.shape[:2] == shape
    shown = sheet[::10, ::10, 0].ravel()
    shown = shown[: min(n, 64)].astype(int)
    assert shown[0] == 0
    assert shown[-1] == (200 if n > 1 else 0)
    assert (np.diff(shown) >= 0).all()


def test_the_text_holds_every_number_a_person_looks_for(spoilt, capsys, tmp_path):
    out = tmp_path / "sheet.png"
    assert main(["data", "inspect", str(spoilt), "--size", "32", "--out", str(out)]) == 0
    text = capsys.readouterr().out
    for words in (
        "celeba, because", "39 of 40 found", "train 31, validation 4, test 4", "178x218 38",
        "000005.jpg: UnidentifiedImageError", "000001.jpg = 000040.jpg", "in more than one split",
        "Wearing_Hat",
    ):  # fmt: skip
        assert words in text, words
    with Image.open(out) as sheet:
        assert sheet.width == 8 * 34 - 2


def test_json_is_json_alone(made, capsys, tmp_path):
    words = ["data", "inspect", str(made), "--json", "--out", str(tmp_path / "s.png")]
    assert main(words) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["images"] == N


# --- make -----------------------------------------------------------------------------------------


def test_what_is_made_by_the_command_is_what_the_function_makes(made, tmp_path, capsys):
    out = tmp_path / "again"
    assert main(["data", "make", "faces:seed=3", "--n", str(N), "--out", str(out)]) == 0
    assert contents(out) == contents(made)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_read_without_a_word(layout, tmp_path):
    if layout == "celeba-parquet":
        pytest.importorskip("pyarrow")
    make_faces(FaceRecipe(n=20, seed=3), layout, tmp_path / "d", suffix=".png")
    facts, _ = inspect_dataset(str(tmp_path / "d"), size=16)
    assert facts["notices"] == []
    assert facts["images"] == 20
    assert facts["splits"] == {"train": 16, "validation": 2, "test": 2}
    assert list(facts["attributes"]) == list(ATTRIBUTES)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["celeba"], "expected faces, got 'celeba'"),
        (["faces:law=gaussien"], "did you mean 'gaussian'"),
        (["faces", "--n", "0"], "n=COUNT"),
        (["faces", "--n", "-3"], "n=NUMBER"),
        (["faces", "--layout", "kaggle"], "did you mean 'celeba-kaggle'"),
    ],
)
def test_what_cannot_be_made_is_a_sentence_and_leaves_nothing(words, expected, tmp_path, capsys):
    out = tmp_path / "d"
    assert main(["data", "make", *words, "--out", str(out)]) == 2
    assert expected in said(capsys)
    assert not out.exists()


def test_nothing_is_written_over(tmp_path, capsys):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "mine.txt").write_text("dear")
    assert main(["data", "make", "faces", "--n", "3", "--out", str(tmp_path / "d")]) == 2
    assert "is not empty" in said(capsys)
    assert (tmp_path / "d" / "mine.txt").read_text() == "dear"


# --- cache ----------------------------------------------------------------------------------------


def test_the_cache_is_listed_and_cleared_entry_by_entry(capsys, own_cache):
    for seed in (0, 1):
        open_dataset(f"faces:n=60,seed={seed}", size=16)
    (own_cache / f".{'ab' * 12}-{'0' * 16}").mkdir()  # half built
    assert main(["data", "cache"]) == 0
    text = capsys.readouterr().out
    assert text.count("60 images") == 2
    assert "faces:n=60,seed=1" in text
    assert "damaged or unfinished" in text
    assert "3 entries" in text
    key = text.split()[0]
    assert main(["data", "cache", "--clear", key[:8]]) == 0
    assert main(["data", "cache"]) == 0
    assert key not in capsys.readouterr().out.splitlines()[-3]
    assert main(["data", "cache", "--clear"]) == 0
    assert main(["data", "cache"]) == 0
    assert "0 entries, 0.0 MB" in capsys.readouterr().out
    assert len(open_dataset("faces:n=60,seed=1", size=16)) == 60


def test_unknown_keys_and_missing_words_are_sentences(capsys):
    assert main(["data", "cache", "--clear", "feed"]) == 2
    assert "no entry 'feed'" in said(capsys)
    assert main(["data", "cache", "feed"]) == 2
    assert "add --clear" in said(capsys)


def test_an_empty_cache_is_no_error(capsys, own_cache):
    assert not own_cache.exists()
    assert main(["data", "cache"]) == 0
    assert main(["data", "cache", "--clear"]) == 0
    assert "0 entries" in capsys.readouterr().out


def test_the_current_folder_can_be_filled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path / ".")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert main(["data", "make", "faces", "--n", "3", "--out", "."]) == 0
    assert len(list((tmp_path / "here" / "img_align_celeba").iterdir())) == 3
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []
