"""A folder on a plain file server, and a page in it that can be asked what its source answers."""

import functools
import http.server
import threading
from contextlib import contextmanager

import numpy as np

#: Makes a `Source` of the page that is open, once, and asks it; numbers become a list.
ASK = """async (question) => {
  const { Source } = await import(new URL("source.js", location.href.split("#")[0]));
  window.tested ??= new Source();
  const found = await question(window.tested);
  return ArrayBuffer.isView(found) ? [...found] : found;
}"""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextmanager
def files_served(folder):
    """The address of a folder on Python's own file server, which ends with the block."""
    handler = functools.partial(_Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def asked(page, question):
    """What the source of an open page answers; `question` is JavaScript in which it is called `s`."""
    return page.evaluate(f"async () => ({ASK})(async (s) => {question})")


def spelt(codes):
    """Codes as an expression of JavaScript; exact."""
    return f"new Float32Array({np.asarray(codes, np.float32).ravel().tolist()})"
