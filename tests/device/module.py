"""All of it under CuPy's name: what ``sys.modules["cupy"]`` is while the stand-in is installed."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np

from floatlab import backend

from .arrays import ndarray, operand
from .compiler import compiler
from .flushing import settings
from .functions import function
from .kernels import ElementwiseKernel
from .ledger import LEDGER
from .methods import give_methods
from .real_cupy import real_cupy
from .ufuncs import ufunc

__all__ = ["installed", "missing", "stand_in"]


def missing() -> str | None:
    """Return why there can be no stand-in here, None if there can: it needs CuPy (no GPU) and a C++ compiler."""
    if compiler() is None:
        return "no C++ compiler: kernels cannot be tried on the processor"
    try:
        _real()
    except ImportError as error:
        return f"CuPy, whose names and signatures the stand-in has, is not installed ({error})"
    return None


@functools.lru_cache(maxsize=1)
def _real() -> ModuleType:
    """Return the real CuPy, which leaves no trace among the modules, where it would count as in use."""
    with real_cupy() as module:
        return module


class _Module(ModuleType):
    """A module that has what the real one has, as far as NumPy has it, too; made when first asked for."""

    def __getattr__(self, name: str) -> Any:
        real = _real()
        if name.startswith("__") or not hasattr(real, name):
            raise AttributeError(f"module 'cupy' has no attribute {name!r}")
        theirs, ours = getattr(real, name), getattr(np, name, None)
        if theirs is ours or isinstance(theirs, float | int | None.__class__):
            made: Any = theirs
        elif isinstance(ours, np.ufunc) and name != "matmul":
            made = ufunc(name)
        elif callable(theirs) and (callable(ours) or name == "asnumpy"):
            made = function(name, theirs)
        else:
            raise NotImplementedError(
                f"The stand-in for CuPy has no {name}. Add it to tests/device, as CuPy has it."
            )
        setattr(self, name, made)
        return made


@functools.lru_cache(maxsize=1)
def stand_in() -> ModuleType:
    """Return the module."""
    module = _Module("cupy")
    give_methods(_real().ndarray)
    module.ndarray = ndarray  # type: ignore[attr-defined]
    module.ElementwiseKernel = ElementwiseKernel  # type: ignore[attr-defined]
    module.__version__ = _real().__version__  # type: ignore[attr-defined]
    module.cuda = _cuda()  # type: ignore[attr-defined]
    module.lib = ModuleType("cupy.lib")  # type: ignore[attr-defined]
    module.lib.stride_tricks = _stride_tricks()
    return module


def _stride_tricks() -> ModuleType:
    tricks, of_numpy = ModuleType("cupy.lib.stride_tricks"), np.lib.stride_tricks

    def sliding_window_view(
        x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False
    ) -> Any:
        return ndarray._of(of_numpy.sliding_window_view(operand(x), window_shape, axis))

    def as_strided(x: Any, shape: Any = None, strides: Any = None) -> Any:
        return ndarray._of(of_numpy.as_strided(operand(x), shape, strides))

    tricks.sliding_window_view, tricks.as_strided = sliding_window_view, as_strided  # type: ignore[attr-defined]
    return tricks


def _cuda() -> ModuleType:
    """Return the little of ``cupy.cuda`` that says which devices there are: one."""
    cuda, runtime, memory = (
        ModuleType("cupy.cuda"),
        ModuleType("cupy.cuda.runtime"),
        ModuleType("cupy.cuda.memory"),
    )

    class Device(contextlib.AbstractContextManager):  # type: ignore[type-arg]
        def __init__(self, device: Any = None) -> None:
            self.id = int(device or 0)
            if self.id:
                raise runtime.CUDARuntimeError("cudaErrorInvalidDevice: invalid device ordinal")

        def __exit__(self, *_: Any) -> None:
            return None

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Device) and other.id == self.id

        def __hash__(self) -> int:
            return self.id

        def __repr__(self) -> str:
            return f"<CUDA Device {self.id}>"

        def use(self) -> None:
            return None

        def synchronize(self) -> None:
            LEDGER.reading("synchronize")

    runtime.CUDARuntimeError = type("CUDARuntimeError", (RuntimeError,), {})  # type: ignore[attr-defined]
    runtime.getDeviceCount, runtime.getDevice = lambda: 1, lambda: 0  # type: ignore[attr-defined]
    memory.OutOfMemoryError = type("OutOfMemoryError", (MemoryError,), {})  # type: ignore[attr-defined]
    cuda.Device, cuda.runtime, cuda.memory = Device, runtime, memory  # type: ignore[attr-defined]
    cuda.is_available = lambda: True  # type: ignore[attr-defined]
    return cuda


@contextlib.contextmanager
def installed(**options: bool) -> Iterator[ModuleType]:
    """Let the stand-in be CuPy for a while, with these of `Settings` and an empty ledger; undone afterwards."""
    before = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "cupy"}
    kept = {name: getattr(settings, name) for name in ("strict", "flushes", "refuse_flush")}
    module = stand_in()
    for name in before:
        del sys.modules[name]
    sys.modules |= {"cupy": module, "cupy.cuda": module.cuda, "cupy.lib": module.lib}
    sys.modules |= {"cupy.lib.stride_tricks": module.lib.stride_tricks}
    for name, value in options.items():
        assert name in kept, name
        setattr(settings, name, value)
    backend._compiled.cache_clear()  # kernels of another CuPy
    LEDGER.clear()
    try:
        yield module
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "cupy"]:
            del sys.modules[name]
        sys.modules |= before
        backend._compiled.cache_clear()
        for name, value in kept.items():
            setattr(settings, name, value)
