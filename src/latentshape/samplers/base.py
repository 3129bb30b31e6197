r"""The contract of every sampler: codes in, a law learnt, codes out.

    fit(z) -> self                 learns; forgets any earlier fit; learned names end in _
    sample(n, seed=0) -> (n, d)    fast streams, on every processor
    sample_at(seeds) -> (m, d)     row i depends on seeds[i] alone
    log_prob(z) -> (n,)            log-density in nats, where there is one
    score(z) -> float              its mean over held-out codes
    save(path), Sampler.load(path)

`sample_at` must give the same bits whatever stands beside a row. A matrix product does not promise
that: its order of summation may change with the number of rows. So rows are drawn in blocks of a
fixed size, the last one padded, in float64, and rounded to float32 at the end.
"""

__all__ = ["Sampler"]

import functools
import hashlib
import json
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator
from threadpoolctl import ThreadpoolController

from latentshape import __version__
from latentshape._checks import (
    check_codes,
    check_count,
    check_fitted,
    check_seed,
    check_seeds,
    row_blocks,
)
from latentshape.errors import InputError
from latentshape.files import atomic_path
from latentshape.samplers.noise import Noise, SeededNoise, StreamNoise

_STREAM_ROWS = 1024
_SEEDED_ROWS = 64
#: Numbers in a draw from which on threads gain more than it costs to start them.
_WORTH_THREADS = 2**22


class Sampler(BaseEstimator, ABC):
    """Abstract law of codes. Concrete samplers are final: to vary one, wrap it.

    Attributes:
        name: Its name in the registry and in scorecards.
        description: One plain sentence for the report.
        has_density: Whether `log_prob` exists for this law.
        baseline: Whether it repeats training codes, more or less: a yardstick for others, nothing new.
        latent_dim_: Dimension d of the codes it was fitted on.
        mean_, cov_: Mean (d,) and covariance (d, d) of the law it draws from (not of the codes). Where a
            law needs no such matrix it is made when it is asked for, and neither kept nor saved.
        most_components: Components up to which the law, which holds matrices (d, d), is fitted.
    """

    name: ClassVar[str]
    description: ClassVar[str]
    has_density: ClassVar[bool]
    baseline: ClassVar[bool] = False
    most_components: ClassVar[int] = 2048

    latent_dim_: int
    mean_: np.ndarray
    cov_: np.ndarray

    @abstractmethod
    def _fit(self, z: np.ndarray) -> None:
        """Learn from checked codes; set `mean_` and `cov_` among others."""

    @abstractmethod
    def _draw(self, noise: Noise) -> np.ndarray:
        """Turn noise into `noise.rows` codes."""

    def _covariance(self) -> np.ndarray:
        """The law's covariance (d, d), for laws that do not hold it as `cov_`."""
        raise AttributeError(f"{type(self).__name__!r} has no attribute 'cov_'")

    def __getattr__(self, name: str) -> Any:
        if name == "cov_":  # it is not held
            return self._covariance()
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _need_covariance(self, n: int, d: int, cure: str) -> None:
        """Refuse codes whose covariance has no inverse, or is too large, before it is formed.

        Raises:
            InputError: n <= d, or d is above `most_components`.
        """
        if n <= d:
            raise InputError(
                f"Sampler {self.name!r} needs more codes than dimensions, got {n} codes of dimension {d}; "
                f"{cure}, or the sampler 'low-rank'."
            )
        self._need_size(d)

    def _need_size(self, d: int) -> None:
        if d > self.most_components:
            raise InputError(
                f"Sampler {self.name!r} holds matrices of all pairs of components, feasible up to "
                f"{self.most_components:,} components, got {d:,}; use the sampler 'low-rank'."
            )

    def _log_density(self, block: np.ndarray) -> np.ndarray:
        """Log-density of a float64 block of codes, shape (rows,)."""
        raise InputError(
            f"Sampler {self.name!r} has no density; compare it by its draws, or use a sampler "
            "with has_density."
        )

    @property
    def n_features_in_(self) -> int:
        """What scikit-learn calls `latent_dim_`."""
        return self.latent_dim_

    def fit(self, z: Any, y: Any = None) -> Self:
        """Learn the law from codes (n, d), finite; whatever was learnt before is forgotten.

        Args:
            z: Codes: an array, a memory map, a data frame of numbers.
            y: Left alone; the last step of a `sklearn.pipeline.Pipeline` is given one.
        """
        for learnt in [key for key in vars(self) if key.endswith("_")]:
            delattr(self, learnt)
        z = check_codes(z)
        # Fits are many small products: two threads of BLAS take three times as long over them as one.
        with _threads().limit(limits=1):
            self._fit(z)
        self.latent_dim_ = int(z.shape[1])
        return self

    def sample(self, n: int, *, seed: int = 0, workers: int | None = None) -> np.ndarray:
        """Draw n codes, float32, shape (n, d), from fast streams, one for each block of rows.

        Args:
            n: How many.
            seed: From 0 to 2^64 - 1; the same n and seed give the same codes.
            workers: Threads that draw blocks; None for one per processor where it pays. The codes do
                not depend on it.
        """
        check_fitted(self)
        n, seed = check_count(n), check_seed(seed)
        codes = np.empty((n, self.latent_dim_), dtype=np.float32)

        def fill(start: int) -> None:
            rows = min(_STREAM_ROWS, n - start)
            codes[start : start + rows] = self._draw(StreamNoise(seed, start // _STREAM_ROWS, rows))

        starts = range(0, n, _STREAM_ROWS)
        if codes.size < _WORTH_THREADS and workers is None:
            for start in starts:
                fill(start)
            return codes
        workers = check_count((os.cpu_count() or 1) if workers is None else workers, name="workers")
        # Each worker has a BLAS thread of its own; more of them would stand in one another's way.
        with _threads().limit(limits=1), ThreadPoolExecutor(workers) as pool:
            for done in [pool.submit(fill, start) for start in starts]:
                done.result()
        return codes

    def sample_at(self, seeds: Iterable[int]) -> np.ndarray:
        """Draw one code per seed, float32, shape (len(seeds), d); row i depends on seeds[i] only.

        Args:
            seeds: Integers from 0 to 2^64 - 1.
        """
        check_fitted(self)
        seeds = check_seeds(seeds)
        codes = np.empty((len(seeds), self.latent_dim_), dtype=np.float32)
        for start in range(0, len(seeds), _SEEDED_ROWS):
            part = seeds[start : start + _SEEDED_ROWS]
            drawn = self._draw(SeededNoise(part, _SEEDED_ROWS))
            codes[start : start + len(part)] = drawn[: len(part)]
        return codes

    def log_prob(self, z: Any) -> np.ndarray:
        """Return the log-density of codes (n, d) in nats, shape (n,); -inf outside the support."""
        check_fitted(self)
        z = check_codes(z, min_samples=1, latent_dim=self.latent_dim_)
        blocks = [self._log_density(block.astype(np.float64)) for block in row_blocks(z)]
        return np.concatenate(blocks)

    def score(self, z: Any, y: Any = None) -> float:
        """Return the mean log-likelihood per code in nats (higher is better); `y` is left alone."""
        return float(self.log_prob(z).mean())

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the fitted sampler and return the stem it was written under.

        Two files, each replaced atomically: `<stem>.safetensors` with the learned arrays and
        `<stem>.json` with name, options, learned numbers and the digest of the first.

        Args:
            path: A stem such as `samplers/gaussian`; in an existing folder the sampler's own name
                is used.
        """
        from safetensors.numpy import save as to_bytes

        check_fitted(self)
        stem = self._stem(Path(path))
        learnt = {key: value for key, value in vars(self).items() if key.endswith("_")}
        arrays = {
            k: np.ascontiguousarray(v) for k, v in learnt.items() if isinstance(v, np.ndarray)
        }
        tensors = to_bytes(arrays)
        record = {
            "sampler": self.name,
            "options": self.get_params(),
            "learnt": {key: value for key, value in learnt.items() if key not in arrays},
            "sha256": hashlib.sha256(tensors).hexdigest(),
            "latentshape": __version__,
            "numpy": np.__version__,
        }
        _replace(_with_suffix(stem, ".safetensors"), tensors)
        _replace(
            _with_suffix(stem, ".json"),
            json.dumps(record, indent=1, default=lambda scalar: scalar.item()).encode(),
        )
        return stem

    @classmethod
    def load(cls, path: str | PathLike[str]) -> "Sampler":
        """Return the sampler that `save` wrote under a stem."""
        from safetensors.numpy import load as from_bytes

        from latentshape.samplers import make_sampler

        stem = Path(path)
        if stem.is_dir() and cls is not Sampler:
            stem = stem / cls.name
        record, tensors = _read(stem)
        sampler = make_sampler(record["sampler"], **record["options"])
        if not isinstance(sampler, cls):
            raise InputError(
                f"'{stem}' holds the sampler {record['sampler']!r}, not {cls.name!r}; "
                "load it with Sampler.load."
            )
        for key, value in {**record["learnt"], **from_bytes(tensors)}.items():
            setattr(sampler, key, value)
        d = getattr(sampler, "latent_dim_", None)
        held = vars(sampler).get("cov_")
        lacking = held is None and type(sampler)._covariance is Sampler._covariance
        wrong = lacking or (held is not None and held.shape != (d, d))
        if wrong or getattr(sampler, "mean_", np.empty(0)).shape != (d,):
            raise InputError(
                f"'{stem}' does not hold a whole fitted sampler (its numbers do not fit its dimension "
                f"{d!r}); fit the sampler and save it again."
            )
        return sampler

    def _stem(self, path: Path) -> Path:
        return path / self.name if path.is_dir() else path


def _threads() -> ThreadpoolController:
    """BLAS and OpenMP of this process."""
    return _found("torch" in sys.modules)


@functools.cache
def _found(with_torch: bool) -> ThreadpoolController:
    """Looked for once, and again when torch has brought its own: it takes as long as a thousand draws."""
    return ThreadpoolController()


def _with_suffix(stem: Path, suffix: str) -> Path:
    return stem.with_name(stem.name + suffix)


def _read(stem: Path) -> tuple[dict[str, Any], bytes]:
    """Read both files of a sampler and see that they belong together."""
    try:
        text = _with_suffix(stem, ".json").read_bytes()
        tensors = _with_suffix(stem, ".safetensors").read_bytes()
    except OSError as error:
        raise InputError(
            f"A saved sampler is two files, '{stem}.json' and '{stem}.safetensors'; "
            f"reading failed: {error.strerror}: '{error.filename}'. Give the stem that save used."
        ) from error
    record = _parse(text)
    if record is None:
        raise InputError(
            f"'{stem}.json' is not a saved sampler; fit the sampler and save it again."
        )
    if hashlib.sha256(tensors).hexdigest() != record["sha256"]:
        raise InputError(
            f"'{stem}.safetensors' and '{stem}.json' do not belong together (digests differ); "
            "fit the sampler and save it again."
        )
    return record, tensors


def _parse(text: bytes) -> dict[str, Any] | None:
    """Return the record of a saved sampler, or None if it is not one."""
    try:
        record = json.loads(text)
    except ValueError:
        return None
    wanted = {"sampler": str, "options": dict, "learnt": dict, "sha256": str}
    if not isinstance(record, dict):
        return None
    whole = all(isinstance(record.get(key), kind) for key, kind in wanted.items())
    return record if whole and all(key.endswith("_") for key in record["learnt"]) else None


def _replace(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
