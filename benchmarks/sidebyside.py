"""Ways to do one operation, side by side: times, memory, ratios; and codes to do it on."""

from __future__ import annotations

import importlib
import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

MIB = 2**20
OURS = "latentshape"


def latent_like(path: Path, n: int, d: int, seed: int = 0) -> np.ndarray:
    """Write codes like those of the experiments to a memory map; the same for the same n and d.

    A random rotation of the spectrum (1 + k)^-0.9 with components of unit variance on average, 20 of them
    off centre by about 4, radial tails of Student's t_20, slight skew; float32.
    """
    rng = np.random.default_rng((seed, d))
    spectrum = (1.0 + np.arange(d)) ** -0.9
    rotation, _ = np.linalg.qr(rng.standard_normal((d, d)))
    mixing = (np.sqrt(spectrum * d / spectrum.sum())[:, None] * rotation).astype(np.float32)
    mean = np.zeros(d, np.float32)
    off = rng.choice(d, min(20, d), replace=False)
    mean[off] = rng.choice([-1.0, 1.0], len(off)) * rng.normal(4.0, 0.5, len(off))
    z = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(n, d))
    for start in range(0, n, 8192):
        rng = np.random.default_rng((seed, d, start))
        rows = z[start : start + 8192]
        y = rng.standard_normal(rows.shape, dtype=np.float32)
        y += np.float32(0.05) * (np.square(y) - 1)
        y *= np.sqrt(18 / rng.chisquare(20, (len(y), 1))).astype(np.float32)
        rows[:] = y @ mixing + mean
    z.flush()
    del z
    return np.load(path, mmap_mode="r")


@dataclass
class Way:
    """One way to do an operation.

    Attributes:
        name: What the table calls it.
        run: Does it (or a part) and returns numbers to compare, or None; a peer that is not
            installed has none.
        goal: Its time over ours that is aimed at.
        times: The whole is so many times the part that is run.
        seconds, mib: What is aimed at for a way of ours, at full size.
        note: What else is to be known.
    """

    name: str
    run: Callable[[], Any] | None
    goal: float | None = None
    times: float = 1.0
    seconds: float | None = None
    mib: float | None = None
    note: str = ""


def installed(name: str) -> Any:
    """The module of a peer, or None."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def clock(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 1:
        return f"{1e3 * seconds:.3g} ms"
    if seconds < 300:
        return f"{seconds:.3g} s"
    units = (("days", 86400), ("h", 3600), ("min", 60))
    unit, size = next((unit, size) for unit, size in units if seconds >= size)
    return f"{seconds / size:.3g} {unit}"


def mebibytes(size: float) -> str:
    """Memory that was taken, in MiB."""
    return f"+{size:,.0f} MiB" if size >= 9.95 else f"+{size:.1f} MiB"


def apart(found: Any, ours: Any) -> float:
    """Largest difference, relative to the largest number of ours."""
    found, ours = np.asarray(found, np.float64), np.asarray(ours, np.float64)
    return float(np.abs(found - ours).max() / np.abs(ours).max())


def compare(title: str, ways: Iterable[Way], rounds: int, *, full: bool = True) -> None:
    """Do each way in turn, several rounds, and print medians, memory and ratios to the first.

    A first round is not timed: it compiles, fills caches, and gives the memory (tracemalloc's peak).

    Args:
        title: Above the table.
        ways: Ours first.
        rounds: Timed rounds.
        full: Whether the size is that of the goals for our own times.
    """
    print(f"\n{title}")
    listed = list(ways)
    present = [way for way in listed if way.run is not None]
    memory, results = {}, {}
    for way in present:
        tracemalloc.start()
        results[way.name] = way.run()
        memory[way.name] = tracemalloc.get_traced_memory()[1] / MIB
        tracemalloc.stop()
    taken: dict[str, list[float]] = {way.name: [] for way in present}
    for _ in range(rounds):
        for way in present:
            began = time.perf_counter()
            way.run()
            taken[way.name].append((time.perf_counter() - began) * way.times)
    ours = present[0]
    for way in present:
        seconds = statistics.median(taken[way.name])
        parts = [
            f"  {way.name:<42}{clock(seconds) + (' [x]' if way.times != 1 else ''):>13}",
            f"{mebibytes(memory[way.name]):>11}",
        ]
        if way.name.startswith(OURS):
            aims = [] if way.seconds is None else [clock(way.seconds)]
            aims += [] if way.mib is None else [mebibytes(way.mib)]
            if aims and full:
                parts.append(f"  goal {', '.join(aims)}")
        else:
            ratio = seconds / statistics.median(taken[ours.name])
            parts.append(f"{ratio:>10,.3g} x" if ratio < 1000 else f"{ratio:>10,.0f} x")
            parts.append(f"  goal {way.goal:,}" if way.goal else "")
        if way is not ours and results[way.name] is not None and results[ours.name] is not None:
            parts.append(f"  off {apart(results[way.name], results[ours.name]):.0e}")
        print("".join(parts) + (f"  ({way.note})" if way.note else ""), flush=True)
    for way in listed:
        if way.run is None:
            print(f"  {way.name:<42}not installed")
