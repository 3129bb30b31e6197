"""The explorer's page in a real browser: one Chromium and one server for all tests of a module.

A `Visit` opens states of the page and remembers what went wrong in it: errors of the console, refused
requests, and requests to other hosts. They are looked at when the test is over.
"""

import functools
import shutil
import time
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from explorer_server import serving
from latentshape.explorer.session import Session
from latentshape.runs import RunFolder
from tiny_run import made_once

#: Names under which distributions install the browser.
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking",
           "--disable-component-update", "--disable-sync"]  # fmt: skip
#: Milliseconds that anything may take on a loaded machine.
PATIENCE = 90_000


@functools.cache
def chromium() -> str:
    """Where the browser is; skips the test where there is none."""
    pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: extra 'browser'"
    )
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is on the path")
    return found


@contextmanager
def launched():
    """A headless Chromium."""
    path = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def browser():
    """One for all tests of a module."""
    with launched() as found:
        yield found


@pytest.fixture(scope="module")
def run(browser, tmp_path_factory):
    """The tiny run, to be read; after the browser, without which it is not needed."""
    return RunFolder(made_once(tmp_path_factory) / "run")


@pytest.fixture(scope="module")
def address(run):
    """Where the explorer of the tiny run answers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LATENTSHAPE_CACHE", str(run.path.parent / "cache"))
        session = Session.of_run(run)
        session.image("test:0")  # opens the images while their cache is known
    with serving(session) as found:
        yield found


class Visit:
    """One visitor of the page at an address.

    Attributes:
        page: Playwright's page.
        wrong: What the console complained of, and requests to other hosts, so far.
    """

    def __init__(self, browser, address: str, **options) -> None:
        self.address = address
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}} | options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.wrong: list[str] = []
        self.followed = 0
        host = urlsplit(address).netloc
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        self.page.on("response", self._answered)
        self.page.on("request", lambda request: self._asked(request.url, host))

    def _heard(self, message) -> None:
        if message.type in ("error", "warning"):
            self.wrong.append(f"console {message.type}: {message.text}")

    def _answered(self, response) -> None:
        # The console tells of it too, but not where it was.
        if response.status >= 400:
            self.wrong.append(f"{response.status} at {response.url}")

    def _asked(self, url: str, host: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob") and parts.netloc != host:
            self.wrong.append(f"request to another host: {url}")

    def open(self, fragment: str = ""):
        """Open a state, as if its URL had been typed, and wait until the page is ready."""
        self.page.goto("about:blank")
        self.page.goto(f"{self.address}#{fragment}")
        self.wait("Boolean(window.explorer)")
        self.page.evaluate("window.explorer.ready")
        return self.page

    def follow(self, fragment: str):
        """Change the fragment of a page that is open, as a link does, and wait until it is followed."""
        self.followed += 1
        self.page.evaluate("f => { location.hash = f; }", f"{fragment}&visit={self.followed}")
        self.wait(f"window.explorer.state.visit === '{self.followed}'")
        return self.page

    def state(self) -> dict:
        """The state of the URL as the page has it."""
        return self.page.evaluate("({...window.explorer.state})")

    def wait(self, condition: str) -> None:
        """Wait until an expression of the page's language holds.

        Asked again and again from outside: Playwright's own way of waiting evaluates text inside the page,
        which the page's Content-Security-Policy forbids.
        """
        last = time.monotonic() + PATIENCE / 1000
        while not self.page.evaluate(condition):
            assert time.monotonic() < last, f"in vain waited for: {condition}"
            self.page.wait_for_timeout(20)

    def expect_wrong(self, words: str) -> None:
        """Something wrong that the test is about."""
        assert any(words in found for found in self.wrong), self.wrong
        self.wrong = [found for found in self.wrong if words not in found]

    def check(self) -> None:
        """Nothing has gone wrong since the last time."""
        wrong, self.wrong = self.wrong, []
        assert not wrong, "\n".join(wrong)

    def leave(self) -> None:
        """Close the page; nothing may have gone wrong in it."""
        self.context.close()
        self.check()
