"""Attention and the transformer's encoder as layers; weights, their names and the masks are PyTorch's."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from floatlab.autograd import Tensor
from floatlab.autograd.randomness import source
from floatlab.errors import OptionError, ShapeError, check_option
from floatlab.nn import functional as F  # noqa: N812
from floatlab.nn import init
from floatlab.nn.arguments import Rng, number, positive, probability, switches
from floatlab.nn.containers import ModuleList
from floatlab.nn.functional.inputs import array_of
from floatlab.nn.layers import Dropout, Linear
from floatlab.nn.module import Module
from floatlab.nn.norm import LayerNorm
from floatlab.nn.parameter import Parameter

__all__ = ["MultiheadAttention", "TransformerEncoder", "TransformerEncoderLayer"]


class MultiheadAttention(Module):
    """Attention in several heads side by side (Vaswani et al. 2017).

    Called with query, key and value of shapes (steps, batch, embed_dim), or (batch, steps, embed_dim) with
    ``batch_first``, or without a batch, it returns the result and the shares, a mean over the heads.

    In the masks True means that a key is left out, as in PyTorch; there and in
    `functional.scaled_dot_product_attention` it is the other way round. A query that may look at nothing gets zeros,
    where PyTorch's layer gives NaN.

    Examples
    --------
    >>> import floatlab as fl, numpy as np
    >>> attention, x = MultiheadAttention(8, 2, batch_first=True, rng=0), fl.Tensor(np.zeros((3, 5, 8)))
    >>> y, shares = attention(x, x, x)
    >>> y.shape, shares.shape
    ((3, 5, 8), (3, 5, 5))
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        *,
        batch_first: bool = False,
        rng: Rng = None,
    ) -> None:
        super().__init__()
        positive(embed_dim=embed_dim, num_heads=num_heads)
        switches(bias=bias, batch_first=batch_first)
        if embed_dim % num_heads:
            raise OptionError(f"num_heads divides embed_dim. Got {num_heads} and {embed_dim}. Use a divisor.")
        self.embed_dim, self.num_heads, self.batch_first = embed_dim, num_heads, batch_first
        self.dropout, self._rng = probability("dropout", dropout), source(rng)
        self.in_proj_weight = Parameter(np.zeros((3 * embed_dim, embed_dim), np.float32))
        init.xavier_uniform_(self.in_proj_weight, rng=self._rng)
        zeros = np.zeros(3 * embed_dim, np.float32)
        self.register_parameter("in_proj_bias", Parameter(zeros) if bias else None)
        self.out_proj = Linear(embed_dim, embed_dim, bias=bias, rng=self._rng)
        if bias:
            init.zeros_(self.out_proj.bias)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Return the result and, if `need_weights`, the shares.

        Parameters
        ----------
        query, key, value : Tensor
            What looks, what it is compared with, and what is taken.
        key_padding_mask : array, optional
            (batch, keys); True leaves a key out. Numbers are added to the scores.
        need_weights, average_attn_weights : bool
            Whether to return the shares, and whether their mean over the heads.
        attn_mask : array, optional
            (queries, keys) or (batch * heads, queries, keys); True leaves a key out. Numbers are added.
        is_causal : bool
            Says that `attn_mask` is the causal one; without a mask that one is taken.
        """
        alone = query.ndim == 2
        same = query is key and key is value
        if alone:
            query, key, value = (x.unsqueeze(0 if self.batch_first else 1) for x in (query, key, value))
        self._check(query, key, value)
        q, k, v = (self._heads(x) for x in self._projected(query, key, value, same))
        mask = self._mask(q.shape, k.shape[2], key_padding_mask, attn_mask, is_causal)
        shares = F.attention_weights(q, k, mask)
        dropped = F.dropout(shares, self.dropout, self.training, rng=self._rng)
        y = self.out_proj(self._joined(dropped @ v))
        weights = None
        if need_weights:
            weights = dropped.mean(1) if average_attn_weights else dropped
            weights = weights[0] if alone else weights
        return (y.squeeze(0 if self.batch_first else 1) if alone else y), weights

    def _check(self, query: Tensor, key: Tensor, value: Tensor) -> None:
        batch = 0 if self.batch_first else 1
        shapes = [x.shape for x in (query, key, value)]
        fits = all(len(shape) == 3 and shape[2] == self.embed_dim for shape in shapes)
        if not fits or shapes[1] != shapes[2] or shapes[0][batch] != shapes[1][batch]:
            order = "batch, steps" if self.batch_first else "steps, batch"
            raise ShapeError(
                f"MultiheadAttention needs query, key and value of shape ({order}, {self.embed_dim}), the last two "
                f"alike. Got {shapes[0]}, {shapes[1]} and {shapes[2]}. Check embed_dim and batch_first."
            )

    def _projected(self, query: Tensor, key: Tensor, value: Tensor, same: bool) -> list[Tensor]:
        """Return the three projections: one product where all three are one tensor."""
        n, weight, bias = self.embed_dim, self.in_proj_weight, self.in_proj_bias
        cuts = [slice(i * n, (i + 1) * n) for i in range(3)]
        if same:
            together = F.linear(query, weight, bias)
            return [together[..., cut] for cut in cuts]
        return [
            F.linear(x, weight[cut], None if bias is None else bias[cut])
            for x, cut in zip((query, key, value), cuts, strict=True)
        ]

    def _heads(self, x: Tensor) -> Tensor:
        """Return (batch, heads, steps, features)."""
        parts = x.reshape(*x.shape[:2], self.num_heads, self.embed_dim // self.num_heads)
        return parts.permute(0, 2, 1, 3) if self.batch_first else parts.permute(1, 2, 0, 3)

    def _joined(self, x: Tensor) -> Tensor:
        """Return the heads side by side, in the order of the input."""
        batch, _, steps, _ = x.shape
        rows = x.permute(0, 2, 1, 3) if self.batch_first else x.permute(2, 0, 1, 3)
        return rows.reshape(*((batch, steps) if self.batch_first else (steps, batch)), self.embed_dim)

    def _mask(
        self, shape: tuple[int, ...], keys: int, padding: Any, attn_mask: Any, is_causal: bool
    ) -> np.ndarray[Any, Any] | None:
        """Return one mask of what may be looked at, or of numbers to add: (batch, heads, queries, keys)."""
        batch, heads, queries, _ = shape
        if attn_mask is None and is_causal:
            attn_mask = ~F.causal_mask(queries, keys)
        masks = []
        if attn_mask is not None:
            array = array_of("attn_mask", attn_mask)
            if array.shape not in ((queries, keys), (batch * heads, queries, keys)):
                raise ShapeError(
                    f"attn_mask has the shape (queries, keys) or (batch * heads, queries, keys). Got {array.shape} "
                    f"for {(queries, keys)} and {batch * heads}. Reshape it."
                )
            masks.append(array.reshape(-1, heads if array.ndim == 3 else 1, queries, keys))
        if padding is not None:
            array = array_of("key_padding_mask", padding)
            if array.shape not in ((batch, keys), (keys,)):
                raise ShapeError(
                    f"key_padding_mask has the shape (batch, keys). Got {array.shape} for {(batch, keys)}. "
                    "Reshape it."
                )
            masks.append(array.reshape(-1, 1, 1, keys))
        if all(mask.dtype.kind == "b" for mask in masks):
            return None if not masks else ~np.any(np.broadcast_arrays(*masks), axis=0)
        return sum(np.where(m, -np.inf, 0.0) if m.dtype.kind == "b" else m for m in masks)  # type: ignore[return-value]

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.embed_dim}, {self.num_heads}"


class TransformerEncoderLayer(Module):
    """Attention and two linear layers, each with a short cut and a layer norm (Vaswani et al. 2017).

    With ``norm_first`` the norms stand before attention and linear layers, as in GPT-2, otherwise behind the
    short cuts.

    Examples
    --------
    >>> import floatlab as fl, numpy as np
    >>> layer = TransformerEncoderLayer(8, 2, 16, batch_first=True, rng=0)
    >>> layer(fl.Tensor(np.zeros((3, 5, 8)))).shape
    (3, 5, 8)
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        *,
        rng: Rng = None,
    ) -> None:
        super().__init__()
        positive(d_model=d_model, nhead=nhead, dim_feedforward=dim_feedforward)
        check_option("activation", activation, ("relu", "gelu"))
        switches(batch_first=batch_first, norm_first=norm_first, bias=bias)
        number("layer_norm_eps", layer_norm_eps, 0.0)
        generator = source(rng)
        self.self_attn = MultiheadAttention(
            d_model, nhead, dropout, bias, batch_first=batch_first, rng=generator
        )
        self.linear1 = Linear(d_model, dim_feedforward, bias, rng=generator)
        self.dropout = Dropout(dropout, rng=generator)
        self.linear2 = Linear(dim_feedforward, d_model, bias, rng=generator)
        self.norm1 = LayerNorm(d_model, layer_norm_eps, bias=bias)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, bias=bias)
        self.dropout1, self.dropout2 = Dropout(dropout, rng=generator), Dropout(dropout, rng=generator)
        self.activation, self.norm_first = activation, norm_first

    def forward(
        self, src: Tensor, src_mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool = False
    ) -> Tensor:
        """Return the encoded steps; masks as in `MultiheadAttention`."""
        masks = (src_mask, src_key_padding_mask, is_causal)
        if self.norm_first:
            x = src + self._attended(self.norm1(src), *masks)
            return x + self._fed(self.norm2(x))
        x = self.norm1(src + self._attended(src, *masks))
        encoded: Tensor = self.norm2(x + self._fed(x))
        return encoded

    def _attended(self, x: Tensor, mask: Any, padding: Any, is_causal: bool) -> Tensor:
        y, _ = self.self_attn(
            x, x, x, key_padding_mask=padding, need_weights=False, attn_mask=mask, is_causal=is_causal
        )
        dropped: Tensor = self.dropout1(y)
        return dropped

    def _fed(self, x: Tensor) -> Tensor:
        hidden = self.linear1(x)
        hidden = hidden.relu() if self.activation == "relu" else F.gelu(hidden)
        fed: Tensor = self.dropout2(self.linear2(self.dropout(hidden)))
        return fed


def _copied(layer: Module) -> Module:
    """Return a copy of a layer whose dropout draws other numbers than the original and every other copy."""
    made = copy.deepcopy(layer)
    for theirs, own in zip(layer.modules(), made.modules(), strict=True):
        for name, value in vars(theirs).items():
            if isinstance(value, np.random.Generator):
                setattr(own, name, value.spawn(1)[0])
    return made


class TransformerEncoder(Module):
    """Copies of a layer, one after the other, and a norm behind the last one if there is one.

    The copies begin with the same weights, as in PyTorch; their dropout draws from generators of their own.

    Examples
    --------
    >>> import floatlab as fl, numpy as np
    >>> encoder = TransformerEncoder(TransformerEncoderLayer(8, 2, 16, rng=0), num_layers=2)
    >>> encoder(fl.Tensor(np.zeros((5, 3, 8)))).shape, len(encoder.layers)
    ((5, 3, 8), 2)
    """

    def __init__(self, encoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__()
        positive(num_layers=num_layers)
        self.layers = ModuleList(_copied(encoder_layer) for _ in range(num_layers))
        self.num_layers = num_layers
        self.add_module("norm", norm)

    def forward(
        self, src: Tensor, mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool = False
    ) -> Tensor:
        """Return the encoded steps; masks as in `MultiheadAttention`."""
        for layer in self.layers:
            src = layer(src, mask, src_key_padding_mask, is_causal)
        return src if self.norm is None else self.norm(src)
