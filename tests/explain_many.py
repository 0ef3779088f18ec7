"""Does `explain` ever contradict `quantize` or the arithmetic? As many random calls as one has patience for.

    PYTHONPATH=. python tests/explain_many.py --calls 1000000        three quarters of an hour of one quiet core

Formats of the catalogue, of P3109 and made-up ones; every rounding mode and policy; floats, quotients and decimals of
60 digits, many of them at ties and at the ends of a format; + - * /, square roots and fused multiply-adds. Value, code
and flags have to be those of `quantize` or of the operation, and what one of them refuses the other refuses, too. Of
every hundredth call the printed form is read back. `tests/explain/test_explain_many.py` does a few thousand calls.
"""

from __future__ import annotations

import argparse
import math
import random
import re
import time
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

import floatlab as fl
from floatlab.errors import FloatlabError
from floatlab.formats import FloatFormat
from floatlab.rounding.modes import MODES

GROUP = 40  # calls that share a format and options: `quantize` takes them as one array
STOCHASTIC = ("stochastic", "stochastic_b", "stochastic_c")
OPERATIONS = {"+": fl.add, "-": fl.subtract, "*": fl.multiply, "/": fl.divide, "sqrt": fl.sqrt, "fma": fl.fma}


def any_format(rnd: random.Random) -> FloatFormat:
    """Return a format of the catalogue, one of P3109, or one that is made up."""
    match rnd.randrange(4):
        case 0 | 1:
            return rnd.choice(fl.formats())
        case 2:
            k = rnd.randint(4, 15)
            return fl.get_format(
                f"binary{k}p{rnd.randint(max(1, k - 10), k - 2)}{rnd.choice('su')}{rnd.choice('ef')}"
            )
    return fl.get_format(f"e{rnd.randint(2, 10)}m{rnd.randint(1, 40)}")


def any_number(fmt: FloatFormat, rnd: random.Random) -> Fraction:
    """Return a number near one that decides: a value, a tie, an end of the format; or one from anywhere."""
    sign = rnd.choice([1, -1])
    edge = Fraction(rnd.choice([fmt.max, fmt.smallest_subnormal, fmt.smallest_normal]))
    bits = fmt.precision + rnd.choice([0, 1, 2, 40])
    exponent = rnd.randint(fmt.emin - fmt.mantissa_bits - 3, fmt.emax + 2)
    inside = Fraction(rnd.getrandbits(bits) | 1 << (bits - 1)) * Fraction(2) ** (exponent - bits + 1)
    near = rnd.choice([0, 0, Fraction(1, 10**60), -Fraction(1, 10**60)])
    return sign * rnd.choice([edge, edge / 2, edge * Fraction(3, 2), inside, inside, inside]) * (1 + near)


def written(x: Fraction, rnd: random.Random) -> str:
    """Return a number as text: a quotient, or 60 digits of a decimal, which is another number then."""
    if rnd.random() < 0.3:
        return str(x)
    if x == 0:
        return "0"
    shift = 59 - math.floor(math.log10(abs(x.numerator)) - math.log10(x.denominator))
    digits = x * Fraction(10) ** shift
    return f"{round(digits)}e{-shift}"


def options_of(rnd: random.Random) -> dict[str, Any]:
    """Return a mode and policies."""
    mode = rnd.choice([*MODES])
    options: dict[str, Any] = {
        "rounding": mode,
        "overflow": rnd.choice([None, None, "saturate", "nan", "infinity"]),
        "subnormals": rnd.choice(["gradual", "gradual", "flush"]),
        "flush_inputs": rnd.random() < 0.15,
    }
    if mode in STOCHASTIC:
        bits = rnd.choice([1, 4, 16, 48])
        options |= {
            "random_bits": bits,
            "random_integers": rnd.choice([0, (1 << bits) - 1, rnd.getrandbits(bits)]),
        }
    return options


def same(a: float, b: float) -> bool:
    """Return whether two results are the same number, with the same sign where that is zero."""
    return (a == b and math.copysign(1, a) == math.copysign(1, b)) or (a != a and b != b)


def differences(seed: int, number: int) -> Iterator[str]:
    """Yield, of one group of calls, those in which `explain` says something else."""
    rnd = random.Random(f"{seed}/{number}")
    fmt, options = any_format(rnd), options_of(rnd)
    if rnd.random() < 0.5:
        sources: list[Any] = [written(any_number(fmt, rnd), rnd) for _ in range(GROUP)]
        asked = [(x, lambda x=x: fl.quantize([x], fmt, return_flags=True, **options)) for x in sources]
    else:
        asked = []
        for _ in range(GROUP):
            name = rnd.choice(list(OPERATIONS))
            count = {"sqrt": 1, "fma": 3}.get(name, 2)
            values = [float(fl.quantize([str(any_number(fmt, rnd))], fmt)[0]) for _ in range(count)]
            call = (values[0], name, values[1]) if count == 2 else (name, *values)
            asked.append(
                (call, lambda n=name, v=values: OPERATIONS[n](*v, fmt, return_flags=True, **options))
            )
    for place, (call, compute) in enumerate(asked):
        text = f"explain({call!r}, {fmt.spec!r}, {options})"
        try:
            result, flags = compute()
        except FloatlabError as error:
            try:
                fl.explain(call, fmt, **options)
            except FloatlabError as other:
                if type(other) is not type(error):
                    yield f"{text}: {type(other).__name__} for {type(error).__name__}"
                continue
            yield f"{text}: no {type(error).__name__}"
            continue
        told = fl.explain(call, fmt, **options)
        value = float(np.asarray(result).ravel()[0])
        if not same(told.value, value):
            yield f"{text}: {told.value!r} for {value!r}"
        if told.code != int(np.asarray(fl.encode(value, fmt)).ravel()[0]):
            yield f"{text}: code {told.code:#x}"
        raised = {name for name in flags.__dataclass_fields__ if np.asarray(getattr(flags, name)).any()}
        if raised != set(told.flags):
            yield f"{text}: flags {told.flags} for {sorted(raised)}"
        if (number * GROUP + place) % 100 == 0 and not reads_back(str(told), value, told.code):
            yield f"{text}: the printed form says something else"


def reads_back(text: str, value: float, code: int) -> bool:
    """Return whether the row of the result holds this value, to as many digits as stand there, and this code."""
    found = re.search(r"^  result +(\S+)(.*(?:\n    .*)*)", text, re.MULTILINE)
    if found is None:
        return False
    last = re.search(r"0x([0-9A-F]+)$", found[2])
    if last is None or int(last[1], 16) != code:
        return False
    word = found[1].replace("−", "-").replace("∞", "inf")
    if not math.isfinite(value):
        return same(float(word), value)
    if "..." not in word:
        return Fraction(word) == Fraction(value)
    digits, power = [*word.split("..."), ""][
        :2
    ]  # cut off, not rounded: the value is at most a unit further out
    low = abs(Fraction(digits + (power or "")))
    unit = Fraction(10) ** (int(power[1:] or 0) - len(digits.partition(".")[2]))
    return low <= abs(Fraction(value)) < low + unit and (value < 0) == digits.startswith("-")


def main() -> None:
    """Run as many calls as the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--first", type=int, default=0, help="the first group: where an earlier run has stopped"
    )
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after so many")
    asked = parser.parse_args()
    found, start, kinds = 0, time.monotonic(), Counter[str]()
    for number in range(asked.first, asked.first + -(-asked.calls // GROUP)):
        for line in differences(asked.seed, number):
            found += 1
            kinds[line.split(": ")[-1][:12]] += 1
            print(line, flush=True)
        if number % 250 == 249 or time.monotonic() - start > 60 * asked.minutes:
            print(
                f"groups to {number}: {(number + 1 - asked.first) * GROUP} calls, {found} differences",
                flush=True,
            )
        if time.monotonic() - start > 60 * asked.minutes:
            break
    raise SystemExit(found > 0)


if __name__ == "__main__":
    main()
