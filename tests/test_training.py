"""Training: the same weights whatever happens on the way, and a clear end when it cannot go on."""

import contextlib
import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from latentshape import training
from latentshape.cli import main
from latentshape.config import TrainingConfig
from latentshape.errors import InputError, Interrupted
from latentshape.models import build_model, load_model
from latentshape.models.cae import CAE
from latentshape.models.gae import GAE
from latentshape.models.rae import RAE
from latentshape.models.vae import VAE
from latentshape.models.wae import WAE
from latentshape.runs import RunFolder
from latentshape.training import epoch_order, learning_rate, noise_of, train
from tiny_run import contents, plain_dataset, read, tiny_config, words

KEYS = {"epoch", "step", "train_mse", "heldout_mse", "images_per_second"}


def new_run(path, **options):
    config = tiny_config(**({"data": "plain"} | options))
    return config, RunFolder.create(path, config)


def weights_of(run):
    return load_file(run.model_path)


def lines_of(run):
    """The metrics without the only number that depends on the clock."""
    return [{k: v for k, v in line.items() if k != "images_per_second"} for line in run.metrics()]


def assert_same_end(run, other):
    mine, theirs = weights_of(run), weights_of(other)
    assert mine.keys() == theirs.keys()
    for name in mine:
        assert torch.equal(mine[name], theirs[name]), name
    assert lines_of(run) == lines_of(other)


@pytest.fixture(scope="module")
def dataset():
    return plain_dataset()


@pytest.fixture(scope="module")
def reference(dataset, tmp_path_factory):
    """A run that nothing interrupted: three epochs of four steps."""
    config, run = new_run(tmp_path_factory.mktemp("reference") / "run", epochs=3)
    train(config, dataset, run)
    return config, run


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(reference, dataset, tmp_path):
    config, run = reference
    _, again = new_run(tmp_path / "again", epochs=3)
    torch.manual_seed(12345)  # of no consequence
    train(config, dataset, again)
    assert_same_end(run, again)
    other_config, other = new_run(tmp_path / "other", epochs=3, seed=1)
    train(other_config, dataset, other)
    assert any(
        not torch.equal(a, b) for a, b in zip(weights_of(run).values(), weights_of(other).values())
    )


def test_an_epoch_is_a_line_with_the_keys_others_rely_on(reference, dataset):
    _config, run = reference
    lines = run.metrics()
    per_epoch = math.ceil(len(dataset.indices("train")) / 32)
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert [line["step"] for line in lines] == [per_epoch * e for e in (1, 2, 3)]
    for line in lines:
        assert line.keys() >= KEYS
        assert line["images_per_second"] > 0
    assert lines[-1]["heldout_mse"] < lines[0]["heldout_mse"]


def test_the_held_out_loss_is_that_of_the_saved_model_on_the_validation_images(reference, dataset):
    _config, run = reference
    model = load_model(run)
    x = torch.from_numpy(dataset.pixels[dataset.indices("validation")]).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        error = (model.decode(model.encode(x)) - x).double().square().mean().item()
    assert run.metrics()[-1]["heldout_mse"] == pytest.approx(error, rel=1e-5)


def test_the_global_generators_are_left_alone(dataset, tmp_path):
    config, run = new_run(tmp_path / "run", epochs=1)
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    train(config, dataset, run)
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


# --- interrupted and resumed -----------------------------------------------------------------


@contextlib.contextmanager
def sigint_after(monkeypatch, calls, number=signal.SIGINT, kind=CAE):
    """A real signal to this process in the middle of the step ``calls`` calls from now."""
    real, seen = kind.loss, []

    def loss(self, x, generator=None):
        if self.training:
            seen.append(1)
            if len(seen) == calls:
                os.kill(os.getpid(), number)
        return real(self, x, generator)

    with monkeypatch.context() as patch:
        patch.setattr(kind, "loss", loss)
        yield


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("calls", [1, 3, 4, 6, 12])
def test_a_signal_anywhere_saves_and_the_same_call_ends_with_the_same_weights(
    reference, dataset, tmp_path, monkeypatch, calls, number
):
    config, whole = reference
    _, run = new_run(tmp_path / "run", epochs=3)
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with sigint_after(monkeypatch, calls, number), pytest.raises(Interrupted):
        train(config, dataset, run)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
    assert not run.model_path.exists()
    assert len(run.metrics()) == calls // 4
    train(config, dataset, run)
    assert_same_end(run, whole)


def test_interrupted_at_every_step_it_still_ends_with_the_same_weights(
    reference, dataset, tmp_path, monkeypatch
):
    config, whole = reference
    _, run = new_run(tmp_path / "run", epochs=3)
    for step in range(1, 13):
        with sigint_after(monkeypatch, 1), pytest.raises(Interrupted):
            train(config, dataset, run)
        assert len(run.metrics()) == step // 4
    trained = train(config, dataset, run)
    assert trained.facts["steps"] == 12
    assert_same_end(run, whole)


#: The terms of each loss besides the error: they are summed over an epoch, across interruptions.
TERMS = {VAE: {"kl"}, GAE: {"radii", "distances"}, WAE: {"mmd"}, RAE: {"norm", "decay"}}


@pytest.mark.parametrize("kind", TERMS)
def test_a_loss_with_noise_and_terms_is_resumed_bit_for_bit_too(
    dataset, tmp_path, monkeypatch, kind
):
    name = kind.__name__.lower()
    config, whole = new_run(tmp_path / "whole", epochs=2, model=name)
    before = torch.random.get_rng_state()
    model = train(config, dataset, whole).model
    assert torch.equal(torch.random.get_rng_state(), before)
    _, run = new_run(tmp_path / "run", epochs=2, model=name)
    for _ in range(3):  # inside the first epoch, at its end, and inside the second
        with sigint_after(monkeypatch, 2, kind=kind), pytest.raises(Interrupted):
            train(config, dataset, run)
    train(config, dataset, run)
    assert_same_end(run, whole)
    for line in run.metrics():
        assert line["terms"].keys() == TERMS[kind]
        assert all(map(math.isfinite, line["terms"].values()))
    x = torch.from_numpy(dataset.pixels[dataset.indices("validation")]).permute(0, 3, 1, 2) / 255
    with torch.no_grad():  # judged by the mean code
        error = (model.decode(model.encode(x)) - x).double().square().mean().item()
    assert run.metrics()[-1]["heldout_mse"] == pytest.approx(error, rel=1e-5)


def test_an_epochs_terms_are_means_over_its_images(dataset, tmp_path, monkeypatch):
    config, run = new_run(tmp_path / "run", epochs=1, model="rae")
    real, seen = RAE.loss, []

    def spy(self, x, generator=None):
        error, terms = real(self, x, generator)
        if self.training:
            seen.append((terms["norm"].item(), len(x)))
        return error, terms

    monkeypatch.setattr(RAE, "loss", spy)
    train(config, dataset, run)
    values, counts = zip(*seen)
    assert len(set(counts)) == 2  # the last batch is a smaller one
    expected = np.average(values, weights=counts)
    assert run.metrics()[0]["terms"]["norm"] == pytest.approx(expected, rel=1e-9)


def test_the_noise_of_a_step_is_its_own():
    cpu = torch.device("cpu")
    draws = [
        tuple(torch.randn(5, generator=noise_of(seed, step, cpu)).tolist())
        for seed in (0, 1, 2**63 - 1)
        for step in range(20)
    ]
    assert len(set(draws)) == 60
    again = torch.randn(5, generator=noise_of(1, 7, cpu)).tolist()
    assert draws[27] == tuple(again)


def test_a_loss_whose_other_term_is_no_number_stops_and_says_which(dataset, tmp_path, monkeypatch):
    config, run = new_run(tmp_path / "run", epochs=1, model="vae")
    real = VAE.loss

    def loss(self, x, generator=None):
        error, terms = real(self, x, generator)
        return error, terms | {"kl": terms["kl"] * math.inf}

    monkeypatch.setattr(VAE, "loss", loss)
    with pytest.raises(InputError, match=r"became inf \(its term kl\).* lower --learning-rate"):
        train(config, dataset, run)


def test_the_race_for_precision_is_run_by_a_loss_with_noise_too(dataset):
    x = torch.from_numpy(dataset.pixels[:8]).permute(0, 3, 1, 2) / 255
    times = training._race(tiny_config(model="vae"), x, rounds=1)
    assert times.keys() == {"fp32", "bf16"}
    assert all(0 < seconds < math.inf for seconds in times.values())


def test_a_death_between_steps_goes_back_to_the_last_checkpoint(
    reference, dataset, tmp_path, monkeypatch
):
    config, whole = reference
    _, run = new_run(tmp_path / "run", epochs=3)
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0)
    real, seen = CAE.loss, []

    def loss(self, x, generator=None):
        seen.append(len(x))
        if len(seen) == 8:  # the held-out images count too: the second epoch, third step
            raise MemoryError
        return real(self, x, generator)

    with monkeypatch.context() as patch:
        patch.setattr(CAE, "loss", loss)
        with pytest.raises(MemoryError):
            train(config, dataset, run)
    steps = []
    with monkeypatch.context() as patch:
        patch.setattr(
            training, "learning_rate", lambda *a: (steps.append(a[1]), learning_rate(*a))[1]
        )
        train(config, dataset, run)
    assert steps[0] == 6  # nothing that was saved is done again
    assert_same_end(run, whole)


def test_a_finished_training_called_again_changes_nothing(reference, dataset, tmp_path):
    config, run = reference
    before = contents(run.path)
    train(config, dataset, run)
    assert contents(run.path) == before


VICTIM = """
import sys, time
from latentshape import training
from latentshape.cli import main
from latentshape.models.cae import CAE
training.CHECKPOINT_SECONDS = 0
real = CAE.loss
def slow(self, x, generator=None):
    if self.training:
        time.sleep(0.1)
    return real(self, x, generator)
CAE.loss = slow
sys.exit(main(sys.argv[1:]))
"""


@contextlib.contextmanager
def victim(arguments, folder):
    process = subprocess.Popen(
        [sys.executable, "-c", VICTIM, *arguments], cwd=folder, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()


def wait_for(condition, process, seconds=100):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.005)


def test_kill_9_then_ctrl_c_then_the_same_command_ends_with_the_same_weights(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("LATENTSHAPE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    arguments = ["train", "--out", "run", *words(epochs=3)]
    assert main(["train", "--out", "whole", *words(epochs=3)]) == 0
    whole, run = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "run")

    moment = np.random.default_rng().uniform(0, 0.8)
    with victim(arguments, tmp_path) as process:
        wait_for(run.checkpoint_path.exists, process)
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, f"after {moment} s"
    assert not run.model_path.exists()

    before = run.checkpoint_path.stat().st_mtime_ns
    with victim(arguments, tmp_path) as process:
        wait_for(lambda: run.checkpoint_path.stat().st_mtime_ns != before, process)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Going on from step" in errors
    assert "Give the same command again" in errors
    assert "Traceback" not in errors
    stage = run.stages()["train"]
    assert stage["finished"] is False
    assert not run.model_path.exists()

    assert main(arguments) == 0
    assert run.stages()["train"]["finished"] is True
    assert run.stages()["train"]["seconds"] > stage["seconds"]  # wall time adds up
    assert_same_end(run, whole)


# --- when it cannot go on ----------------------------------------------------------------------


def planted_nan(monkeypatch, at, in_gradient):
    """A loss that is no number at a step, or a gradient that is none after a good loss."""
    real, seen = CAE.loss, []

    def loss(self, x, generator=None):
        error, terms = real(self, x, generator)
        seen.append(1)
        if len(seen) == at:
            if not in_gradient:
                return error * math.nan, {"mse": terms["mse"] * math.nan}
            error.register_hook(lambda gradient: gradient * math.nan)
        return error, terms

    monkeypatch.setattr(CAE, "loss", loss)


@pytest.mark.parametrize("in_gradient", [False, True], ids=["loss", "gradient"])
@pytest.mark.parametrize("every_step", [False, True], ids=["epochs", "steps"])
@pytest.mark.parametrize("at", [8, 9])  # in the middle, and at the end, of the second epoch
def test_a_loss_that_is_no_number_stops_and_keeps_a_checkpoint_to_go_on_from(
    reference, dataset, tmp_path, monkeypatch, at, every_step, in_gradient
):
    config, whole = reference
    _, run = new_run(tmp_path / "run", epochs=3)
    if every_step:
        monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0)
    with monkeypatch.context() as patch:
        planted_nan(patch, at, in_gradient)
        with pytest.raises(
            InputError, match=r"last good checkpoint is kept in .*last\.safetensors"
        ):
            train(config, dataset, run)
    for name, tensor in load_file(run.checkpoint_path).items():
        assert tensor.isfinite().all(), name
    assert not run.model_path.exists()
    for line in run.metrics_path.read_text().splitlines():
        json.loads(line, parse_constant=lambda word: pytest.fail(word))
    train(config, dataset, run)  # the planted fault is gone: it goes on
    assert_same_end(run, whole)


def test_a_huge_learning_rate_exits_2_and_says_what_to_change(tmp_path, capsys):
    code = main(
        ["train", "--out", str(tmp_path / "run"), *words(learning_rate=1e38, schedule="constant")]
    )
    errors = capsys.readouterr().err
    assert code == 2
    assert "lower --learning-rate" in errors
    assert "Traceback" not in errors
    assert not (tmp_path / "run" / "model.safetensors").exists()


def interrupted(dataset, tmp_path, monkeypatch, **options):
    config, run = new_run(tmp_path / "run", epochs=3, **options)
    with sigint_after(monkeypatch, 6), pytest.raises(Interrupted):
        train(config, dataset, run)
    return config, run


def test_resuming_with_other_images_is_refused(dataset, tmp_path, monkeypatch):
    config, run = interrupted(dataset, tmp_path, monkeypatch)
    before = contents(run.path)
    with pytest.raises(InputError, match="other images"):
        train(config, plain_dataset(seed=1), run)
    assert contents(run.path) == before


def test_another_number_of_threads_is_announced(dataset, tmp_path, monkeypatch, capsys):
    config, run = interrupted(dataset, tmp_path, monkeypatch)
    capsys.readouterr()
    now = torch.get_num_threads()
    torch.set_num_threads(now + 1)
    try:
        facts = train(config, dataset, run).facts
    finally:
        torch.set_num_threads(now)
    assert f"trained with {now} threads so far, {now + 1} now" in capsys.readouterr().err
    assert facts["threads"] == now + 1


@pytest.mark.parametrize("keep", [0, 7, 500, -1])
def test_a_truncated_checkpoint_is_a_sentence(dataset, tmp_path, monkeypatch, keep):
    config, run = interrupted(dataset, tmp_path, monkeypatch)
    whole = run.checkpoint_path.read_bytes()
    run.checkpoint_path.write_bytes(whole[:keep])
    with pytest.raises(InputError, match=r"cannot be read .* Delete it to train from the start"):
        train(config, dataset, run)


def test_a_checkpoint_of_another_network_is_a_sentence(dataset, tmp_path, monkeypatch):
    _config, run = interrupted(dataset, tmp_path, monkeypatch)
    other, _ = new_run(tmp_path / "other", epochs=3, latent_dim=6)
    with pytest.raises(InputError, match="cannot be read"):
        train(other, dataset, run)


# --- what is trained on -------------------------------------------------------------------------


def test_training_sees_each_training_image_once_an_epoch_and_no_other_one(tmp_path, monkeypatch):
    """Planted: every picture is flat, its grey is its row, so that the spy can tell who came."""
    dataset = plain_dataset(120)
    dataset.pixels[:] = np.arange(120, dtype=np.uint8)[:, None, None, None]
    config, run = new_run(tmp_path / "run", epochs=2)
    real, seen = CAE.loss, {True: [], False: []}

    def spy(self, x, generator=None):
        seen[self.training] += (x[:, 0, 0, 0] * 255).round().int().tolist()
        return real(self, x, generator)

    monkeypatch.setattr(CAE, "loss", spy)
    train(config, dataset, run)
    rows, held_out = dataset.indices("train"), dataset.indices("validation")
    first, second = seen[True][: len(rows)], seen[True][len(rows) :]
    assert sorted(first) == sorted(second) == rows.tolist()
    assert first != second  # each epoch has its own order
    assert seen[False] == held_out.tolist() * 2
    assert not set(rows) & set(held_out)


@pytest.mark.parametrize("flip", [True, False])
def test_half_of_the_training_images_are_mirrored_and_no_held_out_one(tmp_path, monkeypatch, flip):
    """Planted: dark left, light right."""
    dataset = plain_dataset(400)
    dataset.pixels[:] = np.linspace(0, 255, 32).astype(np.uint8)[None, None, :, None]
    untouched = dataset.pixels.copy()
    config, run = new_run(tmp_path / "run", epochs=1, flip=flip)
    real, mirrored = CAE.loss, {True: [], False: []}

    def spy(self, x, generator=None):
        mirrored[self.training] += (x[:, 0, 0, 0] > x[:, 0, 0, -1]).tolist()
        return real(self, x, generator)

    monkeypatch.setattr(CAE, "loss", spy)
    train(config, dataset, run)
    share = np.mean(mirrored[True])
    assert (0.4 < share < 0.6) if flip else share == 0
    assert mirrored[False]
    assert not any(mirrored[False])
    assert np.array_equal(dataset.pixels, untouched)


def test_an_unweighted_epoch_is_the_plain_permutation():
    expected = np.random.default_rng([5, 1, 3]).permutation(100)
    assert np.array_equal(epoch_order(5, 3, 100), expected)
    assert sorted(epoch_order(5, 3, 100, np.ones(100))) == list(range(100))


@given(
    st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.3]), min_size=1, max_size=60),
    st.integers(0, 50),
)
@settings(max_examples=100, deadline=None)
def test_a_weight_is_how_often_an_epoch_shows_an_image(weights, seed):
    weights = np.array(weights)
    n = len(weights)
    counts = [np.bincount(epoch_order(seed, e, n, weights), minlength=n) for e in range(3)]
    assert len({int(count.sum()) for count in counts}) == 1  # every epoch is equally long
    for count in counts:
        assert (count >= np.floor(weights)).all()
        assert (count <= np.ceil(weights)).all()
        for weight in set(weights):
            members = weights == weight
            assert abs(count[members].sum() - weight * members.sum()) <= 0.5 + 1e-9


def test_over_many_epochs_a_half_weight_is_half_of_everybody():
    weights = np.full(40, 0.5)
    shown = sum(np.bincount(epoch_order(0, e, 40, weights), minlength=40) for e in range(400))
    assert abs(shown - 200).max() < 5 * np.sqrt(400 * 0.25)


def test_training_shows_each_source_as_often_as_its_weight_says(tmp_path, monkeypatch):
    """Planted: every image says by its brightness which source it is of."""
    dataset = plain_dataset(300)
    source = np.arange(300) % 3
    dataset.pixels[:] = (80 * source).astype(np.uint8)[:, None, None, None]
    weighted = dataclasses.replace(dataset, weights=np.array([0.0, 1.0, 2.0])[source])
    config, run = new_run(tmp_path / "run", epochs=1)
    real, seen = CAE.loss, {True: [], False: []}

    def spy(self, x, generator=None):
        seen[self.training] += (x[:, 0, 0, 0] * 255 / 80).round().int().tolist()
        return real(self, x, generator)

    monkeypatch.setattr(CAE, "loss", spy)
    train(config, weighted, run)
    of_source = np.bincount(source[dataset.indices("train")], minlength=3)
    assert np.bincount(seen[True], minlength=3).tolist() == [0, of_source[1], 2 * of_source[2]]
    assert len(seen[False]) == len(dataset.indices("validation"))  # judged on all alike


def test_weights_that_leave_nothing_to_train_on_are_a_sentence(tmp_path):
    dataset = dataclasses.replace(plain_dataset(), weights=np.zeros(150))
    config, run = new_run(tmp_path / "run")
    with pytest.raises(InputError, match="weights leave no image"):
        train(config, dataset, run)


# --- precision and schedule ---------------------------------------------------------------------


def test_bf16_trains_and_is_recorded(dataset, tmp_path):
    config, run = new_run(tmp_path / "run", epochs=3, precision="bf16")
    trained = train(config, dataset, run)
    assert trained.facts["precision"] == "bf16"
    assert {v.dtype for v in weights_of(run).values()} == {torch.float32}
    errors = [line["heldout_mse"] for line in run.metrics()]
    assert errors[-1] < errors[0]


@pytest.mark.parametrize("faster", ["fp32", "bf16"])
def test_auto_takes_the_precision_that_wins_and_a_resumed_run_keeps_it(
    dataset, tmp_path, monkeypatch, faster
):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True, raising=False)
    monkeypatch.setattr(
        training, "_race", lambda *a: {p: 2.0 - (p == faster) for p in ("fp32", "bf16")}
    )
    config, run = interrupted(dataset, tmp_path, monkeypatch, precision="auto")
    monkeypatch.setattr(
        training, "_race", lambda *a: {p: 1.0 + (p == faster) for p in ("fp32", "bf16")}
    )
    assert train(config, dataset, run).facts["precision"] == faster


def test_auto_is_fp32_where_the_processor_lacks_bf16(dataset, tmp_path, monkeypatch):
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    config, run = new_run(tmp_path / "run", epochs=1, precision="auto")
    assert train(config, dataset, run).facts["precision"] == "fp32"


@pytest.mark.parametrize("schedule", ["one-cycle", "cosine", "constant"])
def test_the_learning_rate_has_its_peak_its_ends_and_no_jump(schedule):
    config = TrainingConfig(learning_rate=0.3, schedule=schedule)
    steps = 1000
    rates = np.array([learning_rate(config, step, steps) for step in range(steps + 1)])
    assert rates.max() == pytest.approx(0.3)
    assert rates.min() > 0
    assert np.abs(np.diff(rates)).max() < 0.3 * 0.006
    first, last, peak = {
        "one-cycle": (0.04, 1e-3, 200), "cosine": (1, 1e-3, 0), "constant": (1, 1, 0)
    }[schedule]  # fmt: skip
    assert rates[0] == pytest.approx(0.3 * first)
    assert rates[-1] == pytest.approx(0.3 * last)
    assert rates.argmax() == peak
    assert (np.diff(rates[: peak + 1]) > 0).all()
    assert (np.diff(rates[peak:]) <= 0).all()
    assert learning_rate(config, 0, 1) > 0


def test_the_rate_of_the_schedule_is_the_rate_of_the_step(dataset, tmp_path, monkeypatch):
    config, run = new_run(tmp_path / "run", epochs=2)
    used, real = [], torch.optim.AdamW.step
    monkeypatch.setattr(
        torch.optim.AdamW,
        "step",
        lambda self, *a, **k: (used.append(self.param_groups[0]["lr"]), real(self, *a, **k))[1],
    )
    train(config, dataset, run)
    steps = len(used)
    assert used == [learning_rate(config.training, step, steps) for step in range(steps)]
    assert run.metrics()[-1]["learning_rate"] == used[-1]


def test_weight_decay_shrinks_the_weights(dataset, tmp_path):
    sizes = []
    for decay in (0.0, 10.0):
        config, run = new_run(
            tmp_path / str(decay), epochs=1, weight_decay=decay, learning_rate=0.02
        )
        train(config, dataset, run)
        sizes.append(sum(v.square().sum().item() for v in weights_of(run).values()))
    assert sizes[1] < 0.95 * sizes[0]


def test_batch_norm_keeps_its_statistics_over_an_interruption(dataset, tmp_path, monkeypatch):
    config, run = interrupted(dataset, tmp_path, monkeypatch, batch_norm=True)
    train(config, dataset, run)
    _, whole = new_run(tmp_path / "whole", epochs=3, batch_norm=True)
    train(config, dataset, whole)
    assert any("running_mean" in name for name in weights_of(whole))
    assert_same_end(run, whole)


@pytest.mark.parametrize("keep", [0, 7, -1])
def test_damaged_weights_are_a_sentence(reference, tmp_path, keep):
    _config, whole = reference
    _, run = new_run(tmp_path / "run", epochs=3)
    run.model_path.write_bytes(whole.model_path.read_bytes()[:keep])
    with pytest.raises(InputError, match="does not hold the weights"):
        load_model(run)


def test_weights_of_another_network_are_a_sentence(reference, tmp_path):
    _config, whole = reference
    _, run = new_run(tmp_path / "run", epochs=3, filters=(5, 6))
    run.model_path.write_bytes(whole.model_path.read_bytes())
    with pytest.raises(InputError, match="does not hold the weights"):
        load_model(run)


def test_a_loaded_model_is_the_trained_one_ready_for_use(reference, dataset):
    config, run = reference
    model = load_model(run)
    assert not model.training
    fresh = build_model(config).state_dict()
    saved = weights_of(run)
    for name, value in model.state_dict().items():
        assert torch.equal(value.cpu(), saved[name])
    assert any(not torch.equal(fresh[name], saved[name]) for name in fresh)
    assert read(run.config_path) == config.to_dict()


# --- snapshots ----------------------------------------------------------------------------------------


def test_snapshots_are_the_weights_on_the_way_and_change_nothing(reference, dataset, tmp_path):
    _, plain = reference
    config, run = new_run(tmp_path / "run", epochs=3, snapshots=(3, 1))
    train(config, dataset, run)
    assert_same_end(run, plain)
    assert list(run.snapshots()) == [1, 3]
    final = weights_of(run)
    first, last = (load_file(path) for path in run.snapshots().values())
    assert first.keys() == last.keys() == final.keys()
    assert all(torch.equal(last[name], final[name]) for name in final)
    assert any(not torch.equal(first[name], final[name]) for name in final)
    loaded = load_model(run, run.snapshots()[1]).state_dict()
    assert all(torch.equal(loaded[name].cpu(), first[name]) for name in first)
    assert not plain.snapshots()
    assert not list(plain.checkpoint_path.parent.glob("epoch-*"))


@pytest.mark.parametrize("calls", [2, 4, 5])
def test_an_interrupted_run_keeps_the_same_snapshots(dataset, tmp_path, monkeypatch, calls):
    """In the middle of the first epoch, at its last step, and at the next epoch's first."""
    config, whole = new_run(tmp_path / "whole", epochs=2, snapshots=(1, 2))
    train(config, dataset, whole)
    _, run = new_run(tmp_path / "run", epochs=2, snapshots=(1, 2))
    with sigint_after(monkeypatch, calls), pytest.raises(Interrupted):
        train(config, dataset, run)
    assert list(run.snapshots()) == ([1] if calls >= 4 else [])
    train(config, dataset, run)
    assert list(run.snapshots()) == [1, 2]
    for epoch, path in whole.snapshots().items():
        mine, theirs = load_file(run.snapshot_path(epoch)), load_file(path)
        assert all(torch.equal(mine[name], theirs[name]) for name in theirs)


def test_a_death_before_the_checkpoint_writes_the_snapshot_again(dataset, tmp_path, monkeypatch):
    config, whole = new_run(tmp_path / "whole", epochs=2, snapshots=(1,))
    train(config, dataset, whole)
    _, run = new_run(tmp_path / "run", epochs=2, snapshots=(1,))
    save = training._save

    def die(run, model, optimizer, progress):
        if progress.step == 4:
            raise KeyboardInterrupt
        save(run, model, optimizer, progress)

    with monkeypatch.context() as patch:
        patch.setattr(training, "_save", die)
        with pytest.raises(KeyboardInterrupt):
            train(config, dataset, run)
    run.snapshot_path(1).unlink()  # whatever was left of it
    train(config, dataset, run)
    assert_same_end(run, whole)
    mine, theirs = (load_file(r.snapshot_path(1)) for r in (run, whole))
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("epoch", [0, -1, 4])
def test_a_snapshot_outside_the_training_is_refused(epoch):
    with pytest.raises(InputError, match=f"snapshots must be from 1 to 3, got {epoch}"):
        tiny_config(epochs=3, snapshots=(1, epoch))
