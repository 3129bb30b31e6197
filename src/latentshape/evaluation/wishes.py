r"""How often a wish came true: what the attribute network says of pictures drawn under a condition.

The network (`evaluation.attribute_features`) was trained on real training images. It errs, most of all on
what is rare or small, and a decoder's blur takes away what it looks for: glasses without frames are hardly
glasses. So a rate alone says little, and stands beside two others:

* ``reconstruction``: the rate on reconstructions of *held-out* images that truly satisfy the condition,
  the best that any law of codes could be asked for;
* ``unconditional``: the rate on pictures drawn without the condition, what chance gives.

``ratio`` is the first rate over that of reconstructions: 1 where drawn pictures show what was asked for as
often as pictures of images that have it. Rates have Wilson's 95 % intervals; the ratio's is normal in its
logarithm,

.. math:: \log \frac{p_1}{p_2} \pm 1.96\,\sqrt{\frac{1 - p_1}{n_1 p_1} + \frac{1 - p_2}{n_2 p_2}} .

A rate above that of reconstructions is no merit: it says that a law draws more decided pictures than the
images are, as one that stays near the class's centre does.

References:
    Katz, Baptista, Azen & Pike, 1978, https://doi.org/10.2307/2530610 (the interval of a ratio)
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from latentshape._checks import thinned
from latentshape.conditions import Condition
from latentshape.decoding import decode
from latentshape.errors import InputError
from latentshape.evaluation.attribute_features import AttributeFeatures
from latentshape.evaluation.scorecard import wilson
from latentshape.facts import Facts
from latentshape.models.base import Autoencoder

__all__ = ["Witness", "rate_of", "ratio_of_rates"]

#: Reconstructions that one condition is asked of, at most.
MOST = 1000


class Witness:
    """Says of decoded codes whether they show what was asked for.

    Args:
        model: Decodes.
        network: Looks at the pictures.
        z: Codes (n, d) of held-out images.
        facts: What is truly known of these images.
    """

    def __init__(
        self, model: Autoencoder, network: AttributeFeatures, z: np.ndarray, facts: Facts
    ) -> None:
        self.model, self.network, self.z, self.facts = model, network, z, facts
        self._said: dict[str, Facts | None] = {}

    def says(self, z: np.ndarray) -> Facts:
        """What the network says of the pictures of codes (n, d)."""
        said = [self.network.predict(images) for images in decode(self.model, z)]
        return Facts(said[0].names, np.concatenate([f.values for f in said]), said[0].answers)

    def reconstructions(self, condition: Condition) -> Facts | None:
        """What it says of reconstructions of held-out images that satisfy a condition; None without any."""
        key = str(condition)
        if key not in self._said:
            rows = thinned(np.flatnonzero(self.facts.satisfying(condition)), MOST)
            self._said[key] = self.says(np.asarray(self.z[rows])) if len(rows) else None
        return self._said[key]

    def record(self, condition: Condition, drawn: Facts, free: Facts) -> dict[str, Any]:
        """How often a condition came true.

        Args:
            condition: What was asked for.
            drawn: What the network says of pictures drawn under it.
            free: The same of pictures drawn without it.

        Returns:
            ``drawn``, ``reconstruction``, ``unconditional``, each as `rate_of` gives it; ``ratio`` of the
            first to the second; and ``network``, how well it knows each attribute on held-out images.

        Raises:
            InputError: The network was not trained on one of the attributes.
        """
        for name in condition.names:
            if name not in drawn.names:
                raise InputError(
                    f"The attribute network knows nothing of {name!r}, which does not vary among the images "
                    "that it was trained on; ask for another attribute."
                )
        drawn_rate = rate_of(drawn, condition)
        rebuilt_rate = rate_of(self.reconstructions(condition), condition)
        return {
            "drawn": drawn_rate,
            "reconstruction": rebuilt_rate,
            "unconditional": rate_of(free, condition),
            "ratio": ratio_of_rates(drawn_rate, rebuilt_rate),
            "network": {name: self.network.skill(name) for name in condition.names},
        }


def rate_of(said: Facts | None, condition: Condition) -> dict[str, Any]:
    """Share of pictures that show what a condition asks for: ``value``, ``low``, ``high``, ``n``."""
    if said is None:
        return {"value": None, "why": "no held-out image satisfies the condition", "n": 0}
    seen = said.satisfying(condition)
    low, high = wilson(int(seen.sum()), len(seen))
    return {"value": float(seen.mean()), "low": low, "high": high, "n": len(seen)}


def ratio_of_rates(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """The first rate over the second, with its 95 % interval.

    Example:
        >>> found = ratio_of_rates({"value": 0.8, "n": 400}, {"value": 0.8, "n": 400})
        >>> found["value"], round(found["low"], 3), round(found["high"], 3)
        (1.0, 0.933, 1.072)
    """
    p, q = first["value"], second["value"]
    if p is None or q is None:
        return {"value": None, "why": first.get("why") or second.get("why")}
    if not q:
        return {"value": None, "why": "the network finds it in none of the reconstructions"}
    if not p:
        return {"value": 0.0, "low": 0.0, "high": first["high"] / q}
    spread = 1.96 * math.sqrt((1 - p) / (first["n"] * p) + (1 - q) / (second["n"] * q))
    return {"value": p / q, "low": p / q * math.exp(-spread), "high": p / q * math.exp(spread)}
