"""What is handed on is whole, draws the same pictures, and says nothing of where the images lay."""

import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import latentshape as ls
from latentshape.cli import main
from latentshape.codes import load_codes
from latentshape.data.spec import without_paths
from latentshape.decoding import decode_pixels
from latentshape.errors import InputError
from latentshape.files import write_json
from latentshape.models import load_model
from latentshape.samplers import load_sampler
from latentshape.sharing import MARK, from_pretrained, save_pretrained
from tiny_run import contents, copy, finished, read, said  # noqa: F401


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("shared")


@pytest.fixture
def shared(finished, place):  # noqa: F811
    """The tiny run's model and Gaussian: to be read, never written."""
    if not (place / "model").exists():
        save_pretrained(finished, place / "model", "gaussian")
    return place / "model"


def test_the_same_pictures_come_out_as_from_the_run(shared, finished):  # noqa: F811
    model = from_pretrained(shared)
    law = load_sampler(finished.samplers_path / "gaussian")
    drawn = decode_pixels(load_model(finished), law.sample_at(range(3, 8)))
    assert np.array_equal(model.sample(5, seed=3), drawn)
    z = load_codes(finished, "test").z[:4]
    assert np.array_equal(model.decode(z), decode_pixels(load_model(finished), z))
    dataset = ls.open_dataset(finished.config().data.data, size=32)
    pixels = np.array(dataset.pixels[dataset.indices("test")[:4]])
    np.testing.assert_allclose(model.encode(pixels), z, atol=1e-5)
    assert model.encode(pixels[:0]).shape == (0, 5)
    assert "d = 5, drawn by gaussian" in repr(model)


def test_commands_that_draw_take_the_folder(shared, tmp_path, capsys):
    out = tmp_path / "drawn"
    assert main(["sample", str(shared), "--sampler", "gaussian", "-n", "3", "--out", str(out)]) == 0
    assert len(list((out / "images").iterdir())) == 3
    assert main(["sample", str(shared), "--sampler", "diagonal", "--out", str(out)]) == 2
    assert "the law that it holds is gaussian" in said(capsys)


def test_it_is_handed_on_again_unchanged(shared, tmp_path):
    again = from_pretrained(shared).save_pretrained(tmp_path / "again")
    assert contents(again) == contents(shared)


def test_no_path_no_image_and_no_code_goes_along(copy, tmp_path):  # noqa: F811
    config = read(copy.config_path)
    config["data"]["data"] = "folder:/home/somebody/secret-photos"
    write_json(copy.config_path, config)
    facts = read(copy.dataset_path)
    facts |= {"why": "found in /home/somebody", "unreadable": {"aunt-in-hospital.jpg": "damaged"}}
    facts |= {"kind": "folder", "notices": ["secret-photos/a.jpg lies there too"]}
    write_json(copy.dataset_path, facts)
    folder = save_pretrained(copy, tmp_path / "shared", "elliptical")
    for name, content in contents(folder).items():
        for word in (b"somebody", b"secret", b"hospital"):
            assert word not in content, name
    assert read(folder / "config.json")["data"]["data"] == "folder"
    files = set(contents(folder))
    assert not any(name.startswith(("codes", "checkpoints")) for name in files)
    z = np.asarray(load_codes(copy, "train").z)
    sizes = [v.shape for v in vars(load_sampler(folder / "samplers/elliptical")).values()
             if isinstance(v, np.ndarray)]  # fmt: skip
    assert z.shape not in sizes


@pytest.mark.parametrize(
    ("spec", "kind", "told"),
    [
        ("/data/celeba", "celeba", "celeba"),
        ("mnist:/data/x", "mnist", "mnist"),
        ("2*/data/a + faces:n=300", "mixed", "2*images + faces:n=300"),
        ("faces:law=gaussian", "faces", "faces:law=gaussian"),
    ],
)
def test_a_spec_without_its_paths(spec, kind, told):
    assert without_paths(spec, kind) == told


def test_the_card_tells_the_scorecards_numbers_between_yardsticks(shared, finished):  # noqa: F811
    text = (shared / "README.md").read_text(encoding="utf-8")
    assert text.startswith("---\nlibrary_name: latentshape\n")
    rows = read(finished.scorecard_path)["rows"]
    table = [line for line in text.splitlines() if line.startswith("|")]
    for name in ("gaussian", "real", "reconstruction", "standard-normal"):
        (line,) = (row for row in table if row.strip("| ").startswith((f"**{name}**", f"{name} |")))
        assert ls.report.number(rows[name]["gap"]["random-conv"]["value"], 2) in line
    shape = read(finished.shape_path)
    assert f"| {shape['mahalanobis']['variance_ratio']:.2f} | 1 |" in text
    widths = {block: {line.count("|") for line in block.splitlines()} for block in text.split("\n\n")
              if block.startswith("|")}  # fmt: skip
    assert len(widths) == 3
    assert all(len(counts) == 1 for counts in widths.values())
    assert "{" not in text.split("```")[2]


def test_a_run_that_was_only_trained_and_encoded_has_a_gaussian(copy, tmp_path):  # noqa: F811
    for path in (copy.scorecard_path, copy.shape_path):
        path.unlink()
    shutil.rmtree(copy.samplers_path)
    folder = save_pretrained(copy, tmp_path / "shared")
    assert from_pretrained(folder).sampler.name == "gaussian"
    assert "What its pictures are worth" not in (folder / "README.md").read_text()


def test_a_run_folder_is_taken_as_it_is(finished):  # noqa: F811
    model = from_pretrained(finished.path)
    assert model.sampler.name == read(finished.scorecard_path)["recommendation"]["value"]


def test_a_folder_that_was_written_so_before_is_replaced(copy, tmp_path):  # noqa: F811
    folder = save_pretrained(copy, tmp_path / "shared", "gaussian")
    (folder / ".git").mkdir()
    (folder / ".git/HEAD").write_text("of whoever publishes it")
    save_pretrained(copy, folder, "diagonal")
    assert read(folder / MARK)["sampler"] == "diagonal"
    files = set(contents(folder))
    assert {".git/HEAD", "samplers/diagonal.json"} <= files
    assert "samplers/gaussian.json" not in files


def test_the_command_line_exports_all_of_it_at_once(finished, tmp_path, capsys):  # noqa: F811
    words = [
        "--pretrained",
        tmp_path / "model",
        "--sampler",
        "diagonal",
        "--table",
        tmp_path / "z.csv",
    ]
    assert main(["export", str(finished.path), *map(str, words)]) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / "model"), str(tmp_path / "z.csv")]
    assert from_pretrained(tmp_path / "model").sampler.name == "diagonal"
    assert main(["export", str(finished.path)]) == 2
    assert "Say what to export" in said(capsys)
    assert main(["export", str(finished.path), "--table", str(tmp_path / "z.ods")]) == 2
    assert ".parquet or .csv" in said(capsys)


def test_what_must_not_be_handed_on_is_refused(finished, tmp_path):  # noqa: F811
    for name in ("training-codes", "neighbours"):
        with pytest.raises(InputError, match="codes of the training images themselves"):
            save_pretrained(finished, tmp_path / "shared", name)
    with pytest.raises(InputError, match="did you mean 'gaussian'"):
        save_pretrained(finished, tmp_path / "shared", "gausian")
    with pytest.raises(InputError, match="is the run itself"):
        save_pretrained(finished, finished.path, "gaussian")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"no earlier export of a model \(found: chapter\.tex\)"):
        save_pretrained(finished, tmp_path / "thesis", "gaussian")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a file"):
        save_pretrained(finished, tmp_path / "file", "gaussian")
    assert not (tmp_path / "shared").exists()
    assert sorted(p.name for p in tmp_path.iterdir() if p.name != "cache") == ["file", "thesis"]


def test_weights_or_a_law_of_another_model_are_found_out(shared, finished, tmp_path):  # noqa: F811
    for what in ("model.safetensors", "samplers/gaussian.safetensors"):
        broken = tmp_path / what.replace("/", "-")
        shutil.copytree(shared, broken)
        content = bytearray((broken / what).read_bytes())
        content[-1] ^= 1
        (broken / what).write_bytes(content)
        with pytest.raises(InputError, match="belong"):
            from_pretrained(broken)
    lost = tmp_path / "lost"
    shutil.copytree(shared, lost)
    (lost / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"has no model\.safetensors"):
        from_pretrained(lost)


def test_pictures_of_another_size_are_refused(shared):
    model = from_pretrained(shared)
    for pixels in (
        np.zeros((2, 16, 16, 3), np.uint8),
        np.zeros((2, 32, 32, 3)),
        np.zeros(3, np.uint8),
    ):
        with pytest.raises(InputError, match=r"Expected uint8 images \(n, 32, 32, 3\)"):
            model.encode(pixels)


# --- the hub, played by a stand-in: nothing is asked over a network ----------------------------------


@pytest.fixture
def hub(monkeypatch, shared):
    """A hub that holds one repository and remembers what it was asked."""
    asked = []

    class Api:
        def __init__(self, token=None):
            asked.append(("token", token))

        def create_repo(self, repo, **options):
            if repo == "closed/door":
                raise OSError("401 Unauthorized\nmore")
            asked.append(("create", repo, options))

        def upload_folder(self, **options):
            asked.append(("upload", options))
            return f"hub/{options['repo_id']}/commit/1"

    def snapshot_download(name, *, revision, allow_patterns):
        asked.append(("fetch", name, revision, allow_patterns))
        if name != "somebody/faces":
            raise OSError("404 Client Error.\nRepository Not Found")
        return str(shared)

    module = SimpleNamespace(HfApi=Api, snapshot_download=snapshot_download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    return asked


def test_a_name_that_is_no_folder_is_asked_of_the_hub(hub, shared):
    model = from_pretrained("somebody/faces", revision="v1")
    assert np.array_equal(model.sample(2), from_pretrained(shared).sample(2))
    ((_, name, revision, patterns),) = hub
    assert (name, revision) == ("somebody/faces", "v1")
    assert "*" not in patterns  # nothing but what the folder is made of
    with pytest.raises(InputError, match=r"Neither a folder 'no/body' .* \(404 Client Error\)"):
        from_pretrained("no/body")


def test_pushing_sends_the_folder_and_nothing_of_a_run(hub, shared, finished):  # noqa: F811
    model = from_pretrained(shared)
    assert (
        model.push_to_hub("somebody/faces", private=True, token="t")
        == "hub/somebody/faces/commit/1"
    )
    kinds = {what: rest for what, *rest in hub}
    assert kinds["create"] == ["somebody/faces", {"private": True, "exist_ok": True}]
    assert kinds["upload"][0]["folder_path"] == str(shared)
    with pytest.raises(InputError, match="did not take 'closed/door': 401 Unauthorized"):
        model.push_to_hub("closed/door")
    with pytest.raises(InputError, match="owner/name"):
        model.push_to_hub("faces")
    with pytest.raises(InputError, match="a run with all its data"):
        from_pretrained(finished.path).push_to_hub("somebody/faces")


def test_without_the_package_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(InputError, match=r"pip install 'latentshape\[hub\]'"):
        from_pretrained("somebody/faces")
    with pytest.raises(InputError, match="There is no folder"):
        from_pretrained(tmp_path / "absent")
