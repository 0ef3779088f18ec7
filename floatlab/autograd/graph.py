"""How is an operation run? `apply` casts, computes, rounds, records and tells, in that order.

Rooms above plug in through context variables, so that nothing is global state:

    cast_policy   called with an operation's name and inputs, returns the inputs to use (autocast)
    observers     called after each forward and backward kernel with an `Event` (telemetry)
    scope         a label that nodes remember: the path of the layer that is being computed
"""

from __future__ import annotations

import copy
import inspect
import math
import weakref
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import replace
from functools import cache, lru_cache
from typing import Any, NamedTuple, cast

import numpy as np

from floatlab.autograd.data_array import DataArray
from floatlab.autograd.operation import Array, Kernel, Node, Op
from floatlab.autograd.ops.table import find_op
from floatlab.autograd.recording import recording
from floatlab.autograd.rounding import FLOAT32, FLOAT64, as_constant, is_narrow, is_subset, round_to
from floatlab.autograd.value import Value
from floatlab.context import current
from floatlab.errors import DtypeError, FloatlabError, FormatMismatchError, ShapeError
from floatlab.formats import FloatFormat
from floatlab.operations.operate import flushed
from floatlab.rounding.inputs import as_source, plain_option
from floatlab.rounding.quantize import quantize
from floatlab.system.environment import check_environment

__all__ = ["BlockCast", "Event", "Observer", "apply", "cast_policy", "connect", "observers", "scope"]


class BlockCast(NamedTuple):
    """What there is to say of a cast to blocks, beside its elements."""

    format: str
    operand: str  # "input", "weight" or "gradient"
    scales: Array  # NaN of a block that is lost


class Event(NamedTuple):
    """What an observer is told after a kernel has run.

    ``before`` is the result in wide precision (in float32, where the kernel rounds for itself), or None where
    nothing was rounded; ``after`` holds values of ``format``. In the phase "backward" it is the gradient of
    input number ``position``, and ``inputs`` are the operation's inputs all the same. Of a cast to blocks, ``before``
    and ``after`` are the elements: numbers over their scales.
    """

    phase: str  # "forward" or "backward"
    op: str
    scope: str
    inputs: tuple[Any, ...]
    before: Array | None
    after: Array
    format: FloatFormat
    position: int = 0
    block_cast: BlockCast | None = None


CastPolicy = Callable[[str, tuple[Any, ...]], tuple[Any, ...]]  # of tensors
Observer = Callable[[Event], None]

cast_policy: ContextVar[CastPolicy | None] = ContextVar("floatlab_cast_policy", default=None)
observers: ContextVar[tuple[Observer, ...]] = ContextVar("floatlab_observers", default=())
scope: ContextVar[str] = ContextVar("floatlab_scope", default="")


def _number(value: Any, like: Value, rounds: bool) -> Value:
    """Return a Python number as a constant: its exact value, or rounded to the format of `like`."""
    if isinstance(value, DataArray) and value.is_of_tensor:  # of `x + y.data`
        return cast("Value", value.as_tensor())
    if isinstance(value, np.ndarray) and value.ndim:
        raise FormatMismatchError(
            "A tensor computes with tensors of its format, and with numbers. "
            f"Got an array of dtype {value.dtype} beside a {like._describe()}. "
            f'Use Tensor(array, format="{like.format.spec}").'
        )
    if not isinstance(value, int | float | np.number | np.bool_ | np.ndarray) or np.iscomplexobj(value):
        raise DtypeError(
            f"A tensor computes with tensors and real numbers. Got {value!r}. Use Tensor(...) or a number."
        )
    # An integer beyond 2**53 may be no float64; a number that is rounded anyway needs none, another one is refused.
    exact = float(value if type(value) is float else as_source(value, like.format if rounds else FLOAT64))
    overflow = current().overflow if rounds else None
    data = _constant(exact, math.copysign(1.0, exact), like.format, rounds, overflow)
    return like._wrap(data, like.format, like.format)


@lru_cache(maxsize=1024)
def _constant(exact: float, sign: float, fmt: FloatFormat, rounds: bool, overflow: str | None) -> Array:
    """Return a number as a value of the format if it is one (or `rounds`), else as a float64.

    The sign tells -0 from 0, which the cache takes for the same number.
    """
    if rounds:
        array = as_constant(exact, fmt, overflow)
    else:
        value = quantize(np.array(exact), fmt, overflow=overflow).astype(fmt.value_dtype)
        array = value if float(value) == exact else np.array(exact)
    array.setflags(write=False)
    return array


def apply(name: str, /, *inputs: Any, **params: Any) -> Value:
    """Run one operation of the table on tensors (and numbers), and record it if a gradient may be asked for.

    Parameters
    ----------
    name : str
        A key of ``floatlab.autograd.ops.table.TABLE``.
    *inputs : Tensor or number
        All tensors of one format; a trailing None is left out. A number is used at its exact value.
    **params
        What the forward kernel takes by name: an axis, a shape, labels.

    Returns
    -------
    Tensor
        Its values are rounded once to the inputs' common format. Its gradient format is that of the first input
        that asks for a gradient in another format than its own, and else that of the first input.

    Raises
    ------
    FormatMismatchError
        If two tensors have different formats.
    ShapeError
        If the shapes do not fit; the message prints them all.

    Examples
    --------
    >>> from floatlab.autograd import Tensor
    >>> apply("mul", Tensor([1.0, 2.0], format="bf16"), 3)
    Tensor([3., 6.], format=bfloat16)
    """
    check_environment()
    op = find_op(name)
    tensors = _tensors(op, inputs)
    policy = cast_policy.get()
    if policy is not None and name != "cast":
        tensors = policy(name, tensors)
    first = tensors[0]
    fmt = first.format
    for tensor in tensors:
        if tensor.format is not fmt and not tensor.format.same_as(fmt):
            names = " and ".join(dict.fromkeys(t.format.spec for t in tensors))
            raise FormatMismatchError(
                f"{name} computes in one format. Got {names}. "
                f'Convert one of them, as in x.to("{fmt.spec}"), or use autocast.'
            )
    if name == "cast":
        fmt, gradient_format = params["format"], params["gradient_format"]
    else:
        gradient_format = first.gradient_format
        if gradient_format is fmt:  # the first input that asks for another one decides
            for tensor in tensors:
                if tensor.requires_grad and tensor.gradient_format is not fmt:
                    gradient_format = tensor.gradient_format
                    break
    for key, option in params.items():
        params[key] = plain_option(option)
    return _run(op, tensors, params, fmt, gradient_format)


@cache
def _needed(op: Op) -> float:
    """Return how many inputs an operation cannot do without; infinity, if it takes any number."""
    kinds = inspect.signature(op.forward.function).parameters.values()
    if any(p.kind is p.VAR_POSITIONAL for p in kinds):
        return math.inf
    return (
        len([p for p in kinds if p.kind is p.POSITIONAL_OR_KEYWORD and p.default is p.empty]) - 1
    )  # the node


def _tensors(op: Op, inputs: tuple[Any, ...]) -> tuple[Value, ...]:
    if inputs and inputs[-1] is None:
        given = tuple(x for x in inputs if x is not None)
        inputs = given if len(given) >= _needed(op) else inputs  # only an optional input is left out
    for x in inputs:
        if not isinstance(x, Value):
            break
    else:
        if inputs:
            return inputs
    like = next((x for x in inputs if isinstance(x, Value)), None)
    if like is None:
        raise DtypeError(f"{op.name} needs a tensor among its inputs. Got {inputs!r}. Use Tensor(...).")
    rounds = op.forward.kind == "moved"  # a selected number has to be a value of the format
    return tuple(x if isinstance(x, Value) else _number(x, like, rounds) for x in inputs)


def _run(
    op: Op,
    tensors: tuple[Value, ...],
    params: dict[str, Any],
    fmt: FloatFormat,
    gradient_format: FloatFormat,
) -> Value:
    node = new_node(op, tensors, params, fmt, gradient_format)
    arrays = [t._data for t in tensors]
    watchers = observers.get()
    kernel = op.forward
    if node.arithmetic.is_native:
        node.work = work_type(fmt, arrays)
    else:
        kernel, arrays = _in_context(node, arrays)
    before = None
    try:
        with np.errstate(all="ignore"):  # overflow and NaN are what a laboratory wants to see
            data = kernel.function(node, *arrays, **params)
            if watchers:
                before = unrounded(node, kernel, data, arrays)
            if kernel.kind == "wide":
                data = round_to(data, fmt, node.arithmetic)
            elif not data.ndim:
                data = np.asarray(data)  # not NumPy's scalar, which nothing can be written to
    except (ValueError, IndexError) as error:
        if isinstance(error, FloatlabError) or not _is_misfit(kernel, arrays):
            raise  # an error of arithmetic is none of shapes, and must not be told as one
        shapes = " and ".join(str(t.shape) for t in tensors)
        raise ShapeError(
            f"{op.name} needs shapes that fit together. Got {shapes}. Check them. (NumPy: {error})"
        ) from error
    out = tensors[0]._wrap(data, fmt, gradient_format)
    if kernel.kind == "moved" and np.may_share_memory(data, arrays[0]):
        _note_view(out, tensors[0], op.name, params)
    if recording.get():
        for tensor in tensors:
            if tensor.requires_grad:
                record(node, out, arrays)
                break
    for watch in watchers:
        watch(Event("forward", op.name, node.scope, tensors, before, data, fmt))
    return out


def _note_view(view: Value, base: Value, name: str, params: dict[str, Any]) -> None:
    """Note that two tensors share their memory, for changes in place (in_place.py)."""
    view._version = base._version
    if not recording.get():
        view._view = (name, params, None)  # no part of the graph: a recorded change of it is refused
        return
    view._view = (name, params, base)
    views = getattr(base, "_views", None)
    if views is None:
        views = base._views = []
    views.append(weakref.ref(view))
    if (
        len(views) >= 32 and len(views) & (len(views) - 1) == 0
    ):  # at each doubling, forget those that are gone
        views[:] = [reference for reference in views if reference() is not None]


def connect(name: str, data: Array, *tensors: Value, **params: Any) -> Value:
    """Return a tensor of these values with a place in the graph, as if an operation had computed them."""
    first = tensors[0]
    out = first._wrap(data, first.format, first.gradient_format)
    record(new_node(find_op(name), tensors, params, first.format, first.gradient_format), out)
    return out


def _in_context(node: Node, arrays: list[Array]) -> tuple[Kernel, list[Array]]:
    """Return the forward kernel for an arithmetic that is not NumPy's own, and its operands, flushed if asked for."""
    node.work = np.float64
    kernel = node.op.exact or node.op.forward
    if node.arithmetic.flush_inputs and kernel.kind != "moved" and node.op.name != "cast":
        arrays = [flushed(x, node.format) for x in arrays]
    return kernel, arrays


def _is_misfit(kernel: Kernel, arrays: list[Array]) -> bool:
    """Whether a kernel has failed for the shapes of its inputs: they do not broadcast, or it only moves values."""
    if (
        kernel.kind == "moved"
    ):  # one call of NumPy that computes nothing: shapes and indices are all it can refuse
        return True
    try:
        np.broadcast_shapes(*(array.shape for array in arrays))
    except ValueError:
        return True
    return False


def unrounded(node: Node, kernel: Kernel, data: Array, arguments: list[Array]) -> Array | None:
    """Return a kernel's result in wide precision, for observers; None where it was not rounded."""
    if kernel.kind == "wide":
        return np.array(data)  # a copy: the rounding is done in place
    rules = node.arithmetic
    if rules.for_results["rng"] is not None:  # what is drawn to watch must not be missing when it counts
        node.arithmetic = replace(rules, rng=copy.deepcopy(rules.for_results["rng"]))
    token = observers.set(())  # who watches has seen the first time what goes on inside
    try:
        return _computed_again(node, kernel, arguments)
    finally:
        observers.reset(token)
        node.arithmetic = rules


def _computed_again(node: Node, kernel: Kernel, arguments: list[Array]) -> Array | None:
    """Return in wide precision what a kernel rounds for itself: costs time, changes nothing."""
    if kernel is node.op.exact:
        return np.array(node.op.forward.function(node, *arguments, **node.params))
    if node.op.name == "cast" and kernel is node.op.forward:
        return arguments[0]
    if kernel.kind == "moved" or not is_subset(node.target, FLOAT32) or node.target is FLOAT32:
        return None
    target, saved = node.target, node.saved
    node.target = FLOAT32  # the same kernel once more, rounded to float32
    params = {} if kernel is not node.op.forward else node.params
    wide: Array = kernel.function(node, *arguments, **params)
    node.target, node.saved = target, saved
    return wide


def work_type(fmt: FloatFormat, arrays: list[Array]) -> Any:
    """Return the NumPy type in which arithmetic on these values, rounded once to `fmt`, is exact."""
    if fmt is FLOAT32 or is_narrow(fmt):
        for array in arrays:
            if array.dtype != np.float32:
                return np.float64
        return np.float32
    return np.float64


def new_node(
    op: Op,
    tensors: tuple[Value, ...],
    params: dict[str, Any],
    fmt: FloatFormat,
    gradient_format: FloatFormat,
) -> Node:
    """Return a node for one use of an operation: what its kernels are told."""
    node = Node()
    node.op = op
    node.inputs = tensors
    node.params = params
    node.format = node.target = fmt
    node.gradient_format = gradient_format
    node.arithmetic = current()
    node.scope = scope.get()
    node.saved = None
    return node


def record(node: Node, out: Value, arrays: Sequence[Array] = ()) -> None:
    """Make `out` the output of a node of the graph, and keep what the derivatives will read of its operands."""
    op, tensors = node.op, node.inputs
    depth = 0
    node.sources = tuple([tensor._node for tensor in tensors])
    for source in node.sources:
        if source is not None and source.depth >= depth:
            depth = source.depth + 1
    node.depth = depth
    node.shape = out._data.shape
    node.retained = node.hooks = None
    node.versions = []
    kept: list[Array | None] = [None] * len(tensors)
    for i in op.keeps:
        if i < len(tensors):
            kept[i] = arrays[i]
            node.versions.append(
                (tensors[i]._version, tensors[i]._version[0], tensors[i].name or f"input {i}")
            )
    node.kept = tuple(kept)
    node.output = None
    if op.keeps_output:
        node.output = out._data
        node.versions.append((out._version, 0, "the output"))
    out._node = node
    out.requires_grad = True
