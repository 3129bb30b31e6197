r"""A normalising flow: the Gaussian, bent by a network until it has the shape of the codes.

Codes are whitened along their principal axes, :math:`u = \Lambda^{-1/2} V^T (z - \mu)`, and led through
M couplings, each of which moves one half b of the coordinates by amounts that the other half a decides,

.. math::
    v_a = u_a, \qquad v_b = e^{s(u_a)} \odot u_b + t(u_a), \qquad (s, t) = \text{network}(u_a),

with the halves taken in turn. The way back is as short, and the determinant is read off, so that both
draws and density are exact:

.. math::
    \log p(z) = \log N(f(u); 0, I) + \sum s - \tfrac12 \sum \log \lambda_j .

The networks' last layers start at zero: step 0 *is* the Gaussian fitted to the same codes. Training
climbs the likelihood (Adam on random batches, weights averaged over some hundred steps), a tenth of the
codes is held out, and the weights with the best held-out likelihood are kept, those of step 0 included.
That is soon over, as a flow has far more weights than a Gaussian: on 2,400 codes of 128 dimensions it
gained 9 nats in 350 steps and had lost them all by step 600.

Splines in place of the affine maps gained less on codes of pictures, at several times the cost;
autoregressive flows draw hundreds of times more slowly.

References:
    Dinh, Sohl-Dickstein & Bengio, 2017, Density estimation using Real NVP,
    https://arxiv.org/abs/1605.08803
"""

from __future__ import annotations

__all__ = ["Flow"]

import math
from collections.abc import Iterator
from typing import Any, ClassVar, final

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from latentshape._checks import (
    BLOCK_ROWS,
    check_count,
    check_positive,
    check_seed,
    row_blocks,
)
from latentshape.errors import InputError
from latentshape.samplers.base import Sampler
from latentshape.samplers.colouring import need_spread
from latentshape.samplers.noise import Noise, StreamNoise
from latentshape.shape.moments import Moments, MomentSums
from latentshape.shape.pca import PCA
from latentshape.shape.whitening import Whitening

_HELD_OUT = 0.1
# More held-out codes than this tell no more, and are looked at every few steps.
_HELD_OUT_MOST = 4096
_CHECK_EVERY = 50
_PATIENCE = 10
_AVERAGED = 0.99
_CLIP = 5.0
_SINGULAR_BELOW = 1e-12
_MOMENT_DRAWS = 20_000


@final
class Flow(Sampler):
    """Draw from a coupling flow (RealNVP) trained on the codes by maximum likelihood.

    Fitting 12,000 codes of 128 dimensions takes about half a minute on one core. The same codes,
    options, machine and number of threads give the same law; neither torch's global generator nor
    its settings are changed.

    Args:
        transforms: M, number of couplings.
        hidden: Width of the two hidden layers of each network.
        max_steps: Steps of training at most. It ends sooner when the held-out likelihood has not
            risen for 500 steps.
        learning_rate: Of Adam.
        batch_size: Codes per step.
        seed: Which codes are held out, where the networks start, and the order of the batches.

    Attributes:
        heldout_: Mean log-likelihood of the held-out codes, in nats per code. (They chose the step,
            which flatters it a little; `score` codes of another split to compare samplers.)
        gaussian_heldout_: That of the Gaussian fitted to the same nine tenths of the codes. Where
            both are equal training has improved nothing, and the law *is* that Gaussian.
        steps_: The step whose weights were kept; 0 is the Gaussian.
        curve_: Steps and held-out log-likelihood there, shape (checks, 2).
        location_, axes_, std_: Mean (d,), principal axes (r, d) and standard deviations (r,) that
            whiten the codes, r the rank.
        weights_, layout_: The networks' weights in one row, float32, and their names and shapes.
        mean_, cov_: Estimates from 20,000 draws of a fixed seed: the law has no formula for them.

    Raises:
        InputError: zuko is not installed, or there are too few codes for their dimension.
    """

    name = "flow"
    description = (
        "A network bends the fitted Gaussian until it has the shape of the codes "
        "(a coupling flow, stopped where held-out codes are likeliest)."
    )
    has_density: ClassVar[bool] = True

    heldout_: float
    gaussian_heldout_: float
    steps_: int
    curve_: np.ndarray
    location_: np.ndarray
    axes_: np.ndarray
    std_: np.ndarray
    weights_: np.ndarray
    layout_: list[list[Any]]

    def __init__(
        self,
        transforms: int = 6,
        hidden: int = 64,
        max_steps: int = 2000,
        learning_rate: float = 1e-3,
        batch_size: int = 256,
        seed: int = 0,
    ) -> None:
        self.transforms = transforms
        self.hidden = hidden
        self.max_steps = max_steps
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.seed = seed

    # The caller may have switched gradients off; weights made in inference mode never learn.
    @torch.inference_mode(False)
    @torch.enable_grad()
    def _fit(self, z: np.ndarray) -> None:
        seed = check_seed(self.seed)
        max_steps = check_count(self.max_steps, name="max_steps", minimum=0)
        rate = check_positive(self.learning_rate, name="learning_rate")
        size = check_count(self.batch_size, name="batch_size", minimum=2)
        self._networks: dict[torch.dtype, nn.Module] = {}
        rng = np.random.default_rng(seed)
        self._need_size(z.shape[1])
        rows, held_out = _split(z, rng)
        self._need_codes(len(rows), z.shape)
        self._whiten_with(_moments_of(z, rows, held_out), len(z))
        network = self._build(seed)
        batches = (_tensor(self._whitened(z[some])) for some in _batches(rows, size, rng))
        best, curve = _train(
            network, batches, _tensor(self._whitened(held_out)), rate=rate, max_steps=max_steps
        )
        self._keep(best)
        self.curve_ = np.array(curve)
        self.curve_[:, 1] -= np.log(self.std_).sum()
        kept = self.curve_[:, 1].argmax()
        self.steps_, self.heldout_ = int(self.curve_[kept, 0]), float(self.curve_[kept, 1])
        self.gaussian_heldout_ = float(self.curve_[0, 1])
        self._estimate_moments()

    def _need_codes(self, trained_on: int, given: tuple[int, int]) -> None:
        n, d = given
        if trained_on <= d:
            raise InputError(
                f"Sampler {self.name!r} needs more codes than dimensions besides the tenth that it "
                f"holds out, got {n} codes of dimension {d}; use the sampler 'gaussian' with "
                "shrinkage=0.1, encode more images, or use the sampler 'low-rank'."
            )

    def _whiten_with(self, moments: Moments, n: int) -> None:
        pca = PCA.of(moments)
        rank = int((pca.eigenvalues > pca.eigenvalues[0] * _SINGULAR_BELOW).sum())
        need_spread(self.name, n, varied=rank)
        self.location_, self.axes_, self.std_ = moments.mean, pca.axes[:rank], pca.std[:rank]

    def _whitened(self, codes: np.ndarray) -> np.ndarray:
        return (codes - self.location_) @ (self.axes_.T / self.std_)

    def _build(self, seed: int = 0) -> nn.Module:
        return _couplings(
            len(self.std_),
            check_count(self.transforms, name="transforms"),
            check_count(self.hidden, name="hidden"),
            seed,
        )

    def _keep(self, network: nn.Module) -> None:
        named = list(network.named_parameters())
        self.layout_ = [[name, list(weight.shape)] for name, weight in named]
        self.weights_ = np.concatenate([weight.detach().numpy().ravel() for _, weight in named])

    def _network(self, dtype: torch.dtype) -> nn.Module:
        """The couplings with the learnt weights, in float32 or float64; built once for each."""
        if "_networks" not in vars(self):  # loaded, not fitted
            self._networks = {}
        if dtype not in self._networks:
            network = self._build()
            named = list(network.named_parameters())
            if [[name, list(weight.shape)] for name, weight in named] != self.layout_:
                raise InputError(
                    f"This {self.name!r} sampler was saved with another version of zuko, whose weights "
                    "have other names; fit it again."
                )
            vector = torch.from_numpy(self.weights_)
            with torch.no_grad():
                nn.utils.vector_to_parameters(vector, (weight for _, weight in named))
            self._networks[dtype] = network.to(dtype).requires_grad_(False)
        return self._networks[dtype]

    def _push(self, g: np.ndarray) -> np.ndarray:
        """Turn standard normal numbers (rows, r) into whitened codes, in their own precision."""
        noise = torch.from_numpy(g)
        return self._network(noise.dtype)().inv(noise).numpy()

    def _draw(self, noise: Noise) -> np.ndarray:
        u = self._push(noise.normal(len(self.std_)))
        u *= self.std_.astype(u.dtype)
        return u @ self.axes_.astype(u.dtype) + self.location_.astype(u.dtype)

    def _log_density(self, block: np.ndarray) -> np.ndarray:
        if len(self.std_) < len(self.location_):
            raise InputError(
                f"This {self.name!r} law lies in {len(self.std_)} of {len(self.location_)} dimensions "
                "and has no density there; fit codes without constant or dependent components."
            )
        u = torch.from_numpy(self._whitened(block))
        return _log_density(self._network(u.dtype), u).numpy() - np.log(self.std_).sum()

    def _estimate_moments(self) -> None:
        """Moments of a large draw whose noise was given mean 0 and covariance I exactly.

        Of a law near the Gaussian, which most codes have, they are then nearly exact.
        """
        rank = len(self.std_)
        noise = StreamNoise(0)
        noise.rows = max(_MOMENT_DRAWS, 4 * rank)
        g = noise.normal(rank)
        exact = Whitening(Moments.of(g))
        for block in row_blocks(g):
            block[:] = self._push(exact(block))
        drawn, back = Moments.of(g), self.std_[:, None] * self.axes_
        self.mean_ = self.location_ + drawn.mean @ back
        self.cov_ = back.T @ drawn.cov @ back


def _split(z: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train on, rising, and the codes held out, float64."""
    order = rng.permutation(len(z))
    cut = max(1, round(_HELD_OUT * len(z)))
    held_out = np.sort(order[:cut][:_HELD_OUT_MOST])
    return np.sort(order[cut:]), np.asarray(z[held_out], dtype=np.float64)


def _moments_of(z: np.ndarray, rows: np.ndarray, held_out: np.ndarray) -> Moments:
    """Moments of some rows, read in blocks."""
    sums = MomentSums(held_out.mean(axis=0), exact=True)
    for start in range(0, len(rows), BLOCK_ROWS):
        sums.update(np.asarray(z[rows[start : start + BLOCK_ROWS]]))
    return sums.result()


def _batches(rows: np.ndarray, size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Rows of one batch after the other, without end; every row once before any comes again."""
    size = min(size, len(rows))
    while True:
        order = rng.permutation(rows)
        for start in range(0, len(order) - size + 1, size):
            yield np.sort(order[start : start + size])


def _tensor(codes: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(codes.astype(np.float32))


def _couplings(d: int, transforms: int, hidden: int, seed: int) -> nn.Module:
    """Couplings of d coordinates, all of them the identity as yet."""
    coupling, composed = _zuko()
    # Whatever device and precision the caller has made the default, and without a number taken from
    # the generator that all share.
    with torch.device("cpu"), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        steps = [
            coupling(
                d,
                mask=torch.arange(d) % 2 == i % 2,
                hidden_features=(hidden, hidden),
                activation=nn.SiLU,
            )
            for i in range(transforms)
        ]
        network = composed(*steps).float()
    for step in steps:
        # Weight and bias of the last layer (of one coordinate, which nothing can move: its own scale
        # and shift).
        for last in list(step.parameters())[-2:]:
            nn.init.zeros_(last)
    return network


def _zuko() -> tuple[Any, Any]:
    """Return the coupling and the composition of zuko."""
    # Importing zuko switches off the validation of everybody's torch.distributions. Only its
    # transforms are used here, so that it may stay as it was.
    validation = torch.distributions.Distribution._validate_args
    try:
        from zuko.flows.coupling import GeneralCouplingTransform
        from zuko.lazy import LazyComposedTransform
    except ImportError as error:
        raise InputError(
            "Sampler 'flow' needs the package zuko, which is not installed; install it with "
            "pip install 'latentshape[flow]', or use the sampler 'mixture'."
        ) from error
    finally:
        torch.distributions.Distribution._validate_args = validation
    return GeneralCouplingTransform, LazyComposedTransform


def _log_density(network: nn.Module, u: torch.Tensor) -> torch.Tensor:
    """Log-density of whitened codes (rows, r), shape (rows,)."""
    base, log_det = network().call_and_ladj(u)
    return log_det - 0.5 * base.square().sum(dim=1) - 0.5 * u.shape[1] * math.log(2 * math.pi)


def _train(
    network: nn.Module,
    batches: Iterator[torch.Tensor],
    held_out: torch.Tensor,
    *,
    rate: float,
    max_steps: int,
) -> tuple[nn.Module, list[tuple[int, float]]]:
    """Climb the likelihood; return the best weights, and (step, held-out likelihood) at each check."""
    averaged = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(_AVERAGED))
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    curve = [(0, _mean_likelihood(averaged.module, held_out))]
    best, kept = _copied(averaged.module), 0
    for step in range(1, max_steps + 1):
        loss = -_log_density(network, next(batches)).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), _CLIP)
        optimizer.step()
        averaged.update_parameters(network)
        if step % _CHECK_EVERY and step != max_steps:
            continue
        curve.append((step, _mean_likelihood(averaged.module, held_out)))
        if curve[-1][1] > curve[kept][1]:
            best, kept = _copied(averaged.module), len(curve) - 1
        elif len(curve) - 1 - kept >= _PATIENCE:
            break
    network.load_state_dict(best)
    return network, curve


def _copied(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


@torch.no_grad()
def _mean_likelihood(network: nn.Module, u: torch.Tensor) -> float:
    """Mean log-density; what has overflowed is worst."""
    value = float(_log_density(network, u).mean(dtype=torch.float64))
    return value if math.isfinite(value) else -math.inf
