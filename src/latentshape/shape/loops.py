"""The compiled loops. Import them by `compiled_loops`: this module takes Numba with it.

Without Numba they are plain Python, right and slow. Nothing in them may be reordered unless a comment
says so: results are rounded as NumPy rounds them.
"""

__all__ = ["bin_linearly", "count_inside", "count_intervals", "sum_powers"]

import importlib
import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

F = TypeVar("F", bound=Callable[..., Any])

try:
    _numba: Any = importlib.import_module("numba")
except ImportError:
    _numba = None


def _loop(**options: Any) -> Callable[[F], F]:
    def compile_later(function: F) -> F:
        if _numba is None:
            return function
        try:
            return _numba.njit(nogil=True, cache=True, **options)(function)
        except RuntimeError:  # there is no folder to keep the code in
            return _numba.njit(nogil=True, **options)(function)

    return compile_later


# Only here may sums be reordered, which lets them run in parallel lanes: they count to 512, exactly.
@_loop(fastmath={"reassoc"})
def _within(q: np.ndarray, rows: int, limit: Any) -> Any:
    inside = np.float32(0.0)
    for t in range(rows):
        inside += np.float32(1.0) if q[t] <= limit else np.float32(0.0)
    return inside


@_loop()
def count_inside(
    columns: np.ndarray,
    pairs: np.ndarray,
    r: np.ndarray,
    inverse: np.ndarray,
    limits: np.ndarray,
    counts: np.ndarray,
) -> None:
    """Add the codes within each limit of u_i² + (u_j - r u_i)² / (1 - r²), pair by pair.

    Args:
        columns: Standardised codes, one component to a row, shape (d, rows).
        pairs: Shape (p, 2).
        r: Correlations, shape (p,), and `inverse` 1 / sqrt(1 - r²).
        inverse: Shape (p,).
        limits: Squared radii, shape (k,).
        counts: Added to, shape (p, k).
    """
    q = np.empty(512, dtype=columns.dtype)  # tiles that stay in the first cache
    for start in range(0, columns.shape[1], 512):
        rows = min(512, columns.shape[1] - start)
        for p in range(len(pairs)):
            first = columns[pairs[p, 0], start : start + rows]
            second = columns[pairs[p, 1], start : start + rows]
            slope, scale = r[p], inverse[p]
            for t in range(rows):
                a = first[t]
                b = (second[t] - a * slope) * scale
                q[t] = b * b + a * a
            for k in range(len(limits)):
                counts[p, k] += int(_within(q, rows, limits[k]))


@_loop()
def count_intervals(
    block: np.ndarray, starts: np.ndarray, scales: np.ndarray, bins: int, counts: np.ndarray
) -> int:
    """Count the intervals in which components lie; return how many numbers are NaN.

    Args:
        block: Codes, shape (rows, d).
        starts: Lower edge of the first interval, shape (d,), and `scales` intervals per unit.
        scales: Shape (d,).
        bins: Intervals.
        counts: Added to, shape (d, bins + 2): the first is for what lies below, the last above.
    """
    d = block.shape[1]
    place = np.empty(d, dtype=np.int32)
    zero = starts[0] * 0
    low, high = zero - 1, zero + bins
    nans = 0
    # Row by row: the counters of neighbouring components are apart, and none waits for the last.
    for i in range(block.shape[0]):
        row = block[i]
        for j in range(d):
            p = (row[j] - starts[j]) * scales[j]
            nans += p != p
            p = p if p > low else low
            p = p if p < high else high
            place[j] = np.int32(math.floor(p))
        for j in range(d):
            counts[j, place[j] + 1] += 1
    return nans


@_loop()
def bin_linearly(
    block: np.ndarray, i: int, j: int, corner: np.ndarray, step: np.ndarray, table: np.ndarray
) -> tuple[int, bool]:
    """Share every code out among the four nodes about it; return those beyond, and if all was finite.

    Args:
        block: Codes, shape (rows, d).
        i: The component along the first axis of the table.
        j: And along the second.
        corner: Place of the first node, shape (2,), float64.
        step: Distances of nodes, shape (2,), float64.
        table: Added to, shape (bins, bins), float64.
    """
    side = table.shape[0] - 1
    dropped, total = 0, 0.0
    for t in range(block.shape[0]):
        u = (np.float64(block[t, i]) - corner[0]) / step[0]
        v = (np.float64(block[t, j]) - corner[1]) / step[1]
        total += u + v
        if not (u >= 0.0 and u < side and v >= 0.0 and v < side):
            dropped += 1
            continue
        a, b = int(u), int(v)
        f, g = u - a, v - b
        fg = f * g
        table[a, b] += 1.0 - f - g + fg
        table[a, b + 1] += g - fg
        table[a + 1, b] += f - fg
        table[a + 1, b + 1] += fg
    return dropped, math.isfinite(total)


@_loop()
def sum_powers(
    block: np.ndarray, location: np.ndarray, scale: np.ndarray, sums: np.ndarray
) -> None:
    """Add the first four powers of (x - location) scale, for each component.

    Args:
        block: Few enough rows to be added in their own precision, shape (rows, d).
        location: Shape (d,).
        scale: Shape (d,).
        sums: Added to, shape (4, d), float64.
    """
    d = block.shape[1]
    own = np.zeros((4, d), dtype=block.dtype)
    for i in range(block.shape[0]):
        row = block[i]
        for j in range(d):
            u = (row[j] - location[j]) * scale[j]
            squared = u * u
            own[0, j] += u
            own[1, j] += squared
            own[2, j] += squared * u
            own[3, j] += squared * squared
    for k in range(4):
        for j in range(d):
            sums[k, j] += own[k, j]
