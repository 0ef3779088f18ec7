"""What is multiplied and added? Operands as float64 arrays, their shapes, and a sum as a product of matrices.

Every sum is a product: rows times a column of ones. Integers beyond 2**53 are cut into several float64 numbers, whose
products are added up with the others.
"""

from __future__ import annotations

import builtins
import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from floatlab.backend import Array, array_module, together, widened
from floatlab.errors import DtypeError, OptionError, ShapeError
from floatlab.formats import FloatFormat, get_format
from floatlab.rounding.inputs import as_array, as_source
from floatlab.sums.accumulators import Accumulator, Exact, Wide
from floatlab.sums.certified import coarse_quantum, highest, with_addend

__all__ = [
    "MatrixProduct",
    "Rows",
    "as_rows",
    "axes_of",
    "check_formats",
    "fixed_quanta",
    "product_of",
    "rows_of",
    "shape_of",
]

_FEW_BITS = 24  # products of no more bits leave 53 - 24 for their range and number: worth a look
_EXACT_INTEGERS = 2**53
_FLOAT64 = get_format("float64")


@dataclass(frozen=True)
class MatrixProduct:
    """``a @ b + addend``, on float64 arrays; a (..., M, K), b (..., K, N), addend (..., M, N) or None."""

    a: Array
    b: Array
    addend: Array | None
    shape: tuple[int, ...]
    narrow: bool  # all of it came as float32 or float16, whose range float64 products cannot leave
    formats: tuple[FloatFormat, ...] = ()  # of a, b and addend, if they are known; of a, if b is ones
    plain: bool = True  # the terms are the caller's; otherwise pieces of them, whose order means nothing

    def largest(self, sizes: tuple[Array, Array]) -> float:
        """Return a bound of every sum of magnitudes; it is finite exactly if all operands are."""
        total = float(sizes[0].max()) * float(sizes[1].max())
        return total if self.addend is None else total + highest(self.addend)

    def quanta(self, largest: float) -> float:
        """Return a power of two of which all terms are multiples, or 0: at first glance, or by a closer look."""
        if not self.formats:
            return 0.0
        quanta = fixed_quanta(self.formats)
        if largest < quanta * 2.0**52 or builtins.sum(fmt.precision for fmt in self.formats[:2]) > _FEW_BITS:
            return quanta
        pairs = zip(self.operands(), self.formats, strict=False)
        return _quanta([coarse_quantum(x, fmt) for x, fmt in pairs])

    def operands(self) -> list[Array]:
        """Return the arrays that the terms are made of."""
        return [self.a, self.b] if self.addend is None else [self.a, self.b, self.addend]

    def without_terms(self) -> Array:
        """Return the result of no terms but the addend."""
        return array_module(self.a).zeros(self.shape) if self.addend is None else self.addend.copy()


@dataclass(frozen=True)
class Rows:
    """The numbers of each sum in a row; (n, K), float16, float32 or float64."""

    numbers: Array
    count: int  # how many of the caller's numbers are in a sum
    narrow: bool  # they came as float32 or shorter
    formats: tuple[FloatFormat, ...] = ()  # the one that they have, if it is known

    @property
    def plain(self) -> bool:
        """Whether the numbers are the caller's; otherwise pieces of them, whose order means nothing."""
        return self.count == self.numbers.shape[1]

    def as_product(self) -> MatrixProduct:
        """Return the sums as a product of matrices: rows times ones."""
        a = widened(self.numbers)
        ones = array_module(a).ones((a.shape[1], 1))
        return MatrixProduct(a, ones, None, (len(a), 1), self.narrow, self.formats, self.plain)


def _quanta(units: list[float]) -> float:
    return min([math.prod(units[:2]), *units[2:]])


def fixed_quanta(formats: tuple[FloatFormat, ...]) -> float:
    """Return a power of two of which all terms are multiples, whatever they are; 0 if the formats are not known."""
    return _quanta([fmt.smallest_subnormal for fmt in formats]) if formats else 0.0


def product_of(
    a: ArrayLike, b: ArrayLike, bias: ArrayLike | None, how: Accumulator, formats: Sequence[str | FloatFormat]
) -> tuple[MatrixProduct, tuple[int, ...]]:
    """Return the product of two operands and what is added to it, and the shape of the result."""
    (xs, x_narrow), (ys, y_narrow) = _operand(a, how), _operand(b, how)
    addends, bias_narrow = ([None], True) if bias is None else _operand(bias, how)
    if type(xs[0]) is not np.ndarray or type(ys[0]) is not np.ndarray:
        parts = together(
            "The operands of a product", (a, b, bias), [*xs, *ys, *(addends if bias is not None else [])]
        )
        xs, ys = parts[: len(xs)], parts[len(xs) : len(xs) + len(ys)]
        addends = addends if bias is None else parts[len(xs) + len(ys) :]
    shape, full = _result_shape(xs[0], ys[0], addends[0])
    xs = [x[None, :] for x in xs] if xs[0].ndim == 1 else xs
    ys = [y[:, None] for y in ys] if ys[0].ndim == 1 else ys
    if bias is not None:
        addends = [array_module(x).broadcast_to(x, shape).reshape(full) for x in addends]
    known = _known_formats(formats, 2 if bias is None or (how.forms_products and len(formats) == 2) else 3)
    if len(xs) == len(ys) == len(addends) == 1:
        narrow = x_narrow and y_narrow and bias_narrow
        return MatrixProduct(xs[0], ys[0], addends[0], full, narrow, known), shape
    return _product_of_pieces(xs, ys, addends, full), shape


def _product_of_pieces(
    xs: list[Array], ys: list[Array], addends: list[Any], shape: tuple[int, ...]
) -> MatrixProduct:
    """Return the product of sums as a sum of products: every piece of one operand times every piece of the other."""
    a = np.concatenate([x for x in xs for _ in ys], axis=-1)
    b = np.concatenate([y for _ in xs for y in ys], axis=-2)
    for addend in addends[1:]:
        a, b = with_addend(a, b, addend)
    return MatrixProduct(a, b, addends[0], shape, False, plain=False)


def rows_of(
    x: ArrayLike,
    axis: int | Sequence[int] | None,
    keepdims: bool,
    how: Accumulator,
    formats: Sequence[str | FloatFormat],
) -> tuple[Rows, tuple[int, ...]]:
    """Return the numbers of each sum in a row, and the shape of the result."""
    pieces, narrow = _sources(x, how)
    rows, shape = as_rows(pieces[0], axis, keepdims)
    count = rows.shape[1]
    if len(pieces) > 1:
        rows = np.concatenate([rows, *[as_rows(piece, axis, False)[0] for piece in pieces[1:]]], axis=1)
    return Rows(rows, count, narrow, _known_formats(formats, 1) if formats else ()), shape


def check_formats(formats: Any) -> None:
    """Raise an error if the formats of operands are one, and not one each.

    >>> check_formats("fp16")
    Traceback (most recent call last):
    ...
    floatlab.errors.OptionError: formats has one entry for each operand. Got 'fp16'. Use ("fp16", "fp16").
    """
    if isinstance(formats, str | FloatFormat):
        name = formats if isinstance(formats, str) else formats.spec
        raise OptionError(f'formats has one entry for each operand. Got {name!r}. Use ("{name}", "{name}").')
    if not isinstance(formats, list | tuple):
        raise OptionError(
            f'formats has one entry for each operand. Got {formats!r}. Use ("fp16", "fp16"), or leave it out.'
        )


def _known_formats(formats: Sequence[str | FloatFormat], count: int) -> tuple[FloatFormat, ...]:
    check_formats(formats)
    if formats and len(formats) != count:
        raise OptionError(
            f"formats has one entry for each operand. Got {len(formats)} for {count}. Leave it out if in doubt."
        )
    return tuple(map(get_format, formats))


# -- numbers ---------------------------------------------------------------------------------------


def _operand(x: ArrayLike, how: Accumulator) -> tuple[list[Any], bool]:
    """Return float64 arrays whose sum is `x`, exactly, and whether it was narrower."""
    sources, narrow = _sources(x, how)
    return [widened(source) for source in sources], narrow


def _sources(x: ArrayLike, how: Accumulator) -> tuple[list[Any], bool]:
    """Return arrays of floats whose sum is `x`, exactly, and whether they are narrower than float64.

    It is one array, unless `x` is made of integers of which one is beyond 2**53.
    """
    integers = _long_integers(x)
    if integers is None:
        source = as_source(x, _FLOAT64)
        return [source], source.dtype != np.float64
    if not isinstance(how, Wide | Exact):
        raise DtypeError(
            f"A term of an accumulator with an order is a float64. Got an integer beyond 2**53 for {how}. "
            'Use accumulator="exact".'
        )
    return _pieces(integers), False


def _long_integers(x: Any) -> np.ndarray | None:
    """Return `x` as an array of Python integers if it is made of integers of which one is beyond 2**53."""
    if (
        type(x) is not np.ndarray
        and isinstance(x, list | tuple | int | np.integer)
        and not isinstance(x, bool)
    ):
        x = as_array(x, "rounded")
    if type(x) is not np.ndarray or x.dtype.kind not in "iuO" or x.dtype.itemsize < 8 or not x.size:
        return None
    if x.dtype.kind == "O" and not all(type(n) is int for n in x.flat):
        return None
    if int(x.max()) <= _EXACT_INTEGERS and int(x.min()) >= -_EXACT_INTEGERS:
        return None
    return x.astype(object)


def _pieces(integers: np.ndarray) -> list[np.ndarray]:
    """Return float64 arrays whose sum is `integers`, 53 bits at a time from the top."""
    length = max(int(integers.max()), -int(integers.min())).bit_length()
    if length > 1023:
        raise DtypeError(
            f"An integer in a sum is below 2**1023. Got one of {length} bits. Divide all of them by a power of two."
        )
    flat = integers.reshape(-1)  # arrays of no dimension would turn into integers
    negative = flat < 0
    size: Any = np.abs(flat)
    pieces = []
    for shift in range(max(length - 53, 0), -53, -53):
        top = size >> max(shift, 0) << max(shift, 0)
        size = size - top
        top = top.astype(np.float64)
        signed = np.where(negative, -top, top)  # -0, too, for the sign of a zero sum
        pieces.append(signed.reshape(integers.shape))
    return pieces


# -- shapes ----------------------------------------------------------------------------------------


def shape_of(x: ArrayLike) -> tuple[int, ...]:
    """Return the shape that an operand has or will have."""
    known: tuple[int, ...] | None = getattr(x, "shape", None)
    return known if known is not None else _operand(x, Exact())[0][0].shape


def _result_shape(a: Array, b: Array, bias: Array | None) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the shape of the product, and the shape (..., M, N) that it has with vectors as matrices."""
    if a.ndim == 0 or b.ndim == 0:
        raise ShapeError(
            f"matmul takes arrays of at least one dimension. Got shapes {a.shape} and {b.shape}. Use *."
        )
    inner = b.shape[0] if b.ndim == 1 else b.shape[-2]
    if a.shape[-1] != inner:
        raise ShapeError(
            f"The last dimension of a is the last but one of b. Got shapes {a.shape} and {b.shape}: "
            f"{a.shape[-1]} and {inner}. Transpose or reshape one of them."
        )
    batch: tuple[int, ...] = ()
    if a.ndim > 2 or b.ndim > 2:
        try:
            batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        except ValueError:
            raise ShapeError(
                f"The leading dimensions of a and b broadcast. Got shapes {a.shape} and {b.shape}. Reshape one."
            ) from None
    rows, columns = a.shape[-2:-1], (b.shape[-1:] if b.ndim > 1 else ())
    shape = (*batch, *rows, *columns)
    if bias is not None and not (bias.shape and bias.shape == shape[-bias.ndim :]):
        try:
            fits = np.broadcast_shapes(shape, bias.shape) == shape
        except ValueError:
            fits = False
        if not fits:
            raise ShapeError(
                f"bias broadcasts to the shape of the product. Got {bias.shape} for {shape}. Reshape it."
            )
    return shape, (*batch, *(rows or (1,)), *(columns or (1,)))


def as_rows(x: Array, axis: int | Sequence[int] | None, keepdims: bool) -> tuple[Array, tuple[int, ...]]:
    """Return the elements of each sum in a row, and the shape of the sums.

    >>> as_rows(np.zeros((2, 3, 4)), (0, 2), False)[0].shape, as_rows(np.zeros((2, 3, 4)), (0, 2), True)[1]
    ((3, 8), (1, 3, 1))
    """
    if axis is None:
        return x.reshape(1, -1), (1,) * x.ndim if keepdims else ()
    axes = axes_of(axis, x.shape)
    rest = [i for i in range(x.ndim) if i not in axes]
    kept = tuple([x.shape[i] for i in rest])
    rows = x.transpose(*rest, *axes).reshape(math.prod(kept), math.prod([x.shape[i] for i in axes]))
    return rows, tuple([1 if i in axes else n for i, n in enumerate(x.shape)]) if keepdims else kept


def axes_of(axis: int | Sequence[int] | None, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the axes that are meant, in ascending order.

    >>> axes_of((-1, 0), (2, 3, 4)), axes_of(None, (2, 3))
    ((0, 2), (0, 1))
    """
    ndim = len(shape)
    if axis is None:
        return tuple(range(ndim))
    try:
        wanted = tuple(axis) if isinstance(axis, Sequence) else (axis,)
        axes = tuple([i + ndim if i < 0 else i for i in map(operator.index, wanted)])
    except TypeError:  # no integer
        axes = (ndim,)
    if len(set(axes)) < len(axes) or not all(0 <= i < ndim for i in axes):
        raise ShapeError(
            f"axis names dimensions of x, each once. Got {axis!r} for shape {shape}. Use another axis."
        )
    return tuple(sorted(axes))
