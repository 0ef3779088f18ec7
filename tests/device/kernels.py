"""CuPy's ElementwiseKernel on a processor: the same strings, compiled, and looped over broadcast arrays."""

from __future__ import annotations

import ctypes
import re
from typing import Any

import numpy as np

from .arrays import ndarray, operand
from .compiler import compiled
from .flushing import checked
from .ledger import LEDGER

__all__ = ["ElementwiseKernel"]

_C = {
    "bool": "bool",
    "int8": "signed char",
    "uint8": "unsigned char",
    "int16": "short",
    "uint16": "unsigned short",
    "int32": "int",
    "uint32": "unsigned int",
    "int64": "long long",
    "uint64": "unsigned long long",
    "float32": "float",
    "float64": "double",
}
_LANGUAGE = re.compile(r"-{1,2}(fmad=false|std=c\+\+\d\d|prec-\w+=true)")


class ElementwiseKernel:
    """What CuPy's class of the same name is, with its arguments; `i` is the flat index, `raw` arrays are pointers."""

    def __init__(
        self,
        in_params: str,
        out_params: str,
        operation: str,
        name: str = "kernel",
        reduce_dims: bool = True,
        preamble: str = "",
        no_return: bool = False,
        return_tuple: bool = False,
        *,
        options: tuple[str, ...] = (),
        loop_prep: str = "",
        after_loop: str = "",
        doc: str | None = None,
    ) -> None:
        assert isinstance(options, tuple), "CuPy wants a tuple"
        assert all(map(_LANGUAGE.fullmatch, options)), options
        self.inputs, self.outputs = _parameters(in_params), _parameters(out_params)
        self.operation, self.name, self.preamble = operation, name, preamble
        self.loop_prep, self.after_loop = loop_prep, after_loop
        self.no_return, self.return_tuple = no_return, return_tuple

    def __call__(self, *args: Any, size: int | None = None) -> Any:
        """Run on arrays and numbers; the outputs are made, or follow the inputs in `args`."""
        n = len(self.inputs)
        if len(args) not in (n, n + len(self.outputs)):
            raise TypeError(f"Wrong number of arguments for {self.name!r}")
        given = [operand(x) for x in args]
        types = _deduced([*self.inputs, *self.outputs], given)
        xs = [_typed(x, kind, types, raw) for (raw, kind, _), x in zip(self.inputs, given, strict=False)]
        shape = np.broadcast_shapes(
            *(np.shape(x) for (raw, *_), x in zip(self.inputs, xs, strict=True) if not raw),
            *(np.shape(x) for (raw, *_), x in zip(self.outputs, given[n:], strict=False) if not raw),
        )
        arrays = [
            x
            for (raw, *_), x in zip((*self.inputs, *self.outputs), given, strict=False)
            if not raw and np.ndim(x)
        ]
        if size is not None:
            if arrays:
                raise ValueError("Specified 'size' can be used only if all of the ndarray are 'raw'.")
            shape = (size,)
        elif not arrays and all(raw for raw, *_ in self.outputs):
            raise ValueError("Loop size is undecided.")
        outs = given[n:] or [np.empty(shape, types.get(kind, kind)) for _, kind, _ in self.outputs]
        for (raw, kind, name), out in zip(self.outputs, outs, strict=True):
            if out.dtype != np.dtype(types.get(kind, kind)):
                raise TypeError(f"{name} of {self.name!r} is {types.get(kind, kind)}. Got {out.dtype}.")
            if not raw and out.shape != shape:
                raise ValueError("Out shape is mismatched")
        LEDGER.launch(self.name)
        self._run(shape, xs, outs, types)
        results = [ndarray._of(out) for out in outs] if not given[n:] else list(args[n:])
        if self.no_return:
            return None
        return results[0] if len(results) == 1 and not self.return_tuple else tuple(results)

    def _run(self, shape: tuple[int, ...], xs: list[Any], outs: list[Any], types: dict[str, str]) -> None:
        scalar = [x.ndim == 0 for x in xs]
        inputs = [
            np.ascontiguousarray(x if raw or one else np.broadcast_to(x, shape))
            for (raw, *_), x, one in zip(self.inputs, xs, scalar, strict=True)
        ]
        # Outputs that are no plain block of memory, or that an input shares, are written beside it first.
        plain = [x.flags.c_contiguous and not any(np.may_share_memory(x, y) for y in inputs) for x in outs]
        written = [x if ok else np.ascontiguousarray(x).copy() for x, ok in zip(outs, plain, strict=True)]
        run = compiled(self._source(types, scalar))
        pointers = [ctypes.c_void_p(x.ctypes.data) for x in (*inputs, *written)]
        run(ctypes.c_longlong(int(np.prod(shape, dtype=np.int64))), *pointers)
        for out, new in zip(outs, written, strict=True):
            if out is not new:
                out[...] = new

    def _source(self, types: dict[str, str], scalar: list[bool]) -> str:
        of = {kind: _C[types.get(kind, kind)] for _, kind, _ in (*self.inputs, *self.outputs)}
        pointers = [f"const {of[kind]}* {name}_" for _, kind, name in self.inputs]
        pointers += [f"{of[kind]}* {name}_" for _, kind, name in self.outputs]
        load = []
        for (raw, kind, name), one in zip(self.inputs, scalar, strict=True):
            one_or_all = f"{name}_" if raw else f"{name}_[{0 if one else 'i'}]"
            load.append(f"const {of[kind]} {'* ' if raw else ''}{name} = {one_or_all};")
        load += [
            f"{of[kind]} {'*' if raw else '&'}{name} = {name}_{'' if raw else '[i]'};"
            for raw, kind, name in self.outputs
        ]
        typedefs = "\n".join(f"typedef {_C[real]} {kind};" for kind, real in types.items())
        return (
            f"{typedefs}\n{self.preamble}\n"
            f'extern "C" void run(long long loop_size_, {", ".join(pointers)}) {{\n'
            f"{self.loop_prep};\nfor (long long i = 0; i < loop_size_; i++) {{\n"
            f"{' '.join(load)}\n{self.operation};\n}}\n"
            f"{self.after_loop};\n}}\n"
        )


def _parameters(text: str) -> list[tuple[bool, str, str]]:
    """Return (raw, type, name) of "float32 x, raw T y"."""
    found = []
    for one in filter(None, map(str.strip, text.split(","))):
        *raw, kind, name = one.split()
        assert raw in ([], ["raw"]), one
        if kind not in _C and not (len(kind) == 1 and kind.isupper()):
            raise TypeError(f"{kind} is no type of a kernel's parameter")
        found.append((bool(raw), kind, name))
    return found


def _deduced(parameters: list[tuple[bool, str, str]], given: list[Any]) -> dict[str, str]:
    """Return what T, U, ... stand for, from the arrays that were given."""
    types: dict[str, str] = {}
    for (_, kind, _), x in zip(parameters, given, strict=False):
        if kind in _C or not isinstance(x, np.ndarray | np.generic):
            continue
        if types.setdefault(kind, x.dtype.name) != x.dtype.name:
            raise TypeError(f"Type is mismatched. {kind} {types[kind]} {x.dtype.name}")
    return types


def _typed(x: Any, kind: str, types: dict[str, str], raw: bool) -> np.ndarray:
    """Return an input as an array of the declared type: arrays have it already, numbers are converted."""
    dtype = checked(types.get(kind, kind))
    if isinstance(x, np.ndarray):
        if (
            x.dtype != dtype
        ):  # CuPy would convert it in the kernel, float32 with a flush; nobody here should need it
            raise TypeError(f"A parameter of type {dtype} got an array of {x.dtype}")
        return x
    if raw:
        raise TypeError("A raw parameter is an array")
    return np.array(x, dtype)
