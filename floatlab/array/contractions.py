"""What are sums of products over named axes? ``einsum tensordot``, by one matrix product in other shapes.

A contraction of two arrays is one matrix product of the same numbers in other shapes, so every element is what
`floatlab.matmul` makes of its terms: with the accumulators "wide" and "exact" the exact sum, rounded once, and with one
that has an order its terms are added in the order in which the contracted indices are named, the last one fastest.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from floatlab.array.calls import data_of, rearranged, reduction
from floatlab.array.core import FloatArray
from floatlab.array.protocols import FUNCTIONS
from floatlab.array.reductions import matmul, sum
from floatlab.array.stand_ins import into, refuse_others, with_values
from floatlab.backend import Array
from floatlab.errors import OptionError, ShapeError

__all__ = ["einsum", "tensordot"]


def tensordot(a: Any, b: Any, fmt: Any = None, *, axes: Any = 2, **options: Any) -> Any:
    """Return the sum of products over some axes of both; see `numpy.tensordot`, and `floatlab.matmul` for options.

    >>> import floatlab as fl
    >>> x = fl.array(np.arange(8.0).reshape(2, 2, 2), "e4m3")
    >>> fl.tensordot(x, x, axes=([1, 2], [1, 2]))  # 14, 38, 38, 126
    FloatArray([[ 14.,  40.],
                [ 40., 128.]], format=float8_e4m3fn)
    """
    shapes = tuple(data_of(a).shape), tuple(data_of(b).shape)
    left, right = _contracted(axes, len(shapes[0]), len(shapes[1]))
    if [shapes[0][i] for i in left] != [shapes[1][i] for i in right]:
        raise ShapeError(
            f"The axes of tensordot have the same lengths in both. Got shapes {shapes[0]} and {shapes[1]} for {axes}. "
            "Name other axes."
        )
    free = [
        [i for i in range(len(s)) if i not in gone] for s, gone in zip(shapes, (left, right), strict=True)
    ]
    count = math.prod(shapes[0][i] for i in left)
    kept = [tuple(s[i] for i in rest) for s, rest in zip(shapes, free, strict=True)]
    x = rearranged(a, lambda v: v.transpose([*free[0], *left]).reshape(math.prod(kept[0]), count))
    y = rearranged(b, lambda v: v.transpose([*right, *free[1]]).reshape(count, math.prod(kept[1])))
    shape = (*kept[0], *kept[1])
    return with_values(matmul(x, y, fmt, **options), lambda values: values.reshape(shape))


def _contracted(axes: Any, m: int, n: int) -> tuple[list[int], list[int]]:
    if isinstance(axes, int | np.integer) and not isinstance(axes, bool):
        if not 0 <= axes <= min(m, n):
            raise ShapeError(
                f"axes is at most the number of dimensions. Got {axes} for {m} and {n}. Use fewer."
            )
        return list(range(m - int(axes), m)), list(range(int(axes)))
    try:
        pair = list(axes)
        named = [[operator.index(i) for i in (p if isinstance(p, list | tuple) else [p])] for p in pair]
    except TypeError:
        raise ShapeError(
            f"axes is a number, or two lists of whole numbers. Got {axes!r}. Write ([0], [1])."
        ) from None
    if len(pair) != 2:
        raise ShapeError(f"axes is a number, or two lists of axes. Got {axes!r}. Write ([0], [1]).")
    found = []
    for some, ndim in zip(named, (m, n), strict=True):
        placed = [i + ndim if i < 0 else i for i in some]
        if not all(0 <= i < ndim for i in placed) or len(set(placed)) < len(placed):
            raise ShapeError(
                f"axes names dimensions of both, each once. Got {axes!r} for {m} and {n}. Use others."
            )
        found.append(placed)
    return found[0], found[1]


def einsum(subscripts: str, *operands: Any, fmt: Any = None, **options: Any) -> Any:
    """Return sums of products as Einstein wrote them, of one array or two; see `numpy.einsum`.

    Parameters
    ----------
    subscripts : str
        As "ij,jk->ik"; an ellipsis stands for dimensions that broadcast.
    *operands : FloatArray or array_like
        One or two. A product of three arrays has no one rounding: contract them two at a time.
    fmt : str, FloatFormat or dtype, optional
        The format of the result; with it, the operands may have any formats.
    **options
        Those of `floatlab.matmul`.

    Raises
    ------
    OptionError
        If the subscripts do not fit, or there are more than two operands.

    Examples
    --------
    >>> import floatlab as fl
    >>> x = fl.array([[1.0, 2.0], [3.0, 4.0]], "e4m3")
    >>> fl.einsum("ij,kj->ik", x, x), fl.einsum("ii", x)
    (FloatArray([[ 5., 11.],
                [11., 24.]], format=float8_e4m3fn), FloatArray(5., format=float8_e4m3fn))
    """
    terms, output = _parse(subscripts, [data_of(x).ndim for x in operands])
    pairs = [_diagonal(x, term) for x, term in zip(operands, terms, strict=True)]
    if len(pairs) == 1:
        return _einsum_of_one(*pairs[0], output, fmt, options)
    return _einsum_of_two(pairs[0], pairs[1], output, fmt, options)


def _wrong(subscripts: Any, why: str) -> OptionError:
    return OptionError(
        f"Subscripts of einsum name the dimensions of one array or two, as in ij,jk->ik. Got {subscripts!r}: {why}. "
        "Correct them."
    )


def _parse(subscripts: Any, ndims: list[int]) -> tuple[list[str], str]:
    """Return the indices of each operand and of the result, one letter each."""
    if not isinstance(subscripts, str):
        raise _wrong(type(subscripts).__name__, "no string")
    if len(ndims) > 2:
        raise OptionError(
            f"einsum contracts one FloatArray, or two, with one rounding. Got {len(ndims)}. "
            "Contract them two at a time, in the order that you want."
        )
    text = subscripts.replace(" ", "")
    inputs, arrow, output = text.partition("->")
    terms = inputs.split(",")
    if len(terms) != len(ndims):
        raise _wrong(subscripts, f"{len(terms)} terms for {len(ndims)} arrays")
    hidden = max(
        [n - len(t.replace("...", "")) for t, n in zip(terms, ndims, strict=True) if "..." in t], default=0
    )
    spare = [chr(0x3B1 + i) for i in range(max(hidden, 0))]  # Greek letters, which nobody writes
    full = []
    for term, n in zip(terms, ndims, strict=True):
        missing = n - len(term.replace("...", ""))
        if term.count("...") > 1 or missing < 0 or (missing and "..." not in term):
            raise _wrong(subscripts, f"{term!r} for {n} dimensions")
        full.append(term.replace("...", "".join(spare[len(spare) - missing :])))
    letters = "".join(full)
    if not arrow:
        once = sorted(c for c in set(letters) if letters.count(c) == 1 and c not in spare)
        output = "".join([*spare, *once])
    output = output.replace("...", "".join(spare))
    if len(set(output)) < len(output) or not set(output) <= set(letters):
        raise _wrong(subscripts, f"{output!r} on the right")
    if not all(c.isalpha() for c in letters):
        raise _wrong(subscripts, "a sign that is no letter")
    return full, output


def _diagonal(x: Any, term: str) -> tuple[Any, str]:
    """Return the operand with each index once: the diagonal, where one was named twice."""
    kept = "".join(dict.fromkeys(term))
    if kept == term:
        return x, term
    numbers = {c: i for i, c in enumerate(kept)}
    indices = [numbers[c] for c in term], [numbers[c] for c in kept]
    try:
        return rearranged(x, lambda v: np.einsum(v, *indices)), kept
    except ValueError:
        raise ShapeError(
            f"An index that is named twice has one length. Got {term!r} for shape {data_of(x).shape}. "
            "Use another index."
        ) from None


def _einsum_of_one(x: Any, term: str, output: str, fmt: Any, options: dict[str, Any]) -> Any:
    gone = [c for c in term if c not in output]
    order = [term.index(c) for c in (*output, *gone)]
    moved = rearranged(x, lambda v: v.transpose(order))
    if not gone and fmt is None and isinstance(x, FloatArray):  # nothing is added up
        reduction("einsum", (x,), fmt, options)  # looks at the options all the same
        return moved.copy()
    return sum(moved, fmt, axis=tuple(range(len(output), len(term))), **options)


def _einsum_of_two(
    first: tuple[Any, str], second: tuple[Any, str], output: str, fmt: Any, options: dict[str, Any]
) -> Any:
    (a, s), (b, t) = first, second
    lengths: dict[str, int] = {}
    for x, term in (first, second):
        for c, n in zip(term, data_of(x).shape, strict=True):
            if lengths.get(c, 1) != 1 and n not in (1, lengths[c]):
                raise ShapeError(
                    f"An index has one length everywhere. Got {lengths[c]} and {n} for {c!r} in shapes "
                    f"{np.shape(a)} and {np.shape(b)}. Use another index."
                )
            lengths[c] = n if lengths.get(c, 1) == 1 else lengths[c]
    batch = [c for c in output if c in s and c in t]
    rows, columns = ([c for c in output if c in this and c not in other] for this, other in ((s, t), (t, s)))
    gone = [c for c in dict.fromkeys(s + t) if c not in output]
    x = _spread(a, s, [*batch, *rows, *gone], lengths)
    y = _spread(b, t, [*batch, *gone, *columns], lengths)
    sizes = [tuple(lengths[c] for c in part) for part in (batch, rows, gone, columns)]
    m, k, n = (math.prod(size) for size in sizes[1:])
    made = matmul(x.reshape((*sizes[0], m, k)), y.reshape((*sizes[0], k, n)), fmt, **options)
    shape = (*sizes[0], *sizes[1], *sizes[3])
    order = [[*batch, *rows, *columns].index(c) for c in output]
    return with_values(made, lambda values: values.reshape(shape).transpose(order))


def _spread(x: Any, term: str, order: list[str], lengths: dict[str, int]) -> Any:
    """Return an operand with its indices in another order, and as often as needed along those that it lacks."""

    def change(data: Array) -> Array:
        data = data.transpose([term.index(c) for c in order if c in term])
        own = iter(data.shape)
        data = data.reshape([next(own) if c in term else 1 for c in order])
        return np.broadcast_to(data, [lengths[c] for c in order])

    return rearranged(x, change)


# -- NumPy's names -------------------------------------------------------------------------------------------------


def _numpy_einsum(*operands: Any, out: Any = None, optimize: Any = False, **kwargs: Any) -> Any:
    refuse_others("einsum", kwargs)
    made = einsum(*operands)
    return made if out is None else into("einsum", out, made)


FUNCTIONS[np.einsum] = _numpy_einsum
FUNCTIONS[np.tensordot] = lambda a, b, axes=2: tensordot(a, b, axes=axes)
FUNCTIONS[np.linalg.tensordot] = FUNCTIONS[np.tensordot]
