"""What becomes of one tensor? An outcome for each format and scaling, and the one that a rule recommends.

The recommendation is a rule, and so it can be wrong: the narrowest format in which at most a share `lost` of the
numbers other than zero is lost, and whose SQNR is at least `sqnr` decibels. Of formats with as many bits it is the one
that needs the simplest scaling, and then the one with the highest SQNR. It knows nothing of what the numbers are for:
small gradients may not matter, and one large activation may.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["LOST", "SQNR", "Outcome", "TensorReport", "recommended"]

#: The limits of the recommendation: a share, and decibels.
LOST, SQNR = 0.001, 20.0
_SIMPLEST = ("none", "tensor", "tensor_real", "channel", "tile128", "mx32", "nv16")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What becomes of one tensor in one format, scaled in one way and rounded to nearest even.

    Attributes
    ----------
    tensor, format, scaling : str
        Which.
    bits : float
        Of a number: those of the format, and its share of those of the scale of its block.
    scale : float or None
        What every number is multiplied by before it is rounded; None where each channel, or block, has a factor of its
        own.
    nonzero : int
        The finite numbers other than zero. The shares below are shares of these.
    underflow, overflow : int
        How many become zero, or too large.
    subnormal : int
        How many become subnormal, with fewer bits than others.
    sqnr : float
        The power of the numbers over that of their errors, in decibels; infinite where there is no error. Here, and in
        what follows, a number that is too large becomes the largest finite one, and NaNs and infinities are left out.
    cosine : float
        Of the angle between the numbers and what becomes of them; 0 where all become zero.
    relative_error : float
        The largest error of a number as a share of it; 1 where one becomes zero.
    """

    tensor: str
    format: str
    bits: float
    scaling: str
    scale: float | None
    nonzero: int
    underflow: int
    subnormal: int
    overflow: int
    sqnr: float
    cosine: float
    relative_error: float

    def share(self, name: str) -> float:
        """Return "underflow", "subnormal", "overflow", or "lost" (the first and the third), as a share."""
        number: int = self.underflow + self.overflow if name == "lost" else getattr(self, name)
        return number / self.nonzero if self.nonzero else 0.0

    def metric(self, name: str) -> float:
        """Return a share, or "sqnr", "cosine" or "relative_error"."""
        return (
            float(getattr(self, name)) if name in ("sqnr", "cosine", "relative_error") else self.share(name)
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data; what is infinite or no number is None."""
        names = ("format", "scaling", "scale", "nonzero", "underflow", "subnormal", "overflow")
        shares = {
            f"{name}_share": self.share(name) for name in ("lost", "underflow", "subnormal", "overflow")
        }
        errors = {
            "exact": self.sqnr == math.inf,
            "sqnr_db": _finite(self.sqnr),
            "cosine": _finite(self.cosine),
            "relative_error": _finite(self.relative_error),
        }
        return {name: getattr(self, name) for name in names} | shares | errors


def _finite(x: float) -> float | None:
    return x if math.isfinite(x) else None


@dataclass(frozen=True, kw_only=True)
class TensorReport:
    """What one tensor holds, and what becomes of it.

    Attributes
    ----------
    name, dtype : str
        What it is called, and its type.
    shape : tuple of int
        Its shape.
    elements, measured : int
        How many numbers it has, and how many were looked at: fewer for a sample, none if they are no floats.
    zeros, nans, infinities : int
        Of those that were looked at.
    largest, smallest : float
        The magnitudes of its finite numbers other than zero; 0 where there are none.
    note : str
        "a sample", "not floats", "not read" (floats of a type that float64 does not hold), or "".
    outcomes : tuple of Outcome
        One for each format and scaling.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    elements: int
    measured: int
    zeros: int = 0
    nans: int = 0
    infinities: int = 0
    largest: float = 0.0
    smallest: float = 0.0
    note: str = ""
    outcomes: tuple[Outcome, ...] = ()

    def worst(self, name: str) -> float:
        """Return the largest share "lost", "underflow", "subnormal" or "overflow" of its outcomes."""
        return max((outcome.share(name) for outcome in self.outcomes), default=0.0)

    def recommend(self, lost: float = LOST, sqnr: float = SQNR) -> Outcome | None:
        """Return the outcome that the rule of this file recommends, or None where none is good enough.

        >>> import numpy as np, floatlab as fl
        >>> w = fl.inspect(np.linspace(-1, 1, 101)).tensors[0]
        >>> w.recommend().format, w.recommend(sqnr=40.0).format, w.recommend(sqnr=200.0)
        ('float8_e4m3fn', 'float16', None)
        """
        return recommended([[outcome] for outcome in self.outcomes], lost, sqnr)

    def to_dict(self, lost: float = LOST, sqnr: float = SQNR) -> dict[str, Any]:
        """Return everything as plain data."""
        names = (
            "name",
            "dtype",
            "elements",
            "measured",
            "zeros",
            "nans",
            "infinities",
            "largest",
            "smallest",
            "note",
        )
        chosen = self.recommend(lost, sqnr)
        return {name: getattr(self, name) for name in names} | {
            "shape": list(self.shape),
            "recommended": chosen and {n: getattr(chosen, n) for n in ("format", "scaling", "scale")},
            "outcomes": [outcome.to_dict() for outcome in self.outcomes],
        }


def recommended(groups: Iterable[Sequence[Outcome]], lost: float, sqnr: float) -> Outcome | None:
    """Return the first outcome of the best group, all of whose outcomes are good enough.

    A group is of one format and scaling. The scalings come in the order from the simplest on.
    """
    best = None
    for group in groups:
        group = [outcome for outcome in group if outcome.nonzero]
        if not group or any(o.share("lost") > lost or o.sqnr < sqnr for o in group):
            continue
        rank = (group[0].bits, _SIMPLEST.index(group[0].scaling), -min(o.sqnr for o in group))
        if best is None or rank < best[0]:
            best = (rank, group[0])
    return best and best[1]
