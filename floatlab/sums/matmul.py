"""In which order and width is a sum taken? `sum`, `mean`, `dot` and `matmul` with a named accumulator.

Every sum here has an accumulator that says how it is added up (`floatlab.sums.accumulators` has them all), and
gives the same bits on every machine. The default is "wide", the exact result rounded once, in every format and
every rounding mode, with one exception: sums and products of matrices in float64 to nearest_even are formed as
float64 forms them, each product rounded and added in the order of the index.

How the exact result is rounded once:

- For formats of at most 40 bits of precision a float64 product from the BLAS is accepted where its error bound
  proves that it rounds as the exact sum does; elsewhere the exact sum is computed (`floatlab.sums.certified`).
- The exact sum *rounded to odd* at 53 bits is enough for a rounding that looks at no more than 51
  (`floatlab.sums.exact`).
- What is left, which is wider formats, many random bits, and operands near the ends of float64, is added up and
  rounded as integers (`floatlab.rounding.ratios`).

"exact" is the exact result rounded once, always. The others round every partial sum.

Infinities, NaNs and signed zeros are as in IEEE 754-2019, section 6: a sum that is exactly zero is +0, or -0
when rounding toward_negative, unless all its terms are zeros of the same sign. Every NaN is the positive one.
"""

from __future__ import annotations

import builtins
import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike

from floatlab.backend import Array, array_module, asnumpy, ignore_float_errors, widened
from floatlab.errors import DtypeError, OptionError, ShapeError
from floatlab.formats import FloatFormat, get_format
from floatlab.operations.operate import operate
from floatlab.operations.special_values import round_with_flags
from floatlab.rounding.flags import Flags
from floatlab.rounding.inputs import as_array, as_source
from floatlab.rounding.modes import MODES, draws
from floatlab.rounding.options import check_names, make_rule, settings
from floatlab.rounding.quantize import quantize
from floatlab.rounding.random_integers import RandomIntegers, generator
from floatlab.rounding.ratios import round_ratio
from floatlab.sums.accumulators import Accumulator, Exact, Sequential, Wide
from floatlab.sums.certified import (
    certified_matmul,
    coarse_quantum,
    exact_product,
    highest,
    norms,
    with_addend,
)
from floatlab.sums.exact import integer_matmul, integers_to_odd, is_in_range
from floatlab.sums.names import get_accumulator
from floatlab.sums.partial_sums import ODD_BITS, PLAIN, Rounder
from floatlab.sums.signatures import SumOptions, of_axes, of_matrices
from floatlab.sums.terms import Terms
from floatlab.system.environment import check_environment

__all__ = ["axes_of", "dot", "matmul", "mean", "sum"]

_FEW_BITS = 24  # products of no more bits leave 53 - 24 for their range and number: worth a look
_CERTIFIED_PRECISION = 40  # above, the float64 error bound would leave most elements open
_EXACT_INTEGERS = 2**53
_FLOAT32, _FLOAT64 = get_format("float32"), get_format("float64")
_NAMES = SumOptions.__annotations__.keys()


@of_matrices
def matmul(
    a: ArrayLike,
    b: ArrayLike,
    fmt: str | FloatFormat,
    *,
    bias: ArrayLike | None = None,
    product_format: str | FloatFormat | None = None,
    return_flags: bool = False,
    **options: Unpack[SumOptions],
) -> Array | tuple[Array, Flags]:
    """Return the matrix product ``a @ b + bias`` in a format, rounded as the accumulator says.

    Parameters
    ----------
    a, b : array_like
        Numbers that float64 holds exactly; with "wide" and "exact" integers of any length as well. Shapes as for
        `numpy.matmul`: (..., M, K) and (..., K, N) with leading dimensions that broadcast, or one dimension: a row
        for `a`, a column for `b`.
    fmt : str or FloatFormat
        The format of the result.
    bias : array_like, optional
        Added before anything is rounded; for accumulators with an order it is the first term. It must
        broadcast to the result's shape.
    product_format : str or FloatFormat, optional
        Round each product to this format before it is added. Only for accumulators with an order; by default
        products are exact (and rounded to float64 if the operands have more than 26 bits).
    return_flags : bool
        Whether to return the `Flags` as well; only with the accumulators "wide" and "exact".
    **options
        Those of `floatlab.sums.signatures.SumOptions`; `formats` has an entry for a, for b and, if given, for bias.

    Returns
    -------
    array of ``fmt.value_dtype``
        Shape (..., M, N), without the dimensions that a one-dimensional operand lacks.
    Flags
        Only with ``return_flags=True``: those of the one rounding; of all the roundings of "wide" in float64.

    Raises
    ------
    ShapeError
        If the shapes do not fit; the message prints them.
    DtypeError
        If an operand is not made of real numbers, or float64 cannot hold them exactly.
    OptionError
        If an option is unknown or makes no sense with the accumulator.

    Notes
    -----
    With "wide", stochastic rounding needs the exact sum everywhere, and takes as long as with "exact".

    Examples
    --------
    >>> a = np.array([[2048.0, 1.0, 1.0]])
    >>> matmul(a, np.ones((3, 1)), "fp16")  # 2050 is a float16
    array([[2050.]], dtype=float32)
    >>> matmul(a, np.ones((3, 1)), "fp16", accumulator="fp16")  # 2048 + 1 is not
    array([[2048.]], dtype=float32)
    """
    fmt, how, rounder, formats = _asked("matmul", fmt, options, "bias", "product_format")
    (xs, x_narrow), (ys, y_narrow) = _operand(a, how), _operand(b, how)
    addends, bias_narrow = ([None], True) if bias is None else _operand(bias, how)
    shape, full = _result_shape(xs[0], ys[0], addends[0])
    xs = [x[None, :] for x in xs] if xs[0].ndim == 1 else xs
    ys = [y[:, None] for y in ys] if ys[0].ndim == 1 else ys
    if bias is not None:
        addends = [array_module(x).broadcast_to(x, shape).reshape(full) for x in addends]
    known = _known_formats(formats, 2 if bias is None else 3)
    if len(xs) == len(ys) == len(addends) == 1:
        product = _Product(xs[0], ys[0], addends[0], full, x_narrow and y_narrow and bias_narrow, known)
    else:
        product = _product_of_pieces(xs, ys, addends, full)
    result = _evaluate(product, fmt, how, rounder, product_format, return_flags=return_flags)
    return _reshaped(result, shape)


@of_matrices
def dot(x: ArrayLike, y: ArrayLike, fmt: str | FloatFormat, **options: Any) -> Array | tuple[Array, Flags]:
    """Return the dot product of two vectors in a format; for matrices, their product, as `numpy.dot` does.

    Parameters
    ----------
    x, y : array_like
        One or two dimensions each.
    fmt : str or FloatFormat
        The format of the result.
    **options
        Those of `matmul`.

    Returns
    -------
    array of ``fmt.value_dtype``
        Zero-dimensional for two vectors.

    Raises
    ------
    ShapeError
        If an operand has no dimension, or more than two.

    Examples
    --------
    >>> dot([1e8, 1.0, -1e8], [1e8, 1.0, 1e8], "fp16")
    array(1., dtype=float32)
    """
    left, right = _shape(x), _shape(y)
    if not (1 <= len(left) <= 2 and 1 <= len(right) <= 2):
        raise ShapeError(
            f"dot takes vectors and matrices. Got shapes {left} and {right}. "
            "Use matmul for stacks of matrices, and * for scalars."
        )
    return matmul(x, y, fmt, **options)


@of_axes
def sum(  # NumPy's name
    x: ArrayLike,
    fmt: str | FloatFormat,
    *,
    axis: int | Sequence[int] | None = None,
    keepdims: bool = False,
    return_flags: bool = False,
    **options: Unpack[SumOptions],
) -> Array | tuple[Array, Flags]:
    """Return the sum over one, several or all axes in a format, rounded as the accumulator says.

    Parameters
    ----------
    x : array_like
        Numbers that float64 holds exactly; with "wide" and "exact" integers of any length as well.
    fmt : str or FloatFormat
        The format of the result.
    axis : int or sequence of int, optional
        The axes to sum over, all by default. Several axes are added in the order of the flattened index.
    keepdims : bool
        Whether the axes stay, with length 1.
    return_flags, **options
        As for `matmul`; `formats` has one entry, that of `x`.

    Returns
    -------
    array of ``fmt.value_dtype``
    Flags
        Only with ``return_flags=True``.

    Raises
    ------
    ShapeError
        If there is no such axis.

    Examples
    --------
    >>> x = np.full(1000, 0.01)
    >>> sum(x, "bf16"), sum(x, "bf16", accumulator="bf16")
    (array(10., dtype=float32), array(4., dtype=float32))
    """
    fmt, how, rounder, formats = _asked("sum", fmt, options, "axis", "keepdims")
    product, shape, _ = _rows(x, axis, keepdims, how, formats)
    return _reshaped(_evaluate(product, fmt, how, rounder, None, return_flags=return_flags), shape)


@of_axes
def mean(
    x: ArrayLike,
    fmt: str | FloatFormat,
    *,
    axis: int | Sequence[int] | None = None,
    keepdims: bool = False,
    return_flags: bool = False,
    **options: Unpack[SumOptions],
) -> Array | tuple[Array, Flags]:
    """Return the mean over one, several or all axes in a format.

    With the accumulators "wide" and "exact" it is the exact sum divided by the number of terms, rounded once; with
    the others the sum, rounded to the format, is divided, and the quotient is rounded again. The mean of nothing is
    0 / 0.

    Parameters
    ----------
    x, fmt, axis, keepdims, return_flags, **options
        As for `sum`.

    Returns
    -------
    array of ``fmt.value_dtype``
    Flags
        Only with ``return_flags=True``.

    Examples
    --------
    >>> mean([2.0**100, 1.0, -(2.0**100)], "bf16")  # a third, rounded once
    array(0.33398438, dtype=float32)
    """
    fmt, how, rounder, formats = _asked("mean", fmt, options, "axis", "keepdims")
    product, shape, count = _rows(x, axis, keepdims, how, formats)
    if not isinstance(how, Wide | Exact):
        _refuse_flags(how, return_flags)
        total = _evaluate(product, fmt, how, rounder, None)
        quotient = operate("divide", (total, float(count)), fmt, **rounder.options)
        return _reshaped(quotient, shape)
    with ignore_float_errors(product.a):
        sums = _exact(product, fmt, rounder, count)
        return _reshaped(_round_sums(sums, fmt, rounder, count, return_flags), shape)


# -- operands and shapes ---------------------------------------------------------------------------


@dataclass(frozen=True)
class _Product:
    """``a @ b + addend``, on float64 arrays; a (..., M, K), b (..., K, N), addend (..., M, N) or None."""

    a: Array
    b: Array
    addend: Array | None
    shape: tuple[int, ...]
    narrow: bool  # all of it came as float32 or float16, whose range float64 products cannot leave
    formats: tuple[FloatFormat, ...] = ()  # of a, b and addend, if they are known; of a, if b is ones
    plain: bool = (
        True  # the terms are those of the caller; otherwise pieces of them, whose order means nothing
    )

    def largest(self, sizes: tuple[Array, Array]) -> float:
        """Return a bound of every sum of magnitudes; it is finite exactly if all operands are."""
        total = float(sizes[0].max()) * float(sizes[1].max())
        return total if self.addend is None else total + highest(self.addend)

    def quanta(self, largest: float) -> float:
        """Return a power of two of which all terms are multiples, or 0: at first glance, or by a closer look."""
        if not self.formats:
            return 0.0
        quanta = _quanta([fmt.smallest_subnormal for fmt in self.formats])
        if largest < quanta * 2.0**52 or builtins.sum(fmt.precision for fmt in self.formats[:2]) > _FEW_BITS:
            return quanta
        pairs = zip(self.operands(), self.formats, strict=False)
        return _quanta([coarse_quantum(x, fmt) for x, fmt in pairs])

    def operands(self) -> list[Array]:
        return [self.a, self.b] if self.addend is None else [self.a, self.b, self.addend]

    def without_terms(self) -> Array:
        return array_module(self.a).zeros(self.shape) if self.addend is None else self.addend.copy()


def _asked(
    function: str, fmt: str | FloatFormat, options: SumOptions, *others: str
) -> tuple[FloatFormat, Accumulator, Rounder, Sequence[str | FloatFormat]]:
    """Return the format, the accumulator, how it rounds, and the known formats; `others` are more options by name."""
    check_environment()
    if not options.keys() <= _NAMES:
        check_names(function, options, (*SumOptions.__annotations__, *others, "return_flags"))
    fmt, how = get_format(fmt), get_accumulator(options.get("accumulator", "wide"))
    rounding, overflow, subnormals, _ = settings(options)
    make_rule(fmt, rounding, overflow, subnormals, False)  # refuses what cannot be
    rounder, bits = PLAIN, options.get("random_bits")  # which never looks at its generator
    if (rounding, overflow, subnormals, bits) != ("nearest_even", None, "gradual", None):
        rounder = Rounder(rounding, overflow, subnormals, generator(options.get("rng")), bits)
    return fmt, how, rounder, options.get("formats", ())


def _operand(x: ArrayLike, how: Accumulator) -> tuple[list[Any], bool]:
    """Return float64 arrays whose sum is `x`, exactly, and whether it was narrower.

    It is one array, unless `x` is made of integers of which one is beyond 2**53.
    """
    integers = _long_integers(x)
    if integers is None:
        source = as_source(x, _FLOAT64)
        narrow = source.dtype != np.float64
        return [widened(source)], narrow
    if not isinstance(how, Wide | Exact):
        raise DtypeError(
            f"A term of an accumulator with an order is a float64. Got an integer beyond 2**53 for {how}. "
            'Use accumulator="exact".'
        )
    return _pieces(integers), False


def _shape(x: ArrayLike) -> tuple[int, ...]:
    known: tuple[int, ...] | None = getattr(x, "shape", None)
    return known if known is not None else _operand(x, Exact())[0][0].shape


def _long_integers(x: Any) -> np.ndarray | None:
    """Return `x` as an array of Python integers if it is made of integers of which one is beyond 2**53."""
    if isinstance(x, list | tuple | int) and not isinstance(x, bool):
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
        pieces.append(
            np.where(negative, -top, top).reshape(integers.shape)
        )  # -0, too, for the sign of a zero sum
    return pieces


def _product_of_pieces(
    xs: list[Array], ys: list[Array], addends: list[Any], shape: tuple[int, ...]
) -> _Product:
    """Return the product of sums as a sum of products: every piece of one operand times every piece of the other."""
    a = np.concatenate([x for x in xs for _ in ys], axis=-1)
    b = np.concatenate([y for _ in xs for y in ys], axis=-2)
    for addend in addends[1:]:
        a, b = with_addend(a, b, addend)
    return _Product(a, b, addends[0], shape, False, plain=False)


def _rows(
    x: ArrayLike,
    axis: int | Sequence[int] | None,
    keepdims: bool,
    how: Accumulator,
    formats: Sequence[str | FloatFormat],
) -> tuple[_Product, tuple[int, ...], int]:
    """Return sums as rows times ones; the shape of the result; and how many numbers are in a sum."""
    pieces, narrow = _operand(x, how)
    whole = pieces[0].shape
    axes = axes_of(axis, whole)
    rest = tuple(i for i in range(len(whole)) if i not in axes)
    kept, count = tuple(whole[i] for i in rest), math.prod(whole[i] for i in axes)
    parts = [part.transpose(*rest, *axes).reshape(math.prod(kept), count) for part in pieces]
    xp = array_module(parts[0])
    rows = parts[0] if len(parts) == 1 else xp.concatenate(parts, axis=1)
    ones = xp.ones((rows.shape[1], 1))
    known = _known_formats(formats, 1)
    product = _Product(rows, ones, None, (len(rows), 1), narrow, known, plain=len(parts) == 1)
    return product, tuple(1 if i in axes else n for i, n in enumerate(whole)) if keepdims else kept, count


def _reshaped(result: Any, shape: tuple[int, ...]) -> Any:
    """Give an array, or an array and its flags, the shape of the result."""
    if isinstance(result, tuple):
        values, flags = result
        flags = Flags(*(getattr(flags, name).reshape(shape) for name in flags.__dataclass_fields__))
        return values.reshape(shape), flags
    return result if result.shape == shape else result.reshape(shape)


def _quanta(units: list[float]) -> float:
    return min([math.prod(units[:2]), *units[2:]])


def _known_formats(formats: Sequence[str | FloatFormat], count: int) -> tuple[FloatFormat, ...]:
    if formats and len(formats) != count:
        raise OptionError(
            f"formats has one entry for each operand. Got {len(formats)} for {count}. Leave it out if in doubt."
        )
    return tuple(get_format(fmt) for fmt in formats)


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
        axes = tuple(i + ndim if i < 0 else i for i in map(operator.index, wanted))
    except TypeError:  # no integer
        axes = (ndim,)
    if len(set(axes)) < len(axes) or not all(0 <= i < ndim for i in axes):
        raise ShapeError(
            f"axis names dimensions of x, each once. Got {axis!r} for shape {shape}. Use another axis."
        )
    return tuple(sorted(axes))


# -- the product of matrices -----------------------------------------------------------------------


def _evaluate(
    product: _Product,
    fmt: FloatFormat,
    how: Accumulator,
    rounder: Rounder,
    product_format: str | FloatFormat | None,
    *,
    return_flags: bool = False,
) -> Any:
    """Return the product in the format, and the flags if they are asked for."""
    with ignore_float_errors(product.a):
        if not isinstance(how, Wide | Exact):
            _refuse_flags(how, return_flags)
            return _rounded(_ordered(product, how, rounder, product_format), fmt, rounder)
        if product_format is not None:
            raise OptionError(
                f"product_format belongs to an accumulator with an order. Got it with {str(how)!r}. "
                f'Use accumulator="{fmt.spec}".'
            )
        if isinstance(how, Wide) and product.plain:
            if fmt.same_as(_FLOAT64) and rounder.rounding == "nearest_even" and product.a.shape[-1]:
                if rounder.overflow in (None, "infinity"):
                    total = _in_float64(product)
                else:  # which the loop's own infinities do not obey
                    total = _ordered(product, Sequential(_FLOAT64), rounder, None)
                total = _rounded(total, fmt, rounder)
                return (total, _flags_of_loop(product, rounder)) if return_flags else total
            if fmt.precision <= _CERTIFIED_PRECISION and not return_flags and not _is_empty(product):
                certain = _certified(product, fmt, rounder)
                if certain is not None:
                    return _rounded(certain, fmt, rounder, finite=True)
        return _round_sums(_exact(product, fmt, rounder), fmt, rounder, 1, return_flags)


def _is_empty(product: _Product) -> bool:
    return product.a.shape[-1] == 0 or 0 in product.shape


def _refuse_flags(how: Accumulator, return_flags: bool) -> None:
    if return_flags:
        raise OptionError(
            'Flags of a sum are known for the accumulators "wide" and "exact", which round once. '
            f"Got {str(how)!r}. Leave return_flags out."
        )


def _rounded(total: Array, fmt: FloatFormat, rounder: Rounder, finite: bool = False) -> Array:
    """Round float64 numbers to the format, in its array type."""
    if not finite:
        xp = array_module(total)
        nan = xp.isnan(total)
        if nan.any():  # the sign of a NaN is the processor's
            total = xp.where(nan, np.nan, total)
    if fmt is _FLOAT32 and rounder is PLAIN:  # for which the conversion of NumPy is right, and faster
        return total.astype(np.float32)
    return rounder(total, fmt).astype(fmt.value_dtype, copy=False)


def _ordered(
    product: _Product, how: Accumulator, rounder: Rounder, product_format: str | FloatFormat | None
) -> Array:
    """Add up the terms as the accumulator does."""
    round_product: Callable[[Array], Array] | None = None
    if product_format is not None:
        of_product = get_format(product_format)
        rounder.check(of_product)

        def round_product(terms: Array) -> Array:
            return rounder(terms, of_product)

    for fmt in how.formats():
        rounder.check(fmt)
    terms = Terms(product.a, product.b, product.addend, round_product)
    xp = array_module(product.a)
    return xp.asarray(how.add_up(terms, rounder)) if terms.count else xp.zeros(terms.shape)


def _certified(product: _Product, fmt: FloatFormat, rounder: Rounder) -> Array | None:
    """Return float64 numbers that round as the exact sums do; None where the BLAS cannot be trusted at all."""
    sizes = norms(product.a, product.b)
    largest = product.largest(sizes)
    if (
        not largest < np.inf
        or not (product.narrow or all(is_in_range(x) for x in product.operands()))
        or draws(rounder.rounding)  # which looks at every bit that is lost
    ):
        return None
    quanta = product.quanta(largest)
    total = certified_matmul(product.a, product.b, product.addend, fmt.precision + 1, sizes, quanta)
    total += 0.0  # -0 + 0 is +0, which is right for most
    _sign_zeros(total, total == 0, product, rounder)
    return total


def _in_float64(product: _Product) -> Array:
    """Add the products one after the other in float64: no BLAS, whose order is its own."""
    terms = Terms(product.a, product.b, product.addend, in_float64=True)
    total: Array = array_module(product.a).zeros(terms.shape)
    total[...] = terms[0]  # not 0 + term, which would lose a -0
    for k in range(1, terms.count):
        total += terms[k]
    return total


def _flags_of_loop(product: _Product, rounder: Rounder) -> Flags:
    """Return the flags of `_in_float64`: those of every product and of every addition."""
    total: Any = product.addend
    flags: Flags | None = None
    for k in range(product.a.shape[-1]):
        factors = (product.a[..., :, k, None], product.b[..., k, None, :])
        term, found = operate("multiply", factors, _FLOAT64, return_flags=True)
        flags = found if flags is None else flags | found
        if total is not None:
            term, found = operate("add", (total, term), _FLOAT64, return_flags=True)
            flags = flags | found
        total = term
    assert flags is not None and total is not None
    found = quantize(total, _FLOAT64, return_flags=True, **rounder.options)[1]
    return Flags(*(getattr(flags, name) | getattr(found, name) for name in flags.__dataclass_fields__))


# -- the exact sums --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Sums:
    """Exact sums: rounded to odd at 53 bits, and where that says too little, as integers * 2**exponent, too.

    In `odd` the infinities, the NaNs, and the zeros with their signs are final.
    """

    odd: Array
    invalid: Array  # where a NaN is nobody's but the sum's
    integers: np.ndarray | None = None
    exponent: int = 0


def _exact(product: _Product, fmt: FloatFormat, rounder: Rounder, divisor: int = 1) -> _Sums:
    """Return the exact sums, in the form that rounding the sum divided by `divisor` needs."""
    a, b, addend = product.a, product.b, product.addend
    xp = array_module(a)
    if _is_empty(product):
        total = product.without_terms()
        return _Sums(total, xp.zeros(total.shape, bool))
    special, invalid = None, xp.zeros(product.shape, bool)
    if not all(xp.isfinite(x).all() for x in product.operands()):
        special = _nonfinite(product)
        invalid = xp.isnan(special) & ~_has_nan(product)
        a, b = xp.where(xp.isfinite(a), a, 0.0), xp.where(xp.isfinite(b), b, 0.0)
        addend = None if addend is None else xp.where(xp.isfinite(addend), addend, 0.0)
    integers, exponent = None, 0
    # The quotient is compared with marks, and the sum with so many times a mark, which has that many bits more.
    looked_at = fmt.precision + rounder.extra_bits() + (divisor.bit_length() if divisor > 1 else 0)
    if looked_at <= ODD_BITS and all(is_in_range(x) for x in (a, b, addend) if x is not None):
        total = exact_product(a, b, addend)
        zero = total == 0
    else:
        if addend is not None:
            a, b = with_addend(a, b, addend)
        integers, exponent = integer_matmul(asnumpy(a), asnumpy(b))
        total = xp.asarray(integers_to_odd(integers, exponent))
        zero = xp.asarray(integers == 0)
    xp.copyto(total, 0.0, where=zero)
    _sign_zeros(total, zero, product, rounder)
    if special is not None:
        total = xp.where(special == 0, total, special)
    return _Sums(total, invalid, integers, exponent)


def _has_nan(product: _Product) -> Array:
    """Return for which elements an operand is a NaN."""
    xp = array_module(product.a)
    rows, columns = xp.isnan(product.a).any(axis=-1), xp.isnan(product.b).any(axis=-2)
    found = xp.broadcast_to(rows[..., :, None] | columns[..., None, :], product.shape)
    return found if product.addend is None else found | xp.isnan(product.addend)


def _round_sums(sums: _Sums, fmt: FloatFormat, rounder: Rounder, divisor: int, return_flags: bool) -> Any:
    """Return the sums divided by `divisor`, rounded once, and the flags if they are asked for."""
    options = rounder.options
    if sums.integers is not None:
        values, flags = _round_integers(sums, fmt, rounder, divisor)
    elif divisor != 1:
        values, flags = operate("divide", (sums.odd, float(divisor)), fmt, return_flags=True, **options)
    elif return_flags:
        values, flags = round_with_flags(sums.odd, fmt, options)
    else:
        return _rounded(sums.odd, fmt, rounder)
    values = values.astype(fmt.value_dtype, copy=False)
    if not return_flags:
        return values
    flags = Flags(
        flags.invalid | sums.invalid, flags.divide_by_zero, flags.overflow, flags.underflow, flags.inexact
    )
    return values, flags


def _round_integers(sums: _Sums, fmt: FloatFormat, rounder: Rounder, divisor: int) -> tuple[Array, Flags]:
    """Round integers * 2**exponent / divisor, one at a time; zeros, infinities and NaNs as `quantize` does."""
    assert sums.integers is not None
    rule = make_rule(fmt, rounder.rounding, rounder.overflow, rounder.subnormals, False)
    draws, bits = np.zeros(sums.odd.size, np.int64), 0
    if rule.variant is not None:
        source = RandomIntegers(rounder.rng, rounder.random_bits, None)
        source.fit(np.zeros(0))
        draws, bits = source.block(0, sums.odd.size), source.bits
    xp = array_module(sums.odd)
    ordinary = asnumpy((sums.odd != 0) & xp.isfinite(sums.odd))
    kept = rounder.options | {"rounding": "nearest_even" if rule.variant else rounder.rounding}
    values, flags = quantize(xp.where(xp.asarray(ordinary), 0.0, sums.odd), fmt, return_flags=True, **kept)
    values = asnumpy(values).astype(np.float64)
    raised = {name: asnumpy(getattr(flags, name)).copy() for name in flags.__dataclass_fields__}
    up, down = 1 << max(sums.exponent, 0), divisor << max(-sums.exponent, 0)
    for i in np.flatnonzero(ordinary).tolist():
        found = round_ratio(int(sums.integers.flat[i]) * up, down, rule, int(draws[i]), bits)
        values.flat[i] = found.value
        for name in ("invalid", "overflow", "underflow", "inexact"):
            raised[name].flat[i] = getattr(found, name)
    return xp.asarray(values), Flags(**{name: xp.asarray(flag) for name, flag in raised.items()})


def _nonfinite(product: _Product) -> Array:
    """Return infinity or NaN where IEEE 754 makes the sum one, and 0 elsewhere.

    It is a NaN if a term is one (0 times infinity, for instance) or if infinite terms have both signs. The
    terms are counted by products of small integers, so this needs no order either.
    """
    a, b, addend = product.a, product.b, product.addend
    xp = array_module(a)
    sign_a, sign_b = (xp.where(xp.isnan(x), 0.0, xp.sign(x)) for x in (a, b))
    infinite_a, infinite_b = (xp.where(xp.isinf(x), xp.sign(x), 0.0) for x in (a, b))
    finite_a = sign_a - infinite_a
    count = abs(infinite_a) @ abs(sign_b) + abs(finite_a) @ abs(infinite_b)
    balance = infinite_a @ sign_b + finite_a @ infinite_b
    invalid = abs(infinite_a) @ (b == 0) + (a == 0) @ abs(infinite_b) > 0
    invalid |= xp.isnan(a).any(axis=-1)[..., :, None] | xp.isnan(b).any(axis=-2)[..., None, :]
    invalid |= abs(balance) != count
    total = xp.where(invalid, np.nan, xp.where(count > 0, xp.copysign(np.inf, balance), 0.0))
    return total if addend is None else total + xp.where(xp.isfinite(addend), 0.0, addend)


def _sign_zeros(total: Array, zero: Array, product: _Product, rounder: Rounder) -> None:
    """Give the sums that are exactly zero, and +0 so far, the sign that IEEE 754 asks for; in place."""
    if not zero.any():
        return
    xp = array_module(total)
    a, b, addend = product.a, product.b, product.addend
    terms = a.shape[-1]
    down = MODES[rounder.rounding].cancels_to_minus
    if down:
        xp.copyto(total, -0.0, where=zero)
    else:
        # A sum keeps the sign that all its terms share; terms that cancel do not. Most sums are ruled out by
        # the counts of minus signs: if all terms are negative, those of row and column add up to K.
        rows, columns = (
            xp.add.reduce(a.view(np.int64) >> 63, axis=-1),
            xp.add.reduce(b.view(np.int64) >> 63, axis=-2),
        )
        if int(rows.min()) + int(columns.min()) > -terms:
            return
        zero = zero & (rows[..., :, None] + columns[..., None, :] == -terms)
        if addend is not None:
            zero = zero & xp.signbit(addend)
        if not zero.any():
            return
    balance = xp.matmul(xp.copysign(1.0, a), xp.copysign(1.0, b))  # plus signs less minus signs
    if addend is not None:
        balance = balance + xp.copysign(1.0, addend)
        terms += 1
    total[zero & (balance == terms)] = 0.0
    total[zero & (balance == -terms)] = -0.0
