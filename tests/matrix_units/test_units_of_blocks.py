"""Blackwell on blocks: elements and scales go to the unit as they are, from an array of blocks or from a recipe."""

from __future__ import annotations

import numpy as np
import pytest

import floatlab as fl
from floatlab import nn, reference
from floatlab.amp import MXFP4, MXFP6, MXFP8, NVFP4, Int8, Tiles, block_autocast
from floatlab.errors import FloatlabError, FormatError, OptionError, ShapeError
from floatlab.verify.chips import oracle, same

RNG = np.random.default_rng(11)


def blocks(shape, name, axis, spread=6, rule=None):
    x = RNG.standard_normal(shape) * 2.0 ** RNG.uniform(-spread, spread, shape)
    return fl.encode(x, name, axis=axis, rule=rule) if rule else fl.encode(x, name, axis=axis)


def exact_dots(a, b, instruction, first=0.0):
    """Return the oracle's products of two arrays of blocks, without the scales of tensors."""
    element, scale, size = a.format.element, a.format.scale, a.format.block[0]
    dot = oracle("b200", instruction, (element.name, b.format.element.name), "fp32", scale.name)
    out = []
    for i in range(a.shape[0]):
        row = []
        for j in range(b.shape[1]):
            left, right = (
                [reference.exact(x) for x in v.tolist()] for v in (a.elements[i], b.elements[:, j])
            )
            scales = tuple(
                [reference.exact(x) for x in v.tolist()] for v in (a.scale_values[i], b.scale_values[:, j])
            )
            row.append(dot(left, right, reference.exact(first), scales=scales))
        out.append(row)
    assert size in (16, 32)
    return out


@pytest.mark.parametrize(
    ("name", "instruction"),
    [("mxfp8_e4m3", "mxf8f6f4"), ("mxfp8_e5m2", "mxf8f6f4"), ("mxfp6_e2m3", "mxf8f6f4"), ("mxfp6_e3m2", "mxf8f6f4"),
     ("mxfp4", "mxf4")],
)  # fmt: skip
def test_a_product_of_blocks_is_the_oracles(name, instruction):
    a, b = blocks((3, 128), name, 1), blocks((128, 2), name, 0)
    found = fl.matmul(a, b, unit="b200")
    wanted = exact_dots(a, b, instruction)
    assert all(same(reference.exact(found[i, j]), wanted[i][j]) for i in range(3) for j in range(2))
    assert np.array_equal(found, fl.matmul(a, b, accumulator="rtx_blackwell"))
    assert np.allclose(found, fl.matmul(a, b), rtol=1e-4, atol=1e-3 * np.abs(found).max())


def test_nvfp4_is_multiplied_by_the_scales_of_its_tensors_at_the_end():
    a, b = blocks((3, 64), "nvfp4", 1, 2), blocks((64, 2), "nvfp4", 0, 2)
    wanted = np.array([[float(x) for x in row] for row in exact_dots(a, b, "mxf4nvf4")])
    factor = np.float32(float(a.tensor_scale) * float(b.tensor_scale))
    assert np.array_equal(fl.matmul(a, b, unit="b200"), wanted.astype(np.float32) * factor)


def test_scales_of_tensors_whose_product_fp32_lacks_overflow_without_a_warning():
    a, b = (fl.encode(np.full((32, 32), 1e30), "nvfp4", axis=axis) for axis in (1, 0))
    with np.errstate(all="raise"):
        assert np.isposinf(fl.matmul(a, b, unit="b200")).all()


def test_four_bits_take_the_wider_instruction_unless_told_otherwise():
    """32 products that cancel, and a small one: beside them it is cut off, after them it is not."""
    x = np.zeros((1, 64))
    x[0, :2], x[0, 32] = (4.0, -4.0), 2.0**-40
    a, b = fl.encode(x, "mxfp4"), fl.encode(np.ones((64, 1)), "mxfp4", axis=0)
    assert fl.matmul(a, b, unit="b200").item() == 0.0
    assert fl.matmul(a, b, unit="b200:mxf8f6f4").item() == 2.0**-40
    mixed = fl.matmul(a, fl.encode(np.ones((64, 1)), "mxfp8_e4m3", axis=0), unit="b200")
    assert mixed.item() == 2.0**-40


def test_a_shorter_last_block_counts_as_if_zeros_stood_behind_it():
    x, y = RNG.standard_normal((3, 45)), RNG.standard_normal((45, 2))
    longer = np.pad(x, ((0, 0), (0, 19))), np.pad(y, ((0, 19), (0, 0)))
    for name in ("mxfp8_e4m3", "mxfp4"):
        short = fl.matmul(fl.encode(x, name), fl.encode(y, name, axis=0), unit="b200")
        assert np.array_equal(
            short, fl.matmul(*(fl.encode(v, name, axis=1 - i) for i, v in enumerate(longer)), unit="b200")
        )


def test_a_scale_that_is_nan_makes_its_results_nan_and_no_others():
    x = np.ones((3, 64))
    x[1, 40] = np.nan
    made = fl.matmul(
        fl.encode(x, "mxfp8_e4m3"), fl.encode(np.ones((64, 2)), "mxfp8_e4m3", axis=0), unit="b200"
    )
    assert np.isnan(made[1]).all() and not np.isnan(made[[0, 2]]).any()


def test_the_bias_comes_after_the_scales_in_fp32_or_first():
    a, b = blocks((3, 64), "mxfp8_e4m3", 1), blocks((64, 2), "mxfp8_e4m3", 0)
    bias = np.array([1e5, -3.0])
    plain = fl.matmul(a, b, unit="b200")
    assert np.array_equal(fl.matmul(a, b, unit="b200", bias=bias), plain + bias.astype(np.float32))
    first = fl.matmul(a, b, unit="b200", bias=1e7, bias_first=True)
    wanted = exact_dots(a, b, "mxf8f6f4", 1e7)
    assert all(same(reference.exact(first[i, j]), wanted[i][j]) for i in range(3) for j in range(2))
    assert not np.array_equal(first, fl.matmul(a, b, unit="b200", bias=1e7))
    assert np.array_equal(fl.matmul(a, b, "bf16", unit="b200"), fl.quantize(plain, "bf16"))


def test_vectors_of_blocks_have_a_dot_product():
    x, y = RNG.standard_normal(64), RNG.standard_normal(64)
    made = fl.matmul(fl.encode(x, "mxfp8_e4m3"), fl.encode(y, "mxfp8_e4m3"), unit="b200")
    row, column = fl.encode(x[None], "mxfp8_e4m3"), fl.encode(y[:, None], "mxfp8_e4m3", axis=0)
    assert made.shape == () and made == fl.matmul(row, column, unit="b200")[0, 0]


@pytest.mark.parametrize("recipe", [MXFP8, MXFP6, MXFP4, NVFP4], ids=lambda kind: kind.__name__)
def test_a_recipe_under_a_unit_multiplies_its_blocks(recipe):
    layer = nn.Linear(64, 32, rng=1)
    x = fl.Tensor(RNG.standard_normal((32, 64)), requires_grad=True)
    recipes = {"rht": False, "stochastic": False}
    with block_autocast(recipe(accumulator="b200", **recipes)):
        y = layer(x)
    exact = recipe(**recipes)
    a, b = exact.blocks(x.data, layer.weight.data.T, ("input", "weight"), np.random.default_rng(0))
    assert np.array_equal(y.data, fl.matmul(a, b, unit="b200", bias=layer.bias.data))
    y.sum().backward()
    g = np.ones((32, 32), np.float32)
    a, b = exact.blocks(g, layer.weight.data, ("gradient", "weight"), np.random.default_rng(0))
    assert np.array_equal(x.grad.data, fl.matmul(a, b, unit="b200"))
    with block_autocast(exact):
        wide = layer(x)
    assert np.allclose(y.data, wide.data, rtol=1e-3, atol=1e-4)


def pair(left="mxfp4", right=None, shape=(3, 64), unit="b200", **options):
    a, b = blocks(shape, left, len(shape) - 1), blocks((64, 2), right or left, 0)
    return fl.matmul(a, b, unit=unit, **options)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: pair(unit="h100"), FormatError, "b200"),
        (lambda: pair("mxfp4", "nvfp4"), FloatlabError, "one format"),
        (lambda: pair("mxint8"), FloatlabError, "floats"),
        (lambda: pair(unit="b20"), OptionError, "b200"),
        (lambda: pair(shape=(2, 3, 64)), FloatlabError, "one by one"),
        (lambda: pair(bias=0.1), FloatlabError, "The bias"),
        (lambda: pair(bias=[1.0] * 5), ShapeError, "bias broadcasts"),
        (lambda: pair(bias="one"), FloatlabError, "number in words"),
        (lambda: pair(shape=(3, 32)), ShapeError, "32 and 64"),
        (
            lambda: fl.matmul(blocks(64, "mxfp4", 0), blocks(32, "mxfp4", 0), unit="b200"),
            ShapeError,
            "64 and 32",
        ),
        (lambda: pair(accumulator="fp16"), OptionError, "one of them"),
        (lambda: pair(return_flags=True), OptionError, "option of matmul"),
        (lambda: pair(roundin="to_odd"), OptionError, "option of matmul"),
        (lambda: pair("nvfp4", bias=1.0, bias_first=True), OptionError, "finished product"),
    ],
)
def test_what_a_unit_does_not_multiply_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize(
    "recipe", [Tiles(accumulator="b200"), Int8(accumulator="b200")], ids=["tiles", "int8"]
)
def test_a_recipe_without_scaled_blocks_has_no_unit(recipe):
    with block_autocast(recipe), pytest.raises(OptionError, match=type(recipe).__name__):
        nn.Linear(32, 2, rng=0)(fl.Tensor(np.ones((1, 32))))
