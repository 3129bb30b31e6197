"""One function per figure: axes in, axes out. Statistics come from `shape`.

Colours mean the same everywhere: codes blue, the Gaussian control orange, exact laws black, the origin
and what is drawn around it red. Only a chosen code among all others (`plane`) is orange too, as a star.

A picture of many codes reads rows spread evenly over all of them, so that codes in some order (by class,
say) are shown whole; what is counted or measured in a title is counted on all.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np

from latentshape._checks import thinned
from latentshape.files import atomic_path
from latentshape.shape import (
    Moments,
    confidence_ellipse,
    fit_gaussians,
    number_distributions,
)
from latentshape.shape.correlation import clustered_order
from latentshape.shape.radius_histogram import radius_histogram
from latentshape.shape.wide import AnyMoments

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["battery", "close_up", "contours", "correlation_counts", "correlation_map", "coverage",
           "figure", "in_rectangle", "legend_below", "loss_curve", "mahalanobis_radius",
           "number_distribution", "overlaid_curves", "plane", "quantiles",
           "radius_and_cubes", "save", "shadow", "spectrum", "styled",
           "two_decimals", "void_gaps"]  # fmt: skip

CODES, CONTROL, LAW, ORIGIN, CENTRE = "#2b6cb0", "#dd8b2c", "#1a202c", "#c53030", "#1a202c"
OTHER = "#718096"
STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#718096",
    "axes.labelcolor": "#2d3748",
    "xtick.color": "#4a5568",
    "ytick.color": "#4a5568",
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.dpi": 160,
}
#: Codes that a density picture or histogram reads at most; statistics use all.
DRAWN = 200_000
#: Single points drawn in a scatter plot at most.
SCATTERED = 5_000


P = ParamSpec("P")
R = TypeVar("R")


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Draw in the house's style and leave matplotlib's global state as it was."""

    @functools.wraps(draw)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        import matplotlib as mpl

        with mpl.rc_context(STYLE):
            return draw(*args, **kwargs)

    return wrapped


@styled
def figure(
    rows: int = 1, columns: int = 1, width: float = 7.6, height: float = 3.0
) -> tuple[Figure, Any]:
    """An empty figure and its axes, (rows, columns)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), layout="constrained", dpi=STYLE["figure.dpi"])
    FigureCanvasAgg(made)
    return made, made.subplots(rows, columns, squeeze=False)


@styled
def save(made: Figure, path: Path) -> None:
    """Write as PNG, atomically."""
    with atomic_path(path) as temporary:
        made.savefig(temporary, format="png")


def _legend_above(ax: Axes, columns: int) -> None:
    """A legend between axes and title, where it covers nothing that is drawn."""
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(handles, labels, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=columns,
              borderaxespad=0.1, columnspacing=1.2, handlelength=1.6)  # fmt: skip
    ax.set_title(ax.get_title(), pad=7 + 12.5 * math.ceil(len(labels) / columns))


def legend_below(made: Figure, ax: Axes) -> None:
    """One legend for all panels of a figure, beneath them."""
    handles, labels = ax.get_legend_handles_labels()
    made.legend(handles, labels, loc="outside lower center", ncols=len(labels))


def two_decimals(value: float | None) -> str:
    """Two decimals with a true minus, or a dash where there is no number."""
    return "–" if value is None else f"{value:.2f}".replace("-", "−")


@styled
def loss_curve(ax: Axes, metrics: list[dict[str, Any]]) -> Axes:
    """Mean squared error per pixel over the epochs, training and held-out, on a log scale."""
    epochs = [m["epoch"] for m in metrics]
    ax.plot(epochs, [m["train_mse"] for m in metrics], color="#a0aec0", label="training images")
    ax.plot(
        epochs,
        [m["heldout_mse"] for m in metrics],
        color=CODES,
        label="held-out images",
        marker=".",
    )
    ax.set(xlabel="epoch", ylabel="squared error per pixel", yscale="log", title="Loss")
    ax.yaxis.set_major_formatter(lambda v, _: f"{v:.3g}")
    ax.yaxis.set_minor_formatter(lambda v, _: f"{v:.3g}")
    ax.tick_params(axis="y", which="minor", labelsize=6)
    ax.legend()
    return ax


@styled
def spectrum(ax: Axes, pca: dict[str, Any]) -> Axes:
    """Eigenvalues of the covariance by rank, and the share of variance up to each."""
    from matplotlib.ticker import MaxNLocator

    values = np.array(pca["eigenvalues"])
    rank = np.arange(1, len(values) + 1)
    # An axis along which nothing varies has no place on a log scale.
    values = np.where(values > values.max() * 1e-15, values, np.nan)
    marker = "." if len(rank) <= 20 else None
    ax.plot(rank, values, color=CODES, marker=marker, label="variance (left)")
    ax.set(xlabel="PCA axis", ylabel="variance along the axis", yscale="log", title="Spectrum")
    ax.set_xlim(0.5, len(rank) + 0.5)
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    share = ax.twinx()
    share.plot(rank, np.cumsum(pca["explained"]), color=OTHER, marker=marker, linestyle="--")
    share.set(ylim=(0, 1.02), ylabel="share of all variance, summed")
    ax.plot([], [], color=OTHER, linestyle="--", label="share up to here (right)")
    _legend_above(ax, 2)
    return ax


@styled
def number_distribution(ax: Axes, z: np.ndarray, moments: AnyMoments, j: int) -> Axes:
    """Histogram of component j with its least-squares Gaussian and its half-width."""
    column = moments.part([j])
    counted = number_distributions(np.array(z[:, [j]]), column)
    fit = fit_gaussians(counted, column)
    edges = counted.edges(0)
    ax.stairs(counted.counts[0][: len(edges) - 1], edges, fill=True, color=CODES, alpha=0.45)
    x = np.linspace(edges[0], edges[-1], 400)
    ax.plot(x, fit.curve(0, x), color=LAW, linewidth=1)
    mean, half = column.mean[0], counted.half_widths()[0]
    ax.axvline(0, color=ORIGIN, linewidth=0.8, linestyle=":")
    spread = 0.05 * abs(mean) if column.constant[0] else 4.5 * column.std[0]
    ax.set(xlim=(min(mean - spread, -0.1), max(mean + spread, 0.1)), ylim=(0, None), yticks=[])
    title = f"mean {two_decimals(mean)}, half-width {two_decimals(half)}"
    if column.constant[0]:
        ax.axvline(mean, color=CODES)
        title = f"constant, {two_decimals(mean)}"
    ax.set_title(f"component {j}\n{title}", fontsize=7)
    return ax


@styled
def plane(
    ax: Axes,
    z: np.ndarray,
    moments: AnyMoments,
    i: int,
    j: int,
    labels: tuple[str, str],
    *,
    origin: Any = (0.0, 0.0),
    special: np.ndarray | None = None,
    artificial: np.ndarray | None = None,
    scatter: int = 0,
) -> Axes:
    """Codes in the plane of two components, with 1, 2, 3 sigma ellipses, centre and origin.

    Args:
        ax: Where to draw.
        z: Codes (n, d).
        moments: Their moments.
        i: The component that lies across.
        j: The component that points up.
        labels: Of the two axes.
        origin: Where the origin of the latent space lies in this plane.
        special: Chosen codes (m, d), drawn as orange stars.
        artificial: Points that are no codes, (m, d), drawn as red crosses.
        scatter: Draw so many codes at most as single points; 0 for the density of all.
    """
    from matplotlib.colors import LogNorm

    shown = thinned(z, scatter or DRAWN)
    x, y = (np.asarray(shown[:, k], np.float64) for k in (i, j))
    if scatter:
        size = float(np.clip(60 / np.sqrt(len(x)), 1.6, 5))
        ax.plot(x, y, linestyle="none", marker="o", markersize=size, markeredgewidth=0, alpha=0.5,
                color=CODES, rasterized=True)  # fmt: skip
        ax.plot([], [], linestyle="none", marker="o", markersize=4, color=CODES, label="codes")
    else:
        bins = int(np.clip(np.sqrt(len(x)) / 1.5, 40, 160))
        ax.hist2d(x, y, bins=bins, cmap="Blues", norm=LogNorm(vmin=0.5), rasterized=True)
    within = moments.part([i, j])
    for sigma in (1, 2, 3):
        curve = confidence_ellipse(within, 0, 1, sigma)
        ax.plot(*curve.T, color=LAW, linewidth=0.9, linestyle="-" if sigma == 2 else "--",
                label="1, 2, 3σ ellipses" if sigma == 2 else None)  # fmt: skip
    ax.plot(*within.mean, marker="+", color=CENTRE, markersize=9, label="centre", linestyle="none")
    for points, marker, size, colour, label in (
        (artificial, "x", 5, ORIGIN, "points of the cube"),
        (special, "*", 10, CONTROL, "one code"),
    ):
        if points is not None:
            ax.plot(points[:, i], points[:, j], linestyle="none", marker=marker, markersize=size,
                    color=colour, label=label,
                    markeredgecolor=LAW if marker == "*" else colour,
                    markeredgewidth=0.6 if marker == "*" else 1.3)  # fmt: skip
    ax.plot(*origin, marker="o", color=ORIGIN, markersize=5, label="origin", linestyle="none")
    lines = np.concatenate([np.stack(line.get_data(), axis=1) for line in ax.lines])
    _frame(ax, np.concatenate([lines, np.stack([x, y], axis=1)]))
    ax.set(xlabel=labels[0], ylabel=labels[1])
    return ax


def _frame(ax: Axes, points: np.ndarray) -> None:
    """Limits that cut off none of the points (n, 2)."""
    low, high = points.min(axis=0), points.max(axis=0)
    margin = np.where(high > low, 0.03 * (high - low), 0.5)
    ax.set(xlim=(low[0] - margin[0], high[0] + margin[0]))
    ax.set(ylim=(low[1] - margin[1], high[1] + margin[1]))


@styled
def close_up(
    ax: Axes,
    points: np.ndarray,
    place: np.ndarray,
    half: np.ndarray,
    *,
    name: str,
    control: bool = False,
    step: int = 1,
    gap: float | None = None,
) -> Axes:
    """Single points in a small rectangle of a plane, and in the title how many there are.

    Args:
        ax: Where to draw.
        points: Those of the cloud in this plane, (n, 2), inside the rectangle or not.
        place: The rectangle's middle, (2,).
        half: Half its sides, (2,).
        name: Of the place, for the title.
        control: Whether these are points of the Gaussian control.
        step: Draw every ``step``-th point only; equal for clouds that are to be compared.
        gap: Distance to the nearest code at this place over the control's, for the title.
    """
    inside = in_rectangle([points], place, half)
    ax.plot(*inside[::step].T, linestyle="none", marker="o", markersize=1.9, markeredgewidth=0,
            alpha=0.75, color=CONTROL if control else CODES)  # fmt: skip
    if name == "origin":
        ax.plot(*place, marker="o", color=ORIGIN, markersize=5, linestyle="none")
    else:
        ax.plot(*place, marker="+", color=CENTRE, markersize=9, linestyle="none")
    ax.set(xlim=(place[0] - half[0], place[0] + half[0]))
    ax.set(ylim=(place[1] - half[1], place[1] + half[1]))
    title = f"{name}: {len(inside):,} {'control' if control else 'codes'}"
    if gap is not None:
        title += f"\ngap {gap:.2f} × control's"
    if step > 1:
        title += f"\n1 in {step:,} drawn"
    ax.set_title(title, fontsize=7)
    ax.tick_params(labelsize=7)
    return ax


def in_rectangle(blocks: Iterable[np.ndarray], place: np.ndarray, half: np.ndarray) -> np.ndarray:
    """The points of blocks (rows, 2) within a rectangle."""
    return np.concatenate([b[(np.abs(b - place) <= half).all(axis=1)] for b in blocks])


@styled
def mahalanobis_radius(ax: Axes, z: np.ndarray, moments: Moments, origin: float) -> Axes:
    """Mahalanobis radii of the codes, of an equal-size Gaussian control, the exact law, and the origin."""
    found = radius_histogram(thinned(z, DRAWN), moments)
    ax.stairs(found.codes, found.edges, fill=True, color=CODES, alpha=0.5, label="codes")
    ax.stairs(found.control, found.edges, color=CONTROL, label="Gaussian control")
    ax.plot(found.x, found.law, color=LAW, linewidth=1, label="exact law of a Gaussian")
    high = found.edges[-1]
    ax.set(xlabel="Mahalanobis radius", ylabel="density", title="Radius after whitening")
    if origin < high * 1.3:
        ax.axvline(origin, color=ORIGIN, linestyle=":", label="the origin")
    else:
        ax.text(1.0, 0.5, f"the origin: {origin:.1f} →", color=ORIGIN, fontsize=8, ha="right",
                transform=ax.transAxes)  # fmt: skip
    _legend_above(ax, 2)
    return ax


@styled
def radius_and_cubes(ax: Axes, z: np.ndarray, best_b: float) -> Axes:
    """Lengths of the codes beside those of points drawn uniformly in cubes around the origin."""
    lengths = np.linalg.norm(np.asarray(thinned(z, DRAWN), np.float64), axis=1)
    edges = np.linspace(0, max(np.quantile(lengths, 0.999), 1e-9) * 1.35, 120).tolist()
    ax.hist(lengths, edges, density=True, color=CODES, alpha=0.5, label="codes")
    rng = np.random.default_rng(0)
    for factor, style in ((0.75, ":"), (1.0, "-"), (1.25, "--")):
        b = best_b * factor
        cube = np.linalg.norm(rng.uniform(-b, b, (20_000, z.shape[1])), axis=1)
        ax.hist(cube, edges, density=True, histtype="step", color=ORIGIN, linestyle=style,
                label=f"cube [−b, b]$^d$, b = {b:.2f}")  # fmt: skip
    ax.set(xlabel="length of the code", ylabel="density", title="Radius about the origin")
    _legend_above(ax, 2)
    return ax


@styled
def coverage(
    ax: Axes, rows: list[dict[str, Any]], predicted: dict[float, float] | None = None
) -> Axes:
    """Observed minus expected share of codes inside the k sigma ellipses of pairs.

    Args:
        ax: Where to draw.
        rows: ``ellipses.coverage`` of the record.
        predicted: By sigma, what an elliptical law with the codes' own radii would show.
    """
    x = np.arange(len(rows))
    observed = [100 * (r["observed"] - r["expected"]) for r in rows]
    control = [
        100 * (np.nan if r["control"] is None else r["control"] - r["expected"]) for r in rows
    ]
    ax.bar(x - 0.18, observed, 0.36, color=CODES, label="codes",
           yerr=[100 * r["std"] for r in rows], error_kw={"elinewidth": 0.8})  # fmt: skip
    ax.bar(x + 0.18, control, 0.36, color=CONTROL, label="Gaussian control",
           yerr=[100 * (r["control_std"] or 0) for r in rows], error_kw={"elinewidth": 0.8})  # fmt: skip
    if predicted:
        foretold = [100 * (predicted[r["sigma"]] - r["expected"]) for r in rows]
        ax.plot(x, foretold, linestyle="none", marker="D", markersize=4, color=LAW,
                markerfacecolor="white", label="foretold by the codes' radii")  # fmt: skip
    ax.axhline(0, color=LAW, linewidth=0.8)
    ax.set_xticks(x, [f"{r['sigma']:g}σ\n{100 * r['expected']:.1f} %" for r in rows])
    ax.set(
        xlabel="ellipse, and the share that a Gaussian has inside it",
        ylabel="percentage points more or less",
        title="Share of codes inside the ellipses",
    )
    _legend_above(ax, 2)
    return ax


@styled
def correlation_counts(ax: Axes, record: dict[str, Any]) -> Axes:
    """How many pairs are correlated above each threshold, codes and control."""
    x = np.arange(len(record["counts"]))
    for shift, counts, colour, label in (
        (-0.18, record["counts"], CODES, "codes"),
        (0.18, record["control"]["counts"], CONTROL, "Gaussian control"),
    ):
        values = list(counts.values())
        bars = ax.bar(x + shift, values, 0.36, color=colour, label=label)
        ax.bar_label(bars, [f"{v:,}" for v in values], fontsize=6.5, rotation=90, padding=2)
    ax.set_xticks(x, [f"> {t}" for t in record["counts"]])
    ax.set(xlabel="|r|", ylabel="pairs", yscale="symlog", title="Correlated pairs of components")
    counts = [*record["counts"].values(), *record["control"]["counts"].values()]
    ax.set_ylim(0, max([1, *counts]) * 12)  # room for the number above the highest bar
    _legend_above(ax, 2)
    return ax


@styled
def quantiles(ax: Axes, qq: dict[str, Any]) -> Axes:
    """Q-Q plot: Mahalanobis radii of the codes and of the control against the exact law."""
    exact = np.array(qq["exact"])
    ax.plot(exact[[0, -1]], exact[[0, -1]], color=LAW, linewidth=0.8, label="exact law")
    if qq["control"] is not None:
        ax.plot(exact, qq["control"], color=CONTROL, marker=".", markersize=4, linestyle="none",
                label="Gaussian control")  # fmt: skip
    ax.plot(
        exact, qq["codes"], color=CODES, marker=".", markersize=4, linestyle="none", label="codes"
    )
    ax.set(xlabel="radius of a Gaussian's quantile", ylabel="radius of the same share",
           title="Radius, quantile by quantile")  # fmt: skip
    _legend_above(ax, 2)
    return ax


@styled
def battery(ax: Axes, tests: dict[str, Any]) -> Axes:
    """Each test's effect in units of its tolerance, codes and control, on a log scale."""
    from latentshape.shape.battery import TESTS, TOLERANCES

    names = [name for name in TESTS if tests[name]["statistic"] is not None][::-1]
    y = np.arange(len(names))
    floor = 1e-4
    for colour, label, effects in (
        (CONTROL, "Gaussian control", [tests[n]["control"]["effect"] for n in names]),
        (CODES, "codes", [tests[n]["effect"] for n in names]),
    ):
        sizes = [
            np.nan if e is None else max(abs(e) / TOLERANCES[n], floor)
            for e, n in zip(effects, names)
        ]
        ax.plot(sizes, y, linestyle="none", marker="o", markersize=5, color=colour, label=label)
    rejected = tests["family"]["rejected"]
    ax.set_yticks(y, [f"{n} *" if n in rejected else n for n in names])
    ax.axvline(1, color=LAW, linewidth=0.8, linestyle="--")
    ax.set(xscale="log", xlabel="|effect| / tolerance\n(right of 1 it matters; * rejected)")
    ax.set_title("Tests of normality")
    ax.grid(axis="y", color="#e2e8f0", linewidth=0.6)
    ax.set_axisbelow(True)
    _legend_above(ax, 2)
    return ax


@styled
def shadow(ax: Axes, x: np.ndarray, title: str) -> Axes:
    """Histogram of the codes along one direction, standardised, with the normal density.

    Args:
        ax: Where to draw.
        x: Projections (n,) that are not all equal.
        title: Its title; what lies beyond 6 standard deviations is written below it.
    """
    x = np.asarray(x, np.float64)
    x = (x - x.mean()) / x.std()
    edges = np.linspace(-6, 6, 97)
    # Of all the codes, also of those beyond the edges.
    heights = np.histogram(x, edges)[0] / (len(x) * (edges[1] - edges[0]))
    ax.stairs(heights, edges, fill=True, color=CODES, alpha=0.5)
    ax.plot(edges, np.exp(-(edges**2) / 2) / np.sqrt(2 * np.pi), color=LAW, linewidth=1)
    ax.set(yticks=[], xlabel="standard deviations", xlim=(-6, 6), ylim=(0, None))
    ax.set_title(title, fontsize=7)
    beyond = int((np.abs(x) > 6).sum())
    if beyond:
        ax.text(0.98, 0.96, f"{beyond:,} beyond", transform=ax.transAxes, ha="right", va="top",
                fontsize=6.5, color=OTHER)  # fmt: skip
    return ax


@styled
def contours(ax: Axes, z: np.ndarray, moments: AnyMoments, i: int, j: int) -> Axes:
    """Highest-density contours that hold as much as the 1, 2, 3 sigma ellipses, over these."""
    from latentshape.shape.density import density

    found = density(z, i, j, moments=moments)
    levels = found.levels((1.0, 2.0, 3.0))
    # The density of a Fourier transform ripples about zero where there are no codes: not drawn.
    steps = found.values.max() * np.append(0.004, np.linspace(0.03, 1, 24))
    ax.contourf(found.x, found.y, found.values.T, levels=steps, cmap="Blues")
    within = moments.part([i, j])
    curves = [confidence_ellipse(within, 0, 1, sigma) for sigma in (1, 2, 3)]
    known = np.unique(levels[np.isfinite(levels)])
    if len(known):
        drawn = ax.contour(
            found.x, found.y, found.values.T, levels=known, colors=CODES, linewidths=0.9
        )
        curves += [part for level in drawn.allsegs for part in level]
    for curve in curves[:3]:
        ax.plot(*curve.T, color=LAW, linewidth=0.8, linestyle="--")
    ax.plot(*within.mean, marker="+", color=CENTRE, markersize=7, linestyle="none", label="centre")
    ax.plot(0, 0, marker="o", color=ORIGIN, markersize=4, linestyle="none", label="origin")
    _frame(ax, np.concatenate([*curves, np.zeros((1, 2))]))
    ax.set(xlabel=f"component {i}", ylabel=f"component {j}")
    return ax


@styled
def correlation_map(ax: Axes, r: np.ndarray) -> Axes:
    """Pearson coefficients of all pairs, components reordered so that correlated ones are neighbours."""
    order = clustered_order(r)
    shown = ax.imshow(
        r[np.ix_(order, order)], cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest"
    )
    ax.figure.colorbar(shown, ax=ax, label="r", shrink=0.85)
    ax.set(xticks=[], yticks=[], title="Correlations, clustered by |r|",
           xlabel=f"{len(r)} components, reordered")  # fmt: skip
    return ax


@styled
def overlaid_curves(ax: Axes, record: dict[str, Any], chosen: list[int]) -> Axes:
    """Gaussian fits of all components in one picture, chosen ones (the dominant) above the others."""
    columns = record["components"]
    thin = 0.3 if len(columns) > 40 else 0.8
    x = np.linspace(*_range_of(columns), 500)
    for j, column in enumerate(columns):
        if column["fit_std"] is None or column["fit_r2"] is None or not column["std"]:
            continue
        curve = np.exp(-0.5 * ((x - column["fit_mean"]) / column["fit_std"]) ** 2)
        curve /= column["fit_std"] * np.sqrt(2 * np.pi)
        special = j in chosen
        ax.plot(x, curve, color=ORIGIN if special else OTHER, linewidth=1.1 if special else thin,
                alpha=0.9 if special else 0.6, zorder=2 if special else 1)  # fmt: skip
    ax.axvline(0, color=LAW, linewidth=0.6, linestyle=":")
    title = f"{len(chosen)} dominant ones red" if chosen else "none is dominant"
    ax.set(ylim=(0, None), yticks=[], xlabel="value", title=f"Fitted curves; {title}")
    return ax


def _range_of(columns: list[dict[str, Any]]) -> tuple[float, float]:
    """A stretch that shows every component's middle and most of each one's width."""
    low = min(c["mean"] - 3 * c["std"] for c in columns)
    high = max(c["mean"] + 3 * c["std"] for c in columns)
    return (low, high) if high > low else (low - 1, high + 1)


@styled
def void_gaps(ax: Axes, places: list[dict[str, Any]]) -> Axes:
    """Distance to the nearest code at five places, over the same in the Gaussian control."""
    names = list(dict.fromkeys(p["place"] for p in places))
    x = np.arange(len(names))
    for shift, whitened, colour in ((-0.18, True, CODES), (0.18, False, "#90cdf4")):
        ratios = {p["place"]: p["ratio"] for p in places if p["whitened"] == whitened}
        heights = [np.nan if ratios.get(n) is None else ratios[n] for n in names]
        label = "whitened" if whitened else "as they are"
        ax.bar(x + shift, heights, 0.36, color=colour, label=label)
    ax.axhline(1, color=LAW, linewidth=0.8)
    ax.set_xticks(x, [name.replace(" ", "\n") for name in names], fontsize=7)
    ax.set(ylabel="nearest code, codes / control", title="Voids: gaps beside a Gaussian's")
    _legend_above(ax, 2)
    return ax
