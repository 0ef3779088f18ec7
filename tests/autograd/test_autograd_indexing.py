"""A whole number beside arrays in an index is taken first, as in PyTorch: the other axes keep their order."""

from __future__ import annotations

import numpy as np
import pytest

from floatlab.autograd import Tensor, no_grad

SHAPE = (2, 3, 4, 5)
X = np.arange(120.0).reshape(SHAPE)
MASK = np.array([True, False, True])
PLANE = np.arange(12).reshape(3, 4) % 5 == 0

# an index, and the same in two steps of NumPy that leave no choice
STEPS = {
    "a number, a slice, a list": ((0, slice(None), [1, 2]), lambda a: a[0][:, [1, 2]]),
    "two slices between": ((1, slice(None), slice(1, None), [1, 2]), lambda a: a[1][:, 1:][:, :, [1, 2]]),
    "a number in the middle": ((slice(None), -1, slice(None), [4, 2]), lambda a: a[:, -1][:, :, [4, 2]]),
    "an ellipsis between": ((0, ..., [1, 2]), lambda a: a[0][..., [1, 2]]),
    "a new axis between": ((0, None, [1, 2]), lambda a: a[0][[1, 2]][None]),
    "an array, a slice, a number": (([0, 1], slice(None), 1), lambda a: a[:, :, 1][[0, 1]]),
    "side by side": (([0, 1, 1], 2), lambda a: a[:, 2][[0, 1, 1]]),
    "a mask": ((0, slice(None), [True, False, True, True]), lambda a: a[0][:, [0, 2, 3]]),
    "a mask of two axes": ((slice(None), PLANE, 3), lambda a: a[..., 3][:, PLANE]),
    "a number of NumPy": ((np.int64(0), slice(None), np.array([1, 2])), lambda a: a[0][:, [1, 2]]),
    "a number in an array": ((np.array(0), slice(None), [1, 2]), lambda a: a[0][:, [1, 2]]),
    "numbers on both sides": ((0, slice(None), [1, 2], -1), lambda a: a[0, :, :, -1][:, [1, 2]]),
    "two arrays": ((0, slice(None), [1, 2], [0, 1]), lambda a: a[0][:, [1, 2], [0, 1]]),
    "two arrays apart": ((slice(None), [0, 1], 0, [0, 1]), lambda a: a[:, :, 0][:, [0, 1], [0, 1]]),
    "a table of places": ((0, slice(None), [[1, 2], [0, 0]]), lambda a: a[0][:, [[1, 2], [0, 0]]]),
}


@pytest.mark.parametrize("name", STEPS)
def test_a_number_is_taken_before_the_arrays(name: str) -> None:
    key, expected = STEPS[name]
    assert np.array_equal(Tensor(X)[key].data, expected(X))


@pytest.mark.parametrize("name", STEPS)
def test_the_gradient_goes_back_to_the_places_that_were_read(name: str) -> None:
    key, expected = STEPS[name]
    x = Tensor(X, format="float64", requires_grad=True)
    taken = x[key]
    weights = np.random.default_rng(1).integers(1, 9, taken.shape).astype(np.float64)
    (taken * Tensor(weights, format="float64")).sum().backward()
    places = expected(np.arange(120).reshape(SHAPE))
    wanted = np.zeros(120)
    np.add.at(wanted, places, weights)
    assert np.array_equal(x.grad.data.ravel(), wanted)


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("recorded", [False, True])
def test_an_assignment_writes_where_the_same_index_reads(name: str, recorded: bool) -> None:
    key, expected = STEPS[name]
    places = expected(np.arange(120).reshape(SHAPE))
    values = -1.0 - np.arange(places.size, dtype=np.float64).reshape(places.shape)
    wanted = X.copy().ravel()
    wanted[places] = values
    v = Tensor(values, format="float64", requires_grad=recorded)
    x = Tensor(X, format="float64").clone()
    x[key] = v
    assert np.array_equal(x.data.ravel(), wanted)
    if recorded:
        (x * Tensor(X + 1.0, format="float64")).sum().backward()
        last = np.array([np.flatnonzero(places.ravel() == p)[-1] for p in places.ravel()])
        stays = (last == np.arange(places.size)).reshape(places.shape)
        assert np.array_equal(v.grad.data, np.where(stays, (X + 1.0).ravel()[places], 0.0))


def test_a_parameter_is_assigned_to_under_no_grad() -> None:
    x = Tensor(X, requires_grad=True)
    with no_grad():
        x[0, :, [1, 2]] = 0.0
    assert not x.data[0][:, [1, 2]].any() and x.data[1].all()


def test_arrays_alone_keep_numpys_order_which_is_pytorchs() -> None:
    for key in (
        ([0, 1], slice(None), [1, 2]),
        (slice(None), [0, 1], slice(None), [1, 2]),
        ([[0, 1]], slice(None), [1, 2]),
        (True, slice(None), [0, 1]),
        (slice(None), MASK),
    ):
        assert np.array_equal(Tensor(X)[key].data, X[key])


def test_random_indices_are_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(7)
    compared = 0
    for _ in range(600):
        key, axis = [], 0
        while axis < 4 and rng.random() < 0.9:
            kind = rng.integers(6)
            if kind == 0:
                key.append(int(rng.integers(-SHAPE[axis], SHAPE[axis])))
            elif kind == 1:
                key.append(slice(int(rng.integers(0, 2)), None))
            elif kind == 2:
                key.append(rng.integers(0, SHAPE[axis], 2).tolist())
            elif kind == 3:
                mask = np.zeros(SHAPE[axis], bool)
                mask[[0, -1]] = True
                key.append(mask.tolist())
            elif kind == 4:
                key.append(None)
                continue
            elif ... not in [k for k in key if k is ...] and rng.random() < 0.5:
                key.append(...)
                break
            else:
                continue
            axis += 1
        expected = torch.tensor(X)[tuple(key)].numpy()
        found = Tensor(X)[tuple(key)].data
        assert found.shape == expected.shape and np.array_equal(found, expected), key
        compared += 1
    assert compared == 600
