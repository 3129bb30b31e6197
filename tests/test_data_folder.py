"""Folders of any images: nested, by class, by split, with tables, with damage, or with nothing."""

import csv
import os
import shutil
import zipfile

import numpy as np
import pytest
from PIL import Image

from latentshape.data import cache, list_dataset, open_dataset
from latentshape.data.faces import faces
from latentshape.data.folder import read_folder
from latentshape.data.splits import SPLITS, hash_split
from latentshape.data.trees import open_tree
from latentshape.errors import InputError

PICTURES = faces(range(120), size=32)


def write_folder(root, n=60, suffix=".png", **options):
    """n faces as files; 60 or more fill all three splits."""
    root.mkdir(parents=True, exist_ok=True)
    for i in range(n):
        Image.fromarray(PICTURES[i]).save(root / f"{i:03d}{suffix}", **options)
    return root


def write_picture(path, i=70):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(PICTURES[i]).save(path)


def write_table(path, header, *rows):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def zip_of(root, top=""):
    """Everything below a folder as an archive beside it."""
    path = root.with_name(root.name + ".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(p for p in root.rglob("*") if p.is_file()):
            archive.write(file, f"{top}{file.relative_to(root).as_posix()}")
    return path


def read(root):
    return read_folder(open_tree(root))


def opened(root, **options):
    return open_dataset(str(root), **{"size": 16, **options})


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "pictures")


# --- names ----------------------------------------------------------------------------------------


def test_a_flat_folder_gives_its_pixels(folder):
    dataset = opened(folder, size=32)
    assert dataset.kind == "folder"
    assert dataset.why == "it holds 60 image files"
    assert np.array_equal(dataset.pixels, PICTURES[:60])
    assert dataset.ids.tolist() == [f"{i:03d}.png" for i in range(60)]
    assert dataset.attributes is None
    assert dataset.columns == {}
    assert dataset.facts["converted"] == {}
    assert dataset.facts["unreadable"] == {}
    assert dataset.facts["sizes"] == {"32x32": 60}
    assert dataset.facts["modes"] == {"RGB": 60}
    assert dataset.notices == ("no partition: split by a stable hash of the image ids",)


def test_nested_folders_hidden_files_and_odd_names(tmp_path):
    root = write_folder(tmp_path / "p")
    for name in ("deep/er/a b.png", "gesichter/Zoë 笑.PNG", "x.y/z.jpeg", "dir.jpg/inner.png"):
        write_picture(root / name)
    (root / "notes.txt").write_text("not an image")
    for hidden in (".thumb.png", ".cache/a.png"):
        write_picture(root / hidden)
    ids = opened(root).ids.tolist()
    assert ids[60:] == [
        "deep/er/a b.png",
        "dir.jpg/inner.png",
        "gesichter/Zoë 笑.PNG",
        "x.y/z.jpeg",
    ]


def test_a_name_that_is_no_text_gets_an_id_that_is(tmp_path):
    root = write_folder(tmp_path / "p")
    try:
        os.rename(os.fsencode(root / "000.png"), os.fsencode(root) + b"/\xff\xe9.png")
    except OSError:
        pytest.skip("this file system wants text")
    dataset = opened(root)
    assert "\\xff\\xe9.png" in dataset.ids.tolist()
    "".join(dataset.ids.tolist()).encode()


def test_a_folder_around_everything_is_no_part_of_the_names(folder, tmp_path):
    """``zip -r pictures.zip pictures`` packs the folder itself: its pictures are the same ones."""
    rows = ([f"{i:03d}.png", i % 2, i % 3] for i in range(60))
    write_table(folder / "t.csv", ["image", "Odd", "split"], *rows)
    expected = opened(folder)
    wrapped = opened(zip_of(folder, top="pictures/"))
    assert wrapped.fingerprint == expected.fingerprint
    assert np.array_equal(wrapped.attributes, expected.attributes)


# --- classes and splits ---------------------------------------------------------------------------


def test_folders_side_by_side_are_classes(tmp_path):
    for i, name in enumerate(("cats", "Dogs", "cats/old", "emus")):
        write_folder(tmp_path / "p" / name, 3 + i)
    listing = read(tmp_path / "p")
    assert listing.attribute_names == ("cats", "Dogs", "emus")
    tops = [i.split("/")[0] for i in listing.ids]
    assert listing.columns["label"].tolist() == [["cats", "Dogs", "emus"].index(t) for t in tops]
    assert np.array_equal(
        listing.attributes,
        [[1 if name == top else -1 for name in listing.attribute_names] for top in tops],
    )


@pytest.mark.parametrize("spoil", ["a picture beside them", "only one of them"])
def test_folders_that_are_no_classes_are_but_folders(tmp_path, spoil):
    write_folder(tmp_path / "p" / "cats", 3)
    if spoil != "only one of them":
        write_folder(tmp_path / "p" / "dogs", 3)
        write_picture(tmp_path / "p" / "x.png")
    listing = read(tmp_path / "p")
    assert listing.attributes is None
    assert listing.columns == {}


def test_numbered_classes_keep_their_numbers(tmp_path):
    for name in ("0", "7", "12"):
        write_folder(tmp_path / "p" / name, 2)
    listing = read(tmp_path / "p")
    assert listing.attribute_names == ("label_0", "label_7", "label_12")
    assert sorted(set(listing.columns["label"].tolist())) == [0, 7, 12]


def test_very_many_classes_become_numbers_and_a_notice(tmp_path):
    for i in range(101):
        write_picture(tmp_path / "p" / f"person-{i:03d}" / "a.png")
    listing = read(tmp_path / "p")
    assert listing.attributes is None
    assert listing.columns["label"].tolist() == list(range(101))
    assert listing.notices == ["101 class folders: kept as numbers in 'label', not as attributes"]


@pytest.mark.parametrize(
    "names",
    [("train", "val", "test"), ("Training", "validation", "testing"), ("TRAIN", "dev", "Test")],
)
def test_folders_may_be_the_splits_with_classes_below(tmp_path, names):
    for i, split in enumerate(names):
        for name in ("a", "b"):
            write_folder(tmp_path / "p" / split / name, 4 - i)
    dataset = opened(tmp_path / "p")
    assert dataset.notices == ()
    for i, name in enumerate(SPLITS):
        ids = dataset.ids[dataset.indices(name)]
        assert len(ids) == 2 * (4 - i)
        assert {i.split("/")[0] for i in ids.tolist()} == {names[i]}
    assert dataset.attribute_names == ("a", "b")
    assert np.array_equal(dataset.columns["label"], [i.split("/")[1] == "b" for i in dataset.ids])


def test_train_and_test_alone_leave_validation_to_a_hash_of_train(tmp_path):
    for name in ("train", "test"):
        write_folder(tmp_path / "p" / name, 60)
    listing = list_dataset(str(tmp_path / "p"))
    hashed = hash_split(listing.ids)
    test = np.array([i.startswith("test/") for i in listing.ids])
    assert np.array_equal(listing.split == 2, test)
    assert np.array_equal(listing.split == 1, ~test & (hashed == 1))
    assert listing.notices == [
        "no image is marked validation: taken from the training images by a hash"
    ]


def test_digits_as_folders_are_classes_and_not_splits(tmp_path):
    for name in ("0", "1", "2"):
        write_folder(tmp_path / "p" / name, 2)
    listing = read(tmp_path / "p")
    assert listing.split is None
    assert len(listing.attribute_names) == 3


# --- tables ---------------------------------------------------------------------------------------


def table_of_all(path, column, values, header="image", names=None):
    names = names or [f"{i:03d}.png" for i in range(len(values))]
    write_table(path, [header, column], *zip(names, values))


def test_a_table_of_everything_is_sorted_into_what_it_is(folder):
    rows = [
        [f"{i:03d}.png", i % 2, ("yes", "no")[i % 2], 20 + i / 2, f"p{i // 2}", ("train", "val",
         "test")[i % 3], ("red", "blue")[i % 2], f"a sentence about picture {i}"]
        for i in range(60)
    ]  # fmt: skip
    header = ["image", "Odd", "Even", "age", "identity", "split", "hair", "caption"]
    write_table(folder / "facts.csv", header, *rows)
    dataset = opened(folder)
    odd = np.where(np.arange(60) % 2 == 1, 1, -1)
    answers = dict(zip(dataset.attribute_names, dataset.attributes.T))
    assert set(answers) == {"Odd", "Even", "hair_blue", "hair_red"}
    assert np.array_equal(answers["Odd"], odd)
    assert np.array_equal(answers["Even"], -odd)
    assert np.array_equal(answers["hair_blue"], odd)
    assert np.array_equal(answers["hair_red"], -odd)
    assert np.array_equal(dataset.columns["age"], 20 + np.arange(60) / 2)
    people = dataset.columns["identity"]
    assert np.array_equal(people[::2], people[1::2])
    assert len(set(people.tolist())) == 30
    assert dataset.split.tolist() == [i % 3 for i in range(60)]
    assert dataset.notices == (
        f"column 'caption' of {folder / 'facts.csv'} holds text and is left out",
    )


def test_several_tables_are_joined(folder):
    table_of_all(folder / "a.csv", "Odd", [i % 2 for i in range(60)])
    table_of_all(folder / "b.csv", "age", [i + 0.5 for i in range(60)])
    write_table(folder / "c.tsv", ["image", "partition"], *([f"{i:03d}", i % 3] for i in range(60)))
    dataset = opened(folder)
    assert dataset.attribute_names == ("Odd",)
    assert dataset.columns["age"].tolist() == [i + 0.5 for i in range(60)]
    assert dataset.split.tolist() == [i % 3 for i in range(60)]


def test_a_table_as_pandas_writes_it(folder):
    """``frame.to_csv()`` leaves the corner over the names empty."""
    table_of_all(folder / "frame.csv", "Odd", [i % 2 for i in range(60)], header="")
    listing = read(folder)
    assert listing.attribute_names == ("Odd",)
    assert listing.attributes[:, 0].tolist() == [1 if i % 2 else -1 for i in range(60)]


def test_an_attribute_that_is_given_twice_is_refused(folder):
    for name in ("a.csv", "b.csv"):
        table_of_all(folder / name, "Odd", [i % 2 for i in range(60)])
    with pytest.raises(InputError, match=r"'Odd' is given twice.*Rename one"):
        opened(folder)


def test_a_table_that_repeats_a_column_is_refused(folder):
    write_table(
        folder / "a.csv", ["image", "Odd", "Odd"], *([f"{i:03d}.png", 1, 0] for i in range(60))
    )
    with pytest.raises(InputError, match=r"column 'Odd' is given twice. Rename one"):
        opened(folder)


def test_a_column_of_numbers_in_two_tables_is_refused(folder):
    for k, name in enumerate(("a.csv", "b.csv")):
        table_of_all(folder / name, "age", [i + k + 0.5 for i in range(60)])
    with pytest.raises(InputError, match=r"'age' is given twice.*Rename one"):
        opened(folder)


def test_a_table_names_nested_images_by_path_or_by_name(tmp_path):
    root = tmp_path / "p"
    for name in ("a/x.png", "b/y.png", "b/z.png"):
        write_picture(root / name)
    for rows in (["a/x.png", "b/y.png", "b/z.png"], ["x.png", "y.png", "z.png"], ["x", "y", "z"]):
        table_of_all(root / "t.csv", "age", [1.5, 2.5, 3.5], names=rows)
        assert read(root).columns["age"].tolist() == [1.5, 2.5, 3.5]
    table_of_all(root / "t.csv", "age", [2.5], names=["b/y.png"])
    assert np.isnan(read(root).columns["age"]).tolist() == [True, False, True]


def test_a_table_of_other_images_is_a_sentence(folder):
    table_of_all(folder / "t.csv", "age", [1.5, 2.5], names=["x.png", "y.png"])
    with pytest.raises(InputError, match=r"t.csv: none of its 2 rows .*'000.png'.*'x.png'.*remove"):
        opened(folder)


def test_a_table_of_strange_splits_is_a_sentence(folder):
    table_of_all(folder / "t.csv", "split", ["holdout"] * 60)
    with pytest.raises(InputError, match=r"t.csv: expected 0, 1, 2 or train.*'holdout'.*rename"):
        opened(folder)


def test_a_row_that_is_too_long_is_a_sentence(folder):
    table_of_all(folder / "t.csv", "age", [1.5] * 60)
    with open(folder / "t.csv", "a") as file:
        file.write("059.png,1,2,3\n")
    with pytest.raises(InputError, match=r"t.csv: expected 1 value.* for 059.png, found 3"):
        opened(folder)


# --- colours and sizes ----------------------------------------------------------------------------

MODES = {
    "grey.png": (lambda i: i.convert("L"), "grey"),
    "bit.png": (lambda i: i.convert("1"), "grey"),
    "rgba.png": (lambda i: i.convert("RGBA"), "rgba"),
    "la.png": (lambda i: i.convert("LA"), "rgba"),
    "palette.gif": (lambda i: i.convert("P", palette=Image.Palette.ADAPTIVE), "palette"),
    "cmyk.jpg": (lambda i: i.convert("CMYK"), "cmyk"),
    "sixteen.png": (lambda i: Image.fromarray(np.asarray(i.convert("L")) * np.uint16(257)), "16-bit"),
    "wide.tif": (lambda i: Image.fromarray(np.asarray(i.convert("L")).astype(np.int32)), "16-bit"),
}  # fmt: skip


def test_mixed_modes_and_sizes_are_converted_and_counted(folder):
    picture = Image.fromarray(PICTURES[80]).resize((48, 48))
    for i, (name, (convert, _)) in enumerate(MODES.items()):
        convert(picture.resize((40 + 3 * i, 70 - 2 * i))).save(folder / name)
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(folder / "turned.jpg", exif=exif)
    dataset = opened(folder, size=32)
    assert len(dataset) == 60 + len(MODES) + 1
    assert dataset.facts["unreadable"] == {}
    expected = {"exif-rotated": 1, "grey": 2, "rgba": 2, "palette": 1, "cmyk": 1, "16-bit": 2}
    assert dataset.facts["converted"] == expected
    assert dataset.facts["sizes"] == {
        "32x32": 60, "48x48": 1, **{f"{40 + 3 * i}x{70 - 2 * i}": 1 for i in range(len(MODES))}
    }  # fmt: skip
    assert sum(dataset.facts["modes"].values()) == len(dataset)
    for row in np.flatnonzero(np.isin(dataset.ids, list(MODES))):
        seen = dataset.pixels[row].mean(axis=2).ravel()
        like = np.asarray(picture.convert("L").resize((32, 32))).ravel()
        assert np.corrcoef(seen, like)[0, 1] > 0.7, dataset.ids[row]
    row = dataset.ids.tolist().index("turned.jpg")
    like = np.asarray(picture.rotate(-90).resize((32, 32))).ravel()
    assert np.corrcoef(dataset.pixels[row].ravel(), like)[0, 1] > 0.9
    assert dataset.summary()["converted"] == expected


def test_grey_is_luma_from_files_and_from_factors_alike(folder):
    grey = opened(folder, size=32, channels=1)
    assert grey.pixels.shape == (60, 32, 32, 1)
    expected = np.stack([np.asarray(Image.fromarray(p).convert("L")) for p in PICTURES[:60]])
    assert np.array_equal(grey.pixels[..., 0], expected)
    procedural = open_dataset("faces:n=60", size=32, channels=1)
    assert np.array_equal(procedural.pixels, grey.pixels)


def test_grey_files_give_the_same_grey_in_colour(tmp_path):
    for i in range(60):
        (tmp_path / "p").mkdir(exist_ok=True)
        Image.fromarray(PICTURES[i]).convert("L").save(tmp_path / "p" / f"{i:03d}.png")
    colour, grey = (opened(tmp_path / "p", size=32, channels=c) for c in (3, 1))
    assert np.array_equal(colour.pixels, grey.pixels.repeat(3, axis=3))
    assert colour.facts["converted"] == {"grey": 60}
    assert grey.facts["converted"] == {}


# --- broken images --------------------------------------------------------------------------------


def test_a_few_broken_images_are_skipped_counted_and_listed(tmp_path):
    root = write_folder(tmp_path / "p", 120, ".jpg", quality=90)
    whole = (root / "005.jpg").read_bytes()
    (root / "005.jpg").write_bytes(whole[:-60])
    (root / "017.jpg").write_bytes(b"")
    (root / "040.jpg").write_text("404 Not Found")
    (root / "dangling.jpg").symlink_to(tmp_path / "nowhere.jpg")
    dataset = opened(root, size=32)
    assert len(dataset) == 117
    unreadable = dataset.facts["unreadable"]
    assert list(unreadable) == ["005.jpg", "017.jpg", "040.jpg", "dangling.jpg"]
    assert dataset.facts["dropped"] == [5, 17, 40, 120]
    words = ("truncated", "an empty file", "no image", "No such file")
    for word, reason in zip(words, unreadable.values(), strict=True):
        assert word in reason
        assert str(tmp_path) not in reason
    assert dataset.summary()["unreadable"] == unreadable
    assert len(dataset.split) == len(dataset.ids) == 117
    assert np.array_equal(dataset.split, hash_split(dataset.ids.tolist()))
    with Image.open(root / "018.jpg") as image:  # rows after a gap keep their own pixels
        row = dataset.ids.tolist().index("018.jpg")
        assert np.array_equal(dataset.pixels[row], np.asarray(image))


def test_a_decompression_bomb_is_counted(tmp_path, monkeypatch):
    root = write_folder(tmp_path / "p")
    Image.new("L", (200, 200)).save(root / "bomb.png")
    Image.new("L", (200, 200)).save(root / "boom.jpg")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30_000)
    dataset = opened(root)
    assert list(dataset.facts["unreadable"]) == ["bomb.png", "boom.jpg"]
    assert all("bomb" in reason for reason in dataset.facts["unreadable"].values())


@pytest.mark.parametrize(("broken", "refused"), [(5, False), (6, True)])
def test_more_than_one_in_twenty_broken_is_refused(tmp_path, broken, refused):
    root = write_folder(tmp_path / "p", 100)
    for i in range(broken):
        (root / f"{i:03d}.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    if not refused:
        assert len(opened(root)) == 95
        return
    for _ in range(2):  # from the cache as well
        with pytest.raises(InputError, match=r"6 of 100 images in .* \(000.png: .* At most 5%"):
            opened(root)


def test_nothing_usable_is_refused(tmp_path, monkeypatch):
    root = tmp_path / "p"
    root.mkdir()
    for name in ("a.jpg", "b.jpg"):
        (root / name).write_text("no image")
    monkeypatch.setattr(cache, "MAX_UNREADABLE", 1.0)
    with pytest.raises(InputError, match=r"2 of 2 images in .* cannot be read .*no image in it"):
        opened(root)


def test_too_few_images_for_three_splits_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"3 usable images are too few.*Use at least 100"):
        opened(write_folder(tmp_path / "p", 3))


def test_a_picture_alone_is_no_dataset(folder):
    with pytest.raises(InputError, match=r"1 usable image.* too few.*Use at least 100"):
        opened(folder / "000.png")


# --- options --------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{"size": 0}, {"size": -4}, {"size": 2.5}, {"channels": 2}])
def test_a_size_or_depth_that_is_none_is_named_before_any_work(folder, options, own_cache):
    for spec in (folder, "faces:n=60"):
        with pytest.raises(InputError, match=f"{next(iter(options))} must be"):
            opened(spec, **options)
    assert not own_cache.exists()


def test_an_image_keeps_its_split_when_others_join(folder):
    before = opened(folder)
    write_picture(folder / "0000.png", 100)
    write_picture(folder / "zzz.png", 101)
    after = opened(folder)
    kept = np.isin(after.ids, before.ids)
    assert kept.sum() == 60
    assert np.array_equal(after.split[kept], before.split)


def test_a_zip_of_a_folder_is_that_folder(tmp_path):
    root = tmp_path / "p"
    for split in ("train", "val", "test"):
        for name in ("cats", "dogs"):
            write_folder(root / split / name, 3)
    table = [
        f"{s}/{n}/{i:03d}.png"
        for s in ("train", "val", "test")
        for n in ("cats", "dogs")
        for i in range(3)
    ]
    table_of_all(root / "age.csv", "age", [i + 0.5 for i in range(18)], names=table)
    expected = opened(root)
    assert len(expected.columns["age"]) == 18
    shutil.move(zip_of(root), tmp_path / "moved.zip")
    dataset = opened(tmp_path / "moved.zip")
    assert dataset.fingerprint == expected.fingerprint
    assert dataset.attribute_names == expected.attribute_names == ("cats", "dogs")
    for name in ("label", "age"):
        assert np.array_equal(dataset.columns[name], expected.columns[name])
