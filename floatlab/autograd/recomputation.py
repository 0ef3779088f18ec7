"""How is memory saved for time? `checkpoint` keeps a function's inputs, and computes the rest again in backward.

    forward     x ──f──> y            without a graph: nothing inside of f is kept
    backward    x ──f──> y            once more, with a graph, in the context of the first time
                gradient of y ──────> that of x, and of every weight that f has used

What f has drawn (dropout masks, stochastic roundings) is drawn again: the generators that f can be seen to use are put
back to where they were for the second time, and left where they are afterwards. A second result with other bits than
the first is an error.

Source: T. Chen, B. Xu, C. Zhang and C. Guestrin, "Training deep nets with sublinear memory cost" (2016).
"""

from __future__ import annotations

import contextvars
import copy
import functools
import types
import zlib
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from typing import Any

import numpy as np

from floatlab.autograd.backward import start_backward
from floatlab.autograd.graph import new_node, observers, record
from floatlab.autograd.operation import Array, Each, Node, Op, moved
from floatlab.autograd.randomness import source
from floatlab.autograd.recording import enable_grad, is_recording, no_grad
from floatlab.autograd.tensor import Tensor
from floatlab.context import current
from floatlab.errors import AutogradError

__all__ = ["checkpoint"]


def checkpoint(
    function: Callable[..., Tensor], *args: Any, rng: Any = (), use_reentrant: Any = None
) -> Tensor:
    """Return ``function(*args)``, without keeping what its backward needs: that is computed again when it is needed.

    Parameters
    ----------
    function : callable
        From tensors to one tensor: a module, a method, a function. What it uses besides its arguments may be weights,
        but no tensor that is computed elsewhere in the graph: pass those as arguments.
    *args
        Tensors, which get their gradients, and anything else.
    rng : numpy.random.Generator or sequence of them
        Generators that the function draws from. Those of modules, of dropout layers in them, of closures and of the
        context are found without.
    use_reentrant
        Accepted, as PyTorch has it, and without a meaning.

    Notes
    -----
    Gradients have the same bits as without, unless a tensor has more than two shares of its gradient, partly from
    inside: these are added inside first. A module that counts its calls, as BatchNorm does for its running statistics,
    counts twice.

    Raises
    ------
    AutogradError
        If the function returns anything but one tensor; in backward, if it computes something else the second time.

    Examples
    --------
    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> y = checkpoint(lambda x: (x * x).exp(), x)
    >>> y.sum().backward()
    >>> x.grad.data.round(3).tolist() == (2 * x.data * np.exp(x.data**2)).round(3).tolist()
    True
    """
    generators = list(_generators([function, *args, rng]))
    before = [copy.deepcopy(g.bit_generator.state) for g in generators]
    context = contextvars.copy_context()
    with no_grad():
        made = function(*args)
    if not isinstance(made, Tensor):
        raise AutogradError(
            f"A function that is checkpointed returns one tensor. Got {type(made).__name__}. "
            "Join several with cat or stack, or checkpoint each."
        )
    if not is_recording():
        return made
    out = made.detach()
    tensors = [x for x in args if isinstance(x, Tensor)]
    again = _Again(function, args, context, generators, before, zlib.crc32(out.array.tobytes()))
    # A weight inside may ask for a gradient, which nobody knows before: an input of no elements does for all.
    anchor = Tensor(np.zeros(0), requires_grad=True, format=out.format)
    op = Op(
        "checkpoint",
        moved(lambda node, x: x),
        Each(again.gradient, "rounded"),
        "a function whose inside is computed again in backward",
        keeps=tuple(range(1, len(tensors) + 1)),
    )
    node = new_node(op, (anchor, *tensors), {}, out.format, out.gradient_format)
    record(node, out, [t.array for t in (anchor, *tensors)])
    return out


class _Again:
    """The second time, whose gradients are asked for one by one."""

    def __init__(
        self,
        function: Callable[..., Tensor],
        args: tuple[Any, ...],
        context: contextvars.Context,
        generators: list[np.random.Generator],
        states: list[Any],
        checksum: int,
    ) -> None:
        self.function, self.args, self.context = function, args, context
        self.generators, self.states, self.checksum = generators, states, checksum
        self.last: tuple[Any, list[Any]] = (None, [])

    def gradient(self, node: Node, gradient: Array, index: int) -> Array | None:
        """Return the gradient of input number `index`; the first one that is asked for computes them all."""
        if self.last[0] is not gradient:
            self.last = gradient, self.context.copy().run(self._compute, node, gradient)
        if index == 0:
            return None
        found = self.last[1][index - 1]
        return None if found is None else np.asarray(found.array)

    def _compute(self, node: Node, gradient: Array) -> list[Any]:
        inputs = [_leaf(x) if isinstance(x, Tensor) else x for x in self.args]
        observers.set(())  # who watches has seen the first time
        with enable_grad():
            with _rewound(self.generators, self.states):
                out = self.function(*inputs)
            if zlib.crc32(out.array.tobytes()) != self.checksum:
                raise AutogradError(
                    "A function that is checkpointed computes the same a second time. Got another result. "
                    "Pass the generators that it draws from as rng, and let it change nothing outside."
                )
            if not out.requires_grad:
                raise AutogradError(
                    "backward goes through a checkpoint to tensors that ask for a gradient. Got none inside of it. "
                    "Set requires_grad on an input or a weight, or compute it under no_grad."
                )
            start_backward(out, Tensor._wrap(gradient, node.gradient_format, node.gradient_format), False)
        return [x.grad for x in inputs if isinstance(x, Tensor)]


def _leaf(x: Tensor) -> Tensor:
    """Return the same values as an input of a graph of its own."""
    leaf = x.detach()
    leaf.requires_grad = x.requires_grad
    return leaf


@contextmanager
def _rewound(generators: list[np.random.Generator], states: list[Any]) -> Any:
    """Let generators draw once more from where they were, and then go on from where they are."""
    now = [copy.deepcopy(g.bit_generator.state) for g in generators]
    for generator, state in zip(generators, states, strict=True):
        generator.bit_generator.state = state
    try:
        yield
    finally:
        for generator, state in zip(generators, now, strict=True):
            generator.bit_generator.state = state


def _generators(places: Iterable[Any]) -> Iterable[np.random.Generator]:
    """Yield the generators that are reached from functions, modules and lists, the context's, and the default one."""
    stack = [*places, current().for_results["rng"], source]
    seen: set[int] = set()
    while stack:
        thing = stack.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, np.random.Generator):
            yield thing
        elif isinstance(thing, dict):
            stack += thing.values()
        elif isinstance(thing, list | tuple | set):
            stack += thing
        elif isinstance(thing, functools.partial):
            stack += [thing.func, thing.args, thing.keywords]
        elif isinstance(thing, types.MethodType):
            stack += [thing.__self__, thing.__func__]
        elif isinstance(thing, types.FunctionType):
            stack += [thing.__closure__, thing.__defaults__, thing.__kwdefaults__]
            stack += [
                thing.__globals__[name] for name in thing.__code__.co_names if name in thing.__globals__
            ]
        elif isinstance(thing, types.CellType):
            stack += [thing.cell_contents] if thing != types.CellType() else []
        elif hasattr(thing, "named_parameters"):
            stack.append(vars(thing))
