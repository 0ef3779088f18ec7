"""Recorded dot products of matrix units, the parameters of every unit, and the oracle that belongs to each.

    python tests/matrix_unit_vectors.py DIR        every row of the files in DIR through the oracle

`configurations(folder)` reads what lies in a folder. Each has the codes of one kind of instruction, and
`oracle(unit, instruction, operands, result)` is that instruction on `floatlab.reference`. So another
implementation is tested by a loop::

    for rows in configurations(DATA):
        d = another(rows.unit, rows.instruction, rows.a, rows.b, rows.c, rows.scales)
        assert not rows.differing(d)

The parameters are typed from the published tables, apart from those of the package.

Files:

- ``tensorcore_*.npz``: results of GPUs (github.com/north-numerical-computing/MATLAB-tensor-core, BSD-2-Clause; with
  arXiv:2512.07004), packed. They are not in the repository: the environment variable FLOATLAB_VECTORS names their
  folder.
- ``model_*.npz``: results of mmasim 2.1.1 (MIT), with NaN, infinities, zeros and subnormals; ``model_edges.npz`` has
  rows that tell one fraction bit, or one exponent of a zero, more or less, and rows of three blocks.
- ``cpu_vdpbf16ps.npz``, ``cpu_vnni.npz``: results of an AMD Zen 5. ``matrix_units_h200.npz``: of an H200, by
  ``benchmarks/matrix_units.py``.

Codes of tf32 have 19 bits here. Files hold them so, or (the models) as float32 codes whose low 13 bits the unit drops.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from floatlab import reference
from floatlab.formats import FloatFormat, get_format
from floatlab.reference import Number, Special, matrix_units, stepwise_units

DATA = Path(__file__).parent / "data"
VARIABLE = "FLOATLAB_VECTORS"

# -- parameters ----------------------------------------------------------------------------------------


class Tensor(NamedTuple):
    """How a tensor core has a block: F, L, the precision kept for fp32, exponents of a zero for fp32 and fp16."""

    fraction_bits: int
    block: int
    kept: str
    zero_exponent: dict[str, int]


BEFORE_TURING, TURING, HOPPER = ({"fp32": -131 - n, "fp16": -19 - n} for n in range(3))
FP8 = "e4m3 e5m2"
FP8_TO_FP4 = f"{FP8} e2m3 e3m2 e2m1"
AMPERE_AND_ADA = "a100 a2 ada l40s"
FROM_HOPPER = "h100 h200 b200 rtx_blackwell"
TENSOR_CORES = {
    (unit, None, operand): Tensor(fraction_bits, block, kept, zeros)
    for units, operands, fraction_bits, block, kept, zeros in (
        ("v100", "fp16", 23, 4, "fp32", BEFORE_TURING),
        ("t4", "fp16", 24, 8, "fp32", TURING),
        (AMPERE_AND_ADA, "fp16 bf16", 24, 8, "fp32", TURING),
        (AMPERE_AND_ADA, "tf32", 24, 4, "fp32", TURING),
        (FROM_HOPPER, "fp16 bf16", 25, 16, "fp32", HOPPER),
        (FROM_HOPPER, "tf32", 25, 8, "fp32", HOPPER),
        ("ada l40s", FP8, 13, 16, "e8m13", TURING),
        ("h100 h200", FP8, 13, 32, "e8m13", HOPPER),
        ("b200 rtx_blackwell", FP8_TO_FP4, 25, 32, "fp32", HOPPER),
    )
    for unit in units.split()
    for operand in operands.split()
}
TENSOR_CORES["t4", "m8n8k4", "fp16"] = TENSOR_CORES["v100", None, "fp16"]
FP8_AS_FP16 = tuple((unit, "mma.sync") for unit in ("h100", "h200", "b200"))
SCALED = {  # instruction: products, numbers to a scale; and whether groups of 16 are summed first
    "mxf8f6f4": (32, 32, False),
    "mxf4": (64, 32, True),
    "mxf4nvf4": (64, 16, True),
}
ACCUMULATOR = get_format("fp32")


class Scales(NamedTuple):
    """The codes of the scales of a and b, their format, and how many numbers share one."""

    a: np.ndarray
    b: np.ndarray
    fmt: str
    block: int


Dot = Callable[..., Number]
"""``dot(a, b, c)``, or ``dot(a, b, c, scales=(of a, of b))``, of numbers; any length."""


def oracle(
    unit: str, instruction: str | None, operands: tuple[str, str], result: str, scale: str | None = None
) -> Dot:
    """Return an instruction on integers and fractions, chained over any number of products."""
    step, block = step_of(unit, instruction, operands, result, scale)
    if scale is None:
        return partial(matrix_units.chain, step, block=block)
    assert instruction is not None
    return partial(matrix_units.chain, step, block=block, scale_block=SCALED[instruction][1])


def step_of(
    unit: str, instruction: str | None, operands: tuple[str, str], result: str, scale: str | None = None
) -> tuple[Callable[..., Number], int]:
    """Return one block of an instruction, and how many products it takes."""
    formats = get_format(operands[0]), get_format(operands[1])
    if unit in OTHERS:
        return OTHERS[unit](instruction, operands[0], formats)
    if instruction in SCALED:
        block, _, grouped = SCALED[instruction]
        if grouped:
            options: dict[str, Any] = {"fraction_bits": 35, "zero_exponent": -139}
            return partial(
                matrix_units.grouped, scale_format=get_format(scale), result=ACCUMULATOR, **options
            ), block
        options = {"operands": formats, "fraction_bits": 25, "zero_exponent": -133}
        return partial(matrix_units.scaled, result=ACCUMULATOR, **options), block
    rounding = "nearest_even" if result == "fp16" else "toward_zero"
    options = {"result": get_format(result), "rounding": rounding}
    if (unit, instruction) in FP8_AS_FP16 and operands[0] in FP8.split():
        core = TENSOR_CORES[unit, None, "fp16"]
        options |= {"fraction_bits": core.fraction_bits, "zero_exponent": core.zero_exponent[result]}
        return partial(matrix_units.fp8_as_fp16, **options), 32
    core = TENSOR_CORES[unit, instruction, operands[0]]
    options |= {"fraction_bits": core.fraction_bits, "zero_exponent": core.zero_exponent[result]}
    kept = get_format(core.kept if result == "fp32" else result)
    return partial(matrix_units.fused, operands=formats, kept=kept, **options), core.block


Formats = tuple[FloatFormat, FloatFormat]


def _mi100(_: str | None, operand: str, formats: Formats) -> tuple[Callable[..., Number], int]:
    return stepwise_units.mi100, 4 if operand == "fp16" else 2


def _mi250(instruction: str | None, operand: str, formats: Formats) -> tuple[Callable[..., Number], int]:
    return partial(stepwise_units.mi250, operands=formats), 2 if instruction == "bf16" else 4


def _mi300(_: str | None, operand: str, formats: Formats) -> tuple[Callable[..., Number], int]:
    fp8 = operand.endswith("fnuz")
    step = partial(matrix_units.mi300, operands=formats, alternating=fp8)
    return step, 16 if fp8 else 4 if operand == "tf32" else 8


OTHERS: dict[str, Callable[..., tuple[Callable[..., Number], int]]] = {
    "mi100": _mi100,
    "mi250": _mi250,
    "mi300": _mi300,
    "avx512_bf16": lambda *_: (stepwise_units.avx512_bf16, 2),
    "amx_bf16": lambda *_: (stepwise_units.amx_bf16, 32),
    "arm_bf16": lambda *_: (stepwise_units.arm_bf16, 2),
    "arm_ebf16": lambda *_: (stepwise_units.arm_ebf16, 2),
}

# -- rows ----------------------------------------------------------------------------------------------


@cache
def _value(code: int, fmt: FloatFormat) -> Number:
    return reference.decode(code, fmt)


def numbers(codes: np.ndarray, name: str) -> list[Number]:
    """Return what the codes of one row mean."""
    fmt = get_format(name)
    decode = _value if fmt.bits < 32 else reference.decode
    return [decode(code, fmt) for code in codes.tolist()]


def same(x: Number, y: Number, *, any_zero: bool = False) -> bool:
    """Say whether two results are one: NaN as NaN; for AMD's units the sign of a zero aside."""
    nans = (Special.NAN, Special.NEGATIVE_NAN)
    if x in nans or y in nans:
        return x in nans and y in nans
    zeros = (0, Special.NEGATIVE_ZERO)
    return x == y or (any_zero and x in zeros and y in zeros)


class Rows(NamedTuple):
    """The recorded rows of one kind of instruction: d = unit(a, b, c)."""

    source: str  # the file's name
    unit: str
    instruction: str | None
    operands: tuple[str, str]
    result: str  # the format of c and d
    a: np.ndarray  # codes, (rows, K)
    b: np.ndarray
    c: np.ndarray  # codes, (rows,)
    d: np.ndarray
    scales: Scales | None = None

    @property
    def name(self) -> str:
        """What to call it in a test."""
        unit = f"{self.unit}:{self.instruction}" if self.instruction else self.unit
        scales = f" by {self.scales.fmt}" if self.scales else ""
        return f"{self.source} {unit} {'*'.join(dict.fromkeys(self.operands))}{scales} {self.result}"

    @property
    def any_zero(self) -> bool:
        """Whether the sign of a zero is no part of the record."""
        return self.unit.startswith("mi")

    def answers(self, dot: Dot | None = None) -> Iterator[tuple[Number, Number]]:
        """Yield what the oracle (or another dot product of numbers) gives for each row, and what was recorded."""
        scale = self.scales.fmt if self.scales else None
        dot = dot or oracle(self.unit, self.instruction, self.operands, self.result, scale)
        recorded = numbers(self.d, self.result)
        starts = numbers(self.c, self.result)
        for i, (c, d) in enumerate(zip(starts, recorded, strict=True)):
            a, b = numbers(self.a[i], self.operands[0]), numbers(self.b[i], self.operands[1])
            if self.scales is None:
                yield dot(a, b, c), d
            else:
                scales = tuple(numbers(codes[i], self.scales.fmt) for codes in self.scales[:2])
                yield dot(a, b, c, scales=scales), d

    def mismatches(self, dot: Dot | None = None) -> list[int]:
        """Return the rows for which the oracle, or another dot product of numbers, gives something else."""
        pairs = enumerate(self.answers(dot))
        return [i for i, (found, wanted) in pairs if not same(found, wanted, any_zero=self.any_zero)]

    def differing(self, values: Sequence[float] | np.ndarray) -> list[int]:
        """Return the rows for which an implementation's results, as float64 values, are something else."""
        wanted = numbers(self.d, self.result)
        pairs = enumerate(zip(np.asarray(values, np.float64).tolist(), wanted, strict=True))
        return [i for i, (x, y) in pairs if not same(reference.exact(x), y, any_zero=self.any_zero)]


def configurations(folder: Path | str = DATA, files: str = "*.npz") -> Iterator[Rows]:
    """Yield what the vector files of a folder hold, file by file."""
    for path in sorted(Path(folder).glob(files)):
        reader = next((READERS[start] for start in READERS if path.name.startswith(start)), None)
        if reader is not None:
            with np.load(path) as archive:
                yield from reader(path.name, dict(archive))


def gpu_folder() -> Path | None:
    """Return the folder of the GPUs' results, or None where the environment names none."""
    folder = Path(os.environ.get(VARIABLE, ""))
    return folder if os.environ.get(VARIABLE) and any(folder.glob("tensorcore_*.npz")) else None


def _gpu(source: str, z: dict[str, np.ndarray]) -> Iterator[Rows]:
    unit = json.loads(str(z["meta"]))["unit"].lower()
    for key in sorted(key for key in z if "_d_" in key):
        operand, result = key.split("_d_")
        a, b, c = (z[f"{operand}_{x}"] for x in "abc")
        hopper = unit in ("h100", "h200")
        instruction = None
        if operand in FP8.split() and (unit == "b200" or (hopper and result == "fp16")):
            instruction = "mma.sync"
        elif operand in FP8.split() and hopper:
            c = np.zeros_like(c)  # it was not added
        if result == "fp16":
            c = c.view(np.float32).astype(np.float16).view(np.uint16)
        yield Rows(source, unit, instruction, (operand, operand), result, a, b, c, z[key])


def _model(source: str, z: dict[str, np.ndarray]) -> Iterator[Rows]:
    for key, about in json.loads(str(z["meta"]))["configurations"].items():
        chip, kind, *_ = key.split()
        instruction = None
        if "scale" in about:
            instruction = {"mx": "mxf8f6f4", "nvfp4": "mxf4nvf4"}.get(kind)
            instruction = instruction or {32: "mxf4", 16: "mxf4nvf4"}[about["block"]]
        elif chip == "cdna2" and kind == "bf16":
            instruction = "bf16"  # the older instructions, of pairs
        unit = {"cdna1": "mi100", "cdna2": "mi250", "cdna3": "mi300"}.get(chip, chip)
        codes = {x: z[f"{key}|{x}"] for x in "abcd"}
        for x in "ab":
            if about[x] == "tf32":
                codes[x] = codes[x] >> 13
        scales = None
        if "scale" in about:
            scales = Scales(z[f"{key}|scale_a"], z[f"{key}|scale_b"], about["scale"], about["block"])
        operands = about["a"], about["b"]
        yield Rows(source, unit, instruction, operands, about["c"], *codes.values(), scales)


def _vdpbf16ps(source: str, z: dict[str, np.ndarray]) -> Iterator[Rows]:
    yield Rows(source, "avx512_bf16", None, ("bf16", "bf16"), "fp32", *(z[x] for x in "abcd"))


def _h200(source: str, z: dict[str, np.ndarray]) -> Iterator[Rows]:
    for key in sorted(key[:-2] for key in z if key.endswith("_d")):
        operand, result = key.split("_")
        yield Rows(source, "h200", None, (operand, operand), result, *(z[f"{key}_{x}"] for x in "abcd"))


READERS: dict[str, Callable[[str, dict[str, np.ndarray]], Iterator[Rows]]] = {
    "tensorcore_": _gpu,
    "model_": _model,
    "cpu_vdpbf16ps": _vdpbf16ps,
    "matrix_units_h200": _h200,
}


class Integers(NamedTuple):
    """One instruction on integers: its name, whole numbers (rows, K) and (rows,), and the results."""

    name: str
    a: np.ndarray
    b: np.ndarray
    c: np.ndarray
    d: np.ndarray

    def mismatches(self) -> list[int]:
        """Return the rows for which the oracle gives something else."""
        dot = INTEGER_UNITS[self.name]
        rows = zip(*(x.tolist() for x in self[1:]), strict=True)
        return [i for i, (a, b, c, d) in enumerate(rows) if dot(a, b, c) != d]


INTEGER_UNITS: dict[str, Callable[..., int]] = {
    "dpbusd": stepwise_units.vnni,
    "dpbusds": partial(stepwise_units.vnni, saturate=True),
    "dpwssd": stepwise_units.vnni,
    "dpwssds": partial(stepwise_units.vnni, saturate=True),
    "maddubs": stepwise_units.maddubs,
}


def integer_configurations(folder: Path | str = DATA) -> Iterator[Integers]:
    """Yield the instructions on integers of ``cpu_vnni.npz``."""
    path = Path(folder) / "cpu_vnni.npz"
    if path.exists():
        with np.load(path) as z:
            a, b, c = (z[x] for x in "abc")
            for name in (name for name in INTEGER_UNITS if name in z):
                words = name.startswith("dpw")  # the same bytes as two int16
                operands = (a.view(np.int16), b.view(np.int16)) if words else (a, b)
                yield Integers(name, *operands, c, z[name])


def main(folder: str) -> int:
    """Put every row of the files in a folder through the oracle; print counts. Return how many differ."""
    total: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    for rows in configurations(folder):
        count = len(rows.mismatches())
        total[rows.source] += len(rows.d)
        wrong[rows.source] += count
        print(f"{rows.name}: {len(rows.d)} rows, {count} differ", flush=True)
    for numbers_of in integer_configurations(folder):
        count = len(numbers_of.mismatches())
        total["cpu_vnni.npz"] += len(numbers_of.d)
        wrong["cpu_vnni.npz"] += count
        print(f"{numbers_of.name}: {len(numbers_of.d)} rows, {count} differ", flush=True)
    print()
    for source, count in total.items():
        print(f"{source:40}{count:>9} rows{wrong[source]:>8} differ")
    print(f"{'all':40}{total.total():>9} rows{wrong.total():>8} differ")
    return wrong.total()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Usage: python tests/matrix_unit_vectors.py DIR")
    sys.exit(main(sys.argv[1]) > 0)
