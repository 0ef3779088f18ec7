"""When does a loss scale grow, and when does it fall? All that a scaler remembers, and how it moves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any

import numpy as np

from floatlab.amp.presets import ScalingRule
from floatlab.errors import OptionError, StateError
from floatlab.optim.parameters import is_number
from floatlab.rounding.inputs import plain_option

__all__ = ["ScaleState", "float32", "read_saved"]


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


_COUNTS = ("growth_interval", "hysteresis", "_growth_tracker", "_hysteresis_left", "skipped_steps")
_RULES = ("growth_factor", "backoff_factor", "growth_interval", "min_scale", "max_scale", "hysteresis")


def read_saved(state_dict: Mapping[str, Any]) -> ScaleState:
    """Return what a scaler remembered, from its `state_dict` here or in PyTorch.

    Raises
    ------
    StateError
        If it is not that of a scaler, or a value in it is none that a scaler could have.
    """
    found = set(state_dict) if isinstance(state_dict, Mapping) else set()
    required = {f.name for f in fields(ScaleState) if f.default is MISSING} | {"_growth_tracker"}
    missing, unknown = sorted(required - found), sorted(found - {f.name for f in fields(ScaleState)})
    if missing or unknown:
        raise StateError(
            f"A scaler's state has the keys of GradScaler.state_dict(). Got missing {missing}, "
            f"unknown {unknown}. "
            "An empty state was saved by a disabled scaler: create this one with enabled=False too."
        )
    state = {key: plain_option(value) for key, value in state_dict.items()}
    scale = state["scale"]
    if not (is_number(scale) and 0.0 < float32(scale) < math.inf):
        raise StateError(
            f"A saved scale is a number above 0, and finite in fp32. Got {scale!r}. Use another file."
        )
    state["scale"] = float32(scale)
    for name in (count for count in _COUNTS if count in state):
        count = state[name]
        if not (is_number(count) and count >= 0 and count == count // 1):
            raise StateError(f"{name} of a saved scaler counts steps. Got {count!r}. Use another file.")
        state[name] = int(count)
    if not isinstance(state.get("dynamic", True), bool):
        raise StateError(f"dynamic is True or False. Got {state['dynamic']!r}. Use another file.")
    rule = {name: state[name] for name in _RULES if name in state}
    try:
        ScalingRule(**rule, init_scale=_within(rule.get("min_scale", 0.0), rule.get("max_scale", math.inf)))
    except OptionError as problem:
        raise StateError(f"A saved scaler has settings that it can have. {problem}") from None
    return ScaleState(**state)


def _within(low: Any, high: Any) -> float:
    """Return a scale between two limits, if they are some: a saved scale may have been set beyond them."""
    return min(max(1.0, low), high) if is_number(low) and is_number(high) else 1.0


def float32(value: float) -> float:
    """Return the nearest float32, which may be an infinity.

    >>> float32(0.1)
    0.10000000149011612
    """
    with np.errstate(over="ignore"):
        return float(np.float32(value))
