"""Moving pictures: what was written is what is read."""

import io
import json
import os
import sys

import numpy as np
import pytest
from PIL import Image, ImageSequence

from latentshape.animation import (
    FORMATS,
    encode_animation,
    save_animation,
    there_and_back,
    walk_frames,
)
from latentshape.errors import InputError


def moving(n=5, size=(12, 20), channels=3):
    """A bright square that walks over grey levels; each frame differs from the others."""
    frames = np.full((n, *size, channels), 40, np.uint8)
    for k, frame in enumerate(frames):
        frame[2:6, 3 * k : 3 * k + 4] = 200
    return frames


def read(path):
    """Frames (n, h, w, 3), durations in milliseconds, and how often the file says to play it."""
    with Image.open(io.BytesIO(path.read_bytes())) as image:
        pairs = [
            (np.asarray(f.convert("RGB")), f.info["duration"])
            for f in ImageSequence.Iterator(image)
        ]
        return np.stack([p for p, _ in pairs]), [d for _, d in pairs], image.info.get("loop")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("suffix", [".gif", ".webp", ".WebP"])
def test_every_frame_comes_back_in_its_place(tmp_path, suffix, channels):
    frames = moving(channels=channels)
    path = tmp_path / "deep" / f"walk{suffix}"
    save_animation(path, frames, fps=15)
    found, durations, loop = read(path)
    assert found.shape == (5, 12, 20, 3)
    # WebP is lossy where colours meet; no frame may be mistaken for another.
    error = np.abs(found[:, None].astype(int) - frames.astype(int)).mean(axis=(2, 3, 4))
    assert error.argmin(axis=1).tolist() == [0, 1, 2, 3, 4]
    assert error.diagonal().max() < (0.5 if suffix == ".gif" else 4)
    assert durations == [70 if suffix == ".gif" else 67] * 5  # GIF counts hundredths
    assert loop == 0  # for ever
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize(("suffix", "times"), [(".gif", None), (".webp", 1)])
def test_a_film_that_is_not_to_loop_plays_once(tmp_path, suffix, times):
    path = tmp_path / f"once{suffix}"
    save_animation(path, moving(), loop=False)
    assert read(path)[2] == times


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_a_film_for_the_web_is_the_one_that_is_saved(tmp_path, suffix):
    path = tmp_path / f"walk{suffix}"
    save_animation(path, moving(), fps=7, loop=False)
    assert encode_animation(moving(), suffix, fps=7, loop=False) == path.read_bytes()


def test_there_and_back_repeats_neither_end():
    frames = moving(4)
    round_trip = there_and_back(frames)
    assert np.array_equal(round_trip, frames[[0, 1, 2, 3, 2, 1]])
    assert np.array_equal(there_and_back(frames[:2]), frames[:2])


def test_all_rows_of_a_walk_move_together():
    rows, columns = 3, 4
    pixels = np.arange(12, dtype=np.uint8).repeat(5 * 6).reshape(12, 5, 6, 1)
    frames = walk_frames(pixels, rows, columns)
    assert frames.shape == (4, 12, 14, 1)
    for k, frame in enumerate(frames):
        assert frame[0, 0, 0] == k
        assert frame[0, -1, 0] == columns + k
        assert frame[-1, 0, 0] == 2 * columns + k
    with pytest.raises(InputError, match="3 rows and 5 columns has 15 pictures"):
        walk_frames(pixels, 3, 5)


@pytest.mark.parametrize(
    ("name", "frames", "options", "words"),
    [
        ("a.gfi", moving(), {}, "No moving picture ends in '.gfi'; did you mean '.gif'"),
        ("a", moving(), {}, "No moving picture ends in ''"),
        ("a.gif", moving()[:1], {}, "number of frames must be an integer of at least 2, got 1"),
        ("a.gif", moving() / 255, {}, "must be uint8 pixels"),
        ("a.webp", moving()[0], {}, "must be uint8 pixels"),
        ("a.webp", moving(channels=2), {}, "must be uint8 pixels"),
        ("a.webp", moving(), {"fps": 0}, "fps must be a finite number above 0"),
        ("a.gif", moving(), {"fps": 60}, "50 frames per second at most, got fps=60"),
    ],
)
def test_what_is_no_animation_is_refused_and_leaves_no_file(tmp_path, name, frames, options, words):
    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(InputError, match=words):
        save_animation(folder / name, frames, **options)
    assert not os.listdir(folder)


@pytest.fixture
def ffmpeg(tmp_path, monkeypatch):
    """A stand-in for ffmpeg that notes what it was told, or fails as told."""

    def install(failure=""):
        folder = tmp_path / "bin"
        folder.mkdir()
        script = folder / "ffmpeg"
        body = (
            f"#!{sys.executable}\n"
            "import json, pathlib, sys\n"
            "data = sys.stdin.buffer.read()\n"
            f"if {failure!r}: sys.exit({failure!r})\n"
            "note = {'told': sys.argv[1:], 'data': list(data)}\n"
            "pathlib.Path(sys.argv[-1]).write_text(json.dumps(note))\n"
        )
        script.write_text(body)
        script.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))

    return install


@pytest.mark.parametrize(("channels", "kind"), [(1, "gray"), (3, "rgb24")])
def test_a_film_is_handed_to_ffmpeg_frame_by_frame(tmp_path, ffmpeg, channels, kind):
    ffmpeg()
    frames = moving(channels=channels)[:, ::-1]  # not contiguous
    path = tmp_path / "walk.mp4"
    save_animation(path, frames, fps=12.5)
    note = json.loads(path.read_text())
    assert np.array_equal(np.array(note["data"], np.uint8), frames.ravel())
    told = dict(zip(note["told"], note["told"][1:], strict=False))
    assert (told["-s"], told["-r"]) == ("20x12", "12.5")
    assert note["told"][note["told"].index("-pix_fmt") + 1] == kind


def test_a_film_without_ffmpeg_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"needs the program ffmpeg.*\.gif or a \.webp"):
        save_animation(tmp_path / "walk.mp4", moving())
    assert ".mp4" in FORMATS


def test_a_film_that_ffmpeg_refuses_leaves_no_file(tmp_path, ffmpeg):
    ffmpeg("first line\nUnknown encoder")
    with pytest.raises(InputError, match=r"could not write 'walk.mp4' \(Unknown encoder\)"):
        save_animation(tmp_path / "walk.mp4", moving())
    assert not list(tmp_path.glob("*.mp4"))
