"""Sums and products of matrices, whose terms are added in another order than NumPy adds them."""

from __future__ import annotations

from typing import Any

import numpy as np

from .arrays import held, ndarray, operand, wrapped
from .flushing import cast, flush, quiet
from .ledger import LEDGER

__all__ = ["backwards", "einsum", "matmul", "running"]


def backwards(x: np.ndarray, axis: Any = None) -> np.ndarray:
    """Return floats in memory in the opposite order along the axes of a sum, so that its partial sums are others."""
    if x.dtype.kind != "f":
        return x
    return np.ascontiguousarray(np.flip(x, axis))


def running(x: np.ndarray, axis: int | None, dtype: Any, function: np.ufunc) -> np.ndarray:
    """Return running sums or products as a parallel scan forms them: of two, of four, of eight."""
    x = x.reshape(-1) if axis is None else x
    result = np.moveaxis(
        function.accumulate(x[:0] if not x.size else x, axis=axis or 0, dtype=dtype) * 0, axis or 0, 0
    )
    result[...] = np.moveaxis(x, axis or 0, 0)
    step = 1
    while step < len(result):
        result[step:] = function(result[step:], result[:-step].copy())
        step *= 2
    return np.moveaxis(result, 0, axis or 0)


def matmul(a: Any, b: Any, out: ndarray | None = None, **options: Any) -> ndarray:
    """Return a product of matrices."""
    assert not options, options
    x, y = flush(operand(a)), flush(operand(b))
    LEDGER.launch("matmul")
    with quiet():
        result = np.asarray(np.matmul(x[..., ::-1], y[..., ::-1, :] if y.ndim > 1 else y[::-1]))
    if out is None:
        return wrapped(flush(result))
    held(out)[...] = cast(np.asarray(flush(result)), out.dtype)
    return out


def einsum(*operands: Any, **options: Any) -> ndarray:
    """Return a sum over products, the axes that are summed over in the opposite order."""
    text, *arrays = operands
    assert isinstance(text, str) and "->" in text, "with the letters of the result"
    xs = [flush(operand(x)) for x in arrays]
    of, result = text.replace("...", "").split("->")
    flipped = []
    for letters, x in zip(of.split(","), xs, strict=True):
        axes = [i - len(letters) for i, letter in enumerate(letters) if letter not in result]
        flipped.append(np.ascontiguousarray(np.flip(x, axes)) if axes else x)
    LEDGER.launch("einsum")
    with quiet():
        return wrapped(np.asarray(flush(np.asarray(np.einsum(text, *flipped, **options)))))
