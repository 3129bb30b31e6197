"""Figures of samplers: draws over the codes with the ellipses they keep to; fidelity against diversity."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from latentshape.images import grid
from latentshape.plots import CODES, CONTROL, LAW, ORIGIN, figure, save, styled
from latentshape.samplers import make_sampler
from latentshape.shape import Moments, confidence_ellipse

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draws_in_plane", "draws_over_codes", "fidelity_diversity", "save_strips",
           "save_truncation", "strips"]  # fmt: skip

#: Codes and draws in a scatter picture.
SCATTERED = 4000
COLOURS = {"gaussian": CODES, "ellipsoid": "#2f855a", "pairwise-ellipse": ORIGIN}
#: Where a point's setting is written, in points from it: each curve on a side of its own.
BESIDE = {"gaussian": (4, 3), "ellipsoid": (-18, -3), "pairwise-ellipse": (3, -9)}
SETTINGS = {"temperature": "T = {:g}", "within": "R = {:.1f}", "fact": "{:g}"}


@styled
def draws_in_plane(
    ax: Axes,
    codes: np.ndarray,
    draws: np.ndarray,
    moments: Moments,
    pair: tuple[int, int],
    limit: float,
    title: str,
) -> Axes:
    """Codes and draws in one plane, with the ellipse that the draws keep to and the 1, 2, 3 sigma ones.

    Args:
        ax: Where to draw.
        codes: Shape (n, d), in the coordinates of the plane.
        draws: Shape (m, d), likewise.
        moments: Of the codes in these coordinates.
        pair: The two components.
        limit: Size of the draws' ellipse in sigmas.
        title: Above the plane.
    """
    i, j = pair
    ax.plot(codes[:, i], codes[:, j], ".", color="#a0aec0", markersize=1.2, alpha=0.6,
            label="codes", rasterized=True)  # fmt: skip
    ax.plot(draws[:, i], draws[:, j], ".", color=ORIGIN, markersize=1.6, alpha=0.7,
            label="draws", rasterized=True)  # fmt: skip
    for sigma in (1, 2, 3):
        curve = confidence_ellipse(moments, i, j, sigma)
        ax.plot(*curve.T, color=LAW, linewidth=0.7, linestyle="--")
    curve = confidence_ellipse(moments, i, j, limit)
    ax.plot(*curve.T, color=CONTROL, linewidth=1.4, label=f"{limit:.2f}σ")
    ax.set_title(title, fontsize=8)
    ax.set(xticks=[], yticks=[])
    return ax


def draws_over_codes(z: np.ndarray, path: Path, seed: int = 0) -> Path:
    """Draws of pairwise ellipses over the codes, in planes of principal and of original components.

    Args:
        z: Training codes (n, d), d at least 2.
        path: The PNG to write.
        seed: Of the draws.
    """
    moments = Moments.of(z)
    d = moments.d
    codes = np.asarray(z[:SCATTERED])
    ranks = [(0, 1), (0, min(2, d - 1)), (d // 4, d // 4 + 1), (d // 2 - 1, d // 2)]
    pairs = [p for p in dict.fromkeys(ranks) if p[0] < p[1] < d][:4]
    made, axes = figure(2, len(pairs), height=4.4)
    r = np.abs(np.triu(moments.correlation(), 1))
    strongest = [divmod(int(k), d) for k in np.argsort(r, axis=None)[::-1][: len(pairs)]]
    for row, coordinates in enumerate(("pca", "original")):
        # In the original coordinates only the sequential way is known.
        method = "exact" if coordinates == "pca" else "sequential"
        sampler = make_sampler("pairwise-ellipse", coordinates=coordinates, method=method).fit(z)
        draws = sampler.sample(SCATTERED, seed=seed)
        limit = sampler.limit_
        # The sampler's own axes and widths: those of the codes in the core, on which it is fitted.
        own = Moments(moments.n, np.zeros(d), np.diag(np.square(sampler.std_)))
        for ax, pair, rank in zip(axes[row], strongest, pairs):
            if coordinates == "pca":
                title = f"PCA axes {rank[0] + 1} and {rank[1] + 1}"
                there, drawn = ((x - sampler.mean_) @ sampler.axes_.T for x in (codes, draws))
                draws_in_plane(ax, there, drawn, own, rank, limit, title)
            else:
                title = f"components {pair[0]} and {pair[1]}"
                r_core = sampler.correlation_ + np.eye(d)
                core = Moments(
                    moments.n, sampler.mean_, r_core * np.outer(sampler.std_, sampler.std_)
                )
                draws_in_plane(ax, codes, draws, core, pair, limit, title)
    axes[0, 0].legend(loc="upper right", markerscale=5, fontsize=6.5)
    axes[0, 0].set_ylabel("ellipses in PCA coordinates")
    axes[1, 0].set_ylabel("in original coordinates")
    save(made, path)
    return path


@styled
def fidelity_diversity(
    ax: Axes, rows: list[dict[str, Any]], x: str = "recall", y: str = "precision"
) -> Axes:
    """One curve per way to draw nearer to the centre; single laws and the ceiling as marks.

    Args:
        ax: Where to draw.
        rows: Of the experiment ``truncation``.
        x: The axis of diversity, ``recall`` or ``coverage``.
        y: The axis of fidelity, ``precision`` or ``density``.
    """
    known = [row for row in rows if x in row and y in row]  # others say why they have no numbers
    for name, colour in COLOURS.items():
        chosen = [row for row in known if row["sampler"] == name]
        across, up = ([r[key]["value"] for r in chosen] for key in (x, y))
        ax.plot(across, up, color=colour, marker="o", markersize=3.5, linewidth=1, label=name)
        for row in chosen:  # the range over the draws
            ax.plot(
                [row[x]["low"], row[x]["high"]], [row[y]["value"]] * 2, color=colour, linewidth=0.5
            )
            ax.plot(
                [row[x]["value"]] * 2, [row[y]["low"], row[y]["high"]], color=colour, linewidth=0.5
            )
        for row in chosen:
            key = next(k for k in SETTINGS if k in row)
            place = row[x]["value"], row[y]["value"]
            ax.annotate(SETTINGS[key].format(row[key]), place, fontsize=5.5,
                        xytext=BESIDE[name], textcoords="offset points", color=colour)  # fmt: skip
    single = [row for row in known if row["sampler"] not in COLOURS]
    for row, marker in zip(single, "D^sP*"):
        ax.plot(row[x]["value"], row[y]["value"], color=LAW, marker=marker, markersize=5, linestyle="none",
                markerfacecolor="white", label=row["sampler"])  # fmt: skip
    ax.set(xlabel=f"{x} (diversity)", ylabel=f"{y} (fidelity)")
    return ax


@styled
def strips(ax: Axes, rows: list[tuple[str, np.ndarray]], gap: int = 2) -> Axes:
    """Lines of pictures, each with its name at the left.

    Args:
        ax: Where to draw.
        rows: Name and pixels (k, h, w, c) uint8 of each line; all pictures of one size.
        gap: Pixels between pictures; between lines three times as many.
    """
    height, width = rows[0][1].shape[1:3]
    longest = max(len(pixels) for _, pixels in rows)
    pitch = height + 3 * gap
    sheet = np.full((len(rows) * pitch - 3 * gap, longest * (width + gap) - gap, 3), 255, np.uint8)
    for line, (_, pixels) in enumerate(rows):
        shown = grid(pixels, columns=len(pixels), gap=gap)
        sheet[line * pitch : line * pitch + height, : shown.shape[1]] = shown
    ax.imshow(sheet, interpolation="antialiased")
    ax.set_yticks(
        [line * pitch + height / 2 for line in range(len(rows))], [name for name, _ in rows]
    )
    ax.tick_params(length=0, labelsize=8)
    ax.set_xticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)
    return ax


def save_strips(rows: list[tuple[str, np.ndarray]], path: Path) -> Path:
    """`strips` as a PNG, in about the pixels that the pictures have."""
    height, width = rows[0][1].shape[1:3]
    longest = max(len(pixels) for _, pixels in rows)
    shown = 6.0  # inches of pictures, beside the names
    words = max(len(part) for name, _ in rows for part in name.split("\n"))
    line = shown * (height + 6) / (longest * (width + 2))
    made, axes = figure(1, 1, width=shown + 0.35 + 0.085 * words, height=0.15 + line * len(rows))
    strips(axes[0, 0], rows)
    save(made, path)
    return path


def save_truncation(record: dict[str, Any], path: Path) -> Path:
    """Precision against recall and density against coverage, side by side."""
    made, axes = figure(1, 2, height=3.6)
    fidelity_diversity(axes[0, 0], record["rows"])
    fidelity_diversity(axes[0, 1], record["rows"], "coverage", "density")
    axes[0, 0].legend(fontsize=6.5)
    save(made, path)
    return path
