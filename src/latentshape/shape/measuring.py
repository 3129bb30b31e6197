"""Every statistic of a cloud in one record, as `shape.json` holds it.

Two reads of the codes (moments; then all that needs them), a third in PCA coordinates, and two of the
control; then, one after the other, the parts that look at several components at once (`studying`) and the
verdict. The record is plain Python numbers; what is undefined is None, with a sentence under `why` beside
it.
"""

__all__ = ["measure", "plain"]

import math
import os
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from latentshape._checks import check_choice, check_codes, check_seed, row_blocks
from latentshape.shape.components import NumberDistributions, fit_gaussians
from latentshape.shape.control import GaussianControl
from latentshape.shape.correlation import (
    correlation_counts,
    independent_counts,
    sampling_error,
    strongest_pairs,
    subsample_error,
    upper,
)
from latentshape.shape.ellipses import PairCoverage, expected_coverage
from latentshape.shape.marginals import (
    component_spread,
    component_summary,
    components,
    in_strong_pair,
    radius,
    rms,
)
from latentshape.shape.measuring_wide import Reduction, measure_wide
from latentshape.shape.memory import little_kept
from latentshape.shape.moments import Moments, PowerSums, singular_why
from latentshape.shape.pca import PCA
from latentshape.shape.radius import (
    EuclideanRadii,
    MahalanobisLaw,
    MahalanobisRadii,
)
from latentshape.shape.streaming import Accumulator, Progress, stream
from latentshape.shape.studying import study
from latentshape.shape.verdict import verdict
from latentshape.shape.wide import WHOLE

Record = dict[str, Any]


def measure(
    z: Any,
    *,
    seed: int = 0,
    held_out: Any = None,
    deep: bool = True,
    folder: Path | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    stage: Callable[[str], Any] | None = None,
    treatment: str | Reduction = "auto",
) -> Record:
    """Measure the shape of codes and of an equal-size Gaussian control.

    Codes fewer than their dimensions, constant and dependent components are measured too; what
    needs an inverse covariance is then None, and `why` beside it says so.

    Args:
        z: Codes, shape (n, d), n >= 2; an array or memory map, finite.
        seed: Which control draw.
        held_out: Codes of other images, shape (m, d), m >= 2; their Mahalanobis radii about the
            moments of `z` are then compared with the law of new codes.
        deep: Also ask what takes a minute: planes, origin, voids, joint law, tests of normality,
            regions, and the verdict.
        folder: Where simulated laws are kept for the next time; None: nowhere.
        workers: Threads of the deep part; None for the processors there are, at most 4.
        progress: Called with the number of rows after each block; over the first part these sum to
            4 n, or 4 n + 2 m with m held-out codes.
        stage: Called with the name of each deep part before it begins.
        treatment: ``flat``: all components together, whatever it costs; ``low-rank``: joint laws in leading
            principal coordinates, beside a low-rank Gaussian (`measuring_wide`); ``auto``: low-rank beyond
            1,024 components. Or the `Reduction` of these codes, where it is known already.

    Returns:
        A dictionary for `json.dump`, with the keys n, d, seed, centre, components,
        component_summary, correlation, pca, ellipses, radius, mahalanobis; and, if deep, planes,
        origin, voids, joint_law, normality, regions, verdict. Of a low-rank treatment also treatment
        (what was measured on what) and low_rank.

    Example:
        >>> z = np.random.default_rng(0).standard_normal((2000, 3)) + [2.0, 0.0, 0.0]
        >>> shape = measure(z, deep=False)
        >>> round(shape["centre"]["offset_sigma"], 1), shape["correlation"]["counts"]["0.1"]
        (1.9, 0)
    """
    # Two BLAS threads gain nothing on these products, and on a busy machine they wait for each other.
    with threadpool_limits(1), little_kept() if deep else nullcontext():
        reduction = _reduction(z, treatment, seed)
        if reduction is None:
            return _measure(z, seed, held_out, deep, folder, workers, progress, stage)
        record = measure_wide(
            reduction, measure, seed=seed, held_out=held_out, deep=deep, folder=folder, workers=workers,
            progress=progress, stage=stage,
        )  # fmt: skip
        if deep:
            record["verdict"] = verdict(record)
        return plain(record)


def _reduction(z: Any, treatment: str | Reduction, seed: int) -> Reduction | None:
    """How codes of many components are reduced; None where they are measured whole."""
    if isinstance(treatment, Reduction):
        return treatment
    kind = check_choice(treatment, name="treatment", choices=("auto", "flat", "low-rank"))
    wide = check_codes(z, finite=False).shape[1] > WHOLE
    if kind == "flat" or (kind == "auto" and not wide):
        return None
    return Reduction.of(z, seed=check_seed(seed))


def _measure(
    z: Any,
    seed: int,
    held_out: Any,
    deep: bool,
    folder: Path | None,
    workers: int | None,
    progress: Progress | None,
    stage: Callable[[str], Any] | None,
) -> Record:
    seed = check_seed(seed)
    z = check_codes(z, finite=False)
    moments = Moments.of(z, progress=progress)
    if held_out is not None:
        held_out = check_codes(held_out, name="held_out", latent_dim=moments.d)
    control = GaussianControl(moments, moments.n, seed=seed)
    cloud = _Readings.of(row_blocks(z), moments, progress)
    drawn = _Readings.of(control.blocks(), control.moments(progress=progress), progress)
    along = _AlongAxes.of(row_blocks(z), moments)
    record: Record = {
        "n": moments.n,
        "d": moments.d,
        "seed": seed,
        "centre": _centre(cloud),
        "components": components(cloud),
        "component_summary": component_summary(cloud, in_strong_pair(moments.correlation()))
        | {"control": component_spread(drawn)},
        "correlation": _correlation(cloud, drawn, z, seed),
        "pca": _pca(cloud, drawn, along),
        "ellipses": _ellipses(cloud, drawn),
        "radius": radius(cloud, drawn),
        "mahalanobis": _mahalanobis(cloud, drawn),
    }
    if held_out is not None:
        fresh = GaussianControl(moments, len(held_out), seed=seed, stream_id=1)
        record["mahalanobis"]["held_out"] = _held_out(
            cloud, row_blocks(held_out), drawn, fresh.blocks(), progress
        )
    if deep:
        record |= study(
            z, moments, record["correlation"]["pairs"],
            (cloud.pairs.observed(), drawn.pairs.observed()), seed=seed, folder=folder,
            workers=workers or min(os.cpu_count() or 1, 4), stage=stage or (lambda name: None),
        )  # fmt: skip
        record["verdict"] = verdict(record)
    return plain(record)


@dataclass
class _Readings:
    """Everything that one read of some codes, with their own moments, tells."""

    moments: Moments
    powers: PowerSums
    distributions: NumberDistributions
    pairs: PairCoverage
    lengths: EuclideanRadii
    mahalanobis: MahalanobisRadii | None
    why: str | None

    @classmethod
    def of(cls, blocks: Any, moments: Moments, progress: Progress | None) -> "_Readings":
        why = singular_why(moments)
        if why is None and moments.n == moments.d + 1:
            why = f"needs n > d + 1, got {moments.n} codes of dimension {moments.d}"
        readings = cls(
            moments,
            PowerSums(moments),
            NumberDistributions(moments),
            PairCoverage(moments),
            EuclideanRadii(),
            None if why else MahalanobisRadii(moments),
            why,
        )
        waiting: list[Accumulator] = [
            readings.powers,
            readings.distributions,
            readings.pairs,
            readings.lengths,
        ]
        if readings.mahalanobis is not None:
            waiting.append(readings.mahalanobis)
        stream(blocks, *waiting, progress=progress)
        return readings


@dataclass
class _AlongAxes:
    """What one read of the codes in PCA coordinates tells."""

    pca: PCA
    moments: Moments
    powers: PowerSums
    distributions: NumberDistributions
    pairs: PairCoverage
    origin: np.ndarray

    @classmethod
    def of(cls, blocks: Iterable[np.ndarray], moments: Moments) -> "_AlongAxes":
        pca = PCA.of(moments)
        # An axis along which nothing varies but rounding is constant.
        values = np.where(pca.eigenvalues > 1e-12 * pca.eigenvalues.max(), pca.eigenvalues, 0.0)
        own = Moments(moments.n, np.zeros(moments.d), np.diag(values))
        along = cls(
            pca, own, PowerSums(own), NumberDistributions(own), PairCoverage(own),
            -pca.mean @ pca.axes.T,
        )  # fmt: skip
        turned = (pca.transform(block) for block in blocks)
        stream(turned, along.powers, along.distributions, along.pairs)
        return along


def _centre(cloud: _Readings) -> Record:
    record = {
        "offset_sigma": None,
        "sqrt_d": math.sqrt(cloud.moments.d),
        "origin_quantile": None,
        "origin_quantile_expected": None,
        "offset": float(np.linalg.norm(cloud.moments.mean)),
    }
    if cloud.mahalanobis is None:
        return record | {"why": cloud.why}
    law = MahalanobisLaw(cloud.moments.n, cloud.moments.d)
    origin = cloud.mahalanobis.origin
    return record | {
        "offset_sigma": math.sqrt(origin),
        "origin_quantile": cloud.mahalanobis.inside / cloud.moments.n,
        "origin_quantile_expected": law.cdf(origin),
    }


def _correlation_summary(r: np.ndarray) -> Record:
    values = upper(r)
    return {
        "counts": correlation_counts(r),
        "max_abs": np.abs(values).max() if len(values) else None,
        "rms": rms(values) if len(values) else None,
    }


def _correlation(cloud: _Readings, drawn: _Readings, z: np.ndarray, seed: int) -> Record:
    r = cloud.moments.correlation()
    return {
        **_correlation_summary(r),
        "n_pairs": len(upper(r)),
        "standard_error": sampling_error(0.0, cloud.moments.n),
        "pairs": [pair._asdict() for pair in strongest_pairs(r)],
        "subsample": subsample_error(z, r, seed=seed),
        "independent": independent_counts(cloud.moments.d, cloud.moments.n),
        "control": _correlation_summary(drawn.moments.correlation()),
    }


def _pca(cloud: _Readings, drawn: _Readings, along: "_AlongAxes") -> Record:
    pca = along.pca
    skewness, kurtosis = along.powers.result()
    fits = fit_gaussians(along.distributions, along.moments)
    columns = {
        "std": pca.std,
        "half_width": along.distributions.half_widths(),
        "skewness": skewness,
        "excess_kurtosis": kurtosis,
        "fit_r2": fits.r2,
        "origin": along.origin,
    }
    return {
        "eigenvalues": pca.eigenvalues,
        "explained": pca.explained,
        "effective_dimension": pca.effective_dimension,
        "axes": [{key: column[j] for key, column in columns.items()} for j in range(len(pca.std))],
        "coverage": _coverage_rows(along.pairs.observed(), None, along.pairs.sigmas),
        "control": {"effective_dimension": PCA.of(drawn.moments).effective_dimension},
    }


def _ellipses(cloud: _Readings, drawn: _Readings) -> Record:
    observed, control = cloud.pairs.observed(), drawn.pairs.observed()
    if len(observed) == 0:
        why = "needs at least two components that vary and are not multiples of one another"
        return {"coverage": [], "n_pairs": 0, "n_pairs_total": cloud.pairs.total, "why": why}
    rows = _coverage_rows(observed, control, cloud.pairs.sigmas)
    return {"coverage": rows, "n_pairs": len(observed), "n_pairs_total": cloud.pairs.total}


def _coverage_rows(
    observed: np.ndarray, control: np.ndarray | None, sigmas: np.ndarray
) -> list[Record]:
    """Shares of codes inside the ellipses of pairs (p, levels), summed up level by level."""
    rows = []
    for k, sigma in enumerate(sigmas):
        row = {"sigma": sigma, "expected": expected_coverage(sigma)}
        if len(observed):
            inside = observed[:, k]
            row |= {"observed": inside.mean(), "std": inside.std()}
            row |= {"min": inside.min(), "max": inside.max()}
        if control is not None:
            row["control"] = control[:, k].mean() if len(control) else None
            row["control_std"] = control[:, k].std() if len(control) else None
        rows.append(row)
    return rows


def _mahalanobis(cloud: _Readings, drawn: _Readings) -> Record:
    nothing = {"mean": None, "variance": None, "variance_ratio": None}
    if cloud.mahalanobis is None:
        return nothing | {"why": cloud.why}
    law = MahalanobisLaw(cloud.moments.n, cloud.moments.d)
    # Kurtosis of chi-squared: the standard error of a variance of n such numbers over itself.
    error = math.sqrt((2 + 12 / cloud.moments.d) / cloud.moments.n)
    return {
        **_against(cloud.mahalanobis, law),
        "variance_ratio_error": error,
        "expected": _law(law),
        "control": nothing if drawn.mahalanobis is None else _against(drawn.mahalanobis, law),
    }


def _held_out(
    cloud: _Readings, blocks: Any, drawn: _Readings, fresh: Any, progress: Progress | None
) -> Record:
    if cloud.mahalanobis is None or drawn.mahalanobis is None:
        return {"n": None, "mean": None, "variance": None, "variance_ratio": None, "why": cloud.why}
    law = MahalanobisLaw(cloud.moments.n, cloud.moments.d, held_out=True)
    new, control = MahalanobisRadii(cloud.moments), MahalanobisRadii(drawn.moments)
    stream(blocks, new, progress=progress)
    stream(fresh, control, progress=progress)
    return {
        "n": new.squared.n,
        **_against(new, law),
        "expected": _law(law),
        "control": _against(control, law),
    }


def _against(radii: MahalanobisRadii, law: MahalanobisLaw) -> Record:
    # The mean over the codes of the estimate is fixed by algebra, so no degree of freedom is lost.
    variance = radii.squared.variance(ddof=1 if law.held_out else 0)
    return {
        "mean": radii.squared.mean,
        "variance": variance,
        "variance_ratio": variance / law.variance,
        "radius_mean": radii.radii.mean,
        "radius_std": math.sqrt(radii.radii.variance()),
    }


def _law(law: MahalanobisLaw) -> Record:
    return {"law": law.name, "mean": law.mean, "variance": law.variance}


def plain(value: Any) -> Any:
    """Turn a record into what JSON can hold: no arrays, no NumPy scalars, no NaN or infinity."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
