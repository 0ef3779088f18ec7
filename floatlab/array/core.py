"""What is an array in a format? `FloatArray`: codes or values, never both, and never a value that is not the format's.

A FloatArray owns (or looks at) one NumPy array, which holds either the values or the codes of its elements. What is not
held is computed when asked for; so an ml_dtypes array is taken over, and given back, without a copy. `values` and
`codes` are read-only: what is written to a FloatArray goes through assignment, which rounds.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from typing import Any, Unpack

import numpy as np

from floatlab.backend import Array, is_gpu_array
from floatlab.codes.decode import as_codes, decode
from floatlab.codes.encode import encode_values
from floatlab.context import Arithmetic, current
from floatlab.errors import DtypeError, FormatError, FormatMismatchError
from floatlab.formats import FloatFormat, get_format
from floatlab.rounding.flags import is_tracking, note
from floatlab.rounding.inputs import as_source, refuse_masked
from floatlab.rounding.options import RoundingOptions, check_names
from floatlab.rounding.quantize import quantize
from floatlab.system.environment import check_environment

__all__ = [
    "FUNCTIONS",
    "UFUNCS",
    "FloatArray",
    "array",
    "asarray",
    "common_format",
    "from_codes",
    "has_own_type",
    "zero_of",
]


# Who computes: a ufunc, or any other function of NumPy, and what stands in for it. Filled by the other files here.
class _Table(dict[Any, Callable[..., Any]]):
    def __setitem__(self, function: Any, stand_in: Callable[..., Any]) -> None:
        if function in self:  # then one of the two would never be called
            raise ValueError(
                f"A function of NumPy has one stand-in. Got a second one for {function.__name__}."
            )
        super().__setitem__(function, stand_in)


UFUNCS, FUNCTIONS = _Table(), _Table()


def _by_table(name: str, doc: str) -> Callable[..., Any]:
    """Return a method that does what stands in for a function of NumPy of the same name."""
    function = getattr(np, name)

    def method(self: FloatArray, axis: Any = None, **options: Any) -> Any:
        return FUNCTIONS[function](self, axis=axis, **options)

    method.__name__, method.__doc__ = name, doc
    return method


def _of_values(name: str, doc: str) -> Callable[..., Any]:
    """Return a method that does what the values' own method of the same name does."""

    def method(self: FloatArray, axis: Any = None, **options: Any) -> Any:
        return getattr(self.values, name)(axis, **options)

    method.__name__, method.__doc__ = name, doc
    return method


class FloatArray(np.lib.mixins.NDArrayOperatorsMixin):
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

    __slots__ = ("_coded", "_data", "_format")

    _coded: bool
    _data: Array
    _format: FloatFormat

    def __init__(self, x: Any, fmt: Any = None) -> None:
        made = array(x, fmt)
        self._data, self._format, self._coded = made._data, made._format, made._coded

    @classmethod
    def _wrap(cls, data: Array, fmt: FloatFormat, coded: bool = False) -> FloatArray:
        """Return a FloatArray that looks at `data`: values of the format in its value_dtype, or codes."""
        made = cls.__new__(cls)
        made._data, made._format, made._coded = data if is_gpu_array(data) else np.asarray(data), fmt, coded
        return made

    def _like(self, data: Array) -> FloatArray:
        """Return a FloatArray of rearranged `_data`."""
        return FloatArray._wrap(data, self._format, self._coded)

    # -- what it is --------------------------------------------------------------------------------------

    @property
    def format(self) -> FloatFormat:
        """The format of every element."""
        return self._format

    @property
    def values(self) -> np.ndarray[Any, Any]:
        """The values, in ``format.value_dtype``, read-only."""
        if self._coded and _is_its_values(self._format):
            return _read_only(self._data.view(self._format.value_dtype))
        return _read_only(decode(self._data, self._format) if self._coded else self._data)

    @property
    def codes(self) -> np.ndarray[Any, Any]:
        """The codes, in ``format.code_dtype``, read-only."""
        return _read_only(self._data if self._coded else self._encoded())

    def _encoded(self) -> Array:
        return encode_values(self._data, self._format).reshape(self.shape)

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each dimension."""
        return tuple(self._data.shape)

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return int(self._data.ndim)

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(self._data.size)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy or ml_dtypes type of the format; where there is none, that of the values."""
        return self._format.value_dtype if self._format.dtype is None else self._format.dtype

    @property
    def itemsize(self) -> int:
        """The bytes of one code."""
        return self._format.code_dtype.itemsize

    @property
    def nbytes(self) -> int:
        """The bytes of all codes; the array may hold values instead, which take more."""
        return self.size * self.itemsize

    @property
    def flat(self) -> Flat:
        """The elements in C order, to read and to write one by one."""
        return Flat(self)

    @property
    def T(self) -> FloatArray:  # noqa: N802 (NumPy's name)
        """The transpose, a view."""
        return self._like(self._data.T)

    def __len__(self) -> int:
        return len(self._data)

    def __iter__(self) -> Iterator[FloatArray]:
        return (self._like(np.asarray(part)) for part in self._data)

    def __repr__(self) -> str:
        start, end = "FloatArray(", f", format={self._format})"
        with self._print_options():
            return start + np.array2string(self.values, separator=", ", prefix=start, suffix=end) + end

    def __str__(self) -> str:
        with self._print_options():
            return str(self.values)

    def _print_options(self) -> AbstractContextManager[Any]:
        """Do without powers of ten where numbers are moderate; NumPy has them if any two differ by a factor of 1000."""
        sizes = np.abs(self.values)
        sizes = sizes[np.isfinite(sizes) & (sizes > 0)]
        if not sizes.size or sizes.min() < 1e-4 or sizes.max() >= 1e6:
            return nullcontext()
        return np.printoptions(suppress=True, precision=10)

    # -- conversion --------------------------------------------------------------------------------------

    def astype(self, fmt: Any, **options: Unpack[RoundingOptions]) -> FloatArray:
        """Return a copy in another format, rounded once; the options are those of `quantize`.

        >>> import floatlab as fl
        >>> fl.array([1.1, 300.0], "fp16").astype("e4m3", overflow="saturate")
        FloatArray([  1.125, 288.   ], format=float8_e4m3fn)
        """
        return array(self, fmt, **options)

    def to_ml_dtypes(self) -> np.ndarray[Any, Any]:
        """Return a NumPy array of the format's own NumPy or ml_dtypes type, without a copy where codes are held.

        Raises
        ------
        FormatError
            If the format has no such type.

        Examples
        --------
        >>> import floatlab as fl
        >>> fl.array([1.0, 2.5], "bf16").to_ml_dtypes()
        array([1, 2.5], dtype=bfloat16)
        """
        if self._format.dtype is None:
            raise FormatError(
                f"NumPy and ml_dtypes have no type for {self._format}. Got none. Use .codes or .values."
            )
        if not self._coded and self._data.dtype == self._format.dtype:
            return np.asarray(self._data)
        codes = self._data if self._coded else self._encoded()
        return np.asarray(codes).view(self._format.dtype)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        if dtype is not None and self._format.dtype is not None and np.dtype(dtype) == self._format.dtype:
            native = self.to_ml_dtypes()
            return native.copy() if copy else native
        values = self.values
        wanted = values.dtype if dtype is None else np.dtype(dtype)
        held = not self._coded or _is_its_values(self._format)
        if copy is False and (not held or wanted != values.dtype):
            raise ValueError(
                f"{wanted} values of {self._format} cannot be had without a copy. Leave copy=False out."
            )
        if wanted == values.dtype:
            return values.copy() if copy else values
        with np.errstate(all="ignore"):
            converted = values.astype(wanted)
            same = (converted.astype(values.dtype) == values) | (values != values)
        if not np.all(same) or (wanted.kind not in "fVc" and np.any(values != values)):
            raise DtypeError(
                f"A FloatArray becomes an array only where no value changes. Got dtype {wanted} for {self._format}. "
                f"Use .values.astype({wanted.name!r}), which rounds as NumPy does."
            )
        return converted

    def item(self, *index: Any) -> float:
        """Return one element as a Python float."""
        return float(self.values.item(*index))

    def tolist(self) -> Any:
        """Return the values as nested lists of Python floats."""
        return self.values.tolist()

    def __float__(self) -> float:
        return self.item()

    def __int__(self) -> int:
        return int(self.item())

    def __bool__(self) -> bool:
        return bool(self.values)

    def __complex__(self) -> complex:
        return complex(self.item())

    def __round__(self, digits: int | None = None) -> Any:
        """Return the nearest integer of one element, as of a float; with `digits`, see `numpy.round`."""
        return round(self.item()) if digits is None else self.round(digits)

    def __format__(self, spec: str) -> str:
        if not spec:
            return str(self)
        if self.size != 1:
            raise DtypeError(
                f"A format such as {spec!r} is for one number. Got an array of shape {self.shape}. "
                "Format its elements, or use numpy.array2string."
            )
        return format(self.item(), spec)

    def view(self, dtype: Any) -> np.ndarray[Any, Any]:
        """Return the codes (of ``format.code_dtype``), or an array of the format's own type, as `to_ml_dtypes`.

        >>> import floatlab as fl
        >>> fl.array([1.0, -2.0], "bf16").view(np.uint16)
        array([16256, 49152], dtype=uint16)
        """
        wanted = np.dtype(dtype)
        if wanted == self._format.code_dtype:
            return self.codes
        if self._format.dtype is not None and wanted == self._format.dtype:
            return self.to_ml_dtypes()
        raise DtypeError(
            f"A FloatArray is seen as its codes or as its own type. Got {wanted} for {self._format}. "
            f"Use {self._format.code_dtype}, or .values for numbers."
        )

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

    def copy(self, order: str = "C") -> FloatArray:
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

    def _held_as(self, coded: bool) -> Array:
        return self.codes if coded else self.values

    # -- computation, which the tables know ----------------------------------------------------------------

    sum = _by_table("sum", "Return the sum; see `floatlab.sum`.")
    prod = _by_table("prod", "Return the product, rounded after every factor; see `floatlab.prod`.")
    mean = _by_table("mean", "Return the mean; see `floatlab.mean`.")
    std = _by_table("std", "Return the standard deviation; see `numpy.std`.")
    var = _by_table("var", "Return the variance; see `numpy.var`.")
    cumsum = _by_table("cumsum", "Return the partial sums, each rounded.")
    cumprod = _by_table("cumprod", "Return the partial products, each rounded.")
    max = _by_table("max", "Return the largest element, or NaN if there is one.")
    min = _by_table("min", "Return the smallest element, or NaN if there is one.")
    ptp = _by_table("ptp", "Return the largest element less the smallest, rounded.")
    argmax = _of_values("argmax", "Return the place of the largest element.")
    argmin = _of_values("argmin", "Return the place of the smallest element.")
    any = _of_values("any", "Return whether any element is not zero.")
    all = _of_values("all", "Return whether no element is zero.")

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
        return FUNCTIONS[func](*_in_order(func, args, kwargs), **kwargs)


# Functions of NumPy that are written in C, and had no signature to ask before NumPy 2.4.
_REQUIRED = {
    "dot": ("a", "b"),
    "copyto": ("dst", "src"),
    "putmask": ("a", "mask", "values"),
    "lexsort": ("keys",),
}


@lru_cache(maxsize=512)
def _required(function: Any) -> tuple[str, ...]:
    """Return the names of the arguments that a function of NumPy must be given."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        return _REQUIRED.get(function.__name__, ())
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return tuple(p.name for p in parameters if p.kind in kinds and p.default is p.empty)


def _in_order(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """Return the arguments in their order, and take those out of `kwargs` that were given by name: np.sort(a=x).

    What stands in for a function takes the required ones by place, whatever NumPy calls them.
    """
    if kwargs:
        for name in _required(function)[len(args) :]:
            if name not in kwargs:
                break
            args = (*args, kwargs.pop(name))
    return args


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


def _is_its_values(fmt: FloatFormat) -> bool:
    """Whether codes, seen as the format's own type, are values: of float32 and float64. (None == float64 is true.)"""
    return fmt.dtype is not None and fmt.dtype == fmt.value_dtype


def _read_only(data: Array) -> np.ndarray[Any, Any]:
    view: np.ndarray[Any, Any] = data.view()
    if not is_gpu_array(view):
        view.flags.writeable = False
    return view


def common_format(operation: str, operands: tuple[Any, ...]) -> FloatFormat:
    """Return the one format of the FloatArrays among the operands.

    Raises
    ------
    FormatMismatchError
        If there are two; the message says `astype`.
    FormatError
        If there is none.
    """
    found = [x.format for x in operands if isinstance(x, FloatArray)]
    if not found:
        raise FormatError(
            f"{operation} into a FloatArray takes FloatArrays. Got none among its operands. "
            "Round one of them first, with fl.array(x, fmt)."
        )
    for fmt in found[1:]:
        if not fmt.same_as(found[0]):
            named = operation in ("add", "subtract", "multiply", "divide", "matmul", "dot")
            way_out = f", or name the format of the result in fl.{operation}" if named else ""
            raise FormatMismatchError(
                f"The operands of {operation} have one format. Got {found[0].spec} and {fmt.spec}. "
                f'Convert one of them with .astype("{found[0].spec}"){way_out}.'
            )
    return found[0]


def zero_of(operation: str, fmt: FloatFormat, way_out: str) -> float:
    """Return the zero that an operation fills in.

    Raises
    ------
    FormatError
        If the format has none (e8m0); `way_out` says what to use instead.
    """
    if not fmt.has_zero:
        raise FormatError(f"numpy.{operation} fills in zeros. Got {fmt}, which has no zero. Use {way_out}.")
    return 0.0


# -- making one ------------------------------------------------------------------------------------------


def array(x: Any, fmt: Any = None, **options: Unpack[RoundingOptions]) -> FloatArray:
    """Return a new FloatArray of numbers, rounded to a format.

    Parameters
    ----------
    x : array_like
        Real numbers of any kind and shape, a FloatArray, or an ml_dtypes array.
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
    given = _format_of(x)
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
    given = _format_of(x)
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
    fmt = get_format(fmt)
    if isinstance(codes, np.ma.MaskedArray):
        as_source(codes, fmt)  # refuses it, and says why
    if isinstance(codes, FloatArray):
        raise DtypeError(f"Codes are unsigned integers. Got a FloatArray of {codes.format}. Use its .codes.")
    if has_own_type(codes, fmt):
        return asarray(codes, fmt)
    return FloatArray._wrap(as_codes(codes, fmt), fmt, coded=True)


def has_own_type(x: Any, fmt: FloatFormat) -> bool:
    """Return whether `x` is an array, or a scalar, of the format's own NumPy or ml_dtypes type, in any byte order.

    >>> has_own_type(np.float16([1.0]), get_format("fp16")), has_own_type(np.float16([1.0]), get_format("bf16"))
    (True, False)
    """
    if fmt.dtype is None or not isinstance(x, np.ndarray | np.generic):
        return False
    return bool(x.dtype == fmt.dtype or x.dtype.newbyteorder("=") == fmt.dtype)


def _format_of(x: Any) -> FloatFormat | None:
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
