"""How quickly the explorer answers a hand: milliseconds from pointer to picture, in a real browser.

A cloud of 200,000 codes like those of the experiments with the decoder of ``celeba-64`` (never trained: it
takes as long) is explored in headless Chromium without a graphics card. Measured on the page itself: from
the start of the navigation to the first drawn plane; from the pointer going down on a random place to
its picture; between the pictures of a drag; and one redraw of all codes. What the server alone takes for one
picture, over a connection that is kept open, stands beside it.

    python benchmarks/explorer.py [--n 200000] [--dim 256] [--clicks 60] [--screenshot FILE]
"""

from __future__ import annotations

import argparse
import http.client
import os
import shutil
import socket
import sys
import tempfile
import time
import urllib.parse
from pathlib import Path

import numpy as np

from sidebyside import latent_like

sys.path.append(str(Path(__file__).parent.parent / "tests"))

GOALS = {"paint": 1500.0, "click p50": 30.0, "click p90": 45.0, "images/s": 30.0, "redraw": 16.0}
VIEWPORT = {"width": 1400, "height": 950}


def session_of(folder: Path, n: int, dim: int):
    """A session of planted codes with the preset's decoder."""
    from latentshape.config import make_config
    from latentshape.explorer.session import Session
    from latentshape.models import build_model
    from latentshape.runs import RunFolder

    config = make_config("celeba-64", latent_dim=dim)
    run = RunFolder.create(folder / "celeba-64", config)
    z = latent_like(folder / "codes.npy", n, dim)
    return Session({"train": z}, "200,000 codes", run=run, model=build_model(config).eval())


def server_alone(address: str, z: np.ndarray, rounds: int) -> list[float]:
    """Milliseconds of one picture in raw pixels, question by question."""
    parts = urllib.parse.urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname, parts.port)
    connection.connect()
    # Question and codes are two packets: the second is not to wait for the first one's receipt.
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    times = []
    for i in range(rounds):
        began = time.perf_counter()
        connection.request("POST", "/api/decode?as=raw", z[i % len(z)].astype("<f4").tobytes())
        connection.getresponse().read()
        times.append(1000 * (time.perf_counter() - began))
    connection.close()
    return times[3:]


def measure(page, address: str, clicks: int) -> dict[str, list[float]]:
    """Open, click, drag, zoom; the page's own clocks."""
    page.goto(address)
    page.evaluate("() => window.explorer.ready")
    page.wait_for_function("() => window.explorer.timings.paint !== null")
    paint = page.evaluate("() => window.explorer.timings.paint")
    plane = page.get_by_role("application")
    box = plane.bounding_box()
    rng = np.random.default_rng(0)

    def place() -> tuple[float, float]:
        u, v = 0.5 + 0.15 * rng.standard_normal(2).clip(-2, 2)
        return box["x"] + u * box["width"], box["y"] + v * box["height"]

    for _ in range(clicks):
        before = page.evaluate("() => window.explorer.timings.click.length")
        page.mouse.click(*place())
        page.wait_for_function(f"() => window.explorer.timings.click.length > {before}")
        page.wait_for_timeout(60)  # the description of the code before is done
    click = page.evaluate("() => window.explorer.timings.click")
    page.mouse.move(*place())
    page.mouse.down()
    t = np.linspace(0, 4 * np.pi, 240)
    for angle in t:
        x = box["x"] + box["width"] * (0.5 + 0.25 * np.cos(angle))
        y = box["y"] + box["height"] * (0.5 + 0.25 * np.sin(angle))
        page.mouse.move(x, y)  # as fast as the driver can
    page.mouse.up()
    drag = page.evaluate("() => window.explorer.timings.drag")
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    for step in range(60):
        page.mouse.wheel(0, 120 if step % 2 else -120)
        page.wait_for_timeout(20)
    redraw = page.evaluate("() => window.explorer.timings.redraw")
    return {"paint": [paint], "click": click[3:], "drag": drag, "redraw": redraw}


def shown(name: str, value: float, unit: str, goal: float, most: bool = True) -> None:
    """One line of the table."""
    reached = value <= goal if most else value >= goal
    sign = "<=" if most else ">="
    print(
        f"  {name:<34} {value:8.1f} {unit:<9} goal {sign} {goal:g}  {'reached' if reached else 'NOT REACHED'}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=200_000)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--clicks", type=int, default=60)
    parser.add_argument("--screenshot", default="")
    args = parser.parse_args()
    from playwright.sync_api import sync_playwright

    from explorer_page import BROWSERS
    from explorer_server import serving

    browser_path = next((p for p in map(shutil.which, BROWSERS) if p), None)
    if browser_path is None:
        raise SystemExit("No Chromium was found: install Debian's package chromium.")
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        session = session_of(Path(folder), args.n, args.dim)
        session.warm()  # as the command does before it says its address
        took = time.perf_counter() - began
        print(f"{args.n:,} codes of {args.dim} components; made and opened in {took:.1f} s")
        with serving(session) as address, sync_playwright() as playwright:
            alone = server_alone(address, np.asarray(session.train[:64]), 60)
            browser = playwright.chromium.launch(
                executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"]
            )
            page = browser.new_page(viewport=VIEWPORT)
            found = measure(page, address, args.clicks)
            if args.screenshot:
                page.screenshot(path=args.screenshot)
            browser.close()
    click, drag = np.array(found["click"]), np.array(found["drag"])
    print(f"\nexplorer, headless Chromium, {os.cpu_count()} cores, no graphics card")
    shown("first plane drawn", found["paint"][0], "ms", GOALS["paint"])
    shown("click to picture, p50", float(np.median(click)), "ms", GOALS["click p50"])
    shown("click to picture, p90", float(np.quantile(click, 0.9)), "ms", GOALS["click p90"])
    shown(
        "pictures while dragging",
        1000 / float(np.mean(drag)),
        "a second",
        GOALS["images/s"],
        most=False,
    )
    shown(
        "redraw of all codes, p90", float(np.quantile(found["redraw"], 0.9)), "ms", GOALS["redraw"]
    )
    print(f"  {'the server alone, p50':<34} {np.median(alone):8.1f} ms")


if __name__ == "__main__":
    main()
