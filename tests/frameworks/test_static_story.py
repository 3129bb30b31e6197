"""The story: a run is exported, opened in Chromium from a plain file server, and a click decodes there."""

import base64

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="no ONNX Runtime: pip install 'latentshape[onnx]'")
pytest.importorskip("onnxscript", reason="no exporter: pip install 'latentshape[onnx]'")

from explorer_page import Visit, launched
from latentshape.adopting import adopt
from latentshape.cli import main
from latentshape.decoding import decode, decode_pixels
from latentshape.errors import InputError
from latentshape.explorer.onnxruntime_web import find_runtime
from latentshape.explorer.references import written_out
from latentshape.explorer.session import Session
from latentshape.images import decode_image, grid
from latentshape.models import load_model
from latentshape.runs import RunFolder
from static_page import asked, files_served, spelt
from tiny_run import made_once

#: In [0, 1]: what the decoded pictures may differ by from torch's.
SAME = 1e-3


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    made = made_once(tmp_path_factory)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LATENTSHAPE_CACHE", str(made / "cache"))
        try:
            find_runtime()
        except InputError as refusal:
            pytest.skip(f"no onnxruntime-web: {refusal}")
        yield made


@pytest.fixture(autouse=True)
def own_cache(base):
    """The cache that the run was made with, in which onnxruntime-web is."""


@pytest.fixture(scope="module")
def folder(base):
    words = ["--static", str(base / "page"), "--onnx", str(base / "onnx"), "--draws", "24"]
    assert main(["export", str(base / "run"), *words]) == 0
    return base / "page"


@pytest.fixture(scope="module")
def browser():
    with launched() as found:
        yield found


@pytest.fixture
def seen(browser, folder):
    with files_served(folder) as address:
        visitor = Visit(browser, address)
        visitor.open()
        yield visitor
        visitor.leave()  # no error in the console, nothing asked of another host


@pytest.fixture(scope="module")
def session(base):
    return Session.of_run(RunFolder(base / "run"))


@pytest.fixture(scope="module")
def far(session):
    """Codes far enough apart that their pictures differ: the tiny run has learnt next to nothing."""
    mean = session.moments.mean
    return (mean + 40_000 * (session.train[:3] - mean)).astype(np.float32)


def images(session, z):
    """As torch gives them, one at a time, (m, c, h, w) in [0, 1]."""
    return np.concatenate([x.cpu().numpy() for x in decode(session.model, z, batch=1)])


def test_a_click_is_decoded_by_the_browser_as_torch_decodes_it(seen, session, far):
    page = seen.page
    box = page.locator("#plot canvas").bounding_box()
    shown = []
    for z, x, y in ((far[0], 0.2, 0.3), (far[1], 0.8, 0.6)):
        # With the rest of a code far out, where pictures differ.
        ref = written_out(z)
        seen.follow(f"x=pca:0&y=pca:1&rest=current&ref={ref}")
        seen.wait(f"window.explorer.current.ref === '{ref}'")
        before = page.evaluate("window.explorer.timings.click.length")
        page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
        seen.wait(f"window.explorer.timings.click.length > {before}")
        code = np.array(page.evaluate("[...window.explorer.current.code]"), np.float32)
        wanted = decode_pixels(session.model, code[None], batch=1)[0]
        url = page.evaluate("document.querySelector('#face canvas.picture').toDataURL('image/png')")
        drawn = decode_image(base64.b64decode(url.partition(",")[2])).pixels.astype(int)
        assert np.abs(drawn - wanted).max() <= 1  # a half may round either way
        assert (drawn == wanted).mean() > 0.99
        floats = np.array(asked(page, f"s.decodeFloats({spelt(code)})"))
        assert np.abs(floats - images(session, code[None]).ravel()).max() < SAME
        shown.append(floats)
    assert np.abs(shown[0] - shown[1]).max() > 50 * SAME  # two places, two pictures


def test_pictures_by_name_strips_and_files(seen, session, far):
    page = seen.page
    found = np.array(asked(page, f"s.decodeFloats({spelt(far)})"))
    wanted = images(session, far)
    assert np.abs(found - wanted.ravel()).max() < SAME
    assert wanted.std(axis=0).max() > 50 * SAME
    pixels = decode_pixels(session.model, far, batch=1)
    raw = asked(page, f"s.decode({spelt(far)}).then(({{pixels, shape}}) => [...shape, ...pixels])")
    assert raw[:4] == list(pixels.shape)
    assert np.abs(np.array(raw[4:]) - pixels.ravel().astype(int)).max() <= 1
    strip = asked(
        page,
        f"s.file({spelt(far)}, 'strip', 2).then((b) => b.arrayBuffer()).then((b) => [...new Uint8Array(b)])",
    )
    sheet = decode_image(bytes(strip)).pixels
    assert sheet.shape == grid(pixels, 2).shape
    assert np.abs(sheet.astype(int) - grid(pixels, 2)).max() <= 1
    url = asked(page, "s.picture('gaussian:7')")
    assert url.startswith("data:image/png;base64,")
    assert "NaN" in asked(page, "s.decode(new Float32Array(5).fill(NaN)).catch((e) => e.message)")
    assert "1 to 64 codes" in asked(page, "s.decode(new Float32Array(6)).catch((e) => e.message)")


def test_every_view_opens_and_offers_what_can_be_done(seen, session):
    page = seen.page
    for show, pictures in (("", "#gallery-samplers img"), ("pairs", "#gallery-pairs img")):
        seen.follow(f"view=gallery&g_show={show}")
        seen.wait(
            f"[...document.querySelectorAll('{pictures}')].filter((i) => i.naturalWidth).length >= 12"
        )
    assert page.locator("#gallery .problem").count() == 0
    seen.follow("view=gallery&g_show=morph")
    seen.wait("document.querySelectorAll('.morph-strip canvas').length === 16")
    seen.wait("document.querySelector('.morph-side figcaption').innerText.includes('spherical')")
    assert page.locator("#gallery-morph input[type=radio]").count() == 2
    assert page.locator("button", has_text="Save GIF").count() == 0
    seen.follow("view=face&ref=train:3")
    seen.wait("document.querySelectorAll('#face .thumbnails img').length === 6")
    assert page.locator("#photo").count() == 0
    seen.follow("view=shape")
    seen.wait("document.querySelectorAll('#shape .panel:not([aria-busy])').length === 6")
    assert page.locator("#shape .problem").count() == 0
    seen.follow("view=plane&drawn=gaussian")
    seen.wait("document.querySelector('.legend').innerText.includes('seeds 0 to 23')")
    assert page.locator("#status.error").count() == 0
    seen.follow("view=face&ref=gaussian:24")
    seen.wait("document.querySelector('#status').innerText.includes('seeds 0 to 23')")


def test_a_decoder_that_is_not_there_is_said(browser, folder):
    with files_served(folder) as address:
        visitor = Visit(browser, address)
        visitor.page.route("**/decoder.onnx", lambda route: route.fulfill(status=404, body=""))
        visitor.open()
        visitor.wait(
            "document.querySelector('#status').innerText.includes('could not be run in this browser')"
        )
        visitor.expect_wrong("404")
        visitor.leave()


def test_an_adopted_pair_of_files_is_a_page_too(browser, base, folder, pixels, tmp_path):
    files = f"{base / 'onnx' / 'encoder.onnx'},{base / 'onnx' / 'decoder.onnx'}"
    run = adopt(files, pixels, tmp_path / "run", size=32, stages=["encode", "analyze"])
    assert main(["export", str(run.path), "--static", str(tmp_path / "page"), "--draws", "2"]) == 0
    model, z = load_model(run), Session.of_run(run).train[:1]
    with files_served(tmp_path / "page") as address:
        visitor = Visit(browser, address)
        visitor.open()
        found = np.array(asked(visitor.page, f"s.decodeFloats({spelt(z)})"))
        assert np.abs(found - next(decode(model, z, batch=1)).numpy().ravel()).max() < SAME
        visitor.leave()


def test_the_folder_has_what_runs_it_and_its_licence(folder):
    there = {path.name for path in (folder / "onnxruntime-web").iterdir()}
    assert there == {"ort.js", "ort.wasm", "LICENSE.txt"}
    assert "Microsoft" in (folder / "onnxruntime-web" / "LICENSE.txt").read_text()
