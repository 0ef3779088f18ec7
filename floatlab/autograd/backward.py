"""How does a gradient flow back? From the deepest node up, each handing its inputs their share.

A node's depth is one more than that of its deepest input, so that in order of falling depth every node
comes after all that used its output, and its gradient is complete. Each share is rounded once to its
input's gradient format; two shares add up in that format. All of it is done with the arithmetic of the forward pass.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from floatlab.autograd.graph import Event, Observer, observers, unrounded, work_type
from floatlab.autograd.operation import Array, Node
from floatlab.autograd.rounding import FLOAT32, is_narrow, is_subset, round_to, sum_to
from floatlab.autograd.value import Value
from floatlab.context import DEFAULT, Arithmetic
from floatlab.errors import AutogradError, FormatMismatchError, ShapeError
from floatlab.formats import FloatFormat
from floatlab.operations.operate import flushed, operate
from floatlab.rounding.inputs import as_array
from floatlab.rounding.quantize import quantize
from floatlab.system.environment import check_environment

__all__ = ["start_backward"]


def start_backward(tensor: Value, gradient: Any, retain_graph: bool) -> None:
    """Carry a gradient of the tensor's shape, 1 by default, to every leaf that asks for one."""
    if not tensor.requires_grad:
        raise AutogradError(
            "backward starts from a tensor that depends on one with requires_grad=True. "
            f"Got {tensor._describe()}. Set requires_grad on a leaf, and compute outside no_grad()."
        )
    start = _start(tensor, gradient)
    check_environment()
    with np.errstate(all="ignore"):  # overflow and NaN are what a laboratory wants to see
        if tensor._node is None:
            _accumulate(tensor, start, DEFAULT)
        else:
            _walk(tensor._node, start, retain_graph)


def _start(tensor: Value, gradient: Any) -> Array:
    """Return the gradient that the walk starts from, as values of the tensor's gradient format."""
    if gradient is None:
        if tensor.size != 1:
            origin = f", made by {tensor._node.describe()}" if tensor._node is not None else ""
            raise AutogradError(
                f"backward without a gradient starts from a single number. Got {tensor._describe()}{origin}. "
                "Reduce it with sum() or mean(), or pass a gradient of its shape."
            )
        gradient = np.ones(tensor.shape)
    given = gradient._data if isinstance(gradient, Value) else as_array(gradient, "rounded")
    fmt = tensor.gradient_format
    start = np.asarray(quantize(given, fmt), dtype=fmt.value_dtype)
    if start.shape != tensor.shape:
        raise ShapeError(
            f"A gradient has the shape of its tensor. Got {start.shape} for {tensor._describe()}. Reshape it."
        )
    return start


def _walk(root: Node, start: Array, retain_graph: bool) -> None:
    gradients: dict[Node, Array] = {root: start}
    nodes = _order(root)
    for node in nodes:
        _check(node)
    watchers = observers.get()
    for node in nodes:
        gradient = gradients.pop(node, None)
        if gradient is None:
            continue
        if node.retained is not None and (tensor := node.retained()) is not None:
            _accumulate(tensor, np.array(gradient), node.arithmetic)
        for index, (tensor, source) in enumerate(zip(node.inputs, node.sources, strict=True)):
            # A tensor that has changed in place since counts as what it was then.
            if not (tensor.requires_grad if tensor._node is source else source is not None):
                continue
            data, fresh = _derivative(node, gradient, index, tensor, watchers)
            if data is None:  # a custom operation has no gradient to give
                continue
            if source is None:
                _accumulate(tensor, data if fresh else np.array(data), node.arithmetic)
            elif source in gradients:
                gradients[source] = _add(gradients[source], data, source.gradient_format, node.arithmetic)
            else:
                gradients[source] = data
        if not retain_graph:
            node.free()


def _order(root: Node) -> list[Node]:
    """Return the nodes that `root` depends on, deepest first: each after everything that uses it."""
    found = {root: None}  # a dict keeps the order of discovery; that of a set would follow memory addresses
    stack = [root]
    while stack:
        for node in stack.pop().sources:
            if node is not None and node not in found:
                found[node] = None
                stack.append(node)
    return sorted(found, key=lambda node: -node.depth)


def _check(node: Node) -> None:
    if node.kept is None:
        raise AutogradError(
            "A graph can be walked backward once, then it is freed. "
            f"Got a second walk through {node.describe()}. "
            "Pass retain_graph=True to the first backward, or compute the output again."
        )
    for version, state, name in node.versions:
        if version[0] != state:
            raise AutogradError(
                "A value that the graph needs must not change before backward. "
                f"{node.describe()} needs {name}, which was changed in place. "
                "Change it after backward, or work on a copy."
            )


def _derivative(
    node: Node, gradient: Array, index: int, tensor: Value, watchers: tuple[Observer, ...]
) -> tuple[Array | None, bool]:
    """Return the gradient of one input, rounded once to its gradient format, and whether its array is new."""
    kernel = node.op.derivatives[index] if index < len(node.op.derivatives) else None
    if kernel is None:
        raise AutogradError(
            f"The operation {node.describe()} has no derivative for its input {index}. "
            f"Got a {tensor._describe()} there that requires one. "
            "Use detach(), or add the derivative to the table."
        )
    target, rules = tensor.gradient_format, node.arithmetic
    shape = tensor._data.shape
    node.target = target
    stretched = shape != node.shape
    same = node.gradient_format is target
    plain = same and not stretched and rules.is_native and _is_plain(node, target)
    node.work = np.float32 if plain else np.float64
    if rules.flush_inputs and kernel.kind == "wide":
        gradient = flushed(gradient, node.gradient_format)
    data = kernel.function(node, gradient)
    if data is None:
        return None, True
    if type(data) is not np.ndarray:
        data = np.asarray(data)
    fresh = True
    before = unrounded(node, kernel, data, [gradient]) if watchers else None
    if data.shape != shape:
        source = node.gradient_format if kernel.kind == "moved" else None
        if watchers:
            before = sum_to(data, shape, source, FLOAT32)
        data = sum_to(data, shape, source, target, rules)
    elif kernel.kind == "wide":
        data = round_to(data, target, rules)
    elif kernel.kind == "moved":
        fresh = False
        if not same and not is_subset(node.gradient_format, target):
            before = data
            data = round_to(np.array(data), target, rules)
        elif data.dtype != target.value_dtype:
            data = data.astype(target.value_dtype)
    for watch in watchers:
        watch(Event("backward", node.op.name, node.scope, node.inputs, before, data, target, index))
    return data, fresh


def _is_plain(node: Node, target: FloatFormat) -> bool:
    """Whether float32 arithmetic on the gradient and on what is kept is exact enough for `target`."""
    if node.format is not target or not (target is FLOAT32 or is_narrow(target)):
        return False
    return all(array is None or array.dtype == np.float32 for array in node.kept or ())


def _add(a: Array, b: Array, fmt: FloatFormat, rules: Arithmetic) -> Array:
    """Add two shares of a gradient, with the arithmetic of the operation that hands in the second."""
    if rules.is_native:
        return round_to(np.add(a, b, dtype=work_type(fmt, [a, b])), fmt)
    return np.asarray(operate("add", (a, b), fmt, **rules.for_operations))


def _accumulate(leaf: Value, data: Array, rules: Arithmetic) -> None:
    fmt = leaf.gradient_format
    if leaf.grad is not None:
        if not leaf.grad.format.same_as(fmt):
            raise FormatMismatchError(
                "Gradients add up in one format. "
                f"Got a .grad of format {leaf.grad.format.spec} for a {leaf._describe()}. "
                "Set its .grad to None first."
            )
        data = _add(leaf.grad._data, data, fmt, rules)
    nan = np.isnan(data)
    if nan.any():  # the sign of a NaN is the processor's, and weights are compared bit for bit
        data = np.where(nan, data.dtype.type(np.nan), data)
    leaf._grad = leaf._wrap(data, fmt, fmt)
