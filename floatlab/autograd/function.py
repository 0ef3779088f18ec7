"""How is an operation added from outside the table? `Function`, as in PyTorch.

A subclass gives two static methods. They work on tensors, so that each step of theirs is rounded like any
other; what happens inside `forward` and `backward` is not recorded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from floatlab.autograd.graph import new_node, record
from floatlab.autograd.operation import Array, Each, Node, Op, moved
from floatlab.autograd.recording import is_recording, no_grad
from floatlab.autograd.rounding import is_subset, round_to
from floatlab.autograd.tensor import Tensor
from floatlab.context import using
from floatlab.errors import AutogradError, FormatMismatchError, ShapeError

__all__ = ["Context", "Function"]


class Context:
    """What `forward` leaves for `backward`: saved tensors, and any attribute that it sets."""

    needs_input_grad: tuple[bool, ...] = ()

    def __init__(self) -> None:
        self._saved: tuple[Tensor, ...] = ()
        self._results: tuple[Array | None, Any] = (None, None)  # the last gradient, and what it became

    def save_for_backward(self, *tensors: Tensor) -> None:
        """Keep tensors; if one of them is changed in place before backward, backward says so."""
        self._saved = tensors

    @property
    def saved_tensors(self) -> tuple[Tensor, ...]:
        """The tensors that were kept."""
        return self._saved


class Function:
    """An operation with a derivative of one's own.

    Examples
    --------
    A rounding that the gradient does not see (a straight-through estimator):

    >>> class Round(Function):
    ...     @staticmethod
    ...     def forward(ctx, x, fmt):
    ...         return x.to(fmt).to(x.format)
    ...
    ...     @staticmethod
    ...     def backward(ctx, gradient):
    ...         return gradient, None
    >>> x = Tensor([0.1, 0.3], requires_grad=True)
    >>> y = Round.apply(x, "e2m1")
    >>> y.sum().backward()
    >>> y.tolist(), x.grad.tolist()
    ([0.0, 0.5], [1.0, 1.0])
    """

    @staticmethod
    def forward(ctx: Any, *inputs: Any, **params: Any) -> Tensor:
        """Return the output tensor."""
        raise AutogradError("A Function has a static method forward. Got none. Define it in the subclass.")

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        """Return the gradient of each positional input of `forward`, or None where there is none."""
        raise AutogradError("A Function has a static method backward. Got none. Define it in the subclass.")

    @classmethod
    def apply(cls, *inputs: Any, **params: Any) -> Tensor:
        """Run `forward`, and record the operation if a gradient may be asked for.

        Raises
        ------
        AutogradError
            If a tensor that asks for a gradient is no positional argument: `backward` returns a gradient for each of
            those, and for nothing else.
        """
        if is_recording():
            _refuse_hidden(cls.__name__, inputs, params)
        context = Context()
        context.needs_input_grad = tuple(isinstance(x, Tensor) and x.requires_grad for x in inputs)
        with no_grad():
            made = cls.forward(context, *inputs, **params)
        if not isinstance(made, Tensor):
            raise AutogradError(
                f"forward of {cls.__name__} returns one tensor. Got {type(made).__name__}. Return a Tensor."
            )
        out = made.detach()  # its own place in the graph, even if forward returned one of its inputs
        if any(context.needs_input_grad) and is_recording():
            places = [i for i, x in enumerate(inputs) if isinstance(x, Tensor)]
            op = Op(
                cls.__name__,
                moved(lambda node, x: x),
                Each(lambda node, g, i: cls._gradient(node, g, i, places[i], len(inputs)), "rounded"),
                cls.__doc__ or "a custom operation",
            )
            tensors = tuple(inputs[i] for i in places)
            node = new_node(op, tensors, params, out.format, out.gradient_format)
            node.saved = context
            record(node, out)
            node.versions += [(t._version, t._version[0], t.name or "a saved tensor") for t in context._saved]
        return out

    @classmethod
    def _gradient(cls, node: Node, gradient: Array, index: int, place: int, count: int) -> Array | None:
        """Return the gradient of tensor `index`, argument `place`; backward runs once for all of them."""
        context = node.saved
        if context._results[0] is not gradient:
            with no_grad(), using(node.arithmetic):
                wrapped = Tensor._wrap(gradient, node.gradient_format, node.gradient_format)
                results = cls.backward(context, wrapped)
            results = results if isinstance(results, tuple) else (results,)
            if len(results) != count:
                raise AutogradError(
                    f"backward of {cls.__name__} returns one gradient for each of its {count} inputs. "
                    f"Got {len(results)}. Return None where there is none."
                )
            context._results = (gradient, results)
        result = context._results[1][place]
        if result is None:
            return None
        if not isinstance(result, Tensor):
            raise FormatMismatchError(
                f"backward of {cls.__name__} returns tensors. Got {type(result).__name__}. Use Tensor(...)."
            )
        tensor = node.inputs[index]
        if result.shape != tensor.shape:
            raise ShapeError(
                f"backward of {cls.__name__} returns gradients of the shapes of its inputs. "
                f"Got {result.shape} for {tensor.shape}. Sum over what was broadcast."
            )
        if is_subset(result.format, node.target):
            return result.array.astype(node.target.value_dtype)
        return round_to(np.array(result.array), node.target, node.arithmetic)


def _refuse_hidden(name: str, inputs: tuple[Any, ...], params: dict[str, Any]) -> None:
    """Raise if a tensor that asks for a gradient comes by keyword, or inside of a list, where it would get none."""
    for place, argument in [*enumerate(inputs), *params.items()]:
        if isinstance(argument, Tensor):
            found = argument.requires_grad and isinstance(place, str)
        else:
            found = any(isinstance(x, Tensor) and x.requires_grad for x in _parts(argument))
        if found:
            raise AutogradError(
                f"backward of {name} returns gradients of the positional arguments. "
                f"Got a tensor that asks for one in argument {place!r}. "
                f"Pass it as a positional argument of {name}.apply, or detach it."
            )


def _parts(argument: Any) -> Iterator[Any]:
    if isinstance(argument, dict):
        argument = list(argument.values())
    if isinstance(argument, list | tuple):
        for part in argument:
            yield part
            yield from _parts(part)
