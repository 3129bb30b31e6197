"""Memory that has been freed goes back to the system.

The C library keeps what NumPy frees, for each thread apart, in the hope of using it again: after two
threads have worked through a few hundred megabytes in arrays of a few, a process may hold a hundred that
nobody uses. Between the parts of a long analysis that hope is vain.
"""

__all__ = ["give_back"]

import ctypes
from collections.abc import Callable
from functools import lru_cache
from typing import Any


def give_back() -> None:
    """Return freed memory to the system where the C library knows how (glibc); else do nothing."""
    trim = _trim()
    if trim is not None:
        trim(0)


@lru_cache(maxsize=1)
def _trim() -> Callable[[int], Any] | None:
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another C library, or none to ask
        return None
    trim.argtypes, trim.restype = [ctypes.c_size_t], ctypes.c_int
    return trim
