"""What would a training step occupy on a device? Bytes of weights, gradients, state and activations, by format."""

from floatlab.memory.measurement import measure
from floatlab.memory.report import KINDS, Item, Report, size_of

__all__ = ["KINDS", "Item", "Report", "measure", "size_of"]
