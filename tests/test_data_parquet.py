"""Parquet as Hugging Face lays it out: exact bytes back, facts understood, damage counted."""

import io
import json
import os
import pickle
import sys
import warnings
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from latentshape.data.annotations import name_classes
from latentshape.data.faces import faces
from latentshape.data.parquet import CELEBA, LANDMARKS, find_parquet, read_parquet
from latentshape.data.trees import open_tree
from latentshape.errors import InputError

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

N = 12


def encoded(image, kind="PNG"):
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


@pytest.fixture(scope="session")
def pictures():
    """Procedural faces as PNG files."""
    return [encoded(Image.fromarray(p)) for p in faces(range(N), size=32)]


def aligned(pixels):
    """A square face as CelebA's aligned images are: 178x218, the face in the middle."""
    return Image.fromarray(pixels).resize((218, 218)).crop((20, 0, 198, 218))


def cells(pictures, start=0, paths=True):
    """The struct of Hugging Face's Image feature."""
    return [
        {"bytes": p, "path": f"{start + i:06d}.png" if paths else None}
        for i, p in enumerate(pictures)
    ]


def write(path, columns, group=5, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    table = columns if isinstance(columns, pa.Table) else pa.table(columns)
    pq.write_table(table, path, row_group_size=group, **options)
    return path


def listed(path):
    return read_parquet(open_tree(path))


def contents(listing):
    found = list(listing.pictures.contents(0))
    assert len(found) == len(listing.pictures) == len(listing.ids)
    return found


def refusal(path):
    with pytest.raises(InputError) as caught:
        listed(path)
    return str(caught.value)


# --- layouts --------------------------------------------------------------------------------------

LAYOUTS = {
    "shards": [
        "data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet",
        "data/valid-00000-of-00001.parquet", "data/test-00000-of-00001.parquet",
    ],
    "validation": [
        "train-00000-of-00002-abc.parquet", "train-00001-of-00002-abc.parquet",
        "validation-00000-of-00001-abc.parquet", "test-00000-of-00001-abc.parquet",
    ],
    "folders": ["train/0000.parquet", "train/0001.parquet", "val/0000.parquet", "test/0000.parquet"],
    "a variant": [
        "img_align+attr/train/0000.parquet", "img_align+attr/train/0001.parquet",
        "img_align+attr/validation/0000.parquet", "img_align+attr/test/0000.parquet",
    ],
}  # fmt: skip


@pytest.mark.parametrize("names", LAYOUTS.values(), ids=LAYOUTS)
def test_layouts(tmp_path, pictures, names):
    for i, name in enumerate(names):
        write(tmp_path / name, {"image": cells(pictures[3 * i : 3 * i + 3], 3 * i), "n": [7, i, 9]})
    listing = listed(tmp_path)
    assert listing.kind == "parquet"
    assert listing.where == str(tmp_path)
    assert listing.why.endswith("and 3 more parquet files")
    assert contents(listing) == pictures
    assert listing.split.tolist() == [0] * 6 + [1] * 3 + [2] * 3
    assert listing.split.dtype == np.int8
    assert listing.ids == [f"{i:06d}.png" for i in range(N)]
    assert listing.columns["n"].tolist() == [7, 0, 9, 7, 1, 9, 7, 2, 9, 7, 3, 9]
    assert listing.crop == "square"
    assert not listing.notices


@pytest.mark.parametrize("image", ["image", "img", "scan"])
@pytest.mark.parametrize("kind", ["struct", "binary", "large_binary"])
def test_a_single_file(tmp_path, pictures, image, kind):
    column = cells(pictures) if kind == "struct" else pa.array(pictures, getattr(pa, kind)())
    path = write(tmp_path / "faces.parquet", {"text": [str(i) for i in range(N)], image: column})
    for root in (path, tmp_path):
        listing = listed(root)
        assert contents(listing) == pictures
        assert listing.split is None
        assert listing.where == str(root)
        assert listing.why == "faces.parquet"
    if kind != "struct":
        assert listing.ids[:2] == ["0000000", "0000001"]


def test_ids_are_the_names_of_the_files_only_if_each_has_its_own(tmp_path, pictures):
    for paths in (["a/1.png"] * N, [None] * N, [*"abcdefghijk", ""]):
        column = [{"bytes": b, "path": p} for b, p in zip(pictures, paths)]
        write(tmp_path / "train.parquet", {"image": column})
        assert listed(tmp_path).ids[-1] == f"train-{N - 1:07d}"
    column = [{"bytes": b, "path": f"/home/someone\\{i}.png"} for i, b in enumerate(pictures)]
    write(tmp_path / "train.parquet", {"image": column})
    assert listed(tmp_path).ids[3] == "3.png"


def test_a_column_of_splits_goes_before_the_files_name(tmp_path, pictures):
    split = ["train", "validation", "test", None] * 3
    write(tmp_path / "train.parquet", {"image": pictures, "split": split})
    assert listed(tmp_path).split.tolist() == [0, 1, 2, 0] * 3
    write(tmp_path / "train.parquet", {"image": pictures, "split": ["left"] * N})
    assert "'left'" in refusal(tmp_path)


def test_variants_side_by_side_are_not_read_twice(tmp_path, pictures):
    for variant in ("plain", "cropped"):
        write(tmp_path / variant / "train-00000-of-00001.parquet", {"image": pictures})
    said = refusal(tmp_path)
    assert "cropped and plain" in said
    assert len(listed(tmp_path / "plain").ids) == N


def test_missing_shards_are_remarked(tmp_path, pictures):
    for i in (0, 2):
        write(tmp_path / f"data/train-{i:05d}-of-00019.parquet", {"image": pictures[i::3]})
    assert listed(tmp_path).notices == ["data/train: only 2 of 19 files are there"]


def test_recognition(tmp_path, pictures):
    assert find_parquet(open_tree(tmp_path)) is None
    assert "found none" in refusal(tmp_path)
    (tmp_path / "a.parquet").write_bytes(b"no table")
    assert find_parquet(open_tree(tmp_path)) == "a.parquet"
    for i in range(2):  # images, and a table about them
        (tmp_path / f"{i}.jpg").write_bytes(b"")
    assert find_parquet(open_tree(tmp_path)) is None
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("a.parquet", b"")
    assert find_parquet(open_tree(tmp_path / "set.zip")) == "a.parquet"
    assert "Unpack it" in refusal(tmp_path / "set.zip")


def test_without_pyarrow(tmp_path, monkeypatch):
    (tmp_path / "a.parquet").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert find_parquet(open_tree(tmp_path)) == "a.parquet"
    assert "pip install 'latentshape[parquet]'" in refusal(tmp_path)


# --- facts ----------------------------------------------------------------------------------------


def answers(seed=0):
    return np.random.default_rng(seed).choice([-1, 1], (N, len(CELEBA))).astype(np.int8)


@pytest.mark.parametrize("spelling", ["bool", "zero and one", "minus one and one", "struct"])
def test_celeba(tmp_path, spelling):
    table, names = answers(), sorted(CELEBA)
    picture = [encoded(aligned(p), "JPEG") for p in faces(range(N), size=32)]
    picture[0] = b"damaged"  # the next one tells the size
    stored = {"minus one and one": table.astype(np.int64), "zero and one": (table > 0).astype(int)}
    columns = dict(zip(names, stored.get(spelling, table > 0).T))
    points = np.random.default_rng(0).integers(0, 178, (N, 10))
    landmarks = dict(zip(LANDMARKS, points.T))
    if spelling == "struct":  # as a TFDS export has them
        columns = {"attributes": [dict(zip(names, row)) for row in (table > 0).tolist()]}
        landmarks = {"landmarks": [dict(zip(LANDMARKS, row)) for row in points.tolist()]}
    write(
        tmp_path / "train-00000-of-00001.parquet",
        {"image": cells(picture), "celeb_id": np.arange(N) + 2880, **columns, **landmarks},
    )
    listing = listed(tmp_path)
    assert listing.crop == "centre-140"
    assert listing.attribute_names == tuple(names)
    assert np.array_equal(listing.attributes, table)
    assert listing.columns["identity"].tolist() == list(range(2880, 2880 + N))
    assert np.array_equal(listing.columns["landmarks"], points.reshape(N, 5, 2))
    assert listing.columns["landmarks"].dtype == np.float32
    assert set(listing.columns) == {"identity", "landmarks"}
    assert not listing.notices


def test_celebas_attributes_of_other_pictures_are_no_reason_to_crop(tmp_path, pictures):
    columns = dict(zip(sorted(CELEBA), answers().T))
    write(tmp_path / "a.parquet", {"image": pictures, **columns})
    assert listed(tmp_path).crop == "square"


@pytest.mark.parametrize("nested", [False, True])
def test_lists(tmp_path, pictures, nested):
    points = np.random.default_rng(0).integers(0, 178, (N, 5, 2))
    lists = points.tolist() if nested else points.reshape(N, 10).tolist()
    flags = [[i % 2, 1] for i in range(N)]
    write(tmp_path / "a.parquet", {"image": pictures, "landmarks": lists, "attributes": flags})
    listing = listed(tmp_path)
    assert np.array_equal(listing.columns["landmarks"], points)
    assert listing.attribute_names == ("attribute_0", "attribute_1")
    assert listing.attributes[:2].tolist() == [[-1, 1], [1, 1]]
    write(tmp_path / "a.parquet", {"image": pictures, "landmarks": [[1], *[[1, 2]] * (N - 1)]})
    assert "different lengths" in listed(tmp_path).notices[0]
    write(tmp_path / "a.parquet", {"image": pictures, "landmarks": [[1, 2]] * N})
    assert "five points" in listed(tmp_path).notices[0]


def test_other_columns(tmp_path, pictures):
    digit = [3, 1, None, 1, 3, 1, 1, 3, 3, 1, 3, 1]
    colour = pa.array(["red", "blue"] * 6).dictionary_encode()
    write(
        tmp_path / "a.parquet",
        {
            "image": pictures,
            "label": digit,
            "colour": colour,
            "age": pa.array([20.5, None] * 6),
            "height": pa.array(np.full(N, 1.5, np.float16)),
            "glasses": [True, False, None] * 4,
            "other": pa.array([b"x"] * N),
            "caption": [f"a face {i}" for i in range(N)],
            "when": pa.array([0] * N, pa.timestamp("s")),
            "huge": pa.array([2**63] * N, pa.uint64()),
            "nothing": pa.nulls(N),
        },
    )
    listing = listed(tmp_path)
    assert listing.attribute_names == ("label_1", "label_3", "colour_blue", "colour_red", "glasses")
    assert listing.columns["label"].tolist() == [-1 if d is None else d for d in digit]
    assert listing.attributes[:3].tolist() == [
        [-1, 1, -1, 1, 1], [1, -1, 1, -1, -1], [0, 0, -1, 1, 0]
    ]  # fmt: skip
    assert np.array_equal(listing.columns["age"], [20.5, np.nan] * 6, equal_nan=True)
    assert listing.columns["height"].tolist() == [1.5] * N
    for name in ("other", "caption", "when", "huge", "nothing"):
        assert sum(repr(name) in notice for notice in listing.notices) == 1


def test_names_of_classes_from_hugging_faces_metadata(tmp_path, pictures):
    table = pa.table({"img": cells(pictures), "label": [0, 1, 2] * 4})
    label = {"names": ["airplane", "automobile", "bird"], "_type": "ClassLabel"}
    for features, names in [
        ({"label": label}, ("airplane", "automobile", "bird")),
        ({"label": {"names": ["0", "1", "2"]}}, ("label_0", "label_1", "label_2")),
        ({"label": {"names": ["a", "a", "b"]}}, ("label_0", "label_1", "label_2")),
        ([], ("label_0", "label_1", "label_2")),
    ]:
        stored = json.dumps({"info": {"features": features}})
        write(tmp_path / "a.parquet", table.replace_schema_metadata({"huggingface": stored}))
        listing = listed(tmp_path)
        assert listing.attribute_names == names
        assert listing.columns["label"].tolist() == [0, 1, 2] * 4
    write(tmp_path / "a.parquet", table.replace_schema_metadata({"huggingface": "{"}))
    assert listed(tmp_path).attribute_names == ("label_0", "label_1", "label_2")


def test_files_with_other_columns(tmp_path, pictures):
    first = {"image": cells(pictures[:6]), "Hat": [True, False] * 3, "age": [1, 2, 3, 4, 5, 6]}
    write(tmp_path / "train.parquet", first)
    write(tmp_path / "test.parquet", {"image": pictures[6:], "label": [1, 2] * 3})
    listing = listed(tmp_path)
    assert contents(listing) == pictures
    assert listing.split.tolist() == [0] * 6 + [2] * 6
    assert listing.attribute_names == ("Hat", "label_1", "label_2")
    assert listing.attributes[0].tolist() == [1, 0, 0]
    assert listing.attributes[6].tolist() == [0, 1, -1]
    assert listing.columns["label"].tolist() == [-1] * 6 + [1, 2] * 3
    assert np.isnan(listing.columns["age"][6:]).all()
    assert len(listing.notices) == 3
    assert "'Hat' is missing in 1 of 2 files, such as test.parquet" in listing.notices[0]
    assert listing.ids[0] == "train-0000000"
    assert listing.ids[-1] == "test-0000005"


def test_columns_that_are_not_pictures(tmp_path, pictures):
    path = write(tmp_path / "a.parquet", {"before": pictures, "after": pictures})
    assert "2 of them: 'before', 'after'" in refusal(path)
    write(path, {"name": ["a"], "label": [1]})
    assert "found 'name', 'label'" in refusal(path)
    write(path, {"image": pa.array([], pa.binary())})
    assert "without any" in refusal(path)
    write(path, {"image": pictures, "label": [10**30 * 1.0, *range(N - 1)]})  # names, then
    assert "1e+30" in listed(path).attribute_names


# --- pictures -------------------------------------------------------------------------------------


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    n=st.integers(1, 200),
    group=st.integers(1, 90),
    split=st.integers(0, 200),
    data=st.data(),
    compression=st.sampled_from(["snappy", "zstd", "none"]),
    struct=st.booleans(),
)
def test_taking_rows(tmp_path, n, group, split, data, compression, struct):
    expected = [f"picture {i}".encode() * (i % 7 + 1) for i in range(n)]
    labels = np.random.default_rng(n).integers(0, 3, n)
    for name, part in [("a.parquet", slice(0, split)), ("b.parquet", slice(split, n))]:
        column = cells(expected[part], paths=False) if struct else expected[part]
        kind = pa.struct({"bytes": pa.binary(), "path": pa.string()}) if struct else pa.binary()
        columns = {"image": pa.array(column, kind), "label": labels[part]}
        write(tmp_path / name, columns, group=group, compression=compression)
    listing = listed(tmp_path)
    assert contents(listing) == expected
    assert np.array_equal(listing.columns["label"], labels)
    assert listing.attribute_names == tuple(name_classes(labels)[0])
    stamps = list(listing.pictures.stamps())
    assert len(set(stamps)) == n
    rows = np.array(sorted(data.draw(st.sets(st.integers(0, n - 1)))), dtype=np.int64)
    some = pickle.loads(pickle.dumps(listing.pictures.take(rows)))
    assert list(some.contents(0)) == [expected[r] for r in rows]
    assert list(some.stamps()) == [stamps[r] for r in rows]
    half = np.arange(0, len(rows), 2)
    assert list(some.take(half).contents(0)) == [expected[r] for r in rows[half]]


def test_only_the_row_groups_in_question_are_read(tmp_path, monkeypatch):
    write(tmp_path / "a.parquet", {"image": [b"%d" % i for i in range(100)]}, group=10)
    asked = []
    original = pq.ParquetFile.iter_batches

    def watched(self, batch_size, row_groups, *rest, **options):
        asked.extend(row_groups)
        return original(self, batch_size, row_groups, *rest, **options)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", watched)
    some = listed(tmp_path).pictures.take(np.array([3, 4, 39, 90]))
    assert list(some.contents(0)) == [b"3", b"4", b"39", b"90"]
    assert asked == [0, 3, 9]


def test_rows_without_a_picture(tmp_path, pictures):
    column = cells(pictures)
    column[3] = {"bytes": None, "path": "/home/someone/3.png"}
    column[4] = None
    write(tmp_path / "a.parquet", {"image": column})
    found = contents(listed(tmp_path))
    assert "only the path '/home/someone/3.png'" in str(found[3])
    assert "no picture" in str(found[4])
    assert [f for f in found if isinstance(f, bytes)] == pictures[:3] + pictures[5:]


def test_stamps_follow_the_file(tmp_path, pictures):
    path = write(tmp_path / "a.parquet", {"image": pictures})
    listing = listed(path)
    before = list(listing.pictures.stamps())
    assert before == list(listed(path).pictures.stamps())
    os.utime(path, (1, 1))
    assert not set(before) & set(listing.pictures.stamps())
    path.unlink()
    assert set(listing.pictures.stamps()) == {b""}
    found = contents(listing)
    assert all(isinstance(f, OSError) and "a.parquet" in str(f) for f in found)


def test_a_damaged_row_group_costs_its_own_rows(tmp_path):
    rng = np.random.default_rng(0)
    expected = [rng.bytes(500) for _ in range(30)]
    path = write(tmp_path / "a.parquet", {"image": expected}, group=10, use_dictionary=False)
    start = pq.read_metadata(path).row_group(1).column(0).data_page_offset
    content = bytearray(path.read_bytes())
    content[start : start + 40] = b"\xff" * 40
    listing = listed(path)
    path.write_bytes(content)
    found = contents(listing)
    assert found[:10] == expected[:10]
    assert found[20:] == expected[20:]
    assert all(isinstance(f, OSError) and "row group 1" in str(f) for f in found[10:20])


# --- damage ---------------------------------------------------------------------------------------


def test_damaged_files_are_named(tmp_path, pictures):
    path = write(tmp_path / "a.parquet", {"image": pictures, "label": range(N)})
    whole = path.read_bytes()
    for content in (b"", b"PAR1", b"<!DOCTYPE html>", whole[:-20], whole[:200], whole + b"x",
                    whole[:-8] + b"\xff\xff\xff\x7fPAR1"):  # fmt: skip
        path.write_bytes(content)
        said = refusal(path)
        assert "a.parquet" in said
        assert "\n" not in said
    path.unlink()
    path.symlink_to(tmp_path / "gone")
    assert "a.parquet" in refusal(tmp_path)


def test_claims_that_cannot_be(tmp_path, monkeypatch):
    blank = pa.array([b""] * 200_000)
    path = write(tmp_path / "a.parquet", {"image": blank}, group=10**6)
    assert "200,000 rows in" in refusal(path)
    zeros = {"image": pa.array([bytes(1 << 20)] * 80)}
    write(path, zeros, group=100, compression="zstd", use_dictionary=False)
    assert "packed into" in refusal(path)
    write(path, {"image": [b"x" * 99] * 500, "n": np.arange(500)}, use_dictionary=False)
    monkeypatch.setattr(os, "sysconf", lambda name: 1 if name == "SC_PAGE_SIZE" else 100)
    assert "memory" in refusal(path)


def mutants(whole, seeds, other):
    """Copies with bytes flipped, cut, doubled or taken from another file; footers more often."""
    for seed in seeds:
        rng = np.random.default_rng(seed)
        content = bytearray(whole)
        for _ in range(rng.integers(1, 4)):
            from_end = seed % 3 and len(content) > 2000
            low = len(content) - 1500 if from_end else 0
            i, j = sorted(rng.integers(low, max(low + 1, len(content)), 2).tolist())
            match rng.integers(0, 8):
                case 0:
                    content[i:j] = b""
                case 1:
                    content[i:i] = content[i:j]
                case 2:
                    content[i:j] = other[i:j]
                case 3 | 4:
                    content[i : i + 1] = bytes([rng.choice([0, 1, 0x7F, 0x80, 0xFF])])
                case 5 | 6 | 7 if i < len(content):
                    content[i] ^= 1 << rng.integers(0, 8)
        yield bytes(content)


@pytest.mark.parametrize("struct", [False, True])
def test_mutated_files_never_raise_anything_else(tmp_path, struct):
    rng = np.random.default_rng(0)
    small = [rng.bytes(40) for _ in range(N)]
    columns = {
        "image": cells(small) if struct else small,
        "label": [0, 1, 2] * 4,
        "Hat": [True, False] * 6,
        "split": ["train", "test"] * 6,
        "age": [1.5, None] * 6,
    }
    path = write(tmp_path / "a.parquet", columns, compression="zstd" if struct else "snappy")
    other = write(tmp_path / "b" / "b.parquet", {**columns, "image": small}).read_bytes()
    outcomes = {"refused": 0, "read": 0}
    said = path.name
    aborted = (20856, 21227, 21685, 24399)  # pyarrow 26, where statistics of columns were asked for
    for content in mutants(path.read_bytes(), (*range(400), *aborted), other):
        path.write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                found = contents(listed(path))
                assert all(isinstance(f, bytes | OSError) for f in found)
                outcomes["read"] += 1
            except InputError as error:
                outcomes["refused"] += 1
                said = str(error)
        assert "a.parquet" in said
    assert min(outcomes.values()) > 20
