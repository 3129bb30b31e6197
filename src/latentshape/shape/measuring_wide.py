r"""A record of codes of many components: what is measured on all of them, and what in a few coordinates.

Beyond 1,024 components a covariance is neither formed nor inverted, all pairs are too many to look at one
by one, and where there are fewer codes than components no test of their joint law exists. So:

* one component at a time: **all** d components, as everywhere (moments, distributions, fits, lengths);
* Pearson coefficients: **all** pairs, tile by tile, on 5,000 codes at most;
* ellipses, contours, kurtosis of pairs: the pairs among **256 components**, those of the strongest
  correlations and others at random;
* whatever needs an inverse covariance (Mahalanobis radii, voids, joint law, tests of normality, regions): in
  the **k leading principal coordinates** of the codes. For normal codes of any covariance these have,
  whitened, the very law of the whitened coordinates of k-dimensional normal codes (`wide`), so that every
  test keeps its level. k is the number of factors under which held-out codes are likeliest (`low_rank`),
  at least 8, at most 128 and a tenth of the codes;
* the whole law: the `LowRankGaussian`, from which the control is drawn, and under which the radii of
  held-out codes and of the origin are given.

What lies in the other d - k directions is seen one component at a time and by the low-rank law's own
radii, and by no test of the joint law; the verdict says so.
"""

__all__ = ["Reduction", "measure_wide"]

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import special
from threadpoolctl import threadpool_limits

from latentshape._checks import check_codes, check_seed, row_blocks
from latentshape.shape.components import NumberDistributions
from latentshape.shape.correlation import TiledCorrelation, independent_counts, sampling_error
from latentshape.shape.low_rank import LowRankGaussian
from latentshape.shape.marginals import (
    STRONG,
    component_spread,
    component_summary,
    components,
    radius,
)
from latentshape.shape.moments import Moments, PowerSums
from latentshape.shape.pca import PCA
from latentshape.shape.radius import EuclideanRadii
from latentshape.shape.streaming import Progress, stream
from latentshape.shape.studying import planes_of
from latentshape.shape.wide import WideMoments, participation

Record = dict[str, Any]

COORDINATES, LEAST_COORDINATES = 128, 8
"""Leading coordinates at most, and at least."""

CODES_PER_COORDINATE = 10
"""With fewer a test that does not reject means nothing."""

COMPONENTS = 256
"""Components among whose pairs is looked."""

_STRONGEST = 20
_CONTROL_NUMBERS = 2**27  # 512 MB


@dataclass(frozen=True, eq=False)
class Reduction:
    """Codes of many components, with the few coordinates and the law by which they are measured.

    Attributes:
        moments: Of the codes, which they hold.
        law: The low-rank Gaussian fitted to them.
        pca: The k leading axes.
    """

    moments: WideMoments
    law: LowRankGaussian
    pca: PCA

    @classmethod
    def of(cls, z: Any, *, seed: int = 0) -> "Reduction":
        """Fit the law, and take as many leading axes as the rule of the module says."""
        z = check_codes(z)
        with threadpool_limits(1):  # as in `measure`
            moments = WideMoments.of(z)
            law = LowRankGaussian.of(z, seed=seed)
            most = max(2, min(COORDINATES, moments.n // CODES_PER_COORDINATE))
            k = max(2, min(most, max(LEAST_COORDINATES, law.rank)))
            return cls(moments, law, moments.leading_axes(k))

    @property
    def rank(self) -> int:
        """k, the number of leading coordinates."""
        return len(self.pca.eigenvalues)

    def coordinates(self, z: np.ndarray) -> np.ndarray:
        """Codes (n, d) along the leading axes, about the origin of the codes, shape (n, k), float32."""
        turn = self.pca.axes.T
        parts = []
        for block in row_blocks(z):
            near = self.moments.mean.astype(block.dtype)
            # About the mean first: single precision loses nothing where a cloud lies far out.
            parts.append((block - near) @ turn.astype(block.dtype) + near.astype(np.float64) @ turn)
        return np.concatenate(parts).astype(np.float32)

    def back(self, directions: Any) -> np.ndarray:
        """Unit vectors (m, k) of the leading coordinates as those of the codes, shape (m, d)."""
        return np.asarray(directions, dtype=np.float64) @ self.pca.axes


def measure_wide(
    reduction: Reduction,
    measure: Callable[..., Record],
    *,
    seed: int,
    held_out: Any,
    deep: bool,
    folder: Path | None,
    workers: int | None,
    progress: Progress | None,
    stage: Callable[[str], Any] | None,
) -> Record:
    """The record of `measuring.measure` for codes of many components.

    Args:
        reduction: Of the codes, which it holds.
        measure: Measures codes of few components: `measuring.measure` itself.
        seed: Of controls and choices; this and all others as `measuring.measure` has them.
        held_out: Codes of other images, shape (m, d).
        deep: Also the parts that take a minute.
        folder: Where simulated laws are kept.
        workers: Threads of the deep part.
        progress: Called with numbers of rows.
        stage: Called with the name of each deep part.
    """
    seed = check_seed(seed)
    moments, law, z = reduction.moments, reduction.law, reduction.moments.z
    tell = progress or (lambda rows: None)
    control_n = min(moments.n, max(2, _CONTROL_NUMBERS // moments.d))
    drawn = law.sample(control_n, seed=(seed, 21))
    cloud, control = _Readings.of(z, moments), _Readings.of(drawn, WideMoments.of(drawn))
    tell(2 * moments.n)
    r, r_drawn = (TiledCorrelation.of(m, strong=STRONG) for m in (moments, control.moments))
    chosen = _chosen(moments.d, r.pairs, seed)
    pairs = _among(np.asarray(z[:, chosen]), chosen, r.pairs, measure, seed, deep, workers)
    y = reduction.coordinates(z)
    inner = measure(y, seed=seed, deep=deep, folder=folder, workers=workers, stage=stage)
    tell(2 * moments.n)
    record: Record = {
        "n": moments.n,
        "d": moments.d,
        "seed": seed,
        "treatment": _treatment(reduction, chosen, control_n, r.n),
        "low_rank": _low_rank(reduction, z, drawn),
        "centre": _centre(reduction, z),
        "components": components(cloud),
        "component_summary": component_summary(cloud, r.partners)
        | {"control": component_spread(control)},
        "correlation": {
            **r.summary(),
            "n_pairs": moments.d * (moments.d - 1) // 2,
            "n_used": r.n,
            "standard_error": sampling_error(0.0, r.n),
            "pairs": [pair._asdict() for pair in r.pairs],
            "subsample": None,
            "independent": independent_counts(moments.d, r.n),
            "control": r_drawn.summary(),
        },
        "pca": inner["pca"]
        | {
            "explained": inner["pca"]["eigenvalues"] / np.float64(moments.total or 1.0),
            "effective_dimension": participation(moments),
            "control": {"effective_dimension": participation(control.moments)},
        },
        "ellipses": pairs["ellipses"] | {"n_pairs_total": moments.d * (moments.d - 1) // 2},
        "radius": radius(cloud, control),
        "mahalanobis": inner["mahalanobis"],
    }
    if held_out is not None:
        held_out = check_codes(held_out, name="held_out", latent_dim=moments.d)
        record["mahalanobis"]["held_out"] = _held_out(reduction, held_out, drawn, seed)
        tell(2 * len(held_out))
    if deep:
        record |= _deep(reduction, inner, pairs)
    return record


@dataclass(frozen=True, eq=False)
class _Readings:
    """What one read of the codes tells of each component and of their lengths."""

    moments: WideMoments
    powers: PowerSums
    distributions: NumberDistributions
    lengths: EuclideanRadii

    @classmethod
    def of(cls, z: np.ndarray, moments: WideMoments) -> "_Readings":
        found = cls(moments, PowerSums(moments), NumberDistributions(moments), EuclideanRadii())
        rows = max(64, 2**22 // moments.d)
        stream(row_blocks(z, rows), found.powers, found.distributions, found.lengths)
        return found


def _treatment(reduction: Reduction, chosen: np.ndarray, control_n: int, correlated: int) -> Record:
    moments, k = reduction.moments, reduction.rank
    share = float(reduction.pca.eigenvalues.sum() / (moments.total or 1.0))
    return {
        "kind": "low-rank",
        "d": moments.d,
        "rank": k,
        "share_of_variance": share,
        "control_n": control_n,
        "correlated_codes": correlated,
        "pairs_among": chosen.tolist(),
        "why": (
            f"{moments.n:,} codes of {moments.d:,} components: a covariance of all is not formed. "
            f"One component at a time: all {moments.d:,}. Correlations: all pairs, on {correlated:,} codes. "
            "Ellipses, "
            f"contours and kurtosis: the pairs among {len(chosen)} components. Mahalanobis radii, joint law, "
            f"tests and regions: in the {k} leading principal coordinates, which hold {share:.1%} of the "
            f"variance. Controls: draws of a Gaussian of {reduction.law.rank} factors and a variance of each "
            "component's own."
        ),
    }


def _low_rank(reduction: Reduction, z: np.ndarray, drawn: np.ndarray) -> Record:
    law = reduction.law
    found: Record = {
        "rank": law.rank,
        "share_of_variance": law.share,
        "log_likelihood": law.log_likelihood,
        "iterations": law.iterations,
        "candidates": [
            {"rank": rank, "held_out_log_likelihood": score}
            for rank, score in zip(law.candidates.tolist(), law.held_out.tolist())
        ],
    }
    if not (law.noise > 0).all():
        return found | {"why": f"no radii: {int((law.noise <= 0).sum())} components are constant"}
    squared, control = law.mahalanobis_squared(z), law.mahalanobis_squared(drawn)
    return found | {
        "radius": _against(squared, law.d) | {"control": _against(control, law.d)},
    }


def _against(squared: np.ndarray, d: int) -> Record:
    """Squared radii beside chi-squared with d degrees of freedom."""
    return {
        "mean": squared.mean(),
        "variance": squared.var(),
        "variance_ratio": squared.var() / (2 * d),
        "radius_mean": np.sqrt(squared).mean(),
        "radius_std": np.sqrt(squared).std(),
    }


def _centre(reduction: Reduction, z: np.ndarray) -> Record:
    """Where the origin lies, by the low-rank law's radii."""
    law, moments = reduction.law, reduction.moments
    record: Record = {
        "offset_sigma": None,
        "sqrt_d": float(np.sqrt(moments.d)),
        "origin_quantile": None,
        "origin_quantile_expected": None,
        "offset": float(np.linalg.norm(moments.mean)),
    }
    if not (law.noise > 0).all():
        return record | {"why": f"{int((law.noise <= 0).sum())} components are constant"}
    origin = float(law.mahalanobis_squared(np.zeros((1, moments.d)))[0])
    return record | {
        "offset_sigma": float(np.sqrt(origin)),
        "origin_quantile": float((law.mahalanobis_squared(z) < origin).mean()),
        "origin_quantile_expected": float(special.chdtr(moments.d, origin)),
        "law": "radii of the low-rank Gaussian",
    }


def _held_out(reduction: Reduction, z: np.ndarray, drawn: np.ndarray, seed: int) -> Record:
    """Radii of codes that the law was not fitted to; of the control, new draws under a law fitted to it."""
    law = reduction.law
    if not (law.noise > 0).all():
        return {"n": None, "mean": None, "variance": None, "variance_ratio": None,
                "why": "components are constant"}  # fmt: skip
    again = LowRankGaussian.of(drawn, start=law)
    fresh = law.sample(len(z), seed=(seed, 22))
    return {
        "n": len(z),
        **_against(law.mahalanobis_squared(z), law.d),
        "expected": {
            "law": f"chi-squared({law.d}), were the law known", "mean": law.d, "variance": 2 * law.d
        },
        "control": _against(again.mahalanobis_squared(fresh), law.d),
    }  # fmt: skip


def _chosen(d: int, strongest: list[Any], seed: int) -> np.ndarray:
    """Components of the strongest pairs, and others at random, rising."""
    first = list(dict.fromkeys(c for pair in strongest[:_STRONGEST] for c in (pair.i, pair.j)))
    others = np.setdiff1d(np.arange(d), first)
    count = max(min(COMPONENTS, d) - len(first), 0)
    rest = np.random.default_rng((seed, 23)).choice(others, count, replace=False)
    return np.sort(np.concatenate([np.array(first, dtype=np.intp), rest]))


def _among(
    z: np.ndarray,
    chosen: np.ndarray,
    strongest: list[Any],
    measure: Callable[..., Record],
    seed: int,
    deep: bool,
    workers: int | None,
) -> Record:
    """Ellipses and planes of the pairs among chosen components, named by their own numbers."""
    found = {"ellipses": measure(z, seed=seed, deep=False)["ellipses"]}
    if not deep:
        return found
    place = {int(component): at for at, component in enumerate(chosen)}
    known = [
        pair._asdict() | {"i": place[pair.i], "j": place[pair.j]}
        for pair in strongest
        if pair.i in place and pair.j in place
    ]
    planes = planes_of(z, Moments.of(z), known, seed, workers or 2)
    for name in ("worst", "worst_skewness", "worst_coverage", "contours"):
        rows = [row for row in planes.get(name, []) if row.get("plane") != "pca"]
        for row in rows:
            row["i"], row["j"] = int(chosen[row["i"]]), int(chosen[row["j"]])
        if name in planes:
            planes[name] = rows
    return found | {"planes": planes}


def _deep(reduction: Reduction, inner: Record, pairs: Record) -> Record:
    """The deep parts: planes among components, all else in leading coordinates."""
    planes = pairs["planes"]
    if "contours" in planes:
        planes["contours"] += [
            row for row in inner["planes"].get("contours", []) if row["plane"] == "pca"
        ]
    origin = {
        k: v for k, v in inner["origin"].items() if k in ("n", "nearer", "control_nearer", "why")
    }
    normality = inner["normality"]
    least = normality["least-gaussian"]
    if least.get("directions"):
        least["directions"] = reduction.back(least["directions"])
    for each in inner["regions"].get("evidence", []):
        if each["direction"] is not None:
            each["direction"] = reduction.back([each["direction"]])[0]
    return {
        "planes": planes,
        "origin": origin,
        "voids": inner["voids"],
        "joint_law": inner["joint_law"],
        "normality": normality,
        "regions": inner["regions"],
    }
