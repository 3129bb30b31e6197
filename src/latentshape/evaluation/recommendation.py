"""Which sampler to use: the smallest gap, ties decided by the likelihood of held-out codes.

The gap (Fréchet distance to reconstructions of test images on the same decoder) judges the pictures, the
log-likelihood the law itself. A sampler is level with the best when its range over the draws reaches down to
the best one's: then the law that explains held-out codes better is chosen, since a lucky draw moves a gap but
not a likelihood. A law that leaves held-out codes outside its support, or has no density, is chosen only
where none with one is level with it. Laws that repeat training codes (`Sampler.baseline`) are yardsticks,
never recommended.
"""

from __future__ import annotations

from typing import Any

from latentshape.samplers import SAMPLERS, sampler_class

__all__ = ["listed", "recommend"]

#: The feature space whose gap counts: it sees sharpness and texture, not layout alone.
SPACE = "random-conv"


def recommend(rows: dict[str, Any], space: str = SPACE) -> dict[str, Any]:
    """Choose among the rows of a scorecard.

    Args:
        rows: ``scorecard.json``'s ``rows``; those of samplers count.
        space: Features of the gap.

    Returns:
        ``value`` (a sampler's name, or None where none was judged), ``why`` in a sentence with the
        numbers, and ``level``, the samplers that were level in the gap, best first.

    Example:
        >>> row = lambda gap, score: {
        ...     "gap": {"random-conv": {"value": gap, "low": gap - 0.2, "high": gap + 0.2}},
        ...     "log_likelihood": {"value": score},
        ... }
        >>> recommend({"gaussian": row(2.0, -90.0), "elliptical": row(2.1, -85.0)})["value"]
        'elliptical'
    """
    candidates = {
        name: row["gap"][space]
        for name, row in rows.items()
        if name in SAMPLERS
        and not sampler_class(name).baseline
        and row["gap"].get(space, {}).get("value") is not None
    }
    if not candidates:
        return {"value": None, "why": "no sampler was judged", "level": []}
    order = sorted(candidates, key=lambda name: candidates[name]["value"])
    best = order[0]
    level = [name for name in order if candidates[name]["low"] <= candidates[best]["high"]]
    scores = {name: rows[name]["log_likelihood"]["value"] for name in level}
    known = {name: score for name, score in scores.items() if score is not None}
    gap = f"{candidates[best]['value']:.2f} ({space} features)"
    if len(order) == 1:
        return {"value": best, "why": f"no other was judged; its gap is {gap}", "level": level}
    if len(level) == 1:
        return {"value": best, "why": f"its gap of {gap} is below every other's", "level": level}
    if not known:
        why = (
            f"its gap of {gap} is the smallest; {listed(level[1:])} came level, and none gives every "
            "held-out code a density"
        )
        return {"value": best, "why": why, "level": level}
    chosen = max(known, key=lambda name: known[name])
    others = [name for name in level if name != chosen]
    why = (
        f"in the gap it is level with {listed(others)} (smallest: {best}, {gap}), and of those with a "
        f"density it explains held-out codes best: {known[chosen]:.1f} nats a code"
    )
    second = sorted(known.values())[-2:-1]
    if second:
        why += f", {known[chosen] - second[0]:.1f} more than the next"
    return {"value": chosen, "why": why, "level": level}


def listed(names: list[str]) -> str:
    """Names as a sentence has them.

    Example:
        >>> listed(["a", "b", "c"])
        'a, b and c'
    """
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
