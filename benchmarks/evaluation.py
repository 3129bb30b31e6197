"""What judging costs: each distance beside what others take for it, and the scorecard as a whole.

The distances are taken of random-conv features of procedural faces against those of other faces, by
latentshape and by its peers in turn, and medians are compared: torchmetrics' Fréchet distance and KID with
the same features (a feature module that is the identity), the prdc package with whole matrices of
distances, scikit-learn's brute-force search for the nearest training image. Those not installed are passed
over.

    python benchmarks/evaluation.py [--n 10000] [--training 20000] [--rounds 3]
                                    [--only frechet,kid,prdc,nearest,scorecard]
    python benchmarks/evaluation.py --only scorecard --run runs/faces

The scorecard is that of ten samplers, five draws each, on a decoder that was never trained (it costs the
same), or on a run's own, at the precision that a run here would have. Its goal is 10 minutes at n = 10,000
and 64 px on two cores.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import resource
import time
import warnings
from collections.abc import Iterator

import numpy as np

from latentshape.data.faces import faces
from latentshape.evaluation.features import RandomConv
from latentshape.evaluation.frechet import feature_frechet
from latentshape.evaluation.kid import kernel_distance
from latentshape.evaluation.prdc import Manifold, prdc
from latentshape.images import to_images
from latentshape.shape.voids import nearest_neighbours
from sidebyside import OURS, Way, clock, compare, installed

#: Samplers of the whole scorecard.
TEN = (
    "cube", "intervals", "standard-normal", "zero-mean", "centred", "diagonal", "gaussian", "elliptical",
    "copula", "training-codes",
)  # fmt: skip
GOAL_SECONDS = 600


def features(n: int, seed: int) -> np.ndarray:
    """Random-conv features of so many faces (of 2,000, with a little noise: rendering takes longer)."""
    base = to_images(faces(np.arange(2000), seed=seed, size=64))
    found = RandomConv(to_images(faces(np.arange(500), seed=9, size=64)))(base)
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, len(found), n)
    return found[rows] + 0.2 * rng.standard_normal((n, found.shape[1]))


def torchmetric(kind: str, a: np.ndarray, b: np.ndarray, **options: object) -> float:
    """A metric of torchmetrics between features, taken as if they were images."""
    import torch
    from torchmetrics.image.fid import FrechetInceptionDistance
    from torchmetrics.image.kid import KernelInceptionDistance

    same = torch.nn.Identity()
    same.num_features = a.shape[1]
    metric = {"frechet": FrechetInceptionDistance, "kid": KernelInceptionDistance}[kind](
        feature=same, **options
    )
    metric.set_dtype(torch.float64)
    metric.update(torch.from_numpy(b), real=True)
    metric.update(torch.from_numpy(a), real=False)
    found = metric.compute()
    return float(found[0] if kind == "kid" else found)


def by_package(real: np.ndarray, drawn: np.ndarray) -> list[float]:
    import prdc as package

    with contextlib.redirect_stdout(io.StringIO()):
        found = package.compute_prdc(real_features=real, fake_features=drawn, nearest_k=5)
    return [found[key] for key in ("precision", "recall", "density", "coverage")]


def nearest_by_sklearn(drawn: np.ndarray, training: np.ndarray) -> float:
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(training)
    return float(np.median(search.kneighbors(drawn)[0]))


def distances(args: argparse.Namespace) -> Iterator[tuple[str, str, list[Way]]]:
    """Each distance by name: its title, and the ways to take it."""
    real, drawn = features(args.n, 0), features(args.n, 1)
    n, d = real.shape
    torchmetrics, package = installed("torchmetrics"), installed("prdc")
    yield (
        "frechet",
        f"Fréchet distance, n = {n:,}, d = {d}",
        [
            Way(OURS, lambda: feature_frechet(drawn, real)),
            Way(
                "torchmetrics",
                (lambda: torchmetric("frechet", drawn, real)) if torchmetrics else None,
            ),
        ],
    )
    whole = min(n, 2000)
    yield (
        "kid",
        f"kernel distance of {whole:,} pictures, all pairs",
        [
            Way(OURS, lambda: kernel_distance(drawn[:whole], real[:whole])),
            Way(
                "torchmetrics",
                (
                    lambda: torchmetric(
                        "kid", drawn[:whole], real[:whole], subsets=1, subset_size=whole
                    )
                )
                if torchmetrics
                else None,
            ),
        ],
    )
    yield (
        "kid",
        f"kernel distance of {n:,} pictures: ours in blocks, theirs in 100 subsets of 1,000",
        [
            Way(OURS, lambda: kernel_distance(drawn, real)),
            Way(
                "torchmetrics",
                (lambda: torchmetric("kid", drawn, real)) if torchmetrics and n >= 1000 else None,
                note="another estimate of the same",
            ),
        ],
    )
    yield (
        "prdc",
        f"precision, recall, density, coverage, n = {n:,}",
        [
            Way(OURS, lambda: list(prdc(Manifold(real), drawn).values())),
            Way("prdc", (lambda: by_package(real, drawn)) if package else None),
        ],
    )
    training = features(args.training, 2)
    yield (
        "nearest",
        f"nearest of {args.training:,} training images, {min(n, 1000):,} pictures",
        [
            Way(
                OURS,
                lambda: float(np.median(nearest_neighbours(drawn[:1000], training)[0])),
            ),
            Way("scikit-learn, brute force", lambda: nearest_by_sklearn(drawn[:1000], training)),
        ],
    )


def scorecard(args: argparse.Namespace) -> None:
    """The scorecard of ten samplers: wall time and peak memory."""
    import torch

    from latentshape.codes import Codes, encode_pixels, load_codes
    from latentshape.config import EvaluationConfig, make_config
    from latentshape.data import SPLITS, Dataset
    from latentshape.evaluation.scorecard import score
    from latentshape.models import build_model, load_model
    from latentshape.pipeline import open_data
    from latentshape.runs import RunFolder
    from latentshape.samplers import make_sampler
    from latentshape.training import pick_precision

    if args.run:
        run = RunFolder.open(args.run)
        dataset, model = open_data(run.config(), run), load_model(run)
        train, held_out, test = (load_codes(run, split) for split in SPLITS)
        precision = run.stages()["encode"]["precision"]
    else:
        n = args.n
        split = np.repeat([0, 1, 2], [args.training, n, n]).astype(np.int8)
        base = faces(np.arange(2000), seed=0, size=64)
        # Shifted by a few pixels: other pictures, painted in no time.
        pixels = np.concatenate(
            [np.roll(base, (i % 7, i // 7), (1, 2)) for i in range(-(-len(split) // 2000))]
        )[: len(split)]
        ids = np.array([str(i) for i in range(len(split))])
        dataset = Dataset("faces", "faces", pixels, ids, split, None, (), "benchmark")
        model = build_model(make_config())
        precision = pick_precision(make_config(), torch.device("cpu"), dataset)
        train, held_out, test = (
            Codes(
                np.concatenate([*encode_pixels(model, pixels, dataset.indices(s), precision)]),
                ids[dataset.indices(s)],
                s,
            )
            for s in SPLITS
        )
    samplers = {name: make_sampler(name).fit(train.z) for name in TEN}
    began = time.perf_counter()
    card = score(
        model, dataset, samplers, held_out, test, EvaluationConfig(n=args.n), train=train.z,
        precision=precision,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    goal = f", goal {clock(GOAL_SECONDS)}" if card["n"] == 10_000 else ""
    print(
        f"\nscorecard of {len(TEN)} samplers, n = {card['n']:,}, {card['draws']} draws, "
        f"{precision}, {', '.join(card['features'])}: {clock(seconds)}{goal}; {os.cpu_count()} cores; peak "
        f"of the process {peak:,.0f} MiB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--training", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="frechet,kid,prdc,nearest,scorecard")
    parser.add_argument("--run", default="")
    args = parser.parse_args()
    only = args.only.split(",")
    warnings.simplefilter("ignore")  # the peers' own
    if set(only) - {"scorecard"}:
        for name, title, ways in distances(args):
            if name in only:
                compare(title, ways, args.rounds)
    if "scorecard" in only:
        scorecard(args)


if __name__ == "__main__":
    main()
