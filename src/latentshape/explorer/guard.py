"""Who may ask, and what the browser may do with the answer.

A server on one's own machine can be reached by every page that the browser has open. So:

- the ``Host`` must be one that the explorer was started for: a foreign name that resolves to 127.0.0.1 (DNS
  rebinding) is refused; and an ``Origin``, where the browser tells one, must be the explorer's own;
- where it listens to other machines, a token is needed: in the address once, then as a cookie that scripts
  cannot read, and that is not asked for where another site asks: its origin is refused before;
- the browser is told to load nothing from elsewhere, to run no inline script, and to show the page in no
  frame.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["POLICY", "Guard", "cookie_name"]

#: Nothing but the explorer's own files; pictures also from what the page itself has been given.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Another run may answer at this address tomorrow.
    "Cache-Control": "no-store",
}
METHODS = ("GET", "HEAD", "POST")


class Guard:
    """Stands before the app; refuses with a sentence.

    Args:
        app: What it guards.
        hosts: Values of ``Host`` that are answered; empty: all (the token is the guard then).
        token: Must be known to whoever asks; None: nobody is asked for one.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str], token: str | None = None) -> None:
        self.app, self.hosts, self.token = app, frozenset(hosts), token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self.app)(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "").lower()
        if self.hosts and host not in self.hosts:
            return _no(f"This explorer answers at {' or '.join(sorted(self.hosts))} only.", 403)
        if scope["method"] not in METHODS:
            return _no(f"The methods here are {', '.join(METHODS)}.", 405)
        # A link from elsewhere to the page is an ordinary visit; whatever else comes from elsewhere is not.
        visit = headers.get("sec-fetch-mode") == "navigate" and scope["method"] == "GET"
        foreign = headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if foreign and not (visit and scope["path"] == "/"):
            return _no("Other sites may not ask here.", 403)
        origin = headers.get("origin")
        if origin is not None and origin.lower() not in (f"http://{host}", f"https://{host}"):
            return _no("Other sites may not ask here.", 403)
        return None if self.token is None else self._without_token(scope, headers, self.token)

    def _without_token(self, scope: Scope, headers: Headers, token: str) -> Response | None:
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if scope["path"] == "/" and _same(given, token):
            answer = RedirectResponse("/", 303)
            # Not "strict": a link in a letter would then not carry it over the redirection.
            answer.set_cookie(cookie_name(token), token, httponly=True, samesite="lax")
            return answer
        # By the lenient parser: one ill-formed cookie of another program on this host hides no other.
        kept = cookie_parser(headers.get("cookie", "")).get(cookie_name(token), "")
        if _same(kept, token):
            return None
        return _no("Open the address with the token that the explorer printed when it began.", 403)


def cookie_name(token: str) -> str:
    """Cookies are shared by all ports of a host: each explorer has a name of its own for its."""
    return f"latentshape-{hashlib.sha256(token.encode()).hexdigest()[:8]}"


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())


def _no(sentence: str, status: int) -> Response:
    return JSONResponse({"error": sentence}, status)
