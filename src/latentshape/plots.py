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

__all__ = ["battery", "contours", "correlation_counts", "correlation_map", "coverage", "loss_curve",
           "mahalanobis_radius", "number_distribution", "overlaid_curves", "plane", "quantiles",
           "radius_and_cubes", "shadow", "shape_figures", "spectrum", "void_gaps"]  # fmt: skip

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
    ax.legend()
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
        sizes = [max(abs(e) / TOLERANCES[n], floor) for e, n in zip(effects, names)]
        ax.plot(sizes, y, linestyle="none", marker="o", markersize=5, color=colour, label=label)
    rejected = tests["family"]["rejected"]
    ax.set_yticks(y, [f"{n} *" if n in rejected else n for n in names])
    ax.axvline(1, color=LAW, linewidth=0.8, linestyle="--")
    ax.set(xscale="log", xlabel="|effect| / tolerance (right of 1: it matters;  * rejected)")  # fmt: skip
    ax.set_title("Tests of normality", pad=20)
    ax.grid(axis="y", color="#e2e8f0", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return ax


@styled
def shadow(ax: Axes, x: np.ndarray, title: str) -> Axes:
    """Histogram of the codes along one direction, standardised, with the normal density."""
    x = (x - x.mean()) / x.std()
    edges = np.linspace(-6, 6, 97)
    ax.hist(x, edges.tolist(), density=True, color=CODES, alpha=0.5)
    ax.plot(edges, np.exp(-(edges**2) / 2) / np.sqrt(2 * np.pi), color=LAW, linewidth=1)
    ax.set(yticks=[], xlabel="standard deviations", xlim=(-6, 6))
    ax.set_title(title, fontsize=7.5)
    return ax


@styled
def contours(ax: Axes, z: np.ndarray, moments: Moments, i: int, j: int) -> Axes:
    """Highest-density contours that hold as much as the 1, 2, 3 sigma ellipses, over these."""
    from latentshape.shape.density import density

    found = density(z, i, j, moments=moments)
    levels = found.levels((1.0, 2.0, 3.0))
    ax.contourf(found.x, found.y, found.values.T, levels=24, cmap="Blues")
    known = np.sort(levels[np.isfinite(levels)])
    ax.contour(found.x, found.y, found.values.T, levels=known, colors=CODES, linewidths=0.9)
    for sigma in (1, 2, 3):
        curve = confidence_ellipse(moments, i, j, sigma)
        ax.plot(*curve.T, color=LAW, linewidth=0.8, linestyle="--")
    ax.plot(0, 0, marker="o", color=ORIGIN, markersize=4, linestyle="none")
    spread = 4 * moments.std[[i, j]]
    low, high = moments.mean[[i, j]] - spread, moments.mean[[i, j]] + spread
    ax.set(xlim=(min(low[0], -0.2), max(high[0], 0.2)), ylim=(min(low[1], -0.2), max(high[1], 0.2)))
    ax.set(xlabel=f"component {i}", ylabel=f"component {j}")
    return ax


@styled
def correlation_map(ax: Axes, r: np.ndarray) -> Axes:
    """Pearson coefficients of all pairs, components reordered so that correlated ones are neighbours."""
    from scipy.cluster import hierarchy
    from scipy.spatial.distance import squareform

    distance = squareform(1 - np.abs(r), checks=False).clip(min=0)
    order = hierarchy.leaves_list(
        hierarchy.linkage(distance, "average", optimal_ordering=len(r) <= 300)
    )
    shown = ax.imshow(
        r[np.ix_(order, order)], cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest"
    )
    ax.figure.colorbar(shown, ax=ax, label="r", shrink=0.85)
    ax.set(xticks=[], yticks=[], title="Correlations, clustered by |r|",
           xlabel=f"{len(r)} components, reordered")  # fmt: skip
    return ax


@styled
def overlaid_curves(ax: Axes, record: dict[str, Any], chosen: list[int]) -> Axes:
    """Gaussian fits of chosen components in one picture: dominant ones against all the others."""
    columns = record["components"]
    x = np.linspace(*_range_of(columns), 500)
    for j, column in enumerate(columns):
        if column["fit_std"] is None or column["fit_r2"] is None or not column["std"]:
            continue
        curve = np.exp(-0.5 * ((x - column["fit_mean"]) / column["fit_std"]) ** 2)
        curve /= column["fit_std"] * np.sqrt(2 * np.pi)
        special = j in chosen
        ax.plot(x, curve, color=ORIGIN if special else "#a0aec0", linewidth=1.1 if special else 0.3,
                alpha=0.9 if special else 0.5, zorder=2 if special else 1)  # fmt: skip
    ax.axvline(0, color=LAW, linewidth=0.6, linestyle=":")
    ax.set(yticks=[], xlabel="value", title="Fitted curves; dominant ones red")
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
        radius = record.get("joint_law", {}).get("radius", {})
        predicted = {r["sigma"]: r["predicted"] for r in radius.get("coverage", [])}
        made, axes = figure(1, 2 if "qq" in radius else 1, width=7.6 if "qq" in radius else 4.8)
        coverage(axes[0, 0], record["ellipses"]["coverage"], predicted)
        if "qq" in radius:
            quantiles(axes[0, 1], radius["qq"])
        keep("coverage", made)
    if d >= 2:
        made, axes = figure(1, 2, height=3.2)
        correlation_map(axes[0, 0], moments.correlation())
        overlaid_curves(
            axes[0, 1], record, [j for j in chosen if record["components"][j]["dominant"]]
        )
        keep("correlation-map", made)
    if "verdict" in record:
        _deep_figures(record, z, moments, keep)
    return written


def _deep_figures(
    record: dict[str, Any], z: np.ndarray, moments: Moments, keep: Callable[[str, Figure], None]
) -> None:
    """Figures of the parts that `shape.studying` adds."""
    planes = [(p["i"], p["j"]) for p in record["planes"].get("contours", [])
              if p["plane"] == "components"][:6]  # fmt: skip
    if planes:
        rows = -(-len(planes) // 3)
        made, axes = figure(rows, 3, height=2.5 * rows)
        for ax in axes.flat[len(planes) :]:
            ax.set_visible(False)
        for ax, (i, j) in zip(axes.flat, planes):
            contours(ax, z, moments, i, j)
        keep("contours", made)
    axes_of_pca = record["pca"]["axes"]
    shown = min(8, len(axes_of_pca))
    drawn = np.asarray(z[:DRAWN])
    scores = PCA.of(moments).transform(drawn, shown)
    rows = -(-shown // 4)
    made, axes = figure(rows, 4, height=1.55 * rows + 0.3)
    for ax in axes.flat[shown:]:
        ax.set_visible(False)
    for k in range(shown):
        if scores[:, k].std() > 0:
            shadow(
                axes.flat[k],
                scores[:, k],
                f"PCA axis {k + 1}: kurtosis {_number(axes_of_pca[k]['excess_kurtosis'])}",
            )
    keep("pca-axes", made)
    tests = record["normality"]
    made, axes = figure(1, 2, height=3.2)
    tested = any(tests[name]["statistic"] is not None for name in tests if name != "family")
    if tested:
        battery(axes[0, 0], tests)
    else:
        axes[0, 0].set_visible(False)
    if "places" in record["voids"]:
        void_gaps(axes[0, 1], record["voids"]["places"])
    else:
        axes[0, 1].set_visible(False)
    if tested or "places" in record["voids"]:
        keep("normality", made)
    least = tests["least-gaussian"]
    if least.get("directions"):
        shown = min(4, len(least["directions"]))
        made, axes = figure(1, shown, height=1.9)
        for k in range(shown):
            direction = np.asarray(least["directions"][k], np.float32)
            title = f"skew {least['skewness'][k]:.2f}, kurtosis {least['kurtosis'][k]:.2f}"
            shadow(axes[0, k], drawn @ direction, title)
        keep("least-gaussian", made)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
