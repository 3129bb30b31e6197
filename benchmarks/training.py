"""Images per second of training and encoding, side by side with the same network in plain Keras 3.

Contestants: latentshape (``training.train`` and ``codes.encode_dataset``, as the command line runs
them), and Keras 3 ``fit`` and ``predict`` on its torch and on its JAX backend, whose better one counts.
Same layers, same number of parameters, Adam, squared error, batch 128 for training. latentshape runs in
the precision that wins its race (bf16 where the processor has it), Keras as it is by default, in float32;
latentshape encodes at its own batch of 128, Keras at the best of 128, 256 and 512. Every contestant runs in
a process of its own with all cores, in turn, several rounds; the first epoch (compilation, caches) is not
timed; each round's best is kept, and the medians of the rounds are compared.

    python benchmarks/training.py [--rounds 3] [--images 4096]

Goal: 2.5x in training, 5x in encoding.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FILTERS, LATENT, SIZE, BATCH = (32, 64, 128, 256), 256, 64, 128


def latentshape_rates(images: int) -> dict[str, float]:
    import torch

    from latentshape.codes import encode_dataset
    from latentshape.config import make_config
    from latentshape.data import open_dataset
    from latentshape.runs import RunFolder
    from latentshape.training import train

    config = make_config(
        data=f"faces:n={images}", size=SIZE, latent_dim=LATENT, filters=FILTERS, batch_size=BATCH,
        epochs=3,
    )  # fmt: skip
    dataset = open_dataset(config.data.data, size=SIZE)
    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder.create(Path(folder) / "run", config)
        model, facts = train(config, dataset, run)
        rates = [line["images_per_second"] for line in run.metrics()[1:]]
        encoding = []
        for _ in range(4):
            began = time.perf_counter()
            encode_dataset(model, dataset, run.codes_path, facts["precision"])
            encoding.append(len(dataset) / (time.perf_counter() - began))
    print(f"    precision {facts['precision']}, {torch.get_num_threads()} threads", file=sys.stderr)
    return {"train": max(rates), "encode": max(encoding[1:])}


def keras_rates(images: int) -> dict[str, float]:
    import keras
    import numpy as np
    from keras import layers

    from latentshape.data import open_dataset

    dataset = open_dataset(f"faces:n={images}", size=SIZE)
    x = np.asarray(dataset.pixels, np.float32) / 255

    def leaky() -> layers.Layer:
        return layers.LeakyReLU(negative_slope=0.2)

    pixels = keras.Input((SIZE, SIZE, 3))
    h = pixels
    for filters in FILTERS:
        h = leaky()(layers.Conv2D(filters, 3, 2, "same")(h))
    encoder = keras.Model(pixels, layers.Dense(LATENT)(layers.Flatten()(h)))
    side = SIZE // 2 ** len(FILTERS)
    code = keras.Input((LATENT,))
    h = leaky()(layers.Dense(side * side * FILTERS[-1])(code))
    h = layers.Reshape((side, side, FILTERS[-1]))(h)
    for filters in FILTERS[-2::-1]:
        h = leaky()(layers.Conv2DTranspose(filters, 3, 2, "same")(h))
    decoder = keras.Model(code, layers.Conv2DTranspose(3, 3, 2, "same", activation="sigmoid")(h))
    model = keras.Model(pixels, decoder(encoder(pixels)))
    model.compile("adam", "mse")
    train = x[dataset.indices("train")]
    rates = []
    for _ in range(3):
        began = time.perf_counter()
        model.fit(train, train, batch_size=BATCH, epochs=1, verbose=0)
        rates.append(len(train) / (time.perf_counter() - began))
    encoding = []
    for batch in (128, 128, 256, 256, 512, 512):
        began = time.perf_counter()
        encoder.predict(x, batch_size=batch, verbose=0)
        encoding.append(len(x) / (time.perf_counter() - began))
    return {"train": max(rates[1:]), "encode": max(encoding[1:])}


def measure(contestant: str, images: int) -> dict[str, float]:
    """One contestant in a fresh process."""
    environment = dict(os.environ)
    if contestant.startswith("keras"):
        environment["KERAS_BACKEND"] = contestant.removeprefix("keras-")
    done = subprocess.run(
        [sys.executable, __file__, "--contestant", contestant, "--images", str(images)],
        env=environment, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=4096)
    parser.add_argument("--contestant", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.contestant:
        rates = latentshape_rates if given.contestant == "latentshape" else keras_rates
        print(json.dumps(rates(given.images)))
        return
    contestants = ("latentshape", "keras-torch", "keras-jax")
    found: dict[str, list[dict[str, float]]] = {c: [] for c in contestants}
    for i in range(given.rounds):
        for contestant in contestants:
            found[contestant].append(measure(contestant, given.images))
            print(f"round {i + 1} {contestant}: {found[contestant][-1]}", file=sys.stderr)
    print(
        f"{'images/s':12}" + "".join(f"{c:>14}" for c in contestants) + f"{'ratio':>9}{'goal':>7}"
    )
    for job, goal in (("train", 2.5), ("encode", 5.0)):
        medians = {c: statistics.median(r[job] for r in found[c]) for c in contestants}
        ratio = medians["latentshape"] / max(medians["keras-torch"], medians["keras-jax"])
        print(f"{job:12}" + "".join(f"{medians[c]:14,.0f}" for c in contestants)
              + f"{ratio:8.2f}x{goal:6}x")  # fmt: skip


if __name__ == "__main__":
    main()
