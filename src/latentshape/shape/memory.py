"""Memory that has been freed goes back to the system.

The C library keeps what NumPy frees, for each thread apart, in the hope of using it again: after two
threads have worked through a few hundred megabytes in arrays of a few, a process may hold a hundred that
nobody uses. Between the parts of a long analysis that hope is vain. What lies at the end of a thread's
own memory does not go back even when asked for; so in the meantime large arrays are mapped one by one.
"""

__all__ = ["give_back", "little_kept"]

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

# Numbers of glibc's malloc.h, and the sizes to which it raises both by itself in the end.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_GROWN = {_MMAP_THRESHOLD: 32 * 2**20, _TRIM_THRESHOLD: 64 * 2**20}
# Above a block of rows (4 MiB at 256 components), which is used over and over: mapping each anew costs
# a fifth of the time.
_SMALL = {_MMAP_THRESHOLD: 6 * 2**20, _TRIM_THRESHOLD: 12 * 2**20}


def give_back() -> None:
    """Return freed memory to the system where the C library knows how (glibc); else do nothing."""
    known = _glibc()
    if known is not None:
        known[0](0)


@contextmanager
def little_kept() -> Iterator[None]:
    """While this lasts, freed arrays of 6 MiB and more go back to the system at once (glibc).

    For the whole process; afterwards the limits are those that glibc arrives at by itself in a process
    that uses large arrays.
    """
    known = _glibc()
    if known is None:
        yield
        return
    for name, size in _SMALL.items():
        known[1](name, size)
    try:
        yield
    finally:
        for name, size in _GROWN.items():
            known[1](name, size)
        give_back()


@lru_cache(maxsize=1)
def _glibc() -> tuple[Callable[[int], Any], Callable[[int, int], Any]] | None:
    """`malloc_trim` and `mallopt`, if the C library has both."""
    try:
        library = ctypes.CDLL(None)
        trim, option = library.malloc_trim, library.mallopt
    except (AttributeError, OSError, TypeError):  # another C library, or none to ask
        return None
    trim.argtypes, option.argtypes = [ctypes.c_size_t], [ctypes.c_int, ctypes.c_int]
    return trim, option
