"""Derivatives and values at infinities, NaN and zeros: limits where there are, or PyTorch's choice."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from floatlab.autograd import Function, Tensor, apply, maximum, no_grad, where
from floatlab.context import arithmetic
from floatlab.errors import AutogradError, OverflowPolicyError

INF, NAN = np.inf, np.nan


def slope(name: str, x: Any, fmt: str = "fp64", **params: Any) -> list[float]:
    t = Tensor(x, requires_grad=True, format=fmt)
    apply(name, t, **params).sum().backward()
    return t.grad.data.tolist()


def _gelu_slope(x: float, approximate: str) -> float:
    """The derivative by the C library's functions, arranged so that nothing cancels below 0."""
    if approximate == "none":
        return 0.5 * math.erfc(-x / math.sqrt(2)) + x * math.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    t = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    slope = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x)
    return 1 / (1 + math.exp(-2 * t)) + x / 2 * slope / math.cosh(t) ** 2


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu_tends_to_x_above_and_to_zero_below(approximate: str) -> None:
    far = [INF, -INF, 1e30, -1e30, 1e200, -1e200, 40.0, -40.0, 0.0, -0.0]
    assert slope("gelu", far, approximate=approximate) == [1, 0, 1, 0, 1, 0, 1, 0, 0.5, 0.5]
    assert np.isnan(slope("gelu", [NAN], approximate=approximate)).all()
    values = apply("gelu", Tensor(far, format="fp64"), approximate=approximate)
    assert values.tolist() == [INF, 0, 1e30, 0, 1e200, 0, 40, 0, 0, 0]
    assert np.isnan(apply("gelu", Tensor([NAN]), approximate=approximate).data).all()


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_the_slope_of_gelu_is_right_in_its_tail(approximate: str) -> None:
    x = [-8.0, -7.25, -6.0, -5.5, -3.0, -0.75, -0.5, -0.4375, -1e-300, 1e-300, 0.3125, 2.0, 6.0]
    expected = [_gelu_slope(v, approximate) for v in x]
    np.testing.assert_allclose(slope("gelu", x, approximate=approximate), expected, rtol=1e-12)


def test_an_infinite_gradient_of_gelu_stays_one() -> None:
    t = Tensor([INF, 2.0], requires_grad=True)
    apply("gelu", t).backward(np.array([INF, 1.0]))
    assert t.grad.data[0] == INF


def test_what_lies_at_clamps_bounds_and_outside_has_no_gradient_and_neither_has_a_nan() -> None:
    x = [INF, -INF, NAN, 0.5, -1.0, 1.0, 2.0]
    assert slope("clamp", x, low=-1.0, high=1.0) == [0, 0, 0, 1, 0, 0, 0]
    assert slope("clamp", x, low=-INF, high=INF) == [0, 0, 0, 1, 1, 1, 1]
    assert slope("clamp", x, high=1.0) == [0, 1, 0, 1, 1, 0, 0]
    assert slope("clamp", x, low=0.5) == [1, 0, 0, 0, 0, 1, 1]
    assert slope("clamp", [0.0, -0.0, 1e-300], low=0.0) == [0, 0, 1]
    assert slope("clamp", x, low=NAN) == [0] * 7
    assert slope("clamp", [0.0, 2.0, 4.0], low=3.0, high=1.0) == [0, 0, 0]
    y = Tensor(x).clamp(-1.0, 1.0)
    assert y.tolist()[:2] == [1, -1] and np.isnan(y.data[2])


def test_a_power_of_zero_is_one_whatever_the_base_and_passes_no_gradient() -> None:
    for exponent in (0, 0.0, -0.0, np.float32(0)):
        x = Tensor([0.0, -0.0, NAN, INF, -INF, -2.0], requires_grad=True)
        y = x**exponent
        assert y.tolist() == [1] * 6
        y.backward(np.array([1.0, INF, NAN, 1.0, 0.0, 1.0]))
        assert x.grad.tolist() == [0] * 6


def test_the_slope_of_a_power_at_zero_is_its_limit() -> None:
    for exponent, expected in ((1, 1.0), (2, 0.0), (3, 0.0), (0.5, INF), (1.5, 0.0), (-1, -INF), (-2, -INF)):
        x = Tensor([0.0], requires_grad=True)
        (x**exponent).sum().backward()
        assert x.grad.item() == expected


def test_zero_to_any_power_leaves_the_exponent_alone() -> None:
    b = Tensor([0.0, 1.0, 2.5, -1.0], requires_grad=True)
    (Tensor([0.0] * 4) ** b).sum().backward()
    assert b.grad.tolist() == [0, 0, 0, -INF]


def test_a_nan_in_a_power_reaches_both_gradients_unless_the_power_is_one_by_rule() -> None:
    a, b = Tensor([NAN, 1.0, 2.0, NAN], requires_grad=True), Tensor([2.0, NAN, NAN, 0.0], requires_grad=True)
    y = a**b
    assert np.isnan(y.data).tolist() == [True, False, True, False]
    y.sum().backward()
    assert np.isnan(a.grad.data).tolist() == [True, True, True, False]
    assert np.isnan(b.grad.data).tolist() == [True, False, True, True]


# -- numbers that are no values of the format ----------------------------------------------------------


@pytest.mark.parametrize("value", [-INF, INF, -1e9, 500.0])
def test_a_mask_never_fills_in_a_nan_in_silence(value: float) -> None:
    x = Tensor([1.0, 2.0], format="e4m3")
    mask = np.array([True, False])
    fills = [lambda: x.masked_fill(mask, value), lambda: x.masked_fill_(mask, value)]
    if np.isinf(value):  # a finite number overflows as it does beside a FloatArray
        fills += [
            lambda: where(mask, value, x),
            lambda: apply("pad", x, widths=((1, 1),), value=value),
            lambda: maximum(x, value),
        ]
    for fill in fills:
        with pytest.raises(OverflowPolicyError, match=r"would make it NaN.*Use -448.0"):
            fill()
    assert x.tolist() == [1, 2]
    with arithmetic(overflow="saturate"):
        assert x.masked_fill(mask, value).data[0] == np.sign(value) * 448
    assert x.masked_fill(mask, x.format.lowest).tolist() == [-448, 2]
    assert np.isnan(x.masked_fill(mask, NAN).data[0])  # which was asked for


@pytest.mark.parametrize("fmt", ["fp16", "bf16", "e5m2", "fp32"])
def test_a_format_with_infinity_takes_it(fmt: str) -> None:
    x = Tensor([1.0, 2.0], format=fmt).masked_fill(np.array([True, False]), -INF)
    assert x.tolist() == [-INF, 2] and x.softmax().tolist() == [0, 1]


# -- Function -------------------------------------------------------------------------------------------


class Twice(Function):
    """x times w, which may come in any way."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Any = None, *, others: Any = ()) -> Tensor:
        return x * 2

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return (gradient * 2, None)[: len(ctx.needs_input_grad)]


def test_a_tensor_that_would_lose_its_gradient_in_a_function_is_refused() -> None:
    x, w = Tensor([1.0], requires_grad=True), Tensor([2.0], requires_grad=True)
    for call in (
        lambda: Twice.apply(x, w=w),
        lambda: Twice.apply(x, others=[w]),
        lambda: Twice.apply(x, [w, 1.0]),
        lambda: Twice.apply(x, {"w": (w,)}),
        lambda: Twice.apply(x=x),
    ):
        with pytest.raises(AutogradError, match=r"positional argument"):
            call()
    with no_grad():
        assert Twice.apply(x, w=w).tolist() == [2]
    Twice.apply(x, w=w.detach()).sum().backward()
    assert x.grad.tolist() == [2] and w.grad is None
