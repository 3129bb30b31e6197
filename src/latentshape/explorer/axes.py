r"""Axes of a plane, and how a place in the plane becomes a code again.

An axis is an affine read-out of codes, :math:`u = w^T z + c`: a component, a score on a principal axis, or
an attribute's score in sigmas. Two of them, A = (w_x, w_y) in rows, span a plane. A place t in it has many
codes; two choices of the rest are of interest. *Plain*: the rest stays as it is (at the mean, or at a chosen
code), and the step is the shortest that moves the two read-outs,

.. math:: E = A^T (A A^T)^{-1}.

*Conditional*: the mean of all codes that a Gaussian with the cloud's covariance has at that place,

.. math:: E = \Sigma A^T (A \Sigma A^T)^{-1},

so that what is correlated with the two moves along. In both :math:`z = z_0 + E (t - t_0)`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from latentshape.attributes import Directions
from latentshape.errors import InputError, suggestion
from latentshape.shape import PCA, Moments
from latentshape.shape.wide import WideMoments

__all__ = ["Axes", "Axis", "PlaneOfAxes"]

KINDS = ("component", "pca", "attribute")
#: Read-outs more parallel than this (in the cloud's own metric) span no plane.
PARALLEL = 1 - 1e-6


@dataclass(frozen=True, eq=False)
class Axis:
    """One read-out.

    Attributes:
        name: As URLs have it, such as ``pca:0``.
        label: For people.
        readout: w, shape (d,), float64.
        offset: c.
        mean, std: Of the codes along it.
        unit: What one step is: ``code`` (components, principal axes) or ``sigma`` (attributes).
    """

    name: str
    label: str
    readout: np.ndarray
    offset: float
    mean: float
    std: float
    unit: str


class Axes:
    """All axes of a cloud, by name.

    Args:
        moments: Of the codes.
        directions: Of attributes, where any are known.
    """

    def __init__(
        self, moments: Moments | WideMoments, directions: Directions | None = None
    ) -> None:
        self.moments, self.directions = moments, directions
        self.pca = PCA.of(moments)
        usable = self.pca.eigenvalues > 1e-10 * max(self.pca.eigenvalues[0], 0.0)
        self.n_pca = int(usable.sum())

    @property
    def attributes(self) -> tuple[str, ...]:
        """Names of the attributes that have a direction."""
        return self.directions.names if self.directions else ()

    def __getitem__(self, name: str) -> Axis:
        """The axis of a name.

        Raises:
            InputError: There is none.
        """
        kind, _, which = name.partition(":")
        if kind not in KINDS:
            raise InputError(
                f"An axis is 'component:J', 'pca:K' or 'attribute:NAME', got {name!r}"
                f"{suggestion(kind, KINDS)}"
            )
        if kind == "attribute":
            return self._attribute(which)
        count = self.moments.d if kind == "component" else self.n_pca
        if not (which.isascii() and which.isdigit() and len(which) < 9 and int(which) < count):
            raise InputError(f"{kind} axes are numbered 0 to {count - 1}, got {which!r}.")
        return self._component(int(which)) if kind == "component" else self._principal(int(which))

    def _component(self, j: int) -> Axis:
        readout = np.zeros(self.moments.d)
        readout[j] = 1.0
        mean, std = float(self.moments.mean[j]), float(self.moments.std[j])
        return Axis(f"component:{j}", f"component {j}", readout, 0.0, mean, std, "code")

    def _principal(self, k: int) -> Axis:
        readout, share = self.pca.axes[k], float(self.pca.explained[k])
        label = f"principal axis {k + 1} ({share:.1%} of the variance)"
        offset = -float(readout @ self.moments.mean)
        return Axis(f"pca:{k}", label, readout, offset, 0.0, float(self.pca.std[k]), "code")

    def _attribute(self, name: str) -> Axis:
        if self.directions is None:
            raise InputError(
                f"There is no axis {name!r}: nothing is known of these images beside their pixels."
            )
        readout = self.directions.readouts[self.directions.index(name)]
        offset = -float(readout @ self.moments.mean)
        return Axis(f"attribute:{name}", f"{name}, in σ", readout, offset, 0.0, 1.0, "sigma")

    def plane(self, x: str, y: str) -> PlaneOfAxes:
        """The plane of two axes.

        Raises:
            InputError: No such axis, or two of which one says what the other says.
        """
        return PlaneOfAxes(self[x], self[y], self.moments)


class PlaneOfAxes:
    """Two axes together.

    Attributes:
        x, y: The axes.
        readouts: A, shape (2, d).
        offset, mean: Shape (2,), mean of the codes in the plane.
        cov: Shape (2, 2).
        moments: The two together, as those of codes with two components.
        plain, conditional: The columns of E for both choices, as rows, shape (2, d).

    Example:
        >>> moments = Moments(99, np.array([1.0, 0.0, 2.0]), np.diag([1.0, 4.0, 9.0]))
        >>> plane = Axes(moments).plane("component:0", "pca:0")
        >>> z = moments.mean + 3 * plane.plain[1]
        >>> plane.project(z[None]).round(6).tolist()
        [[1.0, 3.0]]
    """

    def __init__(self, x: Axis, y: Axis, moments: Moments | WideMoments) -> None:
        self.x, self.y = x, y
        self.readouts = np.stack([x.readout, y.readout])
        self.offset = np.array([x.offset, y.offset])
        self.mean = self.readouts @ moments.mean + self.offset
        spread = moments.times(self.readouts.T)
        self.cov = self.readouts @ spread
        self.moments = Moments(moments.n, self.mean, self.cov)
        gram = self.readouts @ self.readouts.T
        for name, table in (("axes", gram), ("codes along the axes", self.cov)):
            both = np.sqrt(np.prod(np.diag(table)))
            if not both > 0 or abs(table[0, 1]) > PARALLEL * both:
                raise InputError(
                    f"{x.name} and {y.name} span no plane: the {name} vary in one direction only. "
                    "Choose two different axes."
                )
        self.plain = np.linalg.solve(gram, self.readouts)
        self.conditional = np.linalg.solve(self.cov, spread.T)

    def project(self, z: np.ndarray) -> np.ndarray:
        """Places (n, 2) of codes (n, d), float64."""
        return np.asarray(z, np.float64) @ self.readouts.T + self.offset
