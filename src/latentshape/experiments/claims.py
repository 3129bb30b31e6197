"""The series, claim by claim: what was said, what is measured here, and whether it holds.

A claim is judged by a rule that is written beside it, on numbers that stand in a run's records. The answer is
*holds*, *holds partly*, *does not hold*, or *not measured*, with the reason, never a blank. A rule knows
nothing of the dataset; so the same claim may hold for faces and not for digits.

The claims are those of Ralph Mönchmeyer's posts on linux-blog.anracom.com (2023: "Autoencoders and latent
space fragmentation", here I to X) and machine-learning.anracom.com (2024: "Latent space distribution of a CAE
for face images", here CAE-I), in our words. Those marked *here* are findings of this project, put to the same
test. Errata are claims too: what mathematics decides needs no run.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from latentshape.errors import InputError
from latentshape.runs import RunFolder, read_record

__all__ = ["CLAIMS", "STATUSES", "Claim", "Evidence", "Found", "judge"]

HOLDS, PARTLY, NOT, UNMEASURED = "holds", "holds partly", "does not hold", "not measured"
STATUSES = (HOLDS, PARTLY, NOT, UNMEASURED)

Record = dict[str, Any]


class Unmeasured(Exception):
    """What a claim needs was not measured; the message says what."""


@dataclass(frozen=True)
class Found:
    """The answer to a claim.

    Attributes:
        status: From `STATUSES`.
        why: In a sentence, with the numbers.
        numbers: The numbers themselves, by name.
    """

    status: str
    why: str
    numbers: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Evidence:
    """What is known of one subject.

    Attributes:
        shape: ``shape.json``.
        card: ``scorecard.json``.
        experiments: Records of the run's experiments, by name.
        studies: Sweep records of this subject, by the study's name.
        refused: Why experiments and studies could not be made, by name.
    """

    shape: Record | None = None
    card: Record | None = None
    experiments: Mapping[str, Record] = field(default_factory=dict)
    studies: Mapping[str, Record] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        run: RunFolder,
        studies: Mapping[str, Record] | None = None,
        refused: Mapping[str, str] | None = None,
    ) -> Evidence:
        """What lies in a run folder; quick looks only where there is nothing else."""
        found = {}
        for folder in (run.series_path / "quick", run.series_path):
            for path in sorted(folder.glob("*.json")):
                found[path.stem] = read_record(path, "rows")
        return cls(
            read_record(run.shape_path, "n", "d") if run.shape_path.exists() else None,
            read_record(run.scorecard_path, "rows") if run.scorecard_path.exists() else None,
            found,
            studies or {},
            refused or {},
        )

    def cloud(self, *path: str) -> Any:
        """A number of ``shape.json``."""
        if self.shape is None:
            raise Unmeasured("the cloud was not measured (latentshape analyze)")
        return _at(self.shape, path, f"shape.json has no {'.'.join(path)} for these codes")

    def row(self, name: str, *path: str) -> float:
        """The value of a scorecard's entry."""
        if self.card is None:
            raise Unmeasured("nothing was judged yet (latentshape evaluate)")
        rows = self.card["rows"]
        if name not in rows:
            raise Unmeasured(f"{name} was not judged (latentshape evaluate)")
        entry = _at(rows[name], path, f"the scorecard has no {' '.join(path)} of {name}")
        if entry["value"] is None:
            words = " ".join(path).replace("_", " ")
            raise Unmeasured(f"{words} of {name}: {entry.get('why', 'there is no value')}")
        return float(entry["value"])

    def record(self, name: str) -> Record:
        """The record of an experiment."""
        if name in self.experiments:
            return self.experiments[name]
        why = self.refused.get(name)
        if why:
            raise Unmeasured(f"{name}: {why}")
        raise Unmeasured(f"the experiment {name} was not made (latentshape series {name})")

    def rows(self, name: str) -> list[Record]:
        """The rows of an experiment that could be judged."""
        rows = self.record(name)["rows"]
        judged = [row for row in rows if "why" not in row]
        if not judged:
            why = rows[0]["why"] if rows else "it has no rows"
            raise Unmeasured(f"{name}: {why}")
        return judged

    def by(self, name: str, field: str, *wanted: float) -> dict[float, Record]:
        """The same by a setting, with at least the wanted values of it."""
        found = {row[field]: row for row in self.rows(name)}
        for value in wanted:
            if value not in found:
                raise Unmeasured(f"{name} was not judged where {field} is {value:g}")
        return found

    @property
    def faces(self) -> bool:
        """Whether the detector finds faces in these images at all."""
        if self.card is not None:
            return self.card["rows"]["real"]["face_rate"]["value"] is not None
        records = self.experiments.values()
        return any("face_rate" in row for record in records for row in record["rows"])

    @property
    def likeness_name(self) -> str:
        """What `likeness` is here."""
        return "face rate" if self.faces else "precision"

    def likeness(self, row: Record) -> float:
        """The face rate of an experiment's row; of images without faces the precision."""
        return _value(row, "face_rate" if self.faces else "precision")

    def law_likeness(self, name: str) -> float:
        """The same of a law in the scorecard."""
        return self.row(name, "face_rate" if self.faces else "sampler_precision")

    def usual_likeness(self) -> float:
        """The likeness of reconstructions."""
        return self.law_likeness("reconstruction")


def _at(record: Any, path: tuple[str, ...], why: str) -> Any:
    for key in path:
        record = record.get(key) if isinstance(record, Mapping) else None
    if record is None:
        raise Unmeasured(why)
    return record


def _value(row: Record, key: str) -> float:
    """A judged number of an experiment's row; it has none where its pictures could not be compared."""
    if key not in row:
        raise Unmeasured(f"{key.replace('_', ' ')} of these pictures could not be judged")
    return float(row[key]["value"])


@dataclass(frozen=True)
class Claim:
    """One claim and its rule.

    Attributes:
        id: Short and stable.
        post: Where it stands: I to X, CAE-I, or *here*.
        claim: In our words.
        said: The series' own number or picture, in words.
        rule: Judges it.
    """

    id: str
    post: str
    claim: str
    said: str
    rule: Callable[[Evidence], Found]


def judge(claim: Claim, evidence: Evidence) -> Found:
    """The answer to one claim for one subject.

    Raises:
        InputError: A record is damaged, or of another version.
    """
    try:
        found = claim.rule(evidence)
        json.dumps(found.numbers, allow_nan=False)
        return found
    except Unmeasured as missing:
        return Found(UNMEASURED, _sentence(str(missing)))
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        raise InputError(
            f"The records behind claim {claim.id!r} are damaged or of another version ({error!r}). Make "
            "them again with: latentshape analyze, evaluate, series."
        ) from error


CLAIMS: list[Claim] = []
"""Every claim, post by post."""


def _claim(id: str, post: str, claim: str, said: str) -> Callable[[Rule], Rule]:
    def give(rule: Rule) -> Rule:
        CLAIMS.append(Claim(id, post, claim, said, rule))
        return rule

    return give


Rule = Callable[[Evidence], Found]


def _grade(holds: bool, partly: bool, why: str, **numbers: Any) -> Found:
    return Found(HOLDS if holds else PARTLY if partly else NOT, why, numbers)


def _sentence(words: str) -> str:
    """With a capital at the beginning and one full stop at the end, and nothing else changed."""
    return words[:1].upper() + words[1:].rstrip(".") + "."


# --- II: one component at a time; lengths ---------------------------------------------------------------


@_claim("components-gaussian", "II", "The number distribution of every component is like a Gaussian.",
        "by eye, on histograms of interval width 0.25")  # fmt: skip
def _components(e: Evidence) -> Found:
    (fit, k), (fit0, k0) = (
        [e.cloud("component_summary", *path, key) for key in ("fit_r2_mean", "excess_kurtosis_rms")]
        for path in ((), ("control",))
    )
    alike = fit >= fit0 - 0.02
    return _grade(
        alike and k <= 2 * k0, alike,
        f"Gaussian curves explain {fit:.4f} of the counts (a Gaussian's {fit0:.4f}); excess kurtosis is "
        f"{k:.2f} (rms; a Gaussian's {k0:.2f}).",
        fit_r2=fit, fit_r2_control=fit0, kurtosis_rms=k, kurtosis_rms_control=k0,
    )  # fmt: skip


@_claim("few-dominant", "II", "Most means lie near 0; a few components dominate.", "20 of 256")
def _dominant(e: Evidence) -> Found:
    d, count = e.cloud("d"), len(e.cloud("component_summary", "dominant"))
    if not count:
        return Found(NOT, f"None of {d} components dominates.", {"dominant": 0, "d": d})
    share = e.cloud("component_summary", "dominant_share_of_offset")
    times = share / (count / d)
    few = count <= 0.15 * d
    return _grade(
        few and times >= 3, few,
        f"Dominant: {count} of {d} components, with {share:.0%} of the squared distance of centre and "
        f"origin, {times:.1f} times their share of the components.",
        dominant=count, d=d, share_of_offset=share,
    )  # fmt: skip


@_claim("half-width", "II, VIII", "The half-width of a histogram tells the standard deviation.",
        "half-widths read off histograms; sigma from them")  # fmt: skip
def _half_width(e: Evidence) -> Found:
    ratio, control = (
        e.cloud("component_summary", *p, "half_width_ratio") for p in ((), ("control",))
    )
    return _grade(
        abs(ratio - 1) <= 0.05, abs(ratio - 1) <= 0.15,
        f"Half-width over 1.1774 standard deviations: {ratio:.3f} on average (a Gaussian's, by the same "
        f"counting, {control:.3f}).",
        ratio=ratio, control=control,
    )  # fmt: skip


@_claim("cube-length", "II", "Uniform codes with |x| ≤ b have the lengths of real ones for b = 1.5.",
        "b = 1.5 best, 1 to 2 usable, 5 far off")  # fmt: skip
def _cube_length(e: Evidence) -> Found:
    b = e.cloud("radius", "best_cube_b")
    usable = 1 <= b <= 2
    return _grade(
        1.25 <= b <= 1.75, usable,
        f"Equal mean length at b = {b:.2f}"
        + ("." if usable else ": the scale of the codes is a matter of training, not a constant."),
        b=b,
    )  # fmt: skip


@_claim("lengths-broader", "II", "Lengths of real codes vary more than those of uniform codes.",
        "plots of both distributions")  # fmt: skip
def _lengths(e: Evidence) -> Found:
    own, cube = e.cloud("radius", "std"), e.cloud("radius", "cube", "std")
    return _grade(
        own > 1.5 * cube, own > cube,
        f"Standard deviation of the length {own:.2f}, of the matching cube {cube:.2f}, of the "
        "Gaussian control "
        f"{e.cloud('radius', 'control', 'std'):.2f}.",
        codes=own, cube=cube,
    )  # fmt: skip


# --- III, IV: correlations; the surroundings of the origin -----------------------------------------------


@_claim("correlated", "III", "Many pairs of components are correlated.",
        "of 32,640 pairs 44 with |r| above 0.3, 16 above 0.5; strongest -0.846")  # fmt: skip
def _correlated(e: Evidence) -> Found:
    pairs = e.cloud("correlation", "n_pairs")
    if not pairs:
        raise Unmeasured("there is no pair of components")
    counts, chance = e.cloud("correlation", "counts"), e.cloud("correlation", "independent")
    strongest = e.cloud("correlation", "max_abs")
    beyond = {key: counts[key] - chance[key] - 3 * chance[key] ** 0.5 for key in ("0.1", "0.3")}
    would = f"{chance['0.3']:,.1f}" if chance["0.3"] >= 0.05 else "none"
    return _grade(
        beyond["0.3"] >= 1e-3 * pairs and strongest > 0.5, beyond["0.1"] >= 1e-2 * pairs,
        f"Of {pairs:,} pairs {counts['0.3']:,} have |r| above 0.3 and {counts['0.5']:,} above 0.5; the "
        f"strongest has {strongest:.3f}. Of independent components {would} would lie above 0.3.",
        counts=counts, strongest=strongest, independent=chance["0.3"],
    )  # fmt: skip


@_claim("dominant-correlated", "III", "The strongest correlations are among the dominant components.",
        "most of the 16 strongest pairs")  # fmt: skip
def _dominant_correlated(e: Evidence) -> Found:
    found = e.cloud("component_summary", "dominant_in_correlated_pairs")
    both, chance, dominant = found["both"], found["expected_by_chance"], found["dominant"]
    if not dominant:
        raise Unmeasured("no component dominates here")
    return _grade(
        both >= 2 * chance and both >= dominant / 2, both > chance,
        f"In a pair with |r| above {found['threshold']:g}: {both} of {dominant} dominant components; "
        f"{chance:.1f} would be by chance.",
        both=both, dominant=dominant, by_chance=chance,
    )  # fmt: skip


@_claim("subsample", "III", "5,000 codes are enough for the correlations.", "5,000 of 170,000")
def _subsample(e: Evidence) -> Found:
    found = e.cloud("correlation", "subsample")
    if found.get("max_error") is None:
        raise Unmeasured("there are too few codes to set 5,000 beside all")
    return _grade(
        found["max_error"] <= 0.07, found["max_error"] <= 0.15,
        f"On {found['n']:,} codes a coefficient is off by {found['rms_error']:.3f} (rms), at most "
        f"{found['max_error']:.3f}.",
        max_error=found["max_error"], rms_error=found["rms_error"],
    )  # fmt: skip


@_claim("coefficients-range", "III", "Pearson's coefficients lie between 0 and 1.",
        "a slip in the text; the tables show negative ones")  # fmt: skip
def _coefficients(e: Evidence) -> Found:
    return Found(
        NOT, "They lie in [-1, 1]; of the 16 strongest pairs of the series 10 are negative."
    )


@_claim("principal-axes-of", "IX", "PCA diagonalises the matrix of Pearson's coefficients.",
        "a slip in the text")  # fmt: skip
def _diagonalises(e: Evidence) -> Found:
    return Found(
        NOT, "It diagonalises the covariance; the two differ unless components are standardised."
    )


@_claim("slab-empty", "III, IV", "Next to no code lies near the origin in all components but two.",
        "39 to 70 of 80,000 within 1.5; 60 of 5,000 within 2")  # fmt: skip
def _slab(e: Evidence) -> Found:
    n = e.cloud("n")
    if e.cloud("d") < 3:
        raise Unmeasured("beside two components there is no other")
    slabs = [s for p in e.cloud("origin", "planes") for s in p["slabs"] if s["b"] == 1.5]
    if not slabs:
        raise Unmeasured("there is no plane of two components to look at")
    most, control = max(s["count"] for s in slabs), max(s["control"] for s in slabs)
    return _grade(
        most <= 1e-3 * n, most <= 1e-2 * n,
        f"Within 1.5, over {len(slabs)} choices of the two: {_at_most(most)} of {n:,} codes (of the control "
        f"{_at_most(control)}).",
        most=most, control=control, n=n,
    )  # fmt: skip


def _at_most(count: int) -> str:
    return f"at most {count:,}" if count else "none"


@_claim("origin-border", "III, IV", "The origin lies in the border region of the cloud, or outside.",
        "scatter plots")  # fmt: skip
def _origin(e: Evidence) -> Found:
    share, offset, root = (
        e.cloud("centre", "origin_quantile"),
        e.cloud("centre", "offset_sigma"),
        e.cloud("centre", "sqrt_d"),
    )
    return _grade(
        share >= 0.95, share >= 0.75,
        f"{share:.2%} of the codes lie nearer to the centre than the origin, which is "
        f"{offset:.1f} standard "
        f"deviations away (√d = {root:.1f}).",
        quantile=share, offset_sigma=offset,
    )  # fmt: skip


@_claim("cube-in-voids", "IV", "Codes drawn uniformly around the origin lie in voids.",
        "200 points, mostly in voids")  # fmt: skip
def _voids(e: Evidence) -> Found:
    rows = e.rows("cubes")
    inside = max(row["within_cloud"] for row in rows)
    cubes = ", ".join(f"{row['b']:g}" for row in rows)
    digits = ".0%" if inside >= 0.01 else ".1%"  # of 512 draws
    share = f"at most {inside:{digits}} of the draws lie" if inside else "no draw lies"
    return _grade(
        inside <= 0.01, inside <= 0.1,
        f"Cubes of b = {cubes}: {share} inside the 99 % radius of the codes.",
        within_cloud=inside,
    )  # fmt: skip


# --- V to VII: pictures from around the origin, along paths, by intervals ---------------------------------


@_claim("cubes-fail", "V", "Cubes around the origin give no faces, for no b.",
        "batches of 512 at b = 1, 1.5, 2, 5")  # fmt: skip
def _cubes(e: Evidence) -> Found:
    rows, usual = e.rows("cubes"), e.usual_likeness()
    best = max(rows, key=e.likeness)
    rate, cover = e.likeness(best), max(_value(row, "coverage") for row in rows)
    return _grade(
        rate <= usual / 2, cover <= 0.5,
        f"Best {e.likeness_name} {rate:.2f}, at b = {best['b']:g} (reconstructions {usual:.2f}); they cover "
        f"at most {cover:.0%} of what reconstructions show.",
        best=rate, b=best["b"], reconstructions=usual, coverage=cover,
    )  # fmt: skip


@_claim("faces-near-centre", "VI",
        "On the way from the origin to the centre, faces appear near the centre only.",
        "6 points on the line")  # fmt: skip
def _path(e: Evidence) -> Found:
    rows = e.by("centring", "centre", 0.0, 0.5, 0.75, 1.0)
    rates = {t: e.likeness(row) for t, row in rows.items()}
    none, half, there = rates[0.0], rates[0.5], rates[1.0]
    return _grade(
        half <= there / 2, none <= there / 2,
        f"{e.likeness_name.capitalize()} of the whole cloud moved to 0, ½, ¾ and all of the way: {none:.2f}, "
        f"{half:.2f}, {rates[0.75]:.2f}, {there:.2f}.",
        rates={str(k): v for k, v in rates.items()},
    )  # fmt: skip


@_claim("mean-female", "VI", "The average face, the decoded mean, is female.", "seen")
def _female(e: Evidence) -> Found:
    read = e.record("radius")["mean_image"]
    name = next((key for key in read if key.split(":")[-1].lower() == "male"), None)
    if name is None:
        raise Unmeasured(read.get("why", "these images have no attribute of sex"))
    return _grade(
        read[name] < 0.5, False,
        f"The attribute network gives the decoded mean a probability of {read[name]:.3f} to be male.",
        male=read[name],
    )  # fmt: skip


@_claim("core-and-border", "VI",
        "Points inside the core give faces, points at the border or outside do not.",
        "lines through the centre in ten planes")  # fmt: skip
def _core(e: Evidence) -> Found:
    rows = {at: e.likeness(row) for at, row in e.by("radius", "at", 0.5, 1.0, 2.0, 3.0).items()}
    usual = e.usual_likeness()
    inside = rows[0.5] >= 0.95 * usual
    return _grade(
        inside and rows[2.0] <= 0.5 * usual, inside and rows[3.0] <= 0.8 * usual,
        f"{e.likeness_name.capitalize()} at ½, 1, 2 and 3 times √d from the centre: {rows[0.5]:.2f}, "
        f"{rows[1.0]:.2f}, {rows[2.0]:.2f}, {rows[3.0]:.2f} (reconstructions {usual:.2f}).",
        rates={str(k): v for k, v in rows.items()}, reconstructions=usual,
    )  # fmt: skip


@_claim("intervals-mixed", "VII", "Intervals of each component, correlations ignored, give mixed results.",
        "7 x 3 images for several factors")  # fmt: skip
def _intervals(e: Evidence) -> Found:
    rows, usual = e.rows("intervals"), e.usual_likeness()
    rates = [e.likeness(row) for row in rows]
    recall, joint = max(_value(row, "recall") for row in rows), e.row("gaussian", "sampler_recall")
    good, bad = max(rates) >= 0.8 * usual, min(rates) < 0.8 * usual
    poor = recall <= 0.5 * joint
    return _grade(
        good and bad, bad or poor,
        f"{e.likeness_name.capitalize()} {min(rates):.2f} to {max(rates):.2f}, by factor (reconstructions "
        f"{usual:.2f}); recall at most {recall:.2f} (with correlations {joint:.2f})"
        + (": it is the variety that fails." if poor and not bad else "."),
        rates=rates, recall=recall, recall_gaussian=joint,
    )  # fmt: skip


@_claim("correlations-needed", "VII, CAE-I", "Without the correlations the pictures are disturbed.",
        "claimed, from 21 images a factor")  # fmt: skip
def _needed(e: Evidence) -> Found:
    apart, joint = (e.row(name, "gap", "random-conv") for name in ("diagonal", "gaussian"))
    return _grade(
        apart >= 2 * joint, apart > 1.2 * joint,
        f"Gap {apart:.1f} with each component's own mean and variance, {joint:.1f} with all correlations.",
        diagonal=apart, gaussian=joint,
    )  # fmt: skip


@_claim("axis-wise-fails", "CAE-I", "Gaussians per axis, with right mean and variance, fail to give faces.",
        "claimed")  # fmt: skip
def _axis_wise(e: Evidence) -> Found:
    usual, rate = e.usual_likeness(), e.law_likeness("diagonal")
    recall, joint = (e.row(name, "sampler_recall") for name in ("diagonal", "gaussian"))
    poor = recall <= joint / 2
    return _grade(
        rate <= usual / 2, poor,
        f"{e.likeness_name.capitalize()} {rate:.2f} (reconstructions {usual:.2f}); recall {recall:.2f} "
        f"against {joint:.2f} with correlations"
        + (": it is the variety that fails." if poor and rate >= 0.8 * usual else "."),
        rate=rate, reconstructions=usual, recall=recall, recall_gaussian=joint,
    )  # fmt: skip


@_claim(
    "nearest-codes",
    "VII",
    "Moving drawn codes toward real ones should make them better.",
    "an idea",
)
def _nearest(e: Evidence) -> Found:
    rows = e.rows("correction")
    kept = {row["strength"]: row for row in rows if row["keep_radius"]}
    moved = [row for strength, row in kept.items() if strength]
    if 0.0 not in kept or not moved:
        raise Unmeasured("correction was not judged with and without a move at equal radius")
    still, best = kept[0.0], min(moved, key=lambda row: _value(row, "gap"))
    copies = f"{best['copies']:.1%}" if best["copies"] else "no"
    free = [_value(row, "radius") for row in rows if not row["keep_radius"]]
    before = _value(still, "radius")
    words = ""
    if free and min(free) < 0.95 * before:
        words = f" Where the radius is not kept, it shrinks from {before:.1f} to {min(free):.1f}."
    return _grade(
        best["gap"]["high"] < still["gap"]["low"], False,
        f"At equal radius the gap goes from {_value(still, 'gap'):.1f} to {_value(best, 'gap'):.1f} at best, "
        f"at strength {best['strength']:g}, with {copies} copies.{words}",
        before=_value(still, "gap"), after=_value(best, "gap"), strength=best["strength"],
        copies=best["copies"],
    )  # fmt: skip


# --- VIII, IX: ellipses; principal components -----------------------------------------------------


@_claim("ellipses", "VIII", "Density contours of pairs are ellipses up to about 2.5 sigma.",
        "contours over confidence ellipses, by eye")  # fmt: skip
def _ellipses(e: Evidence) -> Found:
    off, control = _off_ellipse(e, "components")
    return _grade(
        off <= 1.5 * control, off <= 0.2,
        f"Contours up to 2.5σ are off their ellipses by at most {off:.0%} (rms over directions; a "
        f"Gaussian's, by the same estimate, {control:.0%}).",
        deviation=off, control=control,
    )  # fmt: skip


def _off_ellipse(e: Evidence, plane: str) -> tuple[float, float]:
    """Greatest deviation of contours up to 2.5 sigma from their ellipses, mean over planes; control's."""
    contours = [c for c in e.cloud("planes", "contours") if c["plane"] == plane]
    if not contours:
        raise Unmeasured("there is no plane of two components to look at")
    sigmas = [k for k, entry in enumerate(contours[0]["deviation"]) if entry["sigma"] <= 2.5]
    off, control = (
        max(sum(c[key][k]["rms"] for c in contours) / len(contours) for k in sigmas)
        for key in ("deviation", "control")
    )
    return off, control


def _covered(e: Evidence, sigma: float) -> tuple[float, float, float]:
    rows = {row["sigma"]: row for row in e.cloud("ellipses", "coverage")}
    if sigma not in rows:
        raise Unmeasured("there is no pair of components")
    row = rows[sigma]
    return row["observed"], row["expected"], row["control"]


@_claim("coverage-2", "VIII",
        "A 2 sigma ellipse holds 70 to 90 % of the points, depending on its eccentricity.",
        "70 to 90 %")  # fmt: skip
def _coverage_2(e: Evidence) -> Found:
    seen, law, control = _covered(e, 2.0)
    inside = 0.7 <= seen <= 0.9
    return _grade(
        False, inside,
        f"It holds {seen:.2%} on average (control {control:.2%}), {'in' if inside else 'outside'} the range "
        f"named; but of a Gaussian it holds 1 - exp(-2) = {law:.2%} whatever its eccentricity.",
        observed=seen, expected=law, control=control,
    )  # fmt: skip


@_claim("coverage-3", "VIII", "A 3 sigma ellipse holds about 97 %.", "about 97 %")
def _coverage_3(e: Evidence) -> Found:
    seen, law, control = _covered(e, 3.0)
    return _grade(
        abs(seen - 0.97) <= 0.005, False,
        f"It holds {seen:.2%} (control {control:.2%}); a Gaussian's holds 1 - exp(-9/2) = {law:.2%}.",
        observed=seen, expected=law, control=control,
    )  # fmt: skip


@_claim(
    "tails", "CAE-I", "Beyond 2.5 sigma the tails deviate from a Gaussian.", "seen in scatter plots"
)
def _tails(e: Evidence) -> Found:
    seen, law, control = _covered(e, 3.0)
    off = abs(seen - law)
    # Pairs hang together: their mean is as sure as one over half as many as there are directions.
    pairs = max(1.0, e.cloud("pca", "effective_dimension") / 2)
    error = (law * (1 - law) / e.cloud("n") / pairs) ** 0.5
    return _grade(
        off >= max(0.002, 3 * error, 2 * abs(control - law)), False,
        f"Outside 3σ ellipses lie {1 - seen:.2%} of the points instead of {1 - law:.2%} (control "
        f"{1 - control:.2%}).",
        outside=1 - seen, expected=1 - law, control=1 - control, standard_error=error,
    )  # fmt: skip


@_claim("principal-gaussian", "IX", "The principal components are Gaussian too.", "by eye")
def _principal(e: Evidence) -> Found:
    kurtosis = [axis["excess_kurtosis"] for axis in e.cloud("pca", "axes")[:10]]
    worst = max(map(abs, kurtosis))
    bound = 3 * (24 / e.cloud("n")) ** 0.5  # three standard errors: ten are looked at
    return _grade(
        worst <= bound, worst <= 0.5,
        f"Excess kurtosis of the first {len(kurtosis)}: " + ", ".join(f"{k:+.2f}" for k in kurtosis)
        + f" (a Gaussian's: within ±{bound:.2f}).",
        worst=worst, bound=bound,
    )  # fmt: skip


@_claim("principal-ellipses", "IX", "In principal components the ellipses stay ellipses, along the axes.",
        "recalled in later posts")  # fmt: skip
def _principal_ellipses(e: Evidence) -> Found:
    off, control = _off_ellipse(e, "pca")
    return _grade(
        off <= 1.5 * control, off <= 0.2,
        "In the plane of the first two, contours up to 2.5σ are off the ellipse along the axes by at most "
        f"{off:.0%} (rms over directions; a Gaussian's, by the same estimate, {control:.0%}).",
        deviation=off, control=control,
    )  # fmt: skip


@_claim("few-axes", "IX, X", "A part of the principal components carries most of the variance.",
        "50 to 120 of 256 used")  # fmt: skip
def _few_axes(e: Evidence) -> Found:
    explained, d = e.cloud("pca", "explained"), e.cloud("d")
    total, needed = 0.0, 0
    while total < 0.9 and needed < d:
        total, needed = total + explained[needed], needed + 1
    effective = e.cloud("pca", "effective_dimension")
    return _grade(
        needed <= 0.5 * d, needed <= 0.8 * d,
        f"{needed} of {d} carry 90 % of it; the effective dimension (Σλ)²/Σλ² is {effective:.1f}.",
        needed=needed, d=d, effective_dimension=effective,
    )  # fmt: skip


# --- X: the generator -----------------------------------------------------------------------------


@_claim(
    "generator",
    "X",
    "Pairwise ellipses in principal components generate faces.",
    "pictures of 20 draws",
)
def _generator(e: Evidence) -> Found:
    rows = [row for row in e.rows("pairwise") if "coordinates" not in row]
    usual, best = e.usual_likeness(), max(map(e.likeness, rows), default=None)
    if best is None:
        raise Unmeasured("pairwise ellipses in principal components were not judged")
    return _grade(
        best >= 0.95 * usual, best >= 0.7 * usual,
        f"Best {e.likeness_name} {best:.2f} (reconstructions {usual:.2f}).",
        best=best, reconstructions=usual,
    )  # fmt: skip


@_claim("generator-truncates", "here",
        "The pairwise generator draws a truncated cloud: clear pictures, little variety.",
        "by computation, a mean Mahalanobis radius 0.38 to 0.67 of a real code's")  # fmt: skip
def _truncates(e: Evidence) -> Found:
    rows = _at_fact(e, 0.7)
    recall, radius = (max(_value(row, key) for row in rows) for key in ("recall", "radius"))
    usual, root = e.row("gaussian", "sampler_recall"), e.cloud("centre", "sqrt_d")
    short = radius <= 0.8 * root
    return _grade(
        short and recall <= 0.6 * usual, short and recall <= 0.9 * usual,
        f"At fact 0.7 recall is at most {recall:.2f} (Gaussian {usual:.2f}); mean radius at most "
        f"{radius / root:.2f} √d.",
        recall=recall, recall_gaussian=usual, radius=radius / root,
    )  # fmt: skip


def _at_fact(e: Evidence, fact: float) -> list[Record]:
    """Rows of the pairwise ellipses in principal components with this factor."""
    rows = [row for row in e.rows("pairwise") if row["fact"] == fact and "coordinates" not in row]
    if not rows:
        raise Unmeasured(f"pairwise ellipses were not judged at fact {fact:g}")
    return rows


@_claim("all-components-fail", "X", "With all components the generator fails; 50 to 120 of 256 are usable.",
        "all 256 failed")  # fmt: skip
def _all_fail(e: Evidence) -> Found:
    d = e.cloud("d")
    rows = {row.get("components", d): row for row in _at_fact(e, 0.7) if "method" not in row}
    whole = rows.pop(d, None)
    if whole is None or not rows:
        raise Unmeasured("pairwise ellipses were not judged with all components and with fewer")
    all_of_them, best = e.likeness(whole), max(map(e.likeness, rows.values()))
    gap, least = _value(whole, "gap"), min(_value(row, "gap") for row in rows.values())
    fails = all_of_them <= 0.9 * best
    return _grade(
        all_of_them <= best / 2, fails,
        f"{e.likeness_name.capitalize()} with all {d}: {all_of_them:.2f}, with fewer at best {best:.2f}; gap "
        f"{gap:.0f} against {least:.0f}."
        + ("" if fails else " Widths from eigenvalues, not from counted intervals, make all of them usable."),
        all=all_of_them, fewer=best, gap_all=gap, gap_fewer=least,
    )  # fmt: skip


@_claim("original-coordinates", "X",
        "Ellipses in the original coordinates would do as well as in principal components.",
        "a question")  # fmt: skip
def _original(e: Evidence) -> Found:
    own = [row for row in e.rows("pairwise") if row.get("coordinates") == "original"]
    if not own:
        raise Unmeasured("pairwise ellipses in original coordinates were not judged")
    rate, best = e.likeness(own[0]), max(map(e.likeness, _at_fact(e, own[0]["fact"])))
    gap, least = (
        _value(own[0], "gap"),
        min(_value(row, "gap") for row in _at_fact(e, own[0]["fact"])),
    )
    return _grade(
        rate >= 0.95 * best and gap <= 1.1 * least, rate >= 0.95 * best,
        f"{e.likeness_name.capitalize()} {rate:.2f}, gap {gap:.0f}; in principal components at best "
        f"{best:.2f} and {least:.0f}. The published procedure, one pass over all pairs, does not end inside "
        "all of their tilted ellipses.",
        original=rate, principal=best, gap_original=gap, gap_principal=least,
    )  # fmt: skip


@_claim(
    "pair-checks",
    "X",
    "A draw has to be checked against all 32,640 pairs.",
    "pairs in random order, one draw after the other",
)
def _checks(e: Evidence) -> Found:
    return Found(
        NOT,
        "In principal components the region is known in closed form and is drawn from exactly, in 256 "
        "dimensions 16,000 to 23,000 times as fast as pair by pair.",
    )


@_claim(
    "memory",
    "X",
    "Only 100,000 of the 170,000 codes can be used at once.",
    "100,000 codes for the PCA",
)
def _memory(e: Evidence) -> Found:
    return Found(
        NOT,
        "170,000 x 256 codes are 174 MB in single precision, their covariance is 0.5 MB and is summed "
        "block by block: everything about them was measured in 112 MiB beside the codes.",
    )


# --- CAE-I: the whole cloud -----------------------------------------------------------------------


@_claim("multivariate-normal", "CAE-I",
        "The codes of a plain autoencoder form a multivariate normal distribution.",
        "claimed, from pairs")  # fmt: skip
def _normal(e: Evidence) -> Found:
    value, why = _verdict(e, "multivariate_normal")
    ratio, control = (
        e.cloud("mahalanobis", *path, "variance_ratio") for path in ((), ("control",))
    )
    seen, law, _ = _covered(e, 2.0)
    near = (
        abs(seen - law) <= 0.01
        and ratio <= 5
        and e.cloud("verdict", "regions")["value"] in (1, None)
    )
    return _grade(
        bool(value), near,
        f"{why} The variance of the squared radius is {ratio:.1f} times a Gaussian's (control "
        f"{control:.2f}).",
        variance_ratio=ratio, control=control,
    )  # fmt: skip


def _verdict(e: Evidence, name: str) -> tuple[Any, str]:
    """What the verdict on the cloud says, and why, as a sentence; undecided is not measured."""
    found = e.cloud("verdict", name)
    if found["value"] is None:
        raise Unmeasured(f"undecided: {found['why'] or 'no reason was kept'}")
    return found["value"], _sentence(found["why"])


@_claim(
    "elliptical",
    "CAE-I",
    "The cloud is an ellipsoid: one law of the radius in all directions.",
    "by eye",
)
def _elliptical(e: Evidence) -> Found:
    value, why = _verdict(e, "elliptical")
    return _grade(bool(value), False, why)


@_claim("one-region", "VIII, CAE-I", "The codes fill one confined region.", "by eye")
def _region(e: Evidence) -> Found:
    count, why = _verdict(e, "regions")
    return _grade(count == 1, False, f"Regions: {count}. {why}", regions=count)


@_claim("voids-inside", "CAE-I", "There are voids even near the centre.", "close-ups")
def _inside(e: Evidence) -> Found:
    ratios = {g["place"]: g["ratio"] for g in e.cloud("voids", "places") if g["whitened"]}
    if "near centre" not in ratios:
        raise Unmeasured("there are too few codes near the centre")
    ratio = ratios["near centre"]
    return _grade(
        ratio > 1.5, ratio > 1.1,
        f"From a place near the centre it is {ratio:.2f} times as far to the nearest code as in a Gaussian "
        "of the same size and covariance"
        + ("." if ratio > 1.1 else ": close-ups of so many dimensions look empty for every cloud."),
        ratio=ratio,
    )  # fmt: skip


@_claim("background", "CAE-I", "Beyond 3 sigma variations of the background dominate.", "seen")
def _background(e: Evidence) -> Found:
    e.row("real", "face_rate")  # without faces there is no background
    rows = {at: row["outside"] for at, row in e.by("radius", "at", 1.0, 2.0, 3.0).items()}
    real = e.record("radius")["real_outside"]
    return _grade(
        rows[3.0] >= max(0.5, 1.1 * rows[1.0]), rows[3.0] > 1.05 * rows[1.0],
        f"Share of the variance outside the face mask at 1, 2 and 3 times √d: {rows[1.0]:.2f}, "
        f"{rows[2.0]:.2f}, {rows[3.0]:.2f}; of real pictures {real:.2f}.",
        shares={str(k): v for k, v in rows.items()}, real=real,
    )  # fmt: skip


@_claim("generator-plain", "X, CAE-I",
        "A plain autoencoder, drawn from inside its cloud, generates new faces.",
        "pictures")  # fmt: skip
def _plain(e: Evidence) -> Found:
    rate, usual, novelty = (
        e.law_likeness("gaussian"),
        e.usual_likeness(),
        e.row("gaussian", "novelty"),
    )
    return _grade(
        rate >= 0.95 * usual and novelty >= 0.8, rate >= 0.8 * usual and novelty >= 0.5,
        f"N(μ, Σ): {e.likeness_name} {rate:.3f} (reconstructions {usual:.3f}); distance to the nearest "
        f"training image {novelty:.2f} times that of unseen images' reconstructions (0 would be a copy).",
        rate=rate, reconstructions=usual, novelty=novelty,
    )  # fmt: skip


@_claim(
    "dimension-needed",
    "CAE-I",
    "Too few dimensions break the Gaussian form (central limit).",
    "a question",
)
def _dimensions(e: Evidence) -> Found:
    values = _study(e, "latent-dimension", "latent_dim", "kurtosis_rms")
    first, last = min(values), max(values)
    return _grade(
        values[first] > 1.5 * values[last], values[first] > values[last],
        "Excess kurtosis of the components (rms) by dimension: "
        + ", ".join(f"{d:g}: {v:.2f}" for d, v in sorted(values.items())) + ".",
        kurtosis={str(k): v for k, v in values.items()},
    )  # fmt: skip


def _study(e: Evidence, name: str, field: str, measure: str) -> dict[Any, float]:
    """Mean of a measure over seeds, by the value of a study's field."""
    from latentshape.experiments.studies import STUDIES
    from latentshape.experiments.sweep_record import grouped

    record = e.studies.get(name)
    if record is None and name in e.refused:
        raise Unmeasured(e.refused[name])
    if record is None:
        asked = ", ".join(STUDIES[name].subjects)
        raise Unmeasured(
            f"the study {name}, which asks {asked}, was not made (latentshape series {name})"
        )
    found = {
        group["varied"][field]: group["values"][measure]["value"]
        for group in grouped(record["rows"]) if measure in group["values"]
    }  # fmt: skip
    if len(found) < 2:
        raise Unmeasured(f"the study {name} has no {measure} of two settings of {field}")
    return found


@_claim("batch-norm", "CAE-I", "Batch normalisation changes the distribution.", "a question")
def _batch_norm(e: Evidence) -> Found:
    offset = _study(e, "batch-norm", "batch_norm", "offset_sigma")
    ratio = _study(e, "batch-norm", "batch_norm", "variance_ratio")
    shape = max(ratio.values()) >= 1.5 * min(ratio.values())
    place = max(offset.values()) >= 1.5 * min(offset.values())
    return _grade(
        shape and place, shape or place,
        f"Without and with it: origin {offset[False]:.1f} and {offset[True]:.1f} standard "
        "deviations from the "
        f"centre; variance of the squared radius {ratio[False]:.1f} and {ratio[True]:.1f} times a "
        "Gaussian's.",
        offset_sigma={str(k): v for k, v in offset.items()},
        variance_ratio={str(k): v for k, v in ratio.items()},
    )  # fmt: skip


@_claim(
    "attribute-clusters", "X", "Hair colour, sex, smiling form clusters in the cloud.", "a question"
)
def _clusters(e: Evidence) -> Found:
    regions, _ = _verdict(e, "regions")
    apart = {}
    if "attributes" in e.experiments:
        apart = {
            row["attribute"]: row["apart_sigma"]
            for row in e.rows("attributes") if row.get("apart_sigma") is not None
        }  # fmt: skip
    if regions > 1 and not apart:
        raise Unmeasured(
            f"there are {regions} regions, but nothing is known of the pictures in them"
        )
    words, numbers = "", {}
    if apart:
        most = max(apart, key=lambda name: apart[name])
        numbers = {"farthest": apart[most]}
        words = (
            f" Farthest apart are the classes of {most}: their centres by {apart[most]:.1f} standard "
            "deviations."
        )
    if regions > 1:
        words += " Whether the regions are classes of attributes was not tested."
    return _grade(False, regions > 1, f"Regions: {regions}.{words}", regions=regions, **numbers)


@_claim("attribute-directions", "CAE-I", "Attributes have directions in the cloud.", "a question")
def _directions(e: Evidence) -> Found:
    rows = [
        row for row in e.rows("attributes") if row.get("yes") is not None and row["discriminant"]
    ]
    if not rows:
        raise Unmeasured("no attribute of yes and no is known of these images")
    areas = sorted(row["discriminant"]["value"] for row in rows)
    chance = max(
        (abs(row["control"]["value"] - 0.5) for row in rows if row["control"]), default=0.0
    )
    middle = areas[len(areas) // 2]
    return _grade(
        middle >= 0.8, middle >= 0.5 + 2 * chance,
        f"A linear discriminant ranks held-out codes of {len(rows)} attributes with an area under the ROC "
        f"curve of {areas[0]:.2f} to {areas[-1]:.2f}, {middle:.2f} in the middle (shuffled: 0.5 ± "
        f"{chance:.2f} at most).",
        least=areas[0], middle=middle, greatest=areas[-1], shuffled=chance,
    )  # fmt: skip


@_claim(
    "attribute-wishes",
    "CAE-I",
    "Faces with chosen attributes can be drawn from the cloud.",
    "a question",
)
def _wishes(e: Evidence) -> Found:
    best: dict[str, float] = {}
    for row in e.rows("attributes"):
        if row.get("ratio") and row["law"] != "training-codes":
            name = row["condition"]
            best[name] = max(best.get(name, 0.0), row["ratio"]["value"])
    if not best:
        raise Unmeasured("no condition has enough held-out images to compare with")
    return _grade(
        min(best.values()) >= 0.9, sum(best.values()) / len(best) >= 0.7,
        "How often the attribute network finds what was asked for, over how often in reconstructions of "
        "held-out images that have it, by the best law: "
        + ", ".join(f"{name} {value:.2f}" for name, value in best.items()) + ".",
        ratio=best,
    )  # fmt: skip


@_claim(
    "maps-features", "CAE-I", "Single innermost maps stand for single attributes.", "a question"
)
def _maps(e: Evidence) -> Found:
    record = e.experiments.get("innermost")
    if record is None:
        raise Unmeasured("the experiment innermost (latentshape series innermost)")
    middle, chance = (
        record["summary"]["median"],
        record["summary"]["largest_by_chance"]["attributes"],
    )
    if middle.get("attribute_r") is None:
        raise Unmeasured("nothing is known of these images that varies")
    tops = [row["attribute"] for row in record["rows"] if row.get("attribute")]
    usual = max(set(tops), key=lambda name: (tops.count(name), name))
    r, own, fine = middle["attribute_r"], middle["frequency"], middle["untrained_frequency"]
    return _grade(
        r >= 0.5**0.5, r >= 2 * chance,  # half of a map's variance
        f"The attribute that goes with a map most has |r| = {r:.2f} in the middle of "
        f"{record['summary']['maps']} maps (by chance at most {chance:.2f}), most often {usual}. What "
        f"excites a map most is a texture of {own:.1f} cycles per picture; before learning of {fine:.1f}.",
        r=r, by_chance=chance, frequency=own, untrained_frequency=fine,
    )  # fmt: skip


# --- here: what the series did not ask ------------------------------------------------------------


@_claim(
    "heavy-radius",
    "here",
    "The 2 sigma ellipse is blind to the cloud's heavy radius.",
    "not in the series",
)
def _heavy(e: Evidence) -> Found:
    (one, law1, _), (two, law2, _), (three, law3, _) = (_covered(e, s) for s in (1.0, 2.0, 3.0))
    ratio, control = (
        e.cloud("mahalanobis", "variance_ratio"),
        e.cloud("mahalanobis", "control", "variance_ratio"),
    )
    blind = abs(two - law2) < min(abs(one - law1), abs(three - law3)) or abs(two - law2) <= 0.005
    return _grade(
        blind and ratio >= 2, ratio >= 1.5,
        f"Coverage at 1, 2, 3σ: {one:.4f}, {two:.4f}, {three:.4f} (law {law1:.4f}, {law2:.4f}, "
        f"{law3:.4f}); "
        f"variance of the squared radius {ratio:.1f} times the law's (control {control:.2f}).",
        coverage=[one, two, three], variance_ratio=ratio, control=control,
    )  # fmt: skip


@_claim("centring", "here", "Wrong centring is what makes a plain autoencoder look bad.",
        "published tables give N(0, I), or N(0, Σ), as 'a Gaussian'")  # fmt: skip
def _centring(e: Evidence) -> Found:
    both, centre, cov, none = (
        e.row(name, "gap", "random-conv")
        for name in ("gaussian", "zero-mean", "centred", "standard-normal")
    )
    return _grade(
        centre >= 2 * both and centre >= cov, centre >= 1.5 * both,
        f"Gap with both right {both:.1f}, with the wrong centre {centre:.1f}, with the wrong "
        f"covariance {cov:.1f}, "
        f"with both wrong {none:.1f}.",
        both_right=both, wrong_centre=centre, wrong_covariance=cov, both_wrong=none,
    )  # fmt: skip


@_claim("same-cloud-elsewhere", "here", "The very same codes, moved around the origin, decode to no faces.",
        "not in the series")  # fmt: skip
def _elsewhere(e: Evidence) -> Found:
    rows = e.by("centring", "centre", 0.0, 1.0)
    away, there = (e.likeness(rows[t]) for t in (0.0, 1.0))
    gap_away, gap_there = (_value(rows[t], "gap") for t in (0.0, 1.0))
    return _grade(
        away <= there / 2, gap_away >= 2 * gap_there,
        f"{e.likeness_name.capitalize()} {there:.2f} where they are, {away:.2f} around the origin; gap "
        f"{gap_there:.1f} and {gap_away:.1f}.",
        there=there, around_origin=away, gap_there=gap_there, gap_around_origin=gap_away,
    )  # fmt: skip


@_claim("learning-makes-it", "here", "Learning is what makes the cloud nearly Gaussian.",
        "implied; the untrained network was not asked")  # fmt: skip
def _learning(e: Evidence) -> Found:
    rows = {
        row["network"] if row["layer"] == "code" else "pixels": row
        for row in e.rows("layers") if row["layer"] in ("code", "pixels")
    }  # fmt: skip
    states = ("pixels", "untrained", "trained")
    if not set(states) <= set(rows):
        raise Unmeasured("layers: pixels, untrained and trained codes could not all be compared")
    ratio = {state: rows[state]["variance_ratio"] for state in states}
    least = [rows[state]["least_gaussian"] for state in states]
    # A ratio of 1/2 is as far from a Gaussian's as one of 2; nothing is nearer than chance allows.
    off = {state: max(abs(math.log(ratio[state])), 0.05) for state in states}
    gain = off["untrained"] / off["trained"]
    return _grade(
        gain >= 3 and off["trained"] <= math.log(2), gain >= 1.5,
        "Variance of the squared radius over the law's, on the same number of principal components: pixels "
        f"{ratio['pixels']:.2f}, untrained codes {ratio['untrained']:.2f}, trained codes "
        f"{ratio['trained']:.2f}; negentropy of the least Gaussian direction "
        + ", ".join(f"{value:.3f}" for value in least) + " nats.",
        **ratio, least_gaussian=least,
    )  # fmt: skip


@_claim(
    "inherits-law",
    "here",
    "The codes inherit the law of what varies in the pictures.",
    "not in the series",
)
def _inherits(e: Evidence) -> Found:
    found = _study(e, "factor-law", "data", "variance_ratio")
    ratio = {str(name).split("law=")[-1]: value for name, value in found.items()}
    if not {"gaussian", "heavy"} <= set(ratio):
        raise Unmeasured("the study factor-law lacks Gaussian or heavy factors")
    return _grade(
        ratio["heavy"] >= 2 * ratio["gaussian"], ratio["heavy"] >= 1.2 * ratio["gaussian"],
        "Variance of the squared radius over the law's, by the law of the factors: "
        + ", ".join(f"{name} {value:.1f}" for name, value in ratio.items()) + ".",
        variance_ratio=ratio,
    )  # fmt: skip


@_claim("one-gaussian-enough", "here", "One Gaussian is enough: a mixture of ten is no better.",
        "implied by a multivariate normal distribution")  # fmt: skip
def _enough(e: Evidence) -> Found:
    one, ten = (e.row(name, "gap", "random-conv") for name in ("gaussian", "mixture"))
    return _grade(
        ten >= 0.9 * one, ten >= 0.7 * one,
        f"Gap {one:.1f} with one Gaussian, {ten:.1f} with ten.",
        gaussian=one, mixture=ten,
    )  # fmt: skip
