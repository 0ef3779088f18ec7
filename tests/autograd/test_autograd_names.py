"""Names at `fl.` and at tensors: what is there, what never will be, and what they say to bad input."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest

import floatlab as fl
from floatlab.autograd import Tensor
from floatlab.autograd.discrete import DiscreteArray
from floatlab.errors import (
    AutogradError,
    DataError,
    DtypeError,
    FloatlabError,
    FormatError,
    OptionError,
    ShapeError,
)

X = np.array([[0.5, -1.25, 2.0], [1.5, 0.75, -0.5]])


def leaf(values: Any = X, **options: Any) -> Tensor:
    return Tensor(values, requires_grad=True, **options)


def words(text: str) -> list[str]:
    return text.split()


TYPED = words(
    """
    size device add sub mul div cpu cuda t std sin cos repeat chunk split norm clone topk contiguous
    square bmm mm cumsum tril triu gather dtype argmin argmax sum mean var max min exp log sqrt abs tanh
    sigmoid relu view reshape flatten permute transpose squeeze unsqueeze expand detach backward item
    tolist numpy numel dim shape ndim T requires_grad grad requires_grad_ retain_grad register_hook add_
    sub_ mul_ div_ copy_ zero_ fill_ clamp_ clamp masked_fill eq ne lt le gt ge float half double
    bfloat16 long int bool softmax log_softmax matmul pow sort argsort unbind narrow select index_select
    isnan isinf isfinite any all amax amin maximum minimum reciprocal neg where
    """
)
AT_FL = words(
    """
    tensor zeros ones randn rand arange manual_seed cat stack where save load argmax max softmax flatten
    set_grad_enabled enable_grad inference_mode no_grad is_grad_enabled exp sum mean matmul log sqrt sin
    cos tanh sigmoid norm std var cumsum full eye empty zeros_like ones_like randn_like rand_like
    randint randperm maximum minimum float16 bfloat16 float32 float64 long int64 device relu clamp
    """
)


def test_every_name_that_people_type_is_there() -> None:
    x = leaf()
    assert [name for name in TYPED if not hasattr(x, name)] == []
    assert [name for name in AT_FL if not hasattr(fl, name)] == []
    assert {"zeros", "cat", "manual_seed", "exp", "save"} <= set(dir(fl))


@pytest.mark.parametrize("name", ["compile", "distributed", "cuda", "jit", "backends", "utils", "sparse"])
def test_what_will_never_be_says_so_and_what_to_write(name: str) -> None:
    with pytest.raises(AttributeError, match=rf"no attribute '{name}', and never will: \w.*\. .*\."):
        getattr(fl, name)


def test_any_other_name_is_refused_as_python_does() -> None:
    with pytest.raises(AttributeError, match=r"module 'floatlab' has no attribute 'conpile'$"):
        fl.conpile  # noqa: B018


def test_a_name_of_tensors_loads_the_room_of_tensors_and_numbers_do_not() -> None:
    program = (
        "import sys, floatlab as fl; fl.exp(fl.array([1.0], 'fp16')); fl.sum([1.0], 'fp16'); dir(fl);"
        "a = 'floatlab.autograd' in sys.modules; fl.zeros(2);"
        "print(a, 'floatlab.autograd' in sys.modules, 'floatlab.nn' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "False"]


def test_public_functions_can_still_be_pickled() -> None:
    for function in (fl.exp, fl.sum, fl.add, fl.zeros, fl.where):
        assert pickle.loads(pickle.dumps(function)) is function


# -- functions of numbers, given tensors ------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["exp", "sin", "log1p", "sigmoid", "tanh", "cbrt", "erf", "gelu", "softplus", "square"]
)
def test_a_function_of_numbers_gives_a_tensor_the_same_values_and_a_gradient(name: str) -> None:
    for fmt in ("fp16", "bf16", "e5m2"):
        x = leaf(np.abs(X), format=fmt)
        y = getattr(fl, name)(x)
        assert np.array_equal(y.data, getattr(fl, name)(fl.array(x.data, fmt)).values)
        y.sum().backward()
        assert x.grad.shape == x.shape and y.format is x.format


def test_binary_functions_take_tensors_and_numbers_in_any_place_and_by_name() -> None:
    x = leaf()
    assert fl.subtract(1.0, x).tolist() == (1 - x).tolist()
    assert fl.divide(x, 2).tolist() == (x / 2).tolist() and fl.power(x, 2).tolist() == (x**2).tolist()
    assert fl.add(a=x, b=1.0).tolist() == (x + 1).tolist() and fl.power(x=x, y=2).tolist() == (x**2).tolist()
    assert fl.exp(x=x).requires_grad and fl.sum(x=x, axis=0).tolist() == x.sum(0).tolist()
    assert fl.matmul(x, x.T).requires_grad


def test_options_of_the_arithmetic_hold_for_a_function_of_tensors() -> None:
    x = Tensor([1.0] * 3000, format="fp16")
    assert fl.sum(x).item() == 3000 and fl.sum(x, accumulator="fp16").item() == 2048
    assert fl.add(Tensor([1.0], format="bf16"), 2.0**-20, rounding="toward_positive").item() == 1 + 2.0**-7
    with pytest.raises(FloatlabError, match="rounding"):
        fl.exp(x, roundng="toward_zero")


def test_a_format_beside_a_tensor_is_refused_for_it_would_lose_the_gradient() -> None:
    for call in (
        lambda: fl.exp(leaf(), "fp16"),
        lambda: fl.sum(leaf(), fmt="fp16"),
        lambda: fl.add(leaf(), 1.0, "fp16"),
    ):
        with pytest.raises(FormatError, match=r"Convert an operand, or the result, with x.to"):
            call()


@pytest.mark.parametrize("name", ["quantile", "fmod", "einsum"])
def test_a_function_that_has_no_derivative_says_what_to_use(name: str) -> None:
    with pytest.raises(DtypeError, match=r"computes with FloatArrays and numbers\. Got a tensor"):
        getattr(fl, name)(leaf(), 0.5) if name != "einsum" else fl.einsum("ij->i", leaf())


# -- arrays of whole numbers ---------------------------------------------------------------------------------


def test_the_line_of_accuracy_stands_as_it_is_written() -> None:
    labels = fl.tensor([2, 0])
    assert (leaf().argmax(1) == labels).float().mean().item() == 1.0
    assert (leaf().argmax(dim=1) == labels).sum().item() == 2
    assert (leaf().argmax(1) == np.array([2, 1])).float().mean().item() == 0.5
    assert isinstance(labels, DiscreteArray) and labels.dtype == np.int64
    assert isinstance(labels + 1, DiscreteArray) and isinstance(labels == 2, DiscreteArray)
    assert type(labels / 2) is np.ndarray and labels.cuda() is labels.cpu()
    assert labels.long().dtype == np.int64 and labels.bool().tolist() == [True, False]


def test_truth_values_and_places_index_a_tensor() -> None:
    x = leaf()
    assert x[x > 0].tolist() == [0.5, 2.0, 1.5, 0.75] and x[:, fl.tensor([0, 0])].shape == (2, 2)
    with pytest.raises(ShapeError, match=r"Use x.long\(\)"):
        x[Tensor([0.0])]
    assert x[Tensor([1.0]).long()].tolist() == [[1.5, 0.75, -0.5]]


def test_whole_numbers_take_no_gradient() -> None:
    for make in (
        lambda: fl.tensor([1, 2], requires_grad=True),
        lambda: fl.zeros(2, dtype=int, requires_grad=True),
    ):
        with pytest.raises(DtypeError, match=r"Write 1.0 instead of 1"):
            make()
    assert fl.tensor([1, 2], dtype="fp16", requires_grad=True).requires_grad


# -- making tensors -------------------------------------------------------------------------------------------


def test_a_seed_gives_the_same_numbers_and_its_generator_goes_on() -> None:
    fl.manual_seed(3)
    first, second = fl.randn(2, 3), fl.rand(4)
    fl.manual_seed(3)
    assert fl.randn(2, 3).tolist() == first.tolist() and fl.rand(4).tolist() == second.tolist()
    third = fl.randn(2, 3, rng=7)
    assert third.tolist() == fl.randn((2, 3), generator=7).tolist() and third.tolist() != first.tolist()
    assert sorted(fl.randperm(5).tolist()) == [0, 1, 2, 3, 4] and fl.randint(2, (9,)).min() >= 0
    for wrong in (-1, None, "one", 1.5):
        with pytest.raises(OptionError, match=r"seed|randomness"):
            fl.manual_seed(wrong)


def test_layers_without_a_generator_draw_from_the_seed_and_those_with_one_do_not() -> None:
    def outcome(seed: int, **options: Any) -> list[Any]:
        fl.manual_seed(seed)
        layers = [
            fl.nn.Linear(3, 2, **options),
            fl.nn.Conv2d(1, 2, 2, **options),
            fl.nn.LSTM(2, 2, **options),
        ]
        dropout = fl.nn.Dropout(0.5, **options)
        weights = [w.tolist() for layer in layers for w in layer.parameters()]
        return [*weights, dropout(Tensor(np.ones(50))).tolist()]

    assert outcome(1) == outcome(1) and outcome(1) != outcome(2)
    assert outcome(1, rng=5) == outcome(2, rng=5)
    dropout = fl.nn.Dropout(0.5)
    masks = []
    for _ in range(2):
        fl.manual_seed(9)  # holds for a layer that draws from it already
        masks.append(dropout(Tensor(np.ones(50))).tolist())
    assert masks[0] == masks[1]


def test_what_is_made_takes_a_format_a_device_and_a_gradient() -> None:
    x = fl.zeros(2, 3, dtype=fl.bfloat16, device="cuda:0", requires_grad=True)
    assert (x.shape, x.format.name, x.requires_grad, x.device) == ((2, 3), "bfloat16", True, "cpu")
    assert fl.ones_like(x).format is x.format and fl.randn_like(x).shape == (2, 3)
    assert fl.zeros(3, dtype=fl.long).tolist() == [0, 0, 0] and fl.full((2,), 7).tolist() == [7, 7]
    with pytest.raises(TypeError, match="dtpe"):
        fl.zeros(2, dtpe="fp16")
    with pytest.raises(ShapeError, match="whole numbers"):
        fl.zeros(2.5)
    for wrong in ("text", None, [[1.0], [1.0, 2.0]]):
        with pytest.raises(DtypeError):
            fl.tensor(wrong)


def test_a_device_means_nothing_wherever_it_is_named() -> None:
    x = leaf()
    assert x.to("cpu") is x.to("cuda:1") is x.to(device="cuda") is x.cuda() is x.to(fl.device("cuda")) is x
    assert x.to("cuda", "fp16").format.name == x.to("cpu", dtype="fp16").format.name == "float16"
    assert (
        x.to(Tensor([1.0], format="bf16")).format.name == "bfloat16"
        and x.to(dtype=fl.float16).dtype is fl.float16
    )
    assert x.to("fp32", copy=True) is not x
    with pytest.raises(FormatError, match="float16"):
        x.to("float17")
    with pytest.raises(OptionError, match="device is one of"):
        fl.device("float16")


def test_a_state_comes_back_from_a_file(tmp_path: Any) -> None:
    model = fl.nn.Linear(3, 2, rng=0)
    fl.save(model.state_dict(), tmp_path / "model.npz")
    other = fl.nn.Linear(3, 2, rng=1)
    other.load_state_dict(fl.load(tmp_path / "model.npz", map_location="cpu"))
    assert other.weight.tolist() == model.weight.tolist()
    with pytest.raises(DataError):
        fl.save(model.state_dict(), tmp_path / "model.pt")


# -- recording ---------------------------------------------------------------------------------------------------


def test_recording_is_switched_as_in_pytorch() -> None:
    x = leaf()

    @fl.no_grad()
    def inside() -> bool:
        with fl.enable_grad():
            assert (x * 2).requires_grad
        return (x * 2).requires_grad

    assert not inside() and fl.is_grad_enabled()
    with fl.inference_mode():
        assert not (x * 2).requires_grad
        with fl.inference_mode(False):
            assert not fl.is_grad_enabled()
    with fl.set_grad_enabled(False):
        assert not fl.is_grad_enabled()
    fl.set_grad_enabled(False)
    assert not fl.is_grad_enabled()
    seen = []
    thread = threading.Thread(target=lambda: seen.append(fl.is_grad_enabled()))
    thread.start()
    thread.join()
    fl.set_grad_enabled(True)
    assert fl.is_grad_enabled() and seen == [True]
    with pytest.raises(OptionError):
        fl.set_grad_enabled("no")


def test_an_error_inside_a_block_ends_it() -> None:
    block = fl.no_grad()
    for _ in range(2):
        with pytest.raises(ValueError, match="here"), block:
            raise ValueError("here")
    assert fl.is_grad_enabled()


# -- hooks, and gradients that go nowhere else ----------------------------------------------------------------


def test_a_hook_sees_the_whole_gradient_of_a_leaf_and_may_change_it() -> None:
    x, seen = leaf([1.0, 2.0]), []
    handle = x.register_hook(lambda g: seen.append(g.tolist()))
    x.register_hook(lambda g: g * 2)
    (x * 3 + x * x).sum().backward()
    assert seen == [[5.0, 7.0]] and x.grad.tolist() == [10, 14]
    handle.remove()
    handle.remove()
    (x * 3).sum().backward()
    assert seen == [[5.0, 7.0]] and x.grad.tolist() == [16, 20]


def test_a_hook_of_a_computed_tensor_changes_what_goes_on() -> None:
    x = leaf([1.0, 2.0], format="fp16")
    y = x * 3
    y.register_hook(lambda g: g.float() * 0.1)  # rounded to the gradient's format
    (y * y).sum().backward()
    half = np.float16
    expected = [half(half(g * np.float32(0.1)) * half(3)) for g in (6, 12)]
    assert x.grad.tolist() == [float(g) for g in expected]
    with pytest.raises(ShapeError, match="hook"):
        z = x * 1
        z.register_hook(lambda g: g.sum())
        z.sum().backward()
    with pytest.raises(AutogradError, match="hook"):
        x.detach().register_hook(print)


def test_grad_returns_gradients_and_leaves_every_other_alone() -> None:
    x, w = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    y = x * w
    loss = (y * y).sum()
    by_x, by_y = fl.autograd.grad(loss, [x, y], retain_graph=True)
    assert by_y.tolist() == [6, 16] and by_x.tolist() == [18, 64] and x.grad is w.grad is y.grad is None
    assert fl.autograd.grad([loss, y], x, [None, Tensor([1.0, 1.0])])[0].tolist() == [21, 68]
    with pytest.raises(AutogradError, match="freed"):
        fl.autograd.grad(loss, x)
    with pytest.raises(AutogradError, match="allow_unused"):
        fl.autograd.grad((x * 1).sum(), [x, w])
    assert fl.autograd.grad((x * 1).sum(), [x, w], allow_unused=True)[1] is None
    with pytest.raises(AutogradError, match="create_graph"):
        fl.autograd.grad((x * 1).sum(), x, create_graph=True)
    with pytest.raises(AutogradError, match="asks for it"):
        fl.autograd.grad((x * 1).sum(), Tensor([1.0]))


# -- words for what does not fit ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x: x + None,
        lambda x: x * "2",
        lambda x: x * 10**400,
        lambda x: x - 10**400,
        lambda x: x + (1 + 2j),
        lambda x: x[5],
        lambda x: x[0, 0, 0],
        lambda x: x["a"],
        lambda x: x[1.5],
        lambda x: x[{}],
        lambda x: x[None, [0, 5]],
        lambda x: x.unsqueeze(5),
        lambda x: x.unsqueeze(-4),
        lambda x: x.squeeze(3),
        lambda x: x.flatten(3),
        lambda x: x.flatten(1, 0),
        lambda x: x.sum(3),
        lambda x: x.sum((0, 0)),
        lambda x: x.sum("rows"),
        lambda x: x.max(5),
        lambda x: x.max((0, 1)),
        lambda x: x.argmax(2),
        lambda x: x[:0].argmax(0),
        lambda x: x.topk(4),
        lambda x: x.topk(1, 2),
        lambda x: x.sort(2),
        lambda x: x.split(0),
        lambda x: x.split([1, 1], 1),
        lambda x: x.chunk(0),
        lambda x: x.chunk(2, 5),
        lambda x: x.repeat(2),
        lambda x: x.repeat(2, -1),
        lambda x: x.reshape(2.5, 2),
        lambda x: x.gather(1, [[3]]),
        lambda x: x.gather(1, [[0.5]]),
        lambda x: x.gather(0, [0]),
        lambda x: x.cumsum(),
        lambda x: x.cumsum(4),
        lambda x: x.norm("two"),
        lambda x: x[0].tril(),
        lambda x: x[None].t(),
        lambda x: x.mm(x[0]),
        lambda x: x.bmm(x),
        lambda x: x.mm(x),
        lambda x: x.narrow(0, 0, 1).select(5, 0),
        lambda x: f"{x:.4f}",
        lambda x: fl.cat([]),
        lambda x: fl.cat([x, x[0]]),
        lambda x: fl.cat([x, x], 5),
        lambda x: fl.stack([x, x[0]]),
        lambda x: fl.cat([x, None]),
        lambda x: x.matmul(None),
        lambda x: fl.softmax(np.ones(3), 0),
        lambda x: fl.arange("a"),
        lambda x: fl.arange(0, 5, 0),
        lambda x: fl.randint(5, 2, (2,)),
    ],
)
def test_what_does_not_fit_is_said_in_our_words(wrong: Any) -> None:
    with pytest.raises(FloatlabError, match=r"Got .*\. "):
        wrong(leaf())


def test_a_single_number_is_printed_as_a_number() -> None:
    assert (
        f"{Tensor(2.5):.4f} {Tensor([3.0]):6.1e} {Tensor(1.0)}" == "2.5000 3.0e+00 Tensor(1., format=float32)"
    )


def test_a_whole_number_beyond_float64_compares_as_what_it_is() -> None:
    x = Tensor([1.0, np.inf], format="fp64")
    assert (x < 10**400).tolist() == [True, False] and (x > -(10**400)).tolist() == [True, True]
