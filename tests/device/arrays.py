"""The array type: it holds a NumPy array where nobody else can reach it."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

from .flushing import cast, checked, flush, settings
from .indexing import numpy_key, stored
from .ledger import LEDGER

__all__ = ["argument", "held", "ndarray", "operand", "wrapped"]

_NUMBERS = (bool, int, float, complex, np.generic)


class ndarray:  # noqa: N801
    """What ``cupy.ndarray`` is. Operators come from `ufuncs`, all other methods from `methods`."""

    __array_priority__ = 100
    __slots__ = ("__held",)
    __hash__ = None  # type: ignore[assignment]

    def __new__(
        cls, shape: Any, dtype: Any = float, memptr: Any = None, strides: Any = None, order: str = "C"
    ) -> ndarray:
        return cls._of(np.empty(shape, checked(dtype), order))

    @classmethod
    def _of(cls, x: np.ndarray) -> ndarray:
        """Return a device array that holds this NumPy array; for the stand-in's own files and the tests' fixtures."""
        self = object.__new__(ndarray)
        self.__held = x
        return self

    @staticmethod
    def _hand_over(x: ndarray) -> np.ndarray:
        """Return what a device array holds; for the stand-in's own files."""
        return x.__held

    # -- attributes ------------------------------------------------------------------------------

    shape = property(lambda self: self.__held.shape, lambda self, shape: _reshape_in_place(self, shape))
    dtype = property(lambda self: self.__held.dtype)
    ndim = property(lambda self: self.__held.ndim)
    size = property(lambda self: self.__held.size)
    itemsize = property(lambda self: self.__held.itemsize)
    nbytes = property(lambda self: self.__held.nbytes)
    strides = property(lambda self: self.__held.strides)
    T = property(lambda self: self._of(self.__held.T))
    mT = property(lambda self: self._of(self.__held.mT))  # noqa: N815
    real = property(lambda self: self._of(self.__held.real))
    imag = property(lambda self: self._of(self.__held.imag))
    device = property(lambda self: sys.modules["cupy"].cuda.Device(0))

    @property
    def flags(self) -> Any:
        """Contiguity and ownership; there is no `writeable` on a device."""
        flags = self.__held.flags
        return SimpleNamespace(
            c_contiguous=flags.c_contiguous, f_contiguous=flags.f_contiguous, owndata=flags.owndata
        )

    @property
    def base(self) -> ndarray | None:
        """The array that this one is a view of."""
        return None if self.__held.base is None else self._of(self.__held.base)

    # -- to the host ------------------------------------------------------------------------------

    def get(self, stream: Any = None, order: str = "C", out: Any = None, blocking: bool = True) -> np.ndarray:
        """Return a copy on the host."""
        LEDGER.reading("get")
        if out is not None:
            out[...] = self.__held
            return out
        return np.array(self.__held, order=order)

    def set(self, arr: np.ndarray, stream: Any = None) -> None:
        """Copy an array of the host of the same type and shape."""
        assert isinstance(arr, np.ndarray) and (arr.dtype, arr.shape) == (self.dtype, self.shape)
        LEDGER.sending()
        self.__held[...] = arr

    def item(self) -> Any:
        """Return the one element."""
        LEDGER.reading("item")
        return self.__held.item()

    def tolist(self) -> Any:
        """Return lists of the elements."""
        LEDGER.reading("tolist")
        return self.__held.tolist()

    def tobytes(self, order: str = "C") -> bytes:
        """Return the bytes of the elements."""
        LEDGER.reading("tobytes")
        return self.__held.tobytes(order)

    def _read(self, kind: str, how: Any) -> Any:
        LEDGER.reading(kind)
        return how(self.__held)

    def __float__(self) -> float:
        return self._read("float", float)

    def __int__(self) -> int:
        return self._read("int", int)

    def __bool__(self) -> bool:
        return self._read("bool", lambda x: bool(flush(x)))

    def __index__(self) -> int:
        return self._read("index", lambda x: x.__index__())

    def __complex__(self) -> complex:
        return self._read("complex", complex)

    def __repr__(self) -> str:
        return self._read("repr", repr)

    def __str__(self) -> str:
        return self._read("str", str)

    def __format__(self, text: str) -> str:
        return self._read("format", lambda x: format(x, text))

    def __reduce__(self) -> Any:
        return _sent, (self._read("pickle", np.copy),)

    # -- elements ---------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.__held)

    def __iter__(self) -> Iterator[ndarray]:
        if self.ndim == 0:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    def __copy__(self) -> ndarray:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> ndarray:
        return self.copy()

    def __getitem__(self, key: Any) -> ndarray:
        key, advanced = numpy_key(self.__held, key, held)
        if advanced:
            LEDGER.launch("getitem")
        return self._of(np.asarray(self.__held[key]))

    def __setitem__(self, key: Any, value: Any) -> None:
        value = operand(value)
        LEDGER.launch("setitem")
        if isinstance(value, np.ndarray):
            value = cast(value, self.dtype)
        stored(self.__held, *numpy_key(self.__held, key, held), value)

    # -- protocols --------------------------------------------------------------------------------

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. "
            "Please use `.get()` to construct a NumPy array explicitly."
        )

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Send NumPy's ufunc to the device's own of that name, as CuPy does."""
        if settings.strict:
            raise TypeError(f"numpy.{ufunc.__name__} was called with a device array")
        function = getattr(sys.modules["cupy"], ufunc.__name__, None)
        if function is None:
            return NotImplemented
        if any(
            hasattr(x, "__array_ufunc__") and not isinstance(x, ndarray | np.ndarray | np.generic)
            for x in inputs
        ):
            return NotImplemented
        if "out" in kwargs:
            if len(kwargs["out"]) != 1:
                raise ValueError("The 'out' parameter must have exactly one array value")
            kwargs["out"] = kwargs["out"][0]
        return (function if method == "__call__" else getattr(function, method))(*inputs, **kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Send NumPy's function to the device's own of that name, as CuPy does."""
        if settings.strict:
            raise TypeError(f"numpy.{func.__name__} was called with a device array")
        if not all(issubclass(kind, ndarray | np.ndarray) for kind in types):
            return NotImplemented
        try:
            module = functools.reduce(getattr, func.__module__.split(".")[1:], sys.modules["cupy"])
            return getattr(module, func.__name__)(*args, **kwargs)
        except AttributeError as error:
            if "has no attribute" in str(error) and func.__name__ in str(error):
                return NotImplemented
            raise


def _reshape_in_place(x: ndarray, shape: Any) -> None:
    held(x).shape = shape


def _sent(x: np.ndarray) -> ndarray:
    """Return what a pickle of a device array is when it is read."""
    return ndarray._of(x)


held = ndarray._hand_over


def wrapped(x: Any) -> Any:
    """Return results of NumPy as device arrays: arrays and scalars, also inside tuples and lists."""
    if isinstance(x, np.ndarray | np.generic):
        checked(x.dtype)
        return ndarray._of(np.asarray(x))
    if isinstance(x, tuple):
        return type(x)(*map(wrapped, x)) if hasattr(x, "_fields") else tuple(map(wrapped, x))
    return list(map(wrapped, x)) if isinstance(x, list) else x


def operand(x: Any) -> Any:
    """Return what a kernel computes with: a device array's numbers, or a number. TypeError for all else."""
    if isinstance(x, ndarray):
        return held(x)
    if isinstance(x, _NUMBERS):
        return x
    raise TypeError(f"Unsupported type {type(x)}")


def argument(x: Any) -> Any:
    """Return an argument of a function: the numbers of device arrays, also in tuples; TypeError for NumPy's."""
    if isinstance(x, ndarray):
        return held(x)
    if isinstance(x, np.ndarray):
        raise TypeError(f"Unsupported type {type(x)}")
    if isinstance(x, tuple):
        return tuple(map(argument, x))
    return list(map(argument, x)) if isinstance(x, list) else x
