"""Modules: how they find their parts, their state, formats, initialisation, and errors that name the layer."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import floatlab as fl
from floatlab import nn
from floatlab.autograd import Tensor, no_grad, observers
from floatlab.errors import AutogradError, DataError, FloatlabError, OptionError, ShapeError, StateError

F = nn.functional


class Net(nn.Module):
    def __init__(self, rng: Any = 0) -> None:
        super().__init__()
        generator = np.random.default_rng(rng)
        self.first = nn.Linear(4, 3, rng=generator)
        self.rest = nn.Sequential(nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 2, rng=generator))

    def forward(self, x: Tensor) -> Tensor:
        return self.rest(self.first(x))


# -- parts -------------------------------------------------------------------------------------------


def test_parameters_and_buffers_are_found_by_dotted_name() -> None:
    net = Net()
    names = ["first.weight", "first.bias", "rest.0.weight", "rest.0.bias", "rest.2.weight", "rest.2.bias"]
    assert [name for name, _ in net.named_parameters()] == names
    assert [p.name for p in net.parameters()] == names
    assert [name for name, _ in net.named_buffers()] == ["rest.0.running_mean", "rest.0.running_var"]
    assert [name for name, _ in net.named_modules()] == ["", "first", "rest", "rest.0", "rest.1", "rest.2"]


def test_a_shared_parameter_is_yielded_once() -> None:
    net = Net()
    net.other = net.first
    net.tied = net.rest[2].weight
    assert len(list(net.parameters())) == 6


def test_a_parameter_that_is_replaced_is_gone() -> None:
    net = Net()
    net.first = nn.Identity()
    assert next(name for name, _ in net.named_parameters()) == "rest.0.weight"
    net.rest = None
    assert list(net.parameters()) == []
    assert net.rest is None
    del net.first
    assert not hasattr(net, "first")


def test_assigning_before_super_init_says_so() -> None:
    class Wrong(nn.Module):
        def __init__(self) -> None:
            self.layer = nn.ReLU()

    with pytest.raises(AutogradError, match=r"super\(\)\.__init__"):
        Wrong()


def test_training_mode_reaches_every_part() -> None:
    net = Net()
    assert all(m.training for m in net.modules())
    net.eval()
    assert not any(m.training for m in net.modules())
    assert all(m.training for m in net.train().modules())


def test_sequential_is_a_list_of_modules() -> None:
    model = nn.Sequential({"a": nn.ReLU(), "b": nn.Tanh()})
    assert [name for name, _ in model.named_children()] == ["a", "b"]
    assert isinstance(model[1], nn.Tanh)
    assert len(model[:1]) == 1
    assert len(model.append(nn.Sigmoid())) == 3
    assert len(nn.ModuleList([nn.ReLU()]).append(nn.ReLU())) == 2


def test_modules_print_as_a_tree() -> None:
    assert (
        repr(nn.Sequential(nn.Linear(2, 3, rng=0), nn.ReLU()))
        == "Sequential(\n  (0): Linear(2, 3)\n  (1): ReLU()\n)"
    )


def test_operations_know_the_layer_that_they_belong_to() -> None:
    seen = []
    token = observers.set((lambda event: seen.append((event.scope, event.op)),))
    try:
        Net().eval()(Tensor(np.ones((2, 4))))
    finally:
        observers.reset(token)
    assert seen[:1] == [("first", "linear")]
    assert ("rest.1", "relu") in seen
    assert seen[-1] == ("rest.2", "linear")


# -- state -------------------------------------------------------------------------------------------


def test_a_state_is_a_copy_and_goes_back() -> None:
    a, b = Net(0), Net(1)
    a(Tensor(np.random.default_rng(0).normal(size=(5, 4))))  # moves the running statistics
    state = a.state_dict()
    b.load_state_dict(state)
    for name, tensor in b.state_dict().items():
        assert np.array_equal(tensor.data, state[name].data), name
    a.first.weight.data[...] = 0.0
    assert state["first.weight"].data.any()


def test_nothing_is_loaded_when_something_does_not_fit() -> None:
    net = Net(0)
    good = Net(1).state_dict()
    cases: list[tuple[dict[str, Any], type[Exception], str]] = [
        (
            {**good, "rest.2.weight": Tensor(np.zeros((2, 4)))},
            StateError,
            r"\(2, 4\) for 'rest.2.weight' of shape \(2, 3\)",
        ),
        (
            {**good, "rest.2.bias": Tensor([0.0, 0.0], format="fp16")},
            StateError,
            "float16 for 'rest.2.bias' in float32",
        ),
        ({k: v for k, v in good.items() if k != "rest.2.bias"}, StateError, r"missing \['rest.2.bias'\]"),
        ({**good, "rest.3.bias": Tensor([0.0])}, StateError, r"unknown \['rest.3.bias'\]"),
    ]
    before = {name: t.data.copy() for name, t in net.state_dict().items()}
    for state, error, words in cases:
        with pytest.raises(error, match=words):
            net.load_state_dict(state)
        for name, tensor in net.state_dict().items():
            assert np.array_equal(tensor.data, before[name]), name
    net.load_state_dict(cases[-1][0], strict=False)


def test_an_array_is_rounded_to_the_format_of_its_parameter() -> None:
    layer = nn.Linear(1, 1, bias=False, rng=0).to("bf16")
    layer.load_state_dict({"weight": np.array([[1.001]])})
    assert layer.weight.data.item() == 1.0


def test_converting_a_model_rounds_everything_once_and_in_place() -> None:
    net = Net()
    weight, exact = net.first.weight, net.first.weight.data.copy()
    net.first.weight.grad = Tensor(np.ones((3, 4)))
    net.half()
    assert net.first.weight is weight
    assert weight.grad is None
    assert np.array_equal(weight.data, exact.astype(np.float16))
    assert {t.format.name for t in net.state_dict().values()} == {"float16"}
    y = net(Tensor(np.ones((2, 4)), format="fp16"))
    assert y.format.name == "float16"
    y.sum().backward()
    assert weight.grad is not None
    assert weight.grad.format.name == "float16"


# -- dropout -----------------------------------------------------------------------------------------


def test_dropout_keeps_the_mean_and_can_be_replayed() -> None:
    x = Tensor(np.ones(20_000))
    y = nn.Dropout(0.25, rng=0)(x).data
    assert set(np.unique(y)) == {0.0, np.float32(1 / 0.75)}
    assert (y == 0).mean() == pytest.approx(0.25, abs=0.02)
    assert np.array_equal(y, nn.Dropout(0.25, rng=0)(x).data)
    layer = nn.Dropout(0.25, rng=0)
    assert not np.array_equal(layer(x).data, layer(x).data)


def test_dropout_does_nothing_in_evaluation_and_everything_at_one() -> None:
    x = Tensor(np.ones(8))
    assert nn.Dropout(0.5, rng=0).eval()(x) is x
    assert F.dropout(x, 0.0) is x
    assert not F.dropout(x, 1.0, rng=0).data.any()


# -- initialisation ----------------------------------------------------------------------------------


def digest() -> str:
    rng = np.random.default_rng(5)
    model = nn.Sequential(nn.Conv2d(2, 3, 3, rng=rng), nn.Linear(40, 30, rng=rng), nn.LSTM(5, 6, rng=rng))
    nn.init.kaiming_normal_(model[1].weight, nonlinearity="relu", rng=rng)
    nn.init.xavier_uniform_(model[0].weight, rng=rng)
    data = [p.data.tobytes() for p in model.parameters()] + [
        nn.Embedding(50, 4, rng=rng).weight.data.tobytes()
    ]
    return hashlib.sha256(b"".join(data)).hexdigest()


def without_wide_vectors() -> dict[str, str]:
    """Return an environment in which NumPy and OpenBLAS use nothing that a CPU of 2008 lacks."""
    from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

    features = [name for name in __cpu_dispatch__ if __cpu_features__.get(name)]
    return {"NPY_DISABLE_CPU_FEATURES": " ".join(features), "OPENBLAS_CORETYPE": "Nehalem"}


def test_a_seed_gives_the_same_weights_whatever_the_cpu_has() -> None:
    code = "from tests.nn.test_nn import digest; print(digest())"
    for extra in ({}, without_wide_vectors()):
        run = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code],
            env={**os.environ, **extra},
            cwd=str(Path(__file__).parents[2]),
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.stdout.strip() == digest()


def test_normal_numbers_are_normal() -> None:
    z = nn.init.standard_normal((200_000,), 0)
    assert abs(z.mean()) < 4 / np.sqrt(z.size)
    assert z.std() == pytest.approx(1.0, abs=0.01)
    assert (np.abs(z) < 1.0).mean() == pytest.approx(0.6827, abs=0.005)
    assert (np.abs(z) < 2.0).mean() == pytest.approx(0.9545, abs=0.003)
    assert (np.abs(z) < 3.0).mean() == pytest.approx(0.9973, abs=0.001)
    assert abs(np.corrcoef(z[:-1], z[1:])[0, 1]) < 0.01


def test_layers_that_share_a_generator_start_differently() -> None:
    rng = np.random.default_rng(0)
    assert not np.array_equal(nn.Linear(3, 3, rng=rng).weight.data, nn.Linear(3, 3, rng=rng).weight.data)
    assert np.array_equal(nn.Linear(3, 3, rng=0).weight.data, nn.Linear(3, 3, rng=0).weight.data)


def test_constants_are_rounded_to_the_format() -> None:
    t = Tensor([0.0], format="e4m3")
    assert nn.init.constant_(t, 0.1).data.item() == 0.1015625
    assert nn.init.ones_(t).data.item() == 1.0
    assert nn.init.zeros_(t).data.item() == 0.0


# -- bad input ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("run", "error", "words"),
    [
        (
            lambda: nn.Sequential(nn.Linear(4, 3, rng=0))(Tensor(np.ones((2, 5)))),
            ShapeError,
            r"\(2, 5\).*layer '0', Linear\(4, 3\)",
        ),
        (lambda: nn.Conv2d(1, 2, 3, rng=0)(Tensor(np.ones((2, 3, 5, 5)))), ShapeError, r"\(2, 3, 5, 5\)"),
        (lambda: nn.Conv2d(1, 2, 3, rng=0)(Tensor(np.ones((2, 1, 2, 2)))), ShapeError, r"\(2, 1, 2, 2\)"),
        (lambda: nn.BatchNorm2d(3)(Tensor(np.ones((2, 3)))), ShapeError, r"BatchNorm2d.*\(2, 3\)"),
        (lambda: nn.BatchNorm1d(3)(Tensor(np.ones((1, 3)))), ShapeError, "larger batch"),
        (lambda: nn.BatchNorm1d(3)(Tensor(np.ones((0, 3)))), ShapeError, r"\(0, 3\)"),
        (lambda: nn.LayerNorm(3)(Tensor(np.ones((2, 4)))), ShapeError, r"\(2, 4\)"),
        (lambda: nn.Embedding(3, 2, rng=0)([3]), ShapeError, "3"),
        (lambda: nn.Embedding(3, 2, rng=0)([-1]), ShapeError, "-1"),
        (lambda: nn.Embedding(3, 2, rng=0)([0.5]), FloatlabError, "integer"),
        (lambda: nn.LSTM(3, 2, rng=0)(Tensor(np.ones((2, 3)))), ShapeError, r"LSTM.*\(2, 3\)"),
        (lambda: nn.RNN(3, 2, rng=0)(Tensor(np.ones((0, 2, 3)))), ShapeError, r"\(0, 2, 3\)"),
        (
            lambda: nn.RNN(3, 2, rng=0)(Tensor(np.ones((1, 2, 3))), Tensor([[0.0]])),
            ShapeError,
            "hidden state",
        ),
        (lambda: nn.RNN(3, 2, nonlinearity="tan", rng=0), OptionError, '"tanh"'),
        (lambda: nn.Linear(0, 2, rng=0), OptionError, "in_features"),
        (lambda: nn.Linear(2.0, 2, rng=0), OptionError, "in_features"),  # type: ignore[arg-type]
        (lambda: nn.Dropout(1.5), OptionError, "1.5"),
        (lambda: F.dropout(Tensor([1.0]), -0.5), OptionError, "-0.5"),
        (lambda: F.cross_entropy(Tensor(np.ones((2, 3))), [0, 3]), DataError, "label 3"),
        (lambda: F.cross_entropy(Tensor(np.ones((0, 3))), np.zeros(0, int)), ShapeError, "empty"),
        (lambda: F.mse_loss(Tensor(np.ones((2, 3))), np.ones(2)), ShapeError, r"\(2, 3\) and \(2,\)"),
        (lambda: F.one_hot([0, -1], 3), DataError, "-1"),
        (lambda: F.one_hot([0, 3], 3), DataError, "3"),
        (lambda: F.cross_entropy(Tensor(np.ones((1, 3))), Tensor([0.5])), DataError, "float32"),
        (lambda: F.pad(Tensor([1.0]), (1,)), ShapeError, "two numbers"),
        (lambda: nn.init.kaiming_uniform_(Tensor([1.0])), ShapeError, "two axes"),
        (lambda: nn.init.calculate_gain("rleu"), OptionError, '"relu"'),
        (lambda: nn.Module()(1), AutogradError, "forward"),
        (
            lambda: nn.Residual(nn.Linear(2, 3, rng=0))(Tensor(np.ones((1, 2)))),
            ShapeError,
            r"\(1, 3\).*\(1, 2\)",
        ),
    ],
)
def test_bad_input_is_refused_with_the_layer_and_the_shapes(
    run: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        run()


def test_labels_may_come_as_a_tensor_and_as_rows_of_a_unit_matrix() -> None:
    scores = Tensor(np.arange(6.0).reshape(2, 3))
    assert F.cross_entropy(scores, Tensor([1.0, 2.0])).item() == F.cross_entropy(scores, [1, 2]).item()
    assert F.one_hot([2, 0], 3).tolist() == [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]


def test_an_error_names_the_innermost_layer_once() -> None:
    model = nn.Sequential(nn.Sequential(nn.Linear(4, 3, rng=0)))
    with pytest.raises(ShapeError) as caught:
        model(Tensor(np.ones((2, 5))))
    assert str(caught.value).count("In layer") == 1
    assert "'0.0'" in str(caught.value)


def test_evaluation_under_no_grad_builds_no_graph() -> None:
    with no_grad():
        assert not Net().eval()(Tensor(np.ones((2, 4)))).requires_grad


@pytest.mark.parametrize(
    ("make", "nearest"),
    [
        (lambda: nn.GELU("tan"), "tanh"),
        (lambda: nn.MSELoss(reduction="men"), "mean"),
        (lambda: nn.CrossEntropyLoss(reduction="sums"), "sum"),
        (lambda: nn.RNN(1, 1, nonlinearity="thanh"), "tanh"),
    ],
)
def test_an_unknown_option_is_refused_when_the_layer_is_made(make, nearest) -> None:
    with pytest.raises(OptionError, match=f'Use "{nearest}"'):
        make()


# -- numbers that the layers promise -----------------------------------------------------------------


@pytest.mark.parametrize("momentum", [0.1, 0.9, 0.25])
def test_running_statistics_move_by_the_momentum_towards_the_unbiased_ones(momentum: float) -> None:
    norm, x = nn.BatchNorm1d(1, momentum=momentum), np.array([[1.0], [2.0], [6.0]])
    norm(Tensor(x))
    assert norm.running_mean.item() == pytest.approx(momentum * x.mean())
    assert norm.running_var.item() == pytest.approx(1 - momentum + momentum * x.var(ddof=1))
    norm(Tensor(x))  # (1 - m)((1 - m) start + m batch) + m batch
    assert norm.running_mean.item() == pytest.approx(momentum * x.mean() * (2 - momentum))


def test_normalisation_itself_takes_the_biased_variance() -> None:
    x = np.array([[1.0], [2.0], [6.0]])
    expected = (x - x.mean()) / np.sqrt(x.var() + 1e-5)
    np.testing.assert_allclose(nn.BatchNorm1d(1)(Tensor(x)).data, expected, rtol=1e-6)


def test_without_running_statistics_evaluation_takes_the_batchs() -> None:
    norm, x = nn.BatchNorm1d(1, track_running_stats=False), Tensor([[1.0], [2.0], [6.0]])
    trained = norm(x).tolist()
    assert norm.eval()(x).tolist() == trained
    assert [name for name, _ in norm.named_buffers()] == []


def test_batch_norm_between_narrow_layers_keeps_the_format_of_the_gradient() -> None:
    norm = nn.BatchNorm1d(1)
    x = Tensor([[1.0], [2.0], [4.0]], requires_grad=True, format="e4m3", gradient_format="e5m2")
    y = norm(x)
    assert (y.format.name, y.gradient_format.name) == ("float8_e4m3fn", "float8_e5m2")
    y.backward(np.float32([[2.0**-14], [0.0], [0.0]]))  # e4m3 would make it zero
    assert (x.grad.data != 0).any() and x.grad.format.name == "float8_e5m2"


def test_padding_is_given_from_the_last_axis_on() -> None:
    x = Tensor(np.ones((1, 2)))
    assert F.pad(x, (1, 0, 0, 2), value=7.0).tolist() == [[7, 1, 1], [7, 7, 7], [7, 7, 7]]
    assert F.pad(x, (0, 2)).tolist() == [[1, 1, 0, 0]]


def test_a_draw_that_equals_p_keeps_its_element() -> None:
    class Draws(np.random.Generator):
        def random(self, shape: Any, dtype: Any = None) -> Any:
            return np.float32([0.5, 0.49999997, 0.50000006, 0.0])

    draws = Draws(np.random.PCG64(0))
    assert F.dropout(Tensor(np.ones(4)), 0.5, rng=draws).tolist() == [2, 0, 2, 0]


def test_dropout_draws_twenty_four_bits_an_element() -> None:
    draws = np.random.default_rng(3).random(1000, dtype=np.float32)
    kept = F.dropout(Tensor(np.ones(1000)), 0.25, rng=3).data != 0
    assert np.array_equal(kept, draws >= 0.25)


@pytest.mark.parametrize("gate", range(4))
def test_the_gates_of_an_lstm_stand_in_the_order_input_forget_cell_output(gate: int) -> None:
    lstm = nn.LSTM(1, 1, rng=0)
    bias = np.full(4, -200.0)  # closed, and for the cell -1
    bias[gate] = 200.0
    zeros = {name: np.zeros(p.shape) for name, p in lstm.named_parameters()}
    lstm.load_state_dict(zeros | {"bias_ih_l0": bias})
    memory = Tensor(np.full((1, 1, 1), 0.5))
    outputs, (h, c) = lstm(Tensor(np.zeros((1, 1, 1))), (memory, memory))
    # c = f c + i g and h = o tanh(c); one gate is 1 (the cell +1), the others are 0 (the cell -1)
    expected = {0: (-1.0, 0.0), 1: (0.5, 0.0), 2: (0.0, 0.0), 3: (0.0, 0.0)}[gate]
    assert (c.item(), h.item()) == expected and outputs.item() == h.item()
    lstm.load_state_dict(zeros | {"bias_ih_l0": [200.0, -200.0, 200.0, -200.0]})
    _, (h, c) = lstm(Tensor(np.zeros((1, 1, 1))), (memory, memory))
    assert (c.item(), h.item()) == (1.0, 0.0)


# -- an option acts by its value ---------------------------------------------------------------------


def _steps_of_a_scaler(to: Any) -> list[float]:
    scaler = fl.amp.GradScaler(
        to(np.float16(1e3)),
        growth_factor=to(np.float16(1.3)),
        backoff_factor=to(np.float16(0.3)),
        growth_interval=1,
    )
    scales = []
    w = Tensor([1.0], requires_grad=True)
    sgd = fl.optim.SGD([w], lr=0.0)
    for bad in (False, True, False):
        w.grad = Tensor([np.inf if bad else 1.0])
        scaler.scale(Tensor([1.0]))
        scaler.step(sgd)
        scaler.update()
        scales.append(scaler.get_scale())
    return scales


def _moved(to: Any) -> Any:
    layer = nn.BatchNorm1d(3, momentum=to(np.float16(0.3)), eps=to(np.float16(0.01))).to("fp64")
    return layer(_ROWS), layer.running_mean, layer.running_var


def _clipped(to: Any) -> Any:
    w = Tensor([1.0, 2.0], format="fp64", requires_grad=True)
    w.grad = Tensor([0.3, -4.1], format="fp64")
    fl.optim.clip_grad_norm_([w], to(np.float16(0.3)))
    return w.grad


_ROWS = Tensor(np.random.default_rng(0).normal(size=(5, 3)), format="fp64")


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.longdouble])
@pytest.mark.parametrize(
    "use",
    [
        lambda to: nn.functional.leaky_relu(_ROWS, to(np.float16(0.01))),
        lambda to: nn.functional.softplus(_ROWS, to(np.float16(1.3))),
        lambda to: nn.functional.dropout(_ROWS, to(np.float16(0.3)), rng=0),
        lambda to: nn.functional.layer_norm(_ROWS, 3, eps=to(np.float16(0.1))),
        lambda to: nn.functional.cross_entropy(_ROWS, np.arange(5) % 3, label_smoothing=to(np.float16(0.1))),
        lambda to: nn.init.uniform_(Tensor(np.zeros(9), format="fp64"), to(np.float16(-0.1)), 0.3, rng=0),
        lambda to: nn.init.kaiming_uniform_(
            Tensor(np.zeros((3, 4)), format="fp64"), to(np.float16(0.3)), rng=0
        ),
        lambda to: nn.init.xavier_normal_(
            Tensor(np.zeros((3, 4)), format="fp64"), to(np.float16(0.3)), rng=0
        ),
        _moved,
        _clipped,
        _steps_of_a_scaler,
    ],
)
def test_an_option_acts_by_its_value_and_not_by_its_type(use: Any, kind: Any) -> None:
    def bits(result: Any) -> Any:
        if isinstance(result, tuple | list):
            return [bits(part) for part in result]
        return result.data.tobytes() if isinstance(result, Tensor) else result

    assert bits(use(kind)) == bits(use(float))


def test_losses_as_layers_are_their_functions() -> None:
    logits = Tensor([[2.0, -1.0, 0.5], [0.1, 0.2, 0.3]])
    labels = np.array([2, 0])
    logs = nn.LogSoftmax()(logits)
    picked = -logs.data[[0, 1], labels].astype(np.float64)
    assert nn.NLLLoss()(logs, labels).item() == np.float32(picked.mean())
    assert nn.NLLLoss(reduction="sum")(logs, labels).item() == np.float32(picked.sum())
    targets = Tensor([[1.0, 0.0, 0.25], [0.0, 1.0, 1.0]])
    x, y = logits.data.astype(np.float64), targets.data
    wanted = np.maximum(x, 0) - x * y + np.log1p(np.exp(-np.abs(x)))
    for reduction, value in (("mean", wanted.mean()), ("sum", wanted.sum()), ("none", wanted)):
        found = nn.BCEWithLogitsLoss(reduction=reduction)(logits, targets).data
        np.testing.assert_allclose(found, value, rtol=1e-6)
