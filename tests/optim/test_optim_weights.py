"""What an optimizer does to weights that others change: master copies, conversions, gradients, frozen parameters."""

import copy
from typing import Any

import numpy as np
import pytest

from floatlab import nn, optim
from floatlab.autograd import Tensor
from floatlab.errors import DtypeError, OptionError, ShapeError, StateError
from floatlab.formats import get_format
from floatlab.rounding.quantize import quantize

NARROW = ["fp16", "bf16", "e4m3", "e5m2"]


def stepped(fmt: str = "bf16", start: Any = (1.0, 2.0), **options: Any) -> tuple[Tensor, optim.SGD]:
    """Return a weight and its optimizer after one step that a master copy alone has noticed."""
    w = Tensor(start, requires_grad=True, format=fmt, name="w")
    sgd = optim.SGD([w], lr=1.0, master_weights=True, **options)
    w.grad = Tensor(np.full(w.shape, 2.0**-12), format="fp32")
    sgd.step()
    return w, sgd


def still(w: Tensor, sgd: optim.SGD) -> None:
    w.grad = Tensor(np.zeros(w.shape))
    sgd.step()


# -- master copies -----------------------------------------------------------------------------------


def load(w: Tensor) -> None:
    model = nn.Linear(1, 1, rng=0)
    object.__setattr__(model, "_parameters", {"w": w})
    model.load_state_dict({"w": [-3.0, 0.5]})


CHANGES = {
    "loaded": load,
    "data": lambda w: setattr(w, "data", np.array([-3.0, 0.5])),
    "copy_": lambda w: w.detach().copy_([-3.0, 0.5]),
    "behind its back": lambda w: w.data.__setitem__(slice(None), [-3.0, 0.5]),
}


@pytest.mark.parametrize("fmt", NARROW)
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("rounding", ["nearest_even", "stochastic", "toward_zero"])
def test_a_weight_that_was_changed_is_not_overwritten_by_its_master_copy(
    fmt: str, change: str, rounding: str
) -> None:
    w, sgd = stepped(fmt, rounding=rounding, rng=0)
    CHANGES[change](w)
    still(w, sgd)
    assert w.data.tolist() == [-3.0, 0.5]
    assert sgd.state[w]["master"].tolist() == [-3.0, 0.5]


def test_a_clamp_changes_the_copies_of_what_it_has_clamped_and_no_others() -> None:
    w, sgd = stepped(start=[1.0, 2.0, 3.0])
    before = sgd.state[w]["master"].copy()
    w.data = np.clip(w.data, None, 2.5)
    still(w, sgd)
    assert sgd.state[w]["master"].tolist() == [before[0], before[1], 2.5]
    assert before[0] == 1.0 - 2.0**-12  # which bf16 does not hold, and which is kept


@pytest.mark.parametrize("rounding", ["nearest_even", "stochastic", "to_odd"])
@pytest.mark.parametrize("weights_first", [False, True])
def test_a_resumed_master_copy_keeps_every_bit(rounding: str, weights_first: bool) -> None:
    start = np.random.default_rng(0).normal(size=50)
    w, sgd = stepped(start=start, rounding=rounding, rng=3)
    saved, values = sgd.state_dict(), w.data.copy()
    v = Tensor(np.zeros(50), requires_grad=True, format="bf16")
    other = optim.SGD([v], lr=1.0, master_weights=True, rounding=rounding, rng=4)
    if weights_first:
        v.data = values
        other.load_state_dict(saved)
    else:
        other.load_state_dict(saved)
        v.data = values
    for _ in range(3):
        for weight, optimizer in ((w, sgd), (v, other)):
            weight.grad = Tensor(np.full(50, 2.0**-11))
            optimizer.step()
    assert np.array_equal(w.data, v.data)
    assert np.array_equal(sgd.state[w]["master"], other.state[v]["master"])


def test_a_weight_loaded_after_its_optimizer_counts_where_it_is_another() -> None:
    w, sgd = stepped()
    sgd.load_state_dict(sgd.state_dict())
    w.data = np.array([w.data[0], 7.0])
    still(w, sgd)
    assert sgd.state[w]["master"].tolist() == [1.0 - 2.0**-12, 7.0]


def test_a_master_copy_beyond_the_format_survives_its_rounded_weight() -> None:
    w = Tensor([448.0, 1.0], requires_grad=True, format="e4m3")
    sgd = optim.SGD([w], lr=1.0, master_weights=True)
    for gradient in (-1000.0, 1100.0):
        w.grad = Tensor([gradient, 0.0])
        sgd.step()
        if gradient < 0:
            assert np.isnan(w.data[0])  # 1448 in e4m3fn
    assert w.data.tolist() == [352.0, 1.0]  # 448 + 1000 - 1100 = 348, to the nearest value


def test_a_copied_optimizer_follows_its_own_weight() -> None:
    w, sgd = stepped()
    v, other = copy.deepcopy((w, sgd))
    v.data = np.array([5.0, 6.0])
    still(v, other)
    still(w, sgd)
    assert v.data.tolist() == [5.0, 6.0]
    assert sgd.state[w]["master"].tolist() == [1.0 - 2.0**-12, 2.0 - 2.0**-12]


# -- conversions -------------------------------------------------------------------------------------


def trained(fmt: str = "fp32") -> tuple[nn.Module, optim.Optimizer]:
    model = nn.Sequential(nn.Linear(2, 2, rng=0), nn.Linear(2, 1, rng=1))
    adam = optim.Adam(model.to(fmt).parameters(), lr=0.1)
    backward(model, fmt)
    adam.step()
    return model, adam


def backward(model: nn.Module, fmt: str) -> None:
    for p in model.parameters():
        p.grad = Tensor(np.ones(p.shape), format=fmt)


@pytest.mark.parametrize("convert", ["half", "bfloat16", "e4m3"])
@pytest.mark.parametrize("way", ["step", "save"])
def test_a_converted_model_needs_a_new_optimizer(convert: str, way: str) -> None:
    model, adam = trained()
    getattr(model, convert)() if hasattr(model, convert) else model.to(convert)
    fmt = next(model.parameters()).format.name
    backward(model, fmt)
    before = [p.data.copy() for p in model.parameters()]
    with pytest.raises(OptionError, match=f"keeps its format.*{fmt}, first stepped in float32"):
        adam.step() if way == "step" else adam.state_dict()
    for p, values in zip(model.parameters(), before, strict=True):
        assert np.array_equal(p.data, values)
        assert np.array_equal(quantize(p.data, p.format), p.data)


def test_a_layer_converted_alone_stops_the_step_before_any_weight_has_moved() -> None:
    model, adam = trained()
    model[1].half()
    backward(model, "fp32")
    before = [p.data.copy() for p in model.parameters()]
    with pytest.raises(OptionError, match="keeps its format"):
        adam.step()
    assert all(np.array_equal(p.data, b) for p, b in zip(model.parameters(), before, strict=True))
    assert adam.state[next(model.parameters())]["step"] == 1


def test_a_model_converted_after_its_state_was_loaded_is_refused_too() -> None:
    model, adam = trained()
    adam.load_state_dict(adam.state_dict())  # there is no bench yet that knows a format
    model.half()
    backward(model, "fp16")
    with pytest.raises(OptionError, match="keeps its format"):
        adam.step()


def test_a_state_of_the_new_format_can_be_loaded_after_a_conversion() -> None:
    saved = trained("fp16")[1].state_dict()
    model, adam = trained()
    model.half()
    adam.load_state_dict(saved)
    backward(model, "fp16")
    adam.step()
    for p in model.parameters():
        for value in (p.data, adam.state[p]["exp_avg"], adam.state[p]["exp_avg_sq"]):
            assert np.array_equal(quantize(value, "fp16"), value, equal_nan=True)


def test_a_conversion_before_the_first_step_is_none() -> None:
    model = nn.Linear(2, 2, rng=0)
    adam = optim.Adam(model.parameters(), lr=0.1)
    model.half()
    backward(model, "fp16")
    adam.step()
    assert adam.state[model.weight]["exp_avg"].dtype == get_format("fp16").value_dtype


# -- gradients ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (1,), (3, 1), (1, 3), (2, 3, 1)])
@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop"])
def test_a_gradient_of_another_shape_is_refused_and_nothing_moves(name: str, shape: tuple[int, ...]) -> None:
    first, w = (Tensor(np.ones((2, 3)), requires_grad=True, name=n) for n in ("first", "w"))
    optimizer = getattr(optim, name)([first, w], lr=0.1)
    first.grad = w.grad = Tensor(np.ones((2, 3)))
    with pytest.raises(ShapeError, match="A gradient has the shape of its tensor"):
        w.grad = Tensor(np.ones(shape))
    w._grad = Tensor(np.ones(shape))  # as a weight has it whose data have been replaced
    with pytest.raises(ShapeError, match=r"'w' of shape \(2, 3\)"):
        optimizer.step()
    assert first.data.tolist() == w.data.tolist() == np.ones((2, 3)).tolist()
    assert optimizer.state == {}


@pytest.mark.parametrize("gradient", [np.ones(1), [1.0]])
def test_a_gradient_is_a_tensor(gradient: Any) -> None:
    w = Tensor([1.0], requires_grad=True)
    try:
        w.grad = gradient
    except DtypeError:
        return  # which is better still
    with pytest.raises(DtypeError, match="A gradient is a Tensor"):
        optim.SGD([w]).step()


# -- frozen parameters -------------------------------------------------------------------------------


def test_a_frozen_parameter_is_taken_and_left_alone() -> None:
    model = nn.Sequential(nn.Linear(2, 2, rng=0), nn.Linear(2, 1, rng=1))
    model[0].requires_grad_(False)
    before = model[0].weight.data.copy()
    adam = optim.AdamW(model.parameters(), lr=0.1)
    model(Tensor([[1.0, 2.0]])).sum().backward()
    adam.step()
    assert np.array_equal(model[0].weight.data, before)
    assert model[0].weight not in adam.state
    model[0].requires_grad_(True)
    model(Tensor([[1.0, 2.0]])).sum().backward()
    adam.step()
    assert not np.array_equal(model[0].weight.data, before)
    adam.load_state_dict(adam.state_dict())


# -- bad input ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RAdam", "Adamax", "Lion", "Adadelta"])
@pytest.mark.parametrize(
    ("params", "words"),
    [
        (nn.Linear(1, 1, rng=0), r"Got Linear. Pass model.parameters\(\)"),
        (None, "Got NoneType"),
        (5, "Got 5"),
        ("weights", "Got 'weights'"),
        (np.ones(3), "Got ndarray"),
        ({"params": []}, "in a list"),
        ([{"lr": 0.1}], 'the key "params"'),
        ([[Tensor([1.0])]], "Got list"),
        ([("w", 3.0)], "Got float"),
        ([1.0], "Got float"),
        ([{"params": [Tensor([1.0])]}, Tensor([2.0])], "A group of parameters is a dictionary"),
    ],
)
def test_what_holds_no_parameters_is_refused(name: str, params: Any, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        getattr(optim, name)(params)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rng": "x"}, "rng is"),
        ({"rng": 1.5}, "rng is"),
        ({"rng": -1}, "rng is"),
        ({"master_weights": "yes"}, "master_weights is True or False"),
    ],
)
def test_what_is_no_arithmetic_is_refused(options: Any, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        optim.SGD([Tensor([1.0], requires_grad=True)], **options)


def test_a_closure_is_a_function() -> None:
    with pytest.raises(OptionError, match="closure"):
        optim.SGD([Tensor([1.0], requires_grad=True)]).step(5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "damage",
    [
        lambda s: 5,
        lambda s: {**s, "settings": 5},
        lambda s: {**s, "param_groups": 3},
        lambda s: {**s, "param_groups": [3]},
        lambda s: {**s, "param_groups": [{"params": 3}]},
        lambda s: {**s, "param_groups": [{"params": [{}]}]},
        lambda s: {**s, "state": 1},
        lambda s: {**s, "state": [1]},
        lambda s: {**s, "param_groups": [{**s["param_groups"][0], "lr": "a"}]},
        lambda s: {**s, "param_groups": [{**s["param_groups"][0], "lr": -1.0}]},
        lambda s: {**s, "param_groups": [{**s["param_groups"][0], "nesterov": True}]},
    ],
)
def test_a_damaged_state_is_refused_and_changes_nothing(damage: Any) -> None:
    w = Tensor([1.0], requires_grad=True)
    sgd = optim.SGD([w], lr=0.5)
    with pytest.raises(StateError):
        sgd.load_state_dict(damage(sgd.state_dict()))
    assert sgd.param_groups[0]["lr"] == 0.5
