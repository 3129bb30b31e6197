"""One function per figure: axes in, axes out. Statistics come from `shape`.

Colours mean the same everywhere: codes blue, the Gaussian control orange, exact laws black, the origin
and what is drawn around it red.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np

from latentshape.files import atomic_path
from latentshape.shape import (
    PCA,
    MahalanobisLaw,
    Moments,
    confidence_ellipse,
    fit_gaussians,
    mahalanobis_squared,
    number_distributions,
)
from latentshape.shape.control import GaussianControl

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["coverage", "loss_curve", "mahalanobis_radius", "number_distribution", "plane",
           "radius_and_cubes", "shape_figures", "spectrum"]  # fmt: skip

CODES, CONTROL, LAW, ORIGIN, CENTRE = "#2b6cb0", "#dd8b2c", "#1a202c", "#c53030", "#1a202c"
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
    values = np.array(pca["eigenvalues"])
    rank = np.arange(1, len(values) + 1)
    ax.plot(rank, values, color=CODES, label="variance of the axis")
    ax.set(xlabel="PCA axis", ylabel="variance", yscale="log", title="Spectrum")
    share = ax.twinx()
    share.plot(rank, np.cumsum(pca["explained"]), color=CONTROL, label="explained up to here")
    share.set(ylim=(0, 1.02), ylabel="share of all variance")
    share.spines["top"].set_visible(False)
    ax.legend(handles=[*ax.lines, *share.lines], loc="center right")
    return ax


@styled
def number_distribution(ax: Axes, z: np.ndarray, moments: Moments, j: int) -> Axes:
    """Histogram of component j with its least-squares Gaussian and its half-width."""
    column = Moments(moments.n, moments.mean[[j]], moments.cov[np.ix_([j], [j])])
    counted = number_distributions(np.array(z[:, [j]]), column)
    fit = fit_gaussians(counted, column)
    edges = counted.edges(0)
    ax.stairs(counted.counts[0][: len(edges) - 1], edges, fill=True, color=CODES, alpha=0.45)
    x = np.linspace(edges[0], edges[-1], 400)
    ax.plot(x, fit.curve(0, x), color=LAW, linewidth=1)
    mean, half = column.mean[0], counted.half_widths()[0]
    ax.axvline(0, color=ORIGIN, linewidth=0.8, linestyle=":")
    spread = 4.5 * column.std[0]
    ax.set(xlim=(min(mean - spread, -0.1), max(mean + spread, 0.1)), yticks=[])
    ax.set_title(f"{j}:  mean {mean:.2f}, hw {half:.2f}", fontsize=7.5)
    return ax


@styled
def plane(
    ax: Axes, z: np.ndarray, moments: Moments, i: int, j: int, labels: tuple[str, str]
) -> Axes:
    """Density of codes in the plane of two components, with 1, 2, 3 sigma ellipses."""
    from matplotlib.colors import LogNorm

    x, y = np.asarray(z[:DRAWN, i], np.float64), np.asarray(z[:DRAWN, j], np.float64)
    bins = int(np.clip(np.sqrt(len(x)) / 1.5, 40, 160))
    ax.hist2d(x, y, bins=bins, cmap="Blues", norm=LogNorm(vmin=0.5), rasterized=True)
    for sigma in (1, 2, 3):
        curve = confidence_ellipse(moments, i, j, sigma)
        ax.plot(*curve.T, color=LAW, linewidth=0.9, linestyle="-" if sigma == 2 else "--")
    ax.plot(*moments.mean[[i, j]], marker="+", color=CENTRE, markersize=9, label="centre")
    ax.plot(0, 0, marker="o", color=ORIGIN, markersize=5, label="origin", linestyle="none")
    ax.set(xlabel=labels[0], ylabel=labels[1])
    return ax


@styled
def mahalanobis_radius(ax: Axes, z: np.ndarray, moments: Moments, origin: float) -> Axes:
    """Mahalanobis radii of the codes, of an equal-size Gaussian control, the exact law, and the origin."""
    z = z[:DRAWN]
    radii = np.sqrt(mahalanobis_squared(z, moments))
    control = GaussianControl(moments, len(z), seed=0)
    drawn = np.concatenate([np.asarray(b) for b in control.blocks()])
    control_radii = np.sqrt(mahalanobis_squared(drawn))
    low = min(radii.min(), control_radii.min())
    high = max(np.quantile(radii, 0.999), control_radii.max())
    edges = np.linspace(low, high, 90).tolist()
    ax.hist(radii, edges, density=True, color=CODES, alpha=0.5, label="codes")
    ax.hist(
        control_radii, edges, density=True, histtype="step", color=CONTROL, label="Gaussian control"
    )
    law = MahalanobisLaw(len(z), z.shape[1])
    steps = np.linspace(low, high, 400)
    cumulated = np.asarray(law.cdf(steps**2))
    ax.plot((steps[1:] + steps[:-1]) / 2, np.diff(cumulated) / np.diff(steps), color=LAW,
            linewidth=1, label="exact law of a Gaussian")  # fmt: skip
    ax.set(xlabel="Mahalanobis radius", ylabel="density", title="Radius after whitening")
    if origin < high * 1.3:
        ax.axvline(origin, color=ORIGIN, linestyle=":", label="the origin")
    ax.legend()
    return ax


@styled
def radius_and_cubes(ax: Axes, z: np.ndarray, best_b: float) -> Axes:
    """Lengths of the codes beside those of points drawn uniformly in cubes around the origin."""
    lengths = np.linalg.norm(np.asarray(z[:DRAWN], np.float64), axis=1)
    edges = np.linspace(0, max(np.quantile(lengths, 0.999), 1e-9) * 1.35, 120).tolist()
    ax.hist(lengths, edges, density=True, color=CODES, alpha=0.5, label="codes")
    rng = np.random.default_rng(0)
    for factor, style in ((0.75, ":"), (1.0, "-"), (1.25, "--")):
        b = best_b * factor
        cube = np.linalg.norm(rng.uniform(-b, b, (20_000, z.shape[1])), axis=1)
        ax.hist(cube, edges, density=True, histtype="step", color=ORIGIN, linestyle=style,
                label=f"cube [-b, b]^d, b = {b:.2f}")  # fmt: skip
    ax.set(xlabel="length of the code", ylabel="density", title="Radius about the origin")
    ax.legend()
    return ax


@styled
def coverage(ax: Axes, rows: list[dict[str, Any]]) -> Axes:
    """Observed minus expected share of codes inside the k sigma ellipses of pairs."""
    x = np.arange(len(rows))
    observed = [100 * (r["observed"] - r["expected"]) for r in rows]
    control = [
        100 * (np.nan if r["control"] is None else r["control"] - r["expected"]) for r in rows
    ]
    ax.bar(x - 0.18, observed, 0.36, color=CODES, label="codes",
           yerr=[100 * r["std"] for r in rows], error_kw={"elinewidth": 0.8})  # fmt: skip
    ax.bar(x + 0.18, control, 0.36, color=CONTROL, label="Gaussian control",
           yerr=[100 * (r["control_std"] or 0) for r in rows], error_kw={"elinewidth": 0.8})  # fmt: skip
    ax.axhline(0, color=LAW, linewidth=0.8)
    ax.set_xticks(x, [f"{r['sigma']:g}σ\n{100 * r['expected']:.1f} %" for r in rows])
    ax.set(
        xlabel="ellipse, and the share that a Gaussian has inside it",
        ylabel="percentage points more or less",
        title="Share of codes inside the ellipses",
    )
    ax.legend()
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
        ax.bar_label(bars, fontsize=6)
    ax.set_xticks(x, [f"> {t}" for t in record["counts"]])
    ax.set(xlabel="|r|", ylabel="pairs", yscale="symlog", title="Correlated pairs of components")
    ax.set_ylim(0, max([1, *record["counts"].values()]) * 4)
    ax.legend()
    return ax


def _chosen_components(record: dict[str, Any], count: int = 8) -> list[int]:
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


def _chosen_pairs(record: dict[str, Any]) -> list[tuple[int, int]]:
    """The most correlated pair, and the two components whose zero lies farthest out in sigmas."""
    pairs = [(p["i"], p["j"]) for p in record["correlation"]["pairs"][:1]]
    sigmas = [abs(c["mean"]) / c["std"] if c["std"] else 0.0 for c in record["components"]]
    i, j = sorted(range(len(sigmas)), key=lambda k: -sigmas[k])[:2]
    return [*pairs, (i, j)]


@styled
def shape_figures(record: dict[str, Any], z: np.ndarray, folder: Path) -> list[Path]:
    """Every figure of ``shape.json``, written as PNG into ``folder``.

    Args:
        record: What ``shape.measure`` gave for these codes.
        z: Codes (n, d).
        folder: Made if it is not there.
    """
    moments = Moments.of(z)
    d = record["d"]
    written = []

    def keep(name: str, made: Figure) -> None:
        save(made, folder / f"{name}.png")
        written.append(folder / f"{name}.png")

    made, axes = figure(1, 2)
    spectrum(axes[0, 0], record["pca"])
    correlation_counts(axes[0, 1], record["correlation"])
    keep("spectrum", made)

    chosen = _chosen_components(record)
    rows = -(-len(chosen) // 4)
    made, axes = figure(rows, 4, height=1.55 * rows + 0.2)
    for ax in axes.flat[len(chosen) :]:
        ax.set_visible(False)
    for ax, j in zip(axes.flat, chosen):
        number_distribution(ax, z, moments, j)
    keep("components", made)

    made, axes = figure(1, 2, height=3.3)
    radius_and_cubes(axes[0, 0], z, record["radius"]["best_cube_b"])
    if record["mahalanobis"]["mean"] is not None:
        mahalanobis_radius(axes[0, 1], z, moments, record["centre"]["offset_sigma"])
    else:
        axes[0, 1].text(0.5, 0.5, "no Mahalanobis radius:\n" + record["mahalanobis"]["why"],
                        ha="center", va="center", wrap=True)  # fmt: skip
    keep("radius", made)

    if d >= 2:
        pairs = _chosen_pairs(record)
        made, axes = figure(1, 3, height=2.6)
        for ax, (i, j) in zip(axes.flat, pairs):
            plane(ax, z, moments, i, j, (f"component {i}", f"component {j}"))
        pca = PCA.of(moments)
        scores = pca.transform(np.asarray(z[:DRAWN]))
        rotated = Moments(moments.n, np.zeros(d), np.diag(pca.eigenvalues))
        last = axes.flat[len(pairs)]
        plane(last, scores, rotated, 0, 1, ("PCA axis 1", "PCA axis 2"))
        origin = pca.transform(np.zeros((1, d)))[0]
        last.lines[-1].set_data([origin[0]], [origin[1]])
        last.legend(loc="upper left")
        for ax in axes.flat[len(pairs) + 1 :]:
            ax.set_visible(False)
        keep("planes", made)
    if record["ellipses"]["coverage"]:
        made, axes = figure(1, 1, width=4.8)
        coverage(axes[0, 0], record["ellipses"]["coverage"])
        keep("coverage", made)
    return written
