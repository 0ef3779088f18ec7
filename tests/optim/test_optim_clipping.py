"""A norm is of all gradients: a NaN in one of them is not forgotten, wherever it stands."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from floatlab import nn, optim
from floatlab.autograd import Tensor
from floatlab.errors import AutogradError, OptionError

NORMS = (1.0, 2.0, math.inf)


def weights(*gradients, format="fp32"):
    found = []
    for gradient in gradients:
        w = Tensor(np.zeros(len(gradient)), requires_grad=True, format=format)
        w.grad = Tensor(gradient, format=format)
        found.append(w)
    return found


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("format", ["fp32", "fp16", "bf16", "float64", "e5m2"])
def test_a_nan_in_any_gradient_makes_the_norm_nan(format, norm):
    for order in itertools.permutations([[math.nan, 1.0], [2.0], [3.0]]):
        assert math.isnan(optim.grad_norm(weights(*order, format=format), norm)), order
    assert math.isnan(optim.grad_norm(weights([1.0, math.nan, 2.0], format=format), norm))
    for order in itertools.permutations([[math.nan], [math.inf], [0.0]]):
        assert math.isnan(optim.grad_norm(weights(*order, format=format), norm)), order


@pytest.mark.parametrize("norm", NORMS)
def test_an_infinity_in_any_gradient_makes_the_norm_infinite(norm):
    for order in itertools.permutations([[-math.inf, 1.0], [2.0], [3.0]]):
        assert optim.grad_norm(weights(*order), norm) == math.inf


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_error_if_nonfinite_speaks_wherever_the_number_stands(bad, norm):
    for order in itertools.permutations([[bad], [1.0], [2.0]]):
        mine = weights(*order)
        with pytest.raises(AutogradError, match="finite"):
            optim.clip_grad_norm_(mine, 1.0, norm, error_if_nonfinite=True)
        assert [w.grad.data[0] for w in mine if not np.isnan(w.grad.data[0])] == [
            x[0] for x in order if not math.isnan(x[0])
        ]


@pytest.mark.parametrize("format", ["fp32", "float64"])
def test_norms_are_those_of_exact_arithmetic(format):
    rng = np.random.default_rng(0)
    gradients = [rng.normal(size=n).astype(np.float32) * 2.0 ** rng.integers(-40, 40) for n in (5, 1, 17)]
    mine = weights(*gradients, format=format)
    numbers = [abs(Fraction(float(x))) for gradient in gradients for x in gradient]
    assert optim.grad_norm(mine, 1.0) == pytest.approx(float(sum(numbers)), rel=1e-15)
    assert optim.grad_norm(mine, 2.0) == pytest.approx(math.sqrt(sum(x * x for x in numbers)), rel=1e-15)
    assert optim.grad_norm(mine, math.inf) == float(max(numbers))


@pytest.mark.parametrize("size", [1e200, 1e307, 1e-200, 5e-324, 1.0])
def test_squares_of_float64_neither_over_nor_underflow(size):
    mine = weights([3 * size, 0.0], [4 * size], format="float64")
    assert optim.grad_norm(mine) == pytest.approx(5 * size, rel=1e-15)


def test_a_norm_beyond_float64_is_infinite():
    mine = weights([1.5e308], [1.5e308], format="float64")
    assert [optim.grad_norm(mine, norm) for norm in NORMS] == [math.inf, math.inf, 1.5e308]


@pytest.mark.parametrize("norm", NORMS)
def test_gradients_of_zero_stay_zero(norm):
    for limit in (0.0, 1e-8, 1.0, math.inf):
        mine = weights([0.0, -0.0], [0.0])
        assert optim.clip_grad_norm_(mine, limit, norm) == 0.0
        assert [w.grad.data.tolist() for w in mine] == [[0.0, 0.0], [0.0]]


def test_the_factor_has_the_epsilon_of_pytorch():
    mine = weights([3.0, 4.0])
    assert optim.clip_grad_norm_(mine, 1.0) == 5.0
    factor = np.float32(1.0 / (5.0 + 1e-6))
    assert mine[0].grad.data.tolist() == (np.float32([3, 4]) * factor).tolist()
    small = weights([1e-6])
    optim.clip_grad_norm_(small, 1e-6)  # half of what it would be without
    assert small[0].grad.data[0] == pytest.approx(5e-7, rel=1e-5)


@pytest.mark.parametrize("norm", NORMS)
def test_under_a_norm_of_nan_every_gradient_becomes_nan(norm):
    """As in PyTorch; a step with them is seen to be broken, where one with half of them might not be."""
    mine = weights([math.nan, 1.0], [2.0])
    assert math.isnan(optim.clip_grad_norm_(mine, 100.0, norm))
    assert all(np.isnan(w.grad.data).all() for w in mine)


@pytest.mark.parametrize("norm", NORMS)
def test_gradients_within_the_limit_keep_their_bits(norm):
    mine = weights([0.1, -0.2], [0.3])
    optim.clip_grad_norm_(mine, 100.0, norm)
    assert [w.grad.data.tolist() for w in mine] == [
        np.float32([0.1, -0.2]).tolist(),
        np.float32([0.3]).tolist(),
    ]


@pytest.mark.parametrize("norm", NORMS)
def test_no_gradients_have_the_norm_0(norm):
    assert optim.grad_norm([], norm) == 0.0
    assert optim.grad_norm(weights([]), norm) == 0.0
    assert optim.grad_norm([Tensor([1.0], requires_grad=True)], norm) == 0.0


@pytest.mark.parametrize("limit", [-1.0, math.nan, -math.inf])
def test_a_limit_that_is_none_is_refused(limit):
    mine = weights([1.0])
    with pytest.raises(OptionError, match="max_norm"):
        optim.clip_grad_norm_(mine, limit)
    assert mine[0].grad.data.tolist() == [1.0]


@pytest.mark.parametrize(
    "clip", [optim.clip_grad_norm_, optim.clip_grad_value_, lambda p, limit: optim.grad_norm(p)]
)
@pytest.mark.parametrize("parameters", [5, None, nn.Linear(1, 1, rng=0), "weights", [1.0], [[Tensor([1.0])]]])
def test_what_holds_no_parameters_has_no_gradients_to_clip(clip: Any, parameters: Any) -> None:
    with pytest.raises(OptionError, match=r"Pass model.parameters\(\)"):
        clip(parameters, 1.0)


@pytest.mark.parametrize("limit", ["1", None, True, -1.0, math.nan, [1.0]])
def test_a_limit_is_a_number(limit: Any) -> None:
    w = Tensor([1.0], requires_grad=True)
    w.grad = Tensor([2.0])
    for clip in (optim.clip_grad_norm_, optim.clip_grad_value_):
        with pytest.raises(OptionError, match="at least 0"):
            clip([w], limit)
    with pytest.raises(OptionError, match="norm_type"):
        optim.clip_grad_norm_([w], 1.0, norm_type=limit if limit != 1.0 else "two")
    assert w.grad.item() == 2.0
