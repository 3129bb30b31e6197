"""Experiments with the ways to draw: what each setting costs in likeness and buys in variety.

Published settings are kept: cubes of b = 1, 1.5, 2, 5 in draws of 512; intervals by their factor; the
pairwise ellipses with 50 to 120 of 256 principal components and factors 0.6 to 0.8. In another dimension d
the number of components is scaled by d / 256. Every row is judged against reconstructions of test images,
by the same decoder, at the same n, in several independent draws: means, least and greatest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from latentshape.experiments.bench import (
    STRIP,
    Bench,
    Record,
    judged,
    question_of,
    strips,
    with_settings,
)
from latentshape.progress import bar
from latentshape.samplers.base import Sampler
from latentshape.shape import Moments, mahalanobis_squared

__all__ = ["correction", "cubes", "intervals", "pairwise", "truncation"]

CUBES = (1.0, 1.5, 2.0, 5.0)
CUBE_DRAWS = 512
INTERVAL_FACTS = (0.25, 0.5, 0.75, 1.0, 1.5)
COMPONENTS, FACTS = (50, 75, 105, 120), (0.6, 0.7, 0.8)
#: Along the three curves of fidelity against diversity; radii in units of sqrt(d).
TEMPERATURES = (0.3, 0.5, 0.7, 0.85, 1.0, 1.15)
RADII = (0.3, 0.5, 0.7, 0.85, 1.0)
TRUNCATION_FACTS = (0.4, 0.6, 0.8, 1.0, 1.2, 1.5)
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)


def _of(bench: Bench, name: str, **options: Any) -> Callable[[int], np.ndarray]:
    """Draws of a sampler, fitted when the first is asked for."""
    fitted: list[Sampler] = []

    def draw(seed: int) -> np.ndarray:
        if not fitted:
            fitted.append(bench.fitted(name, **options))
        return fitted[0].sample(bench.judge.n, seed=seed)

    return draw


@with_settings(lambda: {"b": CUBES, "draws": CUBE_DRAWS})
def cubes(bench: Bench) -> Record:
    """Do codes drawn uniformly in a cube around the origin give faces, and do they meet the cloud?"""
    moments = Moments.of(bench.z)
    within = float(np.quantile(mahalanobis_squared(bench.z, moments), 0.99))
    rows, lines = [], []
    for b in CUBES:
        z = bench.fitted("cube", b=b).sample_at(range(bench.seed, bench.seed + CUBE_DRAWS))
        row = judged(bench, moments, _of(bench, "cube", b=b), b=b)
        row["within_cloud"] = float((mahalanobis_squared(z, moments) <= within).mean())
        rows.append(row)
        lines.append((f"b = {b:g}", z[:STRIP]))
    strips(bench, "cubes", lines)
    note = f"Within cloud: the share of {CUBE_DRAWS} draws inside the codes' 99 % radius."
    return {"question": question_of(cubes), "note": note, "rows": rows}


@with_settings(lambda: {"fact": INTERVAL_FACTS})
def intervals(bench: Bench) -> Record:
    """Do intervals per component, correlations ignored, give faces; and nearer the centre better ones?"""
    moments = Moments.of(bench.z)
    rows, lines = [], []
    for fact in INTERVAL_FACTS:
        draw = _of(bench, "intervals", fact=fact)
        rows.append(judged(bench, moments, draw, fact=fact))
        shown = draw(bench.seed)[:STRIP]
        order = np.argsort(mahalanobis_squared(shown, moments))
        lines.append((f"fact = {fact:g}", shown[order]))
    strips(bench, "intervals", lines)
    note = "In each strip pictures are ordered by their distance from the centre."
    return {"question": question_of(intervals), "note": note, "rows": rows}


@with_settings(lambda: {"components": COMPONENTS, "fact": FACTS})
def pairwise(bench: Bench) -> Record:
    """What do pairwise ellipses give, by number of components, factor, and way to draw from them?"""
    from latentshape import sampling_plots as plots

    moments = Moments.of(bench.z)
    d = moments.d
    rows, lines = [], []
    counts = scaled_components(d)
    settings: list[Record] = [{"components": k, "fact": fact} for k in counts for fact in FACTS]
    settings += [{"fact": 0.7}, {"fact": 0.7, "coordinates": "original", "method": "sequential"}]
    settings += [{"components": k, "fact": 0.7, "method": "sequential"} for k in counts]
    for options in settings:
        draw = _of(bench, "pairwise-ellipse", **options)
        rows.append(judged(bench, moments, draw, **options))
        if "why" not in rows[-1]:
            lines.append((_label(options, d), draw(bench.seed)[:STRIP]))
    if lines:
        strips(bench, "pairwise", lines)
    if d > 1 and all("why" not in row for row in rows[-len(counts) - 2 :]):
        plots.draws_over_codes(bench.z, bench.folder / "pairwise-draws.png", bench.seed)
    return {"question": question_of(pairwise), "rows": rows}


def _label(options: Record, d: int) -> str:
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


@with_settings(lambda: {"temperature": TEMPERATURES, "radius": RADII, "fact": TRUNCATION_FACTS})
def truncation(bench: Bench) -> Record:
    """What does drawing nearer to the centre buy in likeness, and what does it cost in variety?"""
    from latentshape import sampling_plots as plots

    moments = Moments.of(bench.z)
    root = float(np.sqrt(moments.d))
    settings: list[tuple[str, Record]] = [
        *(("gaussian", {"temperature": t}) for t in TEMPERATURES),
        *(("ellipsoid", {"within": round(r * root, 3)}) for r in RADII),
        *(("pairwise-ellipse", {"fact": fact}) for fact in TRUNCATION_FACTS),
        *((name, {}) for name in ("elliptical", "mixture", "training-codes")),
    ]
    rows = []
    with bar(len(settings), "truncation", unit="laws") as progress:
        for name, shown in settings:
            options = {"radius": shown["within"]} if "within" in shown else shown
            draw = _of(bench, name, **options)
            rows.append(judged(bench, moments, draw, sampler=name, **shown))
            progress.update()
    held_out = np.asarray(bench.codes("validation").z)

    def subsample(seed: int) -> np.ndarray:
        n = min(bench.judge.n, len(held_out))
        return held_out[np.random.default_rng(seed).choice(len(held_out), n, replace=False)]

    rows.append(judged(bench, moments, subsample, sampler="reconstruction"))
    record = {"question": question_of(truncation), "rows": rows}
    plots.save_truncation(record, bench.folder / "truncation.png")
    return record


@with_settings(lambda: {"strength": STRENGTHS})
def correction(bench: Bench) -> Record:
    """Does moving drawn codes toward their nearest training codes make them better, or only less new?"""
    from latentshape.neighbourhood import is_new, novelty_yardstick, towards_neighbours

    moments = Moments.of(bench.z)
    gaussian = _of(bench, "gaussian")
    yardstick = novelty_yardstick(
        bench.codes("validation").z, bench.z, metric="mahalanobis", moments=moments
    )
    rows, lines = [], []
    for keep_radius in (True, False):
        for strength in STRENGTHS:

            def moved(
                seed: int, strength: float = strength, keep_radius: bool = keep_radius
            ) -> np.ndarray:
                return towards_neighbours(
                    gaussian(seed), bench.z, strength=strength, keep_radius=keep_radius,
                    moments=moments,
                )  # fmt: skip

            row = judged(bench, moments, moved, keep_radius=keep_radius, strength=strength)
            z = moved(bench.seed)
            row["copies"] = float((~is_new(z, bench.z, yardstick).new).mean())
            rows.append(row)
            kept = "radius kept" if keep_radius else "radius free"
            lines.append((f"{kept}, {strength:g}", z[:STRIP]))
    strips(bench, "correction", lines)
    note = (
        "Copies: the share of draws that lie nearer to a training code than 99 % of held-out codes do, at "
        "equal radius."
    )
    return {"question": question_of(correction), "note": note, "rows": rows}
