r"""One region or several: how many modes the density has that more than chance tells apart.

Components of a mixture are no regions: heavy tails ask for many concentric ones, skewness for a row
of them. Two groups of codes are separate regions only where the density *dips* between them.

*Dip* (Hartigan & Hartigan). The distance of the empirical distribution function from the nearest
unimodal one,

.. math:: D = \min_{G\ \text{unimodal}} \sup_x |F_n(x) - G(x)|,

at least 1/(2n), 1/4 for two equal atoms. Of all unimodal laws the uniform one gives the largest dips in
the long run, so that its simulated law is the null. The law of :math:`\sqrt n D` hardly depends on n
(it grows by 3 % from 256 to 2,048 numbers); it is simulated at 64, 256 and 2,048, and the next larger
number is taken, which errs on the side of one region.

*Splitting.* One part of the codes proposes directions (those of projection pursuit, axes of extreme
kurtosis, discriminants of k-means groups); a second one chooses among them the one with the largest dip;
a third one, which took no part, is tested: as a whole, and on an interval with as many codes on both
sides of the valley, where a small group shows. A group of a share s of the codes is tested at s times the
level, so that the chance of *any* false split stays below the level (Meinshausen).

*Merging.* The groups found are compared pair by pair along their discriminant, estimated and tested on
different codes; pairs without a significant dip become one. A ring dips along any line across it and is
still one region: so the dip must also remain in the planes that hold the line and the direction in which
the codes at the dip stand aside (their mean, their widest spread), where a way round would be seen.

References:
    Hartigan & Hartigan, 1985, https://doi.org/10.1214/aos/1176346577; Meinshausen, 2008,
    https://doi.org/10.1093/biomet/asn007
"""

__all__ = ["MAX_REGIONS", "Regions", "Separation", "count_regions", "dip", "dip_pvalue"]

import contextlib
import itertools
import math
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np
from scipy import linalg, ndimage

from latentshape._checks import check_codes, check_count, check_fraction, check_seed, row_blocks
from latentshape.errors import InputError
from latentshape.shape.pursuit import least_gaussian_directions

MAX_REGIONS = 20
"""Groups at which splitting stops unless told otherwise."""

_NULL_POINTS = (64, 256, 2048)
_NULL_DRAWS = 2000
_LEAST_ROWS = 60
_SUBSPACE = 16
_MEANS = (2, 3, 5, 8, 12)
_ROLE_SHARES = (0.4, 0.2, 0.4)  # codes that propose, choose, test
_PURSUIT_COST = 2e9  # rows times squared dimensions up to which pursuit is repeated in a group
_CELLS = 192
_TESTED = 2  # directions tested for each way of choosing


def dip(x: Any) -> float:
    """Hartigan's dip of numbers (n,): the distance from the nearest unimodal law.

    In O(n log n): hulls of the distribution function on a shrinking modal interval.

    Args:
        x: Finite numbers, in any order, ties allowed, at least one.

    Returns:
        From 1/(2n) to 1/4; 0 where all numbers are equal.

    Example:
        >>> dip([0.0, 1.0])
        0.25
        >>> round(dip(range(10)), 6)  # the best a unimodal law can do with steps of 1/10
        0.05
    """
    values = np.sort(np.asarray(x, dtype=np.float64))
    if values.ndim != 1 or len(values) == 0 or not np.isfinite(values[[0, -1]]).all():
        raise InputError(
            f"x must be finite numbers in one dimension, got shape {np.shape(x)}; pass one "
            "projection z @ direction."
        )
    new = np.concatenate([[True], values[1:] > values[:-1]])
    points = values[new]
    if len(points) == 1:
        return 0.0
    after = np.append(np.flatnonzero(new)[1:], len(values)) / len(values)
    before = np.append(0.0, after[:-1])
    low, high, twice = 0, len(points) - 1, 0.0
    while True:
        inside = slice(low, high + 1)
        here, under, over = points[inside], before[inside], after[inside]
        convex = _hull(here, under)  # greatest convex minorant, by the lower corners of the steps
        concave = _hull(here, -over)  # least concave majorant, by the upper ones
        minorant = np.interp(here, here[convex], under[convex])
        majorant = np.interp(here, here[concave], over[concave])
        touching = np.union1d(convex, concave)
        gap = (majorant - minorant)[touching]
        place = int(touching[np.argmax(gap)])
        if gap.max() <= twice:
            return twice / 2
        # The modal interval: from the last touch of the minorant before the gap to the next of the
        # majorant.
        left = int(convex[convex <= place][-1])
        right = int(concave[concave >= place][0])
        # At the ends of the modal interval itself an atom is allowed: the mode may lie there.
        sides = np.append((over - minorant)[:left], (majorant - under)[right + 1 :])
        twice = max(twice, float(sides.max(initial=0.0)))
        if left >= right:
            return twice / 2
        low, high = low + left, low + right


def _hull(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Indices of the vertices of the lower convex hull of points with ascending x.

    A point on or above the chord of its neighbours is no vertex, and neither are any number of such
    points, taken away together: passes over what remains, each a few array operations.
    """
    index = np.arange(len(x))
    while len(index) > 2:
        a, b, c = index[:-2], index[1:-1], index[2:]
        bent = (y[b] - y[a]) * (x[c] - x[b]) < (y[c] - y[b]) * (x[b] - x[a])
        if bent.all():
            break
        index = np.concatenate([index[:1], b[bent], index[-1:]])
    return index


def null_dips(points: int, draws: int = _NULL_DRAWS) -> np.ndarray:
    """Simulate dips of uniform numbers, times the root of their number, ascending.

    Those of 64, 256 and 2,048 numbers lie in null-dips.npy beside this module, because they depend on nothing
    and take seconds: ``np.save(path, np.stack([null_dips(m) for m in (64, 256, 2048)]).astype(np.float32))``.

    Example:
        >>> float(null_dips(64)[1000].round(3))  # half of them are smaller
        0.354
    """
    rng = np.random.Generator(np.random.SFC64(np.random.SeedSequence((points, 9))))
    drawn = np.array([dip(rng.random(points)) for _ in range(draws)])
    return np.sort(drawn) * math.sqrt(points)


@lru_cache(maxsize=1)
def _known_null_dips() -> np.ndarray:
    """Those of `_NULL_POINTS` numbers, a row for each."""
    with (resources.files("latentshape.shape") / "null-dips.npy").open("rb") as stream:
        return np.load(stream, allow_pickle=False).astype(np.float64)


def dip_pvalue(statistic: float, n: int) -> float:
    r"""Chance that n uniform numbers have a dip as large.

    From 2,000 simulated sets (`null_dips`); beyond the largest tenth of them the tail is that of
    :math:`\exp(-a - b n D^2)`, fitted to that tenth.

    Example:
        >>> dip_pvalue(0.25, 50) < 1e-6, dip_pvalue(0.01, 50)
        (True, 1.0)
    """
    n = check_count(n, name="n")
    row = next((k for k, m in enumerate(_NULL_POINTS) if n <= m), len(_NULL_POINTS) - 1)
    null = _known_null_dips()[row]
    scaled = statistic * math.sqrt(n)
    above = len(null) - int(np.searchsorted(null, scaled, side="left"))
    if above >= len(null) // 50:
        return min(1.0, (above + 1) / (len(null) + 1))
    tail = null[-(len(null) // 10) :]
    exceeding = (len(tail) - np.arange(len(tail)) - 0.5) / len(null)
    slope, start = np.polyfit(tail**2, np.log(exceeding), 1)
    return float(min(np.exp(start + slope * scaled**2), 0.02))


@dataclass(frozen=True, eq=False)
class Separation:
    """What speaks for two groups of codes being separate regions, or one.

    Attributes:
        regions: The two labels; None for groups that are one region in the end.
        direction: Unit vector along which they were compared, shape (d,).
        dip: Dip of the projections of the codes that only test, or of those near the valley.
        pvalue: Its p-value, times the number of tests that it was chosen from.
        threshold: What the p-value has to lie below.
        valley: Lowest density on the best way between the peaks, over the lower peak; the greatest
            of the planes looked at; 1 where there is no dip, None where not looked at.
        sizes: Codes of the two groups.
        separate: The verdict.
    """

    regions: tuple[int, int] | None
    direction: np.ndarray
    dip: float
    pvalue: float
    threshold: float
    valley: float | None
    sizes: tuple[int, int]
    separate: bool


@dataclass(frozen=True, eq=False)
class Regions:
    """Regions of high density, the largest first.

    Attributes:
        count: Their number.
        labels: Region of each code, shape (n,).
        centres: Mean code of each, shape (count, d).
        sizes: Codes of each, shape (count,).
        evidence: The first test of all codes, then one `Separation` for each pair of regions left
            and each pair merged on the way.
        limited: Whether splitting stopped at the most groups allowed: there may be more regions.
    """

    count: int
    labels: np.ndarray
    centres: np.ndarray
    sizes: np.ndarray
    evidence: list[Separation]
    limited: bool


def count_regions(
    y: Any,
    directions: Any = None,
    *,
    seed: int = 0,
    level: float = 0.01,
    max_regions: int = MAX_REGIONS,
    min_share: float = 0.01,
) -> Regions:
    r"""Count the modes of the density of codes, as far as they can be told from chance.

    A ring or horseshoe in many dimensions may be cut where its own plane is found too coarsely to see the
    way round: at d = 16 below some 10,000 codes.

    Args:
        y: A sample of codes (n, d), best in the coordinates they came in: groups that lie far apart
            show in principal axes, which whitening hides. n >= 60; 20,000 are plenty, and memory is a
            few times theirs. Two equal groups that nothing in the covariance betrays need about
            :math:`2.5\, d^2` codes to be found (see `pursuit`).
        directions: Further directions to look along, shape (m, d), such as principal axes.
        seed: Which codes propose, choose and test.
        level: Chance of more than one region where there is one.
        max_regions: Splitting stops at so many groups, at least 2; `limited` then says so.
        min_share: Smallest share of the codes that is called a region.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> y = rng.standard_normal((2000, 5))
        >>> count_regions(y).count
        1
        >>> y[:600, 2] += 6
        >>> count_regions(y).sizes.tolist()
        [1400, 600]
    """
    y = np.asarray(check_codes(y, name="y", min_samples=_LEAST_ROWS))
    y = next(row_blocks(y, rows=len(y)))
    level = check_fraction(level, name="level")
    max_regions = check_count(max_regions, name="max_regions", minimum=2)
    given = np.empty((0, y.shape[1]))
    if directions is not None:
        given = check_codes(
            directions, name="directions", min_samples=1, latent_dim=y.shape[1]
        ).astype(np.float64)
    rng = np.random.default_rng((check_seed(seed), 5))
    role = rng.choice(3, len(y), p=_ROLE_SHARES).astype(np.int8)
    search = _Search(y, role, given, seed, level, max_regions, max(min_share * len(y), 10))
    labels, first = search.split()
    limited = int(labels.max()) + 1 >= max_regions
    labels, pairs = search.merge(labels)
    sizes = np.bincount(labels)
    order = np.argsort(-sizes, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    labels = rank[labels]
    centres = np.stack([y[labels == k].mean(axis=0, dtype=np.float64) for k in range(len(sizes))])
    evidence = [replace(s, regions=_renamed(s.regions, rank)) for s in pairs]
    return Regions(len(sizes), labels, centres, sizes[order], [first, *evidence], limited)


def _renamed(regions: tuple[int, int] | None, rank: np.ndarray) -> tuple[int, int] | None:
    return None if regions is None else (int(rank[regions[0]]), int(rank[regions[1]]))


@dataclass
class _Search:
    """Divides codes into groups and joins again what is not apart."""

    y: np.ndarray
    role: np.ndarray
    given: np.ndarray
    seed: int
    level: float
    max_regions: int
    least: float

    def split(self) -> tuple[np.ndarray, Separation]:
        """Divide groups in two as long as a dip is significant, and return labels and first test."""
        labels = np.zeros(len(self.y), dtype=np.intp)
        waiting, count, first = [0], 1, None
        while waiting and count < self.max_regions:
            group = waiting.pop(0)
            member = labels == group
            if first is not None and member.sum() < max(2 * self.least, _LEAST_ROWS):
                continue
            found = self._compare(member, self._candidates(member))
            beyond = self.y @ found.direction.astype(self.y.dtype) > self._cut(
                member, found.direction
            )
            sizes = int((member & ~beyond).sum()), int((member & beyond).sum())
            separate = found.pvalue <= found.threshold and min(sizes) >= self.least
            first = first or replace(found, sizes=sizes, separate=separate)
            if separate:
                labels[member & beyond] = count
                waiting += [group, count]
                count += 1
        assert first is not None
        return labels, first

    def merge(self, labels: np.ndarray) -> tuple[np.ndarray, list[Separation]]:
        """Join pairs that are not apart, the least separate first."""
        labels = labels.copy()
        known: dict[tuple[int, int], Separation] = {}
        joined = []
        while True:
            groups = np.unique(labels)
            for a, b in itertools.combinations(groups.tolist(), 2):
                if (a, b) not in known:
                    known[a, b] = self._apart(labels, a, b)
            together = [pair for pair, s in known.items() if not s.separate]
            if not together:
                break
            a, b = max(together, key=lambda pair: (known[pair].valley or 0.0, known[pair].pvalue))
            joined.append(replace(known[a, b], regions=None))
            labels[labels == b] = a
            known = {pair: s for pair, s in known.items() if not {a, b} & set(pair)}
        groups, compact = np.unique(labels, return_inverse=True)
        place = {int(group): k for k, group in enumerate(groups)}
        left = [replace(s, regions=(place[a], place[b])) for (a, b), s in known.items()]
        return compact, left + joined

    def _apart(self, labels: np.ndarray, a: int, b: int) -> Separation:
        """Whether the density dips between two groups, along a line and around it."""
        first, second = labels == a, labels == b
        member = first | second
        learn = self.role == 0
        one, two = self.y[first & learn], self.y[second & learn]
        difference = two.mean(axis=0, dtype=np.float64) - one.mean(axis=0, dtype=np.float64)
        axes, _ = _white_axes(self.y[member & learn])
        # In whitened coordinates the discriminant of two groups is the difference of their means.
        candidates = np.stack([axes @ (axes.T @ difference), difference])
        found = self._compare(member, candidates)
        valley, error = 0.0, 0.0
        if found.pvalue <= found.threshold:
            valley, error = self._valley(member, found.direction)
        separate = found.pvalue <= found.threshold and valley + 4 * error < 1
        return replace(
            found,
            valley=valley if found.pvalue <= found.threshold else 1.0,
            sizes=(int(first.sum()), int(second.sum())),
            separate=separate,
        )

    def _compare(self, member: np.ndarray, candidates: np.ndarray) -> Separation:
        """Choose directions by dip and by deepest valley on some rows; test them on others."""
        directions = _units(candidates)
        choosing = (self.y[member & (self.role == 1)] @ directions.T.astype(self.y.dtype)).T
        if len(directions) > 2 * _TESTED:
            by_dip = np.argsort([-dip(shadow) for shadow in choosing], kind="stable")
            # A small group far off makes a small dip, and a deep valley.
            by_depth = np.argsort([-_valley_of(shadow)[1] for shadow in choosing], kind="stable")
            directions = directions[np.union1d(by_dip[:_TESTED], by_depth[:_TESTED])]
        known = (self.y[member & (self.role < 2)] @ directions.T.astype(self.y.dtype)).T
        testing = (self.y[member & (self.role == 2)] @ directions.T.astype(self.y.dtype)).T
        tests = []
        for direction, shadow, tested in zip(directions, known, testing):
            low, high = _window(shadow)
            near = tested[(tested >= low) & (tested <= high)]
            for part in (tested, near) if len(near) >= 10 else (tested,):
                statistic = dip(part)
                tests.append((dip_pvalue(statistic, len(part)), -statistic, direction))
        pvalue, statistic, direction = min(tests, key=lambda test: test[:2])
        threshold = self.level * float(member.mean())
        pvalue = min(1.0, len(tests) * pvalue)
        return Separation(None, direction, -statistic, pvalue, threshold, None, (0, 0), False)

    def _cut(self, member: np.ndarray, direction: np.ndarray) -> float:
        return _valley_of(self.y[member & (self.role < 2)] @ direction.astype(self.y.dtype))[0]

    def _candidates(self, member: np.ndarray) -> np.ndarray:
        """Directions along which a group may fall into two, from the rows that propose."""
        x = self.y[member & (self.role == 0)]
        axes, principal = _white_axes(x)
        white = ((x - x.mean(axis=0)) @ axes.astype(x.dtype)).astype(np.float64)
        r = axes.shape[1]
        inverse = np.linalg.pinv(axes)
        squares = np.einsum("ij,ij->i", white, white)
        _, vectors = linalg.eigh((white.T * squares) @ white)
        # Few-valued projections have little kurtosis, small groups far off have much.
        own = [vectors[:, : min(r, 8)].T, vectors[:, -min(r, 4) :].T]
        if len(x) > 6 * (r + 1) and len(x) * r**2 < _PURSUIT_COST:
            # Of codes as they are, because their own axes are worth starting from.
            whole = r == x.shape[1]
            # Half of them may be singular (coarse numbers): the other directions must do then.
            with contextlib.suppress(InputError):
                found = least_gaussian_directions(x if whole else white, min(8, r), self.seed)
                own.insert(0, found.directions @ inverse.T if whole else found.directions)
        span = np.concatenate(own)
        if len(self.given):
            span = np.concatenate([self.given @ inverse.T, span])
        basis = np.linalg.qr(span[:_SUBSPACE].T)[0]
        rng = np.random.default_rng((self.seed, 6))
        flat = white @ basis
        centred = x - x.mean(axis=0)
        wide = (centred @ principal[:, :_SUBSPACE].astype(x.dtype)).astype(np.float64)
        between = []
        for space in (flat, wide):
            for k in _MEANS:
                if len(x) < 20 * k:
                    break
                groups = _k_means(space, k, rng)
                for group in range(k):
                    inside = groups == group
                    if 5 <= inside.sum() < len(x):
                        # As the mean of all is 0, this is the difference from the rest too.
                        mean = white[inside].mean(axis=0)
                        between += [mean, basis @ (basis.T @ mean)]
        white_directions = np.concatenate([span, np.array(between).reshape(-1, r)])
        return np.concatenate([white_directions @ axes.T, principal[:, :8].T, self.given])

    def _valley(self, member: np.ndarray, direction: np.ndarray) -> tuple[float, float]:
        """Saddle over the lower peak in the planes where a way round would be seen, and its error."""
        x = self.y[member]
        along = (x @ direction.astype(x.dtype)).astype(np.float64)
        cut = self._cut(member, direction)
        beyond = along > cut
        if beyond.all() or not beyond.any():
            return 1.0, 0.0
        width = 0.3 * (along[beyond].mean() - along[~beyond].mean())
        slab = np.abs(along - cut) < width
        if slab.sum() < 10 or x.shape[1] == 1:
            return 0.0, 0.0
        axes, _ = _white_axes(x)
        centred = x - x.mean(axis=0)
        at_dip = (centred[slab] @ axes.astype(x.dtype)).astype(np.float64)
        line = axes.T @ direction
        at_dip -= np.outer(at_dip @ line, line) / (line @ line)
        _, widest = linalg.eigh(at_dip.T @ at_dip)
        worst = (0.0, 0.0)
        for aside in (at_dip.mean(axis=0), widest[:, -1]):
            for unit in _units((axes @ aside)[None]):
                across = (centred @ unit.astype(x.dtype)).astype(np.float64)
                worst = max(worst, _saddle(along, across, cut))
        return worst


def _white_axes(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Axes that whiten the principal components that so few codes can tell, and all of these, (d, r)."""
    centred = (x - x.mean(axis=0, dtype=np.float64).astype(x.dtype)).astype(np.float64)
    values, vectors = linalg.eigh(centred.T @ centred / max(len(x) - 1, 1))
    values, vectors = values[::-1], vectors[:, ::-1]
    if values[0] <= 0:
        return vectors[:, :1], vectors
    keep = int((values > values[0] * 1e-10).sum())
    keep = max(1, min(keep, len(x) // 5))
    return vectors[:, :keep] / np.sqrt(values[:keep]), vectors


def _k_means(x: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    """Group of each row (n, d), by Lloyd's iterations from k-means++ starts."""
    centres = x[rng.integers(len(x), size=1)]
    nearest = np.square(x - centres[0]).sum(axis=1)
    for _ in range(k - 1):
        chosen = rng.choice(len(x), p=nearest / nearest.sum()) if nearest.sum() > 0 else 0
        centres = np.concatenate([centres, x[chosen : chosen + 1]])
        nearest = np.minimum(nearest, np.square(x - x[chosen]).sum(axis=1))
    groups = np.zeros(len(x), dtype=np.intp)
    for _ in range(20):
        before = groups
        groups = (np.square(centres).sum(axis=1) - 2 * x @ centres.T).argmin(axis=1)
        if np.array_equal(before, groups):
            break
        sizes = np.bincount(groups, minlength=k)
        sums = np.zeros_like(centres)
        np.add.at(sums, groups, x)
        centres = np.where(sizes[:, None] > 0, sums / np.maximum(sizes, 1)[:, None], centres)
    return groups


def _valley_of(x: np.ndarray) -> tuple[float, float]:
    """The deepest valley of a kernel density, and its depth in standard errors of its lower peak."""
    x = np.asarray(x, dtype=np.float64)
    low, high = np.quantile(x, [0.25, 0.75])
    spread = min(float(x.std()), (high - low) / 1.34) or float(x.std()) or 1.0
    edges = np.linspace(x.min(), x.max(), 513)
    cell = edges[1] - edges[0]
    if cell <= 0:
        return float(x[0]), 0.0
    width = max(0.7 * spread * len(x) ** -0.2 / cell, 0.5)
    f = ndimage.gaussian_filter1d(np.histogram(x, edges)[0].astype(np.float64), width)
    f *= 2 * math.sqrt(math.pi) * width  # counts under the kernel, whose error is their root
    peak = np.minimum(np.maximum.accumulate(f), np.maximum.accumulate(f[::-1])[::-1])
    depth = (peak - f) / np.sqrt(np.maximum(peak, 1.0))
    place = np.flatnonzero(depth >= depth.max() * (1 - 1e-9))
    return float(edges[place[len(place) // 2]] + cell / 2), float(depth.max())


def _window(x: np.ndarray) -> tuple[float, float]:
    """An interval with as many numbers on both sides of the deepest valley.

    A unimodal law is unimodal on every interval, and what lies around a valley says more when the rest
    of a large group is left out: a group of 5 % hardly lifts the dip of all numbers.
    """
    cut = _valley_of(x)[0]
    x = np.sort(x)
    below = int(np.searchsorted(x, cut, side="right"))
    few = min(below, len(x) - below)
    if few == 0:
        return float(x[0]), float(x[-1])
    return float(x[below - few]), float(x[min(below + few, len(x)) - 1])


def _saddle(along: np.ndarray, across: np.ndarray, cut: float) -> tuple[float, float]:
    """Highest saddle between the peaks on both sides of a line, over the lower peak, and its error."""
    beyond = along > cut
    n = len(along)
    # One width for both axes: a ring would look thinner, hence denser, across the narrower kernel.
    few = min(int(beyond.sum()), int((~beyond).sum()))
    width = math.inf
    for values in (along, across):
        parts = values[beyond], values[~beyond]
        within = math.sqrt(sum(part.var() * len(part) for part in parts) / n)
        width = min(width, within * few ** (-1 / 6))
    edges, widths = [], []
    for values in (along, across):
        low, high = np.quantile(values, [0.001, 0.999])
        extent = max(float(high - low), 1e-300)
        cells = int(np.clip(3 * extent / max(width, 1e-300), 16, _CELLS))
        edges.append(np.linspace(low, low + extent, cells + 1))
        widths.append(max(width * cells / extent, 0.3))
    counts = np.histogram2d(along, across, edges)[0]
    f = ndimage.gaussian_filter(counts, widths, mode="constant")
    middle = (edges[0][:-1] + edges[0][1:]) / 2 > cut
    sides = [np.where(side[:, None], f, -1.0) for side in (middle, ~middle)]
    peaks = [np.unravel_index(side.argmax(), f.shape) for side in sides]
    lower = float(min(f[peaks[0]], f[peaks[1]]))
    if lower <= 0:
        return 1.0, 0.0
    low, high = 0.0, 1.0
    for _ in range(12):
        level = (low + high) / 2
        labels = ndimage.label(f >= level * lower)[0]
        if labels[peaks[0]] == labels[peaks[1]]:
            low = level
        else:
            high = level
    # Counts under the kernel: f times 4 pi times the product of its widths, in cells.
    effective = lower * 4 * math.pi * widths[0] * widths[1]
    return low, math.sqrt((1 + low) / max(effective, 1e-9))


def _units(v: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(v, axis=1)
    return v[length > 0] / length[length > 0][:, None]
