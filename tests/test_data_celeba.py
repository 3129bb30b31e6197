"""CelebA in every shape in which copies of it circulate, whole, partial and damaged."""

import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentshape.data import list_dataset, open_dataset, pixels
from latentshape.data.celeba import find_celeba, read_celeba
from latentshape.data.faces import ATTRIBUTES
from latentshape.data.layouts import WILD_AT
from latentshape.data.splits import complete_split, hash_split
from latentshape.data.trees import open_tree
from latentshape.errors import InputError
from latentshape.images import decode_image, resize
from test_data_layouts import RECIPE, TEXT_FILES, truth, written

N = RECIPE.n
IMAGES = "img_align_celeba"
LISTED, PARTITION, IDENTITY, LANDMARKS, BOXES = TEXT_FILES


def copied(layout, to):
    return Path(shutil.copytree(written(layout)[0], to / "celeba", copy_function=os.link))


@pytest.fixture
def celeba(tmp_path):
    """A copy of torchvision's layout whose text files a test may spoil; its images are links."""
    root = copied("celeba", tmp_path / "data")
    for name in TEXT_FILES:
        rewrite(root / name, lambda text: text)
    return root


def rewrite(path, change):
    """Replace a file by its changed text: the file itself is linked to the original."""
    text = path.read_text()
    path.unlink()
    path.write_text(change(text))


def read(root):
    return read_celeba(open_tree(Path(root)))


def opened(root, **options):
    return open_dataset(str(root), **{"size": 16, **options})


def said(listing):
    return " | ".join(listing.notices)


# --- layouts --------------------------------------------------------------------------------------


def moved(root, *steps):
    """Rename below a root, making the folders in between."""
    for source, target in steps:
        staged = root.parent / "staged"
        (root / source).rename(staged)
        (root / target).parent.mkdir(parents=True, exist_ok=True)
        staged.rename(root / target)
    return root


def doubly(root):
    return moved(root, (IMAGES, f"{IMAGES}/{IMAGES}"))


def zipped(root, top="", rename=None):
    """Everything below a root as one archive beside it."""
    path = root.with_name("archive.zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(p for p in root.rglob("*") if p.is_file()):
            archive.write(file, f"{top}{file.relative_to(root).as_posix()}")
    return path


def stargan(root):
    """``images/`` beside the attribute file; no name of CelebA's anywhere else."""
    return moved(root, (IMAGES, "images"))


LAYOUTS = {
    "torchvision": ("celeba", lambda root: root),
    "torchvision, one above": ("celeba", lambda root: root.parent),
    "images themselves": ("celeba", lambda root: root / IMAGES),
    "doubly nested": ("celeba", doubly),
    "doubly nested, outer": ("celeba", lambda root: doubly(root) / IMAGES),
    "doubly nested, inner": ("celeba", lambda root: doubly(root) / IMAGES / IMAGES),
    "stargan": ("celeba", stargan),
    "stargan, one above": ("celeba", lambda root: stargan(root).parent),
    "official": ("celeba-official", lambda root: root),
    "official, one above": ("celeba-official", lambda root: root.parent),
    "official, Img": ("celeba-official", lambda root: root / "Img"),
    "official, the archive": ("celeba-official", lambda root: root / "Img" / f"{IMAGES}.zip"),
    "kaggle": ("celeba-kaggle", lambda root: root),
    "kaggle, outer": ("celeba-kaggle", lambda root: root / IMAGES),
    "kaggle, inner": ("celeba-kaggle", lambda root: root / IMAGES / IMAGES),
    "kaggle's archive": ("celeba-kaggle", zipped),
    "kaggle's archive, in a folder": ("celeba-kaggle", lambda root: zipped(root, "archive/")),
    "stargan's archive": ("celeba", lambda root: zipped(stargan(root))),
}  # fmt: skip


@pytest.mark.parametrize(("layout", "shape"), LAYOUTS.values(), ids=LAYOUTS)
def test_every_layout_is_the_same_dataset(layout, shape, tmp_path):
    root = shape(copied(layout, tmp_path / "data"))
    reference = opened(written("celeba")[0])
    for spec in (str(root), f"celeba:{root}"):
        dataset = opened(spec)
        assert dataset.kind == "celeba"
        assert dataset.notices == ()
        assert dataset.fingerprint == reference.fingerprint
        assert np.array_equal(dataset.pixels, reference.pixels)
        assert dataset.ids.tolist() == truth("names")
        assert np.array_equal(dataset.split, truth("split"))
        assert dataset.attribute_names == ATTRIBUTES
        assert np.array_equal(dataset.attributes, truth("attributes"))
        assert np.array_equal(dataset.columns["landmarks"].reshape(N, 10), truth("landmarks"))
        if layout != "celeba-kaggle":  # which comes without
            assert dataset.columns["identity"].tolist() == list(range(1, N + 1))


def test_png_images_take_the_rows_of_the_jpegs(tmp_path):
    """CelebA's PNG release has its own folder; the annotation files go on naming JPEGs."""
    root = Path(shutil.copytree(written("celeba", ".png")[0], tmp_path / "celeba"))
    moved(root, (IMAGES, "img_align_celeba_png"))
    for name in TEXT_FILES:
        rewrite(root / name, lambda text: text.replace(".png", ".jpg"))
    dataset = opened(root)
    assert dataset.why.startswith("it holds img_align_celeba_png/")
    assert dataset.notices == ()
    assert dataset.ids[0] == "000001.png"
    assert np.array_equal(dataset.attributes, truth("attributes"))
    assert np.array_equal(dataset.split, truth("split"))


def test_annotation_unzipped_with_the_images_is_found(celeba):
    doubly(celeba)
    for name in TEXT_FILES:
        (celeba / name).rename(celeba / IMAGES / name)
    dataset = opened(celeba)
    assert dataset.notices == ()
    assert np.array_equal(dataset.attributes, truth("attributes"))


def test_the_nearest_annotation_counts_and_the_other_is_mentioned(celeba, tmp_path):
    (tmp_path / "data" / "old").mkdir()
    (tmp_path / "data" / "old" / PARTITION).write_text(
        "".join(f"{name} 0\n" for name in truth("names"))
    )
    listing = read(celeba.parent)
    assert np.array_equal(listing.split, truth("split"))
    assert f"of 2 files list_eval_partition the nearest, {celeba / PARTITION}, is read" in said(
        listing
    )


def test_a_relative_path_and_the_current_folder_are_recognised(celeba, monkeypatch):
    monkeypatch.chdir(celeba / IMAGES)
    for path in (".", "..", "../../celeba"):
        assert opened(path).notices == ()


def test_images_in_subfolders_keep_ids_of_their_own(celeba):
    for part in ("a", "b"):
        (celeba / IMAGES / part).mkdir()
        shutil.copy(celeba / IMAGES / "000001.jpg", celeba / IMAGES / part)
    dataset = opened(celeba)
    ids = dataset.ids.tolist()
    assert len(set(ids)) == N + 2
    rows = [ids.index(name) for name in ("000001.jpg", "a/000001.jpg", "b/000001.jpg")]
    assert (dataset.attributes[rows] == truth("attributes")[0]).all()


# --- two sets of images in one place --------------------------------------------------------------


def test_images_and_their_archive_side_by_side(celeba):
    archive = written("celeba-official")[0] / "Img" / f"{IMAGES}.zip"
    shutil.copy(archive, celeba)
    listing = read(celeba)
    assert listing.why == f"it holds {IMAGES}/ with {N} images"
    force = f"--data 'celeba:{celeba / (IMAGES + '.zip')}' takes that one"
    assert f"{IMAGES}.zip lies there too and is not used: {force}" in said(listing)
    forced = opened(f"celeba:{celeba / (IMAGES + '.zip')}")
    assert forced.fingerprint == opened(celeba).fingerprint


def test_aligned_images_go_before_those_in_the_wild(celeba):
    shutil.copytree(written("celeba-wild")[0] / "img_celeba", celeba / "img_celeba")
    listing = read(celeba)
    assert listing.why.startswith(f"it holds {IMAGES}/")
    assert f"img_celeba/ lies there too and is not used: --data 'celeba:{celeba}/img_celeba" in (
        said(listing)
    )
    wild = read(celeba / "img_celeba")
    assert wild.crop == "box"
    assert np.array_equal(wild.boxes, truth("boxes"))


def test_an_empty_folder_beside_the_archive_is_passed_over(tmp_path):
    root = copied("celeba-official", tmp_path)
    (root / "Img" / IMAGES).mkdir()
    assert opened(root).notices == ()


# --- annotation, however it was saved ------------------------------------------------------------


def text(name, start="", ending="\n", code="utf-8", change=lambda text: text):
    """The original text file, saved otherwise."""
    content = change((written("celeba")[0] / name).read_text()).replace("\n", ending)
    return (start + content).encode(code)


SAVED = {
    "CRLF": dict(ending="\r\n"),
    "old Mac": dict(ending="\r"),
    "byte order mark": dict(start="\ufeff"),
    "mark and CRLF": dict(start="\ufeff", ending="\r\n"),
    "UTF-16": dict(code="utf-16"),
    "UTF-16, the other way round": dict(start="\ufeff", code="utf-16-be"),
    "no last newline": dict(change=str.rstrip),
    "no trailing blank": dict(change=lambda t: t.replace(" \n", "\n")),
    "blank lines": dict(change=lambda t: t.replace("\n", "\n\n") + " \n"),
    "blanks in front": dict(change=lambda t: "\n".join("  " + line for line in t.split("\n"))),
    "tabs": dict(change=lambda t: "\n".join("\t".join(line.split()) for line in t.split("\n"))),
    "no count": dict(change=lambda t: t.removeprefix(f"{N}\n")),
}  # fmt: skip


def assert_whole(listing):
    assert np.array_equal(listing.split, truth("split"))
    assert listing.attribute_names == ATTRIBUTES
    assert np.array_equal(listing.attributes, truth("attributes"))
    assert listing.columns["identity"].tolist() == list(range(1, N + 1))
    assert np.array_equal(listing.columns["landmarks"].reshape(N, 10), truth("landmarks"))
    assert listing.notices == []


@pytest.mark.parametrize("saved", SAVED.values(), ids=SAVED)
@pytest.mark.parametrize("suffix", [".txt", ".csv"])
def test_annotation_is_read_however_it_was_saved(celeba, saved, suffix):
    for name in TEXT_FILES:
        (celeba / name).unlink()
        (celeba / name).with_suffix(suffix).write_bytes(text(name, **saved))
    assert_whole(read(celeba))


def as_csv(separator=",", quote="", header=True, end=""):
    """A change of the original text into a table with separators."""

    def change(text):
        lines = [line.split() for line in text.splitlines()]
        lines = [line for line in lines if not (len(line) == 1 and line[0].isdigit())]
        if lines[0][0].endswith(".jpg"):
            lines.insert(0, ["column"] * (len(lines[0]) - 1))
        if lines[0][0] != "image_id":
            lines[0].insert(0, "image_id")
        return "".join(
            separator.join(f"{quote}{cell}{quote}" for cell in line) + f"{end}\n"
            for line in lines[not header :]
        )

    return change


@pytest.mark.parametrize("suffix", [".txt", ".csv"])
@pytest.mark.parametrize("end", ["", ","])
@pytest.mark.parametrize("quote", ["", '"'])
@pytest.mark.parametrize("separator", [",", ";", "\t", ", "])
def test_tables_are_read_whatever_separates_and_quotes(celeba, separator, quote, end, suffix):
    if quote and " " in separator:
        quote = ""  # a quote after a blank is a part of the cell: nobody writes that
    end = end and separator.strip(" ")
    for name in TEXT_FILES:
        rewrite(celeba / name, as_csv(separator, quote, end=end))
        (celeba / name).rename((celeba / name).with_suffix(suffix))
    assert_whole(read(celeba))


def test_a_table_need_not_name_the_column_of_the_images(celeba):
    """``Bald,Bangs,...`` over ``000001.jpg,-1,1,...``, as the original's header has it."""
    rewrite(celeba / LISTED, lambda t: as_csv()(t).removeprefix("image_id,"))
    assert_whole(read(celeba))


def test_zeros_mean_no_where_nothing_else_does(celeba):
    rewrite(celeba / LISTED, lambda t: t.replace("-1", " 0"))
    assert np.array_equal(read(celeba).attributes, truth("attributes"))


def test_a_zero_among_minus_ones_is_unknown(celeba):
    rewrite(celeba / LISTED, lambda t: t.replace("000002.jpg -1", "000002.jpg  0"))
    attributes = read(celeba).attributes
    assert truth("attributes")[1, 0] == -1
    assert attributes[1, 0] == 0
    assert (attributes == truth("attributes")).sum() == attributes.size - 1


# --- partial copies -------------------------------------------------------------------------------


@pytest.mark.parametrize("left", range(2**4))
def test_any_files_of_annotation_may_be_absent(celeba, left):
    optional = (LISTED, PARTITION, IDENTITY, LANDMARKS)
    there = {name for i, name in enumerate(optional) if left >> i & 1}
    for name in set(optional) - there:
        (celeba / name).unlink()
    listing = read(celeba)
    assert (listing.attributes is not None) == (LISTED in there)
    assert (listing.split is not None) == (PARTITION in there)
    assert set(listing.columns) == {
        column
        for column, name in (("identity", IDENTITY), ("landmarks", LANDMARKS))
        if name in there
    }
    expected = []
    if PARTITION not in there:
        expected.append("no list_eval_partition: split by a stable hash of the image names instead")
    if LISTED not in there:
        expected.append("no list_attr_celeba: going on without attributes")
    assert listing.notices == expected


def test_half_of_the_images_are_half_of_the_dataset(celeba):
    """Rows without images are a partial copy, and nothing to mention."""
    left = np.arange(0, N, 2)
    for i in set(range(N)) - set(left.tolist()):
        (celeba / IMAGES / truth("names")[i]).unlink()
    dataset = opened(celeba)
    assert dataset.notices == ()
    assert np.array_equal(dataset.attributes, truth("attributes")[left])
    assert np.array_equal(dataset.split, truth("split")[left])
    assert np.array_equal(dataset.columns["identity"], left + 1)
    assert np.array_equal(dataset.columns["landmarks"].reshape(-1, 10), truth("landmarks")[left])


def test_images_without_rows_are_kept_and_announced(celeba):
    for name in TEXT_FILES:
        rewrite(celeba / name, lambda t: "".join(t.splitlines(keepends=True)[:-3]))
    listing = list_dataset(str(celeba))
    assert listing.ids == truth("names")
    assert (listing.attributes[-3:] == 0).all()
    assert np.array_equal(listing.attributes[:-3], truth("attributes")[:-3])
    assert listing.columns["identity"][-3:].tolist() == [-1] * 3
    landmarks = listing.columns["landmarks"].reshape(-1, 10)
    assert np.isnan(landmarks[-3:]).all()
    assert np.array_equal(landmarks[:-3], truth("landmarks")[:-3])
    assert np.array_equal(listing.split[-3:], hash_split(truth("names")[-3:]))
    assert np.array_equal(listing.split[:-3], truth("split")[:-3])
    assert "3 images are not in the partition" in said(listing)
    for name in (LISTED, PARTITION, IDENTITY, LANDMARKS):
        assert f"3 images have no row in {name}: unknown there" in said(listing)


def test_a_row_that_comes_twice_counts_as_it_came_last(celeba):
    rewrite(celeba / PARTITION, lambda t: t + "000001.jpg 2\n")
    listing = read(celeba)
    assert listing.split[0] == 2
    assert f"1 rows of {PARTITION} repeat an image: the last counts" in said(listing)


def test_a_partition_that_leaves_splits_empty_is_completed_from_train(celeba):
    """Official test images stay test images; nobody is moved into what is not empty."""
    names = truth("names")
    rewrite(celeba / PARTITION, lambda t: t.replace(" 1\n", " 0\n"))
    listing = read(celeba)
    split, notices = complete_split(names, listing.split)
    assert (split[-4:] == 2).all()
    assert (split[:-4] != 2).all()
    hashed = hash_split(names)
    assert np.array_equal(split[:-4] == 1, hashed[:-4] == 1)
    assert notices == ["no image is marked validation: taken from the training images by a hash"]
    rewrite(celeba / PARTITION, lambda t: t.replace(" 2\n", " 0\n"))
    split, notices = complete_split(names, read(celeba).split)
    assert np.array_equal(split, hashed)
    assert "validation and test" in notices[0]


# --- damage ---------------------------------------------------------------------------------------

GARBAGE = np.random.default_rng(0).integers(0, 256, 3_000).astype(np.uint8).tobytes()
DAMAGED = {
    "a column too few": (LISTED, lambda t: t.rsplit(" ", 1)[0] + "\n", "expected 31 values"),
    "a column too many": (LISTED, lambda t: t.rstrip() + " 1\n", "expected 31 values"),
    "a value of 2": (LISTED, lambda t: t.rstrip()[:-2] + " 2\n", "expected values of -1 and 1"),
    "true and false": (
        LISTED,
        lambda t: t.replace("-1", "false").replace(" 1", "true"),
        "expected",
    ),
    "words for values": (LISTED, lambda t: t.replace("-1", "no"), "expected values of -1 and 1"),
    "cut in a row": (LISTED, lambda t: t[: len(t) // 2 - 9], "expected 31 values"),
    "no header": (LISTED, lambda t: t.split("\n", 2)[2], "expected a line with the attributes' n"),
    "header only": (LISTED, lambda t: "\n".join(t.split("\n")[:2]), "expected one row per image"),
    "empty": (LISTED, lambda t: "", "expected one row per image, found none"),
    "prose": (LISTED, lambda t: "Not\nfound\n", "expected an image name .* found 'found'"),
    "split 3": (PARTITION, lambda t: t.replace(" 2\n", " 3\n"), r"expected '<image> 0\|1\|2'"),
    "no split": (PARTITION, lambda t: t.replace(" 2\n", "\n"), r"expected '<image> 0\|1\|2'"),
    "two splits": (PARTITION, lambda t: t.replace(" 2\n", " 0 2\n"), r"expected '<image> 0\|1\|2'"),
    "empty partition": (PARTITION, lambda t: "", "expected one row per image"),
    "a page of HTML": (PARTITION, lambda t: "<html>\n<body>\n", "expected an image name"),
    "rows of others": (PARTITION, lambda t: t.replace("0000", "x"), "none of its 40 rows names"),
    "identity in words": (IDENTITY, lambda t: t.replace(" 7\n", " Eve\n"), "expected a number for"),
    "identity and more": (IDENTITY, lambda t: t.replace(" 7\n", " 7 8\n"), "expected a number for"),
    "an infinite identity": (IDENTITY, lambda t: t.replace(" 7\n", " inf\n"), "expected a number for"),
    "one landmark": (LANDMARKS, lambda t: t + "000040.jpg 5\n", "expected 10 numbers for 000040"),
    "nine landmarks": (LANDMARKS, lambda t: t.rstrip()[:-4], "expected 10 numbers for 000040"),
    "endless landmarks": (LANDMARKS, lambda t: t.rstrip() + "e300\n", "expected 10 numbers for"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "spoil", "words"), DAMAGED.values(), ids=DAMAGED)
def test_damaged_annotation_is_a_sentence_with_a_cure(celeba, name, spoil, words):
    rewrite(celeba / name, spoil)
    with pytest.raises(InputError, match=f"{name}: {words}") as caught:
        opened(celeba)
    assert "emove it" in str(caught.value)
    assert "\n" not in str(caught.value)
    (celeba / name).unlink()
    assert len(read(celeba).ids) == N


@pytest.mark.parametrize("name", [LISTED, PARTITION, IDENTITY, LANDMARKS])
@pytest.mark.parametrize("content", [GARBAGE, GARBAGE.replace(b"\n", b"."), b"\0" * 999, b"\n\n"])
def test_binary_garbage_is_a_sentence(celeba, name, content):
    (celeba / name).unlink()
    (celeba / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{name}: expected .* Restore the file") as caught:
        read(celeba)
    assert str(caught.value).isprintable()


def test_annotation_that_cannot_be_read_is_a_sentence(celeba):
    (celeba / PARTITION).unlink()
    (celeba / PARTITION).symlink_to("nowhere")
    with pytest.raises(InputError, match=f"{PARTITION} cannot be read: No such file.*to go on"):
        read(celeba)


def test_broken_images_take_their_annotation_with_them(celeba):
    broken = celeba / IMAGES / "000008.jpg"
    broken.unlink()
    broken.write_bytes(b"broken")
    dataset = opened(celeba)
    left = [i for i in range(N) if i != 7]
    assert list(dataset.facts["unreadable"]) == ["000008.jpg"]
    assert np.array_equal(dataset.attributes, truth("attributes")[left])
    assert np.array_equal(dataset.split, truth("split")[left])
    assert np.array_equal(dataset.columns["identity"], np.array(left) + 1)
    assert np.array_equal(dataset.columns["landmarks"].reshape(-1, 10), truth("landmarks")[left])


# --- what is not there ----------------------------------------------------------------------------


def test_what_is_not_celeba_is_said_where_it_was_asked_for(tmp_path):
    (tmp_path / "readme.txt").write_text("hello")
    assert find_celeba(open_tree(tmp_path)) is None
    with pytest.raises(InputError, match=r"Expected CelebA.*found: readme.txt.*--data faces"):
        opened(f"celeba:{tmp_path}")


def test_a_folder_that_waits_for_its_images_is_said(celeba):
    shutil.rmtree(celeba / IMAGES)
    (celeba / IMAGES).mkdir()
    with pytest.raises(
        InputError, match=rf"No images .* in .*{IMAGES}.* Unpack {IMAGES}.zip there"
    ):
        opened(celeba)


def test_one_file_beside_celeba_is_not_celeba(celeba):
    """Else an array, or a table, beside the images could not be pointed at."""
    shutil.rmtree(celeba / IMAGES)
    (celeba / IMAGES).mkdir()
    assert find_celeba(open_tree(celeba / PARTITION)) is None


@pytest.mark.parametrize("content", [b"", b"PK", b"no archive at all" * 99])
def test_an_archive_that_is_none_is_a_sentence(tmp_path, content):
    (tmp_path / f"{IMAGES}.zip").write_bytes(content)
    with pytest.raises(InputError, match=r"cannot be read as a zip archive .* Fetch it again, or"):
        opened(tmp_path)


def test_an_archive_that_leads_nowhere_is_a_sentence(tmp_path):
    (tmp_path / f"{IMAGES}.zip").symlink_to("nowhere")
    with pytest.raises(InputError, match=r"cannot be read as a zip archive \(No such file"):
        opened(tmp_path)


def test_an_archive_within_an_archive_is_to_be_unpacked(tmp_path):
    root = copied("celeba-official", tmp_path)
    with pytest.raises(InputError, match=rf"archive.zip.*{IMAGES}.zip.*[Uu]npack") as caught:
        opened(zipped(root))
    assert "\n" not in str(caught.value)


# --- in the wild ----------------------------------------------------------------------------------


def test_faces_in_the_wild_are_cut_out_by_their_boxes():
    """Planted: the face of the aligned picture lies where the box says."""
    root, _ = written("celeba-wild")
    dataset = opened(root, size=64)
    assert read(root).crop == "box"
    x, y = WILD_AT
    for row in (0, 25):
        with Image.open(root / "img_celeba" / dataset.ids[row]) as image:
            face = image.crop((x, y, x + 218, y + 218)).resize((64, 64), Image.Resampling.BILINEAR)
        difference = np.abs(dataset.pixels[row].astype(int) - np.asarray(face))
        assert difference.max() <= 1
    assert opened(root, size=64, crop="square").fingerprint != dataset.fingerprint


def test_without_a_box_the_square_is_taken(tmp_path):
    root = copied("celeba-wild", tmp_path)
    rows = {3: "", 4: "000005.jpg nan nan nan nan\n"}
    rewrite(
        root / BOXES,
        lambda t: "".join(rows.get(i - 2, line) for i, line in enumerate(t.splitlines(True))),
    )
    boxed, square = (opened(written("celeba-wild")[0], crop=c) for c in ("auto", "square"))
    mixed = opened(root)
    for row in range(N):
        source = square if row in rows else boxed
        assert np.array_equal(mixed.pixels[row], source.pixels[row])
    assert not np.array_equal(boxed.pixels[3], square.pixels[3])
    assert any(f"1 images have no row in {BOXES}" in notice for notice in mixed.notices)
    (root / BOXES).unlink()
    assert read(root).crop == "square"
    assert np.array_equal(opened(root).pixels, square.pixels)


def test_each_picture_is_cut_by_its_own_box(tmp_path, monkeypatch):
    """Over several blocks of rows."""
    monkeypatch.setattr(pixels, "BLOCK", 7)
    root = copied("celeba-wild", tmp_path)
    boxes = [(2 * i, i, 50 + 3 * i, 40 + 2 * i) for i in range(N)]
    rows = [f"{name} {' '.join(map(str, box))}" for name, box in zip(truth("names"), boxes)]
    rewrite(root / BOXES, lambda t: "\n".join(rows))
    dataset = opened(root)
    for i, (x, y, w, h) in enumerate(boxes):
        picture = decode_image((root / "img_celeba" / truth("names")[i]).read_bytes()).pixels
        top = y + (h - w) // 2 if y + (h - w) // 2 > 0 else 0
        assert np.array_equal(dataset.pixels[i], resize(picture[top : top + w, x : x + w], 16)), i


def test_other_boxes_are_another_dataset(tmp_path):
    root = copied("celeba-wild", tmp_path)
    before = opened(root).fingerprint
    rewrite(root / BOXES, lambda t: t.replace(" 60  40 218 218", " 61  40 218 218", 1))
    assert opened(root).fingerprint != before
