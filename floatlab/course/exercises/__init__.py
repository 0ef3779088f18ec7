"""Which exercises are there? Three to each lecture, of rising difficulty, and those of the wrong code.

- `quickstart.py`: 00, the quickstart.
- `floats.py`: 01, what a float is.
- `rounding.py`: 02, rounding.
- `arithmetic.py`: 03, arithmetic.
- `fp8.py`: 04, fp8 and below.
- `derivatives.py`: 05, a derivative from nothing.
- `vanishing.py`: 06, gradients that vanish into zero.
- `formulas.py`, `loops.py`: F, "find the mistake", a notebook of exercises alone.
"""

from __future__ import annotations

from floatlab.course.exercise import Exercise
from floatlab.course.exercises import (
    arithmetic,
    derivatives,
    floats,
    formulas,
    fp8,
    loops,
    quickstart,
    rounding,
    vanishing,
)

__all__ = ["EXERCISES"]

EXERCISES: dict[str, Exercise] = {
    one.name: one
    for room in (quickstart, floats, rounding, arithmetic, fp8, derivatives, vanishing, formulas, loops)
    for one in room.EXERCISES
}
