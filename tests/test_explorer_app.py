"""The explorer over the wire: twins, refusals, limits, strangers, and many people at once."""

import concurrent.futures
import contextlib
import http.client
import json
import re
import socket
import subprocess
import sys
import time
import urllib.parse
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer_server import serving
from latentshape.cli import main
from latentshape.explorer import app as the_app
from latentshape.explorer.guard import POLICY, cookie_name
from latentshape.explorer.session import Session
from latentshape.images import decode_image, encode_image
from tiny_run import finished, said  # noqa: F401

HOST = "127.0.0.1"


class Answer:
    def __init__(self, response):
        self.status, self.headers = response.status, response.headers
        self.content = response.read()

    @property
    def json(self):
        return json.loads(self.content)

    @property
    def numbers(self):
        shape = [int(n) for n in self.headers["X-Shape"].split(",")]
        return np.frombuffer(self.content, "<f4").reshape(shape)


def ask(address, path, body=None, method=None, headers=None, **query):
    """One question on a connection of its own."""
    parts = urllib.parse.urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    target = path + ("?" + urllib.parse.urlencode(query) if query else "")
    try:
        connection.request(
            method or ("GET" if body is None else "POST"), target, body, headers or {}
        )
        return Answer(connection.getresponse())
    finally:
        connection.close()


@pytest.fixture(scope="module")
def cloud():
    rng = np.random.default_rng(0)
    return {"codes": (rng.standard_normal((600, 4)) @ rng.standard_normal((4, 4)) + 1).astype("f4")}


@pytest.fixture(scope="module")
def bare(cloud):
    with serving(Session(cloud, "bare")) as address:
        yield address


@pytest.fixture
def faces(finished):  # noqa: F811
    with serving(Session.of_run(finished)) as address:
        yield address


def body(z):
    return np.asarray(z, "<f4").tobytes()


# --- answers --------------------------------------------------------------------------------------

NUMBERS = (
    "points?x=pca:0&y=pca:1", "lift?x=pca:0&y=component:2", "colour?by=radius", "code?ref=mean",
    "drawn?sampler=gaussian&n=5&x=pca:0&y=pca:1", "slides?pca=2", "readouts", "correlation",
)  # fmt: skip
RECORDS = (
    "about", "plane?x=component:0&y=pca:1", "legend?by=radius", "sliders", "gallery?split=codes",
    "component?j=1", "order", "radius",
)  # fmt: skip


@pytest.mark.parametrize("question", NUMBERS)
def test_numbers_have_a_json_twin(bare, question):
    found = ask(bare, f"/api/{question}")
    assert found.status == 200
    assert found.headers["Content-Type"] == "application/octet-stream"
    twin = ask(bare, f"/api/{question}{'&' if '?' in question else '?'}format=json")
    assert np.allclose(np.array(twin.json, float), found.numbers, equal_nan=True)


@pytest.mark.parametrize("question", RECORDS)
def test_records_are_json_without_nan(bare, question):
    found = ask(bare, f"/api/{question}")
    assert found.status == 200
    json.loads(found.content, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_every_address_of_the_table_is_served_and_told(bare):
    assert set(the_app.GET + the_app.POST) == {
        name for name in dir(the_app._Answers) if not name.startswith("_")
    }
    for name in the_app.GET + the_app.POST:
        assert re.search(rf"\b{name}\b", the_app.__doc__), name
        assert ask(bare, f"/api/{name}").status != 404 or name == "scorecard"


def test_codes_go_there_and_back(bare, cloud):
    z = cloud["codes"]
    found = ask(bare, "/api/describe", body(z[5])).json
    assert found["nearest"][0]["ref"] == "codes:5"
    path = ask(bare, "/api/path?kind=linear&steps=5", body(z[:2])).numbers
    assert np.allclose(path, np.linspace(z[0], z[1], 5), atol=1e-5)
    radii = ask(bare, "/api/radii", body(z[:9])).numbers
    assert radii.shape == (9,)


def test_pictures_come_in_every_form(faces):
    z = ask(faces, "/api/code?ref=test:0").numbers
    raw = ask(faces, "/api/decode?as=raw", body(z))
    shape = tuple(int(n) for n in raw.headers["X-Shape"].split(","))
    pixels = np.frombuffer(raw.content, np.uint8).reshape(shape)
    png = ask(faces, "/api/decode?as=png", body(z))
    assert png.headers["Content-Type"] == "image/png"
    assert np.array_equal(decode_image(png.content).pixels, pixels[0])
    assert ask(faces, "/api/picture?ref=test:0").content == png.content
    assert decode_image(ask(faces, "/api/image?ref=test:0").content).pixels.shape == shape[1:]
    two = body([z, -z])
    strip = decode_image(ask(faces, "/api/decode?as=strip", two).content).pixels
    assert strip.shape[1] > 2 * shape[2]
    gif = ask(faces, "/api/decode?as=gif", two)
    assert gif.content.startswith(b"GIF8")
    for wrong, sentence in (
        ("as=png", "one picture"),
        ("as=bmp", "raw, png"),
        ("as=strip&columns=0", "columns"),
    ):
        refused = ask(faces, f"/api/decode?{wrong}", two)
        assert refused.status == 400
        assert sentence in refused.json["error"]


def test_an_upload_is_encoded_and_nothing_of_it_is_kept(faces, finished, tmp_path):  # noqa: F811
    before = {p: p.stat().st_mtime_ns for p in finished.path.rglob("*")}
    content = ask(faces, "/api/image?ref=test:3").content
    found = ask(faces, "/api/encode?crop=square", content).json
    original = ask(faces, "/api/code?ref=test:3").numbers
    assert np.allclose(ask(faces, "/api/code", ref=found["ref"]).numbers, original, atol=1e-5)
    assert found["original"].startswith("data:image/png;base64,")
    assert {p: p.stat().st_mtime_ns for p in finished.path.rglob("*")} == before


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "content", "status", "sentence"),
    [
        ("/api/points", None, 400, "lacks x, y"),
        ("/api/points?x=pca:0&y=pca:0", None, 400, "span no plane"),
        ("/api/points?x=pca:0&y=pca:1&format=xml", None, 400, "binary or json"),
        ("/api/code?ref=../../etc/passwd", None, 400, "A code is named"),
        ("/api/code?ref=z:AAAA", None, 400, "16 bytes"),
        ("/api/colour?by=hue", None, 400, "coloured by"),
        ("/api/drawn?sampler=gaussian&x=pca:0&y=pca:1&n=-1", None, 400, "whole number"),
        ("/api/drawn?sampler=gaussian&x=pca:0&y=pca:1&n=99999999", None, 400, "n"),
        ("/api/drawn?sampler=gauss&x=pca:0&y=pca:1", None, 400, "gaussian"),
        ("/api/component?j=four", None, 400, "whole number"),
        ("/api/component", None, 400, "whole number"),
        ("/api/component?j=4", None, 400, "numbered 0 to 3"),
        ("/api/gallery?split=codes&start=600", None, 400, "rows 0 to 599"),
        ("/api/scorecard", None, 404, "no scorecard"),
        ("/api/picture?ref=mean", None, 400, "no decoder"),
        ("/api/image?ref=codes:0", None, 400, "not encoded from an image"),
        ("/api/describe", b"", 400, "16 bytes each"),
        ("/api/describe", b"123", 400, "16 bytes each"),
        ("/api/describe", body(np.full(4, np.nan)), 400, "NaN"),
        ("/api/path?kind=linear", body(np.ones(4)), 400, "two ends"),
        ("/api/path?kind=linear", body(np.ones((2, 4))), 400, ""),
        ("/api/path", body(np.eye(4)[:2]), 400, "lacks kind"),
        ("/api/encode", b"", 400, "got nothing"),
        ("/api/encode", b"no picture", 400, "bare codes"),
        ("/api/nothing", None, 404, "Nothing is at"),
        ("/nothing.js", None, 404, "There is no"),
        ("/../../../etc/passwd", None, 404, "Nothing is at"),
        ("/%2e%2e/%2e%2e/etc/passwd", None, 404, "Nothing is at"),
        ("/..%2f..%2fpyproject.toml", None, 404, ""),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_a_sentence(bare, path, content, status, sentence):
    found = ask(bare, path, content)
    assert found.status == status
    assert sentence in found.json["error"]
    assert "Traceback" not in found.json["error"]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_other_methods_are_refused(bare, method):
    assert ask(bare, "/api/about", method=method).status == 405


def test_a_get_is_no_post_and_the_other_way_round(bare):
    assert ask(bare, "/api/decode").status == 405
    assert ask(bare, "/api/about", b"x").status == 405


def picture_bomb(side=30_000):
    """A small file that claims to be 900 million pixels."""

    def chunk(kind, content):
        return (
            len(content).to_bytes(4, "big") + kind + content
            + zlib.crc32(kind + content).to_bytes(4, "big")
        )  # fmt: skip

    header = side.to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    data = zlib.compress(bytes(side), 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"GIF89a", "cannot be read"),
        (b"\xff\xd8\xff" + bytes(100), "cannot be read"),
        (picture_bomb(), "at most"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "cannot be read"),
    ],
)
def test_files_that_are_no_pictures_are_refused(faces, content, sentence):
    found = ask(faces, "/api/encode", content)
    assert found.status == 400
    assert sentence in found.json["error"]


@pytest.mark.parametrize("crop", ["circle", "box:1,2", "box:a,b,c", "box:0,0,0", "box:0,0,inf"])
def test_crops_that_are_none_are_refused(faces, crop):
    content = encode_image(np.zeros((40, 40, 3), np.uint8))
    found = ask(faces, "/api/encode", content, crop=crop, method="POST")
    assert found.status == 400
    assert "crop" in found.json["error"] or "box" in found.json["error"].lower()


def test_bodies_are_read_no_further_than_their_limit(bare):
    found = ask(bare, "/api/describe", bytes(the_app.QUESTION_BYTES + 4))
    assert found.status == 413
    # One that does not say its length, and does not end.
    parts = urllib.parse.urlsplit(bare)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as wire:
        wire.sendall(
            f"POST /api/describe HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            "Transfer-Encoding: chunked\r\n\r\n".encode()
        )
        answer = b""
        try:
            for _ in range(100):
                wire.sendall(b"100000\r\n" + bytes(2**20) + b"\r\n")
        except OSError:
            pass  # it stopped listening, as it should
        wire.settimeout(5)
        try:
            answer = wire.recv(200)
        except OSError:
            answer = b"HTTP/1.1 413"  # reset before it could be read
    assert b" 413" in answer
    assert ask(bare, "/api/about").status == 200


def test_an_endless_address_is_refused(bare):
    with contextlib.suppress(ConnectionError):  # hung up on before all of it was said
        found = ask(bare, "/api/code?ref=z:" + "A" * (2 * the_app.ADDRESS_BYTES))
        assert 400 <= found.status < 500
    assert ask(bare, "/api/about").status == 200


QUERY = st.dictionaries(
    st.sampled_from(["x", "y", "by", "ref", "j", "n", "seed", "sampler", "split", "start", "attributes",
                     "pca", "format", "kind", "steps", "as", "crop"]),
    st.one_of(
        st.sampled_from(["pca:0", "component:1", "mean", "codes:3", "gaussian", "5", "-1", "1e9", "nan",
                         "json", "linear", "raw", "\u0661", "9" * 14]),
        st.text(max_size=12),
    ),
    max_size=6,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(the_app.GET + the_app.POST), QUERY,
    st.one_of(st.none(), st.binary(max_size=70), st.just(body(np.eye(4)[:2]))),
)  # fmt: skip
def test_no_question_makes_the_server_fail(bare, name, query, content):
    found = ask(bare, f"/api/{name}", content, **query)
    assert found.status in (200, 202) or 400 <= found.status < 500, (found.status, found.content)
    if found.status >= 400:
        assert found.json["error"]


# --- strangers ------------------------------------------------------------------------------------


def test_the_browser_is_told_to_trust_nothing_else(bare):
    for path in ("/api/about", "/api/nothing", "/nothing"):
        headers = ask(bare, path).headers
        assert headers["Content-Security-Policy"] == POLICY
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Cache-Control"] == "no-store"
        assert "server" not in headers or "uvicorn" in headers["server"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1"},
        {"Host": ""},
        {"Host": "127.0.0.1.evil.example:80"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_other_sites_are_refused(bare, headers):
    found = ask(bare, "/api/about", headers=headers)
    assert found.status == 403
    assert found.json["error"]


def test_ones_own_page_is_answered_by_every_name_of_this_machine(bare):
    netloc = urllib.parse.urlsplit(bare).netloc
    port = netloc.split(":")[1]
    for host in (netloc, f"localhost:{port}", f"LOCALHOST:{port}", f"[::1]:{port}"):
        headers = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
        assert ask(bare, "/api/about", headers=headers).status == 200


def test_a_link_from_elsewhere_opens_the_page(bare):
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert ask(bare, "/", headers=headers).status == 200


def test_to_other_machines_a_token_is_needed(cloud):
    with serving(Session(cloud, "bare"), token="right") as address:
        for path in ("/", "/api/about", "/?token=wrong", "/api/about?token=right"):
            assert ask(address, path).status == 403
        name = cookie_name("right")
        for cookie in (f"{name}=wrong", f"{name}=", "right", "=;;=", "\x01"):
            assert ask(address, "/api/about", headers={"Cookie": cookie}).status == 403
        welcome = ask(address, "/?token=right")
        assert welcome.status == 303
        cookie = welcome.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "samesite=lax" in cookie.lower()
        kept = {
            "Cookie": 'prefs={"a":"b"}; ' + cookie.split(";")[0]
        }  # beside one of another program
        assert ask(address, "/api/about", headers=kept).status == 200
        foreign = kept | {"Origin": "http://evil.example"}
        assert ask(address, "/api/about", headers=foreign).status == 403


def test_no_address_reaches_the_file_system():
    """Files of the page are read once; a name is looked up among them and nowhere else."""
    files = the_app.page_files()
    assert "index.html" in files
    assert all("/" not in name for name in files)
    kinds = {name: kind for name, (_, kind) in files.items()}
    assert kinds["index.html"] == "text/html"
    assert {kind for name, kind in kinds.items() if name.endswith(".js")} == {"text/javascript"}


def test_the_page_has_nothing_inline_and_nothing_from_elsewhere():
    for name, (content, _) in the_app.page_files().items():
        text = content.decode("utf-8")
        foreign = set(re.findall(r"https?://[\w.-]+", text)) - {"http://www.w3.org"}
        assert not foreign, (name, foreign)
        if name.endswith(".html"):
            assert not re.search(r"<script(?![^>]*\bsrc=)", text)
            assert not re.search(r"\s(style|on\w+)=", text)


# --- many at once ---------------------------------------------------------------------------------


def test_two_hundred_people_click_at_once_and_each_gets_their_own(faces):
    """200 clients, each with codes of their own: no failure, and nobody sees another's picture."""
    rng = np.random.default_rng(0)
    d = len(ask(faces, "/api/code?ref=mean").numbers)
    codes = (2 * rng.standard_normal((200, d))).astype(np.float32)
    alone = [ask(faces, "/api/decode?as=raw", body(z)).content for z in codes]
    assert len(set(alone)) > 190

    def click(i):
        picture = ask(faces, "/api/decode?as=raw", body(codes[i]))
        place = ask(faces, "/api/describe", body(codes[i]))
        return i, picture.status, picture.content, place.status, place.json["nearest"][0]["ref"]

    with concurrent.futures.ThreadPoolExecutor(200) as people:
        found = list(people.map(click, range(200)))
    for i, status, picture, placed, _ in found:
        assert (status, placed) == (200, 200)
        assert picture == alone[i]
    again = [ask(faces, "/api/describe", body(codes[i])).json["nearest"][0]["ref"] for i in (0, 99)]
    assert again == [found[0][4], found[99][4]]


def test_the_body_of_an_answer_does_not_wait_for_the_receipt_of_its_header():
    """asyncio switches Nagle's delay off only where a socket says that it is TCP."""
    with the_app.listen(HOST, 0) as listening:
        assert listening.proto == socket.IPPROTO_TCP


def test_more_than_can_wait_are_told_so(bare, monkeypatch):
    monkeypatch.setattr(the_app, "WAITING", 0)
    found = ask(bare, "/api/about")
    assert found.status == 503
    assert "ask again" in found.json["error"]


def half_sent(address):
    """A connection on which a photo was begun."""
    parts = urllib.parse.urlsplit(address)
    wire = socket.create_connection((parts.hostname, parts.port), timeout=30)
    head = f"POST /api/encode HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: 999\r\n\r\n"
    wire.sendall(head.encode() + b"the beginning")
    return wire


def test_who_does_not_go_on_sending_gives_up_the_place(bare, monkeypatch):
    monkeypatch.setattr(the_app, "UPLOADS", 1)
    monkeypatch.setattr(the_app, "BODY_SECONDS", 0.2)
    with half_sent(bare) as wire:
        answer = wire.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"13 bytes of it did" in answer
    assert "bare codes" in ask(bare, "/api/encode", b"no picture").json["error"]


def test_no_more_photos_are_held_than_there_is_room_for(bare, monkeypatch):
    """Two that never end take both places; who comes third is told, and has room once they are gone."""
    monkeypatch.setattr(the_app, "UPLOADS", 2)

    def ask_until(status):
        found = ask(bare, "/api/encode", b"no picture")
        for _ in range(200):
            if found.status == status:
                break
            time.sleep(0.02)
            found = ask(bare, "/api/encode", b"no picture")
        assert found.status == status
        return found.json["error"]

    with contextlib.ExitStack() as open_ones:
        for _ in range(2):
            open_ones.enter_context(half_sent(bare))
        assert "Too many photos" in ask_until(503)
        assert ask(bare, "/api/about").status == 200
    assert "bare codes" in ask_until(400)


# --- the command ----------------------------------------------------------------------------------


def test_the_command_says_where_it_is_and_ends_when_told(tmp_path, cloud):
    np.save(tmp_path / "codes.npy", cloud["codes"])
    command = [
        sys.executable, "-m", "latentshape", "explore", str(tmp_path / "codes.npy"), "--port", "0",
        "--no-browser",
    ]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            lines = (process.stderr.readline() for _ in range(9))
            found = (re.search(r"http://127\.0\.0\.1:\d+/", line) for line in lines)
            address = next(match.group() for match in found if match)
            assert ask(address, "/api/about").json["name"] == "codes"
            process.send_signal(2)
            rest = process.communicate(timeout=60)[1]
        finally:
            process.kill()  # else the block would wait for it for ever
    assert "Traceback" not in rest
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["{here}/nothing"], "nothing"),
        (["{here}/codes.npy", "--port", "99999"], "--port"),
        (["{here}/codes.npy", "--port", "{taken}"], "Cannot listen"),
        (["{here}/codes.npy", "--host", "no.such.host.invalid"], "Cannot listen"),
        (["{here}/text.npy"], "text.npy"),
        (["{here}"], "config.json"),
    ],
)
def test_what_cannot_be_explored_is_said_in_a_sentence(tmp_path, cloud, capsys, words, sentence):
    np.save(tmp_path / "codes.npy", cloud["codes"])
    (tmp_path / "text.npy").write_text("no array")
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        words = [word.format(here=tmp_path, taken=port) for word in words]
        assert main(["explore", *words, "--no-browser"]) == 2
    assert sentence in said(capsys)
