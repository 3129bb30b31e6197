# ruff: noqa: F401, F811 - fixtures are imported
"""The gallery view and the shape view of the explorer, in a real browser."""

import json

import numpy as np
import pytest
from PIL import Image

from explorer_page import Visit, address, browser, run
from explorer_server import serving
from latentshape.explorer.session import Session

#: A phone, and what a finger does there.
PHONE = dict(viewport={"width": 390, "height": 844}, has_touch=True)


@pytest.fixture(scope="module")
def bare(browser):
    rng = np.random.default_rng(0)
    slanted = rng.standard_normal((300, 4)) @ np.array(
        [[1, 0.8, 0, 0], [0, 0.6, 0, 0], [0, 0, 1, 0], [0, 0, 0, 2]]
    )
    with serving(Session({"codes": (slanted + 1).astype(np.float32)}, "a cloud")) as found:
        yield found


@pytest.fixture(scope="module")
def opened(browser, address):
    made = Visit(browser, address)
    made.open()
    yield made
    made.leave()


@pytest.fixture
def visit(opened):
    """The same page for all: each test follows a link to where it begins."""
    yield opened
    opened.page.unroute_all()
    opened.check()


def text(page, selector):
    return page.locator(selector).inner_text()


def loaded(visit, selector):
    """All pictures of a place are there."""
    visit.wait(
        f"(() => {{ const all = [...document.querySelectorAll({json.dumps(selector)})];"
        "return all.length && all.every(i => i.complete && i.naturalWidth > 0); })()"
    )


# --- galleries --------------------------------------------------------------------------------------


def test_samplers_stand_side_by_side_on_the_same_seeds(visit):
    page = visit.follow("view=gallery")
    loaded(visit, "#gallery .pictures img")
    names = page.locator(".sampler-row h3").all_inner_texts()
    assert len(names) == 3
    assert names[1].startswith("gaussian")
    assert names[2].startswith("standard-normal")
    assert "gap" in names[1]
    refs = page.locator(".sampler-row >> nth=1 >> button.picture").evaluate_all(
        "all => all.map(b => b.dataset.ref)"
    )
    assert refs == [f"gaussian:{seed}" for seed in range(12)]
    columns = page.evaluate(
        "[...document.querySelectorAll('.sampler-row')].map(r => [...r.querySelectorAll('button')]"
        ".map(b => Math.round(b.getBoundingClientRect().left)).join())"
    )
    assert len(set(columns)) == 1  # equal seeds above one another


def test_seeds_samplers_and_numbers_of_pictures_are_in_the_url(visit):
    page = visit.follow("view=gallery&g_count=8")
    page.get_by_role("button", name="Next seeds").click()
    page.wait_for_timeout(200)  # what changes at once is one place in the history
    page.get_by_role("checkbox", name="cube", exact=True).check()
    visit.wait("document.querySelectorAll('.sampler-row').length === 4")
    assert visit.state()["g_seed"] == "8"
    assert "cube" in visit.state()["g_samplers"]
    shown = "[...document.querySelectorAll('[data-ref]')].map(b => b.dataset.ref).join()"
    before = page.evaluate(shown)
    assert "cube:15" in before
    visit.wait("location.hash.includes('cube')")
    link = page.evaluate("location.hash.slice(1)")
    page.go_back()  # a change is a place in the history
    visit.wait("document.querySelectorAll('.sampler-row').length === 3")
    page.go_back()
    visit.wait("!window.explorer.state.g_seed")
    visit.wait("document.querySelector('[data-ref]')?.dataset.ref.endsWith(':0')")
    page = visit.open(link)
    visit.wait("document.querySelectorAll('.sampler-row').length === 4")
    assert page.evaluate(shown) == before


def test_a_picture_that_is_clicked_becomes_the_current_face(visit):
    page = visit.follow("view=gallery")
    page.locator('[data-ref="gaussian:3"]').click()
    visit.wait("window.explorer.state.ref === 'gaussian:3'")
    visit.wait("document.querySelector('[data-ref=\"gaussian:3\"]').getAttribute('aria-current')")
    assert "gaussian" in text(page, "#status")


def test_a_sampler_that_cannot_draw_says_why(visit):
    def refuse(route):
        route.fulfill(
            status=400, content_type="application/json", body='{"error": "No flow here."}'
        )

    visit.page.route("**/api/picture?ref=flow*", refuse)
    visit.page.route("**/api/code?ref=flow*", refuse)
    page = visit.follow("view=gallery&g_samplers=gaussian,flow&g_count=8")
    page.get_by_text("No flow here.").wait_for()
    loaded(visit, "#gallery .pictures img")
    visit.expect_wrong("400")


def test_images_stand_beside_their_reconstructions(visit, run):
    page = visit.follow("view=gallery&g_show=pairs")
    loaded(visit, ".pairs-grid img")
    assert page.locator(".pairs-grid button").count() == min(
        12, len(Session.of_run(run).codes["test"])
    )
    visit.wait("document.querySelector('#gallery-pairs > .note')?.textContent.includes('RMSE')")
    page.locator('[data-ref="test:2"]').click()
    visit.wait("window.explorer.state.ref === 'test:2'")
    page.locator("#gallery").get_by_label("Split").select_option("train")
    page.get_by_role("button", name="Next ›").click()
    visit.wait("document.querySelector('[data-ref=\"train:12\"]')")
    assert text(page, "#gallery-pairs .where").startswith("13–24 of")


def test_the_error_of_a_reconstruction_is_that_of_its_pixels(visit, address, run):
    session = Session.of_run(run)
    page = visit.follow("view=gallery&g_show=pairs")
    visit.wait(
        "document.querySelector('[data-ref=\"test:0\"] small')?.textContent.includes('RMSE')"
    )
    said = float(text(page, '[data-ref="test:0"] small').split()[-1])
    made = session.picture("test:0").astype(float) / 255
    import urllib.request

    with urllib.request.urlopen(address + "api/image?ref=test:0") as answer:
        real = np.asarray(Image.open(answer).convert("RGB"), float) / 255
    assert said == pytest.approx(np.sqrt(np.square(made - real).mean()), abs=6e-4)


def test_a_morph_plays_and_shows_its_radius(visit):
    page = visit.follow("view=gallery&g_show=morph&g_steps=8")
    visit.wait("document.querySelectorAll('.morph-strip button').length === 8")
    visit.wait("document.querySelector('.morph-result figcaption')?.textContent.includes('linear')")
    assert page.locator(".morph-result path.path-line").count() == 3
    assert page.locator(".morph-result path.chosen.spherical").count() == 1
    page.get_by_role("button", name="Play").click()
    visit.wait("document.querySelector('.morph-stage input').value > 1")
    page.get_by_role("button", name="Pause").click()
    at = page.locator(".morph-stage input").input_value()
    page.wait_for_timeout(250)
    assert page.locator(".morph-stage input").input_value() == at
    page.get_by_role("radio", name="linear").check()
    visit.wait("document.querySelector('.morph-result path.chosen.linear')")
    page.get_by_label("Step 5 of 8").click()
    page.get_by_role("button", name="Make it the current face").click()
    visit.wait("window.explorer.state.ref.startsWith('z:')")


def test_ends_of_a_morph_are_chosen_swapped_and_taken(visit):
    page = visit.follow("view=gallery&g_show=morph&ref=gaussian:5")
    page.get_by_label("A comes from").select_option("mean")
    visit.wait("window.explorer.state.g_from === 'mean'")
    page.get_by_label("B: next").click()
    visit.wait("window.explorer.state.g_to === 'test:2'")
    page.get_by_label("Swap A and B").click()
    visit.wait("window.explorer.state.g_from === 'test:2' && window.explorer.state.g_to === 'mean'")
    page.get_by_role("button", name="Take the current face").first.click()
    visit.wait("window.explorer.state.g_from === 'gaussian:5'")
    loaded(visit, ".morph-end img")


def test_a_morph_is_saved_as_strip_and_as_film(visit, tmp_path):
    page = visit.follow("view=gallery&g_show=morph&g_steps=8")
    visit.wait("document.querySelectorAll('.morph-strip button').length === 8")
    for name, kind in (("Save PNG strip", "PNG"), ("Save GIF", "GIF")):
        with page.expect_download() as waiting:
            page.get_by_role("button", name=name).click()
        path = tmp_path / waiting.value.suggested_filename
        waiting.value.save_as(path)
        with Image.open(path) as found:
            assert found.format == kind
            if kind == "PNG":
                assert found.width >= 8 * found.height
            else:
                assert 2 <= found.n_frames <= 14  # there and back; equal ones are one
                assert found.size == (32, 32)


def test_a_morph_between_equal_ends_says_what_is_wrong(visit):
    page = visit.follow("view=gallery&g_show=morph&g_from=test:1&g_to=test:1")
    page.locator("#gallery-morph .problem").wait_for()
    assert page.locator(".morph-result").is_hidden()
    page.get_by_label("B: next").click()
    page.locator(".morph-result").wait_for()
    visit.expect_wrong("400")


def test_a_morph_keeps_still_where_motion_is_unwanted(browser, address):
    visit = Visit(browser, address, reduced_motion="reduce")
    page = visit.open("view=gallery&g_show=morph&g_steps=2")
    visit.wait("document.querySelectorAll('.morph-strip button').length === 2")
    page.wait_for_timeout(200)
    assert page.locator(".morph-stage input").input_value() == "0"  # never by itself
    page.get_by_role("button", name="Play").click()
    page.wait_for_timeout(400)
    assert page.locator(".morph-stage input").input_value() == "0"  # slowly
    visit.wait("document.querySelector('.morph-stage input').value === '1'")
    page.get_by_role("button", name="Play").wait_for()  # once
    visit.leave()


# --- the shape --------------------------------------------------------------------------------------


def settled(visit):
    visit.wait("document.querySelectorAll('#shape .panel').length >= 5")
    visit.wait("!document.querySelector('#shape .panel[aria-busy]')")


def test_the_shape_view_says_what_the_record_says(visit, run):
    shape = json.loads(run.shape_path.read_text())
    page = visit.follow("view=shape")
    settled(visit)
    assert page.locator("#shape .problem").count() == 0
    words = {True: "yes", False: "no", None: "undecided"}
    answers = page.locator(".verdict b").all_inner_texts()
    assert answers[0] == words[shape["verdict"]["pairs_normal"]["value"]]
    assert answers[4] == shape["verdict"]["sampler"]["value"]
    facts = text(page, "#shape .facts")
    assert f"{shape['centre']['offset_sigma']:.1f} σ" in facts
    assert f"√d = {np.sqrt(shape['d']):.1f}" in facts
    row = page.locator(".pair-of-tables tr", has_text="2 σ").inner_text().split("\t")
    level = next(c for c in shape["ellipses"]["coverage"] if c["sigma"] == 2)
    assert row[1:3] == [f"{100 * level['observed']:.2f} %", f"{100 * level['expected']:.2f} %"]
    pairs = page.locator(".pair-of-tables table").last.locator("tbody td:nth-child(2)")
    assert pairs.all_inner_texts() == [str(n) for n in shape["correlation"]["counts"].values()]


def test_every_chart_has_axes_and_a_text_alternative(visit):
    page = visit.follow("view=shape")
    settled(visit)
    charts = page.locator("#shape svg.chart[role=img]")
    assert (
        charts.count() == 2
    )  # radius and spectrum; a component's button says what its chart shows
    for described in [*charts.all(), *page.locator("button.component").all()]:
        assert len(described.get_attribute("aria-label")) > 60
        assert described.locator(".axes text").count() >= 4
    page.locator("[data-panel=radius] summary").click()
    page.locator("[data-panel=radius] tbody tr").nth(88).wait_for()


def test_a_component_opens_its_plane_with_its_partner(visit, run):
    page = visit.follow("view=shape&s_sort=index")
    settled(visit)
    z = np.load(run.path / "codes" / "train.npy")
    r = np.abs(np.corrcoef(z.T)) - np.eye(z.shape[1])
    page.get_by_label("Component 2:").click()
    visit.wait("window.explorer.state.view === 'plane'")
    assert visit.state()["x"] == "component:2"
    assert visit.state()["y"] == f"component:{r[2].argmax()}"
    page.go_back()
    visit.wait("window.explorer.state.view === 'shape'")


def test_components_are_sorted_by_the_distance_of_their_mean(visit, run):
    page = visit.follow("view=shape")
    settled(visit)
    mean = np.abs(np.load(run.path / "codes" / "train.npy").mean(axis=0))
    order = [int(t.split()[1]) for t in page.locator("button.component strong").all_inner_texts()]
    assert order == np.argsort(-mean, kind="stable").tolist()
    page.get_by_label("Sorted by").select_option("index")
    visit.wait("document.querySelector('button.component strong').textContent === 'component 0'")
    assert visit.state()["s_sort"] == "index"


def test_a_cell_of_the_matrix_opens_its_plane(visit, run):
    page = visit.follow("view=shape")
    settled(visit)
    z = np.load(run.path / "codes" / "train.npy")
    matrix, d = page.locator(".matrix-map canvas"), z.shape[1]
    matrix.scroll_into_view_if_needed()
    side = matrix.bounding_box()["width"]
    matrix.hover(position={"x": 3.5 * side / d, "y": 0.5 * side / d})
    said = text(page, ".matrix-side .reading").replace("−", "-").split()
    i, j = int(said[-3]), int(said[-1])
    assert float(said[2]) == pytest.approx(np.corrcoef(z.T)[i, j], abs=6e-4)
    matrix.click(position={"x": 3.5 * side / d, "y": 0.5 * side / d})
    visit.wait("window.explorer.state.view === 'plane'")
    assert (visit.state()["x"], visit.state()["y"]) == (f"component:{i}", f"component:{j}")


def test_the_matrix_is_walked_by_keyboard(visit, run):
    page = visit.follow("view=shape")
    settled(visit)
    z = np.load(run.path / "codes" / "train.npy")
    r = np.abs(np.corrcoef(z.T)) - np.eye(z.shape[1])
    strongest = {int(k) for k in np.unravel_index(r.argmax(), r.shape)}
    page.locator(".matrix-map").focus()
    page.keyboard.press("Home")
    found = text(page, ".matrix-side .reading").split()
    assert {int(found[-3]), int(found[-1])} == strongest
    page.keyboard.press("ArrowDown")
    assert text(page, ".matrix-side .reading").split() != found
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    visit.wait("window.explorer.state.view === 'plane'")
    assert {visit.state()["x"], visit.state()["y"]} == {f"component:{k}" for k in strongest}


def test_a_bar_of_the_spectrum_opens_the_plane_of_its_axes(visit):
    page = visit.follow("view=shape")
    settled(visit)
    bars = page.locator("[data-panel=spectrum] .codes-bar")
    bars.nth(1).click(force=True)
    visit.wait("window.explorer.state.view === 'plane'")
    assert (visit.state()["x"], visit.state()["y"]) == ("pca:1", "pca:2")
    page = visit.follow("view=shape")
    settled(visit)
    page.locator(".spectrum").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert "axis 3" in page.locator(".spectrum").get_attribute("aria-valuetext")
    page.keyboard.press("Enter")
    visit.wait("window.explorer.state.x === 'pca:2'")


def test_the_scorecard_marks_the_best_and_leads_to_pictures(visit, run):
    card = json.loads(run.scorecard_path.read_text())
    page = visit.follow("view=shape")
    settled(visit)
    rows = page.locator("table.card tbody tr:not(.group)")
    assert rows.count() == len(card["rows"])
    assert rows.first.locator("th").inner_text() == "real"  # yardsticks first
    for mark in page.locator("table.card td.best .mark").all():
        assert "best" in mark.inner_text()  # not by colour alone
    assert card["recommendation"]["value"] in text(page, "#shape .advice")
    page.get_by_role("button", name="cube", exact=True).click()
    visit.wait("window.explorer.state.view === 'gallery'")
    assert visit.state()["g_samplers"].startswith("cube,")
    loaded(visit, '[data-ref^="cube:"] img')


# --- bare codes, phones, darkness ---------------------------------------------------------------------


def test_bare_codes_have_a_shape_and_no_gallery(browser, bare):
    visit = Visit(browser, bare)
    page = visit.open("view=shape")
    visit.wait("document.querySelectorAll('#shape .panel').length === 5")
    # Figures of the codes themselves do not wait for the measurement.
    page.locator("[data-panel=correlations] .matrix-map").wait_for()
    page.locator("[data-panel=radius] svg.chart").first.wait_for()
    assert page.locator("button.component").count() == 4
    settled(visit)
    assert page.locator(".verdict .answer").count() == 5
    assert page.locator("#shape .problem").count() == 0
    assert page.get_by_role("tab", name="Gallery").count() == 0
    assert page.locator("[data-panel=scorecard]").count() == 0
    visit.leave()


def test_on_a_phone_nothing_is_wider_than_the_screen(browser, address):
    visit = Visit(browser, address, color_scheme="dark", **PHONE)
    page = visit.open("view=shape")
    settled(visit)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    matrix = page.locator(".matrix-map canvas")
    matrix.scroll_into_view_if_needed()
    side = matrix.bounding_box()["width"]
    matrix.tap(position={"x": 0.1 * side, "y": 0.9 * side})  # moves the cell, and opens nothing
    assert visit.state()["view"] == "shape"
    page.get_by_role("button", name="Open this plane", exact=True).first.tap()
    visit.wait("window.explorer.state.view === 'plane'")
    for part in ("samplers", "pairs", "morph"):
        visit.follow(f"view=gallery&g_show={part}")
        loaded(visit, "#gallery [role=tabpanel]:not([hidden]) img")
        page.wait_for_timeout(50)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), part
    visit.leave()


def test_the_matrix_turns_dark_with_the_page(visit):
    page = visit.follow("view=shape")
    settled(visit)
    picture = "document.querySelector('.matrix-map canvas').toDataURL()"
    light = page.evaluate(picture)
    page.locator("#theme").click()
    page.wait_for_timeout(50)
    assert page.evaluate(picture) != light
    page.locator("#theme").click()
    page.wait_for_timeout(50)
    assert page.evaluate(picture) == light
