"""Labels and truth values answer PyTorch's methods with PyTorch's meaning, and NumPy's functions with NumPy's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import floatlab as fl
from floatlab.errors import DtypeError, OptionError, ShapeError

#: Each as the library ``L`` and its labels ``y``, of shape (2, 3), would be typed, with PyTorch's answer.
CASES: dict[str, tuple[Callable[[Any, Any], Any], Any]] = {
    "size": (lambda L, y: [y.size(0), *y.size()], [2, 2, 3]),
    "view": (lambda L, y: y.view(-1), [0, 1, 2, 3, 4, 5]),
    "view of a size": (lambda L, y: y.view(6), [0, 1, 2, 3, 4, 5]),
    "view of two": (lambda L, y: y.view(3, 2), [[0, 1], [2, 3], [4, 5]]),
    "view_as": (lambda L, y: y.view_as(y.t()), [[0, 1], [2, 3], [4, 5]]),
    "flatten": (lambda L, y: y[None].flatten(1), [[0, 1, 2, 3, 4, 5]]),
    "t": (lambda L, y: y.t(), [[0, 3], [1, 4], [2, 5]]),
    "transpose": (lambda L, y: y.transpose(0, 1), [[0, 3], [1, 4], [2, 5]]),
    "transpose of the last": (lambda L, y: y.transpose(-2, -1), [[0, 3], [1, 4], [2, 5]]),
    "permute": (lambda L, y: y.permute(1, 0), [[0, 3], [1, 4], [2, 5]]),
    "repeat": (lambda L, y: y.repeat(2, 1), [[0, 1, 2], [3, 4, 5], [0, 1, 2], [3, 4, 5]]),
    "repeat of a vector": (lambda L, y: y[0].repeat(2), [0, 1, 2, 0, 1, 2]),
    "expand": (lambda L, y: y[:1].expand(2, -1), [[0, 1, 2], [0, 1, 2]]),
    "expand_as": (lambda L, y: y[0].expand_as(y), [[0, 1, 2], [0, 1, 2]]),
    "squeeze": (lambda L, y: y[:1].squeeze(0), [0, 1, 2]),
    "squeeze of a longer axis": (lambda L, y: y.squeeze(0), [[0, 1, 2], [3, 4, 5]]),
    "unsqueeze": (lambda L, y: y[0].unsqueeze(1), [[0], [1], [2]]),
    "chunk": (lambda L, y: y.chunk(2)[1], [[3, 4, 5]]),
    "split": (lambda L, y: y.split(2, dim=1)[1], [[2], [5]]),
    "sum": (lambda L, y: y.sum(dim=1), [3, 12]),
    "sum with its axis": (lambda L, y: y.sum(1, keepdim=True), [[3], [12]]),
    "max": (lambda L, y: y.max(1)[0], [2, 5]),
    "where the maximum is": (lambda L, y: y.max(dim=1).indices, [2, 2]),
    "min": (lambda L, y: y.min(0)[1], [0, 0, 0]),
    "argmax": (lambda L, y: y.argmax(dim=1, keepdim=True), [[2], [2]]),
    "all": (lambda L, y: (y > 2).all(dim=1), [False, True]),
    "any": (lambda L, y: (y > 4).any(1), [False, True]),
    "nonzero": (lambda L, y: (y > 3).nonzero(), [[1, 1], [1, 2]]),
    "nonzero by axes": (lambda L, y: (y > 3).nonzero(as_tuple=True)[1], [1, 2]),
    "lt": (lambda L, y: y.lt(1), [[True, False, False], [False, False, False]]),
    "gather": (lambda L, y: y.gather(1, L.tensor([[2], [0]])), [[2], [3]]),
    "gather of fewer rows": (lambda L, y: y.gather(1, L.tensor([[2, 0, 0, 1]])), [[2, 0, 0, 1]]),
    "clamp": (lambda L, y: y.clamp(1, 4), [[1, 1, 2], [3, 4, 4]]),
    "masked_fill": (lambda L, y: y.masked_fill(y == 1, -100), [[0, -100, 2], [3, 4, 5]]),
    "to a device": (lambda L, y: y.to("cpu"), [[0, 1, 2], [3, 4, 5]]),
    "to a type": (lambda L, y: y.to(L.float32) / 2, [[0, 0.5, 1], [1.5, 2, 2.5]]),
    "stack": (lambda L, y: L.stack([y[0], y[1]], dim=1), [[0, 3], [1, 4], [2, 5]]),
    "cat": (lambda L, y: L.cat((y, y[:, :1]), dim=1), [[0, 1, 2, 0], [3, 4, 5, 3]]),
    "where": (lambda L, y: L.where(y > 2, y, -1), [[-1, -1, -1], [3, 4, 5]]),
    "the function max": (lambda L, y: L.max(y, 1)[1], [2, 2]),
    "the data of a tensor": (lambda L, y: L.max(y.float().data, 1)[1], [2, 2]),
    "one_hot": (lambda L, y: L.nn.functional.one_hot(y[0], num_classes=4).float()[2], [0, 0, 1, 0]),
}


@pytest.mark.parametrize("name", CASES)
def test_labels_answer_pytorchs_methods_with_pytorchs_meaning(name: str) -> None:
    call, wanted = CASES[name]
    y = fl.tensor([[0, 1, 2], [3, 4, 5]])
    got = call(fl, y)
    assert (got.tolist() if hasattr(got, "tolist") else got) == wanted
    assert y.tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize("name", CASES)
def test_pytorch_gives_the_answers_that_are_written_here(name: str) -> None:
    torch = pytest.importorskip("torch")
    call, wanted = CASES[name]
    got = call(torch, torch.tensor([[0, 1, 2], [3, 4, 5]]))
    assert (got.tolist() if hasattr(got, "tolist") else got) == wanted


def test_the_type_of_labels_is_a_type_for_others() -> None:
    y = fl.tensor([2, 0, 1])
    assert (y + 3).to(y.dtype).tolist() == [5, 3, 4]
    assert fl.tensor([2.7, -3.0]).to(y.dtype).tolist() == [
        2,
        -3,
    ]  # not truth values, though dtype("int64") == int
    assert fl.zeros(2, dtype=y.dtype).dtype == fl.full((1,), 7, dtype=y.dtype).dtype == np.int64
    assert fl.full((1,), 7, dtype=y.dtype).tolist() == fl.tensor([7.0]).to(np.dtype("int64")).tolist() == [7]
    assert fl.tensor([2.0, 0.0]).to((y > 1).dtype).tolist() == [True, False]
    assert fl.tensor([300.0]).to(np.dtype("int32")).tolist() == [300]
    scores = fl.tensor([[0.1, 0.2, 0.9], [0.8, 0.0, 0.1], [0.9, 0.2, 0.1]])
    assert (scores.argmax(axis=1).to(y.dtype) == y).sum() == 2


def test_numpys_functions_of_labels_keep_numpys_meaning() -> None:
    y, plain = fl.tensor([[0, 1, 2], [3, 4, 5]]), np.arange(6).reshape(2, 3)
    for function in (
        lambda a: np.repeat(a, 2, axis=1),
        lambda a: np.repeat(a, 2),
        lambda a: np.transpose(a, (1, 0)),
        lambda a: np.max(a, axis=1),
        lambda a: np.max(a, 1),
        lambda a: np.sum(a, axis=1, keepdims=True),
        lambda a: np.sum(a, 0, np.float64),
        lambda a: np.all(a, axis=0),
        lambda a: np.argmax(a, axis=1),
        lambda a: np.squeeze(a[:1], axis=0),
        lambda a: a.max(axis=1),
        lambda a: a.repeat(2, axis=0),
        lambda a: a.view(np.uint64),
        lambda a: np.sort(-a, axis=1),
        lambda a: np.ravel(a),
        lambda a: np.flatnonzero(a > 2),
        lambda a: a.flatten("F"),
        lambda a: np.argwhere(a > 2),
    ):
        np.testing.assert_array_equal(function(y), function(plain))
    assert [a.tolist() for a in np.nonzero(y > 3)] == [a.tolist() for a in np.nonzero(plain > 3)]


def test_a_view_of_labels_shares_their_memory_and_a_clone_does_not() -> None:
    y = fl.tensor([[0, 1], [2, 3]])
    y.view(-1)[0], y.clone()[:] = 7, 9
    y.flatten()[1] = 8
    y.t()[0, 1] = 6
    assert y.tolist() == [[7, 8], [6, 3]]


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda y: y.masked_fill(y == 1, 0.5), DtypeError, "0.5"),
        (lambda y: y.repeat(2), ShapeError, "np.repeat"),
        (lambda y: y.expand(3, 4), ShapeError, "expand"),
        (lambda y: y.split(0), ShapeError, "size=0"),
        (lambda y: y[None].t(), ShapeError, "transpose"),
        (lambda y: fl.cat([y, y[0]]), ShapeError, "dim=0"),
        (lambda y: fl.max([1, 2], 0), DtypeError, "list"),
        (lambda y: fl.Tensor(2, 3), OptionError, "requires_grad is True or False. Got 3"),
        (lambda y: fl.nn.functional.one_hot(y, num_classes=2), fl.FloatlabError, "from 0 to 5"),
    ],
)
def test_what_labels_cannot_do_is_said_in_our_words(call: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        call(fl.tensor([[0, 1, 2], [3, 4, 5]]))
