"""Cells take the steps of their layers, and convolutions surround their images by other things than zeros."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from torch_answers import answers

from floatlab import nn
from floatlab.autograd import Tensor
from floatlab.errors import FloatlabError, OptionError, ShapeError

X = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
STATE = np.random.default_rng(1).normal(size=(2, 2, 5)).astype(np.float32)


@pytest.mark.parametrize("name", ["RNNCell", "GRUCell", "LSTMCell"])
@pytest.mark.parametrize("bias", [True, False])
def test_a_step_of_a_cell_is_pytorchs(name: str, bias: bool) -> None:
    cell = getattr(nn, name)(3, 5, bias, rng=0)
    state = {key: value.data for key, value in cell.state_dict().items()}

    def run(module: Any, make: Any) -> list[Any]:
        x = make(X)
        given = make(STATE[0]) if name != "LSTMCell" else (make(STATE[0]), make(STATE[1]))
        found = []
        for made in (module(x), module(x, given), module(x[0])):
            found += [np.asarray(t.detach()) for t in (made if isinstance(made, tuple) else (made,))]
        first = module(x, given)
        ((first[1] if name == "LSTMCell" else first) ** 2).sum().backward()
        return found + [np.asarray(p.grad.detach()) for p in module.parameters()]

    def ask(torch: Any) -> Any:
        theirs = getattr(torch.nn, name)(3, 5, bias)
        theirs.load_state_dict({key: torch.tensor(np.array(value)) for key, value in state.items()})
        return run(theirs, lambda a: torch.tensor(a))

    expected = answers(f"{name} with{'' if bias else 'out'} bias", ask, X, STATE)
    for found, wanted in zip(run(cell, Tensor), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["RNN", "GRU", "LSTM"])
def test_a_loop_over_a_cell_is_the_layer_bit_for_bit(name: str) -> None:
    layer, cell = getattr(nn, name)(3, 5, rng=7), getattr(nn, f"{name}Cell")(3, 5, rng=7)
    for key, value in cell.state_dict().items():
        assert np.array_equal(value.data, layer.state_dict()[f"{key}_l0"].data)
    x = Tensor(np.random.default_rng(2).normal(size=(4, 2, 3)))
    outputs, _ = layer(x)
    state: Any = None
    for t in range(4):
        state = cell(x[t], state)
        assert np.array_equal((state[0] if name == "LSTM" else state).data, outputs[t].data)


def test_a_cell_refuses_what_is_no_step() -> None:
    for make in (nn.RNNCell, nn.GRUCell, nn.LSTMCell):
        cell = make(3, 5, rng=0)
        for run in (
            lambda cell=cell: cell(Tensor(np.ones((2, 4)))),
            lambda cell=cell: cell(Tensor(np.ones((1, 2, 3)))),
            lambda cell=cell: cell(Tensor(np.ones((2, 3))), (Tensor(np.ones((1, 5))),) * 2),
            lambda cell=cell: cell(Tensor(np.ones((2, 3))), 0.5),
        ):
            with pytest.raises(ShapeError, match="Got"):
                run()
        with pytest.raises(FloatlabError):
            make(0, 5)
    assert repr(nn.GRUCell(3, 5, rng=0)) == "GRUCell(3, 5)" and repr(nn.LSTMCell(3, 5)) == "LSTMCell(3, 5)"
    assert nn.RNNCell(3, 5, nonlinearity="relu", rng=0)(Tensor(np.ones(3))).data.min() >= 0.0


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize(
    ("name", "padding"), [("Conv1d", 2), ("Conv2d", (1, 2)), ("Conv2d", "same"), ("Conv1d", "same")]
)
def test_a_convolution_surrounds_its_images_as_pytorchs(name: str, padding: Any, mode: str) -> None:
    kernel = 3 if name == "Conv1d" else (3, 4)
    layer = getattr(nn, name)(2, 3, kernel, padding=padding, padding_mode=mode, rng=0)
    x = (
        np.random.default_rng(3)
        .normal(size=(2, 2, 6) if name == "Conv1d" else (2, 2, 5, 6))
        .astype(np.float32)
    )

    def ask(torch: Any) -> Any:
        theirs = getattr(torch.nn, name)(2, 3, kernel, padding=padding, padding_mode=mode)
        for key in ("weight", "bias"):
            getattr(theirs, key).data = torch.tensor(np.array(getattr(layer, key).data))
        a = torch.tensor(x, requires_grad=True)
        z = theirs(a)
        (z * z).sum().backward()
        return [z, a.grad, theirs.weight.grad]

    expected = answers(f"{name} {padding} {mode}", ask, x)
    a = Tensor(x, requires_grad=True)
    z = layer(a)
    (z * z).sum().backward()
    for found, wanted in zip((z, a.grad, layer.weight.grad), expected, strict=True):
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found.data, wanted, rtol=1e-4, atol=1e-4)


def test_a_padding_mode_that_is_none_is_refused() -> None:
    with pytest.raises(OptionError, match="padding_mode"):
        nn.Conv2d(1, 1, 3, padding_mode="mirror")
    with pytest.raises(OptionError, match="padding_mode"):
        nn.ConvTranspose2d(1, 1, 3, padding_mode="reflect")
    with pytest.raises(ShapeError, match="reflect pads by less"):
        nn.Conv2d(1, 1, 3, padding=4, padding_mode="reflect", rng=0)(Tensor(np.ones((1, 1, 3, 3))))
