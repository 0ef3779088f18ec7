"""Which layers take one step of a sequence? The cells of the RNN, the GRU and the LSTM, with PyTorch's names."""

from __future__ import annotations

from typing import Any

import numpy as np

from floatlab.autograd import Tensor
from floatlab.errors import ShapeError, check_option
from floatlab.nn import functional as F  # noqa: N812
from floatlab.nn.arguments import Rng
from floatlab.nn.recurrent import GRU, LSTM, RNN, Hidden

__all__ = ["GRUCell", "LSTMCell", "RNNCell"]


class _Cell:
    """One step of a recurrent layer: its weights are "weight_ih", "weight_hh", "bias_ih" and "bias_hh"."""

    input_size: int
    hidden_size: int
    bias: bool
    _memories: int
    _parameters: Any
    _step: Any

    def _sets(self) -> list[tuple[str, int]]:
        return [("", self.input_size)]

    def _next(self, x: Tensor, given: Any) -> Hidden:
        """Return the memory after a step from a memory, or from zeros."""
        name = type(self).__name__
        if x.ndim not in (1, 2) or x.shape[-1] != self.input_size:
            raise ShapeError(
                f"{name} needs x of shape (batch, {self.input_size}), or ({self.input_size},). Got {x.shape}. "
                "Check input_size, or give one step."
            )
        shape = (*x.shape[:-1], self.hidden_size)
        if given is None:
            zeros = Tensor(np.zeros(shape, np.float32), format=x.format, gradient_format=x.gradient_format)
            given = (zeros,) * self._memories
        for tensor in given:
            if not isinstance(tensor, Tensor) or tensor.shape != shape:
                raise ShapeError(
                    f"{name} goes on from a hidden state of shape {shape}. Got {getattr(tensor, 'shape', tensor)!r}. "
                    "Leave it out for zeros."
                )
        rows = [t.reshape(1, -1) if x.ndim == 1 else t for t in (x, *given)]  # gates are columns
        own = self._parameters
        inputs = F.linear(rows[0], own["weight_ih"], own.get("bias_ih"))
        hidden = F.linear(rows[1], own["weight_hh"], own.get("bias_hh"))
        made: Hidden = self._step(inputs, hidden, tuple(rows[1:]))
        return tuple(t.reshape(shape) for t in made) if x.ndim == 1 else made

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.input_size}, {self.hidden_size}"


class RNNCell(_Cell, RNN):
    """A step of the plain recurrent network: ``h = tanh(W_ih x + b_ih + W_hh h + b_hh)``.

    >>> import floatlab as fl
    >>> RNNCell(3, 5, rng=0)(fl.zeros(2, 3)).shape
    (2, 5)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        *,
        rng: Rng = None,
    ) -> None:
        check_option("nonlinearity", nonlinearity, ("tanh", "relu"))
        super().__init__(input_size, hidden_size, 1, nonlinearity, bias, rng=rng)

    def forward(self, x: Tensor, h: Tensor | None = None) -> Any:
        """Return the next hidden state."""
        return self._next(x, None if h is None else (h,))[0]


class GRUCell(_Cell, GRU):
    """A step of the `GRU`.

    >>> import floatlab as fl
    >>> GRUCell(3, 5, rng=0)(fl.zeros(2, 3), fl.zeros(2, 5)).shape
    (2, 5)
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, *, rng: Rng = None) -> None:
        super().__init__(input_size, hidden_size, 1, bias, rng=rng)

    def forward(self, x: Tensor, h: Tensor | None = None) -> Any:
        """Return the next hidden state."""
        return self._next(x, None if h is None else (h,))[0]


class LSTMCell(_Cell, LSTM):
    """A step of the `LSTM`, from (h, c) to the next (h, c).

    >>> import floatlab as fl
    >>> h, c = LSTMCell(3, 5, rng=0)(fl.zeros(2, 3))
    >>> h.shape, c.shape
    ((2, 5), (2, 5))
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, *, rng: Rng = None) -> None:
        super().__init__(input_size, hidden_size, 1, bias, rng=rng)

    def forward(self, x: Tensor, state: Any = None) -> Any:
        """Return the next hidden state and the next content of the cells."""
        if state is not None and (not isinstance(state, tuple | list) or len(state) != 2):
            raise ShapeError(
                f"LSTMCell goes on from two tensors. Got {type(state).__name__}. "
                "Give (h, c), or leave it out for zeros."
            )
        return self._next(x, state)
