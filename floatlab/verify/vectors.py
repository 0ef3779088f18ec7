"""What did chips compute? Recorded dot products of matrix units, and whether floatlab computes them.

    floatlab verify --vectors DIR

`configurations(folder)` reads what lies in a folder. Each has the codes of one kind of instruction; `compare` says in
which rows the unit of `floatlab.matrix_units` gives something else. Instructions on integers, which are fields of
`floatlab.block_formats`, are compared with `floatlab.reference`, and the report says so.

Files, which are packed:

- ``tensorcore_*.npz``: results of GPUs (github.com/north-numerical-computing/MATLAB-tensor-core, BSD-2-Clause; with
  arXiv:2512.07004). The repository does not have them.
- ``model_*.npz``: results of mmasim 2.1.1 (MIT), with NaN, infinities, zeros and subnormals; ``model_edges.npz`` has
  rows that tell one fraction bit, or one exponent of a zero, more or less, and rows of three blocks.
- ``cpu_vdpbf16ps.npz``, ``cpu_vnni.npz``: results of an AMD Zen 5. ``matrix_units_h200.npz``: of an H200, by
  ``benchmarks/matrix_units.py``.

Codes of tf32 have 19 bits here. Files hold them so, or (the models) as float32 codes whose low 13 bits the unit drops.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np

from floatlab import reference
from floatlab.codes.decode import decode
from floatlab.errors import DataError
from floatlab.formats import get_format
from floatlab.matrix_units import get_unit
from floatlab.matrix_units.scaled import Scales as SharedScales
from floatlab.reference import Number, stepwise_units
from floatlab.sums.matmul import matmul
from floatlab.verify.chips import FP8, Dot, numbers, oracle, same
from floatlab.verify.journal import fingerprint, surroundings
from floatlab.verify.report import Report, make_report
from floatlab.verify.tasks import EXAMPLES, Array, Outcome, Task

__all__ = [
    "INTEGER_UNITS",
    "Integers",
    "Rows",
    "Scales",
    "compare",
    "configurations",
    "integer_configurations",
    "unit_results",
]


class Scales(NamedTuple):
    """The codes of the scales of a and b, their format, and how many numbers share one."""

    a: Array
    b: Array
    fmt: str
    block: int


class Rows(NamedTuple):
    """The recorded rows of one kind of instruction: d = unit(a, b, c)."""

    source: str  # the file's name
    unit: str
    instruction: str | None
    operands: tuple[str, str]
    result: str  # the format of c and d
    a: Array  # codes, (rows, K)
    b: Array
    c: Array  # codes, (rows,)
    d: Array
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

    def differing(self, values: Sequence[float] | Array) -> list[int]:
        """Return the rows for which an implementation's results, as float64 values, are something else."""
        wanted = numbers(self.d, self.result)
        pairs = enumerate(zip(np.asarray(values, np.float64).tolist(), wanted, strict=True))
        return [i for i, (x, y) in pairs if not same(reference.exact(x), y, any_zero=self.any_zero)]


def configurations(folder: Path | str, files: str = "*.npz") -> Iterator[Rows]:
    """Yield what the vector files of a folder hold, file by file."""
    for path in sorted(Path(folder).glob(files)):
        reader = next((READERS[start] for start in READERS if path.name.startswith(start)), None)
        if reader is None:
            continue
        try:
            rows = list(reader(path.name, _arrays(path)))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                "A file of recorded rows has its arrays, and a text, meta, that tells what they are. "
                f"Got {path} (it stops at {error}). Fetch it again."
            ) from None
        yield from rows


def _arrays(path: Path) -> dict[str, Array]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return dict(archive)
    except (OSError, ValueError, BadZipFile) as error:
        raise DataError(
            f"Recorded rows are arrays in a file of NumPy's. Got {path} ({error}). Fetch it again."
        ) from None


def _gpu(source: str, z: dict[str, Array]) -> Iterator[Rows]:
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


def _model(source: str, z: dict[str, Array]) -> Iterator[Rows]:
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
        a, b, c, d = codes.values()
        yield Rows(source, unit, instruction, operands, about["c"], a, b, c, d, scales)


def _vdpbf16ps(source: str, z: dict[str, Array]) -> Iterator[Rows]:
    yield Rows(source, "avx512_bf16", None, ("bf16", "bf16"), "fp32", z["a"], z["b"], z["c"], z["d"])


def _h200(source: str, z: dict[str, Array]) -> Iterator[Rows]:
    for key in sorted(key[:-2] for key in z if key.endswith("_d")):
        operand, result = key.split("_")
        a, b, c, d = (z[f"{key}_{x}"] for x in "abcd")
        yield Rows(source, "h200", None, (operand, operand), result, a, b, c, d)


READERS: dict[str, Callable[[str, dict[str, Array]], Iterator[Rows]]] = {
    "tensorcore_": _gpu,
    "model_": _model,
    "cpu_vdpbf16ps": _vdpbf16ps,
    "matrix_units_h200": _h200,
}


class Integers(NamedTuple):
    """One instruction on integers: its name, whole numbers (rows, K) and (rows,), and the results."""

    name: str
    a: Array
    b: Array
    c: Array
    d: Array

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


def integer_configurations(folder: Path | str) -> Iterator[Integers]:
    """Yield the instructions on integers of ``cpu_vnni.npz``."""
    path = Path(folder) / "cpu_vnni.npz"
    if path.exists():
        z = _arrays(path)
        a, b, c = (z[x] for x in "abc")
        for name in (name for name in INTEGER_UNITS if name in z):
            words = name.startswith("dpw")  # the same bytes as two int16
            first, second = (a.view(np.int16), b.view(np.int16)) if words else (a, b)
            yield Integers(name, first, second, c, z[name])


# -- floatlab beside them ------------------------------------------------------------------------------

_GPUS = "tensorcore_*.npz"
_BY_REFERENCE = "rows of an instruction that no unit has, by floatlab.reference"


def unit_results(rows: Rows) -> Array:
    """Return what the unit of `floatlab.matrix_units` computes: each row is a product of 1 x K and K x 1."""
    with np.errstate(invalid="ignore"):  # of signalling NaNs
        a, b, c = (
            decode(codes, name).astype(np.float64)
            for codes, name in zip((rows.a, rows.b, rows.c), (*rows.operands, rows.result), strict=True)
        )
    if rows.scales is not None:
        return _scaled_results(rows, a, b, c)
    half = "fp16" if rows.result == "fp16" else None
    unit = get_unit(":".join(part for part in (rows.unit, rows.instruction, half, "bias_first") if part))
    product = matmul(
        a[:, None, :],
        b[:, :, None],
        rows.result,
        bias=c[:, None, None],
        accumulator=unit,
        formats=(*rows.operands, rows.result),
    )
    found: Array = product[:, 0, 0]
    return found


def _scaled_results(rows: Rows, a: Array, b: Array, c: Array) -> Array:
    """Return what the unit computes of elements and scales, one row after the other."""
    assert rows.scales is not None
    # An fp4 takes the fp4 instructions; the wider one has to be asked for.
    unit = get_unit(
        f"{rows.unit}:mxf8f6f4:bias_first" if rows.instruction == "mxf8f6f4" else f"{rows.unit}:bias_first"
    )
    formats = get_format(rows.operands[0]), get_format(rows.operands[1])
    fmt, size = get_format(rows.scales.fmt), rows.scales.block
    of_a, of_b = (
        np.repeat(decode(codes, fmt).astype(np.float64), size, axis=1)
        for codes in (rows.scales.a, rows.scales.b)
    )
    found = np.empty(len(c))
    for i in range(len(c)):
        scales = SharedScales(of_a[i : i + 1], of_b[i][:, None], fmt, size)
        found[i] = unit.multiply_scaled(a[i : i + 1], b[i][:, None], c[i : i + 1], formats, scales)[0, 0]
    return found


def compare(folder: Path | str) -> Report:
    """Compare every recorded row in a folder with floatlab.

    Returns
    -------
    Report
        With a line for each file and instruction, and one that is skipped where no results of GPUs are.

    Raises
    ------
    DataError
        If there is no such folder, it has no recorded rows, or a file cannot be read.
    """
    folder = Path(folder)
    found: list[tuple[Task, Outcome]] = []
    if not any(folder.glob(_GPUS)):
        found.append((Task("vectors", _GPUS, "GPUs"), Outcome(skipped=f"none lies in {folder}")))
    for i, rows in enumerate(configurations(folder)):
        subject = rows.name.removeprefix(rows.source).strip()
        found.append((Task("vectors", rows.source, subject, detail=str(i)), _outcome_of(rows)))
    for some in integer_configurations(folder):
        wrong = some.mismatches()
        outcome = Outcome(
            len(some.d), {_BY_REFERENCE: len(some.d)}, len(wrong), [f"{some.name}, row {i}" for i in wrong]
        )
        found.append((Task("vectors", "cpu_vnni.npz", some.name), outcome))
    if not sum(outcome.comparisons for _, outcome in found):
        raise DataError(
            f"Recorded rows lie in {_GPUS}, model_*.npz, cpu_*.npz and matrix_units_*.npz. Got {folder}, which has "
            "none of them. Name the folder that has, as tests/data of the repository."
        )
    finished = {task.id: outcome for task, outcome in found}
    return make_report("vectors", [task for task, _ in found], finished, fingerprint(), surroundings())


def _outcome_of(rows: Rows) -> Outcome:
    wrong = rows.differing(unit_results(rows))
    examples = [f"{rows.name}, row {i}" for i in wrong[:EXAMPLES]]
    return Outcome(len(rows.d), {}, len(wrong), examples, digest=rows.name)
