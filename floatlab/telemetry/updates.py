"""Which updates were lost against their weight? The weights before a step of the optimizer, and after it.

    w + dw == w         in bf16: 1 - 2**-9 rounds to 1, so that the weight stays

An update counts as lost where the gradient gives a weight a reason to move and it stays the same, bit for
bit, in the array that the optimizer adds to: the weights themselves, or their master copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floatlab.autograd import Tensor
from floatlab.nn import Module
from floatlab.optim import Optimizer
from floatlab.telemetry.records import UpdateRecord

__all__ = ["Updates"]

Array = NDArray[Any]
Snapshot = list[tuple[Array, Array]]


class Updates:
    """The records of all updates so far, and which weights have ever moved."""

    def __init__(self, model: Module | None, optimizers: Sequence[Optimizer]) -> None:
        named = [] if model is None else list(model.named_parameters())
        self._names = {id(p): (name, p) for name, p in named}  # with the parameter, which keeps the id valid
        self._parameters = [
            p for optimizer in optimizers for p in optimizer.parameters()
        ]  # keeps the ids valid
        self._driven: dict[int, Array] = {}  # by a parameter's id: weights that had a reason to move ...
        self._moved: dict[int, Array] = {}  # ... and those that did
        self.records: list[UpdateRecord] = []

    def snapshot(self, optimizer: Optimizer) -> Snapshot:
        """Return copies of what a step will add to, and of the weights."""
        return [(_weights(optimizer, p).copy(), p.array.copy()) for p in optimizer.parameters()]

    def compare(self, step: int, optimizer: Optimizer, before: Snapshot) -> list[UpdateRecord]:
        """Record what a step of the optimizer has done since the snapshot `before`."""
        rates = [group["lr"] for group in optimizer.param_groups for _ in group["params"]]
        found = []
        for p, rate, (old, old_seen) in zip(optimizer.parameters(), rates, before, strict=True):
            if p.grad is None:
                continue
            gradient, after = p.grad.array, _weights(optimizer, p)
            driven = (gradient != 0) & np.isfinite(gradient) & (rate > 0)
            moved = ~(after == old)  # a weight that has become NaN has moved
            record = UpdateRecord(
                step,
                self._name(p),
                p.format.spec,
                p.format.spec if after is p.array else "float32",
                p.size,
                int(np.count_nonzero(driven)),
                int(np.count_nonzero(driven & ~moved)),
                int(np.count_nonzero(driven & moved & (p.array == old_seen))),
            )
            found.append(record)
            self._driven[id(p)] = driven | self._driven.get(id(p), False)
            self._moved[id(p)] = moved | self._moved.get(id(p), False)
        self.records += found
        return found

    def stagnated(self) -> dict[str, float]:
        """Return for each parameter the share of its driven weights that never moved."""
        shares = {}
        for p in self._parameters:
            driven = self._driven.get(id(p))
            if driven is not None and (total := int(driven.sum())):
                shares[self._name(p)] = int((driven & ~self._moved[id(p)]).sum()) / total
        return shares

    def _name(self, p: Tensor) -> str:
        position = next((i for i, q in enumerate(self._parameters) if q is p), None)
        return self._names.get(id(p), ("", p))[0] or p.name or f"parameter {position}"


def _weights(optimizer: Optimizer, p: Tensor) -> Array:
    """Return the array that an update is added to: the master copy, where there is one."""
    master: Array = optimizer.state.get(p, {}).get("master", p.array)
    return master
