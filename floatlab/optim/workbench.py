"""In which format does an optimizer compute? One operation at a time, each rounded into a named format.

An update rule is a short list of array operations. PyTorch rounds the result of each of them to the tensor's
type, and so does a `Workbench`: every method is one operation, and `to` says into which of three formats its
result goes.

    compute   intermediate results: the weight's own format, or float32 where a master copy is kept
    state     what is remembered between steps: momentum, first and second moments
    weight    the weight itself; the only rounding that may be stochastic without being asked for twice

Each is one operation with one rounding: ``x + factor * y``, a quotient that is added, a mean of the old and the new. A
scalar counts with its exact value. They are evaluated in float64 and rounded to the format.

In float32 and wider formats the result is the exact one, rounded once: where float64's own rounding could be seen, the
operation is evaluated exactly (exactly.py). In float32 and float64 themselves most results are known to be right
without it (enclosed.py). PyTorch rounds a scalar to float32 first, and a fused operation once or twice, depending on
the machine.

In narrower formats float64's roundings come first, of a relative 2^-53 each, and are seen if they end on a tie of the
format, or in a directed mode on a value of it; a product, a quotient and a root of values of at most 25 bits show none
of them (see `floatlab.operations.double_rounding`). PyTorch evaluates float16 and bfloat16 in float32, and has the same
at 2^-24, mostly with the same result: 0.9 times a multiple of ten is a multiple of nine to both.

Only ``+ - * /`` and ``sqrt`` are used: IEEE 754 defines each to the last bit, so that a run gives the same weights on
every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floatlab.formats import FloatFormat
from floatlab.optim.enclosed import BLOCK, Room, round_once
from floatlab.optim.evaluation import FUSED, evaluate
from floatlab.optim.exactly import settle
from floatlab.rounding.modes import MODES
from floatlab.rounding.quantize import quantize

__all__ = ["Rounding", "Workbench"]

Array = NDArray[Any]
Blocks = list[tuple[slice, Room]]
_WIDE = np.dtype(np.float64)


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

    @property
    def is_nearest(self) -> bool:
        """Whether the mode looks at ties alone."""
        return MODES[self.mode].nearest

    @property
    def is_plain(self) -> bool:
        """Whether it is what NumPy does when it writes a float64 into an array of the format."""
        native = self.format.dtype  # by the format's rule: anything may be called "float32"
        # (to NumPy, None would equal float64)
        return self.mode == "nearest_even" and native is not None and native.itemsize >= 4

    def __call__(self, values: Array, out: Array) -> Array:
        """Round `values` into `out`; `values` is overwritten."""
        quantize(values, self.format, rounding=self.mode, rng=self.rng, out=values)
        out[...] = values
        return out


class Workbench:
    """The operations of an update rule for one weight, with room to work in; each is rounded once, as `to` says.

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
        self._work, self._term = (self._take(name, _WIDE) for name in ("work", "term"))
        self._blocks = {to: self._blocks_of(to) for to in (compute, state, weight)}
        # Three places for intermediate results; they hold values of the compute format.
        self.a, self.b, self.c = (self._take(name, compute.format.value_dtype) for name in "abc")

    def _take(self, name: str, dtype: np.dtype[Any]) -> Array:
        size = int(np.prod(self._shape, dtype=np.int64))
        flat = self._pool.get((name, dtype.str))
        if flat is None or flat.size < size:
            flat = self._pool[name, dtype.str] = np.empty(size, dtype)
        return flat[:size].reshape(self._shape)

    def _blocks_of(self, to: Rounding) -> Blocks | None:
        """Return which elements are computed together, and where; None if the format is not one of NumPy's."""
        if not to.is_plain:
            return None
        dtype = to.format.value_dtype
        flats = [self._work.reshape(-1), self._term.reshape(-1)]
        flats += [self._take(name, dtype).reshape(-1) for name in ("low", "high")]
        rooms: dict[int, Room] = {}
        blocks, total = [], flats[0].size
        for start in range(0, total, BLOCK):
            size = min(BLOCK, total - start)
            room = rooms.setdefault(size, Room(*(flat[:size] for flat in flats)))
            blocks.append((slice(start, start + size), room))
        return blocks

    def new_state(self, fill: float = 0.0) -> Array:
        """Return an array for the state, filled with one value of its format."""
        array = np.full(self._shape, fill, self.state.format.value_dtype)
        return array if fill == 0.0 else self.state(array, array)

    def scale(self, x: Array, factor: float, *, to: Rounding, out: Array) -> Array:
        """``x * factor``."""
        return self._run("scale", (x, factor), to, out)

    def multiply(self, x: Array, y: Array, *, to: Rounding, out: Array) -> Array:
        """``x * y``."""
        return self._run("multiply", (x, y), to, out)

    def divide(self, x: Array, y: Array | float, *, to: Rounding, out: Array) -> Array:
        """``x / y``."""
        return self._run("divide", (x, y), to, out)

    def sqrt(self, x: Array, *, to: Rounding, out: Array) -> Array:
        """``sqrt(x)``."""
        return self._run("sqrt", (x,), to, out)

    def shift(self, x: Array, constant: float, *, to: Rounding, out: Array) -> Array:
        """``x + constant``."""
        return self._run("shift", (x, constant), to, out)

    def add(self, x: Array, y: Array, factor: float = 1.0, *, to: Rounding, out: Array) -> Array:
        """``x + factor * y``."""
        return self._run("add", (x, y, factor), to, out)

    def add_product(
        self, x: Array, y: Array, z: Array, factor: float = 1.0, *, to: Rounding, out: Array
    ) -> Array:
        """``x + factor * y * z`` (PyTorch's ``addcmul``)."""
        return self._run("add_product", (x, y, z, factor), to, out)

    def add_quotient(
        self, x: Array, y: Array, z: Array, factor: float = 1.0, *, to: Rounding, out: Array
    ) -> Array:
        """``x + factor * y / z`` (PyTorch's ``addcdiv``)."""
        return self._run("add_quotient", (x, y, z, factor), to, out)

    def blend(self, x: Array, y: Array, share: float, *, to: Rounding, out: Array) -> Array:
        """``x + share * (y - x)`` (PyTorch's ``lerp``)."""
        return self._run("blend", (x, y, share), to, out)

    def maximum(self, x: Array, y: Array, *, out: Array) -> Array:
        """Return the larger of two values of one format, or the NaN among them; nothing is rounded."""
        return np.maximum(x, y, out=out)

    def _run(self, name: str, operands: tuple[Array | float, ...], to: Rounding, out: Array) -> Array:
        """Evaluate an operation, and round it into `out` as if what was evaluated were the exact result."""
        blocks = self._blocks[to]
        if blocks is not None and self._in_blocks(name, operands, to, blocks, out):
            return out
        work = evaluate(name, operands, self._work, self._term)
        if not _is_hidden(name, operands, to):
            largest = operands[0] if name in FUSED else None
            settle(name, operands, work, to.format, to.is_nearest, largest)  # type: ignore[arg-type]
        if blocks is None:
            return to(work, out)
        np.copyto(out, work, casting="same_kind")
        return out

    def _in_blocks(
        self, name: str, operands: tuple[Array | float, ...], to: Rounding, blocks: Blocks, out: Array
    ) -> bool:
        """Do the same where the format is NumPy's, in much less time; return False where that is not known how."""
        columns = []
        for x in operands:
            if isinstance(x, np.ndarray):
                if x.dtype != out.dtype:
                    return False
                x = x.reshape(-1)
            columns.append(x)
        flat = out.reshape(-1)
        for here, room in blocks:
            cut = tuple(x[here] if isinstance(x, np.ndarray) else x for x in columns)
            if not round_once(name, cut, to.format, room, flat[here]):
                return False
        if not out.flags.c_contiguous:
            out[...] = flat.reshape(out.shape)
        return True


def _is_hidden(name: str, operands: tuple[Array | float, ...], to: Rounding) -> bool:
    """Whether what float64 does to a result cannot be seen in the format.

    A sum, product, quotient or root of two numbers of at most 24 bits is so in float32 (S. A. Figueroa, "When is double
    rounding innocuous?", 1995), and one of any numbers in float64.
    """
    precision = to.format.precision
    if precision < 24:
        return True  # or it is left as it is
    single = name not in FUSED or (name == "add" and abs(operands[2]) == 1.0)
    if not single or (precision == 53 and single):
        return single
    short = precision == 24 and all(
        x.dtype == np.float32 if isinstance(x, np.ndarray) else name == "add" for x in operands
    )
    return short and (name != "add" or to.is_nearest)
