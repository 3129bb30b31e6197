r"""Where attributes live in the cloud, and what comes of asking for them.

Two kinds of rows. Those with an ``attribute`` say how its directions separate held-out codes (area under
the ROC curve for yes and no, correlation for numbers, each with a 95 % interval), beside a control whose
training facts were dealt out to other images; how the difference of the class means lies to the principal
axes; and what the class (yes; of a number, above its median) looks like within the cloud. Those with a
``condition`` say how often the attribute network finds what was asked for in pictures of each law, beside
reconstructions of held-out images that have it, and beside draws without the condition.

Pictures: each of a few attributes from -2 to +2 sigmas of its read-out, with the read-outs of the others
held, on held-out images; and draws under each condition.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from latentshape.attributes import (
    METHODS,
    Directions,
    Separability,
    along_axes,
    fit_directions,
    separability,
    within_class,
)
from latentshape.conditional import CONDITIONAL, fit_where
from latentshape.conditions import parse_condition
from latentshape.errors import InputError
from latentshape.evaluation.frechet import FrechetReference
from latentshape.experiments.bench import STRIP, Bench, Record, question_of, with_settings
from latentshape.facts import Facts
from latentshape.progress import bar
from latentshape.samplers.base import Sampler
from latentshape.shape import Moments

__all__ = ["attributes", "chosen_attributes", "wishes"]

#: Attributes that are shown and asked for where a dataset has them; others stand in for those it lacks.
PREFERRED = ("Smiling", "Male", "Eyeglasses", "Blond_Hair")
#: Laws under a condition: the closed form; samplers fitted to the class; its own codes, the floor.
LAWS = (CONDITIONAL, "gaussian", "elliptical", "copula", "mixture", "training-codes")
SIGMAS = (-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0)
#: Axes that count as leading, held-out images moved, and images on either side that an attribute needs.
LEADING, MOVED, NEEDED = 10, 2, 20
#: What is said of a class within the cloud: see `latentshape.attributes.within_class`.
WITHIN = ("offset_sigma", "apart_sigma", "covariance_ratio", "variance_ratio", "variance_ratio_all")
#: Reconstructions of the class from which on a distance to them means something.
ENOUGH_FOR_GAP = 200


@with_settings(lambda: {"laws": LAWS, "sigmas": SIGMAS, "leading": LEADING, "asked": PREFERRED})
def attributes(bench: Bench) -> Record:
    """Where do attributes live in the cloud, and do pictures show what they were asked for?"""
    train = bench.codes("train")
    facts = Facts.of(train)
    held_out, known = _held_out(bench)
    if not facts.varying():
        raise InputError(
            "This experiment asks for attributes, and of these images nothing is known that varies; use a "
            "dataset that has them, such as CelebA or procedural faces."
        )
    moments = Moments.of(train.z)
    rows = _attribute_rows(train.z, facts, moments, held_out, known, bench.seed)
    names = chosen_attributes(facts, known)
    directions = fit_directions(train.z, facts, names=names, moments=moments)
    _show_arithmetic(bench, directions, held_out)
    rows += _condition_rows(bench, facts, wishes(facts, names))
    note = (
        f"Of an attribute: area under the ROC curve (yes and no) or correlation (numbers) on "
        f"{len(held_out):,} held-out codes, with 95 % intervals; control: discriminant of shuffled facts; "
        "angle: between the difference of the class means and the principal axis next to it; leading: its "
        f"share in the first {LEADING}, of which a random one has {LEADING / moments.d:.2f}; offset: of the "
        "class's mean from that of all, in Mahalanobis distance; apart: from that of the rest; covariance "
        "ratio: mean variance within the class, 1 as all; variance ratio: of its squared Mahalanobis radius "
        "over a normal law's, beside as many codes of all. Of a condition: shares in which the attribute "
        "network finds it, with Wilson's 95 % intervals; ratio: drawn over reconstruction; gap: to "
        "reconstructions of held-out images that satisfy it."
    )
    return {"question": question_of(attributes), "note": note, "rows": rows}


def _held_out(bench: Bench) -> tuple[np.ndarray, Facts]:
    """Codes of validation and test images together, and what is known of them."""
    splits = [bench.codes(split) for split in ("validation", "test")]
    first, second = (Facts.of(codes) for codes in splits)
    return np.concatenate([codes.z for codes in splits]), first.joined(second)


def chosen_attributes(facts: Facts, held_out: Facts) -> tuple[str, ...]:
    """Four attributes to show: the preferred ones, then those that split the images most evenly.

    Args:
        facts: Of training images.
        held_out: Of held-out images: each must have and lack them often enough.
    """

    def rarer(name: str) -> int:
        column = held_out[name]
        middle = 0.5 if facts.answers[facts.index(name)] else np.nanmedian(facts[name])
        return int(min((column > middle).sum(), (column <= middle).sum()))

    able = [name for name in facts.varying() if rarer(name) >= NEEDED] or list(facts.varying())
    # Attributes of yes and no come before numbers, and the evenest of either first.
    others = sorted(able, key=lambda name: (not facts.answers[facts.index(name)], -rarer(name)))
    first = [name for name in PREFERRED if name in able]
    return tuple(dict.fromkeys([*first, *others]))[: len(PREFERRED)]


def wishes(facts: Facts, names: tuple[str, ...]) -> list[str]:
    """Conditions on these attributes: each alone, the first two at once, and the first without the second."""
    parts = []
    for name in names:
        is_answer = facts.answers[facts.index(name)]
        middle = round(float(np.nanmedian(facts[name])), 3)
        parts.append(f"'{name}'" if is_answer else f"'{name}' > {middle!r}")
    joined = [f"{parts[0]} & {parts[1]}", f"{parts[0]} & ~({parts[1]})"] if len(parts) > 1 else []
    return [str(parse_condition(text)) for text in parts + joined]


# --- directions and classes -------------------------------------------------------------------------


def _attribute_rows(
    z: np.ndarray, facts: Facts, moments: Moments, held_out: np.ndarray, known: Facts, seed: int
) -> list[Record]:
    """One row for each attribute that varies among the training images."""
    found: dict[str, dict[str, Separability | None]] = {}
    fitted = {method: fit_directions(z, facts, method, moments=moments) for method in METHODS}
    for method, directions in fitted.items():
        entries = separability(directions, held_out, known)
        found[method] = dict(zip(directions.names, entries, strict=True))
    control = fit_directions(z, facts.shuffled(seed), moments=moments)
    entries = separability(control, held_out, known.shuffled(seed + 1))
    found["control"] = dict(zip(control.names, entries, strict=True))
    discriminant = fitted["discriminant"]
    rows = []
    places = along_axes(discriminant, LEADING)
    with bar(len(places), "attributes", unit="attributes") as progress:
        for name, place in zip(discriminant.names, places, strict=True):
            values = facts[name]
            is_answer = bool(facts.answers[facts.index(name)])
            middle = 0.5 if is_answer else float(np.nanmedian(values))
            within = within_class(z, values > middle, moments, seed)
            rows.append(
                {
                    "attribute": name,
                    "yes": float(np.nanmean(values)) if is_answer else None,
                    **{column: _interval(found[column].get(name)) for column in found},
                    **place,
                    **{key: within[key] for key in WITHIN},
                }
            )
            progress.update()
    return rows


def _interval(found: Separability | None) -> Record | None:
    """A value with its 95 % interval, as tables show it."""
    if found is None:
        return None
    least = 0.0 if found.measure == "auc" else -1.0
    return {
        "value": found.value,
        "low": max(least, found.value - 1.96 * found.error),
        "high": min(1.0, found.value + 1.96 * found.error),
        "error": found.error,
        "n": found.n,
    }


def _show_arithmetic(bench: Bench, directions: Directions, held_out: np.ndarray) -> None:
    """Each attribute at several sigmas, the others held, on a few held-out images."""
    from latentshape import sampling_plots as plots

    # Those nearest to the middle of all read-outs: they have the longest way on either side.
    scores = directions.scores(held_out)
    bases = np.argsort(np.square(scores).sum(1), kind="stable")[:MOVED]
    rows = []
    for j, name in enumerate(directions.names):
        for base in bases:
            steps = [
                directions.move(held_out[[base]], {name: s - scores[base, j]}, directions.names)[0]
                for s in SIGMAS
            ]
            label = f"{name}\n{SIGMAS[0]:g}σ to {SIGMAS[-1]:+g}σ" if base == bases[0] else ""
            rows.append((label, bench.pictures(np.stack(steps))))
    plots.save_strips(rows, bench.folder / "attributes.png")


# --- conditions -------------------------------------------------------------------------------------


def _condition_rows(bench: Bench, facts: Facts, conditions: list[str]) -> list[Record]:
    """One row for each condition and law; pictures of the first law that can be fitted best, beside."""
    from latentshape import sampling_plots as plots
    from latentshape.drawing import witness_of

    witness = witness_of(bench.run, bench.model)
    n, laws = bench.config_n(), _laws(bench)
    free = {
        law: witness.says(_unconditional(bench, law).sample(n, seed=bench.seed)) for law in laws
    }
    rows: list[Record] = []
    shown = []
    with bar(len(conditions) * len(laws), "conditions", unit="laws") as progress:
        for where in conditions:
            condition = parse_condition(where)
            satisfying = int(facts.satisfying(condition).sum())
            reference = _class_reference(bench, witness, where)
            for law in laws:
                row: Record = {"condition": where, "law": law, "images": satisfying}
                progress.update()
                try:
                    fitted = fit_where(law, where, bench.z, facts)
                    z = fitted.sample(n, seed=bench.seed)
                    record = witness.record(condition, witness.says(z), free[law])
                except InputError as refusal:
                    rows.append({**row, "why": str(refusal)})
                    continue
                for key in ("drawn", "reconstruction", "unconditional", "ratio"):
                    row[key] = record[key] if record[key]["value"] is not None else None
                row["gap"] = None
                if reference is not None:
                    row["gap"] = reference[0].distance(*_moments(bench, z[: reference[1]]))
                rows.append(row)
                if law == laws[-2]:
                    shown.append(
                        (f"{where}\n{law}", bench.pictures(fitted.sample_at(range(STRIP))))
                    )
    if shown:
        plots.save_strips(shown, bench.folder / "attributes-draws.png")
    return rows


def _laws(bench: Bench) -> tuple[str, ...]:
    """The laws that are compared; the sampler that the run recommends among them, last but the floor."""
    recommended = None
    if bench.run.scorecard_path.exists():
        from latentshape.runs import read_record

        choice = read_record(bench.run.scorecard_path, "rows").get("recommendation") or {}
        recommended = choice.get("value")
    laws = [law for law in LAWS[:-1] if law != recommended]
    return (*laws, *([recommended] if recommended else []), LAWS[-1])


def _unconditional(bench: Bench, law: str) -> Sampler:
    """The same law of all codes; of the closed form it is the Gaussian."""
    from latentshape.drawing import fitted

    return fitted(bench.run, "gaussian" if law == CONDITIONAL else law)


def _moments(bench: Bench, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of random-conv features of the pictures of codes."""
    seen = bench.judge.look([bench.pictures(z)]).moments["random-conv"]
    return seen.mean, seen.cov


def _class_reference(bench: Bench, witness: Any, where: str) -> tuple[FrechetReference, int] | None:
    """Reconstructions of held-out images that satisfy a condition, as one side of a distance; how many."""
    rows = np.flatnonzero(witness.facts.satisfying(parse_condition(where)))[: bench.config_n()]
    if len(rows) < ENOUGH_FOR_GAP:
        return None
    return FrechetReference(*_moments(bench, witness.z[rows])), len(rows)
