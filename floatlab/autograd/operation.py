"""What is an operation, and what does one use of it remember? `Op` and `Node`.

An `Op` is one line of the table in ops.py: a forward kernel, one derivative per input, and what the graph
has to keep for them. A kernel works on plain arrays of values and is of one of three kinds, which say
who rounds:

    wide(fn)      fn returns a result in wide precision; the engine rounds it, once
    rounded(fn)   fn rounds its own result, once (matrix products, sums, correctly rounded functions)
    moved(fn)     fn only moves or selects values, so that there is nothing to round

A forward kernel is called as ``fn(node, *arrays, **params)``; a derivative as ``fn(node, gradient)``, and
returns the gradient of its input *before broadcasting is undone*: the engine sums it over the axes along
which the input was broadcast, and rounds once to the input's gradient format.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floatlab.context import Arithmetic
from floatlab.errors import AutogradError
from floatlab.formats import FloatFormat

__all__ = ["Array", "Each", "Kernel", "Node", "Op", "moved", "rounded", "wide"]

Array = NDArray[Any]
Function = Callable[..., Any]


class Kernel:
    """A function on arrays, and who rounds its result: "wide", "rounded" or "moved"."""

    __slots__ = ("function", "kind")

    def __init__(self, function: Function, kind: str) -> None:
        self.function = function
        self.kind = kind


def wide(function: Function) -> Kernel:
    """Return a kernel whose result is wide and fresh; the engine rounds it (in place), once."""
    return Kernel(function, "wide")


def rounded(function: Function) -> Kernel:
    """Return a kernel that rounds its result to ``node.target`` itself."""
    return Kernel(function, "rounded")


def moved(function: Function) -> Kernel:
    """Return a kernel that only moves or selects values. Its result may share memory with its input."""
    return Kernel(function, "moved")


class Each(Sequence["Kernel | None"]):
    """The derivatives of an operation with any number of inputs: one kernel, told which input it serves."""

    def __init__(self, function: Callable[[Node, Array, int], Any], kind: str = "moved") -> None:
        self._function, self._kind = function, kind

    def __len__(self) -> int:
        return 1 << 30

    def __getitem__(self, index: Any) -> Any:
        return Kernel(lambda node, gradient: self._function(node, gradient, index), self._kind)


@dataclass(frozen=True, eq=False)
class Op:
    """One entry of the table: how to compute an operation, and how to differentiate it.

    Parameters
    ----------
    name : str
        What errors, observers and autocast's lists call it.
    forward : Kernel
        Called as ``forward(node, *arrays, **params)``.
    derivatives : sequence of Kernel or None
        One per input; None where there is none, which is an error only when it is asked for.
    doc : str
        What it computes, in one line.
    keeps : tuple of int
        The inputs whose values the derivatives read (``node.a`` is input 0, ``node.b`` input 1, ``node.c``
        input 2). Everything else may be changed or forgotten before backward.
    keeps_output : bool
        Whether the derivatives read the output (``node.out``).
    exact : Kernel, optional
        The forward kernel where the context rounds otherwise than NumPy: one that rounds the exact result as the
        context says, where `forward` is wide enough for a rounding to nearest only. By default `forward`.
    """

    name: str
    forward: Kernel
    derivatives: Sequence[Kernel | None]
    doc: str
    keeps: tuple[int, ...] = ()
    keeps_output: bool = False
    exact: Kernel | None = None


class Node:
    """One use of an operation: the context of its kernels, and a vertex of the graph.

    While a kernel runs, ``target`` is the format that its result is to have and ``work`` the NumPy type in
    which ``+ - * / sqrt`` of values, followed by one rounding, give the exact result rounded once. A forward
    kernel may leave what its derivatives need in ``saved``.
    """

    __slots__ = (
        "arithmetic",
        "depth",
        "format",
        "gradient_format",
        "hooks",
        "inputs",
        "kept",
        "op",
        "output",
        "params",
        "retained",
        "saved",
        "scope",
        "shape",
        "sources",
        "target",
        "versions",
        "work",
    )

    op: Op
    inputs: tuple[Any, ...]  # the input tensors
    sources: tuple[
        Node | None, ...
    ]  # the nodes that had made them then: one that changes in place gets another
    params: dict[str, Any]
    format: FloatFormat
    gradient_format: FloatFormat
    arithmetic: Arithmetic  # of the forward pass; the derivatives follow it
    target: FloatFormat
    work: Any  # np.float32 or np.float64
    saved: Any
    kept: (
        tuple[Array | None, ...] | None
    )  # values of the inputs named in op.keeps; None once the graph is freed
    output: Array | None
    versions: list[tuple[list[int], int, str]]  # version counters of what is kept, their state, and a name
    depth: int
    shape: tuple[int, ...]
    scope: str
    hooks: list[Any] | None  # told the gradient of the output
    retained: Any  # weak reference to the output tensor, if its gradient is to be kept

    def describe(self) -> str:
        """Return the operation's name, and that of the layer it was run in, for messages."""
        return f"{self.op.name!r} in layer {self.scope!r}" if self.scope else repr(self.op.name)

    def _kept(self, index: int) -> Array:
        array = self.kept[index] if self.kept is not None else None
        if array is None:
            raise AutogradError(
                f"A derivative reads only what its operation keeps. {self.op.name!r} reads input {index}. "
                f"Add {index} to the keeps of its entry in the table."
            )
        return array

    @property
    def a(self) -> Array:
        """The values of input 0."""
        return self._kept(0)

    @property
    def b(self) -> Array:
        """The values of input 1."""
        return self._kept(1)

    @property
    def c(self) -> Array:
        """The values of input 2."""
        return self._kept(2)

    @property
    def out(self) -> Array:
        """The values of the output."""
        if self.output is None:
            raise AutogradError(
                f"A derivative reads only what its operation keeps. {self.op.name!r} reads its output. "
                "Set keeps_output in its entry in the table."
            )
        return self.output

    def wide(self, array: Array) -> Array:
        """Return values as float64."""
        return np.asarray(array, dtype=np.float64)

    def free(self) -> None:
        """Forget everything, so that the memory of a walked graph can go."""
        self.kept = self.output = self.saved = None
        self.inputs = self.sources = ()
        self.versions = []
