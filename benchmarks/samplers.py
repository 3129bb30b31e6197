"""What a draw costs, beside what others take for the same.

Codes as in benchmarks/shape.py, at d = 50, 105 and 256. Every operation is done by latentshape and by its
peers in turn, several rounds, and medians are compared. All have one thread (BLAS and OpenMP) unless a line
says so. Peers too slow for the whole are timed on a part and extrapolated, marked [x]; those not installed
are passed over.

    python benchmarks/samplers.py [--d 50,105,256] [--n 20000] [--draws 100000] [--rounds 3]
                                  [--only pairwise,gaussian,ellipsoid,intervals,em,mixture,low-rank,...]

The literal procedure is what the experiments describe, in Python, one vector at a time: all pairs of
components in random order, the second of each drawn within what the first leaves. EM is one iteration on
--em-n codes.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats
from sklearn.decomposition import FactorAnalysis
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from latentshape._checks import row_blocks
from latentshape.neighbourhood import nearest_codes
from latentshape.samplers import SAMPLERS, make_sampler
from latentshape.samplers.mixture import Parts, em_pass
from latentshape.shape.moments import Moments
from sidebyside import OURS, Way, compare, installed, latent_like

CORES = os.cpu_count() or 1


@dataclass
class Case:
    """Codes, and how many are drawn."""

    z: np.ndarray
    draws: int
    em: np.ndarray

    @property
    def d(self) -> int:
        """Dimension."""
        return self.z.shape[1]


OPERATIONS: dict[str, tuple[str, Callable[[Case], Iterator[Way]]]] = {}


def operation(name: str, title: str) -> Callable[[Callable], Callable]:
    """Enter an operation in the list."""

    def enter(ways: Callable[[Case], Iterator[Way]]) -> Callable[[Case], Iterator[Way]]:
        OPERATIONS[name] = (title, ways)
        return ways

    return enter


def literal_pairwise(rng: np.random.Generator, half: np.ndarray) -> np.ndarray:
    """One vector by the published procedure, pair by pair."""
    d = len(half)
    pairs = [(i, j) for i in range(d) for j in range(i + 1, d)]
    rng.shuffle(pairs)
    u = rng.uniform(-half, half)
    for i, j in pairs:
        if rng.random() < 0.5:
            i, j = j, i
        left = half[j] * np.sqrt(max(0.0, 1.0 - (u[i] / half[i]) ** 2))
        if abs(u[j]) > left:
            u[j] = rng.uniform(-left, left)
    return u


@operation("pairwise", "uniform inside all pairwise ellipses")
def pairwise(case: Case) -> Iterator[Way]:
    sampler = make_sampler("pairwise-ellipse").fit(case.z)
    few = 20 if case.d < 200 else 4
    half = sampler.limit_ * sampler.std_

    def literal() -> None:
        rng = np.random.default_rng(0)
        for _ in range(few):
            sampler.mean_ + literal_pairwise(rng, half) @ sampler.axes_

    yield Way(OURS, lambda: _done(sampler.sample(case.draws, workers=1)))
    yield Way(f"{OURS} ({CORES} workers)", lambda: _done(sampler.sample(case.draws, workers=CORES)))
    sequential = make_sampler("pairwise-ellipse", method="sequential").fit(case.z)
    some = 1024
    yield Way(f"{OURS} (the procedure, row by row at once)",
              lambda: _done(sequential.sample(some, workers=1)), times=case.draws / some)  # fmt: skip
    goal = {50: 3470, 105: 9700, 256: 20_000}.get(case.d)
    yield Way("the literal procedure", literal, goal, times=case.draws / few)


def _done(_: object) -> None:
    """Draws of different streams are not to be compared number by number."""


@operation("gaussian", "draws from the fitted Gaussian")
def gaussian(case: Case) -> Iterator[Way]:
    sampler = make_sampler("gaussian").fit(case.z)
    moments = Moments.of(case.z)
    rng = np.random.default_rng(0)
    law = stats.multivariate_normal(moments.mean, moments.cov, allow_singular=True)
    yield Way(f"{OURS} ({CORES} workers)", lambda: _done(sampler.sample(case.draws, workers=CORES)))
    yield Way(OURS, lambda: _done(sampler.sample(case.draws, workers=1)))
    yield Way("numpy multivariate_normal (cholesky)", lambda: _done(
        rng.multivariate_normal(moments.mean, moments.cov, case.draws, method="cholesky")), 3)  # fmt: skip
    yield Way("scipy multivariate_normal", lambda: _done(law.rvs(case.draws, random_state=rng)))
    torch = installed("torch")
    if torch is None:
        yield Way("torch MultivariateNormal", None)
        return
    torch.set_num_threads(1)
    normal = torch.distributions.MultivariateNormal(
        torch.from_numpy(moments.mean).float(), torch.from_numpy(moments.cov).float()
    )
    yield Way("torch MultivariateNormal", lambda: _done(normal.sample((case.draws,))))


@operation("ellipsoid", "draws from the Gaussian truncated to a Mahalanobis ball")
def ellipsoid(case: Case) -> Iterator[Way]:
    usual = np.sqrt(case.d)
    sampler = make_sampler("ellipsoid", radius=float(0.94 * usual)).fit(case.z)
    tiny = make_sampler("ellipsoid", radius=0.5).fit(case.z)
    plain = make_sampler("gaussian").fit(case.z)

    def rejection() -> None:
        kept, limit = 0, (0.94 * usual) ** 2
        rng = np.random.default_rng(0)
        while kept < case.draws:
            g = rng.standard_normal((8192, case.d), dtype=np.float32)
            inside = g[np.square(g).sum(axis=1) <= limit]
            kept += len(inside @ plain.factor_.T.astype(np.float32))

    yield Way(f"{OURS} (R = 0.94 sqrt(d))", lambda: _done(sampler.sample(case.draws, workers=1)))
    yield Way(f"{OURS} (R = 0.5)", lambda: _done(tiny.sample(case.draws, workers=1)))
    yield Way("the same, gaussian", lambda: _done(plain.sample(case.draws, workers=1)),
              note="goal: at least 0.5")  # fmt: skip
    yield Way("rejection (R = 0.94 sqrt(d))", rejection, 12 if case.d == 256 else None)


@operation("intervals", "independent uniform numbers in an interval per component")
def intervals(case: Case) -> Iterator[Way]:
    sampler = make_sampler("intervals").fit(case.z)
    low, high = sampler.low_.tolist(), sampler.high_.tolist()
    few = 200

    def loop() -> None:
        rng = np.random.default_rng(0)
        for _ in range(few):
            x = np.empty(case.d)
            for j in range(case.d):
                x[j] = rng.uniform(low[j], high[j])

    def vectorised() -> None:
        np.random.default_rng(0).uniform(sampler.low_, sampler.high_, (case.draws, case.d))

    yield Way(OURS, lambda: _done(sampler.sample(case.draws, workers=1)))
    yield Way("double loop", loop, 640 if case.d == 256 else None, times=case.draws / few)
    yield Way("numpy, vectorised", vectorised, 4.6 if case.d == 256 else None)


@operation("em", "one EM iteration of a mixture of 10 full Gaussians")
def em(case: Case) -> Iterator[Way]:
    # Both go on from the same parameters: what a fit of few codes has found.
    start = make_sampler("mixture", components=10, max_iterations=3).fit(case.z)
    covs = np.stack([f @ f.T for f in start.factors_])
    parts = Parts(start.weights_, start.means_, covs)
    theirs = GaussianMixture(
        len(start.weights_), max_iter=1, weights_init=start.weights_, means_init=start.means_,
        precisions_init=np.linalg.inv(covs), init_params="random_from_data", random_state=0,
    )  # fmt: skip

    def ours() -> np.ndarray:
        return em_pass(row_blocks(case.em), parts, 1e-6)[1].means

    def sklearn() -> np.ndarray:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one iteration does not converge
            return theirs.fit(case.em).means_

    yield Way(f"{OURS} ({len(case.em):,} codes)", ours, seconds=3.5 if case.d == 256 else None)
    yield Way("scikit-learn", sklearn, 4.5)


@operation("mixture", "draws from a mixture of 10 full Gaussians")
def mixture(case: Case) -> Iterator[Way]:
    sampler = make_sampler("mixture", components=10, max_iterations=2).fit(case.z)
    theirs = GaussianMixture(len(sampler.weights_))
    theirs.weights_, theirs.means_ = sampler.weights_, sampler.means_
    theirs.covariances_ = np.stack([f @ f.T for f in sampler.factors_])
    yield Way(OURS, lambda: _done(sampler.sample(case.draws, workers=1)))
    yield Way(f"{OURS} ({CORES} workers)", lambda: _done(sampler.sample(case.draws, workers=CORES)))
    yield Way("scikit-learn", lambda: _done(theirs.sample(case.draws)), 2.8)


@operation("low-rank", "a Gaussian of 16 factors fitted to 1,000 codes of 4,096 components")
def low_rank(case: Case) -> Iterator[Way]:
    # Wide codes of its own, whatever --d is: this law is for more components than codes.
    rng = np.random.default_rng(0)
    loadings = rng.standard_normal((16, 4096), dtype=np.float32)
    z = rng.standard_normal((1000, 16), dtype=np.float32) @ loadings
    z += rng.standard_normal(z.shape, dtype=np.float32) * rng.uniform(0.5, 1.5, 4096).astype(
        np.float32
    )
    theirs = FactorAnalysis(16, tol=1e-2, random_state=0)

    def ours() -> np.ndarray:
        return np.array([make_sampler("low-rank", rank=16).fit(z).score(z)])

    def sklearn() -> np.ndarray:
        return np.array([theirs.fit(z).score(z)])

    yield Way(f"{OURS} (rank 16)", ours)
    yield Way(f"{OURS} (rank chosen)", lambda: _done(make_sampler("low-rank").fit(z)))
    yield Way("scikit-learn FactorAnalysis (randomized)", sklearn, 1)


@operation("neighbours", "5 nearest training codes of 1,000 drawn ones")
def neighbours(case: Case) -> Iterator[Way]:
    drawn = make_sampler("gaussian").fit(case.z).sample(1000)

    def sklearn() -> np.ndarray:
        return NearestNeighbors(n_neighbors=5, algorithm="brute").fit(case.em).kneighbors(drawn)[0]

    yield Way(OURS, lambda: nearest_codes(drawn, case.em, 5).distances)
    yield Way("scikit-learn brute", sklearn, 2)


@operation("laws", "every sampler: draws")
def laws(case: Case) -> Iterator[Way]:
    first = ["gaussian", *(name for name in SAMPLERS if name != "gaussian")]
    for name in first:
        if name == "flow" and installed("zuko") is None:
            yield Way(f"{OURS} {name}", None)
            continue
        sampler = make_sampler(name).fit(case.z[:5000])
        yield Way(f"{OURS} {name}", lambda s=sampler: _done(s.sample(case.draws // 20, workers=1)),
                  times=20)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--d", default="50,105,256", help="dimensions")
    parser.add_argument("--n", type=int, default=20_000, help="codes to fit on")
    parser.add_argument("--em-n", type=int, default=170_000, help="codes of EM and of neighbours")
    parser.add_argument("--draws", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", help="names, separated by commas")
    given = parser.parse_args()
    names = given.only.split(",") if given.only else list(OPERATIONS)
    if wrong := [name for name in names if name not in OPERATIONS]:
        sys.exit(f"no such part: {', '.join(wrong)}; there are {', '.join(OPERATIONS)}")
    with tempfile.TemporaryDirectory() as place, threadpool_limits(1):
        for d in map(int, given.d.split(",")):
            z = latent_like(Path(place) / f"{d}.npy", max(given.n, given.em_n), d)
            case = Case(np.asarray(z[: given.n]), given.draws, z[: given.em_n])
            print(f"\n{given.draws:,} draws, d = {d}, fitted on {given.n:,} codes, {CORES} cores")
            for name in names:
                title, make = OPERATIONS[name]
                compare(f"{name}: {title}, d = {d}", make(case), given.rounds)


if __name__ == "__main__":
    main()
