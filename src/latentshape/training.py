r"""One loop for all models: resumable, repeatable, and honest about what it saw.

Everything random is a function of (seed, epoch, step): the order of an epoch is a permutation drawn
from its own generator, and so are the mirrored images of a step and the noise of its loss. No generator
has a state that could be lost, hence a checkpoint is just the weights, Adam's moments and a step number,
and a run that is interrupted anywhere and resumed ends, on a processor with the same thread count and
precision, with exactly the weights of an uninterrupted run.

Learning rate, one-cycle (Smith & Topin 2017, https://arxiv.org/abs/1708.07120): at progress t in [0, 1]

.. math:: \eta(t) = \eta_{max} \begin{cases} 0.04 + 0.96\, t / 0.2 & t < 0.2 \\
          10^{-3} + (1 - 10^{-3}) \frac{1 + \cos(\pi (t - 0.2) / 0.8)}{2} & t \ge 0.2 \end{cases}
"""

from __future__ import annotations

import contextlib
import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from latentshape.config import Config, TrainingConfig
from latentshape.data import Dataset
from latentshape.errors import InputError, Interrupted
from latentshape.files import atomic_path
from latentshape.images import to_images
from latentshape.models import build_model, pick_device
from latentshape.models.base import Autoencoder, device_of
from latentshape.progress import bar, say
from latentshape.runs import RunFolder

__all__ = ["Trained", "learning_rate", "pick_precision", "train"]

#: Seconds between checkpoints within an epoch; one is written at the end of each epoch too.
CHECKPOINT_SECONDS = 30.0
#: Losses are looked at every so many steps on a GPU (a look waits for it), each step on a processor.
LOOK_EVERY = 50


#: Is told each epoch's line, such as a TensorBoard writer.
Listener = Callable[[dict[str, Any]], None]


class Trained(NamedTuple):
    """A trained model in evaluation mode, and how it was trained."""

    model: Autoencoder
    facts: dict[str, Any]


@dataclass
class Progress:
    """Where training stands: all that a checkpoint holds besides tensors."""

    step: int = 0
    images: int = 0  # of the running epoch
    squared_error: float = 0.0  # of the running epoch: sum over images of the error per pixel
    terms: dict[str, float] = field(default_factory=dict)  # the same of the loss's other terms
    seconds: float = 0.0  # of the running epoch
    precision: str = "fp32"
    threads: int = 0
    dataset: str = ""
    metrics: list[dict[str, Any]] = field(default_factory=list)


def learning_rate(config: TrainingConfig, step: int, steps: int) -> float:
    """The rate of a step (from 0) among ``steps``.

    Example:
        >>> learning_rate(TrainingConfig(learning_rate=1.0), 20, 100)
        1.0
    """
    t = step / max(1, steps)
    if config.schedule == "constant":
        return config.learning_rate
    rise = 0.2 if config.schedule == "one-cycle" else 0.0
    if t < rise:
        return config.learning_rate * (0.04 + 0.96 * t / rise)
    falling = (1 + math.cos(math.pi * (t - rise) / (1 - rise))) / 2
    return config.learning_rate * (1e-3 + (1 - 1e-3) * falling)


def epoch_order(seed: int, epoch: int, n: int, weights: np.ndarray | None = None) -> np.ndarray:
    """The order of one epoch, from (seed, epoch) alone: row numbers below n, shuffled.

    Args:
        seed: Of the run.
        epoch: From 0.
        n: How many images there are.
        weights: (n,) how often the epoch shows each: 2 is twice, 1.5 once and a random half of such
            images once more, 0 never; None is once each. Every epoch is equally long.

    Example:
        >>> np.bincount(epoch_order(0, 0, 4, np.array([0, 1, 2, 2.0]))).tolist()
        [0, 1, 2, 2]
    """
    rng = np.random.default_rng([seed, 1, epoch])
    if weights is None:
        return rng.permutation(n)
    whole = np.floor(weights).astype(np.int64)
    shown = [np.repeat(np.arange(n), whole)]
    for weight in np.unique(weights):
        rows = np.flatnonzero(weights == weight)
        more = round((weight - np.floor(weight)) * len(rows))
        shown.append(rng.choice(rows, more, replace=False))
    return rng.permutation(np.concatenate(shown))


def mirrored(seed: int, step: int, n: int) -> np.ndarray:
    """Which images of a step are mirrored: a fair coin each, from (seed, step) alone."""
    return np.random.default_rng([seed, 2, step]).random(n) < 0.5


def noise_of(seed: int, step: int, device: torch.device) -> torch.Generator:
    """The generator of all randomness in a step's loss, from (seed, step) alone."""
    state = np.random.SeedSequence([seed, 3, step]).generate_state(1, np.uint64)[0]
    return torch.Generator(device).manual_seed(int(state))


def autocast(device: torch.device, precision: str) -> Any:
    """The context in which networks run at this precision."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def train(
    config: Config, dataset: Dataset, run: RunFolder, listener: Listener | None = None
) -> Trained:
    """Train to the end of the config's epochs, from the last checkpoint if there is one.

    Writes ``metrics.jsonl`` (a line per epoch), ``checkpoints/last.safetensors``, the snapshots that the
    config asks for and, at the end, ``model.safetensors``.

    Args:
        config: What to train and how long.
        dataset: Its ``train`` split is trained on; its ``validation`` split is the held-out loss.
        run: Where everything is written.
        listener: Called with each epoch's line of ``metrics.jsonl``; after a resume also with the
            earlier ones.

    Returns:
        The model, and the device, precision, threads and steps behind it.

    Raises:
        InputError: The loss is no longer a number, or the checkpoint belongs to other data.
        Interrupted: Ctrl-C or SIGTERM; a checkpoint has been written, and calling again goes on.
    """
    device = pick_device()
    model = build_model(config).to(device)
    optimizer = torch.optim.AdamW(
        model.parameters(), config.training.learning_rate,
        weight_decay=config.training.weight_decay, fused=True,
    )  # fmt: skip
    progress = Progress(dataset=dataset.fingerprint, threads=torch.get_num_threads())
    if run.checkpoint_path.exists():
        progress = _resume(run, model, optimizer, progress)
    else:
        progress.precision = pick_precision(config, device, dataset)
        # Written down before the first step: whoever is killed early resumes with the same precision.
        _save(run, model, optimizer, progress)
    listener = listener or (lambda line: None)
    for line in progress.metrics:
        listener(line)
    with _repeatable(), _interruptible() as interrupted:
        _loop(config, dataset, run, model, optimizer, progress, interrupted, listener)
    _write(run.model_path, model.state_dict())
    facts = {
        "device": str(device),
        "precision": progress.precision,
        "threads": progress.threads,
        "steps": progress.step,
        "parameters": sum(p.numel() for p in model.parameters()),
    }
    return Trained(model.eval(), facts)


def _loop(
    config: Config,
    dataset: Dataset,
    run: RunFolder,
    model: Autoencoder,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    interrupted: threading.Event,
    listener: Listener,
) -> None:
    settings, device = config.training, device_of(model)
    rows, held_out = dataset.indices("train"), dataset.indices("validation")
    weights = None if dataset.weights is None else dataset.weights[rows]
    length = len(epoch_order(settings.seed, 0, len(rows), weights))
    if not length:
        raise InputError(
            "The sources' weights leave no image to train on. Give one of them a larger weight."
        )
    per_epoch = -(-length // settings.batch_size)
    if config.model.batch_norm and 1 in (settings.batch_size, length % settings.batch_size):
        raise InputError(
            f"With batch norm no batch may hold a single image, and one of {length} training images "
            f"at a batch size of {settings.batch_size} would. Use another --batch-size."
        )
    steps = per_epoch * settings.epochs
    last_save = time.monotonic()
    for epoch in range(progress.step // per_epoch, settings.epochs):
        order = rows[epoch_order(settings.seed, epoch, len(rows), weights)]
        model.train()
        began, seconds_before = time.perf_counter(), progress.seconds
        waiting: list[tuple[dict[str, Tensor], int]] = []
        first = progress.step % per_epoch
        with bar(length, f"epoch {epoch + 1}/{settings.epochs}", initial=progress.images) as shown:
            for position in range(first, per_epoch):
                chosen = order[position * settings.batch_size :][: settings.batch_size]
                x = _batch(dataset, chosen, settings, progress.step, device)
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate(settings, progress.step, steps)
                with autocast(device, progress.precision):
                    loss, terms = model.loss(x, noise_of(settings.seed, progress.step, device))
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                progress.step += 1
                waiting.append((terms, len(chosen)))
                shown.update(len(chosen))
                end = position == per_epoch - 1
                stop = interrupted.is_set()
                save = not end and (stop or time.monotonic() - last_save > CHECKPOINT_SECONDS)
                if device.type == "cpu" or len(waiting) >= LOOK_EVERY or end or save:
                    _look(waiting, progress, run)
                    shown.set_postfix_str(f"mse {progress.squared_error / progress.images:.5f}")
                progress.seconds = seconds_before + time.perf_counter() - began
                if save:
                    _save(run, model, optimizer, progress)
                    last_save = time.monotonic()
                if stop and not end:
                    raise Interrupted
        _end_epoch(config, dataset, held_out, run, model, progress, epoch)
        listener(progress.metrics[-1])
        if epoch + 1 in settings.snapshots:
            _write(run.snapshot_path(epoch + 1), model.state_dict())
        _save(run, model, optimizer, progress)
        last_save = time.monotonic()
        if interrupted.is_set():
            raise Interrupted


def _batch(
    dataset: Dataset, rows: np.ndarray, settings: TrainingConfig, step: int, device: torch.device
) -> Tensor:
    """Images of these rows on the device, half of them mirrored if the config says so."""
    pixels = dataset.pixels[rows]
    if settings.flip:
        flipped = mirrored(settings.seed, step, len(rows))
        pixels[flipped] = pixels[flipped][:, :, ::-1]
    return to_images(pixels, device)


def _look(waiting: list[tuple[dict[str, Tensor], int]], progress: Progress, run: RunFolder) -> None:
    """Add the losses since the last look to the epoch's sums; stop if one is not a number."""
    for terms, count in waiting:
        for name, value in ((name, term.item()) for name, term in terms.items()):
            if not math.isfinite(value):
                raise _diverged(f"The loss became {value} (its term {name})", progress, run)
            if name == "mse":
                progress.squared_error += value * count
            else:
                progress.terms[name] = progress.terms.get(name, 0.0) + value * count
        progress.images += count
    waiting.clear()


def _diverged(what: str, progress: Progress, run: RunFolder) -> InputError:
    """The sentence about a training that has left the finite numbers."""
    saved = "no checkpoint had been written yet"
    if run.checkpoint_path.exists():
        saved = f"the last good checkpoint is kept in {run.checkpoint_path}"
    return InputError(
        f"{what} at step {progress.step}; training stopped and {saved}. "
        "Start again in another --out with a lower --learning-rate or --precision fp32."
    )


def _end_epoch(
    config: Config,
    dataset: Dataset,
    held_out: np.ndarray,
    run: RunFolder,
    model: Autoencoder,
    progress: Progress,
    epoch: int,
) -> None:
    """Judge the held-out images and write the epoch's line."""
    judged = held_out_mse(model, dataset, held_out, progress.precision)
    if not math.isfinite(judged):
        raise _diverged(f"The held-out loss became {judged}", progress, run)
    line: dict[str, Any] = {
        "epoch": epoch + 1,
        "step": progress.step,
        "train_mse": progress.squared_error / progress.images,
        "heldout_mse": judged,
        "images_per_second": round(progress.images / progress.seconds, 1),
        "learning_rate": learning_rate(
            config.training,
            progress.step - 1,
            progress.step // (epoch + 1) * config.training.epochs,
        ),
    }
    if progress.terms:
        line["terms"] = {k: total / progress.images for k, total in progress.terms.items()}
    progress.metrics.append(line)
    progress.images, progress.squared_error, progress.seconds, progress.terms = 0, 0.0, 0.0, {}
    run.write_metrics(progress.metrics)
    say(
        f"  epoch {line['epoch']:>3}/{config.training.epochs}  train {line['train_mse']:.5f}  "
        f"held-out {line['heldout_mse']:.5f}  {line['images_per_second']:,.0f} images/s"
    )


def held_out_mse(
    model: Autoencoder, dataset: Dataset, rows: np.ndarray, precision: str, batch: int = 256
) -> float:
    """Mean squared error per pixel on [0, 1], over the given rows, in evaluation mode, without noise."""
    device = device_of(model)
    model.eval()
    total = 0.0
    with torch.inference_mode(), autocast(device, precision):
        for start in range(0, len(rows), batch):
            x = to_images(dataset.pixels[rows[start : start + batch]], device)
            total += model.loss(x)[1]["mse"].item() * len(x)
    return total / len(rows)


def pick_precision(config: Config, device: torch.device, dataset: Dataset) -> str:
    """What ``auto`` means here: bf16 where the hardware has it *and* it wins a short race."""
    if config.training.precision != "auto":
        return config.training.precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    has_bf16 = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    has_amx = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    if not (has_bf16() or has_amx()):
        return "fp32"
    x = to_images(dataset.pixels[: config.training.batch_size].copy(), device)
    times = _race(config, x)
    return min(times, key=times.__getitem__)


def _race(config: Config, x: Tensor, rounds: int = 5) -> dict[str, float]:
    """Seconds of the fastest training step in fp32 and in bf16, of throw-away models.

    Steps alternate and the best of each side counts, so that another process's burst of work, which
    can slow a step tenfold, hits both or is left out; the first pays for set-up and never wins.
    """
    runners = {precision: build_model(config) for precision in ("fp32", "bf16")}
    fastest = dict.fromkeys(runners, math.inf)
    for _ in range(rounds):
        for precision, model in runners.items():
            began = time.perf_counter()
            with autocast(x.device, precision):
                loss, _ = model.loss(x, noise_of(config.training.seed, 0, x.device))
            loss.backward()
            fastest[precision] = min(fastest[precision], time.perf_counter() - began)
    return fastest


def _write(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write tensors as one safetensors file, whole, row-major, on the processor.

    Through Python's own file, so that a full disk is an ``OSError`` like everywhere else.
    """
    dense = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(dense, metadata))


def _save(
    run: RunFolder, model: Autoencoder, optimizer: torch.optim.Optimizer, progress: Progress
) -> None:
    """Write weights, Adam's moments and where we are, as one file, all or nothing.

    A loss is finite one step longer than the weights it leads to: these are looked at here, so that
    the last checkpoint is always one to go on from.
    """
    tensors = {f"model.{k}": v for k, v in model.state_dict().items()}
    names = [name for name, _ in model.named_parameters()]
    for i, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{names[i]}.{k}": v for k, v in state.items()}
    if not all(bool(v.isfinite().all()) for v in tensors.values()):
        raise _diverged("A weight became infinite or no number", progress, run)
    _write(run.checkpoint_path, tensors, {"progress": json.dumps(vars(progress))})


def _resume(
    run: RunFolder, model: Autoencoder, optimizer: torch.optim.Optimizer, now: Progress
) -> Progress:
    """Load the last checkpoint into model and optimizer; say what differs from when it was made."""
    path = run.checkpoint_path
    try:
        with safe_open(path, framework="pt") as file:
            progress = Progress(**json.loads(file.metadata()["progress"]))
            tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
        model.load_state_dict(
            {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
        )
        state = {}
        for i, (name, parameter) in enumerate(model.named_parameters()):
            # The fused step runs over raw memory: moments must lie in it as their weights do.
            state[i] = {
                k: torch.empty_like(parameter, device="cpu").copy_(saved) if saved.ndim else saved
                for k in ("step", "exp_avg", "exp_avg_sq")
                if (saved := tensors.get(f"optimizer.{name}.{k}")) is not None
            }
        if any(state.values()):
            optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    except (SafetensorError, KeyError, TypeError, RuntimeError, json.JSONDecodeError) as error:
        raise InputError(
            f"The checkpoint {path} cannot be read ({str(error).splitlines()[0]}). Delete it to "
            "train from the start, or restore it."
        ) from None
    if progress.dataset != now.dataset:
        raise InputError(
            f"{run.path} was trained on other images than --data gives now (the content differs). "
            "Restore the images, or choose another --out."
        )
    if progress.threads != now.threads:
        say(
            f"Note: trained with {progress.threads} threads so far, {now.threads} now; sums are "
            f"rounded differently, so the weights will not equal an uninterrupted run's bit by bit. "
            f"Set OMP_NUM_THREADS={progress.threads} for that."
        )
        progress.threads = now.threads
    say(f"Going on from step {progress.step} ({path}).")
    run.write_metrics(progress.metrics)
    return progress


@contextlib.contextmanager
def _repeatable() -> Iterator[None]:
    """CuDNN's deterministic kernels, for as long as we train."""
    before = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    try:
        yield
    finally:
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = before


@contextlib.contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C or SIGTERM into a flag that is read between steps.

    An exception in the middle of a step could leave half-updated weights behind; a second Ctrl-C
    raises at once for those who cannot wait.
    """
    flag = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return

    def handle(number: int, frame: Any) -> None:
        if flag.is_set():
            raise KeyboardInterrupt
        flag.set()

    before = {s: signal.signal(s, handle) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
