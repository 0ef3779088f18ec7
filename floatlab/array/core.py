"""What is an array in a format? `FloatArray`: codes or values, never both, and never a value that is not the format's.

`floatlab.array.storage` has what it holds. `values` and `codes` are read-only: what is written to a FloatArray goes
through assignment, which rounds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, Unpack

import numpy as np

from floatlab.array.protocols import FUNCTIONS, UFUNCS, by_table, in_order, of_values
from floatlab.array.storage import Storage, common_format, has_own_type
from floatlab.backend import Array
from floatlab.codes.decode import as_codes
from floatlab.codes.encode import encode_values
from floatlab.context import Arithmetic, current
from floatlab.errors import DtypeError, FormatError
from floatlab.formats import FloatFormat, get_format
from floatlab.interchange.guests import taken
from floatlab.rounding.flags import is_tracking, note
from floatlab.rounding.inputs import as_source, refuse_masked
from floatlab.rounding.options import RoundingOptions, check_names
from floatlab.rounding.quantize import quantize
from floatlab.system.environment import check_environment

__all__ = ["FloatArray", "array", "asarray", "format_of", "from_codes"]


class FloatArray(Storage, np.lib.mixins.NDArrayOperatorsMixin):
    """An array of values of one float format, which computes in that format.

    Every operation rounds once, as the context says (`floatlab.arithmetic`); by default to nearest, ties to even.
    Made by `floatlab.array`, `floatlab.asarray` and `floatlab.from_codes`.

    Operators take FloatArrays of the same format, and numbers, which are rounded to the format first. For two
    different formats, and for plain arrays, they ask for a conversion. Comparisons take everything, and
    exactly: they round nothing.

    Attributes
    ----------
    format : FloatFormat
    values : numpy.ndarray
        The values, in float32 or float64, read-only.
    codes : numpy.ndarray
        The bit patterns, as unsigned integers, read-only.

    Examples
    --------
    >>> import floatlab as fl
    >>> a = fl.array([1.0, 0.1, 300.0], "e4m3")
    >>> a
    FloatArray([  1.       ,   0.1015625, 288.       ], format=float8_e4m3fn)
    >>> a + 0.05
    FloatArray([  1.     ,   0.15625, 288.     ], format=float8_e4m3fn)
    >>> np.sqrt(a).codes
    array([56, 42, 88], dtype=uint8)
    """

    __slots__ = ()

    def __init__(self, x: Any, fmt: Any = None) -> None:
        made = array(x, fmt)
        self._data, self._format, self._coded = made._data, made._format, made._coded

    def _like(self, data: Array) -> FloatArray:
        """Return a FloatArray of rearranged `_data`."""
        return FloatArray._wrap(data, self._format, self._coded)

    @property
    def flat(self) -> Flat:
        """The elements in C order, to read and to write one by one."""
        return Flat(self)

    @property
    def T(self) -> FloatArray:  # noqa: N802 (NumPy's name)
        """The transpose, a view."""
        return self._like(self._data.T)

    def __iter__(self) -> Iterator[FloatArray]:
        return (self._like(np.asarray(part)) for part in self._data)

    def astype(self, fmt: Any, **options: Unpack[RoundingOptions]) -> FloatArray:
        """Return a copy in another format, rounded once; the options are those of `quantize`.

        >>> import floatlab as fl
        >>> fl.array([1.1, 300.0], "fp16").astype("e4m3", overflow="saturate")
        FloatArray([  1.125, 288.   ], format=float8_e4m3fn)
        """
        return array(self, fmt, **options)

    # -- elements and shape ------------------------------------------------------------------------------

    def __getitem__(self, key: Any) -> FloatArray:
        return self._like(np.asarray(self._data[key]))

    def __setitem__(self, key: Any, value: Any) -> None:
        self._data[key] = self._held("assignment", value)

    def _held(self, operation: str, value: Any) -> Array:
        """Return what an element must hold to have a value: its code, or itself, rounded if it is a plain number."""
        source = value if isinstance(value, FloatArray) else array(value, self._format)
        common_format(operation, (self, source))
        return source.codes if self._coded else source.values

    def copy(self, order: Literal["C", "F", "A", "K"] = "C") -> FloatArray:
        """Return a copy."""
        return self._like(self._data.copy(order))

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> FloatArray:
        return self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        return FloatArray._wrap, (
            np.ascontiguousarray(self._data).reshape(self.shape),
            self._format,
            self._coded,
        )

    def reshape(self, *shape: Any) -> FloatArray:
        """Return the elements in another shape."""
        return self._like(self._data.reshape(*shape))

    def ravel(self) -> FloatArray:
        """Return the elements in one dimension, a view where possible."""
        return self._like(self._data.ravel())

    def flatten(self) -> FloatArray:
        """Return a copy in one dimension."""
        return self._like(self._data.flatten())

    def squeeze(self, axis: Any = None) -> FloatArray:
        """Return a view without the dimensions of length 1."""
        return self._like(self._data.squeeze(axis))

    def transpose(self, *axes: Any) -> FloatArray:
        """Return a view with the dimensions in another order."""
        return self._like(self._data.transpose(*axes))

    def swapaxes(self, first: int, second: int) -> FloatArray:
        """Return a view with two dimensions exchanged."""
        return self._like(self._data.swapaxes(first, second))

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> FloatArray:
        """Return the diagonal; see `numpy.diagonal`."""
        return self._like(self._data.diagonal(offset, axis1, axis2))

    def take(self, indices: Any, axis: Any = None, out: Any = None, mode: Any = "raise") -> Any:
        """Return the elements at some places; see `numpy.take`."""
        return np.take(self, indices, axis, out=out, mode=mode)

    def repeat(self, repeats: Any, axis: Any = None) -> FloatArray:
        """Return each element several times; see `numpy.repeat`."""
        return self._like(self._data.repeat(repeats, axis))

    def compress(self, condition: Any, axis: Any = None) -> FloatArray:
        """Return the elements where a condition holds; see `numpy.compress`."""
        return self._like(self._data.compress(condition, axis))

    def fill(self, value: Any) -> None:
        """Set every element to one value, which is rounded."""
        self[...] = value

    def sort(self, axis: int = -1, kind: Any = None) -> None:
        """Sort in place; NaNs come last."""
        ordered: Any = np.sort(self, axis=axis, kind=kind)
        self._data[...] = ordered._held_as(self._coded)

    # -- computation, which the tables know ----------------------------------------------------------------

    sum = by_table("sum", "Return the sum; see `floatlab.sum`.")
    prod = by_table("prod", "Return the product, rounded after every factor; see `floatlab.prod`.")
    mean = by_table("mean", "Return the mean; see `floatlab.mean`.")
    std = by_table("std", "Return the standard deviation; see `numpy.std`.")
    var = by_table("var", "Return the variance; see `numpy.var`.")
    cumsum = by_table("cumsum", "Return the partial sums, each rounded.")
    cumprod = by_table("cumprod", "Return the partial products, each rounded.")
    max = by_table("max", "Return the largest element, or NaN if there is one.")
    min = by_table("min", "Return the smallest element, or NaN if there is one.")
    ptp = by_table("ptp", "Return the largest element less the smallest, rounded.")
    argmax = of_values("argmax", "Return the place of the largest element.")
    argmin = of_values("argmin", "Return the place of the smallest element.")
    any = of_values("any", "Return whether any element is not zero.")
    all = of_values("all", "Return whether no element is zero.")

    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
        """Return the sum of the diagonal; see `floatlab.sum`."""
        return np.trace(self, offset, axis1, axis2)

    def round(self, decimals: int = 0) -> Any:
        """Return the elements rounded to some decimal places; see `numpy.round`."""
        return np.round(self, decimals)

    def argsort(self, axis: Any = -1, kind: Any = None, *, stable: Any = None) -> Any:
        """Return the places of the elements in order; NaNs come last."""
        return self.values.argsort(axis, kind, stable=stable)

    def nonzero(self) -> Any:
        """Return the places of the elements that are not zero."""
        return self.values.nonzero()

    def __round__(self, digits: int | None = None) -> Any:
        """Return the nearest integer of one element, as of a float; with `digits`, see `numpy.round`."""
        return round(self.item()) if digits is None else self.round(digits)

    def conj(self) -> FloatArray:
        """Return a copy: every element is real."""
        return self.copy()

    conjugate = conj

    def clip(self, min: Any = None, max: Any = None, out: Any = None) -> Any:
        """Return the elements limited to a range; see `numpy.clip`."""
        return FUNCTIONS[np.clip](self, min, max, out)

    def searchsorted(self, v: Any, side: Any = "left", sorter: Any = None) -> Any:
        """Return where numbers would stand among the sorted elements; see `numpy.searchsorted`."""
        return FUNCTIONS[np.searchsorted](self, v, side, sorter)

    def dot(self, other: Any, **options: Any) -> Any:
        """Return the dot product; see `floatlab.dot`."""
        return FUNCTIONS[np.dot](self, other, **options)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        check_environment()
        if ufunc not in UFUNCS:
            raise _no(ufunc, inputs)
        return UFUNCS[ufunc](method, inputs, kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        check_environment()
        if func not in FUNCTIONS:
            raise _no(func, (*args, *kwargs.values()))
        return FUNCTIONS[func](*in_order(func, args, kwargs), **kwargs)


class Flat:
    """The elements of a FloatArray in C order, whatever its shape and strides; see `numpy.ndarray.flat`.

    >>> import floatlab as fl
    >>> a = fl.array([[1.0, 2.0], [3.0, 4.0]], "fp16")
    >>> a.T.flat[1] = 0.1
    >>> a.tolist(), [float(x) for x in a.T.flat[:2]]
    ([[1.0, 2.0], [0.0999755859375, 4.0]], [1.0, 0.0999755859375])
    """

    __slots__ = ("base",)

    def __init__(self, base: FloatArray) -> None:
        self.base = base

    def __len__(self) -> int:
        return self.base.size

    def __iter__(self) -> Iterator[FloatArray]:
        return (self.base._like(np.asarray(part)) for part in self.base._data.flat)

    def __getitem__(self, key: Any) -> FloatArray:
        return self.base._like(np.asarray(self.base._data.flat[key]))

    def __setitem__(self, key: Any, value: Any) -> None:
        self.base._data.flat[key] = self.base._held("assignment", value)


def _no(function: Any, args: Any) -> DtypeError:
    fmt = next((x.format.spec for x in args if isinstance(x, FloatArray)), "a format")
    name = f"{getattr(function, '__module__', None) or 'numpy'}.{getattr(function, '__name__', function)}"
    return DtypeError(
        f"{name} has no meaning of its own in a float format. Got a FloatArray of {fmt}. "
        f'Use .values for plain numbers, and fl.array(result, "{fmt}") to round what comes out.'
    )


# -- making one ------------------------------------------------------------------------------------------


def array(x: Any, fmt: Any = None, **options: Unpack[RoundingOptions]) -> FloatArray:
    """Return a new FloatArray of numbers, rounded to a format.

    Parameters
    ----------
    x : array_like
        Real numbers of any kind and shape, a FloatArray, an ml_dtypes array, or another library's (PyTorch's, JAX's).
    fmt : str, FloatFormat or dtype, optional
        The format. It may be left out where `x` has one: a FloatArray, or an array of a NumPy or ml_dtypes float type.
    **options
        Those of `quantize`: rounding, overflow, subnormals, flush_inputs, rng, random_bits, random_integers. What is
        not given is taken from the context (`floatlab.arithmetic`).

    Raises
    ------
    FormatError
        If no format is given, and none is known.

    Examples
    --------
    >>> array([[0.1, -3.0]], "fp16").codes
    array([[11878, 49664]], dtype=uint16)
    >>> array(np.float16([0.5]))
    FloatArray([0.5], format=float16)
    """
    given = format_of(x := taken(x))
    fmt = given if fmt is None else get_format(fmt)
    if fmt is None:
        raise FormatError(
            f'An array needs a format. Got a {type(x).__name__} and none. Say it: fl.array(x, "float16").'
        )
    check_names("array", options)
    asked = current().of_operation(**options)
    if given is not None and given.same_as(fmt):
        return _within(asarray(x, fmt), asked)
    return FloatArray._wrap(_rounded(x.values if isinstance(x, FloatArray) else x, fmt, asked), fmt)


def _rounded(numbers: Any, fmt: FloatFormat, options: dict[str, Any]) -> Array:
    if is_tracking():
        values, flags = quantize(numbers, fmt, **options, return_flags=True)
        note("array", flags)
    else:
        values = quantize(numbers, fmt, **options)
    return values.astype(fmt.value_dtype, copy=False)


def _within(x: FloatArray, options: dict[str, Any]) -> FloatArray:
    """Return a copy, in which the options have changed what they change: infinities and subnormals."""
    if options == _DEFAULTS:
        return x.copy()
    old, new = x.values, _rounded(x.values, x.format, options)
    if not x._coded:
        return x._like(new)
    with np.errstate(invalid="ignore"):
        kept = ((new == old) & (np.signbit(new) == np.signbit(old))) | ((new != new) & (old != old))
    return x._like(np.where(kept, x._data, encode_values(new, x.format).reshape(x.shape)))


_DEFAULTS = Arithmetic().of_operation()


def asarray(x: Any, fmt: Any = None) -> FloatArray:
    """Return a FloatArray without a copy where `x` is one, or is an array of the format's own type; else `array`.

    The result of such an array looks at the same memory: what is written to one is seen in the other. Nothing is
    converted then, so the options of a context do not matter; `array` obeys them.

    >>> import ml_dtypes
    >>> x = np.array([1, 2, 3], ml_dtypes.bfloat16)
    >>> np.shares_memory(asarray(x).codes, x)
    True
    """
    given = format_of(x := taken(x))
    if given is None or (fmt is not None and not get_format(fmt).same_as(given)):
        return array(x, fmt)
    if isinstance(x, FloatArray):
        return x
    if isinstance(x, np.ma.MaskedArray):
        as_source(x, given)  # refuses it, and says why
    x = np.asarray(x)
    if not x.dtype.isnative:
        x = x.astype(x.dtype.newbyteorder("="))
    return FloatArray._wrap(x.view(given.code_dtype), given, coded=True)


def from_codes(codes: Any, fmt: Any) -> FloatArray:
    """Return a FloatArray of bit patterns, without a copy where they are an array of ``format.code_dtype``.

    >>> from_codes([0x7E, 0x01], "e4m3")
    FloatArray([448.         ,   0.001953125], format=float8_e4m3fn)
    """
    fmt, codes = get_format(fmt), taken(codes, "decoded")
    if isinstance(codes, np.ma.MaskedArray):
        as_source(codes, fmt)  # refuses it, and says why
    if isinstance(codes, FloatArray):
        raise DtypeError(f"Codes are unsigned integers. Got a FloatArray of {codes.format}. Use its .codes.")
    if has_own_type(codes, fmt):
        return asarray(codes, fmt)
    return FloatArray._wrap(as_codes(codes, fmt), fmt, coded=True)


def format_of(x: Any) -> FloatFormat | None:
    """Return the format that `x` has of its own, or None."""
    if isinstance(x, FloatArray):
        return x.format
    refuse_masked(x, {type(x)})
    dtype = getattr(x, "dtype", None)
    if dtype is None or not isinstance(x, np.ndarray | np.generic):
        return None
    try:
        return get_format(dtype)
    except FormatError:
        return None
