"""A real explorer at a free port, for tests that ask it over the wire."""

import contextlib
import threading
import time

import uvicorn

from latentshape.explorer.app import HOSTS, listen, make_app


@contextlib.contextmanager
def serving(session, token=None):
    """The address of a server of the session, which ends with the block."""
    listening = listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    hosts = [] if token else [f"{name}:{port}" for name in HOSTS]
    app = make_app(session, hosts, token)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started:
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()
