"""Files that are there whole or not at all.

Everything latentshape writes goes to a temporary name beside the target and is renamed when it is
complete: whoever is killed, or runs out of disk, loses at most what was being written.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from latentshape.errors import InputError
from latentshape.progress import say

__all__ = ["alone", "atomic_folder", "atomic_path", "exported_folder", "read_json", "write_json"]


@contextlib.contextmanager
def atomic_path(target: str | Path) -> Iterator[Path]:
    """A temporary path in the target's folder that becomes ``target`` when the block succeeds."""
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    name = target.parent / f".{target.stem[:80]}-{secrets.token_hex(8)}{target.suffix}"
    handle = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    mode = os.fstat(handle).st_mode & 0o777  # as the umask leaves it
    os.close(handle)
    try:
        yield name
        os.chmod(name, mode)  # last: some writers replace the file, and its mode
        with open(name, "rb") as written:
            os.fsync(written.fileno())
        os.replace(name, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise


@contextlib.contextmanager
def atomic_folder(target: str | Path) -> Iterator[Path]:
    """A folder beside ``target`` that takes its place when the block succeeds; what was there is gone then.

    What belongs together is written so: whoever is interrupted has the old folder, whole.
    """
    target = Path(target)
    building = target.with_name(f".{target.name[:80]}.part")
    shutil.rmtree(building, ignore_errors=True)  # of one that was killed
    building.mkdir(parents=True)
    try:
        yield building
        if target.exists():
            shutil.rmtree(target)
        building.rename(target)
    finally:
        shutil.rmtree(building, ignore_errors=True)


@contextlib.contextmanager
def exported_folder(
    folder: str | Path, mark: str, what: str
) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A folder for others, built beside and put in its place when the block succeeds.

    An earlier export is replaced file by file, and nothing else is touched: whoever publishes the folder
    may have put files of their own into it, such as a ``.git``.

    Args:
        folder: New, empty, or an earlier export of the same kind.
        mark: Name of the JSON file that all exports of this kind have; it lists their files.
        what: The kind, for people, such as "page".

    Yields:
        Where to build it, and a dictionary for what the mark is to tell beside the files.

    Raises:
        InputError: It is a file, or holds something else.
    """
    folder = Path(folder).resolve()
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file, where a folder was to be. Give another.")
    there = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    if there and mark not in there:
        raise InputError(
            f"{folder} is not empty and no earlier {what} (found: {', '.join(there[:5])}). Give a new or "
            "empty folder."
        )
    building = folder.with_name(f".{folder.name[:80]}.part")
    shutil.rmtree(building, ignore_errors=True)  # of one that was killed
    building.mkdir(parents=True)
    facts: dict[str, Any] = {}
    try:
        yield building, facts
        folder.mkdir(parents=True, exist_ok=True)
        _forget(folder, mark)
        names = sorted(
            p.relative_to(building).as_posix() for p in building.rglob("*") if p.is_file()
        )
        write_json(folder / mark, facts | {"files": names})
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (building / name).replace(folder / name)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _forget(folder: Path, mark: str) -> None:
    """Remove what an earlier export wrote."""
    record = read_json(folder / mark) if (folder / mark).exists() else {}
    for name in record.get("files", []) if isinstance(record, dict) else []:
        path = Path(str(name))
        if not path.is_absolute() and ".." not in path.parts:
            (folder / path).unlink(missing_ok=True)


@contextlib.contextmanager
def alone(lock: str | Path, waiting: str) -> Iterator[bool]:
    """While no other process, on this machine or another with this disk, holds the lock.

    Args:
        lock: The lock's own file; its folder is made.
        waiting: Said once if another has it, and we wait.

    Yields:
        Whether the file system has locks at all; where it has none nobody waits.
    """
    from filelock import FileLock, Timeout

    Path(lock).parent.mkdir(parents=True, exist_ok=True)
    held = FileLock(lock)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(held.acquire(timeout=0))
        except Timeout:
            say(waiting)
            stack.enter_context(held.acquire())
        except NotImplementedError:
            yield False
            return
        yield True


def write_json(path: str | Path, value: Any) -> None:
    """Write strict JSON: NaN and infinities are refused, since JSON has none."""
    text = json.dumps(value, indent=1, allow_nan=False)
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: str | Path) -> Any:
    """Read JSON, with a sentence instead of a traceback when it is damaged."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(
            f"{path} is not valid JSON ({error}). Restore it, or delete it and run the stage that "
            "writes it again."
        ) from None
