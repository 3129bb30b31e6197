r"""What the maps of the encoder's innermost convolutional layer look for.

A map a_m is one channel of the last layer before the code: a number at each of a few coarse positions u.
Everything the code knows of a picture x went through these maps, so that they are asked one by one, by
their mean activation over positions,

.. math:: f_m(x) = \frac{1}{|U|} \sum_{u \in U} a_m(x)_u .

Three answers, which correct each other:

* **The pattern** that excites the map most, found by gradient ascent on the picture. Without further
  conditions the answer is noise of a contrast that no picture has. So a pattern has the contrast of a
  training image, no more, and the ascent takes the steps that are natural among pictures, where colours go
  together and amplitudes fall as 1 over the spatial frequency k (in cycles per picture; the constant part as
  k = 1):

  .. math:: x = \sigma\!\left(\mathrm{logit}\,\mu + \frac{u}{\mu (1 - \mu)}\right), \qquad
            u = A\, \frac{y}{\mathrm{rms}\, y}, \qquad
            y = \mathcal F^{-1}\!\left[\frac{\mathcal F w}{\max(|k|, 1)}\right].

  :math:`\mu` is the mean colour of the training images and :math:`A A^T` the covariance of their colours, so
  that u varies as their pixels do; the logistic function :math:`\sigma` keeps values in (0, 1), and
  :math:`x \approx \mu + u` where u is small. The ascent moves w, a picture of white noise at first. The
  length of w means nothing, so each step turns w on a sphere toward the gradient, by an angle that falls to
  zero. At first pictures are shifted at random before each look (*jitter*) and blurred, so that nothing hangs
  on one position and what is large is found before what is small; both fade, and the end climbs sharp. A
  pattern that repeats does so with the stride of the whole encoder: each position of the map sees its own
  copy.
* **The training images** that excite the map most.
* **Pearson's r** of f_m over the training images with every attribute, factor and code component, beside the
  same with the images' facts shuffled: among many correlations the largest is never zero.

The activation that a pattern reaches is stated in standard deviations of f_m over the training images. It is
to be read beside the best training image, and beside the same ascent on a network that has learnt nothing.

A *dead* map is one that gives the same number for every training image, or is never active: nowhere above
zero. (With an activation that lets negative values pass, such as leaky-relu, the latter still tells images
apart.)

References:
    Erhan, Bengio, Courville & Vincent, 2009, Visualizing higher-layer features of a deep network, Université
    de Montréal, report 1341. Olah, Mordvintsev & Schubert, 2017, https://doi.org/10.23915/distill.00007.
    Field, 1987, on the spectrum of pictures, https://doi.org/10.1364/JOSAA.4.002379
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from latentshape._checks import check_count, check_seed, thinned
from latentshape.codes import encode_pixels
from latentshape.errors import InputError
from latentshape.images import to_images, to_pixels
from latentshape.models.base import Autoencoder, ConvAutoencoder
from latentshape.models.networks import ConvEncoder
from latentshape.progress import bar
from latentshape.shape import Moments
from latentshape.shape.correlation import sampling_error
from latentshape.shape.moments import MomentSums

__all__ = [
    "Correlations",
    "MapStatistics",
    "PictureLaw",
    "exciting_patterns",
    "map_activations",
    "map_statistics",
    "mean_frequency",
]

#: Steps of the ascent, and the angle in radians by which the first one turns.
STEPS, FIRST_TURN = 96, 0.3
#: Largest shift in either direction, and standard deviation of the blur, at first and in parts of the side.
JITTER, BLUR = 1 / 16, 1 / 32
#: Share of the steps after which nothing is shifted or blurred any more.
SHARP_FROM = 0.6
#: Weight of what goes into the activation: lets a map that is silent at first be found at all.
NUDGE = 0.01
#: Patterns that climb side by side; always so many, so that none depends on how many are asked for.
BATCH = 64
#: Pictures that the law's colours are measured on.
COLOURED = 500
#: Images kept of each map.
TOP = 8
#: A map whose means differ by less, relative to their size, gives one number: rounding makes them differ.
CONSTANT_BELOW = 1e-5


@dataclass(frozen=True, eq=False)
class PictureLaw:
    """How pictures vary, roughly: the module's formula from white noise to pictures.

    Attributes:
        mean: Mean colour (c,), in [0, 1].
        factor: The A of the formula, (c, r).
        size: Side of the pictures in pixels.
    """

    mean: np.ndarray
    factor: np.ndarray
    size: int

    @classmethod
    def of(cls, pixels: np.ndarray) -> PictureLaw:
        """Measured on pictures (n, size, size, c) uint8; of more than 500 on 500 spread evenly.

        Raises:
            InputError: All pixels have one colour.
        """
        colours = to_images(thinned(pixels, COLOURED)).movedim(1, 3).reshape(-1, pixels.shape[3])
        moments = Moments.of(colours.numpy())
        factor = moments.factor()
        if not factor.size or not np.diag(moments.cov).any():
            raise InputError(
                "All pixels of these pictures have one colour, so that there is no law of pictures to "
                "measure. Take the training images."
            )
        return cls(moments.mean, factor, pixels.shape[1])

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one w: (r, size, size)."""
        return (self.factor.shape[1], self.size, self.size)

    def noise(self, seed: Sequence[int]) -> np.ndarray:
        """White noise, (r, size, size) float32: where an ascent begins."""
        return np.random.default_rng(seed).standard_normal(self.shape, np.float32)

    def paint(self, w: Tensor, blur: float = 0.0) -> Tensor:
        """Pictures (n, c, size, size) in (0, 1) of w (n, r, size, size).

        Args:
            w: Noise or what an ascent made of it, none of it zero throughout.
            blur: Standard deviation of a Gaussian blur, in pixels.
        """
        mean = torch.tensor(np.clip(self.mean, 0.02, 0.98), dtype=w.dtype, device=w.device)
        factor = torch.tensor(self.factor, dtype=w.dtype, device=w.device)
        spectrum = torch.fft.rfft2(w) * self._amplitudes(blur).to(w)
        y = torch.fft.irfft2(spectrum, s=(self.size, self.size))
        y = y / y.square().mean((1, 2, 3), keepdim=True).sqrt()
        u = torch.einsum("cr,nrhw->nchw", factor, y)
        at = (slice(None), None, None)
        return torch.sigmoid(torch.logit(mean)[at] + u / (mean * (1 - mean))[at])

    def _amplitudes(self, blur: float) -> Tensor:
        """By what each frequency is multiplied, (size, size // 2 + 1)."""
        down = torch.fft.fftfreq(self.size, dtype=torch.float64)[:, None]
        across = torch.fft.rfftfreq(self.size, dtype=torch.float64)
        squared = down**2 + across**2  # of cycles per pixel
        amplitude = squared.clamp(min=1 / self.size**2).rsqrt() / self.size
        return amplitude * torch.exp(-2 * (np.pi * blur) ** 2 * squared)


def exciting_patterns(
    model: Autoencoder,
    law: PictureLaw,
    maps: Sequence[int] | None = None,
    *,
    steps: int = STEPS,
    seed: int = 0,
) -> np.ndarray:
    """The patterns that excite maps most: (k, size, size, c) uint8, one for each map.

    A pattern depends on its own map and the seed, not on which others are asked for.

    Args:
        model: A `ConvAutoencoder`, trained or not.
        law: Among the pictures of which law.
        maps: Numbers of the maps; None for all.
        steps: Of the ascent.
        seed: Of where it begins and of how pictures are shifted.

    Raises:
        InputError: The model has no maps, or none with such a number.
    """
    encoder = _encoder(model)
    steps, seed = check_count(steps, name="steps"), check_seed(seed)
    chosen = list(range(_width(encoder))) if maps is None else [int(m) for m in maps]
    for m in chosen:
        if not 0 <= m < _width(encoder):
            raise InputError(
                f"The innermost layer has the maps 0 to {_width(encoder) - 1}, got {m}; choose one of "
                "them."
            )
    model.eval()
    found = []
    with bar(len(chosen), "patterns", unit="maps") as progress:
        for start in range(0, len(chosen), BATCH):
            some = chosen[start : start + BATCH]
            filled = some + [some[-1]] * (BATCH - len(some))
            found.append(to_pixels(_climb(encoder, law, filled, steps, seed)[: len(some)]))
            progress.update(len(some))
    return np.concatenate(found)


def _climb(encoder: ConvEncoder, law: PictureLaw, maps: list[int], steps: int, seed: int) -> Tensor:
    """The pictures (n, c, size, size) at the end of one ascent for each of n maps."""
    device = encoder.to_code.weight.device
    w = torch.from_numpy(np.stack([law.noise([seed, m]) for m in maps])).to(device)
    radius = _length(w)
    jitter = np.random.default_rng([seed]).uniform(-JITTER, JITTER, (steps, 2))
    for step in range(steps):
        fading = law.size * max(0.0, 1 - step / (SHARP_FROM * steps))
        down, right = np.rint(fading * jitter[step]).astype(int).tolist()
        w.requires_grad_(True)
        seen = torch.roll(law.paint(w, fading * BLUR), (down, right), (2, 3))
        (gradient,) = torch.autograd.grad(_excitement(encoder, seen, maps), w)
        with torch.no_grad():
            # What of the gradient lies in the sphere; then a turn on a great circle.
            along = (gradient * w).sum((1, 2, 3), keepdim=True) / radius.square()
            tangent = gradient - along * w
            tangent *= radius / _length(tangent).clamp(min=1e-30)
            turn = FIRST_TURN * (1 - step / steps)
            w = np.cos(turn) * w + np.sin(turn) * tangent
            w *= radius / _length(w)
    with torch.no_grad():
        return law.paint(w)


def _length(w: Tensor) -> Tensor:
    """Euclidean length of each of n points (n, r, size, size): shape (n, 1, 1, 1)."""
    return torch.linalg.vector_norm(w, dim=(1, 2, 3), keepdim=True)


def _excitement(encoder: ConvEncoder, x: Tensor, maps: list[int]) -> Tensor:
    """Sum over pictures of the mean activation, each picture's own map, and a nudge before it."""
    for layer in encoder.layers[:-1]:
        x = layer(x)
    last = _last(encoder)
    x = last[:-1](x)
    own = x[torch.arange(len(maps)), maps]
    return (last[-1](own.clone()).mean((1, 2)) + NUDGE * own.mean((1, 2))).sum()


def mean_frequency(pixels: np.ndarray) -> np.ndarray:
    """How fine patterns are: mean spatial frequency, weighted by power, the constant part left out.

    Args:
        pixels: Patterns (n, size, size, c) uint8.

    Returns:
        Cycles per picture (n,), from 1 to size / sqrt(2); 0 where all pixels have one colour.

    Example:
        >>> stripes = np.tile(np.array([0, 0, 255, 255], np.uint8), 2)
        >>> mean_frequency(np.broadcast_to(stripes[:, None], (1, 8, 8, 1))).round(6).tolist()
        [2.0]
    """
    size = pixels.shape[1]
    cycles = np.fft.fftfreq(size, 1 / size)
    k = np.hypot(cycles[:, None], cycles)
    power = np.square(np.abs(np.fft.fft2(pixels, axes=(1, 2)))).sum(3) * (k > 0)
    total = power.sum((1, 2))
    # Below a grey level in all there is nothing but rounding.
    return np.where(total > 1, (power * k).sum((1, 2)) / np.maximum(total, 1), 0.0)


def map_activations(
    model: Autoencoder, pixels: np.ndarray, rows: np.ndarray, precision: str = "fp32"
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Mean and greatest activation over positions, each (at most 128, maps) float32, of ``pixels[rows]``.

    Args:
        model: A `ConvAutoencoder`.
        pixels: Pictures (n, size, size, c) uint8.
        rows: Which of them, in which order.
        precision: ``fp32`` or ``bf16``.

    Raises:
        InputError: The model has no maps.
    """
    encoder = _encoder(model)

    def read(x: Tensor) -> Tensor:
        for layer in encoder.layers:
            x = layer(x)
        return torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1)

    for block in encode_pixels(model, pixels, rows, precision, read):
        means, peaks = np.split(block, 2, axis=1)
        yield means, peaks


@dataclass(frozen=True, eq=False)
class Correlations:
    """Pearson's r of every map with every fact about the images.

    Attributes:
        names: Of the t facts.
        r: (maps, t), in [-1, 1]; 0 where either is constant.
        n: (t,) images on which each fact is known.
        shuffled: r with the facts of another image, likewise (maps, t): what chance alone gives.
    """

    names: tuple[str, ...]
    r: np.ndarray
    n: np.ndarray
    shuffled: np.ndarray

    def strongest(self, m: int, count: int = 3) -> list[tuple[str, float, float]]:
        """The facts that go with map m most: name, r, and its standard error at r = 0."""
        order = np.argsort(-np.abs(self.r[m]), kind="stable")[:count]
        return [
            (self.names[j], float(self.r[m, j]), float(sampling_error(0.0, max(self.n[j], 2))))
            for j in order
        ]

    def by_chance(self, m: int) -> float:
        """The largest r, either sign, of map m with any fact once these are shuffled."""
        return float(np.abs(self.shuffled[m]).max(initial=0.0))


@dataclass(frozen=True, eq=False)
class MapStatistics:
    """What the training images do to the maps.

    Attributes:
        moments: Of the mean activations: their mean (maps,) and covariance.
        peak: Greatest activation at any position of any image, (maps,).
        constant: Which maps give one number for all images, (maps,) bool.
        top: Rows (of ``pixels``) of the images that excite each map most, the strongest first, (maps, TOP).
        top_activation: Their mean activations, likewise.
        correlations: One for each table of facts.
    """

    moments: Moments
    peak: np.ndarray
    constant: np.ndarray
    top: np.ndarray
    top_activation: np.ndarray
    correlations: tuple[Correlations, ...]

    def dead(self, m: int) -> str | None:
        """Why map m is dead: ``constant`` or ``never active``; None where it lives."""
        if self.constant[m]:
            return "constant"
        return "never active" if self.peak[m] <= 0 else None

    def in_deviations(self, m: int, activation: float) -> float | None:
        """A mean activation of map m in standard deviations from its mean; None of a constant map."""
        if self.constant[m]:
            return None
        return float((activation - self.moments.mean[m]) / self.moments.std[m])


def map_statistics(
    model: Autoencoder,
    pixels: np.ndarray,
    rows: np.ndarray,
    facts: Iterable[tuple[Sequence[str], np.ndarray]] = (),
    *,
    precision: str = "fp32",
    seed: int = 0,
) -> MapStatistics:
    """Lead images past the maps once; memory does not grow with their number.

    Args:
        model: A `ConvAutoencoder`.
        pixels: Pictures (n, size, size, c) uint8.
        rows: Which of them, at least two.
        facts: Tables of facts about them, each names (t,) and values (len(rows), t); NaN is unknown.
        precision: ``fp32`` or ``bf16``.
        seed: Of the shuffling.

    Raises:
        InputError: Fewer than two images, a table of another length, or a model without maps.
    """
    encoder, tables = _encoder(model), [(tuple(names), table) for names, table in facts]
    if len(rows) < 2:
        raise InputError(f"Maps are compared over at least two images, got {len(rows)}; add some.")
    for names, table in tables:
        if table.shape != (len(rows), len(names)):
            raise InputError(
                f"Facts about {len(rows)} images under {len(names)} names must have the shape "
                f"{(len(rows), len(names))}, got {table.shape}; give the rows of these images."
            )
    k = _width(encoder)
    shuffle = np.random.default_rng([seed, len(rows)]).permutation(len(rows))
    sums = [(CrossSums(k, len(names)), CrossSums(k, len(names))) for names, _ in tables]
    moments: MomentSums | None = None
    low, high, peak = np.full(k, np.inf), np.full(k, -np.inf), np.full(k, -np.inf)
    best, best_rows = np.empty((0, k), np.float32), np.empty((0, k), np.intp)
    done = 0
    for means, peaks in map_activations(model, pixels, rows, precision):
        moments = moments or MomentSums(means.mean(0), exact=True)
        moments.update(means)
        low, high = np.minimum(low, means.min(0)), np.maximum(high, means.max(0))
        peak = np.maximum(peak, peaks.max(0))
        here = slice(done, done + len(means))
        best = np.concatenate([best, means])
        best_rows = np.concatenate([best_rows, np.broadcast_to(rows[here, None], means.shape)])
        order = np.argsort(-best, axis=0, kind="stable")[:TOP]
        best = np.take_along_axis(best, order, 0)
        best_rows = np.take_along_axis(best_rows, order, 0)
        centred = means - moments.shift
        for (_, table), (straight, shuffled) in zip(tables, sums):
            straight.update(centred, np.asarray(table[here], np.float64))
            shuffled.update(centred, np.asarray(table[shuffle[here]], np.float64))
        done += len(means)
    assert moments is not None
    constant = high - low <= CONSTANT_BELOW * np.maximum(np.abs(high), np.abs(low))
    found = [
        Correlations(names, *_living(straight, constant), _living(shuffled, constant)[0])
        for (names, _), (straight, shuffled) in zip(tables, sums)
    ]
    return MapStatistics(moments.result(), peak, constant, best_rows.T, best.T, tuple(found))


def _living(sums: CrossSums, constant: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pearson's r and n, with zeros for constant maps, whose r is that of their rounding."""
    r, n = sums.result()
    return np.where(constant[:, None], 0.0, r), n


class CrossSums:
    r"""Accumulate what Pearson's r of maps f with facts g takes, each fact over the images that know it.

    .. math:: r = \frac{\sum fg - \sum f \sum g / n}
              {\sqrt{(\sum f^2 - (\sum f)^2 / n)\,(\sum g^2 - (\sum g)^2 / n)}}

    in float64, for values that are centred roughly: there nothing is lost to cancellation.

    Args:
        maps: Number of maps.
        facts: Number of facts.
    """

    def __init__(self, maps: int, facts: int) -> None:
        self.n = np.zeros(facts)
        self.f, self.ff, self.fg = np.zeros((3, maps, facts))
        self.g, self.gg = np.zeros((2, facts))
        self._shift: np.ndarray | None = None

    def update(self, f: np.ndarray, g: np.ndarray) -> None:
        """Add images: activations (n, maps), roughly centred, and facts (n, facts), NaN where unknown."""
        known = np.isfinite(g)
        if self._shift is None:
            self._shift = np.where(known, g, 0).sum(0) / np.maximum(known.sum(0), 1)
        g = np.where(known, g - self._shift, 0.0)
        f, k = np.asarray(f, np.float64), known.astype(np.float64)
        self.n += k.sum(0)
        self.f += f.T @ k
        self.ff += np.square(f).T @ k
        self.fg += f.T @ g
        self.g += g.sum(0)
        self.gg += np.square(g).sum(0)

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """Pearson's r (maps, facts), 0 where either does not vary, and the number of images (facts,)."""
        n = np.maximum(self.n, 1)
        both = self.fg - self.f * self.g / n
        spread_f, spread_g = self.ff - self.f**2 / n, self.gg - self.g**2 / n
        varies = (spread_f > 1e-12 * self.ff) & (spread_g > 1e-12 * self.gg)
        r = both / np.sqrt(np.where(varies, spread_f * spread_g, np.inf))
        return np.clip(r, -1.0, 1.0), self.n.astype(np.intp)


def _encoder(model: Autoencoder) -> ConvEncoder:
    """The encoder whose maps are asked."""
    if not isinstance(model, ConvAutoencoder):
        raise InputError(
            f"Innermost maps are those of a convolutional encoder, and {type(model).__name__} is no "
            "ConvAutoencoder: it has no maps to ask. Its codes can still be studied: latentshape analyze."
        )
    return model.encoder


def _last(encoder: ConvEncoder) -> nn.Sequential:
    """The innermost layer: convolution, batch norm or none, activation."""
    return cast(nn.Sequential, encoder.layers[-1])


def _width(encoder: ConvEncoder) -> int:
    """Number of innermost maps."""
    return cast(nn.Conv2d, _last(encoder)[0]).out_channels
