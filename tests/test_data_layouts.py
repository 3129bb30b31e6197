"""Procedural faces written as CelebA circulates: the files' very bytes, and the way back.

`written` makes each layout once for all modules of tests; who wants to spoil one copies it.
"""

import atexit
import functools
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from latentshape.data import faces, open_dataset
from latentshape.data.celeba import read_celeba
from latentshape.data.layouts import LAYOUTS, FaceFiles, make_faces
from latentshape.data.procedural import FaceRecipe
from latentshape.data.trees import open_tree
from latentshape.errors import InputError
from latentshape.images import decode_image

#: Forty faces: 32 to train on, 4 to validate, 4 to test.
RECIPE = FaceRecipe(n=40, seed=3)
CELEBA = ("celeba", "celeba-official", "celeba-kaggle", "celeba-wild")
TEXT_FILES = (
    "list_attr_celeba.txt", "list_eval_partition.txt", "identity_CelebA.txt",
    "list_landmarks_align_celeba.txt", "list_bbox_celeba.txt",
)  # fmt: skip

_base = tempfile.TemporaryDirectory(prefix="layouts-")
atexit.register(_base.cleanup)


def written(layout, suffix=".jpg"):
    """The folder of one layout, read only, and what was meant to be in it."""
    return _made(layout, suffix)


@functools.cache
def _made(layout, suffix):
    out = Path(_base.name) / f"{layout}{suffix}" / "celeba"
    return out, make_faces(RECIPE, layout, out, suffix=suffix)


def truth(name):
    """What is in every layout: one of the properties of FaceFiles."""
    return getattr(FaceFiles(RECIPE), name)


# --- to the blank as the originals ----------------------------------------------------------------

NAMES = " ".join(faces.ATTRIBUTES)
EYES = "lefteye_x lefteye_y righteye_x righteye_y nose_x nose_y"
MOUTH = "leftmouth_x leftmouth_y rightmouth_x rightmouth_y"


def first_lines(name, n):
    return (written("celeba")[0] / name).read_bytes().split(b"\n")[:n]


def test_attributes_are_filed_as_the_original_does():
    """``000001.jpg -1  1  1 -1``: a count, names with a blank behind, values two wide."""
    count, header, row = first_lines("list_attr_celeba.txt", 3)
    assert count == b"40"
    assert header == NAMES.encode() + b" "
    spelt = {-1: b" -1", 1: b"  1"}
    assert row == b"000001.jpg" + b"".join(spelt[v] for v in truth("attributes")[0].tolist())


def test_partition_and_identity_are_filed_as_the_original_does():
    assert first_lines("list_eval_partition.txt", 2) == [b"000001.jpg 0", b"000002.jpg 0"]
    whole = (written("celeba")[0] / "list_eval_partition.txt").read_bytes()
    assert whole.endswith(b"000036.jpg 1\n000037.jpg 2\n000038.jpg 2\n000039.jpg 2\n000040.jpg 2\n")
    assert first_lines("identity_CelebA.txt", 2) == [b"000001.jpg 1", b"000002.jpg 2"]


def test_landmarks_are_filed_as_the_original_does():
    """``000007.jpg 70  112  108  111   85``: the first as wide as it is, the others five wide."""
    count, header, row = first_lines("list_landmarks_align_celeba.txt", 3)
    assert (count, header) == (b"40", f"{EYES} {MOUTH} ".encode())
    first, *others = truth("landmarks")[0].tolist()
    assert row == f"000001.jpg {first}".encode() + b"".join(b"%5d" % v for v in others)


def test_boxes_are_filed_as_the_original_does():
    """``000001.jpg    95  71 226 313``: the first six wide, the others four."""
    count, header, row = first_lines("list_bbox_celeba.txt", 3)
    assert (count, header) == (b"40", b"image_id x_1 y_1 width height")
    assert row == b"000001.jpg    60  40 218 218"


def test_kaggles_tables_are_plain_csv():
    root = written("celeba-kaggle")[0]
    lines = (root / "list_attr_celeba.csv").read_bytes().split(b"\n")
    assert lines[0] == b"image_id," + ",".join(faces.ATTRIBUTES).encode()
    assert lines[1] == b"000001.jpg," + ",".join(map(str, truth("attributes")[0])).encode()
    lines = (root / "list_eval_partition.csv").read_bytes().split(b"\n")
    assert lines[:2] == [b"image_id,partition", b"000001.jpg,0"]
    assert not (root / "identity_CelebA.csv").exists()  # that copy has none


def test_the_official_archive_stores_its_pictures_under_a_folder():
    with zipfile.ZipFile(written("celeba-official")[0] / "Img" / "img_align_celeba.zip") as archive:
        members = archive.infolist()
    assert [m.filename for m in members] == [f"img_align_celeba/{n}" for n in truth("names")]
    assert {m.compress_type for m in members} == {zipfile.ZIP_STORED}


# --- the way back ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layout", "suffix"), [*((layout, ".jpg") for layout in CELEBA), ("celeba", ".png")]
)
def test_what_was_written_is_what_is_read(layout, suffix):
    root, files = written(layout, suffix)
    listing = read_celeba(open_tree(root))
    assert listing.ids == files.names == [f"{i:06d}{suffix}" for i in range(1, 41)]
    assert np.array_equal(listing.split, files.split)
    assert np.bincount(listing.split).tolist() == [32, 4, 4]
    assert listing.attribute_names == faces.ATTRIBUTES
    assert np.array_equal(listing.attributes, files.attributes)
    if layout != "celeba-kaggle":
        assert listing.columns["identity"].tolist() == list(range(1, 41))
    if layout != "celeba-wild":
        assert np.array_equal(listing.columns["landmarks"].reshape(40, 10), files.landmarks)
        assert listing.boxes is None  # they are of the other pictures
    else:
        assert np.array_equal(listing.boxes, files.boxes)
    assert listing.notices == []


def test_exact_pictures_come_back_exactly():
    root, _ = written("celeba", ".png")
    dataset = open_dataset(str(root), size=178, crop="centre-178")
    painted = faces.render(truth("factors"), 218)
    assert np.array_equal(dataset.pixels, painted[:, 20:198, 20:198])


def test_jpegs_come_back_as_they_are_decoded():
    root, _ = written("celeba")
    dataset = open_dataset(str(root), size=178, crop="centre-178")
    for row in (0, 39):
        whole = decode_image((root / "img_align_celeba" / dataset.ids[row]).read_bytes()).pixels
        assert np.array_equal(dataset.pixels[row], whole[20:198])


def test_landmarks_lie_where_the_eyes_are_dark():
    """Planted: pupils are darker than the skin of the same face half-way between them."""
    root, _ = written("celeba", ".png")
    dataset = open_dataset(str(root), size=178, crop="centre-178", channels=1)
    points = dataset.columns["landmarks"] - [0, 20]
    dark = 0
    for pixels, (left, right, *_) in zip(dataset.pixels[..., 0].astype(float), points):
        between = (left + right) / 2
        around = [
            pixels[int(y) - 2 : int(y) + 3, int(x) - 2 : int(x) + 3].mean()
            for x, y in (left, right, between)
        ]
        dark += max(around[:2]) < around[2]
    assert dark > 30
    assert (points[:, 0, 0] < points[:, 1, 0]).all()  # the left of the picture, as in the original


def test_a_folder_of_faces_has_its_table_beside_it():
    root, files = written("folder")
    dataset = open_dataset(str(root), size=16)
    assert dataset.kind == "folder"
    assert np.array_equal(dataset.split, files.split)
    assert dataset.attribute_names == faces.ATTRIBUTES
    assert np.array_equal(dataset.attributes, files.attributes)


# --- what is not written --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layout", "suffix", "words"),
    [
        ("celebb", ".jpg", "Unknown layout 'celebb'; did you mean 'celeba'"),
        ("celeba", ".gif", "Expected images as .jpg or .png, got '.gif'"),
        ("celeba", ".jpg", "exists and is not empty. Choose another --out"),
    ],
)
def test_bad_wishes_are_named_and_nothing_is_overwritten(tmp_path, layout, suffix, words):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("dear")
    with pytest.raises(InputError, match=words):
        make_faces(FaceRecipe(n=20), layout, tmp_path / "out", suffix=suffix)
    assert [p.name for p in tmp_path.rglob("*")] == ["out", "mine.txt"]


def test_a_write_that_dies_leaves_nothing(tmp_path, monkeypatch):
    def die(files, out):
        (out / "half").mkdir()
        raise KeyboardInterrupt

    monkeypatch.setitem(LAYOUTS, "celeba", die)
    with pytest.raises(KeyboardInterrupt):
        make_faces(FaceRecipe(n=20), "celeba", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_may_be_filled(tmp_path):
    (tmp_path / "out").mkdir()
    make_faces(FaceRecipe(n=3), "folder", tmp_path / "out")
    assert len(list((tmp_path / "out" / "images").iterdir())) == 3
