"""Procedural faces as a dataset on disk, laid out as CelebA circulates, and otherwise.

``latentshape data make faces --n 20000 --layout celeba --out DIR``. Whoever teaches, tests a loader or
has no licence for the originals gets files that other programs take for CelebA: 178x218 JPEGs, 40 or so
attributes, identities (every face its own), landmarks where the painter put them, boxes, a partition
into contiguous ranges as the original's. Formats of the text files: the original ones, to the blank.
"""

from __future__ import annotations

import csv
import io
import os
import secrets
import shutil
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from latentshape.data import faces
from latentshape.data.crops import ALIGNED_SIZE
from latentshape.data.listing import Pictures
from latentshape.data.pixels import in_blocks
from latentshape.data.procedural import FacePictures, FaceRecipe
from latentshape.errors import InputError, suggestion
from latentshape.images import encode_image
from latentshape.progress import bar

__all__ = ["LAYOUTS", "FaceFiles", "make_faces"]

QUALITY = 92
#: Where faces in the wild lie in their larger pictures: width, height, left and top of the face.
WILD_SIZE, WILD_AT = (320, 280), (60, 40)


@dataclass(frozen=True)
class FaceFiles:
    """The faces of a recipe as CelebA would file them: names, annotation, encoded pictures.

    Attributes:
        recipe: Which faces.
        suffix: ``.jpg`` or ``.png``.
    """

    recipe: FaceRecipe
    suffix: str = ".jpg"

    @cached_property
    def factors(self) -> np.ndarray:
        """(n, k) float32."""
        return self.recipe.draw(np.arange(self.recipe.n))

    @property
    def names(self) -> list[str]:
        """``000001.jpg`` and on."""
        return [f"{i + 1:06d}{self.suffix}" for i in range(self.recipe.n)]

    @property
    def split(self) -> np.ndarray:
        """Codes (n,) in contiguous ranges: the last tenth is test, the tenth before validation."""
        tenth = max(1, round(self.recipe.n / 10))
        split = np.zeros(self.recipe.n, dtype=np.int8)
        split[-2 * tenth : -tenth], split[-tenth:] = 1, 2
        return split

    @property
    def attributes(self) -> np.ndarray:
        """(n, k) int8 of -1 and 1."""
        return faces.attributes_of(self.factors)

    @property
    def landmarks(self) -> np.ndarray:
        """(n, 10) int: x and y of eyes, nose and mouth corners on the aligned picture."""
        width, height = ALIGNED_SIZE
        points = faces.landmarks_of(self.factors) * height - [(height - width) / 2, 0]
        return np.rint(points - 0.5).astype(np.int64).reshape(-1, 10)

    @property
    def boxes(self) -> np.ndarray:
        """(n, 4) int: x, y, width, height of the face in its picture in the wild."""
        side = ALIGNED_SIZE[1]
        return np.tile([*WILD_AT, side, side], (self.recipe.n, 1))

    def encoded(self, wild: bool = False) -> Iterator[bytes]:
        """The pictures as files' contents, painted on every core: aligned, or in the wild."""
        pictures = FacePictures(self.recipe, np.arange(self.recipe.n))
        with bar(self.recipe.n, "painting faces") as progress:
            for count, block in in_blocks(
                _encode_block, lambda rows: (pictures.take(rows), self.suffix, wild), self.recipe.n
            ):
                progress.update(count)
                yield from block


def _encode_block(pictures: Pictures, suffix: str, wild: bool) -> tuple[int, list[bytes]]:
    width, height = ALIGNED_SIZE
    left = (height - width) // 2
    contents = []
    for face in pictures.contents(height):
        assert isinstance(face, np.ndarray)
        picture = face[:, left : left + width]
        if wild:
            picture = np.empty((WILD_SIZE[1], WILD_SIZE[0], 3), np.uint8)
            picture[:] = face[0, 0]
            x, y = WILD_AT
            picture[y : y + height, x : x + height] = face
        contents.append(encode_image(picture, suffix, QUALITY))
    return len(contents), contents


# --------------------------------------------------------------------------------------------------
# CelebA's text files
# --------------------------------------------------------------------------------------------------


def attribute_text(files: FaceFiles) -> str:
    """``list_attr_celeba.txt``: count, names with a blank behind, then rows aligned by blanks."""
    rows = [
        f"{name} " + " ".join(f"{value:2d}" for value in row)
        for name, row in zip(files.names, files.attributes)
    ]
    return "\n".join([str(len(rows)), " ".join(faces.ATTRIBUTES) + " ", *rows]) + "\n"


def partition_text(files: FaceFiles) -> str:
    """``list_eval_partition.txt``: no header."""
    return _lines(f"{name} {code}" for name, code in zip(files.names, files.split))


def identity_text(files: FaceFiles) -> str:
    """``identity_CelebA.txt``: no header; every face is its own person."""
    return _lines(f"{name} {i + 1}" for i, name in enumerate(files.names))


def landmark_text(files: FaceFiles) -> str:
    """``list_landmarks_align_celeba.txt``: count, names, rows."""
    rows = [
        f"{name} {row[0]}" + "".join(f"{value:5d}" for value in row[1:])
        for name, row in zip(files.names, files.landmarks)
    ]
    return "\n".join([str(len(rows)), " ".join(LANDMARK_COLUMNS) + " ", *rows]) + "\n"


def box_text(files: FaceFiles) -> str:
    """``list_bbox_celeba.txt``: count, names, rows; of the picture in the wild, not the aligned one."""
    rows = [
        f"{name}{row[0]:6d}" + "".join(f"{value:4d}" for value in row[1:])
        for name, row in zip(files.names, files.boxes)
    ]
    return "\n".join([str(len(rows)), f"image_id {' '.join(BOX_COLUMNS)}", *rows]) + "\n"


LANDMARK_COLUMNS = tuple(f"{name}_{axis}" for name in faces.LANDMARKS for axis in "xy")
BOX_COLUMNS = ("x_1", "y_1", "width", "height")
TEXTS: dict[str, Callable[[FaceFiles], str]] = {
    "list_attr_celeba.txt": attribute_text,
    "list_eval_partition.txt": partition_text,
    "identity_CelebA.txt": identity_text,
    "list_landmarks_align_celeba.txt": landmark_text,
    "list_bbox_celeba.txt": box_text,
}


def _lines(lines: Any) -> str:
    return "".join(f"{line}\n" for line in lines)


def _csv_text(files: FaceFiles, columns: Sequence[str], rows: np.ndarray) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image_id", *columns])
    writer.writerows([name, *row] for name, row in zip(files.names, rows.tolist()))
    return text.getvalue()


# --------------------------------------------------------------------------------------------------
# Layouts
# --------------------------------------------------------------------------------------------------


def _write_images(files: FaceFiles, folder: Path, wild: bool = False) -> None:
    folder.mkdir(parents=True)
    for name, content in zip(files.names, files.encoded(wild)):
        (folder / name).write_bytes(content)


def _celeba(files: FaceFiles, out: Path) -> None:
    _write_images(files, out / "img_align_celeba")
    for name, text in TEXTS.items():
        (out / name).write_text(text(files))


def _celeba_official(files: FaceFiles, out: Path) -> None:
    for folder in ("Img", "Anno", "Eval"):
        (out / folder).mkdir(parents=True)
    # JPEGs are compressed already; the original archive merely stores them, under a folder.
    with zipfile.ZipFile(out / "Img" / "img_align_celeba.zip", "w", zipfile.ZIP_STORED) as archive:
        for name, content in zip(files.names, files.encoded()):
            archive.writestr(f"img_align_celeba/{name}", content)
    for name, text in TEXTS.items():
        folder = "Eval" if name == "list_eval_partition.txt" else "Anno"
        (out / folder / name).write_text(text(files))


def _celeba_kaggle(files: FaceFiles, out: Path) -> None:
    _write_images(files, out / "img_align_celeba" / "img_align_celeba")
    for name, columns, rows in (
        ("list_attr_celeba.csv", faces.ATTRIBUTES, files.attributes),
        ("list_eval_partition.csv", ("partition",), files.split[:, None]),
        ("list_landmarks_align_celeba.csv", LANDMARK_COLUMNS, files.landmarks),
        ("list_bbox_celeba.csv", BOX_COLUMNS, files.boxes),
    ):
        (out / name).write_text(_csv_text(files, columns, rows))


def _celeba_wild(files: FaceFiles, out: Path) -> None:
    _write_images(files, out / "img_celeba", wild=True)
    for name, text in TEXTS.items():
        if "landmarks" not in name:
            (out / name).write_text(text(files))


def _celeba_parquet(files: FaceFiles, out: Path) -> None:
    """As on the Hugging Face hub: one file per split, bool attributes, the split called ``valid``."""
    from latentshape.data.parquet import require_pyarrow

    pyarrow, parquet = require_pyarrow()
    (out / "data").mkdir(parents=True)
    images = list(files.encoded())
    attributes = files.attributes > 0
    for code, split in enumerate(("train", "valid", "test")):
        rows = np.flatnonzero(files.split == code)
        columns: dict[str, Any] = {
            "image": [{"bytes": images[i], "path": files.names[i]} for i in rows],
            "celeb_id": pyarrow.array(rows + 1, pyarrow.int64()),
        }
        columns |= {name: attributes[rows, j] for j, name in enumerate(faces.ATTRIBUTES)}
        path = out / "data" / f"{split}-00000-of-00001.parquet"
        parquet.write_table(pyarrow.table(columns), path, row_group_size=100)


def _folder(files: FaceFiles, out: Path) -> None:
    _write_images(files, out / "images")
    header = (*faces.ATTRIBUTES, "split")
    rows = np.column_stack([files.attributes, files.split])
    (out / "attributes.csv").write_text(_csv_text(files, header, rows))


LAYOUTS: dict[str, Callable[[FaceFiles, Path], None]] = {
    "celeba": _celeba,
    "celeba-official": _celeba_official,
    "celeba-kaggle": _celeba_kaggle,
    "celeba-parquet": _celeba_parquet,
    "celeba-wild": _celeba_wild,
    "folder": _folder,
}


def make_faces(recipe: FaceRecipe, layout: str, out: Path, *, suffix: str = ".jpg") -> FaceFiles:
    """Write procedural faces as a dataset.

    Args:
        recipe: Which faces.
        layout: ``celeba`` (as torchvision and most copies have it), ``celeba-official`` (archive,
            ``Anno/``, ``Eval/``), ``celeba-kaggle`` (doubly nested, CSV), ``celeba-parquet`` (as on the
            Hugging Face hub), ``celeba-wild`` (larger pictures with boxes), or ``folder`` (images and
            one CSV).
        out: A folder that does not exist yet, or is empty.
        suffix: ``.jpg``, or ``.png`` to lose nothing.

    Raises:
        InputError: An unknown layout or suffix, or something lies in ``out`` already.
    """
    if layout not in LAYOUTS:
        raise InputError(f"Unknown layout {layout!r}{suggestion(layout, LAYOUTS)}")
    if suffix not in (".jpg", ".png"):
        raise InputError(f"Expected images as .jpg or .png, got {suffix!r}.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} exists and is not empty. Choose another --out, or remove it.")
    files = FaceFiles(recipe, suffix)
    out = Path(os.path.abspath(out))
    building = out.with_name(f".{out.name}-{secrets.token_hex(8)}")
    try:
        building.mkdir(parents=True)
        LAYOUTS[layout](files, building)
        out.mkdir(exist_ok=True)  # it may be the current folder, which cannot be replaced
        for part in building.iterdir():
            part.rename(out / part.name)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return files
