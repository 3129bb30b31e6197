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

from typing import Any

from latentshape.shape import battery
from latentshape.shape.screening import coverage_error

Record = dict[str, Any]

TOLERANCES = {
    # Half a code in a hundred inside or outside of an ellipse is not seen in any scatter plot.
    "coverage": 0.005,
    # Mardia's b2 of a pair, 8 for a normal law; 5 % more is Student's t with 84 degrees of freedom.
    "pair_kurtosis": 0.05,
}
"""Departures up to which pairs may be called normal in practice: shares, and b2 / 8 - 1."""

_JUDGED_SIGMAS = (1.0, 2.0, 3.0)
_SURE = 4.0  # standard errors


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
    if found["multivariate_normal"]["value"] and found["elliptical"]["value"] is None:
        found["elliptical"] = {"value": True, "why": "a normal law is elliptical"}
    found["sampler"] = _sampler(found)
    return found | {"summary": _summary(found)}


def _decided(value: bool | int | str | None, why: str) -> Record:
    return {"value": value, "why": why}


def _pairs_normal(record: Record) -> Record:
    rows = [r for r in record["ellipses"]["coverage"] if r["sigma"] in _JUDGED_SIGMAS]
    if not rows:
        return _decided(None, record["ellipses"].get("why", "no pairs to look at"))
    n, reasons, unsure = record["n"], [], []
    for row in rows:
        off = row["observed"] - row["expected"]
        # The standard error of a single pair: that of a mean over dependent pairs is at most this.
        error = float(coverage_error(row["sigma"], n))
        words = f"{row['sigma']:g} sigma ellipses hold {row['observed']:.2%} instead of {row['expected']:.2%}"
        if abs(off) > max(TOLERANCES["coverage"], _SURE * error):
            reasons.append(words)
        elif _SURE * error > TOLERANCES["coverage"]:
            unsure.append(words)
    pairs = record["planes"].get("kurtosis")
    if pairs is not None:
        off, error = pairs["mean"] / 8, pairs["error"] / 8
        words = f"the pairs' kurtosis is {100 * off:+.1f} % off a normal pair's on average"
        if abs(off) > max(TOLERANCES["pair_kurtosis"], _SURE * error):
            reasons.append(words)
        elif _SURE * error > TOLERANCES["pair_kurtosis"]:
            unsure.append(words)
        if pairs["outliers"] and not reasons:
            worst = record["planes"]["worst"][0]
            reasons.append(
                f"{pairs['outliers']:,} of {pairs['n_pairs']:,} pairs are far off in kurtosis, most of "
                f"all ({worst['i']}, {worst['j']}): {worst['kurtosis']:+.1f}"
            )
    if reasons:
        return _decided(False, "; ".join(reasons))
    if unsure:
        return _decided(None, f"{n:,} codes are too few to tell: {unsure[0]}")
    return _decided(True, "shares inside 1, 2 and 3 sigma and kurtosis are those of normal pairs")


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


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _regions(found: Record) -> Record:
    return _decided(found.get("count"), found.get("why", ""))


def _sampler(found: Record) -> Record:
    """Which law new codes should be drawn from."""
    if (found["regions"]["value"] or 1) > 1:
        return _decided(
            "mixture", "several regions: one ellipsoid would also draw from between them"
        )
    if found["multivariate_normal"]["value"]:
        return _decided(
            "gaussian", "jointly normal: its mean and covariance are all there is to know"
        )
    if found["elliptical"]["value"]:
        return _decided(
            "elliptical", "elliptical: the normal's directions with the codes' own radii"
        )
    if found["elliptical"]["value"] is False:
        return _decided(
            "mixture",
            "one region, but neither normal nor elliptical: a law with more freedom (mixture, copula, "
            "flow); elliptical draws have the right radii and slightly wrong directions",
        )
    return _decided("gaussian", "too little is known for more than mean and covariance")


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
