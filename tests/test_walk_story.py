# ruff: noqa: F401, F811 - fixtures are imported
"""Walks from the command line: every kind without options, between pictures, and wrong words."""

import json

import numpy as np
import pytest
from PIL import Image

from latentshape.cli import WALK_KINDS, main
from latentshape.codes import load_codes
from latentshape.decoding import decode_pixels
from latentshape.images import save_png
from latentshape.models import load_model
from latentshape.samplers import make_sampler
from latentshape.walks import WALKS
from tiny_run import contents, copy, finished, read, said


def walk(run, tmp_path, *words):
    out = tmp_path / "walk"
    assert main(["walk", str(run.path), "--out", str(out), *words]) == 0
    return out


def test_the_help_names_every_kind():
    assert tuple(WALKS) == WALK_KINDS


@pytest.mark.parametrize("kind", WALK_KINDS)
def test_every_kind_works_without_options(kind, finished, tmp_path, capsys):
    out = walk(finished, tmp_path, "--kind", kind)
    assert set(contents(out)) == {"strip.png", "path.png", "walk.json", "walk.gif", "codes.npy"}
    record, codes = read(out / "walk.json"), np.load(out / "codes.npy")
    assert record["kind"] == kind
    assert len(codes) == record["rows"] * record["columns"] == len(record["positions"])
    strip = np.asarray(Image.open(out / "strip.png"))
    assert strip.shape == (record["rows"] * 34 - 2, record["columns"] * 34 - 2, 3)
    first = decode_pixels(load_model(finished), codes[:1])[0]
    assert np.array_equal(strip[:32, :32], first)
    assert capsys.readouterr().out.strip() == str(out / "strip.png")
    with Image.open(out / "walk.gif") as film:
        assert film.n_frames >= record["columns"] - 1  # equal frames in a row are one


def test_the_path_from_the_origin_ends_at_the_centre(finished, tmp_path):
    codes = np.load(walk(finished, tmp_path, "--option", "steps=4") / "codes.npy")
    assert codes.shape[0] == 4
    assert not codes[0].any()
    assert np.allclose(codes[-1], load_codes(finished, "train").z.mean(0), atol=1e-4)


def test_a_morph_between_images_of_the_run_a_picture_and_a_code(finished, tmp_path):
    test = load_codes(finished, "test")
    np.save(tmp_path / "code.npy", test.z[1])
    out = walk(finished, tmp_path, "--kind", "morph", "--film", "webp", "--option", "method=linear",
               "--between", f"{test.ids[0]},{tmp_path / 'code.npy'}")  # fmt: skip
    codes = np.load(out / "codes.npy")
    assert np.array_equal(codes[[0, -1]], test.z[:2])
    assert (out / "walk.webp").exists()
    picture = decode_pixels(load_model(finished), test.z[:1])[0]
    save_png(tmp_path / "picture.png", np.repeat(np.repeat(picture, 2, 0), 2, 1))
    out = walk(finished, tmp_path, "--kind", "morph", "--film", "none", "--option", "method=linear",
               "--between", f"{tmp_path / 'picture.png'},{test.ids[0]}")  # fmt: skip
    model = load_model(finished)
    encoded = np.load(out / "codes.npy")[0]
    import torch

    from latentshape.images import to_images

    with torch.inference_mode():
        expected = model.encode(to_images(picture[None]))[0].numpy()
    assert np.allclose(encoded, expected, atol=1e-3)


def test_a_morph_can_follow_another_law(finished, tmp_path):
    words = (
        "--kind",
        "morph",
        "--film",
        "none",
        "--option",
        "method=density",
        "--option",
        "steps=5",
    )
    plain = np.load(walk(finished, tmp_path, *words) / "codes.npy")
    bent = np.load(walk(finished, tmp_path, *words, "--option", "law=neighbours") / "codes.npy")
    assert np.array_equal(plain[[0, -1]], bent[[0, -1]])
    assert not np.allclose(plain[2], bent[2])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--kind", "spiral"], "No walk is called 'spiral'"),
        (["--option", "stepz=4"], "did you mean 'steps'"),
        (["--option", "steps=1"], "steps must be an integer of at least 2"),
        (["--kind", "component", "--option", "pairs=[[0,99]]"], "99"),
        (["--kind", "component", "--option", "offset=9", "--option", "radius=3"], "smaller than radius"),
        (["--kind", "pca", "--between", "a,b"], "--between takes 2 places for a morph"),
        (["--kind", "morph", "--between", "a"], "got 1 for 'morph'"),
        (["--kind", "morph", "--between", "nobody,b"], "neither the id of an image"),
        (["--kind", "morph", "--between", "BROKEN,b"], "cannot be read as a picture"),
        (["--kind", "morph", "--between", "LONG,b"], "one code of 5 components"),
        (["--kind", "component", "--option", "pairs=[[1,2],[3]]"], "pairs of whole numbers"),
        (["--kind", "component", "--option", "angles=abc"], "angles"),
        (["--option", "kind=x"], "has no option 'kind'"),
        (["--option", "moments=1"], "has no option 'moments'"),
        (["--kind", "morph", "--option", "log_prob=x"], "not for the command line"),
        (["--kind", "pca", "--option", "law=gaussian"], "--option law goes with --kind morph"),
        (["--kind", "morph", "--option", "law=cube", "--option", "method=density"], "density"),
    ],
)  # fmt: skip
def test_wrong_words_are_a_sentence_and_leave_nothing(words, sentence, finished, tmp_path, capsys):
    (tmp_path / "BROKEN").write_bytes(b"no picture")
    np.save(tmp_path / "LONG.npy", np.zeros(7))
    words = [
        w.replace("BROKEN", str(tmp_path / "BROKEN")).replace("LONG", str(tmp_path / "LONG.npy"))
        for w in words
    ]
    out = tmp_path / "out"
    assert main(["walk", str(finished.path), "--out", str(out), *words]) == 2
    assert sentence in said(capsys)
    assert not out.exists()


def test_a_second_walk_leaves_nothing_of_the_first(finished, tmp_path, capsys, monkeypatch):
    out = walk(finished, tmp_path, "--option", "steps=4")
    monkeypatch.setenv("PATH", str(tmp_path))
    first = contents(out)
    words = ["walk", str(finished.path), "--out", str(out), "--option", "steps=7", "--film", "mp4"]
    assert main(words) == 2
    assert contents(out) == first
    walk(finished, tmp_path, "--option", "steps=7", "--film", "none")
    assert set(contents(out)) == {"strip.png", "path.png", "walk.json", "codes.npy"}
    assert read(out / "walk.json")["columns"] == 7
    capsys.readouterr()


def test_a_damaged_recommendation_is_a_sentence(copy, tmp_path, capsys):
    for wrong in ("x", {}, None):
        card = read(copy.scorecard_path)
        card["recommendation"] = wrong
        copy.scorecard_path.write_text(json.dumps(card))
        assert (
            main(["sample", str(copy.path), "--sampler", "auto", "--out", str(tmp_path / "o")]) == 2
        )
        assert "latentshape evaluate" in said(capsys)


def test_a_film_without_ffmpeg_says_so(finished, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    code = main(["walk", str(finished.path), "--out", str(tmp_path / "out"), "--film", "mp4"])
    assert code == 2
    assert "needs the program ffmpeg" in said(capsys)


def test_auto_takes_what_the_scorecard_recommends(finished, tmp_path, capsys):
    choice = read(finished.scorecard_path)["recommendation"]
    out = tmp_path / "auto"
    words = ["sample", str(finished.path), "-n", "3", "--sampler", "auto", "--out", str(out)]
    assert main(words) == 0
    assert f"Sampler {choice['value']}: " in capsys.readouterr().err
    z = load_codes(finished, "train").z
    expected = make_sampler(choice["value"]).fit(z).sample_at(range(3))
    assert np.array_equal(np.load(out / "codes.npy"), expected)
    assert main([*words, "--option", "temperature=1"]) == 2
    assert "--option goes with a named sampler" in said(capsys)


def test_moving_toward_neighbours_moves_and_nothing_does_not(finished, tmp_path, capsys):
    def drawn(*words):
        out = tmp_path / "drawn"
        assert main(["sample", str(finished.path), "-n", "3", "--out", str(out), *words]) == 0
        return np.load(out / "codes.npy")

    plain = drawn()
    assert np.array_equal(drawn("--towards-neighbours", "0"), plain)
    assert not np.array_equal(drawn("--towards-neighbours", "0.5"), plain)
    assert main(["sample", str(finished.path), "--towards-neighbours", "2"]) == 2
    assert "strength must be a number from 0 to 1" in said(capsys)
