"""Does a rule hold beside the settings that it was made on? Neighbours of an experiment's runs, drawn at random.

An experiment says in `Experiment.vary` which numbers may change, and how far:

    "learning_rate": 3.0     a factor: from a third of the listed value to three times it, evenly on a log scale
    "format": 1              steps: up to one exponent bit and one mantissa bit more or less, the special values kept

A whole number stays one, a loss scale stays a power of two; what is 1 as "no scale", or fp32, stays as it is. What is
drawn depends on the seed alone, and on nothing that a run gives.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from floatlab.errors import FormatError, OptionError
from floatlab.experiments.harness.common import Experiment
from floatlab.formats import FloatFormat, get_format

__all__ = ["changes", "neighbourhood", "neighbours"]

_DRAWN = "near"  # the name of all formats that are drawn; their fields say what they are


def neighbours(
    runs: Sequence[Any], vary: Mapping[str, float | int], count: int, seed: int = 0
) -> tuple[Any, ...]:
    """Return neighbours of some runs: the configuration of one of them, with every number that may vary drawn anew.

    Parameters
    ----------
    runs : sequence of configurations
        The listed ones. Runs that are their own fp32 run are left out: they are what the others are judged by.
    vary : mapping of a field's name to a factor or to steps
        What may change; a field that a configuration does not have, or that says nothing there, is left alone.
    count, seed : int
        How many to draw, and the seed of the draw.

    Raises
    ------
    OptionError
        If `count` is below 1, or there is nothing to vary.

    Examples
    --------
    >>> from floatlab.experiments.cnn import EXPERIMENT
    >>> [one.run for one in neighbours(EXPERIMENT.runs, EXPERIMENT.vary, 2, seed=7)]  # doctest: +SKIP
    ['E5M2, neighbour 1', 'fp16, neighbour 2']
    """
    narrow = [run for run in runs if replace(run.reference(), run=run.run) != run]
    if count < 1 or not vary or not narrow:
        raise OptionError(
            "Neighbours are at least 1, of an experiment whose settings may vary. "
            f"Got {count!r} of {len(narrow)} runs with {list(vary)!r}. Use 4."
        )
    rng = np.random.default_rng(seed)
    return tuple(_neighbour(narrow[int(rng.integers(len(narrow)))], vary, k + 1, rng) for k in range(count))


def neighbourhood(experiment: Experiment, count: int, seed: int = 0) -> Experiment:
    """Return an experiment whose runs are `neighbours` of those of another one; it claims nothing beside them."""
    drawn = neighbours(experiment.runs, experiment.vary, count, seed)
    return replace(
        experiment, title=f"{experiment.title}: {count} neighbours", runs=drawn, claims=lambda records: []
    )


def changes(run: Any, runs: Sequence[Any]) -> str:
    """Return in words how a neighbour differs from the run that it was drawn from."""
    origin = next((one for one in runs if run.run.startswith(f"{one.run}, neighbour")), run)
    pairs = ((f.name, getattr(origin, f.name), getattr(run, f.name)) for f in fields(run))
    return ", ".join(
        f"{name} {_word(new)}" for name, old, new in pairs if old != new and name not in ("run", "seed")
    )


def _word(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value).replace(f"{_DRAWN}=", "")


def _neighbour(run: Any, vary: Mapping[str, float | int], number: int, rng: np.random.Generator) -> Any:
    drawn: dict[str, Any] = {"run": f"{run.run}, neighbour {number}"}
    formats: dict[str, str] = {}  # one that stands in two fields changes in both alike
    for name, reach in vary.items():
        value = getattr(run, name, None)
        if isinstance(value, str):
            if value not in formats:
                formats[value] = _other_format(value, int(reach), rng)
            drawn[name] = formats[value]
        elif value is not None and not (name == "initial_scale" and value == 1.0):
            drawn[name] = _number(name, value, float(reach), rng)
    return replace(run, **drawn)


def _number(name: str, value: float | int, factor: float, rng: np.random.Generator) -> float | int:
    other = value * factor ** float(rng.uniform(-1.0, 1.0))
    if isinstance(value, int):
        return max(1, round(other))
    if name == "initial_scale":
        return 2.0 ** round(math.log2(other))
    return float(f"{other:.3g}")


def _other_format(text: str, steps: int, rng: np.random.Generator) -> str:
    """Return a format's name, or an accumulator's with a format in it, with the first narrow format changed."""
    parts = text.split(":")
    for place, part in enumerate(parts):
        try:
            fmt = get_format(part)
        except FormatError:
            continue
        if not fmt.same_as(get_format("float32")):
            parts[place] = _format(fmt, steps, rng)
            break
    return ":".join(parts)


def _format(fmt: FloatFormat, steps: int, rng: np.random.Generator) -> str:
    """Return a format with up to so many bits more or less in both fields, and the same kind of special values."""
    exponent, mantissa = (
        max(least, bits + int(rng.integers(-steps, steps + 1)))
        for bits, least in ((fmt.exponent_bits, 2), (fmt.mantissa_bits, 1))
    )
    exponent = min(exponent, 8)  # fp32's own
    return FloatFormat(_DRAWN, exponent, mantissa, specials=fmt.specials).spec
