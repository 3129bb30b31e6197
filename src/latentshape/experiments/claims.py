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
    """

    shape: Record | None = None
    card: Record | None = None
    experiments: Mapping[str, Record] = field(default_factory=dict)
    studies: Mapping[str, Record] = field(default_factory=dict)

    @classmethod
    def of(cls, run: RunFolder, studies: Mapping[str, Record] | None = None) -> Evidence:
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
        )

    def cloud(self, *path: str) -> Any:
        """A number of ``shape.json``."""
        return _at(self.shape, path, "the cloud (latentshape analyze)")

    def row(self, name: str, *path: str) -> Any:
        """The value of a scorecard's entry."""
        entry = _at(
            (self.card or {}).get("rows", {}).get(name), path, f"{name} (latentshape evaluate)"
        )
        if entry.get("value") is None:
            raise Unmeasured(f"{' '.join(path)} of {name}: {entry.get('why', 'no value')}")
        return entry["value"]

    def rows(self, name: str) -> list[Record]:
        """The rows of an experiment that could be judged."""
        record = self.experiments.get(name)
        if record is None:
            raise Unmeasured(f"the experiment {name} (latentshape series {name})")
        return [row for row in record["rows"] if "why" not in row]

    def likeness(self, row: Record) -> float:
        """The face rate of an experiment's row; where no faces are asked for, its precision."""
        for key in ("face_rate", "precision"):
            if key in row:
                return float(row[key]["value"])
        raise Unmeasured("neither faces nor precision were judged")

    @property
    def likeness_name(self) -> str:
        """What `likeness` is here."""
        rate = (self.card or {}).get("rows", {}).get("real", {}).get("face_rate", {})
        return "face rate" if rate.get("value") is not None else "precision"

    def usual_likeness(self) -> float:
        """The likeness of reconstructions."""
        if self.likeness_name == "face rate":
            return float(self.row("reconstruction", "face_rate"))
        return float(self.row("reconstruction", "sampler_precision"))


def _at(record: Any, path: tuple[str, ...], what: str) -> Any:
    for key in path:
        record = record.get(key) if isinstance(record, Mapping) else None
    if record is None:
        raise Unmeasured(what)
    return record


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
    """The answer to one claim for one subject."""
    try:
        return claim.rule(evidence)
    except Unmeasured as missing:
        return Found(UNMEASURED, f"Not measured: {missing}.")
    except (KeyError, TypeError, IndexError) as error:
        raise InputError(
            f"The records behind claim {claim.id!r} are not of this version ({error!r}). Make "
            "them again with: "
            "latentshape analyze, evaluate, series."
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


# --- II: one component at a time; lengths ---------------------------------------------------------------


@_claim("components-gaussian", "II", "The number distribution of every component is like a Gaussian.",
        "by eye, on histograms of interval width 0.25")  # fmt: skip
def _components(e: Evidence) -> Found:
    fit, fit0 = (
        e.cloud("component_summary", "fit_r2_mean"),
        e.cloud("component_summary", "control", "fit_r2_mean"),
    )
    k, k0 = (
        e.cloud("component_summary", *path, "excess_kurtosis_rms") for path in ((), ("control",))
    )
    return _grade(
        k <= 2 * k0, fit >= fit0 - 0.02,
        f"Gaussian curves explain {fit:.4f} of the counts (a Gaussian's {fit0:.4f}); but excess "
        "kurtosis is "
        f"{k:.2f} (rms; a Gaussian's {k0:.2f}).",
        fit_r2=fit, fit_r2_control=fit0, kurtosis_rms=k, kurtosis_rms_control=k0,
    )  # fmt: skip


@_claim("few-dominant", "II", "Most means lie near 0; a few components dominate.", "20 of 256")
def _dominant(e: Evidence) -> Found:
    d, count = e.cloud("d"), len(e.cloud("component_summary", "dominant"))
    share = e.cloud("component_summary", "dominant_share_of_offset")
    times = share / (count / d) if count else 0.0
    return _grade(
        0 < count <= 0.15 * d and times >= 3, 0 < count <= 0.15 * d,
        f"{count} of {d} dominate; they carry {share:.0%} of the squared distance of centre and origin, "
        f"{times:.1f} times their share.",
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
    return _grade(
        1 <= b <= 2, False,
        f"Equal mean length at b = {b:.2f}: the scale of the codes is a matter of training, not a "
        "constant.",
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
    counts, pairs = e.cloud("correlation", "counts"), e.cloud("correlation", "n_pairs")
    strongest = e.cloud("correlation", "max_abs")
    return _grade(
        counts["0.3"] > 0 and strongest > 0.5, counts["0.1"] > 0,
        f"Of {pairs:,} pairs {counts['0.3']:,} lie above 0.3 and {counts['0.5']:,} above 0.5; the "
        "strongest "
        f"has |r| = {strongest:.3f}. Among independent components none would reach 0.3.",
        counts=counts, strongest=strongest,
    )  # fmt: skip


@_claim("dominant-correlated", "III", "The strongest correlations are among the dominant components.",
        "most of the 16 strongest pairs")  # fmt: skip
def _dominant_correlated(e: Evidence) -> Found:
    found = e.cloud("component_summary", "dominant_in_correlated_pairs")
    both, chance, dominant = found["both"], found["expected_by_chance"], found["dominant"]
    if not dominant:
        return Found(NOT, "No component dominates.", {"dominant": 0})
    return _grade(
        both >= 2 * chance and both >= dominant / 2, both > chance,
        f"{both} of {dominant} dominant components stand in a pair with |r| above "
        f"{found['threshold']:g}; {chance:.1f} would by chance.",
        both=both, dominant=dominant, by_chance=chance,
    )  # fmt: skip


@_claim("subsample", "III", "5,000 codes are enough for the correlations.", "5,000 of 170,000")
def _subsample(e: Evidence) -> Found:
    found = e.cloud("correlation", "subsample")
    if found.get("max_error") is None:
        raise Unmeasured("a subsample of 5,000: there are not many more codes")
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
        NOT, "They lie in [-1, 1]; half of the strongest pairs of the series are negative."
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
    n, slabs = (
        e.cloud("n"),
        [s for p in e.cloud("origin", "planes") for s in p["slabs"] if s["b"] == 1.5],
    )
    if not slabs:
        raise Unmeasured("slabs of half-width 1.5")
    most = max(s["count"] for s in slabs)
    return _grade(
        most <= 1e-3 * n, most <= 1e-2 * n,
        f"Within 1.5: at most {most} of {n:,} codes, over {len(slabs)} planes (control: at most "
        f"{max(s['control'] for s in slabs)}).",
        most=most, n=n,
    )  # fmt: skip


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
    rows = [row for row in e.rows("cubes") if row["b"] in (1.5, 5.0)]
    inside = max(row["within_cloud"] for row in rows)
    return _grade(
        inside <= 0.01, inside <= 0.1,
        f"At most {inside:.1%} of them lie inside the codes' 99 % radius, for b = 1.5 and for b = 5.",
        within_cloud=inside,
    )  # fmt: skip


# --- V to VII: pictures from around the origin, along paths, by intervals ---------------------------------


@_claim("cubes-fail", "V", "Cubes around the origin give no faces, for no b.",
        "batches of 512 at b = 1, 1.5, 2, 5")  # fmt: skip
def _cubes(e: Evidence) -> Found:
    rows, usual = e.rows("cubes"), e.usual_likeness()
    best = max(rows, key=e.likeness)
    rate, cover = e.likeness(best), max(row["coverage"]["value"] for row in rows)
    return _grade(
        rate <= usual / 2, cover <= 0.5,
        f"Best {e.likeness_name} {rate:.2f}, at b = {best['b']:g} (reconstructions {usual:.2f}); "
        "they cover at "
        f"most {cover:.0%} of what reconstructions show.",
        best=rate, b=best["b"], reconstructions=usual, coverage=cover,
    )  # fmt: skip


@_claim("faces-near-centre", "VI",
        "On the way from the origin to the centre, faces appear near the centre only.",
        "6 points on the line")  # fmt: skip
def _path(e: Evidence) -> Found:
    rates = {row["centre"]: e.likeness(row) for row in e.rows("centring")}
    there, half, none = rates[1.0], rates[0.5], rates[0.0]
    return _grade(
        half <= there / 2, none <= there / 2,
        f"{e.likeness_name.capitalize()} of the whole cloud moved to 0, ½, ¾ and all of the way: "
        f"{none:.2f}, "
        f"{half:.2f}, {rates[0.75]:.2f}, {there:.2f}.",
        rates={str(k): v for k, v in rates.items()},
    )  # fmt: skip


@_claim("mean-female", "VI", "The average face, the decoded mean, is female.", "seen")
def _female(e: Evidence) -> Found:
    record = e.experiments.get("radius")
    if record is None:
        raise Unmeasured("the experiment radius (latentshape series radius)")
    read = record["mean_image"]
    name = next((key for key in read if key.split(":")[-1].lower() == "male"), None)
    if name is None:
        raise Unmeasured(read.get("why", "the dataset has no attribute of sex").rstrip("."))
    return _grade(
        read[name] < 0.5, False,
        f"The attribute network gives the decoded mean a probability of {read[name]:.3f} to be male.",
        male=read[name],
    )  # fmt: skip


@_claim("core-and-border", "VI",
        "Points inside the core give faces, points at the border or outside do not.",
        "lines through the centre in ten planes")  # fmt: skip
def _core(e: Evidence) -> Found:
    rows = {row["at"]: e.likeness(row) for row in e.rows("radius")}
    usual = e.usual_likeness()
    return _grade(
        rows[0.5] >= 0.95 * usual and rows[2.0] <= 0.5 * usual, rows[0.5] > rows[3.0],
        f"{e.likeness_name.capitalize()} at ½, 1, 2 and 3 times √d from the centre: {rows[0.5]:.2f}, "
        f"{rows[1.0]:.2f}, {rows[2.0]:.2f}, {rows[3.0]:.2f} (reconstructions {usual:.2f}).",
        rates={str(k): v for k, v in rows.items()},
    )  # fmt: skip


@_claim("intervals-mixed", "VII", "Intervals of each component, correlations ignored, give mixed results.",
        "7 x 3 images for several factors")  # fmt: skip
def _intervals(e: Evidence) -> Found:
    rows, usual = e.rows("intervals"), e.usual_likeness()
    rates = [e.likeness(row) for row in rows]
    recall = max(row["recall"]["value"] for row in rows)
    return _grade(
        min(rates) <= 0.8 * usual, recall <= 0.5 * e.row("gaussian", "sampler_recall"),
        f"{e.likeness_name.capitalize()} {min(rates):.2f} to {max(rates):.2f} (reconstructions "
        f"{usual:.2f}); it "
        f"is the variety that fails: recall at most {recall:.2f}.",
        rates=rates, recall=recall,
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
    usual = e.usual_likeness()
    key = "face_rate" if e.likeness_name == "face rate" else "sampler_precision"
    rate, recall = e.row("diagonal", key), e.row("diagonal", "sampler_recall")
    joint = e.row("gaussian", "sampler_recall")
    return _grade(
        rate <= usual / 2, recall <= joint / 2,
        f"{e.likeness_name.capitalize()} {rate:.2f} (reconstructions {usual:.2f}): faces, mostly; "
        "but recall "
        f"{recall:.2f} against {joint:.2f} with correlations.",
        rate=rate, reconstructions=usual, recall=recall, recall_gaussian=joint,
    )  # fmt: skip


@_claim(
    "nearest-codes",
    "VII",
    "Moving drawn codes toward real ones should make them better.",
    "an idea",
)
def _nearest(e: Evidence) -> Found:
    rows = [row for row in e.rows("correction") if row["keep_radius"]]
    still = next(row for row in rows if not row["strength"])
    best = min((row for row in rows if row["strength"]), key=lambda row: row["gap"]["value"])
    better = best["gap"]["high"] < still["gap"]["low"]
    return _grade(
        better, False,
        f"At equal radius the gap goes from {still['gap']['value']:.1f} to {best['gap']['value']:.1f} at "
        f"strength {best['strength']:g}, with {best['copies']:.1%} copies. Without keeping the "
        "radius it is a "
        "truncation.",
        before=still["gap"]["value"], after=best["gap"]["value"], strength=best["strength"],
        copies=best["copies"],
    )  # fmt: skip


# --- VIII, IX: ellipses; principal components -----------------------------------------------------


@_claim("ellipses", "VIII", "Density contours of pairs are ellipses up to about 2.5 sigma.",
        "contours over confidence ellipses, by eye")  # fmt: skip
def _ellipses(e: Evidence) -> Found:
    contours = [c for c in e.cloud("planes", "contours") if c["plane"] == "components"]
    off, control = (
        max(
            sum(c[key][k]["rms"] for c in contours) / len(contours)
            for k, entry in enumerate(contours[0][key])
            if entry["sigma"] <= 2.5
        )
        for key in ("deviation", "control")
    )
    return _grade(
        off <= 1.5 * control, off <= 0.2,
        f"Contours up to 2.5σ are off their ellipses by at most {off:.0%} (rms over directions; a "
        "Gaussian's, "
        f"by the same estimate, {control:.0%}).",
        deviation=off, control=control,
    )  # fmt: skip


def _covered(e: Evidence, sigma: float) -> tuple[float, float, float]:
    row = next(r for r in e.cloud("ellipses", "coverage") if r["sigma"] == sigma)
    return row["observed"], row["expected"], row["control"]


@_claim("coverage-2", "VIII",
        "A 2 sigma ellipse holds 70 to 90 % of the points, depending on its eccentricity.",
        "70 to 90 %")  # fmt: skip
def _coverage_2(e: Evidence) -> Found:
    seen, law, control = _covered(e, 2.0)
    return Found(
        PARTLY,
        f"It holds {seen:.2%} on average (control {control:.2%}), in the range named; but of a "
        "Gaussian it holds "
        f"1 - exp(-2) = {law:.2%} whatever its eccentricity.",
        {"observed": seen, "expected": law, "control": control},
    )


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
    return _grade(
        abs(seen - law) >= 5 * abs(control - law) and abs(seen - law) >= 0.002, False,
        f"Outside 3σ ellipses lie {1 - seen:.2%} of the points instead of {1 - law:.2%} (control "
        f"{1 - control:.2%}).",
        outside=1 - seen, expected=1 - law, control=1 - control,
    )  # fmt: skip


@_claim("principal-gaussian", "IX", "The principal components are Gaussian too.", "by eye")
def _principal(e: Evidence) -> Found:
    axes = e.cloud("pca", "axes")[:10]
    worst = max(abs(a["excess_kurtosis"]) for a in axes)
    error = 2 * (6 / e.cloud("n")) ** 0.5
    return _grade(
        worst <= 2 * error, worst <= 0.5,
        "Excess kurtosis of the first ten: " + ", ".join(f"{a['excess_kurtosis']:+.2f}" for a in axes)
        + f" (a Gaussian's: within ±{error:.2f}).",
        worst=worst, error=error,
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
    usual, rows = e.usual_likeness(), e.rows("pairwise")
    best = max(e.likeness(row) for row in rows)
    return _grade(
        best >= 0.95 * usual, best >= 0.7 * usual,
        f"Best {e.likeness_name} {best:.2f} (reconstructions {usual:.2f}).",
        best=best, reconstructions=usual,
    )  # fmt: skip


@_claim("generator-truncates", "here",
        "The pairwise generator draws a truncated cloud: clear pictures, little variety.",
        "by computation, a mean Mahalanobis radius 0.38 to 0.67 of a real code's")  # fmt: skip
def _truncates(e: Evidence) -> Found:
    rows = [row for row in e.rows("pairwise") if row["fact"] == 0.7 and "coordinates" not in row]
    recall = max(row["recall"]["value"] for row in rows)
    usual, root = e.row("gaussian", "sampler_recall"), e.cloud("centre", "sqrt_d")
    radius = max(row["radius"]["value"] for row in rows) / root
    return _grade(
        recall <= 0.6 * usual, recall <= 0.9 * usual,
        f"At fact 0.7 recall is at most {recall:.2f} (Gaussian {usual:.2f}); mean radius at most "
        f"{radius:.2f} √d.",
        recall=recall, recall_gaussian=usual, radius=radius,
    )  # fmt: skip


@_claim("all-components-fail", "X", "With all components the generator fails; 50 to 120 of 256 are usable.",
        "all 256 failed")  # fmt: skip
def _all_fail(e: Evidence) -> Found:
    d = e.cloud("d")
    rows = [
        row
        for row in e.rows("pairwise")
        if row["fact"] == 0.7 and "method" not in row and "coordinates" not in row
    ]
    whole = next(row for row in rows if row.get("components", d) == d)
    part = [row for row in rows if row.get("components", d) != d]
    best = max(map(e.likeness, part))
    return _grade(
        e.likeness(whole) <= best / 2, e.likeness(whole) <= 0.9 * best,
        f"{e.likeness_name.capitalize()} with all {d}: {e.likeness(whole):.2f}, with fewer at "
        f"best {best:.2f}; gap "
        f"{whole['gap']['value']:.0f} against {min(r['gap']['value'] for r in part):.0f}. Widths from "
        "eigenvalues, not from counted intervals, make all components usable.",
        all=e.likeness(whole), fewer=best,
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
        "In principal components the region is known in closed form and is drawn from exactly, "
        "some 20,000 times "
        "as fast as pair by pair (docs/results.md, Drawing codes).",
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
        "170,000 x 256 codes are 174 MB in single precision, their covariance 0.5 MB, and it is "
        "summed block by "
        "block: measured with 112 MiB beside the codes (docs/results.md).",
    )


# --- CAE-I: the whole cloud -----------------------------------------------------------------------


@_claim("multivariate-normal", "CAE-I",
        "The codes of a plain autoencoder form a multivariate normal distribution.",
        "claimed, from pairs")  # fmt: skip
def _normal(e: Evidence) -> Found:
    verdict = e.cloud("verdict", "multivariate_normal")
    ratio, control = (
        e.cloud("mahalanobis", "variance_ratio"),
        e.cloud("mahalanobis", "control", "variance_ratio"),
    )
    seen, law, _ = _covered(e, 2.0)
    return _grade(
        bool(verdict.get("value")), abs(seen - law) <= 0.01 and ratio <= 5,
        f"{verdict['why'].rstrip('.')}. The squared radius varies {ratio:.1f} times as much as a "
        "Gaussian's "
        f"(control {control:.2f}).",
        variance_ratio=ratio, control=control,
    )  # fmt: skip


@_claim(
    "elliptical",
    "CAE-I",
    "The cloud is an ellipsoid: one law of the radius in all directions.",
    "by eye",
)
def _elliptical(e: Evidence) -> Found:
    verdict = e.cloud("verdict", "elliptical")
    if verdict.get("value") is None:
        raise Unmeasured(verdict["why"].rstrip("."))
    return _grade(bool(verdict["value"]), False, f"{verdict['why'].rstrip('.').capitalize()}.")


@_claim("one-region", "VIII, CAE-I", "The codes fill one confined region.", "by eye")
def _region(e: Evidence) -> Found:
    verdict = e.cloud("verdict", "regions")
    count = verdict["value"]
    if count is None:
        raise Unmeasured(verdict["why"].rstrip("."))
    return _grade(
        count == 1,
        False,
        f"Regions: {count}. {verdict['why'].rstrip('.').capitalize()}.",
        regions=count,
    )


@_claim("voids-inside", "CAE-I", "There are voids even near the centre.", "close-ups")
def _inside(e: Evidence) -> Found:
    gaps = {g["place"]: g["ratio"] for g in e.cloud("voids", "places") if g["whitened"]}
    return _grade(
        gaps["centre"] > 1.5, gaps["centre"] > 1.1,
        f"The code nearest to the centre is {gaps['centre']:.2f} times as far as a Gaussian's of "
        "the same size and "
        "covariance: close-ups of so many dimensions look empty for every cloud.",
        ratio=gaps["centre"],
    )  # fmt: skip


@_claim("background", "CAE-I", "Beyond 3 sigma variations of the background dominate.", "seen")
def _background(e: Evidence) -> Found:
    record = e.experiments.get("radius")
    rows = {row["at"]: row["outside"] for row in e.rows("radius")}
    real = record["real_outside"] if record else 0.0
    return _grade(
        rows[3.0] >= max(0.5, 1.1 * rows[1.0]), rows[3.0] > 1.05 * rows[1.0],
        f"Share of the variance outside the face at 1, 2 and 3 times √d: {rows[1.0]:.2f}, {rows[2.0]:.2f}, "
        f"{rows[3.0]:.2f}; of real pictures {real:.2f}.",
        shares={str(k): v for k, v in rows.items()}, real=real,
    )  # fmt: skip


@_claim("generator-plain", "X, CAE-I",
        "A plain autoencoder, drawn from inside its cloud, generates new faces.",
        "pictures")  # fmt: skip
def _plain(e: Evidence) -> Found:
    key = "face_rate" if e.likeness_name == "face rate" else "sampler_precision"
    rate, usual, novelty = e.row("gaussian", key), e.usual_likeness(), e.row("gaussian", "novelty")
    return _grade(
        rate >= 0.95 * usual, rate >= 0.8 * usual,
        f"N(μ, Σ): {e.likeness_name} {rate:.3f} (reconstructions {usual:.3f}); distance to the "
        "nearest training "
        f"image {novelty:.2f} times that of unseen images' reconstructions.",
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
    from latentshape.experiments.sweep_record import grouped

    record = e.studies.get(name)
    if record is None:
        raise Unmeasured(f"the study {name} (latentshape series {name})")
    found = {
        group["varied"][field]: group["values"][measure]["value"]
        for group in grouped(record["rows"]) if measure in group["values"]
    }  # fmt: skip
    if len(found) < 2:
        raise Unmeasured(f"{measure} for two settings of {field}")
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
    regions = e.cloud("verdict", "regions")["value"]
    if regions is None:
        raise Unmeasured("the number of regions")
    words, numbers = "", {}
    if "attributes" in e.experiments:
        offsets = {
            row["attribute"]: row["offset_sigma"]
            for row in e.rows("attributes") if isinstance(row.get("offset_sigma"), float)
        }  # fmt: skip
        if offsets:
            most = max(offsets, key=lambda name: offsets[name])
            words = (
                f" The classes farthest apart, of {most}, have centres {offsets[most]:.1f} standard "
                "deviations apart."
            )
            numbers = {"farthest": offsets[most]}
    return _grade(regions > 1, False, f"Regions: {regions}.{words}", regions=regions, **numbers)


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
    rows = {row["centre"]: row for row in e.rows("centring")}
    there, away = e.likeness(rows[1.0]), e.likeness(rows[0.0])
    gaps = {t: rows[t]["gap"]["value"] for t in (0.0, 1.0)}
    return _grade(
        away <= there / 2, gaps[0.0] >= 2 * gaps[1.0],
        f"{e.likeness_name.capitalize()} {there:.2f} where they are, {away:.2f} around the origin; gap "
        f"{gaps[1.0]:.1f} and {gaps[0.0]:.1f}.",
        there=there, around_origin=away,
    )  # fmt: skip


@_claim("learning-makes-it", "here", "Learning is what makes the cloud nearly Gaussian.",
        "implied; the untrained network was not asked")  # fmt: skip
def _learning(e: Evidence) -> Found:
    rows = [row for row in e.rows("layers") if row["layer"] in ("code", "pixels")]
    ratio = {row["network"] if row["layer"] == "code" else "pixels": row for row in rows}
    before, after = ratio["untrained"], ratio["trained"]
    gain = (before["variance_ratio"] - 1) / max(after["variance_ratio"] - 1, 1e-9)
    return _grade(
        gain >= 3, gain >= 1.5,
        "Variance of the squared radius over the law's, on the same number of principal components: pixels "
        f"{ratio['pixels']['variance_ratio']:.2f}, untrained codes "
        f"{before['variance_ratio']:.2f}, trained codes "
        f"{after['variance_ratio']:.2f}; negentropy of the least Gaussian direction "
        f"{ratio['pixels']['least_gaussian']:.3f}, {before['least_gaussian']:.3f}, "
        f"{after['least_gaussian']:.3f} "
        "nats.",
        pixels=ratio["pixels"]["variance_ratio"], untrained=before["variance_ratio"],
        trained=after["variance_ratio"],
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
        raise Unmeasured("the study factor-law with Gaussian and heavy factors")
    return _grade(
        ratio["heavy"] >= 2 * ratio["gaussian"], ratio["heavy"] >= 1.2 * ratio["gaussian"],
        "Variance of the squared radius over the law's, by the law of the factors: "
        + ", ".join(f"{name} {value:.1f}" for name, value in ratio.items()) + ".",
        variance_ratio=ratio,
    )  # fmt: skip


@_claim("mixture-beats", "here", "One Gaussian is enough: a mixture of ten is no better.",
        "implied by a multivariate normal distribution")  # fmt: skip
def _enough(e: Evidence) -> Found:
    one, ten = (e.row(name, "gap", "random-conv") for name in ("gaussian", "mixture"))
    return _grade(
        ten >= 0.9 * one, ten >= 0.7 * one,
        f"Gap {one:.1f} with one Gaussian, {ten:.1f} with ten.",
        gaussian=one, mixture=ten,
    )  # fmt: skip
