"""What --data says, taken apart; several sources as one."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latentshape.data import list_dataset, open_dataset
from latentshape.data.mixing import MixedPictures, mix
from latentshape.data.spec import absolute_spec, parse_spec
from latentshape.errors import InputError
from test_data_cache import Given
from test_data_folder import table_of_all, write_folder
from test_data_layouts import written


def opened(spec, **options):
    return open_dataset(str(spec), **{"size": 16, **options})


def parts(spec):
    return [(s.kind, s.rest, s.weight) for s in parse_spec(spec)]


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "pictures")


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


# --- the grammar ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("faces", [("faces", "", 1)]),
        ("faces:n=5,seed=1", [("faces", "n=5,seed=1", 1)]),
        ("2*/a", [("", "/a", 2)]),
        ("2*/a + 0.5*/b", [("", "/a", 2), ("", "/b", 0.5)]),
        (" 2 * folder:/a  +  .25*mnist:/b ", [("folder", "/a", 2), ("mnist", "/b", 0.25)]),
        ("0*/a + /b", [("", "/a", 0), ("", "/b", 1)]),
        ("faces:factors=yaw+smile + /b", [("faces", "factors=yaw+smile", 1), ("", "/b", 1)]),
        ("/a+b", [("", "/a+b", 1)]),
        ("/a\t+\t/b", [("", "/a", 1), ("", "/b", 1)]),
        ("nokind:/a", [("", "nokind:/a", 1)]),
        ("folder:", [("", "folder:", 1)]),
    ],
)
def test_the_grammar(spec, expected):
    assert parts(spec) == expected


def test_home_is_spelt_out(monkeypatch):
    monkeypatch.setenv("HOME", "/home/eve")
    assert parts("~/a + folder:~/b") == [("", "/home/eve/a", 1), ("folder", "/home/eve/b", 1)]


weights = st.one_of(st.integers(0, 10**9), st.floats(0, 1e12, allow_subnormal=False))


@given(st.lists(weights, min_size=1, max_size=4).filter(any))
@settings(max_examples=100, deadline=None)
def test_a_spec_made_absolute_is_the_same_spec(numbers):
    spec = " + ".join(
        f"{np.format_float_positional(w)}*folder:/data/{i}" for i, w in enumerate(numbers)
    )
    assert parse_spec(absolute_spec(spec)) == parse_spec(spec)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("", "Expected --data faces, or the path of your images"),
        (" ", "Expected --data faces, or the path of your images"),
        ("0*faces", "weight 0: nothing is left"),
        ("0*faces + 0*/b", "weight 0: nothing is left"),
        ("1" + "0" * 400 + "*faces", "Expected a finite weight"),
    ],
)
def test_what_is_no_spec_is_a_sentence(spec, words, here):
    with pytest.raises(InputError, match=words):
        opened(spec)


@pytest.mark.parametrize(
    "spec", ["faces + ", " + faces", "faces + + faces", "2*", "*faces", "-1*faces"]
)
def test_what_lacks_a_source_names_what_it_looked_for(spec, here):
    with pytest.raises(InputError, match=r"nothing"):
        opened(spec)


def test_paths_that_look_like_grammar_are_paths(here):
    """Whatever exists is meant."""
    for name in ("a + b", "2*c", "3*d + e", "x"):
        write_folder(here / name)
    reference = opened(here / "x").fingerprint
    for spec in ("a + b", "2*c", "3*d + e", "folder:a + b", "folder:2*c"):
        assert opened(spec).fingerprint == reference, spec
    assert [rest for _, rest, _ in parts("a + b + x")] == ["a + b", "x"]
    assert parts("2*a + b + 0.5*x + faces") == [("", "a + b", 2), ("", "x", 0.5), ("faces", "", 1)]
    for spec in ("a + b", "2*c", "3*d + e", "2*folder:a + b + x"):
        again = absolute_spec(spec)
        assert str(here) in again
        assert [(k, w) for k, _, w in parts(again)] == [(k, w) for k, _, w in parts(spec)]
        assert list_dataset(again).ids == list_dataset(spec).ids


def test_an_absolute_spec_works_from_anywhere(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "other")
    spec = "2*pictures + folder:other + faces:n=60"
    before, there = opened(spec).fingerprint, absolute_spec(spec)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert opened(there).fingerprint == before
    assert absolute_spec(there) == there
    assert absolute_spec("") == ""


# --- words ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["celeba", "CelebA", "Celeb-A", "celeb_a"])
def test_words_are_found_in_any_spelling(name, here, tmp_path, monkeypatch):
    monkeypatch.delenv("LATENTSHAPE_DATA", raising=False)
    with pytest.raises(InputError, match=r"Where is celeba.*LATENTSHAPE_DATA.*--data faces"):
        opened("celeba")
    home = tmp_path / "home"
    shutil.copytree(written("celeba")[0], home / name, copy_function=os.link)
    monkeypatch.setenv("LATENTSHAPE_DATA", str(home))
    dataset = opened("celeba")
    assert dataset.fingerprint == opened(home / name).fingerprint
    assert absolute_spec("0.5*celeba + faces") == "0.5*celeba + faces"  # stays a word


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("fashion-mnist", "FashionMNIST"),
        ("fashion-mnist", "fashion_mnist.zip"),
        ("mnist", "MNIST"),
        ("celeba", "celeba.zip"),
    ],
)
def test_words_lead_to_folders_and_archives(word, name, here, tmp_path, monkeypatch):
    (tmp_path / "home").mkdir()
    for other in (name, "mnist-c", "celeba-hq", "other"):
        (tmp_path / "home" / other).touch()
    monkeypatch.setenv("LATENTSHAPE_DATA", str(tmp_path / "home"))
    (source,) = parse_spec(word)
    assert Path(source.rest) == tmp_path / "home" / name
    assert str(source) == word


def test_words_that_lead_nowhere_are_sentences(here, tmp_path, monkeypatch):
    monkeypatch.setenv("LATENTSHAPE_DATA", str(tmp_path))
    with pytest.raises(InputError, match=r"in which nothing is called mnist. Give --data PATH"):
        opened("mnist")
    monkeypatch.setenv("LATENTSHAPE_DATA", str(tmp_path / "none"))
    with pytest.raises(InputError, match=r"cannot be read \(No such file.*Set it to the folder"):
        opened("mnist")


def test_what_lies_here_goes_before_a_word(here, monkeypatch):
    monkeypatch.delenv("LATENTSHAPE_DATA", raising=False)
    write_folder(here / "mnist")
    assert opened("mnist").kind == "folder"
    assert absolute_spec("mnist") == str(here / "mnist")


# --- mixing ---------------------------------------------------------------------------------------


def test_sources_are_joined_one_after_the_other(folder):
    table_of_all(folder / "t.csv", "Smiling", [i % 2 for i in range(60)])
    table_of_all(folder / "u.csv", "age", [i + 0.5 for i in range(60)])
    celeba, _ = written("celeba")
    dataset = opened(f"2*{celeba} + 0.5*{folder} + {folder}", size=32)
    alone = [opened(celeba, size=32), opened(folder, size=32)]
    assert dataset.kind == "mixed"
    assert dataset.sources == ("celeba", "folder", "folder-2")
    assert len(dataset) == 40 + 60 + 60
    where = dataset.columns["source"]
    assert where.tolist() == [0] * 40 + [1] * 60 + [2] * 60
    assert dataset.weights.tolist() == [2] * 40 + [0.5] * 60 + [1] * 60
    assert dataset.ids[40] == "folder/000.png"
    assert dataset.ids[100] == "folder-2/000.png"
    assert len(set(dataset.ids.tolist())) == 160
    for i, own in enumerate([alone[0], alone[1], alone[1]]):
        rows = where == i
        assert np.array_equal(dataset.pixels[rows], own.pixels)  # each by its own crop
        assert np.array_equal(dataset.split[rows], own.split)
        assert [x.split("/", 1)[1] for x in dataset.ids[rows].tolist()] == own.ids.tolist()
    assert dataset.attribute_names == alone[0].attribute_names
    assert "Smiling" in dataset.attribute_names
    smiling = dataset.attributes[:, dataset.attribute_names.index("Smiling")]
    assert smiling[40:100].tolist() == [1 if i % 2 else -1 for i in range(60)]
    others = np.delete(dataset.attributes, dataset.attribute_names.index("Smiling"), axis=1)
    assert (others[40:] == 0).all()
    assert np.array_equal(dataset.attributes[:40], alone[0].attributes)
    assert (dataset.columns["identity"][40:] == -1).all()
    assert np.isnan(dataset.columns["landmarks"][40:]).all()
    assert np.isnan(dataset.columns["age"][:40]).all()
    assert dataset.columns["age"][40:100].tolist() == [i + 0.5 for i in range(60)]
    summary = dataset.summary()["sources"]
    assert summary == [
        {"name": "celeba", "images": 40, "weight": 2.0},
        {"name": "folder", "images": 60, "weight": 0.5},
        {"name": "folder-2", "images": 60, "weight": 1.0},
    ]
    assert sum("folder: no partition" in n for n in dataset.notices) == 1


def test_boxes_of_one_source_leave_the_other_alone(folder):
    wild, _ = written("celeba-wild")
    dataset = opened(f"{folder} + {wild}", size=32)
    for i, own in enumerate((folder, wild)):
        assert np.array_equal(
            dataset.pixels[dataset.columns["source"] == i], opened(own, size=32).pixels
        )


def test_a_stated_crop_is_everybodys(folder):
    celeba, _ = written("celeba")
    dataset = opened(f"{celeba} + {folder}", crop="square")
    for i, own in enumerate((celeba, folder)):
        expected = opened(own, crop="square").pixels
        assert np.array_equal(dataset.pixels[dataset.columns["source"] == i], expected)
    assert dataset.fingerprint != opened(f"{celeba} + {folder}").fingerprint


def test_a_weight_alone_makes_no_other_pixels(folder):
    weighted = opened(f"2*{folder}")
    assert weighted.sources == ("folder",)
    assert (weighted.weights == 2).all()
    assert np.array_equal(weighted.pixels, opened(folder).pixels)
    assert opened(f"1*{folder}").fingerprint == opened(folder).fingerprint
    assert opened(f"1*{folder}").weights is None


def test_faces_of_two_laws_in_one_dataset():
    dataset = opened("faces:n=60,law=uniform + faces:n=60,law=heavy")
    assert dataset.sources == ("faces", "faces-2")
    one, other = (opened(f"faces:n=60,law={law}") for law in ("uniform", "heavy"))
    assert np.array_equal(dataset.pixels, np.concatenate([one.pixels, other.pixels]))
    factors = [d.columns["factors"] for d in (one, other)]
    assert np.array_equal(dataset.columns["factors"], np.concatenate(factors))


def test_a_column_of_the_users_that_is_called_source_spoils_nothing(folder):
    table_of_all(folder / "t.csv", "source", [7.5] * 60)
    dataset = opened(f"faces:n=60 + {folder}")
    assert dataset.columns["source"].tolist() == [0] * 60 + [1] * 60
    assert any("'source'" in notice and "left out" in notice for notice in dataset.notices)
    assert (opened(folder).columns["source"] == 7.5).all()


def test_columns_of_unlike_shape_are_left_out_and_named(folder):
    table_of_all(folder / "t.csv", "landmarks", [0.5] * 60)
    dataset = opened(f"{written('celeba')[0]} + {folder}")
    assert "landmarks" not in dataset.columns
    assert any("'landmarks' differs in shape" in notice for notice in dataset.notices)


def test_broken_pictures_of_one_source_close_up_behind_it(folder):
    (folder / "003.png").write_bytes(b"broken")
    other = write_folder(folder.parent / "other")
    dataset = opened(f"{folder} + 3*{other}", size=32)
    assert list(dataset.facts["unreadable"]) == ["folder/003.png"]
    assert len(dataset) == 119
    assert (dataset.weights == np.where(dataset.columns["source"] == 1, 3, 1)).all()
    assert np.array_equal(dataset.pixels[59:], opened(other, size=32).pixels)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=4), st.data())
@settings(max_examples=60, deadline=None)
def test_any_rows_of_mixed_pictures_are_those_rows(sizes, data):
    pictures = MixedPictures([Given([f"{i}-{j}" for j in range(n)]) for i, n in enumerate(sizes)])
    everything = [f"{i}-{j}".encode() for i, n in enumerate(sizes) for j in range(n)]
    assert list(pictures.contents(0)) == everything
    assert len(pictures) == len(everything)
    rows = sorted(data.draw(st.sets(st.sampled_from(range(sum(sizes)))))) if everything else []
    taken = pictures.take(np.array(rows, dtype=np.int64))
    assert list(taken.contents(0)) == [everything[i] for i in rows]
    assert len(taken) == len(rows)


def test_a_mix_of_mixes_keeps_every_name_apart(folder):
    listing = list_dataset(str(folder))
    assert mix([listing] * 12, [1] * 12).sources[-1] == "folder-12"


def test_classes_and_persons_of_two_sources_stay_apart(tmp_path):
    """Planted: class 0 is a cat here and a car there."""
    for root, classes in (("a", ("cat", "dog")), ("b", ("car", "plane"))):
        for name in classes:
            write_folder(tmp_path / root / name, 30)
    listing = list_dataset(f"{tmp_path / 'a'} + {tmp_path / 'b'}")
    label, source = listing.columns["label"], listing.columns["source"]
    assert not set(label[source == 0]) & set(label[source == 1])
    assert set(label) == {0, 1, 2, 3}
    assert any("numbered on from source to source" in notice for notice in listing.notices)
