"""Methods that move values, or choose some, give PyTorch's values, shapes and gradients: nothing is rounded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import floatlab as fl
from floatlab.errors import OptionError, ShapeError

VALUES = [[1.0, -2.0, 3.0], [4.0, 5.0, -6.0]]
#: The call, and where each value of VALUES, counted in order, went.
CASES: dict[str, tuple[Callable[[Any, Any], Any], Any]] = {
    "swapaxes": (lambda L, x: x.swapaxes(0, 1), [[0, 3], [1, 4], [2, 5]]),
    "reshape_as": (lambda L, x: x.reshape_as(x.t()), [[0, 1], [2, 3], [4, 5]]),
    "ravel": (lambda L, x: x.ravel(), [0, 1, 2, 3, 4, 5]),
    "roll": (lambda L, x: x.roll(1, 1), [[2, 0, 1], [5, 3, 4]]),
    "roll back": (lambda L, x: x.roll(-1, -1), [[1, 2, 0], [4, 5, 3]]),
    "roll of all": (lambda L, x: x.roll(2), [[4, 5, 0], [1, 2, 3]]),
    "repeat_interleave": (
        lambda L, x: x.repeat_interleave(2, 0),
        [[0, 1, 2], [0, 1, 2], [3, 4, 5], [3, 4, 5]],
    ),
    "repeat_interleave of each": (lambda L, x: x[0].repeat_interleave(2), [0, 0, 1, 1, 2, 2]),
    "repeat_interleave by counts": (
        lambda L, x: x.repeat_interleave(L.tensor([2, 0, 1]), dim=1),
        [[0, 0, 2], [3, 3, 5]],
    ),
    "masked_select": (lambda L, x: x.masked_select(x > 2), [2, 3, 4]),
    "masked_select of columns": (lambda L, x: x.masked_select(L.tensor([True, False, True])), [0, 2, 3, 5]),
}


def _seen(library: Any, name: str) -> tuple[Any, Any]:
    x = library.tensor(VALUES, requires_grad=True)
    y = CASES[name][0](library, x)
    (y * y).sum().backward()
    return y.tolist(), x.grad.tolist()


@pytest.mark.parametrize("name", CASES)
def test_values_go_where_pytorchs_go_and_their_gradients_come_back(name: str) -> None:
    places = np.array(CASES[name][1])
    values, gradient = _seen(fl, name)
    assert values == np.ravel(VALUES)[places].tolist()
    counts = np.bincount(places.ravel(), minlength=6).reshape(2, 3)
    assert gradient == (2 * np.array(VALUES) * counts).tolist()


@pytest.mark.parametrize("name", CASES)
def test_pytorch_moves_them_there(name: str) -> None:
    assert _seen(pytest.importorskip("torch"), name) == _seen(fl, name)


def test_a_format_is_asked_for_by_pytorchs_names() -> None:
    x = fl.tensor([1.0, 2.5], dtype="bf16")
    assert x.nelement() == 2
    assert (
        x.type(fl.float16).format.name
        == fl.ones(1).type_as(fl.ones(1, dtype="fp16")).format.name
        == "float16"
    )
    assert x.type_as(fl.tensor([1, 2])).tolist() == [1, 2]


def test_relu_in_place_writes_to_its_argument() -> None:
    x = fl.tensor([-1.0, 2.0])
    y = fl.nn.functional.relu(x, inplace=True)
    assert y is x
    assert x.tolist() == [0.0, 2.0]
    assert fl.nn.functional.relu(fl.tensor([-1.0]), inplace=False).tolist() == [0.0]
    with pytest.raises(OptionError, match="inplace"):
        fl.nn.functional.relu(x, inplace="yes")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda x: x.roll((1, 2), (0, 1)), "whole number"),
        (lambda x: x.roll(1, 2), "axis"),
        (lambda x: x.repeat_interleave(-1, 0), "-1"),
        (lambda x: x.repeat_interleave([1, 2], 1), "for each part"),
        (lambda x: x.repeat_interleave(1.5, 0), "1.5"),
        (lambda x: x.masked_select([True, False]), "mask"),
    ],
)
def test_what_cannot_be_moved_is_said_in_our_words(call: Any, said: str) -> None:
    with pytest.raises(ShapeError, match=said):
        call(fl.tensor(VALUES))
