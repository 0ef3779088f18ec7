"""Which unit does a name stand for? "h100", "h100:mma.sync", "v100:fp16:promote=128" ...

A suffix names the instruction where a chip has several: ``fp16`` those whose accumulator and result are fp16,
``mma.sync`` fp8 operands on a Hopper and a Blackwell by the older instruction. ``promote=128`` and ``bias_first`` are
fields of `MatrixUnit`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

from floatlab.errors import OptionError, nearest_name
from floatlab.matrix_units.catalogue import CHIPS, Chip, proofs
from floatlab.matrix_units.unit import MatrixUnit
from floatlab.sums.names import know

__all__ = ["get_unit", "units"]


def units() -> tuple[str, ...]:
    """Return the names of all matrix units, which `get_unit` and every ``unit=`` and ``accumulator=`` know.

    Examples
    --------
    >>> units()[:3]
    ('v100', 't4', 'a100')
    """
    return tuple(CHIPS)


def get_unit(unit: str | MatrixUnit) -> MatrixUnit:
    """Return the matrix unit that a name stands for.

    Parameters
    ----------
    unit : str or MatrixUnit
        The name of a chip, as `units` lists them; after a colon each, where there is one: the instruction, as
        ``h100:mma.sync`` or ``v100:fp16``, ``promote=128``, and ``bias_first``.

    Raises
    ------
    OptionError
        If there is no such unit, or instruction of it; the message suggests the nearest.

    Examples
    --------
    >>> get_unit("h100").instructions[0].fraction_bits
    25
    >>> str(get_unit("h100:promote=128"))
    'h100:promote=128'
    """
    if isinstance(unit, MatrixUnit):
        return unit
    if not isinstance(unit, str):
        raise OptionError(f'A unit is a name or a MatrixUnit. Got {unit!r}. Use "h100".')
    found = _by_name(unit)
    if found is None:
        guess = nearest_name(unit.partition(":")[0], CHIPS)
        raise OptionError(
            f"A matrix unit is one of: {', '.join(CHIPS)}. Got {unit!r}. "
            + (f'Did you mean "{guess}"?' if guess else 'Use "h100".')
        )
    return found


@lru_cache(maxsize=32)
def _chip(name: str) -> Chip:
    return CHIPS[name]()


@lru_cache(maxsize=128)
def _by_name(text: str) -> MatrixUnit | None:
    """Return the unit of a text, or None if it names no chip."""
    name, *suffixes = text.strip().lower().split(":")
    if name not in CHIPS:
        return None
    chip = _chip(name)
    fields: dict[str, Any] = {}
    chosen = []
    for suffix in suffixes:
        key, equals, value = suffix.partition("=")
        if key in fields:
            raise OptionError(f"A unit has one {key}. Got {text!r}. Leave one of them out.")
        if key == "promote" and equals:
            fields["promote"] = int(value) if value.isdecimal() else value
        elif suffix == "bias_first":
            fields["bias_first"] = True
        else:
            chosen.append(suffix)
    instructions = chip.instructions
    if chosen:
        instructions = _variant(name, chip, ":".join(chosen))
        name = ":".join([name, *chosen])
    made = MatrixUnit(
        name,
        instructions,
        about=chip.about,
        sources=chip.sources,
        proven=proofs(text.strip().lower().partition(":")[0]),
    )
    return replace(made, **fields) if fields else made


def _variant(name: str, chip: Chip, suffix: str) -> Any:
    if suffix not in chip.variants:
        known = [f"{name}:{variant}" for variant in chip.variants]
        guess = nearest_name(f"{name}:{suffix}", known)
        raise OptionError(
            f"{name} has the instructions {', '.join([name, *known])}. Got {name + ':' + suffix!r}. "
            f'Use "{guess or name}".'
        )
    return chip.variants[suffix]


know(_by_name, units)
