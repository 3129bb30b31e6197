"""ONNX Runtime for browsers: found, or fetched once by npm, and never part of latentshape itself.

Looked for in this order: the folder that was named; ``node_modules/onnxruntime-web`` here or above; what was
kept in the cache folder; and last npm, where it is on the path: the version named below is fetched, its
archive compared with the SHA-512 that stands below, and the few files that are needed are taken out and kept.

A page needs two: the loader for processors (an ES module with everything in one file) and the WebAssembly.
They run in one thread, and so on any file server; the larger builds (WebGL, WebGPU) are left alone.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from latentshape.data.cache import BROWSER, cache_folder
from latentshape.errors import InputError
from latentshape.files import atomic_path
from latentshape.progress import say

__all__ = ["FILES", "VERSION", "find_runtime"]

#: The version that is fetched; another one that is found is taken as it is.
VERSION = "1.30.0"
#: SHA-512 of its archive, as npm states it (``npm view onnxruntime-web@1.30.0 dist.integrity``).
INTEGRITY = "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
#: Where the files lie in the package, by their names beside the page. ``.js``, since not every file server
#: knows that ``.mjs`` is JavaScript.
FILES = {
    "ort.js": "dist/ort.wasm.bundle.min.mjs",
    "ort.wasm": "dist/ort-wasm-simd-threaded.wasm",
}
#: Bytes of the larger of them at most.
MOST = 2**26
#: Seconds that npm may take.
PATIENCE = 600


def find_runtime(folder: str | Path | None = None) -> dict[str, Path]:
    """The files of ONNX Runtime Web, by their names beside the page.

    Args:
        folder: Of the package (as npm lays it out), where it is known.

    Raises:
        InputError: The folder is none, there is none anywhere and npm cannot fetch it, or what npm fetched
            is not what it should be.
    """
    if folder is not None:
        found = _in(Path(folder)) or _in(Path(folder) / "node_modules/onnxruntime-web")
        if found is None:
            raise InputError(
                f"{str(folder)!r} is no folder of onnxruntime-web: it has no {' and '.join(FILES.values())}. "
                "Give node_modules/onnxruntime-web, as npm install onnxruntime-web makes it."
            )
        return found
    here = Path.cwd()
    for parent in (here, *here.parents):
        found = _in(parent / "node_modules/onnxruntime-web")
        if found is not None:
            return found
    kept = cache_folder() / BROWSER / VERSION
    return _in(kept) or _fetch(kept)


def _in(folder: Path) -> dict[str, Path] | None:
    found = {name: folder / place for name, place in FILES.items()}
    return found if all(path.is_file() for path in found.values()) else None


def _fetch(kept: Path) -> dict[str, Path]:
    npm = shutil.which("npm")
    cure = (
        "Install npm (Node.js), or fetch the package elsewhere (npm install onnxruntime-web) and give its "
        "folder: --onnxruntime-web node_modules/onnxruntime-web"
    )
    if npm is None:
        raise InputError(
            "A page that decodes needs onnxruntime-web, which is not here, and npm, which could fetch it, is "
            f"not on the path. {cure}"
        )
    say(f"Fetching onnxruntime-web {VERSION} by npm (33 MB, once; kept in {kept}).")
    with tempfile.TemporaryDirectory(prefix="latentshape-") as place:
        words = [npm, "pack", f"onnxruntime-web@{VERSION}", "--ignore-scripts", "--silent"]
        try:
            subprocess.run(words, cwd=place, check=True, capture_output=True, timeout=PATIENCE)
            (archive,) = Path(place).glob("*.tgz")
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            said = getattr(error, "stderr", None) or b""
            last = (said.decode("utf-8", "replace").strip().splitlines() or [str(error)])[-1]
            raise InputError(f"npm could not fetch onnxruntime-web: {last[:200]}. {cure}") from None
        _take(archive, kept)
    found = _in(kept)
    assert found is not None
    return found


def _take(archive: Path, kept: Path) -> None:
    """Take the files out of an archive that is the one it should be.

    Raises:
        InputError: It is another.
    """
    with archive.open("rb") as content:
        digest = hashlib.file_digest(content, "sha512").digest()
    if f"sha512-{base64.b64encode(digest).decode('ascii')}" != INTEGRITY:
        raise InputError(
            f"What npm fetched as onnxruntime-web {VERSION} has another SHA-512 than the one that is known "
            "here; nothing of it is used. Fetch it again, and if it stays so, do not trust that registry."
        )
    with tarfile.open(archive) as tar:
        for place in FILES.values():
            # Members are read by name, never extracted: a path inside the archive reaches no disk.
            member = tar.extractfile(f"package/{place}")
            if member is None:
                raise InputError(f"onnxruntime-web {VERSION} holds no {place}.")
            with atomic_path(kept / place) as temporary:
                temporary.write_bytes(member.read(MOST))
