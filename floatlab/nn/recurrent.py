"""Layers with a memory: the plain recurrent network, the LSTM and the GRU, written out step by step.

Weights, their names and the order of the gates are PyTorch's. Sequences have the shape (steps, batch,
features), or (batch, steps, features) with ``batch_first``. With ``bidirectional`` a second set of weights,
"..._reverse", reads the sequence from its end, and each output is both sets' side by side.

Each step takes its input through the input weights by itself, instead of all steps at once: the gradient of a
cut-out step is as large as the whole sequence, and a long sequence would add up as many of these as it
has steps.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from floatlab.autograd import Tensor, apply
from floatlab.autograd.randomness import source
from floatlab.errors import OptionError, ShapeError, check_option
from floatlab.nn import functional as F  # noqa: N812
from floatlab.nn import init
from floatlab.nn.arguments import Rng, positive, probability, switches
from floatlab.nn.module import Module
from floatlab.nn.parameter import Parameter

__all__ = ["GRU", "LSTM", "RNN"]

Hidden = tuple[Tensor, ...]  # one tensor (batch, hidden) for each thing that is remembered


class _Recurrent(Module):
    _gates: int
    _memories: int  # the RNN and the GRU remember h, the LSTM h and c

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        rng: Rng = None,
    ) -> None:
        super().__init__()
        positive(input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        switches(bias=bias, batch_first=batch_first, bidirectional=bidirectional)
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.bidirectional = bias, batch_first, bidirectional
        self.dropout = probability("dropout", dropout)
        if self.dropout and num_layers == 1:
            raise OptionError(
                f"dropout lies between layers. Got {dropout} with one layer. Use more layers, or nn.Dropout."
            )
        self._rng = source(rng)
        for suffix, width in self._sets():
            self._add_weights(suffix, width)

    def _sets(self) -> list[tuple[str, int]]:
        """Return the ending of the names and the number of inputs of each set of weights, layer by layer."""
        ways = ("", "_reverse") if self.bidirectional else ("",)
        return [
            (f"_l{layer}{way}", len(ways) * self.hidden_size if layer else self.input_size)
            for layer in range(self.num_layers)
            for way in ways
        ]

    def _add_weights(self, suffix: str, width: int) -> None:
        rows, bound = self._gates * self.hidden_size, 1.0 / math.sqrt(self.hidden_size)
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (rows, width),
            "weight_hh": (rows, self.hidden_size),
        }
        shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)} if self.bias else {}
        for name, shape in shapes.items():
            parameter = Parameter(np.zeros(shape, np.float32))
            init.uniform_(parameter, -bound, bound, rng=self._rng)
            setattr(self, name + suffix, parameter)

    def _step(self, inputs: Tensor, hidden: Tensor, memory: Hidden) -> Hidden:
        """Return the new memory from the weighted input and hidden state; its first tensor is the output."""
        raise TypeError(f"{type(self).__name__} has no step. Define _step in the subclass.")

    def _read(self, steps: list[Tensor], suffix: str, memory: Hidden) -> tuple[list[Tensor], Hidden]:
        """Return the outputs of all steps, in their order, and the last memory."""
        own = self._parameters
        w_ih, w_hh = own[f"weight_ih{suffix}"], own[f"weight_hh{suffix}"]
        b_ih, b_hh = own.get(f"bias_ih{suffix}"), own.get(f"bias_hh{suffix}")
        backwards, outputs = suffix.endswith("_reverse"), []
        for step in reversed(steps) if backwards else steps:
            memory = self._step(F.linear(step, w_ih, b_ih), F.linear(memory[0], w_hh, b_hh), memory)
            outputs.append(memory[0])
        return (outputs[::-1] if backwards else outputs), memory

    def _run(self, x: Tensor, memories: list[Hidden]) -> tuple[Tensor, list[Hidden]]:
        axis = 1 if self.batch_first else 0
        steps = [x[:, t] if self.batch_first else x[t] for t in range(x.shape[axis])]
        ways = 2 if self.bidirectional else 1
        for place, (suffix, _) in enumerate(self._sets()):
            if place and place % ways == 0 and self.dropout:
                steps = [F.dropout(step, self.dropout, self.training, rng=self._rng) for step in steps]
            outputs, memories[place] = self._read(steps, suffix, memories[place])
            if ways == 1:
                steps = outputs
            elif place % 2 == 0:
                forwards = outputs
            else:
                steps = [apply("cat", a, b, axis=-1) for a, b in zip(forwards, outputs, strict=True)]
        return apply("stack", *steps, axis=axis), memories

    def _start(self, x: Tensor, given: Any) -> list[Hidden]:
        """Return the memory of each set of weights: zeros, or what was given as (sets, batch, hidden)."""
        if x.ndim != 3 or x.shape[2] != self.input_size or 0 in x.shape[:2]:
            order = "batch, steps" if self.batch_first else "steps, batch"
            raise ShapeError(
                f"{type(self).__name__} needs x of shape ({order}, {self.input_size}), with a step and an "
                f"example at least. Got {x.shape}. Check input_size and batch_first."
            )
        batch = x.shape[0 if self.batch_first else 1]
        sets = self.num_layers * (2 if self.bidirectional else 1)
        shape = (sets, batch, self.hidden_size)
        if given is None:
            zeros = Tensor(
                np.zeros(shape[1:], np.float32), format=x.format, gradient_format=x.gradient_format
            )
            return [(zeros,) * self._memories] * sets
        if not isinstance(given, tuple | list) or len(given) != self._memories:
            raise ShapeError(
                f"{type(self).__name__} starts from {self._memories} tensors. Got {type(given).__name__}. "
                "Give (h, c), or leave it out for zeros."
            )
        for tensor in given:
            if not isinstance(tensor, Tensor) or tensor.shape != shape:
                raise ShapeError(
                    "The first hidden state has the shape (layers, batch, hidden), twice as many layers with "
                    f"bidirectional. Got {getattr(tensor, 'shape', tensor)!r} for {shape}. Leave it out for zeros."
                )
        return [tuple(tensor[place] for tensor in given) for place in range(sets)]

    def _stacked(self, memories: list[Hidden], which: int) -> Tensor:
        return apply("stack", *(memory[which] for memory in memories), axis=0)

    def extra_repr(self) -> str:
        """Return the sizes."""
        return f"{self.input_size}, {self.hidden_size}, num_layers={self.num_layers}"


class RNN(_Recurrent):
    """The plain recurrent network: ``h = tanh(W_ih x + b_ih + W_hh h + b_hh)`` at each step.

    Called with x and optionally the first hidden state (layers, batch, hidden), it returns the outputs of all
    steps and the last hidden state, as in PyTorch.

    Examples
    --------
    >>> import floatlab as fl, numpy as np
    >>> outputs, last = RNN(3, 5, rng=0)(fl.Tensor(np.zeros((7, 2, 3))))
    >>> outputs.shape, last.shape
    ((7, 2, 5), (1, 2, 5))
    """

    _gates, _memories = 1, 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        rng: Rng = None,
    ) -> None:
        check_option("nonlinearity", nonlinearity, ("tanh", "relu"))
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, rng=rng
        )
        self.nonlinearity = nonlinearity

    def _step(self, inputs: Tensor, hidden: Tensor, memory: Hidden) -> Hidden:
        gates = inputs + hidden
        return (gates.tanh() if self.nonlinearity == "tanh" else gates.relu(),)

    def forward(self, x: Tensor, h: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the outputs of all steps and the last hidden state."""
        outputs, memories = self._run(x, self._start(x, None if h is None else (h,)))
        return outputs, self._stacked(memories, 0)


class GRU(_Recurrent):
    """A gated recurrent unit (Cho et al. 2014).

    Gates r, z, n; ``n = tanh(W_in x + b_in + r * (W_hn h + b_hn))`` and ``h = (1 - z) * n + z * h``, which is
    computed as ``n + z * (h - n)``, as in PyTorch.

    Examples
    --------
    >>> import floatlab as fl, numpy as np
    >>> outputs, last = GRU(3, 5, bidirectional=True, rng=0)(fl.Tensor(np.zeros((7, 2, 3))))
    >>> outputs.shape, last.shape
    ((7, 2, 10), (2, 2, 5))
    """

    _gates, _memories = 3, 1

    def _step(self, inputs: Tensor, hidden: Tensor, memory: Hidden) -> Hidden:
        n = self.hidden_size
        h = memory[0]
        r, z = ((inputs[:, k : k + n] + hidden[:, k : k + n]).sigmoid() for k in (0, n))
        new = (inputs[:, 2 * n :] + r * hidden[:, 2 * n :]).tanh()
        return (new + z * (h - new),)

    def forward(self, x: Tensor, h: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the outputs of all steps and the last hidden state."""
        outputs, memories = self._run(x, self._start(x, None if h is None else (h,)))
        return outputs, self._stacked(memories, 0)


class LSTM(_Recurrent):
    """Long short-term memory (Hochreiter and Schmidhuber 1997).

    Gates i, f, g, o; ``c = f * c + i * g`` and ``h = o * tanh(c)``.

    Called with x and optionally the first (h, c), each (layers, batch, hidden), it returns the outputs of all
    steps and the last (h, c), as in PyTorch.

    Examples
    --------
    >>> import floatlab as fl, numpy as np
    >>> outputs, (h, c) = LSTM(3, 5, rng=0)(fl.Tensor(np.zeros((7, 2, 3))))
    >>> outputs.shape, c.shape
    ((7, 2, 5), (1, 2, 5))
    """

    _gates, _memories = 4, 2

    def _step(self, inputs: Tensor, hidden: Tensor, memory: Hidden) -> Hidden:
        gates, n = inputs + hidden, self.hidden_size
        i, f, g, o = (gates[:, k * n : (k + 1) * n] for k in range(4))
        c = f.sigmoid() * memory[1] + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor] | None = None) -> Any:
        """Return the outputs of all steps and the last (h, c)."""
        outputs, memories = self._run(x, self._start(x, state))
        return outputs, (self._stacked(memories, 0), self._stacked(memories, 1))
