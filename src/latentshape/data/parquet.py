"""Pictures in Parquet files, as Hugging Face keeps datasets.

A row is a picture, its file's bytes in a column ``image`` (or a struct of ``bytes`` and ``path``), and
what is known about it in the others. Splits are named by files or folders: ``data/train-00000-of-
00019.parquet``, ``valid-...`` or ``validation-...``, ``test-...``. Whatever the other columns hold goes
through `annotations.sort_facts`; CelebA's copies carry attributes as bool, 0/1 or -1/1, a ``celeb_id``
and landmarks.

Pictures are fetched by row group, in order, a few rows at a time. A file's own account of itself is
compared with its size before anything is read: Parquet packs so well that a damaged or malicious file
can claim anything. pyarrow is an extra: ``pip install 'latentshape[parquet]'``.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from latentshape.data.annotations import SPLIT_NAMES, Facts, sort_facts
from latentshape.data.arrays import LARGEST_CLASS, number_rows
from latentshape.data.crops import ALIGNED_SIZE
from latentshape.data.folder import unless_outnumbered
from latentshape.data.listing import Content, Listing, Pictures, rows_by_part, spelt
from latentshape.data.splits import UNKNOWN
from latentshape.data.stored_arrays import (
    LARGEST_EXPANSION,
    SMALL,
    damaged,
    refuse_too_large,
)
from latentshape.data.trees import FolderTree, Tree
from latentshape.errors import InputError
from latentshape.images import decode_image

__all__ = ["ParquetPictures", "find_parquet", "read_parquet", "require_pyarrow"]

#: Columns that are the picture where several could be.
IMAGE_NAMES = ("image", "img", "jpg", "png", "picture", "photo")
#: Rows fetched at once: of pictures, and of what is said about them.
BATCH, ROWS = 64, 4096
#: Strings and lists in the metadata of real files are far below these; damaged ones claim gigabytes.
METADATA_LIMITS = {"thrift_string_size_limit": 16 << 20, "thrift_container_size_limit": 1 << 20}
#: No column is called by more characters.
LONGEST_NAME = 4096
LANDMARKS = [f"{point}_{axis}" for point in ("lefteye", "righteye", "nose", "leftmouth", "rightmouth")
             for axis in "xy"]  # fmt: skip
#: By so many of its attributes a table is CelebA's.
ENOUGH_ATTRIBUTES = 20
CELEBA = frozenset(
    """5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose
    Black_Hair Blond_Hair Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee
    Gray_Hair Heavy_Makeup High_Cheekbones Male Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard
    Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks Sideburns Smiling Straight_Hair
    Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace Wearing_Necktie
    Young""".split()  # noqa: SIM905
)
#: Of the first pictures, so many are tried to learn their size.
FIRST = 20


# --------------------------------------------------------------------------------------------------
# Files
# --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ParquetRows:
    """Some rows of one file.

    Attributes:
        name: The file in its tree.
        column: Where the pictures are.
        ends: Rows of the file up to the end of each of its row groups, int64.
        rows: (m,) int64, ascending.
    """

    name: str
    column: str
    ends: np.ndarray
    rows: np.ndarray


class ParquetPictures(Pictures):
    """Pictures in rows of Parquet files.

    Only the row groups that hold one of the rows are read, a few rows at a time; workers are sent
    names of files and numbers of rows.
    """

    def __init__(self, tree: Tree, parts: Sequence[ParquetRows]) -> None:
        self.tree, self.parts = tree, list(parts)

    def __len__(self) -> int:
        return sum(len(part.rows) for part in self.parts)

    def take(self, rows: np.ndarray) -> ParquetPictures:
        """The pictures of these rows (ascending int64)."""
        taken = []
        counts = (len(part.rows) for part in self.parts)
        for i, own in rows_by_part(np.asarray(rows, np.int64), counts):
            part = self.parts[i]
            taken.append(ParquetRows(part.name, part.column, part.ends, part.rows[own]))
        return ParquetPictures(self.tree, taken)

    def contents(self, size: int) -> Iterator[Content]:
        """Each picture's file as bytes; why not, where a row has none or its file is damaged."""
        for part in self.parts:
            yield from self._of_file(part)

    def stamps(self) -> Iterator[bytes]:
        """The stamp of each picture's file, with the picture's row."""
        for part in self.parts:
            stamp = next(iter(self.tree.stamps([part.name])))
            for row in part.rows.tolist():
                yield stamp + f"\0{part.column}\0{row}".encode() if stamp else b""

    def _of_file(self, part: ParquetRows) -> Iterator[Content]:
        where = str(self.tree.path(part.name))
        try:
            file = _open(self.tree, part.name)
        except InputError as error:
            for _ in part.rows:
                yield OSError(str(error))
            return
        with file:
            bounds = np.searchsorted(part.rows, part.ends)
            for group, (low, high) in enumerate(zip([0, *bounds[:-1]], bounds)):
                if high > low:
                    start = int(part.ends[group - 1]) if group else 0
                    yield from _of_group(file, group, part.rows[low:high] - start, part, where)


def _of_group(
    file: Any, group: int, rows: np.ndarray, part: ParquetRows, where: str
) -> Iterator[Content]:
    """These rows of a row group; one reason for all that follow where it is damaged."""
    wanted, start, done = rows.tolist(), 0, 0
    reason: Exception = OSError(f"row group {group} of {where} has fewer rows than it says")
    try:
        for batch in file.iter_batches(BATCH, [group], [part.column], use_threads=False):
            while done < len(wanted) and wanted[done] < start + len(batch):
                content = _picture(batch.column(0)[wanted[done] - start].as_py())
                done += 1
                yield content
            if done == len(wanted):
                return
            start += len(batch)
    # pyarrow raises nearly anything over damaged pages; they are counted like damaged files.
    except Exception as error:
        reason = OSError(f"row group {group} of {where} is damaged ({_first_line(error)})")
    for _ in wanted[done:]:
        yield reason


def _picture(value: Any) -> Content:
    """The bytes in a cell."""
    path = None
    if isinstance(value, dict):
        value, path = value.get("bytes"), value.get("path")
    if isinstance(value, bytes):
        return value
    if path:
        return OSError(f"only the path {str(path)[:200]!r} is in the table, not the picture")
    return OSError("the row has no picture")


def _open(tree: Tree, name: str) -> Any:
    """A file, once its metadata agree with its size.

    Raises:
        InputError: pyarrow is missing, or the file is damaged.
    """
    _, parquet = require_pyarrow()
    path = tree.path(name)
    try:
        size = os.stat(path).st_size
        file = parquet.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20, **METADATA_LIMITS)
    # pyarrow's own errors, OSError, and what its parser lets through.
    except Exception as error:
        raise damaged(str(path), _first_line(error)) from error
    try:
        _refuse_lies(file.metadata, size)
        return file
    except Exception as error:
        file.close()
        raise damaged(str(path), _first_line(error)) from error


def _refuse_lies(metadata: Any, size: int) -> None:
    """Compare what a file claims with the bytes it has; the message says what cannot be.

    Row groups are asked, never their columns: pyarrow ends the process where a column's statistics
    are damaged, instead of raising.
    """
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    rows = [group.num_rows for group in groups]
    if min(rows, default=0) < 0 or sum(rows) != metadata.num_rows or sum(rows) > size:
        raise ValueError(f"{metadata.num_rows:,} rows in {size:,} bytes")
    claims = [group.total_byte_size for group in groups]
    if min(claims, default=0) < 0 or (
        sum(claims) > SMALL and sum(claims) > LARGEST_EXPANSION * size
    ):
        raise ValueError(f"{sum(claims):,} bytes packed into {size:,}")


def require_pyarrow() -> tuple[Any, Any]:
    """The modules ``pyarrow`` and ``pyarrow.parquet``.

    Raises:
        InputError: They are not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise InputError(
            "Reading and writing Parquet needs pyarrow: pip install 'latentshape[parquet]'"
        ) from error
    return pyarrow, pyarrow.parquet


def _first_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).partition("\n")[0][:200] or type(error).__name__


# --------------------------------------------------------------------------------------------------
# The listing
# --------------------------------------------------------------------------------------------------


def find_parquet(tree: Tree) -> str | None:
    """By what ``tree`` is recognised: ``data/train-00000-of-00019.parquet and 22 more ...``.

    None if it is not. A table among more image files than there are tables is a table about them.
    """
    return unless_outnumbered(_names(tree), tree, "parquet files")


def read_parquet(tree: Tree) -> Listing:
    """The pictures of all Parquet files of a folder, with what their other columns say.

    Raises:
        InputError: pyarrow is missing; no file, several configurations of a dataset, no column or
            several columns of pictures, a split column of something else, or damage.
    """
    names, where = _names(tree), tree.where
    if not names:
        raise InputError(f"Expected .parquet files at {where!r}, found none.")
    if not isinstance(tree, FolderTree):
        raise InputError(
            f"{where}: Parquet files are not read out of an archive. Unpack it and give the folder."
        )
    require_pyarrow()
    _refuse_configurations(names, where)
    names.sort(key=lambda name: (_split_of(name) % 4, name))  # unknown ones, -1, last
    tables = [_read_table(tree, name) for name in names]
    counts = [table.rows for table in tables]
    if not sum(counts):
        raise InputError(f"{where}: expected rows with pictures, found tables without any.")
    refuse_too_large(sum(t.nbytes for t in tables), f"What {where} says about its pictures")
    notices = _missing_shards(names)
    columns = _joined_columns(tables, notices, where)
    classes = {name: words for table in tables for name, words in table.classes.items()}
    facts = sort_facts(columns, where)
    of_files = np.repeat(np.array([_split_of(name) for name in names], np.int8), counts)
    split = of_files if facts.split is None else np.where(facts.split < 0, of_files, facts.split)
    pictures = ParquetPictures(tree, [table.pictures for table in tables])
    attribute_names = tuple(classes.get(name, name) for name in facts.attribute_names)
    return Listing(
        kind="parquet",
        where=where,
        why=find_parquet(tree) or "it was asked for",
        ids=_ids(tables, of_files),
        pictures=pictures,
        split=None if (split == UNKNOWN).all() else split.astype(np.int8),
        attributes=facts.attributes,
        attribute_names=_once(attribute_names, facts),
        columns=_with_landmarks(facts.columns),
        crop="centre-140" if _is_celeba(attribute_names, pictures) else "square",
        notices=[*notices, *facts.notices],
    )


def _names(tree: Tree) -> list[str]:
    return [name for name in tree.names if name.lower().endswith(".parquet")]


def _split_of(name: str) -> int:
    """Split by the first word of the file's name, or the nearest folder called like a split.

    Example:
        >>> _split_of("data/valid-00000-of-00002.parquet"), _split_of("test/0000.parquet")
        (1, 2)
    """
    for part in reversed(name.removesuffix(".parquet").split("/")):
        word = re.split(r"[^a-z]", part.lower(), maxsplit=1)[0]
        if word in SPLIT_NAMES:
            return SPLIT_NAMES[word]
    return UNKNOWN


def _refuse_configurations(names: Sequence[str], where: str) -> None:
    """Hugging Face keeps variants of a dataset in folders side by side: the same pictures twice."""
    folders: dict[str, str] = {}
    for name in names:
        parts = name.split("/")
        above = [part for part in parts[:-1] if part.lower() not in SPLIT_NAMES]
        inner = "/".join(part for part in parts if part not in above)
        first = folders.setdefault(inner, "/".join(above))
        if first != "/".join(above):
            raise InputError(
                f"{where} holds several variants of a dataset: {spelt(first) or '.'} and "
                f"{spelt('/'.join(above))} both have {spelt(inner)}. Give the folder of one of them."
            )


def _missing_shards(names: Sequence[str]) -> list[str]:
    """A notice for each numbered series of files that is not whole."""
    series: dict[tuple[str, int], set[int]] = {}
    for name in names:
        match = re.fullmatch(r"(.*?)-(\d{1,9})-of-(\d{1,9})(?:-[^/]*)?\.parquet", name)
        if match:
            series.setdefault((match[1], int(match[3])), set()).add(int(match[2]))
    return [
        f"{spelt(prefix)}: only {len(found)} of {total} files are there"
        for (prefix, total), found in sorted(series.items())
        if len(found) < total
    ]


@dataclass(frozen=True)
class _Table:
    """One file: where its pictures are, and its other columns as they were stored.

    Attributes:
        rows: How many.
        nbytes: What the other columns take in memory.
        pictures: Where the pictures are.
        paths: What the struct of the image says its file was called; None without.
        columns: (n,) values by name.
        classes: ``label_3`` to what Hugging Face's metadata call it.
        notices: Columns of no use, and why.
    """

    rows: int
    nbytes: int
    pictures: ParquetRows
    paths: list[str | None] | None
    columns: dict[str, Any]
    classes: dict[str, str]
    notices: list[str]


def _read_table(tree: Tree, name: str) -> _Table:
    """Everything of a file but the pictures.

    Raises:
        InputError: See `read_parquet`.
    """
    where = str(tree.path(name))
    with _open(tree, name) as file:
        try:
            schema = file.schema_arrow
            image = _image_column(schema, where)
            others = [
                n for n in dict.fromkeys(schema.names) if n != image and len(n) < LONGEST_NAME
            ]
            groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
            notices: list[str] = []
            columns: dict[str, Any] = {}
            useful, nbytes = _useful(file, others, notices, where)
            for column, values in useful.items():
                columns.update(_flatten(column, values, notices))
            paths = None
            kind = schema.field(image).type
            if _is_struct(kind) and kind.get_field_index("path") >= 0:
                cells = file.read(columns=[f"{image}.path"]).column(0).combine_chunks()
                paths = _texts(cells.field("path"))
            rows = sum(groups)
            if any(len(v) != rows for v in columns.values()) or len(paths or [""] * rows) != rows:
                raise ValueError("columns of different lengths")
        except InputError:
            raise
        # pyarrow raises nearly anything over damaged pages.
        except Exception as error:
            raise damaged(where, _first_line(error)) from error
    part = ParquetRows(name, image, np.cumsum(groups, dtype=np.int64), np.arange(rows))
    return _Table(rows, nbytes, part, paths, columns, _classes(schema), notices)


def _image_column(schema: Any, where: str) -> str:
    types = require_pyarrow()[0].types
    found = []
    for column in schema:
        kind = column.type
        if _is_struct(kind) and kind.get_field_index("bytes") >= 0:
            kind = kind.field("bytes").type
        if types.is_binary(kind) or types.is_large_binary(kind):
            found.append(column.name)
    if schema.names.count(found[0] if found else "") > 1:
        raise damaged(where, f"two columns {found[0]!r}")
    for name in IMAGE_NAMES:
        named = [column for column in found if column.lower() == name]
        if named:
            return named[0]
    if len(found) == 1:
        return found[0]
    have = ", ".join(map(repr, found or schema.names[:8]))[:300]
    raise InputError(
        f"{where}: expected one column of pictures (binary, or a struct with 'bytes') called 'image', "
        f"found {f'{len(found)} of them: ' if found else ''}{have}. Rename the one that is meant."
    )


def _is_struct(kind: Any) -> bool:
    return bool(require_pyarrow()[0].types.is_struct(kind))


def _useful(
    file: Any, names: Sequence[str], notices: list[str], where: str
) -> tuple[dict[str, Any], int]:
    """Columns of numbers, text and the two nested ones, one array each, and their bytes."""
    arrow, schema = require_pyarrow()[0], file.schema_arrow
    types = arrow.types

    def plain(kind: Any) -> bool:
        if types.is_dictionary(kind):
            kind = kind.value_type
        return any(
            is_it(kind)
            for is_it in (types.is_boolean, types.is_integer, types.is_floating, types.is_string,
                          types.is_large_string, types.is_null)
        )  # fmt: skip

    def nested(name: str, kind: Any) -> bool:
        if name.lower() not in ("attributes", "landmarks"):
            return False
        if _is_struct(kind):
            return all(plain(kind.field(i).type) for i in range(kind.num_fields))
        while types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
            kind = kind.value_type
        return types.is_boolean(kind) or types.is_integer(kind) or types.is_floating(kind)

    wanted = []
    for name in names:
        field = schema.field(name) if schema.names.count(name) == 1 else None
        if field is not None and (plain(field.type) or nested(name, field.type)):
            wanted.append(name)
        else:
            notices.append(
                f"column {name[:80]!r} is left out: "
                + (str(field.type)[:60] if field is not None else "there are several of that name")
            )
    if not wanted:
        return {}, 0
    batches, nbytes = [], 0
    for batch in file.iter_batches(ROWS, columns=wanted, use_threads=False):
        batches.append(batch)
        nbytes += batch.nbytes
        refuse_too_large(nbytes, f"What {where} says about its pictures")
    if not batches:
        return {}, 0
    table = arrow.Table.from_batches(batches)
    return {name: table.column(name).combine_chunks() for name in wanted}, nbytes


def _flatten(name: str, values: Any, notices: list[str]) -> dict[str, Any]:
    """A column as columns of numbers or text; a struct or list as one for each of its parts."""
    if _is_struct(values.type):
        kind = values.type
        return {kind.field(i).name: _plain(values.field(i)) for i in range(kind.num_fields)}
    if "list" not in str(values.type).partition("<")[0]:
        return {name: _plain(values)}
    rows = [np.ravel(row) for row in values.to_pylist()]
    widths = {len(row) for row in rows}
    if len(widths) != 1:
        notices.append(f"column {name!r} is left out: its lists are of different lengths")
        return {}
    width = widths.pop()
    names = [f"{name.removesuffix('s')}_{j}" for j in range(width)]
    if name.lower() == "landmarks":
        if width != len(LANDMARKS):
            notices.append(
                f"column {name!r} is left out: expected five points, found {width} numbers"
            )
            return {}
        names = LANDMARKS
    return {n: np.array([row[j] for row in rows], np.float64) for j, n in enumerate(names)}


def _plain(values: Any) -> Any:
    """An Arrow array as NumPy numbers (NaN where null) or a list of text (None where null)."""
    types = require_pyarrow()[0].types
    if types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if types.is_string(values.type) or types.is_large_string(values.type):
        return _texts(values)
    if types.is_null(values.type):
        return [None] * len(values)
    if types.is_boolean(values.type):
        if values.null_count:
            return values.to_pylist()
        return values.to_numpy(zero_copy_only=False)
    return values.to_numpy(zero_copy_only=False)


def _texts(values: Any) -> list[str | None]:
    """Text, which damaged files hold in other bytes than UTF-8's."""
    try:
        return values.to_pylist()
    except UnicodeDecodeError:
        raw = values.view("binary" if str(values.type) == "string" else "large_binary")
        return [None if v is None else v.decode("utf-8", "replace") for v in raw.to_pylist()]


def _joined_columns(tables: Sequence[_Table], notices: list[str], where: str) -> dict[str, Any]:
    """The columns of all files one after the other; unknown where a file has no such column."""
    said = dict.fromkeys(notice for table in tables for notice in table.notices)
    notices += list(said)
    with_rows = [table for table in tables if table.rows]
    names = dict.fromkeys(name for table in with_rows for name in table.columns)
    joined: dict[str, Any] = {}
    for name in names:
        missing = [t.pictures.name for t in with_rows if name not in t.columns]
        if missing:
            notices.append(
                f"column {name!r} is missing in {len(missing)} of {len(with_rows)} files, such as "
                f"{spelt(missing[0])}: unknown there"
            )
        parts = [table.columns.get(name, [None] * table.rows) for table in with_rows]
        values = _concatenated(parts)
        if _too_large(values):
            notices.append(f"column {name!r} of {where} is left out: numbers too large")
            continue
        joined[name] = _whole(values)
    return joined


def _whole(values: Any) -> Any:
    """Whole numbers that became floats because some are unknown: as such, and None for those."""
    if not isinstance(values, np.ndarray) or values.dtype.kind != "f":
        return values
    unknown = np.isnan(values)
    known = values[~unknown]
    if not unknown.any() or not np.isfinite(known).all() or (known != np.rint(known)).any():
        return values
    return [None if value != value else int(value) for value in values.tolist()]


def _too_large(values: Any) -> bool:
    """Whether whole numbers are too large to be told apart as floats."""
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "iu" or not len(values):
        return False
    return int(values.max()) > LARGEST_CLASS or int(values.min()) < -LARGEST_CLASS


def _concatenated(parts: Sequence[Any]) -> Any:
    """Parts of a column as one array where all are numbers, else as a list."""
    arrays = [part for part in parts if isinstance(part, np.ndarray)]
    kinds = {array.dtype.kind == "b" for array in arrays}
    empty = [p for p in parts if not isinstance(p, np.ndarray) and any(v is not None for v in p)]
    if arrays and not empty and kinds == {False}:
        return np.concatenate(
            [p if isinstance(p, np.ndarray) else np.full(len(p), np.nan) for p in parts]
        )
    if len(arrays) == len(parts) and kinds == {True}:
        return np.concatenate(arrays)
    return [v for part in parts for v in (part.tolist() if isinstance(part, np.ndarray) else part)]


def _classes(schema: Any) -> dict[str, str]:
    """Names of classes that Hugging Face's metadata give to the numbers of ``label``.

    They stand in a JSON text that other writers lack; where it is anything else, numbers must do.
    """
    try:
        stored = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = stored["info"]["features"]
        found = {}
        for column in ("label", "labels", "class", "digit"):
            names = features.get(column, {}).get("names", [])
            if len(set(names)) == len(names) and all(isinstance(n, str) for n in names):
                found.update(
                    {f"label_{i}": n for i, n in enumerate(names) if n and not n.isdecimal()}
                )
        return found
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _once(names: tuple[str, ...], facts: Facts) -> tuple[str, ...]:
    """Names of classes where they tell the attributes apart, else numbers as before."""
    return names if len(set(names)) == len(names) else facts.attribute_names


def _ids(tables: Sequence[_Table], split: np.ndarray) -> list[str]:
    """What the pictures' files were called, if that names each; else rows of each split."""
    if all(table.paths is not None for table in tables if table.rows):
        paths = [path for table in tables for path in table.paths or []]
        words = [re.split(r"[/\\]", path)[-1] if path else "" for path in paths]
        if all(words) and len(set(words)) == len(words):
            return [spelt(word) for word in words]
    codes, counts = np.unique(split, return_counts=True)
    order = sorted(zip(codes.tolist(), counts.tolist()), key=lambda pair: pair[0] % 4)
    return number_rows([code for code, _ in order], [n for _, n in order], 7)


def _with_landmarks(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Ten columns of coordinates as one of five points (n, 5, 2)."""
    if not set(LANDMARKS) <= set(columns):
        return columns
    points = np.stack([columns[name] for name in LANDMARKS], axis=1).astype(np.float32)
    rest = {name: values for name, values in columns.items() if name not in LANDMARKS}
    return {**rest, "landmarks": points.reshape(-1, 5, 2)}


def _is_celeba(attribute_names: Sequence[str], pictures: ParquetPictures) -> bool:
    """Whether the pictures are CelebA's aligned ones: by the attributes, then by their size."""
    names = CELEBA & set(attribute_names)
    if len(names) < ENOUGH_ATTRIBUTES or not {"Male", "Smiling"} <= names:
        return False
    for content in pictures.take(np.arange(min(FIRST, len(pictures)))).contents(0):
        try:
            if isinstance(content, bytes):
                height, width = decode_image(content).pixels.shape[:2]
                return (width, height) == ALIGNED_SIZE
        # Damaged pictures make decoders raise nearly anything; the next one will do.
        except Exception:
            continue
    return False
