"""Operations from outside the table."""

from __future__ import annotations

import numpy as np
import pytest

from floatlab.autograd import Function, Tensor, no_grad
from floatlab.errors import AutogradError, FormatMismatchError, ShapeError


class Cube(Function):
    """x ** 3, which also takes a factor and counts its backward passes."""

    calls = 0

    @staticmethod
    def forward(ctx, x, y, *, factor=1.0):
        ctx.save_for_backward(x, y)
        ctx.factor = factor
        return x * x * x * y * factor

    @staticmethod
    def backward(ctx, gradient):
        Cube.calls += 1
        x, y = ctx.saved_tensors
        return gradient * x * x * y * 3 * ctx.factor, gradient * x * x * x * ctx.factor


def test_both_gradients_come_from_one_backward():
    x, y = Tensor([2.0], requires_grad=True), Tensor([5.0], requires_grad=True)
    Cube.calls = 0
    Cube.apply(x, y, factor=2.0).sum().backward()
    assert (x.grad.item(), y.grad.item(), Cube.calls) == (120, 16, 1)


def test_what_happens_inside_is_not_recorded():
    x = Tensor([2.0], requires_grad=True)
    out = Cube.apply(x, Tensor([1.0]))
    assert out._node.op.name == "Cube" and out._node.depth == 0
    with no_grad():
        assert not Cube.apply(x, Tensor([1.0])).requires_grad
    assert not Cube.apply(Tensor([2.0]), Tensor([1.0])).requires_grad


def test_a_kept_graph_runs_backward_anew():
    x = Tensor([2.0], requires_grad=True)
    out = Cube.apply(x, Tensor([1.0]))
    out.backward(np.ones(1), retain_graph=True)
    out.backward(np.full(1, 10.0))
    assert x.grad.item() == 12 + 120


def test_a_saved_tensor_that_changed_is_found():
    x = Tensor([2.0], requires_grad=True, name="x")
    out = Cube.apply(x, Tensor([1.0]))
    with no_grad():
        x.add_(1)
    with pytest.raises(AutogradError, match="'Cube' needs x"):
        out.backward(np.ones(1))


def custom(results, forward=None):
    class Custom(Function):
        @staticmethod
        def forward(ctx, x, option=None):
            return x * 1 if forward is None else forward(x)

        @staticmethod
        def backward(ctx, gradient):
            return results(gradient)

    return Custom


def test_no_gradient_at_all_leaves_none():
    x = Tensor([2.0], requires_grad=True)
    custom(lambda g: None).apply(x).sum().backward()
    assert x.grad is None


def test_a_gradient_is_rounded_to_the_inputs_gradient_format():
    x = Tensor([1.0], requires_grad=True, format="fp16")
    custom(lambda g: Tensor([1 + 2.0**-12])).apply(x).sum().backward()
    assert x.grad.item() == 1 and x.grad.format.name == "float16"


def test_mistakes_are_named():
    x = Tensor([2.0, 1.0], requires_grad=True)
    with pytest.raises(AutogradError, match="one gradient for each of its 1 inputs"):
        custom(lambda g: (g, g)).apply(x).sum().backward()
    with pytest.raises(ShapeError, match=r"\(1,\) for \(2,\)"):
        custom(lambda g: Tensor([1.0])).apply(x).sum().backward()
    with pytest.raises(FormatMismatchError, match="DataArray"):
        custom(lambda g: g.data).apply(x).sum().backward()
    with pytest.raises(AutogradError, match="Return a Tensor"):
        custom(lambda g: g, forward=lambda x: x.data).apply(x)
    with pytest.raises(AutogradError, match="static method forward"):
        Function.apply(x)
