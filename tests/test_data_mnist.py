"""MNIST in both its formats: byte for byte as originally laid out, and every way to be damaged."""

import gzip
import io
import os
import pickle
import struct
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from latentshape.data import mnist
from latentshape.data.mnist import find_mnist, read_mnist
from latentshape.data.stored_arrays import Mapped
from latentshape.data.trees import open_tree
from latentshape.errors import InputError

SHARED = os.environ.get("LATENTSHAPE_DATA", "")


def digits(n, h=28, w=28, seed=0):
    """Blurred strokes, so that they pack like digits do."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:h, :w]
    centre = rng.uniform(0.2, 0.8, (n, 2)) * (h, w)
    far = np.hypot(y - centre[:, :1, None], x - centre[:, 1:, None])
    return (255 * np.exp(-far / 4)).astype(np.uint8)


def labels_of(n, seed=0):
    return np.random.default_rng(seed).integers(0, 10, n).astype(np.uint8)


def idx_images(pixels):
    return struct.pack(">IIII", 0x803, *pixels.shape) + pixels.tobytes()


def idx_labels(labels):
    return struct.pack(">II", 0x801, len(labels)) + labels.tobytes()


NAMES = (
    "train-images-idx3-ubyte", "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte",
)  # fmt: skip
TRAIN, TEST = digits(12), digits(5, seed=1)
EVERY = np.concatenate([TRAIN, TEST])
LABELS = np.concatenate([labels_of(12), labels_of(5, 1)])
CONTENTS = (
    idx_images(TRAIN), idx_labels(LABELS[:12]), idx_images(TEST), idx_labels(LABELS[12:]),
)  # fmt: skip


def write(folder, spell=lambda name: name, pack=False):
    """The four files, under other names or packed."""
    for name, content in zip(NAMES, CONTENTS):
        path = folder / (spell(name) + (".gz" if pack else ""))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content, mtime=0) if pack else content)


def listed(path):
    return read_mnist(open_tree(path))


def pixels(listing):
    found = list(listing.pictures.contents(0))
    assert len(found) == len(listing.pictures) == len(listing.ids)
    return np.stack(found)


def refusal(path):
    with pytest.raises(InputError) as caught:
        listed(path)
    return str(caught.value)


def assert_whole(listing):
    assert np.array_equal(pixels(listing), EVERY[..., None])
    assert listing.kind == "mnist"
    assert listing.crop == "square"
    assert listing.split.tolist() == [0] * 12 + [2] * 5
    assert listing.ids[0] == "train-00000"
    assert listing.ids[-1] == "test-00004"
    assert np.array_equal(listing.columns["label"], LABELS)
    found = np.unique(LABELS)
    assert listing.attribute_names == tuple(f"label_{i}" for i in found)
    assert np.array_equal(listing.attributes == 1, LABELS[:, None] == found)
    assert not listing.notices


# --- layouts --------------------------------------------------------------------------------------

SPELLINGS = {
    "original": lambda name: name,
    "torchvision": lambda name: f"MNIST/raw/{name}",
    "dots": lambda name: name.replace("-idx", ".idx"),
    "kaggle": lambda name: f"{name}/{name}",
    "test for t10k": lambda name: name.replace("t10k", "test"),
    "capitals": str.upper,
    "prefix": lambda name: f"kmnist-{name}",
    "labels elsewhere": lambda name: f"{'labels' if 'labels' in name else 'images'}/{name}",
}


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
def test_layouts(tmp_path, spell, pack):
    write(tmp_path / "set", spell, pack)
    assert_whole(listed(tmp_path / "set"))
    why = find_mnist(open_tree(tmp_path / "set"))
    assert "train-images" in why.lower()
    assert why.endswith("and 3 more idx files")
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for path in sorted((tmp_path / "set").rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(tmp_path / "set"))
    assert_whole(listed(tmp_path / "set.zip"))


def test_a_file_that_lies_there_twice_is_read_once(tmp_path):
    write(tmp_path, pack=True)
    write(tmp_path)
    write(tmp_path, SPELLINGS["dots"])
    listing = listed(tmp_path)
    assert_whole(listing)
    assert isinstance(listing.pictures.parts[0].values, Mapped)


def test_packed_or_not_is_seen_in_the_content(tmp_path):
    for name, content in zip(NAMES, CONTENTS):
        (tmp_path / (name + ".gz")).write_bytes(content)
    assert_whole(listed(tmp_path))
    for name, content in zip(NAMES, CONTENTS):
        (tmp_path / (name + ".gz")).unlink()
        (tmp_path / name).write_bytes(gzip.compress(content))
    assert_whole(listed(tmp_path))


def test_parts_of_a_set(tmp_path):
    write(tmp_path)
    (tmp_path / NAMES[3]).unlink()
    listing = listed(tmp_path)
    assert listing.columns["label"].tolist() == [*LABELS[:12], *[-1] * 5]
    assert (listing.attributes[12:] == 0).all()
    assert listing.notices == [f"no labels beside {NAMES[2]}"]
    (tmp_path / NAMES[1]).unlink()
    (tmp_path / NAMES[2]).unlink()
    listing = listed(tmp_path)
    assert listing.split.tolist() == [0] * 12
    assert listing.attributes is None
    assert not listing.columns
    single = listed(tmp_path / NAMES[0])
    assert np.array_equal(pixels(single), TRAIN[..., None])
    assert single.where == str(tmp_path / NAMES[0])


def test_emnist_is_turned_upright(tmp_path):
    write(tmp_path, lambda name: f"emnist-letters-{name.replace('t10k', 'test')}", pack=True)
    listing = listed(tmp_path)
    assert np.array_equal(pixels(listing), EVERY.swapaxes(1, 2)[..., None])
    assert "EMNIST" in listing.notices[0]


def test_several_sets_are_named_with_the_cure(tmp_path):
    write(tmp_path / "MNIST" / "raw")
    write(tmp_path / "FashionMNIST" / "raw", pack=True)
    said = refusal(tmp_path)
    assert "FashionMNIST/raw, MNIST/raw" in said
    assert f"--data {tmp_path / 'MNIST' / 'raw'}" in said
    assert_whole(listed(tmp_path / "FashionMNIST"))
    for name in ("letters", "digits"):
        write(tmp_path / "e", lambda n, name=name: f"emnist-{name}-{n}")
    said = refusal(tmp_path / "e")
    assert "emnist-digits, emnist-letters" in said
    assert "a folder of their own" in said


def test_recognition(tmp_path):
    assert find_mnist(open_tree(tmp_path)) is None
    (tmp_path / NAMES[1]).write_bytes(b"labels alone are no images")
    assert find_mnist(open_tree(tmp_path)) is None
    assert "found neither" in refusal(tmp_path)
    (tmp_path / NAMES[0]).write_bytes(b"damaged")
    assert find_mnist(open_tree(tmp_path)) == f"{NAMES[0]} and 1 more idx files"
    assert NAMES[0] in refusal(tmp_path)


# --- idx, byte by byte ----------------------------------------------------------------------------


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    n=st.integers(1, 9),
    h=st.integers(1, 40),
    w=st.integers(1, 40),
    pack=st.booleans(),
    labelled=st.booleans(),
    level=st.integers(0, 9),
    rows=st.sets(st.integers(0, 8)),
)
def test_every_size_comes_back_exactly(tmp_path, n, h, w, pack, labelled, level, rows):
    images, labels = digits(n, h, w, seed=h), labels_of(n)
    for name, content in [(NAMES[0], idx_images(images)), (NAMES[1], idx_labels(labels))]:
        path = tmp_path / name
        path.unlink(missing_ok=True)
        if labelled or "images" in name:
            path.write_bytes(gzip.compress(content, level) if pack else content)
    listing = listed(tmp_path)
    assert np.array_equal(pixels(listing), images[..., None])
    assert ("label" in listing.columns) == labelled
    rows = np.array(sorted(r for r in rows if r < n), dtype=np.int64)
    taken = pickle.loads(pickle.dumps(listing.pictures.take(rows)))
    assert [p.tobytes() for p in taken.contents(0)] == [images[r].tobytes() for r in rows]


HEADER = CONTENTS[0][16:]
DAMAGED = {
    "empty": (b"", "only 0 bytes"),
    "half a header": (CONTENTS[0][:9], "only 9 bytes"),
    "a web page": (b"<!DOCTYPE html><html>404</html>", "no idx file"),
    "labels": (CONTENTS[1] + bytes(99), "1 dimensions: labels"),
    "floats": (b"\0\0\x0d\3" + CONTENTS[0][4:], "values of type float"),
    "shorts": (b"\0\0\x0b\3" + CONTENTS[0][4:], "values of type short"),
    "an unknown type": (b"\0\0\x07\3" + CONTENTS[0][4:], "no idx file"),
    "four dimensions": (b"\0\0\x08\4" + CONTENTS[0][4:], "4 dimensions"),
    "little-endian": (struct.pack("<IIII", 0x803, 12, 28, 28) + HEADER, "little-endian"),
    "no images": (struct.pack(">IIII", 0x803, 0, 28, 28), "at least one"),
    "no width": (struct.pack(">IIII", 0x803, 12, 28, 0), "1 to 4096"),
    "giants": (struct.pack(">IIII", 0x803, 12, 28, 4097) + HEADER, "12 x 28 x 4097"),
    "cut": (CONTENTS[0][:-1], "9,408 bytes were expected, but 9,407"),
    "longer": (CONTENTS[0] + b"x", "9,408 bytes were expected, but 9,409"),
    "a lie": (struct.pack(">IIII", 0x803, 2**32 - 1, 4096, 4096) + HEADER, "but 9,408 follow"),
}


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize(("content", "words"), DAMAGED.values(), ids=DAMAGED)
def test_damaged_images(tmp_path, content, words, pack):
    path = tmp_path / (NAMES[0] + ".gz" * pack)
    path.write_bytes(gzip.compress(content) if pack else content)
    said = refusal(tmp_path)
    assert NAMES[0] in said
    if pack:  # how much follows is not known before it is unpacked
        said = said.replace("but more follow", words).replace("found 9,407", words)
        said = said.replace("but at most ", "but 9,408 follow")
    assert words in said


def test_damaged_labels(tmp_path):
    write(tmp_path)
    path = tmp_path / NAMES[1]
    for content, words in [
        (idx_labels(labels_of(11)), "11 labels"),
        (CONTENTS[1][:-1], "12 bytes were expected, but 11"),
        (CONTENTS[0], "3 dimensions: images"),
        (b"", "only 0 bytes"),
    ]:
        path.write_bytes(content)
        said = refusal(tmp_path)
        assert words in said
        assert NAMES[1] in said


def test_damaged_packing(tmp_path):
    path, whole = tmp_path / (NAMES[0] + ".gz"), gzip.compress(CONTENTS[0])
    checksum = bytearray(whole)
    checksum[-5] ^= 1
    for content in (whole[:-8], whole[:100], whole[:5], whole[:2], bytes(checksum), whole + b"junk",
                    whole[:40] + bytes(9) + whole[49:]):  # fmt: skip
        path.write_bytes(content)
        assert "damaged" in refusal(tmp_path)


def test_bombs_are_refused_before_they_are_unpacked(tmp_path, monkeypatch):
    path = tmp_path / (NAMES[0] + ".gz")
    bomb = struct.pack(">IIII", 0x803, 60_000, 28, 28) + bytes(60_000 * 784)
    path.write_bytes(gzip.compress(bomb))
    assert len(listed(tmp_path).pictures) == 60_000  # blank pictures pack so small
    path.write_bytes(gzip.compress(CONTENTS[0] + bytes(50 << 20)))  # 50 MB behind the pictures
    assert "but more follow" in refusal(tmp_path)
    monkeypatch.setattr(mnist, "fill", None)  # nothing is read
    path.write_bytes(gzip.compress(struct.pack(">IIII", 0x803, 10**9, 4096, 4096) + bytes(999)))
    assert "but at most" in refusal(tmp_path)
    monkeypatch.setattr(os, "sysconf", lambda name: 4096 if name == "SC_PAGE_SIZE" else 100)
    path.write_bytes(gzip.compress(bomb))
    assert "memory" in refusal(tmp_path)


def test_stamps(tmp_path):
    write(tmp_path, pack=True)
    pictures = listed(tmp_path).pictures
    before = list(pictures.stamps())
    assert len(set(before)) == 17
    assert before == list(listed(tmp_path).pictures.stamps())
    os.utime(tmp_path / (NAMES[0] + ".gz"), (1, 1))
    after = list(pictures.stamps())
    assert after[12:] == before[12:]
    assert not set(after[:12]) & set(before)


# --- npz ------------------------------------------------------------------------------------------


def keras(path, **arrays):
    given = {"x_train": TRAIN, "y_train": LABELS[:12], "x_test": TEST, "y_test": LABELS[12:]}
    stored = {name: values for name, values in {**given, **arrays}.items() if values is not None}
    np.savez_compressed(path, **stored)
    return path


@pytest.mark.parametrize("last", [(), (1,)])
def test_keras(tmp_path, last):
    path = keras(tmp_path / "mnist.npz", x_train=TRAIN.reshape(*TRAIN.shape, *last))
    for root in (path, tmp_path):
        listing = listed(root)
        assert_whole(listing)
        assert listing.why == "mnist.npz with 28x28 pictures"
        assert listing.where == str(root)


def test_keras_without_labels_or_in_colour(tmp_path):
    colour = {"x_train": digits(9).reshape(3, 28, 28, 3), "x_test": None}
    path = keras(tmp_path / "a.npz", y_train=None, y_test=None, **colour)
    assert find_mnist(open_tree(path)) is None  # for `arrays` to read
    listing = listed(path)
    assert np.array_equal(pixels(listing), colour["x_train"])
    assert listing.ids == ["train-00000", "train-00001", "train-00002"]
    assert listing.notices == [f"no labels in {path}"]


def test_keras_that_is_not_as_expected(tmp_path):
    path = tmp_path / "a.npz"
    assert "uint8" in refusal(keras(path, x_train=TRAIN / 255))
    assert find_mnist(open_tree(path)) is None
    assert "x_train" in refusal(keras(path, x_train=None, x_test=None))
    assert "one row per image" in refusal(keras(path, y_train=LABELS[:11]))
    two = keras(tmp_path / "b.npz")
    keras(path, x_train=TRAIN / 255)
    assert find_mnist(open_tree(tmp_path)) == "b.npz with 28x28 pictures"
    assert len(listed(tmp_path).pictures) == 17
    assert len(listed(two).pictures) == 17
    keras(path)
    said = refusal(tmp_path)
    assert "a.npz, b.npz" in said
    assert f"--data {path}" in said


def test_damaged_keras_is_recognised_by_its_name(tmp_path):
    path = keras(tmp_path / "fashion_mnist.npz")
    path.write_bytes(path.read_bytes()[:-30])
    assert find_mnist(open_tree(path)) is not None
    assert "fashion_mnist.npz" in refusal(path)
    path.rename(tmp_path / "other.npz")
    assert find_mnist(open_tree(tmp_path)) is None


# --- mutants --------------------------------------------------------------------------------------


def mutants(whole, seeds, other):
    """Copies with bytes flipped, cut, doubled or taken from another file; headers more often."""
    for seed in seeds:
        rng = np.random.default_rng(seed)
        content = bytearray(whole)
        for _ in range(rng.integers(1, 4)):
            reach = max(1, len(content) if seed % 2 else min(len(content), 24))
            i, j = sorted(rng.integers(0, reach, 2).tolist())
            match rng.integers(0, 5):
                case 0:
                    content[i:j] = b""
                case 1:
                    content[i:i] = content[i:j]
                case 2:
                    content[i:j] = other[i:j]
                case 3:
                    content[i : i + 1] = bytes([rng.choice([0, 1, 8, 0x7F, 0x80, 0xFF])])
                case 4 if i < len(content):
                    content[i] ^= 1 << rng.integers(0, 8)
        yield bytes(content)


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("kind", ["plain", "packed", "mutated before it was packed"])
def test_mutated_files_never_raise_anything_else(tmp_path, which, kind):
    write(tmp_path)
    (tmp_path / NAMES[which]).unlink()
    path = tmp_path / (NAMES[which] + (".gz" if kind != "plain" else ""))
    whole = CONTENTS[which] if kind != "packed" else gzip.compress(CONTENTS[which])
    other = CONTENTS[1 - which] if kind != "packed" else gzip.compress(CONTENTS[1 - which])
    refused, said = 0, path.name
    for content in mutants(whole, range(250), other):
        path.write_bytes(gzip.compress(content, 1) if kind.startswith("mutated") else content)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                pixels(listed(tmp_path))
            except InputError as error:
                refused += 1
                said = str(error)
        assert "-ubyte" in said
    assert refused > 100


def test_mutated_keras_never_raises_anything_else(tmp_path):
    path = keras(tmp_path / "mnist.npz")
    other = io.BytesIO()
    np.savez(other, x_train=TRAIN)
    said = path.name
    for content in mutants(path.read_bytes(), range(300), other.getvalue()):
        path.write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            find_mnist(open_tree(path))
            try:
                pixels(listed(path))
            except InputError as error:
                said = str(error)
        assert "mnist.npz" in said


# --- the real ones --------------------------------------------------------------------------------


@pytest.mark.skipif(
    not os.path.isfile(os.path.join(SHARED, "mnist.npz")), reason="no LATENTSHAPE_DATA"
)
def test_the_real_digits():
    listing = listed(Path(SHARED) / "mnist.npz")
    assert np.bincount(listing.split).tolist() == [60_000, 0, 10_000]
    assert np.bincount(listing.columns["label"])[:3].tolist() == [6903, 7877, 6990]
    assert listing.pictures.parts[0].values.mean() == pytest.approx(33.3184, abs=1e-4)
