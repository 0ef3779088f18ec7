"""fp8 recipes: what is scaled, cast and multiplied, forward and backward, and how delayed scales move."""

import itertools
import math
import weakref
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from floatlab import nn, optim, reference
from floatlab.amp import CurrentScaling, DelayedScaling, Recipe, Unscaled, autocast, fp8_autocast
from floatlab.amp.fp8 import Slot, _unscaled
from floatlab.amp.slots import _Entry
from floatlab.autograd import Tensor, no_grad
from floatlab.errors import FloatlabError, OptionError, StateError
from floatlab.formats import get_format

E4M3, E5M2 = ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2


def cast(x: np.ndarray, dtype: type, largest: float) -> np.ndarray:
    """Saturating cast by ml_dtypes, from float32."""
    return np.clip(x.astype(np.float32), -largest, largest).astype(dtype).astype(np.float64)


def numbers(*shape: int, seed: int = 0, size: float = 1.0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=shape) * size).astype(np.float32)


def linear(outputs: int, inputs: int, seed: int = 0, size: float = 1.0) -> nn.Linear:
    layer = nn.Linear(inputs, outputs, rng=0)
    layer.load_state_dict(
        {"weight": numbers(outputs, inputs, seed=seed, size=size), "bias": numbers(outputs, seed=9)}
    )
    return layer


@pytest.mark.parametrize("power_of_two", [False, True])
@pytest.mark.parametrize("sizes", [(1.0, 1.0, 1.0), (1e-6, 1e5, 1e-9)])
def test_current_scaling_is_the_product_of_the_scaled_casts(
    sizes: tuple[float, float, float], power_of_two: bool
) -> None:
    x, start = numbers(5, 7, seed=1, size=sizes[0]), numbers(5, 3, seed=2, size=sizes[2])
    layer = linear(3, 7, size=sizes[1])

    def scale(t: np.ndarray, largest: float) -> float:
        s = float(np.float32(largest / np.abs(t).max()))
        return 2.0 ** math.floor(math.log2(s)) if power_of_two else s

    w = layer.weight.data
    sx, sw, sg = scale(x, 448.0), scale(w, 448.0), scale(start, 57344.0)
    qx, qw = cast(x.astype(float) * sx, E4M3, 448.0), cast(w.astype(float) * sw, E4M3, 448.0)
    qg = cast(start.astype(float) * sg, E5M2, 57344.0)

    a = Tensor(x, requires_grad=True)
    with fp8_autocast(CurrentScaling(power_of_two=power_of_two)):
        y = layer(a)
    y.backward(start)
    tolerance = {"rtol": 1e-6, "atol": 0.0}
    np.testing.assert_allclose(y.data - layer.bias.data, qx @ qw.T / (sx * sw), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(a.grad.data, qg @ qw / (sg * sw), **tolerance)
    np.testing.assert_allclose(layer.weight.grad.data, qg.T @ qx / (sg * sx), **tolerance)
    np.testing.assert_allclose(layer.bias.grad.data, start.sum(0), rtol=1e-5)


def test_a_power_of_two_scale_gives_the_exact_product_of_the_casts() -> None:
    x, layer = numbers(4, 6, seed=1), linear(2, 6)
    layer.bias.data[...] = 0.0
    with fp8_autocast(CurrentScaling(power_of_two=True)):
        y = layer(Tensor(x))
    s = [2.0 ** math.floor(math.log2(448.0 / np.abs(t).max())) for t in (x, layer.weight.data)]
    q = [cast(t.astype(float) * k, E4M3, 448.0) for t, k in zip((x, layer.weight.data), s, strict=True)]
    assert np.array_equal(y.data, (q[0] @ q[1].T / (s[0] * s[1])).astype(np.float32))


def test_unscaled_loses_what_lies_below_and_saturates_above() -> None:
    layer = linear(1, 1)
    layer.bias.data[...] = 0.0
    with fp8_autocast(Unscaled()):
        for w, x, expected in (
            (1.0, 2.0**-11, 0.0),
            (2.0**-11, 1.0, 0.0),
            (1.0, 1e4, 448.0),
            (-1e9, 1.0, -448.0),
        ):
            layer.weight.data[...] = w
            assert layer(Tensor([[x]])).item() == expected


def test_convolutions_are_scaled_like_linear_layers() -> None:
    conv = nn.Conv2d(2, 3, 3, padding=1, rng=0)
    plain = nn.Conv2d(2, 3, 3, padding=1, rng=0)
    x = numbers(2, 2, 5, 5, size=1e-5)
    a, b = Tensor(x, requires_grad=True), Tensor(x, requires_grad=True)
    with fp8_autocast(CurrentScaling()):
        y = conv(a)
    z = plain(b)
    assert np.abs(y.data - z.data).max() < 0.1 * np.abs(z.data - plain.bias.data.reshape(-1, 1, 1)).max()
    y.sum().backward()
    z.sum().backward()
    for p, q in ((a, b), (conv.weight, plain.weight)):
        assert 0 < np.abs(p.grad.data - q.grad.data).max() < 0.1 * np.abs(q.grad.data).max()
    assert np.array_equal(conv.bias.grad.data, plain.bias.grad.data)


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1, output_padding=1, bias=False, rng=0),
        lambda: nn.ConvTranspose2d(2, 4, (2, 3), groups=2, dilation=2, bias=False, rng=0),
        lambda: nn.ConvTranspose2d(2, 3, 3, rng=0),
    ],
    ids=["stride", "groups", "bias"],
)
def test_transposed_convolutions_are_fp8_products_too(make: Any) -> None:
    layer, plain = make(), make()
    plain.weight.data[...] = cast(layer.weight.data, ml_dtypes.float8_e4m3fn, 448.0)
    x = numbers(2, 2, 5, 5)
    a, b = (Tensor(t, requires_grad=True) for t in (x, cast(x, ml_dtypes.float8_e4m3fn, 448.0)))
    with fp8_autocast(Unscaled()):
        y = layer(a)
    z = plain(b)
    # The product is rounded before a bias is added to it.
    assert np.allclose(y.data, z.data, rtol=0, atol=0 if plain.bias is None else 1e-6)
    g = numbers(*y.shape, seed=1)
    y.backward(g)
    z.backward(cast(g, ml_dtypes.float8_e5m2, 57344.0))
    for p, q in ((a, b), (layer.weight, plain.weight)):
        assert np.array_equal(p.grad.data, q.grad.data)


def test_a_transposed_convolution_loses_what_e4m3_does_not_hold() -> None:
    layer = nn.ConvTranspose2d(1, 1, 1, bias=False, rng=0)
    layer.weight.data[...] = 1.0
    with fp8_autocast(Unscaled()):
        out = layer(Tensor([[[[2.0**-11, 1e4, 17.0]]]]))
    assert out.tolist() == [[[[0.0, 448.0, 16.0]]]]


def test_the_accumulator_is_the_one_that_was_named() -> None:
    layer = linear(1, 64)
    layer.load_state_dict({"weight": np.ones((1, 64)), "bias": [0.0]})
    x = Tensor(np.ones((1, 64)))
    for accumulator, expected in (("wide", 64.0), ("exact", 64.0), ("e4m3", 16.0)):  # 16 + 1 is not in E4M3
        with fp8_autocast(Unscaled(accumulator=accumulator)):
            assert layer(x).item() == expected


def test_results_have_the_input_format_or_the_one_named() -> None:
    layer = linear(2, 3)
    with autocast("bf16"), fp8_autocast(CurrentScaling()):
        assert layer(Tensor(numbers(1, 3), format="bf16")).format.name == "bfloat16"
    with fp8_autocast(CurrentScaling(output="fp16")):
        assert layer(Tensor(numbers(1, 3))).format.name == "float16"


def test_a_block_that_is_off_changes_nothing() -> None:
    layer, x = linear(2, 3), Tensor(numbers(1, 3))
    with fp8_autocast(CurrentScaling(), enabled=False):
        assert np.array_equal(layer(x).data, layer(x).data)
    plain = layer(x).data
    with fp8_autocast(CurrentScaling()), fp8_autocast(CurrentScaling(), enabled=False):
        assert np.array_equal(layer(x).data, plain)


# -- delayed scaling ---------------------------------------------------------------------------------


def run(fp8: fp8_autocast, layer: nn.Linear, x: float, gradient: float = 1.0) -> float:
    """One training step with a single number for everything; return what came out."""
    layer.zero_grad()
    with fp8:
        y = layer(Tensor([[x]]))
    y.backward(np.array([[gradient]]))
    return y.item()


def unit() -> nn.Linear:
    layer = nn.Linear(1, 1, bias=False, rng=0)
    layer.load_state_dict({"weight": [[1.0]]})
    return layer


def test_a_delayed_scale_is_that_of_the_steps_before() -> None:
    layer, fp8 = unit(), fp8_autocast(DelayedScaling())
    scales = []
    for x in (1.0, 4.0, 2.0, 0.5):
        run(fp8, layer, x, gradient=x)
        slots = fp8.slots(layer.weight)
        scales.append((slots["input"].scale, slots["gradient"].scale))
    assert scales == [(1.0, 1.0), (448.0, 57344.0), (112.0, 14336.0), (112.0, 14336.0)]


def test_a_sudden_large_value_saturates_once_and_then_fits() -> None:
    layer, fp8 = unit(), fp8_autocast(DelayedScaling())
    run(fp8, layer, 1.0)
    assert run(fp8, layer, 1.0) == pytest.approx(1.0)
    assert run(fp8, layer, 100.0) == pytest.approx(1.0)  # 100 * 448 saturates at 448
    assert run(fp8, layer, 100.0) == pytest.approx(100.0, rel=1e-6)


def test_the_margin_leaves_binades_free() -> None:
    layer, fp8 = unit(), fp8_autocast(DelayedScaling(margin=2))
    run(fp8, layer, 1.0)
    run(fp8, layer, 1.0)
    assert fp8.slots(layer.weight)["input"].scale == 112.0


def test_a_short_history_forgets() -> None:
    for length, amax, expected in ((2, "max", 448.0), (16, "max", 4.48), (16, "most_recent", 448.0)):
        layer, fp8 = unit(), fp8_autocast(DelayedScaling(history_length=length, amax=amax))
        for x in (100.0, 1.0, 1.0, 1.0):
            run(fp8, layer, x)
        assert fp8.slots(layer.weight)["input"].scale == pytest.approx(expected)


@pytest.mark.parametrize("bad", [0.0, math.inf, math.nan])
def test_an_amax_of_zero_or_not_finite_keeps_the_scale(bad: float) -> None:
    layer, fp8 = unit(), fp8_autocast(DelayedScaling(history_length=1))
    run(fp8, layer, 2.0)
    run(fp8, layer, bad)
    assert fp8.slots(layer.weight)["input"].scale == 224.0
    run(fp8, layer, 1.0)
    assert fp8.slots(layer.weight)["input"].scale == 224.0
    run(fp8, layer, 1.0)
    assert fp8.slots(layer.weight)["input"].scale == 448.0


def test_several_uses_in_one_step_count_as_one() -> None:
    layer, fp8 = unit(), fp8_autocast(DelayedScaling())
    with fp8:
        for x in (1.0, 8.0, 2.0):
            layer(Tensor([[x]]))
    with fp8:
        layer(Tensor([[1.0]]))
    slot = fp8.slots(layer.weight)["input"]
    assert (slot.scale, slot.history) == (56.0, [8.0])


def test_evaluation_leaves_the_history_alone() -> None:
    layer, fp8 = unit(), fp8_autocast(DelayedScaling())
    run(fp8, layer, 1.0)
    with no_grad():
        for _ in range(2):
            with fp8:
                layer(Tensor([[1000.0]]))
    run(fp8, layer, 1.0)
    assert fp8.slots(layer.weight)["input"].scale == 448.0


def test_scales_and_histories_can_be_saved() -> None:
    model = nn.Sequential(unit(), unit())
    names = dict(model.named_parameters())
    fp8 = fp8_autocast(DelayedScaling())
    for x in (1.0, 3.0):
        with fp8:
            y = model(Tensor([[x]]))
        y.sum().backward()
    other = fp8_autocast(DelayedScaling())
    other.load_state_dict(fp8.state_dict(), model.named_parameters())
    assert other.state_dict() == fp8.state_dict()
    assert set(fp8.state_dict()) == set(names)
    with pytest.raises(StateError, match="other"):
        other.load_state_dict({"other": {}}, model.named_parameters())


# -- training ----------------------------------------------------------------------------------------


def test_scaling_lets_a_network_of_small_numbers_learn_that_unscaled_fp8_cannot() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(256, 8)).astype(np.float32)
    labels = (x[:, 0] * x[:, 1] > 0).astype(np.int64)

    def train(recipe: Recipe) -> float:
        model = nn.Sequential(nn.Linear(8, 32, rng=1), nn.Tanh(), nn.Linear(32, 2, rng=2))
        adam, fp8 = optim.Adam(model.parameters(), lr=0.02), fp8_autocast(recipe)
        for _ in range(60):
            adam.zero_grad()
            with fp8:
                scores = model(Tensor(x))
                loss = nn.functional.cross_entropy(scores, labels) * 1e-6  # gradients far below E5M2's range
            loss.backward()
            for p in model.parameters():
                p.grad.data[...] *= 1e6
            adam.step()
        return float((scores.data.argmax(1) == labels).mean())

    assert train(CurrentScaling()) > 0.9
    assert train(DelayedScaling()) > 0.9
    assert train(Unscaled()) < 0.7


def test_bad_recipes_are_refused() -> None:
    with pytest.raises(OptionError, match="history_length"):
        DelayedScaling(history_length=0)
    with pytest.raises(OptionError, match='"max"'):
        DelayedScaling(amax="mx")


@pytest.mark.parametrize(
    ("options", "nearest"),
    [
        ({"overflow": "saturat"}, "saturate"),
        ({"accumulator": "sequental:fp16"}, "sequential"),
        ({"forward": "e4n3"}, "e4m3"),
    ],
)
def test_an_unknown_option_is_refused_when_the_recipe_is_made(options: dict[str, str], nearest: str) -> None:
    with pytest.raises(FloatlabError, match=nearest):
        CurrentScaling(**options)


def test_scales_of_two_weights_of_one_name_are_not_saved_as_one() -> None:
    fp8 = fp8_autocast(DelayedScaling())
    for seed in range(2):
        layer = linear(1, 1, seed=seed)
        list(layer.named_parameters())  # both weights are called "weight"
        with fp8:
            layer(Tensor([[1.0]]))
        if seed == 0:
            first = layer
            assert set(fp8.state_dict()) == {"weight"}
    with pytest.raises(StateError, match=r"each its own.*'weight'"):
        fp8.state_dict()
    assert first.weight is not layer.weight


def test_scales_of_a_weight_without_a_name_are_not_saved() -> None:
    fp8, layer = fp8_autocast(DelayedScaling()), linear(1, 1)
    layer.weight.name = ""
    with fp8:
        layer(Tensor([[1.0]]))
    with pytest.raises(StateError, match="without a name"):
        fp8.state_dict()


def test_the_slots_of_a_weight_that_is_gone_are_not_those_of_one_in_its_place() -> None:
    fp8 = fp8_autocast(DelayedScaling())
    weight = Tensor([1.0], requires_grad=True)
    for layer in ("", None):
        gone = _Entry(weakref.ref(Tensor([2.0])), {"input": Slot(3.0)})  # at once a dead reference
        fp8._slots._entries[id(weight), layer] = gone
    assert fp8._slots.of(weight, "")["input"].scale == 1.0
    assert fp8.slots(weight)["input"].scale == 1.0
    assert fp8.slots(weight) is fp8.slots(weight)
    assert len(list(fp8._slots)) == 1


def test_an_evaluation_between_two_steps_moves_no_history() -> None:
    fp8, layer = fp8_autocast(DelayedScaling(history_length=4)), linear(1, 1)
    for step, x in enumerate([1.0, 2.0]):
        with fp8:
            layer(Tensor([[x]]))
        slot = fp8.slots(layer.weight)["input"]
        before = (list(slot.history), slot.pending, slot.scale)
        for _ in range(2):
            with no_grad(), fp8:
                layer(Tensor([[100.0]]))
        assert (slot.history, slot.pending, slot.scale) == before
        assert slot.history == [1.0][:step]


@pytest.mark.parametrize("amax", [3.0, 7.0, 0.1, 448.0])
def test_the_inverse_of_a_scale_is_a_float32(amax: float) -> None:
    _, inverse = CurrentScaling().quantize(np.float32([amax]), get_format("e4m3"), Slot())
    scale = np.float32(448.0 / np.float64(np.float32(amax)))
    assert inverse == float(np.float32(1.0 / np.float64(scale)))


def test_a_saved_history_is_a_copy_both_ways() -> None:
    fp8, layer = fp8_autocast(DelayedScaling()), linear(1, 1)
    list(layer.named_parameters())
    for _ in range(2):
        with fp8:
            layer(Tensor([[1.0]]))
    saved = fp8.state_dict()
    saved["weight"]["input"]["history"].append(5.0)
    assert fp8.slots(layer.weight)["input"].history == [1.0]
    fp8.load_state_dict(saved, layer.named_parameters())
    saved["weight"]["input"]["history"].append(6.0)
    assert fp8.slots(layer.weight)["input"].history == [1.0, 5.0]


#: Integers of 24 bits whose product of 72 bits is beside a tie of float32, so near that float64 makes it the tie.
BESIDE_TIES = [(16531789, 14508069, 9876080), (11097675, 16272295, 15355059), (13121277, 13436827, 15794286)]


@pytest.mark.parametrize("factors", BESIDE_TIES)
@pytest.mark.parametrize("exponent", [-24, -100])
def test_two_scales_are_taken_off_with_one_rounding(factors: tuple[int, int, int], exponent: int) -> None:
    for x, a, b in itertools.permutations(factors):
        scales = float(a) * 2.0**exponent, float(b) * 2.0**-24
        value = np.float32([x * 2.0**-24, -x * 2.0**-40, 0.0, np.inf, -np.inf, np.nan])
        result = _unscaled(value, scales[0] * scales[1]).data
        exact = [Fraction(x) / 2**24, Fraction(-x) / 2**40]
        exact = [n * Fraction(scales[0]) * Fraction(scales[1]) for n in exact]
        expected = [reference.to_float(reference.round(n, get_format("float32")).value) for n in exact]
        assert result[:2].tolist() == expected
        assert np.array_equal(result[2:], [0.0, np.inf, -np.inf, np.nan], equal_nan=True)
    twice = np.float32(np.float64(factors[0]) * (float(factors[1]) * float(factors[2])))
    once = reference.to_float(reference.round(math.prod(factors), get_format("float32")).value)
    assert twice != once  # so that the test would see it


def test_scales_are_taken_off_subnormals_with_one_rounding() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        x, a, b = (np.float32(n) for n in rng.integers(1, 2**24, 3))
        factor = float(a) * 2.0**-100 * float(b) * 2.0**-85
        result = _unscaled(np.float32([x]), factor).data.item()
        exact = Fraction(int(x)) * Fraction(factor)
        assert result == reference.to_float(reference.round(exact, get_format("float32")).value)


# -- whose slots they are --------------------------------------------------------------------------------


class Tied(nn.Module):
    """Two layers that share a weight, the second of which sees inputs a thousand times as large."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(2, 2, bias=False, rng=0), nn.Linear(2, 2, bias=False, rng=0)
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.first(x) + self.second(x * 1024.0)


def steps(fp8: fp8_autocast, model: nn.Module, count: int = 2, size: float = 1.0) -> None:
    for _ in range(count):
        with fp8:
            model(Tensor([[size, size / 2]], requires_grad=True)).sum().backward()


def test_two_layers_that_share_a_weight_have_slots_of_their_own() -> None:
    model, fp8 = Tied(), fp8_autocast(DelayedScaling())
    list(model.named_parameters())
    steps(fp8, model)
    first, second = (fp8.slots(model.first.weight, layer=layer)["input"] for layer in ("first", "second"))
    assert (first.scale, second.scale) == (448.0, 448.0 / 1024.0)
    with pytest.raises(StateError, match=r"'first', 'second'.*Name one"):
        fp8.slots(model.first.weight)
    other = fp8_autocast(DelayedScaling())
    other.load_state_dict(fp8.state_dict(), model.named_parameters())
    assert other.state_dict() == fp8.state_dict()
    assert set(fp8.state_dict()) == {"first.weight@first", "first.weight@second"}
    steps(fp8, model, 1)
    steps(other, model, 1)
    assert other.state_dict() == fp8.state_dict()


class Normalised(nn.Module):
    """A layer whose weight is computed anew in each forward pass."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.direction = nn.Parameter(numbers(rows, 2))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.direction / 1024.0)


def test_a_weight_that_is_no_leaf_is_remembered_by_its_layer() -> None:
    model, fp8 = nn.Sequential(Normalised(3), Normalised(4)), fp8_autocast(DelayedScaling(history_length=3))
    model = nn.Sequential(Normalised(2), Normalised(4))
    steps(fp8, model, 5)
    saved = fp8.state_dict()
    assert set(saved) == {"@0 2x2", "@1 4x2"}
    amax = float(np.abs(model[0].direction.data).max()) / 1024.0
    assert saved["@0 2x2"]["weight"]["scale"] == pytest.approx(448.0 / amax)
    assert len(saved["@0 2x2"]["weight"]["history"]) == 3
    with no_grad(), fp8:  # there is no graph, and the layer is the same
        model(Tensor([[1.0, 0.5]]))
    assert set(fp8.state_dict()) == set(saved)
    other = fp8_autocast(DelayedScaling(history_length=3))
    other.load_state_dict(saved, model.named_parameters())
    assert other.state_dict() == saved


def test_a_computed_weight_outside_of_any_module_is_refused_where_something_is_remembered() -> None:
    x, w = Tensor([[1.0, 2.0]]), Tensor(numbers(3, 2), requires_grad=True)
    with (
        fp8_autocast(DelayedScaling()),
        pytest.raises(StateError, match="computed anew, outside of any module"),
    ):
        nn.functional.linear(x, w * 2.0)
    with fp8_autocast(CurrentScaling()):
        nn.functional.linear(x, w * 2.0)
    with fp8_autocast(DelayedScaling()):
        nn.functional.linear(x, w)


def test_a_gone_weight_leaves_no_slots() -> None:
    fp8 = fp8_autocast(DelayedScaling())
    for seed in range(5):
        steps(fp8, linear(2, 2, seed=seed), 1)
    assert len(list(fp8._slots)) <= 1


@pytest.mark.parametrize("fmt", ["bf16", "fp16"])
def test_autocast_comes_first(fmt: str) -> None:
    layer, x = linear(3, 4, seed=3), numbers(2, 4, seed=4)
    recipe = CurrentScaling(power_of_two=True)
    with autocast(fmt), fp8_autocast(recipe):
        found = layer(Tensor(x))
    assert found.format.name == get_format(fmt).name
    rounded = nn.Linear(4, 3, rng=0)
    for p, q in ((rounded.weight, layer.weight), (rounded.bias, layer.bias)):
        p.data = Tensor(q.data, format=fmt).data
    with fp8_autocast(recipe):
        expected = rounded(Tensor(Tensor(x, format=fmt).data)).to(fmt)
    assert np.array_equal(found.data, expected.data)
    with autocast(fmt, enabled=False), fp8_autocast(recipe):
        assert layer(Tensor(x)).format.name == "float32"
    with autocast(fmt), fp8_autocast(CurrentScaling(output="fp32")):
        assert layer(Tensor(x)).format.name == "float32"


def test_under_autocast_a_weight_has_one_slot_and_a_gradient_in_its_own_format() -> None:
    layer, fp8 = linear(2, 2), fp8_autocast(DelayedScaling())
    for _ in range(3):
        with autocast("bf16"), fp8:
            y = layer(Tensor([[1.0, 2.0]]))
        y.sum().backward()
    assert len(list(fp8._slots)) == 1
    assert layer.weight.grad.format.name == "float32"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: fp8_autocast("delayed"), r"Got 'delayed'. Use DelayedScaling\(\)"),
        (lambda: fp8_autocast(DelayedScaling), "Got DelayedScaling"),
        (lambda: fp8_autocast(None), "Got None"),
        (lambda: fp8_autocast(Unscaled(), enabled="yes"), "enabled is True or False"),
        (lambda: DelayedScaling(margin="a"), "margin"),
        (lambda: DelayedScaling(margin=math.nan), "margin"),
        (lambda: DelayedScaling(history_length=2.5), "history_length"),
        (lambda: DelayedScaling(history_length="2"), "history_length"),
        (lambda: Unscaled(power_of_two="yes"), "power_of_two"),
    ],
)
def test_what_is_no_recipe_is_refused(make: Any, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        make()


@pytest.mark.parametrize(
    "damage",
    [
        lambda s: 5,
        lambda s: {"weight": 5},
        lambda s: {"weight": {"input": s["weight"]["input"]}},
        lambda s: {"weight": {**s["weight"], "input": {"scale": 1.0}}},
        lambda s: {"weight": {**s["weight"], "input": {"scale": 0.0, "history": [], "pending": None}}},
        lambda s: {"weight": {**s["weight"], "input": {"scale": "a", "history": [], "pending": None}}},
        lambda s: {"weight": {**s["weight"], "input": {"scale": math.nan, "history": [], "pending": None}}},
        lambda s: {"weight": {**s["weight"], "input": {"scale": 1.0, "history": 3, "pending": None}}},
    ],
)
def test_damaged_scales_are_refused_and_change_nothing(damage: Any) -> None:
    fp8, layer = fp8_autocast(DelayedScaling()), linear(2, 2)
    list(layer.named_parameters())
    steps(fp8, layer)
    before = fp8.state_dict()
    with pytest.raises(StateError):
        fp8.load_state_dict(damage(fp8.state_dict()), layer.named_parameters())
    assert fp8.state_dict() == before
