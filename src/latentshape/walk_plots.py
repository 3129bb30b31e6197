"""Figures of walks: a path over the cloud it leads through, and its distance from the centre.

Axes in, axes out, as in `plots`, whose colours these share. A path is drawn in the plane that the walk
names for it, over the shadow that the codes cast there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from latentshape._checks import thinned
from latentshape.plots import CODES, DRAWN, LAW, ORIGIN, figure, plane, styled
from latentshape.shape import MahalanobisLaw
from latentshape.shape.wide import AnyMoments
from latentshape.walks import Plane, Walk

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["path_over_codes", "radius_along", "walk_figure"]

#: Rows of a walk, in turn; none of them a colour that means something in the other figures.
PATHS = ("#276749", "#805ad5", "#b83280", "#00838f", "#744210", "#4a5568")
#: Numbers on one path, and paths with numbers or a line in the legend, before they cover each other.
NUMBERS, NAMED = 12, 4
#: Panels of codes in one figure.
PANELS = 5


@styled
def path_over_codes(
    ax: Axes,
    z: np.ndarray,
    paths: np.ndarray,
    moments: AnyMoments,
    shown: Plane,
    names: Sequence[str] = (),
) -> Axes:
    """Paths with numbered steps over the density of codes, its ellipses, the centre and the origin.

    Args:
        ax: Where to draw.
        z: Codes of the cloud (n, d).
        paths: One path (steps, d), or several (rows, steps, d).
        moments: Mean and covariance of the cloud.
        shown: The plane to draw in.
        names: Of the paths, for the legend; none where there is nothing to tell apart.
    """
    several = paths[None] if paths.ndim == 2 else paths
    codes = shown.project(thinned(z, DRAWN))
    places = np.stack([shown.project(path) for path in several])
    if len(shown.names) == 1:
        places = _on_a_line(ax, codes, places, moments)
        ax.set(xlabel=shown.names[0], yticks=[])
    else:
        plane(ax, codes, shown.moments(moments), 0, 1, (shown.names[0], shown.names[1]))
    for k, place in enumerate(places):
        colour = PATHS[k % len(PATHS)]
        ax.plot(*place.T, color=colour, linewidth=1, marker="o", markersize=3.2,
                markeredgecolor="white", markeredgewidth=0.4,
                label=names[k] if k < len(names) <= NAMED else None)  # fmt: skip
        if k == 0 or len(places) <= NAMED:
            _number_steps(ax, place, colour)
    _make_room(ax, places.reshape(-1, 2))
    if 0 < len(names) <= NAMED:
        # Above the axes, where it covers nothing of the cloud.
        ax.legend(handles=[line for line in ax.lines if line.get_label() in names], fontsize=7,
                  loc="lower center", bbox_to_anchor=(0.5, 1.0), borderaxespad=0.1,
                  ncols=1 if max(map(len, names)) > 12 else len(names), columnspacing=1.0,
                  handlelength=1.6)  # fmt: skip
    return ax


@styled
def radius_along(ax: Axes, walk: Walk, moments: AnyMoments) -> Axes:
    """Mahalanobis radius of every step, over the band in which 98 % of a Gaussian's codes lie."""
    from matplotlib.ticker import MaxNLocator

    ax.set(xlabel="step", ylabel="Mahalanobis radius", title="Distance from the centre")
    if walk.radii is None:
        ax.set(xticks=[], yticks=[])
        ax.text(0.5, 0.5, "no Mahalanobis radius:\nthe covariance has no inverse",
                ha="center", va="center", transform=ax.transAxes)  # fmt: skip
        return ax
    steps = np.arange(1, walk.columns + 1)
    if moments.n > moments.d + 1:
        low, high = np.sqrt(MahalanobisLaw(moments.n, moments.d).quantile([0.01, 0.99]))
        ax.axhspan(low, high, color=CODES, alpha=0.15, linewidth=0, label="98 % of a Gaussian")
    for k, radii in enumerate(walk.radii.reshape(walk.rows, -1)):
        ax.plot(steps, radii, color=PATHS[k % len(PATHS)], linewidth=1, marker="o", markersize=3,
                label=walk.row_labels[k] if walk.rows <= NAMED else None)  # fmt: skip
    ax.set_ylim(bottom=0)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(fontsize=7)
    return ax


@styled
def walk_figure(walk: Walk, z: np.ndarray, moments: AnyMoments) -> Figure:
    """A walk in one figure: a panel for each of its planes, five at most, and the radii.

    Args:
        walk: The walk.
        z: Codes of the cloud (n, d).
        moments: Mean and covariance of the cloud.
    """
    planes = list(dict.fromkeys(walk.planes))[:PANELS]
    columns = min(3, len(planes) + 1)
    rows = -(-(len(planes) + 1) // columns)
    made, axes = figure(rows, columns, height=2.8 * rows)
    for ax in axes.flat[len(planes) + 1 :]:
        ax.set_visible(False)
    for ax, shown in zip(axes.flat, planes):
        here = [k for k, other in enumerate(walk.planes) if other is shown]
        path_over_codes(ax, z, walk.paths[here], moments, shown, [walk.row_labels[k] for k in here])
    radius_along(axes.flat[len(planes)], walk, moments)
    made.suptitle(walk.title, fontsize=10)
    return made


def _on_a_line(ax: Axes, codes: np.ndarray, places: np.ndarray, moments: AnyMoments) -> np.ndarray:
    """Histogram of codes of one component; places of the paths (rows, steps, 2), one over another."""
    heights, _, _ = ax.hist(codes[:, 0], bins=60, color=CODES, alpha=0.45)
    top = float(np.max(heights))
    ax.axvline(moments.mean[0], color=LAW, linewidth=0.8, linestyle="--", label="centre")
    ax.plot(0, 0, marker="o", color=ORIGIN, markersize=5, linestyle="none", label="origin")
    level = top * (1 + np.arange(len(places))) / (len(places) + 1)
    across = places[:, :, 0]
    return np.stack([across, np.broadcast_to(level[:, None], across.shape)], axis=2)


def _number_steps(ax: Axes, place: np.ndarray, colour: str) -> None:
    """Numbers from 1 beside the steps; of a long path, of some of them and the last."""
    last = len(place) - 1
    every = -(-len(place) // NUMBERS)
    for k in sorted({*range(0, last, every), last}):
        ax.annotate(str(k + 1), place[k], xytext=(3, 3), textcoords="offset points",
                    fontsize=6.5, color=colour, annotation_clip=True)  # fmt: skip


def _make_room(ax: Axes, points: np.ndarray) -> None:
    """Widen the limits so that none of the points (n, 2) is cut off."""
    for values, limits, widen in (
        (points[:, 0], ax.get_xlim(), ax.set_xlim),
        (points[:, 1], ax.get_ylim(), ax.set_ylim),
    ):
        margin = 0.06 * max(limits[1] - limits[0], float(np.ptp(values)))
        low, high = float(values.min()) - margin, float(values.max()) + margin
        widen(min(limits[0], low), max(limits[1], high))
