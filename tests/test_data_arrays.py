"""Arrays of images: exact values back, names understood, every lie in a header a sentence."""

import io
import os
import pickle
import warnings
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from latentshape.data import array_pictures
from latentshape.data.array_pictures import ArrayPictures, ImageArray
from latentshape.data.arrays import find_arrays, read_arrays
from latentshape.data.stored_arrays import Mapped
from latentshape.data.trees import open_tree
from latentshape.errors import InputError

SHARED = os.environ.get("LATENTSHAPE_DATA", "")


def listed(path):
    return read_arrays(open_tree(path))


def contents(listing):
    found = list(listing.pictures.contents(0))
    assert len(found) == len(listing.pictures) == len(listing.ids)
    return found


def pixels(listing):
    return np.stack(contents(listing))


def refusal(path):
    with pytest.raises(InputError) as caught:
        listed(path)
    return str(caught.value)


def random_pixels(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


# --- shapes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_the_shapes_of_images(tmp_path, suffix):
    path = tmp_path / f"images.{suffix}"
    save = np.save if suffix == "npy" else lambda p, x: np.savez_compressed(p, images=x)
    grey, colour = random_pixels(7, 9, 6), random_pixels(7, 9, 6, 3)
    for stored, expected in [
        (grey, grey[..., None]),
        (grey[..., None], grey[..., None]),
        (grey[:, None], grey[..., None]),
        (colour, colour),
        (np.moveaxis(colour, -1, 1).copy(), colour),
        (np.asfortranarray(colour), colour),
        (colour.astype(">i4"), colour),
    ]:
        save(path, stored)
        listing = listed(path)
        assert np.array_equal(pixels(listing), expected)
        assert listing.kind == "arrays"
        assert listing.where == str(path)
        assert listing.why == path.name
        assert listing.split is None
        assert listing.ids == [f"{i:07d}" for i in range(7)]
        assert not listing.notices


def test_channels_last_wins_and_says_so(tmp_path):
    images = random_pixels(5, 3, 8, 3)
    np.save(tmp_path / "x.npy", images)
    listing = listed(tmp_path)
    assert np.array_equal(pixels(listing), images)
    assert "read as last" in listing.notices[0]


@pytest.mark.parametrize("first", [False, True])
def test_transparency_is_laid_over_white_as_in_image_files(tmp_path, first):
    images = random_pixels(4, 6, 5, 4)
    np.save(tmp_path / "x.npy", np.moveaxis(images, -1, 1) if first else images)
    white = Image.new("RGBA", (5, 6), "white")
    expected = [
        np.asarray(Image.alpha_composite(white, Image.fromarray(p)).convert("RGB")) for p in images
    ]
    assert np.array_equal(pixels(listed(tmp_path)), np.stack(expected))


@pytest.mark.parametrize(
    "shape", [(64,), (8, 8), (64, 64, 3), (5, 8, 8, 2), (2, 2, 8, 8, 3), (0, 8, 8)]
)
def test_what_is_no_array_of_images_is_named_with_its_shape(tmp_path, shape):
    np.save(tmp_path / "a.npy", np.zeros(shape, np.uint8))
    said = refusal(tmp_path)
    assert str(shape) in said
    assert "(n, h, w, c)" in said


# --- values ---------------------------------------------------------------------------------------


DTYPES = ["uint8", "bool", "uint16", "float16", "float32", "float64", "int16", "int64", "uint32"]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    dtype=st.sampled_from(DTYPES),
    order=st.sampled_from("<>"),
    n=st.integers(1, 5),
    h=st.integers(1, 9),
    w=st.integers(5, 9),
    c=st.sampled_from([0, 1, 3]),
    fortran=st.booleans(),
    packed=st.booleans(),
    seed=st.integers(0, 9),
)
def test_every_type_comes_back_exactly(tmp_path, dtype, order, n, h, w, c, fortran, packed, seed):
    shape = (n, h, w, c) if c else (n, h, w)
    expected = random_pixels(*shape, seed=seed)
    expected.flat[0] = 255
    if dtype == "bool":
        expected = np.where(expected > 99, 255, 0).astype(np.uint8)
    stored = {"bool": expected > 0, "uint16": expected.astype(np.uint16) * 257}.get(dtype, expected)
    if dtype.startswith("float") and seed % 2:
        stored = expected / np.float64(255)
    stored = stored.astype(np.dtype(dtype).newbyteorder(order), order="F" if fortran else "C")
    path = tmp_path / ("a.npz" if packed else "a.npy")
    (np.savez if packed else np.save)(path, stored)
    assert np.array_equal(pixels(listed(path)), expected.reshape(n, h, w, c or 1))


def test_one_range_holds_for_all_splits(tmp_path):
    train, test = np.full((2, 8, 8), 200.0), np.full((2, 8, 8), 0.5)
    np.savez(tmp_path / "a.npz", x_train=train, x_test=test)
    assert pixels(listed(tmp_path / "a.npz"))[:, 0, 0, 0].tolist() == [200, 200, 0, 0]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (-1.0, ["-1 to 0.5", "(images + 1) / 2"]),
        (-9.0, ["-9 to 0.5", "images.min()"]),
        (256.0, ["0.5 to 256", "256 or more"]),
        (np.nan, ["NaN"]),
        (np.inf, ["infinity"]),
    ],
)
def test_values_out_of_range_are_named_with_the_cure(tmp_path, value, words):
    images = np.full((3, 8, 8), 0.5, np.float32)
    images[2, 7, 7] = value
    for save, path in [(np.save, tmp_path / "a.npy"), (np.savez, tmp_path / "b.npz")]:
        save(path, images)
        said = refusal(path)
        assert all(word in said for word in [*words, path.name])


def test_the_range_is_that_of_the_last_block_too(tmp_path, monkeypatch):
    monkeypatch.setattr(array_pictures, "BLOCK", 64)
    images = np.full((50, 8, 8), 0.5)
    images[49, 7, 7] = 200
    np.save(tmp_path / "a.npy", images)
    found = pixels(listed(tmp_path / "a.npy"))
    assert found[0].max() == 0
    assert found[49].max() == 200


@pytest.mark.parametrize(("dtype", "top"), [("uint16", 255), ("int64", 1)])
def test_nearly_black_pictures_are_remarked(tmp_path, dtype, top):
    np.save(tmp_path / "a.npy", np.full((3, 8, 8), top, dtype))
    assert "nearly black" in listed(tmp_path).notices[0]


@pytest.mark.parametrize("dtype", ["complex64", "datetime64[s]", "U3", "V8", "f4,i4"])
def test_other_types_are_refused(tmp_path, dtype):
    np.save(tmp_path / "a.npy", np.zeros((3, 8, 8), dtype))
    assert "a.npy" in refusal(tmp_path)


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_pickles_are_never_opened(tmp_path, suffix):
    class Trap:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "sprung"),))

    images = np.full((2, 8, 8), Trap(), dtype=object)
    if suffix == "npy":
        np.save(tmp_path / "a.npy", images, allow_pickle=True)
    else:
        np.savez(tmp_path / "a.npz", images=random_pixels(2, 8, 8), labels=images[:, 0, 0])
    assert "pickled" in refusal(tmp_path)
    assert not (tmp_path / "sprung").exists()


# --- names ----------------------------------------------------------------------------------------


SPLITS = {
    "keras": ("x_train", "y_train", None, None, "x_test", "y_test"),
    "keras with validation": ("x_train", "y_train", "x_val", "y_val", "x_test", "y_test"),
    "medmnist": (
        "train_images", "train_labels", "val_images", "val_labels", "test_images", "test_labels",
    ),
}  # fmt: skip


@pytest.mark.parametrize("names", SPLITS.values(), ids=SPLITS)
@pytest.mark.parametrize("column", [False, True])
def test_splits_and_labels_in_one_file(tmp_path, names, column):
    images, labels = random_pixels(9, 8, 8, 3), np.array([0, 2, 1, 1, 0, 2, 2, 1, 0])
    stored, expected, split = {}, [], []
    for code, (x, y) in enumerate(zip(names[::2], names[1::2])):
        if x is not None:
            rows = slice(3 * code, 3 * code + 3)
            stored[x], stored[y] = images[rows], labels[rows, None] if column else labels[rows]
            expected += range(9)[rows]
            split += [code] * 3
    np.savez(tmp_path / "set.npz", **stored)
    listing = listed(tmp_path)
    assert np.array_equal(pixels(listing), images[expected])
    assert listing.split.tolist() == split
    assert listing.split.dtype == np.int8
    assert listing.columns["label"].tolist() == labels[expected].tolist()
    assert listing.attribute_names == ("label_0", "label_1", "label_2")
    assert np.array_equal(listing.attributes == 1, labels[expected][:, None] == range(3))
    assert listing.ids[0] == "train-0000000"
    assert listing.ids[-1] == "test-0000002"
    assert not listing.notices


@pytest.mark.parametrize("key", ["images", "x", "data", "arr_0", "whatever"])
def test_the_one_array_of_images(tmp_path, key):
    images = random_pixels(4, 8, 8)
    np.savez(
        tmp_path / "a.npz", **{key: images, "labels": np.arange(4), "points": np.ones((4, 5, 2))}
    )
    listing = listed(tmp_path)
    assert np.array_equal(pixels(listing)[..., 0], images)
    assert listing.columns["label"].tolist() == [0, 1, 2, 3]
    assert listing.notices == ["other arrays are left out: points"]


def test_several_arrays_of_images_need_a_name(tmp_path):
    np.savez(tmp_path / "a.npz", one=random_pixels(4, 8, 8), two=random_pixels(4, 8, 8))
    said = refusal(tmp_path)
    assert "one" in said
    assert "'images'" in said


def test_files_per_split(tmp_path):
    images = random_pixels(6, 8, 8)
    for code, name in enumerate(["train", "val", "test"]):
        np.save(tmp_path / f"{name}.npy", images[2 * code : 2 * code + 2])
        np.save(tmp_path / f"{name}_labels.npy", np.array([code, 7]))
    listing = listed(tmp_path)
    assert listing.split.tolist() == [0, 0, 1, 1, 2, 2]
    assert np.array_equal(pixels(listing)[..., 0], images)
    assert listing.columns["label"].tolist() == [0, 7, 1, 7, 2, 7]
    assert listing.ids[2] == "validation-0000000"


def test_folders_and_archives_per_split(tmp_path):
    images = random_pixels(4, 8, 8)
    for i, name in enumerate(["train", "test"]):
        (tmp_path / "a" / name).mkdir(parents=True)
        np.save(tmp_path / "a" / name / "images.npy", images[2 * i : 2 * i + 2])
        (tmp_path / "b").mkdir(exist_ok=True)
        np.savez(tmp_path / "b" / f"{name}.npz", images=images[2 * i : 2 * i + 2], labels=[i, i])
    for root in (tmp_path / "a", tmp_path / "b"):
        listing = listed(root)
        assert np.array_equal(pixels(listing)[..., 0], images)
        assert listing.split.tolist() == [0, 0, 2, 2]
    assert listing.columns["label"].tolist() == [0, 0, 1, 1]


def test_several_files_are_refused_by_name(tmp_path):
    np.save(tmp_path / "cats.npy", random_pixels(4, 8, 8))
    np.save(tmp_path / "dogs.npy", random_pixels(4, 8, 8))
    said = refusal(tmp_path)
    assert "cats.npy" in said
    assert f"--data {tmp_path / 'cats.npy'}" in said
    assert len(listed(tmp_path / "dogs.npy").pictures) == 4


def test_labels_beside_a_single_array(tmp_path):
    np.save(tmp_path / "faces.npy", random_pixels(4, 8, 8))
    np.save(tmp_path / "labels.npy", np.array(["cat", "dog", "cat", ""]))
    listing = listed(tmp_path)
    assert listing.attribute_names == ("cat", "dog")
    assert listing.attributes.tolist() == [[1, -1], [-1, 1], [1, -1], [0, 0]]


def test_attributes_names_and_ids(tmp_path):
    answers = np.array([[1, 0], [0, 1], [1, 1]])
    named = {"attribute_names": np.array(["Smiling", "Hat"]), "ids": np.array([b"a", b"b", b"c"])}
    np.savez(tmp_path / "a.npz", images=random_pixels(3, 8, 8), attributes=answers, **named)
    listing = listed(tmp_path)
    assert listing.attribute_names == ("Smiling", "Hat")
    assert np.array_equal(listing.attributes, 2 * answers - 1)
    assert listing.ids == ["a", "b", "c"]
    assert not listing.notices
    np.savez(
        tmp_path / "a.npz", images=random_pixels(3, 8, 8), attributes=answers > 0, ids=[1, 1, 2]
    )
    listing = listed(tmp_path)
    assert listing.attribute_names == ("attribute_0", "attribute_1")
    assert listing.ids[0] == "0000000"
    assert "rows are numbered" in listing.notices[0]


def test_several_labels_at_once_are_attributes(tmp_path):
    table = np.eye(3, dtype=np.uint8)
    np.savez(tmp_path / "a.npz", images=random_pixels(3, 8, 8), labels=table)
    listing = listed(tmp_path)
    assert listing.attribute_names == ("label_0", "label_1", "label_2")
    assert np.array_equal(listing.attributes, 2 * table.astype(int) - 1)
    np.savez(tmp_path / "a.npz", images=random_pixels(3, 8, 8), labels=table * 5)
    assert "left out" in listed(tmp_path).notices[0]


def test_numbers_that_are_no_classes(tmp_path):
    np.savez(tmp_path / "a.npz", images=random_pixels(3, 8, 8), y=[0.5, np.nan, 2])
    assert np.array_equal(listed(tmp_path).columns["target"], [0.5, np.nan, 2], equal_nan=True)
    for labels in ([1, 2, 2.0**60], [1, 2, np.inf]):
        np.savez(tmp_path / "a.npz", images=random_pixels(3, 8, 8), y=labels)
        assert "expected classes" in refusal(tmp_path)
    np.savez(tmp_path / "a.npz", images=random_pixels(3, 8, 8), y=["1", "2", "1e30"])  # names, then
    assert listed(tmp_path).attribute_names == ("1", "1e30", "2")


@pytest.mark.parametrize(
    ("beside", "words"),
    [
        ({"labels": np.arange(4)}, "one row per image"),
        ({"labels": np.int64(4)}, "one row per image"),
        ({"attributes": np.zeros(3)}, "(n, k)"),
        ({"attributes": np.full((3, 2), 5)}, "-1 and 1"),
        ({"attributes": np.zeros((3, 2)), "attribute_names": ["a"]}, "2 different names"),
        ({"attributes": np.full((3, 2), "x")}, "expected numbers"),
        ({"y": np.arange(3), "labels": np.arange(3)}, "could be the labels"),
    ],
)
def test_arrays_that_do_not_belong_to_the_images(tmp_path, beside, words):
    np.savez(tmp_path / "a.npz", images=random_pixels(3, 8, 8), **beside)
    said = refusal(tmp_path)
    assert words in said
    assert "a.npz" in said


def test_recognition(tmp_path):
    assert find_arrays(open_tree(tmp_path)) is None
    (tmp_path / "b.npz").write_bytes(b"no archive")
    assert find_arrays(open_tree(tmp_path)) == "b.npz"
    (tmp_path / "a.npy").write_bytes(b"no array")
    assert find_arrays(open_tree(tmp_path)) == "a.npy and 1 more arrays"
    for i in range(3):  # pictures, and arrays about them
        (tmp_path / f"{i}.jpg").write_bytes(b"")
    assert find_arrays(open_tree(tmp_path)) is None


def test_in_an_archive(tmp_path):
    images = random_pixels(5, 8, 8)
    for name, save in [("a.npy", np.save), ("b.npz", np.savez)]:
        inner = io.BytesIO()
        save(inner, images)
        with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
            archive.writestr(name, inner.getvalue())
        listing = listed(tmp_path / "set.zip")
        assert np.array_equal(pixels(listing)[..., 0], images)
        assert len(set(listing.pictures.stamps())) == 5


# --- pictures -------------------------------------------------------------------------------------


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=st.sets(st.integers(0, 19)), again=st.sets(st.integers(0, 19)), packed=st.booleans())
def test_taking_rows(tmp_path, rows, again, packed):
    images = random_pixels(20, 8, 8, 3)
    path = tmp_path / ("a.npz" if packed else "a.npy")
    if packed:
        np.savez(path, x_train=images[:12], x_test=images[12:])
    else:
        np.save(path, images)
    pictures = listed(path).pictures
    stamps = list(pictures.stamps())
    rows = np.array(sorted(rows), dtype=np.int64)
    some = pickle.loads(pickle.dumps(pictures.take(rows)))
    assert [p.tobytes() for p in some.contents(0)] == [images[r].tobytes() for r in rows]
    assert list(some.stamps()) == [stamps[r] for r in rows]
    more = np.array(sorted(a for a in again if a < len(rows)), dtype=np.int64)
    assert [p.tobytes() for p in some.take(more).contents(0)] == [
        images[r].tobytes() for r in rows[more]
    ]


def test_a_mapped_file_is_sent_as_its_path_and_read_by_blocks(tmp_path, monkeypatch):
    images = random_pixels(300, 16, 16)
    np.save(tmp_path / "a.npy", images)
    pictures = listed(tmp_path).pictures
    assert isinstance(pictures.parts[0].values, Mapped)
    assert len(pickle.dumps(pictures)) < 4000
    monkeypatch.setattr(array_pictures, "BLOCK", 1000)
    assert np.array_equal(np.stack(list(pictures.contents(0)))[..., 0], images)


def test_values_in_memory_are_sent_without_the_others():
    images = random_pixels(300, 16, 16)
    part = ImageArray(images, np.arange(300), None, "")
    assert len(pickle.dumps(ArrayPictures([part]).take(np.arange(10, 20)))) < 5000


def test_stamps_follow_the_file_and_its_meaning(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=random_pixels(3, 8, 8), x_test=random_pixels(3, 8, 8))
    pictures = listed(tmp_path).pictures
    before = list(pictures.stamps())
    assert len(set(before)) == 6
    assert before == list(listed(tmp_path).pictures.stamps())
    os.utime(tmp_path / "a.npz", (1, 1))
    assert not set(before) & set(pictures.stamps())
    (tmp_path / "a.npz").unlink()
    assert set(pictures.stamps()) == {b""}


def test_a_file_that_changed_since_is_counted_not_raised(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, random_pixels(5, 8, 8))
    pictures = listed(path).pictures
    path.write_bytes(path.read_bytes()[:200])
    found = list(pictures.contents(0))
    assert len(found) == 5
    assert all(isinstance(content, OSError) for content in found)
    path.unlink()
    assert all(isinstance(content, OSError) for content in pictures.contents(0))


# --- damage ---------------------------------------------------------------------------------------


def npy(array, **changes):
    file = io.BytesIO()
    np.save(file, array)
    content = file.getvalue()
    for old, new in changes.items():
        content = content.replace(old.encode(), new.encode())
    return content


def test_headers_that_lie(tmp_path):
    path = tmp_path / "a.npy"
    whole = npy(random_pixels(10, 8, 8))
    for content, words in [
        (whole[:-1], "639 follow"),
        (whole + b"x", "641 follow"),
        (whole[:50], "damaged"),
        (b"", "damaged"),
        (b"\x89PNG", "damaged"),
        (whole.replace(b"(10, 8, 8)", b"(99999999999, 8, 8)"), "follow"),
        (whole.replace(b"(10, 8, 8)", b"(-10, -8, 8)"), "shape"),
        (whole.replace(b"(10, 8, 8)", b"(10, 8.0, 8)"), "damaged"),
        (whole.replace(b"'fortran_order'", b"'fortran_ordre'"), "damaged"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + b" " * 300, "damaged"),
        (b"\x93NUMPY\x09\x00" + whole[8:], "damaged"),
    ]:
        path.write_bytes(content)
        said = refusal(path)
        assert words in said, (content[:80], said)
        assert "a.npy" in said


def packed(path, member, declared=None, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("images.npy", member)
    if declared is not None:  # both the local header and the directory
        content = path.read_bytes().replace(
            len(member).to_bytes(4, "little"), declared.to_bytes(4, "little")
        )
        path.write_bytes(content)


def test_packed_arrays_that_lie(tmp_path):
    path, member = tmp_path / "a.npz", npy(np.zeros((10, 8, 8), np.uint8))
    packed(path, member)
    assert len(listed(path).pictures) == 10
    packed(path, member + b"x" * 5)
    assert "645 follow" in refusal(path)
    packed(path, member.replace(b"(10, 8, 8), ", b"(99, 8, 8), "))
    assert "follow" in refusal(path)
    packed(path, member, declared=2**30)
    assert "follow" in refusal(path)
    lying = npy(np.zeros((10, 8, 8), np.uint8)).replace(b"(10, 8, 8), }", b"(20, 8, 8), }")
    packed(path, lying, declared=len(member) + 640)  # both say the same, the stream ends before
    assert "a.npz" in refusal(path)


def test_bombs_are_refused_before_they_are_unpacked(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    packed(path, npy(np.zeros((70 << 10, 32, 32), np.uint8)))
    assert "bomb" in refusal(path)
    packed(path, npy(np.zeros((10 << 10, 32, 32), np.uint8)))  # small ones may be blank
    monkeypatch.setattr(os, "sysconf", lambda name: 4096 if name == "SC_PAGE_SIZE" else 100)
    assert "memory" in refusal(path)


def test_archives_of_no_arrays(tmp_path):
    path = tmp_path / "a.npz"
    for content in (b"", b"PK\x03\x04 cut", npy(random_pixels(3, 8, 8))):
        path.write_bytes(content)
        assert "damaged" in refusal(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", "no array")
    assert "found 0 arrays" in refusal(path)
    np.savez(path, **{f"picture{i}": random_pixels(8, 8, 3) for i in range(1001)})
    assert "np.stack" in refusal(path)


def test_a_path_that_leads_nowhere(tmp_path):
    (tmp_path / "a.npy").symlink_to(tmp_path / "gone.npy")
    assert "a.npy" in refusal(tmp_path)
    (tmp_path / "b").mkdir()
    assert "found none" in refusal(tmp_path / "b")


def mutants(whole, seeds, other=b""):
    """Copies with bytes flipped, cut, doubled or taken from another file; headers more often."""
    for seed in seeds:
        rng = np.random.default_rng(seed)
        content = bytearray(whole)
        reach = len(content) if seed % 2 else min(len(content), 160)
        for _ in range(rng.integers(1, 5)):
            i, j = sorted(rng.integers(0, reach, 2).tolist())
            match rng.integers(0, 6):
                case 0:
                    content[i:j] = b""
                case 1:
                    content[i:i] = content[i:j]
                case 2:
                    content[i:j] = other[i:j] or rng.bytes(j - i)
                case 3:
                    content = content[: max(1, j)]
                case 4:
                    content[i : i + 1] = bytes([rng.choice([0, 1, 0x7F, 0x80, 0xFF])])
                case 5 if i < len(content):
                    content[i] ^= 1 << rng.integers(0, 8)
            reach = max(1, min(reach, len(content)))
            if not content:
                break
        yield bytes(content)


@pytest.mark.parametrize("suffix", ["npy", "npz", "deflated.npz"])
def test_mutated_files_never_raise_anything_else(tmp_path, suffix):
    images, labels = random_pixels(6, 8, 8).astype(np.float32), np.array(["a", "b", "c"] * 2)
    path = tmp_path / f"a.{suffix}"
    if suffix == "npy":
        np.save(path, images)
    else:
        save = np.savez_compressed if suffix.startswith("d") else np.savez
        save(path, images=images, labels=labels, ids=np.arange(6), attributes=np.eye(6))
    survived, said = 0, path.name
    for content in mutants(path.read_bytes(), range(400), npy(random_pixels(9, 8, 8, 3))):
        path.write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                contents(listed(path))
                survived += 1
            except InputError as error:
                said = str(error)
        assert "a." in said
    assert survived < 400


# --- the real ones --------------------------------------------------------------------------------


@pytest.mark.skipif(
    not os.path.isfile(os.path.join(SHARED, "fashion_mnist.npz")), reason="no LATENTSHAPE_DATA"
)
def test_keras_own_file(tmp_path):
    from pathlib import Path

    listing = listed(Path(SHARED) / "fashion_mnist.npz")
    assert np.bincount(listing.split).tolist() == [60_000, 0, 10_000]
    assert np.bincount(listing.columns["label"]).tolist() == [7000] * 10
