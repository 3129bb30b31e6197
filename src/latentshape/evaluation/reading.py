"""A scorecard in plain words: what its numbers say, and nothing that they do not.

Every sentence is made of entries with their ranges over the draws. Two rows are told apart only where their
ranges do not meet; where they do, they are *level*, and no order is claimed. Nothing is said of what was not
measured but why it was not.
"""

from __future__ import annotations

from typing import Any

from latentshape.evaluation.recommendation import SPACE, listed
from latentshape.samplers import SAMPLERS, sampler_class

__all__ = ["reading", "told"]

Entry = dict[str, Any]
Rows = dict[str, dict[str, Any]]

#: So many rows are named in one sentence, at most.
NAMED = 4


def reading(card: dict[str, Any]) -> list[str]:
    """What a scorecard says, in sentences.

    Args:
        card: As ``scorecard.json`` holds it; columns that an earlier version did not write are passed
            over.

    Returns:
        The decoder; the floor of the gap; the nearest samplers; centre and covariance; memory;
        truncation; variety; faces; what is missing. A part that has nothing to say is left out.

    Example:
        >>> entry = lambda value: {"value": value, "low": value - 0.1, "high": value + 0.1, "n": 500}
        >>> gaps = {"reconstruction": 0.9, "gaussian": 1.5, "zero-mean": 9.0, "centred": 4.0}
        >>> rows = {name: {"gap": {"random-conv": entry(gap)}} for name, gap in gaps.items()}
        >>> card = {"n": 500, "draws": 5, "features": {"random-conv": {}}, "rows": rows}
        >>> print(reading(card)[2])
        Centre or covariance? With both right the gap is 1.50 (1.40–1.60); the wrong centre alone makes it
        9.00 (8.90–9.10), the wrong covariance alone 4.00 (3.90–4.10): the centre matters more.
    """
    rows: Rows = card["rows"]
    space = SPACE if SPACE in card["features"] else next(iter(card["features"]), "")
    said = []
    if card["draws"] < 2:
        said.append(
            "One draw a row was judged: there are no ranges, so no two rows are told apart."
        )
    else:
        said += _decoder(rows, space)
        said += _floor(card, rows, space)
        said += _nearest(card, rows, space)
        said += _centre_or_covariance(rows, space)
        said += _memory(card, rows)
        said += _truncation(rows)
        said += _variety(rows)
        said += _faces(rows)
    return said + _missing(card, rows, space)


def told(entry: Entry, digits: int = 2) -> str:
    """An entry as text: the value, with its range where it has one.

    Example:
        >>> told({"value": 1.25, "low": 1.1, "high": 1.4}), told({"value": 2.0, "low": 2.0, "high": 2.0})
        ('1.25 (1.10–1.40)', '2.00')
    """
    value = _number(entry["value"], digits)
    low, high = (_number(entry[end], digits) for end in ("low", "high"))
    return value if low == high == value else f"{value} ({low}–{high})"


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if abs(value) < 100 else f"{value:,.0f}"


def _entry(rows: Rows, name: str, *path: str) -> Entry | None:
    """One entry with a value, or None."""
    found: Any = rows.get(name)
    for key in path:
        found = found.get(key) if found else None
    return found if found and found.get("value") is not None else None


def _of_samplers(rows: Rows, *path: str, baselines: bool = False) -> dict[str, Entry]:
    """Entries with a value by sampler, the smallest first."""
    found = {
        name: entry
        for name in rows
        if name in SAMPLERS and (baselines or not sampler_class(name).baseline)
        for entry in [_entry(rows, name, *path)]
        if entry
    }
    return dict(sorted(found.items(), key=lambda item: item[1]["value"]))


def _below(a: Entry, b: Entry) -> bool:
    """Whether all of a's range lies below all of b's."""
    return bool(a["high"] < b["low"])


def _against(a: Entry, b: Entry, below: str, above: str) -> str:
    return below if _below(a, b) else above if _below(b, a) else "level with"


def _decoder(rows: Rows, space: str) -> list[str]:
    real, rebuilt = (_entry(rows, name, "frechet", space) for name in ("real", "reconstruction"))
    if not real or not rebuilt:
        return []
    if not _below(real, rebuilt):
        said = [
            f"The decoder: reconstructions of held-out images, {told(rebuilt)}, are as near to real test "
            f"images as other real images, {told(real)} (Fréchet distance, {space})."
        ]
    else:
        said = [
            f"The decoder: reconstructions of held-out images are {told(rebuilt)} from real test images, "
            f"other real images {told(real)} (Fréchet distance, {space}). That much is lost before "
            "anything is drawn."
        ]
    real, rebuilt = (_entry(rows, name, "precision") for name in ("real", "reconstruction"))
    if real and rebuilt and rebuilt["high"] < real["low"] / 2:
        said.append(
            f"Among real images even reconstructions have a precision of {told(rebuilt)} (real ones "
            f"{told(real)}): that is the decoder's blur, whoever draws, so samplers are told apart by "
            "precision and recall among reconstructions."
        )
    return said


def _floor(card: dict[str, Any], rows: Rows, space: str) -> list[str]:
    floor = _entry(rows, "reconstruction", "gap", space)
    if not floor:
        return []
    said = f"The floor of the gap is {told(floor)}: reconstructions of other held-out images."
    chance = card["features"][space].get("between_equals", {}).get("gap")
    if chance is not None:
        said += (
            f" Two samples of one normal law of n = {card['n']} would be about {_number(chance, 2)} "
            "apart by chance."
        )
    if _overlap(card):
        said += (
            f" Its draws share most of the {card['held_out']['validation']} validation images, so that its "
            "range is too narrow for comparisons."
        )
    return [said]


def _overlap(card: dict[str, Any]) -> bool:
    """Whether the draws of image rows share most of their images, so that their range says too little."""
    images = card.get("held_out", {}).get("validation")
    return images is not None and card["n"] > images / 2


def _nearest(card: dict[str, Any], rows: Rows, space: str) -> list[str]:
    gaps = _of_samplers(rows, "gap", space)
    if not gaps:
        return []
    best, *others = gaps
    level = [name for name in others if not _below(gaps[best], gaps[name])]
    said = f"The nearest sampler is {best}, with a gap of {told(gaps[best])}"
    if level:
        said += f"; level with it {'is' if len(level) == 1 else 'are'} {listed(level)}"
    elif others:
        said += f", below every other's (next: {others[0]}, {told(gaps[others[0]])})"
    beside = []
    for name, words in (
        ("reconstruction", "the floor"),
        ("training-codes", "decoded codes of training images"),
    ):
        entry = _entry(rows, name, "gap", space)
        if entry and not (name == "reconstruction" and _overlap(card)):
            beside.append(f"{_against(gaps[best], entry, 'below', 'above')} {words}, {told(entry)}")
    return [f"{said}. It is {' and '.join(beside)}." if beside else f"{said}."]


def _centre_or_covariance(rows: Rows, space: str) -> list[str]:
    both, centre, covariance, neither = (
        _entry(rows, name, "gap", space)
        for name in ("gaussian", "zero-mean", "centred", "standard-normal")
    )
    if not both or not centre or not covariance:
        return []
    said = (
        f"Centre or covariance? With both right the gap is {told(both)}; the wrong centre alone makes it "
        f"{told(centre)}, the wrong covariance alone {told(covariance)}"
    )
    if neither:
        said += f", both together {told(neither)}"
    worse = [_below(both, one) for one in (centre, covariance)]
    if not any(worse):
        verdict = "neither matters here beyond what the draws' ranges allow"
    elif not all(worse):
        verdict = f"only the {'centre' if worse[0] else 'covariance'} matters here"
    else:
        verdict = "both matter, neither clearly more"
        if _below(covariance, centre):
            verdict = "the centre matters more"
        elif _below(centre, covariance):
            verdict = "the covariance matters more"
    return [f"{said}: {verdict}."]


def _memory(card: dict[str, Any], rows: Rows) -> list[str]:
    return [said for said in (_copied_codes(card), _copied_pictures(rows)) if said]


def _copied_codes(card: dict[str, Any]) -> str | None:
    """Which samplers draw more codes near training codes than held-out codes come near them."""
    from latentshape.evaluation.scorecard import wilson

    judged = card.get("novelty", {})
    if not judged.get("rows"):
        return None
    n, copying = judged["n"], []
    for name, row in judged["rows"].items():
        low, high = wilson(round(row["copies"] * n), n)
        # By definition 1 % of held-out codes lie so near.
        if low > 0.01:
            copying.append((row["copies"], f"{name} {row['copies']:.0%} ({low:.0%}–{high:.0%})"))
    rule = "as near to a training code as 1 % of held-out codes do, at equal radius"
    if not copying:
        return f"Memory: of no sampler do more codes lie {rule}, than chance allows."
    worst = [words for _, words in sorted(copying, reverse=True)]
    return f"Memory: too many codes lie {rule}: {_some(worst)}; of the others no more than chance allows."


def _copied_pictures(rows: Rows) -> str | None:
    yardstick = _entry(rows, "reconstruction", "novelty")
    found = _of_samplers(rows, "novelty", baselines=True)
    if not yardstick or not found:
        return None
    near = {name: entry for name, entry in found.items() if _below(entry, yardstick)}
    if not near:
        return (
            "In pictures no sampler comes nearer to the training images than reconstructions of "
            f"held-out images do ({told(yardstick)})."
        )
    radius = _entry(rows, "reconstruction", "radius")
    words = []
    for name, entry in near.items():
        own = _entry(rows, name, "radius")
        cold = ", drawn nearer to the centre" if _cold(own, radius) else ""
        words.append(f"{name} {told(entry)}{cold}")
    return (
        f"Pictures nearer to a training image than reconstructions of held-out images, {told(yardstick)}: "
        f"{_some(words)}. Cold draws look close to everything; a copy has 0."
    )


def _cold(own: Entry | None, radius: Entry | None) -> bool:
    """Whether codes lie nearer to the centre than held-out ones, by more than a twentieth."""
    return bool(own and radius and own["high"] < 0.95 * radius["low"])


def _truncation(rows: Rows) -> list[str]:
    radius = _entry(rows, "reconstruction", "radius")
    said = []
    for name, own in _of_samplers(rows, "radius").items():
        if not _cold(own, radius):
            continue
        words = []
        for column, more, less in (
            ("sampler_precision", "more typical", "less typical"),
            ("sampler_recall", "more of the variety", "less of the variety"),
        ):
            entry, yardstick = (_entry(rows, row, column) for row in (name, "reconstruction"))
            if entry and yardstick:
                verdict = _against(entry, yardstick, less, more)
                same = "as typical" if column.endswith("precision") else "as much of the variety"
                words.append(
                    f"{same if verdict == 'level with' else verdict} "
                    f"({column.removeprefix('sampler_')} {told(entry)} against {told(yardstick)})"
                )
        said.append(
            f"{name} (radius {told(own, 1)}): {' and '.join(words)}"
            if words
            else f"{name} (radius {told(own, 1)})"
        )
    if not said or not radius:
        return []
    return [
        f"Truncation: held-out codes lie at a Mahalanobis radius of {told(radius, 1)}; nearer to the centre "
        f"draw {_some(said, '; ')}. Precision and recall are among reconstructions."
    ]


def _variety(rows: Rows) -> list[str]:
    yardstick = _entry(rows, "reconstruction", "diversity")
    if not yardstick:
        return []
    less = [
        f"{name} {told(entry)}"
        for name, entry in _of_samplers(rows, "diversity", baselines=True).items()
        if _below(entry, yardstick)
    ]
    if not less:
        return [
            f"Variety: no sampler has less of it than reconstructions of held-out images, {told(yardstick)}."
        ]
    return [f"Variety: less than reconstructions, {told(yardstick)}, have {_some(less)}."]


def _faces(rows: Rows) -> list[str]:
    real = _entry(rows, "real", "face_rate")
    if not real:
        why = rows.get("real", {}).get("face_rate", {}).get("why")
        return [f"Face rates are left out: {why}."] if why else []
    rates = _of_samplers(rows, "face_rate")
    fewer = [f"{name} {told(entry)}" for name, entry in rates.items() if _below(entry, real)]
    level = [name for name, entry in rates.items() if not _below(entry, real)]
    said = f"Faces are found in {told(real)} of real images"
    if level:
        said += f", and as often in the pictures of {listed(level)}"
    return [said + (f"; less often: {_some(fewer)}." if fewer else ".")]


def _missing(card: dict[str, Any], rows: Rows, space: str) -> list[str]:
    said = [
        f"In {name} features: {facts['note']}."
        for name, facts in card["features"].items()
        if facts.get("note")
    ]
    for name, row in rows.items():
        gap = row.get("gap", {}).get(space, {})
        if gap.get("value", 0) is None:
            said.append(f"{name} was not judged: {gap['why'].rstrip('.')}.")
    return said


def _some(words: list[str], between: str = ", ") -> str:
    """The first few of a list, and how many more there are."""
    rest = len(words) - NAMED
    return between.join(words[:NAMED]) + (f" and {rest} more" if rest > 0 else "")
