r"""The normality battery: eleven tests of one cloud, each with effect size and control.

=================== ==================================================== ================
name                sees first                                           law under H₀
=================== ==================================================== ================
mardia-skewness     skewness in any direction                            χ², all codes
mardia-kurtosis     the radius: too long or too short tails              normal, all codes
doornik-hansen      skewness and kurtosis of the components              χ², all codes
bhep                anything broad, at the scale of the cloud            simulated
energy              the radius, and anything broad                       simulated
sliced-ks           one peculiar component                               simulated
sliced-cvm, -ad,    the same slight peculiarity of all components or     simulated
sliced-ep           directions: middle, tails, middle
classifier          what a classifier can use                            simulated
least-gaussian      one peculiar direction that no component shows       simulated
=================== ==================================================== ================

*p-values.* For the simulated ones the law of `latentshape.shape.nulls` at `n_used` codes drawn
without replacement; energy at half of them. The least
Gaussian direction is sought on all codes but up to 20,000 and judged on those. Below 2,000 codes the
limit laws of the moments are far off in their tails, and those tests are simulated with the others.

*z* is the number of standard deviations from the null mean: for χ² laws of the standardised
statistic, for simulated ones of its logarithm, which is nearly normal under H₀ (of AUC and of the
size of kurtosis themselves).

*Effects* do not grow with n, and are about 0 for Gaussian codes of any n: for the moments those of
`mardia` and `doornik_hansen`; for bhep, energy, sliced-cvm, -ad and -ep the statistic minus its
null mean, over its number of codes (a squared distance of the two laws); for sliced-ks the largest
distance minus its null mean; AUC - 0.5; negentropy in nats.

*The family.* Its level, 1 %, is halved: asymptotic tests are judged by Holm's procedure, simulated ones
by the largest of their scores among the largest of each replicate (exact at multiples of
1 / (replicates + 1), so that 199 replicates are enough). The held-out judgement of the least Gaussian
direction is simulated apart from the others; were it to hang together with them, the level
would change by less than the product of the two levels.

*Control.* The same numbers on a draw from the fitted Gaussian: of all n codes where all are used, of
n_used elsewhere, whitened by its own moments.

At 170,000 codes every p-value of real data is 0. Whether a departure matters says the effect, beside
`TOLERANCES`.

References:
    Holm, 1979, https://www.jstor.org/stable/4615733; Westfall & Young, 1993
"""

__all__ = ["LEVEL", "TESTS", "TOLERANCES", "false_alarms", "no_tests", "normality"]

import math
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from latentshape._checks import (
    BLOCK_ROWS,
    check_codes,
    check_count,
    check_seed,
    row_blocks,
    thinned,
)
from latentshape.errors import InputError
from latentshape.shape.bhep import BHEPFeatures
from latentshape.shape.control import GaussianControl
from latentshape.shape.doornik_hansen import DoornikHansenSums, doornik_hansen
from latentshape.shape.energy import energy_statistic
from latentshape.shape.mardia import mardia_stream
from latentshape.shape.memory import give_back
from latentshape.shape.moments import Moments, singular_why
from latentshape.shape.nulls import (
    Null,
    adjusted_pvalues,
    simulated_null,
    whitened_draw,
    whitened_in_place,
)
from latentshape.shape.pursuit import LeastGaussian, least_gaussian_stream, null_index
from latentshape.shape.sliced import SlicedHistograms, directions
from latentshape.shape.streaming import Progress, stream
from latentshape.shape.two_sample import ClassifierTest

Record = dict[str, Any]
Read = Callable[[], Iterable[np.ndarray]]

LEVEL = 0.01
"""Probability of an alarm of the whole family when the codes are Gaussian."""

ASYMPTOTIC = ("mardia-skewness", "mardia-kurtosis", "doornik-hansen")
SIMULATED = ("bhep", "energy", "sliced-ks", "sliced-cvm", "sliced-ad", "sliced-ep", "classifier")
TESTS = (*ASYMPTOTIC, *SIMULATED, "least-gaussian")

TOLERANCES: dict[str, float] = {
    # Squared skewness over independent directions: one of skewness 0.5, or many slight ones.
    "mardia-skewness": 0.25,
    # Squared radii 5 % more spread than they should be: Student's t with 44 degrees of freedom.
    "mardia-kurtosis": 0.05,
    # One component of skewness 0.5: 0.5² / 6.
    "doornik-hansen": 0.04,
    # For scale: a multivariate t with 20 (10) degrees of freedom, in 16 or in 256 dimensions, has a
    # bhep effect of 7e-5 to 1e-4 (4e-4 to 5e-4), energy 1e-3 to 3e-3 (4e-3 to 1.5e-2), sliced-cvm
    # 3e-5 (1e-4), sliced-ad 2e-4 (8e-4), sliced-ep 1e-4 (6e-4), sliced-ks 0.005 (0.012).
    # Characteristic functions 0.01 apart in the root mean square.
    "bhep": 1e-4,
    # A distance of 0.002 for codes of which two are about sqrt(2 d) apart.
    "energy": 2e-3,
    # No half-space holds 2 % more or fewer of the codes than it should.
    "sliced-ks": 0.02,
    # Distribution functions 0.01 apart in the root mean square, ...
    "sliced-cvm": 1e-4,
    # ... which in the weighting of the tails is five times as much, squared, ...
    "sliced-ad": 5e-4,
    # ... and characteristic functions likewise.
    "sliced-ep": 1e-4,
    # A classifier that ranks 55 pairs of 100 rightly (t with 44 degrees of freedom at d = 16; where
    # d is large it finds far slighter departures of the radius, which is then a thin shell).
    "classifier": 0.05,
    # The negentropy of a shadow of skewness 0.35 or of excess kurtosis 0.7.
    "least-gaussian": 0.01,
}
"""Effects up to which a cloud may be called normal in practice."""

_VERSION = "1"  # of the simulated statistics: nulls on disk of another version are not used
_MIN_CODES = 8
_ASYMPTOTIC_FROM = 2000  # fewer codes go into the far tails of χ² two or three times as often
_FEATURES = 512
_ENERGY_ROWS = 4096
_SCALES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    name: lambda values: np.log(np.maximum(values, 1e-300))
    for name in TESTS
    if name not in ("classifier", "mardia-kurtosis")
}


def normality(
    z: Any,
    moments: Moments | None = None,
    *,
    n_used: int = 8192,
    replicates: int = 199,
    seed: int = 0,
    folder: Path | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Record:
    """Test codes for normality by the whole battery.

    Args:
        z: Codes, shape (n, d); an array or memory map.
        moments: Their mean and covariance, where these are known already.
        n_used: Codes that the simulated tests use, at most.
        replicates: Of the null law; 199 or more, or no simulated test could ever reject.
        seed: Which codes are drawn, which directions and controls.
        folder: Where simulated nulls are kept for the next time.
        workers: Threads, of about 40 MiB each; None for the processors there are, at most 4.
        progress: Called with 1 after each replicate.

    Returns:
        A dictionary for `json.dump`. For each name of `TESTS` a record with the keys statistic,
        pvalue, effect, control (with statistic and effect), n_used and z. A test that cannot be
        computed has None there and a sentence under why. Under least-gaussian also directions (the
        best 8, unit vectors in the coordinates of z) with index, skewness and kurtosis of each.
        Under family: level, alarm, rejected (names) and adjusted (p-value of each test, to be
        compared with half the level).

    Example:
        >>> rng = np.random.default_rng(0)
        >>> z = rng.standard_t(5, (500, 2))
        >>> result = normality(z)
        >>> result["family"]["alarm"], result["mardia-kurtosis"]["pvalue"]  # 1 / (199 + 1)
        (True, 0.005)
    """
    z = check_codes(z, finite=moments is not None)
    moments = moments or Moments.of(z)
    seed = check_seed(seed)
    n_used = min(check_count(n_used, name="n_used", minimum=_MIN_CODES), moments.n)
    check_count(replicates, name="replicates", minimum=199)
    why = singular_why(moments)
    if why is None and moments.n == moments.d + 1:
        why = f"needs n > d + 1, got {moments.n} codes of dimension {moments.d}"
    if why is None and moments.n < _MIN_CODES:
        why = f"needs at least {_MIN_CODES} codes, got {moments.n}"
    if why is not None:
        return no_tests(why, moments.n)
    control = GaussianControl(moments, moments.n, seed=seed, stream_id=2)
    clouds: tuple[tuple[Read, Moments], ...] = (
        (lambda: row_blocks(z), moments),
        (control.blocks, control.moments()),
    )
    records = _asymptotic(clouds, workers or 1)
    give_back()
    small = moments.n == n_used < _ASYMPTOTIC_FROM
    simulated = _Simulated(n_used, moments.d, seed, small)
    null, observed, drawn = simulated.run(z, moments, replicates, folder, workers, progress)
    give_back()
    found = _least_gaussian(clouds, seed)
    give_back()
    if isinstance(found, str):
        records["least-gaussian"] = _nothing(found, moments.n)
    else:
        pursued = _pursuit_null(found[0], replicates, seed, folder, workers)
        null = pursued if null is None else null.beside(pursued)
        observed |= {"least-gaussian": float(found[0].index[0])}
        drawn |= {"least-gaussian": float(found[1].index[0])}
    scores: dict[str, float] = {}
    adjusted: dict[str, float] = {}
    if simulated.small:
        observed |= {name: _size(name, records[name]["statistic"]) for name in simulated.moments}
    if null is not None and observed:
        scores, adjusted = adjusted_pvalues(null, observed, _SCALES)
        for name, value in observed.items():
            if name in ASYMPTOTIC:
                records[name] |= {"pvalue": null.pvalue(name, value), "z": scores[name]}
                continue
            rows = simulated.rows.get(name, n_used)
            records[name] = _record(null, name, value, drawn[name], scores[name], rows)
    for name, reason in simulated.why.items():
        records[name] = _nothing(reason, n_used)
    if not isinstance(found, str):
        records["least-gaussian"] |= {
            "n_used": found[0].n_held_out,
            "directions": found[0].directions.tolist(),
            "index": found[0].index.tolist(),
            "skewness": found[0].skewness.tolist(),
            "kurtosis": found[0].kurtosis.tolist(),
        }
    asymptotic = {name: records[name]["pvalue"] for name in ASYMPTOTIC if name not in adjusted}
    return _result(records, {k: p for k, p in asymptotic.items() if p is not None}, adjusted)


def no_tests(why: str, n: int) -> Record:
    """The record of a battery that could not be run on n codes, and why."""
    return _result({name: _nothing(why, n) for name in TESTS}, {}, {})


def false_alarms(sets: int, n: int, d: int, *, seed: int = 0, **options: Any) -> list[list[str]]:
    """Return what the battery rejects in Gaussian sets with wild means and covariances.

    Args:
        sets: How many sets.
        n: Codes in each.
        d: Their dimension.
        seed: Which sets.
        **options: For `normality`.

    Returns:
        For each set the names of the tests that rejected: at a family level of 1 % about one list
        in a hundred should not be empty. The sets are compared with the same simulated null.
    """
    rejected = []
    for i in range(sets):
        rng = np.random.default_rng((seed, i))
        mixing = rng.standard_normal((d, d)) * np.exp(2 * rng.standard_normal(d))
        z = (rng.standard_normal((n, d)) @ mixing + 30 * rng.standard_normal(d)).astype(np.float32)
        rejected.append(normality(z, seed=seed, **options)["family"]["rejected"])
    return rejected


class _Simulated:
    """The statistics whose law is simulated, on n whitened codes of dimension d."""

    def __init__(self, n: int, d: int, seed: int, small: bool = False) -> None:
        self.n, self.d, self.seed, self.small = n, d, seed, small
        self.rows = {"energy": min(n, _ENERGY_ROWS)}
        self.why: dict[str, str] = {}
        self.moments = ASYMPTOTIC if small else ()
        self._directions = directions(d, count=min(512, max(32, 2 * d)), seed=seed)
        self._classifier: ClassifierTest | None = None
        if n <= d + 1:
            reason = f"needs n_used > d + 1, got {n} codes of dimension {d}"
            self.why = dict.fromkeys(SIMULATED, reason)
            return
        try:
            self._classifier = ClassifierTest(n, d, seed)
        except InputError as error:
            self.why["classifier"] = str(error)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name in SIMULATED if name not in self.why) + self.moments

    def __call__(self, y: np.ndarray) -> list[float]:
        """Return the statistics of whitened codes (n, d), in the order of `names`."""
        bhep = BHEPFeatures(self.d, k=_FEATURES, seed=self.seed)
        sliced = SlicedHistograms(self._directions)
        stream((y[i : i + BLOCK_ROWS] for i in range(0, len(y), BLOCK_ROWS)), bhep, sliced)
        # Rows spread evenly: the first ones might be codes of one person.
        few = thinned(y, self.rows["energy"])
        along = sliced.result().statistics
        values = [bhep.result().statistic, energy_statistic(few).statistic]
        values += [along[name] for name in ("ks", "cvm", "ad", "ep")]
        if self._classifier is not None:
            values.append(self._classifier(y))
        if self.small:
            # Exact for Doornik-Hansen too, which is not invariant: Gaussian codes whitened in any
            # way that depends on their covariance alone have one and the same law.
            mardia = mardia_stream(lambda: [y], Moments.of(y))
            tests: tuple[Any, ...] = (mardia.skewness, mardia.kurtosis, doornik_hansen(y))
            values += [_size(name, test.statistic) for name, test in zip(self.moments, tests)]
        return values

    def run(
        self,
        z: np.ndarray,
        moments: Moments,
        replicates: int,
        folder: Path | None,
        workers: int | None,
        progress: Progress | None,
    ) -> tuple[Null | None, dict[str, float], dict[str, float]]:
        """Return the null, and the statistics of a sample of the codes and of a control."""
        if not self.names:
            return None, {}, {}
        rows = np.arange(len(z))
        if self.n < len(z):
            rng = np.random.default_rng((self.seed, 3))
            rows = np.sort(rng.choice(len(z), self.n, replace=False))
        # Picking rows copies them, so that z itself is not whitened in place.
        sample = next(row_blocks(z[rows], rows=self.n))
        observed = self(whitened_in_place(sample))
        del sample
        control = GaussianControl(moments, self.n, seed=self.seed, stream_id=3)
        drawn = np.concatenate(list(control.blocks()))
        del control
        controlled = self(whitened_in_place(drawn))
        del drawn
        give_back()
        null = simulated_null(
            self.names,
            lambda i: self(whitened_draw(self.n, self.d, self.seed, i)),
            replicates=replicates,
            key=f"battery-v{_VERSION}-n{self.n}-d{self.d}-s{self.seed}{'-all' * self.small}",
            folder=folder,
            workers=workers,
            progress=progress,
        )
        self._classifier = None  # has judged, and holds codes of its own
        return null, dict(zip(self.names, observed)), dict(zip(self.names, controlled))


def _asymptotic(clouds: tuple[tuple[Read, Moments], ...], workers: int) -> dict[str, Record]:
    """Records of the tests on all codes; of the cloud, with those of the control beside them."""
    records: dict[str, Record] = {}
    for read, moments in reversed(clouds):
        n, d = moments.n, moments.d
        try:
            mardia = mardia_stream(read, moments, workers=workers)
            dof = mardia.skewness.dof
            rows: dict[str, tuple[Any, float, float]] = {
                "mardia-skewness": (mardia.skewness, dof, 2 * dof),
                "mardia-kurtosis": (mardia.kurtosis, 0, 1),
            }
            why = {}
        except InputError as error:
            rows, why = {}, dict.fromkeys(("mardia-skewness", "mardia-kurtosis"), str(error))
        try:
            sums = DoornikHansenSums(moments)
            stream(read(), sums)
            rows["doornik-hansen"] = (sums.result(), 2 * d, 4 * d)
        except InputError as error:
            why["doornik-hansen"] = str(error)
        give_back()
        for name in ASYMPTOTIC:
            if name not in rows:
                records[name] = _nothing(why[name], n)
                continue
            test, mean, variance = rows[name]
            records[name] = {
                "statistic": float(test.statistic),
                "pvalue": float(test.pvalue),
                "effect": float(test.effect),
                "control": _control(records.get(name)),
                "n_used": n,
                "z": float((test.statistic - mean) / math.sqrt(variance)),
            }
    return records


def _size(name: str, statistic: float) -> float:
    """What a simulated test goes by: kurtosis is judged on both sides."""
    return abs(float(statistic)) if name == "mardia-kurtosis" else float(statistic)


def _control(record: Record | None) -> Record | None:
    return record and {"statistic": record["statistic"], "effect": record["effect"]}


def _least_gaussian(
    clouds: tuple[tuple[Read, Moments], ...], seed: int
) -> tuple[LeastGaussian, LeastGaussian] | str:
    """Directions of the cloud and of the control, or why there are none."""
    try:
        with ThreadPoolExecutor(2) as pool:
            cloud, control = pool.map(
                lambda each: least_gaussian_stream(each[0], each[1].n, seed=seed), clouds
            )
    except InputError as error:
        return str(error)
    return cloud, control


def _pursuit_null(
    found: LeastGaussian, replicates: int, seed: int, folder: Path | None, workers: int | None
) -> Null:
    n, m = found.n_held_out, found.n_candidates
    return simulated_null(
        ("least-gaussian",),
        lambda i: [null_index(n, m, (seed, i, 4))],
        replicates=replicates,
        key=f"pursuit-v{_VERSION}-n{n}-m{m}-s{seed}",
        folder=folder,
        workers=workers,
    )


def _record(null: Null, name: str, value: float, control: float, score: float, rows: int) -> Record:
    def effect(statistic: float) -> float:
        if name == "classifier":
            return statistic - 0.5
        excess = statistic - null.mean(name)
        return excess if name in ("sliced-ks", "least-gaussian") else excess / rows

    return {
        "statistic": value,
        "pvalue": null.pvalue(name, value),
        "effect": effect(value),
        "control": {"statistic": control, "effect": effect(control)},
        "n_used": rows,
        "z": score,
    }


def _nothing(why: str, n_used: int) -> Record:
    return dict.fromkeys(("statistic", "pvalue", "effect", "control", "z")) | {
        "n_used": n_used,
        "why": why,
    }


def _result(
    records: dict[str, Record], asymptotic: dict[str, float], simulated: dict[str, float]
) -> Record:
    """Records in their order, and the family's judgement."""
    adjusted = _holm(asymptotic) | simulated
    rejected = [name for name in TESTS if adjusted.get(name, 1.0) <= LEVEL / 2 * (1 + 1e-9)]
    family = {
        "level": LEVEL,
        "alarm": bool(rejected),
        "rejected": rejected,
        "adjusted": {name: adjusted.get(name) for name in TESTS},
    }
    return {name: records[name] for name in TESTS} | {"family": family}


def _holm(pvalues: dict[str, float]) -> dict[str, float]:
    """P-values adjusted by Holm's procedure.

    Example:
        >>> _holm({"a": 0.01, "b": 0.5, "c": 0.02})
        {'a': 0.03, 'c': 0.04, 'b': 0.5}
    """
    adjusted, least = {}, 0.0
    for rank, (name, p) in enumerate(sorted(pvalues.items(), key=lambda item: item[1])):
        least = max(least, min(1.0, p * (len(pvalues) - rank)))
        adjusted[name] = least
    return adjusted
