# ruff: noqa: F401, F811 - fixtures are imported
"""Codes and pictures: in order, aligned, bounded in memory, and the same in any company."""

import json
import re
import shutil

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from latentshape import codes
from latentshape.codes import Codes, encode_dataset, load_array, load_codes, save_array
from latentshape.config import make_config
from latentshape.data import SPLITS
from latentshape.decoding import decode, decode_pixels
from latentshape.errors import InputError
from latentshape.files import write_json
from latentshape.images import to_images, to_pixels
from latentshape.models import build_model, load_model
from latentshape.pipeline import encode_run, open_data
from latentshape.runs import RunFolder
from tiny_run import contents, copy, finished, plain_dataset


def model_of(latent_dim=7, **options):
    return build_model(make_config(size=32, filters=(4, 6), latent_dim=latent_dim, **options))


def encoded(tmp_path, dataset, model=None) -> RunFolder:
    run = RunFolder.create(tmp_path / "run", make_config(size=32))
    encode_dataset(model or model_of(), dataset, run.codes_path)
    return run


@pytest.mark.parametrize("n", [150, 1000])  # fewer than a batch of a split, and several batches
def test_every_image_has_its_code_its_id_and_its_attributes(tmp_path, n):
    dataset, model = plain_dataset(n), model_of()
    run = encoded(tmp_path, dataset, model)
    for split in SPLITS:
        rows = dataset.indices(split)
        found = load_codes(run, split)
        with torch.inference_mode():
            expected = model.encode(to_images(dataset.pixels[rows])).numpy()
        assert found.z.dtype == np.float32
        assert found.z.shape == (len(rows), 7)
        np.testing.assert_allclose(found.z, expected, rtol=1e-4, atol=1e-6)
        assert np.array_equal(found.ids, dataset.ids[rows])
        assert np.array_equal(found.attributes, dataset.attributes[rows])
        assert found.attribute_names == dataset.attribute_names
        assert found.split == split


def test_a_run_of_the_command_line_holds_the_codes_of_its_model(finished):
    model, dataset = load_model(finished), open_data(finished.config(), finished)
    for split in SPLITS:
        rows = dataset.indices(split)
        with torch.inference_mode():
            expected = model.encode(to_images(dataset.pixels[rows])).numpy()
        found = load_codes(finished, split)
        np.testing.assert_allclose(found.z, expected, rtol=1e-3, atol=1e-5)
        assert found.ids.tolist() == dataset.ids[rows].tolist()


def test_codes_are_written_batch_by_batch_and_mapped_not_read(tmp_path, monkeypatch):
    sizes, real = [], codes.write_array

    def spy(path, shape, dtype, blocks):
        def counted():
            for block in blocks:
                sizes.append(len(block))
                yield block

        real(path, shape, dtype, counted() if path.name == "train.npy" else blocks)

    monkeypatch.setattr(codes, "write_array", spy)
    run = encoded(tmp_path, plain_dataset(1000))
    assert len(sizes) > 2
    assert max(sizes) <= codes.BATCH
    assert isinstance(load_codes(run).z, np.memmap)


def test_a_dataset_without_attributes_leaves_none_of_an_earlier_one(tmp_path):
    dataset = plain_dataset()
    run = encoded(tmp_path, dataset)
    plain = type(dataset)(**(vars(dataset) | {"attributes": None, "attribute_names": ()}))
    encode_dataset(model_of(), plain, run.codes_path)
    found = load_codes(run)
    assert found.attributes is None
    assert found.attribute_names == ()


def test_an_encoding_that_is_cut_short_leaves_the_earlier_codes(tmp_path, monkeypatch):
    run = encoded(tmp_path, plain_dataset())
    before, written, real = contents(run.path), [], codes.save_array

    def full(path, array):
        written.append(path)
        if len(written) == 3:
            raise OSError(28, "No space left on device")
        real(path, array)

    monkeypatch.setattr(codes, "save_array", full)
    with pytest.raises(OSError, match="No space"):
        encode_dataset(model_of(), plain_dataset(seed=1), run.codes_path)
    assert len(written) == 3
    assert contents(run.path) == before


def test_a_diverged_encoder_is_a_sentence_and_writes_no_codes(tmp_path):
    model = model_of()
    with torch.no_grad():
        model.encoder.to_code.bias[0] = np.nan
    run = RunFolder.create(tmp_path / "run", make_config(size=32))
    with pytest.raises(InputError, match="the model has diverged"):
        encode_dataset(model, plain_dataset(), run.codes_path)
    assert not run.codes_path.exists()


def test_bf16_codes_are_float32_and_close(tmp_path):
    dataset, model = plain_dataset(), model_of()
    run = encoded(tmp_path, dataset, model)
    exact = np.array(load_codes(run).z)
    encode_dataset(model, dataset, run.codes_path, precision="bf16")
    found = load_codes(run).z
    assert found.dtype == np.float32
    error = np.abs(found - exact).max()
    assert 0 < error < 0.05 * exact.std() + 0.01


def test_codes_do_not_need_the_model_in_evaluation_mode(tmp_path):
    dataset, model = plain_dataset(), model_of(batch_norm=True)
    run = encoded(tmp_path, dataset, model.train())
    first = np.array(load_codes(run).z)
    encode_dataset(model.train(), dataset, run.codes_path)
    assert np.array_equal(load_codes(run).z, first)
    z = np.random.default_rng(0).standard_normal((5, 7)).astype(np.float32)
    pictures = decode_pixels(model.train(), z)
    assert np.array_equal(decode_pixels(model.train(), z[:2]), pictures[:2])
    # One by one, and at the precision at which runs are judged: the same to a grey level or two.
    for options in ({"batch": 1}, {"precision": "bf16"}):
        off = np.abs(decode_pixels(model, z, **options).astype(int) - pictures)
        assert off.max() <= 2, options


@pytest.mark.parametrize("dtype", [np.float32, np.int8, "<U12", np.float64])
@pytest.mark.parametrize("shape", [(0,), (3,), (5, 4), (2, 3, 4)])
def test_a_saved_array_comes_back(tmp_path, dtype, shape):
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    save_array(tmp_path / "a.npy", array)
    back = np.load(tmp_path / "a.npy", allow_pickle=False)
    assert back.dtype == array.dtype
    assert np.array_equal(back, array)
    save_array(tmp_path / "f.npy", np.asfortranarray(array))
    assert np.array_equal(np.load(tmp_path / "f.npy"), array)


# --- damaged and missing ------------------------------------------------------------------------


def test_no_codes_yet_names_the_command_that_makes_them(tmp_path):
    run = RunFolder.create(tmp_path / "run", make_config())
    with pytest.raises(InputError, match=re.escape(f"latentshape encode {run.path}")):
        load_codes(run)


@pytest.mark.parametrize(
    "name", ["train.npy", "train.ids.npy", "train.attributes.npy", "index.json"]
)
@pytest.mark.parametrize("damage", ["empty", "half", "text", "missing", "other"])
def test_damaged_codes_are_a_sentence(tmp_path, name, damage):
    run = encoded(tmp_path, plain_dataset())
    path = run.codes_path / name
    whole = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "other":
        source = "train.ids.npy" if name != "train.ids.npy" else "validation.ids.npy"
        shutil.copy(run.codes_path / source, path)
    else:
        path.write_bytes({"empty": b"", "half": whole[: len(whole) // 2], "text": b"hello"}[damage])
    with pytest.raises(InputError, match=r"encode|JSON"):
        load_codes(run)


def test_an_unknown_split_is_named(finished):
    with pytest.raises(InputError, match="split must be one of train, validation, test"):
        load_codes(finished, "tset")


def test_any_array_on_disk_is_mapped(tmp_path):
    z = np.random.default_rng(0).standard_normal((6, 3))
    np.save(tmp_path / "z.npy", z)
    found = load_array(tmp_path / "z.npy")
    assert isinstance(found, np.memmap)
    assert np.array_equal(found, z)


def make_pickled(path):
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)


def make_archive(path):
    with path.open("wb") as file:
        np.savez(file, z=np.zeros((3, 2)))


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("1,2\n3,4\n"),
        lambda path: path.write_bytes(b"\x93NUMPY\x01\x00"),
        lambda path: path.mkdir(),
        lambda path: None,
        make_pickled,
        make_archive,
    ],
    ids=["empty", "text", "header", "folder", "nothing", "pickle", "archive"],
)
def test_what_is_no_array_is_a_sentence(tmp_path, make):
    path = tmp_path / "z.npy"
    make(path)
    with pytest.raises(InputError, match=r"\.npy"):
        load_array(path)


# --- decoding -----------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_norm", [False, True])
def test_a_picture_does_not_depend_on_how_many_are_drawn(batch_norm):
    model = model_of(batch_norm=batch_norm).eval()
    z = 3 * np.random.default_rng(0).standard_normal((130, 7)).astype(np.float32)
    all_of_them = torch.cat(list(decode(model, z)))
    assert all_of_them.shape == (130, 3, 32, 32)
    for n in (1, 5, 128, 129):
        assert torch.equal(torch.cat(list(decode(model, z[:n]))), all_of_them[:n])


def test_pictures_come_in_order_and_are_the_models():
    model = model_of().eval()
    z = np.random.default_rng(0).standard_normal((300, 7)).astype(np.float32)
    with torch.inference_mode():
        expected = model.decode(torch.from_numpy(z))
    batches = list(decode(model, z))
    assert [len(batch) for batch in batches] == [128, 128, 44]
    torch.testing.assert_close(torch.cat(batches), expected, rtol=1e-4, atol=1e-6)
    pixels = decode_pixels(model, z)
    assert pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - to_pixels(expected)).max() <= 1


@pytest.mark.parametrize(
    ("z", "expected"),
    [
        (np.zeros((3, 6)), "takes codes of 7 components, got 6"),
        (np.zeros((3, 8)), "takes codes of 7 components, got 8"),
        (np.full((3, 7), np.nan), "z"),
        (np.zeros((3, 7, 1)), "must have shape"),
        (np.zeros((0, 7)), "z"),
    ],
)
def test_codes_that_do_not_fit_are_refused(z, expected):
    with pytest.raises(InputError, match=expected):
        list(decode(model_of(), z))


def test_codes_of_other_images_go_beside_the_runs_own(copy):
    own = (copy.codes_path / "train.npy").read_bytes()
    folder = encode_run(copy, "faces:n=150,seed=9")
    assert folder.parent == copy.path
    assert folder != copy.codes_path
    assert np.load(folder / "train.ids.npy")[0].startswith("face-9-")
    assert (copy.codes_path / "train.npy").read_bytes() == own


@pytest.mark.parametrize("fact", ["dataset", "weights"])
def test_codes_of_other_images_or_another_model_are_refused_before_anything_is_written(copy, fact):
    from latentshape.pipeline import analyze_run, evaluate_run

    index = json.loads((copy.codes_path / "index.json").read_text())
    write_json(copy.codes_path / "index.json", index | {fact: "something else"})
    before = contents(copy.path)
    for work in (load_codes, analyze_run, evaluate_run):
        with pytest.raises(InputError, match=r"other images|another model"):
            work(copy)
    assert contents(copy.path) == before


def test_weights_on_disk_are_plain_float32(finished):
    tensors = load_file(finished.model_path)
    assert {t.dtype for t in tensors.values()} == {np.dtype(np.float32)}
