"""Experiments with the ways to draw: what each setting costs in likeness and buys in variety.

Published settings are kept: cubes of b = 1, 1.5, 2, 5 in draws of 512; intervals by their factor; the
pairwise ellipses with 50 to 120 of 256 principal components and factors 0.6 to 0.8. In another dimension d
the number of components is scaled by d / 256. Every row is judged against reconstructions of test images,
by the same decoder, at equal n.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from latentshape.experiments.bench import Bench
from latentshape.progress import bar
from latentshape.shape import Moments, mahalanobis_squared

__all__ = ["correction", "cubes", "intervals", "pairwise", "truncation"]

CUBES = (1.0, 1.5, 2.0, 5.0)
CUBE_DRAWS = 512
INTERVAL_FACTS = (0.25, 0.5, 0.75, 1.0, 1.5)
COMPONENTS, FACTS = (50, 75, 105, 120), (0.6, 0.7, 0.8)
#: Along the three curves of fidelity against diversity.
TEMPERATURES = (0.3, 0.5, 0.7, 0.85, 1.0, 1.15)
LEVELS = (0.01, 0.1, 0.3, 0.5, 0.8, 0.95)
TRUNCATION_FACTS = (0.4, 0.6, 0.8, 1.0, 1.2, 1.5)
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
#: Pictures in a strip.
STRIP = 12


def _row(bench: Bench, moments: Moments, z: np.ndarray, **options: Any) -> dict[str, Any]:
    """One judged setting, with the Mahalanobis radius of what was drawn."""
    radii = np.sqrt(mahalanobis_squared(z, moments))
    return {
        **options,
        **bench.judge_codes(z),
        "radius": {"mean": float(radii.mean()), "std": float(radii.std())},
    }


def _strips(bench: Bench, name: str, codes: Iterable[tuple[str, np.ndarray]]) -> None:
    """One line of pictures per setting, under its name, in the order of the rows."""
    from latentshape import sampling_plots as plots

    rows = [(label, bench.pictures(z)) for label, z in codes]
    plots.save_strips(rows, bench.folder / f"{name}.png")


def cubes(bench: Bench) -> dict[str, Any]:
    """Do codes drawn uniformly in a cube around the origin give faces, and do they meet the cloud?"""
    moments = Moments.of(bench.z)
    within = float(np.quantile(mahalanobis_squared(bench.z, moments), 0.99))
    rows, strips = [], []
    for b in CUBES:
        z = bench.fitted("cube", b=b).sample_at(range(bench.seed, bench.seed + CUBE_DRAWS))
        row = _row(bench, moments, z, b=b)
        row["within_cloud"] = float((mahalanobis_squared(z, moments) <= within).mean())
        rows.append(row)
        strips.append((f"b = {b:g}", z[:STRIP]))
    _strips(bench, "cubes", strips)
    return {"question": _question(cubes), "within_cloud": "share inside the codes' 99 % radius",
            "rows": rows}  # fmt: skip


def intervals(bench: Bench) -> dict[str, Any]:
    """Do intervals per component, correlations ignored, give faces; and nearer the centre better ones?"""
    moments = Moments.of(bench.z)
    rows, strips = [], []
    for fact in INTERVAL_FACTS:
        z = bench.fitted("intervals", fact=fact).sample(bench.judge.n, seed=bench.seed)
        rows.append(_row(bench, moments, z, fact=fact))
        shown = z[:STRIP]
        order = np.argsort(mahalanobis_squared(shown, moments))
        strips.append((f"fact = {fact:g}", shown[order]))
    _strips(bench, "intervals", strips)
    return {"question": _question(intervals),
            "order": "in each strip, outwards from the centre", "rows": rows}  # fmt: skip


def pairwise(bench: Bench) -> dict[str, Any]:
    """What do pairwise ellipses give, by number of components, factor, and way to draw from them?"""
    from latentshape import sampling_plots as plots

    moments = Moments.of(bench.z)
    d = moments.d
    rows, strips = [], []
    settings: list[dict[str, Any]] = [
        {"components": k, "fact": fact} for k in scaled_components(d) for fact in FACTS
    ]
    settings += [{"fact": 0.7}, {"fact": 0.7, "coordinates": "original", "method": "sequential"}]
    settings += [
        {"components": s["components"], "fact": 0.7, "method": "sequential"}
        for s in settings[:: len(FACTS)]
        if "components" in s
    ]
    for options in settings:
        sampler = bench.fitted("pairwise-ellipse", **options)
        z = sampler.sample(bench.judge.n, seed=bench.seed)
        rows.append(_row(bench, moments, z, **options))
        shown = sampler.sample_at(range(bench.seed, bench.seed + STRIP))
        strips.append((_label(options, d), shown))
    _strips(bench, "pairwise", strips)
    if d > 1:
        plots.draws_over_codes(bench.z, moments, bench.folder / "pairwise-draws.png", bench.seed)
    return {"question": _question(pairwise), "rows": rows}


def _label(options: dict[str, Any], d: int) -> str:
    """A setting of the pairwise ellipses in few words."""
    words = [f"K = {options.get('components', d)}, fact {options['fact']:g}"]
    if options.get("coordinates") == "original":
        words.append("original axes")
    elif "method" in options:
        words.append(options["method"])
    return "\n".join(words)


def scaled_components(d: int) -> list[int]:
    """The published numbers of components, of 256, in the same proportion of d.

    Example:
        >>> scaled_components(128)
        [25, 38, 52, 60]
    """
    return sorted({max(1, round(d * k / 256)) for k in COMPONENTS})


def truncation(bench: Bench) -> dict[str, Any]:
    """What does drawing nearer to the centre buy in likeness, and what does it cost in variety?"""
    from latentshape import sampling_plots as plots

    moments = Moments.of(bench.z)
    settings: list[tuple[str, dict[str, Any]]] = [
        *(("gaussian", {"temperature": t}) for t in TEMPERATURES),
        *(("ellipsoid", {"level": level}) for level in LEVELS),
        *(("pairwise-ellipse", {"fact": fact}) for fact in TRUNCATION_FACTS),
        *((name, {}) for name in ("elliptical", "mixture", "training-codes")),
    ]
    rows = []
    with bar(len(settings), "truncation", unit="laws") as progress:
        for name, options in settings:
            z = bench.fitted(name, **options).sample(bench.judge.n, seed=bench.seed)
            rows.append(_row(bench, moments, z, sampler=name, **options))
            progress.update()
    held_out = np.asarray(bench.codes("validation").z[: bench.judge.n])
    rows.append(_row(bench, moments, held_out, sampler="reconstruction"))
    record = {"question": _question(truncation), "rows": rows}
    plots.save_truncation(record, bench.folder / "truncation.png")
    return record


def correction(bench: Bench) -> dict[str, Any]:
    """Does moving a drawn code toward its nearest training codes make it better, or only less new?"""
    from latentshape.neighbourhood import nearest_codes, towards_neighbours

    moments = Moments.of(bench.z)
    rows, strips = [], []
    drawn = bench.fitted("gaussian").sample_at(range(bench.seed, bench.seed + bench.judge.n))
    held_out = np.asarray(bench.codes("validation").z[: bench.judge.n])
    yardstick = float(np.median(nearest_codes(held_out, bench.z, 1).distances))
    for strength in STRENGTHS:
        z = towards_neighbours(drawn, bench.z, strength=strength)
        row = _row(bench, moments, z, strength=strength)
        nearest = float(np.median(nearest_codes(z, bench.z, 1).distances))
        rows.append({**row, "nearest_over_held_out": nearest / yardstick})
        strips.append((f"strength {strength:g}", z[:STRIP]))
    _strips(bench, "correction", strips)
    return {"question": _question(correction), "rows": rows}


def _question(experiment: Any) -> str:
    """The question of an experiment: the first line of its docstring."""
    return experiment.__doc__.strip().splitlines()[0]
