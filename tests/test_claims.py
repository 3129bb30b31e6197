# ruff: noqa: F401, F811 - fixtures are imported
"""Claims: each has a rule that planted truths pass, words that follow its numbers, and never a blank."""

import copy as copying
import json
import math
import re

import numpy as np
import pytest

from latentshape import shape
from latentshape.errors import InputError
from latentshape.experiments import claims as module
from latentshape.experiments.claims import (
    CLAIMS,
    HOLDS,
    NOT,
    PARTLY,
    STATUSES,
    UNMEASURED,
    Claim,
    Evidence,
    Found,
    judge,
)
from latentshape.experiments.series import POSTS
from latentshape.experiments.studies import STUDIES
from latentshape.files import write_json
from tiny_run import copy, finished

BY_ID = {claim.id: claim for claim in CLAIMS}
#: Codes and their dimension: one law of every simulated test serves all clouds.
N, D = 2000, 5
#: What mathematics decides needs no run.
DECIDED = {"coefficients-range", "principal-axes-of", "pair-checks", "memory"}


def status(name, evidence):
    return judge(BY_ID[name], evidence).status


def why(name, evidence):
    return judge(BY_ID[name], evidence).why


def measured(z):
    """``shape.json`` of codes, as it is read back from disk."""
    return json.loads(json.dumps(shape.measure(z.astype(np.float32), folder=None)))


@pytest.fixture(scope="module")
def gaussian():
    """A Gaussian cloud far from the origin, correlated."""
    rng = np.random.default_rng(0)
    mix = np.eye(D) + 0.8 * np.eye(D, k=1) + 0.5 * np.eye(D, k=2)
    return measured(rng.standard_normal((N, D)) @ mix + 20)


@pytest.fixture(scope="module")
def heavy():
    """Student's t about the same kind of centre."""
    rng = np.random.default_rng(1)
    z = rng.standard_normal((N, D)) * np.sqrt(5 / rng.chisquare(5, (N, 1)))
    return measured(z + 20)


# --- the list -------------------------------------------------------------------------------------------


def test_every_claim_is_named_once_and_belongs_to_a_known_post():
    assert len(CLAIMS) >= 30
    assert len(BY_ID) == len(CLAIMS)
    assert len({claim.claim for claim in CLAIMS}) == len(CLAIMS)
    for claim in CLAIMS:
        assert claim.id == claim.id.lower().strip("-")
        assert set(claim.post.split(", ")) <= set(POSTS), claim.id
        assert claim.claim.endswith(".")
        assert claim.said
        assert not claim.said.endswith(".")
    # Every post that makes a claim is covered; post I introduces the networks.
    assert {post for claim in CLAIMS for post in claim.post.split(", ")} == set(POSTS)


def test_the_claims_that_were_asked_for_are_there():
    assert {
        "mean-female", "background", "slab-empty", "cubes-fail", "heavy-radius", "coverage-2",
        "coefficients-range", "memory", "pair-checks", "generator", "multivariate-normal",
    } <= set(BY_ID)  # fmt: skip


def test_without_evidence_only_mathematics_decides():
    for claim in CLAIMS:
        found = judge(claim, Evidence())
        assert found.why.endswith(".")
        assert not found.why[0].islower()
        if claim.id in DECIDED:
            assert found.status == NOT
        else:
            assert found.status == UNMEASURED, claim.id
            assert "latentshape" in found.why, claim.id  # what to do about it
            assert not found.numbers


def test_every_claim_of_a_finished_run_is_answered(finished):
    evidence = Evidence.of(finished)
    answers = {claim.id: judge(claim, evidence) for claim in CLAIMS}
    for name, found in answers.items():
        assert found.status in STATUSES
        assert found.why[0].isupper() or not found.why[0].isalpha()
        assert found.why.endswith(".")
        assert ".." not in found.why
        assert not re.search(r"\b(nan|inf|None)\b", found.why)
        json.dumps(dict(found.numbers), allow_nan=False)
        if found.status != UNMEASURED and name not in DECIDED | {"elliptical"}:
            assert found.numbers, name
    # 160 codes of dimension 5: what only shape.json is asked for is answered.
    for name in ("components-gaussian", "cube-length", "correlated", "origin-border", "coverage-2"):
        assert answers[name].status != UNMEASURED


# --- planted truths of the cloud ------------------------------------------------------------------------


def test_a_gaussian_cloud_is_all_that_was_claimed(gaussian):
    known = Evidence(gaussian)
    for name in (
        "components-gaussian", "half-width", "multivariate-normal", "elliptical", "one-region",
        "ellipses", "principal-gaussian", "principal-ellipses", "origin-border", "slab-empty", "correlated",
    ):  # fmt: skip
        assert status(name, known) == HOLDS, (name, why(name, known))
    for name in ("heavy-radius", "tails", "coverage-3", "voids-inside"):
        assert status(name, known) == NOT, (name, why(name, known))
    assert status("coverage-2", known) == PARTLY
    assert judge(BY_ID["coverage-2"], known).numbers["expected"] == pytest.approx(1 - math.exp(-2))


def test_a_heavy_cloud_is_not(heavy):
    known = Evidence(heavy)
    for name in ("heavy-radius", "tails", "elliptical", "one-region"):
        assert status(name, known) == HOLDS, (name, why(name, known))
    for name in ("multivariate-normal", "principal-gaussian"):
        assert status(name, known) == NOT, (name, why(name, known))
    assert status("components-gaussian", known) != HOLDS
    # Uncorrelated, isotropic: no pair stands out, and no part of the axes carries most.
    assert status("correlated", known) == NOT, why("correlated", known)
    assert status("few-axes", known) == NOT


def test_a_cloud_around_the_origin_does_not_lie_off_it():
    known = Evidence(measured(np.random.default_rng(2).standard_normal((N, D))))
    assert status("origin-border", known) == NOT
    assert status("correlated", known) == NOT, why("correlated", known)
    assert status("slab-empty", known) == NOT


def test_one_component_has_no_pairs_and_says_so():
    known = Evidence(measured(np.random.default_rng(3).standard_normal((500, 1)) + 9))
    for claim in CLAIMS:
        assert judge(claim, known).status in STATUSES
    assert why("correlated", known) == "There is no pair of components."
    assert status("coverage-2", known) == UNMEASURED


# --- planted truths of what was drawn -------------------------------------------------------------------


def entry(value, spread=0.0):
    return {"value": value, "low": value - spread, "high": value + spread}


def card(faces=True, **laws):
    """A scorecard: of each law its rate, recall, gap."""
    rows = {"real": {"face_rate": entry(0.98)}}
    if not faces:
        rows["real"]["face_rate"] = {"value": None, "why": "no faces to count"}
    laws = {"reconstruction": (0.96, 0.95, 1.0), "gaussian": (0.95, 0.8, 8.0), **laws}
    for name, (rate, recall, gap) in laws.items():
        rows[name] = {
            "face_rate": entry(rate) if faces else rows["real"]["face_rate"],
            "sampler_precision": entry(rate), "sampler_recall": entry(recall),
            "gap": {"random-conv": entry(gap)}, "novelty": entry(1.0),
        }  # fmt: skip
    return {"rows": rows}


def row(rate, faces=True, recall=0.5, coverage=0.5, gap=10.0, **options):
    judged = {"precision": entry(rate), "recall": entry(recall), "coverage": entry(coverage),
              "gap": entry(gap, 0.5), "radius": entry(5.0)}  # fmt: skip
    return options | judged | ({"face_rate": entry(rate)} if faces else {})


def known(faces=True, shape=None, laws=None, studies=None, refused=None, **experiments):
    return Evidence(
        shape, card(faces, **(laws or {})), {k: {"rows": v} for k, v in experiments.items()},
        studies or {}, refused or {},
    )  # fmt: skip


@pytest.mark.parametrize("faces", [True, False])
@pytest.mark.parametrize(
    ("rates", "coverage", "expected"),
    [((0.1, 0.2), 0.1, HOLDS), ((0.1, 0.9), 0.1, PARTLY), ((0.1, 0.9), 0.9, NOT)],
)
def test_cubes(rates, coverage, expected, faces):
    rows = [row(r, faces, coverage=coverage, b=b) for r, b in zip(rates, (1.0, 5.0))]
    found = judge(BY_ID["cubes-fail"], known(faces, cubes=rows))
    assert found.status == expected
    assert found.why.startswith(
        f"Best {'face rate' if faces else 'precision'} {rates[1]:.2f}, at b = 5"
    )


@pytest.mark.parametrize(
    ("inside", "expected", "words"),
    [(0.0, HOLDS, "no draw lies"), (2 / 512, HOLDS, "at most 0.4%"), (0.05, PARTLY, "at most 5%"),
     (1.0, NOT, "at most 100%")],
)  # fmt: skip
def test_cubes_in_voids(inside, expected, words):
    rows = [row(0.1, b=1.5, within_cloud=0.0), row(0.1, b=2.0, within_cloud=inside)]
    found = judge(BY_ID["cube-in-voids"], known(cubes=rows))
    assert found.status == expected
    assert words in found.why
    assert "0.0%" not in found.why


@pytest.mark.parametrize(
    ("rate", "recall", "expected", "ends"),
    [(0.95, 0.1, PARTLY, "it is the variety that fails."), (0.4, 0.1, HOLDS, "with correlations."),
     (0.6, 0.1, PARTLY, "with correlations."), (0.9, 0.79, NOT, "with correlations.")],
)  # fmt: skip
def test_axis_wise_words_follow_the_numbers(rate, recall, expected, ends):
    found = judge(BY_ID["axis-wise-fails"], known(laws={"diagonal": (rate, recall, 50.0)}))
    assert found.status == expected
    assert found.why.endswith(ends)


@pytest.mark.parametrize(
    ("rates", "recall", "expected"),
    [((0.95, 0.3), 0.7, HOLDS), ((0.96, 0.94), 0.1, PARTLY), ((0.2, 0.1), 0.1, PARTLY),
     ((0.96, 0.94), 0.7, NOT)],
)  # fmt: skip
def test_intervals(rates, recall, expected):
    rows = [row(r, recall=recall, fact=f) for r, f in zip(rates, (0.5, 1.5))]
    found = judge(BY_ID["intervals-mixed"], known(intervals=rows))
    assert found.status == expected
    assert ("variety that fails" in found.why) == (min(rates) > 0.9 and recall == 0.1)


@pytest.mark.parametrize(
    ("rates", "expected", "elsewhere"),
    [((0.0, 0.1, 0.5, 0.9), HOLDS, HOLDS), ((0.0, 0.8, 0.9, 0.9), PARTLY, HOLDS),
     ((0.9, 0.9, 0.9, 0.9), NOT, NOT)],
)  # fmt: skip
def test_the_way_from_the_origin(rates, expected, elsewhere):
    rows = [row(r, centre=t) for r, t in zip(rates, (0.0, 0.5, 0.75, 1.0))]
    assert status("faces-near-centre", known(centring=rows)) == expected
    assert status("same-cloud-elsewhere", known(centring=rows)) == elsewhere


@pytest.mark.parametrize(
    ("rates", "expected"),
    [((0.96, 0.95, 0.3, 0.1), HOLDS), ((0.96, 0.95, 0.8, 0.6), PARTLY), ((0.96, 0.95, 0.95, 0.94), NOT),
     ((0.5, 0.4, 0.1, 0.1), NOT)],
)  # fmt: skip
def test_core_and_border(rates, expected):
    rows = [row(r, at=at, outside=0.5) for r, at in zip(rates, (0.5, 1.0, 2.0, 3.0))]
    assert status("core-and-border", known(radius=rows)) == expected


def of_radius(shares, read=None, faces=True):
    rows = [
        row(0.9, faces, at=at, outside=share) for share, at in zip(shares, (0.5, 1.0, 2.0, 3.0))
    ]
    record = {"rows": rows, "real_outside": 0.5, "mean_image": read or {}}
    return Evidence(None, card(faces), {"radius": record})


def test_background_and_the_mean_face():
    assert status("background", of_radius((0.4, 0.4, 0.5, 0.6))) == HOLDS
    assert status("background", of_radius((0.4, 0.40, 0.42, 0.45))) == PARTLY
    assert status("background", of_radius((0.6, 0.6, 0.6, 0.6))) == NOT
    assert (
        why("background", of_radius((0.4,) * 4, faces=False))
        == "Face rate of real: no faces to count."
    )
    assert status("mean-female", of_radius((0.4,) * 4, {"Male": 0.2, "Young": 0.9})) == HOLDS
    assert status("mean-female", of_radius((0.4,) * 4, {"Male": 0.8})) == NOT
    assert (
        why("mean-female", of_radius((0.4,) * 4, {"why": "nothing is known."}))
        == "Nothing is known."
    )
    assert "no attribute of sex" in why("mean-female", of_radius((0.4,) * 4, {"Young": 0.9}))


@pytest.mark.parametrize(("after", "expected"), [(5.0, HOLDS), (9.8, NOT), (12.0, NOT)])
def test_better_means_that_ranges_do_not_meet(after, expected):
    rows = [
        row(0.9, gap=gap, keep_radius=keep, strength=strength, copies=copies)
        for keep, strength, gap, copies in (
            (True, 0.0, 10.0, 0.0), (True, 0.5, after, 0.002), (False, 0.5, 3.0, 0.5)
        )
    ]  # fmt: skip
    found = judge(BY_ID["nearest-codes"], known(correction=rows))
    assert found.status == expected
    assert "0.2% copies" in found.why
    assert "shrinks" not in found.why  # here it did not
    rows[2]["radius"] = entry(2.0)
    assert "it shrinks from 5.0 to 2.0" in why("nearest-codes", known(correction=rows))


def test_pairwise_ellipses():
    def rows(whole, fewer, original):
        return [
            row(fewer, recall=0.2, gap=20.0, components=3, fact=0.7),
            row(whole, recall=0.3, gap=30.0, fact=0.7),
            row(original, gap=90.0, fact=0.7, coordinates="original", method="sequential"),
        ]

    cloud = {"d": 6, "centre": {"sqrt_d": math.sqrt(6)}}
    good = known(shape=cloud, pairwise=rows(0.95, 0.96, 0.99))
    assert status("generator", good) == HOLDS
    assert judge(BY_ID["generator"], good).numbers["best"] == 0.96  # not the original coordinates'
    assert status("all-components-fail", good) == NOT
    assert "all of them usable" in why("all-components-fail", good)
    assert status("original-coordinates", good) == PARTLY
    # The rows' radius, 5, is more than twice the cloud's: nothing is truncated.
    assert status("generator-truncates", good) == NOT
    cloud = {"d": 6, "centre": {"sqrt_d": 10.0}}
    bad = known(shape=cloud, pairwise=rows(0.1, 0.96, 0.2))
    assert status("all-components-fail", bad) == HOLDS
    assert "usable" not in why("all-components-fail", bad)
    assert status("original-coordinates", bad) == NOT
    assert status("generator-truncates", bad) == HOLDS


def test_laws_of_the_scorecard():
    laws = {"diagonal": (0.9, 0.2, 80.0), "zero-mean": (0.5, 0.1, 60.0), "centred": (0.6, 0.1, 30.0),
            "standard-normal": (0.1, 0.0, 300.0), "mixture": (0.95, 0.9, 7.8)}  # fmt: skip
    assert status("correlations-needed", known(laws=laws)) == HOLDS
    assert status("centring", known(laws=laws)) == HOLDS
    assert status("one-gaussian-enough", known(laws=laws)) == HOLDS
    assert status("generator-plain", known(laws=laws)) == HOLDS
    laws |= {"mixture": (0.95, 0.9, 4.0), "zero-mean": (0.9, 0.5, 9.0), "diagonal": (0.9, 0.7, 8.5)}
    for name in ("correlations-needed", "centring", "one-gaussian-enough"):
        assert status(name, known(laws=laws)) == NOT
    copies = known(laws=laws)
    copies.card["rows"]["gaussian"]["novelty"] = entry(0.1)
    assert status("generator-plain", copies) == NOT  # faces, but not new ones


@pytest.mark.parametrize(
    ("untrained", "trained", "expected"),
    [(20.0, 1.2, HOLDS), (20.0, 4.0, PARTLY), (2.0, 2.0, NOT), (1.1, 8.0, NOT), (20.0, 0.05, NOT)],
)
def test_learning(untrained, trained, expected):
    rows = [
        {"network": network, "layer": layer, "variance_ratio": ratio, "least_gaussian": 0.1}
        for network, layer, ratio in (
            ("–", "pixels", 30.0), ("untrained", "block 1", 9.0), ("untrained", "code", untrained),
            ("after 1 epoch", "code", 7.0), ("trained", "code", trained),
        )
    ]  # fmt: skip
    assert status("learning-makes-it", known(layers=rows)) == expected
    del rows[2]
    assert status("learning-makes-it", known(layers=rows)) == UNMEASURED


def test_attributes_are_clusters_only_where_there_are_regions():
    one = {"verdict": {"regions": {"value": 1, "why": "no dip"}}}
    three = {"verdict": {"regions": {"value": 3, "why": "dips"}}}
    rows = [
        {"attribute": "Smiling", "apart_sigma": 1.5, "offset_sigma": 9.0},
        {"attribute": "Male", "apart_sigma": 2.5, "offset_sigma": 1.0},
        {"attribute": "Bald", "apart_sigma": None, "offset_sigma": None},
        {"condition": "Male", "law": "gaussian"},
    ]
    found = judge(BY_ID["attribute-clusters"], known(shape=one, attributes=rows))
    assert found.status == NOT
    assert "classes of Male: their centres by 2.5" in found.why
    assert status("attribute-clusters", known(shape=three, attributes=rows)) == PARTLY
    assert status("attribute-clusters", known(shape=three)) == UNMEASURED  # digits have no hair
    undecided = {"verdict": {"regions": {"value": None, "why": "too few codes"}}}
    assert why("attribute-clusters", known(shape=undecided)) == "Undecided: too few codes."


def sweep(field, values, measure):
    """Two seeds each: it is their mean that is compared."""
    return {"rows": [
        {"varied": {field: key, "seed": seed}, "values": {measure: {"value": value + seed - 0.5}}}
        for key, value in values.items() for seed in (0, 1)
    ]}  # fmt: skip


def test_studies_are_compared_by_their_means_over_seeds():
    def of(name, **arguments):
        return known(studies={name: sweep(**arguments)})

    broken = of("latent-dimension", field="latent_dim", values={16: 3.0, 64: 2.0, 256: 1.0},
                measure="kurtosis_rms")  # fmt: skip
    assert status("dimension-needed", broken) == HOLDS
    assert "16: 3.00, 64: 2.00, 256: 1.00" in why("dimension-needed", broken)
    level = of(
        "latent-dimension", field="latent_dim", values={16: 1.0, 256: 2.0}, measure="kurtosis_rms"
    )
    assert status("dimension-needed", level) == NOT
    laws = {"faces:n=9,law=gaussian": 2.0, "faces:n=9,law=heavy": 9.0}
    assert (
        status(
            "inherits-law", of("factor-law", field="data", values=laws, measure="variance_ratio")
        )
        == HOLDS
    )
    only = of("factor-law", field="data", values={"faces:law=heavy": 2.0}, measure="variance_ratio")
    assert "two settings of data" in why("inherits-law", only)
    both = sweep("batch_norm", {False: 20.0, True: 5.0}, "offset_sigma")
    for one, other in zip(
        both["rows"], sweep("batch_norm", {False: 9.0, True: 9.0}, "variance_ratio")["rows"]
    ):
        one["values"] |= other["values"]
    assert status("batch-norm", known(studies={"batch-norm": both})) == PARTLY
    for name in ("latent-dimension", "factor-law", "batch-norm"):
        assert name in STUDIES


# --- what is missing, and what is damaged ---------------------------------------------------------------


def test_the_reason_why_an_experiment_was_not_made_is_the_claims():
    refused = known(refused={"radius": "there is no disk.", "factor-law": "it asks faces."})
    assert why("background", refused) == "Radius: there is no disk."
    assert why("inherits-law", refused) == "It asks faces."


def test_settings_that_could_not_be_judged_say_why():
    rows = [{"b": 1.0, "why": "all codes are equal"}]
    assert why("cubes-fail", known(cubes=rows)) == "Cubes: all codes are equal."
    without = row(0.5, b=1.0)
    del without["coverage"]
    assert (
        why("cubes-fail", known(cubes=[without]))
        == "Coverage of these pictures could not be judged."
    )
    assert "not judged where at is 2" in why("core-and-border", known(radius=[
        row(0.5, at=at) for at in (0.5, 1.0, 3.0)
    ]))  # fmt: skip


def test_an_entry_without_value_gives_its_reason():
    empty = known()
    empty.card["rows"]["gaussian"]["novelty"] = {"value": None, "why": "no training images"}
    assert why("generator-plain", empty) == "Novelty of gaussian: no training images."
    assert "zero-mean was not judged" in why("centring", known()).lower()


@pytest.mark.parametrize(
    "damage",
    [
        lambda s: s["verdict"].update(multivariate_normal={}),
        lambda s: s["verdict"].update(multivariate_normal="yes"),
        lambda s: s["mahalanobis"].update(variance_ratio="many"),
        lambda s: s["mahalanobis"].update(variance_ratio=float("nan")),
        lambda s: s["ellipses"].update(coverage=7),
    ],
)
def test_a_damaged_record_is_a_sentence(gaussian, damage):
    shape = copying.deepcopy(gaussian)
    damage(shape)
    with pytest.raises(
        InputError, match=r"claim 'multivariate-normal' are damaged .* latentshape analyze"
    ):
        judge(BY_ID["multivariate-normal"], Evidence(shape))


def test_a_defect_of_a_rule_is_no_damaged_record():
    def rule(evidence):
        raise ZeroDivisionError("a defect")

    with pytest.raises(ZeroDivisionError):
        judge(Claim("x", "here", "x.", "x", rule), Evidence())


def test_evidence_is_what_lies_in_the_folder_and_quick_looks_only_fill_gaps(copy):
    folder = copy.series_path
    write_json(folder / "quick" / "cubes.json", {"rows": [], "of": "quick"})
    write_json(folder / "quick" / "radius.json", {"rows": [], "of": "quick"})
    write_json(folder / "radius.json", {"rows": [], "of": "full"})
    known = Evidence.of(copy)
    assert {name: record["of"] for name, record in known.experiments.items()} == {
        "cubes": "quick", "radius": "full"
    }  # fmt: skip
    assert known.shape["d"] == 5
    copy.shape_path.unlink()
    copy.scorecard_path.unlink()
    bare = Evidence.of(copy)
    assert (bare.shape, bare.card) == (None, None)
    (folder / "radius.json").write_text("[]")
    with pytest.raises(InputError, match="must hold a JSON object"):
        Evidence.of(copy)
