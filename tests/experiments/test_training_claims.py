"""What the training half promises, where no test of a single file says it: beside PyTorch, and on bad input.

The rest of the promises stand with the files: layers in test_nn_torch, operations in test_autograd_ops, optimizers in
test_optim_torch, the scaler in test_amp_scaler, checkpoints in test_optim_checkpoint.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from torch_answers import answers

import floatlab as fl
from floatlab import nn, optim
from floatlab.autograd import Tensor
from floatlab.errors import AutogradError, DataError, FloatlabError, OptionError, ShapeError, StateError
from floatlab.nn import functional as F  # noqa: N812

# -- nothing is forgotten ------------------------------------------------------------------------------------


def test_every_optimizer_is_held_against_pytorch():
    from test_optim_torch import CASES

    ours = {
        name
        for name, value in vars(optim).items()
        if inspect.isclass(value) and issubclass(value, optim.Optimizer) and value is not optim.Optimizer
    }
    assert ours == {name for name, _ in CASES} | {
        "Lion"
    }  # which PyTorch has not; it is held against its paper


def test_every_layer_is_held_against_pytorch():
    from test_nn_torch import LAYERS

    layers = {
        value
        for value in vars(nn).values()
        if inspect.isclass(value) and issubclass(value, nn.Module) and not value.__name__.endswith("Loss")
    }
    held = {type(ours) for ours, _, _ in LAYERS.values()}
    # Containers compute nothing; the others have tests of their own there, here, in test_nn_pooling, or (dropout, which
    # is random) in test_nn.
    containers = {nn.Module, nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.ParameterList}
    own = {nn.Identity, nn.Residual, nn.Embedding, nn.RNN, nn.LSTM, nn.GRU, nn.MultiheadAttention}
    own |= {nn.RNNCell, nn.LSTMCell, nn.GRUCell}
    assert layers - held - containers - own == {nn.Dropout, nn.Dropout2d, nn.MaxPool1d, nn.AvgPool1d}


def test_a_residual_block_is_that_of_pytorch():
    block = nn.Residual(nn.Sequential(nn.Linear(4, 4, rng=0), nn.Tanh()))
    ours = {name.rsplit(".", 1)[1]: p for name, p in block.named_parameters()}
    x = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    a = Tensor(x, requires_grad=True)
    y = block(a)
    (y * y).sum().backward()

    def ask(torch):
        linear = torch.nn.Linear(4, 4)
        linear.load_state_dict({name: torch.tensor(p.data) for name, p in ours.items()})
        b = torch.tensor(x, requires_grad=True)
        z = b + torch.tanh(linear(b))
        (z * z).sum().backward()
        return [z, b.grad, *(linear.get_parameter(name).grad for name in ours)]

    expected = answers("residual block", ask, x, *(p.data for p in ours.values()))
    for got, other in zip([y, a.grad, *(p.grad for p in ours.values())], expected, strict=True):
        np.testing.assert_allclose(got.data, other, rtol=1e-5, atol=1e-5)


# -- elementwise operations, bit for bit --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["fp16", "bf16"])
def test_arithmetic_on_all_pairs_of_special_values_equals_pytorch(name):
    fmt = fl.get_format(name)
    tiny, normal, eps = fmt.smallest_subnormal, fmt.smallest_normal, fmt.eps
    positive = [
        0.0,
        tiny,
        2 * tiny,
        3 * tiny,
        normal - tiny,
        normal,
        normal + tiny,
        eps / 2,
        eps,
        1 - eps / 2,
        1.0,
    ]
    positive += [
        1 + eps,
        1.5,
        2.0,
        3.0,
        1 / eps,
        1 / eps + 1,
        fmt.max / 2,
        fmt.max * (1 - eps),
        fmt.max,
        np.inf,
    ]
    values = np.array([*positive, *(-v for v in positive), np.nan], np.float64)
    x, y = (Tensor(v.ravel(), format=name) for v in np.meshgrid(values, values))
    operations = {
        "add": lambda a, b: a + b,
        "sub": lambda a, b: a - b,
        "mul": lambda a, b: a * b,
        "div": lambda a, b: a / b,
        "sqrt": lambda a, b: a.sqrt(),
        "relu": lambda a, b: a.relu(),
    }

    def ask(torch):
        dtype = {"fp16": torch.float16, "bf16": torch.bfloat16}[name]
        a, b = (torch.tensor(t.data).to(dtype) for t in (x, y))
        found = [operation(a, b).float() for operation in operations.values()]
        # A NaN has no sign to compare; its bits would only differ from processor to processor.
        return [torch.where(t.isnan(), torch.nan, t).to(dtype).view(torch.int16) for t in found]

    codes = answers(f"arithmetic on special values {name}", ask, x.data, y.data)
    for (op, operation), other_codes in zip(operations.items(), codes, strict=True):
        ours, other = operation(x, y), fl.decode(other_codes.view(np.uint16), name)
        np.testing.assert_array_equal(ours.data, other, err_msg=op)
        number = ~np.isnan(other)
        np.testing.assert_array_equal(np.signbit(ours.data)[number], np.signbit(other)[number], err_msg=op)


# -- a mixed-precision step ----------------------------------------------------------------------------------


def test_a_step_under_autocast_follows_pytorch_on_the_cpu():
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((64, 32)).astype(np.float32), rng.integers(0, 10, 64)
    ours = nn.Sequential(nn.Linear(32, 48, rng=0), nn.ReLU(), nn.Linear(48, 10, rng=1))

    def ask(torch):
        theirs = torch.nn.Sequential(torch.nn.Linear(32, 48), torch.nn.ReLU(), torch.nn.Linear(48, 10))
        theirs.load_state_dict({name: torch.tensor(t.data) for name, t in ours.state_dict().items()})
        with torch.autocast("cpu", torch.bfloat16):
            other = theirs(torch.from_numpy(x))
            other_loss = torch.nn.functional.cross_entropy(other, torch.from_numpy(labels))
        assert other.dtype == torch.bfloat16 and other_loss.dtype == torch.float32
        other_loss.backward()
        assert all(q.grad.dtype == torch.float32 for q in theirs.parameters())
        return [other, other_loss, *(q.grad for q in theirs.parameters())]

    with fl.amp.autocast("bf16"):
        scores = ours(Tensor(x))
        loss = F.cross_entropy(scores, labels)
    assert (scores.format.name, loss.format.name) == ("bfloat16", "float32")
    weights = [p.data for p in ours.parameters()]
    other, other_loss, *other_gradients = answers("step under autocast", ask, x, labels, *weights)
    # PyTorch adds in float32, so a sum beside a tie may go the other way: one unit of bf16, seldom.
    turned = scores.data != other
    assert turned.mean() < 0.02
    np.testing.assert_allclose(scores.data, other, rtol=2.0**-7, atol=2.0**-9)
    assert abs(loss.item() - other_loss.item()) < 1e-3
    loss.backward()
    for p, q in zip(ours.parameters(), other_gradients, strict=True):
        assert p.grad.format.name == "float32"
        # every gradient has been a value of bf16 on its way
        np.testing.assert_array_equal(p.grad.data, fl.quantize(p.grad.data, "bf16"))
        scale = abs(q).max()
        np.testing.assert_allclose(p.grad.data, q, rtol=0, atol=2.0**-6 * scale)


# -- bad input -----------------------------------------------------------------------------------------------


def model(hidden: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, hidden, rng=0), nn.ReLU(), nn.Linear(hidden, 2, rng=1))


def images(count: int = 5) -> Tensor:
    return Tensor(np.ones((count, 4)))


def walked_twice() -> None:
    net = model()
    scores = net(images())
    scores.sum().backward()
    (scores * 2.0).sum().backward()


def weight_changed_by_a_step() -> None:
    net = model()
    loss, sgd = net(images()).sum(), optim.SGD(net.parameters(), lr=0.1)
    loss.backward(retain_graph=True)
    sgd.step()
    loss.backward()


def activation_changed() -> None:
    net = model()
    hidden = net[1](net[0](images()))
    loss = net[2](hidden).sum()
    with fl.no_grad():
        hidden.zero_()
    loss.backward()


def forgotten_parameter() -> None:
    net = model()
    optim.require_all(net.named_parameters(), optim.SGD([net[0].weight, net[0].bias, net[2].weight], lr=0.1))


def state_of_another_shape() -> None:
    model().load_state_dict(model(hidden=4).state_dict())


def state_of_another_format() -> None:
    model().load_state_dict(model().to("fp16").state_dict())


def optimizer_state_of_another_shape() -> None:
    saved = optim.SGD(model(hidden=4).parameters(), lr=0.1).state_dict()
    optim.SGD(model().parameters(), lr=0.1).load_state_dict(saved)


BAD: dict[str, tuple[Callable[[], Any], type[FloatlabError], str]] = {
    "backward from many numbers": (
        lambda: model()(images()).backward(),
        AutogradError,
        r"single number.*\(5, 2\).*'linear' in layer '2'",
    ),
    "backward through a freed graph": (
        walked_twice,
        AutogradError,
        "second walk through 'linear' in layer '2'",
    ),
    "a weight that a step has changed": (
        weight_changed_by_a_step,
        AutogradError,
        "'linear' in layer '2' needs (2.)?weight, which was changed",
    ),
    "an activation changed in place": (
        activation_changed,
        AutogradError,
        "'linear' in layer '2' needs input 0, which was changed",
    ),
    "a parameter in no optimizer": (forgotten_parameter, OptionError, r"Got none for 2\.bias\."),
    "a state of another shape": (
        state_of_another_shape,
        StateError,
        r"\(4, 4\) for '0.weight' of shape \(3, 4\)",
    ),
    "a state of another format": (state_of_another_format, StateError, "float16 for '0.weight' in float32"),
    "an optimizer's state of another shape": (
        optimizer_state_of_another_shape,
        StateError,
        r"parameter 0|'0.weight'",
    ),
    "a label out of range": (
        lambda: nn.CrossEntropyLoss()(model()(images()), [0, 1, 2, 0, 1]),
        DataError,
        r"labels 0 to 1.*Got label 2.*CrossEntropyLoss",
    ),
    "a negative label": (
        lambda: nn.NLLLoss()(model()(images()), [0, 1, -1, 0, 1]),
        DataError,
        r"Got label -1.*NLLLoss",
    ),
    "an index beyond an embedding": (
        lambda: nn.Embedding(3, 2, rng=0)([3]),
        ShapeError,
        r"rows 0 to 2.*Embedding",
    ),
    "images of another size": (
        lambda: model()(Tensor(np.ones((5, 3)))),
        ShapeError,
        r"\(5, 3\) and \(3, 4\).*In layer '0'",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_and_the_layer_or_parameter_named(case):
    run, error, words = BAD[case]
    with pytest.raises(error, match=words):
        run()


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv2d(1, 2, 3, rng=0), (0, 1, 8, 8)),
        (nn.MaxPool2d(2), (0, 1, 8, 8)),
        (nn.AvgPool2d(2), (0, 1, 8, 8)),
        (nn.BatchNorm1d(4), (0, 4)),
        (nn.BatchNorm2d(4), (0, 4, 3, 3)),
        (nn.LayerNorm(4), (0, 4)),
        (nn.RNN(4, 2, rng=0), (3, 0, 4)),
        (nn.LSTM(4, 2, rng=0), (3, 0, 4)),
        (nn.Linear(4, 2, rng=0), (0, 4)),
        (nn.ReLU(), (0, 4)),
        (nn.Softmax(-1), (0, 4)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_an_empty_batch_passes_or_is_said_to_be_one(layer, shape):
    x = Tensor(np.ones(shape))
    try:
        out = layer(x)
    except ShapeError as error:
        text = str(error)
        assert str(shape) in text and type(layer).__name__ in text
        assert any(way in text for way in ("empty batch", "larger batch", "example at least"))
        assert "NumPy" not in text
    else:
        assert out.size == 0


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss(), nn.NLLLoss(), nn.MSELoss(), nn.BCEWithLogitsLoss()])
def test_a_loss_of_no_examples_is_refused(loss):
    scores = model()(images(0))
    target = (
        np.zeros(0, int) if isinstance(loss, nn.CrossEntropyLoss | nn.NLLLoss) else Tensor(np.ones((0, 2)))
    )
    with pytest.raises(ShapeError, match=rf"empty batch.*{type(loss).__name__}"):
        loss(scores, target)


@pytest.mark.parametrize("case", ["a state of another shape", "a state of another format"])
def test_a_refused_state_leaves_the_model_as_it_was(case):
    net = model()
    before = {name: tensor.data.tobytes() for name, tensor in net.state_dict().items()}
    # Everything fits but the last tensor: what comes before it must not have been loaded.
    other = {name: Tensor(tensor.data + 1.0) for name, tensor in model().state_dict().items()}
    other["2.bias"] = Tensor(np.ones(3)) if "shape" in case else Tensor(np.ones(2), format="fp16")
    with pytest.raises(StateError, match=r"'2\.bias'"):
        net.load_state_dict(other)
    assert {name: tensor.data.tobytes() for name, tensor in net.state_dict().items()} == before
    assert all(tensor.format.name == "float32" for tensor in net.parameters())
