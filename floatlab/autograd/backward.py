"""How does a gradient flow back? From the deepest node up, each handing its inputs their share.

A node's depth is one more than that of its deepest input, so that in order of falling depth every node
comes after all that used its output, and its gradient is complete. Each share is rounded once to its
input's gradient format; two shares add up in that format. All of it is done with the arithmetic of the forward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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

__all__ = ["Handle", "grad", "start_backward"]


Hook = Callable[[Any], Any]  # from a gradient to another, or to None


class _Wanted:
    """What `grad` looks for: gradients of tensors, which go here and into no ``.grad``."""

    def __init__(self, tensors: Sequence[Value]) -> None:
        self.places = {id(tensor._node or tensor): i for i, tensor in enumerate(tensors)}
        self.found: list[Array | None] = [None] * len(tensors)
        self.tensors = tensors

    def take(self, source: Any, data: Array, rules: Arithmetic) -> None:
        """Add a gradient of a node's output, or of a leaf, if it is looked for."""
        place = self.places.get(id(source))
        if place is not None:
            before, fmt = self.found[place], self.tensors[place].gradient_format
            self.found[place] = np.array(data) if before is None else _add(before, data, fmt, rules)


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Any, ...]:
    """Return the gradients of outputs with respect to inputs, and leave every ``.grad`` as it is.

    Parameters
    ----------
    outputs, inputs : Tensor or sequence of Tensor
        The inputs may be leaves, or computed.
    grad_outputs : Tensor, array or sequence of them, optional
        The gradient with respect to each output. Only a single number may do without.
    retain_graph : bool, optional
        Whether to keep the graph for another backward pass.
    create_graph : bool
        Derivatives are not recorded, so that there are no second ones: True is an error.
    allow_unused : bool
        Whether an input that the outputs do not depend on gives None, instead of an error.

    Returns
    -------
    tuple of Tensor

    Raises
    ------
    AutogradError
        As `Tensor.backward`; if an input was not used, or does not ask for a gradient.

    Examples
    --------
    >>> from floatlab.autograd import Tensor
    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> grad((x * x).sum(), x)
    (Tensor([2., 4.], format=float32),)
    """
    if create_graph:
        raise AutogradError(
            "Derivatives are computed outside of the graph, so that there are no second ones. Got create_graph=True. "
            "Leave it out; for a check of second derivatives, difference two calls of grad."
        )
    outputs, inputs = ([x] if isinstance(x, Value) else list(x) for x in (outputs, inputs))
    single = grad_outputs is None or isinstance(grad_outputs, Value) or len(outputs) == 1
    given = (
        [grad_outputs] * len(outputs)
        if grad_outputs is None
        else [grad_outputs]
        if single
        else list(grad_outputs)
    )
    if isinstance(given[0], list | tuple) and len(outputs) == 1:
        given = list(given[0])
    for tensor in inputs:
        if not tensor.requires_grad:
            raise AutogradError(
                f"A gradient is one with respect to a tensor that asks for it. Got {tensor._describe()}. "
                "Set requires_grad on it before it is used."
            )
    wanted = _Wanted(inputs)
    for i, (output, gradient) in enumerate(zip(outputs, given, strict=True)):
        start_backward(output, gradient, bool(retain_graph) or i + 1 < len(outputs), wanted)
    if None in [None if x is None else 0 for x in wanted.found] and not allow_unused:
        unused = inputs[next(i for i, x in enumerate(wanted.found) if x is None)]
        raise AutogradError(
            f"Every input takes part in the outputs. Got {unused._describe()}, which does not. "
            "Pass allow_unused=True to get None for it."
        )
    return tuple(
        None if data is None else tensor._wrap(data, tensor.gradient_format, tensor.gradient_format)
        for tensor, data in zip(inputs, wanted.found, strict=True)
    )


class Handle:
    """What `register_hook` returns: `remove` takes the hook away."""

    def __init__(self, hooks: list[Hook], hook: Hook) -> None:
        self._hooks, self._hook = hooks, hook

    def remove(self) -> None:
        """Take the hook away."""
        if self._hook in self._hooks:
            self._hooks.remove(self._hook)


def hooked(hooks: list[Hook], gradient: Array, like: Value, fmt: FloatFormat) -> Array:
    """Return what hooks make of a gradient: each is told, and may return another of its shape."""
    for hook in list(hooks):
        made = hook(like._wrap(gradient, fmt, fmt))
        if made is None:
            continue
        if not isinstance(made, Value) or made.shape != gradient.shape:
            raise ShapeError(
                f"A hook returns None, or a tensor of the gradient's shape. Got {made!r:.80} for {gradient.shape}. "
                "Return one of them."
            )
        gradient = np.asarray(quantize(made._data, fmt), dtype=fmt.value_dtype)
    return gradient


def start_backward(tensor: Value, gradient: Any, retain_graph: bool, wanted: _Wanted | None = None) -> None:
    """Carry a gradient of the tensor's shape, 1 by default, to every leaf that asks for one, or to what is `wanted`."""
    if not tensor.requires_grad:
        raise AutogradError(
            "backward starts from a tensor that depends on one with requires_grad=True. "
            f"Got {tensor._describe()}. Set requires_grad on a leaf, and compute outside no_grad()."
        )
    start = _start(tensor, gradient)
    check_environment()
    with np.errstate(all="ignore"):  # overflow and NaN are what a laboratory wants to see
        if tensor._node is not None:
            _walk(tensor._node, start, retain_graph, wanted)
        elif wanted is not None:
            wanted.take(tensor, start, DEFAULT)
        else:
            hooks = getattr(tensor, "_hooks", None)
            _accumulate(
                tensor, hooked(hooks, start, tensor, tensor.gradient_format) if hooks else start, DEFAULT
            )


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


def _walk(root: Node, start: Array, retain_graph: bool, wanted: _Wanted | None) -> None:
    waiting: dict[
        int, tuple[Value, Array, Arithmetic]
    ] = {}  # of leaves with hooks, which see the whole gradient
    gradients: dict[Node, Array] = {root: start}
    nodes = _order(root)
    for node in nodes:
        _check(node)
    watchers = observers.get()
    for node in nodes:
        gradient = gradients.pop(node, None)
        if gradient is None:
            continue
        if node.hooks:
            gradient = hooked(node.hooks, gradient, node.inputs[0], node.gradient_format)
        if wanted is not None:
            wanted.take(node, gradient, node.arithmetic)
        elif node.retained is not None and (tensor := node.retained()) is not None:
            _accumulate(tensor, np.array(gradient), node.arithmetic)
        for index, (tensor, source) in enumerate(zip(node.inputs, node.sources, strict=True)):
            # A tensor that has changed in place since counts as what it was then.
            if not (tensor.requires_grad if tensor._node is source else source is not None):
                continue
            data, fresh = _derivative(node, gradient, index, tensor, watchers)
            if data is None:  # a custom operation has no gradient to give
                continue
            if source is None:
                if wanted is not None:
                    wanted.take(tensor, data, node.arithmetic)
                elif getattr(tensor, "_hooks", None):
                    before = waiting.get(id(tensor))
                    if before is not None:
                        data = _add(before[1], data, tensor.gradient_format, node.arithmetic)
                    waiting[id(tensor)] = tensor, data, node.arithmetic
                else:
                    _accumulate(tensor, data if fresh else np.array(data), node.arithmetic)
            elif source in gradients:
                gradients[source] = _add(gradients[source], data, source.gradient_format, node.arithmetic)
            else:
                gradients[source] = data
        if not retain_graph:
            node.free()
    for leaf, data, rules in waiting.values():
        _accumulate(leaf, np.array(hooked(leaf._hooks, data, leaf, leaf.gradient_format)), rules)


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
