"""What is tried, and what should come out? One entry for each kind of call, judged by `floatlab.reference`.

Every oracle in the files that are listed here goes by the definition, one number at a time: a sequential sum is a loop
of the reference's additions, a neighbour is the next code. None calls what it judges.
"""

from __future__ import annotations

from random import Random

from floatlab.rounding.options import RoundingOptions
from floatlab.verify.fuzz.arithmetic import ARITHMETIC, FUNCTION
from floatlab.verify.fuzz.arrays import ARRAY, COMPARISON
from floatlab.verify.fuzz.case import REFUSED, Case, Check, format_text
from floatlab.verify.fuzz.common import SIZES, shape_of
from floatlab.verify.fuzz.conversions import DECODE, ENCODE, NEIGHBOUR, QUANTIZE, SOURCE
from floatlab.verify.fuzz.draw import any_format
from floatlab.verify.fuzz.sums import SUM
from floatlab.verify.fuzz.units import UNIT

__all__ = ["CHECKS"]

_WITH_OPTIONS = (
    *("array", "cumsum", "encode", "exp", "mean", "median"),
    *("norm", "prod", "quantize", "sqrt", "sum", "var"),
)


def _draw_misspelt(draw: Random) -> Case:
    fmt, size, name = any_format(draw), draw.choice(SIZES), draw.choice(list(RoundingOptions.__annotations__))
    gone = draw.randrange(len(name))
    length = draw.choice([8191, 8192, 66_003]) if draw.random() < 0.1 else 0
    what = f"{draw.choice(_WITH_OPTIONS)} {name[:gone]}{name[gone + 1 :]}"
    return Case("misspelt", fmt, ((1.0,) * size,), shape_of(draw, size), "f4", what=what, length=length)


def _misspelt_text(case: Case) -> str:
    function, option = case.what.split()
    return f"fl.{function}({case.operand()}, {format_text(case.fmt)}, {option}=None)"


CHECKS: dict[str, Check] = {  # a seed stands for the same tries as long as their order stays
    "source": SOURCE,
    "array": ARRAY,
    "comparison": COMPARISON,
    "quantize": QUANTIZE,
    "encode": ENCODE,
    "decode": DECODE,
    "neighbour": NEIGHBOUR,
    "arithmetic": ARITHMETIC,
    "sum": SUM,
    "misspelt": Check(_draw_misspelt, _misspelt_text, lambda case: REFUSED, 1),
    "function": FUNCTION,
    "unit": UNIT,
}
