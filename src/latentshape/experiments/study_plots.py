"""Figures of studies: departures from a Gaussian, layer by layer and epoch by epoch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentshape.experiments.sweep_plots import plain_powers
from latentshape.plots import CODES, CONTROL, ORIGIN, OTHER, figure, save, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["departure_lines", "save_layers"]

PANELS = {
    "variance_ratio": "variance of the squared radius\nover the law's",
    "least_gaussian": "negentropy of the least\nGaussian direction, nats",
    "axes_kurtosis": "excess kurtosis of the\nprincipal components, rms",
    "random_direction": "negentropy of random\ndirections, nats (proves nothing)",
}
#: Of networks: before learning, on the way (one after the other), in the end.
UNTRAINED, ON_THE_WAY, TRAINED = (
    OTHER,
    ("#bee3f8", "#90cdf4", "#63b3ed", "#4299e1", "#3182ce"),
    CODES,
)


def save_layers(record: dict[str, Any], path: Path) -> None:
    """Draw what `latentshape.experiments.layers.layers` found: a panel a measure."""
    made, axes = figure(1, len(PANELS), width=11.0, height=3.0)
    for ax, (name, words) in zip(axes[0], PANELS.items()):
        departure_lines(ax, record, name)
        ax.set_title(words, fontsize=8.5)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    made.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    save(made, path)


@styled
def departure_lines(ax: Axes, record: dict[str, Any], name: str) -> Axes:
    """One measure over the layers, a line a network; the control as a band.

    Args:
        ax: Where to draw.
        record: With ``rows`` of ``network``, ``epoch``, ``layer``, ``depth``, and ``control``.
        name: Of the measure.
    """
    rows = [row for row in record["rows"] if name in row]
    pixels = [row for row in rows if not row["depth"]]
    states = list(dict.fromkeys(row["network"] for row in rows if row["depth"]))
    between = iter(ON_THE_WAY * len(states))
    for state in states:
        own = sorted((r for r in rows if r["network"] == state), key=lambda r: r["depth"])
        colour = {"untrained": UNTRAINED, "trained": TRAINED}.get(state) or next(between)
        points = pixels + own
        ax.plot([r["depth"] for r in points], [r[name] for r in points], color=colour, marker="o",
                markersize=3.5, linewidth=1.2, label=state)  # fmt: skip
    control = record["control"][name]
    ax.axhspan(control["low"], control["high"], color=CONTROL, alpha=0.35, linewidth=0)
    ax.axhline(control["value"], color=CONTROL, linewidth=1.0, label="Gaussian control")
    layers = {row["depth"]: row["layer"] for row in rows}
    if pixels:
        ax.plot([0], [pixels[0][name]], "s", color=ORIGIN, markersize=5, label="pixels")
    ax.set_xticks(list(layers), [word.replace("block ", "") for word in layers.values()])
    ax.set_xlabel("layer")
    values = [row[name] for row in rows] + [control["value"]]
    if min(values) > 0 and max(values) > 20 * min(values):
        ax.set_yscale("log")
        plain_powers(ax)
    return ax
