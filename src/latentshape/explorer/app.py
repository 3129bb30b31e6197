"""The session on the web: addresses, limits, answers. Every answer of numbers has a JSON twin.

=========================  ==========================================================================
``GET /`` and its files    the page
``GET api/about``          what there is; `Session.about`
``GET api/plane``          ``x, y``: ellipses, contours, origin, range
``GET api/lift``           ``x, y``: what makes a code of a place, float32 (7, d)
``GET api/points``         ``x, y``: all codes in the plane, float32 (2, n)
``GET api/colour``         ``by``: a value for each code, float32 (n); ``api/legend`` says what it means
``GET api/drawn``          ``sampler, seed, n, x, y``: drawn codes in the plane, float32 (2, n)
``GET api/code``           ``ref``: a code, float32 (d)
``GET api/picture``        ``ref``: a code decoded, PNG; ``api/image``: the original of a split's code
``POST api/decode``        codes (m, d) in float32; ``as``: raw, png, strip, gif
``POST api/describe``      a code: radius, scores, neighbours
``GET api/sliders``        ``attributes, pca``: what they are; ``api/slides``: float32 (k, d), what a sigma
                           of each adds; ``api/readouts``: float32 (k, d + 1)
``POST api/path``          two codes; ``kind, steps``: float32 (steps, d)
``POST api/radii``         codes (m, d): Mahalanobis radii, float32 (m)
``POST api/encode``        a picture file; ``crop``: the code's name and the square that was seen
``GET api/gallery``        ``split, start, n``: names of images
``GET api/shape`` ...      ``shape verdict component correlation order radius scorecard``
=========================  ==========================================================================

Numbers are little-endian float32, row by row, with their shape in the header ``X-Shape``; ``format=json``
gives them as nested lists. What cannot be answered is a 4xx with ``{"error": "a sentence"}``.

Decoding and encoding have one thread, everything else two, however many ask: they take turns.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import json
import logging
import mimetypes
import secrets
import socket
import threading
import webbrowser
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from typing import Any, TypeVar

import numpy as np
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from latentshape.animation import encode_animation, there_and_back
from latentshape.errors import InputError
from latentshape.explorer.guard import Guard
from latentshape.explorer.references import written_out
from latentshape.explorer.session import MOST_CODES, PCA_SLIDERS, Session, finite
from latentshape.images import encode_image, grid
from latentshape.photos import MOST_PIXELS
from latentshape.progress import say

__all__ = ["listen", "make_app", "serve"]

T = TypeVar("T")
Handler = Callable[[Request], Awaitable[Response]]

#: Bytes of a photo at most, and of any other question.
UPLOAD_BYTES, QUESTION_BYTES = 20 * 2**20, 8 * 2**20
#: Numbers that are told in JSON at most: they are spelt out on the thread that answers everybody.
MOST_IN_JSON = 2**20
#: Questions that wait for their turn at most.
WAITING = 1000
#: Photos that are held at most, while they come in and wait for their turn: 160 MiB.
UPLOADS = 8
#: Seconds in which the content of a question must have come: who sends no more gives up the place.
BODY_SECONDS = 120.0
#: A code may be part of an address: 4 bytes a component and a third more.
ADDRESS_BYTES = 2**18
LOOPBACK = ("127.0.0.1", "localhost", "::1")
#: The same as browsers write them.
HOSTS = ("127.0.0.1", "localhost", "[::1]")

log = logging.getLogger("latentshape.explorer")


class Refused(Exception):
    """A question that is refused, with the status and a sentence."""

    def __init__(self, sentence: str, status: int = 400) -> None:
        super().__init__(sentence)
        self.status = status


def page_files() -> dict[str, tuple[bytes, str]]:
    """The page: content and type by name. Read once: no address ever reaches the file system."""
    found = {}
    for entry in (resources.files("latentshape.explorer") / "static").iterdir():
        kind = mimetypes.guess_type(entry.name)[0] or "application/octet-stream"
        if entry.is_file():
            kind = "text/javascript" if entry.name.endswith(".js") else kind
            found[entry.name] = entry.read_bytes(), kind
    return found


class _Answers:
    """One handler per address."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._drawing = ThreadPoolExecutor(1, "drawing")
        self._reckoning = ThreadPoolExecutor(2, "reckoning")
        self._waiting = self._uploads = 0

    async def _run(self, pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        if self._waiting >= WAITING:
            raise Refused("Too many questions at once; ask again in a moment.", 503)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, work)
        finally:
            self._waiting -= 1

    async def _draw(self, work: Callable[[], T]) -> T:
        return await self._run(self._drawing, work)

    async def _reckon(self, work: Callable[[], T]) -> T:
        return await self._run(self._reckoning, work)

    async def _codes(self, request: Request) -> np.ndarray:
        """The codes (m, d) in the body."""
        content = await _body(request, QUESTION_BYTES)
        d = self.session.d
        if not content or len(content) % (4 * d):
            raise Refused(
                f"Expected codes of {d} little-endian float32 components, {4 * d} bytes each; got "
                f"{len(content)} bytes."
            )
        return np.frombuffer(content, "<f4").reshape(-1, d).astype(np.float32)

    # --- planes

    async def about(self, request: Request) -> Response:
        found = await self._reckon(self.session.about)
        found["limits"] |= {"upload_bytes": UPLOAD_BYTES, "upload_pixels": MOST_PIXELS}
        return _record(found)

    async def plane(self, request: Request) -> Response:
        x, y = _texts(request, "x", "y")
        return _record(await self._reckon(lambda: self.session.plane(x, y)))

    async def lift(self, request: Request) -> Response:
        x, y = _texts(request, "x", "y")
        return _numbers(request, await self._reckon(lambda: self.session.lift(x, y)))

    async def points(self, request: Request) -> Response:
        x, y = _texts(request, "x", "y")
        return _numbers(request, await self._reckon(lambda: self.session.points(x, y)))

    async def colour(self, request: Request) -> Response:
        (by,) = _texts(request, "by")
        return _numbers(request, await self._reckon(lambda: self.session.colour(by)))

    async def legend(self, request: Request) -> Response:
        (by,) = _texts(request, "by")
        return _record(await self._reckon(lambda: self.session.legend(by)))

    async def drawn(self, request: Request) -> Response:
        sampler, x, y = _texts(request, "sampler", "x", "y")
        seed, n = _whole(request, "seed", 0), _whole(request, "n", 500)
        draw = functools.partial(self.session.drawn, sampler, seed, n, x, y)
        return _numbers(request, await self._reckon(draw))

    # --- codes and pictures

    async def code(self, request: Request) -> Response:
        (ref,) = _texts(request, "ref")
        return _numbers(request, await self._reckon(lambda: self.session.code(ref)))

    async def picture(self, request: Request) -> Response:
        (ref,) = _texts(request, "ref")
        return _png(await self._draw(lambda: encode_image(self.session.picture(ref))))

    async def image(self, request: Request) -> Response:
        (ref,) = _texts(request, "ref")
        return _png(await self._reckon(lambda: encode_image(self.session.image(ref))))

    async def decode(self, request: Request) -> Response:
        z = await self._codes(request)
        kind = request.query_params.get("as", "raw")
        if kind not in ("raw", "png", "strip", "gif"):
            raise Refused(f"Pictures come as raw, png, strip or gif, got {kind[:60]!r}.")
        if kind == "png" and len(z) != 1:
            raise Refused(f"as=png is one picture, got {len(z)} codes; use as=strip.")
        if kind == "gif" and len(z) < 2:
            raise Refused("as=gif needs at least two codes.")
        columns = _whole(request, "columns", len(z), least=1, most=MOST_CODES)

        def draw() -> Response:
            pixels = self.session.decode(z)
            if kind == "raw":
                return _numbers(request, pixels)
            if kind == "gif":
                return Response(encode_animation(there_and_back(pixels)), media_type="image/gif")
            return _png(encode_image(pixels[0] if kind == "png" else grid(pixels, columns)))

        return await self._draw(draw)

    async def describe(self, request: Request) -> Response:
        z = await self._codes(request)
        return _record(await self._reckon(lambda: self.session.describe(z)))

    async def radii(self, request: Request) -> Response:
        z = await self._codes(request)
        found = await self._reckon(lambda: self.session.radii(z))
        return _numbers(request, found.astype(np.float32))

    async def _slide(self, request: Request) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
        given = request.query_params.get("attributes")
        names = None if given is None else [name for name in given.split(",") if name]
        pca = _whole(request, "pca", PCA_SLIDERS, most=self.session.d)
        return await self._reckon(lambda: self.session.slide(names, pca))

    async def sliders(self, request: Request) -> Response:
        return _record((await self._slide(request))[0])

    async def slides(self, request: Request) -> Response:
        return _numbers(request, (await self._slide(request))[1])

    async def readouts(self, request: Request) -> Response:
        return _numbers(request, (await self._slide(request))[2])

    async def path(self, request: Request) -> Response:
        ends = await self._codes(request)
        (kind,) = _texts(request, "kind")
        steps = _whole(request, "steps", 16)
        return _numbers(request, await self._reckon(lambda: self.session.path(ends, kind, steps)))

    async def encode(self, request: Request) -> Response:
        crop = request.query_params.get("crop", "auto")
        if self._uploads >= UPLOADS:
            raise Refused("Too many photos at once; send it again in a moment.", 503)
        self._uploads += 1
        try:
            content = await _body(request, UPLOAD_BYTES)
            if not content:
                raise Refused("Expected the content of a picture file, got nothing.")
            if self.session.model is not None and crop in ("auto", "face"):
                await self._reckon(self.session.frame)  # so that no click has to wait for it
            z, pixels = await self._draw(lambda: self.session.encode(content, crop))
        finally:
            self._uploads -= 1
        original = base64.b64encode(encode_image(pixels)).decode("ascii")
        return _record({"ref": written_out(z), "original": f"data:image/png;base64,{original}"})

    async def gallery(self, request: Request) -> Response:
        (split,) = _texts(request, "split")
        start, n = _whole(request, "start", 0), _whole(request, "n", 12)
        return _record(await self._reckon(lambda: self.session.gallery(split, start, n)))

    # --- the shape

    async def shape(self, request: Request) -> Response:
        return _later(await self._reckon(self.session.shape))

    async def verdict(self, request: Request) -> Response:
        return _later(await self._reckon(self.session.verdict))

    async def component(self, request: Request) -> Response:
        j = _whole(request, "j")
        return _record(await self._reckon(lambda: self.session.component(j)))

    async def correlation(self, request: Request) -> Response:
        return _numbers(request, await self._reckon(self.session.correlation))

    async def order(self, request: Request) -> Response:
        return _record({"order": await self._reckon(self.session.order)})

    async def radius(self, request: Request) -> Response:
        return _record(await self._reckon(self.session.radius))

    async def scorecard(self, request: Request) -> Response:
        try:
            return _record(await self._reckon(self.session.scorecard))
        except InputError as refusal:
            raise Refused(str(refusal), 404) from None


#: Answers to GET and to POST, each at ``api/`` and its name.
GET = (
    "about", "plane", "lift", "points", "colour", "legend", "drawn", "code", "picture", "image",
    "sliders", "slides", "readouts", "gallery", "shape", "verdict", "component", "correlation",
    "order", "radius", "scorecard",
)  # fmt: skip
POST = ("decode", "describe", "radii", "path", "encode")


def make_app(session: Session, hosts: Collection[str] = (), token: str | None = None) -> ASGIApp:
    """The explorer of a session as an ASGI app, behind its guard.

    Args:
        session: What is asked.
        hosts: Values of the ``Host`` header that are answered; none: all.
        token: That whoever asks must know; None: nobody is asked for one.
    """
    answers, files = _Answers(session), page_files()

    async def page(request: Request) -> Response:
        name = request.path_params.get("name", "") or "index.html"
        if name not in files:
            raise Refused(f"There is no {name[:60]!r} here.", 404)
        content, kind = files[name]
        return Response(content, media_type=kind)

    routes = [Route("/", page), Route("/{name}", page)]
    for method, names in (("GET", GET), ("POST", POST)):
        for name in names:
            handler = getattr(answers, name)
            routes.append(Route(f"/api/{name}", _answering(handler), methods=[method]))
    routes[:2] = [Route(route.path, _answering(page)) for route in routes[:2]]
    handlers: dict[Any, Any] = {404: _nowhere, 405: _nowhere}
    return Guard(Starlette(routes=routes, exception_handlers=handlers), hosts, token)


def _answering(handler: Handler) -> Handler:
    """A handler whose refusals are sentences, and whose failures are told without their inside."""

    @functools.wraps(handler)
    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except Refused as refusal:
            return JSONResponse({"error": str(refusal)}, refusal.status)
        except InputError as refusal:
            return JSONResponse({"error": str(refusal)}, 400)
        except ClientDisconnect:
            return Response(status_code=499)
        except Exception:
            log.exception("%s %s", request.method, request.url.path)
            sentence = "This could not be answered; the terminal of the explorer says why."
            return JSONResponse({"error": sentence}, 500)

    return answer


async def _nowhere(request: Request, error: Any) -> Response:
    sentence = f"Nothing is at {request.url.path[:60]} for {request.method}."
    return JSONResponse({"error": sentence}, error.status_code)


def _texts(request: Request, *names: str) -> list[str]:
    missing = [name for name in names if not request.query_params.get(name)]
    if missing:
        raise Refused(f"The question lacks {', '.join(missing)}.")
    return [request.query_params[name] for name in names]


def _whole(
    request: Request, name: str, otherwise: int | None = None, least: int = 0, most: int = 10**15
) -> int:
    given = request.query_params.get(name)
    if given is None and otherwise is not None:
        return otherwise
    given = given or ""
    if not (given.isascii() and given.isdigit() and len(given) <= 15):
        raise Refused(f"{name} is a whole number from {least} on, got {given[:60]!r}.")
    if not least <= int(given) <= most:
        raise Refused(f"{name} is a whole number from {least} to {most}, got {given}.")
    return int(given)


async def _body(request: Request, limit: int) -> bytes:
    """The body, read no further than the limit, and no longer than `BODY_SECONDS`."""
    sentence = f"At most {limit:,} bytes are taken."
    length = request.headers.get("content-length", "0")
    if length.isascii() and length.isdigit() and (len(length) > 15 or int(length) > limit):
        raise Refused(sentence, 413)
    parts, total = [], 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                total += len(part)
                if total > limit:
                    raise Refused(sentence, 413)
                parts.append(part)
    except TimeoutError:
        sentence = f"The content did not come within {BODY_SECONDS:g} s: {total:,} bytes of it did."
        raise Refused(sentence, 408) from None
    return b"".join(parts)


def _record(found: Any) -> Response:
    return JSONResponse(finite(found))


def _later(found: Any) -> Response:
    """202 while it is being measured."""
    return JSONResponse({"measuring": True}, 202) if found is None else _record(found)


def _numbers(request: Request, found: np.ndarray) -> Response:
    """Binary with its shape in a header, or nested lists."""
    wanted = request.query_params.get("format", "binary")
    if wanted not in ("binary", "json"):
        raise Refused(f"format is binary or json, got {wanted[:60]!r}.")
    if wanted == "json":
        if found.size > MOST_IN_JSON:
            raise Refused(f"{found.size:,} numbers are too many for JSON; leave out format=json.")
        values = found.astype(object)
        if found.dtype.kind == "f":
            values[~np.isfinite(found)] = None  # JSON has no NaN: what is unknown is null
        return Response(json.dumps(values.tolist()), media_type="application/json")
    content = np.ascontiguousarray(found, "u1" if found.dtype == np.uint8 else "<f4").tobytes()
    headers = {"X-Shape": ",".join(map(str, found.shape))}
    return Response(content, media_type="application/octet-stream", headers=headers)


def _png(content: bytes) -> Response:
    return Response(content, media_type="image/png")


def serve(
    session: Session,
    host: str = "127.0.0.1",
    port: int = 8765,
    *,
    browser: bool = True,
    started: Callable[[str], Any] | None = None,
) -> None:
    """Serve a session until it is interrupted.

    On a loopback address nobody else can ask; on any other a token is made, and part of the address that is
    printed.

    Args:
        session: What is asked.
        host: Address to listen on.
        port: 0 for any that is free.
        browser: Whether to open the address in one.
        started: Told the address once it answers.

    Raises:
        InputError: The port is taken, or there is no such address.
    """
    import uvicorn

    if not 0 <= port <= 65535:
        raise InputError(f"--port is a number from 0 to 65535, got {port}.")
    listening = listen(host, port)
    port = listening.getsockname()[1]
    say(f"Reading {sum(map(len, session.codes.values())):,} codes of {session.name}.")
    session.warm()
    shown = f"[{host}]" if ":" in host else host
    if host in ("0.0.0.0", "::"):
        shown = socket.gethostname()  # what stands for every address is none that can be opened
    if host in LOOPBACK:
        # Browsers leave out the port that is the protocol's own.
        ends = (f":{port}", "") if port == 80 else (f":{port}",)
        token, names = None, [name + end for name in HOSTS for end in ends]
    else:
        token, names = secrets.token_urlsafe(24), []
    address = f"http://{shown}:{port}/" + (f"?token={token}" if token else "")
    config = uvicorn.Config(
        make_app(session, names, token), log_level="warning", access_log=False, lifespan="off",
        server_header=False, h11_max_incomplete_event_size=ADDRESS_BYTES, timeout_keep_alive=30,
    )  # fmt: skip
    server = uvicorn.Server(config)
    say(f"Exploring {session.name} at {address} (Ctrl+C ends it).")
    if token:
        say("  note: it listens to other machines; whoever has this address can see the run.")
    if started is not None:
        started(address)
    if browser:
        threading.Timer(0.5, webbrowser.open, [address]).start()
    with listening, contextlib.suppress(KeyboardInterrupt):  # how it is ended
        server.run(sockets=[listening])


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Its protocol is named, and not left to be guessed: asyncio sends small packets at once only on sockets
    that say they are TCP. On others the body of an answer waits for the receipt of its header, 40 ms of each
    picture.

    Raises:
        InputError: The port is taken, or there is no such address.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(512)
        return made
    except (OSError, UnicodeError) as error:
        made.close()
        raise InputError(
            f"Cannot listen on {host} port {port} ({getattr(error, 'strerror', None) or error}). Give "
            "another --port (0 takes any that is free) or --host."
        ) from None
