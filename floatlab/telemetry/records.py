"""What is written down? One frozen record for an operation, an update and a step, and for the first of each fate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from floatlab.telemetry.counts import Counts

__all__ = ["FATES", "First", "OperationRecord", "Records", "StepRecord", "UpdateRecord"]

#: How the counts of `Counts` are called when they happen for the first time.
FATES = {
    "underflows": "underflow",
    "overflows": "overflow",
    "saturations": "saturation",
    "infinities": "infinity",
    "nans": "NaN",
}


@dataclass(frozen=True, kw_only=True)
class OperationRecord(Counts):
    """What one operation of one layer did in one step, all its calls together.

    Attributes
    ----------
    step : int
        From 0.
    phase : str
        "forward" or "backward".
    layer : str
        The dotted name of the module; "" for operations outside of all modules, such as a loss.
    op : str
        The operation's name.
    of : str
        In the phase "backward", what the gradient is of: "input", "weight", "bias", or "input 1" and so on. Of a cast
        to blocks, the operation "quantize", in both phases what was cast: "input", "weight" or "gradient".
    format : str
        The format of the results: its `FloatFormat.spec`, which is its name where that says it all. Of a cast to
        blocks, that of the elements.
    block_format : str
        Of a cast to blocks, their format, as "mxfp4"; else "".
    calls : int
        How often it ran.
    """

    step: int
    phase: str
    layer: str
    op: str
    of: str
    format: str
    calls: int
    block_format: str = ""


@dataclass(frozen=True)
class UpdateRecord:
    """What one step of the optimizer did to one parameter.

    Attributes
    ----------
    step : int
        From 0.
    parameter, format : str
        Its name, and the format of its weights as in `OperationRecord`.
    updated_in : str
        The format that the update is added in: that of the weights, or fp32 where there is a master copy.
    values : int
        The number of weights.
    driven : int
        Those with a finite gradient that is not zero, and a learning rate above zero: they should move.
    lost : int
        Driven ones that did not move: ``w + dw == w`` where the update is added.
    hidden : int
        Driven ones that moved in the master copy, but look the same in the weights' own format (so far: the
        master copy collects what they miss).
    """

    step: int
    parameter: str
    format: str
    updated_in: str
    values: int
    driven: int
    lost: int
    hidden: int


@dataclass(frozen=True)
class StepRecord:
    """One finished step: the loss scale in force, and whether the scaler skipped it (None: no scaler)."""

    step: int
    scale: float | None = None
    skipped: bool | None = None


@dataclass(frozen=True)
class First:
    """The first time that something happened: in which step, and in which operation or parameter."""

    step: int
    phase: str
    layer: str
    op: str
    of: str = ""

    def __str__(self) -> str:
        if self.phase == "update":
            return f"step {self.step}, update of {self.op}"
        what = f"{self.op} of {self.layer}" if self.layer else self.op
        kind = "its" if self.op == "quantize" else "gradient of the"
        part = f", {kind} {self.of}" if self.of else ""
        return f"step {self.step}, {self.phase}, {what}{part}"


class Records(NamedTuple):
    """All that a log has written down so far; what the fields hold is said where `Log` has them."""

    operations: tuple[OperationRecord, ...]
    updates: tuple[UpdateRecord, ...]
    steps: tuple[StepRecord, ...]
    first: dict[str, First]
    stagnated: dict[str, float]
