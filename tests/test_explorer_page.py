# ruff: noqa: F401, F811 - fixtures are imported
"""The plane and the current face of the explorer's page, in a real browser."""

import io
import json
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from PIL import Image

from explorer_page import Visit, address, browser, run
from explorer_server import serving
from latentshape.explorer.references import parse_reference, written_out
from latentshape.explorer.session import Session

D = 5  # of the tiny run
REFUSED = ("400 at ", "the server responded with a status of 400")


@pytest.fixture
def visit(browser):
    """Makes visitors; nothing may have gone wrong when they leave."""
    visitors = []

    def make(address, **options):
        visitors.append(Visit(browser, address, **options))
        return visitors[-1]

    yield make
    for visitor in visitors:
        visitor.leave()


@pytest.fixture
def seen(visit, address):
    return visit(address)


def numbers(seen, name, **query):
    """An answer of the server."""
    response = seen.page.request.get(f"{seen.address}api/{name}", params=query)
    assert response.ok
    return np.frombuffer(response.body(), "<f4")


def current(seen):
    """The current code (d,)."""
    return np.array(seen.page.evaluate("[...window.explorer.current.code]"), np.float32)


def place_of(seen, x=0.5, y=0.5):
    """Pixels of a place in the plot, from its left and top, each 0 to 1."""
    box = seen.page.locator("#plot canvas").bounding_box()
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def click(seen, x, y):
    """Click a place, and wait for its picture."""
    before = len(seen.page.evaluate("window.explorer.timings.click"))
    seen.page.mouse.click(*place_of(seen, x, y))
    seen.wait(f"window.explorer.timings.click.length > {before}")


# On a copy: the page's own canvas is not to be slowed by being read.
PIXELS = """selector => {
    const canvas = document.querySelector(selector);
    const copy = document.createElement("canvas");
    [copy.width, copy.height] = [canvas.width, canvas.height];
    const context = copy.getContext("2d", { willReadFrequently: true });
    context.drawImage(canvas, 0, 0);
    return context.getImageData(0, 0, canvas.width, canvas.height).data;
}"""


def picture(seen, selector="canvas.picture"):
    """Pixels (h, w, 4) of a canvas of pictures."""
    pixels = np.array(seen.page.evaluate(f"s => [...({PIXELS})(s)]", selector), np.uint8)
    side = int(np.sqrt(len(pixels) / 4))
    return pixels.reshape(side, side, 4)


def shows(seen, ref):
    """Whether the big picture is that of a code, pixel for pixel, as the server draws it."""
    response = seen.page.request.get(f"{seen.address}api/picture", params={"ref": ref})
    expected = np.asarray(Image.open(io.BytesIO(response.body())).convert("RGBA"))
    return np.array_equal(picture(seen), expected)


def wait_for_picture(seen, ref):
    for _ in range(50):
        if shows(seen, ref):
            return
        seen.page.wait_for_timeout(40)
    raise AssertionError(f"the picture of {ref} did not come")


def status(seen):
    """What the status line says."""
    return seen.page.locator("#status").inner_text()


def fragment(seen):
    """What the address says, once it has settled."""
    seen.page.wait_for_timeout(50)  # the wheel's events come a moment after it was turned
    seen.page.evaluate("window.explorer.settle()")
    return {k: v[0] for k, v in parse_qs(urlsplit(seen.page.url).fragment).items()}


# --- the plane ----------------------------------------------------------------------------------------------


def drawn_pixels(seen):
    """Pixels of the density that are not empty."""
    count = f"s => ({PIXELS})(s).reduce((n, value, i) => n + (i % 4 === 3 && value > 0), 0)"
    return seen.page.evaluate(count, "#plot canvas")


def test_the_plane_shows_all_codes_with_their_ellipses(seen):
    seen.open()
    seen.wait("window.explorer.timings.paint > 0")
    assert drawn_pixels(seen) > 200  # as many codes, some above one another
    page = seen.page
    assert page.locator(".ellipse").count() == 3
    facts = page.request.get(f"{seen.address}api/plane?x=pca:0&y=pca:1").json()
    table = page.locator(".coverage").inner_text()
    for ellipse in facts["ellipses"]:
        for key in ("observed", "expected"):
            assert f"{100 * ellipse[key]:.1f} %" in table
    words = page.locator("#plot canvas").get_attribute("aria-label")
    assert words.startswith("200 codes, principal axis 1")
    assert "ellipse holds" in words
    page.mouse.move(*place_of(seen, 0.3, 0.3))
    assert "σ" in page.locator(".readout").inner_text()
    assert page.locator("#facts").inner_text() == "200 codes, d = 5"


def test_axes_colours_contours_and_drawn_codes_are_chosen(seen):
    seen.open()
    page = seen.page
    page.select_option("#axis-x", "component:3")
    seen.wait("document.querySelector('.axis').textContent === 'component 3'")
    page.click("#swap")
    seen.wait("document.querySelectorAll('.axis')[1].textContent === 'component 3'")
    page.select_option("#axis-x", "component:3")  # what y is: the two change places
    seen.wait("document.querySelector('.axis').textContent === 'component 3'")
    assert seen.state()["y"] == "pca:1"

    before = drawn_pixels(seen)
    about = page.request.get(f"{seen.address}api/about").json()
    kinds = {entry["kind"]: f"attribute:{entry['name']}" for entry in about["attributes"]}
    for colour in ("radius", *kinds.values(), "density"):
        page.select_option("#colour", colour)
        seen.wait(f"window.explorer.state.colour === {colour!r}")
        label = page.locator(f'#colour option[value="{colour}"]').inner_text()
        shown = "codes per pixel" if colour == "density" else label
        seen.wait(f"document.querySelector('.legend').textContent.includes({json.dumps(shown)})")
        assert 0.5 * before < drawn_pixels(seen) < 2 * before

    page.select_option("#colour", "split")
    page.wait_for_selector(".legend input")
    assert page.locator(".legend .check").all_inner_texts()[0].startswith("train (")
    all_splits = drawn_pixels(seen)
    page.locator(".legend input").first.uncheck()
    page.wait_for_timeout(100)
    assert drawn_pixels(seen) < 0.6 * all_splits

    assert page.locator(".contour").count() > 0
    assert not page.locator(".contour").first.is_visible()
    page.check("#contours")
    page.uncheck("#ellipses")
    assert page.locator(".contour").first.is_visible()
    assert not page.locator(".ellipse").first.is_visible()
    assert page.locator("#drawn-n").is_disabled()
    page.select_option("#drawn", "gaussian")
    page.fill("#drawn-n", "40")
    page.press("#drawn-n", "Tab")
    seen.wait("document.querySelector('.legend').textContent.includes('seeds 0 to 39')")
    found = fragment(seen)
    assert found == {
        "x": "component:3", "colour": "split", "ellipses": "0", "contours": "1",
        "drawn": "gaussian", "drawn_n": "40",
    }  # fmt: skip


@pytest.mark.parametrize("rest", ["mean", "current", "conditional"])
def test_a_click_anywhere_decodes_the_code_of_that_place(seen, rest):
    axes = {"x": "pca:0", "y": "component:2"}
    seen.open(f"x=pca:0&y=component:2&rest={rest}&ref=train:3")
    seen.wait("window.explorer.timings.paint > 0")
    start = current(seen)
    click(seen, 0.6, 0.3)
    ref = fragment(seen)["ref"]
    z = parse_reference(ref, D).z
    assert shows(seen, ref)
    np.testing.assert_array_equal(current(seen), z)

    pin = seen.page.locator(".pin.current .line circle").first.bounding_box()
    x, y = place_of(seen, 0.6, 0.3)
    assert abs(pin["x"] + pin["width"] / 2 - x) < 1.5
    assert abs(pin["y"] + pin["height"] / 2 - y) < 1.5

    lift = numbers(seen, "lift", **axes).reshape(7, D)
    base = start if rest == "current" else lift[6]
    steps = lift[4:6] if rest == "conditional" else lift[2:4]
    moved = lift[:2] @ (z - base)
    np.testing.assert_allclose(z, base + moved @ steps, atol=1e-4)
    assert seen.page.evaluate("window.explorer.timings.click")[0] > 0
    seen.wait(
        "document.querySelector('.radius .words').textContent.startsWith('Mahalanobis radius')"
    )


def test_a_drag_shows_live_pictures_and_ends_in_one_state(seen):
    seen.open()
    seen.wait("window.explorer.timings.paint > 0")
    mouse = seen.page.mouse
    mouse.move(*place_of(seen, 0.3, 0.5))
    mouse.down()
    first = picture(seen)
    for i in range(12):
        mouse.move(*place_of(seen, 0.3 + 0.03 * i, 0.5))
        seen.page.wait_for_timeout(25)
    assert "ref" not in fragment(seen)  # the address waits for the end
    mouse.up()
    assert len(seen.page.evaluate("window.explorer.timings.drag")) >= 3
    ref = fragment(seen)["ref"]
    wait_for_picture(seen, ref)
    assert not np.array_equal(first, picture(seen))
    seen.page.go_back()
    wait_for_picture(seen, "mean")


def test_a_line_gives_a_strip_that_is_chosen_from_and_saved(seen):
    seen.open()
    seen.wait("window.explorer.timings.paint > 0")
    page = seen.page
    page.click("#line-mode")
    page.mouse.move(*place_of(seen, 0.35, 0.6))
    page.mouse.down()
    page.mouse.move(*place_of(seen, 0.6, 0.4), steps=4)
    page.mouse.up()
    seen.wait("document.querySelectorAll('.pictures canvas').length === 12")
    assert "ref" not in fragment(seen)  # a line is no click
    steps = page.locator(".strip input")
    steps.focus()
    steps.press("ArrowLeft")
    seen.wait("document.querySelectorAll('.pictures canvas').length === 11")
    for button, kind in ((".save-png", "PNG"), (".save-gif", "GIF")):
        with page.expect_download() as waiting:
            page.click(button)
        with Image.open(waiting.value.path()) as image:
            assert image.format == kind
            if kind == "PNG":
                assert image.width >= 11 * 32
                assert image.width / image.height > 8
            else:
                # There and back, the ends once; frames that look the same are one.
                assert 2 <= image.n_frames <= 20
    page.locator(".pictures button").nth(4).click()
    seen.wait("window.explorer.state.ref.startsWith('z:')")
    wait_for_picture(seen, seen.state()["ref"])
    assert "picture 5 of 11" in status(seen)
    page.click(".strip .clear")
    assert page.locator(".strip").is_hidden()


def test_the_plane_is_zoomed_and_moved(seen):
    seen.open()
    seen.wait("window.explorer.timings.paint > 0")
    page = seen.page

    def box():
        return [float(v) for v in fragment(seen).get("box", "0,0,0,0").split(",")]

    page.mouse.move(*place_of(seen, 0.5, 0.5))
    page.mouse.wheel(0, -400)
    near = box()
    assert near[0] < near[1]
    page.keyboard.down("Shift")
    page.mouse.down()
    page.mouse.move(*place_of(seen, 0.4, 0.5), steps=3)
    page.mouse.up()
    page.keyboard.up("Shift")
    moved = box()
    wide = near[1] - near[0]
    np.testing.assert_allclose(np.subtract(moved, near)[:2], 0.1 * wide, rtol=0.05)
    assert "ref" not in fragment(seen)  # moving the view chooses nothing
    page.get_by_role("button", name="Zoom out").click()
    assert box()[1] - box()[0] > 1.4 * wide
    page.get_by_role("button", name="Show all").click()
    assert "box" not in fragment(seen)
    redraws = page.evaluate("window.explorer.timings.redraw")
    assert len(redraws) >= 4
    assert all(0 < t < 1000 for t in redraws)


def test_everything_in_the_plane_goes_by_keyboard(seen):
    seen.open()
    seen.wait("window.explorer.timings.paint > 0")
    page = seen.page
    plot = page.locator("#plot")
    assert plot.get_attribute("role") == "application"
    assert "Arrow keys" in plot.get_attribute("aria-label")
    plot.focus()
    plane = page.request.get(f"{seen.address}api/plane?x=pca:0&y=pca:1").json()
    lift = numbers(seen, "lift", x="pca:0", y="pca:1").reshape(7, D)
    at = lift[:2] @ lift[6] + plane["offset"]
    for key, sigmas in (
        ("ArrowRight", (0.1, 0)),
        ("Shift+ArrowUp", (0, 0.5)),
        ("ArrowLeft", (-0.1, 0)),
    ):
        page.keyboard.press(key)
        at = at + np.multiply(sigmas, (plane["x"]["std"], plane["y"]["std"]))
        np.testing.assert_allclose(lift[:2] @ current(seen) + plane["offset"], at, atol=1e-3)
        assert "σ" in status(seen)
    page.keyboard.press("a")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("b")
    seen.wait("document.querySelectorAll('.pictures canvas').length === 12")
    page.keyboard.press("+")
    page.keyboard.press("Enter")
    left, right, low, high = (float(v) for v in fragment(seen)["box"].split(","))
    at[0] += 0.5 * plane["x"]["std"]
    np.testing.assert_allclose(
        [(left + right) / 2, (low + high) / 2], at, atol=0.01 * (right - left)
    )
    page.keyboard.press("0")
    assert "box" not in fragment(seen)
    page.locator("#tab-plane").focus()
    page.keyboard.press("ArrowRight")
    assert seen.state()["view"] == "face"
    assert page.evaluate("document.activeElement.id") == "tab-face"


# --- the current face ---------------------------------------------------------------------------------------


def move_slider(seen, name, keys):
    slider = seen.page.locator(f'[data-slider="{name}"]')
    slider.focus()
    for _ in range(keys):
        slider.press("ArrowRight")


def test_sliders_move_the_code_and_hold_the_others(seen):
    seen.open("view=face&ref=train:0")
    page = seen.page
    page.wait_for_selector("[data-slider]")
    before = current(seen)
    readouts = numbers(seen, "readouts").reshape(-1, D + 1)
    names = page.evaluate(
        "[...document.querySelectorAll('[data-slider]')].map(e => e.dataset.slider)"
    )
    attributes = [name for name in names if name.startswith("attribute")]
    assert attributes
    assert "pca:0" in names
    for name in ("pca:1", attributes[0]):
        was = readouts @ np.append(current(seen), 1)
        move_slider(seen, name, 10)
        now = readouts @ np.append(current(seen), 1)
        k = names.index(name)
        # A range input stands on its own steps: the first key also rounds.
        assert 0.45 <= now[k] - was[k] <= 0.55
        kind = name.split(":")[0]
        same = [i for i, other in enumerate(names) if other.startswith(kind) and i != k]
        np.testing.assert_allclose(now[same], was[same], atol=1e-3)
    assert not np.allclose(before, current(seen))
    ref = fragment(seen)["ref"]
    np.testing.assert_array_equal(parse_reference(ref, D).z, current(seen))
    wait_for_picture(seen, ref)


def test_temperature_goes_from_the_mean_to_twice_as_far(seen):
    seen.open("view=face&ref=train:5&t=2")
    page = seen.page
    mean = numbers(seen, "code", ref="mean")
    z = numbers(seen, "code", ref="train:5")
    np.testing.assert_allclose(current(seen), mean + 2 * (z - mean), atol=1e-4)
    page.locator("#temperature").focus()
    page.keyboard.press("Home")
    wait_for_picture(seen, "mean")
    page.keyboard.press("End")
    for _ in range(20):
        page.keyboard.press("ArrowLeft")
    assert fragment(seen) == {"view": "face", "ref": "train:5"}  # as it is
    wait_for_picture(seen, "train:5")


def test_codes_are_chosen_by_sampler_seed_mean_and_chance(seen):
    seen.open("view=face")
    page = seen.page
    page.select_option("#sampler", "gaussian")
    wait_for_picture(seen, "gaussian:0")
    page.get_by_role("button", name="Next seed").click()
    wait_for_picture(seen, "gaussian:1")
    page.get_by_role("button", name="Previous seed").click()
    wait_for_picture(seen, "gaussian:0")
    page.fill("#seed", "77")
    page.press("#seed", "Enter")
    wait_for_picture(seen, "gaussian:77")
    assert status(seen) == "Current: drawn by gaussian, seed 77."
    page.get_by_role("button", name="Select the mean code").click()
    wait_for_picture(seen, "mean")
    page.get_by_role("button", name="Select the code of a training image").click()
    seen.wait("window.explorer.state.ref.startsWith('train:')")
    wait_for_picture(seen, seen.state()["ref"])


def test_radius_and_neighbours_are_the_servers(seen):
    seen.open("view=face&ref=train:2")
    page = seen.page
    page.wait_for_selector(".thumbnails button")
    z = numbers(seen, "code", ref="train:2")
    said = page.request.post(
        f"{seen.address}api/describe",
        data=z.tobytes(),
        headers={"Origin": seen.address.rstrip("/")},
    ).json()
    assert page.locator(".radius .words").inner_text() == said["words"]
    assert page.locator(".heading output").inner_text() == f"{said['radius']:.1f}"
    assert page.locator(".thumbnails button").count() == len(said["nearest"])
    seen.wait("[...document.querySelectorAll('.thumbnails img')].every(i => i.naturalWidth === 32)")
    assert said["words"] in page.locator("canvas.picture").get_attribute("aria-label")
    page.locator(".thumbnails button").nth(1).click()
    wait_for_picture(seen, said["nearest"][1]["ref"])


def test_a_photo_becomes_the_current_face_and_is_moved(seen, tmp_path):
    seen.open("view=face")
    page = seen.page
    path = tmp_path / "photo.png"
    path.write_bytes(page.request.get(f"{seen.address}api/image?ref=test:0").body())
    page.select_option("#crop", "square")
    page.set_input_files("#photo", path)
    page.wait_for_selector(".pair img >> nth=1")
    seen.wait("window.explorer.state.ref.startsWith('z:')")
    np.testing.assert_allclose(current(seen), numbers(seen, "code", ref="test:0"), atol=1e-3)
    assert "photo.png" in status(seen)
    before = current(seen)
    move_slider(seen, "pca:0", 5)
    assert not np.allclose(before, current(seen))

    dropped = """async address => {
        const content = await (await fetch(address)).arrayBuffer();
        const held = new DataTransfer();
        held.items.add(new File([content], "dropped.png", { type: "image/png" }));
        const event = new DragEvent("drop", { dataTransfer: held, bubbles: true, cancelable: true });
        document.querySelector("#upload").dispatchEvent(event);
    }"""
    page.evaluate(dropped, "api/image?ref=test:1")
    seen.wait("document.querySelector('#status').textContent.includes('dropped.png.')")
    np.testing.assert_allclose(current(seen), numbers(seen, "code", ref="test:1"), atol=1e-3)

    other = tmp_path / "words.png"
    other.write_text("no picture")
    page.set_input_files("#photo", other)
    seen.wait("document.querySelector('#status').classList.contains('error')")
    assert len(status(seen)) > 20
    for words in REFUSED:
        seen.expect_wrong(words)


# --- states, errors, looks ----------------------------------------------------------------------------------


def test_an_address_reproduces_what_was_seen(seen):
    z = np.linspace(-2, 2, D).astype(np.float32)
    about = seen.page.request.get(f"{seen.address}api/about").json()
    attribute = f"y=attribute:{about['axes']['attribute'][0]}"
    parts = [
        "x=component:1", attribute, "colour=radius", "rest=conditional", "contours=1",
        "drawn=gaussian", "drawn_n=50", "line=-1,-1,1,1", "steps=9", f"ref={written_out(z)}", "t=0.5",
    ]  # fmt: skip
    seen.open("" + "&".join(parts))
    seen.wait("document.querySelectorAll('.pictures canvas').length === 9")
    mean = numbers(seen, "code", ref="mean")
    np.testing.assert_allclose(current(seen), mean + 0.5 * (z - mean), atol=1e-5)
    wait_for_picture(seen, written_out(current(seen)))
    page = seen.page
    assert page.locator("#axis-x").input_value() == "component:1"
    assert page.locator("#rest").input_value() == "conditional"
    assert page.locator("#contours").is_checked()
    assert page.locator("#temperature").input_value() == "0.5"
    click(seen, 0.45, 0.55)
    fragment(seen)
    shown, code = picture(seen), current(seen)
    url = page.url
    page.goto("about:blank")
    page.goto(url)
    page.evaluate("window.explorer.ready")
    wait_for_picture(seen, parse_qs(urlsplit(url).fragment)["ref"][0])
    np.testing.assert_array_equal(picture(seen), shown)
    np.testing.assert_array_equal(current(seen), code)
    page.evaluate("location.hash = '#view=face&ref=gaussian:3'")  # typed by hand
    wait_for_picture(seen, "gaussian:3")
    assert page.locator("#seed").input_value() == "3"
    page.evaluate("history.back()")
    seen.wait("window.explorer.state.view === 'plane'")


@pytest.mark.parametrize(
    ("wrong", "said", "asks"),
    [
        ("ref=train:99999", "rows 0 to", True),
        ("ref=z:AAAA", "components", True),
        ("x=component:99", "numbered 0 to 4", True),
        ("colour=attribute:none", "density is shown", False),
        ("view=nowhere&t=warm", "Click or drag", False),
    ],
)
def test_what_is_refused_is_said_and_the_page_goes_on(seen, wrong, said, asks):
    seen.open(wrong)
    seen.wait("window.explorer.timings.paint > 0 && window.explorer.current.code !== null")
    seen.wait(f"document.querySelector('#status').textContent.includes({json.dumps(said)})")
    click(seen, 0.5, 0.4)
    assert fragment(seen)["ref"].startswith("z:")
    if asks:
        for words in REFUSED:
            seen.expect_wrong(words)


def test_light_and_dark_follow_the_system_until_chosen(visit, address):
    seen = visit(address, color_scheme="dark")
    page = seen.open()
    background = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    dark = page.evaluate(background)
    page.click("#theme")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    assert page.evaluate(background) != dark
    seen.open("x=pca:1&y=pca:0")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"


def test_a_phone_shows_everything_without_scrolling_sideways(visit, address):
    seen = visit(address, viewport={"width": 390, "height": 844}, has_touch=True)
    for view in ("plane", "face", "gallery", "shape"):
        page = seen.open(f"view={view}")
        page.wait_for_timeout(100)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, view
    seen.open()
    seen.wait("window.explorer.timings.paint > 0")
    page.touchscreen.tap(*place_of(seen, 0.5, 0.4))
    seen.wait("window.explorer.timings.click.length === 1")
    assert np.array_equal(picture(seen, ".inset"), picture(seen))
    pinch(seen)
    assert "box" in fragment(seen)


def pinch(seen):
    """Two fingers that part."""
    session = seen.page.context.new_cdp_session(seen.page)
    (x, y), found = place_of(seen), []
    for apart in (20, 40, 60, 80):
        found = [{"x": x - apart, "y": y, "id": 0}, {"x": x + apart, "y": y, "id": 1}]
        kind = "touchStart" if apart == 20 else "touchMove"
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": found})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_every_control_has_a_name(seen):
    for view in ("plane", "face"):
        seen.open(f"view={view}")
        seen.page.wait_for_selector("[data-slider]")
        nameless = seen.page.evaluate(
            """() => [...document.querySelectorAll("button, input, select")].filter((node) => {
                const label = node.getAttribute("aria-label") || node.labels?.[0]?.textContent
                    || (node.tagName === "BUTTON" && node.textContent);
                return !label?.trim();
            }).map((node) => node.outerHTML)"""
        )
        assert nameless == []
        assert seen.page.locator("[role=status]").get_attribute("aria-live") == "polite"


def test_bare_codes_have_a_plane_and_a_shape(browser):
    z = np.random.default_rng(0).standard_normal((300, 4)).astype(np.float32)
    with serving(Session({"codes": z}, "a cloud")) as address:
        seen = Visit(browser, address)
        page = seen.open("view=face")
        seen.wait("window.explorer.timings.paint > 0")
        assert page.locator("#tabs button").all_inner_texts() == ["Plane", "Shape"]
        assert page.locator("#face").is_hidden()
        assert page.locator("#plane").is_visible()
        page.mouse.click(*place_of(seen, 0.6, 0.4))
        seen.wait("document.querySelector('#status').textContent.includes('Mahalanobis')")
        assert current(seen).shape == (4,)
        seen.leave()
