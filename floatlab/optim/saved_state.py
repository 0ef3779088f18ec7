"""Does a saved state fit an optimizer? The same kind, groups, shapes and formats, whatever these are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from floatlab.autograd import Tensor
from floatlab.errors import FormatError, StateError
from floatlab.formats import FloatFormat, get_format

__all__ = ["check_saved", "label_of"]


def check_saved(
    state_dict: Mapping[str, Any],
    settings: Mapping[str, Any],
    groups: Sequence[Mapping[str, Any]],
    state_format: FloatFormat | None,
) -> None:
    """Raise StateError if `state_dict` does not fit an optimizer of these settings, groups and format of the state."""
    if not isinstance(state_dict, Mapping):
        raise StateError(
            f"An optimizer's state is a dictionary. Got {type(state_dict).__name__}. Load what state_dict() returned."
        )
    missing = {"settings", "param_groups", "state"} - set(state_dict)
    if missing:
        raise StateError(
            f"An optimizer's state has the keys settings, param_groups and state. Got none for {sorted(missing)}. "
            "Load what state_dict() returned."
        )
    _check_kinds(state_dict)
    found = dict(state_dict["settings"])
    found["state_format"] = _saved_format(found, "state_format", "state_layout", state_format)
    for key, mine in settings.items():
        saved = found.get(key)
        if saved != mine:
            raise StateError(
                f"A state is loaded into an optimizer of the same kind. Got {key}={saved!r} for {key}={mine!r}. "
                "Create the optimizer with the settings that it was saved with."
            )
    saved_groups = state_dict["param_groups"]
    sizes = [len(group["params"]) for group in groups]
    saved_sizes = [len(group["params"]) for group in saved_groups]
    if sizes != saved_sizes or len(state_dict["state"]) != sum(sizes):
        raise StateError(
            f"The groups must hold as many parameters as when they were saved. Got {saved_sizes} for {sizes}. "
            "Build the optimizer from the same model."
        )
    tensors = [p for group in groups for p in group["params"]]
    saved_params = [p for group in saved_groups for p in group["params"]]
    for position, (p, saved, state) in enumerate(
        zip(tensors, saved_params, state_dict["state"], strict=True)
    ):
        label = label_of(p, position)
        if tuple(saved["shape"]) != p.shape:
            raise StateError(
                f"The state of {label} must have its shape. Got {tuple(saved['shape'])} for {p.shape}. "
                "Build the same model."
            )
        fmt = _saved_format(saved, "format", "layout", p.format)
        if fmt != p.format.spec:
            raise StateError(
                f"The state of {label} must have its format. Got {fmt} for {p.format.spec}. "
                "Convert the model with .to() first."
            )
        for key, value in state.items():
            if isinstance(value, np.ndarray) and value.shape != p.shape:
                raise StateError(
                    f"The state of {label} must have its shape. Got {key} of shape {value.shape} for {p.shape}. "
                    "The file is damaged; use another."
                )


def _check_kinds(state_dict: Mapping[str, Any]) -> None:
    """Raise StateError if the parts of a saved state are not of the kinds that state_dict() makes."""
    groups, states = state_dict["param_groups"], state_dict["state"]
    holds = {
        "settings": isinstance(state_dict["settings"], Mapping),
        "param_groups": _are_mappings(groups)
        and all(_are_mappings(group.get("params")) for group in groups)
        and all({"shape", "format"} <= set(p) for group in groups for p in group["params"]),
        "state": _are_mappings(states),
    }
    for key, fits in holds.items():
        if not fits:
            raise StateError(
                "An optimizer's state holds settings, groups of parameters with shapes and formats, and one "
                f"dictionary a parameter. Got {state_dict[key]!r:.80} for {key}. Load what state_dict() returned."
            )


def _are_mappings(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, Mapping) for item in value)


def label_of(tensor: Tensor, position: int) -> str:
    """Return the name of a parameter, or which one it is."""
    return repr(tensor.name) if tensor.name else f"parameter {position}"


def _saved_format(saved: Mapping[str, Any], key: str, layout: str, mine: FloatFormat | None) -> str | None:
    """Return the spec of a format in a saved state: that of `mine`, if both are the same by another name.

    Older files hold the name alone, or the name and under `layout` the fields of the format.
    """
    text: str | None = saved.get(key)
    if text is None or mine is None:
        return text
    try:
        found = FloatFormat(text, *saved[layout]) if saved.get(layout) else get_format(text)
    except FormatError:  # the name of somebody's own format, and nothing else is known of it
        return mine.spec if text == mine.name else text
    return mine.spec if found.same_as(mine) else found.spec
