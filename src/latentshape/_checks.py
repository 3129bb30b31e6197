"""The door through which codes, counts and seeds come in, and the words said when they do not fit.

Every error says what was expected, what was received and what to do. Codes are never copied whole:
they are looked at, and later read, in blocks of a few thousand rows, so that a memory map of any
length passes through in bounded memory.
"""

__all__ = [
    "BLOCK_ROWS",
    "LARGEST",
    "check_choice",
    "check_codes",
    "check_count",
    "check_fitted",
    "check_fraction",
    "check_positive",
    "check_seed",
    "check_seeds",
    "finite_rows",
    "row_blocks",
    "thinned",
]

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from latentshape.errors import InputError, suggestion

LARGEST = 1e30
"""Far from where float32 ends, so that sums of squares of codes may be formed too."""

BLOCK_ROWS = 4096
"""Rows read at a time: a block of 256-dimensional float32 codes is 4 MiB and stays in cache."""

_BLOCK_NUMBERS = 2**24
"""Numbers in a block at most: codes of more than 4,096 components are read in fewer rows."""

_MAX_SEED = 2**64 - 1


def row_blocks(z: np.ndarray, rows: int | None = None) -> Iterator[np.ndarray]:
    """Yield consecutive blocks of rows of `z` as contiguous float32 or float64 arrays.

    Args:
        z: Codes, shape (n, d), any real dtype, memory maps included.
        rows: Rows per block; the last block may be shorter. None: `BLOCK_ROWS`, or as many as 2^24
            numbers are.

    Example:
        >>> [len(block) for block in row_blocks(np.zeros((5, 2)), rows=2)]
        [2, 2, 1]
    """
    dtype = _working_dtype(z.dtype)
    if rows is None:
        rows = min(BLOCK_ROWS, max(1, _BLOCK_NUMBERS // max(z.shape[1], 1)))
    for start in range(0, len(z), rows):
        yield np.ascontiguousarray(z[start : start + rows], dtype=dtype)


def thinned(rows: np.ndarray, most: int) -> np.ndarray:
    """At most so many rows, spread evenly over all, from the first to the last.

    Example:
        >>> thinned(np.arange(100), 4)
        array([ 0, 33, 66, 99])
    """
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).astype(np.intp)]


def check_codes(
    z: Any,
    *,
    name: str = "z",
    min_samples: int = 2,
    latent_dim: int | None = None,
    finite: bool = True,
) -> np.ndarray:
    """Return `z` as a real (n, d) array, or raise an `InputError` that says how to mend it.

    float32 and float64 arrays come back as they are; integers, booleans and float16 become float32,
    longer floats float64. A memory map keeps its type and is converted block by block when read.

    Args:
        z: Codes, one per row, shape (n, d).
        name: What to call them in messages.
        min_samples: The least number of rows.
        latent_dim: The expected d, where one is known.
        finite: Look for NaN and infinite values (one read of the data).

    Example:
        >>> check_codes([[0, 1], [2, 3]]).dtype
        dtype('float32')
        >>> check_codes(np.zeros((64, 8, 4, 4)))
        Traceback (most recent call last):
            ...
        latentshape.errors.InputError: z must have shape (n_samples, latent_dim), got
        (64, 8, 4, 4); flatten codes with z.reshape(len(z), -1).
    """
    array = _as_array(z, name)
    _check_shape(array, name, min_samples, latent_dim)
    if finite:
        _check_finite(array, name)
    if isinstance(array, np.memmap):
        return array
    return np.asarray(array, dtype=_working_dtype(array.dtype))


def check_fitted(estimator: Any, attribute: str = "latent_dim_") -> None:
    """Raise an `InputError` unless `estimator` was fitted (has its `attribute`)."""
    if attribute not in vars(estimator):
        kind = type(estimator).__name__
        raise InputError(f"This {kind} is not fitted yet; call fit(z) with codes (n, d) first.")


def check_count(
    value: Any, *, name: str = "n", minimum: int = 1, maximum: int | None = None
) -> int:
    """Return `value` as an int within [minimum, maximum].

    Example:
        >>> check_count(3)
        3
    """
    wanted = f"an integer of at least {minimum}"
    if maximum is not None:
        wanted = f"an integer from {minimum} to {maximum}"
    if not _is_integer(value):
        raise InputError(f"{name} must be {wanted}, got {value!r}; pass a whole number.")
    if value < minimum or (maximum is not None and value > maximum):
        raise InputError(f"{name} must be {wanted}, got {value}; choose one in that range.")
    return int(value)


def check_positive(value: Any, *, name: str) -> float:
    """Return `value` as a finite float above zero.

    Example:
        >>> check_positive(2, name="temperature")
        2.0
    """
    if not _is_real(value) or not np.isfinite(value) or value <= 0:
        raise InputError(f"{name} must be a finite number above 0, got {value!r}; choose one.")
    return float(value)


def check_choice(value: Any, *, name: str, choices: tuple[str, ...]) -> str:
    """Return `value` if it is one of the choices.

    Example:
        >>> check_choice("pca", name="coordinates", choices=("pca", "original"))
        'pca'
    """
    if not isinstance(value, str) or value not in choices:
        listed = " or ".join(map(repr, choices))
        raise InputError(f"{name} must be {listed}, got {value!r}{suggestion(value, choices)}")
    return value


def check_fraction(value: Any, *, name: str) -> float:
    """Return `value` as a float in [0, 1]."""
    if not _is_real(value) or not 0 <= value <= 1:
        raise InputError(f"{name} must be a number from 0 to 1, got {value!r}; choose one there.")
    return float(value)


def check_seed(seed: Any, *, name: str = "seed") -> int:
    """Return `seed` as an int in [0, 2^64)."""
    if not _is_integer(seed) or not 0 <= seed <= _MAX_SEED:
        raise InputError(
            f"{name} must be an integer from 0 to 2**64 - 1, got {seed!r}; "
            "any such number gives its own reproducible draw."
        )
    return int(seed)


def check_seeds(seeds: Any) -> np.ndarray:
    """Return `seeds` as a one-dimensional uint64 array.

    Example:
        >>> check_seeds(range(3))
        array([0, 1, 2], dtype=uint64)
    """
    if not isinstance(seeds, Iterable) or isinstance(seeds, str | bytes):
        raise InputError(
            f"seeds must be a sequence of integers, got {seeds!r}; for one code pass "
            "a list of one seed."
        )
    if isinstance(seeds, np.ndarray) and seeds.ndim != 1:
        raise InputError(f"seeds must be one-dimensional, got shape {seeds.shape}; use .ravel().")
    return np.array([check_seed(seed, name="each seed") for seed in seeds], dtype=np.uint64)


def _working_dtype(dtype: np.dtype) -> np.dtype:
    """float32 for everything that fits it; float64 for float64 and longer."""
    wide = dtype.kind == "f" and dtype.itemsize > 4
    return np.dtype(np.float64 if wide else np.float32)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _is_real(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


# Where scikit-learn's own checks look for words of theirs in a refusal, these are among ours.
def _as_array(z: Any, name: str) -> np.ndarray:
    if hasattr(z, "toarray"):
        raise InputError(
            f"{name} is sparse ({type(z).__name__}), and sparse input is not supported: codes have hardly a "
            f"zero. Pass {name}.toarray()."
        )
    try:
        array = np.asanyarray(z)
    except (ValueError, TypeError, RuntimeError) as error:
        raise InputError(
            f"{name} must be an array of numbers of shape (n_samples, latent_dim), got "
            f"{type(z).__name__} ({error}); pass rows of equal length as a NumPy array."
        ) from error
    if array.dtype.kind not in "fiub":
        why = " (Complex data not supported)" if array.dtype.kind == "c" else ""
        raise InputError(
            f"{name} must hold real numbers, got dtype {array.dtype} from {type(z).__name__}{why}; "
            "pass a float32 array (n_samples, latent_dim)."
        )
    return array if isinstance(array, np.memmap) else np.asarray(array)


def _check_shape(z: np.ndarray, name: str, min_samples: int, latent_dim: int | None) -> None:
    if z.ndim != 2:
        cure = (
            f"flatten codes with {name}.reshape(len({name}), -1)"
            if z.ndim > 2
            else f"one code is {name}.reshape(1, -1), codes of one number are {name}.reshape(-1, 1)"
        )
        raise InputError(f"{name} must have shape (n_samples, latent_dim), got {z.shape}; {cure}.")
    if z.shape[1] == 0:
        raise InputError(
            f"{name} must have at least one component, got 0 feature(s) (shape={z.shape}) while a minimum "
            "of 1 is required."
        )
    if len(z) < min_samples:
        raise InputError(
            f"{name} must have at least {min_samples} codes (rows), got {len(z)} of dimension "
            f"{z.shape[1]} (n_samples={len(z)}); encode more images."
        )
    if latent_dim is not None and z.shape[1] != latent_dim:
        raise InputError(
            f"{name} must have {latent_dim} components as in fit, got {z.shape[1]}; "
            "use codes of the same encoder."
        )


def finite_rows(z: np.ndarray) -> np.ndarray:
    """Which rows of codes (n, d) hold neither NaN nor infinite values, shape (n,), bool."""
    if z.dtype.kind != "f":
        return np.ones(len(z), dtype=bool)
    starts = range(0, len(z), BLOCK_ROWS)
    blocks = [np.isfinite(z[start : start + BLOCK_ROWS]).all(axis=1) for start in starts]
    return np.concatenate(blocks) if blocks else np.ones(0, dtype=bool)


def _check_finite(z: np.ndarray, name: str) -> None:
    bad = np.flatnonzero(~finite_rows(z))
    count = len(bad)
    if count:
        listed = ", ".join(map(str, bad[:5])) + (", ..." if count > 5 else "")
        raise InputError(
            f"{name} must be finite, got NaN or infinite values in {count} of {len(z)} rows "
            f"({listed}); drop them with {name}[np.isfinite({name}).all(axis=1)]."
        )
