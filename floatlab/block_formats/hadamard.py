"""What spreads an outlier over its neighbours? The Hadamard transform with random signs, exact and rounded once.

Of `size` neighbours x the transform is H diag(s) x / sqrt(size): signs s, and Sylvester's matrix H of ones and minus
ones, H(2n) = [[H, H], [H, -H]]. It is orthogonal and its own transpose, so applied to both operands of a product along
the axis that is summed, it leaves the product as it is, and one large number becomes `size` of middle size.

The sums are exact, and rounded once with the factor. Three ways lead there, by blocks of the array:

1. *butterflies* in float64, where no sum can be rounded: every number of the block is a multiple of a unit u, and
   size * amax is at most 2^53 u. That is so for nearly all float32 numbers.
2. *exact products of matrices* (`floatlab.sums`), where the factor is a power of two: for size 4, 16, 64 ...
3. *integers* of Python, where it is irrational: 2^(-k/2) for odd k. The root of the square of the sum is taken to as
   many bits as a rounding looks at.

In way 1 an irrational factor is applied in twice the precision, and where that leaves a rounding open, way 3 decides.

Sources: NVIDIA, Transformer Engine, `transformer_engine/pytorch/tensor/nvfp4_tensor.py` (the signs, size 16);
S. Ashkboos et al., "QuaRot: outlier-free 4-bit inference in rotated LLMs" (2024); R. Yarlagadda and J. Hershey,
"Hadamard matrix analysis and synthesis" (1997), Sylvester's construction.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, Unpack

import numpy as np

from floatlab.backend import Array, blocks, ignore_float_errors, refuse_device
from floatlab.errors import OptionError, ShapeError, check_option, check_switch
from floatlab.formats import FloatFormat, get_format
from floatlab.operations.error_free import two_product
from floatlab.operations.operate import flushed
from floatlab.rounding.inputs import as_source
from floatlab.rounding.modes import cancelled
from floatlab.rounding.odd import nudge
from floatlab.rounding.options import RoundingOptions, drawing, rule_of
from floatlab.rounding.quantize import quantize
from floatlab.rounding.random_integers import RandomIntegers, generator
from floatlab.sums.matmul import matmul
from floatlab.system.environment import check_environment

__all__ = ["TRANSFORMER_ENGINE", "hadamard"]

_FLOAT64 = get_format("float64")
#: The signs that Transformer Engine uses.
TRANSFORMER_ENGINE = (1, 1, 1, -1, 1, -1, -1, -1, -1, -1, -1, 1, -1, 1, -1, -1)
_LARGEST_SIZE = 1 << 10
_PART = 1 << 15  # elements that are transformed at a time
_REACH = 2.0**200  # so large, and so small, numbers may be that no error of a product leaves the range
_ROOT = (0.7071067811865476, -4.833646656726457e-17)  # of a half, as the sum of two float64 numbers


def hadamard(
    x: Any,
    size: int = 16,
    signs: Any = None,
    axis: int = -1,
    fmt: Any = None,
    *,
    inverse: bool = False,
    **options: Unpack[RoundingOptions],
) -> Array:
    """Return the randomized Hadamard transform of each `size` neighbours along an axis, each number rounded once.

    Parameters
    ----------
    x : array_like
        Real numbers that float64 holds.
    size : int
        How many neighbours are mixed: a power of two that divides the length of the axis.
    signs : optional
        The signs that the numbers are multiplied by first. None: all +1. An array of `size` ones and minus ones; a
        `numpy.random.Generator` or a seed to draw them from; or "transformer_engine", the sixteen that Transformer
        Engine uses for every tensor.
    axis : int
        Which axis.
    fmt : str or FloatFormat, optional
        The format of the result. Default: float32 for numbers of float32 and shorter types, else float64.
    inverse : bool
        Whether to undo the transform of the same signs: the signs are multiplied last.
    **options
        Those of `floatlab.quantize`.

    Returns
    -------
    array of ``fmt.value_dtype``
        Of the shape of `x`.

    Raises
    ------
    ShapeError
        If there is no such axis, or its length is no multiple of `size`.
    DtypeError, FormatError, OptionError
        As `floatlab.quantize`.

    Notes
    -----
    The factor is a power of two for size 4, 16, 64 ..., and else irrational; the result is the right one either way.
    To rows of float64 numbers of many magnitudes the fast way is closed, and they take a hundred times as long.

    Examples
    --------
    >>> x = np.array([8.0, 0.0, 0.0, 0.0])
    >>> hadamard(x, 4)
    array([4., 4., 4., 4.])
    >>> y = hadamard(np.arange(16.0), signs="transformer_engine")
    >>> hadamard(y, signs="transformer_engine", inverse=True).tolist() == list(range(16))
    True
    """
    check_environment()
    refuse_device("What is transformed", x)
    inverse = check_switch("inverse", inverse)
    source = as_source(x, _FLOAT64)
    of = get_format(fmt if fmt is not None else "float32" if source.dtype.itemsize <= 4 else "float64")
    rule = rule_of("hadamard", of, options)
    size = _checked_size(size)
    factors = _signs(signs, size)
    at = _checked_axis(axis, source.shape, size)
    chosen: dict[str, Any] = {
        name: options[name] for name in ("rounding", "overflow", "subnormals") if name in options
    }
    rows = np.moveaxis(source, at, -1)
    moved = rows.shape
    rows = np.ascontiguousarray(rows).reshape(-1, size)
    if rule.flush_inputs:
        rows = flushed(rows, of)
    integers = None
    if rule.variant is not None:
        draw = RandomIntegers(*drawing(options))
        draw.fit(source)
        integers = np.moveaxis(draw.block(0, source.size).reshape(source.shape), at, -1).reshape(-1, size)
        chosen["random_bits"] = draw.bits
    looked = of.mantissa_bits + (0 if integers is None else chosen["random_bits"] + 1)
    work = _Transform(size, factors, inverse, of, rule.rounding, chosen, looked <= 50)
    out = np.empty(rows.shape, of.value_dtype)
    with ignore_float_errors(rows):
        for block in blocks(len(rows), max(1, _PART // size)):
            work.put(out[block], rows[block], None if integers is None else integers[block])
    return np.ascontiguousarray(np.moveaxis(out.reshape(moved), -1, at))


# -- what is asked for -------------------------------------------------------------------------------------------


def _checked_size(size: Any) -> int:
    whole = isinstance(size, int | np.integer) and not isinstance(size, bool)
    if not whole or not 1 <= size <= _LARGEST_SIZE or size & (size - 1):
        raise OptionError(
            f"The size of a Hadamard transform is a power of two up to {_LARGEST_SIZE}. Got {size!r}. "
            "16 is what Transformer Engine uses."
        )
    return int(size)


def _checked_axis(axis: Any, shape: tuple[int, ...], size: int) -> int:
    if (
        isinstance(axis, bool)
        or not isinstance(axis, int | np.integer)
        or not -len(shape) <= axis < len(shape)
    ):
        raise ShapeError(
            f"axis is one of the {len(shape)} of the array. Got {axis!r} for shape {shape}. "
            "Pass an array with that axis."
        )
    if shape[axis] % size:
        raise ShapeError(
            f"The transform takes {size} neighbours at a time. Got an axis of length {shape[axis]}. "
            "Use a size that divides it, or pad it with zeros."
        )
    return int(axis) % len(shape)


def _signs(signs: Any, size: int) -> Array:
    """Return the signs as an array of float64."""
    if signs is None:
        return np.ones(size)
    if isinstance(signs, str):
        check_option("signs", signs, ("transformer_engine",))
        if size != len(TRANSFORMER_ENGINE):
            raise OptionError(
                f"Transformer Engine has {len(TRANSFORMER_ENGINE)} signs. Got size={size}. "
                f"Use size={len(TRANSFORMER_ENGINE)}, or other signs."
            )
        return np.array(TRANSFORMER_ENGINE, np.float64)
    if isinstance(signs, np.random.Generator | int | np.integer) and not isinstance(signs, bool):
        rng = generator(signs if isinstance(signs, np.random.Generator) else int(signs))
        assert rng is not None
        return 1.0 - 2.0 * rng.integers(0, 2, size)
    given = as_source(signs, _FLOAT64).astype(np.float64)
    if given.shape != (size,) or not (np.abs(given) == 1).all():
        raise OptionError(
            f"signs are {size} numbers that are 1 or -1. Got an array of shape {given.shape}. "
            "Use rng.choice([-1, 1], size), or a seed."
        )
    return given


# -- the transform -----------------------------------------------------------------------------------------------


def _sylvester(size: int) -> Array:
    """Return Sylvester's matrix.

    >>> _sylvester(2)
    array([[ 1.,  1.],
           [ 1., -1.]])
    """
    matrix = np.ones((1, 1))
    while len(matrix) < size:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix


@dataclass(frozen=True)
class _Transform:
    """A transform of rows: what it is, and how its results are rounded.

    Attributes
    ----------
    size : int
        The length of a row.
    signs : array of float64
        What is multiplied first, or last if `inverse`.
    inverse : bool
        Which of the two.
    fmt : FloatFormat
        What is rounded to.
    rounding : str
        By which mode.
    options : dict
        That and the others, for `quantize`; random integers apart.
    odd : bool
        Whether a float64 number rounded to odd is rounded as the number itself.
    """

    size: int
    signs: Array
    inverse: bool
    fmt: FloatFormat
    rounding: str
    options: dict[str, Any]
    odd: bool

    @cached_property
    def log(self) -> int:
        """The binary logarithm of the size."""
        return self.size.bit_length() - 1

    @cached_property
    def factors(self) -> tuple[Array, Array]:
        """Two matrices whose Kronecker product is the matrix: of a size that is fast."""
        small = min(self.log, 6)
        return _sylvester(1 << self.log - small), _sylvester(1 << small)

    @cached_property
    def plain(self) -> bool:
        """Whether rounding is NumPy's conversion to float32."""
        usual = not self.options or self.options == {"rounding": "nearest_even"}
        return usual and self.fmt.same_as(get_format("float32"))

    def put(self, out: Array, rows: Array, integers: Array | None) -> None:
        """Put the transform of some rows into `out`."""
        x = rows.astype(np.float64)
        if not self.inverse:
            x *= self.signs
        values, easy = self._in_float64(x)
        if easy.all():
            if self.plain:
                np.copyto(out, values, casting="same_kind")
            else:
                out[...] = quantize(values, self.fmt, **self._drawn(integers, ...))
            return
        if easy.any():
            out[easy] = quantize(values[easy], self.fmt, **self._drawn(integers, easy))
        hard = x[~easy]
        if self.log % 2 == 0 and integers is None:
            matrix = _sylvester(self.size) * 2.0 ** -(self.log // 2)
            if self.inverse:
                matrix = matrix * self.signs
            out[~easy] = matmul(hard, matrix, self.fmt, accumulator="exact", **self.options)
        else:
            exact = np.array([self._exactly(row) for row in hard], object)
            out[~easy] = quantize(exact, self.fmt, **self._drawn(integers, ~easy))

    def _drawn(self, integers: Array | None, where: Any) -> dict[str, Any]:
        """Return the options of a rounding with the random integers of some rows."""
        return self.options if integers is None else self.options | {"random_integers": integers[where]}

    def _in_float64(self, x: Array) -> tuple[Array, Array]:
        """Return the exact results, or rounded to odd, and for which rows they are that."""
        easy = self._easy(x)
        sums = self._signed_sums(x)
        if self.log % 2 == 0:
            values = sums * 2.0 ** -(self.log // 2)
        else:
            values, certain = _over_root(sums * 2.0 ** -(self.log // 2))
            easy &= (certain | (sums == 0)).all(1) & self.odd
        cancels = sums == 0
        if cancels.any():
            values[cancels] = cancelled(self.rounding)
            zero = ~x.any(1)
            if zero.any():  # a sum of zeros of one sign has that sign
                alike = self._signed_sums(np.where(np.signbit(x[zero]), -1.0, 1.0))
                values[zero] = np.where(np.abs(alike) == self.size, np.copysign(0.0, alike), values[zero])
        return values, easy

    def _easy(self, x: Array) -> Array:
        """Return for which rows float64 rounds no sum: of all at once, or looking at each."""
        top = np.maximum(x.max(initial=0.0), -x.min(initial=0.0))
        if 1 / _REACH < top < _REACH and self._is_on_grid(x, top).all():
            return np.ones(len(x), bool)
        amax = np.abs(x).max(1)
        easy = (amax < _REACH) & ((amax > 1 / _REACH) | (amax == 0))  # no infinity, and no NaN
        return easy & self._is_on_grid(x, np.where(easy, amax, 1.0)[:, np.newaxis]).all(1)

    def _is_on_grid(self, x: Array, amax: Array) -> Array:
        """Return where numbers are multiples of a unit of which sums of such magnitudes have at most 2^53."""
        shift = np.ldexp(1.5, np.frexp(amax)[1] + self.log - 1)  # whose last place is that unit
        return np.asarray((x + shift) - shift == x)

    def _signed_sums(self, x: Array) -> Array:
        """Return the sums in float64, with the signs that are multiplied last."""
        large, small = self.factors
        parts = np.matmul(x.reshape(len(x), len(large), len(small)), small)
        sums: Array = (parts if len(large) == 1 else np.matmul(large, parts)).reshape(x.shape)
        if self.inverse:
            sums *= self.signs
        return sums

    def _exactly(self, row: Array) -> list[Any]:
        """Return what a row becomes as exact numbers; a root to so many bits that no rounding can tell."""
        if not np.isfinite(row).all():
            return list(self._signed_sums(np.where(np.isfinite(row), 0.0, row)[np.newaxis])[0])
        numbers = [Fraction(float(x)) for x in row]
        half = 1
        while half < self.size:
            for start in range(0, self.size, 2 * half):
                for i in range(start, start + half):
                    a, b = numbers[i], numbers[i + half]
                    numbers[i], numbers[i + half] = a + b, a - b
            half *= 2
        zero = cancelled(self.rounding)
        last = self.signs if self.inverse else np.ones(self.size)
        return [_root_of(t * int(s), self.log) if t else zero for t, s in zip(numbers, last, strict=True)]


def _over_root(x: Array) -> tuple[Array, Array]:
    """Return x over the root of two, rounded to odd, and where the last bit of that is certain.

    >>> value, certain = _over_root(np.array([1.0]))
    >>> value.item().hex(), certain.item()
    ('0x1.6a09e667f3bcdp-1', True)
    """
    product, rest = two_product(x, np.full_like(x, _ROOT[0]))
    rest += x * _ROOT[1]
    near = product + rest
    rest -= near - product
    certain = np.abs(rest) > np.abs(near) * 2.0**-100  # the error of all this is below 2^-103 of it
    return nudge(near, rest), certain


def _root_of(total: Fraction, log: int) -> Fraction:
    """Return total / 2^(log / 2): exactly, or rounded to odd at 160 bits where that is a root.

    >>> _root_of(Fraction(3), 4), float(_root_of(Fraction(1), 1))
    (Fraction(3, 4), 0.7071067811865476)
    """
    scaled = total / 2 ** (log // 2)
    if log % 2 == 0:
        return scaled
    bits = 160 + scaled.denominator.bit_length()
    root = math.isqrt((scaled.numerator**2 << 2 * bits - 1) // scaled.denominator**2)
    return Fraction((root << 1 | 1) * (1 if total > 0 else -1), 1 << bits + 1)
