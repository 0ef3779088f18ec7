"""Casts to blocks under `watch`: counts against those of `encode`, or by hand; and watching changes no number."""

from __future__ import annotations

import copy
import dataclasses
from collections import Counter

import numpy as np
import pytest

import floatlab as fl
from floatlab import nn
from floatlab.amp import (
    MXFP4,
    MXFP6,
    MXFP8,
    NVFP4,
    Int8,
    Tiles,
    autocast,
    block_autocast,
    block_operands,
)
from floatlab.autograd import Tensor
from floatlab.block_formats import count_blocks
from floatlab.telemetry import EventWriter, watch

RECIPES = [
    MXFP8(), MXFP6(), MXFP4(rule="floor"), MXFP4(rht=True, stochastic=True), NVFP4(), NVFP4(four_over_six=True),
    NVFP4(arithmetic="te", rht=False), Tiles(), Tiles(power_of_two=True), Int8(), Int8(granularity="tensor"),
]  # fmt: skip


def name_of(recipe) -> str:
    changed = [f.name for f in dataclasses.fields(recipe) if getattr(recipe, f.name) is True]
    return "-".join([type(recipe).__name__, *changed])


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=shape) * 4.0 ** rng.integers(-6, 7, shape)).astype(np.float32)


def binades(scales: np.ndarray) -> tuple[tuple[int, int], ...]:
    found = Counter(int(np.floor(np.log2(s))) for s in scales.reshape(-1).astype(float) if s > 0)
    return tuple(sorted(found.items()))


def forward(recipe, x: np.ndarray, weight: np.ndarray):
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False, rng=0)
    layer.load_state_dict({"weight": weight})
    model = nn.Sequential(layer)
    with watch(model) as log, block_autocast(recipe):
        model(Tensor(x))
    return {r.of: r for r in log.operations if r.op == "quantize"}, log


# -- what is counted -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", [r for r in RECIPES if not isinstance(r, Int8)], ids=name_of)
def test_flushed_and_lost_elements_and_blocks_by_scale_are_those_of_encode(recipe):
    x, weight = numbers(5, 70), numbers(20, 70, seed=1)
    x[1, 3], x[2, 40] = np.nan, np.inf
    found, _ = forward(recipe, x, weight)
    assert set(found) == {"input", "weight"}
    for of, values in (("input", x), ("weight", weight)):
        fmt = recipe.format_of(of)
        options = recipe.options_of(of) if hasattr(recipe, "options_of") else {}
        blocks = fl.encode(values, fmt, **(options if fmt.is_tile else {**options, "axis": -1}))
        direct, got = count_blocks(values, blocks), found[of]
        assert (got.underflows, got.nans, got.blocks) == (direct.flushed, direct.nan, direct.blocks)
        assert got.values == got.rounded == values.size and got.calls == 1
        assert got.scales == binades(blocks.scale_values)
        assert got.block_format == fmt.name and fl.get_format(got.format).same_as(fmt.element)
        assert (got.layer, got.phase, got.overflows) == ("0", "forward", 0)


def test_an_element_saturates_from_half_a_unit_beyond_the_largest_on():
    # The scale of "floor" is 1 for a largest number from 4 to 8; E2M1 ends at 6, and 7 is the tie.
    x = np.zeros((1, 32), np.float32)
    x[0, :8] = [6.9999995, 7.0, -7.5, 5.0, 0.25, 0.2500001, -0.1, 6.0]
    found, log = forward(MXFP4(rule="floor"), x, np.ones((1, 32), np.float32))
    assert (found["input"].saturations, found["input"].underflows) == (2, 2)
    assert found["input"].zeros == 26 and found["input"].scales == ((0, 1),)
    assert log.first["saturation"].op == "quantize"
    assert str(log.first["underflow"]) == "step 0, forward, quantize of 0, its input"


def test_the_histogram_is_of_numbers_over_their_scales():
    x = np.full((1, 32), 96.0, np.float32)  # 6 times the scale 16
    x[0, 1] = 16.0
    found, _ = forward(MXFP4(), x, np.ones((1, 32), np.float32))
    assert found["input"].bins == ((0, 1), (2, 31)) and found["input"].scales == ((4, 1),)


@pytest.mark.parametrize("granularity", ["row", "tensor"])
def test_integers_are_counted_as_codes(granularity):
    x, weight = numbers(5, 70), numbers(20, 70, seed=1)
    found, _ = forward(Int8(granularity=granularity), x, weight)
    for of, values in (("input", x), ("weight", weight)):
        scale = (
            np.abs(values.astype(np.float64)).max(1 if granularity == "row" else None, keepdims=True) / 127
        )
        scale = scale.astype(np.float32).astype(np.float64)
        steps = values / scale
        got = found[of]
        assert got.underflows == np.count_nonzero((np.abs(steps) <= 0.5) & (values != 0)) > 0
        assert got.blocks == scale.size and got.scales == binades(scale)
        assert got.saturations == np.count_nonzero(np.abs(steps) >= 127.5) == 0
        assert max(e for e, _ in got.bins) == 6 and got.block_format == f"int8:{granularity}"


def test_a_row_of_integers_with_an_infinity_is_lost_alone():
    x = numbers(5, 70)
    x[2, 7] = -np.inf
    found, _ = forward(Int8(), x, np.ones((1, 70), np.float32))
    assert (found["input"].nans, found["input"].blocks) == (70, 5)
    assert sum(n for _, n in found["input"].scales) == 4


def test_casts_of_the_backward_pass_name_what_was_cast_and_in_which_layer():
    model = nn.Sequential(nn.Linear(64, 32, rng=0), nn.ReLU(), nn.Linear(32, 4, rng=1))
    with watch(model) as log, block_autocast(MXFP8()):
        model(Tensor(numbers(16, 64), requires_grad=True)).sum().backward()
    casts = [(r.phase, r.layer, r.of, r.calls, r.values) for r in log.operations if r.op == "quantize"]
    assert casts == [
        ("forward", "0", "input", 1, 16 * 64), ("forward", "0", "weight", 1, 32 * 64),
        ("forward", "2", "input", 1, 16 * 32), ("forward", "2", "weight", 1, 4 * 32),
        ("backward", "2", "gradient", 2, 2 * 16 * 4), ("backward", "2", "weight", 1, 4 * 32),
        ("backward", "2", "input", 1, 16 * 32),
        ("backward", "0", "gradient", 2, 2 * 16 * 32), ("backward", "0", "weight", 1, 32 * 64),
        ("backward", "0", "input", 1, 16 * 64),
    ]  # fmt: skip


@pytest.mark.parametrize("fmt", ["float32", "bfloat16"])
def test_what_is_computed_again_to_be_watched_is_told_once(fmt):
    model = nn.Sequential(nn.Linear(32, 4, bias=False, rng=0))
    with watch(model) as log, autocast(fmt), block_autocast(MXFP8(accumulator="float32")):
        model(Tensor(numbers(8, 32))).sum().backward()
    calls = {(r.phase, r.of): r.calls for r in log.operations if r.op == "quantize"}
    assert calls == {("forward", "input"): 1, ("forward", "weight"): 1, ("backward", "gradient"): 1,
                     ("backward", "input"): 1}  # fmt: skip


def test_each_group_of_a_convolution_is_a_cast_of_its_own():
    model = nn.Sequential(nn.Conv2d(4, 4, 3, groups=2, rng=0))
    with watch(model) as log, block_autocast(MXFP8()):
        model(Tensor(numbers(2, 4, 6, 6)))
    assert {r.calls for r in log.operations if r.op == "quantize"} == {2}


# -- how it reads --------------------------------------------------------------------------------------------------


def test_tables_have_rows_for_casts_with_the_span_of_their_scales(tmp_path):
    model = nn.Sequential(nn.Linear(64, 4, rng=0))
    with watch(model) as log, block_autocast(MXFP4()):
        model(Tensor(numbers(16, 64))).sum().backward()
    lines = [line.split() for line in str(log).splitlines()]
    assert lines[0][-1] == "scales"
    (cast,) = [line for line in lines if line[:3] == ["0", "forward", "casts"]]
    low, high = (int(end.removeprefix("2^")) for end in cast[-1].split(".."))
    scales = log.total(op="quantize", phase="forward").scales
    assert (low, high) == (scales[0][0], scales[-1][0] + 1)
    assert "forward casts" in log._repr_html_()
    log.save(tmp_path / "log.jsonl")
    assert '"block_format": "mxfp4"' in (tmp_path / "log.jsonl").read_text()


def test_blocks_and_scales_of_many_casts_add_up():
    model = nn.Sequential(nn.Linear(64, 4, rng=0))
    with watch(model) as log, block_autocast(MXFP4()):
        model(Tensor(numbers(16, 64)))
    total, parts = log.total(op="quantize"), [r for r in log.operations if r.op == "quantize"]
    assert total.blocks == sum(p.blocks for p in parts) == 16 * 2 + 4 * 2
    assert dict(total.scales) == sum((Counter(dict(p.scales)) for p in parts), Counter())


def test_layers_are_drawn_over_the_range_of_an_element():
    pytest.importorskip("matplotlib")
    model = nn.Sequential(nn.Linear(64, 4, rng=0))
    with watch(model) as log, block_autocast(MXFP4()):
        model(Tensor(numbers(16, 64)))
    figure = fl.plots.plot_layers(log.rows(), phase="forward")
    assert "float4_e2m1fn" in figure.axes[-1].get_xlabel()
    with watch(model) as log, block_autocast(Int8()):
        model(Tensor(numbers(16, 64)))
    fl.plots.plot_layers(log.rows(), phase="forward")
    fl.plots.plot_underflow(log.rows(), phase="forward")


# -- watching changes nothing --------------------------------------------------------------------------------------


def gradients(recipe, watched: bool, fmt: str = "float32") -> list[bytes]:
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3, groups=2, rng=0),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64, 24, rng=1),
        nn.Linear(24, 5, rng=2),
    )
    log, blocks = watch(model), block_autocast(recipe)
    for _ in range(2):  # the second step draws other numbers, and the same ones either way
        with log if watched else copy.copy(autocast(enabled=False)), autocast(fmt), blocks:
            out = model(Tensor(numbers(6, 2, 6, 6)))
            loss = nn.functional.cross_entropy(out, np.arange(6) % 5)
            loss.backward(retain_graph=True)
            loss.backward()
    return [p.grad.array.tobytes() for p in model.parameters()]


@pytest.mark.parametrize("recipe", RECIPES, ids=name_of)
def test_watching_changes_no_bit(recipe):
    assert gradients(recipe, True) == gradients(recipe, False)


@pytest.mark.parametrize(
    "recipe", [NVFP4(), Int8(), MXFP4(stochastic=True, accumulator="float32")], ids=name_of
)
def test_watching_changes_no_bit_under_autocast(recipe):
    assert gradients(recipe, True, "bfloat16") == gradients(recipe, False, "bfloat16")


def test_nothing_is_counted_where_nobody_listens(monkeypatch):
    def told(*_: object) -> None:
        raise AssertionError("somebody was told")

    for module in (block_operands, fl.amp.int8_recipe):
        monkeypatch.setattr(module, "tell", told)
    monkeypatch.setattr(fl.amp.block_products, "in_product", told)
    for recipe in RECIPES:
        gradients(recipe, False)


def test_a_recipe_of_ones_own_is_multiplied_as_it_quantizes_and_need_not_tell():
    @dataclasses.dataclass(frozen=True)
    class Halves(block_operands.BlockRecipe):
        def quantize(self, values, axis, operand, rng):
            return np.rint(2 * values) / 2

    layer = nn.Linear(4, 2, bias=False, rng=0)
    with watch() as log, block_autocast(Halves()):
        y = layer(Tensor([[1.2, 0.0, 0.0, 0.0]]))
    assert y.tolist() == [(np.rint(2 * layer.weight.array[:, 0]) / 2).tolist()]
    assert not [r for r in log.operations if r.op == "quantize"]


def test_a_recipe_that_is_asked_outside_of_a_product_tells_nobody():
    with watch() as log:
        MXFP4().quantize(np.ones((2, 32), np.float32), 1, "input", np.random.default_rng(0))
    assert not log.operations


def test_event_files_take_casts_too(tmp_path):
    pytest.importorskip("tensorboard")
    model = nn.Sequential(nn.Linear(64, 4, rng=0))
    with watch(model) as log, block_autocast(MXFP4()):
        model(Tensor(numbers(16, 64)))
    with EventWriter(tmp_path) as write:
        write.log(log)
