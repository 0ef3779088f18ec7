"""Recipes of blocks: what is multiplied in the three products, against the definition written out in NumPy."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import floatlab as fl
from floatlab import nn
from floatlab.amp import (
    MXFP4,
    MXFP6,
    MXFP8,
    NVFP4,
    BlockRecipe,
    BlockScaling,
    CurrentScaling,
    Tiles,
    autocast,
    block_autocast,
    fp8_autocast,
)
from floatlab.autograd import Tensor, accumulator, no_grad, observers
from floatlab.errors import FloatlabError, OptionError, StateError

SIGNS = np.array([1, 1, 1, -1, 1, -1, -1, -1, -1, -1, -1, 1, -1, 1, -1, -1])
E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6])
E4M3 = np.array(
    sorted({m * 2.0 ** (max(e, 1) - 10) for e in range(16) for m in range(8 * (e > 0), 8 + 8 * (e > 0))})
)[:-1]


def numbers(*shape: int, seed: int = 0, size: float = 1.0) -> np.ndarray:
    """Numbers of many sizes, so that blocks differ."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=shape) * 4.0 ** rng.integers(-3, 4, shape) * size).astype(np.float32)


def linear(outputs: int, inputs: int, bias: bool = False) -> nn.Linear:
    layer = nn.Linear(inputs, outputs, bias=bias, rng=0)
    state = {"weight": numbers(outputs, inputs, seed=5)} | (
        {"bias": numbers(outputs, seed=9)} if bias else {}
    )
    layer.load_state_dict(state)
    return layer


# -- the definition, written out ----------------------------------------------------------------------------


def nearest(x: np.ndarray, table: np.ndarray) -> np.ndarray:
    """The nearest of a table of magnitudes, ties to the one with the even index, saturating."""
    size = np.minimum(np.abs(x), table[-1])
    below = np.minimum(np.searchsorted(table, size, side="right") - 1, len(table) - 2)
    low, high = size - table[below], table[below + 1] - size
    up = (high < low) | ((high == low) & (below % 2 == 1))
    return np.copysign(table[below + up], x)


def blocks_along(
    x: np.ndarray, axis: int, length: int, one: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Apply a function to each block, the last of which may be shorter."""
    out = np.moveaxis(np.empty(x.shape), axis, -1)
    moved = np.moveaxis(x.astype(np.float64), axis, -1)
    for place in np.ndindex(*moved.shape[:-1]):
        for start in range(0, moved.shape[-1], length):
            out[place][start : start + length] = one(moved[place][start : start + length])
    return np.moveaxis(out, -1, axis)


def mxfp4(x: np.ndarray, axis: int, operand: str = "") -> np.ndarray:
    def one(block: np.ndarray) -> np.ndarray:
        amax = np.abs(block).max()
        scale = next((2.0**e for e in range(-127, 128) if amax <= 6 * 2.0**e), 2.0**127)
        return nearest(block / scale, E2M1) * scale

    return blocks_along(x, axis, 32, one)


def nvfp4(x: np.ndarray, axis: int, operand: str = "") -> np.ndarray:
    """NVFP4, and tiles of weights."""
    tensor = float(np.float32(np.abs(x).max() / np.float64(2688)))

    def one(block: np.ndarray) -> np.ndarray:
        scale = nearest(np.array(np.abs(block).max() / (6 * tensor)), E4M3)
        return (
            np.zeros(block.shape) if scale == 0 else nearest(block / (scale * tensor), E2M1) * scale * tensor
        )

    if operand != "weight":
        return blocks_along(x, axis, 16, one)
    out = np.empty(x.shape)
    for i, j in itertools.product(range(0, x.shape[0], 16), range(0, x.shape[1], 16)):
        tile = np.s_[i : i + 16, j : j + 16]
        out[tile] = one(x[tile].astype(np.float64))
    return out


def transform(x: np.ndarray, axis: int) -> np.ndarray:
    """Signs, then Sylvester's matrix over 4, along an axis that is filled up with zeros."""
    h = np.ones((1, 1))
    while len(h) < 16:
        h = np.block([[h, h], [h, -h]])
    moved = np.moveaxis(x.astype(np.float64), axis, -1)
    moved = np.concatenate([moved, np.zeros((*moved.shape[:-1], -moved.shape[-1] % 16))], -1)
    sixteens = moved.reshape(*moved.shape[:-1], -1, 16) * SIGNS @ h / 4
    return np.moveaxis(sixteens.reshape(moved.shape).astype(np.float32), -1, axis)


def exact(a: np.ndarray, b: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    return fl.matmul(a, b, "float32", accumulator="exact", bias=bias)


def three_products(
    layer: nn.Linear, x: np.ndarray, g: np.ndarray, quantize: Callable[..., np.ndarray], rht: bool = False
) -> list[np.ndarray]:
    """The result and both gradients, each operand quantized from what it was, along the axis that is summed."""
    w, bias = np.array(layer.weight.data), None if layer.bias is None else np.array(layer.bias.data)
    turn = transform if rht else lambda t, axis: t
    forward = exact(quantize(x, 1, "input"), quantize(w.T, 0, "weight"), bias)
    dgrad = exact(quantize(g, 1, "gradient"), quantize(w, 0, "weight"))
    wgrad = exact(quantize(turn(g.T, 1), 1, "gradient"), quantize(turn(x, 0), 0, "input"))
    return [forward, dgrad, wgrad]


def run(layer: nn.Module, x: np.ndarray, g: np.ndarray, recipe: BlockRecipe) -> list[np.ndarray]:
    layer.zero_grad()
    a = Tensor(x, requires_grad=True)
    with block_autocast(recipe):
        y = layer(a)
    y.backward(g)
    return [np.array(t) for t in (y.data, a.grad.data, layer.weight.grad.data)]


def same(found: list[np.ndarray], expected: list[np.ndarray]) -> list[bool]:
    return [np.array_equal(f, e) for f, e in zip(found, expected, strict=True)]


SHAPES = [
    (32, 64, 32),
    (7, 45, 33),
    (1, 1, 1),
    (50, 16, 70),
]  # batch, inputs, outputs; tails that fill no block


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    ("recipe", "quantize", "rht"),
    [
        (MXFP4(), mxfp4, False),
        (MXFP4(rht=True), mxfp4, True),
        (NVFP4(rht=False, stochastic=False), nvfp4, False),
        (NVFP4(stochastic=False), nvfp4, True),
        (NVFP4(stochastic=False, two_d_weights=False), lambda x, axis, operand: nvfp4(x, axis), True),
    ],
    ids=["mxfp4", "mxfp4 rht", "nvfp4 2d", "nvfp4 2d rht", "nvfp4 rht"],
)
def test_the_three_products_are_those_of_operands_quantized_along_the_summed_axis(
    recipe: BlockRecipe, quantize: Any, rht: bool, bias: bool, shape: tuple[int, int, int]
) -> None:
    batch, inputs, outputs = shape
    layer = linear(outputs, inputs, bias)
    x, g = numbers(batch, inputs, seed=1), numbers(batch, outputs, seed=2, size=2.0**-9)
    assert same(run(layer, x, g, recipe), three_products(layer, x, g, quantize, rht)) == [True] * 3
    if bias:
        assert np.array_equal(layer.bias.grad.data, fl.sum(g, "float32", axis=0, accumulator="exact"))


OTHERS = [
    (MXFP8(), "mxfp8_e4m3", "mxfp8_e4m3", "mxfp8_e4m3", {"rule": "rceil"}),
    (MXFP8(backward="mxfp8_e5m2"), "mxfp8_e4m3", "mxfp8_e4m3", "mxfp8_e5m2", {"rule": "rceil"}),
    (MXFP6(rule="floor"), "mxfp6_e2m3", "mxfp6_e2m3", "mxfp6_e2m3", {"rule": "floor"}),
    (MXFP6("mxfp6_e3m2"), "mxfp6_e3m2", "mxfp6_e3m2", "mxfp6_e3m2", {"rule": "rceil"}),
    (BlockScaling("mxint8"), "mxint8", "mxint8", "mxint8", {}),
    (BlockScaling("int4:32", "mxfp8_e5m2"), "int4:32", "int4:32", "mxfp8_e5m2", {}),
    (Tiles(), "fp8_1x128", "fp8_128x128", "fp8_1x128", {}),
    (Tiles(power_of_two=True), "fp8_1x128:pow2", "fp8_128x128:pow2", "fp8_1x128:pow2", {}),
    (
        NVFP4(rht=False, stochastic=False, four_over_six=True),
        "nvfp4",
        "nvfp4_16x16",
        "nvfp4",
        {"rule": "nvfp4_4over6"},
    ),
    (
        NVFP4(rht=False, stochastic=False, arithmetic="te"),
        "nvfp4",
        "nvfp4_16x16",
        "nvfp4",
        {"arithmetic": "te"},
    ),
]


@pytest.mark.parametrize(
    ("recipe", "inputs", "weights", "gradients", "options"), OTHERS, ids=lambda v: str(v)[:40]
)
def test_each_recipe_has_its_formats(
    recipe: BlockRecipe, inputs: str, weights: str, gradients: str, options: dict[str, Any]
) -> None:
    def quantize(x: np.ndarray, axis: int, operand: str) -> np.ndarray:
        name = {"input": inputs, "weight": weights, "gradient": gradients}[operand]
        along = {} if "128x" in name or "16x" in name else {"axis": axis}
        return fl.quantize(x, name, **along, **options)

    layer = linear(150, 140, True)
    x, g = numbers(131, 140, seed=1), numbers(131, 150, seed=2)
    assert same(run(layer, x, g, recipe), three_products(layer, x, g, quantize)) == [True] * 3


def test_every_recipe_has_a_case() -> None:
    recipes = {r for r in vars(fl.amp).values() if isinstance(r, type) and issubclass(r, BlockRecipe)}
    cases = {type(recipe) for recipe, *_ in OTHERS} | {MXFP4}
    own = {"Int8"}  # in test_amp_int8
    assert {r.__name__ for r in recipes - cases - {BlockRecipe}} == own


WRONG = {
    "the other axis": lambda q: lambda x, axis, operand: q(x, 1 - axis, operand),
    "one of them twice": lambda q: lambda x, axis, operand: q(q(x, 1 - axis, operand), axis, operand),
    "not at all": lambda q: lambda x, axis, operand: x,
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize(
    "recipe", [MXFP4(), NVFP4(rht=False, stochastic=False, two_d_weights=False)], ids=str
)
def test_quantizing_along_another_axis_or_twice_gives_other_bits(recipe: BlockRecipe, wrong: str) -> None:
    quantize = mxfp4 if isinstance(recipe, MXFP4) else lambda x, axis, operand: nvfp4(x, axis)
    layer, x, g = linear(33, 45), numbers(40, 45, seed=1), numbers(40, 33, seed=2)
    mutant = three_products(layer, x, g, WRONG[wrong](quantize))
    assert same(run(layer, x, g, recipe), mutant) == [False] * 3


def test_the_transform_is_for_the_gradient_of_the_weight_alone_and_leaves_the_product_as_it_is() -> None:
    layer, x, g = linear(33, 45), numbers(40, 45, seed=1), numbers(40, 33, seed=2)
    plain, turned = (run(layer, x, g, MXFP4(rht=rht)) for rht in (False, True))
    assert same(plain, turned) == [True, True, False]
    fine = [
        run(layer, x, g, BlockScaling("e5m10:32" if rht else "fp32:1", rht=rht))[2] for rht in (False, True)
    ]
    assert np.abs(fine[0] - fine[1]).max() < 2e-3 * np.abs(fine[0]).max()


def test_a_weight_in_square_tiles_is_the_same_forward_and_backward() -> None:
    layer, eye = linear(40, 40), np.eye(40, dtype=np.float32)
    recipe = NVFP4(rht=False, stochastic=False)
    y, dx, _ = run(layer, eye, eye, recipe)
    assert np.array_equal(y.T, dx)
    y, dx, _ = run(layer, eye, eye, NVFP4(rht=False, stochastic=False, two_d_weights=False))
    assert not np.array_equal(y.T, dx)


# -- stochastic rounding ---------------------------------------------------------------------------------


def test_gradients_alone_are_rounded_stochastically_with_eight_bits() -> None:
    layer, x, g = linear(33, 45), numbers(40, 45, seed=1), numbers(40, 33, seed=2)
    found = run(layer, x, g, NVFP4(rht=False, seed=7))

    def quantize(x: np.ndarray, axis: int, operand: str) -> np.ndarray:
        if operand == "weight":
            return fl.quantize(x, "nvfp4_16x16")
        if operand == "input":
            return fl.quantize(x, "nvfp4", axis=axis)
        rng = np.random.default_rng(
            (7, 0, 0, int(x.shape == g.shape))
        )  # the seed, the product, the group, dgrad
        return fl.quantize(x, "nvfp4", axis=axis, rounding="stochastic", random_bits=8, rng=rng)

    assert same(found, three_products(layer, x, g, quantize)) == [True] * 3


def test_four_over_six_is_no_choice_for_gradients_that_are_rounded_stochastically() -> None:
    """The better of two random results would not be right on average."""
    x = numbers(16, 64, seed=3)
    plain, chosen = NVFP4(), NVFP4(four_over_six=True)
    nearest = NVFP4(four_over_six=True, stochastic=False)
    for operand, same_values in (("gradient", True), ("input", False), ("weight", False)):
        found = [r.quantize(x, 1, operand, np.random.default_rng(0)) for r in (plain, chosen)]
        assert np.array_equal(*found) == same_values
    expected = fl.quantize(x, "nvfp4", axis=1, rule="nvfp4_4over6")
    assert np.array_equal(nearest.quantize(x, 1, "gradient", np.random.default_rng(0)), expected)


def test_the_same_seed_gives_the_same_bits_and_another_one_others() -> None:
    layer, x, g = linear(33, 45), numbers(40, 45, seed=1), numbers(40, 33, seed=2)
    runs = [run(layer, x, g, NVFP4(seed=seed)) for seed in (1, 1, 2)]
    assert same(runs[0], runs[1]) == [True] * 3
    assert same(runs[0], runs[2]) == [True, False, False]


def test_stochastic_rounding_is_right_on_average_where_nearest_loses_everything() -> None:
    layer, x = linear(400, 1), np.ones((32, 1), np.float32)
    g = np.full((32, 400), 2.0**-4, np.float32)
    g[0] = 4.0  # the scale of MXFP4 is 1: what is at most 1/4 becomes 0
    assert np.array_equal(run(layer, x, g, MXFP4())[2], np.full((400, 1), 4.0, np.float32))
    means = run(layer, x, g, MXFP4(stochastic=True))[2]
    deviation = np.sqrt(31 * (1 / 8) * (7 / 8)) * 0.5 / np.sqrt(400)
    assert abs(np.mean(means) - (4.0 + 31 / 16)) < 4 * deviation


def test_each_product_draws_numbers_of_its_own_and_again_the_same_ones() -> None:
    layer, x, g = linear(8, 32), numbers(40, 32, seed=1), numbers(40, 8, seed=2)
    block, found = block_autocast(MXFP4(stochastic=True)), []
    with block:
        for _ in range(2):
            layer.zero_grad()
            y = layer(Tensor(x))
            y.backward(g, retain_graph=True)
            found.append(np.array(layer.weight.grad.data))
    layer.zero_grad()
    y.backward(g)
    found.append(np.array(layer.weight.grad.data))
    assert not np.array_equal(found[0], found[1])
    assert np.array_equal(found[1], found[2])


def test_an_evaluation_between_two_steps_changes_no_bit_and_a_run_goes_on_where_it_was() -> None:
    x, g = numbers(40, 32, seed=1), numbers(40, 8, seed=2)

    def step(block: block_autocast, layer: nn.Linear) -> np.ndarray:
        layer.zero_grad()
        with block:
            y = layer(Tensor(x))
        y.backward(g)
        return np.array(layer.weight.grad.data)

    layer, block = linear(8, 32), block_autocast(MXFP4(stochastic=True))
    first, second = step(block, layer), step(block, layer)
    other = block_autocast(MXFP4(stochastic=True))
    assert np.array_equal(step(other, layer), first)
    with no_grad(), other:
        layer(Tensor(x))
    resumed = block_autocast(MXFP4(stochastic=True))
    resumed.load_state_dict(other.state_dict())
    assert np.array_equal(step(other, layer), second)
    assert np.array_equal(step(resumed, layer), second)
    for state in ({}, {"products": -1}, {"products": "3"}, None):
        with pytest.raises(StateError, match="number of products"):
            block.load_state_dict(state)  # type: ignore[arg-type]


def test_watching_a_run_draws_nothing() -> None:
    layer, x, g = linear(8, 32), numbers(40, 32, seed=1), numbers(40, 8, seed=2)

    def weights() -> np.ndarray:
        layer.zero_grad()
        with autocast("bf16"), block_autocast(MXFP4(stochastic=True)):
            y = layer(Tensor(x, requires_grad=True))
        y.backward(Tensor(g, format="bf16").data)
        return np.array(layer.weight.grad.data)

    plain = weights()
    token = observers.set((lambda event: None,))
    try:
        watched = weights()
    finally:
        observers.reset(token)
    assert np.array_equal(plain, watched)


@pytest.mark.parametrize("recipe", [NVFP4(), MXFP4(rht=True, stochastic=True)], ids=["nvfp4", "mxfp4"])
def test_the_same_seed_trains_the_same_weights(recipe: BlockRecipe) -> None:
    x = numbers(40, 12, seed=1, size=0.1)
    labels = np.random.default_rng(0).integers(0, 3, 40)

    def train() -> np.ndarray:
        model = nn.Sequential(nn.Linear(12, 20, rng=1), nn.ReLU(), nn.Linear(20, 3, rng=2))
        sgd, block = fl.optim.SGD(model.parameters(), lr=0.1), block_autocast(recipe)
        for _ in range(5):
            sgd.zero_grad()
            with block:
                loss = nn.functional.cross_entropy(model(Tensor(x)), labels)
            loss.backward()
            sgd.step()
        return np.concatenate([np.array(p.data).reshape(-1) for p in model.parameters()])

    assert np.array_equal(train(), train())


# -- convolutions ----------------------------------------------------------------------------------------


def windows(x: np.ndarray, size: int, pad: int) -> np.ndarray:
    """The windows of images as rows: (positions, channels * height * width)."""
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    view = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(2, 3))
    return view.transpose(0, 2, 3, 1, 4, 5).reshape(-1, x.shape[1] * size * size)


def test_a_convolution_is_the_product_of_its_unrolled_windows() -> None:
    conv = nn.Conv2d(5, 6, 3, padding=1, rng=0)
    x, g = numbers(2, 5, 7, 4, seed=1), numbers(2, 6, 7, 4, seed=2)
    y, dx, dw = run(conv, x, g, MXFP4())
    w, rows, positions = conv.weight.data, windows(x, 3, 1), g.transpose(0, 2, 3, 1).reshape(-1, 6)
    forward = exact(mxfp4(rows, 1), mxfp4(w.reshape(6, -1).T, 0), conv.bias.data)
    assert np.array_equal(y, forward.reshape(2, 7, 4, 6).transpose(0, 3, 1, 2))
    wgrad = exact(mxfp4(positions.T, 1), mxfp4(rows, 0))
    assert np.array_equal(dw, wgrad.reshape(w.shape))
    turned = w[:, :, ::-1, ::-1].transpose(0, 2, 3, 1).reshape(-1, 5)
    dgrad = exact(mxfp4(windows(g, 3, 1), 1), mxfp4(turned, 0))
    assert np.array_equal(dx, dgrad.reshape(2, 7, 4, 5).transpose(0, 3, 1, 2))


def test_a_transposed_convolution_of_one_pixel_is_a_linear_layer() -> None:
    """Which operand is the gradient does not depend on the side on which it stands."""
    conv, layer = nn.ConvTranspose2d(32, 9, 1, bias=False, rng=0), linear(9, 32)
    conv.load_state_dict({"weight": np.array(layer.weight.data).T[:, :, None, None]})
    x, g = numbers(40, 32, seed=1), numbers(40, 9, seed=2)
    recipe = BlockScaling("mxfp4", "mxfp8_e5m2", stochastic=True)
    y, dx, dw = run(conv, x[:, :, None, None], g[:, :, None, None], recipe)
    expected = run(layer, x, g, recipe)
    assert np.array_equal(y[:, :, 0, 0], expected[0])
    plain = BlockScaling("mxfp4", "mxfp8_e5m2")
    y, dx, dw = run(conv, x[:, :, None, None], g[:, :, None, None], plain)
    expected = run(layer, x, g, plain)
    assert np.array_equal(dx[:, :, 0, 0], expected[1])
    assert np.array_equal(dw[:, :, 0, 0].T, expected[2])


def test_groups_are_products_of_their_own_with_random_numbers_of_their_own() -> None:
    conv = nn.Conv2d(8, 6, 3, groups=2, bias=False, rng=0)
    x, g = numbers(3, 8, 5, 5, seed=1), numbers(3, 6, 3, 3, seed=2)
    x[:, 4:], g[:, 3:], conv.weight.data[3:] = x[:, :4], g[:, :3], conv.weight.data[:3]
    y, dx, dw = run(conv, x, g, MXFP4())
    half = nn.Conv2d(4, 3, 3, bias=False, rng=0)
    half.load_state_dict({"weight": np.array(conv.weight.data[:3])})
    expected = run(half, x[:, :4], g[:, :3], MXFP4())
    assert np.array_equal(y[:, :3], expected[0])
    assert np.array_equal(dw[3:], expected[2])
    _, dx, dw = run(conv, x, g, MXFP4(stochastic=True))
    assert not np.array_equal(dw[:3], dw[3:])
    assert not np.array_equal(dx[:, :4], dx[:, 4:])


# -- which layers, which formats -------------------------------------------------------------------------


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(32, 32, rng=1), nn.ReLU(), nn.Linear(32, 32, rng=2))
        self.header = nn.Linear(32, 32, rng=3)
        self.head = nn.Sequential(nn.Linear(32, 4, rng=4))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.header(self.body(x)))


def layers_changed(model: Net, recipe: BlockRecipe) -> list[bool]:
    """Which of the four layers the block changes, called in the model one after the other."""
    changed = []
    block = block_autocast(recipe, model)
    for layer in (model.body[0], model.body[2], model.header, model.head[0]):
        x = Tensor(numbers(8, 32, seed=1))
        plain = layer(x).data
        with block:
            changed.append(not np.array_equal(layer(x).data, plain))
    return changed


@pytest.mark.parametrize(
    ("keep", "changed"),
    [
        ((), [True, True, True, True]),
        ("head", [True, True, True, False]),
        (["body"], [False, False, True, True]),
        (("body.2", "head.0"), [True, False, True, False]),
    ],
)
def test_layers_that_are_kept_are_left_alone(keep: Any, changed: list[bool]) -> None:
    model, x, recipe = Net(), Tensor(numbers(8, 32, seed=1)), MXFP4(keep=keep)
    assert layers_changed(model, recipe) == changed
    with block_autocast(recipe, model):
        found = model(x)
    expected = x
    for layer, on in zip((model.body[0], model.body[2], model.header, model.head[0]), changed, strict=True):
        with block_autocast(MXFP4(), enabled=on):
            expected = layer(expected)
        if layer is model.body[0]:
            expected = nn.functional.relu(expected)
    assert np.array_equal(found.data, expected.data)


def test_of_two_layers_that_share_a_weight_one_can_be_kept() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(32, 32, bias=False, rng=0)
            self.second = nn.Linear(32, 32, bias=False, rng=0)
            self.second.weight = self.first.weight

        def forward(self, x: Tensor) -> Tensor:
            return self.second(self.first(x))

    model, x = Tied(), Tensor(numbers(8, 32, seed=1))
    with block_autocast(MXFP4(keep="first"), model):
        found = model(x)
    middle = nn.functional.linear(x, model.first.weight)
    with block_autocast(MXFP4()):
        assert np.array_equal(found.data, nn.functional.linear(middle, model.first.weight).data)


@pytest.mark.parametrize("fmt", ["bf16", "fp16"])
def test_autocast_comes_first(fmt: str) -> None:
    layer, x = linear(3, 40, True), numbers(5, 40, seed=4)
    with autocast(fmt), block_autocast(MXFP4()):
        found = layer(Tensor(x))
    narrow = [Tensor(t, format=fmt).data for t in (x, layer.weight.data, layer.bias.data)]
    expected = fl.matmul(
        mxfp4(narrow[0], 1), mxfp4(narrow[1].T, 0), fmt, accumulator="exact", bias=np.array(narrow[2])
    )
    assert found.format.name == fl.get_format(fmt).name
    assert np.array_equal(found.data, expected)


def test_float64_tensors_are_quantized_from_what_they_are() -> None:
    x, w = np.full((1, 32), 1.25 + 2.0**-50), np.eye(32)[:1]
    x[0, 1] = 4.0  # scale 1; 1.25 is a tie, and float32 has no more than that
    with block_autocast(MXFP4()):
        y = nn.functional.linear(Tensor(x, format="float64"), Tensor(w, format="float64"))
        assert y.item() == 1.5
        assert nn.functional.linear(Tensor(x), Tensor(w)).item() == 1.0


def test_the_accumulator_is_that_of_the_recipe_or_of_the_context() -> None:
    layer, x = linear(1, 64), Tensor(np.ones((1, 64)))
    layer.load_state_dict({"weight": np.ones((1, 64))})
    for recipe, context, expected in (
        (MXFP8(), "wide", 64.0),
        (MXFP8(), "e4m3", 16.0),  # 16 + 1 is not in E4M3
        (MXFP8(accumulator="e4m3"), "wide", 16.0),
        (MXFP8(accumulator="exact"), "e4m3", 64.0),
    ):
        with accumulator(context), block_autocast(recipe):
            assert layer(x).item() == expected


@pytest.mark.parametrize("recipe", [MXFP8(), MXFP4(rht=True), NVFP4(stochastic=False), Tiles()], ids=str)
def test_the_largest_float32_numbers_and_those_that_are_none(recipe: BlockRecipe) -> None:
    layer, g = linear(32, 32), np.ones((2, 32), np.float32)
    x = numbers(2, 32, seed=1)
    for value in (3.4e38, np.inf, np.nan):
        x[0, 0] = value
        y, dx, dw = run(layer, x, g, recipe)
        assert np.isfinite(y[1]).all()  # the other row
        assert np.isfinite(dx).all()
        assert value == 3.4e38 or (np.isnan(y[0]).all() and np.isnan(dw[:, 0]).all())


def test_an_empty_batch_and_leading_axes() -> None:
    layer = linear(9, 33)
    with block_autocast(NVFP4()):
        y = layer(Tensor(np.empty((0, 33)), requires_grad=True))
        assert y.shape == (0, 9)
        y.sum().backward()
        assert not layer.weight.grad.data.any()
    x, g = numbers(3, 5, 33, seed=1), numbers(3, 5, 9, seed=2)
    found = run(layer, x, g, MXFP4())
    rows = run(layer, x.reshape(15, 33), g.reshape(15, 9), MXFP4())
    assert same([t.reshape(r.shape) for t, r in zip(found, rows, strict=True)], rows) == [True] * 3


def test_a_block_that_is_off_or_left_changes_nothing() -> None:
    layer, x = linear(2, 3), Tensor(numbers(1, 3))
    plain = layer(x).data
    with block_autocast(MXFP4(), enabled=False):
        assert np.array_equal(layer(x).data, plain)
    with block_autocast(MXFP4()), block_autocast(MXFP4(), enabled=False):
        assert np.array_equal(layer(x).data, plain)
    with fp8_autocast(CurrentScaling()), block_autocast(MXFP4()):
        inner = layer(x).data
    with block_autocast(MXFP4()):
        assert np.array_equal(layer(x).data, inner)
    assert np.array_equal(layer(x).data, plain)


def test_a_recipe_of_ones_own() -> None:
    class Halves(BlockRecipe):
        def quantize(
            self, values: np.ndarray, axis: int, operand: str, rng: np.random.Generator
        ) -> np.ndarray:
            return values / 2 if operand == "gradient" else values

    layer, x, g = linear(9, 33), numbers(4, 33, seed=1), numbers(4, 9, seed=2)
    found, plain = run(layer, x, g, Halves()), run(layer, x, g, BlockRecipe())
    assert np.array_equal(found[0], plain[0])
    assert np.array_equal(found[2] * 2, plain[2])


def test_a_recipe_trains_a_network() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(128, 8)).astype(np.float32)
    labels = (x[:, 0] * x[:, 1] > 0).astype(np.int64)
    for recipe in (MXFP8(), NVFP4()):
        model = nn.Sequential(nn.Linear(8, 32, rng=1), nn.Tanh(), nn.Linear(32, 2, rng=2))
        adam, block = fl.optim.Adam(model.parameters(), lr=0.03), block_autocast(recipe)
        for _ in range(40):
            adam.zero_grad()
            with block:
                scores = model(Tensor(x))
                loss = nn.functional.cross_entropy(scores, labels)
            loss.backward()
            adam.step()
        assert (scores.data.argmax(1) == labels).mean() > 0.9


# -- bad input -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: block_autocast("mxfp4"), r"Got 'mxfp4'. Use MXFP8\(\)"),
        (lambda: block_autocast(MXFP4), "Got MXFP4"),
        (lambda: block_autocast(CurrentScaling()), "fp8_autocast"),
        (lambda: fp8_autocast(MXFP4()), "block_autocast"),
        (lambda: block_autocast(MXFP4(), enabled="yes"), "enabled is True or False"),
        (lambda: block_autocast(MXFP4(), 5), "model is a module"),
        (lambda: block_autocast(MXFP4(keep="head")), "no model"),
        (lambda: block_autocast(MXFP4(keep="haed"), Net()), 'Did you mean "head"'),
        (lambda: block_autocast(MXFP4(keep=("head", "body.3")), Net()), r"Got 'body.3'"),
        (lambda: MXFP4(keep=5), "keep holds names"),
        (lambda: MXFP4(keep=[""]), "keep holds names"),
        (lambda: MXFP4(seed=-1), "seed"),
        (lambda: MXFP4(seed=1.5), "seed"),
        (lambda: MXFP4("nvfp4"), "forward of MXFP4"),
        (lambda: MXFP8(backward="mxfp8_e5m3"), "mxfp8_e5m2"),
        (lambda: MXFP6(rule="rcel"), '"rceil"'),
        (lambda: NVFP4(rule="floor"), "cannot carry"),
        (lambda: NVFP4(arithmetic="torchoa"), "arithmetic"),
        (lambda: NVFP4(two_d_weights="yes"), "two_d_weights"),
        (lambda: NVFP4(four_over_six=1.5), "four_over_six"),
        (lambda: MXFP4(stochastic="on"), "stochastic"),
        (lambda: Tiles(power_of_two="yes"), "power_of_two"),
        (lambda: MXFP8(accumulator="sequental:fp16"), "sequential"),
        (lambda: BlockScaling("mxfp8"), "family"),
        (lambda: BlockScaling(fl.BlockFormat("t", "e4m3", (8, 32), "fp32", "amax")), "square"),
    ],
)
def test_what_is_no_recipe_is_refused(make: Any, words: str) -> None:
    with pytest.raises(FloatlabError, match=words):
        make()


def test_a_recipe_is_refused_when_it_is_made_as_an_option_error() -> None:
    with pytest.raises(OptionError):
        BlockScaling("mxfp8_e4m3", rule="nvfp4")
