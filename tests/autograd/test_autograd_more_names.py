"""Drawing by weights, sharing an array's memory, and comparing: what a loop types around the computation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import floatlab as fl
from floatlab.errors import DtypeError, OptionError, ShapeError


def test_places_are_drawn_with_the_probabilities_of_their_weights() -> None:
    drawn = fl.multinomial(fl.tensor([1.0, 0.0, 3.0]), 4000, replacement=True, rng=0)
    counts = np.bincount(drawn, minlength=3)
    assert counts[1] == 0
    assert abs(counts[2] / 4000 - 0.75) < 5 * (0.75 * 0.25 / 4000) ** 0.5
    assert fl.multinomial(fl.tensor([[0.0, 1.0], [2.0, 0.0]]), num_samples=1).tolist() == [[1], [0]]
    assert sorted(fl.multinomial(fl.ones(5), 5).tolist()) == [0, 1, 2, 3, 4]  # none comes twice
    fl.manual_seed(3)
    first = fl.multinomial(fl.ones(9), 9).tolist()
    fl.manual_seed(3)
    assert fl.multinomial(fl.ones(9), 9).tolist() == first


@pytest.mark.parametrize("values", [np.ones(3, np.float32), np.ones(3), np.ones(3, np.int64)])
def test_a_tensor_from_an_array_has_its_memory(values: Any) -> None:
    x = fl.from_numpy(values)
    values[0] = 7
    x[1] = 5
    assert x.tolist() == values.tolist() == [7, 5, 1]
    assert str(x.dtype) == str(values.dtype)


def test_an_array_that_cannot_be_shared_is_copied() -> None:
    values = np.ones(2, np.float16)
    x = fl.from_numpy(values)  # fp16 values are held in float32
    values[0] = 7
    assert (x.tolist(), x.format.name) == ([1, 1], "float16")
    frozen = np.broadcast_to(np.float32(1), (2,))
    assert fl.from_numpy(frozen).add_(1).tolist() == [2, 2]


def test_tensors_are_compared_whole() -> None:
    x = fl.tensor([1.0, 2.0])
    assert fl.equal(x, fl.tensor([1.0, 2.0]))
    assert not fl.equal(x, fl.tensor([1.0, 2.5]))
    assert not fl.equal(x, fl.tensor([[1.0, 2.0]]))
    assert fl.equal(fl.tensor([1, 2]), fl.tensor([1, 2]))
    assert fl.allclose(x, x * 1.000001)
    assert not fl.allclose(x, x * 1.001)
    assert fl.allclose(fl.tensor([float("nan")]), fl.tensor([float("nan")]), equal_nan=True)
    assert not fl.allclose(fl.tensor([float("nan")]), fl.tensor([float("nan")]))


def test_methods_are_functions_too() -> None:
    x = fl.tensor([-1.0, 2.0], requires_grad=True)
    (fl.abs(x) + fl.pow(x, 2) + fl.clip(x, 0, 1)).sum().backward()
    assert x.grad.tolist() == [-1 - 2 + 0, 1 + 4 + 0]


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: fl.multinomial(fl.tensor([1.0, 0.0]), 2), OptionError, "num_samples=2 of 1"),
        (lambda: fl.multinomial(fl.tensor([1.0, -1.0]), 1), OptionError, "least weight of -1"),
        (lambda: fl.multinomial(fl.zeros(3), 1), OptionError, "one is positive"),
        (lambda: fl.multinomial(fl.tensor([float("nan"), 1.0]), 1), OptionError, "nan"),
        (lambda: fl.multinomial(fl.ones(3), 0, replacement=True), OptionError, "num_samples=0"),
        (lambda: fl.from_numpy([1.0]), DtypeError, "list"),
        (lambda: fl.equal(fl.ones(1), 1.0), DtypeError, "equal takes two tensors. Got float"),
        (lambda: fl.allclose(fl.ones(2), fl.ones(3)), ShapeError, "allclose"),
    ],
)
def test_what_does_not_fit_is_said_in_our_words(call: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        call()
