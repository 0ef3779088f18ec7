"""What are norms and other products of FloatArrays? ``einsum tensordot vecdot matvec kron cross norm``.

A contraction of two arrays is one matrix product of the same numbers in other shapes, so every element is what
`floatlab.matmul` makes of its terms: with the accumulators "wide" and "exact" the exact sum, rounded once, and with one
that has an order its terms are added in the order in which the contracted indices are named, the last one fastest.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, Unpack

import numpy as np

from floatlab.array.calls import Call, is_number, of_format, reduction, resolve
from floatlab.array.core import FloatArray
from floatlab.array.elementwise import multiply
from floatlab.array.protocols import FUNCTIONS, UFUNCS
from floatlab.array.ratios import Pair, root
from floatlab.array.reductions import matmul, sum
from floatlab.array.stand_ins import into, with_values
from floatlab.array.statistics.estimates import interval_around, interval_of_roots, settle, unit_bound
from floatlab.array.statistics.exact_sums import moments
from floatlab.array.statistics.rows import deliver, is_exact, of_operation, rows_of
from floatlab.array.storage import common_format
from floatlab.backend import Array
from floatlab.errors import DtypeError, OptionError, ShapeError
from floatlab.formats import get_format
from floatlab.operations.operate import operate
from floatlab.rounding.inputs import as_source
from floatlab.sums import matmul as accumulate
from floatlab.sums.operands import axes_of
from floatlab.sums.signatures import ReductionOptions

__all__ = ["einsum", "norm", "tensordot", "vecdot"]


_FLOAT64 = get_format("float64")


# -- norms -------------------------------------------------------------------------------------------------------


def norm(
    x: Any,
    fmt: Any = None,
    *,
    ord: Any = None,
    axis: Any = None,
    keepdims: bool = False,
    **options: Unpack[ReductionOptions],
) -> Any:
    """Return a norm of vectors or matrices.

    Parameters
    ----------
    x : FloatArray or array_like
        A FloatArray gives a FloatArray; plain numbers need `fmt` and give plain values.
    fmt : str, FloatFormat or dtype, optional
        The format of the result; by default that of `x`.
    ord : {None, 2, 1, inf, -inf, 0, "fro"}
        None and 2, and "fro" of matrices: the root of the exact sum of squares, rounded once. 1: the sum of the
        magnitudes, inf and -inf the largest and the smallest of them, 0 the number of elements other than zero. Of
        matrices, 1 and inf are those of columns and rows, and 2 is not had here.
    axis : int or pair of int, optional
        One for vectors, two for matrices. By default all elements together if `ord` is None, else those that `x` has.
    keepdims, **options
        As in `floatlab.var`. With an accumulator that has an order, every square and partial sum is rounded.

    Raises
    ------
    OptionError
        For any other norm.

    Examples
    --------
    >>> import floatlab as fl
    >>> fl.norm(fl.array([300.0, 400.0], "fp16"))  # the squares would overflow
    FloatArray(500., format=float16)
    """
    axes = _axes_of_norm(_data(x).shape, ord, axis)
    if ord is None or (ord == 2 and len(axes) == 1) or (ord == "fro" and len(axes) == 2):
        return _euclidean(x, fmt, axes, keepdims, options)
    if len(axes) == 1 and ord in (1, 0, np.inf, -np.inf):
        return _norm_of_vectors(x, fmt, ord, axes[0], keepdims, options)
    if len(axes) == 2 and ord in (1, -1, np.inf, -np.inf):
        return _norm_of_matrices(x, fmt, ord, axes, keepdims, options)
    known = "None, 2, 1, 0, inf and -inf" if len(axes) == 1 else 'None, "fro", 1, -1, inf and -inf'
    raise OptionError(
        f"A norm of {'vectors' if len(axes) == 1 else 'matrices'} is one of: {known}. Got ord={ord!r}. "
        f"Use numpy.linalg.norm(x.values, {ord!r}) for plain numbers."
    )


def _data(x: Any) -> Array:
    """Return what a FloatArray holds, or plain numbers as an array of exactly these."""
    return x._data if isinstance(x, FloatArray) else as_source(x, _FLOAT64)


def _axes_of_norm(shape: tuple[int, ...], ord: Any, axis: Any) -> tuple[int, ...]:
    if not (ord is None or isinstance(ord, str | int | float | np.integer | np.floating)):
        raise OptionError(f'A norm is named by a number, "fro" or None. Got ord={ord!r}. Use 2.')
    axes = axes_of(axis, shape)
    if len(axes) == 2 and axis is not None and axis[0] % len(shape) > axis[1] % len(shape):
        axes = axes[::-1]
    if len(axes) not in (1, 2) and ord is not None:
        raise ShapeError(
            f"A norm is one of vectors or of matrices. Got shape {shape} and axis={axis!r}. Name one or two axes."
        )
    return axes


def _euclidean(x: Any, fmt: Any, axes: tuple[int, ...], keepdims: bool, options: Any) -> Any:
    call = reduction("norm", (x,), fmt, options, "ord")
    rows = rows_of(call.values[0], axes, keepdims)
    if not is_exact(call):
        return call.finish(_composed_root(rows.values, call).reshape(rows.shape))
    numbers = np.where(np.isfinite(rows.values), rows.values, 0.0)

    def interval() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        total = (numbers * numbers).sum(axis=1)
        return interval_of_roots(*interval_around(total, total * unit_bound(numbers.shape[1])))

    settled, estimate = settle(interval, [numbers], np.isfinite(rows.values).all(axis=1), call)
    sums = moments(rows.values, False, ~settled)
    special = np.where(np.isnan(rows.values).any(axis=1), np.nan, np.abs(sums.special))
    special = np.where(np.isnan(special) & ~sums.has_nan, np.inf, special)  # inf and -inf, but no NaN
    total = np.where(settled, estimate, special)
    exceptions: dict[int, Pair] = {}
    for i in np.flatnonzero((special == 0) & ~settled).tolist():
        if sums.squares[i]:
            exceptions[i] = root(int(sums.squares[i]), 1, 2 * sums.exponent)
    return deliver(call, total, exceptions, rows, sums.has_nan)


def _composed_root(rows: Array, call: Call) -> Array:
    """Return the root of the sum of squares of each row, as a program in the format computes it."""
    kept = of_operation(call.options)
    squares = operate("multiply", (rows, rows), call.fmt, **kept)
    total = accumulate.sum(squares, call.fmt, axis=1, **call.options)
    found: Array = operate("sqrt", (total,), call.fmt, **kept)
    return found


def _norm_of_vectors(x: Any, fmt: Any, ord: float, axis: int, keepdims: bool, options: Any) -> Any:
    target, (values,), _, wrap = resolve("norm", (x,), fmt)
    sizes = np.abs(as_source(values, _FLOAT64))
    if ord == 0:
        sizes = np.sum(sizes != 0, axis=axis, keepdims=True)
    elif ord != 1:
        sizes = _chosen(sizes, ord, axis)
    return _wrapped(sum(sizes, target, axis=axis, keepdims=keepdims, **options), target, wrap)


def _norm_of_matrices(
    x: Any, fmt: Any, ord: float, axes: tuple[int, ...], keepdims: bool, options: Any
) -> Any:
    """Return the largest (the smallest) of the sums; rounding keeps their order, so it may come first."""
    target, (values,), _, wrap = resolve("norm", (x,), fmt)
    if options.get("return_flags"):
        raise OptionError(
            f"A norm of matrices that is the largest of sums has no flags. Got ord={ord!r}. Leave return_flags out."
        )
    ndim = np.ndim(values)
    rows, columns = (i % ndim for i in axes)
    summed, chosen = (rows, columns) if abs(ord) == 1 else (columns, rows)
    sums = sum(np.abs(as_source(values, _FLOAT64)), target, axis=summed, keepdims=True, **options)
    result = _chosen(sums, ord, chosen)
    return _wrapped(result if keepdims else result.squeeze((rows, columns)), target, wrap)


def _chosen(x: Array, ord: float, axis: int) -> Array:
    if x.shape[axis] == 0:
        raise ShapeError(
            f"No element is the largest of none. Got shape {x.shape} and ord={ord!r}. Use ord=2."
        )
    found: Array = (np.max if ord > 0 else np.min)(x, axis=axis, keepdims=True)
    return found


def _wrapped(made: Any, fmt: Any, wrap: bool) -> Any:
    return with_values(made, lambda values: FloatArray._wrap(np.asarray(values), fmt)) if wrap else made


# -- contractions ------------------------------------------------------------------------------------------------


def _moved(x: Any, order: Sequence[int], shape: tuple[int, ...]) -> Any:
    data = _data(x)
    data = data.transpose(order).reshape(shape)
    return x._like(data) if isinstance(x, FloatArray) else data


def tensordot(a: Any, b: Any, fmt: Any = None, *, axes: Any = 2, **options: Any) -> Any:
    """Return the sum of products over some axes of both; see `numpy.tensordot`, and `floatlab.matmul` for options.

    >>> import floatlab as fl
    >>> x = fl.array(np.arange(8.0).reshape(2, 2, 2), "e4m3")
    >>> fl.tensordot(x, x, axes=([1, 2], [1, 2]))  # 14, 38, 38, 126
    FloatArray([[ 14.,  40.],
                [ 40., 128.]], format=float8_e4m3fn)
    """
    shapes = tuple(_data(a).shape), tuple(_data(b).shape)
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
    x = _moved(a, [*free[0], *left], (math.prod(kept[0]), count))
    y = _moved(b, [*right, *free[1]], (count, math.prod(kept[1])))
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
    terms, output = _parse(subscripts, [_data(x).ndim for x in operands])
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
    spare = [c for c in map(chr, range(0x3B1, 0x3B1 + 64))][
        : max(hidden, 0)
    ]  # Greek letters, which nobody writes
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
    data = _data(x)
    numbers = {c: i for i, c in enumerate(kept)}
    try:
        moved = np.einsum(data, [numbers[c] for c in term], [numbers[c] for c in kept])
    except ValueError:
        raise ShapeError(
            f"An index that is named twice has one length. Got {term!r} for shape {data.shape}. Use another index."
        ) from None
    return (x._like(moved) if isinstance(x, FloatArray) else moved), kept


def _einsum_of_one(x: Any, term: str, output: str, fmt: Any, options: dict[str, Any]) -> Any:
    gone = [c for c in term if c not in output]
    order = [term.index(c) for c in (*output, *gone)]
    moved = _moved(x, order, tuple(_data(x).shape[i] for i in order))
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
        for c, n in zip(term, _data(x).shape, strict=True):
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
    data = _data(x)
    data = data.transpose([term.index(c) for c in order if c in term])
    own = iter(data.shape)
    data = data.reshape([next(own) if c in term else 1 for c in order])
    data = np.broadcast_to(data, [lengths[c] for c in order])
    return x._like(data) if isinstance(x, FloatArray) else data


# -- products of vectors -----------------------------------------------------------------------------------------


def vecdot(a: Any, b: Any, fmt: Any = None, *, axis: int = -1, **options: Any) -> Any:
    """Return the dot products of vectors along an axis; other dimensions broadcast. Options as in `floatlab.matmul`.

    >>> import floatlab as fl
    >>> x = fl.array([[1.0, 2.0], [3.0, 4.0]], "e4m3")
    >>> fl.vecdot(x, x)  # 5 and 25
    FloatArray([ 5., 24.], format=float8_e4m3fn)
    """
    x, y = (_last(v, axis) for v in (a, b))
    made = matmul(x[..., None, :], y[..., :, None], fmt, **options)
    return with_values(made, lambda values: values[..., 0, 0])


def _last(x: Any, axis: int) -> Any:
    data = _data(x)
    if not -data.ndim <= axis < data.ndim:
        raise ShapeError(
            f"axis names a dimension of each vector. Got {axis} for shape {data.shape}. Use another."
        )
    moved = np.moveaxis(data, axis, -1)
    return x._like(moved) if isinstance(x, FloatArray) else moved


def _vecdot(a: Any, b: Any) -> Any:
    return vecdot(a, b)


def _matvec(a: Any, b: Any) -> Any:
    return matmul(a, b[..., None])[..., 0]


def _vecmat(a: Any, b: Any) -> Any:
    return matmul(a[..., None, :], b)[..., 0, :]


def _kron(a: Any, b: Any) -> Any:
    if is_number(a) or is_number(b):
        return multiply(a, b)
    fmt = common_format("kron", (a, b))
    a, b = (FloatArray._wrap(of_format("kron", x, fmt), fmt) for x in (a, b))
    depth = max(a.ndim, b.ndim)
    x, y = (v.reshape((1,) * (depth - v.ndim) + v.shape) for v in (a, b))
    shape = tuple(m * n for m, n in zip(x.shape, y.shape, strict=True))
    left = x.reshape(tuple(n for m in x.shape for n in (m, 1)))
    right = y.reshape(tuple(n for m in y.shape for n in (1, m)))
    return multiply(left, right).reshape(shape)


def _cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    """Return vector products: each of their elements is the exact a1 b2 - a2 b1, rounded once."""
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = _last(a, axisa), _last(b, axisb)
    if x.shape[-1] != 3 or y.shape[-1] != 3:
        raise ShapeError(
            f"A vector product is one of vectors of length 3. Got shapes {np.shape(a)} and {np.shape(b)}. "
            "Append a zero to vectors of length 2."
        )
    parts = [_minor(x, y, i, (i + 1) % 3) for i in (1, 2, 0)]
    return np.moveaxis(np.stack(parts, axis=-1), -1, axisc)


def _minor(x: Any, y: Any, i: int, j: int) -> Any:
    left = np.stack([x[..., i], -x[..., j]], axis=-1)
    right = np.stack([y[..., j], y[..., i]], axis=-1)
    return vecdot(left, right)


# -- NumPy's names -------------------------------------------------------------------------------------------------


def _refuse(name: str, options: dict[str, Any]) -> None:
    wanted = {k: v for k, v in options.items() if v is not None and k not in ("order", "casting", "optimize")}
    if wanted:
        raise DtypeError(
            f"numpy.{name} of FloatArrays takes no {', '.join(wanted)}. Got {wanted}. Use fl.{name} with a format."
        )


def _numpy_einsum(*operands: Any, out: Any = None, optimize: Any = False, **kwargs: Any) -> Any:
    _refuse("einsum", kwargs)
    made = einsum(*operands)
    return made if out is None else into("einsum", out, made)


def _product_of_vectors(name: str, compute: Callable[..., Any]) -> Callable[..., Any]:
    def stand_in(method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if method != "__call__":
            raise DtypeError(
                f"numpy.{name}.{method} has no meaning of its own in a float format. Got a FloatArray. Use .values."
            )
        kwargs = dict(kwargs)
        out = (kwargs.pop("out", None) or (None,))[0]
        axis = kwargs.pop("axis", -1) if name == "vecdot" else -1
        _refuse(name, kwargs)
        made = vecdot(*inputs, axis=axis) if name == "vecdot" else compute(*inputs)
        return made if out is None else into(name, out, made)

    return stand_in


def _numpy_norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    return norm(x, ord=ord, axis=axis, keepdims=keepdims)


def _vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """Return a norm of vectors: of all elements without an axis, or of several axes taken as one."""
    axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    if ord in (None, 2):
        return norm(x, axis=axes, keepdims=keepdims)
    axes = tuple(i % max(x.ndim, 1) for i in axes)
    rest = [i for i in range(x.ndim) if i not in axes]
    count = math.prod(x.shape[i] for i in axes)
    made = norm(_moved(x, [*rest, *axes], (*(x.shape[i] for i in rest), count)), ord=ord, axis=-1)
    return made.reshape([1 if i in axes else n for i, n in enumerate(x.shape)]) if keepdims else made


def _matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    return norm(x, ord=ord, axis=(-2, -1), keepdims=keepdims)


def _numpy_tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    return tensordot(a, b, axes=axes)


FUNCTIONS[np.einsum] = _numpy_einsum
FUNCTIONS[np.tensordot] = FUNCTIONS[np.linalg.tensordot] = _numpy_tensordot
FUNCTIONS[np.kron] = _kron
FUNCTIONS[np.cross] = _cross
FUNCTIONS[np.linalg.norm] = _numpy_norm
FUNCTIONS[np.linalg.vector_norm] = _vector_norm
FUNCTIONS[np.linalg.matrix_norm] = _matrix_norm
FUNCTIONS[np.linalg.vecdot] = lambda x1, x2, /, *, axis=-1: vecdot(x1, x2, axis=axis)
FUNCTIONS[np.linalg.matmul] = lambda x1, x2, /: matmul(x1, x2)
FUNCTIONS[np.linalg.outer] = lambda x1, x2, /: FUNCTIONS[np.outer](x1, x2)
FUNCTIONS[np.linalg.cross] = lambda x1, x2, /, *, axis=-1: _cross(x1, x2, axis=axis)
FUNCTIONS[np.linalg.diagonal] = lambda x, /, *, offset=0: np.diagonal(x, offset, -2, -1)
FUNCTIONS[np.linalg.matrix_transpose] = lambda x, /: np.matrix_transpose(x)
FUNCTIONS[np.linalg.trace] = lambda x, /, *, offset=0, dtype=None: np.trace(x, offset, -2, -1, dtype)
for _name, _compute in (("vecdot", _vecdot), ("matvec", _matvec), ("vecmat", _vecmat)):
    if hasattr(np, _name):  # matvec and vecmat came with NumPy 2.2
        UFUNCS[getattr(np, _name)] = _product_of_vectors(_name, _compute)
