"""When does a loss scale grow, and when does it fall? All that a scaler remembers, and how it moves."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

__all__ = ["ScaleState", "float32"]


@dataclass
class ScaleState:
    """All that a scaler remembers from one iteration to the next; `state_dict` is made of these fields."""

    # The names of PyTorch's state_dict: a state saved there can be loaded here, and the other way round.
    scale: float
    growth_factor: float
    backoff_factor: float
    growth_interval: int
    _growth_tracker: int = 0
    # What PyTorch does not have.
    min_scale: float = 0.0
    max_scale: float = math.inf
    hysteresis: int = 1
    _hysteresis_left: int = 1
    dynamic: bool = True
    skipped_steps: int = 0

    def move(self, found_inf: bool) -> None:
        """Move the scale after an iteration in which an infinity or a NaN was found, or none was."""
        if found_inf:
            self._growth_tracker = 0
            self._hysteresis_left = max(self._hysteresis_left - 1, 0)
            if self._hysteresis_left == 0:
                self.scale = max(float32(self.scale * self.backoff_factor), self.min_scale)
            return
        self._growth_tracker += 1
        if self._growth_tracker == self.growth_interval:
            grown = float32(self.scale * self.growth_factor)
            if math.isfinite(grown):
                self.scale = min(grown, self.max_scale)
            self._growth_tracker, self._hysteresis_left = 0, self.hysteresis


def float32(value: float) -> float:
    """Return the nearest float32, which may be an infinity.

    >>> float32(0.1)
    0.10000000149011612
    """
    with np.errstate(over="ignore"):
        return float(np.float32(value))
