"""In which order and width is a sum taken? `sum`, `dot` and `matmul` with a named accumulator.

Every sum here has an accumulator that says how it is added up (`floatlab.accumulators` has them all), and
gives the same bits on every machine. The default is "wide":

- For formats of at most 40 bits of precision, which is all but float64, it is the exact result rounded
  once, in every rounding mode. A float64 product from the BLAS is accepted where its error bound proves that
  it rounds as the exact sum does; elsewhere the exact sum is computed (`floatlab.certified`).
- For float64 itself each product is rounded and added in float64, in the order of the index.

"exact" is the exact result rounded once, always. The others round every partial sum.

Infinities, NaNs and signed zeros are as in IEEE 754-2019, section 6: a sum that is exactly zero is +0, or -0
when rounding toward_negative, unless all its terms are zeros of the same sign. Every NaN is the positive one.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from floatlab.accumulators import Accumulator, Exact, Rounder, Terms, Wide, get_accumulator
from floatlab.backend import Array, array_module, asnumpy, ignore_float_errors, widened
from floatlab.certified import certified_matmul, coarse_quantum, exact_product, highest, norms, with_addend
from floatlab.environment import check_environment
from floatlab.errors import OptionError, ShapeError
from floatlab.exact import integer_matmul, is_in_range, round_integers
from floatlab.formats import FloatFormat, get_format
from floatlab.rules import make_rule
from floatlab.sources import as_array, as_source, split_integers

__all__ = ["dot", "matmul", "sum"]

_FEW_BITS = 24  # products of no more bits leave 53 - 24 for their range and number: worth a look
_CERTIFIED_PRECISION = 40  # above, the float64 error bound would leave most elements open
_FLOAT32, _FLOAT64 = get_format("float32"), get_format("float64")
_PLAIN = Rounder()


def matmul(
    a: ArrayLike,
    b: ArrayLike,
    fmt: str | FloatFormat,
    *,
    accumulator: str | FloatFormat | Accumulator = "wide",
    bias: ArrayLike | None = None,
    product_format: str | FloatFormat | None = None,
    formats: Sequence[str | FloatFormat] = (),
    rounding: str = "nearest_even",
    overflow: str | None = None,
    subnormals: str = "gradual",
    rng: np.random.Generator | None = None,
    random_bits: int | None = None,
) -> Array:
    """Return the matrix product ``a @ b + bias`` in a format, rounded as the accumulator says.

    Parameters
    ----------
    a, b : array_like
        Numbers that float64 holds exactly. Shapes as for `numpy.matmul`: (..., M, K) and (..., K, N) with
        leading dimensions that broadcast, or one dimension: a row for `a`, a column for `b`.
    fmt : str or FloatFormat
        The format of the result.
    accumulator : str, FloatFormat or Accumulator
        "wide", "exact", a format for sequential accumulation, or any other name or object of
        `floatlab.accumulators`.
    bias : array_like, optional
        Added before anything is rounded; for accumulators with an order it is the first term. It must
        broadcast to the result's shape.
    product_format : str or FloatFormat, optional
        Round each product to this format before it is added. Only for accumulators with an order; by default
        products are exact (and rounded to float64 if the operands have more than 26 bits).
    formats : sequence of str or FloatFormat, optional
        The formats that the operands are known to have: of a, b and, if given, bias. It changes no result,
        but "wide" is faster for formats of few bits, whose sums float64 often holds exactly.
    rounding, overflow, subnormals, rng, random_bits
        As for `quantize`; they hold for every rounding on the way.

    Returns
    -------
    array of ``fmt.value_dtype``
        Shape (..., M, N), without the dimensions that a one-dimensional operand lacks.

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
    check_environment()
    fmt = get_format(fmt)
    how = get_accumulator(accumulator)
    rounder = _rounder(fmt, rounding, overflow, subnormals, rng, random_bits)
    (x, x_narrow), (y, y_narrow) = _operand(a), _operand(b)
    addend, bias_narrow = (None, True) if bias is None else _operand(bias)
    shape, full = _result_shape(x, y, addend)
    x = x[None, :] if x.ndim == 1 else x
    y = y[:, None] if y.ndim == 1 else y
    if addend is not None:
        addend = array_module(x).broadcast_to(addend, shape).reshape(full)
    narrow = x_narrow and y_narrow and bias_narrow
    product = _Product(x, y, addend, full, narrow, _known_formats(formats, 2 if bias is None else 3))
    result = _evaluate(product, fmt, how, rounder, product_format)
    return result if result.shape == shape else result.reshape(shape)


def dot(x: ArrayLike, y: ArrayLike, fmt: str | FloatFormat, **options: Any) -> Array:
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
    left, right = as_source(x, _FLOAT64), as_source(y, _FLOAT64)
    if not (1 <= left.ndim <= 2 and 1 <= right.ndim <= 2):
        raise ShapeError(
            f"dot takes vectors and matrices. Got shapes {left.shape} and {right.shape}. "
            "Use matmul for stacks of matrices, and * for scalars."
        )
    return matmul(left, right, fmt, **options)


def sum(  # NumPy's name
    x: ArrayLike,
    fmt: str | FloatFormat,
    *,
    axis: int | Sequence[int] | None = None,
    keepdims: bool = False,
    accumulator: str | FloatFormat | Accumulator = "wide",
    formats: Sequence[str | FloatFormat] = (),
    rounding: str = "nearest_even",
    overflow: str | None = None,
    subnormals: str = "gradual",
    rng: np.random.Generator | None = None,
    random_bits: int | None = None,
) -> Array:
    """Return the sum over one, several or all axes in a format, rounded as the accumulator says.

    Parameters
    ----------
    x : array_like
        Numbers that float64 holds exactly.
    fmt : str or FloatFormat
        The format of the result.
    axis : int or sequence of int, optional
        The axes to sum over, all by default. Several axes are added in the order of the flattened index.
    keepdims : bool
        Whether the axes stay, with length 1.
    accumulator, formats, rounding, overflow, subnormals, rng, random_bits
        As for `matmul`; `formats` has one entry, that of `x`.

    Returns
    -------
    array of ``fmt.value_dtype``

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
    check_environment()
    fmt = get_format(fmt)
    how = get_accumulator(accumulator)
    rounder = _rounder(fmt, rounding, overflow, subnormals, rng, random_bits)
    once = isinstance(how, Exact) or (isinstance(how, Wide) and fmt.precision <= _CERTIFIED_PRECISION)
    halves = split_integers(as_array(x, "added")) if once else None
    if halves is not None:  # integers beyond 2**53: the exact sum is that of both halves of each
        axes = _axes(axis, halves[0].ndim, halves[0].shape)
        options: dict[str, Any] = {"rounding": rounding, "overflow": overflow, "subnormals": subnormals}
        options |= {"accumulator": how, "rng": rng, "random_bits": random_bits}
        total = sum(np.stack(halves, -1), fmt, axis=(*axes, halves[0].ndim), keepdims=keepdims, **options)
        return total[..., 0] if keepdims else total
    values, narrow = _operand(x)
    axes = _axes(axis, values.ndim, values.shape)
    rest = tuple(i for i in range(values.ndim) if i not in axes)
    xp = array_module(values)
    moved = values.transpose(*rest, *axes)
    kept = moved.shape[: len(rest)]
    count = int(np.prod(moved.shape[len(rest) :], dtype=np.int64))
    rows = moved.reshape(int(np.prod(kept, dtype=np.int64)), count)
    product = _Product(rows, xp.ones((count, 1)), None, (len(rows), 1), narrow, _known_formats(formats, 1))
    result = _evaluate(product, fmt, how, rounder, None)
    return result.reshape([1 if i in axes else n for i, n in enumerate(values.shape)] if keepdims else kept)


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


def _rounder(
    fmt: FloatFormat,
    rounding: str,
    overflow: str | None,
    subnormals: str,
    rng: np.random.Generator | None,
    random_bits: int | None,
) -> Rounder:
    make_rule(fmt, rounding, overflow, subnormals, False)  # refuses what cannot be
    if (rounding, overflow, subnormals, random_bits) == ("nearest_even", None, "gradual", None):
        return _PLAIN  # which never looks at its generator
    return Rounder(rounding, overflow, subnormals, rng, random_bits)


def _operand(x: ArrayLike) -> tuple[Array, bool]:
    """Return `x` as float64, exactly, and whether it was narrower."""
    source = as_source(x, _FLOAT64)
    narrow = source.dtype != np.float64
    return widened(source), narrow


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


def _axes(axis: int | Sequence[int] | None, ndim: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(ndim))
    wanted = (axis,) if isinstance(axis, (int, np.integer)) else tuple(axis)
    axes = tuple(int(i) + ndim if i < 0 else int(i) for i in wanted)
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
) -> Array:
    """Return the product in the format."""
    with ignore_float_errors(product.a):
        if not isinstance(how, (Wide, Exact)):
            return _rounded(_ordered(product, how, rounder, product_format), fmt, rounder)
        if product_format is not None:
            raise OptionError(
                f"product_format belongs to an accumulator with an order. Got it with {str(how)!r}. "
                f'Use accumulator="{fmt}".'
            )
        if product.a.shape[-1] == 0 or 0 in product.shape:
            return _rounded(product.without_terms(), fmt, rounder)
        if isinstance(how, Exact):
            return _rounded(_exact(product, fmt, rounder), fmt, rounder)
        if fmt.precision > _CERTIFIED_PRECISION:
            return _rounded(_in_float64(product), fmt, rounder)
        total = _certified(product, fmt, rounder)
        if total is None:
            return _rounded(_exact(product, fmt, rounder), fmt, rounder)
        return _rounded(total, fmt, rounder, finite=True)


def _rounded(total: Array, fmt: FloatFormat, rounder: Rounder, finite: bool = False) -> Array:
    """Round float64 numbers to the format, in its array type."""
    if not finite:
        xp = array_module(total)
        nan = xp.isnan(total)
        if nan.any():  # the sign of a NaN is the processor's
            total = xp.where(nan, np.nan, total)
    if fmt is _FLOAT32 and rounder is _PLAIN:  # for which the conversion of NumPy is right, and faster
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
    return how.add_up(terms, rounder) if terms.count else array_module(product.a).zeros(terms.shape)


def _certified(product: _Product, fmt: FloatFormat, rounder: Rounder) -> Array | None:
    """Return float64 numbers that round as the exact sums do; None where the BLAS cannot be trusted at all."""
    sizes = norms(product.a, product.b)
    largest = product.largest(sizes)
    if (
        not largest < np.inf
        or not (product.narrow or all(is_in_range(x) for x in product.operands()))
        or rounder.rounding.startswith("stochastic")  # which looks at every bit that is lost
    ):
        return None
    quanta = product.quanta(largest)
    total = certified_matmul(product.a, product.b, product.addend, fmt.precision + 1, sizes, quanta)
    total += 0.0  # -0 + 0 is +0, which is right for most
    _sign_zeros(total, total == 0, product, rounder)
    return total


def _in_float64(product: _Product) -> Array:
    """Add the products one after the other in float64: no BLAS, whose order is its own."""
    terms = Terms(product.a, product.b, product.addend)
    total: Array = array_module(product.a).zeros(terms.shape)
    total[...] = terms[0]  # not 0 + term, which would lose a -0
    for k in range(1, terms.count):
        total += terms[k]
    return total


def _exact(product: _Product, fmt: FloatFormat, rounder: Rounder) -> Array:
    """Return float64 numbers that round as the exact sums do, from slices or integers."""
    a, b, addend = product.a, product.b, product.addend
    xp = array_module(a)
    special = None
    if not all(xp.isfinite(x).all() for x in product.operands()):
        special = _nonfinite(product)
        a, b = xp.where(xp.isfinite(a), a, 0.0), xp.where(xp.isfinite(b), b, 0.0)
        addend = None if addend is None else xp.where(xp.isfinite(addend), addend, 0.0)
    if fmt.precision <= 51:
        total = exact_product(a, b, addend)
        zero = total == 0
    else:
        if addend is not None:
            a, b = with_addend(a, b, addend)
        integers, exponent = integer_matmul(asnumpy(a), asnumpy(b))
        total = xp.asarray(round_integers(integers, exponent, fmt, rounder.rounding, rounder.overflow))
        zero = xp.asarray(integers == 0)  # a tiny sum may have become 0, too
    xp.copyto(total, 0.0, where=zero)
    _sign_zeros(total, zero, product, rounder)
    return total if special is None else xp.where(special == 0, total, special)


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
    down = rounder.rounding == "toward_negative"
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
