"""What adds up a row of terms, and how wide is it? The accumulators, as data.

An accumulator is named by a short string, or built from the classes here::

    wide                 the exact sum, rounded once; computed quickly           Wide()
    exact                the exact sum, rounded once; computed by slices         Exact()
    fp16                 one after the other, every partial sum rounded          Sequential("fp16")
    pairwise:fp16        neighbours first, then neighbouring sums, ...           Pairwise("fp16")
    chunked:fp16:fp32:64 chunks of 64 terms in fp16, their sums in fp32          Chunked("fp16", "fp32", 64)
    kahan:bf16           one after the other, with the lost part carried along   Kahan("bf16")

A *term* of a matrix product is the exact product of two operands, as in a fused multiply-add: each addition
rounds the exact sum of a partial sum and a product once. With a `product_format` the
products are rounded first. All elements of the result are accumulated side by side.

Sources: N. J. Higham, "The accuracy of floating point summation", SIAM J. Sci. Comput. 14 (1993); W. Kahan,
"Further remarks on reducing truncation errors", CACM 8 (1965); N. Wang et al., "Training deep neural
networks with 8-bit floating point numbers", NeurIPS 2018 (chunks).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from functools import lru_cache, reduce
from typing import Any

import numpy as np

from floatlab.backend import Array, array_module, is_gpu_array
from floatlab.certified import quantum
from floatlab.errors import FormatError, OptionError, nearest_name
from floatlab.exact import add_to_odd
from floatlab.formats import FloatFormat, aliases, formats, get_format
from floatlab.rounding import quantize

__all__ = [
    "Accumulator",
    "Chunked",
    "Exact",
    "Kahan",
    "Pairwise",
    "Rounder",
    "Sequential",
    "Terms",
    "Wide",
    "get_accumulator",
]

Add = Callable[[float, float], float]

_FEW_ROWS = 32  # so many rows are added faster one by one
_BLOCK = 1 << 21  # terms that are held at a time where many are added side by side


@dataclass(frozen=True)
class Rounder:
    """How every partial sum is rounded: the options of `quantize`, whichever the format."""

    rounding: str = "nearest_even"
    overflow: str | None = None
    subnormals: str = "gradual"
    rng: np.random.Generator | None = None
    random_bits: int | None = None

    def __call__(self, x: Array, fmt: FloatFormat) -> Array:
        """Round a float64 array in place, and return it."""
        return quantize(
            x,
            fmt,
            rounding=self.rounding,
            overflow=self.overflow,
            subnormals=self.subnormals,
            rng=self.rng,
            random_bits=self.random_bits,
            out=x,
        )

    def add(self, x: Array, y: Array, fmt: FloatFormat, *, exact: bool) -> Array:
        """Return x + y rounded once; `exact` says that float64 holds the sum without error."""
        if exact or fmt.precision == 53:
            total = x + y
        else:
            total = add_to_odd(x, y)
        if self.rounding == "toward_negative":  # then x + (-x) is -0 (IEEE 754-2019, 6.3)
            xp = array_module(total)
            total = xp.where((total == 0) & (xp.signbit(x) | xp.signbit(y)), -0.0, total)
        return self(total, fmt)

    def check(self, fmt: FloatFormat) -> None:
        """Raise an error if sums in `fmt` cannot be rounded once by way of float64."""
        if fmt.precision > 51 and not (
            fmt.same_as(get_format("float64")) and self.rounding == "nearest_even"
        ):
            raise OptionError(
                "A partial sum is rounded to at most 51 bits, or to float64 by nearest_even. "
                f'Got {fmt.name} and rounding={self.rounding!r}. Use accumulator="exact".'
            )


class Terms:
    """The terms of each element of ``a @ b + addend``, the addend first, then in the order of the index.

    >>> terms = Terms(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]), np.array([[0.5]]))
    >>> terms.stack(0, 3).ravel()
    array([0.5, 3. , 8. ])
    """

    def __init__(
        self,
        a: Array,
        b: Array,
        addend: Array | None = None,
        round_product: Callable[[Array], Array] | None = None,
    ) -> None:
        xp = array_module(a)
        depth = max(a.ndim, b.ndim)
        a = a.reshape((1,) * (depth - a.ndim) + a.shape)
        b = b.reshape((1,) * (depth - b.ndim) + b.shape)
        self.a = xp.ascontiguousarray(xp.moveaxis(a, -1, 0))[..., :, None]  # (K, ..., M, 1)
        self.b = xp.ascontiguousarray(xp.moveaxis(b, -2, 0))[..., None, :]  # (K, ..., 1, N)
        self.addend, self.round_product = addend, round_product
        self.first = int(addend is not None)
        self.count = len(self.a) + self.first
        self.shape: tuple[int, ...] = np.broadcast_shapes(self.a.shape[1:], self.b.shape[1:])
        self.size = math.prod(self.shape)

    def stack(self, start: int, stop: int, step: int = 1) -> Array:
        """Return the terms start, start + step ... before stop, as an array of shape (n, ..., M, N)."""
        xp = array_module(self.a)
        head = []
        if self.first:
            if start == 0:
                head = [xp.broadcast_to(self.addend, self.shape)[None]]
                start += step
            start, stop = start - 1, stop - 1
        products = self.a[start:stop:step] * self.b[start:stop:step]
        if self.round_product:
            products = self.round_product(products)
        return xp.concatenate([*head, products]) if head else products

    def __getitem__(self, k: int) -> Array:
        return self.stack(k, k + 1)[0]

    def adds_exactly(self, fmt: FloatFormat) -> bool:
        """Return whether float64 holds the sum of any partial sum in `fmt` and any term without error."""
        if len(self.a) == 0 or self.size == 0 or not fmt.has_zero:
            return False
        unit = quantum(self.a, None) * quantum(self.b, None)
        largest = abs(self.a).max() * abs(self.b).max()
        if self.addend is not None:
            unit = min(unit, quantum(self.addend, None))
            largest = max(largest, abs(self.addend).max())
        # Rounding keeps multiples of a power of two what they are, and for a while less than doubles sums.
        sums = 2.0 * self.count * largest if self.count < 2 ** (fmt.precision - 1) else np.inf
        unit = min(unit, math.ldexp(1.0, fmt.emax - fmt.mantissa_bits))
        return bool(self.round_product is None and 4.0 * min(sums, fmt.max) + largest <= 2.0**53 * unit)


# -- the accumulators ------------------------------------------------------------------------------


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

    def add_up(self, terms: Terms, rounder: Rounder) -> Array:
        """Return the sums of at least one term, in float64, not yet rounded to the result's format."""
        raise TypeError(f"{type(self).__name__} has no order of its own.")


@dataclass(frozen=True)
class Wide(Accumulator):
    """The correctly rounded sum, from float64 products whose error is bounded (see `floatlab.certified`)."""


@dataclass(frozen=True)
class Exact(Accumulator):
    """The correctly rounded sum, from sliced operands (see `floatlab.exact`)."""


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

        total = _with_floats(in_order, terms, self.format, rounder)
        return _sequential(terms, 0, terms.count, 1, self.format, rounder) if total is None else total


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
                return rounder.add(tree(start, middle), tree(middle, stop), self.format, exact=exact)
            sums = terms.stack(start, stop)
            while len(sums) > 1:
                even = len(sums) // 2 * 2
                left_over = sums[even:]
                sums = rounder.add(sums[0:even:2], sums[1:even:2], self.format, exact=exact)
                if len(left_over):
                    sums = array_module(sums).concatenate([sums, left_over])
            return sums[0]

        return rounder(tree(0, terms.count), self.format)


@dataclass(frozen=True)
class Chunked(Accumulator):
    """Chunks of `size` terms are added sequentially in `inner`, and their sums sequentially in `outer`.

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
            for chunk in _sequential(terms, start, stop, self.size, self.inner, rounder, side_by_side=True):
                total = chunk if total is None else rounder.add(total, chunk, self.outer, exact=False)
        assert total is not None
        return rounder(total, self.outer)


@dataclass(frozen=True)
class Kahan(Accumulator):
    """Kahan's compensated sum: what an addition loses is taken off the next term; all of it in `format`."""

    format: FloatFormat

    def add_up(self, terms: Terms, rounder: Rounder) -> Array:
        """Add the terms up."""
        total = _with_floats(_kahan_row, terms, self.format, rounder)
        if total is not None:
            return total
        exact = terms.adds_exactly(self.format)

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


def _sequential(
    terms: Terms,
    start: int,
    stop: int,
    step: int,
    fmt: FloatFormat,
    rounder: Rounder,
    *,
    side_by_side: bool = False,
) -> Array:
    """Add terms in order; side by side, those of each chunk of `step` terms, along a new first axis."""
    exact = terms.adds_exactly(fmt)
    if not side_by_side:
        total = rounder(terms[start], fmt)
        for k in range(start + step, stop, step):
            total = rounder.add(total, terms[k], fmt, exact=exact)
        return total
    total = rounder(terms.stack(start, stop, step), fmt)
    for k in range(start + 1, min(start + step, stop)):
        term = terms.stack(k, stop, step)
        n = len(term)  # the last chunk may be shorter
        total[:n] = rounder.add(total[:n], term, fmt, exact=exact)
    return total


# -- a few long rows -------------------------------------------------------------------------------


def _with_floats(
    add_up: Callable[[list[float], Add], float], terms: Terms, fmt: FloatFormat, rounder: Rounder
) -> Array | None:
    """Add up a few rows in Python floats, which take a hundredth of the time of an array of one element.

    Returns None where there are too many rows, or where not every partial sum is the usual: rounded to
    nearest, finite, with gradual underflow.
    """
    usual = (rounder.rounding, rounder.subnormals) == ("nearest_even", "gradual")
    if not usual or terms.size > _FEW_ROWS or is_gpu_array(terms.a):
        return None
    if not (fmt.signed and fmt.has_zero and 2 <= fmt.precision <= 51):
        return None
    add = _float_adder(fmt, terms.adds_exactly(fmt))
    rows = terms.stack(0, terms.count).reshape(terms.count, terms.size).T.tolist()
    try:
        return np.array([add_up(row, add) for row in rows]).reshape(terms.shape)
    except OverflowError:
        return None


def _float_adder(fmt: FloatFormat, exact: bool) -> Add:
    """Return the function that adds two floats and rounds the sum to the format, once."""
    lowest, precision, largest = fmt.emin - fmt.mantissa_bits, fmt.precision, fmt.max
    # Adding and subtracting 1.5 * 2^(52 + e) rounds a float64 to a multiple of 2^e.
    magic = {e: math.ldexp(1.5, 52 + max(e - precision, lowest)) for e in range(-1074, 900)}

    def add(x: float, y: float) -> float:
        total = x + y
        if not exact:
            back = total - x
            error = (x - (total - back)) + (y - back)  # Knuth
            if error and not int(math.ldexp(math.frexp(total)[0], 53)) & 1:  # to odd
                total = math.nextafter(total, math.copysign(math.inf, error))
        unit = magic[math.frexp(total)[1]]
        rounded = math.copysign((total + unit) - unit, total)
        if not abs(rounded) <= largest:  # or a NaN
            raise OverflowError
        return rounded

    return add


# -- names -----------------------------------------------------------------------------------------

_KINDS: dict[str, type[Accumulator]] = {
    kind.__name__.lower(): kind for kind in (Wide, Exact, Sequential, Pairwise, Chunked, Kahan)
}


def get_accumulator(accumulator: str | FloatFormat | Accumulator) -> Accumulator:
    """Return the accumulator that a name, a format (sequential), or an accumulator stands for.

    Raises
    ------
    OptionError
        If the name is unknown; the message suggests the nearest one.

    Examples
    --------
    >>> get_accumulator("chunked:fp16:fp32:64") == Chunked("fp16", "fp32", 64)
    True
    >>> str(get_accumulator("bf16"))
    'sequential:bfloat16'
    >>> get_accumulator("pairwse:fp16")
    Traceback (most recent call last):
    ...
    floatlab.errors.OptionError: An accumulator is wide, exact, a format, or one of pairwise:FORMAT, \
kahan:FORMAT, chunked:INNER:OUTER:SIZE. Got 'pairwse:fp16'. Did you mean "pairwise"?
    """
    if isinstance(accumulator, Accumulator):
        return accumulator
    if isinstance(accumulator, FloatFormat):
        return Sequential(accumulator)
    if isinstance(accumulator, str):
        return _by_name(accumulator)
    raise OptionError(
        f'An accumulator is a name, a format, or an Accumulator. Got {accumulator!r}. Use "wide" or "exact".'
    )


@lru_cache(maxsize=256)
def _by_name(text: str) -> Accumulator:
    kind, *parts = text.strip().split(":")
    kind = kind.lower()  # and no more: a format's own name may have capitals
    if kind in _KINDS:
        return _from_parts(text, _KINDS[kind], parts)
    try:
        return Sequential(get_format(text))
    except FormatError:
        names = [*_KINDS, *(name for fmt in formats() for name in (fmt.name, *aliases(fmt)))]
        guess = nearest_name(kind, names)
        way_out = f'Did you mean "{guess}"?' if guess else 'Use "wide" or "exact".'
        raise OptionError(
            "An accumulator is wide, exact, a format, or one of pairwise:FORMAT, kahan:FORMAT, "
            f"chunked:INNER:OUTER:SIZE. Got {text!r}. {way_out}"
        ) from None


def _from_parts(text: str, kind: type[Accumulator], parts: list[str]) -> Accumulator:
    names = [field.name for field in fields(kind)]
    least = sum(field.default is MISSING for field in fields(kind))
    if not least <= len(parts) <= len(names):
        example = {Wide: "wide", Exact: "exact", Chunked: "chunked:fp16:fp32:64"}.get(
            kind, f"{kind.__name__.lower()}:fp16"
        )
        raise OptionError(
            f"{kind.__name__.lower()} is followed by: {', '.join(names) or 'nothing'}. "
            f'Got {text!r}. Write it as "{example}".'
        )
    values: dict[str, Any] = dict(zip(names, parts, strict=False))
    if values.get("size", "").isdecimal():
        values["size"] = int(values["size"])
    return kind(**values)
