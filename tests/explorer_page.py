"""The explorer's page in a real browser: what its tests share."""

import contextlib
import shutil
import socket
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest

from latentshape.explorer.app import make_app
from latentshape.explorer.session import Session
from latentshape.runs import RunFolder
from tiny_run import _made

#: Names of Chromium on the systems where it is one command away.
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@contextlib.contextmanager
def chromium():
    """A headless Chromium; without one the test is skipped, with the reason."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install 'latentshape[browser]'"
    )
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"no browser is installed: none of {', '.join(BROWSERS)} was found")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=OPTIONS)
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def serving(session: Session):
    """The address of a server of this session, in a thread of its own."""
    import uvicorn

    listening = socket.create_server(("127.0.0.1", 0))
    host = "127.0.0.1:{}".format(listening.getsockname()[1])
    config = uvicorn.Config(
        make_app(session, [host]), log_level="warning", access_log=False, lifespan="off",
        h11_max_incomplete_event_size=2**18,
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server ended before it began"
        time.sleep(0.01)
    try:
        yield f"http://{host}/"
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()


@contextlib.contextmanager
def serving_tiny_run(tmp_path_factory):
    """The address of a server of the tests' tiny run, whose cache is the one it was made with."""
    base = _made(tmp_path_factory.getbasetemp() / "tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LATENTSHAPE_CACHE", str(base / "cache"))
        with serving(Session.of_run(RunFolder(base / "run"))) as address:
            yield address


@dataclass
class Watched:
    """A page, and what it did that no page should do."""

    page: object
    address: str
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    def open(self, fragment: str = "") -> None:
        """Open a state anew, and wait until the page stands."""
        # A fragment alone would be followed by the page as it is.
        self.page.goto("about:blank")
        self.page.goto(self.address + fragment)
        self.page.evaluate("window.explorer.ready")

    def until(self, expression: str, timeout: float = 5000) -> None:
        """Wait until a JavaScript expression is true."""
        self.page.wait_for_function(expression, timeout=timeout)

    def status(self) -> str:
        """What the status line says."""
        return self.page.locator("#status").inner_text()

    def check(self) -> None:
        """No error in the console, no request to anybody else."""
        assert self.errors == []
        assert self.foreign == []


@contextlib.contextmanager
def watched(browser, address: str, *, width=1280, height=800, dark=False, **options):
    """A page of its own of a browser, which is watched; see `Watched`."""
    scheme = "dark" if dark else "light"
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, **options
    )
    page = context.new_page()
    page.set_default_timeout(10_000)
    seen = Watched(page, address)
    own = urlsplit(address).netloc

    def request(sent):
        parts = urlsplit(sent.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != own:
            seen.foreign.append(sent.url)

    def console(message):
        if message.type not in ("error", "warning"):
            return
        refused = "Failed to load resource: the server responded with a status of 4" in message.text
        (seen.refusals if refused else seen.errors).append(message.text)

    page.on("request", request)
    page.on("console", console)
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    try:
        yield seen
    finally:
        context.close()
