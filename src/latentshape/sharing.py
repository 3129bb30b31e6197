"""A trained model and the law of its codes in one folder, to be handed on.

The folder is a run folder without images, codes and checkpoints, so that every command that draws or decodes
takes it:

=======================  ==========================================================================
``config.json``          networks and training, word for word; of the data what they were, not where
``model.safetensors``    the weights
``samplers/NAME.*``      the latent law: one fitted sampler (`latentshape.samplers`)
``shape.json``           the measured shape of the training codes, where it was measured
``scorecard.json``       what the pictures were worth, where they were judged
``README.md``            the model card: what it is, its scorecard with yardsticks, how to use it
``samples/NAME.png``     pictures of the law, drawn from seeds 0, 1, 2, ...
``pretrained.json``      which law, digests of weights and law: a law belongs to one decoder
=======================  ==========================================================================

Nothing in it is a pickle: a folder of a stranger's can be loaded without trust in more than its numbers.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np

from latentshape import __version__
from latentshape.config import ADOPTED
from latentshape.errors import InputError, first_line
from latentshape.files import atomic_path, exported_folder, write_json
from latentshape.progress import say
from latentshape.runs import RunFolder, read_record

if TYPE_CHECKING:
    from latentshape.models.base import Autoencoder
    from latentshape.samplers import Sampler

__all__ = ["Pretrained", "from_pretrained", "save_pretrained"]

#: What marks a folder of this kind, and tells its law.
MARK = "pretrained.json"
CARD = "README.md"
#: Of the facts about the data, those that say nothing about where they lay or what was in them.
TOLD = ("kind", "fingerprint", "images", "splits", "attribute_names", "converted", "sizes", "modes")
#: Everything that may be in the folder: nothing else is fetched from a hub.
FILES = ("*.json", "*.safetensors", CARD, "samplers/*", "samples/*")
HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


@final
class Pretrained:
    """A trained autoencoder together with the law of its codes.

    Attributes:
        run: The folder that it came from.
        model: The autoencoder, ready to encode and decode.
        sampler: The law, fitted.
    """

    def __init__(self, run: RunFolder, model: Autoencoder, sampler: Sampler) -> None:
        self.run, self.model, self.sampler = run, model, sampler
        data = run.config().data
        self._shape = (data.size, data.size, data.channels)

    def __repr__(self) -> str:
        """What it is, in a line."""
        size, _, channels = self._shape
        return (
            f"Pretrained({str(self.run.path)!r}: {self.run.config().model.model}, {size} px, "
            f"{'colour' if channels == 3 else 'grey'}, d = {self.model.latent_dim}, drawn by "
            f"{self.sampler.name})"
        )

    def sample(self, n: int, seed: int = 0) -> np.ndarray:
        """New pictures.

        Args:
            n: How many.
            seed: Picture i is drawn from seed + i, whatever n is.

        Returns:
            Pixels (n, h, w, c), uint8.
        """
        return self.decode(self.sampler.sample_at(range(seed, seed + n)))

    def encode(self, pixels: Any) -> np.ndarray:
        """Codes of images.

        Args:
            pixels: (n, h, w, c), uint8, of the model's size and channels.

        Returns:
            Codes (n, d), float32.

        Raises:
            InputError: They are of another size, number of channels, or type.
        """
        from latentshape.codes import encode_pixels
        from latentshape.pipeline import precision_of

        pixels = np.asarray(pixels)
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1:] != self._shape:
            raise InputError(
                f"Expected uint8 images (n, {', '.join(map(str, self._shape))}), got {pixels.dtype} "
                f"{pixels.shape}; latentshape.open_dataset(SPEC, size={self._shape[0]}, "
                f"channels={self._shape[2]}).pixels are such."
            )
        if not len(pixels):
            return np.empty((0, self.model.latent_dim), np.float32)
        blocks = encode_pixels(self.model, pixels, np.arange(len(pixels)), precision_of(self.run))
        return np.concatenate(list(blocks))

    def decode(self, z: Any) -> np.ndarray:
        """Pixels (n, h, w, c), uint8, of codes (n, d)."""
        from latentshape.decoding import decode_pixels

        return decode_pixels(self.model, z)

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write it into another folder: see `save_pretrained`."""
        return save_pretrained(self.run, folder, sampler=self.sampler.name)

    def push_to_hub(self, repo: str, *, private: bool = False, token: str | None = None) -> str:
        """Put it on the Hugging Face hub; needs the extra ``hub``.

        Args:
            repo: ``owner/name``; made if it is not there.
            private: Whether a new one is.
            token: Of the account; None: the one that is logged in.

        Returns:
            The address of the commit.

        Raises:
            InputError: The package is missing, or the hub refused.
        """
        hub = _hub()
        if not HUB_NAME.fullmatch(repo):
            raise InputError(f"A repository is called owner/name, got {repo!r}.")
        if not (self.run.path / MARK).exists():
            raise InputError(
                f"{self.run.path} is a run with all its data; save_pretrained(folder) first, look at what is "
                "in that folder, then push what from_pretrained(folder) gives."
            )
        api = hub.HfApi(token=token)
        try:
            api.create_repo(repo, private=private, exist_ok=True)
            done = api.upload_folder(
                repo_id=repo, folder_path=str(self.run.path), allow_patterns=list(FILES),
                commit_message=f"latentshape {__version__}",
            )  # fmt: skip
        except (OSError, ValueError) as error:  # what the hub's client raises is one of these
            raise InputError(f"The hub did not take {repo!r}: {first_line(error)}.") from None
        return str(done)


def save_pretrained(run: RunFolder | str | Path, folder: str | Path, sampler: str = "auto") -> Path:
    """Write a model and the law of its codes into a folder of their own, to be handed on.

    No image, no code of an image and no path goes along; a picture of what the law draws does.

    Args:
        run: A run folder with a trained model and codes.
        folder: New, empty, or one that was written so before: its files are then replaced, and no others.
        sampler: The law: a name in the registry, or ``auto``: the one that ``evaluate`` recommended, where
            nothing was judged ``gaussian``. Laws that repeat training codes are refused.

    Returns:
        The folder.

    Raises:
        InputError: The run lacks something, the law holds codes of images, or the folder is in use.

    Example:
        >>> import latentshape as ls
        >>> ls.save_pretrained("runs/faces", "faces-of-mine")  # doctest: +SKIP
        >>> ls.from_pretrained("faces-of-mine").sample(4).shape  # doctest: +SKIP
        (4, 64, 64, 3)
    """
    run = run if isinstance(run, RunFolder) else RunFolder.open(run)
    folder = Path(folder)
    config = run.config()
    if config.model.model == ADOPTED:
        raise InputError(
            f"The weights of an adopted model are not in {run.path} but with their owner: share the model as "
            "its framework does, and beside it the law (samplers/ in the run folder)."
        )
    run.need(run.model_path, "train --out")
    if folder.exists() and folder.samefile(run.path):
        raise InputError(f"{folder} is the run itself; give another folder.")
    with exported_folder(folder, MARK, "export of a model") as (building, facts):
        name, law = _law(run, sampler)
        facts |= _fill(RunFolder(building), run, name, law)
    return folder


def from_pretrained(name: str | Path, *, revision: str | None = None) -> Pretrained:
    """A model and the law of its codes, from a folder or from the Hugging Face hub.

    Args:
        name: A folder that `save_pretrained` wrote, or a run folder; else ``owner/name`` on the hub, for
            which the extra ``hub`` is needed.
        revision: On the hub: a branch, tag or commit.

    Returns:
        The model with its law: ``.sample(n, seed)`` gives pixels (n, h, w, c), ``.sampler`` draws codes,
            ``.encode(pixels)`` and ``.decode(z)`` go there and back.

    Raises:
        InputError: Nothing there, or files that do not belong together.
    """
    from latentshape.models import load_model

    folder = Path(name)
    if not folder.is_dir():
        folder = _fetched(str(name), revision)
    run = RunFolder.open(folder)
    if not (run.path / MARK).exists():
        return Pretrained(run, load_model(run), _law(run, "auto")[1])
    from latentshape.samplers import load_sampler

    record = read_record(run.path / MARK, "sampler", "weights", "law")
    run.need(run.model_path, "export RUN --pretrained")
    law = load_sampler(run.samplers_path / str(record["sampler"]))
    for what, found in (("weights", _digest(run.model_path)), ("law", _law_digest(run, record))):
        if record[what] != found:
            raise InputError(
                f"The {what} in {run.path} are not those that {MARK} tells of: a law belongs to one decoder. "
                "Fetch or export the folder again."
            )
    model = load_model(run)
    if law.latent_dim_ != model.latent_dim:
        raise InputError(
            f"The law in {run.path} is of {law.latent_dim_} components, the model's codes have "
            f"{model.latent_dim}. Export the folder again."
        )
    return Pretrained(run, model, law)


def _law(run: RunFolder, name: str) -> tuple[str, Sampler]:
    """The law that is shared, fitted, and its name."""
    from latentshape.drawing import fitted, recommended
    from latentshape.samplers import sampler_class

    if name == "auto":
        name = recommended(run, otherwise="gaussian")
    if sampler_class(name).baseline:
        raise InputError(
            f"The law {name!r} holds the codes of the training images themselves, and is not shared; choose "
            "another --sampler, such as gaussian."
        )
    law = fitted(run, name)
    return law.name, law


def _fill(shared: RunFolder, run: RunFolder, name: str, law: Sampler) -> dict[str, Any]:
    """Write everything that the folder holds; give what its mark tells."""
    from latentshape.data.spec import without_paths
    from latentshape.decoding import decode_pixels
    from latentshape.images import grid, save_png
    from latentshape.models import load_model
    from latentshape.pipeline import SHOWN

    config, facts = run.config(), {}
    if run.dataset_path.exists():
        facts = read_record(run.dataset_path, "kind")
    spec = without_paths(config.data.data, str(facts.get("kind", "images")))
    config = dataclasses.replace(config, data=dataclasses.replace(config.data, data=spec))
    write_json(shared.config_path, config.to_dict())
    told = {key: facts[key] for key in TOLD if key in facts}
    # What else is in it names files, or folders.
    write_json(shared.dataset_path, {"spec": spec, **told, "unreadable": {}, "notices": []})
    stages = run.stages()
    kept = ("train", "encode", "analyze", "evaluate")
    write_json(shared.stages_path, {stage: stages[stage] for stage in kept if stage in stages})
    for path, place in (
        (run.model_path, shared.model_path),
        (run.shape_path, shared.shape_path),
        (run.scorecard_path, shared.scorecard_path),
        (run.metrics_path, shared.metrics_path),
    ):
        if path.exists():
            shutil.copyfile(path, place)
    shared.samplers_path.mkdir()
    law.save(shared.samplers_path / name)
    pictures = decode_pixels(load_model(run), law.sample_at(range(SHOWN)))
    save_png(shared.samples_path / f"{name}.png", grid(pictures))
    record: dict[str, Any] = {
        "format": 1,
        "sampler": name,
        "latent_dim": law.latent_dim_,
        "weights": _digest(shared.model_path),
        "latentshape": __version__,
    }
    record["law"] = _law_digest(shared, record)
    with atomic_path(shared.path / CARD) as temporary:
        temporary.write_text(_card(shared, law, facts), encoding="utf-8")
    return record


def _card(shared: RunFolder, law: Sampler, facts: dict[str, Any]) -> str:
    from latentshape.report import card_table, render

    shape = read_record(shared.shape_path, "n", "d") if shared.shape_path.exists() else None
    card = read_record(shared.scorecard_path, "rows") if shared.scorecard_path.exists() else None
    metrics = shared.metrics()
    return render(
        "model_card.md",
        {
            "config": shared.config(), "shape": shape, "card": card, "facts": facts, "law": law,
            "table": card_table(card, law.name) if card else [],
            "heldout_mse": metrics[-1]["heldout_mse"] if metrics else None,
            "parameters": shared.stages().get("train", {}).get("parameters"),
            "version": __version__,
        },
    )  # fmt: skip


def _digest(path: Path) -> str:
    return _hash([path])


def _law_digest(run: RunFolder, record: dict[str, Any]) -> str:
    stem = run.samplers_path / str(record["sampler"])
    return _hash([stem.with_name(stem.name + end) for end in (".json", ".safetensors")])


def _hash(paths: Iterable[Path]) -> str:
    found = hashlib.blake2b(digest_size=12)
    for path in paths:
        found.update(path.read_bytes())
    return found.hexdigest()


def _hub() -> Any:
    try:
        import huggingface_hub
    except ImportError:
        raise InputError(
            "The hub needs the package huggingface_hub: pip install 'latentshape[hub]'"
        ) from None
    return huggingface_hub


def _fetched(name: str, revision: str | None) -> Path:
    """The folder of a repository on the hub, fetched or kept from the last time."""
    if not HUB_NAME.fullmatch(name):
        raise InputError(
            f"There is no folder {name!r}, and it is no owner/name of the hub either. A folder is "
            "written by: latentshape export RUN --pretrained DIR"
        )
    hub = _hub()
    say(f"There is no folder {name!r} here: asking the hub for it.")
    try:
        return Path(hub.snapshot_download(name, revision=revision, allow_patterns=list(FILES)))
    except (OSError, ValueError) as error:
        raise InputError(
            f"Neither a folder {name!r} nor such a repository on the hub ({first_line(error)})."
        ) from None
