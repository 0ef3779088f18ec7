"""Products: linear layers, convolutions, and rows of a table."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from floatlab.autograd import Tensor, apply
from floatlab.errors import OptionError, ShapeError, check_option
from floatlab.nn.arguments import Pair, alone, is_whole, pair, positive
from floatlab.nn.functional.inputs import numbers_of

__all__ = ["conv1d", "conv2d", "conv_transpose2d", "embedding", "linear", "product_rule"]

Product = Callable[..., Tensor]
Padding = Pair | str

#: Asked before `linear` and the convolutions compute, with the operation's name, its tensors and its parameters: a room
#: above can put another product in their place (amp.fp8 does). None: they compute as the table says.
product_rule: ContextVar[Product | None] = ContextVar("floatlab_product_rule", default=None)


def _product(name: str, x: Tensor, weight: Tensor, bias: Tensor | None, **params: Any) -> Tensor:
    rule = product_rule.get()
    return apply(name, x, weight, bias, **params) if rule is None else rule(name, x, weight, bias, **params)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``x @ weight.T + bias``, rounded once; x is (..., in), weight (out, in), bias (out,)."""
    return _product("linear", x, weight, bias)


def padding_of(
    padding: Any, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]
) -> Any:
    """Return the padding of a convolution: a pair, or for "same" what goes before and behind on each axis.

    "valid" pads nothing; "same" keeps the size of the image, and puts an odd pixel behind, as PyTorch does.
    """
    if not isinstance(padding, str):
        return pair("padding", padding, 0)
    check_option("padding", padding, ("valid", "same"))
    if padding == "valid":
        return (0, 0)
    if stride != (1, 1):
        raise OptionError(f'padding="same" keeps the size, so the stride is 1. Got {stride}. Give a number.')
    totals = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
    return tuple((total // 2, total - total // 2) for total in totals)


def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Tensor:
    """Return the cross-correlation of images (N, C, H, W) with kernels (out, C / groups, height, width).

    `padding` is a number, a pair, "valid" or "same". With groups each part of the channels has kernels of its own.
    """
    step, gaps = pair("stride", stride), pair("dilation", dilation)
    positive(groups=groups)
    height, width = weight.shape[2:4] if weight.ndim == 4 else (1, 1)
    params: dict[str, Any] = {"stride": step, "padding": padding_of(padding, (height, width), step, gaps)}
    # What is usual is left out: a rule for products need not know of it.
    params |= {"dilation": gaps} if gaps != (1, 1) else {}
    params |= {"groups": int(groups)} if groups != 1 else {}
    return _product("conv2d", x, weight, bias, **params)


def conv1d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int = 1,
    padding: int | str = 0,
    dilation: int = 1,
    groups: int = 1,
) -> Tensor:
    """Return the cross-correlation of sequences (N, C, L) with kernels (out, C / groups, length).

    It is `conv2d` of images of height 1.
    """
    if x.ndim != 3 or weight.ndim != 3:
        raise ShapeError(
            "conv1d needs sequences (batch, in, length) and a weight (out, in / groups, length). "
            f"Got {x.shape} and {weight.shape}. Reshape x."
        )
    (stride,), (dilation,) = alone("stride", stride), alone("dilation", dilation)
    sides = padding if isinstance(padding, str) else (0, *alone("padding", padding))
    y = conv2d(x.unsqueeze(2), weight.unsqueeze(2), bias, (1, stride), sides, (1, dilation), groups)
    return y.squeeze(2)


def conv_transpose2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Pair = 1,
    padding: Pair = 0,
    output_padding: Pair = 0,
    groups: int = 1,
    dilation: Pair = 1,
) -> Tensor:
    """Return what `conv2d` with this weight (in, out / groups, height, width) would give back to its image.

    The result has the height ``(H - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1``.
    """
    positive(groups=groups)
    return _product(
        "conv_transpose2d",
        x,
        weight,
        bias,
        stride=pair("stride", stride),
        padding=pair("padding", padding, 0),
        output_padding=pair("output_padding", output_padding, 0),
        dilation=pair("dilation", dilation),
        groups=int(groups),
    )


def embedding(indices: Any, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    """Return the rows of `weight` with these indices; an index outside it is an error.

    The row `padding_idx` gets no gradient; a negative one counts from the end.
    """
    numbers = numbers_of("indices", indices)
    rows = apply("embedding", weight, indices=numbers)
    if padding_idx is None:
        return rows
    if not is_whole(padding_idx) or not -len(weight) <= padding_idx < len(weight):
        raise OptionError(
            f"padding_idx is a row of the table, 0 to {len(weight) - 1}. Got {padding_idx!r}. Use one of them."
        )
    held = apply("embedding", weight.detach(), indices=numbers)
    return apply("where", held, rows, condition=(numbers == padding_idx % len(weight))[..., None])
