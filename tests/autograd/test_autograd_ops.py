"""Every operation of the table: gradients against central differences, values and gradients against "
"PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from torch_answers import answers

from floatlab.autograd import Tensor, apply, gradcheck
from floatlab.autograd.ops.table import TABLE


@dataclass(frozen=True)
class Case:
    """One use of one operation.

    `shapes` are those of the inputs, drawn uniformly from `low` to `high`, at least 0.05 from 0 (a kink for
    some). `torch` is the same in PyTorch: it gets the torch module, the inputs and the parameters.
    """

    op: str
    shapes: tuple[tuple[int, ...], ...]
    params: dict[str, Any]
    torch: Callable[..., Any]
    low: float = -2.0
    high: float = 2.0

    def draw(self) -> list[np.ndarray]:
        rng = np.random.default_rng(len(self.op) + sum(map(len, self.shapes)))
        arrays = []
        for shape in self.shapes:
            x = rng.uniform(self.low, self.high, shape)
            arrays.append(np.where(np.abs(x) < 0.05, x + 0.1, x))
        return arrays

    def run(self, *tensors: Tensor) -> Tensor:
        return apply(self.op, *tensors, **self.params)


def case(op: str, *shapes: tuple[int, ...], torch: Callable[..., Any], low=-2.0, high=2.0, **params) -> Case:
    return Case(op, shapes, params, torch, low, high)


LABELS = np.array([2, 0, 1, 2])
MASK = np.random.default_rng(5).random((3, 4)) < 0.5
INDICES = np.array([[0, 2, 2], [4, 0, 2]])
FANCY = (np.array([0, 2, 2, 1]), np.array([1, 1, 1, 3]))
TARGET = 0.3


def _torch_var(t, x, axis=None, keepdims=False, correction=1):
    return x.var(dim=axis, keepdim=keepdims, correction=correction)


CASES = [
    case("add", (3, 4), (3, 4), torch=lambda t, a, b: a + b),
    case("add", (3, 4), (4,), torch=lambda t, a, b: a + b),
    case("add", (3, 1), (2, 1, 4), torch=lambda t, a, b: a + b),
    case("sub", (3, 4), (3, 1), torch=lambda t, a, b: a - b),
    case("mul", (3, 4), (3, 4), torch=lambda t, a, b: a * b),
    case("mul", (3, 1, 4), (2, 1), torch=lambda t, a, b: a * b),
    case("mul", (3, 4), (), torch=lambda t, a, b: a * b),
    case("div", (3, 4), (3, 4), torch=lambda t, a, b: a / b, low=0.5),
    case("div", (4,), (3, 4), torch=lambda t, a, b: a / b, low=0.5),
    case("neg", (3, 4), torch=lambda t, a: -a),
    case("pow", (3, 4), (3, 4), torch=lambda t, a, b: a**b, low=0.3),
    case("exp", (3, 4), torch=lambda t, a: a.exp()),
    case("log", (3, 4), torch=lambda t, a: a.log(), low=0.1),
    case("sqrt", (3, 4), torch=lambda t, a: a.sqrt(), low=0.1),
    case("abs", (3, 4), torch=lambda t, a: a.abs()),
    case("tanh", (3, 4), torch=lambda t, a: a.tanh()),
    case("sigmoid", (3, 4), torch=lambda t, a: a.sigmoid()),
    case("relu", (3, 4), torch=lambda t, a: a.relu()),
    case("leaky_relu", (3, 4), slope=0.2, torch=lambda t, a, slope: t.nn.functional.leaky_relu(a, slope)),
    case("gelu", (3, 4), torch=lambda t, a: t.nn.functional.gelu(a)),
    case(
        "gelu",
        (3, 4),
        approximate="tanh",
        torch=lambda t, a, approximate: t.nn.functional.gelu(a, approximate=approximate),
    ),
    case("softplus", (3, 4), torch=lambda t, a: t.nn.functional.softplus(a)),
    case("softplus", (3, 4), beta=3.0, torch=lambda t, a, beta: t.nn.functional.softplus(a, beta)),
    case("clamp", (3, 4), low=-1.0, high=0.5, torch=lambda t, a: a),  # replaced below
    case("maximum", (3, 4), (3, 4), torch=lambda t, a, b: t.maximum(a, b)),
    case("minimum", (3, 4), (1, 4), torch=lambda t, a, b: t.minimum(a, b)),
    case(
        "where",
        (3, 4),
        (3, 4),
        condition=MASK,
        torch=lambda t, a, b, condition: t.where(t.tensor(condition), a, b),
    ),
    case(
        "masked_fill",
        (3, 4),
        mask=MASK,
        value=-5.0,
        torch=lambda t, a, mask, value: a.masked_fill(t.tensor(mask), value),
    ),
    case("dropout", (3, 4), mask=MASK, p=0.25, torch=lambda t, a, mask, p: a * t.tensor(mask) / (1 - p)),
    case("reshape", (3, 4), shape=(2, 6), torch=lambda t, a, shape: a.reshape(shape)),
    case("permute", (2, 3, 4), axes=(2, 0, 1), torch=lambda t, a, axes: a.permute(axes)),
    case("permute", (2, 3, 4), axes=(-1, 0, -2), torch=lambda t, a, axes: a.permute(axes)),
    case("expand", (3, 1), shape=(2, 3, 4), torch=lambda t, a, shape: a.expand(shape)),
    case("index", (3, 4), key=(slice(None, None, 2), 1), torch=lambda t, a, key: a[key]),
    case("index", (3, 4), key=FANCY, torch=lambda t, a, key: a[key]),
    case("index", (3, 4), key=MASK, torch=lambda t, a, key: a[t.tensor(key)]),
    case("index", (3, 4), key=(None, Ellipsis, -1), torch=lambda t, a, key: a[key]),
    case("embedding", (5, 3), indices=INDICES, torch=lambda t, a, indices: a[t.tensor(indices)]),
    case("cat", (2, 3), (1, 3), (4, 3), axis=0, torch=lambda t, *xs, axis: t.cat(xs, axis)),
    case("cat", (2, 3), (2, 1), axis=-1, torch=lambda t, *xs, axis: t.cat(xs, axis)),
    case("stack", (2, 3), (2, 3), axis=1, torch=lambda t, *xs, axis: t.stack(xs, axis)),
    case(
        "pad",
        (2, 3),
        widths=((1, 0), (2, 1)),
        value=1.5,
        torch=lambda t, a, widths, value: t.nn.functional.pad(a, (2, 1, 1, 0), value=value),
    ),
    case("sum", (3, 4), torch=lambda t, a: a.sum()),
    case(
        "sum",
        (2, 3, 4),
        axis=(0, -1),
        keepdims=True,
        torch=lambda t, a, axis, keepdims: a.sum(axis, keepdims),
    ),
    case("mean", (3, 4), torch=lambda t, a: a.mean()),
    case("mean", (2, 3, 4), axis=1, torch=lambda t, a, axis: a.mean(axis)),
    case("var", (3, 4), torch=_torch_var),
    case("var", (2, 3, 4), axis=-1, keepdims=True, correction=0, torch=_torch_var),
    case("max", (3, 4), axis=1, torch=lambda t, a, axis: a.amax(axis)),
    case("max", (3, 4), torch=lambda t, a: a.amax()),
    case(
        "min",
        (2, 3, 4),
        axis=(0, 2),
        keepdims=True,
        torch=lambda t, a, axis, keepdims: a.amin(axis, keepdims),
    ),
    case("matmul", (3, 4), (4, 2), torch=lambda t, a, b: a @ b),
    case("matmul", (4,), (4,), torch=lambda t, a, b: a @ b),
    case("matmul", (4,), (4, 2), torch=lambda t, a, b: a @ b),
    case("matmul", (3, 4), (4,), torch=lambda t, a, b: a @ b),
    case("matmul", (2, 3, 4), (4, 5), torch=lambda t, a, b: a @ b),
    case("matmul", (2, 3, 4), (4,), torch=lambda t, a, b: a @ b),
    case("matmul", (4,), (2, 4, 3), torch=lambda t, a, b: a @ b),
    case("matmul", (2, 1, 3, 4), (5, 4, 2), torch=lambda t, a, b: a @ b),
    case("matmul", (3, 4), (2, 4, 5), torch=lambda t, a, b: a @ b),
    case("linear", (3, 4), (2, 4), (2,), torch=lambda t, *xs: t.nn.functional.linear(*xs)),
    case("linear", (2, 3, 4), (5, 4), torch=lambda t, *xs: t.nn.functional.linear(*xs)),
    case("linear", (4,), (5, 4), (5,), torch=lambda t, *xs: t.nn.functional.linear(*xs)),
    case("softmax", (3, 4), torch=lambda t, a: a.softmax(-1)),
    case("softmax", (3, 4), axis=0, torch=lambda t, a, axis: a.softmax(axis)),
    case("log_softmax", (2, 3, 4), axis=1, torch=lambda t, a, axis: a.log_softmax(axis)),
    case(
        "cross_entropy",
        (4, 3),
        labels=LABELS,
        torch=lambda t, a, labels: t.nn.functional.cross_entropy(a, t.tensor(labels)),
    ),
    case(
        "cross_entropy",
        (4, 3),
        labels=LABELS,
        reduction="sum",
        label_smoothing=0.1,
        torch=lambda t, a, labels, **k: t.nn.functional.cross_entropy(a, t.tensor(labels), **k),
    ),
    case(
        "cross_entropy",
        (4, 3),
        labels=LABELS,
        reduction="none",
        label_smoothing=0.3,
        torch=lambda t, a, labels, **k: t.nn.functional.cross_entropy(a, t.tensor(labels), **k),
    ),
    case(
        "nll", (4, 3), labels=LABELS, torch=lambda t, a, labels: t.nn.functional.nll_loss(a, t.tensor(labels))
    ),
    case(
        "nll",
        (4, 3),
        labels=LABELS,
        reduction="none",
        torch=lambda t, a, labels, reduction: t.nn.functional.nll_loss(
            a, t.tensor(labels), reduction=reduction
        ),
    ),
    case("mse", (3, 4), (3, 4), torch=lambda t, a, b: t.nn.functional.mse_loss(a, b)),
    case(
        "mse",
        (3, 4),
        (3, 4),
        reduction="none",
        torch=lambda t, a, b, reduction: t.nn.functional.mse_loss(a, b, reduction=reduction),
    ),
    case(
        "bce_with_logits",
        (3, 4),
        (3, 4),
        torch=lambda t, a, b: t.nn.functional.binary_cross_entropy_with_logits(a, b),
    ),
    case(
        "bce_with_logits",
        (3, 4),
        (3, 4),
        reduction="sum",
        torch=lambda t, a, b, reduction: t.nn.functional.binary_cross_entropy_with_logits(
            a, b, reduction=reduction
        ),
    ),
    case("conv2d", (2, 3, 5, 6), (4, 3, 3, 2), (4,), torch=lambda t, *xs: t.nn.functional.conv2d(*xs)),
    case(
        "conv2d",
        (2, 2, 7, 6),
        (3, 2, 3, 3),
        (3,),
        stride=2,
        padding=1,
        torch=lambda t, *xs, **k: t.nn.functional.conv2d(*xs, **k),
    ),
    case(
        "conv2d",
        (1, 2, 8, 7),
        (3, 2, 2, 3),
        stride=(3, 2),
        padding=(0, 2),
        torch=lambda t, *xs, **k: t.nn.functional.conv2d(*xs, **k),
    ),
    case(
        "conv2d",
        (2, 2, 4, 4),
        (3, 2, 1, 1),
        padding=1,
        torch=lambda t, *xs, **k: t.nn.functional.conv2d(*xs, **k),
    ),
    case(
        "max_pool2d", (2, 2, 6, 4), kernel=2, torch=lambda t, a, kernel: t.nn.functional.max_pool2d(a, kernel)
    ),
    case(
        "max_pool2d",
        (2, 2, 7, 5),
        kernel=(3, 2),
        stride=(2, 1),
        padding=1,
        torch=lambda t, a, kernel, **k: t.nn.functional.max_pool2d(a, kernel, **k),
    ),
    case(
        "avg_pool2d", (2, 2, 6, 4), kernel=2, torch=lambda t, a, kernel: t.nn.functional.avg_pool2d(a, kernel)
    ),
    case(
        "avg_pool2d",
        (2, 2, 7, 5),
        kernel=3,
        stride=2,
        padding=1,
        torch=lambda t, a, kernel, **k: t.nn.functional.avg_pool2d(a, kernel, **k),
    ),
    case(
        "layer_norm",
        (3, 5),
        (5,),
        (5,),
        torch=lambda t, a, w, b: t.nn.functional.layer_norm(a, a.shape[-1:], w, b),
    ),
    case(
        "layer_norm",
        (2, 3, 4),
        axes=2,
        eps=1e-3,
        torch=lambda t, a, axes, eps: t.nn.functional.layer_norm(a, a.shape[-axes:], eps=eps),
    ),
    case(
        "batch_norm",
        (6, 3),
        (3,),
        (3,),
        torch=lambda t, a, w, b: t.nn.functional.batch_norm(a, None, None, w, b, training=True),
    ),
    case(
        "batch_norm",
        (3, 2, 4, 3),
        (2,),
        (2,),
        torch=lambda t, a, w, b: t.nn.functional.batch_norm(a, None, None, w, b, training=True),
    ),
    case(
        "batch_norm",
        (3, 2, 4),
        mean=np.array([0.5, -0.5]),
        var=np.array([2.0, 0.7]),
        torch=lambda t, a, mean, var: t.nn.functional.batch_norm(
            a, t.tensor(mean, dtype=a.dtype), t.tensor(var, dtype=a.dtype)
        ),
    ),
]
CASES = [c for c in CASES if c.op != "clamp"] + [
    Case("clamp", ((3, 4),), {"low": -1.0, "high": 0.5}, lambda t, a, low, high: a.clamp(low, high)),
    Case("clamp", ((3, 4),), {"high": 0.5}, lambda t, a, high: a.clamp(max=high)),
]
PLACES = np.array([[0, 2, 2], [1, 0, 1]])


def _torch_std(t, x, axis=None, keepdims=False, correction=1):
    return x.std(dim=axis, keepdim=keepdims, correction=correction)


def _torch_put(t, a, b, view):
    y = a.clone()
    y[view[1]["key"]] = b
    return y


# Their answers stand in a file of their own, so they come last: the names of answers hold the positions.
CASES += [
    case("add_scaled", (3, 4), (3, 4), alpha=-0.625, torch=lambda t, a, b, alpha: t.add(a, b, alpha=alpha)),
    case("add_scaled", (3, 4), (4,), alpha=-0.375, torch=lambda t, a, b, alpha: t.add(a, b, alpha=alpha)),
    case(
        "put", (3, 4), (2, 1), view=("index", {"key": (slice(None, None, 2), slice(1, 3))}), torch=_torch_put
    ),
    case(
        "gather",
        (3, 4),
        axis=1,
        indices=PLACES,
        torch=lambda t, a, axis, indices: a.gather(axis, t.tensor(indices)),
    ),
    case(
        "gather",
        (3, 4),
        axis=0,
        indices=PLACES,
        torch=lambda t, a, axis, indices: a.gather(axis, t.tensor(indices)),
    ),
    *(
        case(name, (3, 4), torch=lambda t, a, name=name: getattr(t, name)(a), low=low, high=high)
        for name, low, high in (
            *(("exp2", -2.0, 2.0), ("expm1", -2.0, 2.0), ("log2", 0.1, 2.0), ("log10", 0.1, 2.0)),
            *(
                ("log1p", -0.5, 2.0),
                ("sin", -2.0, 2.0),
                ("cos", -2.0, 2.0),
                ("tan", -1.0, 1.0),
                ("sinh", -2.0, 2.0),
            ),
            *(("cosh", -2.0, 2.0), ("arcsin", -0.9, 0.8), ("arccos", -0.9, 0.8), ("arctan", -2.0, 2.0)),
            *(("arcsinh", -2.0, 2.0), ("arccosh", 1.1, 3.0), ("arctanh", -0.9, 0.8), ("erf", -2.0, 2.0)),
            *(("rsqrt", 0.1, 2.0), ("deg2rad", -2.0, 2.0), ("rad2deg", -2.0, 2.0)),
        )
    ),
    case("cbrt", (3, 4), torch=lambda t, a: a ** (1 / 3), low=0.1),
    case("hypot", (3, 4), (4,), torch=lambda t, a, b: t.hypot(a, b)),
    case("arctan2", (3, 4), (4,), torch=lambda t, a, b: t.arctan2(a, b)),
    case("logaddexp", (3, 4), (4,), torch=lambda t, a, b: t.logaddexp(a, b)),
    case("logaddexp2", (3, 4), (4,), torch=lambda t, a, b: t.logaddexp2(a, b)),
    case("std", (3, 4), torch=lambda t, a: a.std()),
    case("std", (2, 3, 4), axis=(0, 2), keepdims=True, correction=0, torch=_torch_std),
    *(
        case("norm", (3, 4), axis=1, p=p, torch=lambda t, a, axis, p: a.norm(p, axis))
        for p in (2.0, 1.0, np.inf, -np.inf, 3.0, 0.5)
    ),
    case("norm", (3, 4), keepdims=True, torch=lambda t, a, keepdims: a.norm().reshape(1, 1)),
    case("cumsum", (3, 4), axis=1, torch=lambda t, a, axis: a.cumsum(axis)),
    case("cumsum", (3, 4), axis=0, torch=lambda t, a, axis: a.cumsum(axis)),
]
# cast changes the format, so it has tests of its own in test_autograd_tensor.py; the operations of layers and losses
# that came later have the same tests as here in tests/nn/test_nn_ops.py and test_autograd_further_ops.py
OTHERWISE_TESTED = {
    "cast",
    *("silu", "mish", "softsign", "logsigmoid", "elu", "hardtanh", "hardsigmoid", "hardswish", "prelu"),
    *("soft_cross_entropy", "l1", "smooth_l1", "huber", "bce", "kl_div"),
    *(
        "floor",
        "ceil",
        "round",
        "trunc",
        "sign",
        "logsumexp",
        "prod",
        "normalize",
        "cosine_similarity",
        "scatter_add",
    ),
    *("conv_transpose2d", "adaptive_avg_pool2d", "interpolate", "group_norm", "rms_norm"),
}

ids = [f"{c.op}-{'-'.join('x'.join(map(str, s)) or 'scalar' for s in c.shapes)}" for c in CASES]


def test_every_operation_of_the_table_has_a_case():
    assert {c.op for c in CASES} | OTHERWISE_TESTED == set(TABLE)


@pytest.mark.parametrize("c", CASES, ids=ids)
def test_derivatives_agree_with_central_differences(c):
    tensors = [Tensor(x, requires_grad=True, format="fp64") for x in c.draw()]
    assert gradcheck(c.run, tensors, tolerance=2e-7) is not None


@pytest.mark.parametrize("c", CASES, ids=ids)
def test_float32_values_and_gradients_agree_with_pytorch(c):
    position = next(i for i, other in enumerate(CASES) if other is c)
    arrays = [x.astype(np.float32) for x in c.draw()]
    ours = [Tensor(x, requires_grad=True) for x in arrays]
    out = c.run(*ours)
    weight = np.random.default_rng(0).uniform(0.5, 1.5, out.shape).astype(np.float32)

    def ask(torch):
        theirs = [torch.tensor(x, requires_grad=True) for x in arrays]
        reference = c.torch(torch, *theirs, **c.params)
        reference.backward(torch.tensor(weight))
        return [reference, *(b.grad for b in theirs)]

    reference, *expected = answers(f"op {ids[position]} {position}", ask, *arrays, weight)
    assert out.shape == reference.shape
    np.testing.assert_allclose(out.data, reference, rtol=1e-5, atol=1e-6)
    out.backward(weight)
    for a, b in zip(ours, expected, strict=True):
        np.testing.assert_allclose(a.grad.data, b, rtol=1e-5, atol=1e-5)


TIES: dict[str, tuple[Callable[..., Any], Callable[..., Any], tuple[Any, ...]]] = {
    "maximum": (
        lambda a, b: apply("maximum", a, b),
        lambda t, a, b: t.maximum(a, b),
        ([1.0, 2.0, 0.0, -0.0, 3.0], [1.0, 1.0, -0.0, 0.0, 4.0]),
    ),
    "minimum": (
        lambda a, b: apply("minimum", a, b),
        lambda t, a, b: t.minimum(a, b),
        ([1.0, 2.0, 0.0, -0.0, 3.0], [1.0, 1.0, -0.0, 0.0, 4.0]),
    ),
    "amax": (
        lambda a: apply("max", a, axis=1),
        lambda t, a: a.amax(1),
        ([[1.0, 1.0, 0.0], [2.0, 3.0, 3.0]],),
    ),
    "amin": (lambda a: apply("min", a), lambda t, a: a.amin(), ([[1.0, 1.0, 5.0], [2.0, 1.0, 3.0]],)),
    # At a bound PyTorch until 2.13 passes the gradient, and since 2.14 it does not: see below.
    "clamp beside its bounds": (
        lambda a: a.clamp(1.0, 2.0),
        lambda t, a: a.clamp(1.0, 2.0),
        ([0.5, 1.5, 2.5, np.nan, np.inf, -np.inf],),
    ),
    "power of NaN": (
        lambda a, b: a**b,
        lambda t, a, b: a**b,
        ([0.0, 0.0, np.nan, 1.0, 2.0, np.nan, np.inf], [0.0, np.nan, 0.0, np.nan, np.nan, 2.0, 2.0]),
    ),
    "where": (
        lambda a, b: apply("where", a, b, condition=np.array([True, False])),
        lambda t, a, b: t.where(t.tensor([True, False]), a, b),
        ([1.0, np.inf], [np.nan, 1.0]),
    ),
    "max pool": (
        lambda a: apply("max_pool2d", a, kernel=(2, 2), stride=(1, 1), padding=(1, 1)),
        lambda t, a: t.nn.functional.max_pool2d(a, 2, 1, 1),
        ([[[[1.0, 1.0, 2.0], [2.0, 2.0, 2.0], [-1.0, -1.0, 2.0]]]],),
    ),
    "power": (
        lambda a, b: a**b,
        lambda t, a, b: a**b,
        ([0.0, -0.0, -2.0, 2.0, 0.0], [2.0, 3.0, 3.0, 0.0, 1.0]),
    ),
    "power of zero": (lambda a: a**0.0, lambda t, a: a**0.0, ([0.0, np.nan, np.inf, -1.0],)),
    "relu": (lambda a: apply("relu", a), lambda t, a: a.relu(), ([0.0, -0.0, 1.0, -1.0],)),
    "leaky relu": (
        lambda a: apply("leaky_relu", a, slope=0.5),
        lambda t, a: t.nn.functional.leaky_relu(a, 0.5),
        ([0.0, -0.0, 1.0, -1.0],),
    ),
    "abs": (abs, lambda t, a: a.abs(), ([0.0, -0.0, 1.0, -1.0],)),
    "sqrt": (lambda a: a.sqrt(), lambda t, a: a.sqrt(), ([0.0, 4.0],)),
}


@pytest.mark.parametrize("name", TIES)
def test_values_and_gradients_at_ties_and_edges_are_pytorchs(name: str) -> None:
    run, ask_run, inputs = TIES[name]
    arrays = [np.array(x, np.float32) for x in inputs]

    def ask(torch: Any) -> Any:
        theirs = [torch.tensor(x, requires_grad=True) for x in arrays]
        y = ask_run(torch, *theirs)
        y.sum().backward()
        return [y, *(b.grad for b in theirs)]

    ours = [Tensor(x, requires_grad=True) for x in arrays]
    y = run(*ours)
    y.sum().backward()
    for found, expected in zip(
        [y, *(a.grad for a in ours)], answers(f"tie {name}", ask, *arrays), strict=True
    ):
        np.testing.assert_allclose(found.data, expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["fp32", "fp16", "bf16", "e5m2"])
@pytest.mark.parametrize("c", CASES, ids=ids)
def test_every_output_and_gradient_is_the_wide_one_rounded_once(c, name):
    """The same values in float64 give the result before its rounding, to far more digits than it keeps."""
    narrow = [Tensor(x, requires_grad=True, format=name) for x in c.draw()]
    wide = [Tensor(x.data, requires_grad=True, format="fp64") for x in narrow]
    out, expected = c.run(*narrow), c.run(*wide)
    assert out.format.name != "float64"
    assert np.array_equal(out.data, Tensor(expected.data, format=name).data)
    if TABLE[c.op].keeps_output and c.op not in ("relu", "max", "min"):
        return  # the derivative starts from the rounded output, as PyTorch's does
    weight = Tensor(np.random.default_rng(0).uniform(0.5, 1.5, out.shape), format=name).data
    out.backward(weight)
    expected.backward(weight)
    for a, b in zip(narrow, wide, strict=True):
        assert np.array_equal(a.grad.data, Tensor(b.grad.data, format=name).data)


@pytest.mark.parametrize("c", CASES, ids=ids)
def test_hybrid_gradients_are_rounded_once_to_the_gradient_format(c):
    narrow = [Tensor(x, requires_grad=True, format="e4m3", gradient_format="e5m2") for x in c.draw()]
    wide = [Tensor(x.data, requires_grad=True, format="fp64") for x in narrow]
    out, expected = c.run(*narrow), c.run(*wide)
    assert (out.format.name, out.gradient_format.name) == ("float8_e4m3fn", "float8_e5m2")
    weight = Tensor(np.random.default_rng(0).uniform(300, 1000, out.shape), format="e5m2").data
    out.backward(weight)
    expected.backward(weight)
    for a, b in zip(narrow, wide, strict=True):
        assert a.grad.format.name == "float8_e5m2"
        rounded = Tensor(a.grad.data, format="e5m2").data
        assert np.array_equal(a.grad.data, rounded, equal_nan=True)
        if not TABLE[c.op].keeps_output:
            assert np.array_equal(a.grad.data, Tensor(b.grad.data, format="e5m2").data)


# -- ties: where PyTorch's choice is one of several ------------------------------------------------


def gradients(run: Callable[..., Tensor], *arrays: Any, weight: float = 1.0) -> list[Any]:
    tensors = [Tensor(x, requires_grad=True) for x in arrays]
    run(*tensors).sum().backward(weight)
    return [t.grad.data.tolist() for t in tensors]


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_equal_inputs_of_maximum_and_minimum_share_the_gradient(name: str) -> None:
    a, b = gradients(lambda a, b: apply(name, a, b), [1.0, 2.0, 0.0], [1.0, 1.0, -0.0], weight=3.0)
    assert (a[0], b[0], a[2], b[2]) == (1.5, 1.5, 1.5, 1.5)
    assert sorted([a[1], b[1]]) == [0.0, 3.0]


@pytest.mark.parametrize("name", ["max", "min"])
def test_equal_extremes_share_the_gradient(name: str) -> None:
    (x,) = gradients(lambda x: apply(name, x), [1.0, 1.0, 1.0, 1.0])
    assert x == [0.25] * 4
    rows = [[1.0, 1.0, 5.0], [2.0, 1.0, 2.0]] if name == "min" else [[1.0, 1.0, -5.0], [2.0, 3.0, 3.0]]
    (x,) = gradients(lambda x: apply(name, x, axis=1), rows)
    assert x == ([[0.5, 0.5, 0], [0, 1, 0]] if name == "min" else [[0.5, 0.5, 0], [0, 0.5, 0.5]])


def test_a_bound_of_clamp_passes_no_gradient_as_in_pytorch_from_2_14() -> None:
    (x,) = gradients(lambda x: x.clamp(1.0, 2.0), [0.5, 1.0, 1.5, 2.0, 2.5])
    assert x == [0, 0, 1, 0, 0]


def test_the_slope_at_a_bound_of_clamp_is_that_of_the_rounded_bound() -> None:
    tenth = Tensor([0.1], format="e4m3").item()  # not 0.1 itself
    x = Tensor([tenth, tenth * 1.125], format="e4m3", requires_grad=True)
    x.clamp(min=0.1).sum().backward()
    assert x.grad.tolist() == [0, 1]


def test_the_first_of_equal_values_of_a_window_gets_the_gradient() -> None:
    run = lambda x: apply("max_pool2d", x, kernel=(2, 2))  # noqa: E731
    (x,) = gradients(run, np.ones((1, 1, 2, 2)))
    assert np.ravel(x).tolist() == [1, 0, 0, 0]
    (x,) = gradients(run, [[[[0.0, 2.0], [2.0, 1.0]]]])
    assert np.ravel(x).tolist() == [0, 1, 0, 0]


def test_the_padding_of_a_maximum_is_never_chosen() -> None:
    x = Tensor(np.full((1, 1, 2, 2), -3.0), requires_grad=True)
    y = apply("max_pool2d", x, kernel=(2, 2), stride=(2, 2), padding=(1, 1))
    assert y.data.ravel().tolist() == [-3.0] * 4
    y.sum().backward()
    assert x.grad.data.ravel().tolist() == [1.0] * 4


EDGES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 65.0, 66.0, 1e30, np.inf, np.nan)


@pytest.mark.parametrize("fmt", ["fp64", "fp32"])
def test_powers_of_special_values_are_those_of_ieee_754(fmt: str) -> None:
    """The table of pow in IEEE 754-2019, 9.2.1, as the C library has it: the sign of every zero included."""
    edges = np.array([sign * x for x in EDGES for sign in (1.0, -1.0)])
    base, exponent = (x.ravel() for x in np.meshgrid(edges, edges))
    with np.errstate(all="ignore"):
        expected = np.power(base, exponent).astype(Tensor([0.0], format=fmt).data.dtype)
    found = [(Tensor(base, format=fmt) ** Tensor(exponent, format=fmt)).data]
    found.append(np.array([(Tensor(a, format=fmt) ** b).item() for a, b in zip(base, exponent, strict=True)]))
    special = ~np.isfinite(expected) | (np.abs(expected) <= 1)
    for values in found:
        assert np.array_equal(np.isnan(values), np.isnan(expected))
        real = special & ~np.isnan(expected)
        np.testing.assert_allclose(values[real], expected[real], rtol=1e-6)
        assert np.array_equal(np.signbit(values[real]), np.signbit(expected[real]))


@pytest.mark.parametrize("base", [0.0, -0.0, 2.0, -1.0, np.inf, np.nan])
@pytest.mark.parametrize("number", [True, False])
def test_a_power_of_zero_has_no_slope_in_its_base(base: float, number: bool) -> None:
    exponent: Any = 0.0 if number else Tensor([0.0])
    x = Tensor([base], requires_grad=True)
    (x**exponent).sum().backward()
    assert x.grad.item() == 0.0


def test_zero_to_the_zero_leaves_its_exponent_alone() -> None:
    base, exponent = gradients(lambda a, b: a**b, [0.0, 0.0, 2.0], [0.0, 2.0, 0.0])
    # From the right 0**b falls from 1 to 0 at once; PyTorch and JAX agree on 0, which moves no weight to infinity.
    assert exponent == [0.0, 0.0, pytest.approx(np.log(2.0))]
    assert base == [0.0, 0.0, 0.0]
