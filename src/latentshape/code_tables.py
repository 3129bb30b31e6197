"""Codes as a table for other programs: one row for each image, as Parquet or CSV.

=========================  =======================================================================
``id``, ``split``          which image; of bare codes its row
``mahalanobis_radius``     distance from the mean of the training codes, whitened; left out where their
                           covariance has no inverse
``pca_1`` ... ``pca_8``    scores on the principal axes of the training codes
attributes and numbers     all that is known of the images, under its own names; unknown is empty
``code``                   Parquet: a list of d float32, as tools for embeddings take it
``z_0`` ... ``z_{d-1}``    CSV: its components, with as many digits as float32 has
=========================  =======================================================================

Rows are written block by block: memory does not grow with their number.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from latentshape._checks import BLOCK_ROWS, check_codes
from latentshape.codes import load_array, load_codes
from latentshape.data import SPLITS
from latentshape.errors import InputError
from latentshape.facts import Facts
from latentshape.files import atomic_path
from latentshape.runs import RunFolder
from latentshape.shape import PCA, Moments, mahalanobis_squared
from latentshape.shape.moments import singular_why

__all__ = ["write_code_table"]

#: Scores on principal axes that are told.
AXES = 8
#: Columns that are there whatever is known of the images.
OURS = re.compile(r"id|split|mahalanobis_radius|code|pca_\d+|z_\d+")


@dataclass(frozen=True)
class _Part:
    """Codes of one split, and what is known of them."""

    split: str
    ids: np.ndarray
    z: np.ndarray
    facts: Facts


def write_code_table(source: RunFolder | str | Path, path: str | Path) -> Path:
    """Write the codes of a run, or of a ``.npy`` file, as a table.

    Args:
        source: A run folder with codes, or an array file (n, d).
        path: Ends in ``.parquet`` (needs the extra ``parquet``) or ``.csv``; replaced when all is written.

    Returns:
        The path.

    Raises:
        InputError: There are no codes, another ending, or the package is missing.
    """
    path = Path(path)
    writers = {".parquet": _write_parquet, ".csv": _write_csv}
    if path.suffix not in writers:
        raise InputError(f"A table of codes ends in .parquet or .csv, got {path.name!r}.")
    if path.is_dir():
        raise InputError(
            f"{path} is a folder, where a file was to be written. Choose another name."
        )
    parts = _parts(source)
    first = parts[0]
    moments = Moments.of(first.z)
    singular = singular_why(moments) is not None or moments.n < 2
    with atomic_path(path) as temporary:
        writers[path.suffix](
            temporary, parts, _Columns(moments, PCA.of(moments), singular, first.facts)
        )
    return path


def _parts(source: RunFolder | str | Path) -> list[_Part]:
    if not isinstance(source, RunFolder) and not Path(source).is_dir():
        z = check_codes(load_array(Path(source)))
        nothing = Facts((), np.empty((0, 0)), np.empty(0, bool))
        return [_Part("codes", np.arange(len(z)).astype(str), z, nothing)]
    run = source if isinstance(source, RunFolder) else RunFolder.open(source)
    found = [load_codes(run, split) for split in SPLITS]
    return [
        _Part(codes.split, codes.ids, codes.z, Facts.of(codes)) for codes in found if len(codes.z)
    ]


@dataclass(frozen=True)
class _Columns:
    """What stands beside the id and the code."""

    moments: Moments
    pca: PCA
    singular: bool
    facts: Facts

    def blocks(self, part: _Part) -> Iterator[tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]]:
        """Ids, codes and further columns, block by block."""
        for start in range(0, len(part.z), BLOCK_ROWS):
            rows = slice(start, start + BLOCK_ROWS)
            z = np.asarray(part.z[rows], np.float32)
            further: dict[str, np.ndarray] = {}
            if not self.singular:
                radii = np.sqrt(mahalanobis_squared(z, self.moments))
                further["mahalanobis_radius"] = radii.astype(np.float32)
            scores = self.pca.transform(z, min(AXES, self.moments.d)).astype(np.float32)
            further |= {f"pca_{k + 1}": scores[:, k] for k in range(scores.shape[1])}
            further |= {_told(name): part.facts[name][rows] for name in part.facts.names}
            yield part.ids[rows], z, further

    def is_answer(self, name: str) -> bool:
        """Whether a further column is of yes and no."""
        return name in {_told(n) for n, yes in zip(self.facts.names, self.facts.answers) if yes}


def _told(name: str) -> str:
    """What a fact's column is called: as the fact, unless a column of ours has that name."""
    return f"known_{name}" if OURS.fullmatch(name) else name


def _write_parquet(path: Path, parts: list[_Part], columns: _Columns) -> None:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise InputError(
            "Parquet needs the package pyarrow: pip install 'latentshape[parquet]'; or write .csv."
        ) from None

    def typed(name: str, values: np.ndarray) -> Any:
        unknown = np.isnan(values)
        if columns.is_answer(name):
            return pa.array(np.where(unknown, 0, values).astype(bool), mask=unknown)
        return pa.array(values.astype(np.float32), mask=unknown)

    writer = None
    try:
        for part in parts:
            for ids, z, further in columns.blocks(part):
                table = pa.table(
                    {
                        "id": pa.array(ids.tolist(), pa.string()),
                        "split": pa.array([part.split] * len(ids), pa.string()),
                        **{name: typed(name, values) for name, values in further.items()},
                        "code": pa.FixedSizeListArray.from_arrays(
                            pa.array(z.reshape(-1)), z.shape[1]
                        ),
                    }
                )
                writer = writer or pq.ParquetWriter(path, table.schema)
                writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


def _write_csv(path: Path, parts: list[_Part], columns: _Columns) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer, header = csv.writer(file), None
        for part in parts:
            for ids, z, further in columns.blocks(part):
                if header is None:
                    header = ["id", "split", *further, *(f"z_{j}" for j in range(z.shape[1]))]
                    writer.writerow(header)
                told = [_texts(values, columns.is_answer(name)) for name, values in further.items()]
                codes = z.astype(str)  # the fewest digits that give the same float32 again
                for i, name in enumerate(ids.tolist()):
                    writer.writerow([name, part.split, *(column[i] for column in told), *codes[i]])


def _texts(values: np.ndarray, answer: bool) -> list[str]:
    if answer:
        return ["" if np.isnan(value) else str(int(value)) for value in values]
    return ["" if np.isnan(value) else str(np.float32(value)) for value in values]
