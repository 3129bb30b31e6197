"""What each map of the encoder's innermost layer looks for: patterns, images, attributes, components.

Every answer stands beside its control: the pattern beside that of the same network before it learnt anything
(same seed, same ascent, each in standard deviations of its own map over training images), a correlation
beside the largest that shuffled facts give.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from latentshape._checks import thinned
from latentshape.codes import Codes
from latentshape.experiments.bench import Bench, question_of, with_settings
from latentshape.facts import Facts
from latentshape.innermost import (
    STEPS,
    Correlations,
    MapStatistics,
    PictureLaw,
    exciting_patterns,
    map_activations,
    map_statistics,
    mean_frequency,
)
from latentshape.innermost_plots import MapCard, save_contact_sheet
from latentshape.models.base import Autoencoder

__all__ = ["innermost"]

#: Steps and training images of a quick look, and training images that an untrained network is measured on.
QUICK_STEPS, FEW = 16, 2000
#: Maps on the sheet of the report, and on each sheet of all maps.
SHOWN, PAGE = 24, 60
#: Columns of activations, in standard deviations of the map.
REACHED = ("reached", "best_image", "untrained")
#: How fine the patterns are, in cycles per picture.
FINE = ("frequency", "untrained_frequency")
#: Facts and components kept of each map.
KEPT = 3

Record = dict[str, Any]
Table = tuple[Sequence[str], np.ndarray]


class Network(NamedTuple):
    """What is known of the maps of one network, trained or not.

    Attributes:
        seen: What images do to the maps.
        patterns: Of each map, pixels (maps, size, size, c).
        reached: Mean activation of each map by its own pattern, (maps,).
    """

    seen: MapStatistics
    patterns: np.ndarray
    reached: np.ndarray

    def pattern(self, m: int) -> np.ndarray | None:
        """Of map m; None where nothing excites it."""
        return None if self.seen.constant[m] else self.patterns[m]

    def frequency(self, m: int) -> float | None:
        """How fine map m's pattern is, in cycles per picture."""
        pattern = self.pattern(m)
        return None if pattern is None else float(mean_frequency(pattern[None])[0])

    def deviations(self, m: int) -> float | None:
        """What map m's pattern reaches, in standard deviations over images."""
        return self.seen.in_deviations(m, self.reached[m])


@with_settings(lambda: {"steps": STEPS, "quick_steps": QUICK_STEPS, "few": FEW})
def innermost(bench: Bench) -> Record:
    """What do the innermost maps look for?"""
    from latentshape.models import build_model
    from latentshape.pipeline import open_data

    config = bench.run.config()
    dataset = open_data(config, bench.run)
    every = dataset.indices("train")
    chosen = thinned(np.arange(len(every)), FEW) if bench.quick else np.arange(len(every))
    rows, few = every[chosen], thinned(every, FEW)
    law = PictureLaw.of(dataset.pixels[few])

    def look(model: Autoencoder, rows: np.ndarray, tables: Sequence[Table] = ()) -> Network:
        seen = map_statistics(model, dataset.pixels, rows, tables, seed=bench.seed)
        steps = QUICK_STEPS if bench.quick else STEPS
        patterns = exciting_patterns(model, law, steps=steps, seed=bench.seed)
        means = [m for m, _ in map_activations(model, patterns, np.arange(len(patterns)))]
        return Network(seen, patterns, np.diag(np.concatenate(means)))

    trained = look(bench.model, rows, _tables(bench.codes("train"), chosen))
    device = bench.model.device
    untrained = look(build_model(config).to(device), few)
    maps = [_entry(m, trained, untrained, dataset.ids) for m in range(len(trained.reached))]
    shown = [_row(entry) for entry in maps]

    def sheet(numbers: Sequence[int], name: str) -> None:
        cards = [_card(maps[m], shown[m], trained, untrained, dataset.pixels) for m in numbers]
        save_contact_sheet(cards, bench.folder / name)

    sheet(telling(shown), "innermost.png")
    for first in range(0, 0 if bench.quick else len(maps), PAGE):
        last = min(first + PAGE, len(maps)) - 1
        sheet(range(first, last + 1), f"innermost/maps-{first:04d}-{last:04d}.png")
    summary = _summary(shown, trained.seen.correlations)
    return {
        "question": question_of(innermost),
        "note": _note(summary, len(rows), len(few)),
        "summary": summary,
        "rows": shown,
        "maps": maps,
    }


def _tables(codes: Codes, chosen: np.ndarray) -> list[Table]:
    """What is known of the chosen images, and their codes: names and values (n, t) of each."""
    facts = Facts.of(codes)
    known = facts.values[chosen] if facts.names else np.empty((len(chosen), 0))
    # All codes stay where they are mapped; they are read block by block.
    z = codes.z if len(chosen) == len(codes.z) else codes.z[chosen]
    return [(facts.names, known), ([f"z{j}" for j in range(z.shape[1])], z)]


def _entry(m: int, trained: Network, untrained: Network, ids: np.ndarray) -> Record:
    """All that is known of map m."""
    seen = trained.seen
    top = zip(seen.top[m], seen.top_activation[m])
    return {
        "map": m,
        "dead": seen.dead(m),
        "mean": float(seen.moments.mean[m]),
        "std": float(seen.moments.std[m]),
        "peak": float(seen.peak[m]),
        "reached": trained.deviations(m),
        "untrained": untrained.deviations(m),
        "frequency": trained.frequency(m),
        "untrained_frequency": untrained.frequency(m),
        "images": [{"id": str(ids[row]), "reached": seen.in_deviations(m, a)} for row, a in top],
        "attributes": _strongest(seen.correlations[0], m),
        "components": _strongest(seen.correlations[1], m),
    }


def _strongest(table: Correlations, m: int) -> Record:
    """The facts that go with map m most, and what chance would give."""
    found = [
        {"name": name, "r": r, "standard_error": error}
        for name, r, error in table.strongest(m, KEPT)
    ]
    return {"strongest": found, "largest_by_chance": table.by_chance(m)}


def _row(entry: Record) -> Record:
    """One line of the table: a map in few numbers."""
    row: Record = {
        "map": entry["map"],
        "reached": entry["reached"],
        "best_image": entry["images"][0]["reached"],
        "untrained": entry["untrained"],
        "frequency": entry["frequency"],
        "untrained_frequency": entry["untrained_frequency"],
    }
    for one, many in (("attribute", "attributes"), ("component", "components")):
        first = next(iter(entry[many]["strongest"]), None)
        if first is None or entry["reached"] is None:
            row |= dict.fromkeys((one, f"{one}_r", f"{one}_by_chance"))
            continue
        row[one], row[f"{one}_r"] = first["name"], first["r"]
        row[f"{one}_by_chance"] = entry[many]["largest_by_chance"]
    return {**row, "dead": entry["dead"]}


def telling(rows: list[Record], count: int = SHOWN) -> list[int]:
    """Maps for one sheet: of each attribute the map that goes with it most, the strongest first, then others.

    Where nothing is known about the images the components take the attributes' place.

    Example:
        >>> row = {"component": "z0", "component_r": 0.1}
        >>> rows = [{"map": 0, "attribute": "Male", "attribute_r": 0.3, **row},
        ...         {"map": 1, "attribute": "Male", "attribute_r": -0.5, **row},
        ...         {"map": 2, "attribute": "Bald", "attribute_r": 0.2, **row}]
        >>> telling(rows, 2), telling(rows, 9)
        ([1, 2], [1, 2, 0])
    """
    kind = "attribute" if any(row["attribute"] for row in rows) else "component"
    order = sorted(rows, key=lambda row: -abs(row[f"{kind}_r"] or 0.0))
    names: set[str] = set()
    first: list[int] = []
    others: list[int] = []
    for row in order:
        (others if row[kind] is None or row[kind] in names else first).append(row["map"])
        names.add(row[kind])
    return (first + others)[:count]


def _card(
    entry: Record, row: Record, trained: Network, untrained: Network, pixels: np.ndarray
) -> MapCard:
    """A map on the sheet; of one that gives a single number neither pattern nor images."""
    m = entry["map"]
    top = trained.seen.top[m][: 0 if trained.seen.constant[m] else None]
    figures = [
        f"{name} {row[key]:.1f} σ"
        for name, key in (
            ("pattern", "reached"), ("best image", "best_image"), ("untrained", "untrained"),
        )
        if row[key] is not None
    ]  # fmt: skip
    figures += [f"dead: {entry['dead']}"] if entry["dead"] else []
    facts = entry["attributes"]["strongest"][:2] + entry["components"]["strongest"][:1]
    living = [] if trained.seen.constant[m] else facts
    words = [f"{fact['name']} {fact['r']:+.2f}".replace("-", "−") for fact in living]
    return MapCard(
        f"map {m}", " · ".join(figures), "   ".join(words), trained.pattern(m), untrained.pattern(m),
        pixels[top],
    )  # fmt: skip


def _summary(rows: list[Record], tables: tuple[Correlations, ...]) -> Record:
    """The whole layer in few numbers."""

    def median(key: str) -> float | None:
        values = [abs(row[key]) for row in rows if row[key] is not None]
        return float(np.median(values)) if values else None

    keys = (*REACHED, *FINE, "attribute_r", "component_r")
    return {
        "maps": len(rows),
        "dead": {str(row["map"]): row["dead"] for row in rows if row["dead"]},
        "median": {key: median(key) for key in keys},
        "largest_by_chance": {
            name: float(np.abs(table.shuffled).max(initial=0.0))
            for name, table in zip(("attributes", "components"), tables)
        },
    }


def _note(summary: Record, images: int, few: int) -> str:
    """What the columns mean, and what the layer as a whole does."""
    middle, dead = summary["median"], summary["dead"]
    named = ", ".join(f"{m} ({why})" for m, why in dead.items())
    medians = ", ".join(
        f"{key.replace('_', ' ')} {middle[key]:.1f}" for key in (*REACHED, *FINE) if middle[key]
    )
    return (
        f"Mean activations in standard deviations of the map over {images:,} training images: reached by its "
        "pattern, by the best training image, and before training by the pattern of the same map then (over "
        f"{few:,} images). Frequency: how fine a pattern is, in cycles per picture. Medians: "
        f"{medians or 'none'}. By chance: the largest |r| once the images' facts "
        f"are shuffled. Dead maps: {named or 'none'}."
    )
