"""What does an array hold? Codes or values of one format, never both; the others are computed when asked for.

A FloatArray owns (or looks at) one NumPy array. An ml_dtypes array is taken over, and given back, without a copy.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Self

import numpy as np

from floatlab.backend import Array, refuse_device
from floatlab.codes.decode import decode
from floatlab.codes.encode import encode_values
from floatlab.errors import DtypeError, FormatError, FormatMismatchError
from floatlab.formats import FloatFormat
from floatlab.formats.values import values_in_html
from floatlab.interchange.jax_arrays import array_of
from floatlab.interchange.pytorch import tensor_of

__all__ = ["Storage", "common_format", "has_own_type", "zero_of"]


class Storage:
    """What a FloatArray holds, and what can be read from it: as values, as codes, as other arrays and as text."""

    __slots__ = ("_coded", "_data", "_format")

    _coded: bool
    _data: Array
    _format: FloatFormat

    @classmethod
    def _wrap(cls, data: Array, fmt: FloatFormat, coded: bool = False) -> Self:
        """Return an array that looks at `data`: values of the format in its value_dtype, or codes."""
        made = cls.__new__(cls)
        if type(data) is not np.ndarray:
            refuse_device("A FloatArray", data)
        made._data, made._format, made._coded = np.asarray(data), fmt, coded
        return made

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
    def real(self) -> Self:
        """The array itself, as a view: every element is real."""
        return self._wrap(self._data, self._format, self._coded)

    @property
    def imag(self) -> Self:
        """Zeros, read-only. Libraries such as xarray take for an array, and keep, what has `real` and `imag`."""
        zero_of("imag", self._format, ".real")
        return self._wrap(np.broadcast_to(self._data.dtype.type(0), self.shape), self._format, self._coded)

    def __len__(self) -> int:
        return len(self._data)

    def _held_as(self, coded: bool) -> Array:
        return self.codes if coded else self.values

    # -- as text -----------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        start, end = "FloatArray(", f", format={self._format})"
        with self._print_options():
            return start + np.array2string(self.values, separator=", ", prefix=start, suffix=end) + end

    def __str__(self) -> str:
        with self._print_options():
            return str(self.values)

    def _repr_html_(self) -> str:
        return values_in_html(self.values, self._format, self.codes)

    def _print_options(self) -> AbstractContextManager[Any]:
        """Do without powers of ten where numbers are moderate; NumPy has them if any two differ by a factor of 1000."""
        sizes = np.abs(self.values)
        sizes = sizes[np.isfinite(sizes) & (sizes > 0)]
        if not sizes.size or sizes.min() < 1e-4 or sizes.max() >= 1e6:
            return nullcontext()
        return np.printoptions(suppress=True, precision=10)

    # -- as other arrays and numbers -----------------------------------------------------------------------

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

    def to_torch(self) -> Any:
        """Return a tensor of PyTorch's, of the format's own type, without a copy where codes are held.

        PyTorch has to be imported already; `floatlab.asarray` is the way back, over the same memory.

        Raises
        ------
        FormatError
            If PyTorch has no such type, or is not imported.
        """
        return tensor_of(self.to_ml_dtypes())

    def to_jax(self) -> Any:
        """Return an array of JAX's, of the format's own type: a copy. JAX has to be imported already.

        Raises
        ------
        FormatError
            If JAX has no such type, or is not imported, or would cut 64 bits to 32.
        """
        return array_of(self.to_ml_dtypes().copy())

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


def _is_its_values(fmt: FloatFormat) -> bool:
    """Whether codes, seen as the format's own type, are values: of float32 and float64. (None == float64 is true.)"""
    return fmt.dtype is not None and fmt.dtype == fmt.value_dtype


def _read_only(data: Array) -> np.ndarray[Any, Any]:
    view: np.ndarray[Any, Any] = data.view()
    view.flags.writeable = False
    return view


def has_own_type(x: Any, fmt: FloatFormat) -> bool:
    """Return whether `x` is an array, or a scalar, of the format's own NumPy or ml_dtypes type, in any byte order.

    >>> from floatlab.formats import get_format
    >>> has_own_type(np.float16([1.0]), get_format("fp16")), has_own_type(np.float16([1.0]), get_format("bf16"))
    (True, False)
    """
    if fmt.dtype is None or not isinstance(x, np.ndarray | np.generic):
        return False
    return bool(x.dtype == fmt.dtype or x.dtype.newbyteorder("=") == fmt.dtype)


def common_format(operation: str, operands: tuple[Any, ...]) -> FloatFormat:
    """Return the one format of the FloatArrays among the operands.

    Raises
    ------
    FormatMismatchError
        If there are two; the message says `astype`.
    FormatError
        If there is none.
    """
    found = [x.format for x in operands if isinstance(x, Storage)]
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
