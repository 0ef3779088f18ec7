"""Which exercises are there? Three to each notebook, of rising difficulty.

- `quickstart.py`: 00, the quickstart.
- `floats.py`: 01, what a float is.
- `rounding.py`: 02, rounding.
- `arithmetic.py`: 03, arithmetic.
"""

from __future__ import annotations

from floatlab.course.exercise import Exercise
from floatlab.course.exercises import arithmetic, floats, quickstart, rounding

__all__ = ["EXERCISES"]

EXERCISES: dict[str, Exercise] = {
    one.name: one for room in (quickstart, floats, rounding, arithmetic) for one in room.EXERCISES
}
