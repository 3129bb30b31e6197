# ruff: noqa: F401, F811 - fixtures are imported
"""The command line: every option a field, every mistake one sentence and exit code 2."""

import errno
import io
import json
import os
import shutil
import sys
import types

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from latentshape import cli, pipeline
from latentshape.cli import main
from latentshape.config import PRESETS, Config, field_sections, make_config
from latentshape.data.layouts import make_faces
from latentshape.data.procedural import FaceRecipe
from latentshape.runs import RunFolder
from latentshape.samplers import SAMPLERS
from tiny_run import contents, copy, finished, hurry, read, said, tiny_config, words


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch):
    """What figures look like is asked elsewhere."""
    hurry(monkeypatch)


def options_of(verb):
    """The long and short options of a command by their destination."""
    parser = cli._parser()
    verbs = next(a for a in parser._actions if a.dest == "verb").choices
    return {action.dest: action for action in verbs[verb]._actions if action.dest != "help"}


def run(*arguments):
    """The exit code, whichever way the command ends."""
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as stop:
        return stop.code


# --- options ------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["run", "train"])
def test_every_field_is_an_option_and_every_option_a_field(verb):
    assert set(options_of(verb)) == {"out", "dry_run", "tensorboard", "preset", *field_sections()}
    for name, action in options_of(verb).items():
        assert action.help, name
        assert action.option_strings, name


def dry(capsys, *arguments):
    assert run("run", "--dry-run", *arguments) == 0
    return Config.from_dict(json.loads(capsys.readouterr().out))


@pytest.mark.parametrize("preset", PRESETS)
def test_a_dry_run_prints_the_config_and_does_nothing(preset, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert dry(capsys, "--preset", preset) == make_config(preset)
    assert not list(tmp_path.iterdir())


OTHER = dict(
    data="folder:here", size=96, channels=1, crop="square", model="vae", latent_dim=7,
    filters=(5, 6, 7), strides=(2, 3, 2), kernel_size=5, decoder_filters=(3, 4, 5),
    activation="gelu", negative_slope=0.25, batch_norm=True, beta=4.0, prior_weight=7.0,
    code_penalty=0.5, decoder_decay=0.25, epochs=2, batch_size=9,
    learning_rate=0.5, schedule="cosine", weight_decay=0.125, flip=False, precision="bf16", seed=11,
    snapshots=(1, 2), n=17, draws=3, samplers="gaussian,cube", features="codes",
    inception_weights="a.pth", dinov2_weights="b.pth",
)  # fmt: skip


def test_every_option_reaches_its_field(capsys):
    assert set(OTHER) == set(field_sections())
    assert dry(capsys, *words(**OTHER)) == make_config(**OTHER)


def test_help_of_every_command_says_what_it_does(capsys):
    verbs = next(a for a in cli._parser()._actions if a.dest == "verb").choices
    assert set(verbs) >= {"run", "train", "encode", "analyze", "sample", "evaluate", "report"}
    for verb in verbs:
        assert run(verb, "--help") == 0
        assert "usage: latentshape" in capsys.readouterr().out


# --- words that are wrong -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["rum"], "rum"),
        ([], "COMMAND"),
        (["run", "--epochz", "3"], "--epochz"),
        (["run", "--epochs", "many"], "--epochs"),
        (["run", "--filters", "a,b"], "expected numbers such as 32,64,128"),
        (["run", "--filters", ""], "filters"),
        (["run", "--preset", "face-64"], "did you mean 'faces-64'"),
        (["run", "--activation", "swish"], "leaky-relu"),
        (["run", "--size", "65"], "--size 64 or 80"),
        (["run", "--strides", "0"], "strides"),
        (["run", "--learning-rate", "nan"], "learning_rate"),
        (["run", "--weight-decay", "inf"], "weight_decay"),
        (["run", "--seed", "-1"], "seed"),
        (["train", "--data", "nowhere/at/all"], "nowhere/at/all"),
        (["train", "--data", "faces:n=many"], "faces:n=NUMBER"),
        (["train", "--data", "faces:n=3"], "too few"),
        (["train", "--data", "celeba"], "LATENTSHAPE_DATA"),
        (["encode"], "RUN"),
        (["encode", "nowhere"], "no run folder 'nowhere'"),
        (["analyze", "nowhere.npy"], "nothing at 'nowhere.npy'"),
        (["sample", "nowhere"], "no run folder"),
        (["evaluate", "nowhere"], "no run folder"),
        (["report", "nowhere"], "no run folder"),
    ],
)
def test_wrong_words_are_a_sentence_and_leave_nothing(
    arguments, expected, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LATENTSHAPE_CACHE", str(tmp_path.parent / f"{tmp_path.name}-cache"))
    monkeypatch.delenv("LATENTSHAPE_DATA", raising=False)
    assert run(*arguments) == 2
    assert expected in said(capsys)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--sampler", "gausian"], "did you mean 'gaussian'"),
        (["--option", "temprature=0.5"], "did you mean 'temperature'"),
        (["--option", "temperature"], "NAME=VALUE"),
        (["--option", "temperature=hot"], "temperature"),
        (["--option", "temperature=-1"], "temperature"),
        (["--option", "temperature=NaN"], "temperature"),
        (["--option", "temperature=null"], "temperature"),
        (["--option", "n=3"], "no option 'n'"),
        (["--option", "run=3"], "no option 'run'"),
        (["--option", "=3"], "no option ''"),
        (["--sampler", "diagonal", "--option", "fact=3"], "takes no options"),
        (["-n", "0"], "-n must be at least 1"),
        (["-n", "x"], "-n"),
        (["--seed", "-5"], "--seed at least 0"),
        (["--seed", str(2**64)], "seed"),
    ],
)
def test_wrong_words_to_sample_are_a_sentence_and_leave_nothing(
    arguments, expected, finished, capsys, tmp_path
):
    before = contents(finished.path)
    assert run("sample", finished.path, "--out", tmp_path / "out", *arguments) == 2
    assert expected in said(capsys)
    assert not (tmp_path / "out").exists()
    assert contents(finished.path) == before


# --- data that are amiss ------------------------------------------------------------------------


def few_pictures(folder):
    folder.mkdir()
    for i in range(3):
        Image.new("RGB", (40, 40), (i, i, i)).save(folder / f"{i}.png")


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: folder.mkdir(),
        lambda folder: (folder.mkdir(), (folder / "notes.txt").write_text("hello")),
        lambda folder: (folder.mkdir(), (folder / "a.jpg").write_bytes(b"no picture")),
        lambda folder: folder.write_text("a file"),
        few_pictures,
    ],
    ids=["empty", "no-pictures", "broken", "file", "few"],
)
def test_data_without_usable_pictures_are_a_sentence_and_make_no_run(make, capsys, tmp_path):
    make(tmp_path / "data")
    code = run("train", "--out", tmp_path / "run", *words(data=str(tmp_path / "data")))
    assert code == 2
    assert str(tmp_path / "data") in (text := said(capsys)) or "too few" in text
    assert not (tmp_path / "run").exists()


# --- run folders that are amiss -----------------------------------------------------------------


def test_another_config_in_the_same_folder_is_refused(copy, capsys):
    before = contents(copy.path)
    assert run("run", "--out", copy.path, *words(epochs=3)) == 2
    assert "training.epochs: 2 there, 3 now" in said(capsys)
    assert contents(copy.path) == before


def test_out_that_is_a_file_or_below_one_is_a_sentence(capsys, tmp_path):
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file", tmp_path / "file" / "run"):
        assert run("train", "--out", out, *words()) == 2
        said(capsys)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_half_written_run_is_a_sentence(copy, capsys):
    copy.config_path.unlink()
    before = contents(copy.path)
    assert run("run", "--out", copy.path, *words()) == 2
    assert "config.json" in said(capsys)
    for verb in ("encode", "analyze", "sample", "evaluate", "report"):
        assert run(verb, copy.path) == 2
        assert "config.json" in said(capsys)
    assert contents(copy.path) == before


VERBS = {
    "encode": [("model.safetensors", "train")],
    "analyze": [("codes", "encode"), ("codes/validation.npy", "encode")],
    # A saved law needs no codes to draw from.
    "sample": [("model.safetensors", "train")],
    "walk": [("codes/train.npy", "encode"), ("model.safetensors", "train")],
    "evaluate": [("codes", "encode"), ("codes/test.npy", "encode"), ("model.safetensors", "train")],
    "report": [("shape.json", "analyze")],
}


@pytest.mark.parametrize(
    ("verb", "gone", "maker"), [(v, *case) for v, cases in VERBS.items() for case in cases]
)
def test_what_was_deleted_names_the_command_that_makes_it(verb, gone, maker, copy, capsys):
    path = copy.path / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert run(verb, copy.path) == 2
    assert f"latentshape {maker} " in said(capsys)


@pytest.mark.parametrize("damage", [b"", b"{", b"[1, 2]", b"{}", b"\x00\xff"])
@pytest.mark.parametrize(
    ("name", "verb"),
    [
        ("config.json", "sample"),
        ("config.json", "report"),
        ("model.safetensors", "sample"),
        ("model.safetensors", "encode"),
        ("shape.json", "report"),
        ("scorecard.json", "report"),
        ("stages.json", "report"),
        ("dataset.json", "encode"),
        ("metrics.jsonl", "report"),
        ("codes/train.npy", "analyze"),
        ("codes/index.json", "evaluate"),
    ],
)
def test_a_corrupt_artefact_is_a_sentence(name, verb, damage, copy, capsys):
    if damage in {"metrics.jsonl": (b"",), "stages.json": (b"{}",)}.get(name, ()):
        assert run(verb, copy.path) == 0  # nothing is in them yet
        return
    (copy.path / name).write_bytes(damage)
    assert run(verb, copy.path) == 2
    said(capsys)


def test_the_same_command_mends_what_was_deleted(tmp_path, capsys):
    out = tmp_path / "run"
    given = ["run", "--out", out, *words(samplers="gaussian,training-codes")]
    assert run(*given) == 0
    before = contents(out)
    for gone in ("model.safetensors", "codes/test.npy", "shape.json", "scorecard.json"):
        (out / gone).unlink()
        assert run(*given) == 0
        after = contents(out)
        assert after.keys() == before.keys()
        for name in ("model.safetensors", "codes/test.npy", "codes/train.npy", "scorecard.json"):
            assert after[name] == before[name], (gone, name)


# --- a full disk --------------------------------------------------------------------------------


def full_after(monkeypatch, writes):
    """The disk that takes some more replacements of files and then no byte."""
    real, count = os.replace, []

    def replace(source, target):
        count.append(target)
        if len(count) > writes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        return real(source, target)

    monkeypatch.setattr(os, "replace", replace)


@pytest.mark.parametrize("verb", ["encode", "analyze", "sample", "evaluate", "report"])
@pytest.mark.parametrize("writes", [0, 2])
def test_a_full_disk_is_a_sentence_and_loses_nothing(verb, writes, copy, capsys, monkeypatch):
    before = contents(copy.path)
    with monkeypatch.context() as patch:
        full_after(patch, writes)
        assert run(verb, copy.path) == 2
    text = said(capsys)
    assert "No space left on device" in text
    assert "make room" in text
    after = contents(copy.path)
    for name, content in before.items():
        if name.endswith((".json", ".npy", ".safetensors")) and name != "stages.json":
            assert after[name] == content, name
    leftovers = [name for name in after if name.split("/")[-1].startswith(".") or ".part" in name]
    assert not leftovers


@pytest.mark.parametrize("writes", [0, 1, 2, 3, 4])
def test_a_disk_that_fills_in_training_is_a_sentence_and_with_room_it_goes_on(
    writes, finished, capsys, tmp_path, monkeypatch
):
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        full_after(patch, writes)
        assert run("train", "--out", out, *words()) == 2
    assert "No space left on device" in said(capsys)
    assert run("train", "--out", out, *words()) == 0
    assert (out / "model.safetensors").read_bytes() == finished.model_path.read_bytes()


#: A command that may write files of 20,000 bytes at most: the nearest to a full disk.
LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
from latentshape.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_real_write_error_in_the_middle_of_a_file_is_a_sentence(finished, tmp_path):
    import subprocess
    import sys

    out = tmp_path / "run"
    # No compiled modules are kept: Python 3.11 does not notice that they were cut off, and from then on no
    # process can import them.
    done = subprocess.run(
        [sys.executable, "-B", "-c", LIMITED, "train", "--out", str(out), *words()],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("latentshape: cannot write")
    whole = {"config.json", "dataset.json", "stages.json", "metrics.jsonl"}
    first = "checkpoints/last.safetensors"  # the one of step 0, without Adam's moments, is small
    assert set(contents(out)) <= whole | {first}
    assert any(key.startswith("model.") for key in load_file(out / first))


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere"
)
def test_a_folder_that_may_not_be_written_is_a_sentence(finished, capsys, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    assert run("train", "--out", tmp_path / "locked" / "run", *words()) == 2
    assert "cannot write" in said(capsys)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC, errno.EDQUOT])
def test_whatever_the_disk_answers_is_said(number, finished, capsys, tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError(number, os.strerror(number), "the-file")

    monkeypatch.setattr("latentshape.images.save_png", refuse)
    assert run("sample", finished.path, "--out", tmp_path / "out") == 2
    text = said(capsys)
    assert os.strerror(number) in text
    assert "the-file" in text


def test_a_defect_keeps_its_traceback(finished, monkeypatch):
    def broken(*args, **kwargs):
        raise KeyError("a defect")

    monkeypatch.setattr(pipeline, "report_run", broken)
    with pytest.raises(KeyError):
        main(["report", str(finished.path)])


def test_ctrl_c_exits_130_with_a_sentence(finished, monkeypatch, capsys):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "report_run", interrupted)
    assert run("report", finished.path) == 130
    assert "same command again" in capsys.readouterr().err


# --- sample and analyze -------------------------------------------------------------------------


def pictures(folder):
    return {p.name: np.asarray(Image.open(p)) for p in sorted((folder / "images").iterdir())}


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_picture_does_not_depend_on_how_many_are_drawn(sampler, finished, tmp_path, capsys):
    four, nine = tmp_path / "four", tmp_path / "nine"
    common = ["sample", finished.path, "--sampler", sampler, "--seed", 3]
    assert run(*common, "-n", 4, "--out", four) == 0
    assert capsys.readouterr().out.strip() == str(four / "grid.png")
    assert run(*common, "-n", 9, "--out", nine) == 0
    some, more = pictures(four), pictures(nine)
    assert list(some) == [f"{i:06d}.png" for i in range(3, 7)]
    assert len(more) == 9
    for name, picture in some.items():
        assert picture.shape == (32, 32, 3)
        assert np.array_equal(picture, more[name])
    z, longer = np.load(four / "codes.npy"), np.load(nine / "codes.npy")
    assert np.array_equal(z, longer[:4])
    later = tmp_path / "later"
    assert (
        run("sample", finished.path, "--sampler", sampler, "--seed", 5, "-n", 1, "--out", later)
        == 0
    )
    assert np.array_equal(np.load(later / "codes.npy"), z[2:3])


def test_an_option_reaches_the_sampler(finished, tmp_path):
    for value in ("1.0", "0.5"):
        code = run("sample", finished.path, "-n", 300, "--out", tmp_path / value,
                   "--option", f"temperature={value}")  # fmt: skip
        assert code == 0
    wide, narrow = (np.load(tmp_path / value / "codes.npy") for value in ("1.0", "0.5"))
    assert 0 < narrow.var(0).sum() < 0.7 * wide.var(0).sum()


def test_a_bare_array_is_analysed_without_a_run(tmp_path, capsys):
    z = np.random.default_rng(0).standard_normal((400, 3)).astype(np.float32)
    np.save(tmp_path / "z.npy", z)
    assert run("analyze", tmp_path / "z.npy") == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "z" / "shape.json")
    assert run("analyze", tmp_path / "z.npy", "--out", tmp_path / "there") == 0
    shape = read(tmp_path / "there" / "shape.json")
    assert (shape["n"], shape["d"]) == (400, 3)
    assert shape == read(tmp_path / "z" / "shape.json")
    assert list((tmp_path / "there" / "figures").glob("*.png"))


@pytest.mark.parametrize(
    "array",
    [np.zeros(5), np.zeros((5, 2, 2)), np.full((5, 2), np.nan), np.zeros((0, 3)), np.zeros((1, 3)),
     np.array([["a", "b"]]), np.zeros((5, 2), complex), np.zeros((50, 2)), np.zeros((5, 0))],
    ids=["1-d", "3-d", "nan", "none", "one", "text", "complex", "constant", "no-components"],
)  # fmt: skip
def test_an_array_that_is_no_codes_is_a_sentence(array, tmp_path, capsys):
    np.save(tmp_path / "z.npy", array)
    assert run("analyze", tmp_path / "z.npy") == 2
    said(capsys)
    assert not (tmp_path / "z" / "shape.json").exists()


def test_a_dead_component_is_no_obstacle(tmp_path):
    z = np.random.default_rng(0).standard_normal((300, 4))
    z[:, 2] = 1.5
    np.save(tmp_path / "z.npy", z)
    assert run("analyze", tmp_path / "z.npy") == 0
    assert read(tmp_path / "z" / "shape.json")["components"][2]["std"] == 0


def test_an_array_without_a_suffix_has_no_folder_beside_it_and_says_so(tmp_path, capsys):
    buffer = io.BytesIO()
    np.save(buffer, np.random.default_rng(0).standard_normal((50, 3)))
    (tmp_path / "z").write_bytes(buffer.getvalue())
    assert run("analyze", tmp_path / "z") == 2
    said(capsys)
    assert (tmp_path / "z").read_bytes() == buffer.getvalue()
    assert run("analyze", tmp_path / "z", "--out", tmp_path / "out") == 0


def test_the_tiny_words_are_the_tiny_config(capsys):
    assert dry(capsys, *words()) == tiny_config()


# --- TensorBoard ----------------------------------------------------------------------------------


def test_tensorboard_gets_the_lines_of_metrics(tmp_path, monkeypatch):
    """With a stand-in for the writer, whose real package is an extra."""
    written = []

    class SummaryWriter:
        def __init__(self, folder, purge_step):
            assert (folder, purge_step) == (str(tmp_path / "run" / "tensorboard"), 0)

        def add_scalar(self, name, value, step):
            written.append((name, value, step))

        def flush(self):
            pass

    stand_in = types.ModuleType("torch.utils.tensorboard")
    stand_in.SummaryWriter = SummaryWriter
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", stand_in)
    out = str(tmp_path / "run")
    assert main(["train", "--out", out, "--tensorboard", *words()]) == 0
    for line in RunFolder(out).metrics():
        for name in ("train_mse", "heldout_mse", "images_per_second", "learning_rate"):
            assert (name, line[name], line["step"]) in written


def test_tensorboard_that_is_not_installed_is_a_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    out = str(tmp_path / "run")
    assert main(["train", "--out", out, "--tensorboard", *words()]) == 2
    assert "pip install 'latentshape[tensorboard]'" in capsys.readouterr().err


# --- what would fail late ---------------------------------------------------------------------------


def test_fewer_codes_than_dimensions_leave_out_what_they_cannot_fit_and_judge_the_rest(
    tmp_path,
):
    out = tmp_path / "run"
    assert main(["run", "--out", str(out), *words(data="faces:n=110", latent_dim=100)]) == 0
    card = json.loads((out / "scorecard.json").read_text())
    assert set(card["rows"]) >= set(SAMPLERS)
    assert "more codes than dimensions" in card["rows"]["gaussian"]["face_rate"]["why"]
    assert card["rows"]["diagonal"]["gap"]["random-conv"]["value"] > 0
    assert "gaussian" in (out / "report.html").read_text()


def test_a_partition_that_appears_later_is_another_dataset(tmp_path, capsys, monkeypatch):
    """Else images that were trained on would be judged as held out."""
    home = tmp_path / "celeba"
    make_faces(FaceRecipe(n=90), "celeba", home)
    (home / "list_eval_partition.txt").unlink()
    out = str(tmp_path / "run")
    options = words(data=str(home))
    assert main(["train", "--out", out, *options]) == 0
    names = sorted(p.name for p in (home / "img_align_celeba").iterdir())
    rows = [f"{name} {i % 3}" for i, name in enumerate(names)]
    (home / "list_eval_partition.txt").write_text("\n".join(rows))
    assert main(["run", "--out", out, *options]) == 2
    assert "have changed since" in capsys.readouterr().err


def test_a_run_works_from_another_folder(tmp_path, monkeypatch):
    make_faces(FaceRecipe(n=90), "celeba", tmp_path / "here" / "celeba")
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert main(["train", "--out", "run", *words(data="celeba")]) == 0
    monkeypatch.chdir(tmp_path / "there")
    assert main(["encode", "../here/run"]) == 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (dict(seed=2**64), "seed must be below"),
        (dict(negative_slope=-0.1), "negative_slope must not be negative"),
        (dict(batch_norm=True, batch_size=1), "no batch may hold a single image"),
        (dict(data="faces:n=12"), "too few for a training"),
    ],
)
def test_what_cannot_be_trained_is_said_before_training(options, sentence, tmp_path, capsys):
    assert main(["train", "--out", str(tmp_path / "run"), *words(**options)]) == 2
    assert sentence in capsys.readouterr().err


def test_a_smaller_second_draw_leaves_no_picture_of_the_first(finished, tmp_path):
    for n in ("5", "2"):
        assert main(["sample", str(finished.path), "-n", n, "--out", str(tmp_path)]) == 0
        assert len(list((tmp_path / "images").iterdir())) == int(n)


# --- codes of any kind ----------------------------------------------------------------------------


def test_codes_that_are_not_finite_are_counted_and_refused_or_dropped(tmp_path, capsys):
    z = np.random.default_rng(0).standard_normal((400, 4)).astype(np.float32)
    z[[3, 70], 1] = np.nan
    z[100, 0] = np.inf
    np.save(tmp_path / "z.npy", z)
    assert main(["analyze", str(tmp_path / "z.npy"), "--out", str(tmp_path / "a")]) == 2
    assert "3 of 400 rows (3, 70, 100)" in said(capsys)
    assert not (tmp_path / "a").exists()
    words = ["analyze", str(tmp_path / "z.npy"), "--out", str(tmp_path / "a"), "--drop"]
    assert main(words) == 0
    record = read(tmp_path / "a" / "shape.json")
    assert (record["n"], record["dropped"]) == (397, 3)
    assert "3 of 400 codes are not finite and left out" in capsys.readouterr().err


@pytest.mark.parametrize(
    "change",
    [
        lambda z: np.asfortranarray((z * 50).astype(np.int32)),
        lambda z: np.concatenate([z, z[:, :1], np.ones((len(z), 1))], axis=1),
        lambda z: z[:3].astype(np.float16),
    ],
    ids=["integers in Fortran order", "duplicate and constant", "n < d, float16"],
)
def test_odd_codes_give_a_record_without_a_silent_nan(change, tmp_path):
    z = np.random.default_rng(0).standard_normal((150, 4)).astype(np.float32)
    np.save(tmp_path / "z.npy", change(z))
    assert main(["analyze", str(tmp_path / "z.npy"), "--out", str(tmp_path / "a")]) == 0
    record = read(tmp_path / "a" / "shape.json")  # strict JSON: a NaN would not be readable
    for question in ("pairs_normal", "elliptical", "multivariate_normal", "regions"):
        assert record["verdict"][question]["why"]
    assert list((tmp_path / "a" / "figures").glob("*.png"))


@pytest.mark.parametrize("shape", [(1, 4), (4,), (4, 2, 0), (0, 3), (5, 0)])
def test_codes_of_no_such_shape_are_a_sentence(shape, tmp_path, capsys):
    np.save(tmp_path / "z.npy", np.ones(shape))
    assert main(["analyze", str(tmp_path / "z.npy"), "--out", str(tmp_path / "a")]) == 2
    assert "got" in said(capsys)


@pytest.mark.parametrize("option", [["--drop"], ["--out", "elsewhere"]])
def test_options_of_arrays_are_not_ignored_for_a_run(finished, option, capsys):
    assert main(["analyze", str(finished.path), *option]) == 2
    assert "go with an array" in said(capsys)


def test_results_do_not_replace_the_codes(tmp_path, capsys):
    np.save(tmp_path / "z.npy", np.zeros((5, 2)))
    (tmp_path / "z.npy").rename(tmp_path / "z")
    assert main(["analyze", str(tmp_path / "z")]) == 2
    assert "is a file, where a folder" in said(capsys)
