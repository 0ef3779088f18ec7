"""int8: the three products of integers with a scale for each row, against the definition written out in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import floatlab as fl
from floatlab import nn
from floatlab.amp import Int8, block_autocast
from floatlab.autograd import Tensor
from floatlab.errors import OptionError


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=shape) * 4.0 ** rng.integers(-3, 4, shape)).astype(np.float32)


def int8(x: np.ndarray, axis: int | None) -> np.ndarray:
    """Codes from the exact quotient, which float64 tells well enough for these numbers, times a float32 scale."""
    x = x.astype(np.float64)
    scale = (np.abs(x).max(axis, keepdims=True) / 127).astype(np.float32).astype(np.float64)
    scale[scale == 0] = 1.0
    return np.clip(np.rint(x / scale), -128, 127) * scale


def run(layer: nn.Linear, x: np.ndarray, g: np.ndarray, recipe: Int8) -> list[np.ndarray]:
    layer.zero_grad()
    a = Tensor(x, requires_grad=True)
    with block_autocast(recipe):
        y = layer(a)
    y.backward(g)
    return [np.array(t) for t in (y.data, a.grad.data, layer.weight.grad.data)]


def exact(a: np.ndarray, b: np.ndarray, bias: Any = None) -> np.ndarray:
    return fl.matmul(a, b, "float32", accumulator="exact", bias=bias)


@pytest.mark.parametrize("granularity", ["row", "tensor"])
@pytest.mark.parametrize("shape", [(17, 33, 9), (1, 1, 1)])
def test_the_three_products_are_those_of_integers_along_the_summed_axis(
    granularity: str, shape: tuple[int, int, int]
) -> None:
    batch, inputs, outputs = shape
    layer, x, g = (
        nn.Linear(inputs, outputs, rng=0),
        numbers(batch, inputs, seed=1),
        numbers(batch, outputs, seed=2),
    )
    w = np.array(layer.weight.data)

    def along(t: np.ndarray, axis: int) -> np.ndarray:
        return int8(t, axis if granularity == "row" else None)

    found = run(layer, x, g, Int8("nearest_even", granularity))
    expected = [
        exact(along(x, 1), along(w.T, 0), np.array(layer.bias.data)),
        exact(along(g, 1), along(w, 0)),
        exact(along(g.T, 1), along(x, 0)),
    ]
    for f, e in zip(found, expected, strict=True):
        assert np.array_equal(f, e)
    if granularity == "row" and batch > 1:
        assert not np.array_equal(found[0], exact(int8(x, 0), int8(w.T, 1), np.array(layer.bias.data)))


def test_stochastic_gradients_are_right_on_average_where_nearest_loses_them() -> None:
    layer, x = nn.Linear(1, 400, bias=False, rng=0), np.ones((32, 1), np.float32)
    g = np.full((32, 400), 0.25, np.float32)
    g[0] = 127.0  # the scale is 1
    assert np.array_equal(run(layer, x, g, Int8("nearest_even"))[2], np.full((400, 1), 127.0, np.float32))
    means = run(layer, x, g, Int8())[2]
    deviation = np.sqrt(31 * 0.25 * 0.75) / np.sqrt(400)
    assert abs(np.mean(means) - (127.0 + 31 / 4)) < 4 * deviation
    assert np.array_equal(means, run(layer, x, g, Int8())[2])
    assert not np.array_equal(means, run(layer, x, g, Int8(seed=1))[2])


def test_a_row_with_an_infinity_becomes_nan_and_an_empty_batch_nothing() -> None:
    layer, x, g = nn.Linear(5, 3, rng=0), numbers(4, 5, seed=1), numbers(4, 3, seed=2)
    g[1, 2] = np.inf
    _, dx, dw = run(layer, x, g, Int8())
    assert np.isnan(dx[1]).all() and np.isfinite(dx[[0, 2, 3]]).all()
    assert np.isnan(dw[2]).all() and np.isfinite(dw[:2]).all()
    with block_autocast(Int8()):
        assert layer(Tensor(np.empty((0, 5)))).shape == (0, 3)


@pytest.mark.parametrize("options", [{"gradient_rounding": "stochastik"}, {"granularity": "rows"}])
def test_an_unknown_option_is_refused(options: dict[str, str]) -> None:
    with pytest.raises(OptionError, match=r"stochastic|row"):
        Int8(**options)


@pytest.mark.parametrize(("name", "meant"), [("channel", "row"), ("rows", "row"), ("layer", "tensor")])
def test_another_word_for_a_granularity_is_told_the_right_one(name, meant):
    with pytest.raises(OptionError, match=f'Use "{meant}"'):
        fl.amp.Int8(granularity=name)
