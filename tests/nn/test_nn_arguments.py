"""What people type without looking: containers, parameters, options, shapes. The right thing, or an error of ours."""

from __future__ import annotations

import copy
import inspect
import itertools
from typing import Any

import numpy as np
import pytest

import floatlab as fl
from floatlab import nn
from floatlab.amp import autocast
from floatlab.autograd import Tensor
from floatlab.errors import AutogradError, DataError, DtypeError, FloatlabError, OptionError, ShapeError

F = nn.functional


def refused(run: Any, error: type[Exception], *words: str) -> None:
    with pytest.raises(error) as caught:
        run()
    for word in words:
        assert word in str(caught.value), str(caught.value)
    assert str(caught.value).count(". ") >= 2, f"no rule, value and way out: {caught.value}"


# -- what is no module -------------------------------------------------------------------------------


def linear() -> nn.Linear:
    return nn.Linear(2, 2, rng=0)


@pytest.mark.parametrize(
    ("run", "word"),
    [
        (lambda: nn.Sequential(linear(), nn.ReLU), "nn.ReLU(...)"),
        (lambda: nn.Sequential([linear(), nn.ReLU()]), "Sequential(*layers)"),
        (lambda: nn.Sequential((linear(), nn.ReLU())), "Sequential(*layers)"),
        (lambda: nn.Sequential(linear(), F.relu, linear()), "nn.ReLU()"),
        (lambda: nn.Sequential(linear(), lambda x: x), "nn.ReLU()"),
        (lambda: nn.Sequential(linear(), None), "nn.Identity()"),
        (lambda: nn.Sequential(linear(), Tensor([1.0])), "Tensor"),
        (lambda: nn.Sequential({"a": F.relu}), "nn.ReLU()"),
        (lambda: nn.Sequential(linear()).append(F.relu), "nn.ReLU()"),
        (lambda: nn.Sequential(linear()).extend([nn.ReLU]), "nn.ReLU(...)"),
        (lambda: nn.Sequential(linear()).insert(0, F.relu), "nn.ReLU()"),
        (lambda: nn.Sequential(linear()).__setitem__(0, F.relu), "nn.ReLU()"),
        (lambda: nn.ModuleList([F.relu]), "nn.ReLU()"),
        (lambda: nn.ModuleList(linear()), "[ ]"),
        (lambda: nn.ModuleList([[linear()]]), "list"),
        (lambda: nn.ModuleList([nn.Linear]), "nn.Linear(...)"),
        (lambda: nn.ModuleDict({"a": F.relu}), "nn.ReLU()"),
        (lambda: nn.ModuleDict([linear()]), "dictionary"),
        (lambda: nn.Residual(F.relu), "nn.ReLU()"),
        (lambda: nn.Residual(linear(), F.relu), "nn.ReLU()"),
        (lambda: nn.Module().add_module("a", F.relu), "nn.ReLU()"),
        (lambda: nn.ParameterList([[1.0, 2.0]]), "nn.Parameter"),
        (lambda: nn.ParameterList(Tensor([1.0])), "[ ]"),
        (lambda: nn.Module().register_parameter("w", Tensor([1.0])), "nn.Parameter"),
        (lambda: nn.Module().register_buffer("b", np.zeros(2)), "Tensor(...)"),
    ],
)
def test_what_is_no_module_is_refused_and_never_dropped(run: Any, word: str) -> None:
    refused(run, DtypeError, word)


@pytest.mark.parametrize("name", ["", "a.b", "forward", "training", 3, None])
def test_a_name_that_would_hide_something_is_refused(name: Any) -> None:
    refused(lambda: nn.Module().add_module(name, nn.ReLU()), OptionError, repr(name))


@pytest.mark.parametrize(
    "value", [Tensor([[1.0, 2.0], [3.0, 4.0]]), np.ones((2, 2)), [[1.0]], 1.0, "w", nn.ReLU]
)
def test_a_parameter_is_replaced_by_a_parameter_only(value: Any) -> None:
    layer = linear()
    before = layer.weight.data.copy()
    refused(lambda: setattr(layer, "weight", value), DtypeError, "'weight'", "nn.Parameter(...)")
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]
    assert np.array_equal(layer.weight.data, before)
    layer.weight = nn.Parameter(np.ones((2, 2)))
    assert layer.weight.tolist() == [[1.0, 1.0], [1.0, 1.0]] and len(list(layer.parameters())) == 2
    layer.bias = None
    assert [name for name, _ in layer.named_parameters()] == ["weight"]


def test_a_layer_and_a_buffer_keep_their_places_too() -> None:
    model = nn.Sequential(nn.BatchNorm1d(2))
    refused(lambda: setattr(model, "0", F.relu), DtypeError, "'0'")
    refused(lambda: setattr(model[0], "running_mean", np.zeros(2)), DtypeError, "'running_mean'")
    model[0].running_mean = Tensor([1.0, 2.0])
    assert [name for name, _ in model.named_buffers()] == ["0.running_mean", "0.running_var"]


def test_lists_and_dictionaries_of_modules_do_what_pytorchs_do() -> None:
    layers = nn.ModuleList([linear(), nn.ReLU()])
    layers.insert(1, nn.Tanh())
    layers[2] = nn.Sigmoid()
    layers.extend([nn.GELU()])
    assert [type(m).__name__ for m in layers] == ["Linear", "Tanh", "Sigmoid", "GELU"]
    assert isinstance(layers[-1], nn.GELU) and len(layers[1:3]) == 2
    assert isinstance(layers[1:], nn.ModuleList) and isinstance(nn.Sequential(linear())[:1], nn.Sequential)
    refused(lambda: layers[4], OptionError, "4")
    refused(lambda: layers["0"], OptionError, "'0'")
    heads = nn.ModuleDict({"a": linear()})
    heads["b"] = nn.Linear(2, 3, rng=0)
    assert list(heads.keys()) == ["a", "b"] and "a" in heads and len(heads) == 2
    assert [name for name, _ in heads.named_parameters()] == ["a.weight", "a.bias", "b.weight", "b.bias"]
    del heads["a"]
    assert [type(m).__name__ for m in heads.values()] == ["Linear"] and dict(heads.items())
    refused(lambda: heads["c"], OptionError, "'c'")
    weights = nn.ParameterList([nn.Parameter([1.0]), Tensor([2.0], format="bf16")])
    assert [p.format.name for p in weights] == ["float32", "bfloat16"] and len(weights) == 2
    assert all(p.requires_grad for p in weights.parameters())
    refused(lambda: weights[2], OptionError, "2")


def test_a_device_means_nothing_and_a_format_is_still_a_format() -> None:
    layer = linear()
    weight = layer.weight
    for same in (
        layer.to("cpu"),
        layer.cuda(),
        layer.cuda(0),
        layer.cpu(),
        layer.to(device="cuda:1"),
        layer.to("cuda:0"),
    ):
        assert same is layer
    assert layer.weight is weight and layer.weight.format.name == "float32"
    assert layer.to("cuda", dtype="bf16").weight.format.name == "bfloat16"
    assert layer.float().weight.format.name == "float32" and layer.double().weight.format.name == "float64"
    assert nn.Linear(2, 2, device="cpu").weight.shape == (2, 2)
    refused(lambda: nn.Linear(2, 2, device="gpu9"), OptionError, "'gpu9'")
    refused(lambda: layer.to(device="e4m3"), OptionError, "'e4m3'")


def test_zero_grad_can_leave_zeros() -> None:
    layer = linear()
    layer(Tensor([[1.0, 2.0]])).sum().backward()
    layer.zero_grad(set_to_none=False)
    assert layer.weight.grad.tolist() == [[0.0, 0.0], [0.0, 0.0]]
    layer.zero_grad()
    assert layer.weight.grad is None


# -- the axis of the classes -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
def test_classes_are_on_axis_one_even_where_both_readings_fit(name: str) -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 3)).astype(np.float32)  # C = L
    labels = np.array([[0, 1, 2], [2, 2, 1]])
    loss = getattr(F, name)(Tensor(x), labels, reduction="none")
    logs = x - np.log(np.exp(x).sum(1, keepdims=True)) if name == "cross_entropy" else x
    expected = [[-logs[n, labels[n, d], d] for d in range(3)] for n in range(2)]
    np.testing.assert_allclose(loss.data, expected, rtol=1e-5, atol=1e-6)
    rows = getattr(F, name)(Tensor(x.transpose(0, 2, 1).reshape(6, 3)), labels.ravel(), reduction="none")
    np.testing.assert_array_equal(rows.data.reshape(2, 3), loss.data)
    refused(lambda: getattr(F, name)(Tensor(x.reshape(2, 9)), labels), ShapeError, "axis 1")
    refused(
        lambda: getattr(F, name)(Tensor(np.ones((2, 4, 3))), np.zeros((2, 4), int)), ShapeError, "(2, 4, 3)"
    )


def test_ignored_labels_count_nothing_and_weights_count_in_the_mean() -> None:
    x = Tensor(np.arange(12.0).reshape(4, 3) % 5, requires_grad=True)
    loss = F.cross_entropy(x, [0, -100, 2, 1])
    kept = F.cross_entropy(Tensor(x.data[[0, 2, 3]]), [0, 2, 1])
    assert loss.item() == kept.item()
    loss.backward()
    assert not x.grad.data[1].any()
    refused(lambda: F.cross_entropy(x, [0, -1, 2, 1]), DataError, "-1")
    layer = nn.CrossEntropyLoss([1.0, 2.0, 4.0], ignore_index=1)
    each = F.cross_entropy(x, [0, 1, 2, 2], reduction="none").data.astype(np.float64)
    assert layer(x, [0, 1, 2, 2]).item() == pytest.approx((each[0] + 4 * each[2] + 4 * each[3]) / 9)
    assert np.isnan(F.cross_entropy(x, [1, 1, 1, 1], ignore_index=1).item())  # 0 / 0, as in PyTorch


def test_losses_as_layers_are_their_functions_with_options() -> None:
    x, y = Tensor([0.2, 0.7, 0.4]), Tensor([0.0, 1.0, 0.5])
    pairs = [
        (nn.L1Loss(), F.l1_loss(x, y)),
        (nn.SmoothL1Loss(beta=0.1), F.smooth_l1_loss(x, y, beta=0.1)),
        (nn.HuberLoss(delta=0.1), F.huber_loss(x, y, delta=0.1)),
        (nn.BCELoss(), F.binary_cross_entropy(x, y)),
        (nn.KLDivLoss(reduction="batchmean"), F.kl_div(x, y, reduction="batchmean")),
        (nn.BCEWithLogitsLoss(pos_weight=2.0), F.binary_cross_entropy_with_logits(x, y, pos_weight=2.0)),
    ]
    for layer, expected in pairs:
        assert layer(x, y).item() == expected.item()
    refused(lambda: nn.KLDivLoss(reduction="batchmeen"), OptionError, "batchmean")
    refused(lambda: nn.L1Loss(reduction="batchmean"), OptionError, "batchmean")


def test_binary_cross_entropy_is_refused_under_autocast_and_says_what_to_use() -> None:
    p = Tensor([0.5])
    with autocast("fp16"):
        refused(lambda: nn.BCELoss()(p, Tensor([1.0])), AutogradError, "binary_cross_entropy_with_logits")
        assert nn.BCEWithLogitsLoss()(p, Tensor([1.0])).format.name == "float32"
        with autocast(enabled=False):
            assert nn.BCELoss()(p, Tensor([1.0])).format.name == "float32"


# -- options -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("run", "word"),
    [
        (lambda: nn.ReLU(inplase=True), '"inplace"'),
        (lambda: nn.ReLU(inplace="yes"), "inplace"),
        (lambda: nn.Linear(2, 2, bais=False), '"bias"'),
        (lambda: nn.Linear(2), "in_features, out_features"),
        (lambda: nn.Linear(2, 2, True, 0), "in_features, out_features"),
        (lambda: nn.LeakyReLU(slope=0.1), "'slope'"),
        (lambda: nn.MSELoss("sum"), "reduction"),
        (lambda: nn.Conv2d(1, 2, 3, pading=1), '"padding"'),
        (lambda: nn.Identity(3), "Identity"),
        (lambda: nn.MaxPool2d(2, cell_mode=True), "'cell_mode'"),
        (lambda: nn.Dropout(0.5, train=True), "'train'"),
    ],
)
def test_an_unknown_keyword_is_refused_when_the_layer_is_made(run: Any, word: str) -> None:
    refused(run, OptionError, word)


def test_an_error_inside_a_users_layer_stays_what_it_is() -> None:
    class Broken(nn.Module):
        def __init__(self, size: int) -> None:
            super().__init__()
            self.size = size + "1"  # type: ignore[operator]

    with pytest.raises(TypeError, match="unsupported operand"):
        Broken(2)


def test_positional_arguments_have_pytorchs_meaning() -> None:
    layer = nn.Conv2d(1, 2, 3, 1, 1, 2)
    assert layer.dilation == 2 and layer.bias is not None
    assert nn.Conv2d(2, 4, 1, 1, 0, 1, 2, False).bias is None
    assert nn.Dropout(0.5, True).p == 0.5
    assert nn.RNN(1, 1, 1, "relu").nonlinearity == "relu"
    assert nn.GELU("tanh").approximate == "tanh"
    refused(lambda: F.pad(Tensor([1.0]), (1, 1), 7.0), OptionError, "mode")
    refused(lambda: F.cross_entropy(Tensor([[1.0, 2.0]]), [0], "sum"), FloatlabError, "weight")


WRONG = [0, -1, 2.5, "2", True, None, float("nan"), (1, 2, 3), [2.5, 1], np.array([2, 2])]
SIZES: dict[str, Any] = {
    "nn.Linear(v, 2)": lambda v: nn.Linear(v, 2),
    "nn.Linear(2, v)": lambda v: nn.Linear(2, v),
    "nn.Embedding(v, 2)": lambda v: nn.Embedding(v, 2),
    "nn.Embedding(2, v)": lambda v: nn.Embedding(2, v),
    "nn.Conv2d(v, 2, 3)": lambda v: nn.Conv2d(v, 2, 3),
    "nn.Conv2d(2, v, 3)": lambda v: nn.Conv2d(2, v, 3),
    "nn.Conv2d(2, 2, v)": lambda v: nn.Conv2d(2, 2, v),
    "nn.Conv2d(stride=v)": lambda v: nn.Conv2d(2, 2, 3, stride=v),
    "nn.Conv2d(dilation=v)": lambda v: nn.Conv2d(2, 2, 3, dilation=v),
    "nn.Conv2d(groups=v)": lambda v: nn.Conv2d(2, 2, 3, groups=v),
    "nn.Conv1d(2, 2, v)": lambda v: nn.Conv1d(2, 2, v),
    "nn.Conv1d(stride=v)": lambda v: nn.Conv1d(2, 2, 3, stride=v),
    "nn.ConvTranspose2d(2, 2, v)": lambda v: nn.ConvTranspose2d(2, 2, v),
    "nn.MaxPool2d(v)": lambda v: nn.MaxPool2d(v),
    "nn.MaxPool1d(v)": lambda v: nn.MaxPool1d(v),
    "nn.AvgPool1d(v)": lambda v: nn.AvgPool1d(v),
    "nn.MaxPool1d(stride=v)": lambda v: nn.MaxPool1d(2, v),
    "nn.AvgPool2d(v)": lambda v: nn.AvgPool2d(v),
    "nn.MaxPool2d(stride=v)": lambda v: nn.MaxPool2d(2, v),
    "nn.AdaptiveAvgPool2d(v)": lambda v: nn.AdaptiveAvgPool2d(v),
    "nn.BatchNorm1d(v)": lambda v: nn.BatchNorm1d(v),
    "nn.LayerNorm(v)": lambda v: nn.LayerNorm(v),
    "nn.RMSNorm(v)": lambda v: nn.RMSNorm(v),
    "nn.GroupNorm(v, 4)": lambda v: nn.GroupNorm(v, 4),
    "nn.GroupNorm(2, v)": lambda v: nn.GroupNorm(2, v),
    "nn.LSTM(v, 2)": lambda v: nn.LSTM(v, 2),
    "nn.GRU(2, v)": lambda v: nn.GRU(2, v),
    "nn.RNN(num_layers=v)": lambda v: nn.RNN(2, 2, v),
    "nn.MultiheadAttention(v, 1)": lambda v: nn.MultiheadAttention(v, 1),
    "nn.MultiheadAttention(8, v)": lambda v: nn.MultiheadAttention(8, v),
    "nn.TransformerEncoderLayer(8, 2, v)": lambda v: nn.TransformerEncoderLayer(8, 2, v),
    "nn.TransformerEncoder(v)": lambda v: nn.TransformerEncoder(nn.ReLU(), v),
    "nn.PReLU(v)": lambda v: nn.PReLU(v),
    "nn.Upsample(v)": lambda v: nn.Upsample(v)(IMAGES),
}
ALLOWED = {  # None is the window's size, or the picture's; a shape of three axes can be normalized
    ("nn.MaxPool2d(stride=v)", "None"), ("nn.MaxPool1d(stride=v)", "None"), ("nn.AdaptiveAvgPool2d(v)", "None"),
    ("nn.LayerNorm(v)", "(1, 2, 3)"), ("nn.RMSNorm(v)", "(1, 2, 3)"),
}  # fmt: skip
IMAGES = Tensor(np.ones((2, 2, 5, 5)))


@pytest.mark.parametrize(("name", "value"), list(itertools.product(SIZES, WRONG)), ids=str)
def test_a_size_that_is_none_is_refused_by_every_layer(name: str, value: Any) -> None:
    if (name, str(value)) in ALLOWED:
        SIZES[name](value)
        return
    with pytest.raises(FloatlabError) as caught:
        SIZES[name](value)
    assert str(caught.value).count(". ") >= 2


NUMBERS: dict[str, Any] = {
    "nn.Dropout(v)": lambda v: nn.Dropout(v),
    "nn.Dropout2d(v)": lambda v: nn.Dropout2d(v),
    "nn.LSTM(dropout=v)": lambda v: nn.LSTM(2, 2, 2, dropout=v),
    "nn.MultiheadAttention(dropout=v)": lambda v: nn.MultiheadAttention(4, 2, v),
    "nn.LayerNorm(eps=v)": lambda v: nn.LayerNorm(2, v),
    "nn.RMSNorm(eps=v)": lambda v: nn.RMSNorm(2, v),
    "nn.GroupNorm(eps=v)": lambda v: nn.GroupNorm(2, 2, v),
    "nn.BatchNorm2d(eps=v)": lambda v: nn.BatchNorm2d(2, v),
    "nn.BatchNorm2d(momentum=v)": lambda v: nn.BatchNorm2d(2, momentum=v),
    "nn.Softplus(v)": lambda v: nn.Softplus(v),
    "nn.SmoothL1Loss(beta=v)": lambda v: nn.SmoothL1Loss(beta=v),
    "nn.HuberLoss(delta=v)": lambda v: nn.HuberLoss(delta=v),
    "nn.CrossEntropyLoss(label_smoothing=v)": lambda v: nn.CrossEntropyLoss(label_smoothing=v),
}


@pytest.mark.parametrize(
    ("name", "value"),
    list(itertools.product(NUMBERS, [-1.0, "0.5", float("nan"), float("inf"), [0.5], 1j])),
    ids=str,
)
def test_a_number_that_is_none_is_refused_by_every_layer(name: str, value: Any) -> None:
    refused(lambda: NUMBERS[name](value), OptionError)


@pytest.mark.parametrize(
    "run",
    [
        lambda: nn.LeakyReLU("0.1"), lambda: nn.ELU(None), lambda: nn.Hardtanh(1.0, -1.0), lambda: nn.Softmax("1"),
        lambda: nn.Flatten(1.5), lambda: nn.Linear(2, 2, bias="no"), lambda: nn.LSTM(2, 2, batch_first="no"),
        lambda: nn.Conv2d(2, 2, 3, padding=-1), lambda: nn.Conv2d(2, 2, 3, padding="some"),
        lambda: nn.Conv2d(2, 2, 3, 2, "same"), lambda: nn.Conv2d(3, 2, 3, groups=2),
        lambda: nn.Conv2d(2, 2, 3, padding_mode="mirror"), lambda: nn.Conv1d(2, 2, 3, padding=(1, 1)),
        lambda: nn.Embedding(3, 2, 3), lambda: nn.Embedding(3, 2, 0.0), lambda: nn.MaxPool2d(2, 2, -1),
        lambda: nn.LSTM(2, 2, dropout=0.5), lambda: nn.MultiheadAttention(8, 3), lambda: nn.GroupNorm(3, 4),
        lambda: nn.TransformerEncoderLayer(8, 2, activation="tanh"), lambda: nn.CrossEntropyLoss(ignore_index=0.5),
        lambda: nn.Upsample(mode="cubic"), lambda: nn.Upsample()(IMAGES), lambda: nn.Upsample(scale_factor=0)(IMAGES),
        lambda: nn.PReLU(init="a"),
    ],
)  # fmt: skip
def test_an_option_that_cannot_be_is_refused(run: Any) -> None:
    refused(run, OptionError)


# -- shapes ------------------------------------------------------------------------------------------

LAYERS = {
    "nn.Linear(3, 2)": (nn.Linear(3, 2), (2, 3)),
    "nn.Conv1d(3, 2, 3)": (nn.Conv1d(3, 2, 3), (2, 3, 6)),
    "nn.Conv2d(3, 2, 3)": (nn.Conv2d(3, 2, 3), (2, 3, 6, 6)),
    "nn.ConvTranspose2d(3, 2, 3)": (nn.ConvTranspose2d(3, 2, 3), (2, 3, 6, 6)),
    "nn.MaxPool1d(2)": (nn.MaxPool1d(2), (2, 3, 6)),
    "nn.AvgPool1d(2)": (nn.AvgPool1d(2), (2, 3, 6)),
    "nn.MaxPool2d(2)": (nn.MaxPool2d(2), (2, 3, 6, 6)),
    "nn.AvgPool2d(2)": (nn.AvgPool2d(2), (2, 3, 6, 6)),
    "nn.AdaptiveAvgPool2d(2)": (nn.AdaptiveAvgPool2d(2), (2, 3, 6, 6)),
    "nn.Upsample(4)": (nn.Upsample(4), (2, 3, 6, 6)),
    "nn.BatchNorm1d(3)": (nn.BatchNorm1d(3), (4, 3)),
    "nn.BatchNorm2d(3)": (nn.BatchNorm2d(3), (2, 3, 6, 6)),
    "nn.GroupNorm(1, 3)": (nn.GroupNorm(1, 3), (2, 3, 6)),
    "nn.LayerNorm(3)": (nn.LayerNorm(3), (2, 3)),
    "nn.RMSNorm(3)": (nn.RMSNorm(3), (2, 3)),
    "nn.Softmax(2)": (nn.Softmax(2), (2, 3, 4)),
    "nn.Flatten()": (nn.Flatten(), (2, 3)),
    "nn.PReLU(3)": (nn.PReLU(3), (2, 3)),
    "nn.Dropout2d(0.5)": (nn.Dropout2d(0.5), (2, 3, 4, 4)),
    "nn.LSTM(3, 2)": (nn.LSTM(3, 2), (5, 2, 3)),
    "nn.GRU(3, 2)": (nn.GRU(3, 2), (5, 2, 3)),
    "nn.TransformerEncoderLayer(3, 1)": (nn.TransformerEncoderLayer(3, 1), (5, 2, 3)),
}
SHAPES = [(), (0,), (3,), (2, 3), (2, 5), (0, 3), (2, 3, 0), (5, 2, 3), (2, 3, 6), (2, 4, 6, 6), (2, 3, 6, 6),
          (2, 3, 1, 1), (0, 3, 6, 6), (2, 3, 0, 6), (1, 2, 3, 4, 5)]  # fmt: skip


@pytest.mark.parametrize(("name", "shape"), list(itertools.product(LAYERS, SHAPES)), ids=str)
def test_a_wrong_shape_is_an_error_of_ours_and_a_right_one_works(name: str, shape: tuple[int, ...]) -> None:
    layer, right = LAYERS[name]
    out = layer(Tensor(np.ones(right)))
    assert isinstance(out[0] if isinstance(out, tuple) else out, Tensor)
    x = Tensor(np.ones(shape), requires_grad=True)
    try:
        out = layer(x)
        out = out[0] if isinstance(out, tuple) else out
        out.backward(np.ones(out.shape))
    except FloatlabError as error:
        assert str(error).count(". ") >= 2, error


@pytest.mark.parametrize(
    "run",
    [
        lambda: F.embedding([[0, 1], [2]], Tensor(np.ones((3, 2)))),
        lambda: F.embedding("a", Tensor(np.ones((3, 2)))),
        lambda: F.embedding(None, Tensor(np.ones((3, 2)))),
        lambda: F.embedding(Tensor([0.5]), Tensor(np.ones((3, 2)))),
        lambda: F.embedding([True], Tensor(np.ones((3, 2)))),
        lambda: F.embedding([0], Tensor(np.ones((3, 2))), 7),
        lambda: F.cross_entropy(Tensor([[1.0, 2.0]]), None),
        lambda: F.cross_entropy(Tensor([[1.0, 2.0]]), "a"),
        lambda: F.cross_entropy(Tensor([[1.0, 2.0]]), [[0], [1, 2]]),
        lambda: F.cross_entropy(Tensor([[1.0, 2.0]]), [0], weight=[1.0]),
        lambda: F.cross_entropy(Tensor([[1.0, 2.0]]), [0], label_smoothing="a"),
        lambda: F.cross_entropy(Tensor([[1.0, 2.0]]), [[0.5, 0.25, 0.25]]),
        lambda: F.mse_loss(Tensor([1.0]), None),
        lambda: F.binary_cross_entropy_with_logits(Tensor([1.0]), [1.0], pos_weight=[1.0, 2.0]),
        lambda: F.softmax(Tensor([1.0]), 1),
        lambda: F.softmax(Tensor([1.0]), "a"),
        lambda: F.softmax(Tensor([1.0]), None),
        lambda: F.flatten(Tensor([[1.0]]), 2),
        lambda: F.flatten(Tensor([[1.0]]), 1, 0),
        lambda: F.pad(Tensor([1.0]), (1.5, 1)),
        lambda: F.pad(Tensor([1.0]), 1),
        lambda: F.pad(Tensor([1.0, 2.0]), (2, 0), mode="reflect"),
        lambda: F.one_hot(None, 3),
        lambda: F.one_hot([0], 0),
        lambda: F.one_hot([0], 2.5),
        lambda: F.max_pool2d(IMAGES, 2.5),
        lambda: F.max_pool2d(IMAGES, 2, 0),
        lambda: F.avg_pool2d(IMAGES, 2, 2, -1),
        lambda: F.conv2d(IMAGES, Tensor(np.ones((2, 2, 3, 3))), groups=0),
        lambda: F.conv2d(IMAGES, Tensor(np.ones((2, 2, 3, 3))), stride="a"),
        lambda: F.conv_transpose2d(IMAGES, Tensor(np.ones((2, 2, 3, 3))), output_padding=1),
        lambda: F.layer_norm(Tensor([[1.0]]), 1.5),
        lambda: F.group_norm(IMAGES, 3),
        lambda: F.interpolate(IMAGES, 2, 2.0),
        lambda: F.interpolate(IMAGES, scale_factor=0.1),
        lambda: F.interpolate(IMAGES, 3, align_corners=True),
        lambda: F.scaled_dot_product_attention(*[Tensor([[1.0, 2.0]])] * 3, attn_mask=np.ones((3, 3), bool)),
        lambda: F.scaled_dot_product_attention(*[Tensor([[1.0]])] * 3, np.ones((1, 1), bool), is_causal=True),
        lambda: F.scaled_dot_product_attention(Tensor([[1.0]]), Tensor([[1.0, 2.0]]), Tensor([[1.0]])),
        lambda: F.scaled_dot_product_attention(*[Tensor([1.0])] * 3),
        lambda: F.scaled_dot_product_attention(*[Tensor([[1.0]])] * 3, dropout_p=2.0),
        lambda: nn.MultiheadAttention(4, 2)(*[Tensor(np.ones((3, 2, 4)))] * 3, attn_mask=np.ones((2, 2), bool)),
        lambda: nn.MultiheadAttention(4, 2)(*[Tensor(np.ones((3, 2, 4)))] * 3, key_padding_mask=np.ones((3, 2), bool)),
        lambda: nn.LSTM(3, 2)(Tensor(np.ones((1, 2, 3))), Tensor(np.ones((1, 2, 2)))),
        lambda: nn.GRU(3, 2)(Tensor(np.ones((1, 2, 3))), 1.0),
    ],
)  # fmt: skip
def test_what_a_function_cannot_take_is_an_error_of_ours(run: Any) -> None:
    refused(run, FloatlabError)


def test_an_embedding_takes_the_whole_numbers_of_a_tensor() -> None:
    table = Tensor([[1.0], [2.0], [3.0]])
    assert F.embedding(Tensor([2.0, 0.0]), table).tolist() == [[3.0], [1.0]]


# -- attention ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("fmt", ["fp32", "fp16", "bf16", "e5m2", "e4m3", "e2m1"])
def test_causal_attention_needs_no_infinity_in_any_format(fmt: str) -> None:
    q, k, v = (Tensor(np.random.default_rng(s).normal(size=(2, 4, 2)), format=fmt) for s in range(3))
    out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    assert np.isfinite(out.data).all() and out.format.name == q.format.name
    assert np.array_equal(out.data[:, 0], v.data[:, 0])  # the first place sees itself alone
    later = Tensor(np.where(np.arange(4)[:, None] == 3, 0.0, v.data), format=fmt)
    again = F.scaled_dot_product_attention(q, k, later, is_causal=True)
    assert np.array_equal(out.data[:, :3], again.data[:, :3])  # and none sees what comes after it
    added = np.where(F.causal_mask(4), 0.0, -np.inf)
    assert np.array_equal(F.scaled_dot_product_attention(q, k, v, added).data, out.data)


def test_a_mask_that_is_a_tensor_gets_a_gradient_where_it_is_finite() -> None:
    q, k, v = (Tensor(np.random.default_rng(s).normal(size=(3, 2))) for s in range(3))
    mask = Tensor(np.where(F.causal_mask(3), 0.5, -np.inf), requires_grad=True)
    F.scaled_dot_product_attention(q, k, v, mask).sum().backward()
    assert np.isfinite(mask.grad.data).all() and not mask.grad.data[~F.causal_mask(3)].any()


def test_attention_without_a_batch_is_that_of_a_batch_of_one() -> None:
    layer, x = nn.MultiheadAttention(4, 2, rng=0), np.random.default_rng(0).normal(size=(3, 4))
    alone, shares = layer(*[Tensor(x)] * 3)
    batch, others = layer(*[Tensor(x[:, None])] * 3)
    assert np.array_equal(alone.data, batch.data[:, 0]) and np.array_equal(shares.data, others.data[0])
    assert layer(*[Tensor(x)] * 3, need_weights=False)[1] is None
    causal, _ = layer(*[Tensor(x)] * 3, is_causal=True)
    masked, _ = layer(*[Tensor(x)] * 3, attn_mask=~F.causal_mask(3))
    assert np.array_equal(causal.data, masked.data)


def test_copies_of_an_encoder_layer_drop_other_places() -> None:
    layer = nn.TransformerEncoderLayer(4, 1, 4, dropout=0.5, rng=0)
    encoder = nn.TransformerEncoder(layer, 2)
    x = Tensor(np.ones((64, 1, 4)))
    first, second = (encoder.layers[i].dropout1(x).data for i in (0, 1))
    assert not np.array_equal(first, second)
    again = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 1, 4, dropout=0.5, rng=0), 2)
    assert np.array_equal(again.layers[0].dropout1(x).data, first)


def test_dropout_of_channels_drops_whole_ones() -> None:
    y = nn.Dropout2d(0.5, rng=1)(Tensor(np.ones((4, 8, 3, 3)))).data
    assert all(len(np.unique(y[n, c])) == 1 for n in range(4) for c in range(8))
    assert set(np.unique(y)) == {0.0, 2.0}
    assert np.array_equal(F.dropout2d(Tensor(np.ones((4, 8))), 0.0).data, np.ones((4, 8)))


def test_a_recurrent_layer_drops_between_layers_while_training_only() -> None:
    layer, x = nn.GRU(3, 4, num_layers=2, dropout=0.5, rng=0), Tensor(np.ones((5, 2, 3)))
    plain = nn.GRU(3, 4, num_layers=2, rng=0)
    assert all(
        np.array_equal(a.data, b.data) for a, b in zip(layer.parameters(), plain.parameters(), strict=True)
    )
    assert not np.array_equal(layer(x)[0].data, layer(x)[0].data)
    assert np.array_equal(layer.eval()(x)[0].data, plain(x)[0].data)


# -- everything else ---------------------------------------------------------------------------------


def test_gradients_are_clipped_by_pytorchs_names() -> None:
    w = nn.Parameter([0.0, 0.0])
    w.grad = Tensor([3.0, 4.0])
    assert nn.utils.clip_grad_norm_([w], 1.0) == 5.0
    nn.utils.clip_grad_value_([w], 0.25)
    assert w.grad.tolist() == [0.25, 0.25]
    model = linear()
    vector = nn.utils.parameters_to_vector(model.parameters())
    nn.utils.vector_to_parameters(Tensor(2 * vector.data), model.parameters())
    assert np.array_equal(nn.utils.parameters_to_vector(model.parameters()).data, 2 * vector.data)
    refused(lambda: nn.utils.vector_to_parameters(Tensor([1.0]), model.parameters()), ShapeError, "(1,)")
    refused(lambda: nn.utils.parameters_to_vector([]), ShapeError)


def test_every_layer_prints_copies_and_says_what_it_is() -> None:
    for name in nn.__all__:
        kind = getattr(nn, name)
        if isinstance(kind, type):
            assert kind.__doc__ and inspect.signature(kind.__init__), name
    for layer, _ in LAYERS.values():
        assert repr(copy.deepcopy(layer)) == repr(layer)


def test_a_layer_norm_without_a_weight_takes_a_bias() -> None:
    x, bias = Tensor([[1.0, 3.0]]), Tensor([10.0, 20.0])
    for y in (F.layer_norm(x, 2, None, bias), F.group_norm(x, 1, None, bias)):
        np.testing.assert_allclose(y.data, [[9.0, 21.0]], atol=1e-4)
    z = F.batch_norm(Tensor([[1.0, 3.0], [3.0, 1.0]]), None, None, None, bias, training=True)
    np.testing.assert_allclose(z.data, [[9.0, 21.0], [11.0, 19.0]], atol=1e-4)


def test_depthwise_and_dilated_convolutions_round_once_in_every_accumulator() -> None:
    rng = np.random.default_rng(0)
    x, w = (
        Tensor(rng.normal(size=(1, 4, 6, 6)), format="fp16"),
        Tensor(rng.normal(size=(4, 1, 3, 3)), format="fp16"),
    )
    found = F.conv2d(x, w, groups=4, padding=2, dilation=2)
    padded = np.pad(x.data.astype(np.float64), ((0, 0), (0, 0), (2, 2), (2, 2)))
    wide = np.zeros((1, 4, 6, 6))
    for i, j in itertools.product(range(3), repeat=2):
        wide += padded[:, :, 2 * i : 2 * i + 6, 2 * j : 2 * j + 6] * w.data[:, 0, i, j, None, None]
    assert np.array_equal(found.data, fl.quantize(wide, "fp16"))
