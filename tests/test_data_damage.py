"""Random damage: a sentence, or counted as unreadable; never anything else, and never slowly."""

import shutil
import time
import zipfile

import numpy as np
import pytest
from PIL import Image

from latentshape.data import cache, list_dataset, open_dataset
from latentshape.data.celeba import read_celeba
from latentshape.data.trees import open_tree
from latentshape.errors import InputError
from test_data_folder import write_folder, write_table
from test_data_layouts import TEXT_FILES, written


def mutated(content, rng):
    """Bytes changed, cut, overwritten or swapped, as bad copies are."""
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


def attempt(work, *arguments, **options):
    """What a call returns, or the sentence that it refuses with."""
    try:
        return work(*arguments, **options), ""
    except InputError as error:
        return None, str(error)


@pytest.fixture
def quickly():
    started = time.monotonic()
    yield
    assert time.monotonic() - started < 60


@pytest.mark.usefixtures("quickly")
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_damaged_pictures_are_decoded_or_counted(tmp_path, monkeypatch, suffix):
    root = write_folder(tmp_path / "p", 60, suffix)
    contents = [path.read_bytes() for path in sorted(root.iterdir())]
    rng = np.random.default_rng(1)
    for i in range(300):
        (root / f"m{i:03d}{suffix}").write_bytes(mutated(contents[i % 60], rng))
    monkeypatch.setattr(cache, "MAX_UNREADABLE", 1.0)
    dataset = open_dataset(str(root), size=16)
    unreadable = dataset.facts["unreadable"]
    assert len(dataset) + len(unreadable) == 360
    assert set(unreadable) <= {f"m{i:03d}{suffix}" for i in range(300)}
    assert len(unreadable) > 100
    assert all(0 < len(reason) <= 200 for reason in unreadable.values())
    assert not any(str(tmp_path) in reason for reason in unreadable.values())


@pytest.mark.usefixtures("quickly")
@pytest.mark.parametrize("layout", ["celeba", "celeba-kaggle"])
def test_damaged_annotation_is_read_or_refused(tmp_path, layout):
    """Seventy-five of each kind of file; whatever is read is as long as the dataset and in range."""
    source, _ = written(layout)
    root = tmp_path / "celeba"
    (root / "img_align_celeba").mkdir(parents=True)
    for i in range(1, 41):
        (root / "img_align_celeba" / f"{i:06d}.jpg").touch()
    files = {path.name: path.read_bytes() for path in source.iterdir() if path.is_file()}
    files = {name: whole for name, whole in files.items() if "bbox" not in name}
    assert len(files) == (4 if layout == "celeba" else 3)
    for name, whole in files.items():
        (root / name).write_bytes(whole)
    rng = np.random.default_rng(5)
    refused = 0
    for name, whole in files.items():
        for _ in range(75):
            (root / name).write_bytes(mutated(whole, rng))
            listing, sentence = attempt(read_celeba, open_tree(root))
            if listing is None:
                refused += 1
                assert name in sentence
                assert len(sentence) < 600
                continue
            assert len(listing.ids) == len(listing.split) == len(listing.attributes) == 40
            assert set(np.unique(listing.split)) <= {-1, 0, 1, 2}
            assert set(np.unique(listing.attributes)) <= {-1, 0, 1}
            assert all(len(column) == 40 for column in listing.columns.values())
        (root / name).write_bytes(whole)
    assert 20 < refused < 75 * len(files)


@pytest.mark.usefixtures("quickly")
def test_damaged_boxes_are_read_or_refused(tmp_path):
    root = shutil.copytree(written("celeba-wild")[0], tmp_path / "wild")
    name = TEXT_FILES[-1]
    whole = (root / name).read_bytes()
    rng = np.random.default_rng(6)
    for _ in range(40):
        (root / name).write_bytes(mutated(whole, rng))
        dataset, sentence = attempt(open_dataset, str(root), size=8)
        assert name in sentence if dataset is None else len(dataset) == 40


@pytest.mark.usefixtures("quickly")
def test_damaged_tables_are_read_or_refused(tmp_path):
    root = write_folder(tmp_path / "p", 60)
    rows = ([f"{i:03d}.png", i % 2, 20 + i / 2, i // 2, i % 3, "ab"[i % 2]] for i in range(60))
    write_table(root / "t.csv", ["image", "Odd", "age", "identity", "split", "hair"], *rows)
    whole = (root / "t.csv").read_bytes()
    rng = np.random.default_rng(7)
    refused = 0
    for _ in range(120):
        (root / "t.csv").write_bytes(mutated(whole, rng))
        listing, sentence = attempt(list_dataset, str(root))
        if listing is None:
            refused += 1
            assert "t.csv" in sentence
            continue
        assert len(listing.ids) == len(listing.split) == 60
        assert all(len(column) == 60 for column in listing.columns.values())
    assert 10 < refused < 120


@pytest.mark.usefixtures("quickly")
@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_damaged_archives_are_read_counted_or_refused(tmp_path, monkeypatch, compression):
    root = write_folder(tmp_path / "p", 60)
    path = tmp_path / "p.zip"
    with zipfile.ZipFile(path, "w", compression) as archive:
        for picture in sorted(root.iterdir()):
            archive.write(picture, picture.name)
    whole = path.read_bytes()
    monkeypatch.setattr(cache, "MAX_UNREADABLE", 1.0)
    rng = np.random.default_rng(8)
    refused = read = 0
    for i in range(60):
        changed = mutated(whole, rng)
        if i % 3 == 0:  # the directory is small: most damage would miss it
            at = whole.rfind(b"PK\1\2", 0, len(whole) - 2_000)
            changed = whole[:at] + mutated(whole[at:], rng)
        path.write_bytes(changed)
        dataset, sentence = attempt(open_dataset, str(path), size=8)
        if dataset is None:
            refused += 1
            assert len(sentence) < 900
            continue
        read += 1
        assert len(dataset) + len(dataset.facts["unreadable"]) <= 60
    assert refused > 5
    assert read > 5


def test_a_machine_out_of_memory_is_not_taken_for_a_broken_picture(tmp_path, monkeypatch):
    root = tmp_path / "p"
    root.mkdir()
    for i in range(60):
        Image.new("RGB", (8, 8), (4 * i, 0, 0)).save(root / f"{i}.png")

    def exhausted(*_):
        raise MemoryError

    monkeypatch.setattr("latentshape.data.pixels.decode_image", exhausted)
    with pytest.raises(MemoryError):
        open_dataset(str(root), size=8)
    monkeypatch.undo()
    assert len(open_dataset(str(root), size=8)) == 60
