"""CelebA, in every shape in which copies of it circulate.

Liu, Luo, Wang & Tang, *Deep Learning Face Attributes in the Wild* (ICCV 2015),
https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html: 202,599 aligned faces of 178x218 pixels, 40
attributes, 10,177 identities, five landmarks, an official partition. Non-commercial research only, no
redistribution: latentshape ships none of it.

Recognised by its own names, in a folder or in a zip archive, at any depth:

* images: ``img_align_celeba/`` (also nested in itself, as Kaggle unpacks it, or with ``.png``),
  ``img_align_celeba.zip`` read in place, ``img_celeba/`` (in the wild), or ``images/`` beside the
  attribute file;
* annotation, as ``.txt`` or ``.csv``, whichever of them lies nearest the images: ``list_attr_celeba``,
  ``list_eval_partition``, ``identity_CelebA``, ``list_landmarks_align_celeba``, ``list_bbox_celeba``.

A partial copy is welcome: a file that is absent is an absent column and a notice, not an error.
(CelebA as Parquet is read by `parquet`.)
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from latentshape.data.annotations import Table, read_table
from latentshape.data.folder import image_names
from latentshape.data.listing import FilePictures, Listing, spelt
from latentshape.data.splits import UNKNOWN
from latentshape.data.trees import FolderTree, Tree, ZipTree, what_is_at
from latentshape.errors import InputError

__all__ = ["find_celeba", "read_celeba"]

ALIGNED, WILD = "img_align_celeba", "img_celeba"
#: Folders of images in the order of preference.
IMAGE_FOLDERS = (ALIGNED, "img_align_celeba_png", WILD)
#: Stems of the annotation files, in lower case.
ATTRIBUTES, PARTITION, IDENTITY = "list_attr_celeba", "list_eval_partition", "identity_celeba"
BOXES = "list_bbox_celeba"
LANDMARKS = {False: "list_landmarks_align_celeba", True: "list_landmarks_celeba"}  # in the wild?
TEXT_SUFFIXES = (".txt", ".csv")


class _Images(NamedTuple):
    """One set of CelebA images.

    ``path`` is what it was recognised by, relative to the root: a folder (with a slash) or an archive.
    """

    path: str
    tree: Tree
    names: list[str]

    @property
    def called(self) -> str:
        """The name among `IMAGE_FOLDERS`, or of the file that gave it away."""
        name = self.path.rstrip("/").rpartition("/")[2].removesuffix(".zip")
        return name if name in IMAGE_FOLDERS else ALIGNED

    @property
    def base(self) -> str:
        """The deepest folder of the recognised name that all images lie in: ids begin below it."""
        base = self.path[: self.path.rfind("/") + 1]
        if not all(name.startswith(base) for name in self.names):
            base = ""  # they lie in the archive that the path names
        while inner := next(
            (
                f"{base}{name}/"
                for name in (*IMAGE_FOLDERS, "images")
                if self.names and all(n.startswith(f"{base}{name}/") for n in self.names)
            ),
            "",
        ):
            base = inner
        return base


def find_celeba(tree: Tree) -> str | None:
    """By what ``tree`` is recognised as CelebA, such as ``img_align_celeba/``; None if it is not."""
    found = _image_sets(tree)
    return found[0].path if found else None


def read_celeba(tree: Tree) -> Listing:
    """The images of a copy of CelebA with whatever annotation lies there.

    Raises:
        InputError: No images, or an annotation file that cannot be understood or names none of them.
    """
    found = _image_sets(tree)
    if not found:
        raise InputError(
            f"Expected CelebA, a folder with '{ALIGNED}/' or '{ALIGNED}.zip' in it, at "
            f"{tree.where!r}; found: {what_is_at(Path(tree.where))}. Point --data at the folder that "
            "holds it, or use --data faces to try without it."
        )
    images, others = found[0], found[1:]
    if not images.path.endswith("/") and not images.names:
        if isinstance(tree, ZipTree):
            raise InputError(
                f"{tree.root} holds {images.path}, an archive within an archive, which cannot be "
                "read in place. Unpack the outer one and point --data at its folder."
            )
        archive = ZipTree(tree.path(images.path))
        images = images._replace(tree=archive, names=image_names(archive))
    if not images.names:
        raise InputError(
            f"No images (.jpg, .png) in {tree.root / images.path}. Unpack {ALIGNED}.zip there, or "
            "put the archive itself in its place."
        )
    notices = [
        f"{other.path} lies there too and is not used: --data 'celeba:{tree.root / other.path}' "
        "takes that one"
        for other in others
        if other.names or not other.path.endswith("/")
    ]
    start = len(images.base)
    words = [name.rpartition("/")[2] for name in images.names]
    annotation = _Annotation(_text_files(tree, images), words, notices)
    split = annotation.partition()
    attribute_names, attributes = annotation.attributes()
    wild = images.called == WILD
    identity = annotation.numbers(IDENTITY, 1)
    landmarks = annotation.numbers(LANDMARKS[wild], 10)
    boxes = annotation.numbers(BOXES, 4) if wild else None
    columns: dict[str, np.ndarray] = {}
    if identity is not None:
        columns["identity"] = np.nan_to_num(identity[:, 0], nan=UNKNOWN).astype(np.int64)
    if landmarks is not None:
        columns["landmarks"] = landmarks.reshape(-1, 5, 2).astype(np.float32)
    return Listing(
        kind="celeba",
        where=str(tree.root),
        why=f"it holds {images.path} with {len(images.names):,} images",
        ids=[spelt(name[start:]) for name in images.names],
        pictures=FilePictures(images.tree, images.names),
        split=split,
        attributes=attributes,
        attribute_names=attribute_names,
        columns=columns,
        boxes=boxes,
        crop="centre-140" if not wild else "square" if boxes is None else "box",
        notices=notices,
    )


# --------------------------------------------------------------------------------------------------
# Where things lie
# --------------------------------------------------------------------------------------------------


def _image_sets(tree: Tree) -> list[_Images]:
    """Every set of CelebA images below a root, the preferred one first; archives not yet opened."""
    folders: dict[str, list[str]] = {}
    names = image_names(tree)
    for name in names:
        parts = name.split("/")
        for depth, part in enumerate(parts[:-1], 1):
            if part in IMAGE_FOLDERS:
                folders.setdefault("/".join(parts[:depth]) + "/", []).append(name)
                break
    sets = [_Images(path, tree, inside) for path, inside in folders.items()]
    sets += [
        _Images(name, tree, [])
        for name in tree.names
        if name.rpartition("/")[2] in {f"{folder}.zip" for folder in IMAGE_FOLDERS}
    ]
    if not sets:
        sets = _by_root(tree, names)
    return sorted(
        sets,
        key=lambda s: (
            IMAGE_FOLDERS.index(s.called),
            s.path.endswith(".zip"),
            s.path.count("/"),
            s.path,
        ),
    )


def _by_root(tree: Tree, names: list[str]) -> list[_Images]:
    """CelebA by what the root is called, by the attribute file in it, or by an empty folder."""
    called = Path(os.path.abspath(tree.root)).name
    if names and called.removesuffix(".zip") in IMAGE_FOLDERS:
        return [_Images(called + ("" if called.endswith(".zip") else "/"), tree, names)]
    listed = next((name for name in tree.names if _stem(name) == ATTRIBUTES), None)
    if names and listed:
        home = listed[: listed.rfind("/") + 1]
        for folder in (f"{home}images/", "images/", home):
            if inside := [name for name in names if name.startswith(folder)]:
                return [_Images(folder if folder != home else listed, tree, inside)]
        return [_Images(listed, tree, names)]
    return [
        _Images(f"{folder}/", tree, [])
        for folder in IMAGE_FOLDERS
        if isinstance(tree, FolderTree) and tree.only is None and tree.path(folder).is_dir()
    ]


def _stem(name: str) -> str:
    """Which annotation file this is, in lower case; empty if it is none."""
    stem, suffix = os.path.splitext(name.rpartition("/")[2])
    return stem.lower() if suffix.lower() in TEXT_SUFFIXES else ""


def _text_files(tree: Tree, images: _Images) -> list[tuple[Tree, str]]:
    """Text files, those nearest the images first, ``.txt`` before ``.csv``.

    Where the folder or archive of images itself was named, its annotation lies outside.
    """

    def apart(name: str) -> tuple[int, bool, str]:
        folders = name.split("/")[:-1]
        home = images.path.split("/")[:-1]
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(folders, home)))
        return len(folders) + len(home) - 2 * shared, not name.endswith(".txt"), name

    found = [(tree, n) for n in sorted(tree.names, key=apart) if _stem(n)]
    if images.tree is not tree:
        found += [(images.tree, n) for n in images.tree.names if _stem(n)]
    above = Path(os.path.abspath(tree.root))
    while above.name.removesuffix(".zip") in (*IMAGE_FOLDERS, "Img"):
        above = above.parent
        for folder in (above, above / "Anno", above / "Eval"):
            outside = sorted(folder.iterdir()) if folder.is_dir() else []
            found += [(FolderTree(folder, only=p.name), p.name) for p in outside if _stem(p.name)]
    return found


# --------------------------------------------------------------------------------------------------
# What is written about the images
# --------------------------------------------------------------------------------------------------


class _Annotation:
    """The annotation files, each read when it is asked for; what is absent becomes a notice."""

    def __init__(
        self, files: list[tuple[Tree, str]], words: Sequence[str], notices: list[str]
    ) -> None:
        self.files, self.words, self.notices = files, words, notices

    def table(self, stem: str) -> tuple[Table, list[str | None]] | None:
        """The nearest file of this name, and its key for each image; None if it is absent."""
        found = [(tree, name) for tree, name in self.files if _stem(name) == stem]
        if not found:
            return None
        tree, name = found[0]
        if len(found) > 1:
            self.notices.append(
                f"of {len(found)} files {stem} the nearest, {tree.path(name)}, is read"
            )
        table = read_table(tree, name)
        keys = table.match(self.words)
        short = name.rpartition("/")[2]
        if missing := keys.count(None):
            self.notices.append(f"{missing:,} images have no row in {short}: unknown there")
        if table.repeated:
            self.notices.append(
                f"{table.repeated:,} rows of {short} repeat an image: the last counts"
            )
        return table, keys

    def partition(self) -> np.ndarray | None:
        """Splits (n,), -1 unknown."""
        read = self.table(PARTITION)
        if read is None:
            self.notices.append(
                f"no {PARTITION}: split by a stable hash of the image names instead"
            )
            return None
        table, keys = read
        codes = {"0": 0, "1": 1, "2": 2}
        split = np.full(len(keys), UNKNOWN, dtype=np.int8)
        for row, key in enumerate(keys):
            value = "" if key is None else " ".join(table.values(key, 1))
            if key is not None and value not in codes:
                raise InputError(
                    f"{table.where}: expected '<image> 0|1|2' (train, validation, test), found "
                    f"{f'{key} {value}'[:60]!r}. Restore the file, or remove it to split by a hash."
                )
            split[row] = codes.get(value, UNKNOWN)
        return split

    def attributes(self) -> tuple[tuple[str, ...], np.ndarray | None]:
        """Names of the k attributes, and answers (n, k) of -1 and 1, 0 unknown."""
        read = self.table(ATTRIBUTES)
        if read is None:
            self.notices.append(f"no {ATTRIBUTES}: going on without attributes")
            return (), None
        table, keys = read
        if not table.header:
            raise InputError(
                f"{table.where}: expected a line with the attributes' names above the rows, found "
                "none. Restore the file, or remove it to go on without attributes."
            )
        known = {"-1": -1, "1": 1, "0": 0}
        answers = np.zeros((len(keys), len(table.header)), dtype=np.int8)
        for row, key in enumerate(keys):
            if key is None:
                continue
            cells = table.cells(key)
            try:
                answers[row] = [known[cell] for cell in cells]
            except KeyError:
                wrong = next(cell for cell in cells if cell not in known)
                raise InputError(
                    f"{table.where}: expected values of -1 and 1 (or 0 and 1), found {wrong[:40]!r} "
                    f"for {table.header[cells.index(wrong)]} of {key}. Restore the file, or remove it "
                    "to go on without attributes."
                ) from None
        if not (answers < 0).any():  # some copies write 0 for no
            rows = np.array([key is not None for key in keys])
            answers[rows] = np.where(answers[rows] > 0, 1, -1)
        return table.header, answers

    def numbers(self, stem: str, columns: int) -> np.ndarray | None:
        """Numbers (n, columns), NaN unknown; None if the file is absent."""
        read = self.table(stem)
        if read is None:
            return None
        table, keys = read
        what = "a number" if columns == 1 else f"{columns} numbers"
        values = np.full((len(keys), columns), np.nan)
        for row, key in enumerate(keys):
            if key is None:
                continue
            try:
                found = [float(cell) for cell in table.values(key, columns)]
            except ValueError:
                found = []
            # Whatever lies beyond is neither a pixel nor a person.
            if len(found) != columns or any(abs(number) > 1e9 for number in found):
                raise InputError(
                    f"{table.where}: expected {what} for {key}, found "
                    f"{table.rows[key].strip()[:60]!r}. Restore the file, or remove it to go on "
                    "without."
                )
            values[row] = found
        return values
