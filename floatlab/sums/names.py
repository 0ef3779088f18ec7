"""Which accumulator does a name stand for? "wide", "exact", a format, "pairwise:fp16", "chunked:fp16:fp32:64" ...

See Also
--------
floatlab.sums.accumulators : what each of them does
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import MISSING, fields
from functools import lru_cache
from typing import Any

from floatlab.errors import FormatError, OptionError, nearest_name
from floatlab.formats import FloatFormat, aliases, formats, get_format
from floatlab.sums.accumulators import Accumulator, Chunked, Exact, Kahan, Pairwise, Sequential, Wide

__all__ = ["get_accumulator", "has_flags", "know"]

_KINDS: dict[str, type[Accumulator]] = {
    kind.__name__.lower(): kind for kind in (Wide, Exact, Sequential, Pairwise, Chunked, Kahan)
}
#: What finds the accumulators of other rooms by their names, and lists those: see `know`.
_OTHERS: list[tuple[Callable[[str], Accumulator | None], Callable[[], Iterable[str]]]] = []


def know(find: Callable[[str], Accumulator | None], names: Callable[[], Iterable[str]]) -> None:
    """Let `get_accumulator` know the accumulators of a room below this one, as those of `floatlab.matrix_units`.

    `find` returns the accumulator of a text, or None if it is not one of its own; `names` lists them for suggestions.
    """
    _OTHERS.append((find, names))


def get_accumulator(accumulator: str | FloatFormat | Accumulator) -> Accumulator:
    """Return the accumulator that a name, a format (sequential), or an accumulator stands for.

    Raises
    ------
    OptionError
        If the name is unknown; the message suggests the nearest one.

    Examples
    --------
    >>> get_accumulator("chunked:fp16:fp32:64") == Chunked("fp16", "fp32", 64)
    True
    >>> str(get_accumulator("bf16"))
    'sequential:bfloat16'
    >>> get_accumulator("pairwse:fp16")
    Traceback (most recent call last):
    ...
    floatlab.errors.OptionError: An accumulator is wide, exact, a format, or one of pairwise:FORMAT, \
kahan:FORMAT, chunked:INNER:OUTER:SIZE. Got 'pairwse:fp16'. Did you mean "pairwise"?
    """
    if isinstance(accumulator, Accumulator):
        return accumulator
    if isinstance(accumulator, FloatFormat):
        return Sequential(accumulator)
    if isinstance(accumulator, str):
        return _by_name(accumulator)
    raise OptionError(
        f'An accumulator is a name, a format, or an Accumulator. Got {accumulator!r}. Use "wide" or "exact".'
    )


def has_flags(accumulator: str | FloatFormat | Accumulator) -> bool:
    """Return whether sums with this accumulator have flags: those that are rounded once.

    >>> has_flags("wide"), has_flags("pairwise:fp16")
    (True, False)
    """
    return isinstance(get_accumulator(accumulator), Wide | Exact)


@lru_cache(maxsize=256)
def _by_name(text: str) -> Accumulator:
    kind, *parts = text.strip().split(":")
    kind = kind.lower()  # and no more: a format's own name may have capitals
    if kind in _KINDS:
        return _from_parts(text, _KINDS[kind], parts)
    for find, _ in _OTHERS:
        found = find(text)
        if found is not None:
            return found
    try:
        return Sequential(get_format(text))
    except FormatError:
        names = [*_KINDS, *(name for fmt in formats() for name in (fmt.name, *aliases(fmt)))]
        names += [name for _, listed in _OTHERS for name in listed()]
        guess = nearest_name(kind, names)
        way_out = f'Did you mean "{guess}"?' if guess else 'Use "wide" or "exact".'
        raise OptionError(
            "An accumulator is wide, exact, a format, or one of pairwise:FORMAT, kahan:FORMAT, "
            f"chunked:INNER:OUTER:SIZE. Got {text!r}. {way_out}"
        ) from None


def _from_parts(text: str, kind: type[Accumulator], parts: list[str]) -> Accumulator:
    names = [field.name for field in fields(kind)]
    least = sum(field.default is MISSING for field in fields(kind))
    if not least <= len(parts) <= len(names):
        example = {Wide: "wide", Exact: "exact", Chunked: "chunked:fp16:fp32:64"}.get(
            kind, f"{kind.__name__.lower()}:fp16"
        )
        raise OptionError(
            f"{kind.__name__.lower()} is followed by: {', '.join(names) or 'nothing'}. "
            f'Got {text!r}. Write it as "{example}".'
        )
    values: dict[str, Any] = dict(zip(names, parts, strict=False))
    if values.get("size", "").isdecimal():
        values["size"] = int(values["size"])
    return kind(**values)
