"""latentshape: see the shape of a latent space, and sample from it.

The public names below are imported when they are first used, so ``import latentshape`` itself is light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from latentshape.adapters.choosing import adapt
    from latentshape.adopting import adopt
    from latentshape.analysis import analyze
    from latentshape.codes import load_codes
    from latentshape.config import make_config
    from latentshape.data import open_dataset
    from latentshape.decoding import decode_pixels
    from latentshape.errors import InputError
    from latentshape.images import grid, save_png
    from latentshape.models import load_model
    from latentshape.pipeline import run_all
    from latentshape.runs import RunFolder
    from latentshape.samplers import SAMPLERS, make_sampler
    from latentshape.shape import measure
    from latentshape.sharing import from_pretrained, save_pretrained

_HOMES = {
    "InputError": "errors",
    "RunFolder": "runs",
    "SAMPLERS": "samplers",
    "adapt": "adapters.choosing",
    "adopt": "adopting",
    "analyze": "analysis",
    "decode_pixels": "decoding",
    "from_pretrained": "sharing",
    "grid": "images",
    "load_codes": "codes",
    "load_model": "models",
    "make_config": "config",
    "make_sampler": "samplers",
    "measure": "shape",
    "open_dataset": "data",
    "run_all": "pipeline",
    "save_png": "images",
    "save_pretrained": "sharing",
}

__all__ = [
    "SAMPLERS",
    "InputError",
    "RunFolder",
    "adapt",
    "adopt",
    "analyze",
    "decode_pixels",
    "from_pretrained",
    "grid",
    "load_codes",
    "load_model",
    "make_config",
    "make_sampler",
    "measure",
    "open_dataset",
    "run_all",
    "save_png",
    "save_pretrained",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'latentshape' has no attribute {name!r}")
    value = getattr(import_module(f"latentshape.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
