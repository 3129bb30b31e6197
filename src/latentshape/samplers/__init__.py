"""Ways to draw new codes: `make_sampler(name).fit(z).sample(n, seed=0)`.

A sampler learns a law from codes and draws codes from it; it knows no images. All share one
contract (`samplers.base.Sampler`), and `SAMPLERS` names them without importing them.
"""

__all__ = ["SAMPLERS", "Sampler", "load_sampler", "make_sampler", "sampler_class"]

from importlib import import_module
from os import PathLike
from typing import TYPE_CHECKING, Any

from latentshape.errors import InputError, suggestion

if TYPE_CHECKING:
    from latentshape.samplers.base import Sampler

SAMPLERS: dict[str, str] = {
    "cube": "latentshape.samplers.uniform:Cube",
    "intervals": "latentshape.samplers.uniform:Intervals",
    "standard-normal": "latentshape.samplers.gaussian:StandardNormal",
    "zero-mean": "latentshape.samplers.gaussian:ZeroMean",
    "centred": "latentshape.samplers.gaussian:Centred",
    "diagonal": "latentshape.samplers.gaussian:Diagonal",
    "gaussian": "latentshape.samplers.gaussian:Gaussian",
    "low-rank": "latentshape.samplers.low_rank:LowRank",
    "ellipsoid": "latentshape.samplers.ellipsoid:Ellipsoid",
    "pairwise-ellipse": "latentshape.samplers.pairwise:PairwiseEllipse",
    "elliptical": "latentshape.samplers.elliptical:Elliptical",
    "copula": "latentshape.samplers.copula:Copula",
    "mixture": "latentshape.samplers.mixture:Mixture",
    "flow": "latentshape.flows:Flow",
    "neighbours": "latentshape.samplers.neighbours:Neighbours",
    "training-codes": "latentshape.samplers.codes:TrainingCodes",
}
"""Name of each sampler and where its class lives, from the plainest law to the codes themselves."""


def sampler_class(name: str) -> "type[Sampler]":
    """Return the class of the sampler called `name`.

    Example:
        >>> sampler_class("gausian")
        Traceback (most recent call last):
            ...
        latentshape.errors.InputError: No sampler is called 'gausian'; did you mean 'gaussian'?
        There are: cube, intervals, standard-normal, zero-mean, centred, diagonal, gaussian,
        low-rank, ellipsoid, pairwise-ellipse, elliptical, copula, mixture, flow, neighbours,
        training-codes.
    """
    if name not in SAMPLERS:
        raise InputError(f"No sampler is called {name!r}{suggestion(name, SAMPLERS)}")
    module, _, cls = SAMPLERS[name].partition(":")
    return getattr(import_module(module), cls)


def make_sampler(name: str, /, **options: Any) -> "Sampler":
    """Return an unfitted sampler with the given options.

    Args:
        name: A name in `SAMPLERS`.
        **options: Those of its class, such as ``temperature=0.8``.

    Returns:
        The sampler: `fit` it to codes (n, d), then `sample`.

    Raises:
        InputError: No such sampler, or it has no such option.

    Example:
        >>> make_sampler("gaussian", temperature=0.8)
        Gaussian(temperature=0.8)
    """
    cls = sampler_class(name)
    known = cls._get_param_names()
    for option in options:
        if option not in known:
            if not known:
                raise InputError(
                    f"Sampler {name!r} takes no options, got {option!r}; leave it out."
                )
            raise InputError(
                f"Sampler {name!r} has no option {option!r}{suggestion(option, known)}"
            )
    return cls(**options)


def load_sampler(path: str | PathLike[str]) -> "Sampler":
    """Return the fitted sampler that `Sampler.save` wrote at `path`."""
    from latentshape.samplers.base import Sampler

    return Sampler.load(path)


def __getattr__(name: str) -> Any:
    if name == "Sampler":  # imported on demand: it brings scikit-learn
        from latentshape.samplers.base import Sampler

        return Sampler
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
