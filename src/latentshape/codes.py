"""Border 2: torch on one side, NumPy on the other. Every image is encoded once.

The codes of each split lie in ``codes/`` as plain ``.npy`` files that any program can map: ``train.npy``
(n, d) float32, ``train.ids.npy`` (n,) text, ``train.attributes.npy`` (n, k) int8, in the dataset's
order; what else is known about each image (``identity``, ``factors``, ...: names from anybody's tables,
which need not be names of files) in ``train.columns.safetensors``. Codes are written batch by batch, so
memory does not grow with the number of images.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
import torch

from latentshape.data import SPLITS, Dataset
from latentshape.errors import InputError
from latentshape.files import atomic_folder, atomic_path, write_json
from latentshape.images import to_images
from latentshape.models.base import Autoencoder, device_of
from latentshape.progress import bar
from latentshape.runs import RunFolder, read_record

__all__ = [
    "Codes",
    "encode_dataset",
    "encode_pixels",
    "load_array",
    "load_codes",
    "save_array",
    "weights_digest",
]

#: Large enough for the kernels, small enough for a layer's maps to stay in the last cache.
BATCH = 128


@dataclass(frozen=True)
class Codes:
    """The codes of one split.

    Attributes:
        z: (n, d) float32, a memory map.
        ids: (n,) image names.
        split: Which split.
        attributes: (n, k) int8 of -1 and 1 (0 unknown), or None.
        attribute_names: The k names.
        columns: Further facts, each (n, ...): see `latentshape.data.listing.Listing`.
    """

    z: np.ndarray
    ids: np.ndarray
    split: str
    attributes: np.ndarray | None = None
    attribute_names: tuple[str, ...] = ()
    columns: dict[str, np.ndarray] = field(default_factory=dict)


def encode_pixels(
    model: Autoencoder,
    pixels: np.ndarray,
    rows: np.ndarray,
    precision: str,
    read: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> Iterator[np.ndarray]:
    """The only encoding loop: codes (at most 128, d) float32 of ``pixels[rows]``, in order.

    With ``read`` it is what that function of images gives, such as numbers of an inner layer.

    Raises:
        InputError: A code is not finite: the model has diverged.
    """
    from latentshape.training import autocast

    device = device_of(model)
    model.eval()
    # One context around the loop: weights are cast once, not for every batch.
    with (
        bar(len(rows), "encoding") as progress,
        torch.inference_mode(),
        autocast(device, precision),
    ):
        for start in range(0, len(rows), BATCH):
            chosen = rows[start : start + BATCH]
            z = (read or model.encode)(to_images(pixels[chosen], device)).float().cpu().numpy()
            if not np.isfinite(z).all():
                raise InputError(
                    "The encoder gives codes that are not finite numbers: the model has diverged. "
                    "Train again with a lower --learning-rate."
                )
            yield z
            progress.update(len(chosen))


def encode_dataset(
    model: Autoencoder,
    dataset: Dataset,
    folder: Path,
    precision: str = "fp32",
    weights: str | None = None,
) -> None:
    """Encode every split of a dataset into ``folder``, which is replaced when all is written.

    Codes, ids and attributes belong together: an encoding that is cut short leaves the earlier ones.

    Args:
        model: A trained autoencoder.
        dataset: Images of the model's size.
        folder: ``codes/`` of a run.
        precision: ``fp32``, or ``bf16`` where speed matters more than the last 0.4 % of a component.
        weights: :func:`weights_digest` of the model, to know the codes by.
    """
    with atomic_folder(folder) as building:
        for split in SPLITS:
            rows = dataset.indices(split)
            shape = (len(rows), model.latent_dim)
            batches = encode_pixels(model, dataset.pixels, rows, precision)
            write_array(building / f"{split}.npy", shape, np.float32, batches)
            save_array(building / f"{split}.ids.npy", dataset.ids[rows])
            if dataset.attributes is not None:
                save_array(building / f"{split}.attributes.npy", dataset.attributes[rows])
            if dataset.columns:
                columns = {k: np.ascontiguousarray(v[rows]) for k, v in dataset.columns.items()}
                with atomic_path(building / f"{split}.columns.safetensors") as temporary:
                    temporary.write_bytes(safetensors.numpy.save(columns))
        write_json(
            building / "index.json",
            {
                "latent_dim": model.latent_dim,
                "attribute_names": list(dataset.attribute_names),
                "dataset": dataset.fingerprint,
                "weights": weights,
                "precision": precision,
            },
        )


def write_array(
    path: Path, shape: tuple[int, ...], dtype: Any, blocks: Iterable[np.ndarray]
) -> None:
    """Write a ``.npy`` file block by block, atomically.

    Through ``write``, not through a memory map: on a full disk that is an ``OSError``, where a
    mapped page would end the process with a bus error.
    """
    header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks:
            file.write(np.ascontiguousarray(block, dtype).tobytes())


def save_array(path: Path, array: np.ndarray) -> None:
    """Write one array as ``.npy``, atomically."""
    write_array(path, array.shape, array.dtype, [array])


def load_codes(run: RunFolder, split: str = "train") -> Codes:
    """The codes of one split, mapped, not read.

    Args:
        run: An encoded run.
        split: ``train``, ``validation`` or ``test``.

    Returns:
        The codes `z` (n, d) with ids, attributes and whatever else is known of each image.

    Raises:
        InputError: The split was never encoded, or its files are damaged.
    """
    if split not in SPLITS:
        raise InputError(f"split must be one of {', '.join(SPLITS)}; got {split!r}.")
    folder = run.codes_path
    path = run.need(folder / f"{split}.npy", "encode")
    attributes_path = folder / f"{split}.attributes.npy"
    columns_path = folder / f"{split}.columns.safetensors"
    try:
        z = np.load(path, mmap_mode="r", allow_pickle=False)
        ids = np.load(folder / f"{split}.ids.npy", allow_pickle=False)
        attributes = (
            np.load(attributes_path, allow_pickle=False) if attributes_path.exists() else None
        )
        columns = safetensors.numpy.load_file(columns_path) if columns_path.exists() else {}
    except (OSError, ValueError, EOFError, safetensors.SafetensorError) as error:
        raise InputError(
            f"The codes in {folder} cannot be read ({error}). Delete the folder and run: "
            f"latentshape encode {run.path}"
        ) from None
    index = read_record(run.need(folder / "index.json", "encode"), "attribute_names")
    _check_provenance(run, index)
    names = tuple(index["attribute_names"])
    found = None if attributes is None else attributes.shape
    fitting = (len(z), len(names)) if names else None
    lengths = {len(ids), *(len(column) for column in columns.values())}
    if z.ndim != 2 or lengths != {len(z)} or found != fitting:
        raise InputError(
            f"The files in {folder} do not belong together ({split}: codes {z.shape}, {len(ids)} ids, "
            f"{len(names)} attributes). Delete the folder and run: latentshape encode {run.path}"
        )
    return Codes(z, ids, split, attributes, names, columns)


def weights_digest(run: RunFolder) -> str:
    """Hash of the run's trained weights."""
    return hashlib.blake2b(run.model_path.read_bytes(), digest_size=12).hexdigest()


def _check_provenance(run: RunFolder, index: dict[str, Any]) -> None:
    """Codes count as a run's own only if its model made them from its images."""
    found = None
    if run.dataset_path.exists():
        known = read_record(run.dataset_path, "fingerprint")["fingerprint"]
        if index.get("dataset", known) != known:
            found = "other images than the run's own"
    if found is None and run.model_path.exists():
        known = weights_digest(run)
        if (index.get("weights") or known) != known:
            found = "another model than the run's present one"
    if found:
        raise InputError(
            f"The codes in {run.codes_path} are of {found}. Make them again with: "
            f"latentshape encode {run.path}"
        )


def load_array(path: Path) -> np.ndarray:
    """Codes (n, d) from any ``.npy`` file, mapped; ``shape.measure`` checks what is in it.

    Raises:
        InputError: No such file, or no plain array in it.
    """
    if not path.exists():
        raise InputError(
            f"There is nothing at {str(path)!r}: expected a run folder or a .npy file."
        )
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(
            f"{str(path)!r} is not a .npy array ({error}). Save codes with numpy.save(path, z), "
            "z of shape (n, d)."
        ) from None
    if not isinstance(array, np.ndarray):
        raise InputError(f"{str(path)!r} is an archive of arrays; expected one .npy array (n, d).")
    return array
