"""Every layer beside PyTorch's, with the same weights: outputs and all gradients in fp32 to 1e-5."""

from collections.abc import Callable
from operator import itemgetter
from typing import Any

import numpy as np
import pytest
from torch_answers import answers, values

from floatlab import nn, optim
from floatlab.autograd import Tensor, apply

F = nn.functional


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def close(ours: Any, theirs: np.ndarray) -> None:
    np.testing.assert_allclose(ours.data if isinstance(ours, Tensor) else ours, theirs, rtol=1e-5, atol=1e-5)


def same_weights(ours: nn.Module, theirs: Any, torch: Any) -> None:
    state = {name: torch.tensor(t.data) for name, t in ours.state_dict().items()}
    missing, unexpected = theirs.load_state_dict(state, strict=False)
    assert not unexpected
    assert all(name.endswith("num_batches_tracked") for name in missing)


def compare(
    question: str, ours: nn.Module, make: Callable[[Any], Any], x: np.ndarray, pick: Any = lambda y: y
) -> None:
    """Run both forward and backward from the same random gradient; compare everything."""
    weights = [p.data.copy() for p in ours.parameters()]

    def ask(torch: Any) -> Any:
        theirs = make(torch)
        same_weights(ours, theirs, torch)
        names = [name for name, _ in ours.named_parameters()]
        assert names == [name for name, _ in theirs.named_parameters()]
        b = torch.tensor(x, requires_grad=True)
        z = pick(theirs(b))
        z.backward(torch.tensor(numbers(*z.shape, seed=99)))
        return [z, b.grad, *(q.grad for q in theirs.parameters())]

    z, *gradients = answers(question, ask, x, *weights)
    a = Tensor(x, requires_grad=True)
    y = pick(ours(a))
    close(y, z)
    y.backward(numbers(*y.shape, seed=99))
    for t, gradient in zip((a, *ours.parameters()), gradients, strict=True):
        close(t.grad, gradient)


LAYERS: dict[str, tuple[nn.Module, Callable[[Any], Any], tuple[int, ...]]] = {
    "linear": (nn.Linear(5, 3, rng=0), lambda torch: torch.nn.Linear(5, 3), (4, 5)),
    "linear without bias, 3 axes": (
        nn.Linear(5, 3, bias=False, rng=0),
        lambda torch: torch.nn.Linear(5, 3, bias=False),
        (2, 4, 5),
    ),
    "conv": (nn.Conv2d(2, 3, 3, rng=0), lambda torch: torch.nn.Conv2d(2, 3, 3), (2, 2, 6, 5)),
    "conv stride padding": (
        nn.Conv2d(2, 3, (3, 2), stride=(2, 1), padding=(1, 2), rng=0),
        lambda torch: torch.nn.Conv2d(2, 3, (3, 2), stride=(2, 1), padding=(1, 2)),
        (2, 2, 7, 5),
    ),
    "conv without bias": (
        nn.Conv2d(1, 2, 1, bias=False, rng=0),
        lambda torch: torch.nn.Conv2d(1, 2, 1, bias=False),
        (2, 1, 3, 3),
    ),
    "max pool": (nn.MaxPool2d(2), lambda torch: torch.nn.MaxPool2d(2), (2, 3, 5, 6)),
    "max pool overlapping": (nn.MaxPool2d(3, 2, 1), lambda torch: torch.nn.MaxPool2d(3, 2, 1), (2, 3, 7, 6)),
    "avg pool": (nn.AvgPool2d(2), lambda torch: torch.nn.AvgPool2d(2), (2, 3, 5, 6)),
    "avg pool overlapping": (
        nn.AvgPool2d((3, 2), 2, 1),
        lambda torch: torch.nn.AvgPool2d((3, 2), 2, 1),
        (2, 3, 7, 6),
    ),
    "flatten": (nn.Flatten(), lambda torch: torch.nn.Flatten(), (2, 3, 4, 5)),
    "flatten some": (nn.Flatten(1, 2), lambda torch: torch.nn.Flatten(1, 2), (2, 3, 4, 5)),
    "layer norm": (nn.LayerNorm(6), lambda torch: torch.nn.LayerNorm(6), (3, 4, 6)),
    "layer norm of two axes": (nn.LayerNorm((4, 6)), lambda torch: torch.nn.LayerNorm((4, 6)), (3, 4, 6)),
    "layer norm without weights": (
        nn.LayerNorm(6, elementwise_affine=False),
        lambda torch: torch.nn.LayerNorm(6, elementwise_affine=False),
        (3, 6),
    ),
    "batch norm 1d": (nn.BatchNorm1d(5), lambda torch: torch.nn.BatchNorm1d(5), (7, 5)),
    "batch norm 1d with length": (nn.BatchNorm1d(5), lambda torch: torch.nn.BatchNorm1d(5), (3, 5, 4)),
    "batch norm 2d": (nn.BatchNorm2d(3), lambda torch: torch.nn.BatchNorm2d(3), (4, 3, 5, 2)),
    "batch norm without weights": (
        nn.BatchNorm2d(3, affine=False),
        lambda torch: torch.nn.BatchNorm2d(3, affine=False),
        (4, 3, 5, 2),
    ),
    "relu": (nn.ReLU(), lambda torch: torch.nn.ReLU(), (4, 5)),
    "leaky relu": (nn.LeakyReLU(0.1), lambda torch: torch.nn.LeakyReLU(0.1), (4, 5)),
    "tanh": (nn.Tanh(), lambda torch: torch.nn.Tanh(), (4, 5)),
    "sigmoid": (nn.Sigmoid(), lambda torch: torch.nn.Sigmoid(), (4, 5)),
    "gelu": (nn.GELU(), lambda torch: torch.nn.GELU(), (4, 5)),
    "gelu tanh": (nn.GELU("tanh"), lambda torch: torch.nn.GELU("tanh"), (4, 5)),
    "softplus": (nn.Softplus(2.0), lambda torch: torch.nn.Softplus(2.0), (4, 5)),
    "relu in place": (nn.ReLU(inplace=True), lambda torch: torch.nn.ReLU(inplace=False), (4, 5)),
    "relu6": (nn.ReLU6(), lambda torch: torch.nn.ReLU6(), (4, 5)),
    "silu": (nn.SiLU(), lambda torch: torch.nn.SiLU(), (4, 5)),
    "mish": (nn.Mish(), lambda torch: torch.nn.Mish(), (4, 5)),
    "elu": (nn.ELU(0.5), lambda torch: torch.nn.ELU(0.5), (4, 5)),
    "selu": (nn.SELU(), lambda torch: torch.nn.SELU(), (4, 5)),
    "hardtanh": (nn.Hardtanh(-0.5, 0.3), lambda torch: torch.nn.Hardtanh(-0.5, 0.3), (4, 5)),
    "hardsigmoid": (nn.Hardsigmoid(), lambda torch: torch.nn.Hardsigmoid(), (4, 5)),
    "hardswish": (nn.Hardswish(), lambda torch: torch.nn.Hardswish(), (4, 5)),
    "softsign": (nn.Softsign(), lambda torch: torch.nn.Softsign(), (4, 5)),
    "log sigmoid": (nn.LogSigmoid(), lambda torch: torch.nn.LogSigmoid(), (4, 5)),
    "prelu": (nn.PReLU(), lambda torch: torch.nn.PReLU(), (4, 5)),
    "prelu of channels": (nn.PReLU(3), lambda torch: torch.nn.PReLU(3), (2, 3, 2, 2)),
    "prelu of features": (nn.PReLU(5), lambda torch: torch.nn.PReLU(5), (4, 5)),
    "conv by position": (
        nn.Conv2d(2, 4, 3, 1, 1, 2, 2, True, rng=0),
        lambda torch: torch.nn.Conv2d(2, 4, 3, 1, 1, 2, 2, True),
        (2, 2, 7, 6),
    ),
    "conv same": (
        nn.Conv2d(2, 3, (2, 5), padding="same", dilation=(3, 1), rng=0),
        lambda torch: torch.nn.Conv2d(2, 3, (2, 5), padding="same", dilation=(3, 1)),
        (2, 2, 6, 5),
    ),
    "depthwise conv": (
        nn.Conv2d(3, 6, 3, stride=2, padding=1, groups=3, rng=0),
        lambda torch: torch.nn.Conv2d(3, 6, 3, stride=2, padding=1, groups=3),
        (2, 3, 6, 5),
    ),
    "conv1d": (
        nn.Conv1d(2, 3, 3, 2, 1, rng=0),
        lambda torch: torch.nn.Conv1d(2, 3, 3, 2, 1),
        (2, 2, 9),
    ),
    "conv1d same": (
        nn.Conv1d(4, 2, 4, padding="same", dilation=2, groups=2, bias=False, rng=0),
        lambda torch: torch.nn.Conv1d(4, 2, 4, padding="same", dilation=2, groups=2, bias=False),
        (2, 4, 9),
    ),
    "transposed conv": (
        nn.ConvTranspose2d(3, 2, 3, 2, 1, 1, rng=0),
        lambda torch: torch.nn.ConvTranspose2d(3, 2, 3, 2, 1, 1),
        (2, 3, 4, 3),
    ),
    "adaptive avg pool": (nn.AdaptiveAvgPool2d(1), lambda torch: torch.nn.AdaptiveAvgPool2d(1), (2, 3, 5, 6)),
    "adaptive avg pool of one axis": (
        nn.AdaptiveAvgPool2d((None, 4)),
        lambda torch: torch.nn.AdaptiveAvgPool2d((None, 4)),
        (2, 3, 5, 6),
    ),
    "upsample": (
        nn.Upsample(scale_factor=2, mode="bilinear"),
        lambda torch: torch.nn.Upsample(scale_factor=2, mode="bilinear"),
        (2, 3, 3, 2),
    ),
    "group norm": (nn.GroupNorm(2, 6), lambda torch: torch.nn.GroupNorm(2, 6), (3, 6, 4)),
    "rms norm": (nn.RMSNorm(6), lambda torch: torch.nn.RMSNorm(6), (3, 4, 6)),
    "layer norm without bias": (
        nn.LayerNorm(6, bias=False),
        lambda torch: torch.nn.LayerNorm(6, bias=False),
        (3, 4, 6),
    ),
    "encoder layer": (
        nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, rng=0),
        lambda torch: torch.nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0),
        (5, 3, 8),
    ),
    "encoder layer with norms first": (
        nn.TransformerEncoderLayer(8, 2, 12, 0.0, "gelu", batch_first=True, norm_first=True, rng=0),
        lambda torch: torch.nn.TransformerEncoderLayer(
            8, 2, 12, 0.0, "gelu", batch_first=True, norm_first=True
        ),
        (3, 5, 8),
    ),
    "encoder": (
        nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 1, 6, 0.0, rng=0), 2, nn.LayerNorm(4)),
        lambda torch: torch.nn.TransformerEncoder(
            torch.nn.TransformerEncoderLayer(4, 1, 6, 0.0),
            2,
            torch.nn.LayerNorm(4),
            enable_nested_tensor=False,
        ),
        (5, 3, 4),
    ),
    "softmax": (nn.Softmax(1), lambda torch: torch.nn.Softmax(1), (4, 5, 2)),
    "log softmax": (nn.LogSoftmax(0), lambda torch: torch.nn.LogSoftmax(0), (4, 5)),
}


@pytest.mark.filterwarnings("ignore:Using padding='same'")  # of PyTorch, which copies its input for it
@pytest.mark.parametrize("name", LAYERS)
def test_outputs_and_gradients_are_those_of_torch(name: str) -> None:
    ours, theirs, shape = LAYERS[name]
    for p in ours.parameters():  # ones and zeros would hide a swapped weight and bias
        p.data[...] += numbers(*p.shape, seed=5) * 0.3
        p.grad = None
    compare(name, ours, theirs, numbers(*shape))


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("kind", ["tanh", "relu", "lstm"])
def test_recurrent_layers_are_those_of_torch(kind: str, bias: bool, batch_first: bool, layers: int) -> None:
    options = {"num_layers": layers, "bias": bias, "batch_first": batch_first}
    if kind == "lstm":
        ours = nn.LSTM(3, 4, rng=0, **options)
        compare(
            f"lstm {options}",
            ours,
            lambda torch: torch.nn.LSTM(3, 4, **options),
            numbers(5, 2, 3),
            itemgetter(0),
        )
    else:
        ours = nn.RNN(3, 4, nonlinearity=kind, rng=0, **options)
        compare(
            f"rnn {kind} {options}",
            ours,
            lambda torch: torch.nn.RNN(3, 4, nonlinearity=kind, **options),
            numbers(5, 2, 3),
            itemgetter(0),
        )


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_recurrent_layers_read_both_ways_as_in_torch(kind: str, batch_first: bool) -> None:
    options = {"num_layers": 2, "bidirectional": True, "batch_first": batch_first}
    ours, x = getattr(nn, kind)(3, 4, rng=0, **options), numbers(5, 2, 3)
    batch = 5 if batch_first else 2
    starts = [numbers(4, batch, 4, seed=s) for s in ((1, 2) if kind == "LSTM" else (1,))]

    def run(network: Any, tensor: Any, ones: Any) -> list[Any]:
        given = tuple(tensor(s, requires_grad=True) for s in starts)
        a = tensor(x, requires_grad=True)
        outputs, last = network(a, given if kind == "LSTM" else given[0])
        memories = last if kind == "LSTM" else (last,)
        outputs.backward(ones(numbers(*outputs.shape, seed=9)), retain_graph=True)
        for memory in memories:
            memory.backward(ones(numbers(*memory.shape, seed=8)), retain_graph=True)
        weights = [q.grad for q in network.parameters()]
        return [outputs, *memories, a.grad, *(g.grad for g in given), *weights]

    def ask(torch: Any) -> Any:
        theirs = getattr(torch.nn, kind)(3, 4, **options)
        same_weights(ours, theirs, torch)
        assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
        return run(theirs, torch.tensor, torch.tensor)

    weights = [p.data for p in ours.parameters()]
    expected = answers(f"both ways {kind} {batch_first}", ask, x, *starts, *weights)
    for found, other in zip(run(ours, Tensor, lambda g: g), expected, strict=True):
        close(found, other)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bias", [False, True])
def test_a_gru_is_that_of_torch(bias: bool, layers: int) -> None:
    options = {"num_layers": layers, "bias": bias}
    make = lambda torch: torch.nn.GRU(3, 4, **options)  # noqa: E731
    compare(f"gru {options}", nn.GRU(3, 4, rng=0, **options), make, numbers(5, 2, 3), itemgetter(0))


CAUSAL = np.triu(np.ones((5, 5), bool), 1)
PADDED = np.array([[False] * 4 + [True], [False] * 5, [False] * 2 + [True] * 3])
ADDED = np.where(CAUSAL, -np.inf, np.arange(25, dtype=np.float32).reshape(5, 5) / 10).astype(np.float32)
MASKS: dict[str, dict[str, Any]] = {
    "none": {},
    "causal": {"attn_mask": CAUSAL},
    "added": {"attn_mask": ADDED},
    "padding": {"key_padding_mask": PADDED},
    "both": {"attn_mask": CAUSAL, "key_padding_mask": PADDED},
    "of each head": {"attn_mask": np.random.default_rng(3).random((6, 5, 5)) < 0.3},
    "each head's weights": {"attn_mask": CAUSAL, "average_attn_weights": False},
}


@pytest.mark.parametrize("kind", ["self", "cross"])
@pytest.mark.parametrize("name", MASKS)
def test_attention_is_that_of_torch(name: str, kind: str) -> None:
    ours = nn.MultiheadAttention(8, 2, batch_first=True, rng=0)
    for p in ours.parameters():
        p.data[...] += numbers(*p.shape, seed=5) * 0.3
    arrays = [numbers(3, 5, 8, seed=s) for s in ((0,) if kind == "self" else (0, 1, 2))]
    options = MASKS[name]

    def run(attention: Any, tensor: Any, given: Any, gradient: Any) -> list[Any]:
        inputs = [tensor(x, requires_grad=True) for x in arrays]
        y, shares = attention(*(inputs * 3 if kind == "self" else inputs), **given)
        y.backward(gradient(numbers(*y.shape, seed=9)))
        return [y, shares, *(t.grad for t in inputs), *(p.grad for p in attention.parameters())]

    def ask(torch: Any) -> Any:
        theirs = torch.nn.MultiheadAttention(8, 2, batch_first=True)
        same_weights(ours, theirs, torch)
        assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
        given = {key: torch.tensor(v) if isinstance(v, np.ndarray) else v for key, v in options.items()}
        return run(theirs, torch.tensor, given, torch.tensor)

    expected = answers(f"attention {name} {kind}", ask, *arrays, *(p.data for p in ours.parameters()))
    for found, other in zip(run(ours, Tensor, options, lambda g: g), expected, strict=True):
        close(found, other)


@pytest.mark.parametrize("how", ["plain", "causal", "mask", "added", "scale", "nothing allowed"])
def test_scaled_dot_product_attention_is_that_of_torch(how: str) -> None:
    arrays = [numbers(2, 3, *shape, seed=s) for s, shape in enumerate([(5, 4), (6, 4), (6, 2)])]
    mask = np.random.default_rng(4).random((5, 6)) < 0.6
    if how == "nothing allowed":
        mask[2] = False
    options: dict[str, Any] = {
        "plain": {},
        "causal": {"is_causal": True},
        "mask": {"attn_mask": mask},
        "nothing allowed": {"attn_mask": mask},
        "added": {"attn_mask": np.where(mask, numbers(5, 6), -np.inf).astype(np.float32)},
        "scale": {"scale": 0.3},
    }[how]

    def run(function: Any, tensor: Any, given: Any, gradient: Any) -> list[Any]:
        inputs = [tensor(x, requires_grad=True) for x in arrays]
        y = function(*inputs, **given)
        y.backward(gradient(numbers(*y.shape, seed=9)))
        return [y, *(t.grad for t in inputs)]

    def ask(torch: Any) -> Any:
        given = {key: torch.tensor(v) if isinstance(v, np.ndarray) else v for key, v in options.items()}
        return run(torch.nn.functional.scaled_dot_product_attention, torch.tensor, given, torch.tensor)

    expected = answers(f"sdpa {how}", ask, *arrays)
    for found, other in zip(
        run(F.scaled_dot_product_attention, Tensor, options, lambda g: g), expected, strict=True
    ):
        close(found, other)


def test_the_padding_row_of_an_embedding_is_zero_and_gets_no_gradient() -> None:
    ours, indices, start = nn.Embedding(6, 3, -2, rng=0), np.array([[1, 4], [4, 0]]), numbers(2, 2, 3)
    assert not ours.weight.data[4].any() and ours.weight.data[5].any()

    def ask(torch: Any) -> Any:
        theirs = torch.nn.Embedding(6, 3, -2)
        same_weights(ours, theirs, torch)
        y = theirs(torch.tensor(indices))
        y.backward(torch.tensor(start))
        return [y, theirs.weight.grad]

    y = ours(indices)
    y.backward(start)
    for found, other in zip((y, ours.weight.grad), answers("padding row", ask, indices, start), strict=True):
        close(found, other)


def test_recurrent_layers_start_from_a_given_state_and_return_the_last() -> None:
    ours = nn.LSTM(3, 4, rng=0)
    x, h, c = numbers(5, 2, 3), numbers(1, 2, 4, seed=1), numbers(1, 2, 4, seed=2)

    def ask(torch: Any) -> Any:
        theirs, start = torch.nn.LSTM(3, 4), torch.tensor(h, requires_grad=True)
        same_weights(ours, theirs, torch)
        _, (last_h, last_c) = theirs(torch.tensor(x), (start, torch.tensor(c)))
        last_c.sum().backward()
        return [last_h, last_c, start.grad]

    start = Tensor(h, requires_grad=True)
    _, (last_h, last_c) = ours(Tensor(x), (start, Tensor(c)))
    last_c.sum().backward()
    expected = answers("lstm from a state", ask, x, h, c, *(p.data for p in ours.parameters()))
    for found, other in zip((last_h, last_c, start.grad), expected, strict=True):
        close(found, other)


def test_an_embedding_adds_up_the_gradients_of_a_row_that_is_used_twice() -> None:
    ours, indices, start = nn.Embedding(6, 3, rng=0), np.array([[1, 4], [4, 0]]), numbers(2, 2, 3)

    def ask(torch: Any) -> Any:
        theirs = torch.nn.Embedding(6, 3)
        same_weights(ours, theirs, torch)
        theirs(torch.tensor(indices)).backward(torch.tensor(start))
        return theirs.weight.grad

    ours(indices).backward(start)
    close(ours.weight.grad, answers("embedding", ask, indices, start, ours.weight.data))


@pytest.mark.parametrize("momentum", [0.1, 0.7])
def test_running_statistics_and_evaluation_are_those_of_torch(momentum: float) -> None:
    batches = [numbers(4, 3, 5, 2, seed=seed) * 3 + 1 for seed in range(3)]
    x = numbers(4, 3, 5, 2, seed=9)

    def run(norm: Any, tensor: Any) -> list[Any]:
        for batch in batches:
            norm(tensor(batch))
        norm.eval()
        a = tensor(x, requires_grad=True)
        y = norm(a)
        y.sum().backward()
        return [norm.running_mean, norm.running_var, y, a.grad]

    expected = answers(
        f"running statistics {momentum}",
        lambda torch: run(torch.nn.BatchNorm2d(3, momentum=momentum), torch.tensor),
        *batches,
        x,
    )
    for found, other in zip(run(nn.BatchNorm2d(3, momentum=momentum), Tensor), expected, strict=True):
        close(found, other)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("loss", ["cross entropy", "smoothed", "nll", "mse", "bce"])
def test_losses_are_those_of_torch(loss: str, reduction: str) -> None:
    x, labels = numbers(6, 4), np.array([0, 3, 1, 1, 2, 0])
    target = np.random.default_rng(1).random((6, 4)).astype(np.float32)
    smoothed = {"label_smoothing": 0.2} if loss == "smoothed" else {}
    name, given = {
        "cross entropy": ("cross_entropy", labels),
        "smoothed": ("cross_entropy", labels),
        "nll": ("nll_loss", labels),
        "mse": ("mse_loss", target),
        "bce": ("binary_cross_entropy_with_logits", target),
    }[loss]

    def ask(torch: Any) -> Any:
        b = torch.tensor(x, requires_grad=True)
        function = getattr(torch.nn.functional, name)
        z = function(b, torch.tensor(given), reduction=reduction, **smoothed)
        z.backward(torch.ones_like(z))
        return [z, b.grad]

    a = Tensor(x, requires_grad=True)
    ours = getattr(F, name)(a, given, reduction=reduction, **smoothed)
    ours.backward(np.ones(ours.shape, np.float32))
    z, gradient = answers(f"loss {loss} {reduction}", ask, x, given)
    close(ours, z)
    close(a.grad, gradient)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_padding_by_the_picture_itself_is_that_of_torch(mode: str) -> None:
    x, start = numbers(1, 2, 3, 4), numbers(1, 2, 5, 7, seed=1)

    def ask(torch: Any) -> Any:
        b = torch.tensor(x, requires_grad=True)
        y = torch.nn.functional.pad(b, (1, 2, 2, 0), mode=mode)
        y.backward(torch.tensor(start))
        return [y, b.grad]

    a = Tensor(x, requires_grad=True)
    y = F.pad(a, (1, 2, 2, 0), mode=mode)
    y.backward(start)
    for found, other in zip((y, a.grad), answers(f"pad {mode}", ask, x, start), strict=True):
        close(found, other)


@pytest.mark.parametrize("padding", [(1, 2), (1, 2, 0, 3)])
def test_padding_counts_from_the_last_axis_as_in_torch(padding: tuple[int, ...]) -> None:
    x = numbers(2, 3, 4)
    expected = answers(
        f"pad {padding}", lambda torch: torch.nn.functional.pad(torch.tensor(x), padding, value=7.0), x
    )
    close(F.pad(Tensor(x), padding, value=7.0), expected)


def build_ours(rng: np.random.Generator) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, rng=rng),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Residual(nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, rng=rng), nn.GELU())),
        nn.Flatten(),
        nn.Linear(64, 16, rng=rng),
        nn.Tanh(),
        nn.Linear(16, 10, rng=rng),
    )


def build_theirs(torch: Any) -> Any:
    class Block(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = torch.nn.Sequential(torch.nn.Conv2d(4, 4, 3, padding=1), torch.nn.GELU())

        def forward(self, x: Any) -> Any:
            return self.body(x) + x

    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3, padding=1),
        torch.nn.BatchNorm2d(4),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        Block(),
        torch.nn.Flatten(),
        torch.nn.Linear(64, 16),
        torch.nn.Tanh(),
        torch.nn.Linear(16, 10),
    )


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_twenty_steps_of_training_follow_torch(optimizer: str) -> None:
    ours = build_ours(np.random.default_rng(0))
    rng = np.random.default_rng(1)
    batches = [
        (rng.normal(size=(16, 1, 8, 8)).astype(np.float32), rng.integers(0, 10, 16)) for _ in range(20)
    ]

    def run(network: Any, algorithms: Any, loss_of: Any, tensor: Any) -> list[Any]:
        if optimizer == "sgd":
            step = algorithms.SGD(network.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)
        else:  # a large epsilon: Adam divides the noise of a zero gradient by itself
            step = algorithms.Adam(network.parameters(), lr=1e-3, eps=1e-3)
        losses = []
        for x, labels in batches:
            loss = loss_of(network(tensor(x)), labels)
            step.zero_grad()
            loss.backward()
            step.step()
            losses.append(loss.item())
        return [np.array(losses), *(values(p.data) for p in network.parameters())]

    def ask(torch: Any) -> Any:
        theirs = build_theirs(torch)
        same_weights(ours, theirs, torch)
        loss_of = lambda y, labels: torch.nn.functional.cross_entropy(y, torch.tensor(labels))  # noqa: E731
        return run(theirs, torch.optim, loss_of, torch.tensor)

    drawn = [array for batch in batches for array in batch]
    expected = answers(f"twenty steps {optimizer}", ask, *drawn, *(p.data for p in ours.parameters()))
    for found, other in zip(run(ours, optim, F.cross_entropy, Tensor), expected, strict=True):
        np.testing.assert_allclose(found, other, rtol=1e-5, atol=1e-5)


def test_initial_weights_have_the_bounds_that_torch_gives() -> None:
    layers = {
        "Linear": (nn.Linear(40, 30, rng=0), (40, 30)),
        "Conv2d": (nn.Conv2d(4, 8, 3, rng=0), (4, 8, 3)),
        "LSTM": (nn.LSTM(10, 20, rng=0), (10, 20)),
    }
    for name, (ours, sizes) in layers.items():

        def ask(torch: Any, name: str = name, sizes: Any = sizes) -> Any:
            torch.manual_seed(0)
            parameters = [q.detach() for q in getattr(torch.nn, name)(*sizes).parameters()]
            return [[*q.shape, float(abs(q).max()), float(q.std())] for q in parameters]

        for p, recorded in zip(ours.parameters(), answers(f"initial {name}", ask), strict=True):
            *shape, largest, spread = recorded
            assert p.shape == tuple(shape)
            if p.size > 100:
                assert abs(p.data).max() == pytest.approx(largest, rel=0.05)
                assert p.data.std() == pytest.approx(spread, rel=0.1)


@pytest.mark.parametrize("name", ["kaiming_uniform_", "kaiming_normal_", "xavier_uniform_", "xavier_normal_"])
def test_initialisers_have_the_spread_that_torch_gives(name: str) -> None:
    options = {"nonlinearity": "tanh", "mode": "fan_out"} if name.startswith("kaiming") else {"gain": 2.0}

    def ask(torch: Any) -> Any:
        torch.manual_seed(0)
        return getattr(torch.nn.init, name)(torch.zeros(60, 20, 3, 3), **options).std()

    ours, spread = (
        getattr(nn.init, name)(Tensor(np.zeros((60, 20, 3, 3))), rng=0, **options),
        answers(name, ask),
    )
    assert ours.data.std() == pytest.approx(float(spread), rel=0.03)
    assert ours.data.mean() == pytest.approx(0.0, abs=0.05 * float(spread))


def test_stacking_is_part_of_the_graph() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    apply("stack", x, x, axis=0).sum().backward()
    assert x.grad.data.tolist() == [2.0, 2.0]
