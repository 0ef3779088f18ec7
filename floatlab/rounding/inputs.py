"""Which numbers can be rounded? Anything real, turned into an array that holds it exactly.

Rounding must start from the exact value, so nothing here may round, with one exception that cannot be seen: a
number too long for a float64 is rounded *to odd* at 53 bits. Its last bit then says that something was lost, and
rounding it again to 51 bits or fewer gives what the number itself would have given (Boldo and Melquiond 2008). Where
that is not enough - for wider formats, for many random bits, and at the ends of float64 - the exact number is handed
on beside the array, as a pair of integers.

NumPy itself rounds on the way in: ``np.asarray([2**60 + 1, 0.5])`` is an array of float64. So lists are looked into,
and wherever NumPy may have rounded they are taken apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from floatlab.backend import Array, array_module, asnumpy, blocks, is_gpu_array, widened
from floatlab.errors import DtypeError
from floatlab.formats import FloatFormat, get_format
from floatlab.interchange.guests import is_guest, taken
from floatlab.rounding.numbers import FLOATS, NARROW_FLOATS, exact_number
from floatlab.rounding.odd import Exact, from_ratio, integer_to_odd, nudge
from floatlab.rounding.options import make_rule
from floatlab.rounding.ratios import round_ratio

__all__ = [
    "as_array",
    "as_source",
    "exact_source",
    "leaf_types",
    "nearest_and_rest",
    "refuse_masked",
    "split_integers",
]

_EXACT_INTEGERS = 2**53
_FLOAT64 = get_format("float64")
_NEAREST = make_rule(_FLOAT64, "nearest_even", None, "gradual", False)
_BLOCK = 1 << 13  # integers that are converted at a time, so that the temporaries stay in the cache

Rest = dict[int, Exact]
_NOTHING: Rest = {}


def as_source(x: Any, fmt: FloatFormat, extra_bits: int = 0) -> Array:
    """Return `x` as a float16, float32 or float64 array in native byte order, of exactly its values.

    Parameters
    ----------
    x : array_like
        Floats, integers of any width, booleans, an ml_dtypes array, a number, a (nested) list of numbers. Also
        `fractions.Fraction`, `decimal.Decimal` and decimal texts such as "0.1", "1e400", "inf" or "nan", on their own,
        in lists and in arrays (of dtype object, or of texts); all are taken at their exact values.
    fmt : FloatFormat
        What it will be rounded to; only a number that is no float64 depends on it.
    extra_bits : int
        How many bits below the last place the rounding looks at one by one (stochastic rounding does).

    Raises
    ------
    DtypeError
        For anything else: complex numbers, other texts and objects, ragged lists, masked arrays. Also for a number that
        is no float64 where 53 bits cannot stand for it; `exact_source` returns it.

    Examples
    --------
    >>> from floatlab.formats import get_format
    >>> as_source([1, 2, 3], get_format("fp16")).dtype
    dtype('float64')
    """
    array, rest = exact_source(x, fmt, extra_bits)
    if rest:
        raise DtypeError(
            "The numbers here are float64 values, however they are written. "
            f"Got one that lies beside {float(array.reshape(-1)[min(rest)])!r}. "
            'Round it first, with floatlab.quantize(x, "float64").'
        )
    return array


def exact_source(x: Any, fmt: FloatFormat, extra_bits: int = 0) -> tuple[Array, Rest]:
    """Return `x` as `as_source` does, and the exact numbers where the array cannot stand for them.

    Returns
    -------
    array
        As of `as_source`. Where a number is no float64 it holds the number rounded to odd.
    dict
        By the flat index of an element: the pair (n, e) of the exact number n * 2^e, itself rounded to odd at more bits
        than any rounding looks at. Only those for which the array is not enough.

    Examples
    --------
    >>> from floatlab.formats import get_format
    >>> exact_source([2**60 + 1, 0.5], get_format("fp64"))
    (array([1.1529215e+18, 5.0000000e-01]), {0: (1152921504606846977, 0)})
    >>> exact_source([2**60 + 1, 0.5], get_format("fp32"))
    (array([1.1529215e+18, 5.0000000e-01]), {})
    """
    array = x if type(x) is np.ndarray or is_gpu_array(x) else as_array(x, "rounded")
    dtype = array.dtype
    if dtype in FLOATS:
        return array, _NOTHING
    if dtype in NARROW_FLOATS:
        return array.astype(np.float32), _NOTHING
    match dtype.kind:
        case "b":
            return array.astype(np.float32), _NOTHING
        case "i" | "u":
            return _from_integers(array, fmt, extra_bits)
        case "f" if dtype.newbyteorder("=") in FLOATS:
            return array.astype(dtype.newbyteorder("=")), _NOTHING
        case "f":
            return _from_long_double(array, fmt, extra_bits)
        case "O" | "U" | "S" | "T":
            return _from_objects(array.astype(object, copy=False), fmt, extra_bits)
    if dtype.name in ("int4", "uint4", "int2", "uint2", "int1", "uint1"):  # ml_dtypes
        return array.astype(np.float32), _NOTHING
    hint = "Round x.real and x.imag separately." if dtype.kind == "c" else "Convert it to numbers first."
    raise DtypeError(f"Only real numbers can be rounded. Got an array of dtype {dtype}. {hint}")


def nearest_and_rest(x: Any) -> tuple[Array, Array | None]:
    """Return the float64 numbers nearest to real numbers of any kind, and the sign of what is missing.

    Two numbers of which one is a float64 compare as their nearest float64 do, and if these are equal, as the signs do.

    Returns
    -------
    array of float64
    array of int8, or None
        -1, 0 or 1: the sign of the number less the nearest float64. None where every number is a float64.

    Examples
    --------
    >>> nearest_and_rest([2**60 - 1, 2**60, 2**60 + 1])
    (array([1.1529215e+18, 1.1529215e+18, 1.1529215e+18]), array([-1,  0,  1], dtype=int8))
    """
    halves = split_integers(x)
    if halves is not None:
        return halves[0], np.sign(halves[1]).astype(np.int8)
    array, rest = exact_source(x, _FLOAT64)
    array = widened(array)
    if not rest:
        return array, None
    array, signs = array.copy(), np.zeros(array.shape, np.int8)
    for place, (n, e) in rest.items():
        number = Fraction(n << e) if e > 0 else Fraction(n, 1 << -e)
        near = round_ratio(number.numerator, number.denominator, _NEAREST).value
        array.flat[place] = near
        signs.flat[place] = 1 if number > near else -1
    return array, signs


def split_integers(x: Any) -> tuple[Array, Array] | None:
    """Return two float64 arrays whose sum is an array of 64-bit integers, exactly; None if one is enough, or none is.

    The first holds the float64 numbers nearest to the integers.

    >>> high, low = split_integers(np.array([2**60 + 1, 5]))
    >>> int(high[0]) == 2**60, low.tolist()
    (True, [1.0, 0.0])
    """
    if type(x) is not np.ndarray or x.dtype.kind not in "iu" or x.dtype.itemsize < 8:
        return None
    high, low = np.empty(x.size, np.float64), np.empty(x.size, np.float64)
    for piece, nearest, missing in _halves_added(x):
        high[piece], low[piece] = nearest, missing
    return (high.reshape(x.shape), low.reshape(x.shape)) if low.any() else None


# -- what NumPy makes of it ------------------------------------------------------------------------------


def as_array(x: Any, done: str) -> Array:
    """Return `x` as an array; of objects, where NumPy would round, or write numbers as texts.

    `done` is what errors say that cannot be done: "rounded".

    >>> as_array([2**60 + 1, 0.5], "rounded")
    array([1152921504606846977, 0.5], dtype=object)
    """
    kind = type(x)
    if kind in _PYTHON:
        return np.asarray(x)
    listed = isinstance(x, list | tuple)
    leaves = leaf_types(x) if listed else {kind}
    if not leaves <= _PYTHON:
        refuse_masked(x, leaves, done)
        if any(map(is_guest, leaves)):
            x = taken(x, done)
    try:
        array = np.asarray(x)
    except ValueError as error:
        raise DtypeError(
            f"Numbers to be {done} form a regular array. Got a ragged sequence ({error}). "
            f"Pad it, or have the rows {done} one by one."
        ) from None
    except (TypeError, RuntimeError, OverflowError) as error:  # what other libraries' arrays say
        raise DtypeError(
            f"Only what NumPy takes for an array can be {done}. Got a {type(x).__name__} ({error}). "
            "Convert it first."
        ) from None
    if listed and not leaves <= _ONE_KIND and _may_be_rounded(array):
        return np.asarray(x, dtype=object)
    return array


def plain_option(option: Any) -> Any:
    """Return an option as Python's number where it is one of NumPy's, and a tuple of them likewise.

    NumPy computes ``1.0 - np.float32(0.999)`` in float32: a result would depend on the type of an option,
    and not only on its value.

    >>> plain_option(np.float32(0.5)), plain_option((np.int64(3), 0.25)), plain_option("sum")
    (0.5, (3, 0.25), 'sum')
    """
    if isinstance(option, np.floating):
        return float(option)  # and not option.item(), which leaves a long double as it is
    if isinstance(option, np.generic):
        return option.item()
    if isinstance(option, tuple):
        return tuple(map(plain_option, option))
    return option


def refuse_masked(x: Any, leaves: set[type], done: str = "rounded") -> None:
    """Raise if an array, or one in a list, is masked: an element without a value is no number."""
    if any(issubclass(leaf, np.ma.MaskedArray) for leaf in leaves):
        raise DtypeError(
            f"A masked array has elements without a value, which cannot be {done}. "
            f"Got one {f'of shape {x.shape}' if hasattr(x, 'shape') else 'in a list'}. "
            "Use x.filled(value), or x.compressed()."
        )


# Python's floats and NumPy's, which NumPy puts together without rounding.
_ONE_KIND = {float, np.longdouble, np.float64, np.float32, np.float16}
_PYTHON = {float, int, bool}


def leaf_types(x: Any) -> set[type]:
    """Return the types of what is in nested lists and tuples; for a plain array, that of its elements.

    >>> sorted(leaf.__name__ for leaf in leaf_types([[1, 2.0], [np.zeros(3, np.float32)]]))
    ['float', 'float32', 'int']
    """
    types = set(map(type, x))
    if types <= _PYTHON:
        return types
    if np.ndarray in types:
        types = (types - {np.ndarray}) | {part.dtype.type for part in x if type(part) is np.ndarray}
    if list in types or tuple in types:
        nested = [leaf_types(part) for part in x if isinstance(part, list | tuple)]
        types = (types - {list, tuple}).union(*nested)
    return types


def _may_be_rounded(array: Array) -> bool:
    """Whether a list became texts, or floats among which a number was too long for one."""
    if array.dtype.kind in "US":
        return True
    if array.dtype.kind != "f" or array.dtype.itemsize < 8 or array.size == 0:
        return False
    with np.errstate(invalid="ignore"):
        return not bool(np.abs(array).max() < _EXACT_INTEGERS)  # a NaN may hide one


# -- integers and long doubles, many at a time -----------------------------------------------------------


def _from_integers(array: Array, fmt: FloatFormat, extra_bits: int) -> tuple[Array, Rest]:
    if array.dtype.itemsize <= 2:
        return array.astype(np.float32), _NOTHING
    if array.dtype.itemsize <= 4 or array.size == 0:
        return array.astype(np.float64), _NOTHING
    if int(array.max()) <= _EXACT_INTEGERS and int(array.min()) >= -_EXACT_INTEGERS:
        return array.astype(np.float64), _NOTHING
    source, enough = array_module(array).empty(array.size, np.float64), _is_enough(fmt, extra_bits)
    places: list[int] = []
    for piece, nearest, missing in _halves_added(array):
        nudge(nearest, missing)
        source[piece] = nearest
        if not enough:
            places += (np.flatnonzero(asnumpy(missing)) + piece.start).tolist()
    flat = array.reshape(-1) if places else array
    rest = {place: (int(flat[place]), 0) for place in places}
    return source.reshape(array.shape), rest


def _halves_added(array: Array) -> Iterator[tuple[slice, Array, Array]]:
    """Yield pieces of 64-bit integers: where, the float64 numbers nearest to them, and what is missing, exactly.

    Each half of an integer is a float64. The first half is 0 or the larger one, so that what their sum lacks is
    a float64, too (Dekker 1971).
    """
    xp = array_module(array)
    flat = xp.ascontiguousarray(array, dtype=array.dtype.newbyteorder("=")).reshape(-1)
    for piece in blocks(flat.size, _BLOCK):
        high = (flat[piece] >> 32).view(np.int64).astype(np.float64)
        high *= 2.0**32
        low = (flat[piece] & 0xFFFFFFFF).view(np.int64).astype(np.float64)
        nearest = high + low
        high -= nearest
        high += low
        yield piece, nearest, high


def _from_long_double(array: Array, fmt: FloatFormat, extra_bits: int) -> tuple[Array, Rest]:
    with np.errstate(all="ignore"):
        source: Array = array.astype(np.float64, order="C")
        missing = np.nan_to_num(array - source, nan=0.0, posinf=1.0, neginf=-1.0)  # infinity less itself
        nudge(source, np.sign(missing).astype(np.float64))
    rest = {}
    for place in np.flatnonzero(missing).tolist():
        if not _is_enough(fmt, extra_bits, float(source.flat[place])):
            rest[place] = from_ratio(*array.flat[place].as_integer_ratio())
    return source, rest


def _is_enough(fmt: FloatFormat, extra_bits: int, value: float = 1.0) -> bool:
    """Whether a number rounded to odd in float64, to `value`, is rounded as the number itself is.

    It is where there are two more bits than the rounding looks at, and where the ends of float64 are not the format's.
    """
    lowest = fmt.etiny - extra_bits
    return (
        fmt.mantissa_bits + extra_bits <= 50
        and (abs(value) < 2.0**1023 or fmt.emax < 1022)
        and (abs(value) >= 2.0**-1021 or lowest >= -1070)
    )


# -- numbers of any kind, one at a time ------------------------------------------------------------------


def _from_objects(array: Array, fmt: FloatFormat, extra_bits: int) -> tuple[Array, Rest]:
    source, rest = np.empty(array.size, np.float64), {}
    for place, item in enumerate(array.flat):
        number = exact_number(item)
        if isinstance(number, float):
            source[place] = number
            continue
        value = source[place] = integer_to_odd(*number)
        if not _is_enough(fmt, extra_bits, value) and not _is_float64(*number):
            rest[place] = number
    return source.reshape(array.shape), rest


def _is_float64(n: int, e: int) -> bool:
    """Whether n * 2^e is a float64 number."""
    bits, zeros = n.bit_length(), (n & -n).bit_length() - 1
    return n == 0 or (bits - zeros <= 53 and zeros + e >= -1074 and bits + e <= 1024)
