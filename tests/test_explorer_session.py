"""What the explorer answers, without a browser: against independent arithmetic on planted clouds."""

import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from latentshape.attributes import fit_directions
from latentshape.codes import load_codes
from latentshape.decoding import decode_pixels
from latentshape.errors import InputError
from latentshape.explorer.axes import Axes
from latentshape.explorer.references import parse_reference, written_out
from latentshape.explorer.session import BARE, MOST_CODES, Kept, Session
from latentshape.facts import Facts
from latentshape.images import encode_image
from latentshape.models import load_model
from latentshape.shape import Moments
from tiny_run import finished  # noqa: F401

D = 5


def planted(n=4000, seed=0):
    """A slanted, off-centre Gaussian cloud with one attribute of yes and no, and one number."""
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((D, D)) + 2 * np.eye(D)
    z = (rng.standard_normal((n, D)) @ root.T + np.arange(D)).astype(np.float32)
    values = np.stack([(z[:, 0] > 0).astype(float), z[:, 1] + z[:, 2]], 1)
    return z, Facts(("Positive", "sum"), values, np.array([True, False]))


@pytest.fixture(scope="module")
def session():
    z, facts = planted()
    held_out, theirs = planted(500, 1)
    return Session(
        {"train": z, "test": held_out}, "planted", facts={"train": facts, "test": theirs}
    )


@pytest.fixture
def of_run(finished):  # noqa: F811
    return Session.of_run(finished)


AXES = ("component:0", "component:3", "pca:0", "pca:4", "attribute:Positive", "attribute:sum")


# --- references -----------------------------------------------------------------------------------


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=9))
def test_a_code_that_is_written_out_comes_back_to_the_last_bit(components):
    z = np.array(components, np.float32)
    text = written_out(z)
    assert np.array_equal(parse_reference(text, len(z)).z, z)
    assert set(text) <= set("z:ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(st.text(max_size=40))
def test_any_text_is_a_reference_or_refused_in_one_sentence(text):
    refusal = ""
    try:
        parse_reference(text, 3)
    except InputError as error:
        refusal = str(error)
    assert "\n" not in refusal
    assert len(refusal) < 300


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "A code is named"), ("test", "A code is named"), ("test:", "A code is named"),
        ("test:-1", "A code is named"), ("test:1.5", "A code is named"), ("test:\u0661", "A code is named"),
        ("test:" + "9" * 30, "A code is named"), ("z:AAAA", "has 5 components"), ("z:%%%%", "no URL-safe"),
        (written_out(np.full(D, np.nan)), "NaN"), ("elipticall:3", "elliptical"), ("tset:0", "test"),
        ("train:4000", "rows 0 to 3999"),
    ],
)  # fmt: skip
def test_what_names_no_code_is_refused(session, text, sentence):
    with pytest.raises(InputError, match=sentence):
        session.code(text)


def test_every_kind_of_reference_names_its_code(session):
    z = session.codes["train"]
    assert np.array_equal(session.code("train:12"), z[12])
    assert np.allclose(session.code("mean"), z.mean(0, dtype=np.float64), atol=1e-6)
    assert not session.code("origin").any()
    drawn = session.sampler("gaussian").sample_at([7, 8])
    assert np.array_equal(session.code("gaussian:8"), drawn[1].astype(np.float32))
    assert np.array_equal(session.code(written_out(z[3])), z[3])


# --- planes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("x", AXES)
@pytest.mark.parametrize("y", AXES)
def test_laws_of_a_plane(session, x, y):
    if x == y:
        with pytest.raises(InputError, match="span no plane"):
            session.plane(x, y)
        return
    facts, points, lift = session.plane(x, y), session.points(x, y), session.lift(x, y)
    z = np.concatenate(list(session.codes.values())).astype(np.float64)
    readouts, plain, conditional, mean = lift[:2], lift[2:4], lift[4:6], lift[6]
    # The read-outs put every code where the points say it is.
    assert np.allclose(z @ readouts.T + facts["offset"], points.T, atol=2e-4)
    # Both ways back arrive at the place that was meant, and begin at the mean.
    centre = readouts @ mean + facts["offset"]
    for steps in (plain, conditional):
        there = mean + np.array([1.5, -2.0]) @ steps
        assert np.allclose(readouts @ there + facts["offset"] - centre, [1.5, -2.0], atol=1e-4)
    # Plain is the shortest such step; conditional is the one nearest in the cloud's own metric.
    moments = session.moments
    inverse = np.linalg.inv(moments.cov)
    assert (plain**2).sum() <= (conditional**2).sum() * (1 + 1e-5)
    far = [np.einsum("ij,jk,ik->i", e, inverse, e) for e in (conditional, plain)]
    assert (far[0] <= far[1] * (1 + 1e-5)).all()
    # Mean, spread and ellipses are those of the training points.
    train = points[:, : len(session.codes["train"])].astype(np.float64)
    cov = np.cov(train)
    assert facts["x"]["std"] == pytest.approx(np.sqrt(cov[0, 0]), rel=1e-4)
    assert facts["correlation"] == pytest.approx(np.corrcoef(train)[0, 1], abs=1e-4)
    squared = np.einsum(
        "ik,ij,jk->k", train - train.mean(1, keepdims=True), np.linalg.inv(cov),
        train - train.mean(1, keepdims=True),
    )  # fmt: skip
    for ellipse in facts["ellipses"]:
        k = ellipse["sigma"]
        assert ellipse["expected"] == pytest.approx(stats.chi2.cdf(k * k, 2))
        assert ellipse["observed"] == pytest.approx((squared <= k * k).mean(), abs=2e-3)
        around = np.array(ellipse["points"]) - train.mean(1)
        radii = np.einsum("ki,ij,kj->k", around, np.linalg.inv(cov), around)
        assert np.allclose(radii, k * k, rtol=1e-3)
    assert np.allclose(facts["origin"], facts["offset"])


def test_a_gaussians_contours_are_its_ellipses(session):
    facts = session.plane("component:0", "component:1")
    assert [c["sigma"] for c in facts["contours"]] == [1.0, 2.0, 3.0]
    outline = max(facts["contours"][0]["lines"], key=len)
    moments = session.moments
    around = np.array(outline) - moments.mean[:2]
    radii = np.sqrt(np.einsum("ki,ij,kj->k", around, np.linalg.inv(moments.cov[:2, :2]), around))
    assert radii.mean() == pytest.approx(1.0, abs=0.12)


def test_the_conditional_mean_is_that_of_the_codes_that_are_there():
    """Planted: of codes near a place, the mean of the other components is what the lift predicts."""
    rng = np.random.default_rng(3)
    z = rng.standard_normal((200_000, 3))
    z[:, 2] = 0.8 * z[:, 0] - 0.5 * z[:, 1] + 0.3 * z[:, 2]
    axes = Axes(Moments.of(z.astype(np.float32)))
    plane = axes.plane("component:0", "component:1")
    near = (np.abs(z[:, 0] - 1.0) < 0.1) & (np.abs(z[:, 1] + 0.5) < 0.1)
    there = axes.moments.mean + (np.array([1.0, -0.5]) - plane.mean) @ plane.conditional
    assert there[2] == pytest.approx(z[near, 2].mean(), abs=0.03)
    assert abs((axes.moments.mean + plane.plain[0])[2]) < 0.05


@pytest.mark.parametrize(
    "name",
    ["component:5", "component:-1", "component:", "pca:99", "pca:a", "attribute:Smile", "axis:0", "",
     "component:\u0663"],
)  # fmt: skip
def test_what_is_no_axis_is_refused(session, name):
    with pytest.raises(InputError):
        session.points(name, "component:1")


def test_drawn_codes_are_those_of_their_references(session):
    points = session.drawn("gaussian", 5, 4, "component:1", "pca:0")
    for i in range(4):
        z = session.code(f"gaussian:{5 + i}")
        assert points[0, i] == pytest.approx(z[1], abs=1e-5)


def test_colours_and_legends(session):
    n = [len(z) for z in session.codes.values()]
    split = session.colour("split")
    assert split.tolist() == [0.0] * n[0] + [1.0] * n[1]
    assert session.legend("split")["labels"] == ["train", "test"]
    assert session.legend("attribute:Positive")["kind"] == "category"
    number = session.legend("attribute:sum")
    assert number["kind"] == "number"
    assert number["low"] < number["high"]
    assert np.array_equal(
        session.colour("attribute:Positive")[: n[0]], session.facts["train"]["Positive"]
    )
    radius = session.colour("radius")[: n[0]].astype(float)
    assert (radius**2).mean() == pytest.approx(D * (n[0] - 1) / n[0], rel=1e-4)
    with pytest.raises(InputError, match="coloured by"):
        session.colour("hue")


# --- moves ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("attributes", [None, [], ["Positive"], ["sum", "Positive"]])
def test_a_slider_moves_its_own_readout_and_no_other(session, attributes):
    record, steps, readouts = session.slide(attributes, 3)
    assert len(steps) == len(readouts) == len(record["pca"]) + len(record["attributes"])
    moved = readouts[:, :-1] @ steps.T
    assert np.allclose(moved[:3, :3], np.eye(3), atol=1e-4)
    assert np.allclose(moved[3:, 3:], np.eye(len(steps) - 3), atol=1e-3)
    # At the mean every slider stands at 0.
    assert np.allclose(readouts[:, :-1] @ session.moments.mean + readouts[:, -1], 0, atol=1e-4)
    names = [slider["name"] for slider in record["attributes"]]
    if attributes is not None:
        assert names == attributes
    if names:
        direct = fit_directions(session.train, session.facts["train"])
        scores = direct.scores(session.train[:9], names)
        own = session.train[:9] @ readouts[3:, :-1].T + readouts[3:, -1]
        assert np.allclose(scores, own, atol=1e-3)


def test_the_sliders_that_are_offered_tell_most_and_are_not_alike():
    z, facts = planted()
    values = np.column_stack(
        [facts.values, facts.values[:, 1] + 1e-3, np.random.default_rng(0).random(4000)]
    )
    more = Facts(
        ("Positive", "sum", "the same", "noise"), values, np.array([True, False, False, False])
    )
    session = Session({"train": z, "test": z}, "planted", facts={"train": more, "test": more})
    names = [slider["name"] for slider in session.slide()[0]["attributes"]]
    assert names[0] != "noise"
    assert len({"sum", "the same"} & set(names)) == 1


def test_a_description_says_where_a_code_lies(session):
    z = session.codes["train"]
    found = session.describe(z[17])
    assert found["nearest"][0]["ref"] == "train:17"
    assert found["nearest"][0]["distance"] == pytest.approx(0, abs=1e-5)
    distances = np.linalg.norm(z - z[17], axis=1)
    assert found["nearest"][1]["ref"] == f"train:{np.argsort(distances)[1]}"
    radii = session.colour("radius")[: len(z)]
    assert found["radius"] == pytest.approx(radii[17], rel=1e-4)
    assert found["radius_share"] == pytest.approx((radii <= radii[17]).mean(), abs=1e-6)
    assert "inside the cloud" in found["words"]
    assert "outside" in session.describe(z[17] * 50)["words"]
    assert session.describe(session.code("mean"))["radius"] == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("kind", ["linear", "spherical", "density"])
def test_paths_lead_from_end_to_end(session, kind):
    ends = session.codes["train"][[1, 5]]
    path = session.path(ends, kind, 7)
    assert path.shape == (7, D)
    assert np.allclose(path[[0, -1]], ends, atol=1e-4)
    radii = session.radii(path)
    if kind == "spherical":
        assert np.allclose(radii, np.linspace(radii[0], radii[-1], 7), rtol=1e-3)


def test_questions_that_ask_too_much_are_refused(session):
    with pytest.raises(InputError, match="At most"):
        session.path(np.zeros((MOST_CODES + 1, D), np.float32), "linear", 3)
    for question in (
        lambda: session.path(session.train[:2], "linear", 1000),
        lambda: session.path(session.train[:2], "straight", 5),
        lambda: session.path(session.train[[3, 3]], "linear", 5),
        lambda: session.path(session.train[:3], "linear", 5),
        lambda: session.drawn("gaussian", 0, 10**6, "pca:0", "pca:1"),
        lambda: session.gallery("train", 4000, 3),
        lambda: session.gallery("trian", 0, 3),
        lambda: session.component(D),
        lambda: session.describe(np.zeros(D + 1, np.float32)),
        lambda: session.describe(np.full(D, np.nan, np.float32)),
        lambda: session.slide(["Smiling"]),
        lambda: session.sampler("elipse"),
    ):
        with pytest.raises(InputError):
            question()


# --- the shape ------------------------------------------------------------------------------------


def test_the_shape_views_agree_with_the_codes(session):
    z = session.codes["train"].astype(np.float64)
    component = session.component(2)
    assert sum(component["counts"]) == len(z)
    assert component["mean"] == pytest.approx(z[:, 2].mean(), abs=1e-5)
    assert component["skewness"] == pytest.approx(stats.skew(z[:, 2]), abs=1e-3)
    assert component["excess_kurtosis"] == pytest.approx(stats.kurtosis(z[:, 2]), abs=1e-3)
    assert component["fit"]["r2"] > 0.98
    order = session.order()
    assert sorted(order) == list(range(D))
    assert np.allclose(session.correlation(), np.corrcoef(z.T)[np.ix_(order, order)], atol=1e-4)
    radius = session.radius()
    widths = np.diff(radius["edges"])
    for name in ("observed", "control"):
        assert np.sum(np.array(radius[name]) * widths) == pytest.approx(1, abs=0.01)
    assert radius["variance_ratio"] == pytest.approx(1, abs=0.15)


def test_bare_codes_have_planes_and_shape_and_no_pictures(tmp_path, monkeypatch):
    monkeypatch.setenv("LATENTSHAPE_CACHE", str(tmp_path / "cache"))
    np.save(tmp_path / "codes.npy", planted(300)[0])
    session = Session.of_codes(tmp_path / "codes.npy")
    about = session.about()
    assert not about["decodes"]
    assert about["axes"]["attribute"] == []
    assert about["splits"] == [{"name": BARE, "start": 0, "n": 300}]
    assert session.plane("pca:0", "pca:1")["n"] == 300
    for question in (
        lambda: session.picture("mean"), lambda: session.image("codes:3"), lambda: session.encode(b"x"),
        lambda: session.scorecard(),
    ):  # fmt: skip
        with pytest.raises(InputError):
            question()
    assert session.shape() is None  # it is being measured
    deadline = time.monotonic() + 120
    while (record := session.shape()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert record["n"] == 300
    assert {entry["question"] for entry in session.verdict()} >= {"elliptical", "regions"}


def test_codes_without_an_inverse_covariance_still_have_planes():
    z = planted(400)[0]
    flat = np.column_stack([z, z[:, 0]])  # one component twice
    session = Session({BARE: flat}, "flat")
    assert session.about()["radius"]["why"]
    assert session.plane("component:0", "component:1")["n"] == 400
    with pytest.raises(InputError, match="span no plane"):
        session.plane("component:0", "component:5")
    assert session.describe(flat[0])["radius"] is None
    with pytest.raises(InputError):
        session.radius()


def test_few_codes_for_their_dimension_can_be_looked_at():
    z = np.random.default_rng(0).standard_normal((8, 40)).astype(np.float32)
    session = Session({BARE: z}, "few")
    assert session.about()["axes"]["pca"] == 7
    assert session.points("pca:0", "pca:6").shape == (2, 8)


# --- with a decoder -------------------------------------------------------------------------------


def test_a_runs_pictures_are_those_of_its_decoder(of_run):
    z = load_codes(of_run.run, "test").z[:3]
    decoded = decode_pixels(load_model(of_run.run), z)
    assert np.abs(of_run.decode(z).astype(int) - decoded).max() <= 1
    assert np.abs(of_run.picture("test:1").astype(int) - decoded[1]).max() <= 1
    # Each by itself: a picture does not depend on its neighbours in a strip.
    assert np.array_equal(of_run.decode(z)[1], of_run.decode(z[1:2])[0])


def test_an_uploaded_image_of_the_run_gets_its_code_back(of_run):
    content = encode_image(of_run.image("test:2"))
    z, pixels = of_run.encode(content, "square")
    assert np.array_equal(pixels, of_run.image("test:2"))
    assert np.allclose(z, of_run.code("test:2"), atol=1e-5)


def test_the_sliders_of_a_run_with_many_attributes_can_be_moved_apart(of_run):
    """Five components and seventy attributes: no more are offered than there are ways to move."""
    record, steps, readouts = of_run.slide()
    names = [slider["name"] for slider in record["attributes"]]
    assert 1 <= len(names) <= of_run.d
    moved = readouts[-len(names) :, :-1] @ steps[-len(names) :].T
    assert np.allclose(moved, np.eye(len(names)), atol=1e-3)
    assert np.abs(steps).max() < 20 * of_run.moments.std.max()


def test_everything_about_a_run_is_there(of_run):
    about = of_run.about()
    assert about["decodes"]
    assert about["n"] == sum(split["n"] for split in about["splits"])
    assert about["recommended"] in about["samplers"]
    assert about["default"]["sampler"] == about["recommended"]
    assert of_run.shape()["d"] == of_run.d
    assert "rows" in of_run.scorecard()
    for colour in about["colours"][1:]:
        assert len(of_run.colour(colour["by"])) == about["n"]
    names = of_run.gallery("test", 1, 3)
    assert names["refs"] == ["test:1", "test:2", "test:3"]
    assert names["ids"][0] == str(load_codes(of_run.run, "test").ids[1])


# --- many at once ---------------------------------------------------------------------------------


def test_what_many_ask_for_at_once_is_worked_out_once():
    kept, begun = Kept(), []

    def slow():
        begun.append(1)
        time.sleep(0.05)
        return object()

    found = []
    threads = [threading.Thread(target=lambda: found.append(kept.get("a", slow))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(begun) == 1
    assert len({id(x) for x in found}) == 1


def test_what_failed_is_tried_again_and_the_oldest_go_first():
    kept = Kept(2)
    with pytest.raises(ZeroDivisionError):
        kept.get("a", lambda: 1 / 0)
    assert kept.get("a", lambda: 5) == 5
    kept.get("b", lambda: 6)
    kept.get("a", lambda: 0)  # asked for again: newer than b
    kept.get("c", lambda: 7)
    assert kept.get("a", lambda: 0) == 5
    assert kept.get("b", lambda: 8) == 8
