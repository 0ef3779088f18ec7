"""Running one operation: formats, numbers, policies, observers, and what goes wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from floatlab import nn
from floatlab.autograd import Tensor, apply, cast_policy, graph, observers, scope, where
from floatlab.autograd.operation import Kernel
from floatlab.autograd.ops.table import TABLE, find_op
from floatlab.errors import (
    DataError,
    DtypeError,
    FloatlabError,
    FormatMismatchError,
    OptionError,
    ShapeError,
)

ONE = Tensor([1.0, 2.0])


def test_two_formats_ask_for_a_conversion():
    with pytest.raises(FormatMismatchError, match=r'float32 and float16.*x\.to\("float32"\)'):
        ONE + Tensor([1.0, 2.0], format="fp16")


def test_formats_of_one_rule_and_two_names_go_together():
    assert (ONE + Tensor([1.0, 2.0], format="e8m23")).tolist() == [2, 4]


def test_arrays_ask_to_be_made_tensors_and_numbers_are_welcome():
    with pytest.raises(FormatMismatchError, match=r'Tensor\(array, format="float32"\)'):
        ONE + np.ones(2)
    with pytest.raises(FormatMismatchError):
        np.ones(2) * ONE
    assert (ONE + np.float64(1)).tolist() == (np.int64(1) + ONE).tolist() == [2, 3]
    assert (ONE * np.array(2.0)).tolist() == [2, 4]
    with pytest.raises(DtypeError, match="real numbers"):
        ONE + "1"
    with pytest.raises(DtypeError, match="1j"):
        ONE * 1j
    with pytest.raises(DtypeError):
        apply("add", 1, 2)


def test_a_number_that_is_selected_is_a_value_of_the_format():
    x = Tensor([1.0, 5.0], format="fp16")
    tenth = Tensor(0.1, format="fp16").item()
    assert apply("where", x, 0.1, condition=[True, False]).tolist() == [1, tenth]
    assert x.masked_fill([True, False], 0.1).tolist() == [tenth, 5]
    assert x.maximum(2.0001).tolist() == [2, 5]
    assert x.clamp(max=0.1).tolist() == [tenth, tenth]
    assert Tensor([-1.0, 300.0], format="e4m3").clamp(-1e9, 1e9).tolist() == [-1, 288]  # no bound is a NaN
    assert apply("pad", x, widths=(1, 0), value=0.1).tolist() == [tenth, 1, 5]
    assert x.masked_fill([True, False], 1e9).tolist() == [np.inf, 5]  # and not some number below


@pytest.mark.parametrize(
    ("op", "shapes", "params"),
    [
        ("add", [(2, 3), (4,)], {}),
        ("maximum", [(2, 3), (4,)], {}),
        ("where", [(2, 3), (4,)], {"condition": True}),
        ("matmul", [(2, 3), (4, 5)], {}),
        ("matmul", [(7, 2, 3), (6, 3, 5)], {}),
        ("linear", [(2, 3), (5, 4)], {}),
        ("linear", [(2, 3), (5, 3), (4,)], {}),
        ("cat", [(2, 3), (2, 4)], {"axis": 0}),
        ("stack", [(2, 3), (2, 4)], {}),
        ("mse", [(2, 3), (3,)], {}),
        ("bce_with_logits", [(2, 3), (2, 1)], {}),
        ("conv2d", [(1, 2, 5, 5), (3, 4, 3, 3)], {}),
        ("conv2d", [(1, 2, 2, 5), (3, 2, 3, 3)], {}),
        ("conv2d", [(1, 2, 5, 5), (3, 2, 3, 3), (2,)], {}),
        ("layer_norm", [(2, 3), (4,)], {}),
        ("batch_norm", [(2, 3), (4,)], {}),
    ],
)
def test_shapes_that_do_not_fit_are_all_in_the_message(op, shapes, params):
    with pytest.raises(ShapeError) as caught:
        apply(op, *(Tensor(np.ones(s)) for s in shapes), **params)
    message = str(caught.value)
    assert op in message or "matmul" in message
    expected = [s for s in shapes if len(shapes) == 2 or s is not shapes[0]]
    assert all(
        str(s) in message
        for s in (expected if op != "conv2d" else shapes[:1] if shapes[0][2] == 2 else expected)
    )


def test_an_unknown_operation_suggests_the_nearest():
    with pytest.raises(OptionError, match="relu"):
        apply("rellu", ONE)


def test_labels_out_of_range_name_the_label_and_the_classes():
    scores = Tensor(np.zeros((2, 3)))
    for op in ("cross_entropy", "nll"):
        with pytest.raises(DataError, match=rf"{op}.*0 to 2.*label 3"):
            apply(op, scores, labels=[0, 3])
        with pytest.raises(DataError, match="label -1"):
            apply(op, scores, labels=[0, -1])
        with pytest.raises(DataError, match="float64"):
            apply(op, scores, labels=[0.0, 1.0])
        with pytest.raises(ShapeError, match=r"\(2, 3\) and \(3,\)"):
            apply(op, scores, labels=[0, 1, 2])
    with pytest.raises(OptionError, match="mean"):
        apply("cross_entropy", scores, labels=[0, 1], reduction="men")
    with pytest.raises(OptionError, match="label_smoothing"):
        apply("cross_entropy", scores, labels=[0, 1], label_smoothing=1.5)
    with pytest.raises(ShapeError, match=r"0 to 1.*5"):
        apply("embedding", Tensor(np.zeros((2, 3))), indices=[0, 5])
    with pytest.raises(ShapeError):
        apply("embedding", Tensor(np.zeros((2, 3))), indices=[0.5])


@pytest.mark.parametrize(
    ("op", "params"),
    [("mean", {}), ("var", {}), ("max", {}), ("cross_entropy", {"labels": np.zeros(0, int)})],
)
def test_an_empty_batch_is_said_to_be_empty(op, params):
    with pytest.raises(ShapeError, match=r"\(0, 3\).*empty batch"):
        apply(op, Tensor(np.zeros((0, 3))), **params)


def test_an_empty_batch_passes_where_nothing_is_undefined():
    x = Tensor(np.zeros((0, 3)), requires_grad=True)
    weight = Tensor(np.ones((2, 3)), requires_grad=True)
    out = apply("linear", x, weight, Tensor(np.ones(2))).relu()
    assert out.shape == (0, 2) and out.sum().item() == 0
    out.sum().backward()
    assert x.grad.shape == (0, 3) and not weight.grad.data.any()


def test_a_wrong_axis_is_said():
    for op in ("sum", "mean", "max", "softmax"):
        with pytest.raises(ShapeError, match="axis"):
            apply(op, ONE, axis=2)


def test_overflow_and_nan_are_results_and_not_warnings():
    x = Tensor([60000.0, -1.0, 0.0], format="fp16")
    assert (x + x).tolist()[0] == np.inf
    assert np.isnan((x / 0).tolist()[2]) and np.isnan(x.log().tolist()[1])
    big = Tensor([3e38], requires_grad=True)
    (big * 10 * 10).backward(np.array([1e38]))
    assert big.grad.item() == np.inf


# -- what plugs in -----------------------------------------------------------------------------------


def test_a_cast_policy_chooses_the_inputs():
    def policy(name, tensors):
        return tuple(t.to("fp16") for t in tensors) if name == "matmul" else tensors

    a, b = Tensor(np.ones((2, 2)), requires_grad=True), Tensor(np.ones((2, 2)))
    token = cast_policy.set(policy)
    try:
        product, total = a @ b, a + b
    finally:
        cast_policy.reset(token)
    assert product.format.name == "float16" and total.format.name == "float32"
    product.sum().backward()
    assert a.grad.format.name == "float32"


@pytest.fixture
def events():
    seen = []
    token = observers.set((seen.append,))
    yield seen
    observers.reset(token)


def network(events=None):
    weight = Tensor(np.full((2, 3), 2.0**-14), requires_grad=True, name="weight")
    x = Tensor(np.full((4, 3), 2.0**-14), format="fp16")
    token = scope.set("layer1")
    hidden = apply("linear", x, weight.to("fp16"))
    scope.reset(token)
    out = (hidden.relu() * 3).sum()
    out.backward()
    return out.item(), weight.grad.data


def test_observers_see_every_kernel_before_and_after_its_rounding(events):
    network()
    seen = [(e.phase, e.op, e.scope) for e in events]
    assert seen == [
        ("forward", "cast", "layer1"),
        ("forward", "linear", "layer1"),
        ("forward", "relu", ""),
        ("forward", "mul", ""),
        ("forward", "sum", ""),
        ("backward", "sum", ""),
        ("backward", "mul", ""),
        ("backward", "relu", ""),
        ("backward", "linear", "layer1"),
        ("backward", "cast", "layer1"),
    ]
    linear = events[1]
    assert linear.format.name == "float16" and not linear.after.any()  # 3 * 2^-28 is less than 2^-25: lost
    assert np.all(linear.before == 3 * 2.0**-28)
    assert events[0].before is not None and events[2].before is None
    assert linear.inputs[0].shape == (4, 3)
    assert events[8].position == 1 and events[8].after.shape == (2, 3)


def test_observers_change_no_bit(events):
    watched = network()
    token = observers.set(())
    alone = network()
    observers.reset(token)
    assert watched[0] == alone[0] and np.array_equal(watched[1], alone[1])


def test_observers_cost_nothing_when_there_are_none(monkeypatch):
    def refuse(*_):
        raise AssertionError("no observer, no work for one")

    monkeypatch.setattr(graph, "unrounded", refuse)
    monkeypatch.setattr("floatlab.autograd.backward.unrounded", refuse)
    monkeypatch.setattr(graph, "Event", refuse)
    monkeypatch.setattr("floatlab.autograd.backward.Event", refuse)
    network()


# -- errors of arithmetic, and shapes that are only unusual ---------------------------------------


@pytest.mark.parametrize("error", [ValueError, IndexError, KeyError, OverflowError])
@pytest.mark.parametrize("name", ["add", "sum", "matmul", "exp", "conv2d"])
def test_an_error_from_inside_the_arithmetic_is_not_told_as_one_of_shapes(monkeypatch, name, error):
    def broken(node, *arrays, **params):
        raise error("cannot convert float NaN to integer")

    op = find_op(name)
    monkeypatch.setitem(TABLE, name, replace(op, forward=Kernel(broken, "wide")))
    with pytest.raises(error, match="cannot convert") as caught:
        apply(name, Tensor(np.ones((2, 2))), Tensor(np.ones((2, 2))))
    assert not isinstance(caught.value, FloatlabError)


@pytest.mark.parametrize(
    ("name", "shapes", "params"),
    [
        ("add", [(2, 3), (3, 2)], {}),
        ("add", [(0,), (2,)], {}),
        ("pow", [(2, 3), (3, 2)], {}),
        ("cat", [(2, 3), (1, 2)], {"axis": 0}),
        ("stack", [(2,), (1,)], {"axis": 0}),
        ("index", [(2,)], {"key": 5}),
        ("permute", [(2, 3)], {"axes": (0, 0)}),
        ("dropout", [(2, 3)], {"mask": np.ones(2, bool), "p": 0.5}),
        ("sum", [(2, 3)], {"axis": "x"}),
        ("sum", [(2, 3)], {"axis": 1.0}),
        ("embedding", [()], {"indices": np.array([0])}),
    ],
)
def test_shapes_that_do_not_fit_are_told_as_such(name, shapes, params):
    with pytest.raises(ShapeError):
        apply(name, *(Tensor(np.ones(shape)) for shape in shapes), **params)


def test_sums_over_full_axes_of_an_empty_tensor_are_empty():
    x = Tensor(np.ones((2, 0)), requires_grad=True)
    for y in (x.sum(0), x.mean(0), x.var(0), x.amax(0), x.softmax(0)):
        assert y.size == 0
    x.sum(0).sum().backward()
    assert x.grad.shape == (2, 0)


def test_products_over_no_terms_are_zero_and_leave_the_bias():
    x, weight, bias = Tensor(np.ones((3, 0))), Tensor(np.ones((2, 0))), Tensor([1.0, 2.0])
    assert apply("linear", x, weight, bias).tolist() == [[1, 2]] * 3
    assert (x @ weight.T).tolist() == [[0, 0]] * 3


def test_an_empty_batch_goes_through_a_convolution_and_back():
    x, weight = (Tensor(np.ones(s), requires_grad=True) for s in ((0, 2, 4, 4), (3, 2, 2, 2)))
    y = apply("conv2d", x, weight, stride=(1, 1), padding=(0, 0))
    assert y.shape == (0, 3, 3, 3)
    y.sum().backward()
    assert x.grad.shape == x.shape and not weight.grad.data.any()


@pytest.mark.parametrize("values", ["abc", [1j], ["one"]])
def test_values_that_are_no_numbers_are_not_told_as_a_shape(values):
    with pytest.raises(DtypeError):
        Tensor([1.0]).copy_(values)
    with pytest.raises(DtypeError):
        Tensor([1.0], requires_grad=True).backward(values)


def test_an_empty_batch_goes_through_pooling_and_back():
    for name in ("max_pool2d", "avg_pool2d"):
        x = Tensor(np.ones((0, 2, 4, 4)), requires_grad=True)
        y = apply(name, x, kernel=(2, 2))
        assert y.shape == (0, 2, 2, 2)
        y.sum().backward()
        assert x.grad.shape == x.shape


# -- formats of gradients, signs of zeros, observers -----------------------------------------------


def test_only_an_input_that_asks_for_a_gradient_decides_its_format():
    own = Tensor([1.0], requires_grad=True, format="e4m3")
    other = Tensor([1.0], format="e4m3", gradient_format="e5m2")
    assert (own * other).gradient_format.name == "float8_e4m3fn"
    asks = Tensor([1.0], requires_grad=True, format="e4m3", gradient_format="e5m2")
    assert (own * asks).gradient_format.name == (asks * own).gradient_format.name == "float8_e5m2"


@pytest.mark.parametrize("fmt", ["fp32", "fp16", "e4m3", "bf16"])
def test_a_number_keeps_the_sign_of_its_zero(fmt):
    minus = Tensor([-0.0], format=fmt)
    for first, second in ((0.0, -0.0), (-0.0, 0.0)):  # whichever comes first must not stay for the other
        for number in (first, second):
            total = (minus + number).data
            assert np.signbit(total[0]) == np.signbit(number)
            chosen = where(np.array([False]), minus, number).data
            assert np.signbit(chosen[0]) == np.signbit(number)


@pytest.mark.parametrize("fmt", ["fp32", "fp16", "bf16", "e4m3"])
@pytest.mark.parametrize("name", ["conv", "linear", "norm", "lstm", "losses"])
def test_observing_changes_no_gradient(name, fmt):
    def gradients(watched):
        rng = np.random.default_rng(0)
        x = Tensor(rng.normal(size=(4, 1, 6, 6)), format=fmt)
        net = {
            "conv": lambda: nn.Sequential(nn.Conv2d(1, 3, 3, rng=0), nn.MaxPool2d(2), nn.GELU()),
            "linear": lambda: nn.Sequential(nn.Flatten(), nn.Linear(36, 5, rng=0), nn.Tanh()),
            "norm": lambda: nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.LayerNorm(36)),
            "lstm": lambda: nn.Sequential(nn.Flatten(2), nn.LSTM(36, 4, rng=0)),
            "losses": lambda: nn.Sequential(nn.Flatten(), nn.Linear(36, 5, rng=0)),
        }[name]().to(fmt)
        events = []
        token = observers.set((events.append,)) if watched else None
        y = net(x)
        y = y[0] if isinstance(y, tuple) else y
        y = nn.functional.cross_entropy(y, np.array([0, 1, 2, 3])) if name == "losses" else y
        y.backward(rng.normal(size=y.shape))
        if token is not None:
            observers.reset(token)
            assert events
        return [p.grad.data.tobytes() for p in net.parameters()]

    assert gradients(False) == gradients(True)
