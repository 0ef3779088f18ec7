"""The names that people type: the same text, run by PyTorch and here, gives the same values and gradients.

A line of `METHODS` is an expression in x and y (and the library, L); both libraries evaluate it. PyTorch's answers are
recorded, so that the walk runs without it as well.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from torch_answers import answers

import floatlab as fl
from floatlab.autograd import Tensor

X = np.array([[0.5, -1.25, 2.0], [1.5, 0.75, -0.5]], np.float32)
Y = np.array([[1.25, 0.5, -0.75], [2.0, -1.5, 0.25]], np.float32)
P = np.array([[0.5, 1.25, 2.0], [1.5, 0.75, 0.5]], np.float32)  # positive, for roots and logarithms
TIES = np.array([[1.0, 3.0, 3.0], [2.0, 2.0, -1.0]], np.float32)
CUBE = np.linspace(-1, 1, 24).reshape(2, 3, 4).astype(np.float32)

# Expressions whose value is a tensor, a number, or a tuple of them; gradients flow to x and y.
METHODS: dict[str, tuple[np.ndarray, ...]] = {
    **dict.fromkeys(
        (
            *(
                "x.add(y)",
                "x.add(y, alpha=0.5)",
                "x.sub(y)",
                "x.sub(y, alpha=2)",
                "x.mul(y)",
                "x.div(y)",
                "x.pow(2)",
            ),
            *(
                "x.add(2)",
                "x.mul(-1.5)",
                "x.square()",
                "x.neg()",
                "x.abs()",
                "x.reciprocal()",
                "x.subtract(y)",
            ),
            *(
                "x.sin()",
                "x.cos()",
                "x.tan()",
                "x.exp()",
                "x.tanh()",
                "x.sigmoid()",
                "x.relu()",
                "x.erf()",
                "x.atan()",
            ),
            *(
                "x.t()",
                "x.T",
                "x.clone()",
                "x.contiguous()",
                "x.cpu()",
                "x.float()",
                "x.view(3, 2)",
                "x.view(-1)",
            ),
            *(
                "x.reshape(6)",
                "x.flatten()",
                "x.unsqueeze(0)",
                "x.unsqueeze(-1)",
                "x.squeeze()",
                "x.transpose(0, 1)",
            ),
            *(
                "x.repeat(2, 1)",
                "x.repeat(2, 1, 3)",
                "x.repeat((1, 2))",
                "x.expand(4, 2, 3)",
                "x.flip(1)",
                "x.flip(0, 1)",
            ),
            *(
                "x.chunk(2)",
                "x.chunk(2, 1)",
                "x.chunk(5, dim=1)",
                "x.split(1)",
                "x.split(2, dim=1)",
                "x.split([1, 2], 1)",
            ),
            *(
                "x.unbind(1)",
                "x.select(1, 2)",
                "x.narrow(1, 1, 2)",
                "x.view_as(y)",
                "x.expand_as(y)",
                "x.where(x > 0, y)",
            ),
            *(
                "x.std()",
                "x.std(1)",
                "x.std(dim=0, keepdim=True)",
                "x.std(unbiased=False)",
                "x.var(0, unbiased=False)",
            ),
            *(
                "x.var()",
                "x.var(1, True)",
                "x.var(1, False, True)",
                "x.std(1, correction=0)",
                "x.sum(dim=())",
            ),
            *(
                "x.norm()",
                "x.norm(1)",
                "x.norm(2, 1)",
                "x.norm(p=float('inf'))",
                "x.norm(dim=1)",
                "x.norm(p='fro')",
            ),
            *("x.norm(3, dim=0, keepdim=True)", "x.sum(1)", "x.sum(1, True)", "x.mean(0)", "x.mean((0, 1))"),
            *(
                "x.max()",
                "x.min()",
                "x.max(1)",
                "x.min(0)",
                "x.max(1, keepdim=True)",
                "x.max(y)",
                "x.amax(1)",
                "x.amin()",
            ),
            *(
                "x.max(1).values",
                "x.max(dim=1)[1]",
                "x.argmax()",
                "x.argmax(1)",
                "x.argmax(dim=1, keepdim=True)",
            ),
            *(
                "x.argmin(0)",
                "x.topk(2)",
                "x.topk(1, dim=0)",
                "x.topk(2, 1, largest=False)",
                "x.sort()",
                "x.argsort(0)",
            ),
            *(
                "x.sort(0, descending=True)",
                "x.cumsum(0)",
                "x.cumsum(dim=1)",
                "x.tril()",
                "x.triu(1)",
                "x.tril(-1)",
            ),
            *(
                "x.mm(y.t())",
                "x @ y.T",
                "x.matmul(y.t())",
                "x[0].dot(y[1])",
                "x.clamp(-1, 1)",
                "x.clamp(min=0.0)",
            ),
            *(
                "x.size()",
                "x.size(0)",
                "x.size(-1)",
                "x.dim()",
                "x.numel()",
                "x.shape[1]",
                "x.ndim",
                "len(x)",
            ),
            *(
                "x.gather(1, L.tensor([[0, 2], [1, 1]]))",
                "x.index_select(1, L.tensor([2, 0, 2]))",
                "x[:, L.tensor([1, 1])]",
            ),
            *(
                "x[x > 0]",
                "x[1]",
                "x[..., 0]",
                "x[:, None]",
                "x[L.tensor([True, False])]",
                "x.masked_fill(x > 0, -2.0)",
            ),
            *(
                "x > y",
                "x == x",
                "(x > 0).sum()",
                "(x > 0).float()",
                "(x > y).float().mean()",
                "x.long()",
                "x.isnan()",
            ),
            *(
                "(x.argmax(1) == L.tensor([2, 1])).float().mean()",
                "x.eq(y)",
                "x.gt(0).any()",
                "(x.long() == x).all()",
            ),
            *(
                "x.softmax(1)",
                "x.log_softmax(dim=0)",
                "x.item() if x.numel() == 1 else x.sum().item()",
                "x.int()",
            ),
            *(
                "L.exp(x)",
                "L.sin(x)",
                "L.tanh(x)",
                "L.sum(x)",
                "L.sum(x, 1)",
                "L.mean(x, dim=0)",
                "L.matmul(x, y.T)",
            ),
            *(
                "L.abs(x) if hasattr(L, 'abs') else x.abs()",
                "L.add(x, y)",
                "L.square(x)",
                "L.std(x, 1)",
                "L.var(x)",
            ),
            *(
                "L.norm(x)",
                "L.cumsum(x, 0)",
                "L.cat([x, y])",
                "L.cat((x, y), dim=1)",
                "L.stack([x, y], 1)",
                "L.relu(x)",
            ),
            *(
                "L.where(x > y, x, y)",
                "L.where(x > 0, x, 0.0)",
                "L.maximum(x, y)",
                "L.minimum(x, y)",
                "L.max(x)",
                "L.max(x, 1)",
            ),
            *(
                "L.argmax(x, 1)",
                "L.argmax(x, dim=1)",
                "L.softmax(x, dim=1)",
                "L.flatten(x)",
                "L.sigmoid(x)",
                "L.clamp(x, -1, 1)",
            ),
            *(
                "L.unsqueeze(x, 0)",
                "L.transpose(x, 0, 1)",
                "L.tril(x)",
                "L.topk(x, 2)",
                "L.chunk(x, 2)",
                "L.mm(x, y.T)",
            ),
            *(
                "L.zeros(2, 3) + x",
                "L.ones((2, 3)) * x",
                "L.zeros_like(x) + x",
                "L.ones_like(x) - x",
                "L.full((2,), 1.5)",
            ),
            *(
                "L.arange(5)",
                "L.arange(2, 8, 3)",
                "L.arange(0.0, 1.0, 0.25)",
                "L.eye(3)",
                "L.eye(2, 3)",
                "L.zeros(3)",
            ),
            *(
                "L.tensor([1.5, 2.0])",
                "L.tensor(3.5)",
                "L.tensor([[1, 2]])",
                "L.tensor([True, False])",
                "L.tensor([1, 2]).float()",
            ),
            *(
                "L.isnan(x)",
                "L.zeros(2, dtype=L.long)",
                "L.autograd.grad((x * x * y).sum(), [x, y])",
                "L.hypot(x, y)",
            ),
            *(
                "L.autograd.grad(x * y, x, grad_outputs=L.ones(2, 3))",
                "L.logaddexp(x, y)",
                "L.arctan2(x, y)",
                "L.log1p(x * x)",
            ),
            *(
                "f'{x.sum():.4f}' == '3.0000'",
                "float(x.sum().detach())",
                "bool(x.sum() > 2)",
                "x.requires_grad",
                "(x * 2).is_leaf",
            ),
        ),
        (X, Y),
    ),
    **dict.fromkeys(
        (
            "x.sqrt()",
            "x.rsqrt()",
            "x.log()",
            "x.log2()",
            "x.log10()",
            "x.pow(1.5)",
            "x ** y",
            "L.log(x)",
            "L.sqrt(x)",
        ),
        (P, Y),
    ),
    **dict.fromkeys(
        (
            *(
                "x.bmm(y.transpose(1, 2))",
                "L.bmm(x, y.transpose(1, 2))",
                "x.permute(2, 0, 1)",
                "x.flatten(1)",
            ),
            *(
                "x.flatten(0, 1)",
                "x.sum((0, 2))",
                "x.chunk(3, dim=-1)",
                "x.max(-1)",
                "x.triu()",
                "x.norm(dim=(1, 2))",
            ),
            *(
                "x.std((0, 2))",
                "x.cumsum(-1)",
                "x.gather(2, L.tensor([[[0, 3]], [[1, 1]]]))",
                "x.transpose(-1, -2) @ y",
            ),
        ),
        (CUBE, CUBE[::-1].copy()),
    ),
}
EDGES = (
    "x.max(1)",
    "x.min(1)",
    "x.max()",
    "x.amax(1)",
    "x.norm(p=float('inf'))",
    "x.sort(stable=True)",
    "x.argmin(1)",
)
CASES = [(text, arrays) for text, arrays in METHODS.items()] + [(text, (TIES, TIES)) for text in EDGES]


def pieces(value: Any) -> list[Any]:
    """Return the tensors, arrays and numbers that an expression gives."""
    if isinstance(value, tuple | list) and not all(isinstance(n, int) for n in value):
        return [piece for part in value for piece in pieces(part)]
    return [value]


def loss_of(parts: list[Any], weigh: Any) -> Any:
    """Return a sum of all that has a gradient, each element with a weight of its own."""
    total = None
    for part in parts:
        if getattr(part, "requires_grad", False):
            term = (
                part * weigh(np.arange(1.0, part.numel() + 1).reshape(tuple(part.shape)).astype(np.float32))
            ).sum()
            total = term if total is None else total + term
    return total


def outcome(library: Any, leaf: Any, text: str, arrays: tuple[np.ndarray, ...], weigh: Any) -> list[Any]:
    """Return the values and the gradients of x and y."""
    x, y = (leaf(a.copy()) for a in arrays)
    parts = pieces(eval(text, {"L": library, "x": x, "y": y}))
    loss = loss_of(parts, weigh)
    if loss is not None:
        loss.backward()
    gradients = [np.zeros(t.shape) if t.grad is None else t.grad for t in (x, y)]
    return [p.detach() if hasattr(p, "detach") else np.array(p) for p in parts] + gradients


def plain(found: Any) -> np.ndarray:
    return np.asarray(found.data if isinstance(found, Tensor) else found)


@pytest.mark.parametrize(("text", "arrays"), CASES, ids=[f"{i}-{text}" for i, (text, _) in enumerate(CASES)])
def test_a_name_gives_pytorchs_values_and_gradients(text: str, arrays: tuple[np.ndarray, ...]) -> None:
    def ask(torch: Any) -> list[Any]:
        return outcome(torch, lambda a: torch.tensor(a, requires_grad=True), text, arrays, torch.tensor)

    ours = outcome(fl, lambda a: fl.tensor(a, requires_grad=True), text, arrays, fl.tensor)
    name = f"name {text} {'ties' if arrays[0] is TIES else ''}"
    theirs = answers(name, ask, *arrays)
    theirs = theirs if isinstance(theirs, list) else [theirs]
    assert len(ours) == len(theirs)
    for a, b in zip(map(plain, ours), theirs, strict=True):
        assert a.shape == b.shape
        assert (a.dtype.kind in "iub") == (b.dtype.kind in "iub"), (a.dtype, b.dtype)
        np.testing.assert_allclose(a.astype(np.float64), b.astype(np.float64), rtol=2e-6, atol=1e-6)
