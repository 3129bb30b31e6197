"""Files by name, whether they lie in a folder or in a zip archive.

A dataset is recognised by the names it consists of, and read name by name; whether it was unpacked is
nobody's concern. An archive is never unpacked: one member at a time is read into memory, so nothing
in it can be written anywhere, and what it claims to hold is checked before anything is read.
"""

from __future__ import annotations

import functools
import os
import stat
import threading
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path

from latentshape.errors import InputError

__all__ = ["FolderTree", "Tree", "ZipTree", "open_tree", "what_is_at"]

#: No picture and no table of annotations is larger; what claims to be is not read into memory.
LARGEST_FILE = 512 << 20
#: Deflate makes pictures at most this much smaller over a whole archive; bombs live far beyond.
LARGEST_EXPANSION = 200


class Tree(ABC):
    """Named files below one root.

    Attributes:
        root: The folder or the archive.
    """

    root: Path

    @property
    def where(self) -> str:
        """The path that was given, as a message names it."""
        return str(self.root)

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """Every file's path below the root, with slashes, sorted; hidden ones left out.

        Raises:
            InputError: A folder cannot be read or leads back into itself; an archive is damaged or
                was made to do harm.
        """
        return tuple(sorted(self._list()))

    @abstractmethod
    def _list(self) -> Iterator[str]: ...

    @abstractmethod
    def read(self, name: str) -> bytes:
        """The bytes of one file.

        Raises:
            OSError: It cannot be read; the reason is in the message.
        """

    @abstractmethod
    def stamps(self, names: Sequence[str]) -> Iterator[bytes]:
        """What the disk says about each file: while the stamp is the same, so are the bytes."""

    @abstractmethod
    def path(self, name: str) -> Path:
        """How a message names this file."""


class FolderTree(Tree):
    """Files below a folder, or a single one of them; symbolic links are followed."""

    def __init__(self, root: Path, only: str | None = None) -> None:
        self.root, self.only = Path(root), only

    @property
    def where(self) -> str:
        return str(self.root if self.only is None else self.root / self.only)

    def __reduce__(self) -> tuple[type[FolderTree], tuple[Path, str | None]]:
        return FolderTree, (self.root, self.only)  # workers are told names, never the whole list

    def _list(self) -> Iterator[str]:
        if self.only is not None:
            return iter([self.only])
        return self._below(str(self.root), "", ())

    def _below(self, folder: str, prefix: str, above: tuple[tuple[int, int], ...]) -> Iterator[str]:
        try:
            facts = os.stat(folder)
            entries = [e for e in os.scandir(folder) if not e.name.startswith(".")]
        except OSError as error:
            raise InputError(
                f"Cannot read the folder {folder!r}: {error.strerror}. Make it readable, or move it "
                "out of the dataset."
            ) from error
        here = (facts.st_dev, facts.st_ino)
        if here in above:
            raise InputError(
                f"The folder {folder!r} is a link back to a folder it lies in, so it never ends. "
                "Remove that link, or point --data below it."
            )
        for entry in entries:
            try:
                is_folder, is_file = entry.is_dir(), entry.is_file()
            except OSError:  # a link to itself
                is_folder, is_file = False, True
            if is_folder:
                yield from self._below(entry.path, f"{prefix}{entry.name}/", (*above, here))
            # A dangling link is listed, to be counted as unreadable; pipes and devices are no files.
            elif is_file or (entry.is_symlink() and not os.path.exists(entry.path)):
                yield prefix + entry.name

    def read(self, name: str) -> bytes:
        path = os.path.join(self.root, name)
        with open(path, "rb", opener=_without_waiting) as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise OSError("no regular file")
            _refuse_giant(facts.st_size)
            return file.read()

    def stamps(self, names: Sequence[str]) -> Iterator[bytes]:
        base = os.path.abspath(self.root)
        for name in names:
            path = os.path.join(base, name)
            try:
                facts = os.stat(path)
            except OSError:  # found, and counted, when it is read
                yield b""
                continue
            numbers = f"{facts.st_size}\0{facts.st_mtime_ns}\0{facts.st_ctime_ns}\0"
            yield numbers.encode() + os.fsencode(path)

    def path(self, name: str) -> Path:
        return self.root / name


class ZipTree(Tree):
    """Members of a zip archive, read in place."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def __reduce__(self) -> tuple[type[ZipTree], tuple[Path]]:
        return ZipTree, (self.root,)

    def _list(self) -> Iterator[str]:
        members = [m for m in self._archive().infolist() if not m.is_dir()]
        self._refuse_harm(members)
        for member in members:
            parts = member.filename.split("/")
            if not any(part.startswith(".") for part in parts) and parts[0] != "__MACOSX":
                yield member.filename

    def _refuse_harm(self, members: Sequence[zipfile.ZipInfo]) -> None:
        for member in members:
            name = member.filename.replace("\\", "/")
            if ".." in name.split("/") or name.startswith("/") or name[1:2] == ":":
                raise InputError(
                    f"{self.root} holds {member.filename[:80]!r}, a path that leads out of the "
                    "archive: it was made to overwrite files elsewhere and is not read. Fetch the "
                    "archive again from a source that you trust."
                )
        packed = self.root.stat().st_size
        unpacked = sum(member.file_size for member in members)
        if unpacked > LARGEST_EXPANSION * packed or sum(m.compress_size for m in members) > packed:
            raise InputError(
                f"{self.root} claims to hold {unpacked / 1e9:,.1f} GB in a file of "
                f"{packed / 1e6:,.1f} MB: no pictures pack so small, it looks like a decompression "
                "bomb and is not read. If you trust it, unpack it and give the folder."
            )

    def read(self, name: str) -> bytes:
        try:
            archive = self._archive()
            _refuse_giant(archive.getinfo(name).file_size)
            return archive.read(name)
        except InputError as error:
            raise OSError(str(error)) from None
        # A damaged member can fail in any of its decompressors; every one is counted by the caller.
        except Exception as error:
            raise OSError(f"damaged in the archive ({error or type(error).__name__})") from None

    def stamps(self, names: Sequence[str]) -> Iterator[bytes]:
        stamp = next(FolderTree(self.root.parent).stamps([self.root.name]))
        return (stamp + b"\0" + name.encode("utf-8", "surrogateescape") for name in names)

    def path(self, name: str) -> Path:
        return self.root / name

    def _archive(self) -> zipfile.ZipFile:
        try:
            facts = self.root.stat()
        except OSError as error:
            raise _no_archive(self.root, error) from None
        return _open_archive(str(self.root), facts.st_mtime_ns, facts.st_size)


_opening = threading.Lock()


def _open_archive(path: str, changed: int, size: int) -> zipfile.ZipFile:
    """The archive, its directory read once per process; ``zipfile`` reads members of any thread."""
    with _opening:
        return _opened(path, changed, size)


@functools.lru_cache(maxsize=8)
def _opened(path: str, changed: int, size: int) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    # Broken directories end in nearly anything; the file is no archive that can be read.
    except Exception as error:
        raise _no_archive(path, error) from None


def _no_archive(path: str | Path, error: Exception) -> InputError:
    what = error.strerror if isinstance(error, OSError) else error
    return InputError(
        f"{path} cannot be read as a zip archive ({what or type(error).__name__}). Fetch it again, "
        "or unpack it and give the folder."
    )


def _without_waiting(path: str, flags: int) -> int:
    """Open, but wait for nobody who writes into a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _refuse_giant(size: int) -> None:
    if size > LARGEST_FILE:
        raise OSError(f"{size:,} bytes, more than any picture (at most {LARGEST_FILE:,})")


def open_tree(root: Path) -> Tree:
    """The folder, the zip archive or the single file at a path.

    Raises:
        InputError: Nothing is there, or nothing that can be read.
    """
    if os.path.isdir(root):
        return FolderTree(root)
    if not os.path.isfile(root):
        raise InputError(
            f"Expected images at {str(root)!r} (a folder, a .zip archive, an array, a table), found "
            f"{what_is_at(root)}. Check --data, or use --data faces to try without any images."
        )
    if root.suffix.lower() == ".zip":
        return ZipTree(root)
    return FolderTree(root.parent, only=root.name)


def what_is_at(root: Path) -> str:
    """What a message can say about a path that is not what was hoped for."""
    if not os.path.lexists(root):
        return "nothing"
    if not os.path.exists(root):
        return "a link that leads nowhere"
    what = "folder"
    try:
        if os.path.isdir(root):
            names = sorted(os.listdir(root))
        elif not os.path.isfile(root):
            return "a pipe or device"
        elif root.suffix.lower() == ".zip":
            what, names = "archive", list(ZipTree(root).names)
        else:
            return "a file"
    except OSError as error:
        return f"a folder that cannot be read ({error.strerror})"
    return ", ".join(names[:5]) + (" ..." if len(names) > 5 else "") or f"an empty {what}"
