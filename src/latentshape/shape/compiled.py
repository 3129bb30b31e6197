"""Whether compiled loops may be used: Numba is an accelerator, never a need.

What NumPy says in several passes over memory, a compiled loop says in one. Every such loop (they are
in `loops`) has a NumPy twin that gives the same, and is used where the work repays a tenth of a second
for starting Numba; its machine code is kept on disk, so that it is compiled once.
"""

__all__ = ["compiled_loops"]

import importlib
from functools import lru_cache
from typing import Any

from latentshape.errors import InputError


def compiled_loops(compiled: bool | None, *, worth: bool) -> Any:
    """Return the module of compiled loops, or None where NumPy is to do the work.

    Args:
        compiled: Use them: yes, no, or (None) where Numba is installed and it is worth it.
        worth: Whether there is enough to do.

    Raises:
        InputError: They were asked for, and Numba is not installed.
    """
    if compiled is False or (compiled is None and not worth):
        return None
    found = _loops()
    if found is None and compiled:
        raise InputError(
            "compiled loops need Numba, which is not installed; pip install 'latentshape[fast]', "
            "or leave compiled=None."
        )
    return found


@lru_cache(maxsize=1)
def _loops() -> Any:
    try:
        importlib.import_module("numba")
    except ImportError:
        return None
    return importlib.import_module("latentshape.shape.loops")
