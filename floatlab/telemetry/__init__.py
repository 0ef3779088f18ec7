"""Which layer under- or overflowed, stagnated, and when? A log of what rounding does to a run."""

from floatlab.telemetry.counts import Counts, count
from floatlab.telemetry.events import EventWriter
from floatlab.telemetry.log import Log, watch
from floatlab.telemetry.records import First, OperationRecord, StepRecord, UpdateRecord

__all__ = [
    "Counts",
    "EventWriter",
    "First",
    "Log",
    "OperationRecord",
    "StepRecord",
    "UpdateRecord",
    "count",
    "watch",
]
