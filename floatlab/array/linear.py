"""What are products of vectors, of each with each, or with a matrix? ``vecdot matvec vecmat cross kron``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from floatlab.array.calls import data_of, is_number, of_format
from floatlab.array.core import FloatArray
from floatlab.array.elementwise import multiply
from floatlab.array.protocols import FUNCTIONS, UFUNCS
from floatlab.array.reductions import matmul
from floatlab.array.stand_ins import into, refuse_others, with_values
from floatlab.array.storage import common_format
from floatlab.errors import DtypeError, ShapeError

__all__ = ["vecdot"]


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
    data = data_of(x)
    if not -data.ndim <= axis < data.ndim:
        raise ShapeError(
            f"axis names a dimension of each vector. Got {axis} for shape {data.shape}. Use another."
        )
    moved = np.moveaxis(data, axis, -1)
    return x._like(moved) if isinstance(x, FloatArray) else moved


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


def _product_of_vectors(name: str, compute: Callable[..., Any]) -> Callable[..., Any]:
    def stand_in(method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if method != "__call__":
            raise DtypeError(
                f"numpy.{name}.{method} has no meaning of its own in a float format. Got a FloatArray. Use .values."
            )
        kwargs = dict(kwargs)
        out = (kwargs.pop("out", None) or (None,))[0]
        taken = {"axis": kwargs.pop("axis", -1)} if name == "vecdot" else {}
        refuse_others(name, kwargs)
        made = compute(*inputs, **taken)
        return made if out is None else into(name, out, made)

    return stand_in


FUNCTIONS[np.kron] = _kron
FUNCTIONS[np.cross] = _cross
FUNCTIONS[np.linalg.vecdot] = lambda x1, x2, /, *, axis=-1: vecdot(x1, x2, axis=axis)
FUNCTIONS[np.linalg.matmul] = lambda x1, x2, /: matmul(x1, x2)
FUNCTIONS[np.linalg.outer] = lambda x1, x2, /: FUNCTIONS[np.outer](x1, x2)
FUNCTIONS[np.linalg.cross] = lambda x1, x2, /, *, axis=-1: _cross(x1, x2, axis=axis)
FUNCTIONS[np.linalg.diagonal] = lambda x, /, *, offset=0: np.diagonal(x, offset, -2, -1)
FUNCTIONS[np.linalg.matrix_transpose] = lambda x, /: np.matrix_transpose(x)
FUNCTIONS[np.linalg.trace] = lambda x, /, *, offset=0, dtype=None: np.trace(x, offset, -2, -1, dtype)
_PRODUCTS = {"vecdot": vecdot, "matvec": _matvec, "vecmat": _vecmat}  # the last two came with NumPy 2.2
UFUNCS.fill(_PRODUCTS, lambda name: _product_of_vectors(name, _PRODUCTS[name]))
