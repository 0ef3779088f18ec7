"""Attention: each query takes a mean of the values, weighed by how well its key fits."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floatlab.autograd import Tensor, apply
from floatlab.errors import OptionError, ShapeError
from floatlab.nn.arguments import Rng, number, probability
from floatlab.nn.functional.activations import dropout
from floatlab.nn.functional.inputs import array_of

__all__ = ["attention_weights", "causal_mask", "scaled_dot_product_attention"]

Mask = NDArray[np.bool_]


@lru_cache(maxsize=32)
def causal_mask(queries: int, keys: int | None = None) -> Mask:
    """Return where a query may look: at its own place and before; True is allowed. The array is read-only.

    >>> causal_mask(3).astype(int).tolist()
    [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    """
    mask = np.tril(np.ones((queries, queries if keys is None else keys), bool))
    mask.setflags(write=False)
    return mask


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    *,
    rng: Rng = None,
) -> Tensor:
    """Return ``softmax(query @ key.T * scale) @ value`` (Vaswani et al. 2017).

    Parameters
    ----------
    query, key, value : Tensor
        Of shapes (..., queries, features), (..., keys, features) and (..., keys, columns).
    attn_mask : array or Tensor, optional
        Booleans say which keys a query may look at. Numbers are added to the scores; -inf takes a key out.
    dropout_p : float
        Dropout of the shares, always: pass 0 in evaluation.
    is_causal : bool
        Let each query look at its own place and before only.
    scale : float, optional
        By default 1 / sqrt(features).

    Notes
    -----
    Four operations, each rounded once: the query times the scale (before the product, which is then no larger than the
    result), the scores, the softmax, the mean of the values.

    A key that is taken out gets a share of exactly 0 in every format. No infinity is put into the scores, which e4m3
    and the formats of 4 and 6 bits do not have. A query that may look at nothing gets zeros, as in PyTorch since 2.5.

    Examples
    --------
    >>> q, k, v = Tensor([[0.0]] * 2), Tensor([[1.0]] * 2), Tensor([[1.0], [3.0]])
    >>> scaled_dot_product_attention(q, k, v, is_causal=True).tolist()
    [[1.0], [2.0]]
    """
    weights = attention_weights(query, key, attn_mask, is_causal, scale)
    if dropout_p:
        weights = dropout(weights, probability("dropout_p", dropout_p), rng=rng)
    return weights @ value


def attention_weights(
    query: Tensor, key: Tensor, attn_mask: Any = None, is_causal: bool = False, scale: float | None = None
) -> Tensor:
    """Return the shares that `scaled_dot_product_attention` weighs the values by: (..., queries, keys)."""
    if query.ndim < 2 or key.ndim < 2 or query.shape[-1] != key.shape[-1] or not query.shape[-1]:
        raise ShapeError(
            "Attention needs queries (..., L, features) and keys (..., S, features). "
            f"Got {query.shape} and {key.shape}. Check the features."
        )
    factor = 1.0 / math.sqrt(query.shape[-1]) if scale is None else number("scale", scale)
    scores = (query * factor) @ key.transpose(-2, -1)
    if is_causal:
        if attn_mask is not None:
            raise OptionError("is_causal is a mask of its own. Got attn_mask as well. Give one of them.")
        attn_mask = causal_mask(*scores.shape[-2:])
    if attn_mask is None:
        return scores.softmax(-1)
    allowed, scores = _masked(scores, attn_mask)
    return apply("softmax", scores, axis=-1, mask=allowed)


def _masked(scores: Tensor, mask: Any) -> tuple[Mask | None, Tensor]:
    """Return which keys are allowed, and the scores with the mask's numbers added to those."""
    values = array_of("attn_mask", mask)
    try:
        fits = np.broadcast_shapes(values.shape, scores.shape) == scores.shape
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(
            f"attn_mask broadcasts to (..., queries, keys). Got {values.shape} for {scores.shape}. Reshape it."
        )
    if values.dtype.kind == "b":
        return values, scores
    allowed = values != -np.inf
    if isinstance(mask, Tensor):
        added = mask if allowed.all() else mask.masked_fill(~allowed, 0.0)
    else:
        added = Tensor(np.where(allowed, values, 0.0), format=scores.format)
    return (None if allowed.all() else allowed), (scores + added if added.array.any() else scores)
