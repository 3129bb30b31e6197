"""From a SPEC to pixels, ids, splits and attributes: every layout, every damage, one cache."""

import json
import multiprocessing
import os
import shutil
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import celeba_like
from celeba_like import IMAGES, LISTED, PARTITION, attribute_text, write_celeba, write_images
from latentshape.data import SPLITS, cache, open_dataset
from latentshape.data.celeba import CROPS, crop_box, read_celeba
from latentshape.data.faces import ATTRIBUTES, draw_factors, faces
from latentshape.data.splits import complete_split, hash_split
from latentshape.errors import InputError

N = 30


@pytest.fixture(scope="session")
def original(tmp_path_factory):
    """CelebA's layout with 30 images; read only."""
    root = tmp_path_factory.mktemp("original") / "celeba"
    write_celeba(root, N)
    return root


@pytest.fixture
def celeba(original, tmp_path):
    """A copy of it that a test may spoil."""
    return Path(shutil.copytree(original, tmp_path / "celeba"))


def opened(root, **options):
    return open_dataset(str(root), **{"size": 16, **options})


def truth(n=N):
    return celeba_like.attributes_of(draw_factors(range(n)))


# --- CelebA: layouts ------------------------------------------------------------------------------


def moved_below(celeba, *folders):
    """The same data set with its image folder further down; the text files stay."""
    target = celeba.joinpath(*folders, IMAGES)
    staged = celeba.parent / "staged"
    (celeba / IMAGES).rename(staged)
    target.parent.mkdir(parents=True, exist_ok=True)
    staged.rename(target)
    return celeba


LAYOUTS = {
    "root": lambda root: root,
    "one above": lambda root: root.parent,
    "images themselves": lambda root: root / IMAGES,
    "doubly nested": lambda root: moved_below(root, IMAGES),
    "doubly nested, outer": lambda root: moved_below(root, IMAGES) / IMAGES,
    "doubly nested, inner": lambda root: moved_below(root, IMAGES) / IMAGES / IMAGES,
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("forced", [False, True])
def test_every_layout_gives_the_same_data_set(original, celeba, layout, forced):
    root = layout(celeba)
    dataset = opened(f"celeba:{root}" if forced else root)
    reference = opened(original)
    assert dataset.kind == "celeba"
    assert dataset.notices == ()
    assert dataset.fingerprint == reference.fingerprint
    assert np.array_equal(dataset.pixels, reference.pixels)
    assert dataset.ids.tolist() == celeba_like.names(N)
    assert dataset.split.tolist() == [celeba_like.split_of(i) for i in range(N)]
    assert dataset.attribute_names == ATTRIBUTES
    assert np.array_equal(dataset.attributes, truth())


def test_images_unzipped_with_their_annotation_into_the_inner_folder(celeba):
    moved_below(celeba, IMAGES)
    for text in (LISTED, PARTITION):
        (celeba / text).rename(celeba / IMAGES / text)
    dataset = opened(celeba)
    assert dataset.notices == ()
    assert np.array_equal(dataset.attributes, truth())


def test_a_relative_path_and_the_current_folder_are_recognised(celeba, monkeypatch):
    monkeypatch.chdir(celeba / IMAGES)
    assert opened(".").kind == "celeba"
    assert opened("..").kind == "celeba"


def test_the_bare_word_looks_below_the_data_folder(original, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LATENTSHAPE_DATA", raising=False)
    with pytest.raises(InputError, match=r"Where is CelebA.*LATENTSHAPE_DATA.*--data faces"):
        opened("celeba")
    monkeypatch.setenv("LATENTSHAPE_DATA", str(original.parent))
    assert len(opened("celeba")) == N


def test_images_in_subfolders_keep_ids_of_their_own(celeba):
    for part in ("a", "b"):
        (celeba / IMAGES / part).mkdir()
        shutil.copy(celeba / IMAGES / "000001.jpg", celeba / IMAGES / part)
    dataset = opened(celeba)
    assert len(set(dataset.ids.tolist())) == N + 2
    rows = [dataset.ids.tolist().index(name) for name in ("000001.jpg", "a/000001.jpg")]
    assert np.array_equal(dataset.attributes[rows[0]], dataset.attributes[rows[1]])


# --- CelebA: annotation ---------------------------------------------------------------------------


@pytest.mark.parametrize("count", [True, False])
@pytest.mark.parametrize("trailing", [" ", ""])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_attributes_are_read_however_the_file_was_saved(celeba, count, trailing, ending, start):
    text = start + attribute_text(N, count=count, trailing=trailing).replace("\n", ending)
    (celeba / LISTED).write_bytes(text.encode())
    listing = read_celeba(celeba)
    assert listing.attribute_names == ATTRIBUTES
    assert np.array_equal(listing.attributes, truth())


def test_tabs_and_blank_lines_separate_too(celeba):
    for name in (LISTED, PARTITION):
        text = (celeba / name).read_text()
        (celeba / name).write_text(text.replace(" ", "\t").replace("\n", "\n\n") + " \n")
    listing = read_celeba(celeba)
    assert np.array_equal(listing.attributes, truth())
    assert listing.split.tolist() == [celeba_like.split_of(i) for i in range(N)]


def test_without_annotation_the_pipeline_goes_on(celeba):
    (celeba / LISTED).unlink()
    (celeba / PARTITION).unlink()
    write_images(celeba / IMAGES, 60)
    dataset = opened(celeba)
    assert len(dataset) == 60
    assert dataset.attributes is None
    assert dataset.attribute_names == ()
    assert np.array_equal(dataset.split, hash_split(dataset.ids.tolist()))
    assert len(dataset.notices) == 2
    assert "no list_eval_partition.txt: split by a stable hash" in dataset.notices[0]
    assert "no list_attr_celeba.txt: going on without attributes" in dataset.notices[1]


def test_images_without_rows_are_kept_and_announced(celeba):
    for name in (LISTED, PARTITION):
        lines = (celeba / name).read_text().splitlines(keepends=True)
        (celeba / name).write_text("".join(lines[:-3]))
    dataset = opened(celeba)
    assert len(dataset) == N
    assert (dataset.attributes[-3:] == 0).all()
    assert np.array_equal(dataset.attributes[:-3], truth()[:-3])
    assert np.array_equal(dataset.split[-3:], hash_split(celeba_like.names(N)[-3:]))
    assert dataset.split[:-3].tolist() == [celeba_like.split_of(i) for i in range(N - 3)]
    assert any("3 images are not in the partition" in notice for notice in dataset.notices)
    assert any("3 images have no row in list_attr_celeba" in notice for notice in dataset.notices)


def test_rows_without_images_are_a_partial_copy_and_nothing_to_mention(celeba):
    for i in (0, 4, 11):
        (celeba / IMAGES / celeba_like.names(N)[i]).unlink()
    dataset = opened(celeba)
    left = [i for i in range(N) if i not in (0, 4, 11)]
    assert dataset.notices == ()
    assert np.array_equal(dataset.attributes, truth()[left])
    assert dataset.split.tolist() == [celeba_like.split_of(i) for i in left]


def test_a_partition_that_leaves_a_split_empty_is_replaced(celeba):
    write_images(celeba / IMAGES, 60)
    names = celeba_like.names(60)
    (celeba / PARTITION).write_text("".join(f"{name} 0\n" for name in names))
    dataset = opened(celeba)
    assert np.array_equal(dataset.split, hash_split(names))
    assert any("falls into validation, test" in notice for notice in dataset.notices)


GARBAGE = np.random.default_rng(0).integers(0, 256, 3_000).astype(np.uint8).tobytes()
DAMAGED = {
    "a column too few": (LISTED, lambda t: t.rsplit(" ", 1)[0] + "\n", "expected 31 values"),
    "a column too many": (LISTED, lambda t: t.rstrip() + " 1\n", "expected 31 values"),
    "a value of 2": (LISTED, lambda t: t.rstrip()[:-2] + " 2\n", "expected 31 values"),
    "cut in a row": (LISTED, lambda t: t[: len(t) // 2], "expected 31 values"),
    "words for values": (LISTED, lambda t: t.replace("-1", "no"), "expected 31 values"),
    "no header": (LISTED, lambda t: t.split("\n", 2)[2], "expected a line with the attributes' n"),
    "header only": (LISTED, lambda t: "\n".join(t.split("\n")[:2]), "expected one row per image"),
    "empty": (LISTED, lambda t: "", "expected one row per image"),
    "prose": (LISTED, lambda t: "Not\nfound\n", "expected an image name .* found 'found'"),
    "split 3": (PARTITION, lambda t: t.replace(" 2\n", " 3\n"), "expected '<image> 0|1|2'"),
    "no split": (PARTITION, lambda t: t.replace(" 2\n", "\n"), "expected '<image> 0|1|2'"),
    "two splits": (PARTITION, lambda t: t.replace(" 2\n", " 0 2\n"), "expected '<image> 0|1|2'"),
    "empty partition": (PARTITION, lambda t: "", "expected one row per image"),
    "a page of HTML": (PARTITION, lambda t: "<html>\n<body>\n", "expected an image name"),
}


@pytest.mark.parametrize(("name", "spoil", "words"), DAMAGED.values(), ids=DAMAGED)
def test_damaged_annotation_is_a_sentence_with_a_cure(celeba, name, spoil, words):
    path = celeba / name
    path.write_text(spoil(path.read_text()))
    with pytest.raises(InputError, match=f"{name}: {words}") as caught:
        opened(celeba)
    assert "Restore the file, or remove it" in str(caught.value)
    path.unlink()
    assert len(read_celeba(celeba).ids) == N


@pytest.mark.parametrize("name", [LISTED, PARTITION])
@pytest.mark.parametrize("content", [GARBAGE, GARBAGE.replace(b"\n", b"."), b"\0" * 999, b"\n\n"])
def test_binary_garbage_is_a_sentence(celeba, name, content):
    (celeba / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name}: expected .* Restore the file"):
        read_celeba(celeba)


def test_mutated_annotation_never_raises_anything_else(celeba):
    rng = np.random.default_rng(5)
    whole = {name: (celeba / name).read_bytes() for name in (LISTED, PARTITION)}
    refused = 0
    for round_ in range(120):
        name = (LISTED, PARTITION)[round_ % 2]
        (celeba / name).write_bytes(mutated(whole[name], rng))
        try:
            listing = read_celeba(celeba)
            assert listing.attributes.shape[0] == len(listing.split) == N
        except InputError:
            refused += 1
        (celeba / name).write_bytes(whole[name])
    assert 10 < refused < 120


# --- crops ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("crop", CROPS)
def test_a_crop_is_the_hand_made_pillow_call(original, crop):
    dataset = opened(original, size=64, crop=crop)
    for row in (0, 17):
        with Image.open(original / IMAGES / dataset.ids[row]) as image:
            expected = image.crop(CROPS[crop]).resize((64, 64), Image.Resampling.BILINEAR)
        assert np.array_equal(dataset.pixels[row], np.asarray(expected))


def test_auto_is_the_centre_of_celeba_and_the_square_of_a_folder(original, tmp_path):
    auto, centre = opened(original), opened(original, crop="centre-140")
    assert auto.fingerprint == centre.fingerprint
    auto, square = (opened(f"folder:{original}", crop=crop) for crop in ("auto", "square"))
    assert auto.fingerprint == square.fingerprint != centre.fingerprint
    with Image.open(original / IMAGES / "000001.jpg") as image:
        expected = image.crop((0, 20, 178, 198)).resize((16, 16), Image.Resampling.BILINEAR)
    assert np.array_equal(square.pixels[0], np.asarray(expected))


@given(st.integers(1, 4_000), st.integers(1, 4_000), st.sampled_from(["square", *CROPS]))
@settings(max_examples=300, deadline=None)
def test_a_crop_lies_inside_any_image_in_its_own_proportions(width, height, crop):
    left, top, right, bottom = crop_box(crop, width, height)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert right - left == pytest.approx(bottom - top)
    if crop != "square":
        x0, _, x1, _ = CROPS[crop]
        scale = min(width / 178, height / 218)
        assert (right - left) / scale == pytest.approx(x1 - x0)


@pytest.mark.parametrize("shape", [(783, 1852), (1, 1), (3, 500), (178, 218), (17, 16)])
@pytest.mark.parametrize("crop", ["square", *CROPS])
def test_any_image_size_can_be_cut(shape, crop):
    image = Image.new("RGB", shape, (10, 20, 30))
    small = cache.cut_square(image, crop_box(crop, *shape), 8)
    assert (np.asarray(small) == (10, 20, 30)).all()  # no black from beyond the border


@pytest.mark.parametrize("crop", ["centre", "140", "", "Square"])
def test_an_unknown_crop_is_named(original, crop):
    with pytest.raises(InputError, match="crop must be auto, square, centre-140"):
        opened(original, crop=crop)


# --- folders of anything --------------------------------------------------------------------------

PICTURES = faces(range(120), size=32)


def write_folder(root, n=60, suffix=".png", **options):
    """n faces as files; 60 or more fill all three splits."""
    root.mkdir(parents=True, exist_ok=True)
    for i in range(n):
        Image.fromarray(PICTURES[i]).save(root / f"{i:03d}{suffix}", **options)
    return root


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "pictures")


def test_a_flat_folder_gives_its_pixels(folder):
    dataset = opened(folder, size=32)
    assert dataset.kind == "folder"
    assert np.array_equal(dataset.pixels, PICTURES[:60])
    assert dataset.ids.tolist() == [f"{i:03d}.png" for i in range(60)]
    assert dataset.attributes is None
    assert dataset.converted == {}
    assert dataset.unreadable == {}
    assert dataset.notices == ("no official partition: split by a stable hash of the image ids",)


def test_nested_folders_hidden_files_and_odd_names(tmp_path):
    root = write_folder(tmp_path / "p")
    for name in ("deep/er/a b.png", "gesichter/Zoë 笑.PNG", "x.y/z.jpeg"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(PICTURES[70]).save(root / name)
    (root / "notes.txt").write_text("not an image")
    for hidden in (".thumb.png", ".cache/a.png"):
        (root / hidden).parent.mkdir(exist_ok=True)
        Image.fromarray(PICTURES[70]).save(root / hidden)
    ids = opened(root).ids.tolist()
    assert ids[60:] == ["deep/er/a b.png", "gesichter/Zoë 笑.PNG", "x.y/z.jpeg"]


def test_a_name_that_is_no_text_gets_an_id_that_is(tmp_path):
    root = write_folder(tmp_path / "p")
    try:
        os.rename(os.fsencode(root / "000.png"), os.fsencode(root) + b"/\xff\xe9.png")
    except OSError:
        pytest.skip("this file system wants text")
    dataset = opened(root)
    assert "\\xff\\xe9.png" in dataset.ids.tolist()
    "".join(dataset.ids.tolist()).encode()


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
    assert dataset.unreadable == {}
    expected = {"exif-rotated": 1, "grey": 2, "rgba": 2, "palette": 1, "cmyk": 1, "16-bit": 2}
    assert dataset.converted == expected
    for row in np.flatnonzero(np.isin(dataset.ids, list(MODES))):
        seen = dataset.pixels[row].mean(axis=2).ravel()
        like = np.asarray(picture.convert("L").resize((32, 32))).ravel()
        assert np.corrcoef(seen, like)[0, 1] > 0.7, dataset.ids[row]
    assert dataset.summary()["converted"] == expected


def test_grey_is_luma_from_files_and_from_factors_alike(folder):
    grey = opened(folder, size=32, channels=1)
    assert grey.pixels.shape == (60, 32, 32, 1)
    expected = np.stack([np.asarray(Image.fromarray(p).convert("L")) for p in PICTURES[:60]])
    assert np.array_equal(grey.pixels[..., 0], expected)
    procedural = open_dataset("faces:n=60", size=32, channels=1)
    assert procedural.pixels.shape == (60, 32, 32, 1)
    assert np.abs(procedural.pixels[..., 0].astype(int) - expected).max() <= 1


# --- broken images --------------------------------------------------------------------------------


def mutated(content, rng):
    """Bytes changed, cut, repeated or swapped, as bad copies are."""
    data = bytearray(content)
    kind = rng.integers(4)
    if kind == 0:
        for place in rng.integers(0, len(data), rng.integers(1, 20)):
            data[place] = rng.integers(256)
    elif kind == 1:
        data = data[: rng.integers(0, len(data))]
    elif kind == 2:
        at, length = rng.integers(0, len(data)), rng.integers(1, 200)
        data[at : at + length] = rng.integers(0, 256, length).astype(np.uint8).tobytes()
    else:
        a, b = sorted(rng.integers(0, len(data), 2))
        data = data[:a] + data[b:] + data[a:b]
    return bytes(data)


def test_a_few_broken_images_are_skipped_counted_and_listed(tmp_path):
    root = write_folder(tmp_path / "p", 120, ".jpg", quality=90)
    whole = (root / "005.jpg").read_bytes()
    (root / "005.jpg").write_bytes(whole[:-60])
    (root / "017.jpg").write_bytes(b"")
    (root / "040.jpg").write_text("404 Not Found")
    (root / "dangling.jpg").symlink_to(tmp_path / "nowhere.jpg")
    dataset = opened(root, size=32)
    assert len(dataset) == 117
    assert list(dataset.unreadable) == ["005.jpg", "017.jpg", "040.jpg", "dangling.jpg"]
    reasons = list(dataset.unreadable.values())
    for words, reason in zip(("truncated", "an empty file", "no image", "No such file"), reasons):
        assert words in reason
        assert str(tmp_path) not in reason
    assert dataset.summary()["unreadable"] == dataset.unreadable
    assert len(dataset.split) == len(dataset.ids) == 117
    with Image.open(root / "018.jpg") as image:  # rows after a gap keep their own pixels
        row = dataset.ids.tolist().index("018.jpg")
        assert np.array_equal(dataset.pixels[row], np.asarray(image))


def test_broken_images_take_their_annotation_with_them(celeba):
    (celeba / IMAGES / "000008.jpg").write_bytes(b"broken")
    dataset = opened(celeba)
    left = [i for i in range(N) if i != 7]
    assert np.array_equal(dataset.attributes, truth()[left])
    assert dataset.split.tolist() == [celeba_like.split_of(i) for i in left]


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_random_damage_is_decoded_or_counted_never_raised(tmp_path, monkeypatch, suffix):
    root = write_folder(tmp_path / "p", 60, suffix)
    contents = [path.read_bytes() for path in sorted(root.iterdir())]
    rng = np.random.default_rng(1)
    for i in range(150):
        (root / f"m{i:03d}{suffix}").write_bytes(mutated(contents[i % 60], rng))
    monkeypatch.setattr(cache, "MAX_UNREADABLE", 1.0)
    dataset = opened(root)
    assert len(dataset) + len(dataset.unreadable) == 210
    assert set(dataset.unreadable) <= {f"m{i:03d}{suffix}" for i in range(150)}
    assert len(dataset.unreadable) > 20
    assert all(0 < len(reason) <= 200 for reason in dataset.unreadable.values())


def test_a_decompression_bomb_is_counted(tmp_path, monkeypatch):
    root = write_folder(tmp_path / "p")
    Image.new("L", (200, 200)).save(root / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30_000)
    dataset = opened(root)
    assert list(dataset.unreadable) == ["bomb.png"]
    assert "bomb" in dataset.unreadable["bomb.png"]


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


def test_nothing_usable_is_refused(tmp_path):
    root = tmp_path / "p"
    root.mkdir()
    for name in ("a.jpg", "b.jpg"):
        (root / name).write_text("no image")
    with pytest.raises(InputError, match=r"2 of 2 images in .* cannot be read .*no image in it"):
        opened(root)


# --- nothing there --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["", "folder:", "celeba:"])
def test_what_is_not_a_folder_of_images_is_named(tmp_path, kind):
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    for i in range(7):
        (tmp_path / "texts" / f"{i}.txt").touch()
    (tmp_path / "a.zip").write_bytes(b"PK")
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    expected = {
        "missing": "found:? nothing.*--data faces|found:? nothing.*or faces",
        "empty": "found: an empty folder",
        "texts": r"found: 0.txt, 1.txt, 2.txt, 3.txt, 4.txt \.\.\.",
        "a.zip": "found:? a file.*[Uu]nzip",
        "link": "found:? a link that leads nowhere",
        "~nobody-here/x": "nothing",
        "a\0b": "nothing",
    }
    for name, words in expected.items():
        path = name if name.startswith("~") else tmp_path / name
        with pytest.raises(InputError, match=words):
            opened(f"{kind}{path}")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("spec", ["", " "])
def test_no_spec_is_not_the_current_folder(folder, monkeypatch, spec):
    monkeypatch.chdir(folder)
    with pytest.raises(InputError, match="Expected --data faces, or the path of a folder"):
        opened(spec)


def test_an_unreadable_folder_is_named(folder, monkeypatch):
    (folder / "sub").mkdir()
    scandir = os.scandir

    def refuse(path):
        if os.fspath(path).endswith("sub"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(
        InputError, match=r"Cannot read the folder .*sub.*: Permission denied. Make"
    ):
        opened(folder)


@pytest.mark.parametrize("options", [{"size": 0}, {"size": -4}, {"size": 2.5}, {"channels": 2}])
def test_a_size_or_depth_that_is_none_is_named_before_any_work(folder, options, own_cache):
    for spec in (folder, "faces:n=60"):
        with pytest.raises(InputError, match=f"{next(iter(options))} must be"):
            opened(spec, **options)
    assert not own_cache.exists()


def test_too_few_images_for_three_splits_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"3 usable images are too few.*Use at least 100"):
        opened(write_folder(tmp_path / "p", 3))


# --- the cache ------------------------------------------------------------------------------------


@pytest.fixture
def decodings(monkeypatch):
    """How many images were decoded so far."""
    count = SimpleNamespace(n=0)

    def counting(*arguments):
        count.n += 1
        return real(*arguments)

    real = cache.open_image
    monkeypatch.setattr(cache, "open_image", counting)
    return count


def key_of(dataset):
    """The cache entry's name: the folder that the pixels are mapped from."""
    return Path(dataset.pixels.filename).parent.name


def entries(folder):
    return sorted(p.name for p in folder.iterdir() if p.name != "listings")


def test_a_second_opening_decodes_nothing(folder, decodings, own_cache):
    first = opened(folder)
    assert decodings.n == 60
    second = opened(folder)
    assert decodings.n == 60
    assert second.fingerprint == first.fingerprint
    assert np.array_equal(second.pixels, first.pixels)
    assert second.unreadable == first.unreadable
    assert isinstance(second.pixels, np.memmap)
    assert not second.pixels.flags.writeable
    assert entries(own_cache) == [key_of(first)]


def test_the_same_images_elsewhere_share_an_entry(folder, decodings, tmp_path, own_cache):
    first = opened(folder)
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert opened(copy).fingerprint == first.fingerprint
    assert decodings.n == 60
    assert entries(own_cache) == [key_of(first)]


def test_any_change_of_content_changes_the_fingerprint(folder):
    prints = [opened(folder).fingerprint]
    Image.fromarray(PICTURES[90]).save(folder / "007.png")
    prints.append(opened(folder).fingerprint)
    (folder / "008.png").rename(folder / "x.png")
    prints.append(opened(folder).fingerprint)
    (folder / "009.png").unlink()
    prints.append(opened(folder).fingerprint)
    assert len(set(prints)) == 4


def test_a_change_that_hides_behind_equal_size_and_time_is_seen(tmp_path):
    """Archives give every file the same time, and uncompressed pictures all have one size."""
    one, other = (write_folder(tmp_path / name, 60, ".bmp") for name in ("one", "other"))
    Image.fromarray(PICTURES[90]).save(other / "007.bmp")
    for path in [*one.iterdir(), *other.iterdir()]:
        os.utime(path, (0, 0))
    before = opened(one)
    assert opened(other).fingerprint != before.fingerprint
    Image.fromarray(PICTURES[90]).save(one / "007.bmp")
    os.utime(one / "007.bmp", (0, 0))
    after = opened(one)
    assert after.fingerprint == opened(other).fingerprint
    assert not np.array_equal(after.pixels[7], before.pixels[7])


@pytest.mark.parametrize("options", [{"size": 17}, {"channels": 1}, {"crop": "centre-148"}])
def test_options_are_part_of_the_key(folder, options):
    assert opened(folder).fingerprint != opened(folder, **options).fingerprint


@pytest.mark.parametrize("spec", ["faces:n=100", "folder"])
def test_a_full_disk_is_a_sentence_and_leaves_nothing(folder, monkeypatch, own_cache, spec):
    usage = SimpleNamespace(free=1_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    spec = folder if spec == "folder" else spec
    with pytest.raises(InputError, match=r"need 0.00 GB in .* Make room, or set LATENTSHAPE_CACHE"):
        opened(spec)
    assert entries(own_cache) == []
    usage.free = 10**9
    assert len(opened(spec)) >= 60


def test_a_disk_that_fills_up_while_reserving_is_a_sentence(folder, monkeypatch, own_cache):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(
        InputError, match=r"Cannot keep decoded images in .*No space left on device"
    ):
        opened(folder)
    assert entries(own_cache) == []


def test_a_cache_that_cannot_be_written_is_a_sentence(folder, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("LATENTSHAPE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(InputError, match=r"Cannot keep decoded images in .*set LATENTSHAPE_CACHE"):
        opened(folder)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_build_that_dies_leaves_no_entry_and_the_next_one_works(own_cache, error):
    def die(pixels):
        pixels[:] = 7
        raise error

    with pytest.raises(error):
        cache.build_entry("key", (4, 2, 2, 3), die)
    assert entries(own_cache) == []
    entry = cache.build_entry("key", (4, 2, 2, 3), lambda pixels: {"rows": 3})
    assert entry.pixels.shape == (3, 2, 2, 3)
    assert entries(own_cache) == ["key"]


def _die_in_the_middle(folder):
    def fill(pixels):
        pixels[:] = 7
        os._exit(9)

    os.environ["LATENTSHAPE_CACHE"] = folder
    cache.build_entry("key", (4, 2, 2, 3), fill)


def test_a_killed_build_leaves_nothing_that_passes_for_an_entry(own_cache):
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_die_in_the_middle, args=(str(own_cache),))
    process.start()
    process.join(60)
    assert process.exitcode == 9
    assert "key" not in entries(own_cache)
    entry = cache.build_entry("key", (4, 2, 2, 3), lambda pixels: {"rows": 4})
    assert (entry.pixels == 0).all()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda entry: (entry / "facts.json").unlink(),
        lambda entry: (entry / "facts.json").write_text("{"),
        lambda entry: (entry / "facts.json").write_text("[]"),
        lambda entry: (entry / "pixels.npy").unlink(),
        lambda entry: (entry / "pixels.npy").write_bytes(b""),
        lambda entry: os.truncate(entry / "pixels.npy", 5_000),
    ],
)
def test_a_damaged_entry_is_built_again(folder, own_cache, spoil):
    before = opened(folder)
    pixels = before.pixels.copy()
    spoil(own_cache / key_of(before))
    again = opened(folder)
    assert np.array_equal(again.pixels, pixels)
    assert entries(own_cache) == [key_of(before)]


def test_an_entry_that_cannot_be_replaced_is_named(own_cache):
    own_cache.mkdir()
    (own_cache / "key").write_text("a file in the way")
    with pytest.raises(InputError, match=r"key is damaged and cannot be replaced. Remove"):
        cache.build_entry("key", (4, 2, 2, 3), lambda pixels: {})
    assert entries(own_cache) == ["key"]


def test_two_builders_at_once_both_succeed(own_cache):
    meeting = threading.Barrier(2, timeout=30)
    results = []

    def build():
        def fill(pixels):
            meeting.wait()  # both are in the middle of it
            pixels[:] = 7
            return {"rows": 3}

        results.append(cache.build_entry("key", (4, 2, 2, 3), fill))

    threads = [threading.Thread(target=build) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == 2
    assert all((entry.pixels == 7).all() and len(entry.pixels) == 3 for entry in results)
    assert entries(own_cache) == ["key"]


def test_entries_are_readable_by_whom_the_umask_allows(folder, own_cache):
    before = os.umask(0o022)
    try:
        entry = own_cache / key_of(opened(folder))
    finally:
        os.umask(before)
    assert entry.stat().st_mode & 0o777 == 0o755
    assert {p.stat().st_mode & 0o777 for p in entry.iterdir()} == {0o644}


def test_facts_say_where_the_pixels_came_from(folder, own_cache):
    dataset = opened(folder)
    facts = json.loads((own_cache / key_of(dataset) / "facts.json").read_text())
    assert facts["source"] == str(folder)
    assert facts["options"]["size"] == 16
    assert facts["kept"] == list(range(60))


def test_what_cannot_be_read_today_is_read_tomorrow(tmp_path):
    root = write_folder(tmp_path / "p", 100)
    (root / "000.png").rename(tmp_path / "away.png")
    (root / "000.png").symlink_to(tmp_path / "there.png")
    assert list(opened(root).unreadable) == ["000.png"]
    (tmp_path / "away.png").rename(tmp_path / "there.png")
    assert opened(root).unreadable == {}


# --- procedural faces -----------------------------------------------------------------------------


def test_faces_are_the_faces_with_their_attributes():
    dataset = open_dataset("faces:n=300,seed=5", size=32)
    assert dataset.kind == "faces"
    assert np.array_equal(dataset.pixels, faces(range(300), seed=5, size=32))
    assert dataset.ids[7] == "face-5-0000007"
    assert dataset.attribute_names == ATTRIBUTES
    expected = celeba_like.attributes_of(draw_factors(range(300), seed=5))
    assert np.array_equal(dataset.attributes, expected)
    assert dataset.notices == ()


def test_faces_are_the_same_each_time_and_others_for_another_seed(own_cache):
    first = open_dataset("faces:n=60", size=16)
    shutil.rmtree(own_cache)
    again = open_dataset("faces:seed=0,n=60", size=16)
    assert again.fingerprint == first.fingerprint
    assert np.array_equal(again.pixels, faces(range(60), size=16))
    others = [
        open_dataset(spec, size=size).fingerprint
        for spec, size in (("faces:n=60,seed=1", 16), ("faces:n=61", 16), ("faces:n=60", 17))
    ]
    assert len({first.fingerprint, *others}) == 4


def test_bare_faces_are_twelve_thousand(monkeypatch):
    asked = {}

    def build_entry(key, shape, fill):
        asked["shape"] = shape
        return cache.CacheEntry(key, np.zeros(shape, np.uint8), {})

    monkeypatch.setattr("latentshape.data.build_entry", build_entry)
    for spec in ("faces", "faces:"):
        assert len(open_dataset(spec, size=16)) == 12_000
        assert asked["shape"] == (12_000, 16, 16, 3)


@pytest.mark.parametrize("options", ["n=0", "n=-5", "n=many", "n", "n=", "m=3", "n=5;seed=1", "7"])
def test_bad_options_of_faces_are_named(options):
    with pytest.raises(InputError, match=r"Expected faces:n=COUNT,seed=NUMBER, got .* Example"):
        open_dataset(f"faces:{options}")


def test_a_seed_or_size_beyond_the_faces_is_named(own_cache):
    with pytest.raises(InputError, match="seed must be an integer"):
        open_dataset(f"faces:n=60,seed={2**64}")
    with pytest.raises(InputError, match="size must be an integer from 16 to 512"):
        open_dataset("faces:n=60", size=8)
    assert not own_cache.exists()


# --- splits ---------------------------------------------------------------------------------------


def test_a_hash_splits_eighty_ten_ten():
    counts = np.bincount(hash_split([f"{i:06d}.jpg" for i in range(20_000)])) / 20_000
    assert np.abs(counts - [0.8, 0.1, 0.1]).max() < 5 * np.sqrt(0.8 * 0.2 / 20_000)


@given(st.lists(st.text(max_size=20), min_size=1, max_size=40, unique=True), st.randoms())
@settings(max_examples=50, deadline=None)
def test_an_image_keeps_its_split_in_any_company(ids, random):
    alone = {i: int(hash_split([i])[0]) for i in ids}
    shuffled = random.sample(ids, len(ids))
    assert hash_split(shuffled).tolist() == [alone[i] for i in shuffled]


def test_an_image_keeps_its_split_when_others_join(folder):
    before = opened(folder)
    Image.fromarray(PICTURES[100]).save(folder / "0000.png")
    Image.fromarray(PICTURES[101]).save(folder / "zzz.png")
    after = opened(folder)
    kept = np.isin(after.ids, before.ids)
    assert kept.sum() == 60
    assert np.array_equal(after.split[kept], before.split)


def test_the_splits_are_a_partition():
    dataset = open_dataset("faces:n=200", size=16)
    rows = np.concatenate([dataset.indices(name) for name in SPLITS])
    assert sorted(rows) == list(range(200))
    summary = dataset.summary()
    assert summary["images"] == 200
    assert sum(summary["splits"].values()) == 200
    assert json.loads(json.dumps(summary)) == summary


def test_gaps_in_a_partition_are_filled_and_announced():
    ids = [f"{i}.jpg" for i in range(100)]
    official = np.array([i % 3 for i in range(99)] + [-1], dtype=np.int8)
    split, notices = complete_split(ids, official)
    assert split[:99].tolist() == official[:99].tolist()
    assert split[99] == hash_split(ids)[99]
    assert notices == ["1 images are not in the partition: split by a hash"]
    assert complete_split(ids[:99], official[:99])[1] == []
