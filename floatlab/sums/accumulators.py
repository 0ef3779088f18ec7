"""What adds up a row of terms, and how wide is it? The accumulators, as data.

An accumulator is named by a short string, or built from the classes here::

    wide                 the exact sum, rounded once; computed quickly           Wide()
    exact                the exact sum, rounded once; in slices or in bins       Exact()
    fp16                 one after the other, every partial sum rounded          Sequential("fp16")
    pairwise:fp16        neighbours first, then neighbouring sums, ...           Pairwise("fp16")
    chunked:fp16:fp32:64 chunks of 64 terms in fp16, their sums in fp32          Chunked("fp16", "fp32", 64)
    kahan:bf16           one after the other, with the lost part carried along   Kahan("bf16")

Products of matrices may be added up by a chip's matrix unit besides, "h100" (`floatlab.matrix_units`).

A *term* of a matrix product is the exact product of two operands, as in a fused multiply-add: each addition
rounds the exact sum of a partial sum and a product once. With a `product_format` the products are rounded first. All
elements of the result are accumulated side by side.

See Also
--------
floatlab.sums.names : the names
floatlab.sums.matmul : sums, dot products and matrix products with an accumulator

References
----------
N. J. Higham, "The accuracy of floating point summation", SIAM Journal on Scientific Computing 14 (1993), 783-799
    (orders).
W. Kahan, "Further remarks on reducing truncation errors", Communications of the ACM 8 (1965), 40 (compensation).
N. Wang and others, "Training deep neural networks with 8-bit floating point numbers", NeurIPS 2018 (chunks).
D. E. Knuth, "The Art of Computer Programming", volume 2, section 4.2.2 (what an addition loses).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache, reduce

import numpy as np

from floatlab.backend import Array, array_module, blocks, is_gpu_array
from floatlab.errors import OptionError
from floatlab.formats import FloatFormat, get_format
from floatlab.rounding.modes import draws
from floatlab.sums.native import sequential_float32
from floatlab.sums.partial_sums import Rounder
from floatlab.sums.terms import Terms

__all__ = ["Accumulator", "Chunked", "Exact", "Kahan", "Pairwise", "Sequential", "Wide", "float_adder"]

Add = Callable[[float, float], float]

_FEW_ROWS = 32  # so many rows are added faster one by one
_BLOCK = 1 << 21  # terms that are held at a time where many are added side by side
_TOGETHER = (
    1 << 13
)  # sums that are rounded together: memory for more is handed back and asked for with every term
_HIGH = 900  # partial sums below 2^_HIGH are added with Python floats, which can then be rounded by adding


@dataclass(frozen=True)
class Accumulator:
    """The base of all accumulators. ``str(accumulator)`` is the name that `get_accumulator` knows it by."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "size":
                if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                    raise OptionError(f"A chunk has at least one term. Got size={value!r}. Use 64.")
            else:
                object.__setattr__(self, field.name, get_format(value))

    def __str__(self) -> str:
        values = [getattr(self, field.name) for field in fields(self)]
        parts = [value.spec if isinstance(value, FloatFormat) else str(value) for value in values]
        return ":".join([type(self).__name__.lower(), *parts])

    def formats(self) -> tuple[FloatFormat, ...]:
        """Return the formats that partial sums are rounded to."""
        values = (getattr(self, field.name) for field in fields(self))
        return tuple(value for value in values if isinstance(value, FloatFormat))

    @property
    def forms_products(self) -> bool:
        """Whether it adds up products of matrices alone, and these as a whole: then it has `multiply`, no `add_up`."""
        return False

    def add_up(self, terms: Terms, rounder: Rounder) -> Array:
        """Return the sums of at least one term, in float64, not yet rounded to the result's format."""
        raise TypeError(f"{type(self).__name__} has no order of its own.")

    def multiply(self, a: Array, b: Array, addend: Array | None, formats: Sequence[FloatFormat]) -> Array:
        """Return ``a @ b + addend`` of matrices in float64, not yet rounded to the result's format."""
        raise TypeError(f"{type(self).__name__} adds up terms.")


@dataclass(frozen=True)
class Wide(Accumulator):
    """The correctly rounded sum, from float64 products whose error is bounded (see `floatlab.sums.certified`)."""


@dataclass(frozen=True)
class Exact(Accumulator):
    """The correctly rounded sum, from sliced operands (see `floatlab.sums.exact`) or, of a row, from bins."""


@dataclass(frozen=True)
class Sequential(Accumulator):
    """One term after the other, in the order of the index, every partial sum rounded to `format`.

    >>> str(Sequential("fp16"))
    'sequential:float16'
    """

    format: FloatFormat

    def add_up(self, terms: Terms, rounder: Rounder) -> Array:
        """Add the terms up."""

        def in_order(row: list[float], add: Add) -> float:
            return reduce(add, row[1:], add(row[0], -0.0))

        native = sequential_float32(terms, self.format, rounder)
        if native is not None:
            return native.astype(np.float64)
        exact = terms.adds_exactly(self.format)
        total = _with_floats(in_order, terms, self.format, rounder, exact)
        return _sequential(terms, self.format, rounder, exact) if total is None else total


@dataclass(frozen=True)
class Pairwise(Accumulator):
    """Terms 0 and 1, 2 and 3, ... are added, then the sums in the same way, until one is left.

    Every sum is rounded to `format`. What has no partner waits for the next round.
    """

    format: FloatFormat

    def add_up(self, terms: Terms, rounder: Rounder) -> Array:
        """Add the terms up."""
        exact = terms.adds_exactly(self.format)

        def tree(start: int, stop: int) -> Array:
            if stop - start == 1:
                return terms[start]
            if (stop - start) * terms.size > _BLOCK:  # the same tree, cut at its root
                middle = start + (1 << (stop - start - 1).bit_length() - 1)
                halves = tree(start, middle), tree(middle, stop)
                return rounder.add(*halves, self.format, exact=exact, terms=True)
            sums = terms.stack(start, stop)
            while len(sums) > 1:
                even = len(sums) // 2 * 2
                left_over = sums[even:]
                sums = rounder.add(sums[0:even:2], sums[1:even:2], self.format, exact=exact, terms=True)
                if len(left_over):
                    sums = array_module(sums).concatenate([sums, left_over])
            return sums[0]

        return rounder(tree(0, terms.count), self.format)


@dataclass(frozen=True)
class Chunked(Accumulator):
    """Chunks of `size` terms are added sequentially in `inner`, and their sums sequentially in `outer`.

    The first chunk's sum is rounded to `outer` as the others' partial sums are, which shows where `outer` lacks it.

    >>> Chunked("fp16", "fp32", 64).size
    64
    """

    inner: FloatFormat
    outer: FloatFormat
    size: int = 64

    def add_up(self, terms: Terms, rounder: Rounder) -> Array:
        """Add the terms up, the chunks side by side as far as memory allows."""
        together = max(1, _BLOCK // max(1, terms.size)) * self.size
        total = None
        for start in range(0, terms.count, together):
            stop = min(start + together, terms.count)
            for chunk in _side_by_side(terms, start, stop, self.size, self.inner, rounder):
                if total is None:
                    total = rounder(chunk, self.outer)  # as a register of the outer format holds it
                else:
                    total = rounder.add(total, chunk, self.outer, exact=False)
        assert total is not None
        return total


@dataclass(frozen=True)
class Kahan(Accumulator):
    """Kahan's compensated sum: what an addition loses is taken off the next term; all of it in `format`."""

    format: FloatFormat

    def add_up(self, terms: Terms, rounder: Rounder) -> Array:
        """Add the terms up."""
        exact = terms.adds_exactly(self.format, compensated=True)
        total = _with_floats(_kahan_row, terms, self.format, rounder, exact)
        if total is not None:
            return total

        def add(x: Array, y: Array) -> Array:
            return rounder.add(x, y, self.format, exact=exact)

        total = rounder(terms[0], self.format)
        excess = array_module(total).zeros_like(total)  # by how much `total` is too large
        for k in range(1, terms.count):
            term = add(terms[k], -excess)
            new = add(total, term)
            excess = add(add(new, -total), -term)
            total = new
        return total


def _kahan_row(row: list[float], add: Add) -> float:
    total, excess = add(row[0], -0.0), 0.0
    for term in row[1:]:
        term = add(term, -excess)
        new = add(total, term)
        excess = add(add(new, -total), -term)
        total = new
    return total


def _sequential(terms: Terms, fmt: FloatFormat, rounder: Rounder, exact: bool) -> Array:
    """Add all terms in order; of a large product to some rows after the other, so that all of it stays in the cache."""
    if terms.size > _TOGETHER and not draws(rounder.rounding) and not is_gpu_array(terms.a):
        sums = np.empty(terms.shape)
        for rows in blocks(terms.shape[-2], max(1, _TOGETHER * terms.shape[-2] // terms.size)):
            sums[..., rows, :] = _to_all(terms.of_rows(rows), fmt, rounder, exact)
        return sums
    return _to_all(terms, fmt, rounder, exact)


def _to_all(terms: Terms, fmt: FloatFormat, rounder: Rounder, exact: bool) -> Array:
    total = rounder(terms[0], fmt)
    for k in range(1, terms.count):
        total = rounder.add(total, terms[k], fmt, exact=exact)
    return total


def _side_by_side(
    terms: Terms, start: int, stop: int, size: int, fmt: FloatFormat, rounder: Rounder
) -> Array:
    """Add the terms of each chunk in order, and all chunks at a time; return their sums along a new first axis."""
    exact = terms.adds_exactly(fmt)
    total = rounder(terms.stack(start, stop, size), fmt)
    for k in range(start + 1, min(start + size, stop)):
        term = terms.stack(k, stop, size)
        n = len(term)  # the last chunk may be shorter
        total[:n] = rounder.add(total[:n], term, fmt, exact=exact)
    return total


# -- a few long rows -------------------------------------------------------------------------------


def _with_floats(
    add_up: Callable[[list[float], Add], float], terms: Terms, fmt: FloatFormat, rounder: Rounder, exact: bool
) -> Array | None:
    """Add up a few rows in Python floats, which take a hundredth of the time of an array of one element.

    Returns None where there are too many rows, or where not every partial sum is the usual: rounded to
    nearest, finite, far from float64's ends, with gradual underflow.
    """
    usual = (rounder.rounding, rounder.subnormals) == ("nearest_even", "gradual")
    if not usual or terms.size > _FEW_ROWS or terms.as_fractions or is_gpu_array(terms.a):
        return None
    add = float_adder(fmt, exact)
    if add is None:
        return None
    rows = terms.stack(0, terms.count).reshape(terms.count, terms.size).T.tolist()
    try:
        return np.array([add_up(row, add) for row in rows]).reshape(terms.shape)
    except OverflowError:
        return None


def _magic(fmt: FloatFormat) -> dict[int, float]:
    """Return for each exponent e, as `math.frexp` has it, what is added and subtracted to round a number to the format.

    Adding and subtracting 1.5 * 2^(52 + k) rounds a float64 to a multiple of 2^k.
    """
    lowest = fmt.etiny
    return {e: math.ldexp(1.5, 52 + max(e - fmt.precision, lowest)) for e in range(-1074, _HIGH + 1)}


@lru_cache(maxsize=64)
def float_adder(fmt: FloatFormat, exact: bool) -> Add | None:
    """Return the function that adds two floats and rounds the sum to the format, to nearest, once.

    It raises OverflowError for what is not finite, or beyond the format's largest value. None for formats that it is
    not for. `exact` says that float64 adds the two without error.

    >>> float_adder(get_format("bf16"), False)(1.0, 2.0**-8)
    1.0
    """
    if not (fmt.signed and fmt.has_zero and 2 <= fmt.precision <= 51 and fmt.emin < _HIGH):
        return None
    largest, magic = fmt.max, _magic(fmt)
    highest = math.ldexp(1.0, _HIGH - 1)
    zero = -0.0 if fmt.has_negative_zero else 0.0  # x + -0 is x, and -0 + 0 is 0

    def add(x: float, y: float) -> float:
        total = x + y
        if not abs(total) < highest:  # or a NaN
            raise OverflowError
        if not exact:
            back = total - x
            error = (x - (total - back)) + (y - back)  # Knuth
            if error and not int(math.ldexp(math.frexp(total)[0], 53)) & 1:  # to odd
                total = math.nextafter(total, math.copysign(math.inf, error))
        unit = magic[math.frexp(total)[1]]
        rounded = math.copysign((total + unit) - unit, total)
        if abs(rounded) > largest:
            raise OverflowError
        return rounded + zero

    return add
