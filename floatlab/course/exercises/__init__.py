"""Which exercises are there? Three to each notebook, of rising difficulty.

- `quickstart.py`: 00, the quickstart.
- `floats.py`: 01, what a float is.
- `rounding.py`: 02, rounding.
- `arithmetic.py`: 03, arithmetic.
- `fp8.py`: 04, fp8 and below.
- `derivatives.py`: 05, a derivative from nothing.
- `vanishing.py`: 06, gradients that vanish into zero.
"""

from __future__ import annotations

from floatlab.course.exercise import Exercise
from floatlab.course.exercises import arithmetic, derivatives, floats, fp8, quickstart, rounding, vanishing

__all__ = ["EXERCISES"]

EXERCISES: dict[str, Exercise] = {
    one.name: one
    for room in (quickstart, floats, rounding, arithmetic, fp8, derivatives, vanishing)
    for one in room.EXERCISES
}
