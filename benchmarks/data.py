"""What it costs to get at images: decoding them once, and drawing batches from the cache for ever after.

Decoding: files of CelebA's size (178x218 JPEG, about 8 kB; procedural faces, or your own with --images)
become 64 px squares by the routes that Python has, one after the other on one core, in turn, several
rounds, each route's best round counting; then by latentshape as ``--data`` does it, on one core and on
all, hashing and writing included.

Drawing: random batches of 256 from the decoded map as training takes them (fancy indexing, mirroring,
conversion to float), beside the training step of the celeba-64 network that waits for them.

    python benchmarks/data.py [--images DIR] [--count 2000] [--rounds 5]

Goals: decoding within 1.3x of the fastest route; drawing below 5 % of a step.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

BOX, SIZE, BATCH = (19, 39, 159, 179), 64, 256


def routes() -> dict[str, Callable[[bytes], np.ndarray]]:
    """Every way from a JPEG's bytes to a 64 px square: crop first, then scale."""
    import torch
    from torch.nn.functional import interpolate

    from latentshape.data.pixels import as_square

    left, top, right, bottom = BOX

    def scaled(pixels: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(pixels[top:bottom, left:right]).permute(2, 0, 1)[None]
        return (
            interpolate(x, (SIZE, SIZE), mode="bilinear", antialias=True)[0]
            .permute(1, 2, 0)
            .numpy()
        )

    def pillow(content: bytes) -> np.ndarray:
        image = Image.open(io.BytesIO(content)).crop(BOX)
        return np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BILINEAR))

    def pillow_torch(content: bytes) -> np.ndarray:
        return scaled(np.array(Image.open(io.BytesIO(content))))

    found: dict[str, Callable[[bytes], np.ndarray]] = {
        "Pillow crop + resize": pillow,
        "Pillow decode, torch resize": pillow_torch,
    }
    with contextlib.suppress(ImportError):
        import cv2

        def opencv(content: bytes) -> np.ndarray:
            pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
            small = cv2.resize(
                pixels[top:bottom, left:right], (SIZE, SIZE), interpolation=cv2.INTER_AREA
            )
            return small[:, :, ::-1]

        cv2.setNumThreads(1)
        found["OpenCV decode + INTER_AREA"] = opencv
    with contextlib.suppress(ImportError):
        import simplejpeg

        def fast_pillow(content: bytes) -> np.ndarray:
            pixels = simplejpeg.decode_jpeg(content)[top:bottom, left:right]
            return np.asarray(
                Image.fromarray(pixels).resize((SIZE, SIZE), Image.Resampling.BILINEAR)
            )

        found["simplejpeg, Pillow resize"] = fast_pillow
        found["simplejpeg, torch resize"] = lambda content: scaled(simplejpeg.decode_jpeg(content))
    found["latentshape"] = lambda content: as_square(content, SIZE, 3, "centre-140")[0]
    return found


def decoding(folder: Path, count: int, rounds: int) -> None:
    """Print the routes' rates side by side."""
    import torch

    torch.set_num_threads(1)
    files = sorted(folder.glob("*.jpg"))[:count]
    contents = [path.read_bytes() for path in files]
    size = np.mean([len(content) for content in contents])
    print(f"\nDecoding {len(files):,} JPEGs of {size / 1e3:.1f} kB to {SIZE} px, one core")
    ways, best = routes(), {}
    for _ in range(rounds):
        for name, route in ways.items():
            began = time.perf_counter()
            for content in contents:
                route(content)
            best[name] = min(best.get(name, np.inf), time.perf_counter() - began)
    reference = np.stack([ways["Pillow crop + resize"](c) for c in contents[:200]]).astype(int)
    fastest = min(seconds for name, seconds in best.items() if name != "latentshape")
    for name, seconds in best.items():
        off = np.abs(np.stack([ways[name](c) for c in contents[:200]]).astype(int) - reference)
        print(
            f"  {name:<28} {len(files) / seconds:>7,.0f} images/s  {seconds / fastest:>5.2f} x the "
            f"fastest's time   off Pillow by {off.max()} at most, {off.mean():.3f} on average"
        )
    print(f"  goal: latentshape within 1.3; measured {best['latentshape'] / fastest:.2f}")


def whole_dataset(folder: Path, rounds: int) -> None:
    """Print the rate of opening a dataset for the first time, by threads and by processes."""
    from latentshape.data import list_dataset, pixels

    listing = list_dataset(f"folder:{folder}")
    n = len(listing.ids)
    print(f"\nThe same by latentshape into a memory map, {n:,} files, {os.cpu_count()} cores")
    usual = pixels.PROCESSES_FROM
    for name, limit in (("threads", n + 1), ("processes", 0)):
        pixels.PROCESSES_FROM = limit
        rates = []
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as place:
                target = np.lib.format.open_memmap(
                    Path(place) / "pixels.npy", mode="w+", dtype=np.uint8, shape=(n, SIZE, SIZE, 3)
                )
                began = time.perf_counter()
                pixels.decode_into(target, listing.pictures, "centre-140", None)
                rates.append(n / (time.perf_counter() - began))
        print(f"  {name:<28} {max(rates):>7,.0f} images/s (the first time {rates[0]:,.0f})")
    pixels.PROCESSES_FROM = usual
    began = time.perf_counter()
    pixels.digests_of(listing.pictures)
    print(f"  {'hashing':<28} {n / (time.perf_counter() - began):>7,.0f} images/s")


def drawing(rounds: int) -> None:
    """Print what a random batch from the cache costs beside the training step that takes it."""
    import torch

    from latentshape.config import make_config
    from latentshape.data import open_dataset
    from latentshape.models import build_model
    from latentshape.training import _batch, autocast, pick_precision

    torch.set_num_threads(os.cpu_count() or 1)
    config = make_config("celeba-64", data="faces:n=6000", batch_size=BATCH)
    dataset = open_dataset(config.data.data, size=SIZE)
    device = torch.device("cpu")
    precision = pick_precision(config, device, dataset)
    model = build_model(config)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    order = np.random.default_rng(0).permutation(len(dataset))
    draw, step = [], []
    for i in range(4 * rounds):
        rows = order[(i * BATCH) % (len(order) - BATCH) :][:BATCH]
        began = time.perf_counter()
        x = _batch(dataset, rows, config.training, i, device)
        drawn = time.perf_counter()
        with autocast(device, precision):
            loss, _ = model.loss(x)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        draw.append(drawn - began)
        step.append(time.perf_counter() - drawn)
    share = np.median(draw) / np.median(step)
    print(
        f"\nA random batch of {BATCH} at {SIZE} px: {1e3 * np.median(draw):.1f} ms "
        f"({1 / np.median(draw):,.0f} batches/s, {BATCH / np.median(draw):,.0f} images/s); a training "
        f"step ({precision}): {1e3 * np.median(step):.0f} ms"
        f"\n  goal: below 5 % of a step; measured {share:.1%}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, help="a folder of aligned CelebA JPEGs [faces]")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        os.environ.setdefault("LATENTSHAPE_CACHE", place)
        folder = given.images
        if folder is None:
            from latentshape.data.layouts import make_faces
            from latentshape.data.procedural import FaceRecipe

            make_faces(FaceRecipe(n=given.count), "celeba", Path(place) / "faces")
            folder = Path(place) / "faces" / "img_align_celeba"
        decoding(folder, given.count, given.rounds)
        whole_dataset(folder, given.rounds)
        drawing(given.rounds)


if __name__ == "__main__":
    main()
