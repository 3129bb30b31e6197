"""The figure of a sweep: a panel a measure, over the first field that varies."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentshape.experiments.cells import said
from latentshape.experiments.measures import MEASURES, words
from latentshape.plots import CODES, CONTROL, ORIGIN, OTHER, figure, save, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["distinct", "panel", "plain_powers", "save_sweep"]

#: Measures of the panels, in order, and panels side by side.
PANELS = (
    "heldout_mse", "offset_sigma", "variance_ratio", "coverage_1", "coverage_2", "coverage_3",
    "least_gaussian", "effective_dimension", "gap:zero-mean", "gap:gaussian", "gap:mixture",
    "face_rate:gaussian",
)  # fmt: skip
COLUMNS = 3
#: Of the lines, one for each combination of the other fields.
COLOURS = (CODES, ORIGIN, "#2f855a", "#6b46c1", "#b7791f", "#0987a0", OTHER)
#: Greatest over least of an axis that is drawn in logarithms.
WIDE = 30


def save_sweep(record: dict[str, Any], path: Path) -> Path | None:
    """Draw a sweep's record; None where nothing was measured."""
    from latentshape.experiments.sweep_record import grouped

    groups = [group for group in grouped(record["rows"]) if group["values"]]
    shown = [name for name in PANELS if any(name in group["values"] for group in groups)]
    if not shown:
        return None
    fields = [field for field in record["fields"] if field != "seed"] or ["seed"]
    if fields == ["seed"]:  # nothing else varies: then the seeds themselves are shown
        groups = [
            {"varied": row["varied"], "values": row["values"]}
            for row in record["rows"] if "values" in row
        ]  # fmt: skip
    columns = min(COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    made, axes = figure(rows, columns, width=3.1 * columns, height=2.5 * rows)
    for i, name in enumerate(shown):
        panel(axes[i // columns, i % columns], groups, name, fields)
    for i in range(len(shown), rows * columns):
        axes[i // columns, i % columns].set_visible(False)
    named = {
        label: handle for ax in axes.flat for handle, label in zip(*ax.get_legend_handles_labels())
    }
    if len(named) > 1:
        made.legend(
            list(named.values()), list(named), loc="outside lower center",
            ncols=min(4, len(named)), frameon=False,
        )  # fmt: skip
    save(made, path)
    return path


@styled
def panel(ax: Axes, groups: Sequence[dict[str, Any]], name: str, fields: Sequence[str]) -> Axes:
    """One measure over the first field, a line for each combination of the others.

    Args:
        ax: Where to draw.
        groups: As `latentshape.experiments.sweep_record.grouped` gives them.
        name: Of the measure.
        fields: What varies.
    """
    x_field, *others = fields
    xs = list(dict.fromkeys(said(group["varied"].get(x_field, "")) for group in groups))
    numeric = all(isinstance(group["varied"].get(x_field), (int, float)) and not isinstance(
        group["varied"].get(x_field), bool) for group in groups)  # fmt: skip
    lines: dict[str, list[tuple[float, dict[str, Any]]]] = {}
    for group in groups:
        if name not in group["values"]:
            continue
        value = group["varied"].get(x_field, "")
        label = ", ".join(
            f"{f.replace('_', ' ')} {said(group['varied'].get(f, ''))}" for f in others
        )
        x = float(value) if numeric else float(xs.index(said(value)))
        lines.setdefault(label, []).append((x, group["values"][name]))
    several = len(lines) > 1
    beside = MEASURES[name].beside if name in MEASURES else ""
    for (label, points), colour in zip(lines.items(), itertools.cycle(COLOURS)):
        points.sort(key=lambda point: point[0])
        places, entries = [p[0] for p in points], [p[1] for p in points]
        y = [entry["value"] for entry in entries]
        # An interval of a share may begin a rounding error above the share itself.
        below = [max(0.0, v - entry.get("low", v)) for v, entry in zip(y, entries)]
        above = [max(0.0, entry.get("high", v) - v) for v, entry in zip(y, entries)]
        ax.errorbar(places, y, [below, above], color=colour, marker="o", markersize=4, linewidth=1.2,
                    linestyle="-" if numeric else "none", capsize=2, label=label or "codes")  # fmt: skip
        known = [(a, entry["control"]) for a, entry in zip(places, entries) if "control" in entry]
        if known:
            # Of several lines each control has its line's colour, and the legend says it once.
            ax.plot([p[0] for p in known], [p[1] for p in known], color=colour if several else CONTROL,
                    marker="_", markersize=9, linewidth=0.9, alpha=0.7 if several else 1.0,
                    linestyle="--" if numeric else "none")  # fmt: skip
            if beside == "control":
                ax.plot([], [], color=OTHER if several else CONTROL, marker="_", linewidth=0.9,
                        linestyle="--" if numeric else "none", label="Gaussian control")  # fmt: skip
    values = [
        e[k] for points in lines.values() for _, e in points for k in ("value", "control") if k in e
    ]
    if min(values) > 0 and max(values) > WIDE * min(values):
        ax.set_yscale("log")
        plain_powers(ax)
    if numeric:
        places = sorted({x for points in lines.values() for x, _ in points})
        if len(places) > 2 and places[0] > 0 and places[-1] >= 8 * places[0]:
            ax.set_xscale("log", base=2)
        ax.set_xticks(places, [f"{x:g}" for x in places])
        ax.minorticks_off() if ax.get_xscale() == "log" else None
    else:
        shown = distinct(xs)
        ax.set_xticks(range(len(xs)), shown, rotation=0 if max(map(len, shown)) < 9 else 20)
        ax.set_xlim(-0.5, len(xs) - 0.5)
    ax.set_xlabel(x_field.replace("_", " "))
    note = f" (dashed: {beside})" if beside not in ("", "control") else ""
    ax.set_title("\n".join(_wrapped(words(name) + note)), fontsize=8.5)
    return ax


def distinct(labels: Sequence[str]) -> list[str]:
    """Labels without what all begin with, cut where a word ends.

    Example:
        >>> distinct(["faces:n=9,law=uniform", "faces:n=9,law=heavy"]), distinct(["no", "none"])
        (['uniform', 'heavy'], ['no', 'none'])
    """
    shared = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*labels))
    common = "".join(letters[0] for letters in shared) if len(labels) > 1 else ""
    cut = max(common.rfind(mark) for mark in ":,= ") + 1
    return [label[cut:] for label in labels]


def plain_powers(ax: Axes) -> None:
    """Ticks of a logarithmic axis as plain numbers, few enough to be read."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=8))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())


def _wrapped(text: str, width: int = 38) -> list[str]:
    """Lines of about equal length: the last is no single letter."""
    from textwrap import wrap

    count = -(-len(text) // width)
    return next(
        lines for w in range(max(1, len(text) // count), len(text) + 2)
        if len(lines := wrap(text, w)) <= count
    ) or [""]  # fmt: skip
