r"""The verdict: what all the numbers of a record say, in plain words, each with its reason.

At 170,000 codes every test of normality rejects, so a verdict needs two things: that a departure is
there (the tests of a family, together at a level of 1 %) and that it matters (an effect beyond a stated
tolerance). *True* means: no departure, or none that matters. *False*: one that matters. *None*: too few
codes to tell a departure that would matter from chance, or a statistic that could not be computed.
A Gaussian is elliptical, and its pairs are normal.

Four questions, from the weakest claim to the strongest, and the number of regions:

* `pairs_normal`: is every plane of two components bivariate normal, as confidence ellipses suppose?
  Judged by the share of codes inside the 1, 2 and 3 sigma ellipses and by the kurtosis of the pairs. The
  2 sigma share alone is blind: there a heavy radius crosses the normal law.
* `elliptical`: is the cloud a stretched ball with *some* law of the radius? (`joint_law`)
* `multivariate_normal`: is it the one ball with a normal's radius? (`battery`)
* `regions`: one compact region or several? (`regions`)
"""

__all__ = ["TOLERANCES", "verdict"]

import math
from typing import Any

from latentshape.shape import battery
from latentshape.shape.ellipses import expected_coverage
from latentshape.shape.regions import MAX_REGIONS
from latentshape.shape.screening import coverage_error

Record = dict[str, Any]

TOLERANCES = {
    # Half a code in a hundred inside or outside of an ellipse is not seen in any scatter plot.
    "coverage": 0.005,
    # Mardia's b2 of a pair, 8 for a normal law; 5 % more is Student's t with 84 degrees of freedom.
    "pair_kurtosis": 0.05,
    # Of the worst pair of all, judged beside its chance: two codes in a hundred inside or outside, ...
    "worst_coverage": 0.02,
    # ... or b1 of two components of skewness 0.25 each.
    "worst_skewness": 0.125,
}
"""Departures up to which pairs may be called normal in practice: shares, and b2 / 8 - 1."""

_JUDGED_SIGMAS = (1.0, 2.0, 3.0)
_SURE = 3.0  # standard errors


def verdict(record: Record) -> Record:
    """Judge a record of `measure`.

    Args:
        record: With the keys ellipses, planes, joint_law, normality and regions.

    Returns:
        pairs_normal, elliptical, multivariate_normal, regions, sampler: each with `value` and
        `why`; and `summary`, a few sentences.
    """
    found = {
        "pairs_normal": _pairs_normal(record),
        "elliptical": _elliptical(record),
        "multivariate_normal": _multivariate_normal(record["normality"]),
        "regions": _regions(record["regions"]),
    }
    few = _too_few(record)
    for name in ("multivariate_normal", "elliptical"):
        if few and found[name]["value"]:
            found[name] = _decided(None, few)
    if found["multivariate_normal"]["value"]:
        for name, why in (("elliptical", "elliptical"), ("pairs_normal", "normal in every plane")):
            if found[name]["value"] is None:
                found[name] = _decided(True, f"a jointly normal law is {why}")
    found["sampler"] = _sampler(found)
    if "treatment" in record:
        found |= _seen_in_part(found, record["treatment"])
    return found | {"summary": _summary(found)}


def _too_few(record: Record) -> str | None:
    """Why a test that does not reject means nothing here: it could not have seen what would matter."""
    n, d = record["n"], record.get("treatment", {}).get("rank", record["d"])
    needed = max(200, 10 * d)
    if n >= needed:
        return None
    return f"nothing is rejected, but {n:,} codes of dimension {d} are too few (below {needed:,}) to tell"


def _seen_in_part(found: Record, treatment: Record) -> Record:
    """What a verdict is worth where the joint law was looked at in leading coordinates only.

    A departure there is one of the whole law. That there is none says nothing of the other directions.
    """
    k, d = treatment["rank"], treatment["d"]
    where = f"in the {k} leading principal coordinates of {d:,} components"
    seen = {}
    for name in ("elliptical", "multivariate_normal"):
        value, why = found[name]["value"], found[name]["why"]
        if value:
            why = (
                f"{why}; {where}, which hold {treatment['share_of_variance']:.0%} of the variance: no test "
                f"sees the joint law of the other {d - k:,} directions"
            )
        seen[name] = _decided(None if value else value, why if value else f"{where}: {why}")
    among = len(treatment["pairs_among"])
    why = f"of the pairs among {among} of {d:,} components: {found['pairs_normal']['why']}"
    seen["pairs_normal"] = _decided(found["pairs_normal"]["value"], why)
    seen["regions"] = _decided(found["regions"]["value"], f"{where}: {found['regions']['why']}")
    seen["sampler"] = _decided(
        "low-rank",
        "a few factors and a variance of each component's own: of so many components no other law keeps "
        "the correlations without a covariance of all",
    )
    return seen


def _decided(value: bool | int | str | None, why: str) -> Record:
    return {"value": value, "why": why}


def _pairs_normal(record: Record) -> Record:
    rows = [r for r in record["ellipses"]["coverage"] if r["sigma"] in _JUDGED_SIGMAS]
    if not rows:
        return _decided(None, record["ellipses"].get("why", "no pairs to look at"))
    n, reasons, unsure = record["n"], [], []
    # Pairs hang together: a mean over all of them is as sure as one over as many as are independent.
    independent = math.sqrt(max(1.0, record["pca"]["effective_dimension"] / 2))
    for row in rows:
        off = row["observed"] - row["expected"]
        error = float(coverage_error(row["sigma"], n)) / independent
        words = f"{row['sigma']:g} sigma ellipses hold {row['observed']:.2%} instead of {row['expected']:.2%}"
        if abs(off) > max(TOLERANCES["coverage"], _SURE * error):
            reasons.append(words)
        elif _SURE * error > TOLERANCES["coverage"]:
            unsure.append(words)
    pairs = record["planes"].get("kurtosis")
    if pairs is not None:
        off, error = pairs["mean"] / 8, pairs["error"] / 8 / independent
        words = f"the pairs' kurtosis is {100 * off:+.1f} % off a normal pair's on average"
        if abs(off) > max(TOLERANCES["pair_kurtosis"], _SURE * error):
            reasons.append(words)
        elif _SURE * error > TOLERANCES["pair_kurtosis"]:
            unsure.append(words)
        reasons += _single_pairs(record["planes"])
    if reasons:
        return _decided(False, "; ".join(reasons))
    if unsure:
        return _decided(None, f"{n:,} codes are too few to tell: {unsure[0]}")
    looked = "" if pairs is None else ", kurtosis and skewness"
    return _decided(True, f"shares inside 1, 2 and 3 sigma{looked} are those of normal pairs")


def _single_pairs(planes: Record) -> list[str]:
    """Single pairs that are off: significantly among all pairs (Bonferroni), and by enough."""
    pairs, reasons = planes["kurtosis"], []
    if pairs["outliers"]:
        worst = planes["worst"][0]
        reasons.append(
            f"{pairs['outliers']:,} of {pairs['n_pairs']:,} pairs are off in kurtosis, most of all "
            f"({worst['i']}, {worst['j']}) by {worst['kurtosis'] / 8:+.0%}"
        )
    for each in planes["worst_coverage"][:1]:
        off = each["observed"] - float(expected_coverage(each["sigma"]))
        if abs(each["z"]) > pairs["bound"] and abs(off) > TOLERANCES["worst_coverage"]:
            reasons.append(
                f"the {each['sigma']:g} sigma ellipse of ({each['i']}, {each['j']}) holds "
                f"{each['observed']:.2%} of the codes"
            )
    for each in planes["worst_skewness"][:1]:
        sure = each["skewness_p"] * pairs["n_pairs"] < 0.01
        if sure and each["skewness"] > TOLERANCES["worst_skewness"]:
            reasons.append(
                f"({each['i']}, {each['j']}) is skewed: Mardia's b1 is {each['skewness']:.2f}"
            )
    return reasons


def _elliptical(record: Record) -> Record:
    test = record["joint_law"].get("ellipticity") or {}
    return _decided(test.get("elliptical"), test.get("why", record["joint_law"].get("why", "")))


def _multivariate_normal(tests: Record) -> Record:
    known = {k: t for k, t in tests.items() if k != "family" and t["statistic"] is not None}
    if not known:
        why = next((t["why"] for k, t in tests.items() if k != "family"), "no test was made")
        return _decided(None, why)
    rejected = tests["family"]["rejected"]
    beyond = [name for name in rejected if abs(known[name]["effect"]) > battery.TOLERANCES[name]]
    if beyond:
        worst = max(beyond, key=lambda name: abs(known[name]["effect"]) / battery.TOLERANCES[name])
        entry = known[worst]
        return _decided(
            False,
            f"{len(rejected)} of {len(known)} tests reject, {len(beyond)} of them by more than their "
            f"tolerance; farthest off is {worst}: effect {_short(entry['effect'])} (tolerance "
            f"{battery.TOLERANCES[worst]:g}, control {_short(entry['control']['effect'])})",
        )
    if rejected:
        return _decided(
            True, f"{', '.join(rejected)} reject, but every effect is within its tolerance"
        )
    missing = len(battery.TESTS) - len(known)
    but = f" ({missing} could not be made)" if missing else ""
    return _decided(True, f"none of {len(known)} tests rejects at a family level of 1 %{but}")


def _short(value: float | None) -> str:
    if value is None:
        return "unknown"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _regions(found: Record) -> Record:
    count, why = found.get("count"), found.get("why", "")
    # The search made as many groups as are left and were merged; the first evidence is of all codes.
    merged = sum(each["regions"] is None for each in found.get("evidence", [])[1:])
    if count is not None and count + merged >= MAX_REGIONS:
        why += f"; the search stopped at {MAX_REGIONS} groups, so that there may be more regions"
    return _decided(count, why)


def _sampler(found: Record) -> Record:
    """Which of the samplers there are new codes should be drawn from."""
    regions, normal = found["regions"]["value"] or 1, found["multivariate_normal"]["value"]
    if normal and regions == 1:
        return _decided(
            "gaussian", "jointly normal: its mean and covariance are all there is to know"
        )
    if normal is None and found["elliptical"]["value"] is None:
        return _decided("gaussian", "too little is known for more than mean and covariance")
    radii = "the normal's directions with the codes' own radii"
    if regions > 1:
        return _decided(
            "elliptical",
            f"{radii}; but with {regions} regions one ellipsoid also draws from between them, which a "
            "law with several centres would not",
        )
    if found["elliptical"]["value"]:
        return _decided("elliptical", f"elliptical: {radii}")
    return _decided(
        "elliptical",
        f"{radii}; but these codes are no such law, and one with more freedom would come nearer",
    )


def _summary(found: Record) -> str:
    words = {True: "yes", False: "no", None: "undecided"}
    count = found["regions"]["value"]
    regions = "undecided" if count is None else f"{count}"
    return (
        f"Pairs normal: {words[found['pairs_normal']['value']]}. "
        f"Elliptical: {words[found['elliptical']['value']]}. "
        f"Jointly normal: {words[found['multivariate_normal']['value']]}. "
        f"Regions: {regions}. Draw from: {found['sampler']['value']}."
    )
