"""Folders and archives: links, loops, pipes, bombs, and all that is not what it is called."""

import os
import shutil
import struct
import sys
import tarfile
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latentshape.data import cache, list_dataset, open_dataset, trees
from latentshape.data.trees import open_tree, what_is_at
from latentshape.errors import InputError
from latentshape.images import encode_image
from test_data_folder import PICTURES, write_folder, zip_of
from test_data_layouts import written

PNG = [encode_image(picture) for picture in PICTURES]


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "pictures")


@pytest.fixture
def all_may_break(monkeypatch):
    monkeypatch.setattr(cache, "MAX_UNREADABLE", 1.0)


def opened(root, **options):
    return open_dataset(str(root), **{"size": 16, **options})


def refused(spec, words):
    """The dataset is refused with one sentence about it, in no time."""
    started = time.monotonic()
    with pytest.raises(InputError, match=words) as caught:
        opened(spec)
    assert time.monotonic() - started < 5
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 600
    return message


def archive_of(path, members, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def pictures(n=60):
    return [(f"{i:03d}.png", PNG[i]) for i in range(n)]


# --- links, loops and pipes -----------------------------------------------------------------------


def test_links_to_folders_and_files_are_followed(folder, tmp_path):
    root = tmp_path / "linked"
    root.mkdir()
    (root / "all").symlink_to(folder)
    (root / "one.png").symlink_to(folder / "003.png")
    dataset = opened(root, size=32)
    assert dataset.ids.tolist() == [*(f"all/{i:03d}.png" for i in range(60)), "one.png"]
    assert np.array_equal(dataset.pixels[60], PICTURES[3])


def test_the_same_folder_may_be_linked_twice(folder, tmp_path):
    """Side by side is no loop."""
    for name in ("a", "b"):
        (tmp_path / name).symlink_to(folder)
    names = open_tree(tmp_path).names
    assert len([n for n in names if n.endswith("007.png")]) == 3


@pytest.mark.parametrize("loop", ["direct", "two steps", "to the root"])
def test_a_loop_of_folders_is_a_sentence(folder, tmp_path, loop):
    (folder / "a" / "b").mkdir(parents=True)
    target = {"direct": folder / "a", "two steps": tmp_path / "other", "to the root": folder}[loop]
    if loop == "two steps":
        target.mkdir()
        (target / "back").symlink_to(folder / "a")
    (folder / "a" / "b" / "loop").symlink_to(target)
    message = refused(folder, "is a link back to a folder it lies in, so it never ends. Remove")
    assert "loop" in message


def test_links_that_lead_nowhere_are_counted(folder):
    (folder / "gone.png").symlink_to("nowhere.png")
    (folder / "self.png").symlink_to("self.png")
    (folder / "ping.png").symlink_to("pong.png")
    (folder / "pong.png").symlink_to("ping.png")
    (folder / "self").symlink_to("self")
    (folder / "below.png").symlink_to("000.png/below.png")
    for i in range(60, 120):
        shutil.copy(folder / f"{i - 60:03d}.png", folder / f"{i:03d}.png")
    dataset = opened(folder)
    assert len(dataset) == 120
    assert set(dataset.facts["unreadable"]) == {
        "gone.png", "self.png", "ping.png", "pong.png", "below.png",
    }  # fmt: skip


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_hangs_nobody(folder):
    os.mkfifo(folder / "pipe.jpg")
    os.mkfifo(folder / "pipe.csv")
    (folder / "link.jpg").symlink_to("pipe.jpg")
    dataset = opened(folder)
    assert len(dataset) == 60
    refused(folder / "pipe.jpg", "found a pipe or device")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_picture_that_became_a_pipe_hangs_nobody(folder):
    tree = open_tree(folder)
    assert "000.png" in tree.names
    (folder / "000.png").unlink()
    os.mkfifo(folder / "000.png")
    with pytest.raises(OSError, match="no regular file"):
        tree.read("000.png")


def test_an_unreadable_folder_is_named(folder, monkeypatch):
    (folder / "sub").mkdir()
    scandir = os.scandir

    def refuse(path):
        if os.fspath(path).endswith("sub"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    refused(folder, r"Cannot read the folder .*sub.*: Permission denied. Make it readable")


def test_a_giant_is_counted_and_not_read(folder):
    with open(folder / "giant.png", "wb") as file:
        file.truncate(1 << 40)
    dataset = opened(folder)
    assert list(dataset.facts["unreadable"]) == ["giant.png"]
    assert "more than any picture" in dataset.facts["unreadable"]["giant.png"]


# --- nothing there --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["", "folder:", "celeba:"])
def test_what_holds_no_images_is_named(tmp_path, kind):
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    for i in range(7):
        (tmp_path / "texts" / f"{i}.txt").touch()
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    (tmp_path / "note.txt").write_text("hello")
    expected = {
        "missing": "found nothing.*--data faces",
        "empty": "found: an empty folder",
        "texts": r"found: 0.txt, 1.txt, 2.txt, 3.txt, 4.txt \.\.\.",
        "link": "found a link that leads nowhere",
        "note.txt": "found: a file",
        "~nobody-here/x": "found nothing",
        "a\0b": "found nothing",
    }
    for name, words in expected.items():
        path = name if name.startswith("~") else tmp_path / name
        with pytest.raises(InputError, match=words):
            opened(f"{kind}{path}")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("name", ["images.7z", "images.tar", "images.tar.gz", "images.rar"])
def test_archives_of_other_makes_are_to_be_unpacked(folder, tmp_path, name):
    with tarfile.open(tmp_path / name, "w") as archive:
        archive.add(folder, "pictures")
    refused(tmp_path / name, r"unpack \.7z and \.tar first")


def test_a_folder_without_images_says_what_it_might_have_held(tmp_path):
    (tmp_path / "x.txt").touch()
    refused(tmp_path, r"neither image files .* nor CelebA, MNIST.*--data faces")


def test_what_is_at_a_path_is_said_in_words(tmp_path):
    assert what_is_at(tmp_path / "none") == "nothing"
    assert what_is_at(tmp_path) == "an empty folder"
    archive = archive_of(tmp_path / "a.zip", [(f"{i}.txt", b"") for i in range(7)])
    assert what_is_at(archive) == "0.txt, 1.txt, 2.txt, 3.txt, 4.txt ..."
    assert what_is_at(archive_of(tmp_path / "b.zip", [])) == "an empty archive"
    (tmp_path / "a.txt").touch()
    assert what_is_at(tmp_path / "a.txt") == "a file"


# --- several datasets in one place ----------------------------------------------------------------


def test_the_first_recognised_is_read_and_the_others_are_named(tmp_path):
    root = Path(shutil.copytree(written("celeba")[0], tmp_path / "both"))
    with open(root / "t10k-images-idx3-ubyte", "wb") as file:
        file.write(struct.pack(">IIII", 0x803, 2, 28, 28) + bytes(2 * 28 * 28))
    dataset = opened(root)
    assert dataset.kind == "celeba"
    assert len(dataset.notices) == 1
    assert "there too and is not used" in dataset.notices[0]
    assert f"--data 'mnist:{root}'" in dataset.notices[0]


def test_an_array_beside_a_picture_is_read_and_the_picture_is_named(tmp_path):
    np.save(tmp_path / "images.npy", PICTURES[:60])
    Image.fromarray(PICTURES[0]).save(tmp_path / "cover.png")
    listing = list_dataset(str(tmp_path))
    assert listing.kind == "arrays"
    assert len(listing.ids) == 60
    assert any(
        notice.startswith("1 image file")
        and f"there too and is not used: --data 'folder:{tmp_path}'" in notice
        for notice in listing.notices
    )
    assert list_dataset(f"folder:{tmp_path}").ids == ["cover.png"]


# --- archives -------------------------------------------------------------------------------------


def test_a_zip_is_read_in_place(folder, tmp_path):
    expected = opened(folder)
    dataset = opened(zip_of(folder))
    assert dataset.fingerprint == expected.fingerprint
    assert dataset.ids.tolist() == expected.ids.tolist()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cache", "pictures", "pictures.zip"]


def test_what_a_finder_packs_along_is_left_out(tmp_path):
    extra = [("__MACOSX/._000.png", b"x"), (".DS_Store", b"x"), ("a/.hidden/b.png", b"x")]
    tree = open_tree(archive_of(tmp_path / "a.zip", [*pictures(3), *extra]))
    assert tree.names == ("000.png", "001.png", "002.png")


@pytest.mark.parametrize(
    "name",
    ["../x.png", "a/../../x.png", "/etc/x.png", "C:\\x.png", "c:/x.png", "..\\x.png", "\\x.png",
     "a\\..\\x.png", "\\\\host\\x.png"],
)  # fmt: skip
@pytest.mark.parametrize("first", [True, False])
def test_paths_that_lead_out_of_an_archive_are_refused(tmp_path, name, first):
    members = [(name, PNG[0]), *pictures()]
    path = archive_of(tmp_path / "a.zip", members if first else members[::-1])
    for kind in ("", "folder:", "celeba:"):
        message = refused(f"{kind}{path}", "leads out of the archive.*is not read. Fetch")
        assert str(path) in message
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zip"]


def test_a_link_within_an_archive_leads_nowhere(tmp_path):
    """Unpackers would make a link of it; here it is a file whose content is no picture."""
    path = archive_of(tmp_path / "a.zip", pictures())
    link = zipfile.ZipInfo("link.png")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    assert list(opened(path).facts["unreadable"]) == ["link.png"]


def test_a_bomb_is_refused_unread(tmp_path):
    zeros = bytes(100 << 20)
    path = archive_of(tmp_path / "a.zip", [*pictures(), ("bomb.png", zeros)])
    refused(path, "claims to hold .* GB .* looks like a decompression bomb and is not read. If you")


def patched(path, change):
    """An archive whose bytes were changed behind zipfile's back."""
    path.write_bytes(change(bytearray(path.read_bytes())))
    return path


def central(data, name, local=False):
    """Where the directory (or the member) has its header of this name."""
    size, mark = (30, b"PK\3\4") if local else (46, b"PK\1\2")
    at = -1
    while (at := data.find(mark, at + 1)) >= 0:
        if data[at + size : at + size + len(name)] == name:
            return at
    raise AssertionError(name)


def test_a_bomb_that_lies_about_its_size_is_counted(tmp_path, all_may_break):
    """Said to hold a thousand bytes: no more than that is ever unpacked."""
    path = archive_of(tmp_path / "a.zip", [*pictures(), ("bomb.png", bytes(100 << 20))])

    def lie(data):
        struct.pack_into("<I", data, central(data, b"bomb.png") + 24, 1000)
        struct.pack_into("<I", data, central(data, b"bomb.png", local=True) + 22, 1000)
        return data

    tree = open_tree(patched(path, lie))
    with pytest.raises(OSError, match="damaged in the archive"):
        tree.read("bomb.png")
    assert list(opened(path).facts["unreadable"]) == ["bomb.png"]


def test_members_that_overlap_are_refused_or_counted(tmp_path, all_may_break):
    """One compressed block under many names, as the better bombs have it."""
    path = archive_of(tmp_path / "a.zip", [*pictures(), ("x1.png", PNG[0]), ("x2.png", PNG[1])])

    def overlap(data):
        first, second = central(data, b"x1.png"), central(data, b"x2.png")
        data[second + 42 : second + 46] = data[first + 42 : first + 46]
        return data

    assert list(opened(patched(path, overlap)).facts["unreadable"]) == ["x2.png"]
    many = archive_of(tmp_path / "b.zip", [(f"{i:03d}.png", bytes(10**6)) for i in range(100)])

    def pile(data):
        for i in range(100):
            at = central(data, b"%03d.png" % i)
            struct.pack_into("<II", data, at + 20, 50_000, 60_000)  # no great ratio, yet no room
            struct.pack_into("<I", data, at + 42, 0)
        return data

    refused(patched(many, pile), "looks like a decompression bomb")


@pytest.mark.parametrize("keep", [0, 3, 21, 0.3, 0.9, 0.999])
def test_a_truncated_zip_is_a_sentence(tmp_path, keep):
    path = archive_of(tmp_path / "a.zip", pictures())
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep if keep > 1 else keep * len(whole))])
    for kind in ("", "folder:", "celeba:"):
        refused(f"{kind}{path}", "cannot be read as a zip archive .*Fetch it again, or unpack it")


def test_an_empty_zip_is_a_sentence(tmp_path):
    refused(archive_of(tmp_path / "a.zip", []), "found: an empty archive")


def test_a_zip_by_another_name_is_one_broken_picture(tmp_path):
    path = archive_of(tmp_path / "a.jpg", pictures())
    refused(path, r"1 of 1 images in .* cannot be read \(a.jpg: .*no image in it")


@pytest.mark.parametrize("spoil", ["encrypted", "compression", "checksum", "header"])
def test_members_that_cannot_be_read_are_counted(tmp_path, spoil):
    path = archive_of(tmp_path / "a.zip", [*pictures(), ("odd.png", PNG[61])])

    def change(data):
        where, local = central(data, b"odd.png"), central(data, b"odd.png", local=True)
        if spoil == "encrypted":
            data[where + 8] |= 1
            data[local + 6] |= 1
        elif spoil == "compression":
            struct.pack_into("<H", data, where + 10, 97)
            struct.pack_into("<H", data, local + 8, 97)
        elif spoil == "checksum":
            data[where + 16] ^= 1
        elif spoil == "header":
            data[local] ^= 1
        return data

    patched(path, change)
    dataset = opened(path)
    assert list(dataset.facts["unreadable"]) == ["odd.png"]
    assert len(dataset) == 60


def test_a_member_that_claims_to_be_a_giant_is_counted(tmp_path, monkeypatch):
    path = archive_of(tmp_path / "a.zip", [*pictures(), ("odd.png", bytes(5_000))])
    monkeypatch.setattr(trees, "LARGEST_FILE", 4_999)
    unreadable = opened(path).facts["unreadable"]
    assert list(unreadable) == ["odd.png"]
    assert "5,000 bytes, more than any picture" in unreadable["odd.png"]


def test_a_huge_declared_picture_is_counted(tmp_path):
    """A small PNG that declares 60,000 x 60,000 pixels."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk
    png += struct.pack(">I", zlib.crc32(chunk)) + PNG[0][33:]
    path = archive_of(tmp_path / "a.zip", [*pictures(), ("huge.png", png)])
    unreadable = opened(path).facts["unreadable"]
    assert list(unreadable) == ["huge.png"]
    assert "bomb" in unreadable["huge.png"]


def test_a_zip_that_changes_is_read_anew(tmp_path):
    path = archive_of(tmp_path / "a.zip", pictures())
    before = opened(path)
    archive_of(path, [*pictures(59), ("059.png", PNG[99])])
    after = opened(path, size=32)
    assert after.fingerprint != before.fingerprint
    assert np.array_equal(after.pixels[59], PICTURES[99])


def test_names_in_a_zip_may_be_anything(tmp_path):
    names = ["Zoë 笑.png", "a b/c'd.png", "x" * 200 + ".png", "tab\there.png"]
    path = archive_of(tmp_path / "a.zip", [*pictures(), *((n, PNG[70]) for n in names)])
    dataset = opened(path)
    assert set(names) <= set(dataset.ids.tolist())
    assert dataset.facts["unreadable"] == {}


@pytest.mark.skipif(sys.platform == "win32", reason="needs links")
def test_a_zip_may_be_a_link(tmp_path):
    path = archive_of(tmp_path / "a.zip", pictures())
    (tmp_path / "b.zip").symlink_to(path)
    assert opened(tmp_path / "b.zip").fingerprint == opened(path).fingerprint


def test_pictures_below_other_pictures_in_name_only(tmp_path):
    """A folder that is called like a picture is a folder."""
    (tmp_path / "p" / "x.jpg").mkdir(parents=True)
    Image.fromarray(PICTURES[0]).save(tmp_path / "p" / "x.jpg" / "y.png")
    assert open_tree(tmp_path / "p").names == ("x.jpg/y.png",)
