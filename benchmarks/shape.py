"""What the shape of a cloud costs to measure, beside what others take for the same.

Codes like those of the experiments: a random rotation of the spectrum (1 + k)^-0.9 with components of
unit variance on average, 20 of them off centre by about 4, radial tails of Student's t_20, slight skew;
float32, in a memory map. Each operation is done by latentshape and by its peers in turn, several rounds,
and the medians are compared. All have one thread (BLAS and OpenMP) unless a line says so. A first round
is not timed: it compiles, fills caches, and gives the memory, which is the peak of what Python and NumPy
allocated meanwhile (tracemalloc; work space inside BLAS and LAPACK is not seen). Peers too slow to run
through are timed on a part and extrapolated, marked [x]; those not installed are passed over. "off" is
the largest difference from latentshape's result, relative to the largest number of it.

``whole`` is measure(deep=True) as `latentshape analyze` runs it, with all cores; it and ``--memory`` run
in processes of their own, and their memory is the growth of the anonymous resident set, looked at every
2 ms: pages of the map, which the system takes back when it needs them, are not counted.

    python benchmarks/shape.py [--n 170000] [--d 256] [--rounds 3] [--only correlation,pca,...]
    python benchmarks/shape.py --memory [--n 2000000] [--d 256] [--only moments,deep,...]
    python benchmarks/shape.py --alarms [--sets 200] [--only 2,16,256]
    python benchmarks/shape.py --wide [--n 3000] [--only low-rank,positions,quick,deep,explorer]

``--wide`` takes codes with a shape, 4 x 32 x 32 and 4 x 64 x 64, smooth maps with noise; each part in a
process of its own, with one thread. No peer measures such codes; a peer of the law is in
benchmarks/samplers.py.

Goals: a ratio beside each peer (its time over ours); for our times at 170,000 x 256, those of two cores
with 110 GFLOP/s (float32) each. 120 s and 100 MiB for the whole. At most 7 alarms in 200 Gaussian sets.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import linalg, optimize, spatial, special, stats
from sklearn.covariance import EmpiricalCovariance
from sklearn.decomposition import PCA as SklearnPCA
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from latentshape._checks import row_blocks
from latentshape.explorer.session import Session
from latentshape.samplers import make_sampler
from latentshape.shape.battery import LEVEL, false_alarms
from latentshape.shape.bhep import BHEPFeatures, bhep, henze_zirkler_beta
from latentshape.shape.compiled import compiled_loops
from latentshape.shape.components import fit_gaussians, number_distributions
from latentshape.shape.density import density
from latentshape.shape.doornik_hansen import DoornikHansenSums, doornik_hansen
from latentshape.shape.energy import EnergyBlocks, distance_to_normal, energy_statistic
from latentshape.shape.mardia import mardia
from latentshape.shape.measuring import measure
from latentshape.shape.moments import Moments, PowerSums
from latentshape.shape.pca import PCA
from latentshape.shape.radius import MahalanobisRadii, mahalanobis_squared
from latentshape.shape.screening import ChosenCoverage, screen_pairs
from latentshape.shape.sliced import SlicedHistograms, directions, sliced_tests
from latentshape.shape.spatial import as_codes, measure_positions
from latentshape.shape.streaming import stream
from latentshape.shape.voids import nearest_neighbours
from latentshape.shape.whitening import Whitening
from sidebyside import MIB, OURS, Way, clock, compare, installed, latent_like, mebibytes

FULL = (170_000, 256)
CORES = os.cpu_count() or 1


# Codes


@dataclass
class Cloud:
    """The codes, and what is taken as known of them."""

    z: np.ndarray
    folder: Path

    @functools.cached_property
    def moments(self) -> Moments:
        """Moments of all codes."""
        return Moments.of(self.z)

    @functools.cached_property
    def whitened(self) -> np.ndarray:
        """All codes whitened, in a memory map of their own."""
        path = self.folder / "whitened.npy"
        y = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=self.z.shape)
        whiten = Whitening(self.moments)
        for start in range(0, len(y), 4096):
            y[start : start + 4096] = whiten(np.asarray(self.z[start : start + 4096]))
        y.flush()
        return np.load(path, mmap_mode="r")

    def whitened_few(self, n: int) -> np.ndarray:
        """The first n codes, whitened by their own moments."""
        few = np.asarray(self.z[:n])
        return Whitening(Moments.of(few))(few)


# Contestants and the table


OPERATIONS: dict[str, tuple[str, Callable[[Cloud], Iterator[Way]]]] = {}


def operation(name: str, title: str) -> Callable[[Any], Any]:
    """Enter an operation in the list; its ways are made when it is its turn."""

    def enter(ways: Callable[[Cloud], Iterator[Way]]) -> Callable[[Cloud], Iterator[Way]]:
        OPERATIONS[name] = (title, ways)
        return ways

    return enter


# Operations


@operation("correlation", "Pearson coefficients of all pairs, on all codes")
def correlation(cloud: Cloud) -> Iterator[Way]:
    yield Way(OURS, lambda: Moments.of(cloud.z).correlation(), seconds=0.155, mib=7)
    yield Way("numpy corrcoef(z.T)", lambda: np.corrcoef(cloud.z.T), 2.2)


@operation("pca", "all eigenvalues of the covariance")
def pca(cloud: Cloud) -> Iterator[Way]:
    z = cloud.z
    yield Way(OURS, lambda: PCA.of(Moments.of(z)).eigenvalues, seconds=0.19)
    yield Way("scikit-learn full", lambda: sklearn_eigenvalues("full", z), 14)
    yield Way(
        "scikit-learn covariance_eigh", lambda: sklearn_eigenvalues("covariance_eigh", z), 0.85
    )


def sklearn_eigenvalues(solver: str, z: np.ndarray) -> np.ndarray:
    return SklearnPCA(svd_solver=solver).fit(z).explained_variance_


def pca_far_off(cloud: Cloud) -> None:
    """Print how right the eigenvalues are where every component is 16 of its sigma off centre."""
    std = cloud.moments.std.astype(np.float32)
    far = (cloud.z - cloud.moments.mean.astype(np.float32)) / std + np.float32(16)
    mean = far.mean(axis=0, dtype=np.float64)
    cov = sum((b := block - mean).T @ b for block in row_blocks(far)) / (len(far) - 1)
    true = linalg.eigvalsh(cov)[::-1]
    found = {OURS: PCA.of(Moments.of(far)).eigenvalues}
    found |= {
        f"scikit-learn {solver}": sklearn_eigenvalues(solver, far)
        for solver in ("full", "covariance_eigh")
    }
    print("  largest relative error of an eigenvalue, every component 16 sigma off centre")
    for name, values in found.items():
        goal = "  goal 2e-07" if name == OURS else ""
        print(f"    {name:<34}{np.max(np.abs(values / true - 1)):>13.1e}{goal}")


@operation("mahalanobis", "squared Mahalanobis radii of all codes, covariance included")
def mahalanobis(cloud: Cloud) -> Iterator[Way]:
    n = len(cloud.z)

    def sklearn() -> np.ndarray:
        return EmpiricalCovariance().fit(cloud.z).mahalanobis(cloud.z) * ((n - 1) / n)

    def plain() -> np.ndarray:
        x = cloud.z.astype(np.float64)
        x -= x.mean(axis=0)
        factor = linalg.cholesky(x.T @ x / (n - 1), lower=True)
        y = linalg.solve_triangular(factor, x.T, lower=True, overwrite_b=True, check_finite=False)
        return np.einsum("ij,ij->j", y, y)

    yield Way(OURS, lambda: mahalanobis_squared(cloud.z), seconds=0.24, mib=3)
    yield Way("scikit-learn EmpiricalCovariance", sklearn, 17)
    yield Way("numpy float64, triangular solve", plain, 4.8)


@operation("fits", "number distributions of all components and Gaussians through them")
def fits(cloud: Cloud) -> Iterator[Way]:
    moments = cloud.moments
    counted = number_distributions(cloud.z, moments)

    def bell(x: np.ndarray, amplitude: float, mean: float, std: float) -> np.ndarray:
        return amplitude * np.exp(-0.5 * ((x - mean) / std) ** 2)

    def loop(histograms: bool) -> np.ndarray:
        found = []
        for j in range(moments.d):
            counts = counted.counts[j]
            if histograms:
                counts, _ = np.histogram(cloud.z[:, j], counted.edges(j))
            start = (counts.max(), moments.mean[j], moments.std[j])
            found.append(optimize.curve_fit(bell, counted.centres[j], counts, start)[0])
        return np.abs(np.array(found)[:, 2])

    yield Way(
        f"{OURS} (counting and fits)",
        lambda: fit_gaussians(number_distributions(cloud.z, moments), moments).std,
        seconds=0.061,
    )
    yield Way(f"{OURS} (fits alone)", lambda: fit_gaussians(counted, moments).std)
    yield Way("numpy histogram + scipy curve_fit", lambda: loop(True), 46)
    yield Way("scipy curve_fit alone", lambda: loop(False))


@operation("kde", "density of one pair of components")
def kde(cloud: Cloud) -> Iterator[Way]:
    moments, pair = cloud.moments, [0, 1]
    nodes = np.arange(64, 192, 11)

    def ours() -> np.ndarray:
        return density(cloud.z, *pair, moments=moments).values[np.ix_(nodes, nodes)]

    grid = density(cloud.z, *pair, moments=moments)
    places = np.stack(np.meshgrid(grid.x[nodes], grid.y[nodes], indexing="ij"))

    def scipy() -> np.ndarray:
        found = stats.gaussian_kde(np.asarray(cloud.z[:, pair]).T)(places.reshape(2, -1))
        return found.reshape(len(nodes), -1)

    def histogram() -> None:
        np.histogram2d(cloud.z[:, 0], cloud.z[:, 1], bins=256)

    yield Way(f"{OURS} (256 x 256)", ours, seconds=2.7e-3, note="moments given")
    times = 100**2 / len(nodes) ** 2
    yield Way("scipy gaussian_kde (100 x 100)", scipy, 8200, times=times)
    yield Way("numpy histogram2d (256 x 256)", histogram, 5)
    if installed("KDEpy"):
        from KDEpy import FFTKDE

        def fft() -> None:
            FFTKDE(bw=grid.bandwidth).fit(np.asarray(cloud.z[:, pair])).evaluate((256, 256))

        yield Way("KDEpy FFTKDE (256 x 256)", fft, 12, note="round kernel")
    else:
        yield Way("KDEpy", None)


@operation("screening", "all pairs of components")
def screening(cloud: Cloud) -> Iterator[Way]:
    moments, d = cloud.moments, cloud.z.shape[1]
    nodes = np.linspace(-2.0, 2.0, 8)

    def coverage(workers: int) -> np.ndarray:
        counted = ChosenCoverage(moments, workers=workers)
        stream(row_blocks(cloud.z), counted)
        return counted.observed()

    # Compiled beforehand, so that what the compiler takes is not counted.
    stream(row_blocks(cloud.z[:100]), ChosenCoverage(moments))

    def one_pair() -> None:
        places = np.stack(np.meshgrid(nodes, nodes)).reshape(2, -1)
        places = moments.mean[:2, None] + moments.std[:2, None] * places
        stats.gaussian_kde(np.asarray(cloud.z[:, :2]).T)(places)

    def moments_of_pairs() -> None:
        screen_pairs(cloud.z, moments)

    yield Way(f"{OURS} (ellipses, 1 worker)", lambda: coverage(1), mib=58)
    yield Way(f"{OURS} (Mardia's moments)", moments_of_pairs, mib=58)
    yield Way(
        f"{OURS} (ellipses, {CORES} workers)", lambda: coverage(CORES), seconds=2.3, mib=58,
        note="goal: that of densities of 64 x 64",
    )  # fmt: skip
    times = d * (d - 1) / 2 * 100**2 / len(nodes) ** 2
    yield Way("scipy gaussian_kde (100 x 100)", one_pair, 190_000, times=times)


@operation("mardia", "Mardia's skewness of 10,000 codes, whitening included")
def mardia_few(cloud: Cloud) -> Iterator[Way]:
    few = np.asarray(cloud.z[:10_000])
    yield Way(OURS, lambda: mardia(few).skewness.b1, seconds=0.45)
    yield Way("numpy, n x n", lambda: by_all_pairs(few), 18)


@operation("mardia-all", "Mardia's skewness of all codes, whitening included")
def mardia_all(cloud: Cloud) -> Iterator[Way]:
    n, few = len(cloud.z), np.asarray(cloud.z[:10_000])
    yield Way(f"{OURS} (1 worker)", lambda: mardia(cloud.z).skewness.b1, seconds=22, mib=50)
    yield Way(
        f"{OURS} ({CORES} workers)", lambda: mardia(cloud.z, workers=CORES).skewness.b1,
        seconds=11.7, mib=50,
    )  # fmt: skip

    def part() -> None:
        by_all_pairs(few)

    times = (n / len(few)) ** 2
    note = f"{3 * 8 * n**2 / 2**30:,.0f} GiB in all" if n > 10_000 else ""
    yield Way("numpy, n x n", part, times=times, note=note)


def by_all_pairs(z: np.ndarray) -> float:
    x = z.astype(np.float64)
    x -= x.mean(axis=0)
    products = x @ linalg.solve(x.T @ x / len(x), x.T, assume_a="pos")
    return float((products**3).mean())


@operation("doornik-hansen", "the Doornik-Hansen test of all codes")
def doornik(cloud: Cloud) -> Iterator[Way]:
    yield Way(OURS, lambda: doornik_hansen(cloud.z).statistic, seconds=0.30)
    yield Way("numpy float64, as published", lambda: published_doornik_hansen(cloud.z), 25)


def published_doornik_hansen(z: np.ndarray) -> float:
    """The statistic of Doornik and Hansen (2008), written as the paper has it."""
    x = z.astype(np.float64)
    n = float(len(x))
    u = (x - x.mean(axis=0)) / x.std(axis=0)
    values, vectors = np.linalg.eigh(np.corrcoef(x.T))
    y = u @ vectors @ np.diag(values**-0.5) @ vectors.T
    y = y - y.mean(axis=0)
    m2, m3, m4 = (y**2).mean(axis=0), (y**3).mean(axis=0), (y**4).mean(axis=0)
    b1, b2 = m3 / m2**1.5, m4 / m2**2
    beta = 3 * (n**2 + 27 * n - 70) * (n + 1) * (n + 3)
    beta /= (n - 2) * (n + 5) * (n + 7) * (n + 9)
    omega2 = -1 + (2 * (beta - 1)) ** 0.5
    delta = 1 / np.sqrt(np.log(omega2) / 2)
    t = b1 * ((omega2 - 1) / 2 * (n + 1) * (n + 3) / (6 * (n - 2))) ** 0.5
    z1 = delta * np.log(t + np.sqrt(t**2 + 1))
    e = (n - 3) * (n + 1) * (n**2 + 15 * n - 4)
    a = (n - 2) * (n + 5) * (n + 7) * (n**2 + 27 * n - 70) / (6 * e)
    c = (n - 7) * (n + 5) * (n + 7) * (n**2 + 2 * n - 5) / (6 * e)
    k = (n + 5) * (n + 7) * (n**3 + 37 * n**2 + 11 * n - 313) / (12 * e)
    alpha = a + b1**2 * c
    chi = (b2 - 1 - b1**2) * 2 * k
    z2 = ((chi / (2 * alpha)) ** (1 / 3) - 1 + 1 / (9 * alpha)) * (9 * alpha) ** 0.5
    return float(z1 @ z1 + z2 @ z2)


@operation("henze-zirkler", "Henze-Zirkler (BHEP) of 4,000 codes, whitening included; of all")
def henze_zirkler(cloud: Cloud) -> Iterator[Way]:
    few = np.asarray(cloud.z[:4000])
    n, d = few.shape
    beta = d**-0.5

    def naive() -> float:
        x = few.astype(np.float64)
        x -= x.mean(axis=0)
        radii = x @ linalg.solve(x.T @ x / n, x.T, assume_a="pos")
        own = np.diag(radii)
        pairs = np.exp(-(beta**2) / 2 * (own[:, None] + own - 2 * radii)).mean()
        singles = np.exp(-(beta**2) / (2 * (1 + beta**2)) * own).mean()
        normal = (1 + 2 * beta**2) ** (-d / 2)
        return float(n * (pairs - 2 * (1 + beta**2) ** (-d / 2) * singles + normal))

    def ours() -> float:
        return bhep(Whitening(Moments.of(few))(few), beta).statistic

    def features() -> None:
        sums = BHEPFeatures(d, k=1024)
        stream(row_blocks(cloud.whitened), sums)
        sums.result()

    cloud.whitened  # noqa: B018, so that it is not timed
    yield Way(f"{OURS} (exact)", ours)
    yield Way(
        f"{OURS} (1,024 frequencies, all codes)",
        features,
        seconds=1.73,
        note="whitened codes given",
    )
    yield Way("numpy, n x n", naive)
    if pingouin := installed("pingouin"):
        note = f"its bandwidth {henze_zirkler_beta(n, d):.2f}, ours {beta:.2f}"

        def theirs() -> None:
            pingouin.multivariate_normality(few)

        yield Way("pingouin", theirs, note=note)
    else:
        yield Way("pingouin", None)


@operation("energy", "the energy test of 10,000 whitened codes; of all, by blocks")
def energy(cloud: Cloud) -> Iterator[Way]:
    few = cloud.whitened_few(10_000)
    n, d = few.shape

    def by_distances() -> float:
        within = spatial.distance.pdist(few).mean()
        to_normal = distance_to_normal(np.square(few).sum(axis=1), d).mean()
        return n * (2 * to_normal - 2 * special.poch(d / 2, 0.5) - within * (n - 1) / n)

    def blocks() -> None:
        sums = EnergyBlocks(d, rows=min(2048, len(cloud.z) // 2))
        stream(row_blocks(cloud.whitened), sums)
        sums.result()

    cloud.whitened  # noqa: B018
    yield Way(OURS, lambda: energy_statistic(few).statistic, seconds=0.35)
    yield Way(f"{OURS} (blocks of 2,048, all codes)", blocks, seconds=1.6)
    yield Way("scipy pdist", by_distances, 17)


@operation("sliced", "four sliced tests of whitened codes along 1,000 directions")
def sliced(cloud: Cloud) -> Iterator[Way]:
    y, along = cloud.whitened, directions(cloud.z.shape[1], count=1000)
    few = along[len(along) // 2 :][:4]

    def ours() -> np.ndarray:
        sums = SlicedHistograms(along)
        stream(row_blocks(y), sums)
        return sums.result().ks[len(along) // 2 :][:4]

    def kolmogorov() -> list[float]:
        return [stats.kstest(y @ one, "norm").statistic for one in few]

    def three() -> list[float]:
        found = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of how anderson's result will change
            for one in few:
                shadow = y @ one
                found.append(stats.kstest(shadow, "norm").statistic)
                stats.cramervonmises(shadow, "norm")
                stats.anderson(shadow, "norm")
        return found

    def exact() -> np.ndarray:
        return sliced_tests(y, few).ks

    times = len(along) / len(few)
    yield Way(OURS, ours, seconds=1.55)
    yield Way(f"{OURS} (exact, by sorting)", exact, times=times)
    yield Way("scipy kstest alone", kolmogorov, 12, times=times)
    yield Way("scipy kstest, cramervonmises, anderson", three, 32, times=times)


@operation("neighbours", "5 nearest codes of 1,000 queries")
def neighbours(cloud: Cloud) -> Iterator[Way]:
    z, n = cloud.z, len(cloud.z)
    rng = np.random.default_rng(0)
    queries = np.asarray(z[np.sort(rng.choice(n, min(1000, n), replace=False))])
    queries = queries + rng.standard_normal(queries.shape, dtype=np.float32) / 4

    def sklearn() -> np.ndarray:
        return NearestNeighbors(n_neighbors=5, algorithm="brute").fit(z).kneighbors(queries)[0]

    yield Way(OURS, lambda: nearest_neighbours(queries, z, 5)[0], seconds=1.02)
    yield Way("scikit-learn brute", sklearn, 2)
    if faiss := installed("faiss"):
        faiss.omp_set_num_threads(1)

        def flat() -> np.ndarray:
            return np.sqrt(faiss.knn(queries, np.asarray(z), 5)[0])

        yield Way("faiss, exact", flat, 1)
    else:
        yield Way("faiss", None)


# Whole records, in processes of their own


class ResidentGrowth:
    """Watches how far this process's anonymous resident memory grows, in MiB."""

    def __enter__(self) -> ResidentGrowth:
        self._start = self._peak = self._now()
        self._ended = threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True)
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._watch.join()

    def lap(self) -> float:
        """Return the peak since the last lap, above the start."""
        now = self._now()
        peak, self._peak = max(self._peak, now), now
        return peak - self._start

    def _look(self) -> None:
        while not self._ended.wait(0.002):
            self._peak = max(self._peak, self._now())

    @staticmethod
    def _now() -> float:
        try:
            with open("/proc/self/status") as status:
                found = next(line for line in status if line.startswith("RssAnon"))
            return int(found.split()[1]) / 1024
        except (OSError, StopIteration):  # elsewhere the peak of all pages, in KiB or (macOS) bytes
            unit = 1 if sys.platform == "darwin" else 1024
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MIB


def known(z: np.ndarray) -> Moments:
    """Moments of the first 100,000 codes: where moments are given, their cost is not asked for."""
    return Moments.of(z[:100_000])


def one_read(make: Callable[[Moments], Any]) -> Callable[[np.ndarray, Moments], None]:
    return lambda z, moments: stream(row_blocks(z), make(moments))


def one_whitened_read(make: Callable[[Moments], Any]) -> Callable[[np.ndarray, Moments], None]:
    return lambda z, moments: stream(Whitening(moments).blocks(row_blocks(z)), make(moments))


PARTS: dict[str, tuple[str, Callable[[np.ndarray, Moments], Any]]] = {
    "moments": ("moments, correlation", lambda z, m: Moments.of(z).correlation()),
    "powers": ("skewness and kurtosis", one_read(PowerSums)),
    "distributions": ("number distributions", number_distributions),
    "mahalanobis": ("Mahalanobis radii", one_read(MahalanobisRadii)),
    "screening": ("screening of all pairs", screen_pairs),
    "doornik-hansen": ("Doornik-Hansen", one_read(DoornikHansenSums)),
    "bhep": ("BHEP, 1,024 frequencies", one_whitened_read(lambda m: BHEPFeatures(m.d, k=1024))),
    "energy": ("energy by blocks", one_whitened_read(lambda m: EnergyBlocks(m.d))),
    "sliced": (
        "sliced tests, 512 directions",
        one_whitened_read(lambda m: SlicedHistograms(directions(m.d, count=512))),
    ),
    "neighbours": ("5 neighbours of 1,000 codes", lambda z, m: nearest_neighbours(z[:1000], z, 5)),
    "mardia": ("Mardia, all cores", lambda z, m: mardia(z, workers=CORES)),
    "quick": ("measure(deep=False)", lambda z, m: measure(z, deep=False)),
    "deep": ("measure(deep=True), all cores", lambda z, m: measure(z)),
}
#: What --memory leaves out unless it is named.
SLOW = ("deep",)


def child(part: str, path: Path) -> None:
    """Do one part in this process and print what it took."""
    z = np.load(path, mmap_mode="r")
    _, run = PARTS[part]
    small = np.random.default_rng(0).standard_normal((5000, 4)).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run(small, known(small))  # imports, and buffers that BLAS keeps
        compiled_loops(None, worth=True)
    moments = known(z)
    names, times, peaks = ["first part"], [0.0], []
    with threadpool_limits(None if part == "deep" else 1), ResidentGrowth() as memory:
        began = time.perf_counter()

        def lap(name: str) -> None:
            names.append(name)
            times.append(time.perf_counter() - began)
            peaks.append(memory.lap())

        if part == "deep":
            measure(z, stage=lap)
        else:
            run(z, moments)
        lap("end")
    stages = list(zip(names[:-1], np.diff(times), peaks))
    print(json.dumps({"seconds": times[-1], "mib": max(peaks), "stages": stages}))


def in_a_process(part: str, path: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, __file__, "--child", part, "--codes", str(path)],
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def whole(path: Path) -> None:
    print(f"\nwhole: measure(deep=True), {CORES} cores, once, simulated laws included")
    found = in_a_process("deep", path)
    print(
        f"  {OURS:<42}{clock(found['seconds']):>13}{mebibytes(found['mib']):>11}"
        "  goal 120 s, +100 MiB (resident)"
    )
    for name, seconds, mib in found["stages"]:
        print(f"    {name:<40}{clock(seconds):>13}{mebibytes(mib):>11}")


def memory(path: Path, parts: list[str]) -> None:
    print(f"  {'':<42}{'time':>13}{'resident':>13}   goal +100 MiB")
    for part in parts:
        found = in_a_process(part, path)
        print(
            f"  {PARTS[part][0]:<42}{clock(found['seconds']):>13}{mebibytes(found['mib']):>13}",
            flush=True,
        )


# Codes with a shape

WIDE_SHAPES = ((4, 32, 32), (4, 64, 64))


def maps(path: Path, n: int, shape: tuple[int, ...], noise: float = 0.3) -> Path:
    """Write n smooth random maps with a little noise, float32: amplitudes fall as 1 / frequency."""
    rng = np.random.default_rng(0)
    height, width = shape[1:]
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))
    z = np.lib.format.open_memmap(path, "w+", np.float32, (n, *shape))
    for start in range(0, n, 256):
        some = z[start : start + 256]
        white = np.fft.fft2(rng.standard_normal(some.shape))
        smooth = np.fft.ifft2(white / (frequency + 1 / height)).real
        some[:] = 0.5 + smooth / smooth.std() + noise * rng.standard_normal(some.shape)
    z.flush()
    return path


def explore(z: np.ndarray) -> None:
    """Open the explorer on codes, and answer what its page asks first."""
    session = Session({"codes": z}, "wide")
    session.warm()
    session.plane("pca:0", "component:7")


WIDE: dict[str, tuple[str, Callable[[np.ndarray], Any]]] = {
    "low-rank": ("sampler low-rank: fit", lambda z: make_sampler("low-rank").fit(flat(z))),
    "positions": ("measure_positions", measure_positions),
    "quick": ("measure(deep=False)", lambda z: measure(flat(z), deep=False)),
    "deep": ("measure(deep=True)", lambda z: measure(flat(z), workers=1)),
    "explorer": ("explorer: opened, two planes", lambda z: explore(flat(z))),
}


def flat(z: np.ndarray) -> np.ndarray:
    return as_codes(z)[0]


def wide_child(part: str, path: Path) -> None:
    z = np.load(path, mmap_mode="r")
    with threadpool_limits(1), ResidentGrowth() as memory:
        began, busy = time.perf_counter(), time.process_time()
        WIDE[part][1](z)
        took, worked = time.perf_counter() - began, time.process_time() - busy
        print(json.dumps({"seconds": took, "busy": worked, "mib": memory.lap()}))


def wide(n: int, parts: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for shape in WIDE_SHAPES:
            path = maps(Path(folder) / "z.npy", n, shape)
            d = int(np.prod(shape))
            print(f"\n{n:,} codes of {' x '.join(map(str, shape))} = {d:,} components")
            print(f"  {'':<42}{'time':>13}{'processor':>13}{'resident':>13}")
            for part in parts:
                found = in_a_process(f"wide-{part}", path)
                print(f"  {WIDE[part][0]:<42}{clock(found['seconds']):>13}{clock(found['busy']):>13}"
                      f"{mebibytes(found['mib']):>13}", flush=True)  # fmt: skip


# Planted truth


def alarms(sets: int, dimensions: list[int]) -> None:
    """Print how often the battery raises an alarm where there is nothing to find."""
    most = int(stats.binom.isf(0.002, sets, LEVEL))
    print(f"Alarms of the battery in {sets} Gaussian sets with wild means and covariances")
    for d in dimensions:
        n = 1000 if d <= 16 else 2000
        began = time.perf_counter()
        rejected = [names for names in false_alarms(sets, n, d, seed=d) if names]
        print(
            f"  d = {d:>3}, n = {n:,}: {len(rejected)} alarms in {sets}, bound {most}"
            f"   {clock(time.perf_counter() - began)}"
            + "".join(f"\n      {', '.join(names)}" for names in rejected),
            flush=True,
        )


def chosen(only: str | None, names: list[str], usual: list[str]) -> list[str]:
    """The names asked for, in the usual order; a wrong one ends the program."""
    if only is None:
        return usual
    asked = only.split(",")
    wrong = [name for name in asked if name not in names]
    if wrong:
        sys.exit(f"no such part: {', '.join(wrong)}; there are {', '.join(names)}")
    return [name for name in names if name in asked]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, help="codes [170000; with --memory 2000000]")
    parser.add_argument("--d", type=int, default=FULL[1])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", help="names, separated by commas")
    parser.add_argument("--memory", action="store_true", help="memory of the streaming parts")
    parser.add_argument(
        "--wide", action="store_true", help="codes with a shape, of many components"
    )
    parser.add_argument("--alarms", action="store_true", help="false alarms of the battery")
    parser.add_argument("--sets", type=int, default=200, help="Gaussian sets for --alarms")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--codes", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        if given.child.startswith("wide-"):
            wide_child(given.child.removeprefix("wide-"), given.codes)
        else:
            child(given.child, given.codes)
        return
    if given.wide:
        wide(given.n or 3000, chosen(given.only, list(WIDE), list(WIDE)))
        return
    if given.alarms:
        dimensions = ["2", "16", "256"]
        asked = chosen(given.only, dimensions, dimensions)
        with threadpool_limits(1):
            alarms(given.sets, [int(d) for d in asked])
        return
    n = given.n or (2_000_000 if given.memory else FULL[0])
    if given.memory:
        names = chosen(given.only, list(PARTS), [name for name in PARTS if name not in SLOW])
    else:
        names = chosen(given.only, [*OPERATIONS, "whole"], [*OPERATIONS, "whole"])
    with tempfile.TemporaryDirectory() as place, threadpool_limits(1):
        path = Path(place) / "codes.npy"
        z = latent_like(path, n, given.d)
        print(f"{n:,} x {given.d} float32 codes ({z.nbytes / MIB:,.0f} MiB), {CORES} cores")
        if given.memory:
            memory(path, names)
            return
        cloud = Cloud(z, Path(place))
        for name in names:
            if name == "whole":
                whole(path)
            else:
                title, make = OPERATIONS[name]
                compare(f"{name}: {title}", make(cloud), given.rounds, full=z.shape == FULL)
            if name == "pca":
                pca_far_off(cloud)


if __name__ == "__main__":
    main()
