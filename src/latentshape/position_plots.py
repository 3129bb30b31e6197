"""Codes with a shape, seen position by position: maps of mean and deviation, correlation against distance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from latentshape.plots import CODES, CONTROL, figure, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["correlation_by_distance", "position_map", "positions_figure"]

#: Channels whose maps are drawn.
CHANNELS = 4


@styled
def position_map(ax: Axes, values: np.ndarray, title: str, diverging: bool = False) -> Axes:
    """One number for each position (h, w), as a map with its scale.

    Args:
        ax: Where to draw.
        values: Shape (h, w).
        title: Above it.
        diverging: Whether the numbers lie about a middle that is worth a colour of its own.
    """
    middle = float(values.mean())
    reach = max(float(np.abs(values - middle).max()), 1e-12)
    scale: dict[str, Any] = {"cmap": "viridis"}
    if diverging:
        scale = {"cmap": "RdBu_r", "vmin": middle - reach, "vmax": middle + reach}
    image = ax.imshow(values, interpolation="nearest", **scale)
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.8, pad=0.03)
    bar.ax.tick_params(labelsize=6)
    bar.outline.set_visible(False)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.set_title(title, fontsize=7)
    return ax


@styled
def correlation_by_distance(ax: Axes, record: dict[str, Any]) -> Axes:
    """Mean correlation of a channel with itself at another position, against the distance."""
    rows = [row for row in record["correlation_by_distance"] if row["distance"] > 0]
    x = [row["distance"] for row in rows]
    marker = "." if len(x) <= 24 else None
    ax.axhline(0, color="#cbd5e0", linewidth=0.8)
    ax.plot(x, [row["r"] for row in rows], color=CODES, marker=marker, label="codes")
    ax.plot(x, [row["control"] for row in rows], color=CONTROL, marker=marker,
            label="independent positions")  # fmt: skip
    ax.set(xlabel="distance between positions", ylabel="mean correlation",
           title="What positions alone do not show", xlim=(0, None))  # fmt: skip
    ax.legend()
    return ax


@styled
def positions_figure(record: dict[str, Any]) -> Figure:
    """Maps of mean and standard deviation of the first channels, and correlation against distance.

    Args:
        record: What `latentshape.shape.spatial.measure_positions` gave, as ``shape.json`` holds it.
    """
    mean, std = (np.asarray(record[name], dtype=np.float64) for name in ("mean_map", "std_map"))
    shown = min(CHANNELS, len(mean))
    made, axes = figure(3, CHANNELS, height=5.4)
    grid = axes[0, 0].get_gridspec()
    for ax in axes[2]:
        ax.remove()
    for k in range(CHANNELS):
        if k >= shown:
            axes[0, k].set_visible(False)
            axes[1, k].set_visible(False)
            continue
        position_map(axes[0, k], mean[k], f"channel {k}: mean", diverging=True)
        position_map(axes[1, k], std[k], f"channel {k}: deviation")
    correlation_by_distance(made.add_subplot(grid[2, :]), record)
    return made
