"""The gradient check itself: it must fail where a derivative is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from floatlab.autograd import Function, Tensor, gradcheck
from floatlab.errors import AutogradError
from floatlab.formats import FloatFormat


class WrongSquare(Function):
    """x * x with a derivative that is wrong in one element."""

    @staticmethod
    def forward(ctx, x, error):
        ctx.save_for_backward(x)
        ctx.error = error
        return x * x

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        wrong = np.zeros(x.shape)
        wrong[1, 2] = ctx.error
        return gradient * x * 2 + Tensor(wrong, format=x.format), None


def inputs():
    return Tensor(np.arange(1.0, 7.0).reshape(2, 3), requires_grad=True, format="fp64")


def test_a_right_derivative_passes_and_reports_its_error():
    worst = gradcheck(lambda x: WrongSquare.apply(x, 0.0), [inputs()])
    assert worst.error < 1e-8 and worst.input == 0


def test_a_wrong_element_is_named_with_both_values():
    with pytest.raises(AutogradError, match=r"input 0 at \(1, 2\): computed 1[0-9.]+, numerical [0-9.]+"):
        gradcheck(lambda x: WrongSquare.apply(x, 1e-4), [inputs()])
    assert gradcheck(lambda x: WrongSquare.apply(x, 1e-4), [inputs()], tolerance=1e-2).index == (1, 2)


def test_a_nan_is_a_disagreement():
    with pytest.raises(AutogradError, match="nan"):
        gradcheck(lambda x: WrongSquare.apply(x, np.nan), [inputs()])


def test_the_check_works_in_float64_only_and_skips_what_asks_for_nothing():
    with pytest.raises(AutogradError, match='format="fp64"'):
        gradcheck(lambda x: x * x, [Tensor([1.0], requires_grad=True)])
    fixed = Tensor([2.0], format="fp64")
    x = Tensor([3.0], requires_grad=True, format="fp64")
    assert gradcheck(lambda x, c: x * c, [x, fixed]).computed != 0
    assert x.tolist() == [3.0]  # put back after the steps


def test_a_missing_gradient_is_a_gradient_of_zero():
    x, y = (Tensor([v], requires_grad=True, format="fp64") for v in (1.0, 2.0))
    assert gradcheck(lambda x, y: x * 2, [x, y]).error < 1e-8
    with pytest.raises(AutogradError, match="input 0"):
        gradcheck(lambda x: x * x.detach(), [x])


def test_float64_is_known_by_its_rule_and_not_by_its_name():
    named = FloatFormat("float64", 8, 7)
    with pytest.raises(AutogradError, match="works in float64"):
        gradcheck(lambda x: x * x, [Tensor([0.5], requires_grad=True, format=named)])
    alias = FloatFormat("mine", 11, 52)
    assert gradcheck(lambda x: x * x, [Tensor([0.5], requires_grad=True, format=alias)]).error < 1e-6
