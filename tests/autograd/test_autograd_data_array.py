"""`x.data` is the tensor's memory as an array, and takes the tensor's methods: `p.data.mul_(0.5)`."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from torch_answers import answers

import floatlab as fl
from floatlab import nn
from floatlab.autograd import Tensor
from floatlab.errors import AutogradError

START = [1.0, -2.5, 0.75]
PROGRAMS = {
    "mul": "p.data.mul_(0.5)",
    "chained": "p.data.mul_(0.9).add_(q.data, alpha=0.1)",
    "descent": "p.data.sub_(0.1 * q.data)",
    "axpy": "p.data.add_(q.data, alpha=-0.01)",
    "clamp": "p.data.clamp_(-1.0, 1.0)",
    "copy": "p.data.copy_(q.data)",
    "zero": "p.data.zero_()",
    "fill": "p.data.fill_(0.5)",
    "augmented": "p.data += q.data",
    "scaled": "p.data *= 0.5",
    "assigned": "p.data = 0.5 * p.data",
    "part": "p.data[1:].mul_(3.0)",
    "norm": "p.data.div_(p.data.norm())",
    "clone": "p.data.copy_(p.data.clone().abs())",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_methods_of_data_change_the_tensor_as_in_pytorch(name: str) -> None:
    q = np.array([0.5, 0.25, -3.0], np.float32)

    def run(make: object) -> object:
        names = {"p": make(START, requires_grad=True), "q": make(q.tolist())}  # type: ignore[operator]
        exec(PROGRAMS[name], names)
        return names["p"]

    expected = answers(f"data: {name}", lambda torch: run(torch.tensor).detach(), q)
    p = run(fl.tensor)
    np.testing.assert_allclose(p.data, expected, rtol=1e-6)
    assert p.requires_grad and p.is_leaf and p.grad is None


def test_a_change_is_rounded_once_to_the_tensors_format() -> None:
    p = Tensor([1.0, 3.0], format="e4m3", requires_grad=True)
    p.data.mul_(0.3)
    assert p.tolist() == [0.3125, 0.875]
    p.data += 0.01
    assert p.tolist() == [0.3125, 0.875]


def test_a_change_is_noted_so_that_backward_does_not_use_old_values_in_silence() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = x * x
    x.data.mul_(2.0)
    with pytest.raises(AutogradError, match="changed"):
        y.sum().backward()


def test_the_array_is_the_memory_and_what_numpy_makes_of_it_is_plain() -> None:
    x = Tensor([[1.0, 2.0], [3.0, 4.0]])
    assert isinstance(x.data, np.ndarray) and np.shares_memory(x.data, x.array)
    for made in (
        x.data + 1,
        np.exp(x.data),
        x.data @ x.data,
        x.data.sum(axis=0),
        np.where(x.data > 1, 1.0, 0.0),
    ):
        assert type(made) is np.ndarray
    assert type(x.data.sum()) is np.float32
    x.data[0] = 7.0
    assert x.tolist() == [[7.0, 7.0], [3.0, 4.0]]
    assert type(x.array) is np.ndarray and type(x.numpy()) is np.ndarray and type(np.asarray(x)) is np.ndarray


def test_what_is_added_in_place_stays_in_the_memory_that_others_hold() -> None:
    x = Tensor(np.ones((2, 3)))
    memory, turned = x.array, Tensor(np.ones((2, 2)))
    x.data += 1.0
    x.data *= 2.0
    assert x.array is memory and x.tolist() == [[4.0] * 3] * 2
    turned.data[0, 1] = 5.0
    turned.data = turned.data.T
    assert turned.tolist() == [[1.0, 1.0], [5.0, 1.0]]


def test_a_gradients_data_is_zeroed_in_place() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    x.grad.data.zero_()
    assert x.grad.tolist() == [0.0, 0.0]


def test_weights_are_drawn_anew_through_their_data() -> None:
    a, b = nn.Linear(3, 2, rng=0), nn.Linear(3, 2, rng=1)
    nn.init.normal_(a.weight.data, 0.0, 0.02, rng=5)
    b.weight.data.normal_(0.0, 0.02, rng=5)
    assert np.array_equal(a.weight.data, b.weight.data) and 0 < np.abs(a.weight.data).max() < 0.2
    nn.init.constant_(a.bias.data, 0)
    assert not a.bias.data.any()
    nn.init.uniform_(a.weight.data, -1.0, 1.0, rng=3)
    b.weight.data.uniform_(-1.0, 1.0, rng=3)
    assert np.array_equal(a.weight.data, b.weight.data)
    nn.init.xavier_uniform_(a.weight.data, rng=2)
    nn.init.xavier_uniform_(b.weight, rng=2)
    assert np.array_equal(a.weight.data, b.weight.data)


def test_a_copy_travels_as_a_plain_array() -> None:
    x = Tensor([1.0, 2.0])
    for made in (pickle.loads(pickle.dumps(x.data)), copy.deepcopy(x.data)):
        assert np.array_equal(made, x.data) and not np.shares_memory(made, x.array)
    assert repr(x.data) == "array([1., 2.], dtype=float32)"


def test_what_neither_an_array_nor_a_tensor_has_is_an_attribute_error() -> None:
    x = Tensor([1.0, 2.0])
    with pytest.raises(AttributeError, match="multiply_"):
        x.data.multiply_(2)
    with pytest.raises(AttributeError, match="of no tensor's format"):
        x.data.astype(np.float64).mul_(2.0)
    assert not hasattr(x.data, "_repr_html_")
