"""The figures of ``shape.json``: each a sheet of panels that `plots` draws, by name.

A sheet is made of a record of `latentshape.shape.measure`, the codes it is of, and their moments; it is None
where the record has nothing to show in it (one component has no planes, a quick look no tests).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from latentshape import plots
from latentshape._checks import row_blocks, thinned
from latentshape.errors import InputError, suggestion
from latentshape.plots import DRAWN, SCATTERED, figure, styled
from latentshape.position_plots import positions_figure
from latentshape.shape import PCA, Moments, mahalanobis_squared
from latentshape.shape.control import GaussianControl
from latentshape.shape.wide import AnyMoments, WideMoments

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["SHEETS", "shape_figures", "sheet"]

Record = dict[str, Any]

#: Half a side of a close-up, in standard deviations, and single points in one panel at most.
CLOSE_SIGMA, CLOSE = 0.5, 2_500
#: Uniform points of the cube drawn into a plane.
ARTIFICIAL = 10


def sheet(
    name: str, record: Record, z: np.ndarray, moments: AnyMoments | None = None
) -> Figure | None:
    """One figure of a record.

    Args:
        name: From `SHEETS`.
        record: What ``shape.measure`` gave for these codes.
        z: Codes (n, d).
        moments: Of these codes, if they are known already: saves a read of all codes.

    Returns:
        None where there is nothing to show in it.

    Raises:
        InputError: No figure has this name.
    """
    if name not in SHEETS:
        raise InputError(f"No figure of a shape is called {name!r}{suggestion(name, SHEETS)}")
    return _styled(SHEETS[name], record, z, moments or _moments(record, z))


def shape_figures(
    record: Record, z: np.ndarray, folder: Path, *, moments: AnyMoments | None = None
) -> list[Path]:
    """Every figure of a record, written as PNG into ``folder``.

    Args:
        record: What ``shape.measure`` gave for these codes.
        z: Codes (n, d).
        folder: Made if it is not there.
        moments: Of these codes, if they are known already: saves a read of all codes.
    """
    moments, written = moments or _moments(record, z), []
    for name in SHEETS:
        made = sheet(name, record, z, moments)
        if made is not None:
            plots.save(made, folder / f"{name}.png")
            written.append(folder / f"{name}.png")
    return written


def _low_rank(record: Record) -> Record | None:
    """How joint laws of many components were looked at; None where all were measured whole."""
    treatment = record.get("treatment")
    return treatment if treatment is not None and treatment["kind"] == "low-rank" else None


def _moments(record: Record, z: np.ndarray) -> AnyMoments:
    return WideMoments.of(z) if _low_rank(record) else Moments.of(z)


@styled
def _styled(
    draw: Callable[[Record, np.ndarray, Any], Figure | None],
    record: Record,
    z: np.ndarray,
    moments: AnyMoments,
) -> Figure | None:
    return draw(record, z, moments)


def spectrum(record: Record, z: np.ndarray, moments: AnyMoments) -> Figure:
    """Eigenvalues and correlated pairs."""
    made, axes = figure(1, 2)
    plots.spectrum(axes[0, 0], record["pca"])
    plots.correlation_counts(axes[0, 1], record["correlation"])
    return made


def components(record: Record, z: np.ndarray, moments: AnyMoments) -> Figure:
    """Number distributions of the components that stand out most."""
    chosen = _chosen_components(record)
    rows = -(-len(chosen) // 4)
    made, axes = figure(rows, 4, height=1.55 * rows + 0.2)
    for ax in axes.flat[len(chosen) :]:
        ax.set_visible(False)
    for ax, j in zip(axes.flat, chosen):
        plots.number_distribution(ax, z, moments, j)
    return made


def radius(record: Record, z: np.ndarray, moments: AnyMoments) -> Figure:
    """Lengths beside those of points in cubes; Mahalanobis radii beside their law and control."""
    made, axes = figure(1, 2, height=3.3)
    plots.radius_and_cubes(axes[0, 0], z, record["radius"]["best_cube_b"])
    treatment = _low_rank(record)
    if treatment and record["mahalanobis"]["mean"] is not None:
        _radius_in_leading(axes[0, 1], z, moments, treatment["rank"])
    elif record["mahalanobis"]["mean"] is not None and isinstance(moments, Moments):
        plots.mahalanobis_radius(axes[0, 1], z, moments, record["centre"]["offset_sigma"])
    else:
        axes[0, 1].set_axis_off()
        axes[0, 1].text(0.5, 0.5, "no Mahalanobis radius:\n" + record["mahalanobis"]["why"],
                        ha="center", va="center", wrap=True)  # fmt: skip
    return made


def planes(record: Record, z: np.ndarray, moments: AnyMoments) -> Figure | None:
    """Planes of components and of the two widest principal axes, with ellipses, centre and origin."""
    if record["d"] < 2:
        return None
    pairs = _chosen_pairs(record)
    made, axes = figure(1, len(pairs) + 1, height=2.8)
    for ax, (i, j) in zip(axes.flat, pairs):
        plots.plane(ax, z, moments, i, j, (f"component {i}", f"component {j}"))
    pca = PCA.of(moments)
    scores = pca.transform(thinned(z, DRAWN), 2)
    rotated = Moments(moments.n, np.zeros(2), np.diag(pca.eigenvalues[:2]))
    origin = pca.transform(np.zeros((1, moments.d)), 2)[0]
    plots.plane(axes[0, -1], scores, rotated, 0, 1, ("PCA axis 1", "PCA axis 2"), origin=origin)
    plots.legend_below(made, axes[0, -1])
    return made


def scatter(record: Record, z: np.ndarray, moments: AnyMoments) -> Figure | None:
    """Single codes in notable planes, and points of a cube."""
    return _scattered(record, z, moments) if record["d"] >= 2 else None


def close_ups(record: Record, z: np.ndarray, moments: AnyMoments) -> Figure | None:
    """Single codes near the centre and near the origin, beside a control."""
    if record["d"] < 2:
        return None
    return _close_ups(record, z, moments, *_chosen_pairs(record)[-1])


def coverage(record: Record, z: np.ndarray, moments: AnyMoments) -> Figure | None:
    """Shares inside the ellipses of pairs, and the quantiles of the radius."""
    if not record["ellipses"]["coverage"]:
        return None
    found = record.get("joint_law", {}).get("radius", {})
    predicted = {r["sigma"]: r["predicted"] for r in found.get("coverage", [])}
    made, axes = figure(1, 2 if "qq" in found else 1, width=7.6 if "qq" in found else 4.8)
    plots.coverage(axes[0, 0], record["ellipses"]["coverage"], predicted)
    if "qq" in found:
        plots.quantiles(axes[0, 1], found["qq"])
    return made


def correlation_map(record: Record, z: np.ndarray, moments: AnyMoments) -> Figure | None:
    """All pairs' coefficients, and all components' curves."""
    if record["d"] < 2:
        return None
    made, axes = figure(1, 2, height=3.2)
    treatment = _low_rank(record)
    among = treatment["pairs_among"] if treatment else range(record["d"])
    plots.correlation_map(axes[0, 0], moments.part(among).correlation())
    dominant = [j for j, column in enumerate(record["components"]) if column["dominant"]]
    plots.overlaid_curves(axes[0, 1], record, dominant)
    return made


def contours(record: Record, z: np.ndarray, moments: AnyMoments) -> Figure | None:
    """Highest-density contours over ellipses, in the planes that were measured."""
    shown = _notable_planes(record)
    if not shown:
        return None
    rows = -(-len(shown) // 3)
    made, axes = figure(rows, 3, height=2.5 * rows)
    for ax in axes.flat[len(shown) :]:
        ax.set_visible(False)
    for ax, (i, j) in zip(axes.flat, shown):
        plots.contours(ax, z, moments, i, j)
    return made


def pca_axes(record: Record, z: np.ndarray, moments: AnyMoments) -> Figure | None:
    """The codes along the leading principal axes."""
    if "verdict" not in record:
        return None
    along = record["pca"]["axes"]
    shown = min(8, len(along))
    scores = PCA.of(moments).transform(thinned(z, DRAWN), shown)
    rows = -(-shown // 4)
    made, axes = figure(rows, 4, height=1.55 * rows + 0.3)
    for ax in axes.flat[shown:]:
        ax.set_visible(False)
    for k, ax in enumerate(axes.flat[:shown]):
        # The last axes of dependent components carry nothing but rounding.
        if along[k]["excess_kurtosis"] is None or not scores[:, k].std() > 0:
            ax.set_visible(False)
            continue
        kurtosis = plots.two_decimals(along[k]["excess_kurtosis"])
        plots.shadow(ax, scores[:, k], f"PCA axis {k + 1}\nexcess kurtosis {kurtosis}")
        if k + 4 < shown:
            ax.set_xlabel("")
    return made


def normality(record: Record, z: np.ndarray, moments: AnyMoments) -> Figure | None:
    """Every test's effect beside its tolerance, and the gaps at five places."""
    if "verdict" not in record:
        return None
    tests, places = record["normality"], record["voids"].get("places")
    tested = any(tests[name]["statistic"] is not None for name in tests if name != "family")
    if not tested and places is None:
        return None
    made, axes = figure(1, 2, height=3.2)
    if tested:
        plots.battery(axes[0, 0], tests)
    else:
        axes[0, 0].set_visible(False)
    if places is not None:
        plots.void_gaps(axes[0, 1], places)
    else:
        axes[0, 1].set_visible(False)
    return made


def least_gaussian(record: Record, z: np.ndarray, moments: AnyMoments) -> Figure | None:
    """The codes along the least Gaussian directions."""
    least = record.get("normality", {}).get("least-gaussian", {})
    if not least.get("directions"):
        return None
    drawn = thinned(z, DRAWN)
    shown = min(4, len(least["directions"]))
    made, axes = figure(1, shown, height=2.0)
    for k in range(shown):
        direction = np.asarray(least["directions"][k], np.float32)
        title = (
            f"direction {k + 1}: skewness {plots.two_decimals(least['skewness'][k])},\n"
            f"excess kurtosis {plots.two_decimals(least['kurtosis'][k])}"
        )
        plots.shadow(axes[0, k], drawn @ direction, title)
    return made


def positions(record: Record, z: np.ndarray, moments: AnyMoments) -> Figure | None:
    """Codes with a shape, position by position."""
    return positions_figure(record["positions"]) if "positions" in record else None


SHEETS: dict[str, Callable[[Record, np.ndarray, Any], Figure | None]] = {
    "spectrum": spectrum,
    "components": components,
    "radius": radius,
    "planes": planes,
    "scatter": scatter,
    "close-ups": close_ups,
    "coverage": coverage,
    "correlation-map": correlation_map,
    "contours": contours,
    "pca-axes": pca_axes,
    "normality": normality,
    "least-gaussian": least_gaussian,
    "positions": positions,
}
"""Every figure by the name of its file."""


def _radius_in_leading(ax: Axes, z: np.ndarray, moments: AnyMoments, k: int) -> None:
    """The radius law in the k leading principal coordinates, where it is exact."""
    pca = PCA.of(moments) if isinstance(moments, Moments) else moments.leading_axes(k)
    y = pca.transform(z, k)
    origin = pca.transform(np.zeros((1, moments.d)), k)
    own = Moments.of(y)
    plots.mahalanobis_radius(ax, y, own, float(np.sqrt(mahalanobis_squared(origin, own))[0]))
    ax.set_xlabel(f"Mahalanobis radius in {k} leading coordinates")


def _chosen_components(record: Record, count: int = 8) -> list[int]:
    """The components that stand out most: dominant ones first, then by |mean| + half-width."""
    columns = record["components"]
    order = sorted(
        range(len(columns)),
        key=lambda j: (
            not columns[j]["dominant"],
            -abs(columns[j]["mean"]) - columns[j]["half_width"],
        ),
    )
    return order[:count]


def _chosen_pairs(record: Record) -> list[tuple[int, int]]:
    """The most correlated pair, and the two components whose zero lies farthest out in sigmas."""
    pairs = [(p["i"], p["j"]) for p in record["correlation"]["pairs"][:1]]
    sigmas = [abs(c["mean"]) / c["std"] if c["std"] else 0.0 for c in record["components"]]
    i, j = sorted(range(len(sigmas)), key=lambda k: -sigmas[k])[:2]
    return [p for p in pairs if set(p) != {i, j}] + [(i, j)]


def _notable_planes(record: Record) -> list[tuple[int, int]]:
    """At most six planes of components: those whose contours were measured."""
    measured = record.get("planes", {}).get("contours", [])
    return [(p["i"], p["j"]) for p in measured if p["plane"] == "components"][:6]


def _scattered(record: Record, z: np.ndarray, moments: AnyMoments) -> Figure:
    """The notable planes with single codes, the first of them marked, and points of the best cube."""
    planes = _notable_planes(record) or _chosen_pairs(record)
    columns = min(3, len(planes))
    rows = -(-len(planes) // columns)
    made, axes = figure(rows, columns, height=2.5 * rows + 0.3, width=2.55 * columns)
    for ax in axes.flat[len(planes) :]:
        ax.set_visible(False)
    b = record["radius"]["best_cube_b"]
    artificial = np.random.default_rng(record["seed"]).uniform(-b, b, (ARTIFICIAL, moments.d))
    # The first code of all: not chosen for what it shows.
    special = np.asarray(z[:1], np.float64)
    for ax, (i, j) in zip(axes.flat, planes):
        plots.plane(ax, z, moments, i, j, (f"component {i}", f"component {j}"), special=special,
              artificial=artificial, scatter=SCATTERED)  # fmt: skip
    plots.legend_below(made, axes[0, 0])
    return made


def _close_ups(record: Record, z: np.ndarray, moments: AnyMoments, i: int, j: int) -> Figure:
    """Codes and control, single points, in a small rectangle at the centre and one at the origin."""
    within = moments.part([i, j])
    half = CLOSE_SIGMA * np.where(within.constant, 1.0, within.std)
    # A Gaussian's shadow on a plane is the Gaussian of that plane: no need to draw all components.
    drawn = GaussianControl(within, moments.n, seed=record["seed"])
    ratios = {p["place"]: p["ratio"] for p in record.get("voids", {}).get("places", [])
              if p["whitened"]}  # fmt: skip
    made, axes = figure(1, 4, height=2.45)
    places = {"centre": within.mean, "origin": np.zeros(2)}
    for left, (name, place) in zip((0, 2), places.items()):
        codes = plots.in_rectangle((block[:, [i, j]] for block in row_blocks(z)), place, half)
        control = plots.in_rectangle(drawn.blocks(), place, half)
        step = max(1, math.ceil(max(len(codes), len(control)) / CLOSE))
        gap = ratios.get(f"near {name}")
        plots.close_up(axes[0, left], codes, place, half, name=name, step=step, gap=gap)
        plots.close_up(axes[0, left + 1], control, place, half, name=name, step=step, control=True)
    for ax in axes.flat:
        ax.set_xlabel(f"component {i}", fontsize=8)
    axes[0, 0].set_ylabel(f"component {j}", fontsize=8)
    return made
