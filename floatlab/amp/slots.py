"""What does an fp8 recipe remember, and of which layer? A slot for each tensor of each layer.

A layer is told by its weight and by where in the model it stands: two layers that share a weight see different inputs
and gradients. A weight that is computed anew each time (normalised, or cast) is told by its place and shape alone.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from floatlab.autograd import Tensor
from floatlab.errors import StateError
from floatlab.nn import Parameter

__all__ = ["Slot", "Slots"]

_NAMES = ("input", "weight", "gradient")
_ANY = None  # the place of a layer whose state was loaded, until it is used


@dataclass
class Slot:
    """What is remembered about one tensor of one layer: its input, its weight, or its output's gradient."""

    scale: float = 1.0
    history: list[float] = field(
        default_factory=list
    )  # the largest magnitude of each past step, the last one first
    pending: float | None = None  # the largest magnitude of this step so far


@dataclass
class _Entry:
    weight: weakref.ref[Tensor] | None  # None: computed anew each time
    slots: dict[str, Slot]


class Slots:
    """The slots of all layers that a block has computed."""

    def __init__(self) -> None:
        self._entries: dict[tuple[Any, str | None], _Entry] = {}

    def of(self, weight: Tensor, layer: str, remembers: bool = True) -> dict[str, Slot]:
        """Return the slots of the layer that stands at `layer` in the model and has this weight; new ones if need be.

        Raises
        ------
        StateError
            If nothing tells the layer, and the recipe `remembers`.
        """
        kept = isinstance(weight, Parameter) or (weight.is_leaf and weight.requires_grad)
        if not kept and not layer and remembers:
            raise StateError(
                "What is remembered of a layer is told by its weight, or by its place in the model. Got a weight of "
                f"shape {weight.shape} that was computed anew, outside of any module. Compute it in a module's "
                "forward, or use CurrentScaling, which remembers nothing."
            )
        key: tuple[Any, str | None] = (id(weight) if kept else weight.shape, layer)
        entry = self._found(key, weight if kept else None)
        if entry is None:
            loaded = self._found((key[0], _ANY), weight if kept else None)
            if loaded is not None:
                entry = self._entries[key] = self._entries.pop((key[0], _ANY))
            else:
                entry = self._entries[key] = _Entry(weakref.ref(weight) if kept else None, _new())
        return entry.slots

    def _found(self, key: tuple[Any, str | None], weight: Tensor | None) -> _Entry | None:
        entry = self._entries.get(key)
        if entry is None or weight is None or (entry.weight is not None and entry.weight() is weight):
            return entry
        return None  # an id can be that of a weight which is gone

    def of_weight(self, weight: Tensor, layer: str | None) -> dict[str, Slot]:
        """Return the slots of a weight, which may be used in several layers: then `layer` says which.

        Raises
        ------
        StateError
            If it does not say which.
        """
        found = {
            place: entry.slots
            for (_, place), entry in self._entries.items()
            if entry.weight is not None and entry.weight() is weight
        }
        if layer is not None:
            found = {place: slots for place, slots in found.items() if place == layer}
        if len(found) > 1:
            raise StateError(
                f"A weight that several layers share has slots in each. Got {weight.name or 'a weight'!r} in "
                f"{', '.join(map(repr, found))}. Name one, as in slots(weight, layer={next(iter(found))!r})."
            )
        if found:
            return next(iter(found.values()))
        entry = self._entries[id(weight), layer] = _Entry(weakref.ref(weight), _new())
        return entry.slots

    def __iter__(self) -> Iterator[dict[str, Slot]]:
        for key, entry in list(self._entries.items()):
            if entry.weight is not None and entry.weight() is None:
                del self._entries[key]
            else:
                yield entry.slots

    # -- saving and loading

    def state(self) -> dict[str, Any]:
        """Return all slots by the names of the weights, and of the layers where that does not tell them apart."""
        state: dict[str, Any] = {}
        owners: dict[str, Tensor] = {}
        for (shape, layer), entry in self._entries.items():
            weight = None if entry.weight is None else entry.weight()
            if entry.weight is not None and weight is None:
                continue
            if weight is None:
                name = f"@{layer} {'x'.join(map(str, shape))}"
            else:
                if not weight.name or owners.setdefault(weight.name, weight) is not weight:
                    raise StateError(
                        "fp8 scales are saved by the names of the weights, each its own. Got "
                        f"{weight.name or 'no name'!r} for a second weight or without a name. Put the layers into "
                        "one model, and call its named_parameters()."
                    )
                shared = (
                    sum(e.weight is not None and e.weight() is weight for e in self._entries.values()) > 1
                )
                name = f"{weight.name}@{layer}" if shared and layer is not _ANY else weight.name
            state[name] = {
                slot: vars(values) | {"history": list(values.history)} for slot, values in entry.slots.items()
            }
        return state

    def load(self, state: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
        """Load what `state` returned, for weights of these names; all of it is checked first."""
        if not isinstance(state, Mapping):
            raise StateError(
                f"fp8 scales are saved as a dictionary. Got {type(state).__name__}. Load what state_dict() returned."
            )
        names = {name: name.partition("@")[0] for name in state}
        unknown = [name for name, weight in names.items() if weight and weight not in weights]
        if unknown:
            raise StateError(
                f"fp8 scales are loaded for the weights they belong to. Got {', '.join(unknown)}, which "
                "the model has not. "
                "Build the same model."
            )
        loaded: dict[tuple[Any, str | None], _Entry] = {}
        for name, saved in state.items():
            slots = {key: _slot(name, saved, key) for key in _NAMES}
            _, shared, place = name.partition("@")
            if names[name]:
                weight = weights[names[name]]
                loaded[id(weight), place if shared else _ANY] = _Entry(weakref.ref(weight), slots)
            else:
                layer, _, shape = place.rpartition(" ")
                loaded[tuple(int(n) for n in shape.split("x")), layer] = _Entry(None, slots)
        replaced = {key for key, _ in loaded}
        kept = {key: entry for key, entry in self._entries.items() if key[0] not in replaced}
        self._entries = {**kept, **loaded}


def _new() -> dict[str, Slot]:
    return {name: Slot() for name in _NAMES}


def _slot(name: str, saved: Any, key: str) -> Slot:
    """Return one slot of a saved state."""
    try:
        values = saved[key]
        scale, history, pending = values["scale"], values["history"], values["pending"]
        slot = Slot(float(scale), [float(x) for x in history], None if pending is None else float(pending))
    except (KeyError, TypeError, ValueError):
        raise StateError(
            f"fp8 scales are saved as scale, history and pending of {', '.join(_NAMES)}. Got {saved!r:.80} for "
            f"{name!r}. Load what state_dict() returned."
        ) from None
    if not 0.0 < slot.scale < float("inf"):
        raise StateError(
            f"An fp8 scale lies above 0, and is finite. Got {scale!r} for the {key} of {name!r}. Use another file."
        )
    return slot
