"""Train, validation, test: the official partition where there is one, else a stable hash.

The hash looks at the image's id alone, so an image keeps its split when others are added or removed
and no model can be judged on an image it was trained on in an earlier run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from latentshape.errors import InputError

__all__ = ["SPLITS", "check_split", "complete_split", "hash_split"]

#: Names of the splits; the position is the code, as in CelebA's own partition file.
SPLITS = ("train", "validation", "test")
UNKNOWN = -1
#: No moment of a split can be taken of fewer images.
FEWEST = 2


def hash_split(ids: Sequence[str], train: float = 0.8, validation: float = 0.1) -> np.ndarray:
    """Split codes (n,) int8 from the ids alone: about 80 / 10 / 10 per cent.

    Example:
        >>> hash_split(["000001.jpg", "000002.jpg", "000003.jpg"]).tolist()
        [0, 0, 0]
    """
    digests = (hashlib.blake2b(i.encode(), digest_size=8).digest() for i in ids)
    u = np.array([int.from_bytes(d, "big") for d in digests], dtype=np.float64) / 2.0**64
    return np.searchsorted([train, train + validation], u, side="right").astype(np.int8)


def complete_split(ids: Sequence[str], split: np.ndarray | None) -> tuple[np.ndarray, list[str]]:
    """Fill what the partition leaves open, and say so.

    Args:
        ids: One per image.
        split: Codes (n,) with -1 where unknown, or None when there is no partition at all.

    Returns:
        Codes (n,) without gaps, and the notices to show.
    """
    hashed = hash_split(ids)
    if split is None:
        return hashed, ["no partition: split by a stable hash of the image ids"]
    notices = []
    unknown = split == UNKNOWN
    if unknown.any():
        notices.append(f"{int(unknown.sum()):,} images are not in the partition: split by a hash")
        split = np.where(unknown, hashed, split)
    empty = [code for code in range(len(SPLITS)) if not (split == code).any()]
    if empty and 0 not in empty:
        # A tenth of the training images each, by their hash: official test images stay test images.
        split = np.where((split == 0) & np.isin(hashed, empty), hashed, split)
        names = " and ".join(SPLITS[code] for code in empty)
        notices.append(f"no image is marked {names}: taken from the training images by a hash")
    elif empty:
        notices.append("no image is marked train: all split by a hash instead")
        split = hashed
    return split.astype(np.int8), notices


def check_split(split: np.ndarray) -> None:
    """Refuse splits that are too small to measure anything on.

    Raises:
        InputError: A split has fewer than two images.
    """
    counts = np.bincount(split, minlength=len(SPLITS))
    if counts.min() < FEWEST:
        raise InputError(
            f"{len(split)} usable images are too few for a training, a validation and a test split "
            f"(got {', '.join(f'{n} {c}' for n, c in zip(SPLITS, counts))}). Use at least 100."
        )
