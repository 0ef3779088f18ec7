"""Layers under a unit: all three products of a layer are the unit's, sums are not, and recipes tell their formats."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

import floatlab as fl
from floatlab import nn
from floatlab.amp import CurrentScaling, fp8_autocast

RNG = np.random.default_rng(9)
#: Real units differ from the exact sum in the last bits of fp32, which the rounding to fp16 mostly hides. This shows.
NARROW = fl.MatrixUnit("narrow", fraction_bits=5, block=4)


def tensor(shape, fmt="fp16", **options):
    return fl.Tensor(RNG.standard_normal(shape), format=fmt, **options)


def by_unit(a, b, unit, fmt="fp16", **options):
    return fl.matmul(fl.array(a, fmt), fl.array(b, fmt), fmt, unit=unit, **options).values


@pytest.mark.parametrize("unit", ["v100", "mi250", "h100:promote=32", "a100:bias_first", NARROW], ids=str)
def test_a_linear_layer_and_its_gradients_are_the_units_products(unit):
    layer = nn.Linear(40, 7, rng=1).to("fp16")
    x = tensor((9, 40), requires_grad=True)
    g = fl.quantize(RNG.standard_normal((9, 7)), "fp16")
    with fl.arithmetic(unit=unit):
        y = layer(x)
    y.backward(g)  # with the arithmetic of the forward pass
    w, b = layer.weight.data, layer.bias.data
    assert np.array_equal(y.data, by_unit(x.data, w.T, unit, bias=b))
    assert np.array_equal(x.grad.data, by_unit(g, w, unit))
    assert np.array_equal(layer.weight.grad.data, by_unit(g.T, x.data, unit))
    if unit is NARROW:
        for made, pair in ((x.grad, (g, w)), (layer.weight.grad, (g.T, x.data))):
            assert not np.array_equal(made.data, by_unit(*pair, None))
        assert not np.array_equal(y.data, by_unit(x.data, w.T, None, bias=b))
    assert np.array_equal(layer.bias.grad.data, fl.sum(fl.array(g, "fp16"), axis=0).values)


def test_a_convolution_is_the_units_product_of_its_windows():
    layer = nn.Conv2d(3, 4, 3, bias=False, rng=1).to("bf16")
    x = tensor((2, 3, 6, 6), "bf16", requires_grad=True)
    with fl.arithmetic(unit=NARROW):
        y = layer(x)
    kernel = layer.weight.data.reshape(4, -1).T
    windows = np.lib.stride_tricks.sliding_window_view(x.data, (3, 3), (2, 3)).transpose(0, 2, 3, 1, 4, 5)
    rows = windows.reshape(-1, 27)
    wanted = by_unit(rows, kernel, NARROW, "bf16").reshape(2, 4, 4, 4).transpose(0, 3, 1, 2)
    assert np.array_equal(y.data, wanted)
    assert not np.array_equal(y.data, layer(x).data)
    g = fl.quantize(RNG.standard_normal(y.shape), "bf16")
    y.backward(g)
    positions = g.transpose(0, 2, 3, 1).reshape(-1, 4)
    wanted = by_unit(positions.T, rows, NARROW, "bf16").reshape(4, 3, 3, 3)
    assert np.array_equal(layer.weight.grad.data, wanted)
    assert not np.array_equal(wanted, by_unit(positions.T, rows, None, "bf16").reshape(4, 3, 3, 3))


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv1d(3, 4, 3, rng=1), (2, 3, 9)),
        (nn.ConvTranspose2d(3, 4, 3, rng=1), (2, 3, 5, 5)),
        (nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, rng=1), (2, 5, 8)),
        (nn.LSTM(8, 6, rng=1), (5, 2, 8)),
    ],
    ids=lambda x: type(x).__name__,
)
def test_every_layer_with_a_product_obeys_forward_and_backward(layer, shape):
    layer = layer.to("fp16")
    data = RNG.standard_normal(shape)

    def run(forward, backward):
        x = fl.Tensor(data, format="fp16", requires_grad=True)
        with fl.arithmetic(unit=forward):
            y = layer(x)
        y = y[0] if isinstance(y, tuple) else y
        with fl.arithmetic(unit=backward):  # which changes nothing: a node remembers
            (y * y).sum().backward()
        return y.data, x.grad.data

    (y, dx), (narrow, by_narrow) = run(None, None), run(NARROW, None)
    assert not np.array_equal(y, narrow) and not np.array_equal(dx, by_narrow)
    assert np.array_equal(by_narrow, run(NARROW, NARROW)[1])


def trained(unit, recipe=None, fmt="fp32", seed=0):
    """Return the hash of the weights of a small network after ten steps."""
    model = nn.Sequential(nn.Linear(64, 48, rng=seed), nn.ReLU(), nn.Linear(48, 10, rng=seed + 1)).to(fmt)
    optimizer = fl.optim.SGD(model.parameters(), lr=0.1)
    data = fl.data.digits(seed=seed)
    eight = fp8_autocast(recipe or CurrentScaling(), enabled=recipe is not None)
    for i in range(0, 640, 64):
        x, y = fl.Tensor(data.train_images[i : i + 64], format=fmt), data.train_labels[i : i + 64]
        with fl.arithmetic(unit=unit), eight:
            loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return hashlib.sha256(b"".join(p.data.tobytes() for p in model.parameters())).hexdigest()


def test_the_same_seed_gives_other_weights_on_another_unit_and_the_same_on_the_same():
    hashes = [trained(unit, fmt="fp16") for unit in (None, "v100", "a100", "h100")]
    assert hashes[3] == trained("h100", fmt="fp16")
    assert len(set(hashes)) >= 2


def test_fp8_recipes_tell_the_unit_which_formats_they_multiply():
    seen = []

    class Spy(fl.MatrixUnit):
        def multiply(self, a, b, addend, formats):
            seen.append(tuple(fmt.name for fmt in formats[:2]))
            return super().multiply(a, b, addend, formats)

    unit = Spy("spy", fl.get_unit("h100").instructions)
    trained(unit, CurrentScaling())
    e4m3, e5m2 = "float8_e4m3fn", "float8_e5m2"
    assert set(seen) == {(e4m3, e4m3), (e5m2, e4m3)}
    assert trained("h100", CurrentScaling()) == trained(None, CurrentScaling(accumulator="h100"))
    assert trained("h100", CurrentScaling()) != trained("b200", CurrentScaling())


def test_an_fp32_layer_under_a_unit_is_told_which_formats_there_are():
    with fl.arithmetic(unit="h100"), pytest.raises(fl.FloatlabError, match="tf32"):
        nn.Linear(4, 2, rng=0)(fl.Tensor(np.ones((1, 4))))
