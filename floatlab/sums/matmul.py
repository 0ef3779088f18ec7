"""In which order and width is a sum taken? `sum`, `mean`, `dot` and `matmul` with a named accumulator.

Every sum here has an accumulator that says how it is added up (`floatlab.sums.accumulators` has them all), and
gives the same bits on every machine. The default is "wide", the exact result rounded once, in every format and
every rounding mode, with one exception: sums and products of matrices in float64 to nearest_even are formed as
float64 forms them, each product rounded and added in the order of the index.

How the exact result is rounded once:

- For formats of at most 40 bits of precision a float64 product from the BLAS is accepted where its error bound
  proves that it rounds as the exact sum does; elsewhere the exact sum is computed (`floatlab.sums.certified`).
- A few rows of numbers, or long ones, are added up in bins, one for each exponent (`floatlab.sums.bins`).
- The exact sum *rounded to odd* at 53 bits is enough for a rounding that looks at no more than 51
  (`floatlab.sums.exact`).
- What is left, which is wider formats, many random bits, and operands near the ends of float64, is added up and
  rounded as integers (`floatlab.rounding.ratios`).

"exact" is the exact result rounded once, always. The others round every partial sum.

Infinities, NaNs and signed zeros are as in IEEE 754-2019, section 6: a sum that is exactly zero is +0, or -0
when rounding toward_negative, unless all its terms are zeros of the same sign. Every NaN is the positive one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from numpy.typing import ArrayLike

from floatlab.backend import Array
from floatlab.errors import OptionError, ShapeError
from floatlab.formats import FloatFormat, get_format
from floatlab.operations.operate import operate
from floatlab.rounding.flags import Flags
from floatlab.rounding.options import check_names, make_rule, settings
from floatlab.rounding.random_integers import generator
from floatlab.sums.accumulators import Accumulator, Exact, Wide
from floatlab.sums.evaluate import refuse_flags
from floatlab.sums.names import get_accumulator
from floatlab.sums.operands import product_of, rows_of, shape_of
from floatlab.sums.partial_sums import PLAIN, Rounder
from floatlab.sums.rows import evaluate_mean, evaluate_product, evaluate_sum
from floatlab.sums.signatures import SumOptions, of_axes, of_matrices
from floatlab.system.environment import check_environment

__all__ = ["dot", "matmul", "mean", "sum"]

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
        Added before anything is rounded; for accumulators with an order it is the first term, and with a matrix unit
        it is added to the finished fp32 result (see `floatlab.MatrixUnit`). It must broadcast to the result's shape.
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
    >>> import numpy as np
    >>> a = np.array([[2048.0, 1.0, 1.0]])
    >>> matmul(a, np.ones((3, 1)), "fp16")  # 2050 is a float16
    array([[2050.]], dtype=float32)
    >>> matmul(a, np.ones((3, 1)), "fp16", accumulator="fp16")  # 2048 + 1 is not
    array([[2048.]], dtype=float32)
    """
    fmt, how, rounder, formats = _asked("matmul", fmt, options, "bias", "product_format")
    product, shape = product_of(a, b, bias, how, formats)
    result = evaluate_product(product, fmt, how, rounder, product_format, return_flags=return_flags)
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
    left, right = shape_of(x), shape_of(y)
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
    >>> import numpy as np
    >>> x = np.full(1000, 0.01)
    >>> sum(x, "bf16"), sum(x, "bf16", accumulator="bf16")
    (array(10., dtype=float32), array(4., dtype=float32))
    """
    fmt, how, rounder, formats = _asked("sum", fmt, options, "axis", "keepdims")
    rows, shape = rows_of(x, axis, keepdims, how, formats)
    return _reshaped(evaluate_sum(rows, fmt, how, rounder, return_flags=return_flags), shape)


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
    rows, shape = rows_of(x, axis, keepdims, how, formats)
    if isinstance(how, Wide | Exact):
        return _reshaped(evaluate_mean(rows, fmt, rounder, return_flags=return_flags), shape)
    refuse_flags(how, return_flags)
    total = evaluate_sum(rows, fmt, how, rounder)
    quotient = operate("divide", (total, float(rows.count)), fmt, **rounder.options)
    return _reshaped(quotient, shape)


def _asked(
    function: str, fmt: str | FloatFormat, options: SumOptions, *others: str
) -> tuple[FloatFormat, Accumulator, Rounder, Sequence[str | FloatFormat]]:
    """Return the format, the accumulator, how it rounds, and the known formats; `others` are more options by name."""
    check_environment()
    if not options.keys() <= _NAMES:
        check_names(function, options, (*SumOptions.__annotations__, *others, "return_flags"))
    fmt, how = get_format(fmt), get_accumulator(options.get("accumulator", "wide"))
    if how.forms_products and function != "matmul":
        raise OptionError(
            f"A matrix unit adds up products of matrices, and no {function}. Got accumulator={str(how)!r}. "
            'Use accumulator="fp32", or leave it out.'
        )
    rounding, overflow, subnormals, _ = settings(options)
    make_rule(fmt, rounding, overflow, subnormals, False)  # refuses what cannot be
    rounder, bits = PLAIN, options.get("random_bits")  # which never looks at its generator
    if (rounding, overflow, subnormals, bits) != ("nearest_even", None, "gradual", None):
        rounder = Rounder(rounding, overflow, subnormals, generator(options.get("rng")), bits)
    return fmt, how, rounder, options.get("formats", ())


def _reshaped(result: Any, shape: tuple[int, ...]) -> Any:
    """Give an array, or an array and its flags, the shape of the result."""
    if isinstance(result, tuple):
        values, flags = result
        flags = Flags(*(getattr(flags, name).reshape(shape) for name in flags.__dataclass_fields__))
        return values.reshape(shape), flags
    return result if result.shape == shape else result.reshape(shape)
