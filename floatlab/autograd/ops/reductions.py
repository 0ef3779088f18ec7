"""The operations that add up: sums and their kin, and matrix products with a named accumulator."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from floatlab.autograd.operation import Array, Node, Op, moved, rounded, wide
from floatlab.autograd.rounding import FLOAT64, sum_over, tree_sum
from floatlab.errors import ShapeError
from floatlab.formats import FloatFormat
from floatlab.sums import matmul as accumulate
from floatlab.sums.accumulators import Exact

Axis = int | tuple[int, ...] | None


def axes_of(axis: Axis, ndim: int) -> tuple[int, ...]:
    """Return the axes of a reduction as a sorted tuple of non-negative numbers."""
    axes = range(ndim) if axis is None else axis if isinstance(axis, tuple | list) else (axis,)
    if any(not isinstance(a, int | np.integer) or not -ndim <= a < ndim for a in axes):
        raise ShapeError(
            f"axis is a number from {-ndim} to {ndim - 1} here. Got {axis!r}. Check the tensor's shape."
        )
    found = sorted({int(a) % ndim for a in axes})
    if len(found) < len(axes):
        raise ShapeError(f"axis names each axis once. Got {axis!r} for {ndim} axes. Leave one out.")
    return tuple(found)


def spread(node: Node, g: Array) -> Array:
    """Return a reduction's gradient, stretched over the elements that were reduced."""
    x = node.inputs[0]
    if not node.params.get("keepdims", False):
        g = np.expand_dims(g, axes_of(node.params.get("axis"), x.ndim))
    return np.broadcast_to(g, x.shape)


def _count(node: Node) -> int:
    x = node.inputs[0]
    return int(np.prod([x.shape[a] for a in axes_of(node.params.get("axis"), x.ndim)], dtype=np.int64))


def _sum(node: Node, x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    axes = axes_of(axis, x.ndim)
    node.arithmetic.check_sums()
    total = sum_over(x, axes, node.inputs[0].format, node.target, node.arithmetic)
    return np.expand_dims(total, axes) if keepdims else total


def need_elements(node: Node, what: str) -> int:
    """Return how many elements are reduced; of none it raises."""
    count = _count(node)
    if count == 0:
        raise ShapeError(
            f"The {what} of no elements is not defined. Got shape {node.inputs[0].shape}. "
            "Skip an empty batch."
        )
    return count


def _mean(node: Node, x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    count = need_elements(node, "mean")
    if isinstance(node.arithmetic.for_rounded_sums["accumulator"], Exact):
        return _exact_mean(node, x, axis=axis, keepdims=keepdims)
    if node.arithmetic.adds_exactly:
        total = tree_sum(node.wide(x), axes_of(axis, x.ndim), keepdims)
    else:
        total = node.wide(_sum(node, x, axis=axis, keepdims=keepdims))
    return total / count


def _exact_mean(node: Node, x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
    need_elements(node, "mean")
    axes = axes_of(axis, x.ndim)
    return np.asarray(
        accumulate.mean(x, node.target, axis=axes, keepdims=keepdims, **node.arithmetic.for_sums)
    )


def _var(node: Node, x: Array, *, axis: Axis = None, keepdims: bool = False, correction: int = 1) -> Array:
    count = need_elements(node, "variance")
    axes = axes_of(axis, x.ndim)
    centred = node.wide(x) - tree_sum(node.wide(x), axes) / count
    node.saved = centred
    return tree_sum(centred * centred, axes, keepdims) / np.float64(count - correction)


def _var_derivative(node: Node, g: Array) -> Array:
    divisor = np.float64(_count(node) - node.params.get("correction", 1))
    return np.asarray(node.wide(spread(node, g)) * node.saved * (2.0 / divisor))


def _extreme(ufunc: np.ufunc) -> Any:
    def kernel(node: Node, x: Array, *, axis: Axis = None, keepdims: bool = False) -> Array:
        need_elements(node, ufunc.__name__)
        # + 0: which of 0 and -0 is the larger is left to the processor
        return np.asarray(ufunc.reduce(x, axis=axes_of(axis, x.ndim), keepdims=keepdims)) + 0.0

    return kernel


def _extreme_derivative(node: Node, g: Array) -> Array:
    # Equal elements share the gradient evenly, as in PyTorch's amax.
    chosen = node.a == spread(node, node.out)
    share = tree_sum(chosen.astype(np.float64), axes_of(node.params.get("axis"), chosen.ndim))
    return np.where(chosen, node.wide(spread(node, g)) / share, 0.0)


# -- matrix products ---------------------------------------------------------------------------------

#: What the operands of a product are: "input", "weight" or "gradient". Two of the three say which product it is.
FORWARD, BY_INPUT, BY_WEIGHT = ("input", "weight"), ("gradient", "weight"), ("gradient", "input")


def product(
    node: Node,
    a: Array,
    b: Array,
    fmt: FloatFormat | None = None,
    bias: Array | None = None,
    roles: tuple[str, str] = FORWARD,
) -> Array:
    """Return a @ b (+ bias) with the node's accumulator, rounded once to `fmt` or the node's target.

    `roles` says which operand is a gradient, if one is; the others are values of the node's format. Sums of few bits
    are exact in float64, so the accumulator is told. An operation that was given `operands` multiplies what that
    function makes of the two and their roles: a block format's values, say (amp.block_recipes). If it has `formats`,
    that says which these are then; if it has `multiply`, a matrix unit is left to that.
    """
    options = node.arithmetic.for_products
    formats = [node.gradient_format if role == "gradient" else node.format for role in roles]
    if bias is not None:
        formats.append(node.format)
    replace = node.params.get("operands")
    if replace is not None:
        if options["accumulator"].forms_products and hasattr(replace, "multiply"):
            whole: Array = replace.multiply(a, b, roles, fmt or node.target, bias, options)
            return whole
        a, b = replace(a, b, roles)
        formats = replace.formats(roles) if hasattr(replace, "formats") else []
    out: Array = accumulate.matmul(
        a,
        b,
        fmt or node.target,
        bias=bias,
        formats=formats,
        **options,
    )
    return out


def _matmul(node: Node, a: Array, b: Array) -> Array:
    if a.ndim == 0 or b.ndim == 0 or a.shape[-1] != b.shape[max(b.ndim - 2, 0)]:
        raise ShapeError(
            f"matmul needs the last axis of a to match the last but one of b. Got {a.shape} @ {b.shape}. "
            "Transpose one of them, or check the layer's sizes."
        )
    try:
        np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ShapeError(
            f"matmul needs leading axes that broadcast. Got {a.shape} @ {b.shape}. Reshape one of them."
        ) from None
    out = product(node, a[None, :] if a.ndim == 1 else a, b[:, None] if b.ndim == 1 else b)
    out = out[..., 0] if b.ndim == 1 else out
    return np.asarray(out[..., 0] if a.ndim == b.ndim == 1 else out[..., 0, :] if a.ndim == 1 else out)


def _matmul_derivative(node: Node, g: Array, index: int) -> Array:
    a, b = node.a, node.b
    if b.ndim == 1:
        b, g = b[:, None], g[..., None]  # (..., m, 1)
    if a.ndim == 1:
        a, g = a[None, :], g[..., None, :]  # (..., 1, n)
    if index == 0:
        # A factor that was broadcast over a batch gets the sum over it: the engine takes it, and rounds.
        stretched = FLOAT64 if g.shape[:-2] != a.shape[:-2] else None
        return product(node, g, b.swapaxes(-1, -2), stretched, roles=BY_INPUT)
    if b.ndim == 2 and a.ndim > 2:  # one contraction over the whole batch, hence one rounding
        a, g = rows_of(a), rows_of(g)
    stretched = FLOAT64 if g.shape[:-2] != b.shape[:-2] else None
    d = product(node, a.swapaxes(-1, -2), g, stretched, roles=BY_WEIGHT[::-1])
    return d[..., 0] if node.b.ndim == 1 else d


def rows_of(x: Array) -> Array:
    """Return the last axis as rows of a matrix. (-1 would not do: of no elements any number of rows is right.)"""
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def _linear(node: Node, x: Array, weight: Array, bias: Array | None = None, *, operands: Any = None) -> Array:
    if weight.ndim != 2 or x.ndim == 0 or x.shape[-1] != weight.shape[1]:
        raise ShapeError(
            "linear needs x of shape (..., in) and a weight of shape (out, in). "
            f"Got {x.shape} and {weight.shape}. Check the layer's in_features."
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ShapeError(
            f"linear needs one bias for each output. Got {bias.shape} with weight {weight.shape}. "
            "Check the bias."
        )
    rows = rows_of(x)  # (n, in)
    # The bias is one more term of every sum, so that x @ weight.T + bias rounds once.
    return product(node, rows, weight.T, bias=bias).reshape(*x.shape[:-1], len(weight))


def _linear_weight(node: Node, g: Array) -> Array:
    x = node.a
    return product(node, rows_of(g).T, rows_of(x), roles=BY_WEIGHT)


def _linear_input(node: Node, g: Array) -> Array:
    return product(node, rows_of(g), node.b, roles=BY_INPUT).reshape(node.inputs[0].shape)


OPS = (
    Op("sum", rounded(_sum), (moved(spread),), "the sum over axes, with the chosen accumulator"),
    Op(
        "mean",
        wide(_mean),
        (wide(lambda n, g: n.wide(spread(n, g)) / _count(n)),),
        "the mean over axes",
        exact=rounded(_exact_mean),
    ),
    Op("var", wide(_var), (wide(_var_derivative),), "the variance over axes, divided by n - correction"),
    Op(
        "max",
        moved(_extreme(np.maximum)),
        (wide(_extreme_derivative),),
        "the maximum over axes",
        keeps=(0,),
        keeps_output=True,
    ),
    Op(
        "min",
        moved(_extreme(np.minimum)),
        (wide(_extreme_derivative),),
        "the minimum over axes",
        keeps=(0,),
        keeps_output=True,
    ),
    Op(
        "matmul",
        rounded(_matmul),
        (
            rounded(lambda n, g: _matmul_derivative(n, g, 0)),
            rounded(lambda n, g: _matmul_derivative(n, g, 1)),
        ),
        "the matrix product, with the chosen accumulator",
        keeps=(0, 1),
    ),
    Op(
        "linear",
        rounded(_linear),
        (
            rounded(_linear_input),
            rounded(_linear_weight),
            moved(lambda n, g: g),
        ),
        "x @ weight.T + bias, rounded once",
        keeps=(0, 1),
    ),
)
