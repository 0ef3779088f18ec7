"""What does a training step leave behind? Weights, gradients, state, and what the graph keeps: counted.

The emulator holds every value in float32 or float64. A device would hold it in its format, so that is what is
counted: a real step is taken on a copy of the model, and each array that it leaves behind counts with the
bits of its format.

    weights      the model's parameters
    buffers      what a model keeps besides, such as running means
    casts        copies of weights in a narrower format, kept for backward (autocast, recipes of fp8 and of blocks)
    master       the optimizer's fp32 copy of narrow weights
    gradients    one for each parameter that asks for one
    state        what the optimizer remembers: momentum, moments
    activations  all else that the graph keeps for backward: results, inputs, masks, indices

A linear layer on blocks (`floatlab.amp.block_autocast`) keeps its input and its weight as its backward products want
them, cast along the batch and along outputs: so does Transformer Engine, and the numbers are the same, for both are
rounded to nearest. Each is there only if its product is. A convolution on blocks keeps image and kernel as they are:
the blocks of its weight's gradient lie along the positions of windows, of which the image has each number many times.

Not counted: what lives for one operation only (workspaces), what a framework's allocator leaves unused, and the
interpreter itself. The gradients and the activations count as if all were there at once; on a device the
activations go while the gradients come.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floatlab import amp
from floatlab.amp.block_products import Operands
from floatlab.autograd import Tensor
from floatlab.autograd.function import Context
from floatlab.autograd.operation import Node
from floatlab.errors import AutogradError, OptionError
from floatlab.formats import FloatFormat, get_format
from floatlab.memory.report import Item, Report, size_of
from floatlab.nn import Module
from floatlab.optim import Optimizer

__all__ = ["measure"]

Array = NDArray[Any]


def measure(
    model: Module,
    inputs: Any,
    loss: Callable[[Any], Tensor] | None = None,
    *,
    optimizer: Optimizer | Callable[[Iterable[Tensor]], Optimizer] | None = None,
    autocast: str | FloatFormat | AbstractContextManager[Any] | None = None,
) -> Report:
    """Take one training step on a copy of the model, and report what it would occupy on a device.

    Parameters
    ----------
    model : Module
        Any model; it stays as it is.
    inputs : Tensor or tuple
        What the model is called with.
    loss : callable, optional
        From the model's output to a single number. Default: the sum of the output, in fp32.
    optimizer : Optimizer or callable, optional
        An optimizer of this model's parameters, or what makes one, as in
        ``lambda params: Adam(params, master_weights=True)``. Without one there is no state.
    autocast : str, FloatFormat or context manager, optional
        A format for `amp.autocast`, or any context to run the forward pass in, such as `amp.fp8_autocast`.

    Returns
    -------
    Report

    Raises
    ------
    AutogradError
        If the loss does not depend on any parameter, or is not a single number.
    OptionError
        If an optimizer is given that holds none of the model's parameters.

    Examples
    --------
    Adam takes 16 bytes a parameter in fp32, and as many in fp16 with a master copy. Activations halve.

    >>> import numpy as np, floatlab as fl
    >>> from floatlab import memory
    >>> for fmt, master in ("fp32", False), ("fp16", True):
    ...     model = fl.nn.Sequential(fl.nn.Linear(64, 32, rng=0), fl.nn.ReLU(), fl.nn.Linear(32, 8, rng=0)).to(fmt)
    ...     adam = fl.optim.Adam(model.parameters(), master_weights=master)
    ...     report = memory.measure(model, fl.Tensor(np.ones((16, 64)), format=fmt), optimizer=adam)
    ...     report.bytes_per_parameter, report.bytes_of("activations")
    (16.0, 6144)
    (16.0, 3072)
    """
    if not isinstance(model, Module):
        raise OptionError(f"A step is one of a model. Got {type(model).__name__}. Pass a Module.")
    for option, function in (("loss", loss), ("optimizer", optimizer)):
        if not (function is None or callable(function) or isinstance(function, Optimizer)):
            raise OptionError(
                f"{option} is a function. Got {function!r:.80}. Write it as in lambda x: ..., or leave it out."
            )
    given = optimizer if isinstance(optimizer, Optimizer) else None
    context = _context(autocast)
    model, given, context, inputs = copy.deepcopy((model, given, context, inputs))
    names = {id(p): name for name, p in model.named_parameters()}
    if optimizer is not None and given is None:
        given = optimizer(model.parameters())  # type: ignore[operator]
    if given is not None and not any(id(p) in names for p in given.parameters()):
        raise OptionError(
            "The optimizer must hold the model's own parameters. Got one that holds none of them. "
            "Build it from model.parameters(), or pass lambda params: Adam(params)."
        )
    model.zero_grad()
    with context:
        output = model(*inputs) if isinstance(inputs, tuple) else model(inputs)
        result = _sum(output) if loss is None else loss(output)
    if not isinstance(result, Tensor) or result.size != 1 or not result.requires_grad:
        raise AutogradError(
            "The loss is a tensor with a single number that depends on the model's parameters. "
            f"Got {result!r:.200}. Reduce it, and compute it outside of no_grad()."
        )
    items = [*_weights(model), *_activations(result, model)]
    result.backward()
    items += _gradients(model)
    if given is not None:
        given.step()
        items += _state(given, names)
    order = {layer: i for i, (layer, _) in enumerate(model.named_modules()) if layer}  # the loss comes last
    return Report(tuple(sorted(items, key=lambda item: order.get(item.layer, len(order) + 1))))


def _context(choice: Any) -> AbstractContextManager[Any]:
    if choice is None:
        return nullcontext()
    if isinstance(choice, str | FloatFormat):
        return amp.autocast(choice)
    if not isinstance(choice, AbstractContextManager):
        raise OptionError(
            f'autocast is a format, or a context to run in. Got {choice!r:.80}. Use a name such as "fp16".'
        )
    return choice


def _sum(output: Any) -> Tensor:
    tensor = output[0] if isinstance(output, tuple) else output
    return tensor.to("float32").sum() if isinstance(tensor, Tensor) else tensor


def _weights(model: Module) -> Iterator[Item]:
    for kind, named in (("weights", model.named_parameters()), ("buffers", model.named_buffers())):
        for name, tensor in named:
            yield _item(name, kind, tensor.size, tensor.format)


def _gradients(model: Module) -> Iterator[Item]:
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            yield _item(name, "gradients", parameter.size, parameter.grad.format)


def _state(optimizer: Optimizer, names: Mapping[int, str]) -> Iterator[Item]:
    for p, state in optimizer.state.items():
        for key, value in state.items():
            if isinstance(value, np.ndarray):
                name = names.get(id(p)) or p.name or "(no name)"
                computed = get_format("float32") if optimizer.master_weights else p.format
                kind, fmt = (
                    ("master", computed) if key == "master" else ("state", optimizer.state_format or computed)
                )
                yield _item(name, kind, value.size, fmt, f"{name} {key}")


def _item(name: str, kind: str, elements: int, fmt: FloatFormat, what: str = "") -> Item:
    return Item(name.rpartition(".")[0], kind, what or name, fmt.spec, elements, size_of(elements, fmt))


# -- what the graph keeps ----------------------------------------------------------------------------

#: A convolution unrolls its windows for the emulator's matrix product; a device reads them from the image.
_ONLY_HERE = {"conv2d"}


def _activations(root: Tensor, model: Module) -> Iterator[Item]:
    """Yield one item for each piece of memory that the graph keeps, except the model's own weights."""
    owned = {id(_storage(t.array)) for _, t in [*model.named_parameters(), *model.named_buffers()]}
    seen = set(owned)
    for node in _nodes(root):
        casts = _block_casts(node)
        yield from (item for item in casts.values() if item is not None)
        for array, fmt, source in _kept(node, casts.keys()):
            storage = _storage(array)
            if id(storage) in seen:
                continue
            seen.add(id(storage))
            is_cast = source is not None and id(_storage(source.array)) in owned
            elements = storage.nbytes // array.itemsize  # a view may read the memory as another type
            size, name = _size(array, elements, fmt)
            kind = "casts" if is_cast else "activations"
            yield Item(node.scope, kind, node.op.name, name, elements, size)


def _block_casts(node: Node) -> dict[int, Item | None]:
    """Return what stands for the operands of a linear layer on blocks, by their places: an item, or nothing."""
    operands = node.params.get("operands")
    found: dict[int, Item | None] = {}
    if node.op.name != "linear" or not isinstance(operands, Operands):
        return found
    x, weight = node.inputs[:2]
    # Each is an operand of the gradient of the other.
    for place, (operand, kind, tensor, other) in enumerate(
        (("input", "activations", x, weight), ("weight", "casts", weight, x))
    ):
        rows = math.prod(tensor.shape[:-1])
        kept = operands.recipe.kept((rows, tensor.shape[-1]), operand)
        if kept is not None:
            item = Item(node.scope, kind, node.op.name, kept[0], tensor.size, kept[1])
            found[place] = item if other.requires_grad else None
    return found


def _nodes(root: Tensor) -> list[Node]:
    """Return all nodes of the graph, in the order of the forward pass."""
    found: dict[Node, None] = {}
    stack = [root._node]
    while stack:
        node = stack.pop()
        if node is not None and node not in found:
            found[node] = None
            stack += node.sources
    return sorted(found, key=lambda node: node.depth)


def _kept(node: Node, without: Container[int]) -> Iterator[tuple[Array, FloatFormat, Tensor | None]]:
    """Yield the arrays that a node keeps, each with its format, and what it is a cast copy of; not of some inputs."""
    for place, (tensor, array) in enumerate(zip(node.inputs, node.kept or (), strict=False)):
        if place in without:
            continue
        number = tensor.ndim == 0 and tensor.is_leaf and not tensor.requires_grad  # held by the host
        if array is not None and not number:
            cast = tensor._node is not None and tensor._node.op.name == "cast"
            yield array, tensor.format, tensor._node.inputs[0] if cast else None
    if node.output is not None:
        yield node.output, node.format, None
    if isinstance(node.saved, Context):
        recipe = getattr(node.saved, "recipe", None)
        if isinstance(recipe, amp.Recipe):  # its operands are fp32 tensors that hold fp8 values
            operands = getattr(node.saved, "operands", ())
            for operand, tensor in zip(operands, node.inputs, strict=True):
                yield operand.array, get_format(recipe.forward), tensor
        else:
            yield from ((t.array, t.format, None) for t in node.saved.saved_tensors)
    elif node.op.name not in _ONLY_HERE:
        yield from ((array, node.format, None) for array in _arrays(node.saved))
    yield from ((array, node.format, None) for array in _arrays(tuple(node.params.values())))


def _arrays(value: Any) -> Iterator[Array]:
    """Yield the arrays among what a kernel has saved, and among its parameters: masks, labels, indices."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _arrays(part)


def _storage(array: Array) -> Array:
    """Return the array that owns the memory of a view."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _size(array: Array, elements: int, fmt: FloatFormat) -> tuple[int, str]:
    """Return the bytes of so many values of `fmt`, or of a mask or indices, and the name of what they are."""
    if array.dtype.kind == "f":
        return size_of(elements, fmt), fmt.spec
    return elements * array.itemsize, array.dtype.name
