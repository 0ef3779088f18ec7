"""What a device does to numbers: float32 subnormals become zeros, and last bits of functions are its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from .ledger import LEDGER, place

__all__ = [
    "APPROXIMATE",
    "FlushError",
    "Settings",
    "cast",
    "checked",
    "flush",
    "names",
    "other_last_bits",
    "quiet",
    "settings",
]

_TINY = np.float32(2.0**-126)


def names(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


# Functions whose last bits no standard fixes; CUDA's differ from the processor's.
APPROXIMATE = names(
    "exp exp2 expm1 log log2 log10 log1p sin cos tan arcsin arccos arctan arcsinh arccosh arctanh sinh "
    "cosh tanh cbrt hypot arctan2 power float_power logaddexp logaddexp2 acos acosh asin asinh atan atan2 "
    "atanh pow deg2rad rad2deg degrees radians sinc i0"
)


class FlushError(AssertionError):
    """A float32 subnormal met a float32 operation of the device, where that was forbidden."""


class Settings:
    """How strict the stand-in is.

    Attributes
    ----------
    strict : bool
        NumPy's functions are refused, rather than sent to the stand-in's own as CuPy does.
    flushes : bool
        float32 subnormals are flushed. Without it one sees what else differs.
    refuse_flush : bool
        A number that would be flushed is an error there and then.
    """

    strict = False
    flushes = True
    refuse_flush = False


settings = Settings()


def quiet() -> Any:
    """Return a context without floating-point warnings: a device has none."""
    return np.errstate(all="ignore")


def flush(x: Any) -> Any:
    """Return `x` with float32 subnormals replaced by zeros of their sign, as kernels with -ftz=true see them."""
    if not (settings.flushes and isinstance(x, np.ndarray | np.generic) and x.dtype == np.float32):
        return x
    tiny = (np.abs(x) < _TINY) & (x != 0)
    if not np.any(tiny):
        return x
    where = place()
    if settings.refuse_flush:
        raise FlushError(f"A float32 operation on a device flushes subnormals. Got one at {where}.")
    LEDGER.flushed[where] += int(np.sum(tiny))
    return np.where(tiny, np.copysign(np.float32(0), x), x)


def cast(x: np.ndarray, dtype: Any) -> np.ndarray:
    """Return `x` in another type; from and to float32 with its subnormals flushed."""
    dtype = checked(dtype)
    if x.dtype == dtype:
        return x
    with quiet():
        return flush(flush(x).astype(dtype))


def checked(dtype: Any) -> np.dtype[Any]:
    """Return a type that a device has; TypeError for object, long double, text and times."""
    dtype = np.dtype(dtype)
    if dtype.char not in "?bBhHiIlLqQefdFD":
        raise TypeError(f"Unsupported dtype {dtype}")
    return dtype


def other_last_bits(name: str, y: np.ndarray) -> np.ndarray:
    """Return results of a function with the last bit of two in three of them changed; integers stay, as CUDA's do."""
    if name not in APPROXIMATE or y.dtype != np.float64:
        return y
    with quiet():
        words = y.view(np.int64) if y.ndim else y.reshape(1).view(np.int64).reshape(())
        step = words % 3 - 1  # -1, 0 or 1 unit in the last place
        changed = (words + step).view(np.float64) if y.ndim else np.asarray(words + step).view(np.float64)
        return np.where(np.isfinite(y) & (np.rint(y) != y), changed, y)
