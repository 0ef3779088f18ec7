"""How is a whole training state kept in one file? Arrays as arrays, everything else as JSON beside them.

Anything with `state_dict` and `load_state_dict` can be a part: a model, an optimizer, a schedule, a
gradient scaler; so can a `numpy.random.Generator`, and plain numbers, strings, lists, tuples and dictionaries.
The file is there whole, or the old one is. A file that was damaged on the way is refused: it holds a checksum. And
loading is all or nothing: every part is checked before the first one changes, and if one fails nevertheless, those
before it get back what they had.

The kind of file follows from its name: ``.safetensors`` (safetensors, with the JSON in its metadata) or
``.npz`` (NumPy). Nothing is pickled or unpickled.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floatlab.errors import DataError, FloatlabError, StateError
from floatlab.optim.packing import pack
from floatlab.optim.statefile import read_state, state_path, write_state

__all__ = ["load_state", "save_state"]

Array = NDArray[Any]


def save_state(path: str | os.PathLike[str], **parts: Any) -> Path:
    """Save the named parts of a training state to one ``.safetensors`` or ``.npz`` file.

    Every nesting of lists, tuples and dictionaries comes back as it was, and every array with its type, its shape and
    its bits; ml_dtypes' types and tensors of a format of one's own too.

    Raises
    ------
    DataError
        If the name ends otherwise, a part holds something that cannot be saved, or the file cannot be written: the
        folder is missing, the disk is full, writing is not allowed. What was there before is untouched then.

    Examples
    --------
    >>> import tempfile, pathlib, floatlab as fl
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "run.safetensors"
    >>> model = fl.nn.Linear(2, 2, rng=0)
    >>> sgd = fl.optim.SGD(model.parameters(), lr=0.1)
    >>> _ = fl.optim.save_state(path, model=model, optimizer=sgd, epoch=7)
    >>> fl.optim.load_state(path, model=model, optimizer=sgd)
    {'epoch': 7}
    """
    place = state_path(path)
    arrays: dict[str, Array] = {}
    try:
        tree = {name: pack(_state_of(part), name, arrays) for name, part in parts.items()}
    except RecursionError:
        raise DataError(
            "A part of a training state ends somewhere. Got one that holds itself, or is nested too deeply. "
            "Save what is in it."
        ) from None
    write_state(place, tree, arrays)
    return place


def load_state(path: str | os.PathLike[str], **parts: Any) -> dict[str, Any]:
    """Load a file of `save_state` into the parts of the same names; return the parts that were not given.

    Every part is checked before the first one changes; if one fails nevertheless, all have what they had before.

    Raises
    ------
    StateError
        If a part is not in the file or does not fit; the message names the parameter and both shapes or
        formats.
    DataError
        If the file cannot be read, is not one of `save_state`, or is damaged.
    """
    place = state_path(path)
    saved = read_state(place)
    for name, part in parts.items():
        if name not in saved:
            raise StateError(
                f"A part is loaded from the name it was saved under. Got {name!r}, but {place.name} has: "
                f"{', '.join(saved)}. Use one of these."
            )
        with _what_does_not_fit(name):
            _check(part, saved[name], name)
    with _all_or_nothing(parts):
        for name, part in parts.items():
            with _what_does_not_fit(name):
                _load(part, saved[name])
    return {name: value for name, value in saved.items() if name not in parts}


def _state_of(part: Any) -> Any:
    if isinstance(part, np.random.Generator):
        return part.bit_generator.state
    return part.state_dict() if hasattr(part, "state_dict") else part


def _check(part: Any, state: Any, name: str) -> None:
    if isinstance(part, np.random.Generator):
        _check_generator(part, state, name)
    elif not hasattr(part, "load_state_dict"):
        raise StateError(
            f"A part to load into has load_state_dict. Got {type(part).__name__} for {name!r}. Leave it "
            "out: load_state returns the other parts."
        )
    elif not isinstance(state, Mapping):
        raise StateError(
            f"A part is loaded from what its state_dict() returned. Got {type(state).__name__} for {name!r}. "
            "Leave it out: load_state returns the other parts."
        )
    elif hasattr(part, "check_state_dict"):
        part.check_state_dict(state)


def _check_generator(part: np.random.Generator, state: Any, name: str) -> None:
    mine = type(part.bit_generator).__name__
    kind = state.get("bit_generator") if isinstance(state, dict) else None
    if kind != mine:
        raise StateError(
            f"A generator's state is loaded into a generator of its kind. Got {kind!r} for {name!r}, which "
            f"is {mine}. "
            "Create the generator that was saved."
        )
    copy.deepcopy(part.bit_generator).state = state  # raises an error where it is not a whole one


def _load(part: Any, state: Any) -> None:
    if isinstance(part, np.random.Generator):
        part.bit_generator.state = state
    else:
        part.load_state_dict(state)


@contextmanager
def _what_does_not_fit(name: str) -> Iterator[None]:
    """Turn what a part raises for a state that is not one of its own into a StateError."""
    try:
        yield
    except FloatlabError:
        raise
    except Exception as problem:
        raise StateError(
            f"A part is loaded from what its own state_dict() returned. Got {type(problem).__name__}: "
            f"{problem} for {name!r}. Load a file that this part was saved to."
        ) from problem


@contextmanager
def _all_or_nothing(parts: Mapping[str, Any]) -> Iterator[None]:
    """Give every part back what it had, if anything goes wrong meanwhile."""
    before = [
        (part, copy.deepcopy(_state_of(part)))
        for part in parts.values()
        if isinstance(part, np.random.Generator) or hasattr(part, "state_dict")
    ]
    try:
        yield
    except BaseException:  # Ctrl-C too
        for part, state in before:
            _load(part, state)
        raise
