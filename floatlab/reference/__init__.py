"""What is the exact answer? A slow scalar oracle on integers and fractions.

Everything here is done one number at a time with Python's `int` and `fractions.Fraction`, in which
nothing overflows and nothing is ever inexact. It exists to be believed, so it shares no code with the
fast rooms that are tested against it: it reads a format's description and derives the rest again.

- `numbers.py`: fractions, what no fraction can be, and what a code means.
- `rounding.py`: a number, rounded; the rounding modes, written out once more on purpose.
- `operations.py`: the exact sum, product, quotient or root, rounded once.
- `matrix_units.py`, with `alignment.py`: dot products as tensor cores and other units that align their terms have them.
- `stepwise_units.py`: dot products of the units that round as they go, and of those on integers.

Rules that the standards leave open, as decided here:

- Every NaN is quiet, and a NaN that an invalid operation makes is the positive one. An operand that is NaN
  gives a NaN with the first such operand's sign and raises no flag, in fma too.
- A result that is flushed, or that lands on a subnormal without being exact, raises underflow. Whether a
  result is tiny is asked after rounding (IEEE 754-2019, 7.5).
- An infinity that is not delivered as one, and a zero or a negative number that the format does not have, is an
  invalid operation, as IEEE 754-2019, 5.8, has it for integers; the overflow policy says what is delivered.
- A number below zero in an unsigned P3109 format is rounded first, and what becomes zero is in range (IEEE P3109,
  4.7.5, saturates what has been rounded). The mode has no part in what becomes of an infinity.
- Every number above zero but below the smallest value of a format without zero (e8m0) becomes that value,
  the only neighbour it has.

Sources: IEEE 754-2019, sections 4.3 (rounding), 6 (infinity, NaN, sign of zero), 7 (flags); IEEE P3109
interim report (stochastic rounding A, B, C; unsigned formats; parity at precision 1).
"""

from floatlab.reference.numbers import Number, Special, decode, exact, to_float
from floatlab.reference.operations import add, divide, dot, fma, multiply, sqrt, subtract, sum
from floatlab.reference.rounding import Result, encode, round

__all__ = [
    "Number",
    "Result",
    "Special",
    "add",
    "decode",
    "divide",
    "dot",
    "encode",
    "exact",
    "fma",
    "multiply",
    "round",
    "sqrt",
    "subtract",
    "sum",
    "to_float",
]
