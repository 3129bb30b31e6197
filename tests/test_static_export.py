"""The page without a server: its source in a real browser says what the session says, to float32."""

import re
from importlib import resources

import numpy as np
import pytest

import latentshape.explorer.static_export as static_export
from explorer_page import Visit, launched
from latentshape.cli import main
from latentshape.errors import InputError
from latentshape.explorer.references import written_out
from latentshape.explorer.session import Session
from latentshape.explorer.static_export import POLICY, export_static
from latentshape.runs import RunFolder
from static_page import asked, files_served, spelt
from tiny_run import made_once, read, said

DRAWS = 20
PAGE = resources.files("latentshape.explorer")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    made = made_once(tmp_path_factory)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LATENTSHAPE_CACHE", str(made / "cache"))
        yield made


@pytest.fixture(autouse=True)
def own_cache(base):
    """The cache that the run was made with."""


@pytest.fixture(scope="module")
def session(base):
    """The tiny run without its decoder: what a browser reckons needs none, and no ONNX."""
    found = Session.of_run(RunFolder(base / "run"))
    found.model = None
    return found


@pytest.fixture(scope="module")
def whole(session, tmp_path_factory):
    return export_static(session, tmp_path_factory.mktemp("static") / "whole", draws=DRAWS)


@pytest.fixture(scope="module")
def browser():
    with launched() as found:
        yield found


def visiting(browser, folder):
    with files_served(folder) as address:
        visitor = Visit(browser, address)
        visitor.open()
        yield visitor
        visitor.leave()


@pytest.fixture(scope="module")
def seen(browser, whole):
    yield from visiting(browser, whole.path)


def alike(found, wanted, place="answer"):
    """The same to float32, whatever it is made of."""
    if isinstance(wanted, dict):
        assert set(found) == set(wanted), place
        for key in wanted:
            alike(found[key], wanted[key], f"{place}.{key}")
    elif isinstance(wanted, list) and any(isinstance(w, (dict, list, str)) for w in wanted):
        assert len(found) == len(wanted), place
        for k, (a, b) in enumerate(zip(found, wanted)):
            alike(a, b, f"{place}[{k}]")
    elif isinstance(wanted, (np.ndarray, list)):
        a, b = np.asarray(found, np.float64).ravel(), np.asarray(wanted, np.float64).ravel()
        assert a.shape == b.shape, place
        scale = np.abs(b[np.isfinite(b)]).max(initial=1e-6)
        assert np.allclose(a, b, rtol=2e-5, atol=2e-5 * scale, equal_nan=True), place
    elif isinstance(wanted, float):
        assert found == pytest.approx(wanted, rel=2e-5, abs=1e-6), place
    else:
        assert found == wanted, place


# --- both sources have the same methods -------------------------------------------------------------


def methods(folder):
    text = (PAGE / folder / "source.js").read_text("utf-8")
    inside = text[text.index("class Source extends KeepingSource {") :]
    return set(re.findall(r"^  (?:async )?(\w+)\(", inside[: inside.index("\n}")], re.MULTILINE))


def test_both_sources_have_the_same_methods():
    own = {"decodeFloats"}  # what pixels are made from
    assert methods("serverless") - own == methods("static")
    assert len(methods("static")) > 25


def test_pages_ask_a_source_for_nothing_else():
    shared = {"live", "once"}  # of KeepingSource
    for entry in (PAGE / "static").iterdir():
        used = set(re.findall(r"\bsource\.(\w+)\(", entry.read_text("utf-8")))
        assert used <= methods("serverless") | shared, entry.name


# --- it answers what the session answers ------------------------------------------------------------

PLANES = [("pca:0", "pca:1"), ("component:0", "component:3"), ("pca:4", "component:1")]


@pytest.mark.parametrize(("x", "y"), PLANES)
def test_planes(seen, session, x, y):
    found, wanted = asked(seen.page, f"s.plane('{x}', '{y}')"), session.plane(x, y)
    if "no_contours" in found:
        assert "first 4 principal axes" in found.pop("no_contours")
        wanted = wanted | {"contours": []}
    alike(found, wanted)
    alike(asked(seen.page, f"s.lift('{x}', '{y}')"), session.lift(x, y))
    alike(asked(seen.page, f"s.points('{x}', '{y}')"), session.points(x, y))


def test_a_plane_turned_round_has_its_contours_turned_round(seen, session):
    turned = asked(seen.page, "s.plane('pca:1', 'pca:0')")
    alike(turned["ellipses"], session.plane("pca:1", "pca:0")["ellipses"])
    straight = session.plane("pca:0", "pca:1")["contours"]
    assert straight
    for a, b in zip(turned["contours"], straight, strict=True):
        alike(
            [p[::-1] for line in a["lines"] for p in line], [p for line in b["lines"] for p in line]
        )


def test_attributes_are_axes_colours_and_sliders(seen, session):
    names = list(session.axes.attributes)
    x = f"attribute:{names[0]}"
    alike(
        asked(seen.page, f"s.plane('{x}', 'pca:1')")["ellipses"],
        session.plane(x, "pca:1")["ellipses"],
    )
    alike(asked(seen.page, f"s.points('{x}', 'pca:1')"), session.points(x, "pca:1"))
    for by in ("split", "radius", x):
        alike(asked(seen.page, f"s.colour('{by}')"), session.colour(by))
        alike(asked(seen.page, f"s.legend('{by}')"), session.legend(by))
    for choice, attributes in (
        ("{}", None),
        (f"{{attributes: '{names[0]},{names[5]}', pca: 2}}", (names[0], names[5])),
    ):
        pca = 8 if attributes is None else 2
        record, steps, readouts = session.slide(attributes, pca)
        alike(asked(seen.page, f"s.sliders({choice})"), record)
        alike(asked(seen.page, f"s.slides({choice})"), steps)
        alike(asked(seen.page, f"s.readouts({choice})"), readouts)


def test_codes_by_their_names(seen, session):
    mine = written_out(np.arange(5) / 3)
    for ref in ("mean", "origin", "train:3", "test:0", "gaussian:7", "elliptical:0", mine):
        alike(asked(seen.page, f"s.code('{ref}')"), session.code(ref))
    drawn = asked(seen.page, "s.drawn('mixture', 2, 9, 'pca:0', 'component:2')")
    alike(drawn, session.drawn("mixture", 2, 9, "pca:0", "component:2"))


def test_descriptions_radii_and_paths(seen, session):
    mean = session.moments.mean
    codes = [
        session.code("train:5"),
        session.code("test:1"),
        mean,
        mean + 9 * (session.code("train:0") - mean),
    ]
    for code in codes:
        found, wanted = asked(seen.page, f"s.describe({spelt(code)})"), session.describe(code)
        for one in wanted["nearest"]:
            one["id"] = one["ref"].split(":")[1]  # names of files are not told
        if found["radius"] < 1e-3:  # the mean itself, to float32
            found["radius"] = wanted["radius"]
        alike(found, wanted)
    alike(asked(seen.page, f"s.radii({spelt(codes[:2])})"), session.radii(np.stack(codes[:2])))
    ends = np.stack([session.code("train:1"), session.code("test:4")])
    for kind in ("linear", "spherical"):
        found = asked(seen.page, f"s.path({spelt(ends)}, '{kind}', 7)")
        alike(found, session.path(ends, kind, 7))
        assert np.array_equal(np.float32(found[:5]), ends[0])  # ends are met exactly


def test_the_shape(seen, session):
    for name, wanted in {
        "shape()": session.shape(), "verdict()": session.verdict(), "component(3)": session.component(3),
        "correlation()": session.correlation(), "order()": {"order": session.order()},
        "radius()": session.radius(), "scorecard()": session.scorecard(),
    }.items():  # fmt: skip
        alike(asked(seen.page, f"s.{name}"), wanted, name)
    found = asked(seen.page, "s.gallery('test', 3, 5)")
    assert found == {
        "refs": [f"test:{k}" for k in range(3, 8)], "ids": [str(k) for k in range(3, 8)],
        "total": len(session.codes["test"]),
    }  # fmt: skip


def test_what_it_says_of_itself(seen, session, whole):
    about, wanted = asked(seen.page, "s.about()"), session.about()
    for key in (
        "name",
        "n",
        "d",
        "size",
        "channels",
        "axes",
        "sigmas",
        "colours",
        "attributes",
        "samplers",
    ):
        assert about[key] == wanted[key], key
    assert not about["encodes"]
    assert not about["images"]
    assert about["paths"] == ["linear", "spherical"]
    assert about["limits"]["seeds"] == DRAWS
    assert whole.codes == (200, 200)
    assert whole.sizes["codes"] >= 200 * 5 * 4
    assert sum(whole.sizes.values()) == sum(
        p.stat().st_size
        for p in whole.path.rglob("*")
        if p.is_file() and p.name != static_export.MARK
    )


REFUSALS = [
    ("s.code('gaussian:20')", "seeds 0 to 19"),
    ("s.drawn('gaussian', 15, 9, 'pca:0', 'pca:1')", "seeds 0 to 19"),
    ("s.code('nobody:1')", "nobody"),
    ("s.code('z:AAAA')", "A code is named"),
    ("s.code('test:999')", "rows 0 to"),
    ("s.plane('pca:0', 'pca:0')", "span no plane"),
    ("s.plane('pca:9', 'pca:0')", "numbered 0 to 4"),
    ("s.plane('colour:9', 'pca:0')", "An axis is"),
    ("s.plane('attribute:no', 'pca:0')", "No direction"),
    ("s.colour('hue')", "coloured by"),
    ("s.path(new Float32Array(10), 'linear', 4)", "different ends"),
    ("s.path(new Float32Array(10), 'density', 4)", "linear and spherical"),
    ("s.image('train:1')", "original image"),
    ("s.encode(new Blob(['x']), 'auto')", "Photos"),
    ("s.decode(new Float32Array(5))", "no decoder"),
    ("s.file(new Float32Array(10), 'gif')", "png and strip"),
    ("s.gallery('test', 99, 2)", "rows 0 to"),
    ("s.slides({attributes: 'nothing'})", "No direction"),
]


@pytest.mark.parametrize(("question", "sentence"), REFUSALS)
def test_what_cannot_be_answered_is_refused_in_a_sentence(seen, question, sentence):
    words = asked(
        seen.page,
        f"{{ try {{ return await {question}; }} catch (e) {{ return e.name + e.message; }} }}",
    )
    assert words.startswith("SourceError")
    assert sentence in words


def test_attributes_that_say_the_same_cannot_be_moved_apart(browser, tmp_path):
    rng = np.random.default_rng(0)
    z = rng.standard_normal((90, 3)).astype(np.float32)
    from latentshape.facts import Facts

    facts = Facts(
        ("a", "b"), np.column_stack([z[:, 0], 2 * z[:, 0]]).astype(float), np.array([False, False])
    )
    session = Session({"codes": z}, "two names", facts={"codes": facts})
    session.shape = lambda **_: {"verdict": {}}  # not what is asked about
    made = export_static(session, tmp_path / "page", draws=2)
    for visitor in visiting(browser, made.path):
        words = asked(visitor.page, "s.slides({attributes: 'a,b'}).catch((e) => e.message)")
        assert "leave one out" in words


# --- a part of the codes ----------------------------------------------------------------------------


def test_thinned_codes_are_told_as_what_they_are(browser, session, tmp_path):
    made = export_static(session, tmp_path / "page", codes=60, draws=3)
    every = 4  # 200 codes, of which at most 60, the same in every split
    assert made.codes == (sum(-(-len(z) // every) for z in session.codes.values()), 200)
    for visitor in visiting(browser, made.path):
        page = visitor.page
        trained = len(session.train)
        shown = -(-trained // every)
        assert page.locator("#facts").inner_text() == f"{made.codes[0]} of 200 codes, d = 5"
        alike(asked(page, "s.code('train:2')"), session.code("train:8"))
        alike(asked(page, "s.colour('radius')"), np.concatenate(
            [session.radii(z[::every]) if len(z[::every]) <= 64 else session.radii(z[::every][:64])
             for z in session.codes.values()]))  # fmt: skip
        # Statistics are of all codes, counts of those that are here.
        leading = asked(page, "s.plane('pca:0', 'pca:1')")
        alike(leading["ellipses"], session.plane("pca:0", "pca:1")["ellipses"])
        assert (leading["n"], "of" in leading) == (trained, False)
        other = asked(page, "s.plane('component:0', 'component:1')")
        assert (other["n"], other["of"]) == (shown, trained)
        inside = session.points("component:0", "component:1")[:, :trained:every]
        plane = session.axes.plane("component:0", "component:1")
        y = np.linalg.solve(np.linalg.cholesky(plane.cov), inside - plane.mean[:, None])
        assert other["ellipses"][1]["observed"] == pytest.approx((np.square(y).sum(0) <= 4).mean())
        visitor.follow("x=component:0&y=component:1&contours=1")
        visitor.wait(
            f"document.querySelector('.coverage').innerText.includes('{shown} of {trained} training codes')"
        )
        visitor.wait(
            "document.querySelector('#status').innerText.includes('first 4 principal axes')"
        )
        code = session.code("train:7")
        found = asked(page, f"s.describe({spelt(code)})")
        assert found["radius_share"] == session.describe(code)["radius_share"]
        rows = np.argsort(np.linalg.norm(session.train[::every] - code, axis=1))[:6]
        assert [one["ref"] for one in found["nearest"]] == [f"train:{row}" for row in rows]
        assert found["nearest"][0]["id"] == str(every * rows[0])


def test_bare_codes_have_a_page_too(browser, tmp_path, monkeypatch):
    z = np.random.default_rng(1).standard_normal((400, 4)).astype(np.float32)
    np.save(tmp_path / "cloud.npy", z)
    measured = {"verdict": {}, "n": 400}
    monkeypatch.setattr(Session, "shape", lambda self, wait=False: measured)
    monkeypatch.setattr(static_export, "SLOW", ("flow", "mixture"))
    words = [
        "export",
        str(tmp_path / "cloud.npy"),
        "--static",
        str(tmp_path / "page"),
        "--draws",
        "5",
    ]
    assert main(words) == 0
    assert not (tmp_path / "page" / "onnxruntime-web").exists()
    for visitor in visiting(browser, tmp_path / "page"):
        assert visitor.page.locator("#tabs button").all_inner_texts() == ["Plane", "Shape"]
        assert "flow" not in asked(visitor.page, "s.about()")["samplers"]
        assert asked(visitor.page, "s.scorecard()") is None
        box = visitor.page.locator("#plot canvas").bounding_box()
        visitor.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        visitor.wait("document.querySelector('#status').innerText.includes('Mahalanobis radius')")


def test_codes_without_an_inverse_covariance_have_a_page_too(browser, tmp_path, monkeypatch):
    z = np.random.default_rng(1).standard_normal((200, 3)).astype(np.float32)
    session = Session({"codes": np.column_stack([z, z[:, 0]])}, "flat")
    monkeypatch.setattr(static_export, "SLOW", ("flow", "mixture"))
    session.shape = lambda **_: {"verdict": {}}
    made = export_static(session, tmp_path / "page", draws=5)
    for visitor in visiting(browser, made.path):
        alike(asked(visitor.page, "s.plane('component:0', 'pca:1')")["ellipses"],
              session.plane("component:0", "pca:1")["ellipses"])  # fmt: skip
        alike(
            asked(visitor.page, "s.lift('component:0', 'pca:1')"),
            session.lift("component:0", "pca:1"),
        )
        assert asked(visitor.page, "s.about()")["paths"] == ["linear"]
        code = session.code("codes:0")
        assert (
            asked(visitor.page, f"s.describe({spelt(code)})")["words"]
            == session.describe(code)["words"]
        )
        words = asked(visitor.page, f"s.radii({spelt(code)}).catch((e) => e.message)")
        assert "no Mahalanobis radii" in words


# --- the folder -------------------------------------------------------------------------------------


def test_the_folder_holds_no_image_no_name_of_a_file_and_asks_nobody_else(whole, session):
    suffixes = {path.suffix for path in whole.path.rglob("*") if path.is_file()}
    assert suffixes == {".html", ".js", ".css", ".json", ".f32"}
    name = str(session.ids["train"][0])
    for path in whole.path.rglob("*"):
        if path.suffix in (".json", ".js", ".html"):
            text = path.read_text("utf-8")
            assert name not in text, path
            assert not set(re.findall(r"https?://[\w.-]+", text)) - {"http://www.w3.org"}, path
    page = (whole.path / "index.html").read_text("utf-8")
    assert page.index(POLICY) < page.index("<script")
    assert not re.search(r"<script(?![^>]*\bsrc=)", page)
    for path in (whole.path / "data").glob("*.json"):
        read(path)


def test_a_page_of_the_server_is_as_it_was(whole):
    for entry in (PAGE / "static").iterdir():
        if entry.name not in ("source.js", "index.html"):
            assert (whole.path / entry.name).read_bytes() == entry.read_bytes()


def test_an_earlier_export_is_replaced_and_nothing_else(session, tmp_path):
    z = {"codes": np.random.default_rng(0).standard_normal((60, 2)).astype(np.float32)}
    small = Session(z, "small")
    small.shape = lambda **_: {"verdict": {}}
    place = tmp_path / "page"
    export_static(small, place, draws=1)
    (place / ".git").mkdir()
    (place / ".git" / "config").write_text("mine")
    (place / "data" / "drawn-cube.f32").rename(place / "data" / "drawn-old.f32")
    kept = (place / static_export.MARK).read_text().replace("drawn-cube", "drawn-old")
    (place / static_export.MARK).write_text(
        kept.replace('"index.html"', '"index.html", "../outside"')
    )
    (tmp_path / "outside").write_text("not yours")
    export_static(small, place, draws=2)
    assert not (place / "data" / "drawn-old.f32").exists()  # an earlier export's
    assert (place / "data" / "drawn-cube.f32").stat().st_size == 2 * 2 * 4
    assert (place / ".git" / "config").read_text() == "mine"
    assert (tmp_path / "outside").read_text() == "not yours"
    (tmp_path / "outside").unlink()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["page"]
    kept = (place / "index.html").read_bytes()
    small.component = lambda j: (_ for _ in ()).throw(InputError("it broke"))
    with pytest.raises(InputError, match="it broke"):
        export_static(small, place, draws=3)
    assert (place / "index.html").read_bytes() == kept
    assert sorted(p.name for p in tmp_path.iterdir()) == ["page"]
    (tmp_path / "diary").mkdir()
    (tmp_path / "diary" / "monday.txt").write_text("dear")
    with pytest.raises(InputError, match="no earlier export"):
        export_static(small, tmp_path / "diary")
    assert (tmp_path / "diary" / "monday.txt").read_text() == "dear"
    with pytest.raises(InputError, match="is a file"):
        export_static(small, tmp_path / "diary" / "monday.txt")
    for options, sentence in (
        ({"codes": 0}, "codes"),
        ({"draws": 0}, "draws"),
        ({"draws": 10**6}, "draws"),
    ):
        with pytest.raises(InputError, match=sentence):
            export_static(small, tmp_path / "other", **options)


def test_what_is_to_be_exported_has_to_be_said(base, capsys, tmp_path):
    assert main(["export", str(base / "run")]) == 2
    assert "--static DIR" in said(capsys)
    assert main(["export", str(tmp_path / "nothing"), "--static", str(tmp_path / "page")]) == 2
    said(capsys)
    assert not (tmp_path / "page").exists()


def test_codes_of_more_components_than_a_covariance_is_formed_of_are_refused(tmp_path):
    z = np.random.default_rng(0).standard_normal((12, 1100)).astype(np.float32)
    with pytest.raises(InputError, match=r"up to 1,024; these codes have 1,100"):
        export_static(Session({"codes": z}, "wide"), tmp_path / "page")
    assert not (tmp_path / "page").exists()
