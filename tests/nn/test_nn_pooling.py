"""Pooling of sequences: PyTorch's results and gradients, and windows that cannot be."""

from typing import Any

import numpy as np
import pytest
from torch_answers import answers

from floatlab import nn
from floatlab.autograd import Tensor, gradcheck
from floatlab.errors import OptionError, ShapeError

F = nn.functional


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("name", ["MaxPool1d", "AvgPool1d"])
@pytest.mark.parametrize("options", [(2,), (3, 2), (3, 2, 1), (4, 1, 2), ((3,), (1,), (1,)), (7,)], ids=str)
def test_sequences_are_pooled_as_in_pytorch(name: str, options: tuple[Any, ...]) -> None:
    x = numbers(2, 3, 7)

    def ask(torch: Any) -> Any:
        a = torch.tensor(x, requires_grad=True)
        z = getattr(torch.nn, name)(*options)(a)
        z.backward(torch.tensor(numbers(*z.shape, seed=1)))
        return [z, a.grad]

    z, gradient = answers(f"{name}{options}", ask, x)
    a = Tensor(x, requires_grad=True)
    y = getattr(nn, name)(*options)(a)
    assert y.shape == z.shape
    np.testing.assert_allclose(y.data, z, rtol=1e-6, atol=1e-7)
    y.backward(numbers(*y.shape, seed=1))
    np.testing.assert_allclose(a.grad.data, gradient, rtol=1e-6, atol=1e-7)


CEILED = [(3, 2, 0), (3, 2, 1), (2, 3, 1), (4, 3, 2), (5, 4, 0), (2, 2, 1), (3, 5, 1), (7, 2, 3)]


@pytest.mark.parametrize("length", [7, 10])
@pytest.mark.parametrize("window", CEILED, ids=str)
def test_a_window_that_begins_on_the_image_counts_with_ceil_mode(window: Any, length: int) -> None:
    x = numbers(1, 2, length, length + 2)

    def ask(torch: Any) -> Any:
        found = []
        layers = [torch.nn.MaxPool2d(*window, ceil_mode=True)]
        layers += [
            torch.nn.AvgPool2d(*window, ceil, counts) for ceil in (True, False) for counts in (True, False)
        ]
        layers += [torch.nn.AvgPool2d(*window, True, divisor_override=3)]
        for layer in layers:
            a = torch.tensor(x, requires_grad=True)
            z = layer(a)
            z.backward(torch.tensor(numbers(*z.shape, seed=1)))
            found += [z, a.grad]
        return found

    expected = answers(f"windows {window} over {length}", ask, x)
    layers: list[Any] = [nn.MaxPool2d(*window, ceil_mode=True)]
    layers += [nn.AvgPool2d(*window, ceil, counts) for ceil in (True, False) for counts in (True, False)]
    layers += [nn.AvgPool2d(*window, True, divisor_override=3)]
    for place, layer in enumerate(layers):
        a = Tensor(x, requires_grad=True)
        y = layer(a)
        z, gradient = expected[2 * place : 2 * place + 2]
        assert y.shape == z.shape, layer
        np.testing.assert_allclose(y.data, z, rtol=1e-6, atol=5e-7)
        y.backward(numbers(*y.shape, seed=1))
        np.testing.assert_allclose(a.grad.data, gradient, rtol=1e-6, atol=1e-6)


def test_sequences_are_pooled_with_ceil_mode_too() -> None:
    x = Tensor([[[1.0, 3.0, 2.0, 6.0, 5.0]]], requires_grad=True)
    assert nn.MaxPool1d(2, ceil_mode=True)(x).tolist() == [[[3.0, 6.0, 5.0]]]
    assert nn.AvgPool1d(2, ceil_mode=True)(x).tolist() == [[[2.0, 4.0, 5.0]]]
    assert nn.AvgPool1d(2, 2, 1, count_include_pad=False)(x).tolist() == [[[1.0, 2.5, 5.5]]]


@pytest.mark.parametrize(
    "options", [(2, 2, 1, True, False), (3, 2, 1, True), (3, 2, 0, True), (2, 3, 1)], ids=str
)
def test_the_slopes_of_windows_agree_with_central_differences(options: tuple[Any, ...]) -> None:
    sequence = Tensor(numbers(2, 2, 6), requires_grad=True, format="fp64")
    gradcheck(lambda x: F.avg_pool1d(x, *options), [sequence])
    gradcheck(lambda x: F.max_pool1d(x, *options[:3], ceil_mode=len(options) > 3), [sequence])
    gradcheck(lambda x: F.avg_pool2d(x.unsqueeze(2).expand(2, 2, 5, 6), *options), [sequence])


@pytest.mark.parametrize("fmt", ["fp16", "bf16", "e4m3"])
def test_a_maximum_is_chosen_and_a_mean_rounded_once(fmt: str) -> None:
    x = Tensor([[[1.0, 1.25, 1.5, -2.0, -0.5, 7.0]]], format=fmt)
    assert nn.MaxPool1d(3)(x).tolist() == [[[1.5, 7.0]]]
    assert nn.AvgPool1d(2)(x).tolist() == Tensor([[[1.125, -0.25, 3.25]]], format=fmt).tolist()


def test_the_first_of_equal_values_gets_the_gradient_and_a_nan_is_the_largest() -> None:
    x = Tensor([[[2.0, 2.0, 1.0, np.nan]]], requires_grad=True)
    y = F.max_pool1d(x, 2)
    assert y.data[0, 0, 0] == 2.0 and np.isnan(y.data[0, 0, 1])
    y.backward(np.ones((1, 1, 2)))
    assert x.grad.tolist() == [[[1.0, 0.0, 0.0, 1.0]]]


def test_padding_is_no_value_of_a_maximum_and_a_zero_of_a_mean() -> None:
    x = Tensor([[[-4.0, -2.0]]])
    assert F.max_pool1d(x, 2, 2, 1).tolist() == [[[-4.0, -2.0]]]
    assert F.avg_pool1d(x, 2, 2, 1).tolist() == [[[-2.0, -1.0]]]


def test_a_sequence_is_an_image_of_height_one() -> None:
    x = numbers(2, 3, 9)
    for one, two in ((F.max_pool1d, F.max_pool2d), (F.avg_pool1d, F.avg_pool2d)):
        flat = two(Tensor(x[:, :, None]), (1, 3), (1, 2), (0, 1))
        assert np.array_equal(one(Tensor(x), 3, 2, 1).data, flat.data[:, :, 0])


@pytest.mark.parametrize("pool", [nn.MaxPool1d, nn.AvgPool1d])
@pytest.mark.parametrize(
    "options", [((2, 2),), (2, (1, 1)), (2, 1, (0, 0)), (2, 1, -1), (0,), (2, 0)], ids=str
)
def test_a_window_of_a_sequence_has_one_length(pool: Any, options: tuple[Any, ...]) -> None:
    with pytest.raises(OptionError):
        pool(*options)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 3, 4, 5)])
def test_what_is_no_sequence_is_refused(shape: tuple[int, ...]) -> None:
    for pool, name in ((F.max_pool1d, "max_pool1d"), (F.avg_pool1d, "avg_pool1d")):
        with pytest.raises(ShapeError, match=name):
            pool(Tensor(np.ones(shape)), 2)


@pytest.mark.parametrize("name", ["max_pool1d", "avg_pool1d", "max_pool2d", "avg_pool2d"])
def test_padding_of_more_than_half_a_window_is_refused_by_the_name_that_was_called(name: str) -> None:
    x = np.ones((1, 1, 4) if name.endswith("1d") else (1, 1, 4, 4))
    with pytest.raises(ShapeError, match=f"{name} pads by at most half a window. Got padding (2|.2, 2.) for"):
        getattr(F, name)(Tensor(x), 3, 1, 2)
    assert getattr(F, name)(Tensor(x), 4, 1, 2).shape[-1] == 5


@pytest.mark.parametrize("name", ["max_pool1d", "avg_pool1d"])
def test_a_window_longer_than_its_sequence_is_refused_by_the_name_that_was_called(name: str) -> None:
    with pytest.raises(ShapeError, match=f"{name} needs sequences .* Got .1, 1, 4. for windows of 6"):
        getattr(F, name)(Tensor(np.ones((1, 1, 4))), 6)


def test_options_that_keep_their_places_have_one_value() -> None:
    for make in (nn.MaxPool1d, nn.MaxPool2d):
        for options in ((2, 2, 0, 2), (2, 2, 0, 1, True)):
            with pytest.raises(OptionError, match="Leave both out"):
                make(*options)
        with pytest.raises(OptionError, match="ceil_mode"):
            make(2, ceil_mode="yes")
    for bad in (0, 1.5, "3", True):
        with pytest.raises(OptionError, match="divisor_override"):
            nn.AvgPool2d(2, divisor_override=bad)
        with pytest.raises(OptionError, match="divisor_override"):
            F.avg_pool2d(Tensor(np.ones((1, 1, 4, 4))), 2, divisor_override=bad)
