"""The parts of a record that look at several components at once: planes, origin, voids, joint law, tests.

`measure` gives them their codes and moments. Every part stands alone: where its question cannot be asked
of these codes (too few, dependent components) it is a sentence under ``why``, and the others go on.
"""

__all__ = ["planes_of", "study"]

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from latentshape._checks import BLOCK_ROWS, row_blocks
from latentshape.errors import InputError
from latentshape.shape.battery import no_tests, normality
from latentshape.shape.control import GaussianControl
from latentshape.shape.density import PlaneDensity
from latentshape.shape.joint_law import ellipticity
from latentshape.shape.memory import give_back
from latentshape.shape.moments import Moments
from latentshape.shape.origin import origin_position
from latentshape.shape.pca import PCA
from latentshape.shape.radius_law import radius_law
from latentshape.shape.regions import count_regions
from latentshape.shape.screening import ChosenCoverage, PairScreening, pair_kurtosis_errors
from latentshape.shape.streaming import stream
from latentshape.shape.voids import voids

Record = dict[str, Any]
Stage = Callable[[str], Any]

#: Planes whose density is drawn and compared with ellipses; pairs that are listed.
PLANES, LISTED = 6, 20
#: Codes among which regions are looked for.
REGION_CODES = 20_000
#: A pair counts as an outlier of its own from this |b2 - 8| / 8 on, if significant among all pairs.
OUTLIER = 0.1


def study(
    z: np.ndarray,
    moments: Moments,
    strongest: list[Record],
    coverage: tuple[np.ndarray, np.ndarray],
    *,
    seed: int,
    folder: Path | None,
    workers: int,
    stage: Stage,
) -> Record:
    """Ask of codes what needs more than one read.

    Args:
        z: Codes, shape (n, d), checked.
        moments: Their moments.
        strongest: The most correlated pairs, as `correlation.pairs` has them.
        coverage: `PairCoverage.observed()` of the codes and of the control of this seed.
        seed: Of controls, subsamples and simulated laws.
        folder: Where simulated laws are kept; None: nowhere.
        workers: Threads.
        stage: Called with the name of each part before it begins.

    Returns:
        planes, origin, voids, joint_law, normality, regions.
    """
    record: Record = {}

    def begin(name: str) -> None:
        give_back()
        stage(name)

    begin("planes")
    record["planes"] = planes_of(z, moments, strongest, seed, workers)
    usable = [(c["i"], c["j"]) for c in record["planes"].get("contours", [])]
    pairs = [p for p in _chosen_pairs(moments, strongest, record["planes"]) if p in usable]
    begin("the origin")
    record["origin"] = _asked(lambda: _origin(z, moments, pairs, seed))
    begin("voids")
    record["voids"] = _asked(
        lambda: {"places": [gap._asdict() for gap in voids(z, moments, seed=seed)]}
    )
    begin("the joint law")
    record["joint_law"] = {
        "radius": _asked(lambda: radius_law(z, moments, seed=seed, coverage=coverage)),
        "ellipticity": _asked(lambda: ellipticity(z, seed=seed, workers=workers)),
    }
    begin("tests of normality")
    tests = _asked(lambda: normality(z, moments, seed=seed, folder=folder, workers=workers))
    record["normality"] = no_tests(tests["why"], moments.n) if "why" in tests else tests
    begin("regions")
    record["regions"] = _asked(lambda: _regions(z, moments, record["normality"], seed))
    return record


def _asked(question: Callable[[], Record]) -> Record:
    """The answer, or why there is none."""
    try:
        return question()
    except InputError as error:
        return {"why": str(error)}
    except np.linalg.LinAlgError as error:
        return {"why": f"a covariance of some of these codes has no inverse ({error})"}


def _chosen_pairs(moments: Moments, strongest: list[Record], planes: Record) -> list[Any]:
    """Pairs worth a look: the most correlated, the worst, and the components farthest off zero."""
    pairs = [(p["i"], p["j"]) for p in strongest[:2]]
    pairs += [(p["i"], p["j"]) for p in planes.get("worst", [])[:2]]
    pairs += [(p["i"], p["j"]) for p in planes.get("worst_coverage", [])[:1]]
    varying = np.flatnonzero(~moments.constant)
    off = np.abs(moments.mean[varying]) / moments.std[varying]
    farthest = varying[np.argsort(-off)[:2]]
    if len(farthest) == 2:
        i, j = int(farthest.min()), int(farthest.max())
        if abs(moments.correlation()[i, j]) < 1 - 1e-5:
            pairs.append((i, j))
    return list(dict.fromkeys(pairs))[:PLANES]


def planes_of(
    z: np.ndarray, moments: Moments, strongest: list[Record], seed: int, workers: int
) -> Record:
    """The planes of pairs of components, or why there are none; arguments as of `study`."""
    return _asked(lambda: _planes(z, moments, strongest, seed, workers))


def _planes(
    z: np.ndarray, moments: Moments, strongest: list[Record], seed: int, workers: int
) -> Record:
    screening = PairScreening(moments)
    control = GaussianControl(moments, moments.n, seed=seed)
    drawn = PairScreening(control_moments := control.moments())
    stream(row_blocks(z), screening)
    stream(control.blocks(), drawn)
    if not len(screening.pairs) or not len(drawn.pairs):
        raise InputError("z needs at least two components that vary and are no multiples.")
    # Constant components, and multiples of one another, have no plane to look at.
    usable = set(map(tuple, screening.pairs.tolist()))
    strongest = [p for p in strongest if (p["i"], p["j"]) in usable]
    expected, error = pair_kurtosis_errors(moments.n)
    worst = screening.worst(LISTED)
    listed = [(f.i, f.j) for f in worst]
    listed += [(f.i, f.j) for f in screening.worst(LISTED, by="skewness")]
    listed += [(p["i"], p["j"]) for p in strongest[:LISTED]]
    coverage = ChosenCoverage(moments, list(dict.fromkeys(listed)), workers=workers)
    stream(row_blocks(z), coverage)
    record: Record = {
        "kurtosis": _kurtosis(screening, expected, error)
        | {"control": _kurtosis(drawn, expected, error)},
        "worst": [f._asdict() for f in worst],
        "worst_skewness": [f._asdict() for f in screening.worst(LISTED, by="skewness")],
        "worst_coverage": [f._asdict() for f in coverage.worst(LISTED)],
    }
    record["contours"] = _contours(
        z, moments, control, control_moments, _chosen_pairs(moments, strongest, record)
    )
    return record


def _kurtosis(screening: PairScreening, expected: float, error: float) -> Record:
    """Kurtosis over all pairs; significant outliers by Bonferroni's bound of 1 %."""
    kurtosis, z = screening.kurtosis - expected, np.abs(screening.kurtosis_z)
    # The normal quantile of 0.005 / pairs, by its asymptotic expansion; kurtosis is skewed anyway.
    bound = np.sqrt(2 * np.log(200 * max(len(kurtosis), 1))) + 1.0
    return {
        "n_pairs": len(kurtosis),
        "mean": kurtosis.mean(),
        "rms": np.sqrt(np.square(kurtosis).mean()),
        "min": kurtosis.min(),
        "max": kurtosis.max(),
        "error": error,
        "max_abs_z": z.max(),
        "outliers": int(((z > bound) & (np.abs(kurtosis) > 8 * OUTLIER)).sum()),
        "bound": bound,
    }


def _contours(
    z: np.ndarray,
    moments: Moments,
    control: GaussianControl,
    control_moments: Moments,
    pairs: list[Any],
) -> list[Record]:
    """How far highest-density contours are from ellipses: chosen pairs, and the first PCA plane."""
    axes = PCA.of(moments).axes[:2]
    planes: list[tuple[Record, Any]] = [
        ({"plane": "components", "i": pair[0], "j": pair[1]}, pair) for pair in pairs
    ]
    planes.append(({"plane": "pca", "i": 0, "j": 1}, axes.T))
    rows, clouds, draws = [], [], []
    for row, plane in planes:
        try:
            cloud, drawn = PlaneDensity(moments, plane), PlaneDensity(control_moments, plane)
        except InputError:
            continue  # a plane in which nothing varies has no contours
        rows.append(row)
        clouds.append(cloud)
        draws.append(drawn)
    stream(row_blocks(z), *clouds)
    stream(control.blocks(), *draws)
    for row, cloud, drawn in zip(rows, clouds, draws):
        row["deviation"] = [each._asdict() for each in cloud.result().deviation()]
        row["control"] = [each._asdict() for each in drawn.result().deviation()]
    return rows


def _origin(z: np.ndarray, moments: Moments, pairs: Iterable[Any], seed: int) -> Record:
    place = origin_position(z, moments, pairs=list(pairs), seed=seed)
    planes = [
        {
            "i": pair[0],
            "j": pair[1],
            "distance": place.plane_distances[k],
            "beyond": place.plane_beyond[k],
            "control_beyond": place.control_plane_beyond[k],
            "expected_beyond": place.plane_expected[k],
            "slabs": [
                {
                    "b": b,
                    "count": place.slab_counts[m, k],
                    "control": place.control_slab_counts[m, k],
                    "uniform": place.slab_uniform[m],
                }
                for m, b in enumerate(place.slab_bounds)
            ],
        }
        for k, pair in enumerate(place.pairs)
    ]
    cubes = [
        {
            "b": b,
            "holds": place.cube_shares[k],
            "control_holds": place.control_cube_shares[k],
            "hits": place.cube_hits[k],
        }
        for k, b in enumerate(place.cube_bounds)
    ]
    return {
        "n": place.n,
        "nearer": place.nearer,
        "control_nearer": place.control_nearer,
        "planes": planes,
        "cubes": cubes,
        "radius_limit": place.radius_limit,
    }


def _regions(z: np.ndarray, moments: Moments, tests: Record, seed: int) -> Record:
    """Modes of the density, sought along principal axes and the least Gaussian directions."""
    rows = np.arange(len(z))
    if len(z) > REGION_CODES:
        rng = np.random.default_rng((seed, 5))
        rows = np.sort(rng.choice(len(z), REGION_CODES, replace=False))
    directions = PCA.of(moments).axes[:8]
    pursued = tests["least-gaussian"].get("directions")
    if pursued:
        directions = np.concatenate([directions, np.asarray(pursued)])
    centred = np.empty((len(rows), moments.d), dtype=np.float32)
    for start in range(0, len(rows), BLOCK_ROWS):
        some = slice(start, start + BLOCK_ROWS)
        np.subtract(z[rows[some]], moments.mean, out=centred[some], casting="same_kind")
    found = count_regions(centred, directions, seed=seed)
    least = min(found.evidence, key=lambda each: each.pvalue)
    if found.count > 1:
        sizes = ", ".join(f"{size:,}" for size in found.sizes)
        why = (
            f"the density dips between groups of {sizes} of {len(rows):,} codes (least p = "
            f"{least.pvalue:.2g})"
        )
    elif least.pvalue < least.threshold:
        why = (
            f"along one line the density dips (p = {least.pvalue:.2g}), but there is a way round the "
            "dip, or less than 1 % of the codes lie beyond it"
        )
    else:
        why = (
            "between no two groups does the density dip more than chance would have it (least p = "
            f"{least.pvalue:.2g}, to be below {least.threshold:.2g})"
        )
    return {
        "count": found.count,
        "why": why,
        "n_used": len(rows),
        "sizes": found.sizes,
        "evidence": [
            {key: value for key, value in vars(each).items() if key != "direction"}
            | {"direction": each.direction if each.separate else None}
            for each in found.evidence
        ],
    }
