"""Which exercises are there? Three to each notebook, of rising difficulty.

- `floats.py`: 01, what a float is.
- `rounding.py`: 02, rounding.
- `arithmetic.py`: 03, arithmetic.
- `fp8.py`: 04, fp8 and below.
"""

from __future__ import annotations

from floatlab.course.exercise import Exercise
from floatlab.course.exercises import arithmetic, floats, fp8, rounding

__all__ = ["EXERCISES"]

EXERCISES: dict[str, Exercise] = {
    one.name: one for room in (floats, rounding, arithmetic, fp8) for one in room.EXERCISES
}
