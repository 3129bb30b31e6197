"""Decode once: what makes an entry, what may share it, and what becomes of it when things go wrong."""

import json
import multiprocessing
import os
import shutil
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from latentshape.data import cache, open_dataset, pixels
from latentshape.data.cache import build_entry, cache_entries, clear_cache
from latentshape.data.listing import FilePictures, Listing, Pictures
from latentshape.data.trees import FolderTree, ZipTree
from latentshape.errors import InputError
from test_data_folder import PICTURES, write_folder, zip_of
from test_data_layouts import written


class Given(Pictures):
    """Pictures whose contents are given: texts, as bytes, or what cannot be read."""

    def __init__(self, contents):
        self.given = list(contents)

    def __len__(self):
        return len(self.given)

    def take(self, rows):
        return Given([self.given[i] for i in rows])

    def contents(self, size):
        for content in self.given:
            yield content.encode() if isinstance(content, str) else content


def opened(root, **options):
    return open_dataset(str(root), **{"size": 16, **options})


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "pictures")


@pytest.fixture
def decodings(monkeypatch):
    """How many images were decoded so far."""
    count = SimpleNamespace(n=0)

    def counting(*arguments):
        count.n += 1
        return real(*arguments)

    real = pixels.as_square
    monkeypatch.setattr(pixels, "as_square", counting)
    return count


@pytest.fixture
def readings(monkeypatch):
    """How many files were read so far, from folders and archives."""
    count = SimpleNamespace(n=0)
    for tree in (FolderTree, ZipTree):

        def counting(self, name, real=tree.read):
            count.n += 1
            return real(self, name)

        monkeypatch.setattr(tree, "read", counting)
    return count


def key_of(dataset):
    """The cache entry's name: the folder that the pixels are mapped from."""
    return Path(dataset.pixels.filename).parent.name


def entries(folder):
    beside = (cache.DIGESTS, cache.LOCKS)
    return sorted(p.name for p in folder.iterdir() if p.name not in beside)


# --- what is decoded once -------------------------------------------------------------------------


def test_a_second_opening_decodes_and_reads_nothing(folder, decodings, readings, own_cache):
    first = opened(folder)
    assert decodings.n == 60
    assert readings.n == 120  # for the digests, and to decode
    second = opened(folder)
    assert (decodings.n, readings.n) == (60, 120)
    assert second.fingerprint == first.fingerprint
    assert np.array_equal(second.pixels, first.pixels)
    assert second.facts == first.facts
    assert isinstance(second.pixels, np.memmap)
    assert not second.pixels.flags.writeable
    assert entries(own_cache) == [key_of(first)]


def test_another_size_reads_the_digests_from_memory(folder, readings):
    opened(folder)
    opened(folder, size=17)
    assert readings.n == 180


def test_the_same_images_elsewhere_or_zipped_share_an_entry(folder, decodings, tmp_path, own_cache):
    first = opened(folder)
    copy = shutil.copytree(folder, tmp_path / "copy")
    for same in (copy, zip_of(folder)):
        assert opened(same).fingerprint == first.fingerprint
    assert decodings.n == 60
    assert entries(own_cache) == [key_of(first)]


def test_any_change_of_content_changes_the_fingerprint(folder):
    prints = [opened(folder).fingerprint]
    Image.fromarray(PICTURES[90]).save(folder / "007.png")
    prints.append(opened(folder).fingerprint)
    (folder / "008.png").rename(folder / "x.png")
    prints.append(opened(folder).fingerprint)
    (folder / "009.png").unlink()
    prints.append(opened(folder).fingerprint)
    assert len(set(prints)) == 4


def test_other_splits_are_another_fingerprint_of_the_same_entry(folder, own_cache):
    before = opened(folder).fingerprint
    (folder / "t.csv").write_text(
        "image,split\n" + "".join(f"{i:03d}.png,{i % 3}\n" for i in range(60))
    )
    assert opened(folder).fingerprint != before
    assert len(entries(own_cache)) == 1


def test_a_change_that_hides_behind_equal_size_and_time_is_seen(tmp_path):
    """Archives give every file the same time, and uncompressed pictures all have one size."""
    one, other = (write_folder(tmp_path / name, 60, ".bmp") for name in ("one", "other"))
    Image.fromarray(PICTURES[90]).save(other / "007.bmp")
    for path in [*one.iterdir(), *other.iterdir()]:
        os.utime(path, (0, 0))
    before = opened(one)
    assert opened(other).fingerprint != before.fingerprint
    Image.fromarray(PICTURES[90]).save(one / "007.bmp")
    os.utime(one / "007.bmp", (0, 0))
    after = opened(one)
    assert after.fingerprint == opened(other).fingerprint
    assert not np.array_equal(after.pixels[7], before.pixels[7])


@pytest.mark.parametrize("options", [{"size": 17}, {"channels": 1}, {"crop": "centre-148"}])
def test_options_are_part_of_the_key(folder, options):
    assert opened(folder).fingerprint != opened(folder, **options).fingerprint


def test_what_cannot_be_read_today_is_read_tomorrow(tmp_path):
    root = write_folder(tmp_path / "p", 100)
    (root / "000.png").rename(tmp_path / "away.png")
    (root / "000.png").symlink_to(tmp_path / "there.png")
    assert list(opened(root).facts["unreadable"]) == ["000.png"]
    (tmp_path / "away.png").rename(tmp_path / "there.png")
    assert opened(root).facts["unreadable"] == {}


def test_facts_say_where_the_pixels_came_from(folder, own_cache):
    dataset = opened(folder)
    facts = json.loads((own_cache / key_of(dataset) / "facts.json").read_text())
    assert facts["source"] == str(folder)
    assert facts["options"] == {
        "format": cache.FORMAT, "size": 16, "channels": 3, "crop": "square"
    }  # fmt: skip
    assert (facts["rows"], facts["dropped"]) == (60, [])


@pytest.mark.parametrize("spoil", ["shape", "dtype", "cut", "empty"])
def test_damaged_digests_are_made_again(folder, own_cache, spoil):
    before = opened(folder).fingerprint
    (remembered,) = (own_cache / cache.DIGESTS).iterdir()
    digests = np.load(remembered)
    if spoil == "shape":
        np.save(remembered, digests[1:])
    elif spoil == "dtype":
        np.save(remembered, digests.astype(np.int64))
    else:
        os.truncate(remembered, 0 if spoil == "empty" else 200)
    assert opened(folder).fingerprint == before
    assert np.array_equal(np.load(remembered), digests)


def test_processes_give_the_pixels_and_reports_of_threads(tmp_path, monkeypatch):
    root = write_folder(tmp_path / "p", 120)
    (root / "050.png").write_bytes(b"broken")
    monkeypatch.setattr(pixels, "BLOCK", 50)
    spec = f"{root} + {written('celeba')[0]}"
    threads = opened(spec)
    shutil.rmtree(cache.cache_folder())
    monkeypatch.setattr(pixels, "PROCESSES_FROM", 1)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    processes = opened(spec)
    assert processes.fingerprint == threads.fingerprint
    assert np.array_equal(processes.pixels, threads.pixels)
    assert processes.facts == threads.facts
    assert list(processes.facts["unreadable"]) == ["folder/050.png"]


# --- gaps -----------------------------------------------------------------------------------------


@given(st.integers(1, 40), st.data(), st.integers(1, 7))
@settings(max_examples=150, deadline=None)
def test_rows_close_up_over_any_gaps(n, data, block):
    dropped = sorted(data.draw(st.sets(st.integers(0, n - 1))))
    rows = np.arange(n)[:, None].copy()
    kept = np.delete(np.arange(n), dropped)
    cache._close_up(rows, dropped, block)
    assert rows[: len(kept), 0].tolist() == kept.tolist()


@pytest.mark.parametrize("gaps", [[0], [99], [0, 1, 2, 97, 98], [50, 51]])
def test_gaps_anywhere_leave_every_picture_with_its_name(tmp_path, gaps):
    root = write_folder(tmp_path / "p", 100)
    for i in gaps:
        (root / f"{i:03d}.png").write_bytes(b"broken")
    dataset = opened(root, size=32)
    left = np.delete(np.arange(100), gaps)
    assert dataset.ids.tolist() == [f"{i:03d}.png" for i in left]
    assert np.array_equal(dataset.pixels, PICTURES[left])
    assert dataset.facts["dropped"] == gaps


# --- disks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", ["faces:n=100", "folder"])
def test_a_full_disk_is_a_sentence_and_leaves_nothing(folder, monkeypatch, own_cache, spec):
    usage = SimpleNamespace(free=1_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    spec = folder if spec == "folder" else spec
    with pytest.raises(InputError, match=r"need 0.00 GB in .* Make room, or set LATENTSHAPE_CACHE"):
        opened(spec)
    assert entries(own_cache) == []
    usage.free = 10**9
    assert len(opened(spec)) >= 60


def test_a_disk_that_fills_up_while_reserving_is_a_sentence(folder, monkeypatch, own_cache):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(
        InputError, match=r"Cannot keep decoded images in .*No space left on device"
    ):
        opened(folder)
    assert entries(own_cache) == []


def test_a_cache_that_cannot_be_written_is_a_sentence(folder, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("LATENTSHAPE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(InputError, match=r"Cannot keep decoded images in .*set LATENTSHAPE_CACHE"):
        opened(folder)


def test_entries_are_readable_by_whom_the_umask_allows(folder, own_cache):
    before = os.umask(0o022)
    try:
        entry = own_cache / key_of(opened(folder))
    finally:
        os.umask(before)
    assert entry.stat().st_mode & 0o777 == 0o755
    assert {p.stat().st_mode & 0o777 for p in entry.iterdir()} == {0o644}


# --- builds that die, and damage ------------------------------------------------------------------


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_build_that_dies_leaves_no_entry_and_the_next_one_works(own_cache, error):
    def die(pixels):
        pixels[:] = 7
        raise error

    with pytest.raises(error):
        build_entry("key", (4, 2, 2, 3), die)
    assert entries(own_cache) == []
    entry = build_entry("key", (4, 2, 2, 3), lambda pixels: {"rows": 3})
    assert entry.pixels.shape == (3, 2, 2, 3)
    assert entries(own_cache) == ["key"]


KEY = "0123456789ab" * 2  # as entries are called


def _die_in_the_middle(folder):
    def fill(pixels):
        pixels[:] = 7
        os._exit(9)

    os.environ["LATENTSHAPE_CACHE"] = folder
    build_entry(KEY, (4, 2, 2, 3), fill)


def test_a_killed_build_passes_for_nothing_and_is_swept_away(own_cache):
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_die_in_the_middle, args=(str(own_cache),))
    process.start()
    process.join(60)
    assert process.exitcode == 9
    (left,) = entries(own_cache)
    assert left.startswith(f".{KEY}-")
    assert [facts["damaged"] for facts in cache_entries()] == [True]
    (own_cache / ".other-0123").mkdir()  # may be somebody's who is still at it
    entry = build_entry(KEY, (4, 2, 2, 3), lambda pixels: {"rows": 4})
    assert (entry.pixels == 0).all()
    assert entries(own_cache) == [".other-0123", KEY]


DAMAGE = {
    "no facts": lambda entry: (entry / "facts.json").unlink(),
    "half the facts": lambda entry: (entry / "facts.json").write_text("{"),
    "other facts": lambda entry: (entry / "facts.json").write_text("[]"),
    "facts of nothing": lambda entry: (entry / "facts.json").write_text("{}"),
    "no pixels": lambda entry: (entry / "pixels.npy").unlink(),
    "empty pixels": lambda entry: (entry / "pixels.npy").write_bytes(b""),
    "some pixels": lambda entry: os.truncate(entry / "pixels.npy", 5_000),
    "pixels of something": lambda entry: np.save(entry / "pixels.npy", np.zeros(3)),
}


@pytest.mark.parametrize("spoil", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_entry_is_built_again(folder, own_cache, spoil):
    before = opened(folder)
    kept = before.pixels.copy()
    spoil(own_cache / key_of(before))
    again = opened(folder)
    assert np.array_equal(again.pixels, kept)
    assert entries(own_cache) == [key_of(before)]


def test_an_entry_that_cannot_be_replaced_is_named(own_cache):
    own_cache.mkdir()
    (own_cache / "key").write_text("a file in the way")
    with pytest.raises(InputError, match=r"key is damaged and cannot be replaced. Remove"):
        build_entry("key", (4, 2, 2, 3), lambda pixels: {})
    assert entries(own_cache) == ["key"]


def test_without_locks_everybody_builds_for_himself(folder, monkeypatch, own_cache):
    from filelock import FileLock

    def refuse(self, *args, **kwargs):
        raise NotImplementedError

    monkeypatch.setattr(FileLock, "acquire", refuse)
    assert len(opened(folder)) == 60
    assert len(entries(own_cache)) == 1


# --- two at once ----------------------------------------------------------------------------------


def _build_slowly(folder, name, log):
    os.environ["LATENTSHAPE_CACHE"] = folder

    def fill(pixels):
        with open(log, "a") as file:
            file.write(f"{name} builds\n")
        time.sleep(1.0)
        pixels[:] = 7
        return {"rows": 3}

    entry = build_entry("key", (4, 2, 2, 3), fill)
    assert (entry.pixels == 7).all()
    assert len(entry.pixels) == 3
    with open(log, "a") as file:
        file.write(f"{name} has it\n")


def test_of_two_processes_one_builds_and_the_other_waits(own_cache, tmp_path):
    context = multiprocessing.get_context("spawn")
    log = tmp_path / "log"
    processes = [
        context.Process(target=_build_slowly, args=(str(own_cache), name, str(log)))
        for name in ("one", "other")
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    lines = log.read_text().splitlines()
    assert sorted(line.split(" ", 1)[1] for line in lines) == ["builds", "has it", "has it"]
    assert lines[0].endswith("builds")
    assert entries(own_cache) == ["key"]


# --- the cache as a whole -------------------------------------------------------------------------


def built(key, rows=4, used=None):
    entry = build_entry(key, (rows, 2, 2, 3), lambda pixels: {"rows": rows, "source": "x:y"})
    folder = cache.cache_folder() / entry.key
    if used is not None:
        os.utime(folder, (used, used))
    return folder


def test_an_empty_cache_has_no_entries(own_cache):
    assert cache_entries() == []
    assert clear_cache() == 0


def called(name):
    """A key that begins so."""
    return name.ljust(24, "0")


def test_entries_are_listed_as_they_were_last_used(own_cache):
    built(called("01d"), 2, used=1_000)
    built(called("ef"), 3, used=3_000)
    half = built(called("a1f"), 4, used=2_000)
    (half / "facts.json").write_text("{")
    os.utime(half, (2_000, 2_000))
    found = cache_entries()
    assert [facts["key"] for facts in found] == [called(name) for name in ("ef", "a1f", "01d")]
    assert [facts["used"] for facts in found] == [3_000, 2_000, 1_000]
    assert [facts["damaged"] for facts in found] == [False, True, False]
    assert [facts.get("images") for facts in found] == [3, None, 2]
    assert found[0]["source"] == "x:y"
    whole = sum(p.stat().st_size for p in (own_cache / called("ef")).iterdir())
    assert found[0]["bytes"] == whole > 3 * 12
    build_entry(called("01d"), (2, 2, 2, 3), lambda pixels: {})  # used again
    assert cache_entries()[0]["key"] == called("01d")


def test_entries_are_removed_by_the_beginning_of_their_key(own_cache):
    for key in ("abc1", "abc2", "abd", "fff"):
        built(called(key))
    size = {facts["key"]: facts["bytes"] for facts in cache_entries()}
    assert clear_cache(["abc", "abc1"]) == size[called("abc1")] + size[called("abc2")]
    assert entries(own_cache) == [called("abd"), called("fff")]
    for unknown in ("q", "", "digests", "..", "abd/../fff"):
        with pytest.raises(InputError, match=r"no entry '.*'. latentshape data cache lists"):
            clear_cache(["abd", unknown])
    assert entries(own_cache) == [called("abd"), called("fff")]


def test_everything_is_removed_with_the_digests(folder, own_cache):
    opened(folder)
    built(called("dada"))
    (own_cache / called("dada") / "pixels.npy").unlink()
    (own_cache / f".{KEY}-{'0' * 16}").mkdir()
    everything = sum(p.stat().st_size for p in own_cache.rglob("*") if p.is_file())
    assert clear_cache() >= everything
    assert list(own_cache.iterdir()) == []
    assert len(opened(folder)) == 60


def test_what_is_not_an_entry_is_neither_listed_nor_touched(own_cache):
    """Planted: a folder of photographs where the variable was pointed at."""
    built(called("aa"))
    for name in ("photos", ".git", "0123", "A" * 24):
        (own_cache / name).mkdir()
        (own_cache / name / "dear.txt").write_text("mine")
    assert [facts["key"] for facts in cache_entries()] == [called("aa")]
    with pytest.raises(InputError, match="no entry"):
        clear_cache(["photos"])
    clear_cache()
    assert sorted(p.name for p in own_cache.iterdir()) == sorted(
        ("photos", ".git", "0123", "A" * 24)
    )


def test_what_cannot_be_removed_is_named(own_cache, monkeypatch):
    built(called("fee"))

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(shutil, "rmtree", refuse)
    with pytest.raises(
        InputError, match=r"Cannot remove .*fee0+: Permission denied. Make it writable"
    ):
        clear_cache()


def test_digests_of_equal_contents_are_equal_and_of_what_is_broken_zero():
    array = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    contents = ["a", "b", "a", OSError("gone"), array, array.reshape(1, 4, 3), array.copy()]
    ids = [str(i) for i in range(len(contents))]
    digests = cache.content_digests(Listing("t", "t", "", ids, Given(contents)))
    words = [row.tobytes() for row in digests]
    assert words[0] == words[2] != words[1]
    assert words[4] == words[6] != words[5]
    assert words[3] == bytes(16)
    assert len(set(words)) == 5


def test_stamps_tell_files_apart(folder):
    tree = FolderTree(folder)
    stamps = list(FilePictures(tree, tree.names).stamps())
    assert len(set(stamps)) == 60
    assert list(FilePictures(tree, ["gone.png"]).stamps()) == [b""]
