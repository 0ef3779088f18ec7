"""In which format does an optimizer compute? One operation at a time, each rounded into a named format.

An update rule is a short list of array operations. PyTorch rounds the result of each of them to the tensor's
type, and so does a `Workbench`: every method is one operation, and `to` says into which of three formats its
result goes.

    compute   intermediate results: the weight's own format, or float32 where a master copy is kept
    state     what is remembered between steps: momentum, first and second moments
    weight    the weight itself; the only rounding that may be stochastic without being asked for twice

Where the update computes in float32, the operations are NumPy's own, in place; a fused one (`Workbench.add_product`,
say) is two or three of them, each rounded, and a state of a narrower format is rounded from float32. In any other
format, and where float32 weights or state have another mode than nearest_even, they are evaluated in float64, and
the result is rounded to the format. Only ``+ - * /`` and ``sqrt`` are used: IEEE 754 defines each to the last bit, so
that a run gives the same weights on every machine.

A product, a quotient and a root of values of at most 25 bits are so the exact results, rounded once: float64's own
rounding cannot be seen (see `floatlab.operations.double_rounding`). Where a float64 scalar takes part, or in a fused
operation, float64's roundings come first, of a relative 2^-53 each, and are seen if they end on a tie of the format,
or in a directed mode on a value of it. PyTorch evaluates float16 and bfloat16 in float32, and has the same at 2^-24.
To look for elements near a tie would be passes over all of them in every operation, and almost always find none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floatlab.formats import FloatFormat
from floatlab.rounding.quantize import quantize

__all__ = ["Rounding", "Workbench"]

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Rounding:
    """Into which format an operation's result is rounded, and how.

    Parameters
    ----------
    format : FloatFormat
        The format of the result.
    mode : str
        A rounding mode of `floatlab.quantize`.
    rng : numpy.random.Generator, optional
        Where the stochastic modes take their bits from.
    """

    format: FloatFormat
    mode: str = "nearest_even"
    rng: np.random.Generator | None = None

    def is_native(self, work: np.dtype[Any]) -> bool:
        """Whether NumPy's own rounding in `work` is already this one."""
        native = self.format.dtype  # by the format's rule: anything may be called "float32"
        # (to NumPy, None would equal float64)
        return self.mode == "nearest_even" and native is not None and native == work

    @property
    def acts_on_float32(self) -> bool:
        """Whether float32 results can be rounded so; of float32 itself no mode would leave any other."""
        return self.mode == "nearest_even" or self.format.precision < 24

    def __call__(self, values: Array, out: Array) -> Array:
        """Round `values` into `out`; `values` is overwritten."""
        quantize(values, self.format, rounding=self.mode, rng=self.rng, out=values)
        out[...] = values
        return out


class Workbench:
    """The operations of an update rule for one weight, with room to work in.

    Each is evaluated in float64, or in float32 (see the top of this file), in the order in which it is written, and
    then rounded as `to` says.

    Parameters
    ----------
    shape : tuple of int
        The shape of the weight.
    compute, state, weight : Rounding
        The three formats; see the top of this file.
    pool : dict
        Scratch memory, shared by all the workbenches of an optimizer: they work one after the other.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        compute: Rounding,
        state: Rounding,
        weight: Rounding,
        pool: dict[tuple[str, str], Array],
    ) -> None:
        self.compute, self.state, self.weight = compute, state, weight
        self._shape, self._pool = shape, pool
        all_three = (compute, state, weight)
        narrow = all(to.format.value_dtype == np.float32 for to in all_three)
        native = (
            narrow and compute.is_native(np.dtype(np.float32)) and all(to.acts_on_float32 for to in all_three)
        )
        self._type = np.dtype(np.float32 if native else np.float64)
        self._work = self._take("work", self._type)
        self._term = self._take("term", self._type)
        self._native = {to: to.is_native(self._type) for to in (compute, state, weight)}
        # Three places for intermediate results; they hold values of the compute format.
        self.a, self.b, self.c = (self._take(name, compute.format.value_dtype) for name in "abc")

    def _take(self, name: str, dtype: np.dtype[Any]) -> Array:
        size = int(np.prod(self._shape, dtype=np.int64))
        flat = self._pool.get((name, dtype.str))
        if flat is None or flat.size < size:
            flat = self._pool[name, dtype.str] = np.empty(size, dtype)
        return flat[:size].reshape(self._shape)

    def new_state(self, fill: float = 0.0) -> Array:
        """Return an array for the state, filled with one value of its format."""
        array = np.full(self._shape, fill, self.state.format.value_dtype)
        return array if fill == 0.0 else self.state(array, array)

    def scale(self, x: Array, factor: float, *, to: Rounding, out: Array) -> Array:
        """``x * factor``."""
        work = self._begin(to, out)
        np.multiply(x, factor, out=work, dtype=self._type)
        return self._end(work, to, out)

    def multiply(self, x: Array, y: Array, *, to: Rounding, out: Array) -> Array:
        """``x * y``."""
        work = self._begin(to, out)
        np.multiply(x, y, out=work, dtype=self._type)
        return self._end(work, to, out)

    def divide(self, x: Array, y: Array | float, *, to: Rounding, out: Array) -> Array:
        """``x / y``."""
        work = self._begin(to, out)
        np.divide(x, y, out=work, dtype=self._type)
        return self._end(work, to, out)

    def sqrt(self, x: Array, *, to: Rounding, out: Array) -> Array:
        """``sqrt(x)``."""
        work = self._begin(to, out)
        np.sqrt(x, out=work, dtype=self._type)
        return self._end(work, to, out)

    def shift(self, x: Array, constant: float, *, to: Rounding, out: Array) -> Array:
        """``x + constant``."""
        work = self._begin(to, out)
        np.add(x, constant, out=work, dtype=self._type)
        return self._end(work, to, out)

    def add(self, x: Array, y: Array, factor: float = 1.0, *, to: Rounding, out: Array) -> Array:
        """``x + factor * y``.

        Just above a tie, at 1 + 2.0**-8 * (1 + 2.0**-52) in bfloat16, float64 gives the tie, which becomes 1.
        """
        work = self._begin(to, out)
        term = y if factor == 1.0 else np.multiply(y, factor, out=self._term, dtype=self._type)
        np.add(x, term, out=work, dtype=self._type)
        return self._end(work, to, out)

    def add_product(
        self, x: Array, y: Array, z: Array, factor: float = 1.0, *, to: Rounding, out: Array
    ) -> Array:
        """``x + (factor * y) * z`` (PyTorch's ``addcmul``)."""
        work = self._begin(to, out)
        term = np.multiply(y, factor, out=self._term, dtype=self._type)
        np.multiply(term, z, out=term, dtype=self._type)
        np.add(x, term, out=work, dtype=self._type)
        return self._end(work, to, out)

    def add_quotient(
        self, x: Array, y: Array, z: Array, factor: float = 1.0, *, to: Rounding, out: Array
    ) -> Array:
        """``x + (factor * y) / z`` (PyTorch's ``addcdiv``)."""
        work = self._begin(to, out)
        term = np.multiply(y, factor, out=self._term, dtype=self._type)
        np.divide(term, z, out=term, dtype=self._type)
        np.add(x, term, out=work, dtype=self._type)
        return self._end(work, to, out)

    def blend(self, x: Array, y: Array, share: float, *, to: Rounding, out: Array) -> Array:
        """``x + share * (y - x)``, or from a share of 0.5 ``y - (1 - share) * (y - x)`` (PyTorch's ``lerp``)."""
        work = self._begin(to, out)
        term = np.subtract(y, x, out=self._term, dtype=self._type)
        if share < 0.5:
            np.multiply(term, share, out=term)
            np.add(x, term, out=work, dtype=self._type)
        else:  # from the nearer end, as PyTorch does: at share 1 the result is exactly y
            np.multiply(term, 1.0 - share, out=term)
            np.subtract(y, term, out=work, dtype=self._type)
        return self._end(work, to, out)

    def _begin(self, to: Rounding, out: Array) -> Array:
        return out if self._native[to] else self._work

    def _end(self, work: Array, to: Rounding, out: Array) -> Array:
        return out if work is out else to(work, out)
